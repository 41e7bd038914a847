"""Results check themselves, are no truth values, and can be written down."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import qspec as qs
from qspec.errors import InternalError, SpecError
from qspec.problem import Fidelity
from qspec.solver import CheckedProof, Limits, Reason
from qspec.verify.result import SCHEMA, Answered, Evidence, Result, Times, Verdict, judge

CODES = {"x": np.array([[1, -2]])}


def sound(verdict: Verdict, kind: str, evidence: Evidence, codes: bool, reason: bool) -> bool:
    """What a verdict may stand on, spelled out."""
    if verdict is Verdict.UNKNOWN:
        return evidence is Evidence.NONE and reason
    if (verdict is Verdict.VIOLATED) == (kind == "forall"):
        return codes and evidence in (Evidence.ATTACK, Evidence.MODEL, Evidence.BOUNDS)
    return not codes and evidence in (Evidence.PROOF, Evidence.CHECKED, Evidence.BOUNDS, Evidence.CERTIFICATE)


@pytest.mark.parametrize("verdict", Verdict, ids=lambda v: v.name)
@pytest.mark.parametrize("kind", ["forall", "exists"])
@pytest.mark.parametrize("evidence", Evidence, ids=lambda e: e.name)
def test_a_result_is_refused_unless_its_evidence_carries_the_verdict(verdict: Verdict, kind, evidence: Evidence) -> None:
    proof = CheckedProof("LRAT", "p.cnf", "p.lrat", 5867, "lrat-check", True, "accepted", 0.5)
    answers = (Answered("unsat", None, "", 0.1, "QF_BV", Fidelity.EXACT, 10, checked=proof),)
    for codes, reason in product((None, CODES), (None, Reason.TIMEOUT)):
        if sound(verdict, kind, evidence, codes is not None, reason is not None):
            result = Result(verdict, kind, "p", evidence, codes=codes, reason=reason, answers=answers)
            assert result.verdict is verdict
            assert Result.from_dict(json.loads(result.to_json())).proofs == (proof,)
            if evidence is Evidence.CHECKED:
                with pytest.raises(InternalError, match="CHECKED"):
                    replace(result, answers=(replace(answers[0], checked=replace(proof, accepted=False)),))
        else:
            with pytest.raises(InternalError, match=verdict.name):
                Result(verdict, kind, "p", evidence, codes=codes, reason=reason, answers=answers)


def test_a_result_has_no_truth_value() -> None:
    result = Result(Verdict.HOLDS, "forall", "p", Evidence.PROOF)
    with pytest.raises(SpecError, match=r"Verdict\.HOLDS"):
        bool(result)
    with pytest.raises(SpecError):
        assert result  # pyright: ignore[reportGeneralTypeIssues]


@pytest.mark.parametrize("kind", ["forall", "exists"])
@pytest.mark.parametrize("fidelity", Fidelity, ids=lambda f: f.name)
def test_answers_are_judged_by_what_they_can_show(kind, fidelity: Fidelity) -> None:
    found, absent = (Verdict.VIOLATED, Verdict.HOLDS) if kind == "forall" else (Verdict.HOLDS, Verdict.VIOLATED)
    assert judge(kind, "unsat", fidelity, None) == (Verdict.UNKNOWN if fidelity is Fidelity.UNDER else absent)
    assert judge(kind, "sat", fidelity, True) is found
    assert judge(kind, "sat", fidelity, False) == ("spurious" if fidelity is Fidelity.OVER else "unsound")
    assert judge(kind, "delta-sat", fidelity, True) is found
    assert judge(kind, "delta-sat", fidelity, False) == "spurious"
    assert judge(kind, "unknown", fidelity, None) is Verdict.UNKNOWN


def full() -> Result:
    answers = (Answered("sat", None, "", 0.25, "QF_BV", Fidelity.EXACT, 120, {"memory_mib": 12}),)
    return Result(
        Verdict.VIOLATED,
        "forall",
        "robust",
        Evidence.MODEL,
        codes={"x": np.array([[1, -2]]), "w": np.array([2**80], dtype=object)},
        solver="z3",
        solver_version="1.2",
        answers=answers,
        limits=Limits(5.0, None, 3),
        times=Times(compile=0.5, solve=0.25),
        parameters={"image": np.array([1, 2]), "radius": Fraction(1, 3), "label": np.int64(3), "rows": [[1, "2/4"], [0, 1]], "half": 0.5},
        hashes={"query": "abc"},
        versions={"qspec": "0"},
        violations=7,
    )


def test_a_result_is_written_as_json_without_loss() -> None:
    data = json.loads(full().to_json())
    assert data["schema"] == SCHEMA
    assert data["verdict"] == "VIOLATED"
    assert data["codes"] == {"x": [[1, -2]], "w": [2**80]}
    assert data["parameters"] == {"image": [1, 2], "radius": "1/3", "label": 3, "rows": [[1, "1/2"], [0, 1]], "half": "1/2"}
    assert data["answers"][0]["status"] == "sat"
    assert data["answers"][0]["fidelity"] == "exact"
    assert data["limits"] == {"seconds": 5.0, "memory": None, "seed": 3}
    assert data["times"]["compile"] == 0.5
    assert data["violations"] == 7
    assert data == full().to_dict()


def test_unknown_is_written_with_its_reason() -> None:
    result = Result(Verdict.UNKNOWN, "exists", "p", Evidence.NONE, reason=Reason.MEMORY, detail="at 500 MiB")
    data = json.loads(result.to_json())
    assert (data["reason"], data["detail"], data["codes"]) == ("MEMORY", "at 500 MiB", None)
    assert str(result).startswith("UNKNOWN (the memory limit was reached)")


def test_the_first_word_is_the_verdict() -> None:
    assert str(full()).split()[0] == "VIOLATED"
    vacuous = Result(Verdict.HOLDS, "forall", "p", Evidence.BOUNDS, vacuous=True)
    assert str(vacuous).startswith("HOLDS (vacuously")


def test_times_add_up() -> None:
    assert Times(1, 2, 4, 8, 16, 32).total == 63


def test_the_result_of_a_verification_can_be_written() -> None:
    net = qs.Sequential(qs.Input((2,), qs.Fixed(3, 1)), qs.Requantize(qs.Fixed(3, 0)))
    x = net.input("x")
    spec = qs.forall(x, given=qs.linf(x.code - qs.parameter("image", 2)) <= qs.parameter("radius"), then=net(x)[0] <= 1, name="small")
    result = qs.falsify(spec.at(image=np.array([3, 0]), radius=1))
    data = json.loads(result.to_json())
    assert data["parameters"] == {"image": [3, 0], "radius": 1}
    assert data["codes"] == {"x": result.codes["x"].tolist()} if result.codes else False
    assert len(data["hashes"]["query"]) >= 16
    assert data["versions"]["qspec"] == qs.__version__
