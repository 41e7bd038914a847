"""Classes that a network gives many images, and the output codes that they come from."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray, in_common_unit
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.lowering.evaluate import evaluate, program

PORTION = 64
"""Images that the reference evaluates at once."""


def winners(network: Network, outputs: IntArray) -> IntArray:
    """Return the class of each vector of output codes (samples, classes): the first of those with the greatest exact value."""
    units, zeros = network.output_types[0].grid.per_element((outputs.shape[1],))
    if network.output_types[0].grid.channels == 1:
        return outputs.argmax(axis=1)
    whole = np.array(in_common_unit(units)[0], dtype=object)
    return ((outputs.astype(object) - zeros) * whole).argmax(axis=1)


def outputs_of(network: Network, images: IntArray) -> IntArray:
    """Return the output codes of images (samples, size), on all devices where 64 bits are enough for that."""
    from qspec.evaluate.batched import spread

    nodes, taps = program(network)
    last = taps[network.stages[network.outputs[0]].name].output
    try:
        return spread(nodes, [last])({network.inputs[0].name: images})[0]
    except UnsupportedError:
        return by_reference(network, images)


def by_reference(network: Network, images: IntArray) -> IntArray:
    parts = [images[k : k + PORTION] for k in range(0, len(images), PORTION)]
    return np.concatenate([evaluate(network, part).reshape(len(part), -1) for part in parts])
