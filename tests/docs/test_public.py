"""Pages, models and adapters import the modules that `docs/embedding.md` calls public, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec

from tests.docs.test_blocks import PAGES, ROOT, blocks

NATIVE = ("bounds.py", "delta.py", "dreal.py", "enumerate.py")
"""Adapters of qspec's own engines, and of one that takes real queries; import-linter says what these may see."""
EXCEPTIONS = {
    ("errors.md", "qspec.support.optional"),  # shows an error that comes where a package is missing
    ("demo.py", "qspec.cli.report"),  # a command of qspec, and printed as one
    ("demo.py", "qspec.cli.terminal"),
    ("demo.py", "qspec.language.text"),
}


def public() -> list[str]:
    """Return the modules in the table."""
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    table = page.split("## What is public")[1].split("## ")[0]
    return [m for row in re.findall(r"^\| (`qspec.*?) \|", table, re.MULTILINE) for m in re.findall(r"`([\w.]+)`", row)]


def imported(text: str) -> Iterator[str]:
    """Yield the modules of qspec that a text imports, names that are modules themselves included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def used() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for _, text in blocks(page):
            yield from ((page.name, m) for m in imported(text))
    for path in (*(ROOT / "models" / "qspec_models").glob("*.py"), *(ROOT / "solvers" / "qspec_solvers").glob("*.py")):
        if path.name not in NATIVE:
            yield from ((path.name, m) for m in imported(path.read_text(encoding="utf-8")))


def test_the_table_names_modules() -> None:
    assert len(public()) > 10
    assert [m for m in public() if find_spec(m) is None] == []


def test_only_public_modules_are_imported() -> None:
    listed = public()
    stray = {
        (name, m)
        for name, m in used()
        if m.split(".")[0] == "qspec" and m != "qspec" and not any(m == p or m.startswith(f"{p}.") for p in listed if p != "qspec")
    }
    batch = {(n, m) for n, m in stray if m == "qspec.batch"}  # from qspec.batch import store
    assert stray - batch == EXCEPTIONS
