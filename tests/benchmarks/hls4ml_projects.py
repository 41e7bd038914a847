"""Compile projects of hls4ml with g++ and compare every output with what qspec reads: `python -m tests.benchmarks.hls4ml_projects`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import qspec as qs
from tests.benchmarks._report import machine
from tests.unit.hls4ml_projects import KINDS, PRECISIONS, project, simulated
from tests.unit.test_hls4ml import digest, inputs, outputs


def main() -> None:
    """Print for each project how many output values were compared, and how many differ."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for precision in PRECISIONS:
                start = time.process_time()
                source = project(Path(folder) / kind / precision, kind, precision, 0)
                try:
                    net = qs.load(source)
                except qs.UnsupportedError as error:
                    print(f"{kind:10} {precision:8} refused: {error.what}")
                    continue
                codes = inputs(net)
                grid = net.inputs[0].type.grid
                ours = outputs(net, codes)
                theirs = simulated(source, codes * float(grid.units[0]), ours.shape[1])
                seconds = time.process_time() - start
                differing = int((ours != theirs).sum())
                print(f"{kind:10} {precision:8} {ours.size} compared, {differing} differ, {digest(theirs)}, {seconds:.1f} s without g++")


if __name__ == "__main__":
    main()
