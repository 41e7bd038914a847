"""What solvers print is read exactly, and nothing that they could print raises anything but Malformed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qspec.problem import Symbol
from qspec.solver import Limits, Reason
from qspec_solvers.algebraic import approximate
from qspec_solvers.process import End, Finished
from qspec_solvers.reply import interpret, parse
from qspec_solvers.sexpr import Malformed, integer, rational, read, unquote

VECTOR, NUMBER, TRUTH = Symbol("x", "BitVec", "x", 0), Symbol("|a b|", "Int", "x", 1), Symbol("p", "Bool", "x", 2)
PIECES = st.sampled_from(
    ["sat", "unsat", "unknown", "(", ")", " ", "\n", "x", "|a b|", "p", "#b1", "(- 3)", "true", ":key", "error", '"', "|", ";", "é"]
)
noise = st.one_of(st.text(), st.lists(PIECES).map(" ".join))


def test_expressions_keep_their_nesting_and_their_tokens() -> None:
    text = '(a |b ; (c| "d ""e"" )" ; comment )\n(_ bv5 8)()) x'
    assert read(text.replace("()) x", "())x")) == (("a", "|b ; (c|", '"d ""e"" )"', ("_", "bv5", "8"), ()), "x")
    assert unquote('"d ""e"" )"') == 'd "e" )'
    assert unquote("|b ; (c|") == "b ; (c"


@given(noise)
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        answer = parse(text, (VECTOR, NUMBER, TRUTH))
    except Malformed:
        return
    assert answer.status in ("sat", "unsat", "unknown")
    assert (answer.model is not None) == (answer.status == "sat")
    assert (answer.reason is not None) == (answer.status == "unknown")


@given(noise, st.sampled_from(list(End)), st.integers(-1, 255))
def test_any_end_of_a_run_is_an_answer(text: str, end: End, code: int) -> None:
    answer = interpret(Finished(end, code, text, text), (VECTOR,), Limits())
    assert (answer.status == "unknown") == (answer.reason is not None)
    assert end is End.EXIT or answer.status == "unknown"


@given(st.integers(-(2**300), 2**300))
def test_integers_are_read_exactly(n: int) -> None:
    (expression,) = read(f"(- {-n})" if n < 0 else str(n))
    assert integer(expression) == n
    assert integer(str(n)) == n


@given(st.integers(0, 2**300), st.integers(0, 20))
def test_bit_vectors_are_read_exactly(n: int, zeros: int) -> None:
    assert [integer(e) for e in read(f"#b{'0' * zeros}{n:b} #x{'0' * zeros}{n:X} #x{n:x} (_ bv{n} 400)")] == [n] * 4


@pytest.mark.parametrize("text", ["1.0", "(/ 1 2)", "#b", "#b12", "#xg", "x", "(- x)", "(- (- 3))", "(_ bv5)", "--3", "1" * 5000, "٣"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    (expression,) = read(text)
    assert integer(expression) is None


@given(st.fractions())
def test_rationals_are_read_exactly(q: Fraction) -> None:
    size = f"(/ {abs(q.numerator)}.0 {q.denominator}.0)"
    texts = [str(q), f"(- {size})" if q < 0 else size, f"(/ (- {-q.numerator}) {q.denominator})" if q < 0 else size]
    assert [rational(e) for e in read(" ".join(texts))] == [q] * 3


@pytest.mark.parametrize("text", ["1e5", "(/ 1 0)", "1/0", "(- 1 2)", "(/ 1)", "x", "()", "(+ 1 2)", ".5", "1.", "nan", "(/ 1.0 x)"])
def test_what_is_no_rational_is_refused(text: str) -> None:
    (expression,) = read(text)
    assert rational(expression) is None


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("(root-obj (+ (^ x 2) (- 2)) 2)", 2**0.5),
        ("(root-obj (+ (^ x 2) (- 2)) 1)", -(2**0.5)),
        ("(root-obj (+ (* 4 (^ x 2)) (* (- 4) x) 1) 1)", 0.5),
        ("(root-obj (+ (^ x 6) (* (- 2) (^ x 3)) (- 1)) 2)", (1 + 2**0.5) ** (1 / 3)),
        ("(_ real_algebraic_number <1*x^2 + (-2), (5/4, 3/2)>)", 2**0.5),
        ("(_ real_algebraic_number <1*x^6 + (-2*x^3) + (-1), (-2, -1/2)>)", -((2**0.5 - 1) ** (1 / 3))),
    ],
)
def test_algebraic_numbers_are_approximated(text: str, about: float) -> None:
    (expression,) = read(text)
    value = approximate(expression)
    assert value is not None
    assert abs(float(value) - about) < 1e-12


@pytest.mark.parametrize(
    "text", ["(root-obj (+ (^ x 2) 2) 1)", "(root-obj (^ y 2) 1)", "(root-obj 3 1)", "(root-obj (^ x 2) 2)", "(_ f <, (1, 2)>)"]
)
def test_what_is_no_algebraic_number_is_refused(text: str) -> None:
    (expression,) = read(text)
    assert approximate(expression) is None


def test_models_over_the_reals() -> None:
    symbols = (Symbol("a", "Real", "x", 0), Symbol("b", "Real", "x", 1))
    exact = parse("sat ((a (- (/ 1.0 3.0))) (b 2.0))", symbols)
    assert (exact.model, exact.numerical) == ({"a": Fraction(-1, 3), "b": Fraction(2)}, False)
    rounded = parse("sat ((a (root-obj (+ (^ x 2) (- 2)) 2)) (b 0.0))", symbols)
    assert rounded.model is not None
    assert rounded.numerical
    assert 0 < abs(rounded.model["a"] ** 2 - 2) < Fraction(1, 2**90)
    near = parse("delta-sat ((a 1/4) (b -3))", symbols)
    assert (near.status, near.model) == ("delta-sat", {"a": Fraction(1, 4), "b": Fraction(-3)})
    with pytest.raises(Malformed, match="not a value of sort Real"):
        parse("sat ((a true) (b 1))", symbols)


@pytest.mark.parametrize(
    "text",
    [
        "sat\n((x #b101) (|a b| (- 4)) (p true))",
        "success sat ((p true)) ((x (_ bv5 3))) ((|a b| -4) (x (_ bv5 3)))",
        "unsupported\nsat ; found\n(\n  (x #b101)\n  (|a b| (- 4))\n  (p true)\n)\n(:time 0.25 :conflicts 12 :inner |some solver|)",
    ],
)
def test_models(text: str) -> None:
    answer = parse(text, (VECTOR, NUMBER, TRUTH))
    assert (answer.status, answer.model) == ("sat", {"x": 5, "|a b|": -4, "p": 1})
    assert answer.statistics in ({}, {"time": 0.25, "conflicts": 12, "inner": "some solver"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sat ((x #b101) (x #b100))", "two values for x"),
        ("sat ((x 5))", "not a value of sort BitVec"),
        ("sat ((x true))", "not a value of sort BitVec"),
        ("sat ((x ()))", "not a value of sort BitVec"),
        ('sat (error "no model")', "not a term and its value"),
        ("sat sat", "not a term and its value"),
        ("unsat unsat", "after unsat"),
        ("satisfiable", "not an answer"),
        ("((x #b1)) sat", "not an answer"),
    ],
)
def test_what_is_no_whole_answer_is_refused(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parse(text, (VECTOR,))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("unknown", Reason.INCOMPLETE),
        ("unknown (x #b1)", Reason.INCOMPLETE),
        ("timeout", Reason.TIMEOUT),
        ('(error "out of memory") unsat', Reason.MEMORY),
        ('(error "logic") unsat', Reason.UNSUPPORTED),
    ],
)
def test_reasons(text: str, reason: Reason) -> None:
    assert parse(text, ()).reason is reason


def test_the_reason_that_a_solver_gives_is_kept() -> None:
    assert parse('unknown\n(:reason-unknown "(incomplete (theory arithmetic))")', ()).detail == "(incomplete (theory arithmetic))"
