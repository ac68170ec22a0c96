"""One-sided derivatives of random functions made of pieces, against quotients on each side."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
