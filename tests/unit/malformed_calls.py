"""Networks and specifications that are wrong on purpose, each with what its error says."""

# What the type checker would refuse is exactly what is tried here.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import qspec as qs
from qspec.compile.query import compile_property
from qspec.errors import FormatError, NetworkError, QspecError, ShapeError, SolverMissingError, SpecError
from qspec.lowering.evaluate import trace
from qspec.solver import Limits, get_solver
from tests.unit.malformed_case import Case
from tests.unit.malformed_files import NETWORK

FOUR, EIGHT = qs.Fixed(4, 0), qs.Fixed(8, 4)
ONES = qs.Tensor(np.ones((1, 1, 1, 1)), FOUR)


def sequential(*layers: object) -> qs.Network:
    return qs.Sequential(*layers)


def image(*layers: object) -> qs.Network:
    return sequential(qs.Input((4, 4, 1), FOUR), *layers)


def vector(*layers: object) -> qs.Network:
    return sequential(qs.Input((2,), FOUR), *layers)


def dense(**attributes: object) -> qs.Dense:
    return qs.Dense(qs.Tensor([[1], [1]], FOUR), **attributes)


def conv(**attributes: object) -> qs.Conv2D:
    return qs.Conv2D(ONES, **attributes)


def normed(**changes: object) -> object:
    vectors = {"gamma": [1.0], "beta": [0.0], "mean": [0.0], "variance": [1.0], **changes}
    return qs.fold_batch_norm([[1.0]], [0.0], epsilon=0.0, **vectors)


MADE: dict[str, tuple[type[QspecError], str, Callable[[], object]]] = {
    "a width of a million": (FormatError, "width out of range", lambda: qs.Fixed(10**6, 0)),
    "a negative width": (FormatError, "width out of range", lambda: qs.Fixed(-8, 0)),
    "a bool as width": (FormatError, "width out of range", lambda: qs.Fixed(True, 0)),
    "a float as width": (FormatError, "width out of range", lambda: qs.Fixed(8.0, 0)),
    "fraction bits without end": (FormatError, "fraction bits", lambda: qs.Fixed(8, 10**9)),
    "a text as rounding": (FormatError, "unknown rounding", lambda: qs.Fixed(8, 0, True, "RND")),
    "a text as overflow": (FormatError, "unknown overflow", lambda: qs.Fixed(8, 0, overflow="SAT")),
    "signed by number": (FormatError, "`signed` must be", lambda: qs.Fixed(8, 0, 1)),
    "a scale of zero": (FormatError, "scale must be positive", lambda: qs.int8(0)),
    "a scale of NaN": (FormatError, "a number is expected", lambda: qs.int8(float("nan"))),
    "an infinite scale": (FormatError, "a number is expected", lambda: qs.int8(np.inf)),
    "a scale that is a word": (FormatError, "a number is expected", lambda: qs.int8("small")),
    "no scale": (FormatError, "a number is expected", lambda: qs.int8(None)),
    "a scale of a billion digits": (FormatError, "a number is expected", lambda: qs.int8("1e-1000000000")),
    "a zero point that is no code": (FormatError, "zero point outside", lambda: qs.uint8(1, -1)),
    "half a zero point": (FormatError, "integers expected", lambda: qs.uint8(1, 0.5)),
    "no channels": (FormatError, "one Fixed format per channel", lambda: qs.PerChannel(())),
    "a text that is no format": (FormatError, "not a fixed-point format", lambda: qs.Fixed.parse("float32")),
    "an ap_fixed mode that is none": (FormatError, "unknown ap_fixed mode", lambda: qs.Fixed.parse("ap_fixed<8,4,ROUND>")),
    "an ap_fixed without end": (FormatError, "not a fixed-point format", lambda: qs.Fixed.parse(f"ap_fixed<{'9' * 5000},1>")),
    "weights of NaN": (FormatError, "is not finite", lambda: qs.quantize(np.array([[1.0, np.nan]]), EIGHT)),
    "weights of infinity": (FormatError, "is not finite", lambda: qs.quantize([np.inf], EIGHT)),
    "weights that are words": (FormatError, "a number is expected", lambda: qs.quantize(["one"], EIGHT)),
    "no weights": (FormatError, "a number is expected", lambda: qs.quantize(None, EIGHT)),
    "ragged weights": (FormatError, "not an array", lambda: qs.quantize([[1], [1, 2]], EIGHT)),
    "weights in a format of words": (FormatError, "not a number format", lambda: qs.quantize([1], "int8")),
    "codes in a format of words": (FormatError, "not a number format", lambda: qs.Tensor([1], "int8")),
    "codes that are not whole": (FormatError, "integers expected", lambda: qs.Tensor([0.5], EIGHT)),
    "codes beyond their format": (FormatError, "does not fit", lambda: qs.Tensor([128], EIGHT)),
    "a shape of zero": (ShapeError, "shape is malformed", lambda: qs.Input((0,), FOUR)),
    "a shape of words": (ShapeError, "shape is malformed", lambda: qs.Input("28x28", FOUR)),
    "an oversize shape": (ShapeError, "tensor is too large", lambda: qs.Input((10**6, 10**6), FOUR)),
    "an input in a format of words": (NetworkError, "the format of an input", lambda: qs.Input((2,), "int8")),
    "an input called 3": (NetworkError, "the name of a layer", lambda: sequential(qs.Input((2,), FOUR, 3))),
    "a network called None": (NetworkError, "the name of a network", lambda: vector().renamed(None)),
    "a feature of nothing": (NetworkError, "has no range", lambda: qs.Feature("a")),
    "a feature that is a name": (NetworkError, "a feature of an input", lambda: qs.Input((1,), FOUR, features=("a",))),
    "a feature from 2 to 1": (NetworkError, "has an empty range", lambda: qs.Feature("a", 2, 1)),
    "a feature from 0.5": (NetworkError, "the range of feature", lambda: qs.Feature("a", 0.5, 1)),
    "too few features": (NetworkError, "features do not cover", lambda: qs.Input((2,), FOUR, features=(qs.Feature("a", 0, 1),))),
    "a bare kernel": (NetworkError, "a kernel is of the wrong kind", lambda: qs.Dense(np.ones((2, 1)))),
    "a bare bias": (NetworkError, "a bias is of the wrong kind", lambda: dense(bias=[1])),
    "an activation of words": (NetworkError, "an activation is of the wrong kind", lambda: dense(activation="relu")),
    "an activation that is a class": (NetworkError, "an activation is of the wrong kind", lambda: dense(activation=qs.ReLU)),
    "an output of words": (NetworkError, "an output format is of the wrong kind", lambda: dense(output="int8")),
    "an affine accumulator": (NetworkError, "an accumulator is of the wrong kind", lambda: dense(accumulator=qs.int8(1))),
    "a kernel with one axis": (ShapeError, "a dense kernel is a matrix", lambda: qs.Dense(qs.Tensor([1], FOUR))),
    "a kernel the wrong way round": (ShapeError, "does not fit its input", lambda: vector(qs.Dense(qs.Tensor(np.ones((3, 2)), FOUR)))),
    "a bias that is too long": (ShapeError, "bias does not fit", lambda: dense(bias=qs.Tensor([1, 1], FOUR))),
    "a dense layer on an image": (ShapeError, "does not fit its input", lambda: image(dense())),
    "a convolution on a vector": (ShapeError, "convolution needs an image", lambda: vector(conv())),
    "channels first": (ShapeError, "does not fit its input", lambda: sequential(qs.Input((1, 4, 4), FOUR), conv())),
    "a kernel larger than the image": (
        ShapeError,
        "the kernel is larger",
        lambda: image(qs.Conv2D(qs.Tensor(np.ones((5, 5, 1, 1)), FOUR))),
    ),
    "an absurd stride": (NetworkError, "stride is malformed", lambda: conv(stride=10**30)),
    "a stride of zero": (NetworkError, "stride is malformed", lambda: conv(stride=0)),
    "a stride of one half": (NetworkError, "stride is malformed", lambda: conv(stride=(0.5, 1))),
    "a stride of True": (NetworkError, "stride is malformed", lambda: conv(stride=True)),
    "an absurd dilation": (NetworkError, "dilation is malformed", lambda: conv(dilation=(1, 10**30))),
    "absurd padding": (ShapeError, "tensor is too large", lambda: image(conv(padding=(10**5, 10**5)))),
    "padding of words": (NetworkError, "padding is malformed", lambda: conv(padding="zz")),
    "padding of a number": (NetworkError, "padding is malformed", lambda: conv(padding=1)),
    "padding of three": (NetworkError, "padding is malformed", lambda: qs.MaxPool2D(2, padding=(1, 1, 1))),
    "padding of less than nothing": (NetworkError, "padding is malformed", lambda: qs.AveragePool2D(2, padding=(-1, 0))),
    "two categories of one name": (NetworkError, "have one name", lambda: qs.Feature("a", categories=("x", "x"))),
    "a batch norm of too few channels": (
        ShapeError,
        "gamma needs a number for each",
        lambda: qs.fold_batch_norm([[1.0, 1.0]], [0.0, 0.0], epsilon=0.0, gamma=[2], beta=[0.0, 0.0], mean=[0.0, 0.0], variance=[1.0, 1.0]),
    ),
    "a batch norm of words": (FormatError, "mean is no array", lambda: normed(mean=["a"])),
    "a batch norm of NaN": (FormatError, "beta is not finite", lambda: normed(beta=[float("nan")])),
    "a scale that is a matrix": (FormatError, "a number is expected", lambda: qs.int8(np.ones((1, 2)))),
    "one format without channels": (FormatError, "one Fixed format per channel", lambda: qs.PerChannel(qs.Fixed(4, 2))),
    "no groups": (NetworkError, "groups must divide", lambda: conv(groups=0)),
    "groups of words": (NetworkError, "groups is of the wrong kind", lambda: conv(groups="one")),
    "a window of words": (NetworkError, "window is malformed", lambda: qs.MaxPool2D("2x2")),
    "a window larger than the image": (ShapeError, "the kernel is larger", lambda: image(qs.MaxPool2D(5))),
    "a window in the padding": (NetworkError, "in the padding altogether", lambda: image(qs.MaxPool2D((1, 1), padding=(1, 1)))),
    "a raw sigmoid": (NetworkError, "a raw accumulator can only be", lambda: vector(dense(activation=qs.Sigmoid()))),
    "a sigmoid of a million steps": (
        FormatError,
        "output format too fine",
        lambda: vector(dense(activation=qs.Sigmoid(), output=qs.Fixed(40, 30))),
    ),
    "a negative ReLU-N": (FormatError, "is negative", lambda: qs.ReLU(-1)),
    "a ReLU-N of NaN": (FormatError, "a number is expected", lambda: qs.ReLU(float("nan"))),
    "a steep leaky ReLU": (FormatError, "out of range", lambda: qs.LeakyReLU(3)),
    "a falling hard sigmoid": (FormatError, "must be positive", lambda: qs.HardSigmoid(-1)),
    "a table by words": (NetworkError, "the table of a tanh", lambda: qs.Tanh("int8")),
    "a table that is too short": (NetworkError, "one entry per input code", lambda: qs.Lookup(FOUR, qs.Tensor([1], FOUR))),
    "no layers": (NetworkError, "begins with an Input", lambda: sequential()),
    "no input": (NetworkError, "begins with an Input", lambda: sequential(qs.Flatten())),
    "a layer of words": (NetworkError, "a layer is of the wrong kind", lambda: vector("relu")),
    "a layer on a number": (NetworkError, "a layer is of the wrong kind", lambda: qs.apply(qs.Flatten(), 3)),
    "no arguments": (NetworkError, "wrong number of signals", lambda: qs.apply(qs.Flatten())),
    "layers as output": (NetworkError, "an output is of the wrong kind", lambda: qs.Network.of([dense()])),
    "no outputs": (NetworkError, "a network needs an input", lambda: qs.Network.of([])),
    "two layers with one name": (NetworkError, "two layers have one name", lambda: vector(qs.Flatten("a"), qs.Flatten("a"))),
    "two inputs with one name": (
        NetworkError,
        "two layers have one name",
        lambda: qs.Network.of(qs.apply(qs.Add(), qs.Input((2,), FOUR), qs.Input((2,), FOUR))),
    ),
    "a stage that reads itself": (
        NetworkError,
        "does not come before",
        lambda: qs.Network((type(vector().stages[0])("x", qs.Flatten(), (0,), vector().stages[0].type),), (0,)),
    ),
    "sums of different shapes": (
        ShapeError,
        "differ in shape",
        lambda: qs.apply(qs.Add(), qs.Input((2,), FOUR), qs.Input((3,), FOUR, "y")),
    ),
    "a layer that is not there": (NetworkError, "no such layer", lambda: vector().stage("hidden")),
    "a batch norm of negative variance": (FormatError, "variance", lambda: normed(variance=[-1.0])),
    "perturbing by nothing": (NetworkError, "nothing is perturbed", lambda: vector(dense()).perturb()),
    "perturbing by less than nothing": (NetworkError, "nothing is perturbed", lambda: vector(dense()).perturb(weights=-1)),
    "perturbing what stores nothing": (NetworkError, "nothing to perturb", lambda: vector(qs.Flatten()).perturb(weights=1)),
    "perturbing a flatten layer": (NetworkError, "stores no parameters", lambda: vector(qs.Flatten("f")).perturb(weights=1, layers=["f"])),
    "flipping no bits": (NetworkError, "nothing is flipped", lambda: vector(dense()).flip_bits(0)),
    "flipping where nothing is stored": (NetworkError, "stores no parameters", lambda: vector().flip_bits(1)),
    "codes beyond the input": (ShapeError, "code outside the format", lambda: vector().evaluate([0, 99])),
    "a label too few": (ShapeError, "samples and labels do not fit", lambda: qs.certify(vector(), [[1, 2], [1, 2]], [0], 1)),
    "too many codes": (ShapeError, "the array has the wrong shape", lambda: vector().evaluate([1, 2, 3])),
    "one code": (ShapeError, "the array has the wrong shape", lambda: vector().evaluate(1)),
    "codes of NaN": (FormatError, "integers expected", lambda: vector().evaluate([np.nan, 0])),
    "codes of words": (FormatError, "integers expected", lambda: vector().evaluate(["a", "b"])),
    "no codes": (FormatError, "integers expected", lambda: vector().evaluate(None)),
    "ragged codes": (FormatError, "not an array", lambda: vector().evaluate([[1, 2], [3]])),
    "codes for nobody": (ShapeError, "codes are given for each input", lambda: trace(vector(), {"y": [0, 0]})),
    "one input of two": (ShapeError, "several inputs", lambda: NETWORK.evaluate([0])),
    "no such solver": (SolverMissingError, "no such solver", lambda: get_solver("simplex-2000")),
    "a time limit of zero": (SpecError, "the time limit must be positive", lambda: Limits(seconds=0)),
    "a time limit of NaN": (SpecError, "the time limit must be positive", lambda: Limits(seconds=float("nan"))),
    "a time limit of words": (SpecError, "the time limit is not a number", lambda: Limits(seconds="5")),
    "a time limit of True": (SpecError, "the time limit is not a number", lambda: Limits(seconds=True)),
    "a time limit of infinity": (SpecError, "the time limit is out of range", lambda: Limits(seconds=float("inf"))),
    "a memory limit of one": (SpecError, "the memory limit is out of range", lambda: Limits(memory=1)),
    "a memory limit of half a MiB": (SpecError, "the memory limit is no whole number", lambda: Limits(memory=99.5)),
    "a seed below zero": (SpecError, "the seed is out of range", lambda: Limits(seed=-1)),
    "a seed of 33 bits": (SpecError, "the seed is out of range", lambda: Limits(seed=2**32)),
    "half a seed": (SpecError, "the seed is no whole number", lambda: Limits(seed=0.5)),
    "no seed": (SpecError, "the seed is no whole number", lambda: Limits(seed=None)),
}

NET = vector(dense(output=EIGHT))
X, Y = NET.input("x"), NET.input("y")
SCORES = vector(qs.Dense(qs.Tensor([[1, 2, 3], [3, 2, 1]], FOUR), output=EIGHT))
EPSILON = qs.parameter("epsilon")
ROBUST = qs.forall(X, given=qs.linf(X) <= EPSILON, then=qs.argmax(SCORES(X)) == qs.parameter("label"))
NEAR = qs.properties.local_robustness(SCORES, [0, 0], qs.parameter("radius"), 0)
PAIR = qs.properties.global_robustness(NET, 1, qs.parameter("tolerance"))
CENTRED = qs.forall(X, given=qs.linf(X - qs.parameter("centre", (2,))) <= 1, then=NET(X)[0] >= 0)


def both(left: object, right: object) -> object:
    return left and right


SAID: dict[str, tuple[type[QspecError], str, Callable[[], object]]] = {
    "a chained comparison": (SpecError, "no truth value", lambda: 0 <= X[0] <= 1),
    "and": (SpecError, "no truth value", lambda: both(X[0] >= 0, X[1] >= 0)),
    "or": (SpecError, "no truth value", lambda: (X[0] >= 0) or (X[1] >= 0)),
    "not": (SpecError, "no truth value", lambda: not (X[0] >= 0)),
    "if": (SpecError, "no truth value", lambda: 1 if X[0] == 0 else 2),
    "the truth of an expression": (SpecError, "no truth value", lambda: bool(X)),
    "a loop": (SpecError, "cannot be iterated", lambda: list(X[0])),
    "& with a bool": (SpecError, "not a formula", lambda: (X[0] >= 0) & True),
    "bool & with": (SpecError, "not a formula", lambda: True & (X[0] >= 0)),
    "a float literal": (SpecError, "a bare float is not an exact number", lambda: X[0] <= 0.1),
    "a float of numpy": (SpecError, "a bare float is not an exact number", lambda: X[0] <= np.float64(0.3)),
    "NaN": (SpecError, "a bare float is not an exact number", lambda: X[0] <= float("nan")),
    "infinity": (SpecError, "a bare float is not an exact number", lambda: X[0] + float("inf")),
    "an array with NaN": (FormatError, "a number is expected", lambda: np.array([0.0, np.nan]) >= X),
    "a word": (FormatError, "a number is expected", lambda: X[0] <= "much"),
    "None": (FormatError, "a number is expected", lambda: X[0] == None),  # noqa: E711
    "a bool": (FormatError, "a number is expected", lambda: X[0] == True),  # noqa: E712
    "ragged numbers": (FormatError, "not an array", lambda: qs.q([[1], [2, 3]])),
    "a number of a billion digits": (FormatError, "a number is expected", lambda: qs.q("1e1000000000")),
    "shapes that do not broadcast": (ShapeError, "shapes do not fit together", lambda: X + np.ones(3)),
    "an index beyond the end": (ShapeError, "index does not fit", lambda: X[2]),
    "an index of words": (SpecError, "has no such feature", lambda: X["age"]),
    "a shape that does not hold it": (ShapeError, "cannot reshape", lambda: X.reshape(3)),
    "division by zero": (SpecError, "division is by constants", lambda: X / 0),
    "division by a variable": (SpecError, "division is by constants", lambda: X / X),
    "a matrix that does not fit": (ShapeError, "matrix and vector do not fit", lambda: qs.dot([[1, 2, 3]], X)),
    "the sum of nothing": (ShapeError, "nothing to reduce", lambda: qs.sum(X[:0])),
    "a class beyond the end": (SpecError, "no such class", lambda: qs.argmax(SCORES(X)) == 3),
    "a negative class": (SpecError, "no such class", lambda: qs.argmax(SCORES(X)) == -1),
    "a class of words": (SpecError, "no such class", lambda: qs.argmax(SCORES(X)) == "seven"),
    "a class that is a bool": (SpecError, "no such class", lambda: qs.argmax(SCORES(X)) == True),  # noqa: E712
    "an unknown tie rule": (SpecError, "unknown tie rule", lambda: qs.argmax(SCORES(X), ties="random")),
    "argmax of different sizes": (SpecError, "argmax of different kinds", lambda: qs.argmax(SCORES(X)) == qs.argmax(NET(X))),
    "an array of comparisons": (SpecError, "not one truth", lambda: qs.forall(X, then=X >= 0)),
    "an array of comparisons negated": (SpecError, "not one truth", lambda: ~(X >= 0)),
    "quantifying nothing": (SpecError, "quantifies nothing", lambda: qs.forall(then=X[0] >= 0)),
    "quantifying a number": (SpecError, "only variables can be quantified", lambda: qs.forall(3, then=X[0] >= 0)),
    "quantifying an output": (SpecError, "only variables can be quantified", lambda: qs.exists(NET(X), then=X[0] >= 0)),
    "stating nothing": (SpecError, "states nothing", lambda: qs.forall(X)),
    "stating a bool": (SpecError, "not a formula", lambda: qs.forall(X, then=True)),
    "assuming a number": (SpecError, "not a formula", lambda: qs.forall(X, given=1, then=X[0] >= 0)),
    "two variables with one name": (SpecError, "two variables have one name", lambda: qs.forall(X, NET.input("x"), then=X[0] >= 0)),
    "an empty domain": (SpecError, "empty domain", lambda: NET.input("x", lower=3, upper=2)),
    "a domain outside the format": (SpecError, "empty domain", lambda: NET.input("x", lower=100)),
    "bounds of the wrong shape": (ShapeError, "the array has the wrong shape", lambda: NET.input("x", lower=[0, 0, 0])),
    "bounds that are not whole": (FormatError, "integers expected", lambda: NET.input("x", upper=0.5)),
    "an input that is not there": (SpecError, "which input", lambda: NET.input("x", of="pixels")),
    "an input that is not named": (SpecError, "which input", lambda: NETWORK.input("x")),
    "two values for one input": (SpecError, "one value per input", lambda: NET(X, X)),
    "a value of the wrong shape": (ShapeError, "the array has the wrong shape", lambda: NET(X[0])),
    "a signal that is not there": (NetworkError, "no such layer", lambda: NET.signal(X, layer="hidden")),
    "values beyond the input": (SpecError, "may leave its format", lambda: compile_property(qs.forall(X, then=NET(X + 100)[0] >= 0))),
    "values finer than the input": (SpecError, "finer than its format", lambda: compile_property(qs.forall(X, then=NET(X / 2)[0] >= 0))),
    "a free variable": (SpecError, "a variable is not quantified", lambda: compile_property(qs.forall(X, then=Y[0] >= 0))),
    "a parameter without value": (SpecError, "a parameter has no value", lambda: compile_property(ROBUST.at(label=0))),
    "no parameters at all": (SpecError, "a parameter has no value", lambda: compile_property(ROBUST)),
    "an unknown parameter": (
        SpecError,
        "no such parameter",
        lambda: compile_property(ROBUST.at(label=0, epsilon=1, radius=1)),
    ),
    "a misshapen parameter": (ShapeError, "the array has the wrong shape", lambda: compile_property(CENTRED.at(centre=[1, 2, 3]))),
    "a parameter that is a word": (FormatError, "a number is expected", lambda: compile_property(CENTRED.at(centre=["a", "b"]))),
    "a label beyond the end": (SpecError, "no such class", lambda: compile_property(ROBUST.at(label=9, epsilon=1))),
    "a label between two": (SpecError, "no such class", lambda: compile_property(ROBUST.at(label="1/2", epsilon=1))),
    "a parameter with a name of two words": (SpecError, "a parameter needs a Python name", lambda: qs.parameter("two words")),
    "one parameter with two shapes": (
        SpecError,
        "one parameter is used with two shapes",
        lambda: compile_property(qs.forall(X, given=X[0] <= EPSILON, then=qs.all(qs.parameter("epsilon", (2,)) <= X)).at(epsilon=1)),
    ),
    "the same of different networks": (ShapeError, "variables of different types", lambda: qs.same(X, image().input("y"))),
    "an exception that is not there": (SpecError, "has no such feature", lambda: qs.same(X, Y, except_for=["age"])),
    "an exception beyond the end": (SpecError, "has no such element", lambda: qs.same(X, Y, except_for=[2])),
    "equivalence of different inputs": (SpecError, "networks with different inputs", lambda: qs.properties.equivalence(NET, image())),
    "a radius below zero": (SpecError, "the radius is out of range", lambda: qs.properties.local_robustness(SCORES, [0, 0], -1, 0)),
    "a radius below zero, later": (SpecError, "the radius is out of range", lambda: qs.verify(NEAR.at(radius=-1))),
    "a radius of 1.5": (SpecError, "the radius is no whole number", lambda: qs.properties.local_robustness(SCORES, [0, 0], 1.5, 0)),
    "a radius of 3/2, later": (SpecError, "the radius is no whole number", lambda: qs.verify(NEAR.at(radius="3/2"))),
    "a radius beyond the input": (
        SpecError,
        "the radius is out of range",
        lambda: qs.properties.targeted_robustness(SCORES, [0, 0], 16, 0),
    ),
    "a radius beyond the input, later": (SpecError, "the radius is out of range", lambda: qs.verify(NEAR.at(radius=10**310))),
    "a radius of NaN": (FormatError, "parameter 'radius': a number is expected", lambda: qs.verify(NEAR.at(radius=float("nan")))),
    "an infinite radius": (FormatError, "parameter 'radius': a number is expected", lambda: qs.verify(NEAR.at(radius=float("inf")))),
    "a global radius below zero": (SpecError, "the radius is out of range", lambda: qs.properties.global_robustness(NET, -1, 1)),
    "a perturbed radius of a half": (
        SpecError,
        "the radius is no whole number",
        lambda: qs.properties.parameter_robustness(NET.perturb(weights=1), [0, 0], 0, radius=qs.q("1/2")),
    ),
    "a radius of codes against reals": (
        SpecError,
        "the radius is out of range",
        lambda: qs.real.properties.quantization_error(NET, NET.real(), 1, centre=[0, 0], radius=-1),
    ),
    "a distance below zero": (
        SpecError,
        "a distance is never below zero",
        lambda: qs.verify(qs.forall(X, given=qs.linf(X.code) <= -1, then=NET(X)[0] >= 0)),
    ),
    "a distance below zero, later": (SpecError, "a distance is never below zero", lambda: qs.verify(ROBUST.at(epsilon=-1, label=0))),
    "a tolerance below zero": (SpecError, "the tolerance is out of range", lambda: qs.properties.equivalence(NET, NET, tolerance=-1)),
    "a tolerance below zero, later": (SpecError, "the tolerance is out of range", lambda: qs.verify(PAIR.at(tolerance="-1/2"))),
    "a time limit of words, asked": (SpecError, "the time limit is not a number", lambda: qs.verify(NEAR.at(radius=1), timeout="5")),
    "an attack that may be": (SpecError, "attack is yes or no", lambda: qs.verify(NEAR.at(radius=1), attack="maybe")),
    "a split by number": (SpecError, "split is yes or no", lambda: qs.verify(NEAR.at(radius=1), split=1)),
    "a delta below zero": (SpecError, "delta is out of range", lambda: qs.verify(NEAR.at(radius=1), delta=-1)),
    "a delta of NaN": (SpecError, "delta is out of range", lambda: qs.verify(NEAR.at(radius=1), delta=float("nan"))),
    "a seed below zero, asked": (SpecError, "the seed is out of range", lambda: qs.verify(NEAR.at(radius=1), seed=-1)),
    "a seed below zero, searched": (SpecError, "the seed is out of range", lambda: qs.falsify(NEAR.at(radius=1), seed=-1)),
    "presolving that is none": (SpecError, "no such presolving", lambda: qs.verify(NEAR.at(radius=1), presolve="all")),
    "no queries": (SpecError, "there is nothing to ask", lambda: qs.verify_many(NEAR, [])),
    "queries that are none": (SpecError, "not values of parameters", lambda: qs.verify_many(NEAR, None)),
    "an empty generator of queries": (SpecError, "there is nothing to ask", lambda: list(qs.verify_many(NEAR, iter(()), workers=1))),
    "an empty grid": (SpecError, "no values for 'radius'", lambda: qs.grid(radius=[])),
    "an empty part of a grid": (SpecError, "no values in a part", lambda: qs.grid([], radius=[1])),
    "an empty table": (SpecError, "no values for 'radius'", lambda: qs.together(radius=np.zeros(0))),
    "a batch with an attack that may be": (SpecError, "attack is yes or no", lambda: qs.verify_many(NEAR, [{"radius": 1}], attack="maybe")),
    "half a worker": (SpecError, "the number of workers is no whole number", lambda: qs.verify_many(NEAR, [{"radius": 1}], workers=0.5)),
    "certifying within -1": (SpecError, "the radius is out of range", lambda: qs.certify(SCORES, [[0, 0]], [0], -1)),
    "certifying within 1.5": (SpecError, "the radius is no whole number", lambda: qs.certify(SCORES, [[0, 0]], [0], 1.5)),
    "certifying beyond the input": (SpecError, "the radius is out of range", lambda: qs.certify(SCORES, [[0, 0]], [0], 16)),
    "certifying by NaN seconds": (
        SpecError,
        "the time limit must be positive",
        lambda: qs.certify(SCORES, [[0, 0]], [0], 1, timeout=float("nan")),
    ),
    "certifying by a seed of words": (SpecError, "the seed is no whole number", lambda: qs.certify(SCORES, [[0, 0]], [0], 1, seed="a")),
    "optimising by words": (SpecError, "the time limit is not a number", lambda: qs.optimize(qs.maximize(NET(X)[0], X), timeout="1")),
    "an export that may presolve": (SpecError, "presolve is yes or no", lambda: qs.to_smtlib(NEAR.at(radius=1), presolve="no")),
    "a parameter as an option": (SpecError, "no such option", lambda: qs.verify(NEAR, radius=1)),
    "limits and one of them": (SpecError, "limits are given twice", lambda: qs.verify(NEAR, limits=qs.Limits(), seed=1)),
    "a value for no parameter": (SpecError, "the specification has no such parameter", lambda: NEAR.at(size=1)),
    "a second value": (SpecError, "the parameter 'radius' has a value already", lambda: NEAR.at(radius=1).at(radius=2)),
    "a value that is given too late": (SpecError, "a parameter has no value", lambda: qs.verify(NEAR)),
    "an overflow that cannot be": (SpecError, "nothing can overflow", lambda: qs.properties.no_overflow(NET)),
}

CALLS = [
    *(Case(f"made: {name}", error, says, lambda _, act=act: act()) for name, (error, says, act) in MADE.items()),
    *(Case(f"said: {name}", error, says, lambda _, act=act: act()) for name, (error, says, act) in SAID.items()),
]
