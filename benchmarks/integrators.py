"""What other libraries make of an integral or a sum: a value, a claimed error, a flag, and how often they evaluated.

Each is given the integrand, compiled by JAX in float64, over the whole range, and left at its defaults. Atoms are added
by hand, and the integral of an unnormalised law is a quotient of two. A stochastic rule claims three standard errors.
A warning, a status, an exception, a value that is no number, and an end by timeout are flags.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from scipy import integrate, stats

LIMIT = 10.0
"""Seconds of processor time that a tool may take for one problem."""


@dataclass(frozen=True)
class Integral:
    """The integral of f from lower to upper, or, if `whole`, the sum over the whole numbers; `log` is log f if known.

    For integrals in many dimensions the ends are vectors.
    """

    f: Callable[..., Any]
    lower: Any
    upper: Any
    whole: bool = False
    log: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Task:
    """A constant plus integrals, divided by the sum of others if there are any; or the logarithm of that."""

    constant: float
    above: tuple[Integral, ...]
    below: tuple[Integral, ...] = ()
    logarithm: bool = False


@dataclass(frozen=True)
class Outcome:
    """The value, the claimed error, whether the tool raised a doubt, its evaluations, and the name of an exception."""

    value: float
    error: float
    flagged: bool
    evaluations: int = 0
    raised: str = ""


class Counted:
    """A function of a vector of numbers (or of rows) in float64, and how many it was given."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.count = 0
        self._call = jax.jit(jax.vmap(f))

    def __call__(self, x: Any) -> np.ndarray:
        points = np.asarray(x, np.float64)
        self.count += len(points)
        padded = np.resize(points, (1 << max(4, int(len(points) - 1).bit_length()), *points.shape[1:]))
        with jax.enable_x64(True):
            return np.array(self._call(padded), np.float64)[: len(points)]

    def number(self, x: Any) -> float:
        """At one number."""
        return float(self(np.array([float(x)]))[0])


def by_quad(of: Integral, **more: Any) -> Outcome:
    f = Counted(of.f)
    found = integrate.quad(f.number, of.lower, of.upper, full_output=1, **more)
    return Outcome(found[0], found[1], len(found) > 3, f.count)


def by_tight_quad(of: Integral) -> Outcome:
    return by_quad(of, epsabs=0.0, epsrel=1e-10)


def by_tanhsinh(of: Integral) -> Outcome:
    f = Counted(of.log or of.f)
    rule: Any = integrate.tanhsinh
    found = rule(lambda x: f(x.ravel()).reshape(x.shape), of.lower, of.upper, log=of.log is not None)
    if of.log is None:
        return Outcome(float(found.integral), float(found.error), not found.success, f.count)
    value, error = complex(found.integral), complex(found.error)
    wrong = not found.success or abs(value.imag) > 1e-6
    return Outcome(value.real, math.exp(min(error.real - value.real, 700.0)), wrong, f.count)


def by_cubature(of: Integral) -> Outcome:
    many, f = np.ndim(of.lower) > 0, Counted(of.f)
    ends = [np.atleast_1d(np.asarray(end, float)) for end in (of.lower, of.upper)]
    found = integrate.cubature(lambda x: f(x if many else x[:, 0]), *ends)
    return Outcome(float(found.estimate), float(found.error), found.status != "converged", f.count)


class OnBox:
    """An integral over a finite box: infinite ends by x = t / (1 - t^2) on (-1, 1), or x = a + t / (1 - t)."""

    def __init__(self, of: Integral) -> None:
        self.f, self.many = Counted(of.f), np.ndim(of.lower) > 0
        self.lower, self.upper = (np.atleast_1d(np.asarray(end, float)) for end in (of.lower, of.upper))
        known = np.isfinite(self.lower), np.isfinite(self.upper)
        self.line, self.below, self.above = ~known[0] & ~known[1], known[0] & ~known[1], ~known[0] & known[1]
        half = self.below | self.above
        self.low = np.where(self.line, -1.0, np.where(half, 0.0, self.lower))
        self.high = np.where(self.line | half, 1.0, self.upper)

    def __call__(self, t: Any) -> np.ndarray:
        """At rows of numbers."""
        x, slope = np.array(t, np.float64), np.ones(len(t))
        for k in range(x.shape[1]):
            s = x[:, k].copy()
            if self.line[k]:
                x[:, k], by = s / (1 - s**2), (1 + s**2) / (1 - s**2) ** 2
            elif self.below[k] or self.above[k]:
                far, by = s / (1 - s), (1 - s) ** -2.0
                x[:, k] = self.lower[k] + far if self.below[k] else self.upper[k] - far
            else:
                continue
            slope *= by
        return self.f(x if self.many else x[:, 0]) * slope


def by_qmc_quad(of: Integral) -> Outcome:
    box = OnBox(of)
    points: Any = stats.qmc.Halton(len(box.low), rng=0)

    def one_or_many(t: Any) -> Any:
        return box(t.T) if t.ndim == 2 else box(t[None])[0]

    found = integrate.qmc_quad(one_or_many, box.low, box.high, qrng=points)
    return Outcome(float(found.integral), 3 * float(found.standard_error), False, box.f.count)


def by_vegas(of: Integral) -> Outcome:
    """Five runs to adapt and ten that count."""
    vegas = importlib.import_module("vegas")
    np.random.seed(0)
    box = OnBox(of)
    rule = vegas.Integrator(np.stack([box.low, box.high], axis=1))
    given = vegas.lbatchintegrand(lambda t: box(np.asarray(t)))
    rule(given, nitn=5, neval=2**12)
    found = rule(given, nitn=10, neval=2**12)
    return Outcome(float(found.mean), 3 * float(found.sdev), bool(found.Q < 0.05), box.f.count)


def by_quadax(of: Integral) -> Outcome:
    quadax = importlib.import_module("quadax")
    with jax.enable_x64(True):
        value, info = quadax.quadgk(of.f, [of.lower, of.upper])
        return Outcome(float(value), float(info.err), bool(info.status != 0), int(info.neval))


def by_mpmath(of: Integral) -> Outcome:
    mpmath = importlib.import_module("mpmath")
    f = Counted(of.f)
    value, error = mpmath.quad(lambda x: mpmath.mpf(f.number(x)), [of.lower, of.upper], error=True)
    return Outcome(float(value), float(error), False, f.count)


def by_nsum(of: Integral) -> Outcome:
    f = Counted(of.f)
    rule: Any = getattr(integrate, "nsum")  # noqa: B009 - not in every SciPy's stubs
    found = rule(lambda k: f(k.ravel()).reshape(k.shape), of.lower, of.upper)
    return Outcome(float(found.sum), float(found.error), not found.success, f.count)


LINE = {
    "quad": by_quad,
    "quad, epsrel 1e-10": by_tight_quad,
    "tanhsinh": by_tanhsinh,
    "cubature": by_cubature,
    "qmc_quad": by_qmc_quad,
    "quadax": by_quadax,
    "mpmath": by_mpmath,
    "vegas": by_vegas,
}
"""For integrals on the line."""
SUMS = {"nsum": by_nsum}
"""For sums."""
MANY = {"cubature": by_cubature, "qmc_quad": by_qmc_quad, "vegas": by_vegas}
"""For integrals in many dimensions."""


def asked(rule: Callable[[Integral], Outcome], task: Task) -> Outcome:
    """A task given to a rule, within the time limit; whatever it raises is a flag."""
    try:
        with _limited(), np.errstate(all="ignore"), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            found = _combined(rule, task)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # any way to fail is an answer that nobody believes
        return Outcome(math.nan, math.inf, True, raised=type(error).__name__)
    flagged = found.flagged or bool(heard) or math.isnan(found.value + found.error)
    return replace(found, flagged=flagged)


def _combined(rule: Callable[[Integral], Outcome], task: Task) -> Outcome:
    logarithmic = task.logarithm and rule is by_tanhsinh
    parts = task.above if logarithmic else tuple(replace(one, log=None) for one in task.above)
    above = _total([rule(one) for one in parts], task.constant)
    if logarithmic:
        return above
    if task.logarithm:
        error = above.error / above.value if above.value > 0 else math.inf
        value = math.log(above.value) if above.value > 0 else math.nan
        return Outcome(value, error, above.flagged, above.evaluations)
    if not task.below:
        return above
    below = _total([rule(replace(one, log=None)) for one in task.below], 0.0)
    value = above.value / below.value
    error = (above.error + abs(value) * below.error) / abs(below.value)
    return Outcome(value, error, above.flagged or below.flagged, above.evaluations + below.evaluations)


def _total(found: list[Outcome], constant: float) -> Outcome:
    return Outcome(
        constant + sum(one.value for one in found), sum(one.error for one in found),
        any(one.flagged for one in found), sum(one.evaluations for one in found),
    )  # fmt: skip


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise TimeoutError after LIMIT seconds."""

    def ended(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, ended)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
