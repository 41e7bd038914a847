"""Random ONNX graphs of a few nodes, valid by construction, with dyadic numbers: how operators that are read act on each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import helper

from tests.unit.onnx_families import Case

SHAPES: list[tuple[int, ...]] = [(1, 4, 5, 2), (1, 2, 4, 5), (1, 12), (1, 1, 4, 4), (3, 4)]


class Graph:
    """A graph that grows; every tensor is known with its shape."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {"x": SHAPES[self.rng.integers(len(SHAPES))]}

    def constant(self, value: object) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        return name

    def quarters(self, *shape: int) -> str:
        return self.constant((self.rng.integers(-8, 9, shape) / 4).astype(np.float32))

    def add(self, op: str, inputs: Sequence[str], shape: Sequence[int], **attributes: Any) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [*inputs], [name], **attributes))
        self.shapes[name] = tuple(int(d) for d in shape)

    def some(self) -> str:
        """Return the last tensor, or any."""
        names = [*self.shapes]
        return names[-1] if self.rng.random() < 0.75 else names[self.rng.integers(len(names))]

    def move(self, x: str) -> None:
        s = self.shapes[x]
        n, axis = prod(s), int(self.rng.integers(len(s)))
        match int(self.rng.integers(5)):
            case 0:
                order = self.rng.permutation(len(s)).tolist()
                self.add("Transpose", [x], [s[k] for k in order], perm=order)
            case 1:
                shapes = [(1, n), (n,), (1, 1, n, 1), (n, 1), *([(2, n // 2), (1, 2, n // 2, 1)] if n % 2 == 0 else [])]
                shape = shapes[self.rng.integers(len(shapes))]
                self.add("Reshape", [x, self.constant(np.array(shape))], shape)
            case 2 if s[axis] > 1:
                ends = [self.constant(np.array([v])) for v in (1, s[axis], axis)]
                self.add("Slice", [x, *ends], [*s[:axis], s[axis] - 1, *s[axis + 1 :]])
            case 3:
                pads = self.rng.integers(0, 2, 2 * len(s))
                value = self.constant(np.float32(self.rng.integers(2)))
                self.add("Pad", [x, self.constant(pads), value], (np.array(s) + pads[: len(s)] + pads[len(s) :]).tolist())
            case _:
                other = self.some()
                if self.shapes[other] == s:
                    self.add("Concat", [x, other], [*s[:axis], 2 * s[axis], *s[axis + 1 :]], axis=axis)

    def calculate(self, x: str) -> None:
        s = self.shapes[x]
        axis, other = int(self.rng.integers(len(s))), self.some()
        match int(self.rng.integers(6)):
            case 0:
                self.add("Relu", [x], s)
            case 1:
                repeated = self.quarters(*(d if self.rng.random() < 0.5 else 1 for d in s))
                self.add(("Add", "Sub", "Mul")[self.rng.integers(3)], [x, repeated], s)
            case 2:
                self.add("Sub", [self.quarters(*s), x], s)
            case 3 if self.shapes[other] == s:
                self.add(("Add", "Sub", "Max", "Min")[self.rng.integers(4)], [x, other], s)
            case 4:
                self.add("Clip", [x, self.constant(np.float32(-1)), self.constant(np.float32(1.5))], s)
            case _:
                self.add("ReduceSum", [x, self.constant(np.array([axis]))], [*s[:axis], 1, *s[axis + 1 :]], keepdims=1)

    def layer(self, x: str) -> None:
        s = [*self.shapes[x]]
        if len(s) == 4 and s[0] == 1 and min(s[2:]) > 1 and self.rng.random() < 0.7:
            pads = self.rng.integers(0, 2, 4).tolist()
            if self.rng.random() < 0.5:
                size = (s[2] + pads[0] + pads[2] - 1, s[3] + pads[1] + pads[3] - 1)
                self.add("Conv", [x, self.quarters(3, s[1], 2, 2), self.quarters(3)], (1, 3, *size), pads=pads)
            else:
                self.add(("MaxPool", "AveragePool")[self.rng.integers(2)], [x], (1, s[1], s[2] - 1, s[3] - 1), kernel_shape=[2, 2])
        elif len(s) > 1 and self.rng.random() < 0.5:
            self.add("MatMul", [self.quarters(2, s[-2]), x], (*s[:-2], 2, s[-1]))
        else:
            self.add("MatMul", [x, self.quarters(s[-1], 3)], (*s[:-1], 3))


def random_graph(seed: int) -> Case:
    """Return a file of up to ten nodes, of one or two outputs."""
    g = Graph(seed)
    for _ in range(int(g.rng.integers(3, 9))):
        (g.move, g.calculate, g.layer)[g.rng.integers(3)](g.some())
        if prod(g.shapes[next(reversed(g.shapes))]) > 400:
            break
    names = [*g.shapes]
    g.nodes.append(helper.make_node("LeakyRelu", [names[-1]], ["y"], alpha=0.25))
    two = len(names) > 2 and g.rng.random() < 0.3
    if two:
        g.nodes.append(helper.make_node("Neg", [names[-2]], ["z"]))
    text = f"random graph {seed}: {[n.op_type for n in g.nodes]}"
    return Case("random graph", 13, g.nodes, {"x": g.shapes["x"]}, g.weights, 1, ("y", "z") if two else ("y",), text)
