"""The step that is safe everywhere: where the gradient is proved to be Lipschitz, no step below 2 / L raises f.

f(w - s g) <= f(w) - s (1 - s L / 2) |g|^2        (the lemma of descent; Nesterov, 2018, lemma 1.2.3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.expanding.words import outward
from qed.calculus.lipschitz import SMALLEST, lipschitz
from qed.errors import QedError
from qed.standing import Standing


def with_safe(answer: Answer[Any], fun: Any, x: Any, args: Sequence[Any]) -> Answer[Any]:
    """The answer of `qed.step_size` with the step that is safe everywhere, where it is proved."""
    known = safe_step(fun, x, args)
    if known is None or answer.value is None:
        return answer
    safe, reason, found = known
    return replace(answer, value=replace(answer.value, safe=safe), reasons=(*answer.reasons, reason), answers=(found,))


def safe_step(fun: Any, x: Any, args: Sequence[Any]) -> tuple[float, Reason, Answer[Any]] | None:
    """2 / L with its reason and its proof, where L is proved on the whole space."""
    try:
        found = lipschitz(fun, _everywhere(x), *args, order=1, budget=2.0)
    except QedError:
        return None
    if not found.proved or not found.upper > 0:
        return None
    safe = float(np.nextafter(2 / found.upper, 0.0))
    text = (
        f"everywhere: the gradient is Lipschitz with L = {outward(found.upper, 1, 6)}; no step below "
        f"{outward(safe, -1, 6)} raises f"
        if found.upper > SMALLEST
        else f"everywhere: the gradient is the same up to L = {SMALLEST:.0e}; no step below {2 / SMALLEST:.0e} raises f"
    )
    reason = Reason(
        "the lemma of descent",
        "f(w - s g) <= f(w) - s (1 - s L / 2) |g|^2",
        f"L = {found.upper:.6g}, 2/L = {safe:.6g}",
        role="safe",
        standing=Standing.PROVED,
        text=text,
    )
    return safe, reason, found


def _everywhere(x: Any) -> Any:
    lower = jax.tree.map(lambda leaf: np.full(np.shape(leaf), -np.inf, np.asarray(leaf).dtype), x)
    upper = jax.tree.map(lambda leaf: np.full(np.shape(leaf), np.inf, np.asarray(leaf).dtype), x)
    return lower, upper
