"""Compiling with options of XLA's compiler for the processor: long programs, short calls, products of matrices.

An unrolled loop in Python is a program of thousands of small equations. XLA for the CPU fuses them into few kernels,
each a large function for LLVM; without its newer emitters the kernels are smaller. Of a sum of 50 residuals (1,050
equations) the Hessian compiled in 2.9 s instead of 10.6, value and gradient in 1.0 instead of 2.7, and ran no slower.

A call of few operations takes microseconds however it is compiled, and waits for its compiler much longer: without
optimization for less long by a factor of two to six (benchmarks/compiling.py).

XLA hands products of matrices to a library, and with them the elementwise work around them, which the library does
more slowly than XLA itself. Of the linearised product of a network the products of matrices alone are given away.

An option belongs to one program; nothing global is changed. Where this JAX does not know it, it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import jax

from qed.domains.cost import count
from qed.graph.function import Function
from qed.graph.graph import Graph

LONG = 200
"""From so many equations on an option is worth its trouble."""
BRIEF = 5e7
"""Up to so many operations, those of all calls, optimization takes longer than it saves."""
OFTEN = 1000
"""How many calls are expected where nothing is said."""
OPTIONS = {"xla_cpu_use_fusion_emitters": False}
SELDOM = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""As quickly as it can be compiled."""
APART = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
"""Only products of matrices go to the library."""

_WORK: WeakKeyDictionary[Graph, dict[tuple[int, ...], float]] = WeakKeyDictionary()
"""The work of graphs that were asked before, and live still."""


def known() -> bool:
    """Whether the compiler of the processor takes the options for long programs."""
    return _takes(tuple(OPTIONS.items()))


@cache
def _takes(options: tuple[tuple[str, Any], ...]) -> bool:
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0, compiler_options=dict(options)).lower().compile()
    except Exception:
        return False
    return True


def work(function: Function) -> float:
    """How many operations value and gradient of a function take; infinite where a loop has no known length.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> work(read(lambda x: jnp.sum(x * x), jnp.ones(10))) < 100
        True
    """
    counted = _WORK.setdefault(function.graph, {})
    free = tuple(function.traced.free)
    if free not in counted:
        counted[free] = count(function.graph, free).bounded
    return counted[free]


def quickly(
    fun: Callable[..., Any], equations: int, operations: float = math.inf, calls: int = OFTEN, **options: Any
) -> Any:
    """`jax.jit` for a function that is called from outside of every trace, quick to compile if it is long or cheap.

    Args:
        fun: the function.
        equations: how many equations it is made from, calls entered.
        operations: how many a call computes, where that is known.
        calls: how many are expected.
        options: of `jax.jit`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(quickly(lambda x: x * x, 1000)(jnp.float32(3)))
        9.0
    """
    if operations * calls <= BRIEF:
        return seldom(fun, **options)
    if equations < LONG or not known():
        return jax.jit(fun, **options)
    return jax.jit(fun, compiler_options=dict(OPTIONS), **options)


def made_for(
    function: Function, fun: Callable[..., Any], calls: int = OFTEN, sweeps: float = 1.0, **options: Any
) -> Any:
    """`quickly` for a program that consists of so many values with gradients of a function.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> function = read(lambda x: jnp.sum(x * x), jnp.ones(2))
        >>> made_for(function, jax.grad(lambda p: function.value(p)), calls=1)(function.parameters)[0].tolist()
        [2.0, 2.0]
    """
    return quickly(fun, function.graph.count(), sweeps * work(function), calls, **options)


def of_products(fun: Callable[..., Any]) -> Any:
    """`jax.jit` for a function that is called from outside of every trace and consists of products of matrices.

    Example:
        >>> of_products(lambda a: a @ a)(jax.numpy.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return jax.jit(fun, compiler_options=dict(APART)) if _takes(tuple(APART.items())) else jax.jit(fun)


def seldom(fun: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` for a function that is called from outside of every trace, and a few times only.

    Example:
        >>> float(seldom(lambda x: x * x)(jax.numpy.float32(3)))
        9.0
    """
    how = {**SELDOM, **(OPTIONS if known() else {})}
    if not _takes(tuple(how.items())):
        return jax.jit(fun, **options)
    return jax.jit(fun, compiler_options=how, **options)
