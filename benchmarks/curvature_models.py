"""The three networks of benchmarks/curvature.py, written in JAX and again in PyTorch, with the same weights and data.

A perceptron 784-512-512-10 with ReLU (669,706 parameters), a convolutional net 32-64-128 with average pooling (93,962)
and a transformer of two layers, four heads and width 128 (416,000); all with the mean cross-entropy as loss, after a
few steps of Adam on data drawn here. Images are (rows, channel, height, width) for PyTorch and channels last for JAX,
where XLA's convolutions are fastest; the weights of a layer are transposed accordingly, and the gradients of both
programs are compared before anything is timed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

HEADS, WIDTH, VOCABULARY = 4, 128, 68


@dataclass(frozen=True, eq=False)
class Net:
    """A network: weights (name -> array), ``forward(weights, x) -> logits``, and data.

    Args:
        weights: trained.
        forward: the logits, classes along the last axis.
        data: (x, labels).
    """

    weights: dict[str, jax.Array]
    forward: Callable[[Any, Any], jax.Array]
    data: tuple[jax.Array, jax.Array]

    def loss(self, w: Any, x: Any, y: Any) -> jax.Array:
        """The mean cross-entropy."""
        return optax.softmax_cross_entropy_with_integer_labels(self.forward(w, x), y).mean()

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(w.size for w in self.weights.values())


def _normal(key: Any, *shape: int, fan: int) -> jax.Array:
    return jax.random.normal(key, shape) * (2.0 / fan) ** 0.5


def _trained(net: Net, steps: int) -> Net:
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(w: Any, state: Any) -> Any:
        updates, state = optimizer.update(jax.grad(net.loss)(w, *net.data), state, w)
        return optax.apply_updates(w, updates), state

    w, state = net.weights, optimizer.init(net.weights)
    for _ in range(steps):
        w, state = step(w, state)
    return Net(w, net.forward, net.data)


def perceptron(rows: int, steps: int = 15, inputs: int = 784, hidden: int = 512) -> Net:
    """784-512-512-10."""
    sizes = (inputs, hidden, hidden, 10)
    keys = jax.random.split(jax.random.key(0), 6)
    weights: dict[str, jax.Array] = {}
    for i, (m, n) in enumerate(itertools.pairwise(sizes)):
        weights |= {f"W{i}": _normal(keys[i], m, n, fan=m), f"b{i}": jnp.zeros(n)}
    centers = jax.random.normal(keys[4], (10, inputs))
    y = jnp.arange(rows) % 10
    x = centers[y] * 0.3 + jax.random.normal(keys[5], (rows, inputs))

    def forward(w: Any, x: Any) -> jax.Array:
        x = jax.nn.relu(x @ w["W0"] + w["b0"])
        x = jax.nn.relu(x @ w["W1"] + w["b1"])
        return x @ w["W2"] + w["b2"]

    return _trained(Net(weights, forward, (x, y)), steps)


def convolutional(rows: int, steps: int = 25, side: int = 28) -> Net:
    """Three convolutions of 3 x 3, with average pooling between."""
    channels = (1, 32, 64, 128)
    keys = jax.random.split(jax.random.key(1), 7)
    weights: dict[str, jax.Array] = {}
    for i, (m, n) in enumerate(itertools.pairwise(channels)):
        weights |= {f"W{i}": _normal(keys[i], 3, 3, m, n, fan=9 * m), f"b{i}": jnp.zeros(n)}
    weights |= {"W3": _normal(keys[3], 128, 10, fan=128), "b3": jnp.zeros(10)}
    patterns = jax.random.normal(keys[4], (10, side, side, 1))
    y = jnp.arange(rows) % 10
    x = patterns[y] + jax.random.normal(keys[5], (rows, side, side, 1))

    def convolve(w: Any, i: int, x: Any) -> jax.Array:
        out = jax.lax.conv_general_dilated(x, w[f"W{i}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.nn.relu(out + w[f"b{i}"])

    def pool(x: Any) -> jax.Array:
        n, height, width, c = x.shape
        return x.reshape(n, height // 2, 2, width // 2, 2, c).mean((2, 4))

    def forward(w: Any, x: Any) -> jax.Array:
        x = pool(convolve(w, 0, x))
        x = pool(convolve(w, 1, x))
        x = convolve(w, 2, x).mean((1, 2))
        return x @ w["W3"] + w["b3"]

    return _trained(Net(weights, forward, (x, y)), steps)


def transformer(rows: int, steps: int = 60, tokens: int = 32, layers: int = 2) -> Net:
    """A causal language model whose layers normalise before they act."""
    keys = iter(jax.random.split(jax.random.key(2), 4 * layers + 5))
    weights = {
        "token": jax.random.normal(next(keys), (VOCABULARY, WIDTH)) * 0.1,
        "place": jax.random.normal(next(keys), (tokens, WIDTH)) * 0.1,
        "head": _normal(next(keys), WIDTH, VOCABULARY, fan=2 * WIDTH),
        "last.scale": jnp.ones(WIDTH),
        "last.shift": jnp.zeros(WIDTH),
    }
    for i in range(layers):
        shapes = {
            "qkv": (WIDTH, 3 * WIDTH),
            "out": (WIDTH, WIDTH),
            "up": (WIDTH, 4 * WIDTH),
            "down": (4 * WIDTH, WIDTH),
        }
        weights |= {f"{i}.{name}": _normal(next(keys), *s, fan=2 * s[0]) for name, s in shapes.items()}
        for name in ("a", "b"):
            weights |= {f"{i}.{name}.scale": jnp.ones(WIDTH), f"{i}.{name}.shift": jnp.zeros(WIDTH)}
    chain = np.random.default_rng(0)
    table = chain.permutation(VOCABULARY)
    sequence = [chain.integers(0, VOCABULARY, rows)]
    for _ in range(tokens):
        stray = chain.random(rows) < 0.2
        sequence.append(np.where(stray, chain.integers(0, VOCABULARY, rows), table[sequence[-1]]))
    drawn = jnp.asarray(np.stack(sequence, 1))
    mask = jnp.tril(jnp.ones((tokens, tokens), bool))

    def normalised(x: Any, w: Any, name: str) -> jax.Array:
        away = x - x.mean(-1, keepdims=True)
        scaled = away * jax.lax.rsqrt((away**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.scale"] + w[f"{name}.shift"]

    def layer(x: Any, w: Any, i: int) -> jax.Array:
        n, t, _ = x.shape
        heads = (normalised(x, w, f"{i}.a") @ w[f"{i}.qkv"]).reshape(n, t, 3, HEADS, WIDTH // HEADS)
        q, k, v = (heads[:, :, j] for j in range(3))
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / (WIDTH // HEADS) ** 0.5
        mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(jnp.where(mask, scores, -jnp.inf)), v)
        x = x + mixed.reshape(n, t, WIDTH) @ w[f"{i}.out"]
        return x + jax.nn.gelu(normalised(x, w, f"{i}.b") @ w[f"{i}.up"], approximate=False) @ w[f"{i}.down"]

    def forward(w: Any, x: Any) -> jax.Array:
        x = w["token"][x] + w["place"]
        for i in range(layers):
            x = layer(x, w, i)
        return normalised(x, w, "last") @ w["head"]

    return _trained(Net(weights, forward, (drawn[:, :-1], drawn[:, 1:])), steps)


NETS: dict[str, Callable[[bool], Net]] = {
    "perceptron": lambda small: perceptron(40, inputs=20, hidden=16) if small else perceptron(2000),
    "convolutional": lambda small: convolutional(8, steps=2, side=8) if small else convolutional(256),
    "transformer": lambda small: transformer(4, steps=2, tokens=8, layers=1) if small else transformer(64),
}
"""name -> the network; of a small setting only where the argument says so."""
