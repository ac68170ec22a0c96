"""A constrained problem as vectors: names, float64, one pattern for all multipliers; bad input is told."""

import jax.numpy as jnp
import numpy as np
import pytest

from qed.errors import QedError
from qed.optimization.constrained.problem import constrained
from qed.optimization.constrained.residuals import recovered, residuals


def test_rows_are_named_by_where_they_stand_and_evaluated_in_float64():
    start = {"a": jnp.array([0.1, 0.2], jnp.float32), "b": jnp.float32(2.0)}
    problem = constrained(
        lambda x: jnp.sum(x["a"] ** 3) + x["b"], start, (), lambda x: (x["a"].sum() - 1, x["b"] * 0 + 3.0),
        lambda x: {"s": x["a"]}, (0, None),
    )  # fmt: skip
    assert problem.names == ("equality[0]", "equality[1]", "inequality['s'][0]", "inequality['s'][1]")
    assert problem.parameters == ("x['a'][0]", "x['a'][1]", "x['b']")
    assert problem.equalities == 2
    seen = problem.at(np.array([0.1, 0.2, 2.0]))
    assert seen.f == pytest.approx(2.009, abs=1e-15)
    np.testing.assert_array_equal(seen.J, [[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(problem.hessian(seen.x, np.ones(4)), np.diag([0.6, 1.2, 0.0]))
    equality, inequality = problem.row_trees(np.arange(4.0))
    assert [float(v) for v in equality] == [0.0, 1.0]
    assert inequality["s"].tolist() == [2.0, 3.0]
    assert problem.tree(seen.x)["a"].dtype == jnp.float32


def test_beyond_a_few_parameters_matrices_are_sparse_for_every_multiplier():
    n = 500
    problem = constrained(
        lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2), jnp.ones(n), (), lambda x: x[::2] ** 2 * x[1::2] - 1, None, None
    )
    assert problem.sparse
    y = np.linspace(-1.0, 1.0, n // 2)
    x = np.linspace(0.5, 1.5, n)
    H, seen = problem.hessian(x, y), problem.at(x)
    assert H.nnz <= 4 * n
    step = 1e-6 * np.cos(np.arange(n))
    ahead, behind = problem.at(x + step), problem.at(x - step)
    np.testing.assert_allclose((ahead.c - behind.c) / 2, seen.J @ step, rtol=1e-6, atol=1e-13)
    change = (ahead.g - ahead.J.T @ y) - (behind.g - behind.J.T @ y)
    np.testing.assert_allclose(change / 2, H @ step, rtol=1e-5, atol=1e-12)


def test_multipliers_are_recovered_and_their_residuals_hold():
    problem = constrained(
        lambda x: (x[0] - 2) ** 2 + x[1] ** 2, jnp.array([1.0, 0.0]), (), None, lambda x: 1 - x[0] ** 2 - x[1] ** 2,
        (jnp.array([-jnp.inf, 0.0]), None),
    )  # fmt: skip
    seen = problem.at(problem.start)
    found = recovered(problem, seen)
    np.testing.assert_allclose(found.y, [1.0], atol=1e-9)
    assert residuals(problem, seen, found).hold(1e-9)
    away = problem.at(np.array([0.5, 0.0]))
    assert not residuals(problem, away, recovered(problem, away)).hold()


@pytest.mark.parametrize(
    ("equality", "code", "told"),
    [
        (lambda x: x > 0, "QED002", "returns bool"),
        (lambda x: jnp.arange(2), "QED002", "equality"),
        (lambda x: x[:0], "QED002", "size 0 a constraint without numbers asks nothing"),
        (lambda x: x - jnp.ones(5), "QED007", "equality"),
        (lambda x: None, "QED002", "equality"),
        ({"type": "eq"}, "QED007", "equality= is no function"),
    ],
)
def test_what_is_no_constraint_is_told(equality, code, told):
    with pytest.raises(QedError) as caught:
        constrained(lambda x: jnp.sum(x**2), jnp.ones(3), (), equality, None, None)
    assert caught.value.code == code
    assert told in f"{caught.value.what} {caught.value.because}"
