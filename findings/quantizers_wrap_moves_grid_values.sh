#!/usr/bin/env bash
# quantizers (the formats of HGQ2): with WRAP, wide formats move numbers that lie on their grid and in their range.
#
# Seen: of 3000 numbers with 10 fraction bits in (-64, 64), all of which float32 holds exactly, a signed format with 15 integer and 16 fraction bits moves 1922 under WRAP, one
#   with 20 and 10 moves 2959; with 7 and 10, 12 and 11, 13 and 11 none. Under SAT, and by the library's numpy functions, none moves. WRAP adds the range to the number in
#   float32 and takes it off again.
# Why it matters: accumulators and biases in HLS have such formats (fixed<32,16>), WRAP is the default there; the trained network, which is
#   taken for bit-accurate, is not the circuit, and neither is its numpy twin.
# Said otherwise: its description: "Bit-accurate to the HLS implementation up to 32/64-bit floating point precision"; the numbers here need 17 bits.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check quantizers==1.2.2 keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import numpy as np
from quantizers import get_fixed_quantizer, get_fixed_quantizer_np

print("quantizers", version("quantizers"), "keras", version("keras"), "jax", version("jax"))
rng = np.random.default_rng(0)
x = (rng.integers(-(2**16), 2**16, 3000) / 2**10).astype(np.float32)
seen = {}
for integer, fraction in ((7, 10), (12, 11), (13, 11), (15, 16), (20, 10)):
    row = []
    for overflow in ("WRAP", "SAT"):
        by_keras = np.asarray(get_fixed_quantizer("TRN", overflow)(x, np.float32(1), np.float32(integer), np.float32(fraction)))
        by_numpy = get_fixed_quantizer_np("TRN", overflow)(x, np.int8(1), np.int8(integer), np.int8(fraction))
        row += [int((by_keras != x).sum()), int((by_numpy != x).sum())]
    seen[integer, fraction] = row
    print(integer, "+", fraction, "bits, moved of 3000: WRAP Keras, numpy, SAT Keras, numpy:", row)
want = {(7, 10): [0] * 4, (12, 11): [0] * 4, (13, 11): [0] * 4, (15, 16): [1922, 0, 0, 0], (20, 10): [2959, 0, 0, 0]}
sys.exit(0 if seen == want else "the behaviour has changed")
P
