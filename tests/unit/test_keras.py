"""Keras files: networks mean what is stored, exactly; damaged and foreign files are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.keras import read_keras

h5py = pytest.importorskip("h5py")
Layers = list[tuple[str, dict[str, Any], list[tuple[str, Any]]]]


def write(path: Path, layers: Layers, *, config: bool = True, kind: str = "Sequential") -> Path:
    """Write a file as Keras does: weights in groups, and the architecture as JSON if asked."""
    with h5py.File(path, "w") as file:
        top = file.create_group("model_weights") if config else file
        top.attrs["layer_names"] = [settings["name"].encode() for _, settings, _ in layers]
        for _, settings, weights in layers:
            group = top.create_group(settings["name"])
            group.attrs["weight_names"] = [f"{settings['name']}/{name}:0".encode() for name, _ in weights]
            for name, values in weights:
                group[f"{settings['name']}/{name}:0"] = values
        if config:
            described = [{"class_name": c, "config": settings} for c, settings, _ in layers]
            file.attrs["model_config"] = json.dumps({"class_name": kind, "config": {"name": "s", "layers": described}})
    return path


def dense(
    name: str, inputs: int, outputs: int, activation: str = "relu", seed: int = 0
) -> tuple[str, dict[str, Any], list[tuple[str, Any]]]:
    rng = np.random.default_rng(seed)
    weights = [("kernel", rng.normal(size=(inputs, outputs)).astype(np.float32)), ("bias", rng.normal(size=outputs).astype(np.float32))]
    return "Dense", {"name": name, "units": outputs, "activation": activation}, weights


def two() -> Layers:
    return [dense("a", 3, 4), ("Dropout", {"name": "d", "rate": 0.5}, []), dense("b", 4, 1, "sigmoid", 1)]


def test_a_network_is_read_exactly(tmp_path: Path) -> None:
    layers = two()
    net = read_keras(write(tmp_path / "net.h5", layers), logits=True)
    (k1, b1), (k2, b2) = ([w.astype(np.float64) for _, w in layers[n][2]] for n in (0, 2))
    x = np.array([0.5, -1.25, 2.0])
    exact = np.maximum(x @ k1 + b1, 0) @ k2 + b2
    assert net.name == "net"
    assert [s.shape for s in net.stages] == [(3,), (4,), (1,)]
    assert np.allclose(net.evaluate(x), exact, rtol=1e-14)
    stored = net.stages[1].layer
    assert isinstance(stored, qs.real.Dense)
    assert np.array_equal(stored.kernel, k1)  # the very float32 numbers


def test_the_sigmoid_at_the_end_stays_unless_logits_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "net.h5", two())
    last = [read_keras(path, logits=logits).stages[-1].layer for logits in (False, True)]
    assert [type(layer.activation) for layer in last if isinstance(layer, qs.real.Dense)] == [qs.Sigmoid, qs.Linear]


def test_layers_of_activations_and_flattening_are_read(tmp_path: Path) -> None:
    layers: Layers = [
        ("Flatten", {"name": "f"}, []),
        dense("a", 2, 2, "linear"),
        ("ReLU", {"name": "r", "max_value": None}, []),
        dense("b", 2, 2, "linear", 1),
        ("Softmax", {"name": "s"}, []),
    ]
    net = read_keras(write(tmp_path / "net.h5", layers), logits=True)
    assert [type(s.layer) for s in net.stages] == [qs.real.Input, qs.real.Dense, qs.real.Activate, qs.real.Dense]


def test_a_file_of_weights_needs_to_be_told_its_activation(tmp_path: Path) -> None:
    path = write(tmp_path / "weights.h5", [dense("a", 3, 4), ("Dropout", {"name": "d"}, []), dense("b", 4, 2)], config=False)
    with pytest.raises(ModelFileError, match=r"does not say(.|\n)*hidden=qs\.ReLU"):
        read_keras(path)
    activations = [s.layer.activation for s in read_keras(path, hidden=qs.Tanh()).stages if isinstance(s.layer, qs.real.Dense)]
    assert [type(a) for a in activations] == [qs.Tanh, qs.Linear]


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    a = dense("a", 3, 4)
    kernel = ("kernel", np.zeros((2, 2, 1, 1), np.float32))
    refused: list[tuple[Layers, str, str]] = [
        ([("Conv1D", {"name": "c", "activation": "relu"}, [])], "Sequential", "Conv1D"),
        ([("Conv2D", {"name": "c", "activation": "relu"}, [kernel])], "Sequential", "shape of its input"),
        ([a, ("Dense", {"name": "c", "activation": "swish"}, [])], "Sequential", "swish"),
        ([a, ("ReLU", {"name": "c", "max_value": -6.0}, [])], "Sequential", "max_value"),
        ([("Dense", {"name": "c", "activation": "relu"}, [kernel])], "Sequential", "shape of its input"),
        ([("Dropout", {"name": "c"}, [])], "Sequential", "no layer in this file"),
        ([a], "Subclass", "Subclass"),
    ]
    for k, (layers, kind, told) in enumerate(refused):
        with pytest.raises(UnsupportedError, match=told):
            read_keras(write(tmp_path / f"{k}.h5", layers, kind=kind))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.h5", two()).read_bytes()
    texts = {"empty": b"", "cut": whole[: len(whole) // 2], "text": b"not a file", "header": whole[:64] + bytes(len(whole) - 64)}
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelFileError, match=name):
            read_keras(tmp_path / name)
    with pytest.raises(ModelFileError, match="cannot read"):
        read_keras(tmp_path / "absent.h5")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kernel": np.full((4, 1), np.nan, np.float32)}, "do not fit"),
        ({"kernel": np.zeros((5, 1), np.float32)}, "do not fit"),
        ({"bias": np.zeros(2, np.float32)}, "do not fit"),
        ({"kernel": np.zeros((4, 1), np.int32)}, "not an array of weights"),
    ],
)
def test_numbers_that_make_no_network_are_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    layers = two()
    kind, settings, weights = layers[2]
    layers[2] = kind, settings, [(name, change.get(name, values)) for name, values in weights]
    with pytest.raises(ModelFileError, match=told):
        read_keras(write(tmp_path / "net.h5", layers))


def test_weights_outside_the_file_are_not_followed(tmp_path: Path) -> None:
    other = write(tmp_path / "other.h5", two())
    path = write(tmp_path / "net.h5", two())
    with h5py.File(path, "a") as file:
        group = file["model_weights"]["a"]["a"]
        del group["kernel:0"]
        group["kernel:0"] = h5py.ExternalLink(str(other), "/model_weights/a/a/kernel:0")
    with pytest.raises(ModelFileError, match="inside the file"):
        read_keras(path)


@pytest.mark.data
def test_published_networks_are_read(data: Path) -> None:
    shapes = {"adult/AC-1": [13, 16, 8, 1], "bank/BM-6": [16, 9, 9, 1], "compas/compas-1": [6, 16, 8, 1]}
    for name, expected in shapes.items():
        assert [s.size for s in read_keras(data / "fairness_nets" / f"{name}.h5").stages] == expected
    weights = read_keras(data / "qebverif/PTQ_mnist_1blk_100_in_8_relu_0.h5", hidden=qs.ReLU())
    assert [s.size for s in weights.stages] == [784, 100, 10]
