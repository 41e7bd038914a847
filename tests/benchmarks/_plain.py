"""A network of dense and convolutional layers in doubles, with slopes straight through roundings: what a plain attack needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import qspec as qs
from qspec.arithmetic.formats import Fixed, PerChannel

Values = npt.NDArray[np.float64]


class Plain:
    """Values in place of codes: sums are exact in doubles; only rounding to nearest, ties upwards, and saturation are known."""

    def __init__(self, network: qs.Network) -> None:
        counted = [s for s in network.stages if hasattr(s.layer, "kernel")]
        self.unit = np.array([float(u) for u in network.stages[counted[0].arguments[0]].type.grid.units])
        self.layers = [_Layer(s.layer, network.stages[s.arguments[0]].type.shape) for s in counted]

    def sums(self, codes: Values) -> Values:
        """Return the sums of the last layer, before they are rounded and clipped, for codes of the input."""
        return self._forward(codes)[1][-1]

    def outputs(self, codes: Values) -> Values:
        """Return the values of the outputs."""
        return self._forward(codes)[0]

    def slope(self, codes: Values, g: Values) -> Values:
        """Return the slopes of the inputs for those of the last sums."""
        sums = self._forward(codes)[1]
        for k in reversed(range(len(self.layers))):
            g = self.layers[k].backward(g)
            if k > 0:
                g = g * self.layers[k - 1].open(sums[k - 1])
        return g

    def _forward(self, codes: Values) -> tuple[Values, list[Values]]:
        x, sums = codes * self.unit, list[Values]()
        for layer in self.layers:
            sums.append(layer.forward(x))
            x = layer.stored(sums[-1])
        return x, sums


class _Layer:
    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self.weights = layer.kernel.codes.astype(np.float64) * _unit(layer.kernel)
        self.bias = 0.0 if layer.bias is None else layer.bias.codes.astype(np.float64) * _unit(layer.bias)
        self.relu = isinstance(layer.activation, qs.ReLU)
        self.output = layer.output
        assert self.output is None or self.output.rounding is qs.Rounding.RND
        self.image = shape if self.weights.ndim == 4 else None
        self.stride = layer.stride if self.image else (1, 1)
        self.padding = layer.padding if self.image else ((0, 0), (0, 0))
        if self.output is not None:
            places = int(np.prod(self._size())) if self.image else 1
            self.unit = np.tile(_unit(self.output), places if isinstance(self.output, PerChannel) else 1)
            self.low, self.high = np.tile(_ends(self.output), (1, places if isinstance(self.output, PerChannel) else 1))

    def forward(self, x: Values) -> Values:
        if self.image is None:
            return x @ self.weights + self.bias
        count = len(x)
        padded = np.pad(x.reshape(-1, *self.image), ((0, 0), *self.padding, (0, 0)))
        total = np.zeros((count, *self._size(), self.weights.shape[3])) + self.bias
        for a, b, i, j in self._places():
            total += padded[:, i, j] @ self.weights[a, b]
        return total.reshape(count, -1)

    def backward(self, g: Values) -> Values:
        if self.image is None:
            return g @ self.weights.T
        (top, bottom), (left, right) = self.padding
        height, width, channels = self.image
        full = np.zeros((len(g), height + top + bottom, width + left + right, channels))
        own = g.reshape(len(g), *self._size(), -1)
        for a, b, i, j in self._places():
            full[:, i, j] += own @ self.weights[a, b].T
        return full[:, top : top + height, left : left + width].reshape(len(g), -1)

    def stored(self, s: Values) -> Values:
        """Return the values that are stored for sums."""
        y = np.maximum(s, 0) if self.relu else s
        return y if self.output is None else np.clip(np.floor(y / self.unit + 0.5), self.low, self.high) * self.unit

    def open(self, s: Values) -> npt.NDArray[np.bool_]:
        """Return where a sum reaches the value that is stored."""
        return (s >= (0 if self.relu else self.low * self.unit)) & (s <= self.high * self.unit)

    def _size(self) -> tuple[int, int]:
        assert self.image is not None
        size = [(self.image[k] + sum(self.padding[k]) - self.weights.shape[k]) // self.stride[k] + 1 for k in (0, 1)]
        return size[0], size[1]

    def _places(self) -> list[tuple[int, int, slice, slice]]:
        (rows, columns), (down, over) = self._size(), self.stride
        return [
            (a, b, slice(a, a + (rows - 1) * down + 1, down), slice(b, b + (columns - 1) * over + 1, over))
            for a in range(self.weights.shape[0])
            for b in range(self.weights.shape[1])
        ]


def _channels(holder: Any) -> tuple[Fixed, ...]:
    form = holder if isinstance(holder, Fixed | PerChannel) else holder.format
    assert isinstance(form, Fixed | PerChannel)
    return form.formats if isinstance(form, PerChannel) else (form,)


def _unit(holder: Any) -> Values:
    """Return the unit of each channel, or of all."""
    return np.array([2.0**-form.frac for form in _channels(holder)])


def _ends(holder: Fixed | PerChannel) -> Values:
    """Return the least and the greatest code of each channel, or of all, shape (2, channels)."""
    return np.array([(f.lower, f.upper) for f in _channels(holder)], np.float64).T
