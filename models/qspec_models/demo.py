"""What `qspec demo` runs: verify a small network, ask several solvers, find a counterexample, replay it, and look at it."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which

import numpy as np

import qspec as qs
import qspec_models
from qspec.arithmetic.integers import IntArray
from qspec.cli.report import grounds
from qspec.cli.terminal import colour, columns, painted, table
from qspec.language.text import describe
from qspec.show import png
from qspec.show.picture import beside, change, grey
from qspec_models.card import Card, LocalRobustness
from qspec_models.queries import as_property

MODEL, TINY = "digits-6bit", "digits-tiny"
SOLVERS = ("bitwuzla", "z3", "cvc5")
SAMPLES = 10
LIMIT = 4.0
"""Seconds for each verdict, so that all of it stays under three minutes even where every verdict takes its time."""
COLD, COMPILING = 2, 15.0
"""The first queries, in which JAX compiles, and the seconds for each of them."""


def main(picture: Path) -> None:
    """Run the demonstration on stdout, and write its picture to a file if matplotlib is installed."""
    network, card = introduce(MODEL)
    results = robustness(network, card)
    agreement()
    for query, codes in violations(network, card, results):
        counterexample(network, card, query, codes, picture)
        break
    farewell([q.sample for q, _ in results[:5]])


def introduce(name: str) -> tuple[qs.Network, Card]:
    """Show a network and how good it is, counted now."""
    network, card = qs.load(name), qspec_models.card(name)
    inputs, targets = qspec_models.samples(name)
    right = int(np.sum(classes(network, inputs) == targets))
    heading(f"1. A network: {name}")
    print(network.summary())
    say(
        f"It reads handwritten digits, images of 8 by 8 pixels from {card.lowest} to {card.highest}, and computes with integers only. Of "
        f"{len(targets)} images that it has not seen in training it gets {right} right ({right / len(targets):.1%})."
    )
    return network, card


def robustness(network: qs.Network, card: Card) -> list[tuple[LocalRobustness, qs.Result]]:
    """Verify local robustness of the first samples, one line for each."""
    inputs, targets = qspec_models.samples(card.name)
    queries = local_queries(card)[:SAMPLES]
    heading("2. Is an image still read correctly if every pixel may be off by one?")
    print(describe(as_property(queries[0], card, network, inputs, targets), name=f"sample {queries[0].sample}") + "\n", flush=True)
    results: list[tuple[LocalRobustness, qs.Result]] = []
    for k, q in enumerate(queries):
        result = qs.verify(as_property(q, card, network, inputs, targets), timeout=COMPILING if k < COLD else LIMIT)
        results.append((q, result))
        verdict = painted(result.verdict.name) + " " * (8 - len(result.verdict.name))
        print(f"sample {q.sample:>2}, digit {targets[q.sample]}:  {verdict} {result.times.total:5.2f} s  {grounds(result)}", flush=True)
    count = {v: sum(r.verdict is v for _, r in results) for v in qs.Verdict}
    text = (
        f"{count[qs.Verdict.HOLDS]} hold, {count[qs.Verdict.VIOLATED]} violated, {count[qs.Verdict.UNKNOWN]} unknown (limit {LIMIT:g} s, "
        f"{COMPILING:g} s for the first {COLD}, in which JAX compiles)."
    )
    held = [neighbours(inputs[q.sample], card) for q, r in results if r.verdict is qs.Verdict.HOLDS]
    if held:
        text += f" HOLDS is a proof about every image in reach, which here means more than 10^{len(str(min(held) - 1)) - 1} images each."
    say(text)
    return results


def agreement() -> None:
    """Ask several solvers about properties of a smaller network, of which some hold and some do not, and show what they say."""
    heading("3. Do different solvers agree?")
    network, card = qs.load(TINY), qspec_models.card(TINY)
    samples = qspec_models.samples(TINY)
    asked = [(f"{TINY}, sample {q.sample}", as_property(q, card, network, *samples)) for q in local_queries(card)[:5]]
    rows: list[tuple[str, ...]] = []
    verdicts: list[set[qs.Verdict]] = []
    for name, spec in asked:
        comparison = qs.compare(spec, solvers=SOLVERS, timeout=LIMIT, without=("linear",))
        verdicts.append({r.verdict for r in comparison.results})
        rows.append((name, *(f"{r.verdict.name} {r.times.total:.2f} s" for r in comparison.results)))
    print(table(("property", *SOLVERS), rows))
    agreed = sum(v in ({qs.Verdict.HOLDS}, {qs.Verdict.VIOLATED}) for v in verdicts)
    say(
        f"All {len(SOLVERS)} reach the same verdict on {agreed} of {len(asked)} properties, each within {LIMIT:g} s. (Linear bounds, which "
        "settle many before a solver is asked, were switched off.) Contradicting verdicts would have ended this with an error."
    )


Found = tuple[LocalRobustness, IntArray]


def violations(network: qs.Network, card: Card, results: Sequence[tuple[LocalRobustness, qs.Result]]) -> Iterator[Found]:
    """Yield counterexamples: those already found, then those that a search finds for larger changes."""
    yield from ((q, r.codes["x"]) for q, r in results if r.codes is not None)
    for q in card.queries:
        if isinstance(q, LocalRobustness) and q.epsilon > 1:
            found = qs.falsify(as_property(q, card, network, *qspec_models.samples(card.name)), timeout=LIMIT)
            if found.codes is not None:
                yield q, found.codes["x"]


def counterexample(network: qs.Network, card: Card, query: LocalRobustness, after: IntArray, picture: Path) -> None:
    """Replay a counterexample on the reference integers, and show it."""
    inputs, targets = qspec_models.samples(card.name)
    before = inputs[query.sample].reshape(after.shape)
    was, now = (int(k) for k in classes(network, np.stack([before, after])))
    heading(f"4. A counterexample: sample {query.sample}, digit {targets[query.sample]}, pixels off by at most {query.epsilon}")
    blocks = (
        grey(f"read as {was}", before, card.lowest, card.highest, colour=colour()),
        grey(f"read as {now}", after, card.lowest, card.highest, colour=colour()),
        change("change of each pixel", before, after),
    )
    print(beside(blocks, columns=columns()))
    say(
        f"Replayed on the reference integers: the network reads {was} on the left and {now} on the right. "
        f"{np.count_nonzero(after - before)} pixels differ, by at most {int(np.abs(after - before).max())} of {card.highest}."
    )
    if png.available():
        ends = (card.lowest, card.highest)
        images = {f"read as {was}": (before, ends), f"read as {now}": (after, ends)}
        png.save_comparison(picture, images, ("change", after - before))
        say(f"The same as a picture: {picture}")


def farewell(samples: Sequence[int]) -> None:
    """Say where to go next, with a specification about some samples to begin with."""
    heading("Where to go next")
    print(
        f"""\
Put this into spec.py, then run: qspec verify spec.py

    import qspec as qs
    import qspec_models

    net = qs.load("{MODEL}")
    images, labels = qspec_models.samples("{MODEL}")
    robust = [
        qs.properties.local_robustness(net, images[k], 1, int(labels[k]))
        for k in {list(samples)}
    ]

qspec compare spec.py   asks every solver that is installed
qspec solvers           says which there are, and how to get more
README.md and docs/     what else can be said, and how it is decided"""
    )
    if which("qspec") is None:
        print(f"\nThe shell finds qspec after this: source {Path(sys.prefix, 'bin', 'activate')}")


def local_queries(card: Card) -> list[LocalRobustness]:
    """Return the standard queries about samples that change by at most one."""
    return [q for q in card.queries if isinstance(q, LocalRobustness) and q.epsilon == 1]


def neighbours(image: IntArray, card: Card) -> int:
    """Return how many images have every pixel at most one away from those of an image."""
    choices = np.minimum(image + 1, card.highest) - np.maximum(image - 1, card.lowest) + 1
    return math.prod(choices.reshape(-1).tolist())


def classes(network: qs.Network, codes: IntArray) -> IntArray:
    """Return the class of each image: the first of the greatest scores."""
    return network.evaluate(codes.reshape(-1, *network.inputs[0].type.shape)).argmax(axis=-1)


def heading(text: str) -> None:
    print(f"\n{text}\n{'─' * len(text)}", flush=True)


def say(text: str) -> None:
    """Print a paragraph, wrapped at words to at most 80 columns, after an empty line."""
    print("\n" + textwrap.fill(text, min(80, columns())), flush=True)
