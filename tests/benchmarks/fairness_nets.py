"""Individual fairness of published tabular networks, as they are and in fixed point of 8, 6 and 4 bits.

The property is Fairify's (Biswas and Rajan, ICSE 2023) over the whole table, in one query: no two rows differ in nothing but the protected
feature and have logits of opposite strict sign (a logit of 0 contradicts neither). Attributes are whole numbers in Fairify's ranges.

- float: weights mean exactly the numbers in the file. A search in doubles proposes pairs of rows, and exact rationals confirm them; if it
  finds none, `delta` decides over the whole numbers. Tables of at most 5000 rows are enumerated in exact rationals instead.
- 8, 6, 4 bits: rounded after training (`RealNetwork.calibrate` per tensor, on the random rows): weights, biases, hidden signals and the
  logit have so many bits, inputs are exact. Decided by `bounds`; where it gives up, the search may still find a pair, which reference
  integers confirm. Every row of a small table is tried as well, and must agree.
- gap: the largest difference of the logit that the protected feature makes, [attained by a pair that replays, proved bound].
- accepted: of 20 000 random rows, how many have a positive logit; same class: how many are classified as by the float original. A network
  that accepts everybody or nobody is fair, and useless.

Run `python tests/benchmarks/fairness_nets.py --help`.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import qspec as qs
from qspec.extremes import fairness
from qspec.named.schema import Schema, Word

sys.path.insert(0, str(Path(__file__).parent))
import _tables
from _pairs import Pair, Values, best_pairs, evaluator, every_row, random_rows
from _report import header, table

FOLDERS = {
    "AC": ("adult", _tables.adult),
    "BM": ("bank", _tables.bank),
    "compas": ("compas", _tables.compas),
    "UCI": ("uci", _tables.student),
}
NETWORKS = (
    "compas-1,compas-2,compas-4,UCI-1,UCI-2,UCI-3,UCI-4,AC-1,AC-3,AC-5,AC-6,AC-7,AC-8,AC-9,AC-10,AC-11,AC-12,BM-1,BM-3,BM-5,BM-6,BM-8"
)
ENUMERATED = 5000
SAMPLE = 20000


def load(name: str, data: Path) -> tuple[qs.real.Network, Schema]:
    """Return the network without the sigmoid at its end, and its table."""
    folder, schema = FOLDERS[name.split("-")[0]]
    path = data / "fairness_nets" / folder / name
    keras = path.with_suffix(".h5")
    network = qs.load(keras, logits=True) if keras.exists() else qs.load(path.with_suffix(".nnet"), normalized=False)
    return network, schema(data)


def exact_logits(network: qs.Network | qs.real.Network, schema: Schema, pair: Pair) -> tuple[Fraction, Fraction]:
    """Return the exact logits of two rows: of a quantised network on reference integers, of a real one in rationals."""
    first, second = (fairness.outputs(network, schema, row) for row in pair)
    return first[0], second[0]


def opposed(values: tuple[Fraction, Fraction]) -> bool:
    """Return whether two logits have opposite strict signs."""
    return min(values) < 0 < max(values)


def ask_float(real: qs.real.Network, schema: Schema, options: argparse.Namespace) -> dict[str, Any]:
    """Decide the float network: search and replay, enumerate a small table, else ask `delta`."""
    since = perf_counter()
    if schema.rows <= ENUMERATED:
        return enumerated(real, schema)
    flip, widest = best_pairs(evaluator(real), schema, options.seed)
    lower = max(abs(v[0] - v[1]) for v in (exact_logits(real, schema, p) for p in (flip, widest)))
    if opposed(exact_logits(real, schema, flip)):
        return _row("VIOLATED", "search, replayed", since, (lower, None), flip)
    result = qs.verify(fairness.same_decision(real, schema), timeout=options.timeout)
    pair = _pair(real, schema, result)
    assert pair is None or opposed(exact_logits(real, schema, pair))
    return _row(result.verdict.name, f"delta{f': {result.reason.value}' if result.reason else ''}", since, (lower, None), pair)


def ask_fixed(net: qs.Network, schema: Schema, options: argparse.Namespace) -> dict[str, Any]:
    """Decide a quantised network by the native engine, and bracket its largest gap; a small table is enumerated, too, and must agree."""
    since = perf_counter()
    result = qs.verify(fairness.same_decision(net, schema), timeout=options.timeout)
    pair = _pair(net, schema, result)
    how = result.evidence.name.lower() if result.reason is None else result.reason.value
    row = _row(result.verdict.name, how, since, (None, None), pair)
    flip, widest = best_pairs(evaluator(net), schema, options.seed)
    if result.verdict is qs.Verdict.UNKNOWN and opposed(exact_logits(net, schema, flip)):
        row = _row("VIOLATED", "search, replayed", since, (None, None), flip)
    since = perf_counter()
    gap = qs.optimize(fairness.largest_gap(net, schema), timeout=options.timeout)
    values = exact_logits(net, schema, widest)
    lower = max(abs(values[0] - values[1]), gap.lower if gap.witness is not None else Fraction(0))
    if lower > gap.upper:
        raise SystemExit(f"a pair of {net.name} lies above a proved bound: {lower}, {gap}")
    row |= {"gap": [str(lower), str(gap.upper)], "gap seconds": perf_counter() - since}
    return _compared(row, enumerated(net, schema)) if schema.rows <= ENUMERATED else row


def _compared(row: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the gap that enumeration found; ends the program if a verdict or a bound contradicts it."""
    lower, top, upper = (Fraction(end) for end in (row["gap"][0], known["gap"][0], row["gap"][1]))
    if row["verdict"] not in (known["verdict"], "UNKNOWN") or not lower <= top <= upper:
        raise SystemExit(f"enumeration contradicts a result: {known}, {row}")
    how = "enumeration" if row["verdict"] == "UNKNOWN" else f"{row['how']}, enumeration agrees"
    return row | {"verdict": known["verdict"], "how": how, "gap": known["gap"]}


def enumerated(network: qs.Network | qs.real.Network, schema: Schema) -> dict[str, Any]:
    """Decide by trying every pair of rows: on reference integers, or in exact rationals."""
    since = perf_counter()
    pairs = list(every_row(schema))
    values = outputs(network, schema, pairs) if isinstance(network, qs.Network) else [exact_logits(network, schema, p) for p in pairs]
    flips = [p for p, v in zip(pairs, values, strict=True) if opposed(v)]
    top = max(abs(f - g) for f, g in values)
    row = _row("VIOLATED" if flips else "HOLDS", "enumeration", since, (top, top), flips[0] if flips else None)
    return row | {"violations": len(flips)}


def outputs(net: qs.Network, schema: Schema, pairs: Sequence[Pair]) -> list[tuple[Fraction, Fraction]]:
    """Return the logits of many pairs, on reference integers; the input holds the numbers of the table as they are."""
    codes = [net.evaluate(np.array([schema.encode(p[k]) for p in pairs]).astype(np.int64))[:, 0].tolist() for k in (0, 1)]
    unit = net.output_types[0].grid.units[0]
    return [(int(f) * unit, int(g) * unit) for f, g in zip(*codes, strict=True)]


def _pair(network: qs.Network | qs.real.Network, schema: Schema, result: qs.Result) -> Pair | None:
    if result.codes is None:
        return None
    words = fairness.in_words(network, schema, result.codes)
    return words["a"], words["b"]


def _row(verdict: str, how: str, since: float, gap: tuple[Fraction | None, Fraction | None], pair: Pair | None) -> dict[str, Any]:
    ends = [None if end is None else str(end) for end in gap]
    told = None if pair is None else {"a": dict(pair[0]), "b": dict(pair[1])}
    found = {"name": "same_decision", "solver": "qspec", "verdict": verdict, "how": how}  # as `qspec report` reads it
    return {**found, "seconds": perf_counter() - since, "gap": ends, "rows": told}


def agreement(net: qs.Network, real: qs.real.Network, values: Values) -> float:
    """Return the share of rows that two networks put on the same side of zero."""
    return float(np.mean((evaluator(net)(values) > 0) == (evaluator(real)(values) > 0)))


def accepted(network: qs.Network | qs.real.Network, values: Values) -> float:
    """Return the share of rows with a positive output."""
    return float(np.mean(evaluator(network)(values) > 0))


def measure(name: str, options: argparse.Namespace, done: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """Ask all that is not known yet about one network, and append it to the file of rows."""
    real, schema = load(name, options.data)
    values = random_rows(schema, SAMPLE, options.seed)
    rows: list[dict[str, Any]] = []
    for kind in ("float", *options.bits.split(",")):
        if (name, kind) in done:
            continue
        row: dict[str, Any] = {"network": name, "layers": "-".join(str(s.size) for s in real.stages), "bits": kind}
        if kind == "float":
            row |= ask_float(real, schema, options) | {"same class": 1.0, "accepted": accepted(real, values)}
        else:
            net = real.calibrate(values, input=schema.format(), per="tensor").quantized(int(kind))
            row |= ask_fixed(net, schema, options) | {"same class": agreement(net, real, values), "accepted": accepted(net, values)}
        rows.append(row)
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(name, kind, row["verdict"], row["how"], f"{row['seconds']:.1f} s", row["gap"], file=sys.stderr, flush=True)
    return rows


def published(folder: Path, options: argparse.Namespace) -> list[list[object]]:
    """Replay every counterexample that Fairify published (`age-BM-*.csv`, `sex-AC-*.csv`) in exact rationals."""
    lines: list[list[object]] = []
    for path in sorted(folder.glob("*-*-*.csv")):
        name = path.stem.split("-", 1)[1]
        real, schema = load(name, options.data)
        with path.open() as file:
            rows = list(csv.DictReader(file))
        count = {v: sum(r["Verification"] == v for r in rows) for v in ("sat", "unsat", "unknown")}
        confirmed = 0
        for r in rows:
            if r["Verification"] == "sat":
                first, second = (schema.row([int(float(w)) for w in re.findall(r"[-+.0-9e]+", r[c])]) for c in ("C1", "C2"))
                confirmed += _alike(schema, first, second) and opposed(exact_logits(real, schema, (first, second)))
        lines.append([name, *count.values(), f"{confirmed} of {count['sat']}"])
    return lines


def _alike(schema: Schema, first: Mapping[str, Word], second: Mapping[str, Word]) -> bool:
    return {name for name in first if first[name] != second[name]} == set(schema.protected)


def orders(options: argparse.Namespace) -> list[list[object]]:
    """Say how many buyers in the bank's records each BM network finds if age is its first column (Fairify), and if it is the last one.

    FairQuant's .nnet files state ranges for columns with age last and `emp.var.rate` before `duration`.
    """
    schema = _tables.bank(options.data)
    with (options.data / "tabular/bank-additional.csv").open() as file:
        records = [r for r in csv.DictReader(file, delimiter=";") if "unknown" not in r.values()]
    first = [f.name for f in schema.features]
    last = [*first[1:10], "emp.var.rate", "duration", *first[12:], "age"]
    bought = np.array([r["y"] == "yes" for r in records])

    def number(record: Mapping[str, str], name: str) -> float:
        words = schema.feature(name).values
        return (
            float(float(record[name]) >= 25)
            if name == "age"
            else words.index(record[name])
            if record[name] in words
            else float(record[name])
        )

    lines: list[list[object]] = []
    for k in range(1, 9):
        real, _ = load(f"BM-{k}", options.data)
        found = [evaluator(real)(np.array([[number(r, n) for n in order] for r in records]))[bought] > 0 for order in (first, last)]
        lines.append([f"BM-{k}", len(records), *(f"{100 * float(f.mean()):.1f} %" for f in found)])
    return lines


def shown(row: Mapping[str, Any]) -> list[object]:
    """Return a line of the table."""
    low, high = ("?" if end is None else f"{float(Fraction(end)):.4g}" for end in row["gap"])
    gap = f"= {low}" if row["gap"][0] == row["gap"][1] else f"[{low}, {high}]"
    shares = [f"{100 * row[share]:.1f} %" for share in ("accepted", "same class")]
    return [row["network"], row["layers"], row["bits"], row["verdict"], row["how"], f"{row['seconds']:.1f}", gap, *shares]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with fairness_nets/ and tabular/")
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--bits", default="8,6,4")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for each verdict, and for each gap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--published", type=Path, help="folder with Fairify's result files, whose counterexamples are replayed")
    parser.add_argument("--out", type=Path, required=True, help="file of rows, JSON; what it holds is not asked again")
    parser.add_argument("--markdown", type=Path, help="write the tables here, too")
    options = parser.parse_args()
    known = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    for name in options.networks.split(","):
        known += measure(name, options, {(r["network"], r["bits"]) for r in known})
    columns = ["network", "layers", "bits", "verdict", "how", "s", "largest gap of the logit", "accepted", "same class"]
    text = header("Fairness of published networks", "qspec", "numpy", "jax") + f"\n{__doc__}\n{table(columns, [shown(r) for r in known])}\n"
    if options.published is not None:
        lines = published(options.published, options)
        text += f"\nColumns of the BM networks: share of the buyers that is found.\n\n{table(ORDERS, orders(options))}\n"
        text += f"\nFairify's published counts of partitions, and its counterexamples, replayed exactly:\n\n{table(REPLAYED, lines)}\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)


ORDERS = ["network", "records", "age first (Fairify)", "age last (.nnet header of FairQuant)"]
REPLAYED = ["network", "SAT", "UNSAT", "UNK", "counterexamples confirmed"]

if __name__ == "__main__":
    main()
