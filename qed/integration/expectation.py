"""E f = int f dmu, and the probability of an event, with an error that is true.

The mass is looked for first, then the integral is measured by two unlike rules (qed/integration/quadrature.py). That
is a proposal: bounds about it are given to the certificate (qed/certificates/expectation.py), which knows nothing of
the rules and encloses the integral in balls, tails included. If it confirms them the answer is PROVED. If it proves
that the integral is +inf or -inf, that is the answer. Otherwise the measurement stands as what it is, or the answer is
UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Enclosed, Measured, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.expectation import UNDEFINED, Expectation
from qed.certificates.found import Unbounded, Undefined
from qed.certificates.patience import LATE, OutOfTime, patience
from qed.certificates.reading import as_read
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.function import Function, read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.between_ends import contradicted
from qed.integration.constants import ROUNDED, room_of_constants
from qed.integration.families.vectors import VectorLaw
from qed.integration.hinges import hinge
from qed.integration.images import Layout
from qed.integration.measure import Measure, Part, seconds_of
from qed.integration.product import Product
from qed.integration.proposals import (
    Proposal,
    Share,
    broken,
    cuts_of,
    left_out,
    logarithm_of,
    not_a_number,
    proposal_of,
    singular_near,
    total_of,
    with_breaks,
)
from qed.integration.quadrature import vectorised
from qed.integration.sums import summed
from qed.integration.tiny import refined
from qed.integration.traced.tracers import closes_over_tracers, is_traced, measure_is_traced
from qed.integration.words import RULES, SUMS, as_event, bounded, claim, noun, settle, two_rules, within
from qed.standing import Standing

WIDTHS = (1e-9, 1e-6, 1e-3)
"""Half-widths, in parts of the value's size, of the bounds that are tried."""
TINIEST = 1e-300
"""The smallest half-width."""
WIDE = 1 / 16
"""A ball whose radius is more than this part of its middle is not made narrower."""
SINGULAR = 4
"""How many such numbers are looked for."""
SHARES = 4
"""One attempt takes at most this part of the budget."""
HOPED = 1e-6
"""A proof is tried with bounds this close, in parts of the value's size, even where the rules differ by more."""


def expect(
    fun: Callable[..., Any],
    measure: Measure | Product | VectorLaw,
    *args: Any,
    tol: float | None = None,
    budget: float = 20.0,
) -> Answer[float]:
    """The integral of fun(x, *args) against a measure: of a probability, the expectation.

    Args:
        fun: a function of one real number that returns one; of a vector, for a product of measures.
        measure: a measure of `qed.measures`, a product of such, or a law of vectors.
        args: the other arguments, as they are.
        tol: how wide the bounds may be to each side, in the units of fun; None for as close as it is easily proved.
        budget: seconds that the search for a proof, or an integral against a product, may take; what was found until
            then is the answer.

    Returns:
        An answer whose value is the number: PROVED with bounds, or proved to be infinite; MEASURED with what two unlike
        rules and their own estimates leave open; or UNKNOWN, with what is missing.

    Raises:
        QedError: for what is no measure or no tolerance (QED007), and for a function that `qed.graph.function.read`
            refuses.

    >>> import jax.numpy as jnp
    >>> from qed.integration.expectation import expect
    >>> from qed.integration.measures import Normal
    >>> answer = expect(lambda x: x * x, Normal(0.0, 1.0))
    >>> str(answer.standing), round(answer.value, 6), answer.check()
    ('PROVED', 1.0, True)
    """
    if is_traced(args) or measure_is_traced(measure) or closes_over_tracers(fun):
        from qed.integration.traced.verbs import expect as compiled

        return compiled(fun, measure, *args)
    if isinstance(measure, Product):
        from qed.integration.many.expectation import expect as over_product

        return over_product(fun, measure, args, tol, budget)
    if isinstance(measure, VectorLaw):
        from qed.integration.vector_expectation import expect as over_vectors

        return over_vectors(fun, measure, args, tol, budget)
    if not isinstance(measure, Measure):
        because = "it must be made by qed.measures"
        foreign = hasattr(measure, "rvs") or hasattr(measure, "log_prob")
        instead = "give qed.measures.from_scipy or from_numpyro of it" if foreign else "give Normal(0.0, 1.0), say"
        raise QedError("QED007", f"a {type(measure).__name__} is no measure", because, instead)
    if tol is not None and not (isinstance(tol, int | float) and 0 < tol < np.inf):
        raise QedError("QED007", f"tol={tol!r} is no tolerance", "it is a positive number", "give tol=1e-6, say")
    function = read(fun, jnp.asarray(0.5), *args)
    return _Question(function, fun, measure, args, tol, Layout.of(measure), seconds_of(budget)).answer()


def probability(
    event: Callable[..., Any],
    measure: Measure | Product | VectorLaw,
    *args: Any,
    tol: float | None = None,
    budget: float = 20.0,
) -> Answer[float]:
    """The measure of the set where event(x, *args) holds.

    Args:
        event: a function of one real number, or of a vector, that returns a truth value.
        measure: a measure of `qed.measures`, or a product of such.
        args: the other arguments, as they are.
        tol: how wide the bounds may be to each side.
        budget: as of `expect`.

    Returns:
        As `expect`, of the function that is 1 where the event holds and 0 elsewhere.

    Raises:
        QedError: QED002 where the event returns something else than one truth value; else as `expect`.

    >>> from qed.integration.expectation import probability
    >>> from qed.integration.measures import Normal
    >>> answer = probability(lambda x: x > 1.0, Normal(0.0, 1.0))
    >>> str(answer.standing), round(answer.value, 6)
    ('PROVED', 0.158655)
    """
    if not callable(event):
        what = f"a {type(event).__name__} is no event"
        raise QedError("QED007", what, "it cannot be called", "give a function, lambda x: x > 1")
    name = getattr(event, "__name__", "event")

    @as_event
    @wraps(event)
    def indicator(x: Any, *given: Any) -> Any:
        holds = event(x, *given)
        if jnp.shape(holds) != () or jnp.result_type(holds) != jnp.bool_:
            because = f"it returns {jnp.result_type(holds)}{list(jnp.shape(holds))}"
            raise QedError("QED002", f"{name} returns no truth value", because, "return a comparison, such as x > 1")
        return jnp.where(holds, 1.0, 0.0)

    indicator.__name__ = name
    return expect(indicator, measure, *args, tol=tol, budget=budget)


def _divided(u: Callable[[Any], Any], part: Part) -> Callable[[Any], Any]:
    """The log-density of a named law less the logarithm of its mass."""
    with precision(64):
        mass = float(log_mass(part.family, part.parameters))
    return lambda x: u(x) - mass


@dataclass(frozen=True)
class _Question:
    """What is asked."""

    function: Function
    fun: Callable[..., Any]
    measure: Measure
    args: tuple[Any, ...]
    tol: float | None
    layout: Layout
    budget: float

    def answer(self) -> Answer[float]:
        """What is found within the budget."""
        try:
            with patience(self.budget):
                return as_read(self._found(), self.function.traced)
        except OutOfTime as late:
            return self._unknown(str(late))

    def _found(self) -> Answer[float]:
        """Measure, then prove; a number beside which the integrand is not bounded becomes a cut."""
        subject = self.layout.subject(self.fun, self.args)
        traced = subject.traced()
        count = len(self.layout.densities)
        sums = [(part, self.layout.output(count + k)) for k, part in enumerate(self.layout.sums)]
        with patience(self.budget / SHARES):
            hinging = hinge(traced, [x for x, _ in self.measure.atoms], sums)
        if hinging:
            return self._unknown(hinging)
        cuts: tuple[float, ...] = ()
        while True:
            shares = self._shares(traced, cuts)
            known = total_of([share.proposal for share in shares])
            if self.measure.sums:
                size = 0.0 if known is None else max(abs(known.value), known.size)
                found = summed(subject, traced, self.layout, *self._data(shares), size, self.tol)
                return self._unknown(found) if isinstance(found, str) else self._proof(*found, traced)
            certificate, value, problem, place = self._proved(subject, traced, known, shares)
            if certificate is not None:
                integrands = [share.f for share in shares[1:]]
                return self._proof(*(refined(certificate, traced, integrands) or (certificate, value)), traced)
            singular = None if place is None or len(cuts) == SINGULAR else singular_near(place, shares)
            if singular is None:
                break
            cuts = (*cuts, singular)
        if known is None or not known.whole or not known.close:
            return self._unknown(not_a_number(shares) or problem)
        if "undefined" in problem or "infinite mass" in problem or "it is [" in problem or "it is inf" in problem:
            return self._unknown(problem)
        if problem.startswith(LATE):
            return self._unknown(f"{problem}; the rules say {known.value:.9g}, which no balls confirm")
        with patience(self.budget / SHARES):
            missed = left_out(shares) or contradicted(self._claiming(subject, traced, shares), traced, shares)
        if missed:
            return self._unknown(missed)
        size = max(abs(known.value), known.size)
        return self._measurement(replace(known, error=max(known.error, room_of_constants(traced, size))), problem)

    def _shares(self, traced: Traced, more: tuple[float, ...]) -> list[Share]:
        """What the rules say of the atoms, and of each part."""
        f, following = vectorised(traced, 0), 1
        places = f(np.array([x for x, _ in self.measure.atoms]))
        with np.errstate(all="ignore"):
            terms = places * np.array([float(w) for _, w in self.measure.atoms])
        value, size = float(np.sum(terms)), float(np.sum(np.abs(terms)))
        found = [Share(None, f, None, (), Proposal(value, 1e-14 * size, True) if np.isfinite(value) else None)]
        for k, part in enumerate(self.layout.densities):
            f = vectorised(traced, self.layout.output(k)) if self.layout.functions else f
            if part.log_density is None:
                u = vectorised(NAMED[part.family].traced(part.parameters), 0)
                u = _divided(u, part) if part.cut else u
            else:
                u, following = vectorised(traced, following), following + 1
            v = u if part.probability or part.cut else logarithm_of(f)
            cuts = cuts_of(part, v, more)
            cuts = with_breaks(cuts, traced, v, f, more)
            found.append(Share(part, f, u, cuts, proposal_of(part, f, u, cuts)))
        return found

    def _proved(
        self, subject: Subject, traced: Traced, known: Proposal | None, shares: Sequence[Share]
    ) -> tuple[Expectation | None, float, str, float | None]:
        """A certificate that was verified and the value it is about; or why there is none, and where."""
        free = self._claiming(subject, traced, shares)
        tried = self._bounds(known, traced) or self._refined(free, traced)
        problem = ""
        for value, lower, upper in tried:
            certificate = replace(free, lower=lower, upper=upper).sealed()
            try:
                with patience(self.budget / SHARES):
                    certificate.verify()
            except OutOfTime as error:
                problem = str(error)  # wider bounds take less time
            except CertificateError as error:
                first, problem = not problem, problem or f"{error.node}: {error.why}"
                if isinstance(error, Unbounded):
                    if broken(error.place, shares):
                        return None, value, f"{error.node}: the integrand is undefined near {error.place!r}", None
                    return None, value, problem, error.place
                if isinstance(error, Undefined):
                    tried[1:] = [(np.nan, *UNDEFINED)] if lower != np.inf or upper == np.inf else []
                    continue
                if error.node != "lower":
                    break  # wider bounds would not help
                if first and np.isfinite(lower):
                    tried[1:] = self._refined(certificate, traced)
            except TooLong as error:
                return None, value, str(error), None
            else:
                return certificate, value, "", None
        return None, 0.0, problem, None

    def _claiming(self, subject: Subject, traced: Traced, shares: Sequence[Share]) -> Expectation:
        """A certificate that claims nothing."""
        atoms, parts = self._data(shares)
        return Expectation.made(
            subject, traced, atoms=atoms, parts=parts, lower=-np.inf, upper=np.inf, functions=self.layout.functions
        )

    def _data(self, shares: Sequence[Share]) -> tuple[Any, Any]:
        """The atoms and the densities as a certificate holds them."""
        atoms = tuple((x, str(w)) for x, w in self.measure.atoms)
        parts = tuple(
            (one.part.family, one.part.parameters, one.cuts, str(one.part.weight), one.part.probability)
            for one in shares
            if one.part is not None
        )
        return atoms, parts

    def _bounds(self, known: Proposal | None, traced: Traced) -> list[tuple[float, float, float]]:
        """The value and the bounds that are tried, in this order."""
        found = []
        if known is not None and known.close:
            size = max(abs(known.value), known.size)
            hoped = max(min(4 * known.error, HOPED * size), room_of_constants(traced, size))
            halves = [self.tol] if self.tol is not None else [max(width * size, hoped) for width in WIDTHS]
            found = [(known.value, known.value - half, known.value + half) for half in dict.fromkeys(halves)]
        return found

    def _refined(self, certificate: Expectation, traced: Traced) -> list[tuple[float, float, float]]:
        """What the balls say where the rules were wrong or silent: their middle, with bounds they keep, or infinity."""
        infinities = [(np.inf, np.inf, np.inf), (-np.inf, -np.inf, -np.inf)]
        half = middle = 0.0
        for closer in (False, True):
            try:
                ball, _ = certificate.enclosed(traced)
            except (CertificateError, TooLong):
                return infinities
            if not ball.is_finite():
                return infinities
            middle, radius = float(ball.mid()), float(ball.rad())
            if radius > WIDE * abs(middle) + (self.tol or TINIEST):
                return []
            if not closer:
                half = self.tol or max(WIDTHS[0] * abs(middle), TINIEST, room_of_constants(traced, abs(middle)))
                certificate = replace(certificate, lower=middle - half, upper=middle + half)
            elif radius > half / 2:
                half = self.tol or 6 * radius
        return [(middle, middle - half, middle + half)] if half <= max(abs(middle) / 8, WIDTHS[0]) else []

    # --- words ---

    def _claim(self, says: str) -> str:
        return claim(self._noun, self.function.name, self.measure, says)

    @property
    def _noun(self) -> str:
        return noun(self.fun, self.measure.probability)

    def _proof(self, certificate: Expectation, value: float, traced: Traced) -> Answer[float]:
        lower, upper = certificate.lower, certificate.upper
        if (lower, upper) == UNDEFINED:
            return self._undefined(certificate)
        lower, upper = bounded(self.fun, self.measure.probability, lower, upper)
        infinite, value = bool(np.isinf(lower)), min(max(value, lower), upper)
        says = f"is {value}" if infinite else f"lies in [{lower!r}, {upper!r}]"
        if self.measure.sums:
            rule = "the terms' sum diverges" if infinite else SUMS
        else:
            rest = (
                "beyond it, at an end or beside a cut it diverges"
                if infinite
                else "series with remainder on the cells between"
            )
            rule = f"tails enclosed beyond a radius; {rest}"
        text = f"{rule}; {ROUNDED}" if not infinite and room_of_constants(traced, abs(value)) > 0 else rule
        reason = Reason(rule, "∫ f dμ = Σ wᵢ f(xᵢ) + Σ ∫ f exp(u) dx", standing=Standing.PROVED, text=text)
        if lower > certificate.lower or upper < certificate.upper:  # cut at 0 or at 1
            told = f"at most {upper!r}" if lower == 0 else f"at least {lower!r}"
        else:
            told = "infinite" if infinite else within(lower, upper)
        headline = f"The {self._noun} is {told}."
        return Answer(
            self._claim(says),
            Standing.PROVED,
            value,
            arithmetic="reals",
            error=Enclosed(lower, upper),
            reasons=(reason,),
            certificate=certificate,
            headline=headline,
            subject=self.function.title(),
        )

    def _undefined(self, certificate: Expectation) -> Answer[float]:
        rule = "it diverges to +inf at one place and to -inf at another"
        return Answer(
            self._claim("is undefined: " + rule),
            Standing.PROVED,
            float("nan"),
            arithmetic="reals",
            reasons=(Reason(rule, "∫ f⁺ dμ = ∫ f⁻ dμ = ∞", standing=Standing.PROVED, text=rule),),
            certificate=certificate,
            headline=f"The {self._noun} is undefined: {rule}.",
            subject=self.function.title(),
        )

    def _measurement(self, known: Proposal, problem: str) -> Answer[float]:
        least, most = bounded(self.fun, self.measure.probability, -np.inf, np.inf)
        known = replace(known, value=min(max(known.value, least), most))
        return Answer(
            self._claim(f"is {known.value!r} within {known.error:.3g}"),
            Standing.MEASURED,
            known.value,
            arithmetic="float64",
            error=Measured(known.error, RULES),
            reasons=(two_rules(known.error, problem),),
            headline=f"The {self._noun} is about {known.value:.9g}, measured within {known.error:.2g}.",
            subject=self.function.title(),
            recheck=self.answer,
        )

    def _unknown(self, problem: str) -> Answer[float]:
        missing = Missing(problem or "no value was found", settle(problem), code="QED020")
        return Answer(
            self._claim("is a number"), Standing.UNKNOWN, None, arithmetic="reals", missing=(missing,),
            headline=f"Nothing is claimed about the {self._noun}.", subject=self.function.title(),
        )  # fmt: skip
