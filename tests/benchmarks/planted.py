"""Planted counterexamples: networks with one violation that is known and that no gradient leads to, and twins that have none.

A needle is a neuron that fires at one input p only: 1 - |x0 - p0| - … - |xn - pn|, cut at zero, so that it is zero, and flat, everywhere
else. It turns the class at p. Twins have the same layers with a threshold that nothing reaches, or a needle just outside the box. Beside it
stand random neurons that move the scores by less than the margin, so the truth is known by construction.

Every route is asked about every instance. A HOLDS on a planted one, or a VIOLATED on a twin, ends the program with status 1.

All numbers are whole and nothing is rounded, so that the truth is the same over the reals: instances are written as ONNX and VNN-LIB 1.0,
too (`--out`), and a verifier of real networks is asked about them by the route `vnnlib` (QSPEC_VNNLIB_COMMAND). Its words are counted,
since its proofs are no verdicts.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from _report import header, table

import qspec as qs
from qspec.compile.real_query import compile_real
from qspec.theories.real_vnnlib import lower
from qspec_solvers.vnnlib import COMMAND_VARIABLE

BITS = 5
FREE = 6
"""Random neurons beside the needle."""
TRUTH = {"planted": qs.Verdict.VIOLATED, "no threshold": qs.Verdict.HOLDS, "outside": qs.Verdict.HOLDS}
ROUTES: dict[str, dict[str, Any]] = {
    "bounds": {},
    "bounds, no attack": {"attack": False},
    "falsify": {"search": True},
    "bitwuzla": {"solver": "bitwuzla"},
    "z3, QF_LIA": {"solver": "z3", "theory": "QF_LIA"},
    "cvc5, branched": {"solver": "cvc5", "presolve": "branch"},
    "enumerate": {"solver": "enumerate"},
}


@dataclass(frozen=True)
class Instance:
    """A property whose verdict is known, and the input that violates it, if there is one."""

    kind: str
    network: qs.Network
    spec: qs.Property
    over_reals: qs.Property
    needle: tuple[int, ...]
    bounds: tuple[np.ndarray, np.ndarray]


def tensor(codes: np.ndarray, width: int = 8) -> qs.Tensor:
    return qs.Tensor(codes.astype(np.int64), qs.Fixed(width, 0))


def instance(kind: str, size: int, radius: int, seed: int, *, as_bytes: bool = False) -> Instance:
    """Return a needle among `size` inputs of 5 bits, within `radius` of a centre; with all signals in bytes, as ONNX Runtime has them."""
    rng = np.random.default_rng([seed, size, radius])
    centre = rng.integers(radius + 1, (1 << BITS) - radius - 1, size)
    p = centre + rng.integers(-radius, radius + 1, size)
    if kind == "outside":
        k = int(rng.integers(size))
        p[k] = centre[k] + radius + 1
    away = np.concatenate([np.eye(size), -np.eye(size)], axis=1)  # x - p and p - x, of which one is cut to zero
    mixed = rng.integers(-3, 4, (size, FREE))
    order = rng.permutation(2 * size + FREE)
    first = np.concatenate([away, mixed], axis=1)[:, order]
    shift = np.concatenate([-p, p, rng.integers(-9, 10, FREE)])[order]
    threshold = 0 if kind == "no threshold" else 1
    byte = qs.Fixed(8, 0, signed=False)
    width = byte if as_bytes else qs.Fixed(10, 0, signed=False)
    small = qs.PerChannel((qs.Fixed(2, 0, signed=False), *[qs.Fixed(1, 0, signed=False)] * FREE))
    cut, scale, base, margin, unit, output = qs.ReLU(Fraction(1)), 1, 0, 13, qs.Fixed(8, 0), None
    if as_bytes:  # nothing is cut at 1: neurons are rounded to 0, 1 or 2, the needle to 1
        small = qs.Fixed(8, -7, signed=False, rounding=qs.Rounding.RND_CONV)
        cut, scale, base, margin, unit = qs.ReLU(), 128, 12, 30, qs.Fixed(8, -7)
        output = qs.Fixed(8, -7, signed=False)
    into = np.concatenate([-np.ones(2 * size), np.zeros(FREE)])[order]
    free = np.zeros((2 * size + FREE, FREE))
    free[np.argsort(order)[2 * size :], np.arange(FREE)] = 1
    second = np.concatenate([scale * into[:, None], free], axis=1)
    # 6 neurons of at most 1: a margin of at least 0, and 12 - 24 below; of at most 2: of at least 6, and 54 - 60 below
    scores = np.concatenate([[[0, 60 if as_bytes else 24]], rng.integers(-1, 2, (FREE, 2))])
    net = qs.Sequential(
        qs.Input((size,), byte if as_bytes else qs.Fixed(BITS, 0, signed=False)),
        qs.Dense(tensor(first), tensor(shift), qs.ReLU(), width),
        qs.Dense(tensor(second), tensor(np.array([scale * threshold, *[0] * FREE]), 16), cut, small),
        qs.Dense(tensor(scores), qs.Tensor(np.array([base + margin, base]), unit), output=output),
        name=f"{kind}-{size}-{radius}-{seed}".replace(" ", "-"),
    )
    real = net.real()
    x = real.input("x", lower=centre - radius, upper=centre + radius)
    over_reals = qs.forall(x, then=qs.argmax(real(x)) == 0, name=net.name)
    return Instance(
        kind, net, qs.properties.local_robustness(net, centre, radius, 0), over_reals, tuple(p.tolist()), (centre - radius, centre + radius)
    )


def checked(one: Instance) -> Instance:
    """Return the instance if the reference integers agree with how it was made: where the needle is, and that only it turns the class."""
    at = int(one.network.evaluate(np.array(one.needle)).argmax())
    assert (at == 1) is (one.kind != "no threshold"), one.network.name
    return one


def read_back(kind: str, size: int, radius: int, seed: int, folder: Path) -> Instance:
    """Return an instance in bytes, written as a QDQ ONNX file and read again: the property is about the network of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    one = instance(kind, size, radius, seed, as_bytes=True)
    path = folder / f"{one.network.name}-qdq.onnx"
    qs.to_onnx(one.network, path, style="qdq")
    network = qs.load(path, kind=qs.Network)
    x = network.input("x", lower=one.bounds[0], upper=one.bounds[1])
    return replace(one, network=network, spec=qs.forall(x, then=qs.argmax(network(x)) == 0, name=path.stem))


def ask(one: Instance, route: dict[str, Any], timeout: float) -> tuple[qs.Verdict, float]:
    """Return the verdict of a route and its CPU seconds in this process."""
    since = process_time()
    options = {k: v for k, v in route.items() if k != "search"}
    result = qs.falsify(one.spec, timeout=timeout) if "search" in route else qs.verify(one.spec, timeout=timeout, **options)
    if result.counterexample is not None:
        assert tuple(result.counterexample["x"].tolist()) == one.needle, f"{one.network.name}: another violation than the planted one"
    return result.verdict, process_time() - since


def asked(one: Instance, timeout: float) -> tuple[str, qs.Verdict, float]:
    """Return what a verifier of real networks says, the verdict that follows, and its CPU seconds where it was not stopped."""
    result = qs.verify(one.over_reals, solver="vnnlib", timeout=timeout)
    statistics = result.answers[0].statistics
    return str(statistics.get("answer", "open")), result.verdict, float(statistics.get("cpu_seconds", 0.0))


def write(one: Instance, folder: Path) -> None:
    """Write an instance: the network as .qspec, and network and property over the reals as .onnx and .vnnlib."""
    folder.mkdir(parents=True, exist_ok=True)
    one.network.save(folder / f"{one.network.name}.qspec")
    written = lower(compile_real(one.over_reals).query, "1.0")
    (folder / f"{one.network.name}.onnx").write_bytes(written.model)
    (folder / f"{one.network.name}.vnnlib").write_text(written.text)


def real_row(made: list[Instance], options: argparse.Namespace, wrong: list[str]) -> list[str]:
    """Return the words of a verifier about instances over the reals; a verdict that is wrong is noted."""
    counts: Counter[tuple[str, str]] = Counter()
    spent = 0.0
    for one in made:
        word, verdict, seconds = asked(one, options.timeout)
        spent += seconds
        counts[one.kind, word] += 1
        if verdict not in (TRUTH[one.kind], qs.Verdict.UNKNOWN):
            wrong.append(f"{one.network.name}, vnnlib: {verdict.name}")
    told = [", ".join(f"{w} {n}" for (k, w), n in sorted(counts.items()) if k == kind) for kind in TRUTH]
    return [str(len(made[0].needle)), "vnnlib, over the reals", *told, f"{spent:.1f}"]


def main() -> int:
    """Print the table; return 1 if a verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--radius", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--out", type=Path, help="write the instances there: .qspec, .onnx and .vnnlib files")
    parser.add_argument("--qdq", action="store_true", help="ask about QDQ ONNX files that are written and read again, in bytes")
    parser.add_argument("--reals-only", action="store_true", help="ask the route vnnlib alone")
    options = parser.parse_args()
    wrong: list[str] = []
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            cases = [(kind, size, options.radius, seed) for kind in TRUTH for seed in range(options.seeds)]
            made = [checked(read_back(*c, options.out or Path(folder)) if options.qdq else instance(*c)) for c in cases]
            for one in made if options.out and not options.qdq else ():
                write(one, options.out)
            if COMMAND_VARIABLE in os.environ:
                rows.append(real_row(made, options, wrong))
            for name, route in () if options.reals_only else ROUTES.items():
                counts: Counter[tuple[str, str]] = Counter()
                spent = 0.0
                for one in made:
                    verdict, seconds = ask(one, route, options.timeout)
                    spent += seconds
                    counts[one.kind, verdict.name] += 1
                    if verdict not in (TRUTH[one.kind], qs.Verdict.UNKNOWN):
                        wrong.append(f"{one.network.name}, {name}: {verdict.name}")
                cells = [f"{counts[kind, truth.name]} of {options.seeds}" for kind, truth in TRUTH.items()]
                rows.append([str(size), name, *cells, f"{spent:.1f}"])
    columns = ["inputs", "route", *(f"{kind}: {truth.name}" for kind, truth in TRUTH.items()), "CPU s"]
    print(header("Planted counterexamples", "qspec", "jax", "bitwuzla", "z3-solver", "cvc5") + f"\n{table(columns, rows)}\n")
    print("\n".join(["Wrong:", *wrong]) if wrong else "No verdict is wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
