"""Is a matrix of exact numbers positive semidefinite: by rational elimination, and by balls where it is larger."""

from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_quadratics import direction_below, quadratic


def exact(matrix):
    return [[fmpq(*float(v).as_integer_ratio()) for v in row] for row in matrix]


def value(matrix, way):
    return sum(a * c * b for a, row in zip(way, matrix, strict=True) for c, b in zip(row, way, strict=True))


@pytest.mark.parametrize("n", [3, 30])
@pytest.mark.parametrize("kind", ["definite", "singular", "a little below", "indefinite", "zero", "without a diagonal"])
def test_a_matrix_is_semidefinite_or_a_direction_shows_that_it_is_not(n, kind):
    rng = np.random.default_rng(n)
    factor = rng.integers(-3, 4, (n, n + 4 if kind == "definite" else n - 1)).astype(float)
    matrix = factor @ factor.T  # exact: small integers
    if kind == "a little below":  # 0 in one direction before, and below 0 by less than any rounding shows
        assert np.linalg.matrix_rank(matrix) == n - 1
    if kind == "indefinite":
        matrix -= np.eye(n) * np.trace(matrix) / n
    if kind in ("zero", "without a diagonal"):
        matrix *= 0
    if kind == "without a diagonal":
        matrix[0, 1] = matrix[1, 0] = 1.0
    rows = exact((matrix + matrix.T) / 2)
    if kind == "a little below":
        rows = [[c - fmpq(int(i == j), 10**30) for j, c in enumerate(row)] for i, row in enumerate(rows)]
    below = direction_below(rows, fmpq(0))
    if kind in ("definite", "singular", "zero"):
        assert below is None
    else:
        assert value(rows, below) < 0


def test_a_matrix_less_its_own_least_eigenvalue_is_decided_quickly():
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((60, 70))
    matrix = factor @ factor.T
    matrix = (matrix + matrix.T) / 2
    least = float(np.linalg.eigvalsh(matrix)[0])
    for share in (1 - 1e-12, 1.0, 1 + 1e-12):
        rows = [
            [
                c - fmpq(*least.as_integer_ratio()) * fmpq(*float(share).as_integer_ratio()) * int(i == j)
                for j, c in pair
            ]
            for i, row in enumerate(exact(matrix))
            for pair in [list(enumerate(row))]
        ]
        below = direction_below(rows, fmpq(0))
        assert below is None if share < 1 else below is None or value(rows, below) < 0


def test_the_hessian_of_a_quadratic_of_many_numbers_with_zeros_in_it():
    a = Algebra()
    variables = [a.variable(k, f"x{k}", (-1.0, 1.0)) for k in range(9)]
    squares = [(a.unary("square", x), a.q(1)) for x in variables]
    last = a.multiply(variables[0], variables[8])
    assert quadratic(a, a.combine([*squares, (last, a.q(1))])).convex
    assert not quadratic(a, a.combine([*squares, (last, a.q(3))])).convex
    assert not quadratic(a, last).convex


def test_fractions_of_python_do_as_well():
    matrix = [[Fraction(int(i == j)) for j in range(9)] for i in range(9)]
    assert direction_below(matrix, Fraction(0)) is None
    matrix[4][4] = Fraction(-1, 10**40)
    assert value(matrix, direction_below(matrix, Fraction(0))) < 0
