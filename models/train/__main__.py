"""Train models again: `python models/train --out DIR` those of shipped data, `--data DIR NAME` one from the files in DIR."""

from __future__ import annotations

from pathlib import Path

import certified
import digits
import mnist
import tabular
from command import main
from fit import Recipe


def of_files(folder: Path) -> tuple[Recipe, ...]:
    """Return the recipes for images in a folder."""
    return (*mnist.recipes(folder), *certified.recipes(folder))


main((*digits.RECIPES, *tabular.RECIPES), of_files=of_files)
