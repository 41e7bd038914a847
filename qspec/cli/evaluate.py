"""`qspec evaluate`: codes in, codes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qspec.cli.arrays import read_array
from qspec.cli.outcome import CommandOutput
from qspec.cli.report import check_writable
from qspec.cli.specs import reader_options
from qspec.face import Network
from qspec.files.atomic import replacing, writing
from qspec.readers.load import load


def run(*, network: str, inputs: str, option: Sequence[str], semantics: str | None, out: str) -> CommandOutput:
    """Write the output codes of a network for every row of input codes."""
    check_writable(out)
    codes = load(network, kind=Network, **reader_options(option, semantics)).evaluate(read_array(inputs))
    with writing(out), replacing(Path(out)) as stream:
        np.save(stream, codes, allow_pickle=False)
    return CommandOutput(f"{codes.shape[0] if codes.ndim else 1} rows of {codes.shape[1:]} codes: {out}")
