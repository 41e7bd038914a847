"""The text of every operation is the one on file; an independent parser reads it, and it means what the reference evaluator says."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from qspec.ir.integer import Query
from qspec.ir.reference import satisfies
from qspec.problem import SmtProblem
from tests.golden.cases import HERE, cases, problems
from tests.golden.cvc5_answer import cvc5
from tests.soundness import in_process
from tests.soundness.random_queries import solutions

NAMES = sorted(f"{name}.{suffix}" for name in cases() for suffix in ("bv", "lia"))
SOLVERS = {"bitwuzla": in_process.bitwuzla, "z3": in_process.z3, "cvc5": cvc5}
MAX_POINTS = 150


def made(name: str) -> tuple[Query, SmtProblem]:
    case, suffix = name.split(".")
    query = cases()[case]
    return query, problems(query)[suffix]


def models(query: Query, problem: SmtProblem) -> Iterator[dict[str, int]]:
    """Yield models of the inputs, all of them or evenly spread ones."""
    ranges: list[range] = []
    for symbol in problem.symbols:
        node = query.inputs[symbol.input]
        ranges.append(range(int(node.lower[symbol.index]) - symbol.offset, int(node.upper[symbol.index]) - symbol.offset + 1))
    total = 1
    for r in ranges:
        total *= len(r)
    stride = max(1, total // MAX_POINTS)
    stride += stride > 1 and stride % 2 == 0
    for point in itertools.islice(itertools.product(*ranges), 0, None, stride):
        yield {symbol.text: value for symbol, value in zip(problem.symbols, point, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_text_is_the_one_on_file(name: str) -> None:
    assert made(name)[1].text == (HERE / f"{name}.smt2").read_text()


def test_every_file_has_a_case() -> None:
    assert sorted(path.name.removesuffix(".smt2") for path in HERE.glob("*.smt2") if not path.name.startswith("real_")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_pysmt_reads_it_with_the_meaning_of_the_reference(name: str) -> None:
    """Every assignment of the inputs makes the formula true, for some value of the fresh constants, exactly if it satisfies the query."""
    query, problem = made(name)
    pysmt: Any = import_module("pysmt.environment").Environment()
    script = import_module("pysmt.smtlib.parser").SmtLibParser(environment=pysmt).get_script(io.StringIO(problem.text))
    formula = script.get_last_formula(mgr=pysmt.formula_manager)
    manager = pysmt.formula_manager
    declared = {s.symbol_name(): s for command in script.filter_by_command_name("declare-fun") for s in command.args[:1]}
    assert {s.text for s in problem.symbols} <= set(declared)
    for model in models(query, problem):
        values = {
            declared[text]: manager.Int(value)
            if declared[text].symbol_type().is_int_type()
            else manager.BV(value, declared[text].bv_width())
            for text, value in model.items()
        }
        left = pysmt.simplifier.simplify(pysmt.substituter.substitute(formula, values))
        if not left.is_constant():
            solver = import_module("pysmt.solvers.z3").Z3Solver(pysmt, logic=import_module("pysmt.logics").QF_LIA)
            true = solver.is_sat(left)
            solver.exit()
        else:
            true = left.is_true()
        assert true is satisfies(query, problem.decode(model)), model


@pytest.mark.parametrize("name", NAMES)
def test_solvers_read_it_and_agree_with_enumeration(name: str) -> None:
    query, problem = made(name)
    possible = solutions(query).size > 0
    for solver in ("bitwuzla", "z3", "cvc5") if problem.logic == "QF_BV" else ("z3", "cvc5"):
        answer = SOLVERS[solver](problem)
        assert answer.status == ("sat" if possible else "unsat"), solver
        if answer.model is not None:
            assert satisfies(query, problem.decode(answer.model)), solver
