"""Definite on a box: never said of a matrix that is not, said alike by the search and by those who verify."""

import numpy as np
import pytest

from qed.certificates.convexity_matrices import definite_matrix
from qed.domains.curvature_algebra import Algebra
from qed.domains.definiteness import definite, inverse, positive, semidefinite


def drawn(rng, n, count):
    """An algebra, the entries of a random affine matrix, its coefficients, and the box."""
    a = Algebra()
    low = rng.integers(-4, 3, count) / 4
    high = low + rng.integers(0, 5, count) / 4
    variables = [a.variable(k, f"x{k}", (float(low[k]), float(high[k]))) for k in range(count)]
    slopes = rng.integers(-2, 3, (count, n, n)) / 2
    if rng.random() < 0.4:
        slopes[0] = np.outer(slopes[0, 0], slopes[0, 0])
    slopes = (slopes + np.swapaxes(slopes, 1, 2)) / 2
    base = np.diag(rng.integers(0, 12, n) / 2.0)
    entries = tuple(
        a.combine([(v, a.rational(slopes[k, i, j])) for k, v in enumerate(variables)], base[i, j])
        for i in range(n)
        for j in range(n)
    )
    return a, entries, base, slopes, low, high


def test_random_matrices():
    rng = np.random.default_rng(5)
    said = 0
    for _ in range(150):
        n, count = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        a, entries, base, slopes, low, high = drawn(rng, n, count)
        found = definite(a, entries, n)
        assert found == (definite_matrix(a, entries) is None)
        corners = np.stack(np.meshgrid(*np.stack([low, high], 1)), -1).reshape(-1, count)
        least = min(np.linalg.eigvalsh(base + np.tensordot(x, slopes, 1))[0] for x in corners)
        assert not found or least > 0
        assert found or least < 1e-9  # few directions: the corners decide
        said += found
    assert 20 < said < 130


def test_the_triangles_have_to_be_the_same_forms():
    a = Algebra()
    x, y = a.variable(0, "x", (2.0, 3.0)), a.variable(1, "y", (0.0, 1.0))
    assert definite(a, (x, y, y, x), 2)
    assert not definite(a, (x, y, a.scale(y, -1), x), 2) and not definite(a, (x, y, a.unary("square", y), x), 2)
    assert "symmetric" in str(definite_matrix(a, (x, y, a.scale(y, -1), x)))


@pytest.mark.parametrize("end", [0.0, -1.0, -np.inf])
def test_a_box_that_touches_the_singular_ones(end):
    a = Algebra()
    x = a.variable(0, "x", (end, 1.0))
    assert not definite(a, (x,), 1) and definite_matrix(a, (x,)) is not None


def test_exact_matrices():
    q = Algebra().q
    rows = [[q(2), q(1)], [q(1), q(1, 2)]]
    assert semidefinite(rows) and not positive(rows) and inverse(rows, q(0)) == (None, 0)
    found, determinant = inverse([[q(0), q(2)], [q(3), q(1)]], q(0))
    assert determinant == -6 and found == [[q(-1, 6), q(1, 3)], [q(1, 2), q(0)]]
