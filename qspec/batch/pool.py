"""Worker processes for a batch of queries: started when there is work, replaced when they die, stopped with the batch.

Workers are fresh interpreters and no forks, because JAX has threads. They import neither the user's program nor a notebook. Properties and
parameters travel through a socket of the process itself; nothing is read from files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import cast

from qspec.batch.worker import AWAKE, READY, Death, Failure, Job, Reply, Task
from qspec.deadline import NEVER, Deadline
from qspec.errors import InternalError, SpecError
from qspec.support.watch import stop_if_cancelled

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from qspec.batch.worker import boot; boot()"
SINGLE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
"""Cores are shared out by the batch, and so is a GPU's memory; what the user has set stays."""

TRIES = 2
"""How often a query is asked whose worker dies or is lost."""

PAUSE = 0.1
"""Seconds between looks at whether a watch was cancelled."""

STARTS = 3
"""Workers in a row that may die before they are ready."""


class WorkerProcess:
    """One worker process, and the task that it has."""

    def __init__(self) -> None:
        ours, theirs = Pipe()
        self.channel: Connection = ours
        self.ready = False
        self.task: Task | None = None
        self.key = ""
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", BOOT, json.dumps([str(p) for p in sys.path]), str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={**SINGLE, **os.environ},
            )

    def take(self, job: Job) -> None:
        """Send the job, which the worker now waits for; raises SpecError if it cannot be sent."""
        try:
            self.channel.send(job)
        except OSError:
            return
        except Exception as error:
            raise SpecError(
                "this cannot be sent to worker processes",
                given=f"{type(error).__name__}: {error}",
                expected="properties, and a solver by its name",
                advice="workers=1",
            ) from error

    def give(self, task: Task) -> Failure | None:
        """Send a task; return why it cannot be sent. A worker that has died meanwhile is noticed when it is listened to."""
        self.task, self.key = task, ""
        try:
            self.channel.send(task)
        except OSError:
            return None
        except Exception as error:  # noqa: BLE001 - a value that cannot be sent belongs to one query
            self.task = None
            return Failure.of(error)
        return None

    def stop(self) -> int:
        """End the process, whatever it does, and return how it ended; solvers that it has started see that and end, too."""
        self.process.kill()
        status = self.process.wait()
        self.channel.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return status


class Pool:
    """Up to `size` worker processes that answer the tasks of one job."""

    def __init__(self, job: Job, size: int, watched: Deadline = NEVER) -> None:
        self._job = job
        self._watched = watched
        self._size = size
        self._processes: list[WorkerProcess] = []
        self._waiting: deque[Task] = deque()
        self._deaths: dict[int, int] = {}
        self._starting = 0

    def answers(self, tasks: Iterator[Task]) -> Generator[tuple[Task, Reply | Death]]:
        """Yield what came of each task as it comes; tasks are taken when somebody can do them. Stops all workers at its end."""
        finished: list[tuple[Task, Reply | Death]] = []
        try:
            while True:
                try:
                    self._listen(finished)
                    self._hand_out(tasks, finished)
                except Exception:
                    yield from finished  # what is done is done, though the caller's iterable or a worker failed
                    raise
                yield from finished
                finished.clear()
                if not self._waiting and all(m.task is None for m in self._processes):
                    return
        finally:
            for process in self._processes:
                process.stop()
            self._processes.clear()

    def _hand_out(self, tasks: Iterator[Task], finished: list[tuple[Task, Reply | Death]]) -> None:
        """Give every worker that is free a task, and start workers for tasks that nobody is there for."""
        while True:
            busy = sum(m.task is not None for m in self._processes)
            while busy + len(self._waiting) < self._size and (task := next(tasks, None)) is not None:
                self._waiting.append(task)
            while len(self._processes) < min(self._size, busy + len(self._waiting)):
                self._processes.append(WorkerProcess())
            free = next((m for m in self._processes if m.ready and m.task is None), None)
            if free is None or not self._waiting:
                return
            task = self._waiting.popleft()
            failure = free.give(task)
            if failure is not None:
                finished.append((task, Reply("", failure=failure)))

    def _listen(self, finished: list[tuple[Task, Reply | Death]]) -> None:
        """Wait until some workers say something, if there are any, and take a message from each of them."""
        by_channel = {m.channel: m for m in self._processes}
        stop_if_cancelled(self._watched)
        for channel in wait(list(by_channel), PAUSE if self._watched.listeners else None) if by_channel else ():
            finished.extend(self._heard(by_channel[cast(Connection, channel)]))

    def _heard(self, process: WorkerProcess) -> Iterator[tuple[Task, Reply | Death]]:
        """Take one message from a worker; yields if it ends a task."""
        try:
            message: object = process.channel.recv()
        except (EOFError, OSError):
            yield from self._bury(process)
            return
        match message:
            case Reply() if process.task is not None:
                task, process.task = process.task, None
                yield task, message
            case Failure():
                raise SpecError("a worker cannot take the properties", given=message.given, expected=message.what, advice="workers=1")
            case str() if message == AWAKE:
                process.take(self._job)
            case str() if message == READY:
                process.ready, self._starting = True, 0
            case str():
                process.key = message
            case _:
                raise InternalError("a worker says what nobody understands", given=message)

    def _bury(self, process: WorkerProcess) -> Iterator[tuple[Task, Reply | Death]]:
        """Remove a worker that has died; its task is tried once more, then given up."""
        self._processes.remove(process)
        status = process.stop()
        if not process.ready:
            self._starting += 1
            if self._starting >= STARTS:
                raise InternalError("workers die before they are ready", given=f"exit status {status}", advice="workers=1")
        task = process.task
        if task is None:
            return
        self._deaths[task.index] = self._deaths.get(task.index, 0) + 1
        if self._deaths[task.index] < TRIES:
            self._waiting.appendleft(task)
        else:
            yield task, Death(process.key, f"the worker that was asked ended with status {status}, and so did another before")
