"""What importing costs, and what the source never does."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "qspec", ROOT / "solvers" / "qspec_solvers", ROOT / "models" / "qspec_models"]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
ADAPTERS = sorted({p.module for p in entry_points(group="qspec.solvers") if p.module.startswith("qspec_solvers.")})
HEAVY = {"bitwuzla", "cvc5", "dreal", "highspy", "jax", "jaxlib", "matplotlib", "onnx", "pysmt", "scipy", "yices", "z3"}


def name(path: Path) -> str:
    """Return the path relative to the repository, as the id of a test."""
    return str(path.relative_to(ROOT))


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    program = f"import sys\n{statement}\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return set(run.stdout.split())


def test_importing_qspec_loads_no_solver_and_no_jax() -> None:
    loaded = loaded_by("import qspec")
    assert "qspec" in loaded
    assert not loaded & (HEAVY | {"qspec_solvers", "qspec_models", "typer", "rich"})


def test_every_name_is_there_also_those_that_are_loaded_later() -> None:
    program = "import qspec as qs; from qspec import *; print(*(name for name in qs.__all__ if getattr(qs, name) is not globals()[name]))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.split() == []


def test_what_is_not_used_is_loaded_later() -> None:
    program = "import sys, qspec as qs; print('qspec.batch.many' in sys.modules); qs.verify_many; print('qspec.batch.many' in sys.modules)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.split() == ["False", "True"]


def test_importing_an_adapter_loads_nothing_native() -> None:
    """All in one interpreter: what one of them loads would be there at the end."""
    assert len(ADAPTERS) >= 10
    loaded = loaded_by(f"import {', '.join(ADAPTERS)}")
    assert "qspec_solvers" in loaded
    assert not loaded & HEAVY


def test_importing_the_command_line_loads_no_solver_and_no_jax() -> None:
    loaded = loaded_by("import qspec.cli")
    assert "qspec" in loaded
    assert not loaded & HEAVY


@pytest.fixture(scope="module")
def sources() -> dict[str, tuple[str, ast.Module]]:
    """The text of every module, and what Python reads in it."""
    texts = {name(path): path.read_text(encoding="utf-8") for path in MODULES}
    return {path: (text, ast.parse(text)) for path, text in texts.items()}


def test_every_module_says_what_it_is_for(sources: dict[str, tuple[str, ast.Module]]) -> None:
    assert len(sources) > 300
    assert [path for path, (_, tree) in sources.items() if tree.body and not ast.get_docstring(tree)] == []


def test_every_module_fits_in_400_lines(sources: dict[str, tuple[str, ast.Module]]) -> None:
    assert [path for path, (text, _) in sources.items() if len(text.splitlines()) > 400] == []


def test_no_pickle_anywhere(sources: dict[str, tuple[str, ast.Module]]) -> None:
    for path, (_, tree) in sources.items():
        imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}, path
        allowed = {k.value for call in ast.walk(tree) if isinstance(call, ast.Call) for k in call.keywords if k.arg == "allow_pickle"}
        assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed), path


def test_only_verify_knows_passes_and_theories_together() -> None:
    graph = grimp.build_graph("qspec", cache_dir=None)

    def importers(package: str) -> set[str]:
        parts = {package, *graph.find_descendants(package)}
        return {m for part in parts for m in graph.find_modules_that_directly_import(part)} - parts

    assert importers("qspec.passes") & importers("qspec.theories") <= {"qspec.verify.session", "qspec.verify.export"}


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_types_are_shipped(package: Path) -> None:
    assert (package / "py.typed").is_file()
