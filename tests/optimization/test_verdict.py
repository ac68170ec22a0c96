"""Fifteen points and runs whose true cause solvers do not name, in float64 as their users meet them."""

import subprocess
import sys

import pytest

SOURCE = """
import jax, jax.numpy as jnp, numpy as np, scipy.optimize, qed
jax.config.update("jax_enable_x64", True)

def R(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

def ruled(value, slope):
    fun = jax.custom_jvp(value)
    fun.defjvp(lambda p, t: (value(p[0]), slope(p[0], t[0])))
    return fun

def bent(factors):
    return ruled(R, lambda x, t: jnp.vdot(jax.grad(R)(x) * factors, t))

through = ruled(lambda x: jnp.floor(1000 * x) / 1000, lambda x, t: t)
x4, one = np.array([-1.2, 1, -1.2, 1.0]), np.ones(2)
cases = {
    "noise": (lambda x: 1e10 + R(x), x4, "minimum"),
    "float32": (lambda x: R(x.astype(jnp.float32)), x4, "minimum"),
    "flipped": (bent(jnp.array([1, -1.0, 1, 1])), x4, "gradient_wrong"),
    "ten percent": (bent(jnp.array([1, 1.1, 1, 1])), x4, "minimum"),
    "stopped": (lambda x: R(x.at[1].set(jax.lax.stop_gradient(x[1]))), x4, "stop_gradient"),
    "kink": (lambda x: abs(x[0] - 0.3) + 3 * abs(x[1] + 0.7) + 0.1 * abs(x[0] + x[1]), np.array([1.1, 1.3]), "kink"),
    "cubic": (lambda x: x[0] ** 3 + x[1] ** 2, one, "unbounded_below"),
    "slowly": (lambda x: -jnp.log(1 + x[0] ** 2) + x[1] ** 2, one, "unbounded_below"),
    "infimum": (lambda x: jnp.exp(-x[0]) + x[1] ** 2, one, "infimum_not_attained"),
    "ridge": (lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, np.array([1.0, 0]), "minimum"),
    "leaves": (
        lambda x: 0.001 * x[0] - jnp.log(x[0]) + 1000 * (x[1] - x[0]) ** 2, np.array([0.001, 1]), "minimum",
    ),
    "flat": (lambda x: jnp.sum(x**10), one, "flat_minimum"),
    "floor": (lambda x: R(through(x)), np.array([-1.2, 1.0]), "gradient_wrong"),
    "scales": (lambda x: 0.5 * jnp.sum(jnp.logspace(0, 14, 20) * (x - 1) ** 2), np.zeros(20), "minimum"),
}
wrong = []
for name, (fun, start, kind) in cases.items():
    found = qed.minimize(fun, start, max_steps=200 if name in ("flipped", "stopped") else None)
    if found.reason != kind:
        wrong.append((name, str(found.reason), found.headline))
nan = lambda x: jnp.sqrt(x[0] ** 2) + (x[1] - 1) ** 2
told = qed.verdict(nan, np.array([0.0, 3.0]))
if told.kind != "nonfinite" or "sqrt" not in told.headline:
    wrong.append(("nan", str(told.kind), told.headline))
for name, kind in (("ridge", "saddle"), ("scales", "ill_conditioned"), ("infimum", "infimum_not_attained")):
    fun, start, _ = cases[name]
    both = jax.jit(jax.value_and_grad(fun))
    loop = scipy.optimize.minimize(lambda x: tuple(map(np.asarray, both(x))), start, jac=True, method="L-BFGS-B")
    told = qed.verdict(fun, loop)
    if told.kind != kind:
        wrong.append(("SciPy " + name, str(told.kind), told.headline))
print(wrong)
"""


@pytest.mark.slow
def test_the_true_cause_is_named():
    done = subprocess.run([sys.executable, "-c", SOURCE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr[-2000:]
