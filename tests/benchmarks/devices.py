"""The native engine on more devices: queries and domains a second, for numbers of CPU devices and for the accelerators there are.

Branch and bound alone, compiled from the start, without an attack; certificates are checked outside of the time. Each row is a process of
its own that has compiled before it is timed. Several CPU devices are parts of the one CPU. Queries are of digits-6bit and, by `--data`, of
AAAI 2021, image by image. Run `python tests/benchmarks/devices.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np

import qspec as qs
from qspec.certificate.check import check
from qspec.certificate.file import Certificate
from qspec.compile.query import compile_property
from qspec.deadline import Deadline
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import EngineOptions
from qspec.evaluate import sharding
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec_models import samples

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table
from aaai21 import build_network

COUNT = "--xla_force_host_platform_device_count"


def digits(images: list[int], radius: int) -> Iterator[Query]:
    """Yield robustness queries of the network that comes with qspec."""
    network = qs.load("digits-6bit")
    inputs, labels = samples("digits-6bit")
    for k in images:
        spec = qs.properties.local_robustness(network, inputs[k].flatten(), radius, int(labels[k]))
        yield compile_property(spec).query


def aaai21(data: Path, images: list[int], radius: int) -> Iterator[Query]:
    """Yield robustness queries of AAAI 2021; images that the network takes for something else are left out."""
    network = build_network(find(data / "aaai21_qnn", "mnist_mlp.npz"))
    pixels = read_idx(find(data / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    labels = read_idx(find(data / "mnist", "t10k-labels*"))
    for k in images:
        if network.evaluate(pixels[k]).argmax() == labels[k]:
            yield compile_property(qs.properties.local_robustness(network, pixels[k], radius, int(labels[k]))).query


def measure(name: str, queries: list[Query], options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one set of queries on the devices of this process."""
    settings = EngineOptions(batch=options.batch, compiled=True)

    def ask(query: Query) -> tuple[Any, float]:
        since = perf_counter()
        return prove(query, Deadline.after(options.timeout), settings), perf_counter() - since

    since = perf_counter()
    for query in queries:
        ask(query)
    first = perf_counter() - since
    found = [ask(query) for query in queries]
    proofs = 0
    for query, (outcome, _) in zip(queries, found, strict=True):
        if outcome.proof is not None:
            p = outcome.proof.mapping()
            check(Certificate(digest(query), "", "forall", {}, (), **p), query)
            proofs += 1
    seconds, decided = sum(s for _, s in found), sum(outcome.decided for outcome, _ in found)
    domains = sum(outcome.visited for outcome, _ in found)
    asked = [name, len(queries), decided, proofs]
    kind = f"{sharding.devices()} × {jax.devices()[0].device_kind}"
    return {"row": [kind, *asked, domains, seconds, decided / seconds, domains / seconds, first - seconds]}


def rows(options: argparse.Namespace) -> Iterator[list[object]]:
    """Yield the rows of every arrangement of devices; each is asked for in a process of its own."""
    own = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": ""}
    places = [{"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{COUNT}={n}"} for n in options.devices.split(",")]
    if jax.default_backend() != "cpu":
        places.append({})
    for place in places:
        done = subprocess.run([sys.executable, *sys.argv, "--here"], env={**own, **place}, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            print(line, file=sys.stderr)
            yield json.loads(line)["row"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="1,2,4,8", help="numbers of CPU devices")
    parser.add_argument("--data", type=Path, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--images", default="0-11", help="of digits-6bit, FIRST-LAST")
    parser.add_argument("--radius", type=int, default=3, help="of digits-6bit")
    parser.add_argument("--aaai-images", default="300-311", help="of AAAI 2021, FIRST-LAST")
    parser.add_argument("--aaai-radius", type=int, default=4)
    parser.add_argument("--batch", type=int, help="domains in a batch for each device")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for each query")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    parser.add_argument("--here", action="store_true", help="measure the devices of this process, and print lines of JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure("digits-6bit", list(digits(numbers(options.images), options.radius)), options)), flush=True)
        if options.data is not None:
            queries = list(aaai21(options.data, numbers(options.aaai_images), options.aaai_radius))
            print(json.dumps(measure("AAAI 2021", queries, options)), flush=True)
        return
    columns = ["devices", "network", "queries", "decided", "certificates checked", "domains", "seconds", "decided/s", "domains/s"]
    report = header("Devices", "qspec", "jax", "numpy") + "\n" + table([*columns, "compiling s"], list(rows(options))) + "\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


def numbers(text: str) -> list[int]:
    """Return the whole numbers of a range written FIRST-LAST."""
    first, last = text.split("-")
    return list(range(int(first), int(last) + 1))


if __name__ == "__main__":
    main()
