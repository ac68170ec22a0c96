"""The divergence of two probabilities, and the entropies it is made of: supports first, then tails, then numbers.

    KL(p || q) = int log(dp/dq) dp >= 0, and 0 only for p = q (Kullback and Leibler, Ann. Math. Stat. 22, 1951),
    H(p) = - int log p dp,    H(p, q) = - int log q dp = H(p) + KL(p || q).

What one number would hide is asked first: does p put mass where q has none? Then the divergence is infinite, and the
atom or the interval proves it. Atoms are added up in balls; two members of an exponential family are compared by the
curvature of its log-normaliser, without cancellation however close they are; other densities are integrated, where a
tail may prove infinity again. Densities are per unit of length, masses per point: H of a mixture of both has both.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer
from qed.certificates.patience import patience
from qed.integration.comparison import Comparison
from qed.integration.families.vectors import VectorLaw
from qed.integration.image_divergence import of_images
from qed.integration.measure import seconds_of
from qed.integration.probabilities import as_law, as_pair
from qed.integration.product_divergence import of_products
from qed.integration.traced.tracers import measure_is_traced
from qed.integration.vector_divergence import compared


def kl(p: Any, q: Any, *, budget: float = 20.0) -> Answer[float]:
    """The Kullback-Leibler divergence KL(p || q): the mean of log p - log q under p, in nats.

    Args:
        p: the law under which the mean is taken: a measure of `qed.measures`, a product of such, or a vector of
            probabilities.
        q: the law that it is compared with.
        budget: seconds that the search for a proof may take.

    Returns:
        An answer whose value is the number, never negative: PROVED with bounds; PROVED to be infinite, with the atom or
        the interval that q lacks, or the tail; MEASURED; or UNKNOWN, with what is missing.

    Raises:
        QedError: QED601 to QED604 and QED606 for what is no probability, or is one in another form; QED007 for what is
            neither a measure nor a vector.

    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Cauchy, Normal
    >>> answer = kl(Normal(0.0, 1.0), Normal(1e-8, 1.0))
    >>> str(answer.standing), round(answer.value * 1e17, 9), answer.check()
    ('PROVED', 5.0, True)
    >>> kl([0.5, 0.5], [1.0, 0.0]).value
    inf
    """
    if measure_is_traced(p) or measure_is_traced(q):
        from qed.integration.traced.verbs import kl as compiled

        return compiled(p, q)
    if (found := compared(p, q, True, f"KL({p} || {q})" if isinstance(p, VectorLaw) else "")) is not None:
        return found
    if (found := of_products(kl, p, q, budget)) is not None:
        return found
    of_p, of_q = as_pair(p, q)
    with patience(seconds_of(budget)):
        if (found := of_images(of_p, of_q, kl)) is not None:
            return found
        return Comparison.of(of_p, of_q, True, f"KL({of_p} || {of_q})").answer()


def cross_entropy(p: Any, q: Any, *, budget: float = 20.0) -> Answer[float]:
    """The cross-entropy of q under p: the mean of -log q under p, in nats; `entropy(p)` plus `kl(p, q)`.

    Args:
        p: the law under which the mean is taken: a measure of `qed.measures`, or a vector of probabilities.
        q: the law whose logarithm is taken.
        budget: as of `kl`.

    Returns:
        As `kl`; of densities it may be negative.

    Raises:
        QedError: as `kl`.

    >>> from qed.integration.divergence import cross_entropy
    >>> round(cross_entropy([0.5, 0.5], [0.25, 0.75]).value, 9)
    0.836988217
    """
    if measure_is_traced(p) or measure_is_traced(q):
        from qed.integration.traced.verbs import cross_entropy as compiled

        return compiled(p, q)
    if (found := compared(p, q, False, "the cross-entropy of q under p")) is not None:
        return found
    if (found := of_products(cross_entropy, p, q, budget)) is not None:
        return found
    of_p, of_q = as_pair(p, q)
    with patience(seconds_of(budget)):
        return Comparison.of(of_p, of_q, False, f"the cross-entropy of {of_q} under {of_p}").answer()


def entropy(p: Any, *, budget: float = 20.0) -> Answer[float]:
    """The entropy of a law, the mean of -log p under p, in nats; of a density, the differential entropy.

    Args:
        p: a measure of `qed.measures`, a product of such, or a vector of probabilities.
        budget: as of `kl`.

    Returns:
        As `kl`; of densities it may be negative.

    Raises:
        QedError: as `kl`.

    >>> from qed.integration.divergence import entropy
    >>> round(entropy([0.5, 0.25, 0.25]).value, 9)
    1.039720771
    """
    if measure_is_traced(p):
        from qed.integration.traced.verbs import cross_entropy as compiled

        return compiled(p, p)
    if (found := compared(p, p, False, f"the entropy of {p}" if isinstance(p, VectorLaw) else "")) is not None:
        return found
    if (found := of_products(entropy, p, None, budget)) is not None:
        return found
    law = as_law(p)
    with patience(seconds_of(budget)):
        return Comparison.of(law, law, False, f"the entropy of {law}").answer()
