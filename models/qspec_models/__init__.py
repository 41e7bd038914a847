"""Small quantised networks that come with qspec: `names`, `card`, `load` and `samples`.

`qspec_models.queries` states the standard queries of each in the language.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import qspec as qs
from qspec.arithmetic.integers import IntArray, integers
from qspec_models.card import DIRECTORY as DIRECTORY
from qspec_models.card import Card as Card
from qspec_models.card import CertifiedShare as CertifiedShare
from qspec_models.card import IndividualFairness as IndividualFairness
from qspec_models.card import LocalRobustness as LocalRobustness
from qspec_models.card import Monotonicity as Monotonicity
from qspec_models.card import Origin as Origin
from qspec_models.card import StandardQuery as StandardQuery

CERTIFIED_INT8 = DIRECTORY / "mnist-certified-int8.tflite"
"""An int8 file of TensorFlow Lite whose hidden layers compute the codes of `mnist-certified-8bit`, with certificates for its test set."""


def names() -> list[str]:
    """Return the names of the shipped models, sorted."""
    return sorted(path.stem for path in DIRECTORY.glob("*.json"))


def card(name: str) -> Card:
    """Return what is known about a model; raises ModelFileError if there is none of this name."""
    if name not in names():
        raise qs.ModelFileError("no such model", given=name, expected=", ".join(names()))
    return Card.from_json((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))


def load(name: str) -> qs.Network:
    """Return a model's network; `qs.load(name)` does the same. Raises ModelFileError if there is none of this name."""
    return qs.load(card(name).path)


def samples(name: str) -> tuple[IntArray, IntArray]:
    """Return the held-out samples of a model: input codes, shape (samples, ...), and classes or regressed numbers, shape (samples,).

    Raises ModelFileError if there is no such model, or its samples are not shipped.
    """
    described = card(name)
    if described.samples_sha256 is None:
        raise qs.ModelFileError("the samples of this model are not shipped", given=name, advice=f"get them from {described.origin.url}")
    with np.load(described.samples_path, allow_pickle=False) as arrays:
        return integers(arrays["inputs"]), integers(arrays["targets"])


digits_4bit = partial(load, "digits-4bit")
digits_6bit = partial(load, "digits-6bit")
digits_8bit = partial(load, "digits-8bit")
digits_conv_4bit = partial(load, "digits-conv-4bit")
digits_conv_6bit = partial(load, "digits-conv-6bit")
digits_conv_8bit = partial(load, "digits-conv-8bit")
digits_tiny = partial(load, "digits-tiny")
iris_4bit = partial(load, "iris-4bit")
diabetes_8bit = partial(load, "diabetes-8bit")
fashion_certified_8bit = partial(load, "fashion-certified-8bit")
fashion_certified_dense_8bit = partial(load, "fashion-certified-dense-8bit")
mnist_certified_4bit = partial(load, "mnist-certified-4bit")
mnist_certified_6bit = partial(load, "mnist-certified-6bit")
mnist_certified_8bit = partial(load, "mnist-certified-8bit")
mnist_conv_8bit = partial(load, "mnist-conv-8bit")


def mnist_certified_int8() -> qs.Network:
    """Return the network in `CERTIFIED_INT8` as TensorFlow Lite Micro computes it."""
    return qs.load(CERTIFIED_INT8, kind=qs.Network, semantics="tflm")
