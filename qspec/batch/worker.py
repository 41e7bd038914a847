"""Decide one query after the other of a batch, in this process or in one that was started for it."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qspec import errors
from qspec.deadline import NEVER, Deadline, OutOfTime
from qspec.errors import InternalError, QspecError
from qspec.language.property import Property, bind
from qspec.solver import Reason
from qspec.verify.decide import falsify, verify
from qspec.verify.identity import identity
from qspec.verify.options import Settings
from qspec.verify.result import Result
from qspec.verify.session import Session, unknown

SEARCH = "falsify"
"""The solver of batches in which nothing is proved."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What every query of a batch has in common; a worker gets it once."""

    properties: tuple[Property, ...]
    settings: Settings
    stamp: str
    """The options that a verdict may depend on, as text; limits are not among them."""
    settled: frozenset[str]
    """Keys that are not to be asked again."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One query: which property, with which parameters."""

    index: int
    position: int
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Failure:
    """A QspecError as plain text, which every process can read; others are defects and become InternalError."""

    kind: str
    what: str
    given: str | None
    expected: str
    advice: str
    trace: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return what an error says."""
        if isinstance(error, QspecError) and hasattr(errors, type(error).__name__):
            given = None if error.given is None else error.given if isinstance(error.given, str) else repr(error.given)
            return cls(type(error).__name__, error.what, given, error.expected, error.advice)
        trace = "".join(traceback.format_exception(error))
        return cls(InternalError.__name__, f"{type(error).__name__} while a query was decided", str(error), "", "report it", trace)

    def error(self) -> QspecError:
        """Return the error again."""
        error: QspecError = getattr(errors, self.kind)(self.what, given=self.given, expected=self.expected, advice=self.advice)
        if self.trace:
            error.add_note(self.trace)
        return error


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a task: a result as JSON text, a failure, or neither if its key was settled before.

    Without a key, because a limit was met before it was known, a result is not kept.
    """

    key: str
    result: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a task that has taken its workers with it: the key, if it was known by then, and what became of them."""

    key: str
    said: str


AWAKE, READY = "awake", "ready"
"""What a worker says before it is given the job, and when it has taken it."""


class Worker:
    """Answers the tasks of one job; compiled code of searches stays in the process from query to query."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def key(self, task: Task, deadline: Deadline = NEVER) -> str:
        """Return the SHA-256 of everything that a verdict may depend on: kind, both queries, variables, and the options of the stamp.

        Raises OutOfTime and OutOfMemory as compiling does.
        """
        return identity(bind(self._spec(task)), self._job.stamp, deadline=deadline)

    def answer(self, task: Task, announce: Callable[[str], None]) -> Reply:
        """Decide a query unless its key is settled; calls `announce` with the key before. Never raises but for interruptions."""
        key = ""
        try:
            limits = self._job.settings.limits
            deadline = limits.deadline()
            try:
                key = self.key(task, deadline)
            except (OutOfTime, MemoryError) as error:
                return Reply(key, _text(self._unasked(task, error, deadline)))
            announce(key)
            if key in self._job.settled:
                return Reply(key)
            return Reply(key, _text(replace(self._decided(task, deadline), limits=limits)))
        except Exception as error:  # noqa: BLE001 - one query must not take the others with it; the caller raises what is not the user's
            return Reply(key, failure=Failure.of(error))

    def _decided(self, task: Task, deadline: Deadline) -> Result:
        """Decide a query in the time that is left."""
        spec, settings = self._spec(task), self._job.settings
        if settings.solver == SEARCH:
            return falsify(spec, timeout=deadline.granted(), memory=settings.memory, seed=settings.seed)
        return verify(spec, **{**settings.options(), "timeout": deadline.granted()})

    def _spec(self, task: Task) -> Property:
        return self._job.properties[task.position].at(**task.parameters)

    def _unasked(self, task: Task, error: Exception, deadline: Deadline) -> Result:
        """Return that a limit was met, or nobody wanted the verdict any more, before the query was known."""
        spec, settings = self._job.properties[task.position], self._job.settings
        begun = Session(spec=spec, limits=settings.limits, deadline=deadline, solver=settings.name)
        return unknown(begun, Reason.TIMEOUT if isinstance(error, OutOfTime) else Reason.MEMORY, str(error))


def _text(result: Result) -> str:
    return json.dumps(result.to_dict(), allow_nan=False)


def main(connection: int, lifeline: int) -> None:
    """Serve a job over a connection, by file descriptor, until the other side closes it; end at once when the lifeline breaks."""
    from multiprocessing.connection import Connection

    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    with Connection(connection) as channel:
        channel.send(AWAKE)
        try:
            worker = Worker(channel.recv())
        except Exception as error:  # noqa: BLE001 - the parent says it to the user
            return channel.send(Failure.of(error))
        channel.send(READY)
        while True:
            try:
                task = channel.recv()
            except EOFError:
                return None
            except Exception as error:  # noqa: BLE001 - a value that cannot be rebuilt here belongs to one query
                channel.send(Reply("", failure=Failure.of(error)))
                continue
            channel.send(worker.answer(task, channel.send))


def _end_with(lifeline: int) -> None:
    """End this process when the one at the other end of a pipe has ended, however it did."""
    os.read(lifeline, 1)
    os._exit(1)


def boot() -> None:
    """Start from the arguments `CONNECTION LIFELINE`, with the lifeline moved away from standard input."""
    connection, lifeline = int(sys.argv[-1]), os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        main(connection, lifeline)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)  # nobody is there any more who wants to know
