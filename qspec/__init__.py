"""qspec: say what a quantised neural network must do, and find out, with any solver, whether it does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from qspec import properties as properties
from qspec.errors import CertificateError as CertificateError
from qspec.errors import FormatError as FormatError
from qspec.errors import ModelFileError as ModelFileError
from qspec.errors import NetworkError as NetworkError
from qspec.errors import PackageMissingError as PackageMissingError
from qspec.errors import QspecError as QspecError
from qspec.errors import ShapeError as ShapeError
from qspec.errors import SolverMissingError as SolverMissingError
from qspec.errors import SoundnessError as SoundnessError
from qspec.errors import SpecError as SpecError
from qspec.errors import UnsupportedError as UnsupportedError
from qspec.face import Network as Network
from qspec.face import RealNetwork as RealNetwork
from qspec.face import RealSequential as RealSequential
from qspec.face import Sequential as Sequential
from qspec.formats import Affine as Affine
from qspec.formats import Fixed as Fixed
from qspec.formats import PerChannel as PerChannel
from qspec.formats import int4 as int4
from qspec.formats import int8 as int8
from qspec.formats import int16 as int16
from qspec.formats import uint8 as uint8
from qspec.language.formulas import Property as Property
from qspec.language.formulas import argmax as argmax
from qspec.language.formulas import every as all
from qspec.language.formulas import exists as exists
from qspec.language.formulas import forall as forall
from qspec.language.formulas import same as same
from qspec.language.formulas import some as any
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
from qspec.network.load import load as load
from qspec.network.load import load_real as load_real
from qspec.network.real import real_apply as real_apply
from qspec.network.real_layers import Activate as Activate
from qspec.network.real_layers import Exp as Exp
from qspec.network.real_layers import RealConv2D as RealConv2D
from qspec.network.real_layers import RealDense as RealDense
from qspec.network.real_layers import RealInput as RealInput
from qspec.network.real_layers import RealSparse as RealSparse
from qspec.network.real_layers import Softmax as Softmax
from qspec.network.real_layers import Softplus as Softplus
from qspec.optimize import Objective as Objective
from qspec.optimize import Optimum as Optimum
from qspec.optimize import maximize as maximize
from qspec.optimize import minimize as minimize
from qspec.optimize import optimize as optimize
from qspec.optimize import optimizing as optimizing
from qspec.result import Result as Result
from qspec.result import Verdict as Verdict
from qspec.rounding import Overflow as Overflow
from qspec.rounding import Rounding as Rounding
from qspec.solver import Limits as Limits
from qspec.tensor import Tensor as Tensor
from qspec.tensor import quantize as quantize
from qspec.verify import falsify as falsify
from qspec.verify import query as query
from qspec.verify import verify as verify

if TYPE_CHECKING:
    from qspec import fairness as fairness
    from qspec import real_properties as real_properties
    from qspec.bits import Widths as Widths
    from qspec.bits import fewest_bits as fewest_bits
    from qspec.certification.certification import Certification as Certification
    from qspec.certification.certify import certify as certify
    from qspec.comparison import compare as compare
    from qspec.conformance.agree import Agreement as Agreement
    from qspec.conformance.agree import agree as agree
    from qspec.export import to_lp as to_lp
    from qspec.export import to_mps as to_mps
    from qspec.export import to_pysmt as to_pysmt
    from qspec.export import to_smtlib as to_smtlib
    from qspec.figures.plot import plot as plot
    from qspec.interop.tflite_export import to_tflite as to_tflite
    from qspec.layer_bits import LayerWidths as LayerWidths
    from qspec.many import Finished as Finished
    from qspec.many import grid as grid
    from qspec.many import together as together
    from qspec.many import verify_many as verify_many
    from qspec.quantization_errors import ErrorBounds as ErrorBounds
    from qspec.quantization_errors import LargestError as LargestError
    from qspec.quantization_errors import error_bounds as error_bounds
    from qspec.quantization_errors import largest_error as largest_error
    from qspec.radius import Radius as Radius
    from qspec.radius import largest_radius as largest_radius
    from qspec.runtimes.int8 import quantize_int8 as quantize_int8
    from qspec.schema import Categorical as Categorical
    from qspec.schema import Link as Link
    from qspec.schema import Ordinal as Ordinal
    from qspec.schema import Schema as Schema
    from qspec.schema import Whole as Whole
    from qspec.schema import determines as determines
    from qspec.sweeps import Sweep as Sweep
    from qspec.sweeps import sweep as sweep
    from qspec.threshold import Threshold as Threshold
    from qspec.threshold import largest_value as largest_value
    from qspec.threshold import least_value as least_value

__version__ = "0.1.0"

_LATER = {
    "qspec.bits": ("Widths", "fewest_bits"),
    "qspec.certification.certification": ("Certification",),
    "qspec.certification.certify": ("certify",),
    "qspec.comparison": ("compare",),
    "qspec.conformance.agree": ("Agreement", "agree"),
    "qspec.export": ("to_lp", "to_mps", "to_pysmt", "to_smtlib"),
    "qspec.interop.tflite_export": ("to_tflite",),
    "qspec.figures.plot": ("plot",),
    "qspec.layer_bits": ("LayerWidths",),
    "qspec.many": ("Finished", "grid", "together", "verify_many"),
    "qspec.quantization_errors": ("ErrorBounds", "LargestError", "error_bounds", "largest_error"),
    "qspec.radius": ("Radius", "largest_radius"),
    "qspec.runtimes.int8": ("quantize_int8",),
    "qspec.schema": ("Categorical", "Link", "Ordinal", "Schema", "Whole", "determines"),
    "qspec.sweeps": ("Sweep", "sweep"),
    "qspec.threshold": ("Threshold", "largest_value", "least_value"),
}
_MODULES = ("fairness", "real_properties")
"""What is loaded when it is first asked for, so that `import qspec` is quick: names by module, and modules."""

__all__ = [
    "Activate",
    "Add",
    "Affine",
    "Agreement",
    "AveragePool2D",
    "Categorical",
    "CertificateError",
    "Certification",
    "Concat",
    "Constant",
    "Conv2D",
    "Dense",
    "ErrorBounds",
    "Exp",
    "Feature",
    "Finished",
    "Fixed",
    "Flatten",
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
    "Lookup",
    "MaxPool2D",
    "ModelFileError",
    "Multiplier",
    "Network",
    "NetworkError",
    "Objective",
    "Optimum",
    "Ordinal",
    "Overflow",
    "PackageMissingError",
    "Pad",
    "PerChannel",
    "Property",
    "QspecError",
    "Radius",
    "ReLU",
    "RealConv2D",
    "RealDense",
    "RealInput",
    "RealNetwork",
    "RealSequential",
    "RealSparse",
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
    "Softmax",
    "Softplus",
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
    "agree",
    "all",
    "any",
    "apply",
    "argmax",
    "certify",
    "clip",
    "compare",
    "determines",
    "dot",
    "error_bounds",
    "exists",
    "exp",
    "fairness",
    "falsify",
    "fewest_bits",
    "fold_batch_norm",
    "forall",
    "grid",
    "int4",
    "int8",
    "int16",
    "join",
    "l0",
    "l1",
    "largest_error",
    "largest_radius",
    "largest_value",
    "least_value",
    "linf",
    "load",
    "load_real",
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
    "real_apply",
    "real_properties",
    "relu",
    "same",
    "sigmoid",
    "softmax",
    "softplus",
    "sum",
    "sweep",
    "tanh",
    "to_lp",
    "to_mps",
    "to_pysmt",
    "to_smtlib",
    "to_tflite",
    "together",
    "uint8",
    "verify",
    "verify_many",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"qspec.{name}")
    for module, names in _LATER.items():
        if name in names:
            found: object = getattr(import_module(module), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'qspec' has no attribute {name!r}")
