"""The logarithm of a sum over whole numbers, log sum_k exp(u(k)): enclosed with its tail, or proved to be infinite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason
from qed.certificates.certificate import Subject
from qed.certificates.expectation import LogSum
from qed.errors import CertificateError
from qed.graph.function import read
from qed.graph.walk import TooLong
from qed.integration.constants import room_of_constants
from qed.integration.measure import Measure
from qed.integration.sums import ROOM, WIDE
from qed.integration.words import SUMS, settle, within
from qed.standing import Standing


def places_counted(base: Any) -> tuple[float, float] | None:
    """The first and last place of a counting measure; None for another measure.

    >>> from qed.integration.measures import Counting, Dirac
    >>> from qed.integration.normalizer_of_sums import places_counted
    >>> places_counted(Counting(0, 3)), places_counted(Dirac(0.0))
    ((0.0, 3.0), None)
    """
    if not isinstance(base, Measure):
        return None
    if not base.parts and len(base.atoms) > 1:
        places = [x for x, _ in base.atoms]
        whole = all(w == 1 for _, w in base.atoms) and float(places[0]).is_integer()
        in_order = places == [places[0] + k for k in range(len(places))]
        return (places[0], places[-1]) if whole and in_order else None
    if base.atoms or len(base.parts) != 1:
        return None
    (part,) = base.parts
    return (part.lower, part.upper) if part.family == "Counting" and part.weight == 1 else None


def normalizer_of_sum(log_density: Callable[..., Any], places: tuple[float, float], args: tuple[Any, ...]) -> Answer:
    """`qed.normalizer` against a counting measure."""
    function = read(log_density, jnp.asarray(0.5), *args)

    def joint(k: Any) -> Any:
        return jnp.ones_like(k), log_density(k, *args)

    subject = Subject(joint, jnp.asarray(0.5))
    traced = subject.traced()
    first, last = places
    certificate = LogSum.made(subject, traced, first=first, last=last, lower=0.0, upper=0.0)
    try:
        ball = certificate.enclosed(traced)
        if ball.is_nan():
            return _unknown(function, "the sum is not enclosed")
        improper = not ball.is_finite()
        value, radius = (np.inf, 0.0) if improper else (float(ball.mid()), float(ball.rad()))
        half = max(ROOM * radius, 1e-14 * abs(value), 1e-15, room_of_constants(traced, value, logarithm=True))
        if not improper and half > WIDE:
            return _unknown(function, f"its logarithm is only known as {ball.str(6)}")
        lower, upper = (value, value) if improper else (value - half, value + half)
        certificate = replace(certificate, lower=lower, upper=upper).sealed()
        certificate.verify()
    except CertificateError as error:
        return _unknown(function, f"{error.node}: {error.why}")
    except TooLong as error:
        return _unknown(function, str(error))
    rule = "the terms do not fall, or no faster than those of a sum that is infinite" if improper else SUMS
    says = "is infinite: no multiple of it is a law" if improper else f"has its logarithm in [{lower!r}, {upper!r}]"
    told = f"The log of the normalising constant is {within(lower, upper)}." if not improper else ""
    return Answer(
        f"the sum of exp({function.name}) {says}",
        Standing.PROVED,
        value,
        arithmetic="reals",
        error=Enclosed(lower, upper),
        reasons=(Reason(rule, "log Z = M + log Σ exp(u(k) - M)", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=told or "exp of it has an infinite sum: it is improper, and no law.",
        subject=function.title(),
    )


def _unknown(function: Any, problem: str) -> Answer:
    missing = Missing(problem, settle(problem), code="QED020")
    claim = f"the sum of exp({function.name}) has a logarithm"
    return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), subject=function.title())
