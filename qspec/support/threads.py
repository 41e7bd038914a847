"""One thread for products of small matrices: several wait for each other longer than they compute, many times longer on a busy machine.

Measured: a product of 32×784 with 784×100 takes 0.06 ms with one thread; with two of OpenBLAS, on two cores at a load of 9, 5.5 ms. What
runs in parallel here are processes (`verify_many`) and devices, each of which computes alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
ITS_SETTING = "KMP_DUPLICATE_LIB_OK"
"""What threadpoolctl writes into the environment when it is imported."""


def single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with the linear algebra of numpy limited to one thread while it runs, in however many calls at once."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        _limit().enter()
        try:
            return function(*args, **kwargs)
        finally:
            _limit().leave()

    return limited


class _Limit:
    """The limit, and how many calls need it: the first one sets it, the last one lifts it."""

    def __init__(self) -> None:
        before = os.environ.get(ITS_SETTING)
        import threadpoolctl  # pyright: ignore[reportMissingTypeStubs]  # here, because `import qspec` is to be quick

        if before is None:  # the environment stays as the host has it
            os.environ.pop(ITS_SETTING, None)
        self._pools: Any = threadpoolctl.ThreadpoolController()
        self._calls = 0
        self._lock = Lock()

    def enter(self) -> None:
        """Set the limit unless a call has set it."""
        with self._lock:
            self._calls += 1
            if self._calls == 1:
                self._set = self._pools.limit(limits=1, user_api="blas")

    def leave(self) -> None:
        """Lift the limit unless a call still needs it."""
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._set.restore_original_limits()


@cache
def _limit() -> _Limit:
    """Return the limit of this process, over the libraries that numpy has loaded."""
    return _Limit()
