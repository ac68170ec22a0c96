"""What stands in for a jitted function while a script is watched: the same, and it reports its outermost calls.

Whether a function differentiates anything is seen while it is traced, by whoever traces it: the versions of `jax.grad`
and its like that are installed meanwhile raise a flag.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from qed.graph.jaxpr import concrete
from qed.why.one_device import entered_pmap

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


class RecordedJit:
    """A jitted function that reports its outermost calls; all else is the jitted function's own.

    `entered` is its body, to be run once more with concrete arrays; None for a `jax.pmap` over several devices.
    """

    def __init__(self, recorder: Recorder, fun: Callable[..., Any], options: dict[str, Any], name: str = "jit") -> None:
        self.recorder = recorder
        self.fun = fun
        self.maps = name == "pmap"
        self.entered = entered_pmap(recorder, fun, options) if self.maps else fun
        self.differentiates = False

        @functools.wraps(fun)
        def body(*args: Any, **kwargs: Any) -> Any:  # runs when the function is traced, by whoever it is
            before, recorder.met_gradient = recorder.met_gradient, False
            try:
                return fun(*args, **kwargs)
            finally:
                self.differentiates = self.differentiates or recorder.met_gradient
                recorder.met_gradient = recorder.met_gradient or before

        self.jitted = recorder.original(name)(body, **options)
        functools.update_wrapper(self, fun, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the jitted function; an outermost call that differentiates something is noted."""
        recorder = self.recorder
        outer = recorder.depth == 0 and recorder.replaying is None
        if not outer or not all(concrete(leaf) for leaf in jax.tree.leaves((args, kwargs))):
            result = self.jitted(*args, **kwargs)
            recorder.met_gradient = recorder.met_gradient or self.differentiates
            return result
        recorder.depth += 1
        try:
            result = self.jitted(*args, **kwargs)
        finally:
            recorder.depth -= 1
        if self.differentiates and recorder.watching:
            recorder.finished(self, args, kwargs, result)
        elif recorder.watching and recorder.steps:
            recorder.evaluated(self, args, kwargs)
        return result

    def shown(self, result: Any) -> Any:
        """A result, or the first device's part of it: their losses are averaged, or of one kind."""
        return jax.tree.map(lambda x: x[0], result) if self.maps and self.entered is not None else result

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jitted, name)
