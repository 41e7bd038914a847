"""qspec: say what a quantised neural network must do, and find out, with any solver, whether it does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from qspec.arithmetic.formats import Affine as Affine
from qspec.arithmetic.formats import Fixed as Fixed
from qspec.arithmetic.formats import PerChannel as PerChannel
from qspec.arithmetic.formats import int4 as int4
from qspec.arithmetic.formats import int8 as int8
from qspec.arithmetic.formats import int16 as int16
from qspec.arithmetic.formats import uint8 as uint8
from qspec.arithmetic.rounding import Overflow as Overflow
from qspec.arithmetic.rounding import Rounding as Rounding
from qspec.arithmetic.tensor import Tensor as Tensor
from qspec.arithmetic.tensor import quantize as quantize
from qspec.errors import CalibrationWarning as CalibrationWarning
from qspec.errors import CertificateError as CertificateError
from qspec.errors import FormatError as FormatError
from qspec.errors import ModelFileError as ModelFileError
from qspec.errors import NetworkError as NetworkError
from qspec.errors import PackageMissingError as PackageMissingError
from qspec.errors import QspecError as QspecError
from qspec.errors import QspecWarning as QspecWarning
from qspec.errors import ShapeError as ShapeError
from qspec.errors import SolverMissingError as SolverMissingError
from qspec.errors import SoundnessError as SoundnessError
from qspec.errors import SpecError as SpecError
from qspec.errors import UnsupportedError as UnsupportedError
from qspec.face import Network as Network
from qspec.face import Sequential as Sequential
from qspec.language.formulas import Property as Property
from qspec.language.formulas import argmax as argmax
from qspec.language.formulas import every as all
from qspec.language.formulas import exists as exists
from qspec.language.formulas import forall as forall
from qspec.language.formulas import iff as iff
from qspec.language.formulas import implies as implies
from qspec.language.formulas import same as same
from qspec.language.formulas import some as any
from qspec.language.formulas import xor as xor
from qspec.language.functions import clip as clip
from qspec.language.functions import dot as dot
from qspec.language.functions import exp as exp
from qspec.language.functions import join as join
from qspec.language.functions import l0 as l0
from qspec.language.functions import l1 as l1
from qspec.language.functions import linf as linf
from qspec.language.functions import maximum as max
from qspec.language.functions import minimum as min
from qspec.language.functions import parameter as parameter
from qspec.language.functions import q as q
from qspec.language.functions import relu as relu
from qspec.language.functions import sigmoid as sigmoid
from qspec.language.functions import softmax as softmax
from qspec.language.functions import softplus as softplus
from qspec.language.functions import tanh as tanh
from qspec.language.functions import total as sum
from qspec.named import properties as properties
from qspec.network.activations import HardSigmoid as HardSigmoid
from qspec.network.activations import HardTanh as HardTanh
from qspec.network.activations import LeakyReLU as LeakyReLU
from qspec.network.activations import Linear as Linear
from qspec.network.activations import Lookup as Lookup
from qspec.network.activations import ReLU as ReLU
from qspec.network.activations import Sigmoid as Sigmoid
from qspec.network.activations import Sign as Sign
from qspec.network.activations import Tanh as Tanh
from qspec.network.graph import apply as apply
from qspec.network.kernel_layers import Constant as Constant
from qspec.network.kernel_layers import Multiplier as Multiplier
from qspec.network.kernel_layers import Pad as Pad
from qspec.network.kernel_layers import Reinterpret as Reinterpret
from qspec.network.kernel_layers import Reshape as Reshape
from qspec.network.kernel_layers import Scaling as Scaling
from qspec.network.kernel_layers import Thresholds as Thresholds
from qspec.network.kernel_layers import Transpose as Transpose
from qspec.network.layers import Add as Add
from qspec.network.layers import AveragePool2D as AveragePool2D
from qspec.network.layers import Concat as Concat
from qspec.network.layers import Conv2D as Conv2D
from qspec.network.layers import Dense as Dense
from qspec.network.layers import Feature as Feature
from qspec.network.layers import Flatten as Flatten
from qspec.network.layers import Input as Input
from qspec.network.layers import MaxPool2D as MaxPool2D
from qspec.network.layers import Requantize as Requantize
from qspec.network.layers import fold_batch_norm as fold_batch_norm
from qspec.readers.load import load as load
from qspec.readers.load import read_property as read_property
from qspec.solver import Limits as Limits
from qspec.support.distribution import VERSION
from qspec.verify.decide import falsify as falsify
from qspec.verify.decide import query as query
from qspec.verify.decide import verify as verify
from qspec.verify.options import Options as Options
from qspec.verify.result import Result as Result
from qspec.verify.result import Verdict as Verdict

if TYPE_CHECKING:
    from qspec import real as real
    from qspec.batch.bit_flips import BitFlips as BitFlips
    from qspec.batch.bit_flips import bit_flips as bit_flips
    from qspec.batch.bit_flips import flip_names as flip_names
    from qspec.batch.certification import Certification as Certification
    from qspec.batch.certify import certify as certify
    from qspec.batch.comparison import compare as compare
    from qspec.batch.many import Finished as Finished
    from qspec.batch.many import grid as grid
    from qspec.batch.many import together as together
    from qspec.batch.many import verify_many as verify_many
    from qspec.batch.sweeps import Sweep as Sweep
    from qspec.batch.sweeps import sweep as sweep
    from qspec.conformance.agree import Agreement as Agreement
    from qspec.conformance.agree import agree as agree
    from qspec.conformance.flips import Flips as Flips
    from qspec.conformance.flips import flips as flips
    from qspec.conformance.pairing import drift as drift
    from qspec.engines.difference.largest import ErrorBounds as ErrorBounds
    from qspec.engines.difference.largest import LargestError as LargestError
    from qspec.extremes import fairness as fairness
    from qspec.extremes.accumulators import Accumulators as Accumulators
    from qspec.extremes.accumulators import accumulators as accumulators
    from qspec.extremes.accumulators import least_accumulators as least_accumulators
    from qspec.extremes.bits import Widths as Widths
    from qspec.extremes.bits import fewest_bits as fewest_bits
    from qspec.extremes.layer_bits import LayerWidths as LayerWidths
    from qspec.extremes.optimize import maximize as maximize
    from qspec.extremes.optimize import minimize as minimize
    from qspec.extremes.optimize import optimize as optimize
    from qspec.extremes.optimize import optimizing as optimizing
    from qspec.extremes.optimum import Objective as Objective
    from qspec.extremes.optimum import Optimum as Optimum
    from qspec.extremes.quantization_errors import error_bounds as error_bounds
    from qspec.extremes.quantization_errors import largest_error as largest_error
    from qspec.extremes.radius import Radius as Radius
    from qspec.extremes.radius import largest_radius as largest_radius
    from qspec.extremes.threshold import Threshold as Threshold
    from qspec.extremes.threshold import largest_value as largest_value
    from qspec.extremes.threshold import least_value as least_value
    from qspec.language.cases import in_top as in_top
    from qspec.language.cases import indicator as indicator
    from qspec.language.cases import ranking as ranking
    from qspec.language.cases import where as where
    from qspec.language.euclidean import l2 as l2
    from qspec.lint.lint import Lint as Lint
    from qspec.lint.lint import lint as lint
    from qspec.named import sensors as sensors
    from qspec.named.deployment import deployed as deployed
    from qspec.named.schema import Categorical as Categorical
    from qspec.named.schema import Link as Link
    from qspec.named.schema import Ordinal as Ordinal
    from qspec.named.schema import Schema as Schema
    from qspec.named.schema import Whole as Whole
    from qspec.named.schema import determines as determines
    from qspec.readers.c_export import to_c as to_c
    from qspec.readers.onnx_export import to_onnx as to_onnx
    from qspec.readers.tflite_export import to_tflite as to_tflite
    from qspec.readers.vnnlib_write import to_vnnlib as to_vnnlib
    from qspec.runtimes.int8 import quantize_int8 as quantize_int8
    from qspec.show.figures.plot import plot as plot
    from qspec.verify.export import to_lp as to_lp
    from qspec.verify.export import to_mps as to_mps
    from qspec.verify.export import to_pysmt as to_pysmt
    from qspec.verify.export import to_smtlib as to_smtlib

__version__ = VERSION

_LATER = {
    "qspec.batch.bit_flips": ("BitFlips", "bit_flips", "flip_names"),
    "qspec.extremes.accumulators": ("Accumulators", "accumulators", "least_accumulators"),
    "qspec.named.deployment": ("deployed",),
    "qspec.extremes.bits": ("Widths", "fewest_bits"),
    "qspec.batch.certification": ("Certification",),
    "qspec.batch.certify": ("certify",),
    "qspec.batch.comparison": ("compare",),
    "qspec.conformance.agree": ("Agreement", "agree"),
    "qspec.language.cases": ("in_top", "indicator", "ranking", "where"),
    "qspec.language.euclidean": ("l2",),
    "qspec.lint.lint": ("Lint", "lint"),
    "qspec.conformance.flips": ("Flips", "flips"),
    "qspec.conformance.pairing": ("drift",),
    "qspec.verify.export": ("to_lp", "to_mps", "to_pysmt", "to_smtlib"),
    "qspec.readers.c_export": ("to_c",),
    "qspec.readers.onnx_export": ("to_onnx",),
    "qspec.readers.tflite_export": ("to_tflite",),
    "qspec.readers.vnnlib_write": ("to_vnnlib",),
    "qspec.show.figures.plot": ("plot",),
    "qspec.extremes.layer_bits": ("LayerWidths",),
    "qspec.batch.many": ("Finished", "grid", "together", "verify_many"),
    "qspec.engines.difference.largest": ("ErrorBounds", "LargestError"),
    "qspec.extremes.optimize": ("maximize", "minimize", "optimize", "optimizing"),
    "qspec.extremes.optimum": ("Objective", "Optimum"),
    "qspec.extremes.quantization_errors": ("error_bounds", "largest_error"),
    "qspec.extremes.radius": ("Radius", "largest_radius"),
    "qspec.runtimes.int8": ("quantize_int8",),
    "qspec.named.schema": ("Categorical", "Link", "Ordinal", "Schema", "Whole", "determines"),
    "qspec.batch.sweeps": ("Sweep", "sweep"),
    "qspec.extremes.threshold": ("Threshold", "largest_value", "least_value"),
}
_MODULES = {"fairness": "qspec.extremes.fairness", "real": "qspec.real", "sensors": "qspec.named.sensors"}
"""What is loaded when it is first asked for, so that `import qspec` is quick: names by module, and modules."""

__all__ = [
    "Accumulators",
    "Add",
    "Affine",
    "Agreement",
    "AveragePool2D",
    "BitFlips",
    "CalibrationWarning",
    "Categorical",
    "CertificateError",
    "Certification",
    "Concat",
    "Constant",
    "Conv2D",
    "Dense",
    "ErrorBounds",
    "Feature",
    "Finished",
    "Fixed",
    "Flatten",
    "Flips",
    "FormatError",
    "HardSigmoid",
    "HardTanh",
    "Input",
    "LargestError",
    "LayerWidths",
    "LeakyReLU",
    "Limits",
    "Linear",
    "Link",
    "Lint",
    "Lookup",
    "MaxPool2D",
    "ModelFileError",
    "Multiplier",
    "Network",
    "NetworkError",
    "Objective",
    "Optimum",
    "Options",
    "Ordinal",
    "Overflow",
    "PackageMissingError",
    "Pad",
    "PerChannel",
    "Property",
    "QspecError",
    "QspecWarning",
    "Radius",
    "ReLU",
    "Reinterpret",
    "Requantize",
    "Reshape",
    "Result",
    "Rounding",
    "Scaling",
    "Schema",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "Sign",
    "SolverMissingError",
    "SoundnessError",
    "SpecError",
    "Sweep",
    "Tanh",
    "Tensor",
    "Threshold",
    "Thresholds",
    "Transpose",
    "UnsupportedError",
    "Verdict",
    "Whole",
    "Widths",
    "accumulators",
    "agree",
    "all",
    "any",
    "apply",
    "argmax",
    "bit_flips",
    "certify",
    "clip",
    "compare",
    "deployed",
    "determines",
    "dot",
    "drift",
    "error_bounds",
    "exists",
    "exp",
    "fairness",
    "falsify",
    "fewest_bits",
    "flip_names",
    "flips",
    "fold_batch_norm",
    "forall",
    "grid",
    "iff",
    "implies",
    "in_top",
    "indicator",
    "int4",
    "int8",
    "int16",
    "join",
    "l0",
    "l1",
    "l2",
    "largest_error",
    "largest_radius",
    "largest_value",
    "least_accumulators",
    "least_value",
    "linf",
    "lint",
    "load",
    "max",
    "maximize",
    "min",
    "minimize",
    "optimize",
    "optimizing",
    "parameter",
    "plot",
    "properties",
    "q",
    "quantize",
    "quantize_int8",
    "query",
    "ranking",
    "read_property",
    "real",
    "relu",
    "same",
    "sensors",
    "sigmoid",
    "softmax",
    "softplus",
    "sum",
    "sweep",
    "tanh",
    "to_c",
    "to_lp",
    "to_mps",
    "to_onnx",
    "to_pysmt",
    "to_smtlib",
    "to_tflite",
    "to_vnnlib",
    "together",
    "uint8",
    "verify",
    "verify_many",
    "where",
    "xor",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    for module, names in _LATER.items():
        if name in names:
            found: object = getattr(import_module(module), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'qspec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
