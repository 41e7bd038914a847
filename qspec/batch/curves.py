"""Verdicts against the number of bits: shares, steps that go the wrong way, and who is right.

Robustness and vulnerability are each not monotone in the number of bits, and neither is that of the real network. Source: Giacobbe,
Henzinger, Lechner, TACAS 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qspec.batch.records import REAL, Bits, Record
from qspec.errors import SoundnessError
from qspec.verify.result import Verdict


@dataclass(frozen=True, slots=True)
class Share:
    """The verdicts of one method at one number of bits (None: of the real network)."""

    bits: Bits | None
    method: str
    records: tuple[Record, ...]

    def of(self, verdict: Verdict) -> tuple[Record, ...]:
        """Return the records with this verdict."""
        return tuple(r for r in self.records if r.verdict is verdict)

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the network, if it was told."""
        return next((r.accuracy for r in self.records if r.accuracy is not None), None)


@dataclass(frozen=True, slots=True)
class BitStep:
    """From one number of bits to the next: what was lost and gained on the way, by exact verdicts, and by how much the accuracy changed."""

    before: Bits
    after: Bits
    lost: tuple[str, ...]
    """Subjects that hold with fewer bits and are violated with more."""
    gained: tuple[str, ...]
    accuracy: float | None

    @property
    def monotone(self) -> bool:
        """Whether more bits have cost neither a property nor accuracy."""
        return not self.lost and (self.accuracy is None or self.accuracy >= 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one method says of the quantised network, against what is true: records by whether they are right.

    Of local robustness: true and false "robust", true and false "vulnerable". `undecided` are those of which the truth is not known, or to
    which the method says nothing. `lost` and `kept` are the counterexamples of the real network that are none, and are one, when rounded to
    codes.
    """

    bits: Bits
    method: str
    true_robust: tuple[Record, ...]
    false_robust: tuple[Record, ...]
    true_vulnerable: tuple[Record, ...]
    false_vulnerable: tuple[Record, ...]
    undecided: tuple[Record, ...]
    lost: tuple[Record, ...]
    kept: tuple[Record, ...]


def widths(records: Iterable[Record]) -> list[Bits]:
    """Return every number of bits that occurs, numbers in order, then names as they come."""
    found = list(dict.fromkeys(r.bits for r in records if r.bits is not None))
    return [*sorted(b for b in found if isinstance(b, int)), *(b for b in found if not isinstance(b, int))]


def methods(records: Iterable[Record]) -> list[str]:
    """Return who was asked, in order of appearance."""
    return list(dict.fromkeys(r.method for r in records))


def shares(records: Sequence[Record]) -> list[Share]:
    """Return the verdicts of every method at every number of bits, last those of the real network; rows of no sweep are left out."""
    order: list[Bits | None] = [*widths(records), None]
    swept = [r for r in records if r.bits is not None or r.method == REAL]
    found = [Share(b, m, tuple(r for r in swept if r.method == m and r.bits == b)) for m in methods(swept) for b in order]
    return [s for s in found if s.records]


def truths(records: Iterable[Record]) -> dict[tuple[Bits, str], Verdict]:
    """Return what is true by proof or by replay, by bits and subject; raises SoundnessError if two exact verdicts contradict each other."""
    found: dict[tuple[Bits, str], Record] = {}
    for r in records:
        if r.bits is None or not r.exact:
            continue
        other = found.setdefault((r.bits, r.subject), r)
        if other.verdict is not r.verdict:
            given = ", ".join(f"{x.method}: {x.verdict.name} (row {x.id})" for x in (other, r))
            raise SoundnessError(f"two verdicts on {r.subject}, {r.bits} bits, contradict each other", given=given, advice="report it")
    return {key: r.verdict for key, r in found.items()}


def steps(records: Sequence[Record]) -> list[BitStep]:
    """Return what happens from each number of bits to the next one that was tried."""
    true = truths(records)
    accuracy = {s.bits: s.accuracy for s in shares(records) if s.method != REAL and s.accuracy is not None}
    subjects = list(dict.fromkeys(r.subject for r in records))
    found: list[BitStep] = []
    order = [b for b in widths(records) if isinstance(b, int)]
    for a, b in pairwise(order):

        def changed(before: Verdict, after: Verdict, a: Bits = a, b: Bits = b) -> tuple[str, ...]:
            return tuple(s for s in subjects if true.get((a, s)) is before and true.get((b, s)) is after)

        gain = accuracy[b] - accuracy[a] if a in accuracy and b in accuracy else None
        found.append(BitStep(a, b, changed(Verdict.HOLDS, Verdict.VIOLATED), changed(Verdict.VIOLATED, Verdict.HOLDS), gain))
    return found


def judged(records: Sequence[Record]) -> list[Judged]:
    """Return for every method at every number of bits how often it is right; the real network is judged at every number of bits."""
    true = truths(records)
    found: list[Judged] = []
    for method in methods(records):
        for bits in widths(records):
            own = [r for r in records if r.method == method and (r.bits == bits or (r.bits is None and method == REAL))]
            if own:
                found.append(_judged(bits, method, own, true))
    return found


def _judged(bits: Bits, method: str, records: Sequence[Record], true: dict[tuple[Bits, str], Verdict]) -> Judged:
    def of(claim: bool, verdict: Verdict) -> tuple[Record, ...]:
        return tuple(r for r in records if r.claim is claim and true.get((bits, r.subject)) is verdict)

    def rounded(survives: bool) -> tuple[Record, ...]:
        return tuple(r for r in records if r.notes.get("survives", {}).get(str(bits)) is survives)

    return Judged(
        bits,
        method,
        of(True, Verdict.HOLDS),
        of(True, Verdict.VIOLATED),
        of(False, Verdict.VIOLATED),
        of(False, Verdict.HOLDS),
        tuple(r for r in records if r.claim is None or (bits, r.subject) not in true),
        rounded(False),
        rounded(True),
    )
