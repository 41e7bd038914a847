"""Samples that are rows of a table: which of them the features admit."""

from __future__ import annotations

from typing import cast

from qspec.arithmetic.integers import IntArray
from qspec.errors import SpecError
from qspec.face import Network
from qspec.language.interpret import in_domain
from qspec.network.layers import Feature, Input


def features_of(network: Network) -> tuple[Feature, ...]:
    """Return the features of the input; none if it is no row of a table."""
    return cast(Input, network.inputs[0].layer).features


def admits(network: Network, codes: IntArray) -> bool:
    """Return whether flat codes are an input: of a table, whether its features admit them."""
    return not features_of(network) or in_domain(network.input("x").domain, codes)


def check_rows(network: Network, rows: IntArray) -> None:
    """Raise SpecError on codes, shape (samples, size), that are no rows of the table."""
    if outside := [k for k, row in enumerate(rows) if not admits(network, row)]:
        raise SpecError(
            "a sample that its features do not admit",
            given=f"sample {outside[0]}: {rows[outside[0]].tolist()}",
            expected="; ".join(map(str, features_of(network))),
        )
