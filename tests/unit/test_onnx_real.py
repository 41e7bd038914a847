"""Float networks in ONNX: read exactly, in agreement with onnxruntime up to its rounding, and refused by name where not understood."""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import qspec as qs
from qspec.errors import ModelFileError, PackageMissingError, QspecError, UnsupportedError
from qspec.network.real_layers import RealDense, RealSparse
from qspec.readers.onnx import READERS, import_onnx, read_onnx
from qspec.readers.onnx_operators import OPERATORS
from qspec.readers.vnnlib import parse_vnnlib
from tests.unit.onnx_families import Outcome, family, run
from tests.unit.onnx_graphs import random_graph

Nodes = list[Any]
Model = tuple[list[Any], dict[str, Any], tuple[int | str, ...]]


def write(
    path: Path, nodes: Nodes, weights: dict[str, Any], shape: tuple[int | str, ...], axes: int = 2, *, opset: int = 13, type: int = 1
) -> Path:
    """Write a model with one input x and one output y, which has so many axes."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", type, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{k}" for k in range(axes)])],
        [numpy_helper.from_array(np.asarray(w), k) for k, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    """Return a node that reads tensors named in a text, separated by blanks."""
    return helper.make_node(op, inputs.split(), [output], **attributes)


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(np.float32)


def mlp() -> Model:
    nodes = [
        node("Sub", "x mean", "a"),
        node("Flatten", "a", "b", axis=1),
        node("MatMul", "b w1", "c"),
        node("Add", "c b1", "d"),
        node("Relu", "d", "e"),
        node("Gemm", "e w2 b2", "f", transB=1, alpha=0.5, beta=2.0),
        node("Tanh", "f", "g"),
        node("Gemm", "g w3", "h"),
        node("Sigmoid", "h", "y"),
    ]
    weights = {"mean": floats(1, 1, 1, 5), "w1": floats(5, 7), "b1": floats(7), "w2": floats(6, 7), "b2": floats(6), "w3": floats(6, 3)}
    return nodes, weights, (1, 1, 1, 5)


def convolutional() -> Model:
    nodes = [
        node("Sub", "x mean", "a"),
        node("Div", "a deviation", "b"),
        node("Conv", "b k1 c1", "c", pads=[1, 0, 2, 1], strides=[2, 1], kernel_shape=[3, 2]),
        node("Mul", "c scale", "d"),
        node("LeakyRelu", "d", "e", alpha=0.1),
        node("Conv", "e k2", "f", group=2, dilations=[1, 2], kernel_shape=[2, 2]),
        node("MaxPool", "f", "g", kernel_shape=[2, 2], pads=[1, 0, 0, 0]),
        node("AveragePool", "g", "h", kernel_shape=[1, 2], strides=[1, 1], pads=[0, 1, 0, 0], count_include_pad=1),
        node("Reshape", "h shape", "i"),
        node("Gemm", "i w b2", "y"),
    ]
    weights = {"mean": floats(3, 1, 1), "deviation": np.abs(floats(3, 1, 1)) + 1, "scale": floats(1, 4, 1, 1)}
    weights |= {"k1": floats(4, 3, 3, 2), "c1": floats(4), "k2": floats(6, 2, 2, 2), "shape": np.array([0, -1], dtype=np.int64)}
    return nodes, {**weights, "w": floats(90, 4), "b2": floats(4)}, ("batch", 3, 7, 8)


def branching() -> Model:
    nodes = [
        node("Gemm", "x w1 b1", "a"),
        node("Relu", "a", "b"),
        node("Gemm", "b w2", "c"),
        node("Add", "a c", "d"),
        node("Sub", "one d", "e"),
        node("Concat", "e b", "f", axis=-1),
        node("Transpose", "w3", "w4", perm=[1, 0]),
        node("MatMul", "f w4", "g"),
        node("Softmax", "g", "y", axis=-1),
    ]
    return nodes, {"w1": floats(3, 4), "b1": floats(4), "w2": floats(4, 4), "one": np.float32(1), "w3": floats(5, 8)}, (1, 3)


def columns() -> Model:
    nodes = [node("MatMul", "w x", "a"), node("Add", "a b", "c"), node("Softplus", "c", "d"), node("Transpose", "d", "y")]
    return nodes, {"w": floats(4, 3), "b": floats(4, 1)}, (3, 1)


def one_channel() -> Model:
    """What tf2onnx writes of a Keras network for images of one channel, with `Rescaling` first."""
    nodes = [
        node("Div", "x scale", "a"),
        node("Sub", "a mean", "b"),
        node("Reshape", "b s1", "c"),
        node("Conv", "c k", "d", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Relu", "d", "e"),
        node("Transpose", "e", "f", perm=[0, 2, 3, 1]),
        node("Reshape", "f s2", "g"),
        node("MatMul", "g w", "y"),
    ]
    weights = {"scale": np.float32(255), "mean": floats(1), "s1": np.array([-1, 1, 5, 6]), "k": floats(3, 1, 3, 3)}
    return nodes, {**weights, "s2": np.array([-1, 27]), "w": floats(27, 4)}, (1, 5, 6, 1)


def rescaled_channels() -> Model:
    nodes = [
        node("Div", "x scale", "a"),
        node("Transpose", "a", "b", perm=[0, 3, 1, 2]),
        node("Conv", "b k", "c"),
        node("Flatten", "c", "y"),
    ]
    return nodes, {"scale": np.array([2, 4, 8], dtype=np.float32), "k": floats(2, 3, 2, 2)}, (1, 4, 5, 3)


def computed_shape() -> Model:
    """What PyTorch writes of `view(x.size(0), -1)`, after a convolution, and a constant through a ReLU."""
    nodes = [
        node("Conv", "x k", "a"),
        node("Shape", "a", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "m"),
        node("Concat", "m rest", "t", axis=0),
        node("Reshape", "a t", "b"),
        node("Relu", "c", "d"),
        node("Add", "b d", "e"),
        node("Gemm", "e w", "y"),
    ]
    weights = {
        "k": floats(2, 1, 2, 2),
        "zero": np.array(0),
        "axes": np.array([0]),
        "rest": np.array([-1]),
        "c": floats(8),
        "w": floats(8, 3),
    }
    return nodes, weights, ("batch", 1, 3, 3)


def many_layers() -> Model:
    nodes = [
        node("Pad", "x pads", "a"),
        node("Conv", "a k", "b"),
        node("BatchNormalization", "b s s s v", "c"),
        node("Clip", "c zero six", "d"),
        node("ConvTranspose", "d t", "e", strides=[2, 1], group=2),
        node("PRelu", "e slope", "f"),
        node("Neg", "f", "g"),
        node("Slice", "g starts ends axes", "h"),
        node("Concat", "h h", "i", axis=1),
        node("Sub", "i i2", "j"),
        node("Max", "j one", "l"),
        node("ReduceMean", "l", "m", axes=[2, 3], keepdims=0),
        node("Elu", "m", "n"),
        node("LeakyRelu", "n", "y", alpha=-0.5),
        node("Mul", "i half", "i2"),
    ]
    nodes.insert(9, nodes.pop())
    weights = {"pads": np.array([0, 0, 1, 1, 0, 0, 0, 1]), "k": floats(2, 2, 2, 2), "s": np.abs(floats(2)), "v": np.abs(floats(2)) + 1}
    weights |= {"zero": np.float32(0), "six": np.float32(6), "t": floats(2, 1, 2, 2), "slope": floats(2, 1, 1), "half": np.float32(0.5)}
    weights |= {"starts": np.array([1, -3]), "ends": np.array([5, 9]), "axes": np.array([2, 3]), "one": np.float32(-0.25)}
    return nodes, weights, (1, 2, 4, 5)


def rows() -> Model:
    """Several rows in a matrix product, a softmax of each, a flat input that becomes an image."""
    nodes = [
        node("Reshape", "x s1", "a"),
        node("Conv", "a k", "b"),
        node("Reshape", "b s2", "c"),
        node("MatMul", "c w", "d"),
        node("Softmax", "d", "e", axis=-1),
        node("ReduceMax", "e", "y", axes=[0], keepdims=1),
    ]
    weights = {"s1": np.array([1, 1, 4, 4]), "k": floats(2, 1, 2, 2), "s2": np.array([6, 3]), "w": floats(3, 4)}
    return nodes, weights, (1, 16)


@pytest.mark.parametrize(
    "make", [mlp, convolutional, branching, columns, one_channel, rescaled_channels, computed_shape, many_layers, rows]
)
def test_agrees_with_onnxruntime(make: Callable[[], Model], tmp_path: Path) -> None:
    """Up to the rounding of floats: what is tested is how the file is read."""
    nodes, weights, shape = make()
    path = write(tmp_path / "net.onnx", nodes, weights, shape)
    imported, session = import_onnx(path), onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    sizes = [1 if isinstance(d, str) else d for d in shape]
    for seed in range(5):
        x = floats(*sizes, seed=100 + seed)
        own = np.empty(x.size)
        own[imported.input_order] = x.reshape(-1)
        found = imported.network.evaluate(own.reshape(imported.network.inputs[0].shape)).reshape(-1)[imported.output_order]
        expected = np.asarray(session.run(None, {"x": x})[0]).reshape(-1)
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert np.ptp(expected) > 1e-3


def test_an_image_that_comes_out_is_in_the_order_of_onnx(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("Conv", "x k", "y")], {"k": floats(2, 3, 1, 1)}, (1, 3, 2, 2), 4)
    imported = import_onnx(path)
    assert imported.network.inputs[0].shape == (2, 2, 3)
    assert imported.output_order.tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


KERNEL = {"k": floats(2, 2, 2, 2), "s": np.array([1, 2, 3, 3]), "i": np.array([2, 0, 1]), "w": floats(4, 3)}


@pytest.mark.parametrize(
    ("shape", "axes", "nodes"),
    [
        ((1, 18), 2, [node("Reshape", "x s", "a"), node("Conv", "a k", "b"), node("Flatten", "b", "y")]),
        ((18,), 2, [node("Reshape", "x s", "a"), node("Conv", "a k", "b"), node("Flatten", "b", "y")]),
        ((1, 4), 2, [node("MatMul", "x w", "a"), node("Gather", "a i", "y", axis=1)]),
        ((2, 3), 2, [node("Relu", "x", "a"), node("Transpose", "a", "y")]),
    ],
)
def test_vectors_keep_their_order(shape: tuple[int, ...], axes: int, nodes: Nodes, tmp_path: Path) -> None:
    """Users of a network see the elements of vectors where the file has them, whatever images are made of them inside."""
    path = write(tmp_path / "net.onnx", nodes, {name: w for name, w in KERNEL.items() if any(name in n.input for n in nodes)}, shape, axes)
    network, x = qs.load(path), floats(*shape)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"x": x})[0]).reshape(-1)
    assert network.elements is None
    assert np.allclose(np.asarray(network.evaluate(x.reshape(-1)), dtype=np.float64), expected, rtol=1e-5, atol=1e-5)


def test_what_a_convolution_makes_of_an_image_is_a_vector_where_the_file_flattens_it(tmp_path: Path) -> None:
    nodes = [node("Conv", "x k", "a"), node("Flatten", "a", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"k": KERNEL["k"]}, (1, 2, 3, 3), 2)
    network, x = qs.load(path), floats(1, 2, 3, 3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"x": x})[0])
    assert network.inputs[0].shape == (3, 3, 2)
    assert np.allclose(np.asarray(network.evaluate(x[0].transpose(1, 2, 0)), dtype=np.float64), expected[0], rtol=1e-5, atol=1e-5)


def test_images_that_are_channels_last_stay_so(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a k", "b"), node("Transpose", "b", "y", perm=[0, 2, 3, 1])]
    path = write(tmp_path / "net.onnx", nodes, {"k": floats(2, 3, 1, 2)}, (1, 4, 5, 3), 4)
    imported, x = import_onnx(path), floats(1, 4, 5, 3)
    assert imported.network.inputs[0].shape == (4, 5, 3)
    assert np.array_equal(imported.input_order, np.arange(60))
    expected = np.asarray(onnxruntime.InferenceSession(path).run(None, {"x": x})[0])
    assert np.allclose(imported.network.evaluate(x[0])[None], expected, atol=1e-5)


def test_weights_are_exact_and_shifts_are_folded(tmp_path: Path) -> None:
    weights = {
        "w": np.array([[0.1], [3e-40]], dtype=np.float32),
        "b": np.array([0.2], dtype=np.float32),
        "half": np.array([0.3], dtype=np.float16),
    }
    nodes = [
        node("MatMul", "x w", "a"),
        node("Add", "a b", "c"),
        node("Cast", "half", "h", to=1),
        node("Mul", "c h", "d"),
        node("Relu", "d", "y"),
    ]
    network = read_onnx(write(tmp_path / "net.onnx", nodes, weights, (1, 2)))
    assert len(network.stages) == 2
    layer = network.stages[1].layer
    assert isinstance(layer, RealDense)
    half = Fraction(float(np.float16(0.3)))
    wanted = [Fraction(float(np.float32(v))) * half for v in (0.1, 3e-40, 0.2)]
    assert layer.bias is not None
    assert [Fraction(v) for v in (*layer.kernel.reshape(-1), *layer.bias)] == wanted


def test_packed_file_is_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", *mlp())
    packed = tmp_path / "net.onnx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    x = floats(5).astype(np.float64)
    assert np.array_equal(read_onnx(packed).evaluate(x), read_onnx(path).evaluate(x))


@pytest.mark.parametrize(
    ("nodes", "weights", "named"),
    [
        ([node("Erf", "x", "y")], {}, "Erf"),
        ([node("Sign", "x", "y")], {}, "Sign"),
        ([node("MatMul", "x x", "y")], {}, "MatMul"),
        ([node("Mul", "x x", "y")], {}, "Mul"),
        ([node("Div", "one x", "y")], {"one": np.float32(1)}, "divisor that varies"),
        ([node("Div", "x zero", "y")], {"zero": np.float32(0)}, "divisor of zero"),
        ([node("Gemm", "x w", "y", transB=7)], {"w": floats(2, 2)}, "transB = 7(.|\n)*0, 1"),
        ([node("Conv", "x w", "y")], {"w": floats(2, 2, 1, 1)}, "2 axes"),
        ([node("Constant", "", "y", value_string=b"text")], {}, "value_string"),
        ([node("Cast", "x", "i", to=7), node("Cast", "i", "y", to=1)], {}, "INT64"),
        ([node("Cast", "x", "i", to=10), node("Cast", "i", "y", to=1)], {}, "FLOAT16"),
        ([node("Dropout", "x ratio train", "y")], {"ratio": np.float32(0.5), "train": np.bool_(True)}, "training_mode"),
        ([node("Mul", "x c", "y")], {"c": np.float64(2)}, "different types(.|\n)*DOUBLE"),
        ([node("Mul", "x c", "y")], {"c": np.float16(2)}, "the type FLOAT16"),
        ([node("Pad", "x p", "y", mode="wrap")], {"p": np.array([0, 1, 0, 1])}, "mode = wrap(.|\n)*reflect"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(nodes: Nodes, weights: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=named):
        read_onnx(write(tmp_path / "net.onnx", nodes, weights, (2, 2)))


def test_what_is_refused_says_operator_node_attribute_value_and_what_is_taken(tmp_path: Path) -> None:
    last = helper.make_node("Gemm", ["x", "w"], ["y"], name="last", transB=7)
    training = write(
        tmp_path / "net.onnx", [node("BatchNormalization", "x s s s s", "y", training_mode=1)], {"s": floats(2)}, (1, 2), opset=15
    )
    with pytest.raises(UnsupportedError, match="training_mode = 1"):
        read_onnx(training)
    with pytest.raises(UnsupportedError, match=r"ONNX Gemm with transB = 7 is not read\n.*Gemm 'last': transB = 7\n.*transB: 0, 1"):
        read_onnx(write(tmp_path / "net.onnx", [last], {"w": floats(2, 2)}, (1, 2)))


@pytest.mark.parametrize("opset", [1, 6, 27, 9999])
def test_opsets_that_are_not_read_are_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=rf"opset {opset} is not read(.|\n)*opset 7 to 26"):
        read_onnx(write(tmp_path / "net.onnx", [node("Relu", "x", "y")], {}, (1, 2), opset=opset))


def test_axes_of_additions_before_opset_7_are_never_ignored(tmp_path: Path) -> None:
    """There `axis` says with which axis the second argument begins: read as numpy does, the rows would be columns."""
    nodes = [node("Reshape", "x s", "r"), node("Add", "r c", "y", broadcast=1, axis=0)]
    weights = {"s": np.array([2, 2]), "c": np.array([10, 100], dtype=np.float32)}
    with pytest.raises(UnsupportedError, match="opset 6"):
        read_onnx(write(tmp_path / "net.onnx", nodes, weights, (1, 4), opset=6))


def test_casts_of_signals_change_nothing_or_are_refused(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "d", to=11), node("Mul", "d c", "e"), node("Cast", "e", "y", to=1)]
    network = read_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.float64(0.1)}, (1, 1)))
    assert list(network.enclose([Fraction(1, 3)])[0]) == [Fraction(0.1) / 3]
    with pytest.raises(UnsupportedError, match=r"type(.|\n)*INT64"):
        read_onnx(write(tmp_path / "net.onnx", [node("Cast", "x", "y", to=1)], {}, (1, 1), type=7))


def test_casts_of_constants_cut_off_and_round(tmp_path: Path) -> None:
    nodes = [node("Cast", "c", "i", to=7), node("Cast", "i", "f", to=1), node("Add", "x f", "y")]
    network = read_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.array([1.7, -2.6], dtype=np.float32)}, (1, 2)))
    assert network.evaluate([0.0, 0.0]).tolist() == [1, -2]
    nodes = [node("Cast", "c", "h", to=10), node("Cast", "h", "f", to=1), node("Add", "x f", "y")]
    network = read_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.array([0.1, 2049], dtype=np.float32)}, (1, 2)))
    assert network.evaluate([0.0, 0.0]).tolist() == [float(np.float16(0.1)), 2048]


@pytest.mark.parametrize(("shape", "other"), [((3, 1), (3,)), ((1, 3), (3, 1)), ((1, 1), (3,))])
def test_arguments_are_repeated_as_the_specification_says(shape: tuple[int, ...], other: tuple[int, ...], tmp_path: Path) -> None:
    c, x = np.array([0.5, 0.25, 0.125], dtype=np.float32).reshape(other), np.arange(np.prod(shape)).reshape(shape)
    network = read_onnx(write(tmp_path / "net.onnx", [node("Add", "x c", "y")], {"c": c}, shape))
    assert network.evaluate(x.reshape(-1).astype(float)).tolist() == (x + c).reshape(-1).tolist()


def test_dead_branches_may_be_anything(tmp_path: Path) -> None:
    nodes = [node("Det", "x", "a"), node("Quant", "a", "b", domain="onnx.brevitas"), node("Nonsense", "b", "c"), node("Relu", "x", "y")]
    assert read_onnx(write(tmp_path / "net.onnx", nodes, {}, (1, 2))).evaluate([-1.0, 2.0]).tolist() == [0, 2]


def test_several_inputs_and_outputs_are_vectors_one_after_the_other(tmp_path: Path) -> None:
    def port(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        node("Sub", "a b", "d"),
        node("Concat", "d b", "e", axis=1),
        node("Gemm", "e w", "y"),
        node("Transpose", "d", "z"),
    ]
    w = np.array([[1, 0], [0, 1], [2, 0], [0, -1]], dtype=np.float32)
    graph = helper.make_graph(
        nodes, "g", [port("a", 1, 2), port("b", 1, 2)], [port("y", 1, 2), port("z", 2, 1)], [numpy_helper.from_array(w, "w")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "net.onnx")
    imported = import_onnx(tmp_path / "net.onnx")
    assert (imported.inputs, imported.outputs) == ({"a": (1, 2), "b": (1, 2)}, {"y": (1, 2), "z": (2, 1)})
    own = np.empty(4)
    own[imported.input_order] = [5, 7, 1, 2]
    assert imported.network.evaluate(own)[imported.output_order].tolist() == [4 + 2, 5 - 2, 4, 5]


def test_images_of_one_channel_are_images_however_they_are_turned(tmp_path: Path) -> None:
    imported = import_onnx(write(tmp_path / "net.onnx", *one_channel()))
    assert imported.network.inputs[0].shape == (5, 6, 1)
    assert imported.input_order.tolist() == list(range(30))
    assert not any(isinstance(s.layer, RealSparse) for s in imported.network.stages)
    assert not import_onnx(write(tmp_path / "net.onnx", *rescaled_channels())).notes


def test_batch_normalisation_is_exact_where_roots_are_rational_and_else_says_so(tmp_path: Path) -> None:
    weights = {"s": np.array([3], dtype=np.float32), "b": np.array([1], dtype=np.float32), "m": np.array([0.5], dtype=np.float32)}
    for variance, factor in ((2.0, Fraction(2)), (2.75, None)):
        nodes = [node("BatchNormalization", "x s b m v", "y", epsilon=0.25)]
        imported = import_onnx(write(tmp_path / "net.onnx", nodes, {**weights, "v": np.array([variance], dtype=np.float32)}, (1, 1)))
        found = imported.network.enclose([Fraction(1, 3)])[0][0]
        factor = Fraction(float(np.sqrt(3.0))) if factor is None else factor
        assert found == (Fraction(1, 3) - Fraction(1, 2)) * factor + 1
        assert bool(imported.notes) == (variance == 2.75)


@pytest.mark.parametrize("alpha", [-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
def test_leaky_slopes_are_exact_whatever_they_are(alpha: float, tmp_path: Path) -> None:
    network = read_onnx(write(tmp_path / "net.onnx", [node("LeakyRelu", "x", "y", alpha=alpha)], {}, (1, 2)))
    low, high = network.enclose([Fraction(-1, 3), Fraction(1, 3)])
    assert list(low) == list(high) == [Fraction(-1, 3) * Fraction(alpha), Fraction(1, 3)]


def test_verdicts_about_what_was_not_read_before(tmp_path: Path) -> None:
    """The difference of two signals, a maximum and a Clip, over the reals: least and greatest values are known."""
    nodes = [node("Relu", "x", "a"), node("Sub", "a x", "b"), node("Max", "b x", "c"), node("Clip", "c zero half", "y")]
    imported = import_onnx(write(tmp_path / "net.onnx", nodes, {"zero": np.float32(0), "half": np.float32(0.5)}, (1, 1)))
    box = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 -1))(assert (<= X_0 1))"
    for solver in ("delta", "z3"):
        for condition, verdict in (
            ("(> Y_0 0.5)", "HOLDS"),
            ("(>= Y_0 0.5)", "VIOLATED"),
            ("(< Y_0 0)", "HOLDS"),
            ("(<= Y_0 0)", "VIOLATED"),
        ):
            found = qs.verify(parse_vnnlib(f"{box}(assert {condition})").property(imported.network), solver=solver)
            assert found.verdict.name in ({verdict, "UNKNOWN"} if solver == "delta" else {verdict})


def test_sizes_that_no_memory_holds_are_refused(tmp_path: Path) -> None:
    for nodes, weights in (
        ([node("Expand", "x s", "y")], {"s": np.array([10**12, 2])}),
        ([node("Pad", "x p", "y")], {"p": np.array([0, 0, 10**12, 0])}),
        ([node("Tile", "x s", "y")], {"s": np.array([10**9, 10**9])}),
        ([node("ConstantOfShape", "s", "c"), node("Add", "x c", "y")], {"s": np.array([10**10, 10**6])}),
    ):
        with pytest.raises(UnsupportedError, match="too large"):
            read_onnx(write(tmp_path / "net.onnx", nodes, weights, (1, 2)))
    with pytest.raises(UnsupportedError, match="too large"):
        read_onnx(write(tmp_path / "net.onnx", [node("Relu", "x", "y")], {}, (2**40, 2**40)))


def test_every_attribute_of_the_standard_is_in_the_table_or_refused() -> None:
    """For each operator and opset that is read: no attribute or input of the table is not in the standard."""
    for name, rule in OPERATORS.items():
        for opset in range(rule.opsets[0], rule.opsets[1] + 1):
            schema = onnx.defs.get_schema(name, opset)
            assert set(rule.at(opset)) <= set(schema.attributes), (name, opset)
            assert len(rule.inputs(opset)) == len(schema.inputs), (name, opset)
            missing = set(schema.attributes) - set(rule.at(opset))
            assert missing <= {"sparse_value", "value_string", "value_strings", "output_shape"}, (name, opset, missing)
            for key, attribute in rule.at(opset).items():
                given = schema.attributes[key].default_value
                standard = onnx.helper.get_attribute_value(given) if given.name else None
                standard = standard.decode() if isinstance(standard, bytes) else standard
                assert attribute.default == pytest.approx(standard) if isinstance(standard, float) else attribute.default == standard
                assert attribute.required == schema.attributes[key].required, (name, opset, key)
    assert set(READERS) == set(OPERATORS)


def test_generated_files_are_equal_or_refused(tmp_path: Path) -> None:
    """Every 30th file of all families; `tests/benchmarks/onnx_families.py` runs all."""
    files = [c for op in sorted(OPERATORS) for c in family(op)]
    outcomes = Counter[Outcome]()
    for c in files[::30]:
        outcome = run(tmp_path / "net.onnx", c)
        assert outcome not in (Outcome.DIFFERENT, Outcome.ALONE), c.text
        outcomes[outcome] += 1
    assert outcomes[Outcome.EXACT] + outcomes[Outcome.EQUAL] > 100
    assert outcomes[Outcome.REFUSED] > 20


@pytest.mark.parametrize("first", [0, 20])
def test_random_graphs_are_what_onnxruntime_computes(first: int, tmp_path: Path) -> None:
    """All numbers are dyadic, so that both are equal to the last bit."""
    for seed in range(first, first + 20):
        c = random_graph(seed)
        assert run(tmp_path / "net.onnx", c) is Outcome.EXACT, c.text


@pytest.mark.data
def test_published_networks_are_what_onnxruntime_computes(data: Path) -> None:
    names = ["mnist_fc/onnx/mnist-net_256x2.onnx.gz", "acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx.gz", "onnx_int8/mnist-12.onnx"]
    for name in (*names, "mlperf_tiny/kws_float.onnx", "mlperf_tiny/ad_float.onnx", "hls4ml_models/three_layer_keras.onnx"):
        stored = (data / name).read_bytes()
        session = onnxruntime.InferenceSession(gzip.decompress(stored) if name.endswith(".gz") else stored)
        imported = import_onnx(data / name)
        ((key, shape),) = imported.inputs.items()
        x = np.random.default_rng(0).random(shape).astype(np.float32)
        own = np.empty(x.size)
        own[imported.input_order] = x.reshape(-1)
        found = imported.network.evaluate(own.reshape(imported.network.inputs[0].shape)).reshape(-1)[imported.output_order]
        expected = np.asarray(session.run(None, {key: x})[0]).reshape(-1)
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()), name


def test_qonnx_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", [node("BipolarQuant", "x one", "y", domain="onnx.brevitas")], {"one": floats()}, (1, 4))
    with pytest.raises(UnsupportedError, match=r"QONNX(.|\n)*onnx.brevitas.BipolarQuant(.|\n)*qs.load"):
        read_onnx(path)


def test_layers_that_do_not_fit_are_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="fit"):
        read_onnx(write(tmp_path / "net.onnx", [node("Gemm", "x w b", "y")], {"w": floats(2, 3), "b": floats(2, 2)}, (1, 2)))
    with pytest.raises(ModelFileError, match="Reshape does not fit"):
        read_onnx(write(tmp_path / "net.onnx", [node("Reshape", "x s", "y")], {"s": np.array([7])}, (1, 2)))
    with pytest.raises(ModelFileError, match="MatMul does not fit"):
        read_onnx(write(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"w": floats(2, 3, 3)}, (1, 2)))


def test_weights_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"w": floats(40, 40)}, (1, 40))
    onnx.save_model(onnx.load(path), tmp_path / "far.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelFileError, match="other files"):
        read_onnx(tmp_path / "far.onnx")


def test_damaged_files_are_errors_of_ours(tmp_path: Path) -> None:
    """Whatever bytes are flipped or cut off, the answer is a network or an error that says so."""
    data, rng, refused = write(tmp_path / "net.onnx", *mlp()).read_bytes(), np.random.default_rng(0), 0
    for trial in range(400):
        broken = bytearray(data[: rng.integers(len(data))] if trial % 4 == 0 else data)
        for _ in range(int(rng.integers(1, 4)) if broken else 0):
            broken[rng.integers(len(broken))] = rng.integers(256)
        path = tmp_path / "broken.onnx"
        path.write_bytes(bytes(broken))
        try:
            read_onnx(path)
        except QspecError:
            refused += 1
    assert refused > 100
    (tmp_path / "cut.onnx.gz").write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(ModelFileError, match="cannot read"):
        read_onnx(tmp_path / "cut.onnx.gz")


def test_without_onnx_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "net.onnx", *mlp())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PackageMissingError, match=r"pip install 'qspec-verify\[onnx\]'"):
        read_onnx(path)
