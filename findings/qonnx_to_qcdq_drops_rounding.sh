#!/usr/bin/env bash
# qonnx: QuantToQCDQ replaces a Quant that rounds down by a QuantizeLinear that rounds to even.
#
# Seen: a Quant of 4 bits with rounding_mode FLOOR or HALF_UP is converted without a word, and the converted graph gives
#   other numbers, by a whole step: 22 and 8 of 65 inputs on a grid of eighths. A Quant of 16 bits is left as it is.
# Why it matters: the exporter's network and the network that a runtime runs are two functions; a verdict about one says
#   nothing about the other. FLOOR is what FPGA back ends choose, because it costs nothing.
# Said otherwise: the text of the transformation lists restrictions. That on the bit width is checked, and such nodes are left
#   alone; "the rounding_mode attribute must be ROUND" is not.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check qonnx==1.0.0 onnx==1.20.1 onnxruntime==1.32.0 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
import numpy as np
import onnx, onnxruntime, qonnx
from importlib.metadata import version
from onnx import TensorProto as T, helper as h, numpy_helper as n
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.qonnx_to_qcdq import QuantToQCDQ

print("qonnx", version("qonnx"), "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
x = (np.arange(-32, 33) / 8).astype(np.float32)
found = {}
for mode, bits in (("ROUND", 4), ("HALF_UP", 4), ("FLOOR", 4), ("FLOOR", 16)):
    stored = [n.from_array(np.array(v, np.float32), k) for k, v in (("s", 0.5), ("z", 0), ("b", bits))]
    node = h.make_node("Quant", ["x", "s", "z", "b"], ["y"], domain="qonnx.custom_op.general", signed=1, narrow=0, rounding_mode=mode)
    ends = [h.make_tensor_value_info(k, T.FLOAT, [x.size]) for k in "xy"]
    imports = [h.make_opsetid("", 13), h.make_opsetid("qonnx.custom_op.general", 1)]
    model = ModelWrapper(h.make_model(h.make_graph([node], "g", ends[:1], ends[1:], stored), opset_imports=imports))
    before = execute_onnx(model.transform(InferShapes()), {"x": x})["y"]
    model = model.transform(QuantToQCDQ()).transform(InferShapes())
    after = execute_onnx(model, {"x": x})["y"]
    found[mode, bits] = int((before != after).sum())
    kept = any(k.op_type == "Quant" for k in model.graph.node)
    print(mode.ljust(8), bits, "bits: left alone" if kept else "bits: converted", f"{found[mode, bits]} of {x.size} numbers differ, -0.25 becomes {before[30]:g} and {after[30]:g}")
want = {("ROUND", 4): 0, ("HALF_UP", 4): 8, ("FLOOR", 4): 22, ("FLOOR", 16): 0}
sys.exit(0 if found == want and kept else "the behaviour has changed")
P
