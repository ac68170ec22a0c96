"""The certificate of a Taylor model in several variables: what the polynomial leaves on a cube about the point.

Claim: for all h with |h_i| <= radius the function is n + 1 times differentiable between a and a + h, and

    f(a + h) - sum_{k <= n} T_k[h, ..., h]  lies in  [lower, upper],       T_k = polynomial[k], n^k numbers.

Verification, by the form of Lagrange: with g(s) = f(a + s h) there is an s in [0, 1] with

    f(a + h) = sum_{k <= n} A_k[h, ..., h] + c_{n+1}(s),

A_k the symmetric tensors of D^k f(a) / k! and c_{n+1}(s) the Taylor coefficient of g about s. The entries of A_k follow
by polarisation from coefficients along sums of axes (Greub, *Multilinear Algebra*, 1978, section 9.6); c_{n+1} is
enclosed for all h of an orthant of the cube, or of the whole of it, and all s at once: series of balls whose constant
term is the orthant about a, and whose slope is the orthant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement, permutations, product
from math import factorial
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, Subject, flat, shaped
from qed.certificates.smooth_boxes import series_of
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import between, each
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

BITS = 200
ORTHANTS = 4
"""In how many variables at most the cube is cut into its orthants."""

ROOM = 2.0**-20
"""A claim made by `about` is wider than what was found by this part of each end, which is room for the balls' radii."""

Axes = tuple[int, ...]


def axes(size: int, order: int) -> list[Axes]:
    """The sums of axes along which coefficients are taken, as sorted tuples of axes with repetitions.

    >>> axes(2, 2)
    [(0,), (1,), (0, 0), (0, 1), (1, 1)]
    """
    return [each for k in range(1, order + 1) for each in combinations_with_replacement(range(size), k)]


def orthants(size: int) -> Iterator[list[tuple[int, int]]]:
    """The pieces of the cube [-1, 1]^n: for each variable its ends."""
    if size > ORTHANTS:
        yield [(-1, 1)] * size
    else:
        yield from (list(ends) for ends in product(((-1, 0), (0, 1)), repeat=size))


def polarised(along: Callable[[Axes, int], Any], index: Axes) -> Any:
    """The entry A_k[e_i, e_j, ...] from the coefficients of t^k along sums of axes; k! times it, to be exact.

    >>> polarised(lambda at, k: len(at) ** k, (0, 0))
    2
    """
    k = len(index)
    total: Any = 0
    for count in range(1, k + 1):
        for chosen in combinations(index, count):
            term = along(tuple(sorted(chosen)), k)
            total = total + term if (k - count) % 2 == 0 else total - term
    return total


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TaylorTensors(Certificate):
    """A Taylor model of order n on a cube; `polynomial[k]` holds the n^k numbers of T_k in row-major order.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.taylor_tensors import TaylorTensors
    >>> certificate = TaylorTensors.about(
    ...     lambda x: x[0] * x[1], jnp.zeros(2), (),
    ...     radius=0.5, polynomial=((0.0,), (0.0, 0.0)), remainder=(-0.25, 0.25),
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "taylor tensors"
    point: tuple[tuple[float, ...], ...]
    radius: float
    order: int
    polynomial: tuple[tuple[float, ...], ...]
    lower: float
    upper: float

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        radius: float,
        polynomial: Sequence[Any],
        remainder: tuple[float, float],
    ) -> Self:
        """The certificate of a model that was found; the ends of the remainder are moved outward by `ROOM`."""
        subject = Subject(fun, at, tuple(args))
        traced = subject.traced()
        room = ROOM * max(abs(remainder[0]), abs(remainder[1]))
        return cls.made(
            subject,
            traced,
            point=flat(traced.parameters),
            radius=float(radius),
            order=len(polynomial) - 1,
            polynomial=flat(polynomial),
            lower=float(remainder[0]) - room,
            upper=float(remainder[1]) + room,
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim by power series of balls."""
        point = shaped(self.point, traced, "point")
        if not (0 < self.radius < np.inf):
            raise CertificateError("radius", f"{self.radius} is no radius")
        size = sum(x.size for x in point)
        if not (self.order >= 0 and [len(t) for t in self.polynomial] == [size**k for k in range(self.order + 1)]):
            why = f"order {self.order} in {size} variables has other tensors"
            raise CertificateError("order", why)
        there = [np.asarray(leaf, np.float64) for leaf in traced.parameters]
        if any(not np.array_equal(a, b) for a, b in zip(point, there, strict=True)):
            raise CertificateError("point", "it is not the point that the function is given at")
        walk = _Walk(traced, point, self.order)
        slack = self._slack(walk, size)
        for number, ends in enumerate(orthants(size)):
            last = walk.on(ends, self.radius, f"radius, orthant {number}")[self.order + 1]
            with precision(BITS) as flint:
                if not last.is_finite():
                    raise CertificateError("upper", "the next coefficient is not bounded by balls")
                for end in (last.lower() - slack, last.upper() + slack, -slack, slack):
                    if not (end >= flint.arb(self.lower) and end <= flint.arb(self.upper)):
                        why = f"the remainder reaches {end.str(8)}, outside [{self.lower!r}, {self.upper!r}]"
                        raise CertificateError("upper", why)

    def _slack(self, walk: _Walk, size: int) -> Any:
        """A bound of |sum (A_k - T_k)[h, ..., h]| on the cube."""
        lines: dict[Axes, Any] = {(): walk.along((), "point")}
        for each_ in axes(size, self.order):
            lines[each_] = walk.along(each_, "point")
        with precision(BITS) as flint:
            total = abs(lines[()][0] - flint.arb(self.polynomial[0][0]))
            for k in range(1, self.order + 1):
                numbers = np.array(self.polynomial[k]).reshape((size,) * k)
                for index in combinations_with_replacement(range(size), k):
                    entry = polarised(lambda at, degree: lines[at][degree], index) / factorial(k)
                    places = set(permutations(index))
                    stated = sum((flint.arb(float(numbers[place])) for place in places), flint.arb(0))
                    total = total + abs(entry * len(places) - stated) * flint.arb(self.radius) ** k
            return total


class _Walk:
    """The function as series of balls, along sums of axes at the point, and for all directions of an orthant."""

    def __init__(self, traced: Traced, point: Sequence[np.ndarray], order: int) -> None:
        self.traced, self.point = traced, list(point)
        self.domain = BallSeries(order + 1, BITS)

    def along(self, direction: Axes, node: str) -> Any:
        """The series of t -> f(a + t d), d a sum of axes."""
        d = np.bincount(np.array(direction, int), minlength=sum(x.size for x in self.point)).astype(float)
        return self._value([(x, x) for x in d.tolist()], [(0.0, 0.0)] * d.size, node)

    def on(self, ends: Sequence[tuple[int, int]], radius: float, node: str) -> Any:
        """The series of t -> f(x + t h) for all h of an orthant and all x of the orthant about the point."""
        scaled = [(low * radius, high * radius) for low, high in ends]
        return self._value(scaled, scaled, node)

    def _value(self, slopes: Sequence[tuple[float, float]], moved: Sequence[tuple[float, float]], node: str) -> Any:
        lines, start = [], 0
        with precision(BITS, self.domain.order + 1) as flint:
            for x in self.point:
                d = np.array(range(start, start + x.size), object).reshape(x.shape)
                start += x.size

                def line(value: float, place: int) -> Any:
                    return flint.arb_series([flint.arb(value) + between(*moved[place]), between(*slopes[place])])

                lines.append(SeriesOfBalls(each(line, np.asarray(x, object), d)))
        return series_of(self.domain, self.traced, lines, node)
