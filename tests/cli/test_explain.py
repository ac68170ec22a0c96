"""`qed explain` finds each page under every spelling, lists what there is, and waits for nothing."""

import io
import subprocess
import sys

import pytest

from qed.cli import explain as module
from qed.cli.explain import code_page, contents, explain, show, topic_page
from qed.errors import QedError
from qed.findings import CODES
from qed.topics import CHAPTERS, TOPICS


@pytest.mark.parametrize("text", ["learning-rate", "learning rate", "Learning_Rate", " LEARNING RATE "])
def test_a_topic_is_found_in_every_spelling(text):
    assert explain(text).startswith("# learning rate\n")


@pytest.mark.parametrize("text", ["QED201", "qed201", "QED-201", "201", "overflow", "Overflow"])
def test_a_code_is_found_by_number_and_name(text):
    assert explain(text).startswith("# QED201 overflow\n")


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.slug)
def test_every_topic_is_known(topic):
    text = explain(topic.name)
    assert text.startswith(f"# {topic.name}\n")
    assert ("not written yet" in text) == (topic_page(topic) is None)


def test_known_without_a_page_is_not_the_same_as_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    monkeypatch.setattr(module, "_TOPIC_FOLDERS", (tmp_path,))
    assert "QED201 overflow" in explain("QED201")
    assert "known; its page is not written yet" in explain("QED201")
    assert "known; its page is not written yet" in explain("learning rate")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("QED999", "lists them all"),
        ("299", "QED213"),
        ("zzz", "lists them all"),
        ("nosuch", "lists them all"),
        ("learning rte", "learning-rate"),
        ("overflw", "QED201"),
        ("rate", "learning-rate"),
        ("minimize", "steepest-ascent"),
        ("normalizer", "qed explain "),
    ],
)
def test_the_unknown_is_an_error_with_the_nearest_names(text, near):
    with pytest.raises(QedError) as caught:
        explain(text)
    assert caught.value.code == "QED000"
    assert near in caught.value.instead
    assert ("no code" in caught.value.what) == text.endswith(("999", "299"))


def test_without_an_argument_all_chapters_topics_and_codes_are_listed_in_order():
    text = explain()
    assert text == explain("") == contents()
    places = [text.index(f"\n{chapter.title}\n") for chapter in CHAPTERS]
    places += [text.index(f"\n  {code.code}  {code.name}") for code in CODES.values()]
    assert places == sorted(places)
    for topic in TOPICS.values():
        assert f"\n  {topic.name}  " in text


def test_every_code_has_its_page():
    assert all(code_page(code) for code in CODES.values())


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_gets_the_source_and_a_terminal_the_rendered_page():
    pipe, terminal = io.StringIO(), Terminal()
    show("QED201", pipe)
    show("QED201", terminal)
    assert pipe.getvalue() == explain("QED201")
    assert "## Meaning" not in terminal.getvalue()
    assert "Meaning" in terminal.getvalue()


def test_nothing_numerical_is_imported():
    script = (
        "import sys; from qed.cli.explain import show; show('QED201'); show()\n"
        "heavy = {'jax', 'jaxlib', 'numpy', 'scipy', 'optax', 'rich', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("# QED201 overflow")
