"""A linear solve is judged by its residual: whether `solve` solves what `matvec` multiplies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

MATRIX = np.array([[3.0, 1.0, 0.0], [0.5, 4.0, 1.0], [0.0, 1.0, 5.0]])
LAPLACE = np.array([[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]])
RIGHT = np.array([1.0, 2.0, 0.0])


def solved(matrix, b, factor, back=None):
    b = jnp.asarray(b, matrix.dtype)
    return jax.lax.custom_linear_solve(
        lambda v: matrix @ v,
        b,
        lambda _, y: factor * jnp.linalg.solve(matrix, y),
        lambda _, y: (factor if back is None else back) * jnp.linalg.solve(matrix.T, y),
    )


def matrix_of(p):
    return jnp.asarray(MATRIX, p.dtype) * (1 + p[0] ** 2) + p[1] * jnp.eye(3, dtype=p.dtype)


def check(fun, x, wide=True):
    with jax.enable_x64(wide):
        answer = qed.check_gradient(fun, jnp.asarray(x, jnp.float64 if wide else jnp.float32))
        return answer, answer.check() if answer.refuted else None


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.01, "disagrees"), (2.0, "disagrees")])
def test_a_solve_and_its_transpose_that_are_wrong_together(wide, factor, verdict):
    answer, repeated = check(lambda p: jnp.sum(jnp.sin(solved(matrix_of(p), RIGHT, factor))), [0.5, 0.3], wide)
    assert answer.value.verdict == verdict
    if verdict == "disagrees":
        (culprit,) = answer.value.culprits
        assert culprit.span.file == __file__
        assert "residual" in culprit.why
        assert answer.value.gradient_error > 1e-3
        assert repeated


def test_one_part_in_a_million_is_found_in_float64():
    answer, _ = check(lambda p: jnp.sum(solved(matrix_of(p), RIGHT, 1 + 1e-6)), [0.5, 0.3])
    assert answer.value.verdict == "disagrees"
    assert answer.value.gradient_error == pytest.approx(2e-6, rel=0.5)


def test_the_step_of_a_loop_is_named():
    def fun(p):
        def step(x, i):
            return solved(matrix_of(p), x, jnp.where(i == 2, 1.1, 1.0)), None

        return jnp.sum(jax.lax.scan(step, jnp.asarray(RIGHT, p.dtype), jnp.arange(4))[0])

    answer, _ = check(fun, [0.5, 0.3])
    assert [c.step for c in answer.value.culprits] == [2]


def test_a_wrong_solve_in_a_branch_not_taken_is_latent():
    def fun(p):
        return jnp.sum(
            jax.lax.cond(
                p[0] > 0,
                lambda: solved(matrix_of(p), RIGHT, 1.0),
                lambda: solved(matrix_of(p), RIGHT, 2.0),
            )
        )

    answer, _ = check(fun, [0.5, 0.3])
    assert answer.value.verdict == "latent"


def test_a_generalised_inverse_of_a_singular_matrix_is_right_in_its_range():
    def fun(p):
        inverse = jnp.linalg.pinv(jnp.asarray(LAPLACE, p.dtype))
        x = jax.lax.custom_linear_solve(
            lambda v: p * (jnp.asarray(LAPLACE, p.dtype) @ v),
            jnp.array([1.0, -2.0, 1.0], p.dtype) * jnp.exp(p),
            lambda _, b: inverse.astype(p.dtype) @ b / p,
            symmetric=True,
        )
        return jnp.sum(x**2)

    for wide in (True, False):
        assert check(fun, 1.3, wide)[0].value.verdict == "agrees"


def test_an_inverse_of_an_ill_conditioned_matrix_is_right_to_its_rounding():
    hilbert = 1.0 / (1 + np.arange(8)[:, None] + np.arange(8))

    def fun(p):
        matrix = jnp.asarray(hilbert, p.dtype) * p
        inverse = jnp.linalg.inv(matrix)
        x = jax.lax.custom_linear_solve(
            lambda v: matrix @ v, jnp.ones(8, p.dtype), lambda _, b: inverse @ b, None, True
        )
        return 1e-6 * jnp.sum(x)

    assert check(fun, 1.5)[0].value.verdict != "disagrees"


@pytest.mark.parametrize(
    ("skew", "steps", "verdict"), [(0.0, None, "agrees"), (1.0, None, "disagrees"), (0.0, 2, "disagrees")]
)
def test_conjugate_gradients(skew, steps, verdict):
    """Right on a symmetric matrix; wrong on another, and where it stops long before it converges."""

    def fun(p):
        q = jnp.arange(25.0, dtype=p.dtype).reshape(5, 5) / 25
        matrix = q @ q.T + jnp.diag(1.0 + jnp.arange(5.0, dtype=p.dtype) * p)
        matrix = matrix + skew * jnp.triu(jnp.ones((5, 5), p.dtype), 1)
        x, _ = jax.scipy.sparse.linalg.cg(lambda v: matrix @ v, jnp.ones(5, p.dtype), maxiter=steps)
        return jnp.sum(x**2)

    answer, _ = check(fun, 2.0, wide=False)
    assert answer.value.verdict == verdict


def test_the_solves_of_jax_are_no_rules_of_the_user():
    answer, _ = check(lambda p: jnp.sum(jnp.linalg.solve(matrix_of(p), jnp.asarray(RIGHT, p.dtype))), [0.5, 0.3])
    assert answer.value.verdict == "agrees"
    assert answer.value.checked == answer.value.rules == 0


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.01, "disagrees")])
def test_order_two_asks_for_the_solve_too(factor, verdict):
    with jax.enable_x64(True):
        fun = lambda p: jnp.sum(jnp.sin(solved(matrix_of(p), RIGHT, factor)))  # noqa: E731
        answer = qed.check_gradient(fun, jnp.array([0.5, 0.3]), order=2)
    assert answer.value.verdict == verdict
