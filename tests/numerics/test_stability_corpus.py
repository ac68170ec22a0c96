"""The corpus of stability: its scorer, its labels, and what `qed.stabilize` makes of it."""

import math
from collections import Counter

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from tests.numerics import scoring
from tests.numerics.corpus_stability import CONTROLS, FRESH, FRESH_CONTROLS, HELD, THIRD, THIRD_CONTROLS, UNSTABLE
from tests.numerics.scoring import Stability

# --- the scorer ----------------------------------------------------------------------------------------------------


def case(fun, *points, **options):
    return Stability("case", "group", fun, tuple(p if isinstance(p, tuple) else (p,) for p in points), **options)


def judged(fun, *points, dtype="float32", **options):
    found = case(fun, *points, **options)
    return scoring.losses(fun, found, dtype, scoring.truths(found, dtype))


def test_the_truth_is_a_formula_in_balls():
    points = (1e-8, 0.5, 30.0)
    truths = scoring.truths(case(lambda x: jnp.exp(x) - 1, *points), "float64")
    with scoring.precision(300):
        for x, truth in zip(points, truths, strict=True):
            assert abs(truth.value - flint.arb(x).expm1()) < 1e-60
            assert truth.gradient is not None and abs(truth.gradient[0].item() / flint.arb(x).exp() - 1) < 1e-30


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 24), ("float64", 53)])
def test_bits_are_counted_from_the_last_place(dtype, digits):
    unit = 2.0**-digits
    with scoring.precision(300):
        exact = scoring.objects([flint.arb(1)], ())
        for wrong, bits in ((0.0, 0.0), (2 * unit, math.log2(3)), (128 * unit, math.log2(129)), (np.nan, digits)):
            assert scoring._lost(np.array(1 + wrong), exact, dtype) == pytest.approx(bits)
        beyond = scoring.objects([flint.arb(10) ** 400], ())
        assert scoring._lost(np.array(np.inf), beyond, dtype) == 0
        assert scoring._lost(np.array(-np.inf), beyond, dtype) == digits
        for below in (flint.arb(10) ** -400, flint.arb(float(np.finfo(dtype).tiny)) / 3):
            assert scoring._lost(np.array(0), scoring.objects([below], ()), dtype) == 0


def test_what_is_lost_and_what_is_not():
    loss = judged(lambda x: jnp.exp(x) - 1, 1e-9, 1.0)
    assert loss.value[0] == 24 and loss.value[1] < 3
    assert max(loss.gradient) < 3
    loss = judged(lambda x: jnp.log(jnp.sum(jnp.exp(x))), [1e3, -1e3], [0.5, 0.25])
    assert loss.value[0] == loss.gradient[0] == 24
    assert loss.value[1] < 3 and loss.gradient[1] < 3


def test_limits_conventions_and_points_without_a_value():
    loss = judged(lambda x: jnp.sin(x) / x, 0.0, 0.5, limit=True)
    assert loss.value[0] == 24 and loss.gradient[0] == 24 and loss.value[1] < 3
    loss = judged(lambda x: jnp.sqrt(jnp.sum(x * x)), [0.0, 0.0], conventions={0: (0.0, ([0.0, 0.0],))})
    assert loss.value == (0.0,) and loss.gradient == (24.0,)
    loss = judged(jnp.log, -1.0, 2.0)
    assert math.isnan(loss.value[0]) and math.isnan(loss.gradient[0]) and loss.worst("value") < 3


def test_control_flow_has_a_reference():
    def product(x):
        return jax.lax.fori_loop(0, 3, lambda i, c: c * jnp.where(x[i] > 0, x[i], 1.0), jnp.ones((), x.dtype))

    for dtype in ("float32", "float64"):
        loss = judged(product, [0.5, -1.0, 3.0], dtype=dtype)
        assert loss.worst("value") < 3 and loss.worst("gradient") < 3


def test_verdicts():
    def loss(*value):
        return scoring.Loss(value, value)

    def verdict(before, after):
        return scoring.Verdict("case", "group", "float32", loss(*before), loss(*after))

    assert verdict((24.0, 0.0), (2.0, 0.5)).broken("value")
    assert verdict((24.0, 0.0), (2.0, 0.5)).fixed("value")
    assert not verdict((24.0, 0.0), (3.5, 0.5)).fixed("gradient")
    assert not verdict((5.0, 0.0), (2.0, 0.5)).broken("gradient")
    assert verdict((24.0, 0.0), (2.0, 3.5)).worse("value")
    assert not verdict((24.0, 1.0), (23.0, 2.5)).worse("value")


# --- the corpus ----------------------------------------------------------------------------------------------------


TOUCHED = {"cross_entropy_of_library"}
"""Controls that are rewritten, since elsewhere they lose digits: logsumexp(x) - x[i] loses all where x[i] leads."""
FRESH_WORSE = frozenset(["great_circle_by_arccosine"])
"""What becomes worse of the functions written last: 3.1 bits of 24 instead of 1.8, on some processors."""
FRESH_TOUCHED = {"library_cross_entropy"}
"""Controls of theirs whose value was seen to change: as TOUCHED, logsumexp(x) - x[i]."""
MENDED = {"value": 0.9, "gradient": 0.87}
"""The shares of the broken ones among them that are mended at least: what was seen of all, less one or two of 48."""
THIRD_WORSE = frozenset(
    "black_scholes_call frank_copula negative_binomial_by_its_mean renyi_entropy root_mean_square_norm".split()
)
"""The same of the third set, in one dtype or another, with one JAX or another: a bit or two of those that it leaves."""
THIRD_TOUCHED = {"poisson_likelihood"}
"""Controls that were seen to be rewritten: 0 log 0, which costs this one a bit, 4.4 of 53 lost instead of 3.2."""
THIRD_MENDED = {
    ("float32", "value"): 0.87,
    ("float32", "gradient"): 0.84,
    ("float64", "value"): 0.85,
    ("float64", "gradient"): 0.77,
}
"""The shares of the third set, less two of the 35 that each dtype judged when every second one was asked: 91 and 86 per
cent in float32 (of the whole set they were 90 and 92), 89 and 81 in float64.

When the set was first judged, by a rewriting whose authors had not seen it, they were 61 and 53, 57 and 43: those are
the held-out numbers.
"""


BOTH = ("float32", "float64")


def sampled(cases, every, share=1):
    """All cases with their dtypes, those that are not every so-manyth marked slow.

    Args:
        cases: a table of the corpus.
        every: which of them are not slow.
        share: of the slow ones one pair of so many is judged; `benchmarks/stability.py` judges all in both dtypes.

    The slow ones take float32 and float64 by turns.
    """
    return [
        pytest.param(
            found,
            BOTH[k % 2 :][:1] if k % every else BOTH,
            id=name,
            marks=[pytest.mark.slow] * (k % every != 0),
        )
        for k, (name, found) in enumerate(sorted(cases.items()))
        if k % every == 0 or k // 2 % share == share - 1
    ]


def scored(cases, dtype):
    """The names that become worse, and how many values and gradients are broken, and mended."""
    worse, broken, fixed = set(), Counter(), Counter()
    for name, found in cases.items():
        verdict = scoring.verdict(found, dtype, qed.stabilize(found.fun), scoring.truths(found, dtype))
        for what in ("value", "gradient"):
            broken[what] += verdict.broken(what)
            fixed[what] += verdict.broken(what) and verdict.fixed(what)
            worse |= {name} if verdict.worse(what) else set()
    return worse, broken, fixed


def test_the_corpus_is_large_and_split_in_halves():
    assert len(UNSTABLE) >= 150 and len(CONTROLS) >= 40
    assert not set(UNSTABLE) & set(CONTROLS)
    assert 0.4 < len(HELD & set(UNSTABLE)) / len(UNSTABLE) < 0.6
    assert all(case.name == name and len(case.points) >= 1 for name, case in (UNSTABLE | CONTROLS).items())


@pytest.mark.parametrize(("case", "dtypes"), sampled(CONTROLS, 8))
def test_a_control_is_left_alone(case, dtypes):
    for dtype in dtypes:
        stable = qed.stabilize(case.fun)
        value, gradient = scoring.same_bits(case, dtype, stable)
        assert value or case.name in TOUCHED
        if not gradient:
            assert not scoring.verdict(case, dtype, stable, scoring.truths(case, dtype)).worse("gradient")


@pytest.mark.parametrize(("case", "dtypes"), sampled(UNSTABLE, 16, share=5))
def test_nothing_becomes_worse(case, dtypes):
    for dtype in dtypes:
        verdict = scoring.verdict(case, dtype, qed.stabilize(case.fun), scoring.truths(case, dtype))
        assert not verdict.worse("value") and not verdict.worse("gradient"), verdict


def test_the_functions_written_last_are_others():
    assert len(FRESH) >= 50 and len(FRESH_CONTROLS) >= 15
    assert not (set(FRESH) | set(FRESH_CONTROLS)) & (set(UNSTABLE) | set(CONTROLS))
    assert not set(FRESH) & set(FRESH_CONTROLS) and set(FRESH) >= FRESH_WORSE


@pytest.mark.slow
def test_most_of_the_functions_written_last_are_mended():
    worse, broken, fixed = scored(dict(list(FRESH.items())[::2]), "float64")
    assert worse <= FRESH_WORSE
    assert min(broken.values()) >= 18
    assert fixed["value"] >= MENDED["value"] * broken["value"], (fixed, broken)
    assert fixed["gradient"] >= MENDED["gradient"] * broken["gradient"], (fixed, broken)


@pytest.mark.slow
def test_controls_written_last_are_left_alone():
    for k, (name, found) in enumerate(FRESH_CONTROLS.items()):
        dtype = BOTH[k % 2]
        stable = qed.stabilize(found.fun)
        value, gradient = scoring.same_bits(found, dtype, stable)
        assert value or name in FRESH_TOUCHED, name
        if not gradient:
            verdict = scoring.verdict(found, dtype, stable, scoring.truths(found, dtype))
            assert not verdict.worse("gradient"), name


def test_the_third_set_is_of_others():
    assert len(THIRD) >= 70 and len(THIRD_CONTROLS) >= 15
    others = set(UNSTABLE) | set(CONTROLS) | set(FRESH) | set(FRESH_CONTROLS)
    assert not (set(THIRD) | set(THIRD_CONTROLS)) & others and not set(THIRD) & set(THIRD_CONTROLS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_how_many_of_the_third_set_are_mended(dtype):
    worse, broken, fixed = scored(dict(list(THIRD.items())[2 * (dtype == "float32") :: 4]), dtype)  # by turns
    assert worse <= THIRD_WORSE
    assert min(broken.values()) >= 12
    for what in ("value", "gradient"):
        assert fixed[what] >= THIRD_MENDED[dtype, what] * broken[what], (fixed, broken)


@pytest.mark.slow
def test_controls_of_the_third_set_are_left_alone():
    for k, (name, found) in enumerate(THIRD_CONTROLS.items()):
        dtype = BOTH[k % 2]
        value, gradient = scoring.same_bits(found, dtype, stable := qed.stabilize(found.fun))
        assert value or name in THIRD_TOUCHED, name
        if not gradient:
            assert not scoring.verdict(found, dtype, stable, scoring.truths(found, dtype)).worse("gradient"), name
