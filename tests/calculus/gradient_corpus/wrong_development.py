"""Wrong first derivatives: one mistake a case, as people make them. The half that may be looked at."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.gradient_corpus.case import case, positive, signs


@case("wrong", signs((5,)))
def sign_of_tanh():
    @jax.custom_jvp
    def f(x):
        return jnp.tanh(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        y = jnp.tanh(x)
        return y, -(1 - y**2) * t

    def loss(f):
        return lambda x: jnp.sum(f(x) ** 2)  # call

    return loss(f), loss(jnp.tanh)


@case("wrong", signs((4,), 1))
def scale_of_logistic():
    @jax.custom_jvp
    def sigmoid(x):
        return 1 / (1 + jnp.exp(-x))

    @sigmoid.defjvp
    def sigmoid_jvp(primals, tangents):  # faulty
        y = sigmoid(primals[0])
        return y, 2 * y * (1 - y) * tangents[0]

    def loss(f):
        return lambda x: jnp.sum(jnp.log(f(x)))  # call

    return loss(sigmoid), loss(lambda x: 1 / (1 + jnp.exp(-x)))


@case("wrong", positive((6,), 2), difference=5e-4)
def one_per_mille():
    @jax.custom_vjp
    def f(x):
        return jnp.exp(-x)

    def f_fwd(x):
        y = jnp.exp(-x)
        return y, y

    def f_bwd(y, g):  # faulty
        return (-1.001 * y * g,)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(1.0, 7))  # call

    return loss(f), loss(lambda x: jnp.exp(-x))


@case("wrong", {"W": signs((3, 4), 3), "b": signs((4,), 4)}, signs((8, 3), 5))
def bias_gradient_is_a_mean():
    @jax.custom_vjp
    def dense(X, W, b):
        return X @ W + b

    def dense_fwd(X, W, b):
        return X @ W + b, (X, W)

    def dense_bwd(saved, g):  # faulty
        X, W = saved
        return g @ W.T, X.T @ g, jnp.mean(g, 0)

    dense.defvjp(dense_fwd, dense_bwd)

    def loss(dense):
        return lambda w, X: jnp.mean(jax.nn.softplus(dense(X, w["W"], w["b"])))  # call

    return loss(dense), loss(lambda X, W, b: X @ W + b)


@case("wrong", (signs((3,), 6), signs((3,), 7)))
def wrong_residual_of_a_product():
    @jax.custom_vjp
    def mul(a, b):
        return a * b

    def mul_fwd(a, b):
        return a * b, (a, a)

    def mul_bwd(saved, g):  # faulty
        a, b = saved
        return g * b, g * a

    mul.defvjp(mul_fwd, mul_bwd)

    def loss(mul):
        return lambda x: jnp.sum(mul(jnp.sin(x[0]), x[1]) ** 2)  # call

    return loss(mul), loss(lambda a, b: a * b)


@case("wrong", signs((4,), 8))
def output_saved_instead_of_input():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    def f_fwd(x):
        y = jnp.sin(x)
        return y, y

    def f_bwd(x, g):  # faulty
        return (g * jnp.cos(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(1.0, 5))  # call

    return loss(f), loss(jnp.sin)


@case("wrong", signs((100_000,), 9), coordinate=31415)
def one_coordinate_in_a_hundred_thousand():
    @jax.custom_vjp
    def square(x):
        return x * x

    def square_fwd(x):
        return x * x, x

    def square_bwd(x, g):  # faulty
        return ((2 * x * g).at[31415].set(0.0),)

    square.defvjp(square_fwd, square_bwd)

    def loss(f):
        return lambda x: jnp.sum(jnp.sin(f(x)))  # call

    return loss(square), loss(lambda x: x * x)


@case("wrong", signs((5,), 10))
def tiny_gradient():
    @jax.custom_jvp
    def f(x):
        return jnp.cos(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.cos(primals[0]), jnp.sin(primals[0]) * tangents[0]

    def loss(f):
        return lambda x: 1e-12 * jnp.sum(f(x))  # call

    return loss(f), loss(jnp.cos)


@case("wrong", (positive((3,), 13), positive((3,), 14)))
def only_the_second_argument():
    @jax.custom_jvp
    def f(a, b):
        return jnp.sqrt(a * a + b * b)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (a, b), (ta, tb) = primals, tangents
        r = jnp.sqrt(a * a + b * b)
        return r, a / r * ta + b * tb

    def loss(f):
        return lambda x: jnp.sum(f(x[0], x[1]))  # call

    return loss(f), loss(lambda a, b: jnp.sqrt(a * a + b * b))


@case("wrong", (signs((3,), 15), signs((3,), 16)))
def no_gradient_for_an_argument():
    @jax.custom_vjp
    def mul(a, b):
        return a * b

    def mul_fwd(a, b):
        return a * b, b

    def mul_bwd(b, g):  # faulty
        return g * b, None

    mul.defvjp(mul_fwd, mul_bwd)

    def loss(mul):
        return lambda x: jnp.sum(jnp.cos(mul(x[0], x[1])))  # call

    return loss(mul), loss(lambda a, b: a * b)


def _host_sine(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")


@case("wrong", signs((3,), 17))
def callback_with_a_wrong_rule():
    @jax.custom_vjp
    def sine(x):
        return _host_sine(x)

    def sine_fwd(x):
        return _host_sine(x), x

    def sine_bwd(x, g):  # faulty
        return (-g * jnp.cos(x),)

    sine.defvjp(sine_fwd, sine_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(1.0, 4))  # call

    return loss(sine), loss(jnp.sin)


@case("wrong", np.array([0.5, 2.5, -1.0]), coordinate=1)
def wrong_above_two():
    @jax.custom_jvp
    def f(x):
        return jnp.log1p(x * x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return jnp.log1p(x * x), jnp.where(x > 2, x, 2 * x) / (1 + x * x) * t

    def loss(f):
        return lambda x: jnp.sum(f(x))  # call

    return loss(f), loss(lambda x: jnp.log1p(x * x))


@case("wrong", (positive((4,), 18), positive((4,), 19)))
def swapped_arguments():
    @jax.custom_vjp
    def div(a, b):
        return a / b

    def div_fwd(a, b):
        return a / b, (a, b)

    def div_bwd(saved, g):  # faulty
        a, b = saved
        return -g * a / b**2, g / b

    div.defvjp(div_fwd, div_bwd)

    def loss(div):
        return lambda x: jnp.sum(div(x[0], x[1]))  # call

    return loss(div), loss(lambda a, b: a / b)


@case("wrong", signs((4, 4), 20), signs((4, 4), 21))
def forgotten_transposition():
    @jax.custom_vjp
    def matmul(A, B):
        return A @ B

    def matmul_fwd(A, B):
        return A @ B, (A, B)

    def matmul_bwd(saved, g):  # faulty
        A, B = saved
        return g @ B, A.T @ g

    matmul.defvjp(matmul_fwd, matmul_bwd)

    def loss(matmul):
        return lambda W, X: jnp.sum(jnp.tanh(matmul(W, X)))  # call

    return loss(matmul), loss(jnp.matmul)


@case("wrong", signs((6,), 22))
def stop_gradient_that_matters():
    """The third central moment depends on the mean; the second does not."""

    def loss(stop):
        def fun(x):
            centred = x - stop(jnp.mean(x))  # call
            return jnp.mean(centred**4)

        return fun

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("wrong", signs((5,), 25))
def rounding_straight_through_undeclared():
    @jax.custom_jvp
    def quantise(x):
        return jnp.round(4 * x) / 4

    @quantise.defjvp
    def quantise_jvp(primals, tangents):  # faulty
        return quantise(primals[0]), tangents[0]

    def loss(f):
        return lambda x: jnp.sum((f(x) - 0.3) ** 2)  # call

    return loss(quantise), loss(lambda x: jnp.round(4 * x) / 4)
