#!/usr/bin/env bash
# apytypes: a Python number in a sum or product is wrapped into the format of the other operand first.
#
# Seen: of a number with four integer bits, 1 + 16 is 1, 1 * 16 is 0, and 1 + 0.1 is 1; 1 + 9 is -6. An array [1, 2] * 16 is [0, 0]. Between two fixed-point numbers nothing is
#   ever lost: the result gets as many bits as it needs. Comparisons are exact: 1 == 17 is false, 7.75 < 100 is true.
# Why it matters: apytypes serves as bit-true model of word lengths, and its rule is that sums and products are exact until a cast. A bias or scale that is
#   written as a Python number is silently another number.
# Said otherwise: the description of APyFixed: static word lengths ensure "that overflow or quantization never occurs unless explicitly instructed to by a
#   user through the cast method".
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check apytypes==0.5.1 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

from apytypes import APyFixedArray, fx

print("apytypes", version("apytypes"))
one, sixteen = fx(1, int_bits=4, frac_bits=2), fx(16, int_bits=6, frac_bits=0)
array = APyFixedArray.from_float([1, 2], int_bits=4, frac_bits=2)
seen = {
    "1 + 16": float(one + 16),
    "1 * 16": float(one * 16),
    "1 + 9": float(one + 9),
    "1 + 0.1": float(one + 0.1),
    "[1, 2] * 16": (array * 16).to_numpy().tolist(),
    "1 + fx(16)": float(one + sixteen),
    "1 * fx(16)": float(one * sixteen),
    "1 == 17": one == 17,
    "7.75 < 100": fx(7.75, int_bits=4, frac_bits=2) < 100,
}
for text, value in seen.items():
    print(text, "->", value)
want = [1.0, 0.0, -6.0, 1.0, [0.0, 0.0], 17.0, 16.0, False, True]
sys.exit(0 if list(seen.values()) == want else "the behaviour has changed")
P
