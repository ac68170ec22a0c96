"""The logarithm of the determinant of a positive definite matrix that is known by its products, with an interval.

log det H = tr log H, and of a unit vector v uniform on the sphere v' log(H) v has the mean tr log H / n. After m steps
of Lanczos from v, the Gauss quadrature of it is too large and that of Gauss and Radau with a node at some a, where
0 < a <= lambda_min, too small, because the even derivatives of the logarithm are negative and the odd ones positive
(Golub and Meurant, *Matrices, Moments and Quadrature*, 2010, section 6.2): each probe gives a bracket, not an estimate.
The interval is Student's around both ends, at 99 %. The bound a of the smallest eigenvalue holds but for a probability
(`qed.calculus.points.ends`); where it is not positive, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from qed.calculus.lanczos import Krylov
from qed.calculus.points.ends import below

Array = np.ndarray
LEVEL = 0.99
DENSE = 400
"""Up to which size all products are made."""
ROUNDED = 1e-14
"""Which part of a logarithm its rounding may be, and that of sums of them."""
LONG = 160
"""How many steps the first probe takes, from which the smallest eigenvalue is bounded."""
FAILURE = 1e-6
"""The probability with which the bound of the smallest eigenvalue may fail."""


@dataclass(frozen=True)
class LogDeterminant:
    """log det H within an interval.

    Args:
        lower, upper: the interval; it holds with a probability of 99 %.
        smallest: the bound of the smallest eigenvalue that was used; where it is not positive there is no interval.
        products: how many products were spent.
    """

    lower: float
    upper: float
    smallest: float
    products: int


def log_determinant(
    product: Callable[[Array], Array], size: int, probes: int = 12, steps: int = 40, seed: int = 0, noise: float = 0.0
) -> LogDeterminant:
    """log det of a positive definite matrix; with lower = -inf where it is not known to be one.

    Its eigenvalues may be off by `noise`, because terms of the products cancel.

    >>> found = log_determinant(lambda v: np.array([2.0, 3.0]) * v, 2)
    >>> bool(found.lower <= np.log(6.0) <= found.upper), found.upper - found.lower < 1e-9
    (True, True)
    """
    if size <= DENSE:
        return _dense(product, size, noise)
    runs = [_run(product, size, LONG if i == 0 else steps, seed + i) for i in range(probes)]
    _, first, values = runs[0]
    smallest = below(values, first, size, FAILURE) - noise
    lowest = min(float(ritz[0]) for *_, ritz in runs)
    spent = sum(len(betas) for _, betas, _ in runs)
    if smallest <= 0 or lowest <= 0:
        return LogDeterminant(-np.inf, np.inf, min(smallest, lowest), spent)
    high = [_gauss(matrix) for matrix, *_ in runs]
    low = [_radau(matrix, betas[-1], smallest) for matrix, betas, _ in runs]
    away = size * (noise / smallest + ROUNDED * float(np.max(np.abs(np.log(values)))))
    lower, upper = size * (float(np.mean(low)) - _half(low)), size * (float(np.mean(high)) + _half(high))
    return LogDeterminant(lower - away, upper + away, smallest, spent)


def _dense(product: Callable[[Array], Array], size: int, noise: float) -> LogDeterminant:
    matrix = np.array([product(unit) for unit in np.eye(size)], float)
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    room = noise + float(np.max(np.abs(matrix - matrix.T))) * size + 1e-14 * size * float(np.max(np.abs(values)))
    if values[0] <= room:
        return LogDeterminant(-np.inf, np.inf, float(values[0]) - room, size)
    logs = float(np.sum(np.log(values)))
    error = float(np.sum(room / (values - room))) + ROUNDED * float(np.sum(np.abs(np.log(values))))
    return LogDeterminant(logs - error, logs + error, float(values[0]) - room, size)


def _run(product: Callable[[Array], Array], size: int, steps: int, seed: int) -> tuple[Array, Array, Array]:
    krylov = Krylov(product, size, min(steps, size), seed)
    while krylov.step() and krylov.count < krylov.most and not krylov.closed:
        krylov.extend()
    if not krylov.count:
        raise FloatingPointError
    betas = np.array(krylov.betas)
    if krylov.closed:
        betas[-1] = 0.0
    matrix = krylov.matrix[: krylov.count, : krylov.count]
    return matrix, betas, krylov.ritz()[0]


def _gauss(matrix: Array) -> float:
    values, vectors = np.linalg.eigh(matrix)
    return float(np.sum(np.square(vectors[0]) * np.log(values)))


def _radau(matrix: Array, beside: float, node: float) -> float:
    """The quadrature with one more node, which is given."""
    m = len(matrix)
    if beside == 0:
        return _gauss(matrix)
    unit = np.zeros(m)
    unit[-1] = beside**2
    step = np.linalg.solve(matrix - node * np.eye(m), unit)
    larger = np.zeros((m + 1, m + 1))
    larger[:m, :m] = matrix
    larger[m, m - 1] = larger[m - 1, m] = beside
    larger[m, m] = node + step[-1]
    values, vectors = np.linalg.eigh(larger)
    return float(np.sum(np.square(vectors[0]) * np.log(np.maximum(values, node))))


def _half(samples: list[float]) -> float:
    count = len(samples)
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) * float(np.std(samples, ddof=1)) / float(np.sqrt(count))
