#!/usr/bin/env bash
# cvc5's z3-like Python interface: "i < 2.5" over integers means i < 2, and "i * 0.5" means 0.
#
# Seen: a float beside an integer term is cut to a whole number in cvc5.pythonic: i < 2.5 excludes 2, i == 2.5 is satisfied by 2,
#   and i * 0.5 >= 1 has no solution. z3 turns i into a real and keeps 5/2: the same text, other answers. No warning.
# Why it matters: a threshold on codes is often a real number (a decision boundary between two codes). A property that is
#   violated at the code 2 only is then "proved". Cross-checking the two solvers with one text shows it; one alone does not.
# Said otherwise: the interface is presented as a drop-in for z3's, and its own arithmetic of mixed sorts (integer and real
#   terms) converts upwards as z3 does.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check z3-solver==5.4.1.0 cvc5==1.4.2
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version
import cvc5.pythonic, z3

print("z3-solver", version("z3-solver"), "cvc5", version("cvc5"))
seen = {}
for name, s in (("z3", z3), ("cvc5.pythonic", cvc5.pythonic)):
    i = s.Int("i")
    questions = {"i < 2.5, i >= 2": [i < 2.5, i >= 2], "i == 2.5": [i == 2.5], "i * 0.5 >= 1, i <= 9": [i * 0.5 >= 1, i <= 9]}
    for text, terms in questions.items():
        solver = s.Solver()
        solver.add(*terms)
        seen[name, text] = str(solver.check())
        print(name.ljust(14), text.ljust(22), seen[name, text].ljust(6), "read as", terms[0])
want = ["sat", "unsat", "sat", "unsat", "sat", "unsat"]
sys.exit(0 if list(seen.values()) == want else "the behaviour has changed")
P
