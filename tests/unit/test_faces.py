"""Every result has one face (verdict, reason, JSON values, text), and every command one JSON document on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import qspec as qs
from qspec.certificate.claim import check_property
from qspec.cli import main
from qspec.cli.parser import COMMANDS
from qspec.errors import SpecError
from tests.unit.test_onnx_real import node, write

FOUR = qs.Fixed(4, 0)
NET = qs.Sequential(qs.Input((2,), FOUR), qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(2, 0))), name="net")
REAL = NET.real()
X = NET.input("x")
HOLDS = qs.forall(X, then=NET(X)[0] <= 100)
RADIUS = qs.properties.local_robustness(NET, [5, 3], qs.parameter("radius"), 0)


def near(net: qs.Network) -> qs.Property:
    return qs.properties.local_robustness(net, [5, 3], 1, 0)


def of_width(bits: int) -> qs.Network:
    return REAL.quantize(input=FOUR, weights=qs.Fixed(bits, 1), activations=qs.Fixed(8, 1))


RESULTS: dict[str, tuple[Callable[[], object], str | None]] = {
    "verify": (lambda: qs.verify(HOLDS), "HOLDS"),
    "falsify": (lambda: qs.falsify(HOLDS, timeout=1), "UNKNOWN"),
    "compare": (lambda: qs.compare(HOLDS, solvers=["bounds", "z3"]), "HOLDS"),
    "verify_many": (lambda: next(iter(qs.verify_many(RADIUS, [{"radius": 2}], workers=1))), "VIOLATED"),
    "a query that cannot be asked": (lambda: next(iter(qs.verify_many(RADIUS, [{}], workers=1))), "UNKNOWN"),
    "largest_radius": (lambda: qs.largest_radius(RADIUS), "HOLDS"),
    "largest_value": (lambda: qs.largest_value(lambda v: RADIUS.at(radius=v), high=3, step=1), "HOLDS"),
    "optimize": (lambda: qs.optimize(qs.maximize(NET(X)[0] / 3, X)), None),
    "fewest_bits": (lambda: qs.fewest_bits(of_width, near, bits=[2, 3]), "HOLDS"),
    "certify": (lambda: qs.certify(NET, [[5, 3], [1, 1]], [0, 0], 0, timeout=0), "HOLDS"),
    "sweep": (lambda: qs.sweep({2: of_width(2)}, near, workers=1), "HOLDS"),
    "a sweep that refutes": (
        lambda: qs.sweep({2: of_width(2)}, lambda n: qs.properties.local_robustness(n, [5, 3], 3, 0), workers=1),
        "VIOLATED",
    ),
    "a sweep that decides nothing": (lambda: qs.sweep({3: of_width(3)}, near, solvers=["falsify"], timeout=1, workers=1), "UNKNOWN"),
    "largest_error": (lambda: qs.largest_error(of_width(3), REAL, lower=0, upper=0), "HOLDS"),
    "largest_error at once": (lambda: qs.largest_error(of_width(2), REAL, timeout=0), "UNKNOWN"),
    "error_bounds": (lambda: qs.error_bounds(of_width(3), REAL), "HOLDS"),
    "bit_flips": (lambda: qs.bit_flips(NET, [[5, 3]]), None),
    "accumulators": (lambda: qs.accumulators(NET), None),
    "least_accumulators": (lambda: qs.least_accumulators(NET, timeout=5), None),
    "check_property": (lambda: check_property(qs.verify(HOLDS).certificate, HOLDS), "HOLDS"),  # pyright: ignore[reportArgumentType]
}


def checked(content: dict[str, Any]) -> None:
    """Assert that a document is what its schema says, that the schema knows every field, and that no field that it wants may be missing."""
    schema = qs.json_schema(content["schema"])
    says, validator = schema["$defs"][content["schema"]], Draft202012Validator(schema)
    validator.validate(content)
    assert set(content) - set(says["properties"]) == set()
    assert all(says["properties"].values())  # `{}` would take anything
    for name in says["required"]:
        assert not validator.is_valid({k: v for k, v in content.items() if k != name}), name


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_has_one_face(name: str) -> None:
    make, verdict = RESULTS[name]
    found = make()
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))  # pyright: ignore[reportAttributeAccessIssue]
    checked(content)
    assert content.get("verdict") == verdict
    assert getattr(found, "verdict", None) in (None, verdict, *(v for v in qs.Verdict if v.name == verdict))
    assert ("reason" in content) or verdict is None or name in ("largest_value", "check_property")
    assert "<" not in str(found)[:1]
    assert " object at " not in str(found)


SOURCES = Path(qs.__file__).parent
ELSEWHERE = {"qspec.certificate/1", "qspec.partial-certificate/1", "qspec.real-certificate/1", "qspec.certify/1", "qspec.schema/1"}
"""Files with formats of their own: three of certificates, the journal of `certify`, tables."""


def test_every_document_has_a_schema() -> None:
    named = {n for f in SOURCES.rglob("*.py") for n in re.findall(r'"(qspec\.[a-z-]+/\d+)"', f.read_text())}
    written = set(json.loads((SOURCES / "support" / "schemas.json").read_text())["$defs"])
    assert named - ELSEWHERE == written
    Draft202012Validator.check_schema(qs.json_schema("qspec.result/2"))  # with those of all documents in it
    for name in written:
        assert not Draft202012Validator(qs.json_schema(name)).is_valid({"schema": name})
    for wrong in ("qspec.nothing/1", "", 3, []):
        with pytest.raises(qs.SpecError, match="no such schema"):
            qs.json_schema(wrong)  # pyright: ignore[reportArgumentType]


def test_schemas_refuse_what_is_no_document() -> None:
    right, validator = json.loads(json.dumps(qs.verify(HOLDS).to_dict())), Draft202012Validator(qs.json_schema("qspec.result/2"))
    for wrong in ({**right, "verdict": "TRUE"}, {**right, "schema": "qspec.result/1"}, {k: v for k, v in right.items() if k != "codes"}):
        assert not validator.is_valid(wrong)


def test_lines_of_a_store_have_a_schema(tmp_path: Path) -> None:
    list(qs.verify_many(RADIUS, {"radius": [1, 2]}, workers=1, store=tmp_path / "store.jsonl"))
    for line in (tmp_path / "store.jsonl").read_text().splitlines():
        checked(json.loads(line))


def test_exact_numbers_stay_exact() -> None:
    best = qs.optimize(qs.maximize(NET(X)[0] / 3, X))
    assert (best.upper, best.to_dict()["upper"]) == (Fraction(5), 5)
    for most, holds, written in (("40", Fraction(25), 25), ("121/3", Fraction(76, 3), "76/3")):
        thirds = qs.largest_value(lambda v, most=most: qs.forall(X, then=NET(X)[0] <= qs.q(most) - v), high=40, step="1/3")
        assert (thirds.holds, thirds.to_dict()["holds"]) == (holds, written)


LIMITS = qs.Limits(seconds=20, memory=2000, seed=3)
LIMITED: dict[str, Callable[..., object]] = {
    "verify": lambda **o: qs.verify(HOLDS, **o),
    "falsify": lambda **o: qs.falsify(HOLDS, **o),
    "compare": lambda **o: qs.compare(HOLDS, solvers=["bounds"], **o),
    "verify_many": lambda **o: next(iter(qs.verify_many(RADIUS, [{"radius": 2}], workers=1, **o))).outcome,
    "largest_radius": lambda **o: qs.largest_radius(RADIUS, **o),
    "largest_value": lambda **o: qs.largest_value(lambda v: RADIUS.at(radius=v), high=3, step=1, **o),
    "optimize": lambda **o: qs.optimize(qs.maximize(NET(X)[0] / 3, X), **o),
    "fewest_bits": lambda **o: qs.fewest_bits(of_width, near, bits=[2, 3], **o),
    "certify": lambda **o: qs.certify(NET, [[5, 3]], [0], 0, **o),
    "sweep": lambda **o: qs.sweep({2: of_width(2)}, near, workers=1, **o),
    "largest_error": lambda **o: qs.largest_error(of_width(3), REAL, lower=0, upper=0, **o),
    "least_accumulators": lambda **o: qs.least_accumulators(NET, **o),
}


@pytest.mark.parametrize("name", LIMITED)
def test_limits_are_one_value_or_three_keywords(name: str) -> None:
    found = LIMITED[name](limits=LIMITS)
    if isinstance(found, qs.Result):
        assert found.limits == LIMITS
    for wrong, says in (({"limits": LIMITS, "seed": 1}, "given twice"), ({"limits": 20}, "no limits"), ({"timeuot": 1}, "no such option")):
        with pytest.raises(SpecError, match=says):
            LIMITED[name](**wrong)


SPEC = """
import qspec as qs
net = qs.load("net.qspec")
x = net.input("x")
holds = qs.forall(x, then=net(x)[0] <= qs.parameter("most"))
"""
SWEEP = """
import qspec as qs
make = {4: qs.load("net.qspec")}
def specs(net): return qs.properties.local_robustness(net, [5, 3], 1, 0)
"""
CALLS: dict[str, tuple[str, ...]] = {
    "verify": ("spec.py", "--param", "most=100"),
    "verify-many": ("spec.py", "--over", "most.json", "--workers", "1"),
    "certify": ("net.qspec", "samples.npz", "--radius", "0"),
    "sensors": ("net.qspec", "samples.npz", "--sample", "0", "--region", "1", "--radius", "1"),
    "radius": ("spec.py", "--parameter", "most", "--low", "-100", "--high", "-99"),
    "compare": ("spec.py", "--param", "most=100", "--solvers", "bounds,z3"),
    "sweep": ("sweep.py", "--workers", "1"),
    "report": ("found.json", "-o", "page.html"),
    "export": ("spec.py", "--param", "most=100"),
    "vnnlib": ("net.onnx", "net.vnnlib"),
    "replay": ("found.json",),
    "check-certificate": ("proof", "net.qspec", "spec.py"),
    "agree": ("net.tflite", "--samples", "2", "--runtime", "litert-reference", "--semantics", "litert-reference"),
    "flips": ("net.tflite", "--inputs", "codes.npy", "--radius", "0", "--no-replay"),
    "any-order": ("qdq.onnx", "claim.py"),
    "accumulators": ("net.qspec", "--pairs"),
    "lint": ("net.tflite",),
    "import": ("net.onnx", "-o", "other.qspec"),
    "evaluate": ("net.tflite", "codes.npy", "--semantics", "xnnpack", "-o", "out.npy"),
    "show": ("net.qspec",),
    "solvers": (),
    "demo": ("-o", "demo.png"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the commands read."""
    folder = tmp_path_factory.mktemp("faces")
    NET.save(folder / "net.qspec")
    (folder / "spec.py").write_text(SPEC)
    (folder / "sweep.py").write_text(SWEEP)
    (folder / "most.json").write_text('[{"most": 3}]')
    np.savez(folder / "samples.npz", inputs=np.array([[5, 3]]), targets=np.array([0]))
    np.save(folder / "codes.npy", np.array([[5, 3]]))
    write(folder / "net.onnx", [node("MatMul", "x k", "y")], {"k": np.ones((2, 2), dtype=np.float32)}, (1, 2), 2)
    (folder / "net.vnnlib").write_text(
        "".join(f"(declare-const {v} Real)" for v in ("X_0", "X_1", "Y_0", "Y_1"))
        + "".join(f"(assert (<= X_{k} 1))(assert (>= X_{k} 0))" for k in (0, 1))
        + "(assert (>= Y_0 3))"
    )
    qs.to_tflite(qs.quantize_int8(REAL, [[1.0, 2.0], [-3.0, 4.0]]), folder / "net.tflite")
    to_even = qs.Fixed(8, 3, rounding=qs.Rounding.RND_CONV)
    small = qs.Dense(qs.Tensor(np.array([[3, -2], [1, 5]]), qs.Fixed(4, 2)), output=to_even)
    qs.to_onnx(qs.Sequential(qs.Input((2,), qs.Fixed(4, 2)), small), folder / "qdq.onnx", style="qdq")
    (folder / "claim.py").write_text("import qspec as qs\ndef bounded(x, y): return qs.forall(x, then=qs.linf(y.code) <= 200)\n")
    return folder


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "demo"])
def test_every_command_writes_one_document(
    command: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    if command in ("replay", "report"):
        main(["verify", "spec.py", "--param", "most=3", "--json", "found.json"])
    if command == "check-certificate":
        main(["verify", "spec.py", "--param", "most=100", "--certificate", "proof"])
    capsys.readouterr()
    status = main([command, *CALLS[command], "--json", "-"])
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    Draft202012Validator(qs.json_schema(content["schema"])).validate(content)
    assert (content["command"], content["status"]) == (command, status)
    assert status in (0, 1, 3), printed.err
    assert content["text"].rstrip("\n") in printed.err
