"""Image measures: the law of g(X), integrated where X lives.

    int f d(g mu) = int f(g(x)) dmu(x)

No inverse, no derivative and no monotone piece of g is needed for an integral: what g makes flat is an atom of the
image, of the mass of the flat piece, and is found as such by f itself. A log-normal law is the image of a normal one by
exp. Reference: Halmos, *Measure Theory*, Springer 1974, section 39.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.integral_parts import BITS, value_on
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.function import read
from qed.graph.trace import trace
from qed.integration.measure import Measure, Part, measure_of, wrong
from qed.integration.traced.tracers import closes_over_tracers, measure_is_traced

IMAGE = "Image"
"""The family of a part that is the image of another."""


def pushforward(measure: Measure, g: Callable[..., Any]) -> Measure:
    """The law of g(X), where X has the law `measure`: censored laws, transformed laws, sums with a constant.

    Args:
        measure: a measure of this module.
        g: a function of one real number that returns one; it need not be one to one.

    Raises:
        QedError: QED007 where an atom is moved to a number that float64 does not hold; for a function that
            `qed.graph.function.read` refuses, its codes.

    >>> import jax.numpy as jnp
    >>> import qed
    >>> from qed.integration.measures import Normal, pushforward
    >>> censored = pushforward(Normal(), lambda x: jnp.maximum(x, 0.0))
    >>> answer = qed.probability(lambda y: y <= 0.0, censored)
    >>> str(answer.standing), round(answer.value, 9)
    ('PROVED', 0.5)
    """
    given = measure_of(measure)
    if not callable(g):
        msg = f"a {type(g).__name__} is no function"
        raise wrong(msg, "it cannot be called", "give a function of x")
    if not (measure_is_traced(given) or closes_over_tracers(g)):
        with jax.ensure_compile_time_eval():  # also where something else is traced
            read(g, jnp.asarray(0.5))
    parts = tuple(_moved(part, g) for part in given.parts)
    atoms = tuple((_place(g, x), w) for x, w in given.atoms)
    return Measure(atoms, parts, f"{given.name} under {getattr(g, '__name__', 'a map')}")


def _moved(part: Part, g: Callable[..., Any]) -> Part:
    base, before = base_of(part)
    image = g if before is None else lambda x: g(before(x))
    ends = (-math.inf, math.inf)
    return Part(IMAGE, (), *ends, part.probability, part.weight, counting=part.counting, of=base, image=image)


def _place(g: Callable[..., Any], x: float) -> float:
    """g(x), which must be a number that float64 holds."""
    with jax.ensure_compile_time_eval():
        traced = trace(g, jnp.asarray(0.5))
    try:
        with precision(BITS):
            ball = value_on(traced, 0, x, x, "g")
    except CertificateError:
        ball = None
    if ball is None or not ball.is_finite() or not ball.is_exact() or ball != float(ball.mid()):
        msg = f"the atom at {x:g} is moved to no number of float64"
        raise wrong(msg, "a proof would speak of another place", "give the atoms of the image by Dirac")
    return float(ball.mid())


def base_of(part: Part) -> tuple[Part, Callable[..., Any] | None]:
    """The part that a part is the image of, with its weight, and the map; itself, and None, where it is none.

    >>> from qed.integration.images import base_of
    >>> from qed.integration.measures import LogNormal
    >>> base_of(LogNormal(0.0, 1.0).parts[0])[0].family
    'Normal'
    """
    if part.family == IMAGE:
        assert part.of is not None
        return replace(part.of, weight=part.weight), part.image
    if part.family == "LogNormal" and part.probability:
        return replace(part, family="Normal", lower=-math.inf, upper=math.inf), jnp.exp
    return part, None


@dataclass(frozen=True)
class Layout:
    """The parts of a measure where they are integrated, and which output of one function each needs.

    Args:
        densities: the parts on the line.
        sums: the parts on whole numbers.
        functions: the output that is integrated against each of them, or nothing where it is the first for all.
        own: the log-densities of parts without a family.
        maps: the maps of the images.
    """

    densities: tuple[Part, ...]
    sums: tuple[Part, ...]
    functions: tuple[int, ...]
    own: tuple[Callable[..., Any], ...]
    maps: tuple[Callable[..., Any], ...]

    @classmethod
    def of(cls, measure: Measure) -> Layout:
        """The layout of a measure."""
        pairs = [base_of(part) for part in (*measure.densities, *measure.sums)]
        own = tuple(part.log_density for part, _ in pairs if part.log_density is not None)
        maps = tuple(g for _, g in pairs if g is not None)
        places = iter(range(1 + len(own), 1 + len(own) + len(maps)))
        functions = tuple(0 if g is None else next(places) for _, g in pairs) if maps else ()
        parts = [part for part, _ in pairs]
        return cls(
            tuple(part for part in parts if not part.counting), tuple(part for part in parts if part.counting),
            functions, own, maps,
        )  # fmt: skip

    def subject(self, fun: Callable[..., Any], args: tuple[Any, ...]) -> Subject:
        """The function of x that returns f(x), the log-densities, and f(g(x)) for the maps."""
        for density in self.own:
            read(density, jnp.asarray(0.5))

        def joint(x: Any) -> Any:
            images = (fun(jnp.asarray(g(x), x.dtype), *args) for g in self.maps)
            return (fun(x, *args), *(density(x) for density in self.own), *images)

        return Subject(joint, jnp.asarray(0.5))

    def output(self, k: int) -> int:
        """The output that is integrated against the k-th part."""
        return self.functions[k] if self.functions else 0


def moved(points: np.ndarray, image: Callable[..., Any]) -> np.ndarray:
    """The points under a map, in float64."""
    with jax.enable_x64(True):
        flat = jnp.asarray(points, jnp.float64).ravel()
        return np.asarray(jax.vmap(lambda x: jnp.asarray(image(x), jnp.float64))(flat)).reshape(points.shape)
