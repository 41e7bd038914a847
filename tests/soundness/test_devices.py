"""Several devices: the engine and certification reach the same verdicts as on one, training the same losses but for the order of sums."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def searched(devices: int, cache: Path) -> dict[str, Any]:
    """Return what `on_devices.py` prints where JAX has so many devices, all of them the one CPU; what is compiled twice is kept."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
    command = [sys.executable, "-m", "tests.soundness.on_devices"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what came of it on one device and on four."""
    cache = tmp_path_factory.mktemp("compiled")
    return searched(1, cache), searched(4, cache)


def test_verdicts_on_several_devices_are_those_on_one(runs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, four = runs
    assert (one["devices"], four["devices"]) == (1, 4)
    assert one["layout"] == [[1, 32]]
    assert four["layout"] == [[4, 8]], "every device has its 8 of 32 rows, of every array"
    assert one["verdicts"] == four["verdicts"]
    assert set(four["verdicts"].values()) == {"solution", "proof"}


def test_certification_on_several_devices_is_that_on_one(runs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, four = runs
    assert one["certified"] == four["certified"]
    assert {text.split()[1] for text in four["certified"]} >= {"attack", "duals", "open"}


def test_devices_share_out_the_batches_of_a_training(runs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, four = runs
    assert one["apart"] == [False] * 6
    assert four["apart"] == [True] * 6, "gradients are summed up over devices"
    assert four["losses"] == pytest.approx(one["losses"], rel=1e-3)
