"""Formulas made shorter: constants folded, equal terms and equal factors collected, common factors taken out.

A formula is read as a sum of terms, a term as a rational coefficient times powers of *atoms* (symbols, functions, and
sums that are factors). What is used:

    a u + b u = (a + b) u,   u^a u^b = u^(a+b),   (u v)^n = u^n v^n for an integer n,   u v + u w = u (v + w),
    log e^u = u,   e^(log u) = u,   u^(v+n) = u^v u^n for an integer n,   (u - v)(u + v) = u^2 - v^2.

Each holds wherever its left side is defined; so does the whole, and it may be defined at more points (x/x is 1). Of a
sum the shortest of three forms is taken: as it stands, a common factor taken out, and over a common denominator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from qed.facts.expression import ONE, ZERO, Call, Choice, Constant, Expression, Operation, Symbol, choice, operation

LARGEST = 600
"""Formulas of more nodes are left as they are."""

_ONE = Fraction(1)
_Factors = dict[Expression, Fraction]
_Term = tuple[Fraction, _Factors]

_ROOTS = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}
_WHOLE = {"square": 2, "reciprocal": -1}
_INVERSE = {"exp": "log", "log": "exp", "expm1": "log1p", "log1p": "expm1", "neg": "neg"}


def size(formula: Expression) -> int:
    """Return the number of nodes of a formula.

    >>> from qed.facts.expression import parse
    >>> size(parse("2*x + 1"))
    5
    """
    total, pending = 0, [formula]
    while pending:
        node = pending.pop()
        total += 1
        match node:
            case Operation(_, left, right):
                pending += (left, right)
            case Call(_, operands):
                pending += operands
            case Choice():
                pending += (node.left, node.right, node.then, node.otherwise)
    return total


def simplify(formula: Expression) -> Expression:
    """Return a formula of the same value wherever the given one is defined, as short as the rules above make it.

    >>> from qed.facts.expression import parse
    >>> simplify(parse("2*x*exp(-x) - x*x*exp(-x)")), simplify(parse("1 - exp(-x)/(1 + exp(-x))"))
    (Expression('x*(2 - x)*exp(-x)'), Expression('1/(1 + exp(-x))'))
    """
    return formula if size(formula) > LARGEST else _simplify(formula, {})


def _simplify(node: Expression, memo: dict[Expression, Expression]) -> Expression:
    if node not in memo:
        memo[node] = _simplified(node, memo)
    return memo[node]


def _simplified(node: Expression, memo: dict[Expression, Expression]) -> Expression:
    match node:
        case Operation("+" | "-" as sign, left, right):
            first, second = _terms(_simplify(left, memo)), _terms(_simplify(right, memo))
            return _sum([*first, *(second if sign == "+" else [(-c, f) for c, f in second])])
        case Operation(sign, left, right):
            return _shorter_product(*_factors(operation(sign, _simplify(left, memo), _simplify(right, memo))))
        case Call(name, operands, parameters):
            return _call(Call(name, tuple(_simplify(operand, memo) for operand in operands), parameters))
        case Choice(comparison, left, right, then, otherwise):
            return choice(comparison, *(_simplify(part, memo) for part in (left, right, then, otherwise)))
    return node


def _call(node: Call) -> Expression:
    """A function of simplified operands."""
    (first, *others) = node.operands
    match first:
        case Call(name, (inner,)) if _INVERSE.get(name) == node.name and not others:
            return inner
    if node.name in ("exp", "log") and first == (ZERO if node.name == "exp" else ONE):
        return ONE if node.name == "exp" else ZERO
    if node.name in ("sinh", "tanh", "sin", "tan", "expm1", "log1p", "sqrt") and first == ZERO:
        return ZERO
    return _product(*_factors(node))


# --- terms and factors ---


def terms_of(formula: Expression) -> list[tuple[Fraction, dict[Expression, Fraction]]]:
    """Return a simplified formula as a sum: coefficient and powers of atoms of each term.

    >>> from qed.facts.expression import parse
    >>> [(str(c), len(f)) for c, f in terms_of(parse("2*x*y - 3"))]
    [('2', 2), ('-3', 0)]
    """
    return _terms(formula)


def sum_of(terms: Iterable[tuple[Fraction, dict[Expression, Fraction]]]) -> Expression:
    """Return the sum of terms; the inverse of `terms_of`.

    >>> from qed.facts.expression import parse
    >>> sum_of(terms_of(parse("2*x - 3")))
    Expression('2*x - 3')
    """
    return _plain_sum(terms)


def factors_of(formula: Expression) -> tuple[Fraction, dict[Expression, Fraction]]:
    """Return a simplified formula as a product: a coefficient, and powers of atoms, which may be sums.

    >>> from qed.facts.expression import parse
    >>> factors_of(parse("2*(x + y)/3"))
    (Fraction(2, 3), {Expression('x + y'): Fraction(1, 1)})
    """
    return _factors(formula)


def product_of(coefficient: Fraction, factors: dict[Expression, Fraction]) -> Expression:
    """Return the product of powers of atoms; the inverse of `terms_of` for one term.

    >>> from qed.facts.expression import Symbol
    >>> product_of(Fraction(2, 3), {Symbol("x"): Fraction(1)})
    Expression('2*x/3')
    """
    return _product(coefficient, factors)


def _terms(node: Expression) -> list[_Term]:
    """A simplified formula as a sum of terms."""
    match node:
        case Operation("-", left, right) if left == ZERO and _is_sum(right):
            return [(-c, f) for c, f in _terms(right)]
        case Operation("+" | "-" as sign, left, right) if not (sign == "-" and left == ZERO):
            second = _terms(right)
            return [*_terms(left), *(second if sign == "+" else [(-c, f) for c, f in second])]
    coefficient, factors = _factors(node)
    if len(factors) == 1 and coefficient:
        ((atom, exponent),) = factors.items()
        if exponent == 1 and _is_sum(atom):  # 2 (x + 1) in a sum is two terms
            return [(coefficient * c, f) for c, f in _terms(atom)]
    return [(coefficient, factors)] if coefficient else []


def _is_sum(node: Expression) -> bool:
    return isinstance(node, Operation) and node.sign in "+-" and not (node.sign == "-" and node.left == ZERO)


def _factors(node: Expression) -> _Term:
    """A simplified formula as coefficient and powers of atoms."""
    match node:
        case Constant(value):
            return value, {}
        case Operation("-", left, right) if left == ZERO:
            coefficient, factors = _factors(right)
            return -coefficient, factors
        case Operation("*", left, right):
            return _times(_factors(left), _factors(right))
        case Operation("/", left, right):
            below = _factors(right)
            return _times(_factors(left), _raised(below, -1)) if below[0] else (_ONE, {node: _ONE})
        case Call(name, (inner,), parameters) if name == "integer_pow" or name in _WHOLE:
            exponent = _WHOLE.get(name) or int(dict(parameters)["y"])
            below = _factors(inner)
            return _raised(below, exponent) if below[0] or exponent > 0 else (_ONE, {node: _ONE})
        case Call("neg", (inner,)):
            coefficient, factors = _factors(inner)
            return -coefficient, factors
        case Call(name, (inner,), parameters) if name == "power" or name in _ROOTS:
            exponent = _ROOTS.get(name) or dict(parameters)["exponent"]
            exact = _exact_root(inner, exponent)
            return (exact, {}) if exact is not None else (_ONE, {inner: exponent})
        case Call("pow", (base, exponent)):
            return _of_power(node, base, exponent)
    return _ONE, {node: _ONE}


def _of_power(node: Call, base: Expression, exponent: Expression) -> _Term:
    """u^(v + n) = u^v u^n."""
    terms = _terms(exponent)
    whole = sum((c for c, f in terms if not f and c.denominator == 1), Fraction(0))
    rest = [(c, f) for c, f in terms if f or c.denominator != 1]
    if not whole or not rest or isinstance(base, Constant):
        return _ONE, {node: _ONE}
    return _times((_ONE, {Call("pow", (base, _plain_sum(rest))): _ONE}), _raised(_factors(base), int(whole)))


def _exact_root(inner: Expression, exponent: Fraction) -> Fraction | None:
    if not isinstance(inner, Constant) or abs(exponent) != Fraction(1, 2) or inner.value <= 0:
        return None
    up, down = math.isqrt(inner.value.numerator), math.isqrt(inner.value.denominator)
    if Fraction(up * up, down * down) != inner.value:
        return None
    return Fraction(up, down) if exponent > 0 else Fraction(down, up)


def _times(first: _Term, second: _Term) -> _Term:
    factors = dict(first[1])
    for atom, exponent in second[1].items():
        total = factors.pop(atom, Fraction(0)) + exponent
        if total:
            factors[atom] = total
    return first[0] * second[0], factors


def _raised(term: _Term, exponent: int) -> _Term:
    return term[0] ** exponent, {atom: power * exponent for atom, power in term[1].items()}


# --- back to formulas ---


def _product(coefficient: Fraction, factors: _Factors) -> Expression:
    if not coefficient:
        return ZERO
    whole = abs(coefficient)
    above = [_power(atom, power) for atom, power in sorted(factors.items(), key=_rank) if power > 0]
    below = [_power(atom, -power) for atom, power in sorted(factors.items(), key=_rank) if power < 0]
    simple = whole.denominator <= 1000
    head = Constant(Fraction(whole.numerator) if simple else whole)
    foot = Constant(Fraction(whole.denominator) if simple else _ONE)
    result = _multiplied(head, above)
    divisor = _multiplied(foot, below)
    result = operation("/", result, divisor)
    return -result if coefficient < 0 else result


def _shorter_product(coefficient: Fraction, factors: _Factors) -> Expression:
    """The product, two factors (u - v) and (u + v) put together where that is shorter."""
    plain = _product(coefficient, factors)
    sums = [atom for atom, power in factors.items() if abs(power) == 1 and _is_sum(atom) and len(_terms(atom)) == 2]
    for first in sums:
        (c, f), (d, g) = _terms(first)
        other = _merged([(c, f), (-d, g)])
        for second in sums:
            if factors[first] != factors[second] or _merged(_terms(second)) not in (other, other[::-1]):
                continue
            rest = {atom: power for atom, power in factors.items() if atom not in (first, second)}
            difference = _plain_sum([_times((c, f), (c, f)), (-d * d, _raised((_ONE, g), 2)[1])])
            joined = _product(coefficient, {**rest, difference: factors[first]})
            return min(plain, joined, key=size)
    return plain


def _multiplied(head: Expression, factors: Iterable[Expression]) -> Expression:
    result = head
    for factor in factors:
        result = operation("*", result, factor)
    return result


def _rank(item: tuple[Expression, Fraction]) -> int:
    """Numbers, then letters, sums, functions, and last what waits for its own derivative."""
    match item[0]:
        case Symbol(name):
            return 3 if name.endswith("'") else 0
        case Operation():
            return 1
    return 2


def _power(atom: Expression, exponent: Fraction) -> Expression:
    if exponent == 1:
        return atom
    if exponent.denominator == 1:
        return Call("integer_pow", (atom,), (("y", exponent),))
    if exponent == Fraction(1, 2):
        return Call("sqrt", (atom,))
    return Call("power", (atom,), (("exponent", exponent),))


def _plain_sum(terms: Iterable[_Term]) -> Expression:
    """The terms one after the other, those with a plus sign first."""
    written = sorted(terms, key=lambda term: term[0] < 0)
    result: Expression = ZERO
    for coefficient, factors in written:
        result = operation("+", result, _product(coefficient, factors))
    return result


def _merged(terms: Iterable[_Term]) -> list[_Term]:
    found: dict[frozenset[tuple[Expression, Fraction]], _Term] = {}
    for coefficient, factors in terms:
        key = frozenset(factors.items())
        found[key] = (found[key][0] + coefficient, factors) if key in found else (coefficient, factors)
    return [term for term in found.values() if term[0]]


def _sum(terms: list[_Term]) -> Expression:
    """The shortest of three ways to write a sum."""
    terms = _merged(terms)
    plain = _plain_sum(terms)
    if len(terms) < 2:
        return plain
    common, forms = _common(terms), [plain, _with_content(terms)]
    if not common:
        return min(forms, key=size)
    rest = [_times(term, _raised((_ONE, common), -1)) for term in terms]
    forms.append(_with_factor(common, rest))
    expanded = _expanded(rest)
    if expanded is not None:
        forms.append(_with_factor(common, _merged(expanded)))
    return min(forms, key=size)


def _common(terms: list[_Term]) -> _Factors:
    """The lowest power of each atom over all terms."""
    atoms = dict.fromkeys(atom for _, factors in terms for atom in factors)
    lowest = {atom: min(factors.get(atom, Fraction(0)) for _, factors in terms) for atom in atoms}
    return {atom: power for atom, power in lowest.items() if power}


def _with_content(terms: list[_Term]) -> Expression:
    """2 x - 2 y as 2 (x - y), where all coefficients have one modulus."""
    plain = _plain_sum(terms)
    content = {abs(c) for c, _ in terms}
    if len(content) != 1 or content == {_ONE} or len(terms) < 2:
        return plain
    (number,) = content
    inner = _plain_sum([(c / number, f) for c, f in terms])
    return min(plain, _product(*_times((number, {}), _factors(inner))), key=size)


def _with_factor(common: _Factors, rest: list[_Term]) -> Expression:
    inner = _with_content(rest)
    if inner == ZERO:
        return ZERO
    return _product(*_times(_factors(inner), (_ONE, common)))


def _expanded(terms: list[_Term], most: int = 16) -> list[_Term] | None:
    """Sums that are factors multiplied out; None where there are none, or too many terms would come."""
    pending, done, any_sum = list(terms), [], False
    while pending:
        coefficient, factors = pending.pop()
        inside = next((a for a, p in factors.items() if _is_sum(a) and p.denominator == 1 and p > 0), None)
        if inside is None:
            done.append((coefficient, factors))
        else:
            any_sum = True
            left = _times((coefficient, factors), (_ONE, {inside: -_ONE}))
            pending += [_times(left, term) for term in _terms(inside)]
        if len(pending) + len(done) > most:
            return None
    return done[::-1] if any_sum else None
