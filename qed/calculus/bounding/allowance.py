"""The seconds that an answer may take: a search that ends early enough for what it found to be verified in time.

A bound that nobody verified is worth nothing, so that the parts of a question share what is left of its budget, and
each is given a moment at which it must stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from qed.answer import Missing
from qed.progress import Progress


@dataclass(frozen=True)
class Allowance:
    """When a question began (time.monotonic()), how many seconds it may take, and who is told of the progress.

    >>> import time
    >>> from qed.calculus.bounding.allowance import Allowance
    >>> Allowance(time.monotonic() - 9.0, 8.0).over("nothing was verified").what
    'nothing was verified within the budget of 8 s'
    """

    start: float
    budget: float
    progress: Progress | None = None

    @property
    def end(self) -> float:
        """When all must be done."""
        return self.start + self.budget

    def part(self, share: float) -> float:
        """When a share of the time that is left will be spent."""
        now = time.monotonic()
        return now + share * max(0.0, self.end - now)

    def over(self, what: str) -> Missing:
        """What is said where it was not enough."""
        return Missing(f"{what} within the budget of {self.budget:g} s", "a larger budget", code="QED020")
