"""Predictors of a pupil's final grade, after the experiment of *How many bits does it take to quantize your neural network?* (TACAS 2020).

That paper predicts the mathematics grade from the table "Students performance in exams" and asks how far two pupils can be apart who differ
in nothing but their gender. Its network is not public, and the table has no stated licence; here the same is asked about networks that were
trained on UCI's Student Performance (Cortez and Silva 2008, CC BY 4.0): grades from 0 to 20 of 1044 records in two courses. As it is not
known whether other grades were inputs, there are two variants: "background", and "scores", which reads the two earlier grades, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

import qspec as qs
from qspec_models.card import DIRECTORY

Variant = Literal["background", "scores"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
FOLDER = DIRECTORY / "grades"
SAMPLE = 4096
"""Random rows on which the range of hidden signals is measured."""
EDUCATION = ("none", "up to 4th grade", "5th to 9th grade", "secondary", "higher")
HOURS = ("under 2 hours", "2 to 5 hours", "5 to 10 hours", "over 10 hours")
WORDS = {"F": "female", "M": "male", "GP": "Gabriel Pereira", "MS": "Mousinho da Silveira"}


def schema(variant: Variant) -> qs.Schema:
    """Return the table of a variant: what a pupil's row says; `sex` is protected."""
    yes = ("no", "yes")
    shared = (
        qs.Categorical("sex", ("female", "male"), onehot=False),
        qs.Categorical("course", ("mathematics", "Portuguese"), onehot=False),
        qs.Ordinal("mother's education", EDUCATION),
        qs.Ordinal("study time", HOURS, first=1),
        qs.Whole("failures", 0, 3),
        qs.Ordinal("wants higher education", yes),
    )
    own: dict[Variant, tuple[qs.Categorical | qs.Ordinal | qs.Whole, ...]] = {
        "background": (
            qs.Categorical("school", ("Gabriel Pereira", "Mousinho da Silveira"), onehot=False),
            qs.Whole("age", 15, 22),
            qs.Ordinal("school support", yes),
        ),
        "scores": (qs.Whole("first grade", 0, 20), qs.Whole("second grade", 0, 20)),
    }
    return qs.Schema((*shared, *own[variant]), protected=("sex",))


def row(variant: Variant, course: str, record: Mapping[str, str]) -> dict[str, str | int]:
    """Return the row of a record of the UCI files."""
    found: dict[str, str | int] = {
        "sex": WORDS[record["sex"]],
        "course": course,
        "mother's education": EDUCATION[int(record["Medu"])],
        "study time": HOURS[int(record["studytime"]) - 1],
        "failures": int(record["failures"]),
        "wants higher education": record["higher"],
        "school": WORDS[record["school"]],
        "age": int(record["age"]),
        "school support": record["schoolsup"],
        "first grade": int(record["G1"]),
        "second grade": int(record["G2"]),
    }
    return {f.name: found[f.name] for f in schema(variant).features}


def real(variant: Variant) -> qs.real.Network:
    """Return the network as it was trained, without rounding."""
    return qs.load(FOLDER / f"{variant}.qspec", kind=qs.real.Network)


def facts(variant: Variant) -> dict[str, Any]:
    """Return what is known about a network: records, errors on those held out, how it was trained, its hash."""
    return json.loads((FOLDER / f"{variant}.facts").read_text(encoding="utf-8"))


def network(variant: Variant, bits: int) -> qs.Network:
    """Return the network in fixed point: weights, biases and everything that a layer puts out have so many bits.

    Inputs are read exactly. Binary points are those that fit `SAMPLE` random rows (`RealNetwork.calibrate`); what is larger saturates.
    """
    table = schema(variant)
    rng = np.random.default_rng(0)
    sample = np.stack([rng.integers(0, len(f.values), SAMPLE) + int(f.start) for f in table.features], axis=1)
    return real(variant).calibrate(sample, input=table.format(), per="tensor").quantized(bits)
