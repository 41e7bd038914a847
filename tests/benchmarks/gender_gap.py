"""The gender gap of a grade predictor against its number of bits, after Giacobbe, Henzinger, Lechner, TACAS 2020.

How far can the grades of two pupils be apart who differ in nothing but their sex? Two networks (9-16-8-1 and 8-16-8-1, ReLU), which ship
with qspec, predict a grade from 0 to 20; "scores" reads two earlier grades, "background" none. Each was trained in floating point and is
rounded to a number of bits: weights, biases and all signals, the grade too; inputs are exact.

- enumeration: the gap over every pair of rows of the table, on reference integers.
- maximize: `qs.optimize(qs.fairness.largest_gap(…))` by the named solver. An interval that closed must equal the enumeration, an open one
  must contain it, or the program ends with an error.
- reals: the network before rounding; every pair in doubles, and the widest pair again in exact rationals.

Run `python tests/benchmarks/gender_gap.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

import qspec as qs
from qspec.extremes import fairness
from qspec.show.figures.style import canvas, look, saved, style
from qspec_models import grades

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

COLUMNS = ["variant", "bits", "gap, enumeration", "pairs", "s", "maximize", "verdicts", "s"]
Rows = npt.NDArray[np.int64]


def every_pair(schema: qs.Schema) -> tuple[Rows, Rows]:
    """Return all rows of one sex and the same rows of the other, as numbers that the network reads."""
    sizes = [len(f.values) for f in schema.features]
    sex = [f.name for f in schema.features].index("sex")
    places = np.stack(np.unravel_index(np.arange(schema.rows), sizes), axis=1)
    first = places[places[:, sex] == 0] + np.array([int(f.start) for f in schema.features])
    second = first.copy()
    second[:, sex] += 1
    return first, second


def widest(net: qs.Network, pairs: tuple[Rows, Rows]) -> Fraction:
    """Return the largest gap of a quantised network."""
    codes = [net.evaluate(side)[:, 0] for side in pairs]
    return int(np.abs(codes[0] - codes[1]).max()) * net.output_types[0].grid.units[0]


def widest_real(net: qs.real.Network, pairs: tuple[Rows, Rows]) -> tuple[Fraction, int]:
    """Return the exact gap of the pair that is widest in doubles, and which pair it is."""
    values = [net.evaluate(side)[:, 0] for side in pairs]
    k = int(np.abs(values[0] - values[1]).argmax())
    ends = [net.enclose(side[k]) for side in pairs]
    assert all(low[0] == high[0] for low, high in ends)
    return abs(Fraction(ends[0][0][0]) - Fraction(ends[1][0][0])), k


def measure(variant: grades.Variant, bits: int, options: argparse.Namespace) -> tuple[list[object], Fraction, str]:
    """Return a line of the table, the gap, and the worst pair in words; ends the program if results contradict each other."""
    schema, net = grades.schema(variant), grades.network(variant, bits)
    pairs = every_pair(schema)
    since = perf_counter()
    known = widest(net, pairs)
    seconds = perf_counter() - since
    since = perf_counter()
    found = qs.optimize(fairness.largest_gap(net, schema), solver=options.solver, timeout=options.timeout)
    if not found.lower <= known <= found.upper or (found.closed and found.lower != known):
        raise SystemExit(f"{net.name}: {found} contradicts the enumeration, {known}")
    ends = f"= {grade(found.lower)}" if found.closed else f"[{grade(found.lower)}, {grade(found.upper)}]"
    line: list[object] = [variant, bits, grade(known), len(pairs[0]), f"{seconds:.2f}", ends, found.asked, f"{perf_counter() - since:.1f}"]
    words = "" if found.witness is None else fairness.explain(net, schema, found.witness)
    return line, known, words


def measure_real(variant: grades.Variant) -> tuple[list[object], Fraction]:
    """Return a line of the table about the network before rounding, and its gap."""
    pairs = every_pair(grades.schema(variant))
    since = perf_counter()
    gap, _ = widest_real(grades.real(variant), pairs)
    return [variant, "reals", grade(gap), len(pairs[0]), f"{perf_counter() - since:.2f}", "", "", ""], gap


def grade(value: Fraction) -> str:
    """Return a gap in grade points: exactly where that is short, else to six digits."""
    exact = f"{float(value):.12g}"
    return exact if Fraction(exact) == value and len(exact) < 12 else f"{float(value):.6f}"


def draw(found: dict[grades.Variant, dict[int, Fraction]], real: dict[grades.Variant, Fraction], path: Path) -> None:
    """Draw the gap of each variant against bits, and that of the real network as a dotted line."""
    with style():
        figure, (axes,) = canvas(5.4, 3.4)
        for k, (variant, gaps) in enumerate(found.items()):
            axes.plot(list(gaps), [float(g) for g in gaps.values()], label=variant, **look(k))
            axes.axhline(float(real[variant]), color=look(k)["color"], linestyle=":", label=f"{variant}, reals")
        axes.set(xlabel="bits", ylabel="largest gap, points of 20", ylim=(0, None))
        axes.set_xticks(sorted({b for gaps in found.values() for b in gaps}))
        axes.legend()
    saved(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", default="4,5,6,7,8,9,10")
    parser.add_argument("--solver", default="enumerate", help="of `maximize` (default: enumerate)")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each maximum")
    parser.add_argument("--figure", type=Path, help="where to draw (.svg or .png); needs the extra `plot`")
    parser.add_argument("--markdown", type=Path, help="write the page here, too")
    options = parser.parse_args()
    widths = [int(b) for b in options.bits.split(",")]
    lines: list[list[object]] = []
    words: list[str] = []
    found: dict[grades.Variant, dict[int, Fraction]] = {v: {} for v in grades.VARIANTS}
    real: dict[grades.Variant, Fraction] = {}
    for variant in grades.VARIANTS:
        for bits in widths:
            line, found[variant][bits], pair = measure(variant, bits, options)
            lines.append(line)
            if bits in (min(widths), max(widths)):
                words.append(f"{variant}, {bits} bits:\n\n```text\n{pair}\n```\n")
            print(*line, file=sys.stderr, flush=True)
        line, real[variant] = measure_real(variant)
        lines.append(line)
    report = header("Gender gap against bits", "qspec", "jax", "numpy")
    report += f"- solver of `maximize`: {options.solver}, at most {options.timeout:g} s each\n\n{__doc__}\n{table(COLUMNS, lines)}\n"
    if options.figure is not None:
        draw(found, real, options.figure)
        report += f"\n![largest gap against bits]({options.figure.name})\n"
    report += "\n## Worst pairs\n\n" + "\n".join(words)
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
