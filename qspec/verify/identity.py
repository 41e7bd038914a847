"""What a verdict is about, as a digest: two questions with one digest have the same answer."""

from __future__ import annotations

import hashlib
import json

from qspec.compile.query import compile_property
from qspec.deadline import NEVER, Deadline
from qspec.ir.digest import digest
from qspec.language.property import Property
from qspec.language.traversal import is_real


def identity(spec: Property, *stamps: str, deadline: Deadline = NEVER) -> str:
    """Return the SHA-256 of everything that the verdict on a bound property may depend on, and of stamps: kind, queries, variables.

    Raises OutOfTime and OutOfMemory as compiling does.
    """
    return hashlib.sha256(json.dumps([*stamps, *_facts(spec, deadline)]).encode()).hexdigest()


def _facts(spec: Property, deadline: Deadline) -> list[object]:
    if is_real(spec):
        from qspec.compile.real_query import compile_real

        made = compile_real(spec, deadline=deadline)
        return [spec.kind, digest(made.query), digest(made.assumption), [v.name for v in (*spec.variables, *spec.reals)]]
    compiled = compile_property(spec, deadline=deadline)
    variables = [(v.name, list(v.shape), v.domain.one_to_one, compiled.variables[v.name]) for v in spec.variables]
    return [spec.kind, digest(compiled.query), digest(compiled.assumption), variables]
