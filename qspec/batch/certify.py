"""Certify a classifier on a test set: what many samples share is done for all at once, and a complete procedure decides the rest."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Literal, Unpack, get_args

import numpy as np

from qspec.arithmetic.formats import check_codes
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.shapes import check_labelled
from qspec.batch import sample_certificates
from qspec.batch.certification import Certification, SampleOutcome
from qspec.batch.classes import by_reference, outputs_of, winners
from qspec.batch.journal import Journal, about, opened
from qspec.batch.progress import tally
from qspec.batch.sample_certificates import SECONDS, Certificates
from qspec.batch.table_rows import admits, check_rows, features_of
from qspec.certificate.file import Certificate
from qspec.deadline import LEAST, Deadline, OutOfTime, compiled, memory_errors, tell
from qspec.engines.boxes import single
from qspec.engines.boxes.class_query import ClassQuery, question
from qspec.errors import QspecError, SoundnessError, SpecError, UnsupportedError
from qspec.face import Network
from qspec.files.qspec_file import content_hash
from qspec.ir.digest import digest
from qspec.ir.integer import Program, Query, Truth, sizes
from qspec.language.domains import extremes, reach
from qspec.language.functions import parameter
from qspec.language.property import Property
from qspec.lowering.evaluate import evaluate, program
from qspec.named.properties import local_robustness
from qspec.network.layers import Input
from qspec.semantics import fixed
from qspec.solver import Limits, Reason
from qspec.support import checks
from qspec.support.threads import single_threaded
from qspec.support.watch import stop_if_cancelled
from qspec.verify.options import LimitOptions, limits_of
from qspec.verify.result import Verdict

Branching = Literal["steps", "input"]
AIMS = 4
"""Classes that the attack aims at, those that intervals leave the most room."""
COMPILATION = 10.0
"""Seconds that have to be left for what many samples share to be compiled, where this process has not done that before."""
VALUES, LARGEST = 8, 256
"""Numbers of 8 bytes that a batch takes for each element of a program (both ends, slopes, momenta, …), and its rows for each device."""
_compiled: set[str] = set()
"""Networks for which it has."""
ROUNDS = ((20, 20, 1), (100, 60, 4))
"""Steps of ascent of the duals, gradient steps of the attack, and its starts for each aim: at first, and for what that leaves open."""
ALONE = 64
"""Open samples of a class up to which one CPU looks at each by itself: to compile what attacks many takes it ten seconds and more."""


@single_threaded
def certify(
    network: Network,
    images: object,
    labels: object,
    radius: int,
    *,
    branching: Branching = "steps",
    workers: int = 1,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
    certificates: Certificates = "none",
    **options: Unpack[LimitOptions],
) -> Certification:
    """Decide for every sample whether all inputs within `radius` LSB of it (l-infinity) have its label; the first index wins ties.

    `images` are codes, shape (samples, *input shape) or (samples, size), `labels` classes. All samples are bounded in exact integers, by
    intervals and then by duals, and attacked, many at once on all devices. What that leaves is decided by the native engine
    (`branching="steps"`, in `workers` processes) or, without duals, by cutting boxes of inputs, many at once (`branching="input"`: the
    paper's Algorithm 1). Counterexamples were replayed on the reference integers.
    `timeout` is seconds for each sample, all together no more than that for every one: what is shared is left out where its compilation
    would take longer. With 0 samples share what they can, however long that takes, and none is asked about alone. `memory` is MiB.
    `store` is a file of verdicts: a run that finds it goes on where it was, and asks again only about what was undecided in less time.
    With `certificates` "all" or "sample" (16, drawn by the seed) samples that hold are proved again one by one, each for up to `timeout`
    seconds more (60 if that is 0), and get a certificate that was checked.

    Of a table (an input with features), the inputs are the rows that its features admit.

    Raises ShapeError or SpecError on samples that do not fit the network, UnsupportedError for networks that are not one array in, one
    vector out, SoundnessError if device and reference disagree.
    """
    timeout, memory, seed = limits_of(options)
    checks.flag(progress, "progress")
    checks.choice(certificates, "certificates", get_args(Certificates))
    limit = Deadline.after(None, checks.memory(memory))
    work = _CertifyWork.of(network, images, labels, radius, branching, timeout, workers, seed)
    deadline = limit.within(timeout * len(work.labels)) if timeout else limit
    with ExitStack() as stack:
        journal = stack.enter_context(opened(store, work.key(), about(work.images, work.labels, work.radius), work.shape, timeout))
        count = stack.enter_context(tally(len(work.labels))) if progress else None
        return _Certifier(work, journal, count, deadline, memory).run(certificates)


@dataclass(frozen=True, slots=True, eq=False)
class _CertifyWork:
    """What is to be decided; images (samples, size) with the ends of their boxes."""

    network: Network
    images: IntArray
    labels: IntArray
    radius: int
    lower: IntArray
    upper: IntArray
    shape: tuple[int, ...]
    branching: Branching
    timeout: float | None
    workers: int
    seed: int

    @classmethod
    def of(
        cls,
        network: Network,
        images: object,
        labels: object,
        radius: int,
        branching: Branching,
        timeout: float | None,
        workers: int,
        seed: int,
    ) -> _CertifyWork:
        if not isinstance(network, Network):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("certify takes a network", given=network, expected="a Network", advice="qs.load(…) reads a file")
        if len(network.inputs) != 1 or len(network.output_types) != 1:
            raise SpecError("certify takes one input and one output", given=f"{len(network.inputs)} and {len(network.output_types)}")
        stage, classes = network.inputs[0], network.output_types[0].size
        assert isinstance(stage.layer, Input)
        codes, own = integers(images), integers(labels)
        check_labelled(codes.shape, own.shape, stage.type.shape)
        flat = codes.reshape(len(codes), -1)
        check_codes(flat, stage.layer.format, stage.layer.shape, "the images")
        if classes < 2 or own.min() < 0 or own.max() >= classes:
            raise SpecError(
                "a label that is no class", given=f"{own.min()}..{own.max()}", expected=f"0..{classes - 1}, two classes at least"
            )
        domain = network.input("x").domain
        low, high = extremes(domain)
        checks.whole(radius, "the radius", least=0, most=int((high - low).max()))
        checks.choice(branching, "branching", get_args(Branching))
        checks.seconds(timeout, zero=True)
        checks.whole(workers, "the number of workers", least=1, most=4096)
        checks.seed(seed)
        check_rows(network, flat)
        if features_of(network) and branching == "input":
            raise UnsupportedError("boxes of inputs with features are not cut", given=branching, expected='branching="steps"')
        lower, upper = reach(domain, flat, int(radius))
        return cls(network, flat, own, int(radius), lower, upper, stage.type.shape, branching, timeout, workers, seed)

    def key(self) -> str:
        """Return the SHA-256 of what a verdict is about."""
        state = hashlib.sha256(f"{self.branching} {self.radius} {self.images.shape}".encode())
        state.update(digest(Query(program(self.network)[0], Truth(True))).encode())
        state.update(repr(features_of(self.network)).encode() if features_of(self.network) else b"")
        for array in (self.images, self.labels):
            state.update(np.ascontiguousarray(array.astype(np.int64)).tobytes())
        return state.hexdigest()


def _one_cpu() -> bool:
    from qspec.evaluate import sharding

    return sharding.devices() == 1 and not sharding.accelerated()


class _Certifier:
    """A certification under way."""

    def __init__(
        self, work: _CertifyWork, journal: Journal, count: Callable[..., None] | None, deadline: Deadline, memory: int | None
    ) -> None:
        self.work, self.journal, self.count, self.deadline, self.memory = work, journal, count, deadline, memory
        self.outcomes: dict[int, SampleOutcome] = {}
        self.seconds: dict[str, float] = {}
        self.rng = np.random.default_rng(work.seed)
        self._name = content_hash(work.network)

    def run(self, which: Certificates) -> Certification:
        kept = self.journal.kept
        for k, o in kept.items():
            if o.codes is not None:
                self._confirm(k, o.codes.reshape(-1))
        self._settle(kept, new=False)
        right = self._clean()
        for label in np.unique(self.work.labels[self._open()]).tolist():
            asked = question(self.work.network, label)
            with suppress(OutOfTime, MemoryError), memory_errors():  # what a limit leaves out leaves samples open
                self.deadline.check(self._batch_bytes(asked.query.program))
                if self._affordable() and asked.batched:
                    self._share(asked, label)
            if self.work.branching == "input":
                self._boxes(asked, label)
        self._engine()
        proofs = self._certificates(which)
        return Certification(
            self.work.network.name,
            self.work.radius,
            self.work.labels,
            right,
            tuple(self.outcomes[k] for k in range(len(self.work.labels))),
            self.seconds,
            proofs,
        )

    def _batch_bytes(self, nodes: Program) -> float:
        """Return about how many bytes the largest batch of what samples share takes."""
        return compiled(VALUES * 8 * sum(sizes(nodes)) * min(LARGEST, AIMS * len(self.work.labels)))

    def _affordable(self) -> bool:
        """Return whether the time that is left pays for the compilation of what samples share, if that has to be compiled."""
        return self._name in _compiled or self.deadline.affords(COMPILATION)

    def _share(self, asked: ClassQuery, label: int) -> None:
        """Bound and attack all samples of a class together; raises OutOfTime and OutOfMemory between stages."""
        self._intervals(asked, label)
        if self._open(label).size <= ALONE and _one_cpu():
            self._alone(asked, label)
            return
        for ascent, climb, starts in ROUNDS:
            if self.work.branching == "steps":
                self._duals(asked, label, ascent)
            self._attack(asked, label, climb, starts)
        _compiled.add(self._name)

    def _open(self, label: int | None = None) -> IntArray:
        """Return the samples (of one class) that are open."""
        every = np.arange(len(self.work.labels))
        return np.array([k for k in every if k not in self.outcomes and label in (None, self.work.labels[k])], dtype=np.int64)

    def _settle(self, found: dict[int, SampleOutcome], *, new: bool = True) -> None:
        """Keep outcomes, then tell of them; raises CancelledError before, since what is open may be so for that reason alone."""
        stop_if_cancelled(self.deadline)
        self.outcomes |= found
        if new:
            self.journal.write(found)
        tell("samples", len(self.outcomes), len(self.work.labels))
        if self.count is not None:
            for o in found.values():
                self.count(o.verdict.name, *(["resumed"] * (not new)))

    def _spend(self, stage: str, since: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since

    def _confirm(self, k: int, point: IntArray) -> SampleOutcome:
        """Return the outcome of a counterexample, after the reference integers and the independent semantics have confirmed it."""
        work = self.work
        near = bool(np.all(np.abs(point - work.images[k]) <= work.radius)) and admits(work.network, point)
        outputs = evaluate(work.network, point.reshape(1, *work.shape)).reshape(1, -1)
        stage = work.network.stages[work.network.outputs[0]].name
        meant = fixed.evaluate(work.network, [point])[stage].output.codes.reshape(1, -1)
        if not near or int(winners(work.network, outputs)[0]) == int(work.labels[k]) or not np.array_equal(outputs, meant):
            raise SoundnessError("a counterexample does not replay", given=f"sample {k}", expected="another class within the radius")
        return SampleOutcome(
            Verdict.VIOLATED, "misclassified" if np.array_equal(point, work.images[k]) else "attack", point.reshape(work.shape)
        )

    def _clean(self) -> IntArray:
        """Settle what is misclassified as it is, and return which samples are classified right."""
        since = time.perf_counter()
        fits = self._affordable() and self.deadline.room() > self._batch_bytes(program(self.work.network)[0])
        outputs = outputs_of(self.work.network, self.work.images) if fits else by_reference(self.work.network, self.work.images)
        right: IntArray = winners(self.work.network, outputs) == self.work.labels
        self._settle({int(k): self._confirm(int(k), self.work.images[k]) for k in np.flatnonzero(~right) if int(k) not in self.outcomes})
        self._spend("clean", since)
        return right

    def _intervals(self, asked: ClassQuery, label: int) -> None:
        since, rows = time.perf_counter(), self._open(label)
        self.deadline.check()
        proved = asked.absent(self.work.lower[rows], self.work.upper[rows])
        self._settle({int(k): SampleOutcome(Verdict.HOLDS, "intervals") for k in rows[proved.astype(bool)]})
        self._spend("intervals", since)

    def _duals(self, asked: ClassQuery, label: int, steps: int) -> None:
        """Prove what linear bounds can prove, with multipliers searched for on the device and rounded to integers."""
        since, rows = time.perf_counter(), self._open(label)
        if rows.size and asked.boxes is not None:
            proved = asked.boxes.absent(self.work.lower[rows], self.work.upper[rows], steps, self.deadline)
            self._settle({int(k): SampleOutcome(Verdict.HOLDS, "duals") for k in rows[proved.astype(bool)]})
        self._spend("duals", since)

    def _attack(self, asked: ClassQuery, label: int, steps: int, starts: int) -> None:
        """Attack what is open, aiming at some other classes, from the image itself, or from several random points."""
        since, rows = time.perf_counter(), self._open(label)
        if rows.size:
            lower, upper = self.work.lower[rows], self.work.upper[rows]
            aims = np.repeat(asked.aims(lower, upper, AIMS), starts, axis=1)
            each = aims.shape[1]
            low, high, start = (np.repeat(a, each, axis=0) for a in (lower, upper, self.work.images[rows]))
            start = start if starts == 1 else self.rng.integers(low, high, endpoint=True)
            found, points = asked.attack(low, high, start, aims.reshape(-1), steps, self.deadline)
            hits = {int(rows[n // each]): points[n] for n in np.flatnonzero(found)[::-1] if admits(self.work.network, points[n])}
            self._settle({k: self._confirm(k, point) for k, point in hits.items()})
        self._spend("attack", since)

    def _alone(self, asked: ClassQuery, label: int) -> None:
        """Bound each open sample by itself, its inner bounds tightened, and attack it if that is not enough."""
        work = self.work
        for k in self._open(label).tolist():
            self.deadline.check()
            since, one = time.perf_counter(), asked.inside(work.lower[k], work.upper[k])
            proved = work.branching == "steps" and single.closes(one, self.deadline)
            self._settle({k: SampleOutcome(Verdict.HOLDS, "duals")} if proved else {})
            self._spend("duals", since)
            if not proved:
                since = time.perf_counter()
                point = single.attacked(one, work.seed, self.deadline)
                self._settle({k: self._confirm(k, point)} if point is not None and admits(work.network, point) else {})
                self._spend("attack", since)

    def _boxes(self, asked: ClassQuery, label: int) -> None:
        from qspec.engines.boxes.search import search

        if not asked.batched:
            raise UnsupportedError(
                "boxes of this network cannot be bounded on the device",
                given=self.work.network.name,
                expected="affine maps, monotone steps and maxima in 64 bits",
                advice='branching="steps"',
            )
        since, rows, nodes = time.perf_counter(), self._open(label), asked.query.program
        short = "" if self._affordable() else "no time to compile bounds of boxes"
        if self._batch_bytes(nodes) > self.deadline.room():
            short = Reason.MEMORY.value
        if short:
            self._settle({int(k): SampleOutcome(Verdict.UNKNOWN, "open", None, short) for k in rows})
            return

        def confirm(place: int, point: IntArray) -> SampleOutcome:
            return self._confirm(int(rows[place]), point)

        lower, upper = self.work.lower[rows], self.work.upper[rows]
        for s, decided in search(asked, lower, upper, seconds=self.work.timeout, confirm=confirm, rng=self.rng, deadline=self.deadline):
            k = int(rows[s.place])
            if s.witness is not None:
                found = replace(self._confirm(k, s.witness), stage="boxes")
            else:
                verdict = Verdict.HOLDS if decided else Verdict.UNKNOWN
                ended = f", {Reason.MEMORY.value}" if s.full else ""
                found = SampleOutcome(verdict, "boxes" if decided else "open", None, f"{s.visited} boxes, {len(s.open)} open{ended}")
            self._settle({k: found})
        self._spend("boxes", since)

    def _engine(self) -> None:
        """Ask the native engine about each sample that is open."""
        from qspec.batch.many import verify_many

        since, rows, work = time.perf_counter(), self._open(), self.work
        if work.timeout == 0:
            self._settle({int(k): SampleOutcome(Verdict.UNKNOWN, "open", None, "left by bounds and attacks") for k in rows})
        if not rows.size or work.timeout == 0:
            return
        specs = self._robustness()
        over = [{"image": work.images[k], "label": int(work.labels[k])} for k in rows]
        workers = min(work.workers, len(rows))
        seconds = None if work.timeout is None else max(LEAST, min(work.timeout, self.deadline.left() * workers / len(rows)))
        for finished in verify_many(specs, over, workers=workers, timeout=seconds, memory=self.memory, seed=work.seed):
            k = int(rows[finished.index])
            if isinstance(finished.outcome, QspecError):
                raise finished.outcome
            result = finished.outcome
            if result.verdict is Verdict.VIOLATED and result.codes is not None:
                found = replace(self._confirm(k, result.codes["x"].reshape(-1)), stage="engine")
            else:
                found = SampleOutcome(result.verdict, "engine" if result.verdict is Verdict.HOLDS else "open", None, result.detail)
            self._settle({k: found})
        self._spend("engine", since)

    def _certificates(self, which: Certificates) -> dict[int, Certificate]:
        if which == "none":
            return {}
        since, work = time.perf_counter(), self.work
        proved = [k for k, o in self.outcomes.items() if o.verdict is Verdict.HOLDS]
        limits = Limits(SECONDS if work.timeout == 0 else work.timeout, self.memory, work.seed)
        made = sample_certificates.certificates(self._robustness(), work.images, work.labels, proved, which, limits)
        self._spend("certificates", since)
        return made

    def _robustness(self) -> Property:
        image, label = parameter("image", self.work.images.shape[1]), parameter("label")
        return local_robustness(self.work.network, image, self.work.radius, label)
