"""What a graph says about the sign of a value, with nothing but its operations and constants known.

The four answers are ordered, and each contains the next::

    UNKNOWN  <  NONNEGATIVE (>= 0)  <  POSITIVE (> 0)  <  BOUNDED (>= c for some constant c > 0)

They are statements about the real function where it is defined: exp x is POSITIVE although a computed
exp(-200) is 0 in float32. What an elementwise function does is read off its fact card (`range`); sums and
products of such are here. The last step matters for derivatives: log of something BOUNDED has a bounded
derivative, log of something POSITIVE may meet a computed zero.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np

from qed import facts
from qed.graph.build import Node
from qed.graph.dtypes import is_real


class Sign(IntEnum):
    """What is known of the sign of every element."""

    UNKNOWN = 0
    NONNEGATIVE = 1
    POSITIVE = 2
    BOUNDED = 3


MOVES = frozenset(
    "broadcast_in_dim reshape transpose squeeze slice rev copy stop_gradient dynamic_slice name tile "
    "sharding_constraint reduce_precision fill spread".split()
)
"""Operations whose every element is an element of the first operand."""

_KEEPS_ZERO = frozenset(["log1p", "expm1", "tanh", "sinh", "asinh", "erf", "atan", "sqrt", "cbrt", "sign"])
_SAME = frozenset("reduce_sum reduce_max reduce_min cumsum cummax cummin reduce_prod cumprod".split())
_EMITTED = {
    "beside_softmax": Sign.NONNEGATIVE,
    "exp_beside": Sign.POSITIVE,
    "exp_of_sum": Sign.POSITIVE,
    "exp_put_back": Sign.POSITIVE,
    "log_cosh": Sign.NONNEGATIVE,
    "others": Sign.NONNEGATIVE,
    "positive_part": Sign.NONNEGATIVE,
    "quotient_scale": Sign.POSITIVE,
    "scaled_erfc": Sign.POSITIVE,
    "sigmoid_split": Sign.POSITIVE,
    "softmax": Sign.POSITIVE,
    "softmax_beside_one": Sign.POSITIVE,
    "softplus": Sign.POSITIVE,
    "sum_exp": Sign.BOUNDED,
    "sum_two": Sign.BOUNDED,
    "tempered_softmax": Sign.POSITIVE,
}
_LARGE = 1 << 22


class Signs:
    """Signs of nodes, each computed once.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: 1 + jnp.exp(x), 1.0).graph
        >>> builder = Builder()
        >>> Signs()(builder.inline(graph, builder.inputs(graph))[0]).name
        'BOUNDED'
    """

    def __init__(self) -> None:
        self._known: dict[int, Sign] = {}
        self._varies: dict[int, bool] = {}

    def __call__(self, node: Node) -> Sign:
        """The sign of a node; the walk keeps its own stack, so that a deep graph is no matter."""
        found = self._known.get(node.number)
        return memoised(node, self._known, self._rule) if found is None else found

    def know(self, node: Node, sign: Sign, varies: bool = True) -> None:
        """Remember the sign of a node that is known from elsewhere, and whether a derivative can flow through it."""
        self._known[node.number] = sign
        self._varies[node.number] = varies and floating(node.dtype)

    def varies(self, node: Node) -> bool:
        """Whether a derivative can flow through the node: it depends on a floating-point input."""
        return memoised(node, self._varies, self._flows)

    def _flows(self, node: Node) -> bool:
        if node.operation in ("constant", "stop_gradient") or not floating(node.dtype):
            return False
        return node.operation == "input" or any(self._varies[child.number] for child in node.children)

    def _rule(self, node: Node) -> Sign:
        if node.ghost is not None:
            return max(self(node.ghost), self._of_emitted(node))
        if node.operation == "constant":
            return _of_constant(node.value)
        name, signs = node.operation, [self._known[child.number] for child in node.children]
        if name == "select_n":
            return min(signs[1:])
        if name in MOVES or (name == "gather" and fills_with_nan(node)):
            return signs[0]
        if name == "convert_element_type":
            return max(signs[0], Sign.NONNEGATIVE if _counting(node.children[0].dtype) else Sign.UNKNOWN)
        if name in _SAME:
            return _of_reduction(name, signs[0], node)
        if name in ("concatenate", "pad", "stack"):
            return min(signs)
        if name == "dynamic_update_slice" or (name == "scatter" and node.params.get("update_jaxpr") is None):
            return min(signs[0], signs[1 if name == "dynamic_update_slice" else 2])
        if name in _EMITTED:
            return _EMITTED[name]
        if name == "dot_general":
            return min(*signs, Sign.POSITIVE if _contracts(node) else Sign.NONNEGATIVE)
        if name in facts.ARITHMETIC:
            return _of_arithmetic(name, signs, node)
        if name == "iota" or _counting(node.dtype):
            return Sign.NONNEGATIVE
        return self._of_card(name, signs, node)

    def _of_emitted(self, node: Node) -> Sign:
        """The sign of what was put in place of something else: it is the same number."""
        if node.equation is not None:
            return Sign.UNKNOWN
        if node.operation in ("mul", "add"):
            return _of_arithmetic(node.operation, [self._known[child.number] for child in node.children], node)
        if len(node.children) != 1:
            return Sign.UNKNOWN
        inner = self._known[node.children[0].number]
        if node.operation in MOVES:
            return inner
        return self._of_card(node.operation, [inner], node) if node.operation in facts.CARDS else Sign.UNKNOWN

    def _of_card(self, name: str, signs: list[Sign], node: Node) -> Sign:
        if name == "integer_pow":
            return _of_power(signs[0], node.params["y"])
        card = facts.card(name, **node.params) if len(signs) == 1 and name in facts.CARDS else None
        if card is None:
            return Sign.UNKNOWN
        if name in _KEEPS_ZERO and signs[0] > Sign.UNKNOWN:
            return signs[0]
        if name == "abs" and signs[0] > Sign.UNKNOWN:
            return signs[0]
        lower = card.range.lower.value
        if lower > 0:
            return Sign.BOUNDED
        if lower < 0:
            return Sign.UNKNOWN
        return Sign.POSITIVE if 0.0 not in card.range else Sign.NONNEGATIVE


def _contracts(node: Node) -> bool:
    """Whether each element of a product of matrices is a sum of at least one product."""
    ((left, _), _) = node.params["dimension_numbers"]
    return all(node.children[0].shape[i] for i in left)


def memoised(node: Node, known: dict[int, Any], rule: Callable[[Node], Any]) -> Any:
    """The value of a rule at a node, found after those of its children and its ghost, which are in `known` then."""
    if node.number in known:
        return known[node.number]
    stack = [node]
    while stack:
        top = stack[-1]
        if top.number in known:
            stack.pop()
            continue
        waiting = len(stack)
        if top.ghost is not None and top.ghost.number not in known:
            stack.append(top.ghost)
        for child in top.children:
            if child.number not in known:
                stack.append(child)
        if len(stack) == waiting:
            known[top.number] = rule(top)
            stack.pop()
    return known[node.number]


def _of_constant(value: Any) -> Sign:
    array_size = int(np.size(value))
    dtype = getattr(value, "dtype", None)
    if array_size == 0 or array_size > _LARGE or (dtype is not None and not _number(dtype)):
        return Sign.UNKNOWN
    with np.errstate(invalid="ignore"):
        lowest = np.asarray(value).min()
    if array_size == 1 and lowest != lowest:  # NaN: nothing is said of where there is no number
        return Sign.BOUNDED
    if not lowest >= 0:
        return Sign.UNKNOWN
    return Sign.BOUNDED if lowest > 0 else Sign.NONNEGATIVE


def _of_reduction(name: str, sign: Sign, node: Node) -> Sign:
    if 0 in node.children[0].shape:
        return Sign.UNKNOWN
    if name in ("reduce_prod", "cumprod"):
        return min(sign, Sign.POSITIVE)
    return sign


def _of_arithmetic(name: str, signs: list[Sign], node: Node) -> Sign:
    low, high = min(signs), max(signs)
    match name:
        case "add":
            return high if low > Sign.UNKNOWN else Sign.UNKNOWN
        case "max":
            return high
        case "min":
            return low
        case "clamp":
            return max(signs[0], min(signs[1:]))
        case "sub":
            return max(_of_numbers(node), _of_complement(node))
        case "mul" if node.children[0] is node.children[1]:
            return max(low, Sign.NONNEGATIVE)
        case "mul" if low == Sign.UNKNOWN and any(map(_is_zero, node.children)):
            return Sign.NONNEGATIVE
        case "mul":
            return low
        case "div":
            return min(signs[0], Sign.POSITIVE) if signs[1] > Sign.UNKNOWN else Sign.UNKNOWN
        case "pow":
            return Sign.POSITIVE if signs[0] >= Sign.POSITIVE else Sign.UNKNOWN
    return Sign.UNKNOWN


def _is_zero(node: Node) -> bool:
    """Whether a node is the number 0: a product with it is 0 wherever it is a number."""
    return node.operation == "constant" and np.size(node.value) == 1 and bool(np.all(np.asarray(node.value) == 0))


def _of_numbers(node: Node) -> Sign:
    """The sign of a difference of two constant numbers, as of a count of elements less the degrees of freedom."""
    numbers = []
    for child in node.children:
        while child.operation == "convert_element_type" or child.operation in MOVES:
            child = child.children[0]
        if child.operation != "constant" or np.size(child.value) != 1:
            return Sign.UNKNOWN
        numbers.append(np.asarray(child.value).reshape(()))
    return _of_constant(np.subtract(*numbers, dtype=np.float64))


def _of_complement(node: Node) -> Sign:
    """The sign of c - m for a number c >= 1 and a mask m, all of whose elements are in [0, 1]."""
    number, mask = node.children
    while number.operation in ("convert_element_type", "broadcast_in_dim", "reshape", "squeeze"):
        number = number.children[0]
    if number.operation != "constant" or np.size(number.value) != 1 or not floating(node.dtype):
        return Sign.UNKNOWN
    c = float(np.asarray(number.value).astype(np.float64).reshape(()))
    if not (c >= 1 and _is_mask(mask)):
        return Sign.UNKNOWN
    return Sign.BOUNDED if c >= 2 else Sign.NONNEGATIVE


def _is_mask(node: Node, depth: int = 3) -> bool:
    """Whether a node is truth values as numbers, constants in [0, 1], or a choice between such."""
    while node.operation in MOVES or node.operation == "convert_element_type":
        node = node.children[0]
    if node.operation == "constant":
        value = node.value
        sized = 0 < int(np.size(value)) <= _LARGE and _number(getattr(value, "dtype", np.dtype(float)))
        numbers = np.asarray(value).astype(np.float64) if sized else np.full(1, np.nan)
        return bool(np.all((numbers >= 0) & (numbers <= 1)))
    if node.operation == "select_n" and depth:
        return all(_is_mask(case, depth - 1) for case in node.children[1:])
    return node.dtype == bool


def _of_power(sign: Sign, exponent: int) -> Sign:
    if exponent < 0:
        return Sign.POSITIVE if exponent % 2 == 0 or sign > Sign.UNKNOWN else Sign.UNKNOWN
    if exponent == 0:
        return Sign.BOUNDED
    return max(sign, Sign.NONNEGATIVE) if exponent % 2 == 0 else sign


def _number(dtype: Any) -> bool:
    kind = getattr(dtype, "kind", "")
    return kind in "fiub" or (kind == "V" and floating(dtype))


def fills_with_nan(node: Node) -> bool:
    """Whether a gather gives elements of its operand, and NaN where an index is out of bounds, or stays in bounds."""
    fill = node.params.get("fill_value")
    return fill is None or bool(np.isnan(fill))


def floating(dtype: Any) -> bool:
    """Whether a dtype is one of real floating-point numbers, bfloat16 included."""
    return is_real(dtype)


def _counting(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") in "bu"
