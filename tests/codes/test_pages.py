"""Each code has a page with the same headings, whose example runs and prints exactly what the page says."""

import pytest

from docs.pages import CODE_PAGES, examples, head
from qed.findings import CODES

HEADINGS = ["Meaning", "Why it happens", "Smallest example", "What to do", "How qed knows", "References"]


def test_every_code_has_a_page_and_every_page_a_code():
    assert {page.stem for page in CODE_PAGES} == set(CODES)


@pytest.mark.parametrize("page", CODE_PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_title_and_headings(page):
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert text.startswith(head(CODES[page.stem])), "run python -m docs.pages"
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS
    assert max(map(len, lines)) <= 115


@pytest.mark.parametrize("page", CODE_PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page):
    namespace, found = {}, list(examples(page))
    assert found
    for example in found:
        assert example.output is not None, f"{page.name}:{example.line} states no output"
        assert example.run(namespace) == example.output
