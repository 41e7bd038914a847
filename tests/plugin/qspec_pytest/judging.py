"""Decide the property of a test, and say of one that does not hold what a reader needs: where, which classes, and how to see it again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NoReturn

import pytest

import qspec as qs
from qspec.language.property import bind
from qspec.language.text import describe
from qspec.language.traversal import is_real
from qspec.show.counterexample import decisions, explain
from qspec.show.point import explain_point
from qspec.verify import options
from qspec.verify.kept import keep, recall
from qspec_pytest import AGAIN, Settings


def judge(spec: qs.Property, settings: Settings, node: pytest.Item, folder: Path | None) -> qs.Result:
    """Return the result of a property that holds; otherwise end the test as its settings say."""
    __tracebackhide__ = True
    bound = bind(spec)
    kept = None if folder is None else recall(folder, bound, options.Settings(timeout=settings.timeout).limits)
    result = qs.verify(bound, solver=settings.solver or None, timeout=settings.timeout) if kept is None else kept
    if kept is None and folder is not None:
        keep(folder, bound, result)
    node.user_properties.append(("qspec", result.verdict.name + ("" if kept is None else AGAIN)))
    if result.verdict is qs.Verdict.UNKNOWN:
        _undecided(f"{result}\n{result.detail}".strip(), settings)
    if result.verdict is qs.Verdict.VIOLATED:
        pytest.fail(_message(bound, result, node, folder), pytrace=False)
    if result.vacuous and not settings.allow_vacuous:
        pytest.fail(f"{result}\n\n{describe(bound)}\n\nallow_vacuous=True of the mark lets this pass", pytrace=False)
    return result


def _undecided(text: str, settings: Settings) -> NoReturn:
    __tracebackhide__ = True
    if settings.unknown == "skip":
        pytest.skip(text)
    if settings.unknown == "xfail":
        pytest.xfail(text)
    pytest.fail(f"{text}\n\nallow more with --qspec-timeout, or let UNKNOWN pass with --qspec-unknown=skip or xfail", pytrace=False)


def _message(spec: qs.Property, result: qs.Result, node: pytest.Item, folder: Path | None) -> str:
    """Return a violation as text: the property, the counterexample, the classes that it is read as, and the command that shows it again."""
    parts = [str(result), describe(spec)]
    if result.counterexample is None:
        parts.append("nothing witnesses it; the evidence is the proof")
    elif is_real(spec):
        parts.append(explain_point(spec, result.codes or {}, result.point or {}))
    else:
        codes = result.codes or {}
        parts += [explain(spec, codes), "\n".join(decisions(spec, codes))]
    again = "replays the kept counterexample, and searches nothing" if folder is not None else "searches again, with the same seed"
    parts.append(f"pytest {shlex.quote(node.nodeid)}  # {again}")
    return "\n\n".join(part for part in parts if part)
