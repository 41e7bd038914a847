#!/usr/bin/env bash
# jax2onnx: `jax.lax.round` takes halves away from zero; its export rounds them to even.
#
# Seen: -2.5, -1.5, -0.5, 0.5, 1.5, 2.5 become -3, -2, -1, 1, 2, 3 in JAX and -2, -2, 0, 0, 2, 2 in the exported file, whose only node is Round. The attribute
#   `rounding_method` of the operation is not looked at: jnp.round, which asks for even, gives the same node and is right.
# Why it matters: fake quantisers and fixed-point layers written with lax.round (away from zero is its default) lose their rule on export; every half is
#   another code, and tests on random floats do not notice.
# Said otherwise: jax.lax.round: rounding_method=AWAY_FROM_ZERO is the default; ONNX, Round: halves to even.
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
x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
seen = {}
for name, function in (("lax.round", jax.lax.round), ("jnp.round", jnp.round)):
    model = to_onnx(function, [jax.ShapeDtypeStruct(x.shape, x.dtype)])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    exported = session.run(None, {session.get_inputs()[0].name: x})[0].astype(int).tolist()
    in_jax = np.asarray(function(x)).astype(int).tolist()
    seen[name] = in_jax, exported, [n.op_type for n in model.graph.node]
    print(name, " JAX", in_jax, " exported", exported, seen[name][2])
even, away = [-2, -2, 0, 0, 2, 2], [-3, -2, -1, 1, 2, 3]
sys.exit(0 if seen == {"lax.round": (away, even, ["Round"]), "jnp.round": (even, even, ["Round"])} else "the behaviour has changed")
P
