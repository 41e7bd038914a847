"""Properties that the field has names for, in the language itself: read them to learn to write your own.

Every function returns a `Property`; arguments that are `qs.parameter(…)` are given at `verify`. Images and centres are codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format, code_range
from qspec.arithmetic.rounding import Overflow
from qspec.errors import SpecError
from qspec.face import Network
from qspec.language.connectives import Conjunction, Formula
from qspec.language.domains import extremes
from qspec.language.expressions import Expression, Operand, Parameter, expression
from qspec.language.formulas import argmax, iff, same
from qspec.language.functions import between, linf
from qspec.language.inputs import fit
from qspec.language.perturbation import PerturbedNetwork
from qspec.language.property import Property, Requirement, exists, forall, requiring
from qspec.language.variables import Tap, Variable
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.support import checks


def local_robustness(network: Network, centre: Operand, radius: Operand, label: int | Parameter) -> Property:
    """State that every input within `radius` LSB of `centre` (codes, l-infinity) is classified as `label`; the first index wins ties.

    Source: Szegedy et al. 2014; on quantised networks Giacobbe, Henzinger, Lechner, TACAS 2020.
    """
    (x,) = inputs_of(network, "x")
    return _within(forall(x, given=_near(x, centre, radius), then=argmax(network(x)) == label, name="local_robustness"), x, radius)


def targeted_robustness(network: Network, centre: Operand, radius: Operand, target: int | Parameter) -> Property:
    """State that no input within `radius` LSB of `centre` is classified as `target`. Source: Carlini and Wagner 2017 (targeted attacks)."""
    (x,) = inputs_of(network, "x")
    return _within(forall(x, given=_near(x, centre, radius), then=argmax(network(x)) != target, name="targeted_robustness"), x, radius)


def global_robustness(network: Network, radius: Operand, tolerance: Operand) -> Property:
    """State that any two inputs within `radius` LSB of each other have outputs within `tolerance` (in values) of each other.

    Source: Katz et al. 2017 (Reluplex), section on global robustness.
    """
    a, b = inputs_of(network, "a", "b")
    given, then = linf(a.code - b.code) <= _radius(radius), linf(network(a) - network(b)) <= tolerance
    return _tolerating(_within(forall(a, b, given=given, then=then, name="global_robustness"), a, radius), tolerance)


def parameter_robustness(perturbed: PerturbedNetwork, centre: Operand, label: int | Parameter, *, radius: Operand = 0) -> Property:
    """State that every allowed change of the stored parameters keeps the class of every input within `radius` LSB of `centre`.

    `perturbed` is `network.perturb(weights=k, …)`. Source: Murthy, Das, Islam 2019, in the decision form, on fixed-point parameters.
    """
    (x,) = inputs_of(perturbed, "x")
    then = argmax(perturbed(x)) == label
    return _within(forall(x, perturbed.parameters, given=_near(x, centre, radius), then=then, name="parameter_robustness"), x, radius)


def bit_flip_robustness(
    network: Network, centre: Operand, label: int | Parameter, *, flips: int = 1, layers: Sequence[str] | None = None
) -> Property:
    """State that no `flips` flipped bits of stored parameters change the class of `centre`. Source: BFAVerifier, Zhang et al. 2025."""
    (x,) = inputs_of(network, "x")
    flipped = network.flip_bits(flips, layers=layers)
    return forall(x, flipped.parameters, given=_near(x, centre, 0), then=argmax(flipped(x)) == label, name="bit_flip_robustness")


def individual_fairness(network: Network, protected: Sequence[str], tolerance: Operand) -> Property:
    """State that two individuals who differ only in protected features have outputs within `tolerance` (in values).

    Source: Dwork et al. 2012; on quantised networks Giacobbe, Henzinger, Lechner, TACAS 2020, section on the gender bias of grades.
    """
    a, b = inputs_of(network, "a", "b")
    close = linf(network(a) - network(b)) <= tolerance
    return _tolerating(forall(a, b, given=same(a, b, except_for=protected), then=close, name="individual_fairness"), tolerance)


def decision_fairness(network: Network, protected: Sequence[str], threshold: Operand = 0) -> Property:
    """State that protected features alone never decide whether the one output reaches `threshold`.

    Source: Fairify, Biswas and Rajan 2023.
    """
    a, b = inputs_of(network, "a", "b")
    accepted = _only(network(a)) >= threshold, _only(network(b)) >= threshold
    return forall(a, b, given=same(a, b, except_for=protected), then=iff(*accepted), name="decision_fairness")


def monotonicity(network: Network, feature: str | int, *, increasing: bool = True) -> Property:
    """State that the one output never falls (or never rises) when only `feature` rises. Source: Sill 1998; Sharma and Wehrheim 2020."""
    a, b = inputs_of(network, "a", "b")
    checks.flag(increasing, "increasing")
    rises = a[feature] <= b[feature]
    low, high = (network(a), network(b)) if increasing else (network(b), network(a))
    return forall(a, b, given=same(a, b, except_for=[feature]) & rises, then=_only(low) <= _only(high), name="monotonicity")


def equivalence(first: Network, second: Network, *, tolerance: Operand | None = None) -> Property:
    """State that two networks agree on every input: in class, or in every output within `tolerance` (in values).

    Both read the same input format. Source: Kleine Büning, Kern, Sinz 2020 (epsilon- and top-1-equivalence).
    """
    (x,) = inputs_of(first, "x")
    inputs_of(second)
    layers = first.inputs[0].layer, second.inputs[0].layer
    assert isinstance(layers[0], Input)
    assert isinstance(layers[1], Input)
    ours, theirs = ((i.shape, str(i.format), i.features) for i in layers if isinstance(i, Input))
    if ours != theirs or layers[0].format != layers[1].format:
        raise SpecError("networks with different inputs", given=f"{ours} and {theirs}", expected="one shape, format and features")
    a, b = first(x), second(x)
    if a.shape != b.shape:
        raise SpecError("networks with different outputs", given=f"{a.shape} and {b.shape}", expected="one shape")
    then: Formula = argmax(a) == argmax(b) if tolerance is None else linf(a - b) <= tolerance
    return _tolerating(forall(x, then=then, name="equivalence"), tolerance)


def runtime_agreement(first: Network, second: Network, centre: Operand, radius: Operand, *, tolerance: Operand | None = None) -> Property:
    """State that one file read under two semantics agrees near `centre`: in class, or in every output within `tolerance` codes.

    The networks come from `qs.load(file, semantics=…)`; the region is every input within `radius` LSB (codes, l-infinity). `qs.flips`
    decides it for many inputs, and runs what it finds in both runtimes. Raises SpecError on networks of other inputs or outputs.
    """
    (x,) = inputs_of(first, "x")
    inputs_of(second)
    ours, theirs = ([(str(t.grid), t.shape) for t in (n.inputs[0].type, n.output_types[0])] for n in (first, second))
    if ours != theirs:
        given = f"{first.name!r} and {second.name!r}: {ours} and {theirs}"
        raise SpecError(
            "networks that are not one file in two semantics", given=given, expected="one format and shape of inputs and outputs"
        )
    a, b = first(x), second(x)
    then: Formula = argmax(a) == argmax(b) if tolerance is None else linf(a.code - b.code) <= tolerance
    spec = _within(forall(x, given=_near(x, centre, radius), then=then, name="runtime_agreement"), x, radius)
    return _tolerating(spec, tolerance)


def no_overflow(network: Network, *, layers: Sequence[str] | None = None, saturation: bool = False) -> Property:
    """State that no declared accumulator, and no output that wraps, of the chosen layers ever leaves its range.

    An accumulator that is declared counts whether it wraps or saturates. With `saturation`, outputs must not saturate either. Raises
    SpecError if there is nothing to overflow.
    """
    checks.flag(saturation, "saturation")
    (x,) = inputs_of(network, "x")
    held: list[Formula] = []
    for stage in network.stages if layers is None else [network.stage(n) for n in checks.names(layers, "layers")]:
        held += [_in_range(network, x, stage, tap, fmt) for tap, fmt in overflowing(stage.layer, saturation=saturation)]
    if not held:
        raise SpecError(
            "nothing can overflow",
            given=[s.name for s in network.stages] if layers is None else list(layers),
            expected="a declared accumulator, or an output that wraps",
            advice="saturation=True",
        )
    return forall(x, then=Conjunction(tuple(held)), name="no_overflow")


def reachable_class(network: Network, label: int | Parameter) -> Property:
    """State that some input is classified as `label`: a class that nothing reaches is dead."""
    (x,) = inputs_of(network, "x")
    return exists(x, then=argmax(network(x)) == label, name="reachable_class")


def inputs_of(network: Network | PerturbedNetwork, *names: str) -> tuple[Variable, ...]:
    """Return inputs of a network by these names; raises SpecError on what is no network."""
    if not isinstance(network, Network | PerturbedNetwork):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("a network is of the wrong kind", given=repr(network), expected="a Network", advice="qs.load(…) reads a file")
    return tuple(network.input(name) for name in names)


def _near(x: Variable, centre: Operand, radius: Operand) -> Formula:
    return linf(x.code - fit(expression(centre), x.shape, "the centre")) <= _radius(radius)


def _radius(radius: Operand) -> Operand:
    """Return a radius; raises SpecError on a float, which is no number of LSB."""
    if isinstance(radius, float | np.floating):
        raise SpecError("the radius is no whole number", given=repr(radius), expected="a whole number of LSB, at least 0")
    return radius


def _within(spec: Property, x: Variable, radius: Operand) -> Property:
    """Return a property that asks of its radius to be a whole number of LSB, and no more than any two codes of the input differ by."""
    low, high = extremes(x.domain)
    return requiring(spec, Requirement("the radius", expression(radius), most=int((high - low).max()), whole=True))


def _tolerating(spec: Property, tolerance: Operand | None) -> Property:
    """Return a property that asks of its tolerance not to be negative, which nothing would meet."""
    return spec if tolerance is None else requiring(spec, Requirement("the tolerance", expression(tolerance)))


def _only(output: Expression) -> Expression:
    if output.size != 1:
        raise SpecError("a network with one output is expected", given=output.shape, expected="one element")
    return output.reshape()


def overflowing(layer: Layer, *, saturation: bool) -> list[tuple[Tap, Format]]:
    """Return every place of a layer where a code is brought into a format and may overflow; outputs that saturate if that counts."""
    match layer:
        case Dense() | Conv2D():
            places: list[tuple[Tap, Format | None]] = [("held", layer.accumulator), ("rounded", layer.output)]
        case AveragePool2D() | Add() | Concat() | Requantize():
            places = [("rounded", layer.output)]
        case Input() | MaxPool2D() | Flatten() | Reshape() | Transpose() | Pad() | Reinterpret() | Constant() | Multiplier() | Thresholds():
            places = []
        case _:
            assert_never(layer)
    told: list[tuple[Tap, Format]] = [(tap, fmt) for tap, fmt in places if fmt is not None]
    return [(tap, fmt) for tap, fmt in told if saturation or tap == "held" or fmt.overflow in (Overflow.WRAP, Overflow.SAT_ZERO)]


def _in_range(network: Network, x: Variable, stage: Stage, tap: Tap, fmt: Format) -> Formula:
    return between(network.signal(x, layer=stage.name, tap=tap).code.flatten(), *code_range(fmt, stage.type.shape))
