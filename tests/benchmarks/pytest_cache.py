"""Ten properties as tests: what a run costs that decides them, and one that checks the evidence of the run before.

The project has ten robustness properties of `digits-6bit`. CPU seconds are those of whole runs, start included; `empty` is a run
without a property.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from _report import header, table

PROJECT = """
import pytest
import qspec as qs
from qspec_models import samples

net = qs.load("digits-6bit")
images, labels = samples("digits-6bit")


@pytest.mark.qspec(unknown="skip")
@pytest.mark.parametrize(("k", "radius"), [(k, 2) for k in (0, 2, 3, 4, 5, 6, 7, 8, 1, 9)])
def test_robust(k, radius):
    return qs.properties.local_robustness(net, images[k], radius, int(labels[k]))
"""


def run(folder: Path, *options: str) -> tuple[float, str]:
    """Return the CPU seconds of a run of pytest, and the line that the plugin prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *options], cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = re.search(r"^qspec: .*$", done.stdout, re.MULTILINE)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, said.group() if said else done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "test_robust.py").write_text(PROJECT)
        (folder / "test_empty.py").write_text("def test_empty():\n    assert True\n")
        rows = [
            [name, f"{seconds:.1f}", said]
            for name, options in (("empty", ["test_empty.py"]), ("cold", ["test_robust.py"]), ("kept", ["test_robust.py"]))
            for seconds, said in [run(folder, *options)]
        ]
    print(header("Ten properties as tests", "qspec", "pytest", "jax", "numpy") + "\n" + table(["run", "CPU s", "what it says"], rows))


if __name__ == "__main__":
    main()
