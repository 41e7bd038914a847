"""A project that hls4ml wrote, as plain values: calls of its layers in order, types, settings and weights; text is read, nothing is run.

Source: what hls4ml 1.3.0 writes into `firmware/`: `<project>.cpp`, `defines.h`, `parameters.h`, `nnet_utils/nnet_code_gen.h`, and the
weights `weights/*.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path

from qspec.arithmetic.formats import Fixed
from qspec.errors import FormatError, ModelFileError, UnsupportedError
from qspec.readers.content import read_text

LARGEST = 1 << 28
"""Bytes of a file of a project, at most."""
MARK = "hls-fpga-machine-learning insert layers"
"""What stands before the layers in the source of a project."""
_CALL = re.compile(r"^\s*nnet::(\w+)<([^()]*)>\(([^()]*)\);", re.MULTILINE)
_ALIAS = re.compile(r"^\s*auto& (\w+) = (\w+);", re.MULTILINE)
_LOAD = re.compile(r"nnet::load_weights_from_txt<(\w+), (\d+)>\((\w+), \"([\w.]+)\"\)")
_TYPEDEF = re.compile(r"^\s*typedef ([^;]+?) (\w+);", re.MULTILINE)
_STRUCT = re.compile(r"^struct (\w+) : nnet::(\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"static const [\w:<>]+ (\w+) =\s*([^;]+);")
_PRODUCT = re.compile(r"using product = nnet::product::(\w+)<")
_PORT = re.compile(r"void (\w+)\(\s*(.*?)\s*\) \{", re.DOTALL)
_GENERATED = re.compile(r"^void (\w+)\(input_t \*inp, output_t \*out\) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_ELEMENT = re.compile(r"out\[(\d+)\] = (?:(ap_u?fixed<[^>]*>)\(inp\[(\d+)\]\)|0);")


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One layer: its function, the arguments of its template, and the arrays that it reads and writes."""

    function: str
    types: tuple[str, ...]
    arrays: tuple[str, ...]

    @property
    def place(self) -> str:
        """What a message calls this layer."""
        return f"{self.function} into {self.arrays[1] if len(self.arrays) > 1 else '?'!r}"


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """The struct of a layer: its settings as text, its types by their role, and its product."""

    name: str
    values: Mapping[str, str]
    types: Mapping[str, str]
    product: str

    def whole(self, key: str) -> int:
        """Return a setting that is a whole number; raises ModelFileError if there is none."""
        text = self.values.get(key, "").strip()
        while text in self.values:
            text = self.values[text].strip()
        if not re.fullmatch(r"-?\d{1,9}", text):
            given = f"{self.name}: {key} = {text!r}"
            raise ModelFileError("a setting of a layer of hls4ml is no whole number", given=given, expected="a number")
        return int(text)


@dataclass(frozen=True, slots=True)
class Project:
    """A project: name, ports (type, array, sizes), calls in order, arrays under other names, and what the other files say."""

    name: str
    ports: tuple[tuple[str, str, int], ...]
    calls: tuple[LayerCall, ...]
    aliases: Mapping[str, str]
    types: Mapping[str, str]
    settings: Mapping[str, LayerSettings]
    generated: Mapping[str, tuple[str | None, ...]]
    weights: Mapping[str, tuple[Fraction, ...]]

    def format(self, name: str) -> Fixed:
        """Return the fixed-point type of a name; raises UnsupportedError on another type."""
        text = self.types.get(name, name).strip()
        if m := re.fullmatch(r"ap_(u?)int<(\d+)>", text):
            return Fixed.parse(f"ap_{m[1]}fixed<{m[2]},{m[2]}>")
        if m := re.fullmatch(r"(ap_u?fixed<[^,<>]+,[^,<>]+(?:,[^,<>]+){0,2})(?:(?<=[A-Z]),\s*0)?>", text):
            try:
                return Fixed.parse(f"{m[1]}>")
            except FormatError as error:
                raise UnsupportedError("a type of hls4ml that is not read", given=f"{name} = {text}", expected=error.expected) from None
        expected = "ap_fixed, ap_ufixed, ap_int, ap_uint; io_parallel"
        raise UnsupportedError("a type of hls4ml that is not read", given=f"{name} = {text}", expected=expected)


def read_project(path: Path) -> Project:
    """Return the project of a source `firmware/<project>.cpp`; raises ModelFileError on what is damaged or missing."""
    source = _text(path)
    if MARK not in source or path.suffix != ".cpp":
        raise ModelFileError("not the source of an hls4ml project", given=str(path), expected=f"firmware/<project>.cpp, with {MARK!r}")
    folder = path.parent
    defines, parameters = (_text(folder / name) for name in ("defines.h", "parameters.h"))
    generated = folder / "nnet_utils" / "nnet_code_gen.h"
    top = _PORT.search(source)
    if top is None:
        raise ModelFileError("the source of an hls4ml project has no function", given=str(path), expected="void project(…)")
    types = {name: text for text, name in _TYPEDEF.findall(defines)}
    sizes = _sizes(defines)
    body = source[source.index(MARK) :]
    calls = tuple(LayerCall(f, _listed(t), _listed(a)) for f, t, a in _CALL.findall(body))
    if len(calls) != body.count("nnet::"):
        raise UnsupportedError("calls of hls4ml that are not read", given=str(path), expected="nnet::layer<…>(…); one to a line")
    weights = {name: _numbers(folder / "weights" / file, int(count)) for _, count, name, file in _LOAD.findall(source)}
    return Project(
        top[1],
        tuple(_port(part, sizes) for part in _listed(top[2])),
        calls,
        dict(_ALIAS.findall(body)),
        types,
        {name: _settings(name, text) for name, _, text in _STRUCT.findall(parameters)},
        _quantizers(_text(generated)) if generated.exists() else {},
        weights,
    )


def _text(path: Path) -> str:
    return read_text(path, LARGEST, "a file of an hls4ml project", packed=False)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _sizes(defines: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"^#define (\w+) (\d+)", defines, re.MULTILINE)}


def _port(text: str, sizes: Mapping[str, int]) -> tuple[str, str, int]:
    m = re.fullmatch(r"(\w+) (\w+)\[([\w*]+)\]", text)
    if m is None:
        raise UnsupportedError("a port of hls4ml that is not read", given=text, expected="type name[size], io_parallel")
    size = 1
    for part in m[3].split("*"):
        size *= int(part) if part.isdigit() else sizes.get(part, 0)
    if size < 1:
        raise ModelFileError("the size of a port of hls4ml is not known", given=text, expected="numbers, or names of defines.h")
    return m[1], m[2], size


def _settings(name: str, text: str) -> LayerSettings:
    product = _PRODUCT.search(text)
    return LayerSettings(name, dict(_SETTING.findall(text)), {n: t for t, n in _TYPEDEF.findall(text)}, product[1] if product else "")


def _quantizers(text: str) -> dict[str, tuple[str | None, ...]]:
    """Return the generated quantisers: the type of each element, None where it is zero."""
    found: dict[str, tuple[str | None, ...]] = {}
    for name, body in _GENERATED.findall(text):
        elements = _ELEMENT.findall(body)
        straight = all(int(k) == place and (not i or i == k) for place, (k, _, i) in enumerate(elements))
        if elements and straight and body.count("out[") == len(elements):
            found[name] = tuple(kind or None for _, kind, _ in elements)
    return found


def _numbers(path: Path, count: int) -> tuple[Fraction, ...]:
    """Return weights as the doubles that the C++ code reads; raises ModelFileError on another number of them."""
    try:
        values = [float(part) for part in _text(path).split(",") if part.strip()]
    except ValueError as error:
        raise ModelFileError("weights of hls4ml that are no numbers", given=str(path), expected=f"decimal numbers ({error})") from None
    if len(values) != count or not all(isfinite(v) for v in values):
        given = f"{path.name}: {len(values)} numbers"
        raise ModelFileError("weights of hls4ml that do not fit", given=given, expected=f"{count} finite numbers")
    return tuple(Fraction(v) for v in values)
