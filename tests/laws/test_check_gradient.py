"""The law of checking: a right rule is never refuted, a wrong one always, in random programs made from the cards.

A program is right because the derivatives of the cards are proved (test_cards.py), and a mutant is wrong because its
derivative differs by a thousandth or more everywhere in the window in which it is called.
"""

import numpy as np
import pytest

import qed
from tests.calculus.gradient_corpus.case import precision
from tests.laws.random_rules import draw_mutant, draw_program

QUICK, MANY = 4, 60
"""How many programs are drawn with every test, and in the slow part."""


def checked(program):
    with precision("float64" if program.double else "float32"):
        return qed.check_gradient(program.fun(), program.x())


def right(seed):
    program = draw_program(np.random.default_rng([0, seed]))
    answer = checked(program)
    assert answer.value.verdict in ("agrees", "undecided"), f"{program}\n{answer}"
    return answer.value.verdict


def wrong(seed):
    program, which = draw_mutant(np.random.default_rng([1, seed]))
    answer = checked(program)
    assert answer.value.verdict == "disagrees", f"{program}\n{answer}"
    blamed = {culprit.name for culprit in answer.value.culprits if culprit.verdict == "disagrees"}
    guilty = f"rule{which}"
    follows = {f"outer of {guilty}"}  # a rule that asks JAX for the derivative of a body with the wrong rule in it
    assert blamed - follows == {guilty} or (program.wrappers[which] == "outer" and blamed == follows), (
        f"{program}\n{answer}"
    )


def test_a_right_rule_is_not_refuted():
    assert [right(seed) for seed in range(QUICK)].count("agrees") >= QUICK - 1


def test_a_wrong_rule_is_refuted_and_no_other():
    for seed in range(QUICK):
        wrong(seed)


@pytest.mark.slow
def test_right_rules_are_not_refuted(law_examples):
    n = law_examples(MANY)
    undecided = [right(seed) for seed in range(QUICK, QUICK + n)].count("undecided")
    assert undecided <= 0.1 * n, "too often without an answer"


@pytest.mark.slow
def test_wrong_rules_are_refuted_and_no_others(law_examples):
    for seed in range(QUICK, QUICK + law_examples(MANY)):
        wrong(seed)
