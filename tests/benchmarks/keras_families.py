"""Families of small Keras files, read by qspec and run by Keras itself: every file is equal or refused by name, and none is different.

    python -m tests.benchmarks.keras_families --seeds 3

Asks for `keras` (3, with any backend; measured with JAX) where it is installed. Each family varies every setting of a layer over its
values, in .keras and .h5; outputs of both are compared at random points within 1e-4 of their magnitude, which is what 32-bit floats lose.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "sigmoid", "tanh", "softmax", "softplus", "exponential"),
    *(
        "elu",
        "selu",
        "gelu",
        "silu",
        "softsign",
        "log_softmax",
        "mish",
        "hard_silu",
        "celu",
        "glu",
        "tanh_shrink",
        "soft_shrink",
        "sparsemax",
    ),
)
Model = tuple[str, tuple[int, ...], list[Any]]


def families(layers: Any) -> Iterator[Model]:
    """Yield a family's name, the shape of the input, and the layers of a model."""
    yield from _vectors(layers)
    yield from _images(layers)


def _vectors(k: Any) -> Iterator[Model]:
    for name in ACTIVATIONS:
        yield "dense", (4,), [k.Dense(6, activation=name), k.Dense(2)]
        yield "activation", (4,), [k.Activation(name), k.Dense(2)]
        yield "activation at the end", (4,), [k.Dense(2), k.Activation(name)]
    for bias, units in itertools.product((True, False), (1, 3)):
        yield "dense", (4,), [k.Dense(units, use_bias=bias, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg")]
    for most, slope, threshold in itertools.product((None, 0.0, 1.5, 6), (0.0, 0.25, 1.0, 1.5), (0.0, 0.5)):
        yield "relu", (4,), [k.ReLU(most, slope, threshold), k.Dense(2)]
    for slope in (0.0, 0.1, 0.3, 1.0, 1.5):
        yield "leaky relu", (4,), [k.Dense(3), k.LeakyReLU(negative_slope=slope), k.Dense(2)]
    for axis in (-1, 1):
        yield "softmax", (4,), [k.Dense(3), k.Softmax(axis=axis)]
    for scale, offset in itertools.product((1 / 255, [0.5, 2.0, -1.0, 4.0]), (0.0, -1, [1.0, 2.0, 3.0, 4.0])):
        yield "rescaling", (4,), [k.Rescaling(scale, offset), k.Dense(2)]
        yield "rescaling", (4,), [k.Rescaling(scale, offset), k.ReLU()]
        yield "rescaling", (4,), [k.Dense(4), k.Rescaling(scale, offset), k.ReLU()]
        yield "rescaling", (4,), [k.Rescaling(scale, offset), k.Rescaling(2.0, 1.0), k.Dense(2, "tanh"), k.Rescaling(3.0)]
    for mean, variance in ((None, None), ([1.0, 2.0, 3.0, 4.0], [0.25, 4.0, 1.0, 9.0]), (0.5, 2.0), (0.5, 4.0)):
        for invert in (False, True):
            yield "normalization", (4,), [k.Normalization(mean=mean, variance=variance, invert=invert), k.Dense(2)]
    for centre, scale, epsilon in itertools.product((True, False), (True, False), (1e-3, 1e-5, 0.25)):
        yield "batch normalization", (4,), [k.Dense(3), k.BatchNormalization(center=centre, scale=scale, epsilon=epsilon), k.ReLU()]
        yield "batch normalization", (4,), [k.BatchNormalization(center=centre, scale=scale, epsilon=epsilon), k.Dense(3)]
        yield "batch normalization", (4,), [k.Dense(3, "relu"), k.BatchNormalization(center=centre, scale=scale, epsilon=epsilon)]
    for idle in (
        k.Dropout(0.5),
        k.GaussianNoise(0.5),
        k.GaussianDropout(0.5),
        k.AlphaDropout(0.5),
        k.ActivityRegularization(0.1),
        k.Identity(),
    ):
        yield "idle", (4,), [idle, k.Dense(2, "relu"), k.Dense(2)]
    for strange in (k.PReLU(), k.ELU(), k.LayerNormalization(), k.UnitNormalization(), k.RepeatVector(2), k.Masking()):
        yield "others", (4,), [strange]
    yield "types", (4,), [k.Dense(2, dtype="float64")]
    yield "types", (4,), [k.Dense(2, dtype="bfloat16")]
    yield "types", (4,), [k.Dense(2, dtype="mixed_float16")]


def _images(k: Any) -> Iterator[Model]:
    shape = (6, 5, 2)
    for size, stride, padding in itertools.product((1, 2, (3, 2)), (1, 2, (1, 2)), ("valid", "same")):
        yield "conv", shape, [k.Conv2D(3, size, stride, padding, activation="relu"), k.Flatten(), k.Dense(2)]
        yield "depthwise", shape, [k.DepthwiseConv2D(size, 1 if stride == (1, 2) else stride, padding, depth_multiplier=2), k.Flatten()]
        for pool in (k.MaxPooling2D, k.AveragePooling2D):
            yield "pool", shape, [pool(size, None if stride == 1 else stride, padding), k.Flatten(), k.Dense(2)]
    for groups, dilation, bias in itertools.product((1, 2), (1, 2, (1, 2)), (True, False)):
        yield "conv", shape, [k.Conv2D(4, 2, groups=groups, dilation_rate=dilation, use_bias=bias, padding="same"), k.Flatten()]
    for keep in (False, True):
        yield "global pool", shape, [k.GlobalAveragePooling2D(keepdims=keep), *([k.Flatten()] if keep else []), k.Dense(2)]
        yield "global pool", shape, [k.GlobalMaxPooling2D(keepdims=keep)]
    for pad in (1, (1, 2), ((0, 1), (2, 3))):
        yield "zero padding", shape, [k.ZeroPadding2D(pad), k.Conv2D(2, 3), k.Flatten()]
    for scale, offset in itertools.product((0.5, [2.0, -3.0]), (0.0, [1.0, 2.0])):
        yield "rescaling", shape, [k.Rescaling(scale, offset), k.Conv2D(2, 3, padding="same", activation="relu"), k.Flatten()]
        yield "rescaling", shape, [k.Rescaling(scale, offset), k.Flatten(), k.Dense(2)]
        yield "rescaling", shape, [k.Rescaling(scale, offset)]
    yield "rescaling", (5, 4), [k.Rescaling(0.5, 1.0), k.Flatten(), k.Dense(2)]
    yield "rescaling", (5, 4), [k.Rescaling(0.5, 1.0), k.ReLU(), k.Flatten(), k.Dense(2)]
    for axis in (-1, 3, 1, 2):
        yield "batch normalization", shape, [k.Conv2D(3, 2, use_bias=False), k.BatchNormalization(axis=axis), k.ReLU(), k.Flatten()]
        yield "softmax", shape, [k.Softmax(axis=axis)]
        yield "normalization", shape, [k.Normalization(axis=axis), k.Flatten(), k.Dense(2)]
    yield "dense of images", shape, [k.Dense(3, "tanh"), k.Flatten(), k.Dense(2)]
    yield "dense of rows", (5, 4), [k.Dense(3)]
    yield "reshape", (60,), [k.Reshape(shape), k.Conv2D(2, 3), k.Reshape((-1,)), k.Dense(2)]
    yield "reshape", (60,), [k.Rescaling(0.5), k.Reshape((6, -1, 2)), k.Conv2D(2, 3), k.Flatten()]
    yield "reshape", (60,), [k.Dense(60), k.Reshape(shape), k.Conv2D(2, 3)]
    for first in (
        k.Permute((3, 1, 2)),
        k.Permute((2, 1, 3)),
        k.UpSampling2D(),
        k.Cropping2D(),
        k.SeparableConv2D(2, 2),
        k.Conv2DTranspose(2, 2),
    ):
        yield "others", shape, [first, k.Flatten(), k.Dense(2)]
    for noise in (k.SpatialDropout2D(0.5), k.Dropout(0.5, noise_shape=(None, 1, 1, 2))):
        yield "idle", shape, [noise, k.Flatten(), k.Dense(2)]
    for kind in (k.Flatten, k.MaxPooling2D, k.GlobalAveragePooling2D, k.GlobalMaxPooling2D, k.ZeroPadding2D):
        yield "channels first", shape, [kind(data_format="channels_first"), k.Flatten()]
    yield "pool 1d", (6, 2), [k.MaxPooling1D(2), k.Flatten()]


def compared(path: Path, model: Any, shape: tuple[int, ...], rng: np.random.Generator) -> str:
    """Return "equal", "refused" or "different": what qspec reads, against Keras."""
    import qspec as qs
    from qspec.readers.keras import read_keras

    try:
        network = read_keras(path, round_roots=True)
    except qs.QspecError as error:
        return "damaged" if isinstance(error, qs.ModelFileError) else "refused"
    points = rng.normal(size=(8, *shape)).astype(np.float32) * 2
    theirs = np.asarray(model.predict(points, verbose=0), dtype=np.float64)
    ours = network.evaluate(points.astype(np.float64))
    return "equal" if ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-4, atol=1e-4) else "different"


def made(keras: Any, layers: list[Any], shape: tuple[int, ...], rng: np.random.Generator, *, functional: bool) -> Any:
    """Return a model of these layers with random weights."""
    if functional:
        start = signal = keras.Input(shape)
        for layer in layers:
            signal = layer(signal)
        model = keras.Model(start, signal)
    else:
        model = keras.Sequential([keras.Input(shape), *layers])
    for layer in model.layers:
        arrays = layer.get_weights()
        if arrays:
            positive = isinstance(layer, keras.layers.BatchNormalization | keras.layers.Normalization)
            layer.set_weights([(np.abs(a) + 0.5 if positive else a).astype(w.dtype) for w in arrays for a in [rng.normal(size=w.shape)]])
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def main() -> int:
    """Print how many files of each family are equal, refused or different; return 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    try:
        keras: Any = import_module("keras")
    except ImportError:
        print("keras is not installed: pip install keras jax")
        return 2
    counts: Counter[tuple[str, str]] = Counter()
    print(f"Keras {keras.__version__}, backend {keras.backend.backend()}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            for name, shape, layers in families(keras.layers):
                try:
                    model = made(keras, layers, shape, rng, functional=bool(rng.integers(2)))
                except (ValueError, TypeError) as error:
                    print(f"not made by Keras: {name}: {str(error).splitlines()[0][:100]}")
                    continue
                for suffix in (".keras", ".h5"):
                    path = Path(folder) / f"model{suffix}"
                    model.save(path)
                    found = compared(path, model, shape, rng)
                    counts[name, found] += 1
                    if found in ("different", "damaged"):
                        print(found, name, suffix, [(type(v).__name__, v.get_config()) for v in layers])
    words = ("equal", "refused", "damaged", "different")
    for name in sorted({n for n, _ in counts}):
        print(f"{name:24}", *(f"{counts[name, w]:4} {w}" for w in words))
    total = {w: sum(c for (_, found), c in counts.items() if found == w) for w in words}
    print(f"{sum(total.values())} files:", ", ".join(f"{n} {w}" for w, n in total.items()))
    return int(total["different"] + total["damaged"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
