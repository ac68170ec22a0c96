"""What it means for a card of ARITHMETIC to be true, and every single mistake in one.

As for the cards of one variable: partial derivatives against difference quotients in balls to 60 bits, the domain by
where the value is finite, ties and jumps by where one-sided difference quotients and values differ, libraries against
each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import flint
import numpy as np

from qed.facts import BALLS, JAX, NUMPY, ArithmeticCard, Condition
from qed.facts.libraries import value_in
from tests.laws.card_checks import quotient_of
from tests.laws.card_mutants import SLIGHTLY, constant, edits
from tests.laws.card_pieces import Place, exactly

arb = flint.arb
VALUES = (-2.625, -1.0, -0.3125, 0.40625, 1.0, 1.75, 3.28125)
INNER = {
    "polygamma": ((0.0, 1.0, 2.0, 3.0), (0.40625, 1.75, 3.28125)),
    "zeta": ((1.75, 3.28125, 5.0), (0.40625, 1.0, 3.5)),
}
"""Grids where the general one has too few points of the domain."""

SUFFICIENT = {"clamp", "igamma", "igammac", "igamma_grad_a", "polygamma", "regularized_incomplete_beta", "zeta"}
"""Where the domain is what all libraries agree on, not everything the function can be continued to."""

NO_BALLS = {"igamma_grad_a"}
"""The derivative of P(a, x) in a, which python-flint lacks: judged in JAX against difference quotients of P."""


def grid(card: ArithmeticCard) -> Iterator[dict[str, float]]:
    """Points on a coarse grid, in and out of the domain, where no rounding meets a tie unless it is exactly one."""
    axes = INNER.get(card.name, (VALUES,) * len(card.arguments))
    for point in product(*axes):
        yield dict(zip(card.arguments, point, strict=True))


def complaints(card: ArithmeticCard) -> Iterator[str]:
    """Yield what is wrong with the card."""
    with flint.ctx.workprec(192):
        yield from check_form(card)
        if card.name not in NO_BALLS:
            yield from check_partials(card)
            yield from check_domain(card)
            yield from check_tie(card)
            yield from check_values(card)


def check_form(card: ArithmeticCard) -> Iterator[str]:
    """A partial derivative for each argument."""
    if len(card.partials) != len(card.arguments):
        yield "a partial derivative for each argument"


def check_partials(card: ArithmeticCard) -> Iterator[str]:
    """Each partial derivative is the limit of difference quotients, at ordinary points of the domain."""
    for index, partial in enumerate(card.partials):
        if partial is None:
            continue
        points = [p for p in (*grid(card), *_with_zeros(card)) if _ordinary(card, p) and _varies(card, p, index)]
        if partial.calls & NO_BALLS:
            yield from _check_in_jax(card, index, points)
            continue
        for point in points:
            reference = _slope(card, point, index)
            stated = arb(0) + partial.evaluate(arithmetic=BALLS, z=_value(card, point), **_balls(point))
            if not abs(stated - reference) <= abs(reference) * arb(2) ** -60 + arb(2) ** -100:
                yield f"partial {index} at {point} is {reference.str(8)}, not {stated.str(8)}"
                return


def _check_in_jax(card: ArithmeticCard, index: int, points: list[dict[str, float]]) -> Iterator[str]:
    """A partial derivative that only JAX can evaluate, to 1e-8 (evidence)."""
    import jax

    with jax.enable_x64(True):
        columns = {name: jax.numpy.asarray([point[name] for point in points]) for name in card.arguments}
        partial = card.partials[index]
        assert partial is not None
        stated = np.asarray(partial.evaluate(arithmetic=JAX, z=None, **columns))
    for point, computed in zip(points, stated, strict=True):
        reference = float(_slope(card, point, index).mid())
        if not abs(computed - reference) <= 1e-8 * abs(reference):
            yield f"partial {index} at {point} is {reference!r}, not {computed!r}"
            return


def check_domain(card: ArithmeticCard) -> Iterator[str]:
    """Inside, the value is finite; outside it is not (of atan2, where zero is put by convention, a slope is not)."""
    for point in [*grid(card), *_with_zeros(card)]:
        inside = _holds(card.domain, point)
        value = _numpy(card, point)
        if inside and not np.isfinite(value):
            yield f"not defined at {point}"
            return
        if not inside and card.name not in SUFFICIENT and np.isfinite(value):
            with np.errstate(all="ignore"):
                known = [partial for partial in card.partials if partial is not None]
                slopes = [p.evaluate(arithmetic=NUMPY, z=value, **_floats(point)) for p in known]
            if card.name != "atan2" or all(np.isfinite(slope) for slope in slopes):
                yield f"defined at {point}"
                return


def check_tie(card: ArithmeticCard) -> Iterator[str]:
    """At a tie some one-sided difference quotients differ, at a jump values do; at no other point inside the domain."""
    for point in [*grid(card), *_with_zeros(card)]:
        indices = [index for index in range(len(card.arguments)) if _varies(card, point, index)]
        if not _holds(card.domain, point):
            continue
        jump = any(_gap(card, point, index) > 1e-3 for index in indices)
        if jump != _holds(card.jump, point):
            yield f"{'a' if jump else 'no'} jump at {point}"
            return
        corner = not jump and any(_corner(card, point, index) for index in indices)
        if corner != _holds(card.tie, point):
            yield f"{'a' if corner else 'no'} corner at {point}"
            return
        if corner and card.commutative:
            yield from _check_balance(card, point)


def _check_balance(card: ArithmeticCard, point: dict[str, float]) -> Iterator[str]:
    """At a tie of equals, each partial derivative is the mean of both sides' (one half)."""
    for index, partial in enumerate(card.partials):
        assert partial is not None
        stated = partial.evaluate(arithmetic=BALLS, z=_value(card, point), **_balls(point))
        if not abs(stated - _slope(card, point, index)) <= 1e-12:
            yield f"partial {index} at {point} is {stated}, not the mean of both sides"


def check_values(card: ArithmeticCard) -> Iterator[str]:
    """NumPy, the ball, the definition, and the arguments exchanged, agree."""
    symmetric = True
    for point in grid(card):
        if not _holds(card.domain, point):
            continue
        exact, computed = float(_value(card, point).mid()), float(_numpy(card, point))
        if not abs(exact - computed) <= 1e-10 * abs(exact) + 1e-14:
            yield f"at {point} NumPy has {computed!r}, the ball {exact!r}"
            return
        if card.value.definition is not None:
            defined = arb(0) + card.value.definition.evaluate(arithmetic=BALLS, **_balls(point))
            if not abs(defined - exact) <= 1e-10 * abs(exact) + 1e-14:
                yield f"at {point} the definition has {defined}, the ball {exact!r}"
                return
        exchanged = dict(zip(card.arguments, reversed([*point.values()]), strict=True))
        symmetric = symmetric and float(_numpy(card, exchanged)) == computed
    if symmetric != card.commutative:
        yield f"commutative: {symmetric}"


def mutants(card: ArithmeticCard) -> Iterator[tuple[str, ArithmeticCard]]:
    """Yield every card that differs from this one by one mistake."""
    for index, partial in enumerate(card.partials):
        if partial is None:
            continue
        whole = [partial * constant(1 + SLIGHTLY), partial + constant(SLIGHTLY), -partial, *edits(partial)]
        whole += [partial.substitute({a: _symbol(b)}) for a, b in (("x", "y"), ("y", "x"))]
        for wrong in whole:
            if wrong != partial and wrong.symbols <= {*card.arguments, "z", "pi"}:
                yield f"partial {index}: {wrong}", replace(card, partials=_put(card.partials, index, wrong))
    for which in ("domain", "tie", "jump"):
        condition = getattr(card, which)
        for wrong in _conditions(condition or Condition()):
            if which == "domain" or wrong != Condition():
                yield f"{which}: {wrong}", replace(card, **{which: wrong})
    for which in ("tie", "jump"):
        wrong = None if getattr(card, which) else Condition.parse(f"{card.arguments[-1]} == {_inside(card)}")
        yield f"{which}: {wrong}", replace(card, **{which: wrong})
    yield "commutative", replace(card, commutative=not card.commutative)
    yield (
        "numpy",
        replace(card, value=replace(card.value, numpy="numpy.hypot" if len(card.arguments) == 2 else "numpy.where")),
    )


def _inside(card: ArithmeticCard) -> float:
    """The last argument of a grid point inside the domain."""
    return next(point[card.arguments[-1]] for point in grid(card) if _ordinary(card, point) and _varies(card, point, 1))


def _conditions(condition: Condition) -> Iterator[Condition]:
    """Each alternative dropped, each comparison turned round."""
    for i, conjunction in enumerate(condition.alternatives):
        others = (*condition.alternatives[:i], *condition.alternatives[i + 1 :])
        if others:
            yield Condition(others)
        for j, part in enumerate(conjunction):
            opposite = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}[part.sign]
            turned = (*conjunction[:j], replace(part, sign=opposite), *conjunction[j + 1 :])
            yield Condition((*others, turned))


def _put(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _symbol(name: str) -> Any:
    from qed.facts.expression import Symbol

    return Symbol(name)


def _ordinary(card: ArithmeticCard, point: dict[str, float]) -> bool:
    return _holds(card.domain, point) and not _holds(card.tie, point) and not _holds(card.jump, point)


def _holds(condition: Condition | None, point: dict[str, float]) -> bool:
    with np.errstate(all="ignore"):
        return condition is not None and bool(condition.holds(**_floats(point)))


def _varies(card: ArithmeticCard, point: dict[str, float], index: int) -> bool:
    """Whether the domain has a neighbourhood along that argument."""
    name = card.arguments[index]
    return all(_holds(card.domain, {**point, name: point[name] + step}) for step in (-1e-6, 1e-6))


def _slope(card: ArithmeticCard, point: dict[str, float], index: int) -> Any:
    name = card.arguments[index]

    def along(t: Any) -> Any:
        return arb(0) + BALLS.call(card.name, *{**_balls(point), name: t}.values())

    return quotient_of(along, Place(exactly(point[name]), 1, arb(0)))


def _gap(card: ArithmeticCard, point: dict[str, float], index: int) -> Any:
    name, step = card.arguments[index], arb(2) ** -60
    sides = [{**_balls(point), name: arb(point[name]) + side * step} for side in (-1, 1)]
    left, right = (arb(0) + BALLS.call(card.name, *side.values()) for side in sides)
    return abs(right - left)


def _corner(card: ArithmeticCard, point: dict[str, float], index: int) -> bool:
    name, step = card.arguments[index], arb(2) ** -60
    value, ends = _value(card, point), []
    for side in (-1, 1):
        moved = {**_balls(point), name: arb(point[name]) + side * step}
        ends.append((arb(0) + BALLS.call(card.name, *moved.values()) - value) / (side * step))
    return bool(abs(ends[1] - ends[0]) > 1e-3)


def _with_zeros(card: ArithmeticCard) -> Iterator[dict[str, float]]:
    axes = ((-1.0, 0.0, 1.75),) * len(card.arguments)
    for point in product(*axes):
        if 0.0 in point:
            yield dict(zip(card.arguments, point, strict=True))


def _value(card: ArithmeticCard, point: dict[str, float]) -> Any:
    return arb(0) + BALLS.call(card.name, *_balls(point).values())


def _numpy(card: ArithmeticCard, point: dict[str, float]) -> Any:
    with np.errstate(all="ignore"):
        return value_in("numpy", card.value, card.arguments)(*_floats(point).values())


def _balls(point: dict[str, float]) -> dict[str, Any]:
    return {name: arb(value) for name, value in point.items()}


def _floats(point: dict[str, float]) -> dict[str, Any]:
    return {name: np.float64(value) for name, value in point.items()}
