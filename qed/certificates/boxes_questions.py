"""Questions about boxes, collected: first asked of all boxes together in float64, then one by one in balls.

The first is fast and knows few primitives (`qed.certificates.boxes_together`); the second is slow, knows nearly all,
and has the last word: what it does not prove raises CertificateError (`qed.certificates.boxes`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.certificates.boxes import Prover
from qed.certificates.boxes_together import Together
from qed.graph.trace import Traced

Array = np.ndarray


class Questions:
    """What is to be proved of a traced function; OutOfTime is raised after the deadline (time.monotonic()).

    Where `negative` is set it is about -f; of an array it is about one component, in balls only.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.boxes_questions import Questions
    >>> from qed.graph.trace import trace
    >>> ask = Questions(trace(lambda x: jnp.sum(x * x), np.zeros(1)))
    >>> ask.at_least(np.array([1.0]), np.array([2.0]), 1.0, "the square")
    >>> ask.settle()
    """

    def __init__(
        self, traced: Traced, deadline: float = np.inf, negative: bool = False, component: int | None = None
    ) -> None:
        self.balls = Prover(traced, deadline, negative=negative, component=component)
        self.together = Together(traced, deadline, negative) if component is None else None
        self._bounds: list[tuple[Array, Array, float, str, bool]] = []
        self._slopes: list[tuple[Array, Array, int, bool, str]] = []

    def at_least(self, lower: Array, upper: Array, bound: float, name: str, strictly: bool = False) -> None:
        """Ask whether f >= bound on a box, or f > bound."""
        self._bounds.append((lower, upper, bound, name, strictly))

    def sloped(self, lower: Array, upper: Array, i: int, down: bool, name: str) -> None:
        """Ask whether f has slopes > 0 in the i-th coordinate of a box (< 0 where `down`)."""
        self._slopes.append((lower, upper, i, down, name))

    def settle(self) -> None:
        """Prove all that was asked."""
        bounds, slopes = self._bounds, self._slopes
        self._bounds, self._slopes = [], []
        for strictly in (True, False):
            of_kind = [question for question in bounds if question[4] == strictly]
            known = self._known(of_kind, lambda ask, low, high, rest, s=strictly: _at_least(ask, low, high, rest[0], s))
            for k in np.flatnonzero(~known):
                self.balls.at_least(*of_kind[k])
        known = self._known(slopes, lambda ask, low, high, rest: ask.sloped(low, high, rest[0], rest[1]))
        for k in np.flatnonzero(~known):
            self.balls.sloped(*slopes[k])

    def _known(self, questions: list[Any], answer: Any) -> Array:
        """Which of the questions are settled together."""
        if not questions or self.together is None or not self.together.known:
            return np.zeros(len(questions), bool)
        low, high, *rest = zip(*questions, strict=True)
        return answer(self.together, np.array(low), np.array(high), rest)

    def convex(self, lower: Array, upper: Array, point: Array, free: Array, name: str) -> None:
        """Prove that the Hessian is positive definite on a box, in the free coordinates."""
        known = np.any(free) and self.together is not None and self.together.known
        if known and self.together is not None and self.together.convex(lower, upper, free):
            return
        self.balls.convex(lower, upper, point, free, name)


def _at_least(ask: Together, low: Array, high: Array, bound: Any, strictly: bool) -> Array:
    return ask.at_least(low, high, np.asarray(bound, float), strictly)
