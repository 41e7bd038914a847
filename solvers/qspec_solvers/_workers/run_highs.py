"""Read a mixed-integer linear problem as JSON on stdin, decide it with HiGHS, print the answer; arguments are options `name=value`.

The answer is written as SMT-LIB solvers do. HiGHS keeps to no tolerance tighter than 1e-10; the values of whole columns are rounded here.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any

np: Any = import_module("numpy")
highspy: Any = import_module("highspy")

OPEN = 1 << 62
SETTINGS = {
    "output_flag": False,
    "threads": 1,
    "mip_feasibility_tolerance": 1e-10,
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
    "mip_max_improving_sols": 1,
}


def model(given: dict[str, Any]) -> Any:
    """Return the problem as HiGHS holds it, without an objective."""
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(given["lower"]), len(given["row_lower"])
    lp.col_cost_ = np.zeros(lp.num_col_)
    lp.col_lower_, lp.col_upper_ = np.array(given["lower"], dtype=np.float64), np.array(given["upper"], dtype=np.float64)
    ends = [np.array(given[side], dtype=np.float64) for side in ("row_lower", "row_upper")]
    lp.row_lower_, lp.row_upper_ = (np.where(np.abs(e) >= OPEN, np.copysign(highspy.kHighsInf, e), e) for e in ends)
    kinds = {True: highspy.HighsVarType.kInteger, False: highspy.HighsVarType.kContinuous}
    lp.integrality_ = [kinds[whole] for whole in given["integral"]]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
    lp.a_matrix_.start_ = np.array(given["starts"], dtype=np.int32)
    lp.a_matrix_.index_ = np.array(given["columns"], dtype=np.int32)
    lp.a_matrix_.value_ = np.array(given["coefficients"], dtype=np.float64)
    return lp


def configure(solver: Any, options: list[str]) -> None:
    """Set options, each as the type that HiGHS has for it; raises ValueError on one that it does not take."""
    for option in options:
        name, _, text = option.partition("=")
        status, value = solver.getOptionValue(name)
        known = status == highspy.HighsStatus.kOk
        if not known or solver.setOptionValue(name, text == "true" if isinstance(value, bool) else type(value)(text)) != status:
            raise ValueError(f"HiGHS does not take the option {option}")


def main(options: list[str]) -> str:
    began = time.perf_counter()
    given = json.load(sys.stdin)
    if not given["lower"]:
        return "sat\n()"
    solver = highspy.Highs()
    for name, value in SETTINGS.items():
        solver.setOptionValue(name, value)
    configure(solver, options)
    if solver.passModel(model(given)) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS does not take the model")
    read = time.perf_counter()
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    times = f":parse-seconds {read - began:.6f} :solve-seconds {time.perf_counter() - read:.6f} :nodes {max(0, info.mip_node_count)}"
    if status == highspy.HighsModelStatus.kInfeasible:
        return f"unsat\n({times})"
    if info.primal_solution_status == highspy.kSolutionStatusFeasible:
        values = solver.getSolution().col_value
        return "\n".join([f"sat\n({times})", "(", *(f"({name} {round(values[k])})" for name, k in given["wanted"].items()), ")"])
    if status == highspy.HighsModelStatus.kTimeLimit:
        return "timeout"
    return f'unknown\n(:reason-unknown "{solver.modelStatusToString(status)}")\n({times})'


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except ValueError as error:
        message = str(error).replace('"', "'")
        sys.stdout.write(f'(error "{message}")')
