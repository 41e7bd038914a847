"""Whether bounds can decide at all: what roundings may do to the margin at one point, if each is free, against the margin itself.

A bound that knows of a rounding no more than that it errs by at most half a step loses about `1/2 sum |d margin / d code|` over the codes
that can change. Where that is several times the margin, no such bound proves anything, whatever its effort.
"""

from __future__ import annotations

import numpy as np

from qspec.attack.aims import FREE
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.smooth import Smooth
from qspec.bounds.interval import Interval
from qspec.ir.integer import Query, Staircase

HOPELESS = 2.0
"""Noise in units of the margin from which bounds are not tried; deployed networks have less than 0.8 or more than 3.5."""


def noise(query: Query, known: list[Interval]) -> float:
    """Return the noise of roundings in units of the margin, at the centre of the box and for the nearest member of each disjunction.

    `known` are bounds of all nodes: codes that they fix make no noise. The result is 0 where nothing rounds, and infinite without a margin.
    """
    box = FlatBox.of(query)
    smooth = Smooth.of(query, known, box)
    lower, upper = (e.astype(smooth.dtype) for e in (box.lower, box.upper))
    centre = np.floor((lower + upper) / 2)[None]
    aims = np.full((1, len(smooth.options)), FREE)
    score, slopes = smooth.sensitivities(centre, aims)
    total = 0.0
    for k, own in slopes.items():
        if isinstance(query.program[k], Staircase):
            free = known[k].upper > known[k].lower
            total += float(np.abs(own[0]) @ free) / 2
    return total / -score if score < 0 else np.inf if total else 0.0
