"""Checks of rows that say log-convex or log-concave: a positive form whose logarithm is convex, or concave.

References: see `qed.calculus.shapes.logarithms`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qed.certificates.convexity_forms import border, positive_eigenvalues
from qed.certificates.convexity_signs import power_of, sign_on
from qed.domains.curvature_integrals import read
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import precision

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check


def _positive(step: Check) -> str:
    step.require(step.a.positive(step.form), "the form may not be positive")
    return step.row[0]


def _log_constant(step: Check) -> None:
    _positive(step)
    step.require(not step.form.free, "it is no constant")
    step.premises([])


def _log_of_concave(step: Check) -> None:
    step.require(_positive(step) == "log-concave", "a concave function is log-concave")
    step.premises([("convex", step.negative(step.form))])


def _log_of_hyperbolic(step: Check) -> None:
    step.require(_positive(step) == "log-concave", "a hyperbolic form is log-concave")
    step.require(positive_eigenvalues(border(step, step.form)) == 1, "it has not one positive direction")
    step.premises([])


def _log_sum(step: Check) -> None:
    step.require(_positive(step) == "log-convex", "sums are log-convex")
    step.require(step.form.constant >= 0 and all(c > 0 for _, c in step.form.terms), "a coefficient is negative")
    step.premises([("log-convex", step.a.of(atom)) for atom, _ in step.form.terms])


def _log_product(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    other = claim if atom.kind == "product" else {"log-convex": "log-concave"}.get(claim, "log-convex")
    good = sign > 0 and atom.kind == step.row[1] and all(step.a.positive(arg) for arg in atom.args)
    step.require(good, "a factor may not be positive")
    step.premises([(claim, atom.args[0]), (other, atom.args[1])])


def _log_power(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    power = power_of(atom, step.a)
    step.require(
        sign > 0 and power is not None and step.a.positive(atom.args[0]), "it is no power of a positive number"
    )
    flipped = {"log-convex": "log-concave", "log-concave": "log-convex"}[claim]
    rising = power is not None and power > 0
    step.premises([(claim if rising else flipped, atom.args[0])])


def _log_card(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    wanted = claim.removeprefix("log-")
    good = atom.kind == "unary" and sign > 0 and atom.data.log in (wanted, "affine")
    good = good and str(atom.data.shape_on) == str(atom.data.domain)
    step.require(good, f"the card does not say that the function is {claim}")
    u = atom.args[0]
    if u.affine:
        step.premises([("convex", u)])
        return
    slope = sign_on(atom.data, *step.a.range(u), 1)
    step.require(slope is not None, "f' has not one sign on the range")
    same = (slope or 0) >= 0 if claim == "log-convex" else (slope or 0) < 0
    step.premises([("convex", u if same else step.negative(u))])


def _integral(step: Check) -> None:
    """The integral of a log-concave slope; that it begins at 0 is looked at in balls, too."""
    step.require(_positive(step) == "log-concave", "integrals of log-concave functions are log-concave")
    found = read(step.a, step.form, tuple(step.row[4]))
    if found is None:
        step.fail("it is no such integral")
    inner, (low, high) = found.line.algebra, (found.line.low, found.line.high)
    with precision(400) as library:
        near = library.arb(2) ** -300 if low is not None else library.arb(-(2**30))
        begin = near if low is None else library.arb(low) + near
        end = library.arb(high) if high is not None else library.arb(1)
        try:
            values = [BallValues({found.line.variable: t}).of(found.phi) for t in (begin, end)]
        except NoValue as error:
            step.fail(f"no value of {error}")
        begins = len(step.row[4]) == 1 or values[0].abs_upper() < 1e-6
        step.require(begins and values[1] > values[0], "it does not begin at 0, or does not grow")
    step.within([(inner, found.claim)])


LOGARITHMIC: Mapping[str, Callable[[Check], None]] = {
    "affine": _log_constant,
    "card": _log_card,
    "hyperbolic form": _log_of_hyperbolic,
    "integral": _integral,
    "of concave": _log_of_concave,
    "power": _log_power,
    "product": _log_product,
    "quotient": _log_product,
    "sum": _log_sum,
}
"""By rule: the check of a row that says log-convex, or log-concave."""
