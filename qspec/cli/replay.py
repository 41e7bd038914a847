"""`qspec replay`: run stored counterexamples again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.shapes import check_one
from qspec.cli.outcome import CommandOutput, Exit
from qspec.cli.report import SCHEMA, solution
from qspec.cli.specs import choose, read_file, split_target
from qspec.cli.terminal import painted
from qspec.compile.real_query import compile_real
from qspec.errors import SpecError
from qspec.files.atomic import check_plain
from qspec.ir.digest import digest
from qspec.ir.real import ExactArray, fractions
from qspec.language import real_interpret
from qspec.language.expressions import constant
from qspec.language.interpret import witnesses
from qspec.language.property import Property, bind
from qspec.language.traversal import is_real
from qspec.support.json_text import parse
from qspec.verify.decide import query
from qspec.verify.result import SCHEMA as RESULT_SCHEMA


@dataclass(frozen=True, slots=True, eq=False)
class StoredResult:
    """What a stored result says of one property, as far as a replay needs it."""

    name: str
    codes: Mapping[str, object]
    point: Mapping[str, object]
    parameters: Mapping[str, object]
    hash: str


def run(*, results: str, target: str | None) -> CommandOutput:
    """Return whether every stored counterexample still violates its property (or witness still witnesses it)."""
    stored, source = read_results(results)
    given = target or source
    if not given:
        raise SpecError("which specification?", given=results, expected="qspec replay RESULT.json FILE.py[:NAME]")
    path, name = split_target(given)
    properties = choose(read_file(path).properties, name, path)
    replayed = [_replay(s, _property(s, properties, path)) for s in stored]
    verdicts = {verdict for verdict, _ in replayed}
    verdict = next(v for v in ("UNKNOWN", "VIOLATED", "HOLDS") if v in verdicts)
    text = "\n\n".join([painted(verdict), *(text for _, text in replayed)])
    listed = [{"name": s.name, "verdict": v} for s, (v, _) in zip(stored, replayed, strict=True)]
    return CommandOutput(text, Exit[verdict], lambda: {"verdict": verdict, "results": listed})


def read_results(file: str) -> tuple[list[StoredResult], str]:
    """Return the results in a file that have codes or points, and the specification it names; raises SpecError if there are none."""
    check_plain(file, "what is read")
    try:
        content = parse(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError("cannot read stored results", given=file, expected=f"what `qspec verify --json` wrote ({error})") from None
    whole = _mapping(content, file)
    many = whole.get("schema") == SCHEMA
    if not many and whole.get("schema") != RESULT_SCHEMA:
        raise SpecError("not stored results", given=whole.get("schema"), expected=f"schema {SCHEMA} or {RESULT_SCHEMA}")
    items = whole.get("results") if many else [content]
    if not isinstance(items, list):
        raise SpecError("stored results are damaged", given=items, expected="a list of results")
    mappings = [_mapping(item, file) for item in cast(Sequence[object], items)]
    found = [_stored(m, file) for m in mappings if m.get("codes") is not None or m.get("point") is not None]
    if not found:
        raise SpecError("nothing to replay", given=file, expected="a result with a counterexample")
    return found, str(whole.get("target", ""))


def _stored(item: Mapping[str, object], file: str) -> StoredResult:
    codes, point, parameters, hashes = (_mapping(item.get(k) or {}, file) for k in ("codes", "point", "parameters", "hashes"))
    return StoredResult(str(item.get("name")), codes, point, parameters, str(hashes.get("query", "")))


def _mapping(value: object, file: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise SpecError("stored results are damaged", given=value, expected=f"an object in {file}")
    return cast(Mapping[str, object], value)


def _property(stored: StoredResult, properties: Mapping[str, Property], path: Path) -> Property:
    """Return the property of this name; the only one there is, whatever it is called."""
    if len(properties) == 1:
        return next(iter(properties.values()))
    return next(iter(choose(properties, stored.name, path).values()))


def _replay(stored: StoredResult, spec: Property) -> tuple[str, str]:
    """Return the verdict of the stored codes and what to say of them."""
    given = replace(spec, values={}).at(**stored.parameters)
    bound = bind(given)
    codes, point = _codes(stored, spec), _point(stored, spec)
    good = real_interpret.witnesses(bound, codes, point) is True if is_real(bound) else witnesses(bound, codes)
    forall = spec.kind == "forall"
    verdict = ("VIOLATED" if forall else "HOLDS") if good else "UNKNOWN"
    verb = "violate" if forall else "witness"
    said = f"the stored codes {verb} it, exactly" if good else f"the stored codes do not {verb} it, which says nothing of others"
    lines = [f"{stored.name}: {painted(verdict)}  {said}"]
    now = compile_real(bound).query if is_real(bound) else query(bound)
    if stored.hash and stored.hash != digest(now):
        lines.append("the specification or its network has changed since")
    return verdict, "\n".join(lines) + "\n\n" + solution(given, codes, point)


def _point(stored: StoredResult, spec: Property) -> dict[str, ExactArray]:
    """Return stored values in the shapes of the real variables; raises SpecError if they do not fit."""
    point: dict[str, ExactArray] = {}
    for v in spec.reals:
        values = fractions(constant(stored.point.get(v.name, [])).values)
        check_one(values.shape, v.shape, f"the stored values of {v.name!r}")
        point[v.name] = values.reshape(v.shape)
    return point


def _codes(stored: StoredResult, spec: Property) -> dict[str, IntArray]:
    """Return stored codes in the shapes of the variables; raises SpecError if they do not fit."""
    codes: dict[str, IntArray] = {}
    for v in spec.variables:
        values = integers(stored.codes.get(v.name, []))
        check_one(values.shape, v.shape, f"the stored codes of {v.name!r}")
        codes[v.name] = values.reshape(v.shape)
    return codes
