"""The walk from a property to its replayed result: which files and which parts of qspec one `qs.verify` enters.

A run before has made the imports; then every Python call of a run is watched. A file is entered if a function of it is called. A part is a
package or a loose module directly in `qspec/`; the adapters of solvers are one more. Costs are those of runs that nobody watches.

Run `python tests/benchmarks/walk.py`, with `--files` for the files by part, in the order in which they are entered.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from statistics import median
from time import process_time
from types import FrameType

import qspec as qs
import qspec_models
import qspec_solvers

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

HOMES = {Path(str(qs.__file__)).parent: "", Path(str(qspec_solvers.__file__)).parent: "solvers/"}
RUNS = 9


def questions() -> Iterator[tuple[str, qs.Property]]:
    """Yield two queries of integers (one violated, one with a checked certificate) and two of reals (one violated, one proved)."""
    images, labels = qspec_models.samples("digits-6bit")
    network = qspec_models.load("digits-6bit")
    for k in (0, 1):
        yield f"digits-6bit, sample {k}", qs.properties.local_robustness(network, images[k], 1, int(labels[k]))
    real = qspec_models.load("digits-tiny").real()
    x = real.input("x", lower=Fraction(9, 20), upper=Fraction(11, 20))
    yield "digits-tiny, real", qs.forall(x, then=qs.argmax(real(x)) == 0)
    yield "digits-tiny, real, a bound", qs.forall(x, then=real(x)[0] <= 100)


def place(file: str) -> str | None:
    """Return the path of a file below its home, None for what is not of qspec."""
    path = Path(file)
    return next((prefix + str(path.relative_to(home)) for home, prefix in HOMES.items() if path.is_relative_to(home)), None)


def walked(spec: qs.Property) -> tuple[qs.Result, dict[str, set[str]]]:
    """Return the result of a property and the functions that were called for it, by file, files in the order in which they were entered."""
    codes: dict[object, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.setdefault(frame.f_code)

    sys.setprofile(watch)
    try:
        result = qs.verify(spec)
    finally:
        sys.setprofile(None)
    entered: dict[str, set[str]] = defaultdict(set)
    for code in codes:
        file = place(code.co_filename)  # pyright: ignore[reportAttributeAccessIssue]
        if file is not None:
            entered[file].add(code.co_qualname)  # pyright: ignore[reportAttributeAccessIssue]
    return result, dict(entered)


def part(file: str) -> str:
    return file.partition("/")[0]


def cost(spec: qs.Property) -> float:
    """Return the median CPU time of runs that nobody watches, in milliseconds."""
    spent: list[float] = []
    for _ in range(RUNS):
        gc.collect()
        since = process_time()
        qs.verify(spec)
        spent.append(1000 * (process_time() - since))
    return median(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true", help="list the files")
    options = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    for name, spec in questions():
        qs.verify(spec)
        result, entered = walked(spec)
        parts = list(dict.fromkeys(part(file) for file in entered))
        rows.append(
            (name, result.verdict.name, result.evidence.name, len(entered), len(parts), sum(map(len, entered.values())), cost(spec))
        )
        if options.files:
            for room in parts:
                print(name, room, *(f"{file}:{len(found)}" for file, found in entered.items() if part(file) == room), sep="\n  ")
    print(header("The walk of one query", "qspec", "numpy"))
    print(table(("query", "verdict", "evidence", "files", "parts", "functions", "CPU ms"), rows))


if __name__ == "__main__":
    main()
