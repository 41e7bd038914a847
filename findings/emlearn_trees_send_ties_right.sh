#!/usr/bin/env bash
# emlearn: a converted decision tree sends a feature that equals its threshold to the other side, in every number format.
#
# Seen: scikit-learn goes left where feature <= threshold, the C code of emlearn where feature < threshold. A tree trained on -5, -3, 3, 5 has the
#   thresholds -4, 0, 4; at these three integers the class differs, with dtype float as with int16_t, inline as with the loadable form.
# Why it matters: sensor codes are integers, and a threshold is the mean of two neighbouring training values, so it is an integer whenever these differ
#   by an even number. What is proved of the trained tree is not true of the device, nor the other way round.
# Said otherwise: emlearn.convert documents dtype as what may enable quantisation, so a tree in float should be the trained one. Source: the comparison that
#   the printed C code shows (`<`), and scikit-learn's description of decision trees (`<=`). An inline tree is compiled: a C compiler is needed.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check emlearn==0.23.2 scikit-learn==1.9.1 numpy==2.4.6
cd "$d"
"$d/v/bin/python" -W ignore - <<'P'
import sys
from importlib.metadata import version

import emlearn
import numpy as np
from sklearn.tree import DecisionTreeClassifier

print("emlearn", version("emlearn"), "scikit-learn", version("scikit-learn"))
tree = DecisionTreeClassifier(random_state=0).fit(np.array([[-5], [-3], [3], [5]]), [0, 1, 2, 3])
thresholds = sorted(float(t) for t, left in zip(tree.tree_.threshold, tree.tree_.children_left) if left >= 0)
print("thresholds", thresholds)
grid = np.arange(-6, 7)[:, None]
trained = tree.predict(grid).tolist()
good = thresholds == [-4.0, 0.0, 4.0]
for method, dtype in (("inline", "float"), ("inline", "int16_t"), ("loadable", "int16_t")):
    device = [int(c) for c in emlearn.convert(tree, method=method, dtype=dtype).predict(grid)]
    differ = [(int(x), a, b) for x, a, b in zip(grid[:, 0], trained, device) if a != b]
    print(method, dtype, "differs at (feature, class of the tree, class of the C code):", differ)
    good = good and differ == [(-4, 0, 1), (0, 1, 2), (4, 2, 3)]
sys.exit(0 if good else "the behaviour has changed")
P
