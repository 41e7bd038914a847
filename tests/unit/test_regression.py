"""`--fail-under`, `--baseline`, `--junit` of `qspec certify` and `verify-many`: what passes, what changed, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import qspec as qs
from qspec.batch.regression import RegressionCase, changes, junit
from qspec.cli import main
from qspec.cli.parser import parse

FORMAT = qs.Fixed(4, 0)
IMAGES = np.arange(-4, 4)[:, None]
LABELS = (IMAGES[:, 0] >= 0).astype(int)
SPEC = """
import qspec as qs
net = qs.Sequential(qs.Input((1,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor([[{weight}]], qs.Fixed(4, 0))))
x = net.input("x")
at_most = qs.forall(x, given=x[0] <= qs.parameter("centre"), then=net(x)[0] <= 6)
"""


def network(bias: int) -> qs.Network:
    """A classifier that says 1 from `bias` on."""
    kernel = qs.Dense(qs.Tensor(np.array([[-1, 1]]), FORMAT), qs.Tensor(np.array([bias, 0]), FORMAT), output=qs.Fixed(6, 0))
    return qs.Sequential(qs.Input((1,), FORMAT), kernel, name=f"from {bias}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("s.npz", inputs=IMAGES, targets=LABELS)
    network(2).save("old.qspec")
    network(-6).save("new.qspec")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(arguments)
    found = capsys.readouterr()
    return status, found.out + found.err


def test_certify_passes_by_a_share(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("certify", "old.qspec", "s.npz", "--radius", "1")
    assert said(capsys, *run)[0] == 1
    share = 100 * qs.certify(network(2), IMAGES, LABELS, 1).certified
    status, text = said(capsys, *run, "--fail-under", str(share))
    assert status == 0
    assert text.startswith("VIOLATED\n")
    assert f"{share:.2f} % hold, at least the {share:g} % of --fail-under" in text
    status, text = said(capsys, *run, "--fail-under", str(share + 1))
    assert (status, "fewer than" in text) == (1, True)
    for wrong in ("101", "-1", "nan"):
        status, text = said(capsys, *run, "--fail-under", wrong)
        assert (status, "not a percentage" in text) == (2, True)


def test_certify_names_the_samples_that_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = ("certify", "old.qspec", "s.npz", "--radius", "1")
    new = ("certify", "new.qspec", "s.npz", "--radius", "1", "--baseline", "old.jsonl")
    assert said(capsys, *old, "--store", "old.jsonl")[0] == 1
    status, text = said(capsys, *old, "--baseline", "old.jsonl")
    assert status == 0, "nothing changed"
    assert "0 newly refuted, 0 newly open, 0 newly proved, 8 as before" in text
    Path("killed.jsonl").write_bytes(Path("old.jsonl").read_bytes()[:-9])  # a run that was killed while it wrote its last line
    status, text = said(capsys, *old, "--baseline", "killed.jsonl")
    assert (status, "7 as before, 1 asked for the first time" in text) == (0, True)
    before, after = (
        [o.verdict is qs.Verdict.HOLDS and bool(r) for r, o in zip(c.right, c.outcomes, strict=True)]
        for c in (qs.certify(network(b), IMAGES, LABELS, 1) for b in (2, -6))
    )
    status, text = said(capsys, *new, "--junit", "new.xml")
    assert status == 1
    lost = [k for k in range(8) if before[k] and not after[k]]
    won = [k for k in range(8) if after[k] and not before[k]]
    assert (lost, won) == ([1, 2, 3], [4, 5, 6])
    assert [line.split()[3] for line in text.splitlines() if line.startswith("  newly refuted")] == [str(k) for k in lost]
    assert [line.split()[3] for line in text.splitlines() if line.startswith("  newly proved")] == [str(k) for k in won]
    cases = ElementTree.parse("new.xml").getroot()
    assert (cases.get("tests"), cases.get("failures")) == ("8", str(8 - sum(after)))
    assert [c.get("name") for c in cases if c.find("failure") is not None] == [
        f"sample {k} (label {LABELS[k]})" for k in range(8) if not after[k]
    ]
    assert said(capsys, *new, "--first", "3")[0] == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b'{"schema": "qspec.store/1", "key": "k"}\n', b"[]"])
def test_what_is_no_baseline(folder: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    Path("old.jsonl").write_bytes(content)
    status, text = said(capsys, "certify", "old.qspec", "s.npz", "--radius", "1", "--baseline", "old.jsonl")
    assert status == 2
    assert "no baseline" in text
    Path("o.jsonl").touch()
    assert said(capsys, "certify", "old.qspec", "s.npz", "--radius", "1", "--store", "a.jsonl")[0] == 1
    status, text = said(capsys, "certify", "old.qspec", "s.npz", "--radius", "2", "--baseline", "a.jsonl")
    assert (status, "the same samples, labels and radius" in text) == (2, True)
    assert said(capsys, "certify", "old.qspec", "s.npz", "--radius", "1", "--baseline", "absent.jsonl")[0] == 2
    assert said(capsys, "certify", "old.qspec", "s.npz", "--radius", "1", "--junit", "absent/a.xml")[0] == 2


def test_verify_many_names_the_queries_that_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spec.py").write_text(SPEC.format(weight=1))
    Path("over.json").write_text(json.dumps({"centre": [2, 3, 4, 5, 6]}))
    run = ("verify-many", "spec.py", "--over", "over.json", "--workers", "1")
    assert said(capsys, *run, "--store", "old.jsonl")[0] == 0
    Path("spec.py").write_text(SPEC.format(weight=2))  # from 4 on it is violated
    status, text = said(capsys, *run, "--baseline", "old.jsonl", "--junit", "a.xml", "--fail-under", "40")
    assert status == 1
    assert "3 newly refuted, 0 newly open, 0 newly proved, 2 as before" in text
    assert "  newly refuted: at_most, query 2 (centre=4)" in text
    assert "40.00 % hold, at least" in text
    assert said(capsys, *run, "--fail-under", "40")[0] == 0
    failures = [c.get("name") for c in ElementTree.parse("a.xml").getroot() if c.find("failure") is not None]
    assert failures == [f"at_most, query {k} (centre={k + 2})" for k in (2, 3, 4)]
    Path("over.json").write_text(json.dumps({"centre": [2, 7]}))
    status, text = said(capsys, *run, "--baseline", "old.jsonl")
    assert status == 0, "a question that is new is no regression"
    assert "1 as before, 1 asked for the first time, 4 no longer asked" in text


def test_every_change_counts_once() -> None:
    verdicts = ("HOLDS", "VIOLATED", "UNKNOWN", "error")
    before = {f"{a}-{b}": a for a in verdicts for b in verdicts}
    found = changes(before, [RegressionCase(f"{a}-{b}", f"{a}-{b}", b, "") for a in verdicts for b in verdicts])
    assert found.refuted == ("HOLDS-VIOLATED", "UNKNOWN-VIOLATED", "error-VIOLATED")
    assert found.opened == ("HOLDS-UNKNOWN", "HOLDS-error")
    assert found.proved == ("VIOLATED-HOLDS", "UNKNOWN-HOLDS", "error-HOLDS")
    assert found.same == 16 - 8
    assert (found.added, found.gone, found.worse) == (0, 0, True)


def test_xml_takes_any_text() -> None:
    text = junit(
        [
            RegressionCase("a", 'x < "y" & \x00\x1b\ud800 ☃', "VIOLATED", "<b>"),
            RegressionCase("b", "b", "UNKNOWN", ""),
            RegressionCase("c", "c", "error", ""),
        ],
        "s & t",
    )
    root = ElementTree.fromstring(text)
    assert root[0].get("name") == 'x < "y" & ��� ☃'
    assert [child.tag for case in root for child in case] == ["failure", "skipped", "error"]
    assert (root.get("tests"), root.get("failures"), root.get("skipped"), root.get("errors")) == ("3", "1", "1", "1")


def test_the_workflow_of_the_page_uses_options_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text(encoding="utf-8")
    (workflow,) = [b for b in page.split("```") if b.startswith("yaml\n")]
    commands = [line.split("qspec ", 1)[1].strip() for line in workflow.splitlines() if " qspec " in line and "pip" not in line]
    assert len(commands) >= 2
    for command in commands:
        assert parse(command.replace("$BASE", "--baseline old.jsonl").split())["command"]
