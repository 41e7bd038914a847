"""One verification under way, of integers or of reals: its limits, what solvers say, and what follows for the verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Self, assert_never

from qspec.arithmetic.integers import IntArray
from qspec.deadline import Deadline, OutOfTime, memory_errors, tell
from qspec.errors import QspecError, SolverMissingError, SoundnessError, SpecError
from qspec.ir.digest import content, digest
from qspec.ir.integer import Assignment, Query
from qspec.ir.real import ExactArray
from qspec.ir.real import Query as RealQuery
from qspec.ir.real_proof import RealProof
from qspec.language.property import Property, bind
from qspec.language.traversal import networks, real_networks
from qspec.problem import GridProblem, MilpProblem, Problem, RealProblem, SmtProblem
from qspec.solver import Answer, Left, Limits, ProvingSolver, Reason, Solver, get_solver
from qspec.support.distribution import versions
from qspec.verify.feature_rows import rows_of
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Answered, Evidence, Proof, Result, Times, Verdict

_log = logging.getLogger("qspec")


@dataclass(kw_only=True)
class Session:
    """One verification under way: what it is about, its limits, the time spent so far, and what solvers answered."""

    spec: Property
    limits: Limits
    deadline: Deadline
    times: dict[str, float] = field(default_factory=dict[str, float])
    answers: list[Answered] = field(default_factory=list[Answered])
    solver: str = ""
    solver_version: str = ""
    query: Query | RealQuery | None = None
    """What is asked; None until it is compiled."""
    real_proof: RealProof | None = None
    """Of the last answer about a real query, if it had one."""

    @property
    def left(self) -> Left:
        """What remains of the limits, for a solver; raises OutOfTime if nothing does, and OutOfMemory."""
        self.deadline.check()
        return Left(self.deadline.granted(), self.limits.memory, self.limits.seed, self.deadline)

    def within(self, share: float) -> Self:
        """Return this session with a part of the time that is left; what it spends, and what solvers say, is kept here as well."""
        return replace(self, deadline=self.deadline.part(share))

    def spend(self, stage: str, since: float) -> None:
        tell(f"{stage} has ended")
        self.times[stage] = self.times.get(stage, 0.0) + perf_counter() - since

    def result(self, verdict: Verdict, evidence: Evidence, **rest: object) -> Result:
        """Return a verdict, with what is known of how it came about; one that is unknown because nobody wants it any more says so."""
        if verdict is Verdict.UNKNOWN and self.deadline.cancelled:
            rest |= {"reason": Reason.CANCELLED, "detail": ""}
        _log.info("%s: %s, %s, %.2f s", self.spec.name, verdict.name, self.solver, sum(self.times.values()))
        reals = {f"real network {k} ({n.name})": content(n) for k, n in enumerate(real_networks(self.spec))}
        return Result(
            verdict,
            self.spec.kind,
            self.spec.name,
            evidence,
            solver=self.solver,
            solver_version=self.solver_version,
            answers=tuple(self.answers),
            limits=self.limits,
            times=Times(**self.times),
            parameters=self.spec.values,
            hashes={} if self.query is None else {"query": digest(self.query), **reals},
            versions=versions(),
            networks=tuple(networks(self.spec)),
            **rest,  # pyright: ignore[reportArgumentType]
        )


def start(spec: Property, limits: Limits, solver: Solver | str, version: str = "") -> Session:
    """Return a verification before its query is compiled, its time begun; raises SpecError if the parameters do not fit.

    Who decides is a solver, which says its version, or a name with a version.
    """
    if not isinstance(spec, Property):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property", given=spec, expected="qs.forall(…), qs.exists(…) or a named property")
    deadline = limits.deadline()
    who, version = (solver, version) if isinstance(solver, str) else (solver.name, solver.availability().version)
    return Session(spec=bind(spec), limits=limits, deadline=deadline, solver=who, solver_version=version)


def limited(session: Session, decide: Callable[[], Result]) -> Result:
    """Return what comes of a session, which is UNKNOWN if it meets a limit."""
    try:
        with memory_errors():
            return decide()
    except OutOfTime as error:
        return unknown(session, Reason.TIMEOUT, str(error))
    except MemoryError as error:
        return unknown(session, Reason.MEMORY, str(error))


def ask_solver(
    session: Session, solver: Solver, problem: Problem, *, place: str | None = None
) -> tuple[Answered, Assignment | None, Proof | None]:
    """Hand a problem to a solver and record what it says; with a `place` for its proof, `unsat` without an accepted one is unknown."""
    since = perf_counter()
    answer = solve(solver, problem, session.left, place)
    session.spend("solve", since)
    answered, session.real_proof = _checked(answer, problem, _size(problem)), answer.real_proof
    session.answers.append(answered)
    model = answer.model if answered.status in ("sat", "delta-sat") else None
    return answered, None if model is None else problem.decode(model), answer.proof


def solve(solver: Solver, problem: Problem, limits: Limits, place: str | None = None) -> Answer:
    """Return what a solver says; an adapter of somebody else that fails, or says what is no answer, is named in an UNKNOWN.

    With a `place` for its proof, `unsat` is unknown unless a checker has accepted the proof.
    """
    home = type(solver).__module__
    try:
        if place is None:
            answer = solver.solve(problem, limits)
        else:
            assert isinstance(solver, ProvingSolver)
            answer = solver.prove(problem, limits, place)
    except QspecError:
        raise
    except Exception as error:
        if home.partition(".")[0] == "qspec_solvers":
            raise
        return Answer("unknown", reason=Reason.CRASH, detail=f"the adapter {home} raised {type(error).__name__}: {error}")
    if not isinstance(answer, Answer):  # pyright: ignore[reportUnnecessaryIsInstance]
        return Answer("unknown", reason=Reason.GARBAGE, detail=f"the adapter {home} returned {type(answer).__name__} and no Answer")
    return answer if place is None else _proved(answer)


def _proved(answer: Answer) -> Answer:
    """Return an answer of which `unsat` has a proof that a checker has accepted."""
    if answer.status != "unsat" or (answer.checked is not None and answer.checked.accepted):
        return answer
    detail = answer.detail if answer.checked is None else f"{answer.checked.checker}: {answer.checked.output}"
    return replace(answer, status="unknown", reason=Reason.UNCHECKED, detail=detail)


def _checked(answer: Answer, problem: Problem, size: int) -> Answered:
    """Record an answer; one that proves nothing (`sat` without a model, `unsat` by rounded numbers) is made an honest unknown."""
    status, reason, detail = answer.status, answer.reason, answer.detail
    if status == "unsat" and answer.numerical:
        status, reason, detail = (
            "unknown",
            Reason.NUMERICAL,
            detail or "infeasible in floating point; ask an exact solver",
        )
    if status in ("sat", "delta-sat") and answer.model is None:
        status, reason, detail = "unknown", Reason.GARBAGE, f"{answer.status} without a model"
    if status == "unknown" and reason is None:
        reason = Reason.INCOMPLETE
    known = (problem.theory, problem.fidelity, size, answer.statistics, answer.numerical, answer.trace, answer.checked)
    return Answered(status, reason, detail, answer.seconds, *known)


def _size(problem: Problem) -> int:
    """Return the size of a problem in the unit of its kind, as `Answered.size` has it."""
    match problem:
        case SmtProblem():
            return len(problem.text)
        case MilpProblem():
            return problem.coefficients.size
        case GridProblem() | RealProblem():
            return sum(n.lower.size for n in problem.query.inputs.values())
        case _:
            assert_never(problem)


def found(
    session: Session,
    evidence: Evidence,
    codes: Mapping[str, IntArray],
    point: Mapping[str, ExactArray] | None = None,
    *,
    violations: int | None = None,
) -> Result:
    """Return the verdict of a solution that has replayed: codes of fixed-point variables, and exact values of real ones."""
    verdict = Verdict.VIOLATED if session.spec.kind == "forall" else Verdict.HOLDS
    named = [v for v in session.spec.variables if v.features]
    rows = rows_of(named, codes, session.spec.values) if named else {}
    return session.result(verdict, evidence, codes=codes or None, point=point or None, rows=rows, violations=violations)


def absent(session: Session, evidence: Evidence, vacuous: Callable[[], bool | None], proof: Proof | None = None) -> Result:
    """Return the verdict when no solution exists, and of a `forall` property whether nothing meets its assumption."""
    if session.spec.kind == "exists":
        return session.result(Verdict.VIOLATED, evidence, violations=0, proof=proof)
    try:
        empty = vacuous()
    except (OutOfTime, MemoryError):
        empty = None  # no verdict depends on it
    return session.result(Verdict.HOLDS, evidence, vacuous=empty, violations=0, proof=proof)


def unknown(session: Session, reason: Reason | None, detail: str) -> Result:
    """Return that nobody knows, and why."""
    return session.result(Verdict.UNKNOWN, Evidence.NONE, reason=reason or Reason.INCOMPLETE, detail=detail)


def refuted(
    session: Session,
    what: str,
    facts: Mapping[str, str],
    assignment: Mapping[str, IntArray | ExactArray],
    *,
    given: str,
    expected: str,
    query: Query | RealQuery | None = None,
) -> SoundnessError:
    """Return the error that exact arithmetic refutes an answer, with a reproducer; of what was asked, unless a query is given."""
    where = write_reproducer(session.spec, {"solver": session.solver, **facts}, assignment, query or session.query)
    return SoundnessError(what, given=given, expected=expected, advice=f"report {where}")


def available(solver: str | Solver) -> Solver:
    """Return a solver by its name; raises SolverMissingError if it cannot run here."""
    chosen = get_solver(solver)
    try:
        state = chosen.availability()
    except Exception as error:
        home = f"the adapter {type(chosen).__module__} failed: {type(error).__name__}: {error}"
        raise SolverMissingError(f"solver {chosen.name!r} cannot run here", given=home, expected="an installed solver") from error
    if not state.ok:
        raise SolverMissingError(
            f"solver {chosen.name!r} cannot run here", given=state.missing, expected="an installed solver", advice=state.install
        )
    return chosen
