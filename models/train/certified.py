"""Train certifiably robust networks (QA-IBP) from files: `python models/train/certified.py --data DIR --out OUT NAME`.

DIR has the images that the name says: idx files of MNIST or Fashion-MNIST, or `train.npz` and `test.npz`, or folders of PNG files.
`bigmnist`, `deep`, `cnn` and `mid` are the models of the paper, with its schedules shortened a hundredfold; they want an accelerator. The
others train on a processor. `qaibp` makes recipes for networks of one's own.

Source: Lechner, Žikelić, Chatterjee, Henzinger, Rus, *Quantization-aware Interval Bound Propagation for Training Certifiably Robust
Quantized Neural Networks*, AAAI 2023.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from command import main
from files import images
from fit import Recipe

from qspec import Fixed
from qspec.training import Augmentation, Bounded, Conv, Dense, Phase, Ramp, Rate
from qspec.training.layers import Layer

PIXEL = Fixed(8, 8, signed=False)
"""A byte p stands for p / 256."""
COMMAND = "python models/train --data DIR --out models/qspec_models/data"
PLAIN = Augmentation(crop=1)
CIFAR = Augmentation(crop=4, flip=True, cutout=8)


def weights(bits: int) -> Fixed:
    """Return the format of weights in -1 ≤ w < 1."""
    return Fixed(bits, bits - 1)


def codes(bits: int, integer: int) -> Fixed:
    """Return the format of hidden codes with so many bits before the binary point."""
    return Fixed(bits, bits - integer, signed=False)


def stack(
    filters: tuple[tuple[int, int, int], ...], *, bits: int = 8, bias: int = 3, hidden: int = 2, dense: tuple[int, ...]
) -> tuple[Layer, ...]:
    """Return convolutions (channels, size, stride) and dense layers, the last one raw; `bias` and `hidden` are bits before the point."""
    kernel, offset, output = weights(bits), Fixed(8, 8 - bias), codes(bits, hidden)
    convolutions = tuple(Conv(n, kernel, offset, output, size=size, stride=stride) for n, size, stride in filters)
    units = tuple(Dense(n, kernel, offset, output) for n in dense)
    return (*convolutions, *units, Dense(10, kernel, offset, None))


def qaibp(
    *,
    steps: int,
    warm: int,
    rate: float,
    epsilon: float = 4.1,
    alpha: float = 1.0,
    until: float = 0.5,
    beta: float = 0.001,
    shape: Literal["cosine", "thirds"] = "cosine",
    correct_only: bool = True,
) -> tuple[Phase, ...]:
    """Return plain quantisation-aware training, then with interval bounds; radius and weights grow over the share `until` of it."""
    bounded = Bounded(Ramp(0, epsilon, until), Ramp(0, alpha, until), Ramp(0, beta), correct_only=correct_only)
    return Phase(warm, Rate(rate, "constant")), Phase(steps, Rate(rate, shape), bounded=bounded)


def plain(*, steps: int, rate: float) -> tuple[Phase, ...]:
    """Return quantisation-aware training without bounds, for comparison."""
    return (Phase(steps, Rate(rate)),)


def in_floats(*, steps: int, warm: int, rate: float, epsilon: float = 4.1, alpha: float = 1.0, until: float = 0.5) -> tuple[Phase, ...]:
    """Return training with interval bounds of the network over the reals, to be rounded at the end, for comparison."""
    bounded = Bounded(Ramp(0, epsilon, until), Ramp(0, alpha, until), Ramp(0, 0.001))
    return Phase(warm, Rate(rate, "constant"), quantized=False), Phase(steps, Rate(rate), quantized=False, bounded=bounded)


SMALL = ((16, 5, 2), (32, 3, 2))
LARGE = ((64, 5, 2), (96, 3, 1), (128, 3, 2))


def recipes(folder: Path) -> tuple[Recipe, ...]:
    """Return every recipe, on the images in a folder."""
    mnist, fashion, cifar = (partial(images, folder, name) for name in ("mnist", "fashion-mnist", "cifar-10"))
    shorter, short, longer = (qaibp(steps=n, warm=min(300, n // 10), rate=2e-3) for n in (1500, 5000, 8000))
    dense, small = stack((), dense=(256, 128)), stack((), dense=(64,))
    made = Recipe("", "", mnist, "classification", PIXEL, (), command=COMMAND, batch=256, radii=(1, 2, 4))
    big = stack(((64, 5, 2), (128, 3, 1), (256, 3, 1), (384, 3, 1), (512, 3, 2)), bias=4, dense=(128,))
    long = qaibp(steps=50000, warm=5000, rate=1e-4, alpha=0.5, until=0.9, shape="thirds")
    cifar_long = qaibp(steps=20000, warm=800, rate=1e-4, alpha=0.5, until=0.9, correct_only=False)
    return (
        *(
            made.named(f"mnist-certified-{bits}bit", "28x28-conv16-conv32-100-10", stack(SMALL, bits=bits, dense=(100,)), short, PLAIN)
            for bits in (8, 6, 4)
        ),
        made.named("mnist-certified-dense-8bit", "784-256-128-10 dense", dense, short, PLAIN),
        made.named("fashion-certified-8bit", "28x28-conv16-conv32-100-10", stack(SMALL, dense=(100,)), longer, Augmentation(), fashion),
        made.named("fashion-certified-dense-8bit", "784-64-10 dense", small, shorter, Augmentation(), fashion),
        made.named("mnist-plain-8bit", "28x28-conv16-conv32-100-10", stack(SMALL, dense=(100,)), plain(steps=5000, rate=2e-3), PLAIN),
        *(
            made.named(
                f"mnist-float-bounds-{bits}bit",
                "28x28-conv16-conv32-100-10",
                stack(SMALL, bits=bits, dense=(100,)),
                in_floats(steps=5000, warm=300, rate=2e-3),
                PLAIN,
            )
            for bits in (8, 6, 4)
        ),
        made.named("bigmnist", "28x28-conv64-128-256-384-512-128-10", big, long, Augmentation(crop=2), batch=512),
        made.named(
            "deep", "28x28-conv64-96-128-128-10", stack(LARGE, bias=5, hidden=3, dense=(128,)), long, Augmentation(2, True), fashion, 512
        ),
        made.named("cnn", "32x32-conv64-96-128-128-10", stack(LARGE, bias=4, hidden=3, dense=(128,)), cifar_long, CIFAR, cifar, 2048),
        made.named(
            "mid",
            "32x32-conv48-64-64-128-10",
            stack(((48, 5, 2), (64, 3, 1), (64, 3, 2)), bias=2, dense=(128,)),
            cifar_long,
            CIFAR,
            cifar,
            2048,
        ),
    )


if __name__ == "__main__":
    main((), of_files=recipes)
