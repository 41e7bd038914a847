"""The quantisers of QKeras as formats, and the codes of weights that they make.

Source: `qkeras/quantizers.py` of QKeras 0.9.0 and qkeras-v3 1.2.1. A quantiser of `bits` rounds `x * 2**(bits - sign - integer)` to the
nearest whole number, ties to even, and cuts it to the codes that it has. Results are `x + (q - x)` in float32, which is `q` unless `x` is
2^23 steps and more. Quantisers whose scale is computed of the values, or that round at random, are refused by name.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError

Floats = npt.NDArray[np.float64]
FIXED = {
    "quantized_bits": ("bits", "integer", "symmetric", "keep_negative", "alpha"),
    "quantized_relu": ("bits", "integer"),
    "quantized_tanh": ("bits",),
}
"""Quantisers that make codes of a fixed-point format, with the arguments that say which, in their order."""
POWERS = {"quantized_po2": ("bits", "max_value")}
"""Quantisers that make signed powers of two, of weights alone."""
DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "quantized_bits": {"bits": 8, "integer": 0, "symmetric": 0, "keep_negative": True, "alpha": None},
    "quantized_relu": {"bits": 8, "integer": 0},
    "quantized_tanh": {"bits": 8, "symmetric": False},
    "quantized_po2": {"bits": 8, "max_value": None},
}
IDLE: Mapping[str, object] = {
    "qnoise_factor": 1,
    "is_quantized_clip": True,
    "use_ste": True,
    "log2_rounding": "rnd",
    "relu_upper_bound": None,
    "enable_bn_folding": False,
}
"""Arguments that are read if they have this value; all others if they are false, zero or nothing."""
FREE = ("var_name", "use_variables", "name", "dtype", "num_calibration_steps")
EPSILON = 1e-7
"""What QKeras takes for smaller absolute values before a logarithm."""
MARGIN = 2.0**-21
"""Of float32 numbers computed in a few steps whose rounding is not stated: more than they can be off, in parts of their size."""
MOST = 1 << 23
ADVICE = "convert it with hls4ml, and load its firmware/<project>.cpp: a circuit states every type"


@dataclass(frozen=True, slots=True)
class Quantizer:
    """A quantiser as it is written: its name and its arguments, those that are left out included."""

    kind: str
    given: Mapping[str, object]
    place: str

    def refuse(self, what: str, given: object, expected: str) -> UnsupportedError:
        """Return the error that something about this quantiser is not read."""
        return UnsupportedError(f"{self.place}: {what}", given=f"{self.kind}: {given}", expected=expected, advice=ADVICE)

    def whole(self, key: str) -> int:
        """Return an argument that is a whole number; raises UnsupportedError on another."""
        value = self.given[key]
        if isinstance(value, int | Fraction) and value == int(value) and abs(value) <= 64:
            return int(value)
        raise self.refuse(f"{key} is no small whole number", f"{key}={value}", "a whole number up to 64")

    def flag(self, key: str) -> bool:
        """Return an argument that is true or false, or 1 or 0."""
        value = self.given.get(key, False)
        if value in (0, 1):
            return bool(value)
        raise self.refuse(f"{key} is neither true nor false", f"{key}={value}", "true or false")


def quantizer(content: object, place: str) -> Quantizer:
    """Return a quantiser from its configuration, or from its text such as "quantized_relu(6,1)"; raises UnsupportedError on others."""
    if isinstance(content, str):
        kind, given = _called(content, place)
    else:
        whole = cast("Mapping[str, object]", content if isinstance(content, dict) else {})
        kind, config = str(whole.get("class_name")).rpartition(">")[2], whole.get("config")
        given = dict(cast("Mapping[str, object]", config if isinstance(config, dict) else {}))
    known = {**FIXED, **POWERS}
    if kind not in known:
        raise UnsupportedError(
            f"{place}: a quantiser that is not read", given=str(cast(object, content))[:80], expected=", ".join(known), advice=ADVICE
        )
    made = Quantizer(kind, {**DEFAULTS[kind], **given}, place)
    for key, value in made.given.items():
        if key in DEFAULTS[kind] or key in FREE:
            continue
        if not (value == IDLE[key] if key in IDLE else not value) and not (key == "use_ste" and value is False):
            raise made.refuse("a setting of a quantiser that is not read", f"{key}={value}", f"{key}={IDLE.get(key, 'nothing')}")
    return made


def _called(text: str, place: str) -> tuple[str, dict[str, object]]:
    """Return the name and the arguments of a call that is written down; nothing is evaluated."""
    refusal = UnsupportedError(f"{place}: this is no quantiser", given=text[:80], expected="quantized_bits(8, 0, alpha=1)")
    try:
        found = ast.parse(text.strip(), mode="eval").body
        call = found if isinstance(found, ast.Call) else ast.Call(found, [], [])
        if not isinstance(call.func, ast.Name) or any(k.arg is None for k in call.keywords):
            raise refusal
        kind = call.func.id
        names = {**FIXED, **POWERS}.get(kind, ())
        if len(call.args) > len(names):
            raise refusal
        values = {n: ast.literal_eval(a) for n, a in zip(names, call.args, strict=False)}
        return kind, values | {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise refusal from None


def fixed(q: Quantizer, *, weights: bool = False) -> Fixed:
    """Return the format of the codes that a quantiser makes; raises UnsupportedError on what has no such format."""
    if q.kind not in FIXED:
        raise q.refuse("a quantiser that is read for weights alone", dict(q.given), ", ".join(FIXED))
    bits = q.whole("bits")
    if q.kind == "quantized_relu":
        if not 0 <= q.whole("integer") <= 30:  # 2**integer is an int32 in QKeras
            raise q.refuse("integer bits that QKeras cannot count", f"integer={q.given['integer']}", "0 to 30")
        return Fixed(bits, bits - q.whole("integer"), False, Rounding.RND_CONV, Overflow.SAT)
    overflow = Overflow.SAT_SYM if q.flag("symmetric") else Overflow.SAT
    if q.kind == "quantized_tanh":  # QKeras' own sigmoid is clip(x / 2 + 1 / 2), so its tanh is clip(x)
        signed, frac = True, bits - 1
    else:
        signed = q.flag("keep_negative")
        frac = bits - signed - q.whole("integer")
        alpha = q.given["alpha"]
        if not (alpha == 1 or (alpha is None and not weights)):  # a kernel without alpha gets a scale of its own
            raise q.refuse("a scale that is computed of the weights", f"alpha={alpha}", "alpha=1")
    if bits - signed < 1:
        raise q.refuse("one bit is the sign, of which float32 makes no whole numbers", f"bits={bits}", "2 bits and more")
    return Fixed(bits, frac, signed, Rounding.RND_CONV, overflow)


def weights(values: Floats, q: Quantizer | None, place: str, spread: Floats | None = None, *, kernel: bool = True) -> Tensor:
    """Return the codes of stored weights; without a quantiser they mean the floats that they are.

    `spread` says of weights that were computed in float32 how large the numbers were of which they are sums: they are read only if no
    rounding error in them can change a code.
    """
    if not np.all(np.isfinite(values)):
        raise UnsupportedError(f"{place}: weights that are not finite", given="NaN or infinity", expected="finite numbers")
    if q is None:
        if spread is not None:
            raise UnsupportedError(f"{place}: folded weights without a quantiser", given="None", expected=", ".join(FIXED), advice=ADVICE)
        return exact(values, place)
    if q.kind in POWERS:
        return _powers(values, q, spread)
    fmt = fixed(q, weights=kernel)
    steps = values * 2.0**fmt.frac
    if np.any(np.abs(steps) >= MOST):
        raise q.refuse("weights that are too large for float32", float(np.abs(values).max()), f"below {MOST} steps")
    if spread is not None:
        near = np.abs(np.abs(steps - np.floor(steps)) - 0.5) <= spread * 2.0**fmt.frac * MARGIN
        if np.any(near):
            raise q.refuse("weights next to a tie, which a machine may round to either side", int(near.sum()), "0 of them")
    low = fmt.lower + (fmt.overflow is Overflow.SAT_SYM and fmt.signed)
    return Tensor(np.clip(np.rint(steps), low, fmt.upper).astype(np.int64), fmt)


def exact(values: Floats, place: str) -> Tensor:
    """Return floats as codes of the narrowest format that has them; raises UnsupportedError if it has more than 64 bits."""
    ratios = [float(v).as_integer_ratio() for v in values.reshape(-1)]
    frac = max((d.bit_length() - 1 for _, d in ratios), default=0)
    codes = np.array([n << (frac - d.bit_length() + 1) for n, d in ratios], dtype=object)
    width = max((int(c).bit_length() for c in codes), default=0) + 1
    if width > 62:
        raise UnsupportedError(f"{place}: floats that are no fixed-point numbers", given=f"{width} bits", expected="at most 62 bits")
    return Tensor(codes.astype(np.int64).reshape(values.shape), Fixed(max(width, 2), frac))


def _powers(values: Floats, q: Quantizer, spread: Floats | None) -> Tensor:
    """Return the nearest powers of two, by their logarithm, with the sign of the weight."""
    most = q.given["max_value"]
    if spread is not None or not (most is None or isinstance(most, int | float | Fraction)):
        raise q.refuse("powers of two of folded weights, or of another largest value", f"max_value={most}", "a number")
    large = most is None or most > 1
    exponents = q.whole("bits") - 1 - large
    low, high = -(2**exponents), 2**exponents - 1
    size = np.abs(values)
    kept = np.maximum(size, EPSILON) if most is None else np.minimum(np.maximum(size, EPSILON), float(cast(Any, most)))
    logs = np.log2(kept)
    if np.any((np.abs(np.abs(logs - np.floor(logs)) - 0.5) <= MARGIN * np.maximum(1, np.abs(logs))) & (logs > low) & (logs < high)):
        raise q.refuse("weights between two powers of two, which a machine may round to either side", "a logarithm next to a tie", "none")
    power = np.where(size < EPSILON, low, np.clip(np.rint(logs), low, high)).astype(np.int64)
    if high - low > 60:
        raise q.refuse("powers of two that are too far apart", f"2^{low} to 2^{high}", "at most 60 exponents")
    return Tensor(np.where(values < 0, -1, 1) * (np.int64(1) << (power - low)), Fixed(high - low + 2, -low))
