"""Pages that list what there is list all of it, and show messages as they are."""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from qspec import errors
from qspec.named import properties, real_properties
from qspec.readers import qonnx_operators, tflite_table
from qspec.readers.onnx_operators import OPERATORS
from qspec.readers.onnx_table import markdown
from qspec.solver import Reason, solver_entry_points
from tests.unit.malformed_calls import CALLS
from tests.unit.malformed_files import FILES

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
HELPERS = {"same_label", "decided", "inputs_of", "overflowing"}
"""What properties are made of."""


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Return the text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", text(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def classes() -> dict[str, type[errors.QspecError]]:
    return {name: c for name, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.QspecError)}


def test_the_table_of_qonnx_is_the_one_that_the_reader_obeys() -> None:
    """To write it anew: `markdown()` of `qspec.readers.qonnx_operators`."""
    assert text("fpga.md").split("<!-- table -->\n")[1].split("<!-- end -->")[0] == qonnx_operators.markdown()


def test_the_table_of_onnx_is_the_one_that_the_reader_obeys() -> None:
    """To write it anew: `markdown(OPERATORS)` of `qspec.readers`."""
    assert text("onnx.md").split("<!-- table -->\n")[1].split("<!-- end -->")[0] == markdown(OPERATORS)


def test_the_table_of_tflite_is_the_one_that_the_reader_and_the_runtimes_obey() -> None:
    """To write it anew: `markdown()` of `qspec.readers.tflite_table`."""
    assert text("tflite.md").split("<!-- table -->\n")[1].split("<!-- end -->")[0] == tflite_table.markdown()


def test_every_error_has_a_section_with_an_example() -> None:
    named = set(classes()) - {"QspecError"}
    found = {k: v for k, v in sections("errors.md").items() if k.endswith("Error")}
    assert set(found) == named
    for name, section in found.items():
        assert f"```text\n{name}: " in section


def test_error_messages_are_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A `…` on the page stands for anything on that line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for code, expected in SHOWN.findall(text("errors.md")):
        exec(code, vars(module))
        printed = capsys.readouterr().out
        if expected:
            assert re.fullmatch(".*".join(re.escape(part) for part in expected.split("…")), printed), printed


def test_listed_messages_are_those_of_malformed_input() -> None:
    listed = 0
    for name, section in sections("errors.md").items():
        said = [case.says for case in (*FILES, *CALLS) if case.error.__name__ == name]
        for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) if name.endswith("Error") else []:
            for phrase in re.findall(r"`([^`]+)`", row):
                assert phrase in said, f"no malformed input says {phrase!r} as {name}"
                listed += 1
    assert listed > 20


def test_every_reason_is_explained() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", sections("errors.md")["Outcomes that are not errors"], re.MULTILINE)
    assert rows == [(reason.name, reason.value) for reason in Reason]


def test_every_named_property_is_shown() -> None:
    page = text("properties.md")
    for module, alias in ((properties, "P"), (real_properties, "R")):
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_") and name not in HELPERS:
                assert f"`{name}`" in page.split("\n## ")[0], f"{name} is not in the table of docs/properties.md"
                assert f"{alias}.{name}(" in page, f"{name} has no example in docs/properties.md"


def test_every_solver_has_a_section() -> None:
    assert set(solver_entry_points()) <= set(sections("solvers.md"))
