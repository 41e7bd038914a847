"""The robustness benchmark of AAAI 2021 (Henzinger, Lechner, Zikelic): 400 MNIST or 300 Fashion-MNIST queries, 6 bits, 784-64-32.

Test images 0-99 at radius 1, 100-199 at 2, 200-299 at 3, 300-399 at 4; all 32 outputs count and the smallest index wins ties. The published
verdicts are in `expected_results.json` beside the weights. Run `python tests/benchmarks/aaai21.py --help`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import numpy as np
from rich.progress import track

import qspec as qs
from qspec.certificate.claim import check_property

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_dense, read_idx
from _report import header, table


@dataclass(frozen=True)
class Sample:
    """One query: the test image, its label, and the radius in pixel steps."""

    index: int
    image: Any
    label: int
    radius: int


def build_network(weights: Path) -> qs.Network:
    """Return the benchmark network; parameters are rounded half away from zero and signals half up, as the authors' integer code does."""
    (k0, b0), (k1, b1) = read_dense(weights)
    weight = qs.Fixed(6, 5, rounding=qs.Rounding.RND_INF)
    bias = qs.Fixed(6, 4, rounding=qs.Rounding.RND_INF)
    return qs.Sequential(
        qs.Input((k0.shape[0],), qs.Fixed(8, 8, signed=False)),
        qs.Dense(qs.quantize(k0, weight), qs.quantize(b0, bias), qs.ReLU(), qs.Fixed(6, 4, signed=False)),
        qs.Dense(qs.quantize(k1, weight), qs.quantize(b1, bias), output=qs.Fixed(6, 4)),
        name="aaai21",
    )


def robustness(network: qs.Network) -> qs.Property:
    """Return local robustness with image, label and radius as parameters."""
    image, label, radius = qs.parameter("image", network.inputs[0].type.size), qs.parameter("label"), qs.parameter("radius")
    return qs.properties.local_robustness(network, image, radius, label)


def ask(spec: qs.Property, sample: Sample, solver: str, options: argparse.Namespace) -> dict[str, Any]:
    """Verify one sample and return its row."""
    result = qs.verify(
        spec.at(image=sample.image, label=sample.label, radius=sample.radius),
        solver=solver,
        timeout=options.timeout,
        attack=options.attack,
        without=options.without.split(",") if options.without else (),
    )
    told = result.to_dict()
    certificate = result.certificate
    since = perf_counter()
    if certificate is not None:
        check_property(certificate, spec.at(image=sample.image, label=sample.label, radius=sample.radius))
    checking = perf_counter() - since
    return {
        "certified": certificate is not None,
        "checking": checking,
        "domains": int(result.answers[0].statistics.get("domains", 0)) if result.answers else 0,
        "id": sample.index,
        "radius": sample.radius,
        "solver": solver,
        "verdict": result.verdict.name,
        "evidence": result.evidence.name,
        "reason": result.reason.name if result.reason else None,
        "seconds": result.times.total,
        **{k: told[k] for k in ("times", "limits", "hashes", "versions")},
        **shown(result, sample),
    }


def shown(result: qs.Result, sample: Sample) -> dict[str, Any]:
    """Return the counterexample, if there is one, beside the image: what `qspec report` draws."""
    if result.codes is None:
        return {}
    codes = {name: np.asarray(values).tolist() for name, values in result.codes.items()}
    return {"codes": codes, "parameters": {"image": sample.image.tolist(), "label": sample.label}}


def rows(
    spec: qs.Property, samples: list[Sample], solver: str, options: argparse.Namespace, done: dict[int, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the row of every sample as it comes; finished ones are not asked again."""
    waiting = [s for s in samples if s.index not in done]
    yield from done.values()
    with ThreadPoolExecutor(options.workers) as pool:
        yield from pool.map(lambda s: ask(spec, s, solver, options), waiting)


def summary(found: list[dict[str, Any]], published: list[dict[str, Any]]) -> str:
    """Return the tables per radius, and how the verdicts compare with the published ones."""
    lines: list[list[object]] = []
    for radius in sorted({r["radius"] for r in found}):
        own = [r for r in found if r["radius"] == radius]
        seconds = [r["seconds"] for r in own]
        verdicts = [sum(r["verdict"] == v for r in own) for v in ("HOLDS", "VIOLATED", "UNKNOWN")]
        evidence = [sum(r["evidence"] == e for r in own) for e in ("BOUNDS", "ATTACK", "PROOF", "CERTIFICATE", "MODEL")]
        lines.append(
            [radius, len(own), *verdicts, *evidence, float(sum(seconds)), float(mean(seconds)), float(median(seconds)), float(max(seconds))]
        )
    text = table(
        [
            "radius",
            "queries",
            "HOLDS",
            "VIOLATED",
            "UNKNOWN",
            "by bounds",
            "by attack",
            "by proof",
            "certified",
            "by model",
            "sum s",
            "mean s",
            "median s",
            "max s",
        ],
        lines,
    )
    truth = {i: v for t in published for v, key in (("HOLDS", "robust"), ("VIOLATED", "vulnerable")) for i in t[key]}
    decided = {r["id"]: r["verdict"] for r in found if r["verdict"] != "UNKNOWN"}
    wrong = sorted(i for i, v in decided.items() if truth.get(i, v) != v)
    both = sum(i in truth for i in decided)
    missing = sorted(set(truth) & {r["id"] for r in found} - set(decided))
    extra = len(decided) - both
    opened = sorted(r["id"] for r in found if r["verdict"] == "UNKNOWN")
    checked = [r for r in found if r.get("certified")]
    proofs = f"certificates checked: {len(checked)} in {sum(r['checking'] for r in checked):.1f} s\n" if checked else ""
    return (
        f"{text}\n\n{proofs}decided {len(decided)} of {len(found)}; "
        f"the paper decided {len(truth)}, of which {both} are decided here, and {extra} more\n"
        f"deviations from published verdicts: {len(wrong)} {wrong or ''}\n"
        f"decided by the paper and open here: {len(missing)} {missing or ''}\nopen: {opened or 'none'}\n"
    )


def load_samples(options: argparse.Namespace, tables: list[dict[str, Any]], network: qs.Network) -> tuple[list[Sample], str]:
    """Return the queries, and a line about accuracy and misclassified samples."""
    folder = Path(options.data) / ("mnist" if options.dataset == "mnist" else "fashion_mnist")
    images = read_idx(Path(options.images) if options.images else find(folder, "t10k-images*")).reshape(-1, 784)
    labels = read_idx(Path(options.labels) if options.labels else find(folder, "t10k-labels*"))
    predicted = network.evaluate(images.astype(np.int64)).argmax(axis=1)
    wanted = {int(r) for r in options.radius.split(",")} if options.radius else {t["epsilon"] for t in tables}
    chosen = {int(i) for i in options.ids.split(",")} if options.ids else None
    ids = [(i, t["epsilon"]) for t in tables for i in range(t["first"], t["last"] + 1)]
    wrong = [i for i, _ in ids if predicted[i] != labels[i]]
    expected = [i for t in tables for i in t["misclassified"]]
    note = f"accuracy on {labels.size} images: {100 * float(np.mean(predicted == labels)):.2f} %\nmisclassified: {wrong}"
    note += " (as published)\n" if wrong == expected else f" (published: {expected})\n"
    picked = [(i, e) for i, e in ids if predicted[i] == labels[i] and e in wanted and (chosen is None or i in chosen)]
    return [Sample(i, images[i].astype(np.int64), int(labels[i]), e) for i, e in picked], note


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with aaai21_qnn/ and mnist/ (or fashion_mnist/)")
    parser.add_argument("--dataset", choices=["mnist", "fashion-mnist"], default="mnist")
    parser.add_argument("--weights", help=".npz or .h5 with the float weights")
    parser.add_argument("--images", help="idx file of test images")
    parser.add_argument("--labels", help="idx file of test labels")
    parser.add_argument("--solver", default="bounds", help="one, or several separated by commas")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each query")
    parser.add_argument("--radius", help="only these radii")
    parser.add_argument("--ids", help="only these samples")
    parser.add_argument("--workers", type=int, default=1, help="queries at a time")
    parser.add_argument("--no-attack", dest="attack", action="store_false", help="do not search for a counterexample first")
    parser.add_argument("--without", default="", help="passes to switch off, separated by commas")
    parser.add_argument("--out", type=Path, help="append one JSON line for each finished query; queries found there are not asked again")
    parser.add_argument("--markdown", type=Path, help="write the tables here, too")
    return parser.parse_args()


def finished(path: Path | None, solver: str) -> dict[int, dict[str, Any]]:
    """Return the rows of an earlier run, by sample."""
    if path is None or not path.exists():
        return {}
    stored = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {row["id"]: row for row in stored if row["solver"] == solver}


def main() -> None:
    options = arguments()
    published = json.loads(find(Path(options.data) / "aaai21_qnn", "expected_results.json").read_text())["tables"]
    tables = [t for t in published if t["dataset"] == options.dataset]
    network = build_network(Path(options.weights) if options.weights else find(Path(options.data) / "aaai21_qnn", "mnist_mlp.npz"))
    samples, note = load_samples(options, tables, network)
    spec = robustness(network)
    report = header("AAAI 2021 robustness queries", "qspec", "jax", "numpy", "bitwuzla", "z3-solver", "cvc5") + f"\n{note}"
    for solver in options.solver.split(","):
        found: list[dict[str, Any]] = []
        done = finished(options.out, solver)
        for row in track(rows(spec, samples, solver, options, done), solver, len(samples), disable=not sys.stderr.isatty()):
            found.append(row)
            if options.out is not None and row["id"] not in done:
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        report += f"\n## {solver}, {options.timeout:g} s a query\n\n{summary(found, tables)}"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
