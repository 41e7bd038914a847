"""`qspec export`: a property as SMT-LIB 2 or VNN-LIB text, or as an LP or MPS file; a network as a C header, an .onnx or a .tflite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qspec.cli.outcome import CommandOutput
from qspec.cli.report import check_writable
from qspec.cli.specs import read_specs
from qspec.errors import SpecError
from qspec.face import Network
from qspec.files.atomic import replacing, writing
from qspec.readers.c_export import to_c
from qspec.readers.load import load
from qspec.readers.onnx_export import to_onnx
from qspec.readers.tflite_export import to_tflite
from qspec.readers.vnnlib_write import to_vnnlib
from qspec.verify.export import to_lp, to_mps, to_smtlib

COMMENTS = {"smt2": ";", "vnnlib": ";", "vnnlib2": ";", "lp": "\\", "mps": "*"}
"""What begins a comment in each format."""


WRITERS: Mapping[str, Callable[[Network, str], None]] = {".h": to_c, ".onnx": to_onnx, ".tflite": to_tflite}
"""How networks are written, by the suffix of the file."""


def run(*, target: str, theory: str, format: str | None, presolve: bool, param: Sequence[str], out: str | None) -> CommandOutput:
    """Return the text of one property, or write it to a file; write a network to a file whose suffix is that of a format of networks."""
    check_writable(out)
    if out is not None and Path(out).suffix in WRITERS:
        if param:
            raise SpecError("a network has no parameters", given=", ".join(param), expected="no --param")
        WRITERS[Path(out).suffix](load(target, kind=Network), out)
        return CommandOutput("")
    written = format or ("lp" if theory == "milp" else "smt2")
    if (theory == "milp") is (written not in ("lp", "mps")):
        expected = "milp as lp or mps, others as smt2, vnnlib or vnnlib2"
        raise SpecError("this theory is not written in this format", given=f"{theory}, {written}", expected=expected)
    cases = read_specs(target, param)
    if len(cases) > 1:
        raise SpecError("one property at a time", given=", ".join(c.name for c in cases), expected=f"{target}:{cases[0].name}")
    case = cases[0]
    found, absent = ("VIOLATED", "HOLDS") if case.kind == "forall" else ("HOLDS", "VIOLATED")
    if written == "smt2":
        script, words = to_smtlib(case, theory=theory, presolve=presolve), ("sat", "unsat")
    elif written in ("vnnlib", "vnnlib2"):
        script, words = to_vnnlib(case, version="1.0" if written == "vnnlib" else "2.0"), ("sat", "unsat")
    else:
        to = to_lp if written == "lp" else to_mps
        script, words = to(case, presolve=presolve), ("feasible", "infeasible")
    text = f"{COMMENTS[written]} {case.name}, written by qspec: {words[0]} means {found}, {words[1]} means {absent}\n{script}"
    if out is None:
        return CommandOutput(text)
    with writing(out), replacing(Path(out)) as stream:
        stream.write(text.encode())
    return CommandOutput("")
