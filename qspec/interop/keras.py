"""A sequential network of dense layers in a Keras .h5 file as a real network: every weight means exactly the number that is stored.

Source: the legacy HDF5 format of Keras, https://keras.io/guides/serialization_and_saving.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from qspec.errors import FormatError, ModelFileError, NetworkError, ShapeError, SolverMissingError, UnsupportedError
from qspec.network.activations import Linear, ReLU, Sigmoid, Tanh
from qspec.network.layers import MAX_ELEMENTS, Flatten
from qspec.network.real import RealNetwork, RealSequential
from qspec.network.real_layers import Activate, Exp, RealActivation, RealDense, RealInput, RealLayer, Softmax, Softplus

ACTIVATIONS: Mapping[str, Callable[[], RealActivation]] = {
    "linear": Linear,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
    "softplus": Softplus,
    "exponential": Exp,
}
IDLE = ("InputLayer", "Dropout", "GaussianNoise", "GaussianDropout", "ActivityRegularization")
"""Layers that do nothing when a trained network is evaluated."""


@dataclass(frozen=True, slots=True)
class _Described:
    """A layer as the file describes it; no activation where it says none."""

    kind: str
    name: str
    activation: RealActivation | None = None


def read_keras(path: str | Path, *, hidden: RealActivation | None = None, logits: bool = False) -> RealNetwork:
    """Return the real network of an .h5 file with a sequential network of dense layers, saved whole or as weights alone.

    A file of weights does not say what its activations are: `hidden` states that of all layers but the last, which is then linear. With
    `logits` a sigmoid or softmax at the end is left out. Raises ModelFileError if the file is damaged, UnsupportedError on layers that are
    not read, by name, SolverMissingError without the package `h5py`.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            return _network(file, path, hidden, logits)
    except (ModelFileError, UnsupportedError):
        raise
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of a Keras file do not fit", given=str(path), expected=f"a consistent network ({error.what}: {error.given})"
        ) from error
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelFileError(
            "cannot read the file", given=str(path), expected=f"an .h5 file of Keras ({type(error).__name__}: {error})"
        ) from None


def _h5py() -> Any:
    try:
        return import_module("h5py")
    except ImportError:
        raise SolverMissingError("Keras files need the package h5py", given="not installed", advice="pip install 'qspec[keras]'") from None


def _network(file: Any, path: str | Path, hidden: RealActivation | None, logits: bool) -> RealNetwork:
    weights = file.get("model_weights", file)
    described = list(_described(file, weights, path, hidden))
    layers: list[RealLayer] = []
    for d in described:
        match d.kind:
            case "Dense":
                kernel, bias = _parameters(weights, d.name)
                layers.append(RealDense(kernel, bias, d.activation or Linear(), d.name))
            case "Flatten":
                layers.append(Flatten())
            case _:
                layers.append(Activate(d.activation or Linear()))
    dense = [layer for layer in layers if isinstance(layer, RealDense)]
    if not dense:
        raise UnsupportedError("no dense layer in this file", given=str(path), expected="a sequential network of dense layers")
    layers = layers[layers.index(dense[0]) :]  # what comes before the first dense layer makes the input flat
    if logits:
        layers = _without_end(layers)
    return RealSequential(RealInput((dense[0].kernel.shape[0],)), *layers, name=Path(path).name.split(".")[0])


def _without_end(layers: list[RealLayer]) -> list[RealLayer]:
    last = layers[-1]
    if isinstance(last, Activate) and isinstance(last.activation, Sigmoid | Softmax):
        return layers[:-1]
    if isinstance(last, RealDense) and isinstance(last.activation, Sigmoid | Softmax):
        return [*layers[:-1], replace(last, activation=Linear())]
    return layers


def _described(file: Any, weights: Any, path: str | Path, hidden: RealActivation | None) -> Iterator[_Described]:
    """Yield the layers that count, in order."""
    text = file.attrs.get("model_config")
    if text is not None:
        yield from _configured(json.loads(_text(text)))
        return
    names = [_text(n) for n in weights.attrs["layer_names"] if len(weights[_text(n)].attrs["weight_names"])]
    if hidden is None and len(names) > 1:
        raise ModelFileError(
            "a file of weights does not say what its activations are",
            given=f"{path}, {len(names)} layers with weights",
            expected="the activation of the layers before the last",
            advice="read_keras(path, hidden=qs.ReLU())",
        )
    for k, name in enumerate(names):
        yield _Described("Dense", name, Linear() if k == len(names) - 1 else hidden)


def _configured(config: Mapping[str, Any]) -> Iterator[_Described]:
    if config["class_name"] != "Sequential":
        raise UnsupportedError("this Keras network is not read", given=config["class_name"], expected="Sequential")
    inner = config["config"]
    layers = cast("Sequence[Mapping[str, Any]]", inner["layers"] if isinstance(inner, dict) else inner)
    for layer in layers:
        kind, settings = str(layer["class_name"]), cast("Mapping[str, Any]", layer["config"])
        match kind:
            case "Dense" | "Activation":
                yield _Described(kind, str(settings["name"]), _activation(settings["activation"], str(settings["name"])))
            case "ReLU":
                if any(settings.get(k) for k in ("max_value", "negative_slope", "threshold")):
                    raise UnsupportedError("a ReLU with settings is not read", given=dict(settings), expected="a plain ReLU")
                yield _Described(kind, str(settings["name"]), ReLU())
            case "Softmax":
                yield _Described(kind, str(settings["name"]), Softmax())
            case "Flatten":
                yield _Described(kind, str(settings["name"]))
            case _ if kind in IDLE:
                pass
            case _:
                expected = ", ".join(("Dense", "Activation", "ReLU", "Softmax", "Flatten", *IDLE))
                raise UnsupportedError(f"Keras layer {kind} is not read", given=str(settings.get("name", "")), expected=expected)


def _activation(name: object, layer: str) -> RealActivation:
    made = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if made is None:
        raise UnsupportedError("this activation is not read", given=f"{name!r} of layer {layer!r}", expected=", ".join(ACTIVATIONS))
    return made()


def _parameters(weights: Any, layer: str) -> tuple[Any, Any]:
    """Return kernel and bias (or None) of a dense layer as doubles, which hold what is stored exactly."""
    group = weights[layer]
    found: dict[str, Any] = {}
    for name in (_text(n) for n in group.attrs["weight_names"]):
        found[name.rsplit("/", 1)[-1].split(":")[0]] = _array(group[name], name, weights)
    if "kernel" not in found or set(found) - {"kernel", "bias"} or found["kernel"].ndim != 2:
        shapes = {name: array.shape for name, array in found.items()}
        raise UnsupportedError(
            "only dense layers are read", given=f"{layer!r} with {shapes}", expected="a kernel (inputs, outputs) and a bias"
        )
    return found["kernel"], found.get("bias")


def _array(stored: Any, name: str, weights: Any) -> Any:
    inside = stored.file.id == weights.file.id and not stored.is_virtual and not stored.external
    if not inside or not 0 < stored.size <= MAX_ELEMENTS or stored.dtype.kind != "f" or stored.dtype.itemsize > 8:
        raise ModelFileError(
            "not an array of weights", given=f"{name}, {stored.dtype}, {stored.size} elements", expected="floats, inside the file"
        )
    return np.asarray(stored[()], dtype=np.float64)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
