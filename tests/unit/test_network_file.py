"""Files bring back the network that was saved, bit for bit, and say the same for the same network wherever it is written."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError
from qspec.files import decode, real_file
from qspec.files.qspec_file import content_hash, read, save
from qspec.lowering.evaluate import trace
from qspec.network.activations import Activation
from qspec.network.layers import Layer
from qspec.network.real_layers import RealActivation, RealLayer
from tests.unit.random_networks import random_codes, random_network


def small() -> qs.Network:
    kernel, bias = qs.Tensor(np.array([[1, -2], [3, 4]]), qs.Fixed(4, 1)), qs.Tensor(np.array([5, 6]), qs.Fixed(8, 2))
    person = qs.Input((2,), qs.Fixed(4, 0), "person", (qs.Feature("age", 0, 7), qs.Feature("sex", 0, 1)))
    return qs.Sequential(person, qs.Dense(kernel, bias, qs.ReLU(Fraction(7, 3)), qs.uint8("0.1", 3)), name="scores")


@pytest.mark.parametrize("seed", range(120))
def test_a_network_comes_back_as_it_was(seed: int, tmp_path: Path) -> None:
    network = random_network(seed, extreme=seed % 3 == 0)
    path = tmp_path / "net.qspec"
    network.save(str(path))
    again = qs.load(path)
    codes = random_codes(network, seed, most=16)
    before, after = trace(network, dict(codes)), trace(again, dict(codes))
    assert [s.name for s in again.stages] == [s.name for s in network.stages]
    assert [s.type for s in again.stages] == [s.type for s in network.stages]
    assert again.outputs == network.outputs
    assert again.name == network.name
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert content_hash(again) == content_hash(network)


def test_features_and_names_come_back(tmp_path: Path) -> None:
    features = (qs.Feature("Größe", -3, 4), qs.Feature("color", categories=("red", "green", "")))
    network = qs.Sequential(qs.Input((4,), qs.Fixed(4, 0), "…", features), qs.Flatten("\ud800"), name='"quoted"\n')
    save(network, tmp_path / "a.qspec")
    again = read(tmp_path / "a.qspec")
    assert again.inputs[0].layer == network.inputs[0].layer
    assert (again.name, [s.name for s in again.stages]) == (network.name, ["…", "\ud800"])


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(small(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    save(read(tmp_path / "a"), tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_the_hash_is_that_of_the_content() -> None:
    """The digest is stated: it changes only with the format of files, and then the version must too."""
    assert content_hash(small()) == content_hash(small())
    assert content_hash(small()) == "fb33692144dd316120a255cf7e6429caff72c8e99d03a59f11f1cd40cfc265f5"
    hashes = {content_hash(n) for n in (small(), small().renamed("other"), *(random_network(seed) for seed in range(20)))}
    assert len(hashes) == 22


def test_codes_beyond_int64_are_texts(tmp_path: Path) -> None:
    kernel = qs.Tensor(np.array([[2**64 - 1], [2**63]], dtype=object), qs.Fixed(64, 0, False))
    network = qs.Sequential(qs.Input((2,), qs.Fixed(4, 0)), qs.Dense(kernel))
    save(network, tmp_path / "net.qspec")
    assert qs.load(tmp_path / "net.qspec").evaluate([1, -8]).tolist() == [2**64 - 1 - 8 * 2**63]
    with zipfile.ZipFile(tmp_path / "net.qspec") as archive:
        assert archive.namelist() == ["network.json"]


def test_a_file_is_plain_json_and_arrays_of_small_integers(tmp_path: Path) -> None:
    save(small(), tmp_path / "net.qspec")
    with zipfile.ZipFile(tmp_path / "net.qspec") as archive:
        assert archive.namelist() == ["network.json", "arrays/0.npy", "arrays/1.npy"]
        description = json.loads(archive.read("network.json"))
        with archive.open("arrays/0.npy") as member:
            kernel = np.load(member, allow_pickle=False)
    assert kernel.dtype == np.int8
    assert kernel.tolist() == [[1, -2], [3, 4]]
    assert description["version"] == 1
    assert description["stages"][1]["layer"]["activation"] == {"kind": "ReLU", "maximum": "7/3"}
    assert description["stages"][1]["layer"]["output"]["scale"] == "1/10"


@pytest.mark.parametrize(("codes", "width", "type_name"), [(127, 8, "int8"), (255, 9, "uint8"), (-129, 9, "int16"), (2**40, 42, "int64")])
def test_arrays_use_the_smallest_type(codes: int, width: int, type_name: str, tmp_path: Path) -> None:
    kernel = qs.Tensor(np.array([[codes]]), qs.Fixed(width, 0))
    save(qs.Sequential(qs.Input((1,), qs.Fixed(2, 0)), qs.Dense(kernel)), tmp_path / "net.qspec")
    with zipfile.ZipFile(tmp_path / "net.qspec") as archive, archive.open("arrays/0.npy") as member:
        assert np.load(member, allow_pickle=False).dtype == np.dtype(type_name)


def test_a_compressed_archive_is_read_too(tmp_path: Path) -> None:
    save(small(), tmp_path / "a.qspec")
    with zipfile.ZipFile(tmp_path / "a.qspec") as source, zipfile.ZipFile(tmp_path / "b.qspec", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert content_hash(read(tmp_path / "b.qspec")) == content_hash(small())


def test_saving_replaces_the_file_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "net.qspec"
    save(random_network(1), path)
    save(small(), path)
    assert content_hash(read(path)) == content_hash(small())
    tiny = qs.int8(Fraction(1, 10**5000))
    with pytest.raises(ModelFileError, match="too long to write"):
        save(qs.Sequential(qs.Input((1,), tiny)), path)
    assert content_hash(read(path)) == content_hash(small())
    assert [p.name for p in tmp_path.iterdir()] == ["net.qspec"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nowhere"):
        save(small(), tmp_path / "nowhere" / "net.qspec")
    (tmp_path / "directory").mkdir()
    with pytest.raises(ModelFileError, match="cannot write"):
        save(small(), tmp_path / "directory")
    assert [p.name for p in tmp_path.iterdir()] == ["directory"]


def test_every_class_has_a_reader() -> None:
    """A layer or an activation that can be in a network can be read from a file; of reals the names in files leave out `Real`."""
    assert {c.__name__ for c in get_args(Layer)} == set(decode.LAYERS)
    assert {c.__name__ for c in get_args(Activation)} == set(decode.ACTIVATIONS)
    assert {c.__name__.removeprefix("Real") for c in get_args(RealLayer)} == set(real_file.LAYERS)
    assert {c.__name__ for c in get_args(RealActivation)} <= set(real_file.ACTIVATIONS)
