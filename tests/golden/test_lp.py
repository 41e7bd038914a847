"""The linear problem of every operation is the one on file; what it means is tested in `tests/unit/test_milp.py`."""

from __future__ import annotations

import pytest

from tests.golden.cases import HERE, cases, linear_text


@pytest.mark.parametrize("name", cases())
def test_text_is_the_one_on_file(name: str) -> None:
    assert linear_text(cases()[name]) == (HERE / f"{name}.lp").read_text()


def test_every_file_has_a_case() -> None:
    assert {path.stem for path in HERE.glob("*.lp")} == set(cases())
