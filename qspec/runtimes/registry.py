"""The runtime semantics that a TensorFlow Lite file can be read under."""

from __future__ import annotations

from collections.abc import Mapping

from qspec.errors import UnsupportedError
from qspec.runtimes.litert_optimized import LiteRtOptimized
from qspec.runtimes.litert_reference import LiteRtReference
from qspec.runtimes.runtime import Runtime
from qspec.runtimes.tflm import Tflm
from qspec.runtimes.xnnpack import Xnnpack

TFLITE: Mapping[str, Runtime] = {r.name: r for r in (Tflm(), LiteRtReference(), LiteRtOptimized(), Xnnpack())}


def tflite_runtime(name: str) -> Runtime:
    """Return the runtime semantics of this name; raises UnsupportedError, with the list, if there is none."""
    if not isinstance(name, str) or name not in TFLITE:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnsupportedError("no such runtime semantics for TensorFlow Lite", given=repr(name), expected=", ".join(TFLITE))
    return TFLITE[name]
