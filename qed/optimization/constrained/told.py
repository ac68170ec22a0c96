"""What is said of a point, before it is known how much of it is proved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.answer import Reason
from qed.optimization.constrained.restoration import Restored
from qed.optimization.solution import Ending

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Told:
    """What is said: the kind, the sentence; what would settle it where it is open; reasons; a direction.

    `near` is where the constraints are violated least, where that was looked for.
    """

    kind: Ending
    text: str
    settle: str | None = None
    reasons: tuple[Reason, ...] = ()
    direction: Array | None = None
    near: Restored | None = None
