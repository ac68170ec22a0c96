"""The certificate of the divergence of two laws g(X) and g(Y), for one map g that is one to one.

    KL(g P || g Q) = KL(P || Q):

what a map does that can be undone changes no likelihood ratio (Kullback and Leibler, 1951, theorem 4.1). The divergence
of P and Q has a certificate of its own, kept as text; that g rises or falls strictly where they have mass is read off
its graph (`qed.domains.direction`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np

from qed.certificates.certificate import Certificate, Subject, placed
from qed.certificates.divergence import Divergence
from qed.certificates.fingerprint import fingerprint
from qed.domains.direction import Direction, Directions
from qed.domains.known import Known
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced
from qed.graph.walk import Walker


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ImageDivergence(Certificate):
    """Bounds of KL(g P || g Q); the function behind it returns what that of the `base` does, and g(x) last.

    >>> import jax.numpy as jnp
    >>> from qed.integration.divergence import kl
    >>> from qed.integration.measures import Normal, pushforward
    >>> p, q = (pushforward(Normal(mean, 1.0), jnp.tanh) for mean in (0.0, 0.5))
    >>> kl(p, q).certificate.verify()
    True
    """

    kind: ClassVar[str] = "divergence of images"
    base: str
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        try:
            base = Certificate.from_json(json.loads(self.base))
        except (QedError, ValueError, TypeError) as error:
            raise CertificateError("base", "it is no certificate") from error
        if not isinstance(base, Divergence) or not base.ratio or base.p_atoms or base.q_atoms:
            raise CertificateError("base", "it is no divergence of two laws with densities, or on whole numbers")
        if (base.lower, base.upper) != (self.lower, self.upper):
            raise CertificateError("base", "it has other bounds")
        first = [part[2][0] for part in (*base.p_parts, *base.q_parts)]
        first += [float(one[2]) for one in (*base.p_sums, *base.q_sums)]
        if not one_to_one(traced, len(traced.graph.outputs) - 1, min(first)):
            raise CertificateError("function", "the map is not proved to rise or to fall strictly")
        base.whole()
        inner = without_map(traced)
        if fingerprint(inner.graph) != base.function:
            raise CertificateError("base", "it was made for another function")
        base.prove(inner)


def one_to_one(traced: Traced, output: int, lower: float) -> bool:
    """Whether an output rises or falls strictly for all x >= lower.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.image_divergence import one_to_one
    >>> from qed.graph.trace import trace
    >>> [one_to_one(trace(lambda x: (x**2,), 0.5), 0, lower) for lower in (0.0, -1.0)]
    [True, False]
    """
    found = moving(traced, output, lower, np.inf)
    return found is not None and bool(found.sign) and found.strict


def moving(traced: Traced, output: int, lower: float, upper: float) -> Direction | None:
    """How an output moves between lower and upper; None where that is not known.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.image_divergence import moving
    >>> from qed.graph.trace import trace
    >>> relu = trace(lambda x: (jnp.maximum(x, 0.0),), 0.5)
    >>> [moving(relu, 0, *ends).sign for ends in ((-1.0, 0.0), (0.0, 1.0))]
    [0, 1]
    """
    start = Direction.along(lower, upper)
    found = Walker([Directions()]).run(traced.graph, placed(traced, [start]))[output].values[0]
    if isinstance(found, Known):
        value = np.asarray(found.array)
        return None if value.shape or not np.isfinite(value) else Direction.still(float(value))
    return found if isinstance(found, Direction) else None


def without_map(traced: Traced) -> Traced:
    """The function without its last output, and without what only that needs."""
    graph = traced.graph
    others, last = _needed(traced, graph.outputs[:-1]), _needed(traced, graph.outputs[-1:])
    kept = tuple(e for e in graph.equations if not last.issuperset(e.outputs) or not others.isdisjoint(e.outputs))
    constants = tuple(one for one in graph.constants if one[0] in others or one[0] not in last)
    return replace(traced, graph=replace(graph, equations=kept, outputs=graph.outputs[:-1], constants=constants))


def _needed(traced: Traced, outputs: Sequence[Any]) -> set[Any]:
    """The values from which outputs are computed, themselves included."""
    needed = set(outputs)
    for equation in reversed(traced.graph.equations):
        if not needed.isdisjoint(equation.outputs):
            needed |= {*equation.inputs, *equation.outputs}
    return needed


def with_map(base: Divergence, g: object) -> Subject:
    """The function behind a base with g(x) for one more output."""
    assert base.subject is not None and callable(g)
    inner, moved = base.subject, g
    return replace(inner, fun=lambda x: (*inner.fun(x), moved(x)))


def same_map(one: Subject, other: Subject) -> bool:
    """Whether two maps have one graph."""
    return one.fun is other.fun or fingerprint(one.traced().graph) == fingerprint(other.traced().graph)
