"""An error planted in the lowering of any layer, activation, rounding or overflow is noticed when a counterexample is replayed.

Each property says what the definitions say (`naive.py`) of one point, so it holds; only a wrong query has a counterexample. The unions of
layers and activations are covered by `get_args`: one that is added fails here until it has an example.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import qspec as qs
from qspec import semantics
from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor, quantize
from qspec.compile import query as compiler
from qspec.errors import SoundnessError, UnsupportedError
from qspec.face import Network, RealNetwork, RealSequential, Sequential
from qspec.lowering import layers as lower
from qspec.lowering import real_layers as real_lower
from qspec.lowering import requantize
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import Signal, apply, real_apply
from qspec.network.kernel_layers import Constant, KernelLayer, Multiplier, Pad, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealLayer,
    RealSparse,
    Softmax,
    Softplus,
)
from qspec.semantics import fixed
from tests.unit import naive

BYTE = Affine(8, True, Fraction(1, 10), 3)
WIDE, NARROW = Fixed(8, 3), Affine(5, True, Fraction(1, 3), 2)
IMAGE = Input((3, 4, 2), Fixed(5, 2))
POINT = np.random.default_rng(3).integers(-16, 16, (3, 4, 2))


def weights(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(sum(shape)).integers(-8, 8, shape), Fixed(4, 2))


def on_image(*layers: Layer) -> Network:
    return Sequential(IMAGE, *layers)


def branches(layer: Layer) -> Network:
    image: Signal = apply(IMAGE)
    return Network.of(apply(layer, image, apply(Requantize(Fixed(6, 1)), image)))


CONV = Conv2D(weights(2, 3, 1, 4), weights(4), (1, 2), "same", (1, 1), 2, ReLU(), WIDE)
MEAN = AveragePool2D((2, 2), (1, 2), "same", output=WIDE)
LAYERS: dict[type, Network] = {
    Input: on_image(Flatten()),
    Dense: on_image(Flatten(), Dense(weights(24, 2), weights(2), ReLU(), WIDE, Fixed(9, 3))),
    Conv2D: on_image(CONV),
    AveragePool2D: on_image(MEAN),
    MaxPool2D: on_image(MaxPool2D((2, 2), (1, 2), "same")),
    Flatten: on_image(Flatten()),
    Add: branches(Add(ReLU(), WIDE)),
    Concat: branches(Concat(WIDE)),
    Requantize: on_image(Requantize(NARROW)),
    Reinterpret: on_image(Reinterpret(NARROW)),
    Reshape: on_image(Reshape((4, 6))),
    Transpose: on_image(Transpose((1, 0, 2))),
    Pad: on_image(Pad((0, 1, 0), (1, 0, 2), 3)),
    Constant: Network.of(apply(Add(output=WIDE), apply(IMAGE), apply(Constant(weights(3, 4, 2))))),
    Multiplier: on_image(Multiplier(BYTE, (1431655765,), (0,), (Scaling.AWAY,))),
    Thresholds: on_image(Thresholds(BYTE, np.array([-2]), np.array([[-7, 0, 5, 5]]))),
}
ACTIVATIONS: dict[type, Activation] = {
    Linear: Linear(),
    ReLU: ReLU(Fraction(4, 3)),
    LeakyReLU: LeakyReLU(Fraction(1, 10)),
    Sign: Sign(),
    HardTanh: HardTanh(),
    HardSigmoid: HardSigmoid(),
    Sigmoid: Sigmoid(),
    Tanh: Tanh(table=Fixed(4, 2)),
    Lookup: Lookup(Fixed(3, 1), Tensor(np.array([3, 1, 4, 1, 5, 9, 2, 6]), NARROW)),
}


def states_the_truth(network: Network) -> qs.Property:
    """Say of one point what the definitions say of it; for kernels of runtimes, which `naive.py` does not know, what replay says."""
    x, last = network.input("x"), network.stages[network.outputs[0]].name
    if any(isinstance(s.layer, KernelLayer) for s in network.stages):
        truth = fixed.evaluate(network, [POINT])[last].output.codes.reshape(-1).tolist()
    else:
        truth = naive.evaluate(network, {network.inputs[0].name: POINT.reshape(-1).tolist()})[last].codes
    output = network(x).code
    return qs.forall(x, given=qs.all(x.code == POINT), then=qs.all(output == np.array(truth).reshape(output.shape)))


def noticed(spec: qs.Property, plant: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Check that the property holds, and that it is not refuted when an error is planted, but the error is reported."""
    monkeypatch.chdir(tmp_path)
    assert qs.verify(spec).verdict is qs.Verdict.HOLDS
    plant()
    with pytest.raises(SoundnessError, match="none of the property"):
        qs.verify(spec)


def shifted(function: Callable[..., Any], wrong: Callable[..., bool], add: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return a lowering function whose result is one too large where `wrong` says so."""

    def planted(builder: Any, *rest: Any, **options: Any) -> Any:
        result = function(builder, *rest, **options)
        return add(builder, result) if wrong(*rest) else result

    return planted


@pytest.mark.parametrize("kind", get_args(Layer), ids=lambda k: k.__name__)
def test_layers(kind: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = LAYERS[kind]
    spec = states_the_truth(network)

    def more(builder: Any, taps: lower.Taps) -> lower.Taps:
        return replace(taps, output=builder.scale(taps.output, 1, np.ones(builder.size(taps.output), dtype=np.int64)))

    def plant() -> None:
        if kind is Input:
            whole = lower.lower
            monkeypatch.setattr(
                compiler, "lower", lambda b, n, x, p=None: whole(b, n, [b.scale(k, 1, np.ones(b.size(k), dtype=np.int64)) for k in x], p)
            )
        else:
            wrong = shifted(lower._lower_stage, lambda stage, *_: isinstance(stage.layer, kind), more)
            monkeypatch.setattr(lower, "_lower_stage", wrong)

    noticed(spec, plant, monkeypatch, tmp_path)


@pytest.mark.parametrize("kind", get_args(Activation), ids=lambda k: k.__name__)
def test_activations(kind: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    activation = ACTIVATIONS[kind]
    spec = states_the_truth(on_image(Requantize(NARROW, activation)))
    original = requantize.requantize

    def plant() -> None:
        def wrong(b: Any, node: int, units: Any, fmt: Any, shape: Any, own: Activation) -> requantize.Requantized:
            done = original(b, node, units, fmt, shape, own)
            return replace(done, code=b.scale(done.code, 1, np.ones(b.size(done.code), dtype=np.int64))) if own is activation else done

        monkeypatch.setattr(lower, "requantize", wrong)

    noticed(spec, plant, monkeypatch, tmp_path)


@pytest.mark.parametrize("rounding", Rounding, ids=lambda r: r.name)
def test_roundings(rounding: Rounding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each mode is taken for one that differs from it on a tie."""
    other = {
        Rounding.TRN: Rounding.TRN_ZERO,
        Rounding.TRN_ZERO: Rounding.TRN,
        Rounding.RND: Rounding.RND_MIN_INF,
        Rounding.RND_MIN_INF: Rounding.RND,
        Rounding.RND_ZERO: Rounding.RND_INF,
        Rounding.RND_INF: Rounding.RND_CONV,
        Rounding.RND_CONV: Rounding.RND_ZERO,
    }
    swapped(replace(Fixed(5, 1), rounding=rounding), replace(Fixed(5, 1), rounding=other[rounding]), monkeypatch, tmp_path)


@pytest.mark.parametrize("overflow", Overflow, ids=lambda o: o.name)
def test_overflows(overflow: Overflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modes = list(Overflow)
    other = modes[(modes.index(overflow) + 1) % len(modes)]
    swapped(replace(Fixed(3, 1), overflow=overflow), replace(Fixed(3, 1), overflow=other), monkeypatch, tmp_path)


def swapped(stated: Fixed, taken: Fixed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = states_the_truth(on_image(Requantize(stated)))
    original = requantize.requantize
    noticed(
        spec,
        lambda: monkeypatch.setattr(
            lower, "requantize", lambda b, node, units, fmt, *rest: original(b, node, units, taken if fmt == stated else fmt, *rest)
        ),
        monkeypatch,
        tmp_path,
    )


MISTAKES: dict[str, tuple[Layer, Callable[[Any], Layer]]] = {
    "bias left out": (CONV, lambda c: replace(c, bias=None)),
    "padding on the other side": (replace(CONV, padding=((0, 1), (1, 1))), lambda c: replace(c, padding=((1, 0), (1, 1)))),
    "groups in another order": (CONV, lambda c: replace(c, kernel=Tensor(c.kernel.codes[..., [2, 3, 0, 1]], c.kernel.format))),
    "kernel turned": (CONV, lambda c: replace(c, kernel=Tensor(c.kernel.codes[::-1, ::-1], c.kernel.format))),
    "activation left out": (CONV, lambda c: replace(c, activation=Linear())),
    "padding counted": (MEAN, lambda p: replace(p, count_padding=not p.count_padding)),
    "a mean for a maximum": (MaxPool2D((2, 2), name="pool"), lambda p: AveragePool2D(p.window, output=IMAGE.format, name="pool")),
}


@pytest.mark.parametrize(("layer", "mistake"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_of_a_reader(layer: Layer, mistake: Callable[[Any], Layer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network, wrong = on_image(layer), on_image(mistake(layer))
    original = lower.lower
    noticed(
        states_the_truth(network),
        lambda: monkeypatch.setattr(compiler, "lower", lambda b, n, x, p=None: original(b, wrong if n is network else n, x, p)),
        monkeypatch,
        tmp_path,
    )


@pytest.mark.parametrize("free", ["perturb", "flip_bits"])
def test_free_parameters(free: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bounds that the definitions give over all parameters hold; one unit more in the lowering breaks them only in the query."""
    source = Fixed(3, 0)
    network = Sequential(
        Input((1,), source), Dense(Tensor(np.array([[1]]), Fixed(3, 0)), Tensor(np.array([1]), Fixed(3, 0)), output=Fixed(8, 0))
    )
    changed = network.perturb(weights=1, biases=1) if free == "perturb" else network.flip_bits(1)
    x = changed.input("x")
    given = qs.all(x.code == 3)
    most = 8 if free == "perturb" else 1 + 3 * 3  # weights up to 2 and biases up to 2; or the weight 1 becomes 3
    spec = qs.forall(x, *changed.parameters, given=given, then=changed(x).code[0] <= most)

    def more(builder: Any, taps: lower.Taps) -> lower.Taps:
        return replace(taps, output=builder.scale(taps.output, 1, np.ones(1, dtype=np.int64)))

    wrong = shifted(lower._lower_stage, lambda *_: True, more)
    noticed(spec, lambda: monkeypatch.setattr(lower, "_lower_stage", wrong), monkeypatch, tmp_path)


REAL_LAYERS: dict[type, Callable[[RealInput], RealNetwork]] = {
    RealInput: lambda x: RealSequential(x, Flatten()),
    RealDense: lambda x: RealSequential(x, Flatten(), RealDense(np.ones((8, 2)) / 4, np.array([1.0, -0.5]))),
    RealConv2D: lambda x: RealSequential(x, RealConv2D(np.arange(16.0).reshape(2, 2, 2, 2), padding="same")),
    RealSparse: lambda x: RealSequential(x, RealSparse((2,), np.array([0, 0, 1]), np.array([5, 2, 7]), np.array([1.0, -2.0, 0.5]))),
    Activate: lambda x: RealSequential(x, Activate(ReLU())),
    Flatten: lambda x: RealSequential(x, Flatten()),
    MaxPool2D: lambda x: RealSequential(x, MaxPool2D((2, 2))),
    AveragePool2D: lambda x: RealSequential(x, AveragePool2D((2, 1))),
    Add: lambda x: RealNetwork.of(real_apply(Add(), x, real_apply(Activate(ReLU()), x))),
    Concat: lambda x: RealNetwork.of(real_apply(Concat(), x, real_apply(Activate(ReLU()), x))),
}
REAL_ACTIVATIONS: dict[type, RealActivation] = {
    Linear: Linear(),
    ReLU: ReLU(Fraction(1, 3)),
    LeakyReLU: LeakyReLU(Fraction(1, 10)),
    Sign: Sign(),
    HardTanh: HardTanh(),
    HardSigmoid: HardSigmoid(),
    Sigmoid: Sigmoid(),
    Tanh: Tanh(),
    Softplus: Softplus(),
    Exp: Exp(),
    Softmax: Softmax(),
}
VALUES = np.random.default_rng(4).integers(-12, 12, (2, 2, 2)) / 8


def within(network: RealNetwork) -> qs.Property:
    """Say of one point that each output is within 1/4 of what doubles give."""
    x = network.input("x", lower=VALUES, upper=VALUES)
    near = np.array([Fraction(float(v)) for v in network.evaluate(VALUES).reshape(-1)], dtype=object)
    return qs.forall(x, then=qs.all(abs(network(x).flatten() - near) <= "1/4"))


@pytest.mark.parametrize("kind", get_args(RealLayer), ids=lambda k: k.__name__)
def test_real_layers(kind: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = REAL_LAYERS[kind](RealInput((2, 2, 2)))

    def plant() -> None:
        from qspec.compile import real_query as real_compiler

        whole = real_lower.lower
        if kind is RealInput:
            monkeypatch.setattr(real_compiler, "lower", lambda b, n, x, p=None: whole(b, n, [b.scale(k, 1, Fraction(1)) for k in x], p))
        else:
            wrong = shifted(
                real_lower._lower_stage,
                lambda stage, *_: isinstance(stage.layer, kind),
                lambda b, node: b.scale(node, 1, Fraction(1)),
            )
            monkeypatch.setattr(real_lower, "_lower_stage", wrong)

    noticed(within(network), plant, monkeypatch, tmp_path)


@pytest.mark.parametrize("kind", get_args(RealActivation), ids=lambda k: k.__name__)
def test_real_activations(kind: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = RealSequential(RealInput((2, 2, 2)), Activate(REAL_ACTIVATIONS[kind]))
    if kind is Sign:
        with pytest.raises(UnsupportedError):
            qs.verify(within(network))
        return
    wrong = shifted(real_lower.activate, lambda *_: True, lambda b, node: b.scale(node, 1, Fraction(1)))
    noticed(within(network), lambda: monkeypatch.setattr(real_lower, "activate", wrong), monkeypatch, tmp_path)


def test_a_counterexample_of_a_certified_test_set_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is made wrong altogether: the network that it evaluates has its classes exchanged."""
    kernel = quantize(np.array([[1.0, -1.0]]), Fixed(4, 1))
    network = Sequential(Input((1,), Fixed(4, 0)), Dense(kernel, output=Fixed(8, 0)))
    images, labels = np.array([[3], [4]]), np.array([0, 0])  # both of class 0
    from qspec.batch import certify

    original = certify.evaluate
    monkeypatch.setattr(certify, "evaluate", lambda net, codes: original(net, codes)[..., ::-1])
    monkeypatch.setattr(certify, "outputs_of", lambda net, codes: original(net, codes)[..., ::-1])
    with pytest.raises(SoundnessError, match="does not replay"):
        qs.certify(network, images, labels, 1)


def test_only_data_is_shared() -> None:
    """Semantics imports classes, unions and enumerations from the rest of qspec, and no function that computes."""
    folder = Path(inspect.getfile(semantics)).parent
    foreign: list[tuple[str, str, object]] = []
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qspec") and "semantics" not in (node.module or ""):
                module = importlib.import_module(str(node.module))
                foreign += [(file.name, alias.name, getattr(module, alias.name)) for alias in node.names]
    assert {"Dense", "Fixed", "Rounding"} <= {name for _, name, _ in foreign}
    assert [(file, name) for file, name, value in foreign if inspect.isroutine(value) or inspect.ismodule(value)] == []
