"""Compare the JAX evaluator with onnxruntime's int8 kernels on one network, side by side.

Both compute a dense network with uint8 inputs and activations and int8 weights; onnxruntime as two QLinearMatMul nodes whose scales are
powers of two, so that its requantisation (round half to even, saturate) is the network's own. Before any timing all outputs of both are
compared with the reference evaluator. Then they take turns, after pauses in which idle threads stop spinning: a run to warm up, and a few
that are measured. The ratio is the median over pairs of runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.evaluate.jax import compile_program
from qspec.ir.integer import Program
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Dense
from qspec.ir.reference import evaluate

sys.path.insert(0, str(Path(__file__).parent))
from _report import machine, versions

SHIFTS = (11, 3)
"""Bits dropped behind each layer."""
PAUSE = 0.01
"""Seconds between turns."""
TURN = 5
"""Measured runs per turn."""


def weights(shape: tuple[int, int, int], seed: int) -> list[IntArray]:
    """Return 6-bit weights of two layers, shape (inputs, outputs)."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-31, 32, (shape[k], shape[k + 1])) for k in (0, 1)]


def qspec_program(layers: list[IntArray]) -> tuple[Program, int]:
    """Return the network as a program, and the position of its output."""
    b = Builder()
    inputs = layers[0].shape[0]
    node = b.input("x", np.zeros(inputs), np.full(inputs, 255))
    for matrix, shift in zip(layers, SHIFTS, strict=True):
        node = b.rescale(b.affine([(Dense(matrix.T), node)]), 1, 2**shift, Rounding.RND_CONV, lower=0, upper=255)
    return b.program, node


def onnx_session(layers: list[IntArray]) -> onnxruntime.InferenceSession:
    """Return the same network as an onnxruntime session."""
    nodes, initializers = [], []
    for k, (matrix, shift) in enumerate(zip(layers, SHIFTS, strict=True)):
        one, none = np.float32(1), np.uint8(0)
        arrays = {"xs": one, "xz": none, "w": matrix.astype(np.int8), "ws": one, "wz": np.int8(0), "ys": np.float32(2**shift), "yz": none}
        initializers += [numpy_helper.from_array(np.asarray(a), f"{name}{k}") for name, a in arrays.items()]
        nodes.append(helper.make_node("QLinearMatMul", [f"h{k}", *(f"{name}{k}" for name in arrays)], [f"h{k + 1}"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", size])
        for name, size in (("h0", layers[0].shape[0]), ("h2", layers[1].shape[1]))
    ]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def alternate(routes: dict[str, Callable[[], object]], runs: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return the milliseconds of each measured run of each route; in each round the routes take turns in another order."""
    times: dict[str, list[float]] = {name: [] for name in routes}
    rng = np.random.default_rng(0)
    for _ in range(-(-runs // TURN)):
        for name in rng.permutation(list(routes)):
            time.sleep(PAUSE)
            routes[name]()
            for _ in range(TURN):
                began = time.perf_counter()
                routes[name]()
                times[name].append(1e3 * (time.perf_counter() - began))
    return {name: np.array(t) for name, t in times.items()}


def report(times: dict[str, npt.NDArray[np.float64]], base: str) -> None:
    """Print one line per route."""
    print(f"{'route':42s} {'fastest':>9s} {'median':>9s} {'ratio':>7s}")
    for name, t in times.items():
        print(f"{name:42s} {t.min():6.3f} ms {np.median(t):6.3f} ms {np.median(t / times[base]):7.2f}")
    print(f"ratio: median over pairs of the time divided by that of {base}; below 1 is faster")


def main() -> None:
    """Check, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--shape", type=int, nargs=3, default=(784, 64, 32), metavar=("INPUTS", "HIDDEN", "OUTPUTS"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    layers = weights(tuple(arguments.shape), arguments.seed)
    images = np.random.default_rng(arguments.seed + 1).integers(0, 256, (arguments.images, layers[0].shape[0])).astype(np.uint8)
    program, output = qspec_program(layers)
    compiled, session = compile_program(program, [output]), onnx_session(layers)
    loaded = compiled.load({"x": images})
    expected = evaluate(program, {"x": images.astype(np.int64)})[output]
    for name, got in (("qspec", np.asarray(compiled.run(loaded)[0])), ("onnxruntime", np.asarray(session.run(None, {"h0": images})[0]))):
        if not np.array_equal(got, expected):
            raise SystemExit(f"{name} differs from the reference in {int(np.any(got != expected, axis=1).sum())} of {len(images)} images")
    shape = "-".join(map(str, arguments.shape))
    print(f"{shape}, {len(images)} images; all outputs of both equal the reference; {len(np.unique(expected))} different codes")
    print(f"{machine()}; JAX on {jax.devices()[0].device_kind}\n{versions('jax', 'jaxlib', 'onnxruntime', 'numpy')}")
    routes: dict[str, Callable[[], object]] = {
        "onnxruntime": lambda: session.run(None, {"h0": images}),
        "qspec, images loaded": lambda: compiled.run(loaded)[0].block_until_ready(),
        "qspec, images copied and checked each time": lambda: compiled({"x": images}),
    }
    report(alternate(routes, arguments.runs), "onnxruntime")


if __name__ == "__main__":
    main()
