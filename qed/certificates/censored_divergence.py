"""The certificate of the divergence of two laws g(X) and g(Y) for a map g with flat pieces, as censoring has them.

Let g stand still on pieces A_i, with the values c_i, and be one to one on the rest B. Then (Halmos, *Measure Theory*,
1974, sections 32 and 39) g P has an atom P(g = c) at each value c, and on g(B) both laws have the ratio of the laws
before the map, so that

    KL(g P || g Q) = sum_c P(g = c) log(P(g = c) / Q(g = c)) + int_B p log(p / q) dx,

where an atom that p or q has beside its densities is added to those of its place. A piece that ends at a number that
float64 does not hold ends a little before it: on the gap G behind it g is only known to rise (or to fall). With the
gap left as it is the divergence is at least KL(g P || g Q), and with all of g^-1(g(G)) made one place it is at most
that, since no map makes laws easier to tell apart (Kullback and Leibler, 1951, theorem 4.1). That is where a monotone
g takes its values from: the gap and the flat pieces beside it.

Verification: how g moves on each piece is read off its graph (`qed.domains.direction`); masses and integrals over
pieces are enclosed in balls (`qed.certificates.integral_parts`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar, final

import jax
import numpy as np

from qed.certificates.bounded import surely_within
from qed.certificates.certificate import Certificate
from qed.certificates.divergence import PartData
from qed.certificates.image_divergence import moving
from qed.certificates.integral_parts import BITS, Part
from qed.certificates.named_laws import checked
from qed.certificates.weights import fraction
from qed.domains.direction import Direction
from qed.domains.log_ratio import log_ratio
from qed.domains.masses import log_mass
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError
from qed.graph.trace import Traced, trace

CLOSE = 1e-13
"""How closely a mass is enclosed, in parts of itself."""
TAIL = "the tail of the integrand diverges: q falls too fast for p"
"""Why a divergence is infinite whose supports are as they should be."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class CensoredDivergence(Certificate):
    """Bounds of KL(g P || g Q), where the function is g, and P and Q are sums of named densities before it.

    The atoms stand where the images have them. The first and the last of the `cuts`, between which the pieces are,
    are the ends of all densities; the `constants` are near log(weight / mass), of p and then of q.

    >>> import jax.numpy as jnp
    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Normal, pushforward
    >>> p, q = (pushforward(Normal(mean, 1.0), lambda x: jnp.maximum(x, 0.0)) for mean in (0.0, 1.0))
    >>> kl(p, q).certificate.verify()
    True
    """

    kind: ClassVar[str] = "divergence of censored laws"
    p_atoms: tuple[tuple[float, str], ...]
    q_atoms: tuple[tuple[float, str], ...]
    p_parts: tuple[PartData, ...]
    q_parts: tuple[PartData, ...]
    constants: tuple[float, ...]
    cuts: tuple[float, ...]
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if not self.lower <= self.upper:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval")
        width = self.upper - self.lower
        total = self.enclosed(traced, width / 8 if np.isfinite(width) else 1e-3)
        with precision(BITS):
            surely_within(total, self.lower, self.upper)

    def claiming(self, lower: float, upper: float) -> CensoredDivergence:
        """The same with other bounds."""
        return replace(self, lower=lower, upper=upper).sealed()

    def enclosed(self, traced: Traced, room: float) -> Any:
        """A ball of the divergence; infinite where that is proved."""
        return self.told(traced, room)[0]

    def told(self, traced: Traced, room: float) -> tuple[Any, str, bool]:
        """The same, why it is infinite if it is, and whether that is for the supports alone."""
        self._checked()
        with precision(BITS):
            pieces = self._pieces(traced)
            one_to_one(traced, self.cuts, pieces)
            sums = _Sums(self, pieces, room)
            return sums.total(), sums.because or TAIL, bool(sums.because)

    def _checked(self) -> None:
        """Raise CertificateError for what is no law, or reaches beyond the cuts."""
        for side, atoms, parts in (("p", self.p_atoms, self.p_parts), ("q", self.q_atoms, self.q_parts)):
            if sum((fraction(w) for w in (*(w for _, w in atoms), *(part[3] for part in parts))), Fraction(0)) != 1:
                node = f"{side}_atoms"
                raise CertificateError(node, f"the weights of {side} do not add up to 1")
            for name, parameters, cuts, _ in parts:
                checked(name, parameters, cuts, f"{side}_parts")
                if not (len(self.cuts) > 1 and self.cuts[0] <= cuts[0] and cuts[-1] <= self.cuts[-1]):
                    raise CertificateError("cuts", f"{name} reaches beyond them")
        if not all(a < b for a, b in itertools.pairwise(self.cuts)):
            raise CertificateError("cuts", "they are not in order")
        if len(self.constants) != len(self.p_parts) + len(self.q_parts) or not all(map(np.isfinite, self.constants)):
            raise CertificateError("constants", "there is one for each density")

    def _pieces(self, traced: Traced) -> list[Direction]:
        found = []
        for a, b in itertools.pairwise(self.cuts):
            if (piece := moving(traced, 0, a, b)) is None:
                raise CertificateError("cuts", f"how the map moves between {a:g} and {b:g} is not known")
            if not piece.sign and piece.low != piece.high:
                raise CertificateError("cuts", f"its value between {a:g} and {b:g} is not known exactly")
            found.append(piece)
        return found


def one_to_one(traced: Traced, cuts: Sequence[float], pieces: Sequence[Direction]) -> None:
    """Raise CertificateError where the map may take one value on two pieces on which it moves, or is only monotone."""
    moves = [piece for piece in pieces if piece.sign]
    if len(moves) < 2 and all(piece.strict for piece in moves):
        return
    whole = moving(traced, 0, cuts[0], cuts[-1])
    if whole is not None and whole.sign:
        return
    if not all(piece.strict for piece in moves):
        raise CertificateError("cuts", "the map is not known to rise or to fall")
    for one, other in itertools.combinations(moves, 2):
        if not (one.high <= other.low or other.high <= one.low):
            raise CertificateError("cuts", "the map may take one value on two pieces")


@dataclass
class _Place:
    """What is made one place: the pieces, and the atoms there."""

    pieces: list[int]
    values: list[Any]
    low: Any
    high: Any
    atoms: dict[str, Fraction] = field(default_factory=lambda: {"p": Fraction(0), "q": Fraction(0)})


class _Sums:
    """The sums and integrals over the pieces."""

    def __init__(self, claim: CensoredDivergence, pieces: list[Direction], room: float) -> None:
        self.claim, self.pieces = claim, pieces
        self.room = room / (2 * len(pieces) * len(claim.p_parts) + 2)
        self.ends = list(itertools.pairwise(claim.cuts))
        with jax.enable_x64(True):
            self.one = trace(lambda x: 0 * x + 1, np.float64(0.5))
            self.ratio = trace(log_ratio(claim.p_parts, claim.q_parts, claim.constants, [], True), np.float64(0.5))
        self.known: dict[tuple[str, int], Any] = {}
        self.because = ""

    def total(self) -> Any:
        """A ball of the divergence."""
        arb = flint().arb
        rest = sum((self.over(k) for k, piece in enumerate(self.pieces) if piece.sign and piece.strict), arb(0))
        if not any(piece.sign and not piece.strict for piece in self.pieces):
            return rest + self.at(self.places(False))
        gaps = sum((self.over(k) for k, piece in enumerate(self.pieces) if piece.sign and not piece.strict), arb(0))
        most, least = self.at(self.places(False)) + gaps, self.at(self.places(True))
        if least == arb.pos_inf():
            return rest + least
        return rest + least.union(most) if most.is_finite() else arb.nan()

    # --- places ---

    def places(self, merged: bool) -> list[_Place]:
        """The places with mass: flat pieces by their value, and where `merged` gaps with what is flat beside them."""
        found: list[_Place] = []
        for k, piece in enumerate(self.pieces):
            if piece.sign and (piece.strict or not merged):
                continue
            last = found[-1] if found and merged and found[-1].pieces[-1] == k - 1 else None
            if last is None:
                value = piece.low
                last = next((one for one in found if not piece.sign and self._same(one, value)), None)
            if last is None:
                found.append(_Place([k], [] if piece.sign else [piece.low], piece.low, piece.high))
                continue
            last.pieces.append(k)
            last.values += [] if piece.sign else [piece.low]
            last.low, last.high = min(last.low, piece.low), max(last.high, piece.high)
        for side in ("p", "q"):
            for place, text in getattr(self.claim, f"{side}_atoms"):
                self._put(found, side, flint().arb(float(place)), fraction(text))
        return found

    def _same(self, place: _Place, value: Any) -> bool:
        """Whether a flat piece has the value of a place."""
        if place.low <= value <= place.high and not any(one == value for one in place.values):
            raise CertificateError("cuts", "a flat piece may have a value that is taken on a gap")
        return any(one == value for one in place.values)

    def _put(self, places: list[_Place], side: str, at: Any, weight: Fraction) -> None:
        for place in places:
            if self._same(place, at):
                place.atoms[side] += weight
                return
        places.append(_Place([], [at], at, at))
        places[-1].atoms[side] += weight

    def at(self, places: Sequence[_Place]) -> Any:
        """The share of the places."""
        arb = flint().arb
        total = arb(0)
        for place in places:
            p, q = self._share("p", place), self._share("q", place)
            if p.is_zero():
                continue
            if q.is_zero():
                if not p > 0:
                    raise CertificateError("p_parts", "p is not proved to have mass where q has none")
                self.because = f"p has an atom at {float(place.low):g}, and q has none there"
                return arb.pos_inf()
            total += p * (p / q).log()
        return total

    def _share(self, side: str, place: _Place) -> Any:
        """What p or q has at a place."""
        return sum((self.mass(side, k) for k in place.pieces), ball_of(place.atoms[side]))

    # --- integrals ---

    def mass(self, side: str, k: int) -> Any:
        """A ball of the mass that the densities of p or q have on a piece; 0 exactly where they have none."""
        if (side, k) not in self.known:
            total = flint().arb(0)
            for j, (name, parameters, cuts, weight) in enumerate(getattr(self.claim, f"{side}_parts")):
                if (within := self._within(cuts, k)) is None or not fraction(weight) > 0:
                    continue
                part = Part(self.one, (name, parameters, within, weight, False), 0, f"{side}_parts[{j}]", True)
                total += part.mean(CLOSE) * (-log_mass(name, parameters)).exp()
            self.known[side, k] = total
        return self.known[side, k]

    def over(self, k: int) -> Any:
        """A ball of int p log(p / q) over a piece; infinite where that is proved, or q has no density there."""
        arb = flint().arb
        parts = [part for part in self.claim.p_parts if fraction(part[3]) > 0]
        total, others = arb(0), [part[2] for part in self.claim.q_parts if fraction(part[3]) > 0]
        for j, (name, parameters, cuts, weight) in enumerate(parts):
            if (within := self._within(cuts, k, others)) is None:
                continue
            if any(not any(low <= a and b <= high for low, *_, high in others) for a, b in itertools.pairwise(within)):
                self.because = f"before the map p has a density on ({within[0]:g}, {within[-1]:g}), and q lacks it"
                return arb.pos_inf()
            part = Part(self.ratio, (name, parameters, within, weight, False), 0, f"p_parts[{j}]")
            total += part.mean(self.room) * (-log_mass(name, parameters)).exp()
        if total == arb.pos_inf() or not parts:
            return total
        return total + self.mass("p", k) * (self._off("q") - self._off("p"))

    def _off(self, side: str) -> Any:
        """What the constants of a side are above log(weight / mass)."""
        parts, first = (self.claim.p_parts, 0) if side == "p" else (self.claim.q_parts, len(self.claim.p_parts))
        found = None
        for k, (name, parameters, _, weight) in enumerate(parts, first):
            if not fraction(weight) > 0:
                node = f"{side}_parts"
                raise CertificateError(node, "a density has no weight")
            off = flint().arb(self.claim.constants[k]) - ball_of(fraction(weight)).log() + log_mass(name, parameters)
            found = off if found is None else found.union(off)
        return flint().arb(0) if found is None else found

    def _within(self, cuts: Sequence[float], k: int, more: Sequence[Sequence[float]] = ()) -> tuple[float, ...] | None:
        """The cuts of a density on a piece, with the ends of others; None where it has none there."""
        low, high = max(cuts[0], self.ends[k][0]), min(cuts[-1], self.ends[k][1])
        if not low < high:
            return None
        inner = {float(c) for c in (*cuts, *(end for one in more for end in (one[0], one[-1]))) if low < c < high}
        if not inner and not np.isfinite(low) and not np.isfinite(high):
            inner = {0.0}
        return (low, *sorted(inner), high)
