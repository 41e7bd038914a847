"""Fresh random cases for as long as asked, over language, routes and readers: `python -m tests.soak --minutes 30`.

Each field takes its turn with a new seed. Whatever is wrong is printed with the seed that makes it again
(`python -m tests.soak --field NAME --seed N --count 1`), and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import qspec as qs
from qspec.semantics import fixed
from tests.benchmarks._report import machine
from tests.soundness import agreement, campaign, real_agreement
from tests.soundness.test_equality import about_classes, nested
from tests.unit.random_networks import random_codes, random_network


def engine(seed: int) -> str:
    """The native engine against enumeration; every proof is checked."""
    counts, wrong = campaign.check_seeds([seed])
    assert not wrong, wrong
    return next(iter(counts))


def language(seed: int) -> str:
    """Passes, theories and solvers against enumeration, on random properties of random networks."""
    tally = agreement.check_seeds([seed])
    assert not tally.wrong, tally.wrong
    return "agreed"


def reals(seed: int) -> str:
    """The solver of reals against samples and exact points."""
    counts, wrong = real_agreement.check_seed(seed, 5.0)
    assert not wrong, wrong
    return next(iter(counts))


def meaning(seed: int) -> str:
    """The compiled network against the second semantics, on random codes."""
    network = random_network(seed, extreme=bool(seed % 2))
    codes = random_codes(network, seed, most=3)
    compiled = network.evaluate(codes[network.inputs[0].name]) if len(network.inputs) == 1 and len(network.outputs) == 1 else None
    if compiled is None:
        return "skipped: several inputs or outputs"
    name = network.stages[network.outputs[0]].name
    for case, x in enumerate(codes[network.inputs[0].name]):
        assert np.array_equal(fixed.evaluate(network, [x])[name].output.codes, compiled[case])
    return "equal"


def onnx(seed: int) -> str:
    """Random float graphs against onnxruntime, to the last bit."""
    from tests.unit.onnx_families import run
    from tests.unit.onnx_graphs import random_graph

    with TemporaryDirectory() as folder:
        outcome = run(Path(folder) / "net.onnx", random_graph(seed))
    assert outcome.name in ("EXACT", "REFUSED"), outcome
    return outcome.name.lower()


def tflite(seed: int) -> str:
    """Random TensorFlow Lite files against their runtimes, every tensor."""
    from qspec.conformance.runtime import PACKAGES
    from qspec.readers.tflite_write import write_model
    from tests.unit.tflite_files import FAMILIES

    name, runtime = list(FAMILIES)[seed % len(FAMILIES)], list(PACKAGES)[seed // len(FAMILIES) % len(PACKAGES)]
    with TemporaryDirectory() as folder:
        write_model(FAMILIES[name](np.random.default_rng(seed)), Path(folder) / "f.tflite")
        try:
            found = qs.agree(Path(folder) / "f.tflite", runtime, samples=64, seed=seed)
        except qs.UnsupportedError:
            return "refused"
    assert found.differing == 0, found
    return "equal"


FIELDS: Mapping[str, Callable[[int], str]] = {
    "engine": engine,
    "language": language,
    "reals": reals,
    "classes": about_classes,
    "formulas": nested,
    "meaning": meaning,
    "onnx": onnx,
    "tflite": tflite,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, help="the first seed (default: drawn, and printed)")
    parser.add_argument("--count", type=int, help="rounds, at most")
    parser.add_argument("--field", choices=FIELDS, help="this one alone")
    options = parser.parse_args(arguments)
    first = int(np.random.SeedSequence().generate_state(1)[0]) if options.seed is None else options.seed
    print(f"{machine()}\nfirst seed {first}", flush=True)
    chosen = {options.field: FIELDS[options.field]} if options.field else dict(FIELDS)
    counts, wrong, end = Counter[tuple[str, str]](), 0, time.monotonic() + 60 * options.minutes
    for done in count():
        if time.monotonic() > end or done == options.count:
            break
        for name, check in chosen.items():
            try:
                counts[name, check(first + done)] += 1
            except Exception:  # noqa: BLE001 - whatever it is, it is shown, and the soak goes on
                wrong += 1
                print(f"WRONG: python -m tests.soak --field {name} --seed {first + done} --count 1", flush=True)
                traceback.print_exc(file=sys.stdout)
    for (name, word), number in sorted(counts.items()):
        print(f"{name:10} {number:7} {word}")
    print(f"{counts.total()} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
