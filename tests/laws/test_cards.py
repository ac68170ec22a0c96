"""Every card is true.

Derivatives agree with difference quotients of the ball value to 60 bits and with JAX's automatic differentiation; the
signs of f' and f'' between the stated turns and bends are proved in balls, for every float64 of wide windows; domains,
limits, ranges, kinks, parity, period and log-curvature are decided in balls. What a complaint is: card_checks.py.

Beyond the windows (1e300 where f is algebraic or a logarithm; 745 for exponentials, the end of float64's exp; less for
the special functions) the signs follow in a line each. tanh, logistic: f' and f'' are products of y, 1 - y, 1 + y and
1 - 2y. cosh, sinh, exp: sums of positive terms. erf, erfc: f'' is -2x f'. psi (DLMF 5.15.1): (-1)^(m+1) m! times a sum
of positive terms; digamma and lgamma have it for derivatives. Scaled Bessel functions: asymptotic series in 1/x
(DLMF 10.40.1).
"""

from __future__ import annotations

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.facts import ARITHMETIC, JAX, Card, derivative_of
from tests.laws import arithmetic_checks
from tests.laws.card_checks import complaints, quotient_of
from tests.laws.card_lists import ALL, label
from tests.laws.card_pieces import (
    HOLES_AT_ZERO,
    at,
    ball,
    holes_of,
    landmarks,
    places,
    precision_of,
    sign,
    special_points,
    window,
)

arb = flint.arb
POINTS = 96
NO_RULE_IN_JAX = {"zeta", "polygamma"} | ({"nextafter"} if jax.__version_info__ < (0, 11) else set())


@pytest.mark.parametrize("card", ALL, ids=label)
def test_a_card_is_true(card):
    assert list(complaints(card)) == []


@pytest.mark.parametrize("name", ARITHMETIC)
def test_an_arithmetic_card_is_true(name):
    assert list(arithmetic_checks.complaints(ARITHMETIC[name])) == []


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("card", ALL, ids=label)
def test_higher_derivatives_are_derived_rightly(card, order):
    """The derived f'' and f''' agree with difference quotients of f' and f''."""
    lower, formula = derivative_of(card, order - 1), derivative_of(card, order)
    for place in list(places(card))[::3]:
        quotient = quotient_of(lambda x: at(lower, card, x), place)
        with flint.ctx.workprec(3000):
            stated = at(formula, card, place.x)
        assert abs(stated - quotient) <= abs(quotient) * arb(2) ** -50, f"{place}: {stated} {quotient}"


@pytest.mark.parametrize("card", ALL, ids=label)
def test_holes_are_closed(card):
    """In the 2^-64 about a smooth turn or bend p that the proofs leave out, the sign changes once, at p.

    Either the next derivative has one sign there; or p = 0, the next few derivatives vanish there exactly, and after an
    even number of them one has one sign there.
    """
    low, high = (end.value for end in window(card, card.shape_on))
    rough = special_points(card, low, high, "poles kinks jumps")
    with flint.ctx.workprec(max(320, precision_of(card))):
        for field, order in (("turns", 1), ("bends", 2)):
            for point in special_points(card, low, high, field):
                if point not in rough and not (card.name == "bessel_i1e" and point.value == 0):
                    assert _changes_once(card, order, point), f"{field} {point}"


def _changes_once(card, order, point):
    hole = ball(point) + arb(0, 1) * holes_of(card)[0]
    for higher in range(order + 1, order + 9):
        if sign(at(derivative_of(card, higher), card, hole)) in (-1, 1):
            return (higher - order) % 2 == 1
        if not at(derivative_of(card, higher), card, ball(point)).is_zero():
            return False
    return False


def test_the_hole_of_bessel_i1e_is_closed():
    """For 0 < x <= h, f = exp(-x) I_1 has f'' < 0, and f is odd: exp(x) f'' = I_1'' - 2 I_1' + I_1 < 0.

    I_1 and its derivatives have positive coefficients, so I_1'' + I_1 <= its value at h, which is below 2 I_1'(0) = 1.
    I_1'' = (1 + 1/x^2) I_1 - I_1'/x, and I_1' = I_0 - I_1/x (DLMF 10.25.1, 10.29.2).
    """
    with flint.ctx.workprec(200):
        h = HOLES_AT_ZERO["bessel_i1e"]
        i0, i1 = h.bessel_i(arb(0)), h.bessel_i(arb(1))
        second = (1 + 1 / h**2) * i1 - (i0 - i1 / h) / h
        assert second + i1 < 1


def floats(card: Card) -> np.ndarray:
    """Float64 points of the domain, moderate in size, POINTS of them (the last repeated) so that JAX compiles once."""
    with flint.ctx.workprec(200):
        low, high = (end.value for end in window(card, card.shape_on))
        points = [float(place.x.mid()) for place in places(card)]
        points += [mark.value for mark in landmarks(low, high)]
        rough = [p.value for p in special_points(card, max(low, -1e3), min(high, 1e3), "poles kinks jumps turns")]
    good = [x for x in dict.fromkeys(points) if 1e-30 < abs(x) < 1e4 and all(abs(x - p) > 1e-6 for p in rough)]
    good = [x for x in good if card.defined_at(x)]
    return np.resize(np.array(good), POINTS)


@pytest.mark.parametrize("card", ALL, ids=label)
def test_jax_agrees(card):
    """JAX's value is the ball's to 1e-8 and conditioning; its derivative is the text's, run in jax.numpy in float64."""
    xs = floats(card)
    with jax.enable_x64(True):
        values, slopes = jax.jvp(card.jax, (jnp.asarray(xs),), (jnp.ones(POINTS),))
        stated = card.derivative.evaluate(x=jnp.asarray(xs), y=values, arithmetic=JAX) + jnp.zeros(POINTS)
        assert values.dtype == jnp.float64
    np.testing.assert_allclose(stated, slopes, rtol=1e-9, atol=1e-13)
    with flint.ctx.workprec(1100):
        exact = np.array([float(card.ball(arb(x)).mid()) for x in xs])
    plain = np.abs(exact) < 1e300
    exact, values, slopes, xs = exact[plain], np.asarray(values)[plain], np.asarray(slopes)[plain], xs[plain]
    bound = 1e-8 * np.abs(exact) + 4e-16 * np.abs(xs * slopes) + 1e-14
    assert (np.abs(values - exact) <= bound).all()


@pytest.mark.parametrize("card", ALL, ids=label)
def test_derivatives_at_special_points_are_the_ones_jax_takes(card):
    """At kinks, jumps and closed ends the text gives JAX's number, infinite ones too, in float32."""
    points = [point.value for point in special_points(card, -3, 3, "kinks jumps")]
    points += [end.value for end, closed in _ends(card) if closed and not end.infinite]
    if not points:
        return
    xs = jnp.asarray(np.resize(np.array(points), 16), jnp.float32)
    values, slopes = jax.jvp(card.jax, (xs,), (jnp.ones(16, jnp.float32),))
    stated = card.derivative.evaluate(x=xs, y=values, arithmetic=JAX) + jnp.zeros(16, jnp.float32)
    assert stated.dtype == jnp.float32
    np.testing.assert_array_equal(stated, slopes)


def _ends(card):
    return (card.domain.lower, card.domain.lower_closed), (card.domain.upper, card.domain.upper_closed)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_partials_are_the_ones_jax_takes(name):
    """Partial derivatives agree with JAX's, at ties too, wherever both have one."""
    card = ARITHMETIC[name]
    points = [p for p in arithmetic_checks.grid(card) if card.domain.holds(**p)]
    columns = [jnp.asarray(np.resize([p[a] for p in points], 343), jnp.float32) for a in card.arguments]
    for index, partial in enumerate(card.partials):
        if partial is None or name in NO_RULE_IN_JAX:
            continue

        def along(t, index=index):
            return JAX.call(name, *columns[:index], t, *columns[index + 1 :])

        values, slopes = jax.jvp(along, (columns[index],), (jnp.ones(343, jnp.float32),))
        named = dict(zip(card.arguments, columns, strict=True))
        stated = partial.evaluate(arithmetic=JAX, z=values, **named) + jnp.zeros(343, jnp.float32)
        np.testing.assert_allclose(stated, slopes, rtol=1e-3, atol=1e-5)
