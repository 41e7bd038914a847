"""A chain of Keras layers in an .h5 or .keras file as a real network: every weight means exactly the number that is stored.

Source: the formats of Keras, https://keras.io/guides/serialization_and_saving. What is read is `keras_table`; `docs/readers.md` has it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from qspec.errors import ModelFileError, UnsupportedError
from qspec.face import RealNetwork, RealSequential
from qspec.files.atomic import check_plain
from qspec.network.activations import Linear, Sigmoid
from qspec.network.real_layers import Activate, RealActivation, RealDense, RealInput, RealLayer, Softmax
from qspec.readers.keras_config import Described, described, parsed
from qspec.readers.keras_file import KerasFile, faults_named, input_shape, opened, put_on, stored_layers
from qspec.readers.keras_layers import LayerChain
from qspec.readers.keras_table import IDLE, LAYERS
from qspec.readers.registry import Content, Reader


def read_keras(path: str | Path, *, hidden: RealActivation | None = None, logits: bool = False, round_roots: bool = False) -> RealNetwork:
    """Return the real network of an .h5 or .keras file with layers one after the other, saved whole or, in .h5, as weights alone.

    A file of weights does not say what its activations are: `hidden` states that of all layers but the last, which is then linear. With
    `logits` a sigmoid or softmax at the end is left out. Batch normalisation divides by a square root: where that is not rational,
    `round_roots` takes the nearest double of each factor. Raises ModelFileError if the file is damaged, UnsupportedError on layers and
    settings that are not read, by name, PackageMissingError without the package `h5py`.
    """
    check_plain(path, "a file of Keras")
    name = Path(path).name.split(".")[0]
    with faults_named(path, "an .h5 or .keras file of Keras"), opened(path, LAYERS) as file:
        if file.architecture is None:
            return _weights_alone(file, path, hidden, logits, name)
        return _network(file, logits, round_roots, name)


def _network(file: KerasFile, logits: bool, round_roots: bool, name: str) -> RealNetwork:
    layers = described(parsed(cast(str, file.architecture)), LAYERS)
    found = stored_layers(file, layers)
    if not any(d.kind != "InputLayer" and d.kind not in IDLE for d in layers):
        raise UnsupportedError("no layer in this file computes anything", given=name, expected="a chain of layers")
    chain = LayerChain(input_shape(found), file.version, round_roots=round_roots)
    put_on(chain, found)
    chain.settle()
    return RealSequential(RealInput(chain.start), *(_without_end(chain.layers) if logits else chain.layers), name=name)


def _weights_alone(file: KerasFile, path: str | Path, hidden: RealActivation | None, logits: bool, name: str) -> RealNetwork:
    if hidden is None and len(file.names) > 1:
        raise ModelFileError(
            "a file of weights does not say what its activations are",
            given=f"{path}, {len(file.names)} layers with weights",
            expected="the activation of the layers before the last",
            advice="qs.load(path, hidden=qs.ReLU())",
        )
    layers: list[RealDense] = []
    for k, own in enumerate(file.names):
        arrays = file.arrays(Described("Dense", own, {}))
        kernel = arrays.get("kernel")
        if kernel is None or kernel.ndim != 2:
            shapes = {n: array.shape for n, array in arrays.items()}
            raise UnsupportedError(
                "only dense layers are read from weights alone", given=f"{own!r} with {shapes}", expected="a kernel and a bias"
            )
        activation = Linear() if k == len(file.names) - 1 or hidden is None else hidden
        layers.append(RealDense(kernel, arrays.get("bias"), activation, own))
    if not layers:
        raise UnsupportedError("no dense layer in this file", given=str(path), expected="a sequential network of dense layers")
    start = RealInput((int(layers[0].kernel.shape[0]),))
    return RealSequential(start, *(_without_end(list(layers)) if logits else layers), name=name)


def _without_end(layers: list[RealLayer]) -> list[RealLayer]:
    last = layers[-1] if layers else None
    if isinstance(last, Activate) and isinstance(last.activation, Sigmoid | Softmax):
        return layers[:-1]
    if isinstance(last, RealDense) and isinstance(last.activation, Sigmoid | Softmax):
        return [*layers[:-1], replace(last, activation=Linear())]
    return layers


def _recognized(content: Content) -> bool:
    return content.head.startswith(b"\x89HDF\r\n\x1a\n") or {"config.json", "model.weights.h5"} <= {*content.members}


READER = Reader(format="Keras", suffixes=(".h5", ".hdf5", ".keras"), recognizes=_recognized, read=read_keras)
