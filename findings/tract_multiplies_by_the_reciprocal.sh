#!/usr/bin/env bash
# tract: QuantizeLinear multiplies by the reciprocal of the scale; the ONNX text divides.
#
# Seen: two int8 tensors are dequantised, added and quantised again (scales 0.05, 0.05 and 0.1). Over all 65 536 pairs of codes 1374
#   sums get another code than in ONNX Runtime without optimisation, which equals float32 division everywhere. tract equals
#   multiplication by the float32 reciprocal everywhere. At scales that are powers of two nothing differs.
# Why it matters: 0.05 + 0.05 -> 0.1 is what a quantiser writes for a residual connection of two like branches, and there every other
#   sum is a tie. A verdict about the file under ONNX's rule is not one about tract.
# Said otherwise: ONNX text of QuantizeLinear: y = saturate(round(x / y_scale) + y_zero_point).
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
a, b = np.repeat(np.arange(-128, 128), 256).astype(np.int8), np.tile(np.arange(-128, 128), 256).astype(np.int8)


def model(sa, sb, sy):
    nodes = [h.make_node("DequantizeLinear", ["a", "sa", "z"], ["fa"]), h.make_node("DequantizeLinear", ["b", "sb", "z"], ["fb"]),
             h.make_node("Add", ["fa", "fb"], ["f"]), h.make_node("QuantizeLinear", ["f", "sy", "z"], ["y"])]
    info = lambda n: h.make_tensor_value_info(n, T.INT8, [65536])
    values = {"sa": np.float32(sa), "sb": np.float32(sb), "sy": np.float32(sy), "z": np.int8(0)}
    g = h.make_graph(nodes, "g", [info("a"), info("b")], [info("y")], [nh.from_array(np.asarray(v), k) for k, v in values.items()])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    return m


def in_ort(m):
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(m.SerializeToString(), o, providers=["CPUExecutionProvider"]).run(None, {"a": a, "b": b})[0]


def in_tract(m):
    with tempfile.TemporaryDirectory() as d:
        onnx.save(m, os.path.join(d, "m.onnx"))
        return tract.onnx().load(os.path.join(d, "m.onnx")).into_model().into_runnable().run([a, b])[0].to_numpy()


seen = []
for scales in ((0.05, 0.05, 0.1), (0.03, 0.07, 0.1), (0.25, 0.25, 0.5)):
    sa, sb, sy = map(np.float32, scales)
    m = model(sa, sb, sy)
    o, t, f = in_ort(m), in_tract(m), a.astype(np.float32) * sa + b.astype(np.float32) * sb
    divided, multiplied = (np.clip(np.rint(v), -128, 127) for v in (f / sy, f * (np.float32(1) / sy)))
    seen.append((int((o != t).sum()), int((o != divided).sum()), int((t != multiplied).sum())))
    print(scales, "of 65536 pairs: runtimes differ", seen[-1][0], "- onnxruntime != division", seen[-1][1], "- tract != reciprocal", seen[-1][2])
sys.exit(0 if seen == [(1374, 0, 0), (404, 0, 0), (0, 0, 0)] else "the behaviour has changed")
P
