"""A function of a vector as a sum of products of functions of single coordinates, read from its graph.

    f(x) = sum_k c_k prod_i g_ki(x_i)

Sums and products of such functions are again of this form; so are powers with whole exponents, the exponential of a
sum of functions of single coordinates, the cosine of one, and where(event, f, g) for an event about single
coordinates, which is a 0-1 function. Against a product measure the integral is the same expression in integrals on the
line (Fubini), and how many coordinates there are does not matter. Reference: Beylkin and Mohlenkamp, "Numerical
operator calculus in higher dimensions", PNAS 99 (2002).

An expression of one coordinate is kept as it was written; where another law of algebra is used (log of a product, root
of a product), its factors are undefined wherever the law would fail, so that nothing can be proved of them there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.balls import Elements, each, objects
from qed.domains.doubt import NONE, Doubt
from qed.domains.enclosing import Enclosing
from qed.domains.forward import Unknown
from qed.domains.intervals import combined
from qed.domains.known import Known, flattened
from qed.graph.dtypes import is_real
from qed.graph.graph import Variable
from qed.graph.trace import Traced
from qed.graph.walk import Context, Walker

Array = np.ndarray
MOST = 512
"""How many terms a sum has at most."""


@dataclass(frozen=True)
class One:
    """An expression of one number x: "x", a "constant", or a function of the tables with its operands.

    >>> from qed.domains.separated import One
    >>> str(One("exp", (One("neg", (One("x"),)),)))
    'exp(neg(x))'
    """

    name: str
    operands: tuple[One, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    value: float = 0.0

    def __str__(self) -> str:
        if self.name == "constant":
            return repr(self.value)
        inside = ", ".join([*map(str, self.operands), *(f"{k}={v!r}" for k, v in self.parameters)])
        return f"{self.name}({inside})" if inside else self.name

    @property
    def moves(self) -> bool:
        """Whether x occurs in it."""
        return self.name == "x" or any(operand.moves for operand in self.operands)

    @property
    def total(self) -> bool:
        """Whether it is surely defined everywhere."""
        known = self.name in _TOTAL or (self.name == "integer_pow" and dict(self.parameters)["y"] >= 0)
        return known and all(operand.total for operand in self.operands)

    def __call__(self, x: Any) -> Any:
        """The expression in JAX."""
        if self.name == "x":
            return x
        if self.name == "constant":
            return jnp.asarray(self.value, jnp.result_type(x))
        values = [operand(x) for operand in self.operands]
        if self.name == "select":
            return jnp.where(values[0] > 0.5, values[2], values[1])
        if self.name in _COMPARED:
            return jnp.where(_COMPARED[self.name](*values), jnp.asarray(1.0, jnp.result_type(x)), 0.0)
        return facts.JAX.call(self.name, *values, **dict(self.parameters))


_COMPARED: Mapping[str, Callable[..., Any]] = {
    "lt": jnp.less, "le": jnp.less_equal, "gt": jnp.greater, "ge": jnp.greater_equal,
    "eq": jnp.equal, "ne": jnp.not_equal,
}  # fmt: skip
_TOTAL = {
    *_COMPARED,
    *"x constant add sub mul neg exp sin cos tanh abs sign square max min select logistic erf".split(),
}
Factors = tuple[tuple[int, One], ...]


@dataclass(frozen=True)
class Sum:
    """A sum of products: (coefficient, ((coordinate, expression), ...)), the coordinates in order."""

    terms: tuple[tuple[Fraction, Factors], ...]

    @property
    def coordinates(self) -> frozenset[int]:
        """The coordinates that occur."""
        return frozenset(i for _, factors in self.terms for i, _ in factors)

    @property
    def constant(self) -> Fraction | None:
        """The number that it is, if it has no coordinates."""
        return sum((c for c, _ in self.terms), Fraction(0)) if not self.coordinates else None

    def alone(self) -> One:
        """The expression of a sum with at most one coordinate; TooWide where a number would be rounded."""
        total: One | None = None
        for c, factors in self.terms:
            term = factors[0][1] if factors else None
            if term is None or c != 1:
                number = One("constant", value=_exact(c))
                term = number if term is None else One("mul", (number, term))
            total = term if total is None else One("add", (total, term))
        return One("constant", value=0.0) if total is None else total


class TooWide(Exception):
    """It is no short sum of products."""


def _exact(c: Fraction) -> float:
    try:
        near = float(c)
    except OverflowError:
        raise TooWide from None
    if Fraction(near) != c:
        raise TooWide
    return near


def gathered(terms: Sequence[tuple[Fraction, Factors]]) -> Sum:
    """The sum of terms, like ones together; TooWide where it is long, or where what may be undefined cancels."""
    found: dict[Factors, Fraction] = {}
    for c, factors in terms:
        found[factors] = found.get(factors, Fraction(0)) + c
    if any(not c and not all(one.total for _, one in factors) for factors, c in found.items()):
        raise TooWide  # 0 times what may be undefined is not 0
    kept = tuple((c, factors) for factors, c in found.items() if c)
    if len(kept) > MOST:
        raise TooWide
    return Sum(kept)


def _number(value: float) -> Sum:
    if not np.isfinite(value):
        raise TooWide
    return gathered([(Fraction(value), ())])


def single(i: int, one: One) -> Sum:
    """A function of one coordinate."""
    return Sum(((Fraction(1), ((i, one),)),))


def added(a: Sum, b: Sum, sign: int = 1) -> Sum:
    """The sum, or the difference."""
    return gathered([*a.terms, *((sign * c, factors) for c, factors in b.terms)])


def scaled(a: Sum, c: Fraction) -> Sum:
    """A sum times a number."""
    return gathered([(c * d, factors) for d, factors in a.terms])


def multiplied(a: Sum, b: Sum) -> Sum:
    """The product of two sums."""
    terms = []
    for c, first in a.terms:
        for d, second in b.terms:
            known = dict(first)
            for i, one in second:
                known[i] = One("mul", (known[i], one)) if i in known else one
            terms.append((c * d, tuple(sorted(known.items(), key=lambda pair: pair[0]))))
    if len(terms) > MOST * MOST:
        raise TooWide
    return gathered(terms)


def _by_factor(a: Sum, name: str, parameters: tuple[tuple[str, Any], ...] = (), more: tuple[One, ...] = ()) -> Sum:
    """A multiplicative function of a single product."""
    if len(a.terms) != 1:
        raise TooWide
    ((c, factors),) = a.terms
    found = {i: One(name, (one, *more), parameters) for i, one in factors}
    if c != 1:
        i = min(found)
        found[i] = One("mul", (One(name, (One("constant", value=_exact(c)), *more), parameters), found[i]))
    return Sum(((Fraction(1), tuple(sorted(found.items()))),))


def by_coordinate(a: Sum) -> tuple[Fraction, dict[int, One]]:
    """A sum of functions of single coordinates: its constant, and the function of each."""
    constant, found = Fraction(0), {}
    for c, factors in a.terms:
        if len(factors) > 1:
            raise TooWide
        if not factors:
            constant += c
            continue
        ((i, one),) = factors
        term = one if c == 1 else One("mul", (One("constant", value=_exact(c)), one))
        found[i] = One("add", (found[i], term)) if i in found else term
    return constant, found


def _angle(a: Sum, name: str) -> Sum:
    """The cosine or sine of a sum, by the addition theorems."""
    constant, found = by_coordinate(a)
    parts = sorted(found.items())
    if constant:
        i, one = parts[0]
        parts[0] = i, One("add", (one, One("constant", value=_exact(constant))))
    cosine, sine = (single(parts[0][0], One(n, (parts[0][1],))) for n in ("cos", "sin"))
    for i, one in parts[1:]:
        c, s = (single(i, One(n, (one,))) for n in ("cos", "sin"))
        cosine, sine = (
            added(multiplied(cosine, c), multiplied(sine, s), -1),
            added(multiplied(sine, c), multiplied(cosine, s)),
        )
    return cosine if name == "cos" else sine


def applied(name: str, xs: Sequence[Sum], parameters: tuple[tuple[str, Any], ...] = ()) -> Sum:
    """A function of the tables, of sums; TooWide where the result is none."""
    if (found := _arithmetic(name, xs, dict(parameters))) is not None:
        return found
    coordinates = frozenset().union(*(x.coordinates for x in xs))
    if len(coordinates) <= 1:
        i = next(iter(coordinates), 0)
        return single(i, One(name, tuple(x.alone() for x in xs), parameters))
    if name == "exp":
        constant, parts = by_coordinate(xs[0])
        if constant:
            i = min(parts)
            parts[i] = One("add", (parts[i], One("constant", value=_exact(constant))))
        return Sum(((Fraction(1), tuple((i, One("exp", (one,))) for i, one in sorted(parts.items()))),))
    if name in ("cos", "sin"):
        return _angle(xs[0], name)
    if name in ("abs", "sign", "sqrt", "rsqrt", "reciprocal"):
        return _by_factor(xs[0], name, parameters)
    if name == "log" and len(xs[0].terms) == 1 and xs[0].terms[0][0] > 0:
        ((c, factors),) = xs[0].terms
        logs = [single(i, One("log", (one,))) for i, one in factors]
        total = single(factors[0][0], One("log", (One("constant", value=_exact(c)),)))
        for one in logs:
            total = added(total, one)
        return total
    if name == "pow" and xs[1].constant is not None:
        return _by_factor(xs[0], name, parameters, (xs[1].alone(),))
    raise TooWide


def _arithmetic(name: str, xs: Sequence[Sum], parameters: Mapping[str, Any]) -> Sum | None:
    """Sums, products, and powers; None for another function, and for what is kept as it was written."""
    several = len(frozenset().union(*(x.coordinates for x in xs))) > 1 or all(x.constant is not None for x in xs)
    if name in ("add", "sub"):
        return added(xs[0], xs[1], 1 if name == "add" else -1) if several else None
    if name == "neg":
        return scaled(xs[0], Fraction(-1)) if several else None
    if name == "mul":
        return multiplied(xs[0], xs[1]) if several else None
    if not several:
        return None
    if name == "div":
        if (c := xs[1].constant) is not None:
            return scaled(xs[0], 1 / c) if c else None
        return multiplied(xs[0], _by_factor(xs[1], "integer_pow", (("y", -1),)))
    if name in ("square", "integer_pow"):
        n = 2 if name == "square" else int(parameters["y"])
        if n < 0:
            return _by_factor(xs[0], "integer_pow", (("y", n),)) if xs[0].coordinates else None
        total = _number(1.0)
        for _ in range(n):
            total = multiplied(total, xs[0])
        return total
    return None


@dataclass(frozen=True, eq=False)
class Sums(Elements):
    """An array of sums; None is what has not this form."""

    @classmethod
    def point(cls, array: Any) -> Sums:
        """Return numbers."""
        array = np.asarray(array)
        return cls(objects([_or_none(_number, float(v)) for v in array.ravel().tolist()], array.shape))

    @classmethod
    def between(cls, lower: Any, upper: Any, doubt: Doubt = NONE) -> Sums:
        """Return numbers where both ends are one."""
        ends = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        return cls(each(lambda a, b: _or_none(_number, float(a)) if a == b else None, *ends), doubt)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Both ends of numbers; infinite ones of what depends on a coordinate."""
        known = [None if x is None else x.constant for x in self.array.ravel()]
        lower, upper = ([side if c is None else float(c) for c in known] for side in (-np.inf, np.inf))
        return np.array(lower).reshape(self.shape), np.array(upper).reshape(self.shape)

    def map(self, move: Callable[[Array], Any]) -> Sums:
        """Return the elements moved by a function of arrays."""
        return combined(move, self)

    def hull(self, other: Sums) -> Sums:
        """Return what both are."""
        return Sums(each(lambda a, b: a if a == b else None, self.array, other.array))

    def sum(self, axis: int) -> Sums:
        """Return the sum along an axis."""
        rows = np.moveaxis(self.array, axis, -1)
        lead = rows.shape[:-1]
        found = []
        for row in rows.reshape((int(np.prod(lead)), rows.shape[-1])):
            total: Any = row[0] if len(row) else Sum(())
            for one in row[1:]:
                total = _or_none(lambda a, b: applied("add", (a, b)), total, one)
            found.append(total)
        return Sums(objects(found, lead))


def _or_none(function: Callable[..., Sum], *operands: Any) -> Sum | None:
    if any(x is None for x in operands):
        return None
    try:
        return function(*operands)
    except TooWide:
        return None


@final
class Separated(Enclosing):
    """Sums of products of functions of single coordinates."""

    name = "separated"
    numbers: ClassVar[type] = Sums
    gaps: ClassVar[frozenset[str]] = Enclosing.gaps | {
        *"sort argsort top_k cumsum cumprod cumlogsumexp cummax cummin cholesky conv_general_dilated".split()
    }

    def settled(self, value: Any, variable: Variable) -> Any:
        """Truth values are numbers."""
        if isinstance(value, Sums) and np.dtype(variable.dtype).kind == "b":
            return value
        return super().settled(value, variable)

    def image(self, card: facts.Card, x: Sums) -> Sums:
        """A function of one number."""
        parameters = tuple(sorted(dict(card.parameters).items()))
        return Sums(each(lambda a: _or_none(lambda b: applied(card.name, (b,), parameters), a), x.array))

    def combine(self, name: str, xs: Sequence[Sums]) -> Sums:
        """A function of several numbers."""
        arrays = np.broadcast_arrays(*(x.array for x in xs))
        return Sums(each(lambda *row: _or_none(lambda *r: applied(name, r), *row), *arrays))

    def contract(self, x: Sums, y: Sums) -> Sums:
        """Products of stacks of matrices."""
        left, right = x.map(lambda a: a[..., :, None, :]), y.map(lambda a: np.swapaxes(a, -1, -2)[..., None, :, :])
        return self.combine("mul", [left, right]).sum(-1)

    def pi(self) -> Sums:
        """No rational number."""
        return Sums(objects([None], ()))

    def certain(self, name: str, x: Any, y: Any) -> tuple[Any, Any]:
        """Comparisons are 0-1 functions."""
        raise NotImplementedError

    def converted(self, x: Any, context: Context) -> Any:
        """Numbers and truth values to numbers, and to what they are, are the same; others are not followed."""
        kinds = [np.dtype(atom.dtype).kind for atom in (context.equation.inputs[0], context.equation.outputs[0])]
        same = is_real(context.equation.outputs[0].dtype) or kinds == ["b", "b"]
        return self.number(x) if same else self.unknown(context.equation, context)

    def compare(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Comparisons, and what logic makes of them, as 0-1 functions."""
        name, values = context.equation.primitive, self.aligned(inputs, context)
        if name in _COMPARED:
            return (self.combine(name, values),)
        one = Sums.point(np.ones(()))
        if name == "not":
            return (self.combine("sub", [one, values[0]]),)
        if name in ("and", "or"):
            return (self.both(name, *values),)
        if name in ("reduce_and", "reduce_or"):
            rows = flattened(values[0], self.axes(values[0], context))
            found = [rows.map(lambda a, k=k: a[..., k]) for k in range(rows.shape[-1])]
            return (functools.reduce(functools.partial(self.both, name[7:]), found),)
        return (self.unknown(context.equation, context),)

    def both(self, name: str, p: Sums, q: Sums) -> Sums:
        """Of 0-1 functions, p q, or p + q - p q."""
        product = self.combine("mul", [p, q])
        return product if name == "and" else self.combine("sub", [self.combine("add", [p, q]), product])

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """p f + (1 - p) g; of one coordinate, as it was written."""
        if len(inputs) != 3:
            return (self.unknown(context.equation, context),)
        arrays = np.broadcast_arrays(*(x.array for x in self.aligned(inputs, context)))
        return (Sums(each(lambda *row: _or_none(_chosen, *row), *arrays)),)


def _chosen(which: Sum, otherwise: Sum, then: Sum) -> Sum:
    if (c := which.constant) is not None:
        return then if c else otherwise
    if len(frozenset().union(which.coordinates, otherwise.coordinates, then.coordinates)) <= 1:
        return applied("select", (which, otherwise, then))
    rest = applied("sub", (_number(1.0), which))
    return applied("add", (applied("mul", (which, then)), applied("mul", (rest, otherwise))))


def separated(traced: Traced, output: int = 0) -> Sum | str:
    """A function of one vector as a sum of products, or why it is not seen to be one.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.domains.separated import separated
    >>> from qed.graph.trace import trace
    >>> found = separated(trace(lambda x: jnp.exp(-jnp.sum(x)) + 2.0, np.zeros(2)))
    >>> [(str(c), [(i, str(one)) for i, one in factors]) for c, factors in found.terms]
    [('1', [(0, 'exp(mul(-1.0, x))'), (1, 'exp(mul(-1.0, x))')]), ('2', [])]
    """
    size = int(np.shape(traced.parameters[0])[0])
    inputs: list[Any] = list(traced.leaves)
    inputs[traced.free[0]] = Sums(objects([single(i, One("x")) for i in range(size)], (size,)))
    domain = Separated()
    value = Walker([domain]).run(traced.graph, inputs)[output].values[0]
    if isinstance(value, Unknown):
        return str(value)
    value = domain.number(value) if isinstance(value, Known) else value
    found = value.array.item()
    return "it is no short sum of products of functions of single coordinates" if found is None else found
