"""From a property to a verdict: the only module that knows every part.

`language → query → passes → theory → solver → answer → lift back → replay → result`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from qspec.compile.query import compile_property
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.integer import Query
from qspec.language.formulas import Property
from qspec.language.traversal import is_real
from qspec.passes import Pipeline
from qspec.problem import GridProblem
from qspec.solver import Reason, Solver
from qspec.support.threads import single_threaded
from qspec.verify.options import DEFAULT_REAL, DEFAULT_SOLVER, LimitOptions, Options, Settings
from qspec.verify.result import Evidence, Result
from qspec.verify.session import (
    Clocked,
    Run,
    absent,
    ask,
    attacked,
    available,
    check_proof,
    compiled,
    found,
    limited,
    presolved,
    replayed,
    said_of,
    searched,
    start,
    unknown,
)


def query(spec: Property) -> Query:
    """Return the query of a property with its parameters given: what every solver route starts from."""
    return compile_property(spec).query


@single_threaded
def verify(spec: Property, **options: Unpack[Options]) -> Result:
    """Decide a property: presolve by exact bounds, attack, then ask a solver; replay what it finds.

    `options` are those of `qs.Options`: `solver`, `theory`, `timeout` (60 seconds of wall-clock time for everything), `memory` (8192 MiB
    for the solver process), `seed`, `attack`, `without`, `split`, `presolve`, `delta`. Parameters of the property get their values by
    `spec.at(…)`. The solver is the native engine if none is named, and `delta` for properties in which reals occur. For these there is no
    presolve and no attack.

    Raises SpecError on a malformed specification or option, SolverMissingError or UnsupportedError if the solver cannot be asked,
    SoundnessError if an answer is refuted by the reference integers; limits and crashes are UNKNOWN.
    """
    s = Settings.of(options)
    if isinstance(spec, Property) and is_real(spec):  # pyright: ignore[reportUnnecessaryIsInstance]
        if s.without or s.split or s.presolve != "passes":
            given = f"without={s.without}, split={s.split}, presolve={s.presolve!r}"
            raise UnsupportedError("there are no passes over reals", given=given, expected="none of them")
        from qspec.verify.reals import verify_real  # here, because `import qspec` is to be quick

        chosen = available(DEFAULT_REAL if s.solver is None else s.solver)
        return verify_real(spec, chosen, s.theory, s.limits, s.delta)
    chosen = available(DEFAULT_SOLVER if s.solver is None else s.solver)
    begun = start(spec, s.limits, chosen)
    if s.theory is not None and s.theory not in chosen.theories:
        raise UnsupportedError(f"{chosen.name} does not decide this theory", given=s.theory, expected=", ".join(chosen.theories))
    pipeline = Pipeline().without(*s.without)
    pipeline = pipeline.adding("split") if s.split else pipeline
    native = (s.theory or chosen.theories[0]) == "query"
    if native and s.presolve == "branch":
        raise SpecError(f"{chosen.name} branches by itself", given='presolve="branch"', expected='"passes", or another solver')

    def decide(run: Run) -> Result:
        run.linear = "linear" not in s.without
        if native:
            return _prove(run, chosen, s.attack)
        result = _branch(run, chosen, s.theory, pipeline, s.attack) if s.presolve == "branch" else None
        return _decide(run, chosen, s.theory, pipeline, s.attack) if result is None else result

    return _compiled(begun, decide)


def _compiled(begun: Clocked, decide: Callable[[Run], Result]) -> Result:
    """Compile what was started and decide it; both are UNKNOWN where they meet a limit."""

    def both() -> Result:
        run = compiled(begun)
        return limited(run, lambda: decide(run))

    return limited(begun, both)


def default_solver(spec: Property) -> str:
    """Return who decides a property if nobody is named: the native engine, or of reals the native solver of reals."""
    return DEFAULT_REAL if is_real(spec) else DEFAULT_SOLVER


def _branch(run: Run, solver: Solver, theory: str | None, pipeline: Pipeline, attack: bool) -> Result | None:
    from qspec.verify.cube_and_conquer import branched  # here, because `import qspec` is to be quick

    return branched(run, solver, theory, pipeline, attack)


def _decide(run: Run, solver: Solver, theory: str | None, pipeline: Pipeline, attack: bool) -> Result:
    solution, parts = presolved(run, run.compiled.query, pipeline)
    if solution is not None:
        return found(run, solution, Evidence.BOUNDS)
    if not parts:
        return absent(run, Evidence.BOUNDS, solver, theory)
    if attack and "grid" not in solver.theories:
        hit = attacked(run, run.compiled.query)
        if hit is not None:
            return found(run, hit, Evidence.ATTACK)
    asked = ask(run, solver, theory, parts)
    if asked.solution is not None:
        return found(run, asked.solution, Evidence.MODEL, violations=asked.count)
    if asked.unknown is not None:
        return unknown(run, asked.unknown.reason, asked.unknown.detail)
    return absent(run, Evidence.PROOF, solver, theory)


def _prove(run: Run, solver: Solver, attack: bool) -> Result:
    """Ask an engine that takes the query as it was compiled, so that its proof is about that."""
    problem = GridProblem(run.compiled.query, theory="query", attack=attack)
    said, assignment, proof = said_of(run, solver, problem)
    if assignment is not None:
        replayed(run, said, assignment)
        return found(run, assignment, Evidence.MODEL)
    if said.status == "unknown":
        return unknown(run, said.reason, said.detail)
    if proof is None:
        return absent(run, Evidence.PROOF, solver, "query")
    check_proof(run, proof)
    return absent(run, Evidence.CERTIFICATE, solver, "query", proof=proof)


@single_threaded
def falsify(spec: Property, **options: Unpack[LimitOptions]) -> Result:
    """Search for a counterexample (or witness) only: VIOLATED (HOLDS) with one, else UNKNOWN.

    `options` are `timeout` (10 seconds unless given; without a limit the search ends as well), `memory` and `seed`.
    """
    limits = Settings.of(options, LimitOptions, timeout=10.0).limits

    def decide(run: Run) -> Result:
        hit = searched(run, run.compiled.query, run.deadline)
        if hit is not None:
            return found(run, hit, Evidence.ATTACK)
        return unknown(run, Reason.INCOMPLETE, "the search found nothing, which proves nothing")

    return _compiled(start(spec, limits, "falsify"), decide)
