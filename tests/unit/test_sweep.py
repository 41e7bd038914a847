"""Sweeps over numbers of bits: verdicts against enumeration, who is right, what is not monotone, stores and tables."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import qspec as qs
from qspec.batch import store
from qspec.batch.curves import judged, truths
from qspec.batch.records import Record, of_line
from qspec.cli import main
from qspec.cli.sweep import numbers
from qspec.errors import PackageMissingError, ShapeError, SolverMissingError, SoundnessError, SpecError
from qspec.verify.result import Verdict

RADIUS = 2
SEED = 61
PIXEL = qs.Fixed(4, 4, signed=False)
RNG = np.random.default_rng(SEED)
HIDDEN = qs.real.Dense(RNG.normal(size=(2, 4)), RNG.normal(size=4) / 4, qs.ReLU())
REAL = qs.real.Sequential(qs.real.Input((2,)), HIDDEN, qs.real.Dense(RNG.normal(size=(4, 2))), name="small")
CODES = np.array(list(product(range(16), range(16))))
CALIBRATED = REAL.calibrate(CODES / 16, input=PIXEL, per="tensor")
SAMPLES = CODES[::13]
LABELS = REAL.evaluate(SAMPLES / 16).argmax(axis=1)
BITS = (2, 3, 4, 6)
FEW = 6
CENTRE, LABEL = qs.parameter("centre", 2), qs.parameter("label")


def specs(net: qs.Network) -> qs.Property:
    return qs.properties.local_robustness(net, CENTRE, RADIUS, LABEL)


def real_spec() -> qs.Property:
    x = REAL.input("x", lower=0, upper="15/16")
    return qs.forall(x, given=qs.linf(x - CENTRE * Fraction(1, 16)) <= Fraction(RADIUS, 16), then=qs.argmax(REAL(x)) == LABEL, name="real")


def truth(bits: Any, sample: Any) -> bool:
    """Whether no code within the radius is classified otherwise, one by one."""
    near = CODES[np.abs(CODES - SAMPLES[sample]).max(axis=1) <= RADIUS]
    return bool((CALIBRATED.quantized(bits).evaluate(near).argmax(axis=1) == LABELS[sample]).all())


def asked(**options: Any) -> qs.Sweep:
    chosen: dict[str, Any] = {
        "bits": BITS,
        "samples": qs.together(centre=SAMPLES, label=LABELS),
        "solvers": ["bounds", "falsify"],
        "real": real_spec(),
        "labelled": (CODES, REAL.evaluate(CODES / 16).argmax(axis=1)),
        "workers": 1,
        **options,
    }
    return qs.sweep(CALIBRATED, specs, **chosen)


@pytest.fixture(scope="module")
def swept() -> qs.Sweep:
    return asked()


def test_every_exact_verdict_is_that_of_enumeration(swept: qs.Sweep) -> None:
    exact = [r for r in swept.records if r.method == "bounds"]
    assert [(r.bits, r.sample) for r in exact] == [(b, k) for k in range(len(SAMPLES)) for b in BITS]
    assert {r.verdict for r in exact} == {Verdict.HOLDS, Verdict.VIOLATED}
    assert all((r.verdict is Verdict.HOLDS) == truth(r.bits, r.sample) for r in exact)
    assert [r.id for r in swept.records] == list(range(len(swept.records)))


def test_each_method_is_judged_by_what_is_true(swept: qs.Sweep) -> None:
    real = {r.sample: r.verdict for r in swept.records if r.method == "real"}
    for j in swept.judged:
        counts: dict[str, int] = dict.fromkeys(("true_robust", "false_robust", "true_vulnerable", "false_vulnerable", "undecided"), 0)
        for k in range(len(SAMPLES)):
            claim = {r.sample: r.claim for r in swept.records if r.method == j.method and r.bits in (j.bits, None)}[k]
            word = "robust" if claim else "vulnerable"
            counts["undecided" if claim is None else f"{str(claim is truth(j.bits, k)).lower()}_{word}"] += 1
        assert {name: len(getattr(j, name)) for name in counts} == counts
        if j.method == "bounds":
            assert not j.false_robust
            assert not j.false_vulnerable
        if j.method == "real":
            assert len(j.lost + j.kept) == sum(v is Verdict.VIOLATED for v in real.values())
    assert any(j.false_robust or j.false_vulnerable for j in swept.judged if j.method == "real")


def test_a_counterexample_of_the_real_network_is_kept_if_its_rounding_is_one(swept: qs.Sweep) -> None:
    for j in swept.judged:
        for record in (*j.lost, *j.kept):
            point = [float(Fraction(str(v))) * 16 for v in record.source["result"]["point"]["x"]]
            other = (
                CALIBRATED.quantized(cast(int, j.bits)).evaluate(np.floor(np.array(point) + 0.5).astype(int)).argmax()
                != LABELS[record.sample]
            )
            assert other == (record in j.kept)


def test_steps_say_what_more_bits_cost(swept: qs.Sweep) -> None:
    for step in swept.steps:
        before, after = ({k for k in range(len(SAMPLES)) if truth(b, k)} for b in (step.before, step.after))
        assert {int(s.split()[-1]) for s in step.lost} == before - after
        assert {int(s.split()[-1]) for s in step.gained} == after - before
        assert step.monotone == (before <= after and (step.accuracy or 0) >= 0)
    assert [(s.before, s.after) for s in swept.steps] == [(2, 3), (3, 4), (4, 6)]


def test_accuracy_is_that_of_the_networks(swept: qs.Sweep) -> None:
    for level in swept.levels:
        classes = REAL.evaluate(CODES / 16).argmax(axis=1)
        assert level.accuracy == np.mean(CALIBRATED.quantized(cast(int, level.bits)).evaluate(CODES).argmax(axis=1) == classes)
    assert next(s.accuracy for s in swept.shares if s.method == "real") == 1.0


def test_a_store_resumes_and_is_the_same_sweep(swept: qs.Sweep, tmp_path: Path) -> None:
    """On the first few samples; each result stands for itself, so more of them would be more of the same."""
    path, few = tmp_path / "sweep.jsonl", qs.together(centre=SAMPLES[:FEW], label=LABELS[:FEW])
    first = asked(store=path, samples=few)
    size = path.stat().st_size
    again = asked(store=path, samples=few)
    assert path.stat().st_size == size
    plain = [(r.bits, r.method, r.sample, r.verdict, r.notes) for r in swept.records if r.sample in range(FEW)]
    assert [[(r.bits, r.method, r.sample, r.verdict, r.notes) for r in s.records] for s in (first, again)] == [plain, plain]
    kept = [of_line(k, line) for k, line in enumerate(store.lines(path))]
    assert len(kept) == len(first.records) == len(plain)
    assert {(r.bits, r.method, r.sample, r.verdict) for r in kept} == {p[:4] for p in plain}
    assert sorted(map(repr, (summary(j) for j in judged(kept)))) == sorted(map(repr, (summary(j) for j in first.judged)))


def summary(j) -> tuple[Any, ...]:
    """What a judgement says, without rows."""
    names = ("true_robust", "false_robust", "true_vulnerable", "false_vulnerable", "undecided", "lost", "kept")
    return (j.bits, j.method, *(len(getattr(j, n)) for n in names))


def test_equal_queries_of_different_samples_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    points = [{"centre": SAMPLES[0], "label": LABELS[0]}] * 2
    for _ in range(2):
        asked(samples=points, bits=[3], solvers=["bounds"], real=None, store=path)
    assert [line["tags"]["sample"] for line in store.lines(path)] == [0, 1]
    asked(samples=points, bits=[3], solvers=["bounds"], real=None, labelled=(CODES[:1], [0]), store=path)
    assert len({line["tags"]["notes"]["accuracy"] for line in store.lines(path)}) == 1
    assert len(store.lines(path)) == 2


def test_formats_may_have_names_instead_of_widths() -> None:
    found = qs.sweep(
        {"coarse": CALIBRATED.quantized(3), "fine": CALIBRATED.quantized(8)},
        specs,
        samples=[{"centre": SAMPLES[0], "label": LABELS[0]}],
        workers=1,
    )
    assert [r.bits for r in found.records] == ["coarse", "fine"]
    assert found.steps == []
    assert "coarse" in str(found)


def test_rows_are_flat_and_the_table_is_typed(swept: qs.Sweep) -> None:
    polars = pytest.importorskip("polars")
    table = swept.to_polars()
    assert table.height == len(swept.records)
    assert table.schema["bits"] == polars.Int64
    assert table.filter(polars.col("method") == "real")["bits"].null_count() == len(SAMPLES)
    assert swept.rows()[0]["verdict"] in ("HOLDS", "VIOLATED")
    assert not any(row["vacuous"] for row in swept.rows())


@pytest.mark.parametrize(("package", "call"), [("polars", "to_polars"), ("matplotlib", "plot")])
def test_a_missing_package_is_named(swept: qs.Sweep, monkeypatch: pytest.MonkeyPatch, package: str, call: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("qspec.support.optional.find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(PackageMissingError, match=f"{package}.*\n.*\n.*\n.*pip install 'qspec-verify"):
        swept.to_polars() if call == "to_polars" else qs.plot(swept)
    assert swept.rows()


def test_the_plot_is_written(swept: qs.Sweep, tmp_path: Path) -> None:
    figure = qs.plot(swept, tmp_path / "sweep.svg")
    legend = figure.axes[0].get_legend()
    assert legend is not None
    texts = [t.get_text() for t in legend.get_texts()]
    assert texts == ["bounds", "falsify: nothing found", "real network"]
    assert (tmp_path / "sweep.svg").read_text(encoding="utf-8").count("<svg") == 1
    with pytest.raises(SpecError, match="cannot write the figure"):
        qs.plot(swept, tmp_path / "no folder" / "sweep.svg")


def test_a_query_that_cannot_be_asked_is_a_record() -> None:
    points = [{"centre": [1, 2, 3], "label": 0}, {"centre": SAMPLES[0], "label": LABELS[0]}]
    found = asked(samples=points, bits=[3], real=None, solvers=["bounds"])
    assert [r.reason for r in found.records] == ["ERROR", None]
    assert "centre" in found.records[0].detail


def test_two_verdicts_that_contradict_each_other_are_an_error(swept: qs.Sweep) -> None:
    def flipped(r: Record) -> Record:
        other = {Verdict.HOLDS: Verdict.VIOLATED, Verdict.VIOLATED: Verdict.HOLDS}[r.verdict]
        return Record(999, r.name, r.subject, r.question, "liar", other, r.evidence, None, "", 0.0, r.bits, r.sample)

    wrong = flipped(swept.records[0])
    with pytest.raises(SoundnessError, match="row 999"):
        truths([*swept.records, wrong])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bits": []}, "no numbers of bits"),
        ({"samples": []}, "nothing to ask"),
        ({"solvers": []}, "nothing to ask"),
        ({"solvers": "bounds"}, "list of names"),
        ({"workers": 0}, "number of workers is out of range"),
        ({"colour": "red"}, "no such option"),
        ({"real": specs(CALIBRATED.quantized(3))}, "no real network"),
        ({"real": {"other": real_spec()}}, "not the properties"),
        ({"labelled": (CODES, [0])}, "do not fit"),
    ],
)
def test_malformed_arguments_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises((SpecError, ShapeError), match=match):
        asked(**options)


def test_specs_must_agree_and_networks_must_be_networks() -> None:
    with pytest.raises(SpecError, match="without names of their own"):
        qs.sweep(CALIBRATED, lambda net: [specs(net), specs(net)], bits=[3])
    with pytest.raises(SpecError, match="returned no network"):
        qs.sweep(lambda b: None, specs, bits=[3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(SolverMissingError):
        asked(solvers=["nobody"])


SPEC = """
import numpy as np
import qspec as qs

rng = np.random.default_rng(61)
_hidden = qs.real.Dense(rng.normal(size=(2, 3)), activation=qs.ReLU())
_real = qs.real.Sequential(qs.real.Input((2,)), _hidden, qs.real.Dense(rng.normal(size=(3, 2))))
_codes = rng.integers(0, 16, (3, 2))
_classes = _real.evaluate(_codes / 16).argmax(axis=1)
make = _real.calibrate(_codes / 16, input=qs.Fixed(4, 4, signed=False))
samples = qs.together(centre=_codes, label=_classes)
labelled = _codes, _classes


def specs(net):
    return qs.properties.local_robustness(net, qs.parameter("centre", 2), 1, qs.parameter("label"))
"""


def test_the_command_prints_tables_draws_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, kept, figure = tmp_path / "spec.py", tmp_path / "kept.jsonl", tmp_path / "sweep.svg"
    spec.write_text(SPEC, encoding="utf-8")
    options = ["--bits", "3,5", "--solvers", "bounds,falsify", "--workers", "1", "--store", str(kept), "--plot", str(figure)]
    assert main(["sweep", str(spec), *options]) == 0
    said = capsys.readouterr().out
    assert main(["sweep", str(spec), *options]) == 0
    assert capsys.readouterr().out == said
    assert [line.split()[:2] for line in said.splitlines()[2:6]] == [["3", "bounds"], ["5", "bounds"], ["3", "falsify"], ["5", "falsify"]]
    assert "true vulnerable" in said
    assert figure.exists()
    assert len(store.lines(kept)) == 12


def test_what_holds_vacuously_is_singled_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No input is within 1 of codes that the input has not."""
    spec, kept, report = tmp_path / "spec.py", tmp_path / "kept.jsonl", tmp_path / "report.html"
    spec.write_text(SPEC.replace("centre=_codes", "centre=_codes + [[0], [99], [0]]"), encoding="utf-8")
    options = ["sweep", str(spec), "--bits", "3,5", "--workers", "1", "--store", str(kept)]
    assert main(options) == 5
    assert "2 of those that hold do so vacuously" in capsys.readouterr().out
    assert main([*options, "--allow-vacuous"]) == 0
    assert [line["result"]["vacuous"] is True for line in store.lines(kept)] == [False, False, True, True, False, False]
    assert main(["report", str(kept), "-o", str(report)]) == 0
    page = report.read_text(encoding="utf-8")
    assert page.count("HOLDS, vacuously") == 2
    assert "hold vacuously" in page
    assert "nothing meets the assumption" in page


@pytest.mark.parametrize(
    ("text", "bits", "match"),
    [
        ("make = 3", "3", "no specs"),
        (SPEC, "many", "no numbers of bits"),
        (SPEC, "", "no numbers of bits"),
        (SPEC, "5-3", "these bits go down"),
    ],
)
def test_the_command_refuses_what_it_cannot_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, bits: str, match: str
) -> None:
    (tmp_path / "spec.py").write_text(text, encoding="utf-8")
    assert main(["sweep", str(tmp_path / "spec.py"), "--bits", bits]) == 2
    assert match in capsys.readouterr().err


def test_the_command_reads_ranges_of_bits() -> None:
    assert numbers("4,6-8,7") == [4, 6, 7, 8]
