"""A counterexample, or a witness, as text: the codes of every variable, and what the networks make of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.text import exact, shape_text
from qspec.language.domains import AtMost, OneHot, Range
from qspec.language.expressions import Constant, RationalArray, Sum
from qspec.language.formulas import ClassIn, SameClass
from qspec.language.interpret import Interpreter
from qspec.language.property import Property
from qspec.language.text import argmax_text, seen_through, text_of
from qspec.language.traversal import occurrences
from qspec.language.variables import Code, Output, Variable
from qspec.show.picture import Block, beside, change, grey, is_image
from qspec.verify.feature_rows import in_words

LONGEST = 100
"""Vectors with more elements are cut."""


def explain(spec: Property, codes: Mapping[str, IntArray], *, columns: int = 80, colour: bool = False) -> str:
    """Return the codes of every variable and the outputs of every network as text of so many columns.

    `spec` has its parameters bound, see `qspec.language.property.bind`; `codes` are as in `Result.codes`. Images are drawn; one that the
    assumption compares with a constant image is shown beside that.
    """
    shaped = {v.name: integers(codes[v.name]).reshape(v.shape) for v in spec.variables}
    parts = _variables(spec, shaped, columns, colour)
    parts += _outputs(spec, shaped, columns)
    return "\n\n".join(parts)


def _variables(spec: Property, codes: Mapping[str, IntArray], columns: int, colour: bool) -> list[str]:
    named = [v for v in spec.variables if v.features]
    alike = bool(named) and all(v.features == named[0].features for v in named)
    parts = [_features(named, codes)] if alike else []
    for v in spec.variables:
        if is_image(v.shape):
            parts.append(beside(_image(spec, v, codes[v.name], colour), columns=columns))
        elif not (alike and v.features):
            parts.append(_vector(f"{v.name} ({shape_text(v.shape)}), codes", codes[v.name], columns))
    return parts


def _image(spec: Property, v: Variable, codes: IntArray, colour: bool) -> list[Block]:
    """Return the image, and before it the image that the assumption compares it with, if there is one."""
    low, high = code_limits(v)
    shown = grey(f"{v.name}, codes {low}..{high}", codes, low, high, colour=colour)
    centre = centre_of(spec, v)
    if centre is None:
        return [shown]
    count = int(np.count_nonzero(codes - centre))
    return [
        grey("assumed near", centre, low, high, colour=colour),
        shown,
        change(f"change in LSB: {count} pixels", centre, codes),
    ]


def code_limits(v: Variable) -> tuple[int, int]:
    """Return the lowest and the highest code of any element of a variable."""
    ends: list[int] = []
    for piece in v.domain.pieces:
        match piece:
            case Range(_, start, stride, count):
                ends += [int(start.min()), int((start + stride * count).max())]
            case OneHot(_, _, off, on):
                ends += [int(min(off.min(), on.min())), int(max(off.max(), on.max()))]
            case AtMost():
                ends += [0, 1]
    return min(ends), max(ends)


def centre_of(spec: Property, v: Variable) -> IntArray | None:
    """Return the constant codes that the assumption subtracts from the codes of a variable, in its shape, if there are any."""
    for s in occurrences(spec.given, Sum):
        for ours, other in ((s.left, s.right), (s.right, s.left)):
            code, constant = seen_through(ours), seen_through(other)
            if not (isinstance(code, Code) and code.argument is v and isinstance(constant, Constant)):
                continue
            if constant.values.size == v.size and all(value.denominator == 1 for value in constant.values.flat):
                return integers(-constant.values).reshape(v.shape)
    return None


def _features(variables: Sequence[Variable], codes: Mapping[str, IntArray]) -> str:
    """Return a table with a row for each named feature and a column for each variable; rows that differ are marked."""
    header = ["feature", *(v.name for v in variables)]
    told = [in_words(v, codes[v.name]) for v in variables]
    rows = [[name, *(str(row[name]) for row in told)] for name in told[0]]
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines: list[str] = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells) + ("  ←" if row is not header and len(set(row[1:])) > 1 else ""))
    return "\n".join(lines)


def _vector(title: str, values: IntArray | RationalArray, columns: int) -> str:
    flat = values.reshape(-1).tolist()
    text = " ".join(exact(value) for value in flat[:LONGEST]) + (f" … {len(flat) - LONGEST} more" if len(flat) > LONGEST else "")
    return f"{title}\n" + textwrap.fill(text, columns, initial_indent="  ", subsequent_indent="  ")


def decisions(spec: Property, codes: Mapping[str, IntArray]) -> list[str]:
    """Return a line for each argmax of a bound property: which class the codes get."""
    run = Interpreter(codes)
    asked = [(f.scores, f.ties) for f in occurrences((spec.given, spec.then), ClassIn)]
    asked += [(scores, f.ties) for f in occurrences((spec.given, spec.then), SameClass) for scores in (f.left, f.right)]
    return list(dict.fromkeys(f"{argmax_text(scores, ties)} is {run.argmax(scores, ties)}" for scores, ties in asked))


def _outputs(spec: Property, codes: Mapping[str, IntArray], columns: int) -> list[str]:
    """Return the values of every output that the property reads; the greatest of several is named."""
    run = Interpreter(codes)
    lines: dict[str, str] = {}
    for output in occurrences((spec.given, spec.then), Output):
        name = text_of(output)
        values = run.values(output)
        if values.size == 1:
            lines[name] = f"{name} = {exact(values.item())}"
        else:
            flat = values.reshape(-1).tolist()
            best = [k for k, value in enumerate(flat) if value == max(flat)]
            most = f"greatest at {best[0]}" if len(best) == 1 else f"greatest at {' and '.join(map(str, best))}"
            lines[name] = _vector(f"{name}, values; {most}", values, columns)
    return ["\n".join(lines.values())] if lines else []
