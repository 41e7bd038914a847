"""From a network to the symbols of a specification: inputs as variables, and applications."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import integers
from qspec.arithmetic.shapes import check_one
from qspec.errors import SpecError
from qspec.language.domains import OneHot, Piece, Range, VariableDomain, box
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.variables import Application, Output, Variable
from qspec.network.graph import Graph, Stage
from qspec.network.layers import Feature, Input
from qspec.support import checks


def input_variable(network: Graph, name: str, *, of: str | None = None, lower: object = None, upper: object = None) -> Variable:
    """Return a variable that ranges over every code of an input of the network (the only one, or the one called `of`).

    `lower` and `upper` are codes, scalars or arrays, that narrow the box. Features of the input (integer ranges, one-hot groups) are kept.
    Raises SpecError on an empty domain.
    """
    checks.text(name, "the name of a variable")
    stage = _input_stage(network, of)
    layer = stage.layer
    assert isinstance(layer, Input)
    low, high = code_range(layer.format, layer.shape)
    low, high = _narrow(low, lower, np.maximum, layer.shape), _narrow(high, upper, np.minimum, layer.shape)
    columns: list[tuple[str, int, int]] = []
    start = 0
    for f in layer.features:
        columns.append((f.name, start, start + f.columns))
        start += f.columns
    domain = _feature_domain(layer, low, high) if layer.features else box(low, high)
    return Variable(name, stage.type, domain, tuple(columns), {f.name: f.categories for f in layer.features if f.categories})


def apply_network(network: Graph, arguments: tuple[Operand, ...], parameters: Mapping[tuple[str, str], Expression]) -> Application:
    """Return the application of a network to one expression per input; raises ShapeError if they do not fit."""
    values = tuple(expression(a) for a in arguments)
    stages = network.inputs
    if len(values) != len(stages):
        raise SpecError(
            "a network is applied to one value per input",
            given=f"{len(values)} values",
            expected=f"{len(stages)}: {', '.join(s.name for s in stages)}",
        )
    fitted: list[Expression] = []
    for value, stage in zip(values, stages, strict=True):
        fitted.append(fit(value, stage.type.shape, f"the value for input {stage.name!r}"))
    return Application(network, tuple(fitted), tuple(parameters.items()))


def output(application: Application, which: int = 0) -> Output:
    """Return one output of an applied network."""
    return Output(application, application.network.stages[application.network.outputs[which]].name)


def _input_stage(network: Graph, of: str | None) -> Stage:
    stages = network.inputs
    if of is not None:
        checks.text(of, "the name of an input")
    for s in stages:
        if s.name == of:
            return s
    if of is not None or len(stages) > 1:
        raise SpecError("which input?", given=repr(of), expected=f"of= one of {', '.join(s.name for s in stages)}")
    return next(iter(stages))


def _narrow(codes: np.ndarray, limit: object, choose: np.ufunc, shape: tuple[int, ...]) -> np.ndarray:
    if limit is None:
        return codes
    bound = integers(limit)
    if bound.ndim:
        check_one(bound.shape, shape, "bounds")
    return choose(codes, bound.reshape(-1))


def _feature_domain(layer: Input, low: np.ndarray, high: np.ndarray) -> VariableDomain:
    """Return the domain of whole-valued and one-hot features, in codes, cut to the box `low..high`."""
    pieces: list[Piece] = []
    ranges: list[tuple[int, int, int, int]] = []
    position = 0
    for f in layer.features:
        where = np.arange(position, position + f.columns)
        if f.categories:
            off, on = (integers([_feature_code(layer, f, int(p), value) for p in where]) for value in (0, 1))
            if np.any(np.minimum(off, on) < low[where]) or np.any(np.maximum(off, on) > high[where]):
                raise SpecError(
                    "a one-hot feature cannot be narrowed to a box", given=f.name, expected="codes for 0 and 1", advice="given="
                )
            pieces.append(OneHot(f.name, where, off, on))
        else:
            ranges.append(_feature_range(layer, f, position, int(low[position]), int(high[position])))
        position += f.columns
    if ranges:
        columns = [integers(list(c)) for c in zip(*ranges, strict=True)]
        pieces.insert(0, Range(columns[0], columns[1], columns[2], columns[3]))
    return VariableDomain(position, tuple(pieces))


def _feature_range(layer: Input, feature: Feature, position: int, low: int, high: int) -> tuple[int, int, int, int]:
    """Return position, first code, stride and number of steps of an integer feature inside `low..high`."""
    first, last = (_feature_code(layer, feature, position, v) for v in (feature.lower, feature.upper))
    stride = max(1, (last - first) // max(1, feature.upper - feature.lower))
    start = max(0, -((first - low) // stride))
    stop = min((last - first) // stride, (high - first) // stride)
    if start > stop:
        raise SpecError(
            f"feature {feature.name!r} has no value in the box", given=f"codes {low}..{high}", expected=f"some of {first}..{last}"
        )
    return position, first + start * stride, stride, stop - start


def _feature_code(layer: Input, feature: Feature, position: int, value: int) -> int:
    units, zeros = layer.format.grid().per_element(layer.shape)
    low, high = code_range(layer.format, layer.shape)
    exact = value / units[position] + zeros[position]
    if exact.denominator != 1 or not low[position] <= exact <= high[position]:
        raise SpecError(
            f"feature {feature.name!r} takes a value that its format cannot hold",
            given=value,
            expected=f"codes {low[position]}..{high[position]} of {layer.format}",
        )
    return int(exact)


def fit(value: Expression, shape: tuple[int, ...], what: str) -> Expression:
    """Return an array in this shape, which it has, or comes flat or as a batch of one for; raises ShapeError if neither."""
    check_one(value.shape, shape, what)
    return value if value.shape == shape else value.reshape(*shape)
