"""Bounds, from one side or both, of a function with poles, of one number or a vector: 1 / (1 - cos x) is at least 1/2.

Values are intervals with float64 ends, rounded outward. Where the divisor keeps one sign but may be 0, the quotient may
be infinite, of one sign: intervals that are closed at infinity say so. Whatever could be no number on more than single
points, inf - inf or a value outside the domain of a function, is undecided, but not 0 times inf, which is met at single
points since infinities are. Undecided is the inverse of what may be 0 on more than single points, as max(x, 0) and
cos(x)^2 + sin(x)^2 - 1 are: how often a value is taken is followed from x, which takes each value once. Of a vector,
"single points" are sets of measure 0, and a sum of what depends on different coordinates takes each value on such a
set if one of the two does, by Fubini's theorem.
Reference: Moore, *Interval Analysis*, Prentice-Hall 1966, chapter 3.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.known import Known
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.domains.tail_arrays import Forms, applied
from qed.domains.tail_forms import NoOrder
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation
from qed.graph.walk import Context

ANY, ZERO, NONE = 2, 1, 0
"""Which values are taken at countably many points at most: each one, 0, or none that is known."""
COUNTABLE = frozenset("exp exp2 expm1 sin cos tan tanh sinh cosh logistic atan asinh erf sqrt cbrt".split())
"""Functions, besides powers and sizes, that take each value at countably many points of their domain at most."""

ROUNDED = 2.0**-40
"""By less than this, in parts of it, a logarithm in float64 is off."""


@dataclass(frozen=True)
class Side:
    """All numbers from lower to upper; `infinite`: infinities of the unbounded ends too; `thin`: of ANY, ZERO, NONE."""

    lower: float
    upper: float
    infinite: bool = False
    thin: int = field(default=NONE, repr=False)
    on: frozenset[int] = field(default=frozenset({0}), repr=False)  # the coordinates that it depends on

    def __contains__(self, number: float) -> bool:
        return self.lower <= number <= self.upper

    @property
    def seldom(self) -> bool:
        """Whether it is 0 at countably many points at most."""
        return self.thin >= ZERO or 0 not in self

    @property
    def sign(self) -> int:
        """1 where nothing is negative, -1 where nothing is positive, else 0."""
        return 1 if self.lower >= 0 else -1 if self.upper <= 0 else 0


@final
class OneSided(OneNumber):
    """Functions of one number between two others, which may be infinite.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.one_sided import ANY, OneSided, Side
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: 3 / (jnp.cos(x) - 1), np.float32(0.5))
    >>> Walker([OneSided()]).run(traced.graph, placed(traced, [Side(-np.inf, np.inf, thin=ANY)]))[0].values[0]
    Side(lower=-inf, upper=-1.5, infinite=True)
    """

    name = "one sided"
    forms = (Side, Forms)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The bounds of an equation's outputs; of arrays, entry by entry."""
        known = all(isinstance(x, Known) for x in inputs)
        if known or all(v.shape == () for v in (*equation.inputs, *equation.outputs)):
            return super().apply(equation, inputs, context)
        if not all(is_real(v.dtype) for v in equation.outputs):
            return (self.unknown(equation, context),) * len(equation.outputs)
        try:
            return (applied(equation, inputs, _side, self._each(equation)),)
        except (NoOrder, Undecided):
            return (self.unknown(equation, context),) * len(equation.outputs)

    def _each(self, equation: Equation) -> Callable[[str, Sequence[Any]], Any]:
        """What an elementwise operation of this name makes of bounds."""
        return lambda name, xs: self.one(
            equation if name == equation.primitive else replace(equation, primitive=name, params={}), xs
        )

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Side:
        """The bounds of an equation's output."""
        xs = [_side(x) for x in inputs]
        found = self._bounds(equation, inputs, xs)
        return replace(found, on=frozenset().union(*(x.on for x in xs)))

    def _bounds(self, equation: Equation, inputs: Sequence[Any], xs: list[Side]) -> Side:
        name = equation.primitive
        if name in SAME:
            return xs[0]
        if name == "neg":
            return _negated(xs[0])
        if name == "sub":
            name, xs = "add", [xs[0], _negated(xs[1])]
        if name in ("add", "add_any"):
            return _sum(*xs)
        if name == "mul":
            return _square(xs[0]) if inputs[0] is inputs[1] else _product(*xs)
        if name == "div":
            return _product(xs[0], _inverse(xs[1]))
        if name in ("max", "min") and not any(x.infinite for x in xs):
            pick = max if name == "max" else min
            thin = ZERO if all(x.seldom for x in xs) else NONE
            return Side(pick(x.lower for x in xs), pick(x.upper for x in xs), thin=thin)
        if name == "square":
            return _square(xs[0])
        if name == "integer_pow":
            return self._power(xs[0], int(equation.params["y"]))
        if name == "abs":
            return _size(xs[0])
        if name == "rsqrt":
            return _inverse(_root(xs[0]))
        if name == "pow" and _constant(xs[1]) and xs[1].lower != 0:
            return _root(xs[0]) if xs[1].lower > 0 else _inverse(_root(xs[0]))
        if name == "log":
            return _logarithm(xs[0])
        if name == "exp" and xs[0].infinite:  # 0 where it is -inf
            return Side(0.0, np.inf, xs[0].upper == np.inf)
        return _image(equation, xs)

    def _power(self, x: Side, y: int) -> Side:
        if y < 0:
            return _inverse(self._power(x, -y))
        if y == 0 or y > 64:
            raise Undecided
        found = x if y % 2 else _square(x)
        for _ in range((y - 1) // 2):
            found = _product(found, _square(x))
        return replace(found, thin=x.thin)


def _side(x: Any) -> Side:
    if not isinstance(x, Known):
        return x
    value = float(np.asarray(x.array).astype(np.float64))
    if not np.isfinite(value):
        raise Undecided
    return Side(value, value, on=frozenset())


def _negated(x: Side) -> Side:
    return Side(-x.upper, -x.lower, x.infinite, x.thin, x.on)


def _sum(x: Side, y: Side) -> Side:
    if x.infinite and y.infinite and not (x.sign and x.sign == y.sign):
        raise Undecided
    lower = _ends(operator.add, (x.lower, y.lower), x.lower + y.lower)[0]
    upper = _ends(operator.add, (x.upper, y.upper), x.upper + y.upper)[1]
    if not x.on & y.on and ANY in (x.thin, y.thin):
        thin = ANY
    elif _constant(x) or _constant(y):
        thin = y.thin if _constant(x) and x.lower == 0 else x.thin if _constant(y) and y.lower == 0 else NONE
        thin = ANY if ANY in (x.thin, y.thin) else thin
    else:
        thin = ZERO if x.sign and x.sign == y.sign and (x.seldom or y.seldom) else NONE
    return Side(lower, upper, x.infinite or y.infinite, thin)


def _constant(x: Side) -> bool:
    return x.lower == x.upper


def _product(x: Side, y: Side) -> Side:
    found = [  # infinities are met on sets of measure 0 only, and so is 0 times one of them
        _ends(operator.mul, (a, b), 0.0 if 0.0 in (a, b) else a * b)
        for a in (x.lower, x.upper)
        for b in (y.lower, y.upper)
    ]
    lower, upper = min(low for low, _ in found), max(high for _, high in found)
    thin = ZERO if x.seldom and y.seldom else NONE
    for one, other in ((x, y), (y, x)):
        apart = _constant(one) or not one.on & other.on
        thin = ANY if apart and one.seldom and other.thin == ANY else thin
    return Side(lower, upper, x.infinite or y.infinite, thin)


def _square(x: Side) -> Side:
    size = _size(x)
    if x.infinite:
        return Side(_ends(operator.mul, (size.lower, size.lower), size.lower**2)[0], np.inf, True, x.thin)
    return replace(_product(size, size), thin=x.thin)


def _size(x: Side) -> Side:
    least = max(0.0, x.lower, -x.upper)
    return Side(least, max(abs(x.lower), abs(x.upper)), x.infinite, x.thin)


def _inverse(x: Side) -> Side:
    """1 / x: where x may be 0, at countably many points, an infinity of the sign that x has elsewhere."""
    if x.infinite or not x.sign or not x.seldom:
        raise Undecided
    if x.sign < 0:
        return _negated(_inverse(_negated(x)))
    if x.upper <= 0:  # 0 everywhere
        raise Undecided
    upper = _ends(operator.truediv, (1.0, x.lower), 1 / x.lower)[1] if x.lower > 0 else np.inf
    thin = ANY if x.thin == ANY else ZERO  # it is 0 nowhere
    return Side(_ends(operator.truediv, (1.0, x.upper), 1 / x.upper)[0], upper, x.lower <= 0, thin)


def _root(x: Side) -> Side:
    """A positive power of what is not negative."""
    if x.sign < 1 or x.lower < 0:
        raise Undecided
    return Side(0.0, np.inf, x.infinite, x.thin)


def _logarithm(x: Side) -> Side:
    """The logarithm of what is positive, but for a set of measure 0 where it may be 0."""
    if x.lower < 0 or x.infinite or not x.seldom or x.upper <= 0:
        raise Undecided
    lower, upper = (float(np.log(end)) if end > 0 else -np.inf for end in (x.lower, x.upper))
    off = [ROUNDED * (abs(end) + ROUNDED) if np.isfinite(end) else 0.0 for end in (lower, upper)]
    return Side(lower - off[0], upper + off[1], x.lower <= 0, x.thin if x.thin == ANY else NONE)


def _image(equation: Equation, xs: Sequence[Side]) -> Side:
    """The range of a function with a card, defined everywhere and without poles, or of exp."""
    if len(xs) != 1 or xs[0].infinite:
        raise Undecided
    name = equation.primitive
    card = facts.card(name, **equation.params) if name in {*facts.CARDS, *facts.FAMILIES} else None
    thin = ANY if xs[0].thin == ANY and name in COUNTABLE else NONE
    if name == "tan":
        if thin != ANY:
            raise Undecided  # a pole may be met on more than single points
        return Side(-np.inf, np.inf, True, thin)
    if card is None or card.poles:
        raise Undecided
    inside = all(end.infinite for end in (card.domain.lower, card.domain.upper))
    if not inside and not (name == "sqrt" and xs[0].lower >= 0):
        raise Undecided
    return Side(float(card.range.lower.lower), float(card.range.upper.upper), thin=thin)


def _ends(exact: Any, numbers: Sequence[float], found: float) -> tuple[float, float]:
    """Float64 numbers on both sides of an exact operation on numbers: its result, where that is one."""
    if not np.all(np.isfinite(numbers)) or (np.isfinite(found) and exact(*map(Fraction, numbers)) == Fraction(found)):
        return found, found
    return float(np.nextafter(found, -np.inf)), float(np.nextafter(found, np.inf))
