"""Answers about every start: what two proofs, of convexity and of the constant of the gradient, promise together."""

from __future__ import annotations

from typing import Any

from qed.answer import Answer, Reason
from qed.certificates.certificate import Certificate
from qed.errors import CertificateError
from qed.standing import Standing


def promised(
    certificate: Certificate, value: float, claim: str, why: tuple[str, str, str, str], proofs: tuple[Answer[Any], ...]
) -> Answer[float] | None:
    """The answer with that value, where its certificate is verified; None otherwise.

    Args:
        certificate: of the claim.
        value: the number of the claim, rounded outward.
        claim: the sentence.
        why: rule, formula, the formula with numbers, and text of the reason.
        proofs: the answers on which it rests.
    """
    try:
        certificate.verify()
    except CertificateError:
        return None
    rule, formula, numbers, text = why
    premises = tuple(reason for answer in proofs for reason in answer.reasons[:1])
    reason = Reason(rule, formula, numbers, premises=premises, role="worst", standing=Standing.PROVED, text=text)
    return Answer(
        claim, Standing.PROVED, value, arithmetic="reals", reasons=(reason,), certificate=certificate,
        headline=claim[0].upper() + claim[1:] + ".",
    )  # fmt: skip
