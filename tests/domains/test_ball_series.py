"""Series of balls against the nested derivatives of the cards, and the programs where smoothness ends."""

import math

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed import facts
from qed.domains import ball_series
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import objects
from qed.domains.forward import Unknown
from qed.domains.precision import precision
from qed.graph.trace import trace
from qed.graph.walk import Walker
from tests.laws.card_lists import ALL, label

ORDER = 4
GAPS = {"bessel_i0e", "bessel_i1e", "erf_inv"}


def series(fun, start, direction, lower, upper, order=ORDER):
    traced = trace(fun, start)
    domain = BallSeries(order)
    (cell,) = Walker([domain]).run(traced.graph, [domain.segment(start, direction, lower, upper)])
    return cell.values[0]


@pytest.mark.parametrize("card", [c for c in ALL if c.name not in GAPS], ids=label)
def test_coefficients_of_a_function_are_its_derivatives(card):
    domain = BallSeries(3)
    for x in (0.3, 0.8, 1.7, -0.4, 2.3):
        if not card.defined_at(x) or (card.name in ("lgamma", "digamma", "psi") and x < 0):
            continue
        with precision(200, 4):
            whole = domain.image(card, domain.segment(x, 1.0, 0.0, 0.0))
            assert not whole.doubt
            found = whole.array.item()
            y = card.ball(flint.arb(x))
            for k in range(4):
                truth = y
                if k:
                    derivative = facts.derivative_of(card, k)
                    truth = derivative.evaluate(arithmetic=facts.BALLS, x=flint.arb(x), y=y) + flint.arb(0)
                    truth = truth / math.factorial(k)
                assert abs(found[k] - truth) <= 1e-30 * (1 + abs(truth)), (x, k)


@pytest.mark.parametrize("card", [c for c in ALL if c.name not in GAPS], ids=label)
def test_on_a_piece_they_contain_those_of_its_points(card):
    domain = BallSeries(3)
    rng = np.random.default_rng(0)
    for low, high in ((0.3, 0.4), (-0.2, 0.2), (1.2, 1.9), (0.0, 0.5), (-1.5, -1.4), (0.4, 0.6)):
        with precision(200, 4):
            whole = domain.image(card, domain.segment(0.0, 1.0, low, high))
            if whole.doubt.undefined is not None:
                continue
            for t in rng.uniform(low, high, 4):
                at = domain.image(card, domain.segment(0.0, 1.0, t, t)).array.item()
                for k in range(4):
                    assert whole.array.item()[k].contains(at[k]) or whole.array.item()[k].overlaps(at[k]), (low, t, k)


ROUGH = {
    "abs": lambda t: jnp.abs(t),
    "max": lambda t: jnp.maximum(t, 0.0),
    "relu": lambda t: jax.nn.relu(t),
    "sqrt": lambda t: jnp.sqrt(t + 0.5),
    "where": lambda t: jnp.where(t > 0, t, -t),
    "floor": lambda t: jnp.floor(t + 1),
    "to_integers": lambda t: (t + 1).astype(int) * t,
    "sort": lambda t: jnp.sort(jnp.stack([t, -t]))[0],
    "top_k": lambda t: lax.top_k(jnp.stack([t, -t]), 1)[0][0],
    "argmax": lambda t: jnp.argmax(jnp.stack([t, -t])) * t,
    "cond": lambda t: lax.cond(t > 0, lambda x: x, lambda x: -x, t),
    "clip": lambda t: jnp.clip(t, 0.0, 2.0),
    "gather": lambda t: jnp.stack([t, 2 * t])[(t > 0).astype(int)],
    "reduce_max": lambda t: jnp.max(jnp.stack([t, 0 * t])),
    "division": lambda t: 1 / t,
    "sign": lambda t: jnp.sign(t),
    "median": lambda t: jnp.median(jnp.stack([t, -t, 0.1 * t])),
}


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("piece", [(-1.0, 1.0), (-0.5, 0.0), (0.0, 0.5)])
def test_what_is_not_smooth_is_marked_on_one_side_at_least(name, piece):
    """A cut exactly at the kink must not hide it: one of the two pieces is marked."""
    fun = ROUGH[name]

    def marked(low, high):
        found = series(fun, jnp.float32(0.0), 1.0, low, high)
        return isinstance(found, Unknown) or found.doubt.undefined is not None

    low, high = piece
    if low < 0 < high:
        assert marked(low, high)
    else:
        assert marked(-0.5, 0.0) or marked(0.0, 0.5)


def test_decided_orders_keep_their_derivatives():
    x = np.array([1.0, 3.0, 2.0], np.float32)
    for fun in (
        lambda v: jnp.sort(v)[2],
        lambda v: lax.top_k(v, 1)[0][0],
        lambda v: jnp.max(v),
        lambda v: v[jnp.argmax(v)],
    ):
        found = series(fun, x, np.array([1.0, 5.0, 7.0]), 0.0, 0.0)
        assert (float(found.array.item()[0]), float(found.array.item()[1])) == (3.0, 5.0)


def test_of_a_program():
    found = series(lambda t: jnp.exp(jnp.sin(t)) / (1 + t * t), jnp.float32(0.0), 1.0, 0.0, 0.0)
    assert [float(found.array.item()[k]) for k in range(5)] == pytest.approx([1, 1, -1 / 2, -1, 3 / 8], abs=1e-15)


def wide(draw, shape, degree):
    """Series whose coefficients are balls of some width, and series of numbers in them."""
    library, both = flint, ([], [])
    for _ in range(int(np.prod(shape))):
        numbers = draw.standard_normal(degree)
        both[0].append(library.arb_series([library.arb(c, 1e-3) for c in numbers]))
        both[1].append(library.arb_series([library.arb(c + 9e-4 * draw.uniform(-1, 1)) for c in numbers]))
    return [SeriesOfBalls(objects(found, shape)) for found in both]


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_by_a_known_matrix_contains_what_is_in_the_balls(turned, monkeypatch):
    draw, domain = np.random.default_rng(3), BallSeries(2, batch=1)
    with precision(200, 3):
        matrix = SeriesOfBalls.point(draw.standard_normal((1, 40, 30)))
        balls, inside = wide(draw, (3, 30, 2), 3)
        swap = lambda z: z.map(lambda a: np.swapaxes(a, -1, -2)) if turned else z  # noqa: E731
        pairs = [(swap(z), swap(matrix)) if turned else (matrix, z) for z in (balls, inside)]
        quick = [domain.contract(*pair) for pair in pairs]
        monkeypatch.setattr(ball_series, "MANY", np.inf)
        slow = [domain.contract(*pair) for pair in pairs]
        assert quick[0].shape == slow[0].shape == ((3, 2, 40) if turned else (3, 40, 2))
        for found, other, number in zip(*(z.array.ravel() for z in (quick[0], slow[0], slow[1])), strict=True):
            for k in range(3):
                assert found[k].contains(number[k].mid()) and float(found[k].rad()) < 1.01 * float(other[k].rad())


def test_what_is_not_smooth_stays_so_in_a_product_by_a_known_matrix():
    with precision(200, 2) as library:
        matrix = SeriesOfBalls.point(np.ones((1, 60, 40)))
        rows = [library.arb_series([k, 1]) for k in range(40)]
        rows[7] = library.arb_series([library.arb.nan(), 1])
        for balls in (SeriesOfBalls(objects(rows, (1, 40, 1))), SeriesOfBalls.between(np.zeros((1, 40, 1)), 1.0)):
            assert np.all(BallSeries(1, batch=1).contract(matrix, balls).doubt.undefined)
