"""The proved safe step: gradient descent with a step below 2/L lowers the loss from wherever it stands.

Where the gradient of f is Lipschitz on the whole space with the constant L, for every w and every step s

    f(w - s grad f(w)) <= f(w) - s (1 - s L / 2) |grad f(w)|^2

(Nesterov, *Lectures on Convex Optimization*, 2018, lemma 1.2.3), which is below f(w) where 0 < s < 2/L and the gradient
is not zero. The limit 2/lambda_max belongs to one point; this one to all. It is asked for where the loss is small
enough for the budget, and where none is proved nothing is said. It is about real numbers: float32 rounds, so that a
loss at its floor may still rise by a rounding error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason, Standing
from qed.calculus.bounding.ridges import NoBound, constant
from qed.calculus.expanding.words import outward
from qed.certificates.ridges import Ridges
from qed.domains.cost import count
from qed.errors import CertificateError
from qed.why.case import Case

VARIABLES = 128
"""How many parameters the loss has at most."""
PACE, SHARE = 1e-4, 0.1
"""Seconds that an operation of the loss takes here, about, and the share of the time left that all may take."""
ROOM = (2.0**-40, 2.0**-24)
"""By which parts of itself the constant is raised until it is confirmed."""


def safe_step(case: Case) -> Answer[float] | None:
    """The step below which gradient descent lowers the loss, from any point, in exact arithmetic; None where unknown.

    Its value is rounded down. It is given for gradient descent without momentum, and where no step rule is given.
    """
    prepared = case.prepared
    plain = prepared.rule is None or (case.rule.is_gradient_descent and not case.rule.momentum)
    if not plain or case.key_position is not None or prepared.size > VARIABLES or case.clock.left <= 0:
        return None
    if any(p.dtype != np.float32 and p.dtype != np.float64 for p in prepared.parameters):
        return None
    if PACE * count(prepared.graph, ()).value > SHARE * case.clock.left:
        return None
    found = _constant(case)
    if found is None:
        return None
    certificate, bound = found
    if not bound > 0 or not np.isfinite(2 / bound):
        return None
    step = float(np.nextafter(2 / bound, 0.0))
    shown = outward(step, -1, 3)
    reason = Reason(
        "the lemma of descent",
        formula="f(w - s g) <= f(w) - s (1 - s L / 2) |g|^2, g = grad f(w)",
        with_numbers=f"L = {bound:.6g}, 2/L = {step:.6g}",
        role="safe",
        standing=Standing.PROVED,
        text=f"the gradient is Lipschitz with L = {outward(bound, 1, 4)} everywhere; 2/L = {shown}",
    )
    return Answer(
        f"any step below {shown} lowers the loss, from any point that is not stationary",
        Standing.PROVED,
        value=step,
        error=Enclosed(step, np.inf),
        arithmetic="reals",
        reasons=(reason,),
        certificate=certificate,
        meta={"lipschitz": bound, "region": "the whole space"},
    )


def _constant(case: Case) -> tuple[Ridges, float] | None:
    """A certificate that was verified, and its constant."""
    problem: Any = case.prepared.problem
    function = case.prepared.function
    shapes = [np.shape(leaf) for leaf in function.parameters]
    box = [np.full(shape, -np.inf) for shape in shapes], [np.full(shape, np.inf) for shape in shapes]
    try:
        found = constant(function.traced, *box, 1, case.clock.deadline(SHARE))
    except NoBound:
        return None
    for room in ROOM:
        bound = found.bound * (1 + room)
        certificate = Ridges.about(
            problem.loss, problem.at, tuple(problem.args), box=box, order=1, bound=bound, ranges=found.ranges
        )
        try:
            certificate.verify()
        except CertificateError:
            continue
        return certificate, bound
    return None
