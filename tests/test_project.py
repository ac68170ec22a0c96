"""The project's own files agree: extras, pinned versions, names, nothing tied to one machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import EXTRAS, LONG

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = sorted((ROOT / "constraints").glob("*.txt"))


def test_every_extra_of_all_is_required_by_ci():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert sorted(re.search(r"\[(.*)\]", everything)[1].split(",")) == sorted(EXTRAS)


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_pinned_versions_are_names_and_versions_only(pins):
    lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+!-]+", line) for line in lines)


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_every_direct_dependency_is_pinned(pins):
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in pins.read_text().splitlines()}
    extras = PROJECT["optional-dependencies"].values()
    direct = {
        re.match(r"[A-Za-z0-9_.-]+", need)[0].lower()
        for needs in (PROJECT["dependencies"], *extras)
        for need in needs
        if not need.startswith("qed[")
    }
    assert direct <= pinned


def test_the_version_is_the_same_everywhere():
    import qed

    assert PROJECT["version"] == qed.__version__
    assert f"version: {PROJECT['version']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"[{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_file_says_nothing_by_its_name():
    vague = {"utils.py", "util.py", "misc.py", "helpers.py", "common.py"}
    assert not [path for path in (ROOT / "qed").rglob("*.py") if path.name in vague]


def test_nothing_is_tied_to_one_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine = re.compile(r"/(?:root|home/[a-z]+|Users/[a-z]+)/|index-url|find-links")
    here = Path(__file__).relative_to(ROOT).as_posix()
    for name in listed.stdout.split():
        path = ROOT / name
        if name == here or not path.is_file():
            continue
        found = set(machine.findall(path.read_bytes().decode("utf-8", "replace")))
        assert found <= {"/home/me/"}, f"{name}: {found}"  # the reader's own home, in examples


def test_every_long_test_is_there():
    for name in LONG:
        path, test = name.split("[")[0].split("::")
        assert re.search(rf"^def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name
