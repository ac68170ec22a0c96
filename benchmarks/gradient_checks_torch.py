"""Cases of the gradient corpus written again for PyTorch, each with the same mistake in a `torch.autograd.Function`.

A case is a function of the leaves of the corpus case's point and data (in their order, as tensors) with the same value;
a rule by hand is made by `rule(forward, backward)`. What does not translate (scan, cond, remat, vmap of rules, the
libraries) is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F


def rule(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    """A function with `backward(gradient, *inputs)` in place of its derivative."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, gradient):
            return backward(gradient, *ctx.saved_tensors)

    return Function.apply


def count(n: int, x: torch.Tensor, start: int = 1) -> torch.Tensor:
    """start, start + 1, ... in the dtype of x."""
    return torch.arange(start, start + n, dtype=x.dtype)


# --- wrong ----------------------------------------------------------------------------------------------------

_tanh = rule(torch.tanh, lambda g, x: -g * (1 - torch.tanh(x) ** 2))
_sigmoid = rule(torch.sigmoid, lambda g, x: 2 * g * torch.sigmoid(x) * (1 - torch.sigmoid(x)))
_decay = rule(lambda x: torch.exp(-x), lambda g, x: -1.001 * g * torch.exp(-x))
_dense = rule(lambda X, W, b: X @ W + b, lambda g, X, W, b: (g @ W.T, X.T @ g, g.mean(0)))
_mul_twice_a = rule(torch.mul, lambda g, a, b: (g * a, g * a))
_sine_of_output = rule(torch.sin, lambda g, x: g * torch.cos(torch.sin(x)))
_cos = rule(torch.cos, lambda g, x: g * torch.sin(x))
_hypot = rule(lambda a, b: torch.sqrt(a * a + b * b), lambda g, a, b: (g * a / torch.sqrt(a * a + b * b), g * b))
_mul_no_b = rule(torch.mul, lambda g, a, b: (g * b, None))
_log1p_square = rule(
    lambda x: torch.log1p(x * x), lambda g, x: g * torch.where(x > 2, x, 2 * x) / (1 + x * x)
)  # fmt: skip
_div = rule(torch.div, lambda g, a, b: (-g * a / b**2, g / b))
_matmul = rule(torch.matmul, lambda g, A, B: (g @ B, A.T @ g))
_quantise = rule(lambda x: torch.round(4 * x) / 4, lambda g, x: g)
_exp_plus_x = rule(lambda x: torch.exp(x) + x, lambda g, x: g * torch.exp(x))
_exp_branch = rule(torch.exp, lambda g, x: g)
_root_loop = rule(lambda x: x * torch.sqrt(x), lambda g, x: g * torch.where(x > 2, 1.6, 1.5) * torch.sqrt(x))
_softmax = rule(lambda x: F.softmax(x, 0), lambda g, x: g * F.softmax(x, 0))
_last = rule(torch.arctan, lambda g, x: F.pad(g[:65536], (0, 1)) / (1 + x * x))
_sine_sine = rule(torch.sin, lambda g, x: g * torch.sin(x))
_cube = rule(lambda x: x**3, lambda g, x: g * 3 * x**3)
_inverse = rule(torch.linalg.inv, lambda g, A: -torch.linalg.inv(A) @ g @ torch.linalg.inv(A))
_cube_plus = rule(lambda x: x**3, lambda g, x: g * (3 * x**2 + 1e-2))
_sine_off = rule(torch.sin, lambda g, x: 1.1 * g * torch.cos(x))
_power = rule(lambda x: x**1.5, lambda g, x: g * 1.5 * x)


def _square_less_one(i: int) -> Callable[..., Any]:
    def backward(g, x):
        out = 2 * x * g
        out[i] = 0
        return out

    return rule(lambda x: x * x, backward)


def _gelu_body(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_backward(g, x):
    c = math.sqrt(2 / math.pi)
    u = torch.tanh(c * (x + 0.044715 * x**3))
    return g * (0.5 * (1 + u) + 0.5 * x * (1 - u**2) * c)


def _norm_body(x):
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean())


def _norm_backward(g, x):
    y = _norm_body(x)
    return (g - g.mean() - y * (g * y).mean()) / x.std(unbiased=True)


def _set_rows(g, table, ids):
    out = torch.zeros_like(table)
    out[ids] = g
    return out, None


def _asymptotic(x):
    return torch.where(x > 4, torch.log(x.clamp(min=1e-3)) - 1 / x, torch.sin(x))


_gelu = rule(_gelu_body, _gelu_backward)
_norm = rule(_norm_body, _norm_backward)
_embed = rule(lambda table, ids: table[ids], _set_rows)
_far = rule(_asymptotic, lambda g, x: g * torch.where(x > 4, 1 / x, torch.cos(x)))


def _loop(x):
    total = 0
    for _ in range(6):
        total, x = total + _root_loop(x).sum(), 1.2 * x
    return total


def _argmax_through(x):
    soft = F.softmax(x, 0)
    hard = F.one_hot(torch.argmax(x), 4).to(x.dtype)
    chosen = soft + (hard - soft).detach()
    return (chosen * torch.tensor([0.1, 0.7, -0.4, 0.3], dtype=x.dtype)).sum() ** 2


def _semi_gradient(w):
    s, after = torch.tensor([[1.0, 0.5, -0.3], [0.2, -1.0, 0.8]], dtype=w.dtype)
    return (s @ w - (0.3 + 0.9 * after @ w).detach()) ** 2


WRONG = {
    "sign_of_tanh": lambda x: (_tanh(x) ** 2).sum(),
    "scale_of_logistic": lambda x: torch.log(_sigmoid(x)).sum(),
    "one_per_mille": lambda x: (_decay(x) * count(6, x)).sum(),
    "bias_gradient_is_a_mean": lambda W, b, X: F.softplus(_dense(X, W, b)).mean(),
    "wrong_residual_of_a_product": lambda a, b: (_mul_twice_a(torch.sin(a), b) ** 2).sum(),
    "output_saved_instead_of_input": lambda x: (_sine_of_output(x) * count(4, x)).sum(),
    "one_coordinate_in_a_hundred_thousand": lambda x: torch.sin(_square_less_one(31415)(x)).sum(),
    "tiny_gradient": lambda x: 1e-12 * _cos(x).sum(),
    "wrong_above_two_reached_in_a_loop": _loop,
    "in_the_branch_taken": lambda x, s: _exp_branch(x).sum() if s > 0 else (x**2).sum(),
    "only_the_second_argument": lambda a, b: _hypot(a, b).sum(),
    "no_gradient_for_an_argument": lambda a, b: torch.cos(_mul_no_b(a, b)).sum(),
    "wrong_above_two": lambda x: _log1p_square(x).sum(),
    "swapped_arguments": lambda a, b: _div(a, b).sum(),
    "forgotten_transposition": lambda W, X: torch.tanh(_matmul(W, X)).sum(),
    "stop_gradient_that_matters": lambda x: ((x - x.mean().detach()) ** 4).mean(),
    "custom_rule_inside_a_custom_rule": lambda x: (_exp_plus_x(x) ** 2).sum(),
    "rounding_straight_through_undeclared": lambda x: ((_quantise(x) - 0.3) ** 2).sum(),
    "gelu_without_its_inner_derivative": lambda x: (_gelu(x) * count(5, x)).sum(),
    "normalisation_divides_by_n_minus_one": lambda x: torch.sin(3 * _norm(x)).sum(),
    "embedding_sets_instead_of_adding": lambda table, ids: torch.tanh(_embed(table, ids)).sum(),
    "softmax_without_its_second_term": lambda x: (_softmax(x) * count(6, x, 0)).sum(),
    "last_coordinate_lost_to_padding": lambda x: (_last(x) ** 2).mean(),
    "swamped_by_a_constant": lambda x: 1 + 1e-12 * _sine_sine(x).sum(),
    "in_the_branch_of_a_switch": lambda x, i: [torch.sum, torch.max, lambda x: _power(x).sum(), torch.min][int(i)](x),
    "with_a_nondifferentiable_argument": lambda x: _cube(x).sum(),
    "inverse_without_transposition": lambda A: (_inverse(A) * count(9, A, 0).reshape(3, 3)).sum(),
    "asymptotic_form_with_a_wrong_constant": lambda x: _far(x).sum(),
    "argmax_straight_through_undeclared": _argmax_through,
    "target_of_a_value_function_undeclared": _semi_gradient,
    "small_constant_left_over": lambda x: _cube_plus(x).sum(),
    "diluted_by_a_large_right_part": lambda x: 1e5 * (x**2).sum() + _sine_off(x[7]),
}

# --- right ----------------------------------------------------------------------------------------------------

_softplus = rule(lambda x: torch.where(x > 30, x, torch.log1p(torch.exp(x))), lambda g, x: g * torch.sigmoid(x))
_right_matmul = rule(torch.matmul, lambda g, A, B: (g @ B.T, A.T @ g))
_right_embed = rule(
    lambda table, ids: table[ids], lambda g, table, ids: (torch.zeros_like(table).index_add(0, ids, g), None)
)
_right_expm1 = rule(torch.expm1, lambda g, x: g * torch.exp(x))
_right_squash = rule(lambda x: x / (1 + x.abs()), lambda g, x: g / (1 + x.abs()) / (1 + x.abs()))
_horner = rule(lambda x: 1 + x * (2 + x * (3 + 4 * x)), lambda g, x: g * (2 + x * (6 + 12 * x)))
_log1mexp = rule(
    lambda x: torch.where(x < 0.7, torch.log(-torch.expm1(-x)), torch.log1p(-torch.exp(-x))),
    lambda g, x: g / torch.expm1(x),
)


def _logsumexp(x):
    m = x.max().detach()
    return m + torch.log(torch.exp(x - m).sum())


def _double_where(x):
    safe = torch.where(x > 0, x, 1.0)
    return torch.where(x > 0, safe * torch.sqrt(safe), 0.0).sum()


def _attention(q):
    z = torch.where(torch.tril(torch.ones(3, 3, dtype=torch.bool)), q @ q.T, -torch.inf)
    return ((F.softmax(z, -1) @ q) ** 2).sum()


def _hilbert(b):
    i = count(6, b, 0)
    return (torch.linalg.solve(1 / (i[:, None] + i + 1), b) ** 2).sum()


def _sorting(x):
    return (torch.sort(x)[0] * count(9, x, 0)).sum() + (torch.topk(x, 3)[0] ** 2).sum()


CORRECT = {
    "softmax_cross_entropy": lambda z, y: F.cross_entropy(z, y),
    "logsumexp_of_large_numbers": lambda x: torch.logsumexp(x, 0),
    "softplus_by_hand_where_the_body_overflows": lambda x: _softplus(x).sum(),
    "sinc_of_the_library": lambda x: torch.sinc(x).sum(),
    "cholesky_of_a_symmetric_matrix": lambda A: torch.log(torch.diag(torch.linalg.cholesky(A))).sum(),
    "eigenvalues": lambda A: (torch.linalg.eigvalsh(A) ** 2 * count(4, A)).sum(),
    "nuclear_norm": lambda A: torch.linalg.svdvals(A).sum(),
    "solve_a_linear_system": lambda A, b: (torch.linalg.solve(A, b) ** 2).sum(),
    "determinant_by_lu": lambda A: torch.log(torch.diag(torch.linalg.lu_factor(A)[0]).abs()).sum(),
    "cast_to_float32_and_back": lambda x: torch.sin(x.float()).to(x.dtype).sum(),
    "through_bfloat16": lambda x: torch.tanh(x.bfloat16()).to(x.dtype).sum(),
    "fast_oscillation": lambda x: torch.sin(1e6 * x).sum(),
    "next_to_a_kink": lambda x: (F.relu(x) + x.abs()).sum(),
    "logarithm_of_tiny_numbers": lambda x: torch.log(x).sum(),
    "logarithm_of_huge_numbers": lambda x: torch.log(x).sum(),
    "cancellation": lambda x: (((1e8 + x) - 1e8) ** 2).sum(),
    "double_where": _double_where,
    "dense_layer_with_a_right_rule": lambda W, X: torch.tanh(_right_matmul(X, W)).sum(),
    "logsumexp_by_hand_with_stop_gradient": _logsumexp,
    "variance_with_a_stopped_mean": lambda x: ((x - x.mean().detach()) ** 2).mean(),
    "polynomial_with_a_rule_in_horner_form": lambda x: _horner(x).sum(),
    "embedding_that_adds": lambda table, ids: torch.tanh(_right_embed(table, ids)).sum(),
    "log_of_one_minus_exp_by_hand": lambda x: _log1mexp(x).sum(),
    "logaddexp_of_the_library": lambda a, b: torch.logaddexp(a, b).sum(),
    "attention_with_a_mask_of_minus_infinity": _attention,
    "matrix_exponential": lambda A: (torch.linalg.matrix_exp(A) * count(16, A, 0).reshape(4, 4)).sum(),
    "through_the_fourier_transform": lambda x: (torch.fft.rfft(x).abs() ** 2 * count(5, x, 0)).sum(),
    "hypot_of_the_library": lambda a, b: torch.hypot(a, b).sum(),
    "hilbert_matrix": _hilbert,
    "power_at_zero": lambda x: (x**3 + (x + 1.0) ** 2.5).sum(),
    "right_rule_at_tiny_numbers": lambda x: _right_expm1(x).sum(),
    "right_rule_at_huge_numbers": lambda x: (_right_squash(x) + 1e-30 * x).sum(),
}

# --- neither --------------------------------------------------------------------------------------------------

_clipped = rule(torch.clone, lambda g, x: g.clamp(-1, 1))
_by_norm = rule(torch.clone, lambda g, x: g * torch.clamp(1 / torch.linalg.norm(g), max=1.0))
_reversed = rule(torch.clone, lambda g, x: -g)
_divides_by_zero = rule(
    lambda x: torch.where(x == 0, 1 + x / 2, torch.expm1(x) / torch.where(x == 0, 1.0, x)),
    lambda g, x: g * (torch.exp(x) - torch.where(x == 0, 1 + x / 2, torch.expm1(x) / x)) / x,
)

OTHER = {
    "relu_at_zero": lambda x: (x.clamp(min=0.0) * torch.tensor([1.0, 2.0], dtype=x.dtype)).sum(),
    "modulus_at_zero": lambda x: x.abs().sum(),
    "tie_of_a_maximum": lambda x: x.amax() ** 2,
    "clip_at_its_bound": lambda x: (x.clamp(0.0, 1.0) * 3).sum(),
    "root_masked_by_where": lambda x: (torch.where(x > 0, x * torch.sqrt(x), 0.0) + x).sum(),
    "sine_over_x_at_zero": lambda x: torch.where(x == 0, 1.0, torch.sin(x) / x).sum(),
    "rule_that_divides_by_zero": lambda x: _divides_by_zero(x).sum(),
    "declared_straight_through_rounding": lambda x: ((_quantise(x) - 0.3) ** 2).sum(),
    "declared_gradient_reversal": lambda x: torch.tanh(_reversed(x)).sum(),
    "clipping_recognised_without_a_word": lambda x: (_clipped(x) ** 2).sum(),
    "clipping_by_norm_without_a_word": lambda x: (_by_norm(x) ** 2).sum(),
    "in_the_branch_not_taken": lambda x, s: _exp_branch(x).sum() if s > 0 else (x**2).sum(),
    "second_derivative_forgotten": lambda x: (rule(torch.sin, lambda g, x: g * torch.cos(x).detach())(x) ** 2).sum(),
}

CASES: dict[str, Callable[..., torch.Tensor]] = {**WRONG, **CORRECT, **OTHER}
"""Every translated case by its name in the corpus."""
