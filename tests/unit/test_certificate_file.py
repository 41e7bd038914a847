"""Certificates come back from files as they were; anything else in a file is refused with its reason. The command that checks them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.integers import IntArray
from qspec.certificate.check import check
from qspec.certificate.claim import check_property
from qspec.certificate.file import ARRAYS, Certificate, load
from qspec.cli import main
from qspec.errors import CertificateError
from qspec.files.qspec_file import content_hash
from qspec.ir.integer import Input
from tests.soundness.naive_proofs import SOMEBODY, naive_proof

SPEC = """
import qspec as qs

_coordinate = qs.Fixed(3, 0, signed=False)
_weight = qs.Fixed(3, 0)
distance = qs.Sequential(
    qs.Input((2,), _coordinate),
    qs.Dense(qs.Tensor([[1, -1], [-1, 1]], _weight), activation=qs.ReLU(), output=qs.Fixed(5, 0)),
    qs.Dense(qs.Tensor([[1], [1]], _weight)),
    name="distance",
)
x = distance.input("x")
within = qs.forall(x, then=distance(x) <= qs.parameter("bound"))
reached = qs.exists(x, then=distance(x) >= 8)
"""


def spec(name: str = "within") -> qs.Property:
    values: dict[str, object] = {}
    exec(SPEC, values)
    found = values[name]
    assert isinstance(found, qs.Property)
    return replace(found, name=name)


def network() -> qs.Network:
    values: dict[str, object] = {}
    exec(SPEC, values)
    found = values["distance"]
    assert isinstance(found, qs.Network)
    return found


def proof(name: str = "within", bound: int = 7, *, stubborn: bool = False) -> Certificate:
    """Return a proof by splitting down to points; it is wrong where `stubborn` and the bound is exceeded."""
    p = spec(name)
    parameters = {"bound": bound} if name == "within" else {}
    query = qs.query(p.at(**parameters))
    assert any(isinstance(n, Input) for n in query.program)
    found = naive_proof(query, np.random.default_rng(0), stubborn=stubborn)
    return replace(found, property=name, kind=p.kind, parameters=parameters, networks=(content_hash(network()),))


@pytest.fixture(scope="module")
def right() -> Certificate:
    return proof()


def fields(certificate: Certificate) -> dict[str, object]:
    return {
        name: value.tolist() if isinstance(value := getattr(certificate, name), np.ndarray) else value for name in Certificate.__slots__
    }


def test_a_certificate_comes_back_as_it_was(right: Certificate, tmp_path: Path) -> None:
    for k, certificate in enumerate((right, proof("reached"), replace(right, parameters={"a": [[1, "2/3"], []], "Größe": "\ud800"}))):
        certificate.save(tmp_path / "a")
        again = load(tmp_path / "a")
        assert fields(again) == fields(certificate)
        assert all(getattr(again, name).dtype == np.int64 for name in ARRAYS)
        again.save(tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert k or check(again, qs.query(spec().at(bound=7))).steps == len(right.steps)


def test_empty_arrays_keep_their_shapes(tmp_path: Path) -> None:
    steps, slopes, multipliers, weights = (np.zeros(s, dtype=np.int64) for s in ((0, 4), (0, 2, 7), (0, 7), (0, 4)))
    nothing = Certificate("0", "p", "forall", {}, (), 1, 1, steps, slopes, multipliers, weights)
    nothing.save(tmp_path / "a")
    assert [getattr(load(tmp_path / "a"), name).shape for name in ARRAYS] == [(0, 4), (0, 2, 7), (0, 7), (0, 4)]


def test_a_file_is_compressed_json_and_arrays(right: Certificate, tmp_path: Path) -> None:
    right.save(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert archive.namelist() == ["certificate.json", *(f"{name}.npy" for name in ARRAYS)]
        assert json.loads(archive.read("certificate.json"))["schema"] == "qspec.certificate/1"
        assert all(m.compress_type == zipfile.ZIP_DEFLATED for m in archive.infolist())
        with archive.open("steps.npy") as member:
            assert np.array_equal(np.load(member, allow_pickle=False), right.steps)


def test_saving_replaces_the_file_or_leaves_it(right: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before", encoding="utf-8")
    right.save(path)
    assert load(path).query == right.query
    for place in (tmp_path / "nowhere" / "a", tmp_path):
        with pytest.raises(CertificateError, match="cannot write"):
            right.save(place)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


ANY = np.zeros((1, 4), dtype=np.int64)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "steps of bytes": ({"steps": ANY.astype(np.int8)}, "not an array of int64"),
    "steps of floats": ({"steps": ANY.astype(float)}, "not an array of int64"),
    "steps that are a list": ({"steps": [[0, 0, 0, 0]]}, "not an array of int64"),
    "steps of three numbers": ({"steps": ANY[:, :3]}, "steps has the wrong shape"),
    "flat steps": ({"steps": ANY[0]}, "steps has the wrong shape"),
    "a step of kind 9": ({"steps": ANY + 9}, "no known kind"),
    "an assumption of nobody": ({"steps": ANY + 6}, "do not fit the assumptions"),
    "an assumption of nothing": ({"assumed": (SOMEBODY,)}, "do not fit the assumptions"),
    "an assumption twice": ({"steps": np.array([(6, 0, 0, 0)] * 2), "assumed": (SOMEBODY,) * 2}, "do not fit the assumptions"),
    "an assumption left out": ({"steps": np.array([(6, 1, 0, 0)]), "assumed": (SOMEBODY,)}, "do not fit the assumptions"),
    "a step of kind -1": ({"steps": ANY - 1}, "no known kind"),
    "a close step without multipliers": ({"steps": ANY + 5}, "multipliers has the wrong shape"),
    "a tighten step without slopes": ({"steps": ANY + 1}, "slopes has the wrong shape"),
    "flat weights": ({"weights": ANY[0]}, "weights has the wrong shape"),
    "a scale of zero": ({"scale": 0}, "scale is out of range"),
    "a huge scale": ({"scale": 2**61}, "scale is out of range"),
    "negative slope_bits": ({"slope_bits": -1}, "slope_bits is out of range"),
    "huge slope_bits": ({"slope_bits": 10**9}, "slope_bits is out of range"),
    "another kind": ({"kind": "always"}, "no known kind"),
    "a parameter of floats": ({"parameters": {"a": [0.5]}}, "is not plain"),
    "a parameter that is true": ({"parameters": {"a": True}}, "is not plain"),
    "a parameter that is nothing": ({"parameters": {"a": None}}, "is not plain"),
}


@pytest.mark.parametrize("name", WRONG)
def test_parts_that_do_not_fit_are_refused(name: str) -> None:
    changes, says = WRONG[name]
    empty: dict[str, Any] = {
        "steps": ANY[:0],
        "slopes": np.zeros((0, 2, 3), np.int64),
        "multipliers": np.zeros((0, 3), np.int64),
        "weights": ANY[:0],
    }
    good: dict[str, Any] = {"query": "", "property": "", "kind": "forall", "parameters": {}, "networks": (), "scale": 1, "slope_bits": 1}
    with pytest.raises(CertificateError, match=says) as caught:
        Certificate(**{**good, **empty, **changes})
    assert "given:" in str(caught.value)


def members(certificate: Certificate, folder: Path) -> dict[str, bytes]:
    certificate.save(folder / "members")
    with zipfile.ZipFile(folder / "members") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(array: IntArray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def edited(**changes: object) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(found: dict[str, bytes]) -> dict[str, bytes]:
        words = {**json.loads(found["certificate.json"]), **changes}
        return {**found, "certificate.json": json.dumps({k: v for k, v in words.items() if v is not ...}).encode()}

    return change


def put(name: str, data: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda found: {**found, name: data}


def header(text: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


LOADS = b"cos\nsystem\n(S'touch executed.txt'\ntR."
OBJECT = header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }\n", LOADS)
MEMBERS: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "no steps": (lambda m: {k: v for k, v in m.items() if k != "steps.npy"}, "without steps.npy"),
    "no words": (lambda m: {k: v for k, v in m.items() if k != "certificate.json"}, "without certificate.json"),
    "another member": (put("extra.npy", b""), "with extra.npy"),
    "a member elsewhere": (put("../../etc/steps.npy", b""), "not the members"),
    "words that are no JSON": (put("certificate.json", b"{"), "not valid JSON"),
    "words that are a list": (put("certificate.json", b"[]"), "an object is expected"),
    "words nested deeply": (put("certificate.json", b"[" * 10**5), "nested too deeply"),
    "a word twice": (put("certificate.json", b'{"scale": 1, "scale": 2}'), "occurs twice"),
    "another schema": (edited(schema="qspec.certificate/2"), "unknown schema"),
    "no schema": (edited(schema=...), "a field is missing"),
    "another field": (edited(author="me"), "unknown field"),
    "a query that is a number": (edited(query=5), "a text is expected"),
    "a scale of 1.5": (edited(scale=1.5), "not an exact number"),
    "a scale that is true": (edited(scale=True), "a whole number is expected"),
    "a negative scale": (edited(scale=-1), "scale is out of range"),
    "networks that are a text": (edited(networks="abc"), "a list is expected"),
    "parameters in a list": (edited(parameters=[]), "an object is expected"),
    "a parameter in an object": (edited(parameters={"a": {}}), "is not plain"),
    "steps of bytes": (put("steps.npy", npy(np.zeros((1, 4), np.int8))), "of the wrong type"),
    "steps of big-endian numbers": (put("steps.npy", npy(np.zeros((1, 4), ">i8"))), "not an array of integers|of the wrong type"),
    "steps of floats": (put("steps.npy", npy(np.zeros((1, 4)))), "not an array of integers"),
    "steps in Fortran order": (put("steps.npy", npy(np.asfortranarray(np.zeros((2, 4), np.int64)))), "of the wrong type"),
    "steps that are pickled": (put("steps.npy", OBJECT), "not an array of integers"),
    "bare pickle": (put("steps.npy", LOADS), "not an array of integers"),
    "no bytes": (put("steps.npy", b""), "not an array of integers"),
    "steps cut off": (put("steps.npy", npy(np.zeros((9, 4), np.int64))[:-8]), "the wrong length"),
    "steps too long": (put("steps.npy", npy(np.zeros((9, 4), np.int64)) + b"\0" * 32), "the wrong length"),
    "a negative count": (put("steps.npy", header("{'descr': '<i8', 'fortran_order': False, 'shape': (-1, 4), }\n")), "not an array"),
    "a huge count": (put("steps.npy", header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({2**60}, 4), }}\n")), "no sensible"),
    "a large count": (put("steps.npy", header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({2**40}, 4), }}\n")), "wrong length"),
    "many axes": (put("steps.npy", header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({'1,' * 99}), }}\n")), "no sensible"),
    "a header that runs on": (put("steps.npy", b"\x93NUMPY\x01\x00\xff\xff{"), "not an array of integers"),
    "too few multipliers": (put("multipliers.npy", npy(np.zeros((0, 2), np.int64))), "multipliers has the wrong shape"),
    "slopes of two axes": (put("slopes.npy", npy(np.zeros((2, 2), np.int64))), "slopes has the wrong shape"),
    "weights of five numbers": (put("weights.npy", npy(np.zeros((2, 5), np.int64))), "weights has the wrong shape"),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_damaged_members_are_refused(name: str, right: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    change, says = MEMBERS[name]
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
        for label, data in change(members(right, tmp_path)).items():
            archive.writestr(label, data)
    with pytest.raises(CertificateError, match=says) as caught:
        load(tmp_path / "a")
    assert "given:" in str(caught.value)
    assert "expected:" in str(caught.value)
    assert not (tmp_path / "executed.txt").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_archives_are_refused(right: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "a"
    found = members(right, tmp_path)
    whole = (tmp_path / "members").read_bytes()
    with zipfile.ZipFile(tmp_path / "twice", "w") as archive:
        for label, data in [*found.items(), ("steps.npy", found["steps.npy"])]:
            archive.writestr(label, data)
    with zipfile.ZipFile(tmp_path / "packed", "w", zipfile.ZIP_BZIP2) as archive:
        for label, data in found.items():
            archive.writestr(label, data)
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        for label, data in {**found, "certificate.json": b" " * (2**26 + 1)}.items():
            archive.writestr(label, data)
    cases: list[tuple[bytes, str]] = [
        (b"", "cannot be read"),
        (b"not a zip", "cannot be read"),
        (whole[: len(whole) // 2], "cannot be read"),
        ((tmp_path / "twice").read_bytes(), "a member occurs twice"),
        ((tmp_path / "packed").read_bytes(), "packed in a way that is not read"),
        ((tmp_path / "bomb").read_bytes(), "too large"),
    ]
    for data, says in cases:
        path.write_bytes(data)
        with pytest.raises(CertificateError, match=says):
            load(path)
    with pytest.raises(CertificateError, match="cannot be read"):
        load(tmp_path / "nobody")


def test_no_changed_byte_goes_unnoticed(right: Certificate, tmp_path: Path) -> None:
    """The file is refused, or says the same (there are dates in it that nobody reads)."""
    right.save(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    refused = 0
    for offset in range(0, len(data), 7):
        (tmp_path / "b").write_bytes(data[:offset] + bytes([data[offset] ^ 0xA5]) + data[offset + 1 :])
        try:
            assert fields(load(tmp_path / "b")) == fields(right)
        except CertificateError:
            refused += 1
    assert refused > len(data) // 7 // 2


def test_a_property_is_compared_with_what_the_certificate_is_about(right: Certificate) -> None:
    assert check_property(right, spec()).verdict == "HOLDS"
    assert check_property(right, spec().at(bound=7)).checked.steps == len(right.steps)
    absent = check_property(proof("reached"), spec("reached"))
    assert absent.verdict == "VIOLATED"
    assert "no input witnesses it" in str(absent)
    for wrong, given, says in (
        (right, {"bound": 6}, "another query"),
        (replace(right, parameters={"bound": 6}), None, "another query"),
        (replace(right, kind="exists"), None, "another kind"),
        (replace(right, networks=()), None, "other networks"),
        (replace(right, networks=("0" * 64,)), None, "other networks"),
        (replace(right, query="0" * 64), None, "another query"),
        (proof(bound=6, stubborn=True), None, "not contradicted|is not empty"),
    ):
        with pytest.raises(CertificateError, match=says):
            check_property(wrong, spec().at(**(given or {})))


def test_the_answer_says_what_was_proved() -> None:
    net = network()
    x = net.input("x")
    centre, radius = qs.parameter("centre", 2), qs.parameter("radius")
    near = qs.forall(x, given=qs.linf(x.code - centre) <= radius, then=net(x) <= 3 + 2 * radius, name="near")
    found = {r: qs.verify(near.at(centre=[1, 2], radius=r), attack=False).certificate for r in (0, 2)}
    assert found[0] is not None
    assert found[2] is not None
    said = str(check_property(found[0], near.at(radius=0)))
    assert "centre = array 2, SHA-256 " + hashlib.sha256(b"1,2").hexdigest()[:16] + " (from the certificate)" in said
    assert "radius = 0 (given)" in said
    assert "radius = 2 (from the certificate)" in str(check_property(found[2], near))
    assert "network:      distance, semantics exact, content " + content_hash(net)[:16] in said
    assert "not examined: whether any input meets the assumption" in said
    assert "not examined" not in str(check_property(proof("within"), spec()))
    with pytest.raises(CertificateError, match="parameter 'radius' is 0 in the certificate, and 2 here"):
        check_property(found[0], near.at(radius=2))


def test_the_command_checks_a_certificate(
    right: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.py").write_text(SPEC, encoding="utf-8")
    network().save("net.qspec")
    right.save("right.cert")
    proof("reached").save("absent.cert")
    proof(bound=6, stubborn=True).save("wrong.cert")
    Path("broken.cert").write_text("?", encoding="utf-8")

    def ended(*arguments: str) -> tuple[int, str, str]:
        status = main(["check-certificate", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    for target in ("spec.py", "spec.py:within"):
        status, out, err = ended("right.cert", "net.qspec", target)
        assert (status, out.splitlines()[0], err) == (0, "HOLDS", "")
        assert f"{len(right.steps)} steps" in out
        assert "no input violates it" in out
    assert ended("right.cert", "net.qspec", "spec.py:within", "--param", "bound=7")[0] == 0
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        status, out, err = ended("right.cert", "net.qspec", "spec.py", "--verified")
    assert (status, out) == (2, "")
    assert "apt-get install -y acl2" in err
    status, out, _ = ended("absent.cert", "net.qspec", "spec.py")
    assert (status, out.splitlines()[0]) == (0, "VIOLATED")
    status, out, _ = ended("wrong.cert", "net.qspec", "spec.py")
    assert (status, out.splitlines()[0]) == (3, "UNKNOWN")
    assert "step " in out
    for arguments, says in (
        (("right.cert", "net.qspec", "spec.py:within", "--param", "bound=8"), "another query"),
        (("right.cert", "net.qspec", "spec.py:reached"), "another kind"),
        (("right.cert", "digits-tiny", "spec.py"), "not about this network"),
        (("right.cert", "nobody", "spec.py"), "no such model"),
        (("broken.cert", "net.qspec", "spec.py"), "cannot be read"),
        (("right.cert", "net.qspec", "spec.py:nobody"), "no property"),
    ):
        status, out, err = ended(*arguments)
        assert (status, out) == (2, "")
        assert says in err
