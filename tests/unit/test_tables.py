"""Comparisons and batches as tables (polars, CSV, LaTeX) and as pictures."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.support.tables import to_latex

NET = qs.load("iris-4bit")
X = NET.input("x")
LEAST = qs.parameter("most")
SMALL = qs.forall(X, given=X.code[0] <= 44, then=NET(X)[0] <= LEAST, name="small")
OVER = [{"most": 100}, {"most": -100}]


@pytest.fixture(scope="module")
def compared() -> qs.SolverComparison:
    return qs.compare(SMALL, OVER, solvers=["bounds", ("enumerate", {"seed": 3}), ("bounds", "query")], repeat=2, timeout=30)


def test_a_comparison_is_a_table(compared: qs.SolverComparison, tmp_path: Path) -> None:
    text = compared.to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == text.replace("\r\n", "\n")
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    names = ["bounds", "enumerate seed=3", "bounds query"]
    assert [(row["question"], row["contender"]) for row in read] == [(f"small {k}", n) for k in (0, 1) for n in names]
    assert [row["verdict"] for row in read] == ["HOLDS"] * 3 + ["VIOLATED"] * 3
    assert all(row["runs"] == "2" and float(row["least"]) == float(row["seconds"]) <= float(row["most"]) for row in read)
    assert compared.verdict is qs.Verdict.VIOLATED
    assert set(compared.agreement().values()) == {True}
    assert [r.limits.seed for r in compared.results] == [0, 3, 0] * 2
    chosen = compared.to_latex(columns=["contender", "verdict"])
    assert chosen.splitlines()[2] == r"contender & verdict \\"
    assert chosen.count(r"\\") == 7
    table = compared.to_polars()
    assert (table.shape, table["seconds"].dtype.is_float()) == ((6, 12), True)
    with pytest.raises(qs.SpecError, match=r"no such columns(.|\n)*verdcit"):
        compared.to_polars(["verdcit"])
    with pytest.raises(qs.SpecError, match="cannot write the table"):
        compared.to_csv(tmp_path / "absent" / "a.csv")


@pytest.mark.parametrize(
    ("solvers", "message"),
    [
        ([], "nobody is asked"),
        ([()], "no contender"),
        ([("bounds", "query", "grid")], "no contender"),
        ([("bounds", 5)], "no contender"),
        ([({"seed": 1}, "bounds")], "no contender"),
        ([("bounds", {"seeed": 1})], "no such option"),
        ([("bounds", {"solver": "z3"})], "no such option"),
        (["nobody"], "nobody"),
    ],
)
def test_who_cannot_be_compared(solvers: list[Any], message: str) -> None:
    with pytest.raises(qs.QspecError, match=message):
        qs.compare(SMALL, OVER, solvers=solvers)


def test_no_question_is_lost_to_a_name_that_another_one_has() -> None:
    named = [replace(SMALL.at(**OVER[0]), name=name) for name in ("p (2)", "p", "p")]
    asked = qs.compare(named, solvers=["bounds"])
    assert [a.question for a in asked.answers] == ["p (2)", "p", "p (3)"]


def test_batches_are_a_table_and_pictures(compared: qs.SolverComparison, tmp_path: Path) -> None:
    wrong = {"most": [1, 2, 3]}
    done = qs.Outcomes.of(*(qs.verify_many(SMALL, [*OVER, wrong], solver=s, workers=1) for s in ("bounds", "enumerate")))
    rows = done.rows()
    assert [(r["index"], r["solver"], r["verdict"]) for r in rows[:2]] == [(0, "bounds", "HOLDS"), (1, "bounds", "VIOLATED")]
    assert [(r["reason"], r["solver"], r["most"]) for r in (rows[2], rows[5])] == [("ERROR", None, None)] * 2
    assert [r["most"] for r in rows[:2]] == [100, -100]
    assert done.verdict is qs.Verdict.VIOLATED
    assert str(done) == "6 queries: 2 HOLDS, 2 VIOLATED, 2 UNKNOWN"
    axis = qs.plot(done).axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["small 0", "small 1", "small 2"]
    assert [t.get_text()[0] for t in axis.texts] == ["H", "V", "?", "H", "V", "?"]
    (axis,) = qs.plot(compared, solvers=("bounds", "bounds query")).axes
    assert [np.shape(c.get_offsets()) for c in axis.collections] == [(1, 2), (1, 2)]
    assert len(qs.plot(compared, tmp_path / "c.svg", kind="cactus").axes[0].lines) == 3
    for call in ({"kind": "pie"}, {"solvers": ("bounds", "z3")}, {"kind": "scatter", "solvers": ("bounds",)}):
        with pytest.raises(qs.SpecError, match=r"kind of figure|no two solvers"):
            qs.plot(compared, **call)  # pyright: ignore[reportArgumentType]
    with pytest.raises(qs.SpecError, match="no kinds"):
        qs.plot(compared.results[0], kind="cactus")
    with pytest.raises(qs.SpecError, match="not a finished query"):
        qs.Outcomes.of([3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(qs.SpecError, match="nothing to draw"):
        qs.plot(qs.Outcomes(()))


def test_latex_says_every_character() -> None:
    text = to_latex([{"a_b": "50 % & \\ ~", "n": 1.234}, {"a_b": None, "n": 2}])
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & n \\",
        r"\midrule",
        r"50 \% \& \textbackslash{} \textasciitilde{} & 1.23 \\",
        r" & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
