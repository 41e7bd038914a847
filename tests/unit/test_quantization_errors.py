"""Quantisation errors: what is compared layer by layer, what is left to `delta`, and what malformed questions are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.engines.difference.aligned_layers import pair
from qspec.engines.difference.output_rows import read
from qspec.errors import QspecError
from qspec.verify.result import Evidence

KERNEL = np.array([[1.25, -2.0, 0.5], [0.75, 0.3, -1.5]])
LAST = np.array([[1.5, 0.2], [-1.0, 0.4], [0.75, 1.1]])
REAL = qs.real.Sequential(
    qs.real.Input((2,)), qs.real.Dense(KERNEL, np.array([0.1, -0.5, 0.25]), qs.ReLU()), qs.real.Dense(LAST), name="net"
)
FORMATS: dict[str, Any] = {"input": qs.Fixed(5, 3), "weights": qs.Fixed(8, 4), "activations": qs.Fixed(12, 6)}
FIXED = REAL.quantize(**FORMATS)
Z = FIXED.input("z")
OURS, THEIRS = FIXED(Z), REAL(Z)


@pytest.mark.parametrize(
    "then",
    [
        qs.all(abs(OURS - THEIRS) <= "1/8"),
        qs.linf(OURS - THEIRS) < "1/8",
        (OURS[0] - THEIRS[0] <= "1/8") & (THEIRS[0] - OURS[0] <= "1/8"),
        abs(qs.sum(OURS) - qs.sum(THEIRS)) <= "1/4",
        qs.max(2 * OURS - THEIRS * 2) <= "1/4",
        abs(qs.join([OURS[1:], OURS[:1]])[0] - THEIRS[1]) <= "1/8",
    ],
)
def test_affine_claims_are_read_and_decided(then: Any) -> None:
    spec = qs.forall(Z, then=then)
    assert read(spec) is not None
    result = qs.verify(spec)
    assert result.verdict is qs.Verdict.HOLDS
    assert result.evidence is Evidence.PROOF
    assert [s.theory for s in result.answers] == ["difference"]


@pytest.mark.parametrize(
    "then",
    [
        (OURS[0] - THEIRS[0] <= "1/8") | (OURS[1] <= 5),
        OURS[0] * THEIRS[0] <= 100,
        OURS[0] - THEIRS[0] + Z[0] <= 10,
        FIXED(-Z)[0] - THEIRS[0] <= 100,
        OURS[0] <= 100,
        FIXED.signal(Z, layer="dense_1")[0] - THEIRS[0] <= 100,
        OURS[0] + THEIRS[0] != 1000,
    ],
)
def test_other_claims_are_left_alone(then: Any) -> None:
    assert read(qs.forall(Z, then=then)) is None


def test_an_existential_claim_is_left_alone() -> None:
    assert read(qs.exists(Z, then=abs(OURS[0] - THEIRS[0]) > "1/8")) is None


def test_the_named_property_is_violated_by_codes_that_replay() -> None:
    centre = np.array([3, -2])
    spec = qs.real.properties.quantization_error(FIXED, REAL, "1/1000", centre=centre, radius=2, outputs=[1])
    result = qs.verify(spec)
    assert result.verdict is qs.Verdict.VIOLATED
    assert result.evidence is Evidence.ATTACK
    assert result.codes is not None
    assert abs(result.codes["x"] - centre).max() <= 2
    wide = qs.real.properties.quantization_error(FIXED, REAL, 1)
    assert qs.verify(wide).verdict is qs.Verdict.HOLDS


def test_other_solvers_are_asked_when_they_are_named() -> None:
    spec = qs.real.properties.quantization_error(FIXED, REAL, 1)
    assert [s.theory for s in qs.verify(spec, solver="z3").answers] != ["difference"]


def test_convolutions_are_compared() -> None:
    random = np.random.default_rng(1)
    layers = [
        qs.real.Conv2D(random.normal(size=(2, 2, 1, 2)), random.normal(size=2), activation=qs.ReLU()),
        qs.Flatten(),
        qs.real.Dense(random.normal(size=(8, 2))),
    ]
    real = qs.real.Sequential(qs.real.Input((3, 3, 1)), *layers)
    fixed = real.quantize(input=qs.Fixed(2, 0), weights=qs.Fixed(6, 3), activations=qs.Fixed(8, 3))
    found = qs.error_bounds(fixed, real)
    for codes in random.integers(-2, 2, size=(50, 3, 3, 1)):
        error = fixed.evaluate(codes) / 8 - real.evaluate(codes)
        assert (found.lower <= error + 1e-12).all()
        assert (error <= found.upper + 1e-12).all()


def test_no_pairs() -> None:
    deeper = qs.real.Sequential(qs.real.Input((2,)), *(s.layer for s in REAL.stages[1:2]), qs.real.Dense(np.eye(3)), qs.real.Dense(LAST))
    smooth = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(KERNEL, activation=qs.Tanh()), qs.real.Dense(LAST))
    wider = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.ones((2, 4))), qs.real.Dense(np.ones((4, 2))))
    wrapping = REAL.quantize(**FORMATS | {"activations": qs.Fixed(12, 6, overflow=qs.Overflow.WRAP)})
    assert pair(FIXED, REAL) is not None
    for fixed, real in ((FIXED, deeper), (FIXED, smooth), (FIXED, wider), (wrapping, REAL)):
        assert pair(fixed, real) is None
        with pytest.raises(qs.UnsupportedError, match="layer by layer"):
            qs.error_bounds(fixed, real)


def test_malformed_questions() -> None:
    with pytest.raises(qs.SpecError, match="no such output"):
        qs.error_bounds(FIXED, REAL, outputs=[2])
    with pytest.raises(QspecError):
        qs.largest_error(FIXED, REAL, lower=3, upper=2)
    with pytest.raises(QspecError):
        qs.largest_error(FIXED, REAL, gap="wide")
    with pytest.raises(qs.SpecError, match=r"no gap(.|\n)*-1"):
        qs.largest_error(FIXED, REAL, gap=-1)
    with pytest.raises(qs.SpecError, match="the time limit must be positive"):
        qs.largest_error(FIXED, REAL, timeout=-1)
    with pytest.raises(qs.SpecError, match=r"quantised network against a real one(.|\n)*RealNetwork and Network"):
        qs.error_bounds(REAL, FIXED)  # pyright: ignore[reportArgumentType]


def test_a_gap_or_a_limit_leaves_the_interval_open() -> None:
    loose = qs.largest_error(FIXED, REAL, gap=1)
    assert 0 < loose.lower <= loose.upper <= loose.lower + 1
    short = qs.largest_error(FIXED, REAL, timeout=0)
    assert short.lower < short.upper
    assert not short.closed
    assert str(short).startswith("largest error in [")
    tight = qs.largest_error(FIXED, REAL, lower=-2, upper=1)
    assert tight.closed
    assert tight.lower <= short.upper
    assert str(tight).startswith("largest error = ")
    assert tight.codes.shape == (2,)


def test_sums_beyond_doubles_are_left_to_delta() -> None:
    large = np.array([[2.0**20]])
    real = qs.real.Sequential(qs.real.Input((1,)), qs.real.Dense(large, activation=qs.ReLU()), qs.real.Dense(large))
    wide = qs.Fixed(50, 20)
    fixed = real.quantize(input=qs.Fixed(8, 0), weights=wide, activations=wide, output=qs.Fixed(62, 10))
    z = fixed.input("z", lower=1, upper=1)
    result = qs.verify(qs.forall(z, then=abs(fixed(z) - real(z))[0] <= 1))
    assert result.verdict is not qs.Verdict.VIOLATED
    assert "difference" not in [s.theory for s in result.answers]
