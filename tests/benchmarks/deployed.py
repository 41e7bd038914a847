"""What deployed int8 networks cost: queries, lowering and evaluation, CPU seconds and peak memory, each in a process of its own.

`--build before=FOLDER` runs the same work in another checkout of qspec, turn about. MNIST needs `--data` with mnist/,
networks of TensorFlow Lite the extra `tflite`. Run `python tests/benchmarks/deployed.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table

COLUMNS = ("work", "build", "outcome", "CPU s", "wall s", "peak MB")
QUESTIONS = ("brightness 32", "gain 5", "element", "stuck", "pixel 4", "all 1", "all 2")
Row = tuple[str, float, float]


def mnist(folder: Path, k: int) -> Row:
    """Return the outcome of ±4 around one test image of MNIST, the proof checked, and CPU and wall seconds."""
    import qspec as qs
    import qspec_models

    card = qspec_models.card("mnist-certified-8bit")
    network = qs.load(card.path)
    images, labels = (read_idx(find(folder / "mnist", f"t10k-{kind}*")) for kind in ("images", "labels"))
    x = network.input("x", lower=card.lowest, upper=card.highest)
    image = images[k].astype(np.int64).reshape(network.inputs[0].type.shape)
    spec = qs.forall(x, given=qs.linf(x.code - image) <= 4, then=qs.argmax(network(x)) == int(labels[k]))
    cpu, wall = time.process_time(), time.perf_counter()
    result = qs.verify(spec, timeout=300)
    checked = "certificate checked" if result.certificate is not None else "no certificate"
    return f"{result.verdict.name}, {checked}", time.process_time() - cpu, time.perf_counter() - wall


def lowered(path: Path, calls: int) -> Row:
    """Return what the last of so many evaluations of 4 random inputs takes; the first one lowers the network."""
    import qspec as qs

    network = qs.load(path)
    codes = np.random.default_rng(0).integers(-128, 128, (4, *network.inputs[0].type.shape))
    cpu = wall = 0.0
    total = 0
    for _ in range(calls):
        cpu, wall = time.process_time(), time.perf_counter()
        total = int(network.evaluate(codes).sum())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return f"codes sum up to {total}", cpu, wall


def robust(path: Path, limit: float) -> Row:
    """Return the outcome of ±1 around one random input."""
    import qspec as qs

    network = qs.load(path)
    image = np.random.default_rng(5).integers(-100, 100, network.inputs[0].type.shape)
    x = network.input("x")
    spec = qs.forall(x, given=qs.linf(x.code - image) <= 1, then=qs.argmax(network(x)) == int(network.evaluate(image[None])[0].argmax()))
    cpu, wall = time.process_time(), time.perf_counter()
    result = qs.verify(spec, timeout=limit)
    return result.verdict.name, time.process_time() - cpu, time.perf_counter() - wall


def question(path: Path, images: Path, kind: str, count: int, limit: float) -> Row:
    """Return how many questions of one kind about the first images (codes, .npy) were answered, and how."""
    import qspec as qs

    network = qs.load(path)
    shape = network.inputs[0].type.shape
    codes = np.load(images, allow_pickle=False).astype(np.int64).reshape(-1, *shape)[:count]
    classes = network.evaluate(codes).reshape(len(codes), -1).argmax(-1)
    middle = tuple(n // 2 for n in shape)
    pixel = middle[:-1] if len(shape) == 3 else slice(middle[0], middle[0] + 3)
    verdicts: list[str] = []
    cpu, wall = time.process_time(), time.perf_counter()
    for x, label in zip(codes, map(int, classes), strict=True):
        match kind.split():
            case ["brightness", radius]:
                spec = qs.sensors.brightness_robustness(network, x, int(radius), label)
            case ["gain", percent]:
                spec = qs.sensors.gain_robustness(network, x, int(percent), label)
            case ["element"]:
                spec = qs.sensors.region_robustness(network, x, label, where=middle)
            case ["stuck"]:
                spec = qs.sensors.stuck_robustness(network, x, label, where=pixel)
            case ["pixel", radius]:
                spec = qs.sensors.region_robustness(network, x, label, where=pixel, radius=int(radius))
            case ["all", radius]:
                spec = qs.properties.local_robustness(network, x, int(radius), label)
            case _:
                raise ValueError(f"no such question: {kind}")
        verdicts.append(qs.verify(spec, timeout=limit).verdict.name)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    shares = (f"{verdicts.count(name)} {word}" for name, word in (("HOLDS", "proved"), ("VIOLATED", "refuted"), ("UNKNOWN", "open")))
    return ", ".join(shares), cpu / len(codes), wall / len(codes)


def conjugate(kind: str) -> Row:
    """Return what the conjugate of 8000 staircases of 255 codes takes for 128 rows, at all points or at the vertices alone."""
    from qspec.arithmetic.rounding import Rounding
    from qspec.bounds.breakpoints import points
    from qspec.bounds.conjugate import conjugate
    from qspec.bounds.interval import Interval
    from qspec.bounds.vertices import vertices
    from qspec.ir.integer import Staircase
    from qspec.ir.staircase import Rescale

    rng = np.random.default_rng(1)
    one = np.ones(8000, dtype=np.int64)
    numerator = np.tile(rng.integers(1 << 30, 1 << 31, 32), 250)
    node = Staircase(0, Rescale(numerator, one << 30, one << 38, Rounding.TRN, -128 * one, 127 * one))
    x = Interval(rng.integers(-40000, -20000, 8000), rng.integers(20000, 40000, 8000))
    c, p = rng.integers(-(1 << 20), 1 << 20, (128, 8000)), rng.integers(-(1 << 13), 1 << 13, (128, 8000))
    cpu, wall = time.process_time(), time.perf_counter()
    listed = (points if kind == "all" else vertices)(node, x.lower, x.upper)
    total = int(conjugate(node, c, p, [x], listed).sum())
    return f"{len(listed.arguments)} points, sum {total}", time.process_time() - cpu, time.perf_counter() - wall


def works(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Return what is to be done, by name."""
    found: dict[str, tuple[str, ...]] = (
        {} if options.asked else {f"conjugate of 8000 staircases, 128 rows, {k}": ("conjugate", k) for k in ("all", "vertices")}
    )
    if options.data is not None:
        found |= {f"mnist-certified-8bit, image {k}, ±4": ("mnist", str(options.data), str(k)) for k in (0, 1)}
    for path in options.tflite:
        found |= {f"{path.stem}: evaluate 4 inputs, call {k}": ("lowered", str(path), str(k)) for k in (1, 2)}
        found[f"{path.stem}: ±1 on all inputs, {options.timeout:g} s"] = ("robust", str(path), str(options.timeout))
    for path in options.asked:
        for kind in options.questions:
            work = ("question", str(path), str(options.images), kind, str(options.count), str(options.timeout))
            found[f"{path.stem}: {kind}, each of {options.count}"] = work
    return found


def asked(work: tuple[str, ...], folder: Path | None) -> list[object]:
    """Do one piece of work in a new process with one thread; returns outcome, CPU and wall seconds, and peak memory in MB."""
    own = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if folder is not None:
        own["PYTHONPATH"] = os.pathsep.join([str(folder / part) for part in (".", "solvers", "models")] + [own.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, __file__, "--do", *work], env=own, capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else [done.stderr.strip().splitlines()[-1][:60], "", "", ""]


def do(work: list[str]) -> None:
    """Do one piece of work here, and print the outcome as JSON."""
    match work:
        case ["mnist", folder, k]:
            row = mnist(Path(folder), int(k))
        case ["lowered", path, calls]:
            row = lowered(Path(path), int(calls))
        case ["robust", path, limit]:
            row = robust(Path(path), float(limit))
        case ["question", path, images, kind, count, limit]:
            row = question(Path(path), Path(images), kind, int(count), float(limit))
        case ["conjugate", kind]:
            row = conjugate(kind)
        case _:
            raise ValueError(f"no such work: {work}")
    print(json.dumps([*row, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with mnist/ (idx files)")
    parser.add_argument("--tflite", type=Path, nargs="*", default=[], help="int8 classifiers of TensorFlow Lite")
    parser.add_argument("--asked", type=Path, nargs="*", default=[], help="classifiers that questions about sensors are asked about")
    parser.add_argument("--images", type=Path, help="codes of their inputs, a .npy file")
    parser.add_argument("--count", type=int, default=3, help="inputs that each question is asked about")
    parser.add_argument("--questions", nargs="*", default=QUESTIONS, help=f"what is asked (default: {', '.join(QUESTIONS)})")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for a query on one of these")
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
            if work[0] != "conjugate" or folder is None:
                rows.append([name, label, *asked(work, folder)])
                print(*rows[-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{v:.1f}" for v in os.getloadavg())
    report = (
        f"{header('Deployed int8 networks', 'qspec', 'numpy')}- load average at the end: {load}; one thread\n\n{table(COLUMNS, rows)}\n"
    )
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
