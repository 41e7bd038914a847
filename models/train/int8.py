"""Write a certified network again as an int8 file of TensorFlow Lite: `python models/train/int8.py --data DIR --out OUT`.

DIR has the idx files of MNIST. For every input the hidden layers of the file compute the codes of `mnist-certified-8bit`:

- Weights and hidden codes are those of the network (hidden ones less 128, as int8 has it), and all scales are powers of two.
- TensorFlow Lite Micro rounds a quotient by `2**k` twice, first that by 2 and then the rest, so it goes up one unit of the sum too early.
  Biases that are one unit lower make up for that.
- Dense layers are written as convolutions over the whole image: both reference kernels round convolutions alike, and dense layers not.

Only the outputs are new: the raw sums in steps of 512, with the zero point at which the largest sum on the training images is code 127.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np

import qspec as qs
from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import integers
from qspec.evaluate.batched import spread
from qspec.lowering.evaluate import program
from qspec.network.graph import Signal, Stage, apply
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.registry import tflite_runtime
from qspec.training import read_idx

SOURCE, NAME = "mnist-certified-8bit", "mnist-certified-int8"
PIXEL, OUTPUT = Quantized(2.0**-8, -128), 2.0**-4


def int8(network: qs.Network, largest: Fraction) -> qs.Network:
    """Return a chain of dense and convolution layers in fixed point as int8 convolutions of TensorFlow Lite Micro."""
    (first,) = network.inputs
    signal, given = apply(qs.Input(first.type.shape, PIXEL.format)), PIXEL
    for stage in network.stages:
        if isinstance(stage.layer, qs.Dense | qs.Conv2D):
            raw = stage.layer.output is None
            zero = 127 - int(largest / Fraction(OUTPUT)) if raw else -128
            out = Quantized(OUTPUT if raw else 2.0 ** -_fixed(stage.layer.output).frac, zero)
            signal, given = _convolution(stage, stage.layer, signal, given, out, raw=raw), out
    return qs.Network.of(apply(qs.Reshape((signal.shape[-1],)), signal), name=NAME, semantics="tflm")


def _convolution(stage: Stage, layer: qs.Dense | qs.Conv2D, signal: Signal, given: Quantized, out: Quantized, *, raw: bool) -> Signal:
    runtime, codes = tflite_runtime("tflm"), layer.kernel.codes
    channels, weight = codes.shape[-1], 2.0 ** -_fixed(layer.kernel.format).frac
    units = (Fraction(weight),) * channels
    if isinstance(layer, qs.Dense):
        codes = codes.reshape(*signal.shape, channels)
    kernel = qs.Tensor(codes, Affine(8, True, units, (0,) * channels))
    sums = tuple(Fraction(given.scale) * u for u in units)
    assert layer.bias is not None
    step = Fraction(1, 2 ** _fixed(layer.bias.format).frac) / sums[0]
    bias = qs.Tensor(integers(layer.bias.codes * int(step) - (not raw)), Affine(32, True, sums, (0,) * channels))
    stride, padding = ((1, 1), "valid") if isinstance(layer, qs.Dense) else (layer.stride, layer.padding)
    ends = runtime.ends("NONE" if raw else "RELU", out)
    stored = runtime.sums("CONV_2D", given.scale, (weight,) * channels, out, ends)
    return apply(stored, apply(qs.Conv2D(kernel, bias, stride, padding, name=stage.name), signal))


def _fixed(fmt: object) -> Fixed:
    assert isinstance(fmt, Fixed)
    return fmt


def largest_output(network: qs.Network, images: np.ndarray) -> Fraction:
    """Return the largest value that a network puts out for images."""
    nodes, taps = program(network)
    outputs = spread(nodes, [taps[network.stages[network.outputs[0]].name].output])
    codes = outputs({network.inputs[0].name: integers(images.reshape(len(images), -1))})[0]
    return int(codes.max()) * network.output_types[0].grid.units[0]


def main() -> None:
    """Write the file, and print its size and hash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the idx files of MNIST")
    parser.add_argument("--out", type=Path, required=True, help="folder of the file")
    options = parser.parse_args()
    network = qs.load(SOURCE, kind=qs.Network)
    made = int8(network, largest_output(network, read_idx(options.data / "train-images-idx3-ubyte")))
    path = options.out / f"{NAME}.tflite"
    qs.to_tflite(made, path)
    print(path.name, path.stat().st_size, sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
