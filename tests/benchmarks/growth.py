"""Growth of the cost of a query with hidden neurons, hidden layers, bits and radius, as a table and a figure.

One axis at a time from a base point: 2 hidden layers of 32, 6 bits, radius 1 (of 16). The networks are trained on scikit-learn's digits by
`models/train/growth.py` (fixed seed; needs the extra `train`) and kept in `--networks`; those found there are not trained again. Queries:
local robustness of the first held-out images that the network classifies right. Run `python tests/benchmarks/growth.py --help`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.progress import track

import qspec as qs
import qspec_models

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

ROOT = Path(__file__).parents[2]
COLUMNS = ("solver", "axis", "value", "network", "accuracy %", "radius", "asked", "HOLDS", "VIOLATED", "UNKNOWN", "median s", "max s")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that can be told apart with any colour vision (Okabe & Ito 2008)."""
MARKERS = "osD^vP"


@dataclass(frozen=True, slots=True)
class Point:
    """One network and radius."""

    width: int = 32
    layers: int = 2
    bits: int = 6
    radius: int = 1

    @property
    def network(self) -> str:
        return f"growth-{self.width}x{self.layers}-{self.bits}bit"


AXES = {
    "hidden neurons, in 2 layers": {2 * width: Point(width=width) for width in (32, 64, 128, 256, 512)},
    "hidden layers of 32": {layers: Point(layers=layers) for layers in range(1, 7)},
    "bits of weights and codes": {bits: Point(bits=bits) for bits in (4, 6, 8, 10)},
    "radius, of 16": {radius: Point(radius=radius) for radius in (1, 2, 3, 4)},
}
POINTS = sorted({point for points in AXES.values() for point in points.values()}, key=lambda p: (p.network, p.radius))


@dataclass(frozen=True, slots=True)
class Measured:
    """What one solver made of one point."""

    accuracy: float
    verdicts: tuple[qs.Verdict, ...]
    seconds: tuple[float, ...]

    @property
    def decided(self) -> float:
        return 1.0 - self.verdicts.count(qs.Verdict.UNKNOWN) / len(self.verdicts)


def train(folder: Path) -> None:
    """Train the networks that are not in the folder."""
    missing = sorted({p.network for p in POINTS if not (folder / f"{p.network}.qspec").exists()})
    if missing:
        if find_spec("sklearn") is None or find_spec("optax") is None:
            sys.exit(f"{len(missing)} networks are not in {folder} and training needs more packages: pip install 'qspec-verify[train]'")
        subprocess.run([sys.executable, str(ROOT / "models" / "train" / "growth.py"), "--out", str(folder), *missing], check=True)


def measure(point: Point, solver: str, options: argparse.Namespace) -> Measured:
    """Ask about the first images that the network classifies right."""
    network = qs.load(options.networks / f"{point.network}.qspec")
    images, labels = qspec_models.samples("digits-6bit")
    right = np.flatnonzero(network.evaluate(images).argmax(axis=1) == labels)
    image, label = qs.parameter("image", network.inputs[0].type.shape), qs.parameter("label")
    x = network.input("x", lower=0, upper=16)
    spec = qs.forall(x, given=qs.linf(x.code - image) <= point.radius, then=qs.argmax(network(x)) == label, name="local_robustness")
    results = [
        qs.verify(spec.at(image=images[k], label=int(labels[k])), solver=solver, timeout=options.timeout)
        for k in track(right[: options.samples], f"{solver} {point}", disable=not sys.stderr.isatty())
    ]
    verdicts, seconds = tuple(r.verdict for r in results), tuple(r.times.total for r in results)
    print(solver, point, [v.name for v in verdicts], [f"{s:.2f}" for s in seconds], file=sys.stderr, flush=True)
    return Measured(100 * len(right) / len(labels), verdicts, seconds)


def rows(found: dict[tuple[str, Point], Measured], solvers: Sequence[str]) -> list[list[object]]:
    """Return a row for each solver and each point of each axis."""
    lines: list[list[object]] = []
    for solver in solvers:
        for axis, points in AXES.items():
            for value, point in points.items():
                m = found[solver, point]
                counts = [m.verdicts.count(v) for v in (qs.Verdict.HOLDS, qs.Verdict.VIOLATED, qs.Verdict.UNKNOWN)]
                times = [float(np.median(m.seconds)), max(m.seconds)]
                size = f"64-{point.layers}x{point.width}-10, {point.bits} bits"
                lines.append([solver, axis, value, size, f"{m.accuracy:.1f}", point.radius, len(m.verdicts), *counts, *times])
    return lines


def draw(found: dict[tuple[str, Point], Measured], solvers: Sequence[str], limit: float, path: Path) -> None:
    """Draw a panel for each axis: median and greatest seconds above, the share that was decided below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    grid = figure.subplots(2, len(AXES), sharex="col", sharey="row", height_ratios=(3, 1))
    for (axis, points), (above, below) in zip(AXES.items(), grid.T, strict=True):
        for solver, colour, marker in zip(solvers, PALETTE, MARKERS, strict=False):
            own = [found[solver, p] for p in points.values()]
            style = {"color": colour, "marker": marker, "markersize": 4}
            above.plot(list(points), [float(np.median(m.seconds)) for m in own], **style)
            above.plot(list(points), [max(m.seconds) for m in own], linestyle="--", markerfacecolor="white", **style)
            below.plot(list(points), [100 * m.decided for m in own], **style)
        above.axhline(limit, color="grey", linewidth=0.8, linestyle=":")
        above.set(yscale="log")
        below.set(xlabel=axis, ylim=(-5, 105))
        if max(points) > 100:
            below.set_xscale("log", base=2)
        below.set_xticks(list(points), [str(v) for v in points])
        below.minorticks_off()
    grid[0, 0].set_ylabel("seconds a query")
    grid[1, 0].set_ylabel("decided, %")
    handles = [Line2D([], [], color=c, marker=m, label=s) for s, c, m in zip(solvers, PALETTE, MARKERS, strict=False)]
    handles += [
        Line2D([], [], color="black", linestyle="-", label="median"),
        Line2D([], [], color="black", linestyle="--", label="greatest"),
        Line2D([], [], color="grey", linestyle=":", label="limit"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=Path, required=True, help="folder of the trained networks; what is missing is trained into it")
    parser.add_argument("--solvers", default="bounds", help=f"one, or up to {len(PALETTE)} separated by commas")
    parser.add_argument("--samples", type=int, default=10, help="queries for each point")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for each query")
    parser.add_argument("--figure", type=Path, default=Path("growth.svg"), help="where to draw (.svg or .png)")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    if find_spec("matplotlib") is None:
        sys.exit("the figure needs matplotlib: pip install 'qspec-verify[plot]'")
    solvers = options.solvers.split(",")
    if len(solvers) > len(PALETTE):
        parser.error(f"at most {len(PALETTE)} solvers in one figure")
    train(options.networks)
    found = {(solver, point): measure(point, solver, options) for solver in solvers for point in POINTS}
    draw(found, solvers, options.timeout, options.figure)
    report = f"{header('Growth of the cost of a query', 'qspec', 'jax', 'numpy')}- limit: {options.timeout:g} s a query\n\n"
    report += f"![median and greatest seconds, share decided]({options.figure.name})\n\n{table(COLUMNS, rows(found, solvers))}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
