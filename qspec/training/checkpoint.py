"""The state of a training in a file: plain arrays in an npz, written whole, and bound to the training that it belongs to."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.errors import SpecError
from qspec.evaluate import device
from qspec.files.atomic import replacing
from qspec.training.layers import Parameters
from qspec.training.optimizer import Optimizer


class Row(NamedTuple):
    """Progress: the phase and its step, the loss of the last batch, and the shares of held-out samples right and certified (in floats)."""

    phase: int
    step: int
    loss: float
    clean: float
    certified: float


class TrainingState(NamedTuple):
    """Where a training is: the phase, how many of its steps are done, parameters, what the optimiser remembers, and progress so far."""

    phase: int
    step: int
    parameters: Parameters
    optimizer_state: object
    history: tuple[Row, ...]


def stamp(plan: object, data: tuple[IntArray, IntArray]) -> str:
    """Return the SHA-256 of what decides the result of a training: its plan, a tree of plain dataclasses, and its data."""
    state = hashlib.sha256(repr(plan).encode())
    for array in data:
        state.update(repr(array.shape).encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def write(path: Path, mark: str, state: TrainingState) -> None:
    """Write a state; after a crash there is the new file, or the one from before."""
    arrays: dict[str, npt.NDArray[Any]] = {f"leaf{k}": a for k, a in enumerate(device.leaves((state.parameters, state.optimizer_state)))}
    arrays["stamp"], arrays["at"] = np.array(mark), np.array([state.phase, state.step])
    arrays["history"] = np.array(state.history, dtype=np.float64).reshape(-1, len(Row._fields))
    with replacing(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read(path: Path, mark: str, fresh: Parameters, optimizers: Sequence[Optimizer]) -> TrainingState:
    """Return the state in a file; raises SpecError if it is damaged, or of a training with another plan or other data."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        phase, step = (int(n) for n in found["at"])
        same = str(found["stamp"]) == mark
        example = (fresh, optimizers[phase].init(fresh))
        count = len(device.leaves(example)) if same else 0
        parameters, optimizer_state = device.with_leaves(example, [found[f"leaf{k}"] for k in range(count)]) if same else example
        history = tuple(Row(int(r[0]), int(r[1]), *map(float, r[2:])) for r in found["history"])
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        raise SpecError(
            "not the state of a training", given=str(path), expected="an npz file written by train", advice="remove it"
        ) from None
    if not same:
        raise SpecError(
            "this file holds the state of another training",
            given=str(path),
            expected="the same architecture, phases, seed and data",
            advice="name another file, or remove this one",
        )
    return TrainingState(phase, step, parameters, optimizer_state, history)
