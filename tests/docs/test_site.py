"""The site builds without a warning, holds every page, loads nothing from the network, and no link of ours leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "models/README.md", "solvers/README.md", "tests/README.md")]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data"}
FOREIGN = re.compile(r"^(?:\w+:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml", "--site-dir", folder]
    built = subprocess.run(command, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert not re.search("warning|error", built.stderr, re.IGNORECASE), built.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert f'href="{html(page)}"' in home, page


def html(page: Path) -> str:
    """Return where the site has a page."""
    return str(page.relative_to(DOCS).with_suffix(".html")).replace("README", "index")


class Loads(HTMLParser):
    """Everything that a browser fetches for a page without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [given.get(LOADED.get(tag, "")) or "", (given.get("href") or "") if tag == "link" else ""]
        self.found += re.findall(r"url\(([^)]*)\)", given.get("style") or "")
        assert "mermaid" not in (given.get("class") or ""), "diagrams would be drawn by a script from elsewhere"


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    written = sorted(site.rglob("*.html"))
    assert len(written) > len(list(DOCS.rglob("*.md")))
    for page in written:
        reader = Loads()
        text = page.read_text(encoding="utf-8")
        reader.feed(text)
        assert not re.search(r"src=[\"']?(?:https?:)?//", text), f"{page}, perhaps within a script"
        assert any(reader.found), page
        assert not [target for target in reader.found if FOREIGN.match(target)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_the_search_knows_every_page(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert f'"location":"{html(page)}"' in index, page


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    slug = slugify(case="lower")
    return {slug(re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading), "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", [*OUTSIDE, *sorted(DOCS.rglob("*.md"))], ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"
