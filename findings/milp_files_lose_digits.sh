#!/usr/bin/env bash
# OR-tools and PuLP: the files that they write hold 6 and 12 digits; the solver behind PuLP then gives a wrong optimum.
#
# Seen: "maximise x, x <= 1234567890123, x whole". OR-tools' LP and MPS texts say 1.23457e+12; PuLP's say 1.23456789012e+12 (LP)
#   and 1.234567890123e+12 (MPS). PuLP with its default solver, which it hands a file and reads a file from, reports Optimal with
#   x = 1234567900000, which breaks the constraint. With OR-tools a weight of 0.1234567 becomes 0.123457.
# Why it matters: the coefficients of a quantised layer (a weight code times a multiplier, sums of a column, big-M bounds) need
#   more than 6 digits as a rule. The exported program is then another one, and a solver that is right about it is wrong
#   about the network. Pyomo writes 17 digits, SCIP 15.
# Said otherwise: neither documentation says that the export is an approximation; OR-tools calls it an export of the model.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check pulp==3.3.2 ortools==9.15.6755
"$d/v/bin/python" - "$d" <<'P'
import os, re, sys
from importlib.metadata import version
import pulp
from ortools.linear_solver.python import model_builder

print("pulp", version("pulp"), "ortools", version("ortools"))
os.chdir(sys.argv[1])
limit, weight = 1234567890123, 0.1234567
m = model_builder.Model()
x, y = m.new_int_var(0, 10**13, "x"), m.new_num_var(0, 10, "y")
m.maximize(x)
m.add(x <= limit)
m.add(weight * y <= 1)
p = pulp.LpProblem("t", pulp.LpMaximize)
u, v = pulp.LpVariable("x", 0, 10**13, "Integer"), pulp.LpVariable("y", 0, 10)
p += u
p += u <= limit
p += weight * v <= 1
p.writeLP("p.lp")
p.writeMPS("p.mps")
texts = {"ortools LP": m.export_to_lp_string(), "ortools MPS": m.export_to_mps_string(), "pulp LP": open("p.lp").read(), "pulp MPS": open("p.mps").read()}
seen = {}
for name, text in texts.items():
    found = [s for s in re.findall(r"[0-9.]+(?:e[+-]?[0-9]+)?", text) if s.startswith(("1.23", "0.123"))]
    seen[name] = (limit in map(float, found), weight in map(float, found))
    print(name.ljust(12), sorted(set(found)), "holds 1234567890123:", seen[name][0], " holds 0.1234567:", seen[name][1])
status = p.solve(pulp.PULP_CBC_CMD(msg=False))
print("pulp's default solver:", pulp.LpStatus[status], "x =", u.value(), " allowed:", u.value() <= limit)
want = {"ortools LP": (False, False), "ortools MPS": (False, False), "pulp LP": (False, True), "pulp MPS": (True, True)}
sys.exit(0 if seen == want and pulp.LpStatus[status] == "Optimal" and u.value() == 1234567900000.0 else "the behaviour has changed")
P
