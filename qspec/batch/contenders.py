"""Who is compared: a solver, the theory in which it is asked, and options of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from qspec.errors import SpecError
from qspec.solver import Solver, get_solver
from qspec.support.checks import listed
from qspec.verify.options import SearchOptions, Settings

Contender = str | Solver | tuple[str | Solver | Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender that can be asked: its name in tables, and all options."""

    name: str
    settings: Settings


def entrants(given: Sequence[Contender], options: Mapping[str, Any]) -> list[Entrant]:
    """Return those that are asked, with options for all; raises SpecError on a contender that is none, or if there is nobody."""
    found = [_entrant(one, options) for one in listed(given, "solvers")]
    if not found:
        raise SpecError("nobody is asked", given=given, expected="at least one solver")
    return found


def _entrant(given: Contender, options: Mapping[str, Any]) -> Entrant:
    parts = cast("tuple[Any, ...]", given if isinstance(given, tuple) else (given,))
    solver, *rest = parts or (None,)
    theory = [p for p in rest if isinstance(p, str)]
    own: list[Mapping[str, Any]] = [cast("Mapping[str, Any]", p) for p in rest if isinstance(p, Mapping)]
    if solver is None or len(theory) > 1 or len(own) > 1 or len(theory) + len(own) < len(rest) or isinstance(solver, Mapping):
        raise SpecError("no contender", given=given, expected='a solver, or a tuple such as ("z3", "QF_BV", {"split": True})')
    extra: Mapping[str, Any] = own[0] if own else {}
    chosen: dict[str, Any] = {**options, **({"theory": theory[0]} if theory else {}), **extra}
    settings = replace(Settings.of(chosen, SearchOptions, attack=False), solver=solver)
    words = [get_solver(solver).name, *theory, *(f"{k}={v}" for k, v in extra.items())]
    return Entrant(" ".join(words), settings)
