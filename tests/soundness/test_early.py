"""The rungs below bounds against enumeration: what they list is right, and so is every proof of it; thinning rows out loses none."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import bound
from qspec.certificate import listing
from qspec.certificate.check import check
from qspec.deadline import NEVER, Deadline
from qspec.engines.dual import distinct, early, exhaustive
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import EngineOptions
from qspec.errors import CertificateError
from qspec.ir.integer import All, Assignment, Query
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Dense
from qspec.ir.reference import satisfies
from qspec.language.domains import extremes
from qspec.language.property import Property
from qspec.language.traversal import networks
from qspec.named import sensors
from tests.soundness.random_queries import KINDS, Kind, random_query, solutions
from tests.soundness.test_engine import certificate


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let queries of any size be listed."""
    monkeypatch.setattr(early, "WORTH", 0)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_what_is_listed_first_is_what_enumeration_finds(kind: Kind | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few assignments, and of few numbers, so that rows are halved and thinned out in all places."""
    counts: Counter[bool] = Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=100, kinds=KINDS if kind is None else ("affine", kind, kind))
        monkeypatch.setattr(exhaustive, "BLOCK", int(rng.choice([1, 7, 4096])))
        for module in (distinct, listing):
            monkeypatch.setattr(module, "CELLS", int(rng.choice([1, 20, 1 << 17])))
        outcome = prove(query, NEVER, EngineOptions(compiled=False))
        satisfiable = bool(len(solutions(query)))
        if outcome.solution is not None:
            assert satisfies(query, outcome.solution), seed
        else:
            assert outcome.proof is not None
            assert not satisfiable, seed
            check(certificate(query, outcome), query)
        counts[satisfiable] += [r.name for r in outcome.trace] == ["listing"]
    assert min(counts[True], counts[False]) > 1, counts


def test_alike_rows_count_once_and_the_first_is_reported() -> None:
    """Of 16 inputs a shift by two bits leaves 4, which a query on codes at least 2 is asked about."""
    query = shifted(2)
    rows = {"x": np.arange(16)[:, None]}
    assert distinct.different(query, rows, 2, NEVER) == 4
    assert list(distinct.solutions(query, rows, NEVER)) == [8, 12]
    assert list(distinct.solutions(shifted(4), rows, NEVER)) == []


def test_assignments_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 times 16 inputs of three elements a shift by two bits leaves 16; a part begins anew, and so does the first element's code."""
    b = Builder()
    codes = b.rescale(b.input("x", [0, 0, 7], [15, 15, 7]), 1, 4, Rounding.TRN)
    layer = b.affine([(Dense(np.ones((1000, 3), dtype=np.int64)), codes)], 0)
    query = Query(b.program, All(layer))
    inputs = exhaustive.box(query.program, bound(query.program))
    made: list[int] = []

    def counted(query: Query, assignment: Assignment, until: int, deadline: Deadline) -> int:
        made.append(assignment["x"].size)
        return distinct.different(query, assignment, until, deadline)

    monkeypatch.setattr(exhaustive, "different", counted)
    alone = exhaustive.seconds(query, inputs, NEVER)
    assert made == [256 * 3]
    monkeypatch.setattr(exhaustive, "CELLS", 100)
    parts = exhaustive.seconds(query, inputs, NEVER)
    assert made[1:] == [33 * 3] * 7 + [25 * 3]
    assert alone < parts < 2 * alone


def shifted(threshold: int) -> Query:
    """Ask whether a code of 4 bits, shifted by two, can be at least a threshold."""
    b = Builder()
    y = b.rescale(b.input("x", [0], [15]), 1, 4, Rounding.TRN)
    goal = All(b.scale(y, 1, -threshold))
    return Query(b.program, goal)


def remaining(least: int) -> Query:
    """Ask whether what the shift drops of a code can be so much; intervals do not know that it is at most 3."""
    b = Builder()
    x = b.input("x", [0], [15])
    y = b.rescale(x, 1, 4, Rounding.TRN)
    one = np.ones((1, 1), dtype=np.int64)
    goal = All(b.affine([(Dense(one), x), (Dense(-4 * one), y)], -least))
    return Query(b.program, goal)


def residual(rng: np.random.Generator) -> qs.Network:
    """Return a tiny classifier of images 4x4x2 with what deployed ones are made of: depthwise and strided convolutions, a sum, a pool."""

    def code(zero: int = 0) -> qs.Affine:
        return qs.Affine(6, True, Fraction(1, 4), zero)

    def weights(*shape: int) -> qs.Tensor:
        return qs.Tensor(rng.integers(-7, 8, shape), qs.Affine(4, True, Fraction(1, 8)))

    x = qs.Input((4, 4, 2), code(int(rng.integers(-4, 5))))
    deep = qs.Conv2D(weights(3, 3, 1, 2), padding="same", groups=2, activation=qs.ReLU(), output=code(-3))
    long = qs.apply(qs.Conv2D(weights(1, 1, 2, 2), output=code(1)), qs.apply(deep, x))
    pooled = qs.apply(qs.MaxPool2D((2, 2)), qs.apply(qs.Add(output=code(2)), x, long))
    small = qs.apply(qs.Conv2D(weights(2, 2, 2, 3), stride=(2, 2), output=code()), pooled)
    return qs.Network.of(qs.apply(qs.Dense(weights(3, 3), output=code()), qs.apply(qs.Flatten(), small)))


def spec_of(kind: int, network: qs.Network, centre: np.ndarray, label: int, rng: np.random.Generator) -> tuple[Property, set[bytes]]:
    """Return a question about sensors, and the inputs that it is about, by plain arithmetic."""
    low, high = -32, 31
    place = tuple(int(rng.integers(n)) for n in centre.shape)
    if kind == 0:
        radius = int(rng.integers(0, 4))
        points = [np.clip(centre + d, low, high) for d in range(-radius, radius + 1)]
        return sensors.brightness_robustness(network, centre, radius, label), {p.tobytes() for p in points}
    if kind == 1:
        points = [centre.copy() for _ in range(low, high + 1)]
        for value, p in zip(range(low, high + 1), points, strict=True):
            p[place[:2]] = value
        return sensors.stuck_robustness(network, centre, label, where=place[:2]), {p.tobytes() for p in points}
    if kind == 2:
        points = [centre.copy() for _ in range(low, high + 1)]
        for value, p in zip(range(low, high + 1), points, strict=True):
            p[place] = value
        return sensors.region_robustness(network, centre, label, where=place), {p.tobytes() for p in points}
    pixel = itertools.product(range(-2, 3), repeat=2)
    points = []
    for change in pixel:
        p = centre.copy()
        p[place[:2]] = np.clip(p[place[:2]] + change, low, high)
        points.append(p)
    return sensors.region_robustness(network, centre, label, where=place[:2], radius=2), {p.tobytes() for p in points}


@pytest.mark.parametrize("kind", range(4))
def test_questions_about_sensors_are_decided_as_by_evaluating_the_inputs(kind: int) -> None:
    verdicts, listed = Counter[str](), 0
    for seed in range(12):
        rng = np.random.default_rng(100 * kind + seed)
        network = residual(rng)
        centres = rng.integers(-20, 21, (40, 4, 4, 2))
        ranked = np.sort(network.evaluate(centres), axis=-1)
        centre = centres[(ranked[:, -1] - ranked[:, -2]).argmin()]  # a near miss, so that some questions are answered by no
        label = int(network.evaluate(centre[None])[0].argmax())
        spec, points = spec_of(kind, network, centre, label, rng)
        classes = network.evaluate(np.stack([np.frombuffer(p, np.int64).reshape(4, 4, 2) for p in points])).argmax(-1)
        result = qs.verify(spec, timeout=60)
        assert result.verdict is (qs.Verdict.HOLDS if np.all(classes == label) else qs.Verdict.VIOLATED), seed
        verdicts[result.verdict.name] += 1
        listed += "listing" in [r.name for r in result.trace]
    assert len(verdicts) == 2
    assert listed > 0


def test_a_proof_by_listing_is_not_one_of_a_query_with_a_solution() -> None:
    """The same steps, with a goal that is true of one more input, are rejected by the checker's own evaluation."""
    outcome = prove(remaining(4), NEVER, EngineOptions(compiled=False))
    proof = certificate(remaining(4), outcome)
    check(proof, remaining(4))
    weaker = remaining(3)
    with pytest.raises(CertificateError, match="an assignment of the domain is a solution"):
        check(certificate(weaker, outcome), weaker)


def test_gain_takes_every_factor_that_matters() -> None:
    """A finer grid of factors gives no codes that the property does not know of, and each that it knows comes of a factor in range."""
    rng = np.random.default_rng(5)
    network = residual(rng)
    centre = rng.integers(-32, 32, (4, 4, 2))
    low, high = (int(end[0]) for end in extremes(sensors.gain_robustness(network, centre, 20, 0).variables[0].domain))
    spec = sensors.gain_robustness(network, centre, 20, 0)
    sensor = next(n for n in networks(spec) if n.name == "sensor")
    codes = sensor.evaluate(np.arange(low, high + 1)[:, None]) if isinstance(sensor, qs.Network) else None
    assert codes is not None
    layer = network.inputs[0].layer
    assert isinstance(layer, qs.Input)
    zero, step = layer.format.grid().zeros[0], 7 * (1 << 15)
    factors = np.arange(-(-8 * step // 10), 12 * step // 10 + 1)
    off = (centre - zero).reshape(-1)
    twice = 2 * off * factors[:, None]
    rounded = np.where(twice % (2 * step) == step, 2 * np.rint(twice / (4 * step)), np.rint(twice / (2 * step))).astype(np.int64)
    between = np.any(twice % (2 * step) == step, axis=1)
    fine = np.clip(rounded + zero, -32, 31)[~between]
    assert {c.tobytes() for c in codes.reshape(len(codes), -1)} == {c.tobytes() for c in fine}
    assert len({c.tobytes() for c in fine}) > 50


def test_a_region_is_no_wider_than_its_codes() -> None:
    network = qs.load("iris-4bit")
    centre, label = [50, 30, 14, 2], 0
    widest = sensors.region_robustness(network, centre, label, where=[0], radius=127)
    assert qs.verify(widest).verdict is qs.verify(sensors.region_robustness(network, centre, label, where=[0])).verdict
    for radius in (128, 10**30, -1, 0.5):
        with pytest.raises(qs.SpecError, match="the radius"):
            sensors.region_robustness(network, centre, label, where=[0], radius=radius)  # pyright: ignore[reportArgumentType]
