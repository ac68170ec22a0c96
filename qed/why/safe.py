"""The proved safe step: gradient descent with a step below 2/L lowers the loss from wherever it stands.

Where the gradient of f is Lipschitz on a convex set with the constant L, for every step s from w to a point of the set

    f(w - s grad f(w)) <= f(w) - s (1 - s L / 2) |grad f(w)|^2

(Nesterov, *Lectures on Convex Optimization*, 2018, lemma 1.2.3), which is below f(w) where 0 < s < 2/L and the gradient
is not zero. The set is the whole space, or, where no constant holds there, a box about the points that the run was seen
at: then it is said of steps that stay in the box. The limit 2/lambda_max belongs to one point; this one to all. It is
asked for where the loss is small enough for the budget, and where none is proved nothing is said. It is about real
numbers: float32 rounds, so that a loss at its floor may still rise by a rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Reason, Standing
from qed.calculus.bounding.ridges import NoBound, constant
from qed.calculus.expanding.words import outward
from qed.certificates.boxes import OutOfTime
from qed.certificates.ridges import Ridges
from qed.domains.cost import count
from qed.errors import CertificateError
from qed.why.case import Case
from qed.why.trial import Run

Box = tuple[list[np.ndarray], list[np.ndarray]]

VARIABLES = 128
"""How many parameters the loss has at most."""
PACE, SHARE, MOST = 1e-4, 0.1, 0.25
"""Seconds that an operation of the loss takes here, about; the share of the time left that all may take by that, and at
which search and verification end."""
FAR = 1e3
"""How far from the start a box may reach at most."""
ROOM = (2.0**-40, 2.0**-24)
"""By which parts of itself the constant is raised until it is confirmed."""


def safe_step(case: Case, run: Run | None = None) -> Answer[float] | None:
    """The step below which gradient descent lowers the loss, from any point, in exact arithmetic; None where unknown.

    Where there is none for the whole space, it is asked for on a box about the points where the run was seen. Its value
    is rounded down. It is given for gradient descent without momentum, and where no step rule is given.
    """
    prepared = case.prepared
    plain = prepared.rule is None or (case.rule.is_gradient_descent and not case.rule.momentum)
    if not plain or case.key_position is not None or prepared.size > VARIABLES or case.clock.left <= 0:
        return None
    if any(p.dtype != np.float32 and p.dtype != np.float64 for p in prepared.parameters):
        return None
    if PACE * count(prepared.graph, ()).value > SHARE * case.clock.left:
        return None
    function = case.prepared.function
    shapes = [np.shape(leaf) for leaf in function.parameters]
    everywhere = [np.full(shape, -np.inf) for shape in shapes], [np.full(shape, np.inf) for shape in shapes]
    found, near = _constant(case, everywhere), None
    if found is None and run is not None:
        near = _about(prepared.parameters, run)
        found = None if near is None else _constant(case, near[0])
    if found is None:
        return None
    certificate, bound = found
    if not bound > 0 or not np.isfinite(2 / bound):
        return None
    step = float(np.nextafter(2 / bound, 0.0))
    shown = outward(step, -1, 3)
    place = "everywhere" if near is None else f"on the box of ±{near[1]:.3g} about the start"
    stays = "" if near is None else " that stays in it"
    holds = "" if near is None else ", which holds the points where the run was seen"
    reason = Reason(
        "the lemma of descent",
        formula="f(w - s g) <= f(w) - s (1 - s L / 2) |g|^2, g = grad f(w)",
        with_numbers=f"L = {bound:.6g}, 2/L = {step:.6g}",
        role="safe",
        standing=Standing.PROVED,
        text=f"the gradient is Lipschitz with L = {outward(bound, 1, 4)} {place}; 2/L = {shown}"
        + ("" if near is None else f" is safe on this box{holds}"),
    )
    return Answer(
        f"{'' if near is None else place + ' '}any step below {shown}{stays} lowers the loss, "
        "from any point that is not stationary",
        Standing.PROVED,
        value=step,
        error=Enclosed(step, np.inf),
        arithmetic="reals",
        reasons=(reason,),
        certificate=certificate,
        meta={"lipschitz": bound, "region": "the whole space" if near is None else place.removeprefix("on ")},
    )


def _about(start: Sequence[Any], run: Run) -> tuple[Box, float] | None:
    """A box about the start that holds the points where the run was seen, half as far again; how far, and of what."""
    seen = [run.best[1], *(p.parameters for p in (run.last, run.lowest) if p is not None)]
    seen += [p.parameters for p in run.passed]
    centre = [np.asarray(p).astype(np.float64) for p in start]
    away = [
        np.max(np.abs(np.asarray(p, np.float64) - c), initial=0.0) for q in seen for p, c in zip(q, centre, strict=True)
    ]
    radius = 1.5 * float(np.max(away, initial=0.0))
    if not 0 < radius < FAR:
        return None
    box = [c - radius for c in centre], [c + radius for c in centre]
    return box, radius


def _constant(case: Case, box: Box) -> tuple[Ridges, float] | None:
    """A certificate that was verified, and its constant."""
    problem: Any = case.prepared.problem
    deadline = case.clock.deadline(MOST)
    try:
        found = constant(case.prepared.function.traced, *box, 1, deadline)
    except NoBound:
        return None
    for room in ROOM:
        bound = found.bound * (1 + room)
        certificate = Ridges.about(
            problem.loss, problem.at, tuple(problem.args), box=box, order=1, bound=bound, ranges=found.ranges
        )
        try:
            certificate.confirm(case.clock.deadline(MOST))
        except CertificateError:
            continue
        except OutOfTime:
            return None
        return certificate, bound
    return None
