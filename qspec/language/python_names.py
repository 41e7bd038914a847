"""Functions of the language whose public names are those of Python's own: `qs.all` of formulas, `qs.max` of expressions."""

from __future__ import annotations

from qspec.language.formulas import every, some
from qspec.language.functions import maximum, minimum, total

all = every
any = some
max = maximum
min = minimum
sum = total
