"""`qs.certify` and `qspec certify`: shares and rows, stores that are gone on from, pictures, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.batch import sample_certificates
from qspec.batch.certification import Certification, SampleOutcome
from qspec.batch.certify import _Certifier
from qspec.batch.journal import Journal, opened
from qspec.certificate.claim import check_property
from qspec.certificate.file import load
from qspec.cli import main
from qspec.verify.result import Verdict

WEIGHT = qs.Fixed(4, 0)
NET = qs.Sequential(
    qs.Input((2,), qs.Fixed(3, 0, signed=False)),
    qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), WEIGHT), activation=qs.ReLU(), output=qs.Fixed(5, 0)),
    qs.Dense(qs.Tensor(np.array([[2, 1], [1, 2]]), WEIGHT)),
    name="larger",
)
"""Says which of two numbers is the larger one, the first of equal ones."""
IMAGES, LABELS = np.array([[6, 2], [4, 3], [3, 3], [2, 6], [1, 5]]), np.array([0, 0, 1, 1, 1])


def certified(**options: object) -> Certification:
    return qs.certify(NET, IMAGES, LABELS, 1, **options)  # pyright: ignore[reportArgumentType]


def test_shares_are_those_of_the_verdicts() -> None:
    found = certified()
    assert [o.verdict.name for o in found.outcomes] == ["HOLDS", "VIOLATED", "VIOLATED", "HOLDS", "HOLDS"]
    assert found.right.tolist() == [True, True, False, True, True]
    assert (found.clean, found.certified, found.refuted, found.undecided) == (0.8, 0.6, 0.2, 0.0)
    assert sorted(found.counterexamples) == [1, 2]
    assert found.counterexamples[2].tolist() == [3, 3]
    a, b = found.counterexamples[1]
    assert a < b
    assert found.outcomes[2].stage == "misclassified"
    assert found.rows()[1] == {"index": 1, "label": 0, "clean": True, "verdict": "VIOLATED", "stage": "attack", "detail": ""}
    assert "clean 80.00%, certified 60.00%, refuted 20.00%, undecided 0.00%" in str(found)
    assert sum(found.counts.values()) == found.samples == 5


def test_what_a_store_settles_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "larger.jsonl"
    first = certified(store=store)
    lines = store.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    store.write_bytes(b"".join(lines[:4]) + lines[4][:9])  # killed while it wrote
    asked: list[set[int]] = []
    plain = Journal.write

    def write(self: Journal, outcomes: Mapping[int, SampleOutcome]) -> None:
        asked.append(set(outcomes))
        plain(self, outcomes)

    monkeypatch.setattr(Journal, "write", write)
    again = certified(store=store)
    assert [o.verdict for o in again.outcomes] == [o.verdict for o in first.outcomes]
    settled = {json.loads(line)["index"] for line in lines[1:4]}
    assert set().union(*asked) == set(range(5)) - settled
    assert len(store.read_bytes().splitlines()) == 6


@pytest.mark.parametrize(
    ("before", "now", "stays"), [(0, 0, True), (5, 5, True), (5, 4, True), (5, 6, False), (5, None, False), (None, 9, True)]
)
def test_what_was_undecided_is_asked_again_in_more_time(before: float | None, now: float | None, stays: bool, tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    with opened(store, "key", "", (1,), before) as journal:
        journal.write({3: SampleOutcome(Verdict.UNKNOWN, "open", None, "late"), 4: SampleOutcome(Verdict.HOLDS, "duals")})
    with opened(store, "key", "", (1,), now) as journal:
        assert list(journal.kept) == ([3, 4] if stays else [4])
    with store.open("a") as file:
        file.write(json.dumps({"index": 5, "verdict": "UNKNOWN", "stage": "open", "codes": None, "detail": "of an older version"}) + "\n")
    with opened(store, "key", "", (1,), now) as journal:
        assert 5 not in journal.kept


def test_the_store_of_something_else_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    certified(store=store)
    for change in ({"radius": 2}, {"branching": "input"}):
        with pytest.raises(qs.SpecError, match=r"another certification"):
            qs.certify(NET, IMAGES, LABELS, **{"radius": 1, "store": store, **change})  # pyright: ignore[reportArgumentType]
    lines = store.read_bytes().splitlines(keepends=True)
    store.write_bytes(lines[0] + b"{}\n")
    with pytest.raises(qs.SpecError, match=r"damaged"):
        certified(store=store)
    other = tmp_path / "notes.txt"
    other.write_text("dear diary\n")
    with pytest.raises(qs.SpecError, match=r"not the store"):
        certified(store=other)
    assert other.read_text() == "dear diary\n"


def test_a_stored_counterexample_is_replayed(tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    certified(store=store)
    lines = store.read_text().splitlines()
    forged = [json.dumps({**json.loads(line), "verdict": "VIOLATED", "codes": [6, 2]}) if '"index": 0' in line else line for line in lines]
    store.write_text("\n".join(forged) + "\n")
    with pytest.raises(qs.SoundnessError, match=r"does not replay"):
        certified(store=store)


@pytest.mark.parametrize(
    ("images", "labels", "radius", "options", "message"),
    [
        (IMAGES[:, :1], LABELS, 1, {}, r"wrong shape"),
        (IMAGES, LABELS[:2], 1, {}, r"do not fit"),
        (IMAGES[:0], LABELS[:0], 1, {}, r"n at least 1"),
        (IMAGES + 3, LABELS, 1, {}, r"outside the format(.|\n)*0\.\.7"),
        (IMAGES, LABELS + 1, 1, {}, r"no class(.|\n)*0\.\.1"),
        (IMAGES, LABELS, -1, {}, r"radius is out of range"),
        (IMAGES, LABELS, 0.5, {}, r"radius is no whole number"),
        (IMAGES, LABELS, 1, {"branching": "random"}, r"no such branching"),
        (IMAGES, LABELS, 1, {"timeout": -1}, r"time limit must be positive"),
        (IMAGES, LABELS, 1, {"timeout": float("nan")}, r"time limit must be positive"),
        (IMAGES, LABELS, 1, {"workers": 0}, r"number of workers(.|\n)*from 1"),
    ],
)
def test_what_does_not_fit_is_refused(images: object, labels: object, radius: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(qs.QspecError, match=message):
        qs.certify(NET, images, labels, radius, **options)


def test_the_name_of_a_file_is_no_network() -> None:
    with pytest.raises(qs.SpecError, match=r"takes a network(.|\n)*net\.qspec(.|\n)*qs\.load"):
        qs.certify("net.qspec", IMAGES, LABELS, 1)  # pyright: ignore[reportArgumentType]


def test_rows_of_a_table_are_certified_as_their_features_admit() -> None:
    """Categories, steps and ranges: the verdicts are those of an enumeration of the rows that there are."""
    features = (qs.Feature("job", categories=("a", "b", "c")), qs.Feature("age", lower=-3, upper=3))
    four = qs.Fixed(4, 0)
    weights = np.array([[0, 3], [2, 0], [1, 1], [-1, 1]])
    net = qs.Sequential(qs.Input((4,), four, features=features), qs.Dense(qs.Tensor(weights, four), output=qs.Fixed(7, 0)), name="rows")
    rows = np.array([[*np.eye(3, dtype=int)[job], age] for job in range(3) for age in range(-3, 4)])
    classes = net.evaluate(rows).argmax(axis=1)
    for radius in (1, 2):
        found = qs.certify(net, rows, classes, radius, timeout=20)
        near = np.abs(rows[:, None] - rows[None]).max(axis=2) <= radius
        robust = [len(set(classes[n])) == 1 for n in near]
        assert [o.verdict is qs.Verdict.HOLDS for o in found.outcomes] == robust
        assert {tuple(c) for c in found.counterexamples.values()} <= {tuple(r) for r in rows}
    for wrong in ([1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 4]):
        with pytest.raises(qs.SpecError, match="features do not admit"):
            qs.certify(net, [wrong], [0], 1)
    with pytest.raises(qs.SpecError, match=r"radius is out of range(.|\n)*from 0 to 6"):
        qs.certify(net, rows, classes, 7, timeout=0)
    with pytest.raises(qs.UnsupportedError, match="features are not cut"):
        qs.certify(net, rows, classes, 1, branching="input")


def test_the_picture_is_written(tmp_path: Path) -> None:
    attacked, wrong = (SampleOutcome(Verdict.VIOLATED, stage, np.array([1])) for stage in ("attack", "misclassified"))
    outcomes = (SampleOutcome(Verdict.HOLDS, "intervals"), SampleOutcome(Verdict.UNKNOWN, "open"), attacked, wrong)
    found = Certification("net", 1, np.array([0, 1, 1, 1]), np.array([True, True, True, False]), outcomes, {})
    figure = qs.plot(found, tmp_path / "shares.png")
    shares = {str(bars.get_label()): [b.get_height() for b in bars.patches] for bars in figure.axes[0].containers}  # pyright: ignore[reportAttributeAccessIssue]
    assert shares["misclassified"] == pytest.approx([0, 100 / 3, 25])
    assert shares["refuted"] == pytest.approx([0, 100 / 3, 25])
    assert shares["certified"] == pytest.approx([100, 0, 25])
    assert (tmp_path / "shares.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_says_verdict_shares_and_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NET.save(str(tmp_path / "larger.qspec"))
    np.savez(tmp_path / "s.npz", inputs=IMAGES, targets=LABELS, other=LABELS)
    arguments = ["certify", str(tmp_path / "larger.qspec"), str(tmp_path / "s.npz"), "--radius", "1"]
    assert main(arguments) == 1
    text = capsys.readouterr().out
    assert text.startswith("VIOLATED\n")
    assert "certified 60.00%" in text
    assert main([*arguments, "--first", "1", "--labels", "other"]) == 0
    assert capsys.readouterr().out.startswith("HOLDS\n")
    assert main([*arguments, "--labels", "absent"]) == 2
    assert "has 'inputs', 'targets', 'other'" in capsys.readouterr().err
    for picture in ("shares.gif", str(tmp_path / "absent" / "shares.png")):
        assert main([*arguments, "--plot", picture]) == 2
        said = capsys.readouterr()
        assert not said.out
        assert "cannot write the figure there" in said.err
    assert main([*arguments[:2], "images-idx3-ubyte", "--radius", "1"]) == 2
    assert "--labels FILE" in capsys.readouterr().err


def test_sensors_asks_every_question_about_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NET.save(str(tmp_path / "larger.qspec"))
    np.savez(tmp_path / "s.npz", inputs=IMAGES, targets=LABELS)
    arguments = ["sensors", str(tmp_path / "larger.qspec"), str(tmp_path / "s.npz"), "--sample", "0"]
    asked = ["--region", "0", "--region", "0:2", "--radius", "1", "--stuck", "1", "--brightness", "1", "--gain", "5", "--changed", "1"]
    main([*arguments, "--sample", "1", *asked])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sample ")]
    names = ("region 0 ±1", "region 0:2 ±1", "1 stuck", "brightness ±1", "gain ±5 %", "1 changed")
    assert [line.split(", ", 1)[1].startswith(f"{name}:") for line, name in zip(lines, [*names, *names], strict=True)] == [True] * 12
    x, y, label = *IMAGES[0], LABELS[0]
    kept = [NET.evaluate(np.array([[v, y]])).argmax() == label for v in (x - 1, x, x + 1)]  # the oracle of the first line
    assert ("HOLDS" if all(kept) else "VIOLATED") in lines[0]
    for wrong, says in (
        (["--region", "a"], "not an index"),
        ([], "nothing is asked"),
        (["--sample", "99", "--stuck", "0"], "no such sample"),
    ):
        assert main([*arguments, *wrong]) == 2
        assert says in capsys.readouterr().err


def test_what_samples_share_is_left_out_where_there_is_no_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [o.verdict for o in certified().outcomes]
    monkeypatch.setattr("qspec.batch.certify.VALUES", 1e12)
    after = certified().outcomes
    assert [o.verdict for o in after] == before
    assert {o.stage for o in after} <= {"misclassified", "engine", "open"}


def test_what_samples_share_is_left_out_where_there_is_no_time_to_compile_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qspec.batch.certify._compiled", set[str]())
    net = qs.load("digits-6bit")
    sample = np.zeros((1, 64), dtype=np.int64)
    label = [int(net.evaluate(sample[0].reshape(net.inputs[0].type.shape)).argmax())]
    assert qs.certify(net, sample, label, 0, timeout=5.0).outcomes[0].stage == "engine"
    assert qs.certify(net, sample, label, 0).outcomes[0].stage == "intervals"
    assert qs.certify(net, sample, label, 1, timeout=1e-9).outcomes[0].stage in {"engine", "open"}
    with pytest.raises(qs.SpecError, match="memory limit"):
        qs.certify(net, sample, label, 1, memory=0)


def test_certificates_are_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What intervals, duals and the engine proved of many samples at once has certificates that the checker accepts, one for each."""
    found = certified(certificates="all")
    assert sorted(found.certificates) == [0, 3, 4]
    assert {o.stage for k, o in enumerate(found.outcomes) if k in found.certificates} <= {"intervals", "duals", "engine"}
    found.save_certificates(tmp_path / "proofs")
    image, label = qs.parameter("image", 2), qs.parameter("label")
    robust = qs.properties.local_robustness(NET, image, 1, label)
    for k in found.certificates:
        kept = load(tmp_path / "proofs" / f"{k}.certificate")
        assert check_property(kept, robust).verdict == "HOLDS"
        with pytest.raises(qs.CertificateError, match="another query"):
            check_property(kept, robust.at(image=IMAGES[1], label=0))
    assert found.to_dict()["certificates"] == [0, 3, 4]
    assert certified().certificates == {}
    monkeypatch.setattr(sample_certificates, "SAMPLE", 2)
    drawn = [sorted(certified(certificates="sample", seed=seed).certificates) for seed in range(4)]
    assert all(len(d) == 2 for d in drawn)
    assert len({tuple(d) for d in drawn}) > 1


def test_a_verdict_that_a_second_proof_contradicts_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Certifier, "_clean", lambda self: self._settle({k: SampleOutcome(Verdict.HOLDS, "intervals") for k in range(5)}))
    with pytest.raises(qs.SoundnessError, match=r"sample 1: proved, and violated"):
        certified(certificates="all")
