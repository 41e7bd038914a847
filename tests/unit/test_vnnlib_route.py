"""The route `vnnlib`: a verifier is asked in its own formats; what it finds is replayed, what it proves in floats is no proof."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from fractions import Fraction
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import qspec as qs
from qspec.cli.vnnlib_solver import main as qspec_vnnlib
from qspec.ir import real
from qspec.ir.enclosure import satisfies
from qspec.readers.vnnlib import parse_vnnlib
from qspec.solver import Limits, Reason
from qspec.theories.real_vnnlib import PLACES, Version, decimal, lower
from qspec_solvers import vnnlib
from qspec_solvers.process import End, Finished
from qspec_solvers.vnnlib import COMMAND_VARIABLE, VnnLib
from tests.unit.vnnlib_tool import LIES, SUPPORTS

TOOL = Path(__file__).with_name("vnnlib_tool.py")
NET = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(real.exact([[1], [-2]]), real.exact(["0.5"])), name="f")
X = NET.input("x", lower=0, upper=1)
FALSE, TRUE = qs.forall(X, then=NET(X)[0] <= 1), qs.forall(X, then=NET(X)[0] <= 2)


def tool(way: str) -> VnnLib:
    if way == "old":
        return VnnLib((sys.executable, str(TOOL), way, "{query}", "{network}"))
    return VnnLib((sys.executable, str(TOOL), way))


@pytest.mark.parametrize("way", ["honest", "old"])
def test_an_honest_verifier(way: str) -> None:
    found = qs.verify(FALSE, solver=tool(way), timeout=60)
    assert (found.verdict, found.evidence.name, found.answers[0].statistics["answer"]) == (qs.Verdict.VIOLATED, "MODEL", "sat")
    assert found.point is not None
    assert found.point["x"].tolist() == [1, 0]
    proved = qs.verify(TRUE, solver=tool(way), timeout=60)
    assert (proved.verdict, proved.reason) == (qs.Verdict.UNKNOWN, Reason.NUMERICAL)
    assert (proved.answers[0].statistics["answer"], proved.answers[0].numerical) == ("unsat", True)
    assert "says unsat, by computation in floats" in proved.detail


@pytest.mark.parametrize("way", LIES)
def test_no_lie_becomes_a_verdict(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is printed, a property that holds is not refuted, and one that is violated is not proved."""
    monkeypatch.setattr(vnnlib, "_supported", lambda _: {name.removeprefix("--"): tuple(said) for name, said in SUPPORTS.items()})
    for spec in (TRUE, FALSE):
        result = qs.verify(spec, solver=tool(way), timeout=60)
        assert result.verdict is qs.Verdict.UNKNOWN
        assert result.reason is (Reason.NUMERICAL if way in ("unsat", "a wrong witness", "outside") else Reason.GARBAGE)


def test_values_beside_the_box_are_moved_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed values are rounded; what counts is the replay."""
    monkeypatch.setattr(vnnlib, "run", lambda *_, **__: Finished(End.EXIT, 0, "sat\nX Real [1,2]\n1.0000001\n-1e-9\n"))
    monkeypatch.setattr(vnnlib, "_supported", lambda _: {name.removeprefix("--"): tuple(said) for name, said in SUPPORTS.items()})
    found = qs.verify(FALSE, solver=tool("honest"))
    assert found.verdict is qs.Verdict.VIOLATED
    assert found.point is not None
    assert found.point["x"].tolist() == [1, 0]


def test_what_a_verifier_does_not_support_is_not_asked() -> None:
    bent = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(real.exact([[1], [-2]]), real.exact([0]), qs.ReLU()))
    x = bent.input("x", lower=0, upper=1)
    result = qs.verify(qs.forall(x, then=bent(x)[0] <= 1), solver=tool("honest"), timeout=60)
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.UNSUPPORTED)
    assert "--onnx-operators" in result.detail
    assert "Relu" in result.detail


def test_commands_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND_VARIABLE, raising=False)
    assert COMMAND_VARIABLE in VnnLib().availability().install
    assert "not an executable" in VnnLib(("no-such-verifier",)).availability().missing
    assert "{network}" in VnnLib((sys.executable, "{query}")).availability().missing
    monkeypatch.setenv(COMMAND_VARIABLE, "verifier 'x")
    assert not VnnLib().availability().ok
    silent = qs.verify(TRUE, solver=VnnLib((sys.executable, "-c", "pass")), timeout=20)
    assert (silent.reason, "does not say what it supports" in silent.detail) == (Reason.UNSUPPORTED, True)
    broken = qs.verify(TRUE, solver=VnnLib((sys.executable, "-c", "print(1); 1 / 0", "{network}{query}")), timeout=20)
    assert (broken.reason, "ZeroDivisionError" in broken.detail) == (Reason.CRASH, True)


def asked(words: Sequence[str], _: str, limits: Limits) -> Finished:
    """Answer as `qspec-vnnlib` does, in this process."""
    with redirect_stdout(StringIO()) as out:
        code = qspec_vnnlib(words[1:])
    return Finished(End.EXIT, code, out.getvalue())


def test_qspec_itself_as_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads both files that are written, of every operation, and its answers are those of the same query asked directly."""
    monkeypatch.setattr(vnnlib, "run", asked)
    net = qs.real.Sequential(
        qs.real.Input((2,)),
        qs.real.Dense(real.exact([[1, -1], ["0.1", 2]]), real.exact(["0.25", "-0.5"]), qs.ReLU()),
        qs.real.Dense(real.exact([[1, 1], [-1, 2]])),
    )
    x = net.input("x", lower=-1, upper=1)
    for then in (abs(net(x)[0]) <= 5, qs.argmax(net(x)) == 1, net(x)[1] >= qs.q("-1/3")):
        spec = qs.forall(x, given=x[0] <= x[1] + qs.q("0.75"), then=then)
        own, told = qs.verify(spec, timeout=30), qs.verify(spec, solver=VnnLib((sys.executable,)), timeout=30)
        assert own.verdict is not qs.Verdict.UNKNOWN
        assert told.verdict is (own.verdict if own.verdict is qs.Verdict.VIOLATED else qs.Verdict.UNKNOWN), told.detail
        assert told.answers[0].statistics["answer"] == ("sat" if own.verdict is qs.Verdict.VIOLATED else "unsat")


def matrix(rows: list[list[int]]) -> real.Matrix:
    return real.Matrix(real.exact(rows))


def test_what_is_written_means_the_query() -> None:
    """ONNX's own reference, and our reader of VNN-LIB, agree with the query at random points."""
    generator = np.random.default_rng(5)
    groups = np.array([[0, 2, -1], [1, -1, -1], [2, 1, 0]])
    program = (
        real.Input("a", real.exact([-1, 0]), real.exact([1, 3])),
        real.Input("b", real.exact([-2]), real.exact([2])),
        real.Affine(
            ((matrix([[1, 2], [0, -1], [3, 1]]), 0), (matrix([[1], [-1], [0]]), 1)),
            real.exact([1, 0, -2]),
        ),
        real.Apply(2, real.Function.RELU),
        real.Maximum(2, groups),
        real.Product(3, 4),
        real.Apply(0, real.Function.TANH),
    )
    versions: tuple[tuple[Version, bool], ...] = (("1.0", False), ("2.0", True))  # 1.0 has no strict comparison
    for version, strict in versions:
        goal = real.And((real.Any(5, strict), real.Or((real.All(6), real.And((real.Any(2), real.All(1)))))))
        query = real.Query(program, goal)
        written = lower(query, version)
        asks = parse_vnnlib(written.text)
        runs = ReferenceEvaluator(onnx.load_from_string(written.model))
        for _ in range(40):
            point = {"a": real.exact(generator.integers([-4, 0], [5, 13]) / 4), "b": real.exact(generator.integers(-8, 9, 1) / 4)}
            given = [float(point[name][k]) for name, k in written.elements]
            (output,) = runs.run(None, {"x": np.array([given], dtype=np.float32)})
            assert asks.meets([Fraction(v) for v in given], [Fraction(float(v)) for v in output[0]]) == satisfies(query, point)


def test_bounds_are_rounded_outwards() -> None:
    third = Fraction(1, 3)
    assert Fraction(decimal(third, up=False)) < third < Fraction(decimal(third, up=True)) < third + Fraction(1, 10 ** (PLACES - 1))
    assert Fraction(decimal(-third, up=False)) < -third < Fraction(decimal(-third, up=True))
    assert [decimal(Fraction(v), up=up) for v in ("-1/8", "3") for up in (False, True)] == ["-0.125", "-0.125", "3.0", "3.0"]
