"""Read an SMT-LIB script on stdin, decide it with cvc5, write the answer to its channel; arguments are options `name=value`.

The option `proof-file=FILE`, which is not cvc5's, has a proof of `unsat` written, in CPC.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from qspec_solvers._workers.channel import PROOF_FILE, answer

cvc5: Any = import_module("cvc5")


def execute(text: str, solver: Any, symbols: Any) -> str:
    """Run the commands of a text and return what cvc5 responds."""
    parser = cvc5.InputParser(solver, symbols)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "stdin")
    responses: list[str] = []
    while not (command := parser.nextCommand()).isNull():
        responses.append(command.invoke(solver, symbols))
    return "".join(responses)


def main(options: list[str]) -> str:
    problem, _, values = sys.stdin.read().rpartition("\n(check-sat)\n")
    terms = cvc5.TermManager()
    solver, symbols = cvc5.Solver(terms), cvc5.SymbolManager(terms)
    given = dict(option.split("=", 1) for option in options)
    file = given.pop(PROOF_FILE, None)
    if file is not None:
        given["produce-proofs"] = "true"
    for option in given.items():
        solver.setOption(*option)
    began = time.perf_counter()
    lines = [execute(problem, solver, symbols)]
    parsed = time.perf_counter()
    result = solver.checkSat()
    lines += ["sat" if result.isSat() else "unsat" if result.isUnsat() else "unknown"]
    lines += [f"(:parse-seconds {parsed - began:.6f} :solve-seconds {time.perf_counter() - parsed:.6f})"]
    if result.isUnknown():
        lines += [f'(:reason-unknown "{result.getUnknownExplanation()}")']
    if result.isUnsat() and file is not None:
        Path(file).write_bytes(solver.proofToString(solver.getProof()[0], cvc5.ProofFormat.CPC))
    if result.isSat():
        lines += [execute(values, solver, symbols)]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        answer(main(sys.argv[1:]))
    except RuntimeError as error:
        message = str(error).replace('"', "'")
        answer(f'(error "{message}")')
