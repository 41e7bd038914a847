"""How a search is to go: how many domains at once, how long each is bounded, and what is cut first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Branching = Literal["steps", "input"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Domains in a batch for each device (None: by the kind of device), and steps of the ascent."""

    batch: int | None = None
    steps: int = 20
    branching: Branching | None = None
    """What to cut first: None cuts inputs where only a few elements are free, steps elsewhere."""
    compiled: bool | None = None
    """Whether to run the ascent compiled: None decides by how long the search has run."""
    leave: int | None = None
    """Open domains from which the search ends, to leave them to others: then the outcome has a proof that assumes that they are empty."""
