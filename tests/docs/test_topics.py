"""Each topic page runs, prints what it says, and its predictions agree with what was observed."""

import pytest

from docs import tables
from docs.pages import TOPIC_PAGES, comparisons, examples, rewrite
from qed import _lazy
from qed.topics import BUILT, CHAPTERS, TOPICS

HEADINGS = [
    "Why",
    "Example",
    "Prediction, then observation",
    "When it is false",
    "The mistake people make",
    "References",
]


def test_the_chapters_are_in_their_order():
    assert [chapter.title for chapter in CHAPTERS] == ["Calculus", "Optimization", "Integration", "Gotchas"]
    assert [len(chapter.topics) for chapter in CHAPTERS] == [11, 11, 5, 5]


def test_every_page_is_of_a_topic():
    assert {page.stem for page in TOPIC_PAGES} <= set(TOPICS)


def test_built_verbs_are_the_public_ones():
    mentioned = {verb for topic in TOPICS.values() for verb in topic.verbs}
    assert mentioned & set(_lazy.PUBLIC) == BUILT


@pytest.mark.parametrize("path", tables.FILES, ids=lambda path: path.name)
def test_the_table_is_current(path):
    text = path.read_text(encoding="utf-8")
    assert tables.with_table(text, tables.FILES[path]) == text, "run python -m docs.tables"


@pytest.mark.parametrize("page", TOPIC_PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_headings(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {TOPICS[page.stem].name}"
    assert lines[2].startswith("**")
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS
    assert max(map(len, lines)) <= 115


@pytest.mark.parametrize("page", TOPIC_PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says_and_its_predictions_hold(page):
    namespace, compared = {}, []
    for example in examples(page):
        printed = example.run(namespace)
        assert printed == (example.output or "")
        compared += comparisons(printed)
    assert len(compared) >= 3
    assert [comparison for comparison in compared if not comparison.holds] == []


def test_a_comparison_can_fail():
    good, bad, zero = comparisons(
        "a: predicted 1.5, observed 1.5004, within 1e-3\n"
        "b: predicted 1.5, observed 1.6, within 1e-3\n"
        "c: predicted 0, observed 1e-9, within 1e-6"
    )
    assert (good.holds, bad.holds, zero.holds) == (True, False, True)


def test_rewriting_a_page_fills_in_what_it_prints(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n\n```python\nx = 2\n```\n\nb\n\n```python\nprint(x)\n```\n\n```text\n3\n```\n")
    rewrite(page)
    assert [example.output for example in examples(page)] == [None, "2\n"]
