"""Enclosures of derivatives by terms: where a program chooses and the function is smooth all the same.

log(e^a + e^b) is computed with the larger of a and b, and so is every log-sum-exp; where a = b the program's graph has
a corner in its middle, and the function has none. As a term (`qed.domains.curvature_identities`) it is one atom with
derivatives of all orders, and the jet of the term (`qed.domains.curvature_dense`) encloses them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.shapes.found import Term, term
from qed.domains.curvature_atoms import variables_of
from qed.domains.curvature_dense import DenseJets
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_line import atoms
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet

Array = np.ndarray
ENTRIES = 1 << 16
"""How many second derivatives all atoms may have together."""
NEAR = 2.0**-6
"""How large the box about a point is on which the term is made."""


@dataclass(frozen=True, eq=False)
class OnTerms:
    """A function near a point, enclosed by its term; the counterpart of `OnBoxes` for one box at a time.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.bounding.boxes import OnBoxes
    >>> from qed.calculus.bounding.by_terms import OnTerms
    >>> from qed.graph.trace import trace
    >>> f = OnTerms.near(OnBoxes.of(trace(lambda x: jnp.logaddexp(x[0], 0.0), np.zeros(1))), np.zeros(1))
    >>> print(f(np.zeros((1, 1)), np.zeros((1, 1)), 2).hessian)
    [[[0.25, 0.25]]]
    """

    boxes: OnBoxes
    term: Term

    @classmethod
    def near(cls, boxes: OnBoxes, point: Array) -> OnTerms | None:
        """The function on a box about a point; None where it is no smooth term, or too large a one."""
        radius = NEAR * max(float(np.max(np.abs(point), initial=0.0)), 1.0)
        lower, upper = ([a[0] for a in boxes.leaves(end[None])] for end in (point - radius, point + radius))
        found = term(boxes.traced, lower, upper)
        if found.form is None or found.doubtful is not None or len(found.algebra.variables) != boxes.size:
            return None
        known: dict[int, frozenset[int]] = {}
        count = sum(len(variables_of(atom, known)) ** 2 for atom in atoms(found.form, set()))
        return cls(boxes, found) if count <= ENTRIES else None

    @property
    def size(self) -> int:
        """How many numbers the argument holds."""
        return self.boxes.size

    def __call__(self, lower: Array, upper: Array, order: int = 2, loewner: bool = False) -> Jet:
        """The jet on one box, (1, n) ends; everything where the box leaves the one that the term was made on."""
        n = self.size
        inside = bool(np.all(self.term.low <= lower[0]) and np.all(upper[0] <= self.term.high))
        form = self.term.form
        assert form is not None
        if inside:
            try:
                with np.errstate(all="ignore"):
                    jet = DenseJets(Interval(), self.term.algebra.variables, lower[0], upper[0]).whole(form)
            except Rough:
                inside = False
            else:
                zero = Intervals.point(np.zeros(n)), Intervals.point(np.zeros((n, n)))
                slope = zero[0] if jet.slope is None else jet.slope
                second = zero[1] if jet.second is None else jet.second
                upper_part = second.map(lambda a: a[None][:, *np.triu_indices(n)])
                return Jet(jet.value, slope.map(lambda a: a[None]), upper_part)
        ends = np.full((1, n), np.inf), np.full((1, n * (n + 1) // 2), np.inf)
        return Jet(Intervals([-np.inf], [np.inf]), Intervals(-ends[0], ends[0]), Intervals(-ends[1], ends[1]))
