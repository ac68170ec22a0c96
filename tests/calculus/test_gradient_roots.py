"""A root's derivative is judged by the implicit function theorem: whether `tangent_solve` solves its equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 5.0]])


def newton(f, x):
    return jax.lax.fori_loop(0, 30, lambda _, x: x - f(x) / jax.grad(f)(x), x)


def bisection(f, x):
    """Its steps have the derivative zero, whatever the root has."""

    def body(state):
        low, high, count = state
        middle = (low + high) / 2
        below = f(middle) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle), count + 1

    return jax.lax.while_loop(lambda state: state[2] < 60, body, (x - 1, x + 2, 0))[0]


def divided(g, y):
    return y / g(jnp.ones_like(y))


def multiplied(g, y):
    return y * g(jnp.ones_like(y))


def iterated(steps):
    return lambda g, y: jax.lax.fori_loop(0, steps, lambda _, x: x + 0.2 * (y - g(x)), jnp.zeros_like(y))


def cubic(solve, tangent_solve):
    return lambda a: jax.lax.custom_root(lambda x: x**3 + a * x - 2, jnp.ones_like(a), solve, tangent_solve) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("solve", [newton, bisection])
@pytest.mark.parametrize(
    ("tangent_solve", "verdict"),
    [(divided, "agrees"), (multiplied, "disagrees"), (iterated(1), "disagrees"), (iterated(4), "undecided")],
)
def test_a_cubic(solve, tangent_solve, verdict):
    with jax.enable_x64(True):
        answer = qed.check_gradient(cubic(solve, tangent_solve), jnp.array(0.7))
        repeated = answer.check()
    assert answer.value.verdict == verdict
    if verdict == "disagrees":
        culprit = answer.value.culprits[0]
        root = np.roots([1.0, 0.0, 0.7, -2.0]).real[-1]
        assert culprit.name == "custom_root"
        assert culprit.span.file == __file__
        assert culprit.expected == pytest.approx(-root / (3 * root**2 + 0.7), rel=1e-9)
        assert repeated


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.01, "disagrees")])
def test_a_system(factor, verdict):
    def loss(b):
        def step(f, x):
            return jax.lax.fori_loop(0, 20, lambda _, x: x - jnp.linalg.solve(jax.jacobian(f)(x), f(x)), x)

        def tangent_solve(g, y):
            return jnp.linalg.solve(factor * jax.jacobian(g)(y), y)

        residual = lambda x: MATRIX.astype(b.dtype) @ x + 0.1 * x**3 - b  # noqa: E731
        return jnp.sum(jnp.sin(jax.lax.custom_root(residual, jnp.zeros_like(b), step, tangent_solve)))

    answer = qed.check_gradient(loss, jnp.array([1.0, 2.0, 3.0]))
    assert answer.value.verdict == verdict
    if verdict == "disagrees":
        assert answer.value.gradient_error == pytest.approx(1 - 1 / 1.01, rel=1e-3)


def test_inside_of_a_loop():
    answer = qed.check_gradient(lambda a: jnp.sum(jax.lax.map(cubic(newton, multiplied), a)), jnp.array([1.0, 2.0]))
    assert answer.value.verdict == "disagrees"
    assert answer.value.culprits[0].loop_steps == (0,)


@pytest.mark.parametrize(("tangent_solve", "verdict"), [(divided, "agrees"), (multiplied, "disagrees")])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_many_roots_at_once(tangent_solve, verdict, axis):
    fun = jax.vmap(cubic(newton, tangent_solve))
    point = jnp.array([1.0, 2.0])
    if axis is not None:
        fun = jax.vmap(fun, axis)
        point = jnp.array([[1.0, 2.0, 3.0], [0.5, 0.7, 0.9]])
    answer = qed.check_gradient(lambda a: jnp.sum(fun(a)), point)
    assert answer.value.verdict == verdict
    assert not answer.missing


def test_many_roots_along_an_axis_that_the_shapes_do_not_tell():
    """Older versions of JAX do not keep along which of two axes of one length the roots are batched."""
    tall = MATRIX.astype(np.float32)

    def roots(b):
        def step(f, x):
            return jax.lax.fori_loop(0, 3, lambda _, x: x - jnp.linalg.solve(jax.jacobian(f)(x), f(x)), x)

        def tangent_solve(g, y):
            return 1.01 * jnp.linalg.solve(jax.jacobian(g)(y), y)

        return jax.lax.custom_root(lambda x: tall @ x - b, jnp.zeros_like(b), step, tangent_solve)

    answer = qed.check_gradient(lambda b: jnp.sum(jnp.sin(jax.vmap(roots)(b))), jnp.ones((3, 3)))
    if answer.value.verdict != "disagrees":
        assert [missing.what for missing in answer.missing if "tangent_solve" in missing.what]


def cut(g, y):
    """Right for the first derivative, and held constant for the second."""
    return y / jax.lax.stop_gradient(g(jnp.ones_like(y)))


@pytest.mark.parametrize(("tangent_solve", "verdict"), [(divided, "agrees"), (cut, "disagrees")])
def test_the_second_derivative(tangent_solve, verdict):
    with jax.enable_x64(True):
        answer = qed.check_gradient(cubic(newton, tangent_solve), jnp.array(0.7), order=2)
        first = qed.check_gradient(cubic(newton, tangent_solve), jnp.array(0.7))
    assert answer.value.verdict == verdict
    assert first.value.verdict == "agrees"
    assert not answer.missing
    if verdict == "disagrees":
        assert answer.value.culprits[0].order == 2
