"""The options of a verification: one list of names, meanings and defaults for every function and command that asks a solver.

Functions take them as keyword arguments, `**options: Unpack[Options]`, so that a dictionary of the type `Options` is one value that holds
them all. Parameters of a property are not among them: `spec.at(…)` gives those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from typing import Any, Literal, TypedDict, cast, get_args

from qspec.errors import SpecError
from qspec.solver import Limits, Solver, get_solver
from qspec.support import checks

DEFAULT_SOLVER = "bounds"
DEFAULT_REAL = "delta"
DELTA = 1e-3
Presolve = Literal["passes", "branch"]


class LimitOptions(TypedDict, total=False):
    """What a run may use: `timeout` in seconds of wall-clock time, `memory` in MiB (None: no limit), the `seed` of searches and solvers.

    `limits` is all three as one value, `qs.Limits`, instead.
    """

    timeout: float | None
    memory: int | None
    seed: int
    limits: Limits


class SearchOptions(LimitOptions, total=False):
    """How a property is decided, whichever solver is asked.

    `theory` is the logic in which the solver is asked, `attack` whether counterexamples are searched for first, `without` names passes that
    are switched off. `split` asks the solver about each way to violate the property on its own; `presolve="branch"` asks it only about what
    branch and bound of the native engine leaves open. `delta` is, over reals, by how much UNKNOWN may miss the property.
    """

    theory: str | None
    attack: bool
    without: Sequence[str]
    split: bool
    presolve: Presolve
    delta: float


class Options(SearchOptions, total=False):
    """Everything that `verify` and its relatives take beside the property; `solver` is a name or a solver, None the native one.

    `proof` is a folder: the solver writes proofs into it, and what holds only by a proof that no checker accepts is UNKNOWN.
    """

    solver: str | Solver | None
    proof: str | PathLike[str] | None


def unfolded(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with `limits` as the three that it stands for; raises SpecError if one of these is given as well."""
    options = dict(given)
    if "limits" not in options:
        return options
    limits = options.pop("limits")
    if not isinstance(limits, Limits):
        raise SpecError("no limits", given=limits, expected="qs.Limits(seconds, memory, seed)")
    parts = {"timeout": limits.seconds, "memory": limits.memory, "seed": limits.seed}
    if twice := sorted(set(parts) & set(options)):
        raise SpecError("limits are given twice", given=f"limits and {', '.join(twice)}", expected="one or the other")
    return options | parts


def limits_of(given: Mapping[str, Any]) -> tuple[float | None, int | None, int]:
    """Return timeout, memory and seed of options that are no others, as given or as they are by default; they are not checked."""
    names = LimitOptions.__annotations__
    if stray := sorted(set(given) - set(names)):
        raise SpecError("no such option", given=", ".join(stray), expected=", ".join(names))
    found = unfolded({"limits": Limits()}) | unfolded(given)
    return found["timeout"], found["memory"], found["seed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options, as given or as they are by default; raises SpecError on a malformed one."""

    solver: str | Solver | None = None
    theory: str | None = None
    timeout: float | None = 60.0
    memory: int | None = 8192
    seed: int = 0
    attack: bool = True
    without: tuple[str, ...] = ()
    split: bool = False
    presolve: Presolve = "passes"
    delta: float = DELTA
    proof: str | None = None

    def __post_init__(self) -> None:
        self.limits  # noqa: B018 - checks timeout, memory and seed
        checks.flag(self.attack, "attack")
        checks.flag(self.split, "split")
        checks.positive(self.delta, "delta")
        checks.choice(self.presolve, "presolving", get_args(Presolve))
        object.__setattr__(self, "without", checks.names(self.without, "without"))
        if self.theory is not None:
            checks.text(self.theory, "the theory")
        if self.proof is not None:
            object.__setattr__(self, "proof", fspath(checks.path(self.proof, "the folder for proofs")))
        if not isinstance(self.solver, str | None):
            get_solver(self.solver)

    @classmethod
    def of(cls, given: Mapping[str, Any], kind: type = Options, **defaults: object) -> Settings:
        """Return the settings that options of a `kind` stand for; raises SpecError on a name that is none of them."""
        known = kind.__annotations__
        if stray := sorted(set(given) - set(known)):
            raise SpecError(
                "no such option",
                given=", ".join(stray),
                expected=", ".join(known),
                advice=f"spec.at({stray[0]}=…) gives a parameter of the property its value",
            )
        return cls(**cast("dict[str, Any]", {**defaults, **unfolded(given)}))

    @property
    def limits(self) -> Limits:
        """The limits, as solvers see them."""
        return Limits(self.timeout, self.memory, self.seed)

    @property
    def name(self) -> str:
        """The name of the solver, empty if none is chosen."""
        return "" if self.solver is None else self.solver if isinstance(self.solver, str) else self.solver.name

    def resolved(self, default: str) -> Settings:
        """Return the settings with the solver itself instead of its name, that of `default` if none is chosen; raises as `get_solver`."""
        return replace(self, solver=get_solver(self.solver or default))

    def plain(self) -> dict[str, object]:
        """Return all options as a dictionary, the solver by its name."""
        every: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self)}
        return every | {"solver": self.name or None, "without": sorted(self.without)}

    def options(self) -> Options:
        """Return all options as `verify` takes them."""
        return cast(Options, {f.name: getattr(self, f.name) for f in fields(self)})
