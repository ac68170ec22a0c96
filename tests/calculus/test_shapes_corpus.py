"""The corpus of shapes: its labels, by an independent sampler."""

import dataclasses
from collections import Counter

import pytest

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, NEITHER
from tests.calculus.corpus_shapes_all import CASES, PARTS
from tests.calculus.corpus_shapes_sampler import contradiction

FEW = [name for i, name in enumerate(CASES) if i % 20 == 0]


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
    assert labelled(CASES) == {}


def test_the_sampler_contradicts_every_wrong_label():
    for label in (CONVEX, CONCAVE, AFFINE, NEITHER):
        case = next(case for case in CASES.values() if case.label == label)
        for other in {CONVEX, CONCAVE, AFFINE, NEITHER} - {label}:
            assert contradiction(dataclasses.replace(case, label=other)) is not None, (case.name, other)
