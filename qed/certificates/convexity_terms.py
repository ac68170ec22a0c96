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
from qed.domains.value import Value
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
        raise CertificateError("box_lower", f"{lost} may be undefined somewhere on the box")
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
            found = BallValues({}).of(form)
        except NoValue as error:
            raise CertificateError("function", f"no value in balls of {error}") from None
    _compared_with_run(traced, point, found)
    return found


class OfAnotherFunction(CertificateError):
    """A term is not the program that it was made from."""


ROUNDING = 0.02
"""How far a run may be from the term's value, in relation to the larger of both: a slip of a rule is not so small."""


def _compared_with_run(traced: Traced, point: Sequence[np.ndarray], found: Any) -> None:
    """Compare a term's value with what the program returns, where balls know no other value to compare it with.

    Raises OfAnotherFunction where they differ; says nothing where the run overflows, or moves to another point.
    """
    dtypes = [traced.graph.inputs[k].dtype for k in traced.free]
    leaves = [leaf.astype(dtype) for leaf, dtype in zip(point, dtypes, strict=True)]
    if any(np.any(a.astype(np.float64) != b) for a, b in zip(leaves, point, strict=True)):
        return
    (cell, *_) = Walker([Value()]).run(traced.graph, placed(traced, leaves))
    value, term = float(np.asarray(cell.values[0])), float(found.mid())
    if not (np.isfinite(value) and np.isfinite(term)):
        return
    if abs(value - term) > float(found.rad()) + ROUNDING * max(abs(value), abs(term)) + 1e-6:
        raise OfAnotherFunction("function", f"the term is {term:.7g} where the program returns {value:.7g}")
