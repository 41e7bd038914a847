#!/usr/bin/env bash
# Keras: model.quantize("float8") cuts every weight and activation at 448, without calibration, and keeps the file in float32.
#
# Seen: a trained Dense layer with weight 1 gives 1000 for 1000 before and 448 for 1000 and for a million afterwards; weights
#   500 and 1000 act as 448. No warning. The scales are 1 until the network is trained further (a call with training=True
#   does not move them). The saved file holds float32 weights, no float8, so weights read from it are not those that act.
# Why it matters: the same one-line call, with "int8", fits its scales to the weights. A float8 network made this way
#   saturates silently, and a reader of the .keras file that takes the stored kernel verifies another network.
# Said otherwise: Keras' guide "Quantization in Keras" names float8, beside int8 and int4, as post-training quantisation of
#   weights and activations; the text of Model.quantize says that it quantises the weights of a built model.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$d/v/bin/python" - "$d" <<'P'
import sys, zipfile
import h5py, keras, numpy as np

print("keras", keras.__version__)


def dense(weights):
    m = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(len(weights), use_bias=False)])
    m.set_weights([np.array([weights], np.float32)])
    return m


m, x = dense([1.0]), np.array([[1], [449], [1000], [1e6]], np.float32)
before = np.asarray(m(x)).ravel().tolist()
m.quantize("float8")
after = np.asarray(m(x)).ravel().tolist()
print("inputs", before, "-> as float8", after)
w = dense([300.0, 500.0, 1000.0])
w.quantize("float8")
w(np.ones((1, 1), np.float32), training=True)
acting = np.asarray(w(np.ones((1, 1), np.float32))).ravel().tolist()
w.save(sys.argv[1] + "/m.keras")
with zipfile.ZipFile(sys.argv[1] + "/m.keras") as z:
    z.extract("model.weights.h5", sys.argv[1])
found = {}
with h5py.File(sys.argv[1] + "/model.weights.h5") as f:
    f.visititems(lambda n, o: found.update({n: o[()]}) if getattr(o, "shape", None) == (1, 3) else None)
(kernel,) = found.values()
print("weights stored", kernel.ravel().tolist(), kernel.dtype, " weights that act", acting)
same = after == [1, 448, 448, 448] and acting == [288, 448, 448] and kernel.dtype == "float32" and kernel.ravel().tolist() == [300, 500, 1000]
sys.exit(0 if same else "the behaviour has changed")
P
