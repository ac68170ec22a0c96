"""A graph as a program of the machine: every element of every array is a term by itself.

Moves of elements cost nothing, and equal operations of equal operands are made once. Integers and truth values that do
not depend on inputs, such as indices, are computed while the program is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.moving import rearranged, routed
from qed.graph.calls import Inline, Scan
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Graph, Literal
from qed.numerics.longer import elementary
from qed.numerics.longer.instructions import Term, Unsupported, Writer
from qed.numerics.longer.machine import Operation
from qed.numerics.longer.numbers import evaluated
from qed.numerics.longer.schedule import Table, scheduled
from qed.numerics.longer.special import SPECIAL

FUNCTIONS = {**elementary.FUNCTIONS, **SPECIAL}


def program(graph: Graph, meant: Mapping[float, Fraction] | None = None) -> Table:
    """The program of a graph in float64: its inputs flat, one after the other, and its outputs so.

    Args:
        graph: the graph.
        meant: what some of its constants were before they were rounded.

    Raises:
        Unsupported: where an operation is not one of the machine, or there are too many.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> table = program(trace(lambda x: x * x - 1, 1.0).graph)
        >>> table.inputs, table.instructions, table.steps
        (1, 1, 1)
    """
    reader, given, count = _Reader(meant or {}), list[np.ndarray](), 0
    for variable in graph.inputs:
        array = np.empty(variable.shape, object)
        for index in np.ndindex(*variable.shape):
            array[index] = Term(position=count)
            count += 1
        given.append(array)
    outputs = [reader.terms(array) for array in reader.graph(graph, given)]
    return scheduled(count, [term for array in outputs for term in array.ravel()])


class _Reader:
    """Arrays are objects of terms, or numbers where they are constants."""

    def __init__(self, meant: Mapping[float, Fraction]) -> None:
        self.writer = Writer()
        self.meant = meant

    def graph(self, graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs of a graph."""
        values: dict[Any, np.ndarray] = dict(zip(graph.inputs, inputs, strict=True))
        values.update({v: np.asarray(array) for v, array in graph.constants})

        def read(atom: Atom) -> np.ndarray:
            return np.asarray(atom.value, atom.dtype) if isinstance(atom, Literal) else values[atom]

        for equation in graph.equations:
            found = self.equation(equation, [read(atom) for atom in equation.inputs])
            values.update(zip(equation.outputs, found, strict=True))
        return [read(atom) for atom in graph.outputs]

    def terms(self, array: np.ndarray) -> np.ndarray:
        """An array as terms."""
        if array.dtype == object:
            return array
        found = np.empty(array.shape, object)
        for index in np.ndindex(*array.shape):
            number = array[index]
            if np.isnan(number):
                found[index] = self.writer.unknown
            elif np.isinf(number):
                found[index] = self.writer.infinite(1 if number > 0 else -1)
            else:
                value = float(number) if array.dtype.kind == "f" else int(number)
                found[index] = self.writer.constant(self.meant.get(value, value))
        return found

    def equation(self, equation: Equation, values: list[np.ndarray]) -> Sequence[np.ndarray]:
        """The results of an equation."""
        name, params = equation.primitive, equation.params
        if isinstance(equation.call, Inline):
            return self.graph(equation.call.graph, values)
        if isinstance(equation.call, Scan):
            return self.loop(equation.call, values)
        if equation.call is not None:
            raise Unsupported(name)
        concrete = all(value.dtype != object for value in values)
        if not values or (concrete and not any(is_real(v.dtype) for v in equation.outputs)):
            return [np.asarray(found) for found in evaluated(equation, values)]
        if name == "stack":
            return [np.stack(list(map(self.terms, values)), params["axis"])]
        if name == "unstack":
            rows = np.moveaxis(self.terms(values[0]), params["axis"], 0)
            return [rows[k, ...] for k in range(len(rows))]
        moved = rearranged(name, params, values if concrete else list(map(self.terms, values)))
        if moved is not None:
            return moved
        if name in _TAKEN and all(value.dtype != object for value in values[1:]):
            return self.taken(equation, values)
        if len(equation.outputs) != 1 or (name in _OVERFLOWS and not self.is_count(equation, values)):
            raise Unsupported(name)
        return [self.one(equation, list(map(self.terms, values)))]

    def loop(self, call: Scan, values: list[np.ndarray]) -> list[np.ndarray]:
        """The results of a loop of known length, step by step."""
        if not call.length:
            msg = "a loop of no steps"
            raise Unsupported(msg)
        fixed, rest = values[: call.constants], values[call.constants :]
        carry, sliced = list(rest[: call.carry]), rest[call.carry :]
        made: dict[int, list[np.ndarray]] = {}
        for k in call.steps():
            found = self.graph(call.body, [*fixed, *carry, *(each[k, ...] for each in map(self.terms, sliced))])
            carry, made[k] = list(found[: call.carry]), [self.terms(each) for each in found[call.carry :]]
        stacked = [np.stack(parts) for parts in zip(*(made[k] for k in sorted(made)), strict=True)]
        return [*carry, *stacked]

    def is_count(self, equation: Equation, values: Sequence[np.ndarray]) -> bool:
        """Whether an operation is one of real numbers: none of integers that wrap around, none of their bits.

        Truth values may be counted.
        """
        wanted = np.dtype(equation.outputs[0].dtype)
        if is_real(wanted) or wanted == np.bool_:
            return True
        given = [term for array in values for term in self.terms(array).ravel()]
        return wanted.itemsize >= 4 and equation.primitive in _COUNTS and all(map(self.is_truth, given))

    def is_truth(self, x: Term) -> bool:
        """Whether a term is 0 or 1, being chosen so."""
        chosen = x.operands[1:] if x.operation is Operation.CHOOSE else ()
        return x is self.writer.one or x is self.writer.zero or (bool(chosen) and all(map(self.is_truth, chosen)))

    def one(self, equation: Equation, values: list[np.ndarray]) -> np.ndarray:
        """The result of an equation with one, of terms."""
        name, params = equation.primitive, equation.params
        if name in _SAME:
            return values[0]
        if name == "convert_element_type":
            return self.converted(equation, values[0])
        if name in _REDUCED:
            return self.reduced(_REDUCED[name], values[0], tuple(params["axes"]))
        if name in _CUMULATIVE:
            return self.cumulative(_CUMULATIVE[name], values[0], params["axis"], params["reverse"])
        if name == "dot_general":
            return self.product(params["dimension_numbers"], *values)
        if name == "integer_pow":
            return self.each(lambda x: self.writer.power(x, params["y"]), values[0])
        if name not in FUNCTIONS or (name in ("div", "round") and not _is_usual(equation)):
            raise Unsupported(name)
        return self.each(lambda *xs: FUNCTIONS[name](self.writer, *xs), *values)

    def each(self, function: Callable[..., Term], *arrays: np.ndarray) -> np.ndarray:
        """A function of terms, element by element."""
        both = np.broadcast_arrays(*arrays)
        found = np.empty(both[0].shape, object)
        for index in np.ndindex(*found.shape):
            found[index] = function(*(array[index] for array in both))
        return found

    def converted(self, equation: Equation, array: np.ndarray) -> np.ndarray:
        """Truth values and integers as numbers, numbers as they are; nothing that would round."""
        given, wanted = equation.inputs[0].dtype, equation.outputs[0].dtype
        if is_real(given) and not (is_real(wanted) and np.dtype(wanted) == np.float64):
            msg = "convert_element_type"
            raise Unsupported(msg)
        if not is_real(wanted) and not np.can_cast(given, wanted) and np.dtype(wanted) != np.bool_:
            msg = "integers that may wrap around"
            raise Unsupported(msg)
        if np.dtype(wanted) == np.bool_ and np.dtype(given) != np.bool_:
            return self.each(lambda x: FUNCTIONS["ne"](self.writer, x, self.writer.zero), array)
        return array

    def taken(self, equation: Equation, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Elements at indices that are known; a padding is 0, or NaN where JAX says so."""
        places = routed(equation, (0,), [None, *values[1:]])
        if places is None:
            raise Unsupported(equation.primitive)
        flat = np.empty(values[0].size + 1, object)
        flat[:-1], flat[-1] = self.terms(values[0]).ravel(), self.writer.unknown
        return [flat[np.where(index < 0, len(flat) - 1, index)] for index in places]

    def reduced(self, how: str, array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """A sum, or the like, along axes, in pairs."""
        if not array.size:
            msg = "a sum of nothing"
            raise Unsupported(msg)
        kept = [k for k in range(array.ndim) if k not in axes]
        rows = np.transpose(array, [*kept, *axes]).reshape(*(array.shape[k] for k in kept), -1)
        found = np.empty(rows.shape[:-1], object)
        for index in np.ndindex(*found.shape):
            parts = list(rows[index])
            while len(parts) > 1:
                pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
                parts = [p[0] if len(p) == 1 else FUNCTIONS[how](self.writer, *p) for p in pairs]
            found[index] = parts[0]
        return found

    def cumulative(self, how: str, array: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        """Sums, or the like, of the first elements."""
        rows = np.moveaxis(np.flip(array, axis) if reverse else array, axis, 0).copy()
        for k in range(1, len(rows)):
            before, here = rows[k - 1 : k], rows[k : k + 1]
            rows[k : k + 1] = self.each(lambda x, y: FUNCTIONS[how](self.writer, x, y), before, here)
        found = np.moveaxis(rows, 0, axis)
        return np.flip(found, axis) if reverse else found

    def product(self, dimensions: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """A product of arrays."""
        ((left, right), (batch, other)) = dimensions
        free_x = [i for i in range(x.ndim) if i not in (*left, *batch)]
        free_y = [i for i in range(y.ndim) if i not in (*right, *other)]
        a = np.transpose(x, [*batch, *free_x, *left])
        b = np.transpose(y, [*other, *free_y, *right])
        shared, rows, columns = (
            [array.shape[i] for i in axes] for array, axes in ((x, batch), (x, free_x), (y, free_y))
        )
        terms = int(np.prod([x.shape[i] for i in left], dtype=int))
        a = a.reshape(*shared, *rows, *[1] * len(columns), terms)
        b = b.reshape(*shared, *[1] * len(rows), *columns, terms)
        return self.reduced("add", self.each(self.writer.multiply, a, b), (len(shared) + len(rows) + len(columns),))


def constants(graph: Graph) -> set[float]:
    """All numbers that are constants of a graph, single ones."""
    found = {float(np.asarray(array)) for _, array in graph.constants if np.ndim(array) == 0 and is_real(array.dtype)}
    for equation in graph.equations:
        found |= {float(a.value) for a in equation.inputs if isinstance(a, Literal) and is_real(a.dtype)}
        for inner in equation.call.graphs if equation.call is not None else ():
            found |= constants(inner)
    return found


def _is_usual(equation: Equation) -> bool:
    return is_real(equation.outputs[0].dtype)


_SAME = frozenset("copy copy_p stop_gradient".split())
_COUNTS = frozenset("add add_any cumsum mul reduce_sum".split())
_OVERFLOWS = _COUNTS | frozenset(
    "abs and cumprod dot_general integer_pow neg not or pow reduce_and reduce_or reduce_prod square sub xor".split()
)
"""Where integers may wrap around, or are taken as bits."""
_TAKEN = ("gather", "dynamic_slice")
_REDUCED: Mapping[str, str] = {
    "reduce_and": "and", "reduce_max": "max", "reduce_min": "min", "reduce_or": "or", "reduce_prod": "mul",
    "reduce_sum": "add",
}  # fmt: skip
_CUMULATIVE: Mapping[str, str] = {"cummax": "max", "cummin": "min", "cumprod": "mul", "cumsum": "add"}


__all__ = ["Unsupported", "constants", "program"]
