"""A result as Python and notebooks show it: the verdict, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qspec.arithmetic.text import exact, shape_text
from qspec.ir.real import fractions
from qspec.support.notebook import picture, table, text, verdict
from qspec.verify.feature_rows import reference

MOST = 16
"""Numbers of an array that are written out."""
SIDES = range(4, 65)
"""Heights and widths of what is drawn."""


def shown(line: str, word: str, solution: Mapping[str, Any]) -> str:
    """Return the line of a result, and on a second one its counterexample or witness."""
    found = "; ".join(f"{name} = {_numbers(values)}" for name, values in solution.items())
    return f"{line}\n{word}: {found}" if found else line


def html(name: str, line: str, solution: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Any]) -> str:
    """Return a result for a notebook: the name of its verdict, its line, and its solution.

    Features are in words, images drawn beside the parameter that they are a change of, everything else is numbers.
    """
    parts = [verdict(name, line.removeprefix(name).strip())]
    if rows:
        features = list(dict.fromkeys(f for row in rows.values() for f in row))
        parts.append(table([[f, *(row.get(f, "") for row in rows.values())] for f in features], header=["feature", *rows]))
    for variable, values in solution.items():
        if variable not in rows:
            parts.append(_drawn(variable, values, parameters) if _is_image(values) else text(f"{variable} = {_numbers(values)}"))
    return "\n".join(parts)


def _numbers(values: Any) -> str:
    array = np.asarray(values, dtype=object)
    flat = [exact(v) for v in fractions(array).reshape(-1)[:MOST].tolist()]
    more = f", … {array.size - MOST} more ({shape_text(array.shape)})" if array.size > MOST else ""
    return flat[0] if array.shape == () else f"[{', '.join(flat)}{more}]"


def _is_image(values: Any) -> bool:
    shape = np.shape(values)
    return len(shape) in (2, 3) and all(n in SIDES for n in shape[:2]) and shape[2:] in ((), (1,))


def _drawn(name: str, values: Any, parameters: Mapping[str, Any]) -> str:
    """Return an image, and before it the parameter that it was changed from, if there is one."""
    now = np.asarray(values, dtype=object)
    before = reference(now, parameters)
    images = [(name, now)] if before is None else [(before[0], np.asarray(before[1])), (name, now)]
    planes: list[Any] = [array.reshape(now.shape[:2]).astype(np.float64) for _, array in images]
    ends = min(float(p.min()) for p in planes), max(float(p.max()) for p in planes)
    cells = [picture(plane.tolist(), *ends, title) for plane, (title, _) in zip(planes, images, strict=True)]
    names = " and ".join(title for title, _ in images)
    changed = "" if before is None else f", {np.count_nonzero(images[0][1].reshape(-1) != now.reshape(-1))} of {now.size} elements changed"
    return f"<figure>{' '.join(cells)}<figcaption>{names}{changed}</figcaption></figure>"
