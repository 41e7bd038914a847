"""Training: staircases and bounds are those of the exported network, a run that was stopped goes on to the same bits, files are read."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qspec as qs
from qspec import training
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding, round_ratio
from qspec.errors import InternalError, PackageMissingError
from qspec.lowering.evaluate import evaluate
from qspec.training.bounds import IntervalBatch, margins
from qspec.training.checkpoint import Row
from qspec.training.export import checked, float_width, network
from qspec.training.layers import Parameters, fixed_point, forward, initial, stored

PIXEL, WEIGHT, BIAS, CODE = qs.Fixed(4, 4, signed=False), qs.Fixed(5, 3), qs.Fixed(6, 4), qs.Fixed(4, 3, signed=False)
NET = training.Architecture(
    (4, 4, 1), PIXEL, (training.Conv(3, WEIGHT, BIAS, CODE, size=3, stride=2, ring=1), training.Dense(3, WEIGHT, BIAS, None))
)
RATE = training.Rate(1e-2, "constant")
FLAT = training.Architecture((3,), PIXEL, (training.Dense(6, WEIGHT, BIAS, CODE), training.Dense(3, WEIGHT, BIAS, None)))
PHASES = (
    training.Phase(4, training.Rate(1e-2, "constant")),
    training.Phase(6, training.Rate(1e-2, "thirds"), bounded=training.Bounded(training.Ramp(0, 1))),
)


def task(count: int = 40) -> tuple[IntArray, IntArray]:
    """Return images whose class is the brightest of three quarters."""
    images = np.random.default_rng(0).integers(0, 16, (count, 4, 4, 1))
    return images, np.stack([images[:, :2, :2].sum((1, 2, 3)), images[:, :2, 2:].sum((1, 2, 3)), images[:, 2:, :2].sum((1, 2, 3))]).argmax(
        0
    )


@pytest.mark.parametrize("rounding", list(Rounding))
def test_staircases_are_those_of_the_formats(rounding: Rounding) -> None:
    fmt = qs.Fixed(4, 2, rounding=rounding)
    sixteenths = np.arange(-60, 61)
    exact = np.clip(round_ratio(sixteenths, np.full_like(sixteenths, 4), rounding), fmt.lower, fmt.upper)
    assert np.array_equal(np.asarray(fixed_point(jnp.asarray(sixteenths / 16, jnp.float32), fmt)) * 4, exact)


def test_gradients_pass_through_a_rounding_and_stop_at_saturation() -> None:
    slope = jax.vmap(jax.grad(lambda x: fixed_point(x, CODE)))(jnp.asarray([-0.2, 0.3, 1.8, 2.2]))
    assert slope.tolist() == [0, 1, 1, 0]


def values_of(architecture: training.Architecture, seed: int) -> Parameters:
    return jax.jit(lambda key: stored(architecture.layers, initial(architecture.layers, architecture.shape, key)))(jax.random.key(seed))


@pytest.mark.parametrize("raw", [True, False])
def test_margins_are_below_every_value_in_the_box_and_reached_where_nothing_is_lost(raw: bool) -> None:
    layers = FLAT.layers if raw else (FLAT.layers[0], replace(FLAT.layers[1], output=qs.Fixed(6, 3)))
    architecture = training.Architecture(FLAT.shape, PIXEL, layers)
    values, unit = values_of(architecture, 1), 2.0**-PIXEL.frac
    net = network(architecture, values)
    scale = float(net.output_types[0].grid.units[0])
    bounds = jax.jit(lambda box, label: margins(layers, values, box, label, quantized=True)[0][0])
    for seed in range(8):
        centre = np.random.default_rng(seed).integers(2, 14, 3)
        label = jnp.asarray([seed % 3])
        points = np.array(list(product(*(range(c - 1, c + 2) for c in centre))))
        outputs = evaluate(net, points) * scale
        true = (outputs[:, [seed % 3]] - outputs).min(axis=0)
        for radius in (0, 1):
            box = IntervalBatch(*(jnp.asarray((centre + r)[None] * unit, jnp.float32) for r in (-radius, radius)))
            lower = np.asarray(bounds(box, label))
            assert np.all(lower <= true) or radius == 0
            if radius == 0:
                own = evaluate(net, centre) * scale
                assert np.array_equal(lower, own[seed % 3] - own)


def stopped(file: Path, at: tuple[int, int]) -> None:
    """Train until a report says this phase and step, and then no further."""

    def report(row: Row) -> None:
        if (row.phase, row.step) == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(NET, *task(), PHASES, batch=8, every=2, file=file, report=report)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    for at in ((0, 2), (0, 4), (1, 4)):
        stopped(tmp_path / "state.npz", at)
    again = training.train(NET, *task(), PHASES, batch=8, every=2, file=tmp_path / "state.npz")
    straight = training.train(NET, *task(), PHASES, batch=8, every=2)
    assert again.history == straight.history
    for a, b in zip(again.parameters, straight.parameters, strict=True):
        assert all(np.array_equal(a[k], b[k]) for k in a)


def test_the_state_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.npz"
    stopped(file, (0, 2))
    with pytest.raises(qs.SpecError, match=r"another training"):
        training.train(NET, *task(), PHASES, batch=8, seed=1, file=file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(qs.SpecError, match=r"not the state"):
        training.train(NET, *task(), PHASES, batch=8, file=file)


def test_what_is_exported_is_what_was_trained() -> None:
    images, labels = task()
    trained = training.train(NET, images, labels, PHASES, batch=8)
    net = trained.network("quarters", check=images)
    unit = float(net.output_types[0].grid.units[0])
    seen = np.asarray(jax.jit(lambda x: forward(NET.layers, trained.values, x))(images.astype(np.float32) / 16), np.float64)
    assert np.array_equal(evaluate(net, images) * unit, seen)
    other = [dict(p) for p in trained.values]
    other[1]["bias"] = other[1]["bias"] + 2.0**-BIAS.frac
    with pytest.raises(InternalError, match=r"differs(.|\n)*120 outputs"):
        checked(NET, other, net, images)


def test_sums_beyond_single_precision_are_checked_in_double() -> None:
    wide = training.Architecture(
        (3,),
        qs.Fixed(16, 0, signed=False),
        (training.Dense(2, qs.Fixed(12, 0), BIAS, qs.Fixed(30, 0)), training.Dense(2, WEIGHT, BIAS, None)),
    )
    values = [
        {"kernel": jnp.full((3, 2), 2001.0), "bias": jnp.zeros(2)},
        {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)},
    ]
    assert float_width(NET, values_of(NET, 0)) is np.float32
    assert float_width(wide, values) is np.float64
    codes = integers([[65535, 65533, 65531], [1, 2, 3]])
    outputs = checked(wide, values, network(wide, values), codes)
    unit = float(network(wide, values).output_types[0].grid.units[0])
    assert np.array_equal(outputs * unit, np.repeat(2 * 2001 * codes.sum(axis=1, keepdims=True), 2, axis=1))


def test_augmentation_shifts_mirrors_and_cuts() -> None:
    image = jnp.arange(1, 17).reshape(1, 4, 4, 1)
    many, key = jnp.repeat(image, 64, axis=0), jax.random.key(3)

    def changed(how: training.Augmentation) -> IntArray:
        return np.asarray(jax.jit(how.apply)(many, key))

    assert np.array_equal(training.Augmentation().apply(image, key), image)
    flipped = {np.asarray(a).tobytes() for a in changed(training.Augmentation(flip=True))}
    assert flipped == {np.asarray(a).tobytes() for a in (image[0], image[0, :, ::-1])}
    padded = np.pad(np.asarray(image[0]), ((1, 1), (1, 1), (0, 0)))
    windows = {padded[i : i + 4, j : j + 4].tobytes() for i in range(3) for j in range(3)}
    assert {np.asarray(a).tobytes() for a in changed(training.Augmentation(crop=1))} == windows
    cut = changed(training.Augmentation(cutout=2))
    assert set((cut == 0).sum(axis=(1, 2, 3)).tolist()) == {1, 2, 4}


def test_data_that_do_not_fit_are_refused() -> None:
    images, labels = task()
    with pytest.raises(qs.ShapeError, match=r"do not fit(.|\n)*\(n, 4, 4, 1\)"):
        training.train(NET, images[:, :3], labels, PHASES, batch=8)
    with pytest.raises(qs.SpecError, match=r"code out of range(.|\n)*0\.\.16(.|\n)*0\.\.15"):
        training.train(NET, images + (images == 15), labels, PHASES, batch=8)
    with pytest.raises(qs.SpecError, match=r"class out of range"):
        training.train(NET, images, labels + 1, PHASES, batch=8)
    with pytest.raises(qs.SpecError, match=r"no training"):
        training.train(NET, images, labels, (), batch=8)
    with pytest.raises(qs.FormatError, match=r"saturate"):
        training.Architecture((3,), PIXEL, (training.Dense(2, qs.Fixed(4, 2, overflow=qs.Overflow.WRAP), BIAS, None),))
    with pytest.raises(qs.ShapeError, match=r"reads images"):
        training.Architecture((3,), PIXEL, (training.Conv(2, WEIGHT, BIAS, CODE),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training.Phase(-1, RATE), r"number of steps(.|\n)*-1"),
        (lambda: training.Phase(1.5, RATE), r"number of steps(.|\n)*1\.5"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Phase(4, 1e-3), r"Rate\(0\.001\)"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Phase(4, RATE, bounded=1), r"no bounds to train with"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Rate(-1.0), r"learning rate(.|\n)*at least 0"),
        (lambda: training.Rate(float("nan")), r"learning rate(.|\n)*nan"),
        (lambda: training.Rate(1e-3, "step"), r"step(.|\n)*'cosine'"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Ramp(0, 1, until=2), r"share of a phase(.|\n)*from 0 to 1"),
        (lambda: training.Ramp(0, 1, until=0), r"above 0"),
        (lambda: training.Ramp(0, -1), r"end of a ramp"),
        (lambda: training.Bounded(epsilon=1.1), r"epsilon(.|\n)*Ramp\(0, 1\.1\)"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Architecture((3,), PIXEL, (training.Dense(0, WEIGHT, BIAS, None),)), r"without units"),
        (lambda: training.Architecture(3, PIXEL, (training.Dense(2, WEIGHT, BIAS, None),)), r"shape of an input"),  # pyright: ignore[reportArgumentType]
        (lambda: training.Architecture((3,), PIXEL, (training.Dense(2, qs.int8("0.1"), BIAS, None),)), r"fixed point"),  # pyright: ignore[reportArgumentType]
        (lambda: training.train(NET, *task(), PHASES[0]), r"is a list"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_plan_that_is_none_is_refused_before_it_is_run(make: Callable[[], object], message: str) -> None:
    with pytest.raises(qs.QspecError, match=message):
        make()


def test_a_state_that_cannot_be_written_is_refused_before_the_first_step(tmp_path: Path) -> None:
    shown: list[Row] = []
    with pytest.raises(qs.SpecError, match=r"cannot write the state(.|\n)*folder that exists"):
        training.train(NET, *task(), PHASES, batch=8, report=shown.append, file=tmp_path / "absent" / "state.npz")
    assert not shown


def test_a_training_that_diverges_ends_and_keeps_its_last_state(tmp_path: Path) -> None:
    shown: list[Row] = []
    wild = training.Phase(6, training.Rate(1e38, "constant"))
    with pytest.raises(qs.SpecError, match=r"loss is not a finite number in phase 0, up to step(.|\n)*smaller Rate"):
        training.train(NET, *task(), [wild], batch=8, every=1, report=shown.append, file=tmp_path / "state.npz")
    assert all(np.isfinite(row.loss) for row in shown)
    with np.load(tmp_path / "state.npz") as kept:
        assert int(kept["at"][1]) == len(shown) < 6


def test_without_optax_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qspec.support.optional.find_spec", lambda _: None)
    with pytest.raises(PackageMissingError, match=r"training needs the package optax(.|\n)*qspec-verify\[train\]"):
        training.train(NET, *task(), PHASES, batch=8)


@pytest.mark.parametrize(("suffix", "packed"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_idx_files_are_read_however_they_are_packed(tmp_path: Path, suffix: str, packed: type) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
    (tmp_path / f"images{suffix}").write_bytes(packed(header + images.tobytes()))
    assert np.array_equal(training.read_idx(tmp_path / "images"), images)
    assert np.array_equal(training.read_idx(tmp_path / f"images{suffix}"), images)


def test_files_that_are_no_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1]))
    (tmp_path / "other.gz").write_bytes(b"no archive")
    np.savez(tmp_path / "a.npz", inputs=np.array([[0.5]]), targets=np.array([0]))
    for name in ("short", "other", "absent"):
        with pytest.raises(qs.ModelFileError, match=r"idx file"):
            training.read_idx(tmp_path / name)
    with pytest.raises(qs.ModelFileError, match=r"no samples"):
        training.read_npz(tmp_path / "a.npz")
    with pytest.raises(qs.ModelFileError, match=r"no samples(.|\n)*'x'"):
        training.read_npz(tmp_path / "a.npz", "x")
    with pytest.raises(qs.ModelFileError, match=r"'inputs', 'targets'(.|\n)*--labels"):
        training.read_npz(tmp_path / "a.npz", labels="labels")
    np.save(tmp_path / "a.npy", np.array([1]))
    with pytest.raises(qs.ModelFileError, match=r"no samples in this file(.|\n)*not a zip file"):
        training.read_npz(tmp_path / "a.npy")
    with pytest.raises(qs.ModelFileError, match=r"no PNG"):
        training.read_folders(tmp_path)
    with pytest.raises(qs.ModelFileError, match=r"no such folder"):
        training.read_folders(tmp_path / "absent")


def test_folders_of_png_files_are_classes(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for name, shift in (("cat", 0), ("dog", 5)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels + shift).save(tmp_path / name / "a.png")
    (images, labels), names = training.read_folders(tmp_path)
    assert names == ("cat", "dog")
    assert labels.tolist() == [0, 1]
    assert np.array_equal(images[..., 0], np.stack([pixels, pixels + 5]))
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "dog" / "b.png")
    with pytest.raises(qs.ModelFileError, match=r"shapes(.|\n)*\(2, 2, 3\)"):
        training.read_folders(tmp_path)
