"""Enclosed gradients and sparse Hessians of a program, which certificates of sparse matrices begin with.

They are jets in balls at a point and over a box around it. A jet is a chain rule, and a chain rule may be wrong: a few
entries over the box are held against second differences of values, (f(x + h) - 2 f(x) + f(x - h)) / h^2, each of which
is a second derivative at some point of the box (Taylor's theorem).
"""

from __future__ import annotations

import numpy as np

from qed.certificates.smooth_terms import SmoothTerm
from qed.domains.ball_boxes import NotSmooth
from qed.domains.ball_ends import BallEnds
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_stacked import SparseJet, StackedJets
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
ENTRIES = 3
"""At how many entries of the matrix differences are taken."""
BITS = 120


def sparse_jets(traced: Traced, center: Array, low: Array, high: Array, field: str) -> tuple[SparseJet, SparseJet]:
    """The jets at the center and over the box from low to high.

    Args:
        traced: the program.
        center: a point of the box.
        low: the lower ends of the box.
        high: the upper ends.
        field: the field of the certificate that is blamed where there are none.

    Raises:
        CertificateError: where no derivatives are enclosed, or differences of values contradict them.
    """
    try:
        term = SmoothTerm(traced, low, high)
        jets = StackedJets(BallEnds(BITS), term.algebra.variables)
        with precision(BITS):
            here, near = jets.sparse(term.form, center, center), jets.sparse(term.form, low, high)
        compared(term.algebra, term.form, near, low, high)
    except (NotSmooth, Rough, NoValue) as error:
        raise CertificateError(field, f"no derivatives are enclosed: {error}") from None
    return here, near


def compared(algebra: Algebra, form: Form, jet: SparseJet, low: Array, high: Array) -> None:
    """Hold a few entries against second differences of values in balls.

    Raises NotSmooth where they do not meet.
    """
    if np.any(low == high) or not len(jet.rows):
        return
    arb, entries = flint().arb, {}
    for i, j, a, b in zip(jet.rows.tolist(), jet.columns.tolist(), *jet.second, strict=True):
        entries[i, j] = (a, b)
    pairs = list(entries)
    with precision(BITS):
        for k in np.random.default_rng(0).permutation(len(pairs))[:ENTRIES]:
            i, j = pairs[k]
            h = arb(float(min(high[i] - low[i], high[j] - low[j]))) / 4
            x = [arb(float(a + (b - a) / 2)) for a, b in zip(low, high, strict=True)]
            values = []
            for s in (-1, 0, 1):
                moved = list(x)
                for p in {i, j}:
                    moved[p] = moved[p] + s * h
                values.append(BallValues(dict(zip(algebra.variables, moved, strict=True))).of(form))
            bent = arb(0)
            for p, q, times in ((i, i, 1), (j, j, 1), (i, j, 2)) if i != j else ((i, i, 1),):
                a, b = entries.get((p, q), (0.0, 0.0))
                bent = bent + times * arb(a).union(arb(b))
            if not bent.overlaps((values[2] - 2 * values[1] + values[0]) / (h * h)):
                message = "a second difference lies outside of the enclosed second derivatives"
                raise NotSmooth(message)
