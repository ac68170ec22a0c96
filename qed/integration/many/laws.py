"""What a certificate holds of a coordinate's law: its name and parameters, or that it is length, and its ends."""

from __future__ import annotations

from qed.certificates.named_laws import Law
from qed.domains.densities import NAMED
from qed.integration.measure import Measure


def named(law: Measure) -> Law | None:
    """A law that is one density with a name, or length on an interval; None for others.

    >>> import qed
    >>> named(qed.measures.Normal(1.0, 2.0)), named(qed.measures.Dirac(0.0))
    (('Normal', (1.0, 2.0), -inf, inf), None)
    """
    if law.atoms or len(law.parts) != 1:
        return None
    (part,) = law.parts
    if part.log_density is not None or part.counting or part.of is not None or part.weight != 1:
        return None
    if not part.probability:
        return ("", (), part.lower, part.upper) if part.family == "Uniform" else None
    if part.family not in NAMED or (part.lower, part.upper) != NAMED[part.family].support(*part.parameters):
        return None
    return part.family, part.parameters, part.lower, part.upper
