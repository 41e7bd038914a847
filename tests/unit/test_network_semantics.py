"""Networks compute, code for code, what the definitions say (`naive.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel, code_range
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor, quantize
from qspec.face import Network, Sequential
from qspec.language.domains import Range
from qspec.language.interpret import Interpreter
from qspec.language.perturbation import stored_parameters
from qspec.language.variables import Code
from qspec.lowering.evaluate import trace
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import apply
from qspec.network.layers import Add, Concat, Conv2D, Dense, Flatten, Input, Requantize, fold_batch_norm
from tests.unit import naive
from tests.unit.random_networks import random_codes, random_network

MODES = list(product(Rounding, Overflow))
ACTIVATIONS: list[Activation] = [
    Linear(),
    ReLU(),
    ReLU(Fraction(6)),
    ReLU(Fraction(4, 3)),
    LeakyReLU(Fraction(1, 10)),
    LeakyReLU(Fraction(0)),
    Sign(),
    HardTanh(),
    HardSigmoid(),
    HardSigmoid(Fraction(3, 7), Fraction(-1, 5)),
    Sigmoid(),
    Tanh(),
    Sigmoid(table=Fixed(4, 1, True, Rounding.TRN, Overflow.WRAP)),
    Tanh(table=Fixed(5, 3, False, Rounding.RND_CONV, Overflow.SAT_ZERO)),
]


def check(network: Network, codes: Mapping[str, np.ndarray]) -> None:
    """Compare every stage on every case: codes where the signal is stored, and what they stand for everywhere."""
    found = trace(network, dict(codes))
    cases = next(iter(codes.values())).shape[0]
    for case in range(cases):
        expected = naive.evaluate(network, {name: own[case].reshape(-1).tolist() for name, own in codes.items()})
        for stage in network.stages:
            signal, actual = expected[stage.name], found[stage.name][case]
            assert actual.shape == signal.shape
            flat = [int(c) for c in actual.reshape(-1)]
            units, zeros = stage.type.grid.per_element(stage.type.shape)
            values = [u * (c - z) for u, c, z in zip(units, flat, zeros, strict=True)]
            where = (network.name, stage.name, stage.layer, case)
            assert values == signal.values, where
            assert signal.codes is None or flat == signal.codes, where


def every_code(fmt: Format) -> dict[str, np.ndarray]:
    """Return all codes of an input `x` with one element."""
    low, high = code_range(fmt, (1,))
    return {"x": np.arange(low[0], high[0] + 1)[:, None]}


def converter(source: Format, output: Format, activation: Activation) -> Network:
    return Sequential(Input((1,), source), Requantize(output, activation))


@pytest.mark.parametrize("seed", range(300))
def test_random_networks(seed: int) -> None:
    network = random_network(seed)
    check(network, random_codes(network, seed, most=64))


@pytest.mark.parametrize("seed", range(100))
def test_random_networks_at_the_far_ends_of_the_formats(seed: int) -> None:
    network = random_network(seed, extreme=True)
    check(network, random_codes(network, seed, most=32))


def test_the_random_networks_reach_everything() -> None:
    networks = [random_network(seed) for seed in range(300)]
    layers = [s.layer for n in networks for s in n.stages]
    convolutions = [layer for layer in layers if isinstance(layer, Conv2D)]
    sums = [layer for layer in layers if isinstance(layer, Dense | Conv2D)]
    finished = [layer for layer in layers if isinstance(layer, Dense | Conv2D | Add | Requantize)]
    formats = [layer.output for layer in finished if layer.output is not None]
    modes = [f.formats[0] if isinstance(f, PerChannel) else f for f in formats]
    assert len({type(layer) for layer in layers}) == 9
    assert len({type(layer.activation) for layer in finished}) == 9
    assert {type(f) for f in formats} == {Fixed, Affine, PerChannel}
    assert {(m.rounding, m.overflow) for m in modes} == set(MODES)
    assert {c.padding if isinstance(c.padding, str) else "stated" for c in convolutions} == {"valid", "same", "stated"}
    assert any(c.groups > 1 for c in convolutions)
    assert any(c.dilation != (1, 1) for c in convolutions)
    assert any(c.stride[0] != c.stride[1] for c in convolutions)
    assert any(layer.accumulator is not None and layer.output is None for layer in sums)
    assert any(len(n.inputs) > 1 for n in networks)
    assert any(len(n.outputs) > 1 for n in networks)


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.parametrize("signed", [True, False])
def test_requantisation_of_every_code(rounding: Rounding, overflow: Overflow, signed: bool) -> None:
    source = Fixed(7, 3)
    for width, frac in [(1, 0), (2, 4), (3, 1), (3, -1), (4, 7), (6, 2), (9, 3), (16, -4)]:
        check(converter(source, Fixed(width, frac, signed, rounding, overflow), Linear()), every_code(source))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations_of_every_code(activation: Activation, rounding: Rounding) -> None:
    for source, output in [
        (Fixed(6, 3), Fixed(5, 3, True, rounding, Overflow.SAT)),
        (Affine(6, False, Fraction(1, 7), 30), Affine(3, True, Fraction(1, 3), 1, rounding, Overflow.SAT_SYM)),
        (Affine(6, True, Fraction(3, 10), -5), Fixed(2, 1, False, rounding, Overflow.WRAP)),
        (Fixed(6, 1), Fixed(2, 1, True, rounding, Overflow.SAT_ZERO)),
    ]:
        check(converter(source, output, activation), every_code(source))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("unit", [Fraction(1), Fraction(1, 3), Fraction(1, 5), Fraction(2, 7)])
def test_a_sigmoid_of_zero_between_two_codes(unit: Fraction, rounding: Rounding) -> None:
    """One half is the only value of these functions that is a tie: between the codes 0 and 1, 1 and 2, 2 and 3."""
    source = Fixed(4, 2)
    check(converter(source, Affine(4, True, unit, -2, rounding), Sigmoid()), every_code(source))


@pytest.mark.parametrize("overflow", Overflow)
def test_tables_of_every_code(overflow: Overflow) -> None:
    index = Fixed(3, 1, True, Rounding.TRN, overflow)
    output = Affine(5, False, Fraction(1, 9), 4)
    table = Lookup(index, Tensor(np.array([3, 1, 4, 1, 5, 9, 2, 6]), output))
    source = Fixed(7, 3)
    check(converter(source, output, table), every_code(source))


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_declared_accumulators_of_every_code(rounding: Rounding, overflow: Overflow) -> None:
    held = Fixed(5, 1, True, rounding, overflow)
    kernel, bias = Tensor(np.array([[7, -5], [3, 6]]), Fixed(4, 2)), Tensor(np.array([5, -9]), Fixed(5, 3))
    dense = Dense(kernel, bias, ReLU(), Fixed(4, 0), held)
    codes = {"x": np.array(list(product(range(-8, 8), repeat=2)))}
    check(Sequential(Input((2,), Fixed(4, 1)), dense), codes)


def test_sigmoids_of_channels_with_different_steps_on_enormous_sums() -> None:
    """Thresholds that fill up shorter ladders lie above every accumulator, whatever its size."""
    output = PerChannel((Fixed(8, 6, False), Fixed(2, 0, False)))
    bias = Tensor(np.array([1, 1]), Fixed(8, 1000))
    dense = Dense(Tensor(np.array([[1, 1]]), Fixed(4, 0)), bias, Sigmoid(), output)
    check(Sequential(Input((1,), Fixed(8, -1000)), dense), {"x": np.array([[-128], [-1], [0], [1], [127]])})


def test_codes_beyond_64_bits_are_exact_for_zero_inputs_too() -> None:
    network = Network.of(apply(Add(), apply(Input((2,), Fixed(4, 0), "a")), apply(Input((2,), Fixed(4, 100), "b"))))
    check(network, {"a": np.array([[0, 0], [0, 1]]), "b": np.array([[0, 0], [7, -8]])})


def test_the_unit_of_a_raw_sum_is_the_largest() -> None:
    dense = Dense(Tensor(np.array([[1], [1]]), Fixed(2, 0)), Tensor(np.array([1]), Affine(4, True, Fraction(1, 4))))
    network = Sequential(Input((2,), Affine(4, True, (Fraction(1, 6), Fraction(1, 10)))), dense)
    assert network.output_types[0].grid.units == (Fraction(1, 60),)


def test_perturbed_parameters_are_the_parameters() -> None:
    """Codes that the perturbation allows, put in by the specification language, compute what the same codes compute when stored."""
    for seed in range(40):
        network = random_network(seed)
        stored = stored_parameters(network)
        if not stored:
            continue
        perturbed = network.perturb(weights=2, biases=1)
        rng = np.random.default_rng(seed)
        for codes in rows(random_codes(network, seed, most=24), 2):
            drawn = {v.name: draw(v.domain.pieces[0], rng) for v in perturbed.parameters if isinstance(v.domain.pieces[0], Range)}
            replaced = {key: drawn[f"{key[0]}.{key[1]}"] for key in stored if f"{key[0]}.{key[1]}" in drawn}
            compare_symbolic(network, perturbed.signal, codes, drawn, replaced)


def test_flipped_bits_are_flipped_bits() -> None:
    for seed in range(40):
        network = random_network(seed)
        stored = {key: t for key, t in stored_parameters(network).items() if not isinstance(t.format, PerChannel)}
        if not stored or len(stored) < len(stored_parameters(network)):
            continue
        bits = [(key, k, bit) for key, t in stored.items() for k in range(t.codes.size) for bit in range(width_of(t))]
        flipped = network.flip_bits(2)
        rng = np.random.default_rng(seed)
        for codes in rows(random_codes(network, seed, most=24), 2):
            chosen = rng.choice(len(bits), size=min(2, len(bits)), replace=False)
            replaced = {key: t.codes.reshape(-1).tolist() for key, t in stored.items()}
            for b in chosen:
                key, k, bit = bits[b]
                replaced[key][k] = flip(replaced[key][k], bit, stored[key])
            compare_symbolic(network, flipped.signal, codes, {"flips": np.isin(np.arange(len(bits)), chosen).astype(int)}, replaced)


def compare_symbolic(network: Network, signal, codes, parameters, replaced) -> None:
    """Compare the interpreter of specifications, on a network with free parameters, with the definitions."""
    variables = [network.input(s.name, of=s.name) for s in network.inputs]
    run = Interpreter({**codes, **parameters})
    expected = naive.evaluate(network, {name: own.tolist() for name, own in codes.items()}, replaced)
    for stage in network.stages:
        output = signal(*variables, layer=stage.name)
        assert run.values(output).reshape(-1).tolist() == expected[stage.name].values
        if expected[stage.name].codes is not None:
            assert run.values(Code(output)).reshape(-1).tolist() == expected[stage.name].codes


def rows(codes: Mapping[str, np.ndarray], most: int) -> list[dict[str, np.ndarray]]:
    count = next(iter(codes.values())).shape[0]
    return [{name: own[k] for name, own in codes.items()} for k in range(min(count, most))]


def draw(piece: Range, rng: np.random.Generator) -> np.ndarray:
    return piece.start + rng.integers(0, np.asarray(piece.count, dtype=np.int64) + 1)


def width_of(tensor: Tensor) -> int:
    assert isinstance(tensor.format, Fixed | Affine)
    return tensor.format.width


def flip(code: int, bit: int, tensor: Tensor) -> int:
    """Return the code with one bit of its two's complement (or unsigned) representation inverted."""
    assert isinstance(tensor.format, Fixed | Affine)
    width = tensor.format.width
    pattern = (code & (2**width - 1)) ^ (1 << bit)
    return pattern - 2**width if tensor.format.signed and pattern >> (width - 1) else pattern


def test_folding_a_batch_norm_changes_nothing() -> None:
    """With a deviation, gain and values that are powers of two nothing rounds, so equality is exact."""
    rng = np.random.default_rng(5)
    kernel, bias = rng.integers(-8, 8, (3, 3, 2, 4)) / 8, rng.integers(-8, 8, 4) / 8
    gamma, beta, mean = np.array([0.5, 2.0, 1.0, -4.0]), rng.integers(-8, 8, 4) / 4, rng.integers(-8, 8, 4) / 4
    variance = np.array([0.0, 0.75, 3.75, 15.75])
    folded, shifted = fold_batch_norm(kernel, bias, gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=0.25)
    fine = Fixed(32, 16)
    plain, normal = (
        Sequential(Input((4, 4, 2), Fixed(8, 4)), Conv2D(quantize(k, fine), quantize(b, fine)))
        for k, b in [(kernel, bias), (folded, shifted)]
    )
    codes = rng.integers(-128, 128, (5, 4, 4, 2))
    before, after = (n.evaluate(codes) * float(n.output_types[0].grid.units[0]) for n in (plain, normal))
    assert np.array_equal(after, gamma * (before - mean) / np.array([0.5, 1.0, 2.0, 4.0]) + beta)


def test_real_networks_compute_the_same_where_nothing_rounds() -> None:
    """Raw sums of dyadic numbers are exact in doubles too."""
    dyadic = Fixed(6, 3)
    rng = np.random.default_rng(8)
    x = Input((4, 5, 2), dyadic)
    kernel = Tensor(rng.integers(-31, 32, (2, 3, 1, 4)), dyadic)
    convolved = apply(Conv2D(kernel, Tensor(rng.integers(-31, 32, 4), dyadic), (1, 2), "same", (2, 1), 2, ReLU()), x)
    joined = apply(Concat(), convolved, apply(Add(), convolved, convolved))
    network = Network.of(apply(Dense(Tensor(rng.integers(-31, 32, (4 * 3 * 8, 3)), dyadic)), apply(Flatten(), joined)))
    codes = rng.integers(-32, 32, (6, 4, 5, 2))
    unit = float(network.output_types[0].grid.units[0])
    assert np.array_equal(network.real().evaluate(codes / 8), network.evaluate(codes) * unit)
