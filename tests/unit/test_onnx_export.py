"""Networks as quantised ONNX files: ONNX Runtime, optimisation off, puts out every code of the reference; other roundings are refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.lowering.evaluate import evaluate

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def fixed(width, frac, signed=True):
    return qs.Fixed(width, frac, signed=signed, rounding=qs.Rounding.RND_CONV, overflow=qs.Overflow.SAT)


def affine(scale, zero):
    return qs.Affine(8, True, Fraction(scale), zero, rounding=qs.Rounding.RND_CONV, overflow=qs.Overflow.SAT)


def run(path, codes):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kind = np.int8 if session.get_inputs()[0].type == "tensor(int8)" else np.uint8
    return session.run(None, {"x": codes.astype(kind)})[0].astype(np.int64)


def equal(net, codes, style, folder):
    qs.to_onnx(net, folder / "net.onnx", style=style)
    np.testing.assert_array_equal(run(folder / "net.onnx", codes), evaluate(net, codes))


@pytest.mark.parametrize("style", ["qdq", "qlinear"])
@pytest.mark.parametrize("signed", [True, False])
def test_small_networks_on_all_codes(style, signed, tmp_path):
    random = np.random.default_rng(signed)
    first = qs.Tensor(random.integers(-7, 8, (2, 3)), qs.Fixed(4, 2))
    last = qs.Tensor(random.integers(-7, 8, (3, 2)), qs.Fixed(4, 3))
    bias = qs.Tensor(random.integers(-20, 20, 3), qs.Fixed(8, 4))
    hidden = fixed(6, 1, signed=signed)
    net = qs.Sequential(
        qs.Input((2,), qs.Fixed(5, 2)),
        qs.Dense(first, bias, qs.ReLU(), hidden),
        qs.Dense(last, output=fixed(8, 3)),
    )
    grid = np.stack(np.meshgrid(np.arange(-16, 16), np.arange(-16, 16), indexing="ij"), axis=-1).reshape(-1, 2)
    equal(net, grid, style, tmp_path)


def image(random, fmt, scale=None, most: Fraction | None = Fraction(2)):
    """Return a network of a strided convolution by groups, a padded maximum pool and a dense layer."""
    kernel = qs.Tensor(random.integers(-7, 8, (3, 2, 1, 4)), qs.Fixed(4, 3))
    head = qs.Tensor(random.integers(-7, 8, (24, 3)), qs.Fixed(4, 3))
    return qs.Sequential(
        qs.Input((7, 5, 2), fmt),
        qs.Conv2D(kernel, None, (2, 1), "same", groups=2, activation=qs.ReLU(maximum=most), output=scale or fixed(8, 3)),
        qs.MaxPool2D((2, 2), (2, 2), "same"),
        qs.Flatten(),
        qs.Dense(head, output=scale or fixed(8, 1)),
    )


@pytest.mark.parametrize("style", ["qdq", "qlinear"])
def test_convolutions_pools_and_zero_points_on_random_codes(style, tmp_path):
    random = np.random.default_rng(2)
    codes = random.integers(-128, 128, (60, 7, 5, 2))
    equal(image(random, qs.Fixed(8, 4)), codes, style, tmp_path)
    shifted = qs.int8(0.0625, zero_point=-11)
    equal(image(random, shifted, affine(0.125, 5)), codes, style, tmp_path)


def test_what_was_written_reads_back_as_the_same_function(tmp_path):
    random = np.random.default_rng(3)
    net = image(random, qs.Fixed(8, 4), affine(0.125, -128), None)  # nothing is cut off that int8 does not
    qs.to_onnx(net, tmp_path / "net.onnx")
    codes = random.integers(-128, 128, (20, 7, 5, 2))
    back = qs.load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(evaluate(back, codes), evaluate(net, codes))


def test_roundings_that_onnx_does_not_have_are_refused_with_a_sum(tmp_path):
    kernel = qs.Tensor(np.array([[1], [3]]), qs.Fixed(4, 1))
    for rounding in [r for r in qs.Rounding if r is not qs.Rounding.RND_CONV]:
        net = qs.Sequential(
            qs.Input((2,), qs.Fixed(4, 1)), qs.Dense(kernel, output=qs.Fixed(8, 1, rounding=rounding, overflow=qs.Overflow.SAT))
        )
        with pytest.raises(qs.UnsupportedError, match=r"the sum -?\d+ in channel 0 is"):
            qs.to_onnx(net, tmp_path / "net.onnx")
    mixed = qs.Sequential(qs.Input((2,), qs.Fixed(8, 1)), qs.Dense(kernel, output=fixed(8, 1, signed=False)))
    with pytest.raises(qs.UnsupportedError, match="two types"):
        qs.to_onnx(mixed, tmp_path / "net.onnx")
    third = qs.Sequential(qs.Input((1,), qs.int8(0.3)), qs.Dense(qs.Tensor(np.array([[3]]), qs.int8(0.7)), output=qs.int8(0.1)))
    with pytest.raises(qs.UnsupportedError):
        qs.to_onnx(third, tmp_path / "net.onnx", style="qdq")


def test_the_command_writes_onnx(tmp_path):
    image(np.random.default_rng(4), qs.Fixed(8, 4)).save(tmp_path / "net.qspec")
    assert main(["export", str(tmp_path / "net.qspec"), "-o", str(tmp_path / "net.onnx")]) == 0
    assert run(tmp_path / "net.onnx", np.zeros((2, 7, 5, 2))).shape == (2, 3)


@pytest.mark.parametrize(("code", "bias"), [(2**24 - 16, qs.Fixed(26, 4)), (2**20 - 1, qs.Fixed(22, 0))])
def test_partial_sums_count_a_bias_by_its_value_and_not_by_its_code(code, bias, tmp_path):
    kernel, summand = qs.Tensor(np.ones((1, 1), int), qs.Fixed(4, 2)), qs.Tensor(np.array([code]), bias)
    net = qs.Sequential(qs.Input((1,), qs.Fixed(5, 2)), qs.Dense(kernel, summand, output=fixed(8, 1)))
    with pytest.raises(qs.UnsupportedError, match="rounded in ways that no standard says"):
        qs.to_onnx(net, tmp_path / "net.onnx", style="qdq")
