"""Proofs of cvc5 and Bitwuzla, checked by other programs; each half runs where its programs are installed (docs/solver-proofs.md)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.errors import QspecError, SolverMissingError, SpecError, UnsupportedError
from qspec.problem import SmtProblem
from qspec.solver import Answer, CheckedProof, Limits
from qspec.testing.examples.parts import mlp
from qspec_solvers.proofs import RULES, check_cpc, check_lrat, cpc, cpc_checking, flat_indices, lrat_checking

NET = mlp(3, 3, seed=5, hidden=4, output=None)
X = NET.input("x")
HOLDS = qs.forall(X, then=NET(X)[0] - NET(X)[1] <= "6.25", name="at most")
FAILS = qs.forall(X, then=NET(X)[0] - NET(X)[1] <= 6, name="less")
CHECKS: dict[str, Callable[[str, str, Limits], CheckedProof]] = {"cvc5": check_cpc, "bitwuzla": check_lrat}


def installed(solver: str) -> None:
    state = (cpc_checking if solver == "cvc5" else lrat_checking)()
    if not state.ok:
        pytest.skip(f"no {state.missing}: {state.install}")


def mutants(proof: CheckedProof) -> list[bytes]:
    """Proofs that prove nothing, or something else: without the end, without a step that is used, with another conclusion."""
    lines = Path(proof.file).read_bytes().splitlines(keepends=True)
    if proof.format == "LRAT":
        added = [k for k, line in enumerate(lines) if line.split()[1:2] != [b"d"]]
        last = lines[added[-1]].split()
        hints = b" ".join([*last[:2], *last[3:]]) + b"\n"  # the empty clause without the first clause that it follows from
        return [b"".join(lines[: added[-1]]), b"".join([*lines[: added[-1]], hints]), b"".join(lines[added[-1] :])]
    steps = [k for k, line in enumerate(lines) if line.startswith(b"(step ")]
    assumed = next(k for k, line in enumerate(lines) if line.startswith(b"(assume "))
    name = lines[assumed].split()[1]
    other = lines[assumed].replace(lines[assumed].split()[2], b"false)")
    return [
        b"".join(lines[: steps[-1]]),
        b"".join(line for k, line in enumerate(lines) if k != steps[len(steps) // 2]),
        b"".join([*lines[:assumed], other, *lines[assumed + 1 :]]),  # assumes what the problem does not say
        b"".join([*lines[: steps[0]], b"(step @end false :rule trust :premises (" + name + b") :args (false))\n"]),
    ]


@pytest.mark.parametrize("solver", CHECKS)
def test_a_proof_is_accepted_and_kept_and_no_mutant_is(solver: str, tmp_path: Path) -> None:
    installed(solver)
    result = qs.verify(HOLDS, solver=solver, attack=False, proof=tmp_path)
    assert (result.verdict, result.evidence.name) == (qs.Verdict.HOLDS, "CHECKED")
    (proof,) = result.proofs
    assert proof.accepted
    assert proof.size == Path(proof.file).stat().st_size > 1000
    assert Path(proof.file).parent == Path(proof.problem).parent == tmp_path
    for mutant in mutants(proof):
        Path(proof.file).write_bytes(mutant)
        said = CHECKS[solver](proof.file, proof.problem, Limits(60.0))
        assert not said.accepted, mutant[-300:]
        assert said.output not in ("", "accepted")
    violated = qs.verify(FAILS, solver=solver, attack=False, proof=tmp_path)
    assert (violated.verdict, violated.proofs) == (qs.Verdict.VIOLATED, ())


@pytest.mark.parametrize("solver", CHECKS)
def test_without_a_checker_nobody_is_asked(solver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SolverMissingError, match="cannot be checked here") as error:
        qs.verify(HOLDS, solver=solver, proof=tmp_path / "proofs")
    assert "ethos" in str(error.value) if solver == "cvc5" else "cadical" in str(error.value)
    assert not (tmp_path / "proofs").exists()
    assert qs.verify(HOLDS, solver=solver, attack=False).evidence.name == "PROOF"


def test_rules_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy("/bin/true", tmp_path / "ethos")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(RULES, str(tmp_path))
    assert RULES in cpc_checking().missing


def test_a_program_that_only_ends_accepts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ethos", "lrat-check"):
        shutil.copy("/bin/true", tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "p").write_text("")
    for check in CHECKS.values():
        assert not check(str(tmp_path / "p"), str(tmp_path / "q"), Limits(10.0)).accepted


def test_a_proof_that_memory_has_no_room_for_is_not_read(tmp_path: Path) -> None:
    def solve(_limits: Limits, file: str) -> Answer:
        with Path(file).open("wb") as written:
            written.truncate(1 << 30)  # takes no room on the disk
        return Answer("unsat")

    problem = SmtProblem("QF_BV", "", (), {})
    answer = cpc(problem, Limits(10.0, 64), str(tmp_path / "p"), solve)
    assert (answer.status, answer.checked) == ("unsat", None)
    assert "no room in memory" in answer.detail
    assert not (tmp_path / "p.smt2").exists()


def test_who_writes_no_proofs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for solver in ("bounds", "z3"):
        with pytest.raises(UnsupportedError, match="no proofs"):
            qs.verify(HOLDS, solver=solver, proof=tmp_path)
    net = qs.real.Sequential(qs.real.Input((1,)), qs.real.Dense(np.ones((1, 1))))
    r = net.input("r", lower=0, upper=1)
    with pytest.raises(UnsupportedError, match="reals"):
        qs.verify(qs.forall(r, then=net(r)[0] <= 2), proof=tmp_path)
    with pytest.raises(SpecError, match="no path"):
        qs.verify(HOLDS, solver="cvc5", proof=3)  # pyright: ignore[reportArgumentType]
    spec = tmp_path / "spec.py"
    spec.write_text(
        "import qspec as qs\nnet = qs.load('iris-4bit')\nx = net.input('x')\nholds = qs.forall(x, then=qs.max(net(x)) <= 10**6)\n"
    )
    assert main(["verify", str(spec), "--solver", "z3", "--proof", str(tmp_path / "p")]) == 2
    assert "writes no proofs" in capsys.readouterr().err


def test_indices_are_written_as_proofs_write_them() -> None:
    text = "(define-fun a () (_ BitVec 4) ((_ extract 3 0) ((_ zero_extend 2) x)))"
    assert flat_indices(text) == "(define-fun a () (_ BitVec 4) (extract 3 0 (zero_extend 2 x)))"
    assert re.search(r"\(\(_", flat_indices(qs.to_smtlib(HOLDS))) is None


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for solver in CHECKS:
        installed(solver)
        with pytest.raises(QspecError, match="cannot write"):
            qs.verify(HOLDS, solver=solver, proof=tmp_path / "file" / "proofs")
