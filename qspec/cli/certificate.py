"""`qspec check-certificate`: follow a proof again, with integers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from qspec.certificate.check import check
from qspec.certificate.claim import Claim, claimed, domains, sources
from qspec.certificate.file import Certificate, load
from qspec.certificate.real_check import check as check_real
from qspec.certificate.real_file import RealCertificate, claimed_query, is_real, load_real
from qspec.certificate.statement import statement
from qspec.certificate.verified import book, check_verified
from qspec.cli.outcome import CommandOutput, Exit, status
from qspec.cli.report import grounds, solutions
from qspec.cli.specs import read_specs
from qspec.cli.terminal import painted
from qspec.errors import CertificateError, SpecError, UnsupportedError
from qspec.face import RealNetwork
from qspec.files.qspec_file import content_hash
from qspec.ir.digest import content
from qspec.language.property import Property
from qspec.language.traversal import networks, real_networks
from qspec.network.graph import RealGraph
from qspec.readers.load import load as load_network
from qspec.verify.cube_and_conquer import confirm
from qspec.verify.result import Result


def run(
    *, certificate: str, network: str, target: str, param: Sequence[str], ask: str | None, timeout: float | None, verified: bool
) -> CommandOutput:
    """Return what the proof proves, with status 0; UNKNOWN if a step fails, or if it assumes something and no solver is asked about that.

    A certificate about something else is an error.
    """
    if is_real(certificate):
        return _real(load_real(certificate), network, target, param, others=verified or ask is not None)
    proof = load(certificate)
    case = _case(proof.property, target, param)
    _check_network(network, case)
    claim = claimed(proof, case)
    if verified:
        return _verified(proof, claim, case)
    try:
        checked = check(proof, claim.query, partial=True)
    except CertificateError as error:
        return _unproved(case, "the proof fails, which does not mean that what it claims is false", error)
    found = claim.proved(checked, proof.assumed)
    if not proof.assumed:
        return CommandOutput(f"{painted(found.verdict)}\n{found}", found=found.to_dict)
    if ask is None:
        return CommandOutput(f"{painted('UNKNOWN')}\n{found}\n`--ask SOLVER` asks a solver about each of them", Exit.UNKNOWN)
    return _asked(confirm(proof, case, solver=ask, timeout=timeout), case, claim, len(proof.assumed))


def _verified(proof: Certificate, claim: Claim, case: Property) -> CommandOutput:
    """Return what the checker makes of a proof whose soundness ACL2 has proved; see docs/certificates.md for what that rests on."""
    book()
    try:
        accepted = check_verified(proof, claim.query)
    except CertificateError as error:
        return _unproved(case, "no verified proof, which does not mean that the claim is false", error)
    checked = f"checked by the verified checker ({accepted.prover}, {accepted.seconds:.2f} s)"
    if accepted.assumed:
        left = f"{claim.verdict} if there is no solution in {domains(accepted.assumed)}, as says {sources(proof.assumed)}; {checked}"
        advice = "`--ask SOLVER` asks a solver about them, without `--verified`"
        return CommandOutput(f"{painted('UNKNOWN')}\n{case.name}: {left}\nquery {proof.query}\n{claim.statement}\n{advice}", Exit.UNKNOWN)
    verdict = claim.verdict
    return CommandOutput(f"{painted(verdict)}\n{case.name}: {verdict}; {checked}\nquery {proof.query}\n{claim.statement}")


def _unproved(case: Property, what: str, error: CertificateError) -> CommandOutput:
    return CommandOutput(f"{painted('UNKNOWN')}\n{case.name}: {what}\n{error}", Exit.UNKNOWN)


def _asked(result: Result, case: Property, claim: Claim, number: int) -> CommandOutput:
    """Return what a solver, asked again about everything that a certificate assumes, makes of it."""
    lines = [painted(result.verdict.name)]
    said = result.certificate
    if said is None:
        lines.append(
            f"{case.name}: {grounds(result)}; the certificate assumes that there is no solution in {domains(number)} ({result.detail})"
        )
    else:
        lines.append(f"{case.name}: the proof is right, if there is no solution in {domains(number)}, as says {sources(said.assumed)}")
    lines.append(str(claim.statement))
    return CommandOutput("\n\n".join(["\n".join(lines), *solutions([case], [result])]), status(result.verdict, [result]))


def _real(proof: RealCertificate, network: str, target: str, param: Sequence[str], *, others: bool) -> CommandOutput:
    """Return what a proof over the reals proves, with status 0; UNKNOWN if a step fails."""
    if others:
        raise UnsupportedError("this certificate is about reals", given="--verified or --ask", expected="neither of them")
    case, since = _case(proof.property, target, param), perf_counter()
    given, used = load_network(network, kind=RealNetwork), real_networks(case)
    if _layers(given) not in map(_layers, used):
        names = " or ".join(n.name for n in used)
        raise CertificateError("the property is not about this network", given=network, expected=names or "a property about a network")
    query = claimed_query(proof, case)
    try:
        leaves = check_real(proof.proof, query)
    except CertificateError as error:
        return _unproved(case, "the proof fails, which does not mean that what it claims is false", error)
    verdict, what = ("HOLDS", "violates") if proof.kind == "forall" else ("VIOLATED", "witnesses")
    told = f"{case.name}: {verdict}, no input {what} it; the proof is right ({leaves} leaves closed, {perf_counter() - since:.2f} s)"
    return CommandOutput(f"{painted(verdict)}\n{told}\nquery {proof.query}\n{statement(case, {}, case.values)}")


def _layers(network: RealGraph) -> str:
    """Return a hash of what a real network computes, whatever it and its layers are called."""
    return content((tuple((replace(s.layer, name=""), s.arguments) for s in network.stages), network.outputs, network.elements))


def _case(name: str, target: str, param: Sequence[str]) -> Property:
    """Return the property that the certificate names among those of a file; the only one there is, whatever it is called."""
    cases = read_specs(target, param)
    named = [c for c in cases if c.name == name]
    if len(cases) > 1 and len(named) != 1:
        raise SpecError("which property?", given=", ".join(c.name for c in cases), expected=f"{target}:NAME")
    return cases[0] if len(cases) == 1 else named[0]


def _check_network(name: str, case: Property) -> None:
    """Raise CertificateError unless the property is about this network."""
    given = content_hash(load_network(name))
    used = {content_hash(n): n.name for n in networks(case)}
    if given not in used:
        raise CertificateError(
            "the property is not about this network",
            given=f"{name}, content {given}",
            expected=" or ".join(f"{label}, content {content}" for content, label in used.items()) or "a property about a network",
        )
