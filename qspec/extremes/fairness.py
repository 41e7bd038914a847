"""Individual fairness over a schema: two rows that differ in nothing but protected features, and what the network makes of them.

The general form is CertiFair's (Khedr and Shoukry 2022): rows a and b with `|a[f] - b[f]| <= delta[f]` for every feature f that is not
protected are treated alike. Without `delta` they agree there, which is the property of Fairify (Biswas and Rajan 2023) and of Giacobbe,
Henzinger, Lechner, TACAS 2020. Rows that break a link of the schema do not count. Networks are quantised or real; of a real one too the
rows are those of the table, and not the reals between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from qspec.arithmetic.formats import Format, code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import SpecError
from qspec.extremes.optimize import maximize
from qspec.extremes.optimum import Objective
from qspec.face import Network, RealNetwork
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula
from qspec.language.domains import OneHot, Piece, Range, VariableDomain
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.formulas import argmax, same
from qspec.language.functions import maximum
from qspec.language.property import Property, Requirement, forall, requiring
from qspec.language.variables import Variable
from qspec.named.schema import Categorical, Column, Link, Schema, Whole, Word
from qspec.network.layers import Input
from qspec.network.types import Type
from qspec.support import checks

Delta = Mapping[str, object]
"""By how much a feature may differ, in its own unit (years, levels); None: by any amount. Features that are not named agree."""
Ties = Literal["excluded", "accepted"]


def same_decision(network: Network | RealNetwork, schema: Schema, *, delta: Delta | None = None, ties: Ties = "excluded") -> Property:
    """State that alike rows get the same class: the same argmax, or, of a single output, the same sign.

    With ties "excluded" an output of exactly 0 contradicts neither sign (as in Fairify), with "accepted" it counts as positive.
    """
    if ties not in ("excluded", "accepted"):
        raise SpecError("unknown rule for an output of zero", given=ties, expected='"excluded" or "accepted"')
    a, b = rows(network, schema, "a", "b")
    f, g = _output(network, a), _output(network, b)
    if f.size > 1:
        then: Formula = argmax(f) == argmax(g)
    else:
        # The condition on rows is symmetric, so that one of the two orders of signs is enough.
        refused, accepted = f.reshape() < 0, g.reshape() > 0 if ties == "excluded" else g.reshape() >= 0
        then = ~(refused & accepted)
    return forall(a, b, given=_alike(schema, a, b, delta), then=then, name="same_decision")


def close_values(network: Network | RealNetwork, schema: Schema, tolerance: Operand, *, delta: Delta | None = None) -> Property:
    """State that the outputs for alike rows differ by at most `tolerance` (in values) in every element."""
    a, b = rows(network, schema, "a", "b")
    gap = maximum(_output(network, a) - _output(network, b))  # of a and b in both orders, so that no absolute value is needed
    spec = forall(a, b, given=_alike(schema, a, b, delta), then=gap <= tolerance, name="close_values")
    return requiring(spec, Requirement("the tolerance", expression(tolerance)))


def largest_gap(network: Network, schema: Schema, *, delta: Delta | None = None) -> Objective:
    """Ask for the largest difference of an output (in values) between alike rows; `qs.optimize` finds it."""
    a, b = rows(network, schema, "a", "b")
    gap = maximum(_output(network, a) - _output(network, b))
    return maximize(gap, a, b, given=_alike(schema, a, b, delta), name="largest_gap")


def rows(network: Network | RealNetwork, schema: Schema, *names: str) -> tuple[Variable, ...]:
    """Return variables over the rows of a table, in the numbers that the network reads; links are not in their domain.

    Raises SpecError if the network has another number of columns, or its input format cannot hold a number of some column.
    """
    fmt, columns = _input(network, schema)
    if columns != schema.columns:
        raise SpecError("the network reads other columns", given=f"{columns} columns", expected=f"{schema.columns}, those of the schema")
    grid = fmt.grid()
    units, zeros = grid.per_element((columns,))
    low, high = code_range(fmt, (columns,))

    def codes(f: Column, where: slice, values: list[Fraction]) -> IntArray:
        exact = [v / u + z for v, u, z in zip(values, units[where], zeros[where], strict=True)]
        if any(c.denominator != 1 or not lo <= c <= hi for c, lo, hi in zip(exact, low[where], high[where], strict=True)):
            shown = ", ".join(map(str, values))
            raise SpecError(
                f"the input cannot hold a number of feature {f.name!r}", given=shown, expected=str(fmt), advice=str(schema.format())
            )
        return integers([int(c) for c in exact])

    pieces: list[Piece] = []
    for f, where in schema.slices():
        positions = integers(list(range(columns))[where])
        if f.columns > 1:
            off, on = (codes(f, where, [Fraction(v)] * f.columns) for v in (0, 1))
            pieces.append(OneHot(f.name, positions, off, on))
        else:
            count = len(f.values) - 1
            first, last = codes(f, where, [f.start]), codes(f, where, [f.start + count * f.stride])
            stride = (last - first) // max(1, count)
            codes(f, where, [f.start + f.stride * min(1, count)])
            pieces.append(Range(positions, first, np.maximum(stride, 1), integers([count])))
    named = tuple((f.name, where.start, where.stop) for f, where in schema.slices())
    words = {f.name: f.values for f in schema.features}
    return tuple(Variable(name, Type((columns,), grid), VariableDomain(columns, _joined(pieces)), named, words) for name in names)


def outputs(network: Network | RealNetwork, schema: Schema, row: Mapping[str, Word]) -> list[Fraction]:
    """Return the exact outputs for a row, flattened; of a real network with sigmoids the lower of two close numbers around each."""
    numbers = schema.encode(row)
    if isinstance(network, RealNetwork):
        return [Fraction(v) for v in network.enclose(numbers)[0].reshape(-1)]
    units, zeros = network.inputs[0].type.grid.per_element((numbers.size,))
    codes = integers([int(Fraction(v) / u + z) for v, u, z in zip(numbers.tolist(), units, zeros, strict=True)])
    result, grid = network.evaluate(codes.reshape(network.inputs[0].type.shape)), network.output_types[0].grid
    units, zeros = grid.per_element(network.output_types[0].shape)
    return [Fraction(v) for v in units * (result.reshape(-1).astype(object) - zeros)]


def in_words(network: Network | RealNetwork, schema: Schema, codes: Mapping[str, IntArray]) -> dict[str, dict[str, Word]]:
    """Return rows, in words, for the codes of variables (`result.codes`, `optimum.witness`), by the name of the variable."""
    fmt, columns = _input(network, schema)
    units, zeros = fmt.grid().per_element((columns,))
    return {name: schema.row(units * (np.asarray(c).astype(object) - zeros)) for name, c in codes.items()}


def explain(network: Network | RealNetwork, schema: Schema, codes: Mapping[str, IntArray]) -> str:
    """Return a counterexample, or a worst pair, as a table in words: a row for each feature, marked where they differ, and the outputs."""
    found = in_words(network, schema, codes)
    lines = [["", *found], *([f.name, *(str(row[f.name]) for row in found.values())] for f in schema.features)]
    shown = [[f"{float(v):.6g}" for v in outputs(network, schema, row)] for row in found.values()]
    lines += [[f"output {k}" if len(shown[0]) > 1 else "output", *column] for k, column in enumerate(zip(*shown, strict=True))]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    text: list[str] = []
    for n, line in enumerate(lines):
        marked = "  ←" if 0 < n <= len(schema.features) and len(set(line[1:])) > 1 else ""
        text.append("  ".join([line[0].ljust(widths[0]), *(w.rjust(k) for w, k in zip(line[1:], widths[1:], strict=True))]) + marked)
    return "\n".join(text)


def _input(network: Network | RealNetwork, schema: Schema) -> tuple[Format, int]:
    """Return the format of a network's one input, which for a real network is the schema's own, and its size."""
    checks.kind(network, Network | RealNetwork, "a network", "a Network or a RealNetwork")
    checks.kind(schema, Schema, "a schema", "qs.Schema(…)")
    if len(network.inputs) != 1:
        raise SpecError("which input?", given=[s.name for s in network.inputs], expected="a network with one input")
    if isinstance(network, RealNetwork):
        return schema.format(), network.inputs[0].size
    layer = network.inputs[0].layer
    assert isinstance(layer, Input)
    return layer.format, network.inputs[0].type.size


def _output(network: Network | RealNetwork, row: Variable) -> Expression:
    return network(row).flatten()


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Return all ranges as one piece before the groups, so that they are one array of free integers."""
    ranges = [p for p in pieces if isinstance(p, Range)]
    rest = [p for p in pieces if not isinstance(p, Range)]
    if not ranges:
        return tuple(rest)
    fields = ([getattr(p, name) for p in ranges] for name in ("positions", "start", "stride", "count"))
    return (Range(*(integers(np.concatenate(f)) for f in fields)), *rest)


def _alike(schema: Schema, a: Variable, b: Variable, delta: Delta | None) -> Formula:
    """Return that two rows break no link and differ in no feature by more than allowed."""
    if not schema.protected:
        raise SpecError("the schema protects nobody", given="no protected feature", expected='protected=("sex",)')
    if delta is not None:
        checks.kind(delta, Mapping, "`delta`", '{"age": 1}')
    given = dict(delta or {})
    for name in given:
        schema.feature(name)
    free = [name for name in (f.name for f in schema.features) if name in schema.protected or given.get(name, 0) != 0]
    parts: list[Formula] = [same(a, b, except_for=free)]
    parts += [_near(schema.feature(name), a, b, given[name]) for name in free if name not in schema.protected and given[name] is not None]
    # Of what both rows share one statement is enough.
    own = [link for link in schema.links if {*link.when, *link.then} & {*free}]
    parts += [_linked(schema, a, schema.links), _linked(schema, b, own)] if schema.links else []
    return _all(parts)


def _near(f: Column, a: Variable, b: Variable, delta: object) -> Formula:
    """Return that a feature differs by at most `delta`, in units of the row."""
    if isinstance(f, Categorical) or isinstance(delta, bool) or not isinstance(delta, int | Fraction) or delta < 0:
        raise SpecError(
            f"feature {f.name!r} cannot differ by this",
            given=delta,
            expected="None (by anything), or of numbers and ordinals a number >= 0",
        )
    per_unit = f.scale if isinstance(f, Whole) else 1
    return abs(a[f.name] - b[f.name]) <= per_unit * delta


def _linked(schema: Schema, v: Variable, links: Sequence[Link]) -> Formula:
    """Return that a row breaks none of these links."""
    parts: list[Formula] = []
    for link in links:
        when, then = (_all([_among(schema, v, name, words) for name, words in side.items()]) for side in (link.when, link.then))
        parts.append(~when | then)
    return _all(parts)


def _among(schema: Schema, v: Variable, name: str, words: Sequence[Word]) -> Formula:
    """Return that a feature has one of these values."""
    f, column, places = schema.feature(name), v[name], schema.places(name, words)
    parts: list[Formula] = []
    if f.columns > 1:
        parts += [column[k] >= 1 for k in places]
    else:
        # Neighbours are one interval, of which an end that every row meets needs no saying.
        for run in np.split(np.array(places), np.flatnonzero(np.diff(places) != 1) + 1):
            ends: list[Formula] = []
            if run.size and run[0] > 0:
                ends.append(column >= f.start + f.stride * int(run[0]))
            if run.size and run[-1] < len(f.values) - 1:
                ends.append(column <= f.start + f.stride * int(run[-1]))
            parts.append(_all(ends) if run.size else Constantly(False))
    return Disjunction(tuple(parts)) if len(parts) > 1 else parts[0] if parts else Constantly(False)


def _all(parts: Sequence[Formula]) -> Formula:
    return Conjunction(tuple(parts)) if len(parts) > 1 else parts[0] if parts else Constantly(True)
