"""The certificate of an integral over a box, in one, two or three dimensions: a tree of boxes, each with a rule.

On a cell X of the volume V about its middle m, with t = x - m, the integral of f by the midpoint rule is

    int_X f dx  in  V ( f(m) + sum_i e_i f_i(X) + s_i f_ii(X) / 2 ),    e_i = mean of t_i,  s_i = mean of t_i^2,

for f with continuous second derivatives on X: one coordinate is integrated after the other, and each has Lagrange's
remainder, so that mixed derivatives do not enter (Davis and Rabinowitz, *Methods of Numerical Integration*, 2nd ed.,
1984, section 5.6); e_i is what the middle is rounded by. Where f is not smooth on X, its range times V is taken.

The tree is written in the order in which it is walked: i >= 0 halves the cell in coordinate i, -1 is a leaf for the
better of both rules, -2 one for the range alone; -3 and -4 are the same, to be verified in balls. What a search found
in padded intervals (`qed.domains.padded_jets`) is verified in intervals rounded outward, on all leaves together; what
those do not know was found in intervals rounded outward, and is verified in balls. Of a logarithm of an integral,
f = exp(u - shift) is made here from the graph of u.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.bounded import surely_within
from qed.certificates.certificate import Boxed, placed
from qed.certificates.integral_parts import weight_of
from qed.domains.ball import Ball
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import Balls, between, objects
from qed.domains.ends import floats
from qed.domains.intervals import Intervals
from qed.domains.jets import jets_on
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.jaxpr import evaluate
from qed.graph.trace import Traced, trace
from qed.graph.walk import Unknown, Walker

Array = np.ndarray
SMOOTH, RANGE, IN_BALLS = -1, -2, -2
BITS = 96
CELLS, FEW = 2**13, 2**8
"""How many cells one pass takes, in intervals and in balls."""
UNBOUNDED = "the function is not proved to be defined and bounded on a leaf"
LARGEST = 2**18
"""How many leaves are verified at most."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class BoxIntegral(Boxed):
    """lower <= weight * (integral of f over the box) <= upper; or the same of shift + log(weight * integral of f).

    Args:
        box_lower, box_upper: the box, the numbers of the one array of the argument.
        tree: the cells.
        weight: a factor, a fraction as a text.
        logarithm: whether f is exp(u - shift) of the function u, and the claim about a logarithm.
        shift: see `logarithm`; 0 without it.
        lower, upper: the bounds.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.box_integral import BoxIntegral
    >>> from qed.certificates.certificate import Subject
    >>> subject = Subject(lambda x: x[0] * x[0] + x[1], np.zeros(2, np.float32))
    >>> box = ([np.zeros(2)], [np.ones(2)])
    >>> what = {"weight": "1", "logarithm": False, "shift": 0.0}
    >>> BoxIntegral.on_box(subject, box, tree=(-1,), **what, lower=0.83, upper=0.84).verify()
    True
    """

    kind: ClassVar[str] = "box integral"
    tree: tuple[int, ...]
    weight: str
    logarithm: bool
    shift: float
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if not (self.lower <= self.upper and np.isfinite(self.lower) and np.isfinite(self.upper)):
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no bounded interval")
        if len(traced.parameters) != 1 or np.ndim(traced.parameters[0]) != 1:
            raise CertificateError("function", "its argument is no vector")
        low, high = self.ends(traced)
        if not np.all(low < high) or not np.all(np.isfinite(low) & np.isfinite(high)):
            raise CertificateError("box_lower", "the box has no finite volume")
        if self.logarithm:
            if not np.isfinite(self.shift):
                raise CertificateError("shift", "it is no finite number")
            traced = exponential(traced, self.shift)
        elif self.shift:
            raise CertificateError("shift", "it is taken off a logarithm only")
        with precision(BITS):
            surely_within(self._enclosed(traced, low, high), self.lower, self.upper)

    def enclosed(self, traced: Traced) -> tuple[float, float]:
        """The bounds that verification finds for the number that the claim is about; raises as `prove` does."""
        low, high = self.ends(traced)
        with precision(BITS):
            ball = self._enclosed(exponential(traced, self.shift) if self.logarithm else traced, low, high)
            lower, upper = floats([ball])
            return float(lower[0]), float(upper[0])

    def _enclosed(self, traced: Traced, low: Array, high: Array) -> Any:
        """A ball of the weighted integral of f over the box, or of shift + its logarithm."""
        lower, upper, kinds = leaves(self.tree, low, high)
        total = flint().arb(0)
        for kind, rule in ((0, _intervals), (IN_BALLS, _balls)):
            for one in (SMOOTH, RANGE):
                chosen = kinds == kind + one
                if np.any(chosen):
                    total += rule(traced, lower[chosen], upper[chosen], one == SMOOTH)
        total = total * weight_of(self.weight, "weight")
        if not self.logarithm:
            return total
        if not (total.is_finite() and total > 0):
            raise CertificateError("tree", "the integral is not proved to be positive")
        return flint().arb(self.shift) + total.log()


def exponential(traced: Traced, shift: float) -> Traced:
    """The function exp(u - shift), float64 behind u, as a graph made from the graph of u."""

    def shifted(x: Any) -> Any:
        u = evaluate(traced.graph, placed(traced, [x]))[0]
        return jnp.exp(u.astype(jnp.float64) - jnp.float64(shift))

    with jax.enable_x64(True):
        return trace(shifted, np.asarray(traced.parameters[0]))


def leaves(tree: Sequence[int], low: Array, high: Array) -> tuple[Array, Array, Array]:
    """The cells of a tree (cells, n) and their kinds.

    Raises:
        CertificateError: where it is no tree of the box.

    >>> import numpy as np
    >>> from qed.certificates.box_integral import leaves
    >>> lower, upper, kinds = leaves((0, -1, -2), np.zeros(2), np.ones(2))
    >>> upper.tolist(), kinds.tolist()
    ([[0.5, 1.0], [1.0, 1.0]], [-1, -2])
    """
    waiting, lower, upper, kinds = [(low, high)], [], [], []
    for place, node in enumerate(tree):
        name = f"tree[{place}]"
        if not waiting:
            raise CertificateError(name, "it goes on behind its last leaf")
        a, b = waiting.pop()
        if -4 <= node < 0:
            lower.append(a)
            upper.append(b)
            kinds.append(node)
            if len(kinds) > LARGEST:
                raise CertificateError(name, "there are too many leaves")
            continue
        if not 0 <= node < len(low):
            raise CertificateError(name, f"{node} is no coordinate and no rule")
        middle = half(a[node], b[node])
        if not a[node] < middle < b[node]:
            raise CertificateError(name, "the cell cannot be halved")
        left, right = b.copy(), a.copy()
        left[node] = right[node] = middle
        waiting += [(right, b), (a, left)]
    if waiting:
        raise CertificateError("tree", "a part of the box has no leaf")
    return np.array(lower), np.array(upper), np.array(kinds)


def half(a: Any, b: Any) -> Any:
    """Where a cell is halved."""
    return a / 2 + b / 2


# --- sums over leaves ---


def _sides(low: Array, high: Array) -> tuple[Intervals, Array, Intervals, Intervals]:
    """Of cells: the volume, the middle, and the means of t and t^2 in each coordinate (cells, n)."""
    middle = half(low, high)
    a, b, m = Intervals.point(low), Intervals.point(high), Intervals.point(middle)
    sides = b - a
    volume = Intervals.point(np.ones(len(low)))
    for k in range(low.shape[1]):
        volume = volume * sides.map(lambda x, k=k: x[:, k])
    left, right = a - m, b - m
    return volume, middle, (left + right) * 0.5, (left * left + right * right + left * right) / 3.0


def _intervals(traced: Traced, low: Array, high: Array, smooth: bool) -> Any:
    """A ball of the integral over cells, in intervals rounded outward: of both enclosures of a cell what they share."""
    total = flint().arb(0)
    for start in range(0, len(low), CELLS):
        total += _of_cells(traced, low[start : start + CELLS], high[start : start + CELLS], smooth)
    return total


def _of_cells(traced: Traced, low: Array, high: Array, smooth: bool) -> Any:
    volume, middle, first, second = _sides(low, high)
    here = _jets(traced, low, high, 2 if smooth else 1)
    lower, upper = here.value.bounds
    lost = _lost(here.value)
    if smooth:
        centre = _jets(traced, middle, middle, 1).value
        i, j = np.triu_indices(low.shape[1])
        bent = here.hessian.map(lambda x: x[:, i == j]) * second * 0.5
        mean = centre + (here.slope * first + bent).sum(1)
        good = np.isfinite(mean.lower) & np.isfinite(mean.upper) & ~_lost(centre)
        lower = np.where(good, np.maximum(lower, mean.lower), lower)
        upper = np.where(good, np.minimum(upper, mean.upper), upper)
    found = Intervals(np.where(lost, -np.inf, lower), np.where(lost, np.inf, upper)) * volume
    ends = found.sum(0)
    if not (np.isfinite(ends.lower) and np.isfinite(ends.upper)):
        raise CertificateError("tree", UNBOUNDED)
    return flint().arb(float(ends.lower)).union(flint().arb(float(ends.upper)))


def _jets(traced: Traced, low: Array, high: Array, order: int) -> Any:
    found = jets_on(traced, [low], [high], order)
    if isinstance(found, Unknown):
        raise CertificateError("tree", str(found))
    return found


def _lost(value: Intervals) -> Array:
    """Where a value may be undefined or infinite."""
    mask = np.zeros(value.shape, bool)
    for part in (value.doubt.undefined, value.doubt.infinite):
        mask |= False if part is None else part
    return mask


def _balls(traced: Traced, low: Array, high: Array, smooth: bool) -> Any:
    """The same in balls."""
    volume, middle, first, second = _sides(low, high)
    values = _values(traced, low, high)
    if smooth:
        centre = _values(traced, middle, middle)
        derivatives = [_derivatives(traced, low, high, i) for i in range(low.shape[1])]
        with precision(BITS):
            for k, mean in enumerate(centre):
                for i, (slopes, halves) in enumerate(derivatives):
                    mean = mean + slopes[k] * between(float(first.lower[k, i]), float(first.upper[k, i]))
                    mean = mean + halves[k] * between(float(second.lower[k, i]), float(second.upper[k, i]))
                if mean.is_finite() and values[k].is_finite() and mean.rad() < values[k].rad():
                    values[k] = mean
    for k in [k for k, value in enumerate(values) if not value.is_finite()][:FEW]:  # a ball has no sharp ends
        values[k] = _between_ends(traced, low[k], high[k])
    with precision(BITS) as library:
        total = library.arb(0)
        for value, a, b in zip(values, volume.lower, volume.upper, strict=True):
            total += value * library.arb(float(a)).union(library.arb(float(b)))
        if not total.is_finite():
            raise CertificateError("tree", UNBOUNDED)
        return total


def _values(traced: Traced, low: Array, high: Array) -> list[Any]:
    """Balls of the values of f on cells; NaN where it may be undefined."""
    found: list[Any] = []
    for start in range(0, len(low), FEW):
        part = slice(start, start + FEW)
        with precision(BITS):
            box = Balls.between(low[part], high[part])
        found += _walked(traced, Ball(BITS, 1), box, len(low[part]))
    return found


def _between_ends(traced: Traced, low: Array, high: Array) -> Any:
    """A ball of the values of f on one cell, by intervals with exact ends; NaN where it may be undefined."""
    domain = BallEnds(BITS)
    value = Walker([domain]).run(traced.graph, placed(traced, [Ends.between(low, high)]))[0].values[0]
    with precision(BITS) as library:
        number = None if isinstance(value, Unknown) else domain.number(value)
        if number is None or number.doubt:
            return library.arb.nan()
        (pair,) = number.pairs.ravel()
        return pair[0].union(pair[1]) if pair[0].is_finite() and pair[1].is_finite() else library.arb.nan()


def _derivatives(traced: Traced, low: Array, high: Array, i: int) -> tuple[list[Any], list[Any]]:
    """Balls of the first derivative and of half the second in coordinate i on cells; NaN where f may not be smooth."""
    slopes: list[Any] = []
    halves: list[Any] = []
    for start in range(0, len(low), FEW):
        a, b = low[start : start + FEW], high[start : start + FEW]
        with precision(BITS, 3) as library:
            rows = [
                library.arb_series([between(float(p), float(q)), *([1] if k % low.shape[1] == i else [])])
                for k, (p, q) in enumerate(zip(a.ravel(), b.ravel(), strict=True))
            ]
            line = SeriesOfBalls(objects(rows, a.shape))
        found = _walked(traced, BallSeries(2, BITS, 1), line, len(a))
        with precision(BITS, 3):
            slopes += [x[1] for x in found]
            halves += [x[2] for x in found]
    return slopes, halves


def _walked(traced: Traced, domain: Any, box: Any, count: int) -> list[Any]:
    """The values of f on cells in a domain of balls, NaN where it may be undefined or not smooth."""
    value = Walker([domain]).run(traced.graph, placed(traced, [box]))[0].values[0]
    if isinstance(value, Unknown):
        raise CertificateError("tree", str(value))
    with precision(BITS, 3) as library:
        value = domain.number(value)
        lost = np.zeros(value.shape, bool)
        for mask in (value.doubt.undefined, value.doubt.infinite):
            lost |= False if mask is None else mask
        nan = library.arb_series([library.arb.nan()] * 3) if isinstance(domain, BallSeries) else library.arb.nan()
        found = np.where(lost, None, value.array)
        return [nan if x is None else x for x in np.broadcast_to(found, (count,))]
