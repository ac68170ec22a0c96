"""The variance with weights, sum(w x^2)/sum(w) - (sum(w x)/sum(w))^2, from deviations of the mean.

With m = sum(w x)/sum(w) it is V = sum(w (x - m)^2)/sum(w). The deviations are taken twice, as in `moments`. The
derivative is sum(2 w (x - m) dx + ((x - m)^2 - V) dw)/sum(w).

Reference: West, *Updating mean and variance estimates: an improved method*, Communications of the ACM 22, 1979.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, power_of, times
from qed.numerics.rewriting.laws import Law

WEIGHTED_VARIANCE = Law("sum(w x**2)/sum(w) - (sum(w x)/sum(w))**2 = sum(w (x - m)**2)/sum(w)", "as for the original")


def _deviations(x: Any, w: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """x - m, and w over the sum of w."""
    weights = w / jnp.sum(w, axis=axes, keepdims=True)
    first = x - jnp.sum(weights * x, axis=axes, keepdims=True)
    return first - jnp.sum(weights * first, axis=axes, keepdims=True), weights


def weighted_variance(x: Any, w: Any, axes: tuple[int, ...]) -> Any:
    """sum(w (x - m)^2)/sum(w) along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(weighted_variance(jnp.array([10000.0, 10001.0]), jnp.array([1.0, 1.0]), (0,)))
        0.25
    """

    def value_of(x: Any, w: Any) -> Any:
        deviations, weights = _deviations(x, w, axes)
        return jnp.sum(weights * deviations * deviations, axis=axes)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, w = primals
        deviations, weights = _deviations(x, w, axes)
        value = found(x, w)
        total = jnp.sum(w, axis=axes, keepdims=True)
        of_w = (deviations * deviations - jnp.expand_dims(value, axes)) / total
        return value, jnp.sum(2 * weights * deviations * tangents[0] + of_w * tangents[1], axis=axes)

    return found(x, w)


VARIANCE_OF = Operation("weighted_variance", weighted_variance, whole=True)


def weights_and_values(
    polynomial: Polynomial, summed: Callable[[int], Any]
) -> tuple[Fraction, Monomial, Monomial, Any] | None:
    """c, x, w and a sum like those that a polynomial is made of, where it is c times such a variance."""
    for m, c in polynomial.items():
        ((n, e),) = ((other, d) for other, d in polynomial.items() if other != m)
        powers, others = dict(m), dict(n)
        total = next((number for number, power in others.items() if power == -2), None)
        first = next((number for number, power in others.items() if power == 2), None)
        second = next((number for number, power in powers.items() if power == 1), None)
        if total is None or first is None or second is None or powers.get(total) != -1:
            continue
        if e != -c or len(powers) != 2 or len(others) != 2:
            continue
        parts = [summed(number) for number in (total, first, second)]
        if any(part is None or part.coefficient != 1 for part in parts):
            continue
        if any(part.axes != parts[0].axes or part.shape != parts[0].shape for part in parts):
            continue
        w = parts[0].monomial
        x = times(parts[1].monomial, power_of(w, -1))
        if x == ONE or times(w, power_of(x, 2)) != parts[2].monomial or any(power < 0 for _, power in (*x, *w)):
            continue
        return c, x, w, parts[2]
    return None


__all__ = ["VARIANCE_OF", "WEIGHTED_VARIANCE", "weighted_variance", "weights_and_values"]
