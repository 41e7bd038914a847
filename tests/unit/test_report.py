"""Reports: every number is that of its rows, text is escaped, damaged files are refused, and a browser shows the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.batch.curves import judged, shares
from qspec.batch.records import Record
from qspec.cli import main
from qspec.errors import SpecError
from qspec.show.report.numbers import ranges, verdicts
from qspec.show.report.page import page
from qspec.show.report.read import read
from qspec_models import samples

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
RNG = np.random.default_rng(5)
HIDDEN = qs.real.Dense(RNG.normal(size=(49, 4)) / 4, activation=qs.ReLU())
REAL = qs.real.Sequential(qs.real.Input((49,)), HIDDEN, qs.real.Dense(RNG.normal(size=(4, 3))), name="squares")
IMAGES = RNG.integers(0, 16, (4, 49))
HOSTILE = '<script>alert("x")</script>&amp;$x^{$'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a sweep: images of 7 × 7, two radii, two methods."""
    path = tmp_path_factory.mktemp("report") / "sweep.jsonl"
    image, label, radius = qs.parameter("image", 49), qs.parameter("label"), qs.parameter("radius")
    points = qs.grid(qs.together(image=IMAGES, label=REAL.evaluate(IMAGES / 16).argmax(axis=1)), radius=[1, 4])
    qs.sweep(
        REAL.calibrate(IMAGES / 16, input=qs.Fixed(4, 4, signed=False)),
        lambda net: qs.properties.local_robustness(net, image, radius, label),
        bits=[3, 5],
        samples=points,
        solvers=["bounds", "falsify"],
        labelled=(IMAGES, [0, 1, 2, 0]),
        workers=1,
        timeout=20,
        store=path,
    )
    return path


@pytest.fixture(scope="module")
def made(kept: Path) -> str:
    records, sources = read([kept])
    return page(records, sources, title=HOSTILE)


class Reader(HTMLParser):
    """Collects tables with the rows behind each number, ids, links and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.scripts = 0
        self._rows: list[list[tuple[str, str]]] = []
        self._caption = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.addresses += [found[k] for k in ("src", "href", "xlink:href", "data", "action") if k in found]
        self.scripts += tag == "script"
        if found.get("role") == "region":
            self._caption = found["aria-label"]
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append(("", ""))
        elif tag == "a" and self._rows and self._rows[-1] and "data-rows" in found:
            self._rows[-1][-1] = ("", found["data-rows"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
            self._rows = []

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1]:
            text, rows = self._rows[-1][-1]
            self._rows[-1][-1] = (text + data.strip(), rows)


def listed(rows: str) -> list[int]:
    """The ids in `0-3,7`."""
    parts = [p.split("-") for p in rows.split(",")]
    return [k for p in parts for k in range(int(p[0]), int(p[-1]) + 1)]


def embedded(text: str) -> list[dict[str, Any]]:
    """The rows that the page carries, whole."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return data["arrays"][value["$array"]] if "$array" in value else {k: whole(v) for k, v in value.items()}
        return [whole(v) for v in value] if isinstance(value, list) else value

    return [whole(row) for row in data["rows"]]


def test_every_count_is_that_of_the_rows_it_leads_to(kept: Path, made: str) -> None:
    records, _ = read([kept])
    reader = Reader(made)
    table = reader.tables["How many queries ended how, and seconds spent"]
    columns = [text for text, _ in table[0]]
    assert columns[:4] == ["bits", "radius", "method", "queries"]
    assert len(table) == 1 + 2 * 2 * 2
    for row in table[1:]:
        cells = dict(zip(columns, row, strict=True))
        own = [r for r in records if (str(r.bits), str(r.parameters["radius"]), r.method) == tuple(row[k][0] for k in range(3))]
        assert listed(cells["queries"][1]) == [r.id for r in own]
        for verdict in qs.Verdict:
            text, rows = cells[verdict.name]
            assert int(text) == sum(r.verdict is verdict for r in own)
            assert [r.id for r in own if r.verdict is verdict] == (listed(rows) if rows else [])
        assert float(cells["sum s"][0]) == pytest.approx(sum(r.seconds for r in own), rel=5e-3)
    for caption, found in reader.tables.items():
        seconds = {k for k, (name, _) in enumerate(found[0]) if name.endswith(" s")}  # which may be whole by chance
        counts = (cell for row in found[1:] for k, cell in enumerate(row) if k not in seconds)
        for text, rows in (cell for cell in counts if cell[1] and cell[0].isdigit()):
            per_pair = 2 if caption.startswith("How often") else 1
            if not caption.startswith(("From one", "How many hold")):
                assert len(listed(rows)) in (int(text), per_pair * int(text)), caption


def test_the_page_carries_every_row_as_it_was(kept: Path, made: str) -> None:
    written = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert sorted(map(json.dumps, embedded(made))) == sorted(map(json.dumps, written))
    assert {f"r{k}" for k in range(len(written))} <= set(Reader(made).ids)


def test_the_page_needs_nothing_else_and_its_names_are_its_own(made: str) -> None:
    reader = Reader(made)
    assert all(a.startswith(("#", "data:image/png;base64,")) for a in reader.addresses)
    assert not re.search(r"https?://(?!www\.w3\.org/)", made)
    assert [k for k, n in Counter(reader.ids).items() if n > 1] == []
    assert all(link[1:] in reader.ids for link in reader.links)
    assert reader.scripts == 2
    assert "default-src &#39;none&#39;" in made or "default-src 'none'" in made


def test_figures_and_pictures_are_there_with_words(made: str) -> None:
    assert made.count("<svg ") == 2 + 2  # bits, radius for each method, time
    assert made.count('role="img"') == made.count("<svg ")
    assert made.count("<img ") == made.count("alt=") > 0
    assert "currentColor" in made
    assert "#1a1a1a" not in made


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    row = {"solver": HOSTILE, "verdict": "VIOLATED", "name": HOSTILE, "detail": HOSTILE, "radius": HOSTILE, "codes": {HOSTILE: [1, 2]}}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({**row, "radius": f"{HOSTILE}{k}"}) + "\n" for k in range(2)), encoding="utf-8")
    records, sources = read([path])
    text = page(records, sources, title=HOSTILE)
    assert "<script>alert" not in text
    assert "</script>&amp;" not in text
    assert Reader(text).scripts == 2
    assert embedded(text)[0]["name"] == HOSTILE


def test_what_verify_and_compare_write_is_read_as_well(tmp_path: Path) -> None:
    weight = qs.Fixed(3, 0)
    net = qs.Sequential(qs.Input((2,), weight), qs.Dense(qs.quantize([[1, -1], [1, 2]], weight), output=qs.Fixed(5, 0)), name="n")
    x = net.input("x")
    results = [qs.verify(qs.forall(x, then=net(x)[0] <= v, name="p"), solver=s) for v in (3, 100) for s in ("bounds", "z3")]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"schema": "qspec.results/1", "results": [r.to_dict() for r in results]}), encoding="utf-8")
    single = tmp_path / "result.json"
    single.write_text(results[0].to_json(), encoding="utf-8")
    records, sources = read([path, single])
    assert "≠" not in page(records[:1], sources, title="t")
    assert [r.verdict.name for r in records] == ["VIOLATED", "VIOLATED", "HOLDS", "HOLDS", "VIOLATED"]
    assert [s.rows for s in sources] == [4, 1]
    agreement = Reader(page(records[:4], sources, title="t")).tables["How often two methods reach the same verdict"]
    assert [text for text, _ in agreement[1]] == ["bounds", "z3", "2", "2", "0", "0", "0", "0"]


def test_several_properties_are_a_matrix_and_several_inputs_stand_side_by_side(tmp_path: Path) -> None:
    common = {"solver": "a", "verdict": "VIOLATED", "codes": {"u": [1, 2, 3], "w": [1, 5, 3]}}
    rows = [{**common, "name": "p"}, {**common, "name": "q"}, {"solver": "b", "verdict": "HOLDS", "name": "q"}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = page(*read([path]), title="t")
    matrix = next(v for k, v in Reader(text).tables.items() if k.startswith("Every property"))
    assert [[t for t, _ in row] for row in matrix] == [["property", "a", "b"], ["p", "VIOLATED", ""], ["q", "VIOLATED", "HOLDS"]]
    assert '<th scope="row">[1]</th><td>2</td><td>5</td><td>≠</td>' in text
    assert '<th scope="row">[0]</th><td>1</td><td>1</td><td></td>' in text


JOB = qs.Categorical("job", ("baker", "nurse", "none"))
FEATURES = (
    JOB,
    qs.Categorical("sex", ("female", "male"), onehot=False),
    qs.Whole("age", 20, 50, step=10, scale=Fraction(1, 10), shift=Fraction(20)),
)
TABLE = qs.Schema((*FEATURES, qs.Ordinal("school", ("low", "high"), first=1)), protected=("sex",))


def people(layer: qs.Input) -> qs.Network:
    """What the sex changes is the output, and nothing else."""
    kernel = np.zeros((6, 1), dtype=np.int64)
    kernel[3] = 1
    return qs.Sequential(layer, qs.Dense(qs.Tensor(kernel, qs.Fixed(3, 0)), output=qs.Fixed(5, 0)), name="people")


def found_rows(text: str) -> list[list[list[str]]]:
    """The cells of all tables of counterexamples on a page."""
    section = text[text.index('<section id="found">') : text.index('<section id="environment">')]
    lines = (re.findall(r"<tr>(.*?)</tr>", table) for table in re.findall(r"<table.*?</table>", section, re.DOTALL))
    return [[re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in table] for table in lines]


def test_counterexamples_over_a_schema_are_rows_in_words(tmp_path: Path) -> None:
    kept, old = tmp_path / "store.jsonl", tmp_path / "old.jsonl"
    net = people(qs.Input((6,), TABLE.format()))
    close = qs.fairness.close_values(net, TABLE, qs.parameter("tolerance"))
    (first,) = qs.verify_many(close, {"tolerance": [0]}, workers=1, store=kept)
    assert first.result.codes is not None
    words = qs.fairness.in_words(net, TABLE, first.result.codes)
    assert first.result.rows == words
    (again,) = qs.verify_many(close, {"tolerance": [0]}, workers=1, store=kept)
    assert again.resumed
    assert again.result.rows == words
    (table,) = found_rows(page(*read([kept]), title="t"))
    assert table[0] == ["feature", "a", "b", ""]
    assert table[1:] == [[n, str(words["a"][n]), str(words["b"][n]), "≠" if n == "sex" else ""] for n in ("job", "sex", "age", "school")]
    line = json.loads(kept.read_text())
    del line["result"]["rows"]
    old.write_text(json.dumps(line) + "\n")
    assert [row[0] for row in found_rows(page(*read([old]), title="t"))[0]] == ["element", *(f"[{k}]" for k in range(6))]


def test_features_of_an_input_name_what_was_changed(tmp_path: Path) -> None:
    net = people(TABLE.layer())
    x, person = net.input("x"), qs.parameter("person", 6)
    near = qs.forall(x, given=qs.linf(x.code - person) <= 1, then=net(x).reshape() <= 0)
    kept = tmp_path / "store.jsonl"
    assert [f.verdict.name for f in qs.verify_many(near, {"person": [[0, 1, 0, 0, 3, 2]]}, workers=1, store=kept)] == ["VIOLATED"]
    (table,) = found_rows(page(*read([kept]), title="t"))
    assert table[0] == ["feature", "person", "x", ""]
    assert [row[:2] for row in table[1:]] == [["job", "nurse"], ["sex", "0"], ["age", "3"], ["school", "2"]]
    assert table[2] == ["sex", "0", "1", "≠"]
    assert table[1][2] in JOB.words
    misplaced = json.loads(kept.read_text())
    misplaced["result"]["rows"]["x"] = {"job": "<b>baker</b>"}
    kept.write_text(json.dumps(misplaced) + "\n")
    tables = found_rows(page(*read([kept]), title="t"))
    assert [t[0] for t in tables] == [["feature", "person"], ["feature", "x"]]
    assert tables[1][1] == ["job", "&lt;b&gt;baker&lt;/b&gt;"]


def test_a_contradiction_is_shown_in_place_of_who_is_right(kept: Path) -> None:
    records, sources = read([kept])
    first = next(r for r in records if r.exact)
    other = qs.Verdict.HOLDS if first.verdict is qs.Verdict.VIOLATED else qs.Verdict.VIOLATED
    liar = Record(len(records), first.name, first.subject, first.question, "liar", other, "PROOF", None, "", 0.0, first.bits, first.sample)
    text = page([*records, liar], sources, title="t")
    assert "contradict each other" in text
    assert 'role="alert"' in text
    assert "Claims by whether they are true" not in text


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "no results"),
        ("not json\n", "row 1"),
        ('{"solver": "a", "verdict": "HOLDS"}\n[1]\n', "row 2"),
        ('{"solver": "a", "verdict": "MAYBE"}\n', "row 1"),
        ('{"solver": "a", "verdict": "HOLDS", "seconds": NaN}\n', "row 1"),
        ('{"solver": "a", "verdict": "VIOLATED", "codes": {"x": ["1/0"]}}\n', "counterexample is damaged"),
        ('{"solver": "a", "verdict": "VIOLATED", "codes": 3}\n', "counterexample is damaged"),
        ('{"solver": "a", "verdict": "VIOLATED", "rows": {"x": {}}}\n', "counterexample is damaged"),
        ('{"solver": "a", "verdict": "VIOLATED", "rows": {"x": 3}}\n', "counterexample is damaged"),
        ('{"schema": "other/1"}', "not a file of results"),
        ('{"schema": "qspec.results/1", "results": 3}', "damaged"),
        ('{"schema": "qspec.results/1", "results": [{}]}', "row 1"),
        ('{"schema": "qspec.store/1", "key": "k", "index": 0, "result": {}}\n{"schema": "qspec.store/1", "key": \n', "damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, match: str) -> None:
    path, out = tmp_path / "results.jsonl", tmp_path / "page.html"
    path.write_text(content, encoding="utf-8")
    assert main(["report", str(path), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert match in said
    assert "internal" not in said
    assert not out.exists()


def test_the_store_of_a_certification_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = qs.load("digits-tiny")
    images, labels = samples("digits-tiny")
    qs.certify(net, images[:1], labels[:1], 0, timeout=0, store=tmp_path / "verdicts.jsonl")
    assert main(["report", str(tmp_path / "verdicts.jsonl")]) == 2
    said = capsys.readouterr().err
    assert "the store of a certification" in said
    assert "damaged" not in said


def test_no_fewer_than_no_counterexamples_are_shown(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(kept), "-o", str(kept.with_name("none.html")), "--most", "-1"]) == 2
    assert "at least 0" in capsys.readouterr().err


def test_rows_of_no_sweep_beside_a_sweep_are_not_those_of_the_real_network(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"solver": "bounds", "verdict": "HOLDS", "radius": 1}\n', encoding="utf-8")
    alone, mixed = read([kept])[0], read([kept, tmp_path / "other.jsonl"])[0]
    assert len(mixed) == len(alone) + 1
    assert [(j.bits, j.method, len(j.undecided)) for j in judged(mixed)] == [(j.bits, j.method, len(j.undecided)) for j in judged(alone)]
    assert [(s.bits, s.method, len(s.records)) for s in shares(mixed)] == [(s.bits, s.method, len(s.records)) for s in shares(alone)]
    assert "real" not in {cell.text for row in verdicts(mixed, []).rows for cell in row}


WRONG: tuple[Any, ...] = (None, -1, "\ud800", [[1]], {"a": [None]}, True)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything is inside a JSON value, down to three levels."""
    inside = value.items() if isinstance(value, dict) else ()
    return [path, *(p for k, v in inside if len(path) < 3 for p in places(v, (*path, k)))]


def test_whatever_stands_in_a_row_it_is_shown_or_refused(kept: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    store = next(line for line in lines if line["result"]["codes"])
    flat = {"solver": "a", "verdict": "VIOLATED", "radius": 1, "bits": 3, "seconds": 1.5, "versions": {"a": "1"}, "codes": {"x": [1, 2]}}
    path, refused = tmp_path / "rows.jsonl", 0
    for row in (store, flat):
        for k, place in enumerate([p for p in places(row) if p][:: 4 if row is store else 1]):
            changed = json.loads(json.dumps(row))
            inner = changed
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = WRONG[k % len(WRONG)]
            path.write_text(json.dumps(changed) + "\n", encoding="utf-8")
            try:
                records, sources = read([path])
                made = page(records, sources, title="t")
            except SpecError:
                refused += 1
            else:
                assert embedded(made) == [changed]
    assert refused > 5


def test_what_a_killed_run_leaves_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"solver": "a", "verdict": "HOLDS"}\n{"solver": "a", "verd', encoding="utf-8")
    assert len(read([path])[0]) == 1


def test_files_and_parameters_that_are_not_there_are_named(tmp_path: Path, kept: Path) -> None:
    with pytest.raises(SpecError, match="cannot read results"):
        read([tmp_path / "nothing.jsonl"])
    with pytest.raises(SpecError, match=r"no row has such a parameter(.|\n)*label, radius"):
        page(*read([kept]), title="t", by=["colour"])


def test_ranges_are_written_short() -> None:
    assert ranges([5, 0, 1, 2, 9, 10]) == "0-2,5,9-10"
    assert listed(ranges([5, 0, 1, 2, 9, 10])) == [0, 1, 2, 5, 9, 10]


PROBE = """
  const shown = () => [...document.querySelectorAll("#table > tbody > tr[id]")].filter((row) => !row.hidden).length;
  const numbers = [...document.querySelectorAll("#verdicts table:first-of-type tbody tr:first-child td:nth-of-type(-n+4) a.n")];
  const found = { width: document.documentElement.scrollWidth, numbers: numbers.map((a) => a.textContent), shown: [] };
  for (const a of numbers) { a.click(); found.shown.push(shown()); }
  document.getElementById("all").click();
  found.all = shown();
  document.querySelector("a[data-raw]").click();
  found.raw = document.querySelector("#table pre").textContent;
  history.replaceState(null, "", " ");
  document.title = JSON.stringify(found).replaceAll("<", "\\u003c");
"""
"""Clicks numbers and counts the rows that are left, then looks at the first row as it was found."""


@pytest.mark.skipif(BROWSER is None, reason="no chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page(kept: Path, made: str, tmp_path: Path, width: int) -> None:
    from PIL import Image

    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(made.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    assert BROWSER is not None
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path}",
        f"--window-size={width},1600",
    ]
    dom = subprocess.run([BROWSER, *options, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None
    seen = json.loads(title[1])
    assert seen["width"] <= max(width, 500)  # nothing sticks out; headless windows are at least 500 wide
    assert seen["shown"] == [int(n) for n in seen["numbers"]]  # a click on a number leaves the rows that it is made from
    assert seen["all"] == len(read([kept])[0])
    assert json.loads(seen["raw"]) == embedded(made)[0]
    file.write_text(made, encoding="utf-8")
    subprocess.run([BROWSER, *options, f"--screenshot={picture}", file.as_uri()], capture_output=True, timeout=120, check=True)
    colours = Image.open(picture).convert("RGB").getcolors(2**24)
    assert colours is not None
    often = {colour for count, colour in colours if count > 200}
    assert {(0x00, 0x72, 0xB2), (0xC0, 0x4A, 0x00)} <= often  # marks of both verdicts are on the screen
