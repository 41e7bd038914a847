"""A Keras file as it is stored: the text of its architecture, and the arrays of each layer, by a table of layers that are read."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from qspec.errors import FormatError, ModelFileError, NetworkError, QspecError, ShapeError, UnsupportedError
from qspec.network.shapes import MAX_ELEMENTS
from qspec.readers.keras_config import Described, Layers, wholes
from qspec.readers.keras_table import VERSIONS
from qspec.support.optional import need

Arrays = Mapping[str, Any]
UNUSED = ("count", "iteration")
"""Arrays that count steps of training."""
WHOLE = ("bits", "integers", "keep_negative")
"""Arrays of whole numbers, of quantisers; all others are floats."""
LARGEST = 1 << 30
"""Bytes of a part of a .keras file, unpacked, at most."""


@dataclass(frozen=True, slots=True)
class KerasFile:
    """An open file: its architecture, if it has one, the version of Keras, the groups with weights, and the arrays of a layer."""

    architecture: str | None
    version: str
    names: tuple[str, ...]
    arrays: Callable[[Described], Arrays]


class Chain(Protocol):
    """Layers one after the other, and the shape of what comes out of them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def add(self, d: Described, arrays: Arrays) -> None: ...


@contextmanager
def faults_named(path: str | Path, expected: str) -> Generator[None]:
    """Raise ModelFileError in the place of what a damaged file makes h5py, Python or the layers raise; `expected` is the kind of file."""
    try:
        yield
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of a Keras file do not fit", given=str(path), expected=f"a consistent network ({error.what}: {error.given})"
        ) from error
    except QspecError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError, OverflowError, zipfile.BadZipFile) as error:
        raise ModelFileError("cannot read the file", given=str(path), expected=f"{expected} ({type(error).__name__}: {error})") from None


@contextmanager
def opened(path: str | Path, layers: Layers) -> Generator[KerasFile]:
    """Open a file; `layers` says which arrays each kind of layer has."""
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
                yield _keras_3(_member(archive, "config.json").decode(), weights, layers)
    else:
        with h5py.File(path, "r") as file:
            yield _legacy(file, layers)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ModelFileError("a part of the file is too large", given=name, expected=f"at most {LARGEST} bytes")
    return data


def _major(version: object) -> str:
    return text_of(version).split(".")[0]


def _legacy(file: Any, layers: Layers) -> KerasFile:
    """Return an .h5 file: weights in groups called as their layers, and their names in an attribute."""
    weights, text = file.get("model_weights", file), file.attrs.get("model_config")
    version = file.attrs.get("keras_version", weights.attrs.get("keras_version"))
    if version is not None and _major(version) not in VERSIONS:
        raise UnsupportedError("this version of Keras is not read", given=text_of(version), expected=f"{' or '.join(VERSIONS)}")

    def arrays(d: Described) -> Arrays:
        group = weights.get(d.name)
        found: dict[str, Any] = {}
        if group is None:
            return found
        names = [text_of(n) for n in group.attrs["weight_names"]]
        for name in names:
            own = name.rsplit("/", 1)[-1].split(":")[0]
            own = "kernel" if own == "depthwise_kernel" else own
            if own in found or own not in layers[d.kind].weights:
                raise _strange(d, names, layers)
            if own not in UNUSED:
                found[own] = stored_array(group[name], name, weights)
        return found

    names = tuple(n for n in map(text_of, weights.attrs["layer_names"]) if len(weights[n].attrs["weight_names"]))
    return KerasFile(None if text is None else text_of(text), "" if version is None else _major(version), names, arrays)


def _keras_3(text: str, weights: Any, kinds: Layers) -> KerasFile:
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
        told = text_of(stored.attrs.get("name", d.name)) if names else d.name
        absent = {n for n, key in (("bias", "use_bias"), ("gamma", "scale"), ("beta", "center")) if d.settings.get(key) is False}
        expected = [n for n in kinds[d.kind].weights if n not in absent]
        if (names and (told != d.name or sorted(names) != [str(k) for k in range(len(expected))])) or (
            group is not None and set(group) - {"vars"}
        ):
            raise _strange(d, [told, *names], kinds)
        return {n: stored_array(stored[str(k)], n, weights) for k, n in enumerate(expected) if n not in UNUSED} if names else {}

    return KerasFile(text, "3", tuple(filled), arrays)


def _strange(d: Described, names: Sequence[str], layers: Layers) -> UnsupportedError:
    return UnsupportedError(
        f"the arrays of Keras layer {d.kind} are not read",
        given=f"{d.name!r} with {', '.join(names)}",
        expected=", ".join(layers[d.kind].weights) or "no arrays",
    )


def stored_layers(file: KerasFile, layers: Sequence[Described]) -> list[tuple[Described, Arrays]]:
    """Return each layer with its arrays; raises ModelFileError if names repeat, or if the file has arrays of other layers."""
    names = [d.name for d in layers]
    if len(set(names)) < len(names):
        raise ModelFileError("two layers have one name", given=", ".join(names), expected="distinct names")
    found = [(d, file.arrays(d)) for d in layers]
    filled = [d.name for d, arrays in found if arrays]
    if len(filled) != len(file.names):
        raise ModelFileError("weights of other layers", given=", ".join(file.names), expected=f"those of {', '.join(filled) or 'none'}")
    return found


def put_on(chain: Chain, layers: Sequence[tuple[Described, Arrays]]) -> None:
    """Put layers on a chain; raises ModelFileError if one states another input than it gets."""
    for k, (d, arrays) in enumerate(layers):
        if d.kind == "InputLayer":
            if k:
                raise UnsupportedError("an input after the first layer is not read", given=d.name, expected="one input, first")
        elif stated_shapes(d) - {chain.shape}:
            raise ModelFileError("a layer states another input", given=f"{d.name!r}: {list(stated_shapes(d))}", expected=f"{chain.shape}")
        else:
            chain.add(d, arrays)


def input_shape(layers: Sequence[tuple[Described, Arrays]]) -> tuple[int, ...]:
    """Return the shape that the first layer states, or is built for; else that of a vector for the first dense layer."""
    if not layers:
        raise UnsupportedError("a network without layers is not read", given="no layers", expected="a chain of layers")
    first = layers[0][0]
    shapes = stated_shapes(first, [first.built])
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


def stated_shapes(d: Described, more: Sequence[object] = ()) -> set[tuple[int, ...]]:
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


def stored_array(stored: Any, name: str, weights: Any) -> Any:
    inside = stored.file.id == weights.file.id and not stored.is_virtual and not stored.external
    kinds = "iu" if name.rsplit("/", 1)[-1].split(":")[0] in WHOLE else "f"
    if not inside or not 0 < stored.size <= MAX_ELEMENTS or stored.dtype.kind not in kinds or stored.dtype.itemsize > 8:
        raise ModelFileError(
            "not an array of weights", given=f"{name}, {stored.dtype}, {stored.size} elements", expected="numbers, inside the file"
        )
    return np.asarray(stored[()], dtype=np.float64)


def text_of(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
