"""Programs without what is fixed: what is left has the values that it had, and convolutions stay convolutions."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.rounding import Rounding
from qspec.bounds import interval
from qspec.ir import linear
from qspec.ir.integer import Affine, Program, Staircase
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution
from qspec.ir.live import Live, live
from qspec.ir.reference import evaluate

SHAPE = (11, 9, 2)


def network(stride: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]], groups: int = 1) -> Program:
    """Return a convolution, roundings, another one beside a copy of its argument, and a dense layer, of an image with a free patch."""
    rng = np.random.default_rng(1)
    centre = rng.integers(-9, 10, SHAPE)
    lower, upper = centre.copy(), centre.copy()
    upper[4:6, 3:5] += 3
    b = Builder()
    x = b.input("x", lower.reshape(-1), upper.reshape(-1))
    first = Convolution(rng.integers(-4, 5, (3, 3, 2 // groups, 4)), SHAPE, stride, padding, (1, 1), groups)
    y = b.rescale(b.affine([(first, x)], rng.integers(-9, 10, first.outputs)), 3, 16, Rounding.RND, lower=0, upper=40)
    second = Convolution(rng.integers(-4, 5, (2, 2, 4, 4)), first.shape, padding=((1, 0), (0, 1)))
    z = b.affine([(second, y), (linear.diagonal(np.full(first.outputs, 5)), y)], np.zeros(first.outputs, dtype=np.int64))
    b.affine([(linear.Dense(rng.integers(-3, 4, (3, first.outputs))), b.rescale(z, 1, 8, Rounding.TRN, lower=-20, upper=20))], np.zeros(3))
    return b.program


def part(program: Program) -> Live:
    return live(program, [(x.lower, x.upper) for x in interval.bound(program)])


def test_what_is_left_has_the_values_that_it_had() -> None:
    rng = np.random.default_rng(2)
    forms = (((1, 1), ((1, 1), (1, 1)), 1), ((2, 1), ((0, 1), (2, 0)), 2), ((2, 3), ((0, 0), (0, 0)), 1), ((3, 2), ((1, 0), (1, 2)), 2))
    for stride, padding, groups in forms:
        program = network(stride, padding, groups)
        small, known = part(program), interval.bound(program)
        x = rng.integers(known[0].lower, known[0].upper + 1, (20, known[0].lower.size))
        whole, left = evaluate(program, {"x": x}), evaluate(small.program, {"x": x[:, small.index[0]]})
        for k, (a, b) in enumerate(zip(whole, left, strict=True)):
            assert np.array_equal(a[..., small.index[k]], b), (k, stride)
            rest = np.setdiff1d(np.arange(a.shape[-1]), small.index[k])
            assert np.array_equal(a[..., rest], np.broadcast_to(small.values[k][rest], a[..., rest].shape))


def test_convolutions_shrink_to_the_window_that_a_patch_reaches() -> None:
    small = part(network((1, 1), ((1, 1), (1, 1)))).program
    first, second = (n.terms[0][0] for n in small if isinstance(n, Affine) and isinstance(n.terms[0][0], Convolution))
    assert isinstance(first, Convolution)
    assert isinstance(second, Convolution)
    assert (first.image, first.shape) == ((2, 2, 2), (4, 4, 4))
    assert (second.image, second.shape) == ((4, 4, 4), (5, 5, 4))


def test_multipliers_that_are_left_are_those_of_the_elements_that_are() -> None:
    program = network((1, 1), ((1, 1), (1, 1)))
    small = part(program)
    k, last = (k for k, n in enumerate(program) if isinstance(n, Staircase))
    found = small.places({k: (10, 10 + 396), last: (406, 802)})
    assert found.tolist() == [*(10 + small.index[k]).tolist(), *(406 + small.index[last]).tolist()]
