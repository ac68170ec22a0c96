"""The training script of benchmarks/training.py: a transformer in bfloat16, a few steps, one of which goes wrong.

    python benchmarks/transformer.py WIDTH LAYERS VOCABULARY TOKENS {healthy|forward|backward}

At its third step, `forward` meets a batch without a single valid token, so that the mean over them is 0/0; `backward`
meets padding, which is zero, so that the derivative of a norm is not finite there, while the loss is. The
script knows nothing of qed; it reports the seconds of its steps, its first one compiled apart.
"""

import sys
import time

import jax
import jax.numpy as jnp
import optax

WIDTH, LAYERS, VOCABULARY, TOKENS = (int(word) for word in sys.argv[1:5])
KIND, BATCH, HEADS, STEPS = sys.argv[5], 2, max(1, WIDTH // 64), 5


def normal(key, *shape):
    return (jax.random.normal(key, shape) * 0.02).astype(jnp.bfloat16)


def initial(key):
    keys = jax.random.split(key, 6)
    wide = 4 * WIDTH
    layers = {
        "qkv": normal(keys[0], LAYERS, WIDTH, 3 * WIDTH),
        "out": normal(keys[1], LAYERS, WIDTH, WIDTH),
        "up": normal(keys[2], LAYERS, WIDTH, wide),
        "down": normal(keys[3], LAYERS, wide, WIDTH),
        "scales": jnp.ones((LAYERS, 2, WIDTH), jnp.bfloat16),
    }
    return {"embedding": normal(keys[4], VOCABULARY, WIDTH), "layers": layers, "gain": jnp.ones((), jnp.bfloat16)}


def normalised(x, scale):
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.mean(wide**2, -1, keepdims=True) + 1e-6)).astype(x.dtype) * scale


def layer(x, w):
    n = normalised(x, w["scales"][0])
    q, k, v = jnp.split((n @ w["qkv"]).reshape(BATCH, TOKENS, HEADS, -1), 3, axis=-1)
    scores = jnp.einsum("bthd,bshd->bhts", q, k).astype(jnp.float32) / q.shape[-1] ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((TOKENS, TOKENS), bool)), scores, -1e9)
    mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores).astype(x.dtype), v)
    x = x + mixed.reshape(x.shape) @ w["out"]
    return x + jax.nn.gelu(normalised(x, w["scales"][1]) @ w["up"]) @ w["down"], None


def loss(w, tokens, valid):
    given = tokens[:, :-1]
    x = w["embedding"][given] * (given != 0)[..., None]  # 0 is padding
    size = jnp.sqrt(jnp.sum(x.astype(jnp.float32) ** 2, -1, keepdims=True))
    x = x + (w["gain"] * size).astype(x.dtype)
    x, _ = jax.lax.scan(layer, x, w["layers"])
    logits = (x @ w["embedding"].T).astype(jnp.float32)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
    return jnp.sum(each * valid) / jnp.sum(valid)


optimizer = optax.adam(1e-4)


@jax.jit
def step(w, state, tokens, valid):
    value, slope = jax.value_and_grad(loss)(w, tokens, valid)
    updates, state = optimizer.update(slope, state, w)
    return optax.apply_updates(w, updates), state, value


def batch(k):
    tokens = jax.random.randint(jax.random.key(100 + k), (BATCH, TOKENS + 1), 1, VOCABULARY)
    valid = jnp.ones((BATCH, TOKENS))
    if k == 2 and KIND == "forward":
        valid = jnp.zeros_like(valid)
    if k == 2 and KIND == "backward":
        tokens = tokens.at[:, TOKENS // 2 :].set(0)
    return tokens, valid


if __name__ == "__main__":
    w = initial(jax.random.key(0))
    state = optimizer.init(w)
    print("parameters:", sum(x.size for x in jax.tree.leaves(w)), flush=True)
    for k in range(STEPS):
        begun = time.perf_counter()
        w, state, value = step(w, state, *batch(k))
        print("step", k, "loss", float(value), "seconds", time.perf_counter() - begun, flush=True)
