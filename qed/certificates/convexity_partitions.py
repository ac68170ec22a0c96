"""Checks of rows about log-partition functions: the logarithms of Euler's integrals, and what is scaled by a number.

References: see `qed.calculus.shapes.partitions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qed.certificates.convexity_signs import is_positive_multiple, logarithm_of
from qed.domains.curvature_terms import Form

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check


def _beta_function(step: Check) -> None:
    """d_1 log Gamma(u_1) + ... + d_n log Gamma(u_n) - c log Gamma(u_1 + ... + u_n + s) with d_i >= c > 0, s >= 0."""
    terms = step.form.terms
    step.require(all(atom.name == "lgamma" for atom, _ in terms) and step.form.constant == 0, "it is no such sum")
    below = [(atom, -c) for atom, c in terms if c < 0]
    above = [(atom, c) for atom, c in terms if c > 0]
    step.require(len(below) == 1 and len(above) >= 1, "not one value is subtracted from others")
    whole, least = below[0]
    step.require(all(c >= least for _, c in above), "a coefficient is too small")
    step.require(all(_is_positive(step, atom.args[0]) for atom, _ in above), "an argument may be 0")
    total = step.a.combine([(atom.args[0], step.a.one) for atom, _ in above])
    rest = step.a.subtract(whole.args[0], total)
    step.require(not rest.terms and rest.constant >= 0 and (len(above) > 1 or rest.constant > 0), "they do not add up")
    step.premises([])


def _gamma_integral(step: Check) -> None:
    """d log Gamma(u) - c u log v with d >= c > 0."""
    terms = step.form.terms
    step.require(len(terms) == 2 and step.form.constant == 0, "it has not two terms")
    gamma, product = terms if terms[0][0].name == "lgamma" else terms[::-1]
    step.require(gamma[0].name == "lgamma" and product[0].kind == "product", "it is no log Gamma(u) - u log v")
    u = gamma[0].args[0]
    step.require(_is_positive(step, u), "the argument may be 0")
    for s, other in (product[0].args, product[0].args[::-1]):
        v = logarithm_of(other)
        if v is None or not is_positive_multiple(s, u) or not _is_positive(step, v):
            continue
        share = s.terms[0][1] / u.terms[0][1]
        step.require(product[1] < 0 and gamma[1] >= -product[1] * share, "the coefficients do not fit")
        step.premises([])
        return
    step.fail("it is no u log v")


def _von_mises(step: Check) -> None:
    """c log(e^-|u| I_0(u)) + d |u| with d >= c > 0 where |u| is not affine; u affine, or convex and >= 0."""
    bessel = [(atom, c) for atom, c in step.form.terms if atom.name == "log"]
    step.require(len(bessel) == 1 and bessel[0][1] > 0 and step.form.constant == 0, "it is no such sum")
    inner = bessel[0][0].args[0].single
    if inner is None or inner[1] <= 0 or inner[0].name != "bessel_i0e":
        step.fail("it is no logarithm of I_0")
    u = inner[0].args[0]
    signs = step.a.nonnegative(u), step.a.nonnegative(step.negative(u))
    step.require(u.affine or signs[0], "the argument has two signs")
    if not (u.affine and any(signs)):
        rest = step.a.subtract(step.form, step.a.form(bessel, step.a.zero))
        least = step.a.scale(u if signs[0] else step.a.unary("abs", u), bessel[0][1])
        step.require(is_positive_multiple(rest, least) and rest.terms[0][1] >= least.terms[0][1], "|u| is missing")
    else:
        step.require(len(step.form.terms) == 1, "it is no such sum")
    step.premises([("convex", u)])


def _is_positive(step: Check, u: Form) -> bool:
    return u.affine and u.lost is None and step.a.positive(u)


PARTITIONS: Mapping[str, Callable[[Check], None]] = {
    "beta function": _beta_function,
    "gamma integral": _gamma_integral,
    "von Mises": _von_mises,
}
"""By rule: the check of a row about a log-partition function."""
