"""Questions about networks of few convolutions: robustness of MNIST networks at wide radii, patches of larger images.

Each row is a process of its own with one thread; `--build before=FOLDER` asks the same in another checkout of qspec. Inputs of
`--patches` are smooth random images, seeded, whose class, the network's own, leads by 10 codes; run it with `--help`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import qspec as qs
import qspec_models

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table

COLUMNS = ("question", "build", "asked", "proved", "refuted", "open", "proved of the rest %", "CPU s mean", "CPU s max", "peak MB")
RADII = ("mnist-conv-8bit=8", "mnist-certified-8bit=8,12,16", "mnist-certified-4bit=8")
MARGIN = 10
"""Codes by which the class of an input leads."""
PATCHES = ((16, 4), (2, 255), (3, 255))


def robustness(folder: Path, name: str, radius: int, limit: float, first: int, count: int) -> list[list[object]]:
    """Return verdict and CPU seconds of the first test images that are classified right, each within a radius on all pixels."""
    path = Path(name) if name.endswith(".qspec") else qspec_models.card(name).path
    network = qs.load(path)
    images, labels = (read_idx(find(folder / "mnist", f"t10k-{kind}*")) for kind in ("images", "labels"))
    codes = images[: 2 * (first + count) + 20].astype(np.int64).reshape(-1, *network.inputs[0].type.shape)
    right = np.flatnonzero(network.evaluate(codes).argmax(axis=1) == labels[: len(codes)])[first : first + count]
    x = network.input("x", lower=0, upper=255)
    specs = [qs.forall(x, given=qs.linf(x.code - codes[k]) <= radius, then=qs.argmax(network(x)) == int(labels[k])) for k in right]
    return [asked(spec, limit) for spec in specs]


def patches(path: Path, side: int, radius: int, limit: float, count: int) -> list[list[object]]:
    """Return verdict and CPU seconds of smooth random images, with a square patch in the middle free within a radius."""
    network = qs.load(path)
    height, width, channels = network.inputs[0].type.shape
    rng = np.random.default_rng(7)
    found: list[list[object]] = []
    while len(found) < count:
        cells = int(rng.integers(3, 25))
        coarse = rng.uniform(-160, 160, (cells, cells, channels))
        rows, columns = np.linspace(0, cells - 1, height), np.linspace(0, cells - 1, width)
        smooth = np.stack([_smooth(coarse[..., c], rows, columns) for c in range(channels)], axis=-1)
        image = np.clip(np.rint(smooth), -128, 127).astype(np.int64)
        outputs = network.evaluate(image[None])[0]
        second, first = np.sort(outputs)[-2:]
        if first - second < MARGIN:
            continue
        label = int(outputs.argmax())
        top, left = (height - side) // 2, (width - side) // 2
        where = np.s_[top : top + side, left : left + side]
        found.append(asked(qs.sensors.region_robustness(network, image, label, where=where, radius=radius), limit))
    return found


def _smooth(coarse: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return bilinear values of a coarse image at some rows and columns."""
    at = np.stack([np.interp(columns, np.arange(coarse.shape[1]), row) for row in coarse])
    return np.stack([np.interp(rows, np.arange(coarse.shape[0]), column) for column in at.T], axis=1)


def asked(spec: qs.Property, limit: float) -> list[object]:
    """Return the verdict and the CPU seconds of one question."""
    cpu = time.process_time()
    result = qs.verify(spec, timeout=limit)
    spent = time.process_time() - cpu
    trace = "; ".join(f"{r.name} {r.seconds:.2f} {r.outcome}" for r in result.trace)
    print(f"{result.verdict.name} {spent:.2f} | {trace} | {result.reason}", file=sys.stderr, flush=True)
    return [result.verdict.name, spent]


def works(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Return what is to be asked, by name."""
    found: dict[str, tuple[str, ...]] = {}
    limit, count = str(options.timeout), str(options.count)
    for entry in options.radii if options.data is not None else ():
        name, radii = entry.split("=")
        for radius in radii.split(","):
            found[f"{Path(name).stem}, all pixels ±{radius}"] = ("mnist", str(options.data), name, radius, limit, str(options.first), count)
    for path in options.patches:
        for side, radius in PATCHES:
            kind = "any value" if radius == 255 else f"±{radius}"
            found[f"{path.stem}, patch {side}x{side} {kind}"] = ("patch", str(path), str(side), str(radius), limit, count)
    return found


def do(work: list[str]) -> None:
    """Do one piece of work here, and print verdicts, seconds and peak memory as JSON."""
    match work:
        case ["mnist", folder, name, radius, limit, first, count]:
            rows = robustness(Path(folder), name, int(radius), float(limit), int(first), int(count))
        case ["patch", path, side, radius, limit, count]:
            rows = patches(Path(path), int(side), int(radius), float(limit), int(count))
        case _:
            raise ValueError(f"no such work: {work}")
    print(json.dumps([rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))


def row(name: str, label: str, work: tuple[str, ...], folder: Path | None) -> list[object]:
    """Return one row of the table, asked in a new process."""
    own = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if folder is not None:
        own["PYTHONPATH"] = os.pathsep.join([str(folder / part) for part in (".", "solvers", "models")])
    done = subprocess.run([sys.executable, __file__, "--do", *work], env=own, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return [name, label, "failed", *[""] * 7]
    found, peak = json.loads(done.stdout.splitlines()[-1])
    counts, spent = Counter(verdict for verdict, _ in found), [seconds for _, seconds in found]
    proved, refuted, open_ = (counts[v] for v in ("HOLDS", "VIOLATED", "UNKNOWN"))
    share = f"{100 * proved / max(1, proved + open_):.0f}"
    return [name, label, len(found), proved, refuted, open_, share, f"{np.mean(spent):.2f}", f"{max(spent):.2f}", peak]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with mnist/ (idx files)")
    parser.add_argument("--radii", nargs="*", default=RADII, metavar="NAME=R,…", help="MNIST networks, shipped or .qspec files, and radii")
    parser.add_argument("--patches", type=Path, nargs="*", default=[], help="image classifiers that patches are asked about")
    parser.add_argument("--first", type=int, default=0, help="so many images that are classified right are left out before the first")
    parser.add_argument("--count", type=int, default=20, help="inputs that each question is asked about")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for each question")
    parser.add_argument("--build", nargs="*", default=[], metavar="LABEL=FOLDER", help="other checkouts to run the same in")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    parser.add_argument("--do", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        do(options.do)
        return
    builds: dict[str, Path | None] = {k: Path(v) for k, v in (b.split("=", 1) for b in options.build)} | {"this": None}
    rows: list[list[object]] = []
    for name, work in works(options).items():
        for label, folder in builds.items():
            rows.append(row(name, label, work, folder))
            print(*rows[-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{v:.1f}" for v in os.getloadavg())
    title = header("Questions about networks of few convolutions", "qspec", "jax", "numpy")
    report = f"{title}- load average at the end: {load}; one thread; {options.timeout:g} s a question\n\n{table(COLUMNS, rows)}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
