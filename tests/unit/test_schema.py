"""Schemas: rows in words and numbers and back, links, JSON, and errors that name the feature."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ShapeError, SpecError
from qspec.ir.real import fractions

JOB = qs.Categorical("job", ("baker", "nurse", "none"))
SEX = qs.Categorical("sex", ("female", "male"), onehot=False)
AGE = qs.Whole("age", 20, 50, step=10, scale=Fraction(1, 10), shift=Fraction(20))
SCHOOL = qs.Ordinal("school", ("low", "middle", "high"), first=1)
LINK = qs.Link({"job": ["baker", "nurse"]}, {"school": ["middle", "high"]})
TABLE = qs.Schema((JOB, SEX, AGE, SCHOOL), protected=("sex",), links=(LINK,))


def test_every_row_is_read_back_from_its_numbers() -> None:
    names = [f.name for f in TABLE.features]
    rows = [dict(zip(names, values, strict=True)) for values in product(*(f.values for f in TABLE.features))]
    assert len(rows) == TABLE.rows == 3 * 2 * 4 * 3
    seen = {tuple(fractions(TABLE.encode(r)).tolist()) for r in rows}
    assert len(seen) == len(rows)
    assert all(TABLE.row(TABLE.encode(r)) == r for r in rows)


def test_numbers_are_those_that_the_features_state() -> None:
    row = {"job": "nurse", "sex": "male", "age": 40, "school": "high"}
    assert fractions(TABLE.encode(row)).tolist() == [0, 1, 0, 1, 2, 3]
    assert TABLE.columns == 6
    assert TABLE.format() == qs.Fixed(2, 0, signed=False)


def test_the_format_of_a_table_holds_every_number_and_no_bit_more() -> None:
    signed = qs.Schema((qs.Whole("x", -4, 3),))
    assert signed.format() == qs.Fixed(3, 0)
    halves = qs.Schema((qs.Whole("x", 0, 7, scale=Fraction(1, 4)),))
    assert halves.format() == qs.Fixed(3, 2, signed=False)
    assert qs.Schema((qs.Whole("x", 0, 6, scale=Fraction(1, 3)),)).format() == qs.Affine(3, False, Fraction(1, 3))


def test_links_say_which_rows_there_are() -> None:
    row = {"job": "baker", "sex": "male", "age": 20, "school": "low"}
    assert not TABLE.allows(row)
    assert TABLE.allows({**row, "school": "high"})
    assert TABLE.allows({**row, "job": "none"})
    known = qs.Schema((SEX, SCHOOL), links=qs.determines("sex", "school", {"female": "high", "male": "low"}))
    with pytest.raises(SpecError, match=r"no such value(.|\n)*highest"):
        TABLE.allows({**row, "school": "highest"})
    with pytest.raises(SpecError, match=r"other features(.|\n)*schol"):
        TABLE.allows({"schol": "high"})
    allowed = [(s, e) for s, e in product(SEX.values, SCHOOL.values) if known.allows({"sex": s, "school": e})]
    assert allowed == [("female", "high"), ("male", "low")]


def test_the_input_layer_has_the_features() -> None:
    layer = TABLE.layer()
    assert layer.shape == (6,)
    assert [(f.name, f.lower, f.upper, f.categories) for f in layer.features] == [
        ("job", 0, 1, ("baker", "nurse", "none")),
        ("sex", 0, 1, ()),
        ("age", 0, 3, ()),
        ("school", 1, 3, ()),
    ]
    with pytest.raises(SpecError, match=r"'x' is scaled(.|\n)*1/4"):
        qs.Schema((qs.Whole("x", 0, 7, scale=Fraction(1, 4)),)).layer()


def test_json_gives_the_schema_back() -> None:
    again = qs.Schema.from_json(TABLE.to_json())
    assert again.features == TABLE.features
    assert again.protected == TABLE.protected
    assert again.to_json() == TABLE.to_json()
    for text in ("", "[]", "{}", '{"schema": "qspec.schema/1"}', TABLE.to_json().replace('"whole"', '"half"')):
        with pytest.raises(SpecError, match="not a schema"):
            qs.Schema.from_json(text)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: qs.Schema(()), "not distinct"),
        (lambda: qs.Schema((SEX, SEX)), "not distinct"),
        (lambda: qs.Schema((SEX,), protected=("gender",)), "gender(.|\n)*sex"),
        (lambda: qs.Schema((SEX,), protected="sex"), "list of names"),
        (lambda: qs.Schema((SEX,), links=(qs.Link({}, {"sex": []}),)), "leaves 'sex' no value"),
        (lambda: qs.Schema((SEX,), links=(qs.Link({"sex": ["other"]}, {}),)), "'sex' has no such value(.|\n)*other(.|\n)*female, male"),
        (lambda: qs.Categorical("c", ()), "'c' are not distinct"),
        (lambda: qs.Ordinal("c", ("a", "a")), "'c' are not distinct"),
        (lambda: qs.Whole("n", 3, 2), "'n' has no values"),
        (lambda: qs.Whole("n", 0, 2, scale=Fraction(0)), "scale of feature 'n'"),
        (lambda: TABLE.encode({"job": "nurse"}), "other features"),
        (lambda: TABLE.encode({"job": "nurse", "sex": "male", "age": 25, "school": "low"}), "'age'(.|\n)*25(.|\n)*20..50 by 10"),
        (lambda: TABLE.row(np.zeros(5)), "wrong shape"),
        (lambda: TABLE.row([1, 1, 0, 0, 0, 1]), "'job'"),
        (lambda: TABLE.row([1, 0, 0, 0, Fraction(1, 2), 1]), "'age'"),
    ],
)
def test_errors_name_what_is_wrong(make: object, told: str) -> None:
    assert callable(make)
    with pytest.raises((SpecError, ShapeError), match=told):
        make()
