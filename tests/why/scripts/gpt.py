"""A small causal transformer, by hand, with AdamW, clipping, warm-up and cosine decay."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax

BREAK = os.environ.get("BREAK", "")
VOCABULARY, WIDTH, HEADS, CONTEXT = 12, 16, 2, 8
text = np.random.default_rng(0).integers(0, VOCABULARY, 400)
text[1::2] = (text[::2] + 1) % VOCABULARY
SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 10, 60)
if BREAK == "rate":
    SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, 10.0, 10, 60)
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(SCHEDULE, weight_decay=0.1))


def init(key):
    names = ("embed", "place", "qkv", "out", "up", "down", "head")
    shapes = ((VOCABULARY, WIDTH), (CONTEXT, WIDTH), (WIDTH, 3 * WIDTH), (WIDTH, WIDTH))
    shapes += ((WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH), (WIDTH, VOCABULARY))
    keys = jax.random.split(key, len(names))
    params = {n: 0.1 * jax.random.normal(k, s) for n, k, s in zip(names, keys, shapes, strict=True)}
    params["ln1"], params["ln2"] = jnp.ones(WIDTH), jnp.ones(WIDTH)
    return params


def layer_norm(x, scale):
    mean = x.mean(-1, keepdims=True)
    return scale * (x - mean) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)


def attention(params, x):
    q, k, v = jnp.split(x @ params["qkv"], 3, axis=-1)
    q, k, v = (a.reshape(*a.shape[:-1], HEADS, WIDTH // HEADS) for a in (q, k, v))
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(WIDTH // HEADS)
    mask = jnp.tril(jnp.ones((CONTEXT, CONTEXT), bool), -1 if BREAK == "mask" else 0)
    scores = jnp.where(mask, scores, -jnp.inf)
    heads = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), v)
    return heads.reshape(x.shape) @ params["out"]


def logits(params, tokens):
    x = params["embed"][tokens] + params["place"]
    x = x + attention(params, layer_norm(x, params["ln1"]))
    x = x + jax.nn.gelu(layer_norm(x, params["ln2"]) @ params["up"]) @ params["down"]
    return x @ params["head"]


def loss_fn(params, tokens, targets):
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, tokens), targets).mean()


@jax.jit
def train_step(params, state, tokens, targets):
    loss, grads = jax.value_and_grad(loss_fn)(params, tokens, targets)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss


rng = np.random.default_rng(1)
params = init(jax.random.key(0))
state = optimizer.init(params)
for _ in range(60):
    at = rng.integers(0, len(text) - CONTEXT - 1, 16)
    tokens = np.stack([text[i : i + CONTEXT] for i in at])
    targets = np.stack([text[i + 1 : i + CONTEXT + 1] for i in at])
    params, state, loss = train_step(params, state, tokens, targets)
print(f"final {float(loss):.6f}")
