"""Bounds of what the Taylor polynomial in several variables leaves on a cube: found with intervals, verified in balls.

    f(a + h) - sum_{k <= n} T_k[h, ..., h]  in  sum_k [-e_k, e_k] + C_{n+1}(H),      h in the cube |h_i| <= r,

with e_k >= |(A_k - T_k)[h, ..., h]| what rounding does to the tensors, and C_{n+1}(H) the enclosure of the coefficient
of t^{n+1} of t -> f(x + t h) for all h of an orthant H of the cube and all x of a + H, from the Taylor domain over
intervals. The sums of axes and the polarisation are those of `qed.certificates.taylor_tensors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, permutations
from math import factorial
from typing import Any

import numpy as np

from qed.answer import Enclosed
from qed.calculus.expanding.remainder import WIDER, NotEnclosed, enclosed
from qed.certificates.taylor_tensors import TaylorTensors, axes, orthants, polarised
from qed.domains.intervals import Intervals
from qed.errors import CertificateError
from qed.graph.function import Function

WALKS = 400
"""Along how many sums of axes the tensors are enclosed."""


def certified_tensors(
    function: Function, at: Any, args: tuple[Any, ...], coefficients: Sequence[Any], radius: float
) -> TaylorTensors:
    """The bounds on the cube with a certificate that was verified once; widened until it is.

    Args:
        function: the function, read.
        at: the point, its arrays in the program's dtypes.
        args: data.
        coefficients: the tensors, each with one axis of all variables for every derivative.
        radius: of the cube.

    Raises:
        NotEnclosed: where there are no bounds, or where balls do not confirm them.
    """
    found = bounds_on_cube(function, coefficients, radius)
    size, why = max(abs(found.lower), abs(found.upper), float(np.finfo(float).tiny)), ""
    for wider in WIDER:
        margin = wider * (found.upper - found.lower if wider < 1 else size)
        certificate = TaylorTensors.about(
            function.fun,
            at,
            args,
            radius=radius,
            polynomial=[np.asarray(c) for c in coefficients],
            remainder=(found.lower - margin, found.upper + margin),
        )
        try:
            certificate.verify()
        except CertificateError as error:
            why = f"{error.node}: {error.why}"
            if error.node != "upper":
                break
        else:
            return certificate
    message = f"series of balls do not confirm the remainder: {why}"
    raise NotEnclosed(message)


def bounds_on_cube(function: Function, coefficients: Sequence[Any], radius: float) -> Enclosed:
    """An enclosure of f(a + h) - sum T_k[h, ..., h] for all |h_i| <= radius.

    Example: x y about the origin, of which the polynomial of order 1 is zero

        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> found = bounds_on_cube(read(lambda x: x[0] * x[1], jnp.zeros(2)), (0.0, np.zeros(2)), 0.5)
        >>> round(float(found.lower), 12), round(float(found.upper), 12)
        (-0.25, 0.25)
    """
    order, size = len(coefficients) - 1, function.size
    lines = axes(size, order)
    if len(lines) > WALKS:
        message = f"the tensors would be enclosed along {len(lines)} directions, and {WALKS} are the limit"
        raise NotEnclosed(message)
    numbers = [np.asarray(c, np.float64).reshape((size,) * k) for k, c in enumerate(coefficients)]
    slack = _slack(function, numbers, lines, radius)
    low, high = -slack, slack
    for ends in orthants(size):
        cube = [np.array(end, np.float64) * radius for end in zip(*ends, strict=True)]
        last = enclosed(function, *_moved(function, cube, cube), order + 1)[-1]
        low, high = min(low, float(last.lower) - slack), max(high, float(last.upper) + slack)
    low, high = float(np.nextafter(low, -np.inf)), float(np.nextafter(high, np.inf))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NotEnclosed("the enclosure of the next coefficient is not finite")  # noqa: EM101
    return Enclosed(low, high)


def _slack(function: Function, numbers: Sequence[np.ndarray], lines: Sequence[Any], radius: float) -> float:
    """A bound of what rounding of the tensors makes on the cube."""
    order, size = len(numbers) - 1, function.size
    none = [np.zeros(size), np.zeros(size)]
    found: dict[tuple[int, ...], list[Intervals]] = {(): enclosed(function, *_moved(function, none, none), order)}
    for line in lines:
        d = np.bincount(np.array(line), minlength=size).astype(float)
        found[line] = enclosed(function, *_moved(function, [d, d], none), order)
    total = _size(found[()][0] - Intervals.point(float(numbers[0])))
    for k in range(1, order + 1):
        for index in combinations_with_replacement(range(size), k):
            entry = polarised(lambda at, degree: found[at][degree], index) / Intervals.point(float(factorial(k)))
            places = set(permutations(index))
            stated = Intervals.point(0.0)
            for place in places:
                stated = stated + Intervals.point(float(numbers[k][place]))
            total += _size(entry * Intervals.point(float(len(places))) - stated) * radius**k
    return total * (1 + 1e-9)


def _size(x: Intervals) -> float:
    return float(max(-np.min(x.lower), np.max(x.upper)))


def _moved(
    function: Function, slopes: Sequence[np.ndarray], moved: Sequence[np.ndarray]
) -> tuple[list[Intervals], list[Intervals]]:
    """(points, slopes) for each parameter array, from the lower and upper ends of each variable."""
    points, along, start = [], [], 0
    for parameter in function.parameters:
        shape, stop = np.shape(parameter), start + int(np.size(parameter))
        here = Intervals.point(np.asarray(parameter).astype(np.float64))
        near, steep = ([end[start:stop].reshape(shape) for end in ends] for ends in (moved, slopes))
        points.append(here + Intervals(near[0], near[1]))
        along.append(Intervals(steep[0], steep[1]))
        start = stop
    return points, along
