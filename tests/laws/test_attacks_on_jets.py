"""Interval jets of random compositions against exact segments: a difference quotient never leaves an enclosure.

With d = (b - a)/2 and m the midpoint, the mean value theorem gives f(b) - f(a) in sum (b - a)_i G_i, and Taylor's
f(m + d) + f(m - d) - 2 f(m) in d'Hd for some matrix between the ends of the interval Hessian, and not below d'Ad for
the Loewner bound A. Values are taken in 200-bit balls, the bounds in exact fractions.
"""

# pyright: reportGeneralTypeIssues=false, reportOptionalMemberAccess=false, reportOptionalIterable=false

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.jets import jets_on
from qed.domains.precision import precision
from qed.graph.trace import trace
from qed.graph.walk import Unknown
from tests.laws.random_shapes import drawn, in_balls

BOXES = 24


def bounds(weights, lower, upper):
    """Exact ends of a sum of numbers between ends with weights; None for an infinite end."""
    low, high = Fraction(0), Fraction(0)
    for w, a, b in zip(weights, lower, upper, strict=True):
        if w == 0:
            continue
        a, b = (a, b) if w > 0 else (b, a)
        low = None if low is None or not np.isfinite(a) else low + w * Fraction(float(a))
        high = None if high is None or not np.isfinite(b) else high + w * Fraction(float(b))
    return low, high


def outside(ball, low, high, flint):
    """Whether a ball surely lies outside."""
    q = lambda x: flint.arb(flint.fmpq(x.numerator, x.denominator))  # noqa: E731
    return (low is not None and ball < q(low)) or (high is not None and ball > q(high))


def misses(k, variables):
    """(what was compared, the first enclosure that a segment leaves) of the k-th function."""
    rng = np.random.default_rng([21, k])
    fun = drawn(rng, int(rng.integers(1, 5)), variables)
    lower = rng.integers(-256, 257, (BOXES, variables)) / 128
    upper = lower + rng.integers(0, 129, (BOXES, variables)) / 64
    traced = trace(lambda x: fun([x[i] for i in range(variables)]), jnp.zeros(variables, jnp.float32))
    jet = jets_on(traced, [lower], [upper], loewner=True)
    if isinstance(jet, Unknown):
        return 0, None
    a, b = (lower + (upper - lower) * rng.integers(0, 65, lower.shape) / 64 for _ in range(2))
    values = [in_balls(fun, list(np.moveaxis(p, -1, 0))) for p in (a, b, (a + b) / 2)]
    if any(v is None for v in values):
        return 0, None
    compared, pairs = 0, [(i, j) for i in range(variables) for j in range(i, variables)]
    with precision(200) as flint:
        for n in range(BOXES):
            if not all(known[n] for _, known in values):
                continue
            fa, fb, fm = (value[n] for value, _ in values)
            d = [Fraction(float(y - x)) / 2 for x, y in zip(a[n], b[n], strict=True)]
            twice = [d[i] * d[j] * (1 if i == j else 2) for i, j in pairs]
            second = fa + fb - 2 * fm
            checks = [
                ("slope", fb - fa, bounds([2 * x for x in d], jet.slope.lower[n], jet.slope.upper[n])),
                ("hessian", second, bounds(twice, jet.hessian.lower[n], jet.hessian.upper[n])),
                ("least", second, (bounds(twice, jet.least.lower[n], jet.least.upper[n])[0], None)),
                ("most", second, (None, bounds(twice, jet.most.lower[n], jet.most.upper[n])[1])),
                ("value", fm, (number(jet.value.lower[n]), number(jet.value.upper[n]))),
            ]
            for name, ball, (low, high) in checks:
                compared += low is not None or high is not None
                if outside(ball, low, high, flint):
                    return compared, (name, k, lower[n], upper[n], ball.str(20), low, high)
    return compared, None


def number(end):
    return Fraction(float(end)) if np.isfinite(end) else None


@pytest.mark.parametrize("variables", [1, 2, 3])
def test_no_segment_leaves_a_jet(variables, law_examples):
    found = [misses(k, variables) for k in range(law_examples(25))]
    assert [miss for _, miss in found if miss] == []
    assert sum(compared for compared, _ in found) > 20 * len(found)


@pytest.mark.slow
def test_no_segment_of_many_leaves_a_jet(law_examples):
    for k in range(1000, 1000 + law_examples(250)):
        assert misses(k, 1 + k % 3)[1] is None


def test_a_derivative_has_an_entry_for_each_element():
    """Of s - x the Hessian is that of the one number s, at each element of x: three times in the sum."""
    for fun, bend in ((lambda x: jnp.sum(jnp.sum(x**2) - x), 6.0), (lambda x: jnp.sum(x - jnp.sum(x**2)), -6.0)):
        jet = jets_on(trace(fun, jnp.zeros(3)), [np.ones((1, 3))], [np.ones((1, 3))], loewner=True)
        for part in (jet.hessian, jet.least, jet.most):
            assert part.lower[0].tolist() == part.upper[0].tolist() == [bend, 0, 0, bend, 0, bend]
