"""Read S-expressions, as SMT-LIB solvers print them (SMT-LIB 2.6 standard, section 3.1)."""

from __future__ import annotations

import re
from fractions import Fraction

SExpr = str | tuple["SExpr", ...]
DEEPEST = 64
_TOKEN = re.compile(r"""\s+ | ;[^\n]* | (?P<token> [()] | \|[^|\\]*\| | "[^"]*(?:""[^"]*)*" | [^\s()|";]+ )""", re.VERBOSE)


class Malformed(ValueError):
    """The text is not a sequence of S-expressions."""


def read(text: str) -> tuple[SExpr, ...]:
    """Return the S-expressions of a text: atoms as they are written, lists as tuples; raises Malformed, also for absurdly deep nesting."""
    stack: list[list[SExpr]] = [[]]
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Malformed(f"unexpected {text[position : position + 40]!r}")
        position = match.end()
        token = match["token"]
        if token == "(":
            stack.append([])
        elif token == ")" and len(stack) > 1:
            done = tuple(stack.pop())
            stack[-1].append(done)
        elif token == ")":
            raise Malformed("a parenthesis is closed that was not opened")
        elif token is not None:
            stack[-1].append(token)
        if len(stack) > DEEPEST:
            raise Malformed(f"lists nested deeper than {DEEPEST}")
    if len(stack) > 1:
        raise Malformed("the text ends within a list")
    return tuple(stack[0])


def unquote(token: SExpr) -> SExpr:
    """Return a symbol without its bars, or a string without its quotes."""
    if isinstance(token, str) and len(token) >= 2 and token[0] == token[-1]:
        if token[0] == "|":
            return token[1:-1]
        if token[0] == '"':
            return token[1:-1].replace('""', '"')
    return token


def integer(value: SExpr) -> int | None:
    """Return the integer that a value stands for: `-3`, `(- 3)`, `#b101`, `#x5`, `(_ bv5 8)`, `true` (1), `false` (0); else None."""
    match value:
        case "true" | "false":
            return int(value == "true")
        case str() if re.fullmatch(r"-?[0-9]{1,4000}", value):
            return int(value)
        case str() if re.fullmatch(r"#b[01]+", value):
            return int(value[2:], 2)
        case str() if re.fullmatch(r"#x[0-9a-fA-F]+", value):
            return int(value[2:], 16)
        case ("-", str() as numeral) if re.fullmatch(r"[0-9]{1,4000}", numeral):
            return -int(numeral)
        case ("_", str() as numeral, str() as width) if re.fullmatch(r"bv[0-9]{1,4000}", numeral) and re.fullmatch(r"[0-9]{1,9}", width):
            return int(numeral[2:])
        case _:
            return None


def rational(value: SExpr) -> Fraction | None:
    """Return the rational that a value stands for: `3`, `-3`, `0.25`, `1/3`, and `-` and `/` applied to such; else None."""
    match value:
        case str() if re.fullmatch(r"-?[0-9]{1,4000}(\.[0-9]{1,4000})?", value):
            return Fraction(value)
        case str() if re.fullmatch(r"-?[0-9]{1,4000}/0*[1-9][0-9]{0,3999}", value):
            return Fraction(value)
        case ("-", argument):
            number = rational(argument)
            return None if number is None else -number
        case ("/", left, right):
            numerator, denominator = rational(left), rational(right)
            return None if numerator is None or not denominator else numerator / denominator
        case _:
            return None
