#!/usr/bin/env bash
# PySMT: the reader of SMT-LIB text binds the names of a let one after the other; SMT-LIB binds them all at once.
#
# Seen: with constants a and b, (let ((a b) (b a)) (distinct a b)) exchanges the two and can be satisfied. PySMT reads it as
#   distinct b b and answers unsat; z3 answers sat for the same text. Names of a let that do not occur in
#   its other terms are read rightly.
# Why it matters: printers of solvers and compilers of networks share subterms by let, with short names that are used again.
#   A script that PySMT reads and passes on to any solver may lose its solutions: a violated property becomes proved.
# Said otherwise: SMT-LIB 2.6/2.7, "let" is parallel. PySMT issue 159 asked for the sequential reading in 2015, and got it.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check pysmt==0.9.6 z3-solver==5.4.1.0 setuptools==80.9.0
"$d/v/bin/python" - <<'P'
import io, sys
from importlib.metadata import version
import z3
from pysmt.shortcuts import is_unsat
from pysmt.smtlib.parser import SmtLibParser

print("pysmt", version("pysmt"), "z3-solver", version("z3-solver"))
text = """(set-logic QF_BV)
(declare-fun a () (_ BitVec 8))
(declare-fun b () (_ BitVec 8))
(assert (let ((a b) (b a)) (distinct a b)))
(check-sat)
"""
term = SmtLibParser().get_script(io.StringIO(text)).get_last_formula()
solver = z3.Solver()
solver.from_string(text)
answer = str(solver.check())
read = term.serialize(), term.simplify().serialize()
print(text + "pysmt reads:", read[0], " simplified:", read[1])
print("z3 reads:", solver.assertions(), " answer:", answer)
sys.exit(0 if read[1] == "False" and answer == "sat" else "the behaviour has changed")
P
