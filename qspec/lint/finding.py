"""A finding: what, where, with which value, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a linter looks for: its name, how bad it is, why it matters, and what to do."""

    name: str
    severity: Severity
    why: str
    advice: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One place at which a rule applies; `where` names the layer, and the channel or element if it is one."""

    rule: Rule
    where: str
    value: str

    def __str__(self) -> str:
        r = self.rule
        return f"{r.severity}: {r.name}: {self.where}: {self.value}\n  why:      {r.why}\n  try:      {r.advice}"


BIAS_AT_END = Rule(
    "bias-at-end",
    "error",
    "a converter has cut the bias off at the end of int32: the channel computes something else than the float network",
    "look at the weights of this channel: beside their bias they are tiny; set them to zero, or give the channel a larger weight scale",
)
OVERFLOW = Rule(
    "accumulator-overflow",
    "error",
    "for some input the sum leaves int32, and runtimes wrap or saturate there, each in its way",
    "fewer or smaller weights, a smaller bias, or proof that such inputs do not occur",
)
FLOAT_CONSTANT = Rule(
    "float-parameter",
    "error",
    "the runtime rounds this parameter itself, as a default onnxruntime session does, or computes in float: the file is not what runs",
    "quantise it in the converter: weights to int8, biases to int32 in units of input times weight",
)
DOUBLE_QDQ = Rule(
    "merged-pairs",
    "error",
    "onnxruntime merges two pairs of QuantizeLinear and DequantizeLinear of different scales into one, with other results",
    "keep one pair, or run with graph optimisation off",
)
DEAD_CHANNEL = Rule(
    "dead-channel",
    "warning",
    "all weights of the channel are zero: its output is the same for every input",
    "remove the channel (pruned), or look for a weight scale that one outlier has blown up",
)
DEAD_MULTIPLIER = Rule(
    "dead-multiplier",
    "warning",
    "the multiplier of the channel is below 2^-32, which runtimes store as zero: its output is the same for every input",
    "a weight scale this small belongs to a channel of zeros; remove it",
)
NOT_READ = Rule(
    "not-read",
    "note",
    "qspec does not read this file as a network, so that nothing was looked at on inputs",
    "see the operators in docs/tflite.md and docs/onnx-int8.md",
)
SATURATES = Rule(
    "saturates",
    "warning",
    "many codes of this signal stand at an end of their range: larger values cannot be told apart",
    "calibrate the range of this signal on more, or on these, inputs",
)
LEFT_OUT = Rule(
    "activation-dropped",
    "error",
    "the float network cuts this signal off, and the quantised one does not: the converter has dropped an activation",
    "convert again with the activation fused into the layer, or with the zero point at the lower end of the codes",
)
APART = Rule(
    "apart-from-twin",
    "warning",
    "the layer and that of the float network are apart by several codes on average",
    "look at the first layer of the list: its scale, its bias, or its calibration",
)
CLASSES = Rule(
    "classes-differ",
    "note",
    "so many inputs get another class than in the float network",
    "compare with what you can accept; the layers above say where the difference begins",
)
UNALIKE = Rule(
    "twin-unlike",
    "warning",
    "no signal of the float network has the shape of this layer, so that nothing was compared there",
    "give the network that was quantised as the twin",
)
