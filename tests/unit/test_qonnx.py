"""QONNX files: equal to qonnx's executor in every float32 number, refused by name."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest
from onnx import load as load_onnx
from onnx import save

import qspec as qs
from qspec.lowering.evaluate import trace
from qspec.readers.qonnx import read_qonnx, read_qonnx_tensors
from qspec.runtimes.qonnx import ROUNDINGS, MultiThreshold, rounded
from qspec.semantics.fixed import evaluate
from tests.unit.qonnx_files import DOMAIN, FAMILIES, File, beside


def write(f: File, path, output: str = "", **changes: object) -> str:
    model = f.model(output or f.nodes[-1].output[0])
    for node in model.graph.node:
        for a in node.attribute:
            if a.name in changes and isinstance(changes[a.name], str):
                a.s = str(changes[a.name]).encode()
    save(model, path)
    return str(path)


def net_of(seed: int = 3) -> File:
    """Return an input that a Quant reads, a MatMul, a batch normalisation with a falling channel, and a Quant."""
    f = File(np.random.default_rng(seed), (4,))
    f.quant("x", "q", 0.25, 0, 4, narrow=1)
    f.quant(f.keep(f.random.normal(0, 1, (4, 3))), "w", 0.5, 0, 3)
    f.add("MatMul", ["q", "w"], "sum")
    parts = [[1.0, -0.7, 0.3], [0.1, 0.2, -0.3], [0.5, 0.0, 1.0], [2.0, 3.0, 0.5]]
    f.add("BatchNormalization", ["sum", *(f.keep(p) for p in parts)], "norm")
    f.quant("norm", "codes", 0.5, 0, 4)
    return f


@pytest.mark.parametrize("family", FAMILIES)
def test_operators_equal_the_executor(family, tmp_path):
    total = 0
    for seed in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compared, differing = beside(FAMILIES[family](np.random.default_rng([seed, 7])), tmp_path, 3)
        assert differing == 0, (seed, compared)
        total += compared
    assert total > 80


def test_the_input_of_one_quantiser_has_its_codes(tmp_path):
    net = qs.load(write(net_of(), tmp_path / "a.onnx"))
    assert (net.semantics, net.inputs[0].type.grid.units) == ("qonnx", (Fraction(1, 4),))
    assert [type(s.layer).__name__ for s in net.stages] == ["Input", "Dense", "Thresholds"]
    assert qs.agree(tmp_path / "a.onnx", samples=40).differing == 0


def test_exact_semantics_reads_scales_that_float32_rounds(tmp_path):
    f = File(np.random.default_rng(0), (4,))
    f.quant("x", "q", 0.3, 0, 4)
    f.quant(f.keep(f.random.normal(0, 1, (4, 3))), "w", 0.07, 0, 3)
    f.add("MatMul", ["q", "w"], "product")
    f.quant(f.keep([0.4, -0.9, 2.2]), "b", 0.3, 0, 4)
    f.add("Add", ["product", "b"], "sum")
    f.quant("sum", "codes", 0.11, 0, 4)
    path = write(f, tmp_path / "a.onnx")
    with pytest.raises(qs.UnsupportedError, match=r"the_product(.|\n)*float32 rounds(.|\n)*qonnx-exact"):
        qs.load(path)
    net = qs.load(path, semantics="qonnx-exact")
    codes = np.random.default_rng(1).integers(-8, 8, (50, 4))
    kernel = next(s.layer for s in net.stages if isinstance(s.layer, qs.Dense)).kernel
    input_, weight, out = (Fraction(float(np.float32(v))) for v in (0.3, 0.07, 0.11))
    sums = [[int(v) * input_ * weight + b * input_ for v, b in zip(row, (1, -3, 7), strict=True)] for row in codes @ kernel.codes]
    wanted = [[max(-8, min(7, round(v / out))) for v in row] for row in sums]
    assert np.array_equal(trace(net, {"x": codes})[net.stages[net.outputs[0]].name], wanted)


def test_a_counterexample_is_replayed_by_the_second_semantics(tmp_path):
    net = qs.load(write(net_of(), tmp_path / "a.onnx"))
    x = net.input("x")
    result = qs.verify(qs.forall(x, then=net(x)[1] <= net(x)[0]), timeout=20)
    assert result.verdict is qs.Verdict.VIOLATED
    codes = np.random.default_rng(2).integers(-7, 8, (20, 4))
    first = trace(net, {"x": codes})
    for k, row in enumerate(codes):
        assert all(np.array_equal(taps.output.codes, first[name][k]) for name, taps in evaluate(net, [row]).items())


def test_outputs_in_the_order_of_floats(tmp_path):
    """A tail that float32 rounds, another for each output: codes are the places of the numbers among all that occur."""
    f = File(np.random.default_rng(5), (4,))
    f.quant("x", "q", 0.25, 0, 3)
    f.quant(f.keep(f.random.normal(0, 1, (4, 3))), "w", 0.5, 0, 3)
    f.add("MatMul", ["q", "w"], "sum")
    f.add("Add", ["sum", f.keep([0.1, 0.2, 0.7])], "moved")
    path = write(f, tmp_path / "a.onnx")
    net, (tensors, taps) = qs.load(path), read_qonnx_tensors(path)
    codes = np.random.default_rng(2).integers(-4, 4, (50, 4))
    places = trace(net, {"x": codes})[net.stages[net.outputs[0]].name]
    values = taps[-1].decode(trace(tensors, {"x": codes})[tensors.stages[tensors.outputs[-1]].name]).reshape(places.shape)
    assert np.array_equal(np.argsort(places, axis=1, kind="stable"), np.argsort(values, axis=1, kind="stable"))
    assert len(np.unique(places)) == len(np.unique(values)) > 20


def test_rounding_modes_at_halves():
    """The table of qonnx 1.0.0, in floats and exactly."""
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    table = {
        "ROUND": [-2, -2, 0, 0, 2, 2],
        "HALF_UP": [-3, -2, -1, 1, 2, 3],
        "HALF_DOWN": [-2, -1, 0, 0, 1, 2],
        "UP": [-3, -2, -1, 1, 2, 3],
        "DOWN": [-2, -1, 0, 0, 1, 2],
        "CEIL": [-2, -1, 0, 1, 2, 3],
        "FLOOR": [-3, -2, -1, 0, 1, 2],
    }
    table["HALF_EVEN"] = table["ROUND"]
    assert set(table) == set(ROUNDINGS)
    exact = np.array([Fraction(v) for v in halves], dtype=object)
    for mode, wanted in table.items():
        assert rounded(mode, halves).tolist() == wanted
        assert rounded(mode, exact).tolist() == wanted


def test_thresholds_are_counted():
    """Each number, of any shape that thresholds broadcast to, gets the count of thresholds at most it, in floats and exactly."""
    random = np.random.default_rng(4)
    for count in (1, 2, 7, 8):
        thresholds = random.integers(-9, 9, (1, 3, 1, count)).astype(np.float32) / 2
        levels = 5 * np.arange(count + 1) - 3
        for shape in ((1, 3, 2), (11, 1, 1, 1), (11, 1, 3, 2)):
            x = random.integers(-10, 10, shape).astype(np.float32) / 2
            wanted = levels[np.sum(x[..., None] >= thresholds, axis=-1)]
            for kind in (x, np.array([Fraction(float(v)) for v in x.flat], dtype=object).reshape(shape)):
                assert np.array_equal(MultiThreshold(thresholds, levels).codes(kind), wanted)
    unreached = np.array([[np.nan, np.inf, 1.0, -np.inf]], np.float32)
    assert MultiThreshold(unreached, np.arange(5)).codes(np.array([0.0, 1.0], np.float32)).tolist() == [1, 2]


@pytest.mark.parametrize("semantics", ["qonnx", "qonnx-exact"])
@pytest.mark.parametrize("kind", ["overflow", "trunc", "weights"])
def test_what_no_number_holds_is_refused(kind, semantics, tmp_path):
    """Infinity times zero, which is nowhere a number; a Trunc without ends whose codes pass 63 bits; weights that are no numbers."""
    f = File(np.random.default_rng(0), (4,), 4, 0)
    said = "float32 does not hold"
    match kind:
        case "overflow":
            value = "x"
            for k, factor in enumerate((3e38, 1e30, 0.0)):
                value = f.add("Mul", [value, f.keep(factor)], f"m{k}")
            f.quant(value, "q")
        case "trunc":
            f.add("Trunc", ["x", f.keep(1e-30), f.keep(0), f.keep(8), f.keep(4)], "q", rounding_mode="FLOOR")
            said = "codes that are no numbers"
        case _:
            f.quant("x", "q")
            f.quant(f.keep([[np.nan], [1], [1], [1]]), "w")
            f.add("MatMul", ["q", "w"], "sum")
            said = "codes that are no numbers"
    path = write(f, tmp_path / "a.onnx")
    if (kind, semantics) == ("overflow", "qonnx-exact"):  # exact numbers do not overflow
        net = read_qonnx(path, semantics=semantics, input=f.format)
        assert not trace(net, {"x": np.arange(-4, 4).reshape(2, 4)})[net.stages[net.outputs[0]].name].any()
        return
    with pytest.raises(qs.UnsupportedError, match=rf"a\.onnx(.|\n)*{said}"):
        read_qonnx(path, semantics=semantics, input=f.format)


def _broken(kind: str, f: File) -> str:
    """Change a file so that it is refused; returns what the message says."""
    match kind:
        case "input":
            f.nodes[0].input[0] = f.add("Neg", ["x"], "minus")
            f.nodes.insert(0, f.nodes.pop())
            return "does not say which values"
        case "operator":
            f.add("Sin", ["codes"], "end")
            return "operator that is not read"
        case "softmax":
            f.add("Softmax", ["codes"], "classes")
            f.quant("classes", "again")
            return "an operator behind Softmax"
        case "zero divisor":
            f.add("Div", ["codes", f.keep(0.0)], "end")
            return "division by zero"
        case "mode":
            return "rounding mode that qonnx does not know"
        case "bits":
            f.constants["c2"] = np.asarray(2.5, np.float32)
            return "bit width"
        case "scale":
            f.constants["c0"] = np.asarray(-0.5, np.float32)
            return "scale that is not read"
        case "zero":
            f.constants["c1"] = np.asarray(0.5, np.float32)
            return "zero point that is no whole number"
        case "statistics":
            f.constants["c10"] = np.asarray([2.0, -3.0, 0.5], np.float32)
            return "no finite factor"
        case _:
            f.nodes[2].input[0] = "codes"
            return "valid ONNX|not read"


@pytest.mark.parametrize("kind", ["input", "operator", "softmax", "zero divisor", "mode", "bits", "scale", "zero", "statistics", "order"])
def test_refusals_name_file_and_node(kind, tmp_path):
    f = net_of()
    said = _broken(kind, f)
    path = write(f, tmp_path / "a.onnx", rounding_mode="SIDEWAYS") if kind == "mode" else write(f, tmp_path / "a.onnx")
    with pytest.raises((qs.UnsupportedError, qs.ModelFileError), match=said) as found:
        qs.load(path)
    assert "a.onnx" in str(found.value)


def test_domains_of_old_exports_are_known(tmp_path):
    model = load_onnx(write(net_of(), tmp_path / "a.onnx"))
    wanted = qs.load(tmp_path / "a.onnx").summary()
    for domain in ("", "onnx.brevitas", "finn.custom_op.general"):
        for node in model.graph.node:
            node.domain = domain if node.op_type == "Quant" else ""
        del model.opset_import[1:]
        save(model, tmp_path / "a.onnx")
        assert qs.load(tmp_path / "a.onnx").summary() == wanted
    assert DOMAIN.startswith("qonnx")


def test_a_declared_input_is_taken(tmp_path):
    f = net_of()
    f.nodes[0].input[0] = f.add("Mul", ["x", f.keep(2.0)], "twice")
    f.nodes.insert(0, f.nodes.pop())
    path = write(f, tmp_path / "a.onnx")
    net = read_qonnx(path, input=qs.Fixed(8, 4))
    assert net.inputs[0].type.grid.units == (Fraction(1, 16),)
    with pytest.raises(qs.UnsupportedError, match="no such semantics"):
        read_qonnx(path, semantics="brevitas")
