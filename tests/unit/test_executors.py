"""Batches on somebody else's executor: threads, one that loses what it is given, and a scheduler of Dask with its client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

import qspec as qs
from qspec.batch import hired, store
from qspec.batch.cluster import dask_executor
from qspec.cli import main
from qspec.errors import SpecError
from qspec.solver import Reason
from tests.unit.fake_solvers.many import Honest, Liar
from tests.unit.test_many import MISSED, NETWORK, VALUES, truth

FEW = VALUES[:9]
"""Five are reached; `test_many.py` asks about all."""

Fate = Callable[[hired.WorkOrder, int], BaseException | None]
"""What becomes of an order that is given for the nth time; None: it is carried out."""


class KilledWorker(Exception):
    """Has the name of Dask's."""


class Fated(Executor):
    """Carries orders out at once, or ends them as fate has it; counts what it is given."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self.given: list[hired.WorkOrder] = []
        self._seen: Counter[int] = Counter()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        (order,) = args
        future: Future[Any] = Future()
        self.given.append(order)
        if order.job is None:
            self._seen[order.task.index] += 1
        error = self._fate(order, self._seen[order.task.index])
        if error is None:
            future.set_result(fn(order))
        elif isinstance(error, KeyError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(error)
        return future


@pytest.fixture
def honest(tmp_path: Path) -> Honest:
    (tmp_path / "asked").mkdir()
    return Honest(tmp_path / "asked")


def ask(executor: Executor, solver: Any, values: Any = FEW, **options: Any) -> list[qs.Finished]:
    chosen: dict[str, Any] = {"attack": False, "workers": 3, **options}
    done = list(qs.verify_many(MISSED, [{"value": v} for v in values], solver=solver, executor=executor, **chosen))
    return sorted(done, key=lambda f: f.index)


def test_threads_say_what_processes_say_and_a_store_resumes(honest: Honest, tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    with ThreadPoolExecutor(3) as threads:
        done = ask(threads, honest, store=kept, workers=None)
        again = ask(threads, honest, store=kept)
    assert [f.verdict for f in done] == [truth(v) for v in FEW] == [f.verdict for f in again]
    assert [f.index for f in done] == FEW
    assert all(f.resumed for f in again)
    assert len(store.read(kept)) == len(FEW)


def test_the_job_travels_only_to_those_who_do_not_know_it(honest: Honest) -> None:
    """The worker that is asked for the fourth time is a new one."""

    def fate(order: hired.WorkOrder, n: int) -> None:
        if order.task.index == 3 and order.job is None:
            hired._workers.clear()

    executor = Fated(fate)
    assert [f.verdict for f in ask(executor, honest, workers=1)] == [truth(v) for v in FEW]
    assert [o.task.index for o in executor.given if o.job is not None] == [0, 3]


def test_a_query_is_asked_again_once_and_no_other_is_lost(honest: Honest) -> None:
    for lost in (OSError("gone"), KeyError("cancelled")):
        executor = Fated(lambda order, n, lost=lost: lost if order.task.index % 2 and n == 1 else None)
        assert [f.verdict for f in ask(executor, honest)] == [truth(v) for v in FEW]
        asked = Counter(o.task.index for o in executor.given if o.job is None)
        assert asked == {v: 1 + v % 2 for v in FEW}


@pytest.mark.parametrize(("lost", "times"), [(OSError("gone"), 2), (KilledWorker("by a query"), 1)])
def test_a_query_that_is_lost_twice_is_unknown(honest: Honest, tmp_path: Path, lost: Exception, times: int) -> None:
    """Dask has asked again itself before it says so."""
    executor = Fated(lambda order, n: lost if order.task.index == 1 else None)
    kept = tmp_path / "results.jsonl"
    done = ask(executor, honest, [7, 8, 9], store=kept)
    assert {r["index"]: r["reason"] for r in store.read(kept)} == {0: None, 1: "CRASH", 2: None}
    assert [f.verdict.name for f in done] == ["HOLDS", "UNKNOWN", "VIOLATED"]
    assert done[1].result.reason is Reason.CRASH
    assert str(lost) in done[1].result.detail
    assert sum(o.task.index == 1 for o in executor.given) == times
    again = ask(Fated(lambda order, n: None), honest, [7, 8, 9], store=kept)
    assert [(f.verdict, f.resumed) for f in again] == [(truth(7), True), (truth(8), False), (truth(9), True)]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_broken_executor_is_an_error_and_what_is_done_is_kept(honest: Honest, tmp_path: Path, workers: int) -> None:
    """With three at once, two are done when it breaks, and nobody has looked at them."""
    kept = tmp_path / "results.jsonl"
    executor = Fated(lambda order, n: BrokenProcessPool("dead") if order.task.index == 2 else None)
    many = qs.verify_many(MISSED, {"value": [7, 8, 9]}, solver=honest, attack=False, executor=executor, workers=workers, store=kept)
    assert [next(many).index for _ in range(2)] == [0, 1]
    with pytest.raises(SpecError, match="takes no more queries"):
        next(many)
    assert [r["index"] for r in store.read(kept)] == [0, 1]
    shut = ThreadPoolExecutor(1)
    shut.shutdown()
    with pytest.raises(SpecError, match="takes no more queries"):
        ask(shut, honest, [7])


class Hasty(Fated):
    """Raises at once what becomes of an order, as a client of Dask does that cannot pickle it, or has no scheduler any more."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        if error := future.exception():
            raise error
        return future


@pytest.mark.parametrize("kind", [Fated, Hasty])
def test_what_cannot_travel_belongs_to_its_query(honest: Honest, kind: type[Fated]) -> None:
    executor = kind(lambda order, n: TypeError("cannot pickle it") if order.task.index == 0 else None)
    done = ask(executor, honest, [7, 8])
    assert "cannot be sent" in str(done[0].error)
    assert done[1].verdict is truth(8)


def test_an_executor_that_refuses_a_query_takes_no_more(honest: Honest) -> None:
    many = qs.verify_many(
        MISSED,
        {"value": [7, 8, 9]},
        solver=honest,
        attack=False,
        workers=2,
        executor=Hasty(lambda order, n: Exception("closed") if order.task.index == 2 else None),
    )
    assert {next(many).index, next(many).index} == {0, 1}
    with pytest.raises(SpecError, match="takes no more queries"):
        next(many)


def test_other_versions_are_refused(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hired.WorkOrder.__init__, "__defaults__", (None, "0.0"))
    (found,) = ask(Fated(lambda order, n: None), honest, [7])
    assert "another version" in str(found.error)
    assert honest.asked == 0


def test_closing_early_cancels_what_is_waiting(honest: Honest) -> None:
    waiting: list[Future[Any]] = []

    class Slow(Fated):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if args[0].task.index < 1:
                return super().submit(fn, *args, **kwargs)
            waiting.append(Future())
            return waiting[-1]

    many = qs.verify_many(MISSED, {"value": FEW}, solver=honest, attack=False, workers=4, executor=Slow(lambda order, n: None))
    assert next(many).index == 0
    many.close()
    assert len(waiting) >= 3
    assert all(f.cancelled() for f in waiting)


def test_executors_are_checked(honest: Honest) -> None:
    with pytest.raises(SpecError, match="not an executor"):
        ask("threads", honest)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SpecError, match="how many workers"):
        ask(Fated(lambda order, n: None), honest, workers=None)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler that runs in this process, and so do its two workers."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster.scheduler_address


def test_dask_says_what_processes_say(honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str) -> None:
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "results.jsonl"
    with dask_executor(scheduler) as (executor, size):
        assert size == 2
        done = ask(executor, honest, workers=size, store=kept)
        with pytest.raises(qs.SoundnessError):
            ask(executor, Liar(honest.folder), [4], workers=size)
    assert [f.verdict for f in done] == [truth(v) for v in FEW]
    assert len(store.read(kept)) == len(FEW)


def test_the_command_asks_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str], scheduler: str) -> None:
    (tmp_path / "spec.py").write_text(NETWORK)
    (tmp_path / "over.json").write_text('{"value": [7, 8]}')
    spec = [str(tmp_path / "spec.py"), "--over", str(tmp_path / "over.json"), "--solver", "enumerate"]
    assert main(["verify-many", *spec, "--dask", scheduler]) == 1
    assert capsys.readouterr().out.startswith("VIOLATED")
    assert main(["verify-many", *spec, "--dask", "nonsense://nowhere"]) == 2
    assert "no scheduler of Dask answers" in capsys.readouterr().err
