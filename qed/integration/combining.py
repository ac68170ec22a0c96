"""New measures from old ones: lengths, log-densities, mixtures, sums, multiples, restrictions; exact in the weights.

    (mu + nu)(A) = mu(A) + nu(A),        (c mu)(A) = c mu(A),        mu restricted to B (A) = mu(A and B)

Reference: Halmos, *Measure Theory*, Springer 1974, chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, overload

from qed.domains.box import Box
from qed.domains.counts import COUNTS
from qed.domains.densities import NAMED
from qed.integration.measure import Measure, Part, end_of, measure_of, real, shares_of, wrong
from qed.integration.product import box
from qed.integration.traced.tracers import is_traced


@overload
def Lebesgue(lower: float = -math.inf, upper: float = math.inf) -> Measure: ...
@overload
def Lebesgue(lower: Any, upper: Any) -> Any: ...
def Lebesgue(lower: Any = -math.inf, upper: Any = math.inf) -> Any:
    """Length on [lower, upper], whose ends may be infinite; with vectors, the volume of a box.

    Raises:
        QedError: QED007 where the interval is empty, or the ends are of different lengths.

    >>> from qed.integration.measures import Lebesgue
    >>> str(Lebesgue(0.0, 1.0)), str(Lebesgue([0.0, 0.0], [1.0, 2.0]))
    ('Lebesgue(0, 1)', 'Lebesgue(0, 1) x Lebesgue(0, 2)')
    """
    if (found := box(Lebesgue, lower, upper)) is not None:
        return found
    if is_traced(lower, upper):
        part = Part("Uniform", (0.0, 1.0), lower, upper, probability=False)
        return Measure(parts=(part,), name="Lebesgue of traced ends")
    low, high = (end_of(end, "Lebesgue") for end in (lower, upper))
    if not low < high:
        msg = f"Lebesgue({lower}, {upper})"
        raise wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("Uniform", (0.0, 1.0), low, high, probability=False)
    return Measure(parts=(part,), name=f"Lebesgue({low:g}, {high:g})")


def mixture(weights: Sequence[float], measures: Sequence[Measure]) -> Measure:
    """The measures with these weights, which are divided by their exact sum; atoms and densities may be mixed."""
    shares = shares_of(weights, "the weights of mixture")
    if len(shares) != len(measures) or not all(isinstance(m, Measure) for m in measures):
        msg = "mixture needs a weight for each measure"
        raise wrong(msg, f"{len(shares)} weights", "give lists of one length")
    atoms = tuple((x, w * share) for share, m in zip(shares, measures, strict=True) for x, w in m.atoms)
    parts = tuple(
        replace(part, weight=part.weight * share) for share, m in zip(shares, measures, strict=True) for part in m.parts
    )
    return Measure(atoms, parts, f"a mixture of {', '.join(m.name for m in measures)}")


def from_log_density(log_density: Callable[..., Any], lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """The probability whose density on [lower, upper] is proportional to exp(log_density(x))."""
    if not callable(log_density):
        msg = f"a {type(log_density).__name__} is no function"
        raise wrong(msg, "it cannot be called", "give a function of x")
    low, high = (end_of(end, "from_log_density") for end in (lower, upper))
    if not low < high:
        msg = f"[{lower}, {upper}]"
        raise wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("", (), low, high, log_density=log_density)
    return Measure(parts=(part,), name=f"the law of {getattr(log_density, '__name__', 'a log-density')}")


def reweight(measure: Measure, log_density: Callable[..., Any]) -> Measure:
    """The probability whose density against a measure is proportional to exp(log_density(x)): prior times likelihood.

    Args:
        measure: one part without atoms: a length, a counting measure, or a law with a name or a log-density.
        log_density: a function of one real number that returns one, without its constant.

    Raises:
        QedError: QED007 for a measure of several parts, whose new weights would be no fractions, and for an image.

    >>> import qed
    >>> from qed.integration.measures import Normal, reweight
    >>> posterior = reweight(Normal(0.0, 1.0), lambda x: -((x - 2.0) ** 2) / 2)
    >>> round(qed.expect(lambda x: x, posterior).value, 9)
    1.0
    """
    given = measure_of(measure)
    if not callable(log_density):
        msg = f"a {type(log_density).__name__} is no function"
        raise wrong(msg, "it cannot be called", "give a function of x")
    if given.atoms or len(given.parts) != 1 or given.parts[0].of is not None:
        msg = f"{given} is not reweighted"
        raise wrong(msg, "the new weights of its parts are no fractions", "give a measure of one part, without atoms")
    (part,) = given.parts
    before = _logarithm_of(part)

    def joint(x: Any) -> Any:
        return log_density(x) + before(x)

    chosen = Part("", (), part.lower, part.upper, log_density=joint, counting=part.counting)
    return Measure(parts=(chosen,), name=f"{given.name} reweighted by {getattr(log_density, '__name__', 'a function')}")


def _logarithm_of(part: Part) -> Callable[[Any], Any]:
    """The log-density of a part, without its constant."""
    if part.log_density is not None:
        return part.log_density
    if part.family == "Counting" or (part.family == "Uniform" and not part.counting):
        return lambda x: 0 * x
    found = COUNTS[part.family].log_mass if part.counting else NAMED[part.family].log_density
    return lambda x: found(x, *part.parameters)


def scaled(factor: float, measure: Measure) -> Measure:
    """factor times the measure, exactly; 0 times any measure is the measure of mass 0.

    Raises:
        QedError: QED007 where the factor is negative or not finite, or the second argument is no measure.

    >>> from qed.integration.measures import Dirac, scaled
    >>> scaled(2.5, Dirac(1.0)).atoms
    ((1.0, Fraction(5, 2)),)
    """
    share, given = Fraction(real(factor, "factor")), measure_of(measure)
    if share < 0:
        msg = f"factor = {float(share)}"
        raise wrong(msg, "a measure is not negative", "give a factor of at least 0, and subtract the integrals")
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
    given = [measure_of(one) for one in measures]
    if not given:
        msg = "add of no measure"
        raise wrong(msg, "the list is empty", "give at least one measure")
    atoms = tuple(atom for one in given for atom in one.atoms)
    return Measure(atoms, tuple(part for one in given for part in one.parts), " + ".join(one.name for one in given))


def restrict(measure: Measure, lower: Any = -math.inf, upper: float = math.inf) -> Measure:
    """The measure of what lies in [lower, upper], both ends included; it is not divided by the mass that is left.

    `reweight(restrict(law, a, b), lambda x: 0 * x)` is: the truncated law.

    Args:
        measure: a measure of this module.
        lower: the left end, which may be -inf; or both, as a pair or a `qed.Box`.
        upper: the right end, which may be inf; equal ends keep an atom there and nothing else.

    Raises:
        QedError: QED007 where the interval is none (a function, say) or empty, or cuts the law of a log-density, whose
            mass is no closed form.

    >>> from qed.integration.measures import Dirac, Uniform, mixture, restrict
    >>> cut = restrict(mixture([0.5, 0.5], [Dirac(0.0), Uniform(0.0, 4.0)]), 0.0, 1.0)
    >>> cut.atoms, cut.parts[0].upper, cut.parts[0].weight
    (((0.0, Fraction(1, 2)),), 1.0, Fraction(1, 8))
    """
    given = measure_of(measure)
    low, high = _interval(lower, upper)
    if not low <= high:
        msg = f"[{low}, {high}]"
        raise wrong(msg, "the interval is empty", "give lower <= upper")
    atoms = tuple((x, w) for x, w in given.atoms if low <= x <= high)
    parts = tuple(kept for part in given.parts if (kept := _cut(part, low, high)) is not None)
    return Measure(atoms, parts, f"{given.name} on [{low:g}, {high:g}]")


def _interval(lower: Any, upper: Any) -> tuple[float, float]:
    """The two ends, of numbers or of a pair."""
    ends: list[Any] = [lower, upper]
    if isinstance(lower, Box):
        ends = [lower.lower, lower.upper]
    elif isinstance(lower, tuple | list) and len(lower) == 2 and upper == math.inf:
        ends = list(lower)
    low, high = (open_end if end is None else end for end, open_end in zip(ends, (-math.inf, math.inf), strict=True))
    try:
        return float(low), float(high)
    except (TypeError, ValueError):
        msg = f"a {type(low if not isinstance(low, int | float) else high).__name__} is no end of an interval"
        instead = "give two numbers; of an event that is a function ask qed.probability(event, measure)"
        raise wrong(msg, "a measure is restricted to an interval", instead) from None


def _cut(part: Part, lower: float, upper: float) -> Part | None:
    """What lies in [lower, upper] of a part; None where that is nothing."""
    if part.image is not None and (lower, upper) != (-math.inf, math.inf):
        msg = "an image is not restricted"
        raise wrong(msg, "which points it puts there is not known", "restrict the measure first")
    low, high = max(part.lower, lower), min(part.upper, upper)
    if part.counting:
        low, high = (math.ceil(low), math.floor(high) if high < math.inf else high)
    if not (low < high or (part.counting and low == high)):
        return None
    if (low, high) == (part.lower, part.upper):
        return part
    if part.counting and not (part.probability and part.log_density is not None):
        return replace(part, lower=low, upper=high, probability=False)  # masses of a named law are known
    if not part.probability:
        return replace(part, lower=low, upper=high)
    if part.family in NAMED and part.family != "Uniform":
        return replace(part, lower=low, upper=high, probability=False)  # its mass is a closed form, and no fraction
    if part.family != "Uniform":
        msg = f"[{lower:g}, {upper:g}] cuts {part.family or 'the law of a log-density'}"
        instead = "integrate where(inside, f, 0), or give its log-density on the interval to from_log_density"
        raise wrong(msg, "its mass is no closed form", instead)
    share = (Fraction(high) - Fraction(low)) / (Fraction(part.upper) - Fraction(part.lower))
    return replace(part, parameters=(low, high), lower=low, upper=high, weight=part.weight * share)
