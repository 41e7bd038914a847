"""Content hashes of programs, so that a stored result names exactly what it is about."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Protocol, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import Query
from qspec.ir.real import Query as RealQuery


class Hash(Protocol):
    """What is needed of a hash state."""

    def update(self, data: bytes, /) -> None: ...


def digest(query: Query | RealQuery) -> str:
    """Return the SHA-256 of a query: its operations, every array, and the goal."""
    state = hashlib.sha256()
    for node in query.program:
        _feed(state, node)
    _feed(state, query.goal)
    return state.hexdigest()


def content(value: object) -> str:
    """Return the SHA-256 of a tree of dataclasses and arrays, such as a real network."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _feed(state: Hash, value: object) -> None:
    """Add a value with its type and extent, so that no two different values feed alike."""
    match value:
        case np.ndarray():
            _feed_array(state, cast(IntArray, value))
        case tuple():
            items = cast(tuple[object, ...], value)
            state.update(f"tuple{len(items)}:".encode())
            for item in items:
                _feed(state, item)
        case Enum():
            state.update(f"{type(value).__name__}:{value.name};".encode())
        case _ if is_dataclass(value):
            state.update(f"{type(value).__name__}:".encode())
            for f in fields(value):
                _feed(state, getattr(value, f.name))
        case _:
            state.update(f"{type(value).__name__}:{len(str(value))}:{value};".encode())


def _feed_array(state: Hash, array: IntArray) -> None:
    if array.dtype == object:
        body = ",".join(map(str, array.reshape(-1).tolist())).encode()
    else:
        body = array.astype("<f8" if array.dtype.kind == "f" else "<i8").tobytes()
    state.update(f"array{array.dtype.kind}{array.shape}:{len(body)}:".encode())
    state.update(body)
