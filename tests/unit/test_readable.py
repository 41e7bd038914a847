"""Properties, expressions, networks and results are shown in a line or a few, whatever they hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import qspec as qs
from qspec_models import samples

TINY = qs.Sequential(
    qs.Input((2, 2), qs.Fixed(4, 1)), qs.Flatten(), qs.Dense(qs.Tensor(np.eye(4, 3, dtype=int), qs.Fixed(3, 0)), name="last"), name="tiny"
)
X = TINY.input("x")
LABEL = qs.parameter("label")
DIGITS = qs.load("digits-6bit")
IMAGES, LABELS = samples("digits-6bit")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (X, "x (2×2)"),
        (X[0, 1], "x[0, 1]"),
        (X.code.flatten()[1:3], "x.code.flatten()[1:3] (2)"),
        (TINY(X)[1] * 2 - 1, "tiny(x)[1]·2 − 1"),
        (TINY(X) >= 1, "tiny(x) ≥ 1 (3)"),
        (qs.all(TINY(X) >= 1) & (qs.argmax(TINY(X)) != LABEL), "all(tiny(x) ≥ 1) and argmax(tiny(x)) ≠ label"),
        (qs.argmax(TINY(X), ties="last"), "argmax(tiny(x), ties to the last)"),
        (qs.linf(X.code - 1) <= 2, "max|x.code − 1| ≤ 2"),
        (TINY, "Network 'tiny': 2×2 → Flatten, Dense → 3"),
        (TINY.real(), "RealNetwork 'tiny': 2×2 → Flatten, Dense → 3"),
        (DIGITS, "Network 'digits-6bit': 8×8×1 → Flatten, 2 Dense → 10"),
        (TINY.real().input("r", lower=0, upper=1)[0, 0], "r[0, 0]"),
    ],
    ids=str,
)
def test_parts(value: object, text: str) -> None:
    assert repr(value) == text


def test_a_property_is_shown_as_qspec_show_does() -> None:
    spec = qs.properties.local_robustness(DIGITS, qs.parameter("centre", (8, 8, 1)), 2, LABEL)
    assert repr(spec).splitlines() == [
        "local_robustness: for all x (8×8×1)",
        "  given   max|x.code − centre| ≤ 2",
        "  then    argmax(digits-6bit(x)) = label",
        "  to give centre (8×8×1), label (one number)",
    ]
    assert repr(spec.at(label=3)).splitlines()[3:] == ["  at      label = 3", "  to give centre (8×8×1)"]
    assert repr(spec.at(label=3, centre=np.zeros((8, 8, 1), int))).splitlines()[3:] == ["  at      centre = 0, label = 3"]


def test_what_is_deep_or_long_is_cut() -> None:
    chain = X.code[0, 0]
    for _ in range(5000):
        chain = chain + 1
    deep = X.code
    for _ in range(500):
        deep = abs(deep * 2)
    long = qs.sum(qs.join([X.code.flatten() for _ in range(200)]))
    for value in (chain, deep, long, chain >= 0, qs.all(deep >= 0)):
        assert 0 < len(repr(value)) <= 260
        assert "\n" not in repr(value)


def test_errors_quote_what_was_written() -> None:
    with pytest.raises(qs.SpecError, match=r"given:    tiny\(x\)\[0\]\n"):
        qs.forall(X, then=TINY(X)[0])  # pyright: ignore[reportArgumentType]


def test_results_say_what_was_found() -> None:
    violated = qs.verify(qs.forall(X, then=TINY(X)[0] <= 2, name="small"))
    first, second = repr(violated).splitlines()
    assert first.startswith("VIOLATED small")
    assert re.fullmatch(r"counterexample: x = \[(-?\d+, ){3}-?\d+\]", second)
    assert repr(qs.verify(qs.exists(X, then=TINY(X)[0] >= 1))).splitlines()[1].startswith("witness: x = [")
    assert len(repr(qs.verify(qs.forall(X, then=TINY(X)[0] <= 100))).splitlines()) == 1
    image = qs.verify(qs.properties.local_robustness(DIGITS, IMAGES[1], 2, int(LABELS[1])))
    assert "… 48 more (8×8×1)" in repr(image)


class Checker(HTMLParser):
    """Collects the tags that are open, and those that occurred."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if not self.get_starttag_text().endswith("/>"):  # pyright: ignore[reportOptionalMemberAccess]
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def tags(text: str) -> list[str]:
    """Return the tags of HTML in which every tag is closed."""
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    return checker.seen


def test_notebooks_show_html() -> None:
    spec = qs.properties.local_robustness(DIGITS, qs.parameter("centre", (8, 8, 1)), 2, LABEL)
    result = qs.verify(spec.at(centre=IMAGES[1], label=int(LABELS[1])))
    found = tags(result._repr_html_())
    assert (found.count("svg"), found.count("rect")) == (2, 2 * 64)
    assert "centre and x, " in result._repr_html_()
    table = qs.verify(qs.properties.individual_fairness(qs.load("diabetes-8bit"), ["sex"], 41))._repr_html_()
    assert "<td>sex</td><td>1</td><td>2</td>" in table
    assert "table" in tags(table)
    escaped = TINY.renamed("<b>")
    for value in (qs.forall(escaped.input("<i>"), then=escaped(escaped.input("<i>"))[0] <= 1), escaped, escaped.real()):
        assert tags(value._repr_html_()) == ["pre"]
    assert tags(qs.verify(qs.forall(X, then=TINY(X)[0] <= 2, name="<b>"))._repr_html_()) == ["p", "b", "pre"]
