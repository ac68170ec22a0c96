"""What a call of `jax.lax.custom_root` is the root of: the equation f(a, x) = 0, read from where JAX keeps it.

JAX 0.12 keeps the functions in the call itself. Before, a root is a `custom_jvp` call whose rule closes over f as a
jaxpr, and each `jax.vmap` around it wraps the rule once more, with the axis of each operand that it maps over; f is
then mapped over the same axes. Along which axis the solution is mapped is not kept: it is read from the shapes, where
they leave no choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import jax
from jax.extend import core as jex_core

from qed.graph.defined import debug
from qed.graph.source import is_library

Residual = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def root(native: Any) -> tuple[Residual, list[int], int] | None:
    """What a call of `jax.lax.custom_root` is the root of; None for any other call.

    Returns:
        (f, positions, count): ``f(constants, solution)`` is zero at the solution, the constants are the operands at
        the positions, and the first `count` outputs are the solution. None too where the shapes do not tell along
        which axis a call is batched.
    """
    rule = native.params.get("_prim")
    if rule is not None:
        return _root_of(rule) if type(rule).__name__ == "CustomRoot" else None
    if not is_root(native):
        return None
    wrapped = native.params["jvp_jaxpr_fun"]
    found = [x for x in _static(wrapped) if getattr(x, "_fields", ()) == _ROOT]
    if len(found) != 2:
        return None
    lengths, jaxprs = found
    shapes = [tuple(v.aval.shape) for v in jaxprs.f.jaxpr.invars]
    split, count = lengths.f, len(shapes) - lengths.f
    levels = list(_batches(wrapped))
    axes = [
        _axes(tuple(v.aval.shape), [size for size, _ in levels], shape)
        for v, shape in zip(native.outvars[:count], shapes[split:], strict=True)
    ]
    if any(each is None for each in axes):
        return None
    function = jex_core.jaxpr_as_fun(jaxprs.f)

    def residual(c: Sequence[Any], x: Sequence[Any]) -> list[Any]:
        return list(function(*c, *x))

    for depth in reversed(range(len(levels))):
        over = [*levels[depth][1][:split]], [each[depth] for each in axes if each is not None]
        if any(axis is not None for axis in (*over[0], *over[1])):
            residual = jax.vmap(residual, in_axes=over)
    return residual, list(range(split)), count


def _axes(shape: tuple[int, ...], sizes: Sequence[int], inner: tuple[int, ...]) -> tuple[int | None, ...] | None:
    """For each level of batching, the outermost first, the axis that it maps over, None for none; None if unclear.

    >>> _axes((5, 3), [5], (3,)), _axes((3, 3), [3], (3,)), _axes((2, 3), [3, 2], ()), _axes((4,), [3], (4,))
    ((0,), None, (1, 0), (None,))
    """
    found = []
    for chosen in product((None, *range(len(shape))), repeat=len(sizes)):
        left: list[int] = list(shape)
        for axis, size in zip(chosen, sizes, strict=True):
            if axis is not None and (axis >= len(left) or left.pop(axis) != size):
                break
        else:
            if tuple(left) == inner:
                found.append(chosen)
    return found[0] if len(found) == 1 else None


_ROOT = ("f", "solve", "l_and_s")


def is_root(native: Any) -> bool:
    """Whether a call is `jax.lax.custom_root`: a rule of JAX's around functions of the user's."""
    if "_prim" in native.params:
        return type(native.params["_prim"]).__name__ == "CustomRoot"
    found = debug(getattr(native.params.get("call_jaxpr"), "jaxpr", None))
    return found is not None and found["function"] == "_custom_root" and is_library(found["file"])


def _root_of(rule: Any) -> tuple[Callable[..., list[Any]], list[int], int]:
    """The same for JAX 0.12, where the call keeps its functions."""
    numbers = jax.tree.unflatten(rule.in_tree, list(range(len(rule.in_avals_flat))))
    constants, guess = (jax.tree.structure(part) for part in (numbers[2], numbers[1]))

    def residual(c: Sequence[Any], x: Sequence[Any]) -> list[Any]:
        return jax.tree.leaves(rule.f(jax.tree.unflatten(constants, c), jax.tree.unflatten(guess, x)))

    return residual, jax.tree.leaves(numbers[2]), guess.num_leaves


def _static(found: Any, depth: int = 12) -> Iterator[Any]:
    """What the functions that JAX wrapped around a rule hold fixed."""
    if depth == 0 or found is None:
        return
    if hasattr(found, "_fields"):
        yield found
        return
    inner = list(found) if isinstance(found, list | tuple) else []
    inner += [getattr(found, name, None) for name in ("f", "transforms", "val")]
    for cell in getattr(found, "__closure__", None) or ():
        try:
            inner.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    for each in inner:
        yield from _static(each, depth - 1)


def _batches(found: Any, depth: int = 12) -> Iterator[tuple[int, tuple[int | None, ...]]]:
    """(size, axis of each operand) of every `jax.vmap` around a rule, the outermost first."""
    if depth == 0 or found is None:
        return
    for transform in getattr(found, "transforms", ()):
        function, given = transform[0], transform[1]
        if getattr(function, "__name__", "") == "batch_custom_jvp_subtrace":
            yield int(given[1].size), tuple(given[2])
    for cell in getattr(found, "__closure__", None) or ():
        try:
            yield from _batches(cell.cell_contents, depth - 1)
        except ValueError:  # not filled yet
            continue
    yield from _batches(getattr(found, "f", None), depth - 1)
