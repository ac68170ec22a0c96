"""The logarithm of what a loop accumulates: the carry becomes a scaled number, or a logarithm.

A product of a thousand probabilities underflows inside the loop, long before its logarithm is taken. Three
recursions are read:

*Factors*. Where each step of a scan multiplies the carry by a factor that does not depend on it, the logarithm is that
of the start plus the sum of those of the factors.

*Scaled*. Where the body is homogeneous of degree 1 in the carry, the carry is kept as m 2^e
(`qed.numerics.rewriting.scaled_loops`).

*Logarithm*. Where the body multiplies by exponentials, or adds them up, and the graph shows the carry to be positive,
the logarithm itself is carried: l' = log f(exp l) by the rules of the logarithm. A rounded l would cost log2 |l| bits
of exp l, so it is carried in two parts, a shift and a small rest: those of a log-sum-exp, the running maximum and the
logarithm of a sum in [1, n] (Milakov and Gimelshein, *Online normalizer calculation for softmax*, 2018), or a rounded
sum and what its rounding left out.

Neither is tried where the body has effects. The original loop stays for whatever else is made of its values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from qed.graph.build import Builder, Node, Operation, reachable
from qed.graph.calls import Scan, While
from qed.numerics.rewriting import laws, stable
from qed.numerics.rewriting.forms import Form, Term, linear
from qed.numerics.rewriting.log_product import LOG_PRODUCT
from qed.numerics.rewriting.loops import EXPONENTIALS, Loop, key_of, part
from qed.numerics.rewriting.scaled_loops import scaled
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign, floating

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def logarithm(log: Logarithm, node: Node) -> Form | None:
    """The logarithm of one of a loop's results."""
    loop = Loop.of(node.children[0] if node.operation == "item" else node)
    if loop is None or not floating(node.dtype) or log.builder.effects:
        return None
    if isinstance(loop.call, While) and loop.call.condition_constants and _batched(loop):
        return None
    index = node.params["index"] if node.operation == "item" else 0
    for rule in (factored, scaled, carried):
        found = rule(log, loop, index)
        if found is not None:
            return found
    return None


def _batched(loop: Loop) -> bool:
    return loop.call.condition.outputs[0].shape != ()


# --- factors --------------------------------------------------------------------------------------------------


def factored(log: Logarithm, loop: Loop, index: int) -> Form | None:
    """log of the start plus the logs of the factors, where every step multiplies."""
    if not isinstance(loop.call, Scan) or index >= loop.carry or not loop.call.length:
        return None
    step = _Step.read(log, loop, set(), {})
    if step is None:
        return None
    found = _factors(step.outputs[index], step.inputs[loop.constants + index])
    if not found:
        return None
    start = loop.start[index]
    forms = [(power, step.log.plain(node)) for node, power in found]
    known = all(step.log.sign(node) > Sign.UNKNOWN for node, _ in found) and not any(f.fragile for _, f in forms)
    if known and any(form.gained for _, form in forms) and log.sign(start) > Sign.UNKNOWN:
        total = linear(start.shape, *forms)
        rows = _rows(log, loop, step, step.log.whole(total, start), index)
        first = log.plain(start)
        added = Form((Term(log.emit(stable.SUM, rows, shape=start.shape, axes=(0,))),), start.shape)
        return replace(linear(start.shape, (1.0, first), (1.0, added), law=laws.FACTORS), gained=True)
    product = step.log.algebra.number(1.0, start)
    for node, power in found:
        product = step.builder.emit(stable.MUL if power > 0 else stable.DIV, product, node)
    rows = _rows(log, loop, step, step.log.algebra.filled(product, start.shape), index)
    if constant_of(start) != 1.0:
        rows = log.emit(_PREPEND, start, rows, shape=(rows.shape[0] + 1, *start.shape))
    value = log.emit(LOG_PRODUCT, rows, shape=start.shape, axes=(0,))
    return Form((Term(value),), start.shape, laws=(laws.FACTORS, laws.SIGNED_PROD))


_PREPEND = Operation("prepend", lambda first, rows: jnp.concatenate([first[None], rows]))


def _factors(node: Node, carry: Node) -> list[tuple[Node, float]]:
    """(factor, 1 or -1) with node = carry times all factors to these powers, none of which depends on the carry."""
    depends = {carry.number}
    for each in reachable([node]):
        if any(child.number in depends for child in each.children):
            depends.add(each.number)
    found: list[tuple[Node, float]] = []
    while node is not carry:
        inside = [child for child in node.children if child.number in depends]
        if len(inside) != 1 or node.operation not in ("mul", "div") or inside[0].shape != node.shape:
            return []
        other = node.children[1] if node.children[0] is inside[0] else node.children[0]
        if node.operation == "div" and other is not node.children[1]:
            return []
        found.append((other, 1.0 if node.operation == "mul" else -1.0))
        node = inside[0]
    return found


def _rows(log: Logarithm, loop: Loop, step: _Step, row: Node, index: int) -> Node:
    """A value of the body, stacked over the steps."""
    function = step.builder.function([*step.outputs[: loop.carry], row], step.inputs)
    first = loop.before + loop.constants

    def evaluate(*values: Any, of: int) -> Any:
        start = [jnp.asarray(v) for v in values[first : first + loop.carry]]

        def body(fixed: Any, carry: Any, sliced: Any) -> Any:
            outs = function(*fixed, *carry, *sliced)
            return [o.astype(s.dtype) for o, s in zip(outs, carry, strict=False)], outs[-1]

        return loop.run(body, start, values, lambda carry: carry)[1]

    shape = (loop.call.length, *row.shape)
    operation = Operation("factors", evaluate, whole=True)
    return log.emit(operation, *loop.node.children, shape=shape, dtype=row.dtype, of=key_of(loop, index))


# --- logarithms -----------------------------------------------------------------------------------------------


def carried(log: Logarithm, loop: Loop, index: int) -> Form | None:
    """The logarithm, carried."""
    signs = {i: log.sign(node) for i, node in enumerate(loop.start) if floating(node.dtype)}
    slots = {i for i, sign in signs.items() if sign > Sign.UNKNOWN and not _fragile(log, loop.start[i])}
    if not slots or (index < loop.carry and index not in slots):
        return None
    for _ in range(2 * loop.carry + 2):
        step = _Step.read(log, loop, slots, signs)
        if step is None:
            return None
        lower = {i: min(signs[i], step.log.sign(step.outputs[i])) for i in slots}
        if any(lower[i] != signs[i] for i in slots):
            signs |= lower
            slots = {i for i in slots if signs[i] > Sign.UNKNOWN}
            continue
        kept = {i for i in slots if step.usable(step.outputs[i])}
        if kept == slots:
            break
        slots = kept
    if not slots or (index < loop.carry and index not in slots) or not step.usable(step.outputs[index]):
        return None
    if not any(node.operation in EXPONENTIALS and node.equation for node in reachable(step.outputs)):
        return None
    out = log.builder.item(loop.node, index)
    log.sign.know(out, min([step.log.sign(step.outputs[index]), *(signs[i] for i in slots if i == index)]))
    return _carried_form(log, loop, index, sorted(slots), step)


def _fragile(log: Logarithm, node: Node) -> bool:
    return log.sign(node) < Sign.BOUNDED and log.sign.varies(node)


@dataclass(frozen=True, eq=False)
class _Step:
    """The body at a carry whose chosen parts are exp(l); `rests` are the second parts of l, in order of the slots."""

    builder: Builder
    log: Logarithm
    inputs: list[Node]
    outputs: list[Node]
    rests: list[Node]

    @classmethod
    def read(cls, log: Logarithm, loop: Loop, slots: set[int], signs: dict[int, Sign]) -> _Step | None:
        builder = Builder()
        inner = type(log)(builder)
        inputs = builder.inputs(loop.body)
        values, rests = list(inputs), []
        for position, (node, outside) in enumerate(zip(inputs, loop.given, strict=True)):
            slot = position - loop.constants
            if slot in slots:
                rests.append(builder.free(node.shape, node.dtype))
                whole = builder.emit(stable.ADD, node, rests[-1])
                values[position] = builder.emit(stable.EXP, whole)
                known = Form((Term(whole, 1.0, node, rests[-1]),), node.shape, laws=(laws.EXP,))
                inner.know(values[position], known)
                inner.sign.know(values[position], signs[slot])
            elif not 0 <= slot < loop.carry:
                inner.sign.know(node, log.sign(outside), log.sign.varies(outside))
        outputs = builder.inline(loop.body, values)
        return None if builder.effects else cls(builder, inner, inputs, outputs, rests)

    def usable(self, node: Node) -> bool:
        """Whether the logarithm of an output is known, and has a derivative."""
        form = self.log.gained(node)
        return form is not None and not form.fragile


def _carried_form(log: Logarithm, loop: Loop, index: int, slots: list[int], step: _Step) -> Form:
    forms = {i: step.log.plain(step.outputs[i]) for i in {*slots, index}}
    parts = {i: step.log.algebra.split(form, step.outputs[i]) for i, form in forms.items()}
    state = [parts[i][0] if i in slots else step.outputs[i] for i in range(loop.carry)]
    small = [parts[i][1] for i in slots]
    rows = list(parts[index]) if index >= loop.carry else []
    function = step.builder.function([*state, *small, *rows], [*step.inputs, *step.rests])
    starts = [log.algebra.split(log.plain(loop.start[i]), loop.start[i]) for i in slots]
    first = loop.before + loop.constants

    def evaluate(*values: Any, of: int) -> Any:
        given, logs = values[: -2 * len(slots)], values[-2 * len(slots) :]
        start = [jnp.asarray(v) for v in given[first : first + loop.carry]]
        for i, value in zip(slots, logs[: len(slots)], strict=True):
            start[i] = value

        def body(fixed: Any, carry: Any, sliced: Any) -> Any:
            outs = function(*fixed, *carry[0], *sliced, *carry[1])
            old = [*carry[0], *carry[1]]
            new = [o.astype(s.dtype) for o, s in zip(outs[: len(old)], old, strict=True)]
            return (new[: loop.carry], new[loop.carry :]), outs[len(old) :]

        def original(carry: Any) -> list[Any]:
            rests = dict(zip(slots, carry[1], strict=True))
            return [jnp.exp(c + rests[i]) if i in rests else c for i, c in enumerate(carry[0])]

        final, stacked = loop.run(body, (start, list(logs[len(slots) :])), given, original)
        return (final[0][index], final[1][slots.index(index)]) if index < loop.carry else tuple(stacked)

    out = loop.node.equation.outputs[index] if loop.node.equation is not None else None
    assert out is not None
    operation = Operation("log_loop", evaluate, whole=True)
    logs = [*(high for high, _ in starts), *(low for _, low in starts)]
    pair = log.emit(operation, *loop.node.children, *logs, shape=out.shape, dtype=out.dtype, of=key_of(loop, index))
    high, low = (log.emit(part(k), pair, shape=out.shape, dtype=out.dtype) for k in (0, 1))
    form = Form((Term(log.emit(stable.ADD, high, low), 1.0, high, low),), out.shape)
    used = [law for inner in forms.values() for law in inner.laws]
    return replace(form, laws=tuple(dict.fromkeys((laws.CARRY, *used))))


__all__ = ["logarithm"]
