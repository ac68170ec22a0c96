"""Laws of vectors with closed forms, in balls: the multivariate normal law, and Dirichlet's.

    N(m, S):   H(p, q) = (d log 2 pi + log det S_q + tr(S_q^-1 S_p) + (m_q - m_p)' S_q^-1 (m_q - m_p)) / 2
    Dir(a):    H(p, q) = log B(b) - sum_i (b_i - 1) (psi(a_i) - psi(sum a)),      B(b) = prod Gamma(b_i) / Gamma(sum b)

for p with the parameters m_p, S_p or a, and q with m_q, S_q or b; KL(p || q) = H(p, q) - H(p, p). The determinant is
the product of the pivots of S = L D L', which are positive exactly where S is positive definite. References: Cover and
Thomas, *Elements of Information Theory*, Wiley 2006, theorem 8.4.1; Johnson and Kotz, *Continuous Multivariate
Distributions*, 2000, chapter 49.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qed.domains.precision import flint
from qed.errors import CertificateError

Rows = tuple[tuple[float, ...], ...]
"""The parameters: of the normal law its mean and the rows of its covariance, of Dirichlet's its concentrations."""


def fault(family: str, rows: Rows) -> str:
    """What is wrong with the parameters of a law; nothing where they are right."""
    if not rows or any(len(row) != len(rows[0]) for row in rows) or not rows[0]:
        return "the parameters are vectors of one length"
    if family == "Dirichlet":
        right = len(rows) == 1 and len(rows[0]) >= 2 and all(0 < a < float("inf") for a in rows[0])
        return "" if right else "the concentrations are at least two positive numbers"
    if family != "MultivariateNormal":
        return f"{family} is no law of vectors"
    if any(not abs(x) < float("inf") for row in rows for x in row):
        return "the parameters are finite numbers"
    size = len(rows[0])
    if len(rows) != size + 1 or any(rows[1 + i][j] != rows[1 + j][i] for i in range(size) for j in range(i)):
        return "the covariance is a symmetric matrix with a row for each entry of the mean"
    return ""


def cross_entropy(family: str, p: Rows, q: Rows) -> Any:
    """A ball of H(p, q) of two laws of one family, at the precision in force.

    Raises:
        CertificateError: where a covariance is not proved to be positive definite.

    >>> from qed.domains.precision import precision
    >>> from qed.domains.vector_laws import cross_entropy
    >>> flat = ((1.0, 1.0),)
    >>> with precision(64):
    ...     print(float(cross_entropy("Dirichlet", flat, flat)))
    0.0
    """
    if family == "Dirichlet":
        return _dirichlet(p[0], q[0])
    arb = flint().arb
    size = len(p[0])
    pivots(_matrix(p[1:]), "p")
    shift = [[arb(b) - arb(a)] for a, b in zip(p[0], q[0], strict=True)]
    lower, diagonal = pivots(_matrix(q[1:]), "q")
    total = size * (2 * arb.pi()).log() + sum((d.log() for d in diagonal), arb(0))
    covariance = _matrix(p[1:])
    columns = _solved(lower, [list(row) for row in covariance])  # L^-1 S_p
    whole = _solved(lower, [list(row) for row in zip(*columns, strict=True)])  # L^-1 S_p L^-T
    moved = _solved(lower, shift)
    for k, d in enumerate(diagonal):
        total += (whole[k][k] + moved[k][0] ** 2) / d
    return total / 2


def pivots(matrix: list[list[Any]], name: str) -> tuple[list[list[Any]], list[Any]]:
    """L and D of S = L D L', the pivots proved to be positive."""
    size, arb = len(matrix), flint().arb
    lower = [[arb(int(i == j)) for j in range(size)] for i in range(size)]
    diagonal: list[Any] = []
    for j in range(size):
        pivot = matrix[j][j] - sum((lower[j][k] ** 2 * diagonal[k] for k in range(j)), arb(0))
        if not pivot > 0:
            raise CertificateError(name, "the covariance is not proved to be positive definite")
        diagonal.append(pivot)
        for i in range(j + 1, size):
            inner = sum((lower[i][k] * lower[j][k] * diagonal[k] for k in range(j)), arb(0))
            lower[i][j] = (matrix[i][j] - inner) / pivot
    return lower, diagonal


def _solved(lower: list[list[Any]], right: list[list[Any]]) -> list[list[Any]]:
    """L^-1 times a matrix, L with ones on its diagonal."""
    found: list[list[Any]] = []
    for i, row in enumerate(right):
        kept = list(row)
        for k in range(i):
            kept = [x - lower[i][k] * y for x, y in zip(kept, found[k], strict=True)]
        found.append(kept)
    return found


def _matrix(rows: Sequence[Sequence[float]]) -> list[list[Any]]:
    return [[flint().arb(x) for x in row] for row in rows]


def _dirichlet(p: Sequence[float], q: Sequence[float]) -> Any:
    arb = flint().arb
    a, b = [arb(x) for x in p], [arb(x) for x in q]
    of_a, of_b = (arb(0) + sum(one) for one in (a, b))
    whole = of_a.digamma()
    total = sum((x.lgamma() for x in b), arb(0)) - of_b.lgamma()
    return total - sum(((y - 1) * (x.digamma() - whole) for x, y in zip(a, b, strict=True)), arb(0))
