"""Say whether a solver is installed, and where its executable lies, without importing or starting it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

from qspec.solver import Availability


@cache
def version(project: str) -> str:
    """Return the version of an installed package, looked up once; raises PackageNotFoundError."""
    return installed(project)


def package(module: str, project: str, install: str) -> Availability:
    """Return the availability of a Python package that is imported as `module` and installed as `project`."""
    if find_spec(module) is None:
        return Availability(False, missing=f"the Python package {project!r}", install=f"pip install {install}")
    try:
        return Availability(True, version=version(project))
    except PackageNotFoundError:
        return Availability(True, version="unknown")


def program(name: str, project: str, install: str) -> Availability:
    """Return the availability of an executable that the Python package `project` brings, or that is on PATH."""
    path = executable(name, project)
    if path is None:
        return Availability(False, missing=f"the executable {name!r}", install=f"pip install {install}")
    try:
        return Availability(True, version=version(project))
    except PackageNotFoundError:
        return Availability(True, version=path)


def executable(name: str, project: str) -> str | None:
    """Return the path of an executable that the Python package `project` brought, else of one on PATH, else None."""
    try:
        files = distribution(project).files or ()
    except PackageNotFoundError:
        files = ()
    brought = (Path(os.fspath(f.locate())).resolve() for f in files if f.name == name)
    return next((str(path) for path in brought if os.access(path, os.X_OK)), None) or shutil.which(name)


def words(given: tuple[str, ...], variable: str) -> tuple[str, ...]:
    """Return a command as words: the one that is given, else what an environment variable holds; empty if there is neither."""
    written = os.environ.get(variable, "")
    try:
        return given or tuple(shlex.split(written))
    except ValueError:  # a quotation mark without its partner
        return (written,)


def command(words: Sequence[str], variable: str, example: str) -> Availability:
    """Return the availability of a command that `words` returned; `example` shows how the variable is set."""
    if not words:
        return Availability(False, missing=f"{variable} is not set", install=f"export {variable}={example}")
    if shutil.which(words[0]) is None:
        return Availability(False, missing=f"{words[0]!r} is not an executable", install=f"correct {variable}")
    return Availability(True, version=shlex.join(words))
