"""Tables of people: what each column of a network's input means in words, which rows there are, and who is protected.

A schema says which values a feature of a row can take and which numbers the network reads for them. From it come the input layer, variables
that range over rows, and rows in words; `qspec.extremes.fairness` states properties over it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any, Literal, assert_never, cast

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.integers import common_unit, rational
from qspec.arithmetic.shapes import check_one
from qspec.errors import SpecError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.layers import Feature, Input
from qspec.support import checks
from qspec.support.checks import listed
from qspec.support.json_text import parse

Word = str | int
"""A value of a row: a word, or a whole number."""
JSON_SCHEMA = "qspec.schema/1"
NAME = "the name of a feature"


@dataclass(frozen=True, slots=True)
class _Words:
    """What features whose values are words have in common; never made directly."""

    name: str
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        checks.text(self.name, NAME)
        found = listed(self.words, f"values of {self.name}")
        if not found or not all(isinstance(w, str) for w in found) or len(set(found)) < len(found):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError(
                f"the values of feature {self.name!r} are not distinct words", given=found, expected="at least one text, none twice"
            )
        object.__setattr__(self, "words", found)

    @property
    def values(self) -> Sequence[Word]:
        return self.words

    @property
    def stride(self) -> Fraction:
        return Fraction(1)


@dataclass(frozen=True, slots=True)
class Categorical(_Words):
    """Words without an order: one column for each, of which one is 1 and the others 0, or one column with the word's position."""

    onehot: bool = True

    def __post_init__(self) -> None:
        _Words.__post_init__(self)
        checks.flag(self.onehot, "onehot")

    @property
    def columns(self) -> int:
        return len(self.words) if self.onehot else 1

    @property
    def start(self) -> Fraction:
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class Ordinal(_Words):
    """Words in an order; the network reads `first` for the first of them, one more for the next, and so on."""

    first: int = 0

    def __post_init__(self) -> None:
        _Words.__post_init__(self)
        object.__setattr__(self, "first", checks.integer(self.first, f"the first number of feature {self.name!r}"))

    @property
    def columns(self) -> int:
        return 1

    @property
    def start(self) -> Fraction:
        return Fraction(self.first)


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers `lower`, `lower + step`, … up to `upper`; for `v` the network reads `scale · (v - shift)`, exactly."""

    name: str
    lower: int
    upper: int
    step: int = 1
    scale: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        checks.text(self.name, NAME)
        object.__setattr__(self, "scale", rational(self.scale))
        object.__setattr__(self, "shift", rational(self.shift))
        if not all(isinstance(v, int) for v in (self.lower, self.upper, self.step)) or self.lower > self.upper or self.step < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError(
                f"feature {self.name!r} has no values",
                given=(self.lower, self.upper, self.step),
                expected="whole lower <= upper, step >= 1",
            )
        if self.scale <= 0:
            raise SpecError(f"the scale of feature {self.name!r} is not positive", given=self.scale, expected="a positive number")

    @property
    def values(self) -> Sequence[Word]:
        return range(self.lower, self.upper + 1, self.step)

    @property
    def columns(self) -> int:
        return 1

    @property
    def start(self) -> Fraction:
        return self.scale * (self.lower - self.shift)

    @property
    def stride(self) -> Fraction:
        return self.scale * self.step


Column = Categorical | Ordinal | Whole


@dataclass(frozen=True, slots=True)
class Link:
    """Whenever every feature in `when` has one of the values given there, every feature in `then` has one of those given there."""

    when: Mapping[str, Sequence[Word]]
    then: Mapping[str, Sequence[Word]]

    def __post_init__(self) -> None:
        for side, part in (("when", self.when), ("then", self.then)):
            checks.kind(part, Mapping, f"`{side}` of a link", '{"feature": ["value", …]}')


def determines(name: str, other: str, values: Mapping[Word, Word]) -> tuple[Link, ...]:
    """Return the links by which feature `name` determines feature `other`: one for each value of `name` that `values` lists."""
    checks.text(name, NAME)
    checks.text(other, NAME)
    checks.kind(values, Mapping, "what a feature determines", "a mapping from values of the one feature to values of the other")
    return tuple(Link({name: [k]}, {other: [v]}) for k, v in values.items())


@dataclass(frozen=True, slots=True)
class Schema:
    """Features in the order of the network's columns, those that are protected, and how features restrict each other.

    Raises SpecError if two features have one name, or a link or `protected` names a feature or a value that does not exist.
    """

    features: Sequence[Column]
    protected: Sequence[str] = ()
    links: Sequence[Link] = ()

    def __post_init__(self) -> None:
        for name in ("features", "links"):
            object.__setattr__(self, name, listed(getattr(self, name), name))
        object.__setattr__(self, "protected", checks.names(self.protected, "protected"))
        for f in self.features:
            checks.kind(f, Column, "a feature of a schema", "qs.Categorical(…), qs.Ordinal(…) or qs.Whole(…)")
        for link in self.links:
            checks.kind(link, Link, "a link of a schema", "qs.Link(…)")
        names = [f.name for f in self.features]
        if not names or len(set(names)) < len(names):
            raise SpecError("the features of a schema are not distinct", given=names, expected="at least one, each with a name of its own")
        for name in self.protected:
            self.feature(name)
        for link in self.links:
            for name, words in (*link.when.items(), *link.then.items()):
                if not self.places(name, words):
                    raise SpecError(f"a link leaves {name!r} no value", given=words, expected="values of the feature, at least one")

    @property
    def columns(self) -> int:
        """Number of columns that the network reads."""
        return sum(f.columns for f in self.features)

    @property
    def rows(self) -> int:
        """Number of rows, links left aside."""
        return int(np.prod([len(f.values) for f in self.features], dtype=object))

    def feature(self, name: str) -> Column:
        """Return the feature of this name; raises SpecError if there is none."""
        checks.text(name, NAME)
        for f in self.features:
            if f.name == name:
                return f
        raise SpecError("no such feature", given=name, expected=", ".join(f.name for f in self.features))

    def places(self, name: str, words: Sequence[Word]) -> list[int]:
        """Return the positions of some values of a feature, in order; raises SpecError on one that it cannot take."""
        return sorted({_place(self.feature(name), w) for w in listed(words, f"values of {name}")})

    def slices(self) -> Iterator[tuple[Column, slice]]:
        """Yield each feature with its columns."""
        start = 0
        for f in self.features:
            yield f, slice(start, start + f.columns)
            start += f.columns

    def format(self, *, per: Literal["table", "column"] = "table") -> Format:
        """Return the narrowest format that holds every number of every column exactly: one for the "table", or one per "column".

        Per column, codes count in the column's own unit, so that `Whole("income", 0, 90_000, scale="1/90000")` beside a flag needs no more
        bits than its whole numbers. Raises SpecError on another `per`.
        """
        if not isinstance(per, str) or per not in ("table", "column"):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("`per` is unknown", given=per, expected='"table" or "column"')
        if per == "table":
            return _narrowest([_numbers(f) for f in self.features])
        own = [_narrowest([_numbers(f)]) for f in self.features for _ in range(f.columns)]
        fixed = [f for f in own if isinstance(f, Fixed)]
        if len(fixed) == len(own):
            return PerChannel(tuple(fixed))
        signed, width = any(f.signed for f in own), max(f.width + (not f.signed) for f in own)
        unsigned = max(f.width for f in own)
        return Affine(width if signed else unsigned, signed, tuple(f.grid().units[0] for f in own))

    def layer(self, fmt: Format | None = None, *, name: str = "x") -> Input:
        """Return the input layer of a network that reads rows; raises SpecError where a column holds numbers that are not whole."""
        parts: list[Feature] = []
        for f in self.features:
            last = f.start + f.stride * (len(f.values) - 1)
            if f.columns > 1:
                parts.append(Feature(f.name, categories=tuple(map(str, f.values))))
            elif f.start.denominator == 1 and (f.stride == 1 or len(f.values) == 1):
                parts.append(Feature(f.name, int(f.start), int(last)))
            else:
                raise SpecError(
                    f"the input layer holds whole numbers, and feature {f.name!r} is scaled",
                    given=f"{f.start}, {f.start + f.stride}, …",
                    expected="steps of one",
                    advice="qs.Input((columns,), format), with qs.fairness on top: it needs no features in the layer",
                )
        return Input((self.columns,), self.format() if fmt is None else fmt, name, tuple(parts))

    def encode(self, row: Mapping[str, Word]) -> ExactArray:
        """Return the numbers that the network reads for a row, shape (columns,); raises SpecError on a missing or unknown value."""
        checks.kind(row, Mapping, "a row", "a mapping of the names of features to values")
        unknown = set(row) - {f.name for f in self.features}
        if unknown or len(row) < len(self.features):
            raise SpecError("a row has other features", given=list(row), expected=", ".join(f.name for f in self.features))
        numbers: list[Fraction] = []
        for f in self.features:
            k = _place(f, row[f.name])
            numbers += [Fraction(k == j) for j in range(f.columns)] if f.columns > 1 else [f.start + f.stride * k]
        return exact(np.array(numbers, dtype=object))

    def row(self, numbers: object) -> dict[str, Word]:
        """Return the row that the network reads as these exact numbers; raises SpecError if there is none, ShapeError on another length."""
        given = fractions(exact(numbers))
        check_one(given.shape, (self.columns,), "a row of numbers")
        flat = given.reshape(-1).tolist()
        return {f.name: f.values[_read(f, flat[where])] for f, where in self.slices()}

    def allows(self, row: Mapping[str, Word]) -> bool:
        """Return whether a row breaks no link; raises SpecError if it has other features than the schema, or other values."""
        self.encode(row)

        def among(part: Mapping[str, Sequence[Word]]) -> bool:
            return all(row[name] in words for name, words in part.items())

        return all(among(link.then) or not among(link.when) for link in self.links)

    def to_json(self) -> str:
        """Return the schema as JSON text, schema `qspec.schema/1`."""
        links = [{"when": _lists(link.when), "then": _lists(link.then)} for link in self.links]
        features = [_feature_json(f) for f in self.features]
        data = {"schema": JSON_SCHEMA, "features": features, "protected": list(self.protected), "links": links}
        return json.dumps(data, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read a schema back; raises SpecError if the text is none."""
        try:
            data = cast("dict[str, Any]", parse(text))
            if data["schema"] != JSON_SCHEMA:
                raise KeyError(data["schema"])
            features = tuple(_feature_of(f) for f in data["features"])
            links = tuple(Link(link["when"], link["then"]) for link in data["links"])
            return cls(features, tuple(data["protected"]), links)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, SpecError):
                raise
            raise SpecError("not a schema", given=text, expected=f"JSON of {JSON_SCHEMA} ({type(error).__name__}: {error})") from None


def _numbers(f: Column) -> tuple[Fraction, Fraction, Fraction]:
    """Return the first number that a network reads for a feature, the step to the next, and the last."""
    return f.start, f.stride, f.start + f.stride * (len(f.values) - 1)


def _narrowest(ranges: Sequence[tuple[Fraction, Fraction, Fraction]]) -> Fixed | Affine:
    """Return the narrowest format that holds all numbers of these ranges (first, step, last)."""
    unit = common_unit(v for start, stride, _ in ranges for v in (start, stride))
    ends = [v / unit for start, _, last in ranges for v in (start, last)]
    signed = min(ends) < 0
    width = max(1, int(max(max(ends), -min(ends) - 1)).bit_length()) + signed
    frac = unit.denominator.bit_length() - 1
    return Fixed(width, frac, signed) if unit == Fraction(1, 1 << frac) else Affine(width, signed, unit)


def _place(feature: Column, word: Word) -> int:
    """Return the position of a value among those of a feature."""
    if isinstance(word, bool) or not isinstance(word, str | Real) or word not in feature.values:
        shown = f"{feature.lower}..{feature.upper} by {feature.step}" if isinstance(feature, Whole) else ", ".join(map(str, feature.values))
        raise SpecError(f"feature {feature.name!r} has no such value", given=word, expected=shown)
    return feature.values.index(word)


def _read(feature: Column, numbers: list[Fraction]) -> int:
    """Return which value the columns of a feature hold."""
    if feature.columns > 1:
        if sorted(numbers) == [0] * (len(numbers) - 1) + [1]:
            return numbers.index(Fraction(1))
    else:
        place = (numbers[0] - feature.start) / feature.stride
        if place.denominator == 1 and 0 <= place < len(feature.values):
            return int(place)
    raise SpecError(
        f"these numbers are no value of feature {feature.name!r}", given=[str(v) for v in numbers], expected="a row of the schema"
    )


def _lists(part: Mapping[str, Sequence[Word]]) -> dict[str, list[Word]]:
    return {name: list(words) for name, words in part.items()}


def _feature_json(f: Column) -> dict[str, object]:
    match f:
        case Categorical():
            return {"kind": "categorical", "name": f.name, "words": list(f.words), "onehot": f.onehot}
        case Ordinal():
            return {"kind": "ordinal", "name": f.name, "words": list(f.words), "first": f.first}
        case Whole():
            ends = {"lower": f.lower, "upper": f.upper, "step": f.step}
            return {"kind": "whole", "name": f.name, **ends, "scale": str(f.scale), "shift": str(f.shift)}
        case _:
            assert_never(f)


def _feature_of(data: dict[str, Any]) -> Column:
    kinds: dict[str, type[Column]] = {"categorical": Categorical, "ordinal": Ordinal, "whole": Whole}
    settings = {k: v for k, v in data.items() if k != "kind"}
    return kinds[data["kind"]](**settings)
