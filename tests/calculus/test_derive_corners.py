"""One-sided derivatives of random functions made of pieces, against quotients on each side."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

import qed
from qed.calculus.deriving.corners import Undecided, corners, side
from qed.calculus.deriving.forms import Forms
from qed.calculus.deriving.program import program_of
from qed.calculus.deriving.scalar import Deriver
from qed.graph.function import read

PIECES = {
    "abs": lambda u, v: jnp.abs(u),
    "max": jnp.maximum,
    "min": jnp.minimum,
    "gt": lambda u, v: jnp.where(u > v, u, v),
    "le": lambda u, v: jnp.where(u <= v, u * 2 - v, u),
    "clip": lambda u, v: jnp.clip(u, -0.5, 0.0),
    "relu": lambda u, v: jax.nn.relu(u),
    "both": lambda u, v: jnp.where((u > 0) & (v < 1), u, jnp.minimum(u, 0.0)),
    "softplus": lambda u, v: jax.nn.softplus(u),
    "add": lambda u, v: u + v,
    "sub": lambda u, v: u - v,
    "mul": lambda u, v: u * v,
    "twice": lambda u, v: 2 * u,
    "negative": lambda u, v: -u,
    "shift": lambda u, v: u - 0.25,
    "square": lambda u, v: u**2,
}


@st.composite
def programs(draw):
    plan = [
        (draw(st.sampled_from(sorted(PIECES))), draw(st.integers(0, i)), draw(st.integers(0, i)))
        for i in range(draw(st.integers(1, 5)))
    ]

    def fun(x):
        values = [x]
        for name, u, v in plan:
            values.append(PIECES[name](values[u], values[v]))
        return values[-1] + 0 * x

    fun.plan = plan
    return fun


@given(programs())
def test_one_sided_derivatives_are_the_limits_of_one_sided_quotients(fun):
    with jax.enable_x64(True):
        program = program_of(read(fun, 0.0))
        (variable,) = program.variables
        active = program.depending_on(variable)
        found = corners(program, active)
        deriver = Deriver(Forms(program), "f")
        h = 2.0**-24
        value = float(fun(0.0))
        for sign in (1, -1):
            quotient = (float(fun(sign * h)) - value) / (sign * h)
            if found:
                try:
                    slope = deriver.derive(variable, sides=side(program, variable, active, sign)).value
                except Undecided:
                    continue
            else:
                slope = deriver.derive(variable).value
            np.testing.assert_allclose(slope, quotient, rtol=1e-4, atol=1e-4, err_msg=str(fun.plan))


@pytest.mark.parametrize(
    "function",
    [lambda x: jnp.sort(x)[2] * 3, lambda x: (x * x)[jnp.argmin(x)], lambda x: lax.top_k(x, 2)[0][1]],
    ids=["sort", "argmin", "top_k"],
)
def test_equal_numbers_that_are_put_in_order_are_a_corner(function):
    tied = qed.derive(function, jnp.array([-2.0, 5.0, 5.0, 5.0, -2.0]))
    assert tied.unknown
    assert "equal numbers" in tied.missing[0].what
    assert qed.derive(function, jnp.array([-2.0, 5.0, 6.0, 7.0, -1.0])).measured


def test_an_order_that_does_not_matter_is_no_corner():
    assert qed.derive(lambda x: jnp.sum(jnp.sort(x) ** 3), jnp.array([4.0, 4.0, 1.0])).measured


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (lambda x: jnp.where(jnp.any(x > 8.0), x[1] ** 2, 5 * x[0]), [5, 0, 0]),
        (lambda x: jnp.where(jnp.all(x > 0.5), x[0] * x[1], x[2]), [2, 1, 0]),
        (lambda x: jnp.median(x) ** 2, [0, 4, 0]),
    ],
    ids=["any", "all", "median"],
)
def test_conditions_on_whole_arrays(function, slopes):
    answer = qed.derive(function, jnp.array([1.0, 2.0, 3.0]))
    assert answer.measured
    assert answer.check()
    assert np.allclose(answer.value.numbers, slopes)


def test_what_is_stopped_is_said_in_the_claim_and_no_limit_is_told():
    answer = qed.derive(lambda x: lax.stop_gradient(x**2) * x, 3.0)
    assert answer.claim.endswith("with what is stopped held constant")
    assert "with what is stopped held constant" in answer.headline
    text = "\n".join(reason.text or "" for reason in answer.reasons)
    assert "the difference quotients go to 27 instead" in text
    plain = qed.derive(lambda x: x**3, 3.0)
    assert "stopped" not in plain.claim
