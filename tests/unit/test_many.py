"""Batches of queries: any order, on any number of workers, killed and resumed, with errors, deaths and contradictions among them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.batch import pool, store
from qspec.batch.store import HEAD, opened
from qspec.cli import main
from qspec.errors import InternalError, QspecError, ShapeError, SolverMissingError, SoundnessError, SpecError
from qspec.solver import Limits, Reason
from qspec.verify.result import Evidence, Result, Verdict
from tests.unit.fake_solvers.many import Broken, Deadly, Honest, Liar, Slow, Stuck

ROOT = Path(__file__).parents[2]
NETWORK = """
import qspec as qs

_weight = qs.Fixed(3, 0)
distance = qs.Sequential(
    qs.Input((2,), qs.Fixed(3, 0, signed=False)),
    qs.Dense(qs.Tensor([[1, -1], [-1, 1]], _weight), activation=qs.ReLU(), output=qs.Fixed(5, 0)),
    qs.Dense(qs.Tensor([[1], [1]], _weight)),
    name="distance",
)
x = distance.input("x")
missed = qs.forall(x, then=3 * distance(x) + 5 * x[0] != qs.parameter("value"), name="missed")
"""
FOUND: dict[str, Any] = {}
exec(NETWORK, FOUND)
MISSED, NET = FOUND["missed"], FOUND["distance"]
X = FOUND["x"]

REACHED = {3 * abs(a - b) + 5 * a for a, b in product(range(8), range(8))}
VALUES = list(range(25))
BY_BOUNDS = 1000
"""A value so large that bounds show that it is missed."""

both = pytest.mark.parametrize("workers", [1, 2])


def truth(value: int) -> Verdict:
    return Verdict.VIOLATED if value in REACHED else Verdict.HOLDS


def ask(values: Sequence[object], solver: Any, **options: Any) -> list[qs.Finished]:
    """Ask for some values; what came of them, by index."""
    over = [{"value": v} for v in values]
    chosen: dict[str, Any] = {"attack": False, "workers": 1, **options}
    done = list(qs.verify_many(MISSED, over, solver=solver, **chosen))
    return sorted(done, key=lambda f: f.index)


@both
def test_the_key_of_a_query_is_computed_within_its_time(workers: int, tmp_path: Path) -> None:
    """What ends before there is a key is told, with the limits that were given, and not kept."""
    store = tmp_path / "store.jsonl"
    (found,) = ask([1], "bounds", workers=workers, timeout=1e-9, store=store)
    assert (found.result.verdict, found.result.reason, found.result.limits.seconds) == (Verdict.UNKNOWN, Reason.TIMEOUT, 1e-9)
    (found,) = ask([1], "bounds", workers=workers, timeout=60.0, store=store)
    assert (found.result.verdict, found.resumed, found.result.limits.seconds) == (truth(1), False, 60.0)


@pytest.fixture
def honest(tmp_path: Path) -> Honest:
    (tmp_path / "asked").mkdir()
    return Honest(tmp_path / "asked")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


@both
def test_every_query_gets_its_verdict_whoever_decides_it(honest: Honest, workers: int) -> None:
    done = ask(VALUES, honest, workers=workers)
    assert [f.index for f in done] == VALUES
    assert [f.parameters for f in done] == [{"value": v} for v in VALUES]
    assert [f.verdict for f in done] == [truth(v) for v in VALUES]
    assert {f.verdict for f in done} == {Verdict.HOLDS, Verdict.VIOLATED}
    assert [f.result.verdict for f in done] == [f.verdict for f in done]
    assert len({f.key for f in done}) == len(VALUES)
    assert not any(f.resumed or f.error for f in done)
    assert done[0].result.networks == (NET,)
    assert honest.asked == len(VALUES)


def test_nobody_named_is_who_verify_asks() -> None:
    """Of real networks that is another solver than of fixed-point ones, also where both are asked about together."""
    net = qs.real.Sequential(qs.real.Input((1,)), qs.real.Dense(np.array([[1]]), np.array([0])), name="net")
    x, value = net.input("x", lower=0, upper=1), qs.parameter("value")
    real = qs.forall(x, then=net(x)[0] <= value, name="real")
    asked = {}
    for specs in ([real], [MISSED], [real, MISSED]):
        for f in qs.verify_many(specs, [{"value": 0}], workers=1):
            asked[len(specs), f.name] = f.result.solver, f.verdict
    alone = {p.name: qs.verify(p.at(value=0)) for p in (real, MISSED)}
    assert asked == {(n, name): (r.solver, r.verdict) for n in (1, 2) for name, r in alone.items()}
    assert [r.solver for r in alone.values()] == ["delta", "bounds"]


def test_workers_change_nothing_but_the_order(honest: Honest) -> None:
    def seen(done: list[qs.Finished]) -> list[object]:
        return [(f.key, f.name, {k: v for k, v in f.result.to_dict().items() if k not in ("times", "answers")}) for f in done]

    assert seen(ask(VALUES, honest, workers=1)) == seen(ask(VALUES, honest, workers=2))


@both
def test_what_is_asked_is_taken_only_when_somebody_can_do_it(honest: Honest, workers: int) -> None:
    taken = count()
    over = ({"value": next(taken)} for _ in range(500))
    with closing(qs.verify_many(MISSED, over, solver=honest, attack=False, workers=workers)) as many:
        first = [next(many) for _ in range(3)]
    assert len({f.index for f in first}) == 3
    assert next(taken) <= 3 + 2 * workers


def test_properties_are_asked_each_for_everything(honest: Honest) -> None:
    reached = qs.exists(X, then=3 * NET(X) + 5 * X[0] == qs.parameter("value"), name="reached")
    for spec, names in (([MISSED, reached], ["missed", "reached"]), ({"a": MISSED, "b": reached}, ["a", "b"])):
        done = list(qs.verify_many(spec, {"value": [7, 8]}, solver=honest, attack=False, workers=1))
        assert [(f.index, f.name, f.parameters["value"]) for f in done] == [
            (0, names[0], 7), (1, names[1], 7), (2, names[0], 8), (3, names[1], 8),
        ]  # fmt: skip
        assert [f.verdict.name for f in done] == ["HOLDS", "VIOLATED", "VIOLATED", "HOLDS"]
        assert [f.result.name for f in done] == [f.name for f in done]


def test_grids_are_products_and_rows_stay_together() -> None:
    rows = qs.together(image=np.array([[1, 2], [3, 4]]), label=[0, 1])
    assert [(np.asarray(r["image"]).tolist(), r["label"]) for r in rows] == [([1, 2], 0), ([3, 4], 1)]
    found = qs.grid(rows, radius=[1, 2], target=range(1))
    assert [(e["label"], e["radius"], e["target"]) for e in found] == [(0, 1, 0), (0, 2, 0), (1, 1, 0), (1, 2, 0)]
    assert qs.grid() == [{}]
    with pytest.raises(SpecError, match="twice"):
        qs.grid(rows, label=[2])
    with pytest.raises(SpecError, match="different lengths"):
        qs.together(a=[1, 2], b=[1])
    odd: list[Any] = ["text", 3, {"a": 1}]
    for values in odd:
        with pytest.raises(SpecError, match="no values for 'a'"):
            qs.grid(a=values)


@both
def test_what_is_settled_is_not_asked_again(honest: Honest, kept: Path, workers: int) -> None:
    early = ask(VALUES[::2], honest, store=kept, workers=workers)
    before = kept.read_bytes()
    assert honest.asked == len(early)
    late = ask(VALUES, honest, store=kept, workers=workers)
    assert honest.asked == len(VALUES)
    assert kept.read_bytes().startswith(before)
    assert [f.resumed for f in late] == [v % 2 == 0 for v in VALUES]
    assert [f.verdict for f in late] == [truth(v) for v in VALUES]
    for first, again in zip(early, late[::2], strict=True):
        assert again.key == first.key
        assert again.result.to_dict() == first.result.to_dict()
        assert again.result.networks == (NET,)
    assert not [f for f in ask(VALUES, honest, store=kept, workers=workers, timeout=0.5) if not f.resumed]
    (renamed,) = qs.verify_many({"other": MISSED}, [{"value": 0}], solver=honest, attack=False, workers=workers, store=kept)
    assert (renamed.resumed, renamed.result.name) == (True, "other")
    assert renamed.result.parameters == renamed.parameters == {"value": 0}


def test_a_result_is_on_the_disk_before_it_is_yielded(honest: Honest, kept: Path) -> None:
    for n, f in enumerate(qs.verify_many(MISSED, {"value": VALUES}, solver=honest, attack=False, workers=2, store=kept), 1):
        rows = store.read(kept)
        assert len(rows) == n
        assert f.key in {r["key"] for r in rows}


def test_a_store_reads_as_rows(honest: Honest, kept: Path) -> None:
    done = ask([8, 7], honest, store=kept, timeout=30)
    violated, holds = store.read(kept)
    assert (violated["index"], violated["key"], violated["name"], violated["kind"]) == (0, done[0].key, "missed", "forall")
    assert (violated["verdict"], violated["evidence"], violated["parameters"]) == ("VIOLATED", "MODEL", {"value": 8})
    assert violated["codes"] == {k: v.tolist() for k, v in (done[0].result.codes or {}).items()}
    assert violated["codes"]
    assert (holds["verdict"], holds["evidence"], holds["reason"], holds["codes"], holds["violations"]) == ("HOLDS", "PROOF", None, None, 0)
    assert (holds["solver"], holds["timeout"], holds["seconds"]) == ("honest", 30, done[1].result.times.total)


def test_a_line_that_is_cut_off_is_ignored_then_removed(honest: Honest, kept: Path) -> None:
    ask([7, 8], honest, store=kept)
    whole = kept.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, first + len(HEAD) // 2, first + len(HEAD), (first + len(whole)) // 2, len(whole) - 2, len(whole) - 1):
        kept.write_bytes(whole[:cut])
        assert [r["index"] for r in store.read(kept)] == [0]
        assert kept.read_bytes() == whole[:cut]
        done = ask([7, 8], honest, store=kept)
        assert [f.resumed for f in done] == [True, False]
        assert kept.read_bytes().startswith(whole[:first])
        assert [r["verdict"] for r in store.read(kept)] == ["HOLDS", "VIOLATED"]
    for tail in (b"\0" * 30, b"\0" * 30 + b"\n", whole[:40] + b"\0" * 9 + b"\n"):
        kept.write_bytes(whole + tail)
        assert [f.resumed for f in ask([7, 8], honest, store=kept)] == [True, True]
        assert kept.read_bytes() == whole
    kept.write_bytes(whole[:20])
    assert [f.resumed for f in ask([7], honest, store=kept)] == [False]


@pytest.mark.parametrize("content", [b"a b c", b"a,b\n1,2\n", b'{"schema": "qspec.result/2"}\n', b"\x89PNG"])
def test_a_file_that_is_no_store_is_left_alone(honest: Honest, kept: Path, content: bytes) -> None:
    kept.write_bytes(content)
    with pytest.raises(SpecError, match="not a store"):
        ask([7], honest, store=kept)
    with pytest.raises(SpecError, match="not a store"):
        store.read(kept)
    assert kept.read_bytes() == content


def test_damage_before_the_end_is_an_error(honest: Honest, kept: Path) -> None:
    ask([7, 8], honest, store=kept)
    first, second = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(first[:80] + b"\n" + second)
    with pytest.raises(SpecError, match="damaged"):
        ask([7], honest, store=kept)
    assert kept.read_bytes() == first[:80] + b"\n" + second


def test_two_runs_do_not_write_one_store(honest: Honest, kept: Path) -> None:
    ask([7], honest, store=kept)
    with opened(kept):
        with pytest.raises(SpecError, match="another run writes this store"):
            ask([8], honest, store=kept)
        assert len(store.read(kept)) == 1
    many = qs.verify_many(MISSED, {"value": [7, 8]}, solver=honest, attack=False, workers=1, store=kept)
    next(many)
    with pytest.raises(SpecError, match="another run writes this store"):
        ask([8], honest, store=kept)
    many.close()
    assert len(ask([8], honest, store=kept)) == 1


def test_a_store_needs_a_folder(honest: Honest, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot open a store"):
        ask([7], honest, store=tmp_path / "nowhere" / "results.jsonl")
    with pytest.raises(SpecError, match="cannot read a store"):
        store.read(tmp_path / "nothing.jsonl")


def test_keys_differ_in_what_a_verdict_depends_on(honest: Honest) -> None:
    def key(spec: qs.Property = MISSED, value: object = 7, **options: object) -> str:
        over = [{"value": value}]
        (f,) = qs.verify_many(spec, over, **{"solver": honest, "attack": False, "workers": 1, **options})  # pyright: ignore[reportArgumentType]
        return f.key

    value = qs.parameter("value")
    then = 3 * NET(X) + 5 * X[0] != value
    renamed = Honest(honest.folder, name="somebody else")
    others = [
        key(value=8),
        key(seed=1),
        key(attack=True),
        key(split=True),
        key(theory="grid"),
        key(without=["box"]),
        key(solver=renamed),
        key(qs.exists(X, then=~then)),
        key(qs.forall(X, given=~then, then=qs.all(X[0] != X[0]))),
        key(qs.forall(X, given=X[0] >= 1, then=then)),
        key(qs.forall(X, given=(X[0] >= 1) & (X[1] >= 1), then=then)),
        key(qs.forall(X, given=X[0] >= 1, then=~((X[1] >= 1) & ~then))),
    ]
    assert len({key(), *others}) == 1 + len(others)
    again = [
        key(timeout=5.0),
        key(timeout=None),
        key(memory=100),
        key(value="14/2"),
        key(without=[]),
        key(qs.forall(X, then=then, name="n")),
    ]
    assert set(again) == {key()}


@pytest.mark.parametrize(
    ("small", "large"),
    [({"timeout": 10.0}, {"timeout": 100.0}), ({"timeout": 10.0}, {"timeout": None}), ({"memory": 100}, {"memory": 1000})],
)
def test_unknown_is_asked_again_when_more_is_allowed(
    honest: Honest, kept: Path, small: dict[str, object], large: dict[str, object]
) -> None:
    slow = Slow(honest.folder)

    def once(**limits: object) -> tuple[str, bool]:
        (f,) = ask([7], slow, store=kept, **{"timeout": 100.0, **limits})
        return f.verdict.name, f.resumed

    assert once(**small) == ("UNKNOWN", False)
    assert once(**small) == ("UNKNOWN", True)
    assert once(**large) == ("HOLDS", False)
    assert once(**small) == ("HOLDS", True)
    assert [r["verdict"] for r in store.read(kept)] == ["HOLDS"]


def test_entries_settle_by_verdict_reason_and_limits() -> None:
    def settles(verdict: str, reason: str | None, limits: Limits) -> bool:
        return store.Entry(0, 0, verdict, reason, Limits(10.0, 100)).settles(limits)

    assert settles("HOLDS", None, Limits(None, None))
    for reason in ("TIMEOUT", "MEMORY", "INCOMPLETE"):
        assert settles("UNKNOWN", reason, Limits(10.0, 100))
        assert settles("UNKNOWN", reason, Limits(5.0, 50))
        assert not settles("UNKNOWN", reason, Limits(11.0, 50))
        assert not settles("UNKNOWN", reason, Limits(5.0, None))
    assert not settles("UNKNOWN", "CRASH", Limits(1.0, 50))


def test_a_query_whose_worker_dies_is_tried_once_more(honest: Honest, kept: Path) -> None:
    done = ask(VALUES[:6], Deadly(honest.folder), workers=2, store=kept)
    assert [f.verdict for f in done] == [truth(v) for v in VALUES[:6]]
    assert honest.asked == 7


def test_a_query_that_kills_twice_is_unknown_and_the_others_are_decided(honest: Honest, kept: Path) -> None:
    deadly = Deadly(honest.folder, deaths=10**6)
    done = ask([7, BY_BOUNDS, BY_BOUNDS + 1], deadly, workers=2, store=kept)
    assert [f.verdict.name for f in done] == ["UNKNOWN", "HOLDS", "HOLDS"]
    assert done[0].result.reason is Reason.CRASH
    assert "status -9" in done[0].result.detail
    assert honest.asked == 2
    assert [r["reason"] for r in store.read(kept)] == ["CRASH", None, None]
    again = ask([7], honest, workers=2, store=kept)
    assert [(f.verdict.name, f.resumed) for f in again] == [("HOLDS", False)]


def test_a_worker_that_cannot_start_is_an_error(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "BOOT", "raise SystemExit(7)")
    with pytest.raises(InternalError, match="before they are ready"):
        ask([7], honest, workers=2)


@both
def test_an_error_of_one_query_loses_no_other(honest: Honest, kept: Path, workers: int) -> None:
    over = [{"value": 7}, {}, {"value": [1, 2]}, {"value": 7, "other": 1}, {"value": 8, "solver": 1}, {"value": 8}]
    done = sorted(
        qs.verify_many(MISSED, over, solver=honest, attack=False, workers=workers, store=kept),
        key=lambda f: f.index,
    )
    assert [f.verdict.name for f in done] == ["HOLDS", "UNKNOWN", "UNKNOWN", "UNKNOWN", "UNKNOWN", "VIOLATED"]
    said = [str(f.error) for f in done if f.error]
    assert all(isinstance(f.error, SpecError | ShapeError) for f in done[1:5])
    for what, text in zip(("no value", "wrong shape", "no such parameter", "no such parameter"), said, strict=True):
        assert what in text
    with pytest.raises(SpecError, match="no value"):
        _ = done[1].result
    assert len(store.read(kept)) == 2


@both
def test_a_contradiction_is_raised_after_the_others_are_done(
    honest: Honest, kept: Path, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    many = qs.verify_many(MISSED, {"value": [4, 7, BY_BOUNDS]}, solver=Liar(honest.folder), attack=False, workers=workers, store=kept)
    done = [next(many) for _ in range(3)]
    with pytest.raises(SoundnessError, match="does not replay"):
        next(many)
    assert sorted(f.index for f in done) == [0, 1, 2]
    assert sorted(type(f.outcome).__name__ for f in done) == ["Result", "SoundnessError", "SoundnessError"]
    assert len(store.read(kept)) == 1
    assert list(tmp_path.glob("qspec-reproducer-*"))


def test_a_contradiction_is_raised_when_nobody_wants_the_rest(honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    many = qs.verify_many(MISSED, {"value": [4, 7]}, solver=Liar(honest.folder), attack=False, workers=1)
    assert isinstance(next(many).error, SoundnessError)
    with pytest.raises(SoundnessError):
        many.close()


@both
def test_a_defect_in_a_solver_is_an_unknown_that_names_it(honest: Honest, workers: int) -> None:
    done = ask([7, BY_BOUNDS], Broken(honest.folder), workers=workers)
    assert (done[0].verdict, done[0].result.reason) == (Verdict.UNKNOWN, Reason.CRASH)
    assert "ZeroDivisionError" in str(done[0].result.detail)
    assert "adapter" in str(done[0].result.detail)
    assert done[1].verdict is Verdict.HOLDS


def test_closing_early_stops_the_workers(honest: Honest, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[pool.WorkerProcess] = []

    class Seen(pool.WorkerProcess):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(pool, "WorkerProcess", Seen)
    over = {"value": [7, BY_BOUNDS, 8]}
    many = qs.verify_many(MISSED, over, solver=Stuck(honest.folder), attack=False, workers=3, store=kept)
    assert next(many).index == 1
    many.close()
    assert len(made) == 3
    assert {m.process.returncode for m in made} == {-signal.SIGKILL}
    with opened(kept) as free:
        assert len(free.settled(Limits())) == 1


PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import qspec as qs
from tests.unit.fake_solvers.many import Stuck
from tests.unit.test_many import MISSED
for _ in qs.verify_many(MISSED, {{"value": [7, 8]}}, solver=Stuck(Path(sys.argv[1])), attack=False, workers=2):
    pass
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, how: signal.Signals) -> None:
    os.mkfifo(tmp_path / "stuck")
    reader = os.open(tmp_path / "stuck", os.O_RDONLY | os.O_NONBLOCK)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stderr=subprocess.DEVNULL)
    held = b""
    while held.count(b"\n") < 2:  # both workers have written their process, and hold the pipe open
        assert select.select([reader], [], [], 300)[0], "the workers did not start"
        held += os.read(reader, 100)
    program.send_signal(how)
    program.wait(300)
    assert select.select([reader], [], [], 300)[0], "a worker lives on"
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_arguments_are_checked_before_anything_starts(honest: Honest) -> None:
    counts: list[Any] = [0, -1, 1.5, True, "two"]
    for bad in counts:
        with pytest.raises(SpecError, match="the number of workers"):
            qs.verify_many(MISSED, [{}], workers=bad)
    with pytest.raises(SpecError, match="no such option"):
        qs.verify_many(MISSED, [], radius=3)  # pyright: ignore[reportCallIssue]
    specs: list[Any] = ["text", [], [3], {}, {"a": 3}, 3]
    for spec in specs:
        with pytest.raises(SpecError, match="not a property"):
            qs.verify_many(spec, [])
    with pytest.raises(SpecError, match="time limit"):
        qs.verify_many(MISSED, [{}], timeout=-1)
    with pytest.raises(SolverMissingError, match="no such solver"):
        ask([7], "nobody")
    odd: list[Any] = [[3], [{3: 4}]]
    for over in odd:
        with pytest.raises(SpecError, match="not values of parameters"):
            list(qs.verify_many(MISSED, over, solver=honest, workers=1))
    with pytest.raises(SpecError, match="there is nothing to ask"):
        qs.verify_many(MISSED, [], solver=honest)


def test_a_solver_that_cannot_travel_is_refused(honest: Honest) -> None:
    class Local(Honest):
        """Known in this function only."""

    with pytest.raises(SpecError, match="cannot be sent"):
        ask([7], Local(honest.folder), workers=2)
    assert ask([7], Local(honest.folder), workers=1)[0].verdict is Verdict.HOLDS


def test_a_value_that_cannot_travel_belongs_to_its_query(honest: Honest) -> None:
    done = ask([lambda: 7, 8], honest, workers=2)
    assert isinstance(done[0].error, QspecError)
    assert done[1].verdict is Verdict.VIOLATED


def test_progress_counts_verdicts(honest: Honest, capsys: pytest.CaptureFixture[str]) -> None:
    ask([7, 8, "x"], honest, progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "3/3" in said.err
    assert "1 HOLDS  1 VIOLATED  1 errors" in said.err


def test_results_are_read_back_as_they_were(honest: Honest) -> None:
    for f in ask([7, 8, BY_BOUNDS], honest):
        data = json.loads(f.result.to_json())
        assert Result.from_dict(data).to_dict() == data
    unknown = Result(Verdict.UNKNOWN, "exists", "p", Evidence.NONE, reason=Reason.MEMORY, detail="at 500 MiB", limits=Limits(None, None, 2))
    assert Result.from_dict(unknown.to_dict()).to_dict() == unknown.to_dict()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verdict", "PERHAPS"),
        ("verdict", "VIOLATED"),
        ("codes", {"x": [0.5]}),
        ("answers", [{}]),
        ("limits", None),
        ("times", {"lunch": 1}),
    ],
)
def test_a_damaged_result_is_refused(honest: Honest, field: str, value: object) -> None:
    (f,) = ask([7], honest)
    with pytest.raises(SpecError, match="damaged"):
        Result.from_dict({**f.result.to_dict(), field: value})
    with pytest.raises(SpecError, match="not a stored result"):
        Result.from_dict({**f.result.to_dict(), "schema": "qspec.result/0"})


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `qspec verify-many` on the network above; its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("spec.py").write_text(NETWORK, encoding="utf-8")
    Path("seven.csv").write_text("value\n7\n", encoding="utf-8")
    Path("values.json").write_text('{"value": [7, 8, 11]}', encoding="utf-8")
    Path("objects.json").write_text('[{"value": 7}, {"value": "22/2"}]', encoding="utf-8")
    np.savez("values.npz", value=np.array([7, 8]))

    def run(*arguments: str) -> tuple[int | str | None, str, str]:
        status = main(["verify-many", "spec.py", "--solver", "enumerate", "--no-attack", "--workers", "1", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_the_command_counts_verdicts_and_resumes(many) -> None:
    status, out, err = many("--over", "seven.csv", "--store", "r.jsonl")
    assert (status, out.splitlines()[0], err) == (0, "HOLDS", "")
    status, out, err = many("--over", "values.json", "--store", "r.jsonl", "--by", "value")
    lines = out.splitlines()
    assert (status, lines[0], err) == (1, "VIOLATED", "")
    assert lines[2].split() == ["property", "value", "queries", "holds", "violated", "unknown", "errors", "resumed", "seconds"]
    rows = [line.split()[:8] for line in lines[4:]]
    assert rows == [
        ["missed", "7", "1", "1", "0", "0", "0", "1"],
        ["missed", "8", "1", "0", "1", "0", "0", "0"],
        ["missed", "11", "1", *(["0", "1"] if 11 in REACHED else ["1", "0"]), "0", "0", "0"],
    ]
    assert [r["parameters"] for r in store.read("r.jsonl")] == [{"value": 7}, {"value": 8}, {"value": 11}]


def test_the_command_reads_values_from_several_kinds_of_files(many) -> None:
    assert many("--over", "values.npz", "--store", "a.jsonl")[0] == 1
    assert [r["parameters"] for r in store.read("a.jsonl")] == [{"value": 7}, {"value": 8}]
    many("--over", "objects.json", "--store", "b.jsonl")
    assert [r["parameters"] for r in store.read("b.jsonl")] == [{"value": 7}, {"value": 11}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--over", "nothing.json"], "cannot read values"),
        (["--over", "spec.py"], "expected: a file .json, .npz or .csv"),
        (["--over", "seven.csv", "--param", "value=3"], "occurs twice"),
        (["--over", "seven.csv", "--param", "other=3"], "not the parameters of missed"),
        (["--over", "seven.csv", "--by", "radius"], "no such parameter to sort by"),
    ],
)
def test_the_command_says_what_it_was_not_given(many, arguments: list[str], said: str) -> None:
    status, out, err = many(*arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_the_command_reports_errors_of_queries(many) -> None:
    Path("odd.json").write_text('[{"value": 7}, {"value": [1, 2]}]', encoding="utf-8")
    status, out, _ = many("--over", "odd.json")
    assert status == 2
    assert "query 1, missed: parameter 'value': the array has the wrong shape" in out


@both
def test_a_search_alone_proves_nothing_and_resumes(kept: Path, workers: int) -> None:
    for resumed in (False, True):
        done = ask([7, BY_BOUNDS, 8], "falsify", workers=workers, store=kept)
        assert [f.verdict for f in done] == [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.VIOLATED]
        assert [f.result.reason for f in done] == [Reason.INCOMPLETE, Reason.INCOMPLETE, None]
        assert [f.resumed for f in done] == [resumed] * 3
        assert {f.result.solver for f in done} == {"falsify"}
