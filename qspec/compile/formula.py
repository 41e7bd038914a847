"""Lower formulas: comparisons become vectors of integers that are compared with zero."""

from __future__ import annotations

from typing import Literal, assert_never, cast

import numpy as np

from qspec.compile.compiler import Compiler
from qspec.ir import linear
from qspec.ir.integer import All, And, Any, Truth, conjunction, disjunction
from qspec.ir.integer import Formula as Goal
from qspec.language.expressions import Absolute, AnyExpression, Constant, Expression, Gather, Product, Reduce, Sum
from qspec.language.formulas import (
    AnyFormula,
    ClassIn,
    Comparison,
    Conjunction,
    Constantly,
    Disjunction,
    Formula,
    Negation,
    Quantified,
    Relation,
    Same,
    SameClass,
)


def lower_formula(compiler: Compiler, formula: Formula, *, negated: bool = False) -> Goal:
    """Add the nodes of a formula, or of its negation, and return it over them.

    Negations go inwards as far as classes: a network has exactly one, so that not to have one is to have another. That leaves a class
    and what denies it side by side, where negated inequalities would be as many disjunctions as there are classes.
    """
    f = cast(AnyFormula, formula)
    match f:
        case Constantly(value):
            return Truth(value is not negated)
        case Conjunction(children) | Disjunction(children):
            parts = [lower_formula(compiler, c, negated=negated) for c in children]
            return conjunction(parts) if isinstance(f, Conjunction) is not negated else disjunction(parts)
        case Negation(child):
            return lower_formula(compiler, child, negated=not negated)
        case ClassIn(scores, classes, ties):
            if negated and len(classes) > 1:
                others = sorted(set(range(scores.size)) - {cast(int, c) for c in classes})
                return disjunction([_wins(compiler, scores, k, ties) for k in others])
            return _negated(compiler, disjunction([_wins(compiler, scores, cast(int, c), ties) for c in classes]), negated)
        case SameClass(left, right, ties):
            both = [(_wins(compiler, left, k, ties), _wins(compiler, right, k, ties)) for k in range(left.size)]
            return disjunction([conjunction([ours, _negated(compiler, theirs, negated)]) for ours, theirs in both])
        case Comparison() | Quantified() | Same():
            return _negated(compiler, _lower_atom(compiler, f), negated)
        case _:
            assert_never(f)


def _negated(compiler: Compiler, goal: Goal, negated: bool) -> Goal:
    return compiler.builder.negate(goal) if negated else goal


def _lower_atom(compiler: Compiler, f: Comparison | Quantified | Same) -> Goal:
    """Add the nodes of a formula about sums."""
    match f:
        case Comparison(difference, relation):
            return _compare(compiler, difference, relation, every=True)
        case Quantified(comparison, every):
            return _compare(compiler, comparison.difference, comparison.relation, every)
        case Same(left, right, positions):
            b = compiler.builder
            a, c = (b.select(compiler.variables[v.name], positions) for v in (left, right))
            return conjunction([All(b.difference(a, c)), All(b.difference(c, a))])
        case _:
            assert_never(f)


def _wins(compiler: Compiler, scores: Expression, k: int, ties: Literal["first", "last"]) -> Goal:
    """Return that score `k` beats all others; the tie rule makes some of the inequalities strict."""
    node = compiler.lower(scores).node
    n = compiler.builder.size(node)
    if n == 1:
        return Truth(True)
    others = np.delete(np.arange(n), k)
    rows = np.arange(n - 1)
    margins = linear.sparse(n - 1, n, np.concatenate([rows, rows]), np.concatenate([np.full(n - 1, k), others]), np.repeat([1, -1], n - 1))
    strict = others < k if ties == "first" else others > k
    return All(compiler.builder.affine([(margins, node)], -strict.astype(np.int64)))


def _compare(compiler: Compiler, difference: Expression, relation: Relation, every: bool) -> Goal:
    match relation:
        case ">=" | ">":
            return _at_least(compiler, difference, strict=relation == ">", every=every)
        case "==":
            node = compiler.lower(difference).node
            b = compiler.builder
            if every or b.size(node) == 1:
                return And((All(node), All(b.scale(node, -1))))
            return Any(b.scale(compiler.lower(Absolute(difference)).node, -1))
        case "!=":
            node = compiler.lower(Absolute(difference)).node
            apart = compiler.builder.scale(node, 1, -1)
            return All(apart) if every else Any(apart)
        case _:
            assert_never(relation)


def _at_least(compiler: Compiler, e: Expression, *, strict: bool, every: bool) -> Goal:
    """Return `e >= 0` (or `> 0`); absolute values and maxima that only lower `e` are split into their branches.

    `c - |t| >= 0` is `c - t >= 0 and c + t >= 0`; `c - max(t) >= 0` is `c - t[k] >= 0` for every k. This keeps boxes boxes.
    """
    if every:
        split = split_concave(e)
        if split is not None:
            return conjunction([_at_least(compiler, part, strict=strict, every=True) for part in split])
    node = compiler.lower(e).node
    shifted = compiler.builder.scale(node, 1, -1) if strict else node
    return All(shifted) if every else Any(shifted)


def split_concave(e: Expression) -> list[Expression] | None:
    """Return expressions whose minimum is `e`, if `e` is a sum with a concave term that can be split, else None."""
    match cast(AnyExpression, e):
        case Sum(left, right):
            for ours, other in ((left, right), (right, left)):
                parts = split_concave(ours)
                if parts is not None:
                    return [_plus(p, other) for p in parts]
            return None
        case Product(Constant(values), other) | Product(other, Constant(values)) if all(v.numerator <= 0 for v in values.flat):
            match _pull(other):
                case Absolute(argument):
                    return [Constant(values) * argument, Constant(-values) * argument]
                case Reduce(argument, "max"):
                    return [Constant(values.reshape(*values.shape, 1)) * argument]
                case _:
                    return None
        case Reduce(argument, "min"):
            return [argument]
        case _:
            return None


def _pull(e: Expression) -> Expression:
    """Return a selection of absolute values as the absolute values of a selection."""
    if isinstance(e, Gather) and isinstance(e.argument, Absolute | Gather):
        inner = _pull(e.argument)
        if isinstance(inner, Absolute):
            return Absolute(Gather(inner.argument, e.index))
    return e


def _plus(part: Expression, other: Expression) -> Expression:
    """Return `part + other`, where `part` may have gained a last axis that `other` lacks."""
    return part + (other if len(part.shape) == len(other.shape) else Gather(other, np.arange(other.size).reshape(*other.shape, 1)))
