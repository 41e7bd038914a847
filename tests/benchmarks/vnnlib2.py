"""The command line of the VNN-LIB 2 standard, on ACAS Xu: properties 1 to 4 written in VNN-LIB 2, and monotonicity of two copies.

Each query is a file, which `qspec-vnnlib verify` decides as a process of its own. Its word is compared with the verdict of `qs.verify` on
the VNN-LIB 1.0 file, and with the published one; what is printed after `sat` is tried on the file's assertions, in rationals.

Monotonicity is that of `monotonic_acasxu` of VNN-COMP 2026, made again: does the cost of "strong left" ever grow as the intruder comes
nearer, all else equal? Source: https://github.com/lukasmrohwer/acasxu-equivalent-networks-benchmark. Run with `--help`.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import qspec as qs
from qspec.readers.onnx import import_onnx
from qspec.readers.vnnlib import read_vnnlib

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

WORDS = {qs.Verdict.HOLDS: "unsat", qs.Verdict.VIOLATED: "sat", qs.Verdict.UNKNOWN: "unknown"}
NUMBERS = (
    22, 26, 54, 12, 33, 41, 24, 35, 43, 15, 36, 55, 19, 48, 23, 14, 39, 51, 51, 58, 44, 54, 48, 47, 56,
    15, 52, 45, 41, 46, 28, 25, 18, 37, 42, 21, 33, 54, 19, 42, 25, 21, 49, 25, 41, 51, 48, 35, 38, 18,
)  # fmt: skip
PAIRS = [f"{n // 10}_{n % 10}" for n in NUMBERS]
"""The networks of the 50 instances of VNN-COMP 2026, which all have one property."""
BOX = (("-0.16247807", "0.667245963"), ("-0.25", "0.0"), ("0.25", "0.5"), ("0.227272727", "0.227272727"), ("0.25", "0.25"))
NEARER = "\n".join(
    [
        "(vnnlib-version <2.0>)",
        "(declare-network f (declare-input X_f Real [1,1,1,5]) (declare-output Y_f Real [1,5]))",
        "(declare-network g (equal-to f) (declare-input X_g Real [1,1,1,5]) (declare-output Y_g Real [1,5]))",
        *(f"(assert (and (<= {low} X_f[0,0,0,{k}]) (<= X_f[0,0,0,{k}] {high})))" for k, (low, high) in enumerate(BOX)),
        f"(assert (and (<= X_g[0,0,0,0] X_f[0,0,0,0]) (<= {BOX[0][0]} X_g[0,0,0,0])))",
        *(f"(assert (== X_f[0,0,0,{k}] X_g[0,0,0,{k}]))" for k in range(1, 5)),
        "(assert (< Y_f[0,3] Y_g[0,3]))",
        "",
    ]
)


def asked(query: Path, network: Path, timeout: float) -> tuple[str, str, float]:
    """Return the word of the command line, whether what it prints after `sat` is a counterexample, and CPU seconds."""
    before = os.times()
    code = "import sys; from qspec.cli.vnnlib_solver import main; sys.exit(main(sys.argv[1:]))"
    options = ["verify", str(query), "--network", f"f={network}", "--timeout", str(timeout)]
    ended = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=True)
    after = os.times()
    lines = ended.stdout.splitlines()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return lines[0], replays(query, lines[1:]) if lines[0] == "sat" else "-", cpu


def replays(query: Path, lines: list[str]) -> str:
    """Return whether values meet the assertions of a query."""
    tensors: list[list[Fraction]] = []
    for line in lines:
        if "Real" in line:
            tensors.append([])
        else:
            tensors[-1].append(Fraction(line))
    inputs, outputs = ([v for one in tensors[k::2] for v in one] for k in (0, 1))
    return "yes" if read_vnnlib(query).meets(inputs, outputs) else "NO"


def properties(data: Path, count: int, timeout: float, folder: Path) -> list[list[object]]:
    """Return rows of instances, evenly chosen from properties 1 to 4 about 45 networks."""
    with (data / "expected.csv").open(newline="") as file:
        rows = sorted((r["property"], r["network"], r["expected"]) for r in csv.DictReader(file) if r["property"][5] in "1234")
    found: list[list[object]] = []
    for k in range(count):
        prop, network, expected = rows[k * len(rows) // count + k % 9]
        imported, old = import_onnx(data / "onnx" / f"{network}.gz"), read_vnnlib(data / "vnnlib" / f"{prop}.gz")
        spec = old.property(imported.network)
        began = time.process_time()
        direct = qs.verify(spec, timeout=timeout)
        own = time.process_time() - began
        query = folder / f"{k}.vnnlib"
        query.write_text(qs.to_vnnlib(spec, version="2.0"))
        word, replayed, cpu = asked(query, data / "onnx" / f"{network}.gz", timeout)
        found.append([network[13:16], prop[5], expected, WORDS[direct.verdict], own, word, replayed, cpu])
        print(found[-1], file=sys.stderr, flush=True)
    return found


def monotone(data: Path, count: int, timeout: float, folder: Path) -> list[list[object]]:
    """Return a row for each network: how many instances it stands for, the word, and CPU seconds."""
    query, found = folder / "nearer.vnnlib", list[list[object]]()
    query.write_text(NEARER)
    for name in list(dict.fromkeys(PAIRS))[:count]:
        word, replayed, cpu = asked(query, data / "onnx" / f"ACASXU_run2a_{name}_batch_2000.onnx.gz", timeout)
        found.append([name, PAIRS.count(name), word, replayed, cpu])
        print(found[-1], file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder acasxu with expected.csv, onnx/ and vnnlib/")
    parser.add_argument("--properties", type=int, default=20, help="so many instances of properties 1 to 4")
    parser.add_argument("--pairs", type=int, default=50, help="so many networks beside their copies, at most")
    parser.add_argument("--timeout", type=float, default=100.0, help="wall-clock seconds for each query")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        first = properties(options.data, options.properties, options.timeout, Path(name))
        second = monotone(options.data, options.pairs, options.timeout, Path(name))
    print(header("ACAS Xu by the command line of VNN-LIB 2", "qspec", "numpy", "onnx"))
    print(table(["network", "property", "published", "qs.verify", "CPU s", "command line", "printed values meet the file", "CPU s"], first))
    print(f"\n{table(['network', 'instances', 'command line', 'printed values meet the file', 'CPU s'], second)}")
    if any(row[3] != row[5] or row[6] == "NO" for row in first) or any(row[3] == "NO" for row in second):
        raise SystemExit("the command line says something else")


if __name__ == "__main__":
    main()
