"""Many queries at once: properties times parameters, on every core, each result kept as soon as there is one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import product
from typing import Unpack, cast

from qspec.batch.progress import tally
from qspec.batch.store import Store, opened
from qspec.batch.worker import Death, Job, Reply, Task, Worker
from qspec.deadline import Deadline, tell
from qspec.errors import QspecError, SolverMissingError, SoundnessError, SpecError
from qspec.language.property import Property
from qspec.language.traversal import networks
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.plain import document
from qspec.support.watch import stop_if_cancelled
from qspec.verify.decide import default_solver
from qspec.verify.feature_rows import rows_of
from qspec.verify.options import Options, Settings
from qspec.verify.result import Evidence, Result, Verdict

Specs = Property | Sequence[Property] | Mapping[str, Property]
Values = Mapping[str, object]
Over = Iterable[Values] | Mapping[str, Iterable[object]]
Tags = Callable[[Task, Result], Mapping[str, object]]
"""What to write beside a result, as JSON values: how somebody who asks many batches finds it again."""

LIMITS = ("timeout", "memory")
"""Options that decide only whether an UNKNOWN is asked again."""


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What came of one query.

    `index` counts queries in the order of `over` (and of properties, for each of its elements), `key` identifies the query with the
    options that its verdict may depend on, `resumed` says that the result was in the store before.
    """

    index: int
    name: str
    key: str
    parameters: Values
    outcome: Result | QspecError
    resumed: bool = False

    @property
    def result(self) -> Result:
        """The result; raises the error if there is one instead."""
        if isinstance(self.outcome, QspecError):
            raise self.outcome
        return self.outcome

    @property
    def error(self) -> QspecError | None:
        """What was wrong with this query, if it could not be asked."""
        return self.outcome if isinstance(self.outcome, QspecError) else None

    @property
    def verdict(self) -> Verdict:
        """The verdict; UNKNOWN if there is an error instead of a result."""
        return self.outcome.verdict if isinstance(self.outcome, Result) else Verdict.UNKNOWN

    @property
    def reason(self) -> Reason | None:
        """Why the verdict is unknown; None also if there is an error."""
        return self.outcome.reason if isinstance(self.outcome, Result) else None

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.finished/1`; exact numbers stay exact, an error is its text."""
        return document(self, "qspec.finished/1")

    def __str__(self) -> str:
        return f"query {self.index}: {self.outcome}"


def together(**columns: Iterable[object]) -> list[dict[str, object]]:
    """Return one mapping for each row of some columns: what belongs together, such as an image and its label.

    Arrays are read along their first axis. Raises SpecError if the columns are not equally long.
    """
    lists = {name: _elements(name, values) for name, values in columns.items()}
    if len({len(v) for v in lists.values()}) > 1:
        raise SpecError(
            "columns of different lengths", given={k: len(v) for k, v in lists.items()}, expected="a value in each for every row"
        )
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def grid(*parts: Iterable[Values], **columns: Iterable[object]) -> list[dict[str, object]]:
    """Return every combination: of an element of each part and a value of each column, the last one changing fastest.

    Raises SpecError if a name occurs twice.
    """
    axes = [[dict(element) for element in part] for part in parts]
    if not all(axes):
        raise SpecError("no values in a part of a grid", given="an empty list", expected="at least one mapping of names to values")
    axes += [[{name: value} for value in _elements(name, values)] for name, values in columns.items()]
    found: list[dict[str, object]] = []
    for combination in product(*axes):
        merged = {k: v for element in combination for k, v in element.items()}
        if len(merged) < sum(map(len, combination)):
            raise SpecError("a parameter occurs twice in a grid", given=[sorted(e) for e in combination], expected="names that differ")
        found.append(merged)
    return found


def _elements(name: str, values: Iterable[object]) -> list[object]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(
            f"no values for {name!r}", given=cast(object, values), expected="a list or an array of values", advice=f"{name}=[…]"
        )
    found = list(values)
    if not found:
        raise SpecError(f"no values for {name!r}", given="an empty list", expected="at least one", advice=f"{name}=[…]")
    return found


def verify_many(
    spec: Specs,
    over: Over,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **options: Unpack[Options],
) -> Generator[Finished]:
    """Verify properties for many values of their parameters; yields each result as it comes, in any order.

    `over` are mappings of parameter values, or one mapping of names to lists, of which every combination is taken. Each property of
    `spec` is asked for each of them. `workers` processes share the queries (default: one for each core; 1: this process). With an
    `executor` of `concurrent.futures`, or of a cluster, its workers do, and `workers` is how many queries it has at once. `store` is a
    file to which every result is written at once; queries that it settles are not asked again. `options` are those of `verify`; the solver
    "falsify" is `falsify`, a search only.

    An error of one query comes as `Finished.error` and loses no other query; a SoundnessError is raised, too, when all others are
    done. A query whose worker dies twice is UNKNOWN (CRASH). Closing the generator, or an interruption, stops the workers; so does a
    `Watch` that is cancelled, which raises CancelledError. Raises SpecError on malformed arguments, or a store that cannot be used, and
    SolverMissingError if the solver cannot run.
    """
    properties = properties_of(spec)
    checks.flag(progress, "progress")
    settings = Settings.of(options)
    usual = {default_solver(p) for p in properties}
    if settings.solver is None and len(usual) == 1:  # of mixed properties each has its own
        settings = replace(settings, solver=usual.pop())
    elements = values_of(over)
    return Batch(properties, settings, elements, workers, executor=executor).run(store, progress)


def values_of(over: Over) -> Iterable[Values]:
    """Return values of parameters as mappings, one for each element; raises SpecError on what is none, and if there is nothing."""
    elements = grid(**cast(Mapping[str, Iterable[object]], over)) if isinstance(over, Mapping) else over
    if isinstance(elements, str) or not isinstance(elements, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(
            "not values of parameters", given=repr(elements), expected="mappings of names to values", advice="qs.grid, qs.together"
        )
    if isinstance(elements, Sized) and not len(elements):
        raise SpecError("there is nothing to ask", given="no values of parameters", expected="at least one mapping of names to values")
    return elements


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(workers: int | None, executor: Executor | None) -> int:
    """Return how many queries are asked at once; raises SpecError on an executor that is none, or does not say how many it can do."""
    size = checks.workers(workers)
    if executor is None:
        return size or cores()
    if not isinstance(executor, Executor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(
            "not an executor", given=executor, expected="a concurrent.futures.Executor", advice="client.get_executor(pure=False)"
        )
    size = size or getattr(executor, "_max_workers", None)  # those of the standard library say it there
    if size is None:
        raise SpecError(
            "nobody knows how many workers this executor has", given=executor, expected="workers=…: how many queries it has at once"
        )
    return size


def properties_of(spec: Specs) -> tuple[Property, ...]:
    """Return the properties of an argument that is one or several; keys of a dictionary are their names. Raises SpecError."""
    found = spec if isinstance(spec, Mapping) else dict(enumerate(spec if isinstance(spec, Sequence) else [spec]))
    stray = [p for p in found.values() if not isinstance(p, Property)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if not found or stray:
        raise SpecError(
            "not a property", given=repr(stray[0]) if stray else "none", expected="a property, or a list or dictionary of properties"
        )
    return tuple(replace(p, name=name) if isinstance(name, str) else p for name, p in found.items())


def _stamp(settings: Settings) -> str:
    """Return the options that a verdict may depend on, as text; limits are not among them."""
    return json.dumps({k: v for k, v in settings.plain().items() if k not in LIMITS}, sort_keys=True)


class Batch:
    """What is asked, and how; `run` asks it. Raises SpecError on options that are none, or no number of workers (None: one a core)."""

    def __init__(
        self,
        properties: tuple[Property, ...],
        settings: Settings,
        over: Iterable[Values],
        workers: int | None,
        tags: Tags | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._properties = properties
        self._networks = [tuple(networks(p)) for p in properties]
        self._settings = settings
        self._stamp = _stamp(settings)
        self._limits = settings.limits
        self._over = over
        self._workers = _size(workers, executor)
        self._executor = executor
        self._watched = Deadline.after()
        self._tags = tags

    def run(self, where: str | os.PathLike[str] | None, progress: bool) -> Generator[Finished]:
        """Yield what came of each query; raises a SoundnessError among them at the end, however that comes about."""
        unsound: list[QspecError] = []
        with ExitStack() as stack:
            store = None if where is None else stack.enter_context(opened(where))
            count = stack.enter_context(tally(self._total())) if progress else None
            finished_ones = stack.enter_context(closing(self._finished(store)))
            try:
                for done, finished in enumerate(finished_ones, 1):
                    tell("queries", done, self._total())
                    if isinstance(finished.error, SolverMissingError):
                        raise finished.error
                    if isinstance(finished.error, SoundnessError):
                        unsound.append(finished.error)
                    if count is not None:
                        count("errors" if finished.error else finished.verdict.name, *["resumed"] * finished.resumed)
                    yield finished
            except BaseException as error:
                if unsound:
                    raise unsound[0] from error
                raise
        if unsound:
            raise unsound[0]

    def _total(self) -> int | None:
        return len(self._over) * len(self._properties) if isinstance(self._over, Sized) else None

    def _tasks(self) -> Iterator[Task]:
        k = -1
        for k, values in enumerate(self._over):
            if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError(
                    "not values of parameters", given=values, expected="mappings of names to values", advice="qs.grid, qs.together"
                )
            for position in range(len(self._properties)):
                yield Task(k * len(self._properties) + position, position, dict(values))
        if k < 0:
            raise SpecError("there is nothing to ask", given="no values of parameters", expected="at least one mapping of names to values")

    def _finished(self, store: Store | None) -> Generator[Finished]:
        settled = frozenset[str]() if store is None else store.settled(self._limits)
        job = Job(self._properties, self._settings, self._stamp, settled)
        with closing(self._answers(job)) as answers:
            for task, reply in answers:
                yield self._finish(task, reply, store)

    def _answers(self, job: Job) -> Generator[tuple[Task, Reply | Death]]:
        """Yield what came of each task, whoever does it."""
        if self._executor is not None:
            from qspec.batch.hired import Hired

            yield from Hired(job, self._executor, self._workers, self._watched).answers(self._tasks())
        elif self._workers == 1:
            worker = Worker(job)
            for task in self._tasks():
                stop_if_cancelled(self._watched)
                yield task, worker.answer(task, _nobody)
        else:
            from qspec.batch.pool import Pool

            yield from Pool(job, self._workers, self._watched).answers(self._tasks())

    def _finish(self, task: Task, reply: Reply | Death, store: Store | None) -> Finished:
        """Return what came of a task; a result that is new is on the disk before anybody sees it."""
        name = self._properties[task.position].name
        if isinstance(reply, Reply) and reply.failure is not None:
            return Finished(task.index, name, reply.key, task.parameters, reply.failure.error())
        resumed = False
        if isinstance(reply, Death):
            result = self._crashed(task, reply)
            text = json.dumps(result.to_dict())
        else:
            text = reply.result
            resumed = not text
            result = cast(Store, store).result(reply.key) if resumed else Result.from_dict(json.loads(text))
        if store is not None:
            store.keep(reply.key, task.index, text if reply.key else "", {} if self._tags is None else self._tags(task, result))
        spec = self._properties[task.position]
        values = {**spec.values, **task.parameters}
        rows = rows_of(spec.variables, result.codes, values)
        result = replace(result, name=name, parameters=values, networks=self._networks[task.position], rows=rows)
        return Finished(task.index, name, reply.key, task.parameters, result, resumed)

    def _crashed(self, task: Task, death: Death) -> Result:
        spec = self._properties[task.position]
        return Result(
            Verdict.UNKNOWN,
            spec.kind,
            spec.name,
            Evidence.NONE,
            reason=Reason.CRASH,
            detail=death.said,
            solver=self._settings.name,
            limits=self._limits,
            parameters={**spec.values, **task.parameters},
            networks=self._networks[task.position],
        )


def _nobody(_: str) -> None:
    """Listen to keys where nobody needs them beforehand."""
