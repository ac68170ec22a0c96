"""The certificate of a global minimum with flat directions: exactly zero slopes, and a proof of convexity.

f(y) >= f(x) + grad f(x)'(y - x) for a function f that is convex where it is defined, and all y (Boyd and Vandenberghe,
*Convex Optimization*, 2004, section 3.1.3): with grad f(x) = 0 no point is lower than x, whatever the Hessian is there.
Where f is concave none is higher. That grad f(x) = 0 and H(x) v = 0 exactly is what a `FlatDirection` proves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, Pointed
from qed.certificates.convexity import Convexity
from qed.certificates.flat_direction import FlatDirection
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class OverallPoint(Pointed):
    """A global minimum (`sign` 1) or maximum (-1): the JSON texts of a `FlatDirection` and of a `Convexity`.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.points.overall import shape
    >>> from qed.calculus.points.case import Case
    >>> from qed.graph.function import read
    >>> f, x = lambda x: (x[0] + x[1]) ** 2, jnp.zeros(2)
    >>> flat = FlatDirection.about(f, x, (), direction=[1.0, -1.0])
    >>> OverallPoint.of(flat, shape(Case(f, x, (), read(f, x)))).verify()
    True
    """

    kind: ClassVar[str] = "overall point"
    reads_meant: ClassVar[bool] = True
    flat: str
    shape: str
    sign: int

    @classmethod
    def of(cls, flat: FlatDirection, shape: Convexity) -> Self:
        """The certificate of a point and of a shape, of the same function."""
        assert flat.subject is not None
        texts = (json.dumps(one.to_json(), sort_keys=True) for one in (flat, shape))
        sign = -1 if shape.claim == "concave" else 1
        return cls.at_point(flat.subject, flat=next(texts), shape=next(texts), sign=sign)

    def inner(self) -> tuple[FlatDirection, Convexity]:
        """The two certificates.

        Raises CertificateError where the texts are of none, or of another function.
        """
        try:
            flat, shape = Certificate.from_json(self.flat), Certificate.from_json(self.shape)
        except (QedError, ValueError, TypeError) as error:
            raise CertificateError("flat", f"it is no certificate: {error}") from None
        if not isinstance(flat, FlatDirection) or not isinstance(shape, Convexity):
            raise CertificateError("flat", "they are no flat direction and no convexity")
        for name, one in (("flat", flat), ("shape", shape)):
            if one.function != self.function or one.x64 != self.x64:
                raise CertificateError(name, "it is of another function")
            one.whole()
        return flat, shape

    def prove(self, traced: Traced) -> None:
        """Prove the slopes and the shape, on all of the space."""
        flat, shape = self.inner()
        if flat.point != self.point:
            raise CertificateError("point", "it is not the point of the flat direction")
        if (self.sign, shape.claim) not in ((1, "convex"), (1, "affine"), (-1, "concave"), (-1, "affine")):
            raise CertificateError("sign", f"{self.sign} is not what a function is for that is {shape.claim}")
        if not all(np.all(np.isinf(side)) for box in (shape.box_lower, shape.box_upper) for side in box):
            raise CertificateError("shape", "it is of a box, not of all points")
        flat.prove(traced)
        shape.prove(traced)
