"""The functions of real expressions, spelled in exp, log, rational powers and sums: tanh a = (e^2a - 1)/(e^2a + 1).

What an argument must satisfy for a function to be defined is required of the forms. What has no definition here is an
atom of its own: a function of which nothing is known but that equal arguments give equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qed.certificates.real_forms import Forms
from qed.certificates.real_polynomials import ONE, Poly, fail, number, plus

HALF = Fraction(1, 2)

ELEMENTARY = frozenset(
    "exp exp2 expm1 log log1p logistic sinh cosh tanh sin cos tan sqrt rsqrt square neg abs erf erfc asin acos atan "
    "cbrt asinh acosh atanh".split()
)
"""The primitives of one argument that have a definition here."""


@dataclass(frozen=True, eq=False)
class Functions:
    """Functions of forms; what an argument must satisfy is required of `forms`."""

    forms: Forms

    # --- exponentials and logarithms ---

    def exp(self, p: Poly) -> Poly:
        """exp of a sum is the product of the exps; exp(k log a) = a^k."""
        result = number(1)
        for monomial, coefficient in p.items():
            logs = [a for a, e in monomial if a.kind == "log" and e == 1]
            if len(monomial) == 1 and len(logs) == 1:
                result = self.forms.times(result, self.power(dict(logs[0].parts[0]), coefficient))
                continue
            if any(a.kind in ("i", "turn") for a, _ in monomial):
                fail("a circular function in an exponent")
            shape = max((a.shape for a, _ in monomial), key=len, default=())
            atom = self.forms.atom("exp", (frozenset({(monomial, Fraction(1))}),), shape)
            result = self.forms.times(result, self.forms.one(atom, coefficient))
        return result

    def log(self, p: Poly) -> Poly:
        """log of a positive number: positive factors come out."""
        forms = self.forms
        forms.require("positive", p)
        p = forms.together(p)
        if not p:
            fail("the logarithm of 0")
        outside, inner = forms.content(p)
        ((monomial, coefficient),) = outside.items()
        result = self._log_of_rational(coefficient)
        for atom, power in monomial:
            result = plus(result, self._log_of_atom(atom), power)
        if inner == number(1):
            return result
        if len(inner) == 1:
            ((rest, sign),) = inner.items()
            if sign > 0 and len(rest) == 1:
                return plus(result, self._opaque_log(forms.one(rest[0][0])), rest[0][1])
        return plus(result, self._opaque_log(inner))

    def _log_of_rational(self, value: Fraction) -> Poly:
        result: Poly = {}
        for whole, sign in ((value.numerator, 1), (value.denominator, -1)):
            for prime, count in _factors(whole).items():
                atom = self.forms.atom("log", (frozenset({(ONE, Fraction(prime))}),), ())
                result = plus(result, self.forms.one(atom), sign * count)
        return result

    def _log_of_atom(self, atom: Any) -> Poly:
        if atom.kind == "exp":
            return dict(atom.parts[0])
        if atom.kind == "prime":
            return self._log_of_rational(Fraction(atom.parts[0]))
        if atom.kind == "sum of terms":
            return self._opaque_log(dict(atom.parts[0]))
        return self._opaque_log(self.forms.one(atom))

    def _opaque_log(self, p: Poly) -> Poly:
        shape = max((a.shape for m in p for a, _ in m), key=len, default=())
        return self.forms.one(self.forms.atom("log", (frozenset(p.items()),), shape))

    # --- powers ---

    def power(self, p: Poly, exponent: Fraction) -> Poly:
        """A rational power; p >= 0 where the exponent is no whole number."""
        forms = self.forms
        if exponent.denominator == 1:
            if exponent < 0:
                forms.require("nonzero", p)
            return forms.integer_power(p, int(exponent))
        forms.require("nonnegative" if exponent > 0 else "positive", p)
        p = forms.together(p)
        if not p:
            return {}
        outside, inner = forms.content(p)
        ((monomial, coefficient),) = outside.items()
        result = forms.powers({a: e * exponent for a, e in monomial}, Fraction(1))
        for whole, sign in ((coefficient.numerator, 1), (coefficient.denominator, -1)):
            for prime, count in _factors(whole).items():
                atom = forms.atom("prime", (prime,), ())
                result = forms.times(result, forms.powers({atom: sign * count * exponent}, Fraction(1)))
        return forms.times(result, self._rest(inner, exponent))

    def _rest(self, p: Poly, exponent: Fraction) -> Poly:
        if p == number(1):
            return p
        if len(p) == 1:
            ((monomial, sign),) = p.items()
            even = [(a, e) for a, e in monomial if e.denominator == 1 and e % 2 == 0]
            odd = [(a, e) for a, e in monomial if (a, e) not in even]
            if sign > 0 and len(odd) <= 1 and (not odd or odd[0][1] == 1):
                result = number(1)
                for atom, e in even:
                    result = self.forms.times(result, self._raised(self.absolute(self.forms.one(atom)), e * exponent))
                for atom, e in odd:
                    result = self.forms.times(result, self.forms.one(atom, e * exponent))
                return result
        shape = max((a.shape for m in p for a, _ in m), key=len, default=())
        return self.forms.one(self.forms.atom("sum of terms", (frozenset(p.items()),), shape), exponent)

    def _raised(self, p: Poly, exponent: Fraction) -> Poly:
        ((monomial, coefficient),) = p.items()
        if coefficient != 1:
            fail("a power of a multiple")
        return self.forms.powers({a: e * exponent for a, e in monomial}, Fraction(1))

    def absolute(self, p: Poly) -> Poly:
        """|p|."""
        if not p or self.forms.nonnegative(p):
            return p
        negative = {m: -c for m, c in p.items()}
        if self.forms.nonnegative(negative):
            return negative
        outside, inner = self.forms.content(p)
        first = min(inner, key=lambda m: [(a.number, e) for a, e in m])
        if inner[first] < 0:
            inner = {m: -c for m, c in inner.items()}
        shape = max((a.shape for m in inner for a, _ in m), key=len, default=())
        return self.forms.times(outside, self.forms.one(self.forms.atom("abs", (frozenset(inner.items()),), shape)))

    def divided(self, p: Poly, q: Poly) -> Poly:
        """p/q."""
        self.forms.require("nonzero", q)
        return self.forms.times(p, self.forms.inverse(q))

    # --- circular functions ---

    def turned(self, p: Poly) -> tuple[Poly, Poly]:
        """e^(i p) and e^(-i p)."""
        up, down = number(1), number(1)
        for monomial, coefficient in p.items():
            if any(a.kind in ("i", "turn") for a, _ in monomial):
                fail("a circular function of a circular function")
            shape = max((a.shape for a, _ in monomial), key=len, default=())
            atom = self.forms.atom("turn", (frozenset({(monomial, Fraction(1))}),), shape)
            up = self.forms.times(up, self.forms.one(atom, coefficient))
            down = self.forms.times(down, self.forms.one(atom, -coefficient))
        return up, down

    def cos(self, p: Poly) -> Poly:
        """(e^ip + e^-ip) / 2."""
        up, down = self.turned(p)
        return self.forms.times(number(HALF), plus(up, down))

    def sin(self, p: Poly) -> Poly:
        """(e^ip - e^-ip) / 2i."""
        up, down = self.turned(p)
        return self.forms.times({((self.forms.imaginary, Fraction(1)),): -HALF}, plus(up, down, -1))

    # --- functions by name ---

    def named(self, name: str, *ps: Poly) -> Poly:
        """A function that nothing is known of."""
        parts = tuple(frozenset(p.items()) for p in ps)
        shape = max((a.shape for p in ps for m in p for a, _ in m), key=len, default=())
        return self.forms.one(self.forms.atom(name, parts, shape))

    def odd(self, name: str, p: Poly) -> Poly:
        """An odd function that nothing else is known of."""
        if not p:
            return {}
        first = min(p, key=lambda m: [(a.number, e) for a, e in m])
        if p[first] < 0:
            return self.forms.times(number(-1), self.named(name, {m: -c for m, c in p.items()}))
        return self.named(name, p)

    def elementary(self, name: str, p: Poly) -> Poly | None:
        """A primitive of one argument by its definition; None for one without."""
        one, times, exp = number(1), self.forms.times, self.exp
        minus = times(number(-1), p)
        match name:
            case "exp":
                return exp(p)
            case "exp2":
                return exp(times(p, self._log_of_rational(Fraction(2))))
            case "expm1":
                return plus(exp(p), one, -1)
            case "log":
                return self.log(p)
            case "log1p":
                return self.log(plus(one, p))
            case "logistic":
                return self.divided(one, plus(one, exp(minus)))
            case "sinh" | "cosh":
                return times(number(HALF), plus(exp(p), exp(minus), -1 if name == "sinh" else 1))
            case "tanh":
                twice = exp(times(number(2), p))
                return self.divided(plus(twice, one, -1), plus(twice, one))
            case "sin":
                return self.sin(p)
            case "cos":
                return self.cos(p)
            case "tan":
                return self.divided(self.sin(p), self.cos(p))
            case "sqrt":
                return self.power(p, HALF)
            case "rsqrt":
                return self.power(p, -HALF)
            case "square":
                return times(p, p)
            case "neg":
                return minus
            case "abs":
                return self.absolute(p)
            case "erfc":
                return plus(one, self.odd("erf", p), -1)
            case "erf" | "asin" | "atan" | "cbrt":
                if name == "asin":
                    self.forms.require("nonnegative", plus(one, times(p, p), -1))
                return self.odd(name, p)
            case "acos":
                self.forms.require("nonnegative", plus(one, times(p, p), -1))
                return plus(times(number(HALF), self.named("pi")), self.odd("asin", p), -1)
            case "asinh":
                return self.log(plus(p, self.power(plus(times(p, p), one), HALF)))
            case "acosh":
                self.forms.require("nonnegative", plus(p, one, -1))
                return self.log(plus(p, self.power(plus(times(p, p), one, -1), HALF)))
            case "atanh":
                ratio = self.divided(plus(one, p), plus(one, p, -1))
                return times(number(HALF), self.log(ratio))
        return None

    # --- what rewritings put in ---

    def log_of_sum(self, total: Poly, rest: Poly) -> Poly:
        """log of total, which is 1 + rest."""
        self.agree(total, plus(number(1), rest), "what is added to 1")
        return self.log(total)

    def agree(self, p: Poly, q: Poly, what: str) -> None:
        """Fail unless two forms are equal."""
        if not self.forms.same(p, q):
            fail(f"{what} is not shown")


def _factors(value: int) -> dict[int, int]:
    found: dict[int, int] = {}
    prime = 2
    while value > 1:
        if prime * prime > value or prime > 1000:
            found[value] = found.get(value, 0) + 1
            break
        while value % prime == 0:
            value //= prime
            found[prime] = found.get(prime, 0) + 1
        prime += 1
    return found


__all__ = ["ELEMENTARY", "HALF", "Functions"]
