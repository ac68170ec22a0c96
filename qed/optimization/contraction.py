"""The factor a step that gradient descent or Nesterov's method keeps to from every point, with its proof.

For f - m |x|^2 / 2 convex and a gradient of Lipschitz constant L, k = L / m,

    gradient descent, step 2 / (L + m):                        |x' - x*| <= (k - 1) / (k + 1) |x - x*|
    Nesterov, step 1 / L, momentum (1 - s) / (1 + s), s <= 1 / sqrt k:        V' <= (1 - s) V

with V = f(y) - f* + s^2 L |z - x*|^2 / 2 (`qed.certificates.contraction`, which checks both in exact arithmetic). The
first is met by f = m x^2 / 2. s is 1 / sqrt k, rounded down to a fraction.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.expanding.words import outward
from qed.certificates.contraction import Contraction
from qed.certificates.convexity import Convexity
from qed.certificates.performance import SMOOTH
from qed.optimization.iterates import at, limit_of
from qed.optimization.objective import Wide
from qed.optimization.promised import promised
from qed.standing import Standing

Array = np.ndarray
RESOLVED = 1e-9
"""Below which part of its first value a distance or a potential is taken for rounding."""
DIGITS = 2**40
"""The denominator of the fraction that stands for 1 / sqrt k."""


def share_of(method: str, m: Fraction, high: Fraction) -> Fraction:
    """By which part of itself the distance, or the potential, shrinks at least in a step.

    Example:
        >>> from fractions import Fraction
        >>> str(share_of("gradient", Fraction(1), Fraction(9))), str(share_of("nesterov", Fraction(1), Fraction(9)))
        ('1/5', '366503875925/1099511627776')
    """
    if method == "gradient":
        return 2 * m / (high + m)
    return Fraction(math.isqrt(int(m / high * DIGITS * DIGITS)), DIGITS)


def contraction(shape: Answer[Any], constant: Answer[Any], method: str) -> Answer[float] | None:
    """The factor of a step of a method, of a function of which m and L are proved without bounds; None elsewhere.

    Args:
        shape: of `qed.convexity`.
        constant: of `qed.lipschitz`, of order 1.
        method: 'gradient' or 'nesterov'.

    Returns:
        An answer whose value is the factor, rounded up.
    """
    convex, smooth = shape.certificate, constant.certificate
    if not (isinstance(convex, Convexity) and isinstance(smooth, SMOOTH) and smooth.bound > 0 and convex.strong > 0):
        return None
    share = share_of(method, Fraction(convex.strong), Fraction(smooth.bound))
    if share <= 0:
        return None
    certificate = Contraction.of(convex, smooth, method, share)
    value = float(np.nextafter(float(1 - share), 1.0))
    constants = f"m = {convex.strong!r}, L = {smooth.bound!r}"
    if method == "gradient":
        claim = (
            f"from every x a step of gradient descent of length 2/(L + m), {constants}, multiplies the distance from "
            f"the minimiser by at most {value!r}"
        )
        formula, text = "|x' - x*| <= (L - m)/(L + m) |x - x*|", "the distance from the minimiser"
    else:
        claim = (
            f"from every start each step of Nesterov's method of length 1/L, {constants}, with the momentum "
            f"(1 - s)/(1 + s), s = {share.numerator}/{share.denominator}, multiplies f(y) - f* + s^2 L |z - x*|^2/2, "
            f"z = x + (x - y)/s, by at most {value!r}"
        )
        formula, text = "V' <= (1 - s) V", "f - f* + s^2 L |z - x*|^2/2"
    slowest = outward(value, 1, 6)
    text = f"no start does worse: each step multiplies {text} by {slowest} at most"
    why = "a potential that falls at every step", formula, f"{constants}: {slowest}", text
    return promised(certificate, value, claim, why, (shape, constant))


def seen_factor(wide: Wide, proved: Answer[float], m: float, high: float, steps: int) -> list[Reason]:
    """A run with the constants of the proof: the largest factor of its steps, beside the proved one."""
    limit = limit_of(wide, wide.start, steps)
    assert isinstance(proved.certificate, Contraction)
    if limit is None:
        return []
    share = proved.certificate.share[0] / proved.certificate.share[1]
    if proved.certificate.method == "gradient":
        sizes = _distances(wide, limit, 2 / (high + m), steps)
    else:
        sizes = _potentials(wide, limit, high, share, steps)
    kept = sizes[sizes > RESOLVED * sizes[0]]
    if len(kept) < 2:
        return []
    seen = float(np.max(kept[1:] / kept[:-1]))
    return [
        Reason(
            "a run beside the proved factor", predicted=proved.value, observed=seen, standing=Standing.MEASURED,
            role="seen", text=f"of the first {len(kept) - 1} steps from this start each multiplied it by {seen:.6g} "
            "at most",
        )
    ]  # fmt: skip


def _distances(wide: Wide, limit: Array, step: float, steps: int) -> Array:
    """|x - x*| along gradient descent."""
    x, found = wide.start, []
    for _ in range(steps + 1):
        found.append(float(np.linalg.norm(x - limit)))
        x = x - step * at(wide, x)[1]
    return np.array(found)


def _potentials(wide: Wide, limit: Array, high: float, share: float, steps: int) -> Array:
    """V along Nesterov's method."""
    least, x, y, found = at(wide, limit)[0], wide.start, wide.start, []
    for _ in range(steps + 1):
        z = x + (x - y) / share
        found.append(at(wide, y)[0] - least + share**2 * high * float((z - limit) @ (z - limit)) / 2)
        after = x - at(wide, x)[1] / high
        x, y = after + (1 - share) / (1 + share) * (after - y), after
    return np.array(found)
