"""`qspec certify`: clean, certified, refuted and undecided shares of a test set."""

from __future__ import annotations

import sys

from qspec.arithmetic.integers import IntArray
from qspec.batch.certify import Branching, certify
from qspec.batch.journal import about
from qspec.batch.regression import baseline as read_baseline
from qspec.batch.regression import of_certification
from qspec.cli.gate import Gate
from qspec.cli.outcome import CommandOutput, status
from qspec.cli.terminal import painted, table
from qspec.errors import QspecError, SpecError
from qspec.face import Network
from qspec.readers.load import load
from qspec.show.figures.plot import plot as draw
from qspec.show.figures.style import check_drawable


def run(
    *,
    network: str,
    samples: str,
    labels: str | None,
    images: str,
    radius: int,
    first: int | None,
    branching: Branching,
    store: str | None,
    workers: int,
    plot: str | None,
    timeout: float | None,
    memory: int | None,
    seed: int,
    certificates: str | None,
    fail_under: float | None,
    baseline: str | None,
    junit: str | None,
) -> CommandOutput:
    """Return the verdict on all samples together, the shares, a table of how many each stage settled, and what changed."""
    check_drawable(plot)
    gate = Gate(fail_under, baseline, junit)
    codes, classes = (values[:first] for values in read_samples(samples, labels, images))
    before = None if baseline is None else read_baseline(baseline, about(codes, classes, radius))
    found = certify(
        load(network, kind=Network),
        codes,
        classes,
        radius,
        branching=branching,
        timeout=timeout,
        memory=memory,
        workers=workers,
        store=store,
        progress=sys.stderr.isatty(),
        seed=seed,
        certificates="none" if certificates is None else "all",
    )
    if certificates is not None:
        found.save_certificates(certificates)
    verdict = found.verdict
    rows = [(stage, str(count)) for stage, count in sorted(found.counts.items(), key=lambda item: -item[1])]
    parts = [painted(verdict.name), str(found), table(("verdict (stage)", "samples"), rows, right=(1,))]
    if plot is not None:
        try:
            draw(found, plot)
        except QspecError as error:  # hours of work are not lost for a picture
            parts.append(f"no figure: {error}")
    ended = status(verdict, [])
    added, ended = gate.passed(of_certification(found), before, found.network or "certify", ended)
    return CommandOutput("\n\n".join([*parts, *added]), ended, found.to_dict)


def read_samples(samples: str, labels: str | None, images: str) -> tuple[IntArray, IntArray]:
    """Return images and classes; an idx file has no channels, and gets one."""
    from qspec.files.samples import read_idx, read_npz

    if samples.endswith(".npz"):
        return read_npz(samples, images, labels or "targets")
    if labels is None:
        raise SpecError("an idx file has no classes", given=samples, expected="--labels FILE, another idx file")
    codes = read_idx(samples)
    return codes[..., None] if codes.ndim == 3 else codes, read_idx(labels)
