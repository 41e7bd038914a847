"""What the linter says: each finding planted, named with its place, and nothing said of a sound file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.readers.tflite_file import read_model
from qspec.readers.tflite_write import write_model
from qspec_models import samples

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the path of an int8 network of the digits, its float twin, and codes of inputs."""
    real = qs.load("digits-6bit", kind=qs.Network).real()
    images, _ = samples("digits-6bit")
    unit = float(qs.load("digits-6bit").inputs[0].type.grid.units[0])
    values = images.reshape(len(images), *real.inputs[0].shape) * unit
    path = tmp_path_factory.mktemp("lint") / "digits.tflite"
    qs.to_tflite(qs.quantize_int8(real, values), path)
    grid = qs.load(path).inputs[0].type.grid
    return path, real, (values / float(grid.units[0])).round().astype(int) + grid.zeros[0]


def rules(found):
    return [f.rule.name for f in found.findings]


def changed(path, to, tensor, data):
    """Write the file again with other data in the first tensor whose name ends so; returns its path."""
    model = read_model(path)
    k = next(k for k, t in enumerate(model.tensors) if t.name.endswith(tensor))
    tensors = tuple(replace(t, data=data(t.data)) if j == k else t for j, t in enumerate(model.tensors))
    write_model(replace(model, tensors=tensors), to)
    return to


def test_a_sound_file_has_no_findings_about_its_parameters(made):
    found = qs.lint(made[0])
    assert found.clean
    assert rules(found) == []


@pytest.mark.parametrize("code", [-(2**31), 2**31 - 1])
def test_a_bias_at_the_end_of_int32_is_named(code, made, tmp_path):
    path = changed(made[0], tmp_path / "f.tflite", "bias", lambda b: np.where(np.arange(b.size) == 2, code, b).astype(np.int32))
    found = qs.lint(path)
    assert rules(found)[:2] == ["bias-at-end", "accumulator-overflow"]
    assert "channel 2" in found.findings[0].where
    assert str(code) in found.findings[0].value


def test_a_channel_of_zeros_is_named(made, tmp_path):
    def cut(kernel):
        kernel = kernel.copy()
        kernel[3] = 0
        return kernel

    (finding,) = qs.lint(changed(made[0], tmp_path / "f.tflite", "kernel", cut)).findings
    assert (finding.rule.name, finding.value.split()[0]) == ("dead-channel", "1")
    assert finding.where.endswith("channel 3")


def test_layers_are_near_their_twin_and_a_dropped_activation_is_named(made, tmp_path):
    path, real, codes = made
    found = qs.lint(path, twin=real, inputs=codes)
    assert not {"activation-dropped", "apart-from-twin"} & set(rules(found))
    assert all(b.mean < 2 for b in found.beside)
    assert len(found.beside) == sum(isinstance(s.layer, qs.real.Dense) for s in real.stages)
    bare = [replace(s, layer=replace(s.layer, activation=qs.Linear())) if isinstance(s.layer, qs.real.Dense) else s for s in real.stages]
    grid = qs.load(path).inputs[0].type.grid
    values = (codes - grid.zeros[0]) * float(grid.units[0])
    qs.to_tflite(qs.quantize_int8(replace(real, stages=tuple(bare)), values), tmp_path / "bare.tflite")
    lost = qs.lint(tmp_path / "bare.tflite", twin=real, inputs=codes)
    assert "activation-dropped" in rules(lost), str(lost)


def test_saturation_is_counted(made):
    path, _, codes = made
    found = qs.lint(path, inputs=np.full_like(codes[:4], 127))
    assert any(f.rule.name == "saturates" and "100.0 %" in f.value for f in found.findings)


def quantised(float_bias: bool, merged: bool):
    """Return an ONNX file: two pairs, and a MatMul and Add with a float bias or none."""
    h, t = onnx.helper, onnx.TensorProto
    stored = {"s": np.float32(0.1), "s2": np.float32(0.2), "z": np.int8(0), "w": np.ones((2, 2), np.int8), "b": np.ones(2, np.float32)}
    nodes = [h.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), h.make_node("DequantizeLinear", ["q", "s", "z"], ["d"])]
    last = "d"
    if merged:
        nodes += [h.make_node("QuantizeLinear", ["d", "s2", "z"], ["q2"]), h.make_node("DequantizeLinear", ["q2", "s2", "z"], ["d2"])]
        last = "d2"
    nodes.append(h.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"]))
    nodes.append(h.make_node("Gemm", [last, "dw", *(["b"] if float_bias else [])], ["g"], name="gemm"))
    nodes += [h.make_node("QuantizeLinear", ["g", "s2", "z"], ["y"])]
    ports = [h.make_tensor_value_info("x", t.FLOAT, (1, 2))], [h.make_tensor_value_info("y", t.INT8, (1, 2))]
    graph = h.make_graph(nodes, "f", *ports, [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("float_bias", "merged"), [(False, False), (True, False), (False, True)])
def test_float_parameters_and_merged_pairs_of_onnx_are_named(float_bias, merged, tmp_path):
    onnx.save(quantised(float_bias, merged), tmp_path / "f.onnx")
    found = qs.lint(tmp_path / "f.onnx")
    assert [r for r in rules(found) if r != "not-read"] == ["float-parameter"] * float_bias + ["merged-pairs"] * merged
    if float_bias:
        assert "'gemm'" in found.findings[0].where
    if merged:
        assert "0.2" in found.findings[0].value


def test_pairs_that_differ_in_their_last_channel_alone_are_named(tmp_path):
    h, t = onnx.helper, onnx.TensorProto
    names = [("QuantizeLinear", "x", "q"), ("DequantizeLinear", "q", "d"), ("QuantizeLinear", "d", "q2"), ("DequantizeLinear", "q2", "y")]
    for last, expected in ((0.5, []), (0.25, ["merged-pairs"])):
        scales = {"s": np.full(6, 0.5, np.float32), "s2": np.array([0.5] * 5 + [last], np.float32), "z": np.zeros(6, np.int8)}
        nodes = [h.make_node(op, [x, "s2" if "2" in x + y else "s", "z"], [y], axis=1) for op, x, y in names]
        ports = [[h.make_tensor_value_info(name, t.FLOAT, (1, 6))] for name in "xy"]
        graph = h.make_graph(nodes, "f", *ports, [onnx.numpy_helper.from_array(v, k) for k, v in scales.items()])
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), tmp_path / "f.onnx")
        assert [r for r in rules(qs.lint(tmp_path / "f.onnx")) if r != "not-read"] == expected


def test_the_command_prints_findings_and_writes_them(made, tmp_path, capsys):
    path = changed(made[0], tmp_path / "f.tflite", "bias", lambda b: np.full_like(b, -(2**31)))
    assert main(["lint", str(made[0])]) == 0
    assert main(["lint", str(path), "--json", str(tmp_path / "found.json")]) == 1
    text = capsys.readouterr().out
    assert "0 errors, 0 warnings" in text
    assert "error: bias-at-end: operator" in text
    first = json.loads((tmp_path / "found.json").read_text())["findings"][0]
    assert set(first) == {"rule", "where", "value"}
    assert set(first["rule"]) == {"name", "severity", "why", "advice"}


def test_what_is_no_question_is_refused(made):
    with pytest.raises(qs.SpecError, match="on inputs"):
        qs.lint(made[0], twin=made[1])
    with pytest.raises(qs.ShapeError, match="do not fit"):
        qs.lint(made[0], inputs=np.zeros((1, 3), int))
    with pytest.raises(qs.UnsupportedError, match="no such runtime semantics"):
        qs.lint(made[0], semantics="nobody")


def test_a_twin_with_other_layers_is_named(made):
    path, real, codes = made
    size = int(np.prod(real.inputs[0].shape))
    other = qs.real.Sequential(qs.real.Input((size,)), qs.real.Dense(np.zeros((size, 10))), qs.real.Dense(np.zeros((10, 7))))
    found = qs.lint(path, twin=other, inputs=codes[:5])
    assert rules(found).count("twin-unlike") + len(found.beside) == sum(isinstance(s.layer, qs.real.Dense) for s in real.stages)
    assert "twin-unlike" in rules(found)
