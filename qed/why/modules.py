"""Watching gradients of modules: what replaces `nnx.grad` and `nnx.value_and_grad` once flax.nnx was imported.

A module is differentiated by its arrays. The loss is turned into one of a tree of arrays (`qed.bridges.flax`) and
evaluated beside the call, so that the note holds what other gradients' notes hold; the call itself is left as it is.
They are replaced as soon as flax.nnx is there, so that a script that compiles nothing is watched from its first step.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

import jax

from qed.bridges.flax import nnx_if_imported, pure_loss
from qed.graph.jaxpr import concrete
from qed.why.argnums import in_one

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


class AfterImport(MetaPathFinder):
    """Does something as soon as a module was imported.

    Args:
        name: of the module.
        action: what is done.
    """

    def __init__(self, name: str, action: Callable[[], Any]) -> None:
        self.name = name
        self.action = action

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """What the other finders find, with a loader that does it afterwards."""
        if fullname != self.name:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                self.action()

            spec.loader.exec_module = exec_module
        return spec


def watch_modules(recorder: Recorder) -> None:
    """Replace the gradients of flax.nnx, if it was imported and they are not replaced yet."""
    nnx = nnx_if_imported()
    if nnx is None or not recorder.saved or "nnx" in recorder.saved or not hasattr(nnx, "value_and_grad"):
        return
    recorder.saved["nnx"] = (nnx, nnx.grad, nnx.value_and_grad)
    nnx.grad = _gradient(recorder, nnx.grad)
    nnx.value_and_grad = _gradient(recorder, nnx.value_and_grad)


def watch_imports(recorder: Recorder) -> None:
    """Replace the gradients of flax.nnx now or as soon as it is imported."""
    watch_modules(recorder)
    recorder.saved["imports"] = AfterImport("flax.nnx", lambda: watch_modules(recorder))
    sys.meta_path.insert(0, recorder.saved["imports"])


def leave_modules(recorder: Recorder) -> None:
    """Put the gradients of flax.nnx back."""
    finder = recorder.saved.pop("imports")
    if finder in sys.meta_path:  # the script may have changed it
        sys.meta_path.remove(finder)
    if "nnx" in recorder.saved:
        nnx, nnx.grad, nnx.value_and_grad = recorder.saved.pop("nnx")


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
