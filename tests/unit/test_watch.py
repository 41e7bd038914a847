"""Watches: every long call says how far it is and can be stopped, from callbacks, threads and tasks, without another verdict."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import qspec as qs
from qspec.batch import journal, store
from qspec.deadline import LISTENERS, Deadline
from qspec.solver import Reason
from qspec_models import samples
from qspec_solvers.smtlib import SmtLib
from tests.unit.fake_solvers.many import Honest, Stuck
from tests.unit.test_many import MISSED, VALUES, truth

IRIS = qs.load("iris-4bit")
X = IRIS.input("x")
FLOWERS, CLASSES = samples("iris-4bit")
DIGITS = qs.load("digits-tiny")
IMAGES, LABELS = samples("digits-tiny")
ROBUST = qs.properties.local_robustness(IRIS, FLOWERS[20], 2, int(CLASSES[20]))
GROWING = qs.properties.local_robustness(IRIS, FLOWERS[20], qs.parameter("radius"), int(CLASSES[20]))


def many(number: int = 6, **options: Any) -> list[qs.Finished]:
    chosen: dict[str, Any] = {"solver": "bounds", "workers": 1, **options}
    return list(qs.verify_many(MISSED, {"value": VALUES[:number]}, attack=False, **chosen))


CALLS: dict[str, Callable[[], Any]] = {
    "bounds": lambda: qs.verify(ROBUST),
    "bitwuzla": lambda: qs.verify(ROBUST, solver="bitwuzla", attack=False),
    "enumerate": lambda: qs.verify(MISSED.at(value=7), solver="enumerate"),
    "radius": lambda: qs.largest_radius(GROWING),
    "optimize": lambda: qs.optimize(qs.maximize(IRIS(X)[0], X, given=qs.linf(X.code - FLOWERS[0]) <= 1)),
    "many": lambda: many(2),
    "certify": lambda: qs.certify(DIGITS, IMAGES[:2], LABELS[:2], 1),
    "flips": lambda: qs.bit_flips(IRIS, FLOWERS[:2]),
}
RAISES = {"many", "certify", "flips"}
"""Calls without a verdict of their own."""


@pytest.mark.parametrize("name", CALLS)
def test_every_long_call_says_how_far_it_is(name: str) -> None:
    heard: list[qs.Progress] = []
    with qs.Watch(heard.append):
        CALLS[name]()
    assert heard
    assert all(p.what and p.done >= 0 and (p.total is None or p.done <= p.total) for p in heard)
    assert [p.seconds for p in heard] == sorted(p.seconds for p in heard)
    assert str(heard[0]).startswith(heard[0].what)


@pytest.mark.parametrize("name", CALLS)
def test_every_long_call_can_be_cancelled(name: str) -> None:
    with qs.Watch() as watch:
        watch.cancel()
        if name in RAISES:
            with pytest.raises(qs.CancelledError):
                CALLS[name]()
        else:
            assert CALLS[name]().reason is Reason.CANCELLED
    assert not Deadline.after().cancelled


def cancelled_in_the_middle(pipe: Path, call: Callable[[], Any]) -> Any:
    """Return what a call returns that is cancelled as soon as a process which it has started says so; asserts that none lives on."""
    os.mkfifo(pipe)
    watch = qs.Watch()

    def listen() -> None:
        with pipe.open() as told:
            told.readline()
            watch.cancel()
            told.read()  # ends when all have ended that hold the pipe open

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        with watch:
            return call()
    finally:
        listener.join(300)
        assert not listener.is_alive()


def test_workers_are_stopped_at_once(tmp_path: Path) -> None:
    """Both never answer; they are killed in the middle of what they do."""
    with pytest.raises(qs.CancelledError):
        cancelled_in_the_middle(tmp_path / "stuck", lambda: many(solver=Stuck(tmp_path), workers=2, timeout=600))


def test_a_solver_is_stopped_at_once(tmp_path: Path) -> None:
    never = SmtLib(("sh", "-c", 'exec 9> "$0"; echo started >&9; exec sleep 600', str(tmp_path / "started")))
    found = cancelled_in_the_middle(
        tmp_path / "started", lambda: qs.verify(MISSED.at(value=7), solver=never, theory="QF_BV", attack=False, timeout=600)
    )
    assert found.reason is Reason.CANCELLED


def test_a_batch_that_is_cancelled_goes_on_later(tmp_path: Path) -> None:
    (tmp_path / "asked").mkdir()
    honest, kept = Honest(tmp_path / "asked"), tmp_path / "results.jsonl"
    done: list[qs.Finished] = []
    with qs.Watch() as watch, pytest.raises(qs.CancelledError):  # noqa: PT012 (cancelled on the way)
        for finished in qs.verify_many(MISSED, {"value": VALUES[:6]}, solver=honest, attack=False, workers=1, store=kept):
            done.append(finished)
            if len(done) == 3:
                watch.cancel()
    assert [f.verdict for f in done] == [truth(v) for v in VALUES[:3]]
    assert len(store.read(kept)) == 3
    again = many(solver=honest, store=kept)
    assert [f.verdict for f in again] == [truth(v) for v in VALUES[:6]]
    assert sum(f.resumed for f in again) == 3


def test_samples_that_a_watch_has_heard_of_are_kept(tmp_path: Path) -> None:
    heard: list[int] = []

    def report(progress: qs.Progress) -> None:
        if progress.what == "samples" and progress.done:
            heard.append(progress.done)
            watch.cancel()

    watch, kept = qs.Watch(report), tmp_path / "samples.jsonl"
    with watch, suppress(qs.CancelledError):
        qs.certify(DIGITS, IMAGES[:6], LABELS[:6], 1, store=kept)
    assert len(heard) == 1
    _, verdicts = journal.verdicts(kept)
    assert len(verdicts) == heard[0]
    assert "UNKNOWN" not in verdicts.values()


def test_a_query_that_is_cancelled_before_it_is_known_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, kept = qs.Watch(), tmp_path / "results.jsonl"

    def compiling(*_: object, deadline: Deadline) -> str:
        watch.cancel()
        deadline.check()
        raise AssertionError

    monkeypatch.setattr("qspec.batch.worker.identity", compiling)
    with watch:
        done = qs.verify_many(MISSED, {"value": VALUES[:2]}, workers=1, store=kept)
        assert next(done).reason is Reason.CANCELLED
        with pytest.raises(qs.CancelledError):
            next(done)
    assert store.read(kept) == []


def test_executors_are_watched() -> None:
    with ThreadPoolExecutor(2) as threads, qs.Watch() as watch:
        watch.cancel()
        with pytest.raises(qs.CancelledError):
            many(executor=threads, workers=2)


def test_threads_have_watches_of_their_own() -> None:
    def work(watch: qs.Watch) -> qs.Result:
        with watch:
            return qs.verify(ROBUST)

    stopped, running = qs.Watch(), qs.Watch()
    stopped.cancel()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(work, [stopped, running])
        inherited = threads.submit(copy_context().run, qs.verify, ROBUST).result()
    assert (first.reason, second.verdict, inherited.verdict) == (Reason.CANCELLED, qs.Verdict.HOLDS, qs.Verdict.HOLDS)


def test_a_task_is_stopped_by_its_watch() -> None:
    async def main() -> qs.Result:
        with qs.Watch() as watch:
            task = asyncio.create_task(asyncio.to_thread(qs.verify, ROBUST, timeout=None))
            watch.cancel()
            return await task

    assert asyncio.run(main()).reason is Reason.CANCELLED


def test_watches_are_nested_and_end_with_their_block() -> None:
    heard: list[str] = []
    with qs.Watch(lambda p: heard.append("outer")) as outer, qs.Watch(lambda p: heard.append("inner")) as inner:
        qs.verify(ROBUST)
        outer.cancel()
        assert not inner.cancelled
        assert qs.verify(ROBUST).reason is Reason.CANCELLED
    assert set(heard) == {"outer", "inner"}
    assert LISTENERS.get() == ()
    assert qs.verify(ROBUST).verdict is qs.Verdict.HOLDS


def test_watches_of_generators_end_in_any_order() -> None:
    def watched(watch: qs.Watch) -> Iterator[None]:
        with watch:
            yield

    first, second = qs.Watch(), qs.Watch()
    blocks = [watched(first), watched(second)]
    for block in blocks:
        next(block)
    assert [*blocks[0]] == []
    assert LISTENERS.get() == (second,)
    assert [*blocks[1]] == []
    assert LISTENERS.get() == ()


def test_what_a_report_raises_ends_the_call() -> None:
    def report(progress: qs.Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), qs.Watch(report):
        qs.verify(ROBUST)
    with pytest.raises(qs.SpecError, match="nothing that can report"):
        qs.Watch("print")  # pyright: ignore[reportArgumentType]


def test_verdicts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "qspec"):
        qs.verify(ROBUST)
    assert [r.levelname for r in caplog.records][-1] == "INFO"
    assert "local_robustness: HOLDS, bounds" in caplog.records[-1].getMessage()
    assert any(r.getMessage().startswith("compile has ended") for r in caplog.records)
    assert {r.name for r in caplog.records} == {"qspec"}
