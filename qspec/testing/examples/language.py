"""Examples over the language: connectives, norms, extremes, ties, parameters, several variables and networks, features, quantifiers."""

from __future__ import annotations

import qspec as qs
from qspec.testing.example import Example, Mark
from qspec.testing.examples.parts import HALVES, HOLDS, VIOLATED, marked, mixed, mlp, stored, tensor

WHOLE = qs.Fixed(3, 0)


def _identity(size: int = 2, format: qs.Fixed = WHOLE, output: qs.Fixed = WHOLE) -> qs.Network:
    """A network that hands on its input, rounded and saturated to another format: properties of it are properties of the language."""
    return qs.Sequential(qs.Input((size,), format), qs.Requantize(output))


def _strict(*, strict: bool) -> qs.Property:
    net = mlp(seed=5)
    x = net.input("x")
    value = net(x)[0]
    return qs.forall(x, then=value > 0 if strict else value >= 0, name="strict")


def _ties(label: int, ties: str) -> qs.Property:
    """Both outputs saturate at 1 on some inputs and at -2 on others: the classes tie there."""
    narrow = qs.Fixed(2, 0)
    net = qs.Sequential(qs.Input((1,), WHOLE), qs.Dense(stored([[3, 2]], WHOLE), output=narrow))
    x = net.input("x")
    winner = qs.argmax(net(x), ties="first" if ties == "first" else "last")
    return qs.forall(x, given=abs(x[0]) >= 1, then=winner == label, name="ties")


def _unequal_classes() -> qs.Property:
    net = mlp(outputs=3, seed=5)
    x = net.input("x")
    return qs.forall(x, then=qs.argmax(net(x)).isin([0, 2]) | (net(x)[1] > net(x)[0]), name="unequal classes")


def _same_class() -> qs.Property:
    a, b = mlp(seed=6, outputs=3), mlp(seed=6, outputs=3, output=qs.Fixed(2, 0))
    x = a.input("x")
    return qs.forall(x, then=qs.argmax(a(x), ties="last") == qs.argmax(b(x), ties="last"), name="same class")


def _linf(limit: int) -> qs.Property:
    net = _identity(3)
    x = net.input("x", lower=-3, upper=3)
    return qs.forall(x, given=qs.linf(x.code - [1, 0, -1]) <= 1, then=mixed(net(x)) < limit, name="linf")


def _l1(limit: int) -> qs.Property:
    net = _identity(3)
    x = net.input("x", lower=-2, upper=2)
    return qs.forall(x, given=qs.l1(x) <= 2, then=qs.linf(net(x)) + qs.l1(net(x)) <= limit, name="l1")


def _l0() -> qs.Property:
    net = _identity(3)
    x = net.input("x", lower=-1, upper=1)
    return qs.forall(x, given=qs.l0(x) <= 1, then=qs.l1(net(x)) < 2, name="l0")


def _norm_below() -> qs.Property:
    """Norms from below cannot be split into linear pieces."""
    net = _identity(2)
    x = net.input("x")
    return qs.forall(x, given=qs.linf(x) >= 3, then=(qs.l1(net(x)) >= 3) & (qs.l0(net(x)) != 0), name="norm below")


def _extremes() -> qs.Property:
    net = mlp(outputs=3, seed=8)
    x = net.input("x")
    y = net(x)
    return qs.forall(x, then=qs.max(y) + qs.min(-y) == 0, name="extremes")


def _clip() -> qs.Property:
    net = _identity(2, HALVES)
    x = net.input("x")
    return qs.exists(x, then=qs.all(qs.clip(x, "-1/2", 1) == net(x)) & (x[0] < x[1]), name="clip")


def _every_and_some() -> qs.Property:
    net = mlp(outputs=3, seed=9)
    x = net.input("x")
    y = net(x)
    return qs.forall(x, given=qs.any(y > 0), then=~qs.all(y <= 0) & ~qs.all(y != qs.max(y)), name="every and some")


def _implies(limit: str) -> qs.Property:
    net = mlp(seed=10)
    x = net.input("x")
    return qs.forall(x, then=(x[1] >= 0).implies(net(x)[0] >= limit) & ((x[0] <= 0) | (net(x)[1] < 2)), name="implies")


def _not_equal() -> qs.Property:
    net = mlp(seed=11)
    x = net.input("x")
    return qs.forall(x, given=x[0] != x[1], then=qs.any(net(x) != -2), name="not equal")


def _bilinear(limit: str) -> qs.Property:
    net = mlp(seed=12)
    x = net.input("x")
    y = net(x)
    return qs.forall(x, then=y[0] * x[1] - x[0] * x[0] <= limit, name="bilinear")


def _product_of_outputs() -> qs.Property:
    net = mlp(seed=13)
    x = net.input("x")
    y = net(x)
    return qs.exists(x, given=y[0] != 0, then=y[0] * y[1] == qs.q("-3/4"), name="product of outputs")


def _parameters() -> qs.Property:
    net = mlp(outputs=3, seed=34)
    x = net.input("x")
    near = qs.linf(x.code - qs.parameter("centre", 2)) <= qs.parameter("radius")
    return qs.forall(x, given=near, then=qs.argmax(net(x)) != qs.parameter("label"), name="parameters")


def _two_networks() -> qs.Property:
    a, b = mlp(seed=15), mlp(seed=16)
    x = a.input("x")
    return qs.exists(x, then=(qs.argmax(a(x)) == 0) & (qs.argmax(b(x)) == 1) & qs.all(a(x) >= b(x) - 3), name="two networks")


def _composition(limit: str) -> qs.Property:
    first, second = mlp(inputs=1, outputs=2, seed=27), mlp(inputs=2, outputs=1, seed=28)
    x = first.input("x")
    return qs.forall(x, then=second(first(x)) <= second(qs.clip(-first(x), -2, "3/2")) + qs.q(limit), name="composition")


def _shared_copies(limit: str) -> qs.Property:
    net = mlp(inputs=2, outputs=1, seed=29, hidden=2)
    a, b = net.input("a"), net.input("b", lower=[-4, -1], upper=[3, 1])
    near = qs.same(a, b, except_for=[1]) & (abs(a[1] - b[1]) <= "1/2")
    return qs.forall(a, b, given=near, then=abs(net(a) - net(b)) <= limit, name="shared copies")


def _narrowed_copies() -> qs.Property:
    """The copies share an element only where their domains meet."""
    net = mlp(inputs=1, outputs=2, seed=20)
    a, b = net.input("a", lower=-4, upper=0), net.input("b", lower=0, upper=3)
    return qs.forall(a, b, given=qs.same(a, b), then=qs.all(a == 0) & qs.all(net(a) == net(b)), name="narrowed copies")


def _vacuous(limit: int) -> qs.Property:
    net = mlp(seed=21)
    x = net.input("x")
    return qs.forall(x, given=(x[0] + x[1] > limit) & (x[0] - x[1] == 0), then=net(x)[0] > 100, name="vacuous")


def _features() -> qs.Network:
    table = (qs.Feature("age", -2, 3), qs.Feature("job", categories=("a", "b", "c")), qs.Feature("member", 0, 1))
    kernel = stored([[1], [-3], [2], [3], [-2]], WHOLE)
    return qs.Sequential(qs.Input((5,), qs.Fixed(4, 1), features=table), qs.Dense(kernel, None, qs.ReLU(), qs.Fixed(4, 1)))


def _one_hot() -> qs.Property:
    net = _features()
    x = net.input("x")
    return qs.forall(x, then=(qs.sum(x["job"]) == 1) & (qs.max(x["job"]) == 1) & (qs.l0(x["job"]) == 1), name="one-hot")


def _one_hot_score(limit: str) -> qs.Property:
    net = _features()
    x = net.input("x")
    return qs.forall(x, given=x["member"] == 1, then=net(x) + x["age"] <= limit, name="one-hot score")


def _whole_values() -> qs.Property:
    net = _features()
    x = net.input("x")
    return qs.exists(x, then=(2 * x["age"] == 3) | (x["member"] * 2 == 1), name="whole values")


def _exists(value: str) -> qs.Property:
    net = mlp(seed=22)
    x = net.input("x")
    return qs.exists(x, given=x[0] >= 0, then=net(x)[0] - net(x)[1] == value, name="exists")


def _flattened_image() -> qs.Property:
    convolution = qs.Conv2D(tensor(2, 2, 1, 2, seed=80), activation=qs.ReLU(), output=qs.Fixed(3, 0))
    net = qs.Sequential(qs.Input((2, 3, 1), qs.Fixed(1, 0, signed=False)), convolution)
    x = net.input("x")
    channels = net(x)[0]
    return qs.forall(x, given=x[0, 1, 0] == x[1, 1, 0], then=qs.sum(channels[:, 0]) <= qs.sum(channels[:, 1]) + 3, name="indices")


def _table_of_thresholds() -> qs.Property:
    net = _identity(1)
    x = net.input("x")
    rows = qs.dot([[1], [-1], [2]], net(x)) <= [3, 4, "13/2"]
    return qs.forall(x, then=qs.all(rows), name="thresholds")


def _connectives(limit: str) -> qs.Property:
    net = mlp(seed=10)
    x = net.input("x")
    y = net(x)
    low = x[0] <= 0
    both = ((x[1] >= 0) >> (y[0] >= limit)) & (low ^ (x[0] > 0)) & qs.iff(low, ~(x[0] > 0)) & qs.xor(low, x[0] >= "1/2")
    return qs.forall(x, then=both & qs.implies(low & (y[1] >= 2), y[1] > 1), name="connectives")


def _where(limit: str) -> qs.Property:
    """The branches differ by a constant: the case distinction is linear."""
    net = mlp(seed=11)
    x = net.input("x")
    return qs.forall(x, then=qs.sum(qs.where(net(x) >= 0, net(x), net(x) + "1/2")) >= limit, name="where")


def _where_products(limit: str) -> qs.Property:
    net = mlp(seed=12)
    x = net.input("x")
    chosen = qs.where((x[0] > 0) & ~(x[1] == 0) | (x[1] != x[1]), net(x), -x)
    return qs.forall(x, then=chosen[0] <= limit, name="where products")


def _in_top(label: int, k: int, ties: str, outputs: int = 4) -> qs.Property:
    net = mlp(outputs=outputs, seed=34, output=qs.Fixed(2, 0))
    x = net.input("x")
    among = qs.in_top(net(x), qs.parameter("label") if ties == "last" else label, k, ties="first" if ties == "first" else "last")
    return qs.forall(x, given=x[0] >= -2, then=among, name="in top")


def _ranking(limit: str) -> qs.Property:
    net = mlp(outputs=3, seed=6)
    x = net.input("x")
    order = qs.ranking(net(x))
    then = (order != [2, 0, 1]) | (net(x)[2] - net(x)[0] <= limit)
    return qs.forall(x, then=then & (order.starts_with([0]) >> (qs.argmax(net(x)) == 0)), name="ranking")


def _same_ranking(format: qs.Fixed) -> qs.Property:
    a, b = mlp(seed=6, outputs=3), mlp(seed=6, outputs=3, output=format)
    x = a.input("x", lower=-2, upper=2)
    return qs.forall(x, then=qs.ranking(a(x), ties="last") == qs.ranking(b(x), ties="last"), name="same ranking")


def _l2(limit: int) -> qs.Property:
    net = _identity(3)
    x = net.input("x", lower=-3, upper=3)
    return qs.forall(x, given=qs.l2(x.code - [1, 0, -1]) <= "3/2", then=mixed(net(x)) < limit, name="l2")


def _l2_of_outputs(limit: str) -> qs.Property:
    net = mlp(seed=6)
    a, b = net.input("a", lower=-1, upper=1), net.input("b", lower=-1, upper=1)
    return qs.exists(a, b, given=qs.l2(a - b) < 1, then=qs.l2(net(a) - net(b)) > limit, name="l2 of outputs")


def _squares(limit: str) -> qs.Property:
    net = mlp(seed=12)
    x = net.input("x")
    return qs.forall(x, then=net(x)[0] ** 2 - net(x)[0] <= limit, name="squares")


def _remainders(number: int) -> qs.Property:
    net = _identity(2)
    x = net.input("x")
    even = x.code % 2 == 0
    return qs.forall(x, given=qs.all(even), then=(sum(net(x)) % 4 <= number) & (x[0] // -3 <= 2), name="remainders")


def _fractions_of_units(limit: str) -> qs.Property:
    """Whole parts of halves, below zero too."""
    net = mlp(seed=29, inputs=2, outputs=1)
    x = net.input("x", lower=[-4, 0], upper=[3, 1])
    return qs.forall(x, then=abs(net(x)[0] - net(x)[0] // 1) + x[0] % "3/2" <= limit, name="fractions of units")


def _hidden(limit: str) -> qs.Property:
    net = mlp(seed=5)
    x = net.input("x")
    y = net(x)
    return qs.forall(x, then=(y["dense_1"][0] >= 0) & (y.layer("dense_2", "accumulator")[0] <= limit), name="hidden layer")


LANGUAGE = (
    Example("not-strict", lambda: _strict(strict=False), HOLDS),
    Example("strict", lambda: _strict(strict=True), VIOLATED),
    Example("tie-first", lambda: _ties(0, "first"), HOLDS),
    Example("tie-first-other", lambda: _ties(1, "first"), VIOLATED),
    Example("tie-last", lambda: _ties(1, "last"), HOLDS),
    Example("unequal-classes", _unequal_classes, HOLDS),
    Example("same-class", _same_class, VIOLATED),
    Example("linf", lambda: _linf(5), HOLDS),
    Example("linf-too-tight", lambda: _linf(4), VIOLATED),
    Example("l1", lambda: _l1(4), HOLDS),
    Example("l1-too-tight", lambda: _l1(3), VIOLATED),
    Example("l0", _l0, HOLDS),
    Example("norm-below", _norm_below, HOLDS),
    Example("extremes", _extremes, HOLDS),
    Example("clip", _clip, HOLDS),
    Example("every-and-some", _every_and_some, HOLDS),
    Example("implies", lambda: _implies("-1"), HOLDS),
    Example("implies-too-tight", lambda: _implies("-1/2"), VIOLATED),
    Example("not-equal", _not_equal, VIOLATED),
    Example("bilinear", lambda: _bilinear("4"), HOLDS, marks=marked(Mark.PRODUCT)),
    Example("bilinear-too-tight", lambda: _bilinear("15/4"), VIOLATED, marks=marked(Mark.PRODUCT)),
    Example("product-of-outputs", _product_of_outputs, HOLDS, marks=marked(Mark.PRODUCT)),
    Example("parameters", _parameters, HOLDS, {"centre": [1, -1], "radius": 1, "label": 0}),
    Example("parameters-elsewhere", _parameters, VIOLATED, {"centre": [-3, 2], "radius": 2, "label": 0}),
    Example("two-networks", _two_networks, VIOLATED),
    Example("composition", lambda: _composition("3/2"), HOLDS),
    Example("composition-too-tight", lambda: _composition("1"), VIOLATED),
    Example("shared-copies", lambda: _shared_copies("3/2"), HOLDS),
    Example("shared-copies-too-tight", lambda: _shared_copies("1"), VIOLATED),
    Example("narrowed-copies", _narrowed_copies, HOLDS),
    Example("vacuous", lambda: _vacuous(3), HOLDS, marks=marked(Mark.VACUOUS)),
    Example("not-vacuous", lambda: _vacuous(2), VIOLATED),
    Example("one-hot", _one_hot, HOLDS),
    Example("one-hot-score", lambda: _one_hot_score("13/2"), HOLDS),
    Example("one-hot-score-too-tight", lambda: _one_hot_score("6"), VIOLATED),
    Example("whole-values", _whole_values, VIOLATED),
    Example("exists", lambda: _exists("1/2"), HOLDS),
    Example("exists-not", lambda: _exists("1/4"), VIOLATED),
    Example("indices", _flattened_image, VIOLATED),
    Example("thresholds", _table_of_thresholds, HOLDS),
    Example("connectives", lambda: _connectives("-1"), HOLDS),
    Example("where-too-tight", lambda: _where("0"), VIOLATED),
    Example("where-products", lambda: _where_products("9"), HOLDS, marks=marked(Mark.PRODUCT)),
    Example("in-top-parameter", lambda: _in_top(0, 2, "last", outputs=3), VIOLATED, {"label": 1}),
    Example("ranking", lambda: _ranking("3/2"), HOLDS),
    Example("same-ranking", lambda: _same_ranking(qs.Fixed(2, 0)), VIOLATED),
    Example("l2-too-tight", lambda: _l2(2), VIOLATED),
    Example("l2-of-outputs", lambda: _l2_of_outputs("2"), HOLDS),
    Example("squares", lambda: _squares("20"), HOLDS),
    Example("remainders", lambda: _remainders(2), HOLDS),
    Example("fractions-of-units-too-tight", lambda: _fractions_of_units("1"), VIOLATED),
    Example("hidden-layer-too-tight", lambda: _hidden("1/2"), VIOLATED),
)
