"""Bad input ends with a code, what / because / instead, exit code 2, and no traceback."""

import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

SCRIPT = """
w = {"W": jnp.ones((3, 2)), "b": jnp.zeros(2)}
X, y = jnp.ones((5, 3)), jnp.ones(5)
integers, empty, nothing, broken = jnp.arange(3), jnp.zeros((0, 2)), {}, jnp.array([1.0, jnp.nan])
bad = X.at[2, 1].set(jnp.inf)
text, count = "hello", 3
names = {"W": (("a", "b"), ("x", "y")), "b": (("x", "y"),)}
key = jax.random.key(0)

def make():
    return w

def loss(w):
    return jnp.sum((X @ w["W"] + w["b"]) ** 2)

def with_data(w, X, y):
    return jnp.mean((X @ w["W"] @ jnp.ones(2) - y) ** 2)

def vector(w):
    return X @ w["W"]

def pair(w):
    return loss(w), {"aux": 1.0}

def branches(w):
    z = jnp.sum(w["W"])
    if z > 0:
        return z
    return -z

def to_numpy(w):
    import numpy as np
    return np.sum(np.asarray(w["W"]))

def to_float(w):
    return jnp.float32(float(jnp.sum(w["W"])))

def mismatch(w):
    return jnp.sum(X @ w["W"].T)

def forgets(w):
    jnp.sum(w["W"])

def plain(w):
    return "large"

def integer(w):
    return jnp.sum(w["W"]).astype(int)

def complex_one(w):
    return jnp.sum(w["W"]) * 1j

def forever(w):
    return jax.lax.while_loop(lambda c: c < 100, lambda c: 2 * c, jnp.sum(w["W"]))

def raises(w):
    raise RuntimeError("the user's own words")

def square(w):
    return jnp.sum(w**2)
"""

CALLS = {
    "missing file": (["no_such.py:loss", "--at", "w"], "QED000"),
    "missing name": (["train.py:lost", "--at", "w"], "QED000"),
    "missing parameters": (["train.py:loss", "--at", "weights"], "QED000"),
    "missing data": (["train.py:with_data", "--at", "w", "--args", "X,targets"], "QED000"),
    "missing names": (["train.py:loss", "--at", "w", "--names", "nam"], "QED000"),
    "missing key": (["train.py:loss", "--at", "w", "--key", "rng"], "QED000"),
    "no parameters named": (["train.py:loss"], "QED007"),
    "not a function": (["train.py:text", "--at", "w"], "QED007"),
    "parameters are a function": (["train.py:loss", "--at", "make"], "QED007"),
    "parameters are a text": (["train.py:loss", "--at", "text"], "QED003"),
    "parameters are a module": (["train.py:loss", "--at", "jnp"], "QED003"),
    "loss is a vector": (["train.py:vector", "--at", "w"], "QED002"),
    "loss is a pair": (["train.py:pair", "--at", "w"], "QED002"),
    "loss is no pair": (["train.py:loss", "--at", "w", "--has-aux"], "QED002"),
    "loss is nothing": (["train.py:forgets", "--at", "w"], "QED002"),
    "loss is a text": (["train.py:plain", "--at", "w"], "QED002"),
    "loss is an integer": (["train.py:integer", "--at", "w"], "QED002"),
    "loss is complex": (["train.py:complex_one", "--at", "w"], "QED002"),
    "integer parameters": (["train.py:square", "--at", "integers"], "QED003"),
    "an integer": (["train.py:square", "--at", "count"], "QED003"),
    "empty parameters": (["train.py:square", "--at", "empty"], "QED004"),
    "no parameters": (["train.py:square", "--at", "nothing"], "QED004"),
    "broken parameters": (["train.py:square", "--at", "broken"], "QED006"),
    "infinite parameter": (["train.py:square", "--at", "inf"], "QED006"),
    "broken data": (["train.py:with_data", "--at", "w", "--args", "bad,y"], "QED006"),
    "unknown rule": (["train.py:loss", "--at", "w", "--step", "lion:0.1"], "QED005"),
    "zero step": (["train.py:loss", "--at", "w", "--step", "0"], "QED005"),
    "negative step": (["train.py:loss", "--at", "w", "--step", "sgd:-0.1"], "QED005"),
    "branching": (["train.py:branches", "--at", "w"], "QED010"),
    "numpy inside": (["train.py:to_numpy", "--at", "w"], "QED010"),
    "float inside": (["train.py:to_float", "--at", "w"], "QED010"),
    "no gradient": (["train.py:forever", "--at", "w"], "QED010"),
    "shapes do not fit": (["train.py:mismatch", "--at", "w"], "QED007"),
    "too little data": (["train.py:with_data", "--at", "w"], "QED007"),
    "too much data": (["train.py:loss", "--at", "w", "--args", "X,y"], "QED007"),
    "wrong order of data": (["train.py:with_data", "--at", "w", "--args", "y,X"], "QED007"),
    "it raises": (["train.py:raises", "--at", "w"], "QED007"),
    "names do not fit": (["train.py:loss", "--at", "w", "--names", "names"], "QED007"),
    "names are a text": (["train.py:loss", "--at", "w", "--names", "text"], "QED007"),
    "no time": (["train.py:loss", "--at", "w", "--budget", "soon"], "QED007"),
    "negative time": (["train.py:loss", "--at", "w", "--budget=-1"], "QED007"),
}


@pytest.mark.parametrize("name", CALLS)
def test_it_ends_with_a_code(name, qed_command, write, monkeypatch):
    monkeypatch.chdir(write("train.py", SCRIPT).parent)
    arguments, code = CALLS[name]
    if not any(word.startswith("--step") for word in arguments):
        arguments = [*arguments, "--step", "sgd:0.1"]
    outcome = qed_command("why", *arguments)
    assert outcome.code == 2, outcome.out + outcome.err
    assert outcome.out == ""
    assert outcome.err.splitlines()[0].startswith(code), outcome.err
    for word in ("  because  ", "  instead  ", f"qed explain {code}"):
        assert word in outcome.err
    for word in ("Traceback", "jax._src", "site-packages", "Tracer<"):
        assert word not in outcome.err
    as_json = qed_command("why", *arguments, "--json")
    assert as_json.code == 2
    error = json.loads(as_json.out)
    assert (error["schema"], error["code"]) == ("qed/error/1", code)
    assert error["what"]
    assert error["because"]
    assert error["instead"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("branching", "if z > 0:"),
        ("numpy inside", "np.sum(np.asarray(w"),
        ("float inside", "float(jnp.sum("),
        ("shapes do not fit", "X @ w["),
        ("it raises", "raise RuntimeError"),
    ],
)
def test_the_line_is_shown(name, shown, qed_command, write, monkeypatch):
    monkeypatch.chdir(write("train.py", SCRIPT).parent)
    err = qed_command("why", *CALLS[name][0]).err
    assert shown in err
    assert "train.py:" in err


def test_a_file_that_raises_shows_its_line(qed_command, write):
    path = write("train.py", "x = 1\nw = undefined_name\n")
    outcome = qed_command("why", f"{path}:loss", "--at", "w")
    assert outcome.code == 2
    assert outcome.err.startswith("QED001")
    assert "w = undefined_name" in outcome.err
    assert "NameError" in outcome.err


# --- the same through the library -----------------------------------------------------------------------------


def square(w):
    return jnp.sum(w**2)


def refused(problem):
    with pytest.raises(qed.QedError) as caught:
        qed.why(problem)
    error = caught.value
    assert error.what
    assert error.because
    assert error.instead
    assert len(str(error).splitlines()) == 3
    return error.code


W = jnp.ones(3)

PROBLEMS = {
    "nothing": (lambda: qed.Problem(), "QED007"),
    "no parameters": (lambda: qed.Problem(square), "QED004"),
    "loss is a number": (lambda: qed.Problem(3.0, W), "QED007"),
    "args is an array": (lambda: qed.Problem(square, W, jnp.ones(3)), "QED007"),
    "args is a dict": (lambda: qed.Problem(square, W, {"X": W}), "QED007"),
    "args is a text": (lambda: qed.Problem(square, W, "X"), "QED007"),
    "step and optimizer": (lambda: qed.Problem(square, W, step=0.1, optimizer="sgd:0.1"), "QED007"),
    "no budget": (lambda: qed.Problem(square, W, budget=0), "QED007"),
    "budget is not a number": (lambda: qed.Problem(square, W, budget=float("nan")), "QED007"),
    "budget is a text": (lambda: qed.Problem(square, W, budget="60s"), "QED007"),
    "a loss with batches": (lambda: qed.Problem(square, W, batches=[1]), "QED009"),
    "bounds with a step": (lambda: qed.Problem(square, W, bounds=(0, 1), step=0.1), "QED009"),
    "a step without state": (lambda: qed.Problem(train_step=square), "QED007"),
    "names of another structure": (lambda: qed.Problem(square, W, names={"a": "b"}), "QED007"),
    "names too few": (lambda: qed.Problem(square, W, names=(("a", "b"),)), "QED007"),
    "names a number": (lambda: qed.Problem(square, W, names=3), "QED007"),
    "boolean parameters": (lambda: qed.Problem(lambda w: 1.0, jnp.array([True])), "QED003"),
    "complex parameters": (lambda: qed.Problem(lambda w: jnp.abs(w[0]), jnp.array([1j])), "QED003"),
    "a complex number": (lambda: qed.Problem(lambda w: jnp.abs(w), 1j), "QED003"),
    "a text": (lambda: qed.Problem(square, "w"), "QED003"),
    "one leaf is an integer": (lambda: qed.Problem(lambda w: jnp.sum(w[0]), (W, jnp.arange(3))), "QED003"),
    "a list of text": (lambda: qed.Problem(square, ["a", "b"]), "QED003"),
    "object array": (lambda: qed.Problem(square, np.array([object()])), "QED003"),
    "text array": (lambda: qed.Problem(square, np.array(["a"])), "QED003"),
    "text among the data": (lambda: qed.Problem(lambda w, x: jnp.sum(w) + jnp.sum(x), W, (np.array(["a"]),)), "QED007"),
    "objects among the data": (lambda: qed.Problem(lambda w, x: jnp.sum(w * x), W, (np.array([object()]),)), "QED007"),
    "parameters without size": (lambda: qed.Problem(square, np.zeros((0,), np.float32)), "QED004"),
    "empty list": (lambda: qed.Problem(square, []), "QED004"),
    "loss without arguments": (lambda: qed.Problem(lambda: 1.0, W), "QED007"),
    "loss of keywords only": (lambda: qed.Problem(lambda *, w: jnp.sum(w), W), "QED007"),
    "loss is a class": (lambda: qed.Problem(dict, W), None),
    "loss is a list of one": (lambda: qed.Problem(lambda w: [jnp.sum(w), jnp.sum(w)], W), "QED002"),
    "loss is a dict": (lambda: qed.Problem(lambda w: {"loss": jnp.sum(w)}, W), "QED002"),
    "loss of shape (1,)": (lambda: qed.Problem(lambda w: jnp.sum(w, keepdims=True), W), "QED002"),
    "infinite step": (lambda: qed.Problem(square, W, step=float("inf")), "QED005"),
    "step is a list": (lambda: qed.Problem(square, W, step=[0.1]), "QED005"),
    "step is an optax function": (lambda: qed.Problem(square, W, step=__import__("optax").sgd), "QED005"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_that_cannot_be_read(name):
    make, code = PROBLEMS[name]
    found = refused(make())
    assert code is None or found == code


class Model:
    def __init__(self):
        self.scale = jnp.float32(2.0)

    def loss(self, w):
        return self.scale * jnp.sum(w**2)

    def __call__(self, w):
        return self.loss(w)


@pytest.mark.parametrize(
    ("loss", "at"),
    [
        (Model().loss, W),
        (Model(), W),
        (functools.partial(lambda w, p: jnp.sum(w**p), p=2), W),
        (jax.jit(square), W),
        (jax.checkpoint(square), W),
        (square, np.ones(3)),
        (square, np.ones(3, np.float32)),
        (square, 1.5),
        (square, np.float64(1.5)),
        (square, jnp.ones(3, jnp.bfloat16)),
        (lambda w: square(w[0]), [W]),
        (lambda *w: square(w[0]), W),
        (lambda w, scale=2.0: scale * square(w), W),
    ],
)
def test_odd_but_right_input_is_answered(loss, at):
    answer = qed.why(qed.Problem(loss, at, step=0.1))
    assert answer.findings == ()
    assert answer.measured


# --- in processes of their own --------------------------------------------------------------------------------


def command(*arguments, **options):
    line = [sys.executable, "-m", "qed", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **options)


def test_in_a_process_of_its_own(write):
    path = write("train.py", SCRIPT)
    done = command("why", f"{path}:branches", "--at", "w", "--step", "sgd:0.1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("QED010")
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_loss_without_a_point_is_told_which_keyword_is_missing():
    with pytest.raises(qed.QedError, match="no parameters") as caught:
        qed.Problem(lambda w: jnp.sum(w)).check()
    assert caught.value.code == "QED004" and caught.value.instead.startswith("give at=")
