"""A result as Python and notebooks show it: the verdict, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qspec.arithmetic.text import exact, shape_text
from qspec.ir.real import fractions
from qspec.support.notebook import picture, table, text, verdict
from qspec.verify.feature_rows import reference

if TYPE_CHECKING:
    from qspec.verify.result import Result

MOST = 16
"""Numbers of an array that are written out."""
SIDES = range(4, 65)
"""Heights and widths of what is drawn."""


def shown(result: Result) -> str:
    """Return the result on a line, and its counterexample or witness on a second one."""
    found = "; ".join(f"{name} = {_numbers(values)}" for name, values in _solution(result).items())
    word = "counterexample" if result.kind == "forall" else "witness"
    return f"{result}\n{word}: {found}" if found else str(result)


def html(result: Result) -> str:
    """Return the result for a notebook: features in words, images drawn beside the parameter that they are a change of, else numbers."""
    parts = [verdict(result.verdict.name, str(result).removeprefix(result.verdict.name).strip())]
    if result.rows:
        names = list(dict.fromkeys(name for row in result.rows.values() for name in row))
        body = [[name, *(row.get(name, "") for row in result.rows.values())] for name in names]
        parts.append(table(body, header=["feature", *result.rows]))
    for name, values in _solution(result).items():
        if name not in result.rows:
            parts.append(_drawn(name, values, result.parameters) if _is_image(values) else text(f"{name} = {_numbers(values)}"))
    return "\n".join(parts)


def _solution(result: Result) -> Mapping[str, Any]:
    return {**(result.codes or {}), **(result.point or {})}


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
