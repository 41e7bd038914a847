"""Every layer of Keras that is read: values are derived by hand from its definition, and what is not read is refused by name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ModelFileError, QspecError, UnsupportedError
from qspec.readers import keras_layers, keras_table
from qspec.readers.keras import read_keras

h5py = pytest.importorskip("h5py")
Layer = tuple[str, dict[str, Any], dict[str, Any]]
X = [-2.0, 0.5]
DENSE: Layer = ("Dense", {"activation": "linear"}, {"kernel": [[1.0], [0.5]], "bias": [0.5]})
IMAGE = np.arange(24, dtype=float).reshape(3, 4, 2) / 4 - 2


def write(path: Path, shape: tuple[int, ...], layers: Sequence[Layer], *, version: str | None = "3.15.1", whole: Any = None) -> Path:
    """Write an .h5 file as Keras does."""
    first: Layer = ("InputLayer", {"batch_shape": [None, *shape], "dtype": "float32"}, {})
    items = [(kind, {"name": f"l{k}", **config}, arrays) for k, (kind, config, arrays) in enumerate([first, *layers])]
    with h5py.File(path, "w") as file:
        if version is not None:
            file.attrs["keras_version"] = version
        described = [{"class_name": kind, "config": config} for kind, config, _ in items]
        file.attrs["model_config"] = json.dumps(
            whole(described) if whole else {"class_name": "Sequential", "config": {"layers": described}}
        )
        top = file.create_group("model_weights")
        top.attrs["layer_names"] = [config["name"].encode() for _, config, _ in items]
        for _, config, arrays in items:
            group, name = top.create_group(config["name"]), config["name"]
            group.attrs["weight_names"] = [f"{name}/{n}:0".encode() for n in arrays]
            for n, values in arrays.items():
                group[f"{name}/{n}:0"] = np.float32(values)
    return path


def value(tmp_path: Path, shape: tuple[int, ...], layers: Sequence[Layer], x: object, **options: Any) -> Any:
    """Return what the network that is read makes of a point."""
    version = options.pop("version", "3.15.1")
    return read_keras(write(tmp_path / "m.h5", shape, layers, version=version), **options).evaluate(x)


def test_an_activation_before_the_first_dense_layer_counts(tmp_path: Path) -> None:
    for kind, config, want in (
        ("Activation", {"activation": "relu"}, 0.75),
        ("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, 0.75),
        ("Activation", {"activation": "tanh"}, np.tanh(-2) + 0.5 * np.tanh(0.5) + 0.5),
        ("LeakyReLU", {"negative_slope": 0.25}, -0.5 + 0.25 + 0.5),
        ("Softmax", {}, np.exp(-2) / (np.exp(-2) + np.exp(0.5)) + 0.5 * np.exp(0.5) / (np.exp(-2) + np.exp(0.5)) + 0.5),
        ("Rescaling", {"scale": 2.0, "offset": [1.0, -1.0]}, -3.0 + 0.5 * 0.0 + 0.5),
        ("Dropout", {"rate": 0.5}, -1.25),
    ):
        assert value(tmp_path, (2,), [(kind, config, {}), DENSE], X) == pytest.approx([want], abs=1e-12), kind


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("linear", X),
        ("relu", [0.0, 0.5]),
        ("relu6", [0.0, 0.5]),
        ("leaky_relu", [-0.4, 0.5]),
        ("hard_tanh", [-1.0, 0.5]),
        ("hard_sigmoid", [1 / 6, 0.5 / 6 + 0.5]),
        ("sigmoid", [1 / (1 + np.exp(2)), 1 / (1 + np.exp(-0.5))]),
        ("tanh", np.tanh(X)),
        ("softmax", np.exp(X) / np.exp(X).sum()),
        ("softplus", np.log1p(np.exp(X))),
        ("exponential", np.exp(X)),
    ],
)
def test_activations(name: str, want: list[float], tmp_path: Path) -> None:
    eye = {"kernel": np.eye(2), "bias": np.zeros(2)}
    assert value(tmp_path, (2,), [("Dense", {"activation": name}, eye)], X) == pytest.approx(want, abs=1e-12)
    assert value(tmp_path, (2,), [("Activation", {"activation": name}, {})], X) == pytest.approx(want, abs=1e-12)
    assert set(keras_table.ACTIVATIONS) | {"hard_sigmoid"} >= {name}


def test_the_hard_sigmoid_is_that_of_the_version(tmp_path: Path) -> None:
    layer: Layer = ("Activation", {"activation": "hard_sigmoid"}, {})
    assert value(tmp_path, (2,), [layer], X, version="2.4.0") == pytest.approx([0.1, 0.6], abs=1e-12)
    with pytest.raises(UnsupportedError, match="hard_sigmoid of a known version"):
        value(tmp_path, (2,), [layer], X, version=None)
    with pytest.raises(UnsupportedError, match="version"):
        value(tmp_path, (2,), [DENSE], X, version="1.2.2")


@pytest.mark.parametrize(("most", "slope", "threshold"), list(product((None, 0, 1.5), (0.0, 0.25, 2.0), (0.0, 0.5))))
def test_settings_of_a_relu(most: float | None, slope: float, threshold: float, tmp_path: Path) -> None:
    """Keras: the maximum from there on, x from the threshold on, and slope * (x - threshold) below."""
    x = np.array([-1.0, 0.25, 0.5, 1.0, 1.5, 3.0])
    want = np.where(x >= threshold, x, slope * (x - threshold))
    want = want if most is None else np.where(x >= most, most, want)
    layer: Layer = ("ReLU", {"max_value": most, "negative_slope": slope, "threshold": threshold}, {})
    if threshold or slope == 2.0 or (slope and most is not None):
        with pytest.raises(UnsupportedError, match="ReLU"):
            value(tmp_path, (6,), [layer], x)
    else:
        assert value(tmp_path, (6,), [layer], x) == pytest.approx(want, abs=1e-12)


def test_affine_layers_are_exact_wherever_they_stand(tmp_path: Path) -> None:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, where the roots are rational."""
    norm: Layer = (
        "BatchNormalization",
        {"axis": [1], "epsilon": 0.25, "momentum": 0.9},
        {"gamma": [2.0, -1.0], "beta": [0.5, 1.0], "moving_mean": [1.0, -1.0], "moving_variance": [2.0, 6.0]},
    )
    normed = (np.array(X) - [1, -1]) / [1.5, 2.5] * [2, -1] + [0.5, 1.0]
    scale: Layer = ("Normalization", {"mean": [[1.0, 2.0]], "variance": [[4.0, 0.25]], "axis": [-1]}, {})
    scaled = (np.array(X) - [1, 2]) / [2, 0.5]
    stored: Layer = ("Normalization", {"axis": [-1], "mean": None, "variance": None}, {"mean": [1.0, 2.0], "variance": [4.0, 0.25]})
    eye: Layer = ("Dense", {"activation": "linear"}, {"kernel": np.eye(2), "bias": np.zeros(2)})
    relu: Layer = ("ReLU", {}, {})
    for layer, want in ((norm, normed), (scale, scaled), (stored, scaled)):
        cases: list[tuple[list[Layer], Any]] = [
            ([layer, DENSE], [want[0] + 0.5 * want[1] + 0.5]),
            ([eye, layer], want),
            ([layer], want),
            ([layer, relu], np.maximum(want, 0)),
            ([eye, layer, relu], np.maximum(want, 0)),
            ([layer, ("Rescaling", {"scale": 3, "offset": -1}, {}), DENSE], [(3 * want[0] - 1) + 0.5 * (3 * want[1] - 1) + 0.5]),
        ]
        for layers, expected in cases:
            assert value(tmp_path, (2,), layers, X) == pytest.approx(expected, abs=1e-9), (layer[0], len(layers))


def test_a_root_that_is_not_rational_is_a_decision(tmp_path: Path) -> None:
    arrays = {"gamma": [2.0, 1.0], "beta": [0.0, 0.0], "moving_mean": [0.0, 0.0], "moving_variance": [1.0, 3.0]}
    layer: Layer = ("BatchNormalization", {"epsilon": 0.001}, arrays)
    with pytest.raises(UnsupportedError, match=r"square root(.|\n)*round_roots=True"):
        value(tmp_path, (2,), [layer], X)
    found = value(tmp_path, (2,), [layer], X, round_roots=True)
    assert found == pytest.approx(np.array(X) * [2, 1] / np.sqrt([1.001, 3.001]), rel=1e-15)


def test_a_factor_that_no_double_holds_is_refused(tmp_path: Path) -> None:
    arrays = {n: [v] for n, v in (("gamma", 1e38), ("beta", 0.0), ("moving_mean", 0.0), ("moving_variance", 0.0))}
    path = write(tmp_path / "m.h5", (1,), [("BatchNormalization", {"epsilon": 0.125}, arrays)])
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = str(file.attrs["model_config"]).replace("0.125", "2e-600")
    with pytest.raises(ModelFileError, match="OverflowError"):
        read_keras(path, round_roots=True)


def test_images(tmp_path: Path) -> None:
    """Windows of the image by hand: padding "same" puts the odd place at the end, and places outside do not count in a mean."""
    padded = np.full((4, 4, 2), np.nan)
    padded[:3] = IMAGE
    blocks = padded.reshape(2, 2, 2, 2, 2)
    for kind, mean in (("MaxPooling2D", np.nanmax), ("AveragePooling2D", np.nanmean)):
        layer: Layer = (kind, {"pool_size": [2, 2], "padding": "same", "strides": None, "data_format": "channels_last"}, {})
        assert np.allclose(value(tmp_path, (3, 4, 2), [layer], IMAGE), mean(blocks, axis=(1, 3)))
    for kind, over in (("GlobalMaxPooling2D", np.max), ("GlobalAveragePooling2D", np.mean)):
        for keep in (False, True):
            found = value(tmp_path, (3, 4, 2), [(kind, {"keepdims": keep}, {})], IMAGE)
            assert np.allclose(found, over(IMAGE, axis=(0, 1), keepdims=keep))
    pad: Layer = ("ZeroPadding2D", {"padding": [[0, 1], [2, 0]]}, {})
    assert np.allclose(value(tmp_path, (3, 4, 2), [pad], IMAGE), np.pad(IMAGE, ((0, 1), (2, 0), (0, 0))))
    flat: Layer = ("Flatten", {}, {})
    assert np.allclose(value(tmp_path, (3, 4, 2), [flat], IMAGE), IMAGE.reshape(-1))
    scaled: Layer = ("Rescaling", {"scale": [2.0, -1.0], "offset": 0.5}, {})
    for layers, want in (([scaled, flat], (IMAGE * [2, -1] + 0.5).reshape(-1)), ([scaled], IMAGE * [2, -1] + 0.5)):
        assert np.allclose(value(tmp_path, (3, 4, 2), layers, IMAGE), want)
    assert np.allclose(
        value(tmp_path, (24,), [("Reshape", {"target_shape": [3, -1, 2]}, {}), pad], IMAGE.reshape(-1)),
        np.pad(IMAGE, ((0, 1), (2, 0), (0, 0))),
    )


def test_convolutions(tmp_path: Path) -> None:
    """A correlation, summed place by place; channels of a depthwise one come in the order channel, multiplier."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.integers(-4, 5, (2, 3, 2, 4)) / 4, rng.integers(-4, 5, 4) / 4
    want = np.zeros((2, 2, 4))
    deep = np.zeros((2, 2, 8))
    for i, j, a, b in product(range(2), range(2), range(2), range(3)):
        want[i, j] += IMAGE[i + a, j + b] @ kernel[a, b]
        deep[i, j] += (IMAGE[i + a, j + b][:, None] * kernel[a, b]).reshape(-1)
    config = {"kernel_size": [2, 3], "strides": [1, 1], "padding": "valid", "dilation_rate": [1, 1], "activation": "relu"}
    layer: Layer = ("Conv2D", {**config, "filters": 4, "groups": 1}, {"kernel": kernel, "bias": bias})
    assert np.allclose(value(tmp_path, (3, 4, 2), [layer], IMAGE), np.maximum(want + bias, 0))
    depthwise: Layer = (
        "DepthwiseConv2D",
        {**config, "depth_multiplier": 4, "use_bias": False, "activation": "linear"},
        {"depthwise_kernel": kernel},
    )
    assert np.allclose(value(tmp_path, (3, 4, 2), [depthwise], IMAGE), deep)
    pixel: Layer = ("Dense", {"units": 1}, {"kernel": [[1.0], [2.0]], "bias": [0.5]})
    assert np.allclose(value(tmp_path, (3, 4, 2), [pixel], IMAGE), IMAGE @ [[1.0], [2.0]] + 0.5)


CONV: Layer = ("Conv2D", {"filters": 1, "kernel_size": [2, 2]}, {"kernel": np.ones((2, 2, 2, 1)), "bias": [0.0]})
SETTINGS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Dense", {"units": 2}, (2,)),
    ("Dense", {"units": True}, (2,)),
    ("Dense", {"use_bias": False}, (2,)),
    ("Dense", {"use_bias": None}, (2,)),
    ("Dense", {"use_bias": {}}, (2,)),
    ("Dense", {"use_bias": 1}, (2,)),
    ("Dense", {"activation": "elu"}, (2,)),
    ("Dense", {"activation": {"class_name": "function", "config": "relu"}}, (2,)),
    ("Dense", {"dtype": "float16"}, (2,)),
    ("Dense", {"dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}}, (2,)),
    ("Dense", {"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}}, (2,)),
    ("Dense", {"lora_rank": 4}, (2,)),
    ("Dense", {"quantization_config": {"mode": "int8"}}, (2,)),
    ("Dense", {"kernel_quantizer": "q"}, (2,)),
    ("Dense", {"batch_input_shape": [None, 3]}, (3,)),
    ("Conv2D", {"data_format": "channels_first"}, (3, 4, 2)),
    ("Conv2D", {"padding": "causal"}, (3, 4, 2)),
    ("Conv2D", {"padding": [1, 1]}, (3, 4, 2)),
    ("Conv2D", {"filters": 2}, (3, 4, 2)),
    ("Conv2D", {"kernel_size": [3, 2]}, (3, 4, 2)),
    ("Conv2D", {"groups": 2}, (3, 4, 2)),
    ("Conv2D", {"strides": [1, 1, 1]}, (3, 4, 2)),
    ("Conv2D", {"strides": 0}, (3, 4, 2)),
    ("Conv2D", {"output_padding": 1}, (3, 4, 2)),
]
BARE: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Softmax", {"axis": 0}, (2,)),
    ("Softmax", {"axis": 2}, (2,)),
    ("Softmax", {"axis": 1}, (3, 4, 2)),
    ("Softmax", {"axis": True}, (2,)),
    ("Flatten", {"data_format": "channels_first"}, (3, 4, 2)),
    ("Reshape", {"target_shape": [3]}, (2,)),
    ("Reshape", {"target_shape": [-1, -1]}, (2,)),
    ("Rescaling", {"scale": "1/255"}, (2,)),
    ("Rescaling", {"scale": [1.0, 2.0, 3.0]}, (2,)),
    ("Rescaling", {"scale": [1.0, 2.0], "invert": True}, (2,)),
    ("Rescaling", {"scale": 2.0}, (3, 2)),
    ("Normalization", {"mean": 0.0, "variance": 1.0, "invert": True}, (2,)),
    ("Normalization", {"mean": 0.0}, (2,)),
    ("Normalization", {"mean": 0.0, "variance": 0.0}, (2,)),
    ("Normalization", {"mean": 0.0, "variance": 1.0, "axis": None}, (2,)),
    ("MaxPooling2D", {"pool_size": [2, 2], "padding": "full"}, (3, 4, 2)),
    ("MaxPooling2D", {"pool_size": [2]}, (3, 4, 2)),
    ("LeakyReLU", {"alpha": 1.5}, (2,)),
    ("LeakyReLU", {"alpha": -0.5}, (2,)),
    ("LeakyReLU", {"alpha": 0.5, "negative_slope": 0.25}, (2,)),
    ("LeakyReLU", {"alpha": {"type": "ndarray", "value": 0.5}}, (2,)),
    ("Dropout", {"rate": 0.5, "training": True}, (2,)),
    ("ZeroPadding2D", {"padding": [1, [2, 2, 2]]}, (3, 4, 2)),
    ("ZeroPadding2D", {"padding": [[1, -1], [0, 0]]}, (3, 4, 2)),
    ("BatchNormalization", {"renorm": True}, (2,)),
    ("PReLU", {}, (2,)),
    ("ELU", {}, (2,)),
    ("Permute", {"dims": [3, 1, 2]}, (3, 4, 2)),
    ("Lambda", {"function": "x"}, (2,)),
    ("Sequential", {"layers": []}, (2,)),
    ("GaussianNoise", {"stddev": 1.0, "always": True}, (2,)),
]


@pytest.mark.parametrize(("kind", "change", "shape"), [*SETTINGS, *BARE], ids=lambda v: str(v)[:40])
def test_a_setting_that_is_not_read_is_refused(kind: str, change: dict[str, Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    _, config, arrays = {"Dense": DENSE, "Conv2D": CONV}.get(kind, (kind, {}, {}))
    with pytest.raises(QspecError) as caught:
        value(tmp_path, shape, [(kind, {**config, **change}, arrays)], np.zeros(shape))
    assert any(word in str(caught.value) for word in (kind, next(iter(change), kind), "fit", "l1", "stands alone"))


@pytest.mark.parametrize("kind", keras_table.LAYERS)
def test_an_unknown_key_of_any_layer_is_refused(kind: str, tmp_path: Path) -> None:
    layer = (kind, {"strange": 0}, {}) if kind != "InputLayer" else DENSE
    path = write(tmp_path / "m.h5", (2,), [layer, DENSE])
    if kind == "InputLayer":
        path = write(
            tmp_path / "n.h5",
            (2,),
            [DENSE],
            whole=lambda items: {
                "class_name": "Sequential",
                "config": {"layers": [{**items[0], "config": {**items[0]["config"], "strange": 0}}, *items[1:]]},
            },
        )
    with pytest.raises(UnsupportedError, match="strange"):
        read_keras(path)


def test_the_table_is_what_is_built() -> None:
    assert set(keras_table.LAYERS) == {*keras_layers.BUILD, *keras_table.IDLE, "InputLayer"}


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "readers.md").read_text(encoding="utf-8")
    assert "\n".join(keras_table.table()) in page
    assert ", ".join(f"`{name}`" for name in keras_table.ACTIVATIONS) in page


@pytest.mark.parametrize(
    ("shape", "told"),
    [([None, None, 2], "shape"), ([None], "shape"), ([None, 0], "shape"), ("2", "shape"), ([None, 2.5], "shape"), ([None, True], "shape")],
)
def test_inputs_without_a_stated_shape_are_refused(shape: object, told: str, tmp_path: Path) -> None:
    def whole(items: list[dict[str, Any]]) -> object:
        items[0]["config"]["batch_shape"] = shape
        return {"class_name": "Sequential", "config": {"layers": items}}

    with pytest.raises(UnsupportedError, match=told):
        read_keras(write(tmp_path / "m.h5", (2,), [DENSE], whole=whole))


def functional(items: list[dict[str, Any]], *, old: bool, **changes: Any) -> Any:
    """Return the architecture of a functional network that is the chain of these layers, listed in another order."""
    found: list[dict[str, Any]] = []
    for k, item in enumerate(items):
        name = items[k - 1]["config"]["name"] if k else ""
        nodes: list[Any] = (
            [] if not k else [[[name, 0, 0, {}]]] if old else [{"args": [{"config": {"keras_history": [name, 0, 0]}}], "kwargs": {}}]
        )
        found.append({**item, "name": item["config"]["name"], "inbound_nodes": nodes})
    ends = {"input_layers": [[items[0]["config"]["name"], 0, 0]], "output_layers": [[items[-1]["config"]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "f", "layers": found[::-1], **ends, **changes}}


@pytest.mark.parametrize("old", [True, False])
def test_functional_networks_that_are_chains_are_read_in_their_order(old: bool, tmp_path: Path) -> None:
    layers: list[Layer] = [("ReLU", {}, {}), ("Rescaling", {"scale": 2.0}, {}), DENSE]
    path = write(tmp_path / "m.h5", (2,), layers, whole=lambda items: functional(items, old=old))
    assert read_keras(path).evaluate(X).tolist() == [1.0]

    def twice(items: list[dict[str, Any]]) -> Any:
        whole = functional(items, old=old)
        whole["config"]["layers"][0]["inbound_nodes"] *= 2
        return whole

    def trained(items: list[dict[str, Any]]) -> Any:
        whole = functional(items, old=old)
        node = whole["config"]["layers"][0]["inbound_nodes"][0]
        (node[0][3] if old else node["kwargs"])["training"] = True
        return whole

    def dead(items: list[dict[str, Any]]) -> Any:
        return functional(items, old=old, output_layers=[[items[-2]["config"]["name"], 0, 0]])

    for change, told in ((twice, "no chain"), (trained, "options"), (dead, "no chain")):
        with pytest.raises(UnsupportedError, match=told):
            read_keras(write(tmp_path / "n.h5", (2,), layers, whole=change))


def archive(path: Path, version: str = "3.15.1", *, told: str = "l2", config: Any = None, extra: bool = False) -> Path:
    """Write a .keras file of two dense layers as Keras 3 does: layers numbered by class, arrays by number."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "l0", "batch_shape": [None, 2]}, "module": "keras.layers", "registered_name": None},
        {"class_name": "Dense", "config": {"name": "l1", "units": 2, "activation": "relu", "use_bias": False, **(config or {})}},
        {"class_name": "Dense", "config": {"name": "l2", "units": 1}, "build_config": {"input_shape": [None, 2]}},
    ]
    stream = BytesIO()
    with h5py.File(stream, "w") as file:
        stored: list[tuple[str, str, list[Any]]] = [("dense", "l1", [np.eye(2)]), ("dense_1", told, [[[1.0], [0.5]], [0.5]])]
        for own, name, arrays in stored:
            group = file.create_group(f"layers/{own}/vars")
            group.attrs["name"] = name
            for k, values in enumerate(arrays):
                group[str(k)] = np.float32(values)
        if extra:
            file["layers/dense_2/vars/0"] = np.ones(1, np.float32)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("config.json", json.dumps({"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}))
        file.writestr("model.weights.h5", stream.getvalue())
    return path


CHANGES: list[dict[str, Any]] = [{"version": "2.15.0"}, {"told": "other"}, {"config": {"use_bias": True}}, {"extra": True}]


def test_archives_of_keras_3_are_read(tmp_path: Path) -> None:
    assert read_keras(archive(tmp_path / "m.keras")).evaluate(X).tolist() == [0.75]
    for k, options in enumerate(CHANGES):
        with pytest.raises(QspecError):
            read_keras(archive(tmp_path / f"{k}.keras", **options))
    (tmp_path / "x.keras").write_bytes((tmp_path / "m.keras").read_bytes()[:-10])
    with pytest.raises(ModelFileError):
        read_keras(tmp_path / "x.keras")


def test_classes_of_somebody_s_own_and_weights_of_others_are_refused(tmp_path: Path) -> None:
    def own(items: list[dict[str, Any]]) -> Any:
        items[1] |= {"module": "mine", "registered_name": "mine>Dense"}
        return {"class_name": "Sequential", "config": {"layers": items}}

    def fewer(items: list[dict[str, Any]]) -> Any:
        return {"class_name": "Sequential", "config": {"layers": items[:2]}}

    def deep(items: list[dict[str, Any]]) -> Any:
        return {"class_name": "Sequential", "config": {"layers": items, "other": 1}}

    for change in (own, fewer, deep):
        with pytest.raises(QspecError):
            read_keras(write(tmp_path / "m.h5", (2,), [("Dense", {}, {"kernel": np.eye(2), "bias": [0, 0]}), DENSE], whole=change))


def test_a_wide_network_keeps_its_numbers(tmp_path: Path) -> None:
    """A scaling by 1/255 as Keras writes it is the decimal that is written, folded exactly."""
    layer: Layer = ("Rescaling", {"scale": 0.00392156862745098, "offset": 0.0}, {})
    net = read_keras(write(tmp_path / "m.h5", (2,), [layer, DENSE]))
    low, high = net.enclose([255, 0])
    assert low[0] == high[0] == qs.q("0.00392156862745098").values * 255 + qs.q("0.5").values
