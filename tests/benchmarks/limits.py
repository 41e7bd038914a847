"""How far limits are overrun: every route, with little time, in a fresh process and in one that has been asked before; and memory.

Each route is asked about something that it does not decide in the time. The overshoot is what a call took beyond its limit, in wall-clock
seconds and in CPU seconds of this process and its children: on a busy machine the second says what an idle one would see. A warm call is
the second one of the same query in one process. Run `python tests/benchmarks/limits.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import monotonic

import numpy as np

import qspec as qs

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

SECONDS = (0.5, 2.0, 10.0)
MEMORY, MEMORY_SECONDS = (200, 500), 60.0
QUESTIONS = ("bounds", "bounds, no attack", "bounds, inputs first", "z3", "highs", "enumerate", "falsify", "largest_radius", "certify")
KINDS = ("first", "warm")
OVER = "Wall-clock seconds / CPU seconds beyond the limit; the warm call is the second one in a process.\n"
HELD = "\nMemory: how much more the process held at its peak than before the call, by `memory`, for a network of two large convolutions.\n"
Ask = Callable[[float, int], object]
"""Asks a query with so many seconds and MiB, and returns what is said."""


def hard() -> qs.Property:
    """Return a query that no route decides soon: whether any two images that differ little have one class."""
    net = qs.load("digits-6bit")
    return qs.properties.global_robustness(net, 3, 1)


def wide() -> tuple[qs.Network, np.ndarray, int]:
    """Return a network with two large convolutions, an image and its class."""
    rng, fine, code = np.random.default_rng(0), qs.Fixed(8, 6), qs.Fixed(8, 4, signed=False)

    def drawn(*shape: int) -> qs.Tensor:
        return qs.Tensor(rng.integers(-128, 128, shape), fine)

    net = qs.Sequential(
        qs.Input((28, 28, 1), qs.Fixed(8, 8, signed=False)),
        qs.Conv2D(drawn(5, 5, 1, 16), activation=qs.ReLU(), output=code),
        qs.Conv2D(drawn(5, 5, 16, 16), activation=qs.ReLU(), output=code),
        qs.Flatten(),
        qs.Dense(drawn(6400, 10), output=qs.Fixed(8, 2)),
    )
    image = rng.integers(0, 256, (28, 28, 1))
    return net, image, int(net.evaluate(image).argmax())


def robust(net: qs.Network, image: np.ndarray, radius: int) -> qs.Property:
    """Return local robustness around an image."""
    return qs.properties.local_robustness(net, image, radius, int(net.evaluate(image).argmax()))


def certified() -> tuple[qs.Network, np.ndarray, int]:
    """Return the convolutional network that ships, with an image of noise."""
    net = qs.load("mnist-certified-8bit")
    image = np.random.default_rng(0).integers(0, 2, net.inputs[0].type.shape)
    return net, image, int(net.evaluate(image).argmax())


def solved(solver: str, **options: object) -> Callable[[], Ask]:
    """Return a route that asks a solver the hard query without an attack."""

    def prepare() -> Ask:
        spec = hard()
        return lambda seconds, memory: qs.verify(spec, solver=solver, timeout=seconds, memory=memory, attack=False, **options)  # pyright: ignore[reportArgumentType]

    return prepare


def enumerated() -> Ask:
    """Ask at every input for products that are large at none."""
    net = qs.load("iris-4bit")
    x = net.input("x")
    spec = qs.forall(x, then=net(x)[0] * net(x)[1] + x[0] * x[1] <= 10**9)
    return lambda seconds, memory: qs.verify(
        spec, solver="enumerate", timeout=seconds, memory=memory, without=("fold", "decide", "box", "linear", "stairs")
    )


def convolved() -> Ask:
    """Ask the native engine about two large convolutions."""
    net, image, _ = wide()
    spec = robust(net, image, 1)
    return lambda seconds, memory: qs.verify(spec, timeout=seconds, memory=memory, attack=False)


def searched() -> Ask:
    """Search for what is not there."""
    net, image, _ = certified()
    spec = robust(net, image, 1)
    return lambda seconds, memory: qs.falsify(spec, timeout=seconds)


def widest() -> Ask:
    """Ask for the largest radius around an image."""
    net = qs.load("digits-6bit")
    image = np.zeros(net.inputs[0].type.shape, dtype=np.int64)
    spec = qs.properties.local_robustness(net, image, qs.parameter("radius"), int(net.evaluate(image).argmax()))
    return lambda seconds, memory: qs.largest_radius(spec, timeout=seconds, memory=memory)


def certifying() -> Ask:
    """Certify one sample."""
    net, image, label = wide()
    return lambda seconds, memory: qs.certify(net, image[None], [label], 1, timeout=seconds)


def swept() -> Ask:
    """Ask one query at one number of bits, in this process."""
    net = qs.load("digits-6bit")

    def specs(chosen: qs.Network) -> qs.Property:
        return qs.properties.global_robustness(chosen, 3, 1)

    return lambda seconds, memory: qs.sweep({6: net}, specs, workers=1, timeout=seconds, memory=memory)


def disjunctive() -> Ask:
    """Ask `delta` about a disjunction of 2,000."""
    net = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.array([[1.0, -1.0], [0.5, 2.0]]), activation=qs.ReLU()), name="net")
    x = net.input("x", lower=0, upper=1)
    parts = [(x[0] <= qs.q(f"{k}/2000")) & (net(x)[0] >= qs.q(f"{2000 + k}/2000")) for k in range(2000)]
    spec = qs.exists(x, then=reduce(lambda a, b: a | b, parts))
    return lambda seconds, memory: qs.verify(spec, timeout=seconds, memory=memory)


def mixed() -> Ask:
    """Ask for the error of a network with a product of reals in the claim, which has to be relaxed."""
    net = qs.load("iris-4bit")
    x = net.input("x")
    y = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.array([[1.0, -1.0], [0.5, 2.0]]), activation=qs.Tanh()), name="net")
    z = y.input("z", lower=-1, upper=1)
    spec = qs.forall(x, z, then=net(x)[0] * y(z)[0] + net(x)[1] * y(z)[1] <= 3)
    return lambda seconds, memory: qs.verify(spec, timeout=seconds, memory=memory)


def checking() -> Ask:
    """Prove something, compiling what is needed, and check the proof."""
    net, image, label = certified()
    spec = qs.properties.local_robustness(net, image, 1, label)
    return lambda seconds, memory: qs.verify(spec, timeout=seconds, memory=memory)


ROUTES: dict[str, Callable[[], Ask]] = {
    "bounds": solved("bounds"),
    "bounds, convolutions": convolved,
    "z3": solved("z3"),
    "bitwuzla": solved("bitwuzla"),
    "cvc5": solved("cvc5"),
    "pysmt": solved("pysmt"),
    "highs": solved("highs"),
    "enumerate": enumerated,
    "branch, then z3": solved("z3", presolve="branch"),
    "falsify": searched,
    "largest_radius": widest,
    "certify": certifying,
    "sweep": swept,
    "delta, 2000 disjuncts": disjunctive,
    "mixed real": mixed,
    "proof and its check": checking,
}


def spent() -> float:
    """Return the CPU seconds of this process and its children."""
    return sum(u.ru_utime + u.ru_stime for u in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def measured(ask: Ask, seconds: float, memory: int) -> dict[str, object]:
    """Return what one call took and said."""
    wall, cpu = monotonic(), spent()
    try:
        said = str(ask(seconds, memory)).splitlines()[0][:60]
    except qs.QspecError as error:
        said = str(error).splitlines()[0][:60]
    return {"wall": monotonic() - wall, "cpu": spent() - cpu, "said": said, "peak": getrusage(RUSAGE_SELF).ru_maxrss / 1024}


def child(route: str, seconds: float, memory: int) -> None:
    """Ask a route twice and print what both calls took."""
    ask = ROUTES[route]() if route in ROUTES else _large(route)
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([{**measured(ask, seconds, memory), "before": before} for _ in range(2 if route in ROUTES else 1)]))


def _large(name: str) -> Ask:
    """Return a question about a large network, `network/question`."""
    which, question = name.split("/")
    net, image, label = wide() if which == "wide" else certified()
    spec = qs.properties.local_robustness(net, image, 3, label)
    match question:
        case "certify":
            return lambda seconds, memory: qs.certify(net, image[None], [label], 3, timeout=seconds, memory=memory)
        case "falsify":
            return lambda seconds, memory: qs.falsify(spec, timeout=seconds, memory=memory)
        case "largest_radius":
            widening = qs.properties.local_robustness(net, image, qs.parameter("radius"), label)
            return lambda seconds, memory: qs.largest_radius(widening, timeout=seconds, memory=memory)
        case "enumerate":
            off, spot = ("fold", "decide", "linear", "stairs"), _spot(net, image, label)
            return lambda seconds, memory: qs.verify(spot, solver="enumerate", timeout=seconds, memory=memory, attack=False, without=off)
        case "bounds, inputs first":
            from qspec_solvers.bounds import Bounds

            return lambda seconds, memory: qs.verify(spec, solver=Bounds("input"), timeout=seconds, memory=memory, attack=False)
        case "bounds, no attack":
            return lambda seconds, memory: qs.verify(spec, timeout=seconds, memory=memory, attack=False)
        case solver:
            return lambda seconds, memory: qs.verify(spec, solver=solver, timeout=seconds, memory=memory, attack=solver == "bounds")


def _spot(net: qs.Network, image: np.ndarray, label: int) -> qs.Property:
    """Return robustness where two pixels are free and all others are as they are."""
    x = net.input("x")
    free = np.zeros(image.shape, dtype=np.int64)
    free.flat[:2] = 255
    y = net(x)
    near = qs.all(x.code >= np.maximum(image - free, 0)) & qs.all(x.code <= np.minimum(image + free, 255))
    return qs.forall(x, given=near, then=qs.argmax(y) == label, name="spot")


def run(route: str, seconds: float, memory: int) -> list[dict[str, float]]:
    """Ask a route in a fresh process."""
    command = [sys.executable, str(Path(__file__)), "--child", route, str(seconds), str(memory)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=2 * seconds + 60, check=False)
    except subprocess.TimeoutExpired:
        print(f"{route}: stopped after {2 * seconds + 60:g} s", file=sys.stderr)
        return []
    if done.returncode:
        print(f"{route}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return []
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--routes", nargs="*", default=list(ROUTES), help="routes to ask")
    parser.add_argument("--seconds", nargs="*", type=float, default=SECONDS, help="limits to ask with")
    parser.add_argument("--no-memory", action="store_true", help="leave out the limits of memory")
    parser.add_argument("--markdown", type=Path, help="write the report here, too")
    given = parser.parse_args()
    if given.child:
        return child(given.child[0], float(given.child[1]), int(given.child[2]))
    begun = f"Load of the machine when it began: {os.getloadavg()[0]:.1f}.\n"
    columns = ["route", *(f"{s:g} s, {kind}" for s in given.seconds for kind in KINDS)]
    parts = [
        header("Limits", "numpy", "jax", "z3-solver", "highspy"),
        begun,
        OVER,
        table(columns, [_overruns(r, given.seconds) for r in given.routes]),
    ]
    if not given.no_memory:
        parts += [HELD, table(["route", "limit MiB", "more than before MiB", "CPU s", "said"], _memory())]
    report = "\n".join(parts)
    print(report)
    if given.markdown is not None:
        given.markdown.write_text(f"{report}\n")
    return None


def _overruns(route: str, limits: Sequence[float]) -> list[object]:
    """Return the line of a route: for each limit and call the seconds beyond it, of the wall clock and of the CPU."""
    cells: list[object] = [route]
    for seconds in limits:
        calls = run(route, seconds, 8192)
        over = [[max(0.0, call[k] - seconds) for k in ("wall", "cpu")] for call in calls]
        cells += [f"{wall:.2f} / {cpu:.2f}" for wall, cpu in over] + ["not ended"] * (len(KINDS) - len(over))
        print(route, f"{seconds:g} s", *(f"{call['wall']:.2f} s {call['said']}" for call in calls), sep=" | ", file=sys.stderr, flush=True)
    return cells


def _memory() -> list[list[object]]:
    """Return how much memory a large network takes of this process, by question and limit."""
    rows: list[list[object]] = []
    for question in QUESTIONS:
        for memory in MEMORY:
            for call in run(f"wide/{question}", MEMORY_SECONDS, memory):
                rows.append([question, memory, round(call["peak"] - call["before"]), round(call["cpu"], 1), call["said"]])
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()
