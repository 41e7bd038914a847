"""How fast bitwuzla is on each way of writing sums as bit-vectors, on queries of medium difficulty.

A query `ID:RADIUS:MARGIN` is that of an AAAI 2021 sample where only pixels at least MARGIN from the border may change, by up to RADIUS; all
passes but linear bounds run first. The row `AAAI 2021` has the tricks of that paper and no others, `plain` has none. Times are wall-clock
seconds of the solver process; where it did not answer, the sum has the limit. Run `python tests/benchmarks/encodings.py --data DIR`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import bound
from qspec.compile.query import compile_property
from qspec.ir.integer import FALSE, Input, Query
from qspec.language.property import Property
from qspec.passes import Pipeline
from qspec.solver import Answer, Limits
from qspec.theories import bitvector
from qspec.theories.bitvector import BitVectorEncoding
from qspec.theories.sums import SumOptions
from qspec_solvers.bitwuzla import Bitwuzla

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table
from aaai21 import build_network, robustness

ENCODINGS = {
    "default": BitVectorEncoding(),
    "products written out": BitVectorEncoding(SumOptions(products="inline")),
    "products grouped": BitVectorEncoding(SumOptions(products="grouped")),
    "accumulator widths": BitVectorEncoding(SumOptions(widths="accumulator")),
    "fixed widths": BitVectorEncoding(SumOptions(widths="fixed")),
    "negative terms subtracted": BitVectorEncoding(SumOptions(complement=False)),
    "chains": BitVectorEncoding(SumOptions(balanced=False)),
    "quotient rounding": BitVectorEncoding(rounding="quotient"),
    "bounds asserted": BitVectorEncoding(assert_bounds=True),
    "AAAI 2021": BitVectorEncoding(SumOptions(True, "accumulator", "inline", False), "quotient", True),
    "plain": BitVectorEncoding(SumOptions(False, "fixed", "inline", False)),
}


def patch(query: Query, image: IntArray, radius: int, margin: int) -> Query:
    """Return the query with its input confined to the pixels that may change."""
    free = np.zeros((28, 28), dtype=np.int64)
    free[margin : 28 - margin, margin : 28 - margin] = radius
    lower, upper = np.maximum(image - free.reshape(-1), 0), np.minimum(image + free.reshape(-1), 255)
    program = tuple(Input(n.name, lower, upper) if isinstance(n, Input) else n for n in query.program)
    return Query(program, query.goal)


def reduced(spec: Property, image: IntArray, label: int, radius: int, margin: int) -> Query:
    """Compile and presolve one query."""
    query = compile_property(spec.at(image=image, label=label, radius=radius)).query
    (part,) = Pipeline().without("linear").apply(patch(query, image, radius, margin))
    assert part.query.goal != FALSE, "bounds decide this query"
    return part.query


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--queries", default="115:2:0,151:2:0,217:3:0,320:4:11,151:6:11,320:12:12,508:8:11,508:20:12,151:16:12")
    parser.add_argument("--encodings", default=",".join(ENCODINGS))
    parser.add_argument("--bitwuzla", default="", help="options of bitwuzla, for example pp-normalize=0,rewrite-level=1")
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    network = build_network(find(options.data / "aaai21_qnn", "mnist_mlp.npz"))
    images = read_idx(find(options.data / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    labels = read_idx(find(options.data / "mnist", "t10k-labels*"))
    spec, solver = robustness(network), Bitwuzla(tuple(filter(None, options.bitwuzla.split(","))))
    wanted = [tuple(map(int, q.split(":"))) for q in options.queries.split(",")]
    queries = [reduced(spec, images[k], int(labels[k]), radius, margin) for k, radius, margin in wanted]
    lines: list[list[object]] = []
    for name in options.encodings.split(","):
        answers: list[Answer] = []
        for query in queries:
            answers.append(solver.solve(bitvector.lower(query, bound(query.program), ENCODINGS[name]), Limits(options.timeout)))
            print(name, answers[-1].status, f"{answers[-1].seconds:.1f}", file=sys.stderr)
        cells = [f"{a.status} {a.seconds:.1f}" if a.status != "unknown" else "limit" for a in answers]
        lines.append([name, *cells, sum(a.seconds if a.status != "unknown" else options.timeout for a in answers)])
    report = header("Encodings of sums", "qspec", "bitwuzla") + f"- limit: {options.timeout:g} s\n\n"
    report += table(["encoding", *options.queries.split(","), "sum"], lines) + "\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
