"""Rounding weights one after another: what one of them loses is made up for by those that are not rounded yet, and in the end by the bias.

What is kept small is the error of a layer's sums on samples of what it reads, which rounding each weight to the nearest code does not do.
Sources: Hassibi, Stork 1993 (optimal brain surgeon); Frantar, Ashkboos, Hoefler, Alistarh 2023 (GPTQ). Here the bias takes part, too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DAMPING = 1e-8
"""What is added to the second moment of each input, as a share of it, so that inputs that say the same have one solution."""


def compensated(kernel: Floats, bias: Floats, x: Floats, units: Floats, bits: int) -> tuple[Floats, Floats]:
    """Return weights (inputs, outputs) that are codes of signed `bits` times the unit of their output, and biases (outputs,).

    `x` are samples of what the layer reads, (samples, inputs). Inputs with the greatest second moments are rounded first.
    """
    size = kernel.shape[0]
    read = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    moments = read.T @ read / len(x)
    diagonal = np.diag(moments).copy()
    moments += np.diag(DAMPING * np.where(diagonal > 0, diagonal, 1))
    weights = np.concatenate([kernel, bias[None]])
    most = (1 << (bits - 1)) - 1
    left = np.ones(size + 1, np.bool_)
    for k in np.argsort(-diagonal[:size], kind="stable"):
        rounded = np.clip(np.floor(weights[k] / units + 0.5), -most - 1, most) * units
        error, weights[k], left[k] = rounded - weights[k], rounded, False
        weights[left] -= np.outer(np.linalg.solve(moments[np.ix_(left, left)], moments[left, k]), error)
    return weights[:size], weights[size]
