"""Functions of one variable t whose second derivative is rational: in t, in e^(g t), in t and one exponential or root.

With y = e^(g (t + s)), y' = g y, the field of rational functions of y is closed under d/dt, and so is that of rational
functions of t; sigmoids are rational in y. With X = e^h(t) for a polynomial h, X' = h' X, and what is A + B X keeps
that form; with X = sqrt(q(t)), X' = q'/(2 q) X, it is a field, in which asinh t has a slope. Logarithms, arctangents
and such L have a slope in the field, and (r L)'' = r'' L + 2 r' L' + r L'' is in it where r'' = 0, as in
t atan t - log(1 + t^2)/2. Where the second derivative is A alone, or B X, its sign is that of a polynomial, which exact
roots decide, also where it vanishes at an end of the interval; that of A + B sqrt(q) can change at the roots of
A^2 - B^2 q only (Liouville's theory of elementary functions: Bronstein, *Symbolic Integration I*, 2005, chapter 3; for
roots see `polynomials`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from qed.calculus.shapes.polynomials import above_with_root, never_negative_between, polynomial, positive_inside
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import atoms
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint, precision

DEGREE = 48
SLOPES = {"acos": (-1, 1, -1), "acosh": (1, -1, 1), "asin": (-1, 1, 1), "asinh": (1, 1, 1)}
"""(s, c, k) for functions with the derivative k / sqrt(s u^2 + c)."""
OF_EXPONENTIALS = ("cosh", "exp", "logistic", "sinh", "tanh")
LETTERS = ("log", "atan", "atanh", *SLOPES)


class NotRational(Exception):
    """A form has no such second derivative."""


def rational(a: Algebra, form: Form) -> Step | None:
    """A proof that a form of the one variable of a line is convex, by the exact sign of its second derivative.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> t = a.line(None, None)
    >>> p = a.unary("logistic", t)
    >>> rational(a, a.combine([(a.unary("log", p), -a.one), (p, -a.one)])).rule
    'rational'
    """
    if form.lost is not None or a.ends is None:
        return None
    try:
        field = _field(a, form)
        second = field.second(form)
    except (NotRational, ZeroDivisionError):
        return None
    if not field.nonnegative(*second):
        return None
    place = next((atom.place for atom, _ in form.terms if not atom.affine), None)
    numbers = (field.rate.p, field.rate.q, field.shift.p, field.shift.q)
    if any(abs(int(n)) > 2**53 for n in numbers):
        return None
    return Step("convex", form, "rational", (), tuple(float(int(n)) for n in numbers), place)


def _field(a: Algebra, form: Form) -> Field:
    """The field in which the exponentials of a form live."""
    rates, shift, power = [], a.zero, None
    for u in _exponents(form):
        whole = polynomial(a, u)
        degree = max((sum(e for _, e in m) for m in whole), default=0) if whole is not None else DEGREE + 1
        if degree > 1:
            power = u if power is None and degree <= DEGREE else power
            continue
        if degree == 1:
            rates.append(u.terms[0][1])
            shift = u.constant / u.terms[0][1]
    if power is not None:
        return Field(a, a.zero, a.zero, power)
    if not rates:
        return Field(a, a.zero, a.zero, None, _root(a, form))
    rate = a.zero
    for c in rates:
        rate = abs(c) if rate == 0 else _common(rate, abs(c), a)
    return Field(a, rate, shift, None)


def _root(a: Algebra, form: Form) -> Any:
    """The polynomial q, above 0 on the line, of the first root in the form, or in the slope of an inverse function."""
    for atom in atoms(form, set()):
        if atom.name not in SLOPES and halves(atom) is None:
            continue
        whole = polynomial(a, atom.args[0])
        if whole is None:
            return None
        powers = {sum(e for _, e in m): c for m, c in whole.items()}
        q = flint().fmpq_poly([powers.get(k, a.zero) for k in range(max(powers, default=0) + 1)])
        if atom.name in SLOPES:
            sign, constant, _ = SLOPES[atom.name]
            q = sign * q * q + constant
        return q if a.ends is not None and 0 < q.degree() <= DEGREE and positive_inside(q, *a.ends) else None
    return None


def halves(atom: Atom) -> int | None:
    """The odd k of a power u^(k/2)."""
    if atom.name in ("sqrt", "rsqrt"):
        return 1 if atom.name == "sqrt" else -1
    power = dict(atom.data.parameters)["exponent"] if atom.name == "power" else None
    return int(power.numerator) if power is not None and power.denominator == 2 else None


def _exponents(form: Form) -> Iterator[Form]:
    for atom in atoms(form, set()):
        if atom.name in OF_EXPONENTIALS or atom.kind == "log_sum_exp":
            yield from (u for u in atom.args if u.free and u.affine)
            if atom.name == "exp" and not atom.args[0].affine:
                yield atom.args[0]


def _common(x: Any, y: Any, a: Algebra) -> Any:
    """The largest number of which both are multiples."""
    while y != 0:
        x, y = y, x - y * a.q(int(x / y))
    return x


class Field:
    """Elements (A, B) for A + B X, each part a fraction (top, bottom) of polynomials of y; y is t where the rate is 0.

    Args:
        a: the algebra of the line.
        rate: g of y = e^(g (t + s)); 0 for y = t.
        shift: s.
        power: h of X = e^h, or None.
        root: q of X = sqrt(q), or None.
    """

    def __init__(self, a: Algebra, rate: Any, shift: Any, power: Form | None, root: Any = None) -> None:
        self.a, self.rate, self.shift, self.power, self.root = a, rate, shift, power, root
        self.poly = flint().fmpq_poly
        self.y, self.one = self.poly([0, 1]), self.poly([1])
        self.none = (self.poly([]), self.one)
        self.speed = self.y * rate if rate != 0 else self.one
        """y'."""
        self.zero = (self.none, self.none)

    def ends(self) -> tuple[Any, Any]:
        """The range of y: exact, or a little wider."""
        assert self.a.ends is not None
        low, high = self.a.ends
        if self.rate == 0:
            return low, high
        with precision(128) as library:
            ends = [None if t is None else library.arb(self.rate * (t + self.shift)).exp() for t in (low, high)]
            exact = [None if e is None else e.lower() if k == 0 else e.upper() for k, e in enumerate(ends)]
        sides = [None if e is None else _exactly(self.a, e) for e in exact]
        return self.a.zero if sides[0] is None else sides[0], sides[1]

    def nonnegative(self, whole: Any, mixed: Any) -> bool:
        """Whether A + B X is nowhere below 0."""
        ends = self.ends()

        def never_below(s: Any) -> bool:
            return never_negative_between(s[0] * s[1], *ends)

        if self.none in (whole, mixed):
            return never_below(whole if mixed == self.none else mixed)
        if self.root is None:
            return False
        below = whole[1] * mixed[1]
        u, v = whole[0] * mixed[1] * below, mixed[0] * whole[1] * below
        if never_below(whole) and never_below(mixed):
            return True
        return above_with_root(u, v, self.root, *ends)

    # --- arithmetic ---

    def fraction(self, top: Any, bottom: Any) -> Any:
        """A fraction in lowest terms."""
        if bottom.is_zero():
            raise ZeroDivisionError
        common = top.gcd(bottom)
        top, bottom = top // common, bottom // common
        if max(top.degree(), bottom.degree()) > DEGREE:
            raise NotRational
        c = bottom.leading_coefficient()
        return top / c, bottom / c

    def number(self, c: Any) -> Any:
        """A rational number."""
        return (self.poly([c]), self.one), self.none

    def add(self, u: Any, v: Any) -> Any:
        """u + v."""
        return tuple(self._sum(s, t) for s, t in zip(u, v, strict=True))

    def multiply(self, u: Any, v: Any) -> Any:
        """u v, where not both hold X = e^h."""
        (a, b), (c, d) = u, v
        if self.none not in (b, d):
            if self.root is None:
                raise NotRational
            crossed, under = self._sum(self._times(a, d), self._times(b, c)), self._times(b, d)
            return self._sum(self._times(a, c), self._times(under, (self.root, self.one))), crossed
        whole, mixed = self._times(a, c), self._times(a, d) if b == self.none else self._times(b, c)
        return whole, mixed

    def _sum(self, s: Any, t: Any) -> Any:
        return self.fraction(s[0] * t[1] + t[0] * s[1], s[1] * t[1])

    def _times(self, s: Any, t: Any) -> Any:
        return self.fraction(s[0] * t[0], s[1] * t[1])

    def inverse(self, u: Any) -> Any:
        """1 / u, where u does not hold X = e^h; by A - B X where X is a root."""
        (top, bottom), mixed = u
        if mixed == self.none:
            return self.fraction(bottom, top), self.none
        if self.root is None:
            raise NotRational
        other = u[0], self._times(mixed, self.number(-1)[0])
        norm, nothing = self.multiply(u, other)
        assert nothing == self.none
        return self.multiply(other, (self.fraction(norm[1], norm[0]), self.none))

    def power_of(self, u: Any, n: int) -> Any:
        """u^n."""
        base, found = (u, self.number(1)) if n >= 0 else (self.inverse(u), self.number(1))
        if abs(n) > DEGREE:
            raise NotRational
        for _ in range(abs(n)):
            found = self.multiply(found, base)
        return found

    def derived(self, u: Any) -> Any:
        """du/dt."""
        (a, b) = u
        found = (self._slope_of(a), self._slope_of(b))
        if b == self.none:
            return found
        if self.root is not None:  # X' = q'/(2 q) X
            rate = self.fraction(self.root.derivative(), 2 * self.root)
        else:
            assert self.power is not None
            rate = self.slope(self.power)[0]
        return found[0], self._sum(found[1], self._times(b, rate))

    def _slope_of(self, s: Any) -> Any:
        top, bottom = s
        return self.fraction((top.derivative() * bottom - top * bottom.derivative()) * self.speed, bottom * bottom)

    # --- forms ---

    def exponential(self, u: Form) -> Any:
        """e^u."""
        if self.power is not None and u is self.power:
            return self.none, (self.one, self.one)
        found, rest = self.number(1), u
        for atom, c in u.terms:
            if atom.kind == "log_sum_exp" and c.q == 1:
                found = self.multiply(found, self.power_of(self._sum_of(atom), int(c.p)))
                rest = self.a.subtract(rest, self.a.scale(self.a.of(atom), c))
        if not rest.terms:
            if rest.constant != 0:
                raise NotRational
            return found
        (atom, c), *others = rest.terms
        if others or atom.kind != "variable" or self.rate == 0 or rest.constant != c * self.shift:
            raise NotRational
        n = c / self.rate
        if n.q != 1 or abs(n.p) > DEGREE:
            raise NotRational
        power = self.y ** abs(int(n.p))
        return self.multiply(found, ((power, self.one) if n > 0 else (self.one, power), self.none))

    def _sum_of(self, atom: Atom) -> Any:
        total = self.zero
        for w, u in zip(atom.data, atom.args, strict=True):
            total = self.add(total, self.multiply(self.number(w), self.exponential(u)))
        return total

    def value(self, form: Form) -> Any:
        """A form as an element."""
        total = self.number(form.constant)
        for atom, c in form.terms:
            total = self.add(total, self.multiply(self.number(c), self._value(atom)))
        return total

    def _value(self, atom: Atom) -> Any:
        if atom.kind == "variable":
            if self.rate != 0:
                raise NotRational
            return (self.y, self.one), self.none
        if atom.kind == "product":
            return self.multiply(*map(self.value, atom.args))
        if atom.kind == "quotient":
            return self.multiply(self.value(atom.args[0]), self.inverse(self.value(atom.args[1])))
        if atom.name in OF_EXPONENTIALS:
            return self._of_exponential(atom)
        k = halves(atom)
        if k is not None:
            return self.power_of(self._root_of(self.value(atom.args[0])), k)
        n = self._exponent(atom)
        if n is None:
            raise NotRational
        return self.power_of(self.value(atom.args[0]), n)

    def _root_of(self, u: Any) -> Any:
        """sqrt(u) for u = r^2 q with a rational number r."""
        if self.root is None or u[1] != self.none:
            raise NotRational
        top, bottom = self.fraction(u[0][0], u[0][1] * self.root)
        c = top[0] if bottom == self.one and top.degree() == 0 else self.a.zero
        p, q = math.isqrt(max(int(c.p), 0)), math.isqrt(int(c.q))
        if p == 0 or p * p != c.p or q * q != c.q:
            raise NotRational
        return self.none, self.number(self.a.q(p, q))[0]

    def _exponent(self, atom: Atom) -> int | None:
        fixed = {"square": 2, "reciprocal": -1}.get(atom.name)
        return int(dict(atom.data.parameters)["y"]) if atom.name == "integer_pow" else fixed

    def _of_exponential(self, atom: Atom) -> Any:
        e = self.exponential(atom.args[0])
        if atom.name == "exp":
            return e
        one, back = self.number(1), self.inverse(e)
        if atom.name == "logistic":
            return self.inverse(self.add(one, back))
        half = self.number(self.a.q(1, 2))
        sinh = self.multiply(half, self.add(e, self.multiply(self.number(-1), back)))
        cosh = self.multiply(half, self.add(e, back))
        return {"sinh": sinh, "cosh": cosh}.get(atom.name) or self.multiply(sinh, self.inverse(cosh))

    def parts(self, form: Form) -> tuple[Any, dict[Atom, Any]]:
        """(R, r) for a form R + sum of r_L L; the L are logarithms, arctangents, t beside e^(g t), unknown numbers."""
        whole: Any = self.number(form.constant)
        others: dict[Atom, Any] = {}
        for atom, c in form.terms:
            part, more = self._parts(atom)
            k = self.number(c)
            whole = self.add(whole, self.multiply(k, part))
            for inner, r in more.items():
                others[inner] = self.add(others.get(inner, self.zero), self.multiply(k, r))
        return whole, others

    def _parts(self, atom: Atom) -> tuple[Any, dict[Atom, Any]]:
        timed = atom.kind == "variable" and self.rate != 0
        if timed or not atom.free or atom.kind == "log_sum_exp" or atom.name in LETTERS:
            return self.zero, {atom: self.number(1)}
        if atom.kind not in ("product", "quotient"):
            return self._value(atom), {}
        (r, logs), (s, more) = (self.parts(arg) for arg in atom.args)
        if more and (logs or atom.kind == "quotient"):
            raise NotRational
        if more:
            (r, logs), (s, more) = (s, more), (r, logs)
        s = s if atom.kind == "product" else self.inverse(s)
        return self.multiply(r, s), {inner: self.multiply(c, s) for inner, c in logs.items()}

    def second(self, form: Form) -> Any:
        """The second derivative of a form as an element."""
        whole, others = self.parts(form)
        total, two = self.derived(self.derived(whole)), self.number(2)
        for atom, r in others.items():
            bend = self.derived(self.derived(r))
            if bend != self.zero:
                raise NotRational
            first = self._slope(atom)
            total = self.add(total, self.multiply(two, self.multiply(self.derived(r), first)))
            total = self.add(total, self.multiply(r, self.derived(first)))
        return total

    def slope(self, form: Form) -> Any:
        """The first derivative of a form that is an element."""
        return self.derived(self.value(form))

    def _slope(self, atom: Atom) -> Any:
        """The first derivative of a logarithm, an arctangent, a number, or of t beside e^(g t)."""
        if not atom.free or atom.kind == "variable":
            return self.number(int(atom.free))
        v = self._sum_of(atom) if atom.kind == "log_sum_exp" else self.value(atom.args[0])
        below = v
        if atom.name in SLOPES:
            sign, constant, k = SLOPES[atom.name]
            square = self.multiply(self.number(sign), self.multiply(v, v))
            below = self.multiply(self.number(k), self._root_of(self.add(square, self.number(constant))))
        if atom.name in ("atan", "atanh"):
            square, sign = self.multiply(v, v), 1 if atom.name == "atan" else -1
            below = self.add(self.number(1), self.multiply(self.number(sign), square))
        return self.multiply(self.derived(v), self.inverse(below))


def _exactly(a: Algebra, ball: Any) -> Any:
    """The rational number that a ball without a radius is."""
    mantissa, exponent = (int(n) for n in ball.man_exp())
    return a.q(mantissa) * (a.q(2) ** exponent if exponent >= 0 else 1 / a.q(2) ** -exponent)
