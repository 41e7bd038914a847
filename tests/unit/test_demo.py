"""The demonstration shows verdicts, agreement and a counterexample, and the specification that it ends with runs."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import qspec_models
from qspec.cli import main
from qspec_models import demo


def test_the_demonstration_and_the_specification_it_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(demo, "SAMPLES", 4)
    assert main(["demo", "--out", "picture.png"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "3. Do different solvers agree?" in out
    assert "All 3 reach the same verdict on 5 of 5 properties" in out
    assert "4. A counterexample" in out
    assert "Replayed on the reference integers" in out
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")

    specification = out.partition("qspec verify spec.py\n\n")[2].partition("\n\nqspec compare")[0]
    (tmp_path / "spec.py").write_text(textwrap.dedent(specification), encoding="utf-8")
    assert main(["show", "spec.py"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if ": for all" in line] == [
        f"robust[{k}]" for k in range(4)
    ]
    assert main(["verify", "spec.py:robust[2]", "--timeout", "20"]) in (0, 1, 3)
    assert capsys.readouterr().out.split("\n", 1)[0] in ("HOLDS", "VIOLATED", "UNKNOWN")


def test_neighbours_counts_images_in_reach() -> None:
    card = replace(qspec_models.card(demo.MODEL), lowest=0, highest=16)
    assert demo.neighbours(np.array([0, 7, 16]), card) == 2 * 3 * 2
    assert demo.neighbours(np.array([[1, 15]]), card) == 3 * 3
