#!/usr/bin/env bash
# Keras: fake quantisation with a range that leaves out zero moves the range; the largest values in it are cut off.
#
# Seen: quantizers.fake_quant_with_min_max_vars with min 0.5 and max 2 returns 1.5 for the input 2 and 0 for 0: the range used is
#   0 to 1.5 (min moved to zero, width kept). With -2 and -0.5, the input -2 becomes -1.5. With min = max = 0 (a channel that is always
#   zero) every output is NaN, also for zero. Halves go up (0.5, 1.5, 2.5 become 1, 2, 3), whereas abs_max_quantize of the same
#   module rounds halves to even (0, 2, 2).
# Why it matters: ranges that leave out zero are what a calibration of a layer with a large bias gives. ONNX Runtime's and LiteRT's
#   quantisers widen such a range to zero; here training sees a clipped network that the exported file does not clip.
# Said otherwise: the text of the Keras function promises outputs between the two values that were given, and mentions no
#   adjustment. TensorFlow's page of the operator of this name does state the move.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$d/v/bin/python" - <<'P'
import sys
import keras, numpy as np

print("keras", keras.__version__)
q = keras.quantizers
fake = lambda x, lo, hi: [round(float(v), 3) for v in np.asarray(q.fake_quant_with_min_max_vars(np.array(x, np.float32), lo, hi))]
seen = {
    "range 0.5 .. 2, inputs 0 0.5 1 2": fake([0, 0.5, 1, 2], 0.5, 2.0),
    "range -2 .. -0.5, inputs -2 -1 -0.5": fake([-2, -1, -0.5], -2.0, -0.5),
    "range 0 .. 0, inputs 0 1": fake([0, 1], 0.0, 0.0),
    "range 0 .. 255, inputs 0.5 1.5 2.5": fake([0.5, 1.5, 2.5], 0.0, 255.0),
}
codes, scale = q.abs_max_quantize(np.array([[127, 0.5, 1.5, 2.5]], np.float32), axis=-1)
seen["abs_max_quantize of 127 0.5 1.5 2.5"] = np.asarray(codes).ravel().tolist()
for name, y in seen.items():
    print(name.ljust(38), y)
want = ["[0.0, 0.5, 1.0, 1.5]", "[-1.5, -1.0, -0.5]", "[nan, nan]", "[1.0, 2.0, 3.0]", "[127, 0, 2, 2]"]
sys.exit(0 if [str(y) for y in seen.values()] == want else "the behaviour has changed")
P
