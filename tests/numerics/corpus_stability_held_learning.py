"""The third set of held-out functions, continued: idioms of machine learning as users write them, and the controls."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tests.numerics.scoring import table

CASES, case = table("held-out learning")

# --- machine learning ----------------------------------------------------------------------------------------------

SCORES = [[120.0, 3.0, 95.0], [-150.0, -120.0, 2.0], [0.5, 100.0, 101.0]]
MILD = [[1.0, 0.5, -1.0], [0.25, 2.0, 0.0], [0.5, -0.5, 1.5]]
COLD = [[-200.0, -210.0, 7.0], [-120.0, -130.0, 3.0], [-110.0, 2.0, -112.0]]


# Vaswani et al., "Attention is all you need" (2017), with a causal mask
@case((SCORES, [1.0, -2.0, 0.5]), (MILD, [1.0, -2.0, 0.5]), (COLD, [1.0, -2.0, 0.5]))
def attention_with_a_causal_mask(scores, values):
    weights = jnp.exp(scores) * jnp.tril(jnp.ones((3, 3), scores.dtype))
    return jnp.sum((weights / jnp.sum(weights, -1, keepdims=True)) @ values)


@case((SCORES, [1.0, 0.0, 1.0]), (MILD, [1.0, 1.0, 0.0]))
def attention_with_a_given_mask(scores, mask):
    weights = jnp.exp(scores) * mask
    return jnp.sum((weights / jnp.sum(weights, -1, keepdims=True)) ** 2)


# van den Oord, Li and Vinyals, "Contrastive predictive coding" (2018), the positives picked by the identity
@case((MILD, 0.01), (MILD, 0.5))
def contrastive_of_a_batch(similarity, temperature):
    e = jnp.exp(similarity / temperature)
    return -jnp.mean(jnp.log(jnp.sum(e * jnp.eye(3, dtype=e.dtype), 1) / jnp.sum(e, 1)))


# Szegedy et al., "Rethinking the Inception architecture" (2016)
@case([150.0, -30.0, 20.0], [0.5, 1.0, -1.0], [-120.0, -300.0, -110.0])
def smoothed_labels(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    target = jnp.asarray([0.9, 0.05, 0.05], z.dtype)
    return -jnp.sum(target * jnp.log(p))


# Lin et al., "Focal loss for dense object detection" (2017)
@case(-120.0, 0.5, 20.0, 50.0)
def focal_loss_with_its_square(x):
    p = 1 / (1 + jnp.exp(-x))
    return -((1 - p) ** 2) * jnp.log(p)


# Graves et al., "Connectionist temporal classification" (2006), in probabilities
@case([[-20.0, -25.0, -30.0]] * 8, [[-1.0, -0.5, -2.0]] * 8, wide=[[[-200.0, -250.0, -300.0]] * 8])
def alignments_in_probabilities(logits):
    def step(alpha, row):
        return (alpha + jnp.concatenate([jnp.zeros(1, alpha.dtype), alpha[:-1]])) * jnp.exp(row), None

    start = jnp.asarray([1.0, 0.0, 0.0], logits.dtype)
    return -jnp.log(jnp.sum(jax.lax.scan(step, start, logits)[0]))


# Ba, Kiros and Hinton, "Layer normalization" (2016), its variance in one pass
@case(([300.0, 301.0, 302.5, 299.0], [1.0, 2.0, 0.5, -1.0]), ([1.0, -2.0, 0.5, 3.0], [1.0, 2.0, 0.5, -1.0]))
def layer_norm_in_one_pass(x, g):
    m = jnp.mean(x)
    return jnp.sum(g * (x - m) / jnp.sqrt(jnp.mean(x * x) - m * m))


# Zhang and Sennrich, "Root mean square layer normalization" (2019), without a constant under the root
@case([1e-25, 2e-25, -1e-25], [1.0, 2.0, -3.0], [1e25, 2e25, 1e24], wide=[[1e-180, 2e-180, 1e-180]])
def root_mean_square_norm(x):
    return jnp.sum((x / jnp.sqrt(jnp.mean(x * x))) ** 3)


# Grill et al., "Bootstrap your own latent" (2020)
@case(([1.0, 2.0, 3.0], [1.001, 2.0, 3.0]), ([1.0, 2.0, 3.0], [3.0, -1.0, 1.0]), wide=[([1.0, 2.0], [1.0000001, 2.0])])
def distance_of_normalised(a, b):
    return 2 - 2 * jnp.sum(a * b) / (jnp.sqrt(jnp.sum(a * a)) * jnp.sqrt(jnp.sum(b * b)))


# Schulman, "Approximating KL divergence" (2020): the estimator of PPO
@case((-1.0, -1.001), (-1.0, -3.0), (-0.5, -0.49), wide=[(-1.0, -1.0000001)])
def ratio_minus_one_minus_its_log(new, old):
    ratio = jnp.exp(new - old)
    return ratio - 1 - jnp.log(ratio)


# Schulman et al., "Proximal policy optimization" (2017), the ratio of two softmaxes
@case(([120.0, 0.0, -5.0], [118.0, 1.0, -4.0]), ([0.5, 1.0, -1.0], [0.4, 1.1, -1.0]))
def clipped_ratio(new, old):
    ratio = jnp.exp(new[0]) / jnp.sum(jnp.exp(new)) / (jnp.exp(old[0]) / jnp.sum(jnp.exp(old)))
    return -jnp.minimum(ratio * 1.5, jnp.clip(ratio, 0.8, 1.2) * 1.5)


# Haarnoja et al., "Soft actor-critic" (2018)
@case(([10.0, 11.0, 9.0], 0.01), ([1.0, 2.0, -1.0], 0.5), ([-30.0, -31.0, -29.0], 0.1))
def soft_value(q, alpha):
    return alpha * jnp.log(jnp.mean(jnp.exp(q / alpha)))


# Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2016)
@case([-800.0, -805.0, -802.0], [0.5, -1.0, 0.1], [95.0, 90.0, 60.0])
def importance_weighted_bound(log_weights):
    return jnp.log(jnp.mean(jnp.exp(log_weights)))


# Rezende and Mohamed, "Variational inference with normalizing flows" (2015)
@case(([0.5, -1.0, 2.0, 30.0], 0.1), ([20.0, -30.0, 1.0, 0.5], 0.1))
def planar_log_determinant(h, u):
    return jnp.sum(jnp.log(1 + u * (1 - jnp.tanh(h) ** 2)) + jnp.log(1 - jnp.tanh(h) ** 2))


# Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017)
@case([[60.0, 70.0], [-2.0, -3.0]], [[0.5, 0.1], [-0.2, 0.3]], [[-60.0, -70.0], [2.0, 3.0]])
def log_of_a_product_of_scales(s):
    return jnp.log(jnp.prod(jnp.exp(s)))


# Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2017)
@case(([1.0, 2.0, 0.5], [0.3, 0.2, 0.9], 0.01), ([1.0, 2.0, 0.5], [0.3, 0.2, 0.9], 1.0))
def gumbel_softmax(logits, u, temperature):
    y = jnp.exp((logits - jnp.log(-jnp.log(u))) / temperature)
    return jnp.sum((y / jnp.sum(y)) * jnp.asarray([1.0, 3.0, -2.0], y.dtype))


# Guo et al., "On calibration of modern neural networks" (2017)
@case(([3.0, 1.0, 5.0], 0.02), ([3.0, 1.0, 5.0], 1.5))
def calibrated_likelihood(z, temperature):
    return -jnp.log((jnp.exp(z / temperature) / jnp.sum(jnp.exp(z / temperature)))[0])


# Bishop, "Mixture density networks" (1994)
@case((40.0, [0.0, 1.0], [0.5, 1.0]), (0.5, [0.0, 1.0], [0.5, 1.0]))
def mixture_density(x, mean, scale):
    weights = jnp.asarray([0.25, 0.75], mean.dtype)
    return -jnp.log(jnp.sum(weights * jnp.exp(-0.5 * ((x - mean) / scale) ** 2) / scale))


# Salimans et al., "PixelCNN++" (2017)
@case((0.9, 0.0, 0.02), (0.1, 0.0, 0.5), (-0.9, 0.5, 0.01))
def discretised_logistic(x, mean, scale):
    above = 1 / (1 + jnp.exp(-(x + 1 / 256 - mean) / scale))
    below = 1 / (1 + jnp.exp(-(x - 1 / 256 - mean) / scale))
    return jnp.log(above - below)


# Ho, Jain and Abbeel, "Denoising diffusion probabilistic models" (2020)
@case([1e-5, 2e-5, 3e-5], [0.1, 0.2, 0.3], wide=[[1e-10, 2e-10, 3e-10]])
def noise_after_a_few_steps(beta):
    kept = jnp.prod(1 - beta)
    return jnp.log(kept) - jnp.log(1 - kept)


# Kingma and Ba, "Adam" (2015), the correction of the bias
@case((0.5, 0.99995), (0.5, 0.9), wide=[(0.5, 0.9999999)])
def bias_corrected(m, beta):
    return m / (1 - beta**3)


# Nickel and Kiela, "Poincare embeddings" (2017)
@case(([0.1, 0.2], [0.1001, 0.2]), ([0.1, 0.2], [0.5, -0.3]), wide=[([0.1, 0.2], [0.10000001, 0.2])])
def distance_in_the_poincare_ball(u, v):
    gap = jnp.sum((u - v) ** 2)
    return jnp.arccosh(1 + 2 * gap / ((1 - jnp.sum(u * u)) * (1 - jnp.sum(v * v))))


# Cuturi, "Sinkhorn distances" (2013), one half step and its potential
@case(([[0.2, 1.5], [1.0, 0.9]], 0.005), ([[0.2, 1.5], [1.0, 0.9]], 0.5))
def sinkhorn_potential(cost, epsilon):
    return epsilon * jnp.sum(jnp.log(0.5 / (jnp.exp(-cost / epsilon) @ jnp.full(2, 0.5, cost.dtype))))


# --- controls ------------------------------------------------------------------------------------------------------

CONTROLS, control = table("held-out controls")


@control((-0.5, 0.25), (30.0, -20.0))
def two_logits_by_logaddexp(x, y):
    return jnp.logaddexp(x, y) - 0.25 * x


@control((SCORES, [1.0, -2.0, 0.5]), (MILD, [1.0, -2.0, 0.5]))
def attention_by_the_library(scores, values):
    return jnp.sum(jax.nn.softmax(scores, -1) @ values)


@control([150.0, -30.0, 20.0], [0.5, 1.0, -1.0])
def smoothed_labels_by_the_library(z):
    return -jnp.sum(jnp.asarray([0.9, 0.05, 0.05], z.dtype) * jax.nn.log_softmax(z))


@control([3.0, 1.0, 2.5], [1.0, -2.0, 4.0])
def layer_norm_in_two_passes(x):
    y = x - jnp.mean(x)
    return jnp.sum(jnp.asarray([1.0, 3.0, -2.0], x.dtype) * y * jax.lax.rsqrt(jnp.mean(y * y) + 1e-5))


@control((0.7, 0.7001, 1e-4), (0.7, -0.2, 1.0))
def haversine_of_a_neighbour(a, b, d):
    return jnp.sin((b - a) / 2) ** 2 + jnp.cos(a) * jnp.cos(b) * jnp.sin(d / 2) ** 2


@control(0.05, 0.5)
def annuity_by_expm1(r):
    return -jnp.expm1(-30 * jnp.log1p(r)) / r


@control((1.0, 0.5, 2.0), (-3.0, 4.0, 0.1))
def gaussian_likelihood(x, mean, scale):
    return 0.5 * ((x - mean) / scale) ** 2 + jnp.log(scale)


@control(0.5, 0.999)
def lorentz_factor_by_factors(v):
    return 1 / jnp.sqrt((1 - v) * (1 + v))


@control(-80.0, -1.0, 0.5, 30.0)
def swish_by_the_library(x):
    return x * jax.nn.sigmoid(x)


@control((0.03, [5.0, 5.0, 105.0]), (0.2, [1.0, 2.0, 3.0]))
def price_of_a_bond(r, cash):
    return jnp.sum(cash / (1 + r) ** jnp.asarray([1.0, 2.0, 3.0], cash.dtype))


@control(([0.5, -1.0], [[1.0, 2.0], [0.5, -0.25]]), ([3.0, 1.0], [[0.1, 0.2], [0.3, 0.4]]))
def small_network(x, w):
    return jnp.sum(jnp.tanh(w @ jnp.tanh(w @ x)) ** 2)


@control((300.0, 0.5), (0.1, 2.0))
def arrhenius(temperature, energy):
    return 3.0 * jnp.sqrt(temperature) * jnp.exp(-energy / temperature)


@control(([1.0, -1.0, 1.0], [0.25, 0.5, -3.0]), ([1.0, 1.0, -1.0], [4.0, 0.1, 0.2]))
def hinge(labels, scores):
    return jnp.mean(jnp.maximum(0.0, 1 - labels * scores))


@control([0.1, 5.0, -2.0], [1e3, 2e3, -5e2])
def moving_average_in_a_scan(x):
    return jax.lax.scan(lambda m, a: (0.9 * m + 0.1 * a, None), jnp.zeros((), x.dtype), x)[0]


@control((2.0, 3.0), (0.1, 30.0))
def poisson_likelihood(rate, k):
    return k * jnp.log(rate) - rate


@control(0.5, 2.0, 40.0)
def complement_of_exp_by_a_switch(x):
    near = x < 0.6931471805599453
    return jnp.where(
        near, jnp.log(-jnp.expm1(jnp.where(near, -x, -1.0))), jnp.log1p(-jnp.exp(jnp.where(near, -1.0, -x)))
    )


@control(([1.0, 2.0], [0.5, -0.25]), ([30.0, -20.0], [1.0, 3.0]))
def quadratic_form(x, y):
    return jnp.dot(x, x) + 2 * jnp.dot(y, y) + 0.5
