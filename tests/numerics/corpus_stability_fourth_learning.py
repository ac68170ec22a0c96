"""The fourth set of held-out functions, continued: idioms of machine learning as users write them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr

from tests.numerics.scoring import table

CASES, case = table("fourth learning")

MILD = [0.5, -1.0, 2.0]
HIGH = [120.0, 3.0, 95.0]
LOW = [-120.0, -300.0, -115.0]
MATRIX = [[1.0, 0.5, -1.0], [0.25, 2.0, 0.0], [0.5, -0.5, 1.5]]
LARGE = [[120.0, 3.0, 95.0], [-150.0, -120.0, 2.0], [0.5, 100.0, 101.0]]

# --- losses --------------------------------------------------------------------------------------------------------


# Lin et al., "Focal loss for dense object detection" (2017), of several classes
@case(MILD, [40.0, 3.0, -5.0], HIGH, LOW)
def focal_loss_of_a_softmax(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return -((1 - p[0]) ** 2) * jnp.log(p[0])


# Zhang and Sabuncu, "Generalized cross entropy loss" (2018)
@case((MILD, 0.7), (MILD, 1e-4), (HIGH, 0.5), wide=[(MILD, 1e-9)])
def generalised_cross_entropy(z, q):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return (1 - p[0] ** q) / q


# Leng et al., "PolyLoss" (2022)
@case(MILD, [30.0, 1.0, 0.0], HIGH, LOW)
def poly_loss(z):
    p = jnp.exp(z[0]) / jnp.sum(jnp.exp(z))
    return -jnp.log(p) + (1 - p)


# Sun et al., "Circle loss" (2020)
@case(([0.9, 0.8], [0.3, 0.1, -0.2], 256.0), ([0.1, 0.2], [0.7, 0.9, 0.8], 256.0), ([0.9, 0.8], [0.3, 0.1, 0.0], 4.0))
def circle_loss(near, far, gamma):
    return jnp.log(1 + jnp.sum(jnp.exp(gamma * far)) * jnp.sum(jnp.exp(-gamma * near)))


# Deng et al., "ArcFace" (2019)
@case(0.99999, 0.5, -0.3, wide=[0.99999999999])
def cosine_with_a_margin(c):
    return jnp.cos(jnp.arccos(c) + 0.5)


# Khosla et al., "Supervised contrastive learning" (2020), the others by a mask
@case(([0.9, 0.8, -0.1, 0.2], 0.005), ([0.9, 0.8, -0.1, 0.2], 0.5))
def supervised_contrastive(similarity, temperature):
    others = jnp.asarray([0.0, 1.0, 1.0, 1.0], similarity.dtype)
    same = jnp.asarray([0.0, 1.0, 0.0, 1.0], similarity.dtype)
    e = jnp.exp(similarity / temperature) * others
    return -jnp.sum(same * jnp.log(jnp.exp(similarity / temperature) / jnp.sum(e))) / jnp.sum(same)


# Charbonnier et al. (1994); Barron, "A general and adaptive robust loss function" (2019)
@case((1e-3, 1.0), (3.0, 1.0), (1e6, 0.5), wide=[(1e-7, 1.0)])
def charbonnier(r, c):
    return jnp.sqrt(r * r + c * c) - c


# Gutmann and Hyvarinen, "Noise-contrastive estimation" (2010)
@case((-120.0, -110.0), (0.5, -1.0), (100.0, -3.0), (-20.0, 95.0))
def noise_contrastive(data, noise):
    q = 0.1
    p, n = jnp.exp(data), jnp.exp(noise)
    return -jnp.log(p / (p + 5 * q)) - jnp.log(1 - n / (n + 5 * q))


# Gulrajani et al., "Improved training of Wasserstein GANs" (2017)
@case([0.6001, 0.8], [3.0, 4.0], [1e-25, 2e-25], wide=[[0.60000001, 0.8], [1e-200, 2e-200]])
def gradient_penalty(g):
    return (jnp.sqrt(jnp.sum(g * g)) - 1) ** 2


# --- preferences and policies --------------------------------------------------------------------------------------


# Rafailov et al., "Direct preference optimization" (2023), from probabilities of tokens
@case((LARGE, MATRIX), (MATRIX, [[1.0, 0.4, -1.0], [0.2, 2.0, 0.1], [0.5, -0.4, 1.5]]))
def direct_preference(policy, reference):
    p = jnp.exp(policy) / jnp.sum(jnp.exp(policy), 1, keepdims=True)
    q = jnp.exp(reference) / jnp.sum(jnp.exp(reference), 1, keepdims=True)
    chosen = jnp.log(jnp.prod(p[:, 0]) / jnp.prod(q[:, 0]))
    rejected = jnp.log(jnp.prod(p[:, 1]) / jnp.prod(q[:, 1]))
    return -jnp.log(jax.nn.sigmoid(0.5 * (chosen - rejected)))


# Hong, Lee and Thorne, "ORPO" (2024)
@case((-1e-4, -2.0), (-0.5, -1.0), (-60.0, -1e-3), wide=[(-1e-9, -2.0)])
def odds_ratio_preference(chosen, rejected):
    p, q = jnp.exp(chosen), jnp.exp(rejected)
    ratio = jnp.log(p / (1 - p)) - jnp.log(q / (1 - q))
    return -jnp.log(1 / (1 + jnp.exp(-ratio)))


# Ethayarajh et al., "KTO" (2024)
@case(40.0, 0.5, -120.0, wide=[120.0])
def what_a_desirable_answer_lacks(r):
    return 1 - 1 / (1 + jnp.exp(-r))


# --- sequences -----------------------------------------------------------------------------------------------------


# Lafferty, McCallum and Pereira, "Conditional random fields" (2001), by products of matrices
@case((MATRIX, MATRIX), (LARGE, MATRIX), (MATRIX, [[-120.0, -130.0, -110.0]] * 3))
def chain_of_matrices(emissions, transitions):
    m = jnp.exp(transitions)
    alpha = jnp.exp(emissions[0])
    for k in (1, 2):
        alpha = (alpha @ m) * jnp.exp(emissions[k])
    score = emissions[0, 0] + transitions[0, 1] + emissions[1, 1] + transitions[1, 2] + emissions[2, 2]
    return jnp.log(jnp.sum(alpha)) - score


# Rabiner, "A tutorial on hidden Markov models" (1989), equation 27: the posterior of a state
@case(MATRIX, [[-50.0, -60.0, -55.0]] * 3, [[40.0, 30.0, 50.0], [20.0, 45.0, 30.0], [10.0, 15.0, 20.0]])
def posterior_of_a_state(e):
    step = jnp.asarray([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]], e.dtype)
    b = jnp.exp(e)
    forward = (jnp.full(3, 1 / 3, e.dtype) * b[0]) @ step * b[1]
    backward = step @ b[2]
    return jnp.log(forward[0] * backward[0] / jnp.sum(forward * backward))


# Graves, "Sequence transduction with recurrent neural networks" (2012): two labels, three frames
@case((MATRIX, MATRIX), ([[-50.0, -45.0, -60.0]] * 3, [[-55.0, -48.0, -52.0]] * 3))
def transducer(blank, label):
    stay, go = jnp.exp(blank), jnp.exp(label)
    row = [jnp.ones((), stay.dtype)]
    for u in (1, 2):
        row.append(row[-1] * go[0, u - 1])
    for t in (1, 2):
        row[0] = row[0] * stay[t - 1, 0]
        for u in (1, 2):
            row[u] = row[u] * stay[t - 1, u] + row[u - 1] * go[t, u - 1]
    return -jnp.log(row[2] * stay[2, 2])


# --- attention and layers ------------------------------------------------------------------------------------------


# Miller, "Attention is off by one" (2023)
@case(MILD, HIGH, LOW, wide=[[800.0, 799.0, 3.0]])
def attention_that_may_be_silent(z):
    e = jnp.exp(z)
    return jnp.dot(e / (1 + jnp.sum(e)), jnp.asarray([1.0, -2.0, 0.5], z.dtype))


# Ramapuram et al., "Theory, analysis, and best practices for sigmoid self-attention" (2024), normalised
@case(MILD, HIGH, LOW)
def normalised_sigmoid_attention(z):
    s = 1 / (1 + jnp.exp(-z))
    return jnp.dot(s / jnp.sum(s), jnp.asarray([1.0, -2.0, 0.5], z.dtype))


# Katharopoulos et al., "Transformers are RNNs" (2020)
@case(([-20.0, -25.0], [-18.0, -19.0]), ([0.5, -1.0], [1.0, 2.0]), wide=[([-60.0, -50.0], [-70.0, -40.0])])
def linear_attention(q, k):
    phi = lambda x: jnp.where(x > 0, x, jnp.exp(x) - 1) + 1  # noqa: E731
    return jnp.log(jnp.dot(phi(q), phi(k)))


# Shazeer et al., "Outrageously large neural networks" (2017): experts and their likelihood
@case((MILD, [30.0, 2.0, -25.0]), (MILD, [0.5, -1.0, 2.0]), (HIGH, [0.5, 1.0, 40.0]))
def mixture_of_experts(gate, residual):
    g = jnp.exp(gate) / jnp.sum(jnp.exp(gate))
    return -jnp.log(jnp.sum(g * jnp.exp(-0.5 * residual**2)))


# Ioffe and Szegedy, "Batch normalization" (2015), over a batch in one pass
@case([[300.0, 1.0], [301.0, 2.0], [302.5, -1.0]], [[1.0, 0.5], [-2.0, 3.0], [0.25, 1.0]])
def batch_norm_in_one_pass(x):
    mean = jnp.mean(x, 0)
    y = (x - mean) / jnp.sqrt(jnp.mean(x**2, 0) - mean**2)
    return jnp.sum(y * jnp.asarray([[1.0, 2.0], [0.5, -1.0], [3.0, 0.5]], x.dtype))


# Andreas Maas; "tanhshrink" of the libraries
@case(1e-3, 0.5, 20.0, wide=[1e-7])
def shrunk_by_tanh(x):
    return x - jnp.tanh(x)


@case(20.0, -0.5, -120.0, 90.0, wide=[50.0])
def softplus_above_relu(x):
    return jnp.log(1 + jnp.exp(x)) - jnp.maximum(x, 0)


# --- densities, flows and samples ----------------------------------------------------------------------------------


# Loaiza-Ganem and Cunningham, "The continuous Bernoulli" (2019)
@case(0.4999, 0.1, 0.9, wide=[0.49999999])
def constant_of_the_continuous_bernoulli(p):
    return jnp.log(2 * jnp.arctanh(1 - 2 * p) / (1 - 2 * p))


# A scale by softplus, and the logarithm of its volume
@case(-50.0, 0.5, 100.0, -5.0, wide=[-300.0])
def log_scale_of_softplus(x):
    return jnp.log(jnp.log(1 + jnp.exp(x)))


# Ho et al., "Flow++" (2019): the volume of a mixture of logistic distributions
@case((0.5, [0.0, 1.0], [0.5, -1.0]), (60.0, [0.0, 1.0], [-1.0, -0.5]), (-80.0, [0.0, 1.0], [0.0, -0.2]))
def log_volume_of_logistic_mixture(x, mean, log_scale):
    s = jax.nn.sigmoid((x - mean) / jnp.exp(log_scale))
    return jnp.log(jnp.sum(jnp.asarray([0.3, 0.7], s.dtype) * s * (1 - s) / jnp.exp(log_scale)))


# Papamakarios, Pavlakou and Murray, "Masked autoregressive flow" (2017): a logit behind a sigmoid
@case(30.0, 0.5, -100.0, wide=[100.0])
def log_volume_of_a_logit(z):
    x = jax.nn.sigmoid(z)
    return -jnp.log(x) - jnp.log(1 - x)


# Maddison, Mnih and Teh, "The concrete distribution" (2017), appendix C
@case((1e-4, 0.05, 2.0), (0.5, 0.5, 2.0), (0.9999, 0.02, 0.5), wide=[(1e-9, 0.02, 2.0)])
def density_of_a_binary_concrete(x, temperature, alpha):
    top = jnp.log(temperature) + jnp.log(alpha) - (temperature + 1) * (jnp.log(x) + jnp.log(1 - x))
    return top - 2 * jnp.log(alpha * x**-temperature + (1 - x) ** -temperature)


# Sethuraman, "A constructive definition of Dirichlet priors" (1994)
@case([0.5, -1.0, 2.0], [30.0, 40.0, -60.0], [-120.0, 20.0, 100.0])
def third_piece_of_a_stick(z):
    v = 1 / (1 + jnp.exp(-z))
    return jnp.log(v[2] * (1 - v[0]) * (1 - v[1]))


# --- Gaussian processes and filters --------------------------------------------------------------------------------


# Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): two near points
@case((0.5, 0.501, 0.3, 0.301), (0.5, 2.0, 0.3, -1.0), wide=[(0.5, 0.50001, 0.3, 0.30001)])
def evidence_of_two_points(x, y, f, g):
    k = jnp.exp(-0.5 * (x - y) ** 2)
    return -0.5 * jnp.log(1 - k * k) - 0.5 * (f * f - 2 * k * f * g + g * g) / (1 - k * k)


@case((3.0, 1e6), (1.0, 2.0), (0.1, 1e4), wide=[(3.0, 1e13)])
def rational_quadratic_kernel(d, alpha):
    return (1 + d * d / (2 * alpha)) ** -alpha


# Ament et al., "Unexpected improvements to expected improvement" (2023)
@case(-8.0, 0.5, 3.0, -12.0, wide=[-35.0])
def logarithm_of_expected_improvement(z):
    return jnp.log(jnp.exp(-0.5 * z * z) / jnp.sqrt(2 * jnp.pi) + z * ndtr(z))


# Gretton et al., "A kernel two-sample test" (2012)
@case(([0.5, 1.5], [0.501, 1.499]), ([0.5, 1.5], [2.0, -1.0]), wide=[([0.5, 1.5], [0.500001, 1.499999])])
def maximum_mean_discrepancy(x, y):
    mean = lambda a, b: jnp.mean(jnp.exp(-0.5 * (a[:, None] - b[None, :]) ** 2))  # noqa: E731
    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


# Kalman (1960), five measurements more exact than the state
@case((1.0, 1e-4), (1.0, 0.5), (1e3, 1e-2), wide=[(1.0, 1e-9)])
def variance_after_five_measurements(p, r):
    return jax.lax.scan(lambda v, _: (v - v * v / (v + r), None), p, None, length=5)[0]


# --- schedules and spaces ------------------------------------------------------------------------------------------


# Loshchilov and Hutter, "SGDR" (2017)
@case(0.9999, 0.5, 0.01, wide=[0.99999999])
def cosine_annealing(t):
    return 0.5 * (1 + jnp.cos(jnp.pi * t))


# Nichol and Dhariwal, "Improved denoising diffusion probabilistic models" (2021)
@case((0.1, 1e-4), (0.5, 0.01), wide=[(0.1, 1e-9)])
def noise_of_the_cosine_schedule(t, step):
    keep = lambda s: jnp.cos((s + 0.008) / 1.008 * jnp.pi / 2) ** 2  # noqa: E731
    return 1 - keep(t + step) / keep(t)


# Ganea, Becigneul and Hofmann, "Hyperbolic neural networks" (2018)
@case([0.3, 0.4], [1e-25, 2e-25], [3.0, -4.0], wide=[[1e-200, 1e-200]])
def exponential_map_of_the_ball(v):
    length = jnp.sqrt(jnp.sum(v * v))
    return jnp.sum(jnp.tanh(length) * v / length)
