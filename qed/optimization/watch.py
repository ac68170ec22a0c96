"""`qed.watch`: an optax transformation that behaves exactly like the one it wraps, and records the run as it goes.

For each leaf it notes the norms of gradient g, parameter and update u and whether they are finite, and over all leaves
g.u, the loss where it is passed as ``value=``, and the curvature along the step before,

    (g+ - g).s / s.s,        s the last update, g and g+ the gradients before and after it,

which for one loss is the mean of s.H s / s.s along s (the mean value theorem), to within float32's rounding of g.s.
Where each gradient comes from its own batch the two batches are mixed: the number then carries their difference, and
under plain gradient descent with rate r it is (1 - g+.g / g.g) / r, about 1 / r for gradients that share nothing.

A row costs five products of the size of the parameters, about a nanosecond a parameter. Up to 8,192 parameters there
is a row for every step; with n parameters one for every n / 8,192 steps, at most 32, so that the mean cost does not
grow (qed/optimization/rows.py). A number that is not finite in the loss or in a small array of the gradient makes a row
at once. The curvature needs the step before, one more copy of the parameters; beyond 1,048,576 of them it is
recorded only where that is asked for.

All of this stays on the device, in a ring in the state. One host callback under `lax.cond` writes the ring to the file
when it is full, and at once when the first number that is not finite appears; the device never waits for the host at a
step. A process that is killed loses at most the last `every` steps. The callback is a `jax.pure_callback` whose
result, 0, becomes the new fill count, so that it runs exactly where the state depends on it: an `io_callback` or
`debug.callback` would keep JAX off its fast dispatch at every step, called or not (measured: 70 us a step with 3
arrays, 330 us with 27). What stays is JAX's own: a program that holds a callback, called or not, runs on the CPU in the
thread that asks for it, so that Python no longer prepares the next step meanwhile. A plain step with a callback that is
never called pays, or gains, the same; benchmarks/training.py measures it beside what is recorded.

Reference: Cohen, Kaur, Li, Kolter and Talwalkar, *Gradient descent on neural networks typically occurs at the edge of
stability*, ICLR 2021; Nocedal and Wright, *Numerical Optimization*, 2006, section 6.1 (the secant equation).
"""

from __future__ import annotations

import itertools
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from qed.errors import QedError
from qed.graph.jaxpr import concrete
from qed.optimization.packing import Packed, Packing
from qed.optimization.recording import COLUMNS, PER_LEAF, Leaf, Writer
from qed.optimization.rows import Ring, Step, record, to_file

DEFAULT_PATH = "run.qedrec"


class WatchState(NamedTuple):
    """The wrapped state, and what was recorded since the last time the file was written."""

    inner: Any
    ring: Ring


class Watched(optax.GradientTransformationExtraArgs):
    """The transformation that `qed.watch` returns: `init`, `update`, the file's `path`, and `flush`."""

    path: str
    _writer: Writer
    _layouts: dict[int, tuple[Leaf, ...]]

    def flush(self, state: Any) -> Any:
        """Write the steps that are still in the state; returns the state without them.

        Call it at the end of a run that should lose nothing: ``opt_state = tx.flush(opt_state)``. The state may hold
        the watched one at any depth.

        Raises:
            QedError: QED007 where there is no watched state in it.
        """
        found = [leaf for leaf in jax.tree.leaves(state, is_leaf=_is_watched) if _is_watched(leaf)]
        if not found:
            because = "no part of it comes from this transformation's init"
            raise QedError("QED007", "the state holds nothing that was recorded", because, "give the optimizer's state")
        return jax.tree.map(lambda x: self._flush(x) if _is_watched(x) else x, state, is_leaf=_is_watched)

    def _flush(self, state: WatchState) -> WatchState:
        ring = state.ring
        token, seen, filled, _ = (int(count) for count in np.asarray(ring.counts))
        leaves = self._layouts.get(token) or self._layouts.get(_LATEST)
        if filled and leaves is not None:
            moved = np.full(len(leaves), np.nan, np.float32)
            to_file(self._writer, leaves, _stride(leaves), token, seen, np.asarray(ring.rows)[:filled], moved)
        return state._replace(ring=ring._replace(counts=ring.counts * jnp.asarray([1, 1, 0, 1], jnp.int32)))


def _is_watched(x: Any) -> bool:
    return isinstance(x, WatchState)


def watch(
    optimizer: optax.GradientTransformation,
    *,
    path: str | os.PathLike[str] | None = None,
    every: int = 100,
    curvature: bool | None = None,
) -> Watched:
    """An optimizer that makes the same updates and records the run; `qed.why` explains the recording.

    The returned transformation works inside jit and scan, around or inside `optax.MultiSteps`, and with any pytree of
    parameters. Put it outermost, so that what it sees is what is added to the parameters. The loss is recorded
    where it is passed: ``tx.update(gradient, state, parameters, value=loss)``. Under `jax.vmap` it raises, as it does
    for arrays sharded in JAX's explicit mode (in the automatic mode they are read).

    What a step costs is measured in benchmarks/training.py. Within a larger jitted step XLA may fuse the update
    differently, which can show in the last digit of the new parameters; the updates are the same bit for bit.

    Args:
        optimizer: any optax transformation.
        path: the file, ``run.qedrec`` in the current folder by default. It is appended to; a run of its own is kept
            for each `init`.
        every: how many steps are kept on the device before they are written.
        curvature: whether the curvature along the step is recorded, which keeps one more copy of the parameters; by
            default up to a million of them.

    Returns:
        An `optax.GradientTransformationExtraArgs`; its `flush(state)` writes the last steps at the end of a run.

    Raises:
        QedError: QED005 where `optimizer` is no transformation, QED007 where `every` is not positive, QED000 where
            the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import jax, jax.numpy as jnp, optax, qed
        >>> file = os.path.join(tempfile.mkdtemp(), "run.qedrec")
        >>> tx, w = qed.watch(optax.sgd(0.1), path=file), jnp.ones(3)
        >>> state = tx.init(w)
        >>> for _ in range(20):
        ...     loss, slope = jax.value_and_grad(lambda w: jnp.sum(w**2))(w)
        ...     updates, state = tx.update(slope, state, w, value=loss)
        ...     w = optax.apply_updates(w, updates)
        >>> state = tx.flush(state)
        >>> qed.why(qed.Problem(recording=file)).verdict == "healthy"
        True
    """
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        because = f"a {type(optimizer).__name__} has no init and update"
        raise QedError("QED005", "this is no optimizer", because, "write qed.watch(optax.sgd(0.1))")
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise QedError("QED007", f"every={every!r} is no number of steps", "it is 1 or more", "leave it out: 100")
    file = _writable(Path(DEFAULT_PATH if path is None else path))
    inner = optax.with_extra_args_support(optimizer)
    writer, tokens = Writer(file, every), itertools.count()
    layouts: dict[int, tuple[Leaf, ...]] = {}

    def init(params: optax.Params) -> WatchState:
        token, leaves = next(tokens), _leaves(params)
        layouts[token] = layout = _layout(leaves)
        kept = sum(leaf.size for leaf in layout) <= KEPT if curvature is None else curvature
        width, rows = 1 + len(COLUMNS) + len(PER_LEAF) * len(leaves), max(1, every // _stride(layout))
        ring = Ring(
            counts=jnp.asarray([token, 0, 0, 0], jnp.int32),
            rows=jnp.full((rows, width), jnp.nan, jnp.float32),
            step=_start([x for _, x in leaves]) if kept else None,
            along=jnp.full((2,), jnp.nan, jnp.float32),
        )
        return WatchState(inner.init(params), ring)

    @partial(jax.jit, static_argnums=(0, 1))
    def row(stride: int, leaves: tuple[Leaf, ...], ring: Ring, step: Step, updates: list[Any]) -> Ring:
        return record(writer, stride, leaves, ring, step, lambda: updates)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        new, inner_state = inner.update(updates, state.inner, params, **extra)
        gradients, weights = _leaves(updates), dict(_leaves(params))
        leaves = _layout([(path, weights.get(path, x)) for path, x in gradients])
        _same_leaves(leaves, state.ring, len(_leaves(new)))
        layouts[_LATEST] = leaves
        step = Step([x for _, x in gradients], [weights.get(path) for path, _ in gradients], extra.get("value"))
        stride = _stride(leaves)
        if stride == 1 or all(concrete(x) for x in step.gradients):
            return new, WatchState(inner_state, row(stride, leaves, state.ring, step, _arrays(new)))

        def again() -> list[Any]:
            given, before, parameters, more = _still((updates, state.inner, params, extra))
            return _arrays(inner.update(given, before, parameters, **more)[0])

        return new, WatchState(inner_state, record(writer, stride, leaves, state.ring, step, again))

    watched = Watched(init, update)
    watched.path, watched._writer, watched._layouts = str(file), writer, layouts
    return watched


_LATEST = -1

EVERY_STEP = 1 << 13
"""Up to so many parameters a row is made at every step; beyond, one in so many steps that the mean cost stays there."""

LONGEST = 32
"""How many steps two rows are apart at most."""

KEPT = 1 << 20
"""Up to so many parameters the last step is kept for the curvature unless that is asked for."""


def _stride(leaves: tuple[Leaf, ...]) -> int:
    return min(LONGEST, -(-sum(leaf.size for leaf in leaves) // EVERY_STEP) or 1)


def _still(tree: Any) -> Any:
    """The same without derivatives."""
    return jax.tree.map(lambda x: lax.stop_gradient(x) if _is_numeric(x) else x, tree)


def _arrays(tree: Any) -> list[Any]:
    return [x for _, x in _leaves(tree)]


def _writable(path: Path) -> Path:
    path = path.expanduser().absolute()
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        because = f"{target} is a folder" if path.is_dir() else f"{target} cannot be written to, or does not exist"
        raise QedError("QED000", f"no recording can be written to {path.name}", because, "give path=a file")
    return path


def _dtype(x: Any) -> Any:
    return x.dtype if hasattr(x, "dtype") else jnp.result_type(x)


def _is_numeric(x: Any) -> bool:
    return isinstance(x, float | complex) or (hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact))


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of every leaf of floating-point or complex numbers."""
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path) or "parameters", x) for path, x in found if _is_numeric(x)]


def _layout(leaves: list[tuple[str, Any]]) -> tuple[Leaf, ...]:
    return tuple(Leaf(path, tuple(jnp.shape(x)), str(_dtype(x))) for path, x in leaves)


def _same_leaves(leaves: tuple[Leaf, ...], ring: Ring, updated: int) -> None:
    known = (ring.rows.shape[-1] - 1 - len(COLUMNS)) // len(PER_LEAF)
    if not len(leaves) == known == updated:
        because = f"init saw {known} arrays, the gradients hold {len(leaves)}, the updates {updated}"
        raise QedError("QED007", "gradients and parameters do not match", because, "init with what is differentiated")


def _start(arrays: list[Any]) -> Packed:
    """The step before the first: zeros."""
    return jax.tree.map(lambda x: jnp.zeros_like(x, dtype=_dtype(x)), Packing.of(arrays).pack(arrays))
