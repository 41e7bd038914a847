"""How often networks are right: the class is the first greatest output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.shapes import check_labelled
from qspec.errors import SpecError
from qspec.lowering.evaluate import evaluate
from qspec.lowering.real_evaluate import evaluate as real_evaluate
from qspec.network.graph import Graph, RealGraph
from qspec.network.types import Type

Labelled = tuple[object, object]
"""Input codes, shape (n, *input shape), and their n classes."""


def accuracy(network: Graph, labelled: Labelled) -> float:
    """Return the share of input codes that are classified as labelled; raises ShapeError if they do not fit, or if there are none."""
    shape = network.inputs[0].type.shape
    codes, classes = _fitting(labelled, shape)
    outputs = evaluate(network, codes.reshape(-1, *shape)).reshape(classes.size, -1)
    end = network.output_types[0]
    return _share(_values(outputs, end), classes)


def real_accuracy(network: RealGraph, like: Graph, labelled: Labelled) -> float:
    """Return the same of a real network, which reads the values that codes have in the input of `like`."""
    start = like.inputs[0].type
    codes, classes = _fitting(labelled, start.shape)
    values = _values(codes.reshape(classes.size, -1), start)
    outputs = real_evaluate(network, values.reshape(-1, *network.inputs[0].shape)).reshape(classes.size, -1)
    return _share(outputs, classes)


def _values(codes: IntArray, kind: Type) -> npt.NDArray[np.float64]:
    """Return codes, shape (n, size), as the doubles nearest to what they mean."""
    units, zeros = kind.grid.per_element(kind.shape)
    return (codes - zeros).astype(np.float64) * units.astype(np.float64)


def _share(outputs: npt.NDArray[np.float64], classes: IntArray) -> float:
    right: npt.NDArray[np.bool_] = outputs.argmax(axis=1) == classes
    return float(right.mean())


def _fitting(labelled: Labelled, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    if not isinstance(labelled, tuple | list) or len(labelled) != 2:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("no labelled samples", given=repr(labelled), expected="(codes, classes)")
    codes, classes = integers(labelled[0]), integers(labelled[1])
    check_labelled(codes.shape, classes.shape, shape)
    return codes, classes
