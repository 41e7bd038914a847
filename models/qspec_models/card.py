"""What is known about a shipped model: a small JSON file beside the network."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

DIRECTORY = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class LocalRobustness:
    """Held-out sample `sample` keeps its class on all codes in `Card.lowest`..`Card.highest` at most `epsilon` away from it."""

    sample: int
    epsilon: int
    norm: Literal["linf", "l1"] = "linf"
    """Largest change of a code, or sum of changes."""


@dataclass(frozen=True, slots=True)
class IndividualFairness:
    """Two inputs that differ in nothing but `feature` have outputs that differ by at most `tolerance`."""

    feature: str
    tolerance: int


@dataclass(frozen=True, slots=True)
class Monotonicity:
    """The output never falls when `feature` rises and nothing else changes."""

    feature: str


StandardQuery = LocalRobustness | IndividualFairness | Monotonicity
_KINDS = {kind.__name__: kind for kind in (LocalRobustness, IndividualFairness, Monotonicity)}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a data set comes from."""

    description: str
    url: str
    licence: str


@dataclass(frozen=True, slots=True)
class CertifiedShare:
    """The shares of all held-out samples that are right and robust within `radius` codes, right and not robust, right and undecided."""

    radius: int
    certified: float
    refuted: float
    undecided: float


@dataclass(frozen=True, slots=True)
class Card:
    """Origin, formats, quality and standard queries of one model."""

    name: str
    title: str
    """Its layers in a few words."""
    task: Literal["classification", "regression"]
    data: str
    """Name of the data set."""
    origin: Origin
    formats: tuple[str, ...]
    """One line for the input and one for each layer."""
    lowest: int
    highest: int
    """Input codes that mean anything."""
    samples: int
    score: float
    """On the held-out samples: the share of right classes, or the mean absolute error of what is regressed."""
    float_score: float | None
    """The same for the floating-point network that training began with, if there was one."""
    seed: int
    training: str
    """How it was trained, in one line."""
    command: str
    sha256: str
    """Of the network's file."""
    samples_sha256: str | None
    """Of the file of held-out samples, or None if they are not shipped."""
    queries: tuple[StandardQuery, ...]
    certified: tuple[CertifiedShare, ...] = ()
    """Robustness of all held-out samples, at some radii."""
    seconds: int | None = None
    """Processor time of the training, where it was measured."""

    @property
    def metric(self) -> str:
        return "accuracy" if self.task == "classification" else "mean absolute error"

    @property
    def path(self) -> Path:
        """Where the network is."""
        return DIRECTORY / f"{self.name}.qspec"

    @property
    def samples_path(self) -> Path:
        """Where the held-out samples are: arrays `inputs` and `targets` in an npz file."""
        return DIRECTORY / f"{self.data}.npz"

    def to_json(self) -> str:
        """Return the card as JSON text."""
        queries = [{"property": type(q).__name__, **asdict(q)} for q in self.queries]
        return json.dumps({**asdict(self), "queries": queries}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card back."""
        fields = json.loads(text)
        origin, formats = Origin(**fields.pop("origin")), tuple(fields.pop("formats"))
        queries = tuple(_KINDS[q.pop("property")](**q) for q in fields.pop("queries"))
        certified = tuple(CertifiedShare(**c) for c in fields.pop("certified", ()))
        return cls(**fields, origin=origin, formats=formats, queries=queries, certified=certified)
