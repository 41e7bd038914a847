"""What is told of installing qspec: the name is one that is ours, and the extras are those that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import qspec as qs
from qspec.support import distribution

ROOT = Path(__file__).parents[2]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile")),
    *(path for folder in ("qspec", "solvers", "models", "docs", "tests", "findings") for path in (ROOT / folder).rglob("*.py")),
    *(path for folder in ("docs", "models", "solvers", "tests", "findings") for path in (ROOT / folder).rglob("*.md")),
]
COMMAND = re.compile(r"(?:pip|uv|pipx)\w*(?: \w+)* install\b[^\n`]*|pip download[^\n`]*")
REQUIREMENT = re.compile(r"(?<![\w./-])qspec(?P<rest>-verify)?(?:\[(?P<extras>[\w,]+)\])?(?![\w./-])")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(text: str) -> list[re.Match[str]]:
    """Return what installing commands in a text name that begins with `qspec`."""
    return [found for command in COMMAND.finditer(text) for found in REQUIREMENT.finditer(command.group())]


def test_the_name_is_said_once() -> None:
    assert PROJECT["name"] == distribution.NAME != "qspec"
    assert qs.__version__ == distribution.VERSION


def test_commands_are_recognised() -> None:
    found = requirements("run `pip install qspec`, pip install 'qspec-verify[onnx,plot]' or python -m pip install --upgrade \"qspec[all]\"")
    assert [(m["rest"], m["extras"]) for m in found] == [(None, None), ("-verify", "onnx,plot"), (None, "all")]


def test_no_text_tells_to_install_what_is_not_ours() -> None:
    """On PyPI `qspec` is a toolbox for laser spectroscopy."""
    said = {path: requirements(path.read_text(encoding="utf-8")) for path in TEXTS if path != Path(__file__)}
    assert sum(map(len, said.values())) >= 25
    for path, found in said.items():
        for m in found:
            assert m["rest"] == "-verify", f"{path.relative_to(ROOT)}: {m.string[m.start() - 40 : m.end()]!r}"
            extras = set(filter(None, (m["extras"] or "").split(",")))
            assert extras <= set(PROJECT["optional-dependencies"]), f"{path.relative_to(ROOT)}: {extras}"


def test_advice_installs_an_extra_that_there_is() -> None:
    assert distribution.install("onnx") == "pip install 'qspec-verify[onnx]'"
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "qspec").rglob("*.py")]
    asked = {e for t in texts for e in re.findall(r'(?<!\w)(?:install\("|need\("\w+", ")(\w+)"', t)}
    assert {"keras", "onnx", "plot"} <= asked <= set(PROJECT["optional-dependencies"])
