#!/usr/bin/env bash
# fxpmath: the quotient of two fixed-point numbers is rounded down, whatever rounding the numbers ask for.
#
# Seen: with rounding 'trunc' (the default), 'fix' or 'ceil', 1 / 3 in eight bits is 42 / 128 and -1 / 3 is -43 / 128, so that -(1 / 3) is not (-1) / 3. The same
#   numbers made by Fxp(-1 / 3, ...) with 'trunc' and 'fix' are -42 / 128. Only the exact quotients agree.
# Why it matters: fxpmath serves as the golden model of fixed-point hardware and HLS code, where division truncates (ap_fixed, C). A mean or a
#   normalisation in such a model is one unit too low for every negative value that does not divide.
# Said otherwise: fxpmath's description of `rounding`: how a value is brought to the format; 'trunc' and 'fix' are towards zero there.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check fxpmath==0.4.10 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

from fxpmath import Fxp

print("fxpmath", version("fxpmath"))
seen = {}
for rounding in ("trunc", "fix", "ceil", "floor"):
    one, minus, three = (Fxp(v, True, 8, 4, rounding=rounding) for v in (1, -1, 3))
    up, down = one / three, minus / three
    made = Fxp(-1 / 3, True, down.n_word, down.n_frac, rounding=rounding)
    unit = 2**down.n_frac
    seen[rounding] = tuple(int(float(v) * unit) for v in (up, down, made))
    print(rounding.ljust(6), "format", down.dtype, " 1/3:", seen[rounding][0], " -1/3:", seen[rounding][1], " Fxp(-1/3):", seen[rounding][2], "of", unit)
want = {"trunc": (42, -43, -42), "fix": (42, -43, -42), "ceil": (42, -43, -42), "floor": (42, -43, -43)}
sys.exit(0 if seen == want else "the behaviour has changed")
P
