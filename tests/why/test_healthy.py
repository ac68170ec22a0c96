"""Healthy runs get no finding, and are told what was checked: a tool that cries wolf is not used twice."""

import importlib.util
from pathlib import Path

import pytest

import qed

_spec = importlib.util.spec_from_file_location("healthy_runs", Path(__file__).with_name("healthy.py"))
healthy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(healthy)


@pytest.mark.parametrize("name", healthy.CASES)
def test_a_healthy_run_is_left_in_peace(name):
    answer = qed.why(healthy.CASES[name]())
    alarms = [finding for finding in answer.findings if finding.level != "note"]
    assert alarms == [], str(answer)
    assert answer.measured, str(answer)
    assert answer.value.verdict == "healthy"
    assert answer.value.answers, "nothing was said to be checked"
    assert not answer.advice, "a healthy run needs no advice"
    assert "Checked" in str(answer)
    assert str(answer).isprintable() or "\x1b" not in str(answer)
