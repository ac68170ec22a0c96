"""The rules of proofs of convexity, checked one by one: does this step follow from those?

A step names a form of the program, a claim, a rule and its premises. Here every rule is a condition on the form's own
parts, looked up in the program that was traced again; what is positive, which range an argument has, comes from
intervals with ends of python-flint. The sign of f' or f'' on a range is found from the card's turns and bends and the
sign at one point between them, in balls, where the search enclosed the derivative on the whole range. A quadratic form
is evaluated at rational points and eliminated without pivoting. References: see `qed.calculus.shapes.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

from qed import facts
from qed.certificates.convexity_pieces import pieces, second_derivatives
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import digest
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import precision
from qed.errors import CertificateError

BITS = 200
Row = tuple[str, str, str, tuple[int, ...], tuple[float, ...]]
"""Claim, rule, the form's name, numbers of the premises' rows, the rule's numbers."""


@dataclass(eq=False)
class Check:
    """One row against the form that it is about."""

    a: Algebra
    rows: Sequence[Row]
    memo: dict[int, str]
    place: int
    form: Form
    done: set[tuple[int, int]]

    @property
    def row(self) -> Row:
        """The row."""
        return self.rows[self.place]

    def fail(self, why: str) -> NoReturn:
        """Raise the error that names this row."""
        node = f"rows[{self.place}]"
        raise CertificateError(node, f"{self.row[1]}: {why}")

    def require(self, holds: bool, why: str) -> None:
        """Raise unless a condition holds."""
        if not holds:
            self.fail(why)

    def premises(self, claims: Sequence[tuple[str, Form]]) -> None:
        """The premises are proofs of exactly these claims, in this order."""
        numbers = self.row[3]
        self.require(len(numbers) == len(claims), f"it has {len(numbers)} premises, and needs {len(claims)}")
        for number, (claim, form) in zip(numbers, claims, strict=True):
            self.require(0 <= number < self.place, f"row {number} does not stand before it")
            found = self.rows[number]
            self.require(
                found[0] == claim and found[2] == digest(form, self.memo), f"row {number} proves another claim"
            )
            if (number, id(form)) not in self.done:
                self.done.add((number, id(form)))
                check(Check(self.a, self.rows, self.memo, number, form, self.done))

    def within(self, forms: Sequence[tuple[Algebra, Form]]) -> None:
        """The premises prove that forms of other algebras are convex there."""
        numbers = self.row[3]
        self.require(len(numbers) == len(forms), f"it has {len(numbers)} premises, and needs {len(forms)}")
        for number, (algebra, form) in zip(numbers, forms, strict=True):
            self.require(0 <= number < self.place, f"row {number} does not stand before it")
            memo: dict[int, str] = {}
            found = self.rows[number]
            self.require(found[0] == "convex" and found[2] == digest(form, memo), f"row {number} proves another claim")
            check(Check(algebra, self.rows, memo, number, form, set()))

    @property
    def atom(self) -> tuple[Atom, int]:
        """The atom that the form is a multiple of, and the sign of the multiple."""
        single = self.form.single
        if single is None:
            self.fail("the form is no multiple of one operation")
        return single[0], 1 if single[1] > 0 else -1

    def negative(self, form: Form) -> Form:
        """Minus a form."""
        return self.a.scale(form, -1)


def check(step: Check) -> None:
    """Check one row and, through its premises, all below it.

    Raises CertificateError naming the row.
    """
    claim, rule = step.row[0], step.row[1]
    table = CONVEX if claim == "convex" else LOGARITHMIC if claim in ("log-convex", "log-concave") else {}
    step.require(rule in table, f"no such rule for the claim {claim!r}")
    whole = [atom for atom, _ in step.form.terms if atom.affine or rule not in _BY_PARTS]
    step.require(rule == "pieces" or all(atom.lost is None for atom in whole), "it may be undefined somewhere")
    try:
        table[rule](step)
    except (IndexError, TypeError, ValueError) as error:
        step.fail(f"the row is malformed: {error}")


# --- convex -----------------------------------------------------------------------------------------------------


def _affine(step: Check) -> None:
    step.require(step.form.affine, "the form is not affine")
    step.premises([])


def _sum(step: Check) -> None:
    parts = [(atom, c) for atom, c in step.form.terms if not atom.affine]
    step.premises([("convex", step.a.form(((atom, c),), step.a.zero)) for atom, c in parts])


def _groups(step: Check) -> None:
    """The terms of the sum are dealt out to the premises; the numbers say which term belongs to which premise."""
    terms, owners = step.form.terms, [int(n) for n in step.row[4]]
    step.require(len(owners) == len(terms), "it does not deal out every term")
    step.require(all(n >= 0 or atom.affine for n, (atom, _) in zip(owners, terms, strict=True)), "a term is left out")
    forms = []
    for k in range(len(step.row[3])):
        mine = tuple(term for n, term in zip(owners, terms, strict=True) if n == k)
        forms.append(step.a.form(mine, step.a.zero))
    step.require(all(n < len(forms) for n in owners), "a term belongs to no premise")
    step.premises([("convex", form) for form in forms])


def sign_on(card: facts.Card, low: float, high: float, order: int) -> int | None:
    """The sign of the derivative of an order on (low, high), 0 where it vanishes; None where it is not one.

    >>> from qed import facts
    >>> sign_on(facts.card("tanh"), 0.0, 3.0, 2), sign_on(facts.card("sin"), 0.0, 4.0, 2)
    (-1, None)
    """
    shape = card.shape_on
    if low < shape.lower.value or high > shape.upper.value:
        return None
    if card.jumps and card.jumps.meets(low, high):
        return None
    marks = (card.bends if order == 2 else card.turns, card.poles, card.kinks)
    if any(low < p.upper and p.lower < high for points in marks for p in points.between(low, high)):
        return None
    formula = facts.derivative_of(card, order)
    if str(formula) == "0":
        return 0
    with precision(BITS) as flint:
        for inside in _inner(low, high):
            x = flint.arb(inside)
            value = formula.evaluate(x=x, y=card.ball(x), arithmetic=facts.BALLS)
            if value > 0 or value < 0:
                return 1 if value > 0 else -1
    return None


def _inner(low: float, high: float) -> list[float]:
    """Numbers strictly inside."""
    if low == high:
        return []
    near, far = max(low, -64.0), min(high, 64.0)
    if near >= far:
        near, far = (low, min(high, low + 1.0)) if low > 0 else (max(low, high - 1.0), high)
    found = [near + (far - near) * share for share in (0.5, 0.3125, 0.75, 0.015625)]
    return [x for x in found if low < x < high]


def _composition(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "unary", "it is about a function of one number")
    u = atom.args[0]
    low, high = step.a.range(u)
    step.require(len(step.row[4]) == 6, "it has six numbers")
    claimed = step.row[4]
    step.require(claimed[0] <= low + _slack(low) and high - _slack(high) <= claimed[1], "the range is larger")
    step.require(claimed[0] <= claimed[1] and claimed[2] <= claimed[3] and claimed[4] <= claimed[5], "an end is wrong")
    low, high = min(low, claimed[0]), max(high, claimed[1])
    if not step.row[3]:
        step.fail("it has no premise")
    bend = 0 if low == high else sign_on(atom.data, low, high, 2)
    step.require(bend is not None and sign * bend >= 0, "f'' has not that sign on the range")
    if u.affine:
        step.premises([("convex", u)])
        return
    slope = sign_on(atom.data, low, high, 1)
    step.require(slope is not None, "f' has not one sign on the range")
    step.premises([("convex", u if sign * (slope or 0) >= 0 else step.negative(u))])


def _slack(x: float) -> float:
    return 1e-9 * (1.0 + abs(x)) if abs(x) < 1e300 else 0.0


def _modulus(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "abs" and sign > 0 and atom.args[0].affine, "it is no modulus of an affine function")
    step.premises([("convex", atom.args[0])])


def _logarithm(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name in ("log", "log2"), "it is no logarithm")
    step.premises([("log-convex" if sign > 0 else "log-concave", atom.args[0])])


def _maximum(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "max" and sign > 0, "it is no maximum")
    step.premises([("convex", arg) for arg in atom.args])


def _log_sum_exp(step: Check) -> None:
    """k log-sum-exp(u) + s = k log-sum-exp(u + s/k)."""
    atoms = [(atom, c) for atom, c in step.form.terms if atom.kind == "log_sum_exp" and c > 0]
    step.require(bool(atoms), "it is no log-sum-exp")
    numbers = step.row[3]
    for atom, k in atoms:
        rest = step.a.combine(((step.form, 1 / k), (step.a.of(atom), -step.a.one)))
        moved = [step.a.add(arg, rest) for arg in atom.args]
        names = [digest(form, step.memo) for form in moved]
        if [step.rows[n][2] for n in numbers if 0 <= n < step.place] == names:
            step.premises([("convex", form) for form in moved])
            return
    step.fail("the premises are not about its exponents")


def _from_logarithm(step: Check) -> None:
    atom, sign = step.atom
    step.require(sign > 0, "it is a negative multiple")
    step.premises([("log-convex", step.a.of(atom))])


def power_of(atom: Atom, a: Algebra) -> Any:
    """p where an atom is u^p (|u| counts as p = 1), or None."""
    if atom.kind != "unary":
        return None
    named = {"sqrt": (1, 2), "rsqrt": (-1, 2), "reciprocal": (-1, 1), "square": (2, 1), "abs": (1, 1)}
    if atom.name in named:
        return a.q(*named[atom.name])
    if atom.name not in ("integer_pow", "power"):
        return None
    value = dict(atom.data.parameters)["y" if atom.name == "integer_pow" else "exponent"]
    return a.q(value.numerator, value.denominator)


def _magnitudes(step: Check, u: Form) -> tuple[list[Any], list[tuple[str, Form]]]:
    """The powers in a sum of powers of magnitudes, and what has to be convex for them."""
    step.require(u.constant >= 0, "a negative constant stands in the sum")
    powers, claims = [], []
    for part, c in u.terms:
        power = power_of(part, step.a)
        if power is None or c <= 0:
            step.fail("a term is no power with a positive coefficient")
        v = part.args[0]
        even = part.name in ("abs", "square") or (part.name == "integer_pow" and int(power.p) % 2 == 0)
        signed = step.a.nonnegative(v)
        step.require(signed or (v.affine and even), "what stands under a power may be negative")
        powers.append(power)
        claims.append(("convex", v))
    return powers, claims


def _p_norm(step: Check) -> None:
    atom, sign = step.atom
    outer = power_of(atom, step.a)
    step.require(sign > 0 and outer is not None and 0 < outer < 1, "it is no root")
    powers, claims = _magnitudes(step, atom.args[0])
    step.require(bool(powers) and all(p == powers[0] for p in powers), "the powers differ")
    step.require(powers[0] >= 1 and powers[0] * outer >= 1, "the powers are too small")
    step.premises(claims)


def _over_linear(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "quotient" and sign > 0 and step.a.positive(atom.args[1]), "the divisor may be 0")
    powers, claims = _magnitudes(step, atom.args[0])
    step.require(all(p == 2 for p in powers), "a power is not 2")
    step.premises([("convex", step.negative(atom.args[1])), *claims])


def _form_over_linear(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "quotient" and sign > 0 and step.a.positive(atom.args[1]), "the divisor may be 0")
    step.require(definite(step, atom.args[0], bordered=True), "the dividend is no sum of squares")
    step.premises([("convex", step.negative(atom.args[1]))])


def _norm(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "sqrt" and sign > 0, "it is no root")
    step.require(definite(step, atom.args[0], bordered=True), "it is no sum of squares under the root")
    step.premises([])


def _quadratic_form(step: Check) -> None:
    step.require(definite(step, step.form, bordered=False), "the matrix of second derivatives is not semidefinite")
    step.premises([])


def _geometric_mean(step: Check) -> None:
    atom, sign = step.atom
    step.require(sign < 0, "it is a positive multiple")
    factors = _factors(step.a, atom)
    total = sum((p for _, p in factors), step.a.zero)
    step.require(total <= 1 and all(p > 0 for _, p in factors), "the exponents sum to more than 1")
    step.require(all(step.a.nonnegative(u) for u, _ in factors), "a factor may be negative")
    step.premises([("convex", step.negative(u)) for u, _ in factors])


def _factors(a: Algebra, atom: Atom) -> list[tuple[Form, Any]]:
    """Factors of a product of powers; an inner part that is no such product is one factor."""
    if atom.kind == "product":
        return [pair for arg in atom.args for pair in _factors_of(a, arg)]
    power = power_of(atom, a)
    if power is None or power <= 0 or atom.name == "abs" or not a.nonnegative(atom.args[0]):
        return [(a.of(atom), a.one)]
    return [(u, p * power) for u, p in _factors_of(a, atom.args[0])]


def _factors_of(a: Algebra, form: Form) -> list[tuple[Form, Any]]:
    single = form.single
    if single is None or single[1] <= 0:
        return [(form, a.one)]
    inner = _factors(a, single[0])
    return [(form, a.one)] if len(inner) == 1 and inner[0][0] is a.of(single[0]) else inner


def _harmonic_mean(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.name == "reciprocal" and sign < 0, "it is no negative multiple of a reciprocal")
    u = atom.args[0]
    parts = [(part, c) for part, c in u.terms]
    good = u.constant >= 0 and all(part.name == "reciprocal" and c > 0 for part, c in parts)
    step.require(good, "it is no sum of reciprocals")
    inner = [part.args[0] for part, _ in parts]
    step.require(all(step.a.positive(v) for v in inner), "a number may be 0")
    step.premises([("convex", step.negative(v)) for v in inner])


def _entropy(step: Check) -> None:
    atom, sign = step.atom
    u = _own_logarithm(atom)
    step.require(sign > 0 and u is not None and u.affine, "it is not u log u of an affine u")
    step.premises([])


def _own_logarithm(atom: Atom) -> Form | None:
    if atom.kind != "product":
        return None
    for u, v in (atom.args, atom.args[::-1]):
        inner = _logarithm_of(v)
        if inner is not None and inner is u:
            return u
    return None


def _logarithm_of(form: Form) -> Form | None:
    single = form.single
    return single[0].args[0] if single is not None and single[1] == 1 and single[0].name == "log" else None


def _relative_entropy(step: Check) -> None:
    terms = step.form.terms
    step.require(len(terms) == 2 and step.form.constant == 0, "it has not two terms")
    for (one, k), (other, c) in (terms, terms[::-1]):
        u = _own_logarithm(one)
        if u is None or k <= 0 or c != -k or other.kind != "product":
            continue
        for w, v in (other.args, other.args[::-1]):
            inner = _logarithm_of(v)
            if w is u and inner is not None and u.affine and inner.affine and step.a.nonnegative(u):
                step.premises([])
                return
    step.fail("it is not u log u - u log v")


def _sum_of_largest(step: Check) -> None:
    terms = step.form.terms
    step.require(bool(terms) and all(atom.kind == "order" for atom, _ in terms), "it is no sum of order statistics")
    args = terms[0][0].args
    step.require(all(atom.args == args for atom, _ in terms), "the order statistics are of different numbers")
    weights = [step.a.zero] * len(args)
    for atom, c in terms:
        weights[atom.data[0]] = c
    step.require(all(x <= y for x, y in pairwise(weights)), "a coefficient falls")
    step.require(weights[0] >= 0 or all(arg.affine for arg in args), "a coefficient is negative")
    step.premises([("convex", arg) for arg in args])


def _spectrum(step: Check) -> None:
    """Weighted eigenvalues of an affine symmetric matrix, singular values of an affine one (von Neumann; Ky Fan)."""
    terms = step.form.terms
    step.require(bool(terms) and all(atom.kind == "spectrum" for atom, _ in terms), "it is no sum of eigenvalues")
    first = terms[0][0]
    kind, _, rows, columns = first.data
    same = all((a.data[0], a.data[2:], a.args) == (kind, first.data[2:], first.args) for a, _ in terms)
    step.require(same and step.form.constant == 0, "the eigenvalues are of different matrices")
    step.require(all(arg.affine and arg.lost is None for arg in first.args), "an entry is not affine")
    weights = {atom.data[1]: c for atom, c in terms}
    row = [weights.get(k, step.a.zero) for k in range(min(rows, columns))]
    if kind == "symmetric":
        entries = [first.args[i * columns : (i + 1) * columns] for i in range(rows)]
        step.require(all(entries[i][j] is entries[j][i] for i in range(rows) for j in range(i)), "it is not symmetric")
        step.require(all(x <= y for x, y in pairwise(row)), "a weight falls")
    else:
        step.require(kind == "singular" and all(x >= y for x, y in pairwise(row)) and row[-1] >= 0, "a weight rises")
    step.premises([])


# --- quadratic forms, by values at rational points ---------------------------------------------------------------


def hessian_of(step: Check, form: Form) -> tuple[list[Atom], list[list[Any]]]:
    """The variables of a polynomial of degree 2, and its matrix of second derivatives, from values at e_i + e_j."""
    variables: dict[int, Atom] = {}
    for atom, _ in form.terms:
        for inner in atom.args if atom.kind == "product" or atom.name == "square" else (step.a.of(atom),):
            for each, _ in inner.terms:
                step.require(each.kind == "variable", "it is no polynomial of degree 2 in the variables")
                variables[each.index] = each
    names = [variables[i] for i in sorted(variables)]
    a = step.a
    at = [{}, *({v: a.one} for v in names)]
    single = [_value(form, p, a) for p in at]
    origin, first = single[0], single[1:]
    minus = [_value(form, {v: -a.one}, a) for v in names]
    rows = [[a.zero] * len(names) for _ in names]
    for i, u in enumerate(names):
        rows[i][i] = first[i] + minus[i] - 2 * origin
        for j in range(i):
            both = _value(form, {u: a.one, names[j]: a.one}, a)
            rows[i][j] = rows[j][i] = both - first[i] - first[j] + origin
    return names, rows


def _value(form: Form, point: Mapping[Atom, Any], a: Algebra) -> Any:
    total = form.constant
    for atom, c in form.terms:
        if atom.kind == "variable":
            total = total + c * point.get(atom, a.zero)
            continue
        factors = [_value(arg, point, a) for arg in atom.args]
        total = total + c * (factors[0] * factors[-1])
    return total


def definite(step: Check, form: Form, bordered: bool) -> bool:
    """Whether the matrix of second derivatives is positive semidefinite; `bordered`: the form is a sum of squares."""
    names, rows = hessian_of(step, form)
    if bordered:
        a = step.a
        origin = _value(form, {}, a)
        slopes = [(_value(form, {v: a.one}, a) - _value(form, {v: -a.one}, a)) / 2 for v in names]
        rows = [[*row, b] for row, b in zip(rows, slopes, strict=True)] + [[*slopes, 2 * origin]]
    return semidefinite(rows)


def semidefinite(rows: Sequence[Sequence[Any]]) -> bool:
    """Elimination in the given order: no pivot is negative, and beside a zero pivot there are only zeros.

    >>> from fractions import Fraction
    >>> semidefinite([[Fraction(1), Fraction(1)], [Fraction(1), Fraction(1)]])
    True
    """
    m = [list(row) for row in rows]
    for k in range(len(m)):
        pivot = m[k][k]
        if pivot < 0 or (pivot == 0 and any(m[k][j] != 0 for j in range(k, len(m)))):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, len(m)):
            if m[i][k] != 0:
                share = m[i][k] / pivot
                for j in range(k + 1, len(m)):
                    m[i][j] = m[i][j] - share * m[k][j]
    return True


# --- logarithms -------------------------------------------------------------------------------------------------


def _positive(step: Check) -> str:
    step.require(step.a.positive(step.form), "the form may not be positive")
    return step.row[0]


def _log_constant(step: Check) -> None:
    _positive(step)
    step.require(not step.form.free, "it is no constant")
    step.premises([])


def _log_of_concave(step: Check) -> None:
    step.require(_positive(step) == "log-concave", "a concave function is log-concave")
    step.premises([("convex", step.negative(step.form))])


def _log_sum(step: Check) -> None:
    step.require(_positive(step) == "log-convex", "sums are log-convex")
    step.require(step.form.constant >= 0 and all(c > 0 for _, c in step.form.terms), "a coefficient is negative")
    step.premises([("log-convex", step.a.of(atom)) for atom, _ in step.form.terms])


def _log_product(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    other = claim if atom.kind == "product" else {"log-convex": "log-concave"}.get(claim, "log-convex")
    good = sign > 0 and atom.kind == step.row[1] and all(step.a.positive(arg) for arg in atom.args)
    step.require(good, "a factor may not be positive")
    step.premises([(claim, atom.args[0]), (other, atom.args[1])])


def _log_power(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    power = power_of(atom, step.a)
    step.require(
        sign > 0 and power is not None and step.a.positive(atom.args[0]), "it is no power of a positive number"
    )
    flipped = {"log-convex": "log-concave", "log-concave": "log-convex"}[claim]
    rising = power is not None and power > 0
    step.premises([(claim if rising else flipped, atom.args[0])])


def _log_card(step: Check) -> None:
    claim = _positive(step)
    atom, sign = step.atom
    wanted = claim.removeprefix("log-")
    good = atom.kind == "unary" and sign > 0 and atom.data.log in (wanted, "affine")
    good = good and str(atom.data.shape_on) == str(atom.data.domain)
    step.require(good, f"the card does not say that the function is {claim}")
    u = atom.args[0]
    if u.affine:
        step.premises([("convex", u)])
        return
    slope = sign_on(atom.data, *step.a.range(u), 1)
    step.require(slope is not None, "f' has not one sign on the range")
    same = (slope or 0) >= 0 if claim == "log-convex" else (slope or 0) < 0
    step.premises([("convex", u if same else step.negative(u))])


_BY_PARTS = ("sum", "groups")
"""Rules that leave it to their premises where the terms are defined."""
CONVEX: Mapping[str, Callable[[Check], None]] = {
    "affine": _affine,
    "composition": _composition,
    "entropy": _entropy,
    "form over linear": _form_over_linear,
    "from logarithm": _from_logarithm,
    "geometric mean": _geometric_mean,
    "groups": _groups,
    "harmonic mean": _harmonic_mean,
    "log-sum-exp": _log_sum_exp,
    "logarithm": _logarithm,
    "maximum": _maximum,
    "modulus": _modulus,
    "norm": _norm,
    "p-norm": _p_norm,
    "pieces": pieces,
    "quadratic form": _quadratic_form,
    "quadratic over linear": _over_linear,
    "relative entropy": _relative_entropy,
    "second derivatives": second_derivatives,
    "spectrum": _spectrum,
    "sum": _sum,
    "sum of largest": _sum_of_largest,
}
LOGARITHMIC: Mapping[str, Callable[[Check], None]] = {
    "affine": _log_constant,
    "card": _log_card,
    "of concave": _log_of_concave,
    "power": _log_power,
    "product": _log_product,
    "quotient": _log_product,
    "sum": _log_sum,
}
