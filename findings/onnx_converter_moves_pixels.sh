#!/usr/bin/env bash
# onnx.version_converter: Resize from opset 10, and Upsample from opset 9, sample other pixels afterwards.
#
# Seen: the linear resize of 0 10 20 by two is 0 5 10 15 20 20 in opset 10; converted to opset 11 (or 13, 21) it is
#   0 2.5 7.5 12.5 17.5 20. Both files pass the checker; ONNX Runtime computes both, each by the text of its opset.
#   Nearest neighbour is not affected at this factor.
# Why it matters: raising the opset is the first step of most tool chains (the per-channel quantisation operators need
#   opset 13). Every prediction of a segmentation network and every property proved of it is then about another network.
# Said otherwise: Resize 10 has one rule, which is called "asymmetric" since opset 11; the default of Resize 11 is
#   "half_pixel" (ONNX text of Resize). The converter adds the new empty input, but not the attribute that keeps the rule.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh, version_converter

print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
x = np.array([[[[0, 10, 20]]]], np.float32)


def run(m):
    onnx.checker.check_model(m, full_check=True)
    s = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return s.run(None, {"x": x})[0].ravel().tolist()


seen = []
for op, opset in (("Resize", 10), ("Upsample", 9)):
    io = [h.make_tensor_value_info("x", T.FLOAT, [1, 1, 1, 3])], [h.make_tensor_value_info("y", T.FLOAT, [1, 1, 1, 6])]
    scales = nh.from_array(np.array([1, 1, 1, 2], np.float32), "s")
    g = h.make_graph([h.make_node(op, ["x", "s"], ["y"], mode="linear")], "g", *io, [scales])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
    for target in (11, 21):
        c = version_converter.convert_version(m, target)
        mode = [a.s for n in c.graph.node for a in n.attribute if a.name == "coordinate_transformation_mode"]
        seen.append((run(m), run(c), mode))
        print(f"{op} {opset}: {seen[-1][0]}  converted to {target}: {seen[-1][1]}  coordinate mode written: {mode or 'none'}")
want = ([0, 5, 10, 15, 20, 20], [0, 2.5, 7.5, 12.5, 17.5, 20], [])
sys.exit(0 if seen == [want] * 4 else "the behaviour has changed")
P
