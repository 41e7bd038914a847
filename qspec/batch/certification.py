"""What a certification ended with: a verdict for every sample, and the shares that papers report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import Certificate
from qspec.files.atomic import writing
from qspec.solver import Reason
from qspec.support.plain import document
from qspec.support.tables import Tabular
from qspec.verify.result import Verdict, all_hold


@dataclass(frozen=True, slots=True, eq=False)
class SampleOutcome:
    """The verdict for one sample, the stage that reached it, and the codes of a counterexample (the image if it is misclassified)."""

    verdict: Verdict
    stage: str
    codes: IntArray | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Certification(Tabular):
    """Local robustness of every sample within `radius` LSB (l-infinity), as `qs.certify` decided it.

    `clean`, `certified`, `refuted` and `undecided` are shares of all samples: `clean` is the sum of the other three, the rest is
    misclassified as it is. `seconds` has the time of each stage.
    """

    network: str
    radius: int
    labels: IntArray
    right: IntArray
    """Which samples are classified right."""
    outcomes: tuple[SampleOutcome, ...]
    seconds: Mapping[str, float]
    certificates: Mapping[int, Certificate] = field(default_factory=dict[int, Certificate])
    """Certificates by sample, if they were asked for; each was checked."""

    @property
    def samples(self) -> int:
        return len(self.outcomes)

    @property
    def clean(self) -> float:
        return float(np.mean(self.right))

    @property
    def certified(self) -> float:
        return self._share(Verdict.HOLDS)

    @property
    def refuted(self) -> float:
        return self._share(Verdict.VIOLATED)

    @property
    def undecided(self) -> float:
        return self._share(Verdict.UNKNOWN)

    @property
    def counts(self) -> dict[str, int]:
        """How many samples each stage settled, by `verdict (stage)`; "misclassified" and "open" are stages, too."""
        return dict(Counter(f"{o.verdict.name} ({o.stage})" for o in self.outcomes))

    @property
    def counterexamples(self) -> dict[int, IntArray]:
        """The codes of each counterexample, by the index of its sample; all were replayed on the reference integers."""
        return {k: o.codes for k, o in enumerate(self.outcomes) if o.codes is not None}

    @property
    def throughput(self) -> float:
        """Samples a second, over all stages."""
        return self.samples / max(1e-9, sum(self.seconds.values()))

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if some sample is refuted or misclassified, HOLDS if all are certified, else UNKNOWN."""
        return all_hold(o.verdict for o in self.outcomes)

    @property
    def reason(self) -> Reason | None:
        """INCOMPLETE if the verdict is unknown; the detail of each sample says more."""
        return Reason.INCOMPLETE if self.verdict is Verdict.UNKNOWN else None

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.certification/1`; exact numbers stay exact."""
        return document(replace(self, certificates={}), "qspec.certification/1") | {"certificates": sorted(self.certificates)}

    def save_certificates(self, folder: str | os.PathLike[str]) -> None:
        """Write each certificate to `<sample>.certificate` in a folder, which is made if need be; raises SpecError if that fails."""
        place = Path(folder)
        with writing(place):
            place.mkdir(exist_ok=True)
        for k, certificate in self.certificates.items():
            certificate.save(place / f"{k}.certificate")

    def rows(self) -> list[dict[str, object]]:
        """Return a plain row for each sample: index, label, clean, verdict, stage, detail."""
        return [
            {"index": k, "label": int(label), "clean": bool(right), "verdict": o.verdict.name, "stage": o.stage, "detail": o.detail}
            for k, (label, right, o) in enumerate(zip(self.labels, self.right, self.outcomes, strict=True))
        ]

    def _share(self, verdict: Verdict) -> float:
        return float(np.mean([bool(r) and o.verdict is verdict for r, o in zip(self.right, self.outcomes, strict=True)]))

    def __str__(self) -> str:
        made = f", {len(self.certificates)} certificates" if self.certificates else ""
        shares = f"clean {self.clean:.2%}, certified {self.certified:.2%}, refuted {self.refuted:.2%}, undecided {self.undecided:.2%}"
        head = f"{self.network or 'network'}: {self.samples} samples within {self.radius} LSB: {shares}"
        return f"{head} ({self.throughput:.1f} samples/s){made}"
