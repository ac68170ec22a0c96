"""Gradients and Hessians for those who verify, where a program chooses and the function is smooth all the same.

The function is taken apart into a term (`qed.certificates.convexity_terms`), which is compared with the program at
points in balls; its jet is enclosed in intervals whose ends are numbers of python-flint. The chain rule of that jet is
shared with the search, and held against values alone: by the mean value theorem

    (f(x + h d) - f(x - h d)) / 2h = d^T grad f(z),    (f(x + h d) - 2 f(x) + f(x - h d)) / h^2 = d^T H(w) d

for points z, w of the segment; both differences, in balls, have to meet the enclosures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from qed.certificates.convexity import same_values
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_terms import terms_of
from qed.domains.ball_boxes import NotSmooth
from qed.domains.ball_ends import BallEnds
from qed.domains.balls import between
from qed.domains.curvature_dense import DenseJets
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
BITS = 200
PAIRS = 24
"""Along how many pairs of axes differences are taken."""


class SmoothTerm:
    """The term of a function on a box, with enclosures of its derivatives there.

    Raises NotSmooth where the function is no smooth term on the box.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.smooth_terms import SmoothTerm
    >>> from qed.graph.trace import trace
    >>> f = SmoothTerm(trace(lambda x: jnp.logaddexp(x[0], 0.0), np.zeros(1)), -np.ones(1), np.ones(1))
    >>> slope, rows = f.derivatives(np.zeros(1), np.zeros(1))
    >>> float(slope[0]), float(rows[0][0])
    (0.5, 0.25)
    """

    def __init__(self, traced: Traced, lower: Array, upper: Array) -> None:
        ends = [self._leaves(traced, end) for end in (lower, upper)]
        try:
            self.algebra, self.form = terms_of(traced, ends[0], ends[1])
            same_values(traced, self.algebra, self.form, ends[0], ends[1])
            squares_are_sums(self.algebra)
        except CertificateError as error:
            raise NotSmooth(error.why) from None
        if self.form.lost is not None or len(self.algebra.variables) != len(lower):
            message = "the term may be undefined"
            raise NotSmooth(message)
        self.lower, self.upper = lower, upper

    def _leaves(self, traced: Traced, end: Array) -> list[Array]:
        shapes = [np.shape(leaf) for leaf in traced.parameters]
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(end, cuts), shapes, strict=True)]

    def derivatives(self, lower: Array, upper: Array) -> tuple[list[Any], list[list[Any]]]:
        """Balls of the gradient and of the Hessian on a box within that of the term."""
        n, domain = len(lower), BallEnds(BITS)
        try:
            with precision(BITS):
                jet = DenseJets(domain, self.algebra.variables, lower, upper).whole(self.form)
        except Rough as error:
            message = f"no derivative of {error}"
            raise NotSmooth(message) from None
        with precision(BITS):
            slope = _balls(jet.slope, (n,))
            second = _balls(jet.second, (n, n))
            rows = [[second[i * n + j] for j in range(n)] for i in range(n)]
            if not all(x.is_finite() for x in [*slope, *second]):
                message = "a derivative is not bounded"
                raise NotSmooth(message)
            self._compared(slope, rows, lower, upper)
        return slope, rows

    def _compared(self, slope: Sequence[Any], rows: Sequence[Sequence[Any]], lower: Array, upper: Array) -> None:
        if np.any(lower == upper):
            return
        arb, n = flint().arb, len(lower)
        pairs = list(combinations_with_replacement(range(n), 2))
        chosen = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
        for i, j in [pairs[k] for k in chosen]:
            d = [arb(int(p in (i, j))) for p in range(n)]
            h = arb(float(np.min((upper - lower)[[i, j]]))) / 4
            x = [arb(float(a + (b - a) / 2)) for a, b in zip(lower, upper, strict=True)]
            moved = ([c + s * h * e for c, e in zip(x, d, strict=True)] for s in (-1, 0, 1))
            try:
                before, here, after = (
                    BallValues(dict(zip(self.algebra.variables, p, strict=True))).of(self.form) for p in moved
                )
            except NoValue as error:
                raise NotSmooth(str(error)) from None
            along = slope[i] if i == j else slope[i] + slope[j]
            bent = rows[i][i] if i == j else rows[i][i] + 2 * rows[i][j] + rows[j][j]
            if not (
                along.overlaps((after - before) / (2 * h)) and bent.overlaps((after - 2 * here + before) / (h * h))
            ):
                message = "differences of values lie outside of the enclosed derivatives"
                raise NotSmooth(message)


def _balls(value: Any, shape: tuple[int, ...]) -> list[Any]:
    """The numbers of an enclosure as balls."""
    count = int(np.prod(shape))
    if value is None:
        return [flint().arb(0)] * count
    low, high = (np.broadcast_to(end, shape).ravel().tolist() for end in value.bounds)
    return [between(float(a), float(b)) for a, b in zip(low, high, strict=True)]
