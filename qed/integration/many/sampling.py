"""Integrals in many dimensions, measured: randomised quasi-Monte Carlo with importance from the integrand's modes.

Sobol' points (Owen's scrambling; Owen, "Scrambled net variance for integrals of smooth functions", Ann. Stat. 25, 1997)
are carried onto a mixture (`qed.integration.many.proposal`); 16 independent scramblings give a standard error. A second
rule of another kind, Halton points on wider laws with other shares, must agree. Before that, mass is looked for: by
ascent from many starts, from every exponent in the graph, and from the points that weigh most in a first run. What
makes the standard error meaningless is a reason to say UNKNOWN: weights with so heavy a tail that their variance may be
infinite (Vehtari et al., "Pareto smoothed importance sampling", JMLR 25, 2024), a few points that carry the sum, values
that are not finite.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special, stats

from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.errors import QedError
from qed.integration.many.hidden import exponents, undefined_about
from qed.integration.many.modes import ascended, batched, covariance, rowwise
from qed.integration.many.proposal import Base, Mixture, Student, fitted, mixture
from qed.integration.many.rounding import rounding_of
from qed.integration.many.subject import Question, uniform
from qed.integration.many.tail_index import tail_index
from qed.integration.many.unseen import Unseen, unseen

Array = np.ndarray
REPLICATES = 16
QUANTILE = float(stats.t.ppf(0.99995, REPLICATES - 1))
"""How many standard errors of 16 replicates are claimed; the normal law would be beyond once in ten thousand."""
FIRST, LAST = 10, 14
"""Binary logarithms of the points of one replicate, at first and at most."""
CLOSE = 0.002
"""No more points are taken where the error is below this part of the value (of a logarithm, absolutely)."""
STARTS = 12
"""From how many of the best points ascent starts."""
LAWS = 12
"""How many modes have a law of their own."""
NEGLIGIBLE = 30.0
"""A mode whose mass is smaller by this much, in logarithms, is left out."""
LIGHT, HEAVY, MOST_OF_IT = 0.3, 0.65, 0.2
"""From which tail index on laws about modes get heavier tails; from which, and which share of one point on, a standard
error says nothing."""
HEAVIER = 1.0
"""Their degrees of freedom then."""
DEEP = 700.0
"""A density that is smaller, in logarithms, is 0 in float64."""
SEEN = 200
"""At least so many points must have a value that is not 0."""


@dataclass(frozen=True)
class Sampled:
    """A value with its measured error, and why that is not to be relied on, if so."""

    value: float | None
    error: float
    problem: str = ""
    with_numbers: str = ""
    other: float = math.nan


@dataclass(frozen=True, eq=False)
class Integrand:
    """What is integrated: the logarithm of its size and its sign at rows, beside the base of the measure."""

    f: Callable[[Any], Array]
    logarithm: bool
    low: Array
    high: Array
    base: Base | None
    weight: Callable[[Array], Array]
    """The logarithm of the density that f is integrated against (of 1 where the base has no density)."""
    dense: bool

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Logarithms of the size, and signs; NaN where f has no number."""
        inside = np.all((x >= self.low) & (x <= self.high), axis=1)
        kept = np.where(inside[:, None], x, _inner(self.low, self.high))
        values = self.f(kept)
        with np.errstate(all="ignore"):
            size = values if self.logarithm else np.log(np.abs(values))
            signs = np.ones(len(x)) if self.logarithm else np.sign(values)
            logs = np.where(inside, size + self.weight(kept), -np.inf)
        return np.where(inside & np.isnan(values), np.nan, logs), np.where(inside, signs, 0.0)

    def target(self, x: Array) -> Array:
        """The logarithms alone, -inf where there is no number."""
        logs = self(np.atleast_2d(x))[0]
        return np.where(np.isnan(logs), -np.inf, logs)


def _inner(low: Array, high: Array) -> Array:
    """A point within a box."""
    with np.errstate(all="ignore"):
        ends = np.where(np.isfinite(low), np.where(np.isfinite(high), low / 2 + high / 2, low + 1), high - 1)
    return np.where(np.isfinite(ends), ends, 0.0)


def integrand(question: Question) -> Integrand:
    """The integrand of a question.

    Raises:
        QedError: QED007 where the measure has neither a density nor quantiles.
    """
    measure = question.measure
    low, high = measure.ends
    f = batched(question.subject.traced(), 0)
    mass = measure.mass
    base = _base(question) if np.isfinite(mass) else None
    parts = [one.parts[0] if len(one.parts) == 1 and not one.atoms else None for one in measure.factors]
    dense = all(part is not None and not part.counting and part.of is None for part in parts)
    if not dense and base is None:
        raise QedError("QED007", f"{measure} has no density", "and infinite mass", "give a measure of finite mass")
    if not dense:
        level = math.log(mass)
        return Integrand(f, question.logarithm, low, high, base, lambda x: np.full(len(x), level), False)
    constant = sum(_constant(part) for part in parts)
    families = [NAMED[part.family] if part is not None and uniform(part) is None and part.probability else None
                for part in parts]  # fmt: skip
    if all(family is None for family in families):
        return Integrand(f, question.logarithm, low, high, base, lambda x: np.full(len(x), constant), True)

    def log_density(x: Any) -> Any:
        pairs = enumerate(zip(families, parts, strict=True))
        return constant + sum(
            a.log_density(x[k], *b.parameters) for k, (a, b) in pairs if a is not None and b is not None
        )

    weight = rowwise(log_density)
    if base is not None:
        level = math.log(mass)
        base = replace(base, log_density=lambda x: weight(x) - level)
    return Integrand(f, question.logarithm, low, high, base, weight, True)


def _constant(part: Any) -> float:
    """The logarithm of what the family's own log-density is multiplied by."""
    if part.log_density is not None:
        raise QedError("QED007", "a log-density has no quantiles", "its mass is not known", "give a named law")
    found = uniform(part)
    if found is not None:
        return math.log(found[2])
    if not part.probability:
        return math.log(part.weight)
    with precision(64):
        return math.log(part.weight) - float(log_mass(part.family, part.parameters))


def _base(question: Question) -> Base:
    measure = question.measure
    level = -math.log(measure.mass) if measure.mass > 0 else -math.inf
    box = question.box()

    def log_density(x: Array) -> Array:
        if box is None:
            return np.full(len(x), 0.0)
        inside = np.all((x >= box[0]) & (x <= box[1]), axis=1)
        return np.where(inside, math.log(box[2]) + level, -np.inf)

    return Base(lambda u: measure.quantiles(np.clip(u, 2.0**-53, 1 - 2.0**-53)), log_density)


# --- where the mass is ---


def searched(question: Question, g: Integrand, more: Sequence[Array] = ()) -> list[tuple[Student, float]]:
    """Laws about the modes that were found, with the logarithms of the masses that they stand for."""
    if not g.dense:
        return []
    x = _spread(g, question.seed)
    logs = g.target(x)
    starts = [x[k] for k in np.argsort(-logs)[:STARTS] if logs[k] > -np.inf]
    inner = exponents(question.subject.traced())
    if inner is not None:
        values = inner(x)
        free = np.where(np.isnan(values), -np.inf, values)
        for k in range(values.shape[1]):
            known = values[np.isfinite(values[:, k]), k]
            if known.size and known.max() > known.min():

                def own(rows: Array, k: int = k) -> Array:
                    return inner(rows)[:, k]

                starts.append(ascended(own, x[int(np.argmax(free[:, k]))], g.low, g.high)[0])
    tops: list[tuple[Array, float]] = []
    for start in (*starts, *more):
        if not np.all(np.isfinite(start)):
            continue
        if g.target(start)[0] == -np.inf:
            _defined(g, start)
            continue
        place, value = ascended(g.target, start, g.low, g.high)
        if np.isfinite(value) and np.all(np.abs(place) < 1e12):
            tops.append((place, value))
    return _laws(g, tops, question.seed)


class Undefined(Exception):
    """The function is not a number about a place of the support."""


def _defined(g: Integrand, place: Array) -> None:
    """Raise Undefined where the function is not, on a set that has mass in float64."""
    with np.errstate(all="ignore"):
        has_mass = g.weight(place[None])[0] > -DEEP
    if has_mass and undefined_about(lambda x: g(x)[0], place, g.low, g.high):
        raise Undefined(_not_a_number(place))


def _not_a_number(place: Array) -> str:
    return f"the function is not a finite number at ({', '.join(f'{v:.6g}' for v in place[:6])})"


def _laws(g: Integrand, tops: list[tuple[Array, float]], seed: int) -> list[tuple[Student, float]]:
    """One law for each of the modes that differ."""
    found: list[tuple[Student, float, float]] = []
    n = len(g.low)
    for place, value in sorted(tops, key=lambda top: -top[1])[: 4 * LAWS]:
        if any(_near(law, place) and value <= top + 1e-3 * (1 + abs(top)) for law, _, top in found):
            continue
        law = Student.of(place, covariance(g.target, place, g.low, g.high))
        mass = value + n / 2 * math.log(2 * math.pi) + float(np.sum(np.log(np.abs(np.diag(law.root)))))
        found.append((law, mass, value))
    best = max((mass for _, mass, _ in found), default=0.0)
    kept = sorted((one for one in found if one[1] > best - NEGLIGIBLE), key=lambda one: -one[1])[:LAWS]
    return [(fitted(g.target, law, g.low, g.high, seed), mass) for law, mass, _ in kept]


def _near(law: Student, place: Array) -> bool:
    z = np.linalg.solve(law.root, place - law.mean)
    return bool(z @ z < 4.0 * len(z))


def _spread(g: Integrand, seed: int) -> Array:
    """Points over the support: of the measure, or about 0 on several scales."""
    n = len(g.low)
    u = stats.qmc.Sobol(n, rng=np.random.default_rng(seed + 7)).random_base2(11)
    if g.base is not None:
        return g.base.points(u)
    z = special.ndtri(np.clip(u, 2.0**-53, 1 - 2.0**-53)) * np.repeat([0.3, 3.0, 30.0, 300.0], len(u) // 4)[:, None]
    z = np.where(np.isfinite(g.low), g.low + np.abs(z), np.where(np.isfinite(g.high), g.high - np.abs(z), z))
    return np.clip(z, g.low, g.high)


# --- the rules ---


@dataclass(frozen=True, eq=False)
class Run:
    """Of one rule: estimates of the replicates over exp(level), all terms, points of the largest, and roundings."""

    estimates: Array
    level: float
    terms: Array
    largest: Array
    undefined: Array | None
    rounding: float = 0.0


def run(g: Integrand, laws: Mixture, size: int, seed: int, engine: Any) -> Run:
    """Sixteen replicates of a rule, each with about 2^size points."""
    n = len(g.low)
    counts = [2 ** max(5, round(size + math.log2(share))) for share in laws.shares]
    exact = Mixture(laws.laws, tuple(count / sum(counts) for count in counts))
    blocks = []
    for r in range(REPLICATES):
        for k, (law, count) in enumerate(zip(laws.laws, counts, strict=True)):
            source = engine(n + isinstance(law, Student), rng=np.random.default_rng([seed, r, k]))
            blocks.append(law.points(np.clip(source.random(count), 2.0**-53, 1 - 2.0**-53)))
    x = np.concatenate(blocks)
    logs, signs = g(x)
    lost = np.isnan(logs) | (logs == np.inf)
    if np.any(lost):
        return Run(np.zeros(0), 0.0, np.zeros(0), x[:0], x[int(np.argmax(lost))])
    below = exact.log_density(x) if g.dense else np.zeros(len(x))
    with np.errstate(all="ignore"):
        ratios = np.where(logs == -np.inf, -np.inf, logs - below)
    level = float(ratios.max(initial=-np.inf))
    terms = signs * np.exp(ratios - level) if level > -np.inf else np.zeros(len(x))
    means = terms.reshape((REPLICATES, -1)).mean(1)

    def terms_at(moved: Array, of: Array) -> Array:
        logs, signs = g(moved)
        return signs * np.exp(logs - below[of] - level)

    rounding = rounding_of(terms_at, x, terms, seed) if g.dense and level > -np.inf else 0.0
    return Run(means, level, terms, x[np.argsort(-np.abs(terms))[:3]], None, rounding)


def sampled(question: Question) -> Sampled:
    """What two unlike rules make of an integral."""
    try:
        return _sampled(question, integrand(question))
    except QedError as error:
        return Sampled(None, math.inf, f"{error.what}: {error.because}")
    except Undefined as lost:
        return Sampled(None, math.inf, str(lost))


def _sampled(question: Question, g: Integrand) -> Sampled:
    deadline = time.monotonic() + question.budget
    modes = searched(question, g)
    first = _run(g, modes, FIRST, question.seed, 0)
    if isinstance(first, Sampled):
        return first
    if g.dense and first.level > -math.inf:
        more = searched(question, g, list(first.largest))
        if len(more) > len(modes):
            modes = more
        if g.base is None and tail_index(np.abs(first.terms)) > LIGHT:
            modes = [(law.wider(1.0, HEAVIER), mass) for law, mass in modes]
    plain = _plain(question, g, first)
    hidden = Unseen((), ()) if g.dense else unseen(question, g)
    size = FIRST
    while True:
        found = _judged(question, g, modes, size, plain, hidden)
        enough = found.error <= (question.tol or 0.0) or _close(question, found)
        if enough or size >= LAST or time.monotonic() > deadline or found.value is None:
            return found
        size += 2


def _close(question: Question, found: Sampled) -> bool:
    if found.value is None:
        return True
    return not found.problem and found.error <= CLOSE * (1.0 if question.logarithm else abs(found.value))


def _run(g: Integrand, modes: Sequence[tuple[Student, float]], size: int, seed: int, rule: int) -> Run | Sampled:
    """One of the two rules; a `Sampled` says what is not finite."""
    if g.base is None and not modes:
        return Sampled(None, math.inf, "no point was found where the integrand is a number that is not 0")
    laws = [law if rule == 0 else law.wider(1.4, min(law.freedom, 3.0)) for law, _ in modes]
    mix = mixture(g.base, laws, [mass for _, mass in modes], 0.25 if rule == 0 else 0.5)
    found = run(g, mix, size, 2 * seed + rule, stats.qmc.Sobol if rule == 0 else stats.qmc.Halton)
    if found.undefined is not None:
        return Sampled(None, math.inf, _not_a_number(found.undefined))
    return found


def _plain(question: Question, g: Integrand, first: Run) -> bool:
    """Whether points of the measure alone do better than the mixture, and agree with it."""
    if g.base is None or not g.dense:
        return False
    alone = _run(g, [], FIRST, question.seed, 0)
    if isinstance(alone, Sampled) or not np.any(alone.terms) or tail_index(np.abs(alone.terms)) > LIGHT:
        return False
    level = max(alone.level, first.level)
    values = [one.estimates * math.exp(one.level - level) for one in (alone, first)]
    errors = [float(v.std(ddof=1)) / math.sqrt(REPLICATES) for v in values]
    return errors[0] < errors[1] and abs(values[0].mean() - values[1].mean()) < 4 * (errors[0] + errors[1])


def _judged(
    question: Question, g: Integrand, modes: Sequence[tuple[Student, float]], size: int, plain: bool, hidden: Unseen
) -> Sampled:
    """Both rules, compared, with everything that speaks against them."""
    runs = [_run(g, [] if plain and rule == 0 else modes, size - rule, question.seed, rule) for rule in (0, 1)]
    for one in runs:
        if isinstance(one, Sampled):
            return one
    a, b = (one for one in runs if isinstance(one, Run))
    seen = int(np.sum(a.terms != 0))
    if seen == 0:
        zero = None if question.logarithm else 0.0
        return Sampled(zero, math.inf, "the integrand is 0 at every point that was tried")
    level = max(a.level, b.level)
    with np.errstate(all="ignore"):
        values = [one.estimates * math.exp(one.level - level) for one in (a, b)]
    means = [float(v.mean()) for v in values]
    errors = [float(v.std(ddof=1)) / math.sqrt(REPLICATES) for v in values]
    sizes = np.abs(a.terms)
    scale = float(sizes.mean()) * math.exp(a.level - level)
    k = max(tail_index(sizes), tail_index(np.abs(b.terms)))
    share = float(sizes.max() / sizes.sum())
    claimed = QUANTILE * errors[0] * (2.0 if k > 0.4 else 1.0)
    claimed = max(claimed, 1.5 * abs(means[0] - means[1])) + 1e-12 * scale
    claimed += QUANTILE * a.rounding * math.exp(a.level - level)
    missed = float(np.exp(min(hidden.missed(REPLICATES * 2**size) - level, 700.0)))
    claimed += missed
    problem = ""
    if abs(means[0] - means[1]) > QUANTILE * (errors[0] + errors[1]) + 1e-12 * scale:
        problem = f"two rules disagree: {means[0] * 1.0:.4g} and {means[1]:.4g}, in units of exp({level:.4g})"
    elif k > HEAVY:
        problem = f"the terms have a tail of index {k:.2f}: their variance may be infinite"
    elif share > MOST_OF_IT or (seen < SEEN):
        problem = f"{share:.0%} of the sum is one point, {seen} points are not 0: mass may be missed"
    elif missed > max(abs(means[0]), scale) / 4:
        problem = "a rare place or a narrow peak that few points meet may hold most of it, or is undefined"
    elif claimed > max(abs(means[0]), scale) / 4:
        problem = f"the error is {claimed / max(abs(means[0]), 1e-300):.0%} of the value"
    numbers = f"2 x {REPLICATES} replicates of about 2^{size} points, {len(modes)} modes, tail index {k:.2f}"
    return _scaled(question, means, claimed, level, problem, numbers)


def _scaled(
    question: Question, means: Sequence[float], error: float, level: float, problem: str, numbers: str
) -> Sampled:
    if question.logarithm:
        if means[0] <= error:
            return Sampled(None, math.inf, problem or "the integral is not measured to be positive", numbers)
        value, other = level + math.log(means[0]), level + math.log(max(means[1], 1e-300))
        return Sampled(value, -math.log1p(-error / means[0]) + 1e-14 * abs(level), problem, numbers, other)
    with np.errstate(all="ignore"):
        factor = float(np.exp(level))
    if not math.isfinite(means[0] * factor) or (factor == 0.0 and means[0] != 0):
        return Sampled(None, math.inf, problem or "the value is beyond the range of float64", numbers)
    return Sampled(means[0] * factor, error * factor, problem, numbers, means[1] * factor)
