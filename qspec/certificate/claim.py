"""What a certificate says of a property: compile the property, compare, check the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qspec.certificate.check import Checked, check
from qspec.certificate.file import Assumption, Certificate
from qspec.certificate.statement import Statement, differences, statement
from qspec.compile.query import compile_property
from qspec.errors import CertificateError
from qspec.files.qspec_file import content_hash
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.language.property import Property, bind
from qspec.language.traversal import networks
from qspec.support.plain import document


@dataclass(frozen=True, slots=True)
class Proved:
    """What was proved of a property: HOLDS if nothing violates a `forall`, VIOLATED if nothing witnesses an `exists`.

    Of a partial certificate: what follows if each of the assumed domains has no solution, as somebody is said to have said.
    """

    property: str
    verdict: Literal["HOLDS", "VIOLATED"]
    checked: Checked
    statement: Statement
    assumed: tuple[Assumption, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.proved/1`; exact numbers stay exact."""
        return document(self, "qspec.proved/1")

    def __str__(self) -> str:
        return f"{self._proof()}\n{self.statement}"

    def _proof(self) -> str:
        what = "no input violates it" if self.verdict == "HOLDS" else "no input witnesses it"
        counts = f"{self.checked.steps} steps, {self.checked.domains} domains closed, {self.checked.seconds:.2f} s"
        if not self.assumed:
            return f"{self.property}: {self.verdict}, {what}; the proof is right ({counts})"
        where = domains(len(self.assumed))
        return (
            f"{self.property}: {self.verdict} if there is no solution in {where}, which is not proved; the rest of the proof is right\n"
            f"({counts}); there is none, the certificate says, according to {sources(self.assumed)}"
        )


def domains(number: int) -> str:
    """Return a number of domains in words."""
    return "1 domain" if number == 1 else f"{number} domains"


def sources(assumed: Sequence[Assumption]) -> str:
    """Return who said of how many domains that they have no solution."""
    return ", ".join(f"{a.solver} {a.version} ({a.theory}): {count}" for a, count in Counter(assumed).items())


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """What a certificate says of a property: the `query` that its proof must be about, and what that means in words."""

    spec: Property
    query: Query
    statement: Statement

    @property
    def verdict(self) -> Literal["HOLDS", "VIOLATED"]:
        """What a right proof means: nothing violates a `forall`, or nothing witnesses an `exists`."""
        return "HOLDS" if self.spec.kind == "forall" else "VIOLATED"

    def proved(self, checked: Checked, assumed: tuple[Assumption, ...] = ()) -> Proved:
        """Return what a right proof proves."""
        return Proved(self.spec.name, self.verdict, checked, self.statement, assumed)


def check_property(certificate: Certificate, spec: Property, *, partial: bool = False) -> Proved:
    """Check that a certificate proves what it says of a property; parameters are those recorded in it unless the property has other values.

    Raises CertificateError if it is about another property, parameter or network, or if its proof fails; also if it assumes anything,
    unless a `partial` one will do.
    """
    claim = claimed(certificate, spec)
    return claim.proved(check(certificate, claim.query, partial=partial), certificate.assumed)


def claimed(certificate: Certificate, spec: Property) -> Claim:
    """Return what a certificate claims of a property; parameters are those recorded in it unless the property has other values.

    Raises CertificateError if it is about something else, and says which parameter differs, if one does.
    """
    if certificate.kind != spec.kind:
        raise CertificateError("the certificate is about another kind of property", given=certificate.kind, expected=spec.kind)
    recorded, given = certificate.parameters, spec.values
    bound = bind(spec, {**recorded, **given})
    hashes = [content_hash(n) for n in networks(bound)]
    if sorted(hashes) != sorted(certificate.networks):
        named = ", ".join(certificate.networks) or "no network"
        raise CertificateError("the certificate is about other networks", given=named, expected=", ".join(hashes) or "no network")
    query = compile_property(bound).query
    found = digest(query)
    if certificate.query != found:
        raise CertificateError(
            "the certificate is about another query",
            given=certificate.query,
            expected=found,
            advice="; ".join(differences(spec, recorded, given))
            or "the parameters are those recorded: use the specification and version of qspec that it was written with",
        )
    return Claim(spec, query, statement(spec, recorded, given))
