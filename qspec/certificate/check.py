"""Follow a certificate step by step on the query that it is about, with integers alone (see docs/certificates.md).

Nothing here, nor in the modules of this package that it calls, is shared with the engines that write certificates. A step that does not do
what it must raises CertificateError; a proof is right when its steps are used up and no part of the input space is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NoReturn, assert_never

import numpy as np

from qspec.certificate.derive import CELLS, Derivation, slope_multipliers
from qspec.certificate.facts import InputFacts
from qspec.certificate.file import CHOOSE, EMPTY, KINDS, PROPAGATE, SPLIT, TIGHTEN, Certificate
from qspec.certificate.forward import Forward, Pair
from qspec.digest import digest
from qspec.errors import CertificateError
from qspec.integers import IntArray, shrink, widen
from qspec.ir import All, And, Any, Formula, Input, Or, Query, Truth, arguments, formula_nodes
from qspec.ir import check as check_query


@dataclass(frozen=True, slots=True)
class Checked:
    """What a proof consists of: its steps, and the domains that `empty` and `close` closed; `seconds` is what checking took."""

    steps: int
    domains: int
    seconds: float


def check(certificate: Certificate, query: Query) -> Checked:
    """Check the proof that a query has no solution; raises CertificateError with the step that fails, and why."""
    started = perf_counter()
    check_query(query)
    found = digest(query)
    if certificate.query != found:
        raise CertificateError(
            "the certificate is about another query",
            given=certificate.query,
            expected=found,
            advice="use the same specification, parameters, network and version of qspec as when it was written",
        )
    closed = _Proof(certificate, query).run()
    return Checked(certificate.steps.shape[0], closed, perf_counter() - started)


@dataclass(slots=True)
class _Domain:
    """A part of the input space. Arrays and pairs are shared between domains, and replaced, never changed."""

    bounds: list[Pair]
    seen: list[Sequence[object]]
    """What the bounds of each node were last propagated from, to see that nothing has changed since."""
    facts: dict[int, IntArray]
    pending: tuple[Any | Or, ...] = ()
    empty: bool = False
    waiting: Formula | tuple[int, int] | None = None
    """What is to be asserted when the domain comes to be on top: a formula, or one element of a node."""

    def child(self, waiting: Formula | tuple[int, int] | None = None) -> _Domain:
        return _Domain(list(self.bounds), list(self.seen), dict(self.facts), self.pending, self.empty, waiting)


class _Proof:
    """A proof under way: a stack of domains, and how much of each array has been used."""

    def __init__(self, certificate: Certificate, query: Query) -> None:
        self.certificate, self.program = certificate, query.program
        self.forward = Forward(query.program)
        self.inputs = InputFacts(query.program, formula_nodes(query.goal))
        self.position = 0
        self.tightened = self.closed = self.domains = 0
        first = self._first()
        self._assert(first, query.goal)
        self._propagate(first)
        self.stack = [first]
        self.derivation = Derivation(query.program, first.bounds)
        width: int = certificate.multipliers.shape[1]
        if width != self.derivation.multipliers:
            raise CertificateError("multipliers do not fit the query", given=width, expected=f"{self.derivation.multipliers} for each step")
        number = certificate.weights[:, 0]
        closes: int = certificate.multipliers.shape[0]
        if number.size and (np.any(number[1:] < number[:-1]) or number[0] < 0 or number[-1] >= closes):
            given = f"{number[0]}, …, {number[-1]}"
            raise CertificateError("weights are not sorted by close step", given=given, expected=f"0 to {closes - 1}, in order")
        self.starts = np.searchsorted(number, np.arange(closes + 1))

    def run(self) -> int:
        """Do every step and return how many domains were closed."""
        for position, (kind, node, element, threshold) in enumerate(self.certificate.steps.tolist()):
            self.position = position
            if not self.stack:
                self._fail("no domain is left", given=f"{self.certificate.steps.shape[0] - self.position} more steps", expected="the end")
            self._step(kind, node, element, threshold)
        if self.stack:
            raise CertificateError("the proof is not complete", given=f"{len(self.stack)} domains left open", expected="none")
        return self.domains

    def _first(self) -> _Domain:
        bounds: list[Pair] = []
        empty = False
        for k, node in enumerate(self.program):
            if isinstance(node, Input):
                empty = empty or bool(np.any(node.lower > node.upper))
                bounds.append((node.lower, np.maximum(node.lower, node.upper)))
            else:
                bounds.append(self.forward.node(k, bounds))
        return _Domain(bounds, [()] * len(bounds), {}, empty=empty)

    def _step(self, kind: int, first: int, second: int, third: int) -> None:
        used = 3 if kind == SPLIT else 1 if kind in (TIGHTEN, CHOOSE) else 0
        if any((first, second, third)[used:]):
            self._fail("numbers that a step of this kind has not", given=(first, second, third), expected=f"zeros but for {used}")
        top = self.stack[-1]
        if kind == PROPAGATE:
            self._propagate(top)
        elif kind == TIGHTEN:
            self._tighten(top, first)
        elif kind == SPLIT:
            self._split(first, second, third)
        elif kind == CHOOSE:
            self._choose(first)
        elif kind == EMPTY:
            if not top.empty:
                self._fail("the domain is not empty", given="bounds that do not contradict each other", expected="lower > upper somewhere")
            self._pop()
        else:
            self._close(top)
            self._pop()

    def _pop(self) -> None:
        """Close the domain on top; what the next one has to assert is asserted now."""
        self.domains += 1
        self.stack.pop()
        self._ready()

    def _ready(self) -> None:
        if self.stack and self.stack[-1].waiting is not None:
            top = self.stack[-1]
            waiting, top.waiting = top.waiting, None
            self._assert(top, waiting)

    def _assert(self, domain: _Domain, what: Formula | tuple[int, int] | None) -> None:
        match what:
            case None | Truth(True):
                pass
            case Truth():
                domain.empty = True
            case And(children):
                for child in children:
                    self._assert(domain, child)
            case Any() | Or():
                domain.pending = (*domain.pending, what)
            case All(node):
                domain.facts[node] = np.ones(domain.bounds[node][0].size, dtype=bool)
            case (node, element):
                known = domain.facts.get(node)
                mask = np.zeros(domain.bounds[node][0].size, dtype=bool) if known is None else known.copy()
                mask[element] = True
                domain.facts[node] = mask
            case _:
                assert_never(what)

    def _propagate(self, domain: _Domain) -> None:
        """Tighten inputs by facts, then every node by its arguments, where anything has changed since this was last done."""
        for k, node in enumerate(self.program):
            if domain.empty:
                return
            leaf = isinstance(node, Input)
            sources = (*domain.facts.values(),) if leaf else (*(domain.bounds[a] for a in arguments(node)), domain.facts.get(k))
            if len(sources) == len(domain.seen[k]) and all(a is b for a, b in zip(sources, domain.seen[k], strict=True)):
                continue
            domain.seen[k] = sources
            lower, upper = self.inputs.tighten(k, domain.bounds[k], domain.facts) if leaf else self.forward.node(k, domain.bounds)
            if k in domain.facts:
                lower = np.where(domain.facts[k], np.maximum(lower, 0), lower)
            self._intersect(domain, k, lower, upper)

    def _intersect(self, domain: _Domain, node: int, lower: IntArray, upper: IntArray) -> None:
        """Narrow the bounds of a node; those that stay what they were stay the same object."""
        old_lower, old_upper = domain.bounds[node]
        lower, upper = shrink(np.maximum(old_lower, lower)), shrink(np.minimum(old_upper, upper))
        if not (np.array_equal(lower, old_lower) and np.array_equal(upper, old_upper)):
            domain.bounds[node] = (lower, upper)
            domain.empty = domain.empty or bool(np.any(lower > upper))

    def _tighten(self, domain: _Domain, node: int) -> None:
        """Bound every element of a node from below and from above, in blocks of rows of the size that memory allows."""
        self._check_node(node)
        low, high = self.certificate.slopes[self.tightened]
        self.tightened += 1
        if domain.empty:
            return
        scale = self.certificate.scale
        give = slope_multipliers(low, high, self.certificate.slope_bits)
        size = self.derivation.sizes[node]
        lower, upper = (end.astype(object) for end in domain.bounds[node])
        block = max(1, CELLS // max(self.derivation.sizes))
        for begin in range(0, size, block):
            index = np.arange(begin, min(size, begin + block))
            rows = np.zeros((2 * index.size, size), dtype=np.int64)
            rows[np.arange(index.size), index] = scale
            rows[index.size + np.arange(index.size), index] = -scale
            least = -(self.derivation.bound({node: rows}, domain.bounds, give) // -scale)
            lower[index], upper[index] = least[: index.size], -least[index.size :]
        self._intersect(domain, node, lower, upper)

    def _split(self, node: int, element: int, threshold: int) -> None:
        self._check_node(node)
        size = self.derivation.sizes[node]
        if not 0 <= element < size:
            self._fail("no such element", given=element, expected=f"0 to {size - 1}")
        above = self.stack.pop()
        below = above.child()
        lower, upper = above.bounds[node]
        least, most = widen(lower, abs(threshold) + 1).copy(), widen(upper, abs(threshold) + 1).copy()
        least[element], most[element] = max(threshold + 1, int(lower[element])), min(threshold, int(upper[element]))
        self._intersect(above, node, least, upper)
        self._intersect(below, node, lower, most)
        self.stack += [above, below]

    def _choose(self, number: int) -> None:
        """Replace the domain by one for each disjunct; none at all closes it."""
        domain = self.stack[-1]
        if not 0 <= number < len(domain.pending):
            self._fail("no such disjunction", given=number, expected=f"one of the {len(domain.pending)} pending")
        chosen = domain.pending[number]
        domain.pending = domain.pending[:number] + domain.pending[number + 1 :]
        self.stack.pop()
        if isinstance(chosen, Or):
            self.stack += [domain.child(c) for c in reversed(chosen.children)]
        else:
            self.stack += [domain.child((chosen.node, e)) for e in reversed(range(self.derivation.sizes[chosen.node]))]
        self._ready()

    def _close(self, domain: _Domain) -> None:
        """Check that facts, with their weights, contradict what is derived of their sum."""
        number, self.closed = self.closed, self.closed + 1
        weights = self.certificate.weights[self.starts[number] : self.starts[number + 1]]
        coefficients: dict[int, IntArray] = {}
        for node, element, weight in weights[:, 1:].tolist():
            mask = domain.facts.get(node)
            if mask is None or not 0 <= element < mask.size or not mask[element]:
                self._fail("not a fact", given=f"element {element} of node {node}", expected="something asserted to be at least zero")
            if weight <= 0:
                self._fail("a weight is not positive", given=weight, expected="at least 1")
            row = coefficients.setdefault(node, np.zeros((1, mask.size), dtype=object))
            if row[0, element]:
                self._fail("a fact occurs twice", given=f"element {element} of node {node}", expected="each fact once")
            row[0, element] = -weight
        if domain.empty:
            return
        if not coefficients:
            self._fail("no facts", given="no weights for this step", expected="at least one")
        multipliers = self.certificate.multipliers[number][None]
        held = {node: shrink(row) for node, row in coefficients.items()}
        least = int(self.derivation.bound(held, domain.bounds, lambda place, _: multipliers[:, place])[0])
        if least <= 0:
            self._fail("the facts are not contradicted", given=f"a bound of {least}", expected="a positive bound")

    def _check_node(self, node: int) -> None:
        if not 0 <= node < len(self.program):
            self._fail("no such node", given=node, expected=f"0 to {len(self.program) - 1}")

    def _fail(self, why: str, *, given: object, expected: str) -> NoReturn:
        kind = KINDS[int(self.certificate.steps[self.position, 0])]
        raise CertificateError(f"step {self.position} ({kind}): {why}", given=given, expected=expected)
