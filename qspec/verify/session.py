"""One verification under way: what it is about, what solvers say of it, and what follows for the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Self, assert_never

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import Certificate
from qspec.compile.query import Compiled, compile_property
from qspec.deadline import Deadline, OutOfTime, memory_errors
from qspec.errors import CertificateError, QspecError, SolverMissingError, SoundnessError, SpecError, UnsupportedError
from qspec.ir import reference
from qspec.ir.digest import digest
from qspec.ir.integer import FALSE, TRUE, Assignment, Query
from qspec.language.bind import bind
from qspec.language.formulas import Property
from qspec.language.traversal import networks
from qspec.passes import Pipeline
from qspec.passes.base import Reduced
from qspec.problem import GridProblem, MilpProblem, Problem, RealProblem, SmtProblem
from qspec.solver import Answer, Left, Limits, Reason, Solver, get_solver
from qspec.support.distribution import versions
from qspec.theories.lowering import compile_problem
from qspec.verify.feature_rows import rows_of
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Evidence, Proof, Result, Said, Times, Verdict, judge

if TYPE_CHECKING:
    from qspec.certificate.check import Checked

ATTACK_SHARE, ATTACK_SECONDS = 4, 10.0
"""An attack before a proof may take this part of the time, and so many seconds at most."""


@dataclass(kw_only=True)
class Clocked:
    """Something under way: what it is about, its limits, the time spent so far, and what solvers said."""

    spec: Property
    parameters: Mapping[str, object]
    limits: Limits
    deadline: Deadline
    times: dict[str, float] = field(default_factory=dict[str, float])
    said: list[Said] = field(default_factory=list[Said])
    solver: str = ""
    solver_version: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """The digests of what was asked, none if limits were met before anything could be."""
        return {}

    @property
    def left(self) -> Left:
        """What remains of the limits, for a solver; raises OutOfTime if nothing does, and OutOfMemory."""
        self.deadline.check()
        return Left(self.deadline.granted(), self.limits.memory, self.limits.seed, self.deadline)

    def within(self, share: float) -> Self:
        """Return this run with a part of the time that is left; what it spends, and what solvers say, is kept here as well."""
        return replace(self, deadline=self.deadline.part(share))

    def spend(self, stage: str, since: float) -> None:
        self.times[stage] = self.times.get(stage, 0.0) + perf_counter() - since

    def result(self, verdict: Verdict, evidence: Evidence, **rest: object) -> Result:
        """Return a verdict, with what is known of how it came about."""
        return Result(
            verdict,
            self.spec.kind,
            self.spec.name,
            evidence,
            solver=self.solver,
            solver_version=self.solver_version,
            said=tuple(self.said),
            limits=self.limits,
            times=Times(**self.times),
            parameters=self.parameters,
            hashes=self.hashes,
            versions=versions(),
            networks=tuple(networks(self.spec)),
            **rest,  # pyright: ignore[reportArgumentType]
        )


@dataclass(kw_only=True)
class Run(Clocked):
    """One verification under way: what it is about, and how it is asked."""

    compiled: Compiled
    linear: bool = True
    """Whether problems are written with linear bounds."""

    @property
    def hashes(self) -> dict[str, str]:
        """The digest of the query."""
        return {"query": digest(self.compiled.query)}


def start(spec: Property, limits: Limits, solver: Solver | str, version: str = "") -> Clocked:
    """Return a verification before its query is compiled, its time begun; raises SpecError if the parameters do not fit.

    Who decides is a solver, which says its version, or a name with a version.
    """
    if not isinstance(spec, Property):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property", given=spec, expected="qs.forall(…), qs.exists(…) or a named property")
    deadline = limits.deadline()
    who, version = (solver, version) if isinstance(solver, str) else (solver.name, solver.availability().version)
    return Clocked(spec=bind(spec), parameters=spec.values, limits=limits, deadline=deadline, solver=who, solver_version=version)


def compiled(begun: Clocked) -> Run:
    """Compile what was started; raises SpecError if it is malformed, OutOfTime, and OutOfMemory."""
    since = perf_counter()
    run = Run(compiled=compile_property(begun.spec, deadline=begun.deadline), **vars(begun))
    run.spend("compile", since)
    return run


def check_proof(run: Run, proof: Proof, *, partial: bool = False) -> Checked:
    """Follow a proof with the checker, which shares no bounding code with the engine; raises SoundnessError if it fails."""
    from qspec.certificate.check import check

    since = perf_counter()
    made = Certificate(digest(run.compiled.query), run.spec.name, run.spec.kind, {}, (), **dict(proof))  # pyright: ignore[reportArgumentType]
    try:
        checked = check(made, run.compiled.query, partial=partial, deadline=run.deadline)
    except OutOfTime:
        raise OutOfTime("a proof was found, but there was no time to check it") from None
    except CertificateError as error:
        where = write_reproducer(run.spec, {"solver": run.solver, "proof": str(error)}, {}, run.compiled.query)
        raise SoundnessError(f"a proof of {run.solver} fails", given=str(error), expected="a proof", advice=f"report {where}") from error
    run.spend("replay", since)
    return checked


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What came of asking about all parts of a query: a solution of it, or an answer that leaves one open, or neither if none has any."""

    solution: Assignment | None = None
    count: int | None = None
    """How many solutions there are, if all were counted."""
    unknown: Said | None = None


def presolved(run: Run, query: Query, pipeline: Pipeline) -> tuple[Assignment | None, list[Reduced]]:
    """Return a solution of a query if the passes find one, else what they leave to be asked: nothing if they prove that there is none."""
    since = perf_counter()
    left = [p for p in pipeline.apply(query, run.deadline) if p.query.goal != FALSE]
    run.spend("presolve", since)
    true = next((p for p in left if p.query.goal == TRUE), None)
    return (None, left) if true is None else (true.lift(_corner(true.query)), [])


def ask(run: Run, solver: Solver, theory: str | None, parts: Sequence[Reduced]) -> Asked:
    """Ask the solver about each part, and replay what it finds; one solution decides, and all must be proved to have none."""
    unknown: Said | None = None
    count: int | None = 0
    first: Assignment | None = None
    for part in parts:
        said, assignment = _ask_one(run, solver, theory, part.query)
        count = _add_count(count, said, part)
        if assignment is not None:
            lifted = part.lift(assignment)
            verdict = replayed(run, said, lifted)
            if verdict == "spurious":
                unknown = replace(said, status="unknown", reason=Reason.NUMERICAL if said.numerical else Reason.SPURIOUS)
            elif "violations" not in said.statistics:
                return Asked(lifted)
            else:
                first = first or lifted
        elif said.status == "unknown" or judge(run.spec.kind, said.status, said.fidelity, None) is Verdict.UNKNOWN:
            unknown = unknown or said
        if run.deadline.passed() and part is not parts[-1]:
            unknown = unknown or replace(said, status="unknown", reason=Reason.TIMEOUT)
            break
    return Asked(first, count if unknown is None else None, None if first is not None else unknown)


def unknown(run: Clocked, reason: Reason | None, detail: str) -> Result:
    """Return that nobody knows, and why."""
    return run.result(Verdict.UNKNOWN, Evidence.NONE, reason=reason or Reason.INCOMPLETE, detail=detail)


def limited(run: Clocked, decide: Callable[[], Result]) -> Result:
    """Return what comes of a run, which is UNKNOWN if it meets a limit."""
    try:
        with memory_errors():
            return decide()
    except OutOfTime as error:
        return unknown(run, Reason.TIMEOUT, str(error))
    except MemoryError as error:
        return unknown(run, Reason.MEMORY, str(error))


def _ask_one(run: Run, solver: Solver, theory: str | None, part: Query) -> tuple[Said, Assignment | None]:
    since = perf_counter()
    problem = compile_problem(part, solver, theory, linear=run.linear, deadline=run.deadline)
    run.spend("lower", since)
    return said_of(run, solver, problem)[:2]


def said_of(run: Clocked, solver: Solver, problem: Problem) -> tuple[Said, Assignment | None, Proof | None]:
    """Hand a problem to a solver and record what it says."""
    since = perf_counter()
    answer = answered(solver, problem, run.left)
    run.spend("solve", since)
    said = _checked(answer, problem, _size(problem))
    run.said.append(said)
    model = answer.model if said.status in ("sat", "delta-sat") else None
    return said, None if model is None else problem.decode(model), answer.proof


def answered(solver: Solver, problem: Problem, limits: Limits) -> Answer:
    """Return what a solver says; an adapter of somebody else that fails, or says what is no answer, is named in an UNKNOWN."""
    home = type(solver).__module__
    try:
        answer = solver.solve(problem, limits)
    except QspecError:
        raise
    except Exception as error:
        if home.partition(".")[0] == "qspec_solvers":
            raise
        return Answer("unknown", reason=Reason.CRASH, detail=f"the adapter {home} raised {type(error).__name__}: {error}")
    if not isinstance(answer, Answer):  # pyright: ignore[reportUnnecessaryIsInstance]
        return Answer("unknown", reason=Reason.GARBAGE, detail=f"the adapter {home} returned {type(answer).__name__} and no Answer")
    return answer


def _checked(answer: Answer, problem: Problem, size: int) -> Said:
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
    return Said(
        status, reason, detail, answer.seconds, problem.theory, problem.fidelity, size, answer.statistics, answer.numerical, answer.trace
    )


def _size(problem: Problem) -> int:
    """Return the size of a problem in the unit of its kind, as `Said.size` has it."""
    match problem:
        case SmtProblem():
            return len(problem.text)
        case MilpProblem():
            return problem.coefficients.size
        case GridProblem() | RealProblem():
            return sum(n.lower.size for n in problem.query.inputs.values())
        case _:
            assert_never(problem)


def replayed(run: Run, said: Said, lifted: Assignment) -> str:
    """Replay a solution on the reference integers; raises SoundnessError if an exact problem had a solution that its query has not.

    A solver that computes in floating point is allowed to err there: its solution is spurious.
    """
    since = perf_counter()
    replayed = reference.satisfies(run.compiled.query, lifted)
    run.spend("replay", since)
    verdict = judge(run.spec.kind, said.status, said.fidelity, replayed, numerical=said.numerical)
    if verdict == "unsound":
        facts = {"solver": run.solver, "theory": said.theory, "status": said.status}
        where = write_reproducer(run.spec, facts, lifted, run.compiled.query)
        raise SoundnessError(
            f"{run.solver} gave a model that does not replay",
            given=said.theory,
            expected="a solution of the query",
            advice=f"report {where}",
        )
    return verdict if isinstance(verdict, str) else verdict.name


def found(run: Run, assignment: Assignment, evidence: Evidence, *, violations: int | None = None) -> Result:
    """Return the verdict of a solution, which the language itself must confirm on exact rationals."""
    from qspec.language.interpret import witnesses  # here, because `import qspec` is to be quick

    since = perf_counter()
    lifted = run.compiled.lift(assignment)
    codes = {v.name: lifted[v.name].reshape(v.shape) for v in run.spec.variables}
    confirmed = reference.satisfies(run.compiled.query, assignment) and witnesses(run.spec, codes)
    run.spend("replay", since)
    if not confirmed:
        facts = {"solver": run.solver, "evidence": evidence.name}
        where = write_reproducer(run.spec, facts, assignment, run.compiled.query)
        raise SoundnessError(
            "a solution of the query is none of the property", given=evidence.name, expected="agreement", advice=f"report {where}"
        )
    verdict = Verdict.VIOLATED if run.spec.kind == "forall" else Verdict.HOLDS
    exact = all(v.domain.one_to_one for v in run.spec.variables)
    rows = rows_of(run.spec.variables, codes, run.parameters)
    return run.result(verdict, evidence, codes=codes, rows=rows, violations=violations if exact else None)


def absent(run: Run, evidence: Evidence, solver: Solver, theory: str | None, *, proof: Proof | None = None) -> Result:
    """Return the verdict when no solution exists, and whether the assumption could be met at all."""
    if run.spec.kind == "exists":
        return run.result(Verdict.VIOLATED, evidence, violations=0, proof=proof)
    return run.result(Verdict.HOLDS, evidence, vacuous=unless_limited(lambda: _vacuous(run, solver, theory)), violations=0, proof=proof)


def unless_limited(ask: Callable[[], bool | None]) -> bool | None:
    """Return the answer to a question that no verdict depends on; None if a limit is met."""
    try:
        return ask()
    except (OutOfTime, MemoryError):
        return None


def _vacuous(run: Run, solver: Solver, theory: str | None) -> bool | None:
    """Return whether nothing meets the assumption: by bounds, else by search, else by the solver; None if that stays open."""
    if any(p.query.goal == TRUE for p in Pipeline().only("box").apply(run.compiled.assumption)):
        return False  # a box, as most assumptions are: it has points, or its goal would be false
    parts = [p for p in Pipeline().apply(run.compiled.assumption, run.deadline) if p.query.goal != FALSE]
    if not parts or any(p.query.goal == TRUE for p in parts):
        return not parts
    if attacked(run, run.compiled.assumption) is not None:
        return False
    asked = [(*_ask_one(run, solver, theory, p.query), p) for p in parts]
    if any(a is not None and reference.satisfies(run.compiled.assumption, p.lift(a)) for _, a, p in asked):
        return False
    proved = (judge("exists", s.status, s.fidelity, None) is Verdict.VIOLATED for s, _, _ in asked)
    return True if all(proved) else None


def attacked(run: Run, target: Query) -> Assignment | None:
    """Search for a solution within a quarter of the time, at most ten seconds, and less where more of the same promises little."""
    return searched(run, target, run.deadline.part(1 / ATTACK_SHARE).within(ATTACK_SECONDS), lasting=False)


def searched(run: Run, target: Query, deadline: Deadline, *, lasting: bool = True) -> Assignment | None:
    """Search the box that the assumption leaves; other passes would give every query a shape of its own, to be compiled anew."""
    from qspec.attack.falsify import falsify as search
    from qspec.attack.reach import check_reach

    since = perf_counter()
    (part,) = Pipeline().only("box").apply(target)
    try:
        check_reach(part.query)
        hit = None if part.query.goal == FALSE else search(part.query, deadline, seed=run.limits.seed, lasting=lasting)
    except UnsupportedError:
        hit = None  # numbers that floats cannot search with: nothing is found
    run.spend("attack", since)
    return None if hit is None else part.lift(hit)


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


def _corner(part: Query) -> dict[str, IntArray]:
    """Return any assignment of a query that is true everywhere."""
    return {name: node.lower for name, node in part.inputs.items()}


def _add_count(count: int | None, said: Said, part: Reduced) -> int | None:
    found = said.statistics.get("violations")
    if count is None or part.multiplicity is None or not isinstance(found, int):
        return None
    return count + found * part.multiplicity
