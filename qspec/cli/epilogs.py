"""What stands below the options of each command: examples, and what its exit status says."""

from __future__ import annotations

STATUS = """\
exit status:
  0  every property holds          1  some property is violated
  2  bad usage or specification    3  unknown: nobody could tell in time
  4  a solver failed, or answers contradict each other
  5  everything holds, but something only because nothing meets its assumption
"""
DONE = """\
exit status:
  0  done      2  bad usage, or a file that is wrong
  4  a solver failed, or answers contradict each other
"""
"""Of commands that reach no verdict."""
SWEPT = f"{DONE}  5  something holds only because nothing meets its assumption\n"
CHECKED = """\
exit status:
  0  the proof is right            1  --ask found a violation
  2  it is about something else, or bad usage
  3  it is not right, or assumes what nobody was asked
  4  a solver failed, or answers contradict each other
"""
AGREED = """\
exit status:
  0  no value differs              1  some value differs
  2  bad usage, or a file that is wrong
"""
FLIPPED = """\
exit status:
  0  near no input can they part   1  near some input they part
  2  bad usage or a wrong file     3  unknown: nobody could tell in time
  4  a solver failed, or answers contradict each other
"""
GROWN = """\
exit status:
  0  the largest value is known    1  some property holds for no value
  2  bad usage or specification    3  unknown: a gap is left
  4  a solver failed, or answers contradict each other
  5  it is known, but something holds only because nothing meets its assumption
"""
LINTED = """\
exit status:
  0  neither error nor warning     1  an error or a warning
  2  bad usage, or a file that is wrong
"""
QUIET = frozenset({"sweep", "import", "evaluate", "report", "export", "show", "solvers", "demo"})
"""Commands that reach no verdict of their own."""
STATUSES = {
    **dict.fromkeys(QUIET, DONE),
    "agree": AGREED,
    "check-certificate": CHECKED,
    "flips": FLIPPED,
    "lint": LINTED,
    "radius": GROWN,
    "sweep": SWEPT,
}
"""Those of other commands are STATUS."""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "verify": (
        "spec.py",
        "spec.py:robust --param label=7 --param image=@image.npy",
        "spec.py --solver z3 --json result.json",
    ),
    "verify-many": ("spec.py --over samples.npz --store results.jsonl", "spec.py --over samples.npz --over radii.csv --by radius"),
    "certify": (
        "digits-6bit test.npz --radius 1",
        "net.qspec a.npz --images x --labels y --radius 2 --plot a.svg",
        "net.qspec t10k-images.gz --labels t10k-labels.gz --radius 4",
    ),
    "sensors": (
        "digits-conv-8bit test.npz --sample 0 --brightness 1 --gain 5",
        "net.tflite test.npz --sample 3 --region 8:12,8:12 --radius 2",
    ),
    "radius": ("spec.py --param label=7 --param image=@image.npy --high 16", "spec.py --parameter tolerance --high 1 --step 0.25"),
    "compare": ("spec.py --solvers bounds,z3,cvc5 --timeout 60", "spec.py:robust --theory QF_LIA --json answers.json"),
    "sweep": ("spec.py --bits 4,6-10 --solvers bounds,falsify", "spec.py --bits 6-10 --store sweep.jsonl --plot sweep.svg"),
    "report": ("results.jsonl -o page.html", "bounds.json z3.json --by radius --title 'Two solvers'"),
    "export": (
        "net.qspec -o net.h",
        "spec.py --format vnnlib2 -o spec.vnnlib",
        "spec.py --theory QF_BV -o robust.smt2",
        "spec.py:robust --theory milp --format mps -o robust.mps",
    ),
    "vnnlib": ("network.onnx property.vnnlib --timeout 60",),
    "replay": ("result.json", "result.json spec.py:robust"),
    "check-certificate": ("robust.certificate digits-6bit spec.py:robust",),
    "agree": ("net.tflite", "net.tflite --semantics tflm --runtime xnnpack --inputs images.npy"),
    "flips": (
        "net.tflite --inputs images.npy --radius 0 1",
        "net.tflite --between tflm xnnpack --inputs x.npz --tolerance 2",
    ),
    "any-order": ("net.onnx claim.py", "net.onnx claims.py:robust --timeout 300"),
    "accumulators": ("digits-6bit --least", "net.tflite --pairs --at image.npy --json widths.json"),
    "lint": ("net.tflite", "net.tflite --twin net.h5 --inputs images.npy --json findings.json"),
    "import": ("net.onnx -o net.qspec", "net.tflite --semantics xnnpack -o net.qspec"),
    "evaluate": ("net.qspec images.npy -o outputs.npy", "net.tflite images.npy --semantics xnnpack -o outputs.npy"),
    "show": ("digits-6bit", "net.qspec", "spec.py:robust"),
    "solvers": ("",),
    "demo": ("", "-o picture.png"),
}


def epilog(command: str) -> str:
    """Return what stands below the options of a command."""
    shown = (f"  qspec {command}{' ' * bool(e)}{e}" for e in EXAMPLES[command])
    return "\n".join(["examples:", *shown, "", STATUSES.get(command, STATUS)])
