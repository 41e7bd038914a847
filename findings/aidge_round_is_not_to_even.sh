#!/usr/bin/env bash
# Aidge: its operator Round takes halves away from zero; its description says to even.
#
# Seen: -2.5, -1.5, -0.5, 0.5, 1.5, 2.5 become -3, -2, -1, 1, 2, 3. The keyword rounding_mode, which the description does not have, defaults to half_away_from_zero. LSQ, the
#   quantiser for training, has the same rule.
# Why it matters: Aidge quantises networks for microcontrollers and FPGAs; whoever models its Round by the description or by ONNX's operator of that name is one
#   code off at every second half.
# Said otherwise: description of Round: "If a value is exactly halfway between two integers, it rounds to the nearest even integer."
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check aidge-core==0.10.1 aidge-backend-cpu==0.10.1 aidge-quantization==0.10.1 numpy==2.4.6
"$d/v/bin/python" - <<'P'
import sys
from importlib.metadata import version

import aidge_backend_cpu
import aidge_core
import aidge_quantization
import numpy as np

print("aidge-core", version("aidge-core"))


def outputs(node, *inputs):
    operator = node.get_operator()
    for place, value in enumerate(inputs):
        operator.set_input(place, aidge_core.Tensor(np.array(value, np.float32)))
    operator.set_backend("cpu")
    operator.set_datatype(aidge_core.dtype.float32)
    operator.forward_dims()
    operator.forward()
    return np.array(operator.get_output(0)).astype(int).tolist()


halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
text = aidge_core.Round.__doc__
says_even = "rounds to the nearest even integer" in text
default = "rounding_mode: object = 'half_away_from_zero'" in text
rounded, quantized = outputs(aidge_core.Round(), halves), outputs(aidge_quantization.LSQ((-8, 7)), halves, [1.0])
print("Round:", rounded, " LSQ with step 1:", quantized, " description says even:", says_even, " default is away:", default)
away = [-3, -2, -1, 1, 2, 3]
sys.exit(0 if rounded == quantized == away and says_even and default else "the behaviour has changed")
P
