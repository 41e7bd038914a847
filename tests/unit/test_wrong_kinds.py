"""Public functions with arguments of a wrong kind: each is taken, or refused with a QspecError, and nothing else comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs

FOUR = qs.Fixed(4, 0)
CODES = qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(2, 0))
NET = qs.Sequential(qs.Input((2,), FOUR), qs.Dense(CODES), name="net")
ONE = qs.Sequential(qs.Input((2,), FOUR), qs.Dense(qs.Tensor(np.array([[1], [1]]), FOUR), output=qs.Fixed(6, 0)))
IMAGE = qs.Tensor(np.ones((1, 1, 1, 1)), FOUR)
REAL = NET.real()
X, Y = NET.input("x"), NET.input("y")
TRUE = qs.forall(X, then=NET(X)[0] <= 100)
P, R = qs.properties, qs.real.properties
TABLE = qs.Schema((qs.Whole("a", 0, 1), qs.Whole("b", 0, 3)), protected=("a",))
RADIUS = P.local_robustness(NET, [5, 3], qs.parameter("radius"), 0)
ROUNDED = qs.Sequential(
    qs.Input((2,), FOUR), qs.Dense(CODES, output=qs.Fixed(4, 0, rounding=qs.Rounding.RND_CONV, overflow=qs.Overflow.SAT)), name="rounded"
)
INT8 = qs.quantize_int8(REAL, [[1.0, 2.0]])


def tflite() -> str:
    """Return the name of a file, which is there from now on."""
    if not Path("net.tflite").exists():
        qs.to_tflite(INT8, "net.tflite")
    return "net.tflite"


CALLS: dict[str, tuple[Callable[..., object], Mapping[str, object]]] = {
    "Fixed": (qs.Fixed, {"width": 4, "frac": 0, "signed": True, "rounding": qs.Rounding.RND, "overflow": qs.Overflow.SAT}),
    "Affine": (
        qs.Affine,
        {"width": 4, "signed": True, "scale": 1, "zero_point": 0, "rounding": qs.Rounding.RND, "overflow": qs.Overflow.SAT},
    ),
    "PerChannel": (qs.PerChannel, {"formats": (FOUR,)}),
    "int8": (qs.int8, {"scale": 1, "zero_point": 0}),
    "Tensor": (qs.Tensor, {"codes": [1], "format": FOUR}),
    "quantize": (qs.quantize, {"values": [1], "format": FOUR}),
    "Input": (qs.Input, {"shape": (2,), "format": FOUR, "name": "x", "features": ()}),
    "Feature": (qs.Feature, {"name": "a", "lower": 0, "upper": 1}),
    "Feature of categories": (qs.Feature, {"name": "a", "categories": ("u", "v")}),
    "Dense": (qs.Dense, {"kernel": CODES, "bias": None, "activation": qs.ReLU(), "output": FOUR, "accumulator": FOUR}),
    "Conv2D": (
        qs.Conv2D,
        {"kernel": IMAGE, "bias": None, "stride": 1, "padding": "same", "dilation": 1, "groups": 1, "activation": qs.ReLU()},
    ),
    "AveragePool2D": (qs.AveragePool2D, {"window": 2, "stride": 1, "padding": "valid", "count_padding": False, "output": FOUR}),
    "MaxPool2D": (qs.MaxPool2D, {"window": 2, "stride": 1, "padding": "valid"}),
    "Add": (qs.Add, {"activation": qs.ReLU(), "output": FOUR}),
    "Concat": (qs.Concat, {"output": FOUR}),
    "Requantize": (qs.Requantize, {"output": FOUR, "activation": qs.ReLU()}),
    "fold_batch_norm": (
        qs.fold_batch_norm,
        {"kernel": [[1.0]], "bias": [0.0], "gamma": [1.0], "beta": [0.0], "mean": [0.0], "variance": [1.0], "epsilon": 1e-3},
    ),
    "ReLU": (qs.ReLU, {"maximum": 1}),
    "LeakyReLU": (qs.LeakyReLU, {"slope": "1/8"}),
    "Lookup": (qs.Lookup, {"input": qs.Fixed(1, 0, False), "outputs": qs.Tensor(np.array([0, 1]), FOUR)}),
    "load": (qs.load, {"name": "iris-4bit"}),
    "evaluate": (NET.evaluate, {"codes": [1, 2]}),
    "input": (NET.input, {"name": "x", "lower": 0, "upper": 1}),
    "call": (NET, {"x": X}),
    "flip_bits": (NET.flip_bits, {"count": 1}),
    "parameter": (qs.parameter, {"name": "p", "shape": (2,)}),
    "q": (qs.q, {"value": "0.1"}),
    "dot": (qs.dot, {"matrix": [1, 2], "vector": X}),
    "join": (qs.join, {"parts": [X]}),
    "sum": (qs.sum, {"value": X}),
    "max": (qs.max, {"value": X}),
    "linf": (qs.linf, {"value": X}),
    "l0": (qs.l0, {"value": X}),
    "clip": (qs.clip, {"value": X, "lower": 0, "upper": 1}),
    "relu": (qs.relu, {"value": X}),
    "argmax": (qs.argmax, {"scores": X, "ties": "first"}),
    "all": (qs.all, {"formula": X >= 0}),
    "any": (qs.any, {"formula": X >= 0}),
    "same": (qs.same, {"left": X, "right": Y, "except_for": [0]}),
    "forall": (qs.forall, {"variable": X, "given": X[0] >= 0, "then": X[0] >= 0, "name": "p"}),
    "local_robustness": (P.local_robustness, {"network": NET, "centre": [0, 0], "radius": 1, "label": 0}),
    "targeted_robustness": (P.targeted_robustness, {"network": NET, "centre": [0, 0], "radius": 1, "target": 0}),
    "global_robustness": (P.global_robustness, {"network": NET, "radius": 1, "tolerance": 1}),
    "bit_flip_robustness": (P.bit_flip_robustness, {"network": NET, "centre": [0, 0], "label": 0, "flips": 1}),
    "parameter_robustness": (P.parameter_robustness, {"perturbed": NET.perturb(weights=1), "centre": [0, 0], "label": 0, "radius": 1}),
    "individual_fairness": (P.individual_fairness, {"network": NET, "protected": [0], "tolerance": 1}),
    "decision_fairness": (P.decision_fairness, {"network": ONE, "protected": [0], "threshold": 1}),
    "monotonicity": (P.monotonicity, {"network": ONE, "feature": 0, "increasing": True}),
    "runtime_agreement": (P.runtime_agreement, {"first": NET, "second": NET, "centre": [5, 3], "radius": 1, "tolerance": 1}),
    "equivalence": (P.equivalence, {"first": NET, "second": NET, "tolerance": 1}),
    "no_overflow": (P.no_overflow, {"network": ONE, "saturation": True}),
    "reachable_class": (P.reachable_class, {"network": NET, "label": 0}),
    "quantization_error": (lambda **given: R.quantization_error(NET, REAL, **given), {"tolerance": 1, "centre": [0, 0], "radius": 0}),
    "verify": (
        qs.verify,
        {"spec": TRUE, "timeout": 5, "memory": 99, "seed": 0, "attack": False},
    ),
    "verify more": (qs.verify, {"spec": TRUE, "split": False, "presolve": "passes", "delta": 0.1}),
    "values of parameters": (RADIUS.at, {"radius": 1}),
    "falsify": (qs.falsify, {"spec": TRUE, "timeout": 1, "memory": 99, "seed": 0}),
    "query": (qs.query, {"spec": TRUE}),
    "compare": (lambda **given: qs.compare(solvers=["bounds"], **given), {"spec": TRUE, "timeout": 5, "memory": 99, "seed": 0}),
    "verify_many": (
        lambda **given: list(qs.verify_many(RADIUS, **given)),
        {"over": [{"radius": 1}], "workers": 1, "timeout": 5},
    ),
    "grid": (qs.grid, {"radius": [1]}),
    "together": (qs.together, {"radius": [1], "label": [2]}),
    "certify": (
        qs.certify,
        {"network": NET, "images": [[5, 3]], "labels": [0], "radius": 1, "branching": "steps", "timeout": 5, "workers": 1, "seed": 0},
    ),
    "largest_radius": (
        qs.largest_radius,
        {"spec": RADIUS, "low": 0, "high": 1, "step": 1, "timeout": 5},
    ),
    "optimize": (qs.optimize, {"objective": qs.maximize(NET(X)[0], X), "timeout": 5, "seed": 0, "step": 1}),
    "to_smtlib": (qs.to_smtlib, {"spec": TRUE, "presolve": True}),
    "to_lp": (qs.to_lp, {"spec": TRUE, "presolve": True}),
    "RealDense": (qs.real.Dense, {"kernel": [[1]], "bias": [1], "activation": qs.ReLU()}),
    "RealInput": (qs.real.Input, {"shape": (2,), "name": "x"}),
    "calibrate": (
        lambda **given: REAL.calibrate([[1.0, 2.0]], **given),
        {"input": FOUR, "per": "tensor", "scales": "fixed", "headroom": 1, "rounding": qs.Rounding.RND, "overflow": qs.Overflow.SAT},
    ),
    "Whole": (qs.Whole, {"name": "a", "lower": 0, "upper": 3, "step": 1, "scale": 1, "shift": 0}),
    "Limits": (qs.Limits, {"seconds": 1, "memory": 99, "seed": 0}),
    "load with semantics": (lambda **given: qs.load(tflite(), **given), {"semantics": "tflm"}),
    "read_property": (qs.read_property, {"path": "missing.vnnlib", "network": REAL, "format": None}),
    "input of a layer": (NET.input, {"name": "x", "of": None}),
    "input of a real layer": (REAL.input, {"name": "x", "of": None, "lower": 0, "upper": 1}),
    "sum along an axis": (lambda **given: qs.sum(X, **given), {"axis": "all"}),
    "min along an axis": (lambda **given: qs.min(X, **given), {"axis": "last"}),
    "signal": (lambda **given: NET.signal(X, **given), {"layer": "dense_1", "tap": "output"}),
    "real signal": (lambda **given: REAL.signal(REAL.input("x", lower=0, upper=1), **given), {"layer": "dense_1"}),
    "perturb": (NET.perturb, {"weights": 1, "biases": 0, "layers": None}),
    "real perturb": (
        REAL.perturb,
        {"rho": "1/8", "relative": False, "rounding": "nearest", "layers": None, "weights": True, "biases": True},
    ),
    "real perturb by bits": (REAL.perturb, {"bits": 4}),
    "flip_bits of layers": (NET.flip_bits, {"layers": None}),
    "solver": (lambda **given: qs.verify(TRUE, **given), {"solver": "bounds", "theory": None, "without": ()}),
    "solvers": (lambda **given: qs.compare(TRUE, **given), {"solvers": ["bounds"], "without": ()}),
    "verify_many of": (lambda **given: list(qs.verify_many(workers=1, **given)), {"spec": RADIUS, "over": [{"radius": 1}]}),
    "verify_many with": (
        lambda **given: list(qs.verify_many(RADIUS, [{"radius": 1}], workers=1, **given)),
        {"solver": "bounds", "store": None, "progress": False, "attack": True},
    ),
    "largest_radius of a parameter": (
        lambda **given: qs.largest_radius(RADIUS, high=1, **given),
        {"parameter": "radius", "solver": "bounds", "theory": None, "without": (), "attack": True},
    ),
    "optimize with": (
        lambda **given: qs.optimize(qs.maximize(NET(X)[0], X), **given),
        {"solver": "bounds", "theory": None, "without": (), "attack": True, "memory": 99},
    ),
    "maximize": (lambda **given: qs.maximize(given.pop("value"), X, **given), {"value": NET(X)[0], "given": None, "name": "best"}),
    "certify a store": (lambda **given: qs.certify(NET, [[5, 3]], [0], 1, **given), {"store": None, "progress": False}),
    "largest_error": (
        qs.largest_error,
        {"fixed": NET, "real": REAL, "outputs": None, "gap": 1, "timeout": 5, "seed": 0},
    ),
    "error_bounds": (qs.error_bounds, {"fixed": NET, "real": REAL, "lower": 0, "upper": 0, "outputs": None}),
    "largest_value": (
        qs.largest_value,
        {
            "make": lambda v: qs.forall(X, then=NET(X)[0] <= v),
            "low": 0,
            "high": 1,
            "step": 1,
            "solver": "bounds",
            "theory": None,
            "timeout": 5,
        },
    ),
    "fewest_bits": (
        qs.fewest_bits,
        {"make": lambda b: NET, "specs": lambda net: TRUE, "layers": None, "bits": [2], "samples": [{}], "every": False},
    ),
    "sweep": (
        lambda **given: qs.sweep(workers=1, timeout=5, **given),
        {"make": {2: NET}, "specs": lambda net: TRUE, "bits": None, "samples": [{}], "solvers": ["bounds"], "labelled": None},
    ),
    "calibrate values": (REAL.calibrate, {"values": [[1.0, 2.0]], "input": FOUR}),
    "networks of quantization_error": (R.quantization_error, {"fixed": NET, "real": REAL, "tolerance": 1, "outputs": None}),
    "Categorical": (qs.Categorical, {"name": "a", "words": ("u", "v"), "onehot": True}),
    "Ordinal": (qs.Ordinal, {"name": "a", "words": ("u", "v"), "first": 0}),
    "Link": (qs.Link, {"when": {"a": ["u"]}, "then": {"b": [1]}}),
    "determines": (qs.determines, {"name": "a", "other": "b", "values": {"u": 1}}),
    "Schema": (qs.Schema, {"features": TABLE.features, "protected": ("a",), "links": ()}),
    "Schema.layer": (TABLE.layer, {"fmt": FOUR, "name": "x"}),
    "Schema.encode": (TABLE.encode, {"row": {"a": 0, "b": 1}}),
    "Schema.row": (TABLE.row, {"numbers": [0, 1]}),
    "Schema.allows": (TABLE.allows, {"row": {"a": 0, "b": 1}}),
    "Schema.from_json": (qs.Schema.from_json, {"text": TABLE.to_json()}),
    "close_values": (qs.fairness.close_values, {"network": NET, "schema": TABLE, "tolerance": 1, "delta": {"b": 1}}),
    "largest_gap": (qs.fairness.largest_gap, {"network": NET, "schema": TABLE, "delta": {"b": 1}}),
    "same_decision": (qs.fairness.same_decision, {"network": NET, "schema": TABLE, "delta": {"b": 1}}),
    "quantize_int8": (qs.quantize_int8, {"network": REAL, "values": [[1.0, 2.0]], "semantics": "tflm"}),
    "to_c": (qs.to_c, {"network": NET, "path": "made.h", "name": "made"}),
    "to_onnx": (qs.to_onnx, {"network": ROUNDED, "path": "made.onnx", "style": "qdq"}),
    "to_tflite": (qs.to_tflite, {"network": INT8, "path": "made.tflite"}),
    "agree": (
        lambda **given: qs.agree(tflite(), **given),
        {"semantics": "tflm", "runtime": None, "inputs": None, "samples": 1, "seed": 0},
    ),
    "lint": (lambda **given: qs.lint(tflite(), **given), {"twin": REAL, "inputs": [[1, 2]], "semantics": "tflm"}),
    "lint of": (qs.lint, {"path": "missing.tflite"}),
    "flips": (
        lambda **given: qs.flips(tflite(), **given),
        {"first": "tflm", "second": "xnnpack", "inputs": [[1, 2]], "radius": 1, "tolerance": 1, "timeout": 1, "replay": False, "seed": 0},
    ),
    "drift": (lambda **given: qs.drift(tflite(), **given), {"first": "tflm", "second": "xnnpack", "centre": [1, 2], "radius": 1}),
    "flips of": (qs.flips, {"path": "missing.tflite", "inputs": [[1, 2]]}),
    "agree of": (qs.agree, {"path": "missing.tflite"}),
    "Multiplier": (
        qs.Multiplier,
        {
            "format": qs.int8(1),
            "multiplier": (1,),
            "shift": (0,),
            "scaling": (qs.Scaling.UP,),
            "lower": 0,
            "upper": 1,
            "left": 0,
            "name": "m",
        },
    ),
    "Thresholds": (qs.Thresholds, {"format": FOUR, "base": [0], "thresholds": [[0, 1]], "name": "t"}),
    "Pad": (qs.Pad, {"before": (0,), "after": (1,), "code": 0, "name": "p"}),
    "Transpose": (qs.Transpose, {"axes": (0,), "name": "t"}),
    "Reshape": (qs.Reshape, {"shape": (2,), "name": "r"}),
    "Constant": (qs.Constant, {"value": CODES, "name": "c"}),
    "Reinterpret": (qs.Reinterpret, {"format": FOUR, "name": "r"}),
    "plot": (qs.plot, {"found": object()}),
    "content_hash": (qs.content_hash, {"network": NET}),
}
REFUSED = ("read_property", "agree of", "flips of", "lint of", "plot")
"""Calls that are refused as they stand: what they are about is not there."""


class Anything:
    """A class that can be made of whatever it is given, so that what a call of it raises is not its own."""

    def __init__(self, *_: object, **__: object) -> None:
        pass


POSITIONAL = ("variable", "x")
WRONG: dict[str, object] = {
    "None": None,
    "a number": 3,
    "a negative number": -1,
    "a fraction": 0.5,
    "NaN": float("nan"),
    "a text": "x",
    "bytes": b"x",
    "True": True,
    "a list": [],
    "a dictionary": {},
    "an object": object(),
    "a function": lambda *_, **__: None,
    "a class": Anything,
    "an array": np.ones((2, 3)),
    "a complex number": 1j,
}


def make(call: str, changed: dict[str, object]) -> None:
    """Call a function with these arguments, those that have no name first."""
    function, _ = CALLS[call]
    first = [changed.pop(name) for name in POSITIONAL if name in changed and (call, name) != ("evaluate", "codes")]
    if call in ("evaluate", "max", "sum") or first:
        function(*(first or [changed.pop(next(iter(changed)))]), **changed)
    else:
        function(**changed)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in REFUSED])
def test_arguments_of_the_right_kind_are_taken(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or that a wrong one is refused would show nothing."""
    monkeypatch.chdir(tmp_path)
    try:
        make(call, dict(CALLS[call][1]))
    except qs.PackageMissingError:
        pytest.skip("not installed")


def cases() -> Iterator[Any]:
    for call, (_, given) in CALLS.items():
        for argument in given:
            yield pytest.param(call, argument, id=f"{call}-{argument}")


@pytest.mark.parametrize(("call", "argument"), list(cases()))
def test_an_argument_of_a_wrong_kind_is_refused_by_name_or_taken(
    call: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strange: list[str] = []
    for kind, wrong in WRONG.items():
        try:
            make(call, {**CALLS[call][1], argument: wrong})
        except qs.QspecError:
            pass
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            strange.append(f"{kind}: {type(error).__name__}: {error}")
    assert not strange, "\n".join(strange)
