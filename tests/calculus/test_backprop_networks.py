"""Backpropagation by layer: delta = dL/dh sigma'(z), dL/dW = x' delta, and where the chain of factors vanishes."""

import math
import runpy
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import qed
from qed.report.text import text

KEYS = jax.random.split(jax.random.key(0), 12)
X = jax.random.normal(KEYS[0], (32, 8))
Y = jax.nn.one_hot(jnp.arange(32) % 3, 3)


def dense(key, inputs, outputs, scale=1.0):
    return {"W": scale * jax.random.normal(key, (inputs, outputs)) / np.sqrt(inputs), "b": jnp.zeros(outputs)}


@pytest.fixture(scope="module")
def mlp():
    w = {"first": dense(KEYS[1], 8, 16), "second": dense(KEYS[2], 16, 16), "out": dense(KEYS[3], 16, 3)}

    def loss(w):
        h = jnp.tanh(X @ w["first"]["W"] + w["first"]["b"])
        h = jax.nn.gelu(h @ w["second"]["W"] + w["second"]["b"])
        z = h @ w["out"]["W"] + w["out"]["b"]
        return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(z), 1))

    return loss, w, qed.backprop(loss, w)


def test_the_layers_of_a_network_by_hand(mlp):
    _, _, answer = mlp
    assert [layer.name for layer in answer.layers] == ["w['first']", "w['second']", "w['out']"]
    assert [layer.activation for layer in answer.layers] == ["tanh", "gelu", ""]
    assert answer.layers[1].shapes == ((32, 16), (16, 16), (32, 16))
    assert [layer.parameters for layer in answer.layers][2] == ("w['out']['W']", "w['out']['b']")
    assert answer.layers[0].into is None
    assert answer.findings == ()


def test_the_numbers_of_a_layer(mlp):
    loss, w, answer = mlp
    z1 = X @ w["first"]["W"] + w["first"]["b"]
    from_h = jax.grad(
        lambda h: (
            -jnp.mean(
                jnp.sum(
                    Y
                    * jax.nn.log_softmax(
                        jax.nn.gelu(h @ w["second"]["W"] + w["second"]["b"]) @ w["out"]["W"] + w["out"]["b"]
                    ),
                    1,
                )
            )
        )
    )(jnp.tanh(z1))
    delta = from_h * (1 - jnp.tanh(z1) ** 2)
    layer = answer.layers[0]
    assert layer.out == pytest.approx(float(jnp.linalg.norm(from_h)), rel=1e-4)
    assert layer.delta == pytest.approx(float(jnp.linalg.norm(delta)), rel=1e-4)
    assert layer.weight == pytest.approx(float(jnp.linalg.norm(X.T @ delta)), rel=1e-4)
    assert layer.weight == pytest.approx(float(jnp.linalg.norm(jax.grad(loss)(w)["first"]["W"])), rel=1e-4)


def test_the_formulas_are_compared_with_the_sweep(mlp):
    _, _, answer = mlp
    assert all(layer.error is not None and layer.error < 1e-5 for layer in answer.layers)
    reason = next(reason for reason in answer.reasons if "computed apart" in reason.text)
    assert (reason.predicted, str(reason.standing)) == (0.0, "MEASURED")


def test_the_factors_multiply_up(mlp):
    _, _, answer = mlp
    (chain,) = answer.chains
    assert [stage.name for stage in chain.stages] == ["w['second']", "w['out']"]
    assert chain.product == pytest.approx(chain.stages[0].into / chain.stages[-1].out, rel=1e-6)
    for stage in chain.stages:
        layer = answer.layers[stage.layers[0]]
        assert stage.factor == pytest.approx(layer.by_slope * layer.by_weight, rel=1e-5)


def test_the_tables_fit(mlp):
    _, _, answer = mlp
    for width in (78, 80):
        assert max(map(len, text(answer, width=width, why=True).split("\n"))) <= width
    assert "h = jnp.tanh(X @ w" in str(answer)


def vanishing(steps=20, scale=0.5):
    weights = scale * jax.random.normal(KEYS[4], (steps, 8, 8))

    def loop(weights):
        h, _ = jax.lax.scan(lambda h, W: (jax.nn.sigmoid(h @ W), None), X, weights)
        return jnp.mean(h**2)

    def written_out(weights):
        h = X
        for k in range(steps):
            h = jax.nn.sigmoid(h @ weights[f"layer{k:02}"])
        return jnp.mean(h**2)

    return loop, written_out, weights


def test_twenty_sigmoid_layers_vanish():
    loop, written_out, weights = vanishing()
    named = {f"layer{k:02}": w for k, w in enumerate(weights)}
    for answer in (qed.backprop(loop, weights), qed.backprop(written_out, named)):
        assert [finding.code for finding in answer.findings] == ["QED405"]
        (chain,) = answer.chains
        assert len(answer.layers) == 20
        assert len(chain.stages) == 19
        assert chain.product < 1e-9
        assert all(layer.activation == "sigmoid" and layer.slopes[2] <= 0.25 for layer in answer.layers)
        assert "vanishes on its way back" in answer.headline
        assert answer.measured, "the adjoints are right all the same"
        witness = answer.findings[0].witness
        assert witness["product"] == pytest.approx(chain.product)
        assert witness["gradient_over_weights_first"] < 1e-4 * witness["gradient_over_weights_compared"]


def test_the_place_where_it_collapses():
    _, written_out, weights = vanishing()
    answer = qed.backprop(written_out, {f"layer{k:02}": w for k, w in enumerate(weights)})
    name = answer.findings[0].witness["at"]
    place = next(i for i, stage in enumerate(answer.chains[0].stages) if stage.name == name)
    stages = answer.chains[0].stages
    assert stages[place].into <= 0.01 * stages[-1].out < stages[place].out


def test_a_scalar_chain_vanishes_without_a_finding():
    def nest(x):
        for _ in range(20):
            x = jax.nn.sigmoid(x)
        return x

    answer = qed.backprop(nest, 1.0)
    assert answer.findings == ()
    assert answer.chains[0].product == pytest.approx(float(jax.grad(nest)(1.0)), rel=1e-4)
    assert "shrinks to 9.139e-14" in answer.headline


@pytest.mark.parametrize("scale", [1e-30, 1e20])
def test_a_factor_of_scale_is_no_chain(scale):
    answer = qed.backprop(lambda x: jnp.sum(x**2) * scale, jnp.ones(3))
    assert answer.headline.startswith("d <lambda> / d x")


def test_one_saturated_layer_is_where_it_collapses():
    w = {f"layer{k}": jax.random.normal(KEYS[k], (8, 8)) / 3 for k in range(5)}
    w["layer2"] = w["layer2"] / 10  # and a bias of 8: tanh'(8) is 4e-7

    def loss(w):
        h = X
        for k in range(5):
            h = jnp.tanh(h @ w[f"layer{k}"] + (8.0 if k == 2 else 0.0))
        return jnp.mean(h**2)

    answer = qed.backprop(loss, w)
    worst = min(answer.chains[0].stages, key=lambda stage: stage.factor)
    assert worst.name == "w['layer2']"
    assert answer.layers[2].slopes[1] < 1e-5


def test_twenty_weights_in_one_vector_are_twenty_layers():
    def loss(w):
        h = 0.5
        for k in range(20):
            h = jax.nn.sigmoid(w[k] * h)
        return (h - 1) ** 2

    answer = qed.backprop(loss, jnp.ones(20))
    assert [layer.name for layer in answer.layers[:3]] == ["w[1]", "w[2]", "w[3]"]
    assert [finding.code for finding in answer.findings] == ["QED405"]
    slopes = math.prod(layer.by_slope for layer in answer.layers)
    assert answer.chains[0].product == pytest.approx(slopes, rel=1e-4)  # the weights are 1
    assert "of that" in str(answer)


def test_a_formula_is_no_network():
    answer = qed.backprop(lambda x: jnp.sin(x) * x + x * jnp.exp(x) * x, 1.5)
    assert answer.layers == ()


def growing(function):
    weights = {f"layer{k}": 5.0 * jax.random.normal(KEYS[4 + k], (8, 8)) for k in range(8)}
    weights["layer7"] = weights["layer7"] / 10

    def loss(w):
        h = X
        for k in range(8):
            h = function(h @ w[f"layer{k}"])
        return jnp.mean(h**2)

    return qed.backprop(loss, weights)


def test_large_weights_before_a_bounded_function_explode():
    answer = growing(jnp.sin)
    assert [finding.code for finding in answer.findings] == ["QED406"]
    assert answer.chains[0].product > 1e4
    assert "explodes on its way back" in answer.headline


def test_where_values_grow_as_gradients_do_all_layers_are_pulled_alike():
    answer = growing(lambda z: jax.nn.relu(z) / 1e3)
    assert answer.findings == ()


def recurrent(scale, steps=40, last=True):
    p = {"W": scale * jnp.eye(8), "U": jnp.eye(8) * 0.1, "v": jnp.ones(8)}
    xs = 0.1 * jax.random.normal(KEYS[6], (steps, 4, 8))

    def loss(p):
        def step(h, x):
            h = jnp.tanh(h @ p["W"] + x @ p["U"])
            return h, h

        h, hs = jax.lax.scan(step, jnp.zeros((4, 8)), xs)
        return jnp.mean(((h if last else hs) @ p["v"] - 1) ** 2)

    return loss, p


def test_the_steps_of_a_recurrent_network_are_its_layers():
    answer = qed.backprop(*recurrent(0.95))
    (chain,) = (chain for chain in answer.chains if chain.kind == "loop")
    assert len(chain.stages) == 38  # from the state that enters step 1 to that which enters step 39
    assert all(stage.factor == pytest.approx(0.95, rel=0.1) for stage in chain.stages)
    assert answer.findings == ()
    shared = [layer for layer in answer.layers if layer.shared]
    assert {layer.step for layer in shared} == set(range(40))
    assert {layer.activation for layer in shared} == {"tanh"}


def test_a_recurrent_network_that_forgets_is_noted():
    answer = qed.backprop(*recurrent(0.5))
    assert [(finding.code, str(finding.level)) for finding in answer.findings] == [("QED405", "note")]
    assert answer.findings[0].witness["product"] == pytest.approx(0.5**38, rel=0.2)


def test_a_product_that_underflows_has_vanished():
    answer = qed.backprop(*recurrent(0.02, steps=60))
    (chain,) = (chain for chain in answer.chains if chain.kind == "loop")
    assert chain.stages[0].into == 0
    assert [(finding.code, str(finding.level)) for finding in answer.findings] == [("QED405", "note")]
    assert chain.typical == pytest.approx(0.02, rel=0.2)


def test_nested_loops_are_chains_of_their_own():
    def loss(x):
        def outer(h, _):
            return jax.lax.scan(lambda g, _: (jnp.sin(g), None), h, None, length=4)[0], None

        return jax.lax.scan(outer, 2 * x, None, length=5)[0]

    answer = qed.backprop(loss, 0.7)
    assert sorted(len(chain.stages) for chain in answer.chains if chain.kind == "loop")[-1] == 4
    assert float(answer.gradient) == pytest.approx(float(jax.grad(loss)(0.7)), rel=1e-5)


def test_a_recurrent_network_with_a_loss_at_every_step_is_left_in_peace():
    answer = qed.backprop(*recurrent(0.5, last=False))
    assert answer.findings == ()


def test_a_layer_that_starts_at_zero_is_no_vanishing_gradient():
    w = {"first": dense(KEYS[1], 8, 16), "out": {"W": jnp.zeros((16, 3)), "b": jnp.zeros(3)}}

    def loss(w):
        h = jnp.tanh(X @ w["first"]["W"] + w["first"]["b"])
        return jnp.mean((h @ w["out"]["W"] + w["out"]["b"] - Y) ** 2)

    answer = qed.backprop(loss, w)
    assert answer.findings == ()
    assert answer.layers[0].delta == 0


def test_an_equinox_network():
    model = eqx.nn.MLP(8, 3, 16, 2, key=KEYS[7])
    answer = qed.backprop(lambda m, x, y: jnp.mean((jax.vmap(m)(x) - y) ** 2), model, X, Y)
    assert [layer.name for layer in answer.layers] == ["m.layers[0]", "m.layers[1]", "m.layers[2]"]
    assert [layer.activation for layer in answer.layers] == ["relu", "relu", ""]
    assert answer.findings == ()
    assert isinstance(answer.gradient, eqx.nn.MLP)


class Convolutional(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3))(x))
        x = linen.avg_pool(x, (2, 2), strides=(2, 2))
        x = linen.relu(linen.Conv(8, (3, 3))(x))
        return linen.Dense(3)(x.reshape(x.shape[0], -1))


def test_a_flax_network_with_convolutions():
    images = jax.random.normal(KEYS[8], (6, 8, 8, 1))
    model = Convolutional()
    params = model.init(KEYS[9], images)
    answer = qed.backprop(lambda p, x: jnp.mean(model.apply(p, x) ** 2), params, images)
    assert [layer.kind for layer in answer.layers] == ["convolution", "convolution", "dense"]
    assert "correlation of x with delta" in answer.layers[0].formula
    assert [stage.name for stage in answer.chains[0].stages] == [
        "p['params']['Conv_1']",
        "p['params']['Dense_0']",
    ]
    assert answer.measured
    assert answer.findings == ()


def test_residual_blocks_are_stages():
    blocks = [
        {"up": dense(KEYS[k], 8, 16), "down": {"W": jax.random.normal(KEYS[k + 3], (16, 8)) / 8, "b": jnp.zeros(8)}}
        for k in range(1, 4)
    ]

    def loss(p):
        h = X @ p["embed"]
        for block in p["blocks"]:
            inner = jax.nn.relu(h @ block["up"]["W"] + block["up"]["b"])
            h = h + inner @ block["down"]["W"] + block["down"]["b"]
        return jnp.mean(h**2)

    answer = qed.backprop(loss, {"embed": jnp.eye(8), "blocks": blocks})
    (chain,) = answer.chains
    assert [stage.name for stage in chain.stages] == [f"p['blocks'][{k}]" for k in range(3)]
    assert [len(stage.layers) for stage in chain.stages] == [2, 2, 2]
    assert answer.findings == ()


def test_attention_is_grouped():
    tokens = jax.random.normal(KEYS[8], (2, 5, 8))
    p = {name: jax.random.normal(KEYS[k], (8, 8)) / 3 for k, name in enumerate(["q", "k", "v", "o"])}

    def loss(p):
        q, k, v = (tokens @ p[name] for name in "qkv")
        weights = jax.nn.softmax(q @ k.swapaxes(1, 2) / math.sqrt(8))
        return jnp.mean(((weights @ v) @ p["o"]) ** 2)

    answer = qed.backprop(loss, p)
    assert sorted(layer.name for layer in answer.layers) == ["p['k']", "p['o']", "p['q']", "p['v']"]
    assert answer.measured
    assert answer.findings == ()


def test_an_embedding_is_a_layer():
    table, W = jax.random.normal(KEYS[8], (11, 4)), jax.random.normal(KEYS[9], (4, 2))

    def loss(p, tokens):
        return jnp.mean(jnp.tanh(p["table"][tokens] @ p["W"]) ** 2)

    answer = qed.backprop(loss, {"table": table, "W": W}, jnp.array([1, 5, 5, 2]))
    assert [layer.kind for layer in answer.layers] == ["embedding", "dense"]


@pytest.mark.slow
def test_the_example_of_first_layers_that_do_not_learn():
    pytest.importorskip("sklearn")
    path = Path(__file__).resolve().parents[2] / "examples" / "sigmoid" / "train.py"
    example = runpy.run_path(str(path), run_name="example")
    answer = qed.backprop(example["loss"], example["w"])
    assert [finding.code for finding in answer.findings] == ["QED405"]
    trained, losses = example["train"](example["w"], example["STEP"], steps=40)
    moved = [float(jnp.linalg.norm(b["W"] - a["W"])) for a, b in zip(example["w"], trained, strict=True)]
    assert losses[-1] < losses[0]
    assert moved[0] < 1e-4 * moved[-1]
    predicted = [layer.weight for layer in answer.layers]
    assert predicted[0] < 1e-4 * predicted[-1]
