"""The 391 correctly classified MNIST queries of AAAI 2021: how many of them exact intervals settle.

Source of network and queries: Henzinger, Lechner and Zikelic, Scalable Verification of Quantized Neural Networks, AAAI 2021.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.ir import linear
from qspec.ir.integer import All, And, Any, Query
from qspec.ir.integer_builder import Builder
from qspec.passes import Pipeline

pytestmark = pytest.mark.data

MISCLASSIFIED = (18, 149, 217, 241, 247, 259, 321, 340, 381)
PROVED = {1: 98, 2: 86, 3: 66, 4: 42}
"""By radius; the figures of interval propagation in exact integers, made again independently of this code."""


def codes(values: IntArray, frac: int) -> IntArray:
    """Return 6-bit codes, rounded half away from zero."""
    scaled = values.astype(np.float64) * 2**frac
    return np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), -32, 31).astype(np.int64)


class Mnist:
    """The network 784-64-32 and the images it is asked about."""

    def __init__(self, data: Path) -> None:
        stored = np.load(data / "aaai21_qnn" / "mnist_mlp.npz")
        self.weights = [codes(stored[f"kernel_{k}"], 5).T for k in (0, 1)]
        self.biases = [codes(stored[f"bias_{k}"], 4) << shift for k, shift in ((0, 9), (1, 5))]
        with gzip.open(data / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
            self.images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.int64)
        with gzip.open(data / "mnist" / "t10k-labels-idx1-ubyte.gz") as file:
            self.labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)

    def query(self, index: int, radius: int) -> Query:
        """Ask for an image within `radius` whose largest output, the first if there are several, is not the label."""
        builder = Builder()
        x = builder.input("x", np.zeros(784), np.full(784, 255))
        hidden = builder.affine([(linear.Dense(self.weights[0]), x)], self.biases[0])
        hidden = builder.rescale(hidden, 1, 512, Rounding.RND, lower=0, upper=63)
        output = builder.affine([(linear.Dense(self.weights[1]), hidden)], self.biases[1])
        output = builder.rescale(output, 1, 32, Rounding.RND, lower=-32, upper=31)
        label = int(self.labels[index])
        others = np.delete(np.arange(32), label)
        margins = builder.affine(
            [(linear.selection(others, 32), output), (linear.sparse(31, 32, np.arange(31), np.full(31, label), np.full(31, -1)), output)],
            -1 * (others > label),
        )
        distance = builder.difference(x, builder.constant(self.images[index]))
        near = [All(builder.scale(distance, sign, radius)) for sign in (1, -1)]
        return Query(builder.program, And((*near, Any(margins))))


@pytest.fixture(scope="module")
def mnist(data: Path) -> Mnist:
    return Mnist(data)


@pytest.mark.parametrize("radius", [1, 2, 3, 4])
def test_intervals_prove_the_known_number_of_queries(mnist: Mnist, radius: int) -> None:
    first = 100 * (radius - 1)
    asked = [k for k in range(first, first + 100) if k not in MISCLASSIFIED]
    pipeline = Pipeline().without("linear")
    verdicts = [pipeline.run(mnist.query(k, radius)).decided for k in asked]
    assert verdicts.count(False) == PROVED[radius]
    assert True not in verdicts


def test_an_open_query_has_four_bits_for_a_pixel_at_most(mnist: Mnist) -> None:
    image = mnist.images[301]
    width = np.minimum(image + 4, 255) - np.maximum(image - 4, 0)
    last = Pipeline().without("linear").run(mnist.query(301, 4)).records[-1]
    assert last.before == last.after
    assert last.after.input_bits == sum(int(w).bit_length() for w in width)


def test_misclassified_images_are_found_without_a_solver(mnist: Mnist) -> None:
    assert [k for k in range(400) if Pipeline().run(mnist.query(k, 0)).decided] == list(MISCLASSIFIED)
