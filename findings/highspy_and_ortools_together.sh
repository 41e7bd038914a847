#!/usr/bin/env bash
# highspy and OR-tools: their Linux wheels cannot be loaded into one Python process, in either order.
#
# Seen: each import alone works. After "import highspy", importing OR-tools' CP-SAT or its linear solver raises ImportError
#   (undefined symbol, a HiGHS name); after OR-tools, "import highspy" raises it. Both wheels carry their own build of HiGHS, of
#   different versions, under the same library name.
# Why it matters: a tool that offers both as back ends, or that cross-checks one with the other, fails at its second solver, on
#   a machine where each of them was tested. Solvers belong into processes of their own.
# Said otherwise: wheels that follow PyPI's manylinux rules are meant to be self-contained.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check highspy==1.15.1 ortools==9.15.6755 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import subprocess, sys
from importlib.metadata import version

print("highspy", version("highspy"), "ortools", version("ortools"))
highs, sat, linear = "import highspy", "from ortools.sat.python import cp_model", "from ortools.linear_solver.python import model_builder"
seen = []
for lines in ([highs], [sat], [linear], [highs, sat], [highs, linear], [sat, highs], [linear, highs]):
    r = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    error = r.stderr.strip().splitlines()[-1].split(":")[0] if r.returncode else "works"
    seen.append(error)
    print("; ".join(lines).ljust(80), error)
sys.exit(0 if seen == ["works"] * 3 + ["ImportError"] * 4 else "the behaviour has changed")
P
