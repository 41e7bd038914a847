"""Training of quantised networks that can be certified: layers, losses, schedules, and the way to a `Network`, on JAX and optax.

`from qspec import training`; it is not loaded by `import qspec`. Needs `pip install "qspec-verify[train]"`.
"""

from __future__ import annotations

from qspec.files.samples import read_folders as read_folders
from qspec.files.samples import read_idx as read_idx
from qspec.files.samples import read_npz as read_npz
from qspec.training.augment import Augmentation as Augmentation
from qspec.training.bounds import Bounded as Bounded
from qspec.training.fit import Phase as Phase
from qspec.training.fit import Trained as Trained
from qspec.training.fit import train as train
from qspec.training.layers import Architecture as Architecture
from qspec.training.layers import Conv as Conv
from qspec.training.layers import Dense as Dense
from qspec.training.schedule import Ramp as Ramp
from qspec.training.schedule import Rate as Rate

__all__ = [
    "Architecture",
    "Augmentation",
    "Bounded",
    "Conv",
    "Dense",
    "Phase",
    "Ramp",
    "Rate",
    "Trained",
    "read_folders",
    "read_idx",
    "read_npz",
    "train",
]
