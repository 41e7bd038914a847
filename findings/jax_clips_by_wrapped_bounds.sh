#!/usr/bin/env bash
# jax.numpy: bounds outside the type wrap: clip(int8 values, -200, 2) returns 2 for all of them.
#
# Seen: jnp.clip of -3 .. 2 (int8) to [-200, 2] gives 2 everywhere, to [-200, 200] gives -56 everywhere, and
#   jnp.maximum(int8 5, 300) is 44, less than one argument and unequal to both. No error, no warning. numpy clips rightly
#   and refuses the maximum with OverflowError. Comparisons are right in both (int8 5 < 300 is true).
# Why it matters: the clamp of a layer is often written with bounds that are wider than the type (a ReLU6 in codes, the range
#   of an accumulator). In jax such a clamp replaces the activations by a constant.
# Said otherwise: the ideal clamp changes nothing here. jax's text on type promotion says that a Python number takes the
#   type of the array; it does not say that a bound may turn round. jax issue 34455 is about unsigned types that raise.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check jax==0.10.2 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
import jax, jax.numpy as jnp, numpy as np

print("jax", jax.__version__, "numpy", np.__version__)
x = np.arange(-3, 3, dtype=np.int8)
j = jnp.asarray(x)


def show(f):
    try:
        return np.asarray(f()).tolist()
    except OverflowError:
        return "OverflowError"


seen = {
    "clip to [-200, 2]": (show(lambda: jnp.clip(j, -200, 2)), show(lambda: np.clip(x, -200, 2))),
    "clip to [-200, 200]": (show(lambda: jnp.clip(j, -200, 200)), show(lambda: np.clip(x, -200, 200))),
    "maximum(5, 300)": (show(lambda: jnp.maximum(jnp.int8(5), 300)), show(lambda: np.maximum(np.int8(5), 300))),
    "5 < 300": (show(lambda: jnp.int8(5) < 300), show(lambda: np.int8(5) < 300)),
}
for name, (a, b) in seen.items():
    print(name.ljust(20), "jax", a, " numpy", b)
want = {"clip to [-200, 2]": ([2] * 6, x.tolist()), "clip to [-200, 200]": ([-56] * 6, x.tolist()),
        "maximum(5, 300)": (44, "OverflowError"), "5 < 300": (True, True)}
sys.exit(0 if seen == want else "the behaviour has changed")
P
