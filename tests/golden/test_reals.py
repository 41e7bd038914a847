"""The text of every real operation is the one on file; it means what the reference evaluator says, and solvers agree."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from qspec.ir.enclosure import satisfies
from qspec.ir.real import Affine, All, Apply, Function, Input, Matrix, Maximum, Product, Query, exact, fractions
from qspec.solver import Limits
from qspec.theories import real_smtlib
from qspec.theories.nested_terms import nest
from qspec_solvers.cvc5 import Cvc5
from qspec_solvers.dreal import script
from tests.golden.cases import HERE
from tests.golden.cvc5_answer import cvc5
from tests.golden.real_cases import cases
from tests.soundness import in_process
from tests.soundness.random_real_queries import random_point, random_real_query

NAMES = sorted(cases())
TRANSCENDENTAL = {Function.EXP, Function.TANH, Function.SIGMOID, Function.SOFTPLUS}


def logic(query: Query) -> str:
    """Return the least logic that has what a query needs."""
    functions = {n.function for n in query.program if isinstance(n, Apply)}
    if functions & TRANSCENDENTAL:
        return "QF_NRAT"
    products = Function.RECIPROCAL in functions or any(isinstance(n, Product) for n in query.program)
    return "QF_NRA" if products else "QF_LRA"


@pytest.mark.parametrize("name", NAMES)
def test_text_is_the_one_on_file(name: str) -> None:
    query = cases()[name]
    problem, nested = real_smtlib.lower(query), nest(query)
    assert (problem.logic, problem.text) == (logic(query), (HERE / f"{name}.smt2").read_text())
    assert script(nested, 0.001, 0.0) == (HERE / f"{name}.dreal.smt2").read_text()


def test_every_file_has_a_case() -> None:
    assert sorted(path.name for path in HERE.glob("real_*.smt2")) == sorted(f"{n}{kind}.smt2" for n in NAMES for kind in ("", ".dreal"))


@pytest.mark.parametrize("name", [n for n in NAMES if logic(cases()[n]) != "QF_NRAT"])
def test_pysmt_reads_it_with_the_meaning_of_the_reference(name: str) -> None:
    """A point makes the formula true, for some value of other constants, exactly if it satisfies the query."""
    query = cases()[name]
    problem = real_smtlib.lower(query)
    pysmt: Any = import_module("pysmt.environment").Environment()
    parsed = import_module("pysmt.smtlib.parser").SmtLibParser(environment=pysmt).get_script(io.StringIO(problem.text))
    formula = parsed.get_last_formula(mgr=pysmt.formula_manager)
    rng, truths = np.random.default_rng(3), set[bool]()
    for _ in range(30):
        point = random_point(rng, query)
        manager, typing = pysmt.formula_manager, import_module("pysmt.typing")
        elements = {s.text: fractions(point[s.input])[s.index] for s in problem.symbols}
        values = {manager.Symbol(text, typing.REAL): manager.Real(value) for text, value in elements.items()}
        left = pysmt.simplifier.simplify(pysmt.substituter.substitute(formula, values))
        if left.is_constant():
            true = left.is_true()
        else:
            solver = import_module("pysmt.solvers.z3").Z3Solver(pysmt, logic=import_module("pysmt.logics").QF_NRA)
            true = solver.is_sat(left)
            solver.exit()
        assert true is satisfies(query, point), point
        truths.add(true)
    assert truths == {True, False}


@pytest.mark.parametrize("seed", range(60))
def test_solvers_agree_and_their_models_replay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_real_query(rng, functions=(Function.RELU, Function.RECIPROCAL))
    problem = real_smtlib.lower(query)
    answers = [in_process.z3(problem), cvc5(problem)]
    assert {a.status for a in answers} in ({"sat"}, {"unsat"}, {"sat", "unknown"}, {"unsat", "unknown"})
    for answer in answers:
        assert answer.model is None or answer.numerical or satisfies(query, problem.decode(answer.model))
    if answers[0].status == "unsat":
        assert not any(satisfies(query, random_point(rng, query)) for _ in range(50))


@pytest.mark.parametrize("seed", range(6))
def test_transcendental_answers_are_not_wrong(seed: int) -> None:
    """In a process of its own: there are queries at which cvc5 forgets its limits."""
    rng = np.random.default_rng(seed)
    query = random_real_query(rng, most=2)
    problem = real_smtlib.lower(query)
    answer = Cvc5().solve(problem, Limits(seconds=1))
    if answer.status == "unsat":
        assert not any(satisfies(query, random_point(rng, query)) for _ in range(50))
    if answer.model is not None and not answer.numerical:
        assert satisfies(query, problem.decode(answer.model)) is not False


def test_what_cancels_is_gone_and_shared_points_stay_exact() -> None:
    """`max(x - x, y)` where bounds by intervals know only -2..2 of the first."""
    x = Input("x", exact([-1, -3]), exact([1, -1]))
    nodes = (
        x,
        Affine(((Matrix(exact([[1, 0], [0, 1]])), 0),), exact([0, 0])),
        Affine(((Matrix(exact([[1, 0], [0, 0]])), 0), (Matrix(exact([[-1, 0], [0, 1]])), 1)), exact([0, 0])),
        Maximum(2, np.array([[0, 1]])),
    )
    assert in_process.z3(real_smtlib.lower(Query(nodes, All(3)))).status == "sat"
    assert in_process.z3(real_smtlib.lower(Query(nodes, All(3, strict=True)))).status == "unsat"
