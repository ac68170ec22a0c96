"""The certificate of a Lipschitz constant of a sum of functions of affine functions (`qed.domains.curvature_sums`).

Claimed: on a box |f(y) - f(x)| <= bound |y - x| (order 0), or the same of its gradient (order 1). It holds a range of
phi_k' or phi_k'' for each ridge phi_k(d_k.x). Verification takes the program apart again, with ranges in intervals
that end in numbers of python-flint, and compares the term with the program in balls; cuts the line of every ridge where
its choices change, and proves that phi_k is continuous there (order 0), or phi_k' is too (order 1); encloses its
derivative on cells; adds up the matrices in balls, and shows that bound I - H is positive definite for the upper one
and for minus the lower one. At last difference quotients of the program's own values, in balls, are held against the
bound.

A function whose slope is continuous, and Lipschitz on pieces that cover a segment, is so on the segment: kinks of f'
are allowed, those of f are not (Nesterov, *Lectures on Convex Optimization*, 2018, section 1.2.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import OutOfTime
from qed.certificates.certificate import Boxed, Subject
from qed.certificates.convexity import same_values
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_terms import terms_of
from qed.certificates.convexity_witness import value_at
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_jets import Jets, Rough, halved
from qed.domains.curvature_pieces import Piece, joined, marks, piece
from qed.domains.curvature_proof import digest
from qed.domains.curvature_sums import Block, NoSum, Ridge, Row, Sum, summed
from qed.domains.curvature_terms import ends
from qed.domains.curvature_values import NoValue
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
BITS = 200
CELLS = 4096
CHUNK = 256
PAIRS = 4
"""At how many pairs of points difference quotients are taken."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Ridges(Boxed):
    """A Lipschitz constant on a box, with a range (lower, upper) of each ridge's derivative.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.ridges import Ridges
    >>> box = [np.full(2, -np.inf)], [np.full(2, np.inf)]
    >>> logistic = lambda w: jnp.log(1 + jnp.exp(w[0] - 2 * w[1]))
    >>> Ridges.about(logistic, jnp.zeros(2), (), box=box, order=1, bound=1.2501, ranges=[(0.0, 0.25)]).verify()
    True
    """

    kind: ClassVar[str] = "ridges"
    order: int
    bound: float
    ranges: tuple[tuple[float, float], ...]

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, box: tuple[Sequence[Any], Sequence[Any]],
        order: int, bound: float, ranges: Sequence[tuple[float, float]],
    ) -> Self:  # fmt: skip
        """The certificate of a constant that was found; the box is two lists of arrays, as the leaves of `at`."""
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            order=int(order),
            bound=float(bound),
            ranges=tuple((float(a), float(b)) for a, b in ranges),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the ranges, and the bound from them."""
        self._prove(traced, np.inf)

    def confirm(self, deadline: float) -> None:
        """Verify until a time (time.monotonic()), after which OutOfTime is raised."""
        assert self.subject is not None
        self._prove(self.subject.traced(), deadline)

    def _prove(self, traced: Traced, deadline: float) -> None:
        if self.order not in (0, 1):
            raise CertificateError("order", f"{self.order} is neither 0 nor 1")
        if not 0 <= self.bound < np.inf:
            raise CertificateError("bound", f"{self.bound} is no constant")
        lower, upper = self.sides(traced)
        size = sum(side.size for side in lower)
        algebra, form = terms_of(traced, lower, upper)
        if form.lost is not None:
            raise CertificateError("box_lower", f"{form.lost} may be undefined somewhere on the box")
        same_values(traced, algebra, form, lower, upper)
        try:
            parts = summed(algebra, form)
        except NoSum as error:
            raise CertificateError("function", str(error)) from None
        if len(parts.ridges) != len(self.ranges):
            raise CertificateError("ranges", f"they are {len(self.ranges)}, and there are {len(parts.ridges)} ridges")
        done: dict[Any, Any] = {}
        for k, (ridge, pair) in enumerate(zip(parts.ridges, self.ranges, strict=True)):
            if time.monotonic() > deadline:
                raise OutOfTime
            _in_range(algebra, ridge, self.order, pair, f"ranges[{k}]", done)
        if self.order:
            self._definite(parts, size)
        else:
            self._short(algebra, parts, size)
        squares_are_sums(algebra)
        self._quotients(traced, lower, upper)

    # --- the sum ---

    def _definite(self, parts: Sum, size: int) -> None:
        """Both bounds of the Hessian lie between -bound I and bound I."""
        with precision(BITS) as flint:
            for side, sign in ((1, 1), (0, -1)):
                matrix = _matrix(parts, [pair[side] for pair in self.ranges], size, side, flint)
                identity = flint.arb_mat(size, size, [flint.arb(int(i == j)) for i in range(size) for j in range(size)])
                if not _positive(flint.arb(self.bound) * identity - sign * matrix, size, flint):
                    raise CertificateError("bound", f"an eigenvalue may be beyond {self.bound!r}")

    def _short(self, a: Algebra, parts: Sum, size: int) -> None:
        """The gradient is no longer than the bound."""
        with precision(BITS) as flint:
            total, rest = [flint.arb(0)] * size, flint.arb(0)
            for i, c in parts.linear.items():
                total[i] = total[i] + flint.arb(c)
            for ridge, (low, high) in zip(parts.ridges, self.ranges, strict=True):
                slope = flint.arb(low).union(flint.arb(high))
                for i, c in ridge.row.items():
                    total[i] = total[i] + flint.arb(c) * slope
            for block in parts.blocks:
                if block.kind == "root":
                    rest = rest + abs(flint.arb(block.factor)) * _length_of_root(block, size, flint)
                    continue
                for i in {i for row in block.rows for i in row}:
                    total[i] = total[i] + flint.arb(block.factor) * _slope_of_block(a, block, i, flint)
            square: Any = sum((abs(x).upper() ** 2 for x in total), flint.arb(0))
            if not square.sqrt() + rest <= flint.arb(self.bound):
                raise CertificateError("bound", f"the gradient may be {(square.sqrt() + rest).str(12)} long")

    def _quotients(self, traced: Traced, lower: list[Array], upper: list[Array]) -> None:
        """Difference quotients of the program's values do not exceed the bound."""
        random = np.random.default_rng(1)
        low, high = (np.concatenate([np.ravel(x) for x in side] or [np.zeros(0)]) for side in (lower, upper))
        low, high = np.maximum(low, np.minimum(high, 2.0) - 4.0), np.minimum(high, np.maximum(low, -2.0) + 4.0)
        for _ in range(PAIRS):
            first, second = (low + (high - low) * np.round(random.random(low.size) * 64) / 64 for _ in range(2))
            middle = first / 2 + second / 2
            values = []
            for point in (first, second, middle) if self.order else (first, second):
                values.append(value_at(traced, _pieces(point, lower), BITS))
            with precision(BITS) as flint:
                square: Any = sum(
                    ((flint.arb(float(b)) - flint.arb(float(a))) ** 2 for a, b in zip(first, second, strict=True)),
                    flint.arb(0),
                )
                if self.order and not np.array_equal(first - middle, middle - second):
                    continue
                gap = abs(values[0] + values[1] - 2 * values[2]) if self.order else abs(values[1] - values[0])
                most = flint.arb(self.bound) * (square / 4 if self.order else square.sqrt())
                if gap > most:
                    raise CertificateError("bound", f"values at points of the box differ by {gap.str(8)}")


def _pieces(point: Array, like: Sequence[Array]) -> list[Array]:
    cuts = np.cumsum([x.size for x in like])[:-1]
    return [part.reshape(x.shape) for part, x in zip(np.split(point, cuts), like, strict=True)]


# --- one ridge ------------------------------------------------------------------------------------------------


def _in_range(a: Algebra, ridge: Ridge, order: int, pair: Any, name: str, done: dict[Any, Any]) -> None:
    """Prove that phi' or phi'' exists between the cuts and lies in a range, and that phi or phi' is continuous."""
    low, high = (float(end) for end in pair)
    if not low <= high:
        raise CertificateError(name, "an end is above the other")
    exact = ridge.exact[order]
    if exact is not None:
        if not (a.rational(low) <= exact[0] and exact[1] <= a.rational(high)):
            raise CertificateError(name, f"the derivative reaches from {exact[0]} to {exact[1]}")
        return
    try:
        if ridge.core is not None:
            one, k = ridge.core
            _once(one, order, _divided(a, (low, high), k * k if order else k), name, done)
            return
        places = marks(a, ridge.form, ridge.direction)
        if places is None:
            raise CertificateError(name, "it is made of too many pieces")
        pieces = [piece(a, ridge.form, ridge.direction, x, y) for x, y in pairwise(places)]
        if not all(one.defined for one in pieces):
            raise CertificateError(name, "it may be undefined on a piece")
        _continuous(a, ridge, order, pieces, places, name)
        for one in pieces:
            _once(one, order, (low, high), name, done)
    except (NoValue, Rough) as error:
        raise CertificateError(name, f"no derivative of {error}") from None


def _divided(a: Algebra, pair: tuple[float, float], factor: Any) -> tuple[float, float]:
    """The range of g' or g'' that gives a range of factor g; rounded inward."""
    exact = sorted(a.rational(end) / factor for end in pair)
    return ends(exact[0])[1], ends(exact[1])[0]


def _once(one: Piece, order: int, pair: tuple[float, float], name: str, done: dict[Any, Any]) -> None:
    """Prove a range on a piece, if none of an equal piece within it was proved before."""
    key = digest(one.form, {}), str(one.line.low), str(one.line.high)
    if key in done and pair[0] <= done[key][0] and done[key][1] <= pair[1]:
        return
    _on_piece(one, order, *pair, name)
    done[key] = pair


def _continuous(
    a: Algebra, ridge: Ridge, order: int, pieces: Sequence[Piece], places: Sequence[Any], name: str
) -> None:
    """phi is convex or concave at every cut, which makes it continuous; both, and its slope is so too.

    At the ends of the line a convex function may jump: there the value has to be the limit.
    """
    negative = [Piece(one.line, one.line.algebra.scale(one.form, -1)) for one in pieces]
    wrong = [
        joined(a, a.scale(ridge.form, sign), ridge.direction, made, places, closed=True)
        for sign, made in ((1, pieces), (-1, negative))
    ]
    if len(pieces) == 1 and order == 0:
        wrong = [wrong[0] or wrong[1]]
    bad = [text for text in wrong if text is not None]
    if len(bad) == len(wrong) or (order and bad):
        kind = "the slope may jump" if "slope" in bad[0] else bad[0]
        raise CertificateError(name, f"{kind} ({bad[0]})")


def _on_piece(one: Piece, order: int, low: float, high: float, name: str) -> None:
    """Prove the range on an open piece: enclosures on cells, halved where they do not suffice."""
    if not one.form.free:
        if not low <= 0 <= high:
            raise CertificateError(name, "a derivative is 0")
        return
    domain = BallEnds()

    start = -np.inf if one.line.low is None else ends(one.line.low)[0]
    stop = np.inf if one.line.high is None else ends(one.line.high)[1]
    waiting, count = [(start, stop)], 0
    i = one.line.variable.index
    while waiting:
        part, waiting = waiting[:CHUNK], waiting[CHUNK:]
        count += len(part)
        if count > CELLS:
            raise CertificateError(name, f"a derivative may leave [{low!r}, {high!r}]")
        lows, highs = np.array(part).T
        with precision(domain.bits):
            jet = Jets(domain, {one.line.variable: Ends.between(lows, highs)}).of(one.form)
            found = jet.second.get((i, i)) if order else jet.slope.get(i)
            if found is None:
                below = above = np.zeros(len(part))
                lost = np.zeros(len(part), bool)
            else:
                below, above = (np.broadcast_to(end, lows.shape) for end in found.bounds)
                mask = found.doubt.undefined
                lost = np.zeros(len(part), bool) if mask is None else np.broadcast_to(mask, lows.shape)
        if np.any((below > high) | (above < low)):
            raise CertificateError(name, f"a derivative leaves [{low!r}, {high!r}]")
        for (a, b), fine in zip(part, (below >= low) & (above <= high) & ~lost, strict=True):
            if fine:
                continue
            middle = halved(a, b)
            if not a < middle < b:
                raise CertificateError(name, f"a derivative may leave [{low!r}, {high!r}]")
            waiting += [(a, middle), (middle, b)]


# --- matrices -------------------------------------------------------------------------------------------------


def _matrix(parts: Sum, curvatures: Sequence[float], size: int, side: int, flint: Any) -> Any:
    """The upper (side 1) or lower (side 0) bound of the Hessian."""
    total = flint.arb_mat(size, size)
    if parts.ridges:
        rows = _rows([ridge.row for ridge in parts.ridges], size, flint)
        scaled = _rows([ridge.row for ridge in parts.ridges], size, flint, [flint.arb(c) for c in curvatures])
        total = total + rows.transpose() * scaled
    for block in parts.blocks:
        total = total + _of_block(block, size, side, flint)
    return total


def _rows(rows: Sequence[Row], size: int, flint: Any, factors: Sequence[Any] | None = None) -> Any:
    entries = []
    for k, row in enumerate(rows):
        c = flint.arb(1) if factors is None else factors[k]
        entries += [c * flint.arb(row[i]) if i in row else flint.arb(0) for i in range(size)]
    return flint.arb_mat(len(rows), size, entries)


def _of_block(block: Block, size: int, side: int, flint: Any) -> Any:
    """A matrix above (side 1) or below (side 0) the Hessian of a block."""
    rows, factor = _rows(block.rows, size, flint), flint.arb(block.factor)
    if block.kind == "product":
        u, v = (_rows([row], size, flint) for row in block.rows)
        return factor * (u.transpose() * v + v.transpose() * u)
    if (block.factor > 0) != (side == 1):
        return flint.arb_mat(size, size)
    if block.kind == "lse":
        n = len(block.rows)
        away = [flint.arb(int(i == j)) - flint.arb(1) / n for i in range(n) for j in range(n)]
        return factor / 2 * (rows.transpose() * flint.arb_mat(n, n, away) * rows)
    *weights, rest = block.weights
    if not rest > 0:
        raise CertificateError("function", "the root of a sum of squares has a corner at 0")
    scaled = _rows(block.rows, size, flint, [flint.arb(k) for k in weights])
    return factor / flint.arb(rest).sqrt() * (rows.transpose() * scaled)


def _slope_of_block(a: Algebra, block: Block, i: int, flint: Any) -> Any:
    """The slopes of log-sum-exp, or of a product, in a coordinate."""
    if block.kind == "lse":
        hull = flint.arb(block.rows[0].get(i, 0))
        for row in block.rows[1:]:
            hull = hull.union(flint.arb(row.get(i, 0)))
        return hull
    found = flint.arb(0)
    for part, row in zip(block.parts, block.rows[::-1], strict=True):
        low, high = a.range(part)
        if not (np.isfinite(low) and np.isfinite(high)):
            raise CertificateError("bound", "a factor of a product is not bounded")
        found = found + flint.arb(row.get(i, 0)) * flint.arb(float(low)).union(flint.arb(float(high)))
    return found


def _length_of_root(block: Block, size: int, flint: Any) -> Any:
    """A bound of the gradient of a root of a quadratic: the root of the greatest eigenvalue of sum k g g^T."""
    scaled = _rows(block.rows, size, flint, [flint.arb(k) for k in block.weights[:-1]])
    matrix = _rows(block.rows, size, flint).transpose() * scaled
    middle = np.array([[float(matrix[i, j].mid()) for j in range(size)] for i in range(size)])
    top = flint.arb(float(np.linalg.eigvalsh((middle + middle.T) / 2)[-1]) * (1 + 2.0**-44))
    identity = flint.arb_mat(size, size, [flint.arb(int(i == j)) for i in range(size) for j in range(size)])
    if not _positive(top * identity - matrix, size, flint):
        raise CertificateError("bound", "the gradient of a root is not bounded")
    return top.sqrt()


def _positive(matrix: Any, size: int, flint: Any) -> bool:
    """Whether a symmetric matrix is positive definite: in a basis of approximate eigenvectors it is dominant."""
    middle = np.array([[float(matrix[i, j].mid()) for j in range(size)] for i in range(size)])
    _, basis = np.linalg.eigh((middle + middle.T) / 2)
    v = flint.arb_mat(size, size, [flint.arb(float(x)) for x in basis.ravel()])
    turned = v.transpose() * matrix * v
    for i in range(size):
        others = flint.arb(0)
        for j in range(size):
            others = others + (abs(turned[i, j]).upper() if j != i else flint.arb(0))
        if not turned[i, i] > others:
            return False
    return True
