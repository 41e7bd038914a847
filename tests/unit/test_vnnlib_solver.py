"""The command line of the VNN-LIB 2 standard: one word on stdout, an assignment that is a counterexample, errors on stderr."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from qspec.cli.vnnlib_solver import CAPABILITIES, main
from qspec.readers.vnnlib import parse_vnnlib
from tests.unit.test_onnx_real import node, write
from tests.unit.test_vnnlib2 import BOX, BOX2, HEAD, TWIN


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write(tmp_path / "f.onnx", [node("MatMul", "x w", "y")], {"w": np.eye(2, dtype=np.float32)}, (1, 2)))


def answered(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, *options: str, verb: str = "verify") -> list[str]:
    place = tmp_path / "q.txt"
    place.write_text(text, encoding="utf-8")
    assert main([*([verb] if verb else []), str(place), *options]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("verb", ["verify", ""])
@pytest.mark.parametrize("solver", ["delta", "z3"])
def test_an_assignment_is_a_counterexample(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, solver: str) -> None:
    text = f"{HEAD}{TWIN}{BOX}{BOX2}(assert (> (* 3 Y[0]) (+ X2[0,0] 0.4))) (assert (< (* 7 X2[0,1]) 1)) (assert (> (* 7 X2[0,1]) 0.9999))"
    lines = answered(tmp_path, capsys, text, "--network", f"f={file}", "--timeout", "30", "--solver", solver, verb=verb)
    assert lines[0] == "sat"
    assert [line for line in lines if "Real" in line] == ["X Real [1,2]", "Y Real [2]", "X2 Real [1,2]", "Y2 Real [2]"]
    x, y, x2, y2 = (list(map(Fraction, lines[k : k + 2])) for k in (2, 5, 8, 11))
    assert (x, x2) == (y, y2)
    assert parse_vnnlib(text).meets([*x, *x2], [*y, *y2])
    assert "/" not in "".join(lines)


def test_other_answers(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = ("--network", f"f={file}")
    assert answered(tmp_path, capsys, f"{HEAD}{BOX}(assert (> Y[0] 0.2))", *network) == ["unsat"]
    both = f"{HEAD}{TWIN}{BOX}{BOX2}(assert (> Y2[0] 0.2))"
    assert answered(tmp_path, capsys, both, *network, "--network", f"g={file}", verb="") == ["unsat"]
    late = f"{HEAD}{BOX}(assert (== Y[0] (* X[0,1] 0.3)))"
    assert answered(tmp_path, capsys, late, *network, "--timeout", "0.000001") == ["timed-out"]
    assert answered(tmp_path, capsys, late, *network, "--timeout", "0.000001", verb="") == ["timeout"]


@pytest.mark.parametrize(
    ("networks", "told"),
    [([], "the networks are not those"), (["f", "g"], "the networks are not those"), (["h"], "the networks are not those")],
)
def test_networks_are_those_declared(networks: list[str], told: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The standard asks for an error if files are missing, or not needed."""
    place = tmp_path / "q.vnnlib"
    place.write_text(f"{HEAD}{BOX}(assert (> Y[0] 0.2))", encoding="utf-8")
    assert main(["verify", str(place), *(f"--network={name}={file}" for name in networks)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert told in error


def test_a_type_that_is_not_decided_is_an_error(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "q.vnnlib"
    place.write_text(f"{HEAD}{BOX}".replace("Real", "float32"), encoding="utf-8")
    assert main(["verify", str(place), "--network", f"f={file}"]) == 2
    assert "element type float32" in capsys.readouterr().err


def test_what_is_supported(capsys: pytest.CaptureFixture[str]) -> None:
    for name in CAPABILITIES:
        assert main(["supports", f"--{name}"]) == 0
        assert capsys.readouterr().out.strip()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out[0].isdigit()
    assert main(["--name"]) == 0
    assert capsys.readouterr().out == "qspec\n"
