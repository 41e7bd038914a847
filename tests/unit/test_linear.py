"""Maps are applied exactly on either side of the limit up to which doubles compute."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray, integers
from qspec.ir import linear
from qspec.ir.integer import products
from qspec.ir.linear import EXACT, FEW, Convolution, Dense, LinearMap

LENGTH = FEW + 5


def exactly(matrix: IntArray, x: IntArray) -> list[object]:
    """Return the product in Python integers."""
    return (x.astype(object) @ matrix.astype(object).T).tolist()


def matrix_of(m: LinearMap) -> IntArray:
    entries = linear.to_sparse(m)
    matrix = np.zeros((m.outputs, m.inputs), dtype=object)
    matrix[entries.rows, entries.columns] = entries.coefficients.astype(object)
    return matrix


def uses_doubles(m: Dense) -> bool:
    return "floats" in vars(m)


@pytest.mark.parametrize("short", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_doubles_are_used_up_to_the_limit_and_not_at_it(sign: int, short: int) -> None:
    """The product is the limit less `short`; at the limit an odd part would still be right, one above it not."""
    row = np.zeros((1, LENGTH), dtype=np.int64)
    row[0, :3] = [2**52, 2**52 - 1, 1]
    row[0, 1] -= short
    m, x = Dense(sign * row), np.ones(LENGTH, dtype=np.int64)
    assert m.gain == EXACT - short
    assert linear.apply(m, x).tolist() == [sign * (EXACT - short)]
    assert uses_doubles(m) is (short > 0)


def test_what_doubles_would_round_is_computed_in_integers() -> None:
    row = np.ones((2, LENGTH), dtype=np.int64)
    row[:, 0] = 2**53
    row[1] *= -1
    m, x = Dense(row), np.ones((1, LENGTH), dtype=np.int64)
    assert (x.astype(np.float64) @ row.T.astype(np.float64)).astype(np.int64).tolist() != exactly(row, x)
    assert linear.apply(m, x).tolist() == exactly(row, x)
    assert not uses_doubles(m)


def test_partial_sums_count_even_if_they_cancel() -> None:
    row = np.zeros((1, LENGTH), dtype=np.int64)
    row[0, :3] = [2**53, 1, -(2**53)]
    for order in ([0, 1, 2], [1, 0, 2], [0, 2, 1]):
        m = Dense(row[:, [*order, *range(3, LENGTH)]])
        assert linear.apply(m, np.ones(LENGTH, dtype=np.int64)).tolist() == [1]
        assert not uses_doubles(m)


@pytest.mark.parametrize("bits", [10, 40, 44, 45, 46, 47, 48, 53, 54, 55, 61, 62, 63, 70, 120])
def test_dense_products_are_those_of_python_integers(bits: int) -> None:
    rng = np.random.default_rng(bits)
    for share in (1, bits // 3, bits // 2):
        matrix = rng.integers(-(2**share), 2**share, (7, LENGTH)) | 1
        shift = max(0, bits - share - 50)
        x = (rng.integers(-(2 ** (bits - share - shift)), 2 ** (bits - share - shift) + 1, (3, LENGTH)) | 1).astype(object) * 2**shift + 1
        m = Dense(matrix)
        narrow = integers(x)
        assert linear.apply(m, narrow).tolist() == exactly(matrix, x)
        assert linear.apply(m, x).tolist() == exactly(matrix, x)
        assert linear.apply_transposed(m, integers(x[:, :7])).tolist() == exactly(matrix.T, x[:, :7])
        assert uses_doubles(m) is (m.gain * int(np.abs(x).max()) < EXACT)


def convolutions(rng: np.random.Generator, limit: int) -> list[Convolution]:
    return [
        Convolution(rng.integers(-limit, limit + 1, (3, 2, 2, 4)), (5, 4, 2), (2, 1), ((1, 0), (1, 2))),
        Convolution(rng.integers(-limit, limit + 1, (2, 2, 1, 6)), (4, 4, 3), (1, 1), ((0, 1), (0, 0)), (2, 1), 3),
    ]


@pytest.mark.parametrize("bits", [3, 44, 47, 48, 49, 50, 51, 52, 54, 60, 61, 70])
def test_convolutions_are_those_of_python_integers(bits: int) -> None:
    rng = np.random.default_rng(bits)
    for m in convolutions(rng, 2 ** min(bits // 2, 40)):
        x = (rng.integers(0, 2**30, (2, m.inputs)).astype(object) * 2 ** max(0, bits - bits // 2 - 30)) | 1
        x = x % 2 ** (bits - bits // 2)
        assert linear.apply(m, integers(x)).tolist() == exactly(matrix_of(m), x)
        assert linear.apply(m, x).tolist() == exactly(matrix_of(m), x)


def test_a_convolution_does_not_round_odd_sums_beyond_the_limit() -> None:
    kernel = np.ones((2, 2, 1, 1), dtype=np.int64)
    m = Convolution(kernel, (3, 3, 1))
    for largest in (2**51 - 1, 2**51, 2**51 + 1, 2**53, 2**53 + 1, 2**60 + 1):
        x = np.full((1, 9), largest)
        x[0, 0] -= 1
        result = linear.apply(m, x)
        assert result.dtype in (np.int64, object)
        assert result.tolist() == exactly(matrix_of(m), x)


def test_gain_is_the_largest_absolute_row_sum() -> None:
    rng = np.random.default_rng(9)
    for limit in (9, 2**40, 2**61):
        dense = Dense(rng.integers(-limit, limit, (5, 7)))
        scattered = linear.sparse(6, 7, rng.integers(0, 5, 20), rng.integers(0, 7, 20), rng.integers(-limit, limit, 20))
        for m in (dense, scattered, linear.sparse(3, 2, [], [], [])):
            assert m.gain == int(np.abs(matrix_of(m)).sum(axis=1).max())
        for m in convolutions(rng, limit):
            assert m.gain >= int(np.abs(matrix_of(m)).sum(axis=1).max())


def test_absolute_and_transposed_maps_have_the_entries_they_should() -> None:
    rng = np.random.default_rng(10)
    maps: list[LinearMap] = [
        Dense(rng.integers(-9, 10, (4, 6))),
        Dense(np.arange(6).reshape(2, 3)),
        linear.sparse(5, 6, rng.integers(0, 5, 12), rng.integers(0, 6, 12), rng.integers(-9, 10, 12)),
        linear.selection([2, -1, 0], 4),
        *convolutions(rng, 9),
    ]
    for m in maps:
        for _ in range(2):
            assert np.array_equal(matrix_of(linear.absolute(m)), np.abs(matrix_of(m)))
            assert np.array_equal(linear.apply_transposed(m, np.eye(m.outputs, dtype=np.int64)), matrix_of(m))


@pytest.mark.parametrize("seed", range(24))
def test_convolutions_forwards_and_transposed_are_their_matrices(seed: int) -> None:
    """Strides, dilations, paddings, groups and depthwise kernels; in doubles, in int64 and in Python integers."""
    random = np.random.default_rng(seed)
    groups, depth, per_group = (int(n) for n in random.integers(1, 4, 3))
    if seed % 3 == 0:
        depth = 1
    image = (int(random.integers(4, 8)), int(random.integers(4, 8)), groups * depth)
    kernel = random.integers(-9, 10, (*random.integers(1, 4, 2), depth, groups * per_group))
    stride, dilation = ((int(a), int(b)) for a, b in random.integers(1, 3, (2, 2)))
    top, bottom, left, right = (int(n) for n in random.integers(0, 3, 4))
    dilation = dilation if seed % 2 else (1, 1)
    factor = (1, 2**40, 2**70)[seed % 3]
    m = Convolution(integers(kernel.astype(object) * factor), image, stride, ((top, bottom), (left, right)), dilation, groups)
    matrix = matrix_of(m)
    x = random.integers(-(2**20), 2**20, (3, m.inputs))
    assert linear.apply(m, x).astype(object).tolist() == exactly(matrix, x)
    c = random.integers(-(2**20), 2**20, (2, 3, m.outputs))
    expected = c.astype(object).reshape(6, -1) @ matrix
    assert linear.apply_transposed(m, c).astype(object).reshape(6, -1).tolist() == expected.tolist()
    assert m.reach >= int(np.abs(matrix).sum(axis=0).max())


def test_transposed_doubles_stop_at_the_limit() -> None:
    kernel = np.array([2**52, 2**52 - 1, 2]).reshape(1, 3, 1, 1)
    m = Convolution(kernel, (1, 5, 1))
    assert m.reach == EXACT + 1
    assert linear.apply_transposed(m, np.array([1, 1, 1])).tolist() == [2**52, EXACT - 1, EXACT + 1, 2**52 + 1, 2]


def test_a_map_of_nothing_is_applied_to_any_number_of_vectors() -> None:
    m = linear.sparse(2, 0, [], [], [])
    assert linear.apply(m, np.zeros((3, 0), dtype=np.int64)).tolist() == [[0, 0]] * 3
    assert linear.apply(m, np.zeros(0, dtype=np.int64)).tolist() == [0, 0]
    assert linear.apply(linear.sparse(0, 2, [], [], []), np.ones((3, 2), dtype=np.int64)).shape == (3, 0)


def test_what_a_map_costs_is_the_number_of_its_entries() -> None:
    kernel = np.arange(1, 2 * 3 * 2 * 4 + 1).reshape(2, 3, 2, 4)
    maps: list[LinearMap] = [
        Dense(np.arange(1, 16).reshape(3, 5)),
        linear.sparse(4, 6, [0, 0, 3], [1, 5, 2], [7, -7, 1]),
        Convolution(kernel, (4, 5, 2)),
        Convolution(kernel, (5, 7, 4), stride=(2, 1), groups=2),
    ]
    assert [products(m) for m in maps] == [linear.to_sparse(m).rows.size for m in maps]
