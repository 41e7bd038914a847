"""A network in NNet text as a real network: every number means exactly the decimal that is written.

Hidden layers are ReLU, the last one is linear. The file states a mean and a range for each input, and one pair for all outputs: the network
reads `(x - mean) / range` and its outputs are scaled back, which here becomes part of the first and the last layer. That evaluators of the
format move inputs into the file's box first is not part of the network. Source: Kyle Julian's format, https://github.com/sisl/NNet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from qspec.errors import ModelFileError, QspecError
from qspec.integers import rational
from qspec.network.activations import Linear, ReLU
from qspec.network.real import RealNetwork, RealSequential
from qspec.network.real_layers import RealDense, RealInput
from qspec.reals.ir import ExactArray, exact

LARGEST = 1 << 28
"""Bytes of a file at most."""
WIDEST = 1 << 16
"""Units of a layer at most."""
Row = list[Fraction]


@dataclass(frozen=True, slots=True, eq=False)
class ImportedNNet:
    """A real network, and the least and the greatest value of each input that the file states."""

    network: RealNetwork
    lower: ExactArray
    upper: ExactArray


def read_nnet(path: str | Path, *, normalized: bool = True) -> RealNetwork:
    """Return the real network of an .nnet file.

    With `normalized=False` its weights read inputs as they are: means and ranges are ignored. Raises ModelFileError on a damaged file.
    """
    return import_nnet(path, normalized=normalized).network


def import_nnet(path: str | Path, *, normalized: bool = True) -> ImportedNNet:
    """Return the real network of an .nnet file with the box of its inputs; see `read_nnet`."""
    lines = _Lines(path)
    count, inputs, outputs, _ = lines.whole(4)
    sizes = lines.whole(count + 1)
    if (sizes[0], sizes[-1]) != (inputs, outputs):
        raise lines.damaged(f"layers of {sizes}", f"{inputs} inputs and {outputs} outputs")
    lines.row(1)  # a flag that nothing reads any more
    lower, upper, means, ranges = lines.row(inputs), lines.row(inputs), lines.row(inputs + 1), lines.row(inputs + 1)
    if normalized and not all(ranges):
        raise lines.damaged("a range of zero", "ranges to divide by", advice="normalized=False")
    parameters = [([lines.row(a) for _ in range(b)], [lines.row(1)[0] for _ in range(b)]) for a, b in pairwise(sizes)]
    lines.end()
    kernels = [(np.array(rows, dtype=object).T, np.array(bias, dtype=object)) for rows, bias in parameters]
    if normalized:
        kernels = _denormalized(kernels, means, ranges)
    layers = [RealDense(k, b, ReLU() if n < count - 1 else Linear()) for n, (k, b) in enumerate(kernels)]
    try:
        network = RealSequential(RealInput((inputs,)), *layers, name=Path(path).name.split(".")[0])
    except QspecError as error:
        raise lines.damaged(error.what, "a consistent network") from error
    return ImportedNNet(network, exact(lower), exact(upper))


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
        try:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST + 1)
            text = data.decode("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelFileError("cannot read the file", given=str(path), expected=f"an .nnet file ({error})") from None
        if len(data) > LARGEST:
            raise ModelFileError("the file is too large", given=str(path), expected=f"at most {LARGEST} bytes")
        self._rest = self._content(text)

    def _content(self, text: str) -> Iterator[str]:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("//"):
                self.number = number
                yield line

    def row(self, count: int) -> Row:
        """Return the numbers of the next line; raises ModelFileError unless there are so many."""
        line = next(self._rest, None)
        if line is None:
            raise self.damaged("the file ends", f"a line of {count} numbers")
        words = line.strip().rstrip(",").split(",")
        if len(words) != count:
            raise self.damaged(f"{len(words)} numbers", f"{count}")
        try:
            return [rational(w.strip()) for w in words]
        except (QspecError, ValueError):
            raise self.damaged(line, f"{count} finite numbers") from None

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
