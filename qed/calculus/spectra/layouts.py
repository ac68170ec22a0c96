"""A linear map whose known factors lie as its products of matrices want them.

The linearised product of a network is made of products of one factor that moves with the vector and one that belongs to
the point. Attention multiplies a stack of matrices, one for each row and head, and the heads lie between the tokens;
XLA's CPU multiplies

    C[b, i, j] = sum_k A[b, i, k] B[b, k, j],

b the axes that both have, and copies both factors into that order at each product. Here the known ones are brought into
it once, when the map is made, and kept so.

The derivative by the weights of a layer is A'B with A and B of one row for each row of the data, the sum over these.
XLA's CPU takes up to twice as long for a sum over the rows of its left factor as for one over its columns. Of A'B with
B known B' is kept, and

    A'B = (B'A)'

is computed, whose result is small; of a known A nothing is kept, and that is computed where A has more columns than B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
from jax import lax

from qed.calculus.spectra.linear_map import opened
from qed.graph.graph import Equation, Graph, Variable
from qed.graph.jaxpr import bind
from qed.graph.replay import Place, Replay


@dataclass(frozen=True)
class _Form:
    """How a product with one known factor is computed.

    Args:
        left: whether the known factor is the left one.
        order: the order of its axes that is kept.
        known: its sizes (shared..., free, summed), each group as one axis.
        first: whether the known factor stands first in the product that is computed.
        moving: the order of the axes of the other factor, and its sizes.
        shape: of the result as computed, all axes apart, and their order in the result asked for.
        out: that order.
    """

    left: bool
    order: tuple[int, ...]
    known: tuple[int, ...]
    first: bool
    moving: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    out: tuple[int, ...]

    @classmethod
    def of(cls, equation: Equation, left: bool) -> _Form | None:
        """Of a stack of matrix products: some axes are of both factors, and each has its own; None of another."""
        one, two = (atom.shape for atom in equation.inputs)
        sums, shared = equation.params["dimension_numbers"]
        if not shared[0] or not sums[0] or 0 in one or equation.params.get("out_sharding") is not None:
            return None
        shapes = (one, two)
        free = [[i for i in range(len(s)) if i not in (*sums[n], *shared[n])] for n, s in enumerate(shapes)]
        if not free[0] or not free[1]:
            return None
        k, m = (0, 1) if left else (1, 0)
        first = sums[m][-1] != len(shapes[m]) - 1  # the moving factor is then (..., summed, free) without a copy

        def laid(n: int, before: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
            groups = (free[n], sums[n]) if before else (sums[n], free[n])
            order = (*shared[n], *groups[0], *groups[1])
            sizes = (math.prod(shapes[n][i] for i in group) for group in groups)
            return order, (*(shapes[n][i] for i in shared[n]), *sizes)

        outer = (k, m) if first else (m, k)
        lead, own = len(shared[0]), len(free[outer[0]])
        every = range(lead, lead + own + len(free[outer[1]]))
        axes = (every[:own], every[own:])
        out = (*range(lead), *axes[outer.index(0)], *axes[outer.index(1)])
        shape = (*(one[i] for i in shared[0]), *(shapes[n][i] for n in outer for i in free[n]))
        return cls(left, *laid(k, first), first, laid(m, not first), shape, out)

    def kept(self, known: Any) -> Any:
        """The known factor as it is kept."""
        return lax.transpose(known, self.order).reshape(self.known)

    def product(self, equation: Equation, known: Any, moving: Any) -> Any:
        """The product."""
        other = lax.transpose(moving, self.moving[0]).reshape(self.moving[1])
        pair = (known, other) if self.first else (other, known)
        both = tuple(range(len(self.known) - 2))
        numbers = (((len(both) + 1,), (len(both),)), (both, both))
        (found,) = bind(equation.native, pair, dimension_numbers=numbers)
        return lax.transpose(found.reshape(self.shape), self.out)


@dataclass(frozen=True)
class _Turned:
    """A product A'B of single matrices, computed as (B'A)'.

    Args:
        left: whether A is the known factor.
        order: the order of the axes of the known factor that is kept.
        known: its sizes in that order.
        sums: which axis of the first and of the second factor of B'A is summed.
    """

    left: bool
    order: tuple[int, int]
    known: tuple[int, int]
    sums: tuple[int, int]

    @classmethod
    def of(cls, equation: Equation, left: bool) -> _Turned | None:
        """Of a sum over the rows of A, where it gains; None of another product."""
        one, two = (atom.shape for atom in equation.inputs)
        (over, under), _ = equation.params["dimension_numbers"]
        if not len(one) == len(two) == 2 or tuple(over) != (0,) or len(under) != 1 or 0 in (*one, *two):
            return None
        if equation.params.get("out_sharding") is not None:
            return None
        if left:
            rows, columns = one
            return cls(True, (0, 1), (rows, columns), (under[0], 0)) if columns > two[1 - under[0]] else None
        order = (1, 0) if under[0] == 0 else (0, 1)
        return cls(False, order, (two[order[0]], two[order[1]]), (1, 0))

    def kept(self, known: Any) -> Any:
        """The known factor as it is kept."""
        return lax.transpose(known, self.order)

    def product(self, equation: Equation, known: Any, moving: Any) -> Any:
        """The product; what is computed is not turned back into A'B by the compiler."""
        pair = (moving, known) if self.left else (known, moving)
        numbers = (((self.sums[0],), (self.sums[1],)), ((), ()))
        (found,) = bind(equation.native, pair, dimension_numbers=numbers)
        return lax.transpose(lax.optimization_barrier(found), (1, 0))


def laid_out(tangent: Any, like: Any) -> Any:
    """The same linear map with its known factors laid out; itself where there is nothing to gain.

    Args:
        tangent: a linear map as `jax.linearize` gives it.
        like: what it is applied to, a tuple of arrays.

    Returns:
        A tree of arrays that can be called, as JAX's is.

    >>> import jax.numpy as jnp
    >>> b = jnp.arange(24.0).reshape(2, 3, 4)
    >>> tangent = jax.linearize(lambda a: jnp.einsum("kbi,bjk->bij", a[0], b), (jnp.ones((4, 2, 5)),))[1]
    >>> laid = laid_out(tangent, (jnp.ones((4, 2, 5)),))
    >>> laid((jnp.ones((4, 2, 5)),)).shape, jax.tree.leaves(laid)[0].shape
    ((2, 5, 3), (2, 3, 4))
    """
    found = opened(tangent, like)
    if found is None:
        return tangent
    known, graph = found
    places = {variable: i for i, variable in enumerate(graph.inputs[: len(known)])}
    forms: dict[Equation, tuple[_Form | _Turned, int | None]] = {}
    copies: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Any] = {}
    for equation in graph.equations:
        sides = [places.get(atom) if isinstance(atom, Variable) else None for atom in equation.inputs]
        if equation.primitive == "dot_general" and (sides[0] is None) != (sides[1] is None):
            form = _Form.of(equation, sides[0] is not None) or _Turned.of(equation, sides[0] is not None)
            where = sides[1] if sides[0] is None else sides[0]
            if form is not None and where is not None:
                copy = (where, form.order, form.known)
                as_it_is = form.order == tuple(range(len(form.order))) and form.known == known[where].shape
                if not as_it_is and copy not in copies:
                    copies[copy] = form.kept(known[where])
                forms[equation] = (form, None if as_it_is else list(copies).index(copy))
    if not forms:
        return tangent
    others = [equation for equation in graph.equations if forms.get(equation, (None, None))[1] is None]
    used = {atom for equation in others for atom in equation.inputs} | set(graph.outputs)
    held = [i for i, variable in enumerate(graph.inputs[: len(known)]) if variable in used]
    result = jax.tree.structure(jax.eval_shape(tangent, like))
    return jax.tree_util.Partial(_Map(graph, forms, tuple(held), result), *(known[i] for i in held), *copies.values())


@final
class _Laid(Replay):
    """A graph whose products with a known factor take the copy of it that is kept."""

    def __init__(self, forms: dict[Equation, tuple[_Form | _Turned, int | None]], copies: Sequence[Any]) -> None:
        self.forms, self.copies = forms, copies

    def opaque(self, equation: Equation, place: Place) -> bool:
        """No call is entered."""
        return True

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation as it is, or a product with a copy."""
        if equation not in self.forms:
            return bind(equation.native, values)
        form, where = self.forms[equation]
        known, moving = values if form.left else reversed(values)
        return (form.product(equation, known if where is None else self.copies[where], moving),)


@dataclass(frozen=True, eq=False)
class _Map:
    """What is kept, then the vector -> the image; compared by identity, so that a point further on compiles nothing.

    Args:
        graph: of the map, its known inputs first.
        forms: which products take which copy, and how.
        held: which known inputs are kept as they are.
        result: the structure of the image.
    """

    graph: Graph
    forms: dict[Equation, tuple[_Form | _Turned, int | None]]
    held: tuple[int, ...]
    result: Any

    def __call__(self, *given: Any) -> Any:
        *kept, vector = given
        known: list[Any] = [None] * (len(self.graph.inputs) - len(vector))  # None is read by no other equation
        for i, array in zip(self.held, kept, strict=False):
            known[i] = array
        image = _Laid(self.forms, kept[len(self.held) :]).run(self.graph, [*known, *vector])[0]
        return jax.tree.unflatten(self.result, image)
