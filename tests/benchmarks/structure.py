"""The structure of the house: parts, arrows, floors, circles, lines and shared names, measured with grimp.

A part is a package or a module directly in `qspec/`. Floors are the longest chain of parts that import each other, where a circle counts
once. Run `python tests/benchmarks/structure.py`.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import grimp

import qspec

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

HOME = Path(str(qspec.__file__)).parent
Arrows = Mapping[str, set[str]]


def circles(arrows: Arrows) -> list[set[str]]:
    """Return the sets of nodes that reach each other, those of a single node left out."""
    reach: dict[str, set[str]] = {}
    for node in arrows:
        seen, pending = set[str](), [node]
        while pending:
            for target in arrows.get(pending.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    pending.append(target)
        reach[node] = seen
    found = {frozenset({a, *(b for b in reach[a] if a in reach.get(b, ()))}) for a in arrows if a in reach[a]}
    return sorted((set(c) for c in found), key=len, reverse=True)


def floors(arrows: Arrows) -> int:
    """Return the length of the longest chain, where a circle counts once."""
    member = {node: min(c) for c in circles(arrows) for node in c}

    @cache
    def height(node: str) -> int:
        own = [n for n in arrows if member.get(n, n) == node]
        below = {member.get(t, t) for n in own for t in arrows[n]} - {node}
        return 1 + max(map(height, below), default=0)

    return max(height(member.get(n, n)) for n in arrows)


def main() -> None:
    graph = grimp.build_graph("qspec", cache_dir=None)
    between: dict[str, set[str]] = {m: set(graph.find_modules_directly_imported_by(m)) for m in graph.modules}
    parts: dict[str, set[str]] = defaultdict(set)
    for module, targets in between.items():
        own = module.split(".")[1:2]
        if own:
            parts[own[0]] |= {t.split(".")[1] for t in targets if "." in t} - {own[0]}
    files = [f for f in HOME.rglob("*.py") if f.name != "__init__.py"]
    lines = sorted(len(f.read_text().splitlines()) for f in files)
    classes: dict[str, set[Path]] = defaultdict(set)
    for file in files:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].add(file)
    stems = Counter(f.stem for f in files)
    rings = circles(between)
    loose = [f for f in files if f.parent == HOME]
    rows = [
        ("modules", len(files)),
        ("parts directly in `qspec/` (packages and loose modules)", len(parts)),
        ("loose modules", len(loose)),
        ("arrows between parts", sum(map(len, parts.values()))),
        ("floors", floors(parts)),
        ("circles of parts", len(circles(parts))),
        ("circles of files (largest)", f"{len(rings)} ({max(map(len, rings), default=0)} files)"),
        ("lines of a module: median, 90th percentile", f"{median(lines):.0f}, {quantiles(lines, n=10)[-1]:.0f}"),
        ("names of modules that occur twice", sum(n > 1 for n in stems.values())),
        ("names of classes that occur in several files", f"{sum(len(v) > 1 for v in classes.values())} of {len(classes)}"),
    ]
    print(header("The structure of qspec", "qspec", "grimp"))
    print(table(("", "now"), rows))


if __name__ == "__main__":
    main()
