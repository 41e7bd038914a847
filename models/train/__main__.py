"""Train every model again: `python models/train --out models/qspec_models/data --data DIR`, those of MNIST from the idx files in DIR."""

from __future__ import annotations

import digits
import mnist
import tabular
from command import main

main((*digits.RECIPES, *tabular.RECIPES), of_files=mnist.recipes)
