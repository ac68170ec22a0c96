"""Bounds of `qed.minimize_globally` and `qed.enclose` against known minima, dense samples and local descent."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

import qed
from qed.certificates.convexity_witness import value_at
from qed.domains.box import spread
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import trace
from tests.laws.global_attacks import PROBLEMS
from tests.laws.random_shapes import drawn

FEW = [name for i, name in enumerate(PROBLEMS) if i % 7 == 0]
BUDGET = 3.0


def low_points(fun, box, args, seed=0, count=2000):
    """Points of a box at which the function is low: the best of many samples, and where descent takes them."""
    example, lower, upper = spread(box)
    full, back = ravel_pytree(jax.tree.map(lambda leaf: jnp.zeros(np.shape(leaf), jnp.float32), example))
    low, high = (np.concatenate([np.ravel(side) for side in sides]) for sides in (lower, upper))
    low, high = np.maximum(low, np.minimum(high, 10.0) - 20), np.minimum(high, np.maximum(low, -10.0) + 20)
    rng = np.random.default_rng(seed)
    points = low + (high - low) * rng.random((count, full.size))
    points[: 2**full.size] = low + (high - low) * (np.arange(2**full.size)[:, None] >> np.arange(full.size) & 1)
    value = jax.jit(lambda v: fun(back(v), *args))
    sampled = np.asarray(jax.vmap(lambda v: fun(back(v), *args))(jnp.asarray(points, jnp.float32)))
    best = points[np.argsort(np.where(np.isfinite(sampled), sampled, np.inf))[:6]]
    found = [np.clip(p, low, high) for p in best]
    for start in best[:3]:
        with np.errstate(invalid="ignore"):
            end = minimize(
                lambda v: float(value(jnp.asarray(np.clip(v, -1e30, 1e30), jnp.float32))), start, method="Nelder-Mead"
            ).x
        found.append(np.clip(end, low, high))
    return [[leaf.astype(np.float64) for leaf in shaped(p, lower)] for p in found]


def shaped(flat, like):
    cuts = np.cumsum([np.size(a) for a in like])[:-1]
    return [part.reshape(np.shape(a)) for part, a in zip(np.split(flat, cuts), like, strict=True)]


def values(fun, box, args, points):
    """The function's values at points, as balls; where it has one."""
    traced = trace(fun, spread(box)[0], *args)
    found = []
    for point in points:
        try:
            found.append(value_at(traced, point, 200))
        except CertificateError:
            continue
    return found


def is_in(point, minimizer):
    lower, upper = (
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(s)]) for s in (minimizer.lower, minimizer.upper)
    )
    return bool(np.all((lower <= np.ravel(point)) & (np.ravel(point) <= upper)))


def attack(problem, budget=BUDGET, tol=1e-4):
    answer = qed.minimize_globally(problem.fun, problem.box, *problem.args, budget=budget, tol=tol)
    if answer.unknown:
        return answer
    assert answer.proved and answer.check()
    found: Any = answer.value
    if problem.minimum is not None:
        slack = 1e-12 * abs(problem.minimum)
        assert found.lower <= problem.minimum + slack and problem.minimum - slack <= found.upper, "the minimum is lost"
    with precision(200) as flint:
        for ball in values(problem.fun, problem.box, problem.args, low_points(problem.fun, problem.box, problem.args)):
            assert not ball < flint.arb(found.lower), "a point lies below the lower bound"
    for point in problem.points:
        assert any(is_in(point, m) for m in found.minimizers), f"the minimiser {point} is lost"
    for m in found.minimizers:
        inside = [p for p in problem.points if is_in(p, m)]
        assert not m.exactly_one or len(inside) <= 1
    return answer


@pytest.mark.parametrize("name", FEW)
def test_no_minimum_of_a_few_is_lost(name):
    attack(PROBLEMS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in FEW])
def test_no_minimum_is_lost(name):
    attack(PROBLEMS[name])


@pytest.mark.parametrize("budget", [0.01, 0.2])
def test_an_early_answer_is_true_too(budget):
    for name in ("himmelblau", "goldstein_price"):
        attack(PROBLEMS[name], budget=budget, tol=1e-9)


@pytest.mark.parametrize("name", ["two_minima", "kink_of_several", "edge", "stopped_gradient", "jump_down"])
def test_the_range_holds_all_values(name):
    problem = PROBLEMS[name]
    minus = lambda x: -problem.fun(x)  # noqa: E731
    answer = qed.enclose(problem.fun, problem.box)
    found: Any = answer.value
    assert answer.check() and found.lower <= problem.minimum
    with precision(200) as flint:
        for sign, fun in ((1, problem.fun), (-1, minus)):
            bound = found.lower if sign > 0 else -found.upper
            assert not any(
                ball < flint.arb(bound) for ball in values(fun, problem.box, (), low_points(fun, problem.box, ()))
            )


def random_problem(k):
    rng = np.random.default_rng([41, k])
    variables = 1 + k % 2
    fun = drawn(rng, int(rng.integers(1, 4)), variables)
    lower = rng.integers(-256, 257, variables) / 128
    box = np.float32(lower), np.float32(lower + rng.integers(1, 257, variables) / 128)
    return lambda x: fun([x[i] for i in range(variables)]), box


def test_bounds_of_random_compositions(law_examples):
    for k in range(law_examples(4)):
        fun, box = random_problem(k)
        found = [qed.minimize_globally(fun, box, budget=0.5, tol=1e-3), qed.enclose(fun, box, budget=0.5)]
        balls = values(fun, box, (), low_points(fun, box, (), seed=k, count=500))
        with precision(200) as flint:
            for answer in found:
                assert answer.unknown or not any(ball < flint.arb(float(answer.value.lower)) for ball in balls), k
            minimum = found[0]
            assert minimum.unknown or not all(ball > flint.arb(minimum.value.upper) + 1 for ball in balls), k


@pytest.mark.slow
def test_bounds_of_many_random_compositions(law_examples):
    for k in range(100, 100 + law_examples(80)):
        fun, box = random_problem(k)
        answer = qed.minimize_globally(fun, box, budget=0.5, tol=1e-3)
        with precision(200) as flint:
            bound = flint.arb(-np.inf if answer.unknown else answer.lower)
            balls = values(fun, box, (), low_points(fun, box, (), seed=k, count=500))
            assert not any(ball < bound for ball in balls), k
