"""One row of a recording, computed on the device: norms, finiteness, g.u and the curvature along a step.

The ring of rows lives in the state; it is handed to the host when it is full, or when the first number that is not
finite appears. Where a row is made at every step, the row of a step also keeps that step for the next one's curvature.
Where rows are `stride` steps apart, three kinds of steps alternate,

    mark (stride k - 1)   keeps the step s and its g.s, s.s
    row (stride k)        makes the row, with the curvature along the marked step before it
    the others            look at the loss and at the small arrays of the gradient only

and the update is computed once more, inside the branch, by the few steps that need it: handed in from outside it would
have to be written to memory at every step, where the training alone keeps it in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.errors import QedError
from qed.optimization.packing import Packed, Packing
from qed.optimization.recording import BIT_GRADIENT, BIT_PARAMETER, BIT_UPDATE, Leaf, Writer

STEPS = 1 << 24
"""Up to here float32 holds every whole number."""


class Ring(NamedTuple):
    """What was recorded since the last time the file was written.

    `counts` holds which `init` this comes from, how many steps were seen, how many rows are filled, and whether one was
    not finite; a row begins with its step, modulo `STEPS`; `step` is the last update that was kept, packed (None
    without curvature), and `along` its g.s and s.s.
    """

    counts: jax.Array
    rows: jax.Array
    step: Any
    along: jax.Array


class Step(NamedTuple):
    """The arrays of one step: gradients, parameters (None where not given), loss (None likewise)."""

    gradients: list[Any]
    parameters: list[Any]
    value: Any


def record(
    writer: Writer, stride: int, leaves: tuple[Leaf, ...], ring: Ring, step: Step, updates: Callable[[], list[Any]]
) -> Ring:
    """The ring after one more step.

    Args:
        writer: where full rings go.
        stride: how many steps are between two rows.
        leaves: what the arrays are called.
        ring: the ring before.
        step: the arrays of the step.
        updates: computes the update's arrays.
    """
    ring, step = lax.stop_gradient(ring), Step(*lax.stop_gradient(tuple(step)))
    if stride == 1:
        arrays = (tuple(step), lax.stop_gradient(updates()))
        arrays = lax.optimization_barrier(arrays)  # the training keeps its own fusions
        return _row(writer, stride, leaves, ring, Step(*arrays[0]), arrays[1])
    seen, worst = ring.counts[1], ring.counts[3]
    alarm = (worst == 0) & ~_seems_finite(step)
    mark = (seen % stride == stride - 1) if ring.step is not None else jnp.zeros((), bool)
    kind = jnp.where((seen % stride == 0) | alarm, 2, jnp.where(mark, 1, 0))

    def skip() -> Ring:
        return ring._replace(counts=ring.counts + jnp.array([0, 1, 0, 0], jnp.int32))

    def marked() -> Ring:
        return _marked(skip(), step, updates())

    def row() -> Ring:
        return _row(writer, stride, leaves, ring, step, updates())

    return lax.switch(kind, [skip, marked if ring.step is not None else skip, row])


def _seems_finite(step: Step) -> jax.Array:
    """Whether the loss and the small arrays of the gradient are finite.

    A bias's gradient is itself a sum over the rows of the batch. The barrier keeps XLA from making one sum of the two,
    which would read the whole batch again at every step.
    """
    small, _ = Packing.of(step.gradients).pack(step.gradients)
    small = lax.optimization_barrier(small)
    probe = sum((jnp.sum(matrix) for matrix in small), jnp.float32(0))
    return jnp.isfinite(probe if step.value is None else probe + 0 * scalar(step.value))


def _marked(ring: Ring, step: Step, updates: list[Any]) -> Ring:
    """The step kept for the row after it."""
    packing = Packing.of(step.gradients)
    kept = _rounded(packing.pack(updates), ring.step)
    sums = packing.products([(packing.pack(step.gradients), kept), (kept, kept)])
    return ring._replace(step=kept, along=jnp.sum(sums, axis=1))


def _rounded(updates: Packed, like: Packed) -> Packed:
    return jax.tree.map(lambda x, s: jnp.asarray(x).astype(s.dtype), updates, like)


def _row(writer: Writer, stride: int, leaves: tuple[Leaf, ...], ring: Ring, step: Step, updates: list[Any]) -> Ring:
    """One more row in the ring, written to the file where that is due."""
    packing, nothing = Packing.of(step.gradients), jnp.float32(jnp.nan)
    given = np.array([p is not None for p in step.parameters], bool)
    known = [jnp.zeros_like(g) if p is None else p for p, g in zip(step.parameters, step.gradients, strict=True)]
    g, u, p = (packing.pack(x) for x in (step.gradients, updates, known))
    kept = u if ring.step is None else _rounded(u, ring.step)
    before = g if ring.step is None else ring.step
    lists = (g, u, p) if given.any() else (g, u)
    keep = stride == 1 and ring.step is not None
    rounds = keep and any(jnp.result_type(x) != s.dtype for x, s in zip(u[1], kept[1], strict=True))
    pairs = [*((x, x) for x in lists), (g, before), (g, u), *([(g, kept), (kept, kept)] if rounds else [])]
    products = packing.products(pairs)
    totals = jnp.sum(products[len(lists) :], axis=1)
    norms, flags = packing.norms(lists, products[: len(lists)])
    of_g, of_u, of_p = (*norms, jnp.zeros_like(norms[0]))[:3]
    bad_g, bad_u, bad_p = (*flags, jnp.zeros_like(flags[0]))[:3]
    bits = BIT_GRADIENT * bad_g + BIT_UPDATE * bad_u + BIT_PARAMETER * bad_p
    loss = nothing if step.value is None else scalar(step.value)
    known_step = (ring.along[1] > 0) if ring.step is not None else jnp.zeros((), bool)
    before_it, after_it = (jnp.where(known_step, x, nothing) for x in (ring.along[0], totals[0]))
    curvature = (after_it - before_it) / ring.along[1]
    place = (ring.counts[1] % STEPS).astype(jnp.float32)
    head = jnp.stack([place, loss, jnp.float32(step.value is not None), curvature, totals[1], before_it, after_it])
    row = jnp.concatenate([head, of_g, jnp.where(given, of_p, nothing), of_u, bits])
    bad = jnp.sum(bits) > 0
    bad = bad if step.value is None else bad | ~jnp.isfinite(loss)
    moved = [(p, u) for p, u in zip(step.parameters, updates, strict=True)]
    ring = _written(writer, stride, leaves, ring, row, bad, moved)
    if not keep:
        return ring._replace(along=jnp.full_like(ring.along, jnp.nan))
    along = totals[2:4] if rounds else jnp.stack([totals[1], jnp.sum(products[1])])
    return ring._replace(step=kept, along=along)


def _written(
    writer: Writer, stride: int, leaves: tuple[Leaf, ...], ring: Ring, row: jax.Array, bad: jax.Array, pairs: list[Any]
) -> Ring:
    """The ring with a row more; emptied into the file where that is due."""
    token, seen, filled, worst = ring.counts
    rows = lax.dynamic_update_index_in_dim(ring.rows, row, filled, 0)
    due = (filled + 1 == rows.shape[0]) | (bad & (worst == 0))

    def flush() -> jax.Array:
        moved = jnp.stack([_moved(p, u) for p, u in pairs] or [jnp.float32(jnp.nan)])
        nought = jax.ShapeDtypeStruct((), jnp.int32)
        return jax.pure_callback(
            partial(_to_file, writer, leaves, stride), nought, token, seen, filled + 1, rows, moved
        )

    filled = lax.cond(due, flush, lambda: filled + 1)
    counts = jnp.stack([token, seen + 1, filled, jnp.maximum(worst, bad.astype(jnp.int32))])
    return ring._replace(counts=counts, rows=rows)


def _to_file(
    writer: Writer,
    leaves: tuple[Leaf, ...],
    stride: int,
    token: Any,
    last: Any,
    filled: Any,
    rows: Any,
    moved: Any,
) -> Any:
    to_file(writer, leaves, stride, int(token), int(last), np.array(rows)[: int(filled)], np.array(moved))
    return np.int32(0)


def to_file(
    writer: Writer, leaves: tuple[Leaf, ...], stride: int, token: int, last: int, rows: np.ndarray, moved: np.ndarray
) -> None:
    """Write rows of a ring, `last` being the step of the last or a later one."""
    steps = last - (last - rows[:, 0].astype(np.int64)) % STEPS
    writer.write(leaves, stride, token, steps, rows[:, 1:], moved[: len(leaves)])


def scalar(value: Any) -> jax.Array:
    """The loss as a float32 number.

    Raises:
        QedError: QED002 where it is not a single number.
    """
    if jnp.size(value) != 1:
        because = f"its shape is {jnp.shape(value)}"
        raise QedError("QED002", "value= is not a single number", because, "pass the loss: value=loss")
    return jnp.asarray(value).real.astype(jnp.float32).reshape(())


def _moved(parameter: Any, update: Any) -> jax.Array:
    """The share of numbers that adding the update changes, in the parameter's own dtype; NaN without parameter."""
    if parameter is None or jnp.size(parameter) == 0:
        return jnp.float32(jnp.nan)
    p = jnp.asarray(parameter)
    return jnp.mean((p + jnp.asarray(update)).astype(p.dtype) != p, dtype=jnp.float32)
