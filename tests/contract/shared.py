"""What all routes of an example have in common, made once: the compiled query, what passes leave of it, and its problem in each theory.

Compiling, passes and lowering depend on neither solver nor order, so that every route would make the same again. Sharing it also shows if
one of them changed what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from qspec.ir.integer import Query
from qspec.language.property import Property
from qspec.passes.pipeline import Pipeline, Reduction
from qspec.testing import Example
from qspec.theories import lowering
from qspec.verify import integers


@contextmanager
def once(example: Example) -> Generator[Example]:
    """Yield the example; while this lasts, its query is compiled, reduced and lowered once for each pipeline and theory."""
    kept: dict[Hashable, Any] = {}
    alive: list[object] = []  # keys are identities

    def remembered(make: Callable[[], Any], about: object, *key: Hashable) -> Any:
        if (id(about), *key) not in kept:
            alive.append(about)
            kept[id(about), *key] = make()
        return kept[id(about), *key]

    spec = example.make()
    compile_property, reduce, lower = integers.compile_property, Pipeline.run, lowering.lower_query

    def compiled(bound: Property, **options: Any) -> Any:
        return remembered(lambda: compile_property(bound, **options), spec)

    def reduced(pipeline: Pipeline, query: Query, deadline: Any = None) -> Reduction:
        return remembered(lambda: reduce(pipeline, query), query, tuple(p.name for p in pipeline.passes), pipeline.rounds)

    def lowered(part: Query, theory: str, *, linear: bool = True, deadline: Any = None) -> Any:
        return remembered(lambda: lower(part, theory, linear=linear), part, theory, linear)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "compile_property", compiled)
        patch.setattr(Pipeline, "run", reduced)
        patch.setattr(lowering, "lower_query", lowered)
        yield replace(example, make=lambda: spec)


def asked(example: Example, routes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the routes that differ for an example: one for each theory if passes decide it, since then no solver is asked about it."""
    decided = Pipeline().run(integers.compile_property(example.bound()).query).decided is not None
    return first_of_each_theory(routes) if decided else list(routes)


def first_of_each_theory(routes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return for each theory the first route that has it."""
    return [(name, theory) for theory, name in {theory: name for name, theory in reversed(routes)}.items()]
