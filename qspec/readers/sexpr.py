"""Read S-expressions and remember on which line each of them begins, for messages about files that people write."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qspec.deadline import NEVER, Deadline
from qspec.errors import ModelFileError

DEEPEST = 64
_TOKEN = re.compile(r"""(?P<space> \s+ | ;[^\n]* ) | (?P<token> [()] | \|[^|\\]*\| | "[^"]*(?:""[^"]*)*" | [^\s()|";]+ )""", re.VERBOSE)


@dataclass(frozen=True, slots=True)
class SAtom:
    """A word as it is written."""

    text: str
    line: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SExpression:
    """A list in parentheses."""

    items: tuple[SAtom | SExpression, ...]
    line: int

    def __str__(self) -> str:
        return f"({' '.join(map(str, self.items))})"


SExpr = SAtom | SExpression


def read(text: str, deadline: Deadline = NEVER) -> tuple[SExpr, ...]:
    """Return the S-expressions of a text; raises ModelFileError with the line if it is malformed or absurdly nested, and OutOfTime."""
    text = text.removeprefix("\ufeff")  # a byte order mark
    stack: list[tuple[list[SExpr], int]] = [([], 1)]
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ModelFileError(
                f"line {line}: a quotation that does not end", given=text[position : position + 40], expected="S-expressions"
            )
        position = match.end()
        token = match["token"]
        if token == "(":
            if len(stack) > DEEPEST:
                raise ModelFileError(f"line {line}: lists nested too deep", given=len(stack), expected=f"at most {DEEPEST}")
            stack.append(([], line))
            deadline.check()
        elif token == ")":
            if len(stack) == 1:
                raise ModelFileError(f"line {line}: a parenthesis is closed that was not opened", given=")", expected="S-expressions")
            items, begun = stack.pop()
            stack[-1][0].append(SExpression(tuple(items), begun))
        elif token is not None:
            stack[-1][0].append(SAtom(token, line))
        line += match.group().count("\n")
    if len(stack) > 1:
        raise ModelFileError(f"line {stack[-1][1]}: a list that does not end", given="the end of the text", expected=")")
    return tuple(stack[0][0])
