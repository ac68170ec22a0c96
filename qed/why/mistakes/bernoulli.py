"""The log-likelihood of labels 0 and 1, recognised by its values.

With p = 1 / (1 + exp(-z)) the terms are

    t = y log p + (1 - y) log(1 - p),      y in {0, 1},

written in many ways: by hand, by log-sigmoids, as a softplus of -z or z, as a library's cross-entropy. All of them are
the same function of the score z, and no other function of one number has these values: on the label's side t is
-exp(-|z|) to first order, on the other side -|z|, which has no lower bound. So the score is sought among the values
through which all parameters reach the terms, and is replaced by +-6 and +-12, where the float32 forms are still exact
to a few digits.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.graph import Variable
from qed.why.case import Case
from qed.why.mistakes.flat import Flat, compute

AT = (6.0, 12.0)
MOST = 12
"""How many values are tried as the score."""

ELEMENTWISE = frozenset(
    {"add", "sub", "mul", "div", "neg", "exp", "exp2", "log", "log1p", "expm1", "logistic", "tanh", "abs", "max", "min"}
    | {"select_n", "lt", "le", "gt", "ge", "eq", "ne", "integer_pow", "square", "clamp", "is_finite", "and", "or"}
    | {"convert_element_type", "copy", "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "stop_gradient"}
)


def score_of(case: Case, flat: Flat, terms: Variable, negative: bool) -> Variable | None:
    """The score whose labels of both kinds have the terms (their negatives, if `negative`) as log-likelihoods."""
    prepared = case.prepared
    for score in _scores(flat, terms):

        @jax.jit
        def values(parameters: Any, data: Any, score: Variable = score) -> Any:
            arrays = prepared.join(parameters, data)
            at = [sign * size for size in AT for sign in (1, -1)]
            changed = [{score: (score, lambda z, to=to: jnp.full_like(z, to))} for to in at]
            return [compute(flat, arrays, [terms], change)[0] for change in changed]

        found = [np.asarray(t).astype(np.float64) for t in values(prepared.parameters, prepared.data)]
        if _both_sides(np.stack([-t if negative else t for t in found])):
            return score
    return None


def _both_sides(t: np.ndarray) -> bool:
    """Whether rows of t, at +6, -6, +12 and -12, are the log-likelihoods of labels that are not all the same."""
    up = np.repeat(AT, 2) * np.tile([1.0, -1.0], 2)
    one, zero = (-np.logaddexp(0.0, side * up).reshape(4, *[1] * (t.ndim - 1)) for side in (-1.0, 1.0))
    is_one, is_zero = (np.isclose(t, side, rtol=0.01, atol=1e-6).all(axis=0) for side in (one, zero))
    return bool((is_one | is_zero).all() and is_one.any() and is_zero.any())


def _scores(flat: Flat, terms: Variable) -> list[Variable]:
    """The values through which all parameters reach the terms elementwise, the ones nearest to the terms first."""
    order = {v: i for i, equation in enumerate(flat.graph.equations) for v in equation.outputs}
    border, found = {terms}, []
    while border and len(found) < MOST:
        if len(border) == 1 and (only := next(iter(border))) is not terms:
            found.append(only)
        last = max(border, key=lambda v: order.get(v, -1))
        maker = flat.maker(last)
        if maker is None or maker.primitive not in ELEMENTWISE:
            break
        border.remove(last)
        border |= {atom for atom in maker.inputs if isinstance(atom, Variable) and flat.on_parameters(atom)}
    return found
