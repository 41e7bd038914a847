"""SOFTMAX in layers: what its lowering relies on, and verdicts about codes after it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import qspec as qs
from qspec.readers.tflite_file import TfliteModel, TfliteOperator
from qspec.readers.tflite_write import write_model
from qspec.runtimes.softmax import reciprocals
from tests.unit.tflite_files import signal


@pytest.mark.parametrize("bits", [22, pytest.param(26, marks=pytest.mark.slow)])
def test_the_reciprocal_of_a_sum_never_grows_with_it(bits):
    """Sums of one number of bits, one after the other; those of fewer bits have the same reciprocals."""
    last = 2**31
    for first in range(2 ** (bits - 1), 2**bits, 2**20):
        found = reciprocals(np.arange(first, first + 2**20))[0]
        assert found[0] <= last
        assert np.all(np.diff(found) <= 0)
        last = found[-1]
    few = np.arange(2**19, 2**20)
    np.testing.assert_array_equal(reciprocals(few)[0], reciprocals(few << (bits - 20))[0])


def test_codes_after_a_softmax_are_decided_as_enumeration_says(tmp_path):
    tensors = (signal("x", (1, 2), 0.0625, 3), signal("y", (1, 2), 1 / 256, -128))
    model = TfliteModel("soft", tensors, (TfliteOperator("SOFTMAX", 2, (0,), (1,), {"Beta": 1.0}),), (0,), (1,))
    write_model(model, tmp_path / "a.tflite")
    assert qs.load(tmp_path / "a.tflite").output_types[0].grid.zeros == (3,)  # left out at the end
    net = qs.load(tmp_path / "a.tflite", softmax=True)
    centre = np.array([10, 3])
    greatest = int(net.evaluate(centre + np.array(list(itertools.product(range(-2, 3), repeat=2))))[:, 0].max())
    x = net.input("x")
    for most, verdict in ((greatest, qs.Verdict.HOLDS), (greatest - 1, qs.Verdict.VIOLATED)):
        asked = qs.forall(x, given=qs.linf(x.code - centre) <= 2, then=net(x).code[0] <= most)
        assert qs.verify(asked, timeout=60).verdict is verdict
    with pytest.raises(qs.UnsupportedError, match="float32 and depend on their order"):
        qs.load(tmp_path / "a.tflite", softmax=True, semantics="xnnpack")
