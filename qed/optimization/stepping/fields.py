"""Which steps are stable where a program's gradient is not that of its values: one that is stopped or replaced.

What a stop_gradient holds constant while differentiating still moves with the parameters, step after step. So does a
derivative that somebody wrote follow no function. The field g(w) that descent then follows has a derivative J that is
another matrix than the Hessian of anything, in general not symmetric: the semi-gradient of temporal differences,

    g(w) = (w'a - r - c w'b) a,      J = a (a - c b)',

whose eigenvalue a'(a - c b) is negative where b = 2 a and c = 0.9, though the loss is a square. A step s multiplies a
small error by I - s J, the powers of which vanish if and only if |1 - s m| < 1 for all eigenvalues m of J, complex ones
among them (Horn and Johnson, *Matrix Analysis*, 2nd ed., 2013, theorem 5.6.12), which is

    s < 2 Re m / |m|^2      for each, and no s at all where Re m <= 0

(Tsitsiklis and Van Roy, IEEE Trans. Automatic Control 42, 1997, on the semi-gradient).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import scipy

from qed.answer import Missing, Reason
from qed.calculus.compiling import made_for
from qed.calculus.gradient.sites import Site, find_sites
from qed.calculus.hessian import cut, flatten
from qed.calculus.shares import shares
from qed.calculus.stopped import Opened
from qed.graph.trace import trace
from qed.optimization.objective import Objective, Seen
from qed.optimization.step import StepRule
from qed.optimization.stepping.trials import APART, multiplied, seen_apart
from qed.span import Span
from qed.standing import Standing

Array = np.ndarray
LARGEST = 200
"""With how many parameters the matrix is formed."""
NOT_OF_VALUES = "the program's gradient, in which a derivative is stopped or replaced, is not that of its values"
FLAT = 1e-6
"""Below which part of the largest an eigenvalue is taken for zero."""


@dataclass(frozen=True, eq=False)
class Field:
    """The derivative of a program's gradient at a point, where it is no Hessian.

    Args:
        matrix: it, (n, n); None where it was not formed.
        span: where the program stops or replaces a derivative.
    """

    matrix: Array | None
    span: Span | None

    @cached_property
    def eigen(self) -> tuple[Any, Any]:
        """Its eigenvalues that are not zero, and their vectors as columns."""
        assert self.matrix is not None
        values, vectors = np.linalg.eig(self.matrix)
        here = np.abs(values) > FLAT * max(float(np.max(np.abs(values), initial=0.0)), 1e-300)
        return values[here], vectors[:, here]

    @property
    def unanswered(self) -> bool:
        """Whether its eigenvalues are not there, or all 0: the field is constant, up to jumps."""
        return self.matrix is None or not np.isfinite(self.matrix).all() or not math.isfinite(self.limit)

    @property
    def limits(self) -> Array:
        """2 Re m / |m|^2 of each, which no stable step reaches; 0 where it is negative.

        >>> Field(np.array([[1.0, -1.0], [1.0, 1.0]]), None).limits.round(9).tolist()
        [1.0, 1.0]
        """
        values, _ = self.eigen
        return np.maximum(2 * values.real / np.abs(values) ** 2, 0.0)

    @property
    def limit(self) -> float:
        """The steps below it are stable; 0 where none is, inf where the field is constant."""
        return float(np.min(self.limits, initial=math.inf))

    @property
    def best(self) -> tuple[float, float]:
        """The step with the smallest contraction, and that; the second is 1 where a direction is flat."""
        values, _ = self.eigen
        assert self.matrix is not None
        found: Any = scipy.optimize.minimize_scalar(
            lambda s: float(np.max(np.abs(1 - s * values))), bounds=(0.0, self.limit), method="bounded",
            options={"xatol": 1e-10 * self.limit},
        )  # fmt: skip
        return float(found.x), 1.0 if len(values) < len(self.matrix) else float(found.fun)

    @property
    def stiffest(self) -> tuple[complex, Array]:
        """The eigenvalue that limits the step, and a real direction of its plane."""
        values, vectors = self.eigen
        i = int(np.argmin(self.limits))
        v = vectors[:, i]
        v = v.real if np.linalg.norm(v.real) >= np.linalg.norm(v.imag) else v.imag
        return complex(values[i]), v / np.linalg.norm(v)


def field_at(objective: Objective, start: Seen) -> Field | None:
    """The derivative of the program's gradient, where it is not the matrix of the program's Hessian products.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> of = lambda f: Objective(read(f, jnp.array([0.3, -0.2])))
    >>> turns = of(lambda w: w[0] * jax.lax.stop_gradient(w[1]) - w[1] * jax.lax.stop_gradient(w[0]))
    >>> field_at(turns, turns.at(turns.start)).matrix.tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    >>> shifted = of(lambda w: jnp.log(jnp.sum(jnp.exp(w - jax.lax.stop_gradient(jnp.max(w))))) + jnp.max(w))
    >>> field_at(shifted, shifted.at(shifted.start)) is None
    True
    """
    function = objective.function
    sites = find_sites(function.graph, function.traced.free)
    if not sites:
        return None
    product = _product(objective, start)
    one, two = np.random.default_rng(0).standard_normal((2, function.size))
    first, second = product(one), product(two)
    own = objective.product(start.x, one)
    room = math.sqrt(objective.eps)
    size = max(float(np.linalg.norm(first)), float(np.linalg.norm(own)))
    same = float(np.linalg.norm(first - own)) <= room * size
    both = float(np.linalg.norm(one) * np.linalg.norm(second)) + float(np.linalg.norm(two)) * size
    if same and abs(float(two @ first) - float(one @ second)) <= room * both:
        return None
    matrix = None
    if function.size <= LARGEST:
        matrix = np.array([product(e) for e in np.eye(function.size)]).T
    return Field(matrix, _where(sites))


def _where(sites: list[Site] | tuple[Site, ...]) -> Span | None:
    return next((site.span for site in sites if site.kind == "stop"), sites[0].span)


def _product(objective: Objective, start: Seen) -> Any:
    function = objective.function
    at = cut(start.x, function.parameters, copy=False)

    def slopes(*parameters: Any) -> tuple[Any, ...]:
        return jax.grad(lambda p: function.value(p, function.data))(parameters)

    graph = trace(slopes, *at).graph
    run = made_for(function, lambda p, v: jax.jvp(lambda q: tuple(Opened()(graph, q)), (p,), (v,))[1], 100, 2)
    return lambda v: np.asarray(flatten(run(at, cut(v, function.parameters, copy=False))), np.float64)


def missing(field: Field) -> Missing:
    """What is not known where the eigenvalues of the derivative do not tell."""
    if field.matrix is None or not field.unanswered:
        why, instead = "", f"gradient descent without momentum, up to {LARGEST} parameters"
    else:
        why, instead = ", and does not change near the point", "another point"
    return Missing(f"{NOT_OF_VALUES}{why}", instead, span=field.span)


def told(
    field: Field, objective: Objective, start: Seen, rate: float | None
) -> tuple[str, dict[str, Any], tuple[Reason, ...]]:
    """The claim, what it says of steps by the names of a `StepSize`, and its reasons; of a field that is answered."""
    function = objective.function
    value, v = field.stiffest
    upper = field.limit
    best, contraction = field.best if upper else (None, 1.0)
    number = f"{value.real:.6g}" if value.imag == 0 else f"{value.real:.6g} ± {abs(value.imag):.6g}i"
    names = shares(v, function.paths, [np.shape(p) for p in function.parameters])
    where = ", ".join(f"{share:.0%} {name}" for name, share in names if share >= 0.05)
    where = f"along {where or 'a direction spread over all'}"
    reason = Reason(
        "eigenvalues of the derivative of the program's gradient", "|1 - s m| < 1", f"m = {number}",
        observed=value.real, unpredicted="the matrix has no closed form here", standing=Standing.MEASURED, role="where",
        span=field.span, text=f"{NOT_OF_VALUES}: its derivative has the eigenvalue {number} {where}",
    )  # fmt: skip
    steps = [(0.9 * upper, "0.9 of the limit"), (1.1 * upper, "1.1 of the limit")]
    runs = [_tried(field, objective, start.x, *s) for s in (steps if upper else [(1 / abs(value), "1 / |m|")])]
    spread = field.eigen[0].real
    values = {
        "upper": upper, "best": best, "contraction": contraction, "highest": float(spread.max()),
        "lowest": float(spread.min()), "error": FLAT * abs(value), "stiffest": names,
    }  # fmt: skip
    given = "" if rate is None or not upper else f"; the rate given is {rate / upper:.3g} times the limit"
    text = "near the point descent along the program's gradient is stable for "
    text += f"steps below {upper:.4g}{given}" if upper else f"no step: each leads away {where}"
    return text, values, (reason, *runs)


def again(field: Field, objective: Objective, start: Seen) -> bool:
    """Whether the limit is found again."""
    other = field_at(objective, start)
    return other is not None and math.isclose(other.limit, field.limit, rel_tol=1e-3, abs_tol=1e-12)


def _tried(field: Field, objective: Objective, x: Array, step: float, name: str) -> Reason:
    """Two runs that begin a little apart, beside the powers of I - s J."""
    assert field.matrix is not None
    _, v = field.stiffest
    turned = np.linalg.matrix_power(np.eye(len(v)) - step * field.matrix, APART) @ v
    predicted, seen = float(v @ turned), seen_apart(objective, x, v, StepRule("sgd"), step)
    return multiplied(("two runs that begin a little apart", "d <- (I - s J) d"), step, name, "linear", predicted, seen)
