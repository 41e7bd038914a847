"""Files of QKeras as qspec reads them beside QKeras itself, which runs the layers that the file describes with its stored floats.

Run `KERAS_BACKEND=jax python tests/benchmarks/qkeras_files.py --data DIR --mnist IDX --cifar CODES.npy` where qspec, keras and
qkeras-v3 are
installed; DIR has hls4ml_models/, IDX the idx files, CODES int8 codes of CIFAR-10 images.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import qspec as qs
from qspec.arithmetic.formats import code_range
from qspec.training import read_idx

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

FILES = {
    "qkeras_3layer": ("ap_fixed<12,6>", None),
    "qkeras_mnist_cnn": ("uint8(1/256)", "mnist"),
    "qkeras_mnist_dense": (None, None),
    "mlperf_ad08_qkeras": ("ap_fixed<12,8>", None),
    "mlperf_rn07_qkeras": ("uint8(1/256)", "cifar"),
}
"""The format of the input, if the file does not say it, and which images are put in; else rows are drawn, half of them normal."""
KERNELS = ("QDense", "QConv2D", "QDenseBatchnorm", "QConv2DBatchnorm")


def quantizer(given: Any) -> Any:
    """Return a quantiser of QKeras from its configuration or its text."""
    qkeras = import_module("qkeras")
    if given is None or isinstance(given, str):
        return None if given is None else qkeras.get_quantizer(given)
    return getattr(qkeras, given["class_name"])(**{k: v for k, v in given["config"].items() if k != "qnoise_factor"})


def made(layer: dict[str, Any]) -> Any:
    """Return the layer of QKeras or Keras that a configuration describes; None for one that does nothing here."""
    keras, qkeras = import_module("keras"), import_module("qkeras")
    kind, c = layer["class_name"], layer["config"]
    if kind in KERNELS:
        own = {k: c[k] for k in ("units", "filters", "kernel_size", "strides", "padding", "epsilon", "folding_mode", "use_bias") if k in c}
        pair = {k: quantizer(c[k]) for k in ("kernel_quantizer", "bias_quantizer")}
        return getattr(qkeras, kind)(name=c["name"], activation=None if c["activation"] == "linear" else c["activation"], **own, **pair)
    if kind == "QActivation":
        return qkeras.QActivation(quantizer(c["activation"]))
    if kind == "MaxPooling2D":
        return keras.layers.MaxPooling2D(c["pool_size"], c["strides"], c["padding"])
    return keras.layers.Flatten() if kind == "Flatten" else None  # softmax at the end, and dropout


def model(architecture: Any, weights: Any) -> Any:
    """Return the model of an architecture with its weights, without a softmax at the end."""
    keras = import_module("keras")
    config = architecture["config"]
    layers = config if isinstance(config, list) else config["layers"]
    start = signal = keras.Input(next(s for layer in layers if (s := layer["config"].get("batch_input_shape")))[1:])
    kept: list[Any] = []
    for layer in layers:
        own = made(layer)
        if own is not None:
            signal = own(signal)
            kept.append(own)
    for own in kept:
        if own.name in weights:
            stored: dict[str, Any] = {}
            weights[own.name].visititems(
                lambda n, o, s=stored: s.update({n.split("/")[-1].split(":")[0]: o[()]} if hasattr(o, "shape") else {})
            )
            for v in own.weights:
                name = v.path.split("/")[-1]
                if name != "iteration":
                    v.assign(stored[name])
    return keras.Model(start, signal)


def compared(name: str, data: Path, images: dict[str, Any]) -> list[object]:
    """Return one row: how many outputs were compared, and how many differ."""
    h5py = import_module("h5py")
    given, source = FILES[name]
    alone = not (data / f"{name}.json").exists()
    path, weights = data / (f"{name}.h5" if alone else f"{name}.json"), data / (f"{name}.h5" if alone else f"{name}_weights.h5")
    net = qs.load(path, kind=qs.Network, input=given, weights=None if alone else weights)
    start, first = net.inputs[0].type, net.inputs[0].layer
    assert isinstance(first, qs.Input)
    low, high = (e.reshape(start.shape) for e in code_range(first.format, start.shape))
    random = np.random.default_rng(0)
    unit = float(start.grid.units[0])
    if source is None:
        codes = np.clip(np.rint(random.normal(0, 1, (1000, *start.shape)) / unit), low, high).astype(int)
        codes[500:] = random.integers(low, high + 1, (500, *start.shape))
    else:
        codes = images[source].reshape(-1, *start.shape)[:1000]
    with h5py.File(weights) as file:
        architecture = json.loads(file.attrs["model_config"] if alone else path.read_text())
        theirs = np.asarray(
            model(architecture, file["model_weights"] if alone else file)((codes * unit).astype(np.float32), training=False)
        )
    ours = net.evaluate(codes).reshape(len(codes), -1) * np.array([float(u) for u in net.output_types[0].grid.units])
    return [name, net.semantics, given or "the first quantiser's", source or "drawn", len(codes), ours.size, int((ours != theirs).sum())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--cifar", type=Path, required=True)
    options = parser.parse_args()
    images = {"mnist": read_idx(options.mnist / "t10k-images-idx3-ubyte"), "cifar": np.load(options.cifar).astype(int) + 128}
    rows = [compared(name, options.data / "hls4ml_models", images) for name in FILES]
    print(header("QKeras files", "qspec", "keras", "qkeras-v3", "jax", "numpy"))
    print(table(("file", "semantics", "input", "inputs", "number", "outputs", "differ"), rows))


if __name__ == "__main__":
    main()
