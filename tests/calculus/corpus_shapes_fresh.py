"""A second set of held-out functions with known shapes, by an author who had not read the prover.

Written as users of JAX write them: losses, penalties, masks, custom rules, loops, matrix functions. References: Boyd
and Vandenberghe, *Convex Optimization* (2004), sections 3.1 to 3.5 (perspective, log-partition functions, quadratic
over linear, spectral functions); Huber, *Robust Statistics* (1981); Rockafellar and Uryasev (2000), conditional value
at risk.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, LINE, NEITHER, Case, draw, over, signs

X = draw(6, 3, seed=41)
Y = draw(6, seed=42)
SIGN = signs(6, seed=43)
COUNTS = np.array([0.0, 1.0, 3.0, 2.0, 0.0, 5.0], np.float32)
FREE = over(*LINE, 3)


def _lying_square():
    @jax.custom_jvp
    def square(x):
        return -x * x

    @square.defjvp
    def _(primals, tangents):
        return square(*primals), 2 * primals[0] * tangents[0]

    return lambda x: jnp.sum(square(x))


@jax.jit
def product(a, b):
    return a * b


def conditional_value_at_risk(p):
    return p["t"] + jnp.mean(jax.nn.relu(X @ p["w"] - p["t"])) / 0.25


RULES = [
    Case(
        "ridge logistic written by hand",
        CONVEX,
        lambda w: jnp.mean(jnp.log1p(jnp.exp(-SIGN * (X @ w)))) + 0.05 * jnp.sum(w**2),
        FREE,
        "log(1 + e^u) of affine u, and a square",
    ),
    Case(
        "pinball loss",
        CONVEX,
        lambda w: jnp.mean(jnp.maximum(0.9 * (Y - X @ w), -0.1 * (Y - X @ w))),
        FREE,
        "a maximum of two affine functions",
    ),
    Case(
        "group lasso",
        CONVEX,
        lambda w: jnp.sum(jnp.sqrt(jnp.sum(w**2, axis=1))),
        over(*LINE, 3, 2),
        "a sum of norms",
    ),
    Case("negative entropy", CONVEX, lambda p: jnp.sum(p * jnp.log(p)), over(0.01, 1.0, 4), "(p log p)'' = 1/p > 0"),
    Case(
        "logarithmic utility",
        CONCAVE,
        lambda x: jnp.sum(jnp.log(0.5 + jnp.abs(X) @ x)),
        over(0.0, 4.0, 3),
        "log of affine",
    ),
    Case("Poisson regression", CONVEX, lambda w: jnp.mean(jnp.exp(X @ w) - COUNTS * (X @ w)), FREE, "exp minus affine"),
    Case(
        "conditional value at risk",
        CONVEX,
        conditional_value_at_risk,
        ({"w": np.full(3, -np.inf, np.float32), "t": -np.inf}, {"w": np.full(3, np.inf, np.float32), "t": np.inf}),
        "t plus means of positive parts of affine functions",
    ),
    Case(
        "remembered softplus of softplus",
        CONVEX,
        jax.checkpoint(lambda x: jnp.sum(jax.nn.softplus(jax.nn.softplus(x)))),
        FREE,
        "convex and increasing of convex",
    ),
]

HESSIAN = [
    Case(
        "squares over linear",
        CONVEX,
        lambda v: jnp.sum(v[:2] ** 2) / v[2],
        (np.array([-2.0, -2.0, 0.5], np.float32), np.array([2.0, 2.0, 3.0], np.float32)),
        "the perspective of |x|^2",
    ),
    Case(
        "quartic of two fourth powers",
        CONVEX,
        lambda v: v[0] ** 4 + 6 * v[0] ** 2 * v[1] ** 2 + v[1] ** 4,
        over(-2.0, 2.0, 2),
        "((x + y)^4 + (x - y)^4)/2",
    ),
    Case(
        "quartic with a little too much",
        NEITHER,
        lambda v: v[0] ** 4 + 7 * v[0] ** 2 * v[1] ** 2 + v[1] ** 4,
        over(-2.0, 2.0, 2),
        "at (1, 1) the Hessian is (26, 28; 28, 26)",
        segments=(((1.1, 0.9), (0.9, 1.1)), ((1.0, 1.0), (1.5, 1.5))),
    ),
    Case(
        "Student's t near its centre",
        CONVEX,
        lambda x: jnp.sum(jnp.log1p((x - np.array([-0.5, 0.0, 0.5], np.float32)) ** 2 / 4.0)),
        (-1.0, 1.0),
        "|r| <= 1.5 < 2, where log(1 + r^2/4) is convex",
    ),
    Case(
        "Gaussian likelihood in mean and log-scale",
        NEITHER,
        lambda v: 0.5 * (0.75 - v[0]) ** 2 * jnp.exp(-2 * v[1]) + v[1],
        over(-1.0, 1.0, 2),
        "the determinant of the Hessian is -2 r^2 e^(-4s)",
    ),
    Case(
        "Gaussian likelihood in natural parameters",
        CONVEX,
        lambda v: 0.5 * (v[1] * 0.5625 - 2 * v[0] * 0.75 + v[0] ** 2 / v[1]) - 0.5 * jnp.log(v[1]),
        (np.array([-2.0, 0.25], np.float32), np.array([2.0, 4.0], np.float32)),
        "the log-partition function of an exponential family, minus affine",
    ),
    Case(
        "logistic loss of a product of weights",
        NEITHER,
        lambda v: jax.nn.softplus(-v[0] * v[1]),
        over(-1.0, 1.0, 2),
        "at 0 the Hessian is that of -uv/2: convex in each only",
    ),
    Case(
        "softmax at a temperature that varies",
        CONVEX,
        lambda v: v[0] * jax.nn.logsumexp(v[1:] / v[0]),
        (np.array([0.5, -1.0, -1.0], np.float32), np.array([2.0, 1.0, 1.0], np.float32)),
        "the perspective of log-sum-exp",
    ),
    Case(
        "minus a geometric mean",
        CONVEX,
        lambda x: -jnp.exp(jnp.mean(jnp.log(x))),
        over(0.5, 2.0, 3),
        "the geometric mean is concave",
    ),
    Case(
        "Rosenbrock below its valley",
        CONVEX,
        lambda v: 100 * (v[1] - v[0] ** 2) ** 2 + (1 - v[0]) ** 2,
        (np.array([1.0, -1.0], np.float32), np.array([2.0, 0.5], np.float32)),
        "the determinant is 80000 (x^2 - y) + 400 > 0, and f_yy = 200",
    ),
    Case(
        "quadratic with a wave that it outweighs",
        CONVEX,
        lambda v: 0.5 * jnp.sum(v**2) + 0.45 * jnp.cos(v[0] + v[1]),
        over(*LINE, 2),
        "eigenvalues 1 and 1 - 0.9 cos >= 0.1",
    ),
    Case(
        "quadratic with a wave that outweighs it",
        NEITHER,
        lambda v: 0.5 * jnp.sum(v**2) + 0.55 * jnp.cos(v[0] + v[1]),
        over(*LINE, 2),
        "1 - 1.1 cos 0 < 0",
        segments=(((0.1, 0.1), (-0.1, -0.1)),),
    ),
    Case(
        "exact GELU inside its inflections",
        CONVEX,
        lambda x: jnp.sum(jax.nn.gelu(x, approximate=False)),
        over(-1.375, 1.375, 2),
        "the second derivative is (2 - x^2) times a density",
    ),
    Case(
        "exponential above a parabola, to infinity",
        CONVEX,
        lambda x: jnp.exp(x) - x**2,
        (0.75, np.inf),
        "e^x > 2 from log 2 = 0.693 on",
    ),
    Case(
        "Geman-McClure",
        NEITHER,
        lambda w: jnp.sum((X @ w - Y) ** 2 / (1 + (X @ w - Y) ** 2)),
        FREE,
        "bounded and not constant",
    ),
]

TRICKS = [
    Case(
        "stopped gradient",
        CONVEX,
        lambda x: jnp.sum(x * jax.lax.stop_gradient(x)),
        over(-1.0, 1.0, 2),
        "its value is x^2",
    ),
    Case("a rule that lies", CONCAVE, _lying_square(), over(-1.0, 1.0, 2), "its value is -x^2"),
    Case(
        "log1p behind a double where",
        CONCAVE,
        lambda x: jnp.where(x > 0, jnp.log1p(jnp.where(x > 0, x, 0.0)), x),
        (-3.0, 3.0),
        "slope 1, then 1/(1 + x)",
    ),
    Case(
        "parabola that turns into a line",
        NEITHER,
        lambda x: jnp.where(x < 1, x**2, x),
        (-1.0, 3.0),
        "continuous; the slope falls from 2 to 1",
        segments=((0.5, 1.5),),
    ),
    Case("steeper below", CONCAVE, lambda x: jnp.sum(jnp.where(x > 0, x, 1.5 * x)), over(-2.0, 2.0, 2), "min(x, 1.5x)"),
    Case(
        "one cached product thrice, definite",
        CONVEX,
        lambda v: product(v[0], v[0]) + product(v[0], v[1]) + product(v[1], v[1]),
        over(*LINE, 2),
        "Hessian (2, 1; 1, 2)",
    ),
    Case(
        "one cached product thrice, indefinite",
        NEITHER,
        lambda v: product(v[0], v[0]) + 3 * product(v[0], v[1]) + product(v[1], v[1]),
        over(*LINE, 2),
        "Hessian (2, 3; 3, 2)",
    ),
    Case(
        "indefinite by a millionth",
        NEITHER,
        lambda v: v[0] ** 2 + v[1] ** 2 + 2.000001 * v[0] * v[1],
        over(-1.0, 1.0, 2),
        "along (1, -1) it is -1e-6 t^2",
        segments=(((1.0, -1.0), (-1.0, 1.0)), ((1.0, 1.0), (-1.0, -1.0))),
    ),
    Case("flat in float32, up", CONVEX, lambda x: 1e6 + 1e-3 * x**2, (-1.0, 1.0), "a square and a constant"),
    Case("flat in float32, down", CONCAVE, lambda x: 1e6 - 1e-3 * x**2, (-1.0, 1.0), "minus a square and a constant"),
    Case("a cube times its base", CONVEX, lambda x: jnp.sum(x**3 * x), over(*LINE, 2), "x^4"),
    Case("a negative odd power", CONVEX, lambda x: jnp.sum(x**-3), over(0.125, 3.0, 2), "12 x^-5 > 0"),
    Case(
        "branches that meet",
        CONVEX,
        lambda x: jax.lax.cond(x > 0, lambda v: v**2, lambda v: 2 * v**2, x),
        (-1.0, 1.0),
        "slopes 4x and 2x, both 0 at 0",
    ),
    Case(
        "branches that meet in one point only",
        NEITHER,
        lambda x: jax.lax.cond(jnp.sum(x) > 0, lambda v: jnp.sum(v**2), lambda v: 2 * jnp.sum(v**2), x),
        over(-1.0, 1.0, 2),
        "not continuous across x + y = 0, so not convex, and not concave",
        segments=(((0.9, -0.8), (0.7, -0.8)), ((0.5, 0.5), (1.0, 0.0))),
    ),
    Case(
        "log-sum-exp by a scan",
        CONVEX,
        lambda x: jax.lax.scan(lambda c, a: (jnp.logaddexp(c, a), None), jnp.zeros((), x.dtype), x)[0],
        over(-5.0, 5.0, 4),
        "log-sum-exp of 0 and x",
    ),
    Case(
        "Horner in a loop",
        CONVEX,
        lambda x: jax.lax.fori_loop(
            0, 5, lambda i, c: c * x + jnp.asarray([1.0, 0.0, 1.0, 0.0, 1.0], x.dtype)[i], jnp.zeros((), x.dtype)
        ),
        (-2.0, 2.0),
        "x^4 + x^2 + 1",
    ),
    Case(
        "Huber regression by vmap",
        CONVEX,
        lambda w: jnp.mean(jax.vmap(lambda a, b: optax.huber_loss(a @ w, b, delta=0.5))(X, Y)),
        FREE,
        "Huber's function of affine functions",
    ),
    Case(
        "smaller of two sizes",
        NEITHER,
        lambda v: jnp.abs(v[0]) + jnp.abs(v[1]) - jnp.maximum(jnp.abs(v[0]), jnp.abs(v[1])),
        over(*LINE, 2),
        "min(|x|, |y|) is 0 on both axes and not between",
    ),
    Case(
        "straight-through rounding",
        NEITHER,
        lambda x: jnp.sum((x + jax.lax.stop_gradient(jnp.round(x) - x)) ** 2),
        over(-2.0, 2.0, 2),
        "its value is round(x)^2, a staircase",
    ),
    Case("root of a size", NEITHER, lambda x: jnp.sqrt(jnp.abs(x)), (-4.0, 4.0), "quasi-convex; concave on each side"),
    Case(
        "signed log-sum-exp",
        NEITHER,
        lambda x: jax.nn.logsumexp(x, b=jnp.asarray([1.0, 1.0, -0.25], x.dtype)),
        over(-0.5, 0.5, 3),
        "concave in the third, convex in the first",
    ),
    Case("exp of log", AFFINE, lambda x: jnp.sum(jnp.exp(jnp.log(x))), over(0.5, 2.0, 2), "x"),
    Case("ramp up minus ramp down", AFFINE, lambda x: jnp.sum(jax.nn.relu(x) - jax.nn.relu(-x)), FREE, "x"),
]

MATRICES = [
    Case(
        "spectral norm of an affine matrix",
        CONVEX,
        lambda x: jnp.linalg.norm(
            jnp.asarray([[1.0, 0.5], [-0.5, 2.0]]) + x[0] * jnp.eye(2) + x[1] * jnp.ones((2, 2)), 2
        ),
        over(-2.0, 2.0, 2),
        "a norm of an affine function",
    ),
    Case(
        "spread of the eigenvalues",
        CONVEX,
        lambda a: jnp.linalg.eigvalsh(a + a.T)[-1] - jnp.linalg.eigvalsh(a + a.T)[0],
        over(-1.0, 1.0, 2, 2),
        "the largest is convex, the smallest concave",
    ),
    Case(
        "middle eigenvalue",
        NEITHER,
        lambda x: jnp.linalg.eigvalsh(jnp.diag(x))[1],
        over(-1.0, 1.0, 3),
        "the median of three numbers",
    ),
    Case(
        "quadratic form with a matrix that is not symmetric",
        CONVEX,
        lambda x: x @ jnp.asarray([[1.0, 3.0], [-1.0, 1.0]]) @ x,
        over(*LINE, 2),
        "(x + y)^2",
    ),
    Case(
        "quadratic form of a small negative determinant",
        NEITHER,
        lambda x: x @ jnp.asarray([[1.0, 1.0], [1.0, 1.0 - 2.0**-12]]) @ x,
        over(-1.0, 1.0, 2),
        "the determinant is -2^-12",
        segments=(((1.0, -1.0), (-1.0, 1.0)),),
    ),
    Case(
        "trace of an inverse",
        CONVEX,
        lambda v: jnp.trace(jnp.linalg.inv(jnp.asarray([[0.0, 0.5], [0.5, 0.0]]) + jnp.diag(v))),
        over(1.0, 3.0, 2),
        "the trace of the inverse is convex on definite matrices",
    ),
    Case(
        "fit of a product of matrices",
        NEITHER,
        lambda p: jnp.sum((jnp.outer(p[:2], p[2:]) - jnp.asarray([[1.0, 0.0], [0.5, 1.0]])) ** 2),
        over(-1.0, 1.0, 4),
        "convex in each factor, not in both: it has a saddle at 0",
    ),
]
