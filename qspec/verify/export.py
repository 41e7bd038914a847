"""Hand a compiled property to other tools: SMT-LIB 2 text, a pySMT formula, or LP and MPS files."""

from __future__ import annotations

from importlib import import_module
from io import StringIO
from typing import Any

from qspec.compile.query import compile_property
from qspec.errors import SolverMissingError, UnsupportedError
from qspec.ir.integer import Query
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.passes import Pipeline
from qspec.problem import Fidelity, MilpProblem, SmtProblem
from qspec.support import checks
from qspec.theories import lp_text
from qspec.theories.lowering import lower_query


def to_smt(spec: Property, *, theory: str = "QF_BV", presolve: bool = True) -> SmtProblem:
    """Return the problem whose solutions are the violations of a `forall` property (the witnesses of an `exists` property).

    `theory` is "QF_BV" or "QF_LIA"; of a property about reals the text is in the first of QF_LRA, QF_NRA, QF_NRAT that says it. With
    `presolve` the exact passes run first, and inputs that they fix do not occur in the text. Raises UnsupportedError for another theory.
    """
    if isinstance(spec, Property) and is_real(spec):  # pyright: ignore[reportUnnecessaryIsInstance]
        return _real_smt(spec)
    problem = lower_query(_reduced(spec, presolve), theory)
    if not isinstance(problem, SmtProblem):
        raise UnsupportedError("this theory has no SMT-LIB text", given=theory, expected="QF_BV or QF_LIA")
    return problem


def _real_smt(spec: Property) -> SmtProblem:
    from qspec.compile.real_query import compile_real
    from qspec.theories import real_smtlib

    compiled = compile_real(spec)
    if compiled.fidelity is not Fidelity.EXACT:
        raise UnsupportedError(
            "fixed-point parts are only relaxed over reals", given=spec.name, expected="a property of real networks alone"
        )
    return real_smtlib.lower(compiled.query)


def to_milp(spec: Property, *, presolve: bool = True) -> MilpProblem:
    """Return the mixed-integer linear problem whose solutions are the violations of a `forall` property (the witnesses of an `exists` one).

    Raises UnsupportedError if it needs numbers beyond 2**53, or products of two wide variables.
    """
    problem = lower_query(_reduced(spec, presolve), "milp")
    assert isinstance(problem, MilpProblem)
    return problem


def to_lp(spec: Property, *, presolve: bool = True) -> str:
    """Return the same problem in the LP format of CPLEX: feasible means that the `forall` property is violated."""
    return lp_text.lp(to_milp(spec, presolve=presolve))


def to_mps(spec: Property, *, presolve: bool = True) -> str:
    """Return the same problem in the free MPS format."""
    return lp_text.mps(to_milp(spec, presolve=presolve))


def _reduced(spec: Property, presolve: bool) -> Query:
    checks.flag(presolve, "presolve")
    query = compile_property(spec).query
    parts = Pipeline().apply(query) if presolve else ()
    return parts[0].query if len(parts) == 1 else query


def to_smtlib(spec: Property, *, theory: str = "QF_BV", presolve: bool = True) -> str:
    """Return a complete SMT-LIB 2.6 script: `sat` means that the `forall` property is violated."""
    problem = to_smt(spec, theory=theory, presolve=presolve)
    names = " ".join(s.text for s in problem.symbols)
    return f"(set-option :produce-models true)\n{problem.text}(check-sat)\n" + (f"(get-value ({names}))\n" if names else "")


def to_pysmt(spec: Property, *, theory: str = "QF_BV", presolve: bool = True) -> Any:
    """Return the same problem as one pySMT formula, for embedding; raises SolverMissingError if pySMT is not installed."""
    text = to_smt(spec, theory=theory, presolve=presolve).text
    try:
        parser = import_module("pysmt.smtlib.parser")
    except ImportError:
        raise SolverMissingError("pySMT is missing", given="pysmt", expected="an installed package", advice="pip install pysmt") from None
    return parser.SmtLibParser().get_script(StringIO(text + "(check-sat)\n")).get_last_formula()
