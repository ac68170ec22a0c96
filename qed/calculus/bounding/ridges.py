"""Lipschitz constants of sums of functions of affine functions (`qed.domains.curvature_sums`), on boxes of any size.

Of f = sum phi_k(d_k.x) + ... with l_k <= phi_k'' <= h_k the Hessian lies between sum l_k d_k d_k^T + ... and sum h_k
d_k d_k^T + ..., in the order of Loewner, and its norm is at most the greatest eigenvalue of either. For least squares
both are the Hessian; for the logistic loss h = 1/4, and the constant is that of Boehning and Lindsay (Ann. Inst.
Statist. Math. 40, 1988). The ranges of phi' and phi'' are enclosed on cells of the range of d.x, finer where that is
worth it. All this finds a number, in float64: `qed.certificates.ridges` proves it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from qed.calculus.shapes.found import Term, term
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_jets import Jets, Rough, halved
from qed.domains.curvature_pieces import Piece, marks, piece
from qed.domains.curvature_proof import digest
from qed.domains.curvature_sums import Block, NoSum, Ridge, Row, Sum, summed
from qed.domains.curvature_terms import ends
from qed.domains.curvature_values import NoValue
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.graph.trace import Traced

Array = np.ndarray
CLOSE, COARSE, MANY = 5e-3, 5e-2, 3
"""How far an enclosure may be beyond the values that are taken, in parts of them; and after so many ranges."""
CELLS = 2048
ROUNDS = 48
PATIENCE = 16
"""After how many rounds of halving a derivative that is not bounded is given up."""


class NoBound(Exception):
    """The text says why no constant was found in this way."""


@dataclass(frozen=True, eq=False)
class Found:
    """A constant, the ranges of the derivatives of the ridges that it rests on, and the number of all functions."""

    bound: float
    ranges: tuple[tuple[float, float], ...]
    count: int


def constant(traced: Traced, lower: list[Array], upper: list[Array], order: int, deadline: float) -> Found:
    """A Lipschitz constant of a function (order 0) or of its gradient (order 1) on a box.

    Raises NoBound where the function is no such sum, or its derivatives are not bounded.
    """
    found = term(traced, lower, upper)
    if found.form is None or found.doubtful is not None:
        raise NoBound(str(found.gap or f"it may be undefined: {found.doubtful}"))
    try:
        parts = summed(found.algebra, found.form)
    except NoSum as error:
        raise NoBound(str(error)) from None
    known: dict[Any, tuple[float, float]] = {}
    ranges = []
    for ridge in parts.ridges:
        if time.monotonic() > deadline:
            late = "the time is over"
            raise NoBound(late)
        ranges.append(_range(found.algebra, ridge, order, known))
    size = found.low.size
    bound = _norm_of_hessian(parts, ranges, size) if order else _norm_of_gradient(parts, ranges, size, found)
    if not np.isfinite(bound):
        unbounded = "its derivatives are not bounded"
        raise NoBound(unbounded)
    return Found(bound, tuple(ranges), len(parts.ridges) + len(parts.blocks))


# --- one ridge ------------------------------------------------------------------------------------------------


def _range(a: Algebra, ridge: Ridge, order: int, known: dict[Any, tuple[float, float]]) -> tuple[float, float]:
    """A range of phi' (order 0) or phi'' (order 1), widened by a little for other arithmetic to confirm it."""
    exact = ridge.exact[order]
    if exact is not None:
        return ends(exact[0])[0], ends(exact[1])[1]
    try:
        if ridge.core is not None:
            one, k = ridge.core
            low, high = _known(one, order, known)
            factor = _float(k * k if order else k)
            low, high = min(factor * low, factor * high), max(factor * low, factor * high)
        else:
            low, high = _of_pieces(a, ridge, order, known)
    except (NoValue, Rough) as error:
        message = f"no derivative of {error}"
        raise NoBound(message) from None
    if not (np.isfinite(low) and np.isfinite(high)):
        message = "its derivatives are not bounded"
        raise NoBound(message)
    room = 2.0**-20 * max(abs(low), abs(high))
    return low - room, high + room


def _of_pieces(a: Algebra, ridge: Ridge, order: int, known: dict[Any, tuple[float, float]]) -> tuple[float, float]:
    """The range over the pieces of the line."""
    places = marks(a, ridge.form, ridge.direction)
    if places is None:
        message = "it is made of too many pieces"
        raise NoBound(message)
    ranges = [_known(piece(a, ridge.form, ridge.direction, x, y), order, known) for x, y in pairwise(places)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _known(one: Piece, order: int, known: dict[Any, tuple[float, float]]) -> tuple[float, float]:
    """The range on a piece, computed once for equal ones."""
    key = digest(one.form, {}), str(one.line.low), str(one.line.high)
    if key not in known:
        known[key] = _on_piece(one, order, CLOSE if len(known) < MANY else COARSE)
    return known[key]


def _on_piece(one: Piece, order: int, close: float) -> tuple[float, float]:
    """The range on a piece, by cells."""
    if not one.form.free:
        return 0.0, 0.0
    cells = np.array([[-np.inf if one.line.low is None else ends(one.line.low)[0]],
                      [np.inf if one.line.high is None else ends(one.line.high)[1]]])  # fmt: skip
    if np.all(np.isfinite(cells)):
        marks_ = np.linspace(cells[0, 0], cells[1, 0], 17)
        marks_[[0, -1]] = cells[:, 0]
        cells = np.array([marks_[:-1], marks_[1:]])
    done = [np.inf, -np.inf]
    least, most = np.inf, -np.inf
    for turn in range(ROUNDS):
        low, high = _derivative(one, order, cells[0], cells[1])
        middle = np.array([halved(*map(float, cell)) for cell in cells.T])
        taken = _derivative(one, order, middle, middle)
        least, most = min(least, float(np.min(taken[1]))), max(most, float(np.max(taken[0])))
        slack = close * max(abs(least), abs(most))
        open_ = (low < least - slack) | (high > most + slack)
        open_ &= (cells[0] < middle) & (middle < cells[1])
        if cells.shape[1] > CELLS or (turn >= PATIENCE and not np.all(np.isfinite([low, high]))):
            open_[:] = False
        done = [min(done[0], *low[~open_], np.inf), max(done[1], *high[~open_], -np.inf)]
        if not np.any(open_) or (done[0] <= done[1] and not np.all(np.isfinite(done))):
            break
        kept, cut = cells[:, open_], middle[open_]
        cells = np.concatenate([[kept[0], cut], [cut, kept[1]]], 1)
    else:
        done = [min(done[0], *low[open_]), max(done[1], *high[open_])]
    return float(done[0]), float(done[1])


def _derivative(one: Piece, order: int, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds of phi' or phi'' on cells."""
    variable = one.line.variable
    with np.errstate(all="ignore"):
        jet = Jets(Interval(), {variable: Intervals(lower, upper)}).of(one.form)
    i = variable.index
    part = jet.second.get((i, i)) if order else jet.slope.get(i)
    if part is None:
        return np.zeros(len(lower)), np.zeros(len(lower))
    low, high = (np.broadcast_to(end, lower.shape) for end in part.bounds)
    lost = part.doubt.undefined
    lost = np.zeros(lower.shape, bool) if lost is None else np.broadcast_to(lost, lower.shape)
    return np.where(lost, -np.inf, low), np.where(lost, np.inf, high)


# --- together -------------------------------------------------------------------------------------------------


def _norm_of_hessian(parts: Sum, ranges: list[tuple[float, float]], size: int) -> float:
    if not np.all(np.isfinite(ranges)):
        return np.inf
    rows = np.array([_vector(r.row, size) for r in parts.ridges]).reshape((-1, size))
    low, high = np.array(ranges).reshape((-1, 2)).T
    least, most = rows.T @ (low[:, None] * rows), rows.T @ (high[:, None] * rows)
    for block in parts.blocks:
        bottom, top = _of_block(block, size)
        least, most = least + bottom, most + top
    return max(0.0, float(np.linalg.eigvalsh(most)[-1]), float(np.linalg.eigvalsh(-least)[-1]))


def _of_block(block: Block, size: int) -> tuple[Array, Array]:
    """Matrices below and above the Hessian of a block."""
    c = _float(block.factor)
    rows = np.array([_vector(row, size) for row in block.rows])
    if block.kind == "product":
        both = c * (np.outer(rows[0], rows[1]) + np.outer(rows[1], rows[0]))
        return both, both
    if block.kind == "lse":
        away = rows - rows.mean(0)
        top = c / 2 * away.T @ away
    else:
        weights = np.array([_float(k) for k in block.weights])
        if not weights[-1] > 0:
            corner = "the root of a sum of squares has a corner at 0"
            raise NoBound(corner)
        top = c * rows.T @ (weights[:-1, None] * rows) / np.sqrt(weights[-1])
    return (np.zeros_like(top), top) if c > 0 else (top, np.zeros_like(top))


def _norm_of_gradient(parts: Sum, ranges: list[tuple[float, float]], size: int, found: Term) -> float:
    """The length of the largest vector in a box that holds all gradients but those of roots, and these lengths."""
    if not np.all(np.isfinite(ranges)):
        return np.inf
    low = high = _vector(parts.linear, size)
    rest = 0.0
    for ridge, (a, b) in zip(parts.ridges, ranges, strict=True):
        row = _vector(ridge.row, size)
        low, high = low + np.minimum(a * row, b * row), high + np.maximum(a * row, b * row)
    for block in parts.blocks:
        c = _float(block.factor)
        rows = np.array([_vector(row, size) for row in block.rows])
        if block.kind == "root":
            weights = np.array([_float(k) for k in block.weights[:-1]])
            rest += abs(c) * float(np.sqrt(np.linalg.eigvalsh(rows.T @ (weights[:, None] * rows))[-1]))
            continue
        if block.kind == "product":
            (u, v), spans = rows, [found.algebra.range(part) for part in block.parts]
            if not np.all(np.isfinite(spans)):
                return np.inf
            vectors = [c * np.multiply.outer(span, row) for span, row in zip(spans, (v, u), strict=True)]
            rows = np.concatenate([np.array([x + y for x in vectors[0] for y in vectors[1]])])
        else:
            rows = c * rows
        low, high = low + rows.min(0), high + rows.max(0)
    return rest + float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high))))


def _vector(row: Row, size: int) -> Array:
    found = np.zeros(size)
    for i, c in row.items():
        found[i] = _float(c)
    return found


def _float(c: Any) -> float:
    return int(c.p) / int(c.q)
