"""The workers of a Dask cluster as an executor: those of a scheduler that runs somewhere, or of one that is started here."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from qspec.batch.many import cores
from qspec.batch.pool import SINGLE, TRIES
from qspec.errors import SpecError
from qspec.support import checks
from qspec.support.optional import need

RETURN = "365 days"
"""How long a killed worker may take to come back; by default one that needs 15 seconds, as on a busy machine, is given up for good."""

PATIENCE = 30
"""Seconds in which a scheduler has to answer, and to have a worker."""


@contextmanager
def dask_executor(address: str = "", workers: int | None = None) -> Generator[tuple[Executor, int]]:
    """Yield an executor of Dask, and how many queries it runs at once: for `verify_many(…, executor=…, workers=…)`.

    `address` is that of a scheduler, such as `tcp://10.0.0.1:8786`. Without one, a scheduler and `workers` processes (default: one for each
    core) are started on this machine, and stopped at the end. Such workers have no limit of memory but that of the queries, and a query
    whose worker is lost is asked again once; elsewhere the scheduler's `allowed-failures` says how often. Raises PackageMissingError
    without the extra `cluster`, SpecError if no scheduler answers or it has no workers.
    """
    need("distributed", "cluster", "a cluster")
    checks.workers(workers)
    dask: Any = import_module("distributed")
    if address:
        with _connected(dask, address) as client:
            threads = sum(client.nthreads().values())
            yield client.get_executor(pure=False), threads if workers is None else workers
        return
    count = workers or cores()
    with import_module("dask").config.set({"distributed.deploy.lost-worker-timeout": RETURN}):
        yield from _started(dask, count)


def _started(dask: Any, count: int) -> Generator[tuple[Executor, int]]:
    """Yield an executor of a cluster that is started for it."""
    started = dask.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        memory_limit=None,
        dashboard_address="127.0.0.1:0",  # with None it listens at 0.0.0.0:8787
        silence_logs="CRITICAL",
        scheduler_kwargs={"allowed_failures": TRIES - 1},
        env={**SINGLE, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"},
    )
    with started as cluster, dask.Client(cluster) as client:
        yield client.get_executor(pure=False), count


@contextmanager
def _connected(dask: Any, address: str) -> Generator[Any]:
    """Yield a client of a scheduler that has workers."""
    try:
        client = dask.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise SpecError(
            "no scheduler of Dask answers there",
            given=address,
            expected=f"an address such as tcp://10.0.0.1:8786 ({' '.join(str(error).split())})",
            advice="start one with `dask scheduler`, or give no address for a cluster on this machine",
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise SpecError(
                "the scheduler has no workers", given=address, expected="at least one", advice=f"start some with `dask worker {address}`"
            ) from None
        yield client
