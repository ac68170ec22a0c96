"""Whether a run still goes anywhere: over its last steps f fell by no more than rounding, and g did not shrink.

At the noise floor of f no step can be told from another by values, and where the gradient, too, is worth no more than
what it loses by rounding, a run may go on for ever: its steps are accepted and lead nowhere. While f falls, however
slowly, or g shrinks by half, it is let go on.
"""

from __future__ import annotations

WINDOW = 50
"""Over how many steps."""
SHRUNK = 0.5


class Stall:
    """What a run saw, in blocks of `WINDOW` steps.

    Example:
        >>> run = Stall()
        >>> any(run.halted(1.0, 1e-3, 1e-15) for _ in range(2 * WINDOW))
        True
        >>> run = Stall()
        >>> any(run.halted(1.0 - 1e-9 * k, 1e-3, 1e-15) for k in range(2 * WINDOW))
        False
    """

    def __init__(self) -> None:
        self.count = 0
        self.before = (float("inf"), float("inf"))
        self.now = self.before

    def halted(self, f: float, size: float, noise: float) -> bool:
        """Take in a step: its value, the size of the projected gradient, the noise of the value."""
        self.count += 1
        self.now = (min(self.now[0], f), min(self.now[1], size))
        if self.count % WINDOW:
            return False
        fell, shrank = self.before[0] - self.now[0] > 10 * noise, self.now[1] <= SHRUNK * self.before[1]
        self.before = self.now
        return not (fell or shrank)
