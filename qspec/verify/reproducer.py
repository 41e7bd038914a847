"""When an answer contradicts exact arithmetic: everything needed to see it again, in a folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import bound
from qspec.compile.query import compile_property
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.ir.real import ExactArray
from qspec.ir.real import Query as RealQuery
from qspec.language.property import Property
from qspec.language.traversal import is_real, networks


def write_reproducer(
    spec: Property,
    facts: Mapping[str, str],
    assignment: Mapping[str, IntArray | ExactArray],
    query: Query | RealQuery | None = None,
) -> Path:
    """Write query, assignment, parameters, facts and every quantised network into a new folder; return it.

    A query of integers is written as SMT-LIB, a real one as its operations. It is compiled from the property if none is given.
    """
    from qspec.files.qspec_file import save

    query = _compiled(spec) if query is None else query
    folder = Path(tempfile.mkdtemp(prefix=f"qspec-reproducer-{digest(query)[:8]}-", dir=Path.cwd()))
    facts = {"property": spec.name, "kind": spec.kind, "query": digest(query), **facts}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2))
    (folder / "assignment.json").write_text(json.dumps({k: _plain(v) for k, v in assignment.items()}, indent=2))
    parameters = {k: np.asarray(v).tolist() for k, v in spec.values.items()}
    (folder / "parameters.json").write_text(json.dumps(parameters, indent=2, default=str))
    if isinstance(query, Query):
        from qspec.theories import bitvector

        (folder / "problem.smt2").write_text(bitvector.lower(query, bound(query.program)).text + "(check-sat)\n")
    else:
        (folder / "query.txt").write_text("\n".join([*map(repr, query.program), repr(query.goal)]))
    for k, network in enumerate(networks(spec)):
        save(network, str(folder / f"network-{k}.qspec"))
    return folder


def _compiled(spec: Property) -> Query | RealQuery:
    from qspec.compile.real_query import compile_real  # here, because `import qspec` is to be quick

    return compile_real(spec).query if is_real(spec) else compile_property(spec).query


def _plain(values: IntArray | ExactArray) -> list[object]:
    """Return integers as they are, and other exact numbers as text."""
    return [v if isinstance(v, int) else str(Fraction(v)) for v in np.asarray(values).reshape(-1).tolist()]
