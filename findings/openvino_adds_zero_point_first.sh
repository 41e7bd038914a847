#!/usr/bin/env bash
# OpenVINO and OpenCV: QuantizeLinear adds the zero point before it rounds; ONNX adds it after.
#
# Seen: at scale 1 and zero point 1 the values 0.5, 1.5 and 2.5 get the codes 2, 2, 4 in OpenVINO and OpenCV dnn, and 1, 3, 3 in ONNX
#   Runtime. With zero point 0 or 2 nothing differs: to the nearest even code is another direction only when the zero point is odd.
#   QLinearMatMul in OpenVINO does the same: 1.7 % of the outputs at scales 0.5, 0.5 -> 16 with zero point 1, none with zero point 0.
# Why it matters: an asymmetric quantiser writes odd zero points as often as even ones, and then every tie goes the other way. Where the
#   scales are powers of two, one output in 2 to 64 is a tie.
# Said otherwise: ONNX text of QuantizeLinear: saturate(round(x / y_scale) + y_zero_point), rounding to the nearest even.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 openvino==2026.4.1 opencv-python-headless==5.0.0.93
"$d/v/bin/python" - <<'P'
import os
import sys
import tempfile

import cv2, numpy as np, onnx, onnxruntime as ort, openvino as ov
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("openvino", ov.__version__.split("-")[0], "opencv", cv2.__version__, "onnxruntime", ort.__version__)


def model(node, inputs, outputs, values):
    info = lambda d: [h.make_tensor_value_info(n, t, s) for n, t, s in d]
    g = h.make_graph([node], "g", info(inputs), info(outputs), [nh.from_array(np.asarray(v), k) for k, v in values.items()])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    return m


def run(m, x):
    o = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "m.onnx")
        onnx.save(m, path)
        c = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x, "x")
    return o, c([x])[c.outputs[0]], net.forward()


x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5]], np.float32)
seen = {}
for zero in (0, 1, 2):
    m = model(h.make_node("QuantizeLinear", ["x", "s", "z"], ["y"]), [("x", T.FLOAT, [1, 5])], [("y", T.INT8, [1, 5])],
              {"s": np.float32(1), "z": np.int8(zero)})
    seen[zero] = [v[0].tolist() for v in run(m, x)]
    print("zero point", zero, "of", x[0].tolist(), dict(zip(("onnxruntime", "openvino", "opencv"), seen[zero])))
r = np.random.default_rng(1)
a, b = r.integers(-128, 128, (256, 4)).astype(np.int8), r.integers(-8, 8, (4, 256)).astype(np.int8)
for zero in (0, 1):
    half, sy = np.float32(0.5), np.float32(16)
    m = model(h.make_node("QLinearMatMul", ["x", "s", "z", "b", "s", "z", "sy", "zy"], ["y"]), [("x", T.INT8, [256, 4])],
              [("y", T.INT8, [256, 256])], {"b": b, "s": half, "z": np.int8(0), "sy": sy, "zy": np.int8(zero)})
    o, v, _ = run(m, a)
    seen["matmul", zero] = int((o != v).sum())
    print("QLinearMatMul, zero point", zero, "openvino differs at", seen["matmul", zero], "of", o.size)
odd = [[1, 3, 3, 1, -1], [2, 2, 4, 0, 0], [2, 2, 4, 0, 0]]
want = {0: [[0, 2, 2, 0, -2]] * 3, 1: odd, 2: [[2, 4, 4, 2, 0]] * 3, ("matmul", 0): 0, ("matmul", 1): 1112}
sys.exit(0 if seen == want else "the behaviour has changed")
P
