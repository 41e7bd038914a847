"""NNet text: decimals are exact, normalisation becomes part of the network, and damaged text names its line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import qspec as qs
from qspec.errors import ModelFileError
from qspec.interop.nnet import import_nnet, read_nnet
from qspec.reals.ir import fractions

TEXT = """// a comment
// another
2,2,1,2,
2,2,1,
0,
-1,0,
1,0.5,
0.5,0.25,10,
2,0.5,4,
1.0e-1,-2,
0.3,1,
0.125,
-0.5,
1,-1,
0.7,
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "small.nnet"
    path.write_text(text)
    return path


def by_hand(x: Fraction, y: Fraction, *, normalized: bool) -> Fraction:
    if normalized:
        x, y = (x - Fraction(1, 2)) / 2, (y - Fraction(1, 4)) * 2
    first = max(Fraction(0), x / 10 - 2 * y + Fraction(1, 8))
    second = max(Fraction(0), x * 3 / 10 + y - Fraction(1, 2))
    out = first - second + Fraction(7, 10)
    return out * 4 + 10 if normalized else out


@pytest.mark.parametrize("normalized", [True, False])
def test_every_number_is_exact(normalized: bool, tmp_path: Path) -> None:
    net = read_nnet(written(tmp_path, TEXT), normalized=normalized)
    assert net.name == "small"
    for point in ((Fraction(1, 3), Fraction(-2)), (Fraction(5), Fraction(7, 11)), (Fraction(-1), Fraction(1, 2))):
        low, high = net.enclose(list(point))
        assert low[0] == high[0] == by_hand(*point, normalized=normalized)


def test_the_box_of_inputs_is_kept_and_activations_are_those_of_the_format(tmp_path: Path) -> None:
    found = import_nnet(written(tmp_path, TEXT))
    assert fractions(found.lower).tolist() == [-1, 0]
    assert fractions(found.upper).tolist() == [1, Fraction(1, 2)]
    layers = [s.layer.activation for s in found.network.stages if isinstance(s.layer, qs.RealDense)]
    assert [type(a) for a in layers] == [qs.ReLU, qs.Linear]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("2,2,1,2,", "2,2,1,", "line 3: 3 numbers"),
        ("2,2,1,\n0", "2,3,2,\n0", "line 4: layers of"),
        ("2,2,1,\n0", "2,0,1,\n0", "line 4"),
        ("-1,0,", "-1,nan,", "line 6"),
        ("2,0.5,4,", "2,0,4,", "range of zero"),
        ("0.3,1,", "0.3,one,", "line 11"),
        ("0.3,1,", "0.3,1e99999,", "line 11"),
        ("0.7,\n", "", "the file ends"),
        ("0.7,\n", "0.7,\n8,\n", "the end of the file"),
    ],
)
def test_damaged_text_is_refused_with_its_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ModelFileError, match=told):
        read_nnet(written(tmp_path, TEXT.replace(old, new)))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "absent"):
        with pytest.raises(ModelFileError, match=name):
            read_nnet(tmp_path / name)


def test_a_range_of_zero_is_no_matter_where_nothing_is_divided(tmp_path: Path) -> None:
    assert read_nnet(written(tmp_path, TEXT.replace("2,0.5,4,", "2,0,4,")), normalized=False).inputs[0].size == 2


@pytest.mark.data
def test_published_networks_are_those_of_the_keras_files(data: Path) -> None:
    from qspec.interop.keras import read_keras

    folder = data / "fairness_nets" / "compas"
    ours = read_nnet(folder / "compas-1.nnet", normalized=False)
    theirs = read_keras(folder / "compas-1.h5", logits=True)
    for a, b in zip(ours.stages[1:], theirs.stages[1:], strict=True):
        assert isinstance(a.layer, qs.RealDense)
        assert isinstance(b.layer, qs.RealDense)
        pairs = zip(fractions(a.layer.kernel).flat, fractions(b.layer.kernel).flat, strict=True)
        assert all(abs(v - w) < Fraction(1, 10**5) for v, w in pairs)  # six digits are written
