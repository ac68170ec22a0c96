"""The sentences of `qed.critical_point`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qed.answer import Reason
from qed.calculus.expanding.words import outward
from qed.calculus.points.flat import Higher
from qed.calculus.points.located import Located
from qed.calculus.points.result import Direction, Kind
from qed.domains.intervals import Intervals
from qed.standing import Standing

CALLED = {Kind.MINIMUM: "a strict local minimum", Kind.MAXIMUM: "a strict local maximum", Kind.SADDLE: "a saddle"}
PRIMES = {1: "f'", 2: "f''", 3: "f'''"}


def derivative(order: int) -> str:
    """How the derivative of an order is written.

    >>> derivative(2), derivative(4)
    ("f''", 'f^(4)')
    """
    return PRIMES.get(order, f"f^({order})")


def place(distance: float) -> str:
    """Where a critical point lies, seen from the given one."""
    return "the point itself" if distance == 0 else f"within {outward(distance, 1)} of the point"


def all_curvatures(count: int) -> str:
    """The subject of a sentence about all curvatures, with its verb.

    >>> all_curvatures(1), all_curvatures(2), all_curvatures(1200)
    ('the curvature is', 'both curvatures are', 'all 1,200 curvatures are')
    """
    return {1: "the curvature is", 2: "both curvatures are"}.get(count, f"all {count:,} curvatures are")


def signs(negative: int, positive: int) -> str:
    """How many curvatures have which sign.

    >>> signs(0, 1), signs(0, 3), signs(1, 2)
    ('the curvature there is positive', 'all 3 curvatures there are positive', '1 of 3 curvatures there is negative')
    >>> signs(2, 0)
    'both curvatures there are negative'
    """
    total = negative + positive
    if total == 1:
        return f"the curvature there is {'positive' if positive else 'negative'}"
    if not negative or not positive:
        how_many = "both" if total == 2 else f"all {total:,}"
        return f"{how_many} curvatures there are {'positive' if positive else 'negative'}"
    return f"{negative} of {total} curvatures there {'is' if negative == 1 else 'are'} negative"


def headline(kind: Kind, distance: float, negative: int, positive: int) -> str:
    """The sentence about a critical point whose curvatures all have a sign."""
    what = CALLED[kind].capitalize()
    return f"{what}, {place(distance)}: {signs(negative, positive)}."


def claim(kind: Kind, distance: float, negative: int, positive: int) -> str:
    """The claim about it."""
    where = "the given point" if distance == 0 else f"one point within {outward(distance, 1)} of the given one"
    return f"grad f is zero at {where}, where {signs(negative, positive)}: {CALLED[kind]}"


def tested(kind: Kind, found: Located, size: int, standing: Standing) -> Reason:
    """The second-derivative test, with its numbers."""
    if size == 1:
        relation = {Kind.MINIMUM: "f'' > 0", Kind.MAXIMUM: "f'' < 0"}[kind]
        box = found.box.hessian
        numbers = f"f'' in {bracket(box)}"
        formula = f"f' = 0 and {relation}  =>  {CALLED[kind]}"
        text = f"second-derivative test: {relation} where f' = 0, here {numbers}"
        return Reason("second-derivative test", formula, numbers, standing=standing, text=text, unpredicted=_BARE)
    negative, positive = found.signs or (0, 0)
    values = np.linalg.eigvalsh(found.box.matrix)
    numbers = f"curvatures from {values[0]:.6g} to {values[-1]:.6g}"
    text = (
        f"second-derivative test: L D L' of the enclosed Hessian has {positive} positive and {negative} negative pivots"
    )
    return Reason(
        "second-derivative test",
        "H = L D L', as many eigenvalues of each sign as D (Sylvester)",
        numbers,
        standing=standing,
        text=f"{text}; {numbers}",
        unpredicted=_BARE,
    )


_BARE = "a sign is asked for, not a number"


def bracket(ends: Intervals) -> str:
    """An enclosure of one number as text, rounded outward."""
    low, high = float(np.min(ends.lower)), float(np.max(ends.upper))
    return f"[{outward(low, -1)}, {outward(high, 1)}]"


def krawczyk(distance: float, standing: Standing) -> Reason:
    """Why there is a critical point."""
    text = f"Krawczyk's test: exactly one critical point in a small box, {place(distance)}"
    formula = "p - Y grad f(p) + (I - Y H(S)) (S - p) in the interior of S"
    return Reason("Krawczyk's test", formula, standing=standing, text=text, unpredicted=_BARE)


def rounding(gradient: float, bound: float) -> Reason:
    """The gradient at the point beside its rounding."""
    if gradient == 0:
        return Reason("the gradient", with_numbers="0", role="checked", text="the gradient at the point is 0")
    if math.isnan(bound):
        text = f"the gradient at the point is {gradient:.3g} long"
        return Reason("the gradient", with_numbers=f"{gradient:.3g}", role="checked", text=text)
    text = f"the gradient at the point is {gradient:.3g} long; rounding explains up to {bound:.3g}"
    return Reason(
        "rounding of the gradient", with_numbers=f"{gradient:.3g} against {bound:.3g}", role="checked", text=text
    )


def fall(direction: Direction) -> Reason:
    """Where f falls fastest from a saddle."""
    text = f"f falls fastest along {direction.named()}: v'Hv = {direction.curvature:.6g}"
    return Reason("negative curvature", "v'Hv < 0", f"{direction.curvature:.6g}", role="where", text=text)


NATURES = {
    "minimum": "the point is a minimum",
    "maximum": "the point is a maximum",
    "neither": "f takes larger and smaller values nearby: neither a minimum nor a maximum",
}


def higher(found: Higher, size: int, standing: Standing) -> Reason:
    """What derivatives of higher order say."""
    if size == 1:
        rule, formula = "higher-derivative test", "the first k with f^(k) != 0 decides: odd, neither; even, its sign"
        if not found.order:
            text = "second-derivative test: f'' = 0 says nothing, and no derivative up to the twelfth does"
        else:
            factorial = float(np.prod(np.arange(1, found.order + 1)))
            number = f"{derivative(found.order)} = {found.coefficient * factorial:.6g}"
            odd = "odd" if found.order % 2 else "even"
            text = f"second-derivative test: f'' = 0 says nothing; the next derivative that is not zero is {number}, "
            text += f"of {odd} order: {NATURES[found.nature]}"
        return Reason(rule, formula, standing=standing, text=text, unpredicted=_BARE)
    rule, formula = "higher derivatives along the flat directions", "c_3, and c_4 - sum B_k^2 / (2 l_k)"
    if found.curved:
        rule, formula = "the reduced function", "g(t) = f on the curve from a flat direction with w_k . grad f = 0"
        text = f"on a curve from a flat direction f is {found.coefficient:.6g} t^{found.order} + ...: "
        text += NATURES[found.nature]
    elif found.order == 3:
        text = f"along a flat direction the third derivative is {6 * found.coefficient:.6g}: {NATURES['neither']}"
    elif found.order:
        text = f"beside a flat direction f is {found.coefficient:.6g} t^4 + ...: {NATURES[found.nature]}"
    else:
        text = "third and fourth derivatives along the flat directions do not tell"
    return Reason(rule, formula, standing=standing, text=text, unpredicted=_BARE)


def exchanged(sentences: Sequence[str]) -> tuple[Reason, ...]:
    """That units can be exchanged: the point is not the only one of its kind."""
    return tuple(Reason("permutation symmetry", with_numbers="exchanged", role="checked", text=t) for t in sentences)
