"""`qs.load` and `qs.read_property`: content decides who reads a file, and what no reader knows is refused with the list of formats."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.readers import registry
from qspec.readers.onnx import import_onnx
from tests.unit.test_onnx_real import node, write

NNET = "// a network\n2,2,1,2,\n2,2,1,\n0,\n-1,0,\n1,2,\n0.5,1,10,\n2,4,3,\n1,-2,\n0.5,1,\n0,\n-0.5,\n1,-1,\n0.25,\n"


def real() -> qs.real.Network:
    return qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.array([[1.0, 2.0], [0.5, -1.0]])))


def files(folder: Path) -> dict[str, tuple[Path, dict[str, Any], type]]:
    """Write one small network in each format: the file, the options it needs, and what it is."""
    net = real().quantize(input=qs.Fixed(4, 0), weights=qs.Fixed(4, 1), activations=qs.Fixed(8, 1))
    net.save(folder / "fixed.qspec")
    real().save(folder / "real.qspec")
    (folder / "a.nnet").write_text(NNET)
    qs.to_tflite(qs.quantize_int8(real(), [[1.0, 2.0]]), folder / "a.tflite")
    write(folder / "a.onnx", [node("MatMul", "x k", "y")], {"k": np.ones((2, 2), dtype=np.float32)}, (1, 2))
    (folder / "packed.onnx.gz").write_bytes(gzip.compress((folder / "a.onnx").read_bytes()))
    return {
        "qspec": (folder / "fixed.qspec", {}, qs.Network),
        "qspec, real": (folder / "real.qspec", {}, qs.real.Network),
        "NNet": (folder / "a.nnet", {"normalized": False}, qs.real.Network),
        "TensorFlow Lite": (folder / "a.tflite", {"semantics": "xnnpack"}, qs.Network),
        "ONNX": (folder / "a.onnx", {}, qs.real.Network),
        "ONNX, packed": (folder / "packed.onnx.gz", {}, qs.real.Network),
    }


def test_content_decides_whatever_a_file_is_called(tmp_path: Path) -> None:
    for path, options, kind in files(tmp_path).values():
        shutil.copy(path, tmp_path / "unnamed")
        found = [qs.load(p, **options) for p in (path, str(path))]
        if not path.name.endswith(".gz"):  # who reads ONNX unpacks by the name
            found += [qs.load(tmp_path / "unnamed", **options)]
        assert {type(n) for n in found} == {kind}, path


def test_a_damaged_file_is_refused_by_the_reader_of_its_suffix(tmp_path: Path) -> None:
    for suffix, message in {".onnx": "ONNX", ".tflite": "TFL3", ".nnet": "nnet", ".keras": "Keras", ".qspec": "archive"}.items():
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"PK\x03\x04 and no more")
        options: dict[str, Any] = {"normalized": True} if suffix == ".nnet" else {}
        with pytest.raises(qs.QspecError, match=message):
            qs.load(path, **options)
    with pytest.raises(qs.ModelFileError, match="cannot read the file"):
        qs.load(tmp_path / "missing.onnx")


def test_what_no_reader_knows_is_refused_with_the_formats(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x08\x09nothing")
    with pytest.raises(
        qs.UnsupportedError, match=r"format of the file is not known(.|\n)*Keras(.|\n)*NNet \(\.nnet\)(.|\n)*TensorFlow Lite"
    ):
        qs.load(tmp_path / "a.bin")
    with pytest.raises(qs.UnsupportedError, match=r"no such format(.|\n)*Keras, NNet"):
        qs.load(tmp_path / "a.bin", format="pth")
    with pytest.raises(qs.UnsupportedError, match="VNN-LIB"):
        qs.read_property(tmp_path / "a.bin", real())


def test_a_file_of_pytorch_is_not_opened_and_says_how_to_export_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "renamed.bin", "w") as archive:  # what torch.save writes
        archive.writestr("model/data.pkl", b"\x80\x02cbuiltins\nexit\n)R.")
        archive.writestr("model/version", "3\n")
    (tmp_path / "old.bin").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")  # before PyTorch 1.6
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 and no more")
    for name in ("renamed.bin", "old.bin", "broken.pt"):
        with pytest.raises(qs.UnsupportedError, match=rf"file of PyTorch(.|\n)*{name}(.|\n)*torch\.onnx\.export"):
            qs.load(tmp_path / name)
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(qs.UnsupportedError, match="empty or damaged"):
        qs.load(tmp_path / "empty.bin")


def test_options_are_those_of_the_format(tmp_path: Path) -> None:
    known = files(tmp_path)
    with pytest.raises(qs.SpecError, match=r"without the option 'semantics'(.|\n)*xnnpack(.|\n)*no options"):
        qs.load(known["qspec"][0], semantics="xnnpack")
    with pytest.raises(qs.SpecError, match=r"does not say how it is meant(.|\n)*normalized=…"):
        qs.load(known["NNet"][0])


def test_kind_is_asked_for(tmp_path: Path) -> None:
    known = files(tmp_path)
    assert qs.load(known["qspec, real"][0], kind=qs.real.Network).enclose([1, 2])[0].tolist() == [2, 0]
    with pytest.raises(qs.ModelFileError, match=r"another kind(.|\n)*RealNetwork(.|\n)*Network"):
        qs.load(known["ONNX"][0], kind=qs.Network)


OTHER = registry.Reader(
    format="mine", suffixes=(".mine",), recognizes=lambda c: c.head.startswith(b"mine"), read=lambda path: real().renamed(Path(path).stem)
)
DIALECT = registry.Reader(
    format="mine, twice", suffixes=(".mine",), recognizes=lambda c: c.head.startswith(b"mine2"), read=lambda _: real(), within="mine"
)


def test_others_register_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"{__name__}:{name}", registry.NETWORKS) for name in ("OTHER", "DIALECT")]
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.name])
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(points))
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "b").write_bytes(b"mine2")
    assert qs.load(tmp_path / "a").name == "a"
    assert qs.load(tmp_path / "b").name == "network"
    assert qs.load(tmp_path / "b", format="mine").name == "b"


def test_positions_of_a_file_come_along(tmp_path: Path) -> None:
    """VNN-LIB counts elements as ONNX does, channels first; the network of the file, saved or not, still knows."""
    kernel = np.array([[[[1]], [[10]]]], dtype=np.float32)
    write(tmp_path / "a.onnx", [node("Conv", "x k", "y")], {"k": kernel}, (1, 2, 2, 1), 4)
    net = qs.load(tmp_path / "a.onnx", kind=qs.real.Network)
    assert net.elements is not None
    assert np.array_equal(net.elements[0], import_onnx(tmp_path / "a.onnx").input_order)
    net.save(tmp_path / "a.qspec")
    text = "".join(f"(declare-const {v} Real)" for v in ("X_0", "X_1", "X_2", "X_3", "Y_0", "Y_1"))
    box = "".join(f"(assert (>= X_{k} 0)) (assert (<= X_{k} {k + 1}))" for k in range(4))
    for most, expected in (("30.999", "VIOLATED"), ("31.001", "HOLDS")):  # X_0 + 10 X_2, where others would give 1 + 20 or 2 + 40
        (tmp_path / "a.vnnlib").write_text(f"{text}{box}(assert (>= Y_0 {most}))")
        for network in (net, tmp_path / "a.onnx", qs.load(tmp_path / "a.qspec")):
            assert qs.verify(qs.read_property(tmp_path / "a.vnnlib", network), timeout=30).verdict.name == expected
    with pytest.raises(qs.SpecError, match="over the reals"):
        qs.read_property(tmp_path / "a.vnnlib", qs.load("iris-4bit"))
