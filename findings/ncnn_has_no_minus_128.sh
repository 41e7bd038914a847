#!/usr/bin/env bash
# ncnn: the layer Quantize never gives -128, and takes halves away from zero.
#
# Seen: at scale 1, -128 and -127.6 become -127, as does -300; 0.5, 1.5, 2.5 become 1, 2, 3 (negative ones likewise).
# Why it matters: int8 files of TFLite and ONNX use -128 throughout: images with zero point -128 hold it in every black pixel, and an activation after ReLU in
#   every dead neuron. Their codes cannot be taken over into ncnn as they are, and a bound on the codes of one is none on the codes of the other.
# Said otherwise: ONNX, QuantizeLinear, and TFLite, QUANTIZE: int8 saturates at -128; ONNX rounds halves to even.
set -euo pipefail
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
python3 -m venv --without-pip "$d/v"
python3 -m pip --python "$d/v/bin/python" install -q --no-compile --disable-pip-version-check ncnn==1.0.20261020 numpy==2.4.6
"$d/v/bin/python" - "$d" <<'P'
import sys
from importlib.metadata import version
from pathlib import Path

import ncnn
import numpy as np

print("ncnn", version("ncnn"))
folder = Path(sys.argv[1])
(folder / "q.param").write_text("7767517\n2 2\nInput in 0 1 in\nQuantize q 1 1 in q 0=1\n")
(folder / "q.bin").write_bytes(np.float32(1).tobytes())
net = ncnn.Net()
for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_packing_layout"):
    setattr(net.opt, option, False)
assert net.load_param(str(folder / "q.param")) == 0 and net.load_model(str(folder / "q.bin")) == 0
x = np.array([-300, -128, -127.6, -127, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 127, 300], np.float32)
extractor = net.create_extractor()
extractor.input("in", ncnn.Mat(x).clone())
codes = np.array(extractor.extract("q")[1]).astype(int).tolist()
print(x.tolist(), "\n", codes, sep="")
del extractor
sys.exit(0 if codes == [-127, -127, -127, -127, -3, -2, -1, 1, 2, 3, 127, 127] else "the behaviour has changed")
P
