"""The adjoint domain: the derivative of one output with respect to every value that led to it.

With L the output and v any value, the adjoint of v is dL/dv, and for an equation y = f(x, ...)::

    adjoint(x) += adjoint(y) . df/dx(x, ...)

For an elementwise primitive df/dx is the derivative on its fact card; for arithmetic the partial derivatives of its
card; for linear, bilinear and index-moving primitives JAX's transposed primitive; a call with a derivative
rule of the user's is pulled back by that rule. The total agrees with `jax.grad`.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.backward import Backward, Tape, record
from qed.domains.pulled import folded, moved, plus, times
from qed.graph import jaxpr
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Graph
from qed.graph.walk import Cell, Cotangents, Entry, Unknown, reverse


@dataclass(frozen=True, eq=False)
class Row:
    """The cotangent of an array of which one row was read: zero but for that row."""

    shape: tuple[int, ...]
    dtype: Any
    index: int
    value: Any


@dataclass(eq=False)
class RowSum:
    """The cotangent of an array that a loop reads row by row: a dense part plus single rows."""

    shape: tuple[int, ...]
    dtype: Any
    dense: Any = None
    rows: dict[int, Any] = field(default_factory=dict)

    def plus(self, other: Any) -> RowSum:
        """Add a cotangent in place."""
        if isinstance(other, Row):
            known = self.rows.get(other.index)
            self.rows[other.index] = other.value if known is None else known + other.value
        elif isinstance(other, RowSum):
            for index, row in other.rows.items():
                self.plus(Row(self.shape, self.dtype, index, row))
            if other.dense is not None:
                self.plus(other.dense)
        else:
            self.dense = other if self.dense is None else self.dense + other
        return self

    def array(self) -> Any:
        """The sum as one array."""
        total = np.zeros(self.shape, self.dtype) if self.dense is None else np.array(self.dense)
        for index, row in self.rows.items():
            total[index] += np.asarray(row)
        return jnp.asarray(total)


def dense(value: Any) -> Any:
    """A cotangent as an array (or None, or Unknown)."""
    if isinstance(value, Row):
        value = RowSum(value.shape, value.dtype, None, {value.index: value.value})
    return value.array() if isinstance(value, RowSum) else value


def add(first: Any, second: Any) -> Any:
    """The sum of two cotangents; a `RowSum` is added to in place, and only this function makes one."""
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return first if isinstance(first, Unknown) else second
    if isinstance(first, RowSum):
        return first.plus(second)
    if isinstance(second, RowSum):
        return second.plus(first)
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Row):
            return RowSum(one.shape, one.dtype, None, {one.index: one.value}).plus(other)
    found = plus(first, second)
    return first + second if found is None else found


@final
class Adjoint(Backward):
    """Pulls cotangents back, one entry at a time."""

    name = "adjoint"
    special: ClassVar = {
        "stop_gradient": "nothing",
        "pow": "by_transposition",  # JAX's own convention at a base of zero
        "custom_jvp_call": "by_transposition",
        "custom_vjp_call": "by_transposition",
        "custom_linear_solve": "by_transposition",
        "call_hi_primitive": "by_transposition",
        "polygamma": "by_transposition",  # its order is an integer in JAX
        "polynomial": "by_transposition",
    }

    def __init__(self) -> None:
        self._pullbacks: dict[tuple[Any, tuple[int, ...], tuple[int, ...]], _Pullback] = {}

    def pull(self, entry: Entry, cotangents: Sequence[Any]) -> Sequence[Any]:
        """Cotangents of the inputs of one entry; Unknown where a value, a cotangent or a rule is."""
        cts = [dense(ct) for ct in cotangents]
        lost = next((value for value in cts if isinstance(value, Unknown)), None)
        if entry.kind == "take":
            (cell,) = entry.inputs
            return (lost if lost is not None else Row(cell.shape, np.asarray(cts[0]).dtype, entry.index, cts[0]),)
        if entry.kind == "stack" and lost is None:
            rows = np.asarray(cts[0])
            return [jnp.asarray(rows[i]) for i in range(len(entry.inputs))]
        known = (value for cell in (*entry.inputs, *entry.outputs) for value in cell.values[:1])
        lost = lost or next((value for value in known if isinstance(value, Unknown)), None)
        rule = self.rule(entry.equation.primitive)
        if lost is None and rule is None:
            lost = Unknown(self.name, entry.equation.primitive, entry.span)
        if lost is not None or rule is None:
            return (lost,) * len(entry.inputs)
        return getattr(self, rule[1])(entry, cts)

    # --- the rules ---

    def nothing(self, entry: Entry, cts: Sequence[Any]) -> Sequence[Any]:
        """Primitives whose derivative is zero."""
        return (None,) * len(entry.inputs)

    def unary(self, entry: Entry, cts: Sequence[Any]) -> Sequence[Any]:
        """adjoint(x) = adjoint(y) f'(x), with f' from the fact card."""
        x, y = entry.inputs[0].values[0], entry.outputs[0].values[0]
        card = facts.card(entry.equation.primitive, **entry.equation.params)
        if card is None or not (is_real(x.dtype) and is_real(y.dtype)):
            return self.by_transposition(entry, cts)
        found = times(cts[0], card.derivative, {"x": x, "y": y})
        if found is None:
            found = cts[0] * card.derivative.evaluate(x=x, y=y, arithmetic=facts.JAX)
        return (jnp.asarray(found, dtype=x.dtype),)

    def nary(self, entry: Entry, cts: Sequence[Any]) -> Sequence[Any]:
        """Arithmetic: adjoint(x_i) = adjoint(z) df/dx_i, with the partial derivatives from the fact card."""
        card = facts.ARITHMETIC[entry.equation.primitive]
        active = [cell.active and is_inexact(cell.dtype) for cell in entry.inputs]
        partials = [p if a else None for p, a in zip(card.partials, active, strict=True)]
        real = is_real(entry.outputs[0].dtype) and all(is_real(cell.dtype) for cell in entry.inputs)
        if not real or any(a and p is None for p, a in zip(partials, active, strict=True)):
            return self.by_transposition(entry, cts)
        values = {n: cell.values[0] for n, cell in zip(card.arguments, entry.inputs, strict=True)}
        values["z"] = entry.outputs[0].values[0]
        found = []
        for partial, cell in zip(partials, entry.inputs, strict=True):
            if partial is None:
                found.append(None)
                continue
            quick = times(cts[0], partial, values)
            if quick is not None:
                found.append(jax.device_put(folded(quick, cell.shape)))
                continue
            slope = partial.evaluate(arithmetic=facts.JAX, **values)
            found.append(_fold(jnp.asarray(cts[0] * slope, dtype=cell.dtype), cell.shape))
        return found

    def select(self, entry: Entry, cts: Sequence[Any]) -> Sequence[Any]:
        """The chosen operand receives the cotangent, the others zero."""
        which, *cases = entry.inputs
        chosen = np.asarray(which.values[0]).astype(int)
        ct = np.asarray(cts[0])
        zero = np.zeros((), ct.dtype)
        return [
            None,
            *(jnp.asarray(np.where(chosen == i, ct, zero)) if c.active else None for i, c in enumerate(cases)),
        ]

    def by_transposition(self, entry: Entry, cts: Sequence[Any]) -> Sequence[Any]:
        """The primitive's own rule, transposed by JAX; compiled where a loop comes back to the same equation."""
        if entry.equation.native is None:
            return (Unknown(self.name, entry.equation.primitive, entry.span, "no JAX equation for"),) * len(
                entry.inputs
            )
        quick = moved(entry, cts)
        if quick is not None:
            return [ct if cell.active else None for ct, cell in zip(quick, entry.inputs, strict=True)]
        values = [cell.values[0] for cell in entry.inputs]
        active = tuple(i for i, cell in enumerate(entry.inputs) if cell.active and is_inexact(cell.dtype))
        floats = tuple(j for j, cell in enumerate(entry.outputs) if is_inexact(cell.dtype))
        full = [jnp.zeros(entry.outputs[j].shape, entry.outputs[j].dtype) if cts[j] is None else cts[j] for j in floats]
        key = (entry.equation, active, floats)
        pullback = self._pullbacks.setdefault(key, _Pullback(entry.equation.native, active, floats))
        result: list[Any] = [None] * len(values)
        try:
            found = pullback(values, full)
        except (NotImplementedError, TypeError, ValueError):  # as of betainc in its parameters
            lost = Unknown(self.name, entry.equation.primitive, entry.span, "JAX has no derivative of")
            return (lost,) * len(values)
        for position, ct in zip(active, found, strict=True):
            result[position] = ct
        return result

    linear = bilinear = reduce = index = linear_algebra = opaque_call = by_transposition


def _fold(cotangent: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent over the axes along which its operand was broadcast."""
    if cotangent.shape == shape:
        return cotangent
    lead = cotangent.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and cotangent.shape[lead + i] != 1))
    return jnp.sum(cotangent, axis=axes).reshape(shape)


USES = 16
"""Compiling takes about as long as so many uses of what was not compiled (measured: 100 to 260 ms against 6)."""


class _Pullback:
    """The transposed derivative of one equation; compiled once it has been used so often that this pays."""

    def __init__(self, native: Any, active: tuple[int, ...], floats: tuple[int, ...]) -> None:
        self.native, self.active, self.floats = native, active, floats
        self.uses = 0
        self.compiled = jax.jit(self.pulled)

    def __call__(self, values: Sequence[Any], cts: Sequence[Any]) -> Sequence[Any]:
        self.uses += 1
        return (self.compiled if self.uses > USES else self.pulled)(list(values), list(cts))

    def pulled(self, values: Sequence[Any], cts: Sequence[Any]) -> Sequence[Any]:
        def primal(*chosen: Any) -> list[Any]:
            full = list(values)
            for position, value in zip(self.active, chosen, strict=True):
                full[position] = value
            outs = jaxpr.bind(self.native, full)
            return [outs[j] for j in self.floats]

        _, pull = jax.vjp(primal, *(values[i] for i in self.active))
        return pull(list(cts))


@dataclass(frozen=True, eq=False)
class Adjoints:
    """A tape and the adjoint of every value on it."""

    tape: Tape
    cotangents: Cotangents

    def of(self, cell: Cell) -> Any:
        """The adjoint of a cell: None where the output does not depend on it, Unknown where a rule is missing."""
        return dense(self.cotangents.totals.get(cell))

    def gradient(self, active: Sequence[int]) -> list[Any]:
        """The adjoints of the inputs at the given positions: zeros where nothing depends on them, or Unknown."""
        found = []
        for i in active:
            cell = self.tape.inputs[i]
            total = self.of(cell)
            found.append(jnp.zeros(cell.shape, cell.dtype) if total is None else total)
        return found


def adjoints(
    graph: Graph,
    arrays: Sequence[Any],
    active: Sequence[int],
    output: int = 0,
    keep_parts: bool = False,
    tape: Tape | None = None,
) -> Adjoints:
    """The adjoint of every value of a graph with respect to one scalar output.

    Args:
        graph: the graph.
        arrays: one array per input.
        active: positions of the inputs to differentiate in.
        output: which output; it must be a scalar.
        keep_parts: keep each contribution to each adjoint.
        tape: a tape recorded before at the same inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(jnp.sin(x) * x), jnp.array([0.0, 1.0]))
        >>> found = adjoints(traced.graph, traced.leaves, traced.free)
        >>> [round(float(v), 4) for v in found.gradient(traced.free)[0]]
        [0.0, 1.3818]
    """
    tape = tape if tape is not None else record(graph, arrays, active)
    cell = tape.outputs[output]
    seeds: Mapping[Cell, Any] = {cell: jax.device_put(np.ones(cell.shape, cell.dtype))}
    return Adjoints(tape, reverse(tape.entries, seeds, Adjoint().pull, add, keep_parts))
