"""The rules of jets for functions, arithmetic and products: the chain rule in intervals (`qed.domains.jet`).

Where a derivative is undefined somewhere on the closed box it is everything. 0 times an undefined derivative is 0 only
in a direction in which the box has width: there an enclosure of zero says that the operand does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed import facts
from qed.domains import jet_choices
from qed.domains.derivatives import evaluated, first, partials, rough, second
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet, Part, added, cross, outer, pairs, scaled, sided, whole, wide
from qed.domains.known import Known
from qed.facts.expression import ZERO
from qed.graph.dtypes import is_real
from qed.graph.walk import Context, Unknown

Array = np.ndarray
Base: Any = object  # of a part of `qed.domains.jets.Jets`, whose methods it uses


class Rules(Base):
    """The rules of jets."""

    def of_product(
        self, x: Jet, y: Jet, product: Callable[[Any, Any], Any], turned: Callable[[Any, Any], Any], same: bool
    ) -> tuple[Part, ...]:
        """The derivatives of x y: `product(a, b)` of the kinds of x and y, `turned(b, a)` the same."""
        slope = added(
            None if x.slope is None else product(x.slope, wide(y.value)),
            None if y.slope is None else product(wide(x.value), y.slope),
        )
        if self.order < 2:
            return (slope,)
        both = None
        if x.slope is not None and y.slope is not None:
            both = cross(x.slope, y.slope, self.size, product)
            if same:
                diagonal = pairs(self.size)[2].reshape((-1, *([1] * (both.ndim - 2))))
                both = Intervals(np.where(diagonal, np.maximum(both.lower, 0.0), both.lower), both.upper, both.doubt)
        hessian = added(
            None if x.hessian is None else product(x.hessian, wide(y.value)),
            None if y.hessian is None else product(wide(x.value), y.hessian),
            both,
        )
        if not self.loewner:
            return slope, hessian
        sides = (
            added(sided(y.value, x, side, turned), sided(x.value, y, side, product), both) for side in ("least", "most")
        )
        return (slope, hessian, *sides)

    def chain(self, card: facts.Card, x: Jet, value: Intervals) -> Jet:
        """f(x), whose value is known: f' g, and f' H + f'' g g^T."""
        assert x.slope is not None
        corner, jump = rough(card, x.value)
        one = first(card, x.value, value, self.formulas)
        bad = _doubtful(one) | jump
        one = whole(Intervals(one.lower, one.upper), bad)
        slope = self.blurred(wide(one) * x.slope, bad)
        if self.order < 2:
            return Jet(value, slope)
        if facts.derivative_of(card, 2) == ZERO and not np.any(corner | bad):
            return Jet(value, slope, *self.scaled_second(one, x))
        two = second(card, x.value, value, self.formulas)
        bad = bad | _doubtful(two)
        two = whole(Intervals(two.lower, two.upper), bad)
        squares = outer(x.slope, self.size)
        anything = whole(two, corner)
        hessian = added(scaled(one, x.hessian), wide(anything) * squares)
        hessian = self.blurred(hessian, bad | corner)
        if not self.loewner:
            return Jet(value, slope, hessian)
        lower, upper = two.lower, two.upper
        if card.name == "abs":
            upper = np.where(corner, np.inf, upper)
        else:
            lower, upper = np.where(corner, -np.inf, lower), np.where(corner, np.inf, upper)
        least = added(sided(one, x, "least", _times), wide(Intervals(lower, lower)) * squares)
        most = added(sided(one, x, "most", _times), wide(Intervals(upper, upper)) * squares)
        return Jet(value, slope, hessian, self.blurred(least, bad), self.blurred(most, bad))

    def scaled_second(self, one: Intervals, x: Jet) -> tuple[Part, ...]:
        """The second derivatives of a function without curvature."""
        found = (scaled(one, x.hessian),)
        if not self.loewner:
            return found
        return (*found, sided(one, x, "least", _times), sided(one, x, "most", _times))

    def blurred(self, part: Any, mask: Array) -> Any:
        """Everything in the directions without width, where a derivative is undefined."""
        if part is None or self.flat is None or not np.any(mask):
            return part
        flat = self.flat
        if part.shape[1] != self.size:
            i, j, _ = pairs(self.size)
            flat = flat[:, i] | flat[:, j]
        return whole(part, mask[:, None] & flat.reshape((*flat.shape, *([1] * (part.ndim - 2)))))

    def nary(self, card: Any, xs: Sequence[Jet], context: Context) -> Any:
        """Arithmetic: sums and products by their own rules, the others by partial derivatives."""
        value = self.value(xs, context)
        if isinstance(value, Unknown):
            return value
        if not is_real(context.equation.outputs[0].dtype):
            return self.stepped(value)
        xs = self.aligned(xs, context)
        name = card.name
        same = len(xs) == 2 and xs[0].value is xs[1].value
        if same and name in ("sub", "div", "max", "min"):
            return xs[0] if name in ("max", "min") else Jet(value)
        match name:
            case "add":
                return Jet(value, *map(added, xs[0].parts, xs[1].parts))
            case "sub":
                a, b = xs[0].parts, xs[1].parts
                b = (b[0], b[1], b[3], b[2])
                return Jet(value, *(added(u, None if v is None else -v) for u, v in zip(a, b, strict=True)))
            case "mul" if same:
                return self.chain(facts.CARDS["square"], xs[0], value)
            case "mul":
                return Jet(value, *self.of_product(xs[0], xs[1], _times, _times, False))
            case "max" | "min":
                return jet_choices.larger(self, name == "max", xs[0], xs[1], value)
            case "clamp":
                inner = jet_choices.larger(self, True, xs[1], xs[0], xs[1].value.maximum(xs[0].value))
                return jet_choices.larger(self, False, inner, xs[2], value)
            case "pow" if not xs[1].moves and (power := _constant(xs[1].value)) is not None:
                found = facts.card("power", exponent=power)
                assert found is not None
                return self.chain(found, xs[0], value)
        return self.general(card, xs, value, context)

    def aligned(self, xs: Sequence[Jet], context: Context) -> list[Jet]:
        """Operands of one rank: a scalar's directions stay in front."""
        atoms = context.equation.inputs
        rank = max((len(atom.shape) for atom in atoms), default=0)
        found = []
        for x, atom, value in zip(xs, atoms, self.base.aligned([x.value for x in xs], context), strict=True):
            missing = rank - len(atom.shape)
            parts = x.parts
            if missing:
                ones = [1] * missing
                parts = x.map(lambda p, s=atom.shape, o=ones: p.map(lambda a: a.reshape((*a.shape[:2], *o, *s))))
            found.append(Jet(value, *parts))
        for i, x in enumerate(xs):
            for j in range(i):
                if xs[j].value is x.value:
                    found[i] = replace(found[i], value=found[j].value)
        return found

    def general(self, card: Any, xs: Sequence[Jet], value: Intervals, context: Context) -> Any:
        """An operation by its partial derivatives."""
        if isinstance(value, Known):
            return Jet(value)
        firsts, seconds = partials(card.name, len(xs))
        moving = [i for i, x in enumerate(xs) if x.moves]
        values = [x.value for x in xs]
        if card.jump is not None or card.tie is not None or any(firsts[i] is None for i in moving):
            if card.name != "atan2":
                return self.lost(value)
        try:
            found = self._summed(card, xs, value, moving, firsts, seconds)
        except KeyError:
            return self.lost(value)
        if card.name == "atan2":
            y, x = values
            jump = (x.lower <= 0) & (y.lower <= 0) & (y.upper >= 0)
            mask = np.broadcast_to(jump, value.shape)
            found = [part if part is None else self.blurred(whole(part, mask[:, None]), mask) for part in found]
        return Jet(value, *found)

    def _summed(
        self, card: Any, xs: Sequence[Jet], value: Intervals, moving: Sequence[int], firsts: Any, seconds: Any
    ) -> list[Part]:
        values = [x.value for x in xs]
        ones = {i: evaluated(firsts[i], card, values, value, self.formulas) for i in moving}
        bad = np.zeros(value.shape, bool)
        for i, one in ones.items():
            bad = bad | _doubtful(one)
            ones[i] = Intervals(one.lower, one.upper)
        ones = {i: whole(one, bad) for i, one in ones.items()}
        found: list[Part] = [self.blurred(added(*(scaled(ones[i], xs[i].slope) for i in moving)), bad)]
        if self.order < 2:
            return found
        curved: Part = None
        for i in moving:
            for j in moving:
                if j < i or seconds[i, j] == ZERO:
                    continue
                if seconds[i, j] is None:
                    raise KeyError(card.name)
                two = evaluated(seconds[i, j], card, values, value, self.formulas)
                bad = bad | _doubtful(two)
                two = whole(Intervals(two.lower, two.upper), _doubtful(two))
                g, h = xs[i].slope, xs[j].slope
                assert g is not None and h is not None
                term = outer(g, self.size) if i == j else cross(g, h, self.size, _times)
                curved = added(curved, wide(two) * term)
        hessian = added(*(scaled(ones[i], xs[i].hessian) for i in moving), curved)
        found.append(self.blurred(hessian, bad))
        for side in ("least", "most") if self.loewner else ():
            part = added(*(sided(ones[i], xs[i], side, _times) for i in moving), curved)
            found.append(self.blurred(part, bad))
        return found

    def polynomial(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """c0 + c1 x + ..., by Horner."""
        return (jet_choices.horner(self, inputs, context),)


def _times(a: Any, b: Any) -> Any:
    return a * b


def _doubtful(x: Intervals) -> Array:
    return np.zeros(x.shape, bool) if x.doubt.undefined is None else x.doubt.undefined


def _constant(x: Any) -> float | None:
    lower, upper = x.bounds
    if lower.size and lower.min() == upper.max() and not x.doubt:
        return float(lower.min())
    return None
