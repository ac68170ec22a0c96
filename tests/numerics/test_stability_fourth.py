"""What `qed.stabilize` makes of the fourth set of held-out functions: what is not mended yet stands here by name.

Mended of the broken ones, after some of their classes had rules and longer numbers came: in float64 99 of 101 values
and 97 of 99 gradients. The held-out numbers, before that, are in `corpus_stability_fourth`.
"""

import pytest

import qed
from tests.numerics import scoring
from tests.numerics.corpus_stability import (
    CONTROLS,
    FOURTH,
    FOURTH_CONTROLS,
    FRESH,
    FRESH_CONTROLS,
    THIRD,
    THIRD_CONTROLS,
    UNSTABLE,
)

OPEN_VALUES = frozenset(
    """
    angle_by_the_trace area_by_gram batch_norm_in_one_pass circular_variance copula_of_clayton copula_of_gumbel
    current_through_a_membrane density_of_the_gaussian_copula distance_of_hellinger
    distribution_of_an_inverse_gaussian distribution_of_laplace divergence_by_determinants
    divergence_of_two_gammas divergence_of_two_laplaces divided_difference_of_exp entropy_of_tsallis
    entry_of_householder error_of_stirling evidence_of_two_points gradient_penalty growth_of_kelly
    hypergeometric_by_gammas invariant_mass_on_a_line loading_of_cox_ingersoll_and_ross
    log_volume_of_logistic_mixture logarithm_of_expected_improvement logarithm_of_tunnelling
    maximum_mean_discrepancy mixture_of_two_poissons no_event_in_an_inflated_count noise_of_the_cosine_schedule
    odds_ratio_preference partial_likelihood_with_ties posterior_of_a_state power_mean probit_likelihood
    quantile_of_tukey ratio_of_wallis real_part_of_a_quotient sum_of_squares_between_groups
    two_successes_or_more von_mises_and_fisher wrapped_cauchy
    """.split()
)
"""Functions whose value loses over 6 bits somewhere as written, and over 3 rewritten, in float32."""
OPEN_GRADIENTS = frozenset(
    """
    air_mass angle_by_the_trace annuity_as_two_perpetuities area_by_gram batch_norm_in_one_pass
    central_difference_of_a_root circular_variance constant_of_the_continuous_bernoulli copula_of_clayton
    copula_of_gumbel copula_of_joe cosine_of_givens current_through_a_membrane density_of_generalised_pareto
    density_of_the_gaussian_copula direction_or_zero distance_in_constant_elasticity distance_of_hellinger
    distribution_of_an_inverse_gaussian divergence_of_two_gammas divergence_of_two_laplaces
    divided_difference_of_exp entropy_of_tsallis entry_of_householder error_of_stirling evidence_of_two_points
    exponentially_modified_gaussian function_of_brillouin gradient_penalty growth_of_kelly
    hypergeometric_by_gammas invariant_mass_on_a_line loading_of_cox_ingersoll_and_ross
    log_volume_of_logistic_mixture logarithm_of_expected_improvement logarithm_of_tunnelling
    maximum_mean_discrepancy mean_resultant_length mixture_of_experts mixture_of_two_poissons
    no_event_in_an_inflated_count noise_contrastive normalised_sigmoid_attention odds_ratio_preference
    partial_correlation posterior_of_a_state potential_of_lennard_jones power_mean probit_likelihood
    quantile_of_tukey ratio_of_wallis real_part_of_a_quotient sum_of_squares_between_groups
    two_successes_or_more variance_after_five_measurements von_mises_and_fisher wrapped_cauchy
    """.split()
)
"""The same of their gradients."""
OPEN_IN_FLOAT64 = {
    "value": frozenset(["growth_of_kelly"]),
    "gradient": frozenset(["loading_of_cox_ingersoll_and_ross", "chebyshev_by_its_angle"]),
}
"""The same in float64; the last is at 3.7 bits of 53, left as written, where XLA optimizes nothing."""
WORSE = frozenset(
    """
    density_of_generalised_pareto density_of_the_gaussian_copula direct_preference direction_or_zero
    divergence_of_two_gammas error_of_stirling logarithm_of_expected_improvement no_event_in_an_inflated_count
    noise_contrastive normalised_sigmoid_attention posterior_of_a_state
    """.split()
)
"""What was seen to lose over a bit more somewhere than as written: promised never, and not yet held."""
TOUCHED = frozenset(
    """
    price_of_a_digital_option variance_by_welford
    """.split()
)
"""Controls whose value was seen to change in its last place."""

GROUPS = sorted({case.group for case in FOURTH.values()})


def test_the_fourth_set_is_of_others():
    assert len(FOURTH) >= 120 and len(FOURTH_CONTROLS) >= 20
    others = {name for table in (UNSTABLE, CONTROLS, FRESH, FRESH_CONTROLS, THIRD, THIRD_CONTROLS) for name in table}
    assert not (set(FOURTH) | set(FOURTH_CONTROLS)) & others and not set(FOURTH) & set(FOURTH_CONTROLS)
    assert set(FOURTH) >= OPEN_VALUES | OPEN_GRADIENTS | WORSE and set(FOURTH_CONTROLS) >= TOUCHED


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("group", GROUPS)
def test_what_of_the_fourth_set_is_not_mended_is_known(group, dtype):
    in_float32 = {"value": OPEN_VALUES, "gradient": OPEN_GRADIENTS}
    cases = [(name, case) for name, case in FOURTH.items() if case.group == group]
    for name, case in cases[2 * (dtype == "float32") :: 4]:  # by turns
        verdict = scoring.verdict(case, dtype, qed.stabilize(case.fun), scoring.truths(case, dtype))
        for what, known in (in_float32 if dtype == "float32" else OPEN_IN_FLOAT64).items():
            assert name in known or not verdict.broken(what) or verdict.fixed(what), verdict
            assert name in WORSE or not verdict.worse(what), verdict


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_controls_of_the_fourth_set_are_left_alone(dtype):
    for name, case in FOURTH_CONTROLS.items():
        value, gradient = scoring.same_bits(case, dtype, stable := qed.stabilize(case.fun))
        assert value or name in TOUCHED, name
        if not gradient:
            assert not scoring.verdict(case, dtype, stable, scoring.truths(case, dtype)).worse("gradient"), name
