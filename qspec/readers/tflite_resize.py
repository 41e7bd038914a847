"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR of TensorFlow Lite files: sums with whole weights along height and width."""

from __future__ import annotations

from fractions import Fraction

from qspec.arithmetic.formats import Affine, Fixed
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Reinterpret
from qspec.readers.tflite_file import TfliteOperator
from qspec.readers.tflite_layers import one_hot, resized
from qspec.readers.tflite_signals import TfliteSignals
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.resize import nearest_places


def resize_nearest(file: TfliteSignals, o: TfliteOperator) -> Signal:
    """Return an image of which every place copies the code of one place."""
    x, out, size, options = _resize(file, o)
    places = [nearest_places(n, m, **options) for n, m in zip(x.shape[:2], size, strict=True)]
    rows, columns = (one_hot(p, n) for p, n in zip(places, x.shape[:2], strict=True))
    return apply(Reinterpret(out.format), resized(_plain(x, out), rows, columns, file.name(o)))


def resize_bilinear(file: TfliteSignals, o: TfliteOperator) -> Signal:
    """Return exact sums of an image's codes with the weights of the runtime, as it rounds them."""
    x, out, size, options = _resize(file, o)
    rule = file.runtime.bilinear(x.shape[:2], size, Affine(8, True, Fraction(1), 0), **options)
    made = apply(rule.total, resized(_plain(x, out), rule.rows, rule.columns, file.name(o)))
    return apply(Reinterpret(out.format), made)


def _resize(file: TfliteSignals, o: TfliteOperator) -> tuple[Signal, Quantized, tuple[int, int], dict[str, bool]]:
    """Return the image, its quantisation, the new height and width, and how places are counted."""
    x, out = file.alike(o)
    size = tuple(int(n) for n in file.stored(o.inputs[1]).reshape(-1))
    if len(x.shape) != 3 or len(size) != 2 or min(size) < 1:
        raise file.refusal("a resize of what is no image", (x.shape, size), "height, width and channels; two sizes of at least 1")
    align, half = bool(o.options.get("AlignCorners", 0)), bool(o.options.get("HalfPixelCenters", 0))
    if align and half:
        raise file.refusal("a resize that aligns corners and centres", "AlignCorners, HalfPixelCenters", "at most one of them")
    return x, out, (size[0], size[1]), {"align": align, "half": half}


def _plain(x: Signal, q: Quantized) -> Signal:
    """Return codes as integers, without a zero point."""
    return apply(Reinterpret(Fixed(8, 0, q.signed)), x)
