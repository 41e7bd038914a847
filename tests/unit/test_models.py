"""Shipped models are what their cards say."""

from __future__ import annotations

import gzip
import os
import re
from functools import partial
from hashlib import sha256
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qspec as qs
import qspec_models
from qspec.arithmetic.integers import IntArray
from qspec.ir.digest import digest
from qspec.ir.integer import Query, Truth
from qspec.lowering.evaluate import evaluate, program, trace
from qspec.network.shapes import padding_pairs
from qspec.training.layers import Conv, Dense, Layer, Parameters, forward
from qspec_models import Card, IndividualFairness, LocalRobustness, Monotonicity
from qspec_models.queries import properties

NAMES = qspec_models.names()
SHIPPED = [name for name in NAMES if qspec_models.card(name).samples_sha256 is not None]
"""Models whose held-out samples come with them."""
ROOT = Path(__file__).parents[2]


def some_inputs(name: str) -> IntArray:
    """Return the held-out inputs of a model, or random ones if they are not shipped."""
    if name in SHIPPED:
        return qspec_models.samples(name)[0]
    card, (x,) = qspec_models.card(name), qspec_models.load(name).inputs
    return np.random.default_rng(0).integers(card.lowest, card.highest + 1, (20, *x.type.shape))


def test_the_promised_models_are_there() -> None:
    digits = [f"digits-{kind}{bits}bit" for kind in ("", "conv-") for bits in (4, 6, 8)]
    assert {*digits, "digits-tiny", "iris-4bit", "diabetes-8bit"} == set(SHIPPED)
    certified = {f"mnist-certified-{bits}bit" for bits in (4, 6, 8)} | {"fashion-certified-8bit", "fashion-certified-dense-8bit"}
    assert {*SHIPPED, "mnist-conv-8bit"} | certified == set(NAMES)


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(qs.ModelFileError, match=r"no such model(.|\n)*digits-7bit(.|\n)*digits-6bit"):
        qspec_models.card("digits-7bit")


def test_samples_that_are_not_shipped_are_refused_with_their_origin() -> None:
    with pytest.raises(qs.ModelFileError, match=r"not shipped(.|\n)*mnist-conv-8bit(.|\n)*http"):
        qspec_models.samples("mnist-conv-8bit")


@pytest.mark.parametrize("name", NAMES)
def test_files_are_those_of_the_card_and_small(name: str) -> None:
    card = qspec_models.card(name)
    assert sha256(card.path.read_bytes()).hexdigest() == card.sha256
    assert card.samples_path.exists() == (name in SHIPPED)
    if name in SHIPPED:
        assert sha256(card.samples_path.read_bytes()).hexdigest() == card.samples_sha256
    assert card.path.stat().st_size < 100_000


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_found_by_name(name: str) -> None:
    net = qs.load(name)
    assert net.name == name
    inputs = some_inputs(name)
    assert np.array_equal(evaluate(net, inputs[:3]), evaluate(qspec_models.load(name), inputs[:3]))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_score_is_the_measured_one(name: str) -> None:
    card = qspec_models.card(name)
    inputs, targets = qspec_models.samples(name)
    outputs = evaluate(qspec_models.load(name), inputs)
    if card.task == "classification":
        measured = np.mean(outputs.argmax(axis=1) == targets)
    else:
        measured = np.mean(np.abs(outputs[:, 0] - targets))
    assert measured == card.score
    assert len(inputs) == len(targets) == card.samples


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist-conv-8bit", "mnist-certified-8bit", "mnist-certified-4bit", "mnist-certified-6bit"])
def test_the_score_on_mnist_is_the_measured_one(name: str) -> None:
    folder = Path(os.environ["QSPEC_DATA"]) / "mnist"
    images = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    outputs = evaluate(qspec_models.load(name), images.reshape(-1, 28, 28, 1).astype(np.int64))
    card = qspec_models.card(name)
    assert np.mean(outputs.argmax(axis=1) == labels) == card.score
    assert len(labels) == card.samples


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("digits-4bit", 0.93),
        ("digits-6bit", 0.96),
        ("digits-8bit", 0.96),
        ("digits-conv-4bit", 0.95),
        ("digits-conv-6bit", 0.97),
        ("digits-conv-8bit", 0.97),
        ("digits-tiny", 0.6),
        ("iris-4bit", 0.95),
        ("mnist-conv-8bit", 0.98),
        ("mnist-certified-8bit", 0.98),
        ("mnist-certified-6bit", 0.98),
        ("mnist-certified-4bit", 0.94),
    ],
)
def test_models_are_good_enough_to_be_worth_verifying(name: str, least: float) -> None:
    assert qspec_models.card(name).score >= least


@pytest.mark.parametrize("name", SHIPPED)
def test_samples_are_inputs_that_mean_something(name: str) -> None:
    card = qspec_models.card(name)
    inputs, _ = qspec_models.samples(name)
    layer = qspec_models.load(name).inputs[0].layer
    assert isinstance(layer, qs.Input)
    assert inputs.shape[1:] == layer.shape
    assert card.lowest == inputs.min() if not layer.features else card.lowest <= inputs.min()
    assert inputs.max() <= card.highest
    for column, feature in enumerate(layer.features):
        assert feature.lower <= inputs[:, column].min()
        assert inputs[:, column].max() <= feature.upper


@pytest.mark.parametrize("name", NAMES)
def test_formats_are_those_of_the_network(name: str) -> None:
    input_line, *layer_lines = qspec_models.card(name).formats
    layers = [s.layer for s in qspec_models.load(name).stages]
    first, rest = layers[0], [x for x in layers if isinstance(x, qs.Dense | qs.Conv2D)]
    assert isinstance(first, qs.Input)
    assert input_line == f"input {first.format}"
    for line, layer in zip(layer_lines, rest, strict=True):
        assert layer.bias is not None
        kernel, bias, output = f"kernel {layer.kernel.format}", f"bias {layer.bias.format}", f"output {layer.output or 'raw accumulator'}"
        assert line.endswith(f"{'x'.join(map(str, layer.kernel.shape))}: {kernel}, {bias}, {output}")


@pytest.mark.parametrize("name", SHIPPED)
def test_standard_queries_are_well_formed(name: str) -> None:
    card, net = qspec_models.card(name), qspec_models.load(name)
    inputs, targets = qspec_models.samples(name)
    layer = net.inputs[0].layer
    assert isinstance(layer, qs.Input)
    features = {f.name for f in layer.features}
    stated = list(properties(name))
    assert len(set(card.queries)) == len(card.queries) == len(stated) > 0
    for query, spec in stated:
        assert spec.kind == "forall"
        match query:
            case LocalRobustness(sample, epsilon):
                assert epsilon >= 1
                assert evaluate(net, inputs[sample]).argmax() == targets[sample]
            case IndividualFairness(feature, tolerance):
                assert feature in features
                assert tolerance >= 0
            case Monotonicity(feature):
                assert feature in features


def test_what_the_readme_says_of_diabetes_is_true_of_every_input() -> None:
    net = qspec_models.load("diabetes-8bit")
    layer = net.inputs[0].layer
    assert isinstance(layer, qs.Input)
    ranges = [np.arange(f.lower, f.upper + 1) for f in layer.features]
    patients = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)
    outputs = np.stack([evaluate(net, of_one_age)[..., 0] for of_one_age in patients])
    slopes = {f.name: np.diff(outputs, axis=axis) for axis, f in enumerate(layer.features)}
    assert outputs.size == 6_368_400
    assert np.abs(slopes["sex"]).max() == 42
    assert {name for name in ("bmi", "bp", "ltg_tenths") if slopes[name].min() >= 0} == {"ltg_tenths"}


@pytest.mark.parametrize("name", NAMES)
def test_cards_survive_json(name: str) -> None:
    card = qspec_models.card(name)
    assert Card.from_json(card.to_json()) == card


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_states_what_the_card_states(name: str) -> None:
    card = qspec_models.card(name)
    rows = [line for line in (ROOT / "models" / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}`")]
    score = f"{card.score:.1f}" if card.task == "regression" else f"{100 * card.score:.2f} %"
    assert [c for c in rows if score in c and f"{card.path.stat().st_size:,}".replace(",", " ") in c and card.sha256 in c] == rows[:1] != []


@pytest.mark.parametrize("name", NAMES)
def test_training_evaluates_the_shipped_network_bit_for_bit(name: str) -> None:
    net = qspec_models.load(name)
    inputs = some_inputs(name)
    layers: list[Layer] = []
    values: Parameters = []
    for stage in net.stages:
        layer = stage.layer
        if isinstance(layer, qs.Dense | qs.Conv2D):
            assert layer.bias is not None
            units, kernel, bias, output = layer.kernel.shape[-1], layer.kernel.format, layer.bias.format, layer.output
            assert isinstance(kernel, qs.Fixed)
            assert isinstance(bias, qs.Fixed)
            assert isinstance(output, qs.Fixed | None)
            if isinstance(layer, qs.Dense):
                layers.append(Dense(units, kernel, bias, output))
            else:
                (((ring, _), _), size) = padding_pairs(layer.padding, (1, 1), (1, 1), (1, 1), (1, 1)), layer.kernel.shape[0]
                layers.append(Conv(units, kernel, bias, output, size=size, stride=layer.stride[0], ring=ring))
            parts = {"kernel": layer.kernel, "bias": layer.bias}
            values.append({key: jnp.asarray(part.values().astype(np.float32)) for key, part in parts.items()})
    (first,) = net.inputs
    unit = float(net.output_types[0].grid.units[0])
    seen = jax.jit(partial(forward, layers))(values, (inputs * float(first.type.grid.units[0])).astype(np.float32))
    assert np.array_equal(np.asarray(seen, dtype=np.float64) / unit, evaluate(net, inputs))


@pytest.mark.parametrize("name", NAMES)
def test_the_command_names_the_model(name: str) -> None:
    assert re.fullmatch(rf"python models/train (--data DIR )?--out models/qspec_models/data {name}", qspec_models.card(name).command)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("mnist-certified-8bit", 0.98, 0.007),
        ("mnist-certified-6bit", 0.96, 0.016),
        ("mnist-certified-4bit", 0.95, 0.026),
        ("fashion-certified-8bit", 0.76, 0.035),
        ("fashion-certified-dense-8bit", 0.78, 0.011),
    ],
)
def test_certified_shares_are_what_they_should_be(name: str, least: float, most: float) -> None:
    card = qspec_models.card(name)
    assert [c.radius for c in card.certified] == [1, 2, 4]
    for share in card.certified:
        counts = [round(card.samples * v) for v in (share.certified, share.refuted, share.undecided)]
        assert sum(counts) == round(card.samples * card.score)
    assert card.certified[-1].certified >= least
    assert card.certified[-1].undecided <= most


def test_the_int8_file_has_the_hidden_codes_of_the_network_it_was_made_of_in_both_reference_runtimes() -> None:
    digests, hidden = [], list[IntArray]()
    random = np.random.default_rng(2).integers(0, 256, (12, 28, 28, 1))
    for semantics in ("tflm", "litert-reference"):
        net = qs.load(qspec_models.CERTIFIED_INT8, kind=qs.Network, semantics=semantics)
        digests.append(digest(Query(program(net)[0], Truth(True))))
        stages = [s.name for s in net.stages if isinstance(s.layer, qs.Multiplier)]
        hidden = [trace(net, {net.inputs[0].name: random - 128})[name] for name in stages[:-1]]
    assert digests[0] == digests[1]
    source = qspec_models.load("mnist-certified-8bit")
    theirs = trace(source, {source.inputs[0].name: random})
    for own, name in zip(hidden, ("conv2d_1", "conv2d_2", "dense_1"), strict=True):
        assert np.array_equal(own.reshape(12, -1) + 128, theirs[name].reshape(12, -1))
    readme = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    assert sha256(qspec_models.CERTIFIED_INT8.read_bytes()).hexdigest() in readme
