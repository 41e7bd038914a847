"""Both certificate checkers on the same certificates: published queries, convolutions, other properties, and forged proofs.

A forged proof is a random change of a proof that skips what it cannot show, about a query that has a solution: nothing may accept it. CPU
seconds are those of the process that checks, and of ACL2; writing the query and the proof as text is counted apart. Needs ACL2. Run
`python tests/benchmarks/verified.py --help`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np

import qspec as qs
from qspec.certificate.check import check
from qspec.certificate.dump_steps import texts
from qspec.certificate.file import Certificate
from qspec.certificate.verified import ACCEPTED, answers, book
from qspec.errors import CertificateError
from qspec.ir.integer import Query
from qspec_models import samples

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[2]))
import aaai21
from _data import find
from _report import header, table

from tests.soundness.naive_proofs import naive_proof
from tests.soundness.random_queries import random_query, solutions
from tests.soundness.test_certificate_check import MUTATIONS

Case = tuple[Query, Certificate]
BATCH = 400
"""Proofs that one process of ACL2 checks."""


def proved(specs: Iterator[qs.Property], timeout: float) -> Iterator[Case]:
    """Yield the queries of properties that hold (or have no witness), with their certificates."""
    for spec in specs:
        certificate = qs.verify(spec, timeout=timeout).certificate
        if certificate is not None and not certificate.assumed:
            yield qs.query(spec), certificate


def published(data: Path) -> Iterator[qs.Property]:
    tables = json.loads(find(data / "aaai21_qnn", "expected_results.json").read_text())["tables"]
    network = aaai21.build_network(find(data / "aaai21_qnn", "mnist_mlp.npz"))
    options = argparse.Namespace(data=data, dataset="mnist", images=None, labels=None, radius=None, ids=None)
    chosen, _ = aaai21.load_samples(options, [t for t in tables if t["dataset"] == "mnist"], network)
    spec = aaai21.robustness(network)
    for sample in chosen:
        yield spec.at(image=sample.image, label=sample.label, radius=sample.radius)


def convolutions() -> Iterator[qs.Property]:
    for k in range(60):
        for name in ("digits-conv-4bit", "digits-conv-6bit", "digits-conv-8bit"):
            images, labels = samples(name)
            if k < len(images):
                yield qs.properties.local_robustness(qs.load(name), images[k].reshape(-1), 1, int(labels[k]))


def others() -> Iterator[qs.Property]:
    """Properties that are not robustness of one network near one input."""
    iris, tiny, four, six = (qs.load(n) for n in ("iris-4bit", "digits-tiny", "digits-4bit", "digits-6bit"))
    yield from (qs.properties.reachable_class(tiny, label) for label in range(10))
    x = iris.input("x")
    for k in range(4):
        yield qs.forall(x, given=x.code.flatten()[k] <= 10, then=qs.argmax(iris(x)) != 2, name=f"low{k}")
        yield qs.forall(x, given=x.code.flatten()[k] >= 60, then=qs.argmax(iris(x)) != 0, name=f"high{k}")
    images, _ = samples("digits-6bit")
    y = four.input("x")
    for image in images[:12]:
        near = qs.linf(y.code.flatten() - image.reshape(-1)) <= 1
        yield qs.forall(y, given=near, then=qs.argmax(four(y)) == qs.argmax(six(y)), name="same class")
        yield qs.exists(y, given=near, then=qs.argmax(four(y)) == 5, name="five")


def forged(seed: int) -> Iterator[Case]:
    """Yield wrong proofs about queries that have a solution, and random changes of them."""
    while True:
        rng = np.random.default_rng(seed)
        seed += 1
        query = random_query(rng, max_points=16)
        if len(solutions(query)):
            right = naive_proof(query, rng, stubborn=True)
            yield query, right
            for change in MUTATIONS.values():
                mutant = change(right, rng)
                if mutant is not None:
                    yield query, mutant


def accepts(case: Case) -> bool:
    try:
        check(case[1], case[0])
    except CertificateError:
        return False
    return True


def row(name: str, cases: Iterator[Case]) -> list[object]:
    """Return how many certificates both checkers accept, and the CPU seconds that they take."""
    count = ours = other = 0
    writing = theirs = proving = 0.0
    while block := list(islice(cases, BATCH)):
        begun = process_time()
        other += sum(accepts(case) for case in block)
        checked = process_time()
        theirs = theirs + checked - begun
        texts(block)
        writing += process_time() - checked
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        found, _ = answers(block)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        proving += after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
        count, ours = count + len(block), ours + sum(answer.startswith(f"{ACCEPTED} ") for answer in found)
        print(name, count, ours, other, file=sys.stderr, flush=True)
    return [name, count, other, ours, theirs, proving, writing]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each proof to be found")
    parser.add_argument("--convolutions", type=int, default=24, help="certificates of convolutional networks")
    parser.add_argument("--others", type=int, default=100, help="certificates of other properties, at most")
    parser.add_argument("--forged", type=int, default=10_000, help="forged proofs")
    parser.add_argument("--seed", type=int, default=0, help="of the forged proofs")
    options = parser.parse_args()
    book()
    rows: list[list[object]] = []
    if options.data is not None:
        rows.append(row("AAAI 2021, MNIST", proved(published(options.data), options.timeout)))
    rows.append(row("convolutions", islice(proved(convolutions(), options.timeout), options.convolutions)))
    rows.append(row("other properties", islice(proved(others(), options.timeout), options.others)))
    rows.append(row("forged, about queries with a solution", islice(forged(options.seed), options.forged)))
    columns = ["certificates", "number", "accepted", "by the verified checker", "CPU s", "of the verified checker", "writing"]
    print(header("The verified checker", "qspec", "numpy") + "\n" + table(columns, rows))


if __name__ == "__main__":
    main()
