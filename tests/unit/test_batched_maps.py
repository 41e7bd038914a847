"""Maps of the search in numpy, both ways, against the exact maps."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.engines.dual.batched_maps import NumpyMaps
from qspec.evaluate.kernels import Convolve
from qspec.evaluate.maps import real_map
from qspec.ir import linear
from qspec.ir.linear import Convolution

FORMS = (((1, 1), ((0, 0), (0, 0)), (1, 1), 1), ((2, 1), ((1, 0), (0, 2)), (1, 2), 1), ((1, 2), ((1, 1), (1, 1)), (1, 1), 3))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), FORMS)
def test_convolutions_in_numpy_are_exact_on_small_numbers(
    stride: tuple[int, int], padding: tuple[tuple[int, int], tuple[int, int]], dilation: tuple[int, int], groups: int
) -> None:
    rng = np.random.default_rng(3)
    m = Convolution(rng.integers(-5, 6, (3, 2, 3 // groups, 6)), (7, 6, 3), stride, padding, dilation, groups)
    kernel, arrays = real_map(m)
    assert isinstance(kernel, Convolve)
    x, c = rng.integers(-9, 10, (4, m.inputs)), rng.integers(-9, 10, (4, m.outputs))
    forward = NumpyMaps().forward(kernel, arrays, x.astype(np.float32))
    backward = NumpyMaps().backward(kernel, arrays, m.inputs, c.astype(np.float32))
    assert forward.dtype == backward.dtype == np.float32
    assert np.array_equal(forward, linear.apply(m, x))
    assert np.array_equal(backward, linear.apply_transposed(m, c))
