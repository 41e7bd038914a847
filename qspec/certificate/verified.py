"""Have a certificate checked by the verified checker: an ACL2 book (folder book/) whose soundness ACL2 proves before it is used.

The book is certified, which means that ACL2 proves every theorem in it, once for each version of it, into a folder of the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from qspec.certificate.dump_steps import texts
from qspec.certificate.file import Certificate
from qspec.errors import CertificateError, SolverMissingError
from qspec.ir.digest import digest
from qspec.ir.integer import Query

BOOK = Path(__file__).parent / "book"
CHAPTERS = (
    "semantics",
    "rounding",
    "conjugate",
    "vectors",
    "maximum",
    "backward",
    "forward",
    "listing",
    "narrowing",
    "steps",
    "certificate",
    "check",
)
"""The chapters of the book, each after those that it includes; `certificate` has the theorem."""
ACCEPTED, ASIDE = "accepted", "put aside"
ANSWER = r"^(?:query: (\w+)\n)?qspec-certificate: (.*)$"
INSTALL = "apt-get install -y acl2 acl2-books-source acl2-books-certs"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The verified checker accepted a proof; `seconds` is what it took (without certifying the book), `prover` the version of ACL2.

    All solutions of the query lie in the `assumed` domains that a partial certificate puts aside; 0: there is none.
    """

    seconds: float
    prover: str
    assumed: int = 0


def check_verified(certificate: Certificate, query: Query, *, timeout: float | None = None) -> Accepted:
    """Check the proof that a query has no solution, or none but in the domains that it assumes, with the verified checker.

    Raises CertificateError if the certificate is about another query, has a step that the checker has not, or is refused, and if the
    check takes more than `timeout` seconds; SolverMissingError where there is no ACL2.
    """
    found = digest(query)
    if certificate.query != found:
        raise CertificateError("the certificate is about another query", given=certificate.query, expected=found)
    book()
    begun = perf_counter()
    (answer,), said = answers([(query, certificate)], timeout=timeout)
    number = len(certificate.assumed)
    expected = f"{ASIDE} {number} {found}" if number else f"{ACCEPTED} {found}"
    if answer != expected:
        raise CertificateError("the verified checker does not accept the proof", given=answer, expected=expected)
    return Accepted(perf_counter() - begun, version(said), number)


def answers(cases: Sequence[tuple[Query, Certificate]], *, timeout: float | None = None) -> tuple[list[str], str]:
    """Return what the verified checker says to each of some proofs about queries, and all that ACL2 said.

    An answer is "accepted", or "put aside" with a number of domains, and the digest of the query that was checked; or what is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "proofs.lisp").write_text(texts(cases), encoding="ascii")
        commands = f'(include-book "{book()}/check" :uncertified-okp nil)\n(check-file "proofs.lisp" state)\n'
        said = _asked(commands, folder, timeout)
    found = [f"{m[2]} {m[1]}" if m[1] else m[2] for m in re.finditer(ANSWER, said, re.MULTILINE)]
    if len(found) != len(cases):
        raise CertificateError("the verified checker did not answer", given=said[-300:], expected=f"{len(cases)} answers, not {len(found)}")
    return found, said


def prover() -> str:
    """Return the path of ACL2; raises SolverMissingError with what to install where there is none."""
    found = shutil.which("acl2")
    if found is None:
        raise SolverMissingError("the verified checker needs ACL2", given="no program acl2", expected="ACL2 8.5 or later", advice=INSTALL)
    return found


def version(said: str) -> str:
    """Return the version in the greeting of ACL2."""
    found = re.search(r"ACL2 Version ([\w.]+)", said)
    return "ACL2" if found is None else f"ACL2 {found[1]}"


def book() -> Path:
    """Return the folder of the certified book; certifies it first if this version has not been, which takes a minute or more."""
    sources = {name: (BOOK / f"{name}.lisp").read_bytes() for name in CHAPTERS}
    content = hashlib.sha256(b"".join(sources.values()) + prover().encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qspec"
    place = home / f"verified-{content}"
    if place.is_dir():
        return place
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as folder:
            made = Path(folder) / "book"
            made.mkdir()
            for name, data in sources.items():
                (made / f"{name}.lisp").write_bytes(data)
                _certify(made, name)
            if not place.is_dir():
                made.rename(place)
    except OSError as error:
        raise CertificateError(
            "the book cannot be certified", given=str(home), expected="a folder that can be written", advice=str(error)
        ) from None
    return place


def _certify(folder: Path, name: str) -> None:
    said = _asked(f'(certify-book "{name}" ?)\n', str(folder), None)
    if not (folder / f"{name}.cert").is_file():
        raise CertificateError(f"ACL2 does not certify chapter {name}", given=said[-300:], expected="a certified book", advice=INSTALL)


def _asked(commands: str, folder: str, timeout: float | None) -> str:
    """Return what ACL2 says to commands."""
    try:
        ended = subprocess.run(
            [prover()],
            input=commands + "(good-bye)\n",
            cwd=folder,
            env={**os.environ, "ACL2_CUSTOMIZATION": "NONE"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CertificateError("the verified checker did not end in time", given=f"{timeout:g} s", expected="a verdict") from None
    return ended.stdout
