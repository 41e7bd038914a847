"""Rows of a comparison as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io

import qspec as qs
from qspec.support.tables import to_latex


def test_a_comparison_is_a_table() -> None:
    net = qs.load("iris-4bit")
    x = net.input("x")
    found = qs.compare(qs.forall(x, given=x.code[0] <= 44, then=net(x)[0] <= 100), solvers=["bounds", "enumerate"], timeout=30)
    read = list(csv.DictReader(io.StringIO(found.to_csv(), newline="")))
    assert [row["solver"] for row in read] == ["bounds", "enumerate"]
    assert [row["verdict"] for row in read] == [r.verdict.name for r in found.results]
    assert found.to_latex().splitlines()[2].startswith("solver & version & theory & verdict")
    assert found.to_latex().count(r"\\") == 3


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
