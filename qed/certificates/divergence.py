"""The certificate of a divergence KL(p || q), or of a cross-entropy, of two probabilities on the line.

Both are their Lebesgue decomposition: atoms w_i at x_i, and densities sum_k w_k exp(u_k(x)) / Z_k. Part by part
(Halmos, *Measure Theory*, 1974, sections 31 and 32)

    KL(p || q) = sum_i w_i log(w_i / v_i) + sum_k w_k E_k[log p(x) - log q(x)],

and it is infinite where an atom of p is none of q, and where p has a density and q has none. Without the terms log w
and log p it is minus the cross-entropy of q under p, on the base that counts atoms and measures lengths.

Verification: weights are fractions, their logarithms are balls. Two members of one exponential family are compared by
the curvature of its log-normaliser (`qed.certificates.curvature_integral`); of other pairs the closed form is
evaluated, if there is one (`qed.domains.closed_forms`), and what the integral says of either must not contradict it.
Near densities on one support are compared by `qed.certificates.near_divergence`. Others
are integrated (`qed.certificates.integral_parts`) with constants a_k near log(w_k / Z_k), which the
function behind the certificate holds and nobody believes: the masses Z_k are enclosed (those of named densities are
closed forms), and what a_k is off
by is put right, or told for a mixture by |log sum exp(u_k + a_k) - log sum exp(u_k + b_k)| <= max |a_k - b_k|.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, final

import jax
import numpy as np

from qed.certificates import countable, near_divergence
from qed.certificates.bounded import surely_within
from qed.certificates.cells import Cell
from qed.certificates.certificate import Certificate
from qed.certificates.curvature_integral import enclosed
from qed.certificates.fingerprint import fingerprint
from qed.certificates.found import Undefined
from qed.certificates.integral_parts import BITS, Part, value_on
from qed.certificates.named_laws import checked, output_of
from qed.certificates.series import SumData
from qed.certificates.weights import fraction
from qed.domains import closed_forms
from qed.domains.counts import COUNTS
from qed.domains.densities import NAMED
from qed.domains.families import common
from qed.domains.log_ratio import log_ratio
from qed.domains.masses import log_mass
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError
from qed.graph.trace import Traced, trace
from qed.graph.walk import TooLong

EXACT = 384
"""The precision of sums of logarithms, whose digits may cancel."""
ROUGH = 2.0**-5
"""How closely the integral is enclosed that stands beside a closed form, in parts of it."""
INNER = 0.25, 0.75
"""The part of the way between two cuts on which it is looked whether a density is 0."""
PartData = tuple[str, tuple[float, ...], tuple[float, ...], str]
"""A density as data: family or '', parameters, cuts, and weight as a fraction's text."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Divergence(Certificate):
    """Bounds of KL(p || q) if `ratio`, else of the cross-entropy - int log q dp; infinite bounds say it is infinite.

    The function behind it returns the integrand, which holds the `constants` of the parts of p and then of q, and the
    log-densities of the parts without a family, in the same order.

    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Bernoulli
    >>> kl(Bernoulli(0.5), Bernoulli(0.25)).certificate.verify()
    True
    """

    kind: ClassVar[str] = "divergence"
    ratio: bool
    p_atoms: tuple[tuple[float, str], ...]
    q_atoms: tuple[tuple[float, str], ...]
    p_parts: tuple[PartData, ...]
    q_parts: tuple[PartData, ...]
    constants: tuple[float, ...]
    lower: float
    upper: float
    p_sums: tuple[SumData, ...] = ()
    q_sums: tuple[SumData, ...] = ()

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        self._probabilities()
        if not self.lower <= self.upper:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval")
        if self.lower == np.inf and (self.atom_alone() is not None or self.bare(traced) is not None):
            return
        width = self.upper - self.lower
        total = self.enclosed(traced, width / 8 if np.isfinite(width) else 1e-3)
        with precision(BITS):
            # Gibbs' inequality: a divergence is never negative
            surely_within(total, -np.inf if self.ratio and self.lower == 0 else self.lower, self.upper)
        self._beside(traced)

    # --- supports ---

    def atom_alone(self) -> float | None:
        """A place where p has an atom and q has none."""
        return countable.alone(*self._countable())

    def _countable(self) -> tuple[countable.Countable, countable.Countable]:
        """The shares of p and q on countably many places."""
        found = []
        for side in ("p", "q"):
            atoms = _merged(getattr(self, f"{side}_atoms"), f"{side}_atoms")
            named = [
                (name, parameters, first, last, fraction(weight, f"{side}_sums"))
                for name, parameters, first, last, weight, _ in getattr(self, f"{side}_sums")
            ]
            found.append(countable.Countable(atoms, [one for one in named if one[-1] > 0]))
        return found[0], found[1]

    def gap(self, traced: Traced) -> tuple[float, float] | None:
        """An interval where a density of p is positive, and q has no density; the first such.

        A named density is positive inside its support, another one where its logarithm is bounded.
        """
        outputs = self._outputs(len(traced.graph.outputs))
        for k, (part, output) in enumerate(zip(self.p_parts, outputs, strict=False)):
            gap = self.uncovered([part])
            if gap is None:
                continue
            low, high = (float(np.clip(end, -1e6, 1e6)) for end in gap)
            ends = low + (high - low) * 0.5, low + (high - low) * 0.5078125
            if part[0]:
                return gap
            if ends[0] < ends[1] and value_on(traced, output, *ends, "p_parts").is_finite():
                with precision(BITS):
                    self._off(traced, k, output, 1e-3)  # the mass is finite
                return ends
        return None

    def bare(self, traced: Traced) -> tuple[float, float] | None:
        """An interval where a density of p is positive and every one of q is 0: outside them, or between cuts."""
        if (gap := self.gap(traced)) is not None:
            return gap
        outputs = self._outputs(len(traced.graph.outputs))
        count = len(self.p_parts)
        of_q = [pair for pair in zip(self.q_parts, outputs[count:], strict=True) if fraction(pair[0][3]) > 0]
        if all(part[0] for part, _ in of_q):
            return None  # densities with a name are positive on all of their supports
        for k, (name, _, cuts, weight) in enumerate(self.p_parts):
            for a, b in itertools.pairwise(cuts if fraction(weight) > 0 else ()):
                low, high = (a + (b - a) * share for share in INNER)
                if not (np.isfinite(b - a) and a < low < high < b):
                    continue
                bare = all(_zero(traced, part, output, low, high) for part, output in of_q)
                if bare and (name or _known(traced, outputs[k], low, high) > 0):
                    with precision(BITS):
                        self._off(traced, k, outputs[k], 1e-3)  # the mass is finite
                    return low, high
        return None

    def uncovered(self, parts: Sequence[PartData]) -> tuple[float, float] | None:
        """An interval of a part on which q has no density."""
        covered = sorted((part[2][0], part[2][-1]) for part in self.q_parts if fraction(part[3]) > 0)
        for part in parts:
            if not fraction(part[3]) > 0:
                continue
            start, end = part[2][0], part[2][-1]
            for low, high in covered:
                if low > start:
                    break
                start = max(start, high)
            if start < end:
                return start, min([end, *(low for low, _ in covered if low > start)])
        return None

    # --- the sum ---

    def enclosed(self, traced: Traced, room: float) -> Any:
        """A ball of the divergence or cross-entropy."""
        return self.of_atoms() + self.of_parts(traced, room)

    def of_atoms(self) -> Any:
        """A ball of the share of the atoms."""
        p, q = self._countable()
        if (place := countable.alone(p, q)) is not None:
            raise CertificateError("q_atoms", f"q has no atom at {place!r}")
        with precision(EXACT):
            return countable.divergence(p, q, self.ratio)

    def of_parts(self, traced: Traced, room: float) -> Any:
        """A ball of the share of the densities; infinite where that is proved."""
        parts = [part for part in self.p_parts if fraction(part[3]) > 0]
        if not parts:
            return flint().arb(0)
        if (gap := self.uncovered(self.p_parts)) is not None:
            raise CertificateError("q_parts", f"q has no density on {gap}")
        traced = self._of_its_parts(traced)
        if (exact := self.exact()) is not None:
            return exact
        with precision(BITS):
            if 0 < self.upper < near_divergence.NEAR and self.alike():
                try:
                    return self.near(traced, (max(self.lower, 0.0) + self.upper) / 2, room)
                except (CertificateError, TooLong):
                    pass
            return self._integrated(traced, room)

    def alike(self) -> bool:
        """Whether p and q are one density each, on one support, whose divergence is asked."""
        p, q = self.p_parts, self.q_parts
        alone = len(p) == len(q) == 1 and fraction(p[0][3]) == fraction(q[0][3]) == 1
        return bool(self.ratio and alone and (p[0][2][0], p[0][2][-1]) == (q[0][2][0], q[0][2][-1]))

    def near(self, traced: Traced, scale: float, room: float) -> Any:
        """A ball of the divergence of two such densities, which is about `scale`, by what is of its order alone."""
        own = [output_of(traced, k) for k in range(1, len(traced.graph.outputs))]
        name, parameters, cuts, weight = self.p_parts[0]
        ratio, part = output_of(traced, 0), (name, parameters, _cut(name, parameters, cuts), weight, True)
        return near_divergence.enclosed(ratio, own, part, "p_parts", scale, room)

    def pair(self) -> tuple[PartData, PartData] | None:
        """The density of p and that of q, where each has one, and both are named."""
        p, q = ([part for part in parts if fraction(part[3]) > 0] for parts in (self.p_parts, self.q_parts))
        if len(p) != 1 or len(q) != 1 or not (p[0][0] and q[0][0]):
            return None
        for name, parameters, cuts, _ in (*p, *q):
            checked(name, parameters, cuts)
        return p[0], q[0]

    def exact(self) -> Any:
        """A ball of the share of one density each, of one exponential family or with a closed form; else None."""
        if (pair := self.pair()) is None:
            return None
        p, q = (part[:2] for part in pair)
        weights = [fraction(part[3]) for part in pair]
        with precision(EXACT):
            if not self.ratio:
                found, off = closed_forms.cross_entropy(p, q), 1 / weights[1]
            else:
                off = weights[0] / weights[1]
                if p == q:
                    found = flint().arb(0)
                else:
                    found = closed_forms.divergence(p, q) if common(p, q) is None else enclosed(p, q)
            return None if found is None else ball_of(weights[0]) * (ball_of(off).log() + found)

    def _beside(self, traced: Traced) -> None:
        """Raise CertificateError where the integral, roughly enclosed, contradicts the formula.

        Of near laws it says nothing: what is between them is less than the room that it is given.
        """
        if (exact := self.exact()) is None or not exact.is_finite() or (self.ratio and abs(exact) < ROUGH / 8):
            return
        parts = tuple((name, given, _cut(name, given, cuts), weight) for name, given, cuts, weight in self.p_parts)
        try:
            with precision(BITS):
                found = replace(self, p_parts=parts)._integrated(
                    traced, max(ROUGH * abs(float(exact.mid())), ROUGH / 8)
                )
        except (CertificateError, TooLong):
            return  # the integral is not enclosed: the formula stands alone
        if found.is_finite() and not found.overlaps(exact):
            raise CertificateError("p_parts", f"the integral is {found.str(6)}, and the formula gives {exact.str(6)}")

    def _integrated(self, traced: Traced, room: float) -> Any:
        """sum_k w_k E_k f, and what the constants are off by."""
        arb = flint().arb
        outputs = self._outputs(len(traced.graph.outputs))
        everything = (*self.p_parts, *self.q_parts)
        share = room / (2 * len(everything) + 2)
        total, share_of_all = arb(0), Fraction(0)
        for k, (name, parameters, cuts, weight) in enumerate(self.p_parts):
            part = Part(traced, (name, parameters, cuts, weight, True), outputs[k], f"p_parts[{k}]")
            total += part.mean(share)
            share_of_all += fraction(weight)
        if total.is_nan():
            raise Undefined("p_parts", "its parts are infinite with opposite signs")
        if not total.is_finite():
            for k in range(len(everything)):
                self._off(traced, k, outputs[k], 1e-3)  # the masses are finite
            return total
        off = [self._off(traced, k, outputs[k], share) for k in range(len(everything))]
        split = len(self.p_parts)
        sides = [_hull(off[split:])] if not self.ratio else [-_hull(off[:split]), _hull(off[split:])]
        return total + ball_of(share_of_all) * sum(sides, arb(0))

    def _of_its_parts(self, traced: Traced) -> Traced:
        """The integrand of the parts, made again here from their log-densities alone.

        Raises CertificateError where all are named, and the function is another one.
        """
        everything = (*self.p_parts, *self.q_parts)
        if len(self.constants) != len(everything):
            raise CertificateError("constants", f"there are {len(everything)} parts")
        outputs = self._outputs(len(traced.graph.outputs))
        own = [output_of(traced, k) for k in outputs if k]
        if own and np.asarray(traced.parameters[0]).dtype != np.float64:
            raise CertificateError("function", "it is traced in another dtype, to which parameters are rounded")
        integrand = log_ratio(self.p_parts, self.q_parts, self.constants, own, self.ratio)
        with jax.enable_x64(True):
            made = trace(integrand, np.asarray(traced.parameters[0]) if own else np.float64(0.5))
        if not own and fingerprint(made.graph) != self.function:
            raise CertificateError("function", "it is not the integrand of p and q")
        return made

    def _off(self, traced: Traced, k: int, output: int, room: float) -> Any:
        """What a constant is above log(weight / mass)."""
        name, parameters, cuts, weight = (*self.p_parts, *self.q_parts)[k]
        node = f"constants[{k}]"
        logarithm = ball_of(fraction(weight)).log()
        if name:
            checked(name, parameters, cuts)
            return flint().arb(self.constants[k]) - logarithm + log_mass(name, parameters)
        part = Part(traced, (name, parameters, cuts, "1", False), output, node, relative=True)
        part.f = _one()
        mass = part.mean(room)
        if not (mass.is_finite() and mass > 0):
            raise CertificateError(node, "the mass is not proved to be positive and finite")
        return flint().arb(self.constants[k]) - logarithm + mass.log()

    def _outputs(self, count: int) -> list[int]:
        """The output that holds the log-density of each part; 0 for those of a family."""
        found, following = [], 1
        for name, *_ in (*self.p_parts, *self.q_parts):
            found.append(0 if name else following)
            following += not name
        if following != count:
            raise CertificateError("p_parts", f"p and q name {following} outputs, and the function has {count}")
        return found

    def _probabilities(self) -> None:
        """Raise CertificateError where the weights of p or q do not add up to 1."""
        for side, atoms, parts in (("p", self.p_atoms, self.p_parts), ("q", self.q_atoms, self.q_parts)):
            total = Fraction(0)
            sums = getattr(self, f"{side}_sums")
            for text in (*(w for _, w in atoms), *(part[3] for part in parts), *(one[4] for one in sums)):
                total += fraction(text, f"{side}_atoms")
            for one in sums:
                _whole(one, f"{side}_sums")
            if total != 1:
                node = f"{side}_atoms"
                raise CertificateError(node, f"the weights of {side} do not add up to 1")
            for name, parameters, cuts, _ in parts:
                if len(cuts) < 2:
                    node = f"{side}_parts"
                    raise CertificateError(node, "a part has two ends")
                if name:
                    checked(name, parameters, cuts)


def _cut(name: str, parameters: tuple[float, ...], cuts: tuple[float, ...]) -> tuple[float, ...]:
    """The cuts, with one where the mass is if none is finite."""
    if any(map(np.isfinite, cuts)):
        return cuts
    at = dict(zip(NAMED[name].parameters, parameters, strict=True)).get("mean", 0.0)
    return (cuts[0], float(at), cuts[-1])


def _whole(one: SumData, node: str) -> None:
    """Raise CertificateError where a named law on whole numbers is not as it should be."""
    name, parameters, first, last, _, probability = one
    if name not in COUNTS:
        raise CertificateError(node, f"{name or 'a log-density'} is no family of laws on whole numbers")
    if fault := COUNTS[name].fault(parameters):
        raise CertificateError(node, f"of {name}, {fault}")
    if (first, last) != (0.0, COUNTS[name].last(*parameters)) or not probability:
        raise CertificateError(node, f"the places of {name} are 0 to {COUNTS[name].last(*parameters)}")


def _known(traced: Traced, output: int, low: float, high: float) -> Any:
    """A ball of exp of a log-density on an interval, 0 where it is -inf; NaN where it is not known."""
    try:
        return Cell(0.0, low, high).density_of(traced, output, flint().arb(0), BITS, "p_parts")
    except CertificateError:
        return flint().arb.nan()


def _zero(traced: Traced, part: PartData, output: int, low: float, high: float) -> bool:
    """Whether a density is 0 on an interval."""
    outside = part[2][-1] <= low or high <= part[2][0]
    return bool(outside or (not part[0] and _known(traced, output, low, high).is_zero()))


def _merged(atoms: tuple[tuple[float, str], ...], node: str) -> dict[float, Fraction]:
    """The atoms of positive weight by place, each place once."""
    found: dict[float, Fraction] = {}
    for x, text in atoms:
        weight = fraction(text, node)
        if weight > 0:
            found[float(x)] = found.get(float(x), Fraction(0)) + weight
    return found


def _hull(balls: list[Any]) -> Any:
    found = balls[0]
    for ball in balls[1:]:
        found = found.union(ball)
    return found


def _one() -> Traced:
    """The number 1 as a function."""
    with jax.enable_x64(True):
        return trace(lambda x: 0 * x + 1, np.float64(0.5))
