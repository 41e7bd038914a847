"""The file format of networks, `.qspec`: a zip archive of one JSON text and arrays of integers.

`network.json` says what the network is (see `encode.py`); each `arrays/<k>.npy` holds the codes of one tensor. Exact numbers are texts
"p/q"; nothing is pickled. Members are stored, not compressed, in a fixed order with a fixed date, so that equal networks give equal bytes.
Reading trusts nothing: sizes are checked before anything is unpacked, and each field, type, shape and checksum after.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from qspec.errors import ModelFileError
from qspec.files.atomic import replacing
from qspec.files.decode import decode
from qspec.files.encode import encode
from qspec.files.json_cursor import Cursor, parse
from qspec.network.graph import Graph
from qspec.support import checks

Content = TypeVar("Content")
DESCRIPTION = "network.json"
ARRAY = re.compile(r"arrays/(0|[1-9][0-9]{0,5})\.npy")
MAX_BYTES = 2**30
"""Largest file, and largest sum of its unpacked members."""
MAX_DESCRIPTION = 2**26
"""Largest JSON text in bytes."""
MAX_MEMBERS = 2**14
MAX_RATIO = 200
"""Largest ratio of unpacked to packed size of a member."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError)
"""What the standard library raises on damaged archives."""


def save(network: Graph, path: str | os.PathLike[str]) -> None:
    """Write a network to a file, atomically: the file is there and complete, or as it was before. Raises ModelFileError if that fails."""
    document = encode(network)
    write_members({DESCRIPTION: document.text, **document.arrays}, path)


def read(path: str | os.PathLike[str]) -> Graph:
    """Return the network in a file; raises ModelFileError on anything but a complete, consistent network."""
    return read_members(path, decode)


def write_members(members: dict[str, bytes], path: str | os.PathLike[str]) -> None:
    """Write the members of an archive, atomically; raises ModelFileError if that fails."""
    _write(Path(path), _archive(members))


def read_members(path: str | os.PathLike[str], decode: Callable[[Cursor, Mapping[str, bytes]], Content]) -> Content:
    """Return what `decode` makes of the description and the arrays in a file; its errors name the file."""
    place = Path(path)
    try:
        members = _unpack(_bytes(place))
        return decode(parse(members.pop(DESCRIPTION), DESCRIPTION), members)
    except ModelFileError as error:
        raise ModelFileError(f"{place}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from error.__cause__


def content_hash(network: Graph) -> str:
    """Return the SHA-256 (hexadecimal) of what a file of the network holds: the same for the same network wherever it came from.

    Raises SpecError on anything but a quantised network.
    """
    checks.kind(network, Graph, "what is hashed", "a quantised network, such as qs.load returns")
    document = encode(network)
    state = hashlib.sha256()
    for name, data in {DESCRIPTION: document.text, **document.arrays}.items():
        state.update(f"{name}:{len(data)}:".encode())
        state.update(data)
    return state.hexdigest()


def _archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data)
    return stream.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        with replacing(path) as stream:
            stream.write(data)
    except (OSError, ValueError) as error:
        raise ModelFileError(
            "cannot write the network", given=str(path), expected="a path in a directory that can be written", advice=str(error)
        ) from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ModelFileError("cannot read the file", given=str(error), expected="a .qspec file") from None
    if len(data) > MAX_BYTES:
        raise ModelFileError("the file is too large", given=f"more than {MAX_BYTES} bytes", expected=f"at most {MAX_BYTES} bytes")
    return data


def _unpack(data: bytes) -> dict[str, bytes]:
    """Return the members of an archive whose names and sizes are those of a network; their checksums are right."""
    if data[:2] not in (b"", b"P", b"PK"):
        raise ModelFileError(
            "this is no file of qspec",
            given=f"{len(data)} bytes that begin with {data[:8]!r}",
            expected="a .qspec file, as Network.save writes it",
            advice="qs.load reads files of other formats; name one by format=… if it is not recognised",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_names([m.filename for m in members])
            for member in members:
                _check_size(member)
            _check_total(members)
            return {m.filename: archive.read(m) for m in members}
    except ModelFileError:
        raise
    except BROKEN as error:
        given = f"{type(error).__name__}: {error}"
        raise ModelFileError(
            "the archive is damaged", given=given, expected="a complete zip archive", advice="copy or save it again"
        ) from None


def _check_names(names: list[str]) -> None:
    if len(names) > MAX_MEMBERS:
        raise ModelFileError("too many members", given=len(names), expected=f"at most {MAX_MEMBERS}")
    if len(set(names)) != len(names):
        raise ModelFileError(
            "a member occurs twice", given=sorted(n for n, count in Counter(names).items() if count > 1), expected="distinct names"
        )
    for name in names:
        if name != DESCRIPTION and not ARRAY.fullmatch(name):
            raise ModelFileError("a member that no network has", given=name, expected=f"{DESCRIPTION} and arrays/<k>.npy")
    if DESCRIPTION not in names:
        raise ModelFileError("the description is missing", given=names, expected=DESCRIPTION)


def _check_size(member: zipfile.ZipInfo) -> None:
    limit = MAX_DESCRIPTION if member.filename == DESCRIPTION else MAX_BYTES
    if member.file_size > limit:
        raise ModelFileError(f"{member.filename} is too large", given=f"{member.file_size} bytes", expected=f"at most {limit} bytes")
    if member.file_size > MAX_RATIO * max(1, member.compress_size):
        given = f"{member.compress_size} bytes that unpack to {member.file_size}"
        raise ModelFileError(f"{member.filename} is packed too tightly", given=given, expected=f"a ratio of at most {MAX_RATIO}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        given = "encryption" if member.flag_bits & 1 else f"method {member.compress_type}"
        raise ModelFileError(
            f"{member.filename} is packed in a way that is not read", given=given, expected="stored or deflated, not encrypted"
        )


def _check_total(members: list[zipfile.ZipInfo]) -> None:
    total = sum(m.file_size for m in members)
    if total > MAX_BYTES:
        raise ModelFileError("the file unpacks to too much", given=f"{total} bytes", expected=f"at most {MAX_BYTES} bytes")
