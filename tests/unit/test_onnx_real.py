"""Float networks in ONNX: read exactly, in agreement with onnxruntime up to its rounding, and refused by name where not understood."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from qspec.errors import ModelFileError, QspecError, SolverMissingError, UnsupportedError
from qspec.interop.onnx_real import import_onnx, read_onnx
from qspec.network.real_layers import RealDense

Nodes = list[Any]


def write(path: Path, nodes: Nodes, weights: dict[str, Any], shape: tuple[int | str, ...], axes: int = 2) -> Path:
    """Write a model with one input x and one output y, which has so many axes."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{k}" for k in range(axes)])],
        [numpy_helper.from_array(np.asarray(w), k) for k, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    """Return a node that reads tensors named in a text, separated by blanks."""
    return helper.make_node(op, inputs.split(), [output], **attributes)


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(np.float32)


def mlp() -> tuple[Nodes, dict[str, Any], tuple[int | str, ...]]:
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


def convolutional() -> tuple[Nodes, dict[str, Any], tuple[int | str, ...]]:
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


def branching() -> tuple[Nodes, dict[str, Any], tuple[int | str, ...]]:
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


def columns() -> tuple[Nodes, dict[str, Any], tuple[int | str, ...]]:
    nodes = [node("MatMul", "w x", "a"), node("Add", "a b", "c"), node("Softplus", "c", "d"), node("Transpose", "d", "y")]
    return nodes, {"w": floats(4, 3), "b": floats(4, 1)}, (3, 1)


@pytest.mark.parametrize("make", [mlp, convolutional, branching, columns])
def test_agrees_with_onnxruntime(make: Callable[[], tuple[Nodes, dict[str, Any], tuple[int | str, ...]]], tmp_path: Path) -> None:
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
        ([node("BatchNormalization", "x s s s s", "y")], {"s": floats(2)}, "BatchNormalization"),
        ([node("MatMul", "x x", "y")], {}, "MatMul"),
        ([node("Mul", "x x", "y")], {}, "Mul"),
        ([node("Div", "one x", "y")], {"one": np.float32(1)}, "division"),
        ([node("Gemm", "x w", "y", transA=1)], {"w": floats(2, 2)}, "transA"),
        ([node("Conv", "x w", "y")], {"w": floats(2, 2, 1, 1)}, "no image"),
        ([node("Constant", "", "y", value_string=b"text")], {}, "constant"),
        ([node("MatMul", "x w", "y")], {"w": floats(2, 3, 3)}, "MatMul"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(nodes: Nodes, weights: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=named):
        read_onnx(write(tmp_path / "net.onnx", nodes, weights, (2, 2)))


def test_qonnx_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", [node("BipolarQuant", "x one", "y", domain="onnx.brevitas")], {"one": floats()}, (1, 4))
    with pytest.raises(UnsupportedError, match=r"QONNX(.|\n)*onnx.brevitas.BipolarQuant(.|\n)*quantize"):
        read_onnx(path)


def test_layers_that_do_not_fit_are_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="fit"):
        read_onnx(write(tmp_path / "net.onnx", [node("Gemm", "x w b", "y")], {"w": floats(2, 3), "b": floats(2, 2)}, (1, 2)))
    with pytest.raises(ModelFileError, match="damaged"):
        read_onnx(write(tmp_path / "net.onnx", [node("Reshape", "x s", "y")], {"s": np.array([7])}, (1, 2)))


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
    with pytest.raises(SolverMissingError, match=r"pip install 'qspec\[onnx\]'"):
        read_onnx(path)
