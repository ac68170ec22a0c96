"""Colourings: every entry comes back from the products, and on patterns of known colour number it is met."""

import numpy as np
import pytest
import scipy.sparse

from qed.calculus.colouring import column_colouring, compressed, star_colouring
from qed.domains.index_sets import Sets


def sets(matrix):
    matrix = scipy.sparse.csr_array(matrix)
    matrix.sort_indices()
    return Sets(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)), matrix


def band(n, half):
    return scipy.sparse.csr_array(np.tri(n, n, half) - np.tri(n, n, -half - 1))


def arrow(n):
    matrix = np.eye(n)
    matrix[0] = matrix[:, 0] = 1
    return matrix


def grid(n):
    line, one = band(n, 1), scipy.sparse.eye_array(n)
    return (scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line)).tocsr()


def test_random_symmetric_patterns_are_recovered_symmetrically(law_examples):
    rng = np.random.default_rng(0)
    for _ in range(law_examples(150)):
        n = int(rng.integers(1, 40))
        half = scipy.sparse.random_array((n, n), density=rng.uniform(0, 0.4), rng=rng)
        pattern, matrix = sets(half + half.T)
        found = star_colouring(pattern)
        values = found.read(compressed(matrix, found.colours, found.count))
        np.testing.assert_array_equal(values, matrix.data)
        assert found.count <= column_colouring(pattern, n).count + 2


def test_random_patterns_are_recovered(law_examples):
    rng = np.random.default_rng(0)
    for _ in range(law_examples(150)):
        m, n = map(int, rng.integers(1, 30, 2))
        pattern, matrix = sets(scipy.sparse.random_array((m, n), density=rng.uniform(0, 0.4), rng=rng))
        found = column_colouring(pattern, n)
        np.testing.assert_array_equal(found.read(compressed(matrix, found.colours, found.count)), matrix.data)
        assert found.count >= pattern.lengths.max(initial=0)


@pytest.mark.parametrize(
    ("matrix", "count"),
    [(np.eye(9), 1), (band(40, 1), 3), (band(40, 3), 7), (arrow(30), 2), (np.ones((7, 7)), 7), (np.zeros((4, 4)), 0)],
    ids=["diagonal", "tridiagonal", "band of 7", "arrow", "full", "empty"],
)
def test_known_star_numbers(matrix, count):
    assert star_colouring(sets(matrix)[0]).count == count


def test_symmetry_saves_colours_on_a_grid():
    pattern, _ = sets(grid(12))
    assert star_colouring(pattern).count <= 6
    assert column_colouring(pattern, 144).count <= 8


def test_large_patterns_with_a_full_row():
    n = 5_000
    full = np.arange(n)
    rows = np.concatenate((np.zeros(n, int), full[1:], full[1:]))
    columns = np.concatenate((full, np.zeros(n - 1, int), full[1:]))
    assert star_colouring(Sets.of(rows, columns, n)).count == 2
