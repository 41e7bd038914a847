"""ACAS Xu of VNN-COMP: 45 networks of six layers of 50 ReLUs (Katz et al., CAV 2017), as exact real networks, beside six tools' verdicts.

Answers go to a file of JSON lines as they come; what is there already is not asked again. A counterexample counts only if the reference
arithmetic, in rationals, finds that it meets every assertion of the file. Set OPENBLAS_NUM_THREADS=1: threads that share small
matrices wait for each other. Run `python tests/benchmarks/acasxu.py --help`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.progress import track

import qspec as qs
from qspec.ir.real import fractions
from qspec.readers.onnx import ImportedNetwork, import_onnx
from qspec.readers.vnnlib import Vnnlib, read_vnnlib

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

WORDS = {qs.Verdict.HOLDS: "unsat", qs.Verdict.VIOLATED: "sat", qs.Verdict.UNKNOWN: "unknown"}


def replays(imported: ImportedNetwork, prop: Vnnlib, result: qs.Result) -> bool:
    """Return whether the counterexample of a result meets the assertions, in rationals."""
    assert result.point is not None
    x = fractions(result.point["x"])
    low, high = imported.network.enclose(x.reshape(imported.network.inputs[0].shape))
    assert np.array_equal(low, high)
    return prop.meets(x.reshape(-1)[imported.input_order].tolist(), low.reshape(-1)[imported.output_order].tolist())


def ask(folder: Path, network: str, prop: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the answer to one instance."""
    worked = time.process_time()
    imported, read = import_onnx(folder / "onnx" / f"{network}.gz"), read_vnnlib(folder / "vnnlib" / f"{prop}.gz")
    result = qs.verify(read.property(imported.network), solver=options.solver, timeout=options.timeout)
    statistics = dict(result.answers[0].statistics) if result.answers else {}
    found = {"network": network, "property": prop, "solver": options.solver, "timeout": options.timeout, "answer": WORDS[result.verdict]}
    if result.verdict is qs.Verdict.VIOLATED:
        found["replays"] = replays(imported, read, result)
    reason = result.reason.name if result.reason else None
    worked = time.process_time() - worked
    return {**found, "reason": reason, "seconds": result.times.total, "cpu": worked, "statistics": statistics}


def instances(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Return network, property and published verdict of the instances that are asked."""
    with (folder / "expected.csv").open(newline="") as file:
        rows = [(r["network"], r["property"], r["expected"]) for r in csv.DictReader(file)]
    networks = sorted({n for n, _, _ in rows})
    step = max(1, len(networks) // options.networks)
    kept = networks[::step][: options.networks]
    properties = [f"prop_{p}.vnnlib" for p in options.properties.split(",")]
    if options.only:
        wanted = [one.split(":") for one in options.only.split(",")]
        return sorted(r for r in rows if any(f"_{n}_batch" in r[0] and r[1] == f"prop_{p}.vnnlib" for n, p in wanted))
    return sorted(r for r in rows if r[0] in kept and r[1] in properties)


def kept(options: argparse.Namespace) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the answers of a solver within a limit that are in the file, by network and property."""
    lines = options.answers.read_text().splitlines() if options.answers.exists() else []
    found = [json.loads(line) for line in lines]
    return {(a["network"], a["property"]): a for a in found if (a["solver"], a["timeout"]) == (options.solver, options.timeout)}


def rows(asked: list[tuple[str, str, str]], answers: dict[tuple[str, str], dict[str, Any]]) -> list[list[object]]:
    """Return one row for each property, and one for all."""
    result: list[list[object]] = []
    for prop in [*dict.fromkeys(sorted(p for _, p, _ in asked)), "all"]:
        own = [(e, answers[n, p]) for n, p, e in asked if prop in (p, "all") and (n, p) in answers]
        words = [a["answer"] for _, a in own]
        wrong = sum({e.rstrip("?"), a["answer"]} == {"sat", "unsat"} for e, a in own)
        failed = sum(a.get("replays") is False for _, a in own)
        published = [sum(e.startswith(w) for e, _ in own) for w in ("unsat", "sat")]
        seconds = [a["seconds"] for _, a in own if a["answer"] != "unknown"]
        decided = [words.count(w) for w in ("unsat", "sat", "unknown")]
        times = [float(sum(seconds)), float(median(seconds)), float(max(seconds))] if seconds else ["", "", ""]
        result.append([prop.removesuffix(".vnnlib"), len(own), *published, *decided, wrong, failed, *times])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder acasxu with expected.csv, onnx/ and vnnlib/")
    parser.add_argument("--networks", type=int, default=45, help="so many of the networks, evenly chosen")
    parser.add_argument("--properties", default="1,2,3,4", help="numbers of properties, separated by commas")
    parser.add_argument("--only", default="", help="instances instead, such as 1_1:3,1_5:2")
    parser.add_argument("--solver", default="delta")
    parser.add_argument("--timeout", type=float, default=20.0, help="wall-clock seconds for each instance")
    parser.add_argument(
        "--answers", type=Path, default=Path("acasxu.jsonl"), help="where answers are kept; those that are there are not asked again"
    )
    parser.add_argument("--report-only", action="store_true", help="ask nothing, lay out what is there")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    asked = instances(options.data, options)
    answers = kept(options)
    todo = [] if options.report_only else [(n, p) for n, p, _ in asked if (n, p) not in answers]
    with options.answers.open("a") as file:
        for network, prop in track(todo, "ACAS Xu", disable=not sys.stderr.isatty()):
            answers[network, prop] = ask(options.data, network, prop, options)
            file.write(json.dumps(answers[network, prop]) + "\n")
            file.flush()
    columns = ["property", "asked", "published unsat", "published sat", "unsat", "sat", "unknown", "contradictions", "failed replays"]
    found = rows(asked, answers)
    report = header("ACAS Xu", "qspec", "numpy", "onnx") + f"\n{table([*columns, 'sum s', 'median s', 'max s'], found)}\n"
    if options.only:
        each = [
            [n, p, e, a["answer"], a["seconds"], a["cpu"], a["statistics"].get("boxes", "")] for n, p, e in asked for a in [answers[n, p]]
        ]
        report += f"\n{table(['network', 'property', 'published', 'answer', 's', 'CPU s', 'boxes'], each)}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)
    if any(row[7] or row[8] for row in found):
        raise SystemExit("a verdict is contradicted")


if __name__ == "__main__":
    main()
