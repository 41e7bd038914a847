"""From a real network to the symbols of a specification: inputs as variables in boxes, and applications."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qspec.arithmetic.shapes import check_one
from qspec.errors import FormatError, SpecError
from qspec.ir.real import ExactArray, exact
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.inputs import fit
from qspec.language.variables import RealApplication, RealOutput, RealVariable
from qspec.network.graph import RealGraph, RealStage
from qspec.support import checks


def real_input_variable(
    network: RealGraph, name: str, *, of: str | None = None, lower: object = None, upper: object = None
) -> RealVariable:
    """Return a variable over a closed box of an input (the only one, or the one called `of`); raises SpecError on a box that is none."""
    return real_variable(name, _input_stage(network, of).shape, lower, upper)


def real_variable(name: str, shape: tuple[int, ...], lower: object, upper: object) -> RealVariable:
    """Return a variable of this shape in a closed box; raises SpecError if an end is missing, is no finite number, or the box is empty."""
    checks.text(name, "the name of a variable")
    low, high = (_end(values, shape, which, name) for values, which in ((lower, "lower"), (upper, "upper")))
    empty = low.reshape(-1) > high.reshape(-1)
    if np.any(empty):
        k = int(np.argmax(empty))
        raise SpecError(
            "empty domain", given=f"{low.reshape(-1)[k]}..{high.reshape(-1)[k]} at flat index {k}", expected="lower <= upper everywhere"
        )
    return RealVariable(name, low, high)


def apply_real(network: RealGraph, arguments: tuple[Operand, ...], parameters: Mapping[tuple[str, str], Expression]) -> RealApplication:
    """Return the application of a real network to one expression per input; raises SpecError or ShapeError if they do not fit."""
    values = tuple(expression(a) for a in arguments)
    if len(values) != len(network.inputs):
        names = ", ".join(s.name for s in network.inputs)
        raise SpecError(
            "a network is applied to one value per input", given=f"{len(values)} values", expected=f"{len(network.inputs)}: {names}"
        )
    fitted: list[Expression] = []
    for value, stage in zip(values, network.inputs, strict=True):
        fitted.append(fit(value, stage.shape, f"the value for input {stage.name!r}"))
    return RealApplication(network, tuple(fitted), tuple(parameters.items()))


def real_output(application: RealApplication, which: int = 0) -> RealOutput:
    """Return one output of an applied real network."""
    return RealOutput(application, application.network.stages[application.network.outputs[which]].name)


def _input_stage(network: RealGraph, of: str | None) -> RealStage:
    stages = network.inputs
    if of is not None:
        checks.text(of, "the name of an input")
    for s in stages:
        if s.name == of:
            return s
    if of is not None or len(stages) > 1:
        raise SpecError("which input?", given=repr(of), expected=f"of= one of {', '.join(s.name for s in stages)}")
    return next(iter(stages))


def _end(values: object, shape: tuple[int, ...], which: str, name: str) -> ExactArray:
    """Return one end of a box, in the shape of the variable."""
    example = f'net.input("{name}", lower=-1, upper=1)'
    if values is None:
        raise SpecError(f"a real variable needs a bounded box: {name!r} has no {which} end", expected="two finite ends", advice=example)
    try:
        end = exact(values)
    except FormatError as error:
        raise SpecError(
            f"the {which} end of {name!r} is not finite", given=error.given, expected="finite exact numbers", advice=example
        ) from None
    if end.ndim:
        check_one(end.shape, shape, f"the {which} end of {name!r}")
    full = np.array(np.broadcast_to(end.reshape(-1), (int(np.prod(shape, dtype=np.int64)),))).reshape(shape)
    full.setflags(write=False)
    return full
