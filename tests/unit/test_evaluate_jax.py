"""The JAX evaluator equals the reference bit for bit, refuses what does not fit, and compiles once per structure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.errors import ShapeError, SpecError, UnsupportedError
from qspec.evaluate import device
from qspec.evaluate import jax as evaluator
from qspec.evaluate.choose_kernels import make_plan
from qspec.evaluate.jax import compile_program, trace
from qspec.evaluate.jax_kernels import _convolve_by_taps
from qspec.evaluate.kernels import Convolve, Counted, GatherKernel, InputKernel, Kernel, MatMul, Rescaled, Scale, Scatter
from qspec.ir import linear
from qspec.ir.integer import Input, Program, with_arguments
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, Dense, LinearMap
from qspec.ir.reference import evaluate
from tests.soundness.random_queries import random_query

pytestmark = pytest.mark.usefixtures("optimized")


def assert_equal(program: Program, assignment: Mapping[str, IntArray]) -> None:
    """Check every node on a batch of assignments."""
    batch = np.broadcast_shapes(*(x.shape[:-1] for x in assignment.values()))
    for position, (expected, got) in enumerate(zip(evaluate(program, assignment), trace(program, assignment), strict=True)):
        assert got.dtype == np.int64
        np.testing.assert_array_equal(
            got, np.broadcast_to(expected, (*batch, got.shape[-1])), err_msg=f"node {position}: {program[position]}"
        )


def random_points(program: Program, rng: np.random.Generator, count: int) -> dict[str, IntArray]:
    """Return random assignments within bounds, some of them at a corner."""
    points: dict[str, IntArray] = {}
    for node in program:
        if isinstance(node, Input):
            inside = rng.integers(node.lower, node.upper, (count, node.lower.size), endpoint=True)
            corner = np.where(rng.random((count, 1)) < 0.5, node.lower, node.upper)
            points[node.name] = np.where(rng.random((count, 1)) < 0.2, corner, inside)
    return points


def side_by_side(programs: list[Program]) -> Program:
    """Return one program that holds several, so that they are compiled together."""
    nodes: list[object] = []
    for k, program in enumerate(programs):
        first = len(nodes)
        for node in program:
            renamed = dataclasses.replace(node, name=f"{k}.{node.name}") if isinstance(node, Input) else node
            nodes.append(with_arguments(renamed, range(first, first + len(program))))
    return tuple(nodes)  # pyright: ignore[reportReturnType]


def kernels(program: Program, *nodes: int) -> list[Kernel]:
    """Return the kernels chosen for some nodes."""
    return [step.kernel for step in make_plan(program, nodes).plan.steps]


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_random_programs_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = side_by_side([random_query(rng).program for _ in range(8)])
    assert_equal(program, random_points(program, rng, 100))


ARITHMETIC = {
    "shift32": (3, 8, 5, 1000),
    "float32": (3, 14, 5, 1000),
    "shift64": (3 * 2**20 + 1, 2**25, 2**21, 2**14),
    "float64": (3 * 2**10 + 1, 7 * 2**12, 2**21, 2**20),
    "int64": (2**30 + 1, 2**30 - 2, 2**35, 2**30),
}


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
def test_every_rounding_in_every_arithmetic(arithmetic: str) -> None:
    numerator, denominator, offset, span = ARITHMETIC[arithmetic]
    b = Builder()
    x = b.input("x", np.full(4, -span), np.full(4, span))
    ends = [(None, None), (-3, None), (None, 5), (-100, 90)]
    nodes = [
        b.rescale(x, numerator * np.array([1, 1, 2, 3]), denominator, r, offset=offset * np.array([0, -1, 1, 3]), lower=lo, upper=hi)
        for r in Rounding
        for lo, hi in ends
    ]
    chosen = [k for k in kernels(b.program, *nodes) if isinstance(k, Rescaled)]
    assert {k.arithmetic for k in chosen} == {arithmetic}
    assert {k.slack for k in chosen} == {"first", "sign", "even"}
    rng = np.random.default_rng(0)
    near = np.round(np.arange(-60, 60)[:, None] * denominator / (2 * numerator) + np.arange(-1, 3)).astype(np.int64)
    assert_equal(b.program, {"x": np.clip(np.concatenate([near, rng.integers(-span, span, (200, 4), endpoint=True)]), -span, span)})


def test_rescaling_beyond_64_bits_becomes_thresholds() -> None:
    b = Builder()
    x = b.input("x", np.full(3, -(2**21)), np.full(3, 2**21))
    big = np.array([2**80 + 1, 3**50, 2**62], dtype=object)
    low, high = np.array([-40, -7, 0]), np.array([50, 7, 3])
    nodes = [b.rescale(x, big, big * 2**14 + 1, r, offset=-(big // 3), lower=low, upper=high) for r in Rounding]
    assert all(isinstance(k, Counted | InputKernel) for k in kernels(b.program, *nodes))
    rng = np.random.default_rng(0)
    ties = np.arange(-130, 130)[:, None] * 2**13 + 2**14 // 3 + rng.integers(-2, 3, (260, 3))
    assert_equal(b.program, {"x": np.concatenate([ties, rng.integers(-(2**21), 2**21, (300, 3))])})


def test_thresholds_of_any_size() -> None:
    b = Builder()
    x = b.input("x", np.full(2, -1000), np.full(2, 1000))
    b.steps(x, [-5, 7], np.zeros((2, 0), dtype=np.int64))
    b.steps(x, 0, np.array([-(10**30), -3, -3, 0, 5, 999, 1000, 1001, 10**30], dtype=object))
    b.steps(x, [100, -100], np.sort(np.random.default_rng(0).integers(-1100, 1100, (2, 300)), axis=1))
    b.steps(x, 2**40, [0])
    assert_equal(b.program, {"x": np.stack([np.arange(-1000, 1001), np.arange(1000, -1001, -1)], axis=1)})


def test_tables_and_wraps() -> None:
    b = Builder()
    x = b.input("x", [-8, 0], [7, 15])
    rng = np.random.default_rng(0)
    b.table(x, [-8, 0], rng.integers(-(2**40), 2**40, (2, 16)))
    b.table(x, [-8, 0], rng.integers(-9, 9, 16))
    wide = b.scale(x, 2**58)
    for width in ([1, 2], [33, 60], [59, 61], [63, 64], [200, 64]):
        for signed in (True, False):
            node = b.wrap(wide if signed else b.clamp(wide, 0, None), width, signed)
            b.scale(node, 1)
        b.wrap(x, np.minimum(width, 40), False)
    points = np.stack([np.arange(-8, 8), np.arange(16)], axis=1)
    assert_equal(b.program, {"x": points})


@pytest.mark.parametrize(
    ("weights", "lower", "upper", "kernel", "dtype"),
    [
        (127, -128, 127, MatMul(False), "int8"),
        (-128, 0, 255, MatMul(True), "int8"),
        (-128, 9_900, 10_155, MatMul(True), "int8"),
        (128, -128, 127, MatMul(False), "float32"),
        (-127, 0, 256, MatMul(False), "float32"),
        (2**10, 0, 2**15, MatMul(False), "float64"),
        (2**20, -(2**33), 2**33, MatMul(False), "int64"),
    ],
)
def test_products_at_the_edge_of_their_arithmetic(weights: int, lower: int, upper: int, kernel: Kernel, dtype: str) -> None:
    inputs = 300
    b = Builder()
    x = b.input("x", np.full(inputs, lower), np.full(inputs, upper))
    signs = np.random.default_rng(0).choice([-1, 1], (3, inputs))
    matrix = np.clip(signs * weights, -abs(weights), 127 if dtype == "int8" else abs(weights))
    matrix[0] = weights
    bias = np.array([1, -2, 3])
    y = b.affine([(Dense(matrix), x)], bias)
    b.scale(y, 1)
    planned = make_plan(b.program, (x, y))
    assert planned.plan.steps[1].kernel == kernel
    assert planned.parameters[1][0].dtype == dtype
    rng = np.random.default_rng(1)
    extremes = np.stack(
        [np.full(inputs, lower), np.full(inputs, upper), np.where(signs[1] > 0, lower, upper), np.where(signs[2] > 0, upper, lower)]
    )
    assert_equal(b.program, {"x": np.concatenate([extremes, rng.integers(lower, upper, (20, inputs), endpoint=True)])})


@pytest.mark.parametrize(("reach", "dtype"), [(2**24 - 1, "float32"), (2**24, "float64"), (2**53 - 1, "float64"), (2**53, "int64")])
def test_float_products_are_chosen_only_below_their_last_exact_integer(reach: int, dtype: str) -> None:
    b = Builder()
    x = b.input("x", [0, 0], [1, 1])
    y = b.affine([(Dense(np.array([[reach - 1, -1]])), x)])
    planned = make_plan(b.program, (y,))
    assert planned.parameters[1][0].dtype == dtype
    assert_equal(b.program, {"x": np.array([[0, 0], [0, 1], [1, 0], [1, 1]])})


Pair = tuple[int, int]
Geometry = tuple[tuple[int, int, int], tuple[int, ...], Pair, tuple[Pair, Pair], Pair, int]
GEOMETRY: list[Geometry] = [
    ((5, 6, 2), (3, 2, 2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((5, 6, 4), (3, 3, 1, 8), (2, 1), ((1, 2), (0, 1)), (1, 2), 4),
    ((6, 5, 4), (2, 3, 2, 2), (3, 2), ((2, 0), (1, 1)), (2, 1), 2),
]


@pytest.mark.parametrize(("factor", "dtype"), [(1, "float32"), (2**20, "float64"), (2**50, "int64")])
def test_convolutions_stay_convolutions(factor: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    for k, (image, kernel, stride, padding, dilation, groups) in enumerate(GEOMETRY):
        size = int(np.prod(image))
        x = b.input(f"x{k}", np.full(size, -20), np.full(size, 20))
        conv = Convolution(factor * rng.integers(-9, 10, kernel), image, stride, padding, dilation, groups)
        y = b.affine([(conv, x)], rng.integers(-5, 5, conv.outputs))
        planned = make_plan(b.program, (y,))
        assert isinstance(planned.plan.steps[1].kernel, Convolve)
        assert planned.parameters[1][0].dtype == dtype
    assert_equal(b.program, random_points(b.program, rng, 20))


@pytest.mark.parametrize("case", GEOMETRY)
def test_convolutions_by_taps(case: Geometry) -> None:
    """As on accelerators."""
    image, kernel, stride, padding, dilation, groups = case
    rng = np.random.default_rng(0)
    conv = Convolution(rng.integers(-9, 10, kernel), image, stride, padding, dilation, groups)
    x = rng.integers(-20, 20, (7, conv.inputs))
    arrays = device.to_device([x.reshape(7, *image).astype(np.float32), conv.kernel.astype(np.float32)])
    got = _convolve_by_taps(Convolve(image, stride, padding, dilation, groups), *arrays)
    np.testing.assert_array_equal(np.asarray(got).reshape(7, -1), linear.apply(conv, x))


def test_lists_of_entries() -> None:
    rng = np.random.default_rng(0)
    n = 40
    ragged = linear.sparse(n, n, np.repeat(5, 20), np.arange(20), rng.integers(1, 9, 20))
    filled = linear.to_sparse(Dense(rng.integers(1, 5, (30, n))))
    maps: list[tuple[LinearMap, type[Kernel]]] = [
        (linear.diagonal(rng.integers(1, 9, n)), Scale),
        (linear.selection(rng.integers(-1, n, 70), n), GatherKernel),
        (linear.row_sums(10, 4), GatherKernel),
        (ragged, Scatter),
        (filled, MatMul),
        (linear.selection(np.full(5, -1), n), GatherKernel),
    ]
    b = Builder()
    x = b.input("x", np.full(n, -100), np.full(n, 100))
    for m, kernel in maps:
        for factor in (1, 2**40):
            y = b.affine([(linear.scaled(m, np.full(m.outputs, factor)), x)])
            assert isinstance(make_plan(b.program, (y,)).plan.steps[1].kernel, kernel)
    assert_equal(b.program, random_points(b.program, rng, 20))


def overflowing(kind: str) -> Program:
    """Return a program whose node 1 or 2 cannot be evaluated on the device."""
    b = Builder()
    match kind:
        case "input":
            b.input("x", [-(2**70)], [2**70])
        case "bound":
            b.affine([(Dense(np.array([[2**40, 2**40]])), b.input("x", [0, 0], [2**21, 2**21]))])
        case "coefficient":
            b.affine([(Dense(np.array([[2**70]], dtype=object)), b.input("x", [0], [0]))])
        case "partial sum":
            x = b.input("x", [2**61], [2**61])
            b.affine([(Dense(np.array([[1]])), x), (Dense(np.array([[-1]])), x)])
        case "product":
            x = b.input("x", [0], [2**32])
            b.product(x, x)
        case "steps":
            b.rescale(b.input("x", [0], [2**40]), 2**40, 2**41 + 1, Rounding.RND)
        case "table":
            b.table(b.input("x", [0], [5]), 0, [1, 2, 3])
        case _:
            b.wrap(b.input("x", [-1], [0]), 64, False)
    return b.program


@pytest.mark.parametrize("kind", ["input", "bound", "coefficient", "partial sum", "product", "steps", "table", "wrap"])
def test_what_might_overflow_is_refused_by_name(kind: str) -> None:
    program = overflowing(kind)
    node = len(program) - 1
    with pytest.raises(UnsupportedError, match=rf"node {node} \({type(program[node]).__name__}\)"):
        compile_program(program)


def test_only_what_is_asked_for_must_fit() -> None:
    b = Builder()
    x = b.input("x", [0], [2**40])
    b.product(x, x)
    y = b.clamp(x, 0, 9)
    (value,) = compile_program(b.program, [y])({"x": np.array([5])})
    assert value.tolist() == [5]
    with pytest.raises(UnsupportedError, match="node 1"):
        trace(b.program, {"x": np.array([5])})


def layered(seed: int) -> tuple[Program, int]:
    """Return a small dense network, 40-6-3."""
    rng = np.random.default_rng(seed)
    b = Builder()
    h = b.rescale(
        b.affine([(Dense(rng.integers(-9, 10, (6, 40))), b.input("x", np.zeros(40), np.full(40, 255)))]),
        1,
        256,
        Rounding.RND,
        lower=0,
        upper=63,
    )
    return b.program, b.affine([(Dense(rng.integers(-9, 10, (3, 6))), h)])


def test_one_structure_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[object] = []
    original = evaluator.execute

    def counting(*arguments: object) -> tuple[jax.Array, ...]:
        traced.append(arguments)
        return original(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(evaluator, "execute", counting)
    jax.clear_caches()
    x = np.zeros((7, 40), dtype=np.uint8)
    for seed in range(4):
        compile_program(layered(seed)[0])({"x": x})
    assert len(traced) == 1


def test_inputs_of_any_type_and_shape() -> None:
    rng = np.random.default_rng(0)
    program, _ = layered(0)
    x = rng.integers(0, 256, (3, 2, 40))
    expected = evaluate(program, {"x": x})
    compiled = compile_program(program)
    for dtype in (np.uint8, np.int16, np.uint16, np.int32, np.uint64, np.int64, object):
        for got, value in zip(compiled({"x": x.astype(dtype)}), expected, strict=True):
            np.testing.assert_array_equal(got, value)
    assert [y.shape for y in compiled({"x": x[0, 0]})] == [(40,), (6,), (6,)]
    assert [y.shape for y in compiled({"x": x[:, :0]})] == [(3, 0, 40), (3, 0, 6), (3, 0, 6)]


def test_inputs_broadcast_and_constants_are_repeated() -> None:
    b = Builder()
    b.affine(
        [
            (Dense(np.array([[1]])), b.input("x", [0], [9])),
            (Dense(np.array([[2]])), b.input("y", [0], [9])),
            (Dense(np.array([[3]])), b.constant([4])),
        ]
    )
    values = trace(b.program, {"x": np.arange(5)[:, None], "y": np.array([7])})
    assert [v.shape for v in values] == [(5, 1)] * 4
    assert values[-1].reshape(-1).tolist() == [26, 27, 28, 29, 30]


def test_large_batches_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    program, _ = layered(1)
    x = np.random.default_rng(0).integers(0, 256, (50, 40))
    monkeypatch.setattr(evaluator, "CHUNK_ELEMENTS", 1000)
    compiled = compile_program(program)
    assert 1 < 1000 // compiled.planned.width < 50
    for got, value in zip(compiled({"x": x}), evaluate(program, {"x": x}), strict=True):
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("shift", [0, 128, 1000])
def test_loaded_inputs_give_the_same(shift: int) -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.input("x", np.full(40, shift), np.full(40, shift + 127))
    y = b.affine([(Dense(rng.integers(-9, 10, (3, 40))), x)])
    compiled = compile_program(b.program, [y])
    points = rng.integers(shift, shift + 128, (9, 40))
    loaded = compiled.load({"x": points})
    assert loaded.arrays[0].dtype == jnp.int8
    np.testing.assert_array_equal(np.asarray(compiled.run(loaded)[0]), evaluate(b.program, {"x": points})[y])


def test_an_input_that_is_also_read_otherwise_is_not_shifted() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.input("x", np.zeros(40), np.full(40, 255))
    b.affine([(Dense(rng.integers(-9, 10, (3, 40))), x)])
    b.clamp(x, 10, 20)
    points = rng.integers(0, 256, (9, 40))
    assert_equal(b.program, {"x": points})
    compiled = compile_program(b.program)
    for got, value in zip(compiled.run(compiled.load({"x": points})), evaluate(b.program, {"x": points}), strict=True):
        np.testing.assert_array_equal(np.asarray(got), value)


def test_wrong_inputs_are_named() -> None:
    compiled = compile_program(layered(0)[0])
    with pytest.raises(ShapeError, match="no value for input 'x'"):
        compiled({})
    with pytest.raises(ShapeError, match=r"expected: \(\.\.\., 40\)"):
        compiled({"x": np.zeros((2, 39), dtype=np.int64)})
    x = np.zeros((2, 40), dtype=np.int64)
    x[1, 3] = 256
    with pytest.raises(SpecError, match=r"outside its bounds at \[1, 3\]"):
        compiled({"x": x})
    with pytest.raises(SpecError, match="given:    -1"):
        compiled({"x": np.full(40, -1, dtype=np.int8)})


def test_64_bits_stay_inside() -> None:
    before = jnp.arange(3).dtype
    trace(layered(0)[0], {"x": np.zeros(40, dtype=np.int64)})
    assert jnp.arange(3).dtype == before == jnp.int32
