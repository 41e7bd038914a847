"""Whatever a solver process does, the run is a value and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from qspec.problem import SmtProblem, Symbol
from qspec.solver import Limits, Reason
from qspec_solvers.process import End, run
from qspec_solvers.smtlib import SmtLib

FAKE = (sys.executable, "-I", "-S", str(Path(__file__).parent / "fake_solvers" / "misbehave.py"))
PROBLEM = SmtProblem("QF_BV", "(set-logic QF_BV)\n(declare-const x (_ BitVec 8))\n", (Symbol("x", "BitVec", "x", 0),), {})
MARK = "QSPEC_TEST_MARK"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def ask(way: str, *, seconds: float = 60, memory: int | None = 500):
    return SmtLib((*FAKE, way)).solve(PROBLEM, Limits(seconds, memory))


def alive(mark: str) -> list[int]:
    """Return the processes that were started with the mark in their environment."""
    found: list[int] = []
    for directory in Path("/proc").iterdir():
        try:
            environment = (directory / "environ").read_bytes() if directory.name.isdigit() else b""
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment.split(b"\0"):
            found.append(int(directory.name))
    return found


def settle(mark: str, wanted: int) -> list[int]:
    """Wait until at least `wanted` marked processes are alive, or none if `wanted` is 0; return those alive, after 120 s at the latest."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now = alive(mark)
        if (not now) if wanted == 0 else len(now) >= wanted:
            return now
        time.sleep(0.02)
    return alive(mark)


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch):
    """Mark every process that the test starts, and check at the end that none is left."""
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARK, value)
    yield value
    assert alive(value) == []


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize(
    ("way", "reason", "detail"),
    [
        ("crash", Reason.CRASH, "SIGSEGV"),
        ("fail", Reason.CRASH, "exit status 1: error: licence expired"),
        ("silent", Reason.GARBAGE, "no answer was printed"),
        ("garbage", Reason.GARBAGE, "opened"),
        ("bytes_", Reason.GARBAGE, ""),
        ("endless", Reason.GARBAGE, "bytes of output"),
        ("deep", Reason.GARBAGE, "nested"),
        ("half_model", Reason.GARBAGE, "ends within a list"),
        ("missing_value", Reason.GARBAGE, "no value for x"),
        ("wrong_name", Reason.GARBAGE, "no value for x"),
        ("wrong_sort", Reason.GARBAGE, "(- 3) is not a value of sort BitVec"),
        ("error_then_unsat", Reason.UNSUPPORTED, "line 3: unknown function"),
        ("unsat_then_sat", Reason.GARBAGE, "after unsat there is more"),
        ("unsat_then_crash", Reason.CRASH, "SIGSEGV"),
        ("burst", Reason.MEMORY, "MemoryError"),
    ],
)
def test_misbehaviour_is_a_value(way: str, reason: Reason, detail: str) -> None:
    answer = ask(way)
    assert (answer.status, answer.reason, answer.model) == ("unknown", reason, None)
    assert detail in answer.detail


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("way", ["unsat_then_error", "loud", "echo", "deaf", "orphan"])
def test_an_answer_is_heard_through_noise(way: str) -> None:
    assert ask(way).status == "unsat"


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("way", ["sleep", "stubborn"])
def test_wall_clock_limit(way: str) -> None:
    answer = ask(way, seconds=0.5)
    assert (answer.status, answer.reason) == ("unknown", Reason.TIMEOUT)
    assert "0.5 s" in answer.detail


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("way", ["grow", "grow_in_children"])
def test_memory_limit(way: str) -> None:
    answer = ask(way, memory=120)
    assert (answer.status, answer.reason) == ("unknown", Reason.MEMORY)
    assert int(answer.statistics["memory_mib"]) >= 120


@pytest.mark.usefixtures("mark")
def test_a_command_that_does_not_exist() -> None:
    answer = SmtLib(("/nonexistent/solver",)).solve(PROBLEM, Limits())
    assert (answer.status, answer.reason) == ("unknown", Reason.CRASH)
    assert "/nonexistent/solver" in answer.detail


@pytest.mark.usefixtures("mark")
def test_no_limits() -> None:
    assert ask("echo", memory=None).status == "unsat"
    assert run((*FAKE, "silent"), "", Limits(None, None)).end is End.EXIT


@pytest.mark.usefixtures("mark")
def test_an_argument_list_that_is_too_long_is_a_value() -> None:
    finished = run((*FAKE, "silent", "x" * (1 << 22)), "", Limits())
    assert finished.end is End.LOST
    assert finished.errors


@pytest.mark.usefixtures("mark")
def test_a_large_script_arrives_whole() -> None:
    text = "; " + "x" * (20 << 20)
    finished = run((sys.executable, "-I", "-S", "-c", "import sys; print(len(sys.stdin.read()))"), text, Limits())
    assert finished.output.strip() == str(len(text))


PARENT = f"""
from qspec.solver import Limits
from qspec_solvers.process import run
run({(*FAKE, "stubborn")!r}, "", Limits())
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("sent", "returned"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, -signal.SIGINT)])
def test_nothing_outlives_its_parent(mark: str, sent: signal.Signals, returned: int) -> None:
    """The solver ignores signals and has a child in a session of its own; SIGINT is what Ctrl-C sends."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stderr=subprocess.PIPE) as parent:
        started = settle(mark, 5)
        parent.send_signal(sent)
        _, errors = parent.communicate()
    assert len(started) == 5, "parent, supervisor, solver, child, grandchild"
    assert parent.returncode == returned
    assert (b"KeyboardInterrupt" in errors) == (sent == signal.SIGINT)
    assert settle(mark, 0) == []


def test_nothing_outlives_its_supervisor(mark: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT.replace("stubborn", "sleep")], stderr=subprocess.PIPE) as parent:
        started = settle(mark, 3)
        supervisor = next(pid for pid in started if b"supervise.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(supervisor, signal.SIGKILL)
        parent.communicate()
    assert parent.returncode == 0
    assert settle(mark, 0) == []
