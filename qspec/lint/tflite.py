"""What stands in a TensorFlow Lite file, as a linter looks at it; files are looked at that no semantics reads."""

from __future__ import annotations

from collections.abc import Iterator

from qspec.lint.finding import FLOAT_CONSTANT, Finding
from qspec.lint.parameters import Weighted
from qspec.readers.tflite_file import TfliteModel, TfliteOperator

ORDER = {"CONV_2D": (1, 2, 3, 0), "DEPTHWISE_CONV_2D": (1, 2, 0, 3), "FULLY_CONNECTED": (1, 0), "TRANSPOSE_CONV": (1, 2, 3, 0)}
ENDS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


def layers(model: TfliteModel) -> Iterator[Weighted]:
    """Yield the layers with stored integer weights."""
    for place, o in enumerate(model.operators):
        if o.kind not in ORDER or len(o.inputs) < 2:
            continue
        x, w, y = (model.tensors[i] for i in (o.inputs[0], o.inputs[1], o.outputs[0]))
        if w.data is None or w.type not in ("INT8", "UINT8") or w.data.ndim != len(ORDER[o.kind]) or x.type not in ENDS:
            continue
        zero = x.zeros[0] if x.zeros else 0
        reach = max(abs(end - zero) for end in ENDS[x.type])
        kernel = w.data.astype(int).transpose(ORDER[o.kind]) - (w.zeros[0] if len(set(w.zeros)) == 1 else 0)
        scaled = x.scales and y.scales and w.scales and y.scales[0] > 0
        multipliers = tuple(x.scales[0] * s / y.scales[0] for s in w.scales) if scaled else None
        bias = model.tensors[o.inputs[2]] if len(o.inputs) > 2 and o.inputs[2] != -1 else None
        codes = bias.data.reshape(-1) if bias is not None and bias.data is not None and bias.type in ("INT32", "INT64") else None
        yield Weighted(_place(place, o, w.name), kernel, codes, reach, multipliers)


def floats(model: TfliteModel) -> Iterator[Finding]:
    """Yield the parameters that are floats beside quantised signals."""
    for place, o in enumerate(model.operators):
        if o.kind in ORDER and model.tensors[o.inputs[0]].type in ENDS:
            for k in o.inputs[1:]:
                if k != -1 and model.tensors[k].type == "FLOAT32":
                    yield Finding(FLOAT_CONSTANT, _place(place, o, model.tensors[k].name), f"FLOAT32 of shape {model.tensors[k].shape}")


def _place(place: int, o: TfliteOperator, tensor: str) -> str:
    return f"operator {place} ({o.kind}), {tensor!r}"
