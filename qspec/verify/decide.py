"""From a property to a verdict: `language → query → passes → theory → solver → answer → lift back → replay → result`."""

from __future__ import annotations

from typing import Unpack

from qspec.compile.query import compile_property
from qspec.ir.integer import Query
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.solver import Reason, get_solver
from qspec.support.threads import single_threaded
from qspec.verify import integers
from qspec.verify.options import DEFAULT_REAL, DEFAULT_SOLVER, LimitOptions, Options, Settings
from qspec.verify.result import Evidence, Result
from qspec.verify.session import available, limited, start, unknown


def query(spec: Property) -> Query:
    """Return the query of a property with its parameters given: what every solver route starts from."""
    return compile_property(spec).query


@single_threaded
def verify(spec: Property, **options: Unpack[Options]) -> Result:
    """Decide a property: presolve by exact bounds, attack, then ask a solver; replay what it finds.

    `options` are those of `qs.Options`: `solver`, `theory`, `timeout` (60 seconds of wall-clock time for everything), `memory` (8192 MiB
    for what the solver's process and this one hold), `seed` (these three also as one value, `limits=qs.Limits(…)`), `attack`, `without`,
    `split`, `presolve`, `delta`, and `proof`, a folder for proofs of cvc5 or bitwuzla that other programs check. Parameters of the property
    get their values by `spec.at(…)`. The solver is the native engine if none is named, and `delta` for properties in which reals occur. For
    these there is no presolve and no attack.

    Raises SpecError on a malformed specification or option, SolverMissingError or UnsupportedError if the solver cannot be asked,
    SoundnessError if an answer is refuted by the reference integers; limits and crashes are UNKNOWN.
    """
    settings = Settings.of(options)
    decide, default = integers.decide, DEFAULT_SOLVER
    if isinstance(spec, Property) and is_real(spec):  # pyright: ignore[reportUnnecessaryIsInstance]
        from qspec.verify import reals  # here, because `import qspec` is to be quick

        decide, default = reals.decide, DEFAULT_REAL
    elif settings.presolve == "branch":
        from qspec.verify import cube_and_conquer  # here, because `import qspec` is to be quick

        decide = cube_and_conquer.decide
    solver = available(default if settings.solver is None else settings.solver)
    session = start(spec, settings.limits, solver)
    return limited(session, lambda: decide(session, solver, settings))


def default_solver(spec: Property) -> str:
    """Return who decides a property if nobody is named: the native engine, or of reals the native solver of reals."""
    return DEFAULT_REAL if is_real(spec) else DEFAULT_SOLVER


@single_threaded
def falsify(spec: Property, **options: Unpack[LimitOptions]) -> Result:
    """Search for a counterexample (or witness) only: VIOLATED (HOLDS) with one, else UNKNOWN.

    `options` are `timeout` (10 seconds unless given; without a limit the search ends as well), `memory` and `seed`, or
    `limits`, which is all three.
    """
    settings = Settings.of(options, LimitOptions, timeout=10.0)
    session = start(spec, settings.limits, "falsify")

    def decide() -> Result:
        run = integers.compiled(session, get_solver(DEFAULT_SOLVER), settings)
        hit = integers.searched(run, run.compiled.query, run.deadline)
        if hit is not None:
            return integers.found(run, hit, Evidence.ATTACK)
        return unknown(session, Reason.INCOMPLETE, "the search found nothing, which proves nothing")

    return limited(session, decide)
