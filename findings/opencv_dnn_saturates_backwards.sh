#!/usr/bin/env bash
# OpenCV dnn: QuantizeLinear gives values of 2^31 scales and more the smallest code.
#
# Seen: at scale 1 the values 3e9 and 1e20 become -128 (int8) or 0 (uint8), whatever the zero point; 1000 becomes 127 or 255. So does a
#   Cast to int8, which otherwise saturates.
# Why it matters: a small scale is enough (a range of 1 at int8 has scale 0.008; an activation of 2e7 is past 2^31 of them), and the
#   largest value of a tensor becomes the smallest one, silently. The class changes where saturation would have kept it.
# Said otherwise: ONNX text of QuantizeLinear: saturate(round(x / y_scale) + y_zero_point). ONNX Runtime gives 127 and 255.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$d/v/bin/python" - <<'P'
import os
import sys
import tempfile

import cv2, numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("opencv", cv2.__version__, "onnxruntime", ort.__version__)
x = np.array([[1e3, 2e9, 3e9, 1e20, -3e9]], np.float32)
seen = {}
for zero in (np.int8(0), np.uint8(0), np.uint8(128)):
    kind = T.INT8 if zero.dtype == np.int8 else T.UINT8
    g = h.make_graph([h.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], "g", [h.make_tensor_value_info("x", T.FLOAT, [1, 5])],
                     [h.make_tensor_value_info("y", kind, [1, 5])], [nh.from_array(np.float32(1), "s"), nh.from_array(np.asarray(zero), "z")])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    o = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with tempfile.TemporaryDirectory() as d:
        onnx.save(m, os.path.join(d, "m.onnx"))
        net = cv2.dnn.readNetFromONNX(os.path.join(d, "m.onnx"))
    net.setInput(x, "x")
    c = net.forward()
    seen[str(zero.dtype), int(zero)] = (o[0].tolist(), c[0].tolist())
    print(zero.dtype, "zero point", zero, "of", x[0].tolist(), "onnxruntime", o[0].tolist(), "opencv", c[0].tolist())
want = {("int8", 0): ([127, 127, 127, 127, -128], [127, 127, -128, -128, -128]),
        ("uint8", 0): ([255, 255, 255, 255, 0], [255, 255, 0, 0, 0]), ("uint8", 128): ([255, 255, 255, 255, 0], [255, 255, 0, 0, 0])}
sys.exit(0 if seen == want else "the behaviour has changed")
P
