"""Read every file of the generated ONNX families and compare with onnxruntime: for each operator, how many are equal, refused, different.

A file that is read and differs, or that no oracle runs, is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from _report import header

from tests.unit.onnx_families import FAMILIES, Outcome, family, run

WRONG = (Outcome.DIFFERENT, Outcome.ALONE)


def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operators", nargs="*", default=sorted(FAMILIES), help="all if none are named")
    operators: list[str] = parser.parse_args().operators
    print(header("ONNX files, operator by operator", "qspec", "onnx", "onnxruntime", "numpy"))
    print("| operator | files | " + " | ".join(o.value for o in Outcome) + " | CPU s |")
    print("|---" * (len(Outcome) + 3) + "|")
    total, seconds, wrong = Counter[Outcome](), 0.0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for op in operators:
            found, began = Counter[Outcome](), time.process_time()
            for case in family(op):
                outcome = run(Path(folder) / "net.onnx", case)
                found[outcome] += 1
                wrong += [f"{outcome.value}: {case.text}"] if outcome in WRONG else []
            spent = time.process_time() - began
            _row(op, found, spent)
            total, seconds = total + found, seconds + spent
    _row("all", total, seconds)
    print("\n".join(["", *wrong]))
    return 1 if wrong else 0


def _row(name: str, found: Counter[Outcome], seconds: float) -> None:
    counts = " | ".join(str(found[o]) for o in Outcome)
    print(f"| {name} | {found.total()} | {counts} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
