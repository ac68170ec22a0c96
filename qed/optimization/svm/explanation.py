"""Why a plane lies where it lies, in words: the margin, the rows that hold it and their force, what C trades.

The plane is in balance. w = sum_i a_i y_i x_i says that each row pushes with the force a_i, and a row pushes only if it
touches the margin (0 < a_i < C: it lies on it) or has crossed it (a_i = C); a row outside has a_i = 0 and could be left
out. The sum of the hinges is the derivative of the least value by the price, dP*/dC = sum_i max(0, 1 - y_i f_i) for one
price C: what a small change of C is predicted to do, and what fits at C / 10 and 10 C are seen to do.

Reference: Vapnik, *Statistical Learning Theory*, 1998, section 10.2; the derivative of the value by a parameter:
Danskin, *The Theory of Max-Min*, 1967.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.certificates.duality_gap import DualityGap
from qed.standing import Standing

Array = np.ndarray
STRONGEST = 5
"""Rows that are named."""
ALIKE = 1e-9
"""Answers that differ by less than this part of the margin, and of the forces, are the same."""


@dataclass(frozen=True)
class Tried:
    """The same rows at another price."""

    price: float
    fit: Any


@dataclass(frozen=True)
class Held:
    """What holds the plane.

    `margin` is 1 / |w|, infinite where w is 0; `on_margin` and `beyond` are the training rows with 0 < a < C and with
    a = C, strongest first; `misclassified` those on the wrong side; `objective` is P, `dual_gap` the proved gap.
    """

    margin: float
    objective: float
    dual_gap: float
    on_margin: tuple[int, ...]
    beyond: tuple[int, ...]
    misclassified: tuple[int, ...]


def explained(
    fit: Any, names: Sequence[str], classes: tuple[str, str], certificate: DualityGap, tried: Sequence[Tried],
    assumed: str | None, remarks: Sequence[Reason] = (),
) -> Answer[Held]:  # fmt: skip
    """The answer for one problem.

    Args:
        fit: the problem, solved.
        names: of its rows.
        classes: names of the classes with sign -1 and 1.
        certificate: of the gap.
        tried: fits at other prices.
        assumed: what the proof assumes besides the data.
        remarks: what else is to be said of the problem, at the end.
    """
    held = held_by(fit)
    bracket = fit.bracket
    claim = (
        f"the objective at this plane is {bracket.primal:.6g}, and no plane is better by more than {bracket.gap:.2g}"
    )
    if assumed:
        claim += f", where {assumed}"
    touching = len(held.on_margin) + len(held.beyond)
    headline = (
        f"The plane between {classes[0]} and {classes[1]} is optimal to {bracket.relative:.1g} of its objective; "
        f"{touching} of {len(fit.signs)} rows hold it, with {_told(held.margin)}."
    )
    if tells_nothing(fit):
        headline = (
            f"No direction of the features tells {classes[0]} from {classes[1]}: w is 0 up to rounding, and every row "
            f"is answered alike; optimal to {bracket.relative:.1g} of the objective."
        )
    if not np.isfinite(bracket.dual):
        missing = Missing("a lower bound of the objective", "fit again with a smaller tol or a larger max_iter")
        return Answer(claim, Standing.UNKNOWN, held, arithmetic="reals", headline=headline, missing=(missing,))
    reasons = (
        Reason("weak duality", "D(a) <= P* <= P(w)", f"{bracket.dual:.9g} <= P* <= {bracket.primal:.9g}"),
        _margin(fit),
        *_forces(fit, held, names),
        *(_trade(fit, each) for each in tried),
        *remarks,
    )
    return Answer(
        claim,
        Standing.PROVED,
        held,
        arithmetic="reals",
        error=None,
        reasons=reasons,
        certificate=certificate,
        headline=headline,
        subject="svm",
    )


def tells_nothing(fit: Any) -> bool:
    """Whether all rows get the same answer, beside a margin of 1 and the forces: so it is without variance."""
    return bool(np.ptp(fit.values) <= ALIKE * min(1.0, float(np.sum(fit.multipliers))))


def held_by(fit: Any) -> Held:
    """The rows that hold a plane, by their numbers among the training rows, strongest first."""
    force, price = fit.multipliers, fit.prices
    order = np.argsort(-force, kind="stable")
    on = tuple(int(fit.index[k]) for k in order if 0 < force[k] < price[k])
    beyond = tuple(int(fit.index[k]) for k in order if 0 < force[k] == price[k])
    wrong = tuple(int(k) for k in fit.index[fit.signs * (fit.values + fit.offset) <= 0])
    return Held(fit.margin, float(fit.bracket.primal), float(fit.bracket.gap), on, beyond, wrong)


def _told(margin: float) -> str:
    return f"a margin of {margin:.4g}" if np.isfinite(margin) else "no margin, since w is 0"


def _margin(fit: Any) -> Reason:
    if not fit.length > 0:
        return Reason("margin", "1 / |w|", text="w is 0: there is no plane, and no margin", role="margin")
    return Reason("margin", "1 / |w|", f"1 / {fit.length:.4g} = {fit.margin:.4g}", role="margin")


def offset_is_shrunk(fit: Any) -> Reason:
    """That the objective draws the offset towards 0, and how much of it that is."""
    share = 0.5 * (fit.square - fit.length**2)
    text = (
        f"the objective holds b^2 / (2 s^2) besides |w|^2 / 2, s = intercept_scaling: {share:.4g} beside "
        f"{0.5 * fit.length**2:.4g}; so the offset is drawn towards 0 like a weight, less so with a larger s or with "
        "features of mean 0"
    )
    return Reason("offset", "P = |w|^2 / 2 + b^2 / (2 s^2) + sum C_i hinge_i", text=text, role="where")


def _forces(fit: Any, held: Held, names: Sequence[str]) -> list[Reason]:
    total = float((fit.signs * fit.multipliers) @ fit.values)
    found = [
        Reason(
            "balance of forces",
            "|w|^2 + b^2 / s^2 = sum a_i y_i f_i" if fit.shrunk else "|w|^2 = sum a_i y_i f_i",
            f"{fit.square:.6g} = {total:.6g}",
            predicted=float(fit.square),
            observed=total,
            standing=Standing.MEASURED,
            role="held by",
            text=f"{len(held.on_margin)} rows lie on the margin, {len(held.beyond)} have crossed it (force C), "
            f"{len(held.misclassified)} of these are on the wrong side",
        )
    ]
    for k in np.argsort(-fit.multipliers, kind="stable")[: min(STRONGEST, np.count_nonzero(fit.multipliers))]:
        where = "on the margin" if fit.multipliers[k] < fit.prices[k] else "beyond the margin"
        at = float(fit.signs[k] * (fit.values[k] + fit.offset))
        found.append(
            Reason(
                "force of a row",
                "a_i",
                f"a = {fit.multipliers[k]:.4g} of C = {fit.prices[k]:.4g}",
                role="row",
                text=f"{names[k]} {where}: y f = {at:.4g}, force {fit.multipliers[k]:.4g} of {fit.prices[k]:.4g}",
            )
        )
    return found


def _trade(fit: Any, tried: Tried) -> Reason:
    other = held_by(tried.fit)
    here = held_by(fit)
    hinges = float(fit.prices @ np.maximum(0.0, 1.0 - fit.signs * (fit.values + fit.offset)))
    factor = float(np.max(tried.fit.prices) / np.max(fit.prices))
    # the least value is concave in the price: its tangent lies above it
    return Reason(
        "price of a crossing",
        "P*(c C) <= P*(C) + (c - 1) C sum of hinges",
        f"{tried.fit.bracket.dual:.4g} <= {fit.bracket.primal + (factor - 1) * hinges:.4g}",
        predicted=fit.bracket.primal + (factor - 1) * hinges,
        observed=tried.fit.bracket.dual,
        standing=Standing.MEASURED,
        role="tried",
        text=f"C = {tried.price:.4g}: {_told(other.margin)} instead of {_told(here.margin)}, "
        f"{len(other.misclassified)} rows on the wrong side instead of {len(here.misclassified)}",
    )
