"""A gradient that a script takes with `jax.vjp`: the pullback of a scalar at the cotangent 1.

For a scalar f, ``f(x), pull = jax.vjp(f, x)`` and ``pull(1.0)`` is the gradient, since the pullback is the transpose of
the derivative, a row; at another cotangent it is that multiple of it. The first argument is taken for the parameters.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from qed.graph.dtypes import is_real
from qed.graph.jaxpr import concrete
from qed.why.seen import Differentiated

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


def recorded_vjp(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vjp`, of which scalar functions at concrete arrays are noted when they are pulled back."""

    @functools.wraps(original)
    def vjp(fun: Any, *primals: Any, has_aux: bool = False, **options: Any) -> Any:
        busy = not recorder.watching or recorder.nested or (recorder.depth and recorder.replaying is None)
        known = all(concrete(leaf) for leaf in jax.tree.leaves(primals))
        if busy or not known or not primals:
            result = original(fun, *primals, has_aux=has_aux, **options)
            recorder.met_gradient = recorder.met_gradient or _is_loss(result[0])
            return result
        recorder.weigh(primals, {})
        recorder.depth += 1
        try:
            with jax.disable_jit(False) if recorder.replaying is not None else contextlib.nullcontext():
                value, pull, *aux = original(fun, *primals, has_aux=has_aux, **options)
        finally:
            recorder.depth -= 1
        if not _is_loss(value) or not concrete(value):
            return (value, pull, *aux)

        def pulled(pull: Any, cotangent: Any) -> Any:
            gradients = pull(cotangent)
            if concrete(cotangent) and recorder.watching:
                scale = float(cotangent)
                found = gradients[0] if scale == 1.0 else jax.tree.map(lambda x: x / scale, gradients[0])
                note = Differentiated(fun, primals, {}, 0, has_aux, float(value), found)
                recorder.keep_note(fun, note.without_gradient() if recorder.large else note)
            return gradients

        return (value, jax.tree_util.Partial(pulled, pull), *aux)

    return vjp


def _is_loss(value: Any) -> bool:
    return getattr(value, "shape", None) == () and is_real(value.dtype)
