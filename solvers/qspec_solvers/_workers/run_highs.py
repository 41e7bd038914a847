"""Read a mixed-integer linear problem as JSON on stdin, decide it with HiGHS, write the answer to its channel; arguments are `name=value`.

HiGHS computes in floating point, and calls programs infeasible that are not, so that nothing that it says is an answer: a solution is
rounded and met exactly, and `unsat` is a tree of boxes, each refuted on integers (`branch.py`). The tree is grown for a while first; then
HiGHS searches with cuts and heuristics; if that finds nothing, the tree is grown to the end, within the time.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any

from qspec_solvers._workers.branch import Tree
from qspec_solvers._workers.channel import answer
from qspec_solvers._workers.exact_rows import OPEN, meets, rows

np: Any = import_module("numpy")
highspy: Any = import_module("highspy")

MIP = {"output_flag": False, "threads": 1, "mip_max_improving_sols": 1, "mip_rel_gap": 0.0, "mip_abs_gap": 0.0}
LP = {"output_flag": False, "threads": 1, "presolve": "off", "solver": "simplex"}
LARGEST = 10**15
"""HiGHS takes no coefficient of this magnitude or more."""
FIRST = 2.0
"""Seconds for which the tree is grown before HiGHS searches in its own way."""
SPARE = 0.25
"""Seconds before the limit at which the worker says by itself that it is not done."""
ENDED = {"kInfeasible": "infeasible", "kUnboundedOrInfeasible": "infeasible", "kTimeLimit": "time limit"}


def model(given: dict[str, Any], *, relaxed: bool) -> Any:
    """Return the problem as HiGHS holds it, without an objective, and if relaxed with no column whole."""
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(given["lower"]), len(given["row_lower"])
    lp.col_cost_ = np.zeros(lp.num_col_)
    lp.col_lower_, lp.col_upper_ = np.array(given["lower"], dtype=np.float64), np.array(given["upper"], dtype=np.float64)
    ends = [np.array(given[side], dtype=np.float64) for side in ("row_lower", "row_upper")]
    lp.row_lower_, lp.row_upper_ = (np.where(np.abs(e) >= OPEN, np.copysign(highspy.kHighsInf, e), e) for e in ends)
    kinds = {True: highspy.HighsVarType.kInteger, False: highspy.HighsVarType.kContinuous}
    lp.integrality_ = [] if relaxed else [kinds[whole] for whole in given["integral"]]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
    lp.a_matrix_.start_ = np.array(given["starts"], dtype=np.int32)
    lp.a_matrix_.index_ = np.array(given["columns"], dtype=np.int32)
    lp.a_matrix_.value_ = np.array(given["coefficients"], dtype=np.float64)
    return lp


def taken(status: Any, what: str) -> None:
    """Raise ValueError unless HiGHS did as it was told, without a warning: it warns where it drops a coefficient."""
    if status != highspy.HighsStatus.kOk:
        raise ValueError(f"HiGHS does not take {what} ({status})")


def configured(settings: dict[str, Any], options: list[str]) -> Any:
    """Return HiGHS with options set, each as the type that it has; raises ValueError on one that it does not take."""
    solver = highspy.Highs()
    for name, value in settings.items():
        taken(solver.setOptionValue(name, value), f"the option {name}={value}")
    for option in options:
        name, _, text = option.partition("=")
        status, value = solver.getOptionValue(name)
        taken(status, f"the option {option}")
        taken(solver.setOptionValue(name, text == "true" if isinstance(value, bool) else type(value)(text)), f"the option {option}")
    return solver


class Simplex:
    """The relaxation of a problem, solved again and again by HiGHS from where it was."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.solver = configured(LP, [])
        taken(self.solver.passModel(model(given, relaxed=True)), "the problem")
        self.columns = np.arange(len(given["lower"]), dtype=np.int32)
        self.rows = np.flatnonzero(np.diff(given["starts"]) > 0)

    def solve(self, lower: Any, upper: Any) -> tuple[Any, Any]:
        """Return values of the columns if HiGHS finds some, and a ray over the rows that have terms if it finds none."""
        ends = lower.astype(np.float64), upper.astype(np.float64)
        taken(self.solver.changeColsBounds(self.columns.size, self.columns, *ends), "bounds of columns")
        if self.solver.run() == highspy.HighsStatus.kError:
            self.solver.clearSolver()
            return None, None
        status = self.solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            values = np.array(self.solver.getSolution().col_value)
            return (values if values.size == self.columns.size and np.all(np.isfinite(values)) else None), None
        if status == highspy.HighsModelStatus.kInfeasible:
            _, has, ray = self.solver.getDualRay()
            return None, np.array(ray)[self.rows] if has else None
        return None, None


def searched(given: dict[str, Any], options: list[str], seconds: float) -> tuple[str, Any]:
    """Return how HiGHS's own branch and cut ended, and the values that it found, if any."""
    solver = configured(MIP, options)
    if np.isfinite(seconds):
        taken(solver.setOptionValue("time_limit", seconds), "a time limit")
    taken(solver.passModel(model(given, relaxed=False)), "the problem")
    ran = solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    found = ran != highspy.HighsStatus.kError and info.primal_solution_status == highspy.kSolutionStatusFeasible
    name = str(status).rpartition(".")[2]
    return ENDED.get(name, name), np.array(solver.getSolution().col_value) if found else None


def decided(given: dict[str, Any], until: float, options: list[str]) -> str:
    """Return the answer to a problem, by `until` of `time.monotonic`, as SMT-LIB solvers write it.

    Raises ValueError where HiGHS does not take the problem or an option.
    """
    began = time.monotonic()
    largest = max((abs(int(w)) for w in given["coefficients"]), default=0)
    if largest >= LARGEST:
        raise ValueError(f"a coefficient of the problem is {largest}, and HiGHS takes them below 1e15")
    exact = rows(given)
    configured(MIP, options)
    if not given["lower"]:
        return "sat\n()" if exact.consistent else "unsat"
    until -= SPARE
    read = time.monotonic()
    lower, upper = (np.array(given[side], dtype=np.int64) for side in ("lower", "upper"))
    tree = Tree(exact, Simplex(given), [(lower, upper)])
    solvable, ended, near = tree.search(min(until, read + min(FIRST, (until - read) / 4))), "", None
    if solvable is None:
        ended, near = searched(given, options, max(0.01, (until - time.monotonic()) / 2))
        whole = None if near is None else np.rint(np.clip(near, given["lower"], given["upper"])).astype(np.int64)
        if whole is not None and meets(exact, whole):
            tree.solution, solvable = whole, True
        elif near is None:
            solvable = tree.search(until)
    facts = (
        f":parse-seconds {read - began:.6f} :solve-seconds {time.monotonic() - read:.6f} :boxes {tree.boxes} :refuted-boxes {tree.leaves}"
        + (f' :search "{ended}"' if ended else "")
    )
    if solvable is False:
        return f"unsat\n({facts})"
    values = tree.solution if solvable else near
    if values is not None:
        near = "" if solvable else " :rounded 1"
        return "\n".join([f"sat\n({facts}{near})", "(", *(f"({name} {round(values[k])})" for name, k in given["wanted"].items()), ")"])
    return f"unknown\n({facts})"


if __name__ == "__main__":
    try:
        answer(decided(json.load(sys.stdin), float(sys.argv[1]), sys.argv[2:]))
    except ValueError as error:
        message = str(error).replace('"', "'")
        answer(f'(error "{message}")')
