"""VNN-LIB: what a text says is exact, verdicts are those of dense sampling and of vertices, and malformed text names its line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.cli.vnnlib import word
from qspec.deadline import OutOfTime
from qspec.errors import ModelFileError, QspecError, SpecError, UnsupportedError
from qspec.ir.real import fractions
from qspec.readers import vnnlib, vnnlib_text
from qspec.readers.nnet import read_nnet
from qspec.readers.onnx import import_onnx, read_onnx
from qspec.readers.vnnlib import Vnnlib, parse_vnnlib, read_vnnlib
from qspec.solver import Reason
from tests.clocks import looks
from tests.unit.test_onnx_real import floats, node, write

DECLARED = "(declare-const X_0 Real) (declare-const X_1 Real)\n(declare-const Y_0 Real) (declare-const Y_1 Real)\n"
BOX = "(assert (>= X_0 -0.5)) (assert (<= X_0 0.1)) (assert (<= X_1 1)) (assert (>= X_1 (- 1e-1)))\n"


def small(seed: int = 0) -> qs.real.Network:
    """Return a network of two inputs, three ReLUs and two outputs with coarse numbers, so that ties happen."""
    rng = np.random.default_rng(seed)
    numbers = [rng.integers(-8, 9, s) / 4 for s in ((2, 3), (3,), (3, 2), (2,))]
    return qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(numbers[0], numbers[1], qs.ReLU()), qs.real.Dense(numbers[2], numbers[3]))


def copy() -> qs.real.Network:
    """Return the network that puts its two inputs out."""
    return qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.eye(2)))


def verdict(text: str, network: qs.real.Network, solver: str = "delta") -> qs.Result:
    return qs.verify(parse_vnnlib(DECLARED + text).property(network), solver=solver, timeout=30)


def test_decimals_are_exact() -> None:
    spec = parse_vnnlib(DECLARED + BOX + "(assert (<= Y_0 0))").property(copy())
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
    results = [qs.verify(read.property(network), solver=s, timeout=30) for s in ("delta", "z3")]
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
            spec = parse_vnnlib(f"{declared}{box}(assert ({relation} Y_{k} {value}))").property(imported.network)
            assert qs.verify(spec, solver="z3", timeout=30).verdict.name == expected


@pytest.mark.parametrize(
    ("text", "line", "kind"),
    [
        ("(assert (<= X_0 1)\n", 3, ModelFileError),
        ("\n(assert (<= X_0 1)))", 4, ModelFileError),
        ("(assert (<= X_0 one))", 3, ModelFileError),
        ("(assert\n (<= X_0\n  X_7))", 5, ModelFileError),
        ("(assert (<= X_0))", 3, ModelFileError),
        ("(assert (and))", 3, ModelFileError),
        ("(assert X_0)", 3, ModelFileError),
        ("(assert (<= X_0 (+ 1)))", 3, ModelFileError),
        ("(assert)", 3, ModelFileError),
        ("word", 3, ModelFileError),
        ('"text', 3, ModelFileError),
        ("(declare-const X_0 Real)", 3, ModelFileError),
        ("(" * 100, 3, ModelFileError),
        ("(assert (<= X_0 1e9999))", 3, ModelFileError),
        ("(assert (xor (<= X_0 1) true))", 3, UnsupportedError),
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


def test_reading_ends_with_the_time() -> None:
    text = DECLARED + BOX + 50 * "(assert (>= Y_0 1))"
    for number in (0, 5, 60):
        with pytest.raises(OutOfTime):
            parse_vnnlib(text, looks(number))
    assert parse_vnnlib(text, looks(10_000)).outputs == 2


def test_what_no_line_is_to_blame_for() -> None:
    with pytest.raises(ModelFileError, match="variables are missing"):
        parse_vnnlib("(declare-const X_1 Real) (declare-const Y_0 Real)")
    with pytest.raises(SpecError, match="X_1 has no upper bound"):
        parse_vnnlib(DECLARED + "(assert (>= X_0 0)) (assert (<= X_0 0)) (assert (>= X_1 0))").property(copy())
    with pytest.raises(SpecError, match="another network"):
        parse_vnnlib("(declare-const X_0 Real) (declare-const Y_0 Real)").property(copy())


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


@pytest.mark.parametrize("begin", ["", "\ufeff", "; \u00e9\u00e9\u00e9\n"])
def test_of_a_file_that_is_too_large_nothing_is_read(begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.vnnlib"
    path.write_bytes((begin + DECLARED + BOX + "(assert (<= Y_0 0))").encode())
    size = len((begin + DECLARED + BOX).encode())
    monkeypatch.setattr(vnnlib, "LARGEST", size - 1)
    with pytest.raises(ModelFileError, match=f"too large(.|\n)*at most {size - 1} bytes"):
        read_vnnlib(path)
    monkeypatch.setattr(vnnlib, "LARGEST", path.stat().st_size)
    assert len(read_vnnlib(path).assertions) == len(parse_vnnlib(DECLARED + BOX).assertions) + 1


@pytest.mark.parametrize("read", [read_vnnlib, partial(read_nnet, normalized=False), read_onnx])
def test_a_name_that_no_file_has_is_no_file(read: Callable[[str], object]) -> None:
    with pytest.raises(ModelFileError, match="cannot read the file"):
        read("net\0.onnx")


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
    assert main(["vnnlib", str(network), str(tmp_path / "p.vnnlib"), "--timeout", "1e-9"]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == ["UNKNOWN", "VNN-COMP: timeout"]
    (tmp_path / "p.vnnlib").write_text(DECLARED + "(assert")
    assert main(["vnnlib", str(network), str(tmp_path / "p.vnnlib")]) == 2
    assert "line 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(assert (<= 0 Y_0 0.05))", "VIOLATED"),  # chained: 0 <= Y_0 and Y_0 <= 0.05
        ("(assert (<= 0.05 Y_0 0.1 0.2))", "VIOLATED"),
        ("(assert (<= 0.05 Y_0 0.01))", "HOLDS"),
        ("(assert (< 0.1 Y_0 1))", "HOLDS"),
        ("(assert (> 0.2 Y_0 0.1))", "HOLDS"),
        ("(assert (>= 1 Y_1 Y_0 0.1))", "VIOLATED"),
        ("(assert (= Y_0 Y_1 0.1))", "VIOLATED"),
        ("(assert (= Y_0 Y_1 0.2))", "HOLDS"),
        ("(assert (distinct Y_0 X_0))", "HOLDS"),
        ("(assert (distinct Y_0 Y_1 0))", "VIOLATED"),
        ("(assert true) (assert (>= Y_0 0.1))", "VIOLATED"),
        ("(assert false)", "HOLDS"),
        ("(assert (or false (>= Y_0 0.1)))", "VIOLATED"),
        ("(assert (or (>= Y_0 0.2) false))", "HOLDS"),
        ("(assert (and true (>= Y_0 0.2)))", "HOLDS"),
        ("(assert (not (<= Y_0 0.1)))", "HOLDS"),
        ("(assert (not (< Y_0 0.1)))", "VIOLATED"),
        ("(assert (not (and (<= Y_0 0.1) (<= Y_1 1))))", "HOLDS"),
        ("(assert (not (or (< Y_0 0.1) (< Y_1 1))))", "VIOLATED"),
        ("(assert (not (not (> Y_0 0.1))))", "HOLDS"),
        ("(assert (not (= Y_0 X_0)))", "HOLDS"),
        ("(assert (=> (>= Y_0 -0.5) (> Y_1 1)))", "HOLDS"),
        ("(assert (=> (>= Y_0 0) (>= Y_1 1)))", "VIOLATED"),
        ("(assert (=> true (<= Y_0 0.1) (> Y_1 1)))", "HOLDS"),  # from the right: true => (… => …)
        ("(assert (=> false (> Y_1 5)))", "VIOLATED"),
        ("(assert (<= 2 1))", "HOLDS"),
        ("(assert (< 1 1))", "HOLDS"),
        ("(assert (<= 1 1)) (assert (>= Y_0 0.1))", "VIOLATED"),
        ("(assert (>= (- Y_0 X_0) 0)) (assert (> X_0 0.1))", "HOLDS"),  # strict on an input
        ("(assert (>= Y_0 (- (/ 1 3) (/ 7 30))))", "VIOLATED"),  # 1/3 - 7/30 is 1/10
        ("(assert (> Y_0 (- (/ 1 3) (/ 7 30))))", "HOLDS"),
    ],
)
def test_what_the_language_says(condition: str, expected: str) -> None:
    assert verdict(BOX + condition, copy(), solver="z3").verdict.name == expected


@pytest.mark.parametrize("seed", range(30))
def test_random_conditions_mean_what_python_makes_of_them(seed: int) -> None:
    """A condition of any nesting is evaluated by a plain interpreter of its own at points of a grid."""
    rng = np.random.default_rng(seed)

    def build(depth: int) -> tuple[str, object]:
        kind = str(rng.choice(["atom", "atom", "true", "not", "and", "or", "=>"] if depth else ["atom"]))
        if kind == "atom":
            word = str(rng.choice(["<=", ">=", "<", ">", "=", "distinct"]))
            terms = [str(rng.choice(["X_0", "X_1", "Y_0", "Y_1", "0", "0.5", "-0.5"])) for _ in range(int(rng.integers(2, 4)))]
            return f"({word} {' '.join(terms)})", (word, terms)
        if kind == "true":
            word = str(rng.choice(["true", "false"]))
            return word, (word, [])
        parts = [build(depth - 1) for _ in range(1 if kind == "not" else int(rng.integers(2, 4)))]
        return f"({kind} {' '.join(t for t, _ in parts)})", (kind, [p for _, p in parts])

    def true(tree: object, at: dict[str, Fraction]) -> bool:
        assert isinstance(tree, tuple)
        word, parts = tree
        if word in ("<=", ">=", "<", ">", "=", "distinct"):
            v = [at[p] if p in at else Fraction(p) for p in parts]
            beside = list(pairwise(v))
            checks = {"<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, ">": lambda a, b: a > b}
            return (
                len(set(v)) == len(v)
                if word == "distinct"
                else len(set(v)) == 1
                if word == "="
                else all(checks[word](a, b) for a, b in beside)
            )
        values = [true(p, at) for p in parts]
        return {
            "true": lambda: True,
            "false": lambda: False,
            "not": lambda: not values[0],
            "and": lambda: all(values),
            "or": lambda: any(values),
            "=>": lambda: not all(values[:-1]) or values[-1],
        }[word]()

    text, tree = build(3)
    box = "".join(f"(assert (<= -1 X_{k} 1))" for k in range(2))
    read = parse_vnnlib(f"{DECLARED}{box}(assert {text})")
    found = False
    for point in product((Fraction(-1, 2), Fraction(0), Fraction(1, 4), Fraction(1, 2)), repeat=2):
        at = {"X_0": point[0], "X_1": point[1], "Y_0": point[0], "Y_1": point[1]}
        found = found or true(tree, at)
        assert read.meets(point, point) is true(tree, at), text
    result = qs.verify(read.property(copy()), solver="z3", timeout=30)
    if found:
        assert result.verdict is qs.Verdict.VIOLATED, text
    if result.point is not None:
        assert read.meets(result.point["x"].tolist(), result.point["x"].tolist())


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("(assert (ite (<= X_0 1) true false))", UnsupportedError, "line 3: ite"),
        ("(assert (let ((a X_0)) (<= a 1)))", UnsupportedError, "line 3: let"),
        ("(assert (= (<= X_0 1) true))", UnsupportedError, "line 3: <= is not read"),
        ("(assert (<= (true) 1))", UnsupportedError, "line 3: true is not read"),
        ("(assert (<= true 1))", ModelFileError, "line 3: neither a number"),
        ("(assert (not))", ModelFileError, "line 3: not with a wrong number"),
        ("(assert (not true false))", ModelFileError, "line 3: not with a wrong number"),
        ("(assert (=> true))", ModelFileError, "line 3: => with a wrong number"),
        ("(assert (distinct X_0))", ModelFileError, "line 3: distinct with a wrong number"),
        ("(check-sat)\n(assert (<= X_0 1))", UnsupportedError, "line 4: assert after check-sat"),
        ("(exit)\n(declare-const X_2 Real)", UnsupportedError, "line 4: declare-const after exit"),
        ("(push 1)", UnsupportedError, "line 3: the command push"),
        ("(reset)", UnsupportedError, "line 3: the command reset"),
        ("(declare-const X_02 Real)", UnsupportedError, "line 3: a variable of this name"),
        ("(assert (<= X_00 1))", ModelFileError, "line 3: neither a number"),
        ("(assert (<= X_0 1_0))", ModelFileError, "line 3: neither a number"),
        ("(assert (<= X_0 0x1))", ModelFileError, "line 3: neither a number"),
        ("(assert (<= X_0 1/2))", ModelFileError, "line 3: neither a number"),
        ("(declare-const Y_3 Real)", ModelFileError, "Y_2"),
        ("(declare-fun Y_2 (Real) Real)", ModelFileError, "line 3: a malformed declare-fun"),
        ("()", ModelFileError, "line 3: not a command"),
        ("((assert true))", ModelFileError, "line 3: not a command"),
    ],
)
def test_what_is_not_read_names_its_line(text: str, kind: type[QspecError], told: str) -> None:
    with pytest.raises(kind, match=told):
        parse_vnnlib(DECLARED + text)


def test_every_word_of_the_table_is_read_and_the_docs_have_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "readers.md").read_text(encoding="utf-8")
    assert "\n".join(vnnlib_text.table()) in page
    for named in vnnlib_text.CONDITIONS:
        arguments = (
            "" if named in ("true", "false") else " true" if named == "not" else " true true" if named in ("and", "or", "=>") else " X_0 1"
        )
        parse_vnnlib(DECLARED + f"(assert {f'({named}{arguments})' if arguments else named})")
    for named in vnnlib_text.TERMS:
        parse_vnnlib(DECLARED + f"(assert (<= ({named} X_0 2) 1))")
    for named in vnnlib_text.COMMANDS:
        rest = {"declare-const": "X_2 Real", "declare-fun": "X_2 () Real", "assert": "true"}.get(named, "")
        parse_vnnlib(DECLARED + f"({named} {rest})")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    text = "\ufeff" + DECLARED + BOX
    (tmp_path / "p.vnnlib").write_text(text, encoding="utf-8")
    assert parse_vnnlib(text) == read_vnnlib(tmp_path / "p.vnnlib")


def test_a_disjunction_of_comparisons_is_one_of_vectors() -> None:
    """The formula of twenty times as many alternatives has as many parts, so that time is linear."""

    def parts(formula: object) -> int:
        children = getattr(formula, "children", None) or [c for c in [getattr(formula, "child", None)] if c is not None]
        return 1 + sum(map(parts, children))

    sizes: list[int] = []
    for count in (50, 1000):
        text = " ".join(f"(<= X_{k % 2} {k / 1000})" for k in range(count))
        spec = parse_vnnlib(f"{DECLARED}{BOX}(assert (or {text}))(assert (or {text.replace('X', 'Y')}))").property(copy())
        sizes.append(parts(spec.given) + parts(spec.then))
    assert sizes[0] == sizes[1]
