"""The queries that searches for counterexamples are measured on: images, tables of two copies, convolutions, one and more hidden layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aaai21
import convolution
import fairness_nets
import numpy as np
import numpy.typing as npt
import qvip
from _data import find, read_idx
from _pairs import random_rows
from _plain import Plain

import qspec as qs
import qspec_models
from qspec.extremes import fairness

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """One query: the property, the network, the box of codes, and for plain searches the slope of what makes it false."""

    name: str
    spec: qs.Property
    network: qs.Network
    lower: Values
    upper: Values
    slope: Callable[[Plain, Values], Values]
    violated: Callable[[Plain, Values], npt.NDArray[np.bool_]]
    confirm: Callable[[Values], None]
    """Raises AssertionError for a point that is no counterexample by the reference integers."""


def image_case(name: str, spec: qs.Property, network: qs.Network, box: tuple[Values, Values], label: int) -> Case:
    """Return a query of local robustness."""

    def slope(plain: Plain, x: Values) -> Values:
        sums = plain.sums(x)
        rivals = sums.copy()
        rivals[:, label] = -np.inf
        g = np.zeros_like(sums)
        g[np.arange(len(g)), rivals.argmax(axis=1)] = 1
        g[:, label] -= 1
        return plain.slope(x, g)

    def confirm(point: Values) -> None:
        assert network.evaluate(point.astype(np.int64).reshape(network.inputs[0].type.shape)).argmax() != label

    return Case(name, spec, network, *box, slope, lambda plain, x: plain.outputs(x).argmax(axis=1) != label, confirm)


def fair_case(name: str, network: qs.Network, schema: Any) -> Case:
    """Return a query of fairness: two rows that differ in the protected column alone get opposite signs."""
    place = [f.name for f in schema.features].index(schema.protected[0])
    low = np.array([float(f.start) for f in schema.features])
    high = np.array([float(f.start + f.stride * (len(f.values) - 1)) for f in schema.features])

    def both(x: Values) -> tuple[Values, Values]:
        first, second = x.copy(), x.copy()
        first[:, place], second[:, place] = low[place], high[place]
        return first, second

    def slope(plain: Plain, x: Values) -> Values:
        first, second = both(x)
        f, g = plain.sums(first), plain.sums(second)
        sign = np.where(f >= g, 1.0, -1.0)  # the larger one is to be positive, the smaller one negative
        short = np.where(sign > 0, np.maximum(0, -f) - np.maximum(0, g), np.maximum(0, -g) - np.maximum(0, f))
        towards = np.sign(short)
        return plain.slope(first, towards) + plain.slope(second, towards)

    def violated(plain: Plain, x: Values) -> npt.NDArray[np.bool_]:
        first, second = both(x)
        return (plain.outputs(first) * plain.outputs(second))[:, 0] < 0

    def confirm(point: Values) -> None:
        first, second = (network.evaluate(v[0].astype(np.int64)) for v in both(point[None]))
        assert int(first[0]) * int(second[0]) < 0

    return Case(name, fairness.same_decision(network, schema), network, low, high, slope, violated, confirm)


def _images(data: Path) -> tuple[Any, Any]:
    images = read_idx(find(data / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    return images, read_idx(find(data / "mnist", "t10k-labels*")).astype(np.int64)


def _robust(name: str, network: qs.Network, radii: tuple[int, ...], data: Path, samples: int, skip: int = 0) -> Iterator[Case]:
    images, labels = _images(data)
    images, labels = images[skip : skip + 40 + 2 * samples], labels[skip : skip + 40 + 2 * samples]
    right = np.flatnonzero(network.evaluate(images).argmax(axis=1) == labels)[:samples]
    for radius in radii:
        for k in right:
            box = np.maximum(images[k] - radius, 0).astype(np.float64), np.minimum(images[k] + radius, 255).astype(np.float64)
            spec = qs.properties.local_robustness(network, images[k], radius, int(labels[k]))
            yield image_case(f"{name} {k + skip} r={radius}", spec, network, box, int(labels[k]))


def _qvip(parts: tuple[tuple[str, int, tuple[int, ...]], ...]) -> Callable[[Path, int], Iterator[Case]]:
    def made(data: Path, samples: int) -> Iterator[Case]:
        for part, bits, radii in parts:
            path = find(data / "qvip", f"*{part}_in_8_qu_{bits}*.h5")
            yield from _robust(f"{part} {bits} bits", qvip.build_network(path, bits), radii, data, samples)

    return made


def _aaai(data: Path, samples: int) -> Iterator[Case]:
    network = aaai21.build_network(find(data / "aaai21_qnn", "mnist_mlp.npz"))
    yield from _robust("aaai21", network, (4, 6), data, 2 * samples, 300)


def _fair(*names: str) -> Callable[[Path, int], Iterator[Case]]:
    def made(data: Path, samples: int) -> Iterator[Case]:
        del samples
        for name in names:
            real, schema = fairness_nets.load(name, data)
            values = random_rows(schema, fairness_nets.SAMPLE, 0)
            for bits in (8, 6):
                network = real.calibrate(values, input=schema.format())(bits)
                yield fair_case(f"{name} {bits} bits", network, schema)

    return made


def _convolutions(*names: str, radii: tuple[int, ...]) -> Callable[[Path, int], Iterator[Case]]:
    def made(data: Path, samples: int) -> Iterator[Case]:
        for name in names:
            network = qs.load(qspec_models.card(name).path)
            images, labels = convolution.samples(name, data)
            right = np.flatnonzero(network.evaluate(images[:100]).argmax(axis=1) == labels[:100])[:samples]
            card = qspec_models.card(name)
            for radius in radii:
                for k in right:
                    centre = images[k].reshape(-1).astype(np.float64)
                    box = np.maximum(centre - radius, card.lowest), np.minimum(centre + radius, card.highest)
                    x = network.input("x", lower=card.lowest, upper=card.highest)
                    label = int(labels[k])
                    spec = qs.forall(x, given=qs.linf(x.code - images[k]) <= radius, then=qs.argmax(network(x)) == label)
                    yield image_case(f"{name} {k} r={radius}", spec, network, box, label)

    return made


FAMILIES: dict[str, Callable[[Path, int], Iterator[Case]]] = {
    "QVIP 1 hidden layer": _qvip((("1blk_100", 6, (4, 6, 10)),)),
    "QVIP 2 hidden layers": _qvip((("2blk_64_32", 4, (4, 6, 10)), ("2blk_64_32", 8, (4, 6, 10)))),
    "AAAI 2021": _aaai,
    "adult": _fair(*(f"AC-{k}" for k in range(1, 13) if k != 2)),
    "bank": _fair(*(f"BM-{k}" for k in range(1, 9))),
    "compas and UCI": _fair("compas-1", "compas-2", "compas-4", "UCI-1", "UCI-2", "UCI-3", "UCI-4"),
    "digits-conv": _convolutions("digits-conv-4bit", "digits-conv-6bit", "digits-conv-8bit", radii=(1, 2)),
    "mnist-conv": _convolutions("mnist-conv-8bit", radii=(8, 16)),
}


def cases(family: str, data: Path, samples: int) -> Iterator[Case]:
    """Yield the queries of a family."""
    yield from FAMILIES[family](data, samples)
