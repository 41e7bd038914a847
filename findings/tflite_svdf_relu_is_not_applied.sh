#!/usr/bin/env bash
# TensorFlow Lite's SVDF: the quantised kernels demand the fused activation RELU and do not apply it; negative sums come out negative.
#
# Seen: an SVDF whose newest activation is -124 and whose scale of outputs is 2 gives -62 with fused RELU, in TensorFlow Lite Micro (states of 8 and 16 bits) and
#   in LiteRT (16 bits, its optimised kernels and its reference). With fused activation NONE, Micro gives the same -62 and LiteRT refuses the file.
# Why it matters: who reads the file by its attributes (a converter to another format, a verifier, a reimplementation) puts a ReLU there that the device does not
#   have; only negative values tell.
# Said otherwise: the schema calls the attribute the activation that is fused into the operator.
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
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime

print("tflite-micro", version("tflite-micro"), "ai-edge-litert", version("ai-edge-litert"))


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


def litert(content, x, resolver):
    try:
        i = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
        i.allocate_tensors()
        i.set_tensor(i.get_input_details()[0]["index"], np.array([[x]], np.int8))
        i.invoke()
    except RuntimeError as refusal:
        return f"refused: {'kTfLiteActRelu' in str(refusal)}"
    return int(i.get_tensor(i.get_output_details()[0]["index"])[0, 0])


relu, none = s.ActivationFunctionType.RELU, s.ActivationFunctionType.NONE
ways = {
    "micro, 8 bits": lambda f, x: micro(file(s.TensorType.INT8, 0, f), x),
    "micro, 16 bits": lambda f, x: micro(file(s.TensorType.INT16, 0, f), x),
    "litert": lambda f, x: litert(file(s.TensorType.INT16, 0, f), x, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
    "litert reference": lambda f, x: litert(file(s.TensorType.INT16, 0, f), x, OpResolverType.BUILTIN_REF),
}
found = {(name, label): [way(f, x) for x in (-31, 31)] for name, way in ways.items() for label, f in (("RELU", relu), ("NONE", none))}
for key, outputs in found.items():
    print(*key, outputs)
want = {(name, "RELU"): [-62, 62] for name in ways} | {(name, "NONE"): [-62, 62] for name in ways if "micro" in name}
want |= {(name, "NONE"): ["refused: True"] * 2 for name in ways if "litert" in name}
sys.exit(0 if found == want else "the behaviour has changed")
P
