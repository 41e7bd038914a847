"""Certificates of real properties and their files: an archive like that of other certificates, in which doubles are stored as their bits.

What the numbers mean is for the checker (real_check.py) to judge; reading trusts nothing, and nothing in a file is evaluated.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import BROKEN, DESCRIPTION, check_members, member, read_array
from qspec.certificate.real_check import check
from qspec.compile.real_query import compile_real
from qspec.deadline import NEVER, Deadline
from qspec.errors import CertificateError, ModelFileError
from qspec.files.atomic import replacing
from qspec.files.json_cursor import Cursor, parse
from qspec.ir.digest import digest
from qspec.ir.real_proof import RealProof
from qspec.language.formulas import Property

SCHEMA = "qspec.real-certificate/1"
WHOLE, DOUBLES = ("tree", "roots"), ("low", "high", "slopes", "shifts", "weights")


@dataclass(frozen=True, slots=True, eq=False)
class RealCertificate:
    """A proof that the compiled query of a property over the reals has no solution; `query` is its digest."""

    query: str
    property: str
    kind: Literal["forall", "exists"]
    proof: RealProof

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate to a file, atomically; raises CertificateError where that cannot be done."""
        place = Path(path)
        words = {"schema": SCHEMA, "query": self.query, "property": self.property, "kind": self.kind}
        try:
            with replacing(place) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                with archive.open(member(DESCRIPTION), "w") as text:
                    text.write(json.dumps(words, indent=1, sort_keys=True).encode())
                for name in WHOLE + DOUBLES:
                    array = np.ascontiguousarray(getattr(self.proof, name))
                    with archive.open(member(f"{name}.npy"), "w", force_zip64=array.nbytes > 2**30) as stored:
                        np.lib.format.write_array(stored, array.view("<i8"), version=(1, 0), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CertificateError(
                "cannot write the certificate", given=str(place), expected="a path in a directory that can be written", advice=str(error)
            ) from None


def load_real(path: str | os.PathLike[str]) -> RealCertificate:
    """Return the certificate in a file; raises CertificateError on anything but a complete one."""
    place = Path(path)
    try:
        with zipfile.ZipFile(place) as archive:
            check_members(archive.infolist(), WHOLE + DOUBLES)
            words = parse(archive.read(DESCRIPTION), DESCRIPTION)
            arrays = {name: read_array(archive, f"{name}.npy") for name in WHOLE + DOUBLES}
        return _certificate(words, arrays)
    except (CertificateError, ModelFileError) as error:
        raise CertificateError(f"{place}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
    except (*BROKEN, RecursionError) as error:
        raise CertificateError(
            f"{place}: the file cannot be read", given=f"{type(error).__name__}: {error}", expected="a complete certificate, a zip archive"
        ) from None


def _certificate(words: Cursor, arrays: dict[str, IntArray]) -> RealCertificate:
    fields = words.fields("schema", "query", "property", "kind")
    if fields["schema"].text() != SCHEMA:
        fields["schema"].fail("unknown schema", SCHEMA, advice="certificates of fixed-point properties are read by qspec.certificate.file")
    kind = fields["kind"].text()
    if kind not in ("forall", "exists"):
        fields["kind"].fail("unknown kind", "forall or exists")
    doubles = {name: arrays[name].view(np.float64) for name in DOUBLES}
    proof = RealProof(tree=arrays["tree"], roots=arrays["roots"], **doubles)
    return RealCertificate(fields["query"].text(), fields["property"].text(), "forall" if kind == "forall" else "exists", proof)


def check_real_property(certificate: RealCertificate, spec: Property, deadline: Deadline = NEVER) -> int:
    """Check that a certificate proves that nothing violates (or witnesses) a property over the reals; return the number of leaves.

    The property has the values of its parameters. Raises CertificateError if the certificate is about something else or its proof fails,
    OutOfTime at the deadline.
    """
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
    return check(certificate.proof, query, deadline)
