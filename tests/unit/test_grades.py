"""The grade predictors are the files that their facts describe, and their largest gaps are those of every pair of pupils."""

from __future__ import annotations

import re
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.extremes import fairness
from qspec_models import grades

ROOT = Path(__file__).parents[2]


def every_gap(variant: grades.Variant, net: qs.Network) -> Fraction:
    """Return the largest gap by evaluating every row with the reference integers."""
    table = grades.schema(variant)
    sizes = [len(f.values) for f in table.features]
    rows: Any = np.stack(np.unravel_index(np.arange(table.rows), sizes), axis=1) + [int(f.start) for f in table.features]
    female = rows[rows[:, 0] == 0]
    male = female + np.eye(1, len(sizes), dtype=np.int64)
    return Fraction(int(np.abs(net.evaluate(female) - net.evaluate(male)).max())) * net.output_types[0].grid.units[0]


@pytest.mark.parametrize("variant", grades.VARIANTS)
def test_files_are_those_of_the_facts(variant: grades.Variant) -> None:
    facts = grades.facts(variant)
    path = grades.FOLDER / f"{variant}.qspec"
    assert sha256(path.read_bytes()).hexdigest() == facts["sha256"]
    assert path.stat().st_size < 20_000
    assert facts["mean absolute error"] < facts["error of always saying the median"]
    text = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{variant}` .* {facts['mean absolute error']:.2f} .*`{facts['sha256']}`", text, re.MULTILINE)


@pytest.mark.parametrize("variant", grades.VARIANTS)
def test_the_quantised_network_is_nearer_to_the_real_one_the_more_bits_it_has(variant: grades.Variant) -> None:
    real, table, rng = grades.real(variant), grades.schema(variant), np.random.default_rng(0)
    rows = np.stack([rng.integers(0, len(f.values), 500) + int(f.start) for f in table.features], axis=1)
    errors: list[float] = []
    for bits in (4, 8, 12):
        net = grades.network(variant, bits)
        errors.append(float(np.abs(net.evaluate(rows) * float(net.output_types[0].grid.units[0]) - real.evaluate(rows)).max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.2


def test_the_largest_gap_is_that_of_every_pair() -> None:
    table = grades.schema("background")
    net = grades.network("background", 4)
    found = qs.optimize(fairness.largest_gap(net, table), solver="enumerate")
    assert found.closed
    assert found.lower == every_gap("background", net) == 8
    assert found.witness is not None
    text = fairness.explain(net, table, found.witness)
    assert re.search(r"^sex +(female +male|male +female) +←$", text, re.MULTILINE)
