#!/usr/bin/env bash
# MNN: Round takes halves away from zero; ONNX takes them to the even neighbour.
#
# Seen: 0.5, 1.5, 2.5 and -0.5 become 1, 2, 3 and -1 after conversion by mnnconvert; ONNX Runtime gives 0, 2, 2 and 0.
# Why it matters: networks trained with fake quantisation carry Round in the graph (the QONNX and brevitas way, or a hand-written quantiser);
#   at scales that are powers of two every second sum is a half, and each goes the other way.
# Said otherwise: ONNX text of Round: "For the cases where number is exactly halfway between two integers, it rounds to the nearest even".
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 MNN==3.6.1
"$d/v/bin/python" - <<'P'
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version

import MNN.expr as expr, MNN.nn as nn, numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h

print("MNN", version("MNN"), "onnxruntime", ort.__version__)
x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 0.25]], np.float32)
info = lambda n: h.make_tensor_value_info(n, T.FLOAT, [1, 6])
m = h.make_model(h.make_graph([h.make_node("Round", ["x"], ["y"])], "g", [info("x")], [info("y")]), opset_imports=[h.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(m, full_check=True)
o = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
with tempfile.TemporaryDirectory() as d:
    f = lambda n: os.path.join(d, n)
    onnx.save(m, f("m.onnx"))
    subprocess.run([os.path.join(os.path.dirname(sys.executable), "mnnconvert"), "-f", "ONNX", "--modelFile", f("m.onnx"), "--MNNModel", f("m.mnn"),
                    "--bizCode", "q"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net = nn.load_module_from_file(f("m.mnn"), ["x"], ["y"])
    y = np.array(net.onForward([expr.const(x, list(x.shape), expr.NCHW, expr.float)])[0].read())
print("input", x[0].tolist(), "onnxruntime", o[0].tolist(), "MNN", y[0].tolist())
seen = [v.ravel().tolist() for v in (o, y)]
sys.exit(0 if seen == [[0, 2, 2, 0, -2, 0], [1, 2, 3, -1, -2, 0]] else "the behaviour has changed")
P
