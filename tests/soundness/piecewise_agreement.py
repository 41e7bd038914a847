"""Do the dual bounds of piecewise-linear queries agree with exact maxima? `python -m tests.soundness.piecewise_agreement --count 5000`."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Sequence

from qspec.certificate.real_check import check
from qspec.deadline import Deadline
from qspec.engines.piecewise import search as searching
from qspec.errors import CertificateError
from qspec.ir.enclosure import satisfies
from tests.soundness.delta_queries import by_z3
from tests.soundness.piecewise_queries import random_network, truth


def steps(count: int) -> Deadline:
    """Return a deadline that passes when it has been looked at so many times, on any machine."""
    looked = itertools.count()
    return Deadline(count, lambda: next(looked))


def check_seed(seed: int, looks: int = 2000) -> tuple[Counter[str], list[str]]:
    """Check one random query; return what was met, and a line for everything that is wrong."""
    query = random_network(seed)
    expected = "sat" if truth(query) else "unsat"
    outcome = searching.search(query, steps(looks), seed=seed)
    wrong: list[str] = []
    if outcome.status not in (expected, "unknown"):
        wrong.append(f"seed {seed}: {outcome.status}, but it is {expected}")
    if outcome.status == "sat" and (outcome.point is None or satisfies(query, outcome.point) is not True):
        wrong.append(f"seed {seed}: the point is no solution")
    return Counter({"queries": 1, f"{expected}: {outcome.status}": 1}), wrong


def check_by_z3(seed: int, inputs: int) -> tuple[Counter[str], list[str]]:
    """Check one random query of many inputs: z3 must not contradict the solver, and the proof has to pass the check in whole numbers."""
    query = random_network(seed, inputs)
    outcome = searching.search(query, steps(2000), seed=seed)
    said = by_z3(query)
    wrong: list[str] = []
    if {said, outcome.status} == {"sat", "unsat"}:
        wrong.append(f"seed {seed}: {outcome.status}, and z3 says {said}")
    if outcome.status == "sat" and (outcome.point is None or satisfies(query, outcome.point) is not True):
        wrong.append(f"seed {seed}: the point is no solution")
    if outcome.proof is not None:
        try:
            check(outcome.proof, query)
        except CertificateError as error:
            wrong.append(f"seed {seed}: {error}")
    return Counter({"queries": 1, f"z3 {said}: {outcome.status}": 1, "proofs": int(outcome.proof is not None)}), wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Check `--count` queries from seed `--seed`, with inputs halved first or ReLUs first; the exit status is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--relus", action="store_true", help="cut ReLUs first, as with many inputs")
    parser.add_argument("--inputs", type=int, help="so many inputs instead of one or two, and z3 instead of enumeration")
    options = parser.parse_args(arguments)
    if options.relus:
        searching.FEW = 0
    counts, wrong, began = Counter[str](), list[str](), time.process_time()
    for seed in range(options.seed, options.seed + options.count):
        met, found = check_seed(seed) if options.inputs is None else check_by_z3(seed, options.inputs)
        counts += met
        wrong += found
        for line in found:
            print(line)
    print(*(f"{count} {name}" for name, count in sorted(counts.items())), sep="\n")
    print(f"{len(wrong)} wrong, {time.process_time() - began:.1f} CPU s")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
