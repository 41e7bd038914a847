#!/usr/bin/env bash
# onnx.reference: MatMulInteger subtracts zero points per row from the columns.
#
# Seen: with a_zero_point of shape [M], one number a row of A, the reference evaluator subtracts the k-th number from the k-th column.
#   Where M equals K every one of the 64 outputs is wrong, without a message; where it does not, it raises a broadcasting error. tract
#   computes what the text says; ONNX Runtime refuses the model by name.
# Why it matters: the reference is what readers and converters are tested against; a square test case confirms the wrong axis.
# Said otherwise: ONNX text of MatMulInteger: for an input of shape [M, K] the zero point may be a vector of M
#   elements, "per row quantization".
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 tract==0.23.9
"$d/v/bin/python" - <<'P'
import os
import sys
import tempfile
from importlib.metadata import version

import numpy as np, onnx, onnxruntime as ort, tract
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", ort.__version__, "tract", version("tract"))
r = np.random.default_rng(0)
a, b, rows = (r.integers(-128, 128, s).astype(np.int8) for s in ((8, 8), (8, 8), 8))
info = lambda n, t: h.make_tensor_value_info(n, t, [8, 8])
g = h.make_graph([h.make_node("MatMulInteger", ["a", "b", "z"], ["y"])], "g", [info("a", T.INT8), info("b", T.INT8)], [info("y", T.INT32)],
                 [nh.from_array(rows, "z")])
m = h.make_model(g, opset_imports=[h.make_opsetid("", 10)], ir_version=8)
onnx.checker.check_model(m, full_check=True)
wide = lambda v: v.astype(np.int64)
text, columns = (wide(a) - wide(rows)[:, None]) @ wide(b), (wide(a) - wide(rows)[None]) @ wide(b)
ref = ReferenceEvaluator(m).run(None, {"a": a, "b": b})[0]
with tempfile.TemporaryDirectory() as d:
    onnx.save(m, os.path.join(d, "m.onnx"))
    t = tract.onnx().load(os.path.join(d, "m.onnx")).into_model().into_runnable().run([a, b])[0].to_numpy()
try:
    ort.set_default_logger_severity(4)
    ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"a": a, "b": b})
    refused = False
except Exception as e:
    refused = True
    print("onnxruntime:", str(e)[-90:].strip())
seen = int((ref != text).sum()), int((ref != columns).sum()), int((t != text).sum()), refused
print("reference != text:", seen[0], "of 64; reference != per column:", seen[1], "; tract != text:", seen[2])
sys.exit(0 if seen == (64, 0, 0, True) else "the behaviour has changed")
P
