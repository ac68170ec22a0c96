"""Rules of the logarithm for sums and differences.

Terms of unknown sign, or whose own logarithm has no derivative where they vanish, stay factors: w exp(a).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import kernels, laws, stable
from qed.numerics.rewriting.forms import Form, Term, linear, together
from qed.numerics.rewriting.log_complements import log_beside
from qed.numerics.rewriting.picks import PICK, places
from qed.numerics.rewriting.power_sums import log_of_sum
from qed.numerics.rewriting.probabilities import BETWEEN, LOG_ERFC_BETWEEN, OTHER_TAIL
from qed.numerics.rewriting.scales import anchored, constant_of, source_of
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.softmax_entropy import softmax_in
from qed.numerics.rewriting.softmax_powers import of_powers

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

LARGEST_PRODUCT = 1 << 20
"""Elements of the array of products up to which the log of a matrix product is taken by log-sum-exp."""


def _add(log: Logarithm, node: Node) -> Form | None:
    a, b = node.children
    if log.gained(a) is None and log.gained(b) is None:
        return log_of_sum(log, node) or _weighted_two(log, node, a, b, 1.0)
    if min(log.sign(a), log.sign(b)) == Sign.UNKNOWN:
        return _weighted_two(log, node, a, b, 1.0)
    first, second = log.plain(a), log.plain(b)
    if any(form.fragile for form in (first, second)):
        return _weighted_two(log, node, a, b, 1.0)
    used = together(first.laws, second.laws)
    for one, other, of in ((first, second, b), (second, first, a)):
        if not one.terms:
            return Form((_above_one(log, other, of, node),), node.shape, laws=together((laws.SOFTPLUS,), used))
    u, v = log.whole(first, a), log.whole(second, b)
    if u.operation == "neg" and u.children[0] is v:
        u, v = v, u
    if v.operation == "neg" and v.children[0] is u:
        two = log.emit(stable.LOG, log.algebra.number(2.0, u))
        terms = (Term(log.emit(kernels.LOG_COSH, u)), Term(two))
        return Form(terms, node.shape, laws=together((laws.COSH,), used))
    term = Term(_added(log, (first, u), (second, v)), 1.0, *_shift_and_rest(log, (first, u), (second, v)))
    return Form((term,), node.shape, laws=together((laws.ADD,), used))


def _above_one(log: Logarithm, form: Form, of: Node, node: Node) -> Term:
    """log(1 + exp(form)), its large and small parts apart where it has them: a sum of both is rounded."""
    whole = log.whole(form, of)
    value = log.algebra.filled(log.algebra.softplus(whole), node.shape)
    only = form.terms[0] if len(form.terms) == 1 else None
    if not _several(form) and (only is None or only.coefficient != 1 or only.shift is None or only.rest is None):
        return Term(value)
    zero = Form((Term(log.algebra.number(0.0, node)),), ())
    return Term(value, 1.0, *_shift_and_rest(log, (form, whole), (zero, zero.terms[0].node)))


def _added(log: Logarithm, *parts: tuple[Form, Node]) -> Node:
    """log(exp u + exp v), each a sum of a large part and a small one where it has several terms."""
    if not any(map(_several, (form for form, _ in parts))):
        return log.emit(stable.LOGADDEXP, *(whole for _, whole in parts))
    split = [log.algebra.split(form, whole) for form, whole in parts]
    value = log.emit(stable.LOGADDEXP_SPLIT, *(node for pair in split for node in pair))
    log.algebra.summed.setdefault(value.number, (parts[0][0], parts[1][0]))
    return value


def _several(form: Form) -> bool:
    return len([term for term in form.terms if term.coefficient]) > 1


def _shift_and_rest(log: Logarithm, *parts: tuple[Form, Node]) -> tuple[Node, Node]:
    """The larger shift of two logarithms, and what is left of log(exp u + exp v)."""
    shifts, rests = [], []
    for form, whole in parts:
        only = form.terms[0] if len(form.terms) == 1 else None
        split = only is not None and only.coefficient == 1 and only.shift is not None and only.rest is not None
        large, small = (only.shift, only.rest) if only is not None and split else (whole, None)
        if _several(form):
            large, small = log.algebra.split(form, whole)
        shifts.append(large)
        rests.append(small)
    (a, b) = (log.algebra.filled(node, form.shape) for node, (form, _) in zip(shifts, parts, strict=True))
    shift = log.emit(stable.SHIFT_TWO, a, b)
    if rests == [None, None]:
        return shift, log.emit(stable.REST_TWO, a, b, shift)
    more = [rest if rest is not None else log.algebra.number(0.0, shift) for rest in rests]
    return shift, log.emit(stable.REST_SPLIT, a, b, shift, *more)


def _weighted_two(log: Logarithm, node: Node, a: Node, b: Node, sign: float) -> Form | None:
    first, second = scaled(log, a), scaled(log, b)
    if first is None and second is None:
        return None
    if not log.builder.everywhere and all(limited(log, child) for child in (a, b)):
        return None
    parts: list[Node] = []
    used: tuple[laws.Law, ...] = (laws.WEIGHTED,)
    for of, found, factor in ((a, first, 1.0), (b, second, sign)):
        weight, form = found if found is not None else (of, None)
        used = together(used, form.laws if form else ())
        one = log.algebra.number(1.0, node)
        exponent = log.whole(form, of) if form is not None else log.algebra.number(0.0, node)
        parts += [log.algebra.times(factor, weight if weight is not None else one), exponent]
    shift = log.emit(stable.WEIGHTED_SHIFT_TWO, *parts)
    rest = log.emit(stable.LOG, log.emit(stable.WEIGHTED_SUM_TWO, *parts, shift))
    term = Term(log.emit(stable.WEIGHTED_TWO, *parts), 1.0, shift, rest)
    return Form((term,), node.shape, fragile=_may_vanish(log, node), laws=used)


def _may_vanish(log: Logarithm, node: Node) -> bool:
    """Whether a weighted sum may be 0: then its logarithm has no derivative, in the new form as in the old."""
    return log.sign(node) == Sign.NONNEGATIVE and log.sign.varies(node)


def limited(log: Logarithm, node: Node) -> bool:
    """Whether nothing in a sum can overflow that a logarithm would save: sigmoids times anything, no exponentials."""
    if node.operation in ("mul", "neg"):
        return all(limited(log, child) for child in node.children)
    return node.operation == "logistic" or (node.operation != "div" and log.gained(node) is None)


def scaled(log: Logarithm, node: Node) -> tuple[Node | None, Form] | None:
    """(w, form) with node = w exp(form), w of any sign (None: 1); None where there is no exponential in it."""
    form = log.gained(node)
    if form is not None and not form.fragile and log.sign(node) > Sign.UNKNOWN:
        return None, form
    only = form.terms[0] if form is not None and len(form.terms) == 1 else None
    if only is not None and only.coefficient == 1 and only.shift is not None and only.rest is not None:
        if only.rest.operation == "log":  # a weighted sum is its scaled sum times exp(shift), also where it is 0
            return only.rest.children[0], Form((Term(only.shift),), node.shape, laws=form.laws if form else ())
    loose = form.terms[0] if form is not None and form.laws == (laws.SCALED,) else None
    if form is not None and loose is not None and loose.coefficient == 1 and loose.node.operation == "log":
        return loose.node.children[0], replace(form, terms=form.terms[1:])  # m of any sign, times 2^e
    if node.operation in ("mul", "div"):
        a, b = node.children
        for of, other in ((a, b), (b, a))[: 2 if node.operation == "mul" else 1]:
            form = log.gained(of)
            if form is not None and not form.fragile and log.sign(of) > Sign.UNKNOWN:
                weight = other if node.operation == "mul" else _reciprocal(log, other)
                return weight, form
    if node.operation in ("broadcast_in_dim", "neg"):
        inner = scaled(log, node.children[0])
        if inner is None or node.operation != "neg":
            return None
        weight = inner[0] if inner[0] is not None else log.algebra.number(1.0, node)
        return log.algebra.negative(weight), inner[1]
    return None


def _reciprocal(log: Logarithm, node: Node) -> Node:
    return log.emit(stable.DIV, log.algebra.number(1.0, node), node)


def _sub(log: Logarithm, node: Node) -> Form | None:
    a, b = node.children
    if log.gained(a) is None and log.gained(b) is None:
        return None
    if min(log.sign(a), log.sign(b)) == Sign.UNKNOWN:
        return _weighted_two(log, node, a, b, -1.0)
    first, second = log.plain(a), log.plain(b)
    if first.fragile or second.fragile:
        return _weighted_two(log, node, a, b, -1.0)
    between = _between(log, first, second, node)
    if between is not None:
        return between
    used = together((laws.SUB,), first.laws, second.laws)
    rest = complement(log, linear(node.shape, (1.0, second), (-1.0, first)), node)
    return replace(linear(node.shape, (1.0, first), (1.0, rest)), laws=used)


def _between(log: Logarithm, first: Form, second: Form, node: Node) -> Form | None:
    """log(c erfc x - c erfc y)."""
    tails = [[t for t in form.terms if t.node.operation == "log_erfc"] for form in (first, second)]
    if [len(each) for each in tails] != [1, 1] or any(each[0].coefficient != 1 for each in tails):
        return None
    one, other = tails[0][0], tails[1][0]
    left, rest = (linear(f.shape, (1.0, replace(f, terms=tuple(t for t in f.terms if t is not each[0])))) for f, each in
                  zip((first, second), tails, strict=True))  # fmt: skip
    if {(t.node.number, t.coefficient) for t in left.terms} != {(t.node.number, t.coefficient) for t in rest.terms}:
        return None
    x, y = one.node.children[0], other.node.children[0]
    value = log.emit(LOG_ERFC_BETWEEN, *(log.algebra.filled(n, node.shape) for n in (x, y, log.minus(y, x))))
    form = Form((Term(value),), node.shape, fragile=True, laws=(BETWEEN,))
    return linear(node.shape, (1.0, left), (1.0, form))


def complement(log: Logarithm, form: Form, like: Node) -> Form:
    """log(1 - exp(form)); 1 - sigmoid(u) is known to be sigmoid(-u).

    Of two sigmoids, sigmoid(-p) - sigmoid(-q) = sigmoid(-p) sigmoid(q) (1 - exp(p - q)).
    """
    form = log.algebra.simplified(form)
    pair = sorted((t for t in form.terms if t.node.operation == "softplus"), key=lambda t: -t.coefficient)
    if len(form.terms) == 2 and [t.coefficient for t in pair] == [1, -1]:
        (p, q) = (term.node.children[0] for term in pair)
        rest = Term(log.emit(stable.LOG1MEXP, log.algebra.filled(log.minus(p, q), form.shape)))
        mirrored = Term(log.algebra.softplus(log.algebra.negative(q)), -1.0)
        return Form((mirrored, rest), form.shape, fragile=True, laws=together((laws.SIGMOIDS,), form.laws))
    only = form.terms[0] if len(form.terms) == 1 else None
    if only is not None and only.coefficient == -1 and only.node.operation == "softplus":
        mirrored = log.algebra.softplus(log.algebra.negative(only.node.children[0]))
        return Form((Term(mirrored, -1.0),), form.shape, laws=together((laws.LOGISTIC,), form.laws))
    of_two = _other_of_two(form)
    if of_two is not None:
        return of_two
    tail = next((t for t in form.terms if t.node.operation == "log_erfc"), None)
    if tail is not None and tail.coefficient == 1 and _is_half([t for t in form.terms if t is not tail]):
        minus = log.emit(kernels.LOG_ERFC, log.algebra.negative(tail.node.children[0]))
        terms = (Term(minus), *(t for t in form.terms if t is not tail))
        return replace(form, terms=terms, laws=together((OTHER_TAIL,), form.laws))
    entry = log.entry(form)
    beside = None if entry is None else log_beside(log, entry)
    if beside is not None:
        return Form((Term(beside),), form.shape, fragile=True, laws=together((laws.SUB,), form.laws))
    value = log.emit(stable.LOG1MEXP, entry if entry is not None else log.whole(form, like))
    return Form((Term(value),), form.shape, fragile=True, laws=together((laws.SUB,), form.laws))


def _other_of_two(form: Form) -> Form | None:
    """1 - exp(u) / (exp(u) + exp(v)) = exp(v) / (exp(u) + exp(v))."""
    if len(form.terms) != 2:
        return None
    u, total = sorted(form.terms, key=lambda term: -term.coefficient)
    if (u.coefficient, total.coefficient) != (1, -1) or total.node.operation != "logaddexp":
        return None
    pair = total.node.children
    if u.shift is not None or u.node not in pair or pair[0] is pair[1]:
        return None
    other = pair[1] if u.node is pair[0] else pair[0]
    return replace(form, terms=(Term(other), total), fragile=False, laws=together((laws.OTHER,), form.laws))


def _is_half(terms: list[Term]) -> bool:
    """Whether terms are the logarithm of 1/2."""
    if len(terms) != 1 or terms[0].node.operation != "log":
        return False
    number = constant_of(terms[0].node.children[0])
    return (number, terms[0].coefficient) in ((0.5, 1), (2.0, -1))


def _reduce_sum(log: Logarithm, node: Node) -> Form | None:
    child, axes = node.children[0], tuple(node.params["axes"])
    if not axes:
        return log(child)
    picked = _one_of_each_row(log, node, child, axes)
    if picked is not None:
        return picked
    chosen = _by_mask(log, node, child, axes)
    if chosen is not None:
        return chosen
    form = log.gained(child)
    if form is None or form.fragile or log.sign(child) == Sign.UNKNOWN:
        return _weighted_sum(log, node, child, axes)
    if not log.builder.everywhere and _largest_is_a_weight(log, child, axes):
        return replace(_as_it_stands(log, node), laws=form.laws)
    found = None if _may_vanish(log, node) else _factor(log, child)  # a mask stays in the exponent: log 0, log 1
    if found is not None:
        weight, exponent = (log.algebra.filled(node, child.shape) for node in found)
        return _weighted_sum_of(log, weight, exponent, node, axes, together((laws.WEIGHTED,), form.laws))
    inner = child.children[0] if child.operation == "convert_element_type" else child  # as before sums in float32
    if not log.builder.everywhere and inner.operation == "exp" and anchored(inner.children[0], axes):
        return replace(_as_it_stands(log, node), laws=form.laws)
    powers = of_powers(log, node, form, softmax_in)
    if powers is not None:
        return Form((Term(powers[0]),), node.shape, laws=together(powers[1], form.laws))
    u = log.whole(form, child)
    return _sum_of(log, u, node.shape, axes, together((laws.SUM,), form.laws))


def _one_of_each_row(log: Logarithm, node: Node, child: Node, axes: tuple[int, ...]) -> Form | None:
    """log of sum(a m), where m is a constant that is 1 at one place of each row and 0 elsewhere: log of a there."""
    if child.operation != "mul":
        return None
    for a, mask in (child.children, child.children[::-1]):
        form = log.gained(a) if mask.shape == a.shape == child.shape and constant_of(mask) is None else None
        index = places(log.builder, mask, axes) if form is not None else None
        if form is None or index is None:
            continue

        def at(value: Node | None, index: tuple[int, ...] = index) -> Node | None:
            return (
                None
                if value is None
                else log.emit(PICK, log.algebra.filled(value, child.shape), shape=node.shape, index=index, axes=axes)
            )

        terms = [replace(t, node=at(t.node), shift=at(t.shift), rest=at(t.rest)) for t in form.terms]
        return replace(form, terms=tuple(terms), shape=node.shape, laws=together((laws.PICK,), form.laws))
    return None


def _by_mask(log: Logarithm, node: Node, child: Node, axes: tuple[int, ...]) -> Form | None:
    """log of sum(m p), where m is 0 or 1 and p a softmax, by the entries that have the digits of a p near 1."""
    if child.operation != "mul":
        return None
    for p, mask in (child.children, child.children[::-1]):
        if mask.operation != "convert_element_type" or mask.children[0].dtype != bool or mask.shape != child.shape:
            continue
        form = log.gained(p) if p.shape == child.shape else None
        found = None if form is None else log.entry(form)
        if form is not None and found is not None:
            u = log.emit(stable.ADD, log.emit(stable.LOG, mask), found)
            return _sum_of(log, u, node.shape, axes, together((laws.SUM,), form.laws))
    return None


def _largest_is_a_weight(log: Logarithm, node: Node, axes: tuple[int, ...]) -> bool:
    """Whether a node is w exp(u - max(u)), the weights w positive numbers: the sum is at least the smallest of them."""
    if node.operation != "mul":
        return False
    for w, e in (node.children, node.children[::-1]):
        if e.operation == "exp" and source_of(w).operation == "constant" and log.sign(w) == Sign.BOUNDED:
            return anchored(e.children[0], axes)
    return False


def _factor(log: Logarithm, node: Node) -> tuple[Node, Node] | None:
    """(w, u) with node = w exp(u), where w is no exponential: log w would round in u, and digits of exp(u) be lost."""
    if node.operation != "mul":
        return None
    for w, other in (node.children, node.children[::-1]):
        form = log.gained(other)
        if form is not None and not form.fragile and log.gained(w) is None and log.sign(other) > Sign.UNKNOWN:
            return w, log.whole(form, other)
    return None


def _sum_of(log: Logarithm, u: Node, shape: tuple[int, ...], axes: tuple[int, ...], used: tuple[laws.Law, ...]) -> Form:
    shift = log.emit(stable.SHIFT, u, shape=shape, axes=axes)
    others = log.emit(stable.OTHERS, u, shift, shape=shape, axes=axes)
    rest = log.emit(stable.LOG_SUM, log.emit(stable.SUM_EXP, others), others)
    term = Term(log.emit(stable.LOGSUMEXP, u, shape=shape, axes=axes), 1.0, shift, rest)
    return Form((term,), shape, laws=used)


def sum_of(log: Logarithm, u: Node, axes: tuple[int, ...]) -> Form:
    """log(sum(exp(u))) along axes."""
    shape = tuple(n for axis, n in enumerate(u.shape) if axis not in axes)
    return _sum_of(log, u, shape, axes, (laws.SUM,))


def log_softmax(log: Logarithm, u: Node, axes: tuple[int, ...]) -> Form:
    """u - log(sum(exp(u))), the sum along axes that are kept."""
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(u.shape))
    total = log.emit(stable.KEPT, sum_of(log, u, axes).terms[0].node, shape=kept, to=kept)
    return Form((Term(u), Term(total, -1.0)), u.shape, laws=(laws.SUM,))


def _as_it_stands(log: Logarithm, node: Node) -> Form:
    return Form((Term(log.emit(stable.LOG, node)),), node.shape, gained=False)


def _weighted_sum(log: Logarithm, node: Node, child: Node, axes: tuple[int, ...]) -> Form | None:
    found = scaled(log, child)
    if found is None or found[0] is None:
        return None
    weight = log.algebra.filled(found[0], child.shape)
    u = log.algebra.filled(log.whole(found[1], child), child.shape)
    return _weighted_sum_of(log, weight, u, node, axes, together((laws.WEIGHTED,), found[1].laws))


def _weighted_sum_of(
    log: Logarithm, weight: Node, u: Node, node: Node, axes: tuple[int, ...], used: tuple[laws.Law, ...]
) -> Form:
    shift = log.emit(stable.WEIGHTED_SHIFT, weight, u, shape=node.shape, axes=axes)
    total = log.emit(stable.WEIGHTED_SUM, weight, u, shift, shape=node.shape, axes=axes)
    rest = log.emit(stable.LOG, total)
    term = Term(log.emit(stable.WEIGHTED, weight, u, shape=node.shape, axes=axes), 1.0, shift, rest)
    return Form((term,), node.shape, fragile=_may_vanish(log, node), laws=used)


def _dot(log: Logarithm, node: Node) -> Form | None:
    """A matrix product is the sum of products that it is; only where that array is small enough to be formed."""
    (contract_a, contract_b), (batch_a, batch_b) = node.params["dimension_numbers"]
    a, b = node.children
    free_a = [i for i in range(len(a.shape)) if i not in (*contract_a, *batch_a)]
    free_b = [i for i in range(len(b.shape)) if i not in (*contract_b, *batch_b)]
    contracted = tuple(a.shape[i] for i in contract_a)
    shape = (*node.shape, *contracted)
    if math.prod(shape) > LARGEST_PRODUCT or a.dtype != node.dtype or b.dtype != node.dtype:
        return None
    if log.gained(a) is None and log.gained(b) is None:
        return None

    def spread(value: Node, of: Node, order: list[int], free: int, at: int) -> Node:
        value = log.algebra.filled(value, of.shape)
        sizes = [of.shape[i] for i in order]
        batch = len(batch_a)
        ones = [1] * (len(free_b) if at == 0 else len(free_a))
        put = batch + free if at == 0 else batch
        target = (*sizes[:put], *ones, *sizes[put:])
        return log.emit(stable.SPREAD, value, shape=target, order=tuple(order), to=target)

    left = [*batch_a, *free_a, *contract_a]
    right = [*batch_b, *free_b, *contract_b]
    axes = tuple(range(len(node.shape), len(shape)))
    parts: list[tuple[Node | None, Node | None]] = []
    used: tuple[laws.Law, ...] = (laws.SUM,)
    for of, order, free, at in ((a, left, len(free_a), 0), (b, right, len(free_b), 1)):
        form = log.gained(of) if log.sign(of) > Sign.UNKNOWN else None
        if form is not None and not form.fragile:
            used = together(used, form.laws)
            parts.append((None, spread(log.whole(form, of), of, order, free, at)))
        else:
            parts.append((spread(of, of, order, free, at), None))
    exponents = [exponent for _, exponent in parts if exponent is not None]
    weights = [weight for weight, _ in parts if weight is not None]
    if not exponents:
        return None
    u = exponents[0] if len(exponents) == 1 else log.emit(stable.ADD, *exponents)
    u = log.algebra.filled(u, shape)
    if not weights:
        return _sum_of(log, u, node.shape, axes, used)
    weight = log.algebra.filled(weights[0], shape)
    return _weighted_sum_of(log, weight, u, node, axes, together((laws.WEIGHTED,), used[1:]))


RULES: Mapping[str, Callable[[Logarithm, Node], Form | None]] = {
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "reduce_sum": _reduce_sum,
    "dot_general": _dot,
}
