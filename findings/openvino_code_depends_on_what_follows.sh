#!/usr/bin/env bash
# OpenVINO: the code that QuantizeLinear gives depends on whether a DequantizeLinear follows.
#
# Seen: for the 510 multiples of half the scale, QuantizeLinear alone equals x * (1 / scale) everywhere. Followed by DequantizeLinear
#   the pair becomes one FakeQuantize, and 15 (scale 0.1) or 17 (scale 0.7) of the same inputs get another code than alone. Precision
#   hint f32, CPU, no calibration.
# Why it matters: a tensor that is both an output in codes and dequantised has two values; cutting a network after a QuantizeLinear to
#   look at it shows other codes than those that act. Bounds proved for the codes of the file do not hold for what runs.
# Said otherwise: ONNX text of QuantizeLinear: the code is a function of the input, the scale and the zero point alone.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 numpy==2.4.6 openvino==2026.4.1
"$d/v/bin/python" - <<'P'
import os
import sys
import tempfile

import numpy as np, onnx, openvino as ov
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("openvino", ov.__version__.split("-")[0])
seen = {}
for scale in (0.1, 0.7):
    s = np.float32(scale)
    x = (np.arange(-255, 255) * (s / 2)).astype(np.float32)[None]
    codes = []
    for pair in (False, True):
        nodes = [h.make_node("QuantizeLinear", ["x", "s", "z"], ["q" if pair else "y"])]
        if pair:
            nodes.append(h.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]))
        g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, [1, 510])],
                         [h.make_tensor_value_info("y", T.FLOAT if pair else T.INT8, [1, 510])],
                         [nh.from_array(np.asarray(s), "s"), nh.from_array(np.asarray(np.int8(0)), "z")])
        m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(m, full_check=True)
        with tempfile.TemporaryDirectory() as d:
            onnx.save(m, os.path.join(d, "m.onnx"))
            c = ov.Core().compile_model(os.path.join(d, "m.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        y = c([x])[c.outputs[0]]
        codes.append(np.rint(y / s) if pair else y.astype(np.float32))
    multiplied = np.clip(np.rint(x * (np.float32(1) / s)), -128, 127)
    seen[scale] = (int((codes[0] != multiplied).sum()), int((codes[0] != codes[1]).sum()))
    print("scale", scale, "alone != reciprocal:", seen[scale][0], "- in a pair != alone:", seen[scale][1], "of 510")
sys.exit(0 if all(a == 0 and b > 0 for a, b in seen.values()) else "the behaviour has changed")
P
