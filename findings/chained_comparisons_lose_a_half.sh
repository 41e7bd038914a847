#!/usr/bin/env bash
# z3, cvc5, OR-tools, PuLP, HiGHS: a chain of comparisons in Python loses a half, and which half differs.
#
# Seen: "x == y == 3" (Python reads: x == y and y == 3) becomes x == y in z3, in cvc5's z3-like interface and in CP-SAT, and y == 3 in
#   highspy and PuLP. "0 <= x <= 3" raises in z3, cvc5 and CP-SAT, keeps x <= 3 only in PuLP, and both halves in
#   highspy. Pyomo, which raises for both, shows that it can be refused.
# Why it matters: a precondition or a property written as in a paper silently becomes a weaker one: a verdict "violated" for a
#   point outside the precondition, or "holds" for half of the property. The libraries guard one chain, which makes the
#   other look supported.
# Said otherwise: z3 and CP-SAT raise for other conditions on the ground that a symbolic comparison has no truth value;
#   highspy documents chained inequalities as supported.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check z3-solver==5.4.1.0 cvc5==1.4.2 ortools==9.15.6755 pulp==3.3.2 highspy==1.15.1 numpy==2.4.6
# one process each: OR-tools and highspy cannot be loaded together (see highspy_and_ortools_together.sh)
"$d/v/bin/python" - <<'P'
import subprocess, sys
from importlib.metadata import version

make = {
    "z3-solver": "import z3; x, y = z3.Ints('x y')",
    "cvc5": "import cvc5.pythonic as c; x, y = c.Ints('x y')",
    "ortools": "from ortools.sat.python import cp_model as c; m = c.CpModel(); x, y = (m.new_int_var(0, 9, n) for n in 'xy')",
    "pulp": "import pulp; x, y = (pulp.LpVariable(n, 0, 9, 'Integer') for n in 'xy')",
    "highspy": "import highspy; h = highspy.Highs(); h.silent(); x, y = h.addIntegral(0, 9), h.addIntegral(0, 9)",
}
show = """
for chain in ("x == y == 3", "0 <= x <= 3"):
    try:
        print(" ".join(str(eval(chain)).split()))
    except Exception as e:
        print("raises")
"""
seen = {}
for name, text in make.items():
    r = subprocess.run([sys.executable, "-c", text + show], capture_output=True, text=True, check=True)
    seen[name] = r.stdout.strip().splitlines()[-2:]
    print(name.ljust(10), version(name).ljust(11), " x == y == 3 :", seen[name][0].ljust(20), " 0 <= x <= 3 :", seen[name][1])
want = {"z3-solver": ["x == y", "raises"], "cvc5": ["x == y", "raises"], "ortools": ["(x - y) == 0", "raises"],
        "pulp": ["y = 3", "x <= 3"], "highspy": ["1.0_v1 == 3.0", "0.0 <= 1.0_v0 <= 3.0"]}
sys.exit(0 if seen == want else "the behaviour has changed")
P
