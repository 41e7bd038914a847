"""A plugin of pytest: a test that returns a property passes if the property holds. See docs/pytest.md.

This module is imported whenever pytest starts, so it imports nothing of qspec. `qspec_pytest.judging` does, at the first property.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from qspec import Property, Result

AGAIN = ", checked again"
"""What follows a verdict whose evidence was kept."""
UNKNOWN = ("fail", "skip", "xfail")
"""What a test may do whose property nobody could decide."""
MARK = "qspec(timeout, solver, unknown, allow_vacuous): the test returns a property, which must hold; see `pytest --help`, qspec"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a property is decided, and what becomes of one that is not."""

    timeout: float = 60.0
    solver: str = ""
    unknown: str = "fail"
    allow_vacuous: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float) or not self.timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise pytest.UsageError(f"qspec: timeout={self.timeout!r} is not a number of seconds above 0")
        if self.unknown not in UNKNOWN:
            raise pytest.UsageError(f"qspec: unknown={self.unknown!r} is none of {', '.join(UNKNOWN)}")
        for name, kind in (("solver", str), ("allow_vacuous", bool)):
            if not isinstance(getattr(self, name), kind):
                raise pytest.UsageError(f"qspec: {name}={getattr(self, name)!r} is not of type {kind.__name__}")


@dataclass(frozen=True, slots=True)
class Prover:
    """What the fixture `prove` is: call it with a property whose parameters have their values; the test goes on if it holds."""

    node: pytest.Item
    settings: Settings

    def __call__(self, spec: Property) -> Result:
        """Return the result if the property holds; else fail the test, or what else it is to do with UNKNOWN."""
        from qspec_pytest.judging import judge

        return judge(spec, self.settings, self.node, kept_in(self.node.config))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, each of which can stand in the configuration file as well."""
    group = parser.getgroup("qspec", "properties of quantised networks")
    group.addoption("--qspec-timeout", type=float, metavar="SECONDS", help="wall-clock limit for each property (60)")
    group.addoption("--qspec-solver", metavar="NAME", help="who decides, as `qspec solvers` lists them (the native engine)")
    group.addoption("--qspec-unknown", choices=UNKNOWN, help="what a test does whose property is not decided in time (fail)")
    group.addoption("--qspec-no-cache", action="store_true", help="decide everything again; kept evidence is neither used nor written")
    parser.addini("qspec_timeout", "wall-clock limit in seconds for each property")
    parser.addini("qspec_solver", "who decides properties")
    parser.addini("qspec_unknown", "fail, skip or xfail tests whose property is not decided in time")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and refuse options that make no sense before any test runs."""
    config.addinivalue_line("markers", MARK)
    _general(config)


@pytest.fixture
def prove(request: pytest.FixtureRequest) -> Prover:
    """Return what decides properties within a test: `prove(spec.at(radius=1))` returns the result, or fails the test."""
    node = cast(pytest.Item, request.node)
    return Prover(node, _settings(node))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let a test with the mark be about what it returns."""
    if pyfuncitem.get_closest_marker("qspec") is not None:
        pyfuncitem.obj = _judged(pyfuncitem, pyfuncitem.obj)
    return (yield)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many properties held, and of how many the evidence was checked again."""
    reports = [r for listed in terminalreporter.stats.values() for r in listed if getattr(r, "when", "") == "call"]
    said = [value for r in reports for key, value in r.user_properties if key == "qspec"]
    if said:
        verdicts = [value.removesuffix(AGAIN) for value in said]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))
        kept = sum(value.endswith(AGAIN) for value in said)
        terminalreporter.write_line(f"qspec: {counts}" + (f"; evidence of {kept} checked again instead of a search" if kept else ""))


def kept_in(config: pytest.Config) -> Path | None:
    """Return the folder of kept verdicts in pytest's cache, or None if there is to be none."""
    cache = getattr(config, "cache", None)
    if cache is None or config.getoption("--qspec-no-cache"):
        return None
    return cast(Path, cache.mkdir("qspec"))


def _judged(item: pytest.Function, test: Callable[..., object]) -> Callable[..., None]:
    """Return a test that proves what the test returns; one that proves by the fixture may return nothing."""

    @wraps(test)
    def proved(**arguments: object) -> None:
        __tracebackhide__ = True
        spec = test(**arguments)
        if spec is None and "prove" in item.fixturenames:
            return
        if type(spec).__name__ != "Property":
            pytest.fail(f"a test with the mark `qspec` returns a property; this one returned {spec!r:.200}", pytrace=False)
        Prover(item, _settings(item))(cast("Property", spec))

    return proved


def _general(config: pytest.Config) -> Settings:
    """Return what options say, else the configuration file."""
    settings = Settings()
    for name in ("timeout", "solver", "unknown"):
        value = config.getoption(f"--qspec-{name}")
        if value is None:
            value = config.getini(f"qspec_{name}")
        if value not in (None, ""):
            settings = replace(settings, **{name: _seconds(value) if name == "timeout" else value})
    return settings


def _seconds(value: object) -> float:
    try:
        return float(cast(str, value))
    except ValueError:
        raise pytest.UsageError(f"qspec: qspec_timeout={value!r} is not a number of seconds above 0") from None


def _settings(node: pytest.Item) -> Settings:
    """Return what is said in general, then by the marks of class, module and test, the nearest last."""
    settings = _general(node.config)
    for mark in reversed(list(node.iter_markers("qspec"))):
        known = {f.name for f in fields(Settings)}
        if mark.args or not set(mark.kwargs) <= known:
            given = ", ".join([*map(repr, mark.args), *(k for k in mark.kwargs if k not in known)])
            raise pytest.UsageError(f"qspec: the mark takes {', '.join(sorted(known))} by name, not {given} ({node.nodeid})")
        settings = replace(settings, **mark.kwargs)
    return settings
