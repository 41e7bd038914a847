"""`qspec verify-many`: decide the properties of a file for many values of their parameters, on every core."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import numpy as np

from qspec.batch.many import Finished, grid, together, verify_many
from qspec.batch.regression import baseline as read_baseline
from qspec.batch.regression import of_batch
from qspec.cli.gate import Gate
from qspec.cli.outcome import CommandOutput, Exit, overall, status
from qspec.cli.report import caveat
from qspec.cli.specs import choose, read_file, setting, split_target
from qspec.cli.terminal import painted, table
from qspec.errors import InternalError, SpecError
from qspec.files.atomic import check_plain
from qspec.language.property import Property
from qspec.support.json_text import parse
from qspec.verify.result import Verdict

MOST = 5
"""Errors printed in full."""


def run(
    *,
    target: str,
    over: Sequence[str],
    store: str | None,
    workers: int | None,
    dask: str | None,
    by: Sequence[str],
    param: Sequence[str],
    allow_vacuous: bool,
    fail_under: float | None,
    baseline: str | None,
    junit: str | None,
    **options: object,
) -> CommandOutput:
    """Return the verdict on all queries, a table of how many have which, errors of queries that could not be asked, and what changed."""
    gate = Gate(fail_under, baseline, junit)
    before = None if baseline is None else read_baseline(baseline)
    path, name = split_target(target)
    properties = choose(read_file(path).properties, name, path)
    queries = grid(*map(read_over, over), [dict(map(setting, param))])
    _check_names(properties, queries, by)
    shown = sys.stderr.isatty()
    with nullcontext((None, workers)) if dask is None else _cluster(dask, workers) as (executor, size):
        many = verify_many(properties, queries, store=store, workers=size, executor=executor, progress=shown, **options)  # pyright: ignore[reportArgumentType]
        done = list(many)
    results = [f.result for f in done if f.error is None]
    verdict = overall(results) if results else Verdict.UNKNOWN
    failed = [f for f in done if f.error is not None]
    parts = [painted(verdict.name) + caveat(results), summary(done, by), *([errors(failed)] if failed else [])]
    ended = status(verdict, results, allow_vacuous=allow_vacuous)
    if failed:
        ended = Exit.FAILURE if any(isinstance(f.error, InternalError) for f in failed) else Exit.USAGE
    added, ended = gate.passed(of_batch(done), before, path.stem, ended)
    return CommandOutput("\n\n".join([*parts, *added]), ended, lambda: {"verdict": verdict.name, "results": [f.to_dict() for f in done]})


def _cluster(address: str, workers: int | None) -> AbstractContextManager[tuple[Executor, int]]:
    from qspec.batch.cluster import dask_executor

    return dask_executor(address, workers)


def read_over(file: str) -> list[dict[str, object]]:
    """Return the parameter values in a file, one mapping for each query.

    `.json`: a list of objects, or one object of lists, of which every combination is taken. `.npz`: arrays whose rows belong together.
    `.csv`: a row for each, with the names of parameters above. Raises SpecError on anything else.
    """
    path = Path(file)
    check_plain(path, "a table of values")
    try:
        match path.suffix:
            case ".json":
                return _from_json(parse(path.read_bytes(), floats=str), file)
            case ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    return together(**{str(k): arrays[k] for k in arrays.files})
            case ".csv":
                with path.open(encoding="utf-8-sig", newline="") as rows:
                    return [dict(setting(f"{k}={v}") for k, v in row.items()) for row in csv.DictReader(rows, strict=True)]
            case _:
                raise SpecError("cannot read parameters from this", given=file, expected="a file .json, .npz or .csv")
    except (OSError, ValueError, EOFError, csv.Error, TypeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError("cannot read values of parameters", given=file, expected=f"see qspec verify-many --help ({error})") from None


def _from_json(content: object, file: str) -> list[dict[str, object]]:
    if isinstance(content, dict):
        return grid(**cast(Mapping[str, Sequence[object]], content))
    elements = cast(Sequence[object], content if isinstance(content, list) else [])
    objects = [dict(cast(Mapping[str, object], e)) for e in elements if isinstance(e, dict)]
    if not elements or len(objects) < len(elements):
        raise SpecError("no values of parameters", given=file, expected="a list of objects, or an object of lists")
    return objects


def _check_names(properties: Mapping[str, Property], queries: Sequence[Mapping[str, object]], by: Sequence[str]) -> None:
    """Raise SpecError, before anything takes time, if names that are given are not those of the parameters."""
    if not queries:
        raise SpecError("there is nothing to ask", given="no values", expected="--over FILE with at least one element")
    given = {name for query in queries for name in query}
    for label, spec in properties.items():
        wanted = set(spec.parameters)
        if given != wanted:
            raise SpecError(
                f"these are not the parameters of {label}",
                given=", ".join(sorted(given)),
                expected=", ".join(sorted(wanted)) or "none",
                advice="--over, --param, or FILE.py:NAME for one property only",
            )
    if stray := sorted(set(by) - given):
        raise SpecError("no such parameter to sort by", given=", ".join(stray), expected=", ".join(sorted(given)))


def summary(done: Sequence[Finished], by: Sequence[str]) -> str:
    """Return a table with a row for each property, and value of the parameters in `by`: how many queries ended how, and seconds spent."""
    counts: dict[tuple[str, ...], Counter[str]] = {}
    seconds: Counter[tuple[str, ...]] = Counter()
    for f in sorted(done, key=lambda f: f.index):
        group = (f.name, *(" ".join(str(np.asarray(f.parameters[k]).tolist()).split()) for k in by))
        counts.setdefault(group, Counter())["error" if f.error else f.verdict.name] += 1
        counts[group]["resumed"] += f.resumed
        counts[group]["vacuous"] += f.error is None and f.result.vacuous is True
        seconds[group] += 0.0 if f.error else f.result.times.total  # pyright: ignore[reportArgumentType]
    words = ("HOLDS", "VIOLATED", "UNKNOWN", "error")
    rows = [
        (*group, str(sum(c[w] for w in words)), *(str(c[w]) for w in words), str(c["resumed"]), f"{seconds[group]:.1f}")
        for group, c in counts.items()
    ]
    header = ("property", *by, "queries", "holds", "violated", "unknown", "errors", "resumed", "seconds")
    empty = sum(c["vacuous"] for c in counts.values())
    note = f"\n{empty} of those that hold do so vacuously: nothing meets the assumption" if empty else ""
    return table(header, rows, right=tuple(range(1, len(header)))) + note


def errors(failed: Sequence[Finished]) -> str:
    """Return what was wrong with queries that could not be asked."""
    lines = [f"query {f.index}, {f.name}: {f.error}" for f in sorted(failed, key=lambda f: f.index)[:MOST]]
    return "\n\n".join([*lines, *([f"{len(failed) - MOST} more errors are not shown"] if len(failed) > MOST else [])])
