"""Keep verdicts with their evidence in a folder, and check the evidence again instead of deciding again.

A verdict is kept under the digest of what it is about: query, assumption, variables. A certificate is checked, a counterexample or witness
replayed, and nothing that is kept is believed otherwise. So verdicts without either (proofs of other solvers, of reals, and UNKNOWN) are
not kept, and a file that is damaged or says something else is as good as none.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.shapes import check_one
from qspec.certificate.check import check
from qspec.certificate.file import load
from qspec.deadline import OutOfTime
from qspec.errors import QspecError
from qspec.files.atomic import replacing, writing
from qspec.ir.digest import digest
from qspec.ir.real import ExactArray, fractions
from qspec.language.expressions import constant
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.solver import Limits
from qspec.support.threads import single_threaded
from qspec.verify.identity import identity
from qspec.verify.integers import absent, compiled
from qspec.verify.options import Settings
from qspec.verify.result import Evidence, Result
from qspec.verify.session import available, found, start

SUFFIX, PROOF = ".result.json", ".certificate"
PARTS = ("scale", "slope_bits", "steps", "slopes", "multipliers", "weights", "assumed")
"""What of a certificate is the proof itself."""


def keep(folder: Path, spec: Property, result: Result) -> None:
    """Write what was found of a bound property into a folder, if it can be checked again; raises SpecError if it cannot be written."""
    proof = result.certificate
    if proof is not None and not proof.assumed:
        proof.save(folder / (identity(spec) + PROOF))
    elif result.codes is not None or result.point is not None:
        place = folder / (identity(spec) + SUFFIX)
        with writing(place), replacing(place) as stream:
            stream.write(result.to_json().encode())


@single_threaded
def recall(folder: Path, spec: Property, limits: Limits) -> Result | None:
    """Return the verdict on a bound property that is kept in a folder, after a check of its evidence; None if none passes within limits."""
    try:
        key = identity(spec, deadline=limits.deadline())
        result, proof = folder / (key + SUFFIX), folder / (key + PROOF)
        if result.is_file():
            return _replayed(spec, Result.from_dict(json.loads(result.read_bytes())), limits)
        return _checked(spec, proof, limits) if proof.is_file() else None
    except (QspecError, OutOfTime, MemoryError, OSError, ValueError, KeyError):
        return None


def _replayed(spec: Property, kept: Result, limits: Limits) -> Result | None:
    """Return the result that stands on the codes and values of a kept one, by the second semantics."""
    from qspec.language import interpret, real_interpret

    since = perf_counter()
    begun = start(spec, limits, kept.solver, kept.solver_version)
    codes: dict[str, IntArray] = {}
    point: dict[str, ExactArray] = {}
    for v in spec.variables:
        codes[v.name] = integers((kept.codes or {})[v.name])
        check_one(codes[v.name].shape, v.shape, f"the kept codes of {v.name!r}")
    for v in spec.reals:
        point[v.name] = fractions(constant((kept.point or {})[v.name]).values)
        check_one(point[v.name].shape, v.shape, f"the kept values of {v.name!r}")
    good = real_interpret.witnesses(spec, codes, point) is True if is_real(spec) else interpret.witnesses(spec, codes)
    begun.spend("replay", since)
    return found(begun, kept.evidence, codes, point) if good else None


def _checked(spec: Property, place: Path, limits: Limits) -> Result | None:
    """Return the result that stands on a kept certificate; whether anything meets the assumption is examined anew."""
    kept = load(place)
    solver = available("bounds")
    run = compiled(start(spec, limits, solver), solver, Settings())
    if (kept.kind, kept.query, kept.assumed) != (spec.kind, digest(run.compiled.query), ()):
        return None
    since = perf_counter()
    check(kept, run.compiled.query, deadline=run.deadline)
    run.spend("replay", since)
    return absent(run, Evidence.CERTIFICATE, {name: getattr(kept, name) for name in PARTS})
