"""Read an SMT-LIB script on stdin, decide it with Bitwuzla, write the answer to its channel; arguments are options `name=value`."""

from __future__ import annotations

import re
import sys
import time
from importlib import import_module
from typing import Any

from qspec_solvers._workers.channel import answer

bitwuzla: Any = import_module("bitwuzla")


def main(options: list[str]) -> str:
    problem, _, values = sys.stdin.read().rpartition("\n(check-sat)\n")
    settings = bitwuzla.Options()
    for option in options:
        settings.set_args(f"--{option}")
    parser = bitwuzla.Parser(bitwuzla.TermManager(), settings)
    began = time.perf_counter()
    parser.parse(problem, parse_file=False)
    parsed = time.perf_counter()
    solver = parser.bitwuzla()
    result = solver.check_sat()
    lines = [str(result), f"(:parse-seconds {parsed - began:.6f} :solve-seconds {time.perf_counter() - parsed:.6f})"]
    if result == bitwuzla.Result.SAT:
        names = re.findall(r"\|[^|]*\||[^\s()|]+", values.replace("(get-value (", "").replace("(exit)", ""))
        lines += ["(", *(f"({name} {solver.get_value(parser.parse_term(name))})" for name in names), ")"]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        answer(main(sys.argv[1:]))
    except bitwuzla.BitwuzlaException as error:
        message = str(error).replace('"', "'")
        answer(f'(error "{message}")')
