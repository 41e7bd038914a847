"""Branch first, then ask: the native engine divides a query, and any solver is asked about each domain that is left open (a *cube*).

The engine's proof, which assumes that these domains have no solution, is checked before anybody is asked, and the cubes are made of the
checker's own domains (`cubes.py`). So if no cube has a solution, the query has none, whatever the engine did. The engine stops when its
share of the time is spent, or when more domains are open than there are seconds, since it takes tenths of a second to compile one and to
read it. Source of the method: cube and conquer, Heule et al. 2011.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Unpack

from qspec.certificate.check import OpenDomain, check
from qspec.certificate.claim import claimed
from qspec.certificate.file import ASSUME, Assumption, Certificate
from qspec.deadline import OutOfTime
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.integer import Assignment, Query
from qspec.language.property import Property
from qspec.problem import Fidelity
from qspec.solver import Reason, Solver
from qspec.support.distribution import versions
from qspec.verify.cubes import cube
from qspec.verify.integers import Asked, Run, absent, ask, attacked, check_proof, compiled, found, is_native, presolved, reduced
from qspec.verify.options import LimitOptions, Settings
from qspec.verify.proving import check_proving
from qspec.verify.result import Answered, Evidence, Proof, Result
from qspec.verify.session import Session, available, limited, start, unknown

if TYPE_CHECKING:
    from qspec.engines.dual.outcome import Outcome

SECONDS = 60.0
"""The time that is reckoned with where it has no limit."""
SHARE = 4
"""The engine may take this part of the time."""
CUBES = 16
"""The fewest open domains at which it stops; more for longer limits, one for each second."""


def decide(begun: Session, asked: Solver, settings: Settings) -> Result:
    """Decide a property by the engine for a part of the time, then by a solver; by the solver alone if the engine cannot take it."""
    if is_native(asked, settings.theory):
        raise SpecError(f"{asked.name} branches by itself", given='presolve="branch"', expected='"passes", or another solver')
    check_proving(asked, settings)
    run = compiled(begun, asked, settings)
    result = _branched(run)
    return reduced(run) if result is None else result


def _branched(run: Run) -> Result | None:
    """Decide a query by the engine and the solver; None if the engine cannot take it."""
    outcome = _engine(run)
    if outcome is None:
        return None
    if outcome.solution is not None:
        return found(run, outcome.solution, Evidence.ATTACK)
    if outcome.proof is not None:
        proof = outcome.proof.mapping()
        check_proof(run, proof)
        return absent(run, Evidence.CERTIFICATE, proof)
    if outcome.partial is None:
        return None
    partial = outcome.partial.mapping()
    nobody = (Assumption("", "", ""),) * int((outcome.partial.steps[:, 0] == ASSUME).sum())
    domains = check_proof(run, {**partial, "assumed": nobody}, partial=True).assumed
    return _conquer(run, domains, partial)


def confirm(
    certificate: Certificate,
    spec: Property,
    *,
    solver: str | Solver,
    **options: Unpack[LimitOptions],
) -> Result:
    """Check a certificate, and ask a solver about every domain that it only assumes to have no solution; limits are those of `verify`.

    Parameters are those recorded in the certificate unless the property has other values. Raises CertificateError if it is about another
    property, parameter or network, or if its proof fails, SolverMissingError if the solver cannot run.
    """
    chosen = available(solver)
    query = claimed(certificate, spec).query
    given = replace(spec, values={**certificate.parameters, **spec.values})
    settings = Settings.of(options, LimitOptions)
    begun = start(given, settings.limits, chosen)

    def decide() -> Result:
        run = compiled(begun, chosen, settings)
        since = perf_counter()
        domains = check(certificate, query, partial=True, deadline=run.deadline).assumed
        run.spend("replay", since)
        names = ("scale", "slope_bits", "steps", "slopes", "multipliers", "weights")
        return _conquer(run, domains, {name: getattr(certificate, name) for name in names})

    return limited(begun, decide)


def _engine(run: Run) -> Outcome | None:
    """Run the engine for its share of the time, not counting the attack; None if a value is too wide for it."""
    from qspec.engines.dual.branch_and_bound import prove
    from qspec.engines.dual.options import EngineOptions

    since = perf_counter()
    seconds = SECONDS if run.deadline.seconds is None else run.deadline.left()

    def spent() -> float:
        return perf_counter() - since - run.times.get("attack", 0.0)

    def search(_: Query) -> Callable[[], Assignment | None]:
        before = [lambda: attacked(run, run.compiled.query)]
        return lambda: before.pop()() if before else None

    try:
        options, attack = EngineOptions(leave=max(CUBES, int(seconds))), search if run.settings.attack else None
        deadline = replace(run.deadline, end=seconds / SHARE, clock=spent)
        outcome = prove(run.compiled.query, deadline, options, attack)
    except UnsupportedError:
        return None
    finally:
        run.times["presolve"] = spent()
    status = "sat" if outcome.solution is not None else "unsat" if outcome.proof is not None else "unknown"
    counts = {"domains": outcome.visited, "leaves": outcome.leaves, "open": outcome.open}
    reason, detail = (Reason.INCOMPLETE, f"{outcome.open} domains are left to {run.solver}") if status == "unknown" else (None, "")
    size = sum(n.lower.size for n in run.compiled.query.inputs.values())
    run.answers.append(Answered(status, reason, detail, spent(), "query", Fidelity.EXACT, size, counts))
    return outcome


def _conquer(run: Run, domains: Sequence[OpenDomain], proof: Proof) -> Result:
    """Ask about every cube, those nearest to being closed first; a solution decides, and all must be proved to have none.

    Each may take an equal part of the time that is left. Those for which that was too little are asked again with what others have saved.
    """
    closed: dict[int, Assumption] = {}
    opened: dict[int, Answered] = {}
    given: dict[int, float] = {}
    waiting: list[int] = list(range(len(domains)))
    while waiting:
        for k, number in enumerate(waiting):
            if run.deadline.passed():
                break
            part = run.within(1 / (len(waiting) - k))
            given[number] = part.deadline.left()
            asked, by = _ask_cube(part, domains[number])
            if asked.solution is not None:
                return found(run, asked.solution, Evidence.MODEL)
            if asked.unknown is None:
                closed[number] = by
                opened.pop(number, None)
            else:
                opened[number] = asked.unknown
        again = [k for k in waiting if k in opened and opened[k].reason is Reason.TIMEOUT]
        each = 0.0 if run.deadline.seconds is None else run.deadline.left() / max(1, len(again))
        waiting = [k for k in again if each > given[k]]
    if len(closed) < len(domains):
        first = next(iter(opened.values()), None)
        detail = f"{len(domains) - len(closed)} of {len(domains)} cubes are open"
        return unknown(run, Reason.TIMEOUT if first is None else first.reason, detail)
    assumed = tuple(closed[k] for k in range(len(domains)))
    return absent(run, Evidence.PROOF, {**proof, "assumed": assumed})


def _ask_cube(run: Run, domain: OpenDomain) -> tuple[Asked, Assumption]:
    """Ask about one cube, and return who answered: the passes, if they leave nothing to ask; it stays open when its time ends."""
    before = len(run.answers)
    try:
        solution, parts = presolved(run, cube(run.compiled.query, domain))
        if not parts:
            return Asked(solution), Assumption("passes", versions()["qspec"], "query")
        asked = ask(run, parts)
    except OutOfTime as error:
        late = Answered("unknown", Reason.TIMEOUT, str(error), 0.0, "query", Fidelity.EXACT, 0)
        return Asked(unknown=late), Assumption("", "", "")
    answered = run.answers[before:]
    return asked, Assumption(run.solver, run.solver_version, answered[0].theory)
