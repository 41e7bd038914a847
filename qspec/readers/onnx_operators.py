"""The table of what is read of ONNX: one row for each operator. The reader obeys it, and the docs are printed from it.

Source: ONNX operators and their versions, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping

from qspec.readers.onnx_file import OPSETS, StoredTensor
from qspec.readers.onnx_table import (
    ANY_WHOLE,
    AXIS,
    COUNT,
    FLAG,
    NATURAL,
    NUMBER,
    NUMBERS,
    STORED,
    WHOLE,
    Argument,
    Attribute,
    Operator,
    Taken,
    one_of,
    only,
    whole_list,
)

LAST = OPSETS[1]
X = Argument("X")
SIGNAL = Argument("X", "signal")
MOVED = Argument("data", types=STORED)
BOTH_WAYS = "both ways"
LARGEST_FLOAT = 3.4028234663852886e38


def until(opset: int) -> tuple[int, int]:
    """Return the opsets that are read, up to this one."""
    return OPSETS[0], opset


def since(opset: int) -> tuple[int, int]:
    """Return the opsets that are read, from this one."""
    return opset, LAST


def constant(
    name: str, types: tuple[str, ...] = WHOLE, *, group: str = "", optional: bool = False, opsets: tuple[int, int] = OPSETS
) -> Argument:
    """Return an input that must be a constant."""
    return Argument(name, "constant", types, group or name, optional, opsets)


def attribute(taken: Taken, default: object = None, opsets: tuple[int, int] = OPSETS, *, required: bool = False) -> tuple[Attribute, ...]:
    """Return an attribute that one range of opsets has."""
    return (Attribute(taken, default, opsets, required),)


def _windows(pads: str, *, dilations: tuple[Attribute, ...], kernel: bool) -> dict[str, tuple[Attribute, ...]]:
    return {
        "auto_pad": attribute(one_of("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"), "NOTSET"),
        "kernel_shape": attribute(whole_list("one for each axis", 1), required=kernel),
        "strides": attribute(whole_list("one for each axis", 1)),
        "dilations": dilations,
        "pads": attribute(whole_list(pads, 0)),
    }


def _reduction(axes: int) -> Operator:
    """Return a reduction whose axes are an input from this opset on."""
    return Operator(
        (X, constant("axes", ("INT64",), optional=True, opsets=since(axes))),
        {
            "axes": attribute(whole_list("any number"), opsets=until(axes - 1)),
            "keepdims": attribute(FLAG, 1),
            "noop_with_empty_axes": attribute(FLAG, 0, since(axes)),
        },
    )


def _plain(first: int = OPSETS[0], note: str = "") -> Operator:
    return Operator((SIGNAL,), opsets=since(first), note=note)


def _arithmetic(note: str) -> Operator:
    return Operator((Argument("A", types=NUMBERS), Argument("B", types=NUMBERS)), shapes=BOTH_WAYS, note=note)


def _variadic(note: str) -> Operator:
    return Operator((Argument("data"),), shapes=f"{BOTH_WAYS} from 8, equal before", note=note, many=True)


WINDOW_NOTE = "images (1, channels, height, width) and rows (1, channels, length); `pads` only beside `auto_pad` NOTSET"
AXES = whole_list("any number")
TENSOR = Taken("a tensor", lambda v: isinstance(v, StoredTensor))
ALPHA = Argument("slope", "constant")
POINTS = constant("starts"), constant("ends"), constant("axes", optional=True), constant("steps", optional=True)

OPERATORS: Mapping[str, Operator] = {
    "Abs": Operator((X,)),
    "Add": _arithmetic("of two signals, or a signal and a constant"),
    "AveragePool": Operator(
        (SIGNAL,),
        {
            **_windows("two for each axis", dilations=attribute(only(1, "only"), opsets=since(19)), kernel=True),
            "ceil_mode": attribute(one_of(0), 0, since(10)),
            "count_include_pad": attribute(FLAG, 0),
        },
        note=WINDOW_NOTE,
    ),
    "BatchNormalization": Operator(
        (SIGNAL, *(Argument(n, "constant") for n in ("scale", "B", "mean", "var"))),
        {
            "epsilon": attribute(NUMBER, 1e-5),
            "momentum": attribute(NUMBER, 0.9),
            "spatial": attribute(one_of(1), 1, until(8)),
            "training_mode": attribute(one_of(0), 0, since(14)),
        },
        note="one result; `scale / sqrt(var + epsilon)` is the nearest double where the root is not rational, and a note says so",
    ),
    "Cast": Operator(
        (Argument("input", types=STORED),),
        {
            "to": attribute(ANY_WHOLE, required=True),
            "saturate": attribute(FLAG, 1, since(19)),
            "round_mode": attribute(one_of("up", "down", "nearest"), "up", since(24)),
        },
        note="of a signal: FLOAT and DOUBLE, and reals are not rounded; of a constant: numbers and BOOL, rounded or cut off as specified",
    ),
    "Clip": Operator(
        (SIGNAL, *(Argument(n, "constant", optional=True, opsets=since(11)) for n in ("min", "max"))),
        {"min": attribute(NUMBER, -LARGEST_FLOAT, until(10)), "max": attribute(NUMBER, LARGEST_FLOAT, until(10))},
        note="`min` not above `max`; what is infinite, or the largest float, is no bound",
    ),
    "Concat": Operator((Argument("inputs", types=STORED),), {"axis": attribute(AXIS, required=True)}, many=True),
    "Constant": Operator(
        (),
        {
            "value": (Attribute(TENSOR, None, until(10), required=True), Attribute(TENSOR, None, since(11))),
            "value_float": attribute(NUMBER, opsets=since(12)),
            "value_int": attribute(ANY_WHOLE, opsets=since(12)),
            "value_floats": attribute(Taken("finite numbers", lambda v: isinstance(v, tuple)), opsets=since(12)),
            "value_ints": attribute(whole_list("any number"), opsets=since(12)),
        },
        note="one of them",
    ),
    "ConstantOfShape": Operator(
        (constant("input", ("INT64",)),),
        {"value": attribute(Taken("a tensor of one element", lambda v: isinstance(v, StoredTensor) and v.values.size == 1))},
        opsets=since(9),
    ),
    "Conv": Operator(
        (SIGNAL, Argument("W", "constant"), Argument("B", "constant", optional=True)),
        {
            **_windows("two for each axis", dilations=attribute(whole_list("one for each axis", 1)), kernel=False),
            "group": attribute(COUNT, 1),
        },
        note=WINDOW_NOTE,
    ),
    "ConvTranspose": Operator(
        (SIGNAL, Argument("W", "constant"), Argument("B", "constant", optional=True)),
        {
            **_windows("two for each axis", dilations=attribute(whole_list("one for each axis", 1)), kernel=False),
            "auto_pad": attribute(one_of("NOTSET", "VALID"), "NOTSET"),
            "group": attribute(COUNT, 1),
            "output_padding": attribute(whole_list("one for each axis", 0)),
        },
        note=f"no `output_shape`; {WINDOW_NOTE}",
    ),
    "Div": _arithmetic("by a constant without zeros; whole numbers as specified, cut off"),
    "Dropout": Operator(
        (
            Argument("data", types=STORED),
            Argument("ratio", "constant", ("FLOAT", "DOUBLE", "FLOAT16"), "R", optional=True, opsets=since(12)),
            Argument("training_mode", "constant", ("BOOL",), "B", optional=True, opsets=since(12)),
        ),
        {"ratio": attribute(NUMBER, 0.5, until(11)), "seed": attribute(ANY_WHOLE, opsets=since(12))},
        note="`training_mode` false; the identity",
        spare=True,
    ),
    "Elu": Operator((SIGNAL,), {"alpha": attribute(NUMBER, 1.0)}),
    "Exp": _plain(),
    "Expand": Operator((MOVED, constant("shape", ("INT64",))), opsets=since(8), shapes=BOTH_WAYS),
    "Flatten": Operator((MOVED,), {"axis": (Attribute(NATURAL, 1, until(10)), Attribute(AXIS, 1, since(11)))}),
    "Gather": Operator((MOVED, constant("indices")), {"axis": attribute(AXIS, 0)}),
    "Gemm": Operator(
        (Argument("A"), Argument("B"), Argument("C", optional=True)),
        {
            "alpha": attribute(NUMBER, 1.0),
            "beta": attribute(NUMBER, 1.0),
            "transA": attribute(FLAG, 0),
            "transB": attribute(FLAG, 0),
        },
        shapes="C to the product",
        note="A or B is a constant; C may be left out from 11",
    ),
    "GlobalAveragePool": _plain(note="(1, channels, …)"),
    "GlobalMaxPool": _plain(note="(1, channels, …)"),
    "HardSigmoid": Operator((SIGNAL,), {"alpha": attribute(NUMBER, 0.2), "beta": attribute(NUMBER, 0.5)}),
    "Identity": Operator((MOVED,)),
    "LeakyRelu": Operator((SIGNAL,), {"alpha": attribute(NUMBER, 0.01)}, note="any slope"),
    "MatMul": Operator((Argument("A"), Argument("B")), shapes="leading axes, both ways", note="A or B is a constant"),
    "Max": _variadic("of signals and constants"),
    "MaxPool": Operator(
        (SIGNAL,),
        {
            **_windows("two for each axis", dilations=attribute(only(1, "only"), opsets=since(10)), kernel=True),
            "ceil_mode": attribute(one_of(0), 0, since(10)),
            "storage_order": attribute(one_of(0), 0, since(8)),
        },
        note=f"{WINDOW_NOTE}; `Indices` are not read",
        spare=True,
    ),
    "Min": _variadic("of signals and constants"),
    "Mul": _arithmetic("by a constant"),
    "Neg": Operator((Argument("X", types=NUMBERS),)),
    "PRelu": Operator((SIGNAL, ALPHA), shapes="slope to X", note="any slopes"),
    "Pad": Operator(
        (
            MOVED,
            constant("pads", ("INT64",), opsets=since(11)),
            Argument("constant_value", "constant", STORED, optional=True, opsets=since(11)),
            constant("axes", optional=True, opsets=since(18)),
        ),
        {
            "mode": (
                Attribute(one_of("constant", "reflect", "edge"), "constant", until(18)),
                Attribute(one_of("constant", "reflect", "edge", "wrap"), "constant", since(19)),
            ),
            "pads": attribute(whole_list("two for each axis"), None, until(10), required=True),
            "value": attribute(NUMBER, 0.0, until(10)),
        },
        note="less than nothing cuts off, in the mode `constant` alone",
    ),
    "ReduceMax": _reduction(18),
    "ReduceMean": _reduction(18),
    "ReduceMin": _reduction(18),
    "ReduceSum": _reduction(13),
    "Relu": Operator((X,)),
    "Reshape": Operator((MOVED, constant("shape", ("INT64",))), {"allowzero": attribute(FLAG, 0, since(14))}),
    "Shape": Operator((MOVED,), {"start": attribute(ANY_WHOLE, 0, since(15)), "end": attribute(ANY_WHOLE, None, since(15))}),
    "Sigmoid": _plain(),
    "Slice": Operator(
        (MOVED, *(Argument(a.name, a.kind, a.types, "I", a.optional, since(10)) for a in POINTS)),
        {
            "starts": attribute(AXES, None, until(9), required=True),
            "ends": attribute(AXES, None, until(9), required=True),
            "axes": attribute(AXES, None, until(9)),
        },
        note="any steps but 0",
    ),
    "Softmax": Operator(
        (SIGNAL,), {"axis": (Attribute(AXIS, 1, until(12)), Attribute(AXIS, -1, since(13)))}, note="over all axes from `axis` before 13"
    ),
    "Softplus": _plain(),
    "Split": Operator(
        (MOVED, constant("split", ("INT64",), optional=True, opsets=since(13))),
        {
            "axis": attribute(AXIS, 0),
            "split": attribute(whole_list("any number", 0), None, until(12)),
            "num_outputs": attribute(COUNT, None, since(18)),
        },
        spare=True,
    ),
    "Squeeze": Operator((MOVED, constant("axes", ("INT64",), optional=True, opsets=since(13))), {"axes": attribute(AXES, None, until(12))}),
    "Sub": _arithmetic("of two signals, or a signal and a constant"),
    "Sum": _variadic("of signals and constants"),
    "Tanh": _plain(),
    "Tile": Operator((MOVED, constant("repeats", ("INT64",)))),
    "Transpose": Operator((MOVED,), {"perm": attribute(AXES)}),
    "Unsqueeze": Operator(
        (MOVED, constant("axes", ("INT64",), opsets=since(13))), {"axes": attribute(AXES, None, until(12), required=True)}
    ),
}
