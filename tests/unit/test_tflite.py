"""TensorFlow Lite files: read as the real runtimes compute them, written so that they read back, refused by name."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tflite

import qspec as qs
from qspec.cli import main
from qspec.conformance.agree import agree
from qspec.conformance.runtime import PACKAGES, run_tflite, run_worker
from qspec.lowering.evaluate import trace
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, read_model
from qspec.readers.tflite_write import to_bytes, write_model
from qspec.runtimes import smooth
from qspec.runtimes.arithmetic import Quantized, quantize_multiplier
from qspec.runtimes.registry import TFLITE
from qspec.semantics.fixed import evaluate
from tests.unit.tflite_files import FAMILIES, signal, sums, svdf, widened

PARTING = ("SUB", "MUL", "PRELU", "GELU", "HARD_SWISH", "RESIZE_BILINEAR", "SVDF", "QUANTIZE of int16", "FULLY_CONNECTED of int16")
OFTEN = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN", "QUANTIZE")


def chain(seed: int) -> TfliteModel:
    """Return CONV_2D, MAX_POOL_2D, RESHAPE, FULLY_CONNECTED and SOFTMAX in one file."""
    random = np.random.default_rng(seed)
    first, last = sums(random, "CONV_2D", 1), sums(random, "FULLY_CONNECTED")
    x, w, b, hidden = first.tensors
    flat = replace(last.tensors[0], shape=(1, int(np.prod(hidden.shape))), scales=hidden.scales, zeros=hidden.zeros)
    kernel = random.integers(-127, 128, (last.tensors[1].shape[0], flat.shape[1])).astype(np.int8)
    fc = replace(last.tensors[1], shape=kernel.shape, data=kernel, scales=(0.004,), zeros=(0,))
    size = replace(flat, name="shape", shape=(2,), type="INT32", scales=(), zeros=(), data=np.array(flat.shape, dtype=np.int32))
    soft = signal("soft", last.tensors[3].shape, 1 / 256, -128)
    tensors = (x, w, b, hidden, size, flat, fc, last.tensors[2], last.tensors[3], soft)
    operators = (
        first.operators[0],
        TfliteOperator("RESHAPE", 1, (3, 4), (5,), {}),
        replace(last.operators[0], inputs=(5, 6, 7), outputs=(8,)),
        TfliteOperator("SOFTMAX", 2, (8,), (9,), {"Beta": 1.0}),
    )
    return TfliteModel("chain", tensors, operators, (0,), (9,))


@pytest.mark.parametrize(
    ("family", "runtime"),
    [(f, r) for f in FAMILIES for r in PACKAGES if (r == "tflm" and f != "GELU") or f in OFTEN or (r == "xnnpack" and f in PARTING)],
)
def test_operators_equal_the_runtime(family, runtime, tmp_path):
    write_model(FAMILIES[family](np.random.default_rng([len(family), 7])), tmp_path / "f.tflite")
    found = agree(tmp_path / "f.tflite", runtime, samples=64)
    assert (found.differing, found.first) == (0, None), str(found)
    assert found.compared > 0
    net = qs.load(tmp_path / "f.tflite", semantics=runtime)
    codes = {s.name: np.random.default_rng(3).integers(-128, 128, s.type.shape) for s in net.inputs}
    result = net.stages[net.outputs[0]].name
    replayed = evaluate(net, list(codes.values()))[result].output.codes  # what a counterexample is judged by
    np.testing.assert_array_equal(trace(net, codes)[result], replayed)


def test_the_optimised_kernels_leave_convolutions_of_groups_to_the_reference(tmp_path):
    """Seen in ai-edge-litert 2.3.0: by the rule of one group 78 of these 13,824 codes would differ."""
    write_model(sums(np.random.default_rng(0), "CONV_2D", 0, 2), tmp_path / "f.tflite")
    found = agree(tmp_path / "f.tflite", "litert-optimized", samples=64)
    assert (found.differing, found.compared) == (0, 13824), str(found)


@pytest.mark.parametrize(("runtime", "width"), [("tflm", 8), ("litert-reference", 16)])
def test_steps_of_a_network_with_a_state_are_those_of_the_runtime(runtime, width, tmp_path):
    """The runtime keeps the state of the file between runs; here each step is given the state that the one before has left."""
    model = svdf(np.random.default_rng(3), width)
    write_model(model, tmp_path / "a.tflite")
    net = qs.load(tmp_path / "a.tflite", semantics=runtime)
    inputs = np.random.default_rng(1).integers(-128, 128, (30, *net.inputs[0].type.shape))
    state, found = np.full(net.inputs[1].type.shape, model.tensors[4].zeros[0]), []
    for x in inputs:
        codes = trace(net, {"x": x, "state0": state})
        result, state = (codes[net.stages[o].name] for o in net.outputs)
        found.append(result)
    (real,) = run_worker(runtime, to_bytes(model), [inputs.astype(np.int8)], 1, "steps")
    np.testing.assert_array_equal(np.array(found), real)


def test_a_chain_equals_the_runtime_in_every_tensor(tmp_path):
    write_model(chain(3), tmp_path / "chain.tflite")
    found = agree(tmp_path / "chain.tflite", "tflm", samples=40)
    assert found.differing == 0, str(found)
    assert "0 differ" in str(found)


def test_a_comparison_with_another_runtime_names_the_first_difference(tmp_path):
    for seed in range(10):
        write_model(sums(np.random.default_rng(seed), "CONV_2D"), tmp_path / "f.tflite")
        found = agree(tmp_path / "f.tflite", "tflm", "xnnpack", samples=100)
        if found.differing:
            assert found.first is not None
            assert abs(found.first.ours - found.first.theirs) == 1
            assert "operator 0 (CONV_2D)" in str(found)
            return
    pytest.fail("ten tie-rich convolutions agree in two runtimes that round ties differently")


# One weight of 1 and a multiplier of 1/4, so that sums of 2, 6, -2 and -6 lie halfway: 0.5, 1.5, -0.5, -1.5.
HALVES = {"tflm": [1, 2, -1, -2], "litert-reference": [1, 2, -1, -2], "litert-optimized": [1, 2, 0, -1], "xnnpack": [0, 2, 0, -2]}


@pytest.mark.parametrize("semantics", HALVES)
def test_ties_go_where_each_runtime_sends_them(semantics):
    stage = TFLITE[semantics].sums("CONV_2D", 0.5, [0.5], Quantized(1.0, 0), (-128, 127))
    net = qs.Sequential(qs.Input((1,), qs.int8(1)), stage)
    assert net.evaluate([[2], [6], [-2], [-6]]).reshape(-1).tolist() == HALVES[semantics]


@pytest.mark.parametrize(
    ("scale", "weight", "result", "zero", "accumulator", "code"),
    [
        (0.050492819398641586, 6.317628383636475, 0.21266324818134308, -67, -31, -113),
        (0.07138890773057938, 0.024997591972351074, 0.11421125382184982, -128, 12768, 71),
    ],
)
def test_reference_kernels_multiply_scales_in_doubles(scale, weight, result, zero, accumulator, code):
    """Seen in ai-edge-litert 2.3.0: in float32 the product of the scales would round these sums the other way."""
    stage = TFLITE["litert-reference"].sums("FULLY_CONNECTED", scale, [weight], Quantized(result, zero), (-128, 127))
    net = qs.Sequential(qs.Input((1,), qs.int16(1)), stage)
    assert net.evaluate([[accumulator]]).tolist() == [[code]]


def test_quantize_multiplier_is_that_of_tensorflow():
    assert quantize_multiplier(0.25) == (2**30, -1)
    assert quantize_multiplier(1.0) == (2**30, 1)
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)
    assert quantize_multiplier(1 - 2.0**-33) == (2**30, 1)  # rounds up to the next power of two


@pytest.mark.parametrize("scaling", list(qs.Scaling))
def test_a_multiplier_is_its_formula(scaling):
    """Every rule against its definition in fractions, in the scales and codes where roundings meet."""
    for (m, s), left, zero in itertools.product([(2**30, 0), (2**31 - 1, -3), (3 << 29, -2), (1 << 30, 2), (0, 0)], (0, 3), (0, -8, 5)):
        net = qs.Sequential(qs.Input((1,), qs.Fixed(7, 0)), qs.Multiplier(qs.int8(1, zero), (m,), (s,), (scaling,), left=left))
        x = np.arange(-64, 64)
        expected = [min(max(_scaled(int(v) << left, m, s, scaling) + zero, -128), 127) for v in x]
        assert net.evaluate(x[:, None]).reshape(-1).tolist() == expected, (m, s, left, zero)


def _scaled(a, m, s, scaling):
    if m == 0:
        return 0
    if scaling is qs.Scaling.ONCE_UP:
        return (a * m + (1 << (30 - s))) >> (31 - s)
    if scaling is qs.Scaling.ONCE_AWAY:
        return _away(a * m, 31 - s)
    high = ((a << max(s, 0)) * m + (1 << 30)) >> 31
    right = max(-s, 0)
    up = (high + ((1 << right) >> 1)) >> right
    return {qs.Scaling.AWAY: _away(high, right), qs.Scaling.UP: up, qs.Scaling.FLOOR: high >> right}[scaling]


def _away(value, shift):
    half = (1 << shift) >> 1
    return (abs(value) + half >> shift) * (1 if value >= 0 else -1)


def test_files_read_back_as_they_were_written(tmp_path):
    model = chain(5)
    write_model(model, tmp_path / "a.tflite")
    again = read_model(tmp_path / "a.tflite")
    for one, two in zip(model.operators, again.operators, strict=True):
        assert replace(one, options={}) == replace(two, options={})
        assert one.options.items() <= two.options.items()
    for one, two in zip(model.tensors, again.tensors, strict=True):
        assert (one.name, one.shape, one.type, one.zeros) == (two.name, two.shape, two.type, two.zeros)
        np.testing.assert_array_equal(np.array(one.scales, dtype=np.float32), np.array(two.scales))
        assert (one.data is None) == (two.data is None)
        if one.data is not None:
            np.testing.assert_array_equal(one.data, two.data)


def test_networks_of_kernels_are_kept_in_files(tmp_path):
    write_model(chain(6), tmp_path / "a.tflite")
    net = qs.load(tmp_path / "a.tflite", semantics="xnnpack")
    net.save(tmp_path / "a.qspec")
    again = qs.load(tmp_path / "a.qspec")
    assert again.semantics == "xnnpack"
    x = np.random.default_rng(0).integers(-128, 128, (20, *net.inputs[0].type.shape))
    np.testing.assert_array_equal(net.evaluate(x), again.evaluate(x))
    assert "xnnpack" in net.summary()


def test_a_damaged_file_is_refused(tmp_path):
    content = to_bytes(chain(4))
    path = tmp_path / "cut.tflite"
    for length in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        with pytest.raises(qs.QspecError):
            qs.load(path)
    random = np.random.default_rng(0)
    for _ in range(150):  # a changed byte is refused, or gives a network whose meaning is that of the changed file
        changed = bytearray(content)
        changed[random.integers(8, len(content))] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(changed))
        try:
            qs.load(path)
        except qs.QspecError:
            continue


REFUSED = {
    "an operator": (lambda m: replace(m, operators=(replace(m.operators[0], kind="DIV", options={}),)), "not read", "DIV"),
    "a float signal": (lambda m: _typed(m, 0, "FLOAT32"), "float network", "FLOAT32"),
    "int16": (lambda m: _typed(m, 3, "INT16"), "an int16 signal with a zero point", "zero point 0"),
    "uint8 in tflm": (lambda m: _typed(m, 0, "UINT8"), "uint8", "litert-reference"),
    "weights with a zero point": (lambda m: _tensor(m, 1, zeros=(3,) * len(m.tensors[1].zeros)), "weights", "zero point 0"),
    "a batch": (lambda m: _tensor(m, 3, shape=(2, *m.tensors[3].shape[1:])), "batch of one", "(1, …)"),
    "a bias that overflows": (lambda m: _tensor(m, 2, data=np.full(m.tensors[2].shape, 2**31 - 1, dtype=np.int32)), "int32", "2**31"),
}


def _tensor(model, k, **changes):
    return replace(model, tensors=tuple(replace(t, **changes) if i == k else t for i, t in enumerate(model.tensors)))


def _typed(model, k, kind):
    return _tensor(model, k, type=kind)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused_by_name(case, tmp_path):
    change, *words = REFUSED[case]
    write_model(change(sums(np.random.default_rng(1), "CONV_2D")), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError) as caught:
        qs.load(tmp_path / "a.tflite")
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("DEPTHWISE_CONV_2D", {"DepthMultiplier": 9}, "DepthMultiplier"),
        ("FULLY_CONNECTED", {"WeightsFormat": 1}, "weights in another order"),
    ],
)
def test_options_by_which_weights_mean_something_else_are_refused(kind, options, words, tmp_path):
    model = sums(np.random.default_rng(5), kind)
    changed = replace(model.operators[0], options={**model.operators[0].options, **options})
    write_model(replace(model, operators=(changed,)), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError, match=words):
        qs.load(tmp_path / "a.tflite")


@pytest.mark.parametrize(("table", "read", "words"), [("Tensor", "Sparsity", "sparse"), ("Model", "SubgraphsLength", "several subgraphs")])
def test_what_the_schema_has_besides_is_refused_by_name_and_not_as_damage(table, read, words, tmp_path, monkeypatch):
    write_model(chain(3), tmp_path / "a.tflite")
    monkeypatch.setattr(getattr(tflite, table), read, lambda self: 2)
    with pytest.raises(qs.UnsupportedError, match=words):
        qs.load(tmp_path / "a.tflite")


def test_an_svdf_of_uint8_is_refused(tmp_path):
    write_model(_tensor(svdf(np.random.default_rng(3), 16), 0, type="UINT8", zeros=(0,)), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError, match="a SVDF of uint8"):
        qs.load(tmp_path / "a.tflite", semantics="litert-reference")


def test_products_and_resizes_that_are_no_layers_are_refused(tmp_path):
    random = np.random.default_rng(2)
    two = FAMILIES["ADD"](random)
    write_model(replace(two, operators=(replace(two.operators[0], kind="MUL", options={}),)), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError, match="a constant"):
        qs.load(tmp_path / "a.tflite")
    image = FAMILIES["RESIZE_NEAREST_NEIGHBOR"](random)
    both = replace(image.operators[0], options={"AlignCorners": True, "HalfPixelCenters": True})
    write_model(replace(image, operators=(both,)), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError, match="aligns corners and centres"):
        qs.load(tmp_path / "a.tflite")


def test_biases_that_a_runtime_reads_as_others_are_refused(tmp_path):
    """LiteRT 2.3.0 takes an int32 bias of an int16 CONV_2D for one of int64, and tflite-micro that of a DEPTHWISE_CONV_2D."""
    for kind, semantics in (("CONV_2D", "litert-reference"), ("CONV_2D", "xnnpack"), ("DEPTHWISE_CONV_2D", "tflm")):
        random = np.random.default_rng(4)
        write_model(widened(random, sums(random, kind), "INT32"), tmp_path / "a.tflite")
        with pytest.raises(qs.UnsupportedError, match="with a bias of 32 bits"):
            qs.load(tmp_path / "a.tflite", semantics=semantics)


def test_an_unknown_semantics_is_refused_with_the_list(tmp_path):
    write_model(chain(1), tmp_path / "a.tflite")
    with pytest.raises(qs.UnsupportedError, match="tflm, litert-reference, litert-optimized, xnnpack"):
        qs.load(tmp_path / "a.tflite", semantics="cmsis")
    with pytest.raises(qs.UnsupportedError, match="no such runtime"):
        run_tflite(chain(1), "cmsis", [])


@pytest.mark.parametrize("solver", ["bounds", "bitwuzla", "z3"])
def test_properties_of_a_file_are_decided_as_enumeration_says(solver, tmp_path):
    random = np.random.default_rng(11)
    model = sums(random, "FULLY_CONNECTED")
    while model.tensors[0].shape != (1, 3):
        model = sums(random, "FULLY_CONNECTED")
    write_model(model, tmp_path / "a.tflite")
    for semantics in ("tflm", "xnnpack"):
        net = qs.load(tmp_path / "a.tflite", semantics=semantics)
        centre = random.integers(-100, 100, 3)
        greatest = int(net.evaluate(centre + np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3))))[:, 0].max())
        x = net.input("x")
        near = qs.linf(x.code - centre) <= 2
        holds = qs.forall(x, given=near, then=net(x).code[0] <= greatest, name="at most")
        violated = qs.forall(x, given=near, then=net(x).code[0] <= greatest - 1, name="below")
        assert qs.verify(holds, solver=solver, timeout=60).verdict is qs.Verdict.HOLDS
        assert qs.verify(violated, solver=solver, timeout=60).verdict is qs.Verdict.VIOLATED


def test_a_real_network_becomes_a_file_that_the_runtime_computes(tmp_path):
    random = np.random.default_rng(2)
    convolution = qs.real.Conv2D(random.normal(size=(3, 3, 1, 4)), random.normal(size=4), activation=qs.ReLU())
    dense = qs.real.Dense(random.normal(size=(16, 5)), random.normal(size=5))
    real = qs.real.Sequential(qs.real.Input((6, 6, 1)), convolution, qs.MaxPool2D((2, 2)), qs.Flatten(), dense)
    values = random.normal(size=(50, 6, 6, 1))
    net = qs.quantize_int8(real, values)
    qs.to_tflite(net, tmp_path / "net.tflite")
    again = qs.load(tmp_path / "net.tflite")
    codes = random.integers(-128, 128, (50, 6, 6, 1))
    np.testing.assert_array_equal(net.evaluate(codes), again.evaluate(codes))
    assert qs.agree(tmp_path / "net.tflite", inputs=codes).differing == 0
    unit, zero = float(net.inputs[0].type.grid.units[0]), net.inputs[0].type.grid.zeros[0]
    near = np.clip(np.rint(values / unit) + zero, -128, 127).astype(int)
    out = net.output_types[0].grid
    approximate = (net.evaluate(near) - out.zeros[0]) * float(out.units[0])
    exact = np.array([[float(v) for v in real.evaluate(x)] for x in values])
    assert np.abs(approximate - exact).max() < 0.05 * np.abs(exact).max()


def test_a_bias_that_int32_does_not_hold_is_not_cut_off():
    """Weights of 1e-12 beside a bias of 1: a converter cuts the bias to the end of int32, which is another network."""
    dense = qs.real.Dense(np.array([[1e-12, 1e-12]]), np.array([1.0, 0.0]))
    with pytest.raises(qs.UnsupportedError, match="a bias does not fit int32"):
        qs.quantize_int8(qs.real.Sequential(qs.real.Input((1,)), dense), np.array([[0.0], [1.0]]))


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(qs.UnsupportedError, match="semantics 'tflm'"):
        qs.to_tflite(qs.load("iris-4bit"), tmp_path / "a.tflite")
    x = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.eye(2), activation=qs.Tanh()))
    with pytest.raises(qs.UnsupportedError, match="not quantised to int8"):
        qs.quantize_int8(x, np.ones((3, 2)))
    with pytest.raises(qs.SpecError, match="nothing to calibrate with"):
        qs.quantize_int8(x, np.ones((0, 2)))


def test_commands_agree_import_and_evaluate(tmp_path, capsys):
    path = tmp_path / "net.tflite"
    write_model(chain(8), path)
    assert main(["agree", str(path), "--samples", "10"]) == 0
    assert "0 differ" in capsys.readouterr().out
    assert main(["import", str(path), "-o", str(tmp_path / "net.qspec"), "--option", "semantics=xnnpack"]) == 0
    net = qs.load(tmp_path / "net.qspec")
    codes = np.random.default_rng(0).integers(-128, 128, (4, *net.inputs[0].type.shape))
    np.save(tmp_path / "x.npy", codes)
    assert main(["evaluate", str(tmp_path / "net.qspec"), str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), net.evaluate(codes))
    np.save(tmp_path / "x.npy", codes * 0.5)
    assert main(["evaluate", str(tmp_path / "net.qspec"), str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]) == 2
    assert "no array of integers" in capsys.readouterr().err
    large = codes.astype(np.uint64)  # beyond int64 where codes are negative: none of them may come back as such
    np.save(tmp_path / "x.npy", large)
    assert main(["evaluate", str(tmp_path / "net.qspec"), str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]) == 2
    assert "code outside the format of input" in capsys.readouterr().err
    assert main(["agree", str(path), "--inputs", str(tmp_path / "x.npy")]) == 2
    assert "inputs do not fit" in capsys.readouterr().err
    with pytest.raises(qs.ShapeError, match="code outside the format of input"):
        qs.agree(path, inputs=large)


@pytest.mark.parametrize(("name", "x", "out"), [("elu", 0.1, 0.4), ("gelu", 0.3, 0.6)])
def test_a_table_that_hangs_on_the_c_library_is_refused(name: str, x: float, out: float) -> None:
    """Next to a tie the last place of a function decides, which versions of the C library compute differently."""
    of = getattr(smooth, name)
    with pytest.raises(qs.UnsupportedError, match="C library"):
        of(Quantized(float(np.float32(x)), 29, True), Quantized(float(np.float32(out)), 0, True))
    found = of(Quantized(0.0123, 29, True), Quantized(0.0457, 0, True))
    assert len(found) == 256
    assert found[29 + 128] == 0


def test_logistic_and_tanh_saturate_without_doubt() -> None:
    """Where they are 0 or 1 in float32, every version says so; a tie lies on the way for no code of these scales."""
    x = Quantized(0.5, 0, True)
    assert smooth.tanh(x, Quantized(1 / 128, 0, True))[::64] == [-128, -128, 0, 127]
    assert smooth.logistic(x, Quantized(1 / 256, -128, True))[::64] == [-128, -128, 0, 127]


def test_multipliers_are_stored_as_zero_below_two_to_the_minus_32():
    least = 2.0**-32
    assert quantize_multiplier(least) == (2**30, -31)
    assert quantize_multiplier(least * (1 - 2.0**-31)) == (0, 0)
