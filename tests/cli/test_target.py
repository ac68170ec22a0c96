"""FILE.py:name and package.module:name -> the object, whatever the file is called and does when it is imported."""

import os
import sys

import pytest

from qed.cli.target import find, load, split_target
from qed.errors import QedError

LOSS = """
w = jnp.ones(2)
def loss(w):
    return jnp.sum(w**2)
"""


@pytest.fixture(autouse=True)
def restored():
    path, modules, folder = list(sys.path), set(sys.modules), os.getcwd()
    yield
    sys.path[:] = path
    os.chdir(folder)
    for name in set(sys.modules) - modules:
        if not name.startswith(("jax", "numpy")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("train.py:loss", ("train.py", "loss")),
        ("train.py", ("train.py", None)),
        ("a/b/train.py:loss", ("a/b/train.py", "loss")),
        ("package.module:loss", ("package.module", "loss")),
        ("package.module:state.loss", ("package.module", "state.loss")),
        ("package.module", ("package.module", None)),
        ("C:\\work\\train.py", ("C:\\work\\train.py", None)),
        ("C:\\work\\train.py:loss", ("C:\\work\\train.py", "loss")),
        ("odd:folder/train.py", ("odd:folder/train.py", None)),
        ("odd:folder/train.py:loss", ("odd:folder/train.py", "loss")),
    ],
)
def test_a_target_is_split_at_its_last_colon(target, parts):
    assert split_target(target) == parts


@pytest.mark.parametrize(
    "name",
    [
        "train.py",
        "my training.py",
        "größe.py",
        "訓練.py",
        "random.py",
        "json.py",
        "class.py",
        "1st.py",
        "a-b.py",
        "jax.py",
    ],
)
def test_a_file_of_any_name(write, name):
    import random

    folder = name.removesuffix(".py").replace("jax", "other")
    module = load(
        str(write(f"in {folder}/{name}", LOSS if name != "jax.py" else "loss = len", imports=name != "jax.py"))
    )
    assert callable(module.loss)
    assert sys.modules["random"] is random, "a standard module was replaced"


def test_it_is_imported_once_and_is_not_main(write):
    path = write("train.py", LOSS + "\nran = __name__ == '__main__'\n")
    module = load(str(path))
    assert not module.ran
    assert module.__name__ in sys.modules


def test_what_it_prints_goes_to_stderr(write, capsys):
    load(str(write("train.py", LOSS + "\nfor k in range(1000):\n    print('step', k)\n")))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("step") == 1000


def test_its_folder_comes_first_on_the_path(write):
    write("sibling_of_train.py", "scale = 3.0\n", imports=False)
    module = load(str(write("train.py", "from sibling_of_train import scale\n" + LOSS)))
    assert module.scale == 3.0


def test_it_sees_its_own_name_and_no_arguments(write):
    before = list(sys.argv)
    path = write(
        "train.py", "import argparse\nopts = argparse.ArgumentParser().parse_args()\nimport sys\nseen = sys.argv\n"
    )
    assert load(str(path)).seen == [str(path)]
    assert sys.argv == before


def test_a_dataclass_in_it_can_be_made(write):
    text = """
    from __future__ import annotations
    from dataclasses import dataclass
    @dataclass
    class State:
        w: float = 1.0
    state = State()
    """
    assert load(str(write("train.py", text, imports=False))).state.w == 1.0


def test_a_module_of_a_package_under_the_current_folder(write):
    write("package_of_mine/__init__.py", "", imports=False)
    write("package_of_mine/data.py", "scale = 2.0\n", imports=False)
    path = write("package_of_mine/train.py", "from .data import scale\n" + LOSS)
    os.chdir(path.parents[1])
    module = load("package_of_mine.train")
    assert module.scale == 2.0
    assert find(module, "package_of_mine.train", "loss", "the loss") is module.loss


def test_a_relative_import_in_a_file_is_answered_with_the_module_spelling(write):
    write("package_of_mine/__init__.py", "", imports=False)
    path = write("package_of_mine/train.py", "from .data import scale\n" + LOSS)
    with pytest.raises(QedError) as caught:
        load(str(path))
    assert caught.value.code == "QED001"
    assert "package.module" in caught.value.instead


def test_dots_and_keys_reach_into_objects(write):
    module = load(str(write("train.py", "class State:\n    params = {'w': 1.0}\nstate = State()\n")))
    assert find(module, "train.py", "state.params.w", "--at") == 1.0


def test_the_file_may_stand_before_a_name_and_modules_are_no_candidates(write):
    source = str(write("train.py", "import math\nloss = 3.0\n"))
    module = load(source)
    assert find(module, source, f"{source}:loss", "--at") == 3.0
    with pytest.raises(QedError) as caught:
        find(module, source, "mat", "--at")
    assert "math" not in f"{caught.value.because} {caught.value.instead}" and "loss" in caught.value.because


@pytest.mark.parametrize("name", ["lost", "los", "LOSS", "state.missing", "loss.missing", ""])
def test_a_missing_name_is_answered_with_the_nearest(write, name):
    module = load(str(write("train.py", LOSS + "\nstate = {}\n")))
    with pytest.raises(QedError) as caught:
        find(module, "train.py", name, "the loss")
    assert caught.value.code == "QED000"
    assert caught.value.because
    if name == "los":
        assert "did you mean loss" in caught.value.instead
    if "." not in name:
        assert "loss" in caught.value.because


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise ValueError('no data here')", "ValueError: no data here"),
        ("1 / 0", "ZeroDivisionError"),
        ("def loss(w:\n    pass", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("import no_such_library_anywhere", "no_such_library_anywhere"),
        ("open('there_is_no_such_file.csv')", "FileNotFoundError"),
        ("raise KeyError()", "KeyError"),
        ("assert False", "AssertionError"),
        ("def f():\n    raise RuntimeError('deep')\nf()", "RuntimeError: deep"),
        ("raise SystemExit", "SystemExit"),
        ("raise BaseException('odd')", "odd"),
    ],
)
def test_a_file_that_raises_is_told_with_its_line(write, text, expected):
    path = write("train.py", "\n\n" + text + "\n")
    with pytest.raises(QedError) as caught:
        load(str(path))
    error = caught.value
    assert error.code == "QED001"
    assert expected in error.because
    assert error.instead
    assert error.span is not None
    assert error.span.line >= 5
    assert error.span.file == str(path)


def test_an_interrupt_is_no_error_of_the_file(write):
    with pytest.raises(KeyboardInterrupt):
        load(str(write("train.py", "raise KeyboardInterrupt")))


@pytest.mark.parametrize(
    ("source", "hint"), [("trian.py", "train.py"), ("nowhere/train.py", None), ("train.ipynb", None), ("", None)]
)
def test_a_missing_file(write, source, hint):
    os.chdir(write("train.py", LOSS).parent)
    with pytest.raises(QedError) as caught:
        load(source)
    assert caught.value.code == "QED000"
    assert hint is None or hint in caught.value.instead


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(QedError) as caught:
        load(str(tmp_path))
    assert caught.value.code == "QED000"
    assert "folder" in caught.value.what


def test_a_missing_module_and_one_that_lacks_another(write):
    os.chdir(write("module_of_mine.py", "import no_such_library_anywhere\n", imports=False).parent)
    with pytest.raises(QedError) as caught:
        load("no_such_module_anywhere")
    assert caught.value.code == "QED000"
    with pytest.raises(QedError) as caught:
        load("module_of_mine")
    assert caught.value.code == "QED001"
    assert "install no_such_library_anywhere" in caught.value.instead


def test_a_file_that_cannot_be_read(write):
    path = write("train.py", "")
    path.write_bytes(b"\xff\xfe\x00binary\x00")
    with pytest.raises(QedError) as caught:
        load(str(path))
    assert caught.value.code == "QED001"
