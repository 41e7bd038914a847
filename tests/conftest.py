"""What every test shares: the options, the data directory, and a Hypothesis that finds the same examples every time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.warm import Warm

DATA = "QSPEC_DATA"

# Tests compile much that runs once; without LLVM's costly passes it takes a third less. JAX reads this at its import, in children, too.
UNOPTIMIZED = "JAX_DISABLE_MOST_OPTIMIZATIONS"
os.environ.setdefault(UNOPTIMIZED, "1")

CLOCKS = (HealthCheck.too_slow,)  # the check that depends on how busy the machine is

settings.register_profile("qspec", derandomize=True, deadline=None, database=None, print_blob=True, suppress_health_check=CLOCKS)
settings.register_profile("fresh", settings.get_profile("qspec"), derandomize=False)
settings.register_profile("long", settings.get_profile("qspec"), derandomize=False, max_examples=5000)
settings.load_profile("qspec")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--slow`."""
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this run was not asked for, with the reason."""
    skips = {"slow": pytest.mark.skip(reason="takes minutes; run with --slow")} if not config.getoption("--slow") else {}
    if not os.environ.get(DATA):
        skips["data"] = pytest.mark.skip(reason=f"set {DATA} to the directory that holds the files")
    for item in items:
        for mark, skip in skips.items():
            if item.get_closest_marker(mark):
                item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a GPU test where JAX finds none; asked as late as this because the answer takes a second."""
    if item.get_closest_marker("gpu"):
        import jax

        if not any(device.platform == "gpu" for device in jax.devices()):
            pytest.skip("JAX finds no GPU")


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the directory of files that are not in the repository; for tests marked `data`."""
    directory = Path(os.environ[DATA])
    assert directory.is_dir(), f"{DATA} names no directory: {directory}"
    return directory


@pytest.fixture(scope="module")
def optimized() -> Iterator[None]:
    """Compile as users do: for tests of what floats on a device must give to the bit."""
    import jax

    with pytest.MonkeyPatch.context() as patch:
        jax.clear_caches()
        before = jax.config.read("jax_disable_most_optimizations")
        jax.config.update("jax_disable_most_optimizations", False)
        patch.setenv(UNOPTIMIZED, "0")
        yield
        jax.config.update("jax_disable_most_optimizations", before)
        jax.clear_caches()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT reach what the test starts: a shell that runs tests in the background has them ignore it, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def processes() -> Iterator[Warm]:
    """Yield the processes from which workers are forked, for all tests of this run."""
    from tests.warm import Warm

    made = Warm()
    yield made
    made.close()


@pytest.fixture
def warm(processes: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the workers of solvers instead of starting them: where the verdict is tested, and not the process."""
    processes.take_over(monkeypatch)
