"""One thread for products of small matrices: several wait for each other longer than they compute, many times longer on a busy machine.

Measured: a product of 32×784 with 784×100 takes 0.06 ms with one thread; with two of OpenBLAS, on two cores at a load of 9, 5.5 ms. What runs
in parallel here are processes (`verify_many`) and devices, each of which computes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with the linear algebra of numpy limited to one thread while it runs."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _pools().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@cache
def _pools() -> Any:
    """Return the thread pools of the libraries that numpy has loaded."""
    from threadpoolctl import ThreadpoolController  # here, because `import qspec` is to be quick

    return ThreadpoolController()
