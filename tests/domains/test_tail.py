"""The tail domain: what it says of all x >= R holds at points beyond R, and it guesses nothing."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from qed.certificates.certificate import placed
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.precision import precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import Logarithm, Near, NoOrder, Term
from qed.domains.tail_gamma import far_gamma
from qed.domains.tail_growth import infinite_integral
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
    "undecided": lambda x: jnp.where((jnp.sin(x) > 0) & (x > 1), x, 1.0) + jnp.where(~(jnp.cos(x) < 0), 2.0, 3.0),
    "even": lambda x: jnp.where(jnp.mod(x, 2.0) == 0, x, 2 * x) + jnp.fmod(-x, 3.0),
    "likelihood": lambda x: -jnp.sum(jnp.logaddexp(0.0, -jnp.array([1.0, 2.0, -1.5]) * x)),
    "log-sum-exp": lambda x: jax.nn.logsumexp(jnp.array([1.0, 2.0, -1.5]) * x) - x,
    "regression": lambda x: -jnp.sum((jnp.array([[1.0, 2.0], [3.0, 4.0]]) @ jnp.stack([x, 1 - x])) ** 2),
    "rows": lambda x: (
        jnp.sum(jax.lax.scan(lambda c, y: (c + y * x, c), 0.0, jnp.array([1.0, 2.0]))[1]) + jnp.max(W * x)
    ),
    "support": lambda x: jnp.exp(jnp.where(jnp.abs(x) < 1, 0.0, -jnp.inf) - x * x) + x,
    "indexed": lambda x: W[0] * x + W[1],
    "inner": jax.jit(lambda x: jax.nn.sigmoid(1 / x)),
    "log squared": lambda x: jnp.log(x * x) ** 2 - jnp.log(x * x) + 3,
    "log normal": lambda x: jnp.exp(-(jnp.log(x * x) ** 2) / 2 - jnp.log(x * x)),
    "two bells": lambda x: jnp.logaddexp(-((x - 5) ** 2) / 2, -((x + 5) ** 2) / 2),
    "logistic": lambda x: x + (-x - 2 * jnp.log1p(jnp.exp(-x))),
    "two exponentials": lambda x: jnp.exp(-x) + 3 * jnp.exp(-2 * x) * x,
    "softplus": lambda x: jnp.logaddexp(x, 0.0),
    "floor": lambda x: jnp.floor(x) + jnp.round(x) - jnp.ceil(x),
    "tangent": lambda x: 1 - jnp.tanh(x) ** 2,
    "power of itself": lambda x: jnp.abs(x) ** (1 / x),
    "over a logarithm": lambda x: 1 / (x * jnp.log(x * x) ** 2),
    "cosine": lambda x: (1 - jnp.cos(x)) / (x * x),
    "sine": lambda x: jnp.sin(x) / x,
    "hyperbolic": lambda x: 1 / jnp.cosh(x) + jnp.sinh(x) / jnp.cosh(2 * x),
    "moved": lambda x: jnp.exp(-(x - 3) / 2 - jnp.abs(x) / 0.7) * (x + 2),
    "sorted": lambda x: jnp.sort(jnp.stack([x, -2 * x, jnp.sin(x)])) @ jnp.array([1.0, 2.0, -1.0]),
    "of one number": lambda x: jnp.sum(x**2) + jnp.max(-x) * jnp.mean(1 / x),
    "so far": lambda x: jnp.cumsum(jnp.stack([x, 1 / x]))[1] + jax.lax.cummax(W * x, reverse=True)[0],
    "steep": lambda x: jnp.exp(-jnp.exp(x) - x) * jnp.exp(0.5 * x) + jnp.exp(-jnp.exp(-x)),
    "gamma": lambda x: jax.lax.lgamma(x * x + 1) / (1 + x * x) + jax.lax.digamma(2 + x * x),
    "exponential less 1": lambda x: jnp.expm1(x) / x,
    "error functions": lambda x: jax.lax.erf(2 * x) + x * jax.lax.erfc(x - 1),
    "arcs": lambda x: jnp.arctan(3 * x + 1) + jnp.arcsinh(-2 * x) / x,
    "arcosh": lambda x: jnp.arccosh(1 + x * x),
    "cube roots": lambda x: jnp.cbrt(x) + jnp.cbrt(jnp.sin(x) * x),
}
BESIDE = {
    "root of the rest": lambda x: 1 / jnp.sqrt(1 - x),
    "root of a product": lambda x: 1 / jnp.sqrt(x * (1 - x)),
    "logarithm": lambda x: jnp.log1p(-x) * jnp.log(x),
    "of squares": lambda x: jnp.sqrt(1 - x * x) / (1 - x**3),
    "polynomial": lambda x: (x - 1) * (x - 2) / (x**2 - 1),
    "branch": lambda x: jnp.where(x < 1, x - 1, 1 - 1 / x),
    "inverse": lambda x: 1 / jnp.abs(1 / x - 1),
    "exponential": lambda x: jnp.exp(x - 1) - 1,
    "size": lambda x: jnp.log(jnp.abs(x - 1.0)),
    "arc cosine": lambda x: jnp.arccos(1 - jnp.abs(x - 1)) * jnp.arccos(jnp.abs(x - 1) - 1),
    "arc sine": lambda x: jnp.arcsin(1 - jnp.abs(x - 1)) * jnp.arcsin(jnp.abs(x - 1) - 1),
    "artanh": lambda x: jnp.arctanh(1 - jnp.abs(x - 1)) + 2 * jnp.arctanh(jnp.abs(x - 1) - 1),
    "arcosh": lambda x: jnp.arccosh(1 + jnp.abs(x - 1)),
}


def test_the_logarithm_of_gamma_lies_below_that_of_stirling_without_its_root():
    with precision(128) as library:
        for y in (4.0, 64.0, 1024.0):
            share = far_gamma(Tail(y), "lgamma", Term(library.arb(1), Fraction(1), library.arb(0))).b
            assert share.contains(library.arb(y).lgamma() / (library.arb(y) * library.arb(y).log()))


@pytest.mark.parametrize(("name", "side"), [("lgamma", 1), ("digamma", 1), ("digamma", -1)])
def test_beside_their_pole_lgamma_and_digamma_are_those_of_one_more_and_a_pole(name, side):
    for coefficient, power in ((1.0, -1), (0.5, -2), (3.0, -1)):
        for start in (8.0, 64.0):
            with precision(128) as library:
                domain = Tail(start)
                found = far_gamma(domain, name, Term(library.arb(side * coefficient), Fraction(power), library.arb(0)))
                for x in (start, 3 * start, 1e9):
                    y = library.arb(side * coefficient) * library.arb(x) ** power
                    truth = y.lgamma() if name == "lgamma" else y.digamma()
                    at = library.arb(x)
                    said = found.b + found.m.numerator * at.log() / found.m.denominator
                    said += found.c * at**found.q.numerator if found.q else 0
                    assert found.q.denominator == 1 and said.contains(truth)


def test_beside_other_poles_of_gamma_nothing_is_said():
    with precision(128) as library:
        with pytest.raises(NoOrder):
            far_gamma(Tail(8.0), "lgamma", Term(library.arb(-1), Fraction(-1), library.arb(0)))
        with pytest.raises(NoOrder):  # 8 / x is 1 at the start
            far_gamma(Tail(8.0), "digamma", Term(library.arb(8), Fraction(-1), library.arb(0)))
        with pytest.raises(NoOrder):  # of no sign
            far_gamma(Tail(8.0), "digamma", Term(library.arb(0, 1), Fraction(-1), library.arb(0)))


def tail(fun, start, x):
    traced = trace(fun, jnp.float32(0.5))
    (cell,) = Walker([Tail(start)]).run(traced.graph, placed(traced, [x]))
    return traced, cell.values[0]


def at(value, x):
    """A ball of the form at x."""

    def power(p):
        return x.log().__mul__(p.numerator).__truediv__(p.denominator).exp()

    if isinstance(value, Near):
        return value.a + at(value.rest, x)
    if isinstance(value, Logarithm):
        return value.b + value.m.numerator * x.log() / value.m.denominator + value.c * power(value.q)
    log = (x.log().log() * value.k.numerator / value.k.denominator).exp()
    return value.b * power(value.p) * log * (value.c * power(value.q)).exp()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("side", [1, -1, 0])
def test_it_holds_at_points(name, side):
    """At x = R s, of both signs, and at x = 1 / (R s)."""
    start = 8.0
    with precision(128) as flint:
        zero = flint.arb(0)
        x = Term(flint.arb(side), Fraction(1), zero) if side else Term(flint.arb(1), Fraction(-1), zero)
        traced, value = tail(FUNCTIONS[name], start, x)
        assert not isinstance(value, Unknown)
        for factor in (1.0, 1.25, 2.0, 7.0, 64.0):
            y = start * factor
            point = Balls.point(np.float64(side * y if side else 1.0))
            point = point if side else point / Balls.point(np.float64(y))
            (cell,) = Walker([Ball(bits=160)]).run(traced.graph, placed(traced, [point]))
            truth = cell.values[0].array.item()
            assert at(value, flint.arb(y)).overlaps(truth), (factor, truth)


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("side", [1, -1])
def test_it_holds_beside_a_number(name, side):
    """At x = 1 - 1 / (R s) and x = 1 + 1 / (R s), where the function is defined."""
    if side > 0 and name in ("root of the rest", "root of a product", "logarithm", "of squares"):
        return
    start = 64.0
    with precision(128) as flint:
        x = Near(flint.arb(1), Term(flint.arb(side), Fraction(-1), flint.arb(0)))
        traced, value = tail(BESIDE[name], start, x)
        assert not isinstance(value, Unknown)
        for factor in (1.0, 1.5, 64.0, 2.0**40):
            y = start * factor
            point = Balls.point(np.float64(1.0)) + Balls.point(np.float64(side)) / Balls.point(np.float64(y))
            (cell,) = Walker([Ball(bits=160)]).run(traced.graph, placed(traced, [point]))
            truth = cell.values[0].array.item()
            assert at(value, flint.arb(y)).overlaps(truth), (factor, truth)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.where(jnp.sin(x) > 0, 1.0, -jnp.inf),
        lambda x: jnp.where(x > 3, jnp.inf, 0.0) - jnp.inf,
        lambda x: 0.0 * jnp.where(x > 3, jnp.inf, 0.0),
        lambda x: W[jnp.argsort(jnp.stack([x, jnp.sin(x)]))[0]],
        lambda x: jnp.sqrt(-x),
        lambda x: jnp.log(jnp.sin(x)),
        lambda x: 1 / jnp.cos(x),
        lambda x: (x.astype(jnp.int32) * 2).astype(jnp.float32),
    ],
)
def test_it_does_not_guess(fun):
    with precision(128) as flint:
        assert isinstance(tail(fun, 8.0, Term(flint.arb(1), Fraction(1), flint.arb(0)))[1], Unknown)


def test_nothing_is_said_of_the_integral_of_an_undecided_sign():
    with precision(128) as flint, pytest.raises(NoOrder):
        Tail(8.0).integral(Term(flint.arb(0, 1), Fraction(1), flint.arb(0)))


@pytest.mark.parametrize(
    ("p", "k", "c", "q"), [(-3, 0, 0, 0), (-2, 2, 0, 0), (-2, -1, 0, 0), (-1, -3, 0, 0), (3, 1, -1, 1), (-2, 3, -2, 1)]
)
def test_integrals_of_terms(p, k, c, q):
    """Beside the adaptive rule of SciPy."""
    with precision(128) as flint:
        term = Term(flint.arb(1), Fraction(p), flint.arb(c), Fraction(q), Fraction(k))
        ball = Tail(16.0).integral(term)
    with np.errstate(all="ignore"):
        # x = 16 exp(t), so that slow tails end as well
        found, error = integrate.quad(
            lambda t: (16 * np.exp(t)) ** (p + 1.0) * (np.log(16) + t) ** k * np.exp(c * (16 * np.exp(t)) ** q),
            0, 8.0 if c else np.inf, limit=500,
        )  # fmt: skip
    assert float(ball.lower()) - error <= found <= float(ball.upper()) + error
    assert c or float(ball.rad()) < 1e-20


@pytest.mark.parametrize(("p", "k"), [(-1, 0), (-1, -1), (0, -5), (-0.5, 0)])
def test_what_diverges(p, k):
    with precision(128) as flint:
        term = Term(flint.arb(2), Fraction(p), flint.arb(0), Fraction(0), Fraction(k))
        assert Tail(16.0).integral(term) == flint.arb.pos_inf()
        with pytest.raises(NoOrder):
            Tail(16.0).integral(Term(flint.arb(0, 1), Fraction(p), flint.arb(0), Fraction(0), Fraction(k)))


@pytest.mark.parametrize(
    ("fun", "sign"),
    [
        (lambda x: jnp.exp(jnp.exp(x)), 1),
        (lambda x: x - 3 * jnp.sinh(jnp.exp(0.5 * x)) * (1 + 1 / x), -1),
        (lambda x: jnp.maximum(jnp.exp(x * x) ** 2, jnp.expm1(jnp.exp(x)) / x), 1),
        (lambda x: -jnp.abs(-jnp.exp(jnp.exp(x))) - jnp.cosh(jnp.exp(x)) ** 2, -1),
    ],
)
def test_what_grows_too_fast_is_bounded_from_below(fun, sign):
    with precision(256) as flint:
        traced, value = tail(fun, 8.0, Term(flint.arb(1), Fraction(1), flint.arb(0)))
        assert value.sign == sign
        for y in (8.0, 9.5, 16.0):
            (cell,) = Walker([Ball(bits=256)]).run(traced.graph, placed(traced, [Balls.point(np.float64(y))]))
            assert sign * cell.values[0].array.item() >= at(value.least, flint.arb(y)) * 0.999999
        assert infinite_integral(Tail(8.0), value, Term(flint.arb(1), Fraction(0), flint.arb(-1), Fraction(1))) == (
            sign * flint.arb.pos_inf()
        )


def test_a_loop_whose_condition_is_decided_is_walked():
    def fun(x):
        return jax.lax.while_loop(lambda state: state[0] < 3, lambda state: (state[0] + 1, state[1] * x), (0, 1.0))[1]

    def undecided(x):
        return jax.lax.while_loop(lambda y: jnp.sin(y) > 0, lambda y: y + 1.0, x)

    with precision(128) as flint:
        x = Term(flint.arb(1), Fraction(1), flint.arb(0))
        assert tail(fun, 8.0, x)[1].p == 3
        assert isinstance(tail(undecided, 8.0, x)[1], Unknown)
