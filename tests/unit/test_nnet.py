"""NNet text: decimals are exact, normalisation becomes part of the network, and damaged text names its line."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError, SpecError, UnsupportedError
from qspec.ir.real import fractions
from qspec.readers.nnet import import_nnet, read_nnet, table

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
    found = import_nnet(written(tmp_path, TEXT), normalized=True)
    assert fractions(found.lower).tolist() == [-1, 0]
    assert fractions(found.upper).tolist() == [1, Fraction(1, 2)]
    layers = [s.layer.activation for s in found.network.stages if isinstance(s.layer, qs.real.Dense)]
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
        ("0.3,1,", "0.3,1_0,", "line 11"),
        ("0.3,1,", "0.3,1/2,", "line 11"),
        ("0.3,1,", "0.3,inf,", "line 11"),
        ("0.3,1,", "0.3,0x1,", "line 11"),
        ("0.3,1,", "0.3,\u0661,", "line 11"),
        ("0.3,1,", "0.3,1 0,", "line 11"),
        ("0.3,1,", "0.3,,", "line 11"),
        ("0.3,1,", "0.3,1,,", "line 11: 3 numbers"),
        ("2,2,1,2,", "2,2,1,1,", "line 4: layers of"),
        ("1,0.5,", "1,-0.5,", "line 7: -1/2 of input 1, whose minimum is 0"),
        ("0.7,\n", "", "the file ends"),
        ("0.7,\n", "0.7,\n8,\n", "the end of the file"),
    ],
)
def test_damaged_text_is_refused_with_its_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ModelFileError, match=told):
        read_nnet(written(tmp_path, TEXT.replace(old, new)), normalized=True)


def test_the_flag_of_mirrored_inputs_is_refused(tmp_path: Path) -> None:
    for flag in ("1", "2", "-1"):
        with pytest.raises(UnsupportedError, match="mirrored"):
            read_nnet(written(tmp_path, TEXT.replace("\n0,\n", f"\n{flag},\n")), normalized=False)


def test_normalisation_is_a_decision_of_the_caller(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    for read in (read_nnet, import_nnet):
        with pytest.raises(TypeError, match="normalized"):
            read(path)  # pyright: ignore[reportCallIssue]
        with pytest.raises(SpecError, match="normalized=True or normalized=False"):
            read(path, normalized=None)  # pyright: ignore[reportArgumentType]
    found = import_nnet(path, normalized=False)
    assert found.normalized is False
    assert fractions(found.means).tolist() == [Fraction(1, 2), Fraction(1, 4), 10]
    assert fractions(found.ranges).tolist() == [2, Fraction(1, 2), 4]


def test_byte_order_marks_and_line_ends_change_nothing(tmp_path: Path) -> None:
    wanted = read_nnet(written(tmp_path, TEXT), normalized=True).enclose([1, 2])[0][0]
    for text in (
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(",\n", "\n"),
        TEXT.replace(",", " ,\t"),
        TEXT.replace("//", "// \u00e9"),
    ):
        path = tmp_path / "other.nnet"
        path.write_bytes(text.encode())
        assert read_nnet(path, normalized=True).enclose([1, 2])[0][0] == wanted


@pytest.mark.parametrize("seed", range(20))
def test_generated_files_mean_what_a_plain_evaluator_makes_of_them(seed: int, tmp_path: Path) -> None:
    """Layers, sizes, normalisation and the form of numbers vary; the evaluator follows the format's description, in fractions."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, rng.integers(2, 5)).tolist()

    def number(least: int = -40) -> str:
        value = int(rng.integers(least, 41))
        return str(rng.choice([f"{value / 8}", f"{value}e-1", f"{value}.", f"{value}E+0", f"{value / 8:+.3f}"]))

    inputs = sizes[0]
    lower = [number() for _ in range(inputs)]
    upper = [str(Fraction(v) + 1) if "/" not in str(Fraction(v) + 1) else "100" for v in lower]
    means, ranges = [number() for _ in range(inputs + 1)], [number(1) for _ in range(inputs + 1)]
    layers = [([[number() for _ in range(a)] for _ in range(b)], [number() for _ in range(b)]) for a, b in pairwise(sizes)]
    rows = [[len(sizes) - 1, inputs, sizes[-1], max(sizes)], sizes, [0], lower, upper, means, ranges]
    rows += [row for weights, biases in layers for row in (*weights, *([b] for b in biases))]
    path = written(tmp_path, "// made\n" + "".join(",".join(map(str, row)) + ",\n" for row in rows))
    for normalized in (True, False):
        net = read_nnet(path, normalized=normalized)
        for _ in range(3):
            point = [Fraction(int(v), 4) for v in rng.integers(-20, 21, inputs)]
            x = [(v - Fraction(m)) / Fraction(r) for v, m, r in zip(point, means[:-1], ranges[:-1], strict=True)] if normalized else point
            for k, (weights, biases) in enumerate(layers):
                x = [
                    sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b)) for row, b in zip(weights, biases, strict=True)
                ]
                x = x if k == len(layers) - 1 else [max(Fraction(0), v) for v in x]
            x = [v * Fraction(ranges[-1]) + Fraction(means[-1]) for v in x] if normalized else x
            low, high = net.enclose(point)
            assert low.tolist() == high.tolist() == x


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "readers.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "absent"):
        with pytest.raises(ModelFileError, match=name):
            read_nnet(tmp_path / name, normalized=True)


def test_a_range_of_zero_is_no_matter_where_nothing_is_divided(tmp_path: Path) -> None:
    assert read_nnet(written(tmp_path, TEXT.replace("2,0.5,4,", "2,0,4,")), normalized=False).inputs[0].size == 2


@pytest.mark.data
def test_published_networks_are_those_of_the_keras_files(data: Path) -> None:
    from qspec.readers.keras import read_keras

    folder = data / "fairness_nets" / "compas"
    ours = read_nnet(folder / "compas-1.nnet", normalized=False)
    theirs = read_keras(folder / "compas-1.h5", logits=True)
    for a, b in zip(ours.stages[1:], theirs.stages[1:], strict=True):
        assert isinstance(a.layer, qs.real.Dense)
        assert isinstance(b.layer, qs.real.Dense)
        pairs = zip(fractions(a.layer.kernel).flat, fractions(b.layer.kernel).flat, strict=True)
        assert all(abs(v - w) < Fraction(1, 10**5) for v, w in pairs)  # six digits are written
