"""The divergence of censored laws: where the map of two images stands still, and what that makes of both laws.

    KL(g P || g Q) = sum_c P(g = c) log(P(g = c) / Q(g = c)) + int_B p log(p / q) dx

with the atoms at the values c of the flat pieces, and the rest B, where g is one to one
(`qed.certificates.censored_divergence`). The pieces are looked for in float64, and told to the certificate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.censored_divergence import CensoredDivergence
from qed.certificates.certificate import Subject
from qed.certificates.image_divergence import moving
from qed.certificates.weights import as_text
from qed.domains.balls import outward
from qed.errors import CertificateError
from qed.findings import Finding
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.laws import densities_of
from qed.integration.measure import Measure
from qed.integration.quadrature import ends_in_float64, vectorised
from qed.integration.words import within
from qed.standing import Standing

POINTS = 4096
"""How many points of each density are looked at for where the map stands still."""
PIECES = 16
"""How many pieces a map has at most."""
ULPS = 4
"""How far about a number that float64 does not hold a gap reaches, in units of its last place."""
TINY = 1e-300
"""Numbers smaller than this may be 0 to a processor."""
ROOMS = (1e-10, 1e-6)
"""How closely the divergence is enclosed."""
RULE = "flat pieces of the map are atoms; on the others it is one to one, and changes no ratio"
"""The rule."""
FORMULA = "Σ P(g = c) log(P(g = c) / Q(g = c)) + ∫_B p log(p/q) dx"
"""How."""


def censored(p: Measure, q: Measure, laws: Sequence[Measure], g: Subject) -> Answer[float] | None:
    """KL(p || q) for two laws that are atoms, and images under one map of named laws; None where it is not proved.

    Args:
        p: the first law.
        q: the second.
        laws: their densities before the map.
        g: the map.
    """
    if any(not part.probability or part.log_density is not None for law in laws for part in law.parts):
        return None
    sides = []
    for law, image in zip(laws, (p, q), strict=True):
        whole = Measure(image.atoms, law.parts, image.name)
        sides.append([one.searched() for one in densities_of(whole, str(image))])
    traced = g.traced()
    cuts = _cuts(traced, [one for side in sides for one in side])
    if cuts is None:
        return None
    atoms = [tuple((float(x), as_text(w)) for x, w in law.atoms if w > 0) for law in (p, q)]
    made = CensoredDivergence.made(
        g, traced, p_atoms=atoms[0], q_atoms=atoms[1], p_parts=tuple(one.data for one in sides[0]),
        q_parts=tuple(one.data for one in sides[1]), constants=tuple(one.constant() for side in sides for one in side),
        cuts=cuts, lower=-np.inf, upper=np.inf,
    )  # fmt: skip
    for room in ROOMS:
        try:
            total, because, lacks = made.told(traced, room)
            if total == np.inf:
                findings = (Finding("QED605", because),) if lacks else ()
                return _told(made.claiming(np.inf, np.inf), math.inf, f"KL({p} || {q})", because, findings)
            if not total.is_finite():
                return None
            lower, upper = outward(total, 0.0)
            middle, half = float(total.mid()), max(upper - lower, 8 * room)
            claimed = made.claiming(max(middle - half, 0.0), middle + half)
            claimed.verify()
        except (CertificateError, TooLong):
            continue
        return _told(claimed, min(max(middle, lower), upper), f"KL({p} || {q})")
    return None


def _told(
    certificate: CensoredDivergence, value: float, name: str, because: str = "", findings: tuple[Finding, ...] = ()
) -> Answer[float]:
    lower, upper = certificate.lower, certificate.upper
    says = f"is infinite: {because}" if because else f"is {within(lower, upper)}"
    return Answer(
        f"{name} {'is infinite' if because else f'lies in [{lower!r}, {upper!r}]'}", Standing.PROVED, value,
        arithmetic="reals", error=Enclosed(lower, upper), findings=findings, certificate=certificate,
        reasons=(Reason(because or RULE, FORMULA, standing=Standing.PROVED, text=because or RULE),),
        headline=f"{name} {says}.", subject=name,
    )  # fmt: skip


# --- where the map stands still ---


def _cuts(traced: Traced, densities: Sequence[Any]) -> tuple[float, ...] | None:
    """The ends of the pieces on which it is known how the map moves; None where there are none."""
    lower = min((one.cuts[0] for one in densities), default=-math.inf)
    upper = max((one.cuts[-1] for one in densities), default=math.inf)
    found = [lower]
    places = _places(vectorised(traced, 0), densities)
    if len(places) > PIECES:
        return None
    for k, (low, high) in enumerate(places):
        after = places[k + 1][0] if k + 1 < len(places) else upper
        zero = (0.0,) if found[-1] < 0 < low else (), (0.0,) if high < 0 < after else ()
        ends = next(((x,) for x in (low, high) if _plain(traced, found[-1], *zero[0], x, *zero[1], after)), None)
        if ends is None:
            step = ULPS * max(np.spacing(abs(low)), np.spacing(abs(high)))
            ends = float(low - step), float(high + step)
        found += ends
    found.append(upper)
    found = _with_zero(traced, found)
    ordered = all(a < b for a, b in itertools.pairwise(found))
    return tuple(found) if ordered else None


def _with_zero(traced: Traced, cuts: list[float]) -> list[float]:
    """The cuts and 0, where it lies inside a piece on which nothing is known without it: signs change there."""
    for a, b in itertools.pairwise(cuts):
        if a < 0 < b and moving(traced, 0, a, b) is None:
            return sorted([*cuts, 0.0])
    return cuts


def _plain(traced: Traced, *ends: float) -> bool:
    """Whether the map is known to stand still or to move strictly on each piece."""
    pieces = [moving(traced, 0, a, b) if a < b else None for a, b in itertools.pairwise(ends)]
    return all(piece is not None and (piece.strict or not piece.sign) for piece in pieces)


def _places(g: Callable[[Any], Any], densities: Sequence[Any]) -> list[tuple[float, float]]:
    """Neighbouring numbers between which g begins or ceases to stand still, as far as float64 shows it."""
    grids = []
    for one in densities:
        ends = [c for c in ends_in_float64(one.u, one.cuts) if np.isfinite(c)]
        grids.append(np.linspace(ends[0], ends[-1], POINTS))
    x = np.unique(np.concatenate([*grids, [0.0]]))
    values = g(x)
    with np.errstate(all="ignore"):
        still = values[1:] == values[:-1]
    found = []
    for k in np.flatnonzero(still[1:] != still[:-1]):
        ends, value = (x[k], x[k + 2]), values[k + 1]
        low, high = _between(g, *ends, value, bool(still[k]))
        found.append((0.0, 0.0) if max(abs(low), abs(high)) < TINY else (low, high))
    return list(dict.fromkeys(found))


def _between(g: Callable[[Any], Any], low: float, high: float, value: float, first: bool) -> tuple[float, float]:
    """The last place of [low, high] where g has the value, seen from the side where it has it."""
    flat, other = (low, high) if first else (high, low)
    while True:
        middle = 0.0 if min(flat, other) < 0 < max(flat, other) else flat + (other - flat) / 2
        if middle in (flat, other):
            return (flat, other) if first else (other, flat)
        if g(np.array([middle]))[0] == value:
            flat = middle
        else:
            other = middle
