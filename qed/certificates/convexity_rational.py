"""The check of a row about a function of one variable whose second derivative is rational, in t or in e^(g (t + s)).

The search differentiates in the field of such functions; here every number is carried with its first and second
derivative, by the rules of Leibniz and of the chain, and the polynomial's roots are enclosed by python-flint instead of
counted. What is A + B X with X = e^h(t) is a polynomial of degree 1 in X; X = sqrt(q(t)) is a letter until the end,
where X^2 is q and what stands below is made free of X; logarithms, arctangents, numbers without
exact value and t beside e^(g t) are letters, which may not be left over. References: `qed.calculus.shapes.rational`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qed.certificates.convexity_polynomials import outside, positive_between, real_roots
from qed.certificates.convexity_signs import power_of
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint, precision

SIGMOIDS = {"logistic": ((1,), (1,)), "tanh": ((1, -1), (1, 1)), "sinh": ((1, -1), (2,)), "cosh": ((1, 1), (2,))}
"""Functions of e^u: for logistic e/(1 + e) apart; of the others the numbers at e and 1/e above, and below."""
LETTERS = tuple(f"L{k}" for k in range(8))
INVERSE = {"acos": (1, -1, -1), "acosh": (-1, 1, 1), "asin": (1, -1, 1), "asinh": (1, 1, 1)}
"""(c, s, k) for inverse functions with the slope k / sqrt(c + s u^2)."""


@dataclass(frozen=True)
class Ratio:
    """Polynomials in y, X and letters, one over the other."""

    top: Any
    bottom: Any

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom).reduced()

    def __mul__(self, other: Ratio) -> Ratio:
        return Ratio(self.top * other.top, self.bottom * other.bottom).reduced()

    def reduced(self) -> Ratio:
        """The same without common factors."""
        common = self.top.gcd(self.bottom)
        return Ratio(self.top // common, self.bottom // common)


@dataclass(frozen=True)
class Curve:
    """A number with its first two derivatives in t; `value` is None where it is not rational."""

    value: Ratio | None
    first: Ratio
    second: Ratio


class Numbers:
    """Curves of forms of one variable."""

    def __init__(self, step: Any, rate: Any, shift: Any, power: Form | None) -> None:
        self.step, self.rate, self.shift, self.power = step, rate, shift, power
        self.under: Any = None
        """The q of X = sqrt(q), as a polynomial in y."""
        self.ring = flint().fmpq_mpoly_ctx.get(("y", "X", *LETTERS), flint().Ordering.lex)
        self.y, self.x, *self.letters = self.ring.gens()
        self.zero = self.constant(0)
        time = self.letter() if rate != 0 else Ratio(self.y, self.constant(1).top)
        self.time = Curve(time, self.constant(1), self.zero)
        self._known: dict[Atom, Curve] = {}

    def constant(self, c: Any) -> Ratio:
        """A number."""
        return Ratio(self.ring.constant(c), self.ring.constant(1))

    def fixed(self, c: Any) -> Curve:
        """A number with its derivatives."""
        return Curve(self.constant(c), self.zero, self.zero)

    def inverse(self, u: Ratio) -> Ratio:
        """1 / u."""
        self.step.require(not u.top == 0, "a divisor is 0")
        return Ratio(u.bottom, u.top)

    def known(self, u: Curve) -> Ratio:
        """The value, which has to be rational."""
        self.step.require(u.value is not None, "a number is not rational in its generators")
        assert u.value is not None
        return u.value

    def add(self, u: Curve, v: Curve) -> Curve:
        """u + v."""
        value = u.value + v.value if u.value is not None and v.value is not None else None
        return Curve(value, u.first + v.first, u.second + v.second)

    def multiply(self, u: Curve, v: Curve) -> Curve:
        """(uv)'' = u''v + 2u'v' + uv''."""
        a, b, two = self.known(u), self.known(v), self.constant(2)
        second = u.second * b + two * u.first * v.first + a * v.second
        return Curve(a * b, u.first * b + a * v.first, second)

    def scaled(self, u: Curve, c: Any) -> Curve:
        """c u."""
        k = self.constant(c)
        return Curve(None if u.value is None else k * u.value, k * u.first, k * u.second)

    def reciprocal(self, u: Curve) -> Curve:
        """(1/u)'' = 2u'^2/u^3 - u''/u^2."""
        r = self.inverse(self.known(u))
        minus, two = self.constant(-1), self.constant(2)
        return Curve(r, minus * u.first * r * r, two * u.first * u.first * r * r * r + minus * u.second * r * r)

    def letter(self) -> Ratio | None:
        """A number that is no rational function, by a letter of its own."""
        return Ratio(self.letters.pop(), self.ring.constant(1)) if self.letters else None

    def logarithm(self, u: Curve) -> Curve:
        """(log u)'' = u''/u - (u'/u)^2."""
        r = self.inverse(self.known(u))
        slope = u.first * r
        return Curve(self.letter(), slope, u.second * r + self.constant(-1) * slope * slope)

    def arctangent(self, u: Curve, sign: int) -> Curve:
        """(atan u)' = u'/(1 + u^2), (artanh u)' = u'/(1 - u^2); with s = 1 or -1, (u'/w)' = u''/w - 2 s u u'^2/w^2."""
        v, s = self.known(u), self.constant(sign)
        r = self.inverse(self.constant(1) + s * v * v)
        bend = self.constant(-2 * sign) * v * u.first * u.first * r * r
        return Curve(self.letter(), u.first * r, u.second * r + bend)

    def root(self, u: Curve) -> Curve:
        """sqrt(u) = r X for u = r^2 q: (sqrt u)' = u'/(2 sqrt u), (sqrt u)'' = u''/(2 sqrt u) - u'^2/(4 u sqrt u)."""
        value = self.known(u)
        bottom = value.bottom.leading_coefficient() if value.bottom.is_constant() else 0
        self.step.require(bottom != 0 and self.power is None and self.rate == 0, "no root of a polynomial")
        value = Ratio(value.top * (1 / bottom), self.constant(1).top)
        self.under = value.top if self.under is None else self.under
        c = value.top.leading_coefficient() / self.under.leading_coefficient()
        self.step.require(value.top == c * self.under and c > 0, "there are two roots")
        (p, q), fmpz = (int(c.p), int(c.q)), flint().fmpz
        r, s = fmpz(p).isqrt(), fmpz(q).isqrt()
        self.step.require(r * r == p and s * s == q, "a root is no rational multiple of another")
        x = Ratio(self.x * self.step.a.q(r, s), self.ring.constant(1))
        half, down = self.constant(self.step.a.q(1, 2)), self.inverse(x)
        slope = half * u.first * down
        return Curve(x, slope, half * u.second * down + self.constant(-1) * slope * slope * down)

    def inverse_function(self, u: Curve, name: str) -> Curve:
        """f(u) with f' = k/w, w = sqrt(c + s u^2): (k u'/w)' = k u''/w - k u' w'/w^2."""
        c, s, k = (self.fixed(n) for n in INVERSE[name])
        w = self.root(self.add(c, self.multiply(s, self.multiply(u, u))))
        down, sign = self.inverse(self.known(w)), self.known(k)
        bend = self.constant(-1) * u.first * w.first * down * down
        return Curve(self.letter(), sign * u.first * down, sign * (u.second * down + bend))

    def exponential(self, u: Form) -> Curve:
        """(e^u)'' = (u'' + u'^2) e^u."""
        at = self.of(u)
        value = self._exponential(u)
        return Curve(value, at.first * value, (at.second + at.first * at.first) * value)

    def _exponential(self, u: Form) -> Ratio:
        if u is self.power:
            return Ratio(self.x, self.ring.constant(1))
        value: Ratio = self.constant(1)
        n: Any = self.step.a.zero
        at_zero = u.constant
        for atom, c in u.terms:
            if atom.kind == "variable":
                n, at_zero = n + c, at_zero - c * self.shift
                continue
            self.step.require(atom.kind == "log_sum_exp" and c.q == 1 and abs(c.p) <= 64, "an exponent is not known")
            factor = self.known(self._sum(atom))
            for _ in range(abs(int(c.p))):
                value = value * (factor if c > 0 else self.inverse(factor))
        self.step.require(at_zero == 0 and (n == 0 or self.rate != 0), "an exponent is no multiple of g (t + s)")
        n = n / self.rate if n != 0 else n
        self.step.require(n.q == 1 and abs(n.p) <= 64, "an exponent is no small multiple of g (t + s)")
        power = Ratio(self.y ** abs(int(n.p)), self.ring.constant(1))
        return value * (power if n >= 0 else self.inverse(power))

    def _sum(self, atom: Atom) -> Curve:
        total = self.fixed(0)
        for w, u in zip(atom.data, atom.args, strict=True):
            total = self.add(total, self.scaled(self.exponential(u), w))
        return total

    def of(self, form: Form) -> Curve:
        """A form."""
        total = self.fixed(form.constant)
        for atom, c in form.terms:
            if atom not in self._known:
                self._known[atom] = self._atom(atom) if atom.free else self._number(atom)
            total = self.add(total, self.scaled(self._known[atom], c))
        return total

    def _number(self, atom: Atom) -> Curve:
        return Curve(self.letter(), self.zero, self.zero)

    def _atom(self, atom: Atom) -> Curve:
        if atom.kind == "variable":
            return self.time
        if atom.kind == "log_sum_exp":
            return self.logarithm(self._sum(atom))
        if atom.name == "exp":
            return self.exponential(atom.args[0])
        if atom.name in SIGMOIDS:
            return self._sigmoid(atom)
        args = [self.of(arg) for arg in atom.args]
        if atom.kind == "product":
            return self.multiply(*args)
        if atom.kind == "quotient":
            return self.multiply(args[0], self.reciprocal(args[1]))
        if atom.name == "log":
            return self.logarithm(args[0])
        if atom.name == "reciprocal":
            return self.reciprocal(args[0])
        if atom.name in ("atan", "atanh"):
            return self.arctangent(args[0], 1 if atom.name == "atan" else -1)
        if atom.name in INVERSE:
            return self.inverse_function(args[0], atom.name)
        power = power_of(atom, self.step.a)
        good = power is not None and power.q in (1, 2) and atom.name != "abs"
        self.step.require(good, f"no rule for {atom.name}")
        assert power is not None
        n = int(power.p)
        args = [self.root(args[0])] if power.q == 2 else args
        self.step.require(abs(n) <= 64, "a power is too large")
        found = self.fixed(1)
        for _ in range(abs(n)):
            found = self.multiply(found, args[0] if n > 0 else self.reciprocal(args[0]))
        return found

    def _sigmoid(self, atom: Atom) -> Curve:
        u = atom.args[0]
        up, down = self.exponential(u), self.exponential(self.step.a.scale(u, -1))
        if atom.name == "logistic":
            return self.multiply(up, self.reciprocal(self.add(self.fixed(1), up)))
        above, below = SIGMOIDS[atom.name]
        top = self.add(self.scaled(up, above[0]), self.scaled(down, above[1]))
        if len(below) == 1:
            return self.scaled(top, self.step.a.q(1, below[0]))
        return self.multiply(top, self.reciprocal(self.add(up, down)))


def rational(step: Any) -> None:
    """A second derivative that is rational, or rational times one exponential, and nowhere negative."""
    a, form = step.a, step.form
    step.require(a.ends is not None and form.lost is None, "it is about no piece of a line")
    step.require(len(step.row[4]) == 4 and step.row[4][1] > 0 and step.row[4][3] > 0, "it has four numbers")
    p, q, r, s = (int(n) for n in step.row[4])
    rate, shift = a.q(p, q), a.q(r, s)
    step.require(rate >= 0, "y falls with t, and the ends of its range change places")
    numbers = Numbers(step, rate, shift, _power(form) if rate == 0 else None)
    second = numbers.of(form).second
    if numbers.under is not None:
        _with_root(step, second, numbers.under)
        step.premises([])
        return
    parts: dict[int, dict[int, Any]] = {}
    for (i, j, *letters), c in second.top.to_dict().items():
        step.require(not any(letters), "a logarithm is left over")
        parts.setdefault(j, {})[i] = c
    below = {i: c for (i, *others), c in second.bottom.to_dict().items() if not any(others)}
    step.require(len(below) == len(second.bottom.to_dict()), "an exponential stands below")
    step.require(not parts or set(parts) in ({0}, {1}), "it is no multiple of one exponential")
    poly = flint().fmpq_poly
    for part in parts.values():
        whole = poly([part.get(i, 0) for i in range(max(part) + 1)]) * poly(
            [below.get(i, 0) for i in range(max(below) + 1)]
        )
        step.require(positive_between(whole, *_range(a, rate, shift)), "its second derivative is negative somewhere")
    step.premises([])


def _with_root(step: Any, second: Ratio, under: Any) -> None:
    """(S + T X)/(U + V X) = A + B X with X = sqrt(q) > 0: above 0 by the signs of A, B and A^2 - B^2 q."""
    low, high = step.a.ends
    q, _ = _by_powers(step, under, flint().fmpq_poly([1]))
    roots = [(factor, root) for factor, _ in q.factor()[1] for root in real_roots(factor)]
    inside = any(not outside(factor, root, low, high) for factor, root in roots)
    step.require(positive_between(q, low, high) and not inside, "what stands under a root is not above 0")
    (s, t), (u, v) = (_by_powers(step, side, q) for side in (second.top, second.bottom))
    below = u * u - v * v * q
    step.require(not below.is_zero(), "a divisor is 0")
    whole, mixed = (s * u - t * v * q) * below, (t * u - s * v) * below
    good = positive_between(whole, low, high) and positive_between(mixed, low, high)
    step.require(good or _between_roots(whole, mixed, q, low, high), "its second derivative is negative somewhere")


def _between_roots(whole: Any, mixed: Any, q: Any, low: Any, high: Any) -> bool:
    """Whether A + B sqrt(q) is above 0 between all roots of A^2 - B^2 q, at which alone it can be 0."""
    norm = whole * whole - mixed * mixed * q
    if norm.is_zero():
        return False
    with precision(400) as library:
        found = [(factor, root) for factor, _ in norm.factor()[1] for root in real_roots(factor)]
        inside = sorted((r for f, r in found if not outside(f, r, low, high)), key=lambda root: float(root.mid()))
        below = [None if low is None else library.arb(low), *inside]
        above = [*inside, None if high is None else library.arb(high)]
        for x, y in zip(below, above, strict=True):
            left = x.upper() if x is not None else (y.lower() - 2 if y is not None else library.arb(-1))
            right = y.lower() if y is not None else left + 2
            if not left < right:
                return False
            t = ((left + right) / 2).mid().fmpq()
            if not library.arb(whole(t)) + library.arb(mixed(t)) * library.arb(q(t)).sqrt() > 0:
                return False
    return True


def _by_powers(step: Any, whole: Any, q: Any) -> tuple[Any, Any]:
    """(A, B) of a polynomial in y and X that is A + B X where X^2 = q."""
    poly = flint().fmpq_poly
    found = [poly([]), poly([])]
    for (i, j, *letters), c in whole.to_dict().items():
        step.require(not any(letters), "a logarithm is left over")
        found[j % 2] = found[j % 2] + poly([0] * i + [c]) * q ** (j // 2)
    return found[0], found[1]


def _power(form: Form) -> Form | None:
    """The exponent of the first exponential of what is not affine."""
    waiting = [form]
    while waiting:
        for atom, _ in waiting.pop(0).terms:
            if atom.name == "exp" and not atom.args[0].affine:
                return atom.args[0]
            waiting += atom.args
    return None


def _range(a: Any, rate: Any, shift: Any) -> tuple[Any, Any]:
    """The range of y in exact numbers, None for an infinite end."""
    low, high = a.ends
    if rate == 0:
        return low, high
    found: list[Any] = []
    with precision(100) as library:
        for end, outward in ((low, -1), (high, 1)):
            if end is None:
                found.append(a.zero if outward < 0 else None)
                continue
            y = library.arb(rate * (end + shift)).exp()
            mid, radius = y.mid().fmpq(), y.rad().fmpq()
            found.append(mid + outward * radius)
    return found[0], found[1]
