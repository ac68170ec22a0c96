"""The divergence of two near densities on one support, enclosed with a small error in parts of itself.

Let exp(u) and exp(w) be the densities up to constants, a any number, v = w - u + a, m = E_p v and
s = E_p[exp(v) - 1 - v], in which nothing is negative. The constants cancel, since E_p exp(v) = 1 + m + s:

    KL(p || q) = log E_p exp(v) - E_p v = log(1 + y) - m = s - (y - log(1 + y)),       y = m + s,

and y - log(1 + y) lies between y^2 / 2 times (1 + |y|)^-2 and (1 - |y|)^-2. With a about E_p(u - w) both m and y are
far smaller than v, and s is about half the variance of v: it is all that counts, and is a sum of small positive terms
instead of a small difference of large ones. Beyond a radius, exp(v) - 1 - v = v^2 int_0^1 (1 - t) exp(tv) dt is v^2 / 2
times a number between exp(-|v|) and exp(|v|), or at most v^2 max(1, exp(v)) / 2 where v is not bounded.
Reference: Cover and Thomas, *Elements of Information Theory*, 2006, section 2.6 (log x <= x - 1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.cells import walked
from qed.certificates.found import Found
from qed.certificates.integral_parts import Part
from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term
from qed.errors import CertificateError
from qed.graph.trace import trace

NEAR = 1e-6
"""Divergences below this are near."""


class Scaled(Part):
    """A part whose function is of the size `scale`: what is lost of it counts in parts of that."""

    tail_room: ClassVar[float] = 1e-14
    order: ClassVar[int] = 31
    starts: ClassVar[int] = 26
    scale = 1.0

    def off(self, found: Found) -> float:
        """How much is not known of two integrals, the first in parts of the scale."""
        pairs = ((found.of_f, self.scale), (found.mass, 1.0))
        return sum(float(x.rad()) / size if x.is_finite() else np.inf for x, size in pairs)


class Excess(Scaled):
    """exp(v) - 1 - v, the first output; v is the second."""

    def form(self, domain: Tail, x: Any) -> Any:
        """It is enclosed by v^2 where a tail is."""
        v = walked(self.f, domain, x, 1, self.node)
        try:
            size = abs(domain.ball(v)).upper()
            factor: Any = domain.fixed((-size).exp().union(size.exp()) / 2)
        except NoOrder:
            factor = _half_of_larger(domain.as_term(domain.exp(v)))
        return domain.mul(domain.mul(v, v), factor)


def _half_of_larger(x: Term) -> Term:
    """A term that holds all from 0 to max(1, x) / 2 for a positive x."""
    if x.k:
        raise NoOrder
    arb = flint().arb
    high = (x.b.upper() if x.b.upper() > 1 else arb(1)) / 2
    c = x.c.upper() if x.q and x.c.upper() > 0 else arb(0)
    return Term(arb(0).union(high), max(x.p, Fraction(0)), c, x.q if c > 0 else Fraction(0))


def enclosed(log_ratio: Any, own: Any, part: Any, node: str, scale: float, room: float) -> Any:
    """A ball of the divergence.

    Args:
        log_ratio: u - w, with any constant added, a function of x.
        own: the log-densities of parts without a family: that of p first.
        part: p as data; q must have the same support.
        node: the name of p in an error.
        scale: about what the divergence is.
        room: the radius that is aimed at.
    """
    output = 0 if part[0] else 2
    with jax.enable_x64(True):
        graphs = [trace(f, np.float64(0.5)) for f in (_exponent(log_ratio, own), _excess(log_ratio, own))]
    v = Scaled(graphs[0], part, output, node)
    v.scale = float(np.sqrt(scale))
    m = v.mean(0.125 * float(np.sqrt(min(room, scale))))
    f = Excess(graphs[1], part, output, node)
    f.scale = scale
    s = f.mean(room / 4)
    y = m + s
    far = abs(y).upper()
    if not far < 0.5:
        raise CertificateError(node, f"the densities are not near: the mean of their ratio is off by {far.str(3)}")
    factor = ((1 + far) ** -2).union((1 - far) ** -2) / 2
    return s - y * y * factor


def _exponent(log_ratio: Any, own: Any) -> Any:
    """v, twice, and the log-densities."""

    def joint(x: Any) -> Any:
        v = -log_ratio(x)
        return v, v, *(u(x) for u in own)

    return joint


def _excess(log_ratio: Any, own: Any) -> Any:
    """exp(v) - 1 - v, v, and the log-densities."""

    def joint(x: Any) -> Any:
        v = -log_ratio(x)
        return jnp.exp(v) - 1 - v, v, *(u(x) for u in own)

    return joint
