#!/usr/bin/env bash
# onnx.reference and onnx.version_converter: Softmax and Hardmax of opsets before 13 get the meaning of opset 13.
#
# Seen: in opset 11 the operators flatten the input to two dimensions at the axis (default 1) and work on whole rows.
#   onnx.reference works along the one axis instead, by default the last: the entries of one row of three positions sum to 3, not
#   to 1. The version converter keeps the meaning of Softmax (it adds a Flatten and a Reshape) but not that of Hardmax:
#   converted to 13, Hardmax marks other entries. ONNX Runtime follows each opset.
# Why it matters: files of quantisers from before 2021 are of opset 11 or 12. Who takes onnx.reference as the oracle of a
#   reader, or converts first, checks another last layer than the one that is deployed.
# Said otherwise: ONNX text of Softmax 11 and Hardmax 11 (input coerced to two dimensions) against 13 (along one axis); the
#   reference evaluator is described as the executable form of that text.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, version_converter
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
x = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
ends = lambda m: ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
seen = {}
for op in ("Softmax", "Hardmax"):
    info = lambda n: h.make_tensor_value_info(n, T.FLOAT, [1, 3, 2])
    g = h.make_graph([h.make_node(op, ["x"], ["y"])], "g", [info("x")], [info("y")])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 11)], ir_version=10)
    onnx.checker.check_model(m, full_check=True)
    c = version_converter.convert_version(m, 13)
    onnx.checker.check_model(c, full_check=True)
    for name, r in (("runtime, 11", ends(m)), ("reference, 11", ReferenceEvaluator(m)), ("runtime, converted to 13", ends(c))):
        y = r.run(None, {"x": x})[0].ravel()
        seen[op, name] = round(float(y.sum()), 3)
        print(op.ljust(8), name.ljust(25), [f"{v:.3f}" for v in y], "sum", seen[op, name])
# Softmax: one row of sum 1; the reference sees three. Hardmax after conversion marks each of the three positions.
want = {("Softmax", "runtime, 11"): 1.0, ("Softmax", "reference, 11"): 3.0, ("Softmax", "runtime, converted to 13"): 1.0,
        ("Hardmax", "runtime, 11"): 1.0, ("Hardmax", "reference, 11"): 3.0, ("Hardmax", "runtime, converted to 13"): 3.0}
sys.exit(0 if seen == want else "the behaviour has changed")
P
