"""Verdicts, and the evidence they stand on. A result checks itself when it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NoReturn, assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.certificate.file import Assumption, Certificate
from qspec.errors import InternalError, SpecError
from qspec.ir.real import ExactArray, fractions
from qspec.ir.real_proof import RealProof
from qspec.language.expressions import constant
from qspec.network.graph import Graph
from qspec.problem import Fidelity
from qspec.solver import CheckedProof, Limits, Reason, Rung, Status
from qspec.support.plain import plain as json_values
from qspec.verify.shown import html, shown

if TYPE_CHECKING:
    from qspec.certificate.real_file import RealCertificate

SCHEMA = "qspec.result/2"
VACUOUSLY = "(vacuously: nothing meets the assumption)"
UNEXAMINED = "(not examined whether anything meets the assumption)"
Proof = Mapping[str, IntArray | int | tuple[Assumption, ...]]


class Verdict(Enum):
    """What is true of the property."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    UNKNOWN = "UNKNOWN"


class Evidence(Enum):
    """What a verdict stands on."""

    BOUNDS = "exact interval bounds decided it before any solver was asked"
    ATTACK = "a concrete assignment was found by search and replayed"
    MODEL = "the model of a solver was replayed"
    PROOF = "a solver proved an exact or over-approximating problem unsatisfiable"
    CHECKED = "a solver proved the same, and a checker accepted its proofs"
    CERTIFICATE = "branch and bound proved it in integers; the certificate can be checked"
    NONE = "nothing conclusive"


@dataclass(frozen=True, slots=True)
class Times:
    """Wall-clock seconds of each stage."""

    compile: float = 0.0
    presolve: float = 0.0
    attack: float = 0.0
    lower: float = 0.0
    solve: float = 0.0
    replay: float = 0.0

    @property
    def total(self) -> float:
        return self.compile + self.presolve + self.attack + self.lower + self.solve + self.replay


@dataclass(frozen=True, slots=True)
class Answered:
    """What a solver answered of one compiled problem."""

    status: Status
    reason: Reason | None
    detail: str
    seconds: float
    theory: str
    fidelity: Fidelity
    size: int
    """Bytes of SMT-LIB text, terms in the rows of a MILP, or elements of a grid problem."""
    statistics: Mapping[str, float | int | str] = field(default_factory=dict[str, float | int | str])
    numerical: bool = False
    """The answer stands on rounded numbers, so that nothing follows from it but what a replay confirms."""
    trace: tuple[Rung, ...] = ()
    """What the solver tried, in order, if it tells."""
    checked: CheckedProof | None = None
    """The proof of an `unsat`, and what a checker answered of it, if one was asked for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """The verdict on one property, with everything needed to check or repeat it.

    `codes` are the codes of every fixed-point variable of the counterexample (or the witness of an `exists` property), `point` the exact
    values of every real one, in the variable's shape. Raises InternalError if the evidence does not carry the verdict.
    """

    verdict: Verdict
    kind: Literal["forall", "exists"]
    name: str
    evidence: Evidence
    codes: Mapping[str, IntArray] | None = None
    reason: Reason | None = None
    detail: str = ""
    vacuous: bool | None = None
    """Whether a `forall` property holds because nothing meets its assumption; None where nobody could tell, or nothing was to be told."""
    solver: str = ""
    solver_version: str = ""
    answers: tuple[Answered, ...] = ()
    limits: Limits = field(default_factory=Limits)
    times: Times = field(default_factory=Times)
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    networks: tuple[Graph, ...] = field(default=(), repr=False)
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    violations: int | None = None
    """Exact number of violating (or witnessing) assignments, where it was counted."""
    point: Mapping[str, ExactArray] | None = None
    """Fractions, of every real variable; None if there is none."""
    rows: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict[str, Mapping[str, str | int]])
    """The codes of variables with named features in words, by variable and feature, each after the parameter that it was changed from."""
    proof: Proof | None = field(default=None, repr=False)
    """What the certificate is made of, if the native engine proved the verdict."""
    real_proof: RealProof | None = field(default=None, repr=False)
    """The same of a verdict about reals, if dual bounds proved it."""

    def __post_init__(self) -> None:
        found = self.verdict is (Verdict.VIOLATED if self.kind == "forall" else Verdict.HOLDS)
        absent = (Evidence.PROOF, Evidence.CHECKED, Evidence.BOUNDS, Evidence.CERTIFICATE)
        conclusive = self.evidence in ((Evidence.ATTACK, Evidence.MODEL, Evidence.BOUNDS) if found else absent)
        if self.verdict is Verdict.UNKNOWN:
            sound = self.evidence is Evidence.NONE and self.reason is not None
        else:
            exact = self.evidence is not Evidence.PROOF or not any(s.numerical and s.status == "unsat" for s in self.answers)
            checked = self.evidence is not Evidence.CHECKED or any(p.accepted for p in self.proofs)
            sound = conclusive and exact and checked and (self.codes is not None or self.point is not None) == found
        if not sound:
            raise InternalError(
                "this evidence does not carry this verdict", given=f"{self.verdict.name} of {self.kind}, evidence {self.evidence.name}"
            )

    def __bool__(self) -> NoReturn:
        raise SpecError(
            "a result is not a truth value", given=self.verdict.name, expected="a comparison", advice="result.verdict is qs.Verdict.HOLDS"
        )

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of the verdict, which `save` writes to a file, or None: only the native engine's proofs have one.

        It is partial, and says what it assumes, where other solvers were asked about a part of the input space.
        """
        if self.proof is None:
            return None
        return Certificate(
            self.hashes["query"],
            self.name,
            self.kind,
            {k: plain(v) for k, v in self.parameters.items()},
            self._network_hashes(),
            **dict(self.proof),  # pyright: ignore[reportArgumentType]
        )

    @property
    def real_certificate(self) -> RealCertificate | None:
        """The certificate of a verdict about reals, which `save` writes to a file, or None: only proofs by dual bounds have one."""
        if self.real_proof is None:
            return None
        from qspec.certificate.real_file import RealCertificate  # here, because `import qspec` is to be quick

        return RealCertificate(self.hashes["query"], self.name, self.kind, self.real_proof)

    @property
    def proofs(self) -> tuple[CheckedProof, ...]:
        """The proofs that solvers wrote, with what a checker answered of each; none unless the option `proof` asked for them."""
        return tuple(answered.checked for answered in self.answers if answered.checked is not None)

    def _network_hashes(self) -> tuple[str, ...]:
        from qspec.files.qspec_file import content_hash  # here, because `import qspec` is to be quick

        return tuple(content_hash(n) for n in self.networks)

    @property
    def counterexample(self) -> Mapping[str, IntArray] | None:
        """The codes of every variable of a violation, and the exact values of real ones, or None."""
        return self._solution if self.kind == "forall" else None

    @property
    def witness(self) -> Mapping[str, IntArray] | None:
        """The codes of every variable of a witness of an `exists` property, and the exact values of real ones, or None."""
        return self._solution if self.kind == "exists" else None

    @property
    def _solution(self) -> Mapping[str, IntArray] | None:
        return self.codes if self.point is None else {**(self.codes or {}), **self.point}

    @property
    def trace(self) -> tuple[Rung, ...]:
        """What was tried on the way to the verdict, in order: each means with its wall-clock seconds and what came of it."""
        return tuple(rung for answered in self.answers for rung in answered.trace)

    @property
    def unexamined(self) -> bool:
        """Whether a `forall` property holds, and limits left open whether anything meets its assumption."""
        return self.kind == "forall" and self.verdict is Verdict.HOLDS and self.vacuous is None

    def __str__(self) -> str:
        parts = [self.verdict.name]
        if self.vacuous:
            parts.append(VACUOUSLY)
        if self.unexamined:
            parts.append(UNEXAMINED)
        if self.verdict is Verdict.UNKNOWN and self.reason is not None:
            parts.append(f"({self.reason.value})")
        parts.append(f"{self.name}, {self.solver or 'bounds'}, {self.times.total:.2f} s")
        return " ".join(parts)

    def __repr__(self) -> str:
        return shown(str(self), "counterexample" if self.kind == "forall" else "witness", self._solution or {})

    def _repr_html_(self) -> str:
        return html(self.verdict.name, str(self), self._solution or {}, self.rows, self.parameters)

    def to_dict(self) -> dict[str, object]:
        """Return the result as JSON values, schema `qspec.result/2`."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "kind": self.kind,
            "verdict": self.verdict.name,
            "evidence": self.evidence.name,
            "vacuous": self.vacuous,
            "reason": self.reason.name if self.reason else None,
            "detail": self.detail,
            "codes": None if self.codes is None else {k: np.asarray(v).tolist() for k, v in self.codes.items()},
            "point": None if self.point is None else {k: plain(v) for k, v in self.point.items()},
            **({"rows": {k: dict(row) for k, row in self.rows.items()}} if self.rows else {}),
            "violations": self.violations,
            "solver": self.solver,
            "solver_version": self.solver_version,
            "answers": [
                {
                    "status": s.status,
                    "reason": s.reason.name if s.reason else None,
                    "detail": s.detail,
                    "seconds": s.seconds,
                    "theory": s.theory,
                    "fidelity": s.fidelity.value,
                    "size": s.size,
                    "numerical": s.numerical,
                    "statistics": dict(s.statistics),
                    **({"trace": [[r.name, r.seconds, r.outcome] for r in s.trace]} if s.trace else {}),
                    **({"checked": asdict(s.checked)} if s.checked else {}),
                }
                for s in self.answers
            ],
            "limits": {"seconds": self.limits.seconds, "memory": self.limits.memory, "seed": self.limits.seed},
            "times": {k: getattr(self.times, k) for k in Times.__slots__},
            "parameters": {k: plain(v) for k, v in self.parameters.items()},
            "hashes": {
                **self.hashes,
                **{f"network {k} ({n.name})": h for k, (n, h) in enumerate(zip(self.networks, self._network_hashes(), strict=True))},
            },
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Return the result that `to_dict` wrote, without its networks, whose hashes stay; raises SpecError if it is none."""
        if data.get("schema") != SCHEMA:
            raise SpecError("not a stored result", given=data.get("schema"), expected=f"schema {SCHEMA}")
        try:
            return cls(
                Verdict[data["verdict"]],
                data["kind"],
                data["name"],
                Evidence[data["evidence"]],
                codes=None if data["codes"] is None else {k: integers(v) for k, v in data["codes"].items()},
                point=None if data.get("point") is None else {k: _fractions(v) for k, v in data["point"].items()},
                reason=_reason(data["reason"]),
                answers=tuple(_answered(s) for s in data["answers"]),
                limits=Limits(**data["limits"]),
                times=Times(**data["times"]),
                rows={k: dict(row) for k, row in data.get("rows", {}).items()},
                **{k: dict(data[k]) for k in ("parameters", "hashes", "versions")},
                **{k: data[k] for k in ("detail", "vacuous", "solver", "solver_version", "violations")},
            )
        except (KeyError, TypeError, ValueError, AttributeError, InternalError) as error:
            raise SpecError("a stored result is damaged", given=f"{type(error).__name__}: {error}", expected=f"schema {SCHEMA}") from None

    def to_json(self) -> str:
        """Return the result as JSON text."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, allow_nan=False)


def _reason(name: str | None) -> Reason | None:
    return None if name is None else Reason[name]


def _answered(data: Mapping[str, Any]) -> Answered:
    read: dict[str, Any] = {
        "reason": _reason(data["reason"]),
        "fidelity": Fidelity(data["fidelity"]),
        "statistics": dict(data["statistics"]),
        "trace": tuple(Rung(*r) for r in data.get("trace", ())),
        "checked": CheckedProof(**data["checked"]) if data.get("checked") else None,
    }
    return Answered(**{**data, **read})


def all_hold(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that all of some hold: VIOLATED if one is, else UNKNOWN if one is, else HOLDS."""
    found = set(verdicts)
    return next((v for v in (Verdict.VIOLATED, Verdict.UNKNOWN) if v in found), Verdict.HOLDS)


def some_hold(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that one of some holds: HOLDS if one does, else UNKNOWN if one is, else VIOLATED."""
    found = set(verdicts)
    return next((v for v in (Verdict.HOLDS, Verdict.UNKNOWN) if v in found), Verdict.VIOLATED)


def judge(
    kind: Literal["forall", "exists"], status: Status, fidelity: Fidelity, replayed: bool | None, *, numerical: bool = False
) -> Verdict | Literal["unsound", "spurious"]:
    """Return the verdict that an answer carries; `replayed` is whether its model is a true solution (None without a model).

    "unsound" means that the answer contradicts the reference integers; "spurious" that a relaxation was too loose, or floating point erred.
    """
    found, absent = (Verdict.VIOLATED, Verdict.HOLDS) if kind == "forall" else (Verdict.HOLDS, Verdict.VIOLATED)
    match status:
        case "unsat":
            return Verdict.UNKNOWN if fidelity is Fidelity.UNDER else absent
        case "sat":
            return found if replayed else "spurious" if fidelity is Fidelity.OVER or numerical else "unsound"
        case "delta-sat":
            return found if replayed else "spurious"
        case "unknown":
            return Verdict.UNKNOWN
        case _:
            assert_never(status)


def _fractions(values: object) -> ExactArray:
    return fractions(constant(values).values)


def plain(value: object) -> object:
    """Return a parameter's value as JSON: whole numbers, or exact ratios as text."""
    return json_values(constant(value).values)
