"""The formats of files that can be read: each reader is an object of `Reader`, found by its entry point.

Networks are in the group `qspec.readers`, properties in `qspec.property_readers`. A new format is a module with a `Reader` and one line
under `[project.entry-points."qspec.readers"]`, here or in a package of its own.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from inspect import Parameter, signature
from pathlib import Path

from qspec.errors import InternalError, ModelFileError, SpecError, UnsupportedError

NETWORKS = "qspec.readers"
PROPERTIES = "qspec.property_readers"
HEAD = 1 << 16
"""Bytes of the beginning of a file by which a reader recognises it."""
PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
"""How pickles begin, files of PyTorch before 1.6 among them."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a format is recognised by: where the file is, its first bytes (unpacked if it is gzip), and the names of members of a zip."""

    path: Path
    head: bytes
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One format of files and how to read it.

    `read` takes the path (of a property also the network) and the options of the format as keyword arguments; `load` hands them on and
    refuses others by name. `recognizes` answers by content alone, and must not raise on any content. `within` names a more general format
    of which this one is a dialect: if both recognise a file, this one reads it.
    """

    format: str
    suffixes: tuple[str, ...]
    recognizes: Callable[[Content], bool]
    read: Callable[..., object]
    within: str | None = None

    @property
    def options(self) -> dict[str, bool]:
        """The options of this format, and whether they must be given."""
        keywords = [p for p in signature(self.read).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
        return {p.name: p.default is Parameter.empty for p in keywords}

    def __call__(self, *arguments: object, options: Mapping[str, object]) -> object:
        """Read a file; raises SpecError on an option that the format does not have, or that it needs and is not given."""
        known = self.options
        listed = ", ".join(known) or "no options"
        if stray := sorted(set(options) - set(known)):
            raise SpecError(f"{self.format} files are read without the option {stray[0]!r}", given=options[stray[0]], expected=listed)
        if missing := [name for name, needed in known.items() if needed and name not in options]:
            raise SpecError(
                f"a file of the format {self.format} does not say how it is meant",
                given=str(arguments[0]),
                expected=" and ".join(f"{m}=…" for m in missing),
            )
        return self.read(*arguments, **options)


def readers(group: str) -> dict[str, Reader]:
    """Return the readers of a group by the name of their format; raises ModelFileError if an entry point is not a reader."""
    found: dict[str, Reader] = {}
    for point in sorted(entry_points(group=group)):
        made = point.load()
        if not isinstance(made, Reader):
            raise ModelFileError(f"{point.value} is not a reader", given=made, expected="an object of qspec.readers.registry.Reader")
        found[made.format] = made
    if not found:
        raise InternalError(
            f"no entry point of {group!r} is installed",
            given="an older installation of this checkout",
            expected="qspec's own readers",
            advice="pip install --no-deps -e . (or reinstall qspec-verify)",
        )
    return found


def reader_of(path: Path, group: str, format: str | None = None) -> Reader:
    """Return who reads a file: the `format` that is named, else by content, and by suffix where content does not decide.

    Raises ModelFileError if the file cannot be opened, UnsupportedError, with the formats that can be read, if no reader knows it.
    """
    known = readers(group)
    if format is not None:
        if not isinstance(format, str) or format not in known:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnsupportedError("no such format", given=format, expected=", ".join(known))
        return known[format]
    by_suffix = [r for r in known.values() if path.name.lower().endswith(r.suffixes)]
    content = _content(path)
    by_content = [r for r in known.values() if r.recognizes(content)]
    general = {r.within for r in by_content}
    chosen = [r for r in by_content if r.format not in general] or [r for r in by_suffix if r.within is None]
    if len(chosen) > 1:
        chosen = [r for r in chosen if r in by_suffix]
    if len(chosen) != 1:
        raise _undecided(content, chosen, known.values())
    return chosen[0]


def has_suffix(path: Path, group: str) -> bool:
    """Return whether a path is called as files of one of the formats are."""
    return any(path.name.lower().endswith(r.suffixes) for r in readers(group).values())


def _undecided(content: Content, chosen: list[Reader], known: Iterable[Reader]) -> UnsupportedError:
    """Return the error about a file that no reader knows, or more than one; what PyTorch or pickle wrote is never opened."""
    if not chosen and _pickled(content):
        return UnsupportedError(
            "this is a file of PyTorch, or another pickle; to open it could run any code",
            given=str(content.path),
            expected=_described(known),
            advice='export the network: torch.onnx.export(model, (example,), "net.onnx"), then load net.onnx',
        )
    return UnsupportedError(
        "the format of the file is not known" if not chosen else "the file could be of several formats",
        given=f"{content.path}, which " + (f"begins with {content.head[:8]!r}" if content.head else "is empty or damaged"),
        expected=_described(chosen or known),
        advice="name it: format=…",
    )


def _pickled(content: Content) -> bool:
    """Return whether a file is a pickle, or one of PyTorch: an archive with a pickle, or called so."""
    archived = any(member.endswith("/data.pkl") for member in content.members)
    return archived or content.head.startswith(PICKLES) or content.path.suffix.lower() in (".pt", ".pth", ".pt2")


def _described(known: Iterable[Reader]) -> str:
    return ", ".join(f"{r.format} ({', '.join(r.suffixes)})" for r in known)


def _content(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                head = file.read(HEAD)
        members: tuple[str, ...] = ()
        if head[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                members = tuple(archive.namelist())
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return Content(path, b"")  # damaged: the suffix says whose error it is
    except OSError as error:
        raise ModelFileError(
            "cannot read the file", given=str(path), expected=f"a file that can be read ({error.strerror or error})"
        ) from None
    return Content(path, head, members)
