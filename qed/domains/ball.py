"""The ball domain: enclosures at any precision, by python-flint alone.

It computes the same real functions as `qed.domains.interval` by other code: each number is a ball, each function is
the one that its fact card names in python-flint (`Card.ball`), matrices are multiplied and linear systems solved as
matrices. At a point it gives the value to hundreds of bits ("correct to k ulp at this input"); on small boxes it
verifies what intervals found. A comparison that the balls do not decide, is undecided. Everything runs inside
`precision(bits)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains.balls import Balls, each, integer_power, marked, objects
from qed.domains.doubt import Doubt, either
from qed.domains.enclosing import Enclosing
from qed.domains.ends import floats
from qed.domains.exponent_field import by_exponent
from qed.domains.hull import poles_meet
from qed.domains.precision import flint, precision
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context

__all__ = ["Ball", "precision"]


@final
class Ball(Enclosing):
    """Balls of a number of bits.

    >>> import jax.numpy as jnp
    >>> from qed.domains.ball import Ball
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: (1 + x) - 1, jnp.float32(1e-10))
    >>> (cell,) = Walker([Ball(bits=200)]).run(traced.graph, traced.leaves)
    >>> print(cell.values[0].array.item().str(10))
    [1.000000013e-10 +/- 3.52e-20]
    """

    name = "ball"
    numbers: ClassVar[type] = Balls
    special: ClassVar[Mapping[str, str]] = {
        **Enclosing.special,
        "cholesky": "cholesky",
        "custom_linear_solve": "solve",
        "triangular_solve": "triangular_solve",
    }

    def __init__(self, bits: int = 120, batch: int = 0) -> None:
        super().__init__(batch)
        self.bits = bits
        flint()

    def constant(self, atom: Atom, array: Any) -> Any:
        """Exact numbers; an enclosure (a box) is taken as a new value."""
        with precision(self.bits):
            return super().constant(atom, array)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The enclosures of an equation's outputs."""
        with precision(self.bits):
            return super().apply(equation, inputs, context)

    def by_bits(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """What is defined by the bits of known integers, or by the exponent of a number."""
        found = by_exponent(context.equation, inputs)
        return super().by_bits(inputs, context) if found is None else (found,)

    constant_almost_everywhere = by_bits

    def unary(self, card: facts.Card | None, x: Any, context: Context) -> Any:
        """A function with a card."""
        with precision(self.bits):
            return super().unary(card, x, context)

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic."""
        with precision(self.bits):
            return super().nary(card, xs, context)

    def join(self, first: Any, second: Any) -> Any:
        """What holds in either branch."""
        with precision(self.bits):
            return super().join(first, second)

    # --- numbers ---

    def image(self, card: facts.Card, x: Balls) -> Balls:
        """The card's function in python-flint, cut to the card's range; undefined where a ball may leave the domain."""
        if card.name == "integer_pow":
            return integer_power(x, int(dict(card.parameters)["y"]))
        lost = ~marked(lambda ball: inside(card, ball), x.array)
        infinite = x.doubt.infinite
        if infinite is not None:
            lost = lost | (infinite & _without_limit(card, x))
        found = each(lambda ball, out: flint().arb.nan() if out else card.ball(ball), x.array, lost)
        return Balls(each(lambda ball: _cut(card, ball), found), x.doubt | Doubt(lost))

    def combine(self, name: str, xs: Sequence[Balls]) -> Balls | None:
        """Operations of several numbers: operators, or the function that their fact card names."""
        if name in _OPERATORS:
            return _OPERATORS[name](*xs)
        card = facts.ARITHMETIC.get(name)
        if name == "pow" and all(y.is_exact() for y in xs[1].array.ravel()):
            return _powers(*xs)
        if card is None or name in _WITHOUT_BALLS or (not card.value.flint and card.value.definition is None):
            return None
        arrays = np.broadcast_arrays(*(x.array for x in xs))
        lost = ~marked(lambda *balls: _holds(card, balls), *arrays)
        for x in xs:
            lost = lost | (False if x.doubt.infinite is None else x.doubt.infinite)
        found = each(lambda out, *balls: flint().arb.nan() if out else facts.BALLS.call(name, *balls), lost, *arrays)
        doubt = Doubt(lost)
        for x in xs:
            doubt = x.doubt | doubt
        return Balls(found, replace(doubt, infinite=None) if doubt.infinite is not None else doubt)

    def pi(self) -> Balls:
        """Pi, to the precision in force."""
        return Balls(objects([flint().arb.pi()], ()))

    def certain(self, name: str, x: Balls, y: Balls) -> tuple[Any, Any]:
        """Comparisons that hold for all points of both balls, or for none."""
        test, opposite = _COMPARISONS[name], _COMPARISONS[_OPPOSITE[name]]
        return marked(test, x.array, y.array), marked(opposite, x.array, y.array)

    def contract(self, x: Balls, y: Balls) -> Balls:
        """Products of matrices of balls."""
        mat = flint().arb_mat
        lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        xs, ys = np.broadcast_to(x.array, (*lead, *x.shape[-2:])), np.broadcast_to(y.array, (*lead, *y.shape[-2:]))
        shape = (*lead, x.shape[-2], y.shape[-1])
        if not xs.shape[-1] or not np.prod(shape):
            return Balls.point(np.zeros(shape))
        pairs = zip(xs.reshape((-1, *xs.shape[-2:])), ys.reshape((-1, *ys.shape[-2:])), strict=True)
        found = [v for a, b in pairs for v in (mat(a.tolist()) * mat(b.tolist())).entries()]
        masks: list[Any] = [None, None]
        for kind in range(2):
            for value, axis, spread in ((x, -1, -1), (y, -2, -2)):
                mask = (value.doubt.undefined, value.doubt.infinite)[kind]
                if mask is not None:
                    wide = np.broadcast_to(np.expand_dims(np.any(mask, axis), spread), shape)
                    masks[kind] = either(masks[kind], wide)
        place = x.doubt.place if x.doubt.place is not None else y.doubt.place
        return Balls(objects(found, shape), Doubt(either(masks[0], masks[1]), None, place))

    # --- linear algebra ---

    def cholesky(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The lower factor L with L L' = A, column by column; undefined where a pivot may not be positive."""
        matrix = self.number(inputs[0])
        if matrix.doubt or context.equation.params.get("symmetrize_input", False):
            return (self.unknown(context.equation, context),)
        stack = matrix.array.reshape((-1, *matrix.shape[-2:]))
        factors = [_cholesky(a) for a in stack]
        if any(factor is None for factor in factors):
            undefined = Doubt(np.ones(matrix.shape, bool))
            return (Balls.whole(matrix.shape, undefined),)
        found = np.array(factors, object).reshape(matrix.shape) if factors else matrix.array
        return (Balls(found),)

    def triangular_solve(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The solution of a triangular system, by the matrix solver of python-flint on its triangle."""
        p = context.equation.params
        a, b = (self.number(x) for x in inputs)
        if a.doubt or b.doubt or p["conjugate_a"]:
            return (self.unknown(context.equation, context),)
        mask = np.tril(np.ones(a.shape[-2:], bool)) if p["lower"] else np.triu(np.ones(a.shape[-2:], bool))
        zero, one = flint().arb(0), flint().arb(1)
        array = np.where(mask, a.array, zero)
        if p["unit_diagonal"]:
            array = np.where(np.eye(a.shape[-1], dtype=bool), one, array)
        array = np.swapaxes(array, -1, -2) if p["transpose_a"] else array
        right = b.array
        if not p["left_side"]:
            array, right = np.swapaxes(array, -1, -2), np.swapaxes(right, -1, -2)
        found = _solved(array, right)
        if found is None:
            return (Balls.whole(b.shape, Doubt(np.ones(b.shape, bool))),)
        return (Balls(found if p["left_side"] else np.swapaxes(found, -1, -2)),)

    def solve(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A declared gap: what the linear map is, stands in graphs that the walker does not show here."""
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)


def inside(card: facts.Card, ball: Any) -> bool:
    """Whether the function is defined on the whole ball."""
    if not ball.is_finite():
        if ball.is_exact():  # an infinite constant: limits are looked at elsewhere
            place = card.domain.upper if ball > 0 else card.domain.lower
            return place.infinite
        return card.domain.lower.infinite and card.domain.upper.infinite and not card.poles
    low, high = card.domain.lower, card.domain.upper
    above = low.infinite or ball > low.value or (card.domain.lower_closed and ball >= low.value)
    below = high.infinite or ball < high.value or (card.domain.upper_closed and ball <= high.value)
    return bool(above and below) and not _pole(card, ball)


def _pole(card: facts.Card, ball: Any) -> bool:
    return bool(card.poles) and bool(poles_meet(card, *floats([ball]))[0])


def _without_limit(card: facts.Card, x: Balls) -> np.ndarray:
    def none(ball: Any) -> bool:
        if not ball.is_exact():
            return True
        return card.limits[1 if ball > 0 else 0] is None

    return marked(none, x.array)


def _cut(card: facts.Card, ball: Any) -> Any:
    """The ball within the card's range, where the range is the range everywhere."""
    if (str(card.shape_on.lower), str(card.shape_on.upper)) != (str(card.domain.lower), str(card.domain.upper)):
        return ball
    low, high = card.range.lower.lower, card.range.upper.upper
    if ball.is_finite() or not (abs(low) < np.inf and abs(high) < np.inf):
        return ball
    arb = flint().arb
    return arb(low).union(arb(high))


def _holds(card: facts.ArithmeticCard, balls: Sequence[Any]) -> bool:
    values = dict(zip(card.arguments, balls, strict=True))
    return bool(card.domain.holds(arithmetic=facts.BALLS, **values))


def _powers(x: Balls, y: Balls) -> Balls:
    def one(base: Any, exponent: Any) -> tuple[Any, bool]:
        arb = flint().arb
        if not exponent.is_finite():
            return arb.nan(), True
        if exponent.is_integer():
            from qed.facts.balls import integer_pow

            n = int(exponent.unique_fmpz())
            return integer_pow(base, n), n < 0 and base.contains(0)
        if base >= 0 and base.is_finite() and (exponent > 0 or base > 0):
            low, high = base.lower(), base.upper()
            return (low.max(arb(0)) ** exponent).union(high**exponent), False
        return arb.nan(), not (base > 0)

    pairs = each(one, x.array, y.array)
    lost = each(lambda pair: pair[1], pairs).astype(bool)
    infinite = x.doubt.infinite
    if infinite is not None:
        lost = lost | infinite
    doubt = Doubt(either(x.doubt.undefined, y.doubt.undefined, lost), None, x.doubt.place or y.doubt.place)
    return Balls(each(lambda pair: pair[0], pairs), doubt)


_WITHOUT_BALLS = {"igamma_grad_a", "nextafter"}
_OPERATORS: Mapping[str, Any] = {
    "add": lambda x, y: x + y,
    "clamp": lambda least, x, greatest: x.maximum(least).minimum(greatest),
    "div": lambda x, y: x / y,
    "max": lambda x, y: x.maximum(y),
    "min": lambda x, y: x.minimum(y),
    "mul": lambda x, y: x * y,
    "sub": lambda x, y: x - y,
}
_COMPARISONS = {
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
}
_OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


def _cholesky(a: np.ndarray) -> np.ndarray | None:
    n = a.shape[-1]
    zero = flint().arb(0)
    factor = objects([zero] * (n * n), (n, n))
    for j in range(n):
        pivot = a[j, j] - sum((factor[j, k] ** 2 for k in range(j)), zero)
        if not pivot > 0:
            return None
        factor[j, j] = pivot.sqrt()
        for i in range(j + 1, n):
            factor[i, j] = (a[i, j] - sum((factor[i, k] * factor[j, k] for k in range(j)), zero)) / factor[j, j]
    return factor


def _solved(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The solutions of a stack of systems, or None where a matrix may be singular."""
    mat = flint().arb_mat
    found = []
    for one, right in zip(a.reshape((-1, *a.shape[-2:])), b.reshape((-1, *b.shape[-2:])), strict=True):
        try:
            found += mat(one.tolist()).solve(mat(right.tolist())).entries()
        except ZeroDivisionError:
            return None
    return objects(found, b.shape)
