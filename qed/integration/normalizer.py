"""The logarithm of a normalising constant, log Z = log int exp(u(x)) dx, which never leaves log space.

With the largest log-density M taken off, Z = exp(M) int exp(u - M): the integral is of ordinary size whatever M is, and
log Z = M + log of it. That Z is infinite, so that exp(u) is no density at all, is an answer with a proof: beyond some
radius the integrand is at least a constant times a power of x whose integral diverges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Enclosed, Measured, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.expectation import LogMass
from qed.certificates.found import Unbounded
from qed.certificates.patience import LATE, OutOfTime, patience
from qed.certificates.reading import as_read
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.function import Function, read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.combining import Lebesgue
from qed.integration.constants import room_of_constants
from qed.integration.families.vectors import VectorLaw
from qed.integration.measure import Measure, Part, seconds_of
from qed.integration.normalizer_of_sums import normalizer_of_sum, places_counted
from qed.integration.product import Product
from qed.integration.proposals import Share, nan_inside, places_of, singular_near
from qed.integration.quadrature import ends_in_float64, measured, unmeasured, vectorised, where_mass_is
from qed.integration.traced.tracers import closes_over_tracers, is_traced, measure_is_traced
from qed.integration.words import RULES, settle, two_rules, within
from qed.standing import Standing

HALF_WIDTHS = (1e-9, 1e-6, 1e-3)
"""How far the bounds of log Z lie from what was measured; the first that is proved is taken."""
SHARES = 4
"""One attempt takes at most this part of the budget."""
CONFIRMED = 1e-3
"""How narrow a ball is asked to be that is to confirm a measurement."""
PLACES = 4
"""How many numbers beside which the density is not bounded are looked for."""


def normalizer(
    log_density: Callable[..., Any], base: Measure | Product | VectorLaw | None = None, *args: Any, budget: float = 20.0
) -> Answer[float]:
    """The logarithm of the integral of exp(log_density(x, *args)) over an interval, a box or whole numbers.

    Args:
        log_density: a function of one real number that returns one, without its constant; of a vector, over a box.
        base: `Lebesgue(lower, upper)`, the interval, or with vectors the box, or
            `Counting(lower, upper)`; None for the whole line. Or a law with a name, such as `Normal(0.0, 1.0)` or
            `MultivariateNormal(mean, covariance)`, or what an interval leaves of it
            (`qed.measures.restrict`): where it is the prior and log_density the log-likelihood, log Z is
            the log of the evidence.
        args: the other arguments, as they are.
        budget: seconds that the search for a proof, or an integral over a box, may take; what was found until then is
            the answer.

    Returns:
        An answer whose value is log Z: PROVED with bounds, or proved to be infinite (improper); MEASURED, or UNKNOWN.

    Raises:
        QedError: QED007 for a base that is not one interval with Lebesgue's measure or the counting one, nor one law
            with a name; else as `qed.graph.function.read` says.

    >>> from qed.integration.normalizer import normalizer
    >>> answer = normalizer(lambda x: -x * x / 2 - 5000.0)
    >>> str(answer.standing), round(answer.value, 6)
    ('PROVED', -4999.081061)
    >>> from qed.integration.measures import Normal
    >>> evidence = normalizer(lambda z: -((1.0 - z) ** 2) / 2, Normal(0.0, 1.0))
    >>> str(evidence.standing), round(evidence.value, 6)
    ('PROVED', -0.596574)
    """
    base, budget = Lebesgue() if base is None else base, seconds_of(budget)
    if is_traced(args) or measure_is_traced(base) or closes_over_tracers(log_density):
        from qed.integration.traced.verbs import normalizer as compiled

        return compiled(log_density, base, *args)
    if isinstance(base, Product):
        from qed.integration.many.expectation import normalizer as over_box

        return over_box(log_density, base, args, budget)
    if isinstance(base, VectorLaw):
        from qed.integration.vector_expectation import normalizer as over_vectors

        return over_vectors(log_density, base, args, budget)
    if (places := places_counted(base)) is not None:
        with patience(budget):
            return normalizer_of_sum(log_density, places, args)
    if not isinstance(base, Measure) or base.atoms or len(base.parts) != 1 or not _is_base(base.parts[0]):
        because = "a constant of normalisation is an integral over one interval, or against one law with a name"
        raise QedError("QED007", f"{base} is no base", because, "give qed.measures.Lebesgue(lower, upper) or Counting")
    function = read(log_density, jnp.asarray(0.5), *args)
    with patience(budget):
        found = as_read(_Question(function, log_density, base.parts[0], args, budget).answer(), function.traced)
    if not found.measured:
        return found
    return replace(found, recheck=lambda: normalizer(log_density, base, *args, budget=budget))


def _named(part: Part) -> bool:
    """Whether it is a law with a name, or what an interval leaves of one."""
    return part.cut or (part.probability and part.family in NAMED and not part.counting)


def _is_base(part: Part) -> bool:
    return part.weight == 1 and (_named(part) or (part.family == "Uniform" and not part.probability))


@dataclass(frozen=True)
class _Question:
    """The integral of exp(log_density) over an interval, or against a law with a name: log E exp(log_density)."""

    function: Function
    log_density: Callable[..., Any]
    part: Part
    args: tuple[Any, ...]
    budget: float

    def answer(self) -> Answer[float]:
        """Measure, then prove; a number beside which the density is not bounded becomes a cut."""
        traced, part = self._subject().traced(), self.part
        own = vectorised(traced, 1)
        u = own
        if _named(part):
            prior = vectorised(NAMED[part.family].traced(part.parameters), 0)
            with precision(64):
                mass = float(log_mass(part.family, part.parameters))
            u = lambda x: own(x) + (prior(x) - mass)  # noqa: E731
        places: tuple[float, ...] = ()
        while True:
            inner = {x for x in (*where_mass_is(u, part.lower, part.upper), *places) if part.lower < x < part.upper}
            cuts = (part.lower, *(sorted(inner) or ([0.0] if part.lower < 0 < part.upper else [])), part.upper)
            found = self._proved(traced, u, tuple(map(float, cuts)))
            if not isinstance(found, Unbounded):
                return found
            share = Share(part, np.ones_like, u, cuts, None)
            place = None if len(places) == PLACES else singular_near(found.place, [share])
            if place is None:
                return self._measured(traced, u, cuts, f"{found.node}: {found.why}")
            places = (*places, place)

    def _subject(self) -> Subject:
        def joint(x: Any) -> Any:
            return jnp.ones_like(x), self.log_density(x, *self.args)

        return Subject(joint, jnp.asarray(0.5))

    def _proved(self, traced: Traced, u: Any, cuts: tuple[float, ...]) -> Answer[float] | Unbounded:
        """A proof about what the rules say, or about what balls say where the rules were wrong."""
        value, error, _ = measured_logarithm(u, cuts)
        least = max(4 * error, room_of_constants(traced, value, logarithm=True))
        tried = [(value - max(h, least), value + max(h, least)) for h in HALF_WIDTHS if math.isfinite(value)]
        law = (self.part.family, self.part.parameters) if _named(self.part) else ("", ())
        nothing = not tried and bool(np.all(u(places_of(self.part)) == -np.inf))
        infinite = -math.inf if nothing else math.inf
        problem, waiting = "", [*dict.fromkeys(tried), (infinite, infinite)]
        while waiting:
            lower, upper = waiting.pop(0)
            certificate = LogMass.made(self._subject(), traced, cuts=cuts, lower=lower, upper=upper, family=law[0],
                                       parameters=law[1])  # fmt: skip
            try:
                with patience(self.budget / SHARES):
                    certificate.verify()
            except OutOfTime as lost:
                problem = str(lost)  # wider bounds take less time
            except Unbounded as lost:
                return lost
            except CertificateError as lost:
                if not problem and lost.node == "lower":
                    waiting[:0] = _enclosed(certificate, traced)
                problem = problem or f"{lost.node}: {lost.why}"
            except TooLong as lost:
                problem = str(lost)
                break
            else:
                value = min(max(value, lower), upper) if math.isfinite(value + lower) else (lower + upper) / 2
                return _proof(self.function, *(_closer(certificate, traced) or (certificate, value)))
        return self._measured(traced, u, cuts, problem)

    def _between(self, traced: Traced, cuts: Sequence[float], value: float, error: float) -> str:
        """What balls say against the rules between finite ends, beyond which the density is 0 in float64."""
        inner = tuple(c for c in cuts if np.isfinite(c))
        if _named(self.part) or len(inner) < 2:
            return ""
        certificate = LogMass.made(self._subject(), traced, cuts=inner, lower=-math.inf, upper=math.inf)
        try:
            with patience(self.budget / SHARES):
                ball = certificate.enclosed(traced, CONFIRMED)
        except (CertificateError, TooLong):
            return ""
        if not ball.is_finite() or (float(ball.lower()) <= value + error and float(ball.upper()) >= value - error):
            return ""
        return f"balls between the ends say {ball.str(6)}, and the rules {value:.6g}"

    def _measured(self, traced: Traced, u: Any, cuts: tuple[float, ...], problem: str) -> Answer[float]:
        """What the rules say, if nothing speaks against it: neither balls nor a look at the whole interval."""
        value, error, whole = measured_logarithm(u, cuts)
        if problem.startswith(LATE):
            problem, whole = f"{problem}; the rules say {value:.9g}, which no balls confirm", False
        elif problem.startswith("lower"):
            whole = False
        elif whole:
            ends = ends_in_float64(u, cuts)
            missed = unmeasured(np.ones_like, u, (self.part.lower, self.part.upper), ends)
            missed = missed or self._between(traced, ends, value, error)
            problem, whole = missed or problem, not missed
        if not whole and (place := nan_inside(u, self.part)) is not None:
            problem = f"the log-density is NaN at {place:.6g}, inside the interval"
        error = max(error, room_of_constants(traced, value, logarithm=True))
        return _unproved(self.function, value, error, whole, problem)


def _enclosed(certificate: LogMass, traced: Traced) -> list[tuple[float, float]]:
    """Bounds about what balls say, where the rules were wrong: they have missed mass."""
    half = HALF_WIDTHS[-1]
    try:
        ball = certificate.enclosed(traced, half / 4)
    except (CertificateError, TooLong):
        return []
    close = ball.is_finite() and float(ball.rad()) < half
    return [(float(ball.mid()) - half, float(ball.mid()) + half)] if close else []


def _closer(certificate: LogMass, traced: Traced) -> tuple[LogMass, float] | None:
    """Bounds about the middle of the ball, where those about a rough measurement are wide; None where they are not."""
    if not 4 * HALF_WIDTHS[1] < certificate.upper - certificate.lower < math.inf:
        return None
    for width in HALF_WIDTHS[1:]:
        half = max(width, room_of_constants(traced, certificate.lower, logarithm=True))
        try:
            ball = certificate.enclosed(traced, half / 4)
            middle = float(ball.mid())
            closer = replace(certificate, lower=middle - half, upper=middle + half).sealed()
            closer.verify()
        except (CertificateError, TooLong):
            continue
        return closer, middle
    return None


def measured_logarithm(u: Callable[[Any], Any], cuts: tuple[float, ...]) -> tuple[float, float, bool]:
    """log Z by the rules, its error, and whether they saw the whole interval; NaN where they saw nothing finite."""
    inner = np.array([c for c in cuts if np.isfinite(c)])
    values = u(inner) if inner.size else np.zeros(0)
    if not np.any(np.isfinite(values)):
        return math.nan, math.inf, False
    most = float(np.max(values[np.isfinite(values)]))

    def shifted(x: Any) -> Any:
        return u(x) - most

    for whole, where in ((True, ends_in_float64(shifted, cuts)), (False, [float(c) for c in inner])):
        found = measured(np.ones_like, shifted, where, False) if len(where) >= 2 else None
        if found is not None and found.value > 0 and found.error < found.value / 2:
            return most + math.log(found.value), 2 * found.error / found.value + 4e-16 * abs(most), whole
    return math.nan, math.inf, False


def _proof(function: Any, certificate: LogMass, value: float) -> Answer[float]:
    lower, upper = certificate.lower, certificate.upper
    improper, empty = lower == math.inf, upper == -math.inf
    rule = "tails enclosed, series with remainder on the cells between"
    says, said = f"has its logarithm in [{lower!r}, {upper!r}]", ""
    if improper:
        rule = "it diverges in a tail, at an end or beside a number where the density is not bounded"
        says = "is infinite: the density is improper"
        said = "exp of it has infinite mass: it is improper, and no density."
    elif empty:
        rule, says = "the density is 0 on every cell", "is 0: there is no mass"
        said = "The log of the normalising constant is -inf: exp of it has no mass, and is no density."
    return Answer(
        f"the integral of exp({function.name}) {says}",
        Standing.PROVED,
        lower if improper or empty else value,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, "log Z = M + log ∫ exp(u - M) dx", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=said or f"The log of the normalising constant is {within(lower, upper)}.",
        subject=function.title(),
    )


def _unproved(function: Any, value: float, error: float, whole: bool, problem: str) -> Answer[float]:
    if not whole or not math.isfinite(value):
        missing = Missing(problem or "no value was found", settle(problem), code="QED020")
        claim = f"the integral of exp({function.name}) has a logarithm"
        headline = "Nothing is claimed about the log of the normalising constant."
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), headline=headline, subject=function.title())
    return Answer(
        f"the integral of exp({function.name}) has the logarithm {value!r} within {error:.3g}",
        Standing.MEASURED,
        value,
        arithmetic="float64",
        error=Measured(error, RULES),
        reasons=(two_rules(error, problem),),
        headline=f"The log of the normalising constant is about {value:.9g}, measured within {error:.2g}.",
        subject=function.title(),
    )
