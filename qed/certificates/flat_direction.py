"""The certificate of a degenerate critical point: exactly zero slopes, and a direction without curvature.

Claimed of a function f at a point x: grad f(x) = 0 and H(x) v = 0 for a direction v that is not zero, both exactly;
along v the first of the derivatives D^k f(x)[v, ..., v], k >= 3, that is not zero is that of the order `order`, and has
the sign of `sign`; with order 0 nothing is claimed of them. Along v alone f then has a minimum (even order, positive),
a maximum (even, negative), or neither (odd order), the higher-derivative test (Apostol, *Calculus*, volume 1, 1967,
section 7.8, theorem 7.8). With one variable, that decides what x is.

The numbers are exact where balls need no rounding: sums and products of short numbers. Where they need it, an interval
about zero is all that is known, and nothing is certified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Pointed, Subject, vector
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.ball_boxes import BITS, NotSmooth
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

HIGHEST = 12
"""The highest order of a derivative that is asked for."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FlatDirection(Pointed):
    """A critical point that is one exactly, with a direction in which the Hessian is exactly zero.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.flat_direction import FlatDirection
    >>> FlatDirection.about(lambda x: x**4, jnp.float32(0.0), (), direction=[1.0], order=4, sign=1).verify()
    True
    """

    kind: ClassVar[str] = "flat direction"
    direction: tuple[float, ...]
    order: int
    sign: int

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, direction: Sequence[float], order: int = 0,
        sign: int = 0,
    ) -> Self:  # fmt: skip
        """The certificate of a direction that was found."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            direction=tuple(map(float, direction)),
            order=int(order),
            sign=int(sign),
        )

    def prove(self, traced: Traced) -> None:
        """Prove that slopes and curvatures are zero, and the order."""
        f = SmoothBoxes(traced)
        point, direction = (vector(getattr(self, name), f.size, name) for name in ("point", "direction"))
        if not np.any(direction):
            raise CertificateError("direction", "it is zero")
        if not (self.order == 0 == self.sign or (3 <= self.order <= HIGHEST and self.sign in (-1, 1))):
            raise CertificateError("order", f"{self.order} is no order between 3 and {HIGHEST}, or it has no sign")
        units = np.eye(f.size)
        sums = units + direction
        if np.any(sums - direction != units) or np.any(sums - units != direction):
            raise CertificateError("direction", "its numbers are too long")
        try:
            _, rows = f.series(point, point, np.array([direction, *units, *sums]), max(2, self.order))
        except NotSmooth as error:
            raise CertificateError("point", str(error)) from None
        n = f.size
        with precision(BITS):
            if any(not rows[1 + i][1] == 0 for i in range(n)):
                raise CertificateError("point", "a slope is not exactly zero")
            if any(not rows[1 + n + i][2] - rows[1 + i][2] - rows[0][2] == 0 for i in range(n)):
                raise CertificateError("direction", "the Hessian does not take it to zero exactly")
            if self.order:
                last = rows[0][self.order]
                if any(not term == 0 for term in rows[0][2 : self.order]):
                    raise CertificateError("order", "a derivative of lower order may not be zero")
                if not (last > 0 if self.sign > 0 else last < 0):
                    raise CertificateError("sign", f"the coefficient of that order is {last.str(8)}")
