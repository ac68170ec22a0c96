"""The certificate of a global minimum under constraints: a KKT point of a problem that is convex.

With (x*, y*) the KKT pair of `qed.certificates.kkt_point`, y* >= 0 for inequalities, and on the box of the bounds f
convex, the rows of g in A concave and the rows of h affine, L(x) = f(x) - y*'c_A(x) is convex and its slope at x* is 0
but for the bounds that hold, which it meets; so for every point x that satisfies the constraints

    f(x) >= f(x) - y*'c_A(x) = L(x) >= L(x*) = f(x*)   where f is defined:

the least value of the dual problem is that of the problem, and no gap is left (Boyd and Vandenberghe, *Convex
Optimization*, 2004, section 5.5.3). Rows that do not hold x* need no shape. f(x*) is where the
KKT point says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Certificate, shaped
from qed.certificates.convexity_rules import Row
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.problem_terms import affine, convex, problem_terms
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ConvexOptimum(Boxed):
    """A global minimum: the JSON text of a `KKTPoint` of the same function, and proofs of the shapes that it needs.

    `shapes` has (number, rows) for f, number 0, and for the rows of g that hold, counted from 1, unless they are
    affine: a proof that f, and that minus the row, is convex.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.convex_optimum import ConvexOptimum
    >>> from qed.certificates.kkt_point import KKTPoint
    >>> from qed.certificates.stacked import stacked
    >>> line = stacked(lambda x: x[0] + x[1], None, lambda x: x)
    >>> point = KKTPoint.about(
    ...     line, jnp.zeros(2), (), equalities=0, rows=[0, 1], center=[0, 0, 1, 1], radius=[1e-9] * 4, distance=2e-9,
    ...     value=(-1e-8, 1e-8),
    ... )
    >>> ConvexOptimum.of(point, ()).verify()
    True
    """

    kind: ClassVar[str] = "convex optimum"
    point: str
    shapes: tuple[tuple[int, tuple[Row, ...]], ...]

    @classmethod
    def of(cls, point: KKTPoint, shapes: Sequence[tuple[int, tuple[Row, ...]]]) -> Self:
        """The certificate of a KKT point in the box of its bounds."""
        assert point.subject is not None
        traced = point.subject.once
        leaves = [np.asarray(leaf) for leaf in traced.parameters]
        cuts = np.cumsum([leaf.size for leaf in leaves])[:-1]
        sides: Any = tuple(np.split(np.array(side), cuts) for side in (point.lower, point.upper))
        return cls.on_box(point.subject, sides, point=json.dumps(point.to_json(), sort_keys=True), shapes=tuple(shapes))

    def inner(self) -> KKTPoint:
        """The KKT point.

        Raises CertificateError where the text is of none.
        """
        try:
            found = Certificate.from_json(self.point)
        except (QedError, ValueError, TypeError) as error:
            raise CertificateError("point", f"it is no certificate: {error}") from None
        if not isinstance(found, KKTPoint) or found.function != self.function or found.x64 != self.x64:
            raise CertificateError("point", "it is no KKT point of this function")
        found.whole()
        return found

    def prove(self, traced: Traced) -> None:
        """Prove the KKT point, and the shapes on the box of the bounds."""
        point = self.inner()
        lower, upper = self.sides(traced)
        for side, own, name in ((self.box_lower, point.lower, "box_lower"), (self.box_upper, point.upper, "box_upper")):
            shaped(side, traced, name)
            if tuple(x for leaf in side for x in leaf) != own:
                raise CertificateError(name, "it is not the bound of the KKT point")
        point.prove(traced)
        algebra, forms = problem_terms(traced, lower, upper)
        proofs = dict(self.shapes)
        for number in (0, *(1 + i for i in point.rows)):
            form = forms[number]
            if affine(form):
                continue
            if 0 < number <= point.equalities:
                raise CertificateError("point", f"row {number - 1} is an equality that is not affine")
            if number not in proofs:
                raise CertificateError("shapes", f"nothing is proved of the function of number {number}")
            convex(algebra, form if number == 0 else algebra.scale(form, -1), proofs[number], f"shapes[{number}]")
