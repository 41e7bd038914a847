"""mnist_fc of VNN-COMP: 784-256-256-10 in ReLUs, 15 images at radius 0.03 and 0.05, as an exact real network, beside other tools' verdicts.

Answers go to a file of JSON lines as they come; what is there already is not asked again. Set OPENBLAS_NUM_THREADS=1. CPU seconds hold
reading, deciding and replaying. Run `python tests/benchmarks/mnist_fc.py --help`.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from qspec.certificate.real_check import check
from qspec.compile.real_query import compile_real
from qspec.deadline import Deadline
from qspec.engines.piecewise.search import search
from qspec.readers.onnx import import_onnx
from qspec.readers.vnnlib import read_vnnlib

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table
from acasxu import ask, kept, rows


def checked(folder: Path, network: str, prop: str, timeout: float) -> dict[str, Any]:
    """Prove one instance by the engine alone, and check the proof in whole numbers; return leaves, KiB, and CPU seconds of both."""
    imported, read = import_onnx(folder / "onnx" / f"{network}.gz"), read_vnnlib(folder / "vnnlib" / f"{prop}.gz")
    query = compile_real(read.property(imported.network)).query
    began = time.process_time()
    proof = search(query, Deadline.after(timeout)).proof
    found = time.process_time()
    assert proof is not None, "no proof within the time"
    leaves = check(proof, query)
    size = sum(getattr(proof, f.name).nbytes for f in fields(proof)) // 1024
    return {"leaves": leaves, "KiB": size, "prove CPU s": found - began, "check CPU s": time.process_time() - found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder mnist_fc with expected.csv, onnx/ and vnnlib/")
    parser.add_argument("--only", default="", help="instances instead of all, such as 0_0.03,1_0.05")
    parser.add_argument("--solver", default="delta")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each instance")
    parser.add_argument("--check", action="store_true", help="check the proof of every unsat in whole numbers, too")
    parser.add_argument("--answers", type=Path, default=Path("mnist_fc.jsonl"), help="where answers are kept")
    options = parser.parse_args()
    with (options.data / "expected.csv").open(newline="") as file:
        listed = [(r["network"], r["property"], r["expected"]) for r in csv.DictReader(file)]
    wanted = {f"prop_{name}.vnnlib" for name in options.only.split(",")}
    asked = [row for row in listed if not options.only or row[1] in wanted]
    answers = kept(options)
    with options.answers.open("a") as file:
        for network, prop, _ in asked:
            if (network, prop) not in answers:
                answers[network, prop] = ask(options.data, network, prop, options)
                if options.check and answers[network, prop]["answer"] == "unsat":
                    answers[network, prop]["checked"] = checked(options.data, network, prop, options.timeout)
                file.write(json.dumps(answers[network, prop]) + "\n")
                file.flush()
    columns = ["property", "asked", "published unsat", "published sat", "unsat", "sat", "unknown", "contradictions", "failed replays"]
    every = rows(asked, answers)[-1]
    more = ("leaves", "KiB", "prove CPU s", "check CPU s") if options.check else ()
    each = [
        [
            p.removesuffix(".vnnlib"),
            e,
            a["answer"],
            a["cpu"],
            a["statistics"].get("boxes", ""),
            *(a.get("checked", {}).get(m, "") for m in more),
        ]
        for n, p, e in asked
        for a in [answers[n, p]]
    ]
    total = sum(float(answers[n, p]["cpu"]) for n, p, _ in asked)
    print(header("mnist_fc 256x2", "qspec", "numpy", "onnx"))
    print(table([*columns, "sum s", "median s", "max s"], [every]), end="\n\n")
    print(table(["property", "published", "answer", "CPU s", "domains", *more], each), end="\n\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{total:.1f} CPU s together, {peak} MB at most")
    if every[7] or every[8]:
        raise SystemExit("a verdict is contradicted")


if __name__ == "__main__":
    main()
