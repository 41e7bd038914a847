"""Say what a certificate was checked for: the parameters and where they came from, the networks, and what was not examined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from qspec.files.qspec_file import content_hash
from qspec.ir.digest import content
from qspec.language.connectives import Constantly
from qspec.language.expressions import constant
from qspec.language.property import Property, parameter_names
from qspec.language.traversal import networks, real_networks

LETTERS = 16
"""Hexadecimal digits of a hash that are shown."""


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A parameter that a property was checked for: its value in words, and whether only the certificate says so."""

    name: str
    value: str
    recorded: bool

    def __str__(self) -> str:
        return f"{self.name} = {self.value} ({'from the certificate' if self.recorded else 'given'})"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a proof is about: `parameters` by name, `networks` in words, and whether an assumption stays that nothing may meet."""

    parameters: tuple[BoundParameter, ...]
    networks: tuple[str, ...]
    assumption: bool

    def __str__(self) -> str:
        bound = [str(p) for p in self.parameters] or ["no parameters"]
        lines = [f"{'proved for:' if k == 0 else '':<14}{text}" for k, text in enumerate(bound)]
        lines += [f"{'network:':<14}{text}" for text in self.networks]
        if self.assumption:
            lines.append(f"{'not examined:':<14}whether any input meets the assumption")
        return "\n".join(lines)


def statement(spec: Property, recorded: Mapping[str, object], given: Mapping[str, object]) -> Statement:
    """Return what is proved of a property with parameters that a certificate recorded, unless others are given for them."""
    named = [
        BoundParameter(name, described((given if name in given else recorded)[name], shape), name not in given)
        for name, shape in parameter_names(spec).items()
    ]
    told = [f"{n.name}, semantics {n.semantics}, content {content_hash(n)[:LETTERS]}" for n in networks(spec)]
    told += [f"{n.name}, over the reals, content {content(n)[:LETTERS]}" for n in real_networks(spec)]
    assumption = spec.kind == "forall" and not (isinstance(spec.given, Constantly) and spec.given.value)
    return Statement(tuple(named), tuple(told), assumption)


def described(value: object, shape: tuple[int, ...]) -> str:
    """Return a value of a parameter in words: numbers as they are, arrays by shape and the SHA-256 of their numbers, joined by commas."""
    numbers = [str(v) for v in constant(value).values.reshape(-1)]
    if not shape:
        return numbers[0]
    return f"array {' × '.join(map(str, shape))}, SHA-256 {hashlib.sha256(','.join(numbers).encode()).hexdigest()[:LETTERS]}"


def differences(spec: Property, recorded: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
    """Return in words which of the given parameters differ from those that a certificate recorded."""
    found: list[str] = []
    for name, shape in parameter_names(spec).items():
        if name in given and name in recorded:
            theirs, ours = described(recorded[name], shape), described(given[name], shape)
            if theirs != ours:
                found.append(f"parameter {name!r} is {theirs} in the certificate, and {ours} here")
    return found
