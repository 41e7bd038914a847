"""The architecture in a Keras file, as JSON: the layers of a chain in the order in which they are applied, with checked settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NoReturn, cast

from qspec.arithmetic.integers import rational
from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.keras_table import DTYPES, IDLE_ENDS, IDLE_KEYS, KerasLayer, keys

Settings = Mapping[str, object]
Layers = Mapping[str, KerasLayer]
BUILTIN = ("keras", "tf_keras", "tensorflow")
"""Modules of Keras' own classes."""
SEQUENTIAL = {"name", "trainable", "dtype", "layers", "build_input_shape"}
FUNCTIONAL = {"name", "trainable", "dtype", "layers", "input_layers", "output_layers"}
LAYER = {"class_name", "config", "module", "registered_name", "build_config", "name", "inbound_nodes", "shared_object_id"}


@dataclass(frozen=True, slots=True)
class Described:
    """A layer as the file describes it; `built` is the shape of its input, with the batch, where the file says it."""

    kind: str
    name: str
    settings: Settings
    built: object = None

    def refuse(self, key: str, expected: str) -> UnsupportedError:
        """Return the error that the value of a key is not read."""
        return UnsupportedError(
            f"a setting of Keras layer {self.kind} is not read",
            given=f"{key}={self.settings.get(key)!r} of layer {self.name!r}",
            expected=expected,
        )

    def expect_last_axis(self, rank: int) -> None:
        """Raise UnsupportedError unless the layer works along the last of so many axes, the batch not counted."""
        given = self.settings.get("axis", -1)
        items = cast("list[object]", given) if isinstance(given, list) else [given]
        axis = items[0] if len(items) == 1 else None
        if isinstance(axis, bool) or axis not in (-1, rank):
            raise self.refuse("axis", f"the last one, -1 or {rank}")

    def expect_stated(self, key: str, found: int | tuple[int, ...]) -> None:
        """Raise UnsupportedError if a setting contradicts the arrays."""
        value = self.settings.get(key)
        many = (value,) * len(found) if isinstance(found, tuple) else value
        stated = tuple(cast("list[object]", value)) if isinstance(value, list) else many
        if value is not None and (stated != found or isinstance(value, bool)):
            raise self.refuse(key, f"{found}, as the arrays are")

    def whole(self, key: str, default: int) -> int:
        """Return a setting that is a whole number of at least 1."""
        value = self.settings.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise self.refuse(key, "a whole number")
        return default if value is None else value

    def pair(self, key: str, default: tuple[int, int]) -> tuple[int, int]:
        """Return a setting that is one or two whole numbers of at least 1."""
        value = self.settings.get(key)
        if value is None:
            return default
        items = cast("list[object]", value) if isinstance(value, list) else [value, value]
        whole = [v for v in wholes(items) if v >= 1]
        if len(whole) != 2 or len(items) != 2:
            raise self.refuse(key, "one or two whole numbers")
        return whole[0], whole[1]

    def target_shape(self, size: int) -> tuple[int, ...]:
        """Return the shape that a Reshape makes of so many elements."""
        target = self.settings.get("target_shape")
        given = cast("list[object]", target) if isinstance(target, list) else []
        sizes = wholes(given)
        if sizes.count(-1) == 1 and 0 < -prod(sizes) <= size:
            sizes[sizes.index(-1)] = size // -prod(sizes)
        if len(sizes) != len(given) or not sizes or min(sizes) < 1 or prod(sizes) != size:
            raise self.refuse("target_shape", f"whole numbers, {size} elements")
        return tuple(sizes)


def parsed(text: str) -> object:
    """Return JSON, with decimals as exact ratios; raises ValueError if it is malformed or too deep."""
    try:
        return json.loads(text, parse_float=rational, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the architecture is nested too deep") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def described(content: object, layers: Layers, modules: Sequence[str] = BUILTIN) -> list[Described]:
    """Return the layers of a sequential network, or of a functional one that is a chain, each with keys and values that are read.

    `layers` is the table of what is read, `modules` are those whose classes may have these names. Raises UnsupportedError, by name, on
    anything else.
    """
    whole = _mapping(content, "a network")
    kind, config = str(whole.get("class_name")), whole.get("config")
    _builtin(whole, kind, modules)
    if kind == "Sequential":
        inner: Settings = {"layers": cast("list[object]", config)} if isinstance(config, list) else _mapping(config, kind)
        _known(inner, SEQUENTIAL, kind)
        found = [_layer(item, layers, modules) for item in _items(inner.get("layers"), "layers")]
        if found and found[0].built is None and inner.get("build_input_shape") is not None:
            first = found[0]
            found[0] = Described(first.kind, first.name, first.settings, inner["build_input_shape"])
    elif kind in ("Functional", "Model"):
        inner = _mapping(config, kind)
        _known(inner, FUNCTIONAL, kind)
        found = [_layer(item, layers, modules) for item in _chain(inner)]
    else:
        raise UnsupportedError("this Keras network is not read", given=kind, expected="Sequential, or Functional that is a chain of layers")
    _dtype(inner, kind)
    for d in found:
        _check(d, layers)
    return found


def _layer(content: object, layers: Layers, modules: Sequence[str]) -> Described:
    whole = _mapping(content, "a layer")
    kind, settings = str(whole.get("class_name")), _mapping(whole.get("config"), "a layer")
    name = str(settings.get("name", ""))
    if kind not in layers:
        quantised = kind == "FixedPointQuantizer" or (kind[:1] == "Q" and kind[1:2].isupper())  # HGQ and QKeras
        advice = "convert it with hls4ml, and load its firmware/<project>.cpp: a circuit has types that this file does not state"
        raise UnsupportedError(
            f"Keras layer {kind} is not read", given=name, expected=", ".join(layers), advice=advice if quantised else ""
        )
    _known(whole, LAYER, kind)
    _builtin(whole, kind, modules)
    built = whole.get("build_config")
    return Described(kind, name, settings, _keys(built).get("input_shape"))


def _check(d: Described, layers: Layers) -> None:
    """Raise UnsupportedError on a key that the table does not have, or a value that it does not take."""
    layer = layers[d.kind]
    taken = keys(layer)
    for key, value in d.settings.items():
        if key == "dtype":
            _dtype(d.settings, f"{d.kind} {d.name!r}")
        elif key in taken:
            values = taken[key]
            if isinstance(values, tuple) and not any(type(value) is type(v) and value == v for v in values):
                raise d.refuse(key, " or ".join(map(str, values)))
        elif not (key in IDLE_KEYS or key in layer.idle or key.endswith(IDLE_ENDS)):
            raise d.refuse(key, f"only {', '.join(taken)}")


def _dtype(settings: Settings, what: str) -> None:
    """Raise UnsupportedError unless a layer computes in floats of 32 or 64 bits, which are read as reals."""
    given = settings.get("dtype")
    plain = _keys(given).get("class_name") in ("DTypePolicy", "Policy")
    name = _keys(_keys(given).get("config")).get("name", "") if plain else given
    if name is not None and name not in DTYPES:
        raise UnsupportedError("this type of numbers is not read", given=f"dtype={given!r} of {what}", expected=" or ".join(DTYPES))


def _builtin(whole: Settings, kind: str, modules: Sequence[str]) -> None:
    module, registered = str(whole.get("module") or "keras"), whole.get("registered_name")
    package, _, name = (registered if isinstance(registered, str) else kind).rpartition(">")
    if module.split(".")[0] not in modules or name != kind or package.lower() not in ("", *modules):
        raise UnsupportedError(
            "a class of somebody's own is not read", given=f"{module} {registered or kind}", expected=f"classes of {', '.join(modules)}"
        )


def _known(whole: Settings, names: set[str], what: str) -> None:
    stray = sorted(set(whole) - names)
    if stray:
        raise UnsupportedError(f"{what} has keys that are not read", given=", ".join(stray), expected=", ".join(sorted(names)))


def _chain(config: Settings) -> list[Settings]:
    """Return the layers of a functional network from its one input to its one output; raises UnsupportedError if they are no chain."""
    layers = {str(_mapping(item, "a layer").get("name")): _mapping(item, "a layer") for item in _items(config.get("layers"), "layers")}
    ends = [_names(config.get(key)) for key in ("input_layers", "output_layers")]
    before = {name: _inbound(name, layer) for name, layer in layers.items()}
    if any(len(e) != 1 for e in ends) or any(len(b) > 1 for b in before.values()):
        given = {name: list(b) for name, b in before.items() if len(b) > 1}
        raise _no_chain(f"inputs {ends[0]}, outputs {ends[1]}, layers with several arguments or uses: {given}")
    order, name = [ends[1][0]], ends[1][0]
    while before.get(name) and len(order) <= len(layers):
        name = before[name][0]
        order.append(name)
    if name != ends[0][0] or set(order) != set(layers) or len(order) != len(layers):
        raise _no_chain(", ".join(layers))
    return [layers[n] for n in reversed(order)]


def _inbound(name: str, layer: Settings) -> list[str]:
    """Return the layers that a layer reads, all its uses together."""
    found: list[str] = []
    for node in _items(layer.get("inbound_nodes"), "inbound_nodes"):
        if isinstance(node, dict):  # Keras 3
            whole = _keys(cast(object, node))
            options = _mapping(whole.get("kwargs") or {}, "kwargs")
            for a in _items(whole.get("args"), "args"):
                history = _mapping(_mapping(a, name).get("config"), name).get("keras_history")
                found.append(_source(_items(history, "keras_history"), name))
            _call(options, name)
        else:  # Keras 2: a node is a list of [layer, node, tensor, options]
            for a in _items(node, "a node"):
                entry = _items(a, "an argument")
                found.append(_source(entry[:3], name))
                _call(_mapping(entry[3] if len(entry) > 3 else {}, "options"), name)
    return found


def _source(entry: Sequence[object], name: str) -> str:
    if len(entry) != 3 or list(entry[1:]) != [0, 0]:
        raise _no_chain(f"layer {name!r} reads {list(entry)}")
    return str(entry[0])


def _call(options: Settings, name: str) -> None:
    stray = {k: v for k, v in options.items() if v is not None and not (k == "training" and v is False)}
    if stray:
        raise UnsupportedError("a layer is called with options", given=f"{stray} of {name!r}", expected="none, or training=False")


def _names(value: object) -> list[str]:
    items = _items(value, "ends")
    if items and isinstance(items[0], str):  # one end, written without a list around it
        return [str(items[0])]
    return [str(_items(item, "an end")[0]) for item in items]


def _no_chain(given: str) -> UnsupportedError:
    return UnsupportedError(
        "a Keras network that is no chain of layers is not read", given=given, expected="one input, one output, one after another"
    )


def _keys(value: object) -> Settings:
    """Return an object, or one without keys in place of anything else."""
    return cast(Settings, value) if isinstance(value, dict) else {}


def _mapping(value: object, what: str) -> Settings:
    if not isinstance(value, dict):
        raise ModelFileError("the architecture is damaged", given=value, expected=f"an object for {what}")
    return cast(Settings, value)


def _items(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise ModelFileError("the architecture is damaged", given=value, expected=f"a list for {what}")
    return cast(Sequence[object], value)


def wholes(values: Iterable[object]) -> list[int]:
    """Return those of some values of JSON that are whole numbers, which true and false are not."""
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool)]
