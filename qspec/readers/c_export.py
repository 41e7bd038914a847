"""Write a network as a C99 header: integer arithmetic alone, no library but `stdint.h`, code for code what the reference computes.

The header is made from the integer program of the network, one loop for each of its operations, so every network that has one is written:
formats, roundings, kernels of runtimes, tables. Types are the smallest that hold what bounds say a value can be; nothing can overflow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude
from qspec.bounds.interval import Interval, bound
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.files.atomic import replacing, writing
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap, needed
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse
from qspec.ir.staircase import Rescale, Steps
from qspec.lowering.evaluate import program
from qspec.readers.c_text import ROUNDINGS, constants, functions, identifier, literal, period, smallest
from qspec.support import checks

LARGEST = 1 << 62
"""What no value and no intermediate result may reach."""


def to_c(network: Network, path: str | Path, *, name: str | None = None) -> None:
    """Write a network as a C99 header with `void NAME_run(const … *x, … *y)`, one argument for each input and output, all codes.

    `name` is that of the network, unless given. Arrays are in C order, images with channels last; buffers are static, so that one call
    runs at a time. Raises UnsupportedError on values beyond 62 bits, SpecError if the file cannot be written.
    """
    checks.kind(network, Network, "what is written", "a Network")
    checks.path(path, "the file to write")
    text = _Header(network, identifier(network.name if name is None else checks.text(name, "the name"))).text()
    with writing(path), replacing(Path(path)) as stream:
        stream.write(text.encode())


@dataclass(slots=True)
class _Header:
    network: Network
    name: str
    nodes: Program = ()
    known: list[Interval] = field(default_factory=list[Interval])
    data: list[str] = field(default_factory=list[str])
    body: list[str] = field(default_factory=list[str])
    used: set[str] = field(default_factory=set[str])

    def text(self) -> str:
        """Return the header."""
        self.nodes, taps = program(self.network)
        self.known = bound(self.nodes)
        outputs = [taps[self.network.stages[o].name].output for o in self.network.outputs]
        inputs = [k for k, n in enumerate(self.nodes) if isinstance(n, Input)]
        for k in needed(self.nodes, outputs):
            self._expect_small(self.known[k].magnitude, k)
            if k not in inputs:
                self.data.append(f"static {self._type(k)} {self._buffer(k)}[{self._size(k)}];\n")
                self.body += self._node(k, self.nodes[k])
        given = [f"const {self._type(k)} *{self._buffer(k)}" for k in inputs]
        made = [f"{self._type(k)} *y{j if len(outputs) > 1 else ''}" for j, k in enumerate(outputs)]
        for j, k in enumerate(outputs):
            self.body.append(f"for (i = 0; i < {self._size(k)}; i++) y{j if len(outputs) > 1 else ''}[i] = {self._buffer(k)}[i];")
        used = [v for v in "ijrsc" if any(f"({v} = " in line for line in self.body)]
        counters = f"    int32_t {', '.join(used)};\n" if used else ""
        unread = "".join(f"    (void){self._buffer(k)};\n" for k in inputs if not any(f"{self._buffer(k)}[" in line for line in self.body))
        total = "    int64_t a;\n" if any("a = " in line or "a += " in line for line in self.body) else ""
        lines = "".join(f"    {line}\n" for line in self.body)
        run = f"static inline void {self.name}_run({', '.join(given + made)})\n{{\n{counters}{total}{unread}{lines}}}\n"
        guard = f"{self.name.upper()}_H"
        return "\n".join(
            [
                self._comment(),
                f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n",
                functions(f"{self.name}_", self.used),
                "".join(self.data),
                run,
                "#endif\n",
            ]
        )

    def _comment(self) -> str:
        shapes = [("in", s.name, s.type) for s in self.network.inputs]
        shapes += [("out", self.network.stages[o].name, self.network.stages[o].type) for o in self.network.outputs]
        lines = [f" * {way}: {name}, {' x '.join(map(str, t.shape))} codes" for way, name, t in shapes]
        meaning = f"{self.network.name}, {self.network.semantics} arithmetic; written by qspec, integers alone"
        return "/* " + "\n".join([meaning.replace("*/", ""), *(line.replace("*/", "") for line in lines)]) + "\n */"

    def _node(self, k: int, node: Node) -> list[str]:
        """Return the statements of one operation."""
        to, size = self._buffer(k), self._size(k)
        match node:
            case Input():
                return []
            case Affine(terms, bias):
                return self._affine(k, terms, bias)
            case Staircase(a, steps):
                return self._rescaled(k, a, steps) if isinstance(steps, Rescale) else self._stepped(k, a, steps)
            case Table(a, first, values):
                p = period([first, values])
                place = f"{self._buffer(a)}[i] - {self._value(k, 'f', first[:p], _at(p))}"
                table = self._array(k, "v", values[:p])
                return [f"for (i = 0; i < {size}; i++) {to}[i] = {table}[{_at(p)} * {values.shape[1]} + ({place})];"]
            case Product(left, right):
                return [
                    f"for (i = 0; i < {size}; i++) {to}[i] = {self._cast(k)}((int64_t){self._buffer(left)}[i] * {self._buffer(right)}[i]);"
                ]
            case Maximum():
                return self._maximum(k, node)
            case Wrap(a, width, signed):
                return self._wrapped(k, a, width, signed)
            case _:
                assert_never(node)

    def _affine(self, k: int, terms: tuple[tuple[LinearMap, int], ...], bias: IntArray) -> list[str]:
        """Sum terms into the buffer of a node, whose type holds all partial sums; the first term and the bias begin it."""
        to, size = self._buffer(k), self._size(k)
        p = period([bias])
        start = self._value(k, "b", bias[:p], _at(p))
        m, a = terms[0] if len(terms) == 1 else (None, 0)
        if isinstance(m, Sparse) and m.diagonal:
            q = period([m.coefficients])
            factor = self._value(k, "m0", m.coefficients[:q], _at(q))
            return [f"for (i = 0; i < {size}; i++) {to}[i] = {self._cast(k)}({start} + (int64_t){factor} * {self._buffer(a)}[i]);"]
        reach = magnitude(bias) + sum(m.gain * self.known[a].magnitude for m, a in terms)
        self._expect_small(reach, k)
        if m is not None:
            return self._mapped(k, m, a, start, "m0", f"{to}[i] = {self._cast(k)}a;")
        wide, kind = f"{self._buffer(k)}_s", smallest(-reach, reach)
        self.data.append(f"static {kind} {wide}[{size}];\n")
        lines = [f"for (i = 0; i < {size}; i++) {wide}[i] = {start};"]
        for number, (m, a) in enumerate(terms):
            lines += self._mapped(k, m, a, f"{wide}[i]", f"m{number}", f"{wide}[i] = ({kind})a;")
        return [*lines, f"for (i = 0; i < {size}; i++) {to}[i] = {self._cast(k)}{wide}[i];"]

    def _mapped(self, k: int, m: LinearMap, a: int, start: str, label: str, store: str) -> list[str]:
        """Return the loops of one map: for element i, `a` becomes `start` and the sum of products, and `store` says where it goes."""
        x = self._buffer(a)
        match m:
            case Dense():
                term = f"(int64_t){self._array(k, label, m.matrix)}[i * {m.inputs} + j] * {x}[j]"
                return [
                    f"for (i = 0; i < {m.outputs}; i++) {{",
                    f"    a = {start};",
                    f"    for (j = 0; j < {m.inputs}; j++) a += {term};",
                    f"    {store}",
                    "}",
                ]
            case Sparse():
                ends = self._array(k, label + "e", m.starts)
                columns, values = self._array(k, label + "c", m.columns), self._value(k, label, m.coefficients, "j")
                term = f"(int64_t){values} * {x}[{columns}[j]]"
                if not m.columns.size:
                    return [f"for (i = 0; i < {m.outputs}; i++) {{", f"    a = {start};", f"    {store}", "}"]
                return [
                    f"for (i = 0; i < {m.outputs}; i++) {{",
                    f"    a = {start};",
                    f"    for (j = {ends}[i]; j < {ends}[i + 1]; j++) a += {term};",
                    f"    {store}",
                    "}",
                ]
            case Convolution():
                return self._convolved(k, m, x, start, store, label)
            case _:
                assert_never(m)

    def _convolved(self, k: int, m: Convolution, x: str, start: str, store: str, label: str) -> list[str]:
        height, width, depth = m.image
        rows, columns, channels = m.shape
        kh, kw, own, _ = m.kernel.shape
        top, left = m.padding[0][0], m.padding[1][0]
        kernel = self._array(k, label, m.kernel)
        return [
            f"for (i = 0; i < {rows * columns * channels}; i++) {{",
            f"    const int32_t top = (int32_t)(i / {columns * channels}) * {m.stride[0]} - {top};",
            f"    const int32_t left = (int32_t)(i / {channels} % {columns}) * {m.stride[1]} - {left};",
            f"    const int32_t o = i % {channels}, first = o / {channels // m.groups} * {own};",
            f"    a = {start};",
            f"    for (r = 0; r < {kh}; r++) {{",
            f"        const int32_t row = top + r * {m.dilation[0]};",
            f"        if (row < 0 || row >= {height}) continue;",
            f"        for (s = 0; s < {kw}; s++) {{",
            f"            const int32_t column = left + s * {m.dilation[1]};",
            f"            if (column < 0 || column >= {width}) continue;",
            f"            for (c = 0; c < {own}; c++)",
            f"                a += (int64_t){kernel}[((r * {kw} + s) * {own} + c) * {channels} + o]",
            f"                    * {x}[(row * {width} + column) * {depth} + first + c];",
            "        }",
            "    }",
            f"    {store}",
            "}",
        ]

    def _rescaled(self, k: int, a: int, steps: Rescale) -> list[str]:
        arrays = [v for v in (steps.numerator, steps.offset, steps.denominator, steps.lower, steps.upper) if v is not None]
        p = period(arrays)
        n, o, d = (self._value(k, c, v[:p], _at(p)) for c, v in (("n", steps.numerator), ("o", steps.offset), ("d", steps.denominator)))
        largest = magnitude(steps.numerator) * self.known[a].magnitude + magnitude(steps.offset)
        self._expect_small(2 * largest + 2 * magnitude(steps.denominator), k)
        name = ROUNDINGS[steps.rounding]
        self.used.add(name)
        lines = [f"for (i = 0; i < {self._size(k)}; i++) {{"]
        lines.append(f"    a = {self.name}_{name}((int64_t){n} * {self._buffer(a)}[i] + {o}, {d});")
        for ends, sign, label in ((steps.lower, "<", "l"), (steps.upper, ">", "u")):
            if ends is not None:
                end = self._value(k, label, ends[:p], _at(p))
                lines.append(f"    if (a {sign} {end}) a = {end};")
        return [*lines, f"    {self._buffer(k)}[i] = {self._cast(k)}a;", "}"]

    def _stepped(self, k: int, a: int, steps: Steps) -> list[str]:
        p, rows = period([steps.base, steps.thresholds]), steps.thresholds.shape[1]
        start, at = self._value(k, "b", steps.base[:p], _at(p)), f"{_at(p)} * {rows} + j"
        lines = [f"for (i = 0; i < {self._size(k)}; i++) {{", f"    a = {start};"]
        if rows:
            table = self._array(k, "t", steps.thresholds[:p])
            lines.append(f"    for (j = 0; j < {rows}; j++) a += {self._buffer(a)}[i] >= {table}[{at}];")
        return [*lines, f"    {self._buffer(k)}[i] = {self._cast(k)}a;", "}"]

    def _maximum(self, k: int, node: Maximum) -> list[str]:
        width = node.groups.shape[1]
        index = self._array(k, "g", node.members)
        x = self._buffer(node.argument)
        return [
            f"for (i = 0; i < {self._size(k)}; i++) {{",
            f"    a = {x}[{index}[i * {width}]];",
            f"    for (j = 0; j < {width}; j++) if ({x}[{index}[i * {width} + j]] > a) a = {x}[{index}[i * {width} + j]];",
            f"    {self._buffer(k)}[i] = {self._cast(k)}a;",
            "}",
        ]

    def _wrapped(self, k: int, a: int, width: IntArray, signed: bool) -> list[str]:
        self._expect_small(2 << int(width.max()), k)
        modulus: IntArray = np.left_shift(np.ones_like(width), width)
        p = period([modulus])
        m = self._value(k, "w", modulus[:p], _at(p))
        self.used.add("floor")
        lines = [
            f"for (i = 0; i < {self._size(k)}; i++) {{",
            f"    a = {self._buffer(a)}[i];",
            f"    a -= {self.name}_floor(a, {m}) * (int64_t){m};",
        ]
        if signed:
            lines.append(f"    if (a >= {m} / 2) a -= {m};")
        return [*lines, f"    {self._buffer(k)}[i] = {self._cast(k)}a;", "}"]

    # ---- names and values

    def _buffer(self, k: int) -> str:
        own = self.nodes[k]
        return f"{identifier(own.name)}_in" if isinstance(own, Input) else f"{self.name}_{k}"

    def _type(self, k: int) -> str:
        return smallest(int(self.known[k].lower.min()), int(self.known[k].upper.max()))

    def _cast(self, k: int) -> str:
        return f"({self._type(k)})"

    def _size(self, k: int) -> int:
        return self.known[k].lower.size

    def _array(self, k: int, label: str, values: IntArray) -> str:
        """Keep a constant array; returns its name."""
        name = f"{self.name}_{k}{label}"
        self._expect_small(magnitude(values), k)
        self.data.append(constants(name, values))
        return name

    def _value(self, k: int, label: str, values: IntArray, at: str) -> str:
        """Return one value of an array at an index: itself, if all are the same."""
        if values.size and np.all(values == values.reshape(-1)[0]):
            one = int(values.reshape(-1)[0])
            self._expect_small(abs(one), k)
            return literal(one) if one >= 0 else f"({literal(one)})"
        return f"{self._array(k, label, values)}[{at}]"

    def _expect_small(self, largest: int, k: int) -> None:
        if largest >= LARGEST:
            raise UnsupportedError(
                "numbers beyond 62 bits are not written as C",
                given=f"up to {largest.bit_length()} bits in operation {k} of {self.network.name!r}",
                expected="fewer bits in accumulators, or smaller multipliers",
            )


def _at(period: int) -> str:
    return "0" if period == 1 else f"i % {period}"
