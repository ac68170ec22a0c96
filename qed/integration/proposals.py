"""What the rules propose of an integral, part by part, before it is proved: values, cuts, and singular numbers.

A part is cut where its mass is, and where the integrand is not bounded; such a number is looked for among those of
few digits near the place where no cell could be enclosed, and believed by nobody: the proof encloses both sides of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.graph.trace import Traced
from qed.integration.breaks import beside, breaks
from qed.integration.measure import Part
from qed.integration.quadrature import Measurement, ends_in_float64, measured, unmeasured, where_mass_is

AMID = 30.0
"""How far below its maximum a log-density still has mass to speak of."""
NEAR = 2.0**-20
"""How far from where the integrand has no bound the number is looked for, in parts of it."""

LEAST = 1e-290
"""Numbers closer to 0 are not told from it by a program that flushes them."""
PLACES_LOOKED_AT = 1022
"""At how many places a density without an answer is looked at for NaN."""
FAR = 64.0
"""How far from 0, where the interval has no end."""


@dataclass(frozen=True)
class Proposal:
    """A value with its measured error; whether the whole range was measured, and the size of what was added up."""

    value: float
    error: float
    whole: bool
    size: float = 0.0

    @property
    def close(self) -> bool:
        """Whether the error is small enough for the value to say something."""
        return self.error <= max(abs(self.value), self.size) / 8


@dataclass(frozen=True)
class Share:
    """The atoms (no part) or one part: f and the log-density in float64, the cuts, and what the rules say."""

    part: Part | None
    f: Callable[[Any], Any]
    u: Callable[[Any], Any] | None
    cuts: tuple[float, ...]
    proposal: Proposal | None


def total_of(found: Sequence[Proposal | None]) -> Proposal | None:
    """The sum of the parts, if each has a proposal."""
    kept = [one for one in found if one is not None]
    if len(kept) < len(found) or not kept:
        return None
    value, error = (float(sum(getattr(one, name) for one in kept)) for name in ("value", "error"))
    size = float(sum(max(abs(one.value), one.size) for one in kept))
    return Proposal(value, error, all(one.whole for one in kept), size)


def left_out(shares: Sequence[Share]) -> str:
    """What speaks against a measurement of the whole, if anything does."""
    for share in shares:
        if share.part is None or share.u is None or not share.part.weight:
            continue
        if found := unmeasured(share.f, share.u, share.cuts, ends_in_float64(share.u, share.cuts)):
            return found
    return ""


def broken(place: float, shares: Sequence[Share]) -> bool:
    """Whether f or a log-density is NaN at one of some points about a place, closer and closer."""
    steps = max(abs(place), 1.0) * 2.0 ** -np.arange(12.0, 44.0)
    x = place + np.concatenate([-steps, steps])
    for share in shares:
        if share.part is None or share.u is None:
            continue
        inside = x[(x > share.part.lower) & (x < share.part.upper)]
        if np.any(np.isnan(share.f(inside)) | np.isnan(share.u(inside))):
            return True
    return False


def singular_near(place: float, shares: Sequence[Share]) -> float | None:
    """A number near a place at which f or a log-density is not finite: one of few digits, or 0; or None."""
    rounded = [round(place, digits) for digits in range(8)]
    single = np.array([*rounded, *(_float32_near(place))], np.float32).tolist()
    climbed = [x for share in shares if share.u is not None for x in _climbed(place, share.f, share.u)]
    near = [x for x in (*rounded, *single, *climbed) if abs(x - place) <= NEAR * max(1.0, abs(place))]
    if abs(place) <= NEAR:
        near = [0.0, *(x for x in near if abs(x) > LEAST)]
    candidates = np.unique(near)
    for share in shares:
        if share.part is None or share.u is None:
            continue
        inside = candidates[(candidates > share.part.lower) & (candidates < share.part.upper)]
        inside = inside[~np.isin(inside, share.cuts)]
        bad = inside[~(np.isfinite(share.f(inside)) & np.isfinite(share.u(inside)))] if inside.size else inside
        if np.any(inside == 0.0):
            return 0.0
        if bad.size:
            short = [x for x in rounded if x in bad]  # what is not finite beside it may only be rounded to it
            return short[0] if short else float(bad[np.argmin(np.abs(bad - place))])
    return None


def _float32_near(place: float) -> np.ndarray:
    """The numbers of float32 near a place: a program's own numbers are among them."""
    middle = np.float32(place)
    step = np.spacing(np.abs(middle))
    return middle + step * np.arange(-32, 33, dtype=np.float32)


def _climbed(place: float, *functions: Callable[[Any], Any]) -> list[float]:
    """Where the functions are largest within NEAR of a place, closer and closer, down to neighbours in float64."""
    found = []
    for f in functions:
        best, reach = place, NEAR * max(1.0, abs(place))
        while reach > np.spacing(abs(best)) / 4:
            x = best + reach * np.linspace(-1.0, 1.0, 129)
            with np.errstate(all="ignore"):
                sizes = np.abs(f(x))
            best = float(x[np.argmax(np.where(np.isnan(sizes), np.inf, sizes))])
            reach /= 32.0
        found.append(best)
    return found


def undefined_at(shares: Sequence[Share]) -> float | None:
    """A place amid the mass of a part where f is NaN in float64."""
    for share in shares:
        inner = [c for c in share.cuts if np.isfinite(c)]
        if share.u is None or len(inner) < 2:
            continue
        x = np.linspace(inner[0], inner[-1], 257)[1:-1]
        u = share.u(x)
        dense = np.isfinite(u) & (u > np.max(u, initial=-np.inf, where=np.isfinite(u)) - AMID)
        if (bad := x[dense & np.isnan(share.f(x))]).size:
            return float(bad[0])
    return None


def places_of(part: Part) -> np.ndarray:
    """Places inside a part."""
    return np.linspace(max(part.lower, -FAR), min(part.upper, FAR), PLACES_LOOKED_AT + 2)[1:-1]


def nan_inside(u: Any, part: Part) -> float | None:
    """A place inside a part about which the log-density is NaN in float64, not at one number alone."""
    x = places_of(part)
    lost = np.isnan(u(x))
    about = lost & (np.roll(lost, 1) | np.roll(lost, -1))
    return float(x[np.argmax(about)]) if np.any(about) else None


def not_a_number(shares: Sequence[Share]) -> str:
    """Where the function or a log-density of the user's is NaN, if that is seen."""
    if (place := undefined_at(shares)) is not None:
        return f"the function is NaN at {place:.6g}, amid the mass"
    for one in shares:
        if one.part is not None and one.part.log_density is not None and one.u is not None:
            if (place := nan_inside(one.u, one.part)) is not None:
                return f"the log-density of the measure is NaN at {place:.6g}"
    return ""


def logarithm_of(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The logarithm of the size of f, whose mass is looked for where the measure has no density of its own."""

    def logarithm(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.log(np.abs(f(x)))

    return logarithm


def cuts_of(part: Part, u: Callable[[Any], Any], more: tuple[float, ...]) -> tuple[float, ...]:
    """The ends of a part, and points about its mass between, and more."""
    inner = [*where_mass_is(u, part.lower, part.upper), *more]
    kept = {x for x in inner if part.lower < x < part.upper}
    if not kept and not np.isfinite(part.lower) and not np.isfinite(part.upper):
        kept = {0.0}
    return (part.lower, *sorted(kept), part.upper)


def with_breaks(
    cuts: tuple[float, ...],
    traced: Traced,
    u: Callable[[Any], Any],
    f: Callable[[Any], Any],
    singular: tuple[float, ...] = (),
) -> tuple[float, ...]:
    """The cuts, and more on both sides of where the program jumps or has a corner, f a number on both.

    None are put beside the singular ones, about which the cells are told from the number itself.
    """
    inner = [c for c in cuts if np.isfinite(c)]
    places = [b for b in breaks(traced, u, inner) if all(abs(b - s) > NEAR * max(1.0, abs(s)) for s in singular)]
    around = np.reshape(beside(places, inner), (len(places), -1)) if places else np.zeros((0, 1))
    more = around[np.all(np.isfinite(f(around)), axis=1)].ravel().tolist() if places else []
    return tuple(sorted({*cuts, *(c for c in more if cuts[0] < c < cuts[-1])}))


def proposal_of(part: Part, f: Any, u: Any, cuts: Sequence[float]) -> Proposal | None:
    """What the rules say of one part: of all of it, or else of its finite middle."""
    for whole, where in ((True, ends_in_float64(u, cuts)), (False, [c for c in cuts if np.isfinite(c)])):
        found: Measurement | None = measured(f, u, where, part.probability) if len(where) >= 2 else None
        if found is not None:
            weight = float(part.weight)
            size = weight if part.probability else 0.0
            return Proposal(weight * found.value, weight * found.error, whole, size)
    return None
