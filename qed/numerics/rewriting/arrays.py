"""Rules of the logarithm for what moves, selects and orders elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import laws, stable
from qed.numerics.rewriting.averages import RUNNING
from qed.numerics.rewriting.forms import Form, Term, together
from qed.numerics.rewriting.log_product import LOG_POWERS, LOG_PRODUCT, LOG_PRODUCT_NEAR_ONE
from qed.numerics.rewriting.magnitudes import PUT, put_among_zeros
from qed.numerics.rewriting.signs import MOVES, Sign, fills_with_nan, floating
from qed.numerics.rewriting.sums import scaled

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


_DROPS = frozenset({"gather", "slice", "dynamic_slice"})
"""Moves that leave elements out."""


def _move(log: Logarithm, node: Node) -> Form | None:
    """Elements change place, the logarithm changes place with them; the two parts of a log-sum-exp move alike."""
    form = log(node.children[0])
    if form is None or node.equation is None or not floating(node.children[0].dtype):
        return None
    if node.operation == "gather" and not fills_with_nan(node):
        return None
    if form.fragile and node.operation in _DROPS:  # log 0 has a derivative although its element is not used
        return None

    def moved(value: Node | None) -> Node | None:
        if value is None or (value.operation == "constant" and value.shape == () and value.dtype == node.dtype):
            return value
        value = log.algebra.filled(value, node.children[0].shape)
        assert node.equation is not None
        return log.builder.apply(node.equation, [value, *node.children[1:]])[0]

    def carried(term: Term) -> Term:
        new = Term(moved(term.node) or term.node, term.coefficient, moved(term.shift), moved(term.rest))
        return _rest_as_log(log, new, term, node.children[0])

    return replace(form, terms=tuple(carried(term) for term in form.terms), shape=node.shape)


def _rest_as_log(log: Logarithm, term: Term, old: Term, of: Node) -> Term:
    """The moved rest written as log of the moved sum, which is the same and can be divided by."""
    if old.rest is None or term.rest is None or old.rest.operation != "log" or term.rest.equation is None:
        return term
    move, others = term.rest.equation, term.rest.children[1:]
    parts = [log.builder.apply(move, [log.algebra.filled(n, of.shape), *others])[0] for n in old.rest.children]
    return replace(term, rest=log.emit(Operation("log", old.rest.evaluate, old.rest.settled), *parts))


def _max(log: Logarithm, node: Node) -> Form | None:
    a, b = node.children
    if (log.gained(a) is None and log.gained(b) is None) or min(log.sign(a), log.sign(b)) == Sign.UNKNOWN:
        return None
    first, second = log.plain(a), log.plain(b)
    if first.fragile or second.fragile:
        return None
    operation = stable.MAX if node.operation == "max" else stable.MIN
    value = log.emit(operation, log.whole(first, a), log.whole(second, b))
    return log.single(node, value, first, second, law=laws.MONOTONE)


def _clamp(log: Logarithm, node: Node) -> Form | None:
    if log.gained(node.children[1]) is None or min(log.sign(child) for child in node.children) == Sign.UNKNOWN:
        return None
    forms = [log.plain(child) for child in node.children]
    if node.equation is None or any(form.fragile for form in forms):
        return None
    wholes = [log.whole(form, child) for form, child in zip(forms, node.children, strict=True)]
    return log.single(node, log.builder.apply(node.equation, wholes)[0], *forms, law=laws.MONOTONE)


def _select(log: Logarithm, node: Node) -> Form | None:
    """A case without a form is evaluated where it is chosen, and 1 elsewhere, so that no gradient is poisoned."""
    predicate, *cases = node.children
    forms = [log(case) for case in cases]
    usable = [
        form if form is not None and not form.fragile and log.sign(case) > Sign.UNKNOWN else None
        for form, case in zip(forms, cases, strict=True)
    ]
    if node.equation is None or not any(form is not None and form.gained for form in usable):
        return None
    one = log.algebra.filled(log.algebra.number(1.0, node), node.shape)
    logs: list[Node] = []
    fragile = False
    for index, (form, case) in enumerate(zip(usable, cases, strict=True)):
        if form is None:
            guarded = [case if i == index else one for i in range(len(cases))]
            logs.append(log.emit(stable.LOG, log.builder.apply(node.equation, [predicate, *guarded])[0]))
            fragile = fragile or (log.sign.varies(case) and log.sign(case) < Sign.BOUNDED)
        else:
            logs.append(log.whole(form, case))
    value = log.builder.apply(node.equation, [predicate, *logs])[0]
    known = [form for form in usable if form is not None]
    return replace(log.single(node, value, *known, law=laws.SELECT), fragile=fragile)


def _concatenate(log: Logarithm, node: Node) -> Form | None:
    if node.equation is None or all(log.gained(child) is None for child in node.children):
        return None
    forms = [log.plain(child) for child in node.children]
    wholes = [log.whole(form, child) for form, child in zip(forms, node.children, strict=True)]
    return log.single(node, log.builder.apply(node.equation, wholes)[0], *forms)


def _put(log: Logarithm, node: Node) -> Form | None:
    """The logarithm of elements that are put among zeros is theirs, put among logarithms of 0."""
    put = put_among_zeros(node)
    form = None if put is None else log.gained(put)
    if put is None or form is None or form.fragile or node.equation is None:
        return None
    nothing = log.algebra.filled(log.algebra.number(-math.inf, node), node.shape)
    at = PUT[node.operation]
    children = [nothing, *node.children[1:]]
    children[at] = log.algebra.filled(log.whole(form, put), put.shape)
    return log.single(node, log.builder.apply(node.equation, children)[0], form)


def _reduce_max(log: Logarithm, node: Node) -> Form | None:
    child = node.children[0]
    form = log.gained(child)
    if form is None or form.fragile or log.sign(child) == Sign.UNKNOWN:
        return None
    operation = stable.LARGEST if node.operation == "reduce_max" else stable.SMALLEST
    value = log.emit(operation, log.whole(form, child), shape=node.shape, axes=tuple(node.params["axes"]))
    return log.single(node, value, form, law=laws.MONOTONE)


def _reduce_prod(log: Logarithm, node: Node) -> Form | None:
    child, axes = node.children[0], tuple(node.params["axes"])
    if log.sign(child) == Sign.UNKNOWN or log.gained(child) is None:
        if child.operation == "pow" and child.equation is not None:
            x, exponent = child.children
            spread = log.algebra.filled(x, child.shape), log.algebra.filled(exponent, child.shape)
            value = log.emit(LOG_POWERS, *spread, shape=node.shape, axes=axes)
            return log.single(node, value, law=laws.PROD_OF_POWERS)
        found = scaled(log, child)
        if found is not None and found[0] is not None:
            return _weighted_prod(log, node, found[0], found[1])
        near = None if log.builder.derivative else log.gap(child, log.algebra.number(1.0, child))
        if near is not None:
            near = log.algebra.filled(near, child.shape)
            value = log.emit(LOG_PRODUCT_NEAR_ONE, child, near, shape=node.shape, axes=axes)
            return log.single(node, value, law=laws.PROD_NEAR_ONE)
        value = log.emit(LOG_PRODUCT, child, shape=node.shape, axes=axes)
        return log.single(node, value, law=laws.SIGNED_PROD)
    form = log.plain(child)
    value = log.emit(stable.SUM, log.whole(form, child), shape=node.shape, axes=axes)
    return log.single(node, value, form, law=laws.PROD)


def _weighted_prod(log: Logarithm, node: Node, weight: Node, form: Form) -> Form:
    """log of prod(w exp(u)) = log prod(w) + sum(u), w of any sign."""
    child, axes = node.children[0], tuple(node.params["axes"])
    w, u = (log.algebra.filled(each, child.shape) for each in (weight, log.whole(form, child)))
    product = log.emit(LOG_PRODUCT, w, shape=node.shape, axes=axes)
    total = log.emit(stable.SUM, u, shape=node.shape, axes=axes)
    used = together((laws.SIGNED_PROD, laws.PROD), form.laws)
    return Form((Term(product), Term(total)), node.shape, laws=used)


def _cumprod(log: Logarithm, node: Node) -> Form | None:
    child = node.children[0]
    if log.sign(child) == Sign.UNKNOWN:
        return None
    form = log.plain(child)
    axis, reverse = node.params["axis"], node.params["reverse"]
    value = log.emit(stable.CUMULATIVE_SUM, log.whole(form, child), axis=axis, reverse=reverse)
    return log.single(node, value, form, law=laws.PROD)


def _cumsum(log: Logarithm, node: Node) -> Form | None:
    child = node.children[0]
    form = log.gained(child)
    if form is None or form.fragile or log.sign(child) == Sign.UNKNOWN:
        return None
    axis, reverse = node.params["axis"], node.params["reverse"]
    value = log.emit(RUNNING, log.whole(form, child), axis=axis, reverse=reverse)
    return log.single(node, value, form, law=laws.SUM)


RULES: Mapping[str, Callable[[Logarithm, Node], Form | None]] = {
    "max": _max,
    "min": _max,
    "clamp": _clamp,
    "select_n": _select,
    "concatenate": _concatenate,
    "stack": _concatenate,
    "pad": _concatenate,
    "dynamic_update_slice": _put,
    "scatter": _put,
    "reduce_max": _reduce_max,
    "reduce_min": _reduce_max,
    "reduce_prod": _reduce_prod,
    "cumprod": _cumprod,
    "cumsum": _cumsum,
    "convert_element_type": _move,
    "gather": _move,
} | dict.fromkeys(MOVES, _move)
