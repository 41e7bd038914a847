"""Follow a certificate step by step on the query that it is about, with integers alone (see docs/certificates.md).

Nothing here, nor in the modules of this package that it calls, is shared with the engines that write certificates. A step that does not do
what it must raises CertificateError; a proof is right when its steps are used up and no part of the input space is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import NoReturn, assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink, widen
from qspec.certificate.derive import Derivation, slope_multipliers
from qspec.certificate.domain import Element, ProofDomain
from qspec.certificate.facts import InputFacts
from qspec.certificate.file import ASSUME, BOUND, CHOOSE, CLOSE, EMPTY, KINDS, LIST, PROPAGATE, SPLIT, TIGHTEN, Certificate
from qspec.certificate.forward import Forward, Pair
from qspec.certificate.listing import MOST, count, solvable
from qspec.deadline import NEVER, Deadline
from qspec.errors import CertificateError
from qspec.ir.digest import digest
from qspec.ir.integer import All, And, Any, Formula, Input, Or, Query, Staircase, Truth, arguments, formula_nodes
from qspec.ir.integer import check as check_query
from qspec.ir.staircase import climb

AHEAD = 64
"""Derivations that are done at once at most."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenDomain:
    """A part of the input space of which nothing is proved, as the checker knows it.

    It is what `facts` (by node, which elements are at least zero), `pending` disjunctions, and `cuts` leave of the input space. Cuts are
    elements whose `bounds` were narrowed by anything else than facts about inputs and bounds of nodes that come before them; all other
    bounds follow, node by node. `empty` says that nothing is left, after all.
    """

    bounds: tuple[Pair, ...]
    cuts: tuple[Element, ...]
    facts: Mapping[int, IntArray]
    pending: tuple[Any | Or, ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What a proof consists of: its steps, and the domains that `empty` and `close` closed; `seconds` is what checking took.

    The query has no solution if those that are `assumed`, in the order of the certificate's assumptions, have none.
    """

    steps: int
    domains: int
    seconds: float
    assumed: tuple[OpenDomain, ...] = ()


def check(certificate: Certificate, query: Query, *, partial: bool = False, deadline: Deadline = NEVER) -> Checked:
    """Check the proof that a query has no solution; raises CertificateError with the step that fails, and why.

    A certificate that assumes anything is refused unless a `partial` one will do. Raises OutOfTime if the deadline passes before the end.
    """
    started = perf_counter()
    if certificate.assumed and not partial:
        raise CertificateError(
            "the certificate is partial: it does not prove all that it claims",
            given=f"{len(certificate.assumed)} domains that are assumed to have no solution",
            expected="none",
            advice="`qspec check-certificate --ask SOLVER` asks a solver about each of them",
        )
    check_query(query)
    found = digest(query)
    if certificate.query != found:
        raise CertificateError(
            "the certificate is about another query",
            given=certificate.query,
            expected=found,
            advice="use the same specification, parameters, network and version of qspec as when it was written",
        )
    proof = _Proof(certificate, query, deadline)
    proof.run()
    assumed = tuple(proof.assumed[k] for k in range(len(certificate.assumed)))
    return Checked(certificate.steps.shape[0], proof.domains, perf_counter() - started, assumed)


class _Proof:
    """A proof under way: a stack of domains, and how much of each array has been used."""

    def __init__(self, certificate: Certificate, query: Query, deadline: Deadline) -> None:
        self.deadline = deadline
        self.certificate, self.query, self.program = certificate, query, query.program
        self.forward = Forward(query.program)
        self.asked = formula_nodes(query.goal)
        self.inputs = InputFacts(query.program, self.asked)
        self.position = 0
        self.tightened = self.derived = self.domains = 0
        self.assumed: dict[int, OpenDomain] = {}
        self.ahead: dict[int, int] = {}
        """Bounds of derivations to come, by their numbers."""
        first = self._first()
        self._assert(first, query.goal)
        self._propagate(first)
        self.stack = [first]
        self.derivation = Derivation(query.program, first.bounds, deadline, self.asked)
        width: int = certificate.multipliers.shape[1]
        if width != self.derivation.multipliers:
            raise CertificateError("multipliers do not fit the query", given=width, expected=f"{self.derivation.multipliers} for each step")
        number = certificate.weights[:, 0]
        rows: int = certificate.multipliers.shape[0]
        if number.size and (np.any(number[1:] < number[:-1]) or number[0] < 0 or number[-1] >= rows):
            given = f"{number[0]}, …, {number[-1]}"
            raise CertificateError("weights are not sorted by derivation", given=given, expected=f"0 to {rows - 1}, in order")
        self.starts = np.searchsorted(number, np.arange(rows + 1))

    def run(self) -> None:
        """Do every step; `domains` then says how many domains were closed, and `assumed` which were not, by their numbers."""
        for position, (kind, node, element, threshold) in enumerate(self.certificate.steps.tolist()):
            self.position = position
            self.deadline.check()
            if not self.stack:
                self._fail("no domain is left", given=f"{self.certificate.steps.shape[0] - self.position} more steps", expected="the end")
            self._step(kind, node, element, threshold)
        if self.stack:
            raise CertificateError("the proof is not complete", given=f"{len(self.stack)} domains left open", expected="none")

    def _first(self) -> ProofDomain:
        bounds: list[Pair] = []
        empty = False
        for k, node in enumerate(self.program):
            if isinstance(node, Input):
                empty = empty or bool(np.any(node.lower > node.upper))
                bounds.append((node.lower, np.maximum(node.lower, node.upper)))
            else:
                bounds.append(self.forward.node(k, bounds))
        return ProofDomain(bounds, [()] * len(bounds), {}, empty=empty)

    def _step(self, kind: int, first: int, second: int, third: int) -> None:
        used = 3 if kind in (SPLIT, BOUND) else 1 if kind in (TIGHTEN, CHOOSE, ASSUME) else 0
        if any((first, second, third)[used:]):
            self._fail("numbers that a step of this kind has not", given=(first, second, third), expected=f"zeros but for {used}")
        top = self.stack[-1]
        if kind == PROPAGATE:
            self._propagate(top)
        elif kind == TIGHTEN:
            self._tighten(top, first)
        elif kind == SPLIT:
            self._split(first, second, third)
        elif kind == BOUND:
            self._bound(top, first, second, third)
        elif kind == CHOOSE:
            self._choose(first)
        elif kind == EMPTY:
            if not top.empty:
                self._fail("the domain is not empty", given="bounds that do not contradict each other", expected="lower > upper somewhere")
            self._pop()
        elif kind == ASSUME:
            self.assumed[first] = OpenDomain(tuple(top.bounds), tuple(dict.fromkeys(top.cuts)), top.facts, top.pending, top.empty)
            self._pop(closed=False)
        elif kind == LIST:
            self._list(top)
            self._pop()
        else:
            self._close(top)
            self._pop()

    def _pop(self, *, closed: bool = True) -> None:
        """Leave the domain on top behind; what the next one has to assert is asserted now."""
        self.domains += closed
        self.stack.pop()
        self._ready()

    def _ready(self) -> None:
        if self.stack and self.stack[-1].waiting is not None:
            top = self.stack[-1]
            waiting, top.waiting = top.waiting, None
            self._assert(top, waiting)

    def _assert(self, domain: ProofDomain, what: Formula | Element | None) -> None:
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

    def _propagate(self, domain: ProofDomain) -> None:
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
            self._intersect(domain, k, lower, upper, follows=True)

    def _intersect(self, domain: ProofDomain, node: int, lower: IntArray, upper: IntArray, *, follows: bool = False) -> None:
        """Narrow the bounds of a node; those that stay what they were stay the same object.

        `follows` says that the new ones follow from bounds of nodes before it alone (and facts about it or about inputs); others are cuts.
        """
        old_lower, old_upper = domain.bounds[node]
        lower, upper = shrink(np.maximum(old_lower, lower)), shrink(np.minimum(old_upper, upper))
        if not (np.array_equal(lower, old_lower) and np.array_equal(upper, old_upper)):
            domain.bounds[node] = (lower, upper)
            if not follows:
                moved = np.flatnonzero((lower != old_lower) | (upper != old_upper))
                domain.cuts = (*domain.cuts, *((node, int(e)) for e in moved))
            domain.empty = domain.empty or bool(np.any(lower > upper))

    def _tighten(self, domain: ProofDomain, node: int) -> None:
        """Bound the elements of a node that matter from below and from above."""
        self._check_node(node)
        low, high = self.certificate.slopes[self.tightened]
        self.tightened += 1
        if domain.empty:
            return
        scale = self.certificate.scale
        give = slope_multipliers(low, high, self.certificate.slope_bits)
        lower, upper = (end.astype(object) for end in domain.bounds[node])
        index = self._open(node, domain.bounds[node])
        lower[index], upper[index] = self.derivation.ends(node, index, scale, domain.bounds, give)
        self._intersect(domain, node, lower, upper, follows=True)

    def _open(self, node: int, known: Pair) -> IntArray:
        """Return the elements that are not fixed and, if staircases alone read the node, not between two steps of each."""
        lower, upper = known
        readers = [n for n in self.program if node in arguments(n)]
        if node in self.asked or not all(isinstance(n, Staircase) for n in readers):
            return np.flatnonzero(lower != upper)
        differ = [climb(n.steps, lower) != climb(n.steps, upper) for n in readers if isinstance(n, Staircase)]
        return np.flatnonzero(np.any(differ, axis=0))

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

    def _bound(self, domain: ProofDomain, node: int, element: int, coefficient: int) -> None:
        """Bound one element by what is derived of it together with facts that it would contradict: `coefficient x` is at least that."""
        self._check_node(node)
        lower, upper = (end.astype(object) for end in domain.bounds[node])
        if not 0 <= element < lower.size or coefficient == 0:
            self._fail("nothing to bound", given=f"{coefficient} times element {element}", expected="an element, and not zero times")
        row = np.zeros((1, lower.size), dtype=object)
        row[0, element] = coefficient
        alone = bool(self.starts[self.derived] == self.starts[self.derived + 1])
        least = self._least(domain, {node: row})
        if least is None:
            return
        if coefficient > 0:
            lower[element] = -(-least // coefficient)
        else:
            upper[element] = least // coefficient
        self._intersect(domain, node, lower, upper, follows=alone)

    def _close(self, domain: ProofDomain) -> None:
        """Check that facts, with their weights, contradict what is derived of their sum."""
        if self.derived not in self.ahead and not domain.empty:
            self._look_ahead(domain)
        least = self._least(domain, {})
        if least is not None and least <= 0:
            self._fail("the facts are not contradicted", given=f"a bound of {least}", expected="a positive bound")

    def _look_ahead(self, top: ProofDomain) -> None:
        """Derive at once what the next steps derive, as long as they close domains of the same bounds by facts about the same nodes.

        Disjuncts of one disjunction are the case. Each row of a derivation stands for itself; who uses it checks the weights first.
        """
        rows: list[dict[int, IntArray]] = []
        kinds = self.certificate.steps[self.position : self.position + AHEAD, 0].tolist()
        for number, kind, domain in zip(range(self.derived, len(self.starts) - 1), kinds, reversed(self.stack), strict=False):
            alike = kind == CLOSE and all(a is b for a, b in zip(domain.bounds, top.bounds, strict=True))
            held = self._weighted(number) if alike else {}
            if not held or (rows and held.keys() != rows[0].keys()):
                break
            rows.append(held)
        if len(rows) > 1:
            together = {node: shrink(np.concatenate([row[node] for row in rows])) for node in rows[0]}
            multipliers = self.certificate.multipliers[self.derived : self.derived + len(rows)]
            least = self.derivation.bound(together, top.bounds, lambda place, _: multipliers[:, place])
            self.ahead = dict(enumerate(map(int, least), self.derived))

    def _weighted(self, number: int) -> dict[int, IntArray]:
        """Return the coefficients of the weighted facts of a derivation, unchecked; none if they are of elements that do not exist."""
        held: dict[int, IntArray] = {}
        rows: list[list[int]] = self.certificate.weights[self.starts[number] : self.starts[number + 1], 1:].tolist()
        for node, element, weight in rows:
            size = self.derivation.sizes[node] if 0 <= node < len(self.program) else 0
            if not 0 <= element < size:
                return {}
            row = held.setdefault(node, np.zeros((1, size), dtype=object))
            row[0, element] -= weight
        return held

    def _least(self, domain: ProofDomain, coefficients: dict[int, IntArray]) -> int | None:
        """Return the bound of a sum less the weighted facts of the next derivation; None in a domain of which nothing is left."""
        number, self.derived = self.derived, self.derived + 1
        weights = self.certificate.weights[self.starts[number] : self.starts[number + 1]]
        seen: set[tuple[int, int]] = set()
        for node, element, weight in weights[:, 1:].tolist():
            mask = domain.facts.get(node)
            if mask is None or not 0 <= element < mask.size or not mask[element]:
                self._fail("not a fact", given=f"element {element} of node {node}", expected="something asserted to be at least zero")
            if weight <= 0:
                self._fail("a weight is not positive", given=weight, expected="at least 1")
            if (node, element) in seen:
                self._fail("a fact occurs twice", given=f"element {element} of node {node}", expected="each fact once")
            seen.add((node, element))
            row = coefficients.setdefault(node, np.zeros((1, mask.size), dtype=object))
            row[0, element] -= weight
        if domain.empty:
            return None
        if not coefficients:
            self._fail("no facts", given="no weights for this step", expected="at least one")
        if number in self.ahead:
            return self.ahead.pop(number)
        multipliers = self.certificate.multipliers[number][None]
        held = {node: shrink(row) for node, row in coefficients.items()}
        return int(self.derivation.bound(held, domain.bounds, lambda place, _: multipliers[:, place])[0])

    def _list(self, domain: ProofDomain) -> None:
        """Check that no assignment within the bounds of the inputs makes the goal true, whatever else is known of the domain."""
        if domain.empty:
            return
        assignments = count(self.query, domain.bounds)
        if assignments > MOST:
            self._fail("too many assignments to list", given=assignments, expected=f"at most {MOST}")
        if solvable(self.query, domain.bounds, self.deadline):
            self._fail("an assignment of the domain is a solution", given=f"one of {assignments}", expected="none")

    def _check_node(self, node: int) -> None:
        if not 0 <= node < len(self.program):
            self._fail("no such node", given=node, expected=f"0 to {len(self.program) - 1}")

    def _fail(self, why: str, *, given: object, expected: str) -> NoReturn:
        kind = KINDS[int(self.certificate.steps[self.position, 0])]
        raise CertificateError(f"step {self.position} ({kind}): {why}", given=given, expected=expected)
