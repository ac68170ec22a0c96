"""Every loss of optax.losses, summed over its batch, as a function of the predictions, the targets being data.

(convex_kl_divergence is the deprecated name of generalized_kl_divergence; unwrapped it does not warn.)
"""

import inspect

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from optax import losses

from tests.calculus.corpus_shapes import AFFINE, CONVEX, INFINITY, NEITHER, Case, draw, one_hot, over, signs

R3, R34 = over(-INFINITY, INFINITY, 3), over(-INFINITY, INFINITY, 3, 4)
SCORES, SOME = over(-4.0, 4.0, 3), over(-4.0, 4.0, 2, 3)
TARGETS, LABELS, BITS = draw(3, seed=40), signs(3, seed=40), np.float32([0, 1, 1])
ONE_HOT, CLASSES = one_hot(3, 4), np.int32([0, 3, 1])
P = np.float32([[0.125, 0.125, 0.25, 0.5], [0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.125, 0.125]])
PAIR, ANCHORS = over(0.25, 2.0, 2), over(-2.0, 2.0, 1, 2)


def total(loss, **options):
    """The loss with its first argument free, summed."""

    def summed(x, *targets):
        return jnp.sum(loss(x, *targets, **options))

    summed.__name__ = loss.__name__
    return summed


def connectionist(x):
    none = jnp.zeros((1, 2)), jnp.int32([[1]]), jnp.zeros((1, 1))
    return jnp.sum(losses.ctc_loss(x, *none))


def connectionist_with_probabilities(x):
    none = jnp.zeros((1, 2)), jnp.int32([[1]]), jnp.zeros((1, 1))
    return jnp.sum(losses.ctc_loss_with_forward_probs(x, *none)[0])


def triplets(x):
    return jnp.sum(losses.triplet_margin_loss(x, jnp.float32([[1, 0]]), jnp.float32([[-1, 0]])))


def fenchel_young(x, y):
    return jnp.sum(losses.make_fenchel_young_loss(logsumexp)(x, y))


OPTAX = [
    Case("binary_dice_loss", NEITHER, total(losses.binary_dice_loss), SOME, "a ratio of sigmoids", (one_hot(2, 3),)),
    Case(
        "convex_kl_divergence",
        CONVEX,
        total(inspect.unwrap(losses.convex_kl_divergence)),
        R34,
        "exp minus affine",
        (P,),
    ),
    Case(
        "cosine_distance",
        NEITHER,
        total(losses.cosine_distance),
        PAIR,
        "constant along rays, not affine",
        (np.float32([1, 2]),),
    ),
    Case(
        "cosine_similarity",
        NEITHER,
        total(losses.cosine_similarity),
        PAIR,
        "constant along rays, not affine",
        (np.float32([1, 2]),),
    ),
    Case("ctc_loss", NEITHER, connectionist, over(-4.0, 4.0, 1, 2, 2), "a difference of two log-sum-exps"),
    Case(
        "ctc_loss_with_forward_probs",
        NEITHER,
        connectionist_with_probabilities,
        over(-4.0, 4.0, 1, 2, 2),
        "a difference of two log-sum-exps",
    ),
    Case("dice_loss", NEITHER, total(losses.dice_loss), SOME, "a ratio of softmaxes", (one_hot(2, 3),)),
    Case(
        "fenchel_young_loss", CONVEX, fenchel_young, over(-INFINITY, INFINITY, 4), "log-sum-exp minus affine", (P[0],)
    ),
    Case("generalized_kl_divergence", CONVEX, total(losses.generalized_kl_divergence), R34, "exp minus affine", (P,)),
    Case("hinge_loss", CONVEX, total(losses.hinge_loss), R3, "a maximum of affine", (LABELS,)),
    Case("huber_loss", CONVEX, total(losses.huber_loss), R3, "slope clip(r, -1, 1) increases", (TARGETS,)),
    Case("kl_divergence", AFFINE, total(losses.kl_divergence), R34, "affine in the log-predictions", (P,)),
    Case(
        "kl_divergence_with_log_targets",
        AFFINE,
        total(losses.kl_divergence_with_log_targets),
        R34,
        "affine in the log-predictions",
        (np.log(P),),
    ),
    Case("l2_loss", CONVEX, total(losses.l2_loss), R3, "squares", (TARGETS,)),
    Case("log_cosh", CONVEX, total(losses.log_cosh), R3, "sech² > 0", (TARGETS,)),
    Case(
        "multiclass_generalized_dice_loss",
        NEITHER,
        total(losses.multiclass_generalized_dice_loss),
        SOME,
        "a ratio of softmaxes",
        (one_hot(2, 3),),
    ),
    Case("multiclass_hinge_loss", CONVEX, total(losses.multiclass_hinge_loss), R34, "a maximum of affine", (CLASSES,)),
    Case(
        "multiclass_perceptron_loss",
        CONVEX,
        total(losses.multiclass_perceptron_loss),
        R34,
        "a maximum minus affine",
        (CLASSES,),
    ),
    Case(
        "multiclass_sparsemax_loss",
        CONVEX,
        total(losses.multiclass_sparsemax_loss),
        R34,
        "a Fenchel-Young loss",
        (CLASSES,),
    ),
    Case("ntxent", NEITHER, total(losses.ntxent), over(0.25, 2.0, 3, 2), "cosines", (np.int32([0, 0, 1]),)),
    Case("perceptron_loss", CONVEX, total(losses.perceptron_loss), R3, "a maximum of affine", (LABELS,)),
    Case(
        "poly_loss_cross_entropy",
        NEITHER,
        total(losses.poly_loss_cross_entropy),
        over(-4.0, 4.0, 1, 3),
        "2 (1 - p) is not convex and outweighs",
        (one_hot(1, 3),),
    ),
    Case(
        "ranking_softmax_loss", CONVEX, total(losses.ranking_softmax_loss), R34, "log-sum-exp minus affine", (ONE_HOT,)
    ),
    Case(
        "safe_softmax_cross_entropy",
        CONVEX,
        total(losses.safe_softmax_cross_entropy),
        R34,
        "log-sum-exp minus affine",
        (ONE_HOT,),
    ),
    Case(
        "sigmoid_binary_cross_entropy",
        CONVEX,
        total(losses.sigmoid_binary_cross_entropy),
        R3,
        "softplus minus affine",
        (BITS,),
    ),
    Case("sigmoid_focal_loss", NEITHER, total(losses.sigmoid_focal_loss), SCORES, "(1 - p)² bends it back", (BITS,)),
    Case("softmax_cross_entropy", CONVEX, total(losses.softmax_cross_entropy), R34, "log-sum-exp minus affine", (P,)),
    Case(
        "softmax_cross_entropy_with_integer_labels",
        CONVEX,
        total(losses.softmax_cross_entropy_with_integer_labels),
        R34,
        "log-sum-exp minus a coordinate",
        (CLASSES,),
    ),
    Case("sparsemax_loss", CONVEX, total(losses.sparsemax_loss), R3, "a Fenchel-Young loss", (np.int32([0, 1, 1]),)),
    Case("squared_error", CONVEX, total(losses.squared_error), R3, "squares", (TARGETS,)),
    Case("triplet_margin_loss", NEITHER, triplets, ANCHORS, "a norm minus a norm"),
]
