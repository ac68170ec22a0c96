"""The logarithm of a normalising constant, log Z = log int exp(u(x)) dx, which never leaves log space.

With the largest log-density M taken off, Z = exp(M) int exp(u - M): the integral is of ordinary size whatever M is, and
log Z = M + log of it. That Z is infinite, so that exp(u) is no density at all, is an answer with a proof: beyond some
radius the integrand is at least a constant times a power of x whose integral diverges.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Enclosed, Measured, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.expectation import LogMass
from qed.errors import CertificateError, QedError
from qed.graph.function import read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.combining import Lebesgue
from qed.integration.measure import Measure
from qed.integration.normalizer_of_sums import normalizer_of_sum, places_counted
from qed.integration.product import Product
from qed.integration.quadrature import ends_in_float64, measured, vectorised, where_mass_is
from qed.integration.traced.tracers import closes_over_tracers, is_traced, measure_is_traced
from qed.integration.words import RULES, two_rules, within
from qed.standing import Standing

HALF_WIDTHS = (1e-9, 1e-6, 1e-3)
"""How far the bounds of log Z lie from what was measured; the first that is proved is taken."""


def normalizer(
    log_density: Callable[..., Any], base: Measure | Product | None = None, *args: Any, budget: float = 20.0
) -> Answer[float]:
    """The logarithm of the integral of exp(log_density(x, *args)) over an interval, a box or whole numbers.

    Args:
        log_density: a function of one real number that returns one, without its constant; of a vector, over a box.
        base: `Lebesgue(lower, upper)`, the interval, or with vectors the box, or
            `Counting(lower, upper)`; None for the whole line.
        args: the other arguments, as they are.
        budget: seconds that an integral over a box may take; what was found until then is the answer.

    Returns:
        An answer whose value is log Z: PROVED with bounds, or proved to be infinite (improper); MEASURED, or UNKNOWN.

    Raises:
        QedError: QED007 for a base that is not one interval with Lebesgue's measure or the counting one; else as
            `qed.graph.function.read` says.

    >>> from qed.integration.normalizer import normalizer
    >>> answer = normalizer(lambda x: -x * x / 2 - 5000.0)
    >>> str(answer.standing), round(answer.value, 6)
    ('PROVED', -4999.081061)
    """
    base = Lebesgue() if base is None else base
    if is_traced(args) or measure_is_traced(base) or closes_over_tracers(log_density):
        from qed.integration.traced.verbs import normalizer as compiled

        return compiled(log_density, base, *args)
    if isinstance(base, Product):
        from qed.integration.many.expectation import normalizer as over_box

        return over_box(log_density, base, args, budget)
    if (places := places_counted(base)) is not None:
        return normalizer_of_sum(log_density, places, args)
    plain = isinstance(base, Measure) and not base.atoms and len(base.parts) == 1
    if not plain or base.parts[0].probability or base.parts[0].weight != 1:
        because = "a constant of normalisation is an integral over one interval"
        raise QedError("QED007", f"{base} is no base", because, "give qed.measures.Lebesgue(lower, upper) or Counting")
    function = read(log_density, jnp.asarray(0.5), *args)

    def joint(x: Any) -> Any:
        return jnp.ones_like(x), log_density(x, *args)

    subject = Subject(joint, jnp.asarray(0.5))
    traced = subject.traced()
    u = vectorised(traced, 1)
    part = base.parts[0]
    inner = [x for x in where_mass_is(u, part.lower, part.upper) if part.lower < x < part.upper]
    cuts = (part.lower, *(inner or ([0.0] if part.lower < 0 < part.upper else [])), part.upper)
    value, error, whole = measured_logarithm(u, cuts)
    tried = [(value - max(h, 4 * error), value + max(h, 4 * error)) for h in HALF_WIDTHS if math.isfinite(value)]
    problem = ""
    for lower, upper in (*dict.fromkeys(tried), (math.inf, math.inf)):
        try:
            certificate = LogMass.made(subject, traced, cuts=tuple(map(float, cuts)), lower=lower, upper=upper)
            certificate.verify()
        except CertificateError as lost:
            problem = problem or f"{lost.node}: {lost.why}"
        except TooLong as lost:
            problem = str(lost)
            break
        else:
            return _proof(function, *(_closer(certificate, traced) or (certificate, value)))
    found = _unproved(function, value, error, whole, problem)
    return found if found.unknown else replace(found, recheck=lambda: normalizer(log_density, base, *args))


def _closer(certificate: LogMass, traced: Traced) -> tuple[LogMass, float] | None:
    """Bounds about the middle of the ball, where those about a rough measurement are wide; None where they are not."""
    if not 4 * HALF_WIDTHS[1] < certificate.upper - certificate.lower < math.inf:
        return None
    for half in HALF_WIDTHS[1:]:
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
    improper = math.isinf(lower)
    rule = "a tail diverges" if improper else "tails enclosed, series with remainder on the cells between"
    says = "is infinite: the density is improper" if improper else f"has its logarithm in [{lower!r}, {upper!r}]"
    said = "exp of it has infinite mass: it is improper, and no density." if improper else ""
    return Answer(
        f"the integral of exp({function.name}) {says}",
        Standing.PROVED,
        math.inf if improper else value,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, "log Z = M + log ∫ exp(u - M) dx", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=said or f"The log of the normalising constant is {within(lower, upper)}.",
        subject=function.title(),
    )


def _unproved(function: Any, value: float, error: float, whole: bool, problem: str) -> Answer[float]:
    if not whole or not math.isfinite(value):
        missing = Missing(problem or "no value was found", "another base or log-density", code="QED020")
        claim = f"the integral of exp({function.name}) has a logarithm"
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), subject=function.title())
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
