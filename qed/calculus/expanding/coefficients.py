"""Taylor coefficients of a function at a point: along a line, or as symmetric tensors.

Along t -> a + t d the k-th coefficient is c_k = D^k f(a)[d, ..., d] / k!, a homogeneous polynomial of degree k in d.
The symmetric tensors A_k with c_k = A_k[d, ..., d] follow from its values by polarisation,

    A_2[e_i, e_j]      = (c_2(e_i + e_j) - c_2(e_i) - c_2(e_j)) / 2
    A_3[e_i, e_j, e_k] = (c_3(e_i + e_j + e_k) - c_3(e_i + e_j) - c_3(e_i + e_k) - c_3(e_j + e_k)
                          + c_3(e_i) + c_3(e_j) + c_3(e_k)) / 6

(Greub, *Multilinear Algebra*, 1978, section 9.6), so that A_1 is the gradient and A_2 half the Hessian. The
coefficients are one compiled JAX function of point, data and direction, mapped over the directions e_i, e_i + e_j, ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, combinations_with_replacement, permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import flatten, unflatten
from qed.domains.taylor import expand
from qed.graph.function import Function
from qed.graph.tape import Unknown

LARGEST = {0: 10**9, 1: 10**6, 2: 300, 3: 24}
"""How many variables a tensor of each order may have: beyond, it has more entries than anybody reads."""


class NotExpandable(Exception):
    """A primitive has no rule: what is missing, as the domain says it."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(str(unknown))
        self.unknown = unknown


def along(function: Function, order: int) -> Callable[[Sequence[Any], Sequence[Any]], list[Any]]:
    """Return (point, direction) -> the coefficients up to an order, compiled.

    Point and direction are arrays in the order of the function's parameters.

    Raises:
        NotExpandable: when called, where a primitive has no rule.

    Example:
        >>> from qed.graph.function import read
        >>> function = read(lambda x: jnp.exp(x), 0.0)
        >>> [round(float(c), 4) for c in along(function, 3)(function.parameters, (jnp.ones(()),))]
        [1.0, 1.0, 0.5, 0.1667]
    """
    lost: list[Unknown] = []

    def run(parameters: Any, data: Any, direction: Any) -> list[Any]:
        inputs: list[tuple[Any, ...]] = [(leaf,) for leaf in function.join(parameters, data)]
        for i, point, slope in zip(function.traced.free, parameters, direction, strict=True):
            inputs[i] = (point, slope)
        found = expand(function.graph, inputs, order)[0]
        if isinstance(found, Unknown):
            lost.append(found)
            return []
        return [jnp.zeros_like(found[0]) if term is None else term for term in found]

    compiled = jax.jit(run)

    def coefficients(point: Sequence[Any], direction: Sequence[Any]) -> list[Any]:
        found = compiled(tuple(point), function.data, tuple(direction))
        if lost:
            raise NotExpandable(lost[0])
        return found

    return coefficients


def tensors(function: Function, order: int) -> list[np.ndarray]:
    """The symmetric tensors A_0, ..., A_order over the flat vector of all parameters, in float64.

    Raises:
        NotExpandable: where a primitive has no rule.

    Example: x^2 y at (1, 2)

        >>> from qed.graph.function import read
        >>> for tensor in tensors(read(lambda v: v[0] ** 2 * v[1], jnp.array([1.0, 2.0])), 2):
        ...     print(tensor.tolist())
        2.0
        [4.0, 1.0]
        [[2.0, 1.0], [1.0, 0.0]]
    """
    n = function.size
    groups = [group for size in range(1, order + 1) for group in combinations(range(n), size)]
    if order == 3:
        groups += [(i, ~j) for i, j in combinations(range(n), 2)]
    values = _directional(function, order, groups)
    found = [np.asarray(float(np.asarray(values[groups[0]][0])) if groups else _value(function))]
    for k in range(1, order + 1):
        c = {group: float(terms[k]) for group, terms in values.items()}
        found.append(_polarised(c, n, k))
    return found


def _value(function: Function) -> float:
    return float(np.asarray(function.value(function.parameters)))


def _directional(
    function: Function, order: int, groups: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], list[np.ndarray]]:
    """The coefficients along sums of unit vectors; ~j stands for -e_j."""
    if not groups:
        return {}
    run, point = along(function, order), function.parameters
    vectors = np.zeros((len(groups), function.size))
    for row, group in enumerate(groups):
        for i in group:
            vectors[row, i if i >= 0 else ~i] = 1.0 if i >= 0 else -1.0
    run(point, unflatten(vectors[0], point))  # finds what is missing before many are mapped
    columns = zip(*(unflatten(vector, point) for vector in vectors), strict=True)
    terms = jax.lax.map(lambda d: run(point, d), tuple(jnp.stack(column) for column in columns))
    return {group: [np.asarray(term)[row] for term in terms] for row, group in enumerate(groups)}


def _polarised(c: dict[tuple[int, ...], float], n: int, order: int) -> np.ndarray:
    """The tensor of a homogeneous polynomial from its values at sums of at most `order` unit vectors."""
    found = np.zeros((n,) * order)
    for places in combinations_with_replacement(range(n), order):
        value = _entry(c, places)
        for index in set(permutations(places)):
            found[index] = value
    return found


def _entry(c: dict[tuple[int, ...], float], places: tuple[int, ...]) -> float:
    first, *rest = places
    if all(place == first for place in rest):
        return c[(first,)]
    if len(places) == 2:
        return (c[places] - c[(first,)] - c[(rest[0],)]) / 2
    i, j, k = places
    if i < j < k:
        pairs = c[(i, j)] + c[(i, k)] + c[(j, k)]
        return (c[places] - pairs + c[(i,)] + c[(j,)] + c[(k,)]) / 6
    plus, minus = c[(i, k)], c[(i, ~k)]  # c(e_i +- e_k) = A_iii +- 3 A_iik + 3 A_ikk +- A_kkk
    return ((plus - minus) / 2 - c[(k,)]) / 3 if i == j else ((plus + minus) / 2 - c[(i,)]) / 3


def curve(function: Function, direction: Sequence[Any]) -> Callable[[float], Any]:
    """Return t -> f(a + t d), compiled, in the program's own arithmetic."""

    @jax.jit
    def value(t: Any, parameters: Any, data: Any, slopes: Any) -> Any:
        moved = [p + (t * d).astype(p.dtype) for p, d in zip(parameters, slopes, strict=True)]
        return function.value(moved, data)

    return lambda t: value(t, function.parameters, function.data, tuple(direction))


def length(direction: Sequence[Any]) -> float:
    """The Euclidean norm of a direction."""
    return float(np.linalg.norm(flatten(direction)))
