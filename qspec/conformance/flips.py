"""Can two runtimes of one file give different classes near an input? Proved, shown in both real runtimes, or open, for a whole test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.conformance.pairing import Pairing
from qspec.conformance.runtime import installed, run_tflite, tflite_inputs
from qspec.deadline import Deadline, OutOfTime
from qspec.engines.difference.crossing import crossing
from qspec.engines.difference.drift import Drift, drifts
from qspec.errors import SoundnessError
from qspec.face import Network
from qspec.lowering.evaluate import evaluate
from qspec.named.properties import local_robustness
from qspec.semantics import fixed
from qspec.solver import Limits
from qspec.support import checks
from qspec.support.plain import document
from qspec.verify.decide import verify
from qspec.verify.options import LimitOptions, Settings
from qspec.verify.result import Verdict, all_hold

SAMPLES = 64
"""Random inputs near a centre that are evaluated where codes are compared."""
LOST = 200
"""Codes between the mean bounds of a tensor's drift from where on those of later tensors say nothing."""
SECONDS = 5.0
"""The limit for each input, unless another is given."""
LEAST = 0.05
"""Seconds below which nothing is begun."""


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """The verdict on one input: `HOLDS` if the runtimes agree on its whole box, `VIOLATED` with codes on which they do not.

    `how` says what decided: "evaluated", "search", "drift" or "robust". `outputs` are those of both runtimes at `codes`; `replayed` says
    whether both real runtimes put them out, None where nobody asked or a runtime is not installed.
    """

    verdict: Verdict
    how: str
    codes: IntArray | None = None
    outputs: tuple[IntArray, IntArray] | None = None
    replayed: bool | None = None


@dataclass(frozen=True, slots=True)
class Flips:
    """Verdicts on all inputs of a test set, at one radius."""

    file: str
    semantics: tuple[str, str]
    radius: int
    tolerance: int | None
    outcomes: tuple[Flip, ...]

    def count(self, verdict: Verdict) -> int:
        """Return how many inputs have a verdict."""
        return sum(o.verdict is verdict for o in self.outcomes)

    @property
    def shown(self) -> int:
        """How many counterexamples both real runtimes have confirmed."""
        return sum(o.replayed is True for o in self.outcomes)

    @property
    def verdict(self) -> Verdict:
        """The verdict on all inputs together."""
        return all_hold(o.verdict for o in self.outcomes)

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.flips/1`; exact numbers stay exact."""
        return document(self, "qspec.flips/1")

    def __str__(self) -> str:
        what = "class" if self.tolerance is None else f"codes within {self.tolerance}"
        held, broken, left = (self.count(v) for v in (Verdict.HOLDS, Verdict.VIOLATED, Verdict.UNKNOWN))
        return (
            f"{self.file}, {self.semantics[0]} and {self.semantics[1]}, {what}, radius {self.radius}, {len(self.outcomes)} inputs: "
            f"{held} cannot flip, {broken} flip ({self.shown} shown in both runtimes), {left} open"
        )


def flips(
    path: str | Path,
    first: str = "tflm",
    second: str = "xnnpack",
    *,
    inputs: object,
    radius: int = 0,
    tolerance: int | None = None,
    replay: bool = True,
    **options: Unpack[LimitOptions],
) -> Flips:
    """Decide for every input whether a `.tflite` file has one class under two semantics on all inputs within `radius` LSB (l-infinity).

    `inputs` are codes, shape (samples, *input shape). With `tolerance` it is the outputs that must agree, within so many codes.
    Limits are those of `qs.verify`, `timeout` (5 s unless given) for each input: within it borders of classes are searched, differences
    bounded layer by layer, and both networks proved robust. Counterexamples were confirmed on the reference integers and by the second
    semantics of layers; with `replay` they are run in both real
    runtimes, where these are installed. Raises ShapeError or SpecError on inputs that do not fit, UnsupportedError on a file of several
    inputs or outputs, SoundnessError if a real runtime puts out anything else than the reference.
    """
    checks.flag(replay, "replay")
    checks.whole(radius, "the radius", least=0, most=255)
    if tolerance is not None:
        checks.whole(tolerance, "the tolerance", least=0, most=255)
    limits = Settings.of(options, LimitOptions, timeout=SECONDS).limits
    pairing = Pairing.of(path, first, second)
    work = _FlipWork(pairing, pairing.ends, radius, tolerance, limits)
    outcomes = [work.decide(x) for x in pairing.centres(inputs)]
    if replay and installed(first) and installed(second):
        outcomes = _replayed(pairing, outcomes)
    return Flips(Path(path).name, (first, second), radius, tolerance, tuple(outcomes))


@dataclass(frozen=True, slots=True, eq=False)
class _FlipWork:
    pairing: Pairing
    ends: tuple[Network, Network]
    radius: int
    tolerance: int | None
    limits: Limits

    def decide(self, centre: IntArray) -> Flip:
        """Return the verdict on the box of one input: evaluate, search, bound, prove."""
        if (found := self._shown(centre, "evaluated")) is not None:
            return found
        if self.radius == 0:
            return Flip(Verdict.HOLDS, "evaluated")
        box, deadline = self.pairing.box(centre, self.radius), self.limits.deadline()
        try:
            return self._search(centre, box, deadline) or self._bounded(box, deadline) or self._robust(centre, deadline)
        except OutOfTime:
            return Flip(Verdict.UNKNOWN, "time")

    def _search(self, centre: IntArray, box: Interval, deadline: Deadline) -> Flip | None:
        if self.tolerance is None:
            point = crossing(*self.ends, centre, box, self.limits.seed, deadline)
            return None if point is None else self._shown(point, "search")
        random = np.random.default_rng(self.limits.seed)
        points = random.integers(box.lower, box.upper + 1, (SAMPLES, centre.size))
        a, b = (_outputs(n, points) for n in self.ends)
        worst = int(np.abs(a - b).max(axis=1).argmax())
        return self._shown(points[worst], "search")

    def _shown(self, point: IntArray, how: str) -> Flip | None:
        """Return the violation at a point, if it is one, after the second semantics of layers has said the same."""
        a, b = (_outputs(n, point[None])[0] for n in self.ends)
        if (a.argmax() == b.argmax()) if self.tolerance is None else np.abs(a - b).max() <= self.tolerance:
            return None
        for network, own in zip(self.ends, (a, b), strict=True):
            meant = fixed.evaluate(network, [point])[network.stages[network.outputs[0]].name].output.codes.reshape(-1)
            if not np.array_equal(meant.astype(np.int64), own):
                raise SoundnessError("two semantics of layers disagree", given=f"{meant} and {own}", expected="the same codes")
        return Flip(Verdict.VIOLATED, how, point.reshape(self.pairing.source.shape), (a, b))

    def _bounded(self, box: Interval, deadline: Deadline) -> Flip | None:
        last: Drift | None = None
        found = drifts(*self.pairing.networks, self.pairing.stages, box.lower, box.upper, deadline)
        for tensor, own in zip(self.pairing.tensors, found, strict=True):
            last = own
            if tensor == self.pairing.output:
                break
            if float((own.difference.upper - own.difference.lower).mean()) > LOST:
                return None
        assert last is not None
        agree = _one_class(last) if self.tolerance is None else last.most <= self.tolerance
        return Flip(Verdict.HOLDS, "drift") if agree else None

    def _robust(self, centre: IntArray, deadline: Deadline) -> Flip:
        """Prove that both networks keep the class of the centre in the whole box."""
        if self.tolerance is not None:
            return Flip(Verdict.UNKNOWN, "drift")
        label = int(_outputs(self.ends[0], centre[None])[0].argmax())
        shaped = centre.reshape(self.pairing.source.shape)
        for number, network in enumerate(self.ends):
            spec = local_robustness(network, shaped, self.radius, label)
            seconds = deadline.part(1 / (2 - number)).seconds
            if seconds is not None and seconds < LEAST:
                return Flip(Verdict.UNKNOWN, "time")
            if verify(spec, limits=replace(self.limits, seconds=seconds)).verdict is not Verdict.HOLDS:
                return Flip(Verdict.UNKNOWN, "robust")
        return Flip(Verdict.HOLDS, "robust")


def _outputs(network: Network, points: IntArray) -> IntArray:
    shape = network.inputs[0].type.shape
    return evaluate(network, points.reshape(len(points), *shape)).reshape(len(points), -1)


def _one_class(own: Drift) -> bool:
    """Say whether both outputs have one class, the same, at every input: by their bounds, and by how far they can be apart."""
    if own.alike == own.difference.lower.size:
        return True
    leader = int(own.first.lower.argmax())
    others = np.arange(len(own.first.lower)) != leader
    least: IntArray = np.where(np.arange(len(others)) < leader, 1, 0)[others]  # the first index wins ties
    ahead: IntArray = (own.first.lower[leader] - own.first.upper)[others]
    gained: IntArray = (own.difference.lower[leader] - own.difference.upper)[others]
    second: IntArray = np.maximum((own.second.lower[leader] - own.second.upper)[others], ahead + gained)
    return bool(np.all(ahead >= least) and np.all(second >= least))


def _replayed(pairing: Pairing, outcomes: Sequence[Flip]) -> list[Flip]:
    """Run every counterexample in both real runtimes; raises SoundnessError if one puts out other codes than the reference."""
    shown = [o for o in outcomes if o.codes is not None]
    if not shown:
        return list(outcomes)
    points = np.stack([o.codes for o in shown if o.codes is not None])
    given = tflite_inputs(pairing.model, pairing.networks[0], [points])
    for k, name in enumerate(pairing.semantics):
        (real,) = run_tflite(pairing.model, name, [pairing.output])(given)
        for point, row, own in zip(points, real, shown, strict=True):
            assert own.outputs is not None
            if not np.array_equal(row.reshape(-1).astype(np.int64), own.outputs[k]):
                raise SoundnessError(
                    f"the runtime {name!r} puts out other codes than its semantics",
                    given=f"{row.reshape(-1).tolist()} at {point.reshape(-1)[:8].tolist()}…",
                    expected=own.outputs[k].tolist(),
                    advice="qspec agree FILE --inputs …",
                )
    return [o if o.codes is None else replace(o, replayed=True) for o in outcomes]
