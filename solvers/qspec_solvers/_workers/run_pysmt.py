"""Read an SMT-LIB script on stdin, decide it by pySMT, write the answer to its channel; the argument names pySMT's solver, or is empty."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

from qspec_solvers._workers.channel import answer

exceptions: Any = import_module("pysmt.exceptions")
shortcuts: Any = import_module("pysmt.shortcuts")
parser: Any = import_module("pysmt.smtlib.parser")


def main(name: str) -> str:
    began = time.perf_counter()
    script = list(parser.SmtLibParser().get_script(sys.stdin))
    logic = next(command.args[0] for command in script if command.name == "set-logic")
    solver = shortcuts.get_env().factory.Solver(name=name or None, logic=logic)
    for command in script:
        if command.name == "assert":
            solver.add_assertion(command.args[0])
    parsed = time.perf_counter()
    try:
        status = "sat" if solver.solve() else "unsat"
    except exceptions.SolverReturnedUnknownResultError:
        status = "unknown"
    times = f":parse-seconds {parsed - began:.6f} :solve-seconds {time.perf_counter() - parsed:.6f}"
    lines = [status, f"(:inner {type(solver).__name__} {times})"]
    if status == "sat":
        terms = [term for command in script if command.name == "get-value" for term in command.args]
        lines += ["(", *(f"(|{term.symbol_name()}| {solver.get_value(term).to_smtlib()})" for term in terms), ")"]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        answer(main(sys.argv[1]))
    except (exceptions.PysmtException, NotImplementedError) as error:
        message = str(error).replace('"', "'")
        answer(f'(error "{message}")')
