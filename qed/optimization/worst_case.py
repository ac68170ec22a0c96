"""The worst case of gradient descent over all convex functions of one smoothness, with the multipliers of its proof.

With N steps of length 1 / L no convex f whose gradient has the Lipschitz constant L ends higher than

    f(x_N) - f* <= L |x_0 - x*|^2 / (4 N + 2),

and one function does end there. The multipliers of the proof are, between successive points and from the minimiser,

    l_{i-1,i} = i / (2 N + 1 - i),      l_{*,0} = l_{0,1},   l_{*,i} = l_{i,i+1} - l_{i-1,i},   l_{*,N} = 1 - l_{N-1,N}

(Drori and Teboulle, *Performance of first-order methods for smooth convex minimization*, Math. Program. 145, 2014,
theorem 3.1). The certificate checks them in exact arithmetic for the N that is asked for.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.expanding.words import outward
from qed.certificates.convexity import Convexity
from qed.certificates.performance import SMOOTH, PerformanceBound
from qed.optimization.promised import promised

LONGEST = 32
"""How many steps a bound is proved for at most: the form is checked in fractions."""


def multipliers(steps: int) -> tuple[list[tuple[int, int, Fraction]], Fraction]:
    """The multipliers of N steps, (i, j, l_ij), N + 1 being the minimiser, and the factor 1 / (4 N + 2).

    Example:
        >>> found, factor = multipliers(1)
        >>> [(i, j, str(each)) for i, j, each in found], str(factor)
        ([(0, 1, '1/2'), (2, 0, '1/2'), (2, 1, '1/2')], '1/6')
    """
    n, least = steps, steps + 1
    along = [Fraction(i, 2 * n + 1 - i) for i in range(1, n + 1)]
    found = [(i, i + 1, along[i]) for i in range(n)]
    found.append((least, 0, along[0]))
    found += [(least, i, along[i] - along[i - 1]) for i in range(1, n)]
    found.append((least, n, 1 - along[-1]))
    return found, Fraction(1, 4 * n + 2)


def worst_case(shape: Answer[Any], constant: Answer[Any], steps: int) -> Answer[float] | None:
    """The bound for a function of which convexity and L are proved without bounds; None where they are not.

    Args:
        shape: of `qed.convexity`.
        constant: of `qed.lipschitz`, of order 1.
        steps: how many; beyond 32 the bound is that of 32.

    Returns:
        An answer whose value is L / (4 N + 2), rounded up: the bound for a start at the distance 1.
    """
    convex, smooth = shape.certificate, constant.certificate
    if not (isinstance(convex, Convexity) and isinstance(smooth, SMOOTH) and smooth.bound > 0):
        return None
    n = min(steps, LONGEST)
    found, factor = multipliers(n)
    certificate = PerformanceBound.of(convex, smooth, n, found, factor)
    value = float(np.nextafter(smooth.bound * float(factor) * (1 + 1e-15), np.inf))
    claim = (
        f"from every start x0, {n} steps of gradient descent of length 1/L, L = {smooth.bound!r}, end with "
        f"f - f* <= |x0 - x*|^2 L/{4 * n + 2}, for every minimiser x*"
    )
    numbers = f"L = {smooth.bound!r}, N = {n}: {outward(value, 1, 6)} |x_0 - x*|^2"
    text = f"no start does worse: after {n} steps of 1/L, f - f* is at most {outward(value, 1, 6)} times |x0 - x*|^2"
    rule = "performance estimation (Drori and Teboulle 2014)"
    why = rule, "f(x_N) - f* <= L |x_0 - x*|^2 / (4 N + 2)", numbers, text
    return promised(certificate, value, claim, why, (shape, constant))
