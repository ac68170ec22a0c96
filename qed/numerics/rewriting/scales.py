"""What is already well scaled and should be left alone: stable code, constants.

``exp(x - max(x))`` summed over the axes of that maximum lies between 1 and n: whoever wrote it has shifted
already.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node
from qed.numerics.rewriting.signs import MOVES, Sign, Signs, floating

_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
    "ne": operator.ne,
}
_MIRRORED = {"ge": "le", "le": "ge", "gt": "lt", "lt": "gt"}


def constant_of(node: Node) -> float | None:
    """The number, if a node is one constant number, however it is broadcast or converted, or a sum of two whole ones.

    Example:
        >>> from qed.graph.build import Builder
        >>> constant_of(Builder().constant(2.0, "float32"))
        2.0
    """
    while node.operation in MOVES or node.operation == "convert_element_type":
        node = node.children[0]
    if node.operation in ("add", "sub"):
        return _sum_of_whole(node)
    if node.operation != "constant" or np.size(node.value) != 1 or _no_number(node.dtype):
        return None
    return float(np.asarray(node.value).reshape(()))


def _sum_of_whole(node: Node) -> float | None:
    """The sum or difference of two whole numbers that are constants, as the count of elements less a correction is."""
    a, b = (whole_number(child) for child in node.children)
    if a is None or b is None:
        return None
    found = a + b if node.operation == "add" else a - b
    return float(found) if _holds(node.dtype, found) else None


def whole_number(node: Node) -> int | None:
    """The whole number, if a node is one that is constant, and held exactly by every dtype it is converted to."""
    dtypes = [node.dtype]
    while node.operation in ("convert_element_type", "broadcast_in_dim", "reshape", "squeeze"):
        node = node.children[0]
        dtypes.append(node.dtype)
    if node.operation != "constant" or np.size(node.value) != 1 or _no_number(node.dtype):
        return None
    number = float(np.asarray(node.value).astype(np.float64).reshape(()))
    if not number.is_integer() or not all(_holds(dtype, int(number)) for dtype in dtypes):
        return None
    return int(number)


def _holds(dtype: Any, number: int) -> bool:
    """Whether a dtype has all whole numbers up to this one."""
    if floating(dtype):
        return abs(number) <= 2 ** (int(jnp.finfo(dtype).nmant) + 1)
    if getattr(dtype, "kind", "") not in "iu":
        return False
    return int(np.iinfo(dtype).min) <= number <= min(int(np.iinfo(dtype).max), 2**53)


def _counted(node: Node) -> float | None:
    return _sum_of_whole(node) if node.operation in ("add", "sub") else whole_number(node)


def chosen(node: Node) -> Node:
    """The case of a choice that two constant numbers decide, as a library's check of a count does; else the node."""
    if node.operation != "select_n" or len(node.children) != 3:
        return node
    predicate = node.children[0]
    compare = _COMPARED.get(predicate.operation)
    if compare is None or predicate.equation is None:
        return node
    a, b = (_counted(child) for child in predicate.children)
    case = None if a is None or b is None else node.children[1 + compare(a, b)]
    return case if case is not None and case.shape == node.shape and case.dtype == node.dtype else node


def decided(node: Node, sign: Signs) -> bool:
    """Whether a choice is always the same one: two constant numbers decide it, or a value and one that it cannot cross.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> def found(fun):
        ...     builder, graph = Builder(), trace(fun, 1.0).graph
        ...     return decided(builder.inline(graph, builder.inputs(graph))[0], Signs())
        >>> found(lambda x: jax.lax.select(jnp.exp(x) >= 0, x, -x)), found(lambda x: jax.lax.select(x >= 0, x, -x))
        (True, False)
    """
    if chosen(node) is not node:
        return True
    name, sides = node.children[0].operation, node.children[0].children
    if name not in _MIRRORED:
        return False
    numbers = [constant_of(side) for side in sides]
    if numbers[0] is not None:
        name, sides, numbers = _MIRRORED[name], sides[::-1], numbers[::-1]
    if numbers[1] is None or not numbers[1] <= 0:
        return False
    surely = name in ("ge", "lt") or numbers[1] < 0  # a positive number may be computed as 0
    return sign(sides[0]) >= (Sign.NONNEGATIVE if surely else Sign.BOUNDED)


def largest_of(node: Node) -> float:
    """The largest absolute value of a constant array, infinite for anything else.

    Example:
        >>> from qed.graph.build import Builder
        >>> largest_of(Builder().constant([1.0, -3.0], "float32"))
        3.0
    """
    while node.operation in MOVES or node.operation == "convert_element_type":
        node = node.children[0]
    if node.operation != "constant" or not np.size(node.value) or _no_number(node.dtype):
        return math.inf
    return float(np.max(np.abs(np.asarray(node.value))))


def _no_number(dtype: Any) -> bool:
    """Whether a dtype is none of real numbers, as that of random keys; bfloat16 is one to JAX, and none to NumPy."""
    return getattr(dtype, "kind", "V") in "Vc" and not floating(dtype)


def anchored(node: Node, axes: tuple[int, ...]) -> bool:
    """Whether a node is x - max(x), the maximum taken over some of these axes, so that its largest element is 0.

    The axes of both may have been reordered since, as `jax.vmap` does.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> def gap(x, order):
        ...     return jnp.transpose(x, (2, 0, 1)) - jnp.transpose(jnp.max(x, axis=1), order)[:, :, None]
        >>> def found(order):
        ...     builder, graph = Builder(), trace(lambda x: gap(x, order), jnp.ones((3, 4, 3))).graph
        ...     return anchored(builder.inline(graph, builder.inputs(graph))[0], (2,))
        >>> found((1, 0)), found((0, 1))
        (True, False)
    """
    if node.operation != "sub":
        return False
    x, shift = node.children
    top = maximum_of(shift, node.dtype)
    if top is None:
        return False
    reduced = set(top.params["axes"])
    if top.children[0] is x:
        return reduced <= set(axes)
    of_x = _moved_axes(x, top.children[0], range(len(top.children[0].shape)))
    of_shift = _moved_axes(shift, top, [axis for axis in range(len(top.children[0].shape)) if axis not in reduced])
    if of_x is None or of_shift is None or len(of_x) != len(of_shift):
        return False
    for i, (one, other) in enumerate(zip(of_x, of_shift, strict=True)):
        if x.shape[i] != 1 and ((one in reduced and i not in axes) or other != (None if one in reduced else one)):
            return False
    return True


def _moved_axes(node: Node, source: Node, axes: Iterable[int]) -> list[int | None] | None:
    """Which axis of a source each axis of a node is, None for a new one; None where a move does more than reorder."""
    chain = list[Node]()
    while node is not source:
        chain.append(node)
        among = [child for child in node.children if child.dtype == node.dtype and constant_of(child) is None]
        if len(among) != 1 and node.operation != "convert_element_type":
            return None
        node = among[0] if among else node.children[0]
    found: list[int | None] = list(axes)
    for move in reversed(chain):
        before = node.shape
        match move.operation:
            case "transpose":
                found = [found[k] for k in move.params["permutation"]]
            case "broadcast_in_dim":
                at = dict(zip(move.params["broadcast_dimensions"], zip(found, before, strict=True), strict=True))
                found = [at[k][0] if k in at and at[k][1] == n else None for k, n in enumerate(move.shape)]
            case "reshape" | "squeeze" if _without_ones(move.shape) == _without_ones(before):
                whole = iter([axis for axis, n in zip(found, before, strict=True) if n != 1])
                found = [None if n == 1 else next(whole) for n in move.shape]
            case "stop_gradient" | "copy" | "max" | "select_n" | "convert_element_type" if move.shape == before:
                pass
            case _:
                return None
        node = move
    return found


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def maximum_of(shift: Node, dtype: Any) -> Node | None:
    """The maximum over axes that a shift is, kept finite and without a derivative as it may be."""
    seen: Node | None = source_of(shift)
    while seen is not None and seen.operation in ("max", "select_n", "convert_element_type"):
        rest = [child for child in seen.children if child.dtype == dtype and constant_of(child) is None]
        seen = source_of(rest[0]) if len(rest) == 1 else None
    return seen if seen is not None and seen.operation == "reduce_max" else None


def summed(node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """What a node is the sum of and along which axes, also where a sum of 16-bit numbers is taken in float32.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> builder, graph = Builder(), trace(lambda x: jnp.sum(jnp.exp(x)), jnp.ones(2, "float16")).graph
        >>> summed(builder.inline(graph, builder.inputs(graph))[0])
        (%1=exp(%0), (0,))
    """
    total, wide = node, node.operation == "convert_element_type"
    if wide:
        total = node.children[0]
    if total.operation != "reduce_sum":
        return None
    x = total.children[0]
    if wide:
        if x.operation != "convert_element_type" or x.children[0].dtype != node.dtype:
            return None
        x = x.children[0]
    return x, tuple(total.params["axes"])


def unshifted(node: Node, axes: tuple[int, ...]) -> Node | None:
    """x, where a node is x - max(x) with the maximum along just these axes, one for each row, put back along them."""
    if node.operation != "sub":
        return None
    x, shift = node.children
    top = maximum_of(shift, node.dtype)
    if top is None or top.children[0] is not x or set(top.params["axes"]) != set(axes):
        return None
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    return x if _one_for_each_row(shift, top, kept) else None


def _one_for_each_row(node: Node, top: Node, kept: tuple[int, ...]) -> bool:
    """Whether a shift is a maximum with its axes put back, kept finite before it was repeated along them."""
    while node is not top:
        inner = node
        while inner is not top and inner.operation in MOVES:
            inner = inner.children[0]
        if not spread_along(node, inner, kept):
            return False
        if inner is top:
            return True
        if inner.operation not in ("max", "select_n", "convert_element_type") or math.prod(inner.shape) != math.prod(
            kept
        ):
            return False
        rest = [child for child in inner.children if child.dtype == inner.dtype and constant_of(child) is None]
        if inner.operation == "convert_element_type":
            rest = list(inner.children)
        if len(rest) != 1:
            return False
        node = rest[0]
    return True


def source_of(node: Node) -> Node:
    """What a node takes its elements from, through whatever merely moves them."""
    while node.operation in MOVES:
        node = node.children[0]
    return node


def spread_along(node: Node, source: Node, kept: tuple[int, ...]) -> bool:
    """Whether a node is a reduced array with its axes put back, perhaps repeated along them."""
    while node is not source:
        shape = node.children[0].shape
        if node.operation == "broadcast_in_dim":
            at = node.params["broadcast_dimensions"]
            whole = [i for i, n in enumerate(kept) if n != 1]
            if len(shape) == len(kept) and at != tuple(range(len(kept))):
                return False
            if len(shape) < len(kept) and [i for i in at if kept[i] != 1] != whole:
                return False
        elif node.operation == "reshape":
            if node.shape != kept:
                return False
        elif node.operation not in ("fill", "stop_gradient", "copy"):
            return False
        node = node.children[0]
    return True


def leads(node: Node, source: Node, count: int) -> bool:
    """Whether a node is an array with axes added behind its own."""
    while node is not source:
        if node.operation == "broadcast_in_dim":
            if node.params["broadcast_dimensions"] != tuple(range(len(node.children[0].shape))):
                return False
        elif node.operation not in ("fill", "reshape", "stop_gradient", "copy"):
            return False
        elif node.operation in ("fill", "reshape") and count > 0:
            return False
        node = node.children[0]
    return True


def root_of(number: Fraction) -> float | None:
    """The square root of a square of a rational number."""
    if number <= 0:
        return None
    above, below = math.isqrt(number.numerator), math.isqrt(number.denominator)
    return above / below if (above**2, below**2) == (number.numerator, number.denominator) else None
