"""Commands: the first line of stdout, the exit status, what goes to stderr, JSON, and what happens on the way to an error."""

from __future__ import annotations

import json
import os
import pty
import runpy
import select
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import highspy
import numpy as np
import pytest

from qspec.cli import main
from qspec.cli.epilogs import EXAMPLES
from qspec.cli.parser import COMMANDS, parse
from qspec.cli.specs import setting
from qspec.engines.dual import branch_and_bound
from qspec.verify.decide import DEFAULT_SOLVER

DISTANCE = """
import qspec as qs

_coordinate = qs.Fixed(3, 0, signed=False)
_weight = qs.Fixed(3, 0)
distance = qs.Sequential(
    qs.Input((2,), _coordinate),
    qs.Dense(qs.Tensor([[1, -1], [-1, 1]], _weight), activation=qs.ReLU(), output=qs.Fixed(5, 0)),
    qs.Dense(qs.Tensor([[1], [1]], _weight)),
    name="distance",
)
x = distance.input("x")
"""
"""A network that computes |x0 - x1| for 0 <= x <= 7, so that every verdict below is known."""

TRUE = "within = qs.forall(x, then=3 * distance(x) + 5 * x[0] != 7)\n"
"""True of the integers, false of the rationals between them: bounds do not decide it."""

FALSE = "below = qs.forall(x, then=distance(x) <= 6)\n"
WITNESSED = "reached = qs.exists(x, then=distance(x) >= 7)\n"
ABSENT = "exceeded = qs.exists(x, then=3 * distance(x) + 5 * x[0] == 7)\n"
GIVEN = 'bounded = qs.forall(x, then=distance(x) <= qs.parameter("bound"))\n'
BY_BOUNDS = "loose = qs.forall(x, then=distance(x) <= 14)\n"
IMAGE = """
net = qs.Sequential(qs.Input((4, 4, 1), _coordinate), qs.Flatten(), qs.Dense(qs.Tensor([[1, -1]] * 16, _weight)), name="bright")
centre = [0, 1, 2, 3] * 4  # flat, row by row
dark = qs.properties.local_robustness(net, centre, 1, 1)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int | str | None
    out: str
    err: str

    @property
    def first(self) -> str:
        return self.out.split("\n", 1)[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, without colour or a configured solver."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QSPEC_SMTLIB_COMMAND", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def qspec(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Run a command in this process; a specification is written to spec.py."""

    def run(*arguments: str, spec: str | None = None) -> Ended:
        if spec is not None:
            Path("spec.py").write_text(DISTANCE + spec, encoding="utf-8")
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    return run


def solver(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Make the solver `smtlib` this Python program; `names` are the symbols it is asked for."""
    head = "import re, sys\ntext = sys.stdin.read()\nnames = re.findall(r'declare-fun (\\S+)', text)\n"
    (folder / "fake.py").write_text(head + program, encoding="utf-8")
    monkeypatch.setenv("QSPEC_SMTLIB_COMMAND", f"{sys.executable} {folder / 'fake.py'}")


ZEROS = "print('sat')\nprint('(' + ' '.join(f'({n} #b' + '0' * 3 + ')' for n in names) + ')')\n"


@pytest.mark.parametrize(
    ("spec", "status", "verdict"),
    [(TRUE, 0, "HOLDS"), (FALSE, 1, "VIOLATED"), (WITNESSED, 0, "HOLDS"), (ABSENT, 1, "VIOLATED"), (BY_BOUNDS, 0, "HOLDS")],
)
@pytest.mark.parametrize("options", [(), ("--no-attack",), ("--solver", "z3", "--theory", "QF_LIA", "--no-attack")], ids=" ".join)
def test_verify_says_the_verdict_first_and_exits_with_it(qspec, spec: str, status: int, verdict: str, options: tuple[str, ...]) -> None:
    ended = qspec("verify", "spec.py", *options, spec=spec)
    assert (ended.status, ended.first, ended.err) == (status, verdict, "")


def test_of_several_properties_one_violation_decides(qspec) -> None:
    ended = qspec("verify", "spec.py", "--no-attack", spec=TRUE + FALSE + WITNESSED)
    lines = ended.out.splitlines()
    assert ended.status == 1
    assert lines[0] == "VIOLATED"
    assert [line.split()[:2] for line in lines[1:4]] == [["within:", "HOLDS"], ["below:", "VIOLATED"], ["reached:", "HOLDS"]]
    assert "counterexample to below" in ended.out
    assert "witness of reached" in ended.out


def test_a_counterexample_shows_codes_and_exact_outputs(qspec) -> None:
    ended = qspec("verify", "spec.py:below", spec=TRUE + FALSE)
    assert "x (2), codes" in ended.out
    assert "distance(x) = 7" in ended.out
    assert "within" not in ended.out


def test_an_image_is_drawn_beside_the_one_it_is_near(qspec) -> None:
    ended = qspec("verify", "spec.py:dark", spec=IMAGE)
    assert ended.status == 1
    assert "assumed near" in ended.out
    assert "change in LSB" in ended.out
    assert "░" in ended.out
    assert "\x1b" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_many_counterexamples_are_not_all_printed(qspec) -> None:
    ended = qspec("verify", "spec.py", spec="all_of_them = [qs.forall(x, then=distance(x) <= k) for k in range(6)]\n")
    assert ended.out.count("counterexample to") == 3
    assert "3 more are not shown" in ended.out
    assert "all_of_them[5]: VIOLATED" in ended.out


NEAR = """
near = qs.forall(x, given=qs.linf(x.code - qs.parameter("centre", 2)) <= qs.parameter("radius"), then=distance(x) <= 3)
near_as_well = qs.forall(x, given=qs.linf(x.code) <= qs.parameter("radius"), then=distance(x) <= 9)
"""
"""Around a centre on the diagonal the distance is at most twice the radius; that it is at most 9 needs no assumption."""


def test_radius_says_how_far_a_property_holds_and_what_violates_it_beyond(qspec) -> None:
    ended = qspec("radius", "spec.py:near", "--param", "centre=[3, 3]", spec=NEAR + FALSE)
    assert (ended.status, ended.err) == (0, "")
    assert ended.first.startswith("near holds up to radius = 1, violated from 2, ")
    assert "counterexample to near" in ended.out
    ended = qspec("radius", "spec.py", "--param", "centre=[0, 7]", "--solver", "z3", "--no-attack")
    assert ended.status == 1
    first, second = ended.out.splitlines()[:2]
    assert first.startswith("near not known to hold, violated from 0, ")
    assert second.startswith("near_as_well holds up to radius = 8, violated nowhere, ")
    ended = qspec("radius", "spec.py:near", "--param", "centre=[3, 3]", "--low", "1/2", "--step", "1/2", "--high", "3/2")
    assert ended.first.startswith("near holds up to radius = 1.5, violated nowhere, ")


def test_a_radius_that_nobody_can_tell(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program, status in (("print('unknown')", 3), ("sys.exit('licence expired')", 4)):
        solver(monkeypatch, folder, program)
        options = ("--param", "centre=[3, 3]", "--solver", "smtlib", "--no-attack", "--high", "2")
        ended = qspec("radius", "spec.py:near", *options, spec=NEAR)
        assert ended.status == status
        assert "open" in ended.first


@pytest.mark.parametrize(("value", "status"), [("7", 0), ("6", 1), ("27/4", 1), ("6.999999999999999999999", 1), ("7.0", 0)])
def test_parameters_are_exact(qspec, value: str, status: int) -> None:
    assert qspec("verify", "spec.py", "--param", f"bound={value}", "--no-attack", spec=GIVEN).status == status


def test_parameters_come_from_files_too(qspec, folder: Path) -> None:
    np.save(folder / "seven.npy", np.array(7))
    (folder / "six.json").write_text("6", encoding="utf-8")
    assert qspec("verify", "spec.py", "--param", "bound=@seven.npy", "--no-attack", spec=GIVEN).status == 0
    assert qspec("verify", "spec.py", "--param", "bound=@six.json", "--no-attack", spec=GIVEN).status == 1


def test_several_arrays_are_no_value(qspec, folder: Path) -> None:
    with (folder / "two.npy").open("wb") as file:
        np.savez(file, a=np.array(7), b=np.array(6))
    ended = qspec("verify", "spec.py", "--param", "bound=@two.npy", spec=GIVEN)
    assert ended.status == 2
    assert "it holds several arrays" in ended.err


def test_a_setting_keeps_decimals_as_text() -> None:
    assert setting("a=0.1") == ("a", "0.1")
    assert setting("a=[1, 0.5]") == ("a", [1, "0.5"])
    assert setting("a=1/3") == ("a", "1/3")


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("print('unknown')", 3, "the solver gave up"),
        ("sys.exit('licence expired')", 4, "licence expired"),
        ("print('perhaps')", 4, "not an answer"),
    ],
    ids=["unknown", "crash", "garbage"],
)
def test_no_verdict_is_unknown_or_a_failure(
    qspec, folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, status: int, said: str
) -> None:
    solver(monkeypatch, folder, program)
    ended = qspec("verify", "spec.py", "--solver", "smtlib", "--no-attack", spec=TRUE)
    assert (ended.status, ended.first) == (status, "UNKNOWN")
    assert said in ended.out


def test_a_violation_outweighs_a_failure(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver(monkeypatch, folder, "sys.exit('licence expired')")
    ended = qspec("verify", "spec.py", "--solver", "smtlib", spec=TRUE + FALSE)
    assert (ended.status, ended.first) == (1, "VIOLATED")


def test_a_model_that_does_not_replay_is_no_verdict(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver(monkeypatch, folder, ZEROS)
    ended = qspec("verify", "spec.py", "--solver", "smtlib", "--no-attack", spec=TRUE)
    assert (ended.status, ended.out) == (4, "")
    assert "does not replay" in ended.err
    assert list(folder.glob("qspec-reproducer-*"))


def test_solvers_that_contradict_each_other_are_no_verdict(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver(monkeypatch, folder, "print('unsat')")
    ended = qspec("compare", "spec.py", "--solvers", "bitwuzla,smtlib", spec=FALSE)
    assert (ended.status, ended.out) == (4, "")
    assert "contradict" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "absent.py"), "no such file"),
        (("verify", "spec.txt"), "not a specification"),
        (("verify", "spec.py:nothing"), "within"),
        (("verify", "spec.py", "--solver", "oracle"), "no such solver"),
        (("verify", "spec.py", "--solver", "smtlib"), "QSPEC_SMTLIB_COMMAND"),
        (("verify", "spec.py", "--theory", "QF_XX", "--no-attack"), "query, grid"),
        (("verify", "spec.py", "--solver", "z3", "--theory", "QF_XX", "--no-attack"), "QF_BV"),
        (("verify", "spec.py", "--solver", "z3", "--certificate", "proof"), "--solver bounds"),
        (("verify", "spec.py", "--theory", "grid", "--certificate", "proof"), "--solver bounds"),
        (("verify", "spec.py", "--certificate", "nowhere/proof"), "cannot write there"),
        (("verify", "spec.py", "--without", "magic"), "no such pass"),
        (("verify", "spec.py", "--timeout", "0"), "time limit"),
        (("verify", "spec.py", "--timeout", "soon"), "number of seconds"),
        (("verify", "spec.py", "--memory", "1"), "memory limit"),
        (("verify", "spec.py", "--param", "bound=3"), "no such parameter"),
        (("verify", "spec.py", "--param", "3"), "NAME=VALUE"),
        (("verify", "spec.py", "--param", "timeout=3"), "no such parameter"),
        (("verify", "spec.py", "--param", "bound=NaN"), "NaN"),
        (("verify", "spec.py", "--param", "bound=@absent.npy"), "absent.npy"),
        (("verify", "spec.py", "--json", "nowhere/result.json"), "cannot write there"),
        (("verify",), "FILE.py"),
        (("frobnicate",), "frobnicate"),
        ((), ""),
        (("compare", "spec.py", "--solvers", "z3,oracle"), "no such solver"),
        (("compare", "spec.py", "--theory", "QF_XX"), "QF_XX"),
        (("radius", "spec.py"), "no property has this parameter"),
        (("radius", "spec.py", "--parameter", "bound", "--high", "nine"), "no property has this parameter"),
        (("export", "spec.py", "--theory", "grid"), "invalid choice"),
        (("show", "no-such-model"), "no such model"),
        (("show", "spec.py:nothing"), "nothing"),
        (("replay", "absent.json"), "cannot read stored results"),
        (("demo", "no-such-demo"), "no such demonstration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_usage_is_status_2_and_says_what_to_do(qspec, arguments: tuple[str, ...], said: str) -> None:
    ended = qspec(*arguments, spec=TRUE)
    assert ended.status == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not ended.out or not arguments


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ratio = 1 / 0\n", "spec.py:13: ZeroDivisionError: division by zero\n  line 13:  ratio = 1 / 0"),
        ("from nowhere import thing\n", "spec.py:13: ModuleNotFoundError"),
        ("if True:\n", "spec.py:13: IndentationError"),
        ("raise SystemExit(3)\n", "spec.py:13: SystemExit: 3"),
        ("bad = qs.forall(x, then=qs.argmax(distance(x)) == 5)\n", "spec.py:13: no such class\n  given:    5"),
        ("bad = qs.forall(x, then=distance(x) <= 0.1)\n", "a bare float is not an exact number"),
        ("_hidden = qs.forall(x, then=distance(x) <= 7)\n", "defines no property"),
        ("\0", "null bytes"),
    ],
)
def test_an_error_in_the_file_names_its_line(qspec, text: str, said: str) -> None:
    ended = qspec("verify", "spec.py", spec=text)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_what_the_file_prints_and_imports(qspec, folder: Path) -> None:
    (folder / "neighbour.py").write_text("limit = 7\n", encoding="utf-8")
    spec = "import neighbour\nprint('hello')\nwithin = qs.forall(x, then=distance(x) <= neighbour.limit)\n"
    ended = qspec("verify", "spec.py", "--no-attack", spec=spec)
    assert (ended.status, ended.first, ended.err) == (0, "HOLDS", "hello\n")
    assert str(folder) not in sys.path
    assert not list(folder.glob("__pycache__/spec*"))


def test_a_certificate_is_kept_and_checks(qspec, folder: Path) -> None:
    ended = qspec("verify", "spec.py", "--certificate", "proof", spec=TRUE)
    assert (ended.status, ended.err) == (0, "")
    assert [line for line in ended.out.splitlines() if "certificate:" in line] == ["certificate: proof"]
    distance = runpy.run_path("spec.py")["distance"]
    distance.save("net.qspec")
    checked = qspec("check-certificate", "proof", "net.qspec", "spec.py")
    assert (checked.status, checked.first) == (0, "HOLDS")
    elsewhere = qspec("check-certificate", "proof", "net.qspec", "spec.py", spec=TRUE.replace("!= 7", "!= 9"))
    assert elsewhere.status == 2


def test_a_certificate_over_the_reals_is_kept_and_checks(qspec, folder: Path) -> None:
    spec = "".join(
        [
            "layers = [qs.real.Dense([[1, 1], [1, -1]], activation=qs.ReLU()), qs.real.Dense([[1], [1]])]\n",
            "net = qs.real.Sequential(qs.real.Input((2,)), *layers)\n",
            "y = net.input('y', lower=-1, upper=1)\n",
            "bounded = qs.forall(y, then=qs.all(net(y) <= 3), name='bounded')\n",
        ]
    )
    ended = qspec("verify", "spec.py:bounded", "--certificate", "proof", spec=spec)
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "certificate: proof")
    runpy.run_path("spec.py")["net"].save("net.qspec")
    checked = qspec("check-certificate", "proof", "net.qspec", "spec.py:bounded")
    assert (checked.status, checked.first) == (0, "HOLDS")
    assert "bounded: HOLDS, no input violates it; the proof is right" in checked.out
    assert "over the reals, content" in checked.out
    refused = {"--verified": "about reals", "--ask=z3": "about reals"}
    for option, said in refused.items():
        ended = qspec("check-certificate", "proof", "net.qspec", "spec.py:bounded", option)
        assert (ended.status, said in ended.err) == (2, True)
    runpy.run_path("spec.py")["distance"].save("other.qspec")
    assert qspec("check-certificate", "proof", "other.qspec", "spec.py:bounded").status == 2
    other = qspec("check-certificate", "proof", "net.qspec", "spec.py:bounded", spec=spec.replace("<= 3", "<= 4"))
    assert (other.status, "another query" in other.err) == (2, True)


def test_certificates_of_several_properties_go_to_a_folder(qspec, folder: Path) -> None:
    several = "cases = {'a/b': qs.forall(x, then=distance(x) <= 7), 'a_b': qs.forall(x, then=distance(x) <= 8)}\n"
    ended = qspec("verify", "spec.py", "--certificate", "proofs", spec=FALSE + several + ABSENT)
    assert ended.status == 1
    assert "certificates: 3 of 4, in proofs" in ended.out.splitlines()
    assert sorted(p.name for p in (folder / "proofs").iterdir()) == [
        "cases[a_b]-2.certificate",
        "cases[a_b].certificate",
        "exceeded.certificate",
    ]
    runpy.run_path("spec.py")["distance"].save("net.qspec")
    checked = qspec("check-certificate", "proofs/cases[a_b]-2.certificate", "net.qspec", "spec.py")
    assert checked.out.splitlines()[1].startswith("cases[a_b]: HOLDS")
    assert qspec("check-certificate", "proofs/exceeded.certificate", "net.qspec", "spec.py").first == "VIOLATED"
    (folder / "file").touch()
    ended = qspec("verify", "spec.py", "--certificate", "file")
    assert (ended.status, ended.out) == (2, "")
    assert "folder" in ended.err


def leave_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the engine leave the first domain open, whatever the query."""
    proved = branch_and_bound.prove
    monkeypatch.setattr(
        branch_and_bound, "prove", lambda query, deadline, options, search: proved(query, deadline, replace(options, leave=1), search)
    )


def test_a_partial_certificate_is_said_to_be_one(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_at_once(monkeypatch)
    command = ("verify", "spec.py", "--solver", "z3", "--presolve", "branch", "--no-attack", "--certificate", "proof")
    ended = qspec(*command, "--theory", "QF_LIA", spec=TRUE)
    assert (ended.status, ended.first) == (0, "HOLDS")
    assert "certificate: proof (partial: 1 domain assumed to have no solution)" in ended.out.splitlines()
    assert "in 1 domain, elsewhere by branch and bound" in ended.out
    runpy.run_path("spec.py")["distance"].save("net.qspec")
    again = ("check-certificate", "proof", "net.qspec", "spec.py")
    checked = qspec(*again)
    assert (checked.status, checked.first) == (3, "UNKNOWN")
    assert "within: HOLDS if there is no solution in 1 domain, which is not proved" in checked.out
    assert "(QF_LIA): 1" in checked.out
    asked = qspec(*again, "--ask", "bitwuzla")
    assert (asked.status, asked.first) == (0, "HOLDS")
    assert "no solution in 1 domain, as says bitwuzla" in asked.out


def test_an_assumption_that_is_false_is_found_out(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_at_once(monkeypatch)
    solver(monkeypatch, folder, "print('unsat')")
    command = ("verify", "spec.py", "--solver", "smtlib", "--presolve", "branch", "--no-attack", "--certificate", "proof")
    assert qspec(*command, spec=FALSE).status == 0
    runpy.run_path("spec.py")["distance"].save("net.qspec")
    checked = qspec("check-certificate", "proof", "net.qspec", "spec.py", "--ask", "z3")
    assert (checked.status, checked.first) == (1, "VIOLATED")
    assert "counterexample to below" in checked.out


def test_without_a_proof_there_is_no_certificate(qspec, folder: Path) -> None:
    ended = qspec("verify", "spec.py", "--certificate", "proof", spec=FALSE)
    assert ended.status == 1
    assert "certificate: none, because nothing was proved" in ended.out.splitlines()
    assert not (folder / "proof").exists()


def test_the_default_solver_is_the_same_as_in_python(qspec) -> None:
    assert f"(default: {DEFAULT_SOLVER})" in " ".join(qspec("verify", "--help").out.split())
    qspec("verify", "spec.py", "--json", "out.json", spec=TRUE)
    assert json.loads(Path("out.json").read_text(encoding="utf-8"))["results"][0]["solver"] == DEFAULT_SOLVER


def test_json_has_every_result(qspec, folder: Path) -> None:
    assert qspec("verify", "spec.py", "--no-attack", "--json", "out.json", spec=TRUE + FALSE).status == 1
    content = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert set(content) == {"schema", "command", "target", "verdict", "status", "text", "vacuous", "results"}
    assert (content["schema"], content["target"], content["verdict"], content["status"]) == ("qspec.results/1", "spec.py", "VIOLATED", 1)
    assert [(r["name"], r["verdict"], r["schema"]) for r in content["results"]] == [
        ("within", "HOLDS", "qspec.result/2"),
        ("below", "VIOLATED", "qspec.result/2"),
    ]
    first, second = content["results"][1]["codes"]["x"]
    assert abs(first - second) == 7


def test_json_on_stdout_is_alone_there(qspec) -> None:
    ended = qspec("verify", "spec.py", "--no-attack", "--json", "-", spec=FALSE)
    assert json.loads(ended.out)["verdict"] == "VIOLATED"
    assert ended.err.startswith("VIOLATED\n")


@pytest.mark.parametrize(("spec", "status", "verdict"), [(FALSE, 1, "VIOLATED"), (WITNESSED, 0, "HOLDS")])
def test_replay_runs_a_stored_result_again(qspec, spec: str, status: int, verdict: str) -> None:
    qspec("verify", "spec.py", "--json", "out.json", spec=TRUE + spec)
    for arguments in (("replay", "out.json"), ("replay", "out.json", "spec.py")):
        ended = qspec(*arguments)
        assert (ended.status, ended.first, ended.err) == (status, verdict, "")
        assert "changed" not in ended.out


def test_replay_reads_a_single_result_and_its_parameters(qspec, folder: Path) -> None:
    qspec("verify", "spec.py", "--param", "bound=13/2", "--json", "out.json", spec=GIVEN)
    only = json.loads((folder / "out.json").read_text(encoding="utf-8"))["results"][0]
    (folder / "one.json").write_text(json.dumps(only), encoding="utf-8")
    assert qspec("replay", "one.json", "spec.py:bounded").status == 1
    assert qspec("replay", "one.json").status == 2


def test_replay_notices_that_codes_no_longer_violate(qspec) -> None:
    qspec("verify", "spec.py", "--json", "out.json", spec=FALSE)
    ended = qspec("replay", "out.json", spec=FALSE.replace("<= 6", "<= 7"))
    assert (ended.status, ended.first) == (3, "UNKNOWN")
    assert "do not violate" in ended.out
    assert "has changed since" in ended.out


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(codes=None),
        lambda r: r.update(codes=[1]),
        lambda r: r.update(codes={"x": [1]}),
        lambda r: r.update(codes={"x": [0.5, 1]}),
        lambda r: r.update(codes={"x": "abc"}),
        lambda r: r.update(codes={}),
        lambda r: r.update(parameters={"bound": 3}),
        lambda r: r.update(parameters=3),
        lambda r: r.update(schema="other/1"),
    ],
)
def test_replay_refuses_damaged_results(qspec, folder: Path, change) -> None:
    qspec("verify", "spec.py", "--json", "out.json", spec=FALSE)
    only = json.loads((folder / "out.json").read_text(encoding="utf-8"))["results"][0]
    change(only)
    (folder / "bad.json").write_text(json.dumps(only), encoding="utf-8")
    ended = qspec("replay", "bad.json", "spec.py")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: ")


def test_compare_shows_answers_and_agreement(qspec) -> None:
    ended = qspec("compare", "spec.py", "--solvers", "bitwuzla,z3,cvc5", "--json", "out.json", spec=TRUE)
    assert (ended.status, ended.first, ended.err) == (0, "HOLDS", "")
    assert "within: HOLDS  3 of 3 solvers" in ended.out
    assert ended.out.count("✓") == 3 * 2 + 1
    assert max(map(len, ended.out.splitlines())) <= 80
    assert [r["solver"] for r in json.loads(Path("out.json").read_text(encoding="utf-8"))["results"]] == ["bitwuzla", "z3", "cvc5"]


@pytest.mark.parametrize(("answer", "alone"), [("print('unknown')", 3), ("sys.exit('licence expired')", 4)])
def test_compare_is_decided_by_whoever_decides(qspec, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, alone: int) -> None:
    solver(monkeypatch, folder, answer)
    ended = qspec("compare", "spec.py", "--solvers", "smtlib,z3", spec=FALSE)
    assert (ended.status, ended.first) == (1, "VIOLATED")
    assert "1 of 2 solvers" in ended.out
    assert "is unknown" in ended.out
    assert qspec("compare", "spec.py", "--solvers", "smtlib").status == alone


def test_compare_asks_every_installed_smt_solver_unless_told(qspec) -> None:
    ended = qspec("compare", "spec.py", "--theory", "QF_LIA", spec=FALSE)
    assert ended.status == 1
    assert all(name in ended.out for name in ("z3", "cvc5", "QF_LIA"))
    assert "bitwuzla" not in ended.out


@pytest.mark.parametrize("theory", ["QF_BV", "QF_LIA"])
@pytest.mark.parametrize(("spec", "answer"), [(TRUE, "unsat"), (FALSE, "sat")])
def test_export_is_a_script_that_z3_answers(qspec, folder: Path, theory: str, spec: str, answer: str) -> None:
    z3 = pytest.importorskip("z3")
    text = qspec("export", "spec.py", "--theory", theory, spec=spec).out
    assert f"(set-logic {theory})" in text
    assert text.count("(check-sat)") == 1
    assert "(get-value (" in text
    assert qspec("export", "spec.py", "--theory", theory, "--out", "problem.smt2").out == ""
    assert (folder / "problem.smt2").read_text(encoding="utf-8") == text
    asked = z3.Solver()
    asked.from_string(text)
    assert str(asked.check()) == answer


@pytest.mark.parametrize("form", ["lp", "mps"])
@pytest.mark.parametrize(("spec", "answer"), [(TRUE, "infeasible"), (FALSE, "feasible")])
def test_export_is_a_file_that_highs_answers(qspec, folder: Path, form: str, spec: str, answer: str) -> None:
    assert qspec("export", "spec.py", "--theory", "milp", "--format", form, "--out", f"problem.{form}", spec=spec).out == ""
    text = (folder / f"problem.{form}").read_text(encoding="utf-8")
    assert "infeasible means HOLDS" in text.splitlines()[0]
    assert qspec("export", "spec.py", "--theory", "milp", "--format", form).out == text
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(folder / f"problem.{form}")) == highspy.HighsStatus.kOk
    solver.run()
    wanted = highspy.HighsModelStatus.kInfeasible if answer == "infeasible" else highspy.HighsModelStatus.kOptimal
    assert solver.getModelStatus() == wanted


@pytest.mark.parametrize(
    "arguments", [("--theory", "milp", "--format", "smt2"), ("--format", "lp"), ("--theory", "QF_LIA", "--format", "mps")]
)
def test_a_theory_has_its_formats(qspec, arguments: tuple[str, ...]) -> None:
    ended = qspec("export", "spec.py", *arguments, spec=TRUE)
    assert ended.status == 2
    assert "milp as lp or mps" in ended.err


def test_highs_holds_only_by_an_exact_proof(qspec) -> None:
    ended = qspec("verify", "spec.py", "--solver", "highs", "--no-attack", spec=TRUE)
    assert (ended.status, ended.out.splitlines()[0]) == (0, "HOLDS")
    assert "proved by highs" in ended.out.splitlines()[1]
    mixed = qspec("verify", "spec.py", "--solver", "highs", "--no-attack", spec=TRUE + FALSE)
    assert (mixed.status, mixed.out.splitlines()[0]) == (1, "VIOLATED")
    compared = qspec("compare", "spec.py", "--solvers", "highs,z3", spec=TRUE)
    assert compared.out.splitlines()[0] == "HOLDS"
    assert " terms" in compared.out


def test_export_takes_one_property(qspec) -> None:
    ended = qspec("export", "spec.py", spec=TRUE + FALSE)
    assert ended.status == 2
    assert "spec.py:within" in ended.err


def test_show_prints_properties_and_networks(qspec, folder: Path) -> None:
    ended = qspec("show", "spec.py", spec=TRUE + GIVEN)
    assert ended.out.startswith("within: for all x (2)\n  then    3·distance(x) + 5·x[0] ≠ 7")
    assert "to give bound (one number)" in ended.out
    assert "dense_1" in ended.out
    assert qspec("show", "spec.py:distance").out.startswith("distance")
    assert qspec("show", "spec.py", spec="").status == 0


def test_show_reads_a_network_file(qspec, folder: Path) -> None:
    qspec("show", "spec.py", spec="distance.save('net.qspec')\n" + TRUE)
    ended = qspec("show", "net.qspec")
    assert ended.status == 0
    assert "dense_2" in ended.out


def test_solvers_lists_what_there_is_and_how_to_get_the_rest(qspec, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {line.split()[0]: line for line in qspec("solvers").out.splitlines()[2:] if line.strip()}
    assert all(rows[name].split()[1] == "ok" for name in ("bitwuzla", "cvc5", "z3"))
    assert rows["smtlib"].split()[1] == "missing"
    monkeypatch.setenv("QSPEC_SMTLIB_COMMAND", sys.executable)
    assert " ok " in next(line for line in qspec("solvers").out.splitlines() if line.startswith("smtlib"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(qspec, command: str) -> None:
    ended = qspec(command, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"usage: qspec {command}")
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_the_help_are_commands(command: str) -> None:
    for example in EXAMPLES[command]:
        assert parse([command, *shlex.split(example)])["command"] == command


def test_version(qspec) -> None:
    assert qspec("--version").out.startswith("qspec 0.")


def test_a_defect_is_one_line_unless_debugged(qspec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qspec.cli.verify.read_specs", lambda *_: 1 / 0)
    ended = qspec("verify", "spec.py", spec=TRUE)
    assert (ended.status, ended.out) == (4, "")
    assert ended.err.count("\n") == 1
    assert "ZeroDivisionError" in ended.err
    with pytest.raises(ZeroDivisionError):
        qspec("verify", "spec.py", "--debug")


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qspec", *arguments]


def test_help_imports_nothing_that_takes_time(folder: Path) -> None:
    code = "import sys\nfrom qspec.cli import main\ntry:\n    main(['--help'])\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    loaded = {name.partition(".")[0] for name in run.stderr.split()}
    assert not loaded & {"rich", "typer", "click", "jax", "matplotlib", "z3", "cvc5", "bitwuzla", "pysmt", "qspec_models", "qspec_solvers"}


def test_a_reader_that_goes_away_changes_nothing(folder: Path) -> None:
    (folder / "spec.py").write_text(DISTANCE + FALSE, encoding="utf-8")
    read, write = os.pipe()
    os.close(read)
    try:
        run = subprocess.run(program("verify", "spec.py", "--no-attack"), stdout=write, stderr=subprocess.PIPE, text=True, timeout=300)
    finally:
        os.close(write)
    assert (run.returncode, run.stderr) == (1, "")


def test_progress_is_shown_on_a_terminal_and_only_on_stderr(folder: Path) -> None:
    (folder / "spec.py").write_text(DISTANCE + FALSE, encoding="utf-8")
    ours, theirs = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm-256color"}
        run = subprocess.run(
            program("verify", "spec.py", "--no-attack"), stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=300
        )
        shown = os.read(ours, 1 << 16).decode() if select.select([ours], [], [], 0)[0] else ""
    finally:
        os.close(ours)
        os.close(theirs)
    assert run.stdout.startswith(b"VIOLATED\n")
    assert b"\x1b" not in run.stdout
    assert "below · bounds" in shown


@pytest.mark.usefixtures("interruptible")
def test_interrupting_leaves_nothing_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "spec.py").write_text(DISTANCE + TRUE, encoding="utf-8")
    started = folder / "started"
    os.mkfifo(started)
    pipe = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    solver(monkeypatch, folder, f"import os\nopen({str(started)!r}, 'w').write(str(os.getpid()))\nwhile True: pass\n")
    command = program("verify", "spec.py", "--solver", "smtlib", "--no-attack", "--timeout", "none")
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert select.select([pipe], [], [], 300)[0], "no solver was started"
        pid = int(os.read(pipe, 100))
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=300)
    finally:
        os.close(pipe)
        run.kill()
        run.communicate()
    assert (run.returncode, out, err) == (130, "", "interrupted\n")
    assert gone(pid)


def gone(pid: int) -> bool:
    """Return whether a process ends, or is only waiting to be collected, within 120 seconds."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
