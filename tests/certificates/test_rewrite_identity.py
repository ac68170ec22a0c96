"""The certificate of a rewriting: identities are proved, what is nearly one is not, and domains count."""

from __future__ import annotations

import ast
import copy
import json
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.real_forms import Forms
from qed.certificates.real_functions import Functions
from qed.certificates.real_operations import MEANINGS
from qed.certificates.rewrite_identity import NotProved, program, prove
from qed.errors import CertificateError
from qed.graph.trace import trace
from qed.numerics.rewriting import (
    algorithms,
    averages,
    bose,
    difference_fractions,
    difference_growth,
    difference_kernels,
    difference_log_pairs,
    difference_logs,
    difference_outer,
    difference_range,
    difference_rules,
    difference_second,
    difference_series,
    difference_squares,
    entropies,
    exponents_corrected,
    free_energy,
    guards,
    kernels,
    lengths,
    log_softmax,
    log_softplus,
    probabilities,
    quotients_of_degree,
    smooth,
    softmax_powers,
    stable,
    tails,
    weighted_moments,
)

NAMES = {"jnp": jnp, "sp": jax.scipy.special, "jax": jax}
A, B, U = jnp.float32(0.7), jnp.float32(1.9), jnp.asarray([0.3, 1.1, 2.5], jnp.float32)


def compiled(text):
    return eval(f"lambda a, b, u: {text}", NAMES)


def proved(before, after, *args):
    """Whether one function of (a, b, u) is proved to equal another."""
    programs = [program(trace(f if callable(f) else compiled(f), *(args or (A, B, U))).graph) for f in (before, after)]
    try:
        prove(*programs[0], *programs[1])
    except NotProved:
        return False
    return True


IDENTITIES = [
    ("jnp.log(jnp.exp(a) * jnp.exp(b))", "a + b"),
    ("jnp.log(jnp.exp(a) + jnp.exp(b))", "a + jnp.log1p(jnp.exp(b - a))"),
    ("jnp.log(1 / (1 + jnp.exp(-a)))", "-jnp.log1p(jnp.exp(-a))"),
    ("1 - 1 / (1 + jnp.exp(-a))", "1 / (1 + jnp.exp(a))"),
    ("jnp.log(a) - jnp.log(b)", "jnp.log1p((a - b) / b)"),
    ("jnp.sqrt(a + 1) - jnp.sqrt(a)", "1 / (jnp.sqrt(a + 1) + jnp.sqrt(a))"),
    ("1 - jnp.cos(a)", "2 * jnp.sin(a / 2) ** 2"),
    ("jnp.sin(a + b) - jnp.sin(a)", "2 * jnp.cos(a + b / 2) * jnp.sin(b / 2)"),
    ("jnp.cosh(a) - 1", "2 * jnp.sinh(a / 2) ** 2"),
    ("1 - jnp.tanh(a)", "2 / (1 + jnp.exp(2 * a))"),
    ("a**2 - b**2", "(a - b) * (a + b)"),
    ("jnp.sqrt(a * a)", "jnp.abs(a)"),
    ("jnp.log(jnp.sqrt(a))", "jnp.log(a) / 2"),
    ("jnp.log(jnp.mean(jnp.exp(u)))", "jnp.log(jnp.sum(jnp.exp(u - 3 * a))) + 3 * a - jnp.log(3.0)"),
    ("jnp.exp(u) / jnp.sum(jnp.exp(u))", "jnp.exp(u - jnp.log(jnp.sum(jnp.exp(u))))"),
    ("jnp.mean(u**2) - jnp.mean(u) ** 2", "jnp.mean((u - jnp.mean(u)) ** 2)"),
    ("jnp.sum(a * u)", "a * jnp.sum(u)"),
    ("u @ u - 2 * a * jnp.sum(u) + 3 * a * a", "jnp.sum((u - a) ** 2)"),
]


@pytest.mark.parametrize(("before", "after"), IDENTITIES)
def test_an_identity_is_proved(before, after):
    assert proved(before, after)


class Mutants(ast.NodeTransformer):
    """Changes the k-th place of an expression: a sign, a factor, a term, an order, a function."""

    FUNCTIONS: ClassVar = {"exp": "expm1", "log": "log1p", "log1p": "log", "sqrt": "cbrt", "cos": "sin", "sin": "cos",
                 "sinh": "cosh", "cosh": "sinh", "sum": "mean", "mean": "sum", "softplus": "sigmoid"}  # fmt: skip

    def __init__(self, wanted):
        self.wanted, self.seen = wanted, 0

    def here(self):
        self.seen += 1
        return self.seen - 1 == self.wanted

    def visit_BinOp(self, node):
        self.generic_visit(node)
        swaps = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
        if type(node.op) in swaps and self.here():
            return ast.BinOp(node.left, swaps[type(node.op)](), node.right)
        if self.here():
            return node.left
        if self.here():
            return node.right
        return ast.BinOp(node.right, node.op, node.left) if self.here() else node

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return node.operand if self.here() else node

    def visit_Constant(self, node):
        return ast.Constant(node.value + 1) if self.here() else ast.Constant(node.value * 2) if self.here() else node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        new = self.FUNCTIONS.get(node.attr)
        return ast.Attribute(node.value, new, node.ctx) if new and self.here() else node


def mutants(text):
    k = 0
    while True:
        tree = ast.parse(text, mode="eval")
        mutant = Mutants(k)
        new = mutant.visit(copy.deepcopy(tree))
        if k >= mutant.seen:
            return
        yield ast.unparse(ast.fix_missing_locations(new))
        k += 1


POINTS = [(0.7, 1.9, [0.3, 1.1, 2.5]), (2.3, 0.4, [1.7, 0.2, 0.9]), (0.1, 3.1, [0.5, 0.6, 4.0])]


def differ(first, second):
    """Whether two texts have different values somewhere, shapes counted."""
    with jax.enable_x64(True):
        for a, b, u in POINTS:
            values = [jnp.asarray(compiled(t)(jnp.float64(a), b, jnp.asarray(u))) for t in (first, second)]
            if values[0].shape != values[1].shape or not np.allclose(*values, rtol=1e-9, equal_nan=True):
                return True
    return False


@pytest.mark.parametrize(("before", "after"), IDENTITIES)
def test_every_wrong_variant_of_an_identity_is_rejected(before, after):
    wrong = [text for text in mutants(after) if differ(before, text)]
    assert wrong or after == "jnp.abs(a)"
    for text in wrong:
        assert not proved(before, text), text


DOMAINS = [
    ("jnp.log(a * b)", "jnp.log(a) + jnp.log(b)"),
    ("jnp.log(a / b)", "jnp.log(a) - jnp.log(b)"),
    ("jnp.log(a**2)", "2 * jnp.log(a)"),
    ("jnp.sqrt(a * b)", "jnp.sqrt(a) * jnp.sqrt(b)"),
    ("jnp.sqrt(a**2)", "a"),
    ("a", "jnp.exp(jnp.log(a))"),
    ("a", "a * a / a"),
    ("a * 0", "0 * jnp.log(b)"),
    ("a**3.0", "jnp.exp(3.0 * jnp.log(a))"),
    ("a**b", "jnp.exp(b * jnp.log(a))"),
    ("a - b", "(a**2 - b**2) / (a + b)"),
    ("jnp.where(a > 0, jnp.log(a), b)", "jnp.where(a > 0, jnp.log(a), b) + 0 * jnp.log(a)"),
    ("jnp.where(a > 0, a, b)", "a"),
    ("jnp.maximum(a, b)", "a"),
    ("jnp.abs(a)", "a"),
    ("jnp.sum(jnp.log(u))", "jnp.log(jnp.prod(u))"),
    ("jnp.sin(a)", "a"),
]


@pytest.mark.parametrize(("before", "after"), DOMAINS)
def test_domains_and_branches_count(before, after):
    assert not proved(before, after)


def test_what_the_original_needs_may_be_used():
    assert proved("jnp.log(a) + jnp.log(b) + 0 * u[0]", "jnp.log(a * b) + 0 * u[0]")
    assert proved("a / b + 1", "(a + b) / b")
    assert proved("jnp.log(a) * a**b", "jnp.log(a) * jnp.exp(b * jnp.log(a))")
    assert not proved(
        "jnp.where(u > 0, jnp.log(a), b) * a**b", "jnp.where(u > 0, jnp.log(a), b) * jnp.exp(b * jnp.log(a))"
    )


def test_axes_and_shapes_count():
    x = jnp.ones((3, 3))
    softmax = lambda axis: lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x), axis=axis, keepdims=True)  # noqa: E731

    def shifted(axis):
        return lambda x: (lambda e: e / jnp.sum(e, axis=axis, keepdims=True))(
            jnp.exp(x - jnp.max(x, axis=axis, keepdims=True))
        )

    for axis in (0, 1):
        assert proved(softmax(axis), shifted(axis), x)
        assert not proved(softmax(axis), softmax(1 - axis), x)
    assert not proved(lambda x: x, lambda x: x.T, x)
    assert not proved(lambda x: x @ x, lambda x: (x @ x).T, x)
    assert not proved(lambda x: x + x[0], lambda x: x + x[:, :1], x)


def test_constants_are_exact():
    assert proved("jnp.log(2 * jnp.exp(a))", "a + jnp.log(2.0)")
    assert not proved("jnp.log(2 * jnp.exp(a))", f"a + {float(np.float32(np.log(2.0)))}")


def loss(z):
    return jnp.log(jnp.sum(jnp.exp(z)))


def certificate():
    answer = qed.stabilize(loss).rewrites(jnp.asarray([1.0, 2.0]))
    assert answer.proved
    return answer


def chosen(*, side: bool = True, other: int = 2, last: str = "fraction_in_range"):
    """a - b as a choice of a - b and a - b, of numbers that are a and b on one side each."""
    seen = [("seen_in_range", (k, at), (("ordinary", 1.0), ("taken", taken)), ())
            for k, taken in ((2, side), (other, False)) for at in (0, 1)]  # fmt: skip
    lines = [("input", (0,), (), ()), ("input", (1,), (), ()), ("in_range", (0, 1), (), ()),
             ("in_range", (1, 0), (), ()), *seen, ("sub", (4, 5), (), ()),
             (last, (2, 8, 6, 7) if last == "fraction_in_range" else (4, 5),
              (("minus", True),) if last == "fraction_in_range" else (), ())]  # fmt: skip
    return lines, (9,)


BEFORE = [("input", (0,), (), ()), ("input", (1,), (), ()), ("sub", (0, 1), (), ())], (2,)


def test_numbers_of_one_side_of_a_choice_are_proved():
    prove(*BEFORE, *chosen())


@pytest.mark.parametrize("given", [{"side": False}, {"other": 3}, {"last": "sub"}])
def test_numbers_of_one_side_of_a_choice_prove_nothing_elsewhere(given):
    with pytest.raises(NotProved, match="one side of a choice"):
        prove(*BEFORE, *chosen(**given))


@pytest.mark.parametrize(
    "written",
    [
        lambda z: jnp.exp(z[0]) / (jnp.exp(z[0]) - jnp.exp(z[1])),
        lambda z: jnp.exp(2 * z[1]) / (jnp.exp(z[0]) - jnp.exp(2 * z[1])),
        lambda z: jnp.log(jnp.exp(z[1]) / (jnp.exp(z[0]) + jnp.exp(z[1]))),
    ],
)
def test_shares_and_quotients_of_two_exponentials_are_proved(written):
    answer = qed.stabilize(written).rewrites(jnp.asarray([1.0, 3.0]))
    assert answer.rewrites and answer.proved and answer.check()


def moved(*, operation: str, params: tuple, inside: tuple[int, ...] = (2, 2)):
    """What is moved or added up of numbers that are x on one side of a choice only, and the same of x."""
    shape = (2, 2)
    lines = [("input", (0,), (), shape), ("in_range", (0,), (), inside),
             ("seen_in_range", (1, 0), (("ordinary", 1.0), ("taken", True)), shape),
             (operation, (2,), params, shape), (operation, (0,), params, shape),
             ("fraction_in_range", (1, 3, 4), (("minus", False),), shape)]  # fmt: skip
    return [lines[0], (operation, (0,), params, shape)], (1,), lines, (5,)


@pytest.mark.parametrize(
    "given",
    [
        {"operation": "transpose", "params": (("permutation", (1, 0)),)},
        {"operation": "cumsum", "params": (("axis", 0), ("reverse", False))},
        {"operation": "reshape", "params": (("new_sizes", (2, 2)),)},
        {"operation": "softmax", "params": (("axes", (0,)),)},
        {"operation": "exp", "params": (), "inside": (2, 1)},
    ],
)
def test_numbers_of_one_side_of_a_choice_do_not_move_to_the_other(given):
    with pytest.raises(NotProved, match="one side of a choice"):
        prove(*moved(**given))


def test_numbers_of_one_side_of_a_choice_are_computed_with():
    for operation in ("exp", "lgamma", "sign"):
        prove(*moved(operation=operation, params=()))


def test_an_answer_carries_its_proof():
    answer = certificate()
    assert answer.check() and [rewrite.standing for rewrite in answer.rewrites] == ["PROVED"]
    found = Certificate.from_json(json.dumps(answer.certificate.to_json()))
    assert found.verify(loss, jnp.zeros(2))
    with pytest.raises(CertificateError):
        found.verify(lambda z: 2 * loss(z), jnp.zeros(2))


def test_an_altered_proof_is_rejected():
    found = certificate().certificate
    data = found.to_json()
    for k, (operation, *rest) in enumerate(data["after"]):
        if operation in ("input", "number", "shift"):  # any shift is right
            continue
        lines = [list(line) for line in data["after"]]
        lines[k] = ["neg", rest[0][:1], [], rest[2]]
        altered = Certificate.from_json({**data, "after": lines})
        with pytest.raises(CertificateError):
            altered.verify(loss, jnp.zeros(2))
        with pytest.raises(CertificateError):
            altered.sealed().verify(loss, jnp.zeros(2))


# --- the table of meanings -----------------------------------------------------------------------------------------


def number(poly, env):
    """A form at numbers."""
    return sum((complex(c) * np.prod([factor(a, env) ** complex(e) for a, e in m]) for m, c in poly.items()), 0j)


def factor(atom, env):
    if atom.kind == "at":
        name = atom.parts[0].parts[0]
        if name == "total":
            _, inner, axes, shape = atom.parts[0].parts
            return sum(number(dict(inner), {**env, "index": i}) for i in range(shape[axes[0]]))
        if name[0] == "slice":
            return complex(env[(0,)][dict(name[1])["start_indices"][0]])
        value = env[name]
        return complex(value[env["index"]] if np.ndim(value) else value)
    if atom.kind == "prime":
        return complex(atom.parts[0])
    inner = [number(dict(p), env) for p in atom.parts]
    functions = {"i": lambda: 1j, "exp": np.exp, "log": np.log, "abs": abs, "sum of terms": lambda x: x,
                 "turn": lambda x: np.exp(1j * x), "pi": lambda: np.pi, "erfc_shift": lambda x: -(x * x) * (x.real > 3),
                 "erf": lambda x: math.erf(x.real), "cbrt": lambda x: np.cbrt(x.real),
                 "asin": lambda x: np.arcsin(x.real), "atan": lambda x: np.arctan(x.real)}  # fmt: skip
    return complex(functions[atom.kind](*inner))


X, Y = 0.61, 0.37
V, W = np.array([0.3, 1.4, 0.8]), np.array([1.1, 0.2, 0.6])
ROOMS = (algorithms, averages, bose, difference_fractions, difference_growth, difference_kernels,
         difference_log_pairs, difference_logs, difference_outer, difference_range, difference_rules, difference_second,
         difference_series, difference_squares, entropies, exponents_corrected,
         free_energy, guards, kernels, lengths, log_softmax, log_softplus, probabilities, quotients_of_degree, smooth,
         softmax_powers, stable, tails, weighted_moments)  # fmt: skip
OPERATIONS = {o.name: o for room in ROOMS for o in vars(room).values() if hasattr(o, "evaluate")}
OPERATIONS |= {o.name: o for table in (difference_kernels.OPERATIONS, difference_kernels.STEPS) for o in table.values()}
OPERATIONS["bose_put_back"] = exponents_corrected.operation_of("bose")
M = {"axes": (0,)}
ARRAYS = {"beside_softmax", "masked_softmax", "softmax", "tempered_softmax", "tempered_log_softmax"}
"""Operations whose results are arrays."""
ANY = {"quotient_scale"}
"""Operations of which only the sign is known."""
ARGUMENTS = {
    **{name: ((X, Y, X - Y), {}) for name in MEANINGS
       if name.endswith(("_difference", "_difference_negative", "_step"))},
    "power_difference": ((X, Y, X - Y), {"k": 1.5}),
    "difference_of_cubes": ((X, Y, X - Y), {}),
    "difference_of_squares": ((X, Y, X - Y, X + Y), {}),
    "softplus": ((X,), {}), "log1mexp": ((-X,), {}), "logaddexp": ((X, Y), {}), "rest_two": ((X, Y, 0.5), {}),
    "rest_split": ((X, Y, 0.5, 0.1, 0.2), {}), "sum_two": ((X, Y, 0.5, 0.1, 0.2), {}), "logsumexp": ((V,), M),
    "square_between_roots": ((X, Y, X - Y, -2 * math.sqrt(X * Y)), {}),
    "log_half_erfc": ((-X,), {}),
    "weighted_variance": ((V, W), M), "log_mean_exp": ((V,), M), "log_erfc_between": ((-X, Y, X + Y), {}),
    "log_softmax_at": ((V,), {"index": 1, "factor": 2.0, "divides": True}),
    "log_beside_one": ((math.log(1 + X), X), {}), "growth_over_rate": ((X, Y, X * Y), {}),
    "others": ((V, V.max()), M), "sum_exp": ((X,), {}), "weighted_logsumexp": ((W, V), M),
    "weighted_sum": ((W, V, 0.5), M), "weighted_logaddexp": ((X, 0.1, Y, 0.2), {}),
    "weighted_sum_two": ((X, 0.1, Y, 0.2, 0.5), {}), "exp_of_sum": ((X, Y), {"coefficients": (1.0, -2.0)}),
    "exp_beside": ((X, Y, 0.2), {"coefficients": (1.0, -2.0)}),
    "exp_put_back": ((8 + X, 8 + X), {"program": lambda leaves: (leaves[0], 0 * leaves[0])}), "log_cosh": ((X,), {}),
    "log_erfc": ((X,), {}), "scaled_erfc": ((X,), {}), "erfc_shift": ((X,), {}), "scaled_erfc_minus_one": ((X,), {}),
    "cancelled": ((X,), {}), "sech2": ((X,), {}), "log_ratio": ((X, Y, X - Y), {}),
    "log_ratio_times": ((X, Y, X - Y), {}), "log_difference_over": ((X, Y, X - Y), {}),
    "relative_entropy": ((X, Y, X - Y), {}), "inverse_mills": ((X, -X * X), {}),
    "inverse_mills_beside": ((X, 0.1 - X * X, 0.1), {}), "over_length": ((X, Y), {}), "planck": ((3 + X,), {"k": 3}),
    "scaled_by": ((X, 0.5), {}), "scaled_back": ((X, 0.5), {"power": -3}), "log_sinhc": ((X,), {}),
    "log_softplus": ((-X,), {}),
    "pair_of_logs": ((X, Y, X - Y, X + Y, 0.3), {}),
    "sum_of_products": ((V, W, W, W), M | {"coefficients": (2.0, -0.5), "number": 0.0}),
    "sigmoid_split": ((X, 0.1, Y, 0.2), {}), "log_share_split": ((X, 0.1, Y, 0.2), {}),
    "bose": ((X,), {}), "log_share_of_two": ((X, Y), {}),
    "bose_put_back": ((8 + X, 8 + X), {"program": lambda leaves: (leaves[0], 0 * leaves[0])}),
    "put_in": ((math.exp(8 + X), 8 + X),
               {"f": "exp", "small": 0.0, "program": lambda leaves: (leaves[0], 0 * leaves[0])}),
    "log_sum_of_powers": ((V,), M | {"k": 1.5}),
    "root_of_squares": ((X * X + Y, Y, X), {}), "beside_root": ((-X, Y), {}), "norm": ((V,), M),
    "cosine": ((V, W), M),
    "cosine_distance": ((V, W), M), "sum_of_centred_squares": ((V,), M), "sum_of_centred_products": ((V, W), M),
    "squared_distance": ((V, W), M), "sqrt_minus": ((X, Y, X * X - Y * Y), {}),
    "side": ((X * X + Y * Y - 2 * X * Y * np.cos(0.3), X, Y, 0.3), {}),
    "free_energy": ((V, X), M | {"divides": True, "mean": False}),
    "weighted_free_energy": ((W, V, X), M | {"divides": False}),
    "free_energy_of_some": ((X, Y, 0.3, 0.5), {"divides": True}),
    "taylor_rest": ((X,), {"f": "exp", "k": 3}), "remainder": ((X,), {"f": "sin", "k": 3}),
    "fraction_of_rests": ((X,), {"f": "exp", "j": 3, "k": 1}),
    "seen_in_range": ((True, X), {"ordinary": 1.0, "taken": True}),
    "fraction_in_range": ((True, X, X + Y, Y), {"minus": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(MEANINGS) - ARRAYS - ANY))
def test_an_operation_computes_its_meaning(name, monkeypatch):
    monkeypatch.setattr(Functions, "agree", lambda *given: None)  # here d is given as a number, not as x - y
    arguments, params = ARGUMENTS[name]
    forms = Forms()
    ps = [forms.base((k,), np.shape(a)) for k, a in enumerate(arguments)]
    meaning = MEANINGS[name](Functions(forms), ps, params, [np.shape(a) for a in arguments])
    with jax.enable_x64(True):
        found = float(OPERATIONS[name].evaluate(*map(jnp.asarray, arguments), **params))
    expected = number(meaning, {(k,): a for k, a in enumerate(arguments)})
    assert abs(expected.imag) < 1e-12
    assert found == pytest.approx(expected.real, rel=1e-10, abs=1e-14)
