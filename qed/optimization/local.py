"""The linear rule that a training step is near one state, and its stability limit.

With the second moment v frozen, gradient descent, momentum, RMSProp, Adam and AdamW are one linear rule,

    m <- b m + g,     w <- w - S m - C w        (Nesterov's variant: w <- w - S (g + b m) - C w)

with a diagonal response S and a decoupled decay C. Of Adam, S = (1 - b1) rate P^-1 with the preconditioner
P = sqrt(v_hat) + eps (long after the start), and C = rate weight_decay. Along an eigenvector the error is multiplied
by the roots z of z^2 - (1 - C + b - l) z + b (1 - C) with l the curvature times S; the first to leave the unit disc
does so at z = -1. With Hessian H the rule is therefore stable near a minimum if

    lambda_max( S^1/2 H S^1/2 / (1 + b) + C ) < 2       (Nesterov: the first term times 1 + 2 b),

which without decay is lambda_max(P^-1/2 H P^-1/2) < (2 + 2 b1) / ((1 - b1) rate). The left side is called the
*load*; it is proportional to the rate, so that load / 2 says how many times the rate exceeds its limit. Decay inside
the gradient (g + R w, an L2 penalty) adds its ridge R to H. A rule that accumulates k gradients and then makes one
update is that update, once in k calls.

Reference: Cohen et al., *Adaptive gradient methods at the edge of stability*, 2022, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.optimization.step import StepRule


@dataclass(frozen=True, eq=False)
class LocalRule:
    """The linear rule that a transformation is near one state.

    Args:
        momentum: b.
        nesterov: whether the gradient is looked at ahead.
        response: S, one number per parameter; 0 where the second moment is 0 or the gradient is clipped by value.
        decay: C, one number per parameter.
        rate: the effective learning rate, or None where it differs between parameters.
        second: b2, the memory of the second moment, or None where there is none.
        averaged: whether the memory averages gradients, (1 - b) of each, as Adam's does.
        clipped: the factor by which the gradient's norm is reduced at this state; 1 where it is not.
        ridge: R, what of the parameters is added to the gradient, one number per parameter; None where nothing is.
        every: how many gradients are averaged for one update.
        ceiling: the size to which entries of the gradient are cut at this state; None where none is, or not to one.
    """

    momentum: float
    nesterov: bool
    response: np.ndarray
    decay: np.ndarray
    rate: float | None
    second: float | None
    averaged: bool
    clipped: float = 1.0
    ridge: np.ndarray | None = None
    every: int = 1
    ceiling: float | None = None

    @property
    def preconditioned(self) -> bool:
        """Whether gradients are divided by the root of a second moment."""
        return self.second is not None

    @property
    def limit_formula(self) -> str:
        """The limit of the rate as a formula in eigenvalues of the Hessian H, the decay left out."""
        b, matrix = self.momentum, "(P^-1/2 H P^-1/2)" if self.preconditioned else ""
        top = f"(2 + 2*{b:.3g})" if b else "2"
        below = [f"(1 - {b:.3g})"] if b and self.averaged else []
        below += [f"(1 + 2*{b:.3g})"] if self.nesterov else []
        bottom = " ".join([*below, f"lambda_max{matrix}"])
        return f"{top}/({bottom})" if below else f"{top}/{bottom}"

    @property
    def clipping(self) -> bool:
        """Whether the gradient is clipped at this state, by norm or by value."""
        return self.clipped != 1.0 or not (self.preconditioned or self.response.all())

    @property
    def plain(self) -> StepRule | None:
        """The same as gradient descent with one rate, whose limit has a closed form; None where it is more."""
        if self.preconditioned or self.rate is None or self.decay.any() or self.clipping or self.every > 1:
            return None
        if self.ridge is not None:
            return None
        options: tuple[tuple[str, Any], ...] = (("momentum", self.momentum),) if self.momentum else ()
        return StepRule("sgd", self.rate, (*options, ("nesterov", True)) if self.nesterov else options)

    def load(self, product: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """The symmetric product whose largest eigenvalue is stable below 2, from v -> H v."""
        b, root = self.momentum, np.sqrt(self.response)
        factor = (1 + 2 * b if self.nesterov else 1) / (1 + b)
        ridge = 0.0 if self.ridge is None else self.ridge

        def load(vector: np.ndarray) -> np.ndarray:
            return factor * root * (product(root * vector) + ridge * root * vector) + self.decay * vector

        return load

    def growth(self, load: float) -> float:
        """The factor by which one step multiplies an error in the direction of that load (the decay left out)."""
        b = self.momentum
        options = (("momentum", b), ("nesterov", self.nesterov))
        return StepRule("sgd", 1.0, options).growth(load * (1 + b) / (1 + 2 * b if self.nesterov else 1))

    def curvature(self, load: float) -> float | None:
        """lambda_max(P^-1/2 H P^-1/2), from a load without decay; None where the rate is not one number."""
        if self.rate is None:
            return None
        b = self.momentum
        return load * (1 + b) / (self.rate * (1 - b if self.averaged else 1) * (1 + 2 * b if self.nesterov else 1))

    def __str__(self) -> str:
        words = ["gradients over the root of their second moment" if self.preconditioned else "gradient descent"]
        words += [] if self.rate is None else [f"rate {self.rate:.4g}"]
        words += [f"momentum {self.momentum:.4g}"] if self.momentum else []
        words += ["Nesterov's variant"] if self.nesterov else []
        words += [f"b2 {self.second:.4g}"] if self.second is not None else []
        words += ["decoupled decay"] if self.decay.any() else []
        words += [] if self.ridge is None else [f"decay {self.ridge.max():.3g} inside the gradient"]
        words += [f"one update for {self.every} gradients"] if self.every > 1 else []
        return ", ".join(words)


@dataclass(frozen=True)
class NotIdentified:
    """Why no local rule is known; `words` continue "its update ..."."""

    words: str
