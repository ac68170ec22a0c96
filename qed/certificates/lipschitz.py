"""The certificate of a Lipschitz constant: on every leaf of a tree of halvings a derivative is bounded.

|f(y) - f(x)| <= L |y - x| on a box where |grad f| <= L on it (order 0), and |grad f(y) - grad f(x)| <= L |y - x| where
-L I <= H <= L I (order 1): the mean value theorem along a segment. The tree is written as in
`qed.certificates.enclosure`. Verification encloses the derivatives on all leaves at once in padded float64 intervals
(`qed.certificates.boxes_together`), and where that does not suffice by series of balls (`qed.domains.ball_boxes`); L I
- H and L I + H are shown to be positive definite in a basis of approximate eigenvectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import Prover
from qed.certificates.boxes_together import Together
from qed.certificates.certificate import Boxed, Subject
from qed.certificates.enclosure import leaves
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Lipschitz(Boxed):
    """A Lipschitz constant `bound` of f (order 0) or of its gradient (order 1) on a box.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.lipschitz import Lipschitz
    >>> certificate = Lipschitz.about(
    ...     lambda x: x * x, jnp.float32(0.0), (), box=([-1.0], [2.0]), tree=(-1,), order=1, bound=2.0001
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "lipschitz"
    tree: tuple[int, ...]
    order: int
    bound: float

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, box: tuple[Sequence[Any], Sequence[Any]],
        tree: Sequence[int], order: int, bound: float,
    ) -> Self:  # fmt: skip
        """The certificate of a constant that was found; the box is two lists of arrays, as the leaves of `at`."""
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            tree=tuple(map(int, tree)),
            order=int(order),
            bound=float(bound),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the bound on every leaf of the tree."""
        self._prove(traced, Prover(traced), Together(traced))

    def confirm(self, parts: int, deadline: float = np.inf) -> None:
        """Verify with no more than so many parts of each leaf in balls, or raise CertificateError.

        OutOfTime is raised after the deadline (time.monotonic()).
        """
        assert self.subject is not None
        traced = self.subject.traced()
        self._prove(traced, Prover(traced, deadline, parts), Together(traced, deadline))

    def _prove(self, traced: Traced, prover: Prover, together: Together) -> None:
        if self.order not in (0, 1):
            raise CertificateError("order", f"{self.order} is neither 0 nor 1")
        if not 0 <= self.bound < np.inf:
            raise CertificateError("bound", f"{self.bound} is no constant")
        every = list(leaves(self.tree, *self.ends(traced)))
        done = np.zeros(len(every), bool)
        if together.known:
            low, high = (np.array([leaf[k] for leaf in every]) for k in (1, 2))
            ask = together.hessian_within if self.order else together.gradient_within
            done = ask(low, high, self.bound)
        for known, (name, low, high) in zip(done, every, strict=True):
            if known:
                continue
            if self.order == 0:
                prover.gradient_within(low, high, self.bound, name)
            else:
                prover.hessian_within(low, high, self.bound, name)
