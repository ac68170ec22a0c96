"""The sparsity domain: which inputs an element can depend on, and which pairs of inputs can be curved together.

First order: each element carries the set D of the inputs that it can depend on. What moves elements moves the sets;
what combines elements unites them; where the derivative is zero (steps, comparisons, `stop_gradient`) they are empty.

Second order: for an elementwise operation phi with operands u, v of the value f,

    d^2 f / dx_i dx_j = sum over all phi, u, v of  (df/dphi) (d^2 phi / du dv) (du/dx_i) (dv/dx_j)

(Griewank and Walther, *Evaluating Derivatives*, 2008, ch. 7), so that each operation with d^2 phi / du dv not
identically zero contributes the pairs D(u) x D(v) wherever f depends on phi. Whether it is zero is read off the fact
cards: never for what is linear, at u, v only for a product, everywhere for exp. Each element carries the *products*
of sets that it depends on, numbered; so what an operation curves and what is then dropped (a slice, a factor 0)
leaves no pair. What the sets contain is possible, what they do not contain is zero identically; what the domain has no
finer rule for depends on everything, which is recorded with the primitive and the line.

What does not depend on the inputs is computed: a product with a known zero drops, a known index is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains.forward import Forward
from qed.domains.index_sets import Interned, Sets, TooDense, stacked
from qed.domains.known import Known
from qed.domains.sparsity_loops import BUDGET, Loops
from qed.domains.sparsity_moves import Moves
from qed.domains.value import Value
from qed.facts.differentiation import differentiate
from qed.facts.expression import ONE, ZERO
from qed.facts.table import rule
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context

__all__ = ["Dependent", "Sparsity", "curved"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Dependent:
    """An array that is not known.

    Args:
        shape: of the array.
        inputs: for each element (in C order), the inputs that it can depend on.
        pairs: for each element, the numbers of the products of sets that it can be curved in.
    """

    shape: tuple[int, ...]
    inputs: Sets
    pairs: Sets

    @property
    def places(self) -> Array:
        """The numbers of the elements, in the array's shape."""
        return np.arange(len(self.inputs)).reshape(self.shape)

    def take(self, index: Array) -> Dependent:
        """The elements at an array of places; -1 is a constant."""
        return Dependent(index.shape, self.inputs.take(index), self.pairs.take(index))

    def united(self, targets: Array, sources: Array, shape: tuple[int, ...]) -> Dependent:
        """For each target place, what any of its sources depends on."""
        count = int(np.prod(shape, dtype=np.int64))
        found = (sets.united(targets, sources, count) for sets in (self.inputs, self.pairs))
        return Dependent(shape, *found)

    def merged(self, other: Dependent) -> Dependent:
        """What either depends on, element by element."""
        return Dependent(self.shape, self.inputs.merged(other.inputs), self.pairs.merged(other.pairs))

    def where(self, kept: Array) -> Dependent:
        """The marked elements, the others constant."""
        kept = np.broadcast_to(kept, self.shape).ravel()
        return Dependent(self.shape, self.inputs.where(kept), self.pairs.where(kept))

    def holds(self, other: Dependent) -> bool:
        """Whether every set contains the other's."""
        return self.inputs.holds(other.inputs) and self.pairs.holds(other.pairs)


@cache
def curved(card: facts.ArithmeticCard) -> tuple[tuple[int, int], ...]:
    """The pairs of operands in which the second derivative of an operation is not identically zero.

    >>> from qed import facts
    >>> curved(facts.ARITHMETIC["add"]), curved(facts.ARITHMETIC["mul"]), curved(facts.ARITHMETIC["div"])
    ((), ((0, 1),), ((0, 1), (1, 1)))
    """
    found = []
    for i in range(len(card.arguments)):
        for j in range(i, len(card.arguments)):
            first, other = card.partials[i], card.partials[j]
            if first is None or other is None:
                found.append((i, j))
                continue
            try:
                second = differentiate(first, {card.arguments[j]: ONE, "z": other}, rule)
            except ValueError:
                found.append((i, j))
                continue
            if second != ZERO:
                found.append((i, j))
    return tuple(found)


@final
class Sparsity(Moves, Loops, Forward):
    """Index sets of first, and on demand of second order.

    Args:
        size: how many inputs there are.
        second: whether pairs are followed too.
    """

    name = "sparsity"
    special: ClassVar = {"polynomial": "polynomial", "scan": "loop", "while": "loop"}

    def __init__(self, size: int, second: bool = False) -> None:
        self.size = size
        self.second = second
        self.dense: dict[str, None] = {}
        self.sets = Interned(size)
        self._numbers: dict[int, int] = {}
        self.left = BUDGET

    # --- what is carried ---

    def inputs(self, shape: tuple[int, ...], first: int) -> Dependent:
        """An array of inputs, numbered from `first` on."""
        count = int(np.prod(shape, dtype=np.int64))
        return Dependent(shape, Sets.singletons(count, first), Sets.empty(count))

    def varying(self, shape: tuple[int, ...]) -> Dependent:
        """An array that is not known and whose derivative is zero."""
        count = int(np.prod(shape, dtype=np.int64))
        return Dependent(shape, Sets.empty(count), Sets.empty(count))

    def constant(self, atom: Atom, array: Any) -> Known:
        """A known array."""
        return Known(Value().constant(atom, array))

    def lifted(self, value: Any) -> Dependent:
        """A value as one that is not known."""
        return self.varying(tuple(np.shape(value.array))) if isinstance(value, Known) else value

    def choose(self, value: Any, count: int) -> int | None:
        """A known index selects its branch."""
        return Value().choose(value.array, count) if isinstance(value, Known) else None

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        return Known(Value().take(value.array, index)) if isinstance(value, Known) else value.take(value.places[index])

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        if all(isinstance(value, Known) for value in values):
            return Known(Value().stack([value.array for value in values], variable))
        rows = [self.lifted(value) for value in values]
        return Dependent(variable.shape, stacked([r.inputs for r in rows]), stacked([r.pairs for r in rows]))

    def join(self, first: Any, second: Any) -> Any:
        """What either value depends on."""
        return first if first is second else self.lifted(first).merged(self.lifted(second))

    def depending(self, value: Any, cause: Any) -> Dependent:
        """A choice that is not known makes its results unknown, and has no derivative of its own."""
        return self.lifted(value)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Known results of known inputs, else by the rules; where there is none, everything."""
        outputs = equation.outputs
        try:
            if all(isinstance(x, Known) for x in inputs) and equation.native is not None:
                found = Value().apply(equation, [x.array for x in inputs], context)
                return [self.constant(v, x) for v, x in zip(outputs, found, strict=True)]
            found = self.everything(inputs, context) if self.rule(equation.primitive) is None else None
            found = super().apply(equation, inputs, context) if found is None else found
        except TooDense as error:
            where = f" at {context.span}" if context.span else ""
            message = f"{error} ({equation.primitive}{where})"
            raise TooDense(message) from None
        return [
            x if isinstance(x, Known) or is_inexact(v.dtype) else self.varying(v.shape)
            for v, x in zip(outputs, found, strict=True)
        ]

    # --- pairs ---

    def products(self, rows: Array, left: Array, right: Array, count: int) -> Sets:
        """For each row, the numbers of the products of the sets `left` and `right` (numbers of sets)."""
        there = (left > 0) & (right > 0)
        if not self.second or not there.any():
            return Sets.empty(count)
        rows, left, right = rows[there], left[there], right[there]
        codes, inverse = np.unique(np.minimum(left, right) << 32 | np.maximum(left, right), return_inverse=True)
        numbers = [self._numbers.setdefault(code, len(self._numbers)) for code in codes.tolist()]
        return Sets.of(rows, np.array(numbers, np.int64)[inverse.ravel()], count)

    def factors(self, numbers: Array) -> tuple[Sets, Sets]:
        """The two sets of each numbered product."""
        codes = np.array(list(self._numbers), np.int64)[numbers]
        table = self.sets.table()
        return table.take(codes >> 32), table.take(codes & 0xFFFFFFFF)

    def bent(self, x: Dependent, kept: Array | None = None) -> Dependent:
        """A function of each (marked) element that is linear in none of what it depends on."""
        if not self.second or not len(x.inputs.members):
            return x
        ids = self.sets.ids(x.inputs)
        if kept is not None:
            ids = np.where(kept.ravel(), ids, 0)
        made = self.products(np.arange(len(ids)), ids, ids, len(ids))
        return Dependent(x.shape, x.inputs, x.pairs.merged(made))

    # --- elementwise ---

    def unary(self, card: facts.Card, x: Any, context: Context) -> Dependent:
        """A function of one number: no derivative, no second derivative, or both, as its card says."""
        if is_real(context.equation.inputs[0].dtype):
            if card.derivative == ZERO:
                return self.varying(x.shape)
            if facts.derivative_of(card, 2) == ZERO:
                return x
        return self.bent(x)

    def nary(self, card: facts.ArithmeticCard, xs: Sequence[Any], context: Context) -> Dependent:
        """An operation of several numbers; a known factor 0 drops the other."""
        shape = context.equation.outputs[0].shape
        real = is_real(context.equation.outputs[0].dtype)
        pairs = curved(card) if real or card.name in ("add", "sub", "mul", "div") else None
        operands = [None if isinstance(x, Known) else self._spread(x, shape) for x in xs]
        if card.name in ("mul", "div", "pow"):
            operands, pairs = self._by_coefficient(card.name, xs, operands, pairs)
        total = self.varying(shape)
        for operand, partial in zip(operands, card.partials, strict=True):
            if operand is not None and not (real and partial == ZERO):
                total = total.merged(operand)
        if not self.second:
            return total
        if pairs is None:
            return self.bent(total)
        rows, made = np.arange(len(total.inputs)), total.pairs
        ids = [None if x is None else self.sets.ids(x.inputs) for x in operands]
        for i, j in pairs:
            left, right = ids[i], ids[j]
            if left is not None and right is not None:
                made = made.merged(self.products(rows, left, right, len(rows)))
        return Dependent(shape, total.inputs, made)

    def _by_coefficient(self, name: str, xs: Sequence[Any], operands: list[Any], pairs: Any) -> tuple[list[Any], Any]:
        """Drop operands where a known one makes the result constant; a known power 1 is linear."""
        x, y = operands
        if name == "mul" and x is None:
            return [None, y.where(np.asarray(xs[0].array) != 0)], pairs
        if name == "mul" and y is None:
            return [x.where(np.asarray(xs[1].array) != 0), None], pairs
        if name == "div" and x is None:
            return [None, y.where(np.asarray(xs[0].array) != 0)], pairs
        if name == "pow" and y is None:
            power = np.broadcast_to(np.asarray(xs[1].array), x.shape)
            x = x.where(power != 0)
            bent = self.bent(x, power != 1)
            return [bent, None], ()
        return [x, y], pairs

    def _spread(self, x: Dependent, shape: tuple[int, ...]) -> Dependent:
        return x if x.shape == shape else x.take(np.broadcast_to(x.places, shape))

    def polynomial(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A polynomial with its coefficients."""
        card = facts.arithmetic("polynomial", len(inputs))
        return (self.everything(inputs, context) if card is None else [self.nary(card, inputs, context)])[:1]

    def constant_almost_everywhere(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The derivative is zero."""
        return [self.varying(v.shape) for v in context.equation.outputs]

    compare = constant_almost_everywhere

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The case that is known to be chosen, or any."""
        shape = context.equation.outputs[0].shape
        cases = [self.lifted(x) for x in inputs[1:]]
        if isinstance(inputs[0], Known):
            which = np.broadcast_to(np.asarray(inputs[0].array).astype(np.int64), shape)
            cases = [case.where(which == i) for i, case in enumerate(cases)]
        total = self.varying(shape)
        for case in cases:
            total = total.merged(case)
        return (total,)

    # --- what there is no finer rule for ---

    def everything(self, inputs: Sequence[Any], context: Context, bent: bool = True) -> list[Dependent]:
        """Every element may depend on every element of the inputs."""
        found = [self.lifted(x) for x in inputs]
        one = Dependent((1,), stacked([x.inputs for x in found]).whole(), stacked([x.pairs for x in found]).whole())
        if len(one.inputs.members):
            self.dense[f"{context.equation.primitive}" + (f" at {context.span}" if context.span else "")] = None
        one = self.bent(one) if bent else one
        return [one.take(np.zeros(v.shape, np.int64)) for v in context.equation.outputs]

    opaque_call = effect = random = everything

    def linear_algebra(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Factorisations and solutions; with a known matrix a solution is linear in the right-hand side."""
        name = context.equation.primitive
        given = {"triangular_solve": inputs[:1], "tridiagonal_solve": inputs[:3]}.get(name)
        if name == "custom_linear_solve":
            lengths = [int(count or 0) for count in context.equation.params["const_lengths"]]
            given = inputs[: sum(lengths)]
        known = given is not None and all(isinstance(x, Known) for x in given)
        return self.everything(inputs, context, bent=not known)
