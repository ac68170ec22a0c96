"""Divergences and entropies of laws of vectors: the closed form in balls, told as an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason
from qed.certificates.certificate import Subject
from qed.certificates.vector_divergence import BITS, VectorDivergence
from qed.domains.precision import precision
from qed.integration.families.vectors import VectorLaw
from qed.integration.measure import wrong
from qed.integration.words import within
from qed.standing import Standing


def compared(p: Any, q: Any, ratio: bool, name: str) -> Answer[float] | None:
    """KL(p || q) if `ratio`, else the cross-entropy of q under p; None where neither is a law of vectors.

    Raises:
        QedError: QED007 for laws of different families or lengths.
    """
    if not isinstance(p, VectorLaw) and not isinstance(q, VectorLaw):
        return None
    if not isinstance(p, VectorLaw) or not isinstance(q, VectorLaw) or p.family != q.family:
        msg = f"{p} and {q}"
        raise wrong(msg, "they are laws of different kinds", "give two laws of vectors of one family")
    if p.dimension != q.dimension:
        because = f"p is a law of vectors of {p.dimension}, q of {q.dimension}"
        raise wrong("p and q", because, "give two laws of vectors of one length")
    subject = Subject(lambda x: 0 * x, np.float64(0.5), x64=True)
    certificate = VectorDivergence.made(
        subject, family=p.family, ratio=ratio, p=p.rows, q=q.rows, lower=-np.inf, upper=np.inf
    )
    ball = certificate.enclosed()
    with precision(BITS):
        lower, upper = float(ball.lower()), float(ball.upper())
        value = float(ball.mid())
    if not (ball.is_exact() and ball == value):
        lower, upper = (float(np.nextafter(np.nextafter(a, b), b)) for a, b in ((lower, -np.inf), (upper, np.inf)))
    certificate = replace(certificate, lower=max(lower, 0.0) if ratio and ball >= 0 else lower, upper=upper).sealed()
    certificate.verify()
    rule = "the closed form, evaluated in balls"
    return Answer(
        f"{name} lies in [{certificate.lower!r}, {upper!r}]", Standing.PROVED, value, arithmetic="reals",
        error=Enclosed(certificate.lower, upper), certificate=certificate, subject=name,
        reasons=(Reason(rule, "KL(p || q) = H(p, q) - H(p, p)", standing=Standing.PROVED, text=rule),),
        headline=f"{name[0].upper() + name[1:]} is {within(certificate.lower, upper)}.",
    )  # fmt: skip
