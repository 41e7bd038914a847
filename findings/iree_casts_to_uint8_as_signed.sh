#!/usr/bin/env bash
# IREE: an ONNX Cast from float to uint8 goes through signed eight bits; 200 becomes 127.
#
# Seen: Cast of 200.0 and 255.0 to uint8 gives 127, of 127.0 gives 127; ONNX Runtime gives 200 and 255. The values lie inside the range of
#   uint8, so nothing overflows. QuantizeLinear to uint8 is right.
# Why it matters: the half of all pixel values above 127 becomes one value. A preprocessing step `Cast(uint8)` in the file is enough, and
#   no message says so.
# Said otherwise: ONNX text of Cast: a float converted to an integer type in whose range it lies is truncated.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 iree-base-compiler==3.13.0 iree-base-runtime==3.13.0
"$d/v/bin/python" - <<'P'
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version

import iree.runtime as rt, numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h

print("iree", version("iree-base-compiler"), "onnxruntime", ort.__version__)
x = np.array([[0, 1.7, 127, 128, 200, 255]], np.float32)
nodes = [h.make_node("Cast", ["x"], ["c"], to=T.UINT8), h.make_node("Cast", ["c"], ["y"], to=T.FLOAT)]
info = lambda n: h.make_tensor_value_info(n, T.FLOAT, [1, 6])
m = h.make_model(h.make_graph(nodes, "g", [info("x")], [info("y")]), opset_imports=[h.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(m, full_check=True)
o = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
tools = os.path.dirname(sys.executable)
with tempfile.TemporaryDirectory() as d:
    f = lambda n: os.path.join(d, n)
    onnx.save(m, f("m.onnx"))
    subprocess.run([f"{tools}/iree-import-onnx", f("m.onnx"), "-o", f("m.mlir")], check=True)
    subprocess.run([f"{tools}/iree-compile", f("m.mlir"), "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
                    "--iree-llvmcpu-target-cpu=generic", "-o", f("m.vmfb")], check=True)
    y = np.asarray(rt.load_vm_flatbuffer_file(f("m.vmfb"), driver="local-task").g(x))
print("input", x[0].tolist(), "onnxruntime", o[0].tolist(), "iree", y[0].tolist())
sys.exit(0 if o[0].tolist() == [0, 1, 127, 128, 200, 255] and y[0].tolist() == [0, 1, 127, 127, 127, 127] else "the behaviour has changed")
P
