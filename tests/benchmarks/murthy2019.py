"""Robustness to parameter quantisation, after Murthy, Das and Islam (arXiv 1903.10672, 2019), on two-moons networks of our own.

Public of that paper is the abstract: local and global robustness as the deviation of the confidence under quantised parameters, two small
networks on two-dimensional inputs, and the claim that ReLU is more robust than linear activations. What follows is our reading of it.
Parameters theta may move to any theta' within ±rho each (nearest rounding to f fractional bits moves them by at most rho = 2^-(f+1)).

- local, label: the largest rho for which no theta' changes the class of a point;
- local, confidence: the least tau with |p_theta'(x) - p_theta(x)| <= tau for all theta', at a point x;
- global, confidence: the same for all x of a box.

Every value is an interval: its ends were decided by branch and prune (solver `delta`), `unsat` above and an exact point below.
Run `python tests/benchmarks/murthy2019.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from qspec.deadline import Deadline
from qspec.engines.delta.branch_and_prune import search
from qspec.ir.real import Query

sys.path.insert(0, str(Path(__file__).parent))
from _moons import ACTIVATIONS, Builder, Layers, drift, evaluate, fresh, moons, train
from _report import header, table

Floats = npt.NDArray[np.float64]
BOX = (1.5, 1.0)
"""Half the sides of the input box."""
DELTA = 2.0**-20


@dataclass(frozen=True)
class Model:
    """A trained network, and its name."""

    activation: str
    shape: str
    layers: Layers
    accuracy: float


def models(sizes: list[list[int]], seed: int) -> list[Model]:
    """Train every shape with every activation on the same points."""
    rng = np.random.default_rng(seed)
    x, y = moons(400, rng)
    test, labels = moons(1000, rng)
    found: list[Model] = []
    for shape in sizes:
        for name in ACTIVATIONS:
            layers = train(fresh(shape, np.random.default_rng(seed)), name, x, y)
            right = (evaluate(layers, name, test)[:, 0] > 0) == (labels > 0.5)
            found.append(Model(name, "-".join(map(str, shape)), layers, float(right.mean())))
    return found


def asked(query: Query, seconds: float) -> bool | None:
    """Return whether a query has a solution, None if that stays open."""
    status = search(query, DELTA, Deadline.after(seconds)).status
    return {"sat": True, "unsat": False}.get(status)


def flips(model: Model, x: Floats, rho: float) -> Query:
    """Ask for parameters within ±rho for which a point is no longer of its class; a logit of 0 is of neither."""
    sign = 1.0 if evaluate(model.layers, model.activation, x[None])[0, 0] > 0 else -1.0
    b = Builder()
    logits = b.free_network(model.layers, model.activation, x, rho)
    return b.done(b.rows((np.array([[-sign]]), logits)))


def bracket(question: Callable[[float], Query], low: float, high: float, steps: int, seconds: float, *, grows: bool) -> tuple[float, float]:
    """Halve an interval so many times; `grows` says that solutions appear above a threshold, else they vanish above one. Open: stop."""
    for _ in range(steps):
        middle = (low + high) / 2
        found = asked(question(middle), seconds)
        if found is None:
            break
        low, high = (low, middle) if found is grows else (middle, high)
    return low, high


def local_rho(model: Model, points: Floats, seconds: float) -> list[tuple[float, float]]:
    """Return the largest rho that keeps the class, at each point."""
    return [bracket(lambda rho, x=x: flips(model, x, rho), 0.0, 1.0, 9, seconds, grows=True) for x in points]


def least_tau(model: Model, x: Floats, rho: float, box: Floats | None, seconds: float) -> tuple[float, float]:
    """Return the least tau at a point, or over a box around it."""
    if box is None:
        return bracket(lambda eta: drift(model.layers, model.activation, x, rho, None, eta), 0.0, 1.0, 13, seconds, grows=False)
    return bracket(lambda eta: drift(model.layers, model.activation, x, rho, box, eta), 0.0, 1.0, 8, seconds, grows=False)  # pyright: ignore[reportArgumentType]


def middle(found: list[tuple[float, float]]) -> float:
    """Return the median of the middles of intervals."""
    return float(np.median([(low + high) / 2 for low, high in found]))


def draw(shown: list[Model], rho: float, side: int, seconds: float, path: Path) -> list[list[object]]:
    """Draw the regions of both classes, and where some parameters within ±rho flip them; return the share of each."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        from matplotlib.colors import ListedColormap
    except ImportError:
        sys.exit("figures need matplotlib: pip install 'qspec-verify[plot]'")
    xs, ys = np.linspace(-BOX[0], BOX[0], side), np.linspace(-BOX[1], BOX[1], side * 2 // 3)
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 2.6), sharey=True, layout="constrained", squeeze=False)
    rows: list[list[object]] = []
    for model, axis in zip(shown, axes[0], strict=True):
        grid = np.array([[x, y] for y in ys for x in xs])
        label = evaluate(model.layers, model.activation, grid)[:, 0] > 0
        found = [asked(flips(model, p, rho), seconds) for p in track(grid, model.activation, disable=not sys.stderr.isatty())]
        image = np.where(label, 1.0, 0.0) + np.where([f is not False for f in found], 2.0, 0.0)
        colours = ListedColormap(["#cfe2f3", "#fce5cd", "#3d85c6", "#e69138"])
        axis.imshow(
            image.reshape(len(ys), len(xs)), origin="lower", extent=(-BOX[0], BOX[0], -BOX[1], BOX[1]), cmap=colours, vmin=0, vmax=3
        )
        share = float(np.mean([f is True for f in found]))
        axis.set_title(f"{model.activation} {model.shape}: {100 * share:.0f} % can flip")
        rows.append([model.activation, model.shape, f"{100 * share:.1f}", sum(f is None for f in found)])
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return rows


def curves(values: dict[tuple[str, str], list[float]], bits: list[int], path: Path) -> None:
    """Draw the least tau against fractional bits."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    marks = dict(zip(ACTIVATIONS, ("o", "s", "^", "D"), strict=True))
    colours = dict(zip(ACTIVATIONS, ("#0072b2", "#d55e00", "#009e73", "#cc79a7"), strict=True))
    for axis, kind in zip(axes, ("local", "global"), strict=True):
        for name in ACTIVATIONS:
            axis.plot(bits, values[kind, name], marker=marks[name], color=colours[name], label=name)
        axis.set(title=f"{kind} robustness", xlabel="fractional bits of the parameters", yscale="log")
    axes[0].set_ylabel("least τ")
    axes[0].legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def report(options: argparse.Namespace) -> str:
    """Do everything and return the page."""
    trained = models([[2, 4, 1], [2, 8, 1]], options.seed)
    rng = np.random.default_rng(options.seed + 1)
    points = np.round(moons(options.points, rng)[0] * 256) / 256
    bits = [int(b) for b in options.bits.split(",")]
    text = header("Robustness to parameter quantisation", "qspec", "numpy") + f"\n{__doc__}\n"
    lines: list[list[object]] = []
    values: dict[tuple[str, str], list[float]] = {}
    for model in track(trained, "networks", disable=not sys.stderr.isatty()):
        rho = local_rho(model, points, options.timeout)
        row: list[object] = [
            model.shape,
            model.activation,
            f"{100 * model.accuracy:.1f}",
            f"{middle(rho):.4f}",
            f"{min(r[0] for r in rho):.4f}",
        ]
        for kind in ("local", "global"):
            taus: list[float] = []
            for f in bits:
                step = 2.0 ** -(f + 1)
                if kind == "local":
                    taus.append(middle([least_tau(model, x, step, None, options.timeout) for x in points]))
                    row.append(f"{taus[-1]:.4f}")
                else:
                    low, high = least_tau(model, np.zeros(2), step, np.array(BOX), options.timeout)
                    taus.append((low + high) / 2)
                    row.append(f"{low:.3f}..{high:.3f}")
            values[kind, model.activation] = taus  # the larger networks come last, and are drawn
        lines.append(row)
        print(row, file=sys.stderr, flush=True)
    columns = ["network", "activation", "accuracy %", "largest rho, median", "largest rho, worst point"]
    columns += [f"{kind} tau, {f} bits" for kind in ("local", "global") for f in bits]
    text += f"\n{options.points} points; {options.timeout:g} s a question.\n\n{table(columns, lines)}\n"
    regions = draw(trained[-4:], options.rho, options.side, options.timeout, options.regions)
    curves(values, bits, options.curves)
    text += f"\n![least tau against bits]({options.curves.name})\n\n![regions that can flip]({options.regions.name})\n"
    shares = table(["activation", "network", "% can flip", "open"], regions)
    text += f"\nGrid points that some parameters within ±{options.rho:g} flip:\n\n{shares}\n"
    return text + "\n" + claim(lines, bits)


def claim(lines: list[list[object]], bits: list[int]) -> str:
    """Compare ReLU with linear, whichever way it comes out."""
    found: list[str] = []
    for shape in dict.fromkeys(str(row[0]) for row in lines):
        own = {str(row[1]): row for row in lines if row[0] == shape}
        relu, line = own["relu"], own["linear"]
        larger = "larger" if float(str(relu[3])) > float(str(line[3])) else "not larger"
        widths = range(len(bits))
        local = sum(float(str(relu[5 + k])) < float(str(line[5 + k])) for k in widths)
        ends = [(str(relu[5 + len(bits) + k]).split(".."), str(line[5 + len(bits) + k]).split("..")) for k in widths]
        smaller = sum(float(r[1]) <= float(v[0]) for r, v in ends)
        greater = sum(float(r[0]) >= float(v[1]) for r, v in ends)
        found.append(
            f"{shape}, local: the median of the largest rho is {larger} for ReLU ({relu[3]}) than for linear ({line[3]}); "
            f"the median of the least tau is smaller at {local} of {len(bits)} widths. Global: the least tau of ReLU is surely smaller at "
            f"{smaller}, surely larger at {greater} of them."
        )
    return "**Is ReLU more robust than linear?**\n\n" + "\n".join(f"- {line}" for line in found) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=20, help="points of the local questions")
    parser.add_argument("--bits", default="2,3,4,6,8", help="fractional bits of the parameters")
    parser.add_argument("--rho", type=float, default=2.0**-4, help="of the figure")
    parser.add_argument("--side", type=int, default=45, help="grid points along the longer side of the figure")
    parser.add_argument("--timeout", type=float, default=5.0, help="wall-clock seconds for each question")
    parser.add_argument("--regions", type=Path, default=Path("murthy2019-regions.png"))
    parser.add_argument("--curves", type=Path, default=Path("murthy2019-curves.png"))
    parser.add_argument("--markdown", type=Path, help="write the page here, too")
    options = parser.parse_args()
    text = report(options)
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
