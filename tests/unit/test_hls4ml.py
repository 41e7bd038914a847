"""Projects of hls4ml: equal to their compiled simulation, refused by name.

The digests are those of what `g++` made of the same projects (`tests/benchmarks/hls4ml_projects.py` compiles them anew and compares).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError, UnsupportedError
from qspec.lowering.evaluate import trace
from qspec.network.layers import Input
from qspec.semantics.fixed import evaluate
from tests.unit.hls4ml_projects import project

SIMULATED = {
    ("dense", "default"): "63f13c342ddf7f3b",
    ("dense", "exact"): "05f67ddfbe6c40b8",
    ("normalized", "default"): "460c42c82990f830",
    ("normalized", "exact"): "8cef45c97b38c599",
    ("image", "exact"): "35e16879b2e96f51",
}


def inputs(net: qs.Network, samples: int = 500) -> np.ndarray:
    """Return codes of the input: the first half normal numbers, the others uniform."""
    layer, random = net.inputs[0].layer, np.random.default_rng(0)
    assert isinstance(layer, Input)
    fmt = layer.format
    assert isinstance(fmt, qs.Fixed)
    codes = random.integers(fmt.lower, fmt.upper + 1, (samples, net.inputs[0].type.size))
    codes[: samples // 2] = np.clip(np.rint(random.normal(0, 2.0**fmt.frac, (samples // 2, codes.shape[1]))), fmt.lower, fmt.upper)
    return codes


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()[:16]


def outputs(net: qs.Network, codes: np.ndarray) -> np.ndarray:
    """Return the values of the outputs, flat."""
    found = trace(net, {net.inputs[0].name: codes})[net.stages[net.outputs[0]].name]
    return found.reshape(len(codes), -1) * np.array([float(u) for u in net.output_types[0].grid.units])


@pytest.mark.parametrize(("kind", "precision"), SIMULATED)
def test_values_are_those_of_the_simulation(kind, precision, tmp_path):
    net = qs.load(project(tmp_path, kind, precision, 0))
    assert net.semantics == "hls4ml"
    codes = inputs(net)
    assert digest(outputs(net, codes)) == SIMULATED[kind, precision]
    for row in codes[:2]:  # the second semantics says the same of every layer
        first = trace(net, {"x": row[None]})
        assert all(np.array_equal(taps.output.codes.reshape(-1), first[name][0].reshape(-1)) for name, taps in evaluate(net, [row]).items())


def test_products_that_lose_bits_are_rounded_one_by_one(tmp_path):
    net = qs.load(project(tmp_path, "dense", "default", 0))
    assert [s.name for s in net.stages] == ["x", "layer2_out_products", "layer2_out", "layer4_out", "layer5_out_products", "layer5_out"]
    net = qs.load(project(tmp_path / "exact", "dense", "exact", 0))
    assert not any(s.name.endswith("products") for s in net.stages)


def change(source: Path, name: str, old: str, new: str) -> Path:
    """Change a file of a project."""
    place = source if name == "source" else source.parent / name
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    return source


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("source", "nnet::relu<", "nnet::selu<", "a layer that is not read"),
        ("defines.h", "typedef ap_fixed<24,10> a_accum_t", "typedef ap_fixed<12,2,AP_TRN,AP_SAT,0> a_accum_t", "saturates within its sum"),
        ("defines.h", "typedef ap_fixed<6,2> a_weight_t", "typedef ac_fixed<6,2,true> a_weight_t", "type of hls4ml"),
        (
            "defines.h",
            "typedef ap_fixed<6,2> a_weight_t",
            "typedef ap_fixed<6,2,AP_TRN,AP_SAT,1> a_weight_t",
            "a type of hls4ml that is not read",
        ),
        ("parameters.h", "nnet::product::mult<", "nnet::product::weight_binary<", "a product that is not read"),
        ("parameters.h", "struct config2 ", "struct another ", "settings of a layer"),
        ("parameters.h", "strategy = nnet::latency", "strategy = nnet::resource", "a strategy that is not read"),
        ("weights/w2.txt", ",", ";", "no numbers"),
        ("source", "[5],", "*,", "a port of hls4ml that is not read"),
    ],
)
def test_refusals_name_what_is_not_read(name, old, new, said, tmp_path):
    source = project(tmp_path, "dense", "exact", 0)
    with pytest.raises((UnsupportedError, ModelFileError), match=said):
        qs.load(change(source, name, old, new))


def test_a_convolution_that_loses_bits_is_refused(tmp_path):
    with pytest.raises(qs.UnsupportedError, match="drops bits of products"):
        qs.load(project(tmp_path, "image", "default", 0))


def test_missing_files_are_said(tmp_path):
    source = project(tmp_path, "dense", "exact", 0)
    (source.parent / "parameters.h").unlink()
    with pytest.raises(qs.ModelFileError, match=r"parameters\.h"):
        qs.load(source)
    (tmp_path / "other.cpp").write_text("int main() {}")
    with pytest.raises(qs.ModelFileError, match="not the source of an hls4ml project"):
        qs.load(tmp_path / "other.cpp")


def test_files_of_qkeras_and_hgq_without_the_circuit_must_say_every_number(tmp_path):
    for kind, missing in (("QDense", r"which values its input takes(.|\n)*QDense 'q'"), ("FixedPointQuantizer", "without arrays: 'q'")):
        layers = [{"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 2]}}]
        layers.append({"class_name": kind, "config": {"name": "q"}})
        with h5py.File(tmp_path / "net.h5", "w") as file:
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})
            file.attrs["keras_version"] = "2.9.0"
            file.create_group("model_weights").attrs["layer_names"] = ["q"]
            file.create_group("model_weights/q").attrs["weight_names"] = np.array([], dtype="S1")
        with pytest.raises((UnsupportedError, ModelFileError), match=missing):
            qs.load(tmp_path / "net.h5")
