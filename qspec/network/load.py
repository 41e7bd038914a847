"""Find a network: a file, or a shipped or third-party model by name."""

from __future__ import annotations

from pathlib import Path

from qspec.errors import ModelFileError
from qspec.network.graph import Network

ENTRY_POINTS = "qspec.models"


def load(name: str | Path) -> Network:
    """Return a network from a `.qspec` file, or the model of this name registered under the entry point group `qspec.models`.

    Raises ModelFileError if there is neither.
    """
    text = str(name)
    if text.endswith(".qspec") or Path(text).exists():
        from qspec.network.file import read

        return read(text)
    from importlib.metadata import entry_points  # here, because `import qspec` is to be quick

    points = {p.name: p for p in entry_points(group=ENTRY_POINTS)}
    if text not in points:
        raise ModelFileError(
            "no such model", given=text, expected=f"a .qspec file, or one of {', '.join(sorted(points)) or 'no installed models'}"
        )
    made = points[text].load()()
    if not isinstance(made, Network):
        raise ModelFileError(f"{points[text].value} is not a network", given=made, expected="a function that returns a Network")
    return made
