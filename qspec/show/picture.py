"""Images as terminal text: grey half-blocks where there is colour, shades of ink where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ShapeError

SHADES = " ░▒▓█"
WIDE = 10
"""Widest image that is drawn with two columns for a pixel, or three for a number; in a wider one a character stands for two rows."""
LARGEST = 120
"""Images with more rows or columns are not drawn."""
GREYS = 24
"""Grey levels of a 256-colour terminal, from colour 232 on."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of text under a title, each `width` columns wide."""

    title: str
    lines: tuple[str, ...]
    width: int


def is_image(shape: Sequence[int]) -> bool:
    """Return whether codes of this shape can be drawn: height and width from 4 to 120, and no more than one channel."""
    return len(shape) in (2, 3) and all(4 <= n <= LARGEST for n in shape[:2]) and (len(shape) == 2 or shape[2] == 1)


def grey(title: str, codes: IntArray, lower: int, upper: int, *, colour: bool = False) -> Block:
    """Return an image, shape (height, width) or (height, width, 1), with codes from `lower` (no ink) to `upper` (full ink).

    With `colour` it is made of grey half-blocks for a terminal of 256 colours. Raises ShapeError if it is no image.
    """
    levels = (_plane(codes) - lower) / max(1, upper - lower)
    levels = np.clip(levels.astype(np.float64), 0.0, 1.0)
    if colour:
        return Block(title, tuple(_half_blocks(levels)), levels.shape[1])
    wide = levels.shape[1] <= WIDE
    rows = levels if wide else _paired(levels).mean(axis=1)
    shade = np.rint(rows * (len(SHADES) - 1)).astype(np.int64)
    return Block(title, tuple("".join(SHADES[k] * (1 + wide) for k in row) for row in shade), levels.shape[1] * (1 + wide))


def change(title: str, before: IntArray, after: IntArray) -> Block:
    """Return what was added to each pixel, in LSB: `+1`, `-2`, `·` for nothing; only the signs if the image is wide."""
    difference = _plane(after) - _plane(before)
    wide = difference.shape[1] <= WIDE and int(np.abs(difference).max()) <= 9
    if wide:
        lines = ["".join(f" {v:+d}" if v else "  ·" for v in row) for row in difference.tolist()]
    else:
        pairs = _paired(difference)
        signs = np.any(pairs > 0, axis=1) * 1 + np.any(pairs < 0, axis=1) * 2
        lines = ["".join("·+-±"[k] for k in row) for row in signs.tolist()]
    return Block(title, tuple(lines), difference.shape[1] * (3 if wide else 1))


def beside(blocks: Sequence[Block], *, columns: int = 80, gap: int = 3) -> str:
    """Return blocks side by side, as many in a row as `columns` has room for."""
    rows: list[list[Block]] = []
    used = columns
    for block in blocks:
        width = max(block.width, len(block.title))
        if not rows or used + gap + width > columns:
            rows.append([])
            used = -gap
        rows[-1].append(block)
        used += gap + width
    return "\n\n".join(_row(row, " " * gap) for row in rows)


def _row(blocks: Sequence[Block], gap: str) -> str:
    widths = [max(b.width, len(b.title)) for b in blocks]
    lines = [gap.join(b.title.ljust(w) for b, w in zip(blocks, widths, strict=True))]
    for k in range(max(len(b.lines) for b in blocks)):
        parts = [b.lines[k] + " " * (w - b.width) if k < len(b.lines) else " " * w for b, w in zip(blocks, widths, strict=True)]
        lines.append(gap.join(parts))
    return "\n".join(line.rstrip() for line in lines)


def _plane(codes: IntArray) -> IntArray:
    if not is_image(codes.shape):
        raise ShapeError(
            "not an image that can be drawn", given=codes.shape, expected=f"(height, width) or (height, width, 1), 4 to {LARGEST} each"
        )
    return codes.reshape(codes.shape[:2])


def _paired(rows: np.ndarray) -> np.ndarray:
    """Return rows in pairs, shape (rows / 2, 2, columns); an odd last one is repeated."""
    even = np.concatenate([rows, rows[-1:]]) if rows.shape[0] % 2 else rows
    return even.reshape(-1, 2, rows.shape[1])


def _half_blocks(levels: np.ndarray) -> list[str]:
    """Return lines in which a character is two pixels, one above the other."""
    grey = 232 + np.rint(levels * (GREYS - 1)).astype(np.int64)
    lines: list[str] = []
    for top, bottom in _paired(grey).tolist():
        lines.append("".join(f"\x1b[38;5;{a}m\x1b[48;5;{b}m▀" for a, b in zip(top, bottom, strict=True)) + "\x1b[0m")
    return lines
