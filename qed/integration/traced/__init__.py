"""Values and gradients of integrals under jax.grad, jax.jit and jax.vmap: compiled quadrature."""
