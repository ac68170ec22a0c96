"""A cell with an irrational number on which the integrand has no bound: beside closed forms in balls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.cells import Cell
from qed.certificates.crossings import across
from qed.certificates.found import Undefined
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import trace

CELL = Cell(0.0, 1.4140625, 1.41455078125)


def found(fun, cell=CELL, density=lambda x: 0 * x):
    with jax.enable_x64(True):
        traced = trace(lambda x: (fun(x), density(x)), np.float64(0.5))
    with precision(128) as flint:
        return across(traced, (traced, 1), flint.arb(0), cell, "f")


def logarithm(flint, x):
    """The integral of log|x^2 - 2|."""
    root = flint.arb(2).sqrt()
    return x * abs(x * x - 2).log() - 2 * x + root * (abs(x + root) / abs(x - root)).log()


def root(flint, x):
    """The integral of |3 x - sqrt 18|^(-1/2)."""
    y = 3 * x - flint.arb(18).sqrt()
    return 2 * abs(y).sqrt() * (1 if y > 0 else -1) / 3


@pytest.mark.parametrize(
    ("fun", "antiderivative"),
    [
        (lambda x: jnp.log(jnp.abs(x * x - 2)), logarithm),
        (lambda x: jnp.log((x**2 - 2) ** 2) / 2, logarithm),
        (lambda x: jnp.abs(3 * x - jnp.sqrt(18.0)) ** -0.5, root),
    ],
)
def test_the_integral_is_that_of_a_closed_form(fun, antiderivative):
    of_f, mass = found(fun)
    with precision(128) as flint:
        truth = antiderivative(flint, flint.arb(CELL.high)) - antiderivative(flint, flint.arb(CELL.low))
        assert of_f.overlaps(truth)
        assert float(of_f.rad()) < 2e-3 * float(abs(truth))
        assert mass.overlaps(flint.arb(CELL.high) - flint.arb(CELL.low))


def test_the_value_at_the_ends_is_that_of_the_same_step():
    """A branch that is decided at the ends alone makes what is walked there shorter, by the equations of one step."""
    steps = jnp.array([[1.0, 0.0], [1.0, 1.0], [-(2.0**-12), 0.0], [-(2.0**-12), 0.0]])

    def second(x):
        jax.lax.cond(x > 1.4142, lambda t: t * 0.5 * 0.5 * 0.5 * 0.5 * 0.5, lambda t: t * 2 * 2 * 2 * 2 * 2, x)

        def step(kept, row):
            v = kept[0] - row[0]
            return (v, kept[1] + row[1] * v), None

        return jnp.log(jnp.abs(jax.lax.scan(step, (x * x, 0 * x), steps)[0][1]))

    with precision(128) as flint:
        truth = logarithm(flint, flint.arb(CELL.high)) - logarithm(flint, flint.arb(CELL.low))
        assert found(second)[0].overlaps(truth)


def test_what_diverges():
    """On both sides alike, with opposite signs, beside the cell, and by the density."""
    with precision(128) as flint:
        assert found(lambda x: (x * x - 2) ** -2)[0] == flint.arb.pos_inf()
        assert found(lambda x: -1 / jnp.abs(x - jnp.sqrt(2.0)))[0] == flint.arb.neg_inf()
        with pytest.raises(Undefined):
            found(lambda x: 1 / (x * x - 2))
        with pytest.raises(CertificateError):
            found(lambda x: 1 / (x * x - 2.25) ** 2)
        of_one, mass = found(lambda x: 1 + 0 * x, density=lambda x: -1.5 * jnp.log(jnp.abs(x**4 - 4)))
        assert of_one == mass == flint.arb.pos_inf()


POLE = Cell(0.0, 1.5625, 1.578125)


def test_a_tangent_crosses_where_its_cosine_does():
    """With opposite signs, with one, and finite: nearly the integral of |pi/2 - x|^(-1/2)."""
    with precision(128) as flint:
        assert found(lambda x: jnp.tan(x) ** 2, POLE)[0] == flint.arb.pos_inf()
        assert found(lambda x: -jnp.abs(jnp.tan(x + jnp.pi)), POLE)[0] == flint.arb.neg_inf()
        with pytest.raises(Undefined):
            found(jnp.tan, POLE)
        with pytest.raises(CertificateError):
            found(jnp.tan, CELL)  # no pole is there
        of_f, _ = found(lambda x: jnp.sqrt(jnp.abs(jnp.tan(x))), POLE)
        half = flint.arb.pi() / 2
        truth = 2 * (half - flint.arb(POLE.low)).sqrt() + 2 * (flint.arb(POLE.high) - half).sqrt()
        assert float(abs(of_f - truth).upper()) < 2e-3 * float(truth)


def test_a_sine_turns_where_its_cosine_crosses():
    """1 - sin x is 0 of the second order at pi/2: infinite, finite, and what is not quite 0 there is not."""
    with precision(128) as flint:
        assert found(lambda x: 1 / (1 - jnp.sin(x)), POLE)[0] == flint.arb.pos_inf()
        assert found(lambda x: -1 / (1 + jnp.cos(2 * x)), POLE)[0] == flint.arb.neg_inf()
        assert found(lambda x: 1 / jnp.log(jnp.sin(x)), POLE)[0] == flint.arb.neg_inf()
        assert found(lambda x: 1 / (1.0 + 2.0**-20 - jnp.sin(x)), POLE)[0].is_finite()
        with pytest.raises(CertificateError):
            found(lambda x: 1 / (1.0 - 2.0**-20 - jnp.sin(x)), POLE)
        with pytest.raises(CertificateError):
            found(lambda x: 1 / (1 - jnp.sin(x)), CELL)  # it does not turn there
        of_f, _ = found(lambda x: (1 - jnp.sin(x)) ** -0.25, POLE)
        half = flint.arb.pi() / 2
        ends = (half - flint.arb(POLE.low)).sqrt() + (flint.arb(POLE.high) - half).sqrt()
        truth = 2 * flint.arb(2) ** flint.arb(0.25) * ends
        assert float(abs(of_f - truth).upper()) < 2e-3 * float(truth)
