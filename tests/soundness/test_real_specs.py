"""Random real networks and properties: no point contradicts HOLDS, every violation replays, and solvers agree."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import qspec as qs
from qspec.compile.real_box import narrowed
from qspec.compile.real_query import compile_real
from qspec.ir.enclosure import evaluate, satisfies
from qspec.ir.real import Function, Point, exact, fractions
from qspec.ir.real_builder import RealBuilder
from qspec.language.real_interpret import witnesses
from qspec.solver import Reason

SMOOTH: list[object] = [qs.Sigmoid(), qs.Tanh(), qs.real.Softplus(), qs.real.Softmax()]
BROKEN: list[object] = [qs.ReLU(), qs.LeakyReLU(Fraction(1, 4)), qs.HardTanh(), qs.Linear()]


def dyadic(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 8) / 8


def random_net(rng: np.random.Generator, activations: list[object]) -> qs.real.Network:
    sizes = [2, *rng.integers(1, 4, size=rng.integers(1, 3)).tolist(), 2]
    layers: list[object] = [qs.real.Input((2,))]
    for k, (n, m) in enumerate(pairwise(sizes)):
        layers.append(qs.real.Dense(dyadic(rng, n, m), dyadic(rng, m), activations[int(rng.integers(len(activations)))], name=f"d{k}"))  # pyright: ignore[reportArgumentType]
    return qs.real.Sequential(*layers)  # pyright: ignore[reportArgumentType]


def random_spec(rng: np.random.Generator, activations: list[object]) -> qs.Property:
    net = random_net(rng, activations)
    perturbed = net.perturb(rho=Fraction(1, 16), layers=["d0"], biases=bool(rng.integers(2)))
    x = net.input("x", lower=-1, upper=1)
    centre = np.clip(dyadic(rng, 2), -1, 1)
    level = qs.q(float(np.round(net.evaluate(centre)[0] * 8) / 8))
    near = qs.linf(x - centre) <= Fraction(int(rng.integers(1, 8)), 8)
    match int(rng.integers(6)):
        case 0:
            return qs.forall(x, given=near, then=qs.argmax(net(x)) == int(rng.integers(2)))
        case 1:
            return qs.forall(x, given=near, then=net(x)[0] <= level + Fraction(1, 4))
        case 2:
            return qs.forall(perturbed.parameters, then=qs.linf(perturbed(centre) - net(centre)) <= Fraction(int(rng.integers(1, 5)), 16))
        case 3:
            return qs.exists(x, given=near, then=(net(x)[0] - level) * (net(x)[1] - net(x)[0]) > Fraction(1, 8))
        case 4:
            return qs.forall(x, perturbed.parameters, given=near & (net(x)[0] > level), then=perturbed(x)[0] > level - Fraction(1, 4))
        case _:
            return qs.forall(x, then=abs(net(x)[0] - qs.max(net(x))) < Fraction(int(rng.integers(1, 9)), 8))


def random_points(spec: qs.Property, rng: np.random.Generator, count: int) -> list[dict[str, np.ndarray]]:
    """Return points of the box, half of them corners."""
    points: list[dict[str, np.ndarray]] = []
    for k in range(count):
        t = rng.integers(0, 2, size=1000) if k % 2 else rng.integers(0, 65, size=1000) / 64
        share = np.vectorize(Fraction, otypes=[object])(t)
        ends = {v.name: (fractions(v.lower), fractions(v.upper), share[: v.size].reshape(v.shape)) for v in spec.reals}
        points.append({name: low + (high - low) * part for name, (low, high, part) in ends.items()})
    return points


@pytest.mark.parametrize("seed", range(16))
def test_no_point_contradicts_a_verdict(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec = random_spec(rng, SMOOTH + BROKEN)
    result = qs.verify(spec, timeout=10)
    found = result.verdict is (qs.Verdict.VIOLATED if spec.kind == "forall" else qs.Verdict.HOLDS)
    if found:
        assert result.point is not None
        assert witnesses(spec, {}, result.point) is True
    query = compile_real(spec).query
    for point in random_points(spec, rng, 40):
        meant = witnesses(spec, {}, point)
        flat: Point = {name: exact(values.reshape(-1)) for name, values in point.items()}
        compiled = satisfies(query, flat)
        assert meant is None or compiled is None or meant is compiled
        if result.verdict is not qs.Verdict.UNKNOWN and not found:
            assert meant is not True


@pytest.mark.parametrize("seed", range(16))
def test_solvers_agree_on_piecewise_linear_networks(seed: int) -> None:
    spec = random_spec(np.random.default_rng(1000 + seed), BROKEN)
    verdicts = {qs.verify(spec, solver=s, timeout=10).verdict for s in ("delta", "z3")}
    assert verdicts != {qs.Verdict.HOLDS, qs.Verdict.VIOLATED}
    assert verdicts != {qs.Verdict.UNKNOWN}


@pytest.mark.parametrize("seed", range(6))
def test_quantisation_is_bounded_or_refuted_truly(seed: int) -> None:
    """Fixed point beside reals: every code is tried, and the verdict is what is found."""
    rng = np.random.default_rng(seed)
    net = random_net(rng, BROKEN)
    formats = {"input": qs.Fixed(3, 1), "weights": qs.Fixed(5, 2), "activations": qs.Fixed(5, 1, rounding=list(qs.Rounding)[seed % 7])}
    fixed = net.quantize(**formats)
    z = fixed.input("z")
    codes = np.stack(np.meshgrid(np.arange(-4, 4), np.arange(-4, 4)), axis=-1).reshape(-1, 2)
    errors = [abs(Fraction(int(fixed.evaluate(c)[0]), 2) - net.enclose(c / 2)[0][0]) for c in codes]
    limit = max(errors) + Fraction(2 * int(rng.integers(-4, 9)) + 1, 16)
    result = qs.verify(qs.forall(z, then=abs(fixed(z)[0] - net(z)[0]) <= limit), solver=("delta", "z3")[seed % 2], timeout=5)
    true = qs.Verdict.HOLDS if max(errors) <= limit else qs.Verdict.VIOLATED
    assert result.verdict is true or result.reason is Reason.TIMEOUT


@pytest.mark.parametrize("seed", range(30))
def test_known_parts_and_narrowed_boxes_change_no_solution(seed: int) -> None:
    """The builder folds constants and selections; the same program on inputs pinned to the constants has the same values."""
    rng = np.random.default_rng(seed)
    values = [exact([Fraction(int(n), int(rng.integers(1, 9))) for n in rng.integers(-9, 9, 3)]) for _ in range(2)]

    def grown(builder: RealBuilder, nodes: list[int]) -> list[int]:
        order = np.random.default_rng(seed)
        for _ in range(8):
            a, b = (int(n) for n in order.choice(nodes, 2))
            match int(order.integers(6)):
                case 0:
                    made = builder.sum(a, b)
                case 1:
                    made = builder.product(a, b)
                case 2:
                    made = builder.scale(a, Fraction(int(order.integers(-3, 4)), 3), Fraction(1, 2))
                case 3:
                    made = builder.select(a, order.integers(0, 3, size=3))
                case 4:
                    made = builder.apply(Function.RELU, a)
                case _:
                    made = builder.maximum(builder.difference(a, b), [[0, 1, -1], [1, 2, 0], [2, -1, -1]])
            nodes.append(made)
        return nodes

    folded, free = RealBuilder(), RealBuilder()
    known = grown(folded, [folded.constant(values[0]), folded.input("b", values[1], values[1])])
    open_ones = grown(free, [free.input(n, v, v) for n, v in zip("ab", values, strict=True)])
    point = {"a": values[0], "b": values[1]}
    left, right = evaluate(folded.program, point), evaluate(free.program, point)
    for a, b in zip(known, open_ones, strict=True):
        assert left[a] == right[b]


@pytest.mark.parametrize("seed", range(30))
def test_narrowing_keeps_every_solution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_net(rng, [qs.Linear()])
    x = net.input("x", lower=-1, upper=1)
    limits = [Fraction(int(n), 4) for n in rng.integers(-5, 6, 3)]
    f = (x[0] >= limits[0]) & (2 * x[1] < limits[1]) & (x[::-1][0] - x[0] * 0 <= limits[2]) & (net(x)[0] >= limits[0])
    query = compile_real(qs.exists(x, then=f)).query
    again = narrowed(query)
    for point in random_points(qs.exists(x, then=f), rng, 60):
        a, b = point["x"]
        true = a >= limits[0] and 2 * b < limits[1] and b <= limits[2] and net.enclose(point["x"])[0][0] >= limits[0]
        assert satisfies(query, {"x": exact(point["x"])}) is true is satisfies(again, {"x": exact(point["x"])})
