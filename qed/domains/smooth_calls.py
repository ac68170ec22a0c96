"""Series of functions of JAX's own that are smooth where the bodies that compute them have a tie.

`jnp.logaddexp(a, b)` is computed as max(a, b) + log1p(exp(-|a - b|)): where a = b the maximum, the absolute value and
the choice between them have no series, and log(e^a + e^b) has one. Its derivative is

    da / (1 + e^(b - a)) + db / (1 + e^(a - b)),

from which each coefficient follows from those before it. The value is the body's. That of base 2 has a rounded log 2 in
its body, so that the formula is another function, by rounding: enclosures do without. `jnp.sinc` at 0 is a number with
a rule for its derivative, and only JAX's rule knows the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from qed.domains import piecewise
from qed.domains.coefficients import Lost
from qed.domains.series import Composite, Node, SeriesArithmetic
from qed.graph.calls import Inline
from qed.graph.defined import library_rule
from qed.graph.graph import Equation
from qed.graph.tape import Context, Unknown

if TYPE_CHECKING:
    from qed.domains.taylor import Series, Taylor

SUM, NATIVE = "logaddexp", ("logaddexp2", "_sinc_maclaurin")
"""The sum that is told; functions whose series are those of JAX's rules, in JAX's arrays only."""


def is_smooth_call(equation: Equation, native: bool) -> bool:
    """Whether an equation calls a function of JAX's own that has its series here.

    Args:
        equation: of a graph.
        native: whether the coefficients are JAX arrays.
    """
    call = equation.call
    if not isinstance(call, Inline) or not call.custom or call.name not in (SUM, *(NATIVE if native else ())):
        return False
    return equation.native is not None and library_rule(equation.native)


def smooth_call(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    """The series of such a call; of constants, the constant that its body computes."""
    equation = context.equation
    call = equation.call
    if not isinstance(call, Inline):
        raise Lost
    if call.name == "_sinc_maclaurin" and any(x.moves for x in xs):
        return piecewise.nested(domain, xs, context)
    (value,) = domain.walk(call.graph, [domain.series((x.leading,)) for x in xs])
    if isinstance(value, Unknown):
        raise Lost(unknown=value)
    if not any(x.moves for x in xs):
        return (value,)
    arithmetic = SeriesArithmetic(domain.numbers)
    a, b = (domain.spread(arithmetic, x, context) for x in xs)
    unit = arithmetic.exact(Fraction(1))
    scale = arithmetic.call("log", arithmetic.exact(Fraction(2))) if call.name == "logaddexp2" else unit

    def share(of: Node, other: Node) -> Node:
        apart = arithmetic.sum(of, other, -1)
        return arithmetic.call("logistic", apart if scale is unit else arithmetic.product(scale, apart))

    def slopes(_: Composite) -> list[Callable[[], Node]]:
        return [lambda: share(a, b), lambda: share(b, a)]

    return (domain.shaped(Composite(arithmetic, lambda: value.leading, (a, b), slopes), context),)
