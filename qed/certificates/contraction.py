"""The certificate of a factor a step, from every point: gradient descent and Nesterov's method, strongly convex f.

Let f - m |x|^2 / 2 be convex on R^n and grad f have the Lipschitz constant L. With g = grad f(x) and the minimiser x*,

    <g, x - x*> >= (m L |x - x*|^2 + |g|^2) / (L + m)                                                       (1)
    f(x) - f(x - g / L) >= |g|^2 / (2 L)                                                                    (2)
    f(u) - f(x) - <g, u - x> >= m |u - x|^2 / 2                                                             (3)

(Nesterov, *Lectures on Convex Optimization*, 2018, theorems 2.1.12 and 2.1.5, definition 2.1.3). With the step
s = 2 / (L + m) there is |x - s g - x*| <= r |x - x*|, r = (L - m) / (L + m), if what (1), 2 s times, leaves of it,

    r^2 |e|^2 - |e - s g|^2 - 2 s ( <g, e> - (m L |e|^2 + |g|^2) / (L + m) ),    e = x - x*,

is never negative. Nesterov's method

    y' = x - g / L,    x' = y' + b (y' - y),    b = (1 - s) / (1 + s),    s^2 L <= m,    z = x + (x - y) / s,

has the potential V = f(y) - f* + s^2 L |z - x*|^2 / 2, and V' <= (1 - s) V: it is the sum of (2), s times (3) at u = x*
and 1 - s times (3) at u = y, with s^2 L for m, and a form that is never negative. (Potentials: Bansal and Gupta,
*Potential-function proofs for gradient methods*, Theory of Computing 15, 2019; the factors are exact worst cases for
gradient descent: Taylor, Hendrickx and Glineur, *Smooth strongly convex interpolation and exact worst-case performance
of first-order methods*, Math. Program. 161, 2017.) The forms are split into squares in exact arithmetic.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self, final

from qed.certificates.certificate import Certificate
from qed.certificates.convexity import Convexity
from qed.certificates.lipschitz import Lipschitz
from qed.certificates.performance import SMOOTH, Form, add, is_nonnegative, less, premise
from qed.certificates.ridges import Ridges
from qed.errors import CertificateError
from qed.graph.trace import Traced

METHODS = ("gradient", "nesterov")


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Contraction(Certificate):
    """A factor a step, 1 - `share` = 1 - numerator / denominator, from every point, of `method`.

    'gradient': |x' - x*| <= (1 - share) |x - x*| with the step 2 / (L + m). 'nesterov': V' <= (1 - share) V with the
    step 1 / L and the momentum (1 - share) / (1 + share). `convexity` and `smoothness` are the JSON texts of a
    `Convexity` with its constant m and of a `Lipschitz` or `Ridges` of order 1, of the same function, without bounds.
    """

    kind: ClassVar[str] = "contraction"
    convexity: str
    smoothness: str
    method: str
    share: tuple[int, int]

    @classmethod
    def of(cls, convexity: Convexity, smoothness: Lipschitz | Ridges, method: str, share: Fraction) -> Self:
        """The certificate of a factor that was found."""
        assert smoothness.subject is not None
        return cls.made(
            smoothness.subject,
            convexity=json.dumps(convexity.to_json(), sort_keys=True),
            smoothness=json.dumps(smoothness.to_json(), sort_keys=True),
            method=method,
            share=(share.numerator, share.denominator),
        )

    def prove(self, traced: Traced) -> None:
        """Prove both premises, and split the form of a step into squares."""
        if self.method not in METHODS:
            raise CertificateError("method", f"{self.method!r} is none of {METHODS}")
        if self.share[1] <= 0 or not 0 < Fraction(*self.share) <= 1:
            raise CertificateError("share", "it is no number between 0 and 1")
        convex = premise(self, "convexity", Convexity, traced)
        smooth = premise(self, "smoothness", SMOOTH, traced)
        m, high, share = Fraction(convex.strong), Fraction(smooth.bound), Fraction(*self.share)
        if not 0 < m <= high:
            raise CertificateError("convexity", "it gives no constant of strong convexity below that of the gradient")
        if self.method == "nesterov" and share * share * high > m:
            raise CertificateError("share", "its square is more than m / L")
        form = gradient_form(m, high, share) if self.method == "gradient" else nesterov_form(high, share)
        if not is_nonnegative(form):
            raise CertificateError("share", "the form that is left over is negative somewhere")


def gradient_form(m: Fraction, high: Fraction, share: Fraction) -> Form:
    """What is left over of a step of gradient descent, in (x - x*, g)."""
    e, g = _axes(2)
    form, step = [[Fraction(0)] * 2 for _ in range(2)], 2 / (high + m)
    after = [p - step * q for p, q in zip(e, g, strict=True)]
    for a, b, weight in (
        (e, e, (1 - share) ** 2), (after, after, Fraction(-1)),
        (g, e, -2 * step), (e, e, step * step * m * high), (g, g, step * step),
    ):  # fmt: skip
        add(form, a, b, weight)
    return form


def nesterov_form(high: Fraction, share: Fraction) -> Form:
    """What is left over of a step of Nesterov's method, in (y - x*, x - x*, g), with m = share^2 L; f cancels."""
    y, x, g = _axes(3)
    m, momentum = share * share * high, (1 - share) / (1 + share)
    z = [p + (p - q) / share for p, q in zip(x, y, strict=True)]
    after = [p - q / high for p, q in zip(x, g, strict=True)]
    new = [p + momentum * (p - q) for p, q in zip(after, y, strict=True)]
    last = [p + (p - q) / share for p, q in zip(new, after, strict=True)]
    form, d = [[Fraction(0)] * 3 for _ in range(3)], less(y, x)
    for a, b, weight in (
        (z, z, (1 - share) * m / 2), (last, last, -m / 2),  # (1 - s) V - V'
        (g, g, 1 / (2 * high)),  # less (2): f(x) - f(y')
        (g, x, -share), (x, x, share * m / 2),  # less s times (3) at x*
        (g, d, 1 - share), (d, d, (1 - share) * m / 2),  # less 1 - s times (3) at y
    ):  # fmt: skip
        add(form, a, b, weight)
    return form


def _axes(size: int) -> list[list[Fraction]]:
    return [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
