"""The certificate of a divergence, or cross-entropy, of two products of laws on the line, by those of their factors.

    KL(p_1 x ... x p_n || q_1 x ... x q_n) = sum_i KL(p_i || q_i),      H(p, q) = sum_i H(p_i, q_i)

since log of a product is the sum of the logs (Kullback and Leibler, Ann. Math. Stat. 22, 1951, theorem 2.1). No
divergence is negative, so that one infinite term makes the sum infinite whatever the others are; among cross-entropies
the others must be finite for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np

from qed.certificates.censored_divergence import CensoredDivergence
from qed.certificates.certificate import Certificate
from qed.certificates.divergence import Divergence
from qed.certificates.fingerprint import fingerprint
from qed.certificates.image_divergence import ImageDivergence
from qed.domains.balls import outward
from qed.domains.precision import flint, precision
from qed.errors import CertificateError, QedError
from qed.graph.graph import Variable
from qed.graph.trace import Traced

Pieces = tuple[tuple[int, int, str], ...]
BITS = 256


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ProductDivergence(Certificate):
    """Bounds of KL(p || q) if `ratio`, else of the cross-entropy of q under p.

    A piece is how often its term counts, how many outputs of the function are its own, and its certificate as JSON.

    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Exponential, Normal, product
    >>> found = kl(product(Normal(), Exponential(1.0)), product(Normal(1.0, 1.0), Exponential(2.0)))
    >>> round(found.value, 9), found.certificate.verify()
    (0.806852819, True)
    """

    kind: ClassVar[str] = "divergence of products"
    ratio: bool
    pieces: Pieces
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if not self.lower <= self.upper or not self.pieces:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval, or there is no piece")
        start, known = 0, []
        for k, (times, count, data) in enumerate(self.pieces):
            name = f"pieces[{k}]"
            piece = self._piece(name, times, data)
            inner = _outputs(traced, start, start + count)
            if fingerprint(inner.graph) != piece.function:
                raise CertificateError(name, "it was made for another function")
            piece.whole()
            piece.prove(inner)
            known.append((times, piece.lower, piece.upper))
            start += count
        lower, upper = added(known, self.ratio)
        if not (self.lower <= lower and upper <= self.upper):
            raise CertificateError("lower", f"the pieces add up to [{lower!r}, {upper!r}]")

    def _piece(self, name: str, times: int, data: str) -> Any:
        try:
            piece = Certificate.from_json(data)
        except QedError as error:
            raise CertificateError(name, "it is no certificate") from error
        if isinstance(piece, Divergence):
            if piece.ratio != self.ratio:
                raise CertificateError(name, "a divergence is no cross-entropy")
        elif not isinstance(piece, ImageDivergence | CensoredDivergence) or not self.ratio:
            raise CertificateError(name, "it is a certificate of another kind")
        if times < 1:
            raise CertificateError(name, "it counts at least once")
        return piece


def added(known: list[tuple[int, float, float]], ratio: bool) -> tuple[float, float]:
    """The bounds of a sum from (times, lower, upper) of its terms, rounded outward.

    >>> from qed.certificates.product_divergence import added
    >>> added([(2, 0.5, 0.5), (1, 1.0, 2.0)], True), added([(1, float("inf"), float("inf")), (1, 1.0, 2.0)], True)
    ((2.0, 3.0), (inf, inf))
    """
    if any(lower == np.inf for _, lower, _ in known):
        if not ratio and any(lower == -np.inf for _, lower, _ in known):
            raise CertificateError("pieces", "one is infinite, and of another nothing is known")
        return np.inf, np.inf
    if any(np.isinf(end) for _, *ends in known for end in ends):
        raise CertificateError("pieces", "one is not bounded")
    with precision(BITS):
        arb = flint().arb
        ends = [sum((times * arb(one[k]) for times, *one in known), arb(0)) for k in (0, 1)]
        least = 0.0 if ratio else -np.inf
    return _end(ends[0], least, 0), _end(ends[1], least, 1)


def _end(ball: Any, least: float, k: int) -> float:
    """The number that a ball is, if float64 holds it, or its lower (0) or upper (1) end, rounded outward."""
    middle = float(ball.mid())
    return middle if ball.is_exact() and ball == flint().arb(middle) else outward(ball, least)[k]


def _outputs(traced: Traced, start: int, stop: int) -> Traced:
    """The function with some of its outputs, and without what only the others need."""
    graph = traced.graph
    if not 0 <= start < stop <= len(graph.outputs):
        raise CertificateError("pieces", "the function has fewer outputs")
    kept = graph.outputs[start:stop]
    needed, equations = {one for one in kept if isinstance(one, Variable)}, []
    for equation in reversed(graph.equations):
        if not needed.isdisjoint(equation.outputs):
            equations.append(equation)
            needed |= {atom for atom in equation.inputs if isinstance(atom, Variable)}
    constants = tuple(one for one in graph.constants if one[0] in needed)
    small = replace(graph, equations=tuple(reversed(equations)), outputs=kept, constants=constants)
    return replace(traced, graph=small)
