"""The divergence of two members of an exponential family, enclosed as an integral of a curvature.

Let g(t) = A(eta_p + t d), the log-normaliser on the line from p to q. Then (Taylor, remainder as an integral)

    KL(p || q) = g(1) - g(0) - g'(0) = int_0^1 (1 - t) g''(t) dt,

where no term is negative, so that nothing cancels however close p and q are. On a cell with midpoint m and s = t - m,
with the coefficients c_k of g at m and a ball C_n of its n-th coefficient on the whole cell, n even,

    g''(t) lies in  sum_{k < n} k (k - 1) c_k s^(k-2)  +  n (n - 1) C_n s^(n-2),

and (1 - t) s^(n-2) is not negative. Cells are halved where most is lost. Far members, whose curvature changes by orders
on the way, have no digits to lose on the left side, and are enclosed by it, in balls of many bits.
"""

from __future__ import annotations

import heapq
from typing import Any

from qed.certificates.cells import walked
from qed.domains.ball_series import BallSeries
from qed.domains.families import Member, path
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

BITS = 320
ORDER = 24
"""The highest power of the series on a cell; even."""
CELLS = 64
"""How many cells [0, 1] is cut into at most."""
NARROW = 2.0**-58
"""The radius of the enclosure that is aimed at, in parts of the value."""
SMALL = 2.0**-48
"""The smallest cell."""


def by_curvature(p: Member, q: Member, node: str = "p_parts") -> Any:
    """A ball of the divergence of two members (name, parameters), by the integral of the curvature.

    >>> from qed.certificates.curvature_integral import by_curvature
    >>> from qed.domains.precision import precision
    >>> with precision(128):
    ...     ball = by_curvature(("Normal", (0.0, 1.0)), ("Normal", (1.0, 1.0)))
    ...     print(bool(abs(ball - 0.5) < 1e-17))
    True
    """
    traced = path(p, q)
    with precision(BITS, ORDER + 2) as library:
        waiting = [_cell(traced, 0.0, 1.0, node)]
        for count in range(CELLS):
            if count % 4 == 0:
                total = sum((item[-1] for item in waiting), library.arb(0))
                if _narrow(total):
                    break
            _, a, b, _ = heapq.heappop(waiting)
            middle = (a + b) / 2
            if b - a < SMALL:
                raise CertificateError(node, f"the curvature is not enclosed near t = {middle!r}")
            for low, high in ((a, middle), (middle, b)):
                heapq.heappush(waiting, _cell(traced, low, high, node))
        return sum((item[-1] for item in waiting), library.arb(0))


def enclosed(p: Member, q: Member, node: str = "p_parts") -> Any:
    """A narrow ball by the integral, or where it is wide by the difference, which then must agree with it."""
    try:
        ball = by_curvature(p, q, node)
    except CertificateError:  # of members that are far apart, whose difference loses no digits
        ball = None
    if ball is not None and _narrow(ball):
        return ball
    other = by_bregman(p, q, BITS)
    if ball is not None and ball.is_finite() and not ball.overlaps(other):
        raise CertificateError(node, "the integral of the curvature and the difference do not agree")
    return other


def _narrow(ball: Any) -> bool:
    return bool(ball.is_finite() and float(ball.rad()) <= NARROW * float(abs(ball).lower()))


def by_bregman(p: Member, q: Member, bits: int = 512) -> Any:
    """The same by A(eta_q) - A(eta_p) - <A'(eta_p), d>, whose digits cancel; `bits` are to suffice."""
    traced = path(p, q)
    first, last = (_coefficients(traced, t, 0.0, 1, bits, "p_parts") for t in (0.0, 1.0))
    with precision(bits, 2):
        return last[0] - first[0] - first[1]


def _coefficients(traced: Traced, middle: float, half: float, order: int, bits: int, node: str) -> Any:
    """The series of the path about all t from middle - half to middle + half."""
    domain = BallSeries(order, bits)
    value = walked(traced, domain, domain.segment(middle, 1.0, -half, half), 0, node)
    with precision(bits, order + 1):
        value = domain.number(value)
    if value.doubt:
        raise CertificateError(node, "the log-normaliser is not smooth between the parameters")
    return value.array.item()


def _cell(traced: Traced, a: float, b: float, node: str) -> tuple[float, float, float, Any]:
    """What is lost on a cell (a heap's order), its ends, which are dyadic, and a ball of its share."""
    arb = flint().arb
    middle, half = (a + b) / 2, (b - a) / 2
    try:
        at, over = (_coefficients(traced, middle, h, ORDER, BITS, node) for h in (0.0, half))
    except CertificateError:
        return -float("inf"), a, b, arb.nan()
    total = arb(0)
    for k in range(2, ORDER + 1):
        n = k - 2  # of s^n ((1 - middle) - s) an even power is left after integration
        share = (1 - arb(middle)) if n % 2 == 0 else arb(-half)
        weight = 2 * arb(half) ** (n + 1) * share / (n + 1 if n % 2 == 0 else n + 2)
        total += k * (k - 1) * (over if k == ORDER else at)[k] * weight
    return -(float(total.rad()) if total.is_finite() else float("inf")), a, b, total
