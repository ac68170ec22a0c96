"""The jet domain: second-order interval jets (`qed.domains.jet`) carried along the graph of *values*.

Linear primitives act on each entry of gradient and Hessian by themselves, so that the interval domain's own rules move
and sum them, with one axis more in front: that of the directions. Functions of one number and arithmetic follow the
chain rule with enclosures of the first and second derivatives from the fact cards. Calls with a rule of the user's are
followed into their bodies and stop_gradient is the identity that it is: the jet is one of the function's values, and
no declared derivative is believed.

Where a function may have a corner or jump in the closed box its Hessian or slope is everything there; a comparison that
is not decided, a conversion to integers that may jump, and what they select, likewise. A direction in which the box has
no width is not seen by an enclosure of width zero: there 0 times an undefined derivative is everything too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains import jet_choices
from qed.domains.formulas import Formulas
from qed.domains.forward import Forward, Unknown
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet, clean
from qed.domains.jet_rules import Rules
from qed.domains.known import Known
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.trace import Traced
from qed.graph.walk import Context, Walker

Array = np.ndarray


@final
class Jets(Rules, Forward):
    """Jets in a number of directions, of order 1 or 2, on a batch of boxes.

    Args:
        size: how many numbers the argument holds.
        order: 1 for gradients alone.
        loewner: whether to keep `least` and `most`.
        flat: (boxes, size): where the box has no width.
    """

    name = "jets"
    special: ClassVar = {
        "bitcast_convert_type": "still",
        "debug_callback": "nothing",
        "debug_print": "nothing",
        "inspect_sharding": "nothing",
        "polynomial": "polynomial",
        "stop_gradient": "same",
        "scatter-mul": "lost_all",
        "scatter-max": "lost_all",
        "scatter-min": "lost_all",
        "scatter_mul": "lost_all",
        "scatter_max": "lost_all",
        "scatter_min": "lost_all",
        "select_and_scatter": "lost_all",
        **dict.fromkeys(("iota", "empty", "empty2"), "still"),
    }

    def __init__(self, size: int, order: int = 2, loewner: bool = False, flat: Array | None = None) -> None:
        self.size, self.order, self.loewner = size, order, loewner and order > 1
        self.flat = flat if flat is not None and np.any(flat) else None
        self.base, self.moving = Interval(1), Interval(2)
        self.formulas = Formulas(self.base)

    # --- values ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """A constant does not move; a jet is itself."""
        if isinstance(array, Jet):
            return array
        value = self.base.constant(atom, array)
        return value if isinstance(value, Unknown) else Jet(value)

    def take(self, value: Jet, index: int) -> Jet:
        """Row `index`."""
        parts = value.map(lambda part: self.moving.take(part, index))
        return Jet(self.base.take(value.value, index), *parts)

    def stack(self, values: Sequence[Jet], variable: Variable) -> Jet:
        """Rows on top of each other."""
        row = Variable(variable.shape[1:], variable.dtype)
        columns = []
        for column in zip(*(value.parts for value in values), strict=True):
            moves = any(part is not None for part in column)
            rows = [self.zeros(row) if part is None else part for part in column]
            columns.append(self.moving.stack(rows, variable) if moves else None)
        return Jet(self.base.stack([value.value for value in values], variable), *columns)

    def choose(self, value: Jet, count: int) -> int | None:
        """Decided for all boxes."""
        return self.base.choose(value.value, count)

    def truth(self, value: Jet) -> bool | None:
        """Decided for all boxes."""
        return self.base.truth(value.value)

    def join(self, first: Any, second: Any) -> Any:
        """Either of two functions: nothing is known of derivatives."""
        if first is second:
            return first
        value = self.base.join(first.value, second.value)
        return value if isinstance(value, Unknown) else self.lost(value)

    def depending(self, value: Jet, cause: Jet) -> Jet:
        """A value undefined where its cause is."""
        return replace(value, value=self.base.depending(value.value, cause.value))

    def zeros(self, atom: Atom) -> Intervals:
        """A derivative that is zero."""
        return Intervals.point(np.zeros((1, 1, *atom.shape)))

    def lost(self, value: Any, mask: Array | None = None) -> Jet:
        """A value whose derivatives may be anything (where the mask holds; zero elsewhere)."""
        shape = np.asarray(value.array).shape if isinstance(value, Known) else value.shape
        inside = shape if isinstance(value, Known) else shape[1:]
        lead = (1,) if isinstance(value, Known) else shape[:1]
        mask = np.ones((*lead, *inside), bool) if mask is None else mask
        if not np.any(mask):
            return Jet(value)

        def part(count: int) -> Intervals:
            end = np.broadcast_to(np.where(mask, np.inf, 0.0)[:, None], (mask.shape[0], count, *inside))
            return Intervals(-end, end)

        count = self.size * (self.size + 1) // 2
        rest = [part(count) for _ in range(0 if self.order < 2 else 3 if self.loewner else 1)]
        return Jet(value, part(self.size), *rest)

    # --- dispatch ---

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The jets of an equation's outputs; of constants, by the interval domain alone."""
        if not any(x.moves for x in inputs) and self.rule(equation.primitive) is not None:
            return self.values(equation, inputs, context)
        return [
            out if isinstance(out, Unknown) else Jet(out.value, *(spread(clean(part), atom) for part in out.parts))
            for out, atom in zip(super().apply(equation, inputs, context), equation.outputs, strict=False)
        ]

    def values(self, equation: Equation, inputs: Sequence[Jet], context: Context) -> list[Any]:
        """The enclosures of the values alone."""
        outs = self.base.apply(equation, [x.value for x in inputs], context)
        return [out if isinstance(out, Unknown) else Jet(out) for out in outs]

    def value(self, inputs: Sequence[Jet], context: Context) -> Any:
        """The enclosure of the one output."""
        return self.base.apply(context.equation, [x.value for x in inputs], context)[0]

    def still(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """What is constant where it is decided."""
        return [out if isinstance(out, Unknown) else self.stepped(out.value) for out in self.all(inputs, context)]

    compare = constant_almost_everywhere = random = still

    def all(self, inputs: Sequence[Jet], context: Context) -> list[Any]:
        """The values of an equation whose inputs move."""
        return self.values(context.equation, inputs, context)

    def stepped(self, value: Any) -> Jet:
        """A value that jumps where it is not decided."""
        if isinstance(value, Known):
            return Jet(value)
        mask = value.lower != value.upper
        if value.doubt.undefined is not None:
            mask = mask | value.doubt.undefined
        return self.lost(value, mask)

    def lost_all(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """Nothing is known of the derivatives."""
        return [out if isinstance(out, Unknown) else self.lost(out.value) for out in self.all(inputs, context)]

    def same(self, inputs: Sequence[Jet], context: Context) -> Sequence[Jet]:
        """The identity on values."""
        return tuple(inputs[: len(context.equation.outputs)])

    def nothing(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Effects that only show something."""
        return ()

    # --- linear ---

    def linear(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """Each derivative by itself; integers that the places depend on must be decided."""
        equation = context.equation
        floating = [is_real(atom.dtype) for atom in equation.inputs]
        outs = self.values(equation, inputs, context)
        if any(isinstance(out, Unknown) for out in outs):
            return outs
        if not all(is_real(variable.dtype) for variable in equation.outputs):
            return [self.stepped(out.value) for out in outs]
        if any(x.moves or not isinstance(x.value, Known) for x, real in zip(inputs, floating, strict=True) if not real):
            return [self.lost(out.value) for out in outs]
        columns = [self.by_part(k, inputs, floating, context) for k in range(4)]
        if self.loewner and equation.primitive.replace("_", "-") == "scatter-sub":
            columns[2:] = columns[1], columns[1]  # H itself lies below and above H; it changes its sign
        unknown = next((part for column in columns for part in column if isinstance(part, Unknown)), None)
        if unknown is not None:
            return (unknown,) * len(outs)
        return [Jet(out.value, *(column[place] for column in columns)) for place, out in enumerate(outs)]

    index = linear

    def by_part(self, k: int, inputs: Sequence[Jet], floating: Sequence[bool], context: Context) -> Sequence[Any]:
        """The equation on the k-th derivatives of the floating operands."""
        equation = context.equation
        if not any(x.parts[k] is not None for x, real in zip(inputs, floating, strict=True) if real):
            return (None,) * len(equation.outputs)
        row = [
            x.value if not real else self.zeros(atom) if x.parts[k] is None else x.parts[k]
            for x, real, atom in zip(inputs, floating, equation.inputs, strict=True)
        ]
        return self.moving.apply(equation, row, context)

    def bilinear(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """The product rule for products of arrays."""
        value = self.value(inputs, context)
        if isinstance(value, Unknown) or len(inputs) != 2:
            return (value if isinstance(value, Unknown) else self.unknown(context.equation, context),)

        def product(a: Intervals, b: Intervals) -> Intervals:
            return self.moving.bilinear((a, b), context)[0]

        x, y = (replace(jet, value=self.base.number(jet.value)) for jet in inputs)
        found = self.of_product(x, y, product, lambda a, b: product(b, a), inputs[0].value is inputs[1].value)
        return (Jet(value, *found),)

    # --- elementwise ---

    def unary(self, card: facts.Card | None, x: Jet, context: Context) -> Any:
        """The chain rule for a function of one number."""
        value = self.value((x,), context)
        if isinstance(value, Unknown) or card is None:
            return value if isinstance(value, Unknown) else self.unknown(context.equation, context)
        if not is_real(context.equation.outputs[0].dtype):
            return self.stepped(value)
        if context.equation.primitive == "round":
            return self.stepped(value)
        return self.chain(card, x, value)

    def select(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """The case that the predicate takes."""
        return (jet_choices.selected(self, inputs, context),)

    def reduce(self, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
        """Maxima, products, orders."""
        return jet_choices.reduced(self, inputs, context)


def spread(part: Intervals | None, atom: Atom) -> Intervals | None:
    """A derivative with an entry for each element: of x - y, x of one element, the Hessian may be that of x alone."""
    if part is None or part.shape[2:] == tuple(atom.shape):
        return part
    return part.map(lambda a: np.broadcast_to(a, (*a.shape[:2], *atom.shape)))


def jets_on(
    traced: Traced, lower: Sequence[Array], upper: Sequence[Array], order: int = 2, loewner: bool = False
) -> Any:
    """Return the jet of a traced function's value on boxes, or Unknown.

    Args:
        traced: the function, of one value.
        lower: the lower ends of each array of its argument, (boxes, *shape).
        upper: the upper ends.
        order: 1 for value and gradient.
        loewner: whether `least` and `most` are wanted.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.domains.jets import jets_on
    >>> from qed.graph.trace import trace
    >>> traced = trace(lambda x: x[0] * x[0] * x[1], np.zeros(2))
    >>> jet = jets_on(traced, [np.array([[0.0, 1.0]])], [np.array([[1.0, 2.0]])])
    >>> print(jet.value, jet.slope, jet.hessian)
    [[0.0, 2.0]] [[[0.0, 4.0], [0.0, 1.0]]] [[[2.0, 4.0], [0.0, 2.0], [0.0, 0.0]]]
    """
    boxes = len(lower[0]) if lower else 1
    sizes = [int(np.prod(a.shape[1:])) for a in lower]
    size = sum(sizes)
    ends = [np.concatenate([a.reshape((boxes, -1)) for a in side] or [np.zeros((1, 0))], -1) for side in (lower, upper)]
    domain = Jets(size, order, loewner, ends[0] == ends[1])
    inputs: list[Any] = list(traced.leaves)
    start = 0
    for position, a, b, count in zip(traced.free, lower, upper, sizes, strict=True):
        unit = np.zeros((1, size, *a.shape[1:]))
        unit[0, start : start + count].reshape((count, count))[...] = np.eye(count)
        inputs[position] = Jet(Intervals(a, b), Intervals(unit, unit) if count else None)
        start += count
    cell = Walker([domain]).run(traced.graph, inputs)[0]
    found = cell.values[0]
    if isinstance(found, Unknown):
        return found
    return _spread(domain, found, boxes)


def _spread(domain: Jets, jet: Jet, boxes: int) -> Jet:
    """The jet with every part there, for every box."""
    size = domain.size
    count = size * (size + 1) // 2
    value = domain.base.number(jet.value)
    counts = (size, count, count, count)[: 1 if domain.order < 2 else 4 if domain.loewner else 2]
    parts = []
    for part, number in zip(jet.parts, counts, strict=False):
        part = Intervals.point(np.zeros((1, number))) if part is None else part
        parts.append(part.map(lambda a, n=number: np.broadcast_to(a, (boxes, n))))
    return Jet(value.map(lambda a: np.broadcast_to(a, (boxes,))), *parts)
