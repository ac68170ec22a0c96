"""The certificate of a divergence, or cross-entropy, of two laws of vectors, by their closed form in balls.

The closed forms are those of `qed.domains.vector_laws`; what cancels between close laws is bought by many bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from qed.certificates.bounded import surely_within
from qed.certificates.certificate import Certificate
from qed.domains.precision import precision
from qed.domains.vector_laws import Rows, cross_entropy, fault
from qed.errors import CertificateError
from qed.graph.trace import Traced

BITS = 512


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class VectorDivergence(Certificate):
    """Bounds of KL(p || q) if `ratio`, else of the cross-entropy of q under p; the function behind it says nothing.

    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Dirichlet
    >>> kl(Dirichlet([1.0, 2.0]), Dirichlet([2.0, 2.0])).certificate.verify()
    True
    """

    kind: ClassVar[str] = "vector divergence"
    family: str
    ratio: bool
    p: Rows
    q: Rows
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        found = self.enclosed()
        with precision(BITS):
            surely_within(found, self.lower, self.upper)

    def enclosed(self) -> Any:
        """A ball of the number."""
        for name in ("p", "q"):
            if wrong := fault(self.family, getattr(self, name)):
                raise CertificateError(name, wrong)
        if len(self.p[0]) != len(self.q[0]):
            raise CertificateError("q", "p and q are laws of vectors of different lengths")
        with precision(BITS) as library:
            if self.ratio and self.p == self.q:
                return library.arb(0)
            found = cross_entropy(self.family, self.p, self.q)
            return found - cross_entropy(self.family, self.p, self.p) if self.ratio else found
