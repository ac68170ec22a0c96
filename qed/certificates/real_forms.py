"""Normal forms of real expressions: sums of products of rational powers of atoms, over the rationals.

An expression is a polynomial {product of atoms to rational powers: rational number}; an atom is an input, exp of one
product, the logarithm of a sum, a sum over axes, or a function that nothing is known of. What is written in two ways
gets one form by the definitions alone::

    exp(a + 2 b) = exp(a) exp(b)^2           log(c a b^k) = log c + log a + k log b          a, b > 0
    log(exp a) = a                           log(exp a + exp b) = a + log(1 + exp(b - a)): common positive factors out
    sqrt(a^2) = |a|, |a|^2 = a^2             sum(c a_i) = c sum(a_i), c constant along the axes
    sin a = (e^ia - e^-ia) / 2i              1/(a + b): the sum is an atom to the power -1, multiplied out to compare

Arrays are read element by element: an atom of an array stands for any of its elements, and broadcasting, transposing
and dropping axes of length 1 are maps of indices that pass through elementwise functions. Two expressions with
one form are equal wherever both are defined; where they are is kept as `conditions`. That two forms differ says
nothing.

Reference: Davenport, Siret and Tournier, *Computer Algebra*, 1993, ch. 2 (normal forms of elementary functions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.real_polynomials import ONE, Atom, Map, Monomial, Poly, common_divisor, fail, number, plus

LARGEST = 3000
"""Terms of the largest polynomial that is formed."""


class Forms:
    """Makes atoms, each once, and the forms of functions of forms."""

    def __init__(self) -> None:
        self._atoms: dict[Any, Atom] = {}
        self.positive_facts: set[Any] = set()
        self.nonnegative_facts: set[Any] = set()
        self.nonzero_facts: set[Any] = set()
        self.conditions: list[tuple[str, Poly]] = []
        self._moved: dict[Any, Poly] = {}
        self.imaginary = self.atom("i", (), ())

    # --- atoms ---

    def atom(self, kind: str, parts: tuple[Any, ...], shape: tuple[int, ...]) -> Atom:
        """The atom of a kind, made once."""
        key = (kind, parts, shape)
        if key not in self._atoms:
            self._atoms[key] = Atom(len(self._atoms), kind, parts, shape)
        return self._atoms[key]

    def base(self, name: Any, shape: tuple[int, ...]) -> Poly:
        """An array of which nothing is known but its name."""
        origin = self.atom("base", (name,), shape)
        return self.one(self._placed(origin, tuple(None if n == 1 else i for i, n in enumerate(shape)), shape))

    def _placed(self, origin: Atom, places: Map, shape: tuple[int, ...]) -> Atom:
        return self.atom("at", (origin, places), shape)

    def one(self, atom: Atom, power: Fraction | int = 1) -> Poly:
        """A power of an atom."""
        return self.powers({atom: Fraction(power)}, Fraction(1))

    @staticmethod
    def key(p: Mapping[Monomial, Fraction]) -> Any:
        """A polynomial as a hashable key."""
        return frozenset((tuple((a.number, e) for a, e in m), c) for m, c in p.items())

    # --- arithmetic ---

    # i and turn = e^i... are complex; every polynomial that is made an atom is real

    def powers(self, exponents: Mapping[Atom, Fraction], coefficient: Fraction) -> Poly:
        """A product of powers of atoms: i^2 = -1, |a|^2 = a^2, whole powers of numbers and sums written out."""
        rest: dict[Atom, Fraction] = {}
        outside: list[tuple[Poly, int]] = []
        for atom, power in exponents.items():
            if atom.kind == "i":
                turns = int(power) % 4
                coefficient = -coefficient if turns >= 2 else coefficient
                power = Fraction(turns % 2)
            elif atom.kind == "prime":
                whole = power.numerator // power.denominator
                coefficient *= Fraction(atom.parts[0]) ** whole
                power -= whole
            elif atom.kind == "sum of terms" and power >= 1:
                whole = power.numerator // power.denominator
                outside.append((dict(atom.parts[0]), whole))
                power -= whole
            elif atom.kind == "abs" and power.denominator == 1 and abs(power) >= 2:
                whole = 2 * int(power / 2)
                inner = dict(atom.parts[0])
                if len(inner) == 1 or whole > 0:
                    outside.append((inner, whole))
                    power -= whole
            if power:
                rest[atom] = power
        result: Poly = {tuple(sorted(rest.items(), key=lambda item: item[0].number)): coefficient}
        for p, power in outside:
            result = self.times(result, self.integer_power(p, power))
        return result

    def times(self, p: Poly, q: Poly) -> Poly:
        """The product."""
        if len(p) * len(q) > LARGEST:
            fail("an expression is too large")
        total: Poly = {}
        for m, c in p.items():
            for n, e in q.items():
                exponents = dict(m)
                for atom, power in n:
                    exponents[atom] = exponents.get(atom, Fraction(0)) + power
                total = plus(total, self.powers({a: e for a, e in exponents.items() if e}, c * e))
        return total

    def integer_power(self, p: Poly, k: int) -> Poly:
        """p^k; a sum to a negative power is an atom."""
        if k < 0:
            return self.integer_power(self.inverse(p), -k)
        result = number(1)
        for _ in range(k):
            result = self.times(result, p)
        return result

    def inverse(self, p: Poly) -> Poly:
        """1/p."""
        p = self.together(p)
        if not p:
            fail("a division by zero")
        outside, inner = self.content(p)
        if len(inner) == 1 and ONE in inner:
            return {tuple((a, -e) for a, e in m): 1 / c for m, c in outside.items()}
        rest = self.one(self._sum_of_terms(inner), -1) if len(inner) > 1 else self._inverted(inner)
        return self.times({tuple((a, -e) for a, e in m): 1 / c for m, c in outside.items()}, rest)

    def _inverted(self, p: Poly) -> Poly:
        ((monomial, coefficient),) = p.items()
        return self.powers({a: -e for a, e in monomial}, 1 / coefficient)

    def _sum_of_terms(self, p: Poly) -> Atom:
        shape = max((a.shape for m in p for a, _ in m), key=len, default=())
        return self.atom("sum of terms", (frozenset(p.items()),), shape)

    def together(self, p: Poly) -> Poly:
        """The same over one denominator, where the numerator has none of its own."""
        inverses = self._inverses(p)
        if not inverses or len(p) == 1:
            return p
        above = self.cleared(p, inverses)
        return p if self._inverses(above) else self.cleared(above, {atom: -e for atom, e in inverses.items()})

    def _inverses(self, p: Poly) -> dict[Atom, Fraction]:
        found: dict[Atom, Fraction] = {}
        for monomial in p:
            for atom, power in monomial:
                if atom.kind == "sum of terms" and power < 0:
                    found[atom] = max(found.get(atom, Fraction(0)), -power)
        return found

    def cleared(self, p: Poly, inverses: Mapping[Atom, Fraction]) -> Poly:
        """p times sums to powers."""
        result: Poly = {}
        for monomial, coefficient in p.items():
            exponents = dict(monomial)
            for atom, power in inverses.items():
                exponents[atom] = exponents.get(atom, Fraction(0)) + power
            result = plus(result, self.powers({a: e for a, e in exponents.items() if e}, coefficient))
        return result

    def is_zero(self, p: Poly) -> bool:
        """Whether a form is zero, once its denominators are multiplied out."""
        for _ in range(12):
            inverses = self._inverses(p)
            if not p or not inverses:
                return not p
            p = self.cleared(p, {atom: Fraction(-(-power.numerator // power.denominator))
                                 for atom, power in inverses.items()})  # fmt: skip
        return False

    def same(self, p: Poly, q: Poly) -> bool:
        """Whether two forms are equal."""
        return p == q or self.is_zero(plus(p, q, -1))

    # --- factors that come out ---

    def content(self, p: Poly) -> tuple[Poly, Poly]:
        """(c m, q) with p = c m q: c > 0 rational, m a product of positive atoms, q without such a factor."""
        exponents: dict[Atom, Fraction] | None = None
        for monomial in p:
            here = {a: e for a, e in monomial if self.atom_positive(a)}
            if exponents is None:
                exponents = here
            else:
                both = {*exponents, *here}
                exponents = {a: min(exponents.get(a, Fraction(0)), here.get(a, Fraction(0))) for a in both}
        common = {a: e for a, e in (exponents or {}).items() if e}
        sizes = [abs(c) for c in p.values()]
        unit = sizes[0]
        for size in sizes[1:]:
            unit = common_divisor(unit, size)
        inner = self.times(
            p, {tuple(sorted(((a, -e) for a, e in common.items()), key=lambda i: i[0].number)): 1 / unit}
        )
        return self.powers(common, unit), inner

    # --- signs ---

    def atom_positive(self, atom: Atom) -> bool:
        """Whether an atom is positive where the original expression is defined."""
        if atom.kind in ("exp", "prime"):
            return True
        if atom.kind == "sum of terms":
            return self.positive(dict(atom.parts[0]), again=False)
        return self._fact(self.positive_facts, {((atom, Fraction(1)),): Fraction(1)})

    def atom_nonnegative(self, atom: Atom) -> bool:
        """Whether an atom is at least 0."""
        if atom.kind == "abs" or self.atom_positive(atom):
            return True
        if atom.kind == "sum of terms":
            return self.nonnegative(dict(atom.parts[0]))
        return self._fact(self.nonnegative_facts, {((atom, Fraction(1)),): Fraction(1)})

    def _fact(self, facts: set[Any], p: Poly) -> bool:
        return bool(facts) and self.key(self.squeezed(p)) in facts

    def _term(self, monomial: Monomial, coefficient: Fraction, strict: bool) -> bool:
        if coefficient < 0 or any(a.kind in ("i", "turn") for a, _ in monomial):
            return False
        for atom, power in monomial:
            if self.atom_positive(atom):
                continue
            if strict and not self._fact(self.nonzero_facts, {((atom, Fraction(1)),): Fraction(1)}):
                return False
            even = power.denominator == 1 and power.numerator % 2 == 0
            if not even and power.denominator % 2 == 1 and not self.atom_nonnegative(atom):
                return False
        return True

    def nonnegative(self, p: Poly) -> bool:
        """Whether all terms are at least 0."""
        if all(self._term(m, c, False) for m, c in p.items()):
            return True
        inner = self.content(p)[1] if p else p
        return self._fact(self.nonnegative_facts, inner) or self._fact(self.positive_facts, inner)

    def positive(self, p: Poly, again: bool = True) -> bool:
        """Whether all terms are at least 0 and one is positive, or the original expression needs it to be positive."""
        if not p:
            return False
        signs = [self._term(m, c, False) for m, c in p.items()]
        if all(signs) and any(self._term(m, c, True) for m, c in p.items()):
            return True
        if not again:
            return self._fact(self.positive_facts, p)
        cleared = self.together(p)
        return self._fact(self.positive_facts, self.content(cleared)[1])

    def known_nonzero(self, p: Poly) -> bool:
        """Whether p cannot be 0."""
        p = self.together(p)
        if not p:
            return False
        if self.positive(p) or self.positive({m: -c for m, c in p.items()}):
            return True
        inner = self._without_inverses(self.content(p)[1])
        if len(inner) == 1:
            ((monomial, _),) = inner.items()
            return all(self._atom_nonzero(atom) for atom, _ in monomial)
        return any(self._fact(self.nonzero_facts, {m: s * c for m, c in inner.items()}) for s in (1, -1))

    def _without_inverses(self, p: Poly) -> Poly:
        """p times those atoms that divide every term: an inverse is not 0."""
        atoms = {a for m in p for a, _ in m}
        common = {a: min(dict(m).get(a, Fraction(0)) for m in p) for a in atoms}
        below = {a: -e for a, e in common.items() if e < 0}
        return self.cleared(p, below) if below else p

    def _atom_nonzero(self, atom: Atom) -> bool:
        single: Poly = {((atom, Fraction(1)),): Fraction(1)}
        if atom.kind == "abs":
            return self.known_nonzero(dict(atom.parts[0]))
        if atom.kind == "sum of terms":
            return self.known_nonzero(dict(atom.parts[0]))
        return self.atom_positive(atom) or self._fact(self.nonzero_facts, single)

    def require(self, kind: str, p: Poly) -> None:
        """Note that p has to be 'positive', 'nonnegative' or 'nonzero' for an expression to be defined."""
        self.conditions.append((kind, p))

    def assume(self, kind: str, p: Poly) -> None:
        """Take a condition of the original expression as a fact."""
        p = self.together(p)
        if not p:
            return
        inner = self.squeezed(self.content(p)[1])
        facts = {"positive": self.positive_facts, "nonnegative": self.nonnegative_facts, "nonzero": self.nonzero_facts}
        facts[kind].add(self.key(inner))
        if kind == "positive":
            self.nonnegative_facts.add(self.key(inner))
        if kind != "nonnegative" and len(inner) == 1:
            for atom, _ in next(iter(inner)):
                self.nonzero_facts.add(self.key({((atom, Fraction(1)),): Fraction(1)}))
        if kind != "nonnegative":
            self.nonzero_facts.add(self.key(inner))
            self.nonzero_facts.add(self.key(self._without_inverses(inner)))

    def holds(self, kind: str, p: Poly) -> bool:
        """Whether a condition follows from the facts."""
        check = {"positive": self.positive, "nonnegative": self.nonnegative, "nonzero": self.known_nonzero}
        return check[kind](p)

    # --- indices ---

    def moved(self, p: Poly, places: Map, shape: tuple[int, ...]) -> Poly:
        """The array whose axis k runs along axis places[k] of p, and along which nothing changes where that is None."""
        result: Poly = {}
        for monomial, coefficient in p.items():
            term = number(coefficient)
            for atom, power in monomial:
                term = self.times(term, self._power(self._moved_atom(atom, places, shape), power))
            result = plus(result, term)
        return result

    def _power(self, p: Poly, power: Fraction) -> Poly:
        ((monomial, coefficient),) = p.items()
        if coefficient != 1:
            fail("a moved factor changed its form")
        return self.powers({a: e * power for a, e in monomial}, Fraction(1))

    def _moved_atom(self, atom: Atom, places: Map, shape: tuple[int, ...]) -> Poly:
        if atom.kind in ("i", "prime"):
            return self.one(atom)
        key = (atom, places, shape)
        if key not in self._moved:
            if atom.kind == "at":
                origin, old = atom.parts
                new = tuple(None if k is None or k >= len(old) else old[k] for k in places)
                self._moved[key] = self.one(self._placed(origin, new, shape))
            else:
                self._moved[key] = self._rebuilt(atom, lambda p: self.moved(p, places, shape), shape)
        return self._moved[key]

    def _rebuilt(self, atom: Atom, change: Any, shape: tuple[int, ...]) -> Poly:
        """The atom of the changed parts."""
        parts = tuple(frozenset(change(dict(p)).items()) if isinstance(p, frozenset) else p for p in atom.parts)
        return self.one(self.atom(atom.kind, parts, shape))

    def varies(self, p: Poly | frozenset[Any], axis: int) -> bool:
        """Whether p may change along an axis."""
        return any(self._atom_varies(a, axis) for m in dict(p) for a, _ in m)

    def _atom_varies(self, atom: Atom, axis: int) -> bool:
        if atom.kind in ("i", "prime"):
            return False
        if atom.kind == "at":
            places = atom.parts[1]
            return axis < len(places) and places[axis] is not None
        return any(self.varies(p, axis) for p in atom.parts if isinstance(p, frozenset))

    def squeezed(self, p: Poly) -> Poly:
        """p without the axes along which it does not change."""
        shape = max((a.shape for m in p for a, _ in m), key=len, default=())
        kept = [k for k in range(len(shape)) if self.varies(p, k)]
        return p if len(kept) == len(shape) else self.moved(p, tuple(kept), tuple(shape[k] for k in kept))

    def total(self, p: Poly, axes: Sequence[int], shape: tuple[int, ...]) -> Poly:
        """The sum of p, an array of that shape, over axes: what does not change along them comes out."""
        kept = tuple(k for k in range(len(shape)) if k not in axes)
        left = tuple(shape[k] for k in kept)
        count = 1
        for axis in axes:
            count *= shape[axis]
        result: Poly = {}
        if not count:
            return result
        for monomial, coefficient in p.items():
            inside: dict[Atom, Fraction] = {}
            term = number(coefficient)
            for atom, power in monomial:
                if any(self._atom_varies(atom, axis) for axis in axes):
                    inside[atom] = power
                else:
                    term = self.times(term, self._power(self._moved_atom(atom, kept, left), power))
            if not inside:
                term = self.times(term, number(count))
            else:
                inner = self.powers(inside, Fraction(1))
                origin = self.atom("base", ("total", frozenset(inner.items()), tuple(axes), tuple(shape)), left)
                places = tuple(None if n == 1 else i for i, n in enumerate(left))
                term = self.times(term, self.one(self._placed(origin, places, left)))
                if self.nonnegative(inner):
                    self._total_sign(origin, places, left, self.positive(inner))
            result = plus(result, term)
        return result

    def _total_sign(self, origin: Atom, places: Map, shape: tuple[int, ...], positive: bool) -> None:
        single = self.squeezed({((self._placed(origin, places, shape), Fraction(1)),): Fraction(1)})
        self.nonnegative_facts.add(self.key(single))
        if positive:
            self.positive_facts.add(self.key(single))
