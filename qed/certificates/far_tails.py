"""Tails by expansions: sums whose leading terms cancel, as in 1/x - 1/(x + 1), sqrt(x^2 + 1) - x and coth x - 1/x.

The tail domain keeps one term of a sum. Where the integrand has an expansion at the end, with a remainder that is
enclosed (`qed.domains.far`), its integral is that of each term,

    int_R^inf x^p (log x)^k (a_0 + a_1 / x + ... + c / x^n) dx,    beside s:  x = s + 1/y or s - 1/y,  dx = dy / y^2,

and infinite if that of the leading term is. A density that falls like an exponential is a term of the tail domain; the
function is then the sum of its leading terms. Reference: de Bruijn, *Asymptotic Methods in Analysis*, Dover 1981,
section 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.cells import BITS, walked
from qed.certificates.found import Found
from qed.domains.far import ORDER, Expansion, Far
from qed.domains.one_number import Undecided
from qed.domains.precision import flint, precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term
from qed.errors import CertificateError
from qed.graph.trace import Traced


def expanded_tail(
    f: Traced | None,
    u: tuple[Traced, int],
    shift: Any,
    s: float | None,
    side: int,
    start: float,
    weighted: Callable[[], Any],
    node: str,
) -> Found:
    """The integrals of f exp(u - shift) and exp(u - shift) over all side x >= start, or 0 < side (x - s) <= 1 / start.

    Args:
        f: the function, its first output; None for 1.
        u: a function and which output of it is the log-density.
        shift: what is taken off the log-density.
        s: the number; None for an infinite end.
        side: 1 above it, or at plus infinity, and -1 below it.
        start: a number above 1.
        weighted: the density times |dx|, as a term of the tail domain.
        node: what a failure is blamed on.

    Raises:
        NoOrder: where they are not known.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.far_tails import expanded_tail
    >>> from qed.domains.precision import precision
    >>> from qed.graph.trace import trace
    >>> f, one = trace(lambda x: 1 / x - 1 / (x + 1), 2.0), (trace(lambda x: 0 * x, 2.0), 0)
    >>> with precision(128) as library:
    ...     found = expanded_tail(f, one, library.arb(0), None, 1, 64.0, lambda: None, "f")
    >>> found.of_f.str(9, radius=False)  # log(1 + 1/64)
    '0.0155041865'
    """
    domain, tail = Far(start, BITS), Tail(start, BITS)
    with precision(domain.bits, ORDER + 1):
        try:
            x, dx = _variable(domain, s, side)
            value = domain.fixed(flint().arb(1)) if f is None else domain.read(walked(f, domain, x, 0, node))
            try:
                weight = domain.read(walked(u[0], domain, x, u[1], node))
                weight = domain.mul(domain.exp(domain.add(weight, domain.fixed(-shift))), dx)
            except (CertificateError, Undecided, NoOrder):
                mass = weighted()
                if not isinstance(mass, Term):
                    raise NoOrder from None
                terms = [tail.mul(one, mass) for one in domain.derivative(value, 0)]
                return Found(_leading(tail, terms), tail.integral(mass))
            return Found(_integral(domain, tail, domain.mul(value, weight)), _integral(domain, tail, weight))
        except (CertificateError, Undecided) as error:
            raise NoOrder from error


def _variable(domain: Far, s: float | None, side: int) -> tuple[Expansion, Expansion]:
    """The expansions of x and of |dx| / dy."""
    arb, y = flint().arb, domain.argument()
    if s is None:
        return domain.scaled(y, Fraction(side)), domain.fixed(arb(1))
    x = domain.scaled(domain.power(y, Fraction(-1)), Fraction(side))
    return domain.add(domain.fixed(arb(s)), x) if s else x, domain.power(y, Fraction(-2))


def _integral(domain: Far, tail: Tail, g: Expansion) -> Any:
    """The integral of an expansion from the start on; infinite where it is proved to be so."""
    arb = flint().arb
    leading = domain.derivative(g, 0)
    if all(one.p < -1 or (one.p == -1 and one.k < -1) for one in leading):
        return sum((one.b * tail.integral(Term(arb(1), one.p, one.c, one.q, one.k)) for one in domain.parts(g)), arb(0))
    return _leading(tail, leading, infinite=True)


def _leading(tail: Tail, terms: Sequence[Term], infinite: bool = False) -> Any:
    """The integral of a sum of terms, all of them finite; or of their sum under the one that dominates."""
    total: Any = terms[0] if terms else tail.fixed(flint().arb(0))
    for one in terms[1:]:
        total = tail.add(total, one)
    found = tail.integral(tail.as_term(total))
    if infinite and found.is_finite():
        raise NoOrder
    return found
