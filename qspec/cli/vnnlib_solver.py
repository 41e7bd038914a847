"""`qspec-vnnlib`: the command line that the VNN-LIB 2 standard asks of a solver, `verify` and `supports`.

Source: https://github.com/VNNLIB/VNNLIB-Standard, chapter "Solver Command-line Interface". A first argument that is a file is verified too,
as Vehicle 0.28 calls its back ends, which know the word `timeout` only.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from qspec.deadline import OutOfTime
from qspec.errors import QspecError, SpecError
from qspec.ir.real import ExactArray, fractions
from qspec.readers.onnx import ImportedNetwork, import_onnx
from qspec.readers.onnx_file import OPSETS
from qspec.readers.onnx_operators import OPERATORS
from qspec.readers.vnnlib import Vnnlib, read_vnnlib
from qspec.solver import Limits, Reason
from qspec.verify.decide import verify
from qspec.verify.result import Result, Verdict

CAPABILITIES: Mapping[str, Sequence[str]] = {
    "onnx-opset-versions": [str(v) for v in OPSETS],
    "onnx-element-types": ["real"],
    "onnx-operators": sorted(OPERATORS),
    "vnnlib-versions": ["2.0", "2.0"],
    "hidden-node-theories": ["NH"],
    "multiple-input-output-theories": ["SIO"],
    "multiple-network-theories": ["SNET", "MENET", "MINET", "MNET"],
    "multiple-node-comparison-theories": ["SNC", "MNC"],
    "arithmetic-complexity-theories": ["BND", "OUTC", "LIN"],
    "optimised-disjunctive-reasoning": ["true"],
    "serialise-assignments": ["false"],
    "unsat-proofs": ["false"],
}
"""What `supports` prints, a line each."""
PLACES = (20, 40, 80)
"""Digits after the point of a value that is no short decimal, tried one after the other."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its answer is on stdout, errors are on stderr. Returns 0 with any answer, 2 with an error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    plain = bool(given) and not given[0].startswith("-") and given[0] not in ("verify", "supports") and Path(given[0]).exists()
    options = _parser().parse_args(["verify", *given] if plain else given)
    try:
        lines = _answer(options.__dict__, plain)
    except QspecError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("\n".join([*lines, ""]))
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="qspec-vnnlib", description="Decide VNN-LIB queries about networks in ONNX, over the reals.")
    parser.add_argument("--name", action="store_true", help="print the name of the solver")
    parser.add_argument("--version", action="store_true", help="print the version of the solver")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("verify", help="print sat, unsat, unknown or timed-out, and with sat an assignment")
    one.add_argument("query", metavar="FILE", help="a query in VNN-LIB 2, or 1.0")
    one.add_argument("--network", metavar="NAME=FILE", action="append", default=[], help="the ONNX file of a declared network")
    one.add_argument("--timeout", metavar="S", type=float, help="seconds")
    one.add_argument("--solver", metavar="NAME", default="delta", help="who decides reals (default: delta)")
    what = commands.add_parser("supports", help="print what is supported, a line each").add_mutually_exclusive_group(required=True)
    for name in CAPABILITIES:
        what.add_argument(f"--{name}", dest="capability", action="store_const", const=name)
    return parser


def _answer(options: Mapping[str, object], plain: bool) -> Sequence[str]:
    from qspec import __version__

    if options["name"] or options["version"]:
        return ["qspec" if options["name"] else __version__]
    if options["command"] == "supports":
        return CAPABILITIES[cast(str, options["capability"])]
    if options["command"] != "verify":
        raise SpecError("no command", given="nothing", expected="verify or supports")
    files = _files(cast("list[str]", options["network"]))
    return _verified(cast(str, options["query"]), files, cast("float | None", options["timeout"]), cast(str, options["solver"]), plain)


def _files(pairs: Sequence[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for pair in pairs:
        name, found, file = pair.partition("=")
        if not found or name in files:
            raise SpecError("not one network and its file", given=pair, expected="--network f=FILE.onnx, once for each declared network")
        files[name] = file
    return files


def _verified(query: str, files: Mapping[str, str], timeout: float | None, solver: str, plain: bool) -> list[str]:
    deadline = Limits(timeout, None, 0).deadline()
    try:
        read = read_vnnlib(query, deadline)
        if not read.applications:
            raise SpecError("a query without declared networks", given=query, expected="VNN-LIB 2", advice="qspec vnnlib, for 1.0")
        if plain:  # Vehicle names a file for copies as well
            files = {name: file for name, file in files.items() if name in read.models}
        networks = {name: import_onnx(file) for name, file in files.items()}
        spec = read.property({name: one.network for name, one in networks.items()})
        result = verify(spec, solver=solver, timeout=deadline.granted())
    except OutOfTime:
        return ["timeout" if plain else "timed-out"]
    match result.verdict:
        case Verdict.HOLDS:
            return ["unsat"]
        case Verdict.VIOLATED:
            return ["sat", *_assignment(read, networks, result)]
        case _ if plain:
            return ["timeout"]
        case _:
            return ["timed-out" if result.reason is Reason.TIMEOUT else "unknown"]


def _assignment(read: Vnnlib, networks: Mapping[str, ImportedNetwork], result: Result) -> list[str]:
    """Return each tensor as a declaration and an element a line, in decimals.

    Values with longer decimals are rounded, to as many digits as leave the inputs a counterexample; stderr says if none does.
    """
    assert result.point is not None
    points = [fractions(result.point[name]) for name in read.variables]
    values, places = Values([], [], False), 0
    for places in PLACES:
        values = _rounded(read, networks, points, places)
        if values.checked:
            break
    if not values.checked:
        sys.stderr.write("note: the values are rounded; the exact ones are a counterexample\n")
    lines: list[str] = []
    for one, own, found in zip(read.applications, values.inputs, values.outputs, strict=True):
        for tensor, side in ((one.input, own), (one.output, found)):
            lines += [tensor.declared, *(_decimal(v, places) for v in side)]
    return lines


@dataclass(frozen=True, slots=True)
class Values:
    """Elements of the inputs and outputs of each declared network, as the file counts them; and whether they are a counterexample."""

    inputs: list[list[Fraction]]
    outputs: list[list[Fraction]]
    checked: bool


def _rounded(read: Vnnlib, networks: Mapping[str, ImportedNetwork], points: Sequence[ExactArray], places: int) -> Values:
    """Return rounded inputs, and the exact outputs for them; they are not checked where an output has no exact value."""
    inputs: list[list[Fraction]] = []
    outputs: list[list[Fraction]] = []
    exact = True
    for one, point in zip(read.applications, points, strict=True):
        imported = networks[one.model]
        rounded = point.copy()
        rounded.reshape(-1)[:] = [Fraction(_decimal(v, places)) for v in point.flat]
        below, above = imported.network.enclose(rounded.reshape(imported.network.inputs[0].shape))
        exact = exact and bool(np.all(below == above))
        inputs.append(rounded.reshape(-1)[imported.input_order].tolist())
        outputs.append(below.reshape(-1)[imported.output_order].tolist())
    met = read.meets([v for own in inputs for v in own], [v for own in outputs for v in own])
    return Values(inputs, outputs, exact and met)


def _decimal(value: Fraction, places: int) -> str:
    """Return a number as a decimal, rounded to so many digits after the point, without zeros at the end."""
    scaled = round(value * 10**places)
    digits = str(abs(scaled)).rjust(places + 1, "0")
    whole, part = digits[:-places], digits[-places:].rstrip("0")
    return f"{'-' if scaled < 0 else ''}{whole}.{part or '0'}"
