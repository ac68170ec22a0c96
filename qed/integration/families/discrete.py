"""Laws on countably many places: Dirac, Bernoulli, binomial, categorical, Poisson, ...; and counting measure.

    P(A) = sum of w_i over x_i in A

Few places are atoms whose masses are fractions; many, or infinitely many, are one part with a name, whose masses are
closed forms (`qed.domains.counts`). Reference: Johnson, Kemp and Kotz, *Univariate Discrete Distributions*, Wiley 2005.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.counts import COUNTS
from qed.integration.measure import Measure, Part, chance_of, real, shares_of, wrong
from qed.integration.traced.tracers import is_traced

MANY, FEW = 2000, 100
"""More places than this are no atoms: of counting measure, and of a binomial law, whose fractions are long."""


def Dirac(x: float) -> Measure:
    """All mass, 1, at x."""
    if is_traced(x):
        return Measure(atoms=((x, Fraction(1)),), name="Dirac of a traced place")
    place = real(x, "x of Dirac")
    return Measure(atoms=((place, Fraction(1)),), name=f"Dirac({place:g})")


def Counting(lower: int = 0, upper: float = math.inf) -> Measure:
    """Mass 1 at each whole number from lower to upper, which may be infinite.

    >>> from qed.integration.measures import Counting
    >>> len(Counting(1, 100).atoms), str(Counting())
    (100, 'Counting(0, inf)')
    """
    ends = (lower, upper)
    whole = all(isinstance(k, int | np.integer) and abs(int(k)) <= 2**53 for k in ends if k != math.inf)
    if not whole or not lower <= upper or lower == math.inf:
        msg = f"Counting({lower}, {upper})"
        raise wrong(msg, "it counts the whole numbers of an interval", "give ints with lower <= upper, or math.inf")
    name = f"Counting({lower}, {upper})"
    if upper - lower > MANY:
        return Measure(parts=(Part("Counting", (), float(lower), float(upper), False, counting=True),), name=name)
    atoms = tuple((float(k), Fraction(1)) for k in range(int(lower), int(upper) + 1))
    return Measure(atoms=atoms, name=name)


def Bernoulli(p: float) -> Measure:
    """1 with probability p, else 0."""
    if is_traced(p):
        chances: Any = (1 - p, p)
        return Measure(atoms=((0.0, chances[0]), (1.0, chances[1])), name="Bernoulli of a traced probability")
    chance = chance_of(p, "p of Bernoulli")
    return Measure(atoms=((0.0, 1 - chance), (1.0, chance)), name=f"Bernoulli({float(chance):g})")


def Binomial(n: int, p: float) -> Measure:
    """How many of n independent trials succeed."""
    chance = chance_of(p, "p of Binomial")
    if isinstance(n, bool) or not (isinstance(n, int | np.integer) and 0 <= n <= 2**18):
        msg = f"n = {n} of Binomial"
        raise wrong(msg, f"it is a whole number from 0 to {2**18}", "give n as an int")
    n, name = int(n), f"Binomial({n}, {float(chance):g})"
    if n > FEW and 0 < chance < 1:
        return Measure(parts=(_counted("Binomial", float(n), float(chance)),), name=name)
    atoms = tuple((float(k), math.comb(n, k) * chance**k * (1 - chance) ** (n - k)) for k in range(n + 1))
    return Measure(atoms=tuple(one for one in atoms if one[1]), name=name)


def Poisson(rate: float) -> Measure:
    """The counts 0, 1, ... of events that come independently, `rate` of them on average.

    >>> import qed
    >>> round(qed.expect(lambda k: k * k, qed.measures.Poisson(3.0)).value, 9)
    12.0
    """
    return _named("Poisson", rate)


def Geometric(p: float) -> Measure:
    """How many trials fail before the first success, 0, 1, ...; scipy.stats.geom counts the success too, and is 1 more.

    >>> import qed
    >>> round(qed.expect(lambda k: k, qed.measures.Geometric(0.25)).value, 9)
    3.0
    """
    return Dirac(0.0) if not is_traced(p) and chance_of(p, "p of Geometric") == 1 else _named("Geometric", p)


def NegativeBinomial(n: float, p: float) -> Measure:
    """How many trials, each a success with probability p, fail before the n-th success: as scipy.stats.nbinom.

    n is a positive number, not only a whole one; the mean is n (1 - p) / p. NumPyro's NegativeBinomialProbs(n, q) has
    q = 1 - p.

    >>> import qed
    >>> round(qed.expect(lambda k: k, qed.measures.NegativeBinomial(2.5, 0.25)).value, 9)
    7.5
    """
    return _named("NegativeBinomial", n, p)


def _named(family: str, *values: Any) -> Measure:
    if is_traced(values):
        return Measure(parts=(Part(family, values, 0.0, math.inf, counting=True),), name=f"{family}, traced")
    part = _counted(
        family, *(real(v, f"{p} of {family}") for v, p in zip(values, COUNTS[family].parameters, strict=True))
    )
    return Measure(parts=(part,), name=f"{family}({', '.join(f'{value:g}' for value in part.parameters)})")


def _counted(family: str, *parameters: float) -> Part:
    """A named law on whole numbers, its parameters looked at."""
    named = COUNTS[family]
    if fault := named.fault(parameters):
        msg = f"{family}({', '.join(map(str, parameters))})"
        raise wrong(msg, fault, "give parameters of a law")
    return Part(family, parameters, 0.0, float(named.last(*parameters)), counting=True)


def Categorical(probabilities: Sequence[float]) -> Measure:
    """0, 1, 2, ... with these probabilities, which are divided by their exact sum."""
    weights = shares_of(probabilities, "the probabilities of Categorical")
    return Measure(atoms=tuple((float(k), w) for k, w in enumerate(weights)), name=f"Categorical of {len(weights)}")
