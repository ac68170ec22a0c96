"""The verbs of integration where something is traced: value and gradient by compiled quadrature, and no claim.

Nothing can be proved or measured of numbers that are not known yet: the answer is UNKNOWN, its value is the integral
by a fixed rule, and its derivative is the derivative of that integral, jumps and moving ends included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from qed.answer import Answer, Missing
from qed.domains.counts import COUNTS
from qed.domains.densities import NAMED
from qed.domains.masses import LOG_MASS
from qed.domains.two_arithmetics import JAX
from qed.errors import QedError
from qed.integration.measure import Measure, Part
from qed.integration.product import Product
from qed.integration.traced.factors import centre, line_of, log_counted, points
from qed.integration.traced.lines import about_mode
from qed.integration.traced.quadrature import PANELS, log_summed, nodes, summed
from qed.integration.traced.switches import switches
from qed.standing import Standing

DEEP = 3
"""In more dimensions no integral is nested in another one."""
RULE = "Gauss's rule on fixed panels"


def expect(fun: Callable[..., Any], measure: Any, *args: Any) -> Answer[Any]:
    """The integral of fun(x, *args), as `qed.expect`; `value` can be differentiated, compiled and batched.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from qed.integration.traced.verbs import expect
    >>> from qed.integration.measures import Normal
    >>> below = lambda x, c: jnp.where(x < c, 1.0, 0.0)
    >>> round(float(jax.grad(lambda c: expect(below, Normal(), c).value)(0.0)), 5)
    0.39894
    """
    factors = _factors(measure)
    vector = isinstance(measure, Product)
    middle = [centre(one) for one in factors]
    example = jnp.stack(middle) if vector else middle[0]
    h = switches(fun, jax.lax.stop_gradient(example), *args)
    value = _over(lambda x: fun(x, *args), factors, middle, h, vector, summed)
    return _answer("the integral", value)


def normalizer(log_density: Callable[..., Any], base: Any, *args: Any) -> Answer[Any]:
    """The logarithm of the integral of exp(log_density(x, *args)), as `qed.normalizer`."""
    if isinstance(base, Product):
        factors = _factors(base)
        middle = [centre(one) for one in factors]
        h = switches(log_density, jax.lax.stop_gradient(jnp.stack(middle)), *args)
        value = _over(lambda x: log_density(x, *args), factors, middle, h, True, log_summed)
        return _answer("the logarithm of the normalising constant", value)
    what = "the logarithm of the normalising constant"

    def u(x: Any) -> Any:
        return log_density(x, *args)

    if isinstance(base, Measure) and base.atoms and not base.parts:
        return _answer(what, log_summed(u, *points(base, 0, None)))
    if not isinstance(base, Measure) or base.atoms or len(base.parts) != 1:
        because = "a constant of normalisation is an integral over one interval, or against one law with a name"
        raise QedError("QED007", f"{base} is no base", because, "give qed.measures.Lebesgue(lower, upper) or Counting")
    (part,) = base.parts
    if part.counting:
        value = log_counted(u, part)
    elif part.probability or part.cut:
        value = _evidence(u, part)
    else:
        line = about_mode(jax.vmap(u), part.lower, part.upper)
        h = switches(log_density, jax.lax.stop_gradient(jnp.asarray(line.point(0.0))), *args)
        value = log_summed(u, *nodes(line, 2 * PANELS[1], h))
    return _answer(what, value)


def _evidence(u: Callable[[Any], Any], part: Part) -> Any:
    """log E exp(u) under a law: its substitution w first, then points about the mode of u and the weight of w."""
    line = line_of(part)

    def joint(w: Any) -> Any:
        return u(line.point(w)) + line.log_weight(w)

    inner = about_mode(jax.vmap(joint), line.lower, line.upper)
    own = switches(u, jax.lax.stop_gradient(line.point(inner.point(0.0))))
    corners = jnp.asarray(line.corners, jnp.result_type(float))

    def h(w: Any) -> Any:
        return jnp.concatenate([w - corners, *([] if own is None else [own(line.point(w))])])

    return log_summed(joint, *nodes(inner, 2 * PANELS[1], h if own is not None or line.corners else None))


def kl(p: Any, q: Any) -> Answer[Any]:
    """The divergence of two laws, or of two vectors of probabilities, as `qed.kl`."""
    return _answer("the divergence", _divergence(p, q, True))


def cross_entropy(p: Any, q: Any) -> Answer[Any]:
    """The cross-entropy, as `qed.cross_entropy`."""
    return _answer("the cross-entropy", _divergence(p, q, False))


def _answer(what: str, value: Any) -> Answer[Any]:
    missing = Missing("the parameters are traced: nothing is known of their numbers", "concrete parameters", "QED020")
    claim = f"{what} is the number that {RULE} gives"
    return Answer(claim, Standing.UNKNOWN, value, arithmetic=str(jnp.result_type(float)), missing=(missing,))


def _factors(measure: Any) -> Sequence[Measure]:
    if isinstance(measure, Product):
        if len(measure.factors) > DEEP:
            because = f"integrals are nested in at most {DEEP} dimensions where parameters are traced"
            instead = "give concrete parameters, or a sum of functions of fewer coordinates"
            raise QedError("QED007", f"{len(measure.factors)} dimensions", because, instead)
        return measure.factors
    if not isinstance(measure, Measure):
        because = "it must be made by qed.measures"
        raise QedError("QED007", f"a {type(measure).__name__} is no measure", because, "give Normal(0.0, 1.0), say")
    return (measure,)


def _over(f: Any, factors: Sequence[Measure], middle: Sequence[Any], h: Any, vector: bool, join: Any) -> Any:
    """The integral of f over the product of measures, one coordinate inside the other."""
    count = PANELS[len(factors)]

    def inside(known: tuple[Any, ...]) -> Any:
        k = len(known)
        if k == len(factors):
            return jnp.asarray(f(jnp.stack(known) if vector else known[0]))

        def here(x: Any) -> Any:
            return h(jnp.stack([*known, x, *middle[k + 1 :]]) if vector else x)

        x, logs = points(factors[k], count, None if h is None else here)
        return join(lambda one: inside((*known, one)), x, logs)

    return inside(())


# --- divergences ---


def _divergence(p: Any, q: Any, ratio: bool) -> Any:
    if isinstance(p, Product) and isinstance(q, Product) and len(p.factors) == len(q.factors):
        return sum(_divergence(a, b, ratio) for a, b in zip(p.factors, q.factors, strict=True))
    if isinstance(p, Measure) and isinstance(q, Measure):
        atoms = _of_atoms(p, q, ratio) if p.atoms or q.atoms else 0.0
        return atoms + (_of_densities(p, q, ratio) if p.parts or q.parts else 0.0)
    if isinstance(p, Measure | Product) or isinstance(q, Measure | Product):
        what, because = "a law beside a vector", "where one is traced, both must be of one kind"
        raise QedError("QED007", what, because, "give two measures, or two vectors")
    return _of_vectors(jnp.asarray(p), jnp.asarray(q), ratio)


def _of_vectors(p: Any, q: Any, ratio: bool) -> Any:
    held = p > 0
    safe_p, safe_q = jnp.where(held, p, 1.0), jnp.where(held, q, 1.0)
    return jnp.sum(jnp.where(held, p * ((jnp.log(safe_p) if ratio else 0.0) - jnp.log(safe_q)), 0.0))


def _of_atoms(p: Measure, q: Measure, ratio: bool) -> Any:
    places = [tuple(x for x, _ in law.atoms) for law in (p, q)]
    if p.sums or q.sums or places[0] != places[1]:
        what, because = "atoms of traced laws", "they are compared where both have the same places and no other masses"
        raise QedError("QED007", what, because, "give concrete parameters")
    weights = [jnp.stack([jnp.asarray(w if hasattr(w, "dtype") else float(w)) for _, w in law.atoms]) for law in (p, q)]
    return _of_vectors(weights[0], weights[1], ratio)


def _of_densities(p: Measure, q: Measure, ratio: bool) -> Any:
    first, second = _log_density(p), _log_density(q)
    x, logs = points(replace(p, atoms=()), PANELS[1], None)
    return summed(lambda t: (first(t) if ratio else 0.0) - second(t), x, logs)


def _log_density(law: Measure) -> Callable[[Any], Any]:
    """The logarithm of the density of a law on the line, or of its masses on whole numbers."""
    if not law.parts or len({part.counting for part in law.parts}) > 1 or not all(map(_is_known, law.parts)):
        what, because = f"{law} is traced, or beside a traced law", "it is no sum of laws with densities, or of counts"
        raise QedError("QED007", what, because, "give concrete parameters")
    terms = [_term(part) for part in law.parts]
    return lambda x: reduce(jnp.logaddexp, [term(x) for term in terms])


def _is_known(part: Part) -> bool:
    named = part.family in COUNTS if part.counting else part.family in LOG_MASS or part.log_density is not None
    return part.probability and named and not (part.counting and part.log_density is not None)


def _term(part: Part) -> Callable[[Any], Any]:
    """The logarithm of a part's weight times its density."""
    share = jnp.log(jnp.asarray(part.weight if hasattr(part.weight, "dtype") else float(part.weight)))
    parameters = tuple(jnp.asarray(value, jnp.result_type(float)) for value in part.parameters)
    own = part.log_density
    if own is not None:
        x, logs = nodes(about_mode(jax.vmap(own), part.lower, part.upper), 2 * PANELS[1], None)
        share -= log_summed(own, x, logs)
    elif not part.counting:
        share -= LOG_MASS[part.family](JAX, *parameters)

    def log_density(x: Any) -> Any:
        inside = (x >= part.lower) & (x <= part.upper)
        if own is not None:
            value = own(x)
        elif part.counting:
            value = COUNTS[part.family].log_mass(x, *parameters)
        else:
            value = NAMED[part.family].log_density(x, *parameters)
        return jnp.where(inside, value + share, -jnp.inf)

    return log_density
