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

What a loop is given, as the rows of a softmax, may be 0 to the last digit where the products of them are not: if it is
made of exponentials it is given by its logarithm.

Neither is tried where the body has effects. The original loop stays for whatever else is made of its values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


Logs = Mapping[int, tuple[Node, Node]]
"""Logarithms of operands of a body by their places, a large part and a small one."""


def logarithm(log: Logarithm, node: Node) -> Form | None:
    """The logarithm of one of a loop's results."""
    loop = Loop.of(node.children[0] if node.operation == "item" else node)
    if loop is None or not floating(node.dtype) or log.builder.effects:
        return None
    if isinstance(loop.call, While) and loop.call.condition_constants and _batched(loop):
        return None
    index = node.params["index"] if node.operation == "item" else 0
    logs = _of_exponentials(log, loop)
    found = factored(log, loop, index, logs)
    if found is None and logs:
        found = carried(log, loop, index, logs)
    if found is None:
        found = scaled(log, loop, index)
    return found if found is not None or logs else carried(log, loop, index, logs)


def _of_exponentials(log: Logarithm, loop: Loop) -> Logs:
    """The logarithms of what a loop is given that is made of exponentials, by their places among its operands."""
    found: dict[int, tuple[Node, Node]] = {}
    for position, outside in enumerate(loop.given):
        if loop.constants <= position < loop.constants + loop.carry or not floating(outside.dtype):
            continue
        form = log.gained(outside) if log.sign(outside) > Sign.UNKNOWN else None
        if form is not None and not form.fragile and {laws.EXP, laws.LOGISTIC} & set(form.laws):
            found[position] = log.algebra.split(form, outside)
    return found


def _given(loop: Loop, logs: Logs) -> list[Node]:
    """The operands of a loop, the large parts of logarithms in place of some of them; then the small parts."""
    children = list(loop.node.children)
    for position, (high, _) in logs.items():
        children[loop.before + position] = high
    return [*children, *(low for _, low in logs.values())]


def _paired(loop: Loop, logs: Logs, values: Sequence[Any]) -> list[Any]:
    """The values of the operands, a pair for what is given by its logarithm."""
    count = len(loop.node.children)
    found = list(values[:count])
    for position, low in zip(logs, values[count : count + len(logs)], strict=True):
        found[loop.before + position] = found[loop.before + position], low
    return found


def _parted(given: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Operands and large parts of logarithms; and the small parts."""
    pairs = [each for each in given if isinstance(each, tuple)]
    return [each[0] if isinstance(each, tuple) else each for each in given], [low for _, low in pairs]


def _batched(loop: Loop) -> bool:
    return loop.call.condition.outputs[0].shape != ()


# --- factors --------------------------------------------------------------------------------------------------


def factored(log: Logarithm, loop: Loop, index: int, logs: Logs) -> Form | None:
    """log of the start plus the logs of the factors, where every step multiplies."""
    if not isinstance(loop.call, Scan) or index >= loop.carry or not loop.call.length:
        return None
    step = _Step.read(log, loop, set(), {}, logs)
    if step is None:
        return None
    found = _factors(step.outputs[index], step.inputs[loop.constants + index])
    if not found:
        return None
    start = loop.start[index]
    forms = [(power, step.log.plain(node)) for node, power in found]
    known = all(step.positive(node) for node, _ in found) and not any(f.fragile for _, f in forms)
    if known and any(form.gained for _, form in forms) and log.sign(start) > Sign.UNKNOWN:
        total = linear(start.shape, *forms)
        rows = _rows(log, loop, step, step.log.whole(total, start), index, logs)
        first = log.plain(start)
        added = Form((Term(log.emit(stable.SUM, rows, shape=start.shape, axes=(0,))),), start.shape)
        return replace(linear(start.shape, (1.0, first), (1.0, added), law=laws.FACTORS), gained=True)
    product = step.log.algebra.number(1.0, start)
    for node, power in found:
        product = step.builder.emit(stable.MUL if power > 0 else stable.DIV, product, node)
    rows = _rows(log, loop, step, step.log.algebra.filled(product, start.shape), index, logs)
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
        if node.operation == "convert_element_type" and inside and inside[0].dtype == node.dtype:  # weak types
            node = inside[0]
            continue
        if len(inside) != 1 or node.operation not in ("mul", "div") or inside[0].shape != node.shape:
            return []
        other = node.children[1] if node.children[0] is inside[0] else node.children[0]
        if node.operation == "div" and other is not node.children[1]:
            return []
        found.append((other, 1.0 if node.operation == "mul" else -1.0))
        node = inside[0]
    return found


def _rows(log: Logarithm, loop: Loop, step: _Step, row: Node, index: int, logs: Logs) -> Node:
    """A value of the body, stacked over the steps."""
    function = step.builder.function([*step.outputs[: loop.carry], row], [*step.inputs, *step.lows])
    first = loop.before + loop.constants

    def evaluate(*values: Any, of: int) -> Any:
        given = _paired(loop, logs, values)
        start = [jnp.asarray(v) for v in given[first : first + loop.carry]]

        def body(fixed: Any, carry: Any, sliced: Any) -> Any:
            (constants, more), (rows, others) = _parted(fixed), _parted(sliced)
            outs = function(*constants, *carry, *rows, *more, *others)
            return [o.astype(s.dtype) for o, s in zip(outs, carry, strict=False)], outs[-1]

        return loop.run(body, start, given, lambda carry: carry)[1]

    shape = (loop.call.length, *row.shape)
    operation = Operation("factors", evaluate, whole=True)
    return log.emit(operation, *_given(loop, logs), shape=shape, dtype=row.dtype, of=key_of(loop, index))


# --- logarithms -----------------------------------------------------------------------------------------------


def carried(log: Logarithm, loop: Loop, index: int, logs: Logs) -> Form | None:
    """The logarithm, carried."""
    signs = {i: log.sign(node) for i, node in enumerate(loop.start) if floating(node.dtype)}
    slots = {i for i, sign in signs.items() if sign > Sign.UNKNOWN and not _fragile(log, loop.start[i])}
    if not slots or (index < loop.carry and index not in slots):
        return None
    for _ in range(2 * loop.carry + 2):
        step = _Step.read(log, loop, slots, signs, logs)
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
    used = reachable(step.outputs)
    if not any(node.operation in EXPONENTIALS and node.equation for node in used) and not step.exponentials & set(used):
        return None
    out = log.builder.item(loop.node, index)
    log.sign.know(out, min([step.log.sign(step.outputs[index]), *(signs[i] for i in slots if i == index)]))
    return _carried_form(log, loop, index, sorted(slots), step, logs)


def _fragile(log: Logarithm, node: Node) -> bool:
    form = log.gained(node)
    return form.fragile if form is not None else log.sign(node) < Sign.BOUNDED and log.sign.varies(node)


@dataclass(frozen=True, eq=False)
class _Step:
    """The body at a carry whose chosen parts are exp(l); `rests` are the second parts of l, in order of the slots.

    What is given by its logarithm, and not itself, is an exponential, too; `lows` are the second parts of those.
    """

    builder: Builder
    log: Logarithm
    inputs: list[Node]
    outputs: list[Node]
    rests: list[Node]
    lows: list[Node]
    exponentials: frozenset[Node]

    @classmethod
    def read(cls, log: Logarithm, loop: Loop, slots: set[int], signs: dict[int, Sign], logs: Logs) -> _Step | None:
        builder = Builder()
        inner = type(log)(builder)
        inputs = builder.inputs(loop.body)
        values, rests, lows = list(inputs), [], []
        for position, (node, outside) in enumerate(zip(inputs, loop.given, strict=True)):
            slot = position - loop.constants
            if slot in slots:
                rests.append(builder.free(node.shape, node.dtype))
                whole = builder.emit(stable.ADD, node, rests[-1])
                values[position] = builder.emit(stable.EXP, whole)
                known = Form((Term(whole, 1.0, node, rests[-1]),), node.shape, laws=(laws.EXP,))
                inner.know(values[position], known)
                inner.sign.know(values[position], signs[slot])
            elif position in logs:
                lows.append(builder.free(node.shape, node.dtype))
                whole = builder.emit(stable.ADD, node, lows[-1])
                values[position] = builder.emit(stable.EXP, whole)
                inner.know(values[position], Form((Term(whole, 1.0, node, lows[-1]),), node.shape, laws=(laws.EXP,)))
                inner.sign.know(values[position], Sign.POSITIVE)
            elif not 0 <= slot < loop.carry:
                inner.sign.know(node, log.sign(outside), log.sign.varies(outside))
        outputs = builder.inline(loop.body, values)
        exponentials = frozenset(values[position] for position in logs)
        return None if builder.effects else cls(builder, inner, inputs, outputs, rests, lows, exponentials)

    def positive(self, node: Node) -> bool:
        """Whether a factor is known not to be negative, as 1 - p of a sigmoid p is not."""
        if self.log.sign(node) > Sign.UNKNOWN:
            return True
        form = self.log.gained(node.children[1]) if node.operation == "sub" else None
        of_sigmoid = form is not None and [(t.coefficient, t.node.operation) for t in form.terms] == [(-1, "softplus")]
        return of_sigmoid and constant_of(node.children[0]) == 1

    def usable(self, node: Node) -> bool:
        """Whether the logarithm of an output is known, and has a derivative."""
        form = self.log.gained(node)
        return form is not None and not form.fragile


def _carried_form(log: Logarithm, loop: Loop, index: int, slots: list[int], step: _Step, given_logs: Logs) -> Form:
    forms = {i: step.log.plain(step.outputs[i]) for i in {*slots, index}}
    parts = {i: step.log.algebra.split(form, step.outputs[i]) for i, form in forms.items()}
    state = [parts[i][0] if i in slots else step.outputs[i] for i in range(loop.carry)]
    small = [parts[i][1] for i in slots]
    rows = list(parts[index]) if index >= loop.carry else []
    function = step.builder.function([*state, *small, *rows], [*step.inputs, *step.lows, *step.rests])
    starts = [log.algebra.split(log.plain(loop.start[i]), loop.start[i]) for i in slots]
    first = loop.before + loop.constants

    def evaluate(*values: Any, of: int) -> Any:
        given, logs = _paired(loop, given_logs, values), values[-2 * len(slots) :]
        start = [jnp.asarray(v) for v in given[first : first + loop.carry]]
        for i, value in zip(slots, logs[: len(slots)], strict=True):
            start[i] = value

        def body(fixed: Any, carry: Any, sliced: Any) -> Any:
            (constants, more), (rows, others) = _parted(fixed), _parted(sliced)
            outs = function(*constants, *carry[0], *rows, *more, *others, *carry[1])
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
    pair = log.emit(
        operation, *_given(loop, given_logs), *logs, shape=out.shape, dtype=out.dtype, of=key_of(loop, index)
    )
    high, low = (log.emit(part(k), pair, shape=out.shape, dtype=out.dtype) for k in (0, 1))
    form = Form((Term(log.emit(stable.ADD, high, low), 1.0, high, low),), out.shape)
    used = [law for inner in forms.values() for law in inner.laws]
    return replace(form, laws=tuple(dict.fromkeys((laws.CARRY, *used))))


__all__ = ["logarithm"]
