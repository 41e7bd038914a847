"""One query, three proofs: qspec's certificate, cvc5's proof in CPC, and a refutation of Bitwuzla's clauses in LRAT.

CPU seconds, of this process or of its children. A proof whose checker is not installed is left out (docs/solver-proofs.md says how to
get them). Run `python tests/benchmarks/solver_proofs.py`.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from time import process_time

import qspec as qs
from qspec.certificate.check import check
from qspec.solver import ProvingSolver, get_solver
from qspec.testing.examples.parts import mlp

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

NETWORKS = {"3-4-3": (3, 4, 5, "6.25"), "4-8-3": (4, 8, 7, "21.25"), "6-12-3": (6, 12, 7, "36.75")}
"""Inputs, hidden neurons, a seed, and what the difference of two outputs does not exceed."""
COLUMNS = ["network", "evidence", "bytes of the query", "bytes of the proof", "CPU s without proof", "with proof", "of the checker"]


def children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def certified(name: str, spec: qs.Property, folder: str) -> list[object]:
    qs.verify(spec)  # once, for what is made at the first query
    begun = process_time()
    certificate = qs.verify(spec).certificate
    found = process_time()
    assert certificate is not None
    certificate.save(Path(folder) / "certificate")
    query = qs.query(spec)
    since = process_time()
    check(certificate, query)
    size = (Path(folder) / "certificate").stat().st_size
    return [name, "certificate", len(qs.to_smtlib(spec)), size, "", found - begun, process_time() - since]


def proved(name: str, spec: qs.Property, solver: str, folder: str) -> list[object]:
    begun = children()
    plain = qs.verify(spec, solver=solver, attack=False)
    solved = children()
    result = qs.verify(spec, solver=solver, attack=False, proof=folder, timeout=None)
    ended = children()
    assert plain.verdict is result.verdict is qs.Verdict.HOLDS, result.detail
    (proof,) = result.proofs
    checker = ended - solved - float(result.answers[0].statistics["cpu_seconds"])
    return [name, f"{solver}, {proof.format}, {proof.checker}", "", proof.size, solved - begun, ended - solved - checker, checker]


def main() -> None:
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (inputs, hidden, seed, bound) in NETWORKS.items():
            net = mlp(inputs, 3, seed=seed, hidden=hidden, output=None)
            x = net.input("x")
            spec = qs.forall(x, then=net(x)[0] - net(x)[1] <= bound, name="bounded")
            rows.append(certified(name, spec, folder))
            for solver in ("cvc5", "bitwuzla"):
                asked = get_solver(solver)
                if isinstance(asked, ProvingSolver) and asked.checking().ok:
                    rows.append(proved(name, spec, solver, folder))
    print(header("Proofs of SMT solvers", "qspec", "cvc5", "bitwuzla") + "\n" + table(COLUMNS, rows))


if __name__ == "__main__":
    main()
