"""Bitwuzla and z3 in this process: what a compiled text says, without the adapters, in milliseconds."""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from typing import Any

from qspec.problem import SmtProblem
from qspec.solver import Answer, Reason

EFFORT = 20_000_000
"""z3's own unit of work after which it gives up; no clock, so that runs are alike."""


def bitwuzla(problem: SmtProblem) -> Answer:
    """Decide a QF_BV problem."""
    module: Any = import_module("bitwuzla")
    options = module.Options()
    options.set(module.Option.PRODUCE_MODELS, True)
    parser = module.Parser(module.TermManager(), options)
    parser.parse(problem.text, parse_file=False)
    solver = parser.bitwuzla()
    match solver.check_sat():
        case module.Result.SAT:
            terms = {s.text: solver.get_value(parser.parse_term(s.text)) for s in problem.symbols}
            return Answer("sat", {name: int(str(term.value(2)), 2) for name, term in terms.items()})
        case module.Result.UNSAT:
            return Answer("unsat")
        case _:
            return Answer("unknown", reason=Reason.INCOMPLETE)


def z3(problem: SmtProblem) -> Answer:
    """Decide a problem of any logic."""
    module: Any = import_module("z3")
    solver = module.SolverFor(problem.logic, ctx=module.Context())
    solver.set("rlimit", EFFORT)
    solver.from_string(problem.text)
    match str(solver.check()):
        case "sat":
            model = solver.model()
            constants = {d.name(): d() for d in model.decls() if d.arity() == 0}
            named = [s.text for s in problem.symbols if s.text in constants]
            values = {name: model.eval(constants[name], model_completion=True) for name in named}
            rounded = any(module.is_algebraic_value(v) for v in values.values())
            return Answer("sat", {name: _number(module, v) for name, v in values.items()}, numerical=rounded)
        case "unsat":
            return Answer("unsat")
        case _:
            return Answer("unknown", reason=Reason.INCOMPLETE)


def _number(module: Any, value: Any) -> int | Fraction:
    if module.is_algebraic_value(value):
        value = value.approx(30)
    return value.as_fraction() if module.is_rational_value(value) else value.as_long()
