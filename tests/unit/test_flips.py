"""Two runtimes of one file: how far they can drift apart, whether a class can flip, and the same shown in the real runtimes."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.cli.arrays import read_array
from qspec.conformance import flips as module
from qspec.conformance.pairing import Pairing
from qspec.lowering.evaluate import evaluate, trace
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor
from qspec.readers.tflite_write import write_model
from qspec_models import samples
from tests.unit.test_tflite import chain
from tests.unit.tflite_files import FAMILIES, sums

PAIRS = (("tflm", "xnnpack"), ("litert-optimized", "tflm"), ("litert-reference", "xnnpack"))


def box(path, radius, seed, pair=PAIRS[0]):
    pairing = Pairing.of(path, *pair)
    random = np.random.default_rng(seed)
    centre = random.integers(-128, 128, pairing.source.shape)
    return pairing, centre, pairing.box(centre.reshape(-1), radius)


def every(low, high):
    return np.array(list(itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))


@pytest.mark.parametrize("family", ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD of a constant", "MEAN", "AVERAGE_POOL_2D", "LOGISTIC"])
def test_no_input_drifts_further_than_the_bounds(family, tmp_path):
    write_model(FAMILIES[family](np.random.default_rng(5)), tmp_path / "f.tflite")
    for pair, radius in itertools.product(PAIRS, (0, 2, 40)):
        pairing, centre, region = box(tmp_path / "f.tflite", radius, radius, pair)
        found = qs.drift(tmp_path / "f.tflite", *pair, centre=centre, radius=radius)
        points = np.random.default_rng(1).integers(region.lower, region.upper + 1, (50, region.lower.size)).reshape(50, *centre.shape)
        traces = [trace(n, {n.inputs[0].name: points}) for n in pairing.networks]
        for (a, b), (_, bounds) in zip(pairing.stages, found, strict=True):
            seen = (traces[1][b] - traces[0][a]).reshape(50, -1)
            assert np.all(seen >= bounds.difference.lower)
            assert np.all(seen <= bounds.difference.upper)
            if radius == 0:
                assert bounds.most == np.abs(seen).max()


def test_bounds_of_a_dense_layer_are_attained(tmp_path):
    attained = 0
    for seed in range(12):
        write_model(sums(np.random.default_rng(seed), "FULLY_CONNECTED"), tmp_path / "f.tflite")
        pairing, centre, region = box(tmp_path / "f.tflite", 1, seed)
        if region.lower.size > 6:
            continue
        ((_, bounds),) = qs.drift(tmp_path / "f.tflite", centre=centre, radius=1)
        points = every(region.lower, region.upper)
        a, b = (evaluate(n, points) for n in pairing.ends)
        assert np.all((b - a).max(0) <= bounds.difference.upper)
        attained += int(((b - a).max(0) == bounds.difference.upper).sum())
    assert attained > 0


@pytest.mark.parametrize("tolerance", [None, 0])
def test_verdicts_are_those_of_enumeration(tolerance, tmp_path):
    seen = dict.fromkeys(qs.Verdict, 0)
    for seed in range(10):
        write_model(sums(np.random.default_rng(seed), "FULLY_CONNECTED"), tmp_path / "f.tflite")
        pairing, centre, region = box(tmp_path / "f.tflite", 1, seed)
        if region.lower.size > 6 or pairing.ends[0].output_types[0].size < 2:
            continue
        (outcome,) = qs.flips(
            tmp_path / "f.tflite", inputs=centre[None], radius=1, tolerance=tolerance, limits=qs.Limits(2), replay=False
        ).outcomes
        a, b = (evaluate(n, every(region.lower, region.upper)) for n in pairing.ends)
        differ = (a.argmax(1) != b.argmax(1)) if tolerance is None else np.any(a != b, axis=1)
        seen[outcome.verdict] += 1
        if outcome.verdict is not qs.Verdict.UNKNOWN:
            assert (outcome.verdict is qs.Verdict.VIOLATED) == bool(differ.any())
        spec = qs.properties.runtime_agreement(*pairing.ends, centre, 1, tolerance=tolerance)
        result = qs.verify(spec, timeout=5)
        assert result.verdict is qs.Verdict.UNKNOWN or (result.verdict is qs.Verdict.VIOLATED) == bool(differ.any())
    assert seen[qs.Verdict.HOLDS]
    assert tolerance is None or seen[qs.Verdict.VIOLATED]


def near_ties(path):
    """Write an int8 network of the digits, and return codes of images whose two best classes are nearly tied."""
    real = qs.load("digits-6bit").real()
    images, _ = samples("digits-6bit")
    values = images.reshape(len(images), *real.inputs[0].shape) * float(qs.load("digits-6bit").inputs[0].type.grid.units[0])
    qs.to_tflite(qs.quantize_int8(real, values), path)
    net = qs.load(path)
    grid = net.inputs[0].type.grid
    codes = (values / float(grid.units[0])).round().astype(int) + grid.zeros[0]
    scores = np.sort(evaluate(net, codes).reshape(len(codes), -1), axis=1)
    return codes[np.argsort(scores[:, -1] - scores[:, -2], kind="stable")[[0, 1, -1]]]


def test_flips_are_shown_in_both_real_runtimes(tmp_path, monkeypatch):
    path = tmp_path / "digits.tflite"
    images = near_ties(path)
    found = qs.flips(path, inputs=images, radius=1, timeout=3)
    assert [o.verdict.name for o in found.outcomes][1:] == ["VIOLATED", "HOLDS"]
    assert found.count(qs.Verdict.VIOLATED) == found.shown == 2, str(found)
    for outcome, image in zip(found.outcomes, images, strict=True):
        if outcome.codes is not None and outcome.outputs is not None:
            assert np.abs(outcome.codes - image).max() <= 1
            assert outcome.outputs[0].argmax() != outcome.outputs[1].argmax()
    monkeypatch.setattr(module, "run_tflite", lambda *_: lambda codes: [np.zeros((len(codes[0]), 10), np.int8)])
    with pytest.raises(qs.SoundnessError, match="other codes than its semantics"):
        qs.flips(path, inputs=images[:1], radius=1, timeout=3)


def test_time_that_runs_out_while_a_proof_is_prepared_leaves_an_input_open(tmp_path, monkeypatch):
    write_model(chain(3), tmp_path / "chain.tflite")
    shape = qs.load(tmp_path / "chain.tflite", kind=qs.Network).inputs[0].type.shape
    for step in ("_search", "_bounded"):
        monkeypatch.setattr(module._FlipWork, step, lambda *_: None)
    monkeypatch.setattr(module, "local_robustness", lambda *_: time.sleep(0.3))
    found = qs.flips(tmp_path / "chain.tflite", inputs=np.zeros((1, *shape), np.int64), radius=1, timeout=0.2, replay=False)
    assert [(o.verdict.name, o.how) for o in found.outcomes] == [("UNKNOWN", "time")]


def test_the_command_prints_a_table_and_writes_what_flips(tmp_path, capsys):
    write_model(chain(3), tmp_path / "chain.tflite")
    shape = Pairing.of(tmp_path / "chain.tflite", *PAIRS[0]).source.shape
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).integers(-128, 128, (4, *shape)))
    asked = ["flips", str(tmp_path / "chain.tflite"), "--inputs", f"{tmp_path}/x.npz:images", "--radius", "0", "3", "--layers"]
    status = main([*asked, "--json", str(tmp_path / "rows.json")])
    text = capsys.readouterr().out
    found = json.loads((tmp_path / "rows.json").read_text())["results"]
    assert text.startswith({0: "HOLDS", 1: "VIOLATED", 3: "UNKNOWN"}[status])
    assert "cannot flip" in text
    assert "drift at most" in text
    assert [(f["radius"], len(f["outcomes"])) for f in found] == [(0, 4), (3, 4)]
    assert all((r["codes"] is None) == (r["verdict"] != "VIOLATED") for f in found for r in f["outcomes"])


def test_arrays_are_read_by_name_and_files_of_another_kind_are_refused(tmp_path):
    codes = np.arange(6).reshape(2, 3)
    (tmp_path / "of.npz.files").mkdir()
    np.save(tmp_path / "of.npz.files" / "a.npy", codes)
    np.savez(tmp_path / "two.npz", a=codes, b=codes + 1)
    np.savez(tmp_path / "one.npz", only=codes)
    (tmp_path / "array.npz").write_bytes((tmp_path / "of.npz.files" / "a.npy").read_bytes())
    for place in ("of.npz.files/a.npy", "two.npz:a", "one.npz", "one.npz:only"):
        assert np.array_equal(read_array(f"{tmp_path}/{place}"), codes)
    for place, said in (("array.npz", "without a name"), ("two.npz", "a, b"), ("two.npz:c", "a, b"), ("none.npz:a", "No such file")):
        with pytest.raises(qs.ModelFileError, match=said):
            read_array(f"{tmp_path}/{place}")


def test_what_is_no_question_is_refused(tmp_path):
    write_model(chain(3), tmp_path / "chain.tflite")
    path = tmp_path / "chain.tflite"
    shape = Pairing.of(path, *PAIRS[0]).source.shape
    with pytest.raises(qs.SpecError, match="compared with itself"):
        qs.flips(path, "tflm", "tflm", inputs=np.zeros((1, *shape), int))
    with pytest.raises(qs.ShapeError, match="do not fit"):
        qs.flips(path, inputs=np.zeros((1, 2), int))
    with pytest.raises(qs.SpecError, match="outside the format"):
        qs.flips(path, inputs=np.full((1, *shape), 128))
    one, other = qs.load(path), qs.load("digits-6bit")
    with pytest.raises(qs.SpecError, match="not one file"):
        qs.properties.runtime_agreement(one, other, np.zeros(shape, int), 0)


@pytest.mark.parametrize("dead", [False, True])
def test_a_file_whose_output_is_its_input_is_refused(dead, tmp_path):
    x, y, z = (TfliteTensor(name, (1, 3), "INT8", (1 / 256,), (-128,), 0, None) for name in "xyz")
    operators = (TfliteOperator("RELU", 1, (0,), (2,), {}),) * dead + (TfliteOperator("SOFTMAX", 1, (0,), (1,), {"Beta": 1.0}),)
    write_model(TfliteModel("f", (x, y, z), operators, (0,), (1,)), tmp_path / "f.tflite")
    with pytest.raises(qs.UnsupportedError, match="computes nothing"):
        qs.flips(tmp_path / "f.tflite", inputs=np.zeros((1, 3), int))
    with pytest.raises(qs.UnsupportedError, match="computes nothing"):
        qs.drift(tmp_path / "f.tflite", centre=np.zeros(3, int))
