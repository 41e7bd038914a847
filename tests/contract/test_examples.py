"""The list of examples is complete, and its verdicts are those of exhaustive enumeration."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_args

import numpy as np
import pytest

import qspec as qs
from qspec.compile.query import compile_property
from qspec.ir.reference import evaluate
from qspec.language.traversal import networks
from qspec.network.activations import Activation
from qspec.network.layers import Layer
from qspec.testing import EXAMPLES, Example, Mark, census
from tests.soundness.random_queries import solutions

LARGEST = 5000
"""Points of one example at most."""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_verdict_and_query_are_those_of_enumeration(example: Example) -> None:
    spec = example.bound()
    found = census(spec)
    assert found.verdict is example.verdict
    assert found.vacuous == (Mark.VACUOUS in example.marks)
    assert found.points <= LARGEST
    assert lifted(spec) == found.solutions


def lifted(spec: qs.Property) -> set[tuple[int, ...]]:
    """Return the codes of all variables of every solution of the compiled query."""
    compiled = compile_property(spec)
    rows = solutions(compiled.query)
    ends = np.cumsum([node.lower.size for node in compiled.query.inputs.values()])[:-1]
    values = evaluate(compiled.query.program, dict(zip(compiled.query.inputs, np.split(rows, ends, axis=1), strict=True)))
    codes = np.concatenate([values[compiled.variables[v.name]] for v in spec.variables], axis=1)
    return {tuple(row) for row in codes.tolist()}


def test_names_are_distinct_and_numerous() -> None:
    assert len({e.name for e in EXAMPLES}) == len(EXAMPLES) >= 60


def test_examples_are_made_alike_every_time() -> None:
    for example in EXAMPLES[::20]:
        first, second = (compile_property(example.bound()).query for _ in range(2))
        assert np.array_equal(solutions(first), solutions(second))


def used(value: object, seen: dict[int, object]) -> dict[int, object]:
    """Collect a value and everything in it: dataclasses, tuples, and the networks that a property applies."""
    if id(value) not in seen:
        seen[id(value)] = value
        inner = [getattr(value, f.name) for f in fields(value)] if is_dataclass(value) and not isinstance(value, type) else []
        for item in value if isinstance(value, tuple) else inner:
            used(item, seen)
    return seen


@pytest.fixture(scope="module")
def parts() -> list[object]:
    """Everything that the examples are made of."""
    properties = [e.make() for e in EXAMPLES]
    return list(used(tuple(item for p in properties for item in (p, *networks(p))), {}).values())


@pytest.mark.parametrize("kind", [*get_args(Layer), *get_args(Activation), qs.Affine, qs.PerChannel], ids=lambda k: k.__name__)
def test_every_layer_activation_and_format_has_an_example(kind: type, parts: list[object]) -> None:
    assert any(isinstance(p, kind) for p in parts)


@pytest.mark.parametrize("mode", [*qs.Rounding, *qs.Overflow], ids=str)
def test_every_rounding_and_overflow_has_an_example(mode: qs.Rounding | qs.Overflow, parts: list[object]) -> None:
    assert any(p is mode for p in parts)


HELPERS = {"inputs_of", "overflowing"}
"""What named properties are made of."""


def test_every_named_property_holds_in_one_example_and_is_violated_in_another() -> None:
    named = [
        n for n in vars(qs.properties) if getattr(getattr(qs.properties, n), "__module__", "") == "qspec.named.properties" and n[0] != "_"
    ]
    named = [n for n in named if n not in HELPERS]
    seen = {(e.make().name, e.verdict) for e in EXAMPLES}
    assert {(n, v) for n in named for v in (qs.Verdict.HOLDS, qs.Verdict.VIOLATED)} <= seen
