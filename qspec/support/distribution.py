"""What qspec is called where packages are installed from, where `qspec` alone is somebody else's package, and its version."""

from __future__ import annotations

import sys
from functools import cache

NAME = "qspec-verify"
VERSION = "0.1.0"


def install(extra: str) -> str:
    """Return the command that installs an extra of qspec."""
    return f"pip install '{NAME}[{extra}]'"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a verdict may depend on."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "qspec": VERSION, **{package: _version(package) for package in ("numpy", "jax")}}


@cache
def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # here, because `import qspec` is to be quick

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
