"""Does the native engine agree with enumeration on very many tiny queries? `python -m tests.soundness.campaign --count 100000`.

Queries are over every operation in turn and over all of them together; every way to branch takes its turn, too. Every solution is
evaluated, every proof is checked.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from qspec.engines.dual.options import EngineOptions
from tests.soundness.random_queries import KINDS, solutions
from tests.soundness.test_engine import BRANCHINGS, example, judged


def check_seeds(seeds: Sequence[int]) -> tuple[Counter[str], list[str]]:
    """Return how often each outcome was met, and a line for everything that is wrong."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds:
        kind = (None, *KINDS)[seed % (len(KINDS) + 1)]
        branching = BRANCHINGS[seed // 7 % 3]
        query = example(seed, kind)
        try:
            satisfiable = bool(len(solutions(query)))
            counts[judged(query, satisfiable, EngineOptions(branching=branching, compiled=False), (seed, kind, branching))] += 1
        except AssertionError as error:
            wrong.append(f"seed {seed}: {error}")
    return counts, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Check `--count` queries from seed `--seed`, and print the figures; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    end = options.seed + options.count
    with ProcessPoolExecutor(options.workers) as pool:
        for done, (part, lines) in enumerate(
            pool.map(check_seeds, [range(k, min(k + 100, end)) for k in range(options.seed, end, 100)]), 1
        ):
            counts += part
            wrong += lines
            for line in lines:
                print(line, flush=True)
            if done % 50 == 0:
                print(f"{counts.total()} queries, {len(wrong)} wrong, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(
        f"{counts.total()} queries: " + ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) + f"; {len(wrong)} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
