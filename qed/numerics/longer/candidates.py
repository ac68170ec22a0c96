"""Which differences of a rewritten graph can still cancel, as far as its operations tell.

A difference a - b loses log2(max(|a|, |b|) / |a - b|) bits of what was rounded in a and b. It loses none

- where neither is rounded by more than sums and scalings of inputs (``x - mean(x)``): such sums are written on purpose;
- where both have one sign and are added, or their ranges lie apart, |a| and |b| within 4/3 of each other nowhere.

A square of 16-bit numbers (`is_short_square`) leaves their range where they do not: from 256 on in float16, and below
2^-7 it has no more all of its digits. What a loop adds may cancel in any step: the whole loop is named. A function that
is steep beside a regular point, such as the logarithm near 1 (`STEEP`), does the same to a rounded operand. Ranges are
those of fact cards and of interval arithmetic, the inputs being anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from qed import facts
from qed.graph.build import Builder, Node, reachable
from qed.graph.calls import Scan
from qed.graph.dtypes import is_real
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES

Range = tuple[float, float]
ANYTHING: Range = (-math.inf, math.inf)
SUMS = ("add", "add_any", "sub")
STEEP = {"acos": 1, "acosh": 1, "asin": 1, "atanh": 1, "erf_inv": 1, "log": 1, "one_minus_square": 1, "pow": 2}
"""What multiplies a relative error beside a regular point of its, and how many operands it has."""
_SAME = MOVES | {"convert_element_type", "gather", "reduce_max", "reduce_min", "sort", "cummax", "cummin"}
_JOINED = frozenset(["concatenate", "stack", "pad", "max", "min", "clamp"])


class Rounded(IntEnum):
    """What rounded a value: nothing; sums and scalings of inputs; more than that."""

    NOT = 0
    LINEARLY = 1
    COMPUTED = 2


def candidates(outputs: Sequence[Node]) -> list[Node]:
    """The differences below some outputs that can cancel, and the steep functions of rounded numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> def found(fun):
        ...     builder, graph = Builder(), trace(fun, 1.0).graph
        ...     return candidates(builder.inline(graph, builder.inputs(graph)))
        >>> [len(found(f)) for f in (lambda x: jnp.exp(x) - x, lambda x: 2 - jnp.sin(x), lambda x: (x + 1) - x)]
        [1, 0, 0]
    """
    rounded, ranges = Walk(_rounded), Walk(_range)
    found = []
    for node in reachable(outputs):
        if not is_real(node.dtype):
            continue
        steep = len(node.children) == STEEP.get(node.operation) and rounded(node.children[0]) > Rounded.NOT
        if steep or is_short_square(node) or _cancels(node, rounded, ranges):
            found.append(node)
    return found


def is_short_square(node: Node) -> bool:
    """Whether a node is a square, or a higher power, of 16-bit numbers."""
    if not is_real(node.dtype) or np.dtype(node.dtype).itemsize > 2:
        return False
    if node.operation == "mul":
        return node.children[0] is node.children[1]
    return node.operation == "square" or (node.operation == "integer_pow" and node.params.get("y", 2) >= 2)


def _sums_inside(node: Node, loop: Scan, ranges: Walk) -> bool:
    """Whether a loop adds numbers that were rounded in its steps, and that may cancel.

    A carry that begins at 0 or above and stays there, is not negative.
    """
    builder = Builder()
    given = builder.inputs(loop.body)
    outputs = builder.inline(loop.body, given)
    carried, after = given[loop.constants : loop.constants + loop.carry], outputs[: loop.carry]
    starts = [ranges(child)[0] >= 0 for child in node.children[loop.constants : loop.constants + loop.carry]]
    inside, rounded = Walk(_range), Walk(_rounded)
    for _ in range(len(starts) + 1):
        inside = Walk(_range)
        inside.known |= {v.number: (0.0, math.inf) for v, positive in zip(carried, starts, strict=True) if positive}
        stays = [positive and inside(v)[0] >= 0 for v, positive in zip(after, starts, strict=True)]
        if stays == starts:
            break
        starts = stays
    if any(rounded(v) is Rounded.COMPUTED for v in after):
        rounded = Walk(_rounded)
        rounded.known |= {v.number: Rounded.COMPUTED for v in carried}
    return any(_cancels(each, rounded, inside) for each in reachable(outputs) if is_real(each.dtype))


def _cancels(node: Node, rounded: Walk, ranges: Walk) -> bool:
    """Whether a node is a sum or difference of rounded numbers that may cancel, or a loop in which they may."""
    call = node.equation.call if node.equation is not None else None
    if isinstance(call, Scan):
        return _sums_inside(node, call, ranges)
    if node.operation not in SUMS or len(node.children) != 2 or max(map(rounded, node.children)) < Rounded.COMPUTED:
        return False
    a, b = map(ranges, node.children)
    return not _apart(a, b if node.operation == "sub" else _negated(b))


class Walk:
    """A function of nodes, by that of their children, each computed once."""

    def __init__(self, rule: Callable[[Node, list[Any]], Any]) -> None:
        self.rule = rule
        self.known: dict[int, Any] = {}

    def __call__(self, node: Node) -> Any:
        """The value of a node."""
        stack = [node]
        while stack:
            top = stack[-1]
            seen = (top.ghost,) if top.ghost is not None else top.children
            missing = [child for child in seen if child.number not in self.known]
            if top.number in self.known or not missing:
                stack.pop()
                if top.number not in self.known:
                    inner = [self.known[child.number] for child in seen]
                    self.known[top.number] = inner[0] if top.ghost is not None else self.rule(top, inner)
            else:
                stack.extend(missing)
        return self.known[node.number]


def roundings() -> Callable[[Node], Rounded]:
    """How nodes are rounded, each computed once."""
    return Walk(_rounded)


def ranges() -> Callable[[Node], Range]:
    """The ranges of nodes, the inputs being anything, each computed once."""
    return Walk(_range)


# --- how a value is rounded ------------------------------------------------------------------------------------


def _rounded(node: Node, inner: list[Rounded]) -> Rounded:
    name = node.operation
    if not inner or not is_real(node.dtype):
        return Rounded.NOT
    most = max(inner)
    if name in _SAME or name in _JOINED or name in ("neg", "abs"):
        return most
    if name == "select_n":
        return max(inner[1:])
    if name in SUMS or name in ("reduce_sum", "sum", "cumsum"):
        return max(most, Rounded.LINEARLY)
    if name == "mul" and any(constant_of(child) is not None for child in node.children):
        return max(most, Rounded.LINEARLY)
    if name == "div" and constant_of(node.children[1]) is not None:
        return max(most, Rounded.LINEARLY)
    return Rounded.COMPUTED


# --- ranges ----------------------------------------------------------------------------------------------------


def _apart(a: Range, b: Range) -> bool:
    """Whether a - b loses less than 2 bits for all a and b of two ranges."""
    if (a[0] >= 0 and b[1] <= 0) or (a[1] <= 0 and b[0] >= 0):
        return True
    gap = max(a[0] - b[1], b[0] - a[1])
    return gap > 0 and gap >= min(max(map(abs, a)), max(map(abs, b))) / 4


def _negated(a: Range) -> Range:
    return -a[1], -a[0]


def _times(a: Range, b: Range) -> Range:
    products = [0.0 if x == 0 or y == 0 else x * y for x in a for y in b]
    return min(products), max(products)


def _reciprocal(a: Range) -> Range:
    low, high = a
    if low < 0 < high or low == high == 0:
        return ANYTHING
    if low >= 0:
        return (0.0 if math.isinf(high) else 1 / high), (math.inf if low == 0 else 1 / low)
    return _negated(_reciprocal(_negated(a)))


def _range(node: Node, inner: list[Range]) -> Range:
    """The range of a node, from those of its operands; inf - inf is anything."""
    low, high = _range_of(node, inner)
    return (low, high) if low <= high else ANYTHING


def _range_of(node: Node, inner: list[Range]) -> Range:
    name = node.operation
    if name == "constant":
        return _of_constant(node.value)
    if not inner or not is_real(node.dtype):
        return ANYTHING
    if name in _SAME:
        return inner[0]
    if name in _JOINED or name == "select_n":
        taken = inner[1:] if name == "select_n" else inner
        return min(low for low, _ in taken), max(high for _, high in taken)
    if name in ("reduce_sum", "sum"):
        count = math.prod(node.children[0].shape) // max(1, math.prod(node.shape))
        return _times(inner[0], (float(max(count, 1)), float(max(count, 1))))
    known = _of_arithmetic(name, inner, node)
    return known if known is not None else _of_card(name, inner, node)


def _of_arithmetic(name: str, inner: list[Range], node: Node) -> Range | None:
    match name:
        case "add" | "add_any":
            return inner[0][0] + inner[1][0], inner[0][1] + inner[1][1]
        case "sub":
            return inner[0][0] - inner[1][1], inner[0][1] - inner[1][0]
        case "neg":
            return _negated(inner[0])
        case "mul":
            low, high = _times(*inner)
            return (max(low, 0.0), high) if node.children[0] is node.children[1] else (low, high)
        case "div":
            return _times(inner[0], _reciprocal(inner[1]))
        case "pow":
            return (0.0, math.inf) if inner[0][0] >= 0 else ANYTHING
    return None


def _of_card(name: str, inner: list[Range], node: Node) -> Range:
    if len(inner) != 1 or (name not in facts.CARDS and name not in facts.FAMILIES):
        return ANYTHING
    card = facts.card(name, **node.params)
    if card is None:
        return ANYTHING
    low, high = card.range.lower.value, card.range.upper.value
    if card.parity == "odd" and not card.turns and not card.poles:
        increases = name != "neg"
        if inner[0][0] >= 0 and increases:
            low = max(low, 0.0)
        if inner[0][1] <= 0 and increases:
            high = min(high, 0.0)
    if name == "exp" and inner[0][1] <= 0:
        high = 1.0
    return low, high


def _of_constant(value: Any) -> Range:
    if np.iscomplexobj(value):
        return ANYTHING
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return ANYTHING
    return (float(numbers.min()), float(numbers.max())) if numbers.size else ANYTHING


__all__ = ["Rounded", "candidates", "is_short_square", "ranges", "roundings"]
