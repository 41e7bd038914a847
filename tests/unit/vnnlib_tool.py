"""A verifier for tests, run as a process of its own: `python vnnlib_tool.py WAY …`. It knows linear networks only.

WAY is how it answers: `honest`, or one of the lies in `LIES`; `old` is honest in the form of VNN-COMP, without the standard's command line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

SUPPORTS = {
    "--vnnlib-versions": ["2.0", "2.0"],
    "--onnx-element-types": ["real", "float32"],
    "--onnx-operators": ["Add", "MatMul"],
    "--onnx-opset-versions": ["7", "20"],
}
NUMBER = r"(-?[0-9.]+)"
LIES = {
    "unsat": "unsat\n",
    "no witness": "sat\n",
    "half a witness": "sat\nX Real [1,2]\n0.0\n",
    "a wrong witness": "sat\nX Real [1,2]\n0.0\n0.0\nY Real [1,1]\n99.0\n",
    "outside": "sat\nX Real [1,2]\n1000.0\n1000.0\nY Real [1,1]\n99.0\n",
    "both": "sat\nunsat\n",
    "noise": "I verified it\n",
    "": "",
}
"""What it prints, whatever it is asked."""


def main(way: str, words: Sequence[str]) -> int:
    """Answer as the command line of the VNN-LIB 2 standard asks."""
    if words[0] == "supports":
        print("\n".join(SUPPORTS[words[1]]))
        return 0
    if way in LIES:
        print(LIES[way], end="")
        return 0
    query, network = (words[0], words[1]) if way == "old" else (words[1], words[3].removeprefix("f="))
    text = Path(query).read_text(encoding="utf-8")
    variable = (r"X_(\d+)", r"Y_(\d+)") if way == "old" else (r"X\[0,(\d+)\]", r"Y\[0,(\d+)\]")
    low, high = ({int(k): float(v) for k, v in re.findall(rf"\({sign} {variable[0]} {NUMBER}\)", text)} for sign in (">=", "<="))
    goal = [(sign, int(k)) for sign, k in re.findall(rf"\(assert \((>=?) {variable[1]} 0.0\)\)", text)]
    for corner in product(*((low[k], high[k]) for k in sorted(low))):
        outputs = evaluate(network, corner)
        if all(outputs[k] > 0 or (outputs[k] == 0 and sign == ">=") for sign, k in goal):
            print("sat")
            if way == "old":
                print("(" + "\n".join(f"(X_{k} {v:.17g})" for k, v in enumerate(corner)) + ")")
            else:
                print("\n".join([f"X Real [1,{len(corner)}]", *map(repr, corner), f"Y Real [1,{len(outputs)}]", *map(repr, outputs)]))
            return 0
    print("unsat")
    return 0


def evaluate(network: str, x: Sequence[float]) -> list[float]:
    """Return the output of a network of products and sums."""
    import numpy as np  # here, because lies need no network
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(network).graph
    known: dict[str, Any] = {t.name: to_array(t) for t in graph.initializer} | {graph.input[0].name: np.array([x])}
    for node in graph.node:
        a, b = (known[name] for name in node.input)
        known[node.output[0]] = a @ b if node.op_type == "MatMul" else a + b
    return known[graph.output[0].name][0].tolist()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
