"""Whether a function is one function: the same argument gives the same value, call after call.

A program that is traced is read once, and what a counter or `numpy.random` gave in that moment is kept for ever; a
callback is called anew every time. So the function is read twice, and the two graphs are compared; where they differ,
and where there are callbacks, so are the values at one point. A search compares values, and of a function that changes
between calls they say nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from qed import facts
from qed.calculus.compiling import made_for
from qed.certificates.fingerprint import fingerprint
from qed.errors import QedError
from qed.graph.dtypes import is_extended
from qed.graph.function import Function, read
from qed.graph.graph import Graph

ROUNDINGS = 1000
"""How many units in the last place two values of one function may differ: sums may be taken in another order."""


def check_repeatable(function: Function, asked: tuple[Any, Any, tuple[Any, ...]]) -> None:
    """Raise where a function that was read is another one when it is read again, or called again.

    Args:
        function: as it was read first.
        asked: (fun, x, args) that were read.

    Raises:
        QedError: QED015.

    Example:
        >>> import itertools, jax.numpy as jnp
        >>> count = itertools.count()
        >>> fun = lambda x: jnp.sum((x - next(count)) ** 2)
        >>> check_repeatable(read(fun, jnp.ones(2)), (fun, jnp.ones(2), ()))
        Traceback (most recent call last):
        qed.errors.QedError: the function changes between calls: at one and the same point 2, then 0
          because it depends on something else than its arguments
          instead pass what changes as an argument, such as a random key or a batch
    """
    fun, x, args = asked
    again = read(fun, x, *args)
    if not _same(function, again):
        for shift in (0.0, 0.5):
            check_same(_value(function, shift), _value(again, shift), function)
    if called_back(function.graph):
        check_same(_value(function), _value(function), function)


def called_back(graph: Graph) -> bool:
    """Whether a program calls back to Python, so that it may not be one function."""
    return any(facts.classify(equation.primitive) is facts.Class.EFFECT for equation in graph.walk())


def _same(one: Function, other: Function) -> bool:
    if len(one.data) != len(other.data) or fingerprint(one.graph) != fingerprint(other.graph):
        return False
    return all(a is b or _equal(a, b) for a, b in zip(one.data, other.data, strict=True))


def _equal(a: Any, b: Any) -> bool:
    if getattr(a, "dtype", None) != getattr(b, "dtype", None) or np.shape(a) != np.shape(b):
        return False
    if is_extended(getattr(a, "dtype", None)):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _value(function: Function, shift: float = 0.0) -> float:
    moved = tuple(p + jax.numpy.asarray(shift, p.dtype) for p in function.parameters)
    return float(made_for(function, lambda p, d: function.value(p, d), calls=1)(moved, function.data))


def check_same(first: float, second: float, function: Function) -> None:
    """Raise where two values of a function at one point are two numbers, beyond rounding.

    Raises:
        QedError: QED015.
    """
    eps = float(jax.numpy.finfo(function.graph.outputs[0].dtype).eps)
    near = abs(first - second) <= ROUNDINGS * eps * max(abs(first), abs(second))
    if near or first == second or (np.isnan(first) and np.isnan(second)):
        return
    raise QedError(
        "QED015",
        f"the function changes between calls: at one and the same point {first:.9g}, then {second:.9g}",
        "it depends on something else than its arguments",
        "pass what changes as an argument, such as a random key or a batch",
        function.span,
    )
