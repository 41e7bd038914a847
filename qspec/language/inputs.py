"""From a network to the symbols of a specification: inputs as variables, and applications."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qspec.errors import ShapeError, SpecError
from qspec.formats import code_range
from qspec.integers import integers
from qspec.language.domains import Domain, OneHot, Piece, Range, box
from qspec.language.expressions import Application, Expression, Operand, Output, Tap, Variable, expression
from qspec.network.graph import Network, Stage
from qspec.network.layers import Feature, Input


def input_variable(network: Network, name: str, *, of: str | None = None, lower: object = None, upper: object = None) -> Variable:
    """Return a variable that ranges over every code of an input of the network (the only one, or the one called `of`).

    `lower` and `upper` are codes, scalars or arrays, that narrow the box. Features of the input (integer ranges, one-hot groups) are kept.
    Raises SpecError on an empty domain.
    """
    stage = _input_stage(network, of)
    layer = stage.layer
    assert isinstance(layer, Input)
    low, high = code_range(layer.format, layer.shape)
    low, high = _narrow(low, lower, np.maximum), _narrow(high, upper, np.minimum)
    columns: list[tuple[str, int, int]] = []
    start = 0
    for f in layer.features:
        columns.append((f.name, start, start + f.columns))
        start += f.columns
    domain = _feature_domain(layer, low, high) if layer.features else box(low, high)
    return Variable(name, stage.type, domain, tuple(columns))


def apply_network(network: Network, arguments: tuple[Operand, ...], parameters: Mapping[tuple[str, str], Expression]) -> Application:
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
        if value.size != stage.type.size:
            raise ShapeError(f"value for input {stage.name!r} has the wrong shape", given=value.shape, expected=str(stage.type.shape))
        fitted.append(value if value.shape == stage.type.shape else value.reshape(*stage.type.shape))
    return Application(network, tuple(fitted), tuple(parameters.items()))


def output(application: Application, which: int = 0) -> Output:
    """Return one output of an applied network."""
    return Output(application, application.network.stages[application.network.outputs[which]].name)


def layer_signal(application: Application, stage: str, tap: Tap) -> Output:
    """Return the signal of an inner layer: its output, exact accumulator, held accumulator or rounded code before overflow."""
    application.network.stage(stage)
    return Output(application, stage, tap)


def _input_stage(network: Network, of: str | None) -> Stage:
    stages = network.inputs
    for s in stages:
        if s.name == of:
            return s
    if of is not None or len(stages) > 1:
        raise SpecError("which input?", given=repr(of), expected=f"of= one of {', '.join(s.name for s in stages)}")
    return next(iter(stages))


def _narrow(codes: np.ndarray, limit: object, choose: np.ufunc) -> np.ndarray:
    if limit is None:
        return codes
    bound = integers(limit)
    if bound.size not in (1, codes.size):
        raise ShapeError("bounds do not fit the input", given=bound.shape, expected=f"one number or {codes.size}")
    return choose(codes, bound.reshape(-1))


def _feature_domain(layer: Input, low: np.ndarray, high: np.ndarray) -> Domain:
    """Return the domain of whole-valued and one-hot features, in codes."""
    units, zeros = layer.format.grid().per_element(layer.shape)

    def code(feature: Feature, position: int, value: int) -> int:
        exact = value / units[position] + zeros[position]
        if exact.denominator != 1 or not low[position] <= exact <= high[position]:
            raise SpecError(
                f"feature {feature.name!r} takes a value that its format cannot hold",
                given=value,
                expected=f"codes {low[position]}..{high[position]} of {layer.format}",
            )
        return int(exact)

    pieces: list[Piece] = []
    ranges: list[tuple[int, int, int, int]] = []
    position = 0
    for f in layer.features:
        if f.categories:
            where = np.arange(position, position + f.columns)
            pieces.append(
                OneHot(f.name, where, integers([code(f, int(p), 0) for p in where]), integers([code(f, int(p), 1) for p in where]))
            )
        else:
            first, last = code(f, position, f.lower), code(f, position, f.upper)
            stride = 1 if f.upper == f.lower else (last - first) // (f.upper - f.lower)
            ranges.append((position, first, stride, f.upper - f.lower))
        position += f.columns
    if ranges:
        columns = [integers(list(c)) for c in zip(*ranges, strict=True)]
        pieces.insert(0, Range(columns[0], columns[1], columns[2], columns[3]))
    return Domain(position, tuple(pieces))
