"""The certificate of a saddle: exactly zero slopes, a direction in which f falls, and one in which it rises.

Claimed of a function f at a point x: grad f(x) = 0 exactly, and v'H(x)v < 0 < w'H(x)w. Then f takes smaller values
along v and larger ones along w, as near to x as one likes: x is neither a minimum nor a maximum (Nocedal and Wright,
*Numerical Optimization*, 2006, theorem 2.3). Other curvatures may be zero. Slopes are zero exactly where balls need no
rounding; the two curvatures are enclosed.
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


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Saddle(Pointed):
    """A critical point that is one exactly, with directions of negative and of positive curvature.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.saddle import Saddle
    >>> Saddle.about(lambda x: x[0] * x[1] + x[2] ** 4, jnp.zeros(3), (), down=[1, -1, 0], up=[1, 1, 0]).verify()
    True
    """

    kind: ClassVar[str] = "saddle"
    down: tuple[float, ...]
    up: tuple[float, ...]

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, down: Sequence[float], up: Sequence[float]
    ) -> Self:
        """The certificate of two directions that were found."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            down=tuple(map(float, down)),
            up=tuple(map(float, up)),
        )

    def prove(self, traced: Traced) -> None:
        """Prove that the slopes are zero, and the signs."""
        f = SmoothBoxes(traced)
        point, down, up = (vector(getattr(self, name), f.size, name) for name in ("point", "down", "up"))
        try:
            _, rows = f.series(point, point, np.array([down, up, *np.eye(f.size)]), 2)
        except NotSmooth as error:
            raise CertificateError("point", str(error)) from None
        with precision(BITS):
            if any(not row[1] == 0 for row in rows[2:]):
                raise CertificateError("point", "a slope is not exactly zero")
            if not rows[0][2] < 0:
                raise CertificateError("down", "the curvature along it may not be negative")
            if not rows[1][2] > 0:
                raise CertificateError("up", "the curvature along it may not be positive")
