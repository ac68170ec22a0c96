"""The rules of convexity on many functions at once: what they prove, no segment in 200-bit balls contradicts.

One random composition with an array of constants is as many functions; the domain of curvature takes them apart
together, and the balls evaluate all ends and midpoints in one pass. QED_LAW_EXAMPLES=10 draws 100,000 functions.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.shapes.rules import Rules
from qed.domains.curvature import Curvature
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from tests.laws.random_shapes import bend, drawn

TOGETHER = 500
SEGMENTS = 3


def proved(fun, lower, upper):
    """(convex, concave) for each function, as the rules find it where nothing is undefined; None without a rule."""
    traced = trace(lambda *xs: fun(xs), *[jnp.zeros(x.shape, jnp.float32) for x in lower])
    curvature = Curvature("interval")
    box = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    forms = Walker([Interval(), curvature]).run(traced.graph, box)[0].values[1]
    if isinstance(forms, Unknown) or curvature.algebra.lost is not None:
        return None
    rules = Rules(curvature.algebra)
    found = [
        (False, False) if form.lost else (rules.convex(form) is not None, rules.concave(form) is not None)
        for form in np.broadcast_to(forms, lower[0].shape)
    ]
    return np.array(found)


def examine(k, together):
    """How many of the functions of one composition are proved convex or concave, none of them falsely."""
    rng = np.random.default_rng([31, k])
    variables = 1 + k % 2
    fun = drawn(rng, int(rng.integers(1, 5)), variables, (together,))
    lower = [rng.integers(-512, 513, together) / 256 for _ in range(variables)]
    upper = [a + rng.integers(1, 513, together) / 256 for a in lower]
    claims = proved(fun, lower, upper)
    if claims is None or not claims.any():
        return 0
    for _ in range(SEGMENTS):
        ends = [
            [a + (b - a) * rng.integers(0, 257, together) / 256 for a, b in zip(lower, upper, strict=True)]
            for _ in "ab"
        ]
        bends = bend(fun, *ends)
        if bends is None:
            return 0
        wrong = (claims[:, 0] & (bends < 0)) | (claims[:, 1] & (bends > 0))
        assert not wrong.any(), (k, np.flatnonzero(wrong)[:3])
    return int(claims.any(1).sum())


def test_rules_prove_nothing_false():
    assert sum(examine(k, 50) for k in range(12)) > 100


@pytest.mark.slow
def test_rules_prove_nothing_false_of_many(law_examples):
    compositions = law_examples(10)
    assert sum(examine(k, TOGETHER) for k in range(100, 100 + compositions)) > 0.1 * TOGETHER * compositions
