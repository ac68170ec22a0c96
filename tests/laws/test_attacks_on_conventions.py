"""What a primitive does by convention, not by mathematics: proofs and refutations must not read it as another function.

Each program has a property that a naive reading would prove and that the program does not have: it has no value
somewhere, it rounds, or it orders along another axis.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.certificates.convexity_terms import OfAnotherFunction
from qed.domains import curvature_library

BOX = (-1.0, 2.0)
SQUARE = (np.full(4, -1, np.float32), np.full(4, 2, np.float32))
NOWHERE = lax.igamma, (np.float32(-1), np.float32(1))


def nowhere():
    """A constant without a value, of a primitive without a rule."""
    fun, numbers = NOWHERE
    return fun(*map(jnp.asarray, numbers))


UNPROVED = {
    "finite_where_defined": lambda x: jnp.where(jnp.isfinite(jnp.log(x)), x**2, -(x**2)),
    "zero_times_nothing": lambda x: x + (x > 0).astype(x.dtype) * jnp.where(x > 0, x, jnp.log(x)),
    "constant_without_value": lambda x: x**2 + nowhere(),
    "is_it_finite": lambda x: jnp.where(jnp.isfinite(nowhere()), x**2, -(x**2)),
    "no_rule_times_zero": lambda x: x**2 + 0 * lax.igamma(x, jnp.ones_like(x)),
    "rounded": lambda x: lax.reduce_precision(x, 5, 2),
    "rounded_square": lambda x: lax.reduce_precision(x, 5, 2) * x,
    "next_number": lambda x: (jnp.nextafter(x, jnp.full_like(x, 9.0)) - x) * 2.0**20,
}


@pytest.mark.parametrize("name", UNPROVED)
def test_what_has_no_value_or_rounds_is_not_proved_convex(name):
    assert not qed.convexity(UNPROVED[name], BOX, budget=1.0).proved


def columns(x):
    """The largest of each column of a square of four numbers."""
    return lax.top_k(x.reshape(2, 2), 2, axis=0)[0][0]


def test_the_largest_along_another_axis():
    assert qed.convexity(lambda x: columns(x) @ jnp.array([1.0, 1.0]), SQUARE).proved
    answer = qed.convexity(lambda x: columns(x) @ jnp.array([1.0, -1.0]), SQUARE)
    assert answer.refuted and answer.check()


def test_a_term_that_balls_cannot_judge_is_held_against_the_run(monkeypatch):
    along = curvature_library._along
    monkeypatch.setattr(curvature_library, "_along", lambda domain, rule, x, axis: along(domain, rule, x, -1))
    answer = qed.convexity(lambda x: columns(x) @ jnp.array([1.0, 1.0]), SQUARE)
    assert answer.unknown and "where the program returns" in answer.missing[0].what
    assert issubclass(OfAnotherFunction, qed.QedError)


APPLIED = lambda x: x.at[0].apply(lambda v: v**2)[0]  # noqa: E731


def test_a_function_applied_at_a_place_is_not_the_place_overwritten():
    """JAX writes `x.at[i].apply(f)` as a scatter of zeros that holds f."""
    box = (np.full(3, 1, np.float32), np.full(3, 2, np.float32))
    point = jnp.full(3, 1.5)
    assert not qed.convexity(APPLIED, box, budget=0.5).proved
    assert not qed.enclose(APPLIED, box, budget=0.5).proved
    assert not qed.lipschitz(APPLIED, box, budget=0.5).proved
    assert not qed.minimize_globally(APPLIED, box, budget=0.5).proved
    assert qed.taylor(APPLIED, point, order=1, direction=np.ones(3, np.float32)).unknown
    assert not qed.precision(APPLIED, point).refuted and float(qed.stabilize(APPLIED)(point)) == 2.25
    with pytest.raises(qed.QedError, match="JVP not implemented"):
        qed.why(qed.Problem(APPLIED, point))


def test_which_of_two_writes_stays_is_not_defined():
    fun = lambda x: jnp.zeros(2).at[jnp.array([0, 0])].set(jnp.stack([-(x**2), x**2]))[0]  # noqa: E731
    assert qed.convexity(fun, BOX, budget=0.5).unknown and qed.enclose(fun, BOX, budget=0.5).unknown


@pytest.mark.parametrize("pick", [jnp.argmin, lambda x: jnp.argsort(-x)[0]])
def test_an_element_at_an_undecided_place_is_enclosed(pick):
    answer = qed.enclose(lambda x: x[pick(x)], (np.full(3, -1, np.float32), np.full(3, 2, np.float32)), budget=0.5)
    assert answer.proved and answer.lower <= -1 and answer.upper >= 2


TENTH = np.float32([0.1])
SAME_TENTH = lambda x: jnp.where(x * 0.1 == x * jnp.asarray(TENTH)[0], x, -x)  # noqa: E731


@pytest.mark.parametrize("kind", [float, np.float32, jnp.float32])
def test_a_decimal_is_the_number_that_the_program_computes_with(kind):
    """0.1 beside a float32 number is 13421773 / 2^27, whatever the ends of the box are written as."""
    answer = qed.enclose(SAME_TENTH, (kind(1.5), kind(1.5)))
    assert answer.lower == answer.upper == float(SAME_TENTH(jnp.float32(1.5)))
    answer = qed.enclose(lambda x: 0 * x + 0.1, (kind(0), kind(1)))
    assert answer.lower == answer.upper == float(TENTH[0])
