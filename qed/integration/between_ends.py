"""What balls say of the part that the rules have seen, where the tails of an integral are not enclosed.

Two rules may miss the same needle. Between the ends beyond which the density is 0 in float64 the cells of a certificate
enclose the integral all the same: where that ball and the rules contradict each other, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qed.certificates.expectation import Expectation
from qed.certificates.integral_parts import BITS, Part, value_on
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.proposals import Share
from qed.integration.quadrature import ends_in_float64

CLOSE = 1e-3
"""How narrow the balls are asked to be, in parts of the value."""
PLACES = 5
"""At how many numbers it is tried whether balls can look at a function at all."""


def contradicted(certificate: Expectation, traced: Traced, shares: Sequence[Share]) -> str:
    """What balls say against the rules, if anything; also where a ball is too wide to say so.

    Args:
        certificate: one that holds the parts.
        traced: its function.
        shares: what the rules say: of the atoms, and then of each part.
    """
    following = 1
    for k, (data, share) in enumerate(zip(certificate.parts, shares[1:], strict=True)):
        output, following = (0, following) if data[0] else (following, following + 1)
        if share.u is None or share.proposal is None or not share.part or not share.part.weight:
            continue
        cuts = tuple(ends_in_float64(share.u, share.cuts))
        cuts = tuple(c for c in cuts if np.isfinite(c))
        if len(cuts) < 2:
            continue
        try:
            with precision(BITS):
                value, error = share.proposal.value, share.proposal.error
                part = Part(certificate.seen(traced, k), (*data[:2], cuts, data[3], False), output, f"parts[{k}]")
                found = part.between(CLOSE * max(abs(value), share.proposal.size), data[4])
        except (CertificateError, TooLong):
            if why := _not_walked(certificate.seen(traced, k), cuts):
                return f"no ball looks between the points of the rules, which say {value:.9g}: {why}"
            continue
        if not found.is_finite():
            return "the enclosure between the ends is too wide to confirm what the rules say"
        if not (float(found.lower()) <= value + error and float(found.upper()) >= value - error):
            return f"balls between the ends say {found.str(6)}, and the rules {value:.6g}"
    return ""


def _not_walked(traced: Traced, cuts: Sequence[float]) -> str:
    """Why the function has no enclosure at any of a few numbers between the cuts; nothing where it has one."""
    why = ""
    for x in np.linspace(cuts[0], cuts[-1], PLACES + 2)[1:-1]:
        try:
            with precision(BITS):
                if value_on(traced, 0, float(x), float(x), "function").is_finite():
                    return ""
        except CertificateError as error:
            why = error.why
        except TooLong as error:
            why = str(error)
    return why
