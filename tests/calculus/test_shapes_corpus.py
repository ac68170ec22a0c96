"""The corpus of shapes: its labels, by an independent sampler, and the verdicts of `qed.convexity`."""

import dataclasses
from collections import Counter

import pytest

import qed
from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, NEITHER
from tests.calculus.corpus_shapes_all import CASES, PARTS
from tests.calculus.corpus_shapes_judge import judged
from tests.calculus.corpus_shapes_sampler import contradiction

FEW = [name for i, name in enumerate(CASES) if i % 32 == 0]
BY_TURNS = [name for i, name in enumerate(CASES) if i % 8 == 1]
"""Every eighth function; benchmarks/convexity.py asks all of them."""

DECIDED = 0.92


def labelled(names):
    wrong = {name: contradiction(CASES[name]) for name in names if CASES[name].sampled}
    return {name: why for name, why in wrong.items() if why is not None}


def test_the_corpus_is_large_and_of_every_kind():
    assert len(CASES) == sum(len(cases) for cases in PARTS.values()) >= 150
    labels = Counter(case.label for case in CASES.values())
    assert set(labels) == {CONVEX, CONCAVE, AFFINE, NEITHER} and min(labels.values()) >= 8
    assert all(case.why for case in CASES.values())


def test_labels_of_a_few_by_segments():
    assert labelled(FEW) == {}


@pytest.mark.slow
def test_labels_by_segments():
    assert labelled(BY_TURNS) == {}


def test_the_sampler_contradicts_every_wrong_label():
    for label in (CONVEX, CONCAVE, AFFINE, NEITHER):
        case = next(case for case in CASES.values() if case.label == label)
        for other in {CONVEX, CONCAVE, AFFINE, NEITHER} - {label}:
            assert contradiction(dataclasses.replace(case, label=other)) is not None, (case.name, other)


def verdicts(names):
    """The worth of each answer by name; a few of those that `convexity` has verified are checked once more."""
    found = {}
    for k, name in enumerate(names):
        case = CASES[name]
        answer = qed.convexity(case.fun, case.box, *case.args)
        if not answer.unknown and k % 6 == 0:
            assert answer.check(), name
        found[name] = judged(case, str(answer.standing), str(answer.shape))
    return found


@pytest.mark.slow
def test_no_verdict_on_a_few_is_wrong():
    worth = verdicts(FEW)
    assert [name for name, each in worth.items() if each == "wrong"] == []
    assert sum(each != "unknown" for each in worth.values()) >= 0.75 * len(FEW)


@pytest.mark.slow
def test_no_verdict_is_wrong_and_nearly_all_are_decided():
    found = verdicts(BY_TURNS)
    assert [name for name, worth in found.items() if worth == "wrong"] == []
    undecided = sorted(name for name, worth in found.items() if worth == "unknown")
    assert len(undecided) <= (1 - DECIDED) * len(found), undecided
    for part, least in (("later ", 10), ("other ", 15), ("fifth ", 10), ("sixth ", 10), ("seventh ", 5)):
        held = [name for name in found if name.startswith(part)]
        assert len(held) >= least
        assert len(set(undecided) & set(held)) <= (1 - DECIDED) * len(held), undecided
