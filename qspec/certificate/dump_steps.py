"""Write the steps of a certificate as text for the verified checker (book/steps.lisp).

Nothing here has to be trusted: whatever steps the verified checker accepts, they prove what its theorem says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.derive import places
from qspec.certificate.dump import Labels, formula_text, grouped, program_text
from qspec.certificate.facts import single_inputs
from qspec.certificate.file import ASSUME, BOUND, CHOOSE, CLOSE, EMPTY, KINDS, LIST, PROPAGATE, SPLIT, TIGHTEN, Certificate
from qspec.errors import CertificateError
from qspec.ir.digest import digest
from qspec.ir.integer import (
    Affine,
    All,
    And,
    Any,
    Formula,
    Input,
    Maximum,
    Or,
    Product,
    Query,
    Staircase,
    Table,
    Truth,
    Wrap,
    arguments,
    formula_nodes,
    sizes,
)
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse

Fact = tuple[int, int | None]
"""A node and an element of it that is at least zero; None for every element."""


@dataclass(slots=True)
class _Open:
    """An open domain: what was asserted of which nodes, disjunctions, and which nodes may have changed since the last propagation."""

    facts: list[Fact]
    pending: list[Formula]
    changed: set[int]
    fresh: list[Fact] = field(default_factory=list[Fact])
    """Facts that no propagation has used yet."""

    def child(self) -> _Open:
        return _Open(list(self.facts), list(self.pending), set(self.changed), list(self.fresh))


def texts(cases: Iterable[tuple[Query, Certificate]]) -> str:
    """Return queries and their proofs as one list, in which maps that they share are written once; raises as `text`."""
    labels = Labels()
    return grouped(text(query, certificate, labels) for query, certificate in cases)


def text(query: Query, certificate: Certificate, labels: Labels) -> str:
    """Return a query and a proof as one list, `(program goal bits steps digest)`; raises CertificateError on a step that is not verified.

    The digest is that of the query as it is written here, so that the answer names what was checked.
    """
    steps = "\n".join(_Steps(query, certificate).lines())
    goal = formula_text(query.goal, len(query.program))
    return f'({program_text(query.program, labels)}\n{goal}\n{certificate.slope_bits}\n({steps})\n"{digest(query)}")\n'


class _Steps:
    def __init__(self, query: Query, certificate: Certificate) -> None:
        self.query, self.certificate, self.program = query, certificate, query.program
        self.count, self.sizes = len(query.program), sizes(query.program)
        self.places = places(self.program)
        self.asked = formula_nodes(query.goal)
        self.readers = [[k for k, node in enumerate(self.program) if a in arguments(node)] for a in range(self.count)]
        self.chains, self.apart = self._input_facts()
        self.tightened = self.derived = 0
        rows: int = certificate.multipliers.shape[0]
        self.starts = np.searchsorted(certificate.weights[:, 0], np.arange(rows + 1)).tolist()
        first = _Open([], [], {k for k, node in enumerate(self.program) if isinstance(node, Input)})
        self._assert(first, query.goal)
        self.stack = [first]

    def lines(self) -> Iterator[str]:
        yield from self._propagate(self.stack[-1])
        for kind, first, second, third in self.certificate.steps.tolist():
            if not self.stack:
                yield "(:empty)"  # a step after the end, which is wrong
                return
            top = self.stack[-1]
            match kind:
                case int() if kind == PROPAGATE:
                    yield from self._propagate(top)
                case int() if kind == TIGHTEN:
                    yield self._tighten(top, first)
                case int() if kind == SPLIT:
                    top.changed.add(first)
                    self.stack.append(top.child())
                    yield f"(:split {self._k(first)} {second} {third})"
                case int() if kind == CHOOSE:
                    self._choose(top, first)
                    yield f"(:choose {first})"
                case int() if kind == BOUND:
                    top.changed.add(first)
                    yield f"(:bound {self._k(first)} {second} {third} {self._derivation(first)})"
                case int() if kind == CLOSE:
                    self.stack.pop()
                    yield f"(:close {self._derivation()})"
                case int() if kind == EMPTY:
                    self.stack.pop()
                    yield "(:empty)"
                case int() if kind == LIST:
                    self.stack.pop()
                    yield "(:list)"
                case int() if kind == ASSUME:
                    self.stack.pop()
                    yield "(:assume)"
                case _:
                    raise CertificateError("the verified checker has no such step", given=kind, expected=", ".join(KINDS))

    def _k(self, node: int) -> int:
        return self.count - 1 - node

    # ---------------------------------------------------------------- what is asserted

    def _assert(self, domain: _Open, what: Formula) -> None:
        match what:
            case Truth():
                pass
            case All(node):
                self._fact(domain, (node, None))
            case And(children):
                for child in children:
                    self._assert(domain, child)
            case Any() | Or():
                domain.pending.append(what)
            case _:
                assert_never(what)

    def _fact(self, domain: _Open, fact: Fact) -> None:
        domain.facts.append(fact)
        domain.fresh.append(fact)
        domain.changed.add(fact[0])

    def _choose(self, top: _Open, number: int) -> None:
        self.stack.pop()
        if not 0 <= number < len(top.pending):
            return
        chosen = top.pending.pop(number)
        children: list[_Open] = []
        if isinstance(chosen, Or):
            for disjunct in chosen.children:
                children.append(top.child())
                self._assert(children[-1], disjunct)
        elif isinstance(chosen, Any):
            for e in range(self.sizes[chosen.node]):
                children.append(top.child())
                self._fact(children[-1], (chosen.node, e))
        self.stack += reversed(children)

    # ---------------------------------------------------------------- intervals

    def _propagate(self, domain: _Open) -> Iterator[str]:
        """Facts first, then what they say of inputs, then every node that may have changed."""
        if domain.fresh:
            yield "(:facts)"
            yield from self._inverted(domain)
        changed = set(domain.changed)
        for k, node in enumerate(self.program):
            if changed.intersection(arguments(node)):
                changed.add(k)
        marks = ["1" if changed.intersection(arguments(node)) else "0" for node in self.program]
        if "1" in marks:
            yield f"(:propagate {grouped(reversed(marks))})"
        domain.changed.clear()
        domain.fresh.clear()

    def _inverted(self, domain: _Open) -> Iterator[str]:
        """Go from facts back to inputs: by rows with one entry, where every map on the way has such rows, else by derivations."""
        chain: set[int] = set()
        for node, element in domain.fresh:
            if node not in self.chains:
                continue
            domain.changed.update(k for k, n in enumerate(self.program) if isinstance(n, Input))
            chain |= self.chains[node]
            for row, k, column, slope in self.apart[node]:
                if element in (None, row):
                    yield f"(:bound {self._k(k)} {column} {slope} ((({self._k(node)} {row}) . 1)) ())"
        for k in sorted(chain, reverse=True):
            yield f"(:invert {self._k(k)})"

    def _input_facts(self) -> tuple[dict[int, set[int]], dict[int, list[tuple[int, int, int, int]]]]:
        """Return for the nodes that facts may be about and that are affine in the inputs: affine nodes on the way to inputs, and rows
        with one entry in inputs that rows with one entry on the way do not give."""
        chains: dict[int, set[int]] = {}
        apart: dict[int, list[tuple[int, int, int, int]]] = {}
        for node, alone in single_inputs(self.program, self.asked).items():
            chain = {node}
            for k in range(node, -1, -1):
                if k in chain:
                    chain.update(arguments(self.program[k])[:1])
            chains[node] = {k for k in chain if isinstance(self.program[k], Affine)}
            columns: list[list[int]] = [c.tolist() for c in (alone.rows, alone.inputs, alone.elements, alone.coefficients)]
            apart[node] = [] if self._plain(node) else list(zip(*columns, strict=True))
        return chains, apart

    def _plain(self, node: int) -> bool:
        """Return whether every map on the way from a node to an input has rows of one entry, and all other arguments are constants."""
        while isinstance(found := self.program[node], Affine):
            if not found.terms or any(not self._constant(a) for _, a in found.terms[1:]):
                return False
            m, node = found.terms[0]
            if not _scattered(m):
                return False
        return isinstance(found, Input)

    def _constant(self, node: int) -> bool:
        found = self.program[node]
        return isinstance(found, Affine) and all(self._constant(a) for a in arguments(found))

    # ---------------------------------------------------------------- derivations

    def _tighten(self, domain: _Open, node: int) -> str:
        low, high = self.certificate.slopes[self.tightened].tolist()
        self.tightened += 1
        domain.changed.add(node)
        readers = self.readers[node]
        plain = node not in self.asked and all(isinstance(self.program[r], Staircase) for r in readers)
        by = grouped(str(self._k(r)) for r in readers) if plain else "()"
        every = grouped(map(str, range(self.sizes[node])))
        slopes = self._multipliers([node], lambda i: f"({low[i]} . {high[i]})")
        return f"(:tighten {self._k(node)} {every} {by} {self.certificate.scale} {slopes})"

    def _derivation(self, *nodes: int) -> str:
        number, self.derived = self.derived, self.derived + 1
        rows: list[list[int]] = self.certificate.weights[self.starts[number] : self.starts[number + 1], 1:].tolist()
        weights = grouped(f"(({self._k(node)} {element}) . {weight})" for node, element, weight in rows)
        given = self.certificate.multipliers[number].tolist()
        return f"{weights} {self._multipliers([*nodes, *(node for node, _, _ in rows)], lambda i: str(given[i]))}"

    def _multipliers(self, begun: Sequence[int], give: Callable[[int], str]) -> str:
        """Return for each node, the last one first, multipliers where a derivation that begins at these nodes may reach it."""
        reached = set(begun)
        parts: list[str] = []
        for k in range(self.count - 1, -1, -1):
            node, place, size = self.program[k], self.places[k].start, self.sizes[k]
            if k not in reached:
                parts.append("()")
                continue
            reached.update(arguments(node))
            match node:
                case Input() | Affine():
                    parts.append("()")
                case Staircase() | Table() | Wrap():
                    parts.append(grouped(map(give, range(place, place + size))))
                case Product():
                    left, right = (grouped(map(give, range(p, p + size))) for p in (place, place + size))
                    parts.append(f"({left} . {right})")
                case Maximum(_, groups):
                    parts.append(grouped(_members(groups, place, give)))
                case _:
                    assert_never(node)
        return grouped(parts)


def _scattered(m: LinearMap) -> bool:
    """Return whether every row of a map has at most one entry that is not zero."""
    match m:
        case Dense(matrix):
            return bool(np.all(np.count_nonzero(matrix, axis=1) <= 1))
        case Sparse():
            return bool(np.all(np.diff(m.starts) <= 1))
        case Convolution():
            return False
        case _:
            assert_never(m)


def _members(groups: IntArray, place: int, give: Callable[[int], str]) -> Iterator[str]:
    for e, group in enumerate(groups):
        yield grouped(give(place + e * groups.shape[1] + j) for j in np.flatnonzero(group >= 0).tolist())
