"""Damaged, hostile and inconsistent files, each with what its error says."""

from __future__ import annotations

import bz2
import copy
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError, UnsupportedError
from qspec.files.qspec_file import read, save
from tests.unit.malformed_case import Case


def everything() -> qs.Network:
    """Return a network with every kind of layer."""
    r = np.random.default_rng(0)
    x = qs.Input((4, 4, 2), qs.Affine(8, False, (Fraction(1), Fraction(1, 3)), (3, 4)), "x")
    kernel = qs.Tensor(r.integers(-8, 8, (3, 3, 2, 2)), qs.PerChannel((FOUR, qs.Fixed(5, 1))))
    bias, pads = qs.Tensor(np.array([1, 2]), FOUR), ((1, 1), (1, 1))
    conv = qs.apply(qs.Conv2D(kernel, bias, padding=pads, activation=qs.ReLU(Fraction(6)), output=EIGHT, name="conv"), x)
    best = qs.apply(qs.MaxPool2D((2, 2), name="best"), conv)
    mean = qs.apply(qs.AveragePool2D((2, 2), output=EIGHT, name="mean"), conv)
    both = qs.apply(qs.Concat(name="both"), best, qs.apply(qs.Add(qs.LeakyReLU(Fraction(1, 4)), EIGHT, "sum"), best, mean))
    flat = qs.apply(qs.Flatten("flat"), both)
    weights = qs.Tensor(r.integers(-8, 8, (16, 3)), FOUR)
    dense = qs.apply(qs.Dense(weights, None, qs.HardSigmoid(), EIGHT, qs.Fixed(12, 4), "dense"), flat)
    table = qs.Lookup(qs.Fixed(2, 0), qs.Tensor(np.array([1, 2, 3, 4]), EIGHT))
    people = qs.Input((3,), FOUR, "person", (qs.Feature("age", 0, 7), qs.Feature("sex", categories=("f", "m"))))
    return qs.Network.of([qs.apply(qs.Requantize(EIGHT, table, "last"), dense), qs.apply(qs.Requantize(EIGHT, qs.Sigmoid(), "p"), people)])


def members_of(network: qs.Network) -> dict[str, bytes]:
    """Return the members of the file of a network."""
    stream = io.BytesIO(file_of(network))
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def file_of(network: qs.Network) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.qspec"
        save(network, path)
        return path.read_bytes()


FOUR, EIGHT = qs.Fixed(4, 0), qs.Fixed(8, 4)

NETWORK = everything()
FILE = file_of(NETWORK)
MEMBERS = members_of(NETWORK)
DOCUMENT = json.loads(MEMBERS["network.json"])
STAGES = [stage["name"] for stage in DOCUMENT["stages"]]
GONE = object()
"""Stands for a field that is taken away."""


def zipped(members: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def text(folder: Path) -> Path:
    """Write a file that is no network."""
    (folder / "notes.txt").write_text("nothing")
    return folder / "notes.txt"


def reading(data: bytes) -> Callable[[Path], object]:
    """Return the act of reading a file with these bytes."""

    def act(folder: Path) -> object:
        path = folder / "net.qspec"
        path.write_bytes(data)
        return read(path)

    return act


def edited(place: str, value: object) -> bytes:
    """Return the file with one value of its JSON replaced; `place` is a path whose first part may name a stage."""
    document = copy.deepcopy(DOCUMENT)
    keys: list[str | int] = [int(part) if part.isdigit() else part for part in place.split("/")]
    target = document["stages"][STAGES.index(keys.pop(0))] if keys[0] in STAGES else document
    for key in keys[:-1]:
        target = target[key]
    if value is GONE:
        del target[keys[-1]]
    else:
        target[keys[-1]] = value
    return zipped({**MEMBERS, "network.json": json.dumps(document).encode()})


def described(text: bytes) -> bytes:
    return zipped({**MEMBERS, "network.json": text})


FIXED = {"kind": "Fixed", "width": 8, "frac": 4, "signed": True, "rounding": "RND", "overflow": "SAT"}
AFFINE = {"kind": "Affine", "width": 8, "signed": True, "scale": "1/2", "zero_point": 0, "rounding": "RND", "overflow": "SAT"}

EDITS: list[tuple[str, object, str]] = [
    # the document
    ("format", "onnx", "not a network"),
    ("format", GONE, "a field is missing"),
    ("version", 3, "unknown version"),
    ("version", "1", "a whole number is expected"),
    ("version", True, "a whole number is expected"),
    ("version", None, "a whole number is expected"),
    ("version", GONE, "a field is missing"),
    ("name", 3, "a text is expected"),
    ("name", GONE, "a field is missing"),
    ("stages", {}, "a list is expected"),
    ("stages", [], "members that nothing refers to"),
    ("stages", GONE, "a field is missing"),
    ("stages/0", ["x"], "an object is expected"),
    ("outputs", [], "a network needs an output"),
    ("outputs", ["nobody"], "no stage of this name"),
    ("outputs", [0], "a text is expected"),
    ("outputs", "last", "a list is expected"),
    ("outputs", GONE, "a field is missing"),
    ("author", "me", "unknown field"),
    # stages
    ("conv/name", "x", "two stages have one name"),
    ("conv/name", "", "a stage without a name"),
    ("conv/name", 5, "a text is expected"),
    ("conv/reads", ["conv"], "no stage of this name comes before"),
    ("conv/reads", ["dense"], "no stage of this name comes before"),
    ("conv/reads", [], "reads the wrong number of signals"),
    ("conv/reads", ["x", "x"], "reads the wrong number of signals"),
    ("conv/reads", "x", "a list is expected"),
    ("conv/reads", [1], "a text is expected"),
    ("x/reads", ["x"], "no stage of this name comes before"),
    ("conv/layer", GONE, "a field is missing"),
    ("conv/layer", "Conv2D", "an object is expected"),
    ("conv/layer/kind", "LSTM", "unknown kind"),
    ("conv/layer/kind", ["Conv2D"], "unknown kind"),
    ("conv/layer/kind", "Dense", "unknown field"),
    ("conv/color", "red", "unknown field"),
    ("flat/layer/axis", 1, "unknown field"),
    ("sum/reads", ["best", "conv"], "tensors to add differ in shape"),
    ("both/reads", ["best", "conv"], "tensors to concatenate differ"),
    ("dense/reads", ["both"], "does not fit its input"),
    ("best/reads", ["person"], "no stage of this name comes before"),
    # inputs and their features
    ("x/layer/shape", [], "shape is malformed"),
    ("x/layer/shape", [4, 0, 2], "shape is malformed"),
    ("x/layer/shape", [-4, 4, 2], "shape is malformed"),
    ("x/layer/shape", [4, 4, True], "a whole number is expected"),
    ("x/layer/shape", ["4", 4, 2], "a whole number is expected"),
    ("x/layer/shape", 4, "a list is expected"),
    ("x/layer/shape", [10**6, 10**6, 2], "tensor is too large"),
    ("x/layer/shape", [10**40], "tensor is too large"),
    ("x/layer/shape", [4, 2, 4], "one entry per channel"),
    ("x/layer/shape", [32], "one entry per channel"),
    ("x/layer/features", [{"name": "a", "lower": 0, "upper": 1, "categories": []}], "features do not cover the input"),
    ("person/layer/features/0/name", "sex", "two features have one name"),
    ("person/layer/features/0/lower", 9, "has an empty range"),
    ("person/layer/features/0/lower", "0", "a whole number is expected"),
    ("person/layer/features/1/categories", ["f"], "features do not cover the input"),
    ("person/layer/features/1/categories", [1, 2], "a text is expected"),
    ("person/layer/features/1/unit", "years", "unknown field"),
    # number formats
    ("x/layer/format", None, "an object is expected"),
    ("x/layer/format/kind", "float16", "unknown kind"),
    ("x/layer/format/width", 10**6, "width out of range"),
    ("x/layer/format/width", -8, "width out of range"),
    ("x/layer/format/width", 0, "width out of range"),
    ("x/layer/format/width", 65, "width out of range"),
    ("x/layer/format/width", True, "a whole number is expected"),
    ("x/layer/format/width", "8", "a whole number is expected"),
    ("x/layer/format/width", None, "a whole number is expected"),
    ("x/layer/format/width", GONE, "a field is missing"),
    ("x/layer/format/signed", 1, "a truth value is expected"),
    ("x/layer/format/rounding", "nearest", "unknown rounding"),
    ("x/layer/format/rounding", None, "unknown rounding"),
    ("x/layer/format/overflow", "clip", "unknown overflow"),
    ("x/layer/format/scale", ["0", "1"], "scale must be positive"),
    ("x/layer/format/scale", ["-1/2", "1"], "scale must be positive"),
    ("x/layer/format/scale", ["1/0", "1"], "an exact number is expected"),
    ("x/layer/format/scale", ["nan", "1"], "an exact number is expected"),
    ("x/layer/format/scale", ["1e9", "1"], "an exact number is expected"),
    ("x/layer/format/scale", [1, 1], "an exact number is expected"),
    ("x/layer/format/scale", 0.5, "not an exact number"),
    ("x/layer/format/scale", [], "scale must be positive"),
    ("x/layer/format/scale", ["1", "1", "1"], "zero point outside the codes"),
    ("x/layer/format/scale", "9" * 4500, "an exact number is expected"),
    ("x/layer/format/zero_point", 256, "zero point outside the codes"),
    ("x/layer/format/zero_point", "3", "a whole number is expected"),
    ("x/layer/format/zero_point", [1, 2, 3], "zero point outside the codes"),
    ("conv/layer/output/frac", 5000, "number of fraction bits out of range"),
    ("conv/layer/output/frac", "4", "a whole number is expected"),
    ("conv/layer/output/scale", "1", "unknown field"),
    ("conv/layer/kernel/format/formats", [], "one Fixed format per channel"),
    ("conv/layer/kernel/format/formats/0", AFFINE, "unknown kind"),
    ("conv/layer/kernel/format/formats/0/rounding", "TRN", "all channels must round and overflow alike"),
    ("conv/layer/kernel/format/formats", [FIXED] * 3, "one entry per channel"),
    ("conv/layer/output", {"kind": "PerChannel", "formats": [FIXED] * 3}, "one entry per channel"),
    ("both/layer/output", {"kind": "PerChannel", "formats": [FIXED] * 3}, "one entry per channel"),
    # layers
    ("conv/layer/stride", [0, 1], "stride is malformed"),
    ("conv/layer/stride", [1, -1], "stride is malformed"),
    ("conv/layer/stride", [1], "a pair is expected"),
    ("conv/layer/stride", [10**30, 1], "stride is malformed"),
    ("conv/layer/stride", "same", "a list is expected"),
    ("conv/layer/dilation", [0, 1], "dilation is malformed"),
    ("conv/layer/dilation", [50, 50], "the kernel is larger than the padded image"),
    ("conv/layer/padding", "full", "padding is malformed"),
    ("conv/layer/padding", "valid", "does not fit its input"),
    ("conv/layer/padding", [[1, 1]], "padding is malformed"),
    ("conv/layer/padding", [[-1, 0], [0, 0]], "padding is malformed"),
    ("conv/layer/padding", [[10**9, 0], [0, 0]], "padding is malformed"),
    ("conv/layer/padding", [[10**5, 10**5], [10**5, 10**5]], "tensor is too large"),
    ("conv/layer/groups", 0, "groups must divide"),
    ("conv/layer/groups", -1, "groups must divide"),
    ("conv/layer/groups", 3, "groups must divide"),
    ("conv/layer/groups", 2, "does not fit its input"),
    ("conv/layer/groups", "1", "a whole number is expected"),
    ("conv/layer/kernel", None, "an object is expected"),
    ("conv/layer/kernel/shape", [3, 3, 4, 1], "is not the array that network.json describes"),
    ("conv/layer/kernel/shape", [36], "is not the array that network.json describes"),
    ("conv/layer/kernel/shape", [3, 3, 2, 0], "shape is malformed"),
    ("conv/layer/kernel/shape", [2**30, 2**30], "tensor is too large"),
    ("conv/layer/kernel/format/formats/0/width", 2, "does not fit"),
    ("conv/layer/bias/codes", ["1", "2", "3"], "the number of codes does not fit the shape"),
    ("conv/layer/bias/codes", ["1", "1/2"], "a code is a whole number"),
    ("conv/layer/bias/codes", ["1", "two"], "an exact number is expected"),
    ("conv/layer/bias/codes", [1, 2], "an exact number is expected"),
    ("conv/layer/bias/codes", ["1", "1000"], "does not fit"),
    ("conv/layer/bias/codes/member", "arrays/9.npy", "not in the file"),
    ("conv/layer/bias/codes/member", "arrays/0.npy", "not in the file, or belongs to another tensor"),
    ("conv/layer/bias/codes/member", 1, "a text is expected"),
    ("conv/layer/bias/codes/type", "float32", "unknown type of integers"),
    ("conv/layer/bias/codes/type", "object", "unknown type of integers"),
    ("conv/layer/bias/codes/type", "int64", "is not the array that network.json describes"),
    ("conv/layer/bias", GONE, "a field is missing"),
    ("dense/layer/accumulator", AFFINE, "an accumulator is fixed point"),
    ("dense/layer/output", None, "a raw accumulator can only be linear or ReLU"),
    ("mean/layer/window", [0, 2], "window is malformed"),
    ("mean/layer/window", [9, 9], "the kernel is larger than the padded image"),
    ("mean/layer/padding", [[5, 0], [0, 0]], "a pooling window lies in the padding"),
    ("mean/layer/count_padding", 1, "a truth value is expected"),
    ("best/layer/stride", [0, 0], "stride is malformed"),
    ("best/layer/stride", [10**6, 10**6], "tensors to add differ in shape"),
    ("best/layer/padding", [[10**5, 10**5], [10**5, 10**5]], "tensor is too large"),
    ("last/layer/output", None, "an object is expected"),
    # activations
    ("conv/layer/activation", "ReLU", "an object is expected"),
    ("conv/layer/activation/kind", "GELU", "unknown kind"),
    ("conv/layer/activation/kind", GONE, "a field is missing"),
    ("conv/layer/activation/kind", None, "unknown kind"),
    ("conv/layer/activation/maximum", 6, "an exact number is expected"),
    ("conv/layer/activation/maximum", "-1", "the upper end of a ReLU is negative"),
    ("sum/layer/activation/slope", "2", "slope of a leaky ReLU out of range"),
    ("sum/layer/activation/slope", None, "an exact number is expected"),
    ("dense/layer/activation/slope", "0", "slope of a hard sigmoid must be positive"),
    ("p/layer/activation/table", AFFINE, "unknown kind"),
    ("p/layer/output/frac", 40, "output format too fine"),
    ("last/layer/activation/input/width", 3, "a table needs one entry per input code"),
    ("last/layer/activation/input/width", 40, "a table needs one entry per input code"),
    ("last/layer/output/frac", 5, "a table holds codes of another format"),
]
"""Places in the JSON, what is put there, and what the error says."""

TEXTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not valid JSON"),
    "half of it": (MEMBERS["network.json"][:1000], "not valid JSON"),
    "garbage behind": (MEMBERS["network.json"] + b"x", "not valid JSON"),
    "no UTF-8": (b'{"name": "\xff\xfe"}', "not valid JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + MEMBERS["network.json"], "not valid JSON"),
    "Python": (MEMBERS["network.json"].replace(b"null", b"None"), "not valid JSON"),
    "single quotes": (b"{'format': 'qspec-network'}", "not valid JSON"),
    "NaN": (b'{"format": "qspec-network", "version": NaN}', "not an exact number"),
    "Infinity": (b'{"version": Infinity}', "not an exact number"),
    "minus Infinity": (b"[-Infinity]", "not an exact number"),
    "a float": (MEMBERS["network.json"].replace(b'"version": 1', b'"version": 1.0'), "not an exact number"),
    "a float with exponent": (b'{"version": 1e400}', "not an exact number"),
    "a field twice": (b'{"format": "qspec-network", "format": "qspec-network"}', "a field occurs twice"),
    "too deep": (b"[" * 200_000, "nested too deeply"),
    "too deep, with objects": (b'{"a":' * 100_000, "nested too deeply"),
    "an integer of 5000 digits": (b'{"version": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "a list": (b"[]", "an object is expected"),
    "a text": (b'"qspec-network"', "an object is expected"),
    "a number": (b"7", "an object is expected"),
    "null": (b"null", "an object is expected"),
    "an empty object": (b"{}", "a field is missing"),
}

BIAS = "arrays/1.npy"


def with_bias(data: bytes) -> bytes:
    return zipped({**MEMBERS, BIAS: data})


def npy(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


class Touch:
    """Pickles as a call that makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed.txt"),)


def header(text: str) -> bytes:
    """Return a `.npy` file with this header and two bytes of data."""
    line = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + b"\x01\x02"


ARRAYS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not an array of integers"),
    "not an array": (b"hello world", "is not an array of integers"),
    "a pickle": (pickle.dumps(Touch()), "is not an array of integers"),
    "an array of objects": (npy(np.array([Touch(), 2], dtype=object), allow_pickle=True), "is not an array of integers"),
    "floats": (npy(np.array([1.0, np.nan])), "is not an array of integers"),
    "truth values": (npy(np.array([True, False])), "is not an array of integers"),
    "records": (npy(np.zeros(2, dtype=[("a", "i1")])), "is not an array of integers"),
    "big-endian": (npy(np.array([1, 2], dtype=">i2")), "is not an array of integers"),
    "another type": (npy(np.array([1, 2], dtype=np.int16)), "is not the array that network.json describes"),
    "unsigned": (npy(np.array([1, 2], dtype=np.uint8)), "is not the array that network.json describes"),
    "another shape": (npy(np.array([1, 2, 3], dtype=np.int8)), "is not the array that network.json describes"),
    "another rank": (npy(np.array([[1, 2]], dtype=np.int8)), "is not the array that network.json describes"),
    "format 2.0": (npy(np.array([1, 2], dtype=np.int8), version=(2, 0)), "is not an array of integers"),
    "cut": (npy(np.array([1, 2], dtype=np.int8))[:-1], "has the wrong length"),
    "longer": (npy(np.array([1, 2], dtype=np.int8)) + b"\0", "has the wrong length"),
    "half a header": (npy(np.array([1, 2], dtype=np.int8))[:40], "is not an array of integers"),
    "an expression": (header("{'descr': open('executed.txt', 'w'), 'fortran_order': False, 'shape': (2,), }"), "is not an array"),
    "Fortran order": (header("{'descr': '|i1', 'fortran_order': True, 'shape': (2,), }"), "is not the array that network.json describes"),
    "an enormous shape": (header("{'descr': '|i1', 'fortran_order': False, 'shape': (99999999999999, 2), }"), "is not the array"),
    "a negative shape": (header("{'descr': '|i1', 'fortran_order': False, 'shape': (-2,), }"), "is not an array of integers"),
}


def patched(data: bytes, *changes: tuple[bytes, int, bytes]) -> bytes:
    """Return the bytes with others put at an offset from the first place where a mark stands."""
    changed = bytearray(data)
    for mark, offset, value in changes:
        where = data.index(mark) + offset
        changed[where : where + len(value)] = value
    return bytes(changed)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
ENCRYPTED = patched(FILE, (LOCAL, 6, b"\x01"), (CENTRAL, 8, b"\x01"))
HUGE = patched(FILE, (LOCAL, 22, b"\xff\xff\xff\x7f"), (CENTRAL, 24, b"\xff\xff\xff\x7f"))


def traversing(name: str) -> bytes:
    return zipped({**MEMBERS, name: b""})


ARCHIVES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the archive is damaged"),
    "a text": (b"version https://git-lfs.github.com/spec/v1\n", "this is no file of qspec"),
    "a pickle": (pickle.dumps(Touch()), "this is no file of qspec"),
    "bzip2": (bz2.compress(FILE), "this is no file of qspec"),
    "JSON": (MEMBERS["network.json"], "this is no file of qspec"),
    "zeros": (bytes(5000), "this is no file of qspec"),
    "an empty archive": (zipped({}), "the description is missing"),
    "no description": (zipped({n: d for n, d in MEMBERS.items() if n != "network.json"}), "the description is missing"),
    "no arrays": (zipped({"network.json": MEMBERS["network.json"]}), "the array is not in the file"),
    "an array more": (zipped({**MEMBERS, "arrays/77.npy": npy(np.zeros(2, np.int8))}), "members that nothing refers to"),
    "a description in a folder": (zipped({"net/network.json": MEMBERS["network.json"]}), "a member that no network has"),
    "a stranger": (zipped({**MEMBERS, "README": b"hello"}), "a member that no network has"),
    "a path upwards": (traversing("../executed.txt"), "a member that no network has"),
    "a path from the root": (traversing("/tmp/executed.txt"), "a member that no network has"),
    "a path upwards between": (traversing("arrays/../executed.txt"), "a member that no network has"),
    "a path with backslashes": (traversing("arrays\\0.npy"), "a member that no network has"),
    "a folder": (traversing("arrays/"), "a member that no network has"),
    "a name with a zero in front": (traversing("arrays/00.npy"), "a member that no network has"),
    "20 000 members": (zipped([(f"arrays/{k}.npy", b"") for k in range(20_000)]), "too many members"),
    "bzip2 inside": (zipped(MEMBERS, zipfile.ZIP_BZIP2), "packed in a way that is not read"),
    "LZMA inside": (zipped(MEMBERS, zipfile.ZIP_LZMA), "packed in a way that is not read"),
    "encryption": (ENCRYPTED, "packed in a way that is not read"),
    "a bomb among the arrays": (zipped({**MEMBERS, BIAS: bytes(10**7)}, zipfile.ZIP_DEFLATED), "packed too tightly"),
    "a bomb as the description": (zipped({"network.json": b" " * 10**7}, zipfile.ZIP_DEFLATED), "packed too tightly"),
    "a size that is a lie": (HUGE, "is too large"),
    "a checksum that is wrong": (patched(FILE, (LOCAL, 14, b"abcd"), (CENTRAL, 16, b"abcd")), "the archive is damaged"),
}


def twice(folder: Path) -> object:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped([*MEMBERS.items(), (BIAS, MEMBERS[BIAS])])
    return reading(data)(folder)


def payloads() -> list[int]:
    """Return offsets of bytes that some checksum covers, spread over all members."""
    with zipfile.ZipFile(io.BytesIO(FILE)) as archive:
        covered = [m.header_offset + 30 + len(m.filename) + k for m in archive.infolist() for k in range(m.file_size)]
    return covered[:: len(covered) // 30]


def flipped(offset: int) -> bytes:
    return FILE[:offset] + bytes([FILE[offset] ^ 0x10]) + FILE[offset + 1 :]


def bad_file(name: str, says: str, data: bytes) -> Case:
    return Case(name, ModelFileError, says, reading(data))


FILES = [
    *(
        bad_file(f"json: {place} = {'gone' if value is GONE else repr(value):.40}", says, edited(place, value))
        for place, value, says in EDITS
    ),
    *(bad_file(f"text: {name}", says, described(text)) for name, (text, says) in TEXTS.items()),
    *(bad_file(f"array: {name}", says, with_bias(data)) for name, (data, says) in ARRAYS.items()),
    *(bad_file(f"archive: {name}", says, data) for name, (data, says) in ARCHIVES.items()),
    *(bad_file(f"cut after {n} bytes", "the archive is damaged", FILE[:n]) for n in range(1, len(FILE), len(FILE) // 25)),
    *(bad_file(f"byte {n} changed", "the archive is damaged", flipped(n)) for n in payloads()),
    Case("a member twice", ModelFileError, "a member occurs twice", twice),
    Case("no file", ModelFileError, "cannot read the file", lambda folder: read(folder / "net.qspec")),
    Case("a directory", ModelFileError, "cannot read the file", lambda folder: read(folder)),
    Case("a name with a null byte", ModelFileError, "cannot read the file", lambda _: read("net\0.qspec")),
    Case("no model", ModelFileError, "no such model", lambda _: qs.load("no-such-model")),
    Case("another kind", ModelFileError, "this is another kind of network", lambda _: qs.load("iris-4bit", kind=qs.real.Network)),
    Case("a file of nobody", UnsupportedError, "the format of the file is not known", lambda folder: qs.load(text(folder))),
]
