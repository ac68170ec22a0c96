"""One comparison of two laws on the line: what is asked of them, in which order, and how it is told.

The divergence, or where `ratio` is false the cross-entropy, is the share of the atoms and that of the densities,

    sum_i w_i log(w_i / v_i) + int p log(p / q) dx,        or  - sum_i w_i log v_i - int p log q dx.

Supports are asked first; then atoms are added up in balls, members of an exponential family are compared by Bregman's
difference or the curvature of their log-normaliser, and other densities are integrated on cells with a proved tail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Measured, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.curvature_integral import NARROW, by_bregman, by_curvature
from qed.certificates.divergence import EXACT, Divergence
from qed.certificates.found import Unbounded
from qed.certificates.near_divergence import NEAR
from qed.certificates.patience import LATE, OutOfTime
from qed.certificates.weights import as_text
from qed.domains.balls import outward
from qed.domains.families import Member, common
from qed.domains.log_ratio import log_ratio
from qed.domains.precision import precision
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError
from qed.findings import Finding
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.density_cuts import cut_where_ways_part, empty, singular_of, with_cut
from qed.integration.laws import Density, densities_of
from qed.integration.measure import Measure
from qed.integration.near_densities import BY_EXCESS, EXCESS, SHARES, mean_and_scale
from qed.integration.quadrature import ends_in_float64, measured, vectorised
from qed.integration.straight_images import straightened
from qed.integration.sums import sums_of
from qed.integration.words import RULES, capital, two_rules, within
from qed.standing import Standing

CLOSE = 1e-10
"""How wide the enclosure of an integral is asked to be, in parts of its size."""
WIDE = (1e-3, 1e-9)
"""A proof this wide is still told, in parts of the value and absolutely."""
BY_CELLS = "tails enclosed, series with remainder on the cells between"
SINGULAR = 4
"""At so many numbers at most beside which the integrand is not bounded densities are cut."""
ZERO = 1e-12
"""A divergence that is smaller in float64 may be 0."""
CURVATURE = "∫₀¹ (1 - t) dᵀA''(η_p + t d) d dt"
"""How, where the log-normaliser A is known."""


@dataclass(frozen=True)
class Comparison:
    """What is asked of p and q."""

    p: Measure
    q: Measure
    ratio: bool
    name: str
    densities: tuple[tuple[Density, ...], tuple[Density, ...]]

    @classmethod
    def of(cls, p: Measure, q: Measure, ratio: bool, name: str) -> Comparison:
        """The question, its arguments looked at, images under straight lines by their densities."""
        p, q = straightened(p), straightened(q)
        sides = [densities_of(law, label) for law, label in ((p, "p"), (q, "q"))]
        return cls(p, q, ratio, name, (sides[0], sides[1]))

    def answer(self) -> Answer[float]:
        """What is found in time."""
        try:
            return self._found()
        except OutOfTime as late:
            return self._unknown(str(late))

    def _found(self) -> Answer[float]:
        """Supports, then exact sums and curvatures, then integrals."""
        if any(part.log_density is not None for law in (self.p, self.q) for part in law.sums):
            return self._unknown("the masses of a law on whole numbers are only known up to a constant")
        certificate, traced = self._certificate((0.0,) * sum(map(len, self.densities)))
        atom, gap = certificate.atom_alone(), self._gap(certificate, traced)
        if atom is not None or gap is not None:
            infinite = replace(certificate, lower=np.inf, upper=np.inf).sealed()
            infinite.verify()
            return self._infinite(infinite, atom, gap)
        if (gap := certificate.uncovered(certificate.p_parts)) is not None:
            return self._unknown(f"p is not proved to have mass on ({gap[0]:g}, {gap[1]:g}), where q has none")
        if not self.densities[0]:
            return self._exact(certificate, "atoms added up in balls", self._formula())
        if (pair := certificate.pair()) is not None:
            near = self.ratio and common(pair[0][:2], pair[1][:2]) is not None
            if near:
                return self._exact(certificate, "the integral of the curvature of the log-normaliser", CURVATURE)
            if certificate.exact() is not None:
                return self._exact(certificate, "the closed form, evaluated in balls", self._formula())
        return self._by_integrals()

    def _gap(self, certificate: Divergence, traced: Traced) -> tuple[float, float] | None:
        try:
            return certificate.bare(traced)
        except (CertificateError, TooLong):
            return None

    def _by_integrals(self) -> Answer[float]:
        """The mass of each part is looked for first."""
        first, second = (tuple(one.searched() for one in side) for side in self.densities)
        return replace(self, densities=(first, second))._integrated()

    def _certificate(self, constants: tuple[float, ...]) -> tuple[Divergence, Traced]:
        """A certificate that claims nothing yet, and the integrand."""
        p, q = ([one.data for one in side] for side in self.densities)
        own = [one.part.log_density for side in self.densities for one in side if one.part.log_density is not None]
        subject = Subject(log_ratio(p, q, constants, own, self.ratio) if p and q else _nothing(own),
                          np.float64(0.5), x64=True)  # fmt: skip
        traced = subject.traced()
        atoms = [tuple((float(x), as_text(w)) for x, w in law.atoms if w > 0) for law in (self.p, self.q)]
        sums = [
            tuple((*one[:4], as_text(part.weight), one[5]) for one, part in zip(sums_of(law), law.sums, strict=True))
            for law in (self.p, self.q)
        ]
        made = Divergence.made(
            subject, traced, ratio=self.ratio, p_atoms=atoms[0], q_atoms=atoms[1], p_parts=tuple(p), q_parts=tuple(q),
            constants=constants, lower=-np.inf, upper=np.inf, p_sums=sums[0], q_sums=sums[1],
        )  # fmt: skip
        return made, traced

    def _exact(self, certificate: Divergence, rule: str, formula: str) -> Answer[float]:
        """Atoms, and at most one density each: of one family, by Bregman's difference, verified by the curvature."""
        try:
            total = certificate.of_atoms()
        except CertificateError as lost:
            return self._unknown(f"{lost.node}: {lost.why}")
        if self.densities[0]:
            (p,), (q,) = self.densities
            pairs = [(one.part.family, one.part.parameters) for one in (p, q)]
            try:
                with precision(EXACT):
                    if formula is CURVATURE and pairs[0] != pairs[1]:
                        known = _of_family(*pairs) + ball_of(p.part.weight / q.part.weight).log()
                        total += ball_of(p.part.weight) * known
                    else:
                        total += certificate.exact()
            except CertificateError as lost:
                return self._unknown(f"{lost.node}: {lost.why}")
        found = self._claimed(certificate, total, None, rule, formula)
        return found if found is not None else self._unknown(f"the sum is only known as {total.str(6)}")

    def _integrated(self) -> Answer[float]:
        """What the rules measure, and what balls prove."""
        constants = tuple(one.constant() for side in self.densities for one in side)
        if not np.all(np.isfinite(constants)):
            which = "p" if not np.all(np.isfinite(constants[: len(self.densities[0])])) else "q"
            return self._unknown(f"the mass of {which} was not found: it may be infinite, as qed.normalizer may prove")
        certificate, traced = self._certificate(constants)
        p, q = self.densities
        if (ways := cut_where_ways_part(p, q, traced, np.zeros_like)) == p:
            return self._enclosed(constants)
        certificate, _ = replace(self, densities=(ways, q))._certificate(constants)
        if (gap := self._gap(certificate, traced)) is not None:
            infinite = replace(certificate, lower=np.inf, upper=np.inf).sealed()
            infinite.verify()
            return self._infinite(infinite, None, gap)
        ways = cut_where_ways_part(p, q, traced, vectorised(traced, 0))
        return replace(self, densities=(ways, q))._enclosed(constants)

    def _enclosed(self, constants: tuple[float, ...], more: int = SINGULAR) -> Answer[float]:
        """What the rules measure between these cuts, and what balls prove; `more` numbers may be cuts."""
        certificate, traced = self._certificate(constants)
        try:
            value, error = self._measured(traced, float(certificate.of_atoms()))
        except CertificateError as lost:
            return self._unknown(f"{lost.node}: {lost.why}")
        if self.ratio and value < NEAR and (found := self._near(constants, traced)) is not None:
            return found
        room = max(CLOSE * abs(value), 1e-13, 4 * error if error < 1e-3 * abs(value) else 0.0)
        if self.ratio and abs(value) < ZERO:
            room = max(room, WIDE[1] / 16)  # equal laws: at most so much
        room = room if np.isfinite(room) else 1e-3  # of a value that is no number in float64
        problem = "the enclosure is too wide"
        try:
            total = certificate.enclosed(traced, room)
        except Unbounded as lost:
            problem = f"{lost.node}: {lost.why}"
            place = singular_of(self.densities, traced, lost.place) if more else None
            if place is not None:
                return replace(self, densities=with_cut(self.densities, place))._enclosed(constants, more - 1)
        except CertificateError as lost:
            problem = f"{lost.node}: {lost.why}"
        except TooLong as lost:
            problem = str(lost)
        else:
            if not total.is_finite() and (total > 0 or total < 0):
                end = np.inf if total > 0 else -np.inf
                infinite = replace(certificate, lower=end, upper=end).sealed()
                infinite.verify()
                return self._infinite(infinite, None, None)
            found = self._claimed(certificate, total, room, BY_CELLS, self._formula())
            if found is not None:
                return found
        if not np.isfinite(value) or error > max(abs(value) / 8, 1e-6) or "mass" in problem:
            return self._unknown(problem)
        if problem == LATE:
            return self._unknown(f"{problem}; the rules say {value:.9g}, which no balls confirm")
        if (place := empty(*self.densities)) is not None:
            return self._unknown(f"the density of q is 0 or undefined near {place:g}, where p has mass")
        return self._measurement(max(value, 0.0) if self.ratio else value, error, problem)

    def _near(self, constants: tuple[float, ...], traced: Traced) -> Answer[float] | None:
        """Two near densities on one support, with a small error in parts of their divergence."""
        known = mean_and_scale(vectorised(traced, 0), self.densities[0][0])
        if known is None:
            return None
        certificate, traced = self._certificate((constants[0] - known[0], *constants[1:]))
        if not certificate.alike():
            return None
        for share in SHARES:
            try:
                total = certificate.near(traced, known[1], share * known[1])
                found = self._claimed(certificate, total, share * known[1], BY_EXCESS, EXCESS)
                if found is not None and found.check():
                    return found
            except (CertificateError, TooLong):
                continue
        return None

    def _measured(self, traced: Traced, value: float) -> tuple[float, float]:
        """The share of the atoms, and the rules' value of that of the densities, with their error."""
        f, error = vectorised(traced, 0), 1e-15 * abs(value)
        for one in self.densities[0]:
            assert one.u is not None
            found = measured(f, one.u, ends_in_float64(one.u, one.cuts), True)
            if found is None:
                inner = [c for c in one.cuts if np.isfinite(c)]
                found = measured(f, one.u, inner, True) if len(inner) > 1 else None
                if found is None or len(inner) < len(one.cuts):
                    return (value + found.value if found else np.nan), np.inf
            value += float(one.part.weight) * found.value
            error += float(one.part.weight) * found.error
        return value, error

    # --- words ---

    def _claimed(
        self, certificate: Divergence, total: Any, room: float | None, rule: str, formula: str
    ) -> Answer[float] | None:
        """The answer with bounds that are the ball rounded outward, if they say something and are verified."""
        if not total.is_finite():
            return None
        lower, upper = outward(total, 0.0 if self.ratio else -np.inf)
        middle = float(total.mid())
        if upper - lower > max(WIDE[0] * abs(middle), WIDE[1]):
            return None
        half = 0.0 if room is None else max(4 * room, upper - lower)
        if half:  # the enclosure is asked for with an eighth of the width, as it was here
            lower, upper = max(middle - half, 0.0 if self.ratio else -np.inf), middle + half
        if not lower <= upper:
            return None
        claimed = replace(certificate, lower=lower, upper=upper).sealed()
        if room is None or half > 4 * room or lower == 0.0:
            try:
                claimed.verify()
            except CertificateError:
                return None
        shown = min(max(middle, lower), upper)
        return self._told(claimed, shown, (Reason(rule, formula, standing=Standing.PROVED, text=rule),),
                          f"{capital(self.name)} is {within(lower, upper)}.")  # fmt: skip

    def _formula(self) -> str:
        return "Σ wᵢ log(wᵢ/vᵢ) + ∫ p log(p/q) dx" if self.ratio else "-Σ wᵢ log vᵢ - ∫ p log q dx"

    def _told(
        self, certificate: Divergence, value: float, reasons: tuple[Reason, ...], headline: str, found: Any = ()
    ) -> Answer[float]:
        lower, upper = certificate.lower, certificate.upper
        says = "is infinite" if np.isinf(value) else f"lies in [{lower!r}, {upper!r}]"
        return Answer(
            f"{self.name} {says}", Standing.PROVED, value, arithmetic="reals", error=Enclosed(lower, upper),
            reasons=reasons, findings=found, certificate=certificate, headline=headline, subject=self.name,
        )  # fmt: skip

    def _infinite(self, certificate: Divergence, atom: float | None, gap: Any) -> Answer[float]:
        if atom is not None:
            dense = bool(self.densities[1]) and not certificate.q_atoms
            text = f"p has an atom at {atom:g}, and q has none there" + (": it has a density only" if dense else "")
            finding = (Finding("QED606" if dense else "QED605", text, witness={"place": atom}),)
        elif gap is not None:
            text = f"p has a density on ({gap[0]:g}, {gap[1]:g}), and q has none there"
            finding = (Finding("QED605", text, witness={"lower": gap[0], "upper": gap[1]}),)
        elif certificate.lower < 0:
            text, finding = "the integrand diverges to -inf: the density grows without end too fast", ()
        elif self.ratio:
            text, finding = "the tail of the integrand diverges: q falls too fast for p", ()
        else:
            text, finding = "the tail of the integrand diverges: too much mass is far out", ()
        reason = Reason(text, self._formula(), standing=Standing.PROVED, text=text)
        says = "is infinite" if certificate.lower > 0 else "is -inf"
        return self._told(certificate, certificate.lower, (reason,), f"{capital(self.name)} {says}: {text}.", finding)

    def _measurement(self, value: float, error: float, problem: str) -> Answer[float]:
        return Answer(
            f"{self.name} is {value!r} within {error:.3g}",
            Standing.MEASURED,
            value,
            arithmetic="float64",
            error=Measured(error, RULES),
            reasons=(two_rules(error, problem),),
            headline=f"{capital(self.name)} is about {value:.9g}, measured within {error:.2g}.",
            subject=self.name,
            recheck=self.answer,
        )

    def _unknown(self, problem: str) -> Answer[float]:
        missing = Missing(problem, "other laws, or densities whose tails are enclosed", code="QED020")
        headline = f"Nothing is claimed about {self.name}."
        return Answer(
            f"{self.name} is a number", Standing.UNKNOWN, missing=(missing,), headline=headline, subject=self.name
        )


def _of_family(p: Member, q: Member) -> Any:
    """The difference of log-normalisers, or where its digits cancel the integral that has none to cancel."""
    ball = by_bregman(p, q)
    return ball if float(ball.rad()) < NARROW * float(abs(ball).lower()) else by_curvature(p, q)


def _nothing(own: Any) -> Callable[[Any], Any]:
    """The integrand where p or q has no density."""
    return lambda x: (0 * x, *(one(x) for one in own))
