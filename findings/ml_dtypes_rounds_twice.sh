#!/usr/bin/env bash
# ml_dtypes: a cast from float64 to a small float type rounds twice, and XLA's cast of the same number does not.
#
# Seen: 1.0625 + 2^-40 lies nearer to 1.125 than to 1 in float8_e4m3fn. ml_dtypes in numpy gives 1.0: the value is rounded to
#   float32 first, which makes it a tie, and ties go to even. The error goes both ways (1.1875 - 2^-40 becomes 1.25).
#   float8_e5m2, bfloat16 and float4_e2m1fn do the same. jax gives 1.125 for float8, but 1.0 for bfloat16.
# Why it matters: numpy and jax disagree on a code for the same float64, although both use the type of the same package. A
#   reference in float64, which is meant to be the careful one, is the one that meets this; float32 inputs round once.
# Said otherwise: ml_dtypes presents its types as ordinary numpy floats, and numpy's own casts (float64 to float16) round once.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check jax==0.10.2 numpy==2.4.6 ml_dtypes==0.6.0
"$d/v/bin/python" - <<'P'
import sys
import jax, jax.numpy as jnp, ml_dtypes, numpy as np

jax.config.update("jax_enable_x64", True)
print("ml_dtypes", ml_dtypes.__version__, "numpy", np.__version__, "jax", jax.__version__)
seen = {}
for name in ("float16", "float8_e4m3fn", "float8_e5m2", "bfloat16", "float4_e2m1fn"):
    dtype = np.dtype(name) if name == "float16" else np.dtype(getattr(ml_dtypes, name))
    step = float(ml_dtypes.finfo(dtype).eps)
    above, below = 1 + step / 2 + 2.0**-40, 1 + 1.5 * step - 2.0**-40  # both lie nearer to 1 + step than to any other number
    got = [float(np.array([v]).astype(dtype)[0]) == 1 + step for v in (above, below)]
    xla = [float(jnp.asarray([v], jnp.float64).astype(dtype)[0]) == 1 + step for v in (above, below)]
    seen[name] = got, xla
    print(name.ljust(14), "nearest number:", 1 + step, " found by numpy:", got, " found by jax:", xla)
want = {"float16": ([True] * 2, [True] * 2), "float8_e4m3fn": ([False] * 2, [True] * 2), "float8_e5m2": ([False] * 2, [True] * 2),
        "bfloat16": ([False] * 2, [False] * 2), "float4_e2m1fn": ([False] * 2, [True] * 2)}
sys.exit(0 if seen == want else "the behaviour has changed")
P
