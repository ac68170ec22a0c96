"""Integers that conditions decide, exact signs of one variable, log-partitions, means, library functions as meant."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import stats
from jax.scipy.special import betaln, entr, gammaln, i0e, kl_div, rel_entr

import qed
from qed.calculus.shapes.rational import rational
from qed.certificates.convexity import Convexity
from qed.domains.curvature_algebra import Algebra
from qed.errors import CertificateError
from tests.calculus.corpus_shapes import LINE, over

ONE, PLANE = over(*LINE), over(*LINE, 2)
POSITIVE, PLANE_UP = over(0.25, 4.0, 2), over(0.0, 4.0, 2)


def branches(last):
    def f(x):
        which = jnp.where(x < 0, 0, 1) + jnp.where(x < 2, 0, 1)
        return jax.lax.switch(which, [lambda t: -t, lambda t: 0 * t, lambda t: last * (t - 2)], x)

    return f


def beta(a):
    return jnp.sum(gammaln(a)) - gammaln(jnp.sum(a))


def hinges(x):
    rows = jnp.array([[1.0, 2.0], [-0.5, 1.0], [0.25, -1.5]])
    return jnp.sum(jnp.log1p(jnp.exp(jnp.sum(jnp.abs(x)) - rows @ x)))


def von_neumann(matrix):
    eigenvalues = jnp.linalg.eigvalsh(matrix)
    return jnp.sum(eigenvalues * jnp.log(eigenvalues))


CONVEX = {
    "a table": (lambda x: jnp.interp(x, jnp.arange(4.0), jnp.array([4.0, 1, 0, 3])), over(0.0, 3.0)),
    "branches by number": (branches(1.0), ONE),
    "a table that is cancelled": (
        lambda x: x**2 + 0 * jnp.array([3.0, 1.0, 2.0])[jnp.digitize(x, jnp.array([-1.0, 0.0]))], ONE),
    "log of a sigmoid and the sigmoid": (lambda x: -jnp.log(jax.nn.sigmoid(x)) - jax.nn.sigmoid(x), ONE),
    "up to the inflection": (lambda x: -jnp.exp(-2 * x**2), over(-0.5, 0.5)),
    "tanh of a half": (lambda x: jnp.tanh(x / 2) + jnp.cosh(x), ONE),
    "softplus functions that share their shift": (hinges, PLANE),
    "beta law": (beta, POSITIVE),
    "gamma law": (lambda a: gammaln(a[0]) - a[0] * jnp.log(2 * a[1]), POSITIVE),
    "minus a mean of power 1/2": (lambda x: -((2 * jnp.sqrt(x[0]) + jnp.sqrt(x[1] + 1.0)) ** 2), POSITIVE),
    "minus a mean of power -2": (lambda x: -(jnp.sum(x**-2.0) ** -0.5), POSITIVE),
    "a number without a name": (lambda x: jnp.sqrt(2.0) / jnp.pi * jnp.sum(jnp.exp(x)), PLANE),
    "probit": (lambda x: -jnp.sum(stats.norm.logcdf(x)), PLANE),
    "a distribution function without range": (lambda x: -jnp.log(-jnp.expm1(-jnp.exp(x))), ONE),
    "a window of the normal law": (lambda x: -jnp.log(stats.norm.cdf(1 - x) - stats.norm.cdf(-x)), over(-2.0, 2.0)),
    "logarithm of softplus of minus x": (lambda x: -jnp.log(jax.nn.softplus(-x)), ONE),
    "a factor taken out": (lambda x: (1 - jax.nn.sigmoid(x)) ** 2 * jax.nn.softplus(-x), over(-1.0, 4.0)),
    "an arctangent and its logarithm": (lambda x: x * jnp.arctan(x) - 0.5 * jnp.log1p(x**2), ONE),
    "distance from a segment": (lambda x: jnp.hypot(x[0] - jnp.clip(x[0], -1, 1), x[1]), PLANE),
    "von Mises": (lambda x: jnp.log(i0e(jnp.hypot(x[0], x[1]))) + jnp.hypot(x[0], x[1]), PLANE),
    "length": (lambda x: jnp.hypot(x[0], 2 * x[1]), PLANE),
    "log beta beyond 8": (lambda a: betaln(a[0], a[1]) + betaln(a[1] + 1, 2.0), over(0.5, 40.0, 2)),
    "a quadratic that bends down beside exp": (lambda x: jnp.exp(x[0] + x[1]) - x[0] * x[1], over(-0.25, 2.0, 2)),
    "waves on a bowl": (
        lambda x: 2 * x @ x + jnp.sin(x[0] + x[1]) + jnp.cos(x[0] - x[1]), PLANE),
    "a fraction of itself": (lambda x: (1.5 * x) ** 2 / (1 + x) + 1 / (4.25 - 2.25 / (1 + x)), over(0.0, 8.0)),
    "minus the entropy of a coin": (lambda x: -jnp.sum(entr(x) + entr(1 - x)), over(0.0, 1.0, 2)),
    "entropies from 0 on": (
        lambda x: jnp.sum(rel_entr(x, (x + x[::-1]) / 2) + kl_div(x, x[::-1] + 0.5)), over(0.0, 2.0, 2)),
    "a relative entropy behind a condition": (
        lambda x: jnp.where(x[0] > 0, x[0] * jnp.log(x[0] / (x[0] + x[1])), 0.0), over(0.0, 2.0, 2)),
    "ordered categories": (
        lambda x: -jnp.log(jax.nn.sigmoid(x[0] + x[1] + 2.5) - jax.nn.sigmoid(x[0])), over(-2.0, 2.0, 2)),
    "ordered categories, probit": (
        lambda x: -jnp.log(stats.norm.cdf(x[0] + x[1] + 2.5) - stats.norm.cdf(x[0])), over(-2.0, 2.0, 2)),
    "a cube over a square": (lambda x: x[0] ** 3 / (x[1] + 1.0) ** 2, over(0.0, 4.0, 2)),
    "a fourth power over two": (lambda x: (x[0] - x[1]) ** 4 / (x[0] * x[1] ** 2), POSITIVE),
    "a product in one variable": (lambda x: -jnp.log(2 * x - x**2) - jnp.sqrt(x * (2 - x)), over(0.0625, 1.9375)),
    "a root and its inverse function": (lambda x: 2 * x * jnp.arcsinh(2 * x) - jnp.sqrt(1 + 4 * x**2), ONE),
    "an arc and its sine": (lambda x: x * jnp.arcsin(x) + jnp.sqrt(1 - x**2), over(-1.0, 1.0)),
    "a root in a logarithm": (lambda x: jnp.sqrt(1 + x**2) - jnp.log(1 + jnp.sqrt(1 + x**2)), ONE),
    "a square over its root": (lambda x: x[0] ** 2 / x[1] + (3 * x[1] ** 2 - x[0] * x[1]) / x[1], POSITIVE),
    "von Neumann's entropy": (lambda x: von_neumann(jnp.array([[x[0], 0.25], [0.25, x[1]]])), over(0.5, 2.0, 2)),
}  # fmt: skip
NOT_CONVEX = {
    "a cube over a power of degree 2.5": (lambda x: x[0] ** 3 / ((x[1] + 1.0) ** 2 * jnp.sqrt(x[0] + 1)), PLANE_UP),
    "waves on a shallow bowl": (lambda x: x @ x / 2 + jnp.sin(x[0] + x[1]) + jnp.cos(x[0] - x[1]), PLANE),
    "a relative entropy with another value at 0": (
        lambda x: jnp.where(x[0] > 0, x[0] * jnp.log(x[0] / (x[0] + x[1])), -1.0), over(0.0, 2.0, 2)),
    "categories of a bounded density": (
        lambda x: -jnp.log(jnp.arctan(x[0] + x[1] + 2.5) - jnp.arctan(x[0])), over(-2.0, 2.0, 2)),
    "more than a root takes": (lambda x: x * jnp.arcsinh(x) - 3 * jnp.sqrt(1 + x**2), ONE),
    "branches that fall": (branches(-1.0), ONE),
    "a table that falls": (lambda x: jnp.interp(x, jnp.arange(4.0), jnp.array([4.0, 1, 2, 2.5])), over(0.0, 3.0)),
    "a little beyond the inflection": (lambda x: -jnp.exp(-2 * x**2), over(-0.5, 0.5 + 2.0**-12)),
    "too much of the sigmoid": (lambda x: -jnp.log(jax.nn.sigmoid(x)) - 1.0625 * jax.nn.sigmoid(x), over(-16, 16)),
    "two gammas less": (lambda a: beta(a) - 0.5 * gammaln(a[0] + a[1]), over(0.25, 8.0, 2)),
    "a rate of degree 2": (lambda a: gammaln(a[0]) - 2 * a[0] * jnp.log(a[1]), POSITIVE),
    "minus a mean of power 2": (lambda x: -jnp.sqrt(jnp.sum(x**2)), POSITIVE),
    "a window of the Cauchy law": (lambda x: -jnp.log(jnp.arctan(x + 1) - jnp.arctan(x)), over(-5.0, 5.0)),
    "no distribution function": (lambda x: -jnp.log(jnp.exp(x) + jnp.exp(2 * x)), ONE),
    "von Mises with too little": (lambda x: 2 * jnp.log(i0e(x)) + jnp.abs(x), over(-3.0, 3.0)),
    "a narrow dent": (lambda x: x**4 - 2.0**-38 * x**2, over(-1.0, 1.0)),
}  # fmt: skip


@functools.cache
def asked(name):
    return qed.convexity(*CONVEX[name])


@pytest.mark.parametrize("name", CONVEX)
def test_convex(name):
    answer = asked(name)
    assert answer.proved and answer.shape in ("convex", "affine") and answer.check()


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_not_convex(name):
    fun, box = NOT_CONVEX[name]
    answer = qed.convexity(fun, box)
    assert answer.refuted and answer.check()


def exponential_sum(a, t, random):
    """A sum of functions of e^t with small numbers."""
    e, p = a.unary("exp", t), a.unary("logistic", t)
    parts = [e, a.unary("reciprocal", e), p, a.unary("square", p), a.unary("tanh", t), a.unary("log", p),
             a.unary("log", a.combine([(e, a.q(2))], 3))]  # fmt: skip
    return a.combine([(part, a.q(int(random.integers(-3, 4)))) for part in parts])


def test_exact_signs_agree_with_second_differences():
    """What is proved has no negative second difference; most of what has none is proved."""
    from qed.domains.curvature_values import Values

    random = np.random.default_rng(0)
    points = np.linspace(-12, 12, 4001)
    proved = bent = 0
    for _ in range(120):
        a = Algebra()
        t = a.line(None, None)
        form = exponential_sum(a, t, random)
        values = np.broadcast_to(Values({t.terms[0][0]: points}).of(form), points.shape)
        differences = values[2:] - 2 * values[1:-1] + values[:-2]
        up = bool(np.all(differences >= -1e-12 * (1 + np.abs(values[1:-1]))))
        found = rational(a, form) is not None
        assert up or not found, form
        proved, bent = proved + found, bent + up
    assert 20 <= proved <= bent <= proved + 3


def test_altered_rates_are_not_believed():
    made = asked("log of a sigmoid and the sigmoid").certificate
    (row,) = [row for row in made.rows if row[1] == "rational"]
    for numbers in ((2.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.0, 1.0)):
        rows = tuple((*row[:4], numbers) if other is row else other for other in made.rows)
        with pytest.raises(CertificateError):
            Convexity(**{**vars(made), "rows": rows}).sealed().verify()


def test_another_reading_of_an_integral_is_not_believed():
    made = asked("a distribution function without range").certificate
    (row,) = [row for row in made.rows if row[1] == "integral"]
    for reading in ((0.0,), (-1.0, 1.0), (1.0, 0.0), (), (1.0, 2.0)):
        rows = tuple((*row[:4], reading) if other is row else other for other in made.rows)
        with pytest.raises(CertificateError, match="no such integral"):
            Convexity(**{**vars(made), "rows": rows}).sealed().verify()


def test_exact_signs_beside_a_root_agree_with_second_differences():
    """Sums of what sqrt(1 + t^2) and its relatives make: the proof and its check, against values alone."""
    from qed.certificates.convexity import rows_of
    from qed.certificates.convexity_rules import Check, check
    from qed.domains.curvature_values import Values

    random = np.random.default_rng(1)
    points = np.linspace(-9, 9, 3001)
    proved = bent = 0
    for _ in range(80):
        a = Algebra()
        t = a.line(None, None)
        square = a.combine([(a.unary("square", t), a.one)], 1)
        root, inverse = a.unary("sqrt", square), a.unary("asinh", t)
        logarithm = a.unary("log", a.combine([(root, a.one)], 1))
        parts = [root, a.multiply(t, inverse), a.multiply(t, root), inverse, logarithm, a.unary("rsqrt", square),
                 a.unary("square", t)]  # fmt: skip
        form = a.combine([(part, a.q(int(random.integers(-2, 3)))) for part in parts])
        values = np.broadcast_to(Values({t.terms[0][0]: points}).of(form), points.shape)
        differences = values[2:] - 2 * values[1:-1] + values[:-2]
        up = bool(np.all(differences >= -1e-12 * (1 + np.abs(values[1:-1]))))
        step = rational(a, form)
        assert up or step is None, form
        if step is not None:
            rows = rows_of(step)
            check(Check(a, rows, {}, len(rows) - 1, form, set()))
        proved, bent = proved + (step is not None), bent + up

    assert 9 <= proved <= bent <= proved + 6


def test_other_shares_of_a_curvature_are_not_believed():
    made = asked("waves on a bowl").certificate
    (row,) = [row for row in made.rows if row[1] == "shared curvature"]
    for numbers in ((*row[4][:2], 3.0, 1.0), row[4][:2], (-1.0, 0.0, *row[4][2:])):
        rows = tuple((*row[:4], numbers) if other is row else other for other in made.rows)
        with pytest.raises(CertificateError):
            Convexity(**{**vars(made), "rows": rows}).sealed().verify()


def test_a_negative_rate_does_not_turn_the_range_round():
    def f(t):
        return jnp.exp(-2 * t) / 4 - jnp.exp(-t)  # f'' = y^2 - y with y = e^-t, below 0 for t > 0

    made = qed.convexity(f, (None, 0.0)).certificate
    (row,) = [row for row in made.rows if row[1] == "rational"]
    rows = tuple((*row[:4], (-1.0, 1.0, 0.0, 1.0)) if other is row else other for other in made.rows)
    positive = {"box_lower": ((0.0,),), "box_upper": ((np.inf,),)}
    with pytest.raises(CertificateError, match="falls with t"):
        Convexity(**{**vars(made), **positive, "rows": rows}).sealed().verify()
