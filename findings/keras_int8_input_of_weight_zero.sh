#!/usr/bin/env bash
# Keras: after model.quantize("int8") an input whose weight is zero changes the output.
#
# Seen: a Dense layer with weights 1 and 0 and the inputs 0.4 and t. As float32 the output is 0.4 for every t. After
#   model.quantize("int8") it is 0.40, 0.39, 0.80, 0.00 for t = 0, 10, 101, 1000: the layer takes the scale of its input
#   codes anew from the largest entry of each row, so t decides how coarsely 0.4 is read.
# Why it matters: there are no input codes fixed by the file; the layer is no affine map of codes, and not even one scale
#   exists that a reader could take. Robustness of such a layer is another question than that of a static int8 layer, and a
#   bound by one weight per input does not hold.
# Said otherwise: Keras' guide "8-bit Integer Quantization in Keras" gives one formula, per tensor or per output channel of the
#   weights, with step 2a/256 and codes -128 .. 127 (a: largest magnitude). The library uses a/127 and -127 .. 127, per row
#   for inputs; only the page of Int8QuantizationConfig (AbsMaxQuantizer with axis -1) lets one guess the rows.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$d/v/bin/python" - <<'P'
import sys
import keras, numpy as np

print("keras", keras.__version__)
m = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, use_bias=False)])
m.set_weights([np.array([[1.0], [0.0]], np.float32)])
x = np.array([[0.4, t] for t in (0, 10, 101, 1000)], np.float32)
before = np.asarray(m(x)).ravel()
m.quantize("int8")
after = np.asarray(m(x)).ravel()
print("weights", [w.ravel().tolist() for w in m.get_weights()], "stored scale is the reciprocal of the step")
for row, a, b in zip(x.tolist(), before, after):
    print("input", [round(v, 3) for v in row], f" float32 {a:.3f}  int8 {b:.3f}")
same = np.allclose(before, 0.4) and np.allclose(after, [0.4, 0.3937, 0.7953, 0.0], atol=1e-3)
sys.exit(0 if same else "the behaviour has changed")
P
