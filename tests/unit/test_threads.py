from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from qspec.support.threads import single_threaded


def threads() -> set[int]:
    """Return how many threads numpy's linear algebra takes; other packages bring libraries of their own."""
    assert np.ones(2) @ np.ones(2) == 2
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]}


@single_threaded
def inside() -> set[int]:
    return threads()


@single_threaded
def nested() -> tuple[set[int], set[int]]:
    return inside(), threads()


@single_threaded
def failing() -> None:
    raise ValueError("as told")


def test_one_thread_inside_and_as_many_as_before_outside():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert before == {2}
        assert inside() == {1}
        assert nested() == ({1}, {1})
        assert threads() == before


def test_a_call_that_raises_lifts_the_limit():
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="as told"):
            failing()
        assert threads() == {2}
