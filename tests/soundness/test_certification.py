"""Certification of test sets: on tiny networks every verdict equals enumeration, whichever stage reached it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import SAFE, IntArray
from qspec.batch.certify import Branching
from qspec.batch.classes import winners
from qspec.bounds.interval import bound, decide
from qspec.bounds.interval_program import LOWER, UPPER, ends
from qspec.engines.boxes.class_query import question
from qspec.engines.boxes.dual_boxes import Boxes
from qspec.engines.dual.options import EngineOptions
from qspec.errors import UnsupportedError
from qspec.evaluate.batched import spread
from qspec.ir import reference
from qspec.ir.integer import Input
from qspec.lowering.evaluate import evaluate, program
from qspec.verify.result import Verdict
from tests.unit.random_networks import random_network

TINY = [
    net
    for net in map(random_network, range(400))
    if len(net.inputs) == len(net.outputs) == 1 and net.output_types[0].size > 1 and net.inputs[0].type.size <= 4
]
assert len(TINY) > 40
FEW = TINY[:6]
"""Those of which the device's code is compiled, which is what takes the time."""


def classes_nearby(net: qs.Network, point: IntArray, radius: int) -> set[int]:
    """Return the class of every input within the radius, by the reference alone."""
    layer = net.inputs[0].layer
    assert isinstance(layer, qs.Input)
    low, high = code_range(layer.format, layer.shape)
    axes = [range(max(int(a), int(p) - radius), min(int(b), int(p) + radius) + 1) for a, b, p in zip(low, high, point, strict=True)]
    points = np.array(list(product(*axes))).reshape(-1, *net.inputs[0].type.shape)
    return set(winners(net, evaluate(net, points).reshape(len(points), -1)).tolist())


def samples(net: qs.Network, seed: int, count: int = 4) -> tuple[IntArray, IntArray]:
    """Return random inputs, and labels of which most are the network's own."""
    rng = np.random.default_rng(seed)
    layer = net.inputs[0].layer
    assert isinstance(layer, qs.Input)
    low, high = code_range(layer.format, layer.shape)
    images = rng.integers(np.maximum(low, -200), np.minimum(high, 200), (count, low.size), endpoint=True)
    own = winners(net, evaluate(net, images.reshape(count, *net.inputs[0].type.shape)).reshape(count, -1))
    wrong = rng.random(count) < 0.2
    return images, np.where(wrong, (own + 1) % net.output_types[0].size, own)


@pytest.mark.parametrize("branching", ["steps", "input"])
def test_verdicts_equal_enumeration(branching: Branching) -> None:
    seen: list[Verdict] = []
    for seed, net in enumerate(FEW):
        images, labels = samples(net, seed)
        radius = 1 + seed % 2
        if branching == "input" and not all(question(net, int(label)).batched for label in labels):
            with pytest.raises(UnsupportedError, match=r"steps"):
                qs.certify(net, images, labels, radius, branching=branching)
            continue
        found = qs.certify(net, images, labels, radius, branching=branching, timeout=600)
        for image, label, right, outcome in zip(images, labels, found.right, found.outcomes, strict=True):
            classes = classes_nearby(net, image, radius)
            assert outcome.verdict is (Verdict.HOLDS if classes == {int(label)} else Verdict.VIOLATED), (seed, image)
            assert right == (classes_nearby(net, image, 0) == {int(label)})
            seen.append(outcome.verdict)
    assert {seen.count(v) > 3 for v in (Verdict.HOLDS, Verdict.VIOLATED)} == {True}


def test_duals_of_boxes_prove_only_what_enumeration_confirms_and_more_than_intervals() -> None:
    proved = beyond = 0
    for seed, net in enumerate(TINY):
        images, labels = samples(net, seed, 6)
        layer = net.inputs[0].layer
        assert isinstance(layer, qs.Input)
        low, high = code_range(layer.format, layer.shape)
        for label in np.unique(labels).tolist():
            query = question(net, label).query
            if not Boxes.takes(query) or any(x.magnitude >= SAFE for x in bound(query.program)):
                continue
            rows = np.flatnonzero(labels == label)
            lower, upper = np.maximum(images[rows] - 1, low), np.minimum(images[rows] + 1, high)
            absent = Boxes(query, EngineOptions(compiled=False)).absent(lower, upper)
            for row, k in enumerate(rows):
                if absent[row]:
                    proved += 1
                    assert classes_nearby(net, images[k], 1) == {label}, (seed, k)
                    boxed = tuple(Input(n.name, lower[row], upper[row]) if isinstance(n, Input) else n for n in query.program)
                    beyond += decide(query.goal, bound(boxed)) is None
    assert proved > 20
    assert beyond > 3


def test_ends_are_those_of_interval_propagation_and_contain_the_values() -> None:
    asked = 0
    for seed, net in enumerate(TINY):
        nodes, _ = program(net)
        try:
            made = ends(nodes)
        except UnsupportedError:
            continue
        asked += 1
        rng = np.random.default_rng(seed)
        (given,) = (n for n in nodes if isinstance(n, Input))
        corners = np.sort(rng.integers(np.maximum(given.lower, -(10**6)), np.minimum(given.upper, 10**6), (2, 5, given.lower.size)), axis=0)
        values = reference.evaluate(made.program, {given.name + LOWER: corners[0], given.name + UPPER: corners[1]})
        inside = reference.evaluate(nodes, {given.name: rng.integers(corners[0], corners[1], endpoint=True)})
        for row in range(5):
            boxed = tuple(Input(given.name, corners[0][row], corners[1][row]) if n is given else n for n in nodes)
            for k, interval in enumerate(bound(boxed)):
                assert np.array_equal(np.broadcast_to(values[made.lower[k]], (5, interval.lower.size))[row], interval.lower)
                assert np.array_equal(np.broadcast_to(values[made.upper[k]], (5, interval.lower.size))[row], interval.upper)
                assert np.all(np.broadcast_to(inside[k], (5, interval.lower.size))[row] >= interval.lower)
    assert asked >= 20


def test_batches_on_devices_are_the_reference() -> None:
    net = qs.load("digits-6bit")
    nodes, taps = program(net)
    images = np.random.default_rng(0).integers(0, 32, (300, 64))
    last = taps[net.stages[net.outputs[0]].name].output
    assert np.array_equal(
        spread(nodes, [last])({net.inputs[0].name: images})[0], evaluate(net, images.reshape(-1, 8, 8, 1)).reshape(300, -1)
    )


def tie() -> qs.Network:
    """Return a network whose two outputs are always equal."""
    weight = qs.Fixed(4, 0)
    return qs.Sequential(qs.Input((2,), qs.Fixed(3, 0, signed=False)), qs.Dense(qs.Tensor(np.array([[1, 1], [2, 2]]), weight)), name="tie")


@pytest.mark.parametrize("branching", ["steps", "input"])
def test_of_equal_outputs_the_first_wins(branching: Branching) -> None:
    found = qs.certify(tie(), [[3, 3], [3, 3]], [0, 1], 2, branching=branching)
    assert [o.verdict for o in found.outcomes] == [Verdict.HOLDS, Verdict.VIOLATED]
    assert found.clean == 0.5
    assert found.certified == 0.5
