"""`qspec evaluate`: codes in, codes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qspec.cli.arrays import read_array
from qspec.cli.outcome import Outcome
from qspec.errors import ModelFileError
from qspec.readers.load import load


def run(*, network: str, inputs: str, semantics: str | None, out: str) -> Outcome:
    """Write the output codes of a network for every row of input codes."""
    codes = load(network, semantics=semantics).evaluate(read_array(inputs))
    try:
        with Path(out).open("wb") as file:
            np.save(file, codes, allow_pickle=False)
    except OSError as error:
        raise ModelFileError("the outputs cannot be written", given=out, expected="a place to write", advice=str(error.strerror)) from None
    return Outcome(f"{codes.shape[0] if codes.ndim else 1} rows of {codes.shape[1:]} codes: {out}")
