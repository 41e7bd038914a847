"""What is sent to a solver is integers and exact fractions: no decimal text to be read one way or another, no constant to be wrapped."""

from __future__ import annotations

import re

import pytest

from qspec.bounds.tighten import bound
from qspec.ir.integer import formula_nodes
from qspec.theories import bitvector, integer, lp_text, milp
from tests.golden.cases import cases

CASES = cases()
DECIMAL = re.compile(r"(?<![^\s()])(-?[0-9]+(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|nan|inf)(?![^\s()])")
"""A whole atom that is a number of another form than digits."""


def test_the_pattern_finds_decimals_and_no_names() -> None:
    assert all(DECIMAL.search(f"(assert (= x {n}))") for n in ("0.1", "1.", "1e-3", "2.5e10", "nan"))
    assert not any(DECIMAL.search(f"(assert (= x {n}))") for n in ("1", "p2.0.-2.3", "n1.0", "#b01", "e1", "info"))


@pytest.mark.parametrize("name", CASES)
def test_constants_are_integers_within_their_width(name: str) -> None:
    query = CASES[name]
    bounds = bound(query.program, tuple(formula_nodes(query.goal)))
    words = re.sub(r"\|[^|]*\|", "", bitvector.lower(query, bounds).text)
    assert not DECIMAL.search(words)
    for value, width in re.findall(r"\(_ bv([0-9]+) ([0-9]+)\)", words):
        assert int(value) < 2 ** int(width), (value, width)
    whole = re.sub(r"\|[^|]*\|", "", integer.lower(query, bounds).text)
    assert not DECIMAL.search(whole)
    assert not re.search(r"\((div|mod|/) ", whole)


@pytest.mark.parametrize("name", CASES)
def test_files_bound_every_column_and_hold_integers_only(name: str) -> None:
    query = CASES[name]
    problem = milp.lower(query, bound(query.program, tuple(formula_nodes(query.goal))))
    text = lp_text.mps(problem)
    _, _, bounds = text.partition("\nBOUNDS\n")
    written = [tuple(line.split()[i] for i in (0, 2)) for line in bounds.splitlines() if line.startswith(" ")]
    assert sorted(written) == sorted((kind, column) for column in problem.names for kind in ("LO", "UP"))
    for line in text.splitlines():
        if line.startswith(" ") and "MARKER" not in line and line.split()[-1] not in problem.names:
            assert re.fullmatch(r"-?[0-9]+|[A-Za-z]\w*", line.split()[-1]), line
