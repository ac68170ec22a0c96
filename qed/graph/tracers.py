"""Whether something holds JAX's tracers: numbers that are not known yet, under jax.grad, jax.jit or jax.vmap."""

from __future__ import annotations

import functools
from typing import Any

import jax

from qed.graph.jaxpr import concrete

DEPTH = 4
"""How deep closures are looked into."""


def is_traced(*values: Any) -> bool:
    """Whether a leaf of any of the values is a tracer.

    >>> import jax
    >>> from qed.graph.tracers import is_traced
    >>> found = []
    >>> _ = jax.jit(lambda x: found.append(is_traced({"a": (x, 1.0)})) or x)(2.0)
    >>> found, is_traced(2.0)
    ([True], False)
    """
    return any(not concrete(leaf) for leaf in jax.tree.leaves(values))


def closes_over_tracers(fun: Any, depth: int = DEPTH) -> bool:
    """Whether a function closes over a tracer, itself or by a function that it closes over."""
    if fun is None or not callable(fun) or not depth:
        return False
    if isinstance(fun, functools.partial):
        return is_traced(fun.args, fun.keywords) or closes_over_tracers(fun.func, depth - 1)
    inner = getattr(fun, "__wrapped__", None)
    cells = getattr(fun, "__closure__", None) or ()
    held = [getattr(fun, "__self__", None), *(getattr(fun, "__defaults__", None) or ())]
    for cell in cells:
        try:
            held.append(cell.cell_contents)
        except ValueError:  # it is not filled yet
            continue
    if any(closes_over_tracers(one, depth - 1) for one in (*held, inner)):
        return True
    return is_traced([one for one in held if not callable(one)])
