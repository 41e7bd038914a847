#!/usr/bin/env bash
# tract: with a positive zero point QuantizeLinear gives values far above the range the smallest code.
#
# Seen: at scale 1 the value 3e9 becomes 127 with zero point 0, and -128 with zero point 1 (uint8: 0 with zero point 128). The value
#   1000 becomes 127 with both. So it is not the range of int8 but that of int32 which is left when the zero point is added.
# Why it matters: an overflow upstream turns the largest activation into the smallest, and only in networks whose zero point is not
#   zero: the symmetric twin of the same network saturates as it should.
# Said otherwise: ONNX text of QuantizeLinear: saturate(round(x / y_scale) + y_zero_point). ONNX Runtime gives 127 (255) in all cases.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 tract==0.23.9
"$d/v/bin/python" - <<'P'
import os
import sys
import tempfile

import numpy as np, onnx, onnxruntime as ort, tract
from importlib.metadata import version
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("tract", version("tract"), "onnxruntime", ort.__version__)
x = np.array([1e3, 3e9, 1e20, -3e9], np.float32)
seen = {}
for zero in (np.int8(0), np.int8(1), np.uint8(0), np.uint8(128)):
    kind = T.INT8 if zero.dtype == np.int8 else T.UINT8
    g = h.make_graph([h.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], "g", [h.make_tensor_value_info("x", T.FLOAT, [4])],
                     [h.make_tensor_value_info("y", kind, [4])], [nh.from_array(np.float32(1), "s"), nh.from_array(np.asarray(zero), "z")])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    o = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with tempfile.TemporaryDirectory() as d:
        onnx.save(m, os.path.join(d, "m.onnx"))
        t = tract.onnx().load(os.path.join(d, "m.onnx")).into_model().into_runnable().run([x])[0].to_numpy()
    seen[str(zero.dtype), int(zero)] = (o.tolist(), t.tolist())
    print(zero.dtype, "zero point", zero, "of", x.tolist(), "onnxruntime", o.tolist(), "tract", t.tolist())
want = {("int8", 0): ([127, 127, 127, -128],) * 2, ("int8", 1): ([127, 127, 127, -128], [127, -128, -128, -128]),
        ("uint8", 0): ([255, 255, 255, 0],) * 2, ("uint8", 128): ([255, 255, 255, 0], [255, 0, 0, 0])}
sys.exit(0 if seen == want else "the behaviour has changed")
P
