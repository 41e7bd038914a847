"""From a property about reals to a verdict: compile, ask, replay. A solution counts only if it replays exactly, at a point of rationals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from time import perf_counter
from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.compile.fixed_part import Cell, halves
from qspec.compile.real_equal import joined
from qspec.compile.real_query import CompiledReal, compile_real
from qspec.engines.difference import decide as difference
from qspec.engines.difference.output_rows import read
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.enclosure import satisfies
from qspec.ir.real import FALSE, TRUE, ExactArray, Point, Query, exact, fractions
from qspec.language import real_interpret
from qspec.language.property import Property
from qspec.problem import Fidelity, Problem, RealProblem
from qspec.solver import Reason, Solver, Status
from qspec.theories import real_smtlib
from qspec.theories.real_monotone import one_sided
from qspec.verify.options import Settings
from qspec.verify.result import Answered, Evidence, Result
from qspec.verify.session import Session, absent, ask_solver, found, refuted, unknown

NATIVE = "delta"
STATUSES: Mapping[str, Status] = {"proved": "unsat", "refuted": "sat", "unknown": "unknown"}
"""What bounds of a difference say of the negation of a property."""
SHARE = 0.25
"""Of the time that is left a question whose codes can be cut in halves gets this part."""
THEORIES = ("real", *real_smtlib.LOGICS)
"""What decides reals: a query itself, or its SMT-LIB text."""


@dataclass(kw_only=True)
class RealRun(Session):
    """A verification about reals under way: its queries, who is asked, and how."""

    compiled: CompiledReal
    asked: Solver
    theory: str
    delta: float


class Solution(NamedTuple):
    """What replayed: codes of the fixed-point variables, and exact values of the real ones."""

    codes: Mapping[str, IntArray]
    point: Mapping[str, ExactArray]


def decide(begun: Session, asked: Solver, settings: Settings) -> Result:
    """Decide a property about reals with a solver of reals; `delta` is by how much it may miss the goal where it cannot tell.

    Raises SpecError on a malformed property, UnsupportedError if the solver does not decide reals, SoundnessError if an exact answer is
    refuted by exact arithmetic.
    """
    if settings.without or settings.split or settings.presolve != "passes":
        given = f"without={settings.without}, split={settings.split}, presolve={settings.presolve!r}"
        raise UnsupportedError("there are no passes over reals", given=given, expected="none of them")
    if settings.proof is not None:
        raise UnsupportedError("there are no checked proofs about reals", given=settings.proof, expected="no proof")
    if not settings.delta < 1:
        raise SpecError("delta is out of range", given=settings.delta, expected="0 < delta < 1")
    theory, since = _theory(asked, settings.theory), perf_counter()
    made = compile_real(begun.spec, deadline=begun.deadline)
    begun.query = made.query
    begun.spend("compile", since)
    run = RealRun(compiled=made, asked=asked, theory=theory, delta=settings.delta, **vars(begun))
    if made.query.goal == FALSE:
        return _absent(run, Evidence.BOUNDS)
    if made.query.goal == TRUE and (solution := _replayed(run, None, _middle(made.query))) is not None:
        return found(run, Evidence.BOUNDS, *solution)
    compared = _compared(run)
    return _decide(run) if compared is None else compared


def _compared(run: RealRun) -> Result | None:
    """Decide a property about a quantised network and a real one of the same layers by bounds of their difference.

    None if it is not one, or for another solver than the native one, or if this cannot tell.
    """
    claim = read(run.spec, run.deadline) if run.theory == "real" and run.solver == NATIVE else None
    box = None if claim is None or run.compiled.fixed is None else run.compiled.fixed.box(claim.variable.name)
    if claim is None or box is None:
        return None
    since, hits = perf_counter(), list[Solution]()

    def confirm(codes: IntArray) -> bool | None:
        point = {claim.variable.name: exact(codes)}
        solution = _replayed(run, None, point)
        if solution is not None:
            hits.append(solution)
            return True
        return _truth(compile_real(run.spec, assignment={claim.variable.name: codes}).query, {})

    try:
        decision = difference.decide(claim.pair, claim.rows, *box, confirm, run.deadline, strict=claim.strict, seed=run.limits.seed)
    except UnsupportedError:
        return None
    run.spend("solve", since)
    status = STATUSES[decision.status]
    reason = None if status != "unknown" else Reason.TIMEOUT if run.deadline.passed() else Reason.INCOMPLETE
    statistics = {"parts": decision.parts, "least": decision.least}
    run.answers.append(Answered(status, reason, "", perf_counter() - since, "difference", Fidelity.OVER, box[0].size, statistics))
    if hits:
        return found(run, Evidence.ATTACK, *hits[0])
    if decision.status == "proved":
        return _absent(run, Evidence.PROOF)
    return unknown(run, Reason.TIMEOUT, f"some of {decision.parts} parts of the inputs are open") if run.deadline.passed() else None


def _decide(run: RealRun) -> Result:
    """Ask about the property, where a relaxation is too loose about both halves of what codes can be, and so on; one solution decides."""
    whole: Cell = {} if run.compiled.fixed is None else run.compiled.fixed.cell
    pending = [whole]
    last: tuple[Reason | None, str] | None = None
    while pending:
        cell = pending.pop()
        parts = halves(cell)
        compiled = run.compiled if cell is whole and (parts or not cell) else _part(run, cell, parts is None)
        if compiled.query.goal == FALSE:
            continue
        if run.deadline.passed():
            return unknown(run, Reason.TIMEOUT, f"{len(pending) + 1} parts of what codes can be are open")
        answered, point = _ask(run if parts is None else run.within(SHARE), compiled.query, compiled.fidelity)
        known = {name: exact(lower) for name, (lower, _) in cell.items()}
        solution = None if point is None else _replayed(run, answered, {**known, **point})
        if solution is not None:
            return found(run, Evidence.MODEL if run.answers and run.answers[-1] is answered else Evidence.BOUNDS, *solution)
        late = answered.reason is Reason.TIMEOUT and not run.deadline.passed()
        if answered.status == "unknown" and not (late and parts is not None):
            return unknown(run, answered.reason, answered.detail)
        if answered.status != "unsat" and parts is not None:
            pending += parts
        elif point is not None:
            last = Reason.NUMERICAL if answered.numerical else Reason.SPURIOUS, _near(answered)
    return _absent(run, Evidence.PROOF if run.answers else Evidence.BOUNDS) if last is None else unknown(run, *last)


def _part(run: RealRun, cell: Cell, single: bool) -> CompiledReal:
    """Return the property where codes are in a part of what they can be; exact where that is a single point."""
    since = perf_counter()
    assignment = {name: lower for name, (lower, _) in cell.items()} if single else None
    compiled = compile_real(run.spec, assignment=assignment, within=cell, deadline=run.deadline)
    run.spend("compile", since)
    return compiled


def _near(answered: Answered) -> str:
    """Return what a candidate that does not replay tells."""
    if answered.status == "delta-sat":
        return "the goal can be missed by less than delta: no exact solution was found, and none was excluded"
    return "rounding and saturation of fixed-point parts were relaxed"


def _theory(solver: Solver, theory: str | None) -> str:
    """Return the theory to ask in: the one given, else the first of the solver's that decides reals."""
    known = [t for t in solver.theories if t in THEORIES]
    if not known or (theory is not None and theory not in known):
        raise UnsupportedError(
            f"{solver.name} does not decide this property about reals",
            given=theory or ", ".join(solver.theories),
            expected=", ".join(known) or "a solver of " + ", ".join(THEORIES),
            advice="" if known else f"solver={NATIVE!r}",
        )
    return theory or known[0]


def _problem(run: RealRun, query: Query, fidelity: Fidelity) -> Problem:
    """Return the problem of a query; raises UnsupportedError if its logic is beyond what the solver was asked for."""
    if run.theory == "real":
        return RealProblem(query, delta=run.delta, fidelity=fidelity)
    problem = replace(real_smtlib.lower(query, deadline=run.deadline), fidelity=fidelity)
    if problem.logic not in run.asked.theories:
        raise UnsupportedError(
            f"{run.asked.name} does not decide {problem.logic}",
            given=problem.logic,
            expected=", ".join(t for t in run.asked.theories if t in THEORIES),
            advice=f"solver={NATIVE!r} decides products, exp, tanh and sigmoid",
        )
    return problem


def _ask(run: RealRun, query: Query, fidelity: Fidelity) -> tuple[Answered, Point | None]:
    """Ask about a query in which elements of inputs that are equated are one, and return the point that a model stands for."""
    one = joined(query)
    answered, point = _ask_sides(run, one.query, fidelity)
    return answered, None if point is None else one.lifted(point)


def _ask_sides(run: RealRun, query: Query, fidelity: Fidelity) -> tuple[Answered, Point | None]:
    """Hand a query to the solver, side by side where it is written as text, and return the first model, else what leaves a side open."""
    settled = Answered("unsat", None, "", 0.0, run.theory, fidelity, 0)
    for side in () if query.goal == FALSE else _sides(run, query):
        if side.goal == TRUE:
            return replace(settled, status="sat"), {name: node.lower for name, node in side.inputs.items()}
        answered, point = _ask_side(run, side, fidelity)
        if point is not None:
            return answered, point
        if answered.status != "unsat":
            settled = answered if settled.status == "unsat" else settled
    return settled, None


def _sides(run: RealRun, query: Query) -> tuple[Query, ...]:
    """Return the queries to ask about; the solvers of queries themselves do as much on their own."""
    since = perf_counter()
    sides = (query,) if run.theory == "real" else one_sided(query)
    run.spend("presolve", since)
    return sides


def _ask_side(run: RealRun, query: Query, fidelity: Fidelity) -> tuple[Answered, Point | None]:
    since = perf_counter()
    problem = _problem(run, query, fidelity)
    run.spend("lower", since)
    answered, point, _ = ask_solver(run, run.asked, problem)
    return answered, None if point is None else {name: exact(values) for name, values in point.items()}


def _replayed(run: RealRun, answered: Answered | None, point: Point) -> Solution | None:
    """Replay a candidate exactly; None if it is none, or too close to tell. Raises SoundnessError if an exact answer is refuted."""
    since = perf_counter()
    fixed, query, codes = run.compiled.fixed, run.compiled.query, dict[str, IntArray]()
    if fixed is not None:
        assignment = fixed.nearest(point)
        query, codes = compile_real(run.spec, assignment=assignment).query, fixed.codes(assignment)
    own = {v.name: exact(np.asarray(point[v.name])) for v in run.spec.reals}
    values = {v.name: fractions(own[v.name]).reshape(v.shape) for v in run.spec.reals}
    true, agreed = _truth(query, own), _meant(run.spec, codes, values)
    run.spend("replay", since)
    claimed = answered is not None and answered.status == "sat" and answered.fidelity is Fidelity.EXACT and not answered.numerical
    if (true and agreed is False) or (claimed and true is False):
        status = answered.status if answered else "bounds"
        facts = {"theory": run.theory, "status": status, "true": str(true), "meant": str(agreed)}
        what = "a solution of the query is none of the property" if true else f"{run.solver} gave a point that does not replay"
        expected = "a solution, in exact rationals"
        raise refuted(run, what, facts, {**codes, **own}, given=run.theory, expected=expected, query=query)
    return Solution(codes, values) if true else None


def _truth(query: Query, point: Point) -> bool | None:
    """Return whether a point is a solution; None if that is too close to tell, or needs numbers too large."""
    try:
        return satisfies(query, point)
    except UnsupportedError:
        return None


def _meant(spec: Property, codes: Mapping[str, IntArray], point: Point) -> bool | None:
    try:
        return real_interpret.witnesses(spec, codes, point)
    except UnsupportedError:
        return None


def _absent(run: RealRun, evidence: Evidence) -> Result:
    """Return that there is no solution, with the proof if the one question that was asked is the query itself."""
    query, once = run.compiled.query, len(run.answers) == 1 and run.compiled.fidelity is Fidelity.EXACT and run.theory == "real"
    proof = run.real_proof if once else None
    if proof is not None and joined(query).query is not query:
        proof = None
    return replace(absent(run, evidence, lambda: _vacuous(run)), real_proof=proof)


def _vacuous(run: RealRun) -> bool | None:
    """Return whether nothing meets the assumption: no if the middle of the box does, else the solver is asked; None if that stays open."""
    query = run.compiled.assumption
    if query.goal in (TRUE, FALSE) and run.compiled.fidelity is Fidelity.EXACT:
        return query.goal == FALSE
    if query.goal == FALSE:
        return True
    if _meets(run, _middle(query)):
        return False
    answered, point = _ask(run, query, run.compiled.fidelity)
    if point is not None:
        return False if _meets(run, point) else None
    return True if answered.status == "unsat" else None


def _meets(run: RealRun, point: Point) -> bool:
    """Return whether a point, with codes rounded, meets the assumption for certain."""
    query, fixed = run.compiled.assumption, run.compiled.fixed
    if fixed is not None:
        query = compile_real(run.spec, assignment=fixed.nearest(point)).assumption
    return _truth(query, {v.name: exact(np.asarray(point[v.name])) for v in run.spec.reals}) is True


def _middle(query: Query) -> dict[str, ExactArray]:
    half = Fraction(1, 2)
    return {name: exact((fractions(n.lower) + fractions(n.upper)) * half) for name, n in query.inputs.items()}
