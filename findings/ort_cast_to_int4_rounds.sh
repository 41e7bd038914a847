#!/usr/bin/env bash
# ONNX Runtime: Cast from float to int4 rounds; Cast from float to int8 truncates.
#
# Seen: with the same Cast node, 2.5 becomes 2 as int8 and 3 as int4; -0.5 becomes 0 and -1 (halves go away from zero).
#   What is rounded past 7 then wraps: 7.5 becomes -8, although 7.5 lies inside the range of int4 once it is truncated.
#   uint4 does the same (-0.5 becomes 15). onnx.reference truncates in every type, so 7.5 stays 7 there.
# Why it matters: a network whose weights or activations go to four bits by Cast is another function in the runtime than in
#   the reference, and the largest weight of a channel may change its sign.
# Said otherwise: onnxruntime pull request 24998, which brought these casts, speaks of clamping to -8 .. 7, not of wrapping.
#   The ONNX text of Cast names no rounding (onnx issue 3876), but one rule for all integer types.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
x = np.array([2.4, 2.5, -0.5, -1.5, 7.4, 7.5], np.float32)


def cast(to):
    nodes = [h.make_node("Cast", ["x"], ["q"], to=to), h.make_node("Cast", ["q"], ["y"], to=T.FLOAT)]
    info = lambda n: h.make_tensor_value_info(n, T.FLOAT, [len(x)])
    m = h.make_model(h.make_graph(nodes, "g", [info("x")], [info("y")]), opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(m, full_check=True)
    s = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return [[int(v) for v in r.run(None, {"x": x})[0]] for r in (s, ReferenceEvaluator(m))]


print("input  2.4 2.5 -0.5 -1.5 7.4 7.5")
seen = {}
for name, to in (("int8", T.INT8), ("int4", T.INT4), ("uint4", T.UINT4)):
    seen[name] = cast(to)
    print(name.ljust(6), "runtime", seen[name][0], "reference", seen[name][1])
want = {"int8": [[2, 2, 0, -1, 7, 7]] * 2, "int4": [[2, 3, -1, -2, 7, -8], [2, 2, 0, -1, 7, 7]],
        "uint4": [[2, 3, 15, 14, 7, 8], [2, 2, 0, 15, 7, 7]]}
sys.exit(0 if seen == want else "the behaviour has changed")
P
