"""Small projects, written by hls4ml itself from Keras configurations, and a simulation of them that is compiled with g++."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hls4ml.converters.keras_v2_to_hls import keras_v2_to_hls

Random = np.random.Generator


def _layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def _dense(name: str, units: int) -> dict[str, Any]:
    return _layer("Dense", name, units=units, activation="linear", use_bias=True)


def _conv(name: str, filters: int, padding: str, stride: int) -> dict[str, Any]:
    window = {"kernel_size": [3, 3], "strides": [stride, stride], "padding": padding, "data_format": "channels_last"}
    return _layer("Conv2D", name, filters=filters, activation="linear", use_bias=True, dilation_rate=[1, 1], groups=1, **window)


def dense(random: Random) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]], tuple[int, ...]]:
    """Return two dense layers with a ReLU between them."""
    weights = {"a": [random.normal(0, 0.7, (5, 6)), random.normal(0, 1, 6)], "b": [random.normal(0, 0.7, (6, 3)), random.normal(0, 1, 3)]}
    return [_dense("a", 6), _layer("Activation", "r", activation="relu"), _dense("b", 3)], weights, (5,)


def normalized(random: Random) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]], tuple[int, ...]]:
    """Return a dense layer, a ReLU, a batch normalisation that stays a layer of its own, and a dense layer."""
    norm = [random.normal(1, 0.5, 4), random.normal(0, 1, 4), random.normal(0, 1, 4), random.uniform(0.5, 2, 4)]
    layers = [
        _dense("a", 4),
        _layer("Activation", "r", activation="relu"),
        _layer("BatchNormalization", "n", axis=[1], epsilon=0.001, center=True, scale=True, momentum=0.99),
        _dense("b", 3),
    ]
    return (
        layers,
        {"a": [random.normal(0, 1, (3, 4)), random.normal(0, 1, 4)], "n": norm, "b": [random.normal(0, 1, (4, 3)), np.ones(3)]},
        (3,),
    )


def image(random: Random) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]], tuple[int, ...]]:
    """Return two convolutions (one with a border of zeros), a maximum pool, and a dense layer."""
    pool = _layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2], padding="valid", data_format="channels_last")
    layers = [_conv("a", 3, "same", 1), _layer("Activation", "r", activation="relu"), pool, _conv("b", 2, "valid", 1)]
    layers += [_layer("Flatten", "f", data_format="channels_last"), _dense("c", 3)]
    weights = {"a": [random.normal(0, 0.5, (3, 3, 2, 3)), random.normal(0, 1, 3)], "b": [random.normal(0, 0.5, (3, 3, 3, 2)), np.zeros(2)]}
    return layers, weights | {"c": [random.normal(0, 0.7, (2, 3)), random.normal(0, 1, 3)]}, (6, 6, 2)


KINDS = {"dense": dense, "normalized": normalized, "image": image}
NAMES = {2: ("kernel:0", "bias:0"), 4: ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")}
WIDE, NARROW = "fixed<8,3>", "fixed<16,6>"
ROOMY = {"weight": "fixed<6,2>", "bias": "fixed<6,2>", "accum": "fixed<24,10>", "result": "fixed<9,4,AP_RND_CONV,AP_SAT>"}
PRECISIONS: Mapping[str, Mapping[str, Any]] = {
    "default": {"Model": {"Precision": NARROW, "ReuseFactor": 1, "Strategy": "Latency"}},
    "exact": {
        "Model": {"Precision": {"default": WIDE, "maximum": "fixed<32,16>"}, "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {name: {"Precision": ROOMY} for name in "abc"},
    },
}
"""Every type the same, so that products lose bits and sums wrap; and types of layers with accumulators that hold every sum."""


def project(folder: Path, kind: str, precision: str, seed: int) -> Path:
    """Let hls4ml write a project; returns its source."""
    layers, weights, shape = KINDS[kind](np.random.default_rng(seed))
    first = _layer("InputLayer", "x", batch_input_shape=[None, *shape], sparse=False, ragged=False)
    stated = {"keras_version": "2.9.0", "backend": "tensorflow"}
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": [first, *layers]}, **stated}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.json").write_text(json.dumps(config))
    with h5py.File(folder / "net.h5", "w") as file:
        for name, arrays in weights.items():
            for label, array in zip(NAMES[len(arrays)], arrays, strict=True):
                file.create_dataset(f"{name}/{name}/{label}", data=array.astype(np.float32))
    chosen = json.loads(json.dumps(PRECISIONS[precision]))
    if "LayerName" in chosen:
        chosen["LayerName"] = {k: v for k, v in chosen["LayerName"].items() if k in weights}
    settings = {"OutputDir": str(folder / "project"), "ProjectName": "net", "Backend": "Vitis", "Part": "xcvu13p", "ClockPeriod": 5}
    files = {"KerasJson": str(folder / "net.json"), "KerasH5": str(folder / "net.h5")}
    made = keras_v2_to_hls({**settings, **files, "IOType": "io_parallel", "HLSConfig": chosen})
    made.write()
    return folder / "project" / "firmware" / "net.cpp"


def simulated(source: Path, values: np.ndarray, outputs: int) -> np.ndarray:
    """Compile a project and run it on doubles of shape (samples, inputs)."""
    root = source.parents[1]
    subprocess.run(["bash", "build_lib.sh"], cwd=root, check=True, capture_output=True)
    library = ctypes.CDLL(str(next((root / "firmware").glob("*.so"))))
    found = np.zeros((len(values), outputs))
    pointer = ctypes.POINTER(ctypes.c_double)
    for k, row in enumerate(np.ascontiguousarray(values, dtype=np.float64)):
        getattr(library, f"{source.stem}_double")(row.ctypes.data_as(pointer), found[k].ctypes.data_as(pointer))
    return found
