"""Small random real queries over every operation, and what they are in other hands: z3 terms, and values at many points."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import Any as AnyType

import numpy as np
import numpy.typing as npt
import z3

from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    Truth,
    check,
    entries,
    exact,
    fractions,
    sizes,
)

Floats = npt.NDArray[np.float64]
ALGEBRAIC = (Function.RELU, Function.RELU, Function.RECIPROCAL)
SMOOTH = (Function.TANH, Function.SIGMOID, Function.EXP, Function.SOFTPLUS)


def random_query(seed: int) -> Query:
    """Return a query of 1 to 4 inputs and up to five operations; every other seed has no transcendental function."""
    rng = np.random.default_rng(seed)
    functions = ALGEBRAIC if seed % 2 == 0 else ALGEBRAIC + SMOOTH * 2
    nodes: list[Node] = []
    for k in range(int(rng.integers(1, 3))):
        low = _numbers(rng, int(rng.integers(1, 3)), 2)
        nodes.append(Input(f"x{k}", low, exact(fractions(low) + abs(fractions(_numbers(rng, low.size, 2))))))
    nodes.append(_affine(rng, nodes, int(rng.integers(1, 4))))
    for _ in range(int(rng.integers(1, 6))):
        nodes += _operation(rng, nodes, functions)
    nodes.append(_affine(rng, nodes, int(rng.integers(1, 4))))
    return check(Query(tuple(_shifted(rng, nodes)), _goal(rng, len(nodes) - 1, 2)))


def _numbers(rng: np.random.Generator, count: int, scale: int) -> npt.NDArray[AnyType]:
    """Return coarse numbers, which make ties, or fine ones, or thirds, which no double is."""
    match int(rng.integers(0, 3)):
        case 0:
            return rng.integers(-2 * scale, 2 * scale + 1, count) / 2.0
        case 1:
            return scale * rng.normal(size=count)
        case _:
            return exact([Fraction(int(v), 3) for v in rng.integers(-3 * scale, 3 * scale + 1, count)])


def _affine(rng: np.random.Generator, nodes: list[Node], outputs: int) -> Affine:
    size = sizes(tuple(nodes))
    chosen: list[int] = rng.choice(len(nodes), min(len(nodes), int(rng.integers(1, 3))), replace=False).tolist()
    if len(nodes) - 1 not in chosen and rng.random() < 0.8:
        chosen[0] = len(nodes) - 1
    terms: list[tuple[Matrix | Entries, int]] = []
    for a in chosen:
        m = Matrix(exact(_numbers(rng, outputs * size[a], 1).reshape(outputs, size[a])))
        terms.append((m if rng.random() < 0.5 else entries(m), a))
    return Affine(tuple(terms), _numbers(rng, outputs, 1))


def _operation(rng: np.random.Generator, nodes: list[Node], functions: tuple[Function, ...]) -> list[Node]:
    size, last = sizes(tuple(nodes)), len(nodes) - 1
    match int(rng.integers(0, 5)):
        case 0:
            same = [k for k in range(len(nodes)) if size[k] == size[last]]
            return [Product(last, int(rng.choice(same)))]
        case 1:
            first = rng.integers(0, size[last], (int(rng.integers(1, 3)), 1))
            return [Maximum(last, np.concatenate([first, rng.integers(-1, size[last], first.shape)], 1))]
        case 2:
            return [_affine(rng, nodes, int(rng.integers(1, 4)))]
        case _:
            function = functions[int(rng.integers(len(functions)))]
            if function is not Function.RECIPROCAL:
                return [Apply(last, function)]
            positive = Affine(((Matrix(np.eye(size[last])), last + 1),), np.full(size[last], 0.5))
            return [Apply(last, Function.RELU), positive, Apply(last + 2, function)]


def _shifted(rng: np.random.Generator, nodes: list[Node]) -> list[Node]:
    """Move the last node to about its largest value at some points of the box, so that solutions are few or none."""
    query = Query(tuple(nodes), Truth(True))
    with np.errstate(all="ignore"):
        values = floats(query, points(query, 16, rng))[-1]
        level = values.max(axis=0) + float(rng.choice([-0.3, -0.1, 0.0, 0.1, 0.3])) * values.std(axis=0)
    last = nodes[-1]
    assert isinstance(last, Affine)
    if not np.all(np.isfinite(level)):
        return nodes
    coarse = np.round(level * 1024) / 1024
    return [*nodes[:-1], Affine(last.terms, exact(fractions(last.bias) - fractions(coarse)))]


def _goal(rng: np.random.Generator, node: int, depth: int) -> Formula:
    strict = bool(rng.random() < 0.5)
    match int(rng.integers(0, 4 if depth else 2)):
        case 0:
            return All(node, strict)
        case 1:
            return Any(node, strict)
        case 2:
            return And((_goal(rng, node, depth - 1), _goal(rng, int(rng.integers(node + 1)), depth - 1)))
        case _:
            return Or((_goal(rng, node, depth - 1), And((_goal(rng, node, 0), _goal(rng, int(rng.integers(node + 1)), 0)))))


def points(query: Query, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return points (count, size) of the box for every input: random ones, and corners."""
    found: dict[str, Floats] = {}
    for name, node in query.inputs.items():
        low, high = node.lower.astype(np.float64), node.upper.astype(np.float64)
        share = rng.random((count, low.size))
        share[::4] = np.round(share[::4])
        found[name] = low + share * (high - low)
    return found


def floats(query: Query, at: dict[str, Floats]) -> list[Floats]:
    """Return about the values of every node at points (count, size)."""
    values: list[Floats] = []
    for node in query.program:
        match node:
            case Input(name, _, _):
                values.append(at[name])
            case Affine(terms, bias):
                total = np.repeat(bias.astype(np.float64)[None], next(iter(at.values())).shape[0], 0)
                for m, a in terms:
                    listed = entries(m)
                    np.add.at(total.T, listed.rows, (values[a][:, listed.columns] * listed.coefficients.astype(np.float64)).T)
                values.append(total)
            case Apply(a, function):
                values.append(_applied(function, values[a]))
            case Product(left, right):
                values.append(values[left] * values[right])
            case Maximum(a, groups):
                values.append(np.where(groups >= 0, values[a][:, np.maximum(groups, 0)], -np.inf).max(-1))
    return values


def _applied(function: Function, x: Floats) -> Floats:
    match function:
        case Function.RELU:
            return np.maximum(x, 0)
        case Function.EXP:
            return np.exp(x)
        case Function.TANH:
            return np.tanh(x)
        case Function.SIGMOID:
            return 1 / (1 + np.exp(-x))
        case Function.SOFTPLUS:
            return np.logaddexp(0, x)
        case Function.RECIPROCAL:
            return 1 / x


def for_z3(query: Query) -> bool:
    """Return whether z3 has every function of a query, and is likely to end: at most two products and reciprocals."""
    algebraic = all(not isinstance(n, Apply) or n.function in ALGEBRAIC for n in query.program)
    hard = [n for n in query.program if isinstance(n, Product) or (isinstance(n, Apply) and n.function is Function.RECIPROCAL)]
    return algebraic and len(hard) <= 2


def by_z3(query: Query, effort: int = 300_000, milliseconds: int = 1000) -> str:
    """Return what z3 says of a query without transcendental functions: sat, unsat or unknown."""
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("rlimit", effort)
    solver.set("timeout", milliseconds)
    values: list[list[AnyType]] = []

    def number(v: AnyType) -> AnyType:
        f = Fraction(v)
        return z3.Q(f.numerator, f.denominator, context)

    def larger(a: AnyType, b: AnyType) -> AnyType:
        return z3.If(a >= b, a, b)

    for k, node in enumerate(query.program):
        match node:
            case Input(name, lower, upper):
                values.append([z3.Real(f"{name}_{i}", context) for i in range(lower.size)])
                for x, low, high in zip(values[k], lower.tolist(), upper.tolist(), strict=True):
                    solver.add(x >= number(low), x <= number(high))
            case Affine(terms, bias):
                sums = [number(v) for v in bias.tolist()]
                for m, a in terms:
                    e = entries(m)
                    for r, c, v in zip(e.rows.tolist(), e.columns.tolist(), e.coefficients.tolist(), strict=True):
                        sums[r] = sums[r] + number(v) * values[a][c]
                values.append(sums)
            case Apply(a, Function.RELU):
                values.append([larger(x, number(0)) for x in values[a]])
            case Apply(a, _):
                values.append([z3.Real(f"r{k}_{i}", context) for i in range(len(values[a]))])
                solver.add(*[x * r == 1 for x, r in zip(values[a], values[k], strict=True)])
            case Product(left, right):
                values.append([x * y for x, y in zip(values[left], values[right], strict=True)])
            case Maximum(a, groups):
                rows = [[values[a][i] for i in row if i >= 0] for row in groups.tolist()]
                values.append([reduce(larger, row) for row in rows])
    solver.add(_formula(query.goal, values, context))
    return str(solver.check())


def _formula(goal: Formula, values: list[list[AnyType]], context: AnyType) -> AnyType:
    match goal:
        case Truth(value):
            return z3.BoolVal(value, context)
        case All(node, strict) | Any(node, strict):
            atoms = [x > 0 if strict else x >= 0 for x in values[node]]
        case And(children) | Or(children):
            atoms = [_formula(c, values, context) for c in children]
    return z3.And(*atoms, context) if isinstance(goal, All | And) else z3.Or(*atoms, context)
