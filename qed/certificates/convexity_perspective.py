"""The rule of perspectives, checked: F of degree 1 in (x, s, 1) is convex where its cut at s = 1 is, for s > 0.

That F(k z) = k F(z) is read off the term by the code that makes the cut; it is therefore held against values alone, in
balls: F at k z for a few k, with the constants of affine parts scaled too, is s g(x/s, 1/s) at random points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.domains.curvature_perspective import Slice
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import flint, precision

BITS, POINTS = 200, 4


def perspective(step: Any) -> None:
    """The row's number is that of the variable s."""
    a, form = step.a, step.form
    chosen = [v for v in a.variables if v.index == int(step.row[4][0])]
    step.require(len(chosen) == 1 and len(step.row[4]) == 1, "it names no variable")
    s = chosen[0]
    step.require(a.positive(a.of(s)), "the variable may not be positive")
    cut = Slice(a, s)
    try:
        inner = cut.of(form)
    except NoValue as error:
        step.fail(f"it is not homogeneous of degree 1: {error}")
    step.require(cut.algebra.lost is None, "it may be undefined at s = 1")
    step.require(agrees(a.variables, s, form, cut, inner), "it is not s times its cut at s = 1")
    step.within([(cut.algebra, inner)])


def agrees(variables: list[Any], s: Any, form: Form, cut: Slice, inner: Form) -> bool:
    """Whether F(x, s) = s g(x/s, 1/s) in balls at random points of the box."""
    random = np.random.default_rng(0)
    with precision(BITS):
        arb = flint().arb
        for _ in range(POINTS):
            at = {v: arb(_between(random, v.lower, v.upper)) for v in variables}
            rest = [at[v] / at[s] for v in variables if v is not s]
            moved = dict(zip(cut.algebra.variables, [*rest, 1 / at[s]], strict=True))
            try:
                whole, part = BallValues(at).of(form), BallValues(moved).of(inner)
            except NoValue:
                return False
            if not whole.overlaps(at[s] * part):
                return False
    return True


def _between(random: np.random.Generator, low: float, high: float) -> float:
    low, high = max(low, min(high, 8.0) - 16.0), min(high, max(low, -8.0) + 16.0)
    return float(np.clip(low + (high - low) * random.random(), low, high))
