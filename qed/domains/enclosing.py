"""What intervals and balls have in common as forward domains: everything but the arithmetic of numbers.

A value is an array of enclosures of real numbers (`Intervals`, `Balls`), or `Known`: integers, truth values and
random keys that are concrete, which are evaluated by JAX exactly as the program does. A truth value is a number
between 0 and 1; [0, 1] is undecided. The rules follow the real-number meaning of the graph: conversions between
floating-point formats and `stop_gradient` are the identity, constants are exact; the rules that custom derivatives
bring are not looked at.

Many boxes at once: every array has `batch` axes in front of those of its variable, of length 1 where it is the same for
all boxes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.lax import RoundingMethod

from qed import facts
from qed.domains.contraction import of_product
from qed.domains.doubt import Doubt, either
from qed.domains.forward import Forward, Unknown
from qed.domains.intervals import combined
from qed.domains.known import Known
from qed.domains.linear import Linear
from qed.domains.ordering import Ordering
from qed.domains.scattering import Scattering
from qed.domains.value import Value
from qed.graph.dtypes import is_extended, is_inexact, is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context


class Enclosing(Linear, Ordering, Scattering, Forward):
    """A forward domain of enclosures; a subclass says what numbers are and how they are computed with."""

    numbers: ClassVar[type]
    """The class of arrays of enclosures."""

    gaps: ClassVar[frozenset[str]] = frozenset(
        """approx_top_k complex conj cumlogsumexp fft from_edtype igamma_grad_a imag linear_call nextafter
        ragged_dot_general random_gamma real reduce reduce_window scatter_apply select_and_gather_add
        select_and_scatter select_and_scatter_add to_edtype""".split()
    )
    """Primitives for which there is no rule, although others of their class have one."""

    special: ClassVar[Mapping[str, str]] = {
        "bitcast_convert_type": "by_bits",
        "debug_callback": "nothing",
        "debug_print": "nothing",
        "inspect_sharding": "nothing",
        "polynomial": "polynomial",
        "reduce_precision": "to_precision",
        "stop_gradient": "same",
        **dict.fromkeys(("iota", "empty", "empty2"), "given"),
    }

    def __init__(self, batch: int = 0) -> None:
        self.batch = batch

    @classmethod
    def rule(cls, primitive: str) -> tuple[str, str] | None:
        """As every forward domain, without the declared gaps."""
        return None if primitive.replace("-", "_") in cls.gaps else super().rule(primitive)

    # --- what a subclass says ---

    @abstractmethod
    def image(self, card: facts.Card, x: Any) -> Any:
        """An enclosure of the values of a card's function."""

    @abstractmethod
    def combine(self, name: str, xs: Sequence[Any]) -> Any:
        """An enclosure of an operation of several numbers, or None where there is no rule."""

    @abstractmethod
    def contract(self, x: Any, y: Any) -> Any:
        """Products of stacks of matrices."""

    @abstractmethod
    def pi(self) -> Any:
        """An enclosure of pi."""

    @abstractmethod
    def certain(self, name: str, x: Any, y: Any) -> tuple[Any, Any]:
        """Where a comparison surely holds and where it surely fails."""

    # --- values ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """The number itself; an enclosure (a box) is taken as a new value."""
        if isinstance(array, self.numbers):
            return replace(array)
        if is_real(atom.dtype):
            return self.lift(np.asarray(array).astype(np.float64))
        extended = is_extended(atom.dtype)
        if is_inexact(atom.dtype) or (not extended and np.asarray(array).dtype.kind == "c"):
            return Unknown(self.name, "a complex number", None, "no enclosure of")
        return Known(array if extended else np.asarray(array, atom.dtype))

    def lift(self, array: Any) -> Any:
        """The enclosure of concrete numbers, the same for all boxes."""
        array = np.asarray(array)
        return self.numbers.point(array.reshape((*([1] * self.batch), *array.shape)))

    def number(self, value: Any) -> Any:
        """The enclosure of a value."""
        return self.lift(np.asarray(value.array)) if isinstance(value, Known) else value

    def settled(self, value: Any, variable: Variable) -> Any:
        """A value as what its variable is: integers wrap around, and are known where they are decided."""
        if isinstance(value, Known | Unknown) or is_real(variable.dtype):
            return value
        lower, upper = value.bounds
        kind = np.dtype(variable.dtype)
        if 0 in variable.shape:
            return Known(np.zeros(variable.shape, kind))
        least, greatest = (0, 1) if kind.kind == "b" else (jnp.iinfo(kind).min, jnp.iinfo(kind).max)
        outside = (lower < least) | (upper > greatest)
        if np.any(outside):
            wide = np.where(outside, float(least), lower), np.where(outside, float(greatest), upper)
            return self.numbers.between(*wide, value.doubt)
        rows = lower.reshape((math.prod(lower.shape[: lower.ndim - len(variable.shape)]), *variable.shape))
        if value.doubt or np.any(lower != upper) or np.any(rows != rows[:1]) or np.any(np.abs(lower) > 2.0**53):
            return value
        return Known(rows[0].astype(kind)) if len(rows) else value

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        if isinstance(value, Known):
            return Known(value.array[index])
        return value.map(lambda x: x[(slice(None),) * self.batch + (index,)])

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        if not values:
            return self.settled(self.lift(np.zeros(variable.shape)), variable)
        if all(isinstance(value, Known) for value in values):
            return Known(Value().stack([value.array for value in values], variable))
        return combined(
            lambda *rows: np.stack(np.broadcast_arrays(*rows), self.batch), *(self.number(value) for value in values)
        )

    def join(self, first: Any, second: Any) -> Any:
        """What holds in either branch."""
        if first is second:
            return first
        if isinstance(first, Known) and isinstance(second, Known):
            if is_extended(first.array.dtype):
                return Unknown(self.name, "a random key", None, "undecided:")
            if np.array_equal(first.array, second.array):
                return first
        return self.number(first).hull(self.number(second))

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds; of a batched loop, whether any of them does; the same in all boxes, or None."""
        if isinstance(value, Known):
            return bool(np.any(value.array))
        if value.doubt:
            return None
        inside = tuple(range(self.batch, value.ndim))
        lower, upper = value.bounds
        return True if np.all(np.any(lower > 0, inside)) else False if np.all(upper <= 0) else None

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch an index takes."""
        if isinstance(value, Known):
            return int(np.clip(int(value.array), 0, count - 1))
        lower, upper = (np.clip(end, 0, count - 1) for end in value.bounds)
        decided = not value.doubt and lower.size and lower.min() == upper.max()
        return int(lower.min()) if decided else None

    # --- dispatch ---

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The enclosures of an equation's outputs, with the equation noted where one is first undefined."""
        outputs = equation.outputs
        if all(isinstance(x, Known) for x in inputs) and not any(is_inexact(v.dtype) for v in outputs):
            if (
                self.rule(equation.primitive) is not None
                and facts.classify(equation.primitive) is not facts.Class.EFFECT
            ):
                return tuple(map(Known, Value().apply(equation, [x.array for x in inputs], context)))
        if any(is_inexact(v.dtype) and not is_real(v.dtype) for v in (*equation.inputs, *outputs)):
            return (self.unknown(equation, context),) * len(outputs)
        found = super().apply(equation, inputs, context)
        return tuple(
            self.noted(self.settled(value, variable), equation, context)
            for value, variable in zip(found, outputs, strict=True)
        )

    def noted(self, value: Any, equation: Equation, context: Context) -> Any:
        """The value, this equation written down where the value is undefined and its operands were not."""
        if isinstance(value, Known | Unknown) or value.doubt.undefined is None or value.doubt.place is not None:
            return value
        place = Unknown(self.name, equation.primitive, context.span, "{} may be undefined somewhere on the box")
        return replace(value, doubt=replace(value.doubt, place=place))

    def aligned(self, inputs: Sequence[Any], context: Context) -> list[Any]:
        """Operands of an elementwise operation; a batch in front of a scalar stays in front."""
        values = [self.number(x) for x in inputs]
        rank = max((len(atom.shape) for atom in context.equation.inputs), default=0)
        for i, (value, atom) in enumerate(zip(values, context.equation.inputs, strict=False)):
            if self.batch and len(atom.shape) < rank:
                shape = (*value.shape[: self.batch], *([1] * (rank - len(atom.shape))), *atom.shape)
                values[i] = value.map(lambda x, shape=shape: x.reshape(shape))
        return values

    # --- elementwise ---

    def unary(self, card: facts.Card | None, x: Any, context: Context) -> Any:
        """A function with a card."""
        real = is_real(context.equation.outputs[0].dtype)
        if card is None or (not real and card.name not in ("abs", "neg", "sign", "square")):
            return self.unknown(context.equation, context)
        if card.name == "round" and _away_from_zero(context.equation):
            return self.rounded_away(self.number(x))
        return self.image(card, self.number(x))

    def rounded_away(self, x: Any) -> Any:
        """The nearest integer, halves away from zero; it does not fall when x grows, and is exact in float64."""
        ends = (np.where(end % 1.0 == 0.5, np.sign(end) * np.ceil(np.abs(end)), np.round(end)) for end in x.bounds)
        return self.numbers.between(*ends, x.doubt)

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic; of integers only what does not round."""
        name = context.equation.primitive if card is None else card.name
        real = is_real(context.equation.outputs[0].dtype)
        if not real and name not in ("add", "sub", "mul", "max", "min", "clamp"):
            return self.unknown(context.equation, context)
        found = self.combine(name, self.aligned(xs, context))
        return self.unknown(context.equation, context) if found is None else found

    def polynomial(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """c0 + c1 x + ..., by Horner."""
        x, *coefficients = self.aligned(inputs, context)
        total = coefficients[-1] if coefficients else self.lift(np.zeros(()))
        for coefficient in coefficients[-2::-1]:
            total = self.combine("add", [coefficient, self.combine("mul", [total, x])])
        return (total,)

    def compare(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Comparisons and operations between truth values: 1, 0, or [0, 1] where undecided."""
        name = context.equation.primitive.removesuffix("_to")
        values = self.aligned(inputs, context)
        if name in ("reduce_and", "reduce_or"):
            kind = "min" if name == "reduce_and" else "max"
            return (self.extremum(values[0], kind, self.axes(values[0], context)),)
        boolean = all(np.dtype(atom.dtype).kind == "b" for atom in context.equation.inputs)
        if name in ("and", "or", "not", "xor") and boolean:
            return (self.logic(name, values),)
        if name == "is_finite":
            return (self.finite(values[0]),)
        if name not in ("eq", "ne", "lt", "le", "gt", "ge"):
            return (self.unknown(context.equation, context),)
        x, y = values
        if inputs[0] is inputs[1]:
            holds = np.full(x.shape, name in ("eq", "le", "ge"))
            yes, no = holds, ~holds
        else:
            yes, no = self.certain(name, x, y)
        lost = either(x.doubt.undefined, y.doubt.undefined)
        place = x.doubt.place or y.doubt.place
        return (self.numbers.between(np.where(yes, 1.0, 0.0), np.where(no, 0.0, 1.0), Doubt(lost, None, place)),)

    def logic(self, name: str, values: Sequence[Any]) -> Any:
        """And, or, not, xor of truth values."""
        ends = [value.bounds for value in values]
        doubt = values[0].doubt if len(values) == 1 else values[0].doubt | values[1].doubt
        if name == "not":
            return self.numbers.between(1 - ends[0][1], 1 - ends[0][0], doubt)
        (a, b), (c, d) = ends
        if name == "xor":
            sure = (a == b) & (c == d)
            return self.numbers.between(np.where(sure, a != c, 0.0), np.where(sure, a != c, 1.0), doubt)
        ufunc = np.minimum if name == "and" else np.maximum
        return self.numbers.between(ufunc(a, c), ufunc(b, d), doubt)

    def finite(self, x: Any) -> Any:
        """A real number is finite; an infinite constant is not."""
        lower, upper = x.bounds
        one = np.ones(x.shape)
        infinite = np.zeros(x.shape, bool) if x.doubt.infinite is None else x.doubt.infinite
        surely = infinite & (lower == upper)
        doubt = Doubt(x.doubt.undefined, None, x.doubt.place)
        return self.numbers.between(np.where(infinite, 0.0, one), np.where(surely, 0.0, one), doubt)

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The case that the predicate takes; the hull of those it may take."""
        which, *cases = inputs
        which, *cases = self.aligned(inputs, context)
        low, high = which.bounds
        if low.size and low.min() == high.max() and not which.doubt:  # one case for all: it stays the same object
            return (inputs[1 + int(low.min())],)
        found = cases[0]
        for k in range(1, len(cases)):
            found = self.chosen(high < k, low >= k, cases[k], found)
        lost = Doubt(which.doubt.undefined, None, which.doubt.place)
        return (replace(found, doubt=found.doubt | lost),)

    def chosen(self, no: np.ndarray, yes: np.ndarray, then: Any, otherwise: Any) -> Any:
        """`then` where `yes`, `otherwise` where `no`, their hull elsewhere."""
        shape = np.broadcast_shapes(no.shape, then.shape, otherwise.shape)
        then, otherwise = (case.map(lambda x: np.broadcast_to(x, shape)) for case in (then, otherwise))
        joined = then if np.all(yes | no) else then.hull(otherwise)
        return combined(lambda a, b, c: np.where(yes, a, np.where(no, b, c)), then, otherwise, joined)

    def depending(self, value: Any, cause: Any) -> Any:
        """A value that is undefined where its cause is: an index of an element, or of a branch."""
        if isinstance(cause, Known) or cause.doubt.undefined is None or isinstance(value, Unknown):
            return value
        value = self.number(value)
        return replace(value, doubt=value.doubt | Doubt(np.ones(value.shape, bool), None, cause.doubt.place))

    # --- products, indices, the rest ---

    def bilinear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Products of arrays; the scalar product of a vector with itself is a sum of squares."""
        equation = context.equation
        x, y = (self.number(value) for value in inputs)
        forms = of_product(equation, self.batch)
        if forms is None:
            return (self.unknown(equation, context),)
        if equation.primitive == "dot_general":
            (lc, rc), (lb, rb) = equation.params["dimension_numbers"]
            if inputs[0] is inputs[1] and lc == rc and lb == rb and len(lc) + len(lb) == len(equation.inputs[0].shape):
                rows = x.map(forms[0])
                return (self.combine("mul", [rows, rows]).sum(-1).map(lambda z: forms[2](z[..., None])),)
        return (self.contract(x.map(forms[0]), y.map(forms[1])).map(forms[2]),)

    def by_bits(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """What is defined by the bits of known integers."""
        if not all(isinstance(x, Known) for x in inputs):
            return (self.unknown(context.equation, context),) * len(context.equation.outputs)
        found = Value().apply(context.equation, [x.array for x in inputs], context)
        return tuple(self.constant(v, f) for v, f in zip(context.equation.outputs, found, strict=True))

    random = given = constant_almost_everywhere = by_bits

    def to_precision(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The identity where the operand's own dtype is no finer; what rounds is a declared gap."""
        return (self.unknown(context.equation, context),) if coarser(context.equation) else self.same(inputs, context)

    def nothing(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Effects that only show something."""
        return ()


def coarser(equation: Equation) -> bool:
    """Whether a `reduce_precision` rounds numbers of its operand's dtype."""
    params, kind = equation.params, jnp.finfo(equation.inputs[0].dtype)
    return params["exponent_bits"] < kind.nexp or params["mantissa_bits"] < kind.nmant


def _away_from_zero(equation: Equation) -> bool:
    """Whether a rounding takes halves away from zero, as JAX's does by default; `jnp.round` takes them to even."""
    return int(equation.params.get("rounding_method", 1)) == int(RoundingMethod.AWAY_FROM_ZERO)
