"""Rewritings inside loops and branches: a body is a graph like any other.

The body of a `scan` or a `while` and the branches of a `cond` are rewritten one by one, each once however often it is
called, and the loop runs what came out. The condition of a `while` stays as it is: it is a question about the program's
own numbers. A function with a derivative rule of the user's keeps the rule, its value is taken from the rewritten body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from qed.graph.build import Builder
from qed.graph.calls import Cond, Inline, Scan, While
from qed.graph.graph import Equation, Graph
from qed.graph.nodes import evaluator

Body = Callable[..., list[Any]]


def evaluated(equation: Equation, rewritten: Callable[[Graph], Body | None]) -> Callable[..., Any] | None:
    """A loop or branch with its bodies rewritten; None where nothing in them changes.

    Args:
        equation: any equation.
        rewritten: graph -> its rewritten function, or None where it stays as it is.
    """
    call = equation.call
    match call:
        case Scan():
            body = rewritten(call.body)
            return None if body is None else _flat(equation, _scan(call, equation, body))
        case While():
            body = rewritten(call.body)
            return None if body is None else _flat(equation, _while(call, body))
        case Cond():
            found = [rewritten(branch) for branch in call.branches]
            if all(body is None for body in found):
                return None
            bodies = [_function(g) if body is None else body for g, body in zip(call.branches, found, strict=True)]
            return _flat(equation, _cond(bodies, equation))
        case Inline() if equation.primitive == "custom_jvp_call" and call.graph.span is not None:
            body = rewritten(call.graph)
            return None if body is None else _flat(equation, _ruled(equation, body))
    return None


def _ruled(equation: Equation, body: Body) -> Callable[..., Sequence[Any]]:
    """A function with a rule of its own: the value of a body, the derivative of the equation."""
    original = evaluator(equation, {})

    def written(*values: Any) -> tuple[Any, ...]:
        outs = original(*values)
        return tuple(outs) if isinstance(outs, list | tuple) else (outs,)

    function = jax.custom_jvp(lambda *values: tuple(body(*values)))

    @function.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return function(*primals), jax.jvp(written, primals, tangents)[1]

    return function


def _flat(equation: Equation, run: Callable[..., Sequence[Any]]) -> Callable[..., Any]:
    """As an equation evaluates: a list of outputs, or the only one, in the dtypes of the graph."""

    def evaluate(*values: Any) -> Any:
        outs = [_as(out, v.dtype) for out, v in zip(run(*values), equation.outputs, strict=True)]
        return outs[0] if len(outs) == 1 else outs

    return evaluate


def _as(value: Any, dtype: Any) -> Any:
    return value if value.dtype == dtype else lax.convert_element_type(value, dtype)


def _scan(call: Scan, equation: Equation, function: Body) -> Callable[..., list[Any]]:
    split = call.constants + call.carry
    unroll = equation.params.get("unroll", 1)

    def run(*values: Any) -> list[Any]:
        fixed, start, sliced = values[: call.constants], values[call.constants : split], values[split:]

        def body(carry: Any, rows: Any) -> Any:
            outs = function(*fixed, *carry, *rows)
            return _like(outs[: call.carry], carry), outs[call.carry :]

        final, rows = lax.scan(body, _strong(start), list(sliced), call.length, call.reverse, unroll)
        return [*final, *rows]

    return run


def _while(call: While, function: Body) -> Callable[..., list[Any]]:
    first = call.condition_constants
    split = first + call.body_constants
    condition = _function(call.condition)

    def run(*values: Any) -> list[Any]:
        for_condition, fixed, start = values[:first], values[first:split], values[split:]
        return lax.while_loop(
            lambda carry: condition(*for_condition, *carry)[0],
            lambda carry: _like(function(*fixed, *carry), carry),
            _strong(start),
        )

    return run


def _cond(bodies: list[Body], equation: Equation) -> Callable[..., list[Any]]:
    dtypes = [variable.dtype for variable in equation.outputs]

    def branch(body: Body) -> Callable[..., tuple[Any, ...]]:
        return lambda *values: tuple(_as(jnp.asarray(out), d) for out, d in zip(body(*values), dtypes, strict=True))

    branches = [branch(body) for body in bodies]
    return lambda which, *values: list(lax.switch(jnp.asarray(which).astype("int32"), branches, *values))


def _strong(values: Sequence[Any]) -> list[Any]:
    """Without weak types, which a loop's carry may not change."""
    return [lax.convert_element_type(value, jnp.asarray(value).dtype) for value in values]


def _like(values: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
    return [_as(jnp.asarray(new), old.dtype) for new, old in zip(values, carry, strict=True)]


def _function(graph: Graph) -> Body:
    builder = Builder()
    inputs = builder.inputs(graph)
    return builder.function(builder.inline(graph, inputs), inputs)


__all__ = ["evaluated"]
