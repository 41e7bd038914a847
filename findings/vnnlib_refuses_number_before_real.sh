#!/usr/bin/env bash
# vnnlib (the parser of the VNN-LIB standard): of a Real variable, "X <= 1" is read, and "1 >= X" is a type error.
#
# Seen: once a number stands before a variable of the type Real, the query is refused: "Expected a FloatConstant type to match
#   constant '0.0', but variable 'X' has type 'Unknown'". The same rows are read of float32. So a bound is read in one order
#   only, and two variables with factors cannot be said at all in one row.
# Why it matters: Real is the type by which a query says that it is about the reals, and tools write their bounds in both orders
#   (Vehicle 0.28 writes "(<= 0.0 X[0])"). A correct query of another tool is refused as badly typed.
# Said otherwise: the standard has the row "(<= (+ (* 0.5 X[0]) (* 0.75 X[1])) 1.0)" as its example of linear arithmetic
#   (chapter "Theories and Logics"), and asks that queries that do not care for the type are declared with Real.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check vnnlib==1.0.2
"$d/v/bin/python" - <<'P'
import vnnlib

query = """(vnnlib-version <2.0>)
(declare-network f (declare-input X {0} [2]) (declare-output Y {0} [2]))
(assert {1})"""
rows = ["(<= X[0] 1.0)", "(>= 1.0 X[0])", "(<= (* X[0] 0.5) 1.0)", "(<= (* 0.5 X[0]) 1.0)", "(<= (+ (* 0.5 X[0]) (* 0.75 X[1])) 1.0)"]


def read(kind: str, row: str) -> bool:
    try:
        vnnlib.parse_query_string(query.format(kind, row))
    except vnnlib.VNNLibException as error:
        assert "Type" in str(error), error
        return False
    return True


seen = {kind: [read(kind, row) for row in rows] for kind in ("float32", "Real")}
for k, row in enumerate(rows):
    print(row.ljust(44), *(f"{kind}: {'read   ' if answers[k] else 'refused'}" for kind, answers in seen.items()))
assert seen == {"float32": [True] * 5, "Real": [True, False, True, False, False]}, seen
P
