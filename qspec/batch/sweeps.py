"""Sweep over numbers of bits: one network at many widths or formats, every property asked of each, by every method.

Source: Giacobbe, Henzinger, Lechner, TACAS 2020, whose experiments compare exact verdicts with those of a search and of the real network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from numbers import Integral
from typing import Unpack, cast

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding, round_ratio
from qspec.batch.curves import BitStep, Judged, Share, judged, shares, steps, truths
from qspec.batch.many import Batch, Finished, Values
from qspec.batch.progress import tally
from qspec.batch.records import ERROR, REAL, Bits, Record, of_line
from qspec.batch.worker import Task
from qspec.errors import SolverMissingError, SpecError
from qspec.face import Network
from qspec.ir.real import fractions
from qspec.language.interpret import witnesses
from qspec.language.property import Property, bind
from qspec.language.traversal import is_real, real_networks
from qspec.quantization.accuracy import Labelled, accuracy, real_accuracy
from qspec.quantization.agreement import LEAST, DecisionAgreement
from qspec.quantization.calibrate import kept, quietly
from qspec.solver import Reason, Solver
from qspec.support import checks
from qspec.support.checks import listed
from qspec.support.plain import plain
from qspec.support.tables import Tabular
from qspec.verify.options import DEFAULT_REAL, DEFAULT_SOLVER, SearchOptions, Settings
from qspec.verify.result import Result, Verdict, all_hold

Specs = Callable[[Network], Property | Iterable[Property]]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One number of bits or one format: its network, what must hold of it, and its accuracy, if samples with labels were given."""

    bits: Bits
    network: Network = field(repr=False)
    specs: Mapping[str, Property] = field(repr=False)
    accuracy: float | None = None
    agreement: DecisionAgreement | None = None
    """How far the network agrees with the real one on the samples of its calibration, if it comes from one."""


@dataclass(frozen=True, eq=False)
class Sweep(Tabular):
    """What came of a sweep: every result, flat; `records` are in the order of methods, samples, bits and properties."""

    levels: tuple[Level, ...]
    records: tuple[Record, ...]

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.sweep/1`; exact numbers stay exact."""
        reason = None if self.reason is None else self.reason.name
        return {"schema": "qspec.sweep/1", "verdict": self.verdict.name, "reason": reason, "text": str(self), "rows": plain(self.rows())}

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if a property is at some number of bits, HOLDS if all are proved at all of them, else UNKNOWN; by exact methods."""
        true = truths(self.records)
        return all_hold(true.get((r.bits, r.subject), Verdict.UNKNOWN) for r in self.records if r.bits is not None)

    @property
    def reason(self) -> Reason | None:
        """INCOMPLETE if the verdict is unknown; the rows say more."""
        return Reason.INCOMPLETE if self.verdict is Verdict.UNKNOWN else None

    @cached_property
    def shares(self) -> list[Share]:
        """The verdicts of every method at every number of bits."""
        return shares(self.records)

    @cached_property
    def steps(self) -> list[BitStep]:
        """What is lost and gained from each number of bits to the next; `BitStep.monotone` is False where more bits have cost something."""
        return steps(self.records)

    @cached_property
    def judged(self) -> list[Judged]:
        """How often each method is right; raises SoundnessError if two exact verdicts contradict each other."""
        return judged(self.records)

    @property
    def vacuous(self) -> tuple[Record, ...]:
        """The results that hold only because nothing meets the assumption."""
        return tuple(r for r in self.records if r.vacuous)

    def rows(self) -> list[dict[str, object]]:
        """Return a flat dictionary for each result: who was asked what at how many bits, the verdict, its grounds, seconds, accuracy."""
        return [
            {
                "id": r.id,
                "bits": r.bits,
                "method": r.method,
                "spec": r.name,
                "sample": r.sample,
                "verdict": r.verdict.name,
                "evidence": r.evidence,
                "reason": r.reason,
                "detail": r.detail,
                "vacuous": r.vacuous,
                "seconds": r.seconds,
                "accuracy": r.accuracy,
            }
            for r in self.records
        ]

    def __str__(self) -> str:
        lines = [
            f"{'real' if s.bits is None else s.bits!s:>6}  {s.method:<10}"
            + "".join(f"  {len(s.of(v)):>4} {v.name}" for v in Verdict)
            + ("" if s.accuracy is None else f"  accuracy {s.accuracy:.4f}")
            for s in self.shares
        ]
        lines += [f"more bits, fewer hold: {len(s.lost)} from {s.before} to {s.after} bits" for s in self.steps if s.lost]
        return "\n".join([*lines, *self.warnings])

    @property
    def warnings(self) -> list[str]:
        """A sentence for each number of bits that keeps less than 99 % of the real network's decisions, and one if results are vacuous."""
        low = [(level.bits, level.agreement) for level in self.levels if level.agreement is not None and level.agreement.share < LEAST]
        empty = [f"{len(self.vacuous)} of those that hold do so vacuously: nothing meets the assumption"] if self.vacuous else []
        return [*(f"{bits} bits: only {found.sentence}" for bits, found in low), *empty]


def sweep(
    make: Callable[[int], Network] | Mapping[Bits, Network],
    specs: Specs,
    *,
    bits: Iterable[int] | None = None,
    samples: Iterable[Values] = ({},),
    solvers: Sequence[str | Solver] = (DEFAULT_SOLVER,),
    real: Property | Mapping[str, Property] | None = None,
    real_solver: str | Solver = DEFAULT_REAL,
    labelled: Labelled | None = None,
    workers: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **options: Unpack[SearchOptions],
) -> Sweep:
    """Ask every property that `specs` returns of the network at every number of `bits`, for every one of `samples`, by every solver.

    `make` returns the network for a number of bits, as a calibration does (`RealNetwork.calibrate`), or is a mapping of numbers of bits, or
    of names of formats, to networks. `samples` are values of the properties' parameters. The solver "falsify" only searches. `real` is the
    same property of the real network, with the same parameters (of several properties a mapping by their names), decided by `real_solver`.
    `labelled` are input codes, shape (n, *input shape), and their n classes, for the accuracy. `workers`, `store` and `progress` are
    as in `verify_many`, `options` those of `verify`.

    A query that could not be asked is a record with the reason ERROR. Raises SpecError on malformed arguments, SolverMissingError if a
    solver cannot run, and SoundnessError as `verify_many` does.
    """
    checks.function(specs, "`specs`", "a function from a network to properties")
    levels = _levels(make, specs, None if bits is None else listed(bits, "bits"), labelled)
    points = checks.mappings(samples, "samples")
    asked = list(listed(solvers, "solvers"))
    if not points or not asked:
        raise SpecError("nothing to ask", given=f"{len(points)} samples, {len(asked)} solvers", expected="at least one of each")
    settings = Settings.of(options, SearchOptions)
    batches = [_batch(levels, points, replace(settings, solver=s), workers) for s in asked]
    if real is not None:
        batches.append(_real_batch(levels, _reals(real, levels), points, real_solver, labelled, settings, workers))
    records: list[Record] = []
    with ExitStack() as stack:
        count = stack.enter_context(tally(sum(n for n, _ in batches))) if progress else None
        for _, batch in batches:
            found: list[tuple[int, Record]] = []
            for finished, tags in batch(store):
                found.append((finished.index, _record(finished, tags)))
                if count is not None:
                    count("errors" if finished.error else finished.verdict.name, *["resumed"] * finished.resumed)
            records += [r for _, r in sorted(found, key=lambda pair: pair[0])]
    return Sweep(levels, tuple(replace(r, id=k) for k, r in enumerate(records)))


Asking = Callable[[str | os.PathLike[str] | None], Iterator[tuple[Finished, Mapping[str, object]]]]


def _levels(
    make: Callable[[int], Network] | Mapping[Bits, Network],
    specs: Specs,
    bits: Sequence[Bits] | None,
    labelled: Labelled | None,
) -> tuple[Level, ...]:
    if isinstance(make, Mapping):
        given = cast("Mapping[Bits, Network]", make)
        wanted = given if bits is None else [b for b in bits if isinstance(b, str | Integral)]
        chosen = {b: n for b, n in given.items() if b in wanted}
    else:
        checks.function(make, "`make`", "a function from a number of bits to a network, or a mapping")
        made = quietly(make)
        chosen = {b: made(b) for b in sorted(set(checks.integers(bits or (), "bits")))}
    if not chosen:
        raise SpecError("no numbers of bits", given=bits, expected="at least one", advice="bits=range(6, 11)")
    levels: list[Level] = []
    for b, network in chosen.items():
        if not isinstance(network, Network):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError(f"`make` returned no network for {b} bits", given=network, expected="a Network")
        made = specs(network)
        found = (made,) if isinstance(made, Property) else listed(made, "specs")
        names = {p.name: p for p in found}
        if not found or len(names) < len(found):
            raise SpecError(
                "`specs` returned properties without names of their own", given=[p.name for p in found], expected="at least one"
            )
        right = None if labelled is None else accuracy(network, labelled)
        levels.append(Level(b, network, names, right, kept(cast(object, make), network)))
    if len({tuple(level.specs) for level in levels}) > 1:
        raise SpecError("`specs` returns other properties for other bits", given=[list(v.specs) for v in levels], expected="the same names")
    return tuple(levels)


def _batch(levels: Sequence[Level], points: Sequence[Values], settings: Settings, workers: int | None) -> tuple[int, Asking]:
    """Return how many queries one solver is asked about the quantised networks, and who asks them."""
    method = settings.name
    places = [(level, name) for level in levels for name in level.specs]

    def tags(task: Task, _: Result | None) -> dict[str, object]:
        level, name = places[task.position]
        notes = {} if level.accuracy is None else {"notes": {"accuracy": level.accuracy}}
        return {"bits": level.bits, "spec": name, "sample": task.index // len(places), "method": method, **notes}

    properties = tuple(level.specs[name] for level, name in places)
    return len(places) * len(points), partial(_ask, properties, settings, points, workers, tags)


def _real_batch(
    levels: Sequence[Level],
    specs: Mapping[str, Property],
    points: Sequence[Values],
    solver: str | Solver,
    labelled: Labelled | None,
    given: Settings,
    workers: int | None,
) -> tuple[int, Asking]:
    """Return how many queries are asked about the real network, and who asks them; each tells whose codes keep its counterexample."""
    names = list(specs)
    used = next(iter(real_networks(specs[names[0]])), None)
    share = None if used is None or labelled is None else real_accuracy(used, levels[0].network, labelled)

    def tags(task: Task, result: Result | None) -> dict[str, object]:
        name = names[task.position]
        notes: dict[str, object] = {} if share is None else {"accuracy": share}
        if result is not None and result.point is not None:
            notes["survives"] = {str(level.bits): survives(level.specs[name], task.parameters, result) for level in levels}
        return {"spec": name, "sample": task.index // len(names), "method": REAL, "notes": notes}

    settings = Settings(solver=solver, timeout=given.timeout, memory=given.memory, seed=given.seed, delta=given.delta)
    return len(names) * len(points), partial(_ask, tuple(specs.values()), settings, points, workers, tags)


def _ask(
    properties: tuple[Property, ...],
    settings: Settings,
    points: Sequence[Values],
    workers: int | None,
    tags: Callable[[Task, Result | None], dict[str, object]],
    store: str | os.PathLike[str] | None,
) -> Iterator[tuple[Finished, Mapping[str, object]]]:
    for finished in Batch(properties, settings, points, workers, tags).run(store, progress=False):
        if isinstance(finished.error, SolverMissingError):
            raise finished.error
        task = Task(finished.index, finished.index % len(properties), finished.parameters)
        yield finished, tags(task, finished.outcome if isinstance(finished.outcome, Result) else None)


def _reals(real: Property | Mapping[str, Property], levels: Sequence[Level]) -> dict[str, Property]:
    """Return the properties of the real network by the names of those that they stand for."""
    names = list(levels[0].specs)
    found = {names[0]: real} if isinstance(real, Property) else dict(real)
    stray = [n for n in found if n not in names]
    if stray or not found or (isinstance(real, Property) and len(names) > 1):
        raise SpecError("not the properties that `specs` returns", given=list(found), expected=f"a mapping by name: {', '.join(names)}")
    plain = next((n for n, p in found.items() if not is_real(p)), None)
    if plain is not None:
        raise SpecError(f"`real` is about no real network: {plain}", given=found[plain].name, expected="a property of RealNetwork(…)")
    return found


def survives(spec: Property, parameters: Values, result: Result) -> bool:
    """Return whether a counterexample of a real network, rounded to codes, is one of this property: with the same variables, by name."""
    bound = bind(spec.at(**parameters))
    found = {**(result.codes or {}), **(result.point or {})}
    codes: dict[str, IntArray] = {}
    for v in bound.variables:
        if v.name not in found or np.asarray(found[v.name]).shape != v.shape:
            return False
        units, zeros = v.type.grid.per_element(v.shape)
        ratios = [value / unit for value, unit in zip(fractions(found[v.name]).reshape(-1).tolist(), units, strict=True)]
        rounded = round_ratio(
            np.array([r.numerator for r in ratios], dtype=object), np.array([r.denominator for r in ratios], dtype=object), Rounding.RND
        )
        codes[v.name] = integers(rounded + zeros).reshape(v.shape)
    return witnesses(bound, codes)


def _record(finished: Finished, tags: Mapping[str, object]) -> Record:
    """Return what came of a query, flat."""
    if isinstance(finished.outcome, Result):
        return of_line(0, {"key": finished.key, "index": finished.index, "tags": tags, "result": finished.outcome.to_dict()})
    name, sample, bits = (tags.get(k) for k in ("spec", "sample", "bits"))
    subject = f"{name} {sample}"
    return Record(
        0,
        str(name),
        subject,
        f"{subject} @ {bits}",
        str(tags["method"]),
        Verdict.UNKNOWN,
        "NONE",
        ERROR,
        str(finished.outcome),
        0.0,
        cast("Bits | None", bits),
        cast(int, sample),
        finished.parameters,
        cast("Mapping[str, object]", tags.get("notes", {})),
        {"tags": tags},
    )
