"""A batch of queries on somebody else's executor: processes, threads, or the machines of a cluster.

Any `concurrent.futures.Executor` will do. A query is sent with the name of its job alone; only who does not know that job yet is sent the
properties and networks, once. So neither has to travel with every query, and the executor needs no way of its own to hand them out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Lock
from uuid import uuid4

from qspec.batch.pool import PAUSE, TRIES
from qspec.batch.worker import Death, Failure, Job, Reply, Task, Worker
from qspec.deadline import NEVER, Deadline, OutOfTime
from qspec.errors import QspecError, SpecError
from qspec.support.distribution import VERSION
from qspec.support.watch import stop_if_cancelled

JOBS = 4
"""Jobs that a worker remembers."""

LOST = "KilledWorker"
"""What Dask's scheduler raises when it has itself asked again as often as it may; known by name, because Dask may not be installed."""

UNSENT = frozenset({"PicklingError", "UnpicklingError", "TypeError", "AttributeError", "ImportError"})
"""Names of what is raised if a query, or qspec itself, cannot get to a worker; asking again is in vain."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkOrder:
    """What a worker is sent: a query, the name of its job, and the job itself if the worker has said that it does not know it."""

    name: str
    task: Task
    tried: int
    """How often it was asked before, so that an executor that remembers answers asks again."""
    job: Job | None = None
    version: str = VERSION


_workers: OrderedDict[str, Worker] = OrderedDict()
_lock = Lock()


def carry_out(order: WorkOrder) -> Reply | None:
    """Decide a query, wherever this runs; returns None if the job is not known here. Never raises but for interruptions."""
    if order.version != VERSION:
        other = SpecError(
            "a worker has another version of qspec", given=VERSION, expected=order.version, advice=f"install {order.version} there"
        )
        return Reply("", failure=Failure.of(other))
    with _lock:
        worker = _workers.get(order.name)
        if worker is None:
            if order.job is None:
                return None
            worker = _workers[order.name] = Worker(order.job)
        _workers.move_to_end(order.name)
        while len(_workers) > JOBS:
            _workers.popitem(last=False)
    return worker.answer(order.task, lambda _: None)


@dataclass(eq=False)
class Hired:
    """Asks the queries of one job through an executor, up to `size` at once."""

    job: Job
    executor: Executor
    size: int
    watched: Deadline = NEVER
    _name: str = field(default_factory=lambda: uuid4().hex)
    _under_way: dict[Future[Reply | None], WorkOrder] = field(default_factory=dict[Future[Reply | None], WorkOrder])
    _done: SimpleQueue[Future[Reply | None]] = field(default_factory=SimpleQueue[Future[Reply | None]])

    def answers(self, tasks: Iterator[Task]) -> Generator[tuple[Task, Reply | Death]]:
        """Yield what came of each task as it comes; tasks are taken when somebody can do them. Cancels the rest at its end.

        Raises SpecError if the executor takes nothing any more; what was done before has been yielded, here as with other errors.
        """
        waiting: deque[WorkOrder] = deque()
        try:
            while True:
                while len(self._under_way) + len(waiting) < self.size and (task := next(tasks, None)) is not None:
                    waiting.append(WorkOrder(self._name, task, 0))
                while waiting:
                    self._submit(waiting.popleft())
                if not self._under_way:
                    return
                future = self._next()
                order = self._under_way.pop(future)
                match self._outcome(future, order):
                    case WorkOrder() as again:
                        waiting.append(again)
                    case reply:
                        yield order.task, reply
        except Exception:
            yield from self._done_before()
            raise
        finally:
            for future in self._under_way:
                future.cancel()

    def _next(self) -> Future[Reply | None]:
        """Wait for a future that has ended; raises CancelledError."""
        while True:
            stop_if_cancelled(self.watched)
            with suppress(Empty):
                return self._done.get(timeout=PAUSE if self.watched.listeners else None)

    def _done_before(self) -> Iterator[tuple[Task, Reply]]:
        """Yield the answers that have come, but have not been looked at."""
        with suppress(Empty):
            while True:
                future = self._done.get_nowait()
                order = self._under_way.pop(future)
                reply = None if future.cancelled() or future.exception() is not None else future.result()
                if reply is not None:
                    yield order.task, reply

    def _submit(self, order: WorkOrder) -> None:
        """Hand an order over; some executors say at once that it cannot be sent, others with the future."""
        try:
            future = self.executor.submit(carry_out, order)
        except Exception as error:
            if not _kinds(error) & UNSENT:
                raise _broken(error) from error
            future = Future[Reply | None]()
            future.set_exception(error)
        self._under_way[future] = order
        future.add_done_callback(self._done.put)

    def _outcome(self, future: Future[Reply | None], order: WorkOrder) -> WorkOrder | Reply | Death:
        """Return what a future has come to: an answer, or the order that is to be given next."""
        error = CancelledError("the executor cancelled it") if future.cancelled() else future.exception()
        if error is None:
            reply = future.result()
            return replace(order, job=self.job) if reply is None else reply
        if isinstance(error, BrokenExecutor):
            raise _broken(error) from error
        if _kinds(error) & UNSENT:
            return Reply("", failure=Failure.of(_unsent(error)))
        if order.tried + 1 < TRIES and LOST not in _kinds(error):
            return replace(order, tried=order.tried + 1)
        return Death(self._key(order.task), f"its workers were lost: {type(error).__name__}: {error}")

    def _key(self, task: Task) -> str:
        """Return the key of a query that nobody else can tell; empty if it is none."""
        try:
            return Worker(self.job).key(task, self.job.settings.limits.deadline())
        except (QspecError, OutOfTime, MemoryError):
            return ""


def _kinds(error: BaseException) -> set[str]:
    """Return the names of everything that an error is."""
    return {c.__name__ for c in type(error).__mro__}


def _unsent(error: BaseException) -> QspecError:
    return SpecError(
        "this cannot be sent to the workers of the executor",
        given=f"{type(error).__name__}: {error}",
        expected="values of parameters, properties, a solver by its name, and qspec installed there",
    )


def _broken(error: BaseException) -> QspecError:
    return SpecError(
        "the executor takes no more queries",
        given=f"{type(error).__name__}: {error}",
        expected="one that is running",
        advice="the same call with another executor and the same store: what is done is not asked again",
    )
