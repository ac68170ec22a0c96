"""Watching a training script from outside: which loss it differentiates, at which parameters, with which result.

Before the script's own imports, `jax.jit`, `jax.grad` and `jax.value_and_grad` are replaced by versions that do the
same and take notes. The notes are about *outermost* calls only: a gradient called with concrete arrays, or a
jitted function that differentiates something inside. What a jitted step hides (the loss is a closure over
tracers) is seen by `replay`: the same Python code is run once more with the same concrete arguments and jit
disabled around it, so that the loss is met with concrete arrays; the gradient itself is still compiled.

Buffers are not donated while a recorder is installed, since the arguments of a failing step must outlive it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import optax

from qed.graph.arguments import Arguments
from qed.graph.jaxpr import concrete
from qed.graph.size import bytes_of
from qed.graph.trace import Traced, trace
from qed.graph.untraceable import name_of
from qed.why.argnums import in_one
from qed.why.jitted import RecordedJit
from qed.why.modules import leave_modules, watch_imports
from qed.why.one_device import alone, recorded_shard_map
from qed.why.pullback import is_scalar, recorded_jvp, recorded_linearize, recorded_vjp
from qed.why.seen import Call, Differentiated, Updated, all_finite, scalars, sustained_rise, was_skipped

LARGE = 64 << 20
"""Bytes of arguments from which on a call is large: of its steps only the first and the failing one are kept."""

EVALUATIONS = 4
"""How many functions that are evaluated and not differentiated are looked at."""

PATIENCE = 30
"""How many steps in a row may be skipped because they are not finite."""

_FAILED = "the first non-finite number"

_GRADIENTS = ("grad", "value_and_grad", "jacrev", "jacfwd")
"""What differentiates; of a scalar function the Jacobian is the gradient."""


class StopTraining(BaseException):
    """Raised inside the script to end it; no `except Exception` of the script's can catch it."""


@dataclass(eq=False)
class Recorder:
    """Installs itself on `jax` and keeps the first calls, the last one, and the curve of the loss.

    Args:
        most: stop the script after this many steps; None to let it run.
        keep: how many of the first calls are kept whole.
        on_first: called when the first gradient has been seen.

    `curve` has the scalars that each finite step returned, `losses` the last of them, the likely loss while the script
    runs; `loss_curve` says afterwards which of them is the loss. `failed` is the first of the steps that were not
    finite, unless the script has gone on to finite ones (as it does when it scales its loss and skips a step whose
    gradient overflows): those are counted in `skipped`. `updates` are the first and `last_update` the last of the
    optimiser's with known numbers, until a step is not finite. `last_given` is what the last call was given, of small
    models.
    """

    most: int | None = None
    keep: int = 3
    on_first: Callable[[], None] | None = None
    first: list[Call] = field(default_factory=list)
    last: Call | None = None
    last_given: tuple[Any, Any] | None = None
    failed: Call | None = None
    failed_at: float | None = None
    skipped: int = 0
    losses: list[float] = field(default_factory=list)
    curve: list[tuple[float, ...]] = field(default_factory=list)
    steps: int = 0
    reason: str = ""
    depth: int = 0
    met_gradient: bool = False
    reverse: bool = False
    axes: tuple[Any, ...] = ()
    replaying: list[Differentiated] | None = None
    replayed_whole: bool = True
    large: bool = False
    donates: bool = False
    updates: list[Updated] = field(default_factory=list)
    last_update: Updated | None = None
    updating: int = 0
    nested: int = 0
    evaluations: dict[int, tuple[str, Traced] | None] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    saved: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Recorder:
        for name in ("jit", "pmap", "shard_map", "vjp", "jvp", "linearize", *_GRADIENTS):
            self.saved[name] = getattr(jax, name)
        jax.jit = self._jit  # type: ignore[assignment]
        jax.pmap = functools.partial(self._jit, _name="pmap")
        jax.vjp = recorded_vjp(self, jax.vjp)
        jax.linearize = recorded_linearize(self, jax.linearize)
        jax.jvp = recorded_jvp(self, jax.jvp)
        jax.shard_map = recorded_shard_map(self, jax.shard_map)
        for name in _GRADIENTS:
            setattr(jax, name, self._gradient(name))
        self.saved["optax"] = optax.GradientTransformation.__new__
        optax.GradientTransformation.__new__ = self._transformation  # type: ignore[method-assign]
        self.saved["accumulation"] = optax.MultiSteps.update
        optax.MultiSteps.update = self._accumulation(optax.MultiSteps.update)  # type: ignore[method-assign]
        watch_imports(self)
        return self

    def __exit__(self, *_: object) -> None:
        optax.GradientTransformation.__new__ = self.saved.pop("optax")  # type: ignore[method-assign]
        optax.MultiSteps.update = self.saved.pop("accumulation")  # type: ignore[method-assign]
        leave_modules(self)
        for name, value in self.saved.items():
            setattr(jax, name, value)
        self.saved.clear()

    @property
    def watching(self) -> bool:
        """Whether the recorder is installed, in the process that installed it: a forked worker goes its own way."""
        return bool(self.saved) and os.getpid() == self.process

    def original(self, name: str) -> Any:
        """What `jax` had under a name before the recorder came."""
        return self.saved[name] if self.saved else getattr(jax, name)

    @property
    def finite(self) -> bool:
        """Whether the last step seen was finite."""
        return self.failed is None

    # --- what replaces jax.jit and jax.pmap ---

    def inside(self, fun: Any, axes: tuple[Any, ...]) -> Callable[..., Any]:
        """The function with axes of size 1 bound, which what is noted inside of it then needs, too."""
        bound = alone(fun, axes)

        @functools.wraps(fun)
        def called(*args: Any, **kwargs: Any) -> Any:
            before, self.axes = self.axes, (*self.axes, *axes)
            try:
                return bound(*args, **kwargs)
            finally:
                self.axes = before

        return called

    def _jit(self, fun: Any = None, *axis: Any, _name: str = "jit", **options: Any) -> Any:
        options |= {"axis_name": axis[0]} if axis else {}
        if fun is None:
            return functools.partial(self._jit, _name=_name, **options)
        donated = [options.pop(name, None) for name in ("donate_argnums", "donate_argnames")]
        self.donates = self.donates or any(x not in (None, (), []) for x in donated)
        return RecordedJit(self, fun, options, _name)

    # --- what replaces jax.grad and jax.value_and_grad ---

    def _gradient(self, name: str) -> Callable[..., Any]:
        original = self.saved[name]

        @functools.wraps(original)
        def differentiate(fun: Any, argnums: Any = 0, has_aux: bool = False, **options: Any) -> Any:
            inner = original(fun, argnums=argnums, has_aux=has_aux, **options)

            @functools.wraps(fun)
            def called(*args: Any, **kwargs: Any) -> Any:
                if name.startswith("jac") and not is_scalar(fun, has_aux, args, kwargs):
                    return inner(*args, **kwargs)
                return self._differentiate(name, fun, inner, argnums, has_aux, args, kwargs)

            called.qed_returns = "value_and_grad" if name == "value_and_grad" else "grad"  # type: ignore[attr-defined]
            return called

        return differentiate

    def _differentiate(
        self, name: str, fun: Any, inner: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any
    ) -> Any:
        self.met_gradient = self.reverse = True
        if not self.watching:
            return inner(*args, **kwargs)
        fun = alone(fun, self.axes)
        known = all(concrete(leaf) for leaf in jax.tree.leaves((args, kwargs)))
        busy = self.nested or (self.depth and self.replaying is None)
        one = None if not known or busy else in_one(fun, argnums, args)
        if one is None:
            return inner(*args, **kwargs)
        fun, argnum, given = one
        self.weigh(args, kwargs)
        self.only_met(fun, argnum, has_aux, given, kwargs)
        note, value, gradient = self.evaluate(fun, argnum, has_aux, given, kwargs)
        if note is None:
            return inner(*args, **kwargs)
        self.keep_note(inner, note)
        gradient = gradient.values if isinstance(gradient, Arguments) else gradient
        if name == "value_and_grad":
            return value, gradient
        return (gradient, value[1]) if has_aux else gradient

    def only_met(self, fun: Any, argnum: int, has_aux: bool, args: Any, kwargs: Any) -> None:
        """End the replay of a large step known to be finite at its first loss: its gradient would take memory."""
        if self.replaying is not None and not self.replayed_whole:
            self.depth += 1
            try:
                with jax.disable_jit(False):
                    value = self._compiled(fun, args, kwargs)
            finally:
                self.depth -= 1
            value = float(value[0] if has_aux else value)
            self.replaying.append(Differentiated.met(fun, args, kwargs, argnum, has_aux, value))
            raise StopTraining

    def evaluate(
        self, fun: Any, argnum: int, has_aux: bool, args: Any, kwargs: Any
    ) -> tuple[Differentiated | None, Any, Any]:
        """Loss and gradient at concrete arrays; inside a replayed step they are compiled all the same."""
        self.depth += 1
        try:
            both = self.original("value_and_grad")(fun, argnums=argnum, has_aux=has_aux)
            with jax.disable_jit(False) if self.replaying is not None else contextlib.nullcontext():
                value, gradient = self._compiled(both, args, kwargs) if self.large else both(*args, **kwargs)
        finally:
            self.depth -= 1
        loss = value[0] if has_aux else value
        if not concrete(loss):
            return None, value, gradient
        note = Differentiated(fun, args, kwargs, argnum, has_aux, float(loss), gradient)
        return note.without_gradient() if self.large else note, value, gradient

    def _compiled(self, both: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """As one program where its arguments are arrays: equation by equation it would hold all values of the run."""
        leaves = jax.tree.leaves((args, kwargs))
        if not all(hasattr(leaf, "dtype") for leaf in leaves):
            return both(*args, **kwargs)
        try:
            return self.original("jit")(both)(*args, **kwargs)
        except (jax.errors.JAXTypeError, TypeError, ValueError):
            return both(*args, **kwargs)

    def keep_note(self, inner: Any, note: Differentiated | None) -> None:
        """Keep a note, if any: in the replay that asked for it, or as a step of its own."""
        if note is None:
            return
        self.met_gradient = True
        if self.replaying is not None:
            self.replaying.append(note)
            if not note.finite:
                raise StopTraining
        elif self.depth == 0:
            self._seen(note.finite)
            self._note(Call(self.steps, inner, note.args, note.kwargs, (note.value,), note.finite, (note,)))

    # --- what replaces the making of optax transformations ---

    def _transformation(self, cls: Any, init: Any, update: Any) -> Any:
        plain = self.saved["optax"](cls, init, update)

        @functools.wraps(update)
        def recorded(gradient: Any, state: Any, *rest: Any, **extra: Any) -> Any:
            return self._updated(plain, update, gradient, state, rest, extra)

        return self.saved["optax"](cls, init, recorded) if "optax" in self.saved else plain

    def _accumulation(self, update: Any) -> Any:
        @functools.wraps(update)
        def recorded(steps: Any, gradient: Any, state: Any, *rest: Any, **extra: Any) -> Any:
            plain = optax.GradientTransformation(steps.init, functools.partial(update, steps))
            return self._updated(plain, plain.update, gradient, state, rest, extra)

        return recorded

    def _updated(self, plain: Any, update: Any, gradient: Any, state: Any, rest: Any, extra: Any) -> Any:
        """An update of the script's, noted where it is an outermost one with concrete arrays."""
        self.updating += 1
        try:
            result = update(gradient, state, *rest, **extra)
        finally:
            self.updating -= 1
        parameters = rest[0] if rest else extra.get("params")
        arrays = jax.tree.leaves((gradient, state, parameters))
        outermost = self.watching and self.updating == 0 and not self.large and self.failed is None
        if outermost and all(concrete(leaf) for leaf in arrays):
            self.last_update = Updated(plain, gradient, state, parameters, result[0])
            self.updates += [self.last_update] if len(self.updates) < self.keep else []
        return result

    # --- notes ---

    def finished(self, target: RecordedJit, args: Any, kwargs: Any, result: Any) -> None:
        """Take a note of an outermost jitted call that differentiates something."""
        kind = getattr(target.fun, "qed_returns", "")
        losses = () if kind == "grad" else scalars(target.shown(result))
        if kind == "value_and_grad":
            losses = losses[:1]
        finite = all(math.isfinite(x) for x in losses) and all(all_finite(leaf) for leaf in jax.tree.leaves(result))
        self._seen(finite)
        call = Call(self.steps, target.entered or target.jitted, args, kwargs, losses, finite)
        self.weigh(args, kwargs)
        wanted = len(self.first) < self.kept if finite else self.failed is None
        self._note(replace(call, seen=tuple(self._replay(call))) if wanted and target.entered else call)

    def _seen(self, finite: bool) -> None:
        if not finite and self.failed is None:
            self.failed_at = time.monotonic()

    def weigh(self, args: Any, kwargs: Any) -> None:
        """Whether what a call is given is large."""
        if self.steps == 0 and not self.large:
            self.large = bytes_of(jax.tree.leaves((args, kwargs))) > LARGE

    @property
    def kept(self) -> int:
        """How many of the first calls are kept."""
        return 1 if self.large else self.keep

    def evaluated(self, target: RecordedJit, args: Any, kwargs: Any) -> None:
        """Keep the graph of a jitted function that differentiates nothing, called after training has begun."""
        rows = any(getattr(leaf, "ndim", 0) > 1 for leaf in jax.tree.leaves((args, kwargs)))
        if self.large or not rows or id(target) in self.evaluations or len(self.evaluations) >= EVALUATIONS:
            return
        self.depth += 1
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self.evaluations[id(target)] = (name_of(target.fun), trace(target.fun, *args, kwargs=kwargs))
        except Exception:  # it runs, and that is all that is asked of it here
            self.evaluations[id(target)] = None
        finally:
            self.depth -= 1

    def _note(self, call: Call) -> None:
        if self.failed is not None and not was_skipped(self.failed, call):
            self._stop(_FAILED)
        self.last_given = None if self.large else (call.args, call.kwargs)
        if call.finite or (call.seen and not (call.born_before_the_loss or call.born_after_the_loss)):
            call = replace(call, args=(), kwargs={})  # what is needed of them is in what was seen
        if call.finite and len(self.first) < self.kept:
            self.first.append(call)
        self.last = call
        self.steps += 1
        if self.steps == 1 and self.on_first is not None:
            self.on_first()
        self._judge(call)
        if call.losses and call.finite:
            self.curve.append(call.losses)
            self.losses.append(call.losses[-1])
        if self.most is not None and self.steps >= self.most:
            self._stop(f"--steps {self.most}")
        if sustained_rise(self.losses):
            self._stop("a sustained rise of the loss")

    def _judge(self, call: Call) -> None:
        """Keep the first of the steps that are not finite, until the script has overcome it, or has not for long."""
        if call.finite:
            self.skipped += 0 if self.failed is None else call.step - self.failed.step
            self.failed = None
        elif self.failed is None:
            self.failed = call
        elif call.step - self.failed.step >= PATIENCE:
            self._stop(_FAILED)

    def _stop(self, reason: str) -> None:
        self.reason = reason
        raise StopTraining

    def loss_curve(self, first: float) -> list[float]:
        """The scalar output that equals the known first loss, step by step; [] where no output does."""
        if not self.curve:
            return []
        for k, value in enumerate(self.curve[0]):
            if math.isclose(value, first, rel_tol=1e-3, abs_tol=1e-6):
                return [row[k] for row in self.curve if len(row) == len(self.curve[0])]
        return []

    def _replay(self, call: Call) -> list[Differentiated]:
        """Every gradient inside a call, met with concrete arrays; the list ends at the first non-finite one.

        This happens while the call is still on the stack, since libraries keep a context around their jitted
        functions; what the script prints in the meantime it has printed already.
        """
        self.replaying, self.replayed_whole = [], not (self.large and call.finite)
        found = self.replaying
        try:
            with jax.disable_jit(), contextlib.redirect_stdout(io.StringIO()):
                call.target(*call.args, **call.kwargs)
        except StopTraining:
            pass
        except Exception:  # the script's own call went well: what fails is its being run again
            self.axes = ()
        finally:
            self.replaying = None
        return found
