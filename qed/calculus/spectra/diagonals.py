"""A linear map whose chains of diagonal factors are multiplied out once.

The derivative of an elementwise function is a diagonal matrix, and what JAX writes for it is a chain of products with
arrays that belong to the point: for x Phi(x) of a normal distribution seven of them, with sums between. As diagonal
matrices commute with each other and add,

    b a_1 v + a_2 b v - v = (b a_1 + a_2 b - 1) v,

each value that is not made otherwise is a sum of diagonal matrices, each times one value that is (a *base*), and one
array for each is enough. A product then reads fewer numbers, and they take less memory. Factors that are one number,
or one for each row, stay apart: they cost nothing, and multiplied out they would fill an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.calculus.spectra.linear_map import opened
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.jaxpr import bind

GAIN = 0.9
"""The part of the bytes of a map's arrays below which multiplying out is worth while."""
BASES = 3
"""How many diagonal matrices a value is the sum of at most, before it is made itself."""
SUMS = {"add": 1.0, "add_any": 1.0, "sub": -1.0}
"""The primitives that add two values -> the sign of the second."""


@dataclass(frozen=True)
class _Factor:
    """A diagonal matrix: a number, times an array as large as the value, times arrays that are smaller.

    Args:
        sign: 1 or -1.
        full: which array; None for the identity.
        thin: which smaller ones, and whether it is divided by each.
    """

    sign: float = 1.0
    full: int | None = None
    thin: tuple[tuple[int, bool], ...] = ()


Terms = dict[Variable, _Factor]


@dataclass(frozen=True, eq=False)
class _Sum:
    """output = the sum of diagonal matrices times bases."""

    output: Variable
    terms: Terms


@dataclass(eq=False)
class _Arrays:
    """The arrays that belong to the point, by their numbers; what was multiplied once is found again."""

    values: list[Any] = field(default_factory=list)
    places: dict[Any, int] = field(default_factory=dict)

    def take(self, key: Any, make: Callable[[], Any]) -> int:
        """The number of the array of this key, made where it is not there."""
        if key not in self.places:
            self.places[key] = len(self.values)
            self.values.append(make())
        return self.places[key]

    def product(self, one: int, two: int) -> int:
        """Of the product of two arrays."""
        return self.take(("*", *sorted((one, two))), lambda: self.values[one] * self.values[two])

    def inverse(self, one: int) -> int:
        """Of one over an array."""
        return self.take(("/", one), lambda: 1 / self.values[one])

    def sum(self, one: Any, two: Any, shape: tuple[int, ...], dtype: Any) -> int:
        """Of the sum of two factors as one array."""
        return self.take(("+", one, two), lambda: self.whole(one, shape, dtype) + self.whole(two, shape, dtype))

    def whole(self, factor: _Factor, shape: tuple[int, ...], dtype: Any) -> Any:
        """A factor as one array."""
        found = lax.full(shape, factor.sign, dtype)
        if factor.full is not None:
            found = found * self.values[factor.full]
        for place, divided in factor.thin:
            found = found / self.values[place] if divided else found * self.values[place]
        return found


def multiplied_out(tangent: Any, like: Any) -> Any:
    """The same linear map with fewer arrays; itself where that is hardly less memory.

    Args:
        tangent: a linear map as `jax.linearize` gives it.
        like: what it is applied to, a tuple of arrays.

    Returns:
        A tree of arrays that can be called, as JAX's is.

    >>> import jax.numpy as jnp
    >>> x = (jnp.linspace(-1.0, 1.0, 64),)
    >>> tangent = jax.linearize(lambda p: jnp.sin(jnp.exp(jnp.tanh(p[0])) * p[0]), x)[1]
    >>> less = multiplied_out(tangent, x)
    >>> len(jax.tree.leaves(less)), bool(jnp.allclose(less(x), tangent(x), rtol=1e-5))
    (1, True)
    """
    found = opened(tangent, like)
    if found is None:
        return tangent
    known, graph = found
    walk = _Walk(graph, known)
    for equation in graph.equations:
        walk.enter(equation)
    steps, kept = walk.needed([walk.made(atom) for atom in graph.outputs])
    if not known or _bytes(kept.values()) > GAIN * _bytes(known):
        return tangent
    result = jax.tree.structure(jax.eval_shape(tangent, like))
    run = _Run(graph, steps, tuple(kept), walk.arrays.places, result)
    return jax.tree_util.Partial(run, *kept.values())


def _bytes(arrays: Iterable[Any]) -> int:
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays)


@final
class _Walk:
    """The equations of a linear map, as steps that make a value and values that are sums over bases.

    Args:
        graph: of the map, its known inputs first.
        known: these.
    """

    def __init__(self, graph: Graph, known: Sequence[Any]) -> None:
        self.graph, self.known = graph, known
        self.arrays = _Arrays()
        self.places = {variable: i for i, variable in enumerate(graph.inputs[: len(known)])}
        self.moving = set(graph.inputs[len(known) :])
        self.terms: dict[Variable, Terms] = {}
        self.steps: list[Equation | _Sum] = []
        self.uses: dict[Variable, int] = {}
        for equation in graph.equations:
            for atom in equation.inputs:
                if isinstance(atom, Variable):
                    self.uses[atom] = self.uses.get(atom, 0) + 1

    def enter(self, equation: Equation) -> None:
        """Take the next equation: as a step, or as a sum over bases."""
        if not any(atom in self.moving for atom in equation.inputs if isinstance(atom, Variable)):
            self.steps.append(equation)  # of known values alone: as it is
            return
        self.moving.update(equation.outputs)
        found = self._diagonal(equation)
        if found is None:
            for atom in equation.inputs:
                self.made(atom)
            self.steps.append(equation)
            return
        (output,) = equation.outputs
        self.terms[output] = found
        if len(found) > BASES or (len(found) > 1 and self.uses.get(output, 0) > 1):
            self.made(output)

    def _diagonal(self, equation: Equation) -> Terms | None:
        (output,) = equation.outputs if len(equation.outputs) == 1 else (None,)
        if output is None or not is_real(output.dtype):
            return None
        if any(atom.dtype != output.dtype for atom in equation.inputs):
            return None
        name, inputs = equation.primitive, equation.inputs
        if name == "copy":
            return self._of(inputs[0], output)
        if name == "neg":
            return self._scaled(self._of(inputs[0], output), -1.0)
        if name in ("mul", "div"):
            return self._product(inputs, output, name == "div")
        if name in SUMS and all(atom in self.moving for atom in inputs):
            one, two = (self._of(atom, output) for atom in inputs)
            return self._sum(one, self._scaled(two, SUMS[name]), output)
        return None

    def _of(self, atom: Atom, output: Variable) -> Terms | None:
        """A moving value of the shape of an output as a sum over bases."""
        if not isinstance(atom, Variable) or atom not in self.moving or atom.shape != output.shape:
            return None
        return self.terms.get(atom, {atom: _Factor()})

    @staticmethod
    def _scaled(terms: Terms | None, sign: float) -> Terms | None:
        return terms and {b: _Factor(sign * f.sign, f.full, f.thin) for b, f in terms.items()}

    def _product(self, inputs: Sequence[Atom], output: Variable, divided: bool) -> Terms | None:
        moves = [isinstance(atom, Variable) and atom in self.moving for atom in inputs]
        if moves[0] == moves[1] or (divided and moves[1]):
            return None
        moving, other = inputs if moves[0] else reversed(inputs)
        place = self._place(other)
        if place is None or not isinstance(moving, Variable):
            return None
        thin = math.prod(other.shape) < math.prod(output.shape)
        if moving.shape != output.shape:  # one number for each row, times an array
            self.made(moving)
            return None if thin or divided else {moving: _Factor(full=place)}
        found = {}
        for base, f in self.terms.get(moving, {moving: _Factor()}).items():
            if thin:
                found[base] = _Factor(f.sign, f.full, (*f.thin, (place, divided)))
            else:
                full = self.arrays.inverse(place) if divided else place
                full = full if f.full is None else self.arrays.product(f.full, full)
                found[base] = _Factor(f.sign, full, f.thin)
        return found

    def _place(self, atom: Atom) -> int | None:
        """The number of a known array: an input, or a number that is written down."""
        if not isinstance(atom, Variable):
            if atom.shape:
                return None
            number = np.asarray(atom.value, atom.dtype)
            return self.arrays.take((number.tobytes(), number.dtype), lambda: jnp.asarray(number))
        if atom in self.places:
            return self.arrays.take(atom, lambda: self.known[self.places[atom]])
        return None

    def _sum(self, one: Terms | None, two: Terms | None, output: Variable) -> Terms | None:
        if not one or not two:
            return None
        found = dict(one)
        for base, factor in two.items():
            if base not in found:
                found[base] = factor
            elif found[base].full is None and factor.full is None:
                return None  # no array is saved
            else:
                found[base] = _Factor(full=self.arrays.sum(found[base], factor, output.shape, output.dtype))
        return found

    def made(self, atom: Atom) -> Atom:
        """The same value, made by a step."""
        if isinstance(atom, Variable) and atom in self.terms:
            self.steps.append(_Sum(atom, self.terms.pop(atom)))
        return atom

    def needed(self, outputs: Sequence[Atom]) -> tuple[tuple[Equation | _Sum, ...], dict[Variable | int, Any]]:
        """The steps that the outputs need, and the arrays that these take: by their number, or the known input."""
        used = {atom for atom in outputs if isinstance(atom, Variable)}
        arrays: set[int] = set()
        steps = []
        for step in reversed(self.steps):
            if isinstance(step, _Sum) and step.output in used:
                used.update(step.terms)
                for factor in step.terms.values():
                    arrays.update(place for place, _ in factor.thin)
                    arrays.update(() if factor.full is None else (factor.full,))
            elif isinstance(step, Equation) and used.intersection(step.outputs):
                used.update(atom for atom in step.inputs if isinstance(atom, Variable))
            else:
                continue
            steps.append(step)
        kept: dict[Variable | int, Any] = {v: self.known[i] for v, i in self.places.items() if v in used}
        given = {self.arrays.places.get(variable) for variable in kept}
        kept |= {place: self.arrays.values[place] for place in sorted(arrays - given)}
        return tuple(reversed(steps)), kept


@dataclass(frozen=True, eq=False)
class _Run:
    """What is kept, then the vector -> the image; compared by identity, so that a point further on compiles nothing.

    Args:
        graph: of the map.
        steps: what is computed.
        keys: what is kept: an input of the graph, or the number of an array.
        places: input of the graph -> its number among the arrays.
        result: the structure of the image.
    """

    graph: Graph
    steps: tuple[Equation | _Sum, ...]
    keys: tuple[Variable | int, ...]
    places: dict[Any, int]
    result: Any

    def __call__(self, *given: Any) -> Any:
        *kept, vector = given
        values: dict[Any, Any] = dict(self.graph.constants)
        values |= dict(zip(self.keys, kept, strict=True))
        values |= {self.places[key]: array for key, array in values.items() if key in self.places}
        values |= dict(zip(self.graph.inputs[len(self.graph.inputs) - len(vector) :], vector, strict=True))
        read = lambda atom: values[atom] if isinstance(atom, Variable) else atom.value  # noqa: E731
        for step in self.steps:
            if isinstance(step, _Sum):
                parts = [self._term(values, base, factor) for base, factor in step.terms.items()]
                values[step.output] = sum(parts[1:], parts[0])
            else:
                found = bind(step.native, [read(atom) for atom in step.inputs])
                values |= dict(zip(step.outputs, found, strict=True))
        return jax.tree.unflatten(self.result, [read(atom) for atom in self.graph.outputs])

    @staticmethod
    def _term(values: dict[Any, Any], base: Variable, factor: _Factor) -> Any:
        found = values[base] if factor.sign > 0 else -values[base]
        if factor.full is not None:
            found = found * values[factor.full]
        for place, divided in factor.thin:
            found = found / values[place] if divided else found * values[place]
        return found
