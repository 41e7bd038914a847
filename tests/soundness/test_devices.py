"""The native engine on several devices: the same verdicts as on one, from arrays that lie on all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def searched(devices: int) -> dict[str, Any]:
    """Return what `on_devices.py` prints where JAX has so many devices, all of them the one CPU."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-m", "tests.soundness.on_devices"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_verdicts_on_several_devices_are_those_on_one() -> None:
    one, four = searched(1), searched(4)
    assert (one["devices"], four["devices"]) == (1, 4)
    assert one["layout"] == [[1, 32]]
    assert four["layout"] == [[4, 8]], "every device has its 8 of 32 rows, of every array"
    assert one["verdicts"] == four["verdicts"]
    assert set(four["verdicts"].values()) == {"solution", "proof"}
