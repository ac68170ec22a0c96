"""The functions of libraries in the corpus: all of optax.losses, jax.nn, jax.scipy.special, jnp.linalg; some models.

A quarter of each library is run every time, the rest in the slow part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import optax

from tests.corpus_case import (
    HOT,
    LABELS,
    POSITIVE,
    RECTANGLE,
    SIGNS,
    SQUARE,
    SYMMETRIC,
    UNIT,
    Case,
    P,
    Q,
    X,
    Y,
    scalar,
)


def _case(group: str, name: str, fun: Callable[..., Any], *arguments: Any, **flags: Any) -> Case:
    def make() -> tuple[Any, ...]:
        return tuple(jnp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments)

    return Case(f"{group}.{name}", fun, make, **flags)


# --- optax.losses ---------------------------------------------------------------------------------------------


def _optax() -> list[Case]:
    losses = optax.losses
    elementwise = {"huber_loss", "l2_loss", "log_cosh", "squared_error", "cosine_distance", "cosine_similarity"}
    logs = {"convex_kl_divergence", "generalized_kl_divergence", "kl_divergence"}
    one_hot = {"softmax_cross_entropy", "safe_softmax_cross_entropy", "poly_loss_cross_entropy"}
    binary = {"sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "sparsemax_loss", "binary_dice_loss"}
    integer = {"multiclass_hinge_loss", "multiclass_perceptron_loss", "softmax_cross_entropy_with_integer_labels"}
    dice = {"dice_loss", "multiclass_generalized_dice_loss"}
    rows: dict[str, tuple[Any, ...]] = {}
    rows |= {name: (X, Y) for name in elementwise}
    rows |= {name: (np.log(P), Q) for name in logs}
    rows |= {name: (X, HOT) for name in one_hot | binary}
    rows |= {name: (X, LABELS) for name in integer | {"multiclass_sparsemax_loss"}}
    rows |= {name: (X[None], HOT[None]) for name in dice}
    rows |= {
        "hinge_loss": (X, SIGNS),
        "perceptron_loss": (X, SIGNS),
        "kl_divergence_with_log_targets": (np.log(P), np.log(Q)),
        "ranking_softmax_loss": (X, HOT),
        "smooth_labels": (P, 0.1),
        "triplet_margin_loss": (X, Y, P),
        "ntxent": (np.concatenate([X, Y]), np.array([0, 1, 0, 1])),
    }
    found = [
        _case("optax", n, scalar(getattr(losses, n)), *a)
        for n, a in sorted(rows.items(), key=lambda row: row[0])
        if hasattr(losses, n)
    ]
    logits = np.sin(np.arange(12.0, dtype=np.float32)).reshape(1, 4, 3)
    padding, labels = np.zeros((1, 4), np.float32), np.array([[1, 2]])
    for name in ("ctc_loss", "ctc_loss_with_forward_probs"):
        fun = scalar(getattr(losses, name))
        found.append(_case("optax", name, fun, logits, padding, labels, np.zeros((1, 2), np.float32), slow=True))
    young = losses.make_fenchel_young_loss(jax.nn.logsumexp)
    found.append(_case("optax", "make_fenchel_young_loss", scalar(young), X, HOT))
    return found


# --- jax.nn ---------------------------------------------------------------------------------------------------

_NN_UNARY = """celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid log_softmax
    logmeanexp logsumexp mish relu relu6 selu sigmoid silu soft_sign softmax softplus sparse_plus sparse_sigmoid
    squareplus standardize swish tanh"""


def _nn() -> list[Case]:
    unary = [name for name in _NN_UNARY.split() if hasattr(jax.nn, name)]
    found = [_case("nn", name, scalar(getattr(jax.nn, name)), X) for name in unary]
    qkv = [np.cos(k + np.arange(12.0, dtype=np.float32)).reshape(1, 3, 2, 2) for k in range(3)]
    mask = np.tril(np.ones((3, 3), bool))[None, None]
    masked = scalar(lambda q, k, v: jax.nn.dot_product_attention(q, k, v, mask=mask))
    return [
        *found,
        _case("nn", "gelu_exact", scalar(jax.nn.gelu, approximate=False), X),
        _case("nn", "log1mexp", scalar(jax.nn.log1mexp), POSITIVE),
        _case("nn", "glu", scalar(jax.nn.glu), np.concatenate([X, Y], 1)),
        _case("nn", "logsumexp_where", lambda x: jax.nn.logsumexp(x, where=x > 0), X),
        _case("nn", "softmax_masked", scalar(lambda x: jax.nn.softmax(jnp.where(x > 0, x, -jnp.inf))), X),
        _case("nn", "one_hot", lambda x: jnp.sum(jax.nn.one_hot(jnp.array([0, 2]), 3) * x), X),
        _case("nn", "dot_product_attention", scalar(jax.nn.dot_product_attention), *qkv, same_x64=False),
        _case("nn", "attention_masked", masked, *qkv, same_x64=False),
        _case("nn", "relu_twice", lambda x: jnp.sum(jax.nn.relu(x)) - 2 * jnp.sum(jax.nn.relu(-x)), X),
    ]


# --- jax.scipy.special ----------------------------------------------------------------------------------------

_SPECIAL_REAL = """dawsn entr erf erfc erfcx expit exp1 expi fresnel gamma gammaln gammasgn i0 i0e i1 i1e log_ndtr
    loggamma log_softmax logsumexp ndtr sici softmax spence digamma"""
_SPECIAL_UNIT = "erfinv erfcinv logit ndtri"
_SPECIAL_PAIR = "beta betaln boxcox boxcox1p gammainc gammaincc kl_div rel_entr xlog1py xlogy poch owens_t"
_LONG = {"fresnel", "sici", "gammainc", "gammaincc", "owens_t", "erfcx", "spence", "expi", "exp1", "dawsn"}


def _special() -> list[Case]:
    found = []

    def put(name: str, *arguments: Any, fun: Callable[..., Any] | None = None, **flags: Any) -> None:
        if hasattr(special, name.split("/")[0]):
            chosen = fun or getattr(special, name)
            found.append(_case("special", name, scalar(chosen), *arguments, slow=name in _LONG, **flags))

    for name in _SPECIAL_REAL.split():
        put(name, POSITIVE)
    for name in _SPECIAL_UNIT.split():
        put(name, UNIT)
    for name in _SPECIAL_PAIR.split():
        put(name, POSITIVE, np.array([1.2, 0.8, 2.4], np.float32))
    put("betainc", UNIT, POSITIVE, UNIT[::-1].copy(), fun=lambda x, a, b: special.betainc(a, b, x))
    put("zeta", POSITIVE + 1, POSITIVE)
    put("polygamma", POSITIVE, fun=lambda x: special.polygamma(1, x))
    put("multigammaln", POSITIVE + 2, fun=lambda x: special.multigammaln(x, 2))
    put("factorial", POSITIVE)
    put("comb", POSITIVE + 3, fun=lambda x: special.comb(x, jnp.array([1.0, 2.0, 3.0])))
    put("bessel_jn", POSITIVE, fun=lambda x: special.bessel_jn(x, v=2, n_iter=10))
    put("expn", POSITIVE, fun=lambda x: special.expn(2, x))
    put("hyp1f1", POSITIVE, fun=lambda x: special.hyp1f1(1.5, 2.5, x))
    put("hyp2f1", UNIT, fun=lambda x: special.hyp2f1(1.5, 0.5, 2.5, x / 2), derivative=False)
    put("bernoulli", POSITIVE, fun=lambda x: x * special.bernoulli(2))
    put("wofz", POSITIVE, fun=lambda x: special.wofz(x + 0.5j))
    order, degree = np.array([2]), np.array([1])
    put("sph_harm_y", UNIT[:1], fun=lambda t: special.sph_harm_y(order, degree, t, jnp.array([0.4]), n_max=2))
    late = {"special." + n for n in ("expn", "hyp1f1", "hyp2f1", "bessel_jn", "wofz", "sph_harm_y", "betainc")}
    numbers = {"special.expn"}  # jnp.power takes another formula where the exponent is a concrete integer
    return [replace(c, slow=c.slow or c.name in late, eager=c.name not in numbers) for c in found]


# --- jnp.linalg -----------------------------------------------------------------------------------------------


def _linalg() -> list[Case]:
    la = jnp.linalg
    rows: dict[str, tuple[Any, ...]] = {
        "cond": (SQUARE,),
        "cross": (SQUARE, SYMMETRIC),
        "det": (SQUARE,),
        "diagonal": (SQUARE,),
        "eigh": (SYMMETRIC,),
        "eigvalsh": (SYMMETRIC,),
        "inv": (SQUARE,),
        "lstsq": (RECTANGLE, POSITIVE),
        "matmul": (SQUARE, SYMMETRIC),
        "matrix_norm": (SQUARE,),
        "matrix_transpose": (RECTANGLE,),
        "norm": (SQUARE,),
        "outer": (POSITIVE, UNIT),
        "pinv": (RECTANGLE,),
        "qr": (RECTANGLE,),
        "slogdet": (SQUARE,),
        "solve": (SQUARE, POSITIVE),
        "svdvals": (RECTANGLE,),
        "tensordot": (SQUARE, SYMMETRIC),
        "trace": (SQUARE,),
        "vecdot": (SQUARE, SYMMETRIC),
        "vector_norm": (POSITIVE,),
    }
    found = [_case("linalg", name, scalar(getattr(la, name)), *args) for name, args in rows.items()]
    return [
        *found,
        _case("linalg", "cholesky", scalar(lambda a: la.cholesky(a @ a.T + jnp.eye(3))), SQUARE),
        _case("linalg", "eigvals", scalar(la.eigvals), SQUARE),
        _case("linalg", "svd", scalar(lambda a: la.svd(a, full_matrices=False)), RECTANGLE),
        _case("linalg", "matrix_power", scalar(lambda a: la.matrix_power(a, 3)), SQUARE),
        _case("linalg", "multi_dot", scalar(lambda a, b: la.multi_dot([a, b, a])), SQUARE, SYMMETRIC),
        _case("linalg", "matrix_rank", lambda a: jnp.sum(a) * la.matrix_rank(a), SQUARE),
        _case("linalg", "tensorinv", scalar(lambda a: la.tensorinv(a.reshape(3, 1, 3), ind=2)), SQUARE),
        _case("linalg", "tensorsolve", scalar(la.tensorsolve), SQUARE, POSITIVE),
        _case("linalg", "norm_nuclear", lambda a: la.norm(a, "nuc"), RECTANGLE),
        _case(
            "linalg",
            "cho_solve",
            scalar(lambda a, b: jax.scipy.linalg.cho_solve((la.cholesky(a), True), b)),
            SYMMETRIC,
            POSITIVE,
        ),
        _case("linalg", "solve_triangular", scalar(jax.scipy.linalg.solve_triangular), SYMMETRIC, POSITIVE),
        _case("linalg", "expm", scalar(jax.scipy.linalg.expm), SQUARE / 4, slow=True),
    ]


# --- models ---------------------------------------------------------------------------------------------------


def filled(shapes: Any) -> Any:
    """Arrays for a tree of shapes: sines instead of random numbers, so that nothing is compiled."""
    count = 0

    def fill(leaf: Any) -> Any:
        nonlocal count
        count += 1
        if not hasattr(leaf, "shape") or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        size = int(np.prod(leaf.shape))
        return jnp.asarray(0.7 * np.sin(count + 1.3 * np.arange(size)).reshape(leaf.shape).astype(leaf.dtype))

    return jax.tree.map(fill, shapes)


def _flax_linen() -> Case:
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            x = linen.relu(linen.Conv(2, (2, 2))(x[..., None]))
            return linen.Dense(1)(linen.LayerNorm()(x.reshape(1, -1)))

    model, image = Net(), jnp.asarray(SQUARE[None])
    make = lambda: (filled(jax.eval_shape(model.init, jax.random.key(0), image)), image)  # noqa: E731
    return Case("flax.linen_conv", lambda p, x: jnp.mean(model.apply(p, x) ** 2), make)


def _flax_nnx() -> Case:
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
            self.out = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.out(nnx.gelu(self.attention(x)))

    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: Net(nnx.Rngs(0))))
    tokens = jnp.asarray(np.cos(np.arange(12.0, dtype=np.float32)).reshape(1, 3, 4))

    def loss(state: Any, x: Any) -> Any:
        return jnp.mean(nnx.merge(graphdef, state)(x) ** 2)

    return Case("flax.nnx_attention", loss, lambda: (filled(shapes), tokens), same_x64=False)


def _equinox() -> list[Case]:
    import equinox as eqx

    key = jax.random.key(0)

    def case(name: str, build: Callable[[], Any], x: np.ndarray, state: bool = False) -> Case:
        shapes = eqx.filter_eval_shape(build)

        def make() -> tuple[Any, ...]:
            return filled(shapes), jnp.asarray(x)

        return Case(f"equinox.{name}", lambda m, x: jnp.mean(jax.vmap(m)(x) ** 2), make)

    class Recurrent(eqx.Module):
        cell: Any

        def __call__(self, xs: Any) -> Any:
            start = jnp.zeros(self.cell.hidden_size)
            return jax.lax.scan(lambda h, x: (self.cell(x, h), None), start, xs)[0]

    steps = np.sin(np.arange(12.0, dtype=np.float32)).reshape(2, 3, 2)
    return [
        case("mlp", lambda: eqx.nn.MLP(3, 2, 4, 1, key=key), X),
        case("gru", lambda: Recurrent(eqx.nn.GRUCell(2, 3, key=key)), steps),
    ]


def _numpyro() -> list[Case]:
    import numpyro.distributions as dist

    loc, value, scale = np.float32(0.3) * np.ones(3, np.float32), POSITIVE, POSITIVE[::-1].copy()
    rows: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "Normal": (lambda m, s, x: dist.Normal(m, s).log_prob(x), (loc, scale, value)),
        "StudentT": (lambda m, s, x: dist.StudentT(4.0, m, s).log_prob(x), (loc, scale, value)),
        "Cauchy": (lambda m, s, x: dist.Cauchy(m, s).log_prob(x), (loc, scale, value)),
        "Gamma": (lambda a, x: dist.Gamma(a, 2.0).log_prob(x), (scale, value)),
        "Beta": (lambda a, x: dist.Beta(a, 2.0).log_prob(x), (scale, UNIT)),
        "Dirichlet": (lambda a, x: dist.Dirichlet(a).log_prob(x), (scale, P[0])),
        "Poisson": (lambda r, x: dist.Poisson(r).log_prob(x), (scale, np.array([1, 0, 4]))),
        "Bernoulli": (lambda z, x: dist.Bernoulli(logits=z).log_prob(x), (loc, np.array([1, 0, 1]))),
        "Categorical": (lambda z, x: dist.Categorical(logits=z).log_prob(x), (X, LABELS)),
        "NegativeBinomial": (lambda m, x: dist.NegativeBinomial2(m, 3.0).log_prob(x), (scale, np.array([1, 0, 4]))),
        "LogNormal": (lambda m, x: dist.LogNormal(m, 0.7).log_prob(x), (loc, value)),
        "Laplace": (lambda m, x: dist.Laplace(m, 0.7).log_prob(x), (loc, value)),
        "VonMises": (lambda k, x: dist.VonMises(0.1, k).log_prob(x), (scale, value)),
        "MultivariateNormal": (
            lambda m, c, x: dist.MultivariateNormal(m, covariance_matrix=c).log_prob(x),
            (loc, SYMMETRIC, value),
        ),
        "Mixture": (
            lambda m, x: dist.MixtureSameFamily(dist.Categorical(jnp.array(P[0])), dist.Normal(m, 1.0)).log_prob(x),
            (scale, np.float32(0.4) * np.ones(())),
        ),
        "TruncatedNormal": (lambda m, x: dist.TruncatedNormal(m, 1.0, low=0.0).log_prob(x), (loc, value)),
    }
    return [_case("numpyro", name, scalar(fun), *args) for name, (fun, args) in rows.items()]


def library_cases() -> list[Case]:
    """All cases of this file; of each group only every fourth is not slow."""
    groups = [_optax(), _nn(), _special(), _linalg(), [_flax_nnx(), _flax_linen()], _equinox(), _numpyro()]
    return [
        replace(case, slow=case.slow or case.name in _HEAVY or k % 4 != 0)
        for group in groups
        for k, case in enumerate(group)
    ]


_HEAVY = {"optax.ntxent", "optax.multiclass_generalized_dice_loss", "numpyro.MultivariateNormal", "special.sph_harm_y"}
