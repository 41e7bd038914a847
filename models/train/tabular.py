"""Train the models of tables again: `python models/train/tabular.py --out models/qspec_models/data`."""

from __future__ import annotations

from command import main
from data import diabetes, iris
from fit import Recipe

from qspec import Fixed
from qspec.training import Dense
from qspec_models import IndividualFairness, Monotonicity

IRIS = Recipe(
    "iris-4bit",
    "4-8-3 dense",
    iris,
    "classification",
    Fixed(7, 0, signed=False),
    (Dense(8, Fixed(4, 5), Fixed(8, 3), Fixed(4, 2, signed=False)), Dense(3, Fixed(4, 2), Fixed(8, 4), None)),
    standardize=True,
)
"""Lengths in millimetres; with the ranges of its features it has 1.4 million inputs, few enough to try them all."""

DIABETES = Recipe(
    "diabetes-8bit",
    "5-4-1 dense",
    diabetes,
    "regression",
    Fixed(8, 0, signed=False),
    (Dense(4, Fixed(8, 6), Fixed(12, 4), Fixed(8, 4, signed=False)), Dense(1, Fixed(8, 1), Fixed(12, 2), Fixed(9, 0, signed=False))),
    rate=2e-3,
    decay=0.5,
    standardize=True,
    queries=(
        *(IndividualFairness("sex", tolerance) for tolerance in (10, 41, 42)),
        *(Monotonicity(feature) for feature in ("bmi", "bp", "ltg_tenths")),
    ),
)
"""Readings as whole numbers in, the measure of progression (25..346 in the data) as a whole number out; 6.4 million inputs."""

RECIPES = (IRIS, DIABETES)

if __name__ == "__main__":
    main(RECIPES)
