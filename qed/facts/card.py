"""A fact card: what is true of one function of one real variable, written once, on one line.

A card states the function's value (by the names of its NumPy, JAX and ball implementations, or by a formula in other
cards), its derivative as one text in `x` and `y = f(x)`, and its shape:

- domain: an interval, less the `poles`; the real function is defined exactly there;
- kinks: f is continuous but has no derivative; there the derivative text gives the number that JAX gives;
- jumps: f is not continuous;
- turns: points of the domain where f' changes sign (a change across a pole is no turn);
- bends: points of the domain where f'' changes sign (same remark; a kink is listed only if f'' changes sign there);
- limits at the two ends of where the shape is stated, and at the poles from the left and the right; "none" where f
  oscillates;
- range: the smallest interval with all values; parity; the smallest period;
- log: whether log f is convex, concave, affine or none of them on the intervals where f > 0.

Between neighbouring turns, poles, kinks and jumps f' has one sign, or is zero at most at isolated points; f'' likewise,
with bends for turns. Where `shape_on` is narrower than the domain, the shape (kinks to log) is stated there only, and
outside nothing but value and derivative is. Second and higher derivatives are never written: `qed.facts.derivative_of`
derives them. That every card is true is proved in tests/laws/test_cards.py; that every single mistake would be noticed,
in tests/laws/test_card_mutations.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from qed.facts.expression import Expression, parse
from qed.facts.points import Interval, Point, Points
from qed.facts.typeset import fill

Parity = Literal["even", "odd", "none"]
LogCurvature = Literal["convex", "concave", "affine", "none"]
REALS = Interval.parse("(-inf, inf)")


@dataclass(frozen=True)
class Value:
    """The names of a function's implementations; "" means: by the definition, a formula in other cards.

    `arguments` is how the parameters of a family stand among the arguments: "x", "x, y" or "m, x".
    """

    numpy: str
    jax: str
    flint: str
    definition: Expression | None = None
    arguments: str = "x"


@dataclass(frozen=True)
class Card:
    r"""The facts about one function of one real variable; the module says what each field states.

    >>> from qed import facts
    >>> tanh = facts.card("tanh")
    >>> tanh.derivative, str(tanh.bends), tanh.parity, str(tanh.range), tanh.log
    (Expression('(1 - y)*(1 + y)'), '0', 'odd', '(-1, 1)', 'concave')
    >>> facts.derivative_of(facts.card("exp"), order=5)
    Expression('y')
    >>> tanh.tex_of("u")
    '\\tanh u'
    """

    name: str
    value: Value
    derivative: Expression
    domain: Interval
    range: Interval
    limits: tuple[Point | None, Point | None]
    poles: Points = Points()
    at_poles: tuple[Point, Point] | None = None
    kinks: Points = Points()
    jumps: Points = Points()
    turns: Points = Points()
    bends: Points = Points()
    parity: Parity = "none"
    period: Point | None = None
    log: LogCurvature = "none"
    shape_on: Interval = REALS
    tex: str = ""
    parameters: tuple[tuple[str, Fraction], ...] = ()
    primitive: bool = field(default=True)

    def defined_at(self, x: float) -> bool:
        """Whether the real function is defined at the float64 number x.

        >>> from qed import facts
        >>> facts.card("log").defined_at(0.0), facts.card("sqrt").defined_at(0.0), facts.card("lgamma").defined_at(-2.0)
        (False, True, False)
        """
        return x in self.domain and not self.poles.meets(x, x)

    def tex_of(self, argument: str = "x") -> str:
        """Return the function's value at `argument` as TeX; a sum or product belongs in brackets of its own."""
        return fill(self.tex, x=(argument, len(argument) > 1 and argument[:1] != "\\"))

    def numpy(self, x: Any) -> Any:
        """Return the value in NumPy or SciPy."""
        return self._in("numpy")(x)

    def jax(self, x: Any) -> Any:
        """Return the value in JAX."""
        return self._in("jax")(x)

    def ball(self, x: Any) -> Any:
        """Return an enclosure of the values on the python-flint ball x, at the current precision."""
        return self._in("flint")(x)

    def _in(self, library: str) -> Callable[[Any], Any]:
        from qed.facts.libraries import value_in

        return value_in(library, self.value, ("x",), self.parameters)


def entry(
    name: str, derivative: str, *, limits: str,
    range: str = "(-inf, inf)", domain: str = "(-inf, inf)", shape_on: str = "",
    poles: str = "", at_poles: str = "", kinks: str = "", jumps: str = "", turns: str = "", bends: str = "",
    parity: Parity = "none", period: str = "", log: LogCurvature = "none", tex: str = "",
    numpy: str | None = None, jax: str | None = None, flint: str | None = None, definition: str = "",
    arguments: str = "x", parameters: dict[str, Fraction] | None = None, primitive: bool = True,
) -> Card:  # fmt: skip
    """Return the card that one line of a table is; every fact is a text, parsed here.

    Implementations default to `numpy.NAME`, `jax.lax.NAME` and the method NAME of a ball.

    >>> from qed.facts.card import entry
    >>> str(entry("sinh", "cosh(x)", limits="-inf, inf", bends="0", parity="odd", log="concave").bends)
    '0'
    """
    left, right = (_limit(text) for text in limits.split(","))
    return Card(
        name=name,
        value=Value(
            f"numpy.{name}" if numpy is None else numpy,
            f"jax.lax.{name}" if jax is None else jax,
            name if flint is None else flint,
            parse(definition) if definition else None,
            arguments,
        ),
        derivative=parse(derivative),
        domain=Interval.parse(domain),
        range=Interval.parse(range),
        limits=(left, right),
        poles=Points.parse(poles),
        at_poles=_pair(at_poles) if at_poles else None,
        kinks=Points.parse(kinks),
        jumps=Points.parse(jumps),
        turns=Points.parse(turns),
        bends=Points.parse(bends),
        parity=parity,
        period=Point.parse(period) if period else None,
        log=log,
        shape_on=Interval.parse(shape_on or domain),
        tex=tex or rf"\operatorname{{{name}}} {{x}}",
        parameters=tuple((parameters or {}).items()),
        primitive=primitive,
    )


def _limit(text: str) -> Point | None:
    return None if text.strip() == "none" else Point.parse(text.strip())


def _pair(text: str) -> tuple[Point, Point]:
    left, right = (Point.parse(part.strip()) for part in text.split(","))
    return left, right
