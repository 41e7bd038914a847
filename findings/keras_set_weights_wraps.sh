#!/usr/bin/env bash
# Keras: set_weights puts float weights into an int8 kernel by truncating and wrapping, without a word.
#
# Seen: after model.quantize("int8"), set_weights accepts a float kernel: 0.5 becomes 0, 2.9 becomes 2, 200.7 becomes -56 and
#   -129 becomes 127. Shapes are checked, types and ranges are not; the stored scales stay those of the old weights.
# Why it matters: handing the weights of a float twin to the quantised model (after fine-tuning, from a checkpoint, in a
#   test) is a plain mistake that should fail. Here it makes a network of truncated numbers that runs and is saved.
# Said otherwise: the text of set_weights says that it sets the weights to the arrays given. numpy raises OverflowError when
#   the whole number 200 goes into an int8 array.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$d/v/bin/python" - <<'P'
import sys
import keras, numpy as np

print("keras", keras.__version__)
m = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1, use_bias=False)])
m.set_weights([np.array([[0.5], [1.0], [2.0], [0.1], [0.2]], np.float32)])
m.quantize("int8")
kernel, scale = m.get_weights()
print("after quantize:    kernel", kernel.ravel().tolist(), kernel.dtype, "scale", scale.tolist())
new = np.array([[0.5], [2.9], [-3.9], [200.7], [-129.0]], np.float32)
m.set_weights([new, scale])
seen = m.get_weights()[0]
print("set_weights of    ", [round(v, 1) for v in new.ravel().tolist()])
print("kernel then holds ", seen.ravel().tolist(), seen.dtype)
same = kernel.dtype == "int8" and seen.dtype == "int8" and seen.ravel().tolist() == [0, 2, -3, -56, 127]
sys.exit(0 if same else "the behaviour has changed")
P
