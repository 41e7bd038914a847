"""Named properties of real networks, perturbed or quantised: read them to learn to write your own.

"Our reading": Murthy, Das, Islam 2019, "Robustness of Neural Networks to Parameter Quantization", arXiv 1903.10672, is known to us by its
abstract, which speaks of local and global robustness as the deviation of the confidence of class assignments. The formulas here are ours.
With parameters θ, confidence p_θ(x), and the box B of perturbed parameters that `real.perturb(…)` makes:

- local, at an input x0:     for all θ' in B, |p_θ'(x0) - p_θ(x0)| <= τ
- global, on an input box X: for all x in X and θ' in B, |p_θ'(x) - p_θ(x)| <= τ

and in label form the class of p_θ'(x) is that of p_θ(x). A global label form is violated wherever a decision boundary crosses X; a margin
leaves out the inputs near it.
"""

from __future__ import annotations

from collections.abc import Sequence

from qspec.errors import ShapeError
from qspec.face import Network, RealNetwork
from qspec.language.connectives import Conjunction, Disjunction, Formula
from qspec.language.domains import extremes
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.formulas import argmax, every, iff
from qspec.language.functions import linf
from qspec.language.inputs import fit
from qspec.language.property import Property, Requirement, forall, requiring
from qspec.language.real_perturbation import PerturbedRealNetwork
from qspec.support import checks

HALF = "1/2"


def local_deviation(perturbed: PerturbedRealNetwork, centre: Operand, tolerance: Operand) -> Property:
    """State that no allowed change of parameters moves an output at the input `centre` by more than `tolerance`.

    Source: our reading of Murthy, Das, Islam 2019 (local robustness, confidence form).
    """
    apart = linf(perturbed(centre) - perturbed.unchanged(centre))
    spec = forall(perturbed.parameters, then=apart <= tolerance, name="local_deviation")
    return requiring(spec, Requirement("the tolerance", expression(tolerance)))


def global_deviation(perturbed: PerturbedRealNetwork, tolerance: Operand, *, lower: object, upper: object) -> Property:
    """State that no allowed change of parameters moves an output by more than `tolerance` at any input of the box lower..upper.

    Source: our reading of Murthy, Das, Islam 2019 (global robustness, confidence form).
    """
    x = perturbed.input("x", lower=lower, upper=upper)
    apart = linf(perturbed(x) - perturbed.unchanged(x))
    spec = forall(x, perturbed.parameters, then=apart <= tolerance, name="global_deviation")
    return requiring(spec, Requirement("the tolerance", expression(tolerance)))


def local_label(perturbed: PerturbedRealNetwork, centre: Operand, *, threshold: Operand = HALF) -> Property:
    """State that no allowed change of parameters changes the class of the input `centre`.

    The class is the argmax of the outputs or, of one output, whether it reaches `threshold`. Source: our reading of Murthy, Das, Islam 2019
    (local robustness, label form).
    """
    then = same_label(perturbed(centre), perturbed.unchanged(centre), threshold)
    return forall(perturbed.parameters, then=then, name="local_label")


def global_label(
    perturbed: PerturbedRealNetwork, *, lower: object, upper: object, margin: Operand = 0, threshold: Operand = HALF
) -> Property:
    """State that no allowed change of parameters changes the class of an input in the box that is decided by more than `margin`.

    It is decided by the distance of its one output from `threshold`, or by that of the greatest output from each other one. Source: our
    reading of Murthy, Das, Islam 2019 (global robustness, label form).
    """
    x = perturbed.input("x", lower=lower, upper=upper)
    stored, changed = perturbed.unchanged(x), perturbed(x)
    given = decided(stored, margin, threshold)
    spec = forall(x, perturbed.parameters, given=given, then=same_label(changed, stored, threshold), name="global_label")
    return requiring(spec, Requirement("the margin", expression(margin)))


def quantization_error(
    fixed: Network,
    real: RealNetwork,
    tolerance: Operand,
    *,
    centre: Operand | None = None,
    radius: Operand = 0,
    outputs: Sequence[int] | None = None,
) -> Property:
    """State that outputs of a quantised network are within `tolerance` of those of a real one, for codes within `radius` of `centre`.

    Without a centre all codes of the input count, without `outputs` all outputs. The real network reads the values that the codes stand
    for. Source: Zhang, Song, Sun, CAV 2023 (QEBVerif).
    """
    checks.kind(fixed, Network, "the quantised network", "a Network")
    checks.kind(real, RealNetwork, "the real network", "a RealNetwork")
    chosen = None if outputs is None else list(checks.integers(outputs, "outputs"))
    x = fixed.input("x")
    given = None if centre is None else linf(x.code - fit(expression(centre), x.shape, "the centre")) <= radius
    ours, theirs = fixed(x), real(x)
    if ours.shape != theirs.shape:
        raise ShapeError("networks with different outputs", given=f"{ours.shape} and {theirs.shape}", expected="one shape")
    ours, theirs = ours.flatten(), theirs.flatten()
    apart = ours - theirs if chosen is None else ours[chosen] - theirs[chosen]
    spec = forall(x, given=given, then=every(abs(apart) <= tolerance), name="quantization_error")
    low, high = extremes(x.domain)
    near = Requirement("the radius", expression(radius), most=int((high - low).max()), whole=True)
    return requiring(requiring(spec, Requirement("the tolerance", expression(tolerance))), near)


def same_label(left: Expression, right: Expression, threshold: Operand) -> Formula:
    """Return that two outputs mean the same class."""
    if _size(left) > 1:
        return argmax(left) == argmax(right)
    return iff(left.reshape() >= threshold, right.reshape() >= threshold)


def decided(output: Expression, margin: Operand, threshold: Operand) -> Formula:
    """Return that an output is further than `margin` from where its class changes."""
    n = _size(output)
    if n == 1:
        return abs(output.reshape() - threshold) > margin
    flat = output.flatten()
    return Disjunction(tuple(Conjunction((every(flat[k] - flat[[j for j in range(n) if j != k]] > margin),)) for k in range(n)))


def _size(output: Expression) -> int:
    if output.size < 1 or len(output.shape) != 1:
        raise ShapeError("a vector of outputs is expected", given=output.shape, expected="one axis")
    return output.size
