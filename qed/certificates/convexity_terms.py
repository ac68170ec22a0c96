"""The result of a program as a term, for those who verify: with ranges that end in numbers of python-flint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.curvature import Curvature, TooMany
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

BITS = 120


def terms_of(
    traced: Traced, lower: Sequence[np.ndarray], upper: Sequence[np.ndarray], bits: int = BITS
) -> tuple[Algebra, Form]:
    """The result of a program as a term, with ranges on the box.

    Raises CertificateError where it may be undefined, or is no number.
    """
    domain = BallEnds(bits)
    curvature = Curvature(domain.name, Algebra(domain))
    with precision(domain.bits):
        box = [Ends.between(a, b) for a, b in zip(lower, upper, strict=True)]
    try:
        (cell, *_) = Walker([domain, curvature]).run(traced.graph, placed(traced, box))
    except TooMany:
        raise CertificateError("function", "it has too many numbers") from None
    value = cell.values[1]
    if isinstance(value, Unknown):
        raise CertificateError("function", str(value))
    form = value.item() if value.size == 1 and value.shape == () else None
    if not isinstance(form, Form):
        raise CertificateError("function", "it returns no real number")
    lost = curvature.algebra.lost
    if lost is not None:
        raise CertificateError("box_lower", f"somewhere on the box undefined: {lost}")
    return curvature.algebra, form


def value_of_terms(traced: Traced, point: Sequence[np.ndarray], bits: int) -> Any:
    """The value of a program at a point as a ball, by its term.

    Raises CertificateError where it may have none.
    """
    _, form = terms_of(traced, point, point, bits)
    if form.lost is not None:
        raise CertificateError("first", f"undefined at a point: {form.lost}")
    with precision(bits):
        try:
            return BallValues({}).of(form)
        except NoValue as error:
            raise CertificateError("function", f"no value in balls of {error}") from None
