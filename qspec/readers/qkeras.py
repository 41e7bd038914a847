"""Files of QKeras, and the proxies of HGQ, as networks, where the file itself determines every number bit for bit.

What QKeras computes in float32 is read only where float32 has every number exactly, whatever the order of a sum: then the network of
integers is the same function. A softmax at the end is left out. What needs more than the file says is refused, with the layer.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from qspec.arithmetic.formats import Format
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.files.atomic import check_plain
from qspec.readers.content import read_text
from qspec.readers.input_format import InputFormat, stated
from qspec.readers.keras_config import BUILTIN, described, parsed
from qspec.readers.keras_file import LARGEST, KerasFile, faults_named, input_shape, opened, put_on, stored_layers
from qspec.readers.qkeras_layers import QuantizedChain
from qspec.readers.qkeras_table import LAYERS, MARKS
from qspec.readers.registry import Content, Reader

MODULES = (*BUILTIN, "qkeras", "hgq")
_MARK = re.compile(f'"class_name": ?"([A-Za-z]+>)?({"|".join(MARKS)})"')


def read_quantized_keras(path: str | Path, *, weights: str | Path | None = None, input: InputFormat = None) -> Network:
    """Return the network of an .h5 or .keras file of QKeras or of HGQ's proxies, or of the .json of an architecture with its `weights`.

    `input` is the format of the codes of the input, as a format or as text, "ap_fixed<16,6>" or "uint8(1/256)"; it is not needed if a
    quantiser comes first, whose codes are then the inputs. Raises UnsupportedError on layers, quantisers and settings that are not read, by
    name; ModelFileError on a damaged file, PackageMissingError without the package `h5py`.
    """
    check_plain(path, "a file of Keras")
    given = None if input is None else stated(input)
    with faults_named(path, "a file of QKeras or HGQ"), _opened(Path(path), weights) as file:
        return _network(file, Path(path).name.split(".")[0], given)


@contextmanager
def _opened(path: Path, weights: str | Path | None) -> Generator[KerasFile]:
    if path.suffix != ".json":
        if weights is not None:
            raise UnsupportedError(
                "weights of a file that has its own", given=str(weights), expected="weights= beside an architecture in .json"
            )
        with opened(path, LAYERS) as file:
            yield file
        return
    if weights is None:
        raise UnsupportedError("an architecture without weights", given=str(path), expected="the file of its weights", advice="weights=…")
    text = read_text(path, LARGEST, "the architecture of a network", packed=False)
    check_plain(weights, "a file of weights")
    with opened(weights, LAYERS) as file:
        yield replace(file, architecture=text)


def _network(file: KerasFile, name: str, given: Format | None) -> Network:
    if file.architecture is None:
        raise UnsupportedError(
            "a file of weights without an architecture",
            given=name,
            expected="the .json of the architecture",
            advice="load it, with weights=…",
        )
    layers = described(parsed(file.architecture), LAYERS, MODULES)
    found = stored_layers(file, layers)
    chain = QuantizedChain(input_shape(found), given)
    put_on(chain, found)
    if chain.values is None:
        raise UnsupportedError("no layer in this file computes anything", given=name, expected="a chain of layers")
    kinds = {d.kind for d in layers}
    end = chain.settled(layers[-1])
    return Network.of(end.signal, name=name, semantics="hgq" if "FixedPointQuantizer" in kinds else "qkeras")


def _recognized(content: Content) -> bool:
    """Say whether the architecture of a file has a quantiser: in JSON, in an attribute of HDF5, or in a member of a zip."""
    try:
        return _MARK.search(_architecture(content)) is not None
    except (OSError, KeyError, ValueError, RuntimeError, ImportError, zipfile.BadZipFile, AttributeError):
        return False


def _architecture(content: Content) -> str:
    if {"config.json", "model.weights.h5"} <= {*content.members}:
        with zipfile.ZipFile(content.path) as archive, archive.open("config.json") as stream:
            return stream.read(1 << 24).decode()
    if content.head.startswith(b"\x89HDF\r\n\x1a\n"):
        with import_module("h5py").File(content.path, "r") as file:
            text = file.attrs.get("model_config", "")
            return text.decode() if isinstance(text, bytes) else str(text)
    return content.head.decode("utf-8", "replace") if content.head.lstrip()[:1] == b"{" else ""


READER = Reader(
    format="quantised Keras",
    suffixes=(".json", ".h5", ".hdf5", ".keras"),
    recognizes=_recognized,
    read=read_quantized_keras,
    within="Keras",
)
