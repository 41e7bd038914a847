"""What is read of QKeras and of HGQ's proxies: every layer, every key of its settings, and the values that are taken."""

from __future__ import annotations

from collections.abc import Mapping

from qspec.readers.keras_table import LAYERS as PLAIN
from qspec.readers.keras_table import KerasLayer, Values, spoken

_KERNEL = ("kernel", "bias")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance", "iteration")
_ENDS: Mapping[str, Values] = {
    "activation": "linear, relu, softmax or sigmoid at the end, or a quantiser",
    "use_bias": "true or false, as the arrays are",
}
_QUANTIZERS: Mapping[str, Values] = {
    "kernel_quantizer": "a quantiser of weights, or null",
    "bias_quantizer": "a quantiser of weights, or null",
}
_DENSE: Mapping[str, Values] = {"units": "as the kernel", **_ENDS, **_QUANTIZERS}
_CONV: Mapping[str, Values] = {
    "filters": "as the kernel",
    "kernel_size": "as the kernel",
    "strides": "whole numbers",
    "padding": ("valid", "same"),
    "data_format": ("channels_last", None),
    "dilation_rate": "whole numbers",
    "groups": "a divisor of filters",
    "mask": (None,),
    **_ENDS,
    **_QUANTIZERS,
}
_FOLDED: Mapping[str, Values] = {
    "epsilon": "a number",
    "center": (True,),
    "scale": (True,),
    "axis": "the last one",
    "folding_mode": ("ema_stats_folding", "batch_stats_folding"),
}
_IDLE = ("kernel_range", "bias_range", "momentum", "ema_freeze_delay")
NAMED = ("Dense", "Conv2D", "Activation", "Softmax", "MaxPooling2D", "Flatten", "Reshape", "Dropout", "InputLayer")
LAYERS: Mapping[str, KerasLayer] = {
    "QDense": KerasLayer(_DENSE, _IDLE, _KERNEL),
    "QDenseBatchnorm": KerasLayer(
        {**_DENSE, **_FOLDED}, _IDLE, (*_KERNEL, *_NORM), "the normalisation is folded into the kernel, as QKeras does"
    ),
    "QConv2D": KerasLayer(_CONV, _IDLE, _KERNEL),
    "QConv2DBatchnorm": KerasLayer({**_CONV, **_FOLDED}, _IDLE, (*_KERNEL, *_NORM), "the same"),
    "QActivation": KerasLayer({"activation": _ENDS["activation"]}),
    "FixedPointQuantizer": KerasLayer(
        {"RND": "a rounding of ap_fixed", "SAT": "an overflow of ap_fixed"},
        ("shape", "overrides", "fusible"),
        ("bits", "integers", "keep_negative"),
        "HGQ's proxies: a format for each element",
    ),
    "ReLU": KerasLayer({"max_value": (None,), "negative_slope": "0", "threshold": "0"}),
    **{name: PLAIN[name] for name in NAMED},
}
"""Layers that are read in a file with quantisers."""
MARKS = ("FixedPointQuantizer", "QActivation", "QDense", "QConv2D", "QDenseBatchnorm", "QConv2DBatchnorm")
"""Layers by which a file is known for one of these."""


def markdown() -> str:
    """Return what is read as a table in Markdown; `docs/fpga.md` has it."""
    rows = ["| layer | keys and the values that are taken | remarks |", "|---|---|---|"]
    for name in (*MARKS, "ReLU", *(n for n in NAMED if n != "InputLayer")):
        layer = LAYERS[name]
        said = "; ".join(f"`{key}`: {spoken(values)}" for key, values in layer.keys.items())
        rows.append(f"| `{name}` | {said} | {layer.note} |")
    return "\n".join(rows) + "\n"
