"""What is said where a gap proves the least value: the words about a certificate of `qed.certificates.feasible_gap`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from qed.answer import Reason
from qed.optimization.constrained.gap import closed
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.proof import Said
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending
from qed.standing import Standing

Array = np.ndarray


def by_gap(problem: Constrained, kkt: KKT, point: Array, words: Told, said: Said) -> Said:
    """What is said of a minimum that is not proved to be one, where its value is the least but for a proved gap."""
    if said.certificate is not None or words.kind not in (Ending.MINIMUM, Ending.FLAT_MINIMUM) or not said.answers:
        return said
    made = closed(problem, kkt, said.answers[0])
    if made is None:
        return said
    least, x = made.inner().bound, problem.rounded(point).tolist()
    away = max((abs(Fraction(p) - Fraction(v)) for p, v in zip(made.point, x, strict=True)), default=Fraction(0))
    where = "x" if not away else f"a point within {float(away) * 1.01:.2g} of x"
    gap = max(made.most - least, 0.0) * (1 + 1e-9)
    claim = (
        f"f is at least {least:.17g} wherever the constraints hold, and {where} satisfies them with f at most "
        f"{made.most:.17g}"
    )
    within = f" to within {gap:.1e}" if gap > 1e-300 else ""
    kind = "The global minimum" if words.kind is Ending.MINIMUM else "A flat minimum, and the least value"
    text = (
        f"{kind} under the constraints{within}: {where} satisfies them exactly, and wherever they hold f "
        f"is at least {least:.10g}."
    )
    duality = Reason(
        "weak duality", "b <= f(x) - y'c(x) <= f(x), f(p) <= b + gap", f"a gap of {gap:.1e}", standing=Standing.PROVED,
        unpredicted="it is a theorem",
        text=f"f - y'c is at least {least:.17g} within the bounds, with multipliers y of the right signs, and f at the "
        f"point is at most {made.most:.17g}: the gradients of the constraints may be dependent",
    )  # fmt: skip
    reasons = (duality, Reason("second order", text=words.text, role="checked"), *said.reasons)
    return replace(said, claim=claim, standing=Standing.PROVED, certificate=made, headline=text, reasons=reasons)
