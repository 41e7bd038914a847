"""Calibration by channel and input column: the definition in fractions, every route against enumeration, and what users are told."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import SpecError
from qspec.quantization.agreement import agreement
from qspec.quantization.calibrate import Calibration, Weights
from qspec.quantization.compensate import compensated
from qspec.verify.result import Verdict

TABLE = qs.Schema((qs.Whole("income", 0, 20_000), *(qs.Ordinal(f"flag {k}", ("no", "yes")) for k in range(4))), ("flag 0",))
RNG = np.random.default_rng(3)
ROWS = np.column_stack([RNG.integers(0, 20_001, 2000), RNG.integers(0, 2, (2000, 4))]).astype(float)


def over_a_table() -> qs.real.Network:
    """A network to whose decision an income of 0 to 20 000 adds about as much as a flag."""
    kernel = RNG.normal(size=(5, 8))
    kernel[0] /= 10_000
    return qs.real.Sequential(
        qs.real.Input((5,)),
        qs.real.Dense(kernel, RNG.normal(size=8) / 2, qs.ReLU()),
        qs.real.Dense(RNG.normal(size=(8, 1)), RNG.normal(size=1) / 4),
        name="credit",
    )


CREDIT = over_a_table()
SMALL = qs.real.Sequential(
    qs.real.Input((2,)),
    qs.real.Dense(np.array([[0.01, -0.02, 0.015], [1.5, 2.0, -0.25]]), np.array([0.125, -0.5, 0.25]), qs.ReLU()),
    qs.real.Dense(np.array([[1.5, -1.0], [-1.25, 0.5], [0.75, 0.25]]), np.array([0.0, 2.25])),
    name="small",
)
WIDE = qs.PerChannel((qs.Fixed(6, 0, signed=False), qs.Fixed(2, 2, signed=False)))
CODES = np.array(list(product(range(64), range(4))))
POINTS = CODES * [1.0, 0.25]
WEIGHTS: tuple[Weights, Weights] = ("nearest", "compensated")


def calibrated(**settings: Any) -> Calibration[qs.Network]:
    return SMALL.calibrate(POINTS, input=WIDE, **settings)


def test_columns_of_other_magnitudes_keep_the_decisions_at_eight_bits() -> None:
    by_channel, by_tensor = (CREDIT.calibrate(ROWS, input=TABLE.format(), per=per).report(8) for per in ("channel", "tensor"))
    assert by_tensor.share < 0.97 <= by_channel.share
    assert by_tensor.output.mean > 4 * by_channel.output.mean


def nearest(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def power_above(value: Fraction) -> Fraction:
    """The least power of two that is no less."""
    p = Fraction(1)
    while p < value:
        p *= 2
    while p / 2 >= value:
        p /= 2
    return p


def defined(bits: int) -> list[list[Fraction]]:
    """The outputs for CODES, from the definition: rounded weights, exact sums, hidden values rounded by neuron, no rounding at the end."""
    first, last = (SMALL.stage(n).layer for n in ("dense_1", "dense_2"))
    assert isinstance(first, qs.real.Dense)
    assert isinstance(last, qs.real.Dense)
    top = 1 << (bits - 1)
    weights = [[Fraction(float(v)) for v in row] for row in np.asarray(first.kernel)]
    rows = [power_above(max(map(abs, row))) for row in weights]
    factors = [max(rows) / r for r in rows]
    for j in range(3):
        unit = power_above(max(abs(weights[i][j]) * factors[i] for i in range(2))) / top
        for i in range(2):
            weights[i][j] = min(nearest(weights[i][j] * factors[i] / unit), top - 1) * unit / factors[i]
    bias = [Fraction(float(v)) for v in np.asarray(first.bias)]  # few bits: 32 hold them
    hidden_real = np.maximum(POINTS @ np.asarray(first.kernel, float) + np.asarray(first.bias, float), 0).max(axis=0)
    units = [power_above(Fraction(float(p))) / (1 << bits) for p in hidden_real]
    second = [[Fraction(float(v)) for v in row] for row in np.asarray(last.kernel)]
    unit = power_above(max(abs(v) for row in second for v in row)) / top
    second = [[min(nearest(v / unit), top - 1) * unit for v in row] for row in second]
    ends = [Fraction(float(v)) for v in np.asarray(last.bias)]
    found: list[list[Fraction]] = []
    for a, b in CODES.tolist():
        x = (Fraction(a), Fraction(b, 4))
        hidden = [max(Fraction(0), bias[j] + sum(x[i] * weights[i][j] for i in range(2))) for j in range(3)]
        hidden = [min(nearest(h / u), (1 << bits) - 1) * u for h, u in zip(hidden, units, strict=True)]
        found.append([ends[k] + sum(hidden[j] * second[j][k] for j in range(3)) for k in range(2)])
    return found


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_a_network_by_channel_is_what_the_definition_says(bits: int) -> None:
    network = calibrated().quantized(bits)
    (unit,) = network.output_types[0].grid.units
    assert [[int(c) * unit for c in row] for row in network.evaluate(CODES).tolist()] == defined(bits)


@pytest.mark.parametrize("solver", ["bounds", "enumerate", "bitwuzla"])
@pytest.mark.parametrize("settings", [{}, {"scales": "affine"}])
def test_every_route_is_right_about_networks_by_channel_and_column(solver: str, settings: dict[str, Any]) -> None:
    network = calibrated(**settings).quantized(4)
    classes = network.evaluate(CODES).argmax(axis=1)
    found: set[Verdict] = set()
    for k in (0, 104, 247):
        spec = qs.properties.local_robustness(network, CODES[k].tolist(), 3, int(classes[k]))
        near = np.abs(CODES - CODES[k]).max(axis=1) <= 3
        truth = Verdict.HOLDS if (classes[near] == classes[k]).all() else Verdict.VIOLATED
        assert qs.verify(spec, solver=solver, timeout=60).verdict is truth
        found.add(truth)
    assert len(found) == 2  # or this shows nothing


def test_a_proof_about_such_a_network_is_checked_and_a_file_gives_it_back(tmp_path: Path) -> None:
    network = calibrated().quantized(4)
    network.save(tmp_path / "small.qspec")
    again = qs.load(tmp_path / "small.qspec")
    assert np.array_equal(again.evaluate(CODES), network.evaluate(CODES))
    classes = network.evaluate(CODES).argmax(axis=1)
    held = next(k for k in range(len(CODES)) if (classes[np.abs(CODES - CODES[k]).max(axis=1) <= 1] == classes[k]).all())
    result = qs.verify(qs.properties.local_robustness(again, CODES[held].tolist(), 1, int(classes[held])), attack=False, timeout=60)
    assert result.verdict is Verdict.HOLDS
    assert result.evidence.name == "CERTIFICATE"


def test_its_real_counterpart_reads_columns_as_they_are() -> None:
    network = calibrated().quantized(16)
    assert [s.name for s in network.stages][1] == "dense_1_columns"
    assert np.abs(network.real().evaluate(POINTS) - SMALL.evaluate(POINTS)).max() < 2**-10


def test_the_report_counts_what_hands_count() -> None:
    made = calibrated()
    network = made.quantized(4)
    trace = [[float(v) for v in row] for row in defined(4)]
    exact = SMALL.evaluate(POINTS)
    kept = sum(int(np.argmax(a) == np.argmax(b)) for a, b in zip(trace, exact, strict=True))
    off = np.abs(np.array(trace) - exact)
    report = made.report(4)
    assert (report.rows, report.kept) == (len(CODES), kept)
    assert kept < len(CODES)  # or it may count anything
    assert report.output.largest == pytest.approx(off.max())
    assert report.output.mean == pytest.approx(off.mean())
    assert list(report.layers) == ["dense_1", "dense_2"]
    assert report.layers["dense_2"] == report.output
    assert agreement(network, SMALL, POINTS[:7]).rows == 7
    assert f"{kept} of {len(CODES)} decisions kept" in str(report)


def test_one_output_decides_by_a_threshold() -> None:
    network = qs.real.Sequential(qs.real.Input((1,)), qs.real.Dense(np.array([[1.0]]), np.array([0.3])))
    made = network.calibrate([[k / 4] for k in range(-8, 9)], input=qs.Fixed(5, 2), per="tensor")
    # at 3 bits the weight 1 is the greatest code 3/4, the bias 0.3 is 1/4, and outputs are -4, -3, … 3
    real = [k / 4 + 0.3 for k in range(-8, 9)]
    rounded = [min(3, floor(Fraction(3, 4) * Fraction(k, 4) + Fraction(1, 4) + Fraction(1, 2))) for k in range(-8, 9)]
    for threshold in (0.0, 1.0):
        kept = sum((a > threshold) == (b > threshold) for a, b in zip(real, rounded, strict=True))
        assert made.report(3, threshold=threshold).kept == kept


def test_fewer_than_99_in_100_decisions_are_warned_of() -> None:
    made = CREDIT.calibrate(ROWS, input=TABLE.format())
    with pytest.warns(qs.CalibrationWarning, match=r"credit at 2 bits: \d+ of 1000 decisions on calibration samples \(.*%\) are those"):
        made(2)
    made(12)  # warnings are errors here, and there is none


def test_sweeps_and_descents_say_it_in_what_they_print() -> None:
    made = CREDIT.calibrate(ROWS, input=TABLE.format())

    def specs(network: qs.Network) -> qs.Property:
        x = network.input("x")
        return qs.forall(x, then=network(x)[0] <= 1000, name="low")

    swept = qs.sweep(made, specs, bits=[2, 12], workers=1, timeout=20)
    shares = [level.agreement.share for level in swept.levels if level.agreement is not None]
    assert shares[0] < 0.99 <= shares[1]
    assert str(swept).count("are those of the real network") == len(swept.warnings) == 1
    widths = qs.fewest_bits(made, specs, layers=made.layers, bits=[2], timeout=20)
    assert widths.table[0].agreement == shares[0]
    assert "agreement" in str(widths)


def test_images_have_scales_by_channel() -> None:
    kernel = RNG.normal(size=(3, 3, 2, 4)) * np.array([1.0, 100.0])[:, None] * np.array([1.0, 8.0, 0.25, 2.0])
    layers = (qs.real.Conv2D(kernel, RNG.normal(size=4), activation=qs.ReLU()), qs.AveragePool2D((2, 2)), qs.Flatten())
    real = qs.real.Sequential(qs.real.Input((6, 6, 2)), *layers, qs.real.Dense(RNG.normal(size=(16, 3)), RNG.normal(size=3)))
    images = RNG.integers(0, 16, (200, 6, 6, 2))
    values = images / 16 / [1.0, 64.0]
    pixel = qs.PerChannel((qs.Fixed(4, 4, signed=False), qs.Fixed(4, 10, signed=False)))
    made = real.calibrate(values, input=pixel)
    convolution = made.quantized(8).stage("conv2d_1").layer
    assert isinstance(convolution, qs.Conv2D)
    assert isinstance(convolution.kernel.format, qs.PerChannel)
    assert isinstance(convolution.output, qs.PerChannel)
    assert made.report(8).share >= 0.97
    assert made.report(16).output.largest < made.report(8).output.largest / 32
    unit = float(made.quantized(16).output_types[0].grid.units[0])
    assert np.abs(made.quantized(16).evaluate(images) * unit - real.evaluate(values)).max() < 0.25


def test_outputs_that_are_compared_have_one_unit() -> None:
    for settings in ({}, {"scales": "affine"}, {"per": "tensor"}):
        assert len(set(calibrated(**settings).quantized(5).output_types[0].grid.units)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_compensated_weights_lose_less_of_the_sums_and_the_last_bias_loses_nothing(seed: int) -> None:
    """One input: what its weight loses at the mean is the bias's, by hand; several: sums are nearer than with the nearest codes."""
    rng = np.random.default_rng(seed)
    x, units = rng.normal(3, 1, (500, 6)) * [50, 9, 3, 1, 1, 1], np.array([0.25, 0.5])
    kernel, bias = rng.normal(0, 1, (6, 2)), rng.normal(0, 1, 2)
    weights, shifted = compensated(kernel, bias, x, units, 8)
    assert np.array_equal(weights / units, np.rint(weights / units))
    nearest = np.floor(kernel / units + 0.5) * units
    exact = x @ kernel + bias
    assert np.all(((x @ weights + shifted - exact) ** 2).mean(axis=0) < ((x @ nearest + bias - exact) ** 2).mean(axis=0))
    one, moved = compensated(kernel[:1], bias, x[:, :1], units, 8)
    assert np.array_equal(one, nearest[:1])
    np.testing.assert_allclose(moved, bias - (nearest[0] - kernel[0]) * x[:, 0].mean(), rtol=1e-6)


@pytest.mark.parametrize("scales", ["fixed", "affine"])
def test_a_compensated_network_has_the_scales_of_another_and_keeps_more(scales: Any) -> None:
    plain, better = (CREDIT.calibrate(ROWS, input=TABLE.format(), scales=scales, weights=w) for w in WEIGHTS)
    for bits in (4, 5):
        a, b = plain.quantized(bits), better.quantized(bits)
        assert [s.type for s in a.stages] == [s.type for s in b.stages]
    assert sum(better.report(n).share for n in (4, 5, 6)) > sum(plain.report(n).share for n in (4, 5, 6))


def test_headroom_moves_the_ends_of_signals_and_nothing_else() -> None:
    plain, roomy = (calibrated(headroom=h).quantized(8) for h in (1, 4))
    first, second = (n.stage("dense_1").layer for n in (plain, roomy))
    assert isinstance(first, qs.Dense)
    assert isinstance(second, qs.Dense)
    assert first.output is not None
    assert second.output is not None
    assert [4 * u for u in first.output.grid().units] == list(second.output.grid().units)
    assert np.array_equal(first.kernel.codes, second.kernel.codes)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"per": "layer"}, "`per` is unknown"),
        ({"scales": "any"}, "`scales` is unknown"),
        ({"weights": "any"}, "`weights` is unknown"),
        ({"weights": "compensated", "per": "tensor"}, "compensate for nothing"),
        ({"headroom": 0}, "the headroom is not positive"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(SpecError, match=match):
        calibrated(**settings)


def test_a_format_by_column_holds_every_number_of_a_scaled_table() -> None:
    scaled = qs.Schema(
        (
            qs.Whole("income", 0, 20_000, step=100, scale=Fraction("1/20000")),
            qs.Whole("days", -3, 7, scale=Fraction("1/7")),
            TABLE.features[1],
        )
    )
    by_column, by_table = scaled.format(per="column"), scaled.format()
    assert isinstance(by_column, qs.Affine)
    assert isinstance(by_table, qs.Affine)
    assert by_column.width == 9  # 200 with a sign
    assert by_table.width > by_column.width
    units, _ = by_column.grid().per_element((3,))
    for row in ({"income": 20_000, "days": -3, "flag 0": "yes"}, {"income": 100, "days": 7, "flag 0": "no"}):
        assert all((Fraction(v) / u).denominator == 1 for v, u in zip(scaled.encode(row).tolist(), units, strict=True))
    assert isinstance(TABLE.format(per="column"), qs.PerChannel)
    with pytest.raises(SpecError, match="`per` is unknown"):
        TABLE.format(per="row")  # pyright: ignore[reportArgumentType]


def test_fairness_of_a_table_read_by_columns() -> None:
    table = qs.Schema(
        (qs.Whole("income", 0, 3000, step=100, scale=Fraction("1/3000")), qs.Whole("days", 0, 7, scale=Fraction("1/7")), TABLE.features[1]),
        ("flag 0",),
    )
    kernel = np.array([[2.0, -1.5], [-1.0, 1.0], [0.1, 0.25]])
    real = qs.real.Sequential(
        qs.real.Input((3,)), qs.real.Dense(kernel, np.array([0.0, 0.5]), qs.ReLU()), qs.real.Dense(np.array([[1.0], [-1.0]]))
    )
    rows = [table.encode({"income": i, "days": d, "flag 0": f}) for i in range(0, 3001, 100) for d in range(8) for f in ("no", "yes")]
    values = np.array(rows, dtype=np.float64)
    network = real.calibrate(values, input=table.format(per="column")).quantized(6)
    pairs = [
        [qs.fairness.outputs(network, table, {"income": i, "days": d, "flag 0": f})[0] for f in ("no", "yes")]
        for i in range(0, 3001, 100)
        for d in range(8)
    ]
    unfair = any(min(p) < 0 < max(p) for p in pairs)
    result = qs.verify(qs.fairness.same_decision(network, table), timeout=60)
    assert result.verdict is (Verdict.VIOLATED if unfair else Verdict.HOLDS)
