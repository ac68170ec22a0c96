"""What the law of Taylor coefficients is checked on: primitives at points inside their domains, and compositions.

PRIMITIVES: name -> (function, points). OPERATIONS: name -> (function of an array of operands, one row an operand).
MATRIX: functions of an array. FACTORED: name -> (factorisation, residual of its defining equation as series, matrix).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed import facts
from qed.facts.libraries import implementation

POINTS = {
    "acosh": [1.3, 2.7, 5.0],
    "log1p": [-0.6, 0.4, 2.3],
    "digamma": [0.7, 1.9, 4.2],
    "lgamma": [0.7, 1.9, 4.2],
    "psi": [0.7, 1.9, 4.2],
}
POSITIVE = {"log", "log2", "sqrt", "rsqrt"}
UNIT = {"acos", "asin", "atanh", "erf_inv"}


def _points(name: str) -> list[float]:
    if name in POINTS:
        return POINTS[name]
    return [0.3, 1.4, 2.6] if name in POSITIVE else [-0.6, 0.2, 0.7] if name in UNIT else [-1.3, 0.4, 2.2]


PRIMITIVES = {
    name: (implementation("jax", name), _points(name))
    for name, card in facts.CARDS.items()
    if card.primitive and card.value.jax
}
PRIMITIVES |= {f"integer_pow {n}": (partial(lax.integer_pow, y=n), [-1.3, 0.4, 2.2]) for n in (-3, -1, 2, 3, 5, 8)}
PRIMITIVES |= {f"integer_pow {n} at zero": (partial(lax.integer_pow, y=n), [0.0, 1.0]) for n in (2, 3, 7)}
PRIMITIVES |= {f"pow {c}": (lambda x, c=c: x**c, [0.4, 1.0, 2.2]) for c in (0.5, 2.5, -1.5)}
PRIMITIVES["pow 3.0 at zero"] = (lambda x: lax.pow(x, jnp.full(x.shape, 3.0)), [0.0, 1.2])
PRIMITIVES["square at zero"] = (jnp.square, [0.0, 0.5])
PRIMITIVES["softplus"] = (jax.nn.softplus, [-1.3, 0.4, 2.2])
PRIMITIVES["polygamma"] = (lambda x: jax.scipy.special.polygamma(2, x), [0.7, 1.9])

OPERATIONS = {
    "add": (lambda a: a[0] + a[1], [0.3, 1.2], [-0.7, 0.4]),
    "sub": (lambda a: a[0] - a[1], [0.3, 1.2], [-0.7, 0.4]),
    "mul": (lambda a: a[0] * a[1], [0.3, 1.2], [-0.7, 0.4]),
    "div": (lambda a: a[0] / a[1], [0.3, 1.2], [-0.7, 0.4]),
    "pow": (lambda a: a[0] ** a[1], [0.3, 1.2], [-0.7, 2.4]),
    "max": (lambda a: jnp.maximum(a[0], a[1]), [0.3, 1.2], [-0.7, 2.4]),
    "min": (lambda a: jnp.minimum(a[0], a[1]), [0.3, 1.2], [-0.7, 2.4]),
    "atan2": (lambda a: jnp.arctan2(a[0], a[1]), [0.3, -1.2], [-0.7, 2.4]),
    "rem": (lambda a: lax.rem(a[0], a[1]), [3.3, -5.2], [0.7, 2.4]),
    "clamp": (lambda a: lax.clamp(a[0], a[1], a[2]), [0.0, 0.5, -1.0], [0.3, 0.2, 2.0], [1.0, 1.5, 1.2]),
    "igamma in x": (lambda a: lax.igamma(jnp.asarray([0.7, 2.4]), a[0]), [0.9, 1.6]),
    "igammac in x": (lambda a: lax.igammac(jnp.asarray([0.7, 2.4]), a[0]), [0.9, 1.6]),
    "betainc in x": (lambda a: lax.betainc(jnp.asarray([0.7, 2.4]), jnp.asarray([1.3, 0.6]), a[0]), [0.4, 0.6]),
    "polynomial": (lambda a: jnp.polyval(a[0], a[1]), [0.3, -1.2], [0.7, 2.4]),
    "logaddexp": (lambda a: jnp.logaddexp(a[0], a[1]), [0.3, -1.2], [0.7, 2.4]),
    "complex": (lambda a: jnp.abs(jnp.exp(a[0] + 1j * a[1]) / (a[1] + 2j)), [0.3, -1.2], [0.7, 2.4]),
}

VECTOR = np.array([0.4, -1.2, 0.7, 1.5])
SQUARE = np.array([[2.0, -0.3, 0.5], [0.4, 1.5, -0.2], [-0.6, 0.1, 1.2]])
SYMMETRIC = np.array([[3.0, 0.4, -0.2], [0.4, 2.0, 0.3], [-0.2, 0.3, 1.1]])
TALL = np.array([[1.3, -0.4], [0.2, 0.9], [0.7, 0.5]])

MATRIX = {
    "scan": (lambda x: lax.scan(lambda c, v: (jnp.sin(c) * v, c * c), x[0], x)[1], VECTOR),
    "while": (lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1]) * x), (0, x))[1], VECTOR),
    "cond": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.exp, x), VECTOR),
    "sort": (lambda x: jnp.sort(x * x), VECTOR),
    "cumprod": (jnp.cumprod, VECTOR),
    "cummax": (lambda x: lax.cummax(jnp.sin(x)), VECTOR),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x, reverse=True), VECTOR),
    "reduce_prod": (lambda x: jnp.prod(x, 1), SQUARE),
    "reduce_max": (lambda x: jnp.max(jnp.sin(x), 1), SQUARE),
    "logsumexp": (lambda x: jax.nn.logsumexp(x * x), VECTOR),
    "softmax": (lambda x: jax.nn.softmax(x * x), VECTOR),
    "fft": (lambda x: jnp.abs(jnp.fft.fft(x)[1]), VECTOR),
    "convolution": (lambda x: jnp.convolve(x, jnp.sin(x)), VECTOR),
    "gather": (lambda x: jnp.sin(x)[jnp.array([2, 0, 9])] + x.at[1].get(mode="fill"), VECTOR),
    "scatter": (lambda x: jnp.ones(4).at[jnp.array([2, 0])].multiply(x[:2], unique_indices=True) * x, VECTOR),
    "norm": (lambda x: jnp.linalg.norm(x), VECTOR),
    "solve": (lambda x: jnp.linalg.solve(x, x[0]), SQUARE),
    "determinant": (jnp.linalg.det, SQUARE),
    "triangular_solve": (
        lambda x: lax.linalg.triangular_solve(x, x, left_side=False, lower=True, transpose_a=True),
        SQUARE,
    ),
}


# --- factorisations -------------------------------------------------------------------------------------------


def product(*factors):
    """The coefficients of a product of matrix series."""
    first, *rest = factors
    for other in rest:
        first = [sum(first[j] @ other[k - j] for j in range(k + 1)) for k in range(len(first))]
    return first


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def transposed(a):
    return [x.swapaxes(-1, -2) for x in a]


def diagonal(a):
    return [jnp.diag(x) for x in a]


def identity(a):
    return [jnp.eye(a[0].shape[-1]) * (k == 0) for k in range(len(a))]


def parts(packed):
    n = min(packed[0].shape)
    lower = [jnp.tril(x, -1)[:, :n] + (jnp.eye(x.shape[0], n) if k == 0 else 0) for k, x in enumerate(packed)]
    return lower, [jnp.triu(x)[:n] for x in packed]


def of_lu(a, packed, pivots, order):
    return [minus(product(*parts(packed)), [x[order[0]] for x in a])]


def of_cholesky(a, lower):
    return [minus(product(lower, transposed(lower)), [(x + x.T) / 2 for x in a])]


def of_qr(a, q, r):
    return [minus(product(q, r), a), minus(product(transposed(q), q), identity(r)), [jnp.tril(x, -1) for x in r]]


def of_eigh(a, v, w):
    symmetric = [(x + x.T) / 2 for x in a]
    return [
        minus(product(symmetric, v), product(v, diagonal(w))),
        minus(product(transposed(v), v), identity(v)),
    ]


def of_svd(a, u, s, vt):
    return [
        minus(product(u, diagonal(s), vt), a),
        minus(product(transposed(u), u), identity(vt)),
        minus(product(vt, transposed(vt)), identity(vt)),
    ]


def _eigh(x):
    return tuple(jnp.linalg.eigh(x))[::-1]


def _svd(x):
    return tuple(jnp.linalg.svd(x, full_matrices=False))


FACTORED = {
    "lu": (lax.linalg.lu, of_lu, SQUARE),
    "lu of a tall matrix": (lax.linalg.lu, of_lu, TALL),
    "lu of a wide matrix": (lax.linalg.lu, of_lu, TALL.T),
    "cholesky": (lambda x: (jnp.linalg.cholesky(x),), of_cholesky, SYMMETRIC),
    "qr": (lambda x: tuple(jnp.linalg.qr(x)), of_qr, TALL),
    "eigh": (_eigh, of_eigh, SYMMETRIC),
    "svd": (_svd, of_svd, TALL),
}


# --- random compositions --------------------------------------------------------------------------------------

COMPOSED = {
    "sin": jnp.sin, "cos": jnp.cos, "tanh": jnp.tanh, "exp": lambda x: jnp.exp(0.3 * x), "atan": jnp.arctan,
    "erf": lax.erf, "logistic": lax.logistic, "log1p": lambda x: jnp.log1p(x * x),
    "sqrt": lambda x: jnp.sqrt(1 + x * x),
    "cbrt": lambda x: jnp.cbrt(3 + jnp.sin(x)), "asinh": jnp.arcsinh, "rsqrt": lambda x: lax.rsqrt(1 + x * x),
    "softplus": jax.nn.softplus, "square": jnp.square, "cube": lambda x: (0.5 * x) ** 3, "gelu": jax.nn.gelu,
    "lgamma": lambda x: lax.lgamma(3 + jnp.sin(x)), "sinh": lambda x: jnp.sinh(0.3 * x),
    "expm1": lambda x: jnp.expm1(0.3 * x),
    "inverse": lambda x: 1 / (2 + jnp.cos(x)), "tan": lambda x: jnp.tan(0.3 * jnp.sin(x)), "cumsum": jnp.cumsum,
    "softmax": jax.nn.softmax, "roll": lambda x: jnp.roll(x, 1), "matmul": lambda x: jnp.asarray(SQUARE) @ x,
}  # fmt: skip
"""Functions of a vector that keep its size, bounded enough to be nested."""

JOINED = {
    "+": jnp.add, "*": jnp.multiply, "-": jnp.subtract, "/": lambda a, b: a / (2 + b * b),
    "pow": lambda a, b: (2 + jnp.sin(a)) ** jnp.tanh(b), "atan2": lambda a, b: jnp.arctan2(a, 2 + b * b),
}  # fmt: skip


def compose(rng):
    """A random composition of three to five of these functions, and its name."""

    def build(depth):
        if depth == 0:
            return (lambda x: x), "x"
        name = str(rng.choice(sorted(COMPOSED)))
        inner, text = build(depth - 1)
        outer = COMPOSED[name]
        if depth > 1 and rng.random() < 0.5:
            sign = str(rng.choice(sorted(JOINED)))
            other, second = build(1)
            join = JOINED[sign]
            return (lambda x: join(outer(inner(x)), other(x))), f"({name}({text}) {sign} {second})"
        return (lambda x: outer(inner(x))), f"{name}({text})"

    return build(int(rng.integers(2, 4)))
