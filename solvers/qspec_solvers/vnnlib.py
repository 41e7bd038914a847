"""Any verifier of networks in ONNX and properties in VNN-LIB, as a process of its own; it computes in floats, so `unsat` proves nothing.

Two kinds of commands. One without placeholders has the command line of the VNN-LIB 2 standard (`verify`, `supports`), and is asked what it
supports. One with placeholders, such as `Marabou {network} {query} --timeout {timeout}`, gets VNN-LIB 1.0, and answers in the words of
VNN-COMP on stdout, or in the file `{results}`. Source: https://github.com/VNNLIB/VNNLIB-Standard, "Solver Command-line Interface".
"""

from __future__ import annotations

import math
import re
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

from qspec.errors import PackageMissingError, UnsupportedError
from qspec.ir.real import FALSE, TRUE, Query
from qspec.problem import Problem, RealProblem
from qspec.solver import Answer, Availability, Limits, Reason
from qspec.theories.real_vnnlib import OPSET, Written, lower
from qspec_solvers import availability
from qspec_solvers.process import End, Finished, run
from qspec_solvers.reply import concluded
from qspec_solvers.sexpr import Malformed

COMMAND_VARIABLE = "QSPEC_VNNLIB_COMMAND"
NEEDED, OPTIONAL = ("{network}", "{query}"), ("{timeout}", "{results}")
"""The placeholders of a command: paths of files, and whole seconds."""
ENDLESS = 1 << 20
"""Seconds that a command is told where there is no limit."""
PATIENCE = Limits(20.0, 4096)
"""What a command may use to say what it supports."""
WORDS = ("sat", "unsat", "unknown", "timeout", "timed-out")
_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)"
_PAIR = re.compile(rf"\(\s*X_([0-9]{{1,9}})\s+{_NUMBER}\s*\)|^\s*x([0-9]{{1,9}}) = {_NUMBER}\s*$", re.MULTILINE)
"""A value in the form of VNN-COMP, `(X_3 0.5)`, or as Marabou prints it, `x3 = 0.5`."""
_TENSOR = re.compile(rf"^X [A-Za-z0-9]+ \[[0-9, ]*\]\n((?:{_NUMBER}\n?)*)", re.MULTILINE)
"""Values in the form of the standard: the tensor, then an element a line."""


@dataclass(frozen=True, slots=True)
class VnnLib:
    """Any VNN-LIB executable; its command comes from the constructor or from QSPEC_VNNLIB_COMMAND."""

    command: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("real",)
    name: str = "vnnlib"
    cite: str = "The VNN-LIB Standard, version 2.0. https://www.vnnlib.org"

    def words(self) -> tuple[str, ...]:
        """Return the command as words; empty if there is none."""
        return availability.words(self.command, COMMAND_VARIABLE)

    def availability(self) -> Availability:
        words = self.words()
        found = availability.command(words, COMMAND_VARIABLE, "qspec-vnnlib")
        absent = [p for p in NEEDED if not any(p in word for word in words)]
        if found.ok and absent and _templated(words):
            return Availability(False, missing=f"the command has no place for {absent[0]}", install=f"correct {COMMAND_VARIABLE}")
        return found

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return a model that the command found, as it printed it, moved into the box; its `unsat` is marked as numerical."""
        state = self.availability()
        if not state.ok:
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=state.missing)
        if not isinstance(problem, RealProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes real, not {problem.theory}")
        query = problem.query
        if query.goal in (TRUE, FALSE):
            return Answer("unsat") if query.goal == FALSE else Answer("sat", _inside(query, {}))
        try:
            return _asked(self.words(), query, limits)
        except (UnsupportedError, PackageMissingError) as error:
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=str(error))


def _templated(words: Sequence[str]) -> bool:
    return any(place in word for word in words for place in (*NEEDED, *OPTIONAL))


def _asked(words: tuple[str, ...], query: Query, limits: Limits) -> Answer:
    """Write a query as two files, and return what the command says of them."""
    began = time.monotonic()
    template = _templated(words)
    said = None if template else _supported(words)
    written = lower(query, "1.0" if template else "2.0", real=said is None or "real" in said["onnx-element-types"])
    if said is not None:
        _expect_supported(written, said)
    with tempfile.TemporaryDirectory(prefix="qspec-vnnlib-") as folder:
        network, asked, results = (Path(folder) / name for name in ("network.onnx", "query.vnnlib", "results.txt"))
        network.write_bytes(written.model)
        asked.write_text(written.text, encoding="utf-8")
        left = None if limits.seconds is None else max(limits.seconds - (time.monotonic() - began), 0.001)
        if template:
            seconds = ENDLESS if left is None else math.ceil(left)
            values = dict(zip((*NEEDED, *OPTIONAL), (str(network), str(asked), str(seconds), str(results)), strict=True))
            command = tuple(_filled(word, values) for word in words)
        else:
            command = (*words, "verify", str(asked), "--network", f"f={network}", *(() if left is None else ("--timeout", f"{left:.3f}")))
        finished = run(command, "", replace(limits, seconds=left))
        if results.exists():
            finished = replace(finished, output=results.read_text(encoding="utf-8", errors="replace"), noise=finished.output)
    return _explained(concluded(finished, limits, lambda text: _understood(text, written, query)), finished, words, written)


def _filled(word: str, values: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], word)


@cache
def _supported(words: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Return what a command with the standard's command line says it supports; raises UnsupportedError if it does not say."""
    found: dict[str, tuple[str, ...]] = {}
    for name in ("vnnlib-versions", "onnx-element-types", "onnx-operators", "onnx-opset-versions"):
        finished = run((*words, "supports", f"--{name}"), "", PATIENCE)
        found[name] = tuple(finished.output.split())
        if finished.end is not End.EXIT or finished.code or not found[name]:
            raise UnsupportedError(
                f"the command does not say what it supports (--{name})",
                given=shlex.join(words),
                expected="the command line of the VNN-LIB 2 standard",
                advice="of another, say where files go: 'COMMAND {network} {query} --timeout {timeout}'",
            )
    return found


def _expect_supported(written: Written, said: Mapping[str, tuple[str, ...]]) -> None:
    types = said["onnx-element-types"]
    needed = {
        "onnx-operators": [o for o in written.operators if o not in said["onnx-operators"]],
        "onnx-opset-versions": [str(OPSET)] * (not _within(OPSET, said["onnx-opset-versions"])),
        "onnx-element-types": [f"float{written.bits}"] * ("real" not in types and f"float{written.bits}" not in types),
        "vnnlib-versions": ["2.0"] * (not any(v.startswith("2") for v in said["vnnlib-versions"])),
    }
    for name, missing in needed.items():
        if missing:
            lacks = f"the command does not support what the query needs (--{name})"
            raise UnsupportedError(lacks, given=" ".join(missing), expected=" ".join(said[name]))


def _within(version: int, ends: Sequence[str]) -> bool:
    """Return whether a version is between the first and the last that are supported."""
    try:
        return int(ends[0]) <= version <= int(ends[-1])
    except ValueError:
        return False


def _understood(text: str, written: Written, query: Query) -> Answer:
    """Return the answer that a command printed; raises Malformed if it is none, or several that differ."""
    lines = [line.strip() for line in text.splitlines()]
    words = list(dict.fromkeys(line for line in lines if line in WORDS))
    if len(words) != 1:
        given = " and ".join(words) if words else text.strip()[:200] or "nothing"
        raise Malformed(f"not one answer of {', '.join(WORDS)}: {given}")
    match words[0]:
        case "sat":
            values = _values(text, len(written.elements))
            model = {f"{name}[{k}]": v for (name, k), v in zip(written.elements, values, strict=True)} if values else None
            return Answer("sat", None if model is None else _inside(query, model), numerical=True)
        case "unsat":
            return Answer("unsat", numerical=True)
        case "unknown":
            return Answer("unknown", reason=Reason.INCOMPLETE)
        case _:
            return Answer("unknown", reason=Reason.TIMEOUT, detail="the solver's own time limit")


def _values(text: str, count: int) -> list[Fraction]:
    """Return the elements of the input that a text gives, none if it gives none; raises Malformed if some are missing."""
    tensor = _TENSOR.search(text)
    if tensor is not None:
        values = [Fraction(v) for v in tensor[1].split()]
        if len(values) != count:
            raise Malformed(f"{len(values)} elements of an input with {count}")
        return values
    found = {int(m[1] or m[3]): Fraction(m[2] or m[4]) for m in _PAIR.finditer(text)}
    if found and (missing := sorted(set(range(count)) - set(found))):
        raise Malformed(f"no value for X_{missing[0]}")
    return [found[k] for k in range(count)] if found else []


def _inside(query: Query, model: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return a value within its bounds for every element: printed decimals are rounded, and may lie beside them."""
    return {
        f"{name}[{k}]": min(max(model.get(f"{name}[{k}]", Fraction(low)), Fraction(low)), Fraction(high))
        for name, node in query.inputs.items()
        for k, (low, high) in enumerate(zip(node.lower.tolist(), node.upper.tolist(), strict=True))
    }


def _explained(answer: Answer, finished: Finished, words: Sequence[str], written: Written) -> Answer:
    """Return an answer that says what the command said, and on what it stands."""
    rounded = f"; {written.rounded} weights were rounded" if written.rounded else ""
    told = f"{words[0]} says {answer.status}, by computation in floats{rounded}"
    statistics = {**answer.statistics, "answer": answer.status}
    match answer.status, answer.reason:
        case "unsat", _:
            return replace(answer, detail=f"{told}: that proves nothing; ask an exact solver", statistics=statistics)
        case "sat", _:
            return replace(answer, detail=told, statistics=statistics)
        case "unknown", Reason.GARBAGE if finished.code:
            last = (finished.errors.strip().splitlines() or [answer.detail])[-1]
            return replace(answer, reason=Reason.CRASH, detail=f"exit status {finished.code}: {last[:300]}")
        case _:
            return answer
