"""Every registered SMT solver gives right answers to small problems, and values where it cannot answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qspec.ir import linear
from qspec.ir.integer import All, Query
from qspec.ir.integer_builder import Builder
from qspec.problem import GridProblem, Model, SmtProblem, Symbol
from qspec.solver import Limits, Reason, Solver, get_solver, solver_entry_points
from qspec_solvers import availability
from qspec_solvers.bitwuzla import Bitwuzla
from qspec_solvers.cvc5 import Cvc5
from qspec_solvers.enumerate import Enumerate
from qspec_solvers.pysmt import PySmt
from qspec_solvers.smtlib import COMMAND_VARIABLE, SmtLib
from qspec_solvers.z3 import Z3

BROUGHT = {"bitwuzla", "cvc5", "pysmt", "smtlib", "z3"}
"""The SMT solvers that the plain install brings; these are never skipped (`smtlib` is given z3's executable)."""
NAMES = sorted(name for name in solver_entry_points() if any(theory.startswith("QF_") for theory in get_solver(name).theories))
"""The registered SMT solvers; a problem of a theory that one does not list must be refused."""


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND_VARIABLE, f"{availability.executable('z3', 'z3-solver')} -in")


def problem(logic: str, body: str, **sorts: str) -> SmtProblem:
    """Return a problem whose symbols are declared in order; a sort is Int, Bool or the width of a bit-vector."""
    symbols, declarations = list[Symbol](), list[str]()
    for index, (name, sort) in enumerate(sorts.items()):
        declarations.append(f"(declare-const {name} {sort if sort in ('Int', 'Bool') else f'(_ BitVec {sort})'})")
        symbols.append(Symbol(name, sort if sort in ("Int", "Bool") else "BitVec", "x", index))
    return SmtProblem(logic, "\n".join((f"(set-logic {logic})", *declarations, body)), tuple(symbols), {})


@dataclass(frozen=True)
class Example:
    """A problem and what its models satisfy; None if it has none."""

    problem: SmtProblem
    holds: Callable[[Model], bool] | None


EXAMPLES = {
    "product": Example(
        problem("QF_BV", "(assert (and (= (bvmul x y) #x008f) (bvult #x0001 x) (bvult x y) (bvult y #x0010)))", x="16", y="16"),
        lambda m: (m["x"], m["y"]) == (11, 13),
    ),
    "signed": Example(
        problem("QF_BV", "(assert (bvslt x (bvneg #x05))) (assert (bvsgt x (bvneg #x07)))", x="8"),
        lambda m: m["x"] == 256 - 6,
    ),
    "square that is none": Example(problem("QF_BV", "(assert (= (bvmul x x) #x3))", x="4"), None),
    "definitions": Example(
        problem(
            "QF_BV",
            "(define-fun s () (_ BitVec 8) (bvadd x y)) (assert (let ((t (bvadd s s))) (and p (= t #x0a))))",
            x="8",
            y="8",
            p="Bool",
        ),
        lambda m: 2 * (m["x"] + m["y"]) % 256 == 10 and m["p"] == 1,
    ),
    "wide": Example(problem("QF_BV", f"(assert (= x (_ bv{3**120} 200)))", x="200"), lambda m: m["x"] == 3**120),
    "quoted": Example(problem("QF_BV", "(assert (= |a b| #b101))", **{"|a b|": "3"}), lambda m: m["|a b|"] == 5),
    "free": Example(problem("QF_BV", "(assert (= x #b1))", x="1", y="7", p="Bool"), lambda m: m["x"] == 1),
    "many": Example(
        problem("QF_BV", "\n".join(f"(assert (= x{k} (_ bv{k * k} 24)))" for k in range(1201)), **{f"x{k}": "24" for k in range(1201)}),
        lambda m: m == {f"x{k}": k * k for k in range(1201)},
    ),
    "no symbols": Example(problem("QF_BV", "(assert (= #b1 #b1))"), lambda m: m == {}),
    "line": Example(
        problem("QF_LIA", "(assert (= (+ (* 3 x) (* 5 y)) 17)) (assert (and (< (- 20) x) (< x (- 10))))", x="Int", y="Int"),
        lambda m: 3 * m["x"] + 5 * m["y"] == 17 and -20 < m["x"] < -10,
    ),
    "big": Example(problem("QF_LIA", f"(assert (= (* 2 x) (- {2 * 7**60})))", x="Int"), lambda m: m["x"] == -(7**60)),
    "parity": Example(problem("QF_LIA", "(assert (= (* 2 x) (+ (* 2 y) 1)))", x="Int", y="Int"), None),
    "cases": Example(
        problem("QF_LIA", "(assert (ite p (> x 7) (< x (- 7)))) (assert (not p)) (assert (> (+ x 9) 0))", x="Int", p="Bool"),
        lambda m: (m["x"], m["p"]) == (-8, 0),
    ),
    "circle": Example(
        problem("QF_NIA", "(assert (= (+ (* x x) (* y y)) 25)) (assert (and (< x y) (< y 0)))", x="Int", y="Int"),
        lambda m: (m["x"], m["y"]) == (-4, -3),
    ),
}

COMPOSITE = (2**61 - 1) * (2**31 - 1) * 1000003
FACTORS = problem(
    "QF_BV",
    f"(assert (and (= (bvmul x y) (_ bv{COMPOSITE} 128)) (bvult (_ bv1 128) x) (bvult x y) (bvult y (_ bv{2**64} 128))))",
    x="128",
    y="128",
)
WEIGHTS = [[pow(3, 7 * k + 53 * r + k * k * (r + 1), 101) for k in range(50)] for r in range(6)]
SPLIT = problem(
    "QF_LIA",
    "".join(f"(assert (and (<= 0 x{k}) (<= x{k} 1)))" for k in range(50))
    + "".join(f"(assert (= {sum(row) // 2} (+ {' '.join(f'(* {w} x{k})' for k, w in enumerate(row))})))" for row in WEIGHTS),
    **{f"x{k}": "Int" for k in range(50)},
)
"""A market split problem: G. Cornuéjols, M. Dawande. A class of hard small 0-1 programs. INFORMS J. Computing 1999."""
HUNGRY = problem(
    "QF_BV",
    "".join(
        f"(assert (= x{k + 1} (bvurem (bvmul x{k} x{k}) (bvadd x{k} #x{'1' * 128})))) (assert (bvugt x{k} #x{'1' * 128}))" for k in range(8)
    ),
    **{f"x{k}": "512" for k in range(9)},
)


def solver(name: str) -> Solver:
    """Return a registered solver; an optional one that is not installed skips the test."""
    made = get_solver(name)
    found = made.availability()
    if not found.ok and name not in BROUGHT:
        pytest.skip(f"optional: {found.missing} ({found.install})")
    assert found.ok, found.missing
    return made


def test_the_solvers_of_the_plain_install_are_registered() -> None:
    assert {*NAMES} >= BROUGHT


@pytest.mark.parametrize("name", sorted(solver_entry_points()))
def test_a_solver_describes_itself(name: str) -> None:
    made = get_solver(name)
    assert isinstance(made, Solver)
    assert made.name == name
    assert made.theories
    assert len(made.cite) > 20
    found = made.availability()
    assert bool(found.version) if found.ok else bool(found.missing and found.install)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("name", NAMES)
def test_right_answers(name: str, example: str) -> None:
    tried, wanted = solver(name), EXAMPLES[example]
    answer = tried.solve(wanted.problem, Limits(seed=7))
    if wanted.problem.logic not in tried.theories:
        assert (answer.status, answer.reason) == ("unknown", Reason.UNSUPPORTED)
        assert wanted.problem.logic in answer.detail
    elif wanted.holds is None:
        assert (answer.status, answer.model) == ("unsat", None)
    else:
        assert answer.status == "sat", answer
        assert answer.model is not None
        assert set(answer.model) == {s.text for s in wanted.problem.symbols}
        assert wanted.holds(answer.model)


@pytest.mark.parametrize("hard", [FACTORS, SPLIT], ids=["factors", "split"])
@pytest.mark.parametrize("name", NAMES)
def test_time_limit(name: str, hard: SmtProblem) -> None:
    tried = solver(name)
    answer = tried.solve(hard, Limits(seconds=1.0))
    assert (answer.status, answer.reason) == ("unknown", Reason.TIMEOUT if hard.logic in tried.theories else Reason.UNSUPPORTED)


@pytest.mark.parametrize("name", NAMES)
def test_memory_limit(name: str) -> None:
    tried = solver(name)
    answer = tried.solve(HUNGRY, Limits(seconds=120, memory=100))
    assert (answer.status, answer.reason) == ("unknown", Reason.MEMORY if HUNGRY.logic in tried.theories else Reason.UNSUPPORTED), answer


@pytest.mark.parametrize("name", NAMES)
def test_a_malformed_problem_is_refused_with_the_solvers_own_words(name: str) -> None:
    tried = solver(name)
    logic = next(theory for theory in tried.theories if theory.startswith("QF_"))
    answer = tried.solve(problem(logic, "(assert (nowhere p)) (assert false)", p="Bool"), Limits())
    assert (answer.status, answer.reason) == ("unknown", Reason.UNSUPPORTED), answer
    assert "nowhere" in answer.detail


@pytest.mark.parametrize(
    "tried", [Bitwuzla(("nonsense=1",)), Z3(("nonsense=1",)), Cvc5(("nonsense=1",)), PySmt("nonsense")], ids=lambda s: s.name
)
def test_an_unknown_option_is_refused(tried: Solver) -> None:
    answer = tried.solve(EXAMPLES["signed"].problem, Limits())
    assert answer.status == "unknown"
    assert "nonsense" in answer.detail


@pytest.mark.parametrize(
    "tried",
    [
        Bitwuzla(("bv-solver=preprop",)),
        Z3(tactic="(then simplify solve-eqs bit-blast sat)"),
        Cvc5(("bv-solver=bitblast-internal",)),
        PySmt("cvc5"),
    ],
    ids=lambda s: s.name,
)
def test_options_reach_the_solver(tried: Solver) -> None:
    answer = tried.solve(EXAMPLES["product"].problem, Limits())
    assert answer.model == {"x": 11, "y": 13}
    assert tried.name != "pysmt" or answer.statistics["inner"] == "CVC5Solver"


def test_smtlib_without_a_command_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND_VARIABLE)
    found = SmtLib().availability()
    assert not found.ok
    assert COMMAND_VARIABLE in found.missing
    assert COMMAND_VARIABLE in found.install
    assert SmtLib().solve(EXAMPLES["signed"].problem, Limits()).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("command", ["no-such-solver -in", "z3 'in"])
def test_smtlib_with_a_command_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv(COMMAND_VARIABLE, command)
    assert "is not an executable" in SmtLib().availability().missing


def test_what_is_not_installed_is_named_with_the_command_to_install_it() -> None:
    assert availability.package("no_such_module", "no-such-project", "no-such-project").install == "pip install no-such-project"
    assert "no-such-tool" in availability.program("no-such-tool", "no-such-project", "no-such-project").missing
    missing = PySmt("msat") if not PySmt("msat").availability().ok else PySmt("nonsense")
    assert "found: " in missing.availability().missing


def test_adapters_never_import_their_solvers() -> None:
    code = "import sys; from qspec.solver import *; [get_solver(n).availability() for n in solver_entry_points()]; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "qspec_solvers.bitwuzla" in modules
    assert not {"bitwuzla", "cvc5", "jax", "pysmt", "z3"} & {*modules}


def sum_at_least(least: int, side: int, elements: int) -> GridProblem:
    """Return the query whether some integers of [0, side) add up to at least `least`."""
    b = Builder()
    x = b.input("x", [0] * elements, [side - 1] * elements)
    total = b.affine([(linear.row_sums(1, elements), x)], -least)
    return GridProblem(Query(b.program, All(total)))


def test_enumeration_counts_exactly() -> None:
    asked = sum_at_least(15, 10, 2)
    answer = Enumerate().solve(asked, Limits())
    assert (answer.status, answer.model) == ("sat", {"x[0]": 6, "x[1]": 9})
    assert (answer.statistics["points"], answer.statistics["violations"]) == (100, 10)
    assert answer.model is not None
    assert asked.decode(answer.model)["x"].tolist() == [6, 9]
    none = Enumerate().solve(sum_at_least(19, 10, 2), Limits())
    assert (none.status, none.model, none.statistics["violations"]) == ("unsat", None, 0)


def test_enumeration_refuses_what_is_too_large_with_its_size() -> None:
    answer = Enumerate(points=99).solve(sum_at_least(15, 10, 2), Limits())
    assert (answer.status, answer.reason) == ("unknown", Reason.TOO_LARGE)
    assert "100" in answer.detail
    assert "99" in answer.detail
    assert "10000000000000000000000000000000000000000" in Enumerate().solve(sum_at_least(15, 10, 40), Limits()).detail


def test_enumeration_stops_at_its_time_limit() -> None:
    answer = Enumerate().solve(sum_at_least(30001, 500, 3), Limits(seconds=1e-6))
    assert (answer.status, answer.reason) == ("unknown", Reason.TIMEOUT)
    assert "of 125000000 assignments" in answer.detail


def test_enumeration_takes_grids_only() -> None:
    assert Enumerate().solve(EXAMPLES["signed"].problem, Limits()).reason is Reason.UNSUPPORTED
    assert Z3().solve(sum_at_least(15, 10, 2), Limits()).reason is Reason.UNSUPPORTED
