"""What derivatives of higher order say where second derivatives are zero.

In one variable the first derivative that is not zero decides: of even order, a minimum where it is positive and a
maximum where it is negative; of odd order, neither (Apostol, *Calculus*, volume 1, 1967, theorem 7.8). In several, let
v be a flat direction and w_k the others, with curvatures l_k: near the point

    f = sum_k l_k s_k^2 / 2 + c_3 t^3 + t^2 sum_k B_k s_k + c_4 t^4 + ...,   c_k = D^k f[v, .., v] / k!,
    B_k = D^3 f[v, v, w_k] / 2.

With c_3 not zero f takes both signs along v: neither. Otherwise on the curve s_k = -t^2 B_k / l_k f is q t^4 + ... with
q = c_4 - sum_k B_k^2 / (2 l_k), which decides where it is not zero and v is the only flat direction (the splitting
lemma: Poston and Stewart, *Catastrophe Theory and its Applications*, 1978, section 4.5). The fourth derivative along v
by itself does not: (y - x^2)^2 is zero on a parabola. Where q is zero, too, the reduced function is expanded farther
(`qed.calculus.points.reduced`).

Which coefficients are zero is decided line by line, so that no unit of x or of f matters. At the point itself they are
balls of 100 bits. Where c_2 is not zero but rounding, the flat point is another one, up to s away: what c_m gives to
c_k over such a distance says nothing of c_k, and neither does what is lost in the digits of the program.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kept import in_float64
from qed.calculus.points.case import Case
from qed.calculus.points.line import LOST, SAFETY, Line
from qed.calculus.points.reduced import falling, reduced
from qed.certificates.flat_direction import HIGHEST
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.ball_boxes import NotSmooth
from qed.domains.precision import precision

Array = np.ndarray
MOST = 4
"""How many flat directions are looked at."""
ZERO = 1e-9
"""Which part of the two terms of q is taken for zero in it."""
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
        curved: whether it is of the reduced function, on a curve that begins along `direction`.
    """

    nature: str
    order: int = 0
    coefficient: float = 0.0
    direction: Array | None = None
    third: tuple[float, ...] = ()
    fourth: tuple[float, ...] = ()
    curved: bool = False

    @property
    def cubic(self) -> bool:
        """Whether the third derivative along a straight line decided."""
        return self.order == 3 and not self.curved


def in_one_variable(case: Case, point: Array, highest: int = HIGHEST) -> Higher:
    """The first derivative from the second on that is not zero, in balls of 100 bits.

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
    line = _series(case, point, np.ones((1, 1)), highest)[0]
    third, fourth = (6 * line.middle[3],), (24 * line.middle[4],)
    for order in range(2, highest + 1):
        sure = line.nonzero(order)
        if sure and _is_lost(case, point, line, order):
            sure = None
        if sure is None and order > 2:
            break
        if sure:
            nature = "neither" if order % 2 else "minimum" if line.middle[order] > 0 else "maximum"
            return Higher(nature, order, line.middle[order], np.ones(1), third, fourth)
    return Higher("", third=third, fourth=fourth)


def in_several(case: Case, point: Array, flat: Array, others: Array, curvatures: Array, room: float = 0.0) -> Higher:
    """The third and the corrected fourth derivative along flat directions.

    Args:
        case: the function.
        point: the critical point.
        flat: flat directions, orthonormal columns.
        others: the other eigenvectors, as columns.
        curvatures: their eigenvalues.
        room: how far these may be off.

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
    found = _series(case, point, lines, 4)
    third = tuple(6 * line.middle[3] for line in found[:count])
    fourth = tuple(24 * line.middle[4] for line in found[:count])
    cubic = [_third(case, point, line, others, curvatures) for line in found]
    k = max(range(len(found)), key=lambda i: (cubic[i] is True, abs(found[i].middle[3])))
    if cubic[k]:
        return Higher("neither", 3, found[k].middle[3], lines[k], third, fourth)
    untold = Higher("", third=third, fourth=fourth)
    if None in cubic:
        return untold
    quartic = np.array([line.middle[4] for line in found])
    doubt = ZERO * np.abs(quartic) + np.array([line.radius[4] for line in found])
    if len(curvatures):
        mixed, rounded = _mixed(case, point, lines, others)
        parts = mixed**2 / (2 * curvatures)
        quartic = quartic - np.sum(parts, axis=1)
        doubt = doubt + np.sum(np.abs(parts) * (ZERO + room / np.abs(curvatures)), axis=1)
        doubt = doubt + np.sum((2 * np.abs(mixed) + rounded) * rounded / (2 * np.abs(curvatures)), axis=1)
        doubt = doubt + np.array([_turned(line, curvatures) for line in found]) * _across(case, point, others)
    low, high = bool(np.any(quartic < -doubt)), bool(np.any(quartic > doubt))
    down, up = bool(np.any(curvatures < 0)), bool(np.any(curvatures > 0))
    neither = (low and (up or high)) or (high and down)
    k = int(np.argmin(quartic)) if low and (up or high) else int(np.argmax(quartic))
    if not (neither or (count == 1 == flat.shape[1] and (low or high))) or not _fourth(case, point, found[k]):
        return untold
    nature = "neither" if neither else "minimum" if high else "maximum"
    return Higher(nature, 4, float(quartic[k]), lines[k], third, fourth)


def beyond(case: Case, point: Array, flat: Array, others: Array, curvatures: Array, found: Higher) -> Higher:
    """What the reduced function says, where the third and fourth derivatives, `found`, do not tell."""
    down, up = bool(np.any(curvatures < 0)), bool(np.any(curvatures > 0))
    if flat.shape[1] == 1:
        term = reduced(case, point, flat[:, 0], others, curvatures)
        if term is None or not term.order:
            return found
        falls, rises = term.coefficient < 0, term.coefficient > 0
        neither = term.order % 2 == 1 or (falls and up) or (rises and down)
        nature = "neither" if neither else "minimum" if rises else "maximum"
    else:
        terms = falling(case, point, flat, others, curvatures) if flat.shape[1] <= MOST else None
        if terms is None:
            return found
        low, high = terms
        falls, rises = low.coefficient < 0, high.coefficient > 0
        if not (low.order % 2 == 1 or (falls and (up or rises)) or (rises and down)):
            return found
        nature, term = "neither", low if falls else high
    return replace(
        found, nature=nature, order=term.order, coefficient=term.coefficient, direction=term.direction, curved=True
    )


def _third(case: Case, point: Array, line: Line, others: Array, curvatures: Array) -> bool | None:
    """Whether the third derivative along a line is not zero; None where that is not known."""
    sure = line.nonzero(3)
    if not sure:
        return sure
    if line.second and len(curvatures):  # the direction may be off by sqrt(2 c_2 / l), which brings B_k into c_3
        brought = _turned(line, curvatures) * np.linalg.norm(_mixed(case, point, line.direction[None], others)[0])
        if abs(line.middle[3]) <= brought:
            return False
    return None if _is_lost(case, point, line, 3) else True


def _turned(line: Line, curvatures: Array) -> float:
    """How far the direction of a line may be off, several times: so that c_2 is what it is."""
    return SAFETY * float(np.sqrt(2 * line.second / np.min(np.abs(curvatures))))


def _across(case: Case, point: Array, others: Array) -> float:
    """The fourth derivative, divided by 4!, along two directions in which all of the other eigenvectors take part."""
    signs = np.where(np.random.default_rng(0).random((2, others.shape[1])) < 0.5, -1.0, 1.0)
    found = _series(case, point, signs @ others.T / np.sqrt(others.shape[1]), 4)
    return max(abs(line.middle[4]) for line in found)


def _fourth(case: Case, point: Array, line: Line) -> bool:
    """Whether neither the place of the point nor the digits of the program make the fourth derivative along a line."""
    longer = _series(case, point, line.direction[None], 6)[0] if line.second else line
    tiny = line.middle[4] == 0.0 or not line.nonzero(4)  # then q is made of the others
    return bool(tiny or (longer.nonzero(4) and not _is_lost(case, point, line, 4)))


def _is_lost(case: Case, point: Array, line: Line, order: int) -> bool:
    """Whether a coefficient may be what the digits of the program leave of a difference."""
    bits = 53 if "64" in case.function.dtype else 24
    try:
        _, rows = SmoothBoxes(case.function.traced, bits=bits).series(point, point, line.direction[None], order)
    except NotSmooth:
        return True
    return abs(line.middle[order]) <= LOST * float(rows[0][order].rad())


def _mixed(case: Case, point: Array, lines: Array, others: Array) -> tuple[Array, Array]:
    """B_k of the module's first paragraph and its rounding: a row for each line v, a column for each eigenvector."""
    eps = float(np.finfo(float).eps)
    if len(lines) * others.shape[1] * case.weight > BALLS:
        try:
            found = _by_products(case, point, lines) @ others
        except NotImplementedError:  # where a rule is missing
            pass
        else:
            return found, np.full_like(found, 64 * eps * np.max(np.abs(found), initial=0.0))
    w, rows, rounded = others.T, [], []
    for v in lines:
        found = np.array([line.middle[3] for line in _series(case, point, np.concatenate([v + w, v - w, w]), 3)])
        plus, minus, alone = np.split(found, 3)
        rows.append((plus - minus) / 2 - alone)
        rounded.append(2 * eps * (np.abs(plus) + np.abs(minus) + np.abs(alone)))
    return np.array(rows), np.array(rounded)


def _by_products(case: Case, point: Array, lines: Array) -> Array:
    """The gradient of x -> v'H(x)v / 2 for each line v, in float64."""
    with jax.enable_x64(True):
        value = in_float64(case.values)

        def along(x: Any, v: Any) -> Any:
            def slope(y: Any) -> Any:
                return jax.jvp(lambda z: value(z)[0], (y,), (v,))[1]

            return jax.jvp(slope, (x,), (v,))[1] / 2

        run = jax.jit(jax.grad(along))
        return np.array([np.asarray(run(point, np.asarray(v, np.float64))) for v in lines])


def _series(case: Case, point: Array, lines: Array, order: int) -> list[Line]:
    """The coefficients of t -> f(point + t d), for each row d."""
    _, rows = case.balls.series(point, point, lines, order)
    with precision(case.balls.bits):
        return [
            Line(d, tuple(float(c.mid()) for c in row), tuple(float(c.rad()) for c in row))
            for d, row in zip(lines, rows, strict=True)
        ]
