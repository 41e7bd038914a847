"""The plugin of pytest: what passes, fails, is skipped; what is kept, and that nothing that is kept is believed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import qspec as qs
from qspec import properties as P
from qspec_models import samples
from qspec_pytest import judging

PAGE = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text(encoding="utf-8")
TEXTS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
HEAD = """
import pytest
import qspec as qs
net = qs.Sequential(qs.Input((2,), qs.Fixed(5, 0)), qs.Dense(qs.Tensor([[1, -1], [-1, 1]], qs.Fixed(2, 0))), name="net")
x = net.input("x")
def at_most(number):
    return qs.forall(x, given=x.code[0] <= 3, then=net(x)[0] <= number)
"""

pytest_plugins = ("pytester",)


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load what verdicts need before any run in this process, because after each run pytester forgets what that imported."""
    here: dict[str, Any] = {}
    exec(HEAD, here)
    folder = tmp_path_factory.mktemp("kept")
    for spec in (
        here["at_most"](20),
        here["at_most"](17),
        P.reachable_class(here["net"], 1),
        P.local_robustness(qs.load("iris-4bit"), [72, 36, 61, 25], 20, 2),
    ):
        for solver in ("bounds", "enumerate"):
            judging.keep(folder, spec, qs.verify(spec, solver=solver, timeout=20))
        judging.recall(folder, spec, qs.Limits(20))
    samples("iris-4bit")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeini("[pytest]\naddopts = -p qspec_pytest -p no:xdist -p no:randomly --strict-markers\n")
    return pytester


def shown(text: str) -> str:
    """Return a pattern for text of a page, in which `…` stands for anything on a line."""
    return ".*".join(re.escape(part) for part in text.split("…"))


def test_the_page_is_true(project: pytest.Pytester) -> None:
    code = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    project.makepyfile(test_flowers="\n\n".join(code))
    first = project.runpytest_inprocess()
    first.assert_outcomes(passed=4, failed=1)
    assert re.search(shown(TEXTS[0]), str(first.stdout))
    again = project.runpytest_inprocess()
    again.assert_outcomes(passed=4, failed=1)
    assert re.search(shown(TEXTS[0]), str(again.stdout))
    assert TEXTS[1] in str(again.stdout) + "\n"


def test_verdicts(project: pytest.Pytester) -> None:
    project.makepyfile(
        HEAD
        + """
@pytest.mark.qspec
class TestMarked:
    def test_holds(self): return at_most(20)
    def test_violated(self): return at_most(18)
    def test_exists(self): return qs.exists(x, then=net(x)[0] >= 31)
    def test_nothing_witnesses(self): return qs.exists(x, then=net(x)[0] >= 32)
    def test_vacuous(self): return qs.forall(x, given=x.code[0] >= 16, then=net(x)[0] <= 0)
    @pytest.mark.qspec(allow_vacuous=True)
    def test_vacuous_is_fine(self): return qs.forall(x, given=x.code[0] >= 16, then=net(x)[0] <= 0)
    def test_returns_nothing(self): at_most(20)
    @pytest.mark.qspec(solver="enumerate")
    def test_other_solver(self): return at_most(20)
    @pytest.mark.qspec(timeout=1e-9, unknown="skip")
    def test_skipped(self): return at_most(20)
    @pytest.mark.qspec(timeout=1e-9, unknown="xfail")
    def test_expected(self): return at_most(20)
    @pytest.mark.qspec(timeout=1e-9)
    def test_undecided(self): return at_most(20)

def test_fixture(prove): prove(at_most(qs.parameter("n")).at(n=20))
def test_fixture_fails(prove): prove(at_most(qs.parameter("n")).at(n=18))
"""
    )
    run = project.runpytest_inprocess("-rA", "--qspec-no-cache")
    run.assert_outcomes(passed=5, failed=6, skipped=1, xfailed=1)
    run.stdout.fnmatch_lines_random(
        [
            "VIOLATED property, bounds, *",
            "  given   x.code?0? ≤ 3",
            "nothing witnesses it; the evidence is the proof",
            "*(vacuously: nothing meets the assumption)*",
            "a test with the mark `qspec` returns a property; this one returned None",
            "allow more with --qspec-timeout*",
            "pytest *::TestMarked::test_violated  # searches again, with the same seed",
        ]
    )
    assert not list(project.path.rglob("*.certificate"))


def test_evidence_is_kept_and_never_believed(project: pytest.Pytester) -> None:
    """Of each kind one file; damaged, exchanged, or about another query, it is as good as none."""
    project.makepyfile(
        HEAD
        + """
@pytest.mark.qspec
def test_holds(): return at_most(19)
@pytest.mark.qspec
def test_violated(): return at_most(17)
"""
    )

    def said(*options: str) -> str:
        run = project.runpytest_inprocess(*options)
        run.assert_outcomes(passed=1, failed=1)
        return next(line for line in run.outlines if line.startswith("qspec: "))

    assert said() == "qspec: 1 HOLDS, 1 VIOLATED"
    assert said() == "qspec: 1 HOLDS, 1 VIOLATED; evidence of 2 checked again instead of a search"
    folder = project.path / ".pytest_cache" / "d" / "qspec"
    (proof,), (codes,) = folder.glob("*.certificate"), folder.glob("*.result.json")
    good = codes.read_text()
    codes.write_text(good.replace('"VIOLATED"', '"HOLDS"'))
    assert said() == "qspec: 1 HOLDS, 1 VIOLATED; evidence of 1 checked again instead of a search"
    codes.write_text(re.sub(r'"x": \[[^]]*\]', '"x": [0, 0]', good))  # an input that violates nothing
    shutil.copy(proof, folder / codes.name.replace(".result.json", ".certificate"))
    assert said() == "qspec: 1 HOLDS, 1 VIOLATED; evidence of 1 checked again instead of a search"
    codes.unlink()  # the certificate of the other property is all that is left of this one
    assert said() == "qspec: 1 HOLDS, 1 VIOLATED; evidence of 1 checked again instead of a search"
    proof.write_bytes(proof.read_bytes()[:-40])
    assert said() == "qspec: 1 HOLDS, 1 VIOLATED; evidence of 1 checked again instead of a search"
    assert said("--qspec-no-cache") == "qspec: 1 HOLDS, 1 VIOLATED"
    assert said("--cache-clear") == "qspec: 1 HOLDS, 1 VIOLATED"


def test_a_limit_counts_for_what_is_kept(tmp_path: Path) -> None:
    spec = P.local_robustness(qs.load("iris-4bit"), [72, 36, 61, 25], 20, 2)
    result = qs.verify(spec, timeout=20)
    assert result.verdict is qs.Verdict.VIOLATED
    judging.keep(tmp_path, spec, result)
    found = judging.recall(tmp_path, spec, qs.Limits(20))
    assert found is not None
    assert found.verdict is qs.Verdict.VIOLATED
    assert judging.recall(tmp_path, spec, qs.Limits(1e-9)) is None


def test_options_and_configuration(project: pytest.Pytester) -> None:
    project.makepyfile(HEAD + "@pytest.mark.qspec\ndef test_holds(): return at_most(20)\n")
    project.runpytest_inprocess("--qspec-timeout=1e-9", "--qspec-unknown=skip").assert_outcomes(skipped=1)
    project.runpytest_inprocess("--qspec-solver=enumerate", "-o", "qspec_timeout=20").assert_outcomes(passed=1)
    project.runpytest_inprocess("-o", "qspec_timeout=1e-9", "-o", "qspec_unknown=xfail").assert_outcomes(xfailed=1)
    for wrong, says in (
        ("qspec_timeout=-1", "above 0"),
        ("qspec_timeout=soon", "above 0"),
        ("qspec_unknown=pass", "none of fail, skip, xfail"),
    ):
        assert project.runpytest_inprocess("-o", wrong).ret == pytest.ExitCode.USAGE_ERROR
        assert says in str(project.runpytest_inprocess("-o", wrong).stderr)
    project.makepyfile(HEAD + "@pytest.mark.qspec(timout=3)\ndef test_holds(): return at_most(20)\n")
    assert "timout" in str(project.runpytest_inprocess().stdout)


def test_the_plugin_imports_nothing_of_qspec(project: pytest.Pytester) -> None:
    project.makepyfile("import sys\ndef test_it(): assert 'qspec_pytest' in sys.modules and not {'qspec', 'numpy'} & set(sys.modules)")
    project.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.slow
def test_workers_share_what_is_kept(project: pytest.Pytester) -> None:
    project.makepyfile(HEAD + '@pytest.mark.qspec\n@pytest.mark.parametrize("n", [19, 20])\ndef test_holds(n): return at_most(n)\n')
    project.makeini("[pytest]\naddopts = -p qspec_pytest\n")
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=2)
    again = project.runpytest_subprocess("-n", "2")
    again.assert_outcomes(passed=2)
    again.stdout.fnmatch_lines(["qspec: 2 HOLDS; evidence of 2 checked again instead of a search"])
