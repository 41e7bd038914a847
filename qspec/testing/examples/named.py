"""Examples of every property that the field has a name for, holding and violated."""

from __future__ import annotations

from functools import partial

import qspec as qs
from qspec.named import properties
from qspec.testing.example import Example, Mark
from qspec.testing.examples.parts import HALVES, HOLDS, VIOLATED, marked, mlp, stored, tensor

TINY = qs.Fixed(2, 0)


def _classifier() -> qs.Network:
    return mlp(outputs=3, seed=2)


def _local(radius: int) -> qs.Property:
    return properties.local_robustness(_classifier(), qs.parameter("image", 2), radius, qs.parameter("label"))


def _targeted(target: int) -> qs.Property:
    return properties.targeted_robustness(_classifier(), [2, 1], 2, target)


def _global(tolerance: str) -> qs.Property:
    return properties.global_robustness(mlp(inputs=1, seed=4), 1, tolerance)


def _small() -> qs.Network:
    """Two weights and two biases of two bits: 4^4 times 4 points at most when all are free."""
    layer = qs.Dense(stored([[1, -1]], TINY), stored([0, -1], TINY), output=qs.Fixed(3, 0))
    return qs.Sequential(qs.Input((1,), TINY), layer)


def _parameter(weights: int, biases: int, radius: int) -> qs.Property:
    return properties.parameter_robustness(_small().perturb(weights=weights, biases=biases), [1], 0, radius=radius)


def _deep_parameter(label: int) -> qs.Property:
    """A hidden layer's weights are free, so that its outputs are sums of products."""
    net = qs.Sequential(
        qs.Input((1,), TINY),
        qs.Dense(stored([[1, -2]], TINY), None, qs.ReLU(), qs.Fixed(2, 0, signed=False), name="inner"),
        qs.Dense(stored([[1, -1], [-1, 1]], TINY), stored([1, 0], TINY), output=qs.Fixed(3, 0), name="outer"),
    )
    return properties.parameter_robustness(net.perturb(weights=1, layers=["inner", "outer"]), [-1], label)


def _convolution_parameter() -> qs.Property:
    layer = qs.Conv2D(stored([[[[1, -1]], [[-2, 1]]]], TINY), stored([0, 1], TINY), output=qs.Fixed(4, 0), padding=((0, 0), (1, 0)))
    net = qs.Sequential(qs.Input((1, 2, 1), TINY), layer, qs.Flatten())
    x, freed = net.input("x", lower=[-1, 0], upper=[0, 1]), net.perturb(weights=1, layers=["conv2d_1"])
    return qs.forall(x, freed.parameters, then=qs.linf(freed(x) - net(x)) <= 2, name="convolution parameters")


def _bit_flip(flips: int, label: int) -> qs.Property:
    return properties.bit_flip_robustness(_small(), [1], label, flips=flips)


def _people() -> qs.Network:
    features = (qs.Feature("age", 0, 3), qs.Feature("sex", 0, 1), qs.Feature("job", categories=("a", "b")))
    kernel = stored([[3, 1], [-1, 0], [2, -2], [-2, 3]], HALVES)
    return qs.Sequential(
        qs.Input((4,), qs.Fixed(4, 1), features=features),
        qs.Dense(kernel, None, qs.ReLU(), qs.Fixed(3, 1, signed=False)),
        qs.Dense(stored([[3], [-2]], HALVES), output=qs.Fixed(4, 1)),
    )


def _individual(protected: str, tolerance: str) -> qs.Property:
    return properties.individual_fairness(_people(), [protected], tolerance)


def _decision(protected: str, threshold: int) -> qs.Property:
    return properties.decision_fairness(_people(), [protected], threshold)


def _monotone(feature: str, increasing: bool) -> qs.Property:
    return properties.monotonicity(_people(), feature, increasing=increasing)


def _same_function() -> qs.Property:
    """The same network with its hidden units exchanged."""
    order = [1, 0]
    net = mlp(seed=4, hidden=2)
    first, last = net.stages[1].layer, net.stages[2].layer
    assert isinstance(first, qs.Dense)
    assert isinstance(last, qs.Dense)
    assert first.bias is not None
    exchanged = qs.Sequential(
        qs.Input((2,), HALVES),
        qs.Dense(
            qs.Tensor(first.kernel.codes[:, order], HALVES), qs.Tensor(first.bias.codes[order], HALVES), first.activation, first.output
        ),
        qs.Dense(qs.Tensor(last.kernel.codes[order], HALVES), last.bias, output=last.output),
    )
    return properties.equivalence(net, exchanged, tolerance=0)


def _equivalent(tolerance: str | None) -> qs.Property:
    return properties.equivalence(mlp(seed=4, hidden=2), mlp(seed=4, hidden=2, output=qs.Fixed(2, 0)), tolerance=tolerance)


def _no_overflow(width: int) -> qs.Property:
    accumulator = qs.Fixed(width, 2, rounding=qs.Rounding.TRN, overflow=qs.Overflow.WRAP)
    layer = qs.Dense(tensor(2, 2, seed=90), tensor(2, seed=91), qs.ReLU(), qs.Fixed(3, 0), accumulator=accumulator)
    return properties.no_overflow(qs.Sequential(qs.Input((2,), HALVES), layer))


def _no_saturation(width: int) -> qs.Property:
    layer = qs.Dense(tensor(2, 2, seed=92), tensor(2, seed=93), output=qs.Fixed(width, 1))
    return properties.no_overflow(qs.Sequential(qs.Input((2,), HALVES), layer), saturation=True)


def _reachable(label: int) -> qs.Property:
    return properties.reachable_class(mlp(outputs=3, seed=24), label)


def _agreement(tolerance: int) -> qs.Property:
    """One network under two roundings of its output, which differ by one code at most."""
    first, second = mlp(seed=6), mlp(seed=6, output=qs.Fixed(3, 1, rounding=qs.Rounding.TRN))
    return properties.runtime_agreement(first, second, [0, 0], 3, tolerance=tolerance)


PRODUCT = marked(Mark.PRODUCT)

NAMED = (
    Example("local-robustness", partial(_local, 1), HOLDS, {"image": [1, 2], "label": 0}),
    Example("local-robustness-too-far", partial(_local, 3), VIOLATED, {"image": [1, 2], "label": 0}),
    Example("targeted-robustness", partial(_targeted, 1), HOLDS),
    Example("targeted-robustness-reached", partial(_targeted, 0), VIOLATED),
    Example("global-robustness", partial(_global, "2"), HOLDS),
    Example("global-robustness-too-tight", partial(_global, "3/2"), VIOLATED),
    Example("parameter-robustness", partial(_parameter, 1, 0, 0), HOLDS),
    Example("parameter-robustness-biases", partial(_parameter, 0, 1, 1), VIOLATED),
    Example("parameter-robustness-all", partial(_parameter, 1, 1, 1), VIOLATED, marks=PRODUCT),
    Example("parameter-robustness-deep", partial(_deep_parameter, 0), VIOLATED, marks=PRODUCT),
    Example("parameter-robustness-convolution", _convolution_parameter, HOLDS, marks=PRODUCT),
    Example("bit-flip", partial(_bit_flip, 1, 0), HOLDS),
    Example("bit-flips", partial(_bit_flip, 2, 0), VIOLATED),
    Example("individual-fairness", partial(_individual, "sex", "1"), HOLDS),
    Example("individual-fairness-violated", partial(_individual, "job", "1"), VIOLATED),
    Example("decision-fairness", partial(_decision, "sex", 1), HOLDS),
    Example("decision-fairness-violated", partial(_decision, "job", 1), VIOLATED),
    Example("monotone-not-quite", partial(_monotone, "age", True), VIOLATED),
    Example("monotone-decreasing", partial(_monotone, "sex", False), HOLDS),
    Example("monotone-violated", partial(_monotone, "age", False), VIOLATED),
    Example("equivalent", _same_function, HOLDS),
    Example("equivalent-class", partial(_equivalent, None), VIOLATED),
    Example("equivalent-within", partial(_equivalent, "1/2"), HOLDS),
    Example("equivalent-not-within", partial(_equivalent, "1/4"), VIOLATED),
    Example("runtime-agreement", partial(_agreement, 1), HOLDS),
    Example("runtime-agreement-too-tight", partial(_agreement, 0), VIOLATED),
    Example("no-overflow", partial(_no_overflow, 6), HOLDS),
    Example("overflow", partial(_no_overflow, 5), VIOLATED),
    Example("no-saturation", partial(_no_saturation, 5), HOLDS),
    Example("saturation", partial(_no_saturation, 3), VIOLATED),
    Example("reachable-class", partial(_reachable, 0), HOLDS),
    Example("dead-class", partial(_reachable, 1), VIOLATED),
)
