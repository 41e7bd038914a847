"""Certificates of samples that `certify` proved: each is proved again by the native engine, and its proof checked.

Bounds of many samples at once leave no proof that can be kept, and are checked by nobody. So a certificate is a second, independent proof
of the same verdict: the query of one sample, as the property of local robustness is compiled, and steps that the checker follows with
integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import Certificate
from qspec.errors import SoundnessError
from qspec.language.property import Property
from qspec.solver import Limits
from qspec.verify.decide import verify
from qspec.verify.result import Verdict

Certificates = Literal["none", "sample", "all"]
SAMPLE = 16
"""How many certificates `sample` makes at most."""
SECONDS = 60.0
"""Seconds for each certificate where samples get none of their own."""


def certificates(
    robust: Property, images: IntArray, labels: IntArray, proved: Sequence[int], which: Literal["sample", "all"], limits: Limits
) -> dict[int, Certificate]:
    """Return checked certificates by sample, for all that were `proved` or for 16 drawn by the seed; `limits` are those of each.

    `robust` has the parameters `image` and `label`. A sample for which the engine finds no proof in time has none. Raises SoundnessError
    if the engine finds a counterexample where robustness was proved, or if a proof fails.
    """
    drawn = np.random.default_rng(limits.seed).permutation(len(proved))[:SAMPLE] if which == "sample" else range(len(proved))
    made: dict[int, Certificate] = {}
    for k in sorted(proved[n] for n in drawn):
        spec = robust.at(image=images[k], label=int(labels[k]))
        result = verify(spec, attack=False, timeout=limits.seconds, memory=limits.memory, seed=limits.seed)
        if result.verdict is Verdict.VIOLATED:
            given = f"sample {k}: proved, and violated at {result.codes}"
            raise SoundnessError(
                "a sample that was certified has a counterexample", given=given, expected="one verdict", advice="report it"
            )
        if result.certificate is not None:
            made[k] = result.certificate
    return made
