#!/usr/bin/env bash
# hwtypes: signed division and remainder of bit-vectors mean something else in each of its three back ends.
#
# Seen: in three bits, 1 / -4 is -1 as a plain BitVector and 0 as an SMTBitVector or z3BitVector; 1 rem -4 is -3, 1 and -3. Of the 64 pairs 16 quotients and
#   12 remainders differ. The plain class rounds towards minus infinity; the class over z3 writes Python's %, which z3 takes as bvsmod; only the
#   class over pysmt is SMT-LIB's bvsdiv and bvsrem. The names are the same in all three, and division by zero is SMT-LIB's in all three.
# Why it matters: a circuit or fixed-point layer that divides (a mean, a scale that is no power of two) is simulated with one class and proved with the
#   other: the proof is about another function, and a replayed counterexample does not show.
# Said otherwise: SMT-LIB, theory FixedSizeBitVectors and logic QF_BV: bvsdiv truncates towards zero, the sign of bvsrem follows the dividend.
#   The classes implement one abstract interface (hwtypes/bit_vector_abc.py).
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check hwtypes==1.4.7 z3-solver==5.4.1.0 pysmt==0.9.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version
from itertools import product

import z3
from hwtypes import BitVector, SMTBitVector, z3BitVector

print("hwtypes", version("hwtypes"), "z3-solver", version("z3-solver"), "pysmt", version("pysmt"))
WIDTH = 3
SIZE = 2**WIDTH


def signed(code):
    return code - SIZE if code >= SIZE // 2 else code


def values(name, a, b):
    plain, smt, by_z3 = (getattr(kind[WIDTH](a), name)(kind[WIDTH](b)) for kind in (BitVector, SMTBitVector, z3BitVector))
    return tuple(signed(int(v)) for v in (plain, smt.value.simplify().constant_value(), z3.simplify(by_z3.value).as_long()))


seen = {}
for name in ("bvudiv", "bvurem", "bvsdiv", "bvsrem"):
    found = {(signed(a), signed(b)): values(name, a, b) for a, b in product(range(SIZE), repeat=2)}
    differ = {pair: three for pair, three in found.items() if len(set(three)) > 1}
    seen[name] = (len(differ), found[1, -4])
    print(name, "pairs that differ:", len(differ), "of", SIZE**2, "  1 by -4 (plain, pysmt, z3):", found[1, -4])
want = {"bvudiv": (0, (0, 0, 0)), "bvurem": (0, (1, 1, 1)), "bvsdiv": (16, (-1, 0, 0)), "bvsrem": (12, (-3, 1, -3))}
sys.exit(0 if seen == want else "the behaviour has changed")
P
