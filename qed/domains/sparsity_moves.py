"""Index sets through primitives that move, sum, order or multiply elements: by running them on arrays of places.

An output element of such a primitive is made of some input elements; which, is found by applying the primitive to the
numbers 0, 1, 2, ... of the elements (`qed.domains.moving`), or from its windows and axes. A matrix product is a sum of
products, so that it curves the pairs of the factors of each; a known factor 0 drops its product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.domains import moving
from qed.domains.contraction import of_product
from qed.domains.index_sets import LIMIT, TooDense, stacked
from qed.domains.known import Known
from qed.domains.windows import pooled
from qed.graph.walk import Context

if TYPE_CHECKING:
    from qed.domains.sparsity import Dependent

Base: Any = object  # of a part of `qed.domains.sparsity.Sparsity`, whose methods it uses
Array = np.ndarray

_EACH = """add_any complex conj convert_element_type copy device_put from_edtype imag layout_constraint name
    optimization_barrier real reduce_precision relayout reshard sharding_constraint stage tie to_edtype
    with_memory_space_constraint""".split()
_ROUTED = "roll stack tile unstack".split()
_SCATTERS = "scatter scatter_add scatter_sub scatter_mul scatter_max scatter_min scatter_apply".split()
_READS: Mapping[str, tuple[int, ...]] = {"dynamic_slice": (0,), "gather": (0,), "dynamic_update_slice": (0, 1)}
FACTORS = 32
"""Up to so many factors the pairs of a product are told apart."""


class Moves(Base):
    """The rules of the classes `linear`, `bilinear`, `reduce` and `index`."""

    # --- linear ---

    def linear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Moves, sums and conversions."""
        name, params, outputs = context.equation.primitive, context.equation.params, context.equation.outputs
        xs = [self.lifted(x) for x in inputs]
        if name in _EACH:
            return self._each(xs, context)
        if name == "zeros_like":
            return (Known(np.zeros(outputs[0].shape)),)
        if name in moving.MOVES:
            return (xs[0].take(moving.MOVES[name](xs[0].places, 0, params)),)
        if name == "pad":
            index = moving.pad(0, params)(xs[0].places, np.asarray(-1))
            filled = xs[1].take(np.where(index < 0, 0, -1))
            return (xs[0].take(index).merged(filled),)
        if name == "concatenate":
            return (self._moved(xs, moving.concatenated(0, params)),)
        if name == "split":
            return [xs[0].take(cut(xs[0].places)) for cut in moving.splits(params["sizes"], params["axis"])]
        if name in _ROUTED:
            index = moving.routed(context.equation, range(len(xs)), [None] * len(xs))
            if index is not None:
                joined = self._end_to_end(xs)
                return [joined.take(places) for places in index]
        if name == "reduce_sum":
            return (self._reduced(xs[0], params["axes"]),)
        if name == "cumsum":
            return (self._cumulated(xs[0], params),)
        if name == "reduce_window_sum":
            return (self._windowed(xs[0], params),)
        return self.everything(inputs, context, bent=False)

    def _each(self, xs: Sequence[Dependent], context: Context) -> Sequence[Any]:
        """Element by element: of one operand, of all together, or each for itself."""
        outputs = context.equation.outputs
        if len(outputs) == len(xs):
            return xs
        if len(outputs) == 1 and all(x.shape == outputs[0].shape for x in xs):
            total = xs[0]
            for x in xs[1:]:
                total = total.merged(x)
            return (total,)
        return self.everything(xs, context, bent=False)

    def _end_to_end(self, xs: Sequence[Dependent]) -> Dependent:
        inputs, pairs = stacked([x.inputs for x in xs]), stacked([x.pairs for x in xs])
        return type(xs[0])((len(inputs),), inputs, pairs)

    def _moved(self, xs: Sequence[Dependent], move: Callable[..., Array]) -> Dependent:
        """Elements of several operands moved together."""
        starts = np.cumsum([0, *(len(x.inputs) for x in xs)])
        index = move(*(x.places + start for x, start in zip(xs, starts, strict=False)))
        return self._end_to_end(xs).take(index)

    # --- reductions ---

    def _lines(self, x: Dependent, axes: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
        """The places of an array, one line of `axes` a row, and the shape of what is left."""
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        shape = tuple(x.shape[axis] for axis in kept)
        size = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
        return np.transpose(x.places, (*kept, *axes)).reshape((int(np.prod(shape, dtype=np.int64)), size)), shape

    def _reduced(self, x: Dependent, axes: Sequence[int]) -> Dependent:
        lines, shape = self._lines(x, tuple(axes))
        targets = np.repeat(np.arange(len(lines)), lines.shape[1])
        return x.united(targets, lines.ravel(), shape)

    def _along(self, x: Dependent, axis: int, size: int) -> Dependent:
        """Every element of a line (of a new length) may be any element of the old one."""
        one = self._reduced(x, (axis,))
        spread = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return one.take(np.broadcast_to(np.expand_dims(one.places, axis), spread))

    def _cumulated(self, x: Dependent, params: Mapping[str, Any]) -> Dependent:
        """The union of all elements before, by doubling steps (Hillis and Steele, 1986)."""
        axis, step = params["axis"], 1
        places = np.flip(x.places, axis) if params.get("reverse") else x.places
        places = np.moveaxis(places, axis, -1)
        while step < places.shape[-1]:
            before = np.full(places.shape, -1)
            before[..., step:] = places[..., :-step]
            shifted = np.full(len(x.inputs), -1)
            shifted[places.ravel()] = before.ravel()
            x = x.merged(x.take(shifted.reshape(x.shape)))
            step *= 2
        return x

    def _windowed(self, x: Dependent, params: Mapping[str, Any]) -> Dependent:
        index = pooled(x.shape, params)
        rows = index.reshape((-1, index.shape[-1]))
        targets, places = np.nonzero(rows >= 0)
        return x.united(targets, rows[targets, places], index.shape[:-1])

    def reduce(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Largest, smallest, sorted, and products along axes."""
        name, params, outputs = context.equation.primitive, context.equation.params, context.equation.outputs
        xs = [self.lifted(x) for x in inputs]
        if name in ("argmax", "argmin"):
            return self.constant_almost_everywhere(inputs, context)
        if name in ("reduce_max", "reduce_min"):
            return (self._reduced(xs[0], params["axes"]),)
        if name == "reduce_prod":
            return (self._product(xs[0], params["axes"]),)
        if name in ("cummax", "cummin"):
            return (self._cumulated(xs[0], params),)
        if name in ("cumprod", "cumlogsumexp"):
            return (self.bent(self._cumulated(xs[0], params)),)
        if name == "sort":
            axis = params["dimension"]
            return [self._along(x, axis, x.shape[axis]) for x in xs]
        if name == "top_k":
            axis = params.get("axis", -1) % len(xs[0].shape)
            found = self._along(xs[0], axis, outputs[0].shape[axis])
            return (found, self.varying(outputs[1].shape))
        if name in ("reduce_window_max", "reduce_window_min"):
            return (self._windowed(xs[0], params),)
        return self.everything(inputs, context)

    def _product(self, x: Dependent, axes: Sequence[int]) -> Dependent:
        """A product of many: linear in each factor, so that two different ones are curved together."""
        total = self._reduced(x, axes)
        lines, shape = self._lines(x, tuple(axes))
        if not self.second or lines.shape[1] > FACTORS:
            return self.bent(total)
        ids = self.sets.ids(x.inputs)[lines]
        left, right = np.triu_indices(lines.shape[1], 1)
        rows = np.repeat(np.arange(len(lines)), len(left))
        made = self.products(rows, ids[:, left].ravel(), ids[:, right].ravel(), len(lines))
        return type(x)(shape, total.inputs, total.pairs.merged(made))

    # --- products of arrays ---

    def bilinear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Matrix products and convolutions, as sums of products."""
        equation = context.equation
        shapes = [atom.shape for atom in equation.inputs]
        forms = of_product(equation)
        if forms is None:
            return self.everything(inputs, context)
        if max(int(np.prod(atom.shape, dtype=np.int64)) for atom in (*equation.inputs, *equation.outputs)) > LIMIT:
            message = f"a product of arrays of more than {LIMIT} numbers"
            raise TooDense(message)
        places = [np.arange(1, int(np.prod(s, dtype=np.int64)) + 1).reshape(s) for s in shapes]
        left, right = forms[0](places[0]) - 1, forms[1](places[1]) - 1  # (stack, m, k), (stack, k, n); -1 is padding
        masks = [self._possible(x).ravel() for x in inputs]
        target, first, second = _terms(left, right, masks[0], masks[1])
        shape = tuple(equation.outputs[0].shape)
        order = np.empty(int(np.prod(shape, dtype=np.int64)), np.int64)
        stack, m, n = left.shape[0], left.shape[1], right.shape[2]
        order[:] = np.argsort(forms[2](np.arange(stack * m * n).reshape((stack, m, n))).ravel())
        target = order[target]
        total = self.varying(shape)
        for x, places in zip(inputs, (first, second), strict=True):
            if not isinstance(x, Known):
                total = total.merged(x.united(target, places, shape))
        if self.second and not any(isinstance(x, Known) for x in inputs):
            ids = [self.sets.ids(x.inputs) for x in inputs]
            made = self.products(target, ids[0][first], ids[1][second], len(order))
            total = type(total)(shape, total.inputs, total.pairs.merged(made))
        return (total,)

    def _possible(self, x: Any) -> Array:
        """Which elements of a factor can be other than the constant zero."""
        return np.asarray(x.array) != 0 if isinstance(x, Known) else np.ones(x.shape, bool)

    # --- places ---

    def index(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Slices, gathers and scatters, along known indices, or from and to anywhere."""
        equation = context.equation
        name = equation.primitive.replace("-", "_")
        if equation.native is not None and name in _READS:
            return (self._read(name, inputs, context),)
        if equation.native is not None and name in _SCATTERS:
            return (self._scattered(name, inputs, context),)
        if name == "select_and_scatter_add":  # places that `operand` decides, values of `source`
            return self.everything(inputs[:1], context, bent=False)
        return self.everything(inputs, context)

    def _read(self, name: str, inputs: Sequence[Any], context: Context) -> Dependent:
        equation, positions = context.equation, _READS[name]
        arrays = [None if i in positions else x for i, x in enumerate(inputs)]
        values = [self.lifted(inputs[i]) for i in positions]
        if all(x is None or isinstance(x, Known) for x in arrays):
            known = [None if x is None else x.array for x in arrays]
            (index,) = moving.routed(equation, positions, known) or [None]
            if index is not None:
                return self._end_to_end(values).take(index)
        (anywhere,) = self.everything(values, context, bent=False)
        return anywhere

    def _scattered(self, name: str, inputs: Sequence[Any], context: Context) -> Dependent:
        equation = context.equation
        operand, updates = self.lifted(inputs[0]), self.lifted(inputs[2])
        bent = name in ("scatter_mul", "scatter_apply")
        if not isinstance(inputs[1], Known) or len(operand.inputs) >= moving.COUNTABLE:
            (anywhere,) = self.everything([operand, updates], context, bent=bent)
            return anywhere
        targets = moving.scatter_targets(equation, inputs[1].array).ravel()
        chosen = np.flatnonzero(targets >= 0)
        touched = np.zeros(len(operand.inputs), bool)
        touched[targets[chosen]] = True
        touched = touched.reshape(operand.shape)
        put = updates.united(targets[chosen], chosen, operand.shape)
        kept = operand.where(~touched) if name == "scatter" else operand
        total = kept.merged(put)
        return self.bent(total, touched) if bent else total


def _terms(left: Array, right: Array, first: Array, second: Array) -> tuple[Array, Array, Array]:
    """The terms of the products of stacks of matrices of places: (place in the result, place left, place right).

    Args:
        left: (stack, m, k) places, -1 for padding.
        right: (stack, k, n) places.
        first: which places on the left can be other than zero.
        second: the same on the right.
    """
    there = [(x >= 0) & mask[np.maximum(x, 0)] if mask.size else x >= 0 for x, mask in ((left, first), (right, second))]
    rows, columns = there[0].sum(1), there[1].sum(2)  # (stack, k)
    if int((rows.astype(np.int64) * columns).sum()) > LIMIT:
        message = f"a product of arrays of more than {LIMIT} terms"
        raise TooDense(message)
    s, k, m = np.nonzero(np.swapaxes(there[0], 1, 2))
    t, l, n = np.nonzero(there[1])  # noqa: E741
    key, other = s * left.shape[2] + k, t * left.shape[2] + l
    begin, end = np.searchsorted(other, key), np.searchsorted(other, key, side="right")
    counts = end - begin
    a = np.repeat(np.arange(len(key)), counts)
    b = np.arange(counts.sum()) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
    target = (s[a] * left.shape[1] + m[a]) * right.shape[2] + n[b]
    return target, left[s[a], m[a], k[a]], right[t[b], l[b], n[b]]
