"""The format of the codes of an input that a file does not state, as a format or as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import cast

from qspec.arithmetic.formats import Affine, Fixed, Format, check_format
from qspec.errors import FormatError

InputFormat = Format | str | Mapping[str, Format | str] | None
_INTEGERS = re.compile(r"(u?)int(\d{1,2})\(([^,()]+)(?:,(-?\d+))?\)")


def stated(given: object) -> Format:
    """Return a format that was given as one or as text; raises FormatError on anything else."""
    if isinstance(given, str):
        if m := _INTEGERS.fullmatch(given.replace(" ", "")):
            try:
                scale = Fraction(m[3])
            except (ValueError, ZeroDivisionError):
                raise FormatError("the scale of an input is no number", given=given, expected="uint8(1/255), int8(0.05, 3)") from None
            return Affine(int(m[2]), not m[1], scale, int(m[4] or 0))
        return Fixed.parse(given)
    check_format(given)
    return cast(Format, given)
