#!/usr/bin/env bash
# onnxscript's optimiser: Clip followed by Relu becomes one Clip whose bounds cross, and another value.
#
# Seen: Clip to [-3, -1] followed by Relu is 0 for every input. `onnxscript.optimizer.optimize` fuses the two into Clip to [0, -1], which
#   ONNX defines as min(max(x, 0), -1): -1 for every input. A Clip to [-1, 2] is fused rightly.
# Why it matters: a dead branch (a channel that a quantiser or a pruning step clipped below zero) comes back with a constant -1 after an
#   optimiser that exporters run by default; the float file and its optimised copy then have different classes.
# Said otherwise: ONNX text of Relu: max(0, x), which is never negative.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 onnxscript==0.7.2
"$d/v/bin/python" - <<'P'
import sys

import numpy as np, onnx, onnxruntime as ort, onnxscript, onnxscript.optimizer
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("onnxscript", onnxscript.__version__, "onnxruntime", ort.__version__)
x = np.array([[0.5, 2.5, -3]], np.float32)
run = lambda m: ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0][0].tolist()
seen = {}
for low, high in ((-1, 2), (-3, -1)):
    nodes = [h.make_node("Clip", ["x", "l", "u"], ["c"]), h.make_node("Relu", ["c"], ["y"])]
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, [1, 3])], [h.make_tensor_value_info("y", T.FLOAT, [1, 3])],
                     [nh.from_array(np.asarray(np.float32(low)), "l"), nh.from_array(np.asarray(np.float32(high)), "u")])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(m, full_check=True)
    o = onnxscript.optimizer.optimize(m)
    seen[low, high] = (run(m), [n.op_type for n in o.graph.node], run(o))
    print("Clip", (low, high), "then Relu:", seen[low, high][0], "optimised to", seen[low, high][1], seen[low, high][2])
want = {(-1, 2): ([0.5, 2.0, 0.0], ["Clip"], [0.5, 2.0, 0.0]), (-3, -1): ([0.0] * 3, ["Clip"], [-1.0] * 3)}
sys.exit(0 if seen == want else "the behaviour has changed")
P
