"""What `qed.derive` finds: the derivations, the numbers, and what was observed beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qed.calculus.deriving import words
from qed.calculus.deriving.ascent import Ascent
from qed.calculus.deriving.corners import Corner
from qed.calculus.deriving.matrix import MatrixDerivation
from qed.calculus.deriving.partial import Partial, Step
from qed.calculus.deriving.quotients import Limit, Tangent
from qed.facts import Expression


@dataclass(frozen=True, eq=False)
class Sided:
    """The derivative in one variable at a corner: from the right and from the left.

    `exact` says whether the pieces meet there as real numbers (None: balls cannot tell).
    """

    right: Partial | None
    left: Partial | None
    corner: Corner
    exact: bool | None
    why: str = ""

    @property
    def agree(self) -> bool:
        """Whether both sides give the same slope, so that the derivative exists."""
        if self.right is None or self.left is None:
            return False
        return math.isclose(self.right.value, self.left.value, rel_tol=1e-9, abs_tol=1e-12 * self.right.scale)


@dataclass(frozen=True, eq=False)
class Derivation:
    """The derivative of a function of numbers, derived.

    Args:
        function: the function's name.
        partials: one derivative for each entry of the parameters, the others held constant.
        sided: where pieces meet at the point, what the two sides give, by the name of the variable.
        value: the derivative as a number, or a pytree of arrays like x (NaN where there is none).
        observed: what `jax.grad` gives, in the same form (`observed_by` says so where it was jax.jacfwd).
        limit: difference quotients, for a function of one number.
        tangent: the tangent line, for a function of one number.
        ascent: the slopes along random directions, for more than one number.
        matrix: the chain rule for arrays, where a parameter is one.
    """

    function: str
    partials: tuple[Partial, ...]
    sided: Mapping[str, Sided]
    value: Any
    observed: Any
    limit: Limit | None = None
    tangent: Tangent | None = None
    ascent: Ascent | None = None
    matrix: MatrixDerivation | None = None
    observed_by: str = "jax.grad"

    @property
    def numbers(self) -> np.ndarray:
        """The derived numbers as one vector; NaN where there is no derivative."""
        if not self.partials and self.matrix is not None:
            return np.concatenate([np.ravel(value) for value in self.matrix.values.values()])
        return np.array([slope_of(partial, self.sided) for partial in self.partials])

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, one variable after the other."""
        return tuple(step for partial in self.partials for step in partial.steps)

    @property
    def formula(self) -> Expression | dict[str, Expression]:
        """The derivative as a formula; for several variables one for each, by name."""
        found = {partial.variable: partial.formula for partial in self.partials}
        return next(iter(found.values())) if len(found) == 1 else found

    @cached_property
    def text(self) -> str:
        """The derivation as plain text."""
        blocks = [self.matrix.text] if self.matrix is not None else []
        return "\n\n".join([*blocks, *([words.text(self.function, self.partials)] if self.partials else [])])

    @cached_property
    def tex(self) -> str:
        """The derivation as TeX, an align* environment for each variable."""
        blocks = [self.matrix.tex] if self.matrix is not None else []
        return "\n\n".join([*blocks, *([words.tex(self.function, self.partials)] if self.partials else [])])


def slope_of(partial: Partial, sided: Mapping[str, Sided]) -> float:
    """The number of a derivation; NaN at a corner whose sides do not agree."""
    both = sided.get(partial.variable)
    return partial.value if both is None or both.agree else math.nan
