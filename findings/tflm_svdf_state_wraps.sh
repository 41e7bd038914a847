#!/usr/bin/env bash
# TensorFlow Lite Micro: an SVDF layer with a state of 8 bits saturates its newest activation, and then adds the zero point of the state so that it wraps.
#
# Seen: with zero point 0, activations of 124, 128, 160 and 400 give 62, 64, 64, 64 (scale 2). With zero point 10, those of 120 and more give -68 to -64:
#   what should be the largest value becomes the smallest. With zero point -10 the same happens below.
# Why it matters: keyword spotters are made of this layer. A sound a little louder than those of calibration turns the strongest response into the
#   weakest, and a proof for saturating arithmetic is void. The zero point is a free choice of the converter.
# Said otherwise: quantised values saturate in the TensorFlow Lite quantisation specification; the kernel's comments speak of limiting the activations.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check tflite-micro==0.dev20261023182759 ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from tflite_micro import runtime

print("tflite-micro", version("tflite-micro"))


def file(state_type, zero, fused):
    """Return an SVDF of one filter and memory 2 whose output is half of its newest activation, 4 * x; all scales but that are 1."""
    model, graph = s.ModelT(), s.SubGraphT()
    model.version, model.buffers, graph.tensors = 3, [s.BufferT()], []

    def tensor(name, shape, kind, scale, point=0, data=None):
        t = s.TensorT()
        t.name, t.shape, t.type, t.isVariable, t.buffer = name, shape, kind, name == "state", 0
        t.quantization = s.QuantizationParametersT()
        t.quantization.scale, t.quantization.zeroPoint = [scale], [point]
        if data is not None:
            held = s.BufferT()
            held.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(held)
            t.buffer = len(model.buffers) - 1
        graph.tensors.append(t)

    int8, wide = s.TensorType.INT8, np.int8 if state_type == s.TensorType.INT8 else np.int16
    tensor("x", [1, 1], int8, 1.0)
    tensor("feature", [1, 1], int8, 1.0, data=np.array([[4]], np.int8))
    tensor("time", [1, 2], state_type, 1.0, data=np.array([[0, 1]], wide))
    tensor("bias", [1], s.TensorType.INT32, 1.0, data=np.array([0], np.int32))
    tensor("state", [1, 2], state_type, 1.0, zero)
    tensor("y", [1, 1], int8, 2.0)
    o = s.OperatorT()
    o.opcodeIndex, o.inputs, o.outputs = 0, [0, 1, 2, 3, 4], [5]
    o.builtinOptionsType, o.builtinOptions = s.BuiltinOptions.SVDFOptions, s.SVDFOptionsT()
    o.builtinOptions.rank, o.builtinOptions.fusedActivationFunction = 1, fused
    graph.operators, graph.inputs, graph.outputs = [o], [0], [5]
    code = s.OperatorCodeT()
    code.deprecatedBuiltinCode = code.builtinCode = s.BuiltinOperator.SVDF
    code.version = 3
    model.operatorCodes, model.subgraphs = [code], [graph]
    b = flatbuffers.Builder(0)
    b.Finish(model.Pack(b), b"TFL3")
    return bytes(b.Output())


def micro(content, x):
    i = runtime.Interpreter.from_bytes(content, arena_size=65536)
    i.set_input(np.array([[x]], np.int8), 0)
    i.invoke()
    return int(i.get_output(0)[0, 0])


xs = [10, 20, 31, 32, 40, 100, -32, -40]
found = {zero: [micro(file(s.TensorType.INT8, zero, 1), x) for x in xs] for zero in (0, 10, -10)}
for zero, outputs in found.items():
    print("zero point of the state", zero, {4 * x: y for x, y in zip(xs, outputs)})
want = {0: [20, 40, 62, 64, 64, 64, -64, -64], 10: [20, 40, -66, -64, -64, -64, -64, -64], -10: [20, 40, 62, 64, 64, 64, 64, 64]}
sys.exit(0 if found == want else "the behaviour has changed")
P
