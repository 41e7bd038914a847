"""C headers: compiled without a warning by the system's compiler, and equal to the reference in every code."""

from __future__ import annotations

import shutil
import subprocess
from math import prod

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.formats import code_range
from qspec.cli import main
from qspec.lowering.evaluate import evaluate
from qspec.readers.tflite_write import write_model
from tests.unit.test_tflite import chain
from tests.unit.tflite_files import FAMILIES

compiler = shutil.which("cc") or ""
pytestmark = pytest.mark.skipif(not compiler, reason="there is no C compiler")
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1")
PROGRAM = """
#include <stdio.h>
#include "net.h"
int main(void)
{
    static INTYPE x[INSIZE];
    static OUTTYPE y[OUTSIZE];
    long v;
    int k;
    for (;;) {
        for (k = 0; k < INSIZE; k++) { if (scanf("%ld", &v) != 1) return 0; x[k] = (INTYPE)v; }
        net_run(x, y);
        for (k = 0; k < OUTSIZE; k++) printf("%ld ", (long)y[k]);
        printf("\\n");
    }
}
"""


def run(network, codes, folder):
    """Return the outputs of the compiled header for codes (samples, *shape)."""
    qs.to_c(network, folder / "net.h", name="net")
    header = (folder / "net.h").read_text()
    assert "float" not in header.split("*/", 1)[1]
    assert "double" not in header.split("*/", 1)[1]
    arguments = header[header.rindex("net_run(") :].split(")")[0]
    types = [a.replace("const", "").split()[0] for a in arguments[len("net_run(") :].split(",")]
    sizes = prod(network.inputs[0].type.shape), network.output_types[0].size
    text = PROGRAM
    for word, value in zip(("INTYPE", "OUTTYPE", "INSIZE", "OUTSIZE"), (*types, *sizes), strict=True):
        text = text.replace(word, str(value))
    (folder / "main.c").write_text(text)
    built = subprocess.run([compiler, *FLAGS, "main.c", "-o", "main"], cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:2000]
    given = "\n".join(" ".join(map(str, row)) for row in codes.reshape(len(codes), -1).tolist())
    made = subprocess.run([folder / "main"], input=given, capture_output=True, text=True, check=True).stdout
    return np.array([[int(v) for v in line.split()] for line in made.splitlines()]).reshape(len(codes), *network.output_types[0].shape)


def equal(network, codes, folder):
    np.testing.assert_array_equal(run(network, codes, folder), evaluate(network, codes))


@pytest.mark.parametrize(
    ("rounding", "overflow"), [*((r, qs.Overflow.SAT) for r in qs.Rounding), *((qs.Rounding.RND_CONV, o) for o in qs.Overflow)]
)
def test_every_rounding_and_overflow_on_all_codes(rounding, overflow, tmp_path):
    kernel = qs.Tensor(np.array([[3, -5, 1], [-2, 7, 4]]), qs.Fixed(5, 2))
    out = qs.Fixed(4, 0, rounding=rounding, overflow=overflow)
    net = qs.Sequential(qs.Input((2,), qs.Fixed(4, 1)), qs.Dense(kernel, qs.Tensor(np.array([1, -2, 3]), qs.Fixed(5, 3)), output=out))
    grid = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8), indexing="ij"), axis=-1).reshape(-1, 2)
    equal(net, grid, tmp_path)


@pytest.mark.parametrize("name", ["digits-6bit", "digits-conv-4bit", "iris-4bit"])
def test_shipped_networks(name, tmp_path):
    net = qs.load(name, kind=qs.Network)
    layer = net.inputs[0].layer
    assert isinstance(layer, qs.Input)
    low, high = code_range(layer.format, layer.shape)
    codes = np.random.default_rng(0).integers(low.reshape(layer.shape), high.reshape(layer.shape) + 1, (20, *layer.shape))
    equal(net, codes, tmp_path)


@pytest.mark.parametrize("semantics", ["tflm", "xnnpack"])
@pytest.mark.parametrize("family", ["DEPTHWISE_CONV_2D", "ADD of a constant", "AVERAGE_POOL_2D", "MEAN", "LEAKY_RELU", "chain"])
def test_kernels_of_runtimes(family, semantics, tmp_path):
    model = chain(3) if family == "chain" else FAMILIES[family](np.random.default_rng(4))
    write_model(model, tmp_path / "f.tflite")
    net = qs.load(tmp_path / "f.tflite", semantics=semantics)
    equal(net, np.random.default_rng(1).integers(-128, 128, (30, *net.inputs[0].type.shape)), tmp_path)


def test_names_and_numbers_that_c_does_not_have(tmp_path):
    net = qs.Sequential(qs.Input((1,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor(np.array([[1]]), qs.Fixed(4, 0))), name="8 bit/net*/")
    qs.to_c(net, tmp_path / "f.h")
    text = (tmp_path / "f.h").read_text()
    assert "static inline void n_8_bit_net_run(const int8_t *x_in, int8_t *y)" in text
    assert text.count("*/") == 1
    wide = qs.Sequential(qs.Input((1,), qs.Fixed(40, 0)), qs.Dense(qs.Tensor(np.array([[2**30]]), qs.Fixed(40, 0))))
    with pytest.raises(qs.UnsupportedError, match="62 bits"):
        qs.to_c(wide, tmp_path / "g.h")
    with pytest.raises(qs.SpecError, match="cannot write"):
        qs.to_c(net, tmp_path / "none" / "f.h")


def test_the_command_writes_networks(tmp_path):
    net = qs.Sequential(
        qs.Input((1,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor(np.array([[3]]), qs.Fixed(4, 0)), output=qs.Fixed(4, 0)), name="one"
    )
    net.save(tmp_path / "one.qspec")
    assert main(["export", str(tmp_path / "one.qspec"), "-o", str(tmp_path / "one.h")]) == 0
    assert "static inline void one_run(" in (tmp_path / "one.h").read_text()
    assert main(["export", str(tmp_path / "one.qspec"), "-o", str(tmp_path / "one.tflite")]) == 2
