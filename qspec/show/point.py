"""A counterexample, or a witness, of a property about reals as text: codes, exact values, and what the networks make of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.text import exact, shape_text
from qspec.ir.enclosure import Enclosure
from qspec.ir.real import ExactArray, fractions
from qspec.language.expressions import Expression
from qspec.language.property import Property
from qspec.language.real_interpret import RealInterpreter
from qspec.language.text import text_of
from qspec.language.traversal import occurrences
from qspec.language.variables import Output, RealOutput

LONGEST = 100
"""Vectors with more elements are cut."""


def explain_point(spec: Property, codes: Mapping[str, IntArray], point: Mapping[str, ExactArray], *, columns: int = 80) -> str:
    """Return the codes of fixed-point variables, the values of real ones, and the outputs of every network.

    A value with a `≈` is shortened; results keep it exactly.
    """
    parts = [_vector(f"{v.name} ({shape_text(v.shape)}), codes", [str(c) for c in codes[v.name].flat], columns) for v in spec.variables]
    for v in spec.reals:
        values: list[Fraction] = fractions(np.asarray(point[v.name])).reshape(-1).tolist()
        parts.append(_vector(f"{v.name} ({shape_text(v.shape)}), reals", [number(x) for x in values], columns))
    run = RealInterpreter(codes, point)
    lines: dict[str, str] = {}
    outputs: list[Expression] = [*occurrences((spec.given, spec.then), Output), *occurrences((spec.given, spec.then), RealOutput)]
    for output in outputs:
        found: list[Enclosure] = run.values(output).reshape(-1).tolist()
        name = text_of(output)
        lines[name] = _vector(name, [number(x.lower) if x.lower == x.upper else _near((x.lower + x.upper) / 2) for x in found], columns)
    return "\n\n".join([*parts, *lines.values()])


def number(value: Fraction) -> str:
    """Return a rational as a short decimal if it is one, else the nearest decimal of six digits with a `≈`."""
    text = exact(value)
    return text if "/" not in text else _near(value)


def _near(value: Fraction) -> str:
    return f"≈{float(value):.6g}"


def _vector(title: str, values: list[str], columns: int) -> str:
    text = " ".join(values[:LONGEST]) + (f" … {len(values) - LONGEST} more" if len(values) > LONGEST else "")
    return f"{title}\n" + textwrap.fill(text, columns, initial_indent="  ", subsequent_indent="  ")
