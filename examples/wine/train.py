import jax
import jax.numpy as jnp
from sklearn.datasets import load_wine


def loss(w):
    z = X @ w["W"] + w["b"]
    p = jnp.exp(z)
    q = p / p.sum(1, keepdims=True)
    return -jnp.mean(jnp.sum(Y * jnp.log(q), 1))


# Softmax regression by hand: 178 wines, 13 measurements in their own units (proline up to 1680), 3 growers.
wine = load_wine()
X = jnp.asarray(wine.data, jnp.float32)
Y = jax.nn.one_hot(wine.target, 3)
w = {"W": jnp.zeros((13, 3)), "b": jnp.zeros(3)}
classes = tuple(str(name) for name in wine.target_names)
names = {"W": (tuple(wine.feature_names), classes), "b": (classes,)}

if __name__ == "__main__":
    gradient = jax.jit(jax.grad(loss))
    for step in range(400):
        if step % 100 == 0 or step < 3:
            print(f"step {step:3d}   loss {loss(w):.4f}")
        w = jax.tree.map(lambda weight, slope: weight - 0.1 * slope, w, gradient(w))
    print(f"step 400   loss {loss(w):.4f}")
