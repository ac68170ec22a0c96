"""1 - F(x) for the distribution functions of Gamma and Beta: the other tail, which is a function of its own.

::

    1 - P(a, x) = Q(a, x)        1 - I_x(a, b) = I_(1 - x)(b, a)

P, Q are the regularised incomplete gamma functions (chi-square, Poisson and Erlang tails), I the incomplete beta
function (Student, F and binomial tails). Where the subtraction leaves a rounding of 1, the other tail has all digits.

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 6.5.1 to 6.5.3 and 26.5.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax

from qed.graph.build import Operation
from qed.numerics.rewriting.laws import Law

TAILS = Law("1 - P(a, x) = Q(a, x), 1 - I_x(a, b) = I_(1 - x)(b, a)", "a > 0 and b > 0, as for the original")

OTHER_TAIL: Mapping[str, Operation] = {
    "igamma": Operation("igammac", jax.lax.igammac),
    "igammac": Operation("igamma", jax.lax.igamma),
    "regularized_incomplete_beta": Operation("other_betainc", lambda a, b, x: jax.lax.betainc(b, a, 1 - x), whole=True),
}
"""By the function that is subtracted from 1, what is left."""
