"""Put the pages of benchmarks into the navigation of the site, as their overview lists them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from mkdocs.config.defaults import MkDocsConfig

SECTION = "Benchmarks and reproductions"
ROW = re.compile(r"^\| \[(.+?)\]\((.+?\.md)\)", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append a page for each row of `benchmarks/README.md` to the section of benchmarks."""
    overview = Path(config.docs_dir, "benchmarks", "README.md").read_text(encoding="utf-8")
    for part in cast("list[dict[str, list[object]]]", dict(config)["nav"]):
        part.get(SECTION, []).extend({title: f"benchmarks/{page}"} for title, page in ROW.findall(overview))
    return config
