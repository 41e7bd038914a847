"""Pieces of C99: names, types by range, constant arrays, and the integer functions that a header brings along."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding

TYPES = ((-(2**7), 2**7 - 1, "int8_t"), (0, 2**8 - 1, "uint8_t"), (-(2**15), 2**15 - 1, "int16_t"), (-(2**31), 2**31 - 1, "int32_t"))
WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict",
    "return short signed sizeof static struct switch typedef union unsigned void volatile while",
)
KEYWORDS = frozenset(word for line in WORDS for word in line.split())
FUNCTIONS = {
    "floor": "{ const int64_t q = n / d; return n % d < 0 ? q - 1 : q; }",
    "zero": "{ return n / d; }",
    "up": "{ return @floor(2 * n + d, 2 * d); }",
    "down": "{ return -@floor(d - 2 * n, 2 * d); }",
    "away": "{ return n >= 0 ? @up(n, d) : @down(n, d); }",
    "inward": "{ return n >= 0 ? @down(n, d) : @up(n, d); }",
    "even": "{ const int64_t r = @up(n, d); return r % 2 == 0 ? r : @down(n, d); }",
}
"""Quotients of integers, the denominator positive: `@` is the prefix of names."""
BOTH = ("floor", "up", "down")
NEEDS = {"up": ("floor",), "down": ("floor",), "away": BOTH, "inward": BOTH, "even": BOTH}
ROUNDINGS = {
    Rounding.TRN: "floor",
    Rounding.TRN_ZERO: "zero",
    Rounding.RND: "up",
    Rounding.RND_MIN_INF: "down",
    Rounding.RND_INF: "away",
    Rounding.RND_ZERO: "inward",
    Rounding.RND_CONV: "even",
}


def identifier(name: str) -> str:
    """Return a name that C takes: letters, digits and underscores, not beginning with a digit or an underscore, and no keyword."""
    found = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or "network"
    return f"n_{found}" if found[0].isdigit() or found in KEYWORDS else found


def smallest(low: int, high: int) -> str:
    """Return the smallest type that holds a range of integers within 64 bits."""
    return next((name for least, most, name in TYPES if least <= low and high <= most), "int64_t")


def literal(value: int) -> str:
    """Return an integer constant of 64 bits or of `int`, as it needs."""
    if -(2**31) < value < 2**31:
        return str(value)
    return f"INT64_C({value})" if value > -(2**63) else "INT64_MIN"


def constants(name: str, values: IntArray) -> str:
    """Return a constant array with its values, sixteen a line."""
    flat = [literal(int(v)) for v in values.reshape(-1)]
    lines = [", ".join(flat[k : k + 16]) for k in range(0, len(flat), 16)]
    kind = smallest(int(values.min()), int(values.max()))
    return f"static const {kind} {name}[{len(flat)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def functions(prefix: str, used: set[str]) -> str:
    """Return the definitions of the functions of quotients that are used, and of those that they use."""
    wanted = {n for u in used for n in (u, *NEEDS.get(u, ()))}
    return "".join(
        f"static inline int64_t {prefix}{name}(int64_t n, int64_t d) {body.replace('@', prefix)}\n"
        for name, body in FUNCTIONS.items()
        if name in wanted
    )


def period(values: Sequence[IntArray]) -> int:
    """Return after how many elements all of these arrays (elements, …) repeat themselves, a divisor of their number."""
    size = len(values[0])
    return next(p for p in range(1, size + 1) if size % p == 0 and all(_repeats(v, p) for v in values))


def _repeats(values: IntArray, p: int) -> bool:
    rows = values.reshape(len(values) // p, p, *values.shape[1:])
    return bool(np.all(rows == rows[:1]))
