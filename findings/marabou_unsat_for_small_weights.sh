#!/usr/bin/env bash
# Marabou: answers unsat where a weight is 1e-5 or less, although the point that satisfies the query is plain.
#
# Seen: y = 1000000 * relu(w x), x in [0, 1], is there a point with y >= 500000 w? x = 0.5 is one. Marabou finds it for w = 1e-2, 1e-3 and 1e-4
#   and answers unsat for 1e-5, 1e-6 and 1e-7, with no other threshold of the query changed.
# Why it matters: unsat is read as "the property is proved". Networks whose scales are folded into the weights have layers
#   with such numbers (an int8 scale of 0.001 times another of 0.001), and the layer after it enlarges them again.
# Said otherwise: the tool is presented as complete for piecewise linear networks. In its issue 666 a user saw numbers up to
#   1e-5 treated as zero and asked whether that is meant; issue 820 (open) has an unsat with known satisfying points.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check maraboupy==2.0.0 numpy==2.4.6
"$d/v/bin/python" -W ignore - "$d" <<'P'
import os, sys
from importlib.metadata import version
from maraboupy import Marabou

print("maraboupy", version("maraboupy"))
os.chdir(sys.argv[1])
gain, seen = 1000000.0, []
for w in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
    # NNet text: 2 layers, 1 input, 1 output; sizes; flag; input bounds; means; ranges; then weight and bias of each layer
    lines = ["// t", "2,1,1,1,", "1,1,1,", "0,", "0.0,", "1.0,", "0.0,0.0,", "1.0,1.0,", f"{w!r},", "0.0,", f"{gain!r},", "0.0,"]
    with open("n.nnet", "w") as f:
        f.write("\n".join(lines) + "\n")
    net = Marabou.read_nnet("n.nnet")
    x, y = int(net.inputVars[0].ravel()[0]), int(net.outputVars[0].ravel()[0])
    net.setLowerBound(x, 0.0)
    net.setUpperBound(x, 1.0)
    net.setLowerBound(y, gain * w / 2)
    answer = net.solve(verbose=False, options=Marabou.createOptions(verbosity=0))[0]
    seen.append(answer)
    print(f"w = {w:g}: y >= {gain * w / 2:g} asked; at x = 0.75 the network has y = {gain * max(w * 0.75, 0):g}; Marabou: {answer}")
sys.exit(0 if seen == ["sat"] * 3 + ["unsat"] * 3 else "the behaviour has changed")
P
