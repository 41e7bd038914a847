"""A chain of Keras layers in an .h5 or .keras file as a real network: every weight means exactly the number that is stored.

Source: the formats of Keras, https://keras.io/guides/serialization_and_saving. What is read is `keras_table`; `docs/readers.md` has it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from qspec.errors import FormatError, ModelFileError, NetworkError, ShapeError, UnsupportedError
from qspec.face import RealNetwork, RealSequential
from qspec.files.atomic import check_plain
from qspec.network.activations import Linear, Sigmoid
from qspec.network.real_layers import Activate, RealActivation, RealDense, RealInput, RealLayer, Softmax
from qspec.network.shapes import MAX_ELEMENTS
from qspec.readers.keras_config import Described, described, parsed, wholes
from qspec.readers.keras_layers import Arrays, LayerChain
from qspec.readers.keras_table import IDLE, LAYERS, VERSIONS
from qspec.readers.registry import Content, Reader
from qspec.support.optional import need

LARGEST = 1 << 30
"""Bytes of a part of a .keras file, unpacked, at most."""


@dataclass(frozen=True, slots=True)
class _File:
    """An open file: its architecture, if it has one, the version of Keras, the groups with weights, and the arrays of a layer."""

    architecture: str | None
    version: str
    names: tuple[str, ...]
    arrays: Callable[[Described], Arrays]


def read_keras(path: str | Path, *, hidden: RealActivation | None = None, logits: bool = False, round_roots: bool = False) -> RealNetwork:
    """Return the real network of an .h5 or .keras file with layers one after the other, saved whole or, in .h5, as weights alone.

    A file of weights does not say what its activations are: `hidden` states that of all layers but the last, which is then linear. With
    `logits` a sigmoid or softmax at the end is left out. Batch normalisation divides by a square root: where that is not rational,
    `round_roots` takes the nearest double of each factor. Raises ModelFileError if the file is damaged, UnsupportedError on layers and
    settings that are not read, by name, PackageMissingError without the package `h5py`.
    """
    check_plain(path, "a file of Keras")
    name = Path(path).name.split(".")[0]
    try:
        with _opened(path) as file:
            if file.architecture is None:
                return _weights_alone(file, path, hidden, logits, name)
            return _network(file, logits, round_roots, name)
    except (ModelFileError, UnsupportedError):
        raise
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of a Keras file do not fit", given=str(path), expected=f"a consistent network ({error.what}: {error.given})"
        ) from error
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError, OverflowError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            "cannot read the file", given=str(path), expected=f"an .h5 or .keras file of Keras ({type(error).__name__}: {error})"
        ) from None


@contextmanager
def _opened(path: str | Path) -> Generator[_File]:
    need("h5py", "keras", "reading Keras files")
    h5py = import_module("h5py")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            version = cast("dict[str, object]", json.loads(_member(archive, "metadata.json"))).get("keras_version", "")
            if _major(version) != "3":
                raise UnsupportedError(
                    "this version of Keras is not read", given=f".keras of {version}", expected=".keras of Keras 3, or .h5"
                )
            with h5py.File(BytesIO(_member(archive, "model.weights.h5")), "r") as weights:
                yield _keras_3(_member(archive, "config.json").decode(), weights)
    else:
        with h5py.File(path, "r") as file:
            yield _legacy(file)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ModelFileError("a part of the file is too large", given=name, expected=f"at most {LARGEST} bytes")
    return data


def _major(version: object) -> str:
    return _text(version).split(".")[0]


def _legacy(file: Any) -> _File:
    """Return an .h5 file: weights in groups called as their layers, and their names in an attribute."""
    weights, text = file.get("model_weights", file), file.attrs.get("model_config")
    version = file.attrs.get("keras_version", weights.attrs.get("keras_version"))
    if version is not None and _major(version) not in VERSIONS:
        raise UnsupportedError("this version of Keras is not read", given=_text(version), expected=f"{' or '.join(VERSIONS)}")

    def arrays(d: Described) -> Arrays:
        group = weights.get(d.name)
        found: dict[str, Any] = {}
        if group is None:
            return found
        names = [_text(n) for n in group.attrs["weight_names"]]
        for name in names:
            own = name.rsplit("/", 1)[-1].split(":")[0]
            own = "kernel" if own == "depthwise_kernel" else own
            if own in found or own not in LAYERS[d.kind].weights:
                raise _strange(d, names)
            if own != "count":
                found[own] = _array(group[name], name, weights)
        return found

    names = tuple(n for n in map(_text, weights.attrs["layer_names"]) if len(weights[n].attrs["weight_names"]))
    return _File(None if text is None else _text(text), "" if version is None else _major(version), names, arrays)


def _keras_3(text: str, weights: Any) -> _File:
    """Return a .keras file: layers are numbered for each class, arrays in the order in which the layer makes them."""
    met: Counter[str] = Counter()
    layers = weights.get("layers", {})
    filled = [str(n) for n in layers if len(layers[n].get("vars", ())) or set(layers[n]) - {"vars"}]

    def arrays(d: Described) -> Arrays:
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", d.kind)).lower()
        own = kind if not met[kind] else f"{kind}_{met[kind]}"
        met[kind] += 1
        group = layers.get(own)
        stored: Any = {} if group is None else group.get("vars", {})
        names = [str(n) for n in stored]
        told = _text(stored.attrs.get("name", d.name)) if names else d.name
        absent = {n for n, key in (("bias", "use_bias"), ("gamma", "scale"), ("beta", "center")) if d.settings.get(key) is False}
        expected = [n for n in LAYERS[d.kind].weights if n not in absent]
        if (names and (told != d.name or sorted(names) != [str(k) for k in range(len(expected))])) or (
            group is not None and set(group) - {"vars"}
        ):
            raise _strange(d, [told, *names])
        return {n: _array(stored[str(k)], n, weights) for k, n in enumerate(expected) if n != "count"} if names else {}

    return _File(text, "3", tuple(filled), arrays)


def _strange(d: Described, names: Sequence[str]) -> UnsupportedError:
    return UnsupportedError(
        f"the arrays of Keras layer {d.kind} are not read",
        given=f"{d.name!r} with {', '.join(names)}",
        expected=", ".join(LAYERS[d.kind].weights) or "no arrays",
    )


def _network(file: _File, logits: bool, round_roots: bool, name: str) -> RealNetwork:
    layers = described(parsed(cast(str, file.architecture)))
    names = [d.name for d in layers]
    found = [(d, file.arrays(d)) for d in layers]
    if len(set(names)) < len(names):
        raise ModelFileError("two layers have one name", given=", ".join(names), expected="distinct names")
    filled = [d.name for d, arrays in found if arrays]
    if len(filled) != len(file.names):
        raise ModelFileError("weights of other layers", given=", ".join(file.names), expected=f"those of {', '.join(filled) or 'none'}")
    if not any(d.kind != "InputLayer" and d.kind not in IDLE for d in layers):
        raise UnsupportedError("no layer in this file computes anything", given=name, expected="a chain of layers")
    chain = LayerChain(_input_shape(found), file.version, round_roots=round_roots)
    for k, (d, arrays) in enumerate(found):
        if d.kind == "InputLayer":
            if k:
                raise UnsupportedError("an input after the first layer is not read", given=d.name, expected="one input, first")
        elif _stated(d) - {chain.shape}:
            raise ModelFileError("a layer states another input", given=f"{d.name!r}: {list(_stated(d))}", expected=f"{chain.shape}")
        else:
            chain.add(d, arrays)
    chain.settle()
    return RealSequential(RealInput(chain.start), *(_without_end(chain.layers) if logits else chain.layers), name=name)


def _input_shape(layers: Sequence[tuple[Described, Arrays]]) -> tuple[int, ...]:
    """Return the shape that the first layer states, or is built for; else that of a vector for the first dense layer."""
    if not layers:
        raise UnsupportedError("a network without layers is not read", given="no layers", expected="a chain of layers")
    first = layers[0][0]
    shapes = _stated(first, [first.built])
    if len(shapes) > 1:
        raise ModelFileError("the input has two shapes", given=list(shapes), expected="one")
    if shapes:
        return shapes.pop()
    for d, arrays in layers:
        if arrays:
            kernel = arrays.get("kernel")
            if d.kind != "Dense" or kernel is None or kernel.ndim != 2:
                break
            return (int(kernel.shape[0]),)
    raise UnsupportedError(
        "the file does not state the shape of its input", given=first.name, expected="batch_shape, or a dense layer first"
    )


def _stated(d: Described, more: Sequence[object] = ()) -> set[tuple[int, ...]]:
    """Return the shapes of its input that a layer states, without the batch."""
    shapes: set[tuple[int, ...]] = set()
    for given in (d.settings.get("batch_shape"), d.settings.get("batch_input_shape"), *more):
        items = cast("list[object]", given) if isinstance(given, list) else []
        sizes = tuple(n for n in wholes(items[1:]) if n > 0)
        if given is not None and (len(sizes) < 1 or len(sizes) != len(items) - 1 or not (items[0] is None or isinstance(items[0], int))):
            raise UnsupportedError(
                "an input of this shape is not read", given=str(cast(object, given)), expected="a batch, and whole numbers"
            )
        if given is not None:
            shapes.add(sizes)
    return shapes


def _weights_alone(file: _File, path: str | Path, hidden: RealActivation | None, logits: bool, name: str) -> RealNetwork:
    if hidden is None and len(file.names) > 1:
        raise ModelFileError(
            "a file of weights does not say what its activations are",
            given=f"{path}, {len(file.names)} layers with weights",
            expected="the activation of the layers before the last",
            advice="qs.load(path, hidden=qs.ReLU())",
        )
    layers: list[RealDense] = []
    for k, own in enumerate(file.names):
        arrays = file.arrays(Described("Dense", own, {}))
        kernel = arrays.get("kernel")
        if kernel is None or kernel.ndim != 2:
            shapes = {n: array.shape for n, array in arrays.items()}
            raise UnsupportedError(
                "only dense layers are read from weights alone", given=f"{own!r} with {shapes}", expected="a kernel and a bias"
            )
        activation = Linear() if k == len(file.names) - 1 or hidden is None else hidden
        layers.append(RealDense(kernel, arrays.get("bias"), activation, own))
    if not layers:
        raise UnsupportedError("no dense layer in this file", given=str(path), expected="a sequential network of dense layers")
    start = RealInput((int(layers[0].kernel.shape[0]),))
    return RealSequential(start, *(_without_end(list(layers)) if logits else layers), name=name)


def _without_end(layers: list[RealLayer]) -> list[RealLayer]:
    last = layers[-1] if layers else None
    if isinstance(last, Activate) and isinstance(last.activation, Sigmoid | Softmax):
        return layers[:-1]
    if isinstance(last, RealDense) and isinstance(last.activation, Sigmoid | Softmax):
        return [*layers[:-1], replace(last, activation=Linear())]
    return layers


def _array(stored: Any, name: str, weights: Any) -> Any:
    inside = stored.file.id == weights.file.id and not stored.is_virtual and not stored.external
    if not inside or not 0 < stored.size <= MAX_ELEMENTS or stored.dtype.kind != "f" or stored.dtype.itemsize > 8:
        raise ModelFileError(
            "not an array of weights", given=f"{name}, {stored.dtype}, {stored.size} elements", expected="floats, inside the file"
        )
    return np.asarray(stored[()], dtype=np.float64)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _recognized(content: Content) -> bool:
    return content.head.startswith(b"\x89HDF\r\n\x1a\n") or {"config.json", "model.weights.h5"} <= {*content.members}


READER = Reader(format="Keras", suffixes=(".h5", ".hdf5", ".keras"), recognizes=_recognized, read=read_keras)
