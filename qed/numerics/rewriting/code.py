"""Operations that rewritings emit, as code: jnp expressions to paste in their place.

Each is the operation wherever that is defined, not at the point alone at which it is tried: where the operation chooses
between two formulas the code does too, by `jnp.where`, and what is not chosen is evaluated at a harmless number, so
that neither the value nor the derivative is spoilt by it. Of a power y^k - 1 the code has log(y), not log1p(y - 1),
since y - 1 is rounded for a y far from 1.

References: Kahan, *Miscalculating area and angles of a needle-like triangle*, 2014, for the triangle; Higham, *Accuracy
and Stability of Numerical Algorithms*, 2002, sections 1.8 and 1.14 for the quadratic equation and expm1(x)/x.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

_TEMPLATES = {
    ("sum_of_centred_squares", 1): "jnp.sum(({0} - jnp.mean({0}, {axis}keepdims=True)) ** 2, {axis})",
    ("squared_distance", 2): "jnp.sum(({0} - {1}) ** 2, {axis})",
    ("sqrt_difference", 3): "{2} / (jnp.sqrt({0}) + jnp.sqrt({1}))",
    ("exp_difference", 3): "jnp.exp({1}) * jnp.expm1({2})",
    ("reciprocal_difference", 3): "-{2} / ({0} * {1})",
    ("difference_of_squares", 3): "{2} * ({0} + {1})",
    ("difference_of_squares", 4): "{2} * {3}",
    ("difference_of_cubes", 3): "{2} * ({0} ** 2 + {0} * {1} + {1} ** 2)",
    ("rsqrt_difference", 3): "-{2} / (jnp.sqrt({0}) * jnp.sqrt({1}) * (jnp.sqrt({0}) + jnp.sqrt({1})))",
    ("cbrt_difference", 3): "{2} / (jnp.cbrt({0}) ** 2 + jnp.cbrt({0}) * jnp.cbrt({1}) + jnp.cbrt({1}) ** 2)",
    ("log1p_difference", 3): "jnp.log1p({2} / (1 + {1}))",
    ("log_difference", 5): "{3} - {4}",
    ("log_share_split", 4): "-jax.nn.softplus(({2} - {0}) + ({3} - {1}))",
    ("sigmoid_split", 4): "jax.nn.sigmoid(({0} - {2}) + ({1} - {3}))",
    ("log_difference_over", 3): "jnp.log1p({2} / {1}) / {2}",
    ("softplus_difference", 3): "jnp.log1p(jax.nn.sigmoid({1}) * jnp.expm1({2}))",
    ("sin_difference", 3): "2 * jnp.cos({1} + {2} / 2) * jnp.sin({2} / 2)",
    ("sin_step", 3): "2 * jnp.cos({1} + {2} / 2) * jnp.sin({2} / 2)",
    ("cos_difference", 3): "-2 * jnp.sin({1} + {2} / 2) * jnp.sin({2} / 2)",
    ("cos_step", 3): "-2 * jnp.sin({1} + {2} / 2) * jnp.sin({2} / 2)",
    ("tan_difference", 3): "jnp.sin({2}) / (jnp.cos({0}) * jnp.cos({1}))",
    ("tan_step", 3): "jnp.sin({2}) / (jnp.cos({0}) * jnp.cos({1}))",
    ("sinh_difference", 3): "2 * jnp.cosh({1} + {2} / 2) * jnp.sinh({2} / 2)",
    ("cosh_difference", 3): "2 * jnp.sinh({1} + {2} / 2) * jnp.sinh({2} / 2)",
    ("tanh_difference", 3): "jnp.sinh({2}) / (jnp.cosh({0}) * jnp.cosh({1}))",
    ("atan_difference", 3): "jnp.arctan({2} / (1 + {0} * {1}))",
    ("atanh_difference", 3): "jnp.arctanh({2} / (1 - {0} * {1}))",
    ("log1p_square", 1): "jnp.log1p({0} ** 2)",
    ("sech2", 1): "1 / jnp.cosh({0}) ** 2",
    ("bose", 1): "1 / jnp.expm1({0})",
    ("over_bose", 3): "{0} / ({1} * jnp.expm1({2}))",
    ("beside_root", 2): "jnp.abs({0}) * jnp.sqrt({1})",
    ("root_of_discriminant", 4): "jnp.sqrt({0})",
    ("logistic_difference", 3): "jnp.tanh({2} / 2) * (jax.nn.sigmoid({0}) * jax.nn.sigmoid(-{1}) "
    "+ jax.nn.sigmoid(-{0}) * jax.nn.sigmoid({1}))",
    ("log_cosh", 1): "jnp.where(jnp.abs({0}) < 1, jnp.log1p(2 * jnp.sinh(jnp.clip({0}, -1, 1) / 2) ** 2), "
    "jnp.abs({0}) + jnp.log1p(jnp.exp(-2 * jnp.abs({0}))) - jnp.log(2))",
    ("log_erfc", 1): "jnp.log(2) + jax.scipy.special.log_ndtr(-jnp.sqrt(2) * {0})",
    ("bessel_ratio", 1): "jax.scipy.special.i1e({0}) / jax.scipy.special.i0e({0})",
    ("other_betainc", 3): "jax.scipy.special.betainc({1}, {0}, 1 - {2})",
    ("area_of_triangle", 3): "(lambda c, b, a: 0.25 * jnp.sqrt((a + (b + c)) * (c - (a - b)) * (c + (a - b)) "
    "* (a + (b - c))))(*jnp.sort(jnp.stack([{0}, {1}, {2}])))",
}
"""By name and number of operands; the third operand of a difference is the difference of the first two."""

_OVER = "jnp.where({0} == 0, 1, {f}({0}) / jnp.where({0} == 0, 1, {0}))"
_HALF_OVER = "jnp.where({0} == 0, 1, {f}({0} / 2) / jnp.where({0} == 0, 1, {0} / 2)) ** 2"
_REMAINDERS = {
    **{(name, 1): _OVER.replace("{f}", f"jnp.{name}") for name in ("expm1", "log1p", "sin", "tan", "sinh", "tanh")},
    **{(name, 1): _OVER.replace("{f}", f"jnp.arc{name[1:]}") for name in ("atan", "atanh", "asin", "asinh")},
    ("exp", 1): _OVER.replace("{f}", "jnp.expm1"),
    ("cos", 2): "-0.5 * " + _HALF_OVER.replace("{f}", "jnp.sin"),
    ("cosh", 2): "0.5 * " + _HALF_OVER.replace("{f}", "jnp.sinh"),
}
"""(f(v) less k terms of its series) / v^k, by f and k."""


def spelled(name: str, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> str | None:
    """An operation as code, or None where it is none of these.

    Example:
        >>> call = ast.parse("power_minus_one(y, y - 1, k)", mode="eval").body
        >>> spelled(call.func.id, call.args, call.keywords)
        'jnp.expm1((k) * jnp.log((y)))'
    """
    operands = [f"({ast.unparse(each)})" for each in args]
    if name == "remainder" and len(args) == 1:
        options = {each.arg: ast.unparse(each.value) for each in keywords}
        template = _REMAINDERS.get((options.get("f", ""), int(options.get("k", 0))))
        return None if template is None else template.format(*operands)
    if (name, len(args)) in _CHOSEN:
        return _CHOSEN[name, len(args)](args, operands)
    axis = "".join(f"{ast.unparse(each)}, " for each in keywords)
    template = _TEMPLATES.get((name, len(args)))
    return None if template is None else template.format(*operands, axis=axis)


def _log_near(base: ast.expr, d: ast.expr) -> str:
    """log(base), where d = base - 1: of what is known of it exactly."""
    match d:
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)) if ast.dump(left) == ast.dump(base):
            return f"jnp.log(({ast.unparse(base)}))"
    return f"jnp.log1p(({ast.unparse(d)}))"


def _logs(args: Sequence[ast.expr], operands: Sequence[str], plain: str) -> str:
    """log(a/b) by d = a - b, where that is near 0."""
    _, b, d = args
    if isinstance(b, ast.Constant) and b.value == 1:
        return _log_near(args[0], d)
    near = "jnp.log1p({2} / {1})"
    if _is_positive(d):
        return near.format(*operands)
    text = "jnp.where(jnp.abs({2}) < jnp.abs({1}) / 2, jnp.log1p(jnp.clip({2} / {1}, -0.5, 0.5)), " + plain + ")"
    return text.format(*operands)


def _root_less(args: Sequence[ast.expr], operands: Sequence[str], plain: str) -> str:
    """sqrt(S) - b, or that over a, which cancels where b > 0."""
    if _is_positive(args[1]):
        return "{2} / ({0} + {1})".format(*operands)
    return ("jnp.where({1} > 0, {2} / jnp.where({1} > 0, {0} + {1}, 1), " + plain + ")").format(*operands)


def _is_positive(b: ast.expr) -> bool:
    return isinstance(b, ast.Constant) and isinstance(b.value, int | float) and b.value > 0


def _power_over(args: Sequence[ast.expr], operands: Sequence[str]) -> str:
    d, k = operands[1:]
    return f"jnp.where({d} == 0, {k}, jnp.expm1({k} * {_log_near(*args[:2])}) / jnp.where({d} == 0, 1, {d}))"


def _root(args: Sequence[ast.expr], operands: Sequence[str]) -> str:
    alone = isinstance(args[1], ast.Constant) and args[1].value == 0
    return f"jnp.hypot({operands[2]}, {operands[3]})" if alone else f"jnp.sqrt({operands[0]})"


_CHOSEN: dict[tuple[str, int], Callable[[Sequence[ast.expr], Sequence[str]], str]] = {
    ("log_ratio", 3): lambda args, operands: _logs(args, operands, "jnp.log({0} / {1})"),
    ("log_difference", 3): lambda args, operands: _logs(args, operands, "jnp.log({0}) - jnp.log({1})"),
    ("power_minus_one", 3): lambda args, operands: f"jnp.expm1({operands[2]} * {_log_near(*args[:2])})",
    ("power_near_one", 3): lambda args, operands: f"jnp.exp({operands[2]} * {_log_near(*args[:2])})",
    ("power_over", 3): _power_over,
    ("sqrt_minus", 3): lambda args, operands: _root_less(args, operands, "{0} - {1}"),
    ("sqrt_minus_over", 4): lambda args, operands: _root_less(
        args, operands, "({0} - {1}) / jnp.where({1} > 0, 1, {3})"
    ),
    ("root_of_squares", 3): lambda args, operands: f"jnp.sqrt({operands[0]})",
    ("root_of_squares", 4): _root,
}
