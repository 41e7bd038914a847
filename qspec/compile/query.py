"""From a property to a query: exact, with nothing decided on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qspec.arithmetic.integers import IntArray
from qspec.compile.compiler import Compiler
from qspec.compile.formula import lower_formula
from qspec.deadline import NEVER, Deadline
from qspec.errors import UnsupportedError
from qspec.ir.integer import Assignment, Query, conjunction
from qspec.ir.reference import evaluate
from qspec.language import bind
from qspec.language.formulas import Property
from qspec.language.traversal import is_real


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A property as queries: `query` asks for a violation (or a witness), `assumption` whether the assumption can be met at all."""

    query: Query
    assumption: Query
    variables: Mapping[str, int]
    """The node of the codes of each variable, in both programs."""

    def lift(self, assignment: Assignment) -> dict[str, IntArray]:
        """Return the codes of every variable for an assignment of the query's inputs."""
        values = evaluate(self.query.program, assignment)
        return {name: values[node] for name, node in self.variables.items()}


def compile_property(spec: Property, *, deadline: Deadline = NEVER) -> Compiled:
    """Return the queries of a property with its parameters given; raises SpecError on a missing or misshapen one.

    The deadline is looked at before each node; raises OutOfTime and OutOfMemory.
    """
    spec = bind.bind(spec)
    if is_real(spec):
        raise UnsupportedError(
            "a property about reals is no query of integers",
            given=spec.name,
            expected="fixed-point networks",
            advice="qs.verify decides it",
        )
    compiler = Compiler(spec, deadline)
    given = lower_formula(compiler, spec.given)
    then = lower_formula(compiler, spec.then, negated=spec.kind == "forall")
    goal = conjunction([given, then])
    program = compiler.builder.program
    return Compiled(Query(program, goal), Query(program, given), dict(compiler.variables))
