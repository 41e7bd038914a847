"""The standard queries of a model as properties in the language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import qspec as qs
import qspec_models
from qspec.arithmetic.integers import IntArray
from qspec_models.card import Card, IndividualFairness, LocalRobustness, Monotonicity, StandardQuery


def properties(name: str) -> Iterator[tuple[StandardQuery, qs.Property]]:
    """Yield each standard query of a model with the property it stands for; raises ModelFileError if there is no such model."""
    card, network = qspec_models.card(name), qspec_models.load(name)
    inputs, targets = qspec_models.samples(name)
    for query in card.queries:
        yield query, as_property(query, card, network, inputs, targets)


def as_property(query: StandardQuery, card: Card, network: qs.Network, inputs: IntArray, targets: IntArray) -> qs.Property:
    """Return one standard query as a property of the network."""
    match query:
        case LocalRobustness(sample, epsilon, norm):
            x = network.input("x", lower=card.lowest, upper=card.highest)
            distance = qs.linf if norm == "linf" else qs.l1
            near = distance(x.code - inputs[sample]) <= epsilon
            return qs.forall(x, given=near, then=qs.argmax(network(x)) == int(targets[sample]), name="local_robustness")
        case IndividualFairness(feature, tolerance):
            return qs.properties.individual_fairness(network, [feature], tolerance)
        case Monotonicity(feature):
            return qs.properties.monotonicity(network, feature)
        case _:
            assert_never(query)
