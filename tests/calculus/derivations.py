"""What the tests of derivations share: a derivation without the measurements around it, and random functions."""

from __future__ import annotations

from fractions import Fraction

import flint
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from qed import facts
from qed.calculus.deriving.forms import Forms
from qed.calculus.deriving.program import numbers_of, program_of
from qed.calculus.deriving.scalar import Deriver
from qed.facts.plain import plain
from qed.graph.function import read


def derived(fun, x, *args):
    """The derivative of a function in its first parameter, without observations.

    At a tie each rule takes its own convention (JAX's), which together need not be a derivative: max(x, 0) and |x|
    inside a softplus at 0. `qed.derive` takes one piece for all of them.
    """
    program = program_of(read(fun, x, *args))
    return Deriver(Forms(program), "f").derive(program.variables[0])


def last_step(fun, x, *args):
    return derived(fun, x, *args).steps[-1]


def formula(fun, x, *args):
    return plain(derived(fun, x, *args).formula)


def ball_slope(fun, x, *args):
    """The derivative by central differences in 500-bit balls, good to some 2^-100; None at a corner."""
    program = program_of(read(fun, x, *args))
    variable = program.variables[0]
    step = Fraction(1, 2**100)

    def value(point):
        exact = {variable: flint.arb(flint.fmpq(point.numerator, point.denominator))}
        numbers = {}
        for element in program.order:
            operands = [numbers[o] for o in element.operands]
            start = exact.get(element)
            numbers[element] = start if start is not None else _ball(element, operands)
        return numbers[program.output]

    with flint.ctx.workprec(500):
        at = Fraction(float(variable.value))
        above, here, below = (value(at + k * step) for k in (1, 0, -1))
        right, left = ((y - z) / flint.arb(2) ** -100 for y, z in ((above, here), (here, below)))
        if abs(right - left) > flint.arb(2) ** -40 * (1 + abs(right)):
            return None, 0.0
        quotient = (right + left) / 2
        return float(quotient.mid()), float(quotient.rad())


def _ball(element, operands):
    if not operands:
        return flint.arb(float(element.value))
    if element.operation == "add":
        return sum(operands[1:], operands[0])
    if element.operation in ("select", "stop_gradient"):
        return operands[0]
    if element.operation in ("eq", "ne", "lt", "le", "gt", "ge"):
        return flint.arb(float(element.value))
    parameters = {key: Fraction(value) for key, value in element.parameters.items()}
    return facts.BALLS.call(element.operation, *operands, **parameters)


UNARY = {
    "exp": jnp.exp, "log": lambda u: jnp.log(1.5 + u * u), "sin": jnp.sin, "cos": jnp.cos, "tanh": jnp.tanh,
    "sinh": lambda u: jnp.sinh(jnp.tanh(u)), "cosh": lambda u: jnp.cosh(jnp.sin(u)), "atan": jnp.arctan,
    "asinh": jnp.arcsinh, "sqrt": lambda u: jnp.sqrt(1 + u**2), "logistic": jax.nn.sigmoid, "expm1": jnp.expm1,
    "log1p": lambda u: jnp.log1p(u**2), "square": jnp.square, "cube": lambda u: u**3, "neg": lambda u: -u,
    "erf": jax.lax.erf, "scale": lambda u: 0.7 * u, "shift": lambda u: u - 0.3, "halved": lambda u: u / 2,
    "reciprocal": lambda u: 1 / (2 + jnp.sin(u)), "power": lambda u: (1.2 + u**2) ** 1.7, "softplus": jax.nn.softplus,
    "base": lambda u: 2.0 ** jnp.sin(u), "cbrt": lambda u: jnp.cbrt(2 + jnp.cos(u)),
    "lgamma": lambda u: jax.lax.lgamma(2.5 + jnp.sin(u)),
    "asin": lambda u: jnp.arcsin(0.7 * jnp.sin(u)), "rsqrt": lambda u: jax.lax.rsqrt(1 + u * u),
}  # fmt: skip
"""Functions that are smooth on all reals and do not grow beyond all bounds when composed a few times."""

BINARY = {
    "add": lambda u, v: u + v,
    "sub": lambda u, v: u - v,
    "mul": lambda u, v: u * v,
    "div": lambda u, v: u / (1.5 + v * v),
    "pow": lambda u, v: (1.1 + jnp.sin(u) ** 2) ** jnp.tanh(v),
}


@st.composite
def programs(draw, largest=5):
    """A random function of one number: compositions, sums, products, quotients and powers of the cards."""
    count = draw(st.integers(1, largest))
    plan = []
    for i in range(count):
        if draw(st.booleans()):
            plan.append((draw(st.sampled_from(sorted(UNARY))), draw(st.integers(0, i))))
        else:
            plan.append((draw(st.sampled_from(sorted(BINARY))), draw(st.integers(0, i)), draw(st.integers(0, i))))

    def fun(x):
        values = [x]
        for name, *places in plan:
            inputs = [values[place] for place in places]
            values.append(UNARY[name](*inputs) if name in UNARY else BINARY[name](*inputs))
        return values[-1]

    fun.plan = plan
    return fun


__all__ = ["ball_slope", "derived", "formula", "last_step", "np", "numbers_of", "programs"]
