"""Properties as they are deployed: what is claimed of a network, and that no accumulator of it leaves its width, in one property."""

from __future__ import annotations

from dataclasses import replace

from qspec.arithmetic.formats import code_range
from qspec.errors import SpecError
from qspec.language.connectives import Conjunction, Formula
from qspec.language.functions import between
from qspec.language.property import Property
from qspec.language.traversal import occurrences
from qspec.language.variables import Application, Output, Tap
from qspec.network.graph import Stage
from qspec.network.layers import Conv2D, Dense
from qspec.support import checks

DEFAULT_BITS = 32
"""The width of an accumulator that declares none: what int8 kernels add up in."""
MOST_BITS = 1024


def deployed(spec: Property, *, bits: int = DEFAULT_BITS) -> Property:
    """Return a property that also claims that no accumulator leaves its declared width, or `bits` in two's complement if it declares none.

    It speaks of every network that the property applies, and of the sum when it is complete, in the accumulator's own unit (bias and
    products aligned); `qs.accumulators` says what partial sums may reach. One proof, and one certificate, covers both. Raises SpecError on
    a property that says that something exists, and on one without sums.
    """
    checks.whole(bits, "the width of an accumulator", least=2, most=MOST_BITS)
    if spec.kind != "forall":
        raise SpecError("only what is claimed of all inputs can be claimed as deployed", given=spec.kind, expected="qs.forall(…)")
    fits = [
        _fits(a, stage, bits)
        for a in occurrences(spec, Application)
        for stage in a.network.stages
        if isinstance(stage.layer, Dense | Conv2D)
    ]
    if not fits:
        raise SpecError("nothing is summed", given=spec.name, expected="a property of a network with Dense or Conv2D layers")
    return replace(spec, then=Conjunction((spec.then, *fits)), name=f"{spec.name}, as deployed")


def _fits(application: Application, stage: Stage, bits: int) -> Formula:
    layer = stage.layer
    assert isinstance(layer, Dense | Conv2D)
    declared = layer.accumulator
    tap: Tap = "accumulator" if declared is None else "held"
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if declared is None else code_range(declared, stage.type.shape)
    return between(Output(application, stage.name, tap).code.flatten(), low, high)
