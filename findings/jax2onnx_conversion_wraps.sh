#!/usr/bin/env bash
# jax2onnx: a conversion to int8 or uint8 that saturates in JAX wraps in the exported file.
#
# Seen: -300, -129, 128, 300.7 become -128, -128, 127, 127 in int8 in JAX, and -44, 127, -128, 44 after export (one Cast, run by onnxruntime on a CPU); as uint8, 300.7 is
#   255 and then 44. Whole float values within the range agree.
# Why it matters: code that quantises by `(x / scale).round().astype(int8)` has the clip it needs in JAX, by accident of the compiler; in the export an activation past
#   the range changes its sign. The largest logit becomes the smallest.
# Said otherwise: XLA converts floats out of range to the nearest end (StableHLO leaves it to the implementation); ONNX, Cast: out of range is undefined for
#   integers, so that an export that keeps the meaning needs a Clip.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check jax2onnx==0.17.1 jax==0.10.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
from jax2onnx import to_onnx

print("jax2onnx", version("jax2onnx"), "jax", version("jax"), "onnxruntime", version("onnxruntime"))
x = np.array([-300, -129, -5, 5, 128, 300.7], np.float32)
seen = {}
for kind in (jnp.int8, jnp.uint8):
    convert = jax.jit(lambda values, kind=kind: values.astype(kind))
    model = to_onnx(convert, [jax.ShapeDtypeStruct(x.shape, x.dtype)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exported = session.run(None, {session.get_inputs()[0].name: x})[0].tolist()
    name = np.dtype(kind).name
    seen[name] = np.asarray(convert(x)).tolist(), exported
    print(name.ljust(5), " JAX", seen[name][0], " exported", exported)
want = {"int8": ([-128, -128, -5, 5, 127, 127], [-44, 127, -5, 5, -128, 44]), "uint8": ([0, 0, 0, 5, 128, 255], [212, 127, 251, 5, 128, 44])}
sys.exit(0 if seen == want else "the behaviour has changed")
P
