"""cvc5 in this process: what a compiled text says, without the adapter."""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from typing import Any

from qspec.problem import SmtProblem
from qspec.solver import Answer, Reason

EFFORT = "2000000"
"""cvc5's own unit of work after which it gives up; no clock, so that runs are alike."""


def cvc5(problem: SmtProblem) -> Answer:
    """Decide a problem of any logic."""
    module: Any = import_module("cvc5")
    solver = module.Solver(module.TermManager())
    solver.setOption("produce-models", "true")
    solver.setOption("rlimit", EFFORT)
    parser = module.InputParser(solver)
    parser.setStringInput(module.InputLanguage.SMT_LIB_2_6, problem.text, "problem")
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        command.invoke(solver, symbols)
    result = solver.checkSat()
    if result.isSat():
        terms = {term.getSymbol(): solver.getValue(term) for term in symbols.getDeclaredTerms()}
        values = {s.text: terms[s.text] for s in problem.symbols}
        rounded = any(v.isRealAlgebraicNumber() for v in values.values())
        return Answer("sat", None if rounded else {name: _number(v) for name, v in values.items()})
    return Answer("unsat") if result.isUnsat() else Answer("unknown", reason=Reason.INCOMPLETE)


def _number(value: Any) -> int | Fraction:
    if value.isRealValue():
        return Fraction(value.getRealValue())
    return value.getIntegerValue() if value.isIntegerValue() else int(value.getBitVectorValue(10))
