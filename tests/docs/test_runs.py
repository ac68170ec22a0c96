"""The README's commands print what it says."""

import pytest

from docs.runs import agree, runs


def test_there_are_commands():
    assert {run.command.split()[0] for run in runs()} >= {"check", "derive", "taylor"}


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.command.split()[0])
def test_a_command_prints_what_the_readme_says(run):
    printed = run.printed()
    assert agree(printed, run.output), printed
