"""At the edges of a run: files, streams and numbers of every kind lose no verdict, and what cannot be is said in one plain error."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.batch.journal import opened as certified
from qspec.batch.store import opened, read
from qspec.certificate.file import load as load_certificate
from qspec.cli import main
from qspec.files.samples import read_idx, read_npz
from qspec.solver import Answer, Availability, Limits, Reason, get_solver
from qspec.support.json_text import parse
from qspec.verify.result import Verdict
from qspec.verify.session import solve

SPEC = """
import qspec as qs
net = qs.Sequential(qs.Input((2,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor([[1, -1], [-1, 1]], qs.Fixed(2, 0))), name="net")
robust = qs.properties.local_robustness(net, [5, 3], qs.parameter("radius"), 0)
"""
NET = qs.Sequential(qs.Input((2,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(2, 0))), name="net")
ROBUST = qs.properties.local_robustness(NET, [5, 3], qs.parameter("radius"), 0)
BOM = "\ufeff"
DEEP = "[" * 5000 + "]" * 5000
HUGE = "1" + "0" * 5000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.py").write_text(SPEC)
    return tmp_path


@pytest.mark.parametrize("coding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16", "koi8-r"])
@pytest.mark.parametrize(("radius", "status", "word"), [(1, 0, "HOLDS"), (4, 1, "VIOLATED")])
def test_stdout_carries_the_verdict_in_any_encoding(
    folder: Path, monkeypatch: pytest.MonkeyPatch, coding: str, radius: int, status: int, word: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=coding))
    assert main(["verify", "spec.py", "--param", f"radius={radius}"]) == status
    assert raw.getvalue().decode(coding).startswith(word)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_stdout_is_said(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "qspec", "verify", "spec.py", "--param", "radius=1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    assert ended.returncode == 4
    assert ended.stderr.startswith("error: cannot write to stdout (No space left on device)")
    assert "defect" not in ended.stderr


def test_a_closed_stdout_keeps_the_status(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["verify", "spec.py", "--param", "radius=4"]) == 1


def test_files_named_like_standard_modules_harm_nothing(folder: Path) -> None:
    for name in ("types", "json", "re", "enum", "numpy", "random", "socket", "copy", "selectors", "jax", "site", "struct", "io"):
        (folder / f"{name}.py").write_text("raise RuntimeError('this is not the module that was meant')\n")
    (folder / "helper.py").write_text("RADII = [1, 2]\n")
    (folder / "spec.py").write_text("import helper, json, random\n" + SPEC)
    (folder / "over.json").write_text('[{"radius": 1}, {"radius": 4}, {"radius": 0}]')
    qspec = Path(sys.executable).with_name("qspec")
    many = [
        "verify-many",
        "spec.py",
        "--over",
        "over.json",
        "--workers",
        "2",
        "--solver",
        "bounds",
    ]  # workers of the batch, and JAX in them
    for command in (many, ["verify", "spec.py", "--param", "radius=4", "--solver", "bitwuzla"]):  # a supervisor, and a worker of a solver
        ended = subprocess.run([qspec, *command], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout[:8]) == (1, "VIOLATED"), ended.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [("o.csv", "radius\n1\n"), ("o.json", '[{"radius": 1}]'), ("o.json", '{"radius": [1]}')],
)
def test_a_byte_order_mark_is_skipped_in_tables(folder: Path, capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    (folder / name).write_text(BOM + text, encoding="utf-8")
    assert main(["verify-many", "spec.py", "--over", name, "--workers", "1"]) == 0
    assert capsys.readouterr().out.startswith("HOLDS")


def test_a_byte_order_mark_is_skipped_in_values_results_and_stores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "r.json").write_text(BOM + "4", encoding="utf-8")
    arguments = ["verify", "spec.py", "--param", "radius=@r.json", "--json", "out.json"]
    assert main(arguments) == 1
    (folder / "out.json").write_text(BOM + (folder / "out.json").read_text(), encoding="utf-8")
    assert main(["replay", "out.json"]) == 1
    (folder / "over.json").write_text('[{"radius": 1}, {"radius": 4}]')
    many = ["verify-many", "spec.py", "--over", "over.json", "--workers", "1", "--store", "s.jsonl"]
    assert main(many) == 1
    (folder / "s.jsonl").write_bytes(BOM.encode() + (folder / "s.jsonl").read_bytes())
    before = [row["verdict"] for row in read("s.jsonl")]
    assert main(many) == 1
    assert [row["verdict"] for row in read("s.jsonl")] == before == ["HOLDS", "VIOLATED"]
    assert main(["report", "s.jsonl", "out.json", "-o", "page.html"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("value", [DEEP, HUGE, f"[{HUGE}]", "[1e999]", "1e999", "NaN", "Infinity", "[NaN]", '{"a": 1}', "null", "true"])
def test_numbers_that_are_none_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    (folder / "r.json").write_text(value)
    (folder / "o.json").write_text(f'[{{"radius": {value}}}]')
    for arguments in (
        ["verify", "spec.py", "--param", f"radius={value}"],
        ["verify", "spec.py", "--param", "radius=@r.json"],
        ["verify-many", "spec.py", "--over", "o.json", "--workers", "1"],
    ):
        assert main(arguments) == 2, arguments[0]
    said = capsys.readouterr().err
    assert "defect" not in said
    assert "Error:" not in said


@pytest.mark.parametrize(
    ("text", "says"), [(DEEP, "nested too deeply"), (HUGE, "digits"), (BOM, "value"), ("[", "value"), ("nul", "value")]
)
def test_json_that_is_none_is_a_value_error(text: str, says: str) -> None:
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=says):
            parse(given)


@pytest.mark.parametrize("command", ["replay", "report"])
def test_results_that_are_none_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    for text in (DEEP, HUGE, '{"schema": "qspec.store/1", "key": ' + DEEP + "}\n", "", "\0"):
        (folder / "f.jsonl").write_text(text)
        assert main([command, "f.jsonl"]) == 2
        assert "defect" not in capsys.readouterr().err


def test_a_store_with_limits_of_another_kind_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "over.json").write_text('[{"radius": 1}, {"radius": 4}]')
    many = ["verify-many", "spec.py", "--over", "over.json", "--workers", "1", "--store", "s.jsonl"]
    assert main(many) == 1
    whole = (folder / "s.jsonl").read_text()
    for old, new in (('"limits": {', '"limits": {"x": 1, '), ('"limits": {', '"limits": [], "was": {'), ('"seed": 0', '"seed": -1')):
        (folder / "s.jsonl").write_text(whole.replace(old, new, 1))
        capsys.readouterr()
        assert main(many) == 2
        assert capsys.readouterr().err.startswith("error: a store is damaged")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_read_only_is_refused_before_anything_takes_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ro").mkdir(mode=0o555)
    for arguments in (["verify", "spec.py", "--param", "radius=1", "--json", "ro/x"], ["export", "spec.py", "-o", "ro/x"]):
        assert main(arguments) == 2
        assert "cannot write there" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["/dev/full", "/dev/zero", "/dev/null"])
def test_a_device_is_no_store_and_no_result(folder: Path, capsys: pytest.CaptureFixture[str], device: str) -> None:
    if not Path(device).exists():
        pytest.skip("no such device")
    with pytest.raises(qs.SpecError, match="is no file"), opened(device):
        pass
    with pytest.raises(qs.SpecError, match="is no file"), certified(device, "", "", (2,), 1.0):
        pass
    for arguments in (["replay", device], ["report", device]):
        assert main(arguments) == 2
    assert main(["verify", "spec.py", "--param", "radius=1", "--json", device]) == 2
    assert "defect" not in capsys.readouterr().err


def test_no_file_takes_the_place_of_a_device_or_a_pipe(tmp_path: Path) -> None:
    """As root a rename would have replaced the device for everybody; a pipe stays one, and carries what is written."""
    net, pipe = qs.load("iris-4bit"), tmp_path / "pipe"
    twin = tmp_path / "device"
    twin.symlink_to(os.devnull)
    for path in (os.devnull, twin, tmp_path):
        with pytest.raises(qs.SpecError, match="is no file"):
            qs.to_c(net, path)
    assert Path(os.devnull).is_char_device()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    qs.to_c(net, pipe)
    assert pipe.is_fifo()
    assert os.read(reader, 1 << 16).startswith(b"/* iris-4bit")
    os.close(reader)


@pytest.mark.parametrize("name", ["net.h5", "net.keras", "net.npz", "net.idx", "net.certificate"])
def test_what_never_ends_is_not_read(name: str, tmp_path: Path) -> None:
    """Archives are read from their end, which a device that never ends has none of."""
    path = tmp_path / name
    path.symlink_to("/dev/zero")
    reads: dict[str, Callable[[Path], object]] = {".npz": read_npz, ".idx": read_idx, ".certificate": load_certificate}
    with pytest.raises(qs.SpecError, match="is no file"):
        reads.get(path.suffix, qs.load)(path)


@pytest.mark.parametrize("path", ["", "\0", "a\0b", b"a", 5])
def test_names_that_no_file_has_are_refused(path: object) -> None:
    with pytest.raises(qs.SpecError, match="is no path"):
        qs.to_c(qs.load("iris-4bit"), path)  # pyright: ignore[reportArgumentType]


@contextmanager
def full_after(size: int) -> Generator[None]:
    """Make every file end after so many bytes, as a full disk does; within a block only, since pytest may write files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_is_finished(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "over.json").write_text(json.dumps([{"radius": r} for r in range(5)]))
    many = ["verify-many", "spec.py", "--over", "over.json", "--workers", "1", "--store", "s.jsonl"]
    assert main(many) == 1
    whole = (folder / "s.jsonl").read_bytes()
    (folder / "s.jsonl").unlink()
    capsys.readouterr()
    with full_after(len(whole) * 7 // 10):
        assert main(many) == 2
        said = capsys.readouterr()
        kept = len(read("s.jsonl"))
    assert said.err.startswith("error: cannot write there")
    assert "defect" not in said.err
    assert 0 < kept < 5
    assert main(many) == 1
    assert len(read("s.jsonl")) == 5
    np.save(folder / "codes.npy", np.array([[5, 3]]))
    NET.save(folder / "net.qspec")
    for arguments in (
        ["export", "spec.py", "--param", "radius=1", "-o", "x.smt2"],
        ["report", "s.jsonl", "-o", "p.html"],
        ["evaluate", "net.qspec", "codes.npy", "-o", "outputs.npy"],
    ):
        with full_after(10):
            assert main(arguments) == 2
        assert "cannot write there" in capsys.readouterr().err
    with full_after(10):
        assert main(["verify", "spec.py", "--param", "radius=4", "--json", "x.json"]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("VIOLATED")
    assert "cannot write there" in said.err
    with full_after(10):
        assert main(["verify", "spec.py", "--param", "radius=1", "--certificate", "x.cert"]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("HOLDS")
    assert "defect" not in said.err
    assert sorted(p.name for p in folder.iterdir() if p.suffix in (".smt2", ".html", ".npy", ".part", ".cert")) == ["codes.npy"]


def test_a_byte_order_mark_is_skipped_in_a_certification(folder: Path) -> None:
    images, labels = np.array([[5, 3], [7, 0], [1, 1]]), np.array([0, 0, 0])
    first = qs.certify(NET, images, labels, 1, store="c.jsonl")
    marked = BOM.encode() + (folder / "c.jsonl").read_bytes()
    (folder / "c.jsonl").write_bytes(marked)
    again = qs.certify(NET, images, labels, 1, store="c.jsonl")
    assert [o.verdict for o in again.outcomes] == [o.verdict for o in first.outcomes]
    assert (folder / "c.jsonl").read_bytes() == marked  # nothing was asked again, and nothing lost
    (folder / "c.jsonl").write_bytes(marked[:-5])
    assert [o.verdict for o in qs.certify(NET, images, labels, 1, store="c.jsonl").outcomes] == [o.verdict for o in first.outcomes]
    assert len((folder / "c.jsonl").read_bytes().splitlines()) == len(marked.splitlines())


def test_a_full_disk_keeps_a_certification(folder: Path) -> None:
    images, labels = np.array([[5, 3], [7, 0], [1, 1]]), np.array([0, 0, 0])
    qs.certify(NET, images, labels, 1, store="c.jsonl")
    (folder / "c.jsonl").unlink()
    with full_after(60), pytest.raises(qs.SpecError, match="cannot write there"):
        qs.certify(NET, images, labels, 1, store="c.jsonl")
    found = qs.certify(NET, images, labels, 1, store="c.jsonl")
    assert [o.verdict for o in found.outcomes] == [Verdict.HOLDS, Verdict.HOLDS, Verdict.VIOLATED]


@pytest.mark.parametrize("error", ["GeneratorExit", "SystemExit", "SystemExit(3)", "BaseException('b')", "MemoryError", "RecursionError"])
def test_a_specification_may_end_in_any_way(folder: Path, capsys: pytest.CaptureFixture[str], error: str) -> None:
    (folder / "spec.py").write_text(f"\nraise {error}\n")
    assert main(["verify", "spec.py"]) == 2
    assert capsys.readouterr().err.startswith(f"error: spec.py:2: {error.split('(')[0]}")


def test_a_specification_that_interrupts_is_interrupted(folder: Path) -> None:
    (folder / "spec.py").write_text("raise KeyboardInterrupt\n")
    assert main(["verify", "spec.py"]) == 130


class Broken:
    """An adapter of somebody else that fails wherever it is asked to."""

    name = "broken"
    theories = ("QF_BV",)
    cite = ""

    def __init__(self, where: str) -> None:
        self.where = where

    def availability(self) -> Availability:
        if self.where == "availability":
            raise RuntimeError("boom")
        return Availability(True)

    def solve(self, problem: object, limits: Limits) -> Answer:
        if self.where == "solve":
            raise RuntimeError("boom")
        return "sat"  # pyright: ignore[reportReturnType]

    def checking(self) -> Availability:
        return Availability(True)

    def prove(self, problem: object, limits: Limits, place: str) -> Answer:
        return self.solve(problem, limits)


@pytest.mark.parametrize("proof", [False, True], ids=["", "with a proof"])
@pytest.mark.parametrize(("where", "reason"), [("solve", Reason.CRASH), ("answer", Reason.GARBAGE)])
def test_an_adapter_that_fails_is_named(where: str, reason: Reason, proof: bool, tmp_path: Path) -> None:
    hard = qs.forall(x := NET.input("x"), then=3 * NET(x)[0] + 5 * x[1] != 7)
    result = qs.verify(hard, solver=Broken(where), attack=False, proof=tmp_path if proof else None)
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, reason)
    assert "tests.unit.test_edges" in result.detail
    with pytest.raises(qs.SolverMissingError, match=r"test_edges failed: RuntimeError: boom"):
        qs.verify(hard, solver=Broken("availability"))


def test_a_defect_of_our_own_stays_one() -> None:
    class Ours(Broken):
        pass

    Ours.__module__ = "qspec_solvers.bounds"
    with pytest.raises(RuntimeError, match="boom"):
        solve(Ours("solve"), None, Limits())  # pyright: ignore[reportArgumentType]


def test_a_package_whose_adapter_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    import qspec.solver

    point = EntryPoint("theirs", "json:NoSuchThing", qspec.solver.ENTRY_POINTS)
    monkeypatch.setattr(qspec.solver, "solver_entry_points", lambda: {"theirs": point})
    with pytest.raises(qs.SolverMissingError, match=r"'theirs' of the package(.|\n)*json:NoSuchThing: AttributeError"):
        get_solver("theirs")


@pytest.mark.parametrize(
    ("solver", "theory", "exponent"),
    [
        *(
            (solver, theory, exponent)
            for solver, theory in (("bounds", None), ("z3", "QF_LIA"), ("enumerate", None))
            for exponent in (39, 310, 400)
        ),
        ("z3", "QF_BV", 39),  # a thousand bits take half a minute, and are bits as well
    ],
)
def test_numbers_beyond_floats_are_decided_and_warn_nobody(solver: str, theory: str | None, exponent: int) -> None:
    x, large = NET.input("x"), 10**exponent
    near = qs.linf(x.code - np.array([5, 3])) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for then, verdict in (
            (NET(x)[0] <= large, Verdict.HOLDS),
            (NET(x)[0] * large >= 0, Verdict.HOLDS),
            (NET(x)[0] * large >= 1, Verdict.VIOLATED),  # 4 - 4 = 0
        ):
            assert qs.verify(qs.forall(x, given=near, then=then), solver=solver, theory=theory).verdict is verdict
        wide = qs.forall(x, given=qs.linf(x.code) <= large, then=NET(x)[0] >= 0)
        assert qs.verify(wide, solver=solver, theory=theory).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, np.int64(7)])
def test_odd_seeds(seed: int) -> None:
    for solver in ("bounds", "z3", "bitwuzla", "cvc5", "highs"):
        assert qs.verify(ROBUST.at(radius=4), solver=solver, seed=seed).verdict is Verdict.VIOLATED
    assert qs.falsify(ROBUST.at(radius=4), seed=seed).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("name", [5, None, b"x", ("x",), 1.5])
def test_names_are_texts(name: object) -> None:
    x = NET.input("x")
    for act in (
        lambda: NET.input(name),  # pyright: ignore[reportArgumentType]
        lambda: NET.real().input(name, lower=0, upper=1),  # pyright: ignore[reportArgumentType]
        lambda: qs.parameter(name),  # pyright: ignore[reportArgumentType]
        lambda: qs.forall(x, then=NET(x)[0] >= 0, name=name),  # pyright: ignore[reportArgumentType]
    ):
        with pytest.raises(qs.SpecError, match="is no text"):
            act()
