"""Quantised ONNX files: equal to onnxruntime in every code, refused by name."""

from __future__ import annotations

from math import prod

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import qspec as qs
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.ort import OrtQLinear
from tests.unit.onnx_files import FAMILIES, File, beside, conv


@pytest.mark.parametrize("qdq", [False, True], ids=["qlinear", "qdq"])
@pytest.mark.parametrize("family", FAMILIES)
def test_operators_equal_onnxruntime(family, qdq, tmp_path):
    total = 0
    for seed in range(6):
        random = np.random.default_rng([seed, len(family), 3])
        try:
            compared, differing = beside(FAMILIES[family](random, qdq=qdq), tmp_path, 24, random)
        except qs.UnsupportedError as error:
            if family != "addition" or "no staircase" not in str(error):
                raise
            continue
        assert differing == 0, (seed, compared)
        total += compared
    assert total > 100


def chain(*, limit: bool = False) -> File:
    """Return a float image, quantised, Conv with ReLU, MaxPool, Flatten, Gemm, dequantised and a softmax, in pairs of Q and DQ."""
    f = File(np.random.default_rng(5))
    r = f.random
    x = f.scale("x", 0.02, np.uint8(3))
    h, y = f.scale("h", 0.05, np.uint8(0 if not limit else 9)), f.scale("y", 0.1, np.uint8(120))
    f.keep(w=r.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8), v=r.integers(-127, 128, (3, 36)).astype(np.int8))
    f.keep(b=r.integers(-500, 500, 4).astype(np.int32), c=r.integers(-500, 500, 3).astype(np.int32))
    w, v = f.scale("w", r.uniform(0.001, 0.01, 4), np.zeros(4, np.int8)), f.scale("v", 0.004, np.int8(0))
    b = f.scale("b", np.float32(0.02) * f.constants["w_scale"], np.zeros(4, np.int32))
    c = f.scale("c", np.float32(0.05) * np.float32(0.004), np.int32(0))
    f.quantized("q", "image", x)
    sums = f.node("Conv", [f.real("q", x), f.real("w", w, axis=0), f.real("b", b, axis=0)], "sums", pads=[1, 1, 1, 1])
    hidden = f.real(f.quantized("hidden", f.node("Relu", [sums], "rectified"), h), h)
    flat = f.node("Flatten", [f.node("MaxPool", [hidden], "pooled", kernel_shape=[2, 2], strides=[2, 2])], "flat")
    again = f.real(f.quantized("again", flat, h), h)
    scores = f.quantized("scores", f.node("Gemm", [again, f.real("v", v), f.real("c", c)], "products", transB=1), y)
    f.node("Softmax", [f.real(scores, y)], "classes")
    return f


def write(f: File, path, *, shape: tuple[int | str, ...] = ("batch", 2, 6, 6), output: str = "classes") -> str:
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in f.constants.items()]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("image", shape), (output, None))]
    graph = helper.make_graph(f.nodes, "chain", ends[:1], ends[1:], stored)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    save(helper.make_model(graph, opset_imports=imports, ir_version=10), path)
    return str(path)


def test_a_chain_equals_onnxruntime_in_every_tensor(tmp_path):
    path = write(chain(), tmp_path / "chain.onnx")
    net = qs.load(path)
    assert (net.semantics, net.inputs[0].type.shape, net.output_types[0].shape) == ("ort-qlinear", (2, 6, 6), (3,))
    found = qs.agree(path, samples=40)
    assert (found.differing, found.first) == (0, None), str(found)
    assert found.outputs == 120


def test_layouts_are_changed_once(tmp_path):
    """A chain of convolutions and pools in NCHW has one transposition on each side."""
    net = qs.load(write(chain(), tmp_path / "chain.onnx"))
    assert [type(s.layer).__name__ for s in net.stages].count("Transpose") == 2


def test_a_network_of_an_onnx_file_is_kept_in_a_file(tmp_path):
    net = qs.load(write(chain(), tmp_path / "chain.onnx"))
    net.save(tmp_path / "chain.qspec")
    again = qs.load(tmp_path / "chain.qspec")
    x = np.random.default_rng(0).integers(0, 256, (20, 2, 6, 6))
    np.testing.assert_array_equal(net.evaluate(x), again.evaluate(x))
    assert again.semantics == "ort-qlinear"


def test_ties_go_to_even_and_the_zero_point_is_added_where_the_kernel_adds_it():
    """Halves of sums round before the zero point is added; in QLinearAdd they round behind it, so that odd zero points show."""
    ort, half, one = OrtQLinear(), Quantized(0.5, 0), Quantized(1.0, 1)
    stage = ort.multiplied(Quantized(0.5, 0), [1.0], one, one.ends)
    net = qs.Sequential(qs.Input((1,), qs.int8(1)), stage)
    assert net.evaluate([[1], [3], [-1], [-3]]).reshape(-1).tolist() == [1, 3, 1, -1]  # 0 + 1, 2 + 1, 0 + 1, -2 + 1
    codes = ort.sum_of_codes((np.array([1, 3, -1, -3]), np.zeros(4, np.int64)), (half, half), one)
    assert codes.tolist() == [2, 2, 0, 0]  # 1.5, 2.5, 0.5, -0.5


REFUSED = {
    "types without a kernel": (lambda f: f.keep(y_zero=np.int8(0)), "the_scores", "uint8, int8, weights int8"),
    "a scale of 0": (lambda f: f.keep(h_scale=np.float32(0)), "QuantizeLinear 'the_hidden'", "a scale that is not read"),
    "an infinite scale": (lambda f: f.keep(w_scale=np.full(4, np.inf, np.float32)), "DequantizeLinear 'the_w_real'", "a scale"),
    "a bias with a zero point": (lambda f: f.keep(c_zero=np.int32(1)), "the_c_real", "int32 zero point"),
    "scales that do not fit": (lambda f: f.keep(w_scale=np.ones(3, np.float32), w_zero=np.zeros(3, np.int8)), "the_w_real", "do not fit"),
    "a zero point of another type": (lambda f: f.keep(v_zero=np.uint8(0)), "the_v_real", "zero point that does not fit"),
    "a sum that can leave int32": (lambda f: f.keep(c=np.full(3, 2**31 - 1, np.int32)), "the_scores", "int32"),
    "a bias in another unit": (lambda f: f.keep(c_scale=np.float32(1)), "the_products", "another unit"),
    "float weights": (lambda f: _replaced(f, "v_real", np.ones((3, 36), np.float32)), "the_products", "quantises float weights"),
    "a float bias": (lambda f: _replaced(f, "c_real", np.ones(3, np.float32)), "the_products", "quantises float biases"),
    "another scale after a dequantisation": (lambda f: _requantised(f), "the_again", "the same scale and zero point"),
    "an operator": (lambda f: _renamed(f, "the_rectified", "HardSwish"), "the_rectified", "HardSwish"),
    "int4": (lambda f: f.keep(v=_int4((3, 36))), "the_v_real", "INT4"),
}


def _int4(shape):
    from ml_dtypes import int4

    return np.zeros(shape, int4)


def _replaced(f, name, values):
    f.nodes[:] = [n for n in f.nodes if name not in n.output]
    f.keep(**{name: values})


def _requantised(f):
    f.keep(other=np.float32(0.07))
    next(n for n in f.nodes if n.output[0] == "again").input[1] = "other"


def _renamed(f, name, op):
    next(n for n in f.nodes if n.name == name).op_type = op


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused_by_node_and_reason(case, tmp_path):
    change, *words = REFUSED[case]
    f = chain()
    change(f)
    with pytest.raises(qs.QspecError) as caught:
        qs.load(write(f, tmp_path / "a.onnx"))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_relu_that_the_quantisation_does_not_imply_is_refused(tmp_path):
    """ONNX Runtime leaves such a convolution in float, so that the fused operator would be another function."""
    with pytest.raises(qs.UnsupportedError, match="behind Conv that QuantizeLinear does not imply"):
        qs.load(write(chain(limit=True), tmp_path / "a.onnx"))


@pytest.mark.parametrize("form", ["QLinearSigmoid", "Sigmoid"])
def test_a_sigmoid_next_to_a_tie_is_refused(form, tmp_path):
    """The function is 10.500009 steps at code -49, and ONNX Runtime's quotient of polynomials 10.499993, where the CPU has AVX512."""
    f = File(np.random.default_rng(0))
    f.inputs["x"] = ((1, 256), np.dtype(np.int8))
    x, y = f.scale("x", 1 / 16, np.int8(0)), f.scale("y", 0.004255317617207766, np.int8(0))
    if form == "Sigmoid":
        f.quantized("y", f.node("Sigmoid", [f.real("x", x)], "value"), y)
    else:
        f.node("com.microsoft.QLinearSigmoid", ["x", *x, *y], "y")
    model = f.model({"y": TensorProto.INT8})
    save(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"x": np.arange(-128, 128, dtype=np.int8)[None]})
    assert np.asarray(made)[0, 128 - 49] in (10, 11)
    for semantics in ("ort-qlinear", "ort-qdq"):
        with pytest.raises(qs.UnsupportedError, match="code -49, which becomes 10 or 11"):
            qs.load(tmp_path / "a.onnx", semantics=semantics)


@pytest.mark.parametrize("form", ["com.microsoft.QGemm", "Gemm"])
@pytest.mark.parametrize(("shape", "read"), [((3,), True), ((1, 3), True), ((1,), True), ((3, 1), False)])
def test_a_bias_is_one_for_each_column(form, shape, read, tmp_path):
    """With three rows and three columns, three codes of shape (3, 1) are one for each row."""
    random = np.random.default_rng(0)
    f = File(random)
    f.inputs["x"] = ((3, 2), np.dtype(np.int8))
    x, w, y = f.scale("x", 0.5, np.int8(0)), f.scale("w", 0.25, np.int8(0)), f.scale("y", 16, np.int8(0))
    f.keep(w=random.integers(-128, 128, (2, 3)).astype(np.int8), b=np.array([1000, -2000, 3000], np.int32)[: prod(shape)].reshape(shape))
    if form == "Gemm":
        b = f.real("b", f.scale("b", 0.125, np.int32(0)))
        f.quantized("y", f.node("Gemm", [f.real("x", x), f.real("w", w), b], "sum"), y)
    else:
        f.node(form, ["x", *x, "w", *w, "b", *y], "y")
    model = f.model({"y": TensorProto.INT8})
    if read:
        assert beside(model, tmp_path, 8, random) == (72, 0)
    else:
        with pytest.raises(qs.UnsupportedError, match="a bias that"):
            beside(model, tmp_path, 8, random)


def test_an_input_that_is_read_as_a_float_is_refused(tmp_path):
    f = chain()
    next(n for n in f.nodes if n.output[0] == "sums").input[0] = "image"
    with pytest.raises(qs.UnsupportedError, match="not quantised first"):
        qs.load(write(f, tmp_path / "a.onnx"))


def test_a_batch_is_refused(tmp_path):
    with pytest.raises(qs.UnsupportedError, match="batch of one"):
        qs.load(write(chain(), tmp_path / "a.onnx", shape=(2, 2, 6, 6)))


def test_a_float_network_is_one_over_the_reals_and_has_no_kernels(tmp_path):
    f = File(np.random.default_rng(0))
    f.node("Relu", ["image"], "y")
    path = write(f, tmp_path / "a.onnx", output="y")
    assert isinstance(qs.load(path), qs.real.Network)
    with pytest.raises(qs.SpecError, match="semantics"):
        qs.load(path, semantics="ort-qlinear")


def test_an_unknown_semantics_is_refused_with_the_list(tmp_path):
    path = write(chain(), tmp_path / "a.onnx")
    with pytest.raises(qs.UnsupportedError, match="ort-qlinear"):
        qs.load(path, semantics="tflm")
    with pytest.raises(qs.UnsupportedError, match="ort-qlinear"):
        qs.agree(path, "ort-qlinear", "tflm")


def test_a_damaged_file_is_refused_or_another_network(tmp_path):
    save(conv(np.random.default_rng(2), qdq=False), tmp_path / "whole.onnx")
    content = (tmp_path / "whole.onnx").read_bytes()
    random = np.random.default_rng(0)
    for k in range(120):
        changed = bytearray(content)
        changed[random.integers(len(content))] ^= 1 << int(random.integers(8))
        (tmp_path / "a.onnx").write_bytes(bytes(changed) if k % 4 else content[: random.integers(len(content))])
        try:
            qs.load(tmp_path / "a.onnx")
        except qs.QspecError:
            continue


@pytest.mark.parametrize("solver", ["bounds", "bitwuzla"])
def test_properties_of_a_file_are_decided_as_enumeration_says(solver, tmp_path):
    f = File(np.random.default_rng(4))
    x, y = f.scale("x", 0.1, np.uint8(3)), f.scale("y", 0.2, np.uint8(7))
    f.keep(w=np.array([[3, -20], [-7, 11]], np.int8), o=np.array([[5, 200]], np.uint8))
    w = f.scale("w", [0.3, 0.1], np.zeros(2, np.int8))
    f.inputs["x"] = ((1, 2), np.dtype(np.uint8))
    f.node("QLinearMatMul", ["x", *x, "w", *w, *y], "p")
    f.node("com.microsoft.QLinearAdd", ["p", *y, "o", *f.scale("o", 0.1, np.uint8(100)), *y], "s")
    save(f.model({"s": TensorProto.UINT8}), tmp_path / "a.onnx")
    net = qs.load(tmp_path / "a.onnx")
    box = np.stack(np.meshgrid(np.arange(100, 116), np.arange(30, 46), indexing="ij"), axis=-1).reshape(-1, 2)
    codes = net.evaluate(box)
    most = int(codes[:, 1].max())
    x_in = net.input("x")
    given = (x_in.code[0] >= 100) & (x_in.code[0] <= 115) & (x_in.code[1] >= 30) & (x_in.code[1] <= 45)
    for bound, verdict in ((most, qs.Verdict.HOLDS), (most - 1, qs.Verdict.VIOLATED)):
        held = qs.forall(x_in, given=given, then=net(x_in).code[1] <= bound, name="bound")
        assert qs.verify(held, solver=solver, timeout=60).verdict is verdict


# Two codes for which the order of the operands shows in a last bit of float32, so in the sum's rounding.
SHAPES = [
    ((1, 3, 4, 6), (3, 1, 1)), ((3, 1, 1), (1, 3, 4, 6)), ((6,), (1, 3, 4, 6)), ((1, 3, 4, 6), (1,)), ((1,), (1, 3, 4, 6)),
    ((1, 8, 5, 1), (1, 1, 5, 1)), ((1, 1, 5, 1), (1, 8, 5, 1)), ((1, 8), (1, 1)), ((1, 1), (1, 8)), ((1, 1, 1), (1,)),
]  # fmt: skip


def test_operands_that_are_repeated_are_read_second(tmp_path):
    """On pairs of codes for which the two orders give two codes, onnxruntime and the reader take the same one."""
    a, b, y = (Quantized(float(np.float32(s)), z, signed=False) for s, z in ((0.3, 253), (0.1, 53), (0.6, 80)))
    codes = tuple(np.meshgrid(np.arange(256), np.arange(256), indexing="ij"))
    ort = OrtQLinear()
    straight, crossed = ort.sum_of_codes((codes[0], codes[1]), (a, b), y), ort.sum_of_codes((codes[1], codes[0]), (b, a), y)
    first, second = (int(v) for v in np.argwhere(straight != crossed)[0])
    for one, two in SHAPES:
        f = File(np.random.default_rng(0))
        parts = [f.scale(n, q.scale, np.uint8(q.zero)) for n, q in zip("aby", (a, b, y), strict=True)]
        stored = "a" if prod(one) < prod(two) else "b"
        shapes, values = {"a": one, "b": two}, {"a": first, "b": second}
        f.keep(**{stored: np.full(shapes[stored], values[stored], np.uint8)})
        free = "a" if stored == "b" else "b"
        f.inputs[free] = (shapes[free], np.dtype(np.uint8))
        f.node("com.microsoft.QLinearAdd", ["a", *parts[0], "b", *parts[1], *parts[2]], "y")
        model = f.model({"y": TensorProto.UINT8})
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        given = np.full(shapes[free], values[free], np.uint8)
        theirs = np.unique(np.asarray(session.run(None, {free: given})[0])).tolist()
        save(model, tmp_path / "a.onnx")
        net = qs.load(tmp_path / "a.onnx")
        ours = np.unique(net.evaluate(given.reshape(1, *net.inputs[0].type.shape))).tolist()
        assert ours == theirs, (one, two)


def test_inputs_go_by_name_and_one_that_nothing_reads_is_left_out(tmp_path):
    f = File(np.random.default_rng(0))
    parts = [f.scale(n, 0.1, np.uint8(7)) for n in "aby"]
    f.inputs |= {n: (s, np.dtype(np.uint8)) for n, s in (("a", (1, 2)), ("spare", (1, 4)), ("b", (1, 3)))}
    f.node("com.microsoft.QLinearConcat", [*parts[2], "b", *parts[1], "a", *parts[0]], "y", axis=1)
    save(f.model({"y": TensorProto.UINT8}), tmp_path / "a.onnx")
    net = qs.load(tmp_path / "a.onnx")
    assert {s.name: s.type.shape for s in net.inputs} == {"a": (2,), "b": (3,)}
    found = qs.agree(tmp_path / "a.onnx", samples=10)
    assert (found.differing, found.outputs) == (0, 50), str(found)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    """Protobuf hands such a name on as bytes."""
    content = conv(np.random.default_rng(2), qdq=False).SerializeToString()
    (tmp_path / "a.onnx").write_bytes(content.replace(b"QLinearConv", b"QLin\xffarConv"))
    with pytest.raises(qs.ModelFileError, match="no UTF-8"):
        qs.load(tmp_path / "a.onnx")


def test_an_axis_is_added_once(tmp_path):
    """Where an axis is named twice onnxruntime loads no session."""
    for axes, shape in (([0, 2], (1, 1, 1, 4)), ([0, 0], None), ([1, -3], None)):
        f = File(np.random.default_rng(0))
        f.keep(axes=np.array(axes, np.int64))
        f.inputs["x"] = ((1, 4), np.dtype(np.uint8))
        f.node("DequantizeLinear", [f.node("Unsqueeze", ["x", "axes"], "u"), *f.scale("x", 0.5, np.uint8(3))], "y")
        model = f.model({"y": TensorProto.FLOAT})
        save(model, tmp_path / "a.onnx")
        if shape is not None:
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            assert np.asarray(session.run(None, {"x": np.zeros((1, 4), np.uint8)})[0]).shape == shape
            net = qs.load(tmp_path / "a.onnx")
            assert net.stages[net.outputs[0]].type.shape == shape[1:]
            continue
        with pytest.raises(Exception, match="more than once"):
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        with pytest.raises(qs.UnsupportedError, match="named twice"):
            qs.load(tmp_path / "a.onnx")


@pytest.mark.parametrize("size", [[2], [2, 2, 2]])
def test_a_window_has_two_axes(size, tmp_path):
    f = File(np.random.default_rng(0))
    f.inputs["x"] = ((1, 1, 4, 4), np.dtype(np.uint8))
    f.node("DequantizeLinear", [f.node("MaxPool", ["x"], "u", kernel_shape=size), *f.scale("x", 0.5, np.uint8(3))], "y")
    model = f.model({"y": TensorProto.FLOAT})
    with pytest.raises(Exception, match="kernel_shape has incorrect size"):
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    save(model, tmp_path / "a.onnx")
    with pytest.raises(qs.UnsupportedError, match="kernel_shape that does not fit"):
        qs.load(tmp_path / "a.onnx")


def test_a_window_that_does_not_fit_is_said_with_its_node(tmp_path):
    f = File(np.random.default_rng(0))
    f.inputs["x"] = ((1, 1, 4, 4), np.dtype(np.uint8))
    f.node("DequantizeLinear", [f.node("MaxPool", ["x"], "u", kernel_shape=[9, 9]), *f.scale("x", 0.5, np.uint8(3))], "y")
    save(f.model({"y": TensorProto.FLOAT}), tmp_path / "a.onnx")
    with pytest.raises(qs.ModelFileError, match=r"a\.onnx, MaxPool 'the_u': the kernel is larger(.|\n)*at least 9"):
        qs.load(tmp_path / "a.onnx")
