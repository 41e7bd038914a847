"""The data sets that scikit-learn ships, as integers, split once into training and held-out samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from sklearn import datasets
from sklearn.model_selection import train_test_split

from qspec import Feature

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
SEED = 2020
"""Of the split; one split for all models of a data set."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Input codes and targets (classes, or whole numbers to regress), a quarter of them held out."""

    name: str
    train: tuple[Integers, Integers]
    held_out: tuple[Integers, Integers]
    highest: int
    """Largest input that means anything; the lowest is 0."""
    features: tuple[Feature, ...] = ()
    shipped: bool = True
    """Whether the held-out samples are written beside the network."""


def digits() -> Dataset:
    """Return handwritten digits, images (8, 8, 1) of 0..16 (ink in blocks of 4x4 pixels)."""
    images, labels = (to_integers(a) for a in shipped("digits"))
    return Dataset("digits", *split(images.reshape(-1, 8, 8, 1), labels, stratified=True), highest=16)


def digits_tiny() -> Dataset:
    """Return the digits reduced to (4, 2, 1) of 0..3: the ink in blocks of 2x4 values, in steps of 18, at most 3 (16 bits in all)."""
    images, labels = (to_integers(a) for a in shipped("digits"))
    ink = images.reshape(-1, 4, 2, 2, 4).sum(axis=(2, 4))
    return Dataset("digits-tiny", *split(np.minimum(ink // 18, 3)[..., None], labels, stratified=True), highest=3)


def iris() -> Dataset:
    """Return the irises, four lengths in millimetres."""
    centimetres, species = shipped("iris")
    lengths = to_integers(centimetres * 10)
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    return Dataset("iris", *split(lengths, to_integers(species), stratified=True), highest=127, features=ranges(names, lengths))


def diabetes() -> Dataset:
    """Return diabetes patients: five readings as whole numbers (`ltg`, a logarithm, in tenths), and the progression a year later."""
    readings, progression = shipped("diabetes", scaled=False)
    names = ("age", "sex", "bmi", "bp", "ltg_tenths")
    whole = to_integers(readings[:, [0, 1, 2, 3, 8]] * np.array([1, 1, 1, 1, 10]))
    return Dataset("diabetes", *split(whole, to_integers(progression), stratified=False), highest=255, features=ranges(names, whole))


def shipped(name: str, **options: bool) -> tuple[Reals, Reals]:
    """Return the inputs, shape (samples, columns), and targets of a data set that comes with scikit-learn."""
    load = cast("Callable[..., tuple[Reals, Reals]]", getattr(datasets, f"load_{name}"))
    return load(return_X_y=True, **options)


def split(inputs: Integers, targets: Integers, *, stratified: bool) -> tuple[tuple[Integers, Integers], tuple[Integers, Integers]]:
    """Return training and held-out (inputs, targets); a quarter is held out, by `SEED`."""
    cut = cast("Callable[..., list[Integers]]", train_test_split)
    train, test = cut(np.arange(len(targets)), test_size=0.25, random_state=SEED, stratify=targets if stratified else None)
    return (inputs[train], targets[train]), (inputs[test], targets[test])


def ranges(names: tuple[str, ...], columns: Integers) -> tuple[Feature, ...]:
    """Return a feature for each column, from its least to its greatest value in the data."""
    return tuple(Feature(n, int(c.min()), int(c.max())) for n, c in zip(names, columns.T, strict=True))


def to_integers(values: Reals) -> Integers:
    """Round to nearest, ties upwards."""
    return np.floor(values + 0.5).astype(np.int64)
