"""A float network in ONNX as a real network: every weight means exactly the number that is stored, and sums are those of the reals.

The nodes are run one by one on constants and on views of signals (`onnx_tensors.py`), each as its row of the table (`onnx_operators.py`)
says. What ONNX computes in floats differs from the reals by its rounding. Source: ONNX operators, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import FormatError, ModelFileError, NetworkError, ShapeError, UnsupportedError
from qspec.face import RealNetwork
from qspec.network.graph import real_apply
from qspec.network.real_layers import RealInput
from qspec.readers.onnx_arithmetic import ARITHMETIC
from qspec.readers.onnx_file import OnnxGraph, OnnxNode, Port, is_onnx, read_graph
from qspec.readers.onnx_layers import LAYERS
from qspec.readers.onnx_moves import MOVES, known
from qspec.readers.onnx_operators import OPERATORS
from qspec.readers.onnx_table import REALS, checked
from qspec.readers.onnx_tensors import Relayout, Tensor, TensorView, concatenated, expect_size, laid_out, moved, settled
from qspec.readers.registry import Content, Reader

READERS = {**MOVES, **ARITHMETIC, **LAYERS}


@dataclass(frozen=True, slots=True, eq=False)
class ImportedNetwork:
    """A real network, and the flat positions of ONNX's input and output elements in its own input and output.

    Several inputs are one input, their elements one after the other, as VNN-LIB counts them; so are several outputs. `inputs` and `outputs`
    are their shapes in ONNX, in order. `notes` say what of the file is not exact in the network.
    """

    network: RealNetwork
    input_order: IntArray
    output_order: IntArray
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    notes: tuple[str, ...] = ()


def read_onnx(path: str | Path) -> RealNetwork:
    """Return the real network of a float .onnx or .onnx.gz file.

    An image of one input or output is an image (height, width, channels); vectors keep the order that they have in ONNX. Raises
    ModelFileError if the file is damaged, UnsupportedError on what is not read, by name, PackageMissingError without the package `onnx`.
    """
    return import_onnx(path).network


def import_onnx(path: str | Path) -> ImportedNetwork:
    """Return the real network of a file, with the order of its elements; see `read_onnx`."""
    graph = read_graph(path)
    name = Path(path).name.split(".")[0]
    try:
        try:
            return _OnnxReader(graph, None).network(name)
        except Relayout as wanted:
            return _OnnxReader(graph, wanted.order.reshape(wanted.shape)).network(name)
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of an ONNX file do not fit", given=str(path), expected=f"a consistent network ({error.what})"
        ) from error
    except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ModelFileError | UnsupportedError):
            raise
        raise ModelFileError(
            "an ONNX file is damaged", given=str(path), expected=f"well-formed nodes ({type(error).__name__}: {error})"
        ) from error


class _OnnxReader:
    """The tensors known so far, by name."""

    def __init__(self, graph: OnnxGraph, layout: IntArray | None) -> None:
        """Begin; `layout` says of an image that is made of the inputs first where in them each of its elements is."""
        self.graph = graph
        self.layout = layout
        self.tensors: dict[str, Tensor] = {key: known(stored) for key, stored in graph.constants.items()}
        self.notes: list[str] = []

    def network(self, name: str) -> ImportedNetwork:
        inputs = {key: _shape(key, port) for key, port in self.graph.inputs.items()}
        if not inputs:
            raise UnsupportedError("an ONNX network without inputs", given=name, expected="at least one input")
        order = self._begin(inputs)
        for node in self.graph.nodes:
            self._add(node)
        ends = [self._end(key, port) for key, port in self.graph.outputs.items()]
        shapes = {key: end.shape for key, end in zip(self.graph.outputs, ends, strict=True)}
        end = self._joined(ends)
        orders = order, end.places.reshape(-1)
        network = RealNetwork.of(end.source, name=name)
        if not all(np.array_equal(o, np.arange(o.size)) for o in orders):
            network = replace(network, elements=orders)
        return ImportedNetwork(network, *orders, inputs, shapes, tuple(self.notes))

    def _begin(self, inputs: Mapping[str, tuple[int, ...]]) -> IntArray:
        """Add the inputs, which are parts of one; returns the positions of their elements in it.

        One that is an image in ONNX lies as the first layer wants it; others keep their order, and are laid out for it.
        """
        count = sum(prod(s) for s in inputs.values())
        order, source = np.arange(count), real_apply(RealInput(expect_size((count,))))
        places = order
        if self.layout is not None:
            places = np.argsort(self.layout.reshape(-1))
            if np.array_equal(places, order) or (len(inputs) == 1 and _same(self.layout, _channels_last(*inputs.values()))):
                order, source = places, real_apply(RealInput(self.layout.shape))
            else:
                source = laid_out(TensorView(source, order, REALS[0]), self.layout).source
        start = 0
        for key, own in inputs.items():
            self.tensors[key] = TensorView(source, places[start : start + prod(own)].reshape(own), self.graph.inputs[key].type)
            start += prod(own)
        return order

    def _add(self, node: OnnxNode) -> None:
        rule = OPERATORS.get(node.op)
        if rule is None:
            expected = ", ".join(OPERATORS)
            raise UnsupportedError(f"ONNX operation {node.op} is not read", given=node.place, expected=expected)
        inputs = [self._tensor(node, key) if key else None for key in node.inputs]
        made = READERS[node.op](checked(rule, node, self.graph.opset, inputs, self.notes))
        results = made if isinstance(made, list) else [made]
        for key, result in zip(node.outputs, results, strict=False):
            self.tensors[key] = result

    def _tensor(self, node: OnnxNode, key: str) -> Tensor:
        if key not in self.tensors:
            raise UnsupportedError(
                f"a further result, read by ONNX {node.op}, is not read", given=key, expected="the first result of a node"
            )
        return self.tensors[key]

    def _end(self, key: str, port: Port) -> Tensor:
        found = self.tensors.get(key)
        if found is None:
            raise UnsupportedError("a further result as an output is not read", given=key, expected="the first result of a node")
        if found.type not in REALS or found.type != port.type:
            given = f"{key}: {found.type}, declared as {port.type}"
            raise UnsupportedError("an output of this type is not read", given=given, expected=f"{' or '.join(REALS)}, as declared")
        return found

    def _joined(self, ends: list[Tensor]) -> TensorView:
        """Return all outputs as elements of one signal, each of which occurs once."""
        if not any(isinstance(end, TensorView) for end in ends):
            raise UnsupportedError("the output does not depend on the input", given=", ".join(self.graph.outputs), expected="a network")
        if len(ends) == 1 and isinstance(ends[0], TensorView):
            end = settled(ends[0])
        else:
            end = settled(concatenated([moved(e, lambda a: a.reshape(-1)) for e in ends], 0))
        return end if _lies_as_meant(end) else laid_out(end, np.arange(end.places.size))


def _channels_last(shape: tuple[int, ...]) -> IntArray | None:
    """Return where each element of an image (height, width, channels) is in a tensor of ONNX, if that is an image or a row."""
    places = np.arange(prod(shape)).reshape(shape)
    if len(shape) == 4 and shape[0] == 1:
        return places[0].transpose(1, 2, 0)
    if len(shape) == 3:
        return places[0].T[None] if shape[0] == 1 else places.transpose(1, 2, 0)
    return None


def _same(layout: IntArray, other: IntArray | None) -> bool:
    return other is not None and layout.shape == other.shape and np.array_equal(layout, other)


def _lies_as_meant(x: TensorView) -> bool:
    """Return whether a signal has the order of ONNX, or is an image, channels last, of what is one there, channels first."""
    lies = x.places.reshape(-1)
    as_it_is = np.array_equal(lies, np.arange(lies.size)) and lies.size == prod(x.source.shape)
    return as_it_is or (x.whole and _same(np.argsort(lies).reshape(x.source.shape), _channels_last(x.shape)))


def _shape(key: str, port: Port) -> tuple[int, ...]:
    """Return the shape of an input; a first dimension that is not known is one."""
    if port.type not in REALS:
        raise UnsupportedError("an input of this type is not read", given=f"{key}: {port.type}", expected=" or ".join(REALS))
    if any(d is None for d in port.shape[1:]):
        raise UnsupportedError(
            "an input of unknown size", given=port.shape, expected="known dimensions after the first", advice="export with fixed shapes"
        )
    return expect_size([1 if d is None else d for d in port.shape])


def _recognized(content: Content) -> bool:
    return is_onnx(content.head)


READER = Reader(format="ONNX", suffixes=(".onnx", ".onnx.gz"), recognizes=_recognized, read=read_onnx)
