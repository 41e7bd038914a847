"""Turn what a solver process printed, and how it ended, into an answer."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import assert_never

from qspec.problem import Symbol
from qspec.solver import Answer, Limits, Reason
from qspec_solvers.algebraic import approximate
from qspec_solvers.process import End, Finished
from qspec_solvers.sexpr import Malformed, SExpr, integer, rational, read, unquote

_MEMORY = re.compile(r"bad_alloc|out of memory|MemoryError|cannot allocate memory|memory (exhausted|limit)", re.IGNORECASE)


def interpret(run: Finished, symbols: Sequence[Symbol], limits: Limits) -> Answer:
    """Return the answer that a finished run of an SMT solver amounts to."""
    return concluded(run, limits, lambda output: parse(output, symbols))


def concluded(run: Finished, limits: Limits, understand: Callable[[str], Answer]) -> Answer:
    """Return the answer that a finished run amounts to; what it printed is understood, or Malformed is raised."""

    measured: dict[str, float | int | str] = {"memory_mib": run.peak, "cpu_seconds": run.cpu}

    def unknown(reason: Reason, detail: str) -> Answer:
        return Answer("unknown", reason=reason, detail=detail, seconds=run.seconds, statistics=measured)

    last = _last_words(run)
    match run.end:
        case End.TIMEOUT:
            return unknown(Reason.TIMEOUT, f"stopped after {limits.seconds:g} s")
        case End.MEMORY:
            return unknown(Reason.MEMORY, f"stopped at {run.peak} MiB")
        case End.OUTPUT:
            return unknown(Reason.GARBAGE, f"stopped after {len(run.output)} bytes of output")
        case End.LOST:
            return unknown(Reason.CRASH, f"the process could not be started or supervised: {last}")
        case End.SIGNAL:
            if _MEMORY.search(run.errors):
                return unknown(Reason.MEMORY, last)
            return unknown(Reason.CRASH, f"killed by {_signal(run.code)}: {last}")
        case End.EXIT:
            return _exited(run, understand, measured)
        case _:
            assert_never(run.end)


def _exited(run: Finished, understand: Callable[[str], Answer], measured: dict[str, float | int | str]) -> Answer:
    """Return the answer of a run that ended by itself: a whole one counts, whatever else was printed beside it."""
    try:
        reply = understand(run.output)
    except Malformed as error:
        died, last = run.code != 0 and not run.output.strip(), _last_words(run)
        reason, detail = (Reason.CRASH, f"exit status {run.code}: {last}") if died else (Reason.GARBAGE, str(error))
        reply = Answer("unknown", reason=reason, detail=detail)
    if reply.status == "unknown" and _MEMORY.search(run.errors):
        reply = replace(reply, reason=Reason.MEMORY, detail=_last_words(run))
    return replace(reply, seconds=run.seconds, statistics={**measured, **reply.statistics})


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(run: Finished) -> str:
    """Return the line that says best why a process died: the last that speaks of an error, else the last."""
    lines = next((text.strip() for text in (run.errors, run.noise, run.output) if text.strip()), "").splitlines()
    telling = [line for line in lines if re.search("error|exception", line, re.IGNORECASE)] or lines
    return telling[-1].strip()[:300] if telling else "it said nothing"


def parse(output: str, symbols: Sequence[Symbol]) -> Answer:
    """Return what a solver printed in response to `check-sat` and `get-value`; raises Malformed if it is not one whole answer.

    Errors before the status make it worthless (a solver may go on without what it did not understand); after `unsat` they are the usual
    response to `get-value`. Lists `(:key value ...)` become statistics.
    """
    match [e for e in read(output) if e not in ("success", "unsupported")]:
        case []:
            raise Malformed("no answer was printed")
        case [("error", *words), *_]:
            message = " ".join(str(unquote(w)) for w in words)
            return Answer("unknown", reason=Reason.MEMORY if _MEMORY.search(message) else Reason.UNSUPPORTED, detail=message)
        case ["timeout", *_]:
            return Answer("unknown", reason=Reason.TIMEOUT, detail="the solver's own time limit")
        case ["sat" | "delta-sat" | "unsat" | "unknown" as status, *rest]:
            statistics = _attributes(rest)
            rest = [e for e in rest if not _is_attributes(e)]
            if status in ("sat", "delta-sat"):
                values = _values(rest, symbols)
                rounded = sum(s.sort == "Real" and rational(v) is None for s, v in values.items())
                detail = f"{rounded} values of the model are algebraic numbers, and were rounded" if rounded else ""
                model = {s.text: _value(s, v) for s, v in values.items()}
                return Answer(status, model, detail=detail, statistics=statistics, numerical=rounded > 0)
            if status == "unknown":
                return Answer("unknown", reason=Reason.INCOMPLETE, detail=str(statistics.pop("reason_unknown", "")), statistics=statistics)
            if not all(isinstance(e, tuple) and e[:1] == ("error",) for e in rest):
                raise Malformed(f"after unsat there is more: {_show(rest[0])}")
            return Answer("unsat", statistics=statistics)
        case [first, *_]:
            raise Malformed(f"not an answer: {_show(first)}")
        case _:
            raise Malformed("not an answer")


def _is_attributes(expression: SExpr) -> bool:
    if not isinstance(expression, tuple) or not expression or len(expression) % 2:
        return False
    return all(isinstance(k, str) and k.startswith(":") for k in expression[::2])


def _attributes(expressions: Sequence[SExpr]) -> dict[str, float | int | str]:
    found: dict[str, float | int | str] = {}
    for expression in expressions:
        if isinstance(expression, tuple) and _is_attributes(expression):
            for key, value in zip(expression[::2], expression[1::2], strict=True):
                found[str(key)[1:].replace("-", "_")] = _number(unquote(value))
    return found


def _number(value: SExpr) -> float | int | str:
    text = _show(value)
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{1,18}\.[0-9]{1,18}", text) else text


def _values(replies: Sequence[SExpr], symbols: Sequence[Symbol]) -> dict[Symbol, SExpr]:
    """Return what was printed as the value of every symbol, from lists of pairs (term value)."""
    values: dict[SExpr, SExpr] = {}
    for pair in (p for reply in replies for p in (reply if isinstance(reply, tuple) else (reply,))):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise Malformed(f"not a term and its value: {_show(pair)}")
        if values.setdefault(unquote(pair[0]), pair[1]) != pair[1]:
            raise Malformed(f"two values for {_show(pair[0])}")
    for symbol in symbols:
        if unquote(symbol.text) not in values:
            raise Malformed(f"no value for {symbol.text}")
    return {symbol: values[unquote(symbol.text)] for symbol in symbols}


def _value(symbol: Symbol, written: SExpr) -> int | Fraction:
    """Return the number that a value of the symbol's sort stands for; of an algebraic number a rational close to it."""
    if symbol.sort == "Real":
        number = rational(written)
        number = approximate(written) if number is None else number
        if number is None:
            raise Malformed(f"{_show(written)} is not a value of sort Real ({symbol.text})")
        return number
    match symbol.sort:
        case "Bool":
            fits = written in ("true", "false")
        case "BitVec":
            fits = written[:1] == "#" if isinstance(written, str) else written[:1] == ("_",)
        case "Int":
            fits = written[:1].isdigit() or written[:1] == "-" if isinstance(written, str) else written[:1] == ("-",)
        case _:
            assert_never(symbol.sort)
    value = integer(written)
    if not fits or value is None:
        raise Malformed(f"{_show(written)} is not a value of sort {symbol.sort} ({symbol.text})")
    return value


def _show(expression: SExpr) -> str:
    text = expression if isinstance(expression, str) else f"({' '.join(_show(e) for e in expression)})"
    return text if len(text) <= 200 else text[:200] + "…"
