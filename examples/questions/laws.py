"""What an option pays if the price moves by x: a function to take means of."""

import jax.numpy as jnp


def payoff(x):
    return jnp.maximum(jnp.exp(x) - 1.0, 0.0)
