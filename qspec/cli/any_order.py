"""`qspec any-order`: whether a claim about an ONNX file is true for every order in which its float32 sums are added."""

from __future__ import annotations

from typing import cast

from qspec.cli.outcome import CommandOutput, status
from qspec.cli.specs import read_values, split_target
from qspec.conformance.any_order import Claim, any_order
from qspec.errors import SpecError


def run(*, file: str, claim: str, timeout: float | None, memory: int | None, seed: int) -> CommandOutput:
    """Return the verdict on a claim, and the counterexample that a real session showed."""
    found = any_order(file, _claim(claim), timeout=timeout, memory=memory, seed=seed)
    parts = [found.verdict.name, str(found)]
    for name, codes in (found.codes or {}).items():
        parts.append(f"{name} = {codes.reshape(-1).tolist()}")
    parts += [f"outputs = {codes.reshape(-1).tolist()}" for codes in found.outputs]
    results = [] if found.result is None else [found.result]
    return CommandOutput("\n".join(parts), status(found.verdict, results), found.to_dict)


def _claim(target: str) -> Claim:
    """Return the function of a file that is named, or its only one; raises SpecError if there is none, or several without a name."""
    path, name = split_target(target)
    values = read_values(path)
    own = values.get("__name__")
    known = {k: v for k, v in values.items() if not k.startswith("_") and callable(v) and getattr(v, "__module__", None) == own}
    chosen = [v for k, v in known.items() if k == name or not name]
    if len(chosen) != 1:
        given = f"{path.name}:{name}" if name else f"{path.name} with {', '.join(known) or 'no function'}"
        raise SpecError("this names no claim", given=given, expected="FILE.py:NAME, one function of inputs and outputs")
    return cast(Claim, chosen[0])
