"""Measures on the line, as what Lebesgue's decomposition makes of them: point masses and densities.

    mu(A) = sum of w_i over x_i in A  +  sum over k of w_k int_A exp(u_k(x)) dx

A mixture of a spike and a slab, a zero-inflated law and an empirical distribution are ordinary measures in this form.
A part that is a probability is known up to its constant only: it is divided by its own integral wherever it is used.
Reference: Halmos, *Measure Theory*, Springer 1974, section 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.densities import NAMED
from qed.errors import QedError

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Counting",
    "Dirac",
    "Exponential",
    "Gamma",
    "Laplace",
    "Lebesgue",
    "Measure",
    "Normal",
    "StudentT",
    "Uniform",
    "add",
    "from_log_density",
    "from_scipy",
    "mixture",
    "restrict",
    "scaled",
]


@dataclass(frozen=True)
class Part:
    """A part with a density: a named family with its parameters, or a log-density of the user's.

    `weight` is its total mass where it is a probability; otherwise a factor of exp(log-density).
    """

    family: str
    parameters: tuple[float, ...]
    lower: float
    upper: float
    probability: bool = True
    weight: Fraction = Fraction(1)
    log_density: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Measure:
    """A measure on the line: atoms (place, mass), parts with a density, and its name.

    >>> from qed.integration.measures import Dirac, Normal, mixture
    >>> spike_and_slab = mixture([0.25, 0.75], [Dirac(0.0), Normal(0.0, 1.0)])
    >>> spike_and_slab.atoms, spike_and_slab.parts[0].family
    (((0.0, Fraction(1, 4)),), 'Normal')
    """

    atoms: tuple[tuple[float, Fraction], ...] = ()
    parts: tuple[Part, ...] = ()
    name: str = "measure"

    def __str__(self) -> str:
        return self.name


def _wrong(what: str, because: str, instead: str) -> QedError:
    return QedError("QED007", what, because, instead)


def _real(value: Any, name: str) -> float:
    """A finite number, exactly."""
    try:
        found = float(np.asarray(value).item()) if not isinstance(value, complex) else math.nan
    except (TypeError, ValueError):
        msg = f"{name} is no number"
        raise _wrong(msg, f"it is a {type(value).__name__}", "give one real number") from None
    if not math.isfinite(found):
        msg = f"{name} = {found}"
        raise _wrong(msg, "a parameter is a finite number", f"give {name} as a real number")
    return found


def _family(name: str, *values: Any) -> Measure:
    family = NAMED[name]
    parameters = tuple(_real(v, f"{p} of {name}") for v, p in zip(values, family.parameters, strict=True))
    for value, parameter in zip(parameters, family.parameters, strict=True):
        if parameter in family.positive and not value > 0:
            msg = f"{parameter} = {value} of {name}"
            raise _wrong(msg, "it must be positive", f"give a positive {parameter}")
    lower, upper = family.support(*parameters)
    if not lower < upper:
        msg = f"{name}({lower}, {upper})"
        raise _wrong(msg, "its support is empty", "give lower < upper")
    shown = ", ".join(f"{value:g}" for value in parameters)
    return Measure(parts=(Part(name, parameters, lower, upper),), name=f"{name}({shown})")


def Lebesgue(lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """Length on [lower, upper]; either end may be infinite."""
    if not lower < upper:
        msg = f"Lebesgue({lower}, {upper})"
        raise _wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("Uniform", (0.0, 1.0), float(lower), float(upper), probability=False)
    return Measure(parts=(part,), name=f"Lebesgue({lower:g}, {upper:g})")


def Dirac(x: float) -> Measure:
    """All mass, 1, at x."""
    place = _real(x, "x of Dirac")
    return Measure(atoms=((place, Fraction(1)),), name=f"Dirac({place:g})")


def Counting(lower: int, upper: int) -> Measure:
    """Mass 1 at each whole number from lower to upper, at most 2001 of them."""
    ends = (lower, upper)
    if not all(isinstance(k, int) and abs(k) <= 2**53 for k in ends) or not 0 <= upper - lower <= 2000:
        msg = f"Counting({lower}, {upper})"
        raise _wrong(msg, "it counts at most 2001 whole numbers", "give ints with lower <= upper <= lower + 2000")
    atoms = tuple((float(k), Fraction(1)) for k in range(lower, upper + 1))
    return Measure(atoms=atoms, name=f"Counting({lower}, {upper})")


def Normal(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The normal law with this mean and standard deviation."""
    return _family("Normal", mean, scale)


def Laplace(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The density exp(-|x - mean| / scale) / (2 scale)."""
    return _family("Laplace", mean, scale)


def StudentT(df: float, mean: float = 0.0, scale: float = 1.0) -> Measure:
    """Student's law with df degrees of freedom, moved and scaled."""
    return _family("StudentT", df, mean, scale)


def Cauchy(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """Cauchy's law, which has no mean."""
    return _family("Cauchy", mean, scale)


def Exponential(rate: float = 1.0) -> Measure:
    """The density rate exp(-rate x) for x >= 0."""
    return _family("Exponential", rate)


def Gamma(shape: float, rate: float = 1.0) -> Measure:
    """The density proportional to x^(shape - 1) exp(-rate x) for x >= 0."""
    return _family("Gamma", shape, rate)


def Beta(a: float, b: float) -> Measure:
    """The density proportional to x^(a - 1) (1 - x)^(b - 1) on [0, 1]."""
    return _family("Beta", a, b)


def Uniform(lower: float = 0.0, upper: float = 1.0) -> Measure:
    """The uniform law on [lower, upper]."""
    return _family("Uniform", lower, upper)


def _probability(p: Any, name: str) -> Fraction:
    found = Fraction(_real(p, name))
    if not 0 <= found <= 1:
        msg = f"{name} = {float(found)}"
        raise _wrong(msg, "a probability lies between 0 and 1", f"give {name} in [0, 1]")
    return found


def Bernoulli(p: float) -> Measure:
    """1 with probability p, else 0."""
    chance = _probability(p, "p of Bernoulli")
    return Measure(atoms=((0.0, 1 - chance), (1.0, chance)), name=f"Bernoulli({float(chance):g})")


def Binomial(n: int, p: float) -> Measure:
    """How many of n independent trials succeed."""
    chance = _probability(p, "p of Binomial")
    if not (isinstance(n, int) and 0 <= n <= 2000):
        msg = f"n = {n} of Binomial"
        raise _wrong(msg, "it is a whole number from 0 to 2000", "give n as an int")
    atoms = tuple((float(k), math.comb(n, k) * chance**k * (1 - chance) ** (n - k)) for k in range(n + 1))
    return Measure(atoms=atoms, name=f"Binomial({n}, {float(chance):g})")


def Categorical(probabilities: Sequence[float]) -> Measure:
    """0, 1, 2, ... with these probabilities, which are divided by their exact sum."""
    weights = _weights(probabilities, "the probabilities of Categorical")
    return Measure(atoms=tuple((float(k), w) for k, w in enumerate(weights)), name=f"Categorical of {len(weights)}")


def _weights(values: Sequence[float], name: str) -> list[Fraction]:
    found = [_probability(v, name) for v in np.asarray(values, float).ravel()]
    total = sum(found, Fraction(0))
    if abs(float(total) - 1) > 1e-5:
        msg = f"{name} add up to {float(total):g}"
        raise _wrong(msg, "they must add up to 1", "divide them by their sum")
    return [w / total for w in found]


def mixture(weights: Sequence[float], measures: Sequence[Measure]) -> Measure:
    """The measures with these weights, which are divided by their exact sum; atoms and densities may be mixed."""
    shares = _weights(weights, "the weights of mixture")
    if len(shares) != len(measures) or not all(isinstance(m, Measure) for m in measures):
        msg = "mixture needs a weight for each measure"
        raise _wrong(msg, f"{len(shares)} weights", "give lists of one length")
    atoms = tuple((x, w * share) for share, m in zip(shares, measures, strict=True) for x, w in m.atoms)
    parts = tuple(
        replace(part, weight=part.weight * share) for share, m in zip(shares, measures, strict=True) for part in m.parts
    )
    return Measure(atoms, parts, f"a mixture of {', '.join(m.name for m in measures)}")


def from_log_density(log_density: Callable[..., Any], lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """The probability whose density on [lower, upper] is proportional to exp(log_density(x))."""
    if not callable(log_density):
        msg = f"a {type(log_density).__name__} is no function"
        raise _wrong(msg, "it cannot be called", "give a function of x")
    if not lower < upper:
        msg = f"[{lower}, {upper}]"
        raise _wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("", (), float(lower), float(upper), log_density=log_density)
    return Measure(parts=(part,), name=f"the law of {getattr(log_density, '__name__', 'a log-density')}")


def _measure(found: Any) -> Measure:
    if not isinstance(found, Measure):
        msg = f"a {type(found).__name__} is no measure"
        raise _wrong(msg, "it must be made by qed.measures", "give Normal(0.0, 1.0), say")
    return found


def scaled(factor: float, measure: Measure) -> Measure:
    """factor times the measure, exactly; 0 times any measure is the measure of mass 0.

    Raises:
        QedError: QED007 where the factor is negative or not finite, or the second argument is no measure.

    >>> from qed.integration.measures import Dirac, scaled
    >>> scaled(2.5, Dirac(1.0)).atoms
    ((1.0, Fraction(5, 2)),)
    """
    share, given = Fraction(_real(factor, "factor")), _measure(measure)
    if share < 0:
        msg = f"factor = {float(share)}"
        raise _wrong(msg, "a measure is not negative", "give a factor of at least 0, and subtract the integrals")
    atoms = tuple((x, w * share) for x, w in given.atoms if share)
    parts = tuple(replace(part, weight=part.weight * share) for part in given.parts if share)
    return Measure(atoms, parts, f"{float(share):g} times {given.name}")


def add(measures: Sequence[Measure]) -> Measure:
    """The sum of the measures, whose masses add up; a mixture has the total mass 1 of its weights instead.

    Raises:
        QedError: QED007 where there is none, or one of them is no measure.

    >>> from qed.integration.measures import Dirac, Lebesgue, add
    >>> both = add([Lebesgue(0.0, 1.0), Dirac(0.5)])
    >>> len(both.parts), both.atoms
    (1, ((0.5, Fraction(1, 1)),))
    """
    given = [_measure(one) for one in measures]
    if not given:
        msg = "add of no measure"
        raise _wrong(msg, "the list is empty", "give at least one measure")
    atoms = tuple(atom for one in given for atom in one.atoms)
    return Measure(atoms, tuple(part for one in given for part in one.parts), " + ".join(one.name for one in given))


def restrict(measure: Measure, lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """The measure of what lies in [lower, upper], both ends included; it is not divided by the mass that is left.

    Args:
        measure: a measure of this module.
        lower: the left end, which may be -inf.
        upper: the right end, which may be inf; equal ends keep an atom there and nothing else.

    Raises:
        QedError: QED007 where the interval is empty, or cuts a density that is neither Lebesgue's nor Uniform.

    >>> from qed.integration.measures import Dirac, Uniform, mixture, restrict
    >>> cut = restrict(mixture([0.5, 0.5], [Dirac(0.0), Uniform(0.0, 4.0)]), 0.0, 1.0)
    >>> cut.atoms, cut.parts[0].upper, cut.parts[0].weight
    (((0.0, Fraction(1, 2)),), 1.0, Fraction(1, 8))
    """
    given = _measure(measure)
    if not lower <= upper:
        msg = f"[{lower}, {upper}]"
        raise _wrong(msg, "the interval is empty", "give lower <= upper")
    low, high = float(lower), float(upper)
    atoms = tuple((x, w) for x, w in given.atoms if low <= x <= high)
    parts = tuple(kept for part in given.parts if (kept := _cut(part, low, high)) is not None)
    return Measure(atoms, parts, f"{given.name} on [{low:g}, {high:g}]")


def _cut(part: Part, lower: float, upper: float) -> Part | None:
    """What lies in [lower, upper] of a part; None where that is nothing."""
    low, high = max(part.lower, lower), min(part.upper, upper)
    if not low < high:
        return None
    if (low, high) == (part.lower, part.upper):
        return part
    if not part.probability:
        return replace(part, lower=low, upper=high)
    if part.family != "Uniform":
        msg = f"[{lower:g}, {upper:g}] cuts {part.family or 'the law of a log-density'}"
        instead = "integrate where(inside, f, 0), or give its log-density on the interval to from_log_density"
        raise _wrong(msg, "the mass to each side of the cut is no fraction", instead)
    share = (Fraction(high) - Fraction(low)) / (Fraction(part.upper) - Fraction(part.lower))
    return replace(part, parameters=(low, high), lower=low, upper=high, weight=part.weight * share)


def from_scipy(law: Any) -> Measure:
    """The measure of a frozen law of scipy.stats, where its parameters are the ones given here, without rounding.

    Raises:
        QedError: QED007 for another law than a frozen one of bernoulli, beta, binom, cauchy, expon, gamma, laplace,
            norm, t and uniform; where it is moved and the family here is not; and where 1 / scale or
            loc + scale would be rounded, since a proof would speak of another law.

    >>> from scipy import stats
    >>> from qed.integration.measures import from_scipy
    >>> str(from_scipy(stats.norm(1.0, scale=2.0))), str(from_scipy(stats.expon(scale=0.5)))
    ('Normal(1, 2)', 'Exponential(2)')
    """
    name, given = getattr(getattr(law, "dist", None), "name", None), _frozen(law)
    if name not in _SCIPY or given is None:
        msg = f"{name or 'a ' + type(law).__name__} is no law that is known here"
        raise _wrong(msg, f"known are {', '.join(sorted(_SCIPY))}", "give its log-density to from_log_density")
    shapes, loc, scale = given
    if not scale > 0:
        msg = f"scale = {scale} of {name}"
        raise _wrong(msg, "it must be positive", "give a positive scale")
    if name in ("norm", "laplace", "t", "cauchy"):
        return _SCIPY[name](*shapes, loc, scale)
    if name == "uniform":
        if Fraction(loc) + Fraction(scale) != Fraction(loc + scale):
            raise _rounded(name, f"{loc} + {scale}")
        return Uniform(loc, loc + scale)
    if loc != 0 or (scale != 1 and name not in ("expon", "gamma")):
        msg = f"{name} with loc = {loc}, scale = {scale}"
        raise _wrong(msg, "the family here is not moved", "integrate f(loc + scale * x) against the law at 0")
    if name in ("expon", "gamma"):
        rate = 1 / scale
        if Fraction(rate) * Fraction(scale) != 1:
            raise _rounded(name, f"1 / {scale}")
        return _SCIPY[name](*shapes, rate)
    if name == "binom" and shapes[0].is_integer():
        return Binomial(int(shapes[0]), shapes[1])
    return _SCIPY[name](*shapes)


def _rounded(name: str, term: str) -> QedError:
    msg = f"{term} of {name}"
    return _wrong(msg, "it is rounded in float64: a proof would speak of another law", "make the law by qed.measures")


def _frozen(law: Any) -> tuple[tuple[float, ...], float, float] | None:
    """The shapes, loc and scale of a frozen law; None where it is none."""
    dist, args, keywords = (getattr(law, name, None) for name in ("dist", "args", "kwds"))
    if dist is None or args is None or keywords is None or not hasattr(dist, "shapes"):
        return None
    names = [*(dist.shapes or "").replace(",", " ").split(), "loc", "scale"]
    found = {"loc": 0.0, "scale": 1.0, **dict(zip(names, args, strict=False)), **keywords}
    values = tuple(_real(found[name], name) for name in names)
    return values[:-2], values[-2], values[-1]


_SCIPY: dict[str, Callable[..., Measure]] = {
    "bernoulli": Bernoulli,
    "beta": Beta,
    "binom": Binomial,
    "cauchy": Cauchy,
    "expon": Exponential,
    "gamma": Gamma,
    "laplace": Laplace,
    "norm": Normal,
    "t": StudentT,
    "uniform": Uniform,
}
"""The makers by the names of scipy.stats."""
