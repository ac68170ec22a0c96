"""Series through scan, while and cond of traced arrays: the loop stays a loop, its carry becomes a series.

The body maps the coefficients of the carry to coefficients; which of them are zero must be the same before and after
a step. The pattern of non-zero coefficients is therefore enlarged until the body keeps it, which takes at most as many
rounds as there are coefficients (the least fixed point, as for tangents in forward mode). A condition or an index
of a branch is decided by the leading coefficients; a while loop ends when the program's own does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.calls import Cond, Scan, While
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Graph
from qed.graph.jaxpr import concrete, evaluate
from qed.graph.tape import Context, Frame, Unknown

if TYPE_CHECKING:
    from qed.domains.taylor import Series, Taylor

Pattern = tuple[bool, ...] | Unknown
"""Which coefficients are there; or what is not known of the value."""


def expand(domain: Taylor, xs: Sequence[Any], context: Context) -> Sequence[Any]:
    """The series of the outputs of a loop or branch."""
    call = context.equation.call
    match call:
        case Scan():
            return _scan(domain, call, xs, context)
        case While():
            return _while(domain, call, xs, context)
        case Cond():
            return _cond(domain, call, xs, context)
    raise TypeError(call)


def _pattern(value: Any) -> Pattern:
    return value if isinstance(value, Unknown) else tuple(term is not None for term in value.terms)


def _union(first: Pattern, second: Pattern) -> Pattern:
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return second
    return tuple(a or b for a, b in zip(first, second, strict=True))


def _pack(domain: Taylor, value: Any, pattern: Pattern, atom: Atom) -> list[Any]:
    """The coefficients of a pattern as arrays, zeros made where the pattern asks for them."""
    if isinstance(pattern, Unknown):
        return []
    numbers = domain.numbers
    terms = [
        numbers.zeros(atom) if term is None else term for term, there in zip(value.terms, pattern, strict=True) if there
    ]
    return [term if is_extended(atom.dtype) else numbers.shaped(term, atom) for term in terms]


def _unpack(domain: Taylor, arrays: Sequence[Any], pattern: Pattern) -> Any:
    if isinstance(pattern, Unknown):
        return pattern
    rest = iter(arrays)
    from qed.domains.taylor import Series

    return Series(tuple(next(rest) if there else None for there in pattern))


def _walk(domain: Taylor, graph: Graph, values: Sequence[Any], context: Context) -> list[Any]:
    return domain.walk(graph, values, Frame(graph, context.frame, context.equation))


def _stable(run: Callable[[Sequence[Pattern]], Sequence[Pattern]], patterns: Sequence[Pattern]) -> list[Pattern]:
    """The least patterns above the given ones that the body keeps."""
    patterns = list(patterns)
    while True:
        after = [_union(a, b) for a, b in zip(patterns, run(patterns), strict=True)]
        if all(isinstance(a, Unknown) or a == b for a, b in zip(after, patterns, strict=True)):
            return after
        patterns = after


def _scan(domain: Taylor, call: Scan, xs: Sequence[Any], context: Context) -> Sequence[Any]:
    constants = xs[: call.constants]
    carry, rows = xs[call.constants : call.constants + call.carry], xs[call.constants + call.carry :]
    row_patterns = [_pattern(row) for row in rows]
    row_arrays = [[] if isinstance(r, Unknown) else [term for term in r.terms if term is not None] for r in rows]
    carry_atoms, y_atoms = call.body.outputs[: call.carry], call.body.outputs[call.carry :]
    seen: dict[str, list[Pattern]] = {}

    def step(patterns: Sequence[Pattern], goal: Sequence[Pattern] | None, c: Any, x: Any) -> tuple[Any, Any]:
        state = [_unpack(domain, arrays, p) for arrays, p in zip(c, patterns, strict=True)]
        sliced = [_unpack(domain, arrays, p) for arrays, p in zip(x, row_patterns, strict=True)]
        outs = _walk(domain, call.body, [*constants, *state, *sliced], context)
        after, ys = outs[: call.carry], outs[call.carry :]
        seen["carry"], seen["ys"] = [_pattern(v) for v in after], [_pattern(v) for v in ys]
        kept = seen["carry"] if goal is None else goal
        return (
            [_pack(domain, v, p, a) for v, p, a in zip(after, kept, carry_atoms, strict=True)],
            [_pack(domain, v, _pattern(v), a) for v, a in zip(ys, y_atoms, strict=True)],
        )

    def started(patterns: Sequence[Pattern]) -> list[Any]:
        return [_pack(domain, v, p, a) for v, p, a in zip(carry, patterns, carry_atoms, strict=True)]

    def run(patterns: Sequence[Pattern]) -> list[Pattern]:
        one = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape[1:], array.dtype), row_arrays)
        jax.eval_shape(lambda c, x: step(patterns, None, c, x), started(patterns), one)
        return seen["carry"]

    patterns = _stable(run, [_pattern(value) for value in carry])
    last, ys = jax.lax.scan(
        lambda c, x: step(patterns, patterns, c, x),
        started(patterns),
        row_arrays,
        length=call.length,
        reverse=call.reverse,
    )
    return [
        *(_unpack(domain, arrays, p) for arrays, p in zip(last, patterns, strict=True)),
        *(_unpack(domain, arrays, p) for arrays, p in zip(ys, seen["ys"], strict=True)),
    ]


def _while(domain: Taylor, call: While, xs: Sequence[Any], context: Context) -> Sequence[Any]:
    split, after = call.condition_constants, call.condition_constants + call.body_constants
    for_condition, for_body, carry = xs[:split], xs[split:after], xs[after:]
    lost = next((x for x in xs if isinstance(x, Unknown)), None)
    if lost is not None:
        return (lost,) * len(carry)
    atoms = call.body.outputs
    seen: list[Pattern] = []

    def decided(state: Sequence[Series]) -> Any:
        return evaluate(call.condition, [x.leading for x in (*for_condition, *state)])[0]

    def step(patterns: Sequence[Pattern], goal: Sequence[Pattern] | None, c: Any) -> Any:
        state = [_unpack(domain, arrays, p) for arrays, p in zip(c, patterns, strict=True)]
        outs = _walk(domain, call.body, [*for_body, *state], context)
        seen[:] = [_pattern(value) for value in outs]
        packed = [_pack(domain, v, p, a) for v, p, a in zip(outs, goal or seen, atoms, strict=True)]
        mask = decided(state)
        if goal is None or not mask.shape:
            return packed
        return jax.tree.map(lambda new, old: jnp.where(_wide(mask, new), new, old), packed, c)

    def started(patterns: Sequence[Pattern]) -> list[Any]:
        return [_pack(domain, v, p, a) for v, p, a in zip(carry, patterns, atoms, strict=True)]

    def run(patterns: Sequence[Pattern]) -> list[Pattern]:
        jax.eval_shape(lambda c: step(patterns, None, c), started(patterns))
        return list(seen)

    patterns = _stable(run, [_pattern(value) for value in carry])
    lost = next((p for p in patterns if isinstance(p, Unknown)), None)
    if lost is not None:
        return (lost,) * len(carry)

    def goes_on(c: Any) -> Any:
        return jnp.any(decided([_unpack(domain, arrays, p) for arrays, p in zip(c, patterns, strict=True)]))

    last = jax.lax.while_loop(goes_on, lambda c: step(patterns, patterns, c), started(patterns))
    return [_unpack(domain, arrays, p) for arrays, p in zip(last, patterns, strict=True)]


def _wide(mask: Any, like: Any) -> Any:
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))


def _cond(domain: Taylor, call: Cond, xs: Sequence[Any], context: Context) -> Sequence[Any]:
    index, *operands = xs
    if isinstance(index, Unknown):
        return (index,) * len(context.equation.outputs)
    if concrete(index.leading):
        chosen = domain.choose(index, len(call.branches))
        graph = call.branches[chosen or 0]
        return domain.walk(graph, operands, Frame(graph, context.frame, context.equation, branch=chosen))
    patterns = [_pattern(x) for x in operands]
    arrays = [[] if isinstance(x, Unknown) else [term for term in x.terms if term is not None] for x in operands]
    atoms = context.equation.outputs
    found: list[list[Pattern]] = []

    def branch(i: int, goal: Sequence[Pattern] | None) -> Callable[[Any], Any]:
        def run(given: Any) -> Any:
            values = [_unpack(domain, a, p) for a, p in zip(given, patterns, strict=True)]
            graph = call.branches[i]
            outs = domain.walk(graph, values, Frame(graph, context.frame, context.equation, branch=i))
            if goal is None:
                found.append([_pattern(value) for value in outs])
                return []
            return [_pack(domain, v, p, a) for v, p, a in zip(outs, goal, atoms, strict=True)]

        return run

    for i in range(len(call.branches)):
        jax.eval_shape(branch(i, None), arrays)
    goal = found[0]
    for other in found[1:]:
        goal = [_union(a, b) for a, b in zip(goal, other, strict=True)]
    outs = jax.lax.switch(index.leading, [branch(i, goal) for i in range(len(call.branches))], arrays)
    return [_unpack(domain, a, p) for a, p in zip(outs, goal, strict=True)]
