"""From a property of integers to a verdict: compile, reduce by exact passes, attack, ask, and replay on the reference integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from qspec.certificate.file import Certificate
from qspec.compile.query import Compiled, compile_property
from qspec.deadline import Deadline, OutOfTime
from qspec.errors import CertificateError, UnsupportedError
from qspec.ir import reference
from qspec.ir.digest import digest
from qspec.ir.integer import FALSE, TRUE, Assignment, Query
from qspec.passes import Pipeline
from qspec.passes.base import Reduced
from qspec.problem import GridProblem
from qspec.solver import Reason, Solver
from qspec.theories.lowering import compile_problem
from qspec.verify import session
from qspec.verify.options import Settings
from qspec.verify.proving import check_proving, proof_place
from qspec.verify.result import Answered, Evidence, Proof, Result, Verdict, judge
from qspec.verify.session import Session, ask_solver, refuted, unknown

if TYPE_CHECKING:
    from qspec.certificate.check import Checked

ATTACK_SHARE, ATTACK_SECONDS = 4, 10.0
"""An attack before a proof may take this part of the time, and so many seconds at most."""


@dataclass(kw_only=True)
class Run(Session):
    """A verification of integers under way: its queries, who is asked, and how."""

    compiled: Compiled
    asked: Solver
    settings: Settings
    pipeline: Pipeline
    """The passes that reduce a query before a solver is asked."""


def compiled(begun: Session, asked: Solver, settings: Settings) -> Run:
    """Compile what was started; raises SpecError if it is malformed or there is no such pass, OutOfTime, and OutOfMemory."""
    kept = Pipeline().without(*settings.without)
    since = perf_counter()
    made = compile_property(begun.spec, deadline=begun.deadline)
    begun.query = made.query
    begun.spend("compile", since)
    pipeline = kept.adding("split") if settings.split else kept
    return Run(compiled=made, asked=asked, settings=settings, pipeline=pipeline, **vars(begun))


def is_native(asked: Solver, theory: str | None) -> bool:
    """Return whether a solver takes queries as they are compiled; raises UnsupportedError if it does not decide the theory."""
    if theory is not None and theory not in asked.theories:
        raise UnsupportedError(f"{asked.name} does not decide this theory", given=theory, expected=", ".join(asked.theories))
    return (theory or asked.theories[0]) == "query"


def decide(begun: Session, asked: Solver, settings: Settings) -> Result:
    """Decide a property by an engine that proves it, or by passes, attack and a solver."""
    native = is_native(asked, settings.theory)
    check_proving(asked, settings)
    run = compiled(begun, asked, settings)
    return _prove(run) if native else reduced(run)


def reduced(run: Run) -> Result:
    """Reduce a query, search for a solution, and ask a solver about what is left."""
    solution, parts = presolved(run, run.compiled.query)
    if solution is not None:
        return found(run, solution, Evidence.BOUNDS)
    if not parts:
        return absent(run, Evidence.BOUNDS)
    if run.settings.attack and "grid" not in run.asked.theories:
        hit = attacked(run, run.compiled.query)
        if hit is not None:
            return found(run, hit, Evidence.ATTACK)
    asked = ask(run, parts)
    if asked.solution is not None:
        return found(run, asked.solution, Evidence.MODEL, violations=asked.count)
    if asked.unknown is not None:
        return unknown(run, asked.unknown.reason, asked.unknown.detail)
    return absent(run, Evidence.PROOF if run.settings.proof is None else Evidence.CHECKED)


def _prove(run: Run) -> Result:
    """Ask an engine that takes the query as it was compiled, so that its proof is about that."""
    problem = GridProblem(run.compiled.query, theory="query", attack=run.settings.attack)
    answered, assignment, proof = ask_solver(run, run.asked, problem)
    if assignment is not None:
        replayed(run, answered, assignment)
        return found(run, assignment, Evidence.MODEL)
    if answered.status == "unknown":
        return unknown(run, answered.reason, answered.detail)
    if proof is None:
        return absent(run, Evidence.PROOF)
    check_proof(run, proof)
    return absent(run, Evidence.CERTIFICATE, proof)


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
        facts = {"proof": str(error)}
        raise refuted(run, f"a proof of {run.solver} fails", facts, {}, given=str(error), expected="a proof") from error
    run.spend("replay", since)
    return checked


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What came of asking about all parts of a query: a solution of it, or an answer that leaves one open, or neither if none has any."""

    solution: Assignment | None = None
    count: int | None = None
    """How many solutions there are, if all were counted."""
    unknown: Answered | None = None


def presolved(run: Run, query: Query) -> tuple[Assignment | None, list[Reduced]]:
    """Return a solution of a query if the passes find one, else what they leave to be asked: nothing if they prove that there is none."""
    since = perf_counter()
    left = [p for p in run.pipeline.apply(query, run.deadline) if p.query.goal != FALSE]
    run.spend("presolve", since)
    true = next((p for p in left if p.query.goal == TRUE), None)
    if true is None:
        return None, left
    return true.lift({name: node.lower for name, node in true.query.inputs.items()}), []


def ask(run: Run, parts: Sequence[Reduced]) -> Asked:
    """Ask the solver about each part, and replay what it finds; one solution decides, and all must be proved to have none."""
    unknown: Answered | None = None
    count: int | None = 0
    first: Assignment | None = None
    for part in parts:
        answered, assignment = _ask_one(run, part.query, run.settings.proof)
        count = _add_count(count, answered, part)
        if assignment is not None:
            lifted = part.lift(assignment)
            verdict = replayed(run, answered, lifted)
            if verdict == "spurious":
                unknown = replace(answered, status="unknown", reason=Reason.NUMERICAL if answered.numerical else Reason.SPURIOUS)
            elif "violations" not in answered.statistics:
                return Asked(lifted)
            else:
                first = first or lifted
        elif answered.status == "unknown" or judge(run.spec.kind, answered.status, answered.fidelity, None) is Verdict.UNKNOWN:
            unknown = unknown or answered
        if run.deadline.passed() and part is not parts[-1]:
            unknown = unknown or replace(answered, status="unknown", reason=Reason.TIMEOUT)
            break
    return Asked(first, count if unknown is None else None, None if first is not None else unknown)


def _ask_one(run: Run, part: Query, folder: str | None = None) -> tuple[Answered, Assignment | None]:
    """Ask the solver about a part; into a folder it writes a proof."""
    since = perf_counter()
    linear = "linear" not in run.settings.without
    problem = compile_problem(part, run.asked, run.settings.theory, linear=linear, deadline=run.deadline)
    run.spend("lower", since)
    place = None if folder is None else proof_place(folder, run.spec.name, part)
    return ask_solver(run, run.asked, problem, place=place)[:2]


def _add_count(count: int | None, answered: Answered, part: Reduced) -> int | None:
    found = answered.statistics.get("violations")
    if count is None or part.multiplicity is None or not isinstance(found, int):
        return None
    return count + found * part.multiplicity


def replayed(run: Run, answered: Answered, lifted: Assignment) -> str:
    """Replay a solution on the reference integers; raises SoundnessError if an exact problem had a solution that its query has not.

    A solver that computes in floating point is allowed to err there: its solution is spurious.
    """
    since = perf_counter()
    true = reference.satisfies(run.compiled.query, lifted)
    run.spend("replay", since)
    verdict = judge(run.spec.kind, answered.status, answered.fidelity, true, numerical=answered.numerical)
    if verdict == "unsound":
        facts = {"theory": answered.theory, "status": answered.status}
        what = f"{run.solver} gave a model that does not replay"
        raise refuted(run, what, facts, lifted, given=answered.theory, expected="a solution of the query")
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
        what, facts = "a solution of the query is none of the property", {"evidence": evidence.name}
        raise refuted(run, what, facts, assignment, given=evidence.name, expected="agreement")
    exact = all(v.domain.one_to_one for v in run.spec.variables)
    return session.found(run, evidence, codes, violations=violations if exact else None)


def absent(run: Run, evidence: Evidence, proof: Proof | None = None) -> Result:
    """Return the verdict when no solution exists, and whether the assumption could be met at all."""
    return session.absent(run, evidence, lambda: _vacuous(run), proof)


def _vacuous(run: Run) -> bool | None:
    """Return whether nothing meets the assumption: by bounds, else by search, else by the solver; None if that stays open."""
    if any(p.query.goal == TRUE for p in Pipeline().only("box").apply(run.compiled.assumption)):
        return False  # a box, as most assumptions are: it has points, or its goal would be false
    parts = [p for p in Pipeline().apply(run.compiled.assumption, run.deadline) if p.query.goal != FALSE]
    if not parts or any(p.query.goal == TRUE for p in parts):
        return not parts
    if attacked(run, run.compiled.assumption) is not None:
        return False
    asked = [(*_ask_one(run, p.query), p) for p in parts]
    if any(a is not None and reference.satisfies(run.compiled.assumption, p.lift(a)) for _, a, p in asked):
        return False
    proved = (judge("exists", s.status, s.fidelity, None) is Verdict.VIOLATED for s, _, _ in asked)
    return True if all(proved) else None


def attacked(run: Run, target: Query) -> Assignment | None:
    """Search for a solution within a quarter of the time, at most ten seconds, and less where more of the same promises little."""
    return searched(run, target, run.deadline.part(1 / ATTACK_SHARE).within(ATTACK_SECONDS), lasting=False)


def searched(run: Session, target: Query, deadline: Deadline, *, lasting: bool = True) -> Assignment | None:
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
