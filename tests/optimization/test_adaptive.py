"""The local rule of a transformation, found by probing: what is identified, what is refused, and whether it is true."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qed.calculus.hessian import flatten
from qed.calculus.lanczos import steepest
from qed.optimization.adaptive import identify_update, multipliers
from qed.optimization.local import LocalRule, NotIdentified

W = (jnp.array([1.0, -2.0, 0.5]), jnp.ones((2, 2)))
G = (jnp.array([1.0, -2.0, 0.5]), jnp.array([[0.1, 0.2], [3.0, -4.0]]))
WARM_UP = optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 40)


def state_of(rule, warm, gradient=G):
    """The state after some noisy gradients."""
    state, rng = rule.init(W), np.random.default_rng(0)
    update = jax.jit(rule.update)
    for _ in range(warm):
        noisy = jax.tree.map(lambda a: a * jnp.asarray(rng.standard_normal(a.shape), a.dtype), gradient)
        _, state = update(noisy, state, W)
    return state


def probe(rule, warm=0, gradient=G, **options):
    return identify_update(rule, state_of(rule, warm, gradient), W, gradient, **options)


# --- what is identified ---------------------------------------------------------------------------------------

LINEAR = {
    "sgd": (optax.sgd(0.1), "sgd:0.1"),
    "heavy ball": (optax.sgd(0.1, momentum=0.9), "sgd:0.1,momentum=0.9"),
    "Nesterov": (optax.sgd(0.1, momentum=0.9, nesterov=True), "sgd:0.1,momentum=0.9,nesterov"),
    "clipping that is not active": (optax.chain(optax.clip_by_global_norm(1e3), optax.sgd(0.1)), "sgd:0.1"),
    "hyperparameters in the state": (optax.inject_hyperparams(optax.sgd)(learning_rate=0.1), "sgd:0.1"),
    "a product of scales": (optax.chain(optax.scale(0.5), optax.scale_by_learning_rate(0.2)), "sgd:0.1"),
}


@pytest.mark.parametrize("warm", [0, 7])
@pytest.mark.parametrize("name", LINEAR)
def test_gradient_descent_in_an_object_is_recognised(name, warm):
    rule, text = LINEAR[name]
    assert str(probe(rule, warm).plain) == text


# rule, (rate, momentum, Nesterov, b2, weight decay of the first parameter)
SECOND = {
    "adam": (optax.adam(0.02), (0.02, 0.9, False, 0.999, 0.0)),
    "adam with its own numbers": (optax.adam(0.02, b1=0.7, b2=0.95), (0.02, 0.7, False, 0.95, 0.0)),
    "adam without momentum": (optax.adam(0.02, b1=0.0), (0.02, 0.0, False, 0.999, 0.0)),
    "adamw": (optax.adamw(0.01, weight_decay=0.1), (0.01, 0.9, False, 0.999, 1e-3)),
    "adamw with a mask": (optax.adamw(0.01, weight_decay=0.1, mask=(True, False)), (0.01, 0.9, False, 0.999, 1e-3)),
    "rmsprop": (optax.rmsprop(0.01), (0.01, 0.0, False, 0.9, 0.0)),
    "rmsprop with momentum": (optax.rmsprop(0.01, momentum=0.5), (0.01, 0.5, False, 0.9, 0.0)),
    "clip, then adam": (optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05)), (0.05, 0.9, False, 0.999, 0.0)),
    "clip by value": (optax.chain(optax.clip(0.5), optax.adam(0.05)), (0.05, 0.9, False, 0.999, 0.0)),
    "injected": (optax.inject_hyperparams(optax.adam)(learning_rate=0.03), (0.03, 0.9, False, 0.999, 0.0)),
    "nadam": (optax.nadam(0.01), (0.01, 0.9, True, 0.999, 0.0)),
    "apply if finite": (optax.apply_if_finite(optax.adam(0.1), 3), (0.1, 0.9, False, 0.999, 0.0)),
    "amsgrad": (optax.amsgrad(0.01), (0.01, 0.9, False, 0.999, 0.0)),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_moment_methods_are_identified(name):
    rule, (rate, momentum, nesterov, b2, decay) = SECOND[name]
    found = probe(rule, 50)
    assert isinstance(found, LocalRule), found
    assert found.preconditioned
    assert found.plain is None
    assert found.rate == pytest.approx(rate, rel=1e-3)
    assert found.momentum == pytest.approx(momentum, abs=2e-3)
    assert (found.nesterov, found.second) == (nesterov, pytest.approx(b2, rel=1e-4))
    assert found.decay[0] == pytest.approx(decay, rel=1e-3)


def test_the_response_of_adam_is_its_formula():
    rule, gradient = optax.adam(0.02, eps=1e-3), flatten(G)
    state = state_of(rule, 50)
    found = identify_update(rule, state, W, G)
    nu = 0.999 * flatten(state[0].nu) + 0.001 * gradient**2
    root = np.sqrt(nu / (1 - 0.999**51)) + 1e-3
    np.testing.assert_allclose(found.response, 0.02 * 0.1 / (1 - 0.9**51) / root, rtol=1e-3)


def test_the_mask_of_the_decay_is_seen():
    rule = optax.adamw(0.01, weight_decay=0.1, mask=(True, False))
    np.testing.assert_allclose(probe(rule, 20).decay, [1e-3] * 3 + [0] * 4, rtol=1e-3, atol=1e-9)


def test_active_clipping_is_seen():
    norm = float(np.linalg.norm(flatten(G)))
    for inner in (optax.sgd(0.1), optax.adam(0.1)):
        assert probe(optax.chain(optax.clip_by_global_norm(1.0), inner)).clipped == pytest.approx(1 / norm, rel=1e-3)
        assert probe(optax.chain(optax.clip_by_global_norm(10.0), inner)).clipped == 1
        by_value = probe(optax.chain(optax.clip(1.5), inner))
        assert list(by_value.response == 0) == [False, True, False, False, False, True, True]
    assert probe(optax.chain(optax.clip(1.5), optax.sgd(0.1))).plain is None
    assert probe(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))).plain is None


def test_sixteen_bit_parameters_are_probed_in_thirty_two():
    w, g = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (W, G))
    rule = optax.adam(0.02)
    found = identify_update(rule, rule.init(w), w, g)
    assert isinstance(found, LocalRule), found
    assert found.rate == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("warm", [0, 7])
@pytest.mark.parametrize("calls", [2, 3])
def test_accumulation_is_the_rule_inside_once_in_so_many_calls(calls, warm):
    found = probe(optax.MultiSteps(optax.sgd(0.1, momentum=0.9), calls), warm)
    assert isinstance(found, LocalRule), found
    assert found.every == calls
    assert (found.rate, found.momentum) == (pytest.approx(0.1), pytest.approx(0.9))
    assert found.plain is None
    inner = probe(optax.MultiSteps(optax.adamw(0.02, weight_decay=0.1), calls).gradient_transformation(), 20)
    assert (inner.every, inner.rate, inner.second) == (calls, pytest.approx(0.02), pytest.approx(0.999, rel=1e-4))
    assert inner.decay[0] == pytest.approx(2e-3, rel=1e-3)


RIDGED = {
    "adam": optax.chain(optax.add_decayed_weights(0.3), optax.adam(0.02)),
    "adam, clipped before": optax.chain(
        optax.clip_by_global_norm(1.0), optax.add_decayed_weights(0.3), optax.adam(0.02)
    ),
    "momentum": optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.02, momentum=0.9)),
}


@pytest.mark.parametrize("name", RIDGED)
def test_decay_inside_the_gradient_is_a_ridge(name):
    found = probe(RIDGED[name], 50)
    assert isinstance(found, LocalRule), found
    np.testing.assert_allclose(found.ridge, 0.3, rtol=1e-4)
    assert found.rate == pytest.approx(0.02, rel=1e-3)
    assert not found.decay.any()
    assert found.plain is None


def test_a_mask_of_the_ridge_is_seen():
    rule = optax.chain(optax.add_decayed_weights(0.3, mask=(True, False)), optax.adam(0.02))
    np.testing.assert_allclose(probe(rule, 20).ridge, [0.3] * 3 + [0] * 4, rtol=1e-4, atol=1e-9)


def test_a_threshold_far_below_the_gradient_is_found():
    found = probe(optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(0.1)))
    assert found.clipped == pytest.approx(1e-3 / float(np.linalg.norm(flatten(G))), rel=1e-2)


UNKNOWN = {
    "lion": optax.lion(0.01),
    "adafactor": optax.adafactor(0.01),
    "lbfgs": optax.lbfgs(),
    "sign": optax.sign_sgd(0.1),
    "adagrad": optax.adagrad(0.1),
    "adabelief": optax.adabelief(0.01),
    "yogi": optax.yogi(0.01),
    "lamb": optax.lamb(0.01),
    "lars": optax.lars(0.1),
    "adamax": optax.adamax(0.01),
    "centered": optax.rmsprop(0.01, centered=True),
    "normalised": optax.chain(optax.normalize_by_update_norm(), optax.sgd(0.1)),
    "averaged": optax.chain(optax.ema(0.9), optax.sgd(0.1)),
    "adagrad with a start of its own": optax.adagrad(0.1, initial_accumulator_value=4.0),
    "accumulation without end": optax.MultiSteps(optax.sgd(0.1), 1000).gradient_transformation(),
    "ascent": optax.scale(0.1),
    "still": optax.set_to_zero(),
    "two memories": optax.chain(optax.trace(0.5), optax.adam(0.1)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_everything_else_is_unknown_with_what_was_seen(name):
    rule = UNKNOWN[name]
    found = identify_update(rule, rule.init(W), W, G)
    assert isinstance(found, NotIdentified), str(found)
    assert 10 < len(found.words) < 110


# --- schedules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [optax.sgd(WARM_UP, momentum=0.9), optax.adam(WARM_UP), optax.inject_hyperparams(optax.sgd)(learning_rate=WARM_UP)],
    ids=["sgd", "adam", "injected"],
)
def test_a_schedule_is_read_ahead(rule):
    steps = np.arange(60)
    expected = np.array([float(WARM_UP(k)) for k in steps])
    np.testing.assert_allclose(multipliers(rule, rule.init(W), W, steps), expected / 0.1, atol=1e-4)
    assert probe(rule, step=10).rate == pytest.approx(0.1, rel=1e-3)
    assert isinstance(probe(rule), NotIdentified), "the first rate is zero"


def test_a_constant_rate_is_constant():
    for rule in (optax.adam(0.1), optax.sgd(0.1, momentum=0.9)):
        assert np.ptp(multipliers(rule, rule.init(W), W, np.arange(100))) == 0


# --- the limit, by experiment ---------------------------------------------------------------------------------

H = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 0.3]])
MOMENTS = np.array([4.0, 0.01, 0.25])


def load_of(rule, state, hessian=H):
    w = (jnp.zeros(3),)
    found = identify_update(rule, state, w, (jnp.full(3, 1e-3),))
    assert isinstance(found, LocalRule), found
    return steepest(found.load(lambda v: hessian @ v), 3).value, found


def warm(rule, moments=MOMENTS):
    """A state long after the start: counters large, the second moment as given."""
    found, tree = jax.tree_util.tree_flatten_with_path(rule.init((jnp.zeros(3),)))
    leaves = []
    for path, leaf in found:
        names = {getattr(key, "name", None) for key in path}
        leaf = jnp.asarray(moments, jnp.float32) if "nu" in names else leaf
        leaves.append(jnp.int32(100_000_000) if "count" in names else leaf)
    return jax.tree.unflatten(tree, leaves)


def grows(rule, steps=300):
    """Whether a small error grows under the rule itself, on the quadratic."""
    w, state = (jnp.full(3, 1e-6),), warm(rule)

    @jax.jit
    def step(w, state):
        update, state = rule.update((jnp.asarray(H, jnp.float32) @ w[0],), state, w)
        return optax.apply_updates(w, update), state

    for _ in range(steps):
        w, state = step(w, state)
        if float(jnp.abs(w[0]).max()) > 1e-3:
            return True
    return False


RULES = {
    "adam": lambda rate: optax.adam(rate, b2=0.9999999),
    "adam, b1 = 0.5": lambda rate: optax.adam(rate, b1=0.5, b2=0.9999999),
    "nadam": lambda rate: optax.nadam(rate, b2=0.9999999),
    "adamw": lambda rate: optax.adamw(rate, b2=0.9999999, weight_decay=0.5),
    "adam with an L2 penalty": lambda rate: optax.chain(optax.add_decayed_weights(2.0), optax.adam(rate, b2=0.9999999)),
    "adam, accumulated": lambda rate: optax.MultiSteps(optax.adam(rate, b2=0.9999999), 2).gradient_transformation(),
    "rmsprop": lambda rate: optax.rmsprop(rate, decay=0.9999999),
    "rmsprop with momentum": lambda rate: optax.rmsprop(rate, decay=0.9999999, momentum=0.9),
    "rmsprop with Nesterov": lambda rate: optax.rmsprop(rate, decay=0.9999999, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", RULES)
def test_just_below_the_limit_it_converges_and_just_above_it_grows(name):
    make = RULES[name]
    load, found = load_of(make(0.01), warm(make(0.01)))
    limit = 0.01 * 2 / load
    assert not grows(make(0.98 * limit))
    assert grows(make(1.02 * limit))
    assert found.growth(1.9) <= 1 < found.growth(2.1)


def test_the_limit_of_adam_is_the_known_formula():
    rule = optax.adam(0.01)
    load, found = load_of(rule, warm(rule))
    root = np.sqrt(np.sqrt(MOMENTS))
    curvature = np.linalg.eigvalsh(H / np.outer(root, root))[-1]
    assert found.curvature(load) == pytest.approx(curvature, rel=2e-3)
    assert 0.01 * 2 / load == pytest.approx((2 + 2 * 0.9) / ((1 - 0.9) * curvature), rel=2e-3)
    assert found.limit_formula == "(2 + 2*0.9)/((1 - 0.9) lambda_max(P^-1/2 H P^-1/2))"


def test_negative_curvature_is_no_load():
    rule = optax.adam(0.01)
    assert load_of(rule, warm(rule), -np.eye(3))[0] < 0
