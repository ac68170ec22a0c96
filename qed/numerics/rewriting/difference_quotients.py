"""Quotients in which digits are lost because both parts vanish, or because both overflow.

A value that vanishes at v = 0 is written v^k phi(v), phi a rest of a Taylor series (`difference_series`), and powers
of v cancel in the quotient::

    (1 - cos x) / x^2 = -R_2 cos(x)          log(1 - x) / log(1 + x) = -R_1 log1p(-x) / R_1 log1p(x)

so that the quotient and its derivative, in which u'/v and u v'/v^2 would cancel anew, are formed from functions that do
not vanish. At v = 0 itself, where the quotient is 0/0, the result is the limit. Quotients of exponentials::

    e^u / (e^u - 1) = -1 / expm1(-u)      (e^u - e^w) / (e^u + e^w) = tanh((u - w)/2)
    (e^2u - 1) / (e^u - 1) = e^u + 1
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.bose import BERNOULLI, BOSE, EINSTEIN, OVER_BOSE, PLANCK
from qed.numerics.rewriting.bose_pairs import or_as_written
from qed.numerics.rewriting.difference_factory import of_one_size
from qed.numerics.rewriting.difference_fractions import fractions
from qed.numerics.rewriting.difference_growth import grown
from qed.numerics.rewriting.difference_logs import LOG_OVER
from qed.numerics.rewriting.difference_powers import POWER_OVER, POWER_REST
from qed.numerics.rewriting.difference_series import REMAINDER, SERIES
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, common, plus, power_of, scaled, times
from qed.numerics.rewriting.discriminants import DISCRIMINANT
from qed.numerics.rewriting.lengths import UNIT
from qed.numerics.rewriting.scales import constant_of, source_of, spread_along
from qed.numerics.rewriting.smooth import TANH

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found


POW = Operation("pow", jnp.power)


@jax.custom_jvp
def _sqrt_minus_over(s: jax.Array, b: jax.Array, q: jax.Array, a: jax.Array) -> jax.Array:
    near = of_one_size(s, b)  # elsewhere nothing cancels, but in q
    return jnp.where(near, q / jnp.where(near, s + b, 1), (s - b) / jnp.where(near, 1, a)).astype(s.dtype)


@_sqrt_minus_over.defjvp
def _sqrt_minus_over_slope(primals: tuple, tangents: tuple) -> tuple:
    """Without the square of a divisor, which overflows."""
    (s, b, _, a), (in_s, in_b, in_q, in_a) = primals, tangents
    value, near = _sqrt_minus_over(*primals), of_one_size(s, b)
    inside, below = jnp.where(near, value, 0).astype(s.dtype), jnp.where(near, s + b, a).astype(s.dtype)
    outside, one, none = value - inside, near.astype(s.dtype), (~near).astype(s.dtype)
    along = one * in_q - inside * (in_s + in_b) + none * (in_s - in_b) - outside * in_a
    return value, along / below


ROOT_OVER = Operation("sqrt_minus_over", _sqrt_minus_over, whole=True)
"""(sqrt(S) - b) / a from q = (S - b^2) / a."""


@dataclass(frozen=True, eq=False)
class Zero:
    """coefficient * monomial * product of phi^power."""

    coefficient: Fraction
    monomial: Monomial
    rests: tuple[tuple[Node, int], ...] = ()


VANISHES = {"sin", "tan", "tanh", "sinh", "atan", "asin", "asinh", "atanh", "log1p"}


def quotient(difference: Difference, node: Node) -> Found | None:
    """A quotient whose parts vanish together, or overflow together; None for any other."""
    if (found := exponentials(difference, node) or _unit(difference, node)) is not None:
        return found
    polynomial = difference.terms(node)
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    found = removed(difference, monomial, coefficient, node) or _over_bose(difference, monomial, coefficient, node)
    found = found or _powers(difference, node) or _roots(difference, node)
    if found is not None or not _shares(difference, node):
        return found
    return difference.plain(polynomial, node), (laws.CANCEL,)


def _unit(difference: Difference, node: Node) -> Found | None:
    """x / (c |x|), the norm put back along its axes; c is that of the root of a mean."""
    x, below = node.children
    outer = source_of(below)
    scale, norm = _multiple(outer)
    if norm.operation != "norm" or norm.children[0] is not x or difference.builder.derivative or not scale:
        return None
    axes = norm.params["axes"]
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if x.shape != node.shape or norm.shape != outer.shape or not spread_along(below, outer, kept):
        return None
    return difference.algebra.times(1 / scale, difference.emit(UNIT, x, axes=axes)), (laws.UNIT,)


def _multiple(node: Node) -> tuple[float | None, Node]:
    """(c, what is left) for a node that is a positive number times something."""
    if node.operation == "mul":
        number = constant_of(node.children[0])
        return (number, node.children[1]) if number is not None and number > 0 else (1.0, node)
    number = constant_of(node.children[1]) if node.operation == "div" else None
    return (1 / number, node.children[0]) if number is not None and number > 0 else (1.0, node)


def _shares(difference: Difference, node: Node) -> bool:
    """Whether a generator divides both parts of a quotient."""
    above, below = (difference.terms(child) for child in node.children)
    if len(above) != 1 or len(below) != 1:
        return False
    (m,), (n,) = above, below
    powers = dict(n)
    return any(powers.get(number, 0) * power > 0 for number, power in m)


def _roots(difference: Difference, node: Node) -> Found | None:
    """c (sqrt(S) - b) / a, where a divides S - b^2."""
    above, below = (difference.terms(child) for child in node.children)
    if len(above) != 1 or len(below) != 1 or ONE in below:
        return None
    ((m, c),), ((n, e),) = above.items(), below.items()
    g = difference.node(m[0][0]) if len(m) == 1 and m[0][1] == 1 else None
    if g is None or g.operation != "sqrt_minus":
        return None
    gap = difference.terms(g.children[2])
    if len(gap) != 1:
        return None
    rest = scaled(gap, Fraction(1), power_of(n, -1))
    (left,) = rest
    if sum(abs(power) for _, power in left) >= sum(abs(power) for _, power in next(iter(gap))):
        return None
    parts = (difference.plain(rest, g), difference.monomial(n, g))
    root, b, _ = g.children
    if root.operation == "sqrt" and all(each.shape == root.shape for each in (b, *parts)):
        root = difference.emit(DISCRIMINANT, root.children[0], b, *parts)
    value = difference.emit(ROOT_OVER, root, b, *parts)
    return difference.algebra.times(float(c / e), value), (laws.ROOT, laws.CANCEL)


def _powers(difference: Difference, node: Node) -> Found | None:
    """x^a / x^b = x^(a - b)."""
    g, h = node.children
    if g.operation != "pow" or h.operation != "pow" or g.children[0] is not h.children[0]:
        return None
    gap = difference.sharp(difference.minus(g.children[1], h.children[1]), g.children[1])
    if gap is None:
        return None
    return difference.emit(POW, g.children[0], gap[0]), (laws.POWERS, *gap[1])


def removed(difference: Difference, monomial: Monomial, coefficient: Fraction, like: Node) -> Found | None:
    """A monomial with its removable zeros removed; None where there is none."""
    whole = Zero(coefficient, ONE)
    above: dict[int, int] = {}
    below: dict[int, int] = {}
    for number, power in monomial:
        beside = {each for each, other in monomial if other * power < 0}
        part = _generator(difference, difference.node(number), beside)
        whole = Zero(
            whole.coefficient * part.coefficient**power,
            times(whole.monomial, power_of(part.monomial, power)),
            (*whole.rests, *((rest, each * power) for rest, each in part.rests)),
        )
        for one, exponent in power_of(part.monomial, power):
            side = above if exponent > 0 else below
            side[one] = side.get(one, 0) + abs(exponent)
    if not whole.rests or not set(above) & set(below):
        return None
    whole = Zero(*fractions(difference, whole.coefficient, whole.monomial, whole.rests))
    used = any(_exponential_rest(rest) and power < 0 for rest, power in whole.rests)
    even = _symmetric(difference, whole)
    value: Node | None = None
    if even is whole:
        value = _emitted(difference, whole, like)
    elif not difference.builder.derivative and difference.terms(like) == {monomial: coefficient}:
        halves = [rest.children[0] for rest, _ in even.rests if rest.operation == "remainder"]
        value = or_as_written(difference, like, _emitted(difference, even, like), halves)
    return None if value is None else (value, (laws.REMAINDER, laws.CANCEL, *((laws.BOSE,) if used else ())))


def _emitted(difference: Difference, whole: Zero, like: Node) -> Node:
    rests, monomial = list(whole.rests), whole.monomial
    if not difference.builder.derivative:
        radiation = _planck(difference, rests, monomial, like)
        if radiation is not None:
            return difference.algebra.times(float(whole.coefficient) * radiation[1], radiation[0])
        rests, monomial = _bose(difference, rests, monomial)
        single = rests[0][0] if len(rests) == 1 and rests[0][1] == 1 and _exponential_rest(rests[0][0]) else None
        growth = grown(difference, single, monomial, like) if single is not None else None
        if growth is not None:
            return difference.algebra.times(float(whole.coefficient), growth)
    above = [(rest, power) for rest, power in rests if power > 0]
    below = [(rest, -power) for rest, power in rests if power < 0]
    value: Node | None = None
    for rest, power in above:
        factor = difference.power(rest, power)
        value = factor if value is None else difference.emit(stable.MUL, value, factor)
    for rest, power in below:
        value = value if value is not None else difference.algebra.number(1.0, like)
        value = difference.emit(stable.DIV, value, difference.power(rest, power))
    assert value is not None
    if monomial != ONE:
        value = difference.by((value, ()), monomial, like)[0]
    return difference.algebra.times(float(whole.coefficient), value)


def _exponential_rest(node: Node) -> bool:
    """Whether a node is (e^v - 1)/v."""
    return node.operation == "remainder" and (node.params["f"], node.params["k"]) == ("exp", 1)


def _symmetric(difference: Difference, whole: Zero) -> Zero:
    """(e^v - 1)/v = e^(v/2) sinh(v/2)/(v/2), where the exponentials of several cancel: what is left is even in v."""
    rests = [(node, power) for node, power in whole.rests if _exponential_rest(node)]
    if len(rests) < 2:
        return whole
    exponent: Polynomial = {}
    for node, power in rests:
        exponent = plus(exponent, difference.terms(node.children[0]), power)
    if difference.multiplied(exponent):
        return whole
    new = []
    for node, power in rests:
        half = difference.algebra.times(0.5, node.children[0])
        new.append((difference.emit(REMAINDER, half, f="sinh", k=1), power))
    others = [(node, power) for node, power in whole.rests if not _exponential_rest(node)]
    return Zero(whole.coefficient, whole.monomial, (*others, *new))


def _bose(
    difference: Difference, rests: list[tuple[Node, int]], monomial: Monomial
) -> tuple[list[tuple[Node, int]], Monomial]:
    """e^(p v) / ((e^v - 1)/v)^q as a product of v/(e^v - 1), v/(1 - e^-v) and their product (`bose`)."""
    found: list[tuple[Node, int]] = []
    for node, power in rests:
        if not _exponential_rest(node) or power >= 0:
            found.append((node, power))
            continue
        v = node.children[0]
        for operation, argument, count, used in _pairs(difference, v, -power, monomial):
            found.append((difference.emit(operation, argument), count))
            monomial = times(monomial, used)
    return found, monomial


def _planck(
    difference: Difference, rests: list[tuple[Node, int]], monomial: Monomial, like: Node
) -> tuple[Node, float] | None:
    """v^n / ((e^v - 1)/v) as v^(n + 1)/(e^v - 1), and the number beside it."""
    v = rests[0][0].children[0] if len(rests) == 1 and rests[0][1] == -1 and _exponential_rest(rests[0][0]) else None
    read = difference.terms(v) if v is not None else {}
    if v is None or len(read) != 1 or ONE in read or monomial == ONE or v.shape != like.shape:
        return None
    ((base, c),) = read.items()
    n, rest = divmod(monomial[0][1], base[0][1])
    if rest or n < 1 or power_of(base, n) != monomial:
        return None
    return difference.emit(PLANCK, v, k=n + 1), float(1 / c**n)


def _pairs(
    difference: Difference, v: Node, below: int, monomial: Monomial
) -> list[tuple[Operation, Node, int, Monomial]]:
    """The factors that e^(p v) / ((e^v - 1)/v)^below is made of, each with the powers of e^v that it takes."""
    powers = [(number, power) for number, power in monomial if _is_exp(difference.node(number), v)]
    number, above = powers[0] if powers else (-1, 0)
    above = min(max(above, 0), below)
    both = min(above, below - above)
    parts = [(EINSTEIN, v, both, both), (BERNOULLI, v, below - above - both, 0)]
    if above > both:
        parts.append((BERNOULLI, difference.algebra.negative(v), above - both, above - both))
    return [(op, at, count, ((number, -used),) if used else ONE) for op, at, count, used in parts if count]


def _is_exp(node: Node, v: Node) -> bool:
    return node.operation == "exp" and node.children[0] is v


def _over_bose(difference: Difference, monomial: Monomial, coefficient: Fraction, like: Node) -> Found | None:
    """Something that does not vanish with u, over e^u - 1, or over a product of that and another factor."""
    if difference.builder.derivative:
        return None
    above, below = like.children
    for node, beside in _factors(difference, below):
        if node.shape != like.shape or dict(monomial).get(node.number) != -1:
            continue
        u = difference.known(node).children[0]
        rest = times(monomial, ((node.number, 1),))
        exp = next((n for n, p in rest if p == 1 and _is_exp(difference.node(n), u)), None)
        if exp is not None:
            u, rest, coefficient = difference.algebra.negative(u), times(rest, ((exp, -1),)), -coefficient
        if rest == ONE:
            return difference.algebra.times(float(coefficient), difference.emit(BOSE, u)), (laws.BOSE,)
        one = difference.algebra.number(1.0, like)
        upper = difference.terms(above) if exp is not None else {}
        if len(upper) == 1:
            left = difference.plain(scaled(upper, Fraction(-1), ((exp, -1),)), like) if exp is not None else above
            value = difference.emit(OVER_BOSE, difference.algebra.filled(left, like.shape), one, u)
            return (value if beside is None else difference.emit(stable.DIV, value, beside)), (laws.BOSE,)
        if exp is None:
            parts = (difference.algebra.filled(each, like.shape) for each in (above, beside or one))
            return difference.emit(OVER_BOSE, *parts, u), (laws.BOSE,)
    return None


def _factors(difference: Difference, below: Node) -> list[tuple[Node, Node | None]]:
    """The factors e^u - 1 of what is divided by, each with the other factor."""
    two = below.children if below.operation == "mul" else ()
    pairs = [(below, None), *([(two[0], two[1]), (two[1], two[0])] if two else [])]
    return [(node, beside) for node, beside in pairs if node.operation == "expm1"]


def _generator(difference: Difference, node: Node, beside: set[int]) -> Zero:
    """A generator as something that vanishes, if it is known to; `beside` is what it is divided by, or divides."""
    seen = difference.known(node)
    plain = Zero(Fraction(1), ((node.number, 1),))
    if seen.operation == "expm1":
        return _rest(difference, "exp", 1, seen.children[0]) or plain
    if node.operation == "taylor_rest":
        return _rest(difference, node.params["f"], node.params["k"], node.children[0]) or plain
    if node.operation == "power_minus_one":
        return _power(difference, node, beside) or plain
    if node.operation in ("log_difference", "log_ratio"):
        return _log_over(difference, node, beside) or plain
    if seen.operation in VANISHES:
        return _rest(difference, seen.operation, 1, seen.children[0]) or plain
    inner = difference.deeper(node)
    if len(inner) < 2:
        return plain
    factor = common(inner)
    found = _sum(difference, scaled(inner, Fraction(1), power_of(factor, -1)))
    return plain if found is None else Zero(found.coefficient, times(factor, found.monomial), found.rests)


def _sum(difference: Difference, polynomial: Polynomial) -> Zero | None:
    """c (f(u) - T_k(u)) = c u^k R_k f(u)."""
    for monomial, coefficient in polynomial.items():
        g = difference.single(monomial, 1)
        if g is None or g.operation not in SERIES:
            continue
        u = difference.terms(g.children[0])
        k = next((k for k in (5, 4, 3, 2, 1) if difference.is_rest(polynomial, monomial, coefficient, u, k)), 0)
        found = _rest(difference, g.operation, k, g.children[0]) if k else None
        if found is not None:
            return Zero(coefficient * found.coefficient, found.monomial, found.rests)
    return None


def _power(difference: Difference, node: Node, beside: set[int]) -> Zero | None:
    """x^k - 1, d = x - 1, as k d times a rest, or as d times a rest where k stands nowhere else."""
    parts = [difference.terms(child) for child in node.children[1:]]
    if any(len(part) != 1 for part in parts):
        return None
    ((d, c),), ((k, e),) = (part.items() for part in parts)
    exact = node.params["exact"]
    if beside & {number for number, _ in k}:
        return Zero(c * e, times(d, k), ((difference.emit(POWER_REST, *node.children, exact=exact), 1),))
    if beside & {number for number, _ in d}:
        return Zero(c, d, ((difference.emit(POWER_OVER, *node.children, exact=exact), 1),))
    return None


def _log_over(difference: Difference, node: Node, beside: set[int]) -> Zero | None:
    """log x - log y as d = x - y times a function that does not vanish, where d or a multiple of it stands beside."""
    d = difference.terms(node.children[2])
    rest = ((difference.emit(LOG_OVER, *node.children), 1),)
    if len(d) == 1 and ONE not in d:
        ((monomial, c),) = d.items()
        return Zero(c, monomial, rest) if beside & {number for number, _ in monomial} else None
    for number in sorted(beside):
        whole = difference.terms.inside(difference.node(number))
        for sign in (1, -1):
            if whole and scaled(whole, Fraction(sign)) == d:
                return Zero(Fraction(sign), ((number, 1),), rest)
    return None


def _rest(difference: Difference, name: str, k: int, v: Node) -> Zero | None:
    u = difference.terms(v)
    if len(u) != 1 or ONE in u:
        return None
    ((monomial, coefficient),) = u.items()
    rest = difference.emit(REMAINDER, v, f=name, k=k)
    return Zero(coefficient**k, power_of(monomial, k), ((rest, 1),))


# --- exponentials ---


def exponentials(difference: Difference, node: Node) -> Found | None:
    """A quotient of sums of exponentials that has a name."""
    a, b = node.children
    above, below = difference.deeper(a), difference.deeper(b)
    if len(below) != 2 or len(above) > 2:
        return None
    parts = {m: difference.exponent(m) for m in (*above, *below)}
    if any(part is None for part in parts.values()):
        return None
    if len(above) == 1:
        return _over_expm1(difference, above, below)
    return _tanh(difference, above, below) or _ratio(difference, above, below)


def _over_expm1(difference: Difference, above: Polynomial, below: Polynomial) -> Found | None:
    """c e^u / (e^u - 1)."""
    ((m, c),) = above.items()
    if m == ONE or m not in below or below.get(ONE) != -below[m]:
        return None
    u = difference.exponent(m)
    assert u is not None
    minus = difference.plain(scaled(u, Fraction(-1)), difference.node(m[0][0]))
    return difference.algebra.times(float(-c / below[m]), difference.emit(BOSE, minus)), (laws.OVER_EXPM1,)


def _tanh(difference: Difference, above: Polynomial, below: Polynomial) -> Found | None:
    """c (e^u - e^w) / (e^u + e^w)."""
    if set(above) != set(below):
        return None
    m, n = above
    if above[m] != -above[n] or below[m] != below[n]:
        return None
    u, w = difference.exponent(m), difference.exponent(n)
    assert u is not None
    assert w is not None
    like = difference.node(next(each for each in (m, n) if each != ONE)[0][0])
    gap = difference.sharp(scaled(plus(u, w, -1), Fraction(1, 2)), like)
    if gap is None:
        return None
    return difference.algebra.times(float(above[m] / below[m]), difference.emit(TANH, gap[0])), (laws.TANH_QUOTIENT,)


def _ratio(difference: Difference, above: Polynomial, below: Polynomial) -> Found | None:
    """c (e^2u - 1) / (e^u - 1)."""
    if above.get(ONE) is None or below.get(ONE) is None:
        return None
    (m,), (n,) = ([each for each in part if each != ONE] for part in (above, below))
    if above[m] != -above[ONE] or below[n] != -below[ONE]:
        return None
    u, w = difference.exponent(m), difference.exponent(n)
    if u is None or w is None or u != scaled(w, Fraction(2)):
        return None
    one = difference.algebra.number(1.0, difference.node(n[0][0]))
    value = difference.emit(stable.ADD, difference.monomial(n, one), one)
    return difference.algebra.times(float(above[m] / below[n]), value), (laws.RATIO,)
