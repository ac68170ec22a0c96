"""Integrals by two unlike rules in float64: what is measured, and where the mass is.

Gauss-Kronrod (Piessens et al., *QUADPACK*, Springer 1983) and the double exponential rule (Takahasi and Mori, Publ.
RIMS 9, 1974) have nothing in common but the integrand. What they agree on, and by how much, is the claim of a
measurement; each rule's estimate of its own error counts too. Both are told where the log-density is large, found by
a search over all scales. Nothing that is not finite is replaced by a number: it ends the measurement.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy import integrate

from qed.certificates.certificate import placed
from qed.domains.widened import Widened
from qed.graph.trace import Traced

Array = np.ndarray
GRID = 2**15
"""Points of the search for the mass of a part."""
DEEP = 45.0
"""Below the maximum of the log-density by this much, mass is looked for no further."""
SMALL = 1e-300
"""How near to 0 a singular integrand is evaluated."""
NEAREST = 2.0**-48
"""How near to another number, in parts of it."""
STUB = 16.0
"""The error by what is nearer still: at least this many times its length times the integrand beside it."""
SHORT = 8.0
"""Ways to a singularity shorter than this, in logarithms, do not show how an integrand falls."""
FAR = 1e60
"""So far out it is looked at how an integrand falls towards an infinite end."""
LEAST_FALL = 1.5
"""Integrands that fall no faster than this power of the logarithm of the distance may have no integral."""
FARTHEST, FAR_POINTS = 1e15, 2**10
"""Where a maximum beyond the grid is looked for, and at how many points."""
PEAKS = 12
"""How many local maxima of the log-density are looked at closely."""
ALIKE = 30.0
"""So much smaller, in logarithms, is what may be left out of a measurement."""
ONE_BY_ONE = 12
"""More intervals than this are integrated together: a call for each node of each takes longer than the numbers do."""
NOTHING = 760.0
"""Below the maximum by this much, the density is 0 in float64."""


@dataclass(frozen=True)
class Measurement:
    """A value, and how far the rules and their estimates differ."""

    value: float
    error: float


def vectorised(traced: Traced, output: int) -> Callable[[Any], Array]:
    """An output as a function of arrays of float64."""

    @jax.jit
    def call(x: Any) -> Any:
        return jax.vmap(lambda one: Widened()(traced.graph, placed(traced, [one]))[output])(x)

    def evaluate(x: Any) -> Array:
        with jax.enable_x64(True):
            flat = np.asarray(x, np.float64)
            if not flat.size:
                return flat  # at no other number than those given: a loop may not end there
            size = 1 << max(4, int(flat.size - 1).bit_length())
            padded = np.resize(flat.ravel(), size)  # few sizes, few compilations
            return np.asarray(call(padded), np.float64)[: flat.size].reshape(flat.shape)

    return evaluate


def where_mass_is(u: Callable[[Any], Array], lower: float, upper: float) -> list[float]:
    """Points of [lower, upper] between which the log-density is large: first, mode, last."""
    x = _grid(lower, upper)
    values = u(x)
    if (far := _far(u, lower, upper, float(np.max(values, initial=-np.inf, where=~np.isnan(values))))).size:
        x = np.union1d(x, far)
        values = u(x)
    peaks = _peaks(u, x, values)
    if not peaks:
        return []
    most, best = max(peaks)
    if not np.isfinite(most):
        return [best]
    high = np.flatnonzero(values > most - DEEP)
    places = {place for value, place in peaks if value >= most - DEEP}
    first, last = (x[max(0, high[0] - 1)], x[min(len(x) - 1, high[-1] + 1)]) if high.size else (best, best)
    if high.size < GRID // 500:  # the mass lies between a few points of the grid
        near = np.searchsorted(x, [min(places), max(places)])
        x = np.linspace(x[max(0, near[0] - 2)], x[min(len(x) - 1, near[1] + 1)], GRID)
        high = np.flatnonzero(u(x) > most - DEEP)
        first, last = (x[max(0, high[0] - 1)], x[min(len(x) - 1, high[-1] + 1)]) if high.size else (best, best)
        if not high.size:  # a needle: its width by doubling
            steps = max(abs(best), 1e-280) * 2.0 ** np.arange(-50, 2)
            first, last = (best + sign * _width(u, best, sign * steps, most) for sign in (-1.0, 1.0))
    return sorted({float(first), float(last), *places})


def _grid(lower: float, upper: float) -> Array:
    """Points of an interval on all scales."""
    t = np.linspace(-14.0, 14.0, GRID)
    if np.isfinite(lower) and np.isfinite(upper):
        return lower + (upper - lower) * np.linspace(0.0, 1.0, GRID + 2)[1:-1]
    if np.isfinite(lower):
        return lower + np.exp(2 * t)
    return upper - np.exp(2 * t[::-1]) if np.isfinite(upper) else np.sinh(t)


def _far(u: Callable[[Any], Array], lower: float, upper: float, most: float) -> Array:
    """Points beyond the grid, up to FARTHEST, if the log-density has a maximum between them that is above `most`."""
    size = np.exp(np.linspace(13.0, np.log(FARTHEST), FAR_POINTS))
    for side, end in ((1.0, upper), (-1.0, lower)):
        if np.isfinite(end):
            continue
        x = side * size
        values = np.nan_to_num(u(x), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        best = int(np.argmax(values))
        if values[best] > most and 0 < best < len(x) - 1 and np.isfinite(values[best]):
            return x
    return np.zeros(0)


def unmeasured(
    f: Callable[[Any], Array], u: Callable[[Any], Array], ends: Sequence[float], cuts: Sequence[float]
) -> str:
    """What speaks against the rules, which saw f exp(u) between the first and the last of the cuts only.

    It is looked at on a grid of the whole part: whether it is a number everywhere, and small where the rules were not.

    >>> import numpy as np
    >>> from qed.integration.quadrature import unmeasured
    >>> normal, line = lambda x: -x * x / 2, (-np.inf, np.inf)
    >>> unmeasured(np.cos, normal, line, (-39.0, 39.0))
    ''
    >>> unmeasured(lambda x: np.where(x > 60, np.nan, x), normal, line, (-39.0, 39.0))
    'the integrand is no number near 60.0439'
    >>> unmeasured(np.ones_like, lambda x: np.logaddexp(-x * x / 2, -((x - 1e6) ** 2) / 2), line, (-39.0, 39.0))
    'the integrand is large near 1e+06, where the density is nearly 0'
    """
    x = _grid(float(ends[0]), float(ends[-1]))
    far = np.exp(np.linspace(13.0, np.log(FARTHEST), FAR_POINTS))
    x = np.concatenate([x, *(side * far for side, end in ((1.0, ends[-1]), (-1.0, ends[0])) if np.isinf(end))])
    with np.errstate(all="ignore"):
        weight, values = u(x), f(x)
        sizes = np.where(weight == -np.inf, -np.inf, np.log(np.abs(values)) + weight)
    lost = np.isnan(sizes) & ~((values == 0) & (weight < np.inf))
    if np.any(lost):
        return f"the integrand is no number near {x[np.argmax(lost)]:.6g}"
    outside = (x < cuts[0]) | (x > cuts[-1])
    most = sizes[~outside].max(initial=-np.inf)
    if np.any(~outside):
        seen = [_seen(f, u, x[there], sizes[there]) for there in (x < cuts[0], x > cuts[-1]) if np.any(there)]
        largest, place = max(seen, default=(-np.inf, 0.0))
        if largest > most - ALIKE:
            return f"the integrand is large near {place:.6g}, where the density is nearly 0"
    return ""


def _seen(f: Callable[[Any], Array], u: Callable[[Any], Array], x: Array, sizes: Array) -> tuple[float, float]:
    """The largest log-size at points, and where; humps between the points are climbed."""

    def size(x: Array) -> Array:
        with np.errstate(all="ignore"):
            weight = u(x)
            return np.where(weight == -np.inf, -np.inf, np.log(np.abs(f(x))) + weight)

    points, first = np.unique(x, return_index=True)
    return max(_peaks(size, points, sizes[first]), default=(-np.inf, 0.0))


def _width(u: Callable[[Any], Array], best: float, steps: Array, most: float) -> float:
    """How far from a peak the log-density is lower by DEEP; the last step, where it never is."""
    low = np.flatnonzero(u(best + steps) < most - DEEP)
    return float(abs(steps[low[0] if low.size else -1]))


def _peaks(u: Callable[[Any], Array], x: Array, values: Array) -> list[tuple[float, float]]:
    """The highest local maxima on a grid, each refined: (value, place)."""
    values = np.where(np.isnan(values), -np.inf, values)
    inner = values[1:-1]
    tops = 1 + np.flatnonzero((inner >= values[:-2]) & (inner >= values[2:]) & (inner > -np.inf))
    tops = np.unique([*tops[(values[tops] > values[tops - 1]) | (values[tops] > values[tops + 1])], np.argmax(values)])
    found = []
    for i in tops[np.argsort(-values[tops])][:PEAKS]:
        low, high = x[max(0, i - 1)], x[min(len(x) - 1, i + 1)]
        place, value = x[i], values[i]
        for _ in range(8):
            fine = np.linspace(low, high, 65)
            there = np.nan_to_num(u(fine), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
            k = int(np.argmax(there))
            if there[k] > value:
                place, value = fine[k], there[k]
            low, high = fine[max(0, k - 1)], fine[min(64, k + 1)]
        if value > -np.inf:
            found.append((float(value), float(place)))
    return found


def ends_in_float64(u: Callable[[Any], Array], cuts: Sequence[float]) -> list[float]:
    """The cuts with infinite ends put where the density has long become 0 in float64, if it does."""
    inner = [c for c in cuts if np.isfinite(c)]
    found = list(cuts)
    best = float(np.max(u(np.array(inner))))
    for place, side in ((0, -1.0), (-1, 1.0)):
        if np.isfinite(cuts[place]):
            continue
        far = inner[place] + side * max(1.0, inner[-1] - inner[0]) * 2.0 ** np.arange(0, 34)
        empty = np.flatnonzero(u(far) < best - NOTHING)
        if empty.size:
            found[place] = float(far[empty[0]])
    return found


def measured(
    f: Callable[[Any], Array], u: Callable[[Any], Array], cuts: Sequence[float], probability: bool
) -> Measurement | None:
    """The integral of f exp(u), divided by that of exp(u) for a probability; None where a value is not finite."""
    inner = np.array([c for c in cuts if np.isfinite(c)])
    at_cuts = u(inner)
    shift = float(np.max(at_cuts, initial=-np.inf, where=np.isfinite(at_cuts)))
    shift = shift if np.isfinite(shift) else 0.0
    finite = [True]

    def values(x: Any) -> Array:
        x = np.asarray(x, np.float64)
        with np.errstate(all="ignore"):
            weight = np.exp(u(x) - shift)
            return np.stack([f(x) * weight, weight])

    def integrand(x: Any) -> Array:
        found = values(x)
        finite[0] = finite[0] and bool(np.all(np.isfinite(found)))
        return found

    singular = set(inner[~np.all(np.isfinite(values(inner)), axis=0)].tolist())
    pieces = [piece for a, b in itertools.pairwise(cuts) for piece in _pieces(a, b, singular)]
    stub = np.sum([_nearer(integrand, p) for p in pieces if isinstance(p, _Beside)], axis=0)
    stub = stub + np.sum([_farther(values, a, b) for a, b in itertools.pairwise(cuts)], axis=0)
    plain = [p for p in pieces if not isinstance(p, _Beside) and np.all(np.isfinite(p))]
    many = plain if len(plain) > ONE_BY_ONE else []
    apart = [p for p in pieces if p not in many]
    sums = [_by(rule, integrand, apart) for rule in (_kronrod, _double_exponential)]
    if many:
        ends = np.transpose(many)
        sums = [sums[0] + _kronrod_on_many(integrand, *ends), sums[1] + _double_exponential(integrand, *ends)]
    if not finite[0]:
        return None
    found, errors = [], []
    for (top, top_error), (mass, mass_error) in sums:
        if probability and not mass > 0:
            return None
        off = np.array([top_error, mass_error]) + stub
        if not np.all(np.isfinite(off if probability else off[:1])):
            return None
        if probability:
            found.append(top / mass)
            errors.append((off[0] + abs(top / mass) * off[1]) / abs(mass))
        else:
            found.append(top * np.exp(shift))
            errors.append(off[0] * np.exp(shift))
    error = 2 * max(abs(found[0] - found[1]), *errors) + 4e-16 * abs(found[0])
    return Measurement(float(found[0]), float(error)) if np.isfinite(found[0] + error) else None


@dataclass(frozen=True)
class _Beside:
    """The way from s to s + reach beside which the integrand is singular, by x = s + reach exp(-v)."""

    s: float
    reach: float

    @property
    def gone(self) -> float:
        """The length next to s that is left out: float64 has no numbers there."""
        return max(SMALL, NEAREST * abs(self.s))

    @property
    def nearest(self) -> float:
        """The nearest number to s."""
        return self.s + float(np.copysign(self.gone, self.reach))

    @property
    def ends(self) -> tuple[float, float]:
        """Those of v."""
        return 0.0, float(np.log(abs(self.reach) / self.gone))


def _nearer(integrand: Any, piece: _Beside) -> Array:
    """A bound of what lies nearer to the place than float64 reaches, as if it fell as it does before; or infinity.

    In v = log(reach / distance) the integrand is g(v). Of v^-k the rest beyond v is v g(v) / (k - 1), of exp(-e v) it
    is less than that with the k read off between v / 2 and v. What falls no faster than v^-1 (1/x does not fall at all)
    has no finite rest. Over a way that is SHORT nothing is read off.
    """
    if piece.ends[1] < SHORT:
        return STUB * np.abs(integrand(piece.nearest)) * piece.gone

    def size(first: float, last: float) -> Array:
        v = np.linspace(first, last, 5) * piece.ends[1]
        t = piece.reach * np.exp(-v)
        return np.max(np.abs(integrand(piece.s + t) * t), axis=-1)

    before, near = size(0.46, 0.5), size(0.92, 1.0)
    near = np.maximum(near, np.abs(integrand(piece.nearest)) * piece.gone)
    with np.errstate(all="ignore"):
        power = np.log2(before / near)
        rest = np.where(power > LEAST_FALL, piece.ends[1] * near / (power - 1), np.inf)
    return np.where(near > 0, np.maximum(STUB * near, rest), 0.0)


def _farther(values: Any, a: float, b: float) -> Array:
    """A bound of what lies beyond FAR from a cut at an infinite end, as `_nearer` has it, with v = log(distance)."""
    if np.isfinite(a) and np.isfinite(b):
        return np.zeros(2)
    at, side = (a, 1.0) if np.isfinite(a) else (b, -1.0)
    if not np.isfinite(at):
        return np.zeros(2)
    last = float(np.log(FAR))

    def size(first: float, to: float) -> Array:
        t = np.exp(np.linspace(first, to, 5) * last)
        with np.errstate(all="ignore"):
            return np.max(np.abs(values(at + side * t) * t), axis=-1)

    before, far = size(0.46, 0.5), size(0.92, 1.0)
    with np.errstate(all="ignore"):
        power = np.log2(before / far)
        rest = np.where(power > LEAST_FALL, last * far / (power - 1), np.inf)
    return np.where((far > 0) & np.isfinite(far), rest, 0.0)


def _pieces(a: float, b: float, singular: set[float]) -> list[Any]:
    """The interval between two cuts, cut in two where it is singular, with those parts by themselves."""
    beside = [s in singular for s in (a, b)]
    if not any(beside):
        return [(a, b)]
    if not (np.isfinite(a) and np.isfinite(b)):
        middle = a + 1.0 if np.isfinite(a) else b - 1.0
    else:
        middle = a + (b - a) / 2
    if not a < middle < b or min(middle - a, b - middle) <= 4 * max(SMALL, NEAREST * max(abs(a), abs(b))):
        return [(a, b)]
    return [_Beside(a, middle - a) if beside[0] else (a, middle), _Beside(b, middle - b) if beside[1] else (middle, b)]


def _by(rule: Any, integrand: Any, pieces: Sequence[Any]) -> Array:
    """Values and errors of both integrals, a row each, by a rule on each piece."""
    sums = np.zeros((2, 2))
    for piece in pieces:
        if isinstance(piece, _Beside):

            def beside(v: Any, piece: _Beside = piece) -> Array:
                t = piece.reach * np.exp(-np.asarray(v, np.float64))
                return integrand(piece.s + t) * np.abs(t)

            sums += rule(beside, *piece.ends)
        else:
            sums += rule(integrand, *piece)
    return sums


def _kronrod(integrand: Any, a: float, b: float) -> Array:
    value, error = _adapted(lambda x: integrand(np.array([x]))[:, 0], a, b, 48)
    return np.array([[v, error] for v in value])


def _kronrod_on_many(integrand: Any, lower: Array, upper: Array) -> Array:
    """The sums over many intervals, cut at the same shares of each, so that a node is one call for all of them.

    The root of how many they are, times the length of the vector of their errors, bounds the sum of these.
    """
    width = upper - lower
    value, error = _adapted(lambda t: (integrand(lower + t * width) * width).ravel(), 0.0, 1.0, 192)
    return np.array([[np.sum(v), math.sqrt(len(width)) * error] for v in np.reshape(value, (2, -1))])


def _adapted(integrand: Any, a: float, b: float, most: int) -> tuple[Array, float]:
    """The integral of a vector by at most so many intervals, and the length of the vector of its errors."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what is not finite is seen by the integrand
        value, error = integrate.quad_vec(integrand, a, b, epsrel=1e-11, epsabs=1e-300, limit=most, quadrature="gk21")[
            :2
        ]
    return value, float(error)


def _double_exponential(integrand: Any, a: Any, b: Any) -> Array:
    """On one interval; or the sums over many, each level of all of them in one call."""
    found = []
    for k in range(2):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result: Any = integrate.tanhsinh(lambda x, k=k: integrand(x)[k], a, b, rtol=1e-11, maxlevel=9)
        found.append([np.sum(result.integral), np.sum(result.error)])
    return np.array(found)
