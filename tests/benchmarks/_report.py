"""Say on what a benchmark ran, and lay figures out as Markdown."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """Return processor, cores and memory in one line."""
    info = Path("/proc/cpuinfo")
    model = (
        next((line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")), "")
        if info.exists()
        else ""
    )
    memory = Path("/proc/meminfo")
    gib = int(memory.read_text().split()[1]) / 2**20 if memory.exists() else 0.0
    return f"{model or platform.processor() or platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()}"


def versions(*packages: str) -> str:
    """Return the versions of packages in one line."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version('qspec-verify' if package == 'qspec' else package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def header(title: str, *packages: str) -> str:
    """Return a heading with machine, versions and the command."""
    command = " ".join(["python", *[a if "/" not in a else Path(a).name for a in sys.argv]])
    return f"# {title}\n\n- machine: {machine()}\n- versions: {versions(*packages)}\n- command: `{command}`\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; floats have three significant digits."""
    shown = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    widths = [max(len(c), *(len(r[k]) for r in shown)) if shown else len(c) for k, c in enumerate(columns)]
    lines = [columns, ["-" * w for w in widths], *shown]
    return "\n".join("| " + " | ".join(v.ljust(w) for v, w in zip(line, widths, strict=True)) + " |" for line in lines)
