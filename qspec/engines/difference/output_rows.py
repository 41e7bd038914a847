"""Properties about the difference of a quantised network and a real one: which they are, and as rows of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np

from qspec.compile.visitor import split_concave
from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.aligned_layers import Pair, pair, pair_bytes
from qspec.engines.difference.dual import Goal
from qspec.ir.real import ExactArray, fractions
from qspec.language.connectives import Conjunction, Formula
from qspec.language.expressions import Comparison, Constant, Expression, Gather, Join, Product, Reduce, Sum
from qspec.language.formulas import AnyFormula, Quantified
from qspec.language.property import Property
from qspec.language.traversal import occurrences
from qspec.language.variables import Output, RealOutput, Variable


@dataclass(frozen=True, slots=True, eq=False)
class OutputRows:
    """`fixed · codes + real · signals + constant` of both outputs, exactly; (rows, outputs), (rows,)."""

    fixed: ExactArray
    real: ExactArray
    constant: ExactArray

    def goal(self) -> Goal:
        """Return the same in doubles; what rounding them changes is paid for by their magnitudes."""
        fixed, real, constant = (v.astype(np.float64) for v in (self.fixed, self.real, self.constant))
        return Goal((fixed, real), constant, np.abs(constant))


@dataclass(frozen=True, slots=True, eq=False)
class RowClaim:
    """That rows are at least zero (above zero, if `strict`) for all values of a variable."""

    pair: Pair
    variable: Variable
    rows: OutputRows
    strict: bool


def read(spec: Property, deadline: Deadline = NEVER) -> RowClaim | None:
    """Return what a property claims of two networks' outputs; None if it is about anything else, or they are no `Pair`.

    The assumption is left to the box of the variable's codes, which it may only narrow. Raises OutOfTime, and OutOfMemory where there is no
    room for the pair.
    """
    ours, theirs = occurrences((spec.then,), Output), occurrences((spec.then,), RealOutput)
    if spec.kind != "forall" or spec.reals or len(spec.variables) != 1 or not ours or not theirs:
        return None
    variable = spec.variables[0]
    fixed, real = ours[0].application.network, theirs[0].application.network
    alike = all(o.application.network is fixed and o.tap == "output" for o in ours) and all(o.application.network is real for o in theirs)
    plain = all(len(o.application.arguments) == 1 and not o.application.parameters for o in (*ours, *theirs))
    same = plain and all(o.application.arguments[0] is variable for o in (*ours, *theirs))
    last = all(o.stage == fixed.stages[-1].name for o in ours) and all(o.stage == real.stages[-1].name for o in theirs)
    if not (alike and same and last):
        return None
    deadline.check(pair_bytes(real))
    found = pair(fixed, real)
    rows = None if found is None else _formula(spec.then, found)
    if found is None or rows is None:
        return None
    parts, strict = zip(*rows, strict=True)
    joined = OutputRows(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("fixed", "real", "constant")))
    return RowClaim(found, variable, joined, any(strict))


def errors(pair: Pair, outputs: list[int]) -> OutputRows:
    """Return the error of each of some outputs, and below them the negated ones: `±(quantised - real)`."""
    n = pair.layers[-1].size
    one = np.zeros((len(outputs), n), dtype=object) + Fraction(0)
    one[np.arange(len(outputs)), outputs] = Fraction(1)
    units, zeros = fractions(pair.unit), pair.zero
    fixed, constant = one * units, -(one * units * zeros).sum(1)
    return OutputRows(np.concatenate([fixed, -fixed]), np.concatenate([-one, one]), np.concatenate([constant, -constant]))


def _formula(formula: Formula, pair: Pair) -> list[tuple[OutputRows, bool]] | None:
    """Return the rows of a conjunction of comparisons, each with whether it is strict; None if it is no such thing."""
    f = cast(AnyFormula, formula)
    if isinstance(f, Conjunction):
        parts = [_formula(c, pair) for c in f.children]
        return None if any(p is None for p in parts) else [r for p in parts for r in p or ()]
    if isinstance(f, Quantified) and f.every:
        f = f.comparison
    if not isinstance(f, Comparison) or f.relation not in (">=", ">"):
        return None
    rows = _split(f.difference, pair)
    return None if rows is None else [(r, f.relation == ">") for r in rows]


def _split(e: Expression, pair: Pair) -> list[OutputRows] | None:
    """Return the rows of an expression that is to be at least zero, with absolute values and maxima taken apart."""
    parts = split_concave(e)
    if parts is None:
        rows = _affine(e, pair)
        return None if rows is None else [rows]
    found = [_split(p, pair) for p in parts]
    return None if any(f is None for f in found) else [r for f in found for r in f or ()]


def _affine(e: Expression, pair: Pair) -> OutputRows | None:
    """Return each element of an expression as a row; None if it is not affine in the outputs of the two networks."""
    match e:
        case Constant(values):
            flat = fractions(np.asarray(values).reshape(-1))
            return _rows(pair, flat.size, flat)
        case Output():
            units, zeros = fractions(pair.unit), fractions(pair.zero)
            rows = _rows(pair, e.size, -units * zeros)
            np.fill_diagonal(rows.fixed, units)
            return rows
        case RealOutput():
            rows = _rows(pair, e.size, fractions(np.zeros(e.size)))
            np.fill_diagonal(rows.real, Fraction(1))
            return rows
        case Sum(left, right):
            a, b = _affine(left, pair), _affine(right, pair)
            return None if a is None or b is None else OutputRows(a.fixed + b.fixed, a.real + b.real, a.constant + b.constant)
        case Product(Constant(values), other) | Product(other, Constant(values)):
            a, factor = _affine(other, pair), fractions(np.asarray(values).reshape(-1))
            return None if a is None else OutputRows(a.fixed * factor[:, None], a.real * factor[:, None], a.constant * factor)
        case Gather(argument, index):
            a, at = _affine(argument, pair), np.asarray(index).reshape(-1)
            return None if a is None else OutputRows(a.fixed[at], a.real[at], a.constant[at])
        case Join(parts):
            all_of = [_affine(p, pair) for p in parts]
            if any(p is None for p in all_of):
                return None
            return OutputRows(*(np.concatenate([getattr(p, name) for p in all_of]) for name in ("fixed", "real", "constant")))
        case Reduce(argument, "sum"):
            a, length = _affine(argument, pair), argument.shape[-1]
            if a is None:
                return None
            fixed, real = (v.reshape(-1, length, v.shape[1]).sum(1) for v in (a.fixed, a.real))
            return OutputRows(fixed, real, a.constant.reshape(-1, length).sum(1))
        case _:
            return None


def _rows(pair: Pair, size: int, constant: ExactArray) -> OutputRows:
    fixed, real = (np.full((size, pair.layers[-1].size), Fraction(0), dtype=object) for _ in range(2))
    return OutputRows(fixed, real, constant)
