"""Wrong first derivatives, the half that the verb was not tuned on before it was first run."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.gradient_corpus.case import case, signs, spd


@case("wrong", {"u": signs((3,), 70), "v": (signs((2, 2), 71),)})
def sign_of_log_cosh_on_a_pytree():
    def body(tree):
        return jax.tree.map(lambda x: jnp.log(jnp.cosh(x)), tree)

    @jax.custom_vjp
    def f(tree):
        return body(tree)

    def f_fwd(tree):
        return body(tree), tree

    def f_bwd(tree, g):  # faulty
        return ({"u": g["u"] * jnp.tanh(tree["u"]), "v": (-g["v"][0] * jnp.tanh(tree["v"][0]),)},)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(f(x)))  # call

    return loss(f), loss(body)


@case("wrong", signs((5,), 72))
def gelu_without_its_inner_derivative():
    c = float(np.sqrt(2 / np.pi))

    def body(x):
        return 0.5 * x * (1 + jnp.tanh(c * (x + 0.044715 * x**3)))

    @jax.custom_jvp
    def gelu(x):
        return body(x)

    @gelu.defjvp
    def gelu_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        u = jnp.tanh(c * (x + 0.044715 * x**3))
        return body(x), (0.5 * (1 + u) + 0.5 * x * (1 - u**2) * c) * t

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(1.0, 6))  # call

    return loss(gelu), loss(body)


@case("wrong", signs((1000,), 73), difference=2e-4)
def normalisation_divides_by_n_minus_one():
    def body(x):
        centred = x - jnp.mean(x)
        return centred / jnp.sqrt(jnp.mean(centred**2))

    @jax.custom_vjp
    def norm(x):
        return body(x)

    def norm_fwd(x):
        return body(x), (body(x), jnp.std(x, ddof=1))

    def norm_bwd(saved, g):  # faulty
        y, s = saved
        return ((g - jnp.mean(g) - y * jnp.mean(g * y)) / s,)

    norm.defvjp(norm_fwd, norm_bwd)

    def loss(f):
        return lambda x: jnp.sum(jnp.sin(3 * f(x)))  # call

    return loss(norm), loss(body)


@case("wrong", signs((5, 3), 74), np.array([0, 2, 2, 4]))
def embedding_sets_instead_of_adding():
    @jax.custom_vjp
    def embed(table, ids):
        return table[ids]

    def embed_fwd(table, ids):
        return table[ids], (ids, table)

    def embed_bwd(saved, g):  # faulty
        ids, table = saved
        return jnp.zeros_like(table).at[ids].set(g), None

    embed.defvjp(embed_fwd, embed_bwd)

    def loss(embed):
        return lambda table, ids: jnp.sum(jnp.tanh(embed(table, ids)))  # call

    return loss(embed), loss(lambda table, ids: table[ids])


@case("wrong", signs((6,), 75))
def softmax_without_its_second_term():
    @jax.custom_vjp
    def softmax(x):
        return jax.nn.softmax(x)

    def softmax_fwd(x):
        y = jax.nn.softmax(x)
        return y, y

    def softmax_bwd(y, g):  # faulty
        return (g * y,)

    softmax.defvjp(softmax_fwd, softmax_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(6.0))  # call

    return loss(softmax), loss(jax.nn.softmax)


@case("wrong", signs((20,), 76))
def dropout_with_another_mask_backward():
    def mask(key, x):
        return jax.random.bernoulli(jax.random.key(key), 0.5, x.shape).astype(x.dtype)

    @jax.custom_vjp
    def dropout(x):
        return x * mask(0, x)

    def dropout_fwd(x):
        return x * mask(0, x), x

    def dropout_bwd(x, g):  # faulty
        return (g * mask(1, x),)

    dropout.defvjp(dropout_fwd, dropout_bwd)

    def loss(f):
        return lambda x: jnp.sum(jnp.exp(f(x)))  # call

    return loss(dropout), loss(lambda x: x * mask(0, x))


@case("wrong", signs((65537,), 77), coordinate=65536)
def last_coordinate_lost_to_padding():
    @jax.custom_jvp
    def f(x):
        return jnp.arctan(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        padded = jnp.pad(t[:65536], (0, 1))
        return jnp.arctan(x), padded / (1 + x * x)

    def loss(f):
        return lambda x: jnp.mean(f(x) ** 2)  # call

    return loss(f), loss(jnp.arctan)


@case("wrong", signs((4,), 78))
def swamped_by_a_constant():
    """1 + 1e-12 sin x is 1 in float32: a difference quotient sees nothing."""

    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.sin(primals[0]), jnp.sin(primals[0]) * tangents[0]

    def loss(f):
        return lambda x: 1 + 1e-12 * jnp.sum(f(x))  # call

    return loss(f), loss(jnp.sin)


@case("wrong", signs((4,), 81))
def second_of_two_results():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x), jnp.cos(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        s, c = f(primals[0])
        return (s, c), (c * tangents[0], s * tangents[0])

    def loss(f):
        def fun(x):
            s, c = f(x)  # call
            return jnp.sum(s * jnp.exp(c))

        return fun

    return loss(f), loss(lambda x: (jnp.sin(x), jnp.cos(x)))


@case("wrong", spd(3, 5) + 0.3 * signs((3, 3), 83))
def inverse_without_transposition():
    @jax.custom_vjp
    def inverse(A):
        return jnp.linalg.inv(A)

    def inverse_fwd(A):
        B = jnp.linalg.inv(A)
        return B, B

    def inverse_bwd(B, g):  # faulty
        return (-B @ g @ B,)

    inverse.defvjp(inverse_fwd, inverse_bwd)

    def loss(f):
        return lambda A: jnp.sum(f(A) * jnp.arange(9.0).reshape(3, 3))  # call

    return loss(inverse), loss(jnp.linalg.inv)


@case("wrong", np.array([-0.4, 0.2, 5.0, 1.0]), coordinate=2)
def asymptotic_form_with_a_wrong_constant():
    def body(x):
        return jnp.where(x > 4, jnp.log(x) - 1 / x, jnp.sin(x))

    @jax.custom_jvp
    def f(x):
        return body(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return body(x), jnp.where(x > 4, 1 / x, jnp.cos(x)) * t

    def loss(f):
        return lambda x: jnp.sum(f(x))  # call

    return loss(f), loss(body)


@case("wrong", signs((4,), 85))
def argmax_straight_through_undeclared():
    """Hard one-hot forward, softmax backward, by the idiom of stop_gradient."""

    def loss(stop):
        def fun(x):
            soft = jax.nn.softmax(x)
            hard = jax.nn.one_hot(jnp.argmax(x), 4, dtype=x.dtype)
            chosen = soft + stop(hard - soft)  # call
            return jnp.sum(chosen * jnp.array([0.1, 0.7, -0.4, 0.3])) ** 2

        return fun

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("wrong", signs((3,), 86))
def target_of_a_value_function_undeclared():
    """Semi-gradient: r + gamma V(s') held fixed. Intended or not, it is not the derivative of this loss."""

    def loss(stop):
        def fun(w):
            s, after = jnp.array([1.0, 0.5, -0.3]), jnp.array([0.2, -1.0, 0.8])
            return (s @ w - stop(0.3 + 0.9 * after @ w)) ** 2  # call

        return fun

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("wrong", signs((2, 5), 88), signs((3,), 89))
def convolution_without_flipping():
    def body(x, k):
        return jax.vmap(lambda row: jnp.convolve(row, k, mode="same"))(x)

    @jax.custom_vjp
    def conv(x, k):
        return body(x, k)

    def conv_fwd(x, k):
        return body(x, k), k

    def conv_bwd(k, g):  # faulty
        return body(g, k), jnp.zeros_like(k)

    conv.defvjp(conv_fwd, conv_bwd)

    def loss(conv):
        return lambda x, k: jnp.sum(jnp.sin(conv(x, k)))  # call

    return loss(conv), loss(body)


@case("wrong", signs((5,), 93), difference=1e-3)
def small_constant_left_over():
    @jax.custom_jvp
    def f(x):
        return x**3

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return x**3, (3 * x**2 + 1e-2) * t

    def loss(f):
        return lambda x: jnp.sum(f(x))  # call

    return loss(f), loss(lambda x: x**3)


@case("wrong", signs((300,), 94), difference=1e-8)
def diluted_by_a_large_right_part():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.sin(primals[0]), 1.1 * jnp.cos(primals[0]) * tangents[0]

    def loss(f):
        return lambda x: 1e5 * jnp.sum(x**2) + f(x[7])  # call

    return loss(f), loss(jnp.sin)
