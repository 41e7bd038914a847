"""`qspec sensors`: what may happen to a sensor, asked about samples of a test set without a file of properties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qspec.arithmetic.integers import IntArray
from qspec.cli.certify import read_samples
from qspec.cli.outcome import CommandOutput, overall, status
from qspec.cli.report import caveat, document, solutions, steps, verdict_line
from qspec.cli.terminal import painted, progress
from qspec.errors import SpecError
from qspec.face import Network
from qspec.language.property import Property
from qspec.named import sensors
from qspec.readers.load import load
from qspec.verify.decide import verify
from qspec.verify.result import Result

Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked about every sample."""

    region: Sequence[str]
    radius: int | None
    stuck: Sequence[str]
    brightness: int | None
    gain: str | None
    changed: int | None

    def about(self, net: Network, image: IntArray, label: int, of: str) -> Iterator[Property]:
        """Yield the questions about one sample, each under a name that says it."""
        within = "any code" if self.radius is None else f"±{self.radius}"
        for text in self.region:
            spec = sensors.region_robustness(net, image, label, where=index(text), radius=self.radius)
            yield replace(spec, name=f"{of}, region {text} {within}")
        for text in self.stuck:
            yield replace(sensors.stuck_robustness(net, image, label, where=index(text)), name=f"{of}, {text} stuck")
        if self.brightness is not None:
            spec = sensors.brightness_robustness(net, image, self.brightness, label)
            yield replace(spec, name=f"{of}, brightness ±{self.brightness}")
        if self.gain is not None:
            yield replace(sensors.gain_robustness(net, image, self.gain, label), name=f"{of}, gain ±{self.gain} %")
        if self.changed is not None:
            yield replace(sensors.sparse_robustness(net, image, label, changed=self.changed), name=f"{of}, {self.changed} changed")


def run(
    *,
    network: str,
    samples: str,
    labels: str | None,
    images: str,
    sample: Sequence[int],
    region: Sequence[str],
    radius: int | None,
    stuck: Sequence[str],
    brightness: int | None,
    gain: str | None,
    changed: int | None,
    explain: bool,
    timeout: float | None,
    memory: int | None,
    seed: int,
) -> CommandOutput:
    """Return the verdict on all questions about all samples chosen, then one line for each, then counterexamples."""
    net = load(network, kind=Network)
    codes, classes = read_samples(samples, labels, images)
    questions = Questions(region, radius, stuck, brightness, gain, changed)
    cases: list[Property] = []
    for k in sample:
        if not 0 <= k < len(codes):
            raise SpecError("no such sample", given=k, expected=f"0..{len(codes) - 1}")
        cases += questions.about(net, codes[k], int(classes[k]), f"sample {k}")
    if not cases:
        raise SpecError("nothing is asked", given="no question", expected="--region, --stuck, --brightness, --gain or --changed")
    results: list[Result] = []
    with progress(len(cases)) as report:
        for case in cases:
            report(case.name)
            results.append(verify(case, timeout=timeout, memory=memory, seed=seed))
    width = max(len(c.name) for c in cases)
    lines = [line for r in results for line in (verdict_line(r, width), *(steps(r) if explain else ()))]
    verdict = overall(results)
    head = "\n".join([painted(verdict.name) + caveat(results), *lines])
    return CommandOutput("\n\n".join([head, *solutions(cases, results)]), status(verdict, results), lambda: document(network, results))


def index(text: str) -> Index:
    """Return what `3,4` or `3:7,3:7` stands for as an index of numpy; raises SpecError on anything else."""
    try:
        return tuple(_part(part) for part in text.split(","))
    except ValueError:
        raise SpecError("not an index", given=text, expected="numbers and ranges, such as 3,4 or 3:7,3:7") from None


def _part(text: str) -> int | slice:
    ends = [int(end) if end.strip() else None for end in text.split(":")]
    if len(ends) == 1 and ends[0] is not None:
        return ends[0]
    if len(ends) in (2, 3):
        return slice(*ends)
    raise ValueError(text)
