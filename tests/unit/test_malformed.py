"""What is malformed is refused with a message that says what was given and what was expected, and with nothing else.

The cases are values, so that they can be counted: `malformed_files.py` and `malformed_calls.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from qspec.errors import ModelFileError, QspecError
from qspec.files.qspec_file import content_hash, read
from tests.unit.malformed_calls import CALLS, NET
from tests.unit.malformed_case import Case
from tests.unit.malformed_files import FILE, FILES, MEMBERS, NETWORK, file_of, zipped

CASES = [*FILES, *CALLS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_malformed_is_refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QspecError) as caught:
        case.act(tmp_path)
    message = str(caught.value)
    assert type(caught.value) is case.error
    assert case.says in message
    assert "given:" in message
    assert "expected:" in message
    assert not list(tmp_path.rglob("executed.txt"))


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_network_itself_is_well_formed(tmp_path: Path) -> None:
    path = tmp_path / "net.qspec"
    for data in (FILE, zipped(MEMBERS)):
        path.write_bytes(data)
        assert content_hash(read(path)) == content_hash(NETWORK)


def test_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    """Whatever byte of an array or of the archive changes, the file is refused or means the same network (dates that nobody reads)."""
    data = file_of(NET)
    path = tmp_path / "net.qspec"
    outcomes: list[bool] = []
    for offset in [*range(42), *range(data.index(b"PK", 4), len(data))]:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0xA5]) + data[offset + 1 :])
        try:
            outcomes.append(content_hash(read(path)) == content_hash(NET))
        except ModelFileError:
            outcomes.append(True)
    assert all(outcomes)
