"""What importing costs, and what the source never does."""

from __future__ import annotations

import ast
import copy
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import cloudpickle
import grimp
import pytest

import qspec

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
    return set(printed(f"import sys\n{statement}\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"))


def printed(program: str) -> list[str]:
    """Return the words that a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()


def test_importing_qspec_loads_nothing_else() -> None:
    """What counts is the number of modules, and not a time: whatever is needed comes with the name that needs it."""
    program = "import sys; before = {*sys.modules}; import qspec; print(*sorted({*sys.modules} - before))"
    loaded = printed(program)
    assert [m for m in loaded if m.split(".")[0] == "qspec"] == ["qspec", "qspec.support", "qspec.support.distribution"]
    assert not {m.split(".")[0] for m in loaded} - {"qspec"} - sys.stdlib_module_names
    assert len(loaded) < 40


def test_a_network_and_a_property_load_no_solver_no_engine_and_no_jax() -> None:
    loaded = loaded_by("import qspec as qs; qs.Sequential, qs.forall, qs.argmax, qs.Fixed, qs.properties")
    assert "numpy" in loaded
    assert not loaded & (HEAVY | {"qspec_solvers", "qspec_models", "typer", "rich"})
    inside = printed(
        "import sys, qspec as qs; qs.Sequential, qs.forall, qs.properties; print(*(m for m in sys.modules if m.startswith('qspec.')))"
    )
    assert not {m for m in inside if m.split(".")[1] in ("attack", "batch", "engines", "evaluate", "passes", "theories", "verify")}


def test_every_public_name_is_loaded_when_asked_for() -> None:
    program = "import qspec as qs; from qspec import *; print(len(dir(qs)), *(n for n in dir(qs) if getattr(qs, n) is not globals()[n]))"
    (number,) = printed(program)
    assert int(number) > 150


def test_a_public_name_is_no_module_that_is_called_alike() -> None:
    program = "import qspec.verify.result, qspec.lint.lint, qspec as qs; print(qs.verify.__module__, qs.lint.__module__, qs.real.__name__)"
    assert printed(program) == ["qspec.verify.decide", "qspec.lint.lint", "qspec.real"]


def test_a_function_that_uses_it_can_be_sent_elsewhere() -> None:
    """As those of `__main__` are to the workers of a Dask cluster."""
    assert cloudpickle.loads(cloudpickle.dumps(lambda: qspec))() is qspec
    assert copy.copy(qspec) is copy.deepcopy(qspec) is qspec


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'qspec' has no attribute 'verfy'"):
        _ = qspec.verfy  # pyright: ignore[reportAttributeAccessIssue]


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

    assert importers("qspec.passes") & importers("qspec.theories") <= {"qspec.verify.integers", "qspec.verify.export"}


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_types_are_shipped(package: Path) -> None:
    assert (package / "py.typed").is_file()
