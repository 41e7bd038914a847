"""Certificates of real properties and their files: an archive like that of other certificates, in which doubles are stored as their bits.

What the numbers mean is for the checker (real_check.py) to judge; reading trusts nothing, and nothing in a file is evaluated.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import BROKEN, reading, write
from qspec.certificate.real_check import check
from qspec.compile.real_query import compile_real
from qspec.deadline import NEVER, Deadline
from qspec.errors import CertificateError
from qspec.files.atomic import check_plain
from qspec.files.json_cursor import Cursor
from qspec.ir.digest import digest
from qspec.ir.real import Query
from qspec.ir.real_proof import RealProof
from qspec.language.property import Property

SCHEMA = "qspec.real-certificate/1"
WHOLE, DOUBLES = ("tree", "roots", "claims"), ("low", "high", "cuts", "ends", "slopes", "shifts", "weights")


@dataclass(frozen=True, slots=True, eq=False)
class RealCertificate:
    """A proof that the compiled query of a property over the reals has no solution; `query` is its digest."""

    query: str
    property: str
    kind: Literal["forall", "exists"]
    proof: RealProof

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate to a file, atomically; raises CertificateError where that cannot be done."""
        words = {"schema": SCHEMA, "query": self.query, "property": self.property, "kind": self.kind}
        write(path, words, {name: np.ascontiguousarray(getattr(self.proof, name)).view(np.int64) for name in WHOLE + DOUBLES})


def is_real(path: str | os.PathLike[str]) -> bool:
    """Return whether a file looks like a certificate over the reals, by the names of its members; raises SpecError on a device."""
    check_plain(Path(path), "a certificate")
    try:
        with zipfile.ZipFile(path) as archive:
            return "roots.npy" in archive.namelist()
    except BROKEN:
        return False


def load_real(path: str | os.PathLike[str]) -> RealCertificate:
    """Return the certificate in a file; raises CertificateError on anything but a complete one, SpecError on a device."""
    with reading(path, WHOLE + DOUBLES) as (words, arrays):
        return _certificate(words, arrays)


def _certificate(words: Cursor, arrays: dict[str, IntArray]) -> RealCertificate:
    fields = words.fields("schema", "query", "property", "kind")
    if fields["schema"].text() != SCHEMA:
        fields["schema"].fail("unknown schema", SCHEMA, advice="certificates of fixed-point properties are read by qspec.certificate.file")
    kind = fields["kind"].text()
    if kind not in ("forall", "exists"):
        fields["kind"].fail("unknown kind", "forall or exists")
    doubles = {name: arrays[name].view(np.float64) for name in DOUBLES}
    proof = RealProof(**{name: arrays[name] for name in WHOLE}, **doubles)
    return RealCertificate(fields["query"].text(), fields["property"].text(), "forall" if kind == "forall" else "exists", proof)


def check_real_property(certificate: RealCertificate, spec: Property, deadline: Deadline = NEVER) -> int:
    """Check that a certificate proves that nothing violates (or witnesses) a property over the reals; return the number of leaves.

    The property has the values of its parameters. Raises CertificateError if the certificate is about something else or its proof fails,
    OutOfTime at the deadline.
    """
    return check(certificate.proof, claimed_query(certificate, spec, deadline), deadline)


def claimed_query(certificate: RealCertificate, spec: Property, deadline: Deadline = NEVER) -> Query:
    """Return the query that a certificate has to be about; raises CertificateError if it is about something else, OutOfTime."""
    if certificate.kind != spec.kind:
        raise CertificateError("the certificate is about another kind of property", given=certificate.kind, expected=spec.kind)
    query = compile_real(spec, deadline=deadline).query
    found = digest(query)
    if certificate.query != found:
        raise CertificateError(
            "the certificate is about another query",
            given=certificate.query,
            expected=found,
            advice="use the specification, the parameters, the networks and the version of qspec that it was written with",
        )
    return query
