"""Train the grade predictors again: `python models/train/grades.py --data DIR --out models/qspec_models/data/grades`.

DIR has `student-mat.csv` and `student-por.csv` of the Student Performance data of UCI (Cortez and Silva 2008, CC BY 4.0), which are not
shipped.
"""

from __future__ import annotations

import argparse
import csv
import json
from functools import partial
from hashlib import sha256
from pathlib import Path

import jax
import numpy as np
from data import Dataset, split
from fit import Recipe, real_parameters
from quantized import Dense
from real import SIGNAL, WIDE, real_network

import qspec as qs
from qspec.errors import ModelFileError
from qspec_models import grades


def recipe(variant: grades.Variant, folder: Path) -> Recipe:
    """Return two hidden layers of ReLUs that predict the final grade."""
    return Recipe(
        f"grades-{variant}",
        f"{grades.schema(variant).columns}-16-8-1 dense",
        partial(students, variant, folder),
        "regression",
        qs.Fixed(5, 0, signed=False),
        (Dense(16, WIDE, WIDE, SIGNAL), Dense(8, WIDE, WIDE, SIGNAL), Dense(1, WIDE, WIDE, None)),
        rate=2e-3,
        decay=0.1,
        standardize=True,
    )


def students(variant: grades.Variant, folder: Path) -> Dataset:
    """Return the columns of a variant's schema and the final grades of both courses; raises ModelFileError without the files."""
    schema = grades.schema(variant)
    rows: list[list[float]] = []
    targets: list[int] = []
    for course, name in (("mathematics", "student-mat.csv"), ("Portuguese", "student-por.csv")):
        if not (folder / name).exists():
            raise ModelFileError(
                "data file not found", given=str(folder / name), expected="a CSV file of UCI", advice="give its folder by --data"
            )
        with (folder / name).open(encoding="utf-8") as file:
            for record in csv.DictReader(file, delimiter=";"):
                rows.append(schema.encode(grades.row(variant, course, record)).tolist())
                targets.append(int(record["G3"]))
    inputs = np.array(rows).astype(np.int64)
    return Dataset(f"grades-{variant}", *split(inputs, np.array(targets), stratified=False), highest=int(inputs.max()), shipped=False)


def make(variant: grades.Variant, folder: Path, out: Path) -> None:
    """Train one variant, and write its network and its facts."""
    made = recipe(variant, folder)
    dataset = made.data()
    network = real_network(made, real_parameters(made, dataset, jax.random.key(made.seed)))
    path = out / f"{variant}.qspec"
    network.save(path)
    targets = dataset.held_out[1]
    error = float(np.mean(np.abs(network.evaluate(dataset.held_out[0])[:, 0] - targets)))
    guess = float(np.mean(np.abs(np.median(dataset.train[1]) - targets)))
    facts = {
        "name": made.name,
        "layers": made.title,
        "records": len(targets) + len(dataset.train[1]),
        "held out": len(targets),
        "mean absolute error": error,
        "error of always saying the median": guess,
        "seed": made.seed,
        "steps": made.steps,
        "command": "python models/train/grades.py --data DIR --out models/qspec_models/data/grades",
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }
    (out / f"{variant}.facts").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with student-mat.csv and student-por.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the networks")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for variant in grades.VARIANTS:
        make(variant, options.data, options.out)


if __name__ == "__main__":
    main()
