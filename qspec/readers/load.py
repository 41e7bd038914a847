"""Find a network: a file, or a shipped or third-party model by name."""

from __future__ import annotations

from pathlib import Path

from qspec.errors import ModelFileError
from qspec.face import Network, RealNetwork
from qspec.support import checks

ENTRY_POINTS = "qspec.models"


def load(name: str | Path, *, semantics: str | None = None) -> Network:
    """Return a network from a `.qspec`, `.tflite` or quantised `.onnx` file, or the model of this name among `qspec.models`.

    `semantics` names the runtime whose kernels a file is read for: "tflm" for `.tflite`, "ort-qlinear" for `.onnx`, unless given. Raises
    ModelFileError if there is no such file or model, UnsupportedError on a float `.onnx` file.
    """
    text = str(name)
    if semantics is not None:
        checks.text(semantics, "the semantics")
    if _is_tflite(text):
        from qspec.readers.tflite import read_tflite

        return read_tflite(text, semantics or "tflm")
    if text.endswith((".onnx", ".onnx.gz")):
        from qspec.readers.onnx_quantized import read_quantized_onnx

        return read_quantized_onnx(text, semantics or "ort-qlinear")
    if semantics is not None:
        expected = "a .tflite or .onnx file, or no semantics"
        raise ModelFileError("only files of runtimes are read under a semantics", given=text, expected=expected)
    if text.endswith(".qspec") or Path(text).exists():
        from qspec.files.qspec_file import read

        return read(text).into(Network)
    from importlib.metadata import entry_points  # here, because `import qspec` is to be quick

    points = {p.name: p for p in entry_points(group=ENTRY_POINTS)}
    if text not in points:
        raise ModelFileError(
            "no such model", given=text, expected=f"a .qspec file, or one of {', '.join(sorted(points)) or 'no installed models'}"
        )
    made = points[text].load()()
    if not isinstance(made, Network):
        raise ModelFileError(f"{points[text].value} is not a network", given=made, expected="a function that returns a Network")
    return made


def _is_tflite(path: str) -> bool:
    """Say whether a file is one of TensorFlow Lite: its identifier stands in bytes 4 to 7."""
    try:
        with Path(path).open("rb") as file:
            return file.read(8)[4:] == b"TFL3" or path.endswith(".tflite")
    except OSError:
        return path.endswith(".tflite")


def load_real(path: str | Path) -> RealNetwork:
    """Return the real network in a file; raises ModelFileError on anything but a complete, consistent one."""
    from qspec.files.real_file import read_real

    return read_real(checks.path(path, "the file of a network")).into(RealNetwork)
