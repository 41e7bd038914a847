"""Packages that come with extras of qspec and are imported where they are used."""

from __future__ import annotations

from importlib.util import find_spec

from qspec.errors import PackageMissingError
from qspec.support.distribution import install


def need(package: str, extra: str, what: str) -> None:
    """Raise PackageMissingError, which says how to get it, unless a package is installed; `what` needs it."""
    if find_spec(package) is None:
        raise PackageMissingError(
            f"{what} needs the package {package}",
            given="not installed",
            expected=f"the extra `{extra}` of qspec",
            advice=install(extra),
        )
