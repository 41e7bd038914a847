"""Flips of stored bits: what is listed is what networks with another integer decide, one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import qspec as qs

FOUR = qs.Fixed(4, 0)
WEIGHT = qs.Fixed(3, 0)
HIDDEN = qs.Tensor(np.array([[3, -4, 1], [-1, 2, 0]]), WEIGHT)
DENSE = qs.Sequential(
    qs.Input((2,), FOUR),
    qs.Dense(HIDDEN, qs.Tensor(np.array([1, -2, 0]), FOUR), qs.ReLU(), qs.Fixed(5, 0), name="hidden"),
    qs.Dense(qs.Tensor(np.array([[1, -1], [2, 3], [-3, 2]]), WEIGHT), output=qs.Fixed(6, 0), name="last"),
    name="dense",
)
CONVOLUTION = qs.Sequential(
    qs.Input((2, 2, 1), qs.uint8(1, 7)),
    qs.Conv2D(qs.Tensor(np.array([3, -4, 1, 2]).reshape(2, 1, 1, 2), WEIGHT), padding="same", output=qs.Fixed(9, 0), name="conv"),
    qs.Flatten(),
    qs.Dense(qs.Tensor(np.arange(-4, 4).repeat(2).reshape(8, 2) // 2 * np.array([1, -1]), WEIGHT), name="last"),
    name="convolution",
)
RANDOM = np.random.default_rng(5)
SAMPLES = {
    "dense": RANDOM.integers(-8, 8, (9, 2)),
    "convolution": RANDOM.integers(0, 256, (5, 2, 2, 1)),
}


def bits_of(code: int, width: int) -> list[int]:
    """Return the codes that one flipped bit makes of a code in two's complement."""
    found: list[int] = []
    for k in range(width):
        flipped = (code % (1 << width)) ^ (1 << k)
        found.append(flipped - (1 << width) if flipped >= 1 << (width - 1) else flipped)
    return found


def with_code(network: qs.Network, layer: str, tensor: str, index: tuple[int, ...], code: int) -> qs.Network:
    """Return the network with one stored integer replaced."""
    own = network.stage(layer).layer
    stored = getattr(own, tensor)
    codes = stored.codes.copy()
    codes[index] = code
    changed = replace(own, **{tensor: qs.Tensor(codes, stored.format)})
    return replace(network, stages=tuple(replace(s, layer=changed) if s.name == layer else s for s in network.stages))


@pytest.mark.parametrize("network", [DENSE, CONVOLUTION], ids=lambda n: n.name)
def test_what_is_listed_is_what_flipped_networks_decide(network: qs.Network) -> None:
    samples = SAMPLES[network.name]
    expected: dict[tuple[str, str, tuple[int, ...], int], tuple[int, int, tuple[int, ...], tuple[int, ...]]] = {}
    total = 0
    before = network.evaluate(samples).argmax(axis=-1)
    for stage, tensor in product(network.stages, ("kernel", "bias")):
        stored = getattr(stage.layer, tensor, None)
        for index in np.ndindex(stored.shape) if stored is not None else ():
            code = int(stored.codes[index])  # pyright: ignore[reportOptionalMemberAccess]
            for bit, other in enumerate(bits_of(code, stored.format.width)):  # pyright: ignore[reportOptionalMemberAccess]
                total += 1
                after = with_code(network, stage.name, tensor, index, other).evaluate(samples).argmax(axis=-1)
                changed = np.flatnonzero(after != before)
                if changed.size:
                    told = tuple(changed.tolist()), tuple(after[changed].tolist())
                    expected[stage.name, tensor, index, bit] = (code, other, *told)
    found = qs.bit_flips(network, samples)
    assert {(f.layer, f.tensor, f.index, f.bit): (f.before, f.after, f.changed, f.classes) for f in found.flips} == expected
    assert (found.bits, found.samples, found.decisions.tolist()) == (total, len(samples), before.tolist())
    assert sum(found.by_bit().values()) == len(expected) > 3
    assert [len(f.changed) for f in found.flips] == sorted((len(e[2]) for e in expected.values()), reverse=True)


def test_the_proof_and_the_list_agree() -> None:
    """A sample that no flip changes is proved to be robust, another refuted by a flip of the list, which its number names."""
    found = qs.bit_flips(DENSE, SAMPLES["dense"])
    seen = set[qs.Verdict]()
    for k, sample in enumerate(SAMPLES["dense"]):
        harmful = [f.number for f in found.flips if k in f.changed]
        result = qs.verify(qs.properties.bit_flip_robustness(DENSE, sample, int(found.decisions[k])))
        seen.add(result.verdict)
        if result.counterexample is None:
            assert (result.verdict, harmful) == (qs.Verdict.HOLDS, [])
        else:
            assert int(np.flatnonzero(result.counterexample["flips"])[0]) in harmful
    assert qs.Verdict.VIOLATED in seen
    assert [f.number for f in qs.flip_names(DENSE)] == list(range(found.bits))


def test_layers_and_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = qs.bit_flips(DENSE, SAMPLES["dense"])
    monkeypatch.setattr("qspec.batch.bit_flips.HELD", 1)
    last = qs.bit_flips(DENSE, SAMPLES["dense"], layers=["last"])
    assert {str(f) for f in last.flips} == {str(f) for f in everything.flips if f.layer == "last"}
    assert last.bits == 18


@pytest.mark.parametrize(
    ("network", "samples", "says"),
    [
        (DENSE, [[1, 2, 3]], "the samples"),
        (DENSE, [1, 2], "samples have the wrong shape"),
        (DENSE, np.zeros((0, 2), int), "samples have the wrong shape"),
        (qs.load("diabetes-8bit"), [[1, 2, 3, 4, 5]], "decisions of a classifier"),
    ],
)
def test_what_is_refused(network: qs.Network, samples: object, says: str) -> None:
    with pytest.raises(qs.QspecError, match=says):
        qs.bit_flips(network, samples)


def test_no_layers_have_no_bits() -> None:
    for call in (lambda: qs.bit_flips(DENSE, [[1, 2]], layers=[]), lambda: DENSE.perturb(weights=1, layers=[])):
        with pytest.raises(qs.NetworkError, match="no stored parameters"):
            call()


def test_a_network_that_stores_nothing_has_no_bits_to_flip() -> None:
    net = qs.Sequential(qs.Input((2,), qs.Fixed(4, 0)), qs.Requantize(qs.Fixed(4, 0)), name="bare")
    with pytest.raises(qs.NetworkError, match="stores no parameters"):
        qs.bit_flips(net, [[1, 2]])
