"""Tails of sums by Euler and Maclaurin's formula, with an enclosed remainder.

    sum_{k >= N} g(k) = int_N^inf g dx + g(N) / 2 - sum_{j <= m} B_2j / (2j)! g^(2j-1)(N) + R,
    |R| <= |B_2m| / (2m)!  int_N^inf |g^(2m)| dx,

for g with 2m continuous derivatives that go to 0 (Graham, Knuth and Patashnik, *Concrete Mathematics*, section 9.5).
Where the expansion of g at infinity is known (`qed.domains.far`), its integral is that of each term, the derivatives
beyond N are bounded by expansions, and those at N are read off a power series about N. A sum whose expansion begins
with a term that has an infinite integral is infinite. Of the terms k = N, N + n, N + 2n, ... it is the formula for
h(j) = g(N + n j), whose derivatives are n^i g^(i) and whose integral is that of g over n.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.cells import BITS, Cell, walked
from qed.certificates.found import Found
from qed.certificates.series_tails import compared
from qed.certificates.turns import Turns
from qed.domains.far import ORDER, Expansion, Far
from qed.domains.one_number import Undecided
from qed.domains.precision import flint, precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term, ball_of
from qed.errors import CertificateError
from qed.graph.trace import Traced

BERNOULLI = tuple(Fraction(*pair) for pair in ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730)))
"""B_2, B_4, ...; as many as there are terms m of the formula."""


def by_expansion(
    f: Traced, output: int | None, shift: Any, start: int, node: str, turns: Turns | None = None
) -> Found | None:
    """The sums of f exp(u - shift) and exp(u - shift) from `start` on; None where they are not known.

    Args:
        f: the function; its first output is the f of the sum.
        output: which output u is; None for u = shift, whose own sum is infinite.
        shift: a number.
        start: the first place.
        node: what a failure is blamed on.
        turns: that of the places behind it only those of its residue class are summed; None for all.
    """
    domain = Far(float(start), BITS, turns)
    with precision(BITS, ORDER + 1) as library:
        try:
            weight = domain.fixed(library.arb(1))
            if output is not None:
                u = _walked(f, domain, output, node)
                weight = domain.exp(domain.add(u, domain.fixed(-shift)))
            term = domain.mul(_walked(f, domain, 0, node), weight)
            series = [_series(f, output, shift, start, node, whole, turns) for whole in (True, False)]
            n = 1 if turns is None else turns.n
            mass = library.arb.pos_inf() if output is None else summed(domain, weight, series[1], n)
            return Found(summed(domain, term, series[0], n), mass)
        except (CertificateError, NoOrder, Undecided):
            return None


def _walked(f: Traced, domain: Far, output: int, node: str) -> Expansion:
    """An output as an expansion."""
    return domain.read(walked(f, domain, domain.argument(), output, node))


def _series(f: Traced, output: int | None, shift: Any, start: int, node: str, with_f: bool, turns: Turns | None) -> Any:
    """The power series about `start` of f exp(u - shift), or without f."""
    order = 2 * len(BERNOULLI)
    cell = Cell(0.0, float(start), float(start))

    closer = None if turns is None else turns.in_series

    def series(k: int) -> Any:
        return cell.series(f, k, BITS, order, False, node, closer)

    found = flint().arb_series([1], prec=order + 1)
    if with_f:
        found = found * series(0)
    if output is not None:
        found = found * (series(output) - shift).exp()
    return found


def summed(domain: Far, g: Expansion, series: Any, n: int = 1) -> Any:
    """A ball of the sum of g(k) over k = domain.start, domain.start + n, ...; an infinity where it is one.

    Args:
        domain: that of the expansion.
        g: the expansion.
        series: the power series of g about domain.start.
        n: how far apart the places are.

    Raises:
        NoOrder, Undecided: where neither is proved.

    >>> from qed.domains.far import Far
    >>> from qed.domains.precision import precision
    >>> from qed.certificates.euler_maclaurin import summed
    >>> with precision(128, 25) as flint:
    ...     domain = Far(32.0)
    ...     x = domain.argument()
    ...     about = flint.arb_series([32, 1], prec=13)
    ...     rest = summed(domain, domain.mul(x, domain.power(x, -4)), about ** -3)
    ...     (rest + sum(flint.arb(k) ** -3 for k in range(1, 32))).str(16, radius=False)
    '1.202056903159594'
    """
    arb, tail = flint().arb, Tail(domain.start, domain.bits, counting=True)
    leading = domain.derivative(g, 0)
    if not leading:
        return arb(0)
    if not all(_converges(one) for one in leading):
        total: Any = leading[0]
        for one in leading[1:]:
            total = tail.add(total, one)
        found = compared(tail, tail.as_term(total))
        if found.is_finite() or found.is_nan() or n > 1:
            raise NoOrder
        return found
    total = sum((_integral(tail, one) for one in domain.parts(g)), arb(0)) / n + series[0] / 2
    factorial = 1
    for j, number in enumerate(BERNOULLI, 1):
        factorial *= (2 * j - 1) * 2 * j
        total -= ball_of(number / (2 * j)) * series[2 * j - 1] * n ** (2 * j - 1)  # g^(2j-1) / (2j)! = series / 2j
    last = 2 * len(BERNOULLI)
    bound = _size(tail, domain.derivative(g, last)) * abs(ball_of(BERNOULLI[-1])) / factorial * n ** (last - 1)
    total += arb(0).union(bound).union(-bound)
    if not total.is_finite():
        raise NoOrder
    return total


def _converges(one: Term) -> bool:
    return one.p < -1 or (one.p == -1 and one.k < -1)


def _integral(tail: Tail, one: Term) -> Any:
    """The integral of a term from the start on."""
    unit = Term(flint().arb(1), one.p, one.c, one.q, one.k)
    return one.b * tail.integral(unit)


def _size(tail: Tail, terms: Sequence[Term]) -> Any:
    """A bound of the integral of the size of a sum of terms."""
    total = flint().arb(0)
    for one in terms:
        total += abs(one.b).upper() * _integral(tail, Term(flint().arb(1), one.p, one.c, one.q, one.k)).upper()
    return total.upper()
