"""Products of matrices of balls: made as matrices where they are large, and enclosing the exact products."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains import ball_ends
from qed.domains.ball_boxes import BallBoxes
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import objects
from qed.domains.precision import precision
from qed.graph.trace import trace


def exact(ball):
    mantissa, exponent = ball.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def drawn(seed, shape, spread=30):
    draw = np.random.default_rng(seed)
    return draw.standard_normal(shape) * 2.0 ** draw.integers(-spread, spread, shape)


@pytest.mark.parametrize("stacked", [False, True])
def test_ends_hold_the_exact_product_and_are_as_near_as_single_numbers_give_them(monkeypatch, stacked):
    lead = (2,) if stacked else ()
    x, y = drawn(0, (*lead, 11, 17)), drawn(1, (17, 13))
    with precision(100):
        narrow = Ends.between(x, x + np.spacing(x)), Ends.between(y - np.spacing(np.abs(y)), y)
        together = BallEnds(100).contract(*narrow)
        monkeypatch.setattr(ball_ends, "MANY", 10**9)
        single = BallEnds(100).contract(*narrow)
        for low, high, below, above in zip(
            together.lower.flat, together.upper.flat, single.lower.flat, single.upper.flat, strict=True
        ):
            assert above - below > 0
            assert abs(low - below) <= (above - below) * 1e-6
            assert abs(high - above) <= (above - below) * 1e-6
    rows = x.reshape(-1, 11, 17)
    for k, i, j in ((0, 0, 0), (len(rows) - 1, 10, 12), (0, 4, 7)):
        product = sum(Fraction(a) * Fraction(b) for a, b in zip(rows[k, i], y[:, j], strict=True))
        low, high = (end.reshape(-1, 11, 13)[k, i, j] for end in (together.lower, together.upper))
        assert exact(low) <= product <= exact(high)


@pytest.mark.parametrize("wide", [[-1.0, 1.0], [0.0, np.inf], [1.0, 1.0 + 2**-10]])
def test_wide_and_infinite_numbers_are_multiplied_one_by_one(wide):
    low, high = (np.where(np.eye(20) > 0, end, 3.0) for end in wide)
    with precision(100):
        found = BallEnds(100).contract(Ends.between(low, high), Ends.point(np.full((20, 20), 2.0)))
        assert found.lower[0, 0] == 2 * wide[0] + 114
        assert found.upper[0, 0] == 2 * wide[1] + 114 or (wide[1] == np.inf and not found.upper[0, 0].is_finite())


@pytest.mark.parametrize("order", [1, 3])
def test_series_hold_the_coefficients_of_the_exact_product(order):
    count = order + 2  # one more than is kept
    x, y = drawn(2, (count, 9, 15), 8), drawn(3, (count, 15, 16), 8)
    x[1, :4] = 0.0
    with precision(80, order + 1) as library:
        operands = []
        for parts in (x, y):
            flat = parts.reshape(count, -1).T
            operands.append(SeriesOfBalls(objects([library.arb_series(list(c)) for c in flat], parts.shape[1:])))
        found = BallSeries(order, 80).contract(*operands).array
        for k in range(order + 1):
            for i, j in ((0, 0), (8, 15), (3, 9)):
                terms = [(x[p, i, m], y[k - p, m, j]) for p in range(k + 1) for m in range(15)]
                value = sum(Fraction(a) * Fraction(b) for a, b in terms)
                ball = found[i, j][k]
                assert exact(ball.lower()) <= value <= exact(ball.upper())
                assert ball.rad() <= 1e-15 * max(abs(a * b) for a, b in terms)


def test_a_network_is_enclosed_by_products_of_matrices(monkeypatch):
    """No product of two numbers is made singly in a network's layers, and its slope is that of JAX."""
    draw = np.random.default_rng(5)
    data, inner = draw.standard_normal((30, 8)), jnp.asarray(draw.standard_normal((20, 6)))

    def fun(w):
        return jnp.sum(jnp.tanh(jnp.tanh(data @ w) @ inner))

    at = draw.standard_normal((8, 20))
    made = []
    monkeypatch.setitem(ball_ends._PAIRS, "mul", lambda a, b: made.append(1) or ball_ends._product(a, b))
    boxes = BallBoxes(trace(fun, at))
    way = np.eye(1, 160, 7)
    (low, high), ((_, slope),) = boxes.series(at.ravel(), at.ravel(), way, 1)
    step = 1e-6 * way.reshape(8, 20)
    apart = [float(BallBoxes(boxes.traced).range(p.ravel(), p.ravel())[0]) for p in (at - step, at + step)]
    assert not made
    assert high - low < 1e-20
    assert float(slope) == pytest.approx((apart[1] - apart[0]) / 2e-6, rel=1e-6)
