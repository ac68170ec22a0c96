"""Images under straight lines, whose densities are known: the law of m X + b, for m other than 0.

    If X has the density exp(u(x)) / Z, then m X + b has the density exp(u((y - b) / m)) / (|m| Z)

(Halmos, *Measure Theory*, 1974, section 39). A part is a probability up to its constant, so that |m| need not be known
as a number. Where the image is of the same family, and float64 holds its parameters, it is told by them: a divergence
from another member is then exact. The line is read in rational numbers; what float64 does not hold stays an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import Subject, placed
from qed.domains.densities import NAMED
from qed.domains.line import Line
from qed.domains.straight import Straight
from qed.graph.trace import Traced
from qed.graph.walk import Walker
from qed.integration.images import IMAGE, base_of
from qed.integration.measure import Measure, Part

Exact = tuple[Fraction, ...]


def _moved(m: Fraction, b: Fraction, mean: Fraction, scale: Fraction) -> Exact:
    return m * mean + b, abs(m) * scale


def _stretched(m: Fraction, b: Fraction, *values: Fraction) -> Exact | None:
    return (*values[:-1], m * values[-1]) if m > 0 and not b else None


def _quickened(m: Fraction, b: Fraction, *values: Fraction) -> Exact | None:
    return (*values[:-1], values[-1] / m) if m > 0 and not b else None


FAMILIES: Mapping[str, Callable[..., Exact | None]] = {
    "Cauchy": _moved,
    "Exponential": _quickened,
    "Gamma": _quickened,
    "HalfCauchy": _stretched,
    "HalfNormal": _stretched,
    "InverseGamma": _stretched,
    "Laplace": _moved,
    "Logistic": _moved,
    "Normal": _moved,
    "Pareto": _stretched,
    "StudentT": lambda m, b, df, mean, scale: (df, *_moved(m, b, mean, scale)),
    "Uniform": lambda m, b, *ends: tuple(sorted(m * x + b for x in ends)),
    "Weibull": _stretched,
}
"""What the parameters of X become as those of m X + b; None where that is of no named family."""


def straightened(law: Measure) -> Measure:
    """The same law, each image of a density under a straight line told by its own density.

    >>> from qed.integration.measures import Normal, pushforward
    >>> from qed.integration.straight_images import straightened
    >>> part = straightened(pushforward(Normal(0.5, 1.0), lambda x: 1 - 2 * x)).parts[0]
    >>> part.family, part.parameters
    ('Normal', (0.0, 2.0))
    """
    parts = tuple(_straightened(part) for part in law.parts)
    return law if parts == law.parts else Measure(law.atoms, parts, law.name)


def _straightened(part: Part) -> Part:
    if part.family != IMAGE or part.counting or not part.probability:
        return part
    base, g = base_of(part)
    if g is None or not base.probability:
        return part
    line = line_of_map(Subject(lambda x: jnp.asarray(g(x), jnp.float64), np.float64(0.5), x64=True).traced())
    if line is None or not line.m:
        return part
    return _named(base, line) or _own(base, line) or part


def line_of_map(traced: Traced) -> Line | None:
    """The line that the output of a program is, for all numbers; None where that is not known.

    >>> from qed.graph.trace import trace
    >>> from qed.integration.straight_images import line_of_map
    >>> print(line_of_map(trace(lambda x: 2 * x + 1, 0.5)).m, line_of_map(trace(lambda x: x * x, 0.5)))
    2 None
    """
    found = Walker([Straight()]).run(traced.graph, placed(traced, [Straight.argument()]))[0].values[0]
    return found if isinstance(found, Line) else None


def _named(base: Part, line: Line) -> Part | None:
    """The image as a member of its family, where float64 holds its parameters."""
    if base.family not in FAMILIES or (base.lower, base.upper) != NAMED[base.family].support(*base.parameters):
        return None
    found = FAMILIES[base.family](line.m, line.b, *map(Fraction, base.parameters))
    parameters = [_held(x) for x in found or ()]
    if not parameters or None in parameters:
        return None
    values = tuple(float(x) for x in parameters if x is not None)
    lower, upper = NAMED[base.family].support(*values)
    return replace(base, parameters=values, lower=lower, upper=upper)


def _own(base: Part, line: Line) -> Part | None:
    """The image by its log-density, on an interval whose ends float64 holds."""
    m, b = _held(line.m), _held(line.b)
    ends = [_end(x, line) for x in (base.lower, base.upper)]
    if m is None or b is None or None in ends:
        return None
    lower, upper = sorted(float(x) for x in ends if x is not None)
    if base.log_density is not None:
        before = base.log_density
    else:
        before = lambda x: NAMED[base.family].log_density(x, *base.parameters)  # noqa: E731
    return Part("", (), lower, upper, True, base.weight, log_density=lambda y: before((y - b) / m))


def _end(x: float, line: Line) -> float | None:
    """m x + b, where float64 holds it."""
    if math.isinf(x):
        return x if line.m > 0 else -x
    return _held(line.m * Fraction(x) + line.b)


def _held(x: Fraction) -> float | None:
    """A fraction as a number of float64; None where it is none."""
    try:
        found = float(x)
    except OverflowError:
        return None
    return found if Fraction(found) == x else None
