"""What derivatives of higher order say where second derivatives are zero.

In one variable the first derivative that is not zero decides: of even order, a minimum where it is positive and a
maximum where it is negative; of odd order, neither (Apostol, *Calculus*, volume 1, 1967, theorem 7.8). In several, let
v be a flat direction and w_k the others, with curvatures l_k: near the point

    f = sum_k l_k s_k^2 / 2 + c_3 t^3 + t^2 sum_k B_k s_k + c_4 t^4 + ...,   c_k = D^k f[v, .., v] / k!,
    B_k = D^3 f[v, v, w_k] / 2.

With c_3 not zero f takes both signs along v: neither. Otherwise on the curve s_k = -t^2 B_k / l_k f is q t^4 + ... with
q = c_4 - sum_k B_k^2 / (2 l_k), which decides where it is not zero and v is the only flat direction (the splitting
lemma: Poston and Stewart, *Catastrophe Theory and its Applications*, 1978, section 4.5). The fourth derivative along v
by itself does not: (y - x^2)^2 is zero on a parabola.

A derivative is compared with others of its own order, or after a change of units the answer would be another one. It is
zero where it may be: its ball holds 0, or it is no more than what the distance to the critical point that was meant,
d <= eps |x| and f' along the way <= the rounding of the gradient, makes of the higher ones: sum_j>k binom(j, k) |c_j|
d^(j-k); in several variables also where it is a small part of the derivatives in other directions, since v is rounded.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kept import in_float64
from qed.calculus.points.case import Case
from qed.certificates.flat_direction import HIGHEST
from qed.graph.dtypes import unit_roundoff

Array = np.ndarray
MOST = 4
"""How many flat directions are looked at."""
ZERO = 1e-9
"""Which part of the largest coefficient of the same order is taken for zero."""
ROUNDINGS = 16
"""How many roundings of a coordinate the point may be off by."""
BALLS = 20_000
"""How many numbers the mixed third derivatives may take for balls; beyond they are taken from products in float64."""


@dataclass(frozen=True, eq=False)
class Higher:
    """What higher derivatives say.

    Args:
        nature: 'minimum', 'maximum', 'neither', or '' where they do not tell.
        order: of the derivative that decided; 0 where none did.
        coefficient: it divided by order!, along `direction`; of order 4 the corrected one, q.
        direction: along which.
        third, fourth: per flat direction looked at, the third and fourth derivative along it.
    """

    nature: str
    order: int = 0
    coefficient: float = 0.0
    direction: Array | None = None
    third: tuple[float, ...] = ()
    fourth: tuple[float, ...] = ()


def in_one_variable(case: Case, point: Array, rounding: float = 0.0, highest: int = HIGHEST) -> Higher:
    """The first derivative from the second on that is not zero, in balls of 100 bits, given the gradient's rounding.

    >>> import jax.numpy as jnp
    >>> from qed.calculus.points.case import Case
    >>> from qed.graph.function import read
    >>> for f in (lambda x: x**4, lambda x: x**3, lambda x: jnp.cos(x) - 1 + x**2 / 2 - x**6):
    ...     found = in_one_variable(Case(f, 0.0, (), read(f, 0.0)), np.zeros(1))
    ...     print(found.nature, found.order, round(found.coefficient, 4))
    minimum 4 1.0
    neither 3 1.0
    minimum 4 0.0417
    """
    lines, rooms = _series(case, point, np.ones((1, 1)), highest, rounding)
    line, room = lines[0].tolist(), rooms[0]
    order = next((k for k in range(2, highest + 1) if abs(line[k]) > room[k]), 0)
    if not order:
        return Higher("", third=(6 * line[3],), fourth=(24 * line[4],))
    nature = "neither" if order % 2 else "minimum" if line[order] > 0 else "maximum"
    return Higher(nature, order, line[order], np.ones(1), (6 * line[3],), (24 * line[4],))


def in_several(
    case: Case, point: Array, flat: Array, others: Array, curvatures: Array, rounding: float = 0.0
) -> Higher:
    """The third and the corrected fourth derivative along flat directions.

    Args:
        case: the function.
        point: the critical point.
        flat: flat directions, orthonormal columns.
        others: the other eigenvectors, as columns.
        curvatures: their eigenvalues.
        rounding: how long the gradient could be by rounding alone.

    >>> from qed.calculus.points.case import Case
    >>> from qed.graph.function import read
    >>> import jax.numpy as jnp
    >>> x, (flat, stiff) = jnp.zeros(2), np.hsplit(np.eye(2), 2)
    >>> for f in (lambda x: (x[1] - x[0] ** 2) ** 2 + x[0] ** 4, lambda x: x[1] ** 2 + x[1] * x[0] ** 2):
    ...     found = in_several(Case(f, x, (), read(f, x)), np.zeros(2), flat, stiff, np.array([2.0]))
    ...     print(found.nature, found.order, found.coefficient)
    minimum 4 1.0
    neither 4 -0.25
    """
    looked = flat[:, :MOST]
    count = looked.shape[1]
    mixed = [signs for signs in itertools.product((0, 1, -1), repeat=count) if sum(map(abs, signs)) > 1]
    sums = [looked @ np.array(signs, float) for signs in mixed if next(s for s in signs if s) > 0]
    lines = np.array([*looked.T, *(s / np.linalg.norm(s) for s in sums)])
    found, rooms = _series(case, point, np.concatenate([lines, _across(others)]), 4, rounding)
    third, fourth = tuple(6 * found[:count, 3]), tuple(24 * found[:count, 4])
    rooms = np.maximum(rooms, ZERO * np.max(np.abs(found), axis=0))[: len(lines)]
    found = found[: len(lines)]
    k = int(np.argmax(np.abs(found[:, 3]) - rooms[:, 3]))
    if abs(found[k, 3]) > rooms[k, 3]:
        return Higher("neither", 3, float(found[k, 3]), lines[k], third, fourth)
    quartic, room = found[:, 4], rooms[:, 4]
    if len(curvatures):
        taken = _mixed(case, point, lines, others) ** 2 / (2 * curvatures)
        quartic = quartic - np.sum(taken, axis=1)
        room = np.maximum(room, ZERO * np.sum(np.abs(taken), axis=1))
    low, high = bool(np.any(quartic < -room)), bool(np.any(quartic > room))
    down, up = bool(np.any(curvatures < 0)), bool(np.any(curvatures > 0))
    if (low and (up or high)) or (high and down):
        k = int(np.argmin(quartic)) if low and (up or high) else int(np.argmax(quartic))
        return Higher("neither", 4, float(quartic[k]), lines[k], third, fourth)
    if count == 1 == flat.shape[1] and (low or high):
        return Higher("minimum" if high else "maximum", 4, float(quartic[0]), lines[0], third, fourth)
    return Higher("", third=third, fourth=fourth)


def _mixed(case: Case, point: Array, lines: Array, others: Array) -> Array:
    """B_k of the module's first paragraph: a row for each line v, a column for each of the other eigenvectors."""
    if len(lines) * others.shape[1] * case.weight > BALLS:
        try:
            return _by_products(case, point, lines) @ others
        except NotImplementedError:  # where a rule is missing
            pass
    w, rows = others.T, []
    for v in lines:
        found, _ = _series(case, point, np.concatenate([v + w, v - w, w]), 3)
        plus, minus, alone = np.split(found[:, 3], 3)
        rows.append((plus - minus) / 2 - alone)
    return np.array(rows)


def _by_products(case: Case, point: Array, lines: Array) -> Array:
    """The gradient of x -> v'H(x)v / 2 for each line v, in float64."""
    with jax.enable_x64(True):
        value = in_float64(case.function)

        def along(x: Any, v: Any) -> Any:
            def slope(y: Any) -> Any:
                return jax.jvp(lambda z: value(z)[0], (y,), (v,))[1]

            return jax.jvp(slope, (x,), (v,))[1] / 2

        run = jax.jit(jax.grad(along))
        return np.array([np.asarray(run(point, np.asarray(v, np.float64))) for v in lines])


def _across(others: Array) -> Array:
    """Two directions in which all of the eigenvectors with curvature take part, whose signs a seed draws."""
    size = others.shape[1]
    if not size:
        return np.zeros((0, len(others)))
    signs = np.where(np.random.default_rng(0).random((2, size)) < 0.5, -1.0, 1.0)
    return signs @ others.T / np.sqrt(size)


def _series(case: Case, point: Array, lines: Array, order: int, rounding: float = 0.0) -> tuple[Array, Array]:
    """The coefficients of t -> f(point + t d), for each row d, and what each may be although it is meant to be 0."""
    _, rows = case.balls.series(point, point, lines, order)
    found = np.array([[float(term.mid()) for term in row] for row in rows])
    room = np.array([[float(term.rad()) for term in row] for row in rows])
    units = np.concatenate([np.full(p.size, unit_roundoff(p.dtype)) for p in case.function.parameters])
    far = ROUNDINGS * float(np.max(units * np.abs(point), initial=0.0))
    for line, most in zip(np.abs(found), room, strict=True):
        slopes = [(rounding / (k * line[k])) ** (1 / (k - 1)) for k in range(2, order + 1) if line[k] > 0]
        off = max(far, min(slopes, default=0.0))
        for k in range(order):
            most[k] += sum(math.comb(j, k) * line[j] * off ** (j - k) for j in range(k + 1, order + 1))
    return found, room
