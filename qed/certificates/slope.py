"""The certificate of a slope: at a point a partial derivative is not zero, and by how much.

Claimed of a function f at a point x: |d f / d x_i (x)| >= `bound` > 0, so that x is no critical point (Fermat). The
derivative is that of the function's values, enclosed by a series of balls in the direction of the coordinate, or by the
function's term (`qed.certificates.smooth_terms`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Pointed, Subject, vector
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.certificates.smooth_terms import SmoothTerm
from qed.domains.ball_boxes import BITS, NotSmooth
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

NEAR = 2.0**-30
"""How large the box about the point is on which the function is to be smooth."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Slope(Pointed):
    """A partial derivative of at least `bound` in size, in coordinate `index` of the arrays laid end to end.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.slope import Slope
    >>> Slope.about(lambda x: x**2, jnp.float32(3.0), (), index=0, bound=5.9).verify()
    True
    """

    kind: ClassVar[str] = "slope"
    index: int
    bound: float

    @classmethod
    def about(cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, index: int, bound: float) -> Self:
        """The certificate of a slope that was found."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            index=int(index),
            bound=float(bound),
        )

    def _by_term(self, traced: Traced, point: Any, why: str) -> Any:
        """The slope where the program chooses and the function is smooth all the same."""
        radius = NEAR * np.maximum(np.abs(point), 1.0)
        try:
            return SmoothTerm(traced, point - radius, point + radius).derivatives(point, point)[0][self.index]
        except NotSmooth as error:
            raise CertificateError("point", f"{why}; {error}") from None

    def prove(self, traced: Traced) -> None:
        """Prove that the slope is at least as large."""
        f = SmoothBoxes(traced)
        point = vector(self.point, f.size, "point")
        if not 0 <= self.index < f.size:
            raise CertificateError("index", "there is no such coordinate")
        if not self.bound > 0:
            raise CertificateError("bound", "it is not positive")
        direction = np.zeros((1, f.size))
        direction[0, self.index] = 1.0
        try:
            slope = f.series(point, point, direction, 1)[1][0][1]
        except NotSmooth as error:
            slope = self._by_term(traced, point, str(error))
        with precision(BITS) as flint:
            if not abs(slope) >= flint.arb(self.bound):
                raise CertificateError("bound", f"the slope is {slope.str(8)}")
