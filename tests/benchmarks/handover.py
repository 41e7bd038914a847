"""What it costs to build one robustness query and hand it to a solver, against a route that builds pySMT terms one by one.

The query is that of an AAAI 2021 sample at its radius. `build` is compiling, passes and lowering to text, `text` the lowering, `parse`
the solver's own time to read it. Run `python tests/benchmarks/handover.py --data DIR`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.tighten import bound
from qspec.compile.query import compile_property
from qspec.ir.integer import Affine, Query
from qspec.ir.linear import to_sparse
from qspec.language.property import Property
from qspec.passes import Pipeline
from qspec.problem import SmtProblem
from qspec.theories import bitvector, integer

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table
from aaai21 import build_network, robustness


def timed(action: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Return the median seconds of some runs, after one that is not counted, and the last result."""
    result = action()
    seconds: list[float] = []
    for _ in range(runs):
        start = perf_counter()
        result = action()
        seconds.append(perf_counter() - start)
    return median(seconds), result


def reduce(spec: Property, image: IntArray, label: int, radius: int, passes: Pipeline) -> Query:
    """Compile and presolve one query."""
    (part,) = passes.apply(compile_property(spec.at(image=image, label=label, radius=radius)).query)
    return part.query


def lower(query: Query, theory: str) -> SmtProblem:
    """Write one query as text."""
    bounds = bound(query.program)
    return bitvector.lower(query, bounds) if theory == "QF_BV" else integer.lower(query, bounds)


def parse_bitwuzla(text: str) -> None:
    library = import_module("bitwuzla")
    manager = library.TermManager()
    library.Parser(manager, library.Options()).parse(text, True, False)


def parse_z3(text: str) -> None:
    import_module("z3").Solver().from_string(text)


def parse_cvc5(text: str) -> None:
    library = import_module("cvc5")
    manager = library.TermManager()
    solver = library.Solver(manager)
    parser = library.InputParser(solver, library.SymbolManager(manager))
    parser.setStringInput(library.InputLanguage.SMT_LIB_2_6, text, "query")
    while True:
        command = parser.nextCommand()
        if command.isNull():
            return
        command.invoke(solver, parser.getSymbolManager())


def naive_pysmt(query: Query) -> None:
    """Build the affine sums of a query as pySMT terms, product by product, and convert them for z3."""
    shortcuts = import_module("pysmt.shortcuts")
    shortcuts.reset_env()
    types = import_module("pysmt.typing")
    width = 32
    with shortcuts.Solver(name="z3", logic="QF_BV") as solver:
        for position, node in enumerate(query.program):
            if not isinstance(node, Affine):
                continue
            for m, argument in node.terms:
                entries = to_sparse(m)
                x = [shortcuts.Symbol(f"x{position}_{argument}_{k}", types.BVType(width)) for k in range(entries.inputs)]
                rows: list[Any] = [shortcuts.SBV(0, width)] * entries.outputs
                for r, c, w in zip(entries.rows.tolist(), entries.columns.tolist(), entries.coefficients.tolist(), strict=True):
                    rows[r] = shortcuts.BVAdd(rows[r], shortcuts.BVMul(shortcuts.SBV(w, width), x[c]))
                for row in rows:
                    solver.add_assertion(shortcuts.BVSGE(row, shortcuts.SBV(-(2**30), width)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--ids", default="104,250,308,391", help="samples that bounds leave open")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    network = build_network(find(options.data / "aaai21_qnn", "mnist_mlp.npz"))
    images = read_idx(find(options.data / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    labels = read_idx(find(options.data / "mnist", "t10k-labels*"))
    spec = robustness(network)
    pipelines = {"all": Pipeline(), "no bounds": Pipeline().without("stairs", "decide", "linear"), "none": Pipeline(())}
    lines: list[list[object]] = []
    for index in map(int, options.ids.split(",")):
        radius = index // 100 + 1
        for name, passes in pipelines.items():
            for theory in ("QF_BV", "QF_LIA"):
                reducing, query = timed(lambda: reduce(spec, images[index], int(labels[index]), radius, passes), options.runs)  # noqa: B023
                writing, problem = timed(lambda: lower(query, theory), options.runs)  # noqa: B023
                readers = (
                    {"bitwuzla": parse_bitwuzla, "z3": parse_z3, "cvc5": parse_cvc5}
                    if theory == "QF_BV"
                    else {"z3": parse_z3, "cvc5": parse_cvc5}
                )
                parses = {solver: timed(lambda: read(problem.text), options.runs)[0] for solver, read in readers.items()}  # noqa: B023
                shown = [parses.get(solver, "") for solver in ("bitwuzla", "z3", "cvc5")]
                total = reducing + writing + max(v for s, v in parses.items() if s != "cvc5")
                lines.append([index, radius, name, theory, f"{len(problem.text) / 1e6:.2f}", reducing + writing, writing, *shown, total])
    report = header("Building a query and handing it over", "qspec", "bitwuzla", "z3-solver", "cvc5", "pysmt") + "\n"
    report += table(
        [
            "id",
            "radius",
            "passes",
            "theory",
            "size MB",
            "build s",
            "text s",
            "bitwuzla parse s",
            "z3 parse s",
            "cvc5 parse s",
            "build + slowest of z3, bitwuzla",
        ],
        lines,
    )
    index = int(options.ids.split(",")[0])
    query = reduce(spec, images[index], int(labels[index]), index // 100 + 1, Pipeline(()))
    naive, _ = timed(lambda: naive_pysmt(query), 1)
    whole = next(float(str(line[-1])) for line in lines if line[2:4] == ["none", "QF_BV"])
    report += (
        f"\n\nThe affine sums alone of sample {index} without passes, as pySMT terms, product by product, converted for z3: {naive:.2f} s, "
    )
    report += f"{naive / whole:.1f} times the whole query as text.\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
