"""A network in NNet text as a real network: every number means exactly the decimal that is written.

Hidden layers are ReLU, the last one is linear. The file states a mean and a range for each input, and one pair for all outputs. Normalised,
the network reads `(x - mean) / range` and its outputs are scaled back, which here becomes part of the first and the last layer; otherwise
the weights read inputs as they are. Files do not say which of the two they mean, so the caller does. That evaluators of the format move
inputs into the file's box first is not part of the network. Source: Kyle Julian's format, https://github.com/sisl/NNet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import rational
from qspec.errors import ModelFileError, QspecError, SpecError, UnsupportedError
from qspec.face import RealNetwork, RealSequential
from qspec.ir.real import ExactArray, exact
from qspec.network.activations import Linear, ReLU
from qspec.network.real_layers import RealDense, RealInput
from qspec.readers.content import DECIMAL, read_text
from qspec.readers.registry import Content, Reader

LARGEST = 1 << 28
"""Bytes of a file at most."""
WIDEST = 1 << 16
"""Units of a layer at most."""
Row = list[Fraction]

LINES: Mapping[str, str] = {
    "sizes": "4 whole numbers from 1 to 65536: layers, inputs, outputs, the largest layer",
    "layers": "the sizes of all layers, from the inputs to the outputs, as the line before says",
    "flag": "0; other values made old evaluators mirror inputs, and are refused",
    "minima": "the least value of each input",
    "maxima": "the greatest value of each input, none below its minimum",
    "means": "the mean of each input, and one of the outputs",
    "ranges": "the range of each input, and one of the outputs; none is 0 where they are used",
    "weights": "for each layer: a line of weights for each unit, then a line with one bias for each",
}
"""Every line of a file that is not a comment, in order, and what is taken; `docs/readers.md` has it."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedNNet:
    """A real network, what the file states of each input, and whether its means and ranges became part of the network.

    `lower` and `upper` (inputs,) are the least and the greatest values; `means` and `ranges` (inputs + 1,) have those of the outputs last.
    """

    network: RealNetwork
    lower: ExactArray
    upper: ExactArray
    means: ExactArray
    ranges: ExactArray
    normalized: bool


def read_nnet(path: str | Path, *, normalized: bool) -> RealNetwork:
    """Return the real network of an .nnet file; a file does not say how it is meant, so `normalized` does.

    With `normalized=True` the network reads raw inputs, from which it takes the file's means and which it divides by its ranges (ACAS Xu).
    With `normalized=False` its weights read inputs as they are, and means and ranges are ignored (networks over tables of people). Raises
    ModelFileError on a damaged file, UnsupportedError on one with the flag of mirrored inputs.
    """
    return import_nnet(path, normalized=normalized).network


def import_nnet(path: str | Path, *, normalized: bool) -> ImportedNNet:
    """Return the real network of an .nnet file with the box, means and ranges of its inputs; see `read_nnet`."""
    if not isinstance(normalized, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("is the network normalised?", given=normalized, expected="normalized=True or normalized=False")
    lines = _Lines(path)
    sizes = _sizes(lines)
    inputs = sizes[0]
    if lines.row(1)[0] != 0:
        raise UnsupportedError("the flag of mirrored inputs is not read", given=f"{path}, line {lines.number}", expected=LINES["flag"])
    lower, upper = lines.row(inputs), lines.row(inputs)
    crossed = [k for k, (low, high) in enumerate(zip(lower, upper, strict=True)) if low > high]
    if crossed:
        k = crossed[0]
        raise lines.damaged(f"{upper[k]} of input {k}, whose minimum is {lower[k]}", LINES["maxima"])
    means, ranges = lines.row(inputs + 1), lines.row(inputs + 1)
    if normalized and not all(ranges):
        raise lines.damaged("a range of zero", LINES["ranges"], advice="normalized=False")
    parameters = [([lines.row(a) for _ in range(b)], [lines.row(1)[0] for _ in range(b)]) for a, b in pairwise(sizes)]
    lines.end()
    kernels = [(np.array(rows, dtype=object).T, np.array(bias, dtype=object)) for rows, bias in parameters]
    if normalized:
        kernels = _denormalized(kernels, means, ranges)
    layers = [RealDense(k, b, ReLU() if n < len(kernels) - 1 else Linear()) for n, (k, b) in enumerate(kernels)]
    try:
        network = RealSequential(RealInput((inputs,)), *layers, name=Path(path).name.split(".")[0])
    except QspecError as error:
        raise lines.damaged(error.what, "a consistent network") from error
    return ImportedNNet(network, exact(lower), exact(upper), exact(means), exact(ranges), normalized)


def _sizes(lines: _Lines) -> list[int]:
    """Return the sizes of all layers, the inputs first."""
    count, inputs, outputs, largest = lines.whole(4)
    sizes = lines.whole(count + 1)
    if (sizes[0], sizes[-1]) != (inputs, outputs):
        raise lines.damaged(f"layers of {sizes}", f"{inputs} inputs and {outputs} outputs")
    if max(sizes) > largest:
        raise lines.damaged(f"layers of {sizes}", f"none larger than {largest}, as the line before says")
    return sizes


def _denormalized(kernels: list[tuple[ExactArray, ExactArray]], means: Row, ranges: Row) -> list[tuple[ExactArray, ExactArray]]:
    """Let the first layer read inputs as they are, and the last one write outputs as they are."""
    mean, scale = (np.array(r, dtype=object) for r in (means, ranges))
    kernel, bias = kernels[0]
    kernels = [(kernel / scale[:-1, None], bias - (mean[:-1] / scale[:-1]) @ kernel), *kernels[1:]]
    kernel, bias = kernels[-1]
    return [*kernels[:-1], (kernel * scale[-1], bias * scale[-1] + mean[-1])]


class _Lines:
    """The lines of a file that are not comments, one after the other."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.number = 0
        self._rest = self._content(read_text(path, LARGEST, "an .nnet file", packed=False))

    def _content(self, text: str) -> Iterator[str]:
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            if line.strip() and not line.lstrip().startswith("//"):
                self.number = number
                yield line

    def row(self, count: int) -> Row:
        """Return the numbers of the next line; raises ModelFileError unless there are so many."""
        line = next(self._rest, None)
        if line is None:
            raise self.damaged("the file ends", f"a line of {count} numbers")
        words = [w.strip(" \t") for w in line.strip(" \t").removesuffix(",").split(",")]
        if len(words) != count:
            raise self.damaged(f"{len(words)} numbers", f"{count}")
        if any(DECIMAL.fullmatch(w) is None for w in words):
            raise self.damaged(line, f"{count} finite numbers, such as -0.25 or 1e-3")
        return [rational(w) for w in words]

    def whole(self, count: int) -> list[int]:
        """Return the whole numbers of the next line."""
        row = self.row(count)
        if any(v.denominator != 1 or not 1 <= v <= WIDEST for v in row):
            raise self.damaged(", ".join(map(str, row)), f"whole numbers from 1 to {WIDEST}")
        return [int(v) for v in row]

    def end(self) -> None:
        """Raise ModelFileError if anything is left."""
        rest = next(self._rest, None)
        if rest is not None:
            raise self.damaged(rest, "the end of the file")

    def damaged(self, given: str, expected: str, *, advice: str = "") -> ModelFileError:
        """Return the error about the line that was read last."""
        return ModelFileError("not a valid .nnet file", given=f"{self.path}, line {self.number}: {given}", expected=expected, advice=advice)


def table() -> list[str]:
    """Return the lines of a file as a table in Markdown; `docs/readers.md` has it."""
    return ["| line | what is taken |", "|---|---|", *(f"| {name} | {rule} |" for name, rule in LINES.items())]


def _recognized(content: Content) -> bool:
    lines = content.head.decode("utf-8-sig", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("//")), "")
    return re.fullmatch(r"\s*(\d{1,9}\s*,\s*){3}\d{1,9}\s*,?\s*", first) is not None


READER = Reader(format="NNet", suffixes=(".nnet",), recognizes=_recognized, read=read_nnet)
