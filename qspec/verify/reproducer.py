"""When an answer contradicts the reference integers: everything needed to see it again, in a folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import bound
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.ir.real import ExactArray, fractions
from qspec.ir.real import Query as RealQuery
from qspec.language.formulas import Property


def write_real_reproducer(
    query: RealQuery, spec: Property, parameters: Mapping[str, object], facts: Mapping[str, str], point: Mapping[str, ExactArray]
) -> Path:
    """Write the point, the parameters, the facts and the real query as text into a new folder; return it."""
    folder = Path(tempfile.mkdtemp(prefix=f"qspec-reproducer-{digest(query)[:8]}-", dir=Path.cwd()))
    facts = {"property": spec.name, "kind": spec.kind, "query": digest(query), **facts}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2))
    (folder / "point.json").write_text(json.dumps({k: [str(x) for x in fractions(v).flat] for k, v in point.items()}, indent=2))
    (folder / "parameters.json").write_text(json.dumps({k: np.asarray(v).tolist() for k, v in parameters.items()}, indent=2, default=str))
    (folder / "query.txt").write_text("\n".join([*map(repr, query.program), repr(query.goal)]))
    return folder


def write_reproducer(
    query: Query, spec: Property, parameters: Mapping[str, object], facts: Mapping[str, str], codes: Mapping[str, IntArray]
) -> Path:
    """Write the compiled query as SMT-LIB, the assignment, the parameters, the facts and every network into a new folder; return it."""
    from qspec.files.qspec_file import save
    from qspec.language.traversal import networks
    from qspec.theories import bitvector

    folder = Path(tempfile.mkdtemp(prefix=f"qspec-reproducer-{digest(query)[:8]}-", dir=Path.cwd()))
    facts = {"property": spec.name, "kind": spec.kind, "query": digest(query), **facts}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2))
    (folder / "assignment.json").write_text(json.dumps({k: np.asarray(v).tolist() for k, v in codes.items()}, indent=2))
    (folder / "parameters.json").write_text(json.dumps({k: np.asarray(v).tolist() for k, v in parameters.items()}, indent=2, default=str))
    (folder / "problem.smt2").write_text(bitvector.lower(query, bound(query.program)).text + "(check-sat)\n")
    for k, network in enumerate(networks(spec)):
        save(network, str(folder / f"network-{k}.qspec"))
    return folder
