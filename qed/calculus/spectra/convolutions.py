"""The derivative of a convolution by its weights, as a product of matrices where one factor is known.

The derivative of y = x * w by w, for a given cotangent d of y, is a sum over all rows and places,

    D[p] = sum_k x[p + k] d[k],

p a place of the small window of w: a convolution whose own window is the whole image. XLA's CPU takes three to five
times as long for it as for the convolution itself. Along a direction both factors move,

    D'[p] = sum_k x[p + k] d'[k] + sum_k x'[k] d[k - p],

and in each term one factor belongs to the point: its places side by side are a matrix (Chellapilla, Puri and Simard,
*High performance convolutional neural networks for document processing*, 2006) that is made once and kept, so that
each product with the Hessian takes two products of matrices. The price is memory: as many copies as w has places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from qed.calculus.spectra.flattened import JITTED
from qed.graph.calls import Inline
from qed.graph.graph import Equation
from qed.graph.jaxpr import bind
from qed.graph.replay import Place, Replay
from qed.graph.trace import trace


def unfolded(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient (parameters, data) -> slopes whose derivative takes derivatives by weights as products of matrices."""

    def run(parameters: Any, data: Any) -> Any:
        leaves, structure = jax.tree.flatten((parameters, data))
        graph = trace(lambda *given: gradient(*jax.tree.unflatten(structure, given)), *leaves).graph
        return tuple(_Unfolded().run(graph, leaves)[0])

    return run


@final
class _Unfolded(Replay):
    def opaque(self, equation: Equation, place: Place) -> bool:
        """Only jitted calls are entered."""
        call = equation.call
        return not (isinstance(call, Inline) and not call.custom and equation.primitive in JITTED)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation as it is; a derivative by weights with a rule of its own."""
        if equation.primitive == "conv_general_dilated":
            layout = _Layout.of(equation, *values)
            if layout is not None:
                return (_by_weights(equation, layout)(*values),)
        return bind(equation.native, values)


@dataclass(frozen=True)
class _Layout:
    """How the axes of a derivative by weights lie, and its places.

    Args:
        left, right: the orders in which x and d are (rows, places..., channels).
        out: the order that brings (window places..., channels of x, channels of d) to the result.
        window: the places of the result.
        inside: the places of d.
        stride: by how much the result's places step over x.
        dilation: by how much the places of d step over x.
        padding: what is added to x at both ends of each axis.
        keywords: of a product of matrices.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    out: tuple[int, ...]
    window: tuple[int, ...]
    inside: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, equation: Equation, left: Any, right: Any) -> _Layout | None:
        """Of a convolution with a window larger than its result; None where it is another, grouped or spread."""
        given = equation.params
        lhs, rhs, out = given["dimension_numbers"]
        groups = given["feature_group_count"], given["batch_group_count"]
        if groups != (1, 1) or any(d != 1 for d in given["lhs_dilation"]) or len(lhs) < 3:
            return None
        inside = tuple(right.shape[i] for i in rhs[2:])
        shape = jax.eval_shape(lambda a, b: bind(equation.native, [a, b])[0], left, right).shape
        window = tuple(shape[i] for i in out[2:])
        if not 0 < math.prod(window) < math.prod(inside):
            return None
        have = (*out[2:], out[0], out[1])
        return cls(
            (lhs[1], *lhs[2:], lhs[0]),
            (rhs[1], *rhs[2:], rhs[0]),
            tuple(int(i) for i in np.argsort(have)),
            window,
            inside,
            tuple(given["window_strides"]),
            tuple(given["rhs_dilation"]),
            tuple(given["padding"]),
            {"precision": given["precision"], "preferred_element_type": given["preferred_element_type"]},
        )

    def places(self) -> list[tuple[int, ...]]:
        """All places of the result."""
        return list(itertools.product(*(range(n) for n in self.window)))

    def around(self, x: Any) -> Any:
        """Of (rows, places, channels) what stands at each place of d, for all places of the result side by side."""
        zero = jnp.zeros((), x.dtype)
        x = lax.pad(x, zero, [(0, 0, 0), *((lo, hi, 0) for lo, hi in self.padding), (0, 0, 0)])
        parts = []
        for place in self.places():
            begin = [p * s for p, s in zip(place, self.stride, strict=True)]
            end = [b + (n - 1) * d + 1 for b, n, d in zip(begin, self.inside, self.dilation, strict=True)]
            parts.append(lax.slice(x, (0, *begin, 0), (len(x), *end, x.shape[-1]), (1, *self.dilation, 1)))
        return lax.concatenate(parts, x.ndim - 1)

    def spread(self, d: Any, shape: Sequence[int]) -> Any:
        """Of (rows, places, channels) where it stands in an array of that shape, for all places side by side."""
        zero, parts = jnp.zeros((), d.dtype), []
        for place in self.places():
            edges = []
            for p, s, (lo, _), k, step, n in zip(
                place, self.stride, self.padding, self.inside, self.dilation, shape, strict=True
            ):
                low = p * s - lo
                edges.append((low, n - low - ((k - 1) * step + 1), step - 1))
            parts.append(lax.pad(d, zero, [(0, 0, 0), *edges, (0, 0, 0)]))
        return lax.concatenate(parts, d.ndim - 1)

    def product(self, one: Any, two: Any) -> Any:
        """The sum over rows and places of one and two, for all their channels."""
        a, b = (v.reshape(-1, v.shape[-1]) for v in (one, two))
        return lax.dot_general(a, b, (((0,), (0,)), ((), ())), **self.keywords)


def _by_weights(equation: Equation, layout: _Layout) -> Callable[[Any, Any], Any]:
    """The derivative by weights as a function of x and d, with its derivative as above."""

    @jax.custom_jvp
    def found(left: Any, right: Any) -> Any:
        return bind(equation.native, [left, right])[0]

    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, d = lax.transpose(primals[0], layout.left), lax.transpose(primals[1], layout.right)
        channels, terms = (x.shape[-1], d.shape[-1]), []
        if not isinstance(tangents[1], SymbolicZero):
            moved = lax.transpose(tangents[1], layout.right)
            terms.append(layout.product(layout.around(x), moved).reshape(*layout.window, *channels))
        if not isinstance(tangents[0], SymbolicZero):
            moved = lax.transpose(tangents[0], layout.left)
            term = layout.product(moved, layout.spread(d, x.shape[1:-1]))
            term = term.reshape(channels[0], *layout.window, channels[1])
            last = len(layout.window)
            terms.append(lax.transpose(term, (*range(1, last + 1), 0, last + 1)))
        value = found(*primals)
        total = lax.transpose(sum(terms[1:], terms[0]), layout.out) if terms else jnp.zeros_like(value)
        return value, total.astype(value.dtype)

    found.defjvp(rule, symbolic_zeros=True)
    return found
