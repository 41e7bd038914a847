#!/usr/bin/env bash
# akida: where the documentation shifts to the right, the simulator of the device rounds, halves up; and the sign of the shift is the other one.
#
# Seen: a layer Dense1D of weight 1 with output_shift -1 gives 1, 0, -1 for the sums 1, -1, -3; >> 1 would give 0, -1, -2. At shifts of 1 and 2, 12 of 25 sums
#   differ from the formula. A positive output_shift multiplies. The layer Quantizer takes halves away from zero, so one file has two rules.
# Why it matters: whoever verifies a network for this device by the formulas of its documentation proves something about another network: every
#   odd sum is one code off after a shift by one.
# Said otherwise: description of Dense1D (and Conv2D): "output = output * output_scale >> output_shift".
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check akida==2.19.3 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import akida
import numpy as np

print("akida", version("akida"))
model = akida.Model()
model.add(akida.Quantizer(input_shape=(1, 1, 1), output_bits=8, output_signed=True))
model.add(akida.Dense1D(units=1, output_bits=8))
quantizer, dense = model.layers
quantizer.set_variable("scales", np.array([1], np.float32))
dense.set_variable("weights", np.ones((1, 1), np.int8))
sums = list(range(-12, 13))


def outputs(values, scale, shift):
    dense.set_variable("output_scales", np.array([scale], np.uint8))
    dense.set_variable("output_shift", np.array([shift], np.int8))
    return model.forward(np.array(values, np.float32).reshape(-1, 1, 1, 1)).ravel().astype(int).tolist()


seen = {}
for scale, shift in ((1, 1), (1, 2), (3, 2)):
    found = outputs(sums, scale, -shift)
    by_the_text = [(s * scale) >> shift for s in sums]
    halves_up = [(s * scale + 2 ** (shift - 1)) >> shift for s in sums]
    seen[scale, shift] = found == halves_up, sum(a != b for a, b in zip(found, by_the_text))
    print("scale", scale, "shift", -shift, found, " differ from the text:", seen[scale, shift][1], "of", len(sums))
left = outputs([-5, 3], 1, 1)
halves = outputs([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], 1, 0)
print("shift +1 of -5, 3:", left, " Quantizer of halves:", halves)
want = {(1, 1): (True, 12), (1, 2): (True, 12), (3, 2): (True, 12)}
good = seen == want and left == [-10, 6] and halves == [-3, -2, -1, 1, 2, 3]
sys.exit(0 if good else "the behaviour has changed")
P
