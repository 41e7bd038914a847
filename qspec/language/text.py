"""Write a property as text, close to what its author wrote; large constants are shortened."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import assert_never, cast

import numpy as np

from qspec.arithmetic.text import shape_text, summary
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import (
    Absolute,
    Comparison,
    Constant,
    Expression,
    Floor,
    Gather,
    Join,
    NonZero,
    Parameter,
    Product,
    Reduce,
    Sum,
    constant,
)
from qspec.language.formulas import AnyFormula, Argmax, ClassIn, Quantified, Same, SameClass
from qspec.language.property import Property, parameter_names
from qspec.language.protocols import shown
from qspec.language.variables import (
    Application,
    Applied,
    Code,
    EveryExpression,
    Output,
    RealApplication,
    RealOnly,
    RealOutput,
    RealVariable,
    SoftmaxOf,
    Variable,
)

DEPTH = 14
"""Expressions nested deeper than this are cut."""
MOST = 8
"""Conjunctions are cut after so many lines."""
LONGEST = 240
"""Lines of a property longer than this are cut."""


@shown.register
def _(part: Expression | Formula | Argmax) -> str:
    """Return an expression or a formula as Python shows it: on one line, cut where it is long, with the shape of an array."""
    try:
        match part:
            case Expression():
                text, shape = text_of(part), part.shape
            case Argmax(scores, ties):
                text, shape = argmax_text(scores, ties), ()
            case Formula():
                text, shape = formula_text(part), part.shape
    except RecursionError:
        return f"a deep {type(part).__name__}"
    return f"{_cut(text)} ({shape_text(shape)})" if shape else _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@shown.register
def describe(spec: Property, *, name: str = "") -> str:
    """Return a property as a few lines of text: what is quantified, assumed and claimed, which values it has, and which are to be given."""
    quantifier = "for all" if spec.kind == "forall" else "there are"
    variables = ", ".join(
        [f"{v.name} ({shape_text(v.shape)})" for v in spec.variables] + [f"{v.name} ({shape_text(v.shape)}, real)" for v in spec.reals]
    )
    lines = [f"{name or spec.name}: {quantifier} {variables}"]
    if not (isinstance(spec.given, Constantly) and spec.given.value):
        lines += _parts("given", spec.given)
    lines += _parts("then" if spec.kind == "forall" else "with", spec.then)
    shapes = parameter_names(spec)
    if given := [f"{name} = {summary(constant(spec.values[name]).values)}" for name in shapes if name in spec.values]:
        lines.append("  at      " + ", ".join(given))
    if free := [f"{name} ({shape_text(shape)})" for name, shape in shapes.items() if name not in spec.values]:
        lines.append("  to give " + ", ".join(free))
    return "\n".join(lines)


def _parts(word: str, formula: Formula) -> list[str]:
    """Return one line for each part of a conjunction."""
    texts = [_cut(formula_text(c)) for c in _flatten(formula)]
    if len(texts) > MOST:
        texts[MOST - 1 :] = [f"… {len(texts) - MOST + 1} more"]
    return [f"  {word if k == 0 else 'and':<7} {t}" for k, t in enumerate(texts)]


def _flatten(formula: Formula) -> list[Formula]:
    return [g for c in formula.children for g in _flatten(c)] if isinstance(formula, Conjunction) else [formula]


def formula_text(formula: Formula) -> str:
    """Return a formula as text on one line."""
    f = cast(AnyFormula, formula)
    match f:
        case Constantly(value):
            return "true" if value else "false"
        case Comparison():
            return _comparison(f)
        case Quantified(comparison, every):
            text = _comparison(comparison)
            return text if comparison.difference.size == 1 else f"{'all' if every else 'some'}({text})"
        case Conjunction():
            return " and ".join(_bracketed(c) for c in _flatten(f))
        case Disjunction(children):
            return " or ".join(_bracketed(c) for c in children)
        case Negation(ClassIn(scores, classes, ties)):
            return _class(scores, classes, ties, "≠", "∉")
        case Negation(child):
            return f"not {_bracketed(child)}"
        case Same():
            return _same(f)
        case ClassIn(scores, classes, ties):
            return _class(scores, classes, ties, "=", "∈")
        case SameClass(left, right, ties):
            return f"{argmax_text(left, ties)} = {argmax_text(right, ties)}"
        case _:
            assert_never(f)


def _bracketed(formula: Formula) -> str:
    text = formula_text(formula)
    return f"({text})" if isinstance(formula, Conjunction | Disjunction) else text


def argmax_text(scores: Expression, ties: str) -> str:
    """Return an argmax as text; that the first of equal scores wins goes without saying."""
    return f"argmax({text_of(scores)})" if ties == "first" else f"argmax({text_of(scores)}, ties to the last)"


def _class(scores: Expression, classes: Sequence[int | Parameter], ties: str, equal: str, among: str) -> str:
    names = [c.name if isinstance(c, Parameter) else str(c) for c in classes]
    return f"{argmax_text(scores, ties)} " + (f"{equal} {names[0]}" if len(names) == 1 else f"{among} {{{', '.join(names)}}}")


def _same(f: Same) -> str:
    free = np.setdiff1d(np.arange(f.left.size), f.positions).tolist()
    if not free:
        return f"{f.left.name} = {f.right.name}"
    named = [name for name, start, stop in f.left.features if set(range(start, stop)) & set(free)]
    loose = [k for k in free if not any(start <= k < stop for _, start, stop in f.left.features)]
    return f"{f.left.name} = {f.right.name} except for {', '.join([*named, *map(str, loose)])}"


def _comparison(c: Comparison) -> str:
    """Return `left relation right` for `difference relation 0`: terms with a minus sign go to the right, plain numbers too."""
    terms = _terms(c.difference)
    left, right = [t for sign, t in terms if sign > 0], [t for sign, t in terms if sign < 0]
    if len(left) > 1 and not right and isinstance(number := left[-1], Constant):
        left, right = left[:-1], [Constant(-number.values)]
    relation: str = {">=": "≥", ">": ">", "==": "=", "!=": "≠"}[c.relation]
    if all(isinstance(t, Constant | Parameter) for t in left) and right:
        left, right, relation = right, left, {"≥": "≤", ">": "<"}.get(relation, relation)
    return f"{_total(left)} {relation} {_total(right)}"


def _total(terms: Sequence[Expression]) -> str:
    shown = [t for t in terms if not (isinstance(t, Constant) and not np.any(t.values))]
    return " + ".join(_text(t, 0, DEPTH) for t in shown) if shown else "0"


def _terms(e: Expression) -> list[tuple[int, Expression]]:
    """Return signed terms whose sum is the expression."""
    match cast(EveryExpression, seen_through(e)):
        case Sum(left, right):
            return [*_terms(left), *_terms(right)]
        case Product(left, right) if _everywhere(left) == -1:
            return [(-sign, t) for sign, t in _terms(right)]
        case Constant(values) if any(v < 0 for v in values.flat) and all(v <= 0 for v in values.flat):
            return [(-1, Constant(-values))]
        case other:
            return [(1, other)]


def _everywhere(e: Expression) -> Fraction | None:
    """Return the number that a constant expression is in every element, else None."""
    if isinstance(e, Constant) and e.values.size:
        first = e.values.flat[0]
        return first if all(v == first for v in e.values.flat) else None
    return None


def seen_through(e: Expression) -> Expression:
    """Return what is behind reshaping and broadcasting."""
    while isinstance(e, Gather) and (e.argument.size == 1 or np.array_equal(e.index.reshape(-1), np.arange(e.argument.size))):
        e = e.argument
    return e


def text_of(e: Expression) -> str:
    """Return an expression as text on one line."""
    return _text(e, 0, DEPTH)


def _text(expression: Expression, level: int, depth: int) -> str:
    """Return an expression as text; in brackets if it is a sum and `level` is above 0. Level 1 is a factor, level 2 takes a suffix."""
    if depth == 0:
        return "…"
    e = cast(EveryExpression, seen_through(expression))

    def inner(x: Expression, within: int = 0) -> str:
        return _text(x, within, depth - 1)

    if isinstance(e, RealOnly | Absolute | NonZero | Floor):
        return _function_text(e, depth)

    match e:
        case Constant(values):
            return _number_text(summary(values), level)
        case Parameter(name) | Variable(name):
            return name
        case Output(application, stage, tap):
            return _application(application, stage, tap, depth - 1)
        case Code(argument):
            return f"{inner(argument, 2)}.code"
        case Sum():
            return _sum(e, level, depth)
        case Product(left, right):
            text = f"-{inner(right, 2)}" if _everywhere(left) == -1 else f"{inner(left, 1)}·{inner(right, 1)}"
            return text if level < 2 else f"({text})"
        case Gather(argument, index):
            return inner(argument, 2) + _index(seen_through(argument), index.reshape(-1).tolist())
        case Join(parts):
            return f"({', '.join(inner(p) for p in parts)})"
        case Reduce(argument, kind):
            text = inner(argument)
            return f"{kind}{text}" if isinstance(seen_through(argument), Absolute) else f"{kind}({text})"
        case _:
            assert_never(e)


def _number_text(text: str, level: int) -> str:
    return f"({text})" if level and text.startswith("-") else text


def _function_text(e: RealOnly | Absolute | NonZero | Floor, depth: int) -> str:
    match e:
        case Absolute(argument):
            return f"|{_text(argument, 0, depth - 1)}|"
        case NonZero(argument):
            return f"[{_text(argument, 0, depth - 1)} ≠ 0]"
        case Floor(argument):
            return f"⌊{_text(argument, 0, depth - 1)}⌋"
        case RealVariable(name):
            return name
        case RealOutput(application, stage):
            return _application(application, stage, "output", depth - 1)
        case Applied(function, argument):
            return f"{function.value}({_text(argument, 0, depth - 1)})"
        case SoftmaxOf(argument):
            return f"softmax({_text(argument, 0, depth - 1)})"
        case _:
            assert_never(e)


def _sum(e: Sum, level: int, depth: int) -> str:
    terms = sorted(_terms(e), key=lambda t: -t[0])
    first = _text(terms[0][1], 1, depth - 1)
    text = first if terms[0][0] > 0 else f"-{first}"
    for sign, term in terms[1:]:
        text += f" {'+' if sign > 0 else '−'} {_text(term, 1, depth - 1)}"
    return f"({text})" if level else text


def _application(a: Application | RealApplication, stage: str, tap: str, depth: int) -> str:
    arguments = [_text(x, 0, depth) for x in a.arguments]
    if a.parameters:
        arguments.append("free " + " and ".join(".".join(key) for key, _ in a.parameters))
    outputs = [a.network.stages[o].name for o in a.network.outputs]
    inner = "" if tap == "output" and outputs == [stage] else f".{stage}" + ("" if tap == "output" else f" ({tap})")
    return f"{a.network.name}({', '.join(arguments)}){inner}"


def _index(argument: Expression, index: list[int]) -> str:
    """Return the suffix that selects these flat positions."""
    if isinstance(argument, Variable):
        for name, start, stop in argument.features:
            if index == list(range(start, stop)):
                return f"[{name!r}]"
    if len(index) == 1:
        return f"[{', '.join(str(k) for k in np.unravel_index(index[0], argument.shape))}]"
    if all(b == a + 1 for a, b in pairwise(index)):
        return ("" if len(argument.shape) == 1 else ".flatten()") + f"[{index[0]}:{index[-1] + 1}]"
    kept = sorted(set(index))
    return "" if len(kept) == argument.size else f"[{len(kept)} of {argument.size}]"
