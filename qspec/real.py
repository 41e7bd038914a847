"""Networks over the reals: `qs.real.Dense`, `qs.real.Input`, … are for real numbers what `qs.Dense`, `qs.Input`, … are for codes.

Layers without parameters (`qs.Flatten`, `qs.Add`, `qs.Concat`, `qs.MaxPool2D`, `qs.AveragePool2D`) and activations such as `qs.ReLU` are
the same in both worlds.
"""

from __future__ import annotations

from qspec.face import RealNetwork as Network
from qspec.face import RealSequential as Sequential
from qspec.named import real_properties as properties
from qspec.network.graph import real_apply as apply
from qspec.network.real_layers import Activate, Exp, Softmax, Softplus
from qspec.network.real_layers import RealConv2D as Conv2D
from qspec.network.real_layers import RealDense as Dense
from qspec.network.real_layers import RealInput as Input
from qspec.network.real_layers import RealSparse as Sparse

__all__ = ["Activate", "Conv2D", "Dense", "Exp", "Input", "Network", "Sequential", "Softmax", "Softplus", "Sparse", "apply", "properties"]
