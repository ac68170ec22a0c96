"""The text of an answer: the first screen, unfolded reasons, and layouts that must not break."""

from __future__ import annotations

import linecache
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.answer import Advice, Answer, Enclosed, Exact, Measured, Missing, Reason, Standing, Trial
from qed.findings import CODES, Finding
from qed.report import exit_code
from qed.report.text import rich_text, terminal_width, text, window, wrap
from qed.span import Span, display_width

SOURCE = ["\n"] * 7 + ["    p = jnp.exp(z)\n"]


@pytest.fixture
def span():
    name = "/home/me/train.py"
    linecache.cache[name] = (1, None, SOURCE, name)
    yield Span(name, 8, 8, 8, 18, "loss")
    del linecache.cache[name]


@pytest.fixture
def wine(span) -> Answer:
    """The worked example: a loss that overflows, and a step that is too large besides."""
    finite = Answer(
        "loss is finite at step 1",
        "REFUTED",
        findings=[Finding("QED201", "exp overflows", span, {"note": "inf in 178 of 178 rows"})],
        reasons=[
            Reason("range of float32", text="z reaches 20323.7 (row 18, class 0); float32 exp ends at 88.72"),
            Reason("propagation", role="then", text="line 9  inf / inf = nan  ->  line 10  log(nan)"),
            Reason("logsumexp", role="instead", text="return jnp.mean(jax.nn.logsumexp(z, 1))"),
            Reason("identity", role="instead", text="equal to yours for all finite z", standing="PROVED"),
        ],
    )
    eigenvalue = Reason(
        "largest eigenvalue",
        "H v = λ v",
        text="λmax = 2.2195e+05 ± 0.0001%  (5 Hessian products)",
        standing="MEASURED",
        observed=221947.0,
        unpredicted="an eigenvalue is measured",
        premises=[Reason("residual bound", "|λ - θ| <= ||H v - θ v||", predicted=0.31, observed=0.02)],
    )
    step = Answer(
        "step 0.1 lowers the loss",
        "REFUTED",
        findings=[Finding("QED401", "rewritten loss, one step from w: 1.099 -> 6777")],
        reasons=[
            Reason("stability", role="step", text="0.1  =  11097 x the limit 2/λmax = 9.01e-06"),
            eigenvalue,
        ],
    )
    gradient = Answer("the gradient at w is finite", "MEASURED")
    edge = Answer("the momentum is kept", "REFUTED", findings=[Finding("QED402", "1.01 times the limit")])
    return Answer(
        "the loss stays finite and falls",
        "REFUTED",
        answers=[finite, step, gradient, edge],
        advice=[
            Advice("logsumexp + standardise columns, keep 0.1", "- a\n+ b", Trial(400, 1.0986, 0.03996, 0, True)),
            Advice("logsumexp alone, keep 0.1", trial=Trial(400, 1.0986, 6600.0, 199, True)),
        ],
        missing=[Missing("behaviour after 400 steps", cost=12.0), Missing("mini-batches", "pass --batches")],
        headline="The loss becomes nan after 1 step. Two independent causes; the first hides the second.",
        subject="loss(w)   train.py:6   42 parameters, 178 rows, float32",
        meta={"seconds": 2.94, "at": "w"},
    )


SCREEN = """\
loss(w)   train.py:6   42 parameters, 178 rows, float32                  2.9 s

  The loss becomes nan after 1 step. Two independent causes; the first hides
  the second.

QED201 overflow                    claim "loss is finite at step 1"    REFUTED
  train.py:8      p = jnp.exp(z)
                      ^^^^^^^^^^   inf in 178 of 178 rows
  because  z reaches 20323.7 (row 18, class 0); float32 exp ends at 88.72
  then     line 9  inf / inf = nan  ->  line 10  log(nan)
  instead  return jnp.mean(jax.nn.logsumexp(z, 1))
           equal to yours for all finite z                              PROVED

QED401 step-beyond-stability       claim "step 0.1 lowers the loss"    REFUTED
  step     0.1  =  11097 x the limit 2/λmax = 9.01e-06 (λmax: steepest
           curvature)
  because  λmax = 2.2195e+05 ± 0.0001%  (5 Hessian products, about the cost of
           two gradients each)                                        MEASURED

Advice, each tried for 400 steps from w:                   loss  rises  finite
  1 logsumexp (log of a sum of exponentials)   1.099 -> 0.03996      0     yes
    + standardise columns, keep 0.1
  2 logsumexp alone, keep 0.1                     1.099 -> 6600    199     yes

Not known: behaviour after 400 steps (cost: 12 s)
           mini-batches (to settle it: pass --batches)

Checked:
  the gradient at w is finite                                         MEASURED
  the momentum (each step keeps part of the step before) is kept (QED402
    beyond-local-limit: 1.01 times the limit)                          REFUTED

qed explain QED201 | qed explain QED401 | qed explain QED402 | --why unfolds
the reasons
3 refuted, 1 proved, 2 measured, 2 not known                       exit code 1"""


def test_the_first_screen(wine: Answer) -> None:
    assert text(wine, width=78, exit_code=True) == SCREEN


def test_why_unfolds_the_tree_of_reasons(wine: Answer) -> None:
    unfolded = text(wine, width=90, why=True)
    for line in (
        "    rule       largest eigenvalue",
        "    formula    H v = λ v",
        "    predicted  nothing: an eigenvalue is measured",
        "    observed   221947",
        "    because    |λ - θ| <= ||H v - θ v||",
        "      rule       residual bound (how far the eigenvalue can be off)",
        "      predicted  0.31",
        "      observed   0.02",
        "  witness  exp overflows",
        "      - a",
    ):
        assert line in unfolded.splitlines(), line
    assert "--why" not in unfolded


def test_a_shared_reason_is_unfolded_once() -> None:
    lemma = Reason("lemma", premises=[Reason("axiom", text="the axiom")])
    answer = Answer("c", "MEASURED", reasons=[Reason("left", premises=[lemma]), Reason("right", premises=[lemma])])
    unfolded = text(answer, width=80, why=True)
    assert unfolded.count("the axiom") == 1 and "lemma (as above)" in unfolded


def test_deep_reasons_end_somewhere() -> None:
    reason = Reason("axiom 0")
    for depth in range(1, 400):
        reason = Reason(f"lemma {depth}", premises=[reason])
    unfolded = text(Answer("c", "MEASURED", reasons=[reason]), width=80, why=True)
    assert "its own reasons are in the JSON" in unfolded
    assert max(map(display_width, unfolded.splitlines())) <= 80


def test_a_healthy_answer_lists_what_was_checked() -> None:
    parts = [
        Answer("the loss is finite at each of 5 steps", "MEASURED"),
        Answer("so is the gradient", "MEASURED"),
    ]
    answer = Answer("nothing stands against this run", "MEASURED", answers=parts, headline="Nothing found.")
    assert text(answer, width=60, exit_code=True) == (
        "  Nothing found.\n\nChecked:\n"
        "  the loss is finite at each of 5 steps             MEASURED\n"
        "  so is the gradient                                MEASURED\n\n"
        "2 measured                                       exit code 0"
    )


def test_an_unknown_part_says_what_is_missing_and_where(span) -> None:
    missing = Missing("no rule in curvature", primitive="cumlogsumexp", span=span, settle="bound it by hand")
    answer = Answer("all", "REFUTED", answers=[Answer("the loss is convex", "UNKNOWN", missing=[missing])])
    line = "Not known: the loss is convex: no rule in curvature: cumlogsumexp (train.py:8)"
    assert text(answer, width=130).startswith(f"{line} (to settle it: bound it")


def test_proved_names_its_arithmetic() -> None:
    answer = Answer("f is convex", "PROVED", arithmetic="reals", certificate=object())
    assert text(answer, width=60).startswith('claim "f is convex"' + " " * 27 + "PROVED (reals)")


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (9e-6, Measured(1e-8, "Lanczos"), "9e-06 ± 1e-08"),
        (2.0, Exact(), "2 exactly"),
        (None, Enclosed(1, 2), "in [1, 2]"),
    ],
)
def test_a_single_answer_shows_its_value(value, error, shown: str) -> None:
    assert f"  value    {shown}" in text(Answer("c", "MEASURED", value, error=error), width=60, encoding="utf-8")


def test_findings_of_the_whole_are_shown_once(span) -> None:
    finding = Finding("QED201", "inf in 3 rows", span)
    own = Finding("QED403", "1.1 -> 2.0")
    whole = Answer("c", "REFUTED", findings=[finding, own], answers=[Answer("p", "REFUTED", findings=[finding])])
    shown = text(whole, width=80)
    assert shown.count("QED201 overflow") == 1 and "QED403 loss-rises" in shown and "1.1 -> 2.0" in shown


def test_further_findings_of_one_part_are_listed(span) -> None:
    part = Answer("p", "REFUTED", findings=[Finding("QED201", "inf"), Finding("QED204", "inf - inf", span)])
    assert "  also     QED204 nan-born: train.py:8: inf - inf" in text(part, width=80)


def test_advice_without_a_trial_shows_its_standing() -> None:
    shown = text(Answer("c", "MEASURED", advice=[Advice("logsumexp", standing="PROVED EQUAL")]), width=60)
    assert any(line.endswith("PROVED EQUAL") for line in shown.splitlines())


def test_trials_of_different_lengths_show_their_steps() -> None:
    advice = [Advice(f"step {n}", trial=Trial(n, 1.0, float("nan"), 0, False)) for n in (10, 400)]
    lines = text(Answer("c", "MEASURED", advice=advice), width=78).splitlines()
    assert any("step 400" in line and line.endswith("1 -> nan      0      no    400") for line in lines)


# -- exit codes


@pytest.mark.parametrize(("code", "expected"), [("QED201", 1), ("QED403", 1), ("QED402", 0), ("QED209", 0)])
def test_exit_codes(code: str, expected: int) -> None:
    part = Answer("p", "REFUTED", findings=[Finding(code, "m")])
    assert exit_code(Answer("c", "REFUTED", answers=[part])) == exit_code(part) == expected


def test_strict_exit_code_where_all_is_unknown() -> None:
    unknown = Answer("c", "UNKNOWN", missing=[Missing("m")])
    assert (exit_code(unknown), exit_code(unknown, strict=True)) == (0, 3)
    assert exit_code(Answer("c", "REFUTED", answers=[unknown, Answer("d", "MEASURED")]), strict=True) == 0


# -- layouts that must not break

words = st.text(max_size=40) | st.sampled_from(["λmax", "x" * 200, "損失" * 30, "\x1b[31mred", "a\nb", "a\tb", ""])
numbers = st.floats()
spans = st.builds(Span, words, st.integers(1, 9), st.integers(0, 200), st.none(), st.integers(0, 300) | st.none())
reasons = st.recursive(
    st.builds(
        Reason,
        words,
        words,
        words,
        numbers,
        numbers,
        span=st.none() | spans,
        role=words.map(lambda word: word[:9]),
    ),
    lambda below: st.builds(Reason, words, premises=st.lists(below, max_size=3)),
    max_leaves=6,
)
findings = st.builds(Finding, st.sampled_from(list(CODES)), words, st.none() | spans)
trials = st.builds(Trial, st.integers(0, 500), numbers, numbers, st.integers(0, 500), st.booleans())
missing = st.builds(Missing, words, st.none() | words, span=st.none() | spans, cost=st.none() | numbers | words)
parts = st.builds(
    Answer,
    words,
    st.sampled_from(Standing),
    numbers | words | st.none(),
    reasons=st.lists(reasons, max_size=3),
    findings=st.lists(findings, max_size=2),
    advice=st.lists(st.builds(Advice, words, st.none() | words, st.none() | trials), max_size=3),
    missing=st.lists(missing, min_size=1, max_size=2),
    certificate=st.just("certificate"),
    headline=st.none() | words,
    subject=st.none() | words,
)
answers = st.recursive(
    parts,
    lambda below: st.builds(
        Answer, words, st.just("REFUTED"), answers=st.lists(below, max_size=3), headline=st.none() | words
    ),
    max_leaves=4,
)


@given(answers, st.integers(30, 120), st.booleans(), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_any_answer_fits_any_width_and_encoding(answer: Answer, width: int, why: bool, encoding: str) -> None:
    shown = text(answer, width=width, why=why, encoding=encoding)
    shown.encode(encoding)
    for line in shown.split("\n"):
        assert display_width(line) <= width, line
        assert line.replace("\u00a0", " ").isprintable(), line


@given(st.text(alphabet="ab 損\u0301", max_size=60), st.integers(4, 30))
def test_wrapping_loses_no_letter(sentence: str, width: int) -> None:
    lines = wrap(sentence, width)
    assert "".join("".join(lines).split()) == "".join(sentence.split())
    assert all(display_width(line) <= max(width, 8) for line in lines)


@given(st.text(alphabet="ab (損", min_size=1, max_size=90).map(str.strip).filter(bool), st.data())
def test_a_cut_source_line_keeps_the_first_caret_over_its_letter(line: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(line) - 1))
    caret = " " * display_width(line[:start]) + "^" * display_width(line[start])
    shown, marks = window(line, caret, 24)
    assert display_width(shown) <= 24
    if "^" in marks:
        position = marks.index("^")
        before = next(n for n in range(len(shown) + 1) if display_width(shown[:n]) >= position)
        assert shown[before] == line[start]
    assert "^" in marks


def test_ascii_terminals_get_spelled_signs(wine: Answer) -> None:
    shown = text(wine, width=78, encoding="ascii")
    assert shown.isascii() and "2/lambda_max" in shown and "+/- 0.0001%" in shown


def test_escape_sequences_of_a_message_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in text(Answer("\x1b[31m", "REFUTED", findings=[Finding("QED201", "\x1b]0;x\x07")]), width=60)


def test_the_width_comes_from_the_terminal_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, expected in (("40", 78), ("90", 90), ("300", 100)):
        monkeypatch.setenv("COLUMNS", columns)
        assert terminal_width() == expected


# -- rich


def test_rich_colours_the_same_string(wine: Answer) -> None:
    from rich.console import Console

    assert rich_text(wine, width=78, exit_code=True).plain == SCREEN
    console = Console(width=78, force_terminal=True, color_system="standard", legacy_windows=False)
    with console.capture() as captured:
        console.print(wine)
    assert "\x1b[" in captured.get()
    plain = Console(width=78, no_color=True, color_system=None)
    with plain.capture() as captured:
        plain.print(wine)
    assert "\x1b[" not in captured.get()
    assert captured.get().splitlines()[0] == SCREEN.splitlines()[0]


def test_printing_into_an_ascii_pipe_works() -> None:
    code = "from qed.answer import Answer; print(Answer('2/λmax is the limit', 'MEASURED'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert "2/lambda_max is the limit" in done.stdout
