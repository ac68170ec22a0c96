"""The carry of a loop as a scaled number m 2^e, where the body is homogeneous of degree 1 in it.

With 1/2 <= max |m| < 1 after every step nothing overflows or vanishes; powers of two are exact, so no digit changes as
long as the original keeps its digits, and the sign is that of m. log c = log m + e log 2. This is Rabiner's scaling of
the forward recursion (*A tutorial on hidden Markov models*, 1989, section V.A); what is homogeneous is read by
`qed.numerics.rewriting.homogeneous`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax import lax

from qed.graph.build import Builder, Node, Operation, reachable
from qed.numerics.rewriting import laws, stable
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent, power_of_two_of
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.homogeneous import Degree, degrees, factors
from qed.numerics.rewriting.loops import EXPONENTIALS, Loop, key_of, part
from qed.numerics.rewriting.signs import floating

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

LOG_2 = 0.6931471805599453


def scaled(log: Logarithm, loop: Loop, index: int) -> Form | None:
    """log m + e log 2, where the body is homogeneous in the carry."""
    builder = Builder()
    inputs = builder.inputs(loop.body)
    outputs = builder.inline(loop.body, inputs)
    if builder.effects:
        return None
    floats = [i for i in range(loop.carry) if floating(loop.start[i].dtype)]
    for slots in _together(index, floats, loop):
        known = degrees(inputs, outputs, [loop.constants + i for i in slots])
        found = [known[outputs[i].number] for i in slots]
        wanted = known[outputs[index].number]
        if any(degree is None or degree.power != 1.0 for degree in found) or wanted is None or wanted.power == 0:
            continue
        used = [outputs[i] for i in slots]
        if _exponential(factors(inputs, used, known), builder) or not _other_slots(known, outputs, slots, loop):
            continue
        if not factors(inputs, used, known):
            continue
        return _scaled_form(log, loop, index, slots, [d for d in found if d is not None], wanted, builder.function)(
            outputs, inputs
        )
    return None


def _together(index: int, floats: list[int], loop: Loop) -> list[list[int]]:
    """Which parts of the carry are tried to be scaled together."""
    ones = [[index]] if index in floats else [[i] for i in floats]
    shapes = {loop.start[i].shape for i in floats}
    return [*ones, *([floats] if len(floats) > 1 and len(shapes) == 1 else [])]


def _other_slots(known: dict[int, Degree | None], outputs: list[Node], slots: list[int], loop: Loop) -> bool:
    """Whether no other part of the carry depends on what is scaled."""
    rest = [i for i in range(loop.carry) if i not in slots]
    return all((degree := known[outputs[i].number]) is not None and degree.power == 0 for i in rest)


def _exponential(nodes: list[Node], builder: Builder) -> bool:
    """Whether a factor may overflow by itself: then the logarithm is carried."""
    return any(node.operation in EXPONENTIALS for node in reachable(nodes))


def _scaled_form(
    log: Logarithm,
    loop: Loop,
    index: int,
    slots: list[int],
    found: list[Degree],
    wanted: Degree,
    function: Callable[..., Callable[..., list[Any]]],
) -> Callable[[list[Node], list[Node]], Form | None]:
    def form(outputs: list[Node], inputs: list[Node]) -> Form | None:
        body = function(outputs, inputs)
        shape = loop.start[slots[0]].shape
        mixed = tuple(a for a in range(len(shape)) if any(d.axes[a] != a for d in found))
        out = loop.node.equation.outputs[index] if loop.node.equation is not None else None
        assert out is not None
        row = index >= loop.carry
        lead = 1 if row else 0
        kept = [a for a in range(len(shape)) if a not in mixed and shape[a] != 1]
        places = [wanted.axes[a] if row else a for a in kept]
        if any(p is None for p in places) or places != sorted(p for p in places if p is not None):
            return None
        at = [int(p) + lead for p in places if p is not None]

        def evaluate(*values: Any, of: int) -> tuple[Any, Any]:
            return _run_scaled(loop, body, slots, mixed, values, index, (out.shape, at))

        pair = log.emit(
            Operation("scaled_loop", evaluate, whole=True), *loop.node.children, shape=(), of=key_of(loop, index)
        )
        m = log.emit(part(0), pair, shape=out.shape, dtype=out.dtype)
        e = log.emit(part(1), pair, shape=out.shape, dtype=out.dtype)
        terms = (Term(log.emit(stable.LOG, m)), Term(e, wanted.power * LOG_2))
        return Form(terms, out.shape, laws=(laws.SCALED,))

    return form


def _run_scaled(
    loop: Loop,
    function: Callable[..., list[Any]],
    slots: list[int],
    mixed: tuple[int, ...],
    values: Sequence[Any],
    index: int,
    out: tuple[tuple[int, ...], list[int]],
) -> tuple[Any, Any]:
    first = loop.before + loop.constants
    start = [jnp.asarray(v) for v in values[first : first + loop.carry]]
    scale = jnp.zeros([1 if a in mixed else n for a, n in enumerate(start[slots[0]].shape)], start[slots[0]].dtype)
    start, scale = _normalised(start, scale, slots, mixed)

    def body(fixed: Any, carry: Any, rows: Any) -> Any:
        state, e = carry
        outs = function(*fixed, *state, *rows)
        new = [o.astype(s.dtype) for o, s in zip(outs[: loop.carry], state, strict=True)]
        return _normalised(new, e, slots, mixed), (outs[index] if index >= loop.carry else None, e)

    def original(carry: Any) -> list[Any]:
        state, e = carry
        return [s * jnp.exp2(e) if i in slots else s for i, s in enumerate(state)]

    (state, e), rows = loop.run(body, (start, scale), values, original)
    m = state[index] if index < loop.carry else rows[0]
    exponents = e if index < loop.carry else rows[1]
    lead = 0 if index < loop.carry else 1
    dropped = tuple(a + lead for a, n in enumerate(scale.shape) if n == 1)
    exponents = jnp.squeeze(exponents, dropped)
    shape, at = out
    return m, lax.stop_gradient(lax.broadcast_in_dim(exponents, shape, tuple(range(lead)) + tuple(at)))


def _normalised(state: list[Any], e: Any, slots: list[int], mixed: tuple[int, ...]) -> tuple[list[Any], Any]:
    """The parts of the carry divided by one power of two, which does not see derivatives."""
    size = jnp.abs(state[slots[0]])
    for i in slots[1:]:
        size = jnp.maximum(size, jnp.abs(state[i]))
    top = lax.stop_gradient(jnp.max(size, axis=mixed, keepdims=True) if mixed else size)
    usable = (top > 0) & jnp.isfinite(top)
    k = mantissa_and_exponent(jnp.where(usable, top, 1).astype(top.dtype))[1] * usable
    limit = jnp.finfo(top.dtype).maxexp - 2
    factor = power_of_two_of(-jnp.clip(k, -limit, limit), top.dtype)
    new = [s * factor if i in slots else s for i, s in enumerate(state)]
    return new, lax.stop_gradient(e + jnp.clip(k, -limit, limit).astype(e.dtype))
