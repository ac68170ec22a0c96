"""Laws of finitely many places, with exact masses: Dirac, Bernoulli, binomial, categorical; and counting measure.

    P(A) = sum of w_i over x_i in A,        w_i fractions

Reference: Johnson, Kemp and Kotz, *Univariate Discrete Distributions*, Wiley 2005.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from qed.integration.measure import Measure, chance_of, real, shares_of, wrong


def Dirac(x: float) -> Measure:
    """All mass, 1, at x."""
    place = real(x, "x of Dirac")
    return Measure(atoms=((place, Fraction(1)),), name=f"Dirac({place:g})")


def Counting(lower: int, upper: int) -> Measure:
    """Mass 1 at each whole number from lower to upper, at most 2001 of them."""
    ends = (lower, upper)
    if not all(isinstance(k, int) and abs(k) <= 2**53 for k in ends) or not 0 <= upper - lower <= 2000:
        msg = f"Counting({lower}, {upper})"
        raise wrong(msg, "it counts at most 2001 whole numbers", "give ints with lower <= upper <= lower + 2000")
    atoms = tuple((float(k), Fraction(1)) for k in range(lower, upper + 1))
    return Measure(atoms=atoms, name=f"Counting({lower}, {upper})")


def Bernoulli(p: float) -> Measure:
    """1 with probability p, else 0."""
    chance = chance_of(p, "p of Bernoulli")
    return Measure(atoms=((0.0, 1 - chance), (1.0, chance)), name=f"Bernoulli({float(chance):g})")


def Binomial(n: int, p: float) -> Measure:
    """How many of n independent trials succeed."""
    chance = chance_of(p, "p of Binomial")
    if not (isinstance(n, int) and 0 <= n <= 2000):
        msg = f"n = {n} of Binomial"
        raise wrong(msg, "it is a whole number from 0 to 2000", "give n as an int")
    atoms = tuple((float(k), math.comb(n, k) * chance**k * (1 - chance) ** (n - k)) for k in range(n + 1))
    return Measure(atoms=atoms, name=f"Binomial({n}, {float(chance):g})")


def Categorical(probabilities: Sequence[float]) -> Measure:
    """0, 1, 2, ... with these probabilities, which are divided by their exact sum."""
    weights = shares_of(probabilities, "the probabilities of Categorical")
    return Measure(atoms=tuple((float(k), w) for k, w in enumerate(weights)), name=f"Categorical of {len(weights)}")
