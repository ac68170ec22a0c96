"""What the operations that a rewriting puts in stand for, each checked for what it relies on.

``sqrt_difference(a, b, d)`` stands for sqrt(a) - sqrt(b), and the proof fails unless d is a - b. How an operation is
evaluated without losing digits (series, continued fractions, branches) is not the certificate's matter: that its
numbers are those of its meaning is tested at points, for every line of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.real_functions import HALF, Functions
from qed.certificates.real_polynomials import Poly, fail, number, plus
from qed.certificates.real_series import fraction_of_rests, taylor

Meaning = Callable[[Functions, Sequence[Poly], Mapping[str, Any], Sequence[tuple[int, ...]]], Poly]


def _difference(name: str, sign: int = 1) -> Meaning:
    def meaning(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
        x, y, d, *known = ps
        f.agree(d, plus(x, y, -1), "the difference of the arguments")
        first, second = f.elementary(name, x), f.elementary(name, y)
        if first is None or second is None:
            fail(f"nothing is known of {name}")
        for value, form in zip(known, (first, second), strict=False):
            f.agree(value, form, f"a value of {name}")
        return plus(first, second, -1)

    return meaning


def _power_difference(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    x, y, d = ps
    f.agree(d, plus(x, y, -1), "the difference of the arguments")
    k = Fraction(params["k"])
    return plus(f.power(x, k), f.power(y, k), -1)


def _simple(rule: Callable[..., Poly]) -> Meaning:
    return lambda f, ps, params, shapes: rule(f, *ps)


def _softplus(f: Functions, p: Poly) -> Poly:
    return f.log(plus(number(1), f.exp(p)))


def _logaddexp(f: Functions, *ps: Poly) -> Poly:
    total: Poly = {}
    for p in ps:
        total = plus(total, f.exp(p))
    return f.log(total)


def _over(f: Functions, p: Poly, shift: Poly) -> Poly:
    return f.exp(plus(p, shift, -1))


def _sum_two(f: Functions, *ps: Poly) -> Poly:
    a, b, shift, *more = ps
    first, second = (plus(a, more[0]), plus(b, more[1])) if more else (a, b)
    return plus(_over(f, first, shift), _over(f, second, shift))


def _along(f: Functions, p: Poly, axes: Sequence[int], shape: tuple[int, ...]) -> Poly:
    return f.forms.total(p, axes, shape)


def _expanded(f: Functions, p: Poly, axes: Sequence[int], shape: tuple[int, ...]) -> Poly:
    """An array reduced along axes, put back along them."""
    places: list[int | None] = []
    at = 0
    for axis in range(len(shape)):
        places.append(None if axis in axes else at)
        at += axis not in axes
    return f.forms.moved(p, tuple(places), shape)


def _logsumexp(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    return f.log(_along(f, f.exp(ps[0]), params["axes"], shapes[0]))


def _log_mean_exp(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    count = 1
    for axis in params["axes"]:
        count *= shapes[0][axis]
    total = _along(f, f.exp(ps[0]), params["axes"], shapes[0])
    return f.log(f.forms.times(number(Fraction(1, count)), total))


def _log_softmax_at(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    """u_i - log sum_j exp u_j with u = c s; s_i is the slice that a program would read."""
    i, (s,), (shape,) = int(params["index"]), ps, shapes
    c = Fraction(params["factor"])
    c = 1 / c if params["divides"] else c
    if len(shape) != 1 or not 0 <= i < shape[0]:
        fail("the entry lies outside")
    cut = (("limit_indices", (i + 1,)), ("start_indices", (i,)), ("strides", None))
    entry = f.forms.moved(f.forms.base(("slice", cut, ((f.forms.key(s), shape),)), (1,)), (), ())
    total = _along(f, f.exp(f.forms.times(number(c), s)), (0,), shape)
    return plus(f.forms.times(number(c), entry), f.log(total), -1)


def _log_beside_one(f: Functions, log: Poly, v: Poly) -> Poly:
    f.agree(v, plus(f.exp(log), number(1), -1), "the number less 1")
    return log


def _others(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    u, shift = ps
    total = _along(f, _over(f, u, _expanded(f, shift, params["axes"], shapes[0])), params["axes"], shapes[0])
    return plus(total, number(1), -1)


def _weighted(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    w, u = ps
    return f.log(_along(f, f.forms.times(w, f.exp(u)), params["axes"], shapes[1]))


def _weighted_sum(f: Functions, ps: Any, params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    w, u, shift = ps
    scaled = _over(f, u, _expanded(f, shift, params["axes"], shapes[1]))
    return _along(f, f.forms.times(w, scaled), params["axes"], shapes[1])


def _weighted_two(f: Functions, *ps: Poly) -> Poly:
    v, a, w, b = ps
    return f.log(plus(f.forms.times(v, f.exp(a)), f.forms.times(w, f.exp(b))))


def _weighted_sum_two(f: Functions, *ps: Poly) -> Poly:
    v, a, w, b, s = ps
    return plus(f.forms.times(v, _over(f, a, s)), f.forms.times(w, _over(f, b, s)))


def _bose(f: Functions, d: Poly) -> Poly:
    return f.divided(number(1), plus(f.exp(d), number(1), -1))


def _fraction_in_range(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    _, fraction, total, *terms = ps
    for term in terms:
        total = plus(total, term, -1 if params["minus"] else 1)
    f.agree(fraction, total, "the sum of the terms")
    return fraction


def _combined(f: Functions, ps: Sequence[Poly], coefficients: Sequence[float]) -> Poly:
    total: Poly = {}
    for p, c in zip(ps, coefficients, strict=True):
        total = plus(total, p, Fraction(c))
    return total


def _softmax(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    above = f.exp(ps[0])
    below = _expanded(f, _along(f, above, params["axes"], shapes[0]), params["axes"], shapes[0])
    return f.divided(above, below)


def _sigmoid_split(f: Functions, *ps: Poly) -> Poly:
    first, second = (f.exp(plus(u, more)) for u, more in (ps[:2], ps[2:]))
    return f.divided(first, plus(first, second))


def _log_sum_of_powers(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    k = number(Fraction(params["k"]))
    one, power = (f.log(_along(f, f.exp(p), params["axes"], shapes[0])) for p in (ps[0], f.forms.times(k, ps[0])))
    return plus(power, f.forms.times(k, one), -1)


def _planck(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    above = f.forms.integer_power(ps[0], int(params["k"]))
    return f.divided(above, plus(f.exp(ps[0]), number(1), -1))


def _scaled(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    """s / c or s c, c a number or one for each sum."""
    s, c = ps
    spread = c if not shapes[1] else _expanded(f, c, params["axes"], shapes[0])
    return f.divided(s, spread) if params["divides"] else f.forms.times(s, spread)


def _temperature(f: Functions, c: Poly, divides: bool) -> Poly:
    return c if divides else f.divided(number(1), c)


def _free_energy(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    reduce = _log_mean_exp if params["mean"] else _logsumexp
    log = reduce(f, [_scaled(f, ps, params, shapes)], params, shapes)
    return f.forms.times(_temperature(f, ps[1], params["divides"]), log)


def _weighted_energy(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    log = _weighted(f, [ps[0], _scaled(f, ps[1:], params, shapes[1:])], params, shapes)
    return f.forms.times(_temperature(f, ps[2], params["divides"]), log)


def _energy_of_some(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    *energies, scale = ps
    temperature = _temperature(f, scale, params["divides"])
    return f.forms.times(temperature, _logaddexp(f, *(f.divided(p, temperature) for p in energies)))


def _tempered_log_softmax(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    exponent = _scaled(f, ps, params, shapes)
    return plus(exponent, _expanded(f, _logsumexp(f, [exponent], params, shapes), params["axes"], shapes[0]), -1)


def _masked_softmax(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    above = f.forms.times(ps[0], f.exp(ps[1]))
    return f.divided(above, _expanded(f, _along(f, above, params["axes"], shapes[1]), params["axes"], shapes[1]))


def _square_between_roots(f: Functions, *ps: Poly) -> Poly:
    a, b, d, mixed = ps
    f.agree(d, plus(a, b, -1), "the difference")
    f.agree(mixed, f.forms.times(number(-2), f.power(f.forms.times(a, b), HALF)), "the mixed term")
    return plus(plus(a, b), mixed)


def _log_ratio(f: Functions, *ps: Poly) -> Poly:
    a, b, d = ps
    f.agree(d, plus(a, b, -1), "the difference of the arguments")
    return f.log(f.divided(a, b))


def _relative_entropy(f: Functions, *ps: Poly) -> Poly:
    a, b, d = ps
    return plus(f.forms.times(a, _log_ratio(f, a, b, d)), d, -1)


def _scaled_erfc(f: Functions, p: Poly) -> Poly:
    shift = f.exp(f.forms.times(number(-1), f.named("erfc_shift", p)))
    return f.forms.times(plus(number(1), f.odd("erf", p), -1), shift)


def _log_erfc_between(f: Functions, x: Poly, y: Poly, d: Poly) -> Poly:
    f.agree(d, plus(y, x, -1), "the difference of the arguments")
    return f.log(plus(f.odd("erf", y), f.odd("erf", x), -1))


def _inverse_mills(f: Functions, z: Poly, e: Poly, rest: Poly | None = None) -> Poly:
    f.agree(e, plus(rest or {}, f.forms.times(z, z), -1), "the exponent, a rest minus the square")
    return f.divided(f.exp(e), plus(number(1), f.odd("erf", z), -1))


def _growth_over(f: Functions, m: Poly, q: Poly, v: Poly) -> Poly:
    f.agree(v, f.forms.times(m, q), "the exponent")
    return f.forms.times(m, taylor(f, [v], {"f": "exp", "k": 1}, True))


def _reciprocals(f: Functions, *ps: Poly) -> Poly:
    x, y, d = ps
    f.agree(d, plus(x, y, -1), "the difference")
    return plus(f.divided(number(1), x), f.divided(number(1), y), -1)


def _root(f: Functions, *ps: Poly) -> Poly:
    square, rest, *parts = ps
    total = rest
    for part in parts:
        total = plus(total, f.forms.times(part, part))
    f.agree(square, total, "the sum of squares")
    return f.power(square, HALF)


def _norm(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    return f.power(_along(f, f.forms.times(ps[0], ps[0]), params["axes"], shapes[0]), HALF)


def _cosine(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    both = f.forms.times(_norm(f, ps[:1], params, shapes), _norm(f, ps[1:], params, shapes[1:]))
    return f.divided(_along(f, f.forms.times(*ps), params["axes"], shapes[0]), both)


def _centred(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    x, y = (ps[0], ps[-1])
    axes, shape = params["axes"], shapes[0]
    count = 1
    for axis in axes:
        count *= shape[axis]
    both = f.forms.times(_along(f, x, axes, shape), _along(f, y, axes, shape))
    return plus(_along(f, f.forms.times(x, y), axes, shape), both, Fraction(-1, count))


def _weighted_variance(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    x, w = ps
    axes, shape = params["axes"], shapes[0]
    whole = _along(f, w, axes, shape)
    first = f.divided(_along(f, f.forms.times(w, x), axes, shape), whole)
    second = f.divided(_along(f, f.forms.times(w, f.forms.times(x, x)), axes, shape), whole)
    return plus(second, f.forms.times(first, first), -1)


def _apart(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    gap = plus(ps[0], ps[1], -1)
    return _along(f, f.forms.times(gap, gap), params["axes"], shapes[0])


def _squares(f: Functions, *ps: Poly) -> Poly:
    x, y, d, s = ps
    f.agree(d, plus(x, y, -1), "the difference")
    f.agree(s, plus(x, y), "the sum")
    return plus(f.forms.times(x, x), f.forms.times(y, y), -1)


def _cubes(f: Functions, *ps: Poly) -> Poly:
    x, y, d = ps
    f.agree(d, plus(x, y, -1), "the difference")
    return plus(f.forms.integer_power(x, 3), f.forms.integer_power(y, 3), -1)


def _root_minus(f: Functions, *ps: Poly) -> Poly:
    s, b, d = ps
    f.agree(d, plus(f.forms.times(s, s), f.forms.times(b, b), -1), "the difference of squares")
    return plus(s, b, -1)


def _side(f: Functions, *ps: Poly) -> Poly:
    square, a, b, angle = ps
    times = f.forms.times
    expected = plus(plus(times(a, a), times(b, b)), times(times(a, b), f.cos(angle)), -2)
    f.agree(square, expected, "the square of the side")
    return f.power(square, HALF)


def _sum_of_products(
    f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Poly:
    total = number(Fraction(params["number"]))
    for x, y, c in zip(ps[::2], ps[1::2], params["coefficients"], strict=True):
        total = plus(total, f.forms.times(x, y), Fraction(c))
    axes = params.get("axes")
    if axes is None:
        return total
    if len(set(shapes)) != 1:
        fail("the factors have different shapes")
    return _along(f, total, axes, shapes[0])


def _pair_of_logs(f: Functions, a: Poly, c: Poly, d: Poly, s: Poly, u: Poly) -> Poly:
    f.agree(d, plus(a, c, -1), "the difference of the weights")
    f.agree(s, plus(a, c), "the sum of the weights")
    logs = [f.log(plus(number(1), u, sign)) for sign in (1, -1)]
    return plus(f.forms.times(a, logs[0]), f.forms.times(c, logs[1]))


def _scale(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> Poly:
    """A positive number, of which nothing else is known."""
    key = ("quotient_scale", (), tuple(zip(map(f.forms.key, ps), shapes, strict=True)))
    return f.exp(f.forms.base(key, shapes[0]))


def _scaled_back(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], shapes: Any) -> Poly:
    value, scale = ps
    return f.forms.times(value, f.forms.integer_power(scale, int(params["power"])))


MEANINGS: dict[str, Meaning] = {
    **{f"{name}_difference": _difference(name) for name in
       "sqrt cbrt rsqrt exp exp2 log log1p tanh logistic sin cos tan sinh cosh asin atan asinh atanh erf".split()},
    **{f"{name}_step": _difference(name) for name in ("sin", "cos", "tan")},
    "asin_difference_negative": _difference("acos"),
    "erf_difference_negative": _difference("erfc"),
    "power_difference": _power_difference,
    "reciprocal_difference": _simple(_reciprocals),
    "difference_of_squares": _simple(_squares),
    "difference_of_cubes": _simple(_cubes),
    "softplus": _simple(_softplus),
    "log1mexp": _simple(lambda f, p: f.log(plus(number(1), f.exp(p), -1))),
    "logaddexp": _simple(_logaddexp),
    "rest_two": _simple(lambda f, *ps: f.log(_sum_two(f, *ps))),
    "rest_split": _simple(lambda f, *ps: f.log(_sum_two(f, *ps))),
    "sum_two": _simple(_sum_two),
    "logsumexp": _logsumexp,
    "log_mean_exp": _log_mean_exp,
    "log_softmax_at": _log_softmax_at,
    "log_beside_one": _simple(_log_beside_one),
    "others": _others,
    "sum_exp": _simple(lambda f, p: plus(number(1), p)),
    "weighted_logsumexp": _weighted,
    "weighted_sum": _weighted_sum,
    "weighted_logaddexp": _simple(_weighted_two),
    "weighted_sum_two": _simple(_weighted_sum_two),
    "exp_of_sum": lambda f, ps, params, shapes: f.exp(_combined(f, ps, params["coefficients"])),
    "put_in": lambda f, ps, params, shapes: ps[0],
    "log_share_of_two": _simple(lambda f, a, b: plus(a, _logaddexp(f, a, b), -1)),
    "exp_put_back": lambda f, ps, params, shapes: f.exp(ps[0]),
    "exp_beside": lambda f, ps, params, shapes: f.exp(_combined(f, ps[1:], params["coefficients"])),
    "softmax": _softmax,
    "beside_softmax": lambda f, *given: plus(number(1), _softmax(f, *given), -1),
    "tempered_softmax": lambda f, ps, params, shapes: _softmax(f, [_scaled(f, ps, params, shapes)], params, shapes),
    "tempered_log_softmax": _tempered_log_softmax,
    "free_energy": _free_energy,
    "weighted_free_energy": _weighted_energy,
    "free_energy_of_some": _energy_of_some,
    "masked_softmax": _masked_softmax,
    "pair_of_logs": _simple(_pair_of_logs),
    "square_between_roots": _simple(_square_between_roots),
    "log_softplus": _simple(lambda f, p: f.log(_softplus(f, p))),
    "sum_of_products": _sum_of_products,
    "log_cosh": _simple(lambda f, p: f.log(f.elementary("cosh", p) or {})),
    "log_sinhc": _simple(lambda f, p: f.log(f.divided(f.elementary("sinh", p) or {}, p))),
    "log_half_erfc": _simple(lambda f, p: f.log(f.forms.times(number(HALF), plus(number(1), f.odd("erf", p), -1)))),
    "log_erfc": _simple(lambda f, p: f.log(plus(number(1), f.odd("erf", p), -1))),
    "log_erfc_between": _simple(_log_erfc_between),
    "scaled_erfc": _simple(_scaled_erfc),
    "erfc_shift": _simple(lambda f, p: f.named("erfc_shift", p)),
    "scaled_erfc_minus_one": _simple(lambda f, p: plus(_scaled_erfc(f, p), number(1), -1)),
    "cancelled": _simple(lambda f, p: {}),
    "sech2": _simple(lambda f, p: f.divided(number(4), f.forms.integer_power(
        plus(f.exp(p), f.exp(f.forms.times(number(-1), p))), 2))),
    "log_ratio": _simple(_log_ratio),
    "log_ratio_times": _simple(lambda f, a, b, d: f.forms.times(a, _log_ratio(f, a, b, d))),
    "log_difference_over": _simple(lambda f, a, b, d: f.divided(_log_ratio(f, a, b, d), d)),
    "relative_entropy": _simple(_relative_entropy),
    "sigmoid_split": _simple(_sigmoid_split),
    "log_share_split": _simple(lambda f, *ps: f.log(_sigmoid_split(f, *ps))),
    "log_sum_of_powers": _log_sum_of_powers,
    "planck": _planck,
    "bose": _simple(_bose),
    "bose_put_back": lambda f, ps, params, shapes: _bose(f, ps[0]),
    "over_length": _simple(lambda f, a, b: f.divided(a, b)),
    "quotient_scale": _scale,
    "scaled_by": _simple(lambda f, x, s: f.forms.times(x, s)),
    "scaled_back": _scaled_back,
    "inverse_mills": _simple(_inverse_mills),
    "inverse_mills_beside": _simple(_inverse_mills),
    "root_of_squares": _simple(_root),
    "beside_root": _simple(lambda f, x, w: f.power(f.forms.times(f.forms.times(x, x), w), HALF)),
    "norm": _norm,
    "cosine": _cosine,
    "cosine_distance": lambda f, ps, params, shapes: plus(number(1), _cosine(f, ps, params, shapes), -1),
    "sum_of_centred_squares": _centred,
    "sum_of_centred_products": _centred,
    "weighted_variance": _weighted_variance,
    "squared_distance": _apart,
    "sqrt_minus": _simple(_root_minus),
    "side": _simple(_side),
    "taylor_rest": lambda f, ps, params, shapes: taylor(f, ps, params, False),
    "growth_over_rate": _simple(_growth_over),
    "remainder": lambda f, ps, params, shapes: taylor(f, ps, params, True),
    "fraction_of_rests": fraction_of_rests,
    "seen_in_range": _simple(lambda f, inside, x: x),
    "fraction_in_range": _fraction_in_range,
}  # fmt: skip
"""What the operations of the rewritings stand for."""

TOTAL = frozenset(["shift", "shift_two", "weighted_shift", "weighted_shift_two", "positive_part", "erfc_shift", "max",
                   "min", "reduce_max", "reduce_min", "sign", "floor", "iota", "in_range",
                   "close"])  # fmt: skip
"""Functions that nothing is known of but that they are defined everywhere."""

__all__ = ["MEANINGS", "TOTAL", "Meaning"]
