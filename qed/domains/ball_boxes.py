"""A function and its derivatives on one box, in python-flint: what float64 intervals found, computed by other code.

Values come from intervals with exact ends (`qed.domains.ball_ends`). Derivatives come from power series of balls
(`qed.domains.ball_series`): with the ball of the box for the leading coefficient of the argument and a direction d for
the next one, the coefficients of t and t^2 enclose d . grad f and d^T H d / 2 at all points of the box, wherever f is
smooth there. Several directions go through the graph together; mixed derivatives come from sums of two,
u^T H v = (q(u + v) - q(u) - q(v)) / 2 with q(d) = d^T H d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import between, objects
from qed.domains.precision import precision
from qed.graph.trace import Traced
from qed.graph.walk import Frame, Unknown, Walker

Array = np.ndarray
BITS = 100


class NotSmooth(Exception):
    """The function may not be smooth, or not be defined, on the box; or a primitive has no rule."""


class BallBoxes:
    """A traced function of one value on boxes, given by vectors: the arrays of its argument laid end to end.

    Of a function that returns an array, one component is looked at, counted in row-major order. Values and series are
    computed with `bits`.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.domains.ball_boxes import BallBoxes
    >>> from qed.graph.trace import trace
    >>> f = BallBoxes(trace(lambda x: x[0] * x[0] * x[1], np.zeros(2)))
    >>> low, high = np.array([1.0, 1.0]), np.array([1.5, 1.0])
    >>> [end.str(4) for end in f.range(low, high)], [s.str(4, radius=False) for s in f.slopes(low, low)]
    (['1.000', '2.250'], ['2.000', '1.000'])
    """

    def __init__(self, traced: Traced, component: int | None = None, bits: int = BITS) -> None:
        self.traced, self.component, self.bits = traced, component, bits
        self.shapes = [np.shape(leaf) for leaf in traced.parameters]
        self.size = sum(int(np.prod(shape)) for shape in self.shapes)

    def _placed(self, values: Sequence[Any]) -> list[Any]:
        inputs = list(self.traced.leaves)
        for position, value in zip(self.traced.free, values, strict=True):
            inputs[position] = value
        return inputs

    def _pieces(self, x: Array) -> list[Array]:
        """A vector (..., n) as arrays (..., *shape)."""
        found, start = [], 0
        for shape in self.shapes:
            count = int(np.prod(shape))
            found.append(x[..., start : start + count].reshape((*x.shape[:-1], *shape)))
            start += count
        return found

    def range(self, lower: Array, upper: Array) -> tuple[Any, Any]:
        """Exact bounds of the values on a box.

        Raises:
            NotSmooth: where the function may be undefined.
        """
        lowest, highest = self.values(lower, upper)
        return lowest.item(), highest.item()

    def values(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Exact bounds of the values on a box, of a function that returns an array as arrays of objects.

        Raises:
            NotSmooth: where the function may be undefined.
        """
        domain = BallEnds(self.bits)
        with precision(self.bits):
            box = [Ends.between(a, b) for a, b in zip(self._pieces(lower), self._pieces(upper), strict=True)]
        value = self._walked(domain, box)
        with precision(self.bits):
            value = self._one(domain.number(value))
        if value.doubt:
            raise NotSmooth(str(value.doubt.place or "the value may be infinite"))
        return value.lower, value.upper

    def series(
        self, lower: Array, upper: Array, directions: Array, order: int
    ) -> tuple[tuple[Any, Any], list[list[Any]]]:
        """Bounds of the values on the box, and for each direction (count, n) the coefficients of 1, t, ..., t^order.

        Both are carried along the graph together: the leading coefficients are kept within the values' bounds.

        Raises:
            NotSmooth: where the function may not be smooth.
        """
        ends, balls = self._carried(lower, upper, directions, order)
        rows = np.broadcast_to(balls.array, (len(directions),))
        with precision(self.bits, order + 1):
            return (ends.lower.item(), ends.upper.item()), [[s[j] for j in range(order + 1)] for s in rows]

    def along(self, curves: Array, order: int) -> list[list[Any]]:
        """The coefficients of 1, t, ..., t^order of f on curves (count, n, degree + 1), whose own are exact balls.

        All curves begin at one point.

        Raises:
            NotSmooth: where the function may not be smooth at that point.

        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> f = BallBoxes(trace(lambda x: (x[1] - x[0] ** 2) ** 2 - x[0] ** 6, np.zeros(2)))
        >>> [float(c) for c in f.along(objects([0, 1, 0, 0, 0, 1], (1, 2, 3)), 6)[0]]
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]
        """
        with precision(self.bits, order + 1) as library:
            first = [library.arb(c) for c in curves[0, :, 0]]
            lower, upper = np.array([_ends(library, c) for c in first]).T
            lines = np.empty(curves.shape[:2], object)
            for k, i in np.ndindex(lines.shape):
                lines[k, i] = library.arb_series(list(curves[k, i]))
        _, balls = self._carried(lower, upper, lines, order)
        rows = np.broadcast_to(balls.array, (len(curves),))
        with precision(self.bits, order + 1):
            return [[s[j] for j in range(order + 1)] for s in rows]

    def arrays(self, lower: Array, upper: Array, directions: Array, order: int) -> tuple[Array, Array, Array]:
        """Of a function that returns a vector (m,): bounds of its values, and the series, (directions, m), as objects.

        Raises:
            NotSmooth: where the function may not be smooth.
        """
        ends, balls = self._carried(lower, upper, directions, order)
        return ends.lower, ends.upper, np.broadcast_to(balls.array, (len(directions), *ends.lower.shape))

    def _carried(self, lower: Array, upper: Array, directions: Array, order: int) -> tuple[Any, Any]:
        """The values of the graph on the box, in exact ends and in series."""
        ends, domain = BallEnds(self.bits), BallSeries(order, self.bits, batch=1)
        with precision(self.bits, order + 1) as library:
            lines = directions if directions.dtype == object else self._lines(library, lower, upper, directions)
            box = [SeriesOfBalls(objects(list(part.ravel()), part.shape)) for part in self._pieces(lines)]
            exact = [Ends.between(a, b) for a, b in zip(self._pieces(lower), self._pieces(upper), strict=True)]
        walker = Walker([ends, domain])
        cells = list(walker.start(self.traced.graph, self._placed([np.zeros(shape) for shape in self.shapes])))
        for position, a, b in zip(self.traced.free, exact, box, strict=True):
            cells[position] = replace(cells[position], values=(a, b))
        (cell, *_) = walker.walk(self.traced.graph, cells, Frame(self.traced.graph))
        found = []
        for part, value in zip((ends, domain), cell.values, strict=True):
            if isinstance(value, Unknown):
                raise NotSmooth(str(value))
            with precision(self.bits, order + 1):
                number = self._one(part.number(value), part.batch)
            if number.doubt:
                raise NotSmooth(str(number.doubt.place or "the function may not be smooth there"))
            found.append(number)
        return found[0], found[1]

    def _lines(self, library: Any, lower: Array, upper: Array, directions: Array) -> Array:
        """The series of the coordinates on the lines from a box along directions."""
        balls = [between(float(a), float(b)) for a, b in zip(lower, upper, strict=True)]
        lines = np.empty(directions.shape, object)
        still = [library.arb_series([ball, 0]) for ball in balls]  # one object each: computed with once
        for k, i in np.ndindex(directions.shape):
            d = float(directions[k, i])
            lines[k, i] = library.arb_series([balls[i], library.arb(d)]) if d else still[i]
        return lines

    def _one(self, value: Any, batch: int = 0) -> Any:
        """The one number of the value, or the one component of it."""
        k = self.component
        return value if k is None else value.map(lambda a: a.reshape((*a.shape[:batch], -1))[..., k])

    def _walked(self, domain: Any, box: Sequence[Any]) -> Any:
        (cell, *_) = Walker([domain]).run(self.traced.graph, self._placed(box))
        value = cell.values[0]
        if isinstance(value, Unknown):
            raise NotSmooth(str(value))
        return value

    def slopes(self, lower: Array, upper: Array) -> list[Any]:
        """The balls of the partial derivatives on a box."""
        return [s[1] for s in self.series(lower, upper, np.eye(self.size), 1)[1]]

    def forms(self, lower: Array, upper: Array, basis: Array) -> list[list[Any]]:
        """The balls of u^T H v on a box, for all rows u, v of a basis."""
        count = len(basis)
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        sums = [basis[i] + basis[j] for i, j in pairs]
        _, found = self.series(lower, upper, np.array([*basis, *sums]), 2)
        with precision(self.bits) as library:
            squares = [2 * s[2] for s in found]
            matrix = [[library.arb(0)] * count for _ in range(count)]
            for i in range(count):
                matrix[i][i] = squares[i]
            exact = self._exact_sums(basis, pairs)
            for k, (i, j) in enumerate(pairs):
                assert exact[k]
                matrix[i][j] = matrix[j][i] = (squares[count + k] - squares[i] - squares[j]) / 2
        return matrix

    def _exact_sums(self, basis: Array, pairs: Sequence[tuple[int, int]]) -> list[bool]:
        """Whether the sums of two directions are exact in float64; the identity above needs it."""
        return [bool(np.all((basis[i] + basis[j]) - basis[j] == basis[i])) for i, j in pairs]


def _ends(library: Any, ball: Any) -> tuple[float, float]:
    """Floats below and above a ball, equal where it is one."""
    low, high = float(ball.lower()), float(ball.upper())
    return (
        low if library.arb(low) <= ball else float(np.nextafter(low, -np.inf)),
        high if library.arb(high) >= ball else float(np.nextafter(high, np.inf)),
    )


class Negative(BallBoxes):
    """The same of -f."""

    def range(self, lower: Array, upper: Array) -> tuple[Any, Any]:
        """Exact bounds of the values of -f on a box."""
        low, high = super().range(lower, upper)
        return -high, -low

    def series(
        self, lower: Array, upper: Array, directions: Array, order: int
    ) -> tuple[tuple[Any, Any], list[list[Any]]]:
        """Bounds of the values of -f, and the coefficients along each direction."""
        (low, high), rows = super().series(lower, upper, directions, order)
        return (-high, -low), [[-coefficient for coefficient in row] for row in rows]


def rounded(basis: Array, bits: int = 20) -> Array:
    """Return directions whose numbers are multiples of 2^-bits, so that sums of two are exact.

    >>> import numpy as np
    >>> from qed.domains.ball_boxes import rounded
    >>> rounded(np.array([[1 / 3]]), bits=4).tolist()
    [[0.3125]]
    """
    return np.round(basis * 2.0**bits) / 2.0**bits
