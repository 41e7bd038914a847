"""VNN-LIB: what a text says is exact, verdicts are those of dense sampling and of vertices, and malformed text names its line."""

from __future__ import annotations

import gzip
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.cli.vnnlib import word
from qspec.errors import ModelFileError, QspecError, SpecError, UnsupportedError
from qspec.interop.onnx_real import ImportedNetwork, import_onnx
from qspec.interop.vnnlib import Vnnlib, parse_vnnlib, read_vnnlib
from qspec.reals.ir import fractions
from qspec.solver import Reason
from tests.unit.test_onnx_real import floats, node, write

DECLARED = "(declare-const X_0 Real) (declare-const X_1 Real)\n(declare-const Y_0 Real) (declare-const Y_1 Real)\n"
BOX = "(assert (>= X_0 -0.5)) (assert (<= X_0 0.1)) (assert (<= X_1 1)) (assert (>= X_1 (- 1e-1)))\n"


def of(network: qs.RealNetwork) -> ImportedNetwork:
    """Return a network whose elements are already in the order of ONNX."""
    return ImportedNetwork(network, np.arange(network.inputs[0].size), np.arange(network.stages[network.outputs[0]].size))


def small(seed: int = 0) -> qs.RealNetwork:
    """Return a network of two inputs, three ReLUs and two outputs with coarse numbers, so that ties happen."""
    rng = np.random.default_rng(seed)
    numbers = [rng.integers(-8, 9, s) / 4 for s in ((2, 3), (3,), (3, 2), (2,))]
    return qs.RealSequential(qs.RealInput((2,)), qs.RealDense(numbers[0], numbers[1], qs.ReLU()), qs.RealDense(numbers[2], numbers[3]))


def copy() -> qs.RealNetwork:
    """Return the network that puts its two inputs out."""
    return qs.RealSequential(qs.RealInput((2,)), qs.RealDense(np.eye(2)))


def verdict(text: str, network: qs.RealNetwork, solver: str = "delta") -> qs.Result:
    return qs.verify(parse_vnnlib(DECLARED + text).property(of(network)), solver=solver, timeout=30)


def test_decimals_are_exact() -> None:
    spec = parse_vnnlib(DECLARED + BOX + "(assert (<= Y_0 0))").property(of(copy()))
    (x,) = spec.reals
    assert fractions(x.lower).tolist() == [Fraction(-1, 2), Fraction(-1, 10)]
    assert fractions(x.upper).tolist() == [Fraction(1, 10), Fraction(1)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(assert (>= Y_0 0.1))", "VIOLATED"),  # at the end of the box, which no double is
        ("(assert (> Y_0 0.1))", "HOLDS"),
        ("(assert (>= Y_0 0.1000000000000000000000000001))", "HOLDS"),
        ("(assert (= Y_1 (+ X_0 0.25 X_0)))", "VIOLATED"),
        ("(assert (or (and (<= Y_0 -0.6)) (and (<= Y_0 0) (> Y_1 1))))", "HOLDS"),
        ("(assert (or (<= Y_0 -0.6) (and (<= Y_0 0) (>= Y_1 1))))", "VIOLATED"),
        ("(assert (>= (- (* 2 Y_0 3) (/ Y_1 -0.5) X_0 X_0) 2.4))", "VIOLATED"),  # 4 x0 + 2 x1 is at most 2.4
        ("(assert (>= (- (* 2 Y_0 3) (/ Y_1 -0.5) X_0 X_0) 2.400001))", "HOLDS"),
        ("(assert (< Y_0 X_0))", "HOLDS"),
        ("(assert (>= X_0 0.05))", "VIOLATED"),  # an assertion about inputs alone
    ],
)
@pytest.mark.parametrize("solver", ["delta", "z3"])
def test_verdicts_on_the_identity(condition: str, expected: str, solver: str) -> None:
    """Where exact equality decides, `delta` may not know."""
    found = verdict(BOX + condition, copy(), solver=solver).verdict.name
    assert found == expected or (solver == "delta" and found == "UNKNOWN")


def test_alternatives_of_boxes_leave_out_what_is_between() -> None:
    boxes = "(assert (or (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1)) (and (>= X_0 3) (<= X_0 4) (>= X_1 0) (<= X_1 2))))\n"
    assert verdict(boxes + "(assert (>= Y_0 1.5)) (assert (<= Y_0 2.5))", copy()).verdict is qs.Verdict.HOLDS
    assert verdict(boxes + "(assert (<= Y_0 2.5)) (assert (>= Y_1 1.5))", copy()).verdict is qs.Verdict.HOLDS
    found = verdict(boxes + "(assert (>= Y_0 2.5)) (assert (>= Y_1 1.5))", copy())
    assert found.verdict is qs.Verdict.VIOLATED
    assert found.point is not None
    assert parse_vnnlib(DECLARED + boxes).meets(found.point["x"].tolist(), found.point["x"].tolist())


def random_text(rng: np.random.Generator) -> str:
    """Return assertions about two inputs in [-1, 1] and two outputs."""

    def term() -> str:
        return str(rng.choice(["Y_0", "Y_1", "(* 0.5 Y_1)", "(- Y_0 Y_1)", "(+ Y_0 X_0)", "X_1"]))

    def atom() -> str:
        return f"({rng.choice(['<=', '>='])} {term()} {rng.choice([term(), str(rng.integers(-16, 17) / 8)])})"

    box = "".join(f"(assert (>= X_{k} -1)) (assert (<= X_{k} 1))" for k in range(2))
    return box + "".join(
        f"(assert {atom()})" if rng.random() < 0.5 else f"(assert (or {atom()} (and {atom()} {atom()})))" for _ in range(2)
    )


@pytest.mark.parametrize("seed", range(12))
def test_verdicts_agree_with_a_grid_and_with_z3(seed: int) -> None:
    """No point of a grid is a counterexample where none is said to be; a counterexample meets the assertions, in rationals."""
    network, text = small(seed), DECLARED + random_text(np.random.default_rng(seed))
    read = parse_vnnlib(text)
    results = [qs.verify(read.property(of(network)), solver=s, timeout=30) for s in ("delta", "z3")]
    assert {r.verdict for r in results} <= {results[1].verdict, qs.Verdict.UNKNOWN}
    grid = [[Fraction(k, 8) for k in p] for p in product(range(-8, 9), repeat=2)]
    outputs = network.evaluate(np.array(grid, dtype=float)).tolist()  # coarse numbers: these doubles are exact
    found = any(read.meets(x, [Fraction(v) for v in y]) for x, y in zip(grid, outputs, strict=True))
    assert results[1].verdict is not qs.Verdict.UNKNOWN
    assert not (found and results[1].verdict is qs.Verdict.HOLDS)
    for result in results:
        if result.point is not None:
            low, _ = network.enclose(result.point["x"])
            assert read.meets(result.point["x"].tolist(), low.tolist())


def test_images_keep_the_order_of_onnx(tmp_path: Path) -> None:
    """X_5 is row 0, column 1 of channel 1, and Y_3 its row 1, column 1 of the only channel that the convolution makes."""
    kernel = np.array([1, 10], dtype=np.float32).reshape(1, 2, 1, 1)
    imported = import_onnx(write(tmp_path / "net.onnx", [node("Conv", "x k", "y")], {"k": kernel}, (1, 2, 2, 2), 4))
    declared = "".join(f"(declare-const X_{k} Real)" for k in range(8)) + "".join(f"(declare-const Y_{k} Real)" for k in range(4))
    box = "".join(f"(assert (>= X_{k} {int(k == 5)})) (assert (<= X_{k} {int(k == 5)}))" for k in range(8))
    for k, value in enumerate((0, 10, 0, 0)):
        for relation, expected in ((">=", "VIOLATED"), (">", "HOLDS")):
            spec = parse_vnnlib(f"{declared}{box}(assert ({relation} Y_{k} {value}))").property(imported)
            assert qs.verify(spec, solver="z3", timeout=30).verdict.name == expected


@pytest.mark.parametrize(
    ("text", "line", "kind"),
    [
        ("(assert (<= X_0 1)\n", 3, ModelFileError),
        ("\n(assert (<= X_0 1)))", 4, ModelFileError),
        ("(assert (<= X_0 one))", 3, ModelFileError),
        ("(assert\n (<= X_0\n  X_7))", 5, ModelFileError),
        ("(assert (<= X_0 1 2))", 3, ModelFileError),
        ("(assert (and))", 3, ModelFileError),
        ("(assert X_0)", 3, ModelFileError),
        ("(assert (<= X_0 (+ 1)))", 3, ModelFileError),
        ("(assert)", 3, ModelFileError),
        ("word", 3, ModelFileError),
        ('"text', 3, ModelFileError),
        ("(declare-const X_0 Real)", 3, ModelFileError),
        ("(" * 100, 3, ModelFileError),
        ("(assert (<= X_0 1e9999))", 3, ModelFileError),
        ("(assert (not (<= X_0 1)))", 3, UnsupportedError),
        ("(assert (<= (* X_0 X_1) 1))", 3, UnsupportedError),
        ("(assert (<= (/ 1 X_0) 1))", 3, UnsupportedError),
        ("(assert (<= (exp X_0) 1))", 3, UnsupportedError),
        ("(define-fun f () Real 1)", 3, UnsupportedError),
        ("(declare-const X_2 Int)", 3, UnsupportedError),
        ("(declare-const Z Real)", 3, UnsupportedError),
    ],
)
def test_malformed_text_names_its_line(text: str, line: int, kind: type[QspecError]) -> None:
    with pytest.raises(kind, match=rf"^line {line}: "):
        parse_vnnlib(DECLARED + text)


def test_what_no_line_is_to_blame_for() -> None:
    with pytest.raises(ModelFileError, match="variables are missing"):
        parse_vnnlib("(declare-const X_1 Real) (declare-const Y_0 Real)")
    with pytest.raises(SpecError, match="X_1 has no upper bound"):
        parse_vnnlib(DECLARED + "(assert (>= X_0 0)) (assert (<= X_0 0)) (assert (>= X_1 0))").property(of(copy()))
    with pytest.raises(SpecError, match="another network"):
        parse_vnnlib("(declare-const X_0 Real) (declare-const Y_0 Real)").property(of(copy()))


def test_an_empty_box_has_no_counterexample() -> None:
    result = verdict(BOX + "(assert (<= X_0 -0.6)) (assert (<= Y_0 1))", copy())
    assert result.verdict is qs.Verdict.HOLDS
    assert result.vacuous


def test_damaged_text_is_an_error_of_ours() -> None:
    text, rng = DECLARED + BOX + "(assert (or (<= Y_0 (* 2 X_1)) (and (>= Y_1 0.5) (<= Y_0 1))))", np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        broken = list(text)
        for _ in range(int(rng.integers(1, 5))):
            broken[rng.integers(len(broken))] = str(rng.choice(list('()-+*/.019eXY_ \n;|"<=ü')))
        try:
            assert isinstance(parse_vnnlib("".join(broken)), Vnnlib)
        except (ModelFileError, UnsupportedError):
            refused += 1
    assert refused > 500


def test_files(tmp_path: Path) -> None:
    text = DECLARED + BOX + "(assert (<= Y_0 0))"
    (tmp_path / "p.vnnlib").write_text(text)
    (tmp_path / "p.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    assert read_vnnlib(tmp_path / "p.vnnlib") == read_vnnlib(tmp_path / "p.vnnlib.gz") == parse_vnnlib(text)
    for name, content in (("cut.vnnlib.gz", gzip.compress(text.encode())[:-9]), ("latin.vnnlib", b"; \xfc"), ("plain.vnnlib.gz", b"text")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match="cannot read"):
            read_vnnlib(tmp_path / name)


@pytest.mark.parametrize(("bound", "word", "status"), [("0.5", "sat", 1), ("100", "unsat", 0)])
def test_command(bound: str, word: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {"w": np.abs(floats(2, 2)), "b": np.ones(2, dtype=np.float32)}
    network = write(tmp_path / "net.onnx", [node("Gemm", "x w b", "a"), node("Relu", "a", "y")], weights, (1, 2))
    (tmp_path / "p.vnnlib").write_text(DECLARED + BOX + f"(assert (>= Y_0 {bound}))")
    assert main(["vnnlib", str(network), str(tmp_path / "p.vnnlib"), "--timeout", "30"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ("VIOLATED" if status else "HOLDS")
    assert lines[1] == f"VNN-COMP: {word}"
    assert any(line.startswith("((X_0 ") for line in lines) == bool(status)


def test_command_on_what_nobody_can_tell_and_on_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = write(tmp_path / "net.onnx", [node("Gemm", "x w", "y")], {"w": np.eye(2, dtype=np.float32)}, (1, 2))
    (tmp_path / "p.vnnlib").write_text(DECLARED + BOX + "(assert (> Y_0 0.1))")
    assert main(["vnnlib", str(network), str(tmp_path / "p.vnnlib")]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == ["UNKNOWN", "VNN-COMP: unknown"]
    late = replace(verdict(BOX + "(assert (> Y_0 0.1))", copy()), reason=Reason.TIMEOUT)
    assert word(late) == "timeout"
    (tmp_path / "p.vnnlib").write_text(DECLARED + "(assert")
    assert main(["vnnlib", str(network), str(tmp_path / "p.vnnlib")]) == 2
    assert "line 3" in capsys.readouterr().err
