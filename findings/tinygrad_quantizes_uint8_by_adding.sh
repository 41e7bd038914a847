#!/usr/bin/env bash
# tinygrad: QuantizeLinear of ONNX adds 0.4999999 and truncates for uint8; for int8 it rounds to even.
#
# Seen: 0.5, 1.5, 2.5, 3.5, 4.5 at scale 1 become 0, 1, 3, 4, 5 as uint8 and 0, 2, 2, 4, 4 as int8, which is what onnxruntime gives for both. Halves from 2.5 on go up because
#   the sum in float32 is the next whole number already, those below go down. With a zero point of 3, -1.5 becomes 2 (onnxruntime: 1).
# Why it matters: a uint8 network is one unit off at every second half, and the same network with int8 activations is not; scales that are powers of two
#   make halves common. A verdict under ONNX's rule is not one about tinygrad.
# Said otherwise: ONNX, QuantizeLinear: rounding to the nearest even, for every type.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check tinygrad==0.14.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
DEV=PYTHON "$d/v/bin/python" - "$d" <<'P'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tinygrad import Tensor
from tinygrad.nn.onnx import OnnxRunner

print("tinygrad", version("tinygrad"), "onnxruntime", version("onnxruntime"))
x = np.array([-1.5, 0.5, 1.5, 2.5, 3.5, 4.5], np.float32)
seen = {}
for kind, element, zero in ((np.uint8, TensorProto.UINT8, 0), (np.uint8, TensorProto.UINT8, 3), (np.int8, TensorProto.INT8, 0)):
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6])],
        [helper.make_tensor_value_info("y", element, [6])],
        [numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(kind(zero), "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    path = sys.argv[1] + "/q.onnx"
    onnx.save(model, path)
    ours = list(OnnxRunner(path)({"x": Tensor(x)}).values())[0].numpy().tolist()
    theirs = onnxruntime.InferenceSession(path).run(None, {"x": x})[0].tolist()
    seen[kind.__name__, zero] = ours, theirs
    print(kind.__name__.ljust(5), "zero point", zero, " tinygrad", ours, " onnxruntime", theirs)
want = {
    ("uint8", 0): ([0, 0, 1, 3, 4, 5], [0, 0, 2, 2, 4, 4]),
    ("uint8", 3): ([2, 4, 5, 6, 7, 8], [1, 3, 5, 5, 7, 7]),
    ("int8", 0): ([-2, 0, 2, 2, 4, 4], [-2, 0, 2, 2, 4, 4]),
}
sys.exit(0 if seen == want else "the behaviour has changed")
P
