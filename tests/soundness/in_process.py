"""Bitwuzla and z3 in this process: what a compiled text says, without the adapters, in milliseconds."""

from __future__ import annotations

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
            return Answer("sat", {name: model.eval(constants[name], model_completion=True).as_long() for name in named})
        case "unsat":
            return Answer("unsat")
        case _:
            return Answer("unknown", reason=Reason.INCOMPLETE)
