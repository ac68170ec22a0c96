"""A proof of convexity, a witness against it, and the place where a proof fails, as reasons on the user's lines."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from qed.answer import Missing, Reason
from qed.calculus.shapes.found import Term
from qed.calculus.shapes.rules import Rules
from qed.domains.curvature_line import atoms
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Form, Place
from qed.findings import Finding
from qed.standing import Standing

DEPTH, WIDTH = 12, 8

TEXTS = {
    "perspective": "s g(x/s, 1/s) is convex in x and s > 0 where g is",
    "polynomial": "its second derivative has no root of odd multiplicity inside, and is positive somewhere",
    "affine": "an affine function is convex",
    "binary forms": "every homogeneous part of a polynomial in two variables has definite second derivatives",
    "composition": "f'' has one sign where the argument goes, and f' the sign that its shape needs",
    "entropy": "u log u is convex for u >= 0, with its limit 0 at u = 0",
    "form over linear": "a sum of squares over a positive concave function is convex",
    "from logarithm": "what has a convex logarithm is convex",
    "function of the spectrum": "a convex function of all eigenvalues that does not depend on their order is convex",
    "geometric mean": "a product of powers of concave functions, exponents summing to at most 1, is concave",
    "groups": "each group of terms is convex",
    "beta function": "the logarithm of the beta function, a log-partition function, is convex",
    "integral": "the integral of a positive log-concave slope, from where it vanishes or over a window, is log-concave",
    "von Mises": "log I_0(u), the log-partition function of the law of von Mises, is convex and grows with |u|",
    "gamma integral": "log Gamma(u) - u log v, a log-partition function, is convex",
    "hyperbolic root": "the root of a positive quadratic with one positive direction (ad - b^2) is concave",
    "log-sum-exp": "log-sum-exp of convex functions is convex, whatever is subtracted before and added after",
    "log-sum-exps": "log-sum-exps of convex functions, each with a share of the other terms, are convex",
    "power mean": "a mean (sum of u^p)^(1/p) of concave positive numbers with p < 1 is concave",
    "rational": "its second derivative has the sign of a polynomial, which has no root of odd multiplicity inside",
    "scaled": "a number of one sign times a convex, or concave, function",
    "logarithm": "the logarithm of a log-convex function is convex, of a log-concave one concave",
    "matrix fraction": "w^T A^-1 w is jointly convex in w and a positive definite A",
    "maximum": "a maximum of convex functions is convex",
    "modulus": "|u| of an affine u is convex",
    "norm": "the root of a sum of squares of affine functions is a norm",
    "p-norm": "(sum |u|^p)^q with p >= 1 and p q >= 1 is a norm, or a power of one",
    "pieces": "along one line: convex on each piece, and the slope does not fall where the pieces meet",
    "second derivatives": "the matrix of second derivatives is positive semidefinite on every piece of the box",
    "pivot": "a pivot of the elimination of a positive definite matrix is concave in it, and so is its log-determinant",
    "power over powers": "u^p / (v^a w^b ...) with p >= 1 + a + b + ... is convex for convex u >= 0, concave v, w > 0",
    "quadratic form": "the matrix of second derivatives is positive semidefinite, in exact rational numbers",
    "quadratic over linear": "u^2/v is convex for v > 0",
    "relative entropy": "u log(u/v) is jointly convex",
    "spectrum": "weights that do not fall on sorted eigenvalues of an affine symmetric matrix, or on singular values",
    "shared curvature": "terms along lines, less a share of a quadratic, and the quadratic with the shares, are convex",
    "sum": "a sum of convex functions is convex",
    "sum of largest": "weights that do not fall, on sorted numbers, are a maximum over permutations",
}


def reason_of(step: Step, depth: int = DEPTH) -> Reason:
    """A step and its premises as a tree of reasons."""
    place = step.place
    name = place.primitive if place is not None else ""
    text = TEXTS.get(step.rule, step.rule) if step.claim == "convex" else f"{step.claim}: by the rule {step.rule}"
    premises = [p for p in step.premises if p.rule != "affine" or len(step.premises) == 1]
    kept = premises[:WIDTH] if depth else []
    numbers = _numbers(step)
    return Reason(
        f"{step.rule} ({name})" if name else step.rule,
        with_numbers=numbers,
        premises=tuple(reason_of(premise, depth - 1) for premise in kept),
        span=place.span if place is not None else None,
        standing=Standing.PROVED,
        text=text + (f" (and {len(premises) - len(kept)} more like these)" if len(premises) > len(kept) else ""),
    )


def _numbers(step: Step) -> str | None:
    if step.rule != "composition":
        return None
    low, high, d, e, b, c = step.numbers
    return f"u in [{low:.6g}, {high:.6g}], f' in [{d:.4g}, {e:.4g}], f'' in [{b:.4g}, {c:.4g}]"


def witness_reason(chord: Any, of: str) -> Reason:
    """Two points that refute, with the numbers."""
    side = "above" if of == "convexity" else "below"
    return Reason(
        f"a chord against {of}",
        "f((x + y)/2) <= (f(x) + f(y))/2" if of == "convexity" else "f((x + y)/2) >= (f(x) + f(y))/2",
        f"x = {chord.x!r}, y = {chord.y!r}: in the middle {chord.middle:.12g}, the chord there {chord.mean:.12g}",
        role="witness",
        standing=Standing.PROVED,
        text=f"at the middle of two points the function lies {side} its chord by {chord.gap:.6g}",
    )


def rounded_exponent(term: Term) -> Reason | None:
    """An exponent that is the float nearest to a fraction, and not the fraction: it may be what refutes.

    (xyz)^p with 3 p <= 1 is concave; float32's 1/3 lies above 1/3: three such exponents sum to more than 1.
    """
    for atom in atoms(term.form, set()) if term.form is not None else ():
        if atom.name != "power":
            continue
        exact = Fraction(next(iter(dict(atom.data.parameters).values())))
        meant = exact.limit_denominator(64)
        if exact != meant and abs(exact - meant) <= abs(meant) / 2**22:
            side = "above" if exact > meant else "below"
            return Reason(
                "the exponent as it is",
                role="what refutes",
                text=f"the exponent in the program is {float(exact):.17g}, a float next to {meant} and {side} it; "
                f"with {meant} itself the function may have another shape",
            )
    return None


def death(term: Term, rules: Rules, problem: str | None) -> Missing:
    """What is missing: the equation that may be undefined, or the first number where no rule applies."""
    if term.gap is not None:
        primitive = getattr(term.gap, "primitive", None)
        return Missing(str(term.gap), "a smaller program", "QED020", primitive, getattr(term.gap, "span", None))
    if term.doubtful is not None:
        what = f"{term.doubtful.primitive} may be undefined somewhere on the box"
        return Missing(what, "a box on which it is defined", "QED020", term.doubtful.primitive, term.doubtful.span)
    assert term.form is not None
    if problem is not None and rules.convex(term.form) is not None:
        return Missing(f"the proof was not confirmed in balls: {problem}", "a smaller box", "QED020")
    form = first_failure(rules, term.form, set())
    atom = next((atom for atom, c in form.terms if not atom.affine), None)
    if atom is None:
        return Missing("the shape of the result", "a smaller box", "QED020")
    bounds = [rules.a.range(arg) for arg in atom.args]
    where = ", ".join(f"[{low:.6g}, {high:.6g}]" for low, high in bounds[:4])
    what = f"no rule gives the shape of {atom.place.primitive} where its arguments lie in {where}"
    return Missing(what, "a smaller box, or the Hessian there", "QED020", atom.place.primitive, atom.place.span)


def culprit(term: Term, rules: Rules) -> Place | None:
    """The equation at which a function that is not convex stops being convex; None where there is no form."""
    if term.form is None:
        return None
    form = first_failure(rules, term.form, set())
    parts = [(atom, rules.a.form(((atom, c),), rules.a.zero)) for atom, c in form.terms if not atom.affine]
    return next((atom.place for atom, part in parts if rules.convex(part) is None), None)


def not_convex(chord: Any, points: Any, place: Place | None) -> Finding:
    """The finding that two points refute convexity, at the equation where the argument for it fails."""
    first, second = points
    numbers: dict[str, Any] = {"x": [list(leaf) for leaf in first], "y": [list(leaf) for leaf in second]}
    numbers |= {"middle": chord.middle, "mean": chord.mean, "gap": chord.gap}
    if place is not None:
        numbers["note"] = "the first part that has not the shape which convexity needs"
    message = (
        f"at the middle of two points of the box the function is {chord.middle:.6g}, and the mean of its values at "
        f"them {chord.mean:.6g}: it lies above its chord by {chord.gap:.6g}"
    )
    return Finding("QED302", message, place.span if place is not None else None, numbers)


def first_failure(rules: Rules, form: Form, seen: set[int]) -> Form:
    """The innermost part that is neither convex nor concave, while all it is made of is."""
    for atom, _ in form.terms:
        single = rules.a.of(atom)
        if atom.affine or id(single) in seen or rules.convex(single) or rules.concave(single):
            continue
        seen.add(id(single))
        for arg in atom.args:
            if not (rules.convex(arg) or rules.concave(arg)):
                return first_failure(rules, arg, seen)
        return single
    return form
