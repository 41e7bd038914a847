#!/usr/bin/env bash
# onnxoptimizer: a Pad with zeros before a MaxPool is fused into it and becomes a Pad with minus infinity.
#
# Seen: `fuse_pad_into_pool`, one of the default passes, turns Pad (constant 0) and MaxPool into one MaxPool with `pads`. A MaxPool pads
#   with minus infinity, so where a window holds only negative values and padding the result was 0 and is negative afterwards: 7 of the 16
#   outputs of the example change. With a constant of -5 the two nodes are kept; AveragePool keeps its value (the pass says count_include_pad).
# Why it matters: exporters write Pad and MaxPool for asymmetric "same" padding. After a ReLU nothing is negative and all is well;
#   with leaky ReLU, tanh or a signed quantiser the optimised file is another network, and the pass is on by default.
# Said otherwise: ONNX text of MaxPool (padding is never the maximum) against Pad (constant_value, default 0).
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 onnxoptimizer==0.4.2
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import numpy as np, onnx, onnxoptimizer, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

print("onnxoptimizer", version("onnxoptimizer"), "onnxruntime", ort.__version__)
x = -np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
run = lambda m: ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
seen = {}
for op, value in (("MaxPool", 0), ("MaxPool", -5), ("AveragePool", 0)):
    nodes = [h.make_node("Pad", ["x", "p", "v"], ["q"]), h.make_node(op, ["q"], ["y"], kernel_shape=[2, 2], strides=[1, 1])]
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, [1, 1, 4, 4])], [h.make_tensor_value_info("y", T.FLOAT, [1, 1, 4, 4])],
                     [nh.from_array(np.array([0, 0, 1, 1, 0, 0, 0, 0]), "p"), nh.from_array(np.asarray(np.float32(value)), "v")])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    o = onnxoptimizer.optimize(m)
    before, after = run(m), run(o)
    seen[op, value] = ([n.op_type for n in o.graph.node], int((before != after).sum()))
    print(op, "padded with", value, "->", seen[op, value][0], "first row", before[0, 0, 0].tolist(), "->", after[0, 0, 0].tolist(), "changed", seen[op, value][1])
want = {("MaxPool", 0): (["MaxPool"], 7), ("MaxPool", -5): (["Pad", "MaxPool"], 0), ("AveragePool", 0): (["AveragePool"], 0)}
sys.exit(0 if seen == want else "the behaviour has changed")
P
