"""Watching gradients of modules: what replaces `nnx.grad` and `nnx.value_and_grad` once flax.nnx was imported.

A module is differentiated by its arrays. The loss is turned into one of a tree of arrays (`qed.bridges.flax`) and
evaluated beside the call, so that the note holds what other gradients' notes hold; the call itself is left as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from qed.bridges.flax import nnx_if_imported, pure_loss
from qed.graph.jaxpr import concrete
from qed.why.argnums import in_one

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


def watch_modules(recorder: Recorder) -> None:
    """Replace the gradients of flax.nnx, if it was imported and they are not replaced yet."""
    nnx = nnx_if_imported()
    if nnx is None or "nnx" in recorder.saved or not hasattr(nnx, "value_and_grad"):
        return
    recorder.saved["nnx"] = (nnx, nnx.grad, nnx.value_and_grad)
    nnx.grad = _gradient(recorder, nnx.grad)
    nnx.value_and_grad = _gradient(recorder, nnx.value_and_grad)


def _gradient(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def differentiate(fun: Any, *, argnums: Any = 0, has_aux: bool = False, **options: Any) -> Any:
        inner = original(fun, argnums=argnums, has_aux=has_aux, **options)

        @functools.wraps(fun)
        def called(*args: Any, **kwargs: Any) -> Any:
            known = all(concrete(leaf) for leaf in jax.tree.leaves((args, kwargs)))
            noted = None
            outermost = recorder.replaying is not None or recorder.depth == 0
            if recorder.watching and known and outermost and (one := in_one(*pure_loss(fun, argnums, args))):
                pure, argnum, given = one
                recorder.only_met(pure, argnum, has_aux, given, kwargs)
                noted = recorder.evaluate(pure, argnum, has_aux, given, kwargs)[0]
            recorder.depth, recorder.nested = recorder.depth + 1, recorder.nested + 1
            try:
                result = inner(*args, **kwargs)
            finally:
                recorder.depth, recorder.nested = recorder.depth - 1, recorder.nested - 1
            recorder.met_gradient = True
            recorder.keep_note(inner, noted)
            return result

        return called

    return differentiate
