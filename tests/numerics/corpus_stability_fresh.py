"""A second set of held-out unstable functions, by an author who had not read the rewriting; sources beside each.

Abbreviations: Higham, *Accuracy and Stability of Numerical Algorithms* (2002); Hamming, *Numerical Methods for
Scientists and Engineers* (1987), chapter 3; NIST, *Digital Library of Mathematical Functions*.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import erf, erfc, gammaln, i0

from tests.numerics.scoring import table

CASES, case = table("fresh")

# --- numerical analysis --------------------------------------------------------------------------------------------


# Sinnott, "Virtues of the haversine", Sky and Telescope 68 (1984)
@case((0.5, 0.5001, 1e-4), (1.0, -0.5, 2.0), wide=[(0.5, 0.50000001, 1e-8)])
def great_circle_by_arccosine(a, b, d):
    return jnp.arccos(jnp.sin(a) * jnp.sin(b) + jnp.cos(a) * jnp.cos(b) * jnp.cos(d))


# Kahan, "Miscalculating area and angles of a needle-like triangle" (2014)
@case((1.0, 1.0, 2e-3), (3.0, 4.0, 5.5), wide=[(1.0, 1.0, 1e-7)])
def angle_of_a_needle(a, b, c):
    return jnp.arccos((a * a + b * b - c * c) / (2 * a * b))


# Hochbruck and Ostermann, "Exponential integrators", Acta Numerica 19 (2010)
@case(1e-3, -0.01, 2.0, wide=[1e-7])
def second_function_of_exponential_integrators(x):
    return (jnp.exp(x) - 1 - x) / x**2


# NIST 4.21; Higham, section 1.7
@case(1e-3, 1e-5, 1.0, wide=[1.2e-8])
def versine_over_its_square(x):
    return (1 - jnp.cos(x)) / x**2


# Jackson, Classical Electrodynamics, chapter 11
@case(1e-4, 1e-2, 0.9, wide=[1e-9])
def kinetic_energy_by_speed(v):
    return 1 / jnp.sqrt(1 - v * v) - 1


# Hamming, problem 3.3.7 and its neighbours
@case(1e-3, 1e-2, 2.0, wide=[1e-7])
def cosecant_minus_cotangent(x):
    return 1 / jnp.sin(x) - 1 / jnp.tan(x)


# Kahan, "Branch cuts for complex elementary functions" (1987): the real part of a root
@case((-1.0, 1e-3), (2.0, 0.5), (-50.0, 0.25), wide=[(-1.0, 1e-8)])
def real_part_of_a_root(x, y):
    return jnp.sqrt(0.5 * (jnp.sqrt(x * x + y * y) + x))


# Kahan 1987: the real part of a logarithm
@case((1.0, 1e-3), (0.6, 0.8), (1e25, 1e25), wide=[(1.0, 1e-9)])
def real_part_of_a_logarithm(x, y):
    return jnp.log(jnp.sqrt(x * x + y * y))


# Press and others, Numerical Recipes, section 5.6, in the form x^2 + 2px = q
@case((1e3, 1e-2), (5.0, 3.0), (-2.0, 0.5), wide=[(1e7, 1e-3)])
def root_of_a_reduced_quadratic(p, q):
    return -p + jnp.sqrt(p * p + q)


# Nickel and Kiela, "Poincare embeddings" (2017), equation 1
@case(([0.1, 0.2], [0.101, 0.2]), ([0.5, -0.5], [-0.3, 0.6]), wide=[([0.1, 0.2], [0.10000001, 0.2])])
def distance_in_the_ball(u, v):
    ratio = jnp.sum((u - v) ** 2) / ((1 - jnp.sum(u * u)) * (1 - jnp.sum(v * v)))
    return jnp.arccosh(1 + 2 * ratio)


# Nickel and Kiela, "Learning continuous hierarchies in the Lorentz model" (2018)
@case(([0.3, 0.4], [0.301, 0.4]), ([1.0, 2.0], [-1.0, 0.5]), wide=[([0.3, 0.4], [0.3000001, 0.4])])
def distance_on_the_hyperboloid(x, y):
    return jnp.arccosh(jnp.sqrt(1 + jnp.sum(x * x)) * jnp.sqrt(1 + jnp.sum(y * y)) - jnp.sum(x * y))


# Planck, "Ueber das Gesetz der Energieverteilung im Normalspectrum" (1901)
@case(1e-3, 100.0, 2.0, wide=[1e-7, 800.0])
def law_of_planck(x):
    return x**3 / (jnp.exp(x) - 1)


# Abramowitz and Stegun (1964), 23.1.1: what the generating function of Bernoulli's numbers leaves
@case(1e-2, 0.1, 3.0, wide=[1e-5])
def remainder_of_bose_and_einstein(x):
    return 1 / (jnp.exp(x) - 1) - 1 / x + 0.5


# Smith, Modern Optical Engineering (2000): the sagitta of a lens
@case((100.0, 0.1), (2.0, 1.0), wide=[(1e4, 1e-3)])
def sagitta_of_a_lens(radius, height):
    return radius - jnp.sqrt(radius * radius - height * height)


# Murray and Dermott, Solar System Dynamics (1999), chapter 4
@case((1e3, 1e-2), (3.0, 0.5), wide=[(1e8, 1e-3)])
def tide(distance, size):
    return 1 / (distance - size) ** 2 - 1 / distance**2


# Bronshtein and Semendyayev, Handbook of Mathematics: the segment of a circle
@case((2.0, 0.01), (1.0, 2.0), wide=[(2.0, 1e-6)])
def area_of_a_segment(radius, angle):
    return 0.5 * radius**2 * (angle - jnp.sin(angle))


# Murray and Dermott 1999, section 2.4: Kepler's equation near a parabola
@case((0.01, 0.9999), (2.0, 0.3), wide=[(1e-4, 0.99999999)])
def anomaly_of_kepler(eccentric, e):
    return eccentric - e * jnp.sin(eccentric)


# Fisher, "On the probable error of a coefficient of correlation" (1921)
@case((0.5, 0.5001), (-0.9, 0.75), wide=[(0.5, 0.50000001)])
def difference_of_two_correlations(r, s):
    return jnp.arctanh(r) - jnp.arctanh(s)


# --- statistics ----------------------------------------------------------------------------------------------------


# Jones, "Kumaraswamy's distribution", Statistical Methodology 6 (2009)
@case((1e-4, 2.0, 3.0), (0.5, 1.5, 2.5), wide=[(1e-9, 2.0, 3.0)])
def log_distribution_of_kumaraswamy(x, a, b):
    return jnp.log(1 - (1 - x**a) ** b)


# Gupta and Kundu, "Generalized exponential distributions" (1999)
@case((30.0, 2.0), (1.0, 0.5), (0.1, 3.0), wide=[(60.0, 2.0)])
def log_survival_of_a_generalised_exponential(x, a):
    return jnp.log(1 - (1 - jnp.exp(-x)) ** a)


# Robert, "Simulation of truncated normal variables" (1995)
@case((5.0, 6.0), (-1.0, 0.5), (7.0, 7.5), wide=[(12.0, 13.0)])
def log_mass_between(a, b):
    return jnp.log(0.5 * (erf(b / jnp.sqrt(2.0)) - erf(a / jnp.sqrt(2.0))))


# Heckman, "Sample selection bias" (1979): the inverse of Mills' ratio
@case(15.0, 2.0, -3.0, wide=[40.0])
def inverse_ratio_of_mills(x):
    return jnp.exp(-0.5 * x * x) / (0.5 * erfc(x / jnp.sqrt(2.0)))


# Hilbe, Negative Binomial Regression (2011), section 8.2
@case((3.0, 1e5), (2.0, 1.5), wide=[(3.0, 1e12)])
def negative_binomial_constant(y, r):
    return gammaln(y + r) - gammaln(r) - y * jnp.log(r)


# McCullagh and Nelder, Generalized Linear Models (1989): binomial with a logit link
@case(30.0, -95.0, 0.5, wide=[800.0])
def binomial_of_a_logit(z):
    p = jax.nn.sigmoid(z)
    return -(3.0 * jnp.log(p) + 4.0 * jnp.log(1 - p))


# Yeo and Johnson, Biometrika 87 (2000)
@case((2.0, 1e-4), (1e-4, 0.5), (5.0, 2.0), wide=[(2.0, 1e-9)])
def power_transform_of_yeo_and_johnson(x, p):
    return ((x + 1) ** p - 1) / p


# Kullback, Information Theory and Statistics (1959), chapter 9
@case((1.0, 1.001), (2.0, 0.5), wide=[(1.0, 1.0000001)])
def divergence_of_two_scales(s, t):
    return jnp.log(t / s) + s * s / (2 * t * t) - 0.5


# Joanes and Gill, "Comparing measures of sample skewness" (1998), from raw moments
@case([300.0, 300.5, 301.25, 303.0], [0.5, -1.0, 2.0, 0.25], wide=[[1e5, 100000.5, 100001.25, 100003.0]])
def third_central_moment_from_raw_ones(x):
    m = jnp.mean(x)
    return jnp.mean(x**3) - 3 * m * jnp.mean(x**2) + 2 * m**3


# Lange, Little and Taylor, "Robust statistical modeling using the t distribution" (1989)
@case((1.0, 1e7), (3.0, 5.0), (0.1, 1e6), wide=[(1.0, 1e15)])
def exponent_of_students_t(t, nu):
    return -0.5 * (nu + 1) * jnp.log(1 + t * t / nu)


# Lin, "Divergence measures based on the Shannon entropy" (1991)
@case(([0.5, 0.5], [0.501, 0.499]), ([0.9, 0.1], [0.2, 0.8]), wide=[([0.5, 0.5], [0.5000001, 0.4999999])])
def divergence_of_jensen_and_shannon(p, q):
    m = 0.5 * (p + q)
    return 0.5 * jnp.sum(p * jnp.log(p / m)) + 0.5 * jnp.sum(q * jnp.log(q / m))


# McCullagh and Nelder 1989, section 2.3: the deviance of Poisson's distribution
@case((100.0, 100.1), (3.0, 5.0), wide=[(100.0, 100.00001)])
def deviance_of_poisson(y, mu):
    return 2 * (y * jnp.log(y / mu) - (y - mu))


# Cover and Thomas, Elements of Information Theory (2006): binary entropy, of a logit
@case(40.0, -40.0, 0.5, 12.0, wide=[-300.0])
def binary_entropy_of_a_logit(z):
    p = jax.nn.sigmoid(z)
    return -p * jnp.log(p) - (1 - p) * jnp.log(1 - p)


# Berkson, "Application of the logistic function to bio-assay" (1944): the logit undone
@case(20.0, -90.0, 1.0, wide=[60.0])
def logit_of_a_logistic(z):
    p = jax.nn.sigmoid(z)
    return jnp.log(p / (1 - p))


# Bishop, Pattern Recognition and Machine Learning (2006), chapter 9
@case((30.0, 0.0, 1.0), (0.5, -1.0, 2.0), wide=[(90.0, 0.0, 1.0)])
def mixture_of_two_normals(x, a, b):
    return jnp.log(0.3 * jnp.exp(-0.5 * (x - a) ** 2) + 0.7 * jnp.exp(-0.5 * (x - b) ** 2))


# Mardia and Jupp, Directional Statistics (2000): the constant of von Mises
@case(200.0, 2.0, wide=[1000.0])
def log_constant_of_von_mises(k):
    return jnp.log(i0(k))


# McCullagh, "Regression models for ordinal data" (1980)
@case((30.0, 0.5, 1.0), (0.25, -1.0, 2.0), (-25.0, 1.0, 3.0), wide=[(100.0, 0.5, 1.0)])
def log_probability_of_a_category(x, lower, upper):
    return jnp.log(jax.nn.sigmoid(upper - x) - jax.nn.sigmoid(lower - x))


# Johnson, Kotz and Balakrishnan 1 (1994), chapter 14: the variance of a lognormal variable
@case((0.5, 1e-3), (1.0, 0.5), wide=[(0.5, 1e-7)])
def variance_of_the_lognormal(mean, scale):
    return (jnp.exp(scale**2) - 1) * jnp.exp(2 * mean + scale**2)


# McCullagh and Nelder 1989, section 8.3: the deviance of the gamma distribution
@case((2.0, 2.01), (1.0, 3.0), wide=[(2.0, 2.000001)])
def deviance_of_gamma(y, mu):
    return 2 * ((y - mu) / mu - jnp.log(y / mu))


# --- machine learning ----------------------------------------------------------------------------------------------


# van den Oord, Li and Vinyals, "Representation learning with contrastive predictive coding" (2018)
@case([0.9, 0.5, -0.2], [0.1, 0.95, 0.3], wide=[[9.0, 5.0, -2.0]])
def contrastive_loss_at_a_temperature(s):
    scores = jnp.exp(s / 0.01)
    return -jnp.log(scores[0] / jnp.sum(scores))


# Szegedy and others, "Rethinking the Inception architecture" (2016), section 7
@case([0.0, 200.0, -50.0], [1.0, 2.0, 0.5], wide=[[0.0, 2000.0, -500.0]])
def smoothed_cross_entropy(z):
    return -jnp.sum(jnp.asarray([0.9, 0.05, 0.05], z.dtype) * jnp.log(jax.nn.softmax(z)))


# Haarnoja and others, "Soft actor-critic" (2018), appendix C
@case([20.0, -0.5], [0.1, 6.0], wide=[[40.0, -1.0]])
def log_volume_of_a_squashing(x):
    return jnp.sum(jnp.log(1 - jnp.tanh(x) ** 2))


# Salton, Automatic Text Processing (1989): the angle between two directions
@case(([1.0, 2.0], [1.001, 2.0]), ([1.0, 0.5], [-0.5, 2.0]), wide=[([1.0, 2.0], [1.0000001, 2.0])])
def angle_between(u, v):
    return jnp.arccos(jnp.dot(u, v) / (jnp.sqrt(jnp.dot(u, u)) * jnp.sqrt(jnp.dot(v, v))))


# Ba, Kiros and Hinton, "Layer normalization" (2016), with a variance in one pass
@case([1000.0, 1000.5, 1001.25, 1003.0], [0.5, -1.0, 2.0, 0.25], wide=[[1e7, 1e7 + 0.5, 1e7 + 1.25, 1e7 + 3.0]])
def normalised_layer(x):
    mean = jnp.mean(x)
    scaled = (x - mean) / jnp.sqrt(jnp.mean(x * x) - mean * mean)
    return jnp.dot(scaled, jnp.asarray([1.0, -0.5, 0.25, 2.0], x.dtype))


# Scholkopf and Smola, Learning with Kernels (2002): a Gaussian kernel by expanded squares
@case(([300.0, 400.0], [300.5, 400.25]), ([0.5, 1.0], [1.5, 0.25]), wide=[([3e7, 4e7], [3e7 + 0.5, 4e7 + 0.25])])
def gaussian_kernel_expanded(x, y):
    return jnp.exp(-0.5 * (jnp.dot(x, x) + jnp.dot(y, y) - 2 * jnp.dot(x, y)))


# Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015)
@case(([0.0, -200.0], [-100.0, 0.0]), ([0.5, 1.0], [1.0, 0.0]), wide=[([0.0, -1000.0], [-900.0, 0.0])])
def distillation(a, b):
    p, q = jax.nn.softmax(a), jax.nn.softmax(b)
    return jnp.sum(p * (jnp.log(p) - jnp.log(q)))


# Vaswani and others, "Attention is all you need" (2017): the normaliser of a masked row
@case([100.0, 90.0, 300.0], [0.5, -1.0, 2.0], [-200.0, -210.0, 0.0], wide=[[1000.0, 900.0, 0.0]])
def masked_normaliser(s):
    return jnp.log(jnp.sum(jnp.where(jnp.asarray([True, True, False]), jnp.exp(s), 0.0)))


# Pearl, Probabilistic Reasoning in Intelligent Systems (1988), section 4.3.2
@case([1e-5, 2e-6, 3e-5], [0.5, 0.25, 0.125], wide=[[1e-12, 2e-13, 3e-12]])
def noisy_or(p):
    return jnp.log(1 - jnp.prod(1 - p))


# Rabiner, "A tutorial on hidden Markov models" (1989), section V.A: the forward recursion without its scaling
@case([-40.0, -41.0, -0.5, -44.0], [-1.0, -2.0, -0.5, -1.0], wide=[[-400.0, -410.0, -0.5, -40.0]])
def forward_recursion(e):
    def step(alpha, score):
        emission = jnp.exp(jnp.stack([score, 0.5 * score]))
        return (alpha @ jnp.asarray([[0.9, 0.1], [0.2, 0.8]], e.dtype)) * emission, None

    alpha, _ = jax.lax.scan(step, jnp.asarray([0.5, 0.5], e.dtype), e)
    return jnp.log(jnp.sum(alpha))


# Radford, "Fine-tuning CNN image retrieval" (2018): generalised mean pooling with a large exponent
@case([1e6, 2e5, 3.0], [1e-7, 2e-6, 1e-6], [1.0, 2.0, 0.5], wide=[[1e60, 2e60, 1.0]])
def norm_of_order_eight(x):
    return jnp.sum(jnp.abs(x) ** 8) ** 0.125


# Bennett, Journal of Computational Physics 22 (1976): a difference of free energies
@case(([100.0, 101.0], [99.0, 98.5]), ([0.5, 1.0], [0.25, 2.0]), wide=[([800.0, 801.0], [799.0, 790.0])])
def difference_of_free_energies(a, b):
    return jnp.log(jnp.mean(jnp.exp(a))) - jnp.log(jnp.mean(jnp.exp(b)))


# Mnih and others, "Asynchronous methods for deep reinforcement learning" (2016): the entropy of a policy
@case([0.0, -200.0, -1.0], [0.5, 1.0, -0.5], wide=[[0.0, -900.0, -1.0]])
def entropy_of_a_policy(z):
    p = jax.nn.softmax(z)
    return -jnp.sum(p * jnp.log(p))


# Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2017); near 1/e the outer logarithm is
# of what is nearly 1
@case(0.3679, 0.5, 1e-10, 0.999, wide=[0.36787944117])
def noise_of_gumbel(u):
    return -jnp.log(-jnp.log(u))


# --- gradients -----------------------------------------------------------------------------------------------------


# JAX's documentation, "Gradients contain NaN where using where"
@case(2.0, 0.5, -3.0)
def half_circle_behind_where(x):
    return jnp.where(jnp.abs(x) < 1, jnp.sqrt(1 - x * x), 0.0)


CONTROLS, control = table("fresh controls")


@control([1.0, 2.0, -3.0], [100.0, 0.0, 50.0])
def library_cross_entropy(z):
    return -jax.nn.log_softmax(z)[1]


@control([1.0, 2.0, -3.0], [500.0, 0.0, 50.0])
def shifted_by_hand(z):
    top = jax.lax.stop_gradient(jnp.max(z))
    return top + jnp.log(jnp.sum(jnp.exp(z - top)))


@control([1.0, 2.0, 4.0], [0.5, -3.0, 2.0])
def variance_in_two_passes(x):
    return jnp.mean((x - jnp.mean(x)) ** 2)


@control(1.0, 10.0, 1e4)
def roots_that_add(x):
    return jnp.sqrt(x + 1) + jnp.sqrt(x)


@control(0.5, 1.0, 3.0)
def positive_polynomial(x):
    return ((2.0 * x + 1.0) * x + 4.0) * x + 0.5


@control(1e-6, 0.5, 20.0)
def logarithm_beside_one(x):
    return jnp.log1p(x * x)


@control(-3.0, 0.5, 2.0)
def bell(x):
    return jnp.exp(-x * x)


@control(-30.0, 0.5, 20.0)
def soft_sign(x):
    return x / (1 + jnp.abs(x))


@control(1e-6, 0.5, 300.0)
def ratio_of_sums(x):
    return (1 + x * x) / (2 + x * x)


@control(([1.0, 2.0], [3.0, 4.0]), ([0.5, 0.25], [2.0, 8.0]))
def inner_product(x, y):
    return jnp.dot(x, y)


@control((3.0, 4.0), (1e-3, 2.0))
def library_hypotenuse(x, y):
    return jnp.hypot(x, y)


@control([0.5, 2.0, -0.25], [1.0, -8.0, 3.0])
def huber_penalty(x):
    size = jnp.abs(x)
    return jnp.sum(jnp.where(size < 1, 0.5 * x * x, size - 0.5))


@control([1.0, 2.0, 3.0], [1.0, 0.5, 2.0])
def product_in_a_scan(x):
    return jax.lax.scan(lambda c, a: (c * (1 + a * a), None), jnp.ones((), x.dtype), x)[0]


@control([1.0, 2.0, -3.0], [0.5, 0.25, 8.0])
def weighted_squares(x):
    return jnp.sum(jnp.asarray([1.0, 0.5, 3.0], x.dtype) * x**2)


@control(-2.0, 0.5, 30.0)
def squashed_and_raised(x):
    return 2.0 + jnp.tanh(x)
