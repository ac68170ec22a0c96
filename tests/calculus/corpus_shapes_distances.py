"""A fifth set of held-out shapes: distances, gauges, means, matrices, and programs with loops and choices.

Written before any of its functions was given to the prover. References: Boyd and Vandenberghe, *Convex Optimization*
(2004), sections 3.1.5, 3.2 and 3.3 (norms, distances, perspectives, conjugates); Bullen, *Handbook of Means* (2003);
Lieb (1973) and Davis (1957) for functions of matrices; Milakov and Gimelshein (2018) for log-sum-exp in one pass.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, LINE, NEITHER, Case, draw, over

FREE, FREE4, FREE33 = over(*LINE, 3), over(*LINE, 4), over(*LINE, 3, 3)
POSITIVE2, POSITIVE3 = over(0.125, 4.0, 2), over(0.125, 4.0, 3)
A = draw(3, 4, seed=94)


def segment(x):
    foot = jnp.clip(x[0], 0.0, 1.0) * jnp.array([1.0, 0.0, 0.0])
    return jnp.linalg.norm(x - foot)


def to_a_box(x):
    return jnp.sum((x - jnp.clip(x, -1.0, 1.0)) ** 2)


def to_two_points(x):
    return jnp.minimum(jnp.sum((x - 1.0) ** 2), jnp.sum((x + 1.0) ** 2))


def ellipsoid(x):
    a = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]], np.float32)
    return jnp.sqrt(jnp.einsum("i,ij,j->", x, a, x))


def hellinger(p):
    return jnp.sum((jnp.sqrt(p[0]) - jnp.sqrt(p[1])) ** 2)


def triangular(p):
    return jnp.sum((p[0] - p[1]) ** 2 / (p[0] + p[1]))


def itakura_saito(p):
    ratio = p[0] / p[1]
    return jnp.sum(ratio - jnp.log(ratio) - 1.0)


def itakura_saito_in_first(x):
    ratio = x / jnp.array([1.0, 2.0, 0.5])
    return jnp.sum(ratio - jnp.log(ratio) - 1.0)


def harmonic(x):
    return x.size / jnp.sum(1.0 / x)


def half_norm(x):
    return jnp.sum(jnp.sqrt(x)) ** 2


def hyperbola(p):
    return -jnp.log(p[0] * p[1] - 1.0)


def exponential_over(p):
    return jnp.exp(p[0]) / p[1]


def cut_corner(p):
    return p[0] ** 2 / (2.0 - p[1])


def lorentz(p):
    return jnp.sqrt(1.0 + jnp.sum(p**2)) - p[0]


def asymmetry(m):
    return jnp.linalg.norm(m - m.T)


def spread_of_spectrum(m):
    eigenvalues = jnp.linalg.eigvalsh((m + m.T) / 2)
    return eigenvalues[-1] - eigenvalues[0]


def information_gain(d):
    return jnp.linalg.slogdet(jnp.eye(3) + (A * d) @ A.T)[1]


def stein(m):
    return jnp.trace(m) - jnp.linalg.slogdet(m)[1]


def stein_symmetric(m):
    return stein((m + m.T) / 2)


def precision_trace(d):
    return jnp.trace(jnp.linalg.inv(jnp.diag(d) + jnp.ones((3, 3))))


def whitened(p):
    return jnp.dot(p["x"], jnp.linalg.solve(jnp.diag(p["d"]) + jnp.ones((3, 3)), p["x"]))


def determinant(m):
    return m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]


def online(x):
    def step(state, item):
        top, total = state
        new = jnp.maximum(top, item)
        return (new, total * jnp.exp(top - new) + jnp.exp(item - new)), None

    (top, total), _ = lax.scan(step, (x[0], jnp.ones(())), x[1:])
    return top + jnp.log(total)


def discounted(x):
    return jnp.sum(jnp.cumprod(jnp.exp(x)))


def horner(x):
    coefficients = jnp.array([1.0, 0.0, 1.0, 0.0, 1.0])
    return lax.fori_loop(0, 5, lambda i, value: value * x + coefficients[i], jnp.zeros(()))


def best_prefix(x):
    return jnp.max(lax.associative_scan(jnp.add, x))


def records(x):
    return jnp.sum(lax.cummax(x))


def falls(x):
    return jnp.sum(lax.cummin(x))


def convex_layers(x):
    def layer(h, weights):
        inner, outer = weights
        return jax.nn.relu(jnp.abs(inner) @ h + outer @ x), None

    weights = (draw(3, 2, 2, seed=95), draw(3, 2, 3, seed=96))
    return jnp.sum(lax.scan(layer, jnp.zeros(2), weights)[0])


def joined(x):
    return lax.cond(x > 0, lambda t: jnp.exp(t) - 1.0, lambda t: t, x)


def torn(x):
    return lax.cond(x > 0, lambda t: t**2 + 1.0, lambda t: t**2, x)


def bent(x):
    return jnp.sum(jnp.where(x > 1.0, 2.0 * x - 1.0, x**2))


def bent_too_little(x):
    return jnp.sum(jnp.where(x > 1.0, x, x**2))


def upper_minus_lower(x):
    s = jnp.sort(x)
    return jnp.sum(s[2:]) - jnp.sum(s[:2])


def midrange(x):
    return 0.5 * (jnp.max(x) + jnp.min(x))


def largest_two(x):
    return jnp.sum(lax.top_k(x, 2)[0])


def second(x):
    return lax.top_k(x, 2)[0][1]


def groups(x):
    totals = jax.ops.segment_sum(x, jnp.array([0, 1, 0, 1]), num_segments=2)
    return jnp.sum(jnp.exp(totals)) + jnp.max(totals)


@jax.custom_jvp
def deceiving(x):
    return jnp.exp(x)


@deceiving.defjvp
def _(primals, tangents):
    return deceiving(primals[0]), -tangents[0]


def deceived(x):
    return jnp.sum(deceiving(x)) + jnp.sum(deceiving(-2.0 * x))


def shifted_bowl(x):
    return 1e8 + jnp.sum((x - 3.0) ** 2) * 1e-6


def parabola(x):
    return 10**8 + sum((v - 3) ** 2 for v in x) / 10**6


def saturated(x):
    return jnp.tanh(50.0) * jnp.sum(x)


def hyperbolic(x):
    return jnp.log(jnp.cosh(x))


def arctangent(x):
    return x * jnp.arctan(x) - 0.5 * jnp.log1p(x**2)


def rapid(x):
    return jnp.exp(x) - 2.0 * x**2


def conjugate_pair(p):
    return jnp.sum(p["x"] * jnp.log(p["x"]) - p["x"] + jnp.exp(p["y"]) - p["x"] * p["y"])


DOMINANT = (
    np.where(np.eye(3) > 0, 2.0, -0.5).astype(np.float32),
    np.where(np.eye(3) > 0, 3.0, 0.5).astype(np.float32),
)


def pair(names, one, two):
    first, second = names.split()
    return {first: one[0], second: two[0]}, {first: one[1], second: two[1]}


PAIRS = over(0.125, 4.0, 2, 2)
GEOMETRY = [
    Case("segment", CONVEX, segment, FREE, "the distance from a convex set"),
    Case("to_a_box", CONVEX, to_a_box, FREE, "the squared distance from a convex set"),
    Case("to_two_points", NEITHER, to_two_points, over(-2, 2, 2), "the distance from a set with a hole"),
    Case("ellipsoid", CONVEX, ellipsoid, FREE, "a norm"),
    Case("hellinger", CONVEX, hellinger, PAIRS, "linear minus geometric means"),
    Case("triangular", CONVEX, triangular, PAIRS, "squares over positive lines"),
    Case("itakura_saito", NEITHER, itakura_saito, PAIRS, "log q far out"),
    Case("itakura_saito_in_first", CONVEX, itakura_saito_in_first, POSITIVE3, "-log and lines"),
    Case("harmonic", CONCAVE, harmonic, POSITIVE3, "a power mean of order below 1"),
    Case("half_norm", CONCAVE, half_norm, over(0, 4, 3), "a power mean of order below 1"),
    Case("hyperbola", CONVEX, hyperbola, over(1.5, 8, 2), "-log(x - 1/y) - log y"),
    Case("exponential_over", CONVEX, exponential_over, (np.float32([-3, 0.25]), np.float32([3, 4])), "log-convex"),
    Case("cut_corner", CONVEX, cut_corner, over(-4, 1.5, 2), "a square over a positive line"),
    Case("lorentz", CONVEX, lorentz, FREE, "a norm minus a line"),
    Case("hyperbolic", CONVEX, hyperbolic, over(*LINE), "f'' = sech^2"),
    Case("arctangent", CONVEX, arctangent, over(*LINE), "f'' = 1/(1 + x^2)"),
    Case("rapid_far", CONVEX, rapid, over(2, np.inf), "e^2 > 4"),
    Case("rapid", NEITHER, rapid, over(*LINE), "f''(0) = -3"),
    Case("conjugate_pair", NEITHER, conjugate_pair, pair("x y", over(0.125, 4, 2), over(-2, 2, 2)), "Fenchel's gap"),
    Case("shifted_bowl", CONVEX, shifted_bowl, over(-8, 8, 2), "squares; float32 sees a constant", exact=parabola),
    Case("saturated", AFFINE, saturated, FREE, "a constant times a line"),
    Case("asymmetry", CONVEX, asymmetry, FREE33, "a norm of a linear map"),
    Case("spread_of_spectrum", CONVEX, spread_of_spectrum, FREE33, "largest minus smallest eigenvalue"),
    Case("information_gain", CONCAVE, information_gain, over(0, 4, 4), "log det of an affine definite matrix"),
    Case("stein", NEITHER, stein, DOMINANT, "not symmetric: log det bends up along skew directions"),
    Case("stein_symmetric", CONVEX, stein_symmetric, DOMINANT, "-log det on symmetric dominant matrices"),
    Case("precision_trace", CONVEX, precision_trace, over(0.5, 4, 3), "the trace of an inverse"),
    Case("whitened", CONVEX, whitened, pair("x d", over(-2, 2, 3), over(0.5, 4, 3)), "x' D^-1 x, jointly"),
    Case("determinant", NEITHER, determinant, over(-1, 1, 2, 2), "an indefinite form"),
]
PROGRAMS = [
    Case("online", CONVEX, online, FREE4, "log-sum-exp in one pass"),
    Case("discounted", CONVEX, discounted, FREE4, "products of exponentials"),
    Case("horner", CONVEX, horner, over(*LINE), "x^4 + x^2 + 1"),
    Case("best_prefix", CONVEX, best_prefix, FREE4, "a maximum of lines"),
    Case("records", CONVEX, records, FREE4, "sums of maxima"),
    Case("falls", CONCAVE, falls, FREE4, "sums of minima"),
    Case("convex_layers", CONVEX, convex_layers, FREE, "weights >= 0 after the first layer"),
    Case("joined", CONVEX, joined, over(-2, 2), "slopes 1 and 1 where the pieces meet"),
    Case("torn", NEITHER, torn, over(-2, 2), "a jump"),
    Case("bent", CONVEX, bent, over(-4, 4, 3), "slopes 2 and 2"),
    Case("bent_too_little", NEITHER, bent_too_little, over(-4, 4, 3), "slopes 2 and 1"),
    Case("upper_minus_lower", CONVEX, upper_minus_lower, FREE4, "largest sum minus smallest sum"),
    Case("midrange", NEITHER, midrange, FREE, "a maximum and a minimum"),
    Case("largest_two", CONVEX, largest_two, FREE4, "a maximum of lines"),
    Case("second", NEITHER, second, FREE4, "an inner order statistic"),
    Case("groups", CONVEX, groups, FREE4, "exp and max of sums"),
    Case("deceived", CONVEX, deceived, FREE, "values of exp; the rule of its derivative lies"),
]
