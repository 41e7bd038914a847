"""A property that holds because nothing meets its assumption says so: to people, in JSON, and by an exit status of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main

SPEC = """
import qspec as qs
net = qs.Sequential(qs.Input((2,), qs.Fixed(7, 0)), qs.Dense(qs.Tensor([[1, -1], [-1, 1]], qs.Fixed(2, 0))))
x = net.input("x")
given = (x.code[0] >= qs.parameter("low")) & (x.code[0] <= 50)
near = qs.forall(x, given=given, then=net(x)[0] <= 1000)
"""
ALONE = """
import qspec as qs
net = qs.Sequential(qs.Input((2,), qs.Fixed(7, 0)), qs.Dense(qs.Tensor([[1, -1], [-1, 1]], qs.Fixed(2, 0))))
x = net.input("x")
empty = qs.forall(x, given=(x.code[0] >= 51) & (x.code[0] <= 50), then=qs.argmax(net(x)) == 0)
true = qs.forall(x, then=net(x)[0] <= 1000)
false = qs.forall(x, then=net(x)[0] <= -1000)
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.py").write_text(SPEC)
    (tmp_path / "alone.py").write_text(ALONE)
    return tmp_path


def test_the_result_says_so_in_every_form() -> None:
    net = qs.Sequential(qs.Input((2,), qs.Fixed(7, 0)), qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(2, 0))))
    x = net.input("x")
    for solver in ("bounds", "z3", "bitwuzla"):
        empty = qs.forall(x, given=(x.code[0] >= 51) & (x.code[0] <= 50), then=qs.argmax(net(x)) == 0)
        result = qs.verify(empty, solver=solver)
        assert result.verdict is qs.Verdict.HOLDS
        assert result.vacuous is True
        assert str(result).startswith("HOLDS (vacuously: nothing meets the assumption)")
        assert result.to_dict()["vacuous"] is True
        assert qs.Result.from_dict(result.to_dict()).vacuous is True
    full = qs.verify(qs.forall(x, given=x.code[0] >= 50, then=net(x)[0] <= 1000))
    assert full.vacuous is False
    assert "vacuous" not in str(full)


@pytest.mark.parametrize("command", [["verify"], ["verify", "--solver", "z3"], ["compare", "--solvers", "z3,bounds"]])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_vacuous_verdict_has_a_status_of_its_own(
    spec: Path, capsys: pytest.CaptureFixture[str], command: list[str], allowed: bool
) -> None:
    more = ["--json", "out.json", *(["--allow-vacuous"] if allowed else [])]
    assert main([command[0], "alone.py:empty", *command[1:], *more]) == (0 if allowed else 5)
    assert capsys.readouterr().out.startswith("HOLDS (vacuously: nothing meets the assumption)\n")
    written = json.loads((spec / "out.json").read_text())
    assert (written["vacuous"], written["status"]) == (True, 0 if allowed else 5)
    assert all(r["vacuous"] is True for r in written["results"])


def test_a_violation_outweighs_what_is_vacuous(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "alone.py:true"]) == 0
    assert main(["verify", "alone.py"]) == 1
    assert "empty: " in capsys.readouterr().out


@pytest.mark.parametrize(("allowed", "status"), [([], 5), (["--allow-vacuous"], 0)])
def test_batches_count_them(spec: Path, capsys: pytest.CaptureFixture[str], allowed: list[str], status: int) -> None:
    (spec / "over.json").write_text('[{"low": 49}, {"low": 51}, {"low": 52}]')
    for _ in range(2):  # the second time from the store
        assert main(["verify-many", "spec.py", "--over", "over.json", "--workers", "1", "--store", "s.jsonl", *allowed]) == status
        out = capsys.readouterr().out
        assert out.startswith("HOLDS (vacuously: nothing meets the assumption)\n")
        assert "2 of those that hold do so vacuously" in out


def test_the_search_for_a_value_says_so(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["radius", "spec.py", "--parameter", "low", "--low", "49", "--high", "52"]
    assert main(arguments) == 5
    assert capsys.readouterr().out.startswith("vacuously: nothing meets the assumption; near holds up to low = 52")
    assert main([*arguments, "--allow-vacuous"]) == 0


def test_the_largest_radius_ends_where_radii_do() -> None:
    """Radii beyond what two codes of the input differ by are refused, so that the search must not ask about them."""
    net = qs.Sequential(qs.Input((2,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(2, 0))))
    alike = qs.properties.local_robustness(net, [7, -8], qs.parameter("radius"), qs.parameter("label"))
    found = qs.largest_radius(alike.at(label=0))
    assert (found.holds, found.violated, found.closed) == (7, 8, True)  # 7 - 7 = 0 ties with -8 + 7 + 1: index 0 wins up to there
    always = qs.properties.global_robustness(net, qs.parameter("radius"), 100)
    found = qs.largest_radius(always)
    assert (found.holds, found.violated, found.everywhere, found.closed) == (15, None, True, True)
    assert found.vacuous is False


@pytest.mark.parametrize("overflow", [qs.Overflow.SAT, qs.Overflow.SAT_SYM, qs.Overflow.SAT_ZERO, qs.Overflow.WRAP])
@pytest.mark.parametrize("width", [4, 5, 6, 7])
def test_no_overflow_counts_declared_accumulators_that_saturate(overflow: qs.Overflow, width: int) -> None:
    """3 x for x in -8..7 is in -24..21: six bits hold it, five do not."""
    one = qs.Tensor(np.array([[3]]), qs.Fixed(4, 0))
    net = qs.Sequential(
        qs.Input((1,), qs.Fixed(4, 0)),
        qs.Dense(one, accumulator=qs.Fixed(width, 0, overflow=overflow), output=qs.Fixed(8, 0)),
        qs.Dense(one, accumulator=qs.Fixed(12, 0, overflow=qs.Overflow.WRAP), output=qs.Fixed(12, 0)),
    )
    for solver in ("bounds", "z3"):
        result = qs.verify(qs.properties.no_overflow(net), solver=solver)
        assert result.verdict is (qs.Verdict.HOLDS if width >= 6 else qs.Verdict.VIOLATED)
        if result.codes is not None:
            left = 3 * int(np.asarray(result.codes["x"]).item())
            assert not -(2 ** (width - 1)) + (overflow is qs.Overflow.SAT_SYM) <= left <= 2 ** (width - 1) - 1


def test_outputs_that_saturate_count_only_if_asked() -> None:
    one = qs.Tensor(np.array([[3]]), qs.Fixed(4, 0))
    wide = qs.Fixed(8, 0)
    net = qs.Sequential(qs.Input((1,), qs.Fixed(4, 0)), qs.Dense(one, accumulator=wide, output=qs.Fixed(4, 0)))
    assert qs.verify(qs.properties.no_overflow(net)).verdict is qs.Verdict.HOLDS
    assert qs.verify(qs.properties.no_overflow(net, saturation=True)).verdict is qs.Verdict.VIOLATED


def test_a_scale_is_an_exact_number_of_the_language_too() -> None:
    tenth = qs.int8("0.1")
    assert qs.int8(qs.q("0.1")) == qs.int8(qs.q("0.1").values) == tenth
    assert qs.int8(qs.q(["0.1", "0.2"])) == qs.int8(["0.1", "0.2"])
