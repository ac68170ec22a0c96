"""What points of a measure with atoms cannot see: rare places, and narrow peaks between a few points.

A place of the share w is met by none of N points where w N < 1, and what the function is there is not in the sum. So
its values are taken there, and w |f| is added to the error that is claimed. A peak is looked for by ascent on the
function and on every exponent in its graph, over the cube [0, 1]^d that is carried onto the measure: with the share v
of the cube about it, |f| v is added, unless many of N points are met there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.counts import COUNTS
from qed.integration.images import base_of, moved
from qed.integration.many.hidden import exponents, undefined_about
from qed.integration.many.modes import ascended, widths
from qed.integration.many.subject import Question
from qed.integration.measure import Measure
from qed.integration.transport import length_of, masses_of

Array = np.ndarray
ROWS, EACH = 512, 16
"""Points over the measure, and for each rare place."""
PLACES = 512
"""How many whole numbers of a law are looked at."""
RARE = 2.0**-10
"""Places of a larger share are not rare."""
MET = 64
"""A peak about which so many points are expected is seen."""
ATOMS = 4
"""In how many atoms of a coordinate a peak is looked for."""
COMBINED = 256
"""Atoms of several coordinates are combined where there are not more combinations."""


@dataclass(frozen=True)
class Unseen:
    """Rare places (share, logarithm of the mean size there) and peaks (share of the cube, logarithm of the size)."""

    rare: tuple[tuple[float, float], ...]
    peaks: tuple[tuple[float, float], ...]

    def missed(self, count: int) -> float:
        """The logarithm of what `count` points may miss.

        >>> import math
        >>> from qed.integration.many.unseen import Unseen
        >>> found = Unseen(((2.0**-30, 30 * math.log(2)),), ())
        >>> round(found.missed(2**14), 9), found.missed(2**31)
        (0.0, -inf)
        """
        terms = [math.log(share) + size for share, size in self.rare if share * count < 1]
        terms += [math.log(share) + size for share, size in self.peaks if share * count < MET]
        return float(np.logaddexp.reduce(terms)) if terms else -math.inf


def unseen(question: Question, g: Any) -> Unseen:
    """What to look at apart, of the integrand of a question against a measure of finite mass with quantiles."""
    u = np.random.default_rng(question.seed + 3).random((ROWS, question.measure.dimension))
    return Unseen((*_rare(question, g, u), *_together(question, g, u)), tuple(_peaks(question, g, u)))


def _rare(question: Question, g: Any, u: Array) -> list[tuple[float, float]]:
    """The rare places of each coordinate, the others spread over the measure."""
    found = []
    x = question.measure.quantiles(u[:EACH])
    for i, factor in enumerate(question.measure.factors):
        pairs = [(place, share) for place, share in _places(factor) if 0 < share < RARE]
        if not pairs:
            continue
        rows = np.repeat(x[None], len(pairs), 0)
        rows[:, :, i] = np.array([place for place, _ in pairs])[:, None]
        logs = g(rows.reshape((-1, x.shape[1])))[0].reshape((len(pairs), EACH))
        sizes = np.logaddexp.reduce(np.where(np.isnan(logs), np.inf, logs), axis=1) - math.log(EACH)
        found += [(share, float(size)) for (_, share), size in zip(pairs, sizes, strict=True)]
    return found


def _together(question: Question, g: Any, u: Array) -> list[tuple[float, float]]:
    """Atoms of several coordinates at once, of which each may be met, and all together are not."""
    x = question.measure.quantiles(u[:EACH])
    options = []
    for factor in question.measure.factors:
        atoms = [one for one in _places(factor) if one[1] > 0][: 2 * ATOMS] if factor.atoms else []
        options.append([(None, max(0.0, 1.0 - sum(share for _, share in atoms))), *atoms])
    if math.prod(map(len, options)) > COMBINED:
        return []
    found = []
    for chosen in itertools.product(*options):
        share = math.prod(share for _, share in chosen)
        if not 0 < share < RARE or sum(place is not None for place, _ in chosen) < 2:
            continue
        rows = np.array(x)
        for i, (place, _) in enumerate(chosen):
            if place is not None:
                rows[:, i] = place
        logs = g(rows)[0]
        size = np.logaddexp.reduce(np.where(np.isnan(logs), np.inf, logs)) - math.log(EACH)
        found.append((share, float(size)))
    return found


def _places(factor: Measure) -> list[tuple[float, float]]:
    """The atoms and the first whole numbers of a factor, with their shares."""
    total = float(sum(w for _, w in factor.atoms)) + sum(map(length_of, factor.parts))
    found = [(x, float(w) / total) for x, w in factor.atoms]
    for part in factor.sums:
        base, image = base_of(part)
        if base.family not in COUNTS:
            continue
        k = base.lower + np.arange(min(PLACES, base.upper - base.lower + 1))
        shares = float(part.weight) * masses_of(base, k) / total
        places = k if image is None else moved(k, image)
        found += list(zip(places.tolist(), shares.tolist(), strict=True))
    return found


def _peaks(question: Question, g: Any, u: Array) -> list[tuple[float, float]]:
    """Places where the integrand is large, over the cube."""
    n = u.shape[1]
    low, high = np.zeros(n), np.ones(n)

    def on(rows: Array) -> Array:
        return question.measure.quantiles(np.clip(rows, 2.0**-53, 1 - 2.0**-53))

    def target(rows: Array) -> Array:
        return g.target(on(np.atleast_2d(rows)))

    logs = target(u)
    starts = [u[k] for k in np.argsort(-logs)[:ATOMS] if logs[k] > -np.inf]
    inner = exponents(question.subject.traced())
    if inner is not None:
        values = inner(on(u))
        for k in range(values.shape[1]):
            known = values[np.isfinite(values[:, k]), k]
            if known.size and known.max() > known.min():

                def own(rows: Array, k: int = k) -> Array:
                    return inner(on(rows))[:, k]

                first = u[int(np.argmax(np.where(np.isnan(values[:, k]), -np.inf, values[:, k])))]
                starts.append(ascended(own, first, low, high)[0])
    found = []
    for start in (*starts, *(_in_atoms(question.measure.factors, start, target) for start in starts)):
        if not np.all(np.isfinite(start)):
            continue
        if target(start)[0] == -np.inf:
            if undefined_about(lambda rows: g(on(rows))[0], start, low, high):
                found.append((1e-300, np.inf))
            continue
        place, size = ascended(target, start, low, high)
        if np.isfinite(size):
            share = float(np.prod(np.minimum(1.0, 2 * widths(target, place, low, high))))
            found.append((max(share, 1e-300), size))
    return found


def _in_atoms(factors: Sequence[Measure], start: Array, target: Any) -> Array:
    """A start with each coordinate in the atom where the integrand is largest, if it is larger there.

    Atoms have the first part of [0, 1] (`quantile`).
    """
    best = np.array(start)
    for i, factor in enumerate(factors):
        if not factor.atoms:
            continue
        total = float(sum(w for _, w in factor.atoms)) + sum(map(length_of, factor.parts))
        ends = np.cumsum([0.0, *(float(w) / total for _, w in factor.atoms if w > 0)])[: ATOMS + 1]
        rows = np.repeat(best[None], len(ends), 0)
        rows[1:, i] = (ends[1:] + ends[:-1]) / 2
        best = rows[int(np.argmax(target(rows)))]
    return best
