"""From a property to a verdict: the only module that knows every part.

`language → query → passes → theory → solver → answer → lift back → replay → result`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from qspec.compile.query import compile_property
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.integer import Query
from qspec.language.formulas import Property
from qspec.language.traversal import is_real
from qspec.passes import Pipeline
from qspec.problem import GridProblem
from qspec.solver import Limits, Reason, Solver
from qspec.support import checks
from qspec.support.threads import single_threaded
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

DEFAULT_SOLVER = "bounds"
DEFAULT_REAL = "delta"
DELTA = 1e-3
Presolve = Literal["passes", "branch"]


def query(spec: Property, **parameters: object) -> Query:
    """Return the query of a property with its parameters given: what every solver route starts from."""
    return compile_property(spec, parameters).query


@single_threaded
def verify(
    spec: Property,
    *,
    solver: str | Solver | None = None,
    theory: str | None = None,
    timeout: float | None = 60.0,
    memory: int | None = 8192,
    seed: int = 0,
    attack: bool = True,
    without: Sequence[str] = (),
    split: bool = False,
    presolve: Presolve = "passes",
    delta: float = DELTA,
    **parameters: object,
) -> Result:
    """Decide a property: presolve by exact bounds, attack, then ask a solver; replay what it finds.

    The solver is the native engine if none is named, and `delta` of properties in which reals occur. Of these nothing is known beforehand,
    and no search precedes the solver; `delta` is by how much it may miss the goal where it cannot tell, which is UNKNOWN.

    `timeout` is wall-clock seconds for everything, `memory` MiB for the solver process. `without` switches passes off by name, `split`
    asks the solver about each way to violate the property on its own, `presolve="branch"` asks it about what branch and bound of the
    native engine leaves open. Other keyword arguments are the parameters of the specification.
    Raises SpecError on a malformed specification, SolverMissingError or UnsupportedError if the solver cannot be asked, SoundnessError
    if an answer is refuted by the reference integers; limits and crashes are UNKNOWN.
    """
    checks.flag(attack, "attack")
    checks.flag(split, "split")
    checks.positive(delta, "delta")
    checks.choice(presolve, "presolving", get_args(Presolve))
    off = checks.names(without, "without")
    if theory is not None:
        checks.text(theory, "the theory")
    if isinstance(spec, Property) and is_real(spec):  # pyright: ignore[reportUnnecessaryIsInstance]
        if off or split or presolve != "passes":
            raise UnsupportedError(
                "there are no passes over reals", given=f"without={off}, split={split}, presolve={presolve!r}", expected="none of them"
            )
        from qspec.verify.reals import verify_real  # here, because `import qspec` is to be quick

        chosen = available(DEFAULT_REAL if solver is None else solver)
        return verify_real(spec, chosen, theory, Limits(timeout, memory, seed), delta, parameters)
    chosen = available(DEFAULT_SOLVER if solver is None else solver)
    begun = start(spec, parameters, Limits(timeout, memory, seed), chosen.name, chosen.availability().version)
    if theory is not None and theory not in chosen.theories:
        raise UnsupportedError(f"{chosen.name} does not decide this theory", given=theory, expected=", ".join(chosen.theories))
    pipeline = Pipeline().without(*off)
    pipeline = pipeline.adding("split") if split else pipeline
    native = (theory or chosen.theories[0]) == "query"
    if native and presolve == "branch":
        raise SpecError(f"{chosen.name} branches by itself", given='presolve="branch"', expected='"passes", or another solver')

    def decide(run: Run) -> Result:
        run.linear = "linear" not in off
        if native:
            return _prove(run, chosen, attack)
        result = _branch(run, chosen, theory, pipeline, attack) if presolve == "branch" else None
        return _decide(run, chosen, theory, pipeline, attack) if result is None else result

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
def falsify(spec: Property, *, seconds: float | None = 10.0, seed: int = 0, **parameters: object) -> Result:
    """Search for a counterexample (or witness) only: VIOLATED (HOLDS) with one, else UNKNOWN.

    `seconds` is the most that the search may take, which without a limit ends as well.
    """

    def decide(run: Run) -> Result:
        hit = searched(run, run.compiled.query, run.deadline)
        if hit is not None:
            return found(run, hit, Evidence.ATTACK)
        return unknown(run, Reason.INCOMPLETE, "the search found nothing, which proves nothing")

    return _compiled(start(spec, parameters, Limits(seconds, None, seed), "falsify"), decide)
