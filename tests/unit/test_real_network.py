"""Real networks: layers, shapes and exact numbers, evaluation, conversion to and from fixed point, files, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.errors import QspecError
from qspec.ir.real import fractions
from tests.unit.random_networks import random_network

ACTIVATIONS = [
    qs.Linear(),
    qs.ReLU(),
    qs.ReLU(Fraction(3, 4)),
    qs.LeakyReLU(Fraction(1, 8)),
    qs.HardTanh(),
    qs.HardSigmoid(),
    qs.Sigmoid(),
    qs.Tanh(),
    qs.real.Softplus(),
    qs.real.Exp(),
    qs.real.Softmax(),
]


def dyadic(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 16) / 16


def dense(activation: object, seed: int = 0) -> qs.real.Network:
    rng = np.random.default_rng(seed)
    last = qs.real.Dense(dyadic(rng, 4, 3), dyadic(rng, 3), activation)  # pyright: ignore[reportArgumentType]
    return qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(dyadic(rng, 2, 4), dyadic(rng, 4), qs.ReLU()), last, name="small")


def image(seed: int = 0) -> qs.real.Network:
    """A graph with every layer that images need: convolutions, both poolings, a residual sum, a join."""
    rng = np.random.default_rng(seed)
    x = qs.real.Input((5, 4, 2))
    a = qs.real.apply(qs.real.Conv2D(dyadic(rng, 3, 2, 1, 4), dyadic(rng, 4), padding="same", groups=2, activation=qs.ReLU()), x)
    b = qs.real.apply(qs.real.Conv2D(dyadic(rng, 2, 2, 4, 4), stride=(1, 1), padding="same", dilation=(2, 1)), a)
    c = qs.real.apply(qs.Add(qs.ReLU()), a, b)
    pooled = qs.real.apply(qs.MaxPool2D((2, 2), padding="same"), c), qs.real.apply(qs.AveragePool2D((2, 2), padding="same"), c)
    flat = qs.real.apply(qs.Flatten(), qs.real.apply(qs.Concat(), *pooled))
    hidden = qs.real.apply(qs.real.Dense(dyadic(rng, flat.shape[0], 3), activation=qs.Tanh()), flat)
    return qs.real.Network.of(qs.real.apply(qs.real.Activate(qs.real.Softmax()), hidden), name="image")


def assert_enclosed(network: qs.real.Network, x: np.ndarray) -> None:
    low, high = network.enclose(x)
    y = network.evaluate(x)
    assert low.shape == high.shape == y.shape
    assert np.all(low <= high)
    assert np.all(high - low < Fraction(1, 10**15))
    assert np.all(np.abs(low.astype(np.float64) - y) < 1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_enclosures_are_where_the_doubles_are(activation: object) -> None:
    rng = np.random.default_rng(7)
    for _ in range(4):
        assert_enclosed(dense(activation), dyadic(rng, 2))


def test_images_and_graphs_mean_the_same_in_doubles_and_exactly() -> None:
    assert_enclosed(image(), dyadic(np.random.default_rng(3), 5, 4, 2))
    assert image().evaluate(np.zeros((6, 5, 4, 2))).shape == (6, 3)


def test_what_is_rational_is_exact() -> None:
    net = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense([["1/3", 0.1], [2, "0.1"]], ["1/7", -1], qs.ReLU()))  # pyright: ignore[reportArgumentType]
    low, high = net.enclose(["1/2", Fraction(1, 5)])
    exact = [Fraction(1, 6) + Fraction(2, 5) + Fraction(1, 7), max(Fraction(0), Fraction(0.1) / 2 + Fraction(1, 50) - 1)]
    assert list(low) == list(high) == exact


def test_a_quantised_network_read_as_reals_has_its_exact_parameters() -> None:
    compared = 0
    for seed in range(40):
        network = random_network(seed)
        if any(isinstance(getattr(s.layer, "activation", None), qs.Lookup) for s in network.stages):
            with pytest.raises(qs.UnsupportedError, match="no real counterpart"):
                network.real()
            continue
        real = network.real()
        assert [(s.name, s.shape) for s in real.stages] == [(s.name, s.type.shape) for s in network.stages]
        for ours, theirs in zip(real.stages, network.stages, strict=True):
            if isinstance(ours.layer, qs.real.Dense | qs.real.Conv2D):
                assert isinstance(theirs.layer, qs.Dense | qs.Conv2D)
                kernel = theirs.layer.kernel
                units, zeros = kernel.format.grid().per_element(kernel.shape)
                assert list(fractions(ours.layer.kernel).flat) == list(units * (kernel.codes.reshape(-1).astype(object) - zeros))
                compared += 1
    assert compared > 20


def test_quantising_rounds_parameters_once_as_the_format_says() -> None:
    net = dense(qs.Linear())
    trunc, near = (qs.Fixed(8, 2, rounding=r) for r in (qs.Rounding.TRN, qs.Rounding.RND))
    for fmt in (trunc, near):
        fixed = net.quantize(input=qs.Fixed(6, 3), weights=fmt, biases=near, activations=qs.Fixed(8, 3), output=qs.Fixed(10, 3))
        assert [s.name for s in fixed.stages] == [s.name for s in net.stages]
        for ours, theirs in zip(fixed.stages[1:], net.stages[1:], strict=True):
            assert isinstance(ours.layer, qs.Dense)
            assert isinstance(theirs.layer, qs.real.Dense)
            assert np.array_equal(ours.layer.kernel.codes, qs.quantize(theirs.layer.kernel, fmt).codes)
    assert fixed.stages[-1].type.grid == qs.Fixed(10, 3).grid()
    again = net.quantize(input=qs.Fixed(6, 3), weights=qs.Fixed(12, 4), activations=qs.Fixed(16, 8)).real()
    x = np.array([0.5, -0.25])
    assert np.array_equal(again.evaluate(x), net.evaluate(x))


def test_a_softmax_is_not_dropped_in_silence() -> None:
    with pytest.raises(qs.UnsupportedError, match="changes no argmax"):
        dense(qs.real.Softmax()).quantize(input=qs.Fixed(6, 3), weights=qs.Fixed(6, 3), activations=qs.Fixed(6, 3))


@pytest.mark.parametrize("network", [dense(a) for a in ACTIVATIONS] + [image()], ids=lambda n: str(n.stages[-1].layer)[:20])
def test_a_file_brings_back_the_network(network: qs.real.Network, tmp_path: Path) -> None:
    network.save(tmp_path / "a.qspec")
    again = qs.load(tmp_path / "a.qspec")
    again.save(tmp_path / "b.qspec")
    assert (tmp_path / "a.qspec").read_bytes() == (tmp_path / "b.qspec").read_bytes()
    x = dyadic(np.random.default_rng(1), *network.inputs[0].shape)
    assert [list(e) for e in again.enclose(x)] == [list(e) for e in network.enclose(x)]
    with pytest.raises(qs.ModelFileError, match="another kind"):
        qs.load(tmp_path / "a.qspec", kind=qs.Network)


def test_a_file_keeps_fractions(tmp_path: Path) -> None:
    net = qs.real.Sequential(qs.real.Input((1,)), qs.real.Dense([["1/3"]]))  # pyright: ignore[reportArgumentType]
    net.save(tmp_path / "a.qspec")
    assert qs.load(tmp_path / "a.qspec").enclose([1])[0].tolist() == [Fraction(1, 3)]


REFUSED: list[tuple[str, Callable[[], object], str]] = [
    ("weights that are no numbers", lambda: qs.real.Dense(np.array([[np.nan]])), "finite float"),
    ("infinite bias", lambda: qs.real.Dense(np.ones((1, 1)), np.array([np.inf])), "finite float"),
    ("kernel that is no matrix", lambda: qs.real.Dense(np.ones(3)), "wrong axes"),
    ("bias of another size", lambda: qs.real.Dense(np.ones((2, 3)), np.ones(2)), "bias does not fit"),
    ("layer on another shape", lambda: qs.real.Sequential(qs.real.Input((3,)), qs.real.Dense(np.ones((2, 1)))), "does not fit its input"),
    ("pool on a vector", lambda: qs.real.Sequential(qs.real.Input((3,)), qs.MaxPool2D((2, 2))), "needs an image"),
    ("format in a real layer", lambda: qs.real.Sequential(qs.real.Input((3,)), qs.Concat(qs.Fixed(8, 0))), "no formats"),
    ("table in a real layer", lambda: qs.real.Activate(qs.Sigmoid(qs.Fixed(8, 4))), "no tables"),
    ("quantised layer", lambda: qs.real.Sequential(qs.real.Input((2,)), qs.Dense(qs.Tensor([[1], [1]], qs.Fixed(3, 0)))), "wrong kind"),  # pyright: ignore[reportArgumentType]
    ("no input", lambda: qs.real.Sequential(qs.Flatten()), "begins with an input"),
    ("two of one name", lambda: qs.real.Sequential(qs.real.Input((1,)), qs.Flatten("x")), "one name"),
    ("values of another shape", lambda: dense(qs.Linear()).evaluate([1.0, 2.0, 3.0]), "wrong shape"),
    ("no box", lambda: dense(qs.Linear()).input("x"), "bounded box"),
    ("half a box", lambda: dense(qs.Linear()).input("x", lower=0), "no upper end"),
    ("unbounded box", lambda: dense(qs.Linear()).input("x", lower=0, upper=float("inf")), "not finite"),
    ("box of no number", lambda: dense(qs.Linear()).input("x", lower=[0, float("nan")], upper=1), "not finite"),
    ("empty box", lambda: dense(qs.Linear()).input("x", lower=[0, 1], upper=[1, "0.5"]), "empty domain"),
    ("box of another shape", lambda: dense(qs.Linear()).input("x", lower=[0, 0, 0], upper=1), "wrong shape"),
    ("no such layer", lambda: dense(qs.Linear()).perturb(rho=1, layers=["dense_9"]), "no such layer"),
    ("layer without parameters", lambda: dense(qs.Linear()).perturb(rho=1, layers=["x"]), "stores no parameters"),
    ("nothing perturbed", lambda: dense(qs.Linear()).perturb(rho=1, weights=False, biases=False), "nothing to perturb"),
    ("by how much", lambda: dense(qs.Linear()).perturb(), "by how much"),
    ("by two measures", lambda: dense(qs.Linear()).perturb(rho=1, bits=2), "by how much"),
    ("negative", lambda: dense(qs.Linear()).perturb(rho="-1/2"), "negative"),
    ("no box of parameters", lambda: dense(qs.Linear()).perturb(rho=float("inf")), "finite float"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_malformed_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(QspecError, match=message):
        build()


@pytest.mark.parametrize(
    ("options", "reach"),
    [
        ({"rho": "1/3"}, lambda w: Fraction(1, 3)),
        ({"rho": "1/8", "relative": True}, lambda w: abs(w) / 8),
        ({"bits": 3}, lambda w: Fraction(1, 16)),
        ({"bits": 3, "rounding": "truncate"}, lambda w: Fraction(1, 8)),
    ],
    ids=["absolute", "relative", "rounded", "truncated"],
)
def test_boxes_of_parameters(options: dict[str, object], reach: Callable[[Fraction], Fraction]) -> None:
    net = dense(qs.Linear())
    perturbed = net.perturb(**options)  # pyright: ignore[reportArgumentType]
    assert [v.name for v in perturbed.parameters] == ["dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"]
    layers = [s.layer for s in net.stages if isinstance(s.layer, qs.real.Dense)]
    stored = [a for layer in layers for a in (layer.kernel, layer.bias) if a is not None]
    for v, array in zip(perturbed.parameters, stored, strict=True):
        for low, high, w in zip(fractions(v.lower).flat, fractions(v.upper).flat, fractions(array).flat, strict=True):
            assert (low, high) == (w - reach(w), w + reach(w))


def test_rounding_is_inside_its_box_of_parameters() -> None:
    rng = np.random.default_rng(5)
    net = qs.real.Sequential(qs.real.Input((3,)), qs.real.Dense(rng.normal(size=(3, 2))))
    for rounding, mode in (("nearest", qs.Rounding.RND), ("truncate", qs.Rounding.TRN)):
        box = net.perturb(bits=4, rounding=rounding).parameters[0]  # pyright: ignore[reportArgumentType]
        layer = net.stages[1].layer
        assert isinstance(layer, qs.real.Dense)
        rounded = qs.quantize(layer.kernel, qs.Fixed(32, 4, rounding=mode)).codes * Fraction(1, 16)
        assert np.all((fractions(box.lower) <= rounded) & (rounded <= fractions(box.upper)))


def sparse() -> qs.real.Network:
    """A sum with an element that occurs twice, a row with a bias alone, and a result that is an image."""
    rows, columns = np.array([0, 0, 1, 3, 3]), np.array([1, 1, 0, 2, 0])
    layer = qs.real.Sparse((2, 1, 2), rows, columns, ["1/3", 2, -1, 4, "1/7"], [0, 1, "1/5", 0])  # pyright: ignore[reportArgumentType]
    return qs.real.Sequential(qs.real.Input((3,)), layer, qs.real.Activate(qs.ReLU()), qs.MaxPool2D((2, 1)), name="sparse")


def test_sparse_layers_are_exact_and_come_back_from_files(tmp_path: Path) -> None:
    x = [Fraction(1, 2), Fraction(-3), Fraction(2, 3)]
    wanted = [max(Fraction(0), Fraction(1, 5)), max(Fraction(1, 2), Fraction(8, 3) + Fraction(1, 14))]
    sparse().save(tmp_path / "sparse.qspec")
    for network in (sparse(), qs.load(tmp_path / "sparse.qspec")):
        low, high = network.enclose(x)
        assert low.reshape(-1).tolist() == high.reshape(-1).tolist() == wanted
        assert_enclosed(network, np.array([0.5, -3, 0.75]))


def test_sparse_layers_that_do_not_fit_are_refused() -> None:
    one = np.zeros(1, dtype=int)
    for make in (
        lambda: qs.real.Sparse((2,), np.array([2]), one, np.ones(1)),
        lambda: qs.real.Sparse((2,), one, -one - 1, np.ones(1)),
        lambda: qs.real.Sparse((2,), one, np.array([2**64 - 1], dtype=np.uint64), np.ones(1)),
        lambda: qs.real.Sparse((2,), one, one, np.ones(2)),
        lambda: qs.real.Sparse((2,), one, one, np.ones(1), np.ones(1)),
        lambda: qs.real.Sequential(qs.real.Input((2,)), qs.real.Sparse((2,), one, one + 2, np.ones(1))),
        lambda: sparse().quantize(input=qs.Fixed(6, 2), weights=qs.Fixed(6, 2), activations=qs.Fixed(6, 2)),
    ):
        with pytest.raises(QspecError, match=r"sparse layer|bias"):
            make()


def test_ends_wider_than_a_word_are_clipped_when_a_counterexample_is_replayed() -> None:
    """The unit of the point is so fine that the end of a ReLU-N is more than 2^63 of it."""
    network = qs.real.Sequential(qs.real.Input((1,)), qs.real.Activate(qs.ReLU(Fraction(1, 2))))
    x = network.input("x", lower=Fraction(1, 3 * 2**70), upper=Fraction(1, 3 * 2**70))
    assert qs.verify(qs.forall(x, then=qs.all(network(x) <= 0)), solver="z3").verdict is qs.Verdict.VIOLATED
