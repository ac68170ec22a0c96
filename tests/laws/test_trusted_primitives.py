"""Every derivative of JAX's that `facts.trusted` calls verified is verified here, in float64.

Elementwise functions against their card in balls; linear ones by f(v), bilinear ones by f(v, y) + f(x, w); the rest
by Richardson's quotient of their values along a direction. Forward and reverse belong together in each:
<c, J v> = <J' c, v>. Linear algebra is taken on matrices symmetric by construction, where JAX asks for symmetric ones.
"""

from __future__ import annotations

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed.calculus.gradient.differences import BARS, richardson
from qed.facts import ARITHMETIC, CARDS, JAX
from qed.facts.trusted import RULES, TRUSTED, Law
from qed.graph.trace import trace
from tests.laws import arithmetic_checks
from tests.laws.card_lists import ALL, label
from tests.laws.card_pieces import at, precision_of
from tests.laws.test_cards import POINTS, floats

RANDOM = np.random.default_rng(11)
X = RANDOM.uniform(0.3, 1.7, (4, 4))
Y = RANDOM.uniform(0.3, 1.7, (4, 4))
ROW = RANDOM.permutation(16) / 7.0 + 0.2


def symmetric(a):
    return a + a.T + 8 * jnp.eye(4)


def positive(x):
    return jnp.sum(x) > 0


def scattered(kind):
    """Two of the four places of a scatter are the same."""
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    places = jnp.array([[3], [7], [3], [12]])
    return lambda x, y: getattr(lax, kind)(x, places, y[0], numbers)


def once(kind):
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    places = jnp.array([[3], [7], [0], [12]])
    return lambda x, y: getattr(lax, kind)(x, places, y[0], numbers, unique_indices=True)


def ordered(f):
    """Eigenvectors and singular vectors have a sign: their squares do not."""
    return lambda a: [jnp.square(part) if part.ndim == 2 else part for part in jax.tree.leaves(f(a))]


LINEAR = {
    "add_any": lambda x, y: jax.vjp(lambda z: z * 2 + z, x)[1](y)[0] + x,
    "broadcast_in_dim": lambda x: lax.broadcast_in_dim(x, (3, 4, 4), (1, 2)),
    "complex": lambda x, y: lax.complex(x, y),
    "concatenate": lambda x, y: lax.concatenate([x, y], 1),
    "conj": lambda x, y: lax.conj(lax.complex(x, y)),
    "convert_element_type": lambda x: x.astype(jnp.float32),
    "copy": lambda x: jnp.copy(x),
    "cumsum": lambda x: lax.cumsum(x, 1, reverse=True),
    "fft": lambda x, y: jnp.fft.fft(lax.complex(x, y)),
    "imag": lambda x, y: lax.imag(lax.complex(x, y)),
    "pad": lambda x: lax.pad(x, jnp.zeros((), x.dtype), [(1, 2, 1), (-1, 0, 0)]),
    "real": lambda x, y: lax.real(lax.complex(x, y) * (2 + 1j)),
    "reduce_precision": lambda x: lax.reduce_precision(x, 11, 52),
    "reduce_sum": lambda x: jnp.sum(x, 1),
    "reduce_window_sum": lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 2), "SAME"),
    "reshape": lambda x: lax.reshape(x, (2, 8)),
    "rev": lambda x: lax.rev(x, (1,)),
    "slice": lambda x: lax.slice(x, (0, 1), (4, 4), (2, 1)),
    "split": lambda x: lax.split(x, (1, 3), 1),
    "squeeze": lambda x: lax.squeeze(x[None], (0,)),
    "transpose": lambda x: lax.transpose(x, (1, 0)),
    "dynamic_slice": lambda x: lax.dynamic_slice(x, (jnp.int32(1), jnp.int32(2)), (2, 2)),
    "dynamic_update_slice": lambda x, y: lax.dynamic_update_slice(x, y[:2, :2], (jnp.int32(1), jnp.int32(3))),
    "gather": lambda x: x[jnp.array([3, 0, 3])],
    "scatter": once("scatter"),
    "scatter-add": scattered("scatter_add"),
}
FLAT = {"scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul"}

BILINEAR = {
    "dot_general": lambda x, y: lax.dot_general(x, y, (((1,), (0,)), ((), ()))),
    "conv_general_dilated": lambda x, y: lax.conv_general_dilated(x[None, None], y[None, None, :2, :3], (1, 2), "SAME"),
}


def polynomial(x, y):
    """Horner's rule, with coefficients that move too; a primitive in newer versions of JAX."""
    return (lax.polynomial if hasattr(lax, "polynomial") else lambda u, c: jnp.polyval(jnp.stack(c[::-1]), u))(
        x, [y, 0.5 + x, y * y]
    )


QUOTIENT = {
    "polynomial": polynomial,
    "select_n": lambda x, y: jnp.where(x < 1.0, x * x, y),
    "cumlogsumexp": lambda x: lax.cumlogsumexp(x, 1),
    "cummax": lambda x: lax.cummax(x, 1),
    "cummin": lambda x: lax.cummin(x, 0, reverse=True),
    "cumprod": lambda x: lax.cumprod(x, 1),
    "reduce_max": lambda x: jnp.max(x, 1),
    "reduce_min": lambda x: jnp.min(x, 0),
    "reduce_prod": lambda x: jnp.prod(x, 1),
    "reduce_window_max": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), "SAME"),
    "reduce_window_min": lambda x: lax.reduce_window(x, jnp.inf, lax.min, (2, 2), (2, 1), "VALID"),
    "sort": lambda x, y: lax.sort((x, y), dimension=1, num_keys=1),
    "top_k": lambda x: lax.top_k(x, 2)[0],
    "scatter-max": scattered("scatter_max"),
    "scatter-min": scattered("scatter_min"),
    "scatter-mul": once("scatter_mul"),
    "cholesky": lambda x: jnp.linalg.cholesky(symmetric(x)),
    "custom_linear_solve": lambda x, y: jnp.linalg.solve(x + 5 * jnp.eye(4), y),
    "eigh": ordered(lambda x: jnp.linalg.eigh(symmetric(x))),
    "lu": lambda x: lax.linalg.lu(x + 5 * jnp.eye(4))[0],
    "qr": ordered(lambda x: jnp.linalg.qr(x)),
    "svd": ordered(lambda x: jnp.linalg.svd(x + jnp.diag(jnp.arange(4.0) * 4), full_matrices=False)),
    "triangular_solve": lambda x, y: lax.linalg.triangular_solve(x + 3 * jnp.eye(4), y, left_side=True, lower=True),
    "cond": lambda x: lax.cond(positive(x), jnp.sin, jnp.cos, x),
    "scan": lambda x, y: lax.scan(lambda c, r: (jnp.sin(c) * r, c), x[0], y),
    "remat": lambda x: jax.checkpoint(lambda z: jnp.sin(jnp.sin(z)))(x),
    "jit": lambda x: jax.jit(lambda z: jnp.sin(z) * z)(x),
}

RULED = {
    "_det": jnp.linalg.det,
    "_det_3x3": lambda x: jnp.linalg.det(x[:3, :3]),
    "_i0": jnp.i0,
    "i0_impl": jnp.i0,
    "_sinc_maclaurin": lambda x: jnp.sinc(x),
    "log_ndtr": jax.scipy.special.log_ndtr,
    "logaddexp": jnp.logaddexp,
    "logaddexp2": jnp.logaddexp2,
    "logit": lambda x: jax.scipy.special.logit(x / 2),
    "relu": lambda x: jax.nn.relu(x - 1),
    "relu6": lambda x: jax.nn.relu6(8 * x - 4),
    "xlog1py": jax.scipy.special.xlog1py,
    "xlogy": jax.scipy.special.xlogy,
}


SPELLINGS = {"_det_3x3", "_i0", "i0_impl", "_sinc_maclaurin", "polynomial"}


def operands(name, function):
    count = function.__code__.co_argcount if hasattr(function, "__code__") else 1
    count = 2 if name in {"logaddexp", "logaddexp2", "xlogy", "xlog1py"} else count
    first = ROW if name in FLAT else X
    return [first, Y][:count]


def flat(function):
    """Real numbers only, as one vector."""

    def joined(*arrays):
        outs = jax.tree.leaves(function(*arrays))
        parts = [p for o in outs for p in ((o.real, o.imag) if jnp.iscomplexobj(o) else (o,))]
        return jnp.concatenate([jnp.ravel(p) for p in parts])

    return joined


def names_in(function, arrays):
    found = set()
    for equation in trace(function, *arrays).graph.walk():
        found |= {equation.primitive, equation.call.name if hasattr(equation.call, "name") else ""}
    return found


def derivatives(function, arrays):
    """(v, J v, J v by differences with their bar, and both sides of <c, J v> = <J' c, v>).

    The table of differences is not compiled with each function: its small steps are the same for all.
    """
    tangents = tuple(np.random.default_rng(5).choice([-1.0, 1.0], a.shape) * (1 + a / 9) for a in arrays)

    def both_ways(at, along):
        value, pushed = jax.jvp(function, at, along)
        c = 1 + jnp.cos(jnp.arange(value.size, dtype=jnp.float64)) / 2
        c = c.astype(value.dtype)
        pulled = jax.vjp(function, *at)[1](c)
        return c, pushed, jnp.vdot(c, pushed), sum(jnp.vdot(p, v) for p, v in zip(pulled, along, strict=True))

    c, pushed, left, right = jax.jit(both_ways)(tuple(arrays), tangents)

    def moved(t):
        return jnp.vdot(c, function(*(x + t * v for x, v in zip(arrays, tangents, strict=True))))

    slope, bar = richardson(moved, 0.05)
    return list(tangents), *(np.asarray(part) for part in (pushed, slope, bar, left, right))


def tolerance(function, arrays):
    single = jnp.result_type(jax.eval_shape(function, *arrays)) == jnp.float32
    return 1e-6 if single else 1e-12


@pytest.mark.parametrize("name", LINEAR)
def test_linear(name):
    with jax.enable_x64(True):
        function, arrays = flat(LINEAR[name]), [jnp.asarray(a) for a in operands(name, LINEAR[name])]
        assert name == "add_any" or {name, name.replace("-", "_")} & names_in(function, arrays)
        tangents, pushed, _, _, left, right = derivatives(function, arrays)
        allowed = tolerance(function, arrays)
        np.testing.assert_allclose(pushed, function(*map(jnp.asarray, tangents)), rtol=allowed, atol=allowed)
    assert left == pytest.approx(right, rel=allowed)


@pytest.mark.parametrize("name", BILINEAR)
def test_bilinear(name):
    with jax.enable_x64(True):
        function, (x, y) = flat(BILINEAR[name]), [jnp.asarray(a) for a in (X, Y)]
        assert name in names_in(function, (x, y))
        (v, w), pushed, _, _, left, right = derivatives(function, (x, y))
        np.testing.assert_allclose(pushed, function(v, y) + function(x, w), rtol=1e-12)
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("name", [*QUOTIENT, *(f"rule:{name}" for name in RULED)])
def test_by_a_quotient(name):
    given = RULED[name[5:]] if name.startswith("rule:") else QUOTIENT[name]
    name = name.removeprefix("rule:")
    with jax.enable_x64(True):
        function, arrays = flat(given), [jnp.asarray(a) for a in operands(name, given)]
        names = names_in(function, arrays)
        if name in SPELLINGS and name not in names:
            pytest.skip("the installed JAX calls it otherwise, or has no rule for it")
        assert {name, name.replace("-", "_")} & names
        _, _, slope, bar, left, right = derivatives(function, arrays)
    assert bar < 1e-7 * abs(slope) + 1e-9
    assert abs(left - slope) <= BARS * bar + 1e-8 * abs(slope)
    assert left == pytest.approx(right, rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("card", ALL, ids=label)
def test_cards(card):
    """J is diagonal with the card's derivative, forward and reverse."""
    xs = floats(card)
    with jax.enable_x64(True):
        slopes = np.asarray(jax.jvp(card.jax, (jnp.asarray(xs),), (jnp.ones(POINTS),))[1])
        pulled = np.asarray(jax.vjp(card.jax, jnp.asarray(xs))[1](jnp.ones(POINTS))[0])
    with flint.ctx.workprec(max(320, precision_of(card))):
        here, beside = (
            np.array([float(at(card.derivative, card, flint.arb(float(x))).mid()) for x in points])
            for points in (xs, np.nextafter(xs, np.inf))
        )
    plain = np.abs(here) < 1e300
    here, beside, slopes, pulled = here[plain], beside[plain], slopes[plain], pulled[plain]
    moved = np.abs(here - beside)  # what one unit in the last place of x does to f'
    np.testing.assert_allclose(pulled, slopes, rtol=1e-14, atol=1e-15)
    assert (np.abs(slopes - here) <= 1e-8 * np.abs(here) + 8 * moved + 1e-13).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ARITHMETIC if TRUSTED.get(name) is Law.CARD])
def test_arithmetic_cards(name):
    card = ARITHMETIC[name]
    points = [p for p in arithmetic_checks.grid(card) if card.domain.holds(**p)]
    with jax.enable_x64(True):
        columns = [jnp.asarray(np.resize([p[a] for p in points], 343), jnp.float64) for a in card.arguments]

        def function(*xs):
            return JAX.call(name, *xs)

        values, pull = jax.vjp(function, *columns)
        pulled = pull(jnp.ones(343))
        for index, partial in enumerate(card.partials):

            def alone(x, index=index):  # a zero times the logarithm of a negative number would not be zero
                return function(*columns[:index], x, *columns[index + 1 :])

            pushed = jax.jvp(alone, (columns[index],), (jnp.ones(343),))[1]
            named = dict(zip(card.arguments, columns, strict=True))
            stated = partial.evaluate(arithmetic=JAX, z=values, **named) + jnp.zeros(343)
            np.testing.assert_allclose(pushed, stated, rtol=1e-7, atol=1e-12)
            np.testing.assert_allclose(pulled[index], pushed, rtol=1e-12, atol=1e-14)


def test_all_are_here():
    """Zero derivatives are verified with the classes of primitives, the calls by the law of the adjoints."""
    verified = {name for name, law in TRUSTED.items() if law not in (Law.ZERO, Law.CHAIN)}
    cards = {*CARDS, "integer_pow", *(name for name in ARITHMETIC if name in TRUSTED)}
    assert verified == cards | set(LINEAR) | set(BILINEAR) | {n for n in QUOTIENT if TRUSTED[n] is not Law.CHAIN}
    assert set(RULED) == RULES
