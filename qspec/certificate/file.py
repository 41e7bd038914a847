"""Certificates and their files: a zip archive of one JSON text and four arrays of integers (see docs/certificates.md).

Nothing is pickled, and nothing in a file is evaluated. Reading trusts nothing: names and sizes are checked before anything is unpacked,
types and shapes after. What the numbers mean is for the checker to judge.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import CertificateError, ModelFileError
from qspec.files.arrays import HEADER, MAGIC
from qspec.files.atomic import check_plain, replacing
from qspec.files.json_cursor import Cursor, parse

SCHEMA = "qspec.certificate/1"
PARTIAL = "qspec.partial-certificate/1"
"""The schema of a certificate that assumes something, so that nobody takes it for a full one."""
DESCRIPTION = "certificate.json"
ARRAYS = ("steps", "slopes", "multipliers", "weights")
PROPAGATE, TIGHTEN, SPLIT, CHOOSE, EMPTY, CLOSE, ASSUME, BOUND, LIST = range(9)
KINDS = ("propagate", "tighten", "split", "choose", "empty", "close", "assume", "bound", "list")
"""Names of the kinds of steps, by number."""
MAX_BYTES = 2**32
"""Largest sum of the unpacked members."""
MAX_DESCRIPTION = 2**26
"""Largest JSON text in bytes."""
MAX_BITS = 60
"""Most bits of `scale`, and largest `slope_bits`."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError)
"""What the standard library raises on damaged archives."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """Who says that an assumed domain has no solution; nothing in a certificate proves it."""

    solver: str
    version: str
    theory: str


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A proof that a compiled query has no solution; raises CertificateError if the parts do not fit together.

    It is partial if it assumes that some domains have none: there is one of `assumed` for each `assume` step, by its number.

    `query` is the digest of the query, `networks` the content hashes of the networks that the property is about, `parameters` plain JSON
    values (whole numbers, texts, lists). Arrays are int64: `steps` of shape (steps, 4), `slopes` (tighten steps, 2, multipliers),
    `multipliers` (close and bound steps, multipliers), `weights` (n, 4).
    """

    query: str
    property: str
    kind: Literal["forall", "exists"]
    parameters: Mapping[str, object]
    networks: tuple[str, ...]
    scale: int
    slope_bits: int
    steps: IntArray
    slopes: IntArray
    multipliers: IntArray
    weights: IntArray
    assumed: tuple[Assumption, ...] = ()

    def __post_init__(self) -> None:
        _check_words(self)
        steps = _ranked(self, "steps", (None, 4))
        kinds = steps[:, 0]
        if steps.size and (kinds.min() < 0 or kinds.max() > LIST):
            raise CertificateError("a step of no known kind", given=int(kinds.max()), expected=f"0 ({KINDS[0]}) to {LIST} ({KINDS[-1]})")
        numbers = np.sort(steps[kinds == ASSUME, 1])
        if not np.array_equal(numbers, np.arange(len(self.assumed))):
            given, wanted = f"numbers {numbers[:9].tolist()}", f"each of {len(self.assumed)} assumptions once, counted from 0"
            raise CertificateError("assume steps do not fit the assumptions", given=given, expected=wanted)
        width = _ranked(self, "multipliers", (int(np.sum((kinds == CLOSE) | (kinds == BOUND))), None)).shape[1]
        _ranked(self, "slopes", (int(np.sum(kinds == TIGHTEN)), 2, width))
        _ranked(self, "weights", (None, 4))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate to a file, atomically: the file is there and complete, or as it was before. Raises CertificateError."""
        words = {
            "schema": PARTIAL if self.assumed else SCHEMA,
            "query": self.query,
            "property": self.property,
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "networks": list(self.networks),
            "scale": self.scale,
            "slope_bits": self.slope_bits,
            **({"assumed": [asdict(a) for a in self.assumed]} if self.assumed else {}),
        }
        write(path, words, {name: getattr(self, name) for name in ARRAYS})


def load(path: str | os.PathLike[str]) -> Certificate:
    """Return the certificate in a file; raises CertificateError on anything but a complete, consistent one, SpecError on a device."""
    with reading(path, ARRAYS) as (words, arrays):
        return _certificate(words, arrays)


def write(path: str | os.PathLike[str], words: Mapping[str, object], arrays: Mapping[str, IntArray]) -> None:
    """Write a description and arrays of int64, atomically, in a fixed order with a fixed date, so that equal certificates give equal bytes.

    Raises CertificateError where that cannot be done.
    """
    place = Path(path)
    try:
        with replacing(place) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(_member(DESCRIPTION), "w") as text:
                text.write(json.dumps(words, indent=1, sort_keys=True, allow_nan=False).encode())
            for name, values in arrays.items():
                array = np.ascontiguousarray(values, dtype="<i8")
                with archive.open(_member(f"{name}.npy"), "w", force_zip64=array.nbytes > 2**30) as stored:
                    np.lib.format.write_array(stored, array, version=(1, 0), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CertificateError(
            "cannot write the certificate", given=str(place), expected="a path in a directory that can be written", advice=str(error)
        ) from None


@contextmanager
def reading(path: str | os.PathLike[str], names: Sequence[str]) -> Generator[tuple[Cursor, dict[str, IntArray]]]:
    """Read the description and the arrays of a certificate for a block that makes sense of them.

    Raises CertificateError with the file's name on what is not complete, here and in the block, and SpecError on a device.
    """
    place = Path(path)
    check_plain(place, "a certificate")
    try:
        with zipfile.ZipFile(place) as archive:
            _check_members(archive.infolist(), names)
            words = parse(archive.read(DESCRIPTION), DESCRIPTION)
            arrays = {name: _array(archive, f"{name}.npy") for name in names}
        yield words, arrays
    except (CertificateError, ModelFileError) as error:
        raise CertificateError(f"{place}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
    except (*BROKEN, RecursionError) as error:
        raise CertificateError(
            f"{place}: the file cannot be read", given=f"{type(error).__name__}: {error}", expected="a complete certificate, a zip archive"
        ) from None


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, zipfile.ZIP_DEFLATED
    return info


def _check_members(members: list[zipfile.ZipInfo], arrays: Sequence[str]) -> None:
    """Check names, sizes and methods before anything is unpacked."""
    wanted = [DESCRIPTION, *(f"{name}.npy" for name in arrays)]
    names = Counter(m.filename for m in members)
    if twice := sorted(n for n, count in names.items() if count > 1):
        raise CertificateError("a member occurs twice", given=twice[:5], expected="distinct names")
    if set(names) != set(wanted):
        missing, others = [n for n in wanted if n not in names], [n for n in names if n not in wanted][:5]
        given = " and ".join([f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(others)}"] * bool(others))
        raise CertificateError("the archive has not the members of a certificate", given=given, expected=", ".join(wanted))
    for member in members:
        limit = MAX_DESCRIPTION if member.filename == DESCRIPTION else MAX_BYTES
        if member.file_size > limit:
            raise CertificateError(f"{member.filename} is too large", given=f"{member.file_size} bytes", expected=f"at most {limit} bytes")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            given = "encryption" if member.flag_bits & 1 else f"method {member.compress_type}"
            raise CertificateError(
                f"{member.filename} is packed in a way that is not read", given=given, expected="stored or deflated, not encrypted"
            )
    total = sum(m.file_size for m in members)
    if total > MAX_BYTES:
        raise CertificateError("the file unpacks to too much", given=f"{total} bytes", expected=f"at most {MAX_BYTES} bytes")


def _array(archive: zipfile.ZipFile, name: str) -> IntArray:
    """Return the array in a member, whose length must be what its header says."""
    with archive.open(name) as stream:
        magic = stream.read(len(MAGIC))
        count = stream.read(2)
        text = stream.read(int.from_bytes(count, "little"))
        header = HEADER.fullmatch(text) if magic == MAGIC else None
        if header is None:
            raise CertificateError(f"{name} is not an array of integers", given=magic + text[:64], expected="a .npy file, version 1.0")
        descr, fortran, extent = (part.decode("ascii") for part in header.groups())
        if descr != "<i8" or fortran != "False":
            order = ", Fortran order" if fortran == "True" else ""
            raise CertificateError(f"{name} is of the wrong type", given=descr + order, expected="<i8, C order")
        if re.search(r"[0-9]{16}", extent) or extent.count(",") > 8:
            raise CertificateError(f"{name} has no sensible shape", given=extent, expected="two or three small numbers")
        shape = tuple(int(axis) for axis in extent.replace(" ", "").split(",") if axis)
        left = archive.getinfo(name).file_size - len(magic) - len(count) - len(text)
        if math.prod(shape) * 8 != left:
            raise CertificateError(f"{name} has the wrong length", given=f"{left} bytes", expected=f"{math.prod(shape) * 8} bytes: {shape}")
        return np.frombuffer(stream.read(), "<i8").astype(np.int64, copy=False).reshape(shape)


def _certificate(words: Cursor, arrays: dict[str, IntArray]) -> Certificate:
    schema = words.at("schema")
    if schema.text() not in (SCHEMA, PARTIAL):
        schema.fail("unknown schema", f"{SCHEMA} or {PARTIAL}", advice="a newer version of qspec may have written the file")
    partial = ["assumed"] * (schema.text() == PARTIAL)
    fields = words.fields("schema", "query", "property", "kind", "parameters", "networks", "scale", "slope_bits", *partial)
    parameters = fields["parameters"].value
    if not isinstance(parameters, dict):
        fields["parameters"].fail("an object is expected", "{…}")
    return Certificate(
        fields["query"].text(),
        fields["property"].text(),
        cast('Literal["forall", "exists"]', fields["kind"].text()),
        cast("dict[str, object]", parameters),
        tuple(n.text() for n in fields["networks"].items()),
        fields["scale"].whole(),
        fields["slope_bits"].whole(),
        **arrays,
        assumed=tuple(_assumption(a) for name in partial for a in fields[name].items()),
    )


def _assumption(words: Cursor) -> Assumption:
    fields = words.fields("solver", "version", "theory")
    return Assumption(fields["solver"].text(), fields["version"].text(), fields["theory"].text())


def _check_words(certificate: Certificate) -> None:
    """Check everything but the arrays."""
    if certificate.kind not in ("forall", "exists"):
        raise CertificateError("a property of no known kind", given=certificate.kind, expected="forall or exists")
    if not 1 <= certificate.scale <= 2**MAX_BITS:
        raise CertificateError("the scale is out of range", given=certificate.scale, expected=f"1 to 2^{MAX_BITS}")
    if not 1 <= certificate.slope_bits <= MAX_BITS:
        raise CertificateError("slope_bits is out of range", given=certificate.slope_bits, expected=f"1 to {MAX_BITS}")
    for name, value in certificate.parameters.items():
        if not _plain(value):
            raise CertificateError(f"parameter {name!r} is not plain", given=repr(value), expected="whole numbers, texts, or lists of them")


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_plain(v) for v in cast("list[object]", value))
    return isinstance(value, int | str) and not isinstance(value, bool)


def _ranked(certificate: Certificate, name: str, shape: tuple[int | None, ...]) -> IntArray:
    """Return an array of a certificate if its type and shape are right; None stands for any extent."""
    array: IntArray = getattr(certificate, name)
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    if not isinstance(array, np.ndarray) or array.dtype != np.int64:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CertificateError(f"{name} is not an array of int64", given=type(array).__name__, expected=f"int64, shape {wanted}")
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise CertificateError(f"{name} has the wrong shape", given=array.shape, expected=wanted)
    return array
