"""Backpropagation made visible: `qed.backprop(fun, x, *args)`.

The program is run once, equation by equation, and walked back once (backpropagation/sweep.py). What comes of it is told
four times: as the user's lines (a worked example with numbers where the program is small), by layer, by what the
chain of factors does to the gradient, and by what it costs. Beside it stand the questions that belong to it: whether
the adjoints are what `jax.grad` computes, where a NaN of the gradient is born, and how the error of a derivative rule
propagates.

Reference: Linnainmaa (1970), *The representation of the cumulative rounding error of an algorithm as a Taylor expansion
of the local rounding errors*; Rumelhart, Hinton and Williams (1986), *Learning representations by back-propagating
errors*; Griewank and Walther (2008), *Evaluating Derivatives*.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing, Reason, Standing
from qed.calculus.backpropagation import listing, nonfinite, reach, rules, told
from qed.calculus.backpropagation.chains import chains
from qed.calculus.backpropagation.layers import structure
from qed.calculus.backpropagation.observed import Observed, difference, observe
from qed.calculus.backpropagation.sweep import Sweep, lines, parameters, sweep
from qed.calculus.backpropagation.tape import Operations, Parameter, Tape, quantity
from qed.calculus.backpropagation.worked import is_small
from qed.domains.backward import LARGEST_TAPE
from qed.domains.cost import Count, count
from qed.graph.dtypes import as_wide, is_inexact, unit_roundoff
from qed.graph.function import Function, read
from qed.graph.jaxpr import concrete
from qed.graph.walk import TooLong, Unknown

LONGEST = 50_000
"""How many executed equations are told one by one; that takes minutes."""


def backprop(fun: Callable[..., Any], x: Any, *args: Any) -> Answer[Tape]:
    """Walk back through ``fun(x, *args)`` and show every step: the tape of reverse-mode differentiation at x.

    Args:
        fun: returns one real number.
        x: any pytree with floating-point leaves; derivatives are taken in them.
        args: data, held constant.

    Returns:
        The claim "the adjoints equal jax.grad", MEASURED (predicted: the sweep; observed: the compiled gradient), with
        a `Tape` as value: ``answer.gradient`` has the structure of x, ``answer.lines`` one line an executed
        equation with value, local derivatives and adjoint, ``answer.layers`` and ``answer.chains`` the same by layer,
        ``answer.rules`` the user's derivative rules that differ from their bodies, and ``answer.operations`` the
        counted cost. UNKNOWN where a rule is missing, where the tape would not fit into memory, or under tracing.

    Raises:
        QedError: QED002 (no scalar), QED003 (integer or complex parameters), QED004 (empty), QED006 (NaN or inf in x),
            QED007 (the call failed), QED010 (not traceable).

    Example:
        >>> import jax.numpy as jnp
        >>> def f(x):
        ...     y = x**2
        ...     return y * jnp.sin(y)
        >>> answer = backprop(f, 2.0)
        >>> str(answer.standing), [(line.text, round(line.adjoint.number, 3)) for line in answer.lines]
        ('MEASURED', [('x**2', -3.371), ('sin(y)', 4.0), ('y * v1', 1.0)])
        >>> round(float(answer.gradient), 2)
        -13.49
    """
    begun = time.monotonic()
    if not all(concrete(leaf) for leaf in jax.tree.leaves((x, args))):
        return _traced(fun)
    function = read(fun, x, *args)
    predicted = count(function.graph, function.traced.free)
    if predicted.bytes > LARGEST_TAPE or predicted.equations > LONGEST:
        return _too_large(function, x, predicted, None)
    try:
        done = sweep(function)
    except TooLong as error:
        return _too_large(function, x, predicted, error)
    lost = done.lost()
    if lost is not None:
        return _no_rule(function, lost)
    return _answer(fun, x, args, done, predicted, begun)


def _answer(
    fun: Callable[..., Any], x: Any, args: Sequence[Any], done: Sweep, predicted: Count, begun: float
) -> Answer[Tape]:
    function = done.function
    seen = observe(function, done.gradient)
    known, found = structure(done)
    compared = rules.compare(done)
    tape = Tape(
        value=np.asarray(as_wide(done.value)).item(),
        gradient=rebuilt(x, done.gradient),
        lines=lines(done),
        layers=tuple(each.layer for each in found),
        chains=chains(done, known, found),
        parameters=parameters(done),
        rules=compared.rules,
        operations=_operations(function, predicted, seen),
        bytes=sum(getattr(cell.values[0], "nbytes", 0) for entry in done.tape.entries for cell in entry.outputs),
    )
    roundoff = _roundoff(done)
    reaches = [reach.judge(chain, tape.layers, roundoff) for chain in tape.chains]
    if is_small(tape.lines):  # the worked example shows each factor; only what goes wrong is said again
        reaches = [each for each in reaches if each.kind != "reaches"]
    agreement = _agreement(done, seen, roundoff)
    bad = nonfinite.answers(done)
    parts = [
        *bad,
        *([] if bad else [reach.answer(reaches, tape.layers, function.dtype)]),
        told.rules_answer(tape, compared.calls, compared.unknown, function.dtype),
        agreement,
        told.cost_answer(tape.operations, function.name, function.dtype),
    ]
    answers = tuple(part for part in parts if part is not None)
    return Answer(
        agreement.claim,
        agreement.standing,
        tape,
        arithmetic=function.dtype,
        reasons=told.reasons(tape, function.name),
        findings=tuple(finding for part in answers for finding in part.findings),
        missing=agreement.missing,
        headline=told.headline(tape, function.name, bad, reaches, agreement),
        subject=told.subject(function),
        answers=answers,
        meta={"seconds": round(time.monotonic() - begun, 2)},
        recheck=lambda: backprop(fun, x, *args),
    )


def _roundoff(done: Sweep) -> float:
    """The coarsest rounding of any value on the way of the gradient."""
    dtypes = {str(cell.dtype): cell.dtype for entry in done.entries for cell in entry.outputs if cell.active}
    kept = [unit_roundoff(dtype) for dtype in dtypes.values() if is_inexact(dtype)]
    return max(kept, default=unit_roundoff(done.tape.outputs[0].dtype))


def rebuilt(x: Any, gradient: Sequence[Any]) -> Any:
    """The gradient as a pytree like x; None where a leaf is no floating-point array."""
    from qed.graph.trace import is_float

    leaves, tree = jax.tree.flatten(x)
    arrays = iter(gradient)
    return jax.tree.unflatten(tree, [next(arrays) if is_float(leaf) else None for leaf in leaves])


# --- the adjoints beside jax.grad -----------------------------------------------------------------------------


def _agreement(done: Sweep, seen: Observed, roundoff: float) -> Answer[None]:
    """Whether sweep and compiled gradient agree to half the digits of the arithmetic."""
    off, arithmetic = difference(seen, done.gradient), done.function.dtype
    if off is None:
        claim = "the adjoints equal jax.grad"
        none = Missing(f"jax.grad of {done.function.name}: {seen.failure}", settle="a function that JAX can derive")
        return Answer(claim, Standing.UNKNOWN, missing=(none,), arithmetic=arithmetic)
    within = roundoff**0.5
    if seen.gradient is not None:
        claim, method = f"the adjoints equal jax.grad (relative difference {off:.1e})", "the compiled jax.grad"
        pair: tuple[Any, Any] = _norm(done.gradient), _norm(seen.gradient)
        missing: tuple[Missing, ...] = ()
    else:
        mine, theirs, _ = seen.along or (0.0, 0.0, 1.0)
        claim = f"the adjoints give the derivative along a random direction (relative difference {off:.1e}, seed 0)"
        method, pair = "one compiled forward product, jax.jvp", (mine, theirs)
        missing = (Missing("jax.grad, which has no reverse rule here", settle=seen.failure),)
    reason = Reason(
        "one reverse sweep, equation by equation, beside " + method,
        formula="u' = sum of v' . dv/du over the values v made of u",
        predicted=pair[0],
        observed=pair[1],
        standing=Standing.MEASURED,
        text=f"|gradient| by the tape {pair[0]:.6g}, by {method} {pair[1]:.6g}",
    )
    if not off <= within:
        text = f"the compiled gradient differs by {off:.1e}, more than rounding to half the digits ({within:.1e})"
        lost = Missing(text, settle="float64, or jax.disable_jit(): the program may depend on how it is compiled")
        return Answer(
            "the adjoints equal jax.grad", Standing.UNKNOWN, missing=(lost,), reasons=(reason,), arithmetic=arithmetic
        )
    return Answer(claim, Standing.MEASURED, reasons=(reason,), missing=missing, arithmetic=arithmetic)


def _norm(arrays: Sequence[Any]) -> float:
    kept = [quantity(array).norm for array in arrays]
    return float(np.sqrt(sum(np.square(kept))))


def _operations(function: Function, predicted: Count, seen: Observed | None) -> Operations:
    once = count(function.graph, function.traced.free, loops_once=True)
    return Operations(
        n=function.size,
        function=predicted.value,
        sweep=predicted.sweep,
        function_once=once.value,
        sweep_once=once.sweep,
        observed=None if seen is None else seen.operations,
        uncounted=tuple(sorted(predicted.uncounted)),
        open_loops=predicted.open_loops,
    )


# --- what cannot be told --------------------------------------------------------------------------------------


def _traced(fun: Callable[..., Any]) -> Answer[Tape]:
    name = getattr(fun, "__name__", "fun")
    missing = Missing("the numbers: this runs inside jit, vmap or grad", settle=f"call qed.backprop({name}, x) outside")
    return Answer("the adjoints equal jax.grad", Standing.UNKNOWN, missing=(missing,), headline="Nothing to walk back.")


def _too_large(function: Function, x: Any, predicted: Count, error: TooLong | None) -> Answer[Tape]:
    """Only the gradient, by the compiled jax.grad, and what the tape would take."""
    seen = observe(function, []) if error is None else None
    gradient = None if seen is None else seen.gradient
    rows = zip(function.paths, function.parameters, gradient or (), strict=False)
    tape = Tape(
        value=None if gradient is None or seen is None else np.asarray(as_wide(seen.value)).item(),
        gradient=None if gradient is None else rebuilt(x, gradient),
        lines=(),
        layers=(),
        chains=(),
        parameters=tuple(Parameter(path, quantity(value), quantity(slope)) for path, value, slope in rows),
        rules=(),
        operations=_operations(function, predicted, seen),
        bytes=predicted.bytes,
    )
    takes = f"{predicted.equations:,} equations, {2 * predicted.bytes / 2**30:.3g} GiB with the adjoints"
    text = f"the tape of {function.name} is too long to be told: {takes if error is None else error}"
    missing = Missing(
        "the tape, equation by equation", settle="fewer rows of data, or fewer steps of the loop", cost=takes
    )
    cost = told.cost_answer(tape.operations, function.name, function.dtype)
    reasons = [Reason("the compiled jax.grad", role="params", text=listing.parameter_table(tape.parameters))]
    return Answer(
        "the adjoints equal jax.grad",
        Standing.UNKNOWN,
        tape,
        arithmetic=function.dtype,
        reasons=tuple(reasons) if tape.parameters else (),
        missing=(missing,),
        headline=text[0].upper() + text[1:] + ".",
        subject=told.subject(function),
        answers=() if cost is None else (cost,),
    )


def _no_rule(function: Function, lost: Unknown) -> Answer[Tape]:
    missing = Missing(
        f"the derivative of {lost.primitive}",
        settle=f"a rule for {lost.primitive} in the domain {lost.domain}",
        code="QED020",
        primitive=lost.primitive,
        span=lost.span,
    )
    return Answer(
        "the adjoints equal jax.grad",
        Standing.UNKNOWN,
        arithmetic=function.dtype,
        missing=(missing,),
        headline=f"The sweep stops at {lost.primitive}: {lost}.",
        subject=told.subject(function),
    )
