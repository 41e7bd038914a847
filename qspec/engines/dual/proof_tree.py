"""The proof as it grows: a tree of domains, each with its steps, written out in the order in which a checker follows it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.initial_slopes import SLOPE_BITS
from qspec.bounds.tighten import SCALE

PROPAGATE, TIGHTEN, SPLIT, CHOOSE, EMPTY, CLOSE, ASSUME, BOUND, LIST = range(9)
Step = tuple[int, int, int, int]


@dataclass(slots=True)
class ProofNode:
    """One domain of the proof: its steps, and the numbers of the domains that the last of them left."""

    steps: list[Step] = field(default_factory=list[Step])
    children: list[int] = field(default_factory=list[int])
    slopes: list[IntArray] = field(default_factory=list[IntArray])
    derivations: list[tuple[IntArray, IntArray]] = field(default_factory=list[tuple[IntArray, IntArray]])
    """Multipliers and rows (node, element, weight) of each derivation, the closing one last."""


@dataclass(frozen=True, slots=True, eq=False)
class ProofArrays:
    """A proof written out: the arrays of a certificate."""

    steps: IntArray
    slopes: IntArray
    multipliers: IntArray
    weights: IntArray

    def mapping(self) -> dict[str, IntArray | int]:
        """Return the arrays by name, with the units of scaled rows and of slopes."""
        return {
            "steps": self.steps,
            "slopes": self.slopes,
            "multipliers": self.multipliers,
            "weights": self.weights,
            "scale": SCALE,
            "slope_bits": SLOPE_BITS,
        }


class Proof:
    """A tree of domains; number 0 is the whole."""

    def __init__(self, multipliers: int) -> None:
        self._parts: list[ProofNode] = [ProofNode()]
        self._width = multipliers
        self.open = 1
        """How many domains are neither closed nor split."""
        self.leaves = 0

    def propagate(self, domain: int) -> None:
        """Record that intervals were propagated."""
        self._parts[domain].steps.append((PROPAGATE, 0, 0, 0))

    def tighten(self, domain: int, node: int, low: IntArray, high: IntArray) -> None:
        """Record that a node was tightened with these slopes."""
        self._parts[domain].steps.append((TIGHTEN, node, 0, 0))
        self._parts[domain].slopes.append(np.stack([low, high]))

    def split(self, domain: int, node: int, element: int, threshold: int) -> tuple[int, int]:
        """Record a split and return the numbers of both sides."""
        first, second = self._divide(domain, (SPLIT, node, element, threshold), 2)
        return first, second

    def choose(self, domain: int, which: int, count: int) -> list[int]:
        """Record a choice and return the numbers of its domains."""
        return self._divide(domain, (CHOOSE, which, 0, 0), count)

    def _divide(self, domain: int, step: Step, count: int) -> list[int]:
        part = self._parts[domain]
        part.steps.append(step)
        part.children = list(range(len(self._parts), len(self._parts) + count))
        self._parts += [ProofNode() for _ in range(count)]
        self.open += count - 1
        return part.children

    def empty(self, domain: int) -> None:
        """Record that the bounds of a domain exclude each other, or that a false formula was asserted."""
        self._parts[domain].steps.append((EMPTY, 0, 0, 0))
        self.open -= 1
        self.leaves += 1

    def assume(self, domain: int, number: int) -> None:
        """Record that a domain is left to somebody else, under a number of its own, counted from 0."""
        self._parts[domain].steps.append((ASSUME, number, 0, 0))
        self.open -= 1

    def bound(self, domain: int, node: int, element: int, coefficient: int, multipliers: IntArray, weights: IntArray) -> None:
        """Record the derivation of a bound of one element, before the domain was divided; weights are rows of facts, as in `close`."""
        part = self._parts[domain]
        part.steps.insert(len(part.steps) - bool(part.children), (BOUND, node, element, coefficient))
        part.derivations.append((multipliers, weights))

    def close(self, domain: int, multipliers: IntArray, weights: IntArray) -> None:
        """Record a closing derivation; weights are rows (node, element, weight)."""
        part = self._parts[domain]
        part.steps.append((CLOSE, 0, 0, 0))
        part.derivations.append((multipliers, weights))
        self.open -= 1
        self.leaves += 1

    def listed(self, domain: int) -> None:
        """Record that no assignment within the bounds of the inputs makes the goal true."""
        self._parts[domain].steps.append((LIST, 0, 0, 0))
        self.open -= 1
        self.leaves += 1

    def restart(self) -> None:
        """Forget how the first domain was divided, and everything that came of it; what is known of its bounds stays."""
        first = self._parts[0]
        if first.children:
            first.steps.pop()
            first.children = []
        self._parts, self.open, self.leaves = [first], 1, 0

    def arrays(self) -> ProofArrays:
        """Write the proof out, every domain before its children and its first child before the second."""
        steps: list[Step] = []
        slopes: list[IntArray] = []
        multipliers: list[IntArray] = []
        weights: list[IntArray] = []
        waiting = [0]
        while waiting:
            part = self._parts[waiting.pop()]
            steps += part.steps
            slopes += part.slopes
            for p, rows in part.derivations:
                weights.append(np.concatenate([np.full((len(rows), 1), len(multipliers)), rows], axis=1))
                multipliers.append(p)
            waiting += reversed(part.children)
        return ProofArrays(
            np.array(steps, dtype=np.int64).reshape(-1, 4),
            np.array(slopes, dtype=np.int64).reshape(len(slopes), 2, self._width),
            np.array(multipliers, dtype=np.int64).reshape(len(multipliers), self._width),
            np.concatenate(weights) if weights else np.zeros((0, 4), dtype=np.int64),
        )
