"""Two formulas that are right on paper and lose their digits in a computer: a variance, and a likelihood."""

import jax.numpy as jnp

x = jnp.array([10000.0, 10001.0, 10002.0, 10004.0])
z = jnp.array([70.0, 100.0, -20.0])


def variance(x):
    return jnp.mean(x**2) - jnp.mean(x) ** 2


def surprise(z):
    return -jnp.log(jnp.exp(z[0]) / jnp.sum(jnp.exp(z)))
