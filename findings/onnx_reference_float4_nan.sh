#!/usr/bin/env bash
# onnx.reference and onnx.helper: NaN becomes minus zero in float4, where the ONNX text asks for 6.
#
# Seen: Cast, QuantizeLinear and helper.make_tensor turn NaN into -0.0 in FLOAT4E2M1; infinities become 6 and -6.
# Why it matters: a NaN among the weights or activations leaves no trace at all; the four-bit network then looks healthy, and
#   whoever implements the documented rule gets another number, far from zero.
# Said otherwise: the table of casts in ONNX's technical text "Float stored in 4 bits" sends NaN to 6. The values come from
#   ml_dtypes' float4_e2m1fn, which onnx uses underneath.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 numpy==2.4.6 ml_dtypes==0.6.0
"$d/v/bin/python" - <<'P'
import sys
import numpy as np, ml_dtypes, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "ml_dtypes", ml_dtypes.__version__)
x = np.array([np.nan, np.inf, -np.inf, 7.0], np.float32)
info = lambda n: h.make_tensor_value_info(n, T.FLOAT, [4])


def run(nodes, inits=()):
    g = h.make_graph(nodes, "g", [info("x")], [info("y")], list(inits))
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 23)], ir_version=11)
    onnx.checker.check_model(m, full_check=True)
    return ReferenceEvaluator(m).run(None, {"x": x})[0].tolist()


one = nh.from_array(np.array(1, np.float32), "s")
seen = {
    "Cast": run([h.make_node("Cast", ["x"], ["q"], to=T.FLOAT4E2M1), h.make_node("Cast", ["q"], ["y"], to=T.FLOAT)]),
    "QuantizeLinear": run([h.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=T.FLOAT4E2M1),
                           h.make_node("DequantizeLinear", ["q", "s"], ["y"])], [one]),
    "make_tensor": nh.to_array(h.make_tensor("t", T.FLOAT4E2M1, [4], x.tolist())).astype(np.float32).tolist(),
}
print("input", x.tolist())
for name, y in seen.items():
    print(name.ljust(15), y)
sys.exit(0 if all(str(y) == "[-0.0, 6.0, -6.0, 6.0]" for y in seen.values()) else "the behaviour has changed")
P
