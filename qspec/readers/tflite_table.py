"""The table of the TensorFlow Lite operators that are read, with their signals and how each semantics rounds; `docs/tflite.md` has it.

The operators and signals are those of the reader, and the rules those that the runtimes give when they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qspec.errors import UnsupportedError
from qspec.network.kernel_layers import Multiplier, Thresholds
from qspec.readers.tflite import ON_ELEMENTS, OPERATORS, SIGNED, WIDE
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.registry import TFLITE
from qspec.runtimes.runtime import Addition, Averaging, Interpolation, Normalization, Recurrence, Runtime

MANY = 20
"""Channels and elements that a runtime is asked about: whole blocks of 8 and of 16, and some left over."""
OWN: Mapping[str, str] = {"AVERAGE_POOL_2D": "ties away from code 0"}
"""What the reader computes alike for every runtime, where it is more than to copy codes, or to compare them."""
OUTPUTS: Mapping[str, tuple[float, int]] = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""The quantisation of results that kernels require."""
Made = Multiplier | Thresholds | Addition | Averaging | Interpolation | Recurrence | Normalization | tuple[float, float] | list[int]


def _sums(kind: str) -> Callable[[Runtime, Quantized, Quantized], Made]:
    return lambda r, x, y: r.sums(kind, x.scale, [0.01] * MANY, y, y.ends, 32 if x.width == 8 else 64)


def _addition(kind: str) -> Callable[[Runtime, Quantized, Quantized], Made]:
    return lambda r, x, y: r.addition(kind, x, x, y, y.ends, ((MANY,), (MANY,)))


def _table(kind: str) -> Callable[[Runtime, Quantized, Quantized], Made]:
    return lambda r, x, y: r.table(kind, x, y, {"Alpha": 0.25, "Approximate": False})


ASKED: Mapping[str, Callable[[Runtime, Quantized, Quantized], Made]] = {
    **{kind: _sums(kind) for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")},
    **{kind: _addition(kind) for kind in ("ADD", "SUB")},
    **{kind: _table(kind) for kind in ON_ELEMENTS},
    "MEAN": lambda r, x, y: r.average(4, x, y, image=True, keep=True, channels=MANY),
    "MUL": lambda r, x, y: r.product(x, x, y, y.ends),
    "PRELU": lambda r, x, y: r.slopes(x, x, y),
    "QUANTIZE": lambda r, x, y: r.requantize(x, y, MANY),
    "RESIZE_BILINEAR": lambda r, x, y: r.bilinear((2, 2), (3, 3), y.format, align=False, half=False),
    "SOFTMAX": lambda r, x, y: r.softmax(x, 1.0, 4),
    "SVDF": lambda r, x, y: r.recurrence(x, 0.01, Quantized(0.01, 0, True, 16), 0.01, y),
}
"""How a runtime is asked for the rule of an operator, with the quantisations of a signal and of the result."""


def markdown() -> str:
    """Return the table in Markdown, a row for each operator and a column for each semantics."""
    head = ["operator", "signals", *(f"`{name}`" for name in TFLITE)]
    kinds = sorted({*OPERATORS, *ON_ELEMENTS})
    rows = [head, ["---"] * len(head), *([kind, _signals(kind), *(_cell(kind, r) for r in TFLITE.values())] for kind in kinds)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _signals(kind: str) -> str:
    return ", ".join(["int8", *(["uint8"] if kind not in SIGNED else []), *(["int16"] if kind in WIDE else [])])


def _cell(kind: str, runtime: Runtime) -> str:
    if kind not in ASKED:
        return OWN.get(kind, "the codes themselves")
    found = [_answer(kind, runtime, width) for width in ((8, 16) if kind in WIDE else (8,))]
    return found[0] if len(set(found)) == 1 else f"{found[0]}; int16: {found[1]}"


def _answer(kind: str, runtime: Runtime, width: int) -> str:
    scale, zero = OUTPUTS.get(kind, (float(np.float32(0.0457)), 0))
    x, y = Quantized(float(np.float32(0.0123)), 29 if width == 8 else 0, True, width), Quantized(scale, zero, True, width)
    try:
        return ", then ".join(dict.fromkeys(_rules(ASKED[kind](runtime, x, y))))
    except UnsupportedError:
        return "refused"


def _rules(made: Made) -> list[str]:
    """Return the roundings of an answer, in their order."""
    match made:
        case Multiplier(multiplier=multipliers, scaling=scaling):
            short = " by 15 bits" if all(m & (m - 1) and m % (1 << 16) == 0 for m in multipliers) else ""
            names = list(dict.fromkeys(s.name for s in scaling))
            return [f"`{names[0]}`{short}" if len(names) == 1 else f"`{names[0]}` in blocks, `{names[1]}` in the rest"]
        case Thresholds():
            return ["float32"]
        case Addition(operands=operands, total=total):
            return [rule for stage in (*(operands or ()), total) for rule in _rules(stage)]
        case Averaging(result=result):
            return _rules(result)
        case Interpolation(total=total):
            return _rules(total)
        case Recurrence(new=new, total=total):
            return [*_rules(new), *_rules(total)]
        case Normalization():
            return ["fixed point of 31 bits"]
        case tuple():
            return ["`AWAY` on each side of 0"]
        case list():
            return ["a table"]
