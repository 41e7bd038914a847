#!/usr/bin/env bash
# ml_dtypes: np.save takes arrays of small types without a word; np.load gives bytes without a type, and of float8_e5m2 nothing at all.
#
# Seen: int4, int2, float4, bfloat16 and four of five float8 types come back as dtype V1 or V2 (raw bytes). For float8_e5m2 the header says '<f1', which np.load refuses, so
#   that the file that was just written cannot be read. A view with the right type brings the numbers back in the other cases; the file does not say which it was.
# Why it matters: weights and calibration data of int4 and float8 networks are kept in .npy and .npz files; whoever reads them cannot tell float8_e4m3fn from float8_e4m3fnuz,
#   where the same byte is half the value.
# Said otherwise: NumPy, numpy.lib.format: the format stores all the shape and dtype information needed to make the array again on another machine.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check ml_dtypes==0.7.0 numpy==2.4.6
"$d/v/bin/python" - "$d" <<'P'
import sys
from importlib.metadata import version

import ml_dtypes
import numpy as np

print("ml_dtypes", version("ml_dtypes"), "numpy", version("numpy"))
names = "int4 uint4 int2 bfloat16 float4_e2m1fn float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e8m0fnu float8_e5m2".split()
seen = {}
for name in names:
    kind = getattr(ml_dtypes, name)
    array = np.array([1, 2, 0.5] if name.startswith(("b", "f")) else [1, 0, 1]).astype(kind)
    path = sys.argv[1] + "/a.npy"
    np.save(path, array)
    try:
        back = np.load(path)
        seen[name] = str(back.dtype), bool((back.view(kind) == array).all())
    except ValueError as error:
        seen[name] = "ValueError", str(error)
    print(name.ljust(20), *seen[name])
byte = np.array([0x40], np.uint8)
print("byte 0x40:", *(f"{n} {byte.view(getattr(ml_dtypes, n)).astype(float)[0]}" for n in ("float8_e4m3fn", "float8_e4m3fnuz")))
want = {name: ("|V2" if name == "bfloat16" else "|V1", True) for name in names[:-1]}
refused = seen.pop("float8_e5m2")
sys.exit(0 if seen == want and refused[0] == "ValueError" and "<f1" in refused[1] else "the behaviour has changed")
P
