"""Train every model again: `python models/train --out models/qspec_models/data`."""

from __future__ import annotations

import digits
import tabular
from command import main

main((*digits.RECIPES, *tabular.RECIPES))
