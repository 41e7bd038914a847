"""What is read of Keras: every layer, every key of its settings, and the values that are taken.

The reader asks this table before it builds a layer: a layer or a key that is not here, and a value that is not, is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from qspec.network.activations import HardSigmoid, HardTanh, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from qspec.network.real_layers import Exp, RealActivation, Softmax, Softplus

VERSIONS = ("2", "3")
"""Versions of Keras whose files are read: .h5 of both, .keras of 3. A file that names none is read as far as both agree."""
DTYPES = ("float32", "float64")
ACTIVATIONS: Mapping[str, Callable[[], RealActivation]] = {
    "linear": Linear,
    "relu": ReLU,
    "relu6": lambda: ReLU(Fraction(6)),
    "leaky_relu": lambda: LeakyReLU(Fraction(1, 5)),
    "hard_tanh": HardTanh,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
    "softplus": Softplus,
    "exponential": Exp,
}
HARD_SIGMOIDS = {"2": HardSigmoid(Fraction(1, 5)), "3": HardSigmoid()}
"""The hard sigmoid of a version: clip(x / 5 + 1 / 2) in 2, clip(x / 6 + 1 / 2) in 3. Without a version it is refused."""
IDLE_KEYS = frozenset(("name", "trainable", "activity_regularizer"))
"""Keys that say nothing about what a trained layer computes; so do those that end in one of `IDLE_ENDS`."""
IDLE_ENDS = ("_initializer", "_regularizer", "_constraint")
Values = str | tuple[object, ...]


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """A layer that is read: its keys, each with the values that are taken, or what they have to be; keys without meaning; its arrays."""

    keys: Mapping[str, Values] = field(default_factory=dict[str, Values])
    idle: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    note: str = ""


_INPUT: Mapping[str, Values] = {
    "batch_shape": "whole numbers after the batch",
    "batch_input_shape": "whole numbers after the batch",
    "dtype": DTYPES,
}
_QUANTIZED: Mapping[str, Values] = {"quantization_config": (None,), "quantization_mode": (None,), "lora_rank": (None,)}
_LAST: Values = ("channels_last", None)
_ENDS: Mapping[str, Values] = {"activation": "an activation of the list", "use_bias": "true or false, as the arrays are"}
_CONV: Mapping[str, Values] = {
    "kernel_size": "as the kernel",
    "strides": "whole numbers",
    "padding": ("valid", "same"),
    "data_format": _LAST,
    "dilation_rate": "whole numbers",
    **_ENDS,
}
_POOL: Mapping[str, Values] = {
    "pool_size": "whole numbers",
    "strides": "whole numbers, or null for pool_size",
    "padding": ("valid", "same"),
    "data_format": _LAST,
}
_GLOBAL: Mapping[str, Values] = {"data_format": _LAST, "keepdims": (False, True)}
_MOMENTS = "the arrays have one number for each channel"

LAYERS: Mapping[str, KerasLayer] = {
    "InputLayer": KerasLayer({**_INPUT, "sparse": (False,), "ragged": (False,), "optional": (False,), "input_tensor": (None,)}),
    "Dense": KerasLayer(
        {"units": "as the kernel", **_ENDS, **_QUANTIZED}, ("lora_alpha",), ("kernel", "bias"), "of a vector, or at each place of an image"
    ),
    "Conv2D": KerasLayer(
        {"filters": "as the kernel", "groups": "a divisor of filters", **_CONV, **_QUANTIZED}, ("lora_alpha",), ("kernel", "bias")
    ),
    "DepthwiseConv2D": KerasLayer(
        {"depth_multiplier": "as the kernel", "filters": (None,), "groups": (None, 1), **_CONV}, (), ("kernel", "bias")
    ),
    "MaxPooling2D": KerasLayer(_POOL),
    "AveragePooling2D": KerasLayer(_POOL, note="places in the padding do not count"),
    "GlobalMaxPooling2D": KerasLayer(_GLOBAL),
    "GlobalAveragePooling2D": KerasLayer(_GLOBAL),
    "ZeroPadding2D": KerasLayer({"padding": "whole numbers", "data_format": _LAST}),
    "Flatten": KerasLayer({"data_format": _LAST}),
    "Reshape": KerasLayer({"target_shape": "whole numbers"}, note="to a vector, or of the input"),
    "Activation": KerasLayer({"activation": "an activation of the list"}),
    "ReLU": KerasLayer(
        {"max_value": "null, or a number, at least 0", "negative_slope": "a number from 0 to 1", "threshold": "0"},
        note="a slope only where there is no greatest value",
    ),
    "LeakyReLU": KerasLayer({"negative_slope": "a number from 0 to 1", "alpha": "a number from 0 to 1"}),
    "Softmax": KerasLayer({"axis": "the last one"}),
    "BatchNormalization": KerasLayer(
        {
            "axis": "the last one",
            "epsilon": "a number",
            "center": (True, False),
            "scale": (True, False),
            "renorm": (False,),
            "virtual_batch_size": (None,),
            "adjustment": (None,),
        },
        ("momentum", "fused", "synchronized", "renorm_clipping", "renorm_momentum"),
        ("gamma", "beta", "moving_mean", "moving_variance"),
        _MOMENTS,
    ),
    "Rescaling": KerasLayer({"scale": "numbers, one or one for each channel", "offset": "numbers, one or one for each channel"}),
    "Normalization": KerasLayer(
        {"axis": "the last one", "mean": "null, or numbers", "variance": "null, or numbers", "invert": (False,)},
        (),
        ("mean", "variance", "count"),
        _MOMENTS,
    ),
    "Dropout": KerasLayer(idle=("rate", "seed", "noise_shape")),
    "SpatialDropout2D": KerasLayer(idle=("rate", "seed", "noise_shape", "data_format")),
    "AlphaDropout": KerasLayer(idle=("rate", "seed", "noise_shape")),
    "GaussianDropout": KerasLayer(idle=("rate", "seed")),
    "GaussianNoise": KerasLayer(idle=("stddev", "seed")),
    "ActivityRegularization": KerasLayer(idle=("l1", "l2")),
    "Identity": KerasLayer(),
}
IDLE = frozenset(("Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity"))
"""Layers that do nothing when a trained network is evaluated."""


def keys(layer: KerasLayer) -> Mapping[str, Values]:
    """Return every key of a layer that has a meaning: its own, and those of any layer."""
    return {**_INPUT, **layer.keys}


def table() -> list[str]:
    """Return what is read as a table in Markdown, one layer in a row; `docs/readers.md` has it."""
    rows = ["| layer | keys and the values that are taken | arrays | remarks |", "|---|---|---|---|"]
    for name, layer in LAYERS.items():
        said = "; ".join(f"`{key}`: {spoken(values)}" for key, values in layer.keys.items() if key not in _INPUT)
        rows.append(f"| `{name}` | {said} | {', '.join(layer.weights)} | {layer.note} |")
    return rows


def spoken(values: Values) -> str:
    """Return the values that are taken as text."""
    words = {None: "null", True: "true", False: "false"}
    return values if isinstance(values, str) else " or ".join(words[v] if v is None or isinstance(v, bool) else f"`{v}`" for v in values)
