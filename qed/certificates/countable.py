"""The divergence of two laws on countably many places: sum_k P(k) log(P(k) / Q(k)), with a proved tail.

    P(k) = the weight of an atom at k + sum_j w_j m_j(k),    m_j the masses of a named law (`qed.domains.counts`).

Each logarithm is a ball of many bits, so that near-equal laws keep their digits. From some K on there is no atom, each
m_j of p falls at least by a factor r_j < 1, and since no mass is above 1, |log P / Q| <= -log P - log Q, where

    -log P(K + n)  <=  -log(w_j m_j(K)) - sum_{i < n} log(m_j(K+i+1) / m_j(K+i))  <=  A + D n + e n^2

for any j: the ratios of a Poisson law are rate / (K + i + 1), with -log <= log((K + 1) / rate) + i / (K + 1), those of
the other families are bounded below. So the rest is at most the sum over j of

    w_j m_j(K) (A / (1 - r) + D r / (1 - r)^2 + e r (1 + r) / (1 - r)^3).

Reference: Cover and Thomas, *Elements of Information Theory*, Wiley 2006, chapter 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.counts import COUNTS, later
from qed.domains.precision import flint
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError

LAST = 2**17
"""The last place that is looked at one by one."""
NARROW = 2.0**-60
"""The tail that is aimed at, in parts of the sum."""
Named = tuple[str, tuple[float, ...], float, float, Fraction]
"""Family, parameters, first and last place, weight."""


@dataclass(frozen=True)
class Countable:
    """A law on countably many places."""

    atoms: Mapping[float, Fraction]
    named: Sequence[Named]
    _known: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def mass(self, x: float) -> Any:
        """A ball of the mass at a place."""
        total = ball_of(self.atoms.get(x, Fraction(0)))
        if float(x).is_integer():
            for j, (_, _, first, last, weight) in enumerate(self.named):
                if first <= x <= last:
                    total += ball_of(weight) * self._of(j, int(x))
        return total

    def _of(self, j: int, k: int) -> Any:
        """A ball of the mass that a named law has at k, by that at k - 1 where it was asked for."""
        family, parameters = self.named[j][:2]
        named, balls = COUNTS[family], tuple(map(flint().arb, parameters))
        before = self._known.get(j)
        if before is not None and before[0] == k - 1 and k % 256:
            found = before[1] * named.ratio(k - 1, *balls)
        else:
            found = named.mass(k, *balls)
        self._known[j] = k, found
        return found

    def holds(self, x: float) -> bool:
        """Whether the place has mass."""
        inside = any(first <= x <= last for _, _, first, last, _ in self.named)
        return bool(self.atoms.get(x)) or (float(x).is_integer() and inside)

    @property
    def endless(self) -> list[Named]:
        """The named laws of infinitely many places."""
        return [one for one in self.named if one[3] == np.inf]

    @property
    def beyond(self) -> int:
        """The least whole number behind all atoms and finite ends."""
        ends = [*self.atoms, *(one[3] for one in self.named if one[3] < np.inf), *(one[2] for one in self.named), -1]
        return int(np.floor(max(ends))) + 1


def alone(p: Countable, q: Countable) -> float | None:
    """A place where p has mass and q has none."""
    for x in p.atoms:
        if not q.holds(x):
            return x
    for _, _, first, last, _ in p.named:
        end = min(last, max(first, q.beyond))  # behind this q is as it is here
        k = int(first)
        while k <= end:
            covered = [one[3] for one in q.named if one[2] <= k <= one[3]]
            if covered:
                if max(covered) >= last:
                    break
                k = int(max(covered)) + 1
            elif q.holds(float(k)):
                k += 1
            else:
                return float(k)
    return None


def divergence(p: Countable, q: Countable, ratio: bool) -> Any:
    """A ball of sum P log(P / Q), or of - sum P log Q, at the precision in force; q has mass where p has."""
    arb = flint().arb
    if ratio and dict(p.atoms) == dict(q.atoms) and list(p.named) == list(q.named):
        return arb(0)
    total = arb(0)
    for x in p.atoms:
        if not float(x).is_integer():
            total += _term(p.mass(x), q.mass(x), ratio)
    whole = [x for x in p.atoms if float(x).is_integer()]
    k = int(min([*whole, *(one[2] for one in p.named)], default=0))
    stop = max(p.beyond, q.beyond) if p.endless else p.beyond
    if stop - k > LAST:
        raise CertificateError("p_sums", f"there are more than {LAST} places")
    while True:
        for place in range(k, stop):
            if p.holds(float(place)):
                total += _term(p.mass(float(place)), q.mass(float(place)), ratio)
        k = max(k, stop)
        if not p.endless:
            return total
        rest = _tail(p, q, k, ratio)
        if rest is not None and (rest < NARROW * abs(total).lower() or (rest < 1e-60 and abs(total) < 1e-50)):
            return total + (rest.union(-rest) if ratio else rest.union(0 * rest))
        if k > LAST:
            raise CertificateError("p_sums", f"the tail behind {LAST} places is not small")
        stop = k + max(16, k // 8)


def _term(p: Any, q: Any, ratio: bool) -> Any:
    return p * (p / q).log() if ratio else -p * q.log()


def _tail(p: Countable, q: Countable, start: int, ratio: bool) -> Any:
    """A bound of sum P |log(P / Q)|, or of - sum P log Q, over k >= start; None where the masses do not fall yet."""
    arb = flint().arb
    level, slope, bend = arb(0), arb(0), arb(0)
    for law in (p, q) if ratio else (q,):
        family, parameters, _, _, weight = law.endless[0]
        balls = tuple(map(arb, parameters))
        level += -(ball_of(weight) * COUNTS[family].mass(start, *balls)).log()
        if family == "Poisson":
            least = COUNTS[family].ratio(start, *balls)
            bend += arb(1) / (2 * (start + 1))
        else:
            least = later(family, start, parameters)[0]
        drop = -least.log()
        slope += drop if drop > 0 else arb(0)
    total = arb(0)
    for family, parameters, _, _, weight in p.endless:
        r = later(family, start, parameters)[1]
        if not r < 1:
            return None
        first = ball_of(weight) * COUNTS[family].mass(start, *map(arb, parameters))
        total += first * (level / (1 - r) + slope * r / (1 - r) ** 2 + bend * r * (1 + r) / (1 - r) ** 3)
    return total.upper() if total.is_finite() else None
