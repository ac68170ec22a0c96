"""Value, gradient and Hessian of a function on many boxes at once, in padded intervals: what verifies a search.

A value and its derivatives stand in one array, (1 + n + n (n + 1)/2, boxes, *shape): the value, the n partial
derivatives, and the entries i <= j of the Hessian. A linear primitive acts on all of them alike; a product and a
function of one number follow

    (uv)_i = u v_i + v u_i,     (uv)_ij = u v_ij + v u_ij + u_i v_j + u_j v_i,
    f(u)_i = f'(u) u_i,         f(u)_ij = f'(u) u_ij + f''(u) u_i u_j.

At a corner of |x| or of a maximum the partial derivatives are those of all pieces that meet on the box: they enclose
Clarke's generalised gradient, for which the mean value theorem holds (Clarke, *Optimization and Nonsmooth Analysis*,
1983, theorem 2.3.7), and nothing is known of second derivatives. Few primitives have a rule, and where one has none,
the verification is done in balls (`qed.domains.ball_boxes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains import padded, padded_choices
from qed.domains.doubt import NONE, Doubt
from qed.domains.enclosing import Enclosing
from qed.domains.forward import Unknown
from qed.domains.intervals import combined
from qed.domains.known import Known, flattened
from qed.domains.padded import Pair
from qed.domains.padded_functions import function, integer_power
from qed.domains.rounding_outward import subnormals_kept
from qed.domains.value import Value
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Equation, Variable
from qed.graph.trace import Traced
from qed.graph.walk import Context, Walker

Array = np.ndarray
MOST = 2**21
"""How many numbers an array may hold, about."""


@dataclass(frozen=True, eq=False)
class PaddedJet:
    """A value with its derivatives: arrays (1 + n + n (n + 1)/2, boxes, *shape) of lower and upper ends."""

    lower: Any
    upper: Any
    doubt: Doubt = NONE

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays."""
        return self.lower.shape

    @property
    def ndim(self) -> int:
        """How many axes they have."""
        return self.lower.ndim

    @property
    def parts(self) -> Pair:
        """The arrays."""
        return self.lower, self.upper

    @property
    def still(self) -> bool:
        """Whether it is seen to be constant."""
        return self.shape[1] == 1 and not np.any(self.lower[1:]) and not np.any(self.upper[1:])

    @classmethod
    def of(cls, parts: Pair, doubt: Doubt = NONE) -> PaddedJet:
        """The jet made of parts."""
        return cls(*parts, doubt)

    def map(self, move: Any) -> PaddedJet:
        """All of its arrays moved."""
        return combined(move, self)

    def sum(self, axis: int) -> PaddedJet:
        """The sum along an axis."""
        return PaddedJet(*padded.total(self.parts, axis))


@final
class PaddedJets(Enclosing):
    """Jets of order 1 or 2 in the `size` numbers of the argument."""

    name = "padded jets"
    numbers: ClassVar[type] = PaddedJet
    classes: ClassVar = frozenset(
        {facts.Class.UNARY, facts.Class.ARITHMETIC, facts.Class.LINEAR, facts.Class.BILINEAR, facts.Class.REDUCE}
    )
    special: ClassVar = {"stop_gradient": "same", "dynamic_slice": "index", "gather": "index", "select_n": "select"}

    def __init__(self, size: int, order: int, choices: bool = False) -> None:
        super().__init__(2)
        self.size, self.order, self.choices = size, order, choices
        self.rows = 1 + size + (size * (size + 1) // 2 if order > 1 else 0)
        self.pairs = np.triu_indices(size) if order > 1 else (np.zeros(0, int),) * 2

    @classmethod
    def rule(cls, primitive: str) -> tuple[str, str] | None:
        """Only what is written here or moves elements."""
        if primitive in cls.special:
            return "special", cls.special[primitive]
        return super().rule(primitive) if facts.classify(primitive) in cls.classes else None

    # --- values ---

    def lift(self, array: Any) -> PaddedJet:
        """A constant; nothing is known of one that is no number, or an integer that float64 would round."""
        number = np.asarray(array).astype(np.float64)
        rounded = np.asarray(array).dtype.kind in "iu" and np.abs(number) > 2.0**53
        value = np.zeros((self.rows, 1, *number.shape))
        value[0, 0] = np.where(np.isfinite(number) & ~np.asarray(rounded), number, np.nan)
        return PaddedJet(value, value)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The jets of an equation's outputs; with `choices` those of comparisons, too; places are computed as they are.

        An array read at places, x[i], compares and adds integers that are known before it reads.
        """
        if all(isinstance(x, Known) for x in inputs) and not any(is_inexact(v.dtype) for v in equation.outputs):
            known = super().rule(equation.primitive) is not None
            if known and facts.classify(equation.primitive) is not facts.Class.EFFECT:
                return tuple(map(Known, Value().apply(equation, [x.array for x in inputs], context)))
        settled = padded_choices.settled(equation, inputs)
        if settled is not None:
            return (settled,)
        if self.choices and padded_choices.followed(equation, inputs):
            values = self.aligned(inputs, context)
            return (PaddedJet(*padded_choices.ends(self, equation, values, context)),)
        return super().apply(equation, inputs, context)

    def settled(self, value: Any, variable: Variable) -> Any:
        """Numbers as they are; integers only where they are known, truth values where choices are followed."""
        if isinstance(value, Known | Unknown) or is_real(variable.dtype):
            return value
        if self.choices and np.dtype(variable.dtype).kind == "b":
            return value
        return Unknown(self.name, "a number that is no real one", None)

    def join(self, first: Any, second: Any) -> Any:
        """Undecided branches are not followed."""
        return first if first is second else Unknown(self.name, "cond", None)

    def choose(self, value: Any, count: int) -> int | None:
        """Only what is known decides."""
        return super().choose(value, count) if isinstance(value, Known) else None

    def truth(self, value: Any) -> bool | None:
        """Only what is known decides."""
        return super().truth(value) if isinstance(value, Known) else None

    def certain(self, name: str, x: Any, y: Any) -> tuple[Any, Any]:
        """Comparisons are not followed."""
        raise NotImplementedError

    def pi(self) -> PaddedJet:
        """Pi between its neighbours."""
        value = self.lift(np.pi)
        lower, upper = value.lower.copy(), value.upper.copy()
        lower[0], upper[0] = padded.down(lower[0]), padded.up(upper[0])
        return PaddedJet(lower, upper)

    # --- operations ---

    def image(self, card: facts.Card, x: PaddedJet) -> Any:
        """The chain rule."""
        if card.name == "neg":
            return PaddedJet(*padded.negative(x.parts))
        if card.name == "abs":
            return self.larger(x, PaddedJet(*padded.negative(x.parts)))
        if card.name == "rsqrt":
            root, inverse = facts.card("sqrt"), facts.card("reciprocal")
            return None if root is None or inverse is None else self.image(inverse, self.image(root, x))
        rule = function(card)
        return None if rule is None else self.chain(rule, x)

    def unary(self, card: facts.Card | None, x: Any, context: Context) -> Any:
        """A function of one number, where the table has it."""
        found = None if card is None else self.image(card, self.number(x))
        return self.unknown(context.equation, context) if found is None else found

    def chain(self, rule: Any, x: PaddedJet) -> PaddedJet:
        """f(x) from f, f' and f'' on the values of x."""
        value, first, second = rule((x.lower[0], x.upper[0]))
        if x.still:
            lower, upper = np.zeros(x.shape), np.zeros(x.shape)
            lower[0], upper[0] = value
            return PaddedJet(lower, upper)
        rest = padded.times(_in_front(first), _rows(x, slice(1, None)))
        if self.order > 1:
            i, j = self.pairs
            slopes = _rows(x, slice(1, 1 + self.size))
            outer = padded.times(_cut(slopes, i), _cut(slopes, j))
            squares = padded.squared(slopes)
            for end, square in zip(outer, squares, strict=True):
                end[i == j] = square
            bent = padded.plus(_cut(rest, slice(self.size, None)), padded.times(_in_front(second), outer))
            rest = _stacked(_cut(rest, slice(self.size)), bent)
        return _joined(value, rest)

    def combine(self, name: str, xs: Sequence[PaddedJet]) -> PaddedJet | None:
        """Arithmetic of several numbers."""
        if name == "clamp":
            least, x, greatest = xs
            return self.smaller(self.larger(x, least), greatest)
        if len(xs) != 2:
            return None
        x, y = xs
        if name in ("add", "sub"):
            return PaddedJet(*padded.plus(x.parts, y.parts if name == "add" else padded.negative(y.parts)))
        if name == "mul":
            return self.chain(lambda u: integer_power(u, 2), x) if x is y else self.product(x, y)
        if name == "div":
            return self.product(x, self.chain(lambda u: integer_power(u, -1), y))
        if name == "pow":
            return self.raised(x, y)
        return {"max": self.larger, "min": self.smaller}.get(name, lambda a, b: None)(x, y)

    def raised(self, x: PaddedJet, y: PaddedJet) -> PaddedJet | None:
        """A power with one constant exponent, an integer."""
        exponents = np.unique(y.lower[0]) if y.still and np.array_equal(y.lower, y.upper) else np.zeros(0)
        if len(exponents) != 1 or not np.isfinite(exponents[0]) or exponents[0] != int(exponents[0]):
            return None
        shape = np.broadcast_shapes(x.shape[2:], y.shape[2:])
        wide = x.map(lambda a: np.broadcast_to(a, (*a.shape[:2], *shape)))
        return self.chain(lambda u: integer_power(u, int(exponents[0])), wide) if abs(exponents[0]) <= 64 else None

    def product(self, x: PaddedJet, y: PaddedJet) -> PaddedJet:
        """The product rule."""
        if x.still:
            return PaddedJet(*padded.times(_rows(x, slice(0, 1)), y.parts))
        if y.still:
            return PaddedJet(*padded.times(_rows(y, slice(0, 1)), x.parts))
        rest = slice(1, None)
        u, v = _rows(x, slice(0, 1)), _rows(y, slice(0, 1))
        found = padded.plus(padded.times(u, _rows(y, rest)), padded.times(v, _rows(x, rest)))
        if self.order > 1:
            i, j = self.pairs
            g, h = _rows(x, slice(1, 1 + self.size)), _rows(y, slice(1, 1 + self.size))
            first = padded.times(_cut(g, i), _cut(h, j))
            other = padded.times(_cut(g, j), _cut(h, i))
            bent = padded.plus(_cut(found, slice(self.size, None)), padded.plus(first, other))
            found = _stacked(_cut(found, slice(self.size)), bent)
        value = padded.times(u, v)
        return _joined(_cut(value, 0), found)

    def smaller(self, x: PaddedJet, y: PaddedJet) -> PaddedJet:
        """The minimum."""
        turned = self.larger(PaddedJet(*padded.negative(x.parts)), PaddedJet(*padded.negative(y.parts)))
        return PaddedJet(*padded.negative(turned.parts))

    def larger(self, x: PaddedJet, y: PaddedJet) -> PaddedJet:
        """The maximum: x or y where that is decided, else the slopes of both and no second derivatives."""
        value = padded.larger((x.lower[0], x.upper[0]), (y.lower[0], y.upper[0]))
        apart = np.greater if self.choices else np.greater_equal  # strictly, as `qed.domains.jets` decides
        first, second = apart(x.lower[0], y.upper[0]), apart(y.lower[0], x.upper[0])
        shape = np.broadcast_shapes(x.shape, y.shape)
        a, b = ((np.broadcast_to(z.lower, shape), np.broadcast_to(z.upper, shape)) for z in (x, y))
        joined = padded.hull(a, b)
        ends = []
        for k in range(2):
            lost = np.array(joined[k])
            lost[1 + self.size :] = np.nan
            end = np.where(first, a[k], np.where(second, b[k], lost))
            end[0] = value[k]
            ends.append(end)
        return PaddedJet(*ends)

    def contract(self, x: PaddedJet, y: PaddedJet) -> PaddedJet:
        """Products of stacks of matrices; by constants, second derivatives that are zero are left as they are."""
        moving = y if x.still else x if y.still else None
        rest = 1 + self.size
        if moving is not None and self.order > 1 and not any(np.any(end[rest:]) for end in moving.parts):
            first = self._contracted(x.map(lambda a: a[:rest]), y.map(lambda a: a[:rest]))
            if all(np.all(np.isfinite(end)) for end in first.parts):
                return first.map(lambda a: np.concatenate([a, np.zeros((self.rows - rest, *a.shape[1:]))]))
        return self._contracted(x, y)

    def _contracted(self, x: PaddedJet, y: PaddedJet) -> PaddedJet:
        left = x.map(lambda a: a[..., :, None, :])
        right = y.map(lambda a: np.swapaxes(a, -1, -2)[..., None, :, :])
        return self.product(left, right).sum(-1)

    def converted(self, x: Any, context: Context) -> Any:
        """Conversions to numbers of another precision are the identity; others are not followed."""
        if is_real(context.equation.outputs[0].dtype):
            return self.number(x)
        return self.unknown(context.equation, context)

    # --- what is chosen ---

    def reduce(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Maxima and minima along axes; other orders are not followed."""
        name = context.equation.primitive
        if name not in ("reduce_max", "reduce_min"):
            return (self.unknown(context.equation, context),) * len(context.equation.outputs)
        x = self.number(inputs[0])
        flat = flattened(x, self.axes(x, context))
        if not flat.shape[-1]:
            return (self.unknown(context.equation, context),)
        rows = [flat.map(lambda a, k=k: a[..., k]) for k in range(flat.shape[-1])]
        best = rows[0]
        for row in rows[1:]:
            best = self.larger(best, row) if name == "reduce_max" else self.smaller(best, row)
        return (best,)

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The case of a predicate that is known."""
        which = inputs[0]
        if isinstance(which, Known) and np.size(which.array) and np.min(which.array) == np.max(which.array):
            return (inputs[1 + int(np.min(which.array))],)
        return (self.unknown(context.equation, context),)

    def index(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Reads at known places."""
        if not all(isinstance(x, Known) for x in inputs[1:]):
            return (self.unknown(context.equation, context),)
        return super().index(inputs, context)

    def filled(self, found: Any, padding: Any, context: Context) -> Any:
        """Reads out of range are not followed."""
        return self.unknown(context.equation, context) if np.any(padding) else found


def _in_front(pair: Pair) -> Pair:
    return pair[0][None], pair[1][None]


def _rows(x: PaddedJet, part: slice) -> Pair:
    return x.lower[part], x.upper[part]


def _cut(pair: Any, index: Any) -> Pair:
    return pair[0][index], pair[1][index]


def _stacked(first: Pair, second: Pair) -> Pair:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _joined(value: Any, rest: Any) -> PaddedJet:
    """A jet from the value and the derivatives."""
    shape = np.broadcast_shapes(value[0].shape, rest[0].shape[1:])
    ends = []
    for a, b in zip(value, rest, strict=True):
        b = np.broadcast_to(b, (len(b), *shape))
        ends.append(np.concatenate([np.broadcast_to(a, shape)[None], b]))
    return PaddedJet(*ends)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Enclosures over boxes: value (boxes,), slopes (n, boxes), entries of the Hessian (n (n + 1)/2, boxes) or none."""

    value: Pair
    slopes: Pair
    hessian: Pair


class PaddedBoxes:
    """A traced function of one value on boxes, given by arrays (boxes, n): its argument's arrays laid end to end.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.domains.padded_jets import PaddedBoxes
    >>> from qed.graph.trace import trace
    >>> f = PaddedBoxes(trace(lambda x: x[0] * x[0] * x[1], np.zeros(2)))
    >>> found = f(np.array([[1.0, 1.0]]), np.array([[1.5, 1.0]]))
    >>> found.value[1].round(9).tolist(), found.slopes[1].round(9).tolist(), found.hessian[1].round(9).tolist()
    ([2.25], [[3.0], [2.25]], [[2.0], [3.0], [0.0]])
    """

    def __init__(self, traced: Traced, choices: bool = False) -> None:
        self.traced, self.choices = traced, choices
        self.shapes = [np.shape(leaf) for leaf in traced.parameters]
        self.size = sum(int(np.prod(shape)) for shape in self.shapes)
        self.weight = max((_weight(e) for e in traced.graph.walk()), default=1)

    @property
    def known(self) -> bool:
        """Whether every primitive has a rule (tried at zero), and this process keeps subnormal numbers."""
        if not subnormals_kept():
            return False
        return self._pass(np.zeros((1, self.size)), np.zeros((1, self.size)), 1) is not None

    def __call__(self, lower: Array, upper: Array, order: int = 2) -> Derivatives:
        """The enclosures, in as many passes as memory wants; NaN where nothing is known."""
        rows = 1 + self.size + (self.size * (self.size + 1) // 2 if order > 1 else 0)
        step = max(1, MOST // max(1, rows * self.weight))
        ends: list[list[Array]] = [[], []]
        for start in range(0, len(lower), step):
            part = slice(start, start + step)
            found = self._pass(lower[part], upper[part], order)
            count = len(lower[part])
            for k in range(2):
                end = np.full((rows, count), np.nan) if found is None else found[k]
                ends[k].append(np.broadcast_to(end, (rows, count)))
        low, high = (np.concatenate(column, 1) for column in ends)
        n = self.size
        return Derivatives((low[0], high[0]), (low[1 : n + 1], high[1 : n + 1]), (low[n + 1 :], high[n + 1 :]))

    def arrays(self, lower: Array, upper: Array, order: int, along: Array) -> Pair | None:
        """A function of any shape on one box (n,), with derivatives in k of its numbers; None where nothing is known.

        The ends are arrays (1 + k + k (k + 1)/2, *shape), those of second order left out for order 1.
        """
        found = self._pass(lower[None], upper[None], order, along) if subnormals_kept() else None
        return None if found is None else (found[0][:, 0], found[1][:, 0])

    def _pass(self, lower: Array, upper: Array, order: int, along: Array | None = None) -> Pair | None:
        chosen = np.arange(self.size) if along is None else along
        domain = PaddedJets(len(chosen), order, self.choices)
        inputs: list[Any] = list(self.traced.leaves)
        start = 0
        for position, shape in zip(self.traced.free, self.shapes, strict=True):
            count = int(np.prod(shape))
            ends = []
            for side in (lower, upper):
                jet = np.zeros((domain.rows, len(lower), count))
                jet[0] = side[:, start : start + count]
                mine = np.flatnonzero((chosen >= start) & (chosen < start + count))
                jet[1 + mine, :, chosen[mine] - start] = 1.0
                ends.append(jet.reshape((domain.rows, len(lower), *shape)))
            inputs[position] = PaddedJet(*ends)
            start += count
        with np.errstate(all="ignore"):
            (cell, *_) = Walker([domain]).run(self.traced.graph, inputs)
        value = cell.values[0]
        if isinstance(value, Unknown):
            return None
        number = domain.number(value)
        if along is not None and number.doubt:
            return None
        return number.lower, number.upper


def _weight(equation: Any) -> int:
    """How many numbers an equation holds for one box and one derivative."""
    size = max((int(np.prod(v.shape)) for v in equation.outputs), default=1)
    if equation.primitive == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        size *= int(np.prod([equation.inputs[0].shape[axis] for axis in contracted]))
    return max(size, 1)
