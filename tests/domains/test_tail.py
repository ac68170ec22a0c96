"""The tail domain: what it says of all x >= R holds at points beyond R, and it guesses nothing."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import placed
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.precision import precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import Logarithm, NoOrder, Term
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker

W = jnp.array([2.0, -1.0])
FUNCTIONS = {
    "polynomial": lambda x: x**3 - 4 * x + 7,
    "quotient": lambda x: (x - 5) / (x * x + 1),
    "gauss": lambda x: jnp.exp(-((x - 1) ** 2) / 2),
    "product": lambda x: x * x * jnp.exp(-x) * jnp.exp(-0.5 * x * x),
    "student": lambda x: jnp.exp(-3 * jnp.log1p(x * x / 4)),
    "root": lambda x: jnp.sqrt(1 + x * x),
    "sum with decay": lambda x: x + jnp.exp(-x),
    "logarithm": lambda x: jnp.log(x * x + 1) - x,
    "x log x": lambda x: x * jnp.log1p(x * x),
    "bounded": lambda x: jnp.sin(x) + jnp.tanh(x),
    "size": lambda x: jnp.abs(jnp.sin(3 * x)) * x,
    "branch": lambda x: jnp.where(x > 2, -x, x * x),
    "clip": lambda x: jnp.clip(x, -1, 1) + jnp.maximum(x, 0.0),
    "equal": lambda x: jnp.where(x == 3.0, 1.0, 2.0),
    "indexed": lambda x: W[0] * x + W[1],
    "inner": jax.jit(lambda x: jax.nn.sigmoid(1 / x)),
}
GAPS = {("sum with decay", -1)}
"""A growing exponential inside a sum is not followed."""


def tail(fun, start, x):
    traced = trace(fun, jnp.float32(0.5))
    (cell,) = Walker([Tail(start)]).run(traced.graph, placed(traced, [x]))
    return traced, cell.values[0]


def at(value, x):
    """A ball of the form at x."""

    def power(p):
        return x.log().__mul__(p.numerator).__truediv__(p.denominator).exp()

    if isinstance(value, Logarithm):
        return value.b + value.m.numerator * x.log() / value.m.denominator + value.c * power(value.q)
    return value.b * power(value.p) * (value.c * power(value.q)).exp()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, -1, 0])
def test_it_holds_at_points(name, side):
    """At x = R s, of both signs, and at x = 1 / (R s)."""
    start = 8.0
    with precision(128) as flint:
        zero = flint.arb(0)
        x = Term(flint.arb(side), Fraction(1), zero) if side else Term(flint.arb(1), Fraction(-1), zero)
        traced, value = tail(FUNCTIONS[name], start, x)
        if isinstance(value, Unknown):
            assert (name, side) in GAPS
            return
        for factor in (1.0, 1.25, 2.0, 7.0, 64.0):
            y = start * factor
            point = Balls.point(np.float64(side * y if side else 1.0))
            point = point if side else point / Balls.point(np.float64(y))
            (cell,) = Walker([Ball(bits=160)]).run(traced.graph, placed(traced, [point]))
            truth = cell.values[0].array.item()
            assert at(value, flint.arb(y)).overlaps(truth), (factor, truth)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.where(jnp.sin(x) > 0, 1.0, 0.0),
        lambda x: jnp.sqrt(-x),
        lambda x: jnp.log(jnp.sin(x)),
        lambda x: 1 / jnp.cos(x),
        lambda x: jnp.sum(jnp.ones(3) * x),
        lambda x: x.astype(jnp.int32).astype(jnp.float32),
    ],
)
def test_it_does_not_guess(fun):
    with precision(128) as flint:
        assert isinstance(tail(fun, 8.0, Term(flint.arb(1), Fraction(1), flint.arb(0)))[1], Unknown)


def test_nothing_is_said_of_the_integral_of_an_undecided_sign():
    with precision(128) as flint, pytest.raises(NoOrder):
        Tail(8.0).integral(Term(flint.arb(0, 1), Fraction(1), flint.arb(0)))
