"""Files of QKeras and HGQ's proxies, against their quantisers' formulas in float32 and by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import qspec as qs
from qspec.readers import qkeras_table
from qspec.readers.qkeras import read_quantized_keras
from qspec.readers.qkeras_quantizers import fixed, quantizer, weights

f32 = np.float32
Spec = Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]


def bits(bits: int, integer: float, **more: Any) -> dict[str, Any]:
    given = {"bits": bits, "integer": integer, "symmetric": 0, "alpha": 1, "keep_negative": True, "qnoise_factor": 1.0, **more}
    return {"class_name": "quantized_bits", "config": given}


def both(kernel: object, bias: object) -> dict[str, object]:
    return {"kernel_quantizer": kernel, "bias_quantizer": bias}


def write(path: Path, layers: Spec, shape: Sequence[int], *, apart: bool = False) -> Path:
    """Write a file as Keras 2 does, or its architecture as .json beside its weights."""
    named = [("InputLayer", {"name": "x", "batch_input_shape": [None, *shape]}, {}), *layers]
    names = [f"l{n}" for n in range(len(named))]
    config = [{"class_name": k, "config": {"name": n, "dtype": "float32", **c}} for n, (k, c, _) in zip(names, named, strict=True)]
    text = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": config}})
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        if not apart:
            file.attrs["model_config"] = text
        file.attrs["keras_version"] = "2.4.0"
        group = file if apart else file.create_group("model_weights")
        group.attrs["layer_names"] = names
        for name, (_, _, arrays) in zip(names, named, strict=True):
            own = group.create_group(name)
            own.attrs["weight_names"] = [f"{k}:0" for k in arrays]
            for k, array in arrays.items():
                own[f"{k}:0"] = np.asarray(array)
    if apart:
        path.with_suffix(".json").write_text(text)
    return path.with_suffix(".json" if apart else ".h5")


def quantized_bits(x: Any, bits: int, integer: int, symmetric: int = 0) -> Any:
    """Return the formula of QKeras, an operation of float32 after another."""
    m, m_i, x = f32(2.0 ** (bits - 1)), f32(2.0**integer), np.asarray(x, dtype=f32)
    p = x * m / m_i
    rounded = p + (-p + np.round(p))
    q = m_i * np.clip(rounded, -m + f32(symmetric), m - 1) / m
    return x + f32(1) * (-x + q)


def quantized_relu(x: Any, bits: int, integer: int) -> Any:
    m, m_i, x = f32(2.0**bits), f32(2.0**integer), np.asarray(x, dtype=f32)
    p = x * m / m_i
    q = m_i * np.clip((p + (-p + np.round(p))) / m, f32(0), 1 - 1 / m)
    u = np.where(x <= m_i - m_i / m, np.maximum(x, f32(0)), m_i - m_i / m).astype(f32)
    return u + (-u + q)


def quantized_tanh(x: Any, bits: int, symmetric: int) -> Any:
    m = f32(2.0 ** (bits - 1))
    p = (f32(2) * np.clip(f32(0.5) * np.asarray(x, dtype=f32) + f32(0.5), 0, 1) - f32(1)) * m
    return np.clip((p + (-p + np.round(p))) / m, -1 + f32(symmetric) / m, 1 - 1 / m)


def values(net: qs.Network, codes: Any) -> Any:
    grid = net.output_types[0].grid
    return net.evaluate(codes) * np.array([float(u) for u in grid.units])


@pytest.mark.parametrize("symmetric", [0, 1])
def test_a_dense_network_is_its_formulas_in_float32_for_every_input(tmp_path: Path, symmetric: int) -> None:
    random = np.random.default_rng(symmetric)
    a, b, c, d = (random.normal(0, 1, s).astype(f32) for s in ((2, 5), 5, (5, 3), 3))
    a[0, 0], a[1, 0], b[0] = 0.1875, 0.3125, -9.0  # ties of quarter steps, and a bias past the end
    end = {"class_name": "quantized_tanh", "config": {"bits": 4, "symmetric": symmetric, "use_stochastic_rounding": False}}
    layers: Spec = [
        ("QActivation", {"activation": "quantized_bits(6, 2, alpha=1)"}, {}),
        (
            "QDense",
            {"units": 5, "kernel_quantizer": bits(4, 0, symmetric=symmetric), "bias_quantizer": bits(5, 1)},
            {"kernel": a, "bias": b},
        ),
        ("QActivation", {"activation": "quantized_relu(5,1)"}, {}),
        ("QDense", {"units": 3, **both(bits(3, 1), bits(6, 1, alpha=None))}, {"kernel": c, "bias": d}),
        ("QActivation", {"activation": end}, {}),
    ]
    net = qs.load(write(tmp_path / "net", layers, (2,)), kind=qs.Network)
    assert net.semantics == "qkeras"
    codes = np.stack(np.meshgrid(*[np.arange(-32, 32)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    x = (codes / 8).astype(f32)
    hidden = quantized_relu(x @ quantized_bits(a, 4, 0, symmetric) + quantized_bits(b, 5, 1), 5, 1)
    expected = quantized_tanh(hidden @ quantized_bits(c, 3, 1) + quantized_bits(d, 6, 1), 4, symmetric)
    assert np.array_equal(values(net, codes), expected)
    assert len(np.unique(expected)) > 8


def test_a_folded_convolution_is_that_of_its_formulas(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    norm = {n: random.uniform(0.5, 2, 3).astype(f32) for n in ("gamma", "beta", "moving_mean", "moving_variance")}
    arrays = {"kernel": random.normal(0, 1, (2, 2, 1, 3)).astype(f32), "bias": random.normal(0, 1, 3).astype(f32), "iteration": np.int64(7)}
    conv = {
        "filters": 3,
        "kernel_size": [2, 2],
        "padding": "same",
        "strides": [1, 1],
        "epsilon": 0.001,
        "folding_mode": "ema_stats_folding",
    }
    layers: Spec = [
        ("QConv2DBatchnorm", {**conv, **both(bits(6, 1), bits(8, 3))}, {**arrays, **norm}),
        ("Activation", {"activation": "relu"}, {}),
        ("MaxPooling2D", {"pool_size": [2, 2], "strides": None, "padding": "valid"}, {}),
        ("Flatten", {}, {}),
        ("Activation", {"activation": "softmax"}, {}),
    ]
    net = qs.load(write(tmp_path / "net", layers, (4, 4, 1), apart=True), weights=tmp_path / "net.h5", input="uint8(1/4)", kind=qs.Network)
    factor = norm["gamma"] / np.sqrt(norm["moving_variance"] + f32(0.001))
    kernel = quantized_bits(factor * arrays["kernel"], 6, 1)
    bias = quantized_bits(factor * (arrays["bias"] - norm["moving_mean"]) + norm["beta"], 8, 3)
    codes = random.integers(0, 256, (20, 4, 4, 1))
    x = np.pad((codes / 4).astype(f32), ((0, 0), (0, 1), (0, 1), (0, 0)))
    sums = sum(x[:, i : i + 4, j : j + 4] @ kernel[i, j] for i in (0, 1) for j in (0, 1)) + bias
    expected = np.maximum(sums, 0).reshape(20, 2, 2, 2, 2, 3).max(axis=(2, 4)).reshape(20, -1)
    assert np.array_equal(values(net, codes), expected)


def test_a_quantiser_of_hgq_has_a_format_for_each_element_and_zeros_without_bits(tmp_path: Path) -> None:
    first = {"bits": [[4, 3]], "integers": [[4, 2]], "keep_negative": [[1, 1]]}
    last = {"bits": [[3, 0, 4]], "integers": [[2, 0, 5]], "keep_negative": [[1, 0, 0]]}
    modes = {"RND": "TRN", "SAT": "WRAP", "fusible": True, "overrides": {}}
    kernel = np.array([[1, 2, -1], [0.5, 1, 3]], dtype=f32)
    layers: Spec = [
        ("FixedPointQuantizer", {**modes, "shape": [1, 2]}, {k: np.array(v, np.int8) for k, v in first.items()}),
        ("Dense", {"units": 3, "activation": "linear", "use_bias": True}, {"kernel": kernel, "bias": np.array([0.25, 1, 0], dtype=f32)}),
        ("Activation", {"activation": "relu"}, {}),
        ("FixedPointQuantizer", {**modes, "shape": [1, 3]}, {k: np.array(v, np.int8) for k, v in last.items()}),
    ]
    net = qs.load(write(tmp_path / "net", layers, (2,)), kind=qs.Network)
    assert net.semantics == "hgq"
    codes = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-4, 4), indexing="ij"), axis=-1).reshape(-1, 2)
    sums = np.maximum(codes * [1, 0.5] @ kernel + [0.25, 1, 0], 0)
    wrapped = [(np.floor(sums[:, 0] * 2) + 4) % 8 / 2 - 2, np.zeros(len(sums)), np.floor(sums[:, 2] / 2) % 16 * 2]
    assert np.array_equal(values(net, codes), np.stack(wrapped, axis=-1))


def test_powers_of_two_have_the_exponents_of_their_bits() -> None:
    q = quantizer("quantized_po2(4, max_value=1)", "here")
    made = weights(np.array([0.0, 1e-9, 0.7, -0.72, 3.0, -0.005, 0.0029]), q, "here")
    assert made.values().tolist() == [2**-8, 2**-8, 0.5, -1.0, 1.0, -(2**-8), 2**-8]
    unlimited = weights(np.array([100.0, -0.01]), quantizer("quantized_po2(4)", "here"), "here")
    assert unlimited.values().tolist() == [8.0, -(2**-4)]
    with pytest.raises(qs.UnsupportedError, match="between two powers"):
        weights(np.array([2**-0.5]), q, "here")


REFUSED: Sequence[tuple[object, str]] = [
    (bits(4, 0, alpha="auto_po2", symmetric=1), "scale that is computed"),
    (bits(4, 0, alpha=None), "scale that is computed"),
    (bits(1, 0), "one bit"),
    (bits(4, 0, use_stochastic_rounding=True), "use_stochastic_rounding=True"),
    (bits(4, 0, qnoise_factor=0.5), "qnoise_factor"),
    (bits(4, 0.5), "no small whole number"),
    ("bernoulli()", "quantiser that is not read"),
    ("binary(alpha=1)", "quantiser that is not read"),
    ("quantized_relu(4, 0, 0, 0.25)", "no quantiser"),
    ("quantized_relu(4, negative_slope=0.25)", "negative_slope"),
    ("quantized_relu(4, -1)", "cannot count"),
    ("quantized_tanh(4, use_real_tanh=True)", "use_real_tanh"),
    ("__import__('os').getcwd()", "no quantiser"),
    ({"class_name": "stochastic_ternary", "config": {}}, "quantiser that is not read"),
    (3, "quantiser that is not read"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_other_quantisers_are_refused_by_name(given: object, words: str) -> None:
    with pytest.raises(qs.UnsupportedError, match=words):
        fixed(quantizer(given, "kernel_quantizer"), weights=True)


DENSE = {"units": 2, "use_bias": False, "kernel_quantizer": bits(4, 1), "bias_quantizer": None}
CONV = {"filters": 1, "kernel_size": [1, 1], "use_bias": False, "kernel_quantizer": bits(4, 1), "bias_quantizer": None}
NORM = {"gamma": np.ones(2, f32), "beta": np.zeros(2, f32), "moving_mean": np.zeros(2, f32), "moving_variance": np.ones(2, f32)}
OTHER: Mapping[str, tuple[Spec, Sequence[int], str]] = {
    "a mask of the kernel": ([("QConv2D", {**CONV, "mask": [[0.0]]}, {"kernel": np.ones((1, 1, 1, 1), f32)})], (2, 2, 1), "mask="),
    "an upper end": ([("ReLU", {"max_value": 6.0}, {})], (2,), "max_value="),
    "a slope": ([("ReLU", {"negative_slope": 0.25}, {})], (2,), "negative_slope="),
    "a threshold": ([("ReLU", {"threshold": 1.0}, {})], (2,), "threshold="),
    "a softmax over rows": ([("Softmax", {"axis": 1}, {})], (2, 2, 1), "axis=1"),
    "a normalisation of rows": (
        [("QDenseBatchnorm", {**DENSE, "epsilon": 0.0, "axis": [2]}, {"kernel": np.ones((2, 2), f32), **NORM})],
        (2,),
        "axis=",
    ),
    "weights of 64 bits": ([("QDense", DENSE, {"kernel": np.full((2, 2), 0.1)})], (2,), "weights that Keras rounds"),
    "steps of three": ([("ReLU", {}, {})], (2,), "no powers of two"),
}


@pytest.mark.parametrize("case", OTHER)
def test_settings_of_layers_that_are_not_read_are_refused_by_name(case: str, tmp_path: Path) -> None:
    layers, shape, words = OTHER[case]
    path = write(tmp_path / "net", layers, shape)
    with pytest.raises(qs.UnsupportedError, match=words):
        read_quantized_keras(path, input="uint8(3)" if case == "steps of three" else "Q3.0")


def test_what_float32_may_round_and_what_the_file_does_not_say_is_refused(tmp_path: Path) -> None:
    kernel = np.ones((2, 2), dtype=f32)
    dense = ("QDense", {"units": 2, "use_bias": False, "kernel_quantizer": bits(8, 1), "bias_quantizer": None}, {"kernel": kernel})
    path = write(tmp_path / "net", [dense], (2,))
    with pytest.raises(qs.UnsupportedError, match=r"which values its input takes(.|\n)*input="):
        qs.load(path)
    with pytest.raises(qs.UnsupportedError, match=r"float32 may round(.|\n)*no powers of two"):
        qs.load(path, input="uint8(1/255)")
    with pytest.raises(qs.UnsupportedError, match=r"float32 may round(.|\n)*sums up to"):
        qs.load(path, input="ap_fixed<28,4>")
    assert qs.load(path, input="ap_fixed<20,4>", kind=qs.Network).evaluate([3, 5]).tolist() == [8 * 64, 8 * 64]
    with pytest.raises(qs.UnsupportedError, match="behind softmax"):
        qs.load(write(tmp_path / "late", [("Softmax", {"axis": -1}, {}), dense], (2,)), input="Q3.0")
    tied = {**{n: np.ones(2, f32) for n in ("gamma", "moving_variance")}, "beta": np.zeros(2, f32), "moving_mean": np.zeros(2, f32)}
    settings = {"units": 2, "use_bias": False, "epsilon": 0.0, "kernel_quantizer": bits(2, 1), "bias_quantizer": bits(4, 0)}
    near = ("QDenseBatchnorm", settings, {"kernel": kernel / 2, **tied})
    with pytest.raises(qs.UnsupportedError, match=r"next to a tie(.|\n)*4"):
        qs.load(write(tmp_path / "tied", [near], (2,)), input="Q3.0")
    with pytest.raises(qs.UnsupportedError, match=r"QBatchNormalization(.|\n)*hls4ml"):
        qs.load(write(tmp_path / "other", [dense, ("QBatchNormalization", {}, {})], (2,)), input="Q3.0")
    apart = write(tmp_path / "apart", [dense], (2,), apart=True)
    with pytest.raises(qs.UnsupportedError, match="weights="):
        qs.load(apart)


def test_the_page_has_the_table_of_what_is_read() -> None:
    page = Path(__file__).parents[2] / "docs" / "fpga.md"
    assert qkeras_table.markdown() in page.read_text(encoding="utf-8")
