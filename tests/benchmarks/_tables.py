"""The tables that published fairness networks read, as schemas.

Words come from the data files, codes are those of scikit-learn's LabelEncoder. Ranges are those of Fairify (adult, bank), and of the .nnet
files of FairQuant (COMPAS, student performance).
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

from qspec.named.schema import Categorical, Column, Ordinal, Schema, Whole

ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race", "sex"),
    *("capital-gain", "capital-loss", "hours-per-week", "native-country"),
)
STUDENT = (
    *("school", "sex", "age", "address", "famsize", "Pstatus", "Medu", "Fedu", "Mjob", "Fjob", "reason", "guardian", "traveltime"),
    *("studytime", "failures", "schoolsup", "famsup", "paid", "activities", "nursery", "higher", "internet", "romantic", "famrel"),
    *("freetime", "goout", "Dalc", "Walc", "health", "absences"),
)


def adult(data: Path) -> Schema:
    """Return the table of the AC networks: 13 columns, census data of 1994; the sex is protected."""
    with gzip.open(data / "tabular/adult.data.gz", "rt") as file:
        rows = [dict(zip(ADULT, (w.strip() for w in r), strict=False)) for r in csv.reader(file) if r]
    words = _words([r for r in rows if "?" not in r.values()])
    ranges = {"age": (10, 100), "education-num": (1, 16), "capital-gain": (0, 19), "capital-loss": (0, 19), "hours-per-week": (1, 100)}
    names = [n for n in ADULT if n != "fnlwgt"]
    return Schema(tuple(Whole(n, *ranges[n]) if n in ranges else _coded(n, words[n]) for n in names), ("sex",))


def bank(data: Path) -> Schema:
    """Return the table of the BM networks: 16 columns, telephone marketing of a Portuguese bank; the age (in two classes) is protected."""
    with (data / "tabular/bank-additional.csv").open() as file:
        words = _words([r for r in csv.DictReader(file, delimiter=";") if "unknown" not in r.values()])
    sizes = {"job": 11, "marital": 3, "education": 7, "default": 2, "housing": 2, "loan": 2, "contact": 2, "month": 12, "day_of_week": 7}
    words["default"] = ["no", "yes"]  # nobody in the sample has a default
    coded: list[Column] = [_coded(n, words[n], size) for n, size in sizes.items()]
    ends = {"duration": (0, 5000), "emp.var.rate": (-3, 1), "campaign": (1, 50), "pdays": (0, 999), "previous": (0, 7)}
    numbers: list[Column] = [Whole(n, *ends[n]) for n in ends]
    age = Ordinal("age", ("under 25", "25 and over"))
    return Schema((age, *coded, *numbers, _coded("poutcome", words["poutcome"])), ("age",))


def compas(data: Path) -> Schema:
    """Return the table of the COMPAS networks: 6 columns; the race (in two classes) is protected."""
    del data  # it is coded as numbers
    yes: Sequence[str] = ("no", "yes")
    return Schema(
        (
            Ordinal("reoffended within two years", tuple(yes)),
            Whole("priors", 0, 38),
            Ordinal("age", ("under 25", "25 and over")),
            Categorical("race", ("white", "other"), onehot=False),
            Ordinal("female", tuple(yes)),
            Ordinal("misdemeanour", tuple(yes)),
        ),
        ("race",),
    )


def student(data: Path) -> Schema:
    """Return the table of the UCI networks: 30 columns of the student performance data; the sex is protected."""
    with (data / "tabular/student-mat.csv").open() as file:
        words = _words(list(csv.DictReader(file, delimiter=";")))
    ends = {
        "age": (0, 1),
        "Medu": (0, 4),
        "Fedu": (0, 4),
        "traveltime": (1, 4),
        "studytime": (1, 4),
        "failures": (0, 3),
        "absences": (0, 3),
    }
    ends |= dict.fromkeys(("famrel", "freetime", "goout", "Dalc", "Walc", "health"), (1, 5))
    return Schema(tuple(Whole(n, *ends[n]) if n in ends else _coded(n, words[n]) for n in STUDENT), ("sex",))


def _words(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    return {name: sorted({r[name] for r in rows}) for name in rows[0]}


def _coded(name: str, words: Sequence[str], size: int | None = None) -> Categorical:
    """Return a feature that is coded by position; codes beyond the words of the data are called by their number."""
    found = sorted(words)
    return Categorical(name, (*found, *(f"code {k}" for k in range(len(found), size or 0))), onehot=False)
