"""Certificates of real properties: saved, read, checked, and refused where they are damaged or about something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.certificate.real_file import check_real_property, load_real
from qspec.errors import CertificateError, SpecError

NET = qs.real.Sequential(
    qs.real.Input((12,)),
    qs.real.Dense(np.tile(np.array([[1.0, 1.0], [1.0, -1.0]]), (6, 1)), activation=qs.ReLU()),
    qs.real.Dense(np.array([[1.0], [1.0]])),
    name="folds",
)


def most(limit: str | int) -> qs.Property:
    """Return the property whose largest value is 12 (and 18 by chords)."""
    x = NET.input("x", lower=-1, upper=1)
    return qs.forall(x, then=qs.all(NET(x) <= limit), name="most")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = qs.verify(most("12.5"))
    assert result.verdict is qs.Verdict.HOLDS
    assert result.real_certificate is not None
    place = tmp_path_factory.mktemp("certificates") / "most.certificate"
    result.real_certificate.save(place)
    return place


def test_a_certificate_that_was_saved_proves_its_property(saved: Path) -> None:
    assert check_real_property(load_real(saved), most("12.5")) >= 2


def test_it_proves_no_other_property(saved: Path) -> None:
    with pytest.raises(CertificateError, match="another query"):
        check_real_property(load_real(saved), most("12.25"))
    forged = replace(load_real(saved), query=qs.verify(most(11)).hashes["query"])
    with pytest.raises(CertificateError, match="the proof is wrong"):
        check_real_property(forged, most(11))
    x = NET.input("x", lower=-1, upper=1)
    with pytest.raises(CertificateError, match="another kind"):
        check_real_property(load_real(saved), qs.exists(x, then=qs.all(NET(x) >= 13)))


def test_a_damaged_file_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for k, damaged in enumerate((whole[: len(whole) // 2], b"", whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])):
        place = tmp_path / f"{k}.certificate"
        place.write_bytes(damaged)
        with pytest.raises(CertificateError):
            check_real_property(load_real(place), most("12.5"))
    with pytest.raises(CertificateError):
        load_real(tmp_path / "nowhere.certificate")
    with pytest.raises(SpecError, match="is no file"):
        load_real("/dev/zero")


def test_a_violation_has_no_certificate() -> None:
    result = qs.verify(most("11.5"))
    assert result.verdict is qs.Verdict.VIOLATED
    assert result.real_certificate is None


def test_a_proof_about_fewer_inputs_is_none_of_the_property() -> None:
    """Inputs that are equated become one before anybody is asked, so what is proved is another query."""
    y = NET.input("y", lower=-1, upper=1)
    result = qs.verify(qs.forall(y, given=y[0] == y[1], then=qs.all(NET(y) <= "12.5")))
    assert result.verdict is qs.Verdict.HOLDS
    assert result.real_certificate is None
