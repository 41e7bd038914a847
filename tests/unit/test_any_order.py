"""Float32 sums in an order that is not known: exact where no order matters, enclosed elsewhere, and counterexamples from real sessions."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, save

import qspec as qs
from qspec.cli import main
from qspec.conformance import any_order as module
from qspec.conformance.ort_runtime import run_onnx
from qspec.lowering.evaluate import trace
from qspec.readers.onnx_quantized import read_enclosed_onnx, read_quantized_tensors, roundings
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.ort import Terms
from qspec.runtimes.ort_qdq import OrtQdq
from tests.unit.onnx_files import File, gemm

f32 = np.float32


def summed(terms, random, *, fused):
    """Add float32 products in a random order of pairs, as a tree; `fused` adds some of them to a sum without rounding them first."""
    left = [f32(np.float64(a) * np.float64(b)) for a, b in terms]
    exact = [np.float64(a) * np.float64(b) for a, b in terms]
    if fused:
        total = f32(0)
        for k in random.permutation(len(terms)):
            total = f32(np.float64(total) + exact[k])
        return total
    while len(left) > 1:
        i, j = sorted(random.choice(len(left), 2, replace=False))
        left[i] = f32(left[i] + left[j])
        del left[j]
    return left[0]


def test_sums_of_every_order_lie_within_the_bounds_and_orders_matter():
    """At sums as near to a threshold as one can be, several orders are taken by hand."""
    random = np.random.default_rng(3)
    several = 0
    for _ in range(30):
        n = int(random.integers(3, 40))
        x = Quantized(float(f32(random.uniform(0.01, 0.1))), int(random.integers(-128, 128)))
        w, unit = random.integers(-127, 128, n), float(f32(random.uniform(0.001, 0.01)))
        reach = max(127 - x.zero, x.zero + 128)
        codes = random.integers(-128, 128, n)
        total = int(((codes - x.zero) * w).sum())
        out = Quantized(float(f32(x.scale * unit * 2 * abs(total) / 3)) or 1.0, 0)  # the sum is 1.5 steps
        rule = OrtQdq().sums(x, [unit], out, out.ends, Terms(n, np.array([int(np.abs(w).sum()) * reach])))
        real = f32(x.scale) * (codes - x.zero).astype(f32)
        terms = list(zip(real, f32(unit) * w.astype(f32), strict=True))
        seen = {int(np.rint(summed(terms, random, fused=bool(k % 2)) / f32(out.scale))) for k in range(6)}
        low, high = (int(np.sum(rule.stage.thresholds[0] <= total + e)) + int(rule.stage.base[0]) for e in (-rule.error, rule.error))
        assert 0 < rule.error < 64
        assert low <= min(seen) <= max(seen) <= high
        several += len(seen) > 1
    assert several > 0


def test_power_of_two_scales_make_a_plain_network_in_every_order(tmp_path):
    kernel = qs.Tensor(np.array([[3, -2], [1, 5]]), qs.Fixed(4, 2))
    small = qs.Sequential(
        qs.Input((2,), qs.Fixed(4, 2)), qs.Dense(kernel, output=qs.Fixed(8, 3, rounding=qs.Rounding.RND_CONV, overflow=qs.Overflow.SAT))
    )
    qs.to_onnx(small, tmp_path / "small.onnx", style="qdq")
    net = qs.load(tmp_path / "small.onnx", semantics="ort-qdq")
    assert net.semantics == "ort-qdq"
    every = np.stack(np.meshgrid(*[np.arange(-8, 8)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    assert np.array_equal(net.evaluate(every), small.evaluate(every))
    found = qs.agree(tmp_path / "small.onnx", "ort-qdq", inputs=every)
    assert (found.runtime, found.compared, found.differing) == ("ort-qdq", found.compared, 0)
    assert found.compared >= 512


@pytest.fixture(scope="module")
def rounded(tmp_path_factory):
    """A Gemm between DequantizeLinear and QuantizeLinear whose sums depend on their order."""
    path = tmp_path_factory.mktemp("qdq") / "gemm.onnx"
    save(gemm(np.random.default_rng(15), qdq=True), path)
    return path


def test_sums_that_depend_on_their_order_are_refused_by_node(rounded):
    with pytest.raises(qs.UnsupportedError, match=r"order(.|\n)*gemm_(.|\n)*any_order"):
        qs.load(rounded, semantics="ort-qdq")


def test_a_session_without_optimisation_stays_within_the_bounds(rounded):
    found = qs.agree(rounded, "ort-qdq", samples=60)
    assert found.differing == 0, str(found)
    assert found.compared >= 60


def _robust(codes, outputs):
    return lambda x, y: qs.forall(x, given=qs.linf(x.code - codes) <= 0, then=qs.linf(y.code - outputs) <= 0)


def test_claims_hold_for_every_order_or_are_violated_in_a_session_or_stay_open(rounded):
    net = read_enclosed_onnx(rounded, "ort-qdq")
    (errors,) = roundings(net)
    taps, tensors = read_quantized_tensors(rounded, "ort-qdq")
    shape = next(s for s in net.inputs if s.name != errors.name).type.shape
    inputs = np.random.default_rng(1).integers(-128, 128, (400, *shape))
    session = run_onnx(rounded, taps, [t.name for t in tensors], "ort-qdq")([inputs])[-1].reshape(len(inputs), -1).astype(int)
    verdicts = {}
    assert isinstance(errors.layer, qs.Input)
    assert isinstance(errors.layer.format, qs.Affine)
    limit = errors.layer.format.upper
    zeros = {s.name: inputs for s in net.inputs if s.name != errors.name}
    low, high = (
        trace(net, {**zeros, errors.name: np.full(errors.type.shape, e)})[net.stages[net.outputs[0]].name].reshape(len(inputs), -1)
        for e in (-limit, limit)
    )
    sure, unsure = (int(np.flatnonzero((low != high).any(axis=1) == wanted)[0]) for wanted in (False, True))
    for name, k, change in (("holds", sure, 0), ("violated", sure, 1), ("open", unsure, 0)):
        given = [session[k][0] + change, *session[k][1:]]
        verdicts[name] = qs.any_order(rounded, _robust(inputs[k], np.array(given).reshape(net.output_types[0].shape)), timeout=20)
    assert {n: v.verdict.name for n, v in verdicts.items()} == {"holds": "HOLDS", "violated": "VIOLATED", "open": "UNKNOWN"}
    shown = verdicts["violated"]
    assert np.array_equal(np.asarray(shown.outputs[0]).reshape(-1), session[sure])
    assert "does not make them" in verdicts["open"].detail


def test_one_limit_is_for_the_search_and_the_proof(rounded, monkeypatch):
    given = []
    for name in ("falsify", "verify"):
        ask = getattr(module, name)
        monkeypatch.setattr(module, name, lambda spec, ask=ask, *, limits: given.append(limits) or ask(spec, limits=limits))
    found = qs.any_order(rounded, lambda x, y: qs.forall(x, then=qs.all(y.code <= 127)), timeout=8, memory=4000, seed=3)
    assert found.verdict is qs.Verdict.HOLDS
    assert [(limits.memory, limits.seed) for limits in given] == [(4000, 3)] * 2
    assert 0 < given[0].seconds <= 2
    assert 0 < given[1].seconds <= 8


def test_outputs_of_a_counterexample_are_those_of_the_file(tmp_path):
    """They are not the last codes of a node of the file, where floats are pooled after these."""
    f = File(np.random.default_rng(0))
    x, y = f.scale("x", 0.5, np.int8(0)), f.scale("y", 0.25, np.int8(0))
    f.inputs["x"] = ((1, 1, 2, 4), np.dtype(np.int8))
    f.keep(w=np.array([[[[1]]]], np.int8))
    w = f.scale("w", 1.0, np.int8(0))
    made = f.real(f.quantized("made", f.node("Conv", [f.real("x", x), f.real("w", w)], "sum"), y), y)
    f.node("MaxPool", [made], "y", kernel_shape=[2, 2], strides=[2, 2])
    save(f.model({"y": TensorProto.FLOAT}), tmp_path / "pooled.onnx")
    codes = np.array([[[1], [-2], [3], [4]], [[5], [6], [-7], [8]]]).transpose(2, 0, 1)
    found = qs.any_order(tmp_path / "pooled.onnx", _robust(codes, np.zeros((1, 1, 2), np.int64)), timeout=20)
    assert found.verdict is qs.Verdict.VIOLATED
    assert [y.tolist() for y in found.outputs] == [[[[12, 16]]]]


def test_a_claim_is_a_function_that_returns_a_property_of_all_inputs(rounded):
    with pytest.raises(qs.SpecError, match="function of inputs"):
        qs.any_order(rounded, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(qs.SpecError, match=r"qs.forall"):
        qs.any_order(rounded, lambda x, y: qs.exists(x, then=qs.linf(y.code) <= 3))


def test_the_command_asks_the_function_that_is_named(rounded, tmp_path, capsys):
    (tmp_path / "claims.py").write_text(
        "import qspec as qs\n"
        "def within(x, y): return qs.forall(x, then=qs.all(y.code <= 127))\n"
        "def beyond(x, y): return qs.forall(x, then=qs.all(y.code <= -128))\n"
    )
    asked = ["any-order", str(rounded), f"{tmp_path}/claims.py:within", "--timeout", "20"]
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith("HOLDS\n")
    assert main([*asked[:2], f"{tmp_path}/claims.py:beyond"]) == 1
    assert "outputs = " in capsys.readouterr().out
    assert main([*asked[:2], f"{tmp_path}/claims.py"]) == 2
    assert "within, beyond" in capsys.readouterr().err
