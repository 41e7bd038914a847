"""dReal 4: branch and prune with interval contractors; `unsat` is a proof, `delta-sat` a hint that is replayed.

By its Python package (an optional extra, Python below 3.12, with an IBEX library that pip does not bring), or by any command that reads
SMT-LIB on stdin, such as a container, named in QSPEC_DREAL. docs/dreal.md says how to get either, and which of its habits are guarded
against here.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from typing import Literal

from qspec.errors import UnsupportedError
from qspec.ir.real import Query
from qspec.problem import Model, Problem, RealProblem, Symbol
from qspec.solver import Answer, Availability, Limits, Reason
from qspec.theories.nested_terms import BoundedReal, Call, Junction, Nested, SumComparison, Tree, WeightedSum, nest
from qspec.theories.real_monotone import one_sided
from qspec_solvers import availability
from qspec_solvers.process import Finished, run, worker
from qspec_solvers.reply import interpret

COMMAND_VARIABLE = "QSPEC_DREAL"
Mode = Literal["plain", "inputs first", "polytope"]
MODES: tuple[Mode, ...] = ("inputs first", "polytope")
WIDEST = 128
"""Variables of one comparison at most: dReal's set-up grows with their cube (128: 0.5 s, 256: 3 s, 512: 17 s, each comparison)."""
LARGEST = 200_000
"""Operations at most when all is written out: dReal walks its expressions as trees."""
IBEX = "libibex.so (IBEX, dReal's fork): Ubuntu 22.04 has it in ppa:dreal/dreal; or set QSPEC_DREAL to a container (docs/dreal.md)"


@dataclass(frozen=True, slots=True)
class DReal:
    """dReal 4; `command` (else QSPEC_DREAL) names an executable to use instead of the Python package, with all its arguments."""

    command: tuple[str, ...] = ()
    presolve: bool = True
    """Whether inputs in which the goal is monotone are fixed before, and the sides of a disjunction asked about one by one."""
    modes: tuple[Mode, ...] = MODES
    """How the Python package is to search: one process for each, of which the first answer counts."""
    theories: tuple[str, ...] = ("real",)
    name: str = "dreal"
    cite: str = "S. Gao, S. Kong, E. Clarke. dReal: An SMT Solver for Nonlinear Theories over the Reals. CADE 2013"

    def words(self) -> tuple[str, ...]:
        """Return the command as words; empty if the Python package is to be used."""
        return availability.words(self.command, COMMAND_VARIABLE)

    def availability(self) -> Availability:
        words = self.words()
        if words:
            return availability.command(words, COMMAND_VARIABLE, "'COMMAND --in'")
        if find_spec("dreal") is None:
            if sys.version_info >= (3, 12):
                missing = "dReal has no package for Python 3.12 and later"
                return Availability(False, missing=missing, install="pip install 'qspec-verify[dreal]' (Python 3.11), or set QSPEC_DREAL")
            return Availability(
                False, missing="the Python package 'dreal'", install="pip install 'qspec-verify[dreal]', and libibex (docs/dreal.md)"
            )
        return _loaded()

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the answer: `unsat` is a proof; a model of `delta-sat` may miss every comparison by a little more than `problem.delta`."""
        if not isinstance(problem, RealProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes a real query, not {problem.theory}")
        if not (math.isfinite(problem.delta) and problem.delta > 0):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"delta must be positive, not {problem.delta}")
        began = time.monotonic()
        try:
            sides = one_sided(problem.query) if self.presolve else (problem.query,)
            parts = [(side, nest(side)) for side in sides]
        except (UnsupportedError, OverflowError) as error:
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=" ".join(str(error).split()))
        for side, nested in parts:
            if nested.goal is True:
                return Answer("sat", _completed(side, {}))
        return self._each([(side, nested) for side, nested in parts if nested.goal is not False], problem.delta, limits, began)

    def _each(self, parts: Sequence[tuple[Query, Nested]], delta: float, limits: Limits, began: float) -> Answer:
        """Ask about one part after the other, each in an equal share of the time that is left; the first model is the answer."""
        undecided: Answer | None = None
        for k, (side, nested) in enumerate(parts):
            if nested.widest > WIDEST or nested.size > LARGEST:
                detail = (
                    f"dReal takes {WIDEST} variables in a comparison and {LARGEST} operations, here are {nested.widest} and {nested.size}"
                )
                undecided = Answer("unknown", reason=Reason.TOO_LARGE, detail=detail)
                continue
            left = None if limits.seconds is None else (limits.seconds - (time.monotonic() - began)) / (len(parts) - k)
            if left is not None and left <= 0:
                undecided = Answer("unknown", reason=Reason.TIMEOUT)
                break
            answer = self._asked(nested, delta, replace(limits, seconds=left))
            if answer.model is not None:
                model = _completed(side, _named(nested, answer.model))
                return replace(answer, model=model, seconds=time.monotonic() - began)
            if answer.status != "unsat":
                undecided = answer
        return replace(undecided or Answer("unsat"), seconds=time.monotonic() - began)

    def _asked(self, nested: Nested, delta: float, limits: Limits) -> Answer:
        words, symbols = self.words(), _symbols(nested)
        if not words:
            text = json.dumps(_job(nested, delta, limits, self.modes))
            return interpret(run(worker("run_dreal"), text, limits, channel=True), symbols, limits)
        answer = _command(words, nested, delta, 0.0, limits)
        if answer.status != "delta-sat":
            return answer
        left = None if limits.seconds is None else limits.seconds - answer.seconds
        if left is not None and left <= 0:
            return answer
        better = _command(words, nested, delta, 2 * delta, replace(limits, seconds=left))
        return replace(better if better.status == "delta-sat" else answer, seconds=answer.seconds + better.seconds)


def _loaded() -> Availability:
    """Return whether the Python package can be imported, tried in a process of its own."""
    command = (sys.executable, "-P", "-c", "import dreal")
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Availability(False, missing=f"dReal cannot be tried: {error}", install="see docs/dreal.md")
    if tried.returncode == 0:
        return availability.package("dreal", "dreal", "'qspec-verify[dreal]'")
    last = (tried.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if "libibex" in last:
        return Availability(False, missing="the library libibex.so, which the Python package 'dreal' does not bring", install=IBEX)
    return Availability(False, missing=f"the Python package 'dreal' cannot be loaded: {last[:200]}", install="see docs/dreal.md")


def _symbols(nested: Nested) -> tuple[Symbol, ...]:
    named = ((k, a) for k, a in enumerate(nested.atoms) if isinstance(a, BoundedReal) and a.input is not None)
    return tuple(Symbol(f"v{k}", "Real", a.input or "", a.index) for k, a in named)


def _named(nested: Nested, model: Model) -> dict[str, Fraction]:
    return {f"{s.input}[{s.index}]": Fraction(model[s.text]) for s in _symbols(nested)}


def _completed(query: Query, model: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return a value within its exact bounds for every element; those without one are at their lower end."""
    found: dict[str, Fraction] = {}
    for name, node in query.inputs.items():
        for k, (low, high) in enumerate(zip(node.lower.tolist(), node.upper.tolist(), strict=True)):
            value = model.get(f"{name}[{k}]", Fraction(low))
            found[f"{name}[{k}]"] = min(max(value, Fraction(low)), Fraction(high))
    return found


def _job(nested: Nested, delta: float, limits: Limits, modes: Sequence[Mode]) -> dict[str, object]:
    """Return what the worker decides, as JSON has it; the first input of a query has priority 0, later ones are parameters."""
    inputs = list(dict.fromkeys(a.input for a in nested.atoms if isinstance(a, BoundedReal) and a.input is not None))
    first = inputs[0] if inputs else None
    atoms: list[list[object]] = []
    for atom in nested.atoms:
        if isinstance(atom, BoundedReal):
            atoms.append(["variable", atom.lower, atom.upper, int(atom.input != first)])
        else:
            atoms.append([atom.operator, [_plain(s) for s in atom.arguments]])
    return {"atoms": atoms, "goal": _tree(nested.goal), "delta": delta, "seconds": limits.seconds, "modes": list(modes)}


def _plain(total: WeightedSum) -> list[object]:
    return [total.constant, [list(term) for term in total.terms]]


def _tree(tree: Tree) -> list[object]:
    match tree:
        case SumComparison(total, strict):
            return [">" if strict else ">=", _plain(total)]
        case Junction(operator, children):
            return [operator, [_tree(c) for c in children]]
        case bool():
            raise AssertionError("constants are decided before")


def script(nested: Nested, delta: float, margin: float) -> str:
    """Return the SMT-LIB text of dReal's dialect: doubles in hexadecimal, terms written out (a definition would be one more variable)."""
    texts: list[str] = []
    lines = ["(set-option :produce-models true)", f"(set-option :precision {delta!r})", "(set-logic QF_NRA)"]
    for k, atom in enumerate(nested.atoms):
        if isinstance(atom, BoundedReal):
            texts.append(f"v{k}")
            lines.append(f"(declare-fun v{k} () Real)")
            lines.append(f"(assert (and (<= {atom.lower.hex()} v{k}) (<= v{k} {atom.upper.hex()})))")
        else:
            texts.append(_call(atom, [_sum(s, texts) for s in atom.arguments]))
    return "\n".join([*lines, f"(assert {_formula(nested.goal, texts, margin)})", "(check-sat)", "(exit)", ""])


def _sum(total: WeightedSum, texts: Sequence[str]) -> str:
    products = [texts[a] if c == 1 else f"(* {c.hex()} {texts[a]})" for c, a in total.terms]
    parts = [total.constant.hex(), *products] if total.constant or not products else products
    return f"(+ {' '.join(parts)})" if len(parts) > 1 else parts[0]


def _call(call: Call, arguments: Sequence[str]) -> str:
    first = arguments[0]
    match call.operator:
        case "max":
            for other in arguments[1:]:
                first = f"(max {first} {other})"
            return first
        case "product":
            return f"(* {first} {arguments[1]})"
        case "exp" | "tanh":
            return f"({call.operator} {first})"
        case "sigmoid":
            return f"(/ 1 (+ 1 (exp (- {first}))))"
        case "softplus":
            return f"(log (+ 1 (exp {first})))"
        case "reciprocal":
            return f"(/ 1 {first})"


def _formula(tree: Tree, texts: Sequence[str], margin: float) -> str:
    match tree:
        case SumComparison(total, strict):
            return f"({'>' if strict else '>='} {_sum(total, texts)} {margin.hex()})"
        case Junction(operator, children):
            return f"({operator} {' '.join(_formula(c, texts, margin) for c in children)})"
        case bool():
            raise AssertionError("constants are decided before")


_LINE = re.compile(r"^(v[0-9]+) : \[? ?([-+0-9.e]+)(?:, ([-+0-9.e]+) ?\])?$", re.MULTILINE)


def _command(words: Sequence[str], nested: Nested, delta: float, margin: float, limits: Limits) -> Answer:
    """Return what a dReal executable says, with every comparison strengthened by a margin."""
    finished = run(words, script(nested, delta, margin), limits)
    return interpret(replace(finished, output=translated(finished)), _symbols(nested), limits)


def translated(finished: Finished) -> str:
    """Return what dReal printed, `delta-sat with delta = d` and a line `v0 : [a, b]` for each variable, with middles as values."""
    if not finished.output.startswith("delta-sat"):
        return finished.output
    try:
        ends = [(name, Fraction(low), Fraction(high or low)) for name, low, high in _LINE.findall(finished.output)]
    except ValueError:  # nan
        return finished.output
    values = (f"({name} {(low + high) / 2})" for name, low, high in ends)
    return f"delta-sat ({' '.join(values)})"
