"""qspec's own files, of quantised and of real networks: which of the two is written in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qspec.face import Network, RealNetwork
from qspec.files import decode, real_file
from qspec.files.json_cursor import Cursor
from qspec.files.qspec_file import DESCRIPTION, read_members
from qspec.readers.registry import Content, Reader


def read_qspec(path: str | Path) -> Network | RealNetwork:
    """Return the network in a `.qspec` file; raises ModelFileError on anything but a complete, consistent one."""
    return read_members(path, _network)


def _network(root: Cursor, arrays: Mapping[str, bytes]) -> Network | RealNetwork:
    if root.at("format").value == real_file.FORMAT:
        return real_file.decode(root, arrays).into(RealNetwork)
    return decode.decode(root, arrays).into(Network)


def _recognized(content: Content) -> bool:
    return DESCRIPTION in content.members


READER = Reader(format="qspec", suffixes=(".qspec",), recognizes=_recognized, read=read_qspec)
