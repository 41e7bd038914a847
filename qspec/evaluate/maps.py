"""Which kernel applies a linear map, in which arithmetic, and the proof that it is exact.

An integer sum of products is exact in float32 while `sum |w| |x| < 2**24` (in float64 `2**53`) whatever the order of additions, because
then every partial sum is an integer that the format represents; int8 operands are exact with an int32 accumulator below `2**31`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, magnitude
from qspec.bounds.interval import Interval, reach
from qspec.evaluate.kernels import Convolve, GatherKernel, MapKernel, MatMul, Scale, Scatter
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse

HostArray = npt.NDArray[Any]

INT8_INPUTS = 32
"""Fewest inputs for which int8 products were faster than float32 ones (measured on an x86-64 CPU with VNNI)."""
DENSE_ELEMENTS = 2**20
"""Largest matrix that a well-filled list of entries is turned into."""
MAX_SHIFT = 2**15
"""Furthest that arguments of int8 products are shifted."""
MAX_CORRECTION = 2 * 2**7 * MAX_SHIFT
"""Most that a shift adds to an accumulator and takes from a bias, per input."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A kernel for a map: `map(x) = kernel(x) + correction`; the kernel and all its partial sums stay within `reach`, elementwise."""

    kernel: MapKernel
    parameters: tuple[HostArray, ...]
    reach: IntArray
    correction: IntArray


def coefficients(m: LinearMap) -> IntArray:
    """Return every coefficient of a map, in any shape."""
    match m:
        case Dense(matrix):
            return matrix
        case Sparse():
            return m.coefficients
        case Convolution(kernel):
            return kernel
        case _:
            assert_never(m)


def exact_map(m: LinearMap, x: Interval) -> Mapped:
    """Choose the cheapest exact kernel for arguments in `x`; coefficients, bounds and `reach(m, x)` are below `2**62`."""
    m = _filled(m)
    if isinstance(m, Dense) and (mapped := _int8(m, x)) is not None:
        return mapped
    bound = reach(m, x)
    kernel, parameters = _place(m, _arithmetic(m, magnitude(bound)))
    return Mapped(kernel, parameters, bound, np.zeros_like(bound))


def real_map(m: LinearMap) -> tuple[MapKernel, tuple[HostArray, ...]]:
    """Return a float32 kernel for the map, for searching: it rounds and proves nothing."""
    return _place(_filled(m), np.dtype(np.float32))


def _filled(m: LinearMap) -> LinearMap:
    """Return a list of entries as a matrix if at least a quarter of that is not zero."""
    if not isinstance(m, Sparse) or not 64 < m.outputs * m.inputs <= min(DENSE_ELEMENTS, 4 * m.coefficients.size):
        return m
    matrix = np.zeros((m.outputs, m.inputs), dtype=m.coefficients.dtype)
    matrix[m.rows, m.columns] = m.coefficients
    return Dense(matrix)


def _int8(m: Dense, x: Interval) -> Mapped | None:
    """Return int8 products if the arguments fit int8 once they are shifted: `m(x) = m(x - s) + s m(1)`."""
    if m.inputs < INT8_INPUTS or m.outputs == 0 or not (m.matrix.min() >= -128 and m.matrix.max() <= 127):
        return None
    low, high = int(x.lower.min()), int(x.upper.max())
    shift = 0 if low >= -128 and high <= 127 else low + 128
    bound = reach(m, x, shift)
    if high - low > 255 or abs(shift) > MAX_SHIFT or magnitude(bound) >= 2**31:
        return None
    weights = np.ascontiguousarray(m.matrix.T.astype(np.int8))
    parameters = (weights, np.array(shift, dtype=np.int32)) if shift else (weights,)
    return Mapped(MatMul(shift != 0), parameters, bound, shift * m.matrix.sum(axis=1))


def _arithmetic(m: LinearMap, bound: int) -> np.dtype[Any]:
    """Return the dtype of an exact sum of products: a float for matrices and convolutions, which processors multiply fast."""
    match m:
        case Dense() | Convolution():
            return np.dtype(np.float32 if bound < 2**24 else np.float64 if bound < 2**53 else np.int64)
        case Sparse():
            return np.dtype(np.int32 if bound < 2**31 else np.int64)
        case _:
            assert_never(m)


def _place(m: LinearMap, dtype: np.dtype[Any]) -> tuple[MapKernel, tuple[HostArray, ...]]:
    match m:
        case Dense(matrix):
            return MatMul(False), (np.ascontiguousarray(matrix.T.astype(dtype)),)
        case Convolution(kernel, image, stride, padding, dilation, groups):
            return Convolve(image, stride, padding, dilation, groups), (kernel.astype(dtype),)
        case Sparse():
            return _place_entries(m, dtype)
        case _:
            assert_never(m)


def _place_entries(m: Sparse, dtype: np.dtype[Any]) -> tuple[MapKernel, tuple[HostArray, ...]]:
    values = m.coefficients.astype(dtype)
    straight = np.arange(m.outputs)
    if m.outputs == m.inputs and np.array_equal(m.rows, straight) and np.array_equal(m.columns, straight):
        return Scale(), (values,)
    counts = np.diff(m.starts)
    fan = int(counts.max(initial=0))
    if m.outputs * max(fan, 1) <= 2 * values.size + 64 and m.inputs:
        place = (m.rows, np.arange(values.size) - m.starts[m.rows])
        columns, filled = np.zeros((m.outputs, max(fan, 1)), dtype=np.int32), np.zeros((m.outputs, max(fan, 1)), dtype=dtype)
        columns[place], filled[place] = m.columns, values
        return GatherKernel(), (columns, filled)
    return Scatter(m.outputs), (m.rows.astype(np.int32), m.columns.astype(np.int32), values)
