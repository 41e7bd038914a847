"""The fewest bits for which a network still does what it must: one verdict per width, from the fewest on.

More bits do not always help: robustness is not monotone in the number of bits, so that no width may be skipped, and a table is the answer.
Source: Giacobbe, Henzinger, Lechner, TACAS 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack, cast, overload

from qspec.errors import SpecError
from qspec.extremes.layer_bits import LayerWidths, descend, why_unknown
from qspec.face import Network
from qspec.language.property import Property
from qspec.quantization.accuracy import Labelled
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.checks import listed
from qspec.support.plain import document
from qspec.verify.decide import verify
from qspec.verify.options import DEFAULT_SOLVER, Options, Settings
from qspec.verify.result import Result, Verdict, all_hold, some_hold

Specs = Callable[[Network], Property | Iterable[Property]]


@dataclass(frozen=True, slots=True, eq=False)
class Width:
    """What is known of one number of bits: results in the order of asking, up to and including the first violation."""

    bits: int
    network: Network = field(repr=False)
    results: tuple[Result, ...] = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if a property is, HOLDS if all hold, else UNKNOWN; what stands on floating point alone is unknown."""
        return all_hold(r.verdict for r in self.results)


@dataclass(frozen=True, slots=True, eq=False)
class Widths:
    """The widths that were tried, from the fewest bits on."""

    table: tuple[Width, ...]

    @property
    def fewest(self) -> int | None:
        """The fewest bits for which everything was proved to hold, or None."""
        return next((w.bits for w in self.table if w.verdict is Verdict.HOLDS), None)

    @property
    def certain(self) -> bool:
        """Whether every width tried below `fewest` (all of them, if that is None) is refuted by a counterexample: none is unknown."""
        return all(w.verdict is not Verdict.UNKNOWN for w in self.table if self.fewest is None or w.bits < self.fewest)

    @property
    def verdict(self) -> Verdict:
        """HOLDS if everything was proved for some of those that were tried, VIOLATED if all are refuted, else UNKNOWN."""
        return some_hold(w.verdict for w in self.table)

    @property
    def reason(self) -> Reason | None:
        """Why the first result that is unknown is so, if the verdict is."""
        return why_unknown(r for w in self.table for r in w.results) if self.verdict is Verdict.UNKNOWN else None

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.widths/1`; exact numbers stay exact."""
        return document(self, "qspec.widths/1")

    def __str__(self) -> str:
        lines = [f"{w.bits:>3} bits  {w.verdict.name:<8}  {_grounds(w)}" for w in self.table]
        end = "none of these is proved" if self.fewest is None else f"fewest bits proved: {self.fewest}"
        doubt = "" if self.certain else ", and some that might do are unknown"
        return "\n".join([*lines, end + doubt])


@overload
def fewest_bits(
    make: Callable[[int], Network],
    specs: Specs,
    *,
    layers: None = None,
    bits: Iterable[int] = ...,
    samples: Iterable[Mapping[str, object]] = ...,
    every: bool = ...,
    labelled: Labelled | None = ...,
    **options: Unpack[Options],
) -> Widths: ...
@overload
def fewest_bits(
    make: Callable[[Mapping[str, int]], Network],
    specs: Specs,
    *,
    layers: Sequence[str],
    bits: Iterable[int] = ...,
    samples: Iterable[Mapping[str, object]] = ...,
    every: bool = ...,
    labelled: Labelled | None = ...,
    **options: Unpack[Options],
) -> LayerWidths: ...
def fewest_bits(
    make: Callable[[int], Network] | Callable[[Mapping[str, int]], Network],
    specs: Specs,
    *,
    layers: Sequence[str] | None = None,
    bits: Iterable[int] = range(2, 17),
    samples: Iterable[Mapping[str, object]] = ({},),
    every: bool = False,
    labelled: Labelled | None = None,
    **options: Unpack[Options],
) -> Widths | LayerWidths:
    """Find the fewest `bits` for which the network that `make` returns has every property that `specs` returns of it.

    `samples` are values of the properties' parameters; each property is asked for each of them. The scan ends at the first width for which
    all hold, or with `every` goes through all. With `layers`, `make` gets bits by layer, as a calibration does (see
    `RealNetwork.calibrate`); from the first width for all, one layer after the other loses bits as long as all hold, and with `every` a
    violation does not end the asking. `labelled` are then input codes and their classes, for the accuracy. Other options are those of
    `verify`; `timeout` is seconds for each verdict. Raises SpecError if there is nothing to try or to check, and what `verify` raises.
    """
    checks.function(make, "`make`", "a function from a number of bits to a network")
    checks.function(specs, "`specs`", "a function from a network to properties")
    checks.flag(every, "every")
    widths, points = sorted(set(checks.integers(bits, "bits"))), checks.mappings(samples, "samples")
    if not widths or not points:
        raise SpecError("nothing to try", given=f"{len(widths)} widths, {len(points)} samples", expected="at least one of each")
    settings = Settings.of(options).resolved(DEFAULT_SOLVER)

    def ask(spec: Property) -> Result:
        return verify(spec, **settings.options())

    if layers is not None:
        by_layer = cast("Callable[[Mapping[str, int]], Network]", make)

        def asked(network: Network) -> tuple[tuple[Result, ...], int]:
            found = _properties(specs(network))
            return _results(found, points, ask, every), len(found) * len(points)

        return descend(by_layer, checks.names(layers, "layers"), widths, asked, labelled)
    uniform = cast("Callable[[int], Network]", make)
    table: list[Width] = []
    for width in widths:
        network = uniform(width)
        if not isinstance(network, Network):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("`make` returned no network", given=network, expected="a Network for every number of bits")
        table.append(Width(width, network, _results(_properties(specs(network)), points, ask, False)))
        if table[-1].verdict is Verdict.HOLDS and not every:
            break
    return Widths(tuple(table))


def _properties(given: Property | Iterable[Property]) -> tuple[Property, ...]:
    found = (given,) if isinstance(given, Property) else listed(given, "specs")
    if not found:
        raise SpecError("`specs` returned nothing to check", given=cast(object, given), expected="at least one property")
    return found


def _results(
    specs: Sequence[Property], points: Sequence[Mapping[str, object]], ask: Callable[[Property], Result], every: bool
) -> tuple[Result, ...]:
    """Return the results for one width; one violation settles it, unless `every` result is wanted."""
    found: list[Result] = []
    for spec in specs:
        for point in points:
            found.append(ask(spec.at(**point)))
            if found[-1].verdict is Verdict.VIOLATED and not every:
                return tuple(found)
    return tuple(found)


def _grounds(width: Width) -> str:
    """Return which properties are not proved, in a few words."""
    open_ = [f"{r.name} {r.verdict.name}" for r in width.results if r.verdict is not Verdict.HOLDS]
    return f"{len(width.results)} asked" + (f": {', '.join(dict.fromkeys(open_))}" if open_ else "")
