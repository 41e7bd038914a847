#!/usr/bin/env bash
# LiteRT's optimised kernels: equal numbers in one tensor get different codes, by their place in memory.
#
# Seen: QUANTIZE of eleven times 2.5 (scale 1, int8) gives 2 at the first eight places and 3 at the last three. Blocks of eight are rounded to
#   even after a product with the reciprocal, what is left over is rounded away from zero after a division. The reference kernels give 3
#   everywhere, the default (XNNPACK) 2 everywhere.
# Why it matters: a kernel is no function of the number alone, so a network that is invariant on paper (shifted frames, padded rows) is not. A
#   table of 256 codes read off the runtime with one long vector is wrong for the last places. A tool must know shapes, not only codes.
# Said otherwise: the TensorFlow Lite quantisation specification has one formula for all elements of a tensor.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check ai-edge-litert==2.3.0 tflite==2.18.0 flatbuffers==25.12.19 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import flatbuffers, numpy as np, tflite
from ai_edge_litert import interpreter as li

print("ai-edge-litert", version("ai-edge-litert"))


def file(n):
    b = flatbuffers.Builder(0)

    def vector(values, start, add):
        start(b, len(values))
        for v in reversed(values):
            add(v)
        return b.EndVector()

    empty = (tflite.BufferStart(b), tflite.BufferEnd(b))[1]
    scale, zero = vector([1.0], tflite.QuantizationParametersStartScaleVector, b.PrependFloat32), vector([0], tflite.QuantizationParametersStartZeroPointVector, b.PrependInt64)
    tflite.QuantizationParametersStart(b)
    tflite.QuantizationParametersAddScale(b, scale)
    tflite.QuantizationParametersAddZeroPoint(b, zero)
    quantised = tflite.QuantizationParametersEnd(b)
    tensors = []
    for name, kind in (("x", tflite.TensorType.FLOAT32), ("y", tflite.TensorType.INT8)):
        text, shape = b.CreateString(name), vector([n], tflite.TensorStartShapeVector, b.PrependInt32)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddBuffer(b, 0)
        tflite.TensorAddName(b, text)
        if name == "y":
            tflite.TensorAddQuantization(b, quantised)
        tensors.append(tflite.TensorEnd(b))
    tensors = vector(tensors, tflite.SubGraphStartTensorsVector, b.PrependUOffsetTRelative)
    ins, outs = vector([0], tflite.SubGraphStartInputsVector, b.PrependInt32), vector([1], tflite.SubGraphStartOutputsVector, b.PrependInt32)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, 0)
    tflite.OperatorAddInputs(b, ins)
    tflite.OperatorAddOutputs(b, outs)
    operators = vector([tflite.OperatorEnd(b)], tflite.SubGraphStartOperatorsVector, b.PrependUOffsetTRelative)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddInputs(b, ins)
    tflite.SubGraphAddOutputs(b, outs)
    tflite.SubGraphAddOperators(b, operators)
    graphs = vector([tflite.SubGraphEnd(b)], tflite.ModelStartSubgraphsVector, b.PrependUOffsetTRelative)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, 114)
    tflite.OperatorCodeAddBuiltinCode(b, tflite.BuiltinOperator.QUANTIZE)
    tflite.OperatorCodeAddVersion(b, 1)
    codes = vector([tflite.OperatorCodeEnd(b)], tflite.ModelStartOperatorCodesVector, b.PrependUOffsetTRelative)
    buffers = vector([empty], tflite.ModelStartBuffersVector, b.PrependUOffsetTRelative)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


seen = {}
kinds = {"default": li.OpResolverType.AUTO, "optimised": li.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": li.OpResolverType.BUILTIN_REF}
for n in (8, 11):
    for name, kind in kinds.items():
        t = li.Interpreter(model_content=file(n), experimental_op_resolver_type=kind)
        t.allocate_tensors()
        t.set_tensor(t.get_input_details()[0]["index"], np.full(n, 2.5, np.float32))
        t.invoke()
        seen[n, name] = t.get_tensor(t.get_output_details()[0]["index"]).tolist()
        print(n, "times 2.5:", name.ljust(9), seen[n, name])
want = {(8, "default"): [2] * 8, (8, "optimised"): [2] * 8, (8, "reference"): [3] * 8, (11, "default"): [2] * 11, (11, "optimised"): [2] * 8 + [3] * 3,
        (11, "reference"): [3] * 11}
sys.exit(0 if seen == want else "the behaviour has changed")
P
