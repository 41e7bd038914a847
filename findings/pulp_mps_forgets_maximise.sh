#!/usr/bin/env bash
# PuLP: the MPS file of a maximisation is a minimisation for the solver that reads it.
#
# Seen: "maximise x, x <= 60, x whole, 0 <= x <= 100" written by writeMPS and read by HiGHS gives the optimum 0; the LP file of
#   the same model gives 60. The MPS file says the direction in a comment only, and there is no error or warning.
# Why it matters: the worst case of a network, found as a maximum, becomes the best case: a margin or a largest deviation
#   comes out as its opposite end, with status optimal.
# Said otherwise: solvers, HiGHS, SCIP and OR-tools among them, write and read the section OBJSENSE. PuLP issue 697 describes this
#   and is open; PuLP's own solvers are not affected, since PuLP tells them the direction on the command line.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check pulp==3.3.2 highspy==1.15.1 numpy==2.4.6
"$d/v/bin/python" - "$d" <<'P'
import os, sys
from importlib.metadata import version
import highspy, pulp

print("pulp", version("pulp"), "highspy", version("highspy"))
os.chdir(sys.argv[1])
p = pulp.LpProblem("t", pulp.LpMaximize)
x = pulp.LpVariable("x", 0, 100, "Integer")
p += x
p += x <= 60
p.writeLP("m.lp")
p.writeMPS("m.mps")
seen = {}
for name in ("m.lp", "m.mps"):
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    read = h.readModel(name)
    h.run()
    seen[name] = str(read), str(h.getModelStatus()), h.getInfo().objective_function_value
    print(name.ljust(6), *seen[name])
print("lines of m.mps that name the direction:", [s.strip() for s in open("m.mps") if "ense" in s.lower()])
ok = "HighsStatus.kOk", "HighsModelStatus.kOptimal"
sys.exit(0 if seen == {"m.lp": (*ok, 60.0), "m.mps": (*ok, 0.0)} else "the behaviour has changed")
P
