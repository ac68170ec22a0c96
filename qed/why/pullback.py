"""A gradient that a script takes by hand, with `jax.vjp`, `jax.linearize` or `jax.jvp`: that of a scalar is a row.

For a scalar f, ``f(x), pull = jax.vjp(f, x)`` and ``pull(1.0)`` is the gradient, since the pullback is the transpose of
the derivative, a row; at another cotangent it is that multiple of it. ``f(x), push = jax.linearize(f, x)`` gives the
same row as a function of directions, t -> f'(x) t, and ``jax.jvp(f, (x,), (t,))`` its value at one; what a script asks
of it may be any number of slopes, and its gradient is evaluated once beside it. The first argument is taken for the
parameters.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from qed.graph.dtypes import is_real
from qed.graph.jaxpr import concrete
from qed.why.one_device import alone
from qed.why.seen import Differentiated

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


def recorded_vjp(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vjp`, of which scalar functions at concrete arrays are noted when they are pulled back."""

    @functools.wraps(original)
    def vjp(fun: Any, *primals: Any, has_aux: bool = False, **options: Any) -> Any:
        busy = not recorder.watching or recorder.nested or (recorder.depth and recorder.replaying is None)
        known = all(concrete(leaf) for leaf in jax.tree.leaves(primals))
        recorder.reverse = recorder.reverse or not busy
        if busy or not known or not primals:
            result = original(fun, *primals, has_aux=has_aux, **options)
            recorder.met_gradient = recorder.met_gradient or _is_loss(result[0])
            recorder.reverse = recorder.reverse or recorder.met_gradient
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

        axes = recorder.axes

        def pulled(pull: Any, cotangent: Any) -> Any:
            gradients = pull(cotangent)
            if concrete(cotangent) and recorder.watching:
                scale = float(cotangent)
                found = gradients[0] if scale == 1.0 else jax.tree.map(lambda x: x / scale, gradients[0])
                note = Differentiated(alone(fun, axes), primals, {}, 0, has_aux, float(value), found)
                recorder.keep_note(fun, note.without_gradient() if recorder.large else note)
            return gradients

        return (value, jax.tree_util.Partial(pulled, pull), *aux)

    return vjp


def recorded_linearize(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.linearize`, of which scalar functions at concrete arrays are noted."""

    @functools.wraps(original)
    def linearize(fun: Any, *primals: Any, has_aux: bool = False, **options: Any) -> Any:
        busy = not recorder.watching or recorder.nested or (recorder.depth and recorder.replaying is None)
        scalar = bool(primals) and is_scalar(fun, has_aux, primals, {})
        recorder.met_gradient = recorder.met_gradient or scalar
        if not busy and scalar and all(concrete(leaf) for leaf in jax.tree.leaves(primals)):
            recorder.weigh(primals, {})
            recorder.keep_note(fun, recorder.evaluate(alone(fun, recorder.axes), 0, has_aux, primals, {})[0])
        return original(fun, *primals, has_aux=has_aux, **options)

    return linearize


def recorded_jvp(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jvp`, of which scalar functions are noted in a script that takes no gradient in any other way.

    Beside other gradients it is a derivative within the loss, or of what the loss gives.
    """

    @functools.wraps(original)
    def jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
        if recorder.watching and not recorder.reverse and not recorder.nested:
            scalar = bool(primals) and is_scalar(fun, has_aux, primals, {})
            if scalar and not recorder.reverse:
                recorder.met_gradient = True
                busy = recorder.depth and recorder.replaying is None
                if not busy and all(concrete(leaf) for leaf in jax.tree.leaves(primals)):
                    recorder.weigh(primals, {})
                    inner = alone(fun, recorder.axes)
                    recorder.keep_note(fun, recorder.evaluate(inner, 0, has_aux, tuple(primals), {})[0])
        return original(fun, primals, tangents, has_aux=has_aux)

    return jvp


def is_scalar(fun: Callable[..., Any], has_aux: bool, args: Any, kwargs: Any) -> bool:
    """Whether a function returns one floating-point number; False where it cannot be traced at these arguments."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value = jax.eval_shape(fun, *args, **kwargs)
        return _is_loss(value[0] if has_aux else value)
    except Exception:  # the script's own call meets it next, and raises it where it belongs
        return False


def _is_loss(value: Any) -> bool:
    return getattr(value, "shape", None) == () and is_real(value.dtype)
