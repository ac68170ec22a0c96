"""Which values of a loop's body are homogeneous in its carry, and along which axes.

A function is homogeneous of degree d in c if f(s c) = s^d f(c) for all s > 0 (Euler). Products, quotients, sums of
values of one degree, matrix products, maxima, absolute values and roots keep degrees: a recursion c' = f(c) of degree
1, such as a product of factors or the forward recursion of a hidden Markov model, may be scaled at every step,

    c = m 2^e,      m' 2^-k = f(m),      e' = e + k,

with the sign in m, and never over- or underflows. One scale serves all elements that the body mixes; along the axes
that it keeps apart (a batch) each row has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qed.graph.build import Node, reachable
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import floating

Axes = tuple["int | None", ...]
"""Where each axis of the carry is in a value; None where its elements are mixed."""


@dataclass(frozen=True)
class Degree:
    """A value's degree in the carry, and where the carry's axes went.

    Args:
        power: the degree; 0 for what does not depend on the carry.
        axes: for each axis of the carry its axis in the value, or None.
    """

    power: float
    axes: Axes = ()


CONSTANT = Degree(0.0)


def degrees(inputs: Sequence[Node], outputs: Sequence[Node], carried: Sequence[int]) -> dict[int, Degree | None]:
    """The degree of every node that the outputs need in some of the inputs; None where there is none.

    Args:
        inputs: the inputs of a body.
        outputs: its outputs.
        carried: positions of the inputs that are scaled together.

    Example:
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> import numpy as np
        >>> builder, graph = Builder(), trace(lambda c, v: c * v, 1.0, np.float32(2.0)).graph
        >>> nodes = builder.inputs(graph)
        >>> (out,) = builder.inline(graph, nodes)
        >>> degrees(nodes, [out], [0])[out.number]
        Degree(power=1.0, axes=())
    """
    known: dict[int, Degree | None] = {}
    for position, node in enumerate(inputs):
        axes = tuple(range(len(node.shape)))
        known[node.number] = Degree(1.0, axes) if position in carried else CONSTANT
    for node in reachable(outputs):
        if node.number not in known:
            known[node.number] = _degree(node, [known[child.number] for child in node.children])
    return known


def _degree(node: Node, found: Sequence[Degree | None]) -> Degree | None:
    given = [degree for degree in found if degree is not None]
    if len(given) < len(found):
        return None
    if all(degree.power == 0 for degree in given):
        return CONSTANT
    if not floating(node.dtype):
        return None
    rule = _RULES.get(node.operation)
    return rule(node, given) if rule is not None else None


def _same(node: Node, given: Sequence[Degree]) -> Degree | None:
    """Sums and maxima: all operands of one degree; the number 0 is of every degree."""
    moving = [
        (degree, child)
        for degree, child in zip(given, node.children, strict=True)
        if not (degree.power == 0 and constant_of(child) == 0)
    ]
    powers = {degree.power for degree, _ in moving}
    if len(powers) != 1 or 0.0 in powers:
        return None
    return Degree(powers.pop(), _joined([degree.axes for degree, _ in moving]))


def _stacked(node: Node, given: Sequence[Degree]) -> Degree | None:
    """Values of one degree beside each other: no axis is kept apart."""
    found = _same(node, given)
    return None if found is None else Degree(found.power, (None,) * len(found.axes))


def _joined(axes: Sequence[Axes]) -> Axes:
    return tuple(places[0] if len(set(places)) == 1 else None for places in zip(*axes, strict=True))


def _product(node: Node, given: Sequence[Degree]) -> Degree | None:
    first, second = given
    sign = -1.0 if node.operation == "div" else 1.0
    axes = _joined([degree.axes for degree in given if degree.power])
    return Degree(first.power + sign * second.power, axes)


def _squares(node: Node, given: Sequence[Degree]) -> Degree | None:
    """x^2 - y^2, given with x - y and x + y."""
    found = _same(node, given)
    return None if found is None else Degree(2 * found.power, found.axes)


def _kept(node: Node, given: Sequence[Degree]) -> Degree | None:
    return given[0]


def _power(node: Node, given: Sequence[Degree]) -> Degree | None:
    power = {"sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3, "square": 2.0}.get(node.operation)
    if node.operation == "integer_pow":
        power = float(node.params["y"])
    if node.operation == "pow":
        power = constant_of(node.children[1]) if given[1].power == 0 else None
    return None if power is None else Degree(given[0].power * power, given[0].axes)


def _select(node: Node, given: Sequence[Degree]) -> Degree | None:
    if given[0].power:
        return None
    moving = [(d, c) for d, c in zip(given[1:], node.children[1:], strict=True) if d.power or constant_of(c) != 0]
    powers = {degree.power for degree, _ in moving}
    if len(powers) != 1 or 0.0 in powers:
        return None
    return Degree(powers.pop(), _joined([degree.axes for degree, _ in moving]))


def _reduced(node: Node, given: Sequence[Degree]) -> Degree | None:
    gone = set(node.params["axes"])
    kept = [axis for axis in range(len(node.children[0].shape)) if axis not in gone]
    return Degree(given[0].power, _moved(given[0].axes, {axis: i for i, axis in enumerate(kept)}))


def _moved(axes: Axes, places: dict[int, int]) -> Axes:
    return tuple(None if axis is None else places.get(axis) for axis in axes)


def _broadcast(node: Node, given: Sequence[Degree]) -> Degree | None:
    return Degree(given[0].power, _moved(given[0].axes, dict(enumerate(node.params["broadcast_dimensions"]))))


def _transposed(node: Node, given: Sequence[Degree]) -> Degree | None:
    return Degree(given[0].power, _moved(given[0].axes, {a: i for i, a in enumerate(node.params["permutation"])}))


def _reshaped(node: Node, given: Sequence[Degree]) -> Degree | None:
    """Axes of length 1 come and go; any other reshape mixes."""
    before, after = node.children[0].shape, node.shape
    old = [i for i, n in enumerate(before) if n != 1]
    new = [i for i, n in enumerate(after) if n != 1]
    if [before[i] for i in old] != [after[i] for i in new]:
        return Degree(given[0].power, (None,) * len(given[0].axes))
    return Degree(given[0].power, _moved(given[0].axes, dict(zip(old, new, strict=True))))


def _dot(node: Node, given: Sequence[Degree]) -> Degree | None:
    (contracted, batched) = node.params["dimension_numbers"]
    joined: list[Axes] = []
    offset = len(batched[0])
    for side, (degree, child) in enumerate(zip(given, node.children, strict=True)):
        batch, gone = tuple(batched[side]), set(contracted[side])
        free = [i for i in range(len(child.shape)) if i not in gone and i not in batch]
        places = {axis: i for i, axis in enumerate(batch)} | {axis: offset + i for i, axis in enumerate(free)}
        offset += len(free)
        if degree.power:
            joined.append(_moved(degree.axes, places))
    return Degree(sum(degree.power for degree in given), _joined(joined))


def _mixed(node: Node, given: Sequence[Degree]) -> Degree | None:
    """Elements change places: the array operand's degree, no axis kept apart."""
    if any(degree.power for degree in given[1:]):
        return None
    return Degree(given[0].power, (None,) * len(given[0].axes))


_RULES = {
    **dict.fromkeys(("add", "add_any", "sub", "max", "min", "concatenate"), _same),
    **dict.fromkeys(("mul", "div"), _product),
    **dict.fromkeys(("neg", "abs", "copy", "name", "convert_element_type", "reduce_precision"), _kept),
    **dict.fromkeys(("sqrt", "rsqrt", "cbrt", "square", "integer_pow", "pow"), _power),
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min"), _reduced),
    **dict.fromkeys(("slice", "rev", "gather", "dynamic_slice", "cumsum", "cummax", "cummin"), _mixed),
    "broadcast_in_dim": _broadcast,
    "difference_of_squares": _squares,
    "dot_general": _dot,
    "reshape": _reshaped,
    "select_n": _select,
    "squeeze": _reshaped,
    "stack": _stacked,
    "transpose": _transposed,
}


def factors(inputs: Sequence[Node], outputs: Sequence[Node], known: dict[int, Degree | None]) -> list[Node]:
    """What the carry is multiplied with: the operands of degree 0 of products of degree other than 0."""
    found: list[Node] = []
    for node in reachable(outputs):
        if node.operation not in ("mul", "div", "dot_general"):
            continue
        given = [known[child.number] for child in node.children]
        if any(degree is not None and degree.power for degree in given):
            found += [c for c, d in zip(node.children, given, strict=True) if d is not None and d.power == 0]
    return found


__all__ = ["CONSTANT", "Degree", "degrees", "factors"]
