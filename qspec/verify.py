"""From a property to a verdict: the only module that knows every part.

`language → query → passes → theory → solver → answer → lift back → replay → result`
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import assert_never

from qspec.certificate.file import Certificate
from qspec.digest import digest
from qspec.errors import CertificateError, SolverMissingError, SoundnessError, SpecError, UnsupportedError
from qspec.evaluate import reference
from qspec.integers import IntArray
from qspec.ir import FALSE, TRUE, Assignment, Query, formula_nodes
from qspec.language import interpret
from qspec.language.bind import bind
from qspec.language.compile import Compiled, compile_property
from qspec.language.formulas import Property
from qspec.language.walk import networks
from qspec.names import listed
from qspec.passes import Pipeline
from qspec.passes.base import Reduced
from qspec.problem import GridProblem, MilpProblem, Problem, SmtProblem
from qspec.reproducer import write_reproducer
from qspec.result import Evidence, Proof, Result, Said, Times, Verdict, judge
from qspec.solver import Answer, Limits, Reason, Solver, get_solver

DEFAULT_SOLVER = "bounds"


@dataclass
class _Run:
    """One verification under way: what it is about, and the time spent so far."""

    spec: Property
    compiled: Compiled
    parameters: Mapping[str, object]
    limits: Limits
    started: float
    times: dict[str, float] = field(default_factory=dict[str, float])
    said: list[Said] = field(default_factory=list[Said])
    solver: str = ""
    solver_version: str = ""

    @property
    def left(self) -> Limits:
        """What remains of the limits."""
        if self.limits.seconds is None:
            return self.limits
        return replace(self.limits, seconds=max(0.01, self.limits.seconds - (perf_counter() - self.started)))

    @property
    def expired(self) -> bool:
        return self.limits.seconds is not None and perf_counter() - self.started >= self.limits.seconds

    def spend(self, stage: str, since: float) -> None:
        self.times[stage] = self.times.get(stage, 0.0) + perf_counter() - since

    def result(self, verdict: Verdict, evidence: Evidence, **rest: object) -> Result:
        hashes = {"query": digest(self.compiled.query)}
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
            hashes=hashes,
            versions=_versions(),
            networks=tuple(networks(self.spec)),
            **rest,  # pyright: ignore[reportArgumentType]
        )


def query(spec: Property, **parameters: object) -> Query:
    """Return the query of a property with its parameters given: what every solver route starts from."""
    return compile_property(spec, parameters).query


def verify(
    spec: Property,
    *,
    solver: str | Solver = DEFAULT_SOLVER,
    theory: str | None = None,
    timeout: float | None = 60.0,
    memory: int | None = 8192,
    seed: int = 0,
    attack: bool = True,
    without: Sequence[str] = (),
    split: bool = False,
    **parameters: object,
) -> Result:
    """Decide a property: presolve by exact bounds, attack, then ask a solver; replay what it finds.

    `timeout` is wall-clock seconds for everything, `memory` MiB for the solver process. `without` switches passes off by name, `split`
    asks the solver about each way to violate the property on its own. Other keyword arguments are the parameters of the specification.
    Raises SpecError on a malformed specification, SolverMissingError or UnsupportedError if the solver cannot be asked, SoundnessError
    if an answer is refuted by the reference integers; limits and crashes are UNKNOWN.
    """
    chosen = _available(solver)
    run = _start(spec, parameters, Limits(timeout, memory, seed))
    run.solver, run.solver_version = chosen.name, chosen.availability().version
    if theory is not None and theory not in chosen.theories:
        raise UnsupportedError(f"{chosen.name} does not decide this theory", given=theory, expected=", ".join(chosen.theories))
    pipeline = Pipeline().without(*listed(without, "without"))
    if (theory or chosen.theories[0]) == "query":
        return _prove(run, chosen, attack)
    return _decide(run, chosen, theory, pipeline.adding("split") if split else pipeline, attack)


def _start(spec: Property, parameters: Mapping[str, object], limits: Limits) -> _Run:
    if not isinstance(spec, Property):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property", given=spec, expected="qs.forall(…), qs.exists(…) or a named property")
    since = perf_counter()
    bound = bind(spec, parameters)
    run = _Run(bound, compile_property(bound), parameters, limits, since)
    run.spend("compile", since)
    return run


def _decide(run: _Run, solver: Solver, theory: str | None, pipeline: Pipeline, attack: bool) -> Result:
    since = perf_counter()
    parts = pipeline.apply(run.compiled.query)
    run.spend("presolve", since)
    open_parts = [p for p in parts if p.query.goal != FALSE]
    for part in open_parts:
        if part.query.goal == TRUE:
            return _found(run, part.lift(_corner(part.query)), Evidence.BOUNDS)
    if not open_parts:
        return _absent(run, Evidence.BOUNDS, solver, theory)
    if attack and "grid" not in solver.theories:
        hit = _attack(run, run.compiled.query)
        if hit is not None:
            return _found(run, hit, Evidence.ATTACK)
    return _ask(run, solver, theory, open_parts)


def _prove(run: _Run, solver: Solver, attack: bool) -> Result:
    """Ask an engine that takes the query as it was compiled, so that its proof is about that."""
    problem = GridProblem(run.compiled.query, theory="query", attack=attack)
    said, assignment, proof = _said(run, solver, problem)
    if assignment is not None:
        _verdict(run, said, assignment)
        return _found(run, assignment, Evidence.MODEL)
    if said.status == "unknown":
        return run.result(Verdict.UNKNOWN, Evidence.NONE, reason=said.reason, detail=said.detail)
    if proof is None:
        return _absent(run, Evidence.PROOF, solver, "query")
    _check_proof(run, proof)
    return _absent(run, Evidence.CERTIFICATE, solver, "query", proof=proof)


def _check_proof(run: _Run, proof: Proof) -> None:
    """Follow a proof with the checker, which shares no bounding code with the engine; raises SoundnessError if it fails."""
    from qspec.certificate.check import check

    since = perf_counter()
    made = Certificate(digest(run.compiled.query), run.spec.name, run.spec.kind, {}, (), **dict(proof))  # pyright: ignore[reportArgumentType]
    try:
        check(made, run.compiled.query)
    except CertificateError as error:
        where = write_reproducer(run.compiled.query, run.spec, run.parameters, {"solver": run.solver, "proof": str(error)}, {})
        raise SoundnessError(f"a proof of {run.solver} fails", given=str(error), expected="a proof", advice=f"report {where}") from error
    run.spend("replay", since)


def _ask(run: _Run, solver: Solver, theory: str | None, parts: Sequence[Reduced]) -> Result:
    """Ask the solver about each part; one solution decides, and all must be proved to have none."""
    unknown: Said | None = None
    count: int | None = 0
    first: Assignment | None = None
    for part in parts:
        said, assignment = _ask_one(run, solver, theory, part.query)
        count = _add_count(count, said, part)
        if assignment is not None:
            lifted = part.lift(assignment)
            verdict = _verdict(run, said, lifted)
            if verdict == "spurious":
                unknown = replace(said, status="unknown", reason=Reason.NUMERICAL if said.numerical else Reason.SPURIOUS)
            elif "violations" not in said.statistics:
                return _found(run, lifted, Evidence.MODEL)
            else:
                first = first or lifted
        elif said.status == "unknown" or judge(run.spec.kind, said.status, said.fidelity, None) is Verdict.UNKNOWN:
            unknown = unknown or said
        if run.expired and part is not parts[-1]:
            unknown = unknown or replace(said, status="unknown", reason=Reason.TIMEOUT)
            break
    if first is not None:
        return _found(run, first, Evidence.MODEL, violations=count if unknown is None else None)
    if unknown is not None:
        return run.result(Verdict.UNKNOWN, Evidence.NONE, reason=unknown.reason or Reason.INCOMPLETE, detail=unknown.detail)
    return _absent(run, Evidence.NUMERICAL if any(s.numerical for s in run.said) else Evidence.PROOF, solver, theory)


def _ask_one(run: _Run, solver: Solver, theory: str | None, part: Query) -> tuple[Said, Assignment | None]:
    since = perf_counter()
    problem = compile_problem(part, solver, theory)
    run.spend("lower", since)
    return _said(run, solver, problem)[:2]


def _said(run: _Run, solver: Solver, problem: Problem) -> tuple[Said, Assignment | None, Proof | None]:
    """Hand a problem to a solver and record what it says."""
    since = perf_counter()
    answer = solver.solve(problem, run.left)
    run.spend("solve", since)
    said = _checked(answer, problem, _size(problem))
    run.said.append(said)
    model = answer.model if said.status in ("sat", "delta-sat") else None
    return said, None if model is None else problem.decode(model), answer.proof


def _checked(answer: Answer, problem: Problem, size: int) -> Said:
    """Record an answer; one that claims `sat` without a model, or says nothing of why it is unknown, is made an honest unknown."""
    status, reason, detail = answer.status, answer.reason, answer.detail
    if status in ("sat", "delta-sat") and answer.model is None:
        status, reason, detail = "unknown", Reason.GARBAGE, f"{answer.status} without a model"
    if status == "unknown" and reason is None:
        reason = Reason.INCOMPLETE
    return Said(status, reason, detail, answer.seconds, problem.theory, problem.fidelity, size, answer.statistics, answer.numerical)


def _size(problem: Problem) -> int:
    """Return the size of a problem in the unit of its kind, as `Said.size` has it."""
    match problem:
        case SmtProblem():
            return len(problem.text)
        case MilpProblem():
            return problem.coefficients.size
        case GridProblem():
            return sum(n.lower.size for n in problem.query.inputs.values())
        case _:
            assert_never(problem)


def _verdict(run: _Run, said: Said, lifted: Assignment) -> str:
    """Replay a solution on the reference integers; raises SoundnessError if an exact problem had a solution that its query has not.

    A solver that computes in floating point is allowed to err there: its solution is spurious.
    """
    since = perf_counter()
    replayed = reference.satisfies(run.compiled.query, lifted)
    run.spend("replay", since)
    verdict = judge(run.spec.kind, said.status, said.fidelity, replayed, numerical=said.numerical)
    if verdict == "unsound":
        where = write_reproducer(
            run.compiled.query, run.spec, run.parameters, {"solver": run.solver, "theory": said.theory, "status": said.status}, lifted
        )
        raise SoundnessError(
            f"{run.solver} gave a model that does not replay",
            given=said.theory,
            expected="a solution of the query",
            advice=f"report {where}",
        )
    return verdict if isinstance(verdict, str) else verdict.name


def _found(run: _Run, assignment: Assignment, evidence: Evidence, *, violations: int | None = None) -> Result:
    """Return the verdict of a solution, which the language itself must confirm on exact rationals."""
    since = perf_counter()
    lifted = run.compiled.lift(assignment)
    codes = {v.name: lifted[v.name].reshape(v.shape) for v in run.spec.variables}
    confirmed = reference.satisfies(run.compiled.query, assignment) and interpret.witnesses(run.spec, codes)
    run.spend("replay", since)
    if not confirmed:
        where = write_reproducer(
            run.compiled.query, run.spec, run.parameters, {"solver": run.solver, "evidence": evidence.name}, assignment
        )
        raise SoundnessError(
            "a solution of the query is none of the property", given=evidence.name, expected="agreement", advice=f"report {where}"
        )
    verdict = Verdict.VIOLATED if run.spec.kind == "forall" else Verdict.HOLDS
    exact = all(v.domain.one_to_one for v in run.spec.variables)
    return run.result(verdict, evidence, codes=codes, violations=violations if exact else None)


def _absent(run: _Run, evidence: Evidence, solver: Solver, theory: str | None, *, proof: Proof | None = None) -> Result:
    """Return the verdict when no solution exists, and whether the assumption could be met at all."""
    if run.spec.kind == "exists":
        return run.result(Verdict.VIOLATED, evidence, violations=0, proof=proof)
    return run.result(Verdict.HOLDS, evidence, vacuous=_vacuous(run, solver, theory), violations=0, proof=proof)


def _vacuous(run: _Run, solver: Solver, theory: str | None) -> bool | None:
    """Return whether nothing meets the assumption: by bounds, else by search, else by the solver; None if that stays open."""
    parts = [p for p in Pipeline().apply(run.compiled.assumption) if p.query.goal != FALSE]
    if not parts or any(p.query.goal == TRUE for p in parts):
        return not parts
    if _attack(run, run.compiled.assumption) is not None:
        return False
    asked = [(*_ask_one(run, solver, theory, p.query), p) for p in parts]
    if any(a is not None and reference.satisfies(run.compiled.assumption, p.lift(a)) for _, a, p in asked):
        return False
    proved = (judge("exists", s.status, s.fidelity, None) is Verdict.VIOLATED and not s.numerical for s, _, _ in asked)
    return True if all(proved) else None


def _attack(run: _Run, target: Query) -> Assignment | None:
    """Search for a solution within a quarter of the time, at most ten seconds."""
    seconds = 10.0 if run.left.seconds is None else min(10.0, run.left.seconds / 4)
    return _search(run, target, seconds)


def _search(run: _Run, target: Query, seconds: float) -> Assignment | None:
    """Search the box that the assumption leaves; other passes would give every query a shape of its own, to be compiled anew."""
    from qspec.search.falsify import falsify as search

    since = perf_counter()
    (part,) = Pipeline().only("box").apply(target)
    hit = None if part.query.goal == FALSE else search(part.query, seconds=seconds, seed=run.limits.seed)
    run.spend("attack", since)
    return None if hit is None else part.lift(hit)


def falsify(spec: Property, *, seconds: float = 10.0, seed: int = 0, **parameters: object) -> Result:
    """Search for a counterexample (or witness) only: VIOLATED (HOLDS) with one, else UNKNOWN."""
    run = _start(spec, parameters, Limits(seconds, None, seed))
    run.solver = "falsify"
    hit = _search(run, run.compiled.query, seconds)
    if hit is not None:
        return _found(run, hit, Evidence.ATTACK)
    return run.result(Verdict.UNKNOWN, Evidence.NONE, reason=Reason.INCOMPLETE, detail="the search found nothing, which proves nothing")


def compile_problem(part: Query, solver: Solver, theory: str | None = None) -> Problem:
    """Return the problem of a query in a theory that the solver decides; raises UnsupportedError if there is none."""
    if theory is not None and theory not in solver.theories:
        raise UnsupportedError(f"{solver.name} does not decide this theory", given=theory, expected=", ".join(solver.theories))
    problem = lower_query(part, theory or solver.theories[0])
    if problem.theory not in solver.theories:
        raise UnsupportedError(
            f"{solver.name} does not decide {problem.theory}",
            given=theory,
            expected=", ".join(solver.theories),
            advice="products of variables need QF_BV",
        )
    return problem


def lower_query(part: Query, theory: str) -> Problem:
    """Return a query as a problem of a theory: "QF_BV", "QF_LIA" (QF_NIA if variables are multiplied), "milp", or "grid"."""
    from qspec.bounds.backward import bound
    from qspec.theories import bitvector, integer, milp

    match theory:
        case "grid" | "query":
            return GridProblem(part, theory=theory)
        case "QF_BV":
            return bitvector.lower(part, bound(part.program))
        case "QF_LIA" | "QF_NIA":
            return integer.lower(part, bound(part.program))
        case "milp":
            return milp.lower(part, bound(part.program, tuple(formula_nodes(part.goal))))
        case _:
            raise UnsupportedError("no such theory", given=theory, expected="query, QF_BV, QF_LIA, QF_NIA, milp or grid")


def _available(solver: str | Solver) -> Solver:
    chosen = get_solver(solver)
    state = chosen.availability()
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


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("qspec", "numpy", "jax"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
