"""Two-moons networks, and questions about their robustness to changed inputs and weights, as real queries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from qspec.ir.real import Any, Function, Matrix, Query, check
from qspec.ir.real_builder import RealBuilder

Floats = npt.NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]
"""Weights (outputs, inputs) and biases of every layer."""
ACTIVATIONS = {"relu": Function.RELU, "tanh": Function.TANH, "sigmoid": Function.SIGMOID, "linear": None}
GRID = 2.0**-8


def moons(count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return points (count, 2) on two interleaving half circles, with noise, and their classes."""
    angle = np.pi * rng.random(count)
    label = np.arange(count) % 2
    upper = np.stack([np.cos(angle), np.sin(angle)], -1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], -1)
    points = np.where(label[:, None] == 0, upper, lower) - np.array([0.5, 0.25])
    return points + 0.1 * rng.normal(size=(count, 2)), label.astype(np.float64)


def activate(name: str, x: Floats) -> Floats:
    """Return an activation in floats."""
    match name:
        case "relu":
            return np.maximum(x, 0)
        case "tanh":
            return np.tanh(x)
        case "sigmoid":
            return 1 / (1 + np.exp(-x))
        case _:
            return x


def _slope(name: str, x: Floats, y: Floats) -> Floats:
    match name:
        case "relu":
            return (x > 0).astype(np.float64)
        case "tanh":
            return 1 - y * y
        case "sigmoid":
            return y * (1 - y)
        case _:
            return np.ones_like(x)


def train(layers: Layers, name: str, x: Floats, labels: Floats, steps: int = 3000, decay: float = 1e-3) -> Layers:
    """Fit a network (the logit of class 1, or the logits of all classes) by Adam on the cross entropy, and round its weights to 2**-8."""
    theta = [p for layer in layers for p in layer]
    first, second = [np.zeros_like(p) for p in theta], [np.zeros_like(p) for p in theta]
    for step in range(1, steps + 1):
        inner, outer = [], [x]
        for w, b in zip(theta[::2], theta[1::2], strict=True):
            inner.append(outer[-1] @ w.T + b)
            outer.append(activate(name, inner[-1]))
        z = inner[-1]
        if z.shape[1] == 1:
            g = activate("sigmoid", z) - labels[:, None]
        else:
            e = np.exp(z - z.max(1, keepdims=True))
            g = e / e.sum(1, keepdims=True) - np.eye(z.shape[1])[labels.astype(int)]
        g = g / len(x)
        for k in range(len(inner) - 1, -1, -1):
            gradients = g.T @ outer[k] + decay * theta[2 * k], g.sum(0)
            g = (g @ theta[2 * k]) * _slope(name, inner[k - 1], outer[k]) if k else g
            for i, d in zip((2 * k, 2 * k + 1), gradients, strict=True):
                first[i] = 0.9 * first[i] + 0.1 * d
                second[i] = 0.999 * second[i] + 0.001 * d * d
                theta[i] = theta[i] - 0.02 * (first[i] / (1 - 0.9**step)) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
    rounded = [np.round(p / GRID) * GRID for p in theta]
    return list(zip(rounded[::2], rounded[1::2], strict=True))


def fresh(sizes: list[int], rng: np.random.Generator) -> Layers:
    """Return random layers of these sizes."""
    return [(rng.normal(size=(m, n)) * np.sqrt(2 / n), 0.1 * rng.normal(size=m)) for n, m in pairwise(sizes)]


def evaluate(layers: Layers, name: str, x: Floats) -> Floats:
    """Return the logits of points (count, inputs)."""
    for k, (w, b) in enumerate(layers):
        x = x @ w.T + b
        x = activate(name, x) if k + 1 < len(layers) else x
    return x


class Builder(RealBuilder):
    """Writes programs of these networks."""

    def rows(self, *terms: tuple[Floats, int], bias: object = 0) -> int:
        """Add `bias + sum of matrix @ argument`."""
        return self.affine([(Matrix(m), a) for m, a in terms], bias)

    def activated(self, name: str, node: int) -> int:
        """Add an activation by its name; a linear one is none."""
        function = ACTIVATIONS[name]
        return node if function is None else self.apply(function, node)

    def network(self, layers: Layers, name: str, x: int) -> int:
        """Return the logits for an input node."""
        for k, (w, b) in enumerate(layers):
            x = self.rows((w, x), bias=b)
            x = self.activated(name, x) if k + 1 < len(layers) else x
        return x

    def free_network(self, layers: Layers, name: str, x: int | Floats, radius: float) -> int:
        """Return the logits of a network whose weights and biases are free within ±radius, for an input node or a fixed point."""
        flat = np.concatenate([np.concatenate([w.reshape(-1), b]) for w, b in layers])
        theta = self.input("w", flat - radius, flat + radius)
        begin = 0
        for k, (w, b) in enumerate(layers):
            outputs, inputs = w.shape
            weights, biases = np.arange(begin, begin + w.size), np.arange(begin + w.size, begin + w.size + b.size)
            begin += w.size + b.size
            rows = np.repeat(np.arange(outputs), inputs)
            if isinstance(x, int):
                products = self.product(self.select(theta, weights), self.select(x, np.tile(np.arange(inputs), outputs)))
                summed = np.zeros((outputs, w.size))
                summed[rows, np.arange(w.size)] = 1
                bias = np.zeros((outputs, flat.size))
                bias[np.arange(outputs), biases] = 1
                x = self.rows((summed, products), (bias, theta))
            else:
                matrix = np.zeros((outputs, flat.size))
                matrix[rows, weights] = np.tile(x, outputs)
                matrix[np.arange(outputs), biases] = 1
                x = self.rows((matrix, theta))
            x = self.activated(name, x) if k + 1 < len(layers) else x
        assert isinstance(x, int)
        return x

    def confidence(self, logits: int, outputs: int) -> int:
        """Return the confidence in class 1."""
        margin = logits if outputs == 1 else self.rows((np.array([[-1.0, 1.0]]), logits))
        return self.apply(Function.SIGMOID, margin)

    def done(self, node: int, *, strict: bool = False) -> Query:
        """Return the query whether some element of a node can be at least (or above) zero."""
        return check(Query(self.program, Any(node, strict)))


def other_class(layers: Layers, name: str, x: Floats, radius: float) -> Query:
    """Ask for a point within the radius (largest norm) with a logit that is at least that of the class of x."""
    b = Builder()
    logits = b.network(layers, name, b.input("x", x - radius, x + radius))
    z = evaluate(layers, name, x[None])[0]
    if z.size == 1:
        margins = np.array([[-1.0 if z[0] > 0 else 1.0]])
    else:
        margins = np.delete(np.eye(z.size), z.argmax(), axis=0)
        margins[:, z.argmax()] = -1
    return b.done(b.rows((margins, logits)))


def drift(layers: Layers, name: str, x: Floats, weight_radius: float, input_radius: float | None, eta: float) -> Query:
    """Ask for weights (and an input, if it has a radius) whose confidence is more than eta from that of the given weights."""
    b = Builder()
    outputs = len(layers[-1][1])
    if input_radius is None:
        z = evaluate(layers, name, x[None])[0]
        own = 1 / (1 + np.exp(-(z[0] if outputs == 1 else z[1] - z[0])))
        free = b.confidence(b.free_network(layers, name, x, weight_radius), outputs)
        return b.done(b.rows((np.array([[1.0], [-1.0]]), free), bias=np.array([-own - eta, own - eta])), strict=True)
    at = b.input("x", x - input_radius, x + input_radius)
    free = b.confidence(b.free_network(layers, name, at, weight_radius), outputs)
    fixed = b.confidence(b.network(layers, name, at), outputs)
    sign = np.array([[1.0], [-1.0]])
    return b.done(b.rows((sign, free), (-sign, fixed), bias=np.array([-eta, -eta])), strict=True)
