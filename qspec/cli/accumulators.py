"""`qspec accumulators`: how wide the sums of each layer must be, whether pairs of products saturate, and what overflows at an input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from qspec.cli.arrays import read_array
from qspec.cli.outcome import CommandOutput, status
from qspec.cli.specs import reader_options
from qspec.cli.terminal import painted, table
from qspec.extremes.accumulators import Accumulator, Accumulators, accumulators, least_accumulators
from qspec.extremes.overflows import overflows
from qspec.extremes.pair_sums import PairSums, pair_sums
from qspec.face import Network
from qspec.readers.load import load
from qspec.support import checks
from qspec.verify.result import Verdict, all_hold


def run(
    *,
    network: str,
    bits: int,
    least: bool,
    pairs: bool,
    at: str | None,
    saturation: bool,
    option: Sequence[str],
    semantics: str | None,
    timeout: float | None,
) -> CommandOutput:
    """Return whether all sums fit in so many bits, in any order, and a row for each layer; status 1 if an input shows that one does not.

    With `pairs`, whether two products fit in int16 counts as well; with `at`, whether anything overflows at an input.
    """
    checks.whole(bits, "--bits", least=2)
    given = load(network, kind=Network, **reader_options(option, semantics))
    found = least_accumulators(given, timeout=timeout) if least else accumulators(given)
    fits = {a.layer: _fits(a, bits) for a in found.layers}
    added = pair_sums(given, timeout=timeout) if pairs else ()
    over = () if at is None else overflows(given, read_array(at), saturation=saturation)
    verdict = all_hold([*fits.values(), *(p.verdict for p in added), *([Verdict.VIOLATED] if over else [])])
    parts = [f"{painted(verdict.name)}\n{_claims(bits, pairs, at)}", _widths(found, fits, bits)]
    if pairs:
        parts.append(_pairs(added))
    if at is not None:
        parts.append("\n".join(map(str, over)) or f"nothing overflows at {at}")
    document: dict[str, object] = {
        "verdict": verdict.name,
        "accumulators": found.to_dict(),
        "bits": bits,
        "fits": {k: v.name for k, v in fits.items()},
        "pairs": [p.to_dict() for p in added],
        "overflows": [asdict(o) for o in over],
    }
    return CommandOutput("\n\n".join(parts), status(verdict, []), lambda: document)


def _claims(bits: int, pairs: bool, at: str | None) -> str:
    said = [f"every sum, and every part of it in any order, fits in {bits} bits"]
    said += ["any two products of a sum fit in 16 bits"] * pairs
    return "; ".join(said + ([] if at is None else [f"nothing overflows at {at}"]))


def _fits(a: Accumulator, bits: int) -> Verdict:
    """Return whether sums fit: by bounds of every partial sum; they do not where an input shows that a complete one needs more."""
    if a.partial_width <= bits:
        return Verdict.HOLDS
    return Verdict.VIOLATED if a.narrowest and a.witness is not None and a.width > bits else Verdict.UNKNOWN


def _widths(found: Accumulators, fits: dict[str, Verdict], bits: int) -> str:
    head = ("layer", "neuron", "range", "bits", "in any order", "declared", f"fit in {bits}")
    rows = [(a.layer, _neuron(a.neuron), _range(a.lower, a.upper), *_bits(a), fits[a.layer].name) for a in found.layers]
    return table(head, rows) if rows else "no layer sums anything"


def _bits(a: Accumulator) -> tuple[str, str, str]:
    return f"{a.width}{' (narrowest)' if a.narrowest else ''}", str(a.partial_width), a.declared or "-"


def _pairs(added: Iterable[PairSums]) -> str:
    head = ("layer", "range of two products", "channel", "elements", "fit in 16", "shown")
    rows = [
        (p.layer, _range(p.lower, p.upper), str(p.channel), _neuron(p.pair), p.verdict.name, "-" if p.value is None else f"{p.value:,}")
        for p in added
    ]
    return table(head, rows) if rows else "no layer multiplies numbers of 8 bits"


def _neuron(index: Sequence[int]) -> str:
    return f"[{', '.join(map(str, index))}]"


def _range(lower: int, upper: int) -> str:
    return f"{lower:,} .. {upper:,}"
