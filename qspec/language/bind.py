"""Give the parameters of a property their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from qspec.errors import SpecError
from qspec.language.connectives import Conjunction
from qspec.language.expressions import (
    Absolute,
    Comparison,
    Constant,
    Gather,
    NonZero,
    Product,
    Reduce,
    Sum,
)
from qspec.language.parameters import Substitution
from qspec.language.property import Property
from qspec.language.variables import (
    RealVariable,
    Variable,
)
from qspec.support import checks


def bind(spec: Property, values: Mapping[str, object] | None = None) -> Property:
    """Return the property with every parameter replaced by its value; raises SpecError, with all their names, if some have none.

    `values` are those that the property has (`Property.at`), unless given.
    """
    checks.kind(spec, Property, "a property", "qs.forall(…), qs.exists(…) or a named property")
    binder = Substitution(spec.values if values is None else values)
    try:
        for r in spec.requires:
            r.check(binder.expression(r.value))
        bound = replace(spec, given=binder.formula(spec.given), then=binder.formula(spec.then), requires=())
    except RecursionError:
        raise SpecError("an expression is nested too deeply", given=spec.name, expected="qs.sum, qs.all, qs.any over arrays") from None
    if missing := list(dict.fromkeys(binder.missing)):
        ways = f"spec.at({', '.join(f'{n}=…' for n in missing)}), or --param {missing[0]}=…"
        raise SpecError("a parameter has no value", given=", ".join(missing), expected=ways)
    _check_distances(bound)
    _check_variables(spec, binder.variables)
    _check_reals(spec, binder.reals)
    return bound


def _check_distances(spec: Property) -> None:
    """Raise SpecError if a distance is assumed to be at most a negative number, so that nothing meets the assumption."""
    for f in spec.given.children if isinstance(spec.given, Conjunction) else (spec.given,):
        match f:
            case Comparison(Sum(Constant(limit), Product(Constant(), Reduce(Gather(Absolute() | NonZero())))), ">=" | ">"):
                if limit.size == 1 and limit.item() < 0:
                    raise SpecError("a distance is never below zero", given=f"at most {limit.item()}", expected="a radius of at least 0")
            case _:
                pass


def _check_variables(spec: Property, used: list[Variable]) -> None:
    """Raise SpecError on a variable that is not quantified, or that only shares its name with the quantified one."""
    quantified = {v.name: v for v in spec.variables}
    for v in used:
        if v.name not in quantified:
            raise SpecError(
                "a variable is not quantified", given=v.name, expected=", ".join(quantified), advice="list it in forall(…) or exists(…)"
            )
        if v is not quantified[v.name] and not _alike(v, quantified[v.name]):
            raise SpecError(
                "two different variables have one name",
                given=v.name,
                expected="the quantified variable itself",
                advice="name each input apart",
            )


def _check_reals(spec: Property, used: list[RealVariable]) -> None:
    """Raise SpecError on a real variable that is not quantified, or that only shares its name with the quantified one."""
    quantified = {v.name: v for v in spec.reals}
    for v in used:
        own = quantified.get(v.name)
        if own is None:
            names = ", ".join(quantified) or "no real variables"
            raise SpecError("a variable is not quantified", given=v.name, expected=names, advice="list it in forall(…) or exists(…)")
        if v is not own and not all(np.array_equal(a, b) for a, b in ((v.lower, own.lower), (v.upper, own.upper))):
            raise SpecError(
                "two different variables have one name",
                given=v.name,
                expected="the quantified variable itself",
                advice="name each input apart",
            )


def _alike(a: Variable, b: Variable) -> bool:
    """Return whether two variables of one name have the same type and the same domain."""
    if a.type != b.type or len(a.domain.pieces) != len(b.domain.pieces):
        return False
    return all(
        type(p) is type(q) and all(np.array_equal(getattr(p, f.name), getattr(q, f.name)) for f in fields(p))
        for p, q in zip(a.domain.pieces, b.domain.pieces, strict=True)
    )
