"""Whole training scripts: run as they are, with the same result as without qed, and diagnosed when they break."""

import contextlib
import io
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.errors import QedError
from qed.why.identify import identify
from qed.why.recorder import Recorder, StopTraining
from qed.why.script import why_script
from qed.why.seen import exploding, sustained_rise

SCRIPTS = Path(__file__).parent / "scripts"

# script, what breaks it, the first finding, what the line that is blamed contains (None: no line)
CASES = [
    ("by_hand", {"RATE": "2"}, "QED401", None),
    ("momentum", {"RATE": "3"}, "QED401", None),
    ("optax_adam", {"POLE": "1"}, "QED204", "jnp.sqrt(POLE"),
    ("flax_linen", {"SCALE": "300"}, "QED201", "jnp.exp(SCALE"),
    ("flax_nnx", {"OFFSET": "-0.5"}, "QED204", "jnp.log(OFFSET"),
    ("equinox_mlp", {"SHIFT": "0.5"}, "QED204", "jnp.sqrt(SHIFT"),
    ("scanned", {"RATE": "2"}, "QED401", None),
    ("accumulation", {"RATE": "3"}, "QED401", None),
    ("schedule", {"PEAK": "5"}, "QED401", None),
    ("dropout_bfloat16", {"KEEP": "0"}, "QED205", "X / KEEP"),
]

# script, the value of BREAK, the first finding, what the line that is blamed contains; None: stays healthy
REALISTIC = [
    ("gpt", "mask", "QED204", "jax.nn.softmax(scores)"),
    ("gpt", "rate", "QED401", None),
    ("vae", "saturated", "QED205", "jnp.log(p)"),
    ("vae", "sign", "QED306", None),
    ("batch_norm", "evaluation", "QED416", "self.norm"),
    ("dqn", "sign", "QED411", "error.mean()"),
    ("recurrent", "explode", "QED204|QED201", "h @ self.across"),  # inf - inf or inf, by how a product is added up
    ("physics", "norm", "QED205", "jnp.sqrt"),
    ("diffusion", "beta", "QED205", "a / (1 - a)"),
    ("loss_scaling", "unguarded", "QED201", "hidden @ w"),
    ("groups", "rate", "QED403", None),
]
ALSO_HEALTHY = ("sharded",)
SCRIPTS_OF_SECONDS = ("by_hand", "optax_adam", "flax_nnx", "scanned", "loss_scaling")


def quick_or_slow(name, *more, id=None):
    marks = () if name in SCRIPTS_OF_SECONDS else (pytest.mark.slow,)
    return pytest.param(name, *more, marks=marks, id=id or "-".join(str(x) for x in (name, *more[:1])))


@pytest.fixture(autouse=True)
def _undisturbed(monkeypatch):
    """A script changes sys.path and the modules; nothing of it stays."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "") and str(SCRIPTS) in str(sys.modules[name].__file__):
            del sys.modules[name]


def output_of(run):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        result = run()
    return stream.getvalue(), result


@pytest.mark.parametrize("name", [quick_or_slow(case[0]) for case in CASES])
def test_a_healthy_script_prints_the_same_and_nothing_is_found(name):
    path = SCRIPTS / f"{name}.py"
    plain, _ = output_of(lambda: runpy.run_path(str(path), run_name="__main__"))
    watched, answer = output_of(lambda: why_script(path))
    assert watched == plain
    assert answer.findings == ()
    assert answer.standing == "MEASURED"
    assert "Nothing speaks against this script" in answer.headline


@pytest.mark.parametrize(("name", "environment", "code", "line"), [quick_or_slow(*case, id=case[0]) for case in CASES])
def test_a_broken_script_is_diagnosed_with_the_right_first_cause(name, environment, code, line, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    _, answer = output_of(lambda: why_script(SCRIPTS / f"{name}.py"))
    assert answer.findings[0].code == code
    assert answer.standing == "REFUTED"
    if line is not None:
        span = answer.findings[0].span
        assert Path(span.file).name == f"{name}.py"
        assert line in span.text


@pytest.mark.parametrize("name", [quick_or_slow(n) for n in (*dict.fromkeys(c[0] for c in REALISTIC), *ALSO_HEALTHY)])
def test_a_realistic_script_prints_the_same_and_nothing_speaks_against_it(name):
    path = SCRIPTS / f"{name}.py"
    plain, _ = output_of(lambda: runpy.run_path(str(path), run_name="__main__"))
    watched, answer = output_of(lambda: why_script(path))
    assert watched == plain
    assert [finding for finding in answer.findings if finding.level != "note"] == []
    assert answer.standing == "MEASURED"
    assert "Nothing speaks against this" in answer.headline


@pytest.mark.parametrize(("name", "broken", "code", "line"), [quick_or_slow(*case) for case in REALISTIC])
def test_a_realistic_script_is_diagnosed_when_it_breaks(name, broken, code, line, monkeypatch):
    monkeypatch.setenv("BREAK", broken)
    _, answer = output_of(lambda: why_script(SCRIPTS / f"{name}.py"))
    assert answer.findings[0].code in code.split("|"), str(answer)
    assert answer.standing == "REFUTED"
    if line is not None:
        assert Path(answer.findings[0].span.file).name == f"{name}.py"
        assert line in answer.findings[0].span.text


def test_steps_that_a_script_skips_are_counted_and_no_failure():
    _, answer = output_of(lambda: why_script(SCRIPTS / "loss_scaling.py"))
    assert "all finite but 4 steps that it skipped" in answer.headline


def test_a_script_that_raises_at_its_own_nan_is_diagnosed(tmp_path):
    text = """
import math
import jax
import jax.numpy as jnp
w = 1.0
for k in range(100):
    value, slope = jax.value_and_grad(lambda w: jnp.log(w))(w)
    if not math.isfinite(value):
        raise FloatingPointError("nan")
    w = w - 0.5 * slope
"""
    _, answer = output_of(lambda: why_script(write(tmp_path, text)))
    assert answer.standing == "REFUTED"
    assert answer.first_bad_step is not None
    assert "FloatingPointError" in answer.meta["ended"]


def write(folder, text):
    path = folder / "train.py"
    path.write_text(text)
    return path


def refused(path, *arguments):
    with pytest.raises(QedError) as caught:
        why_script(path, arguments)
    return caught.value


def test_bad_scripts_are_refused_in_one_sentence(tmp_path):
    assert refused(tmp_path / "none.py").code == "QED000"
    assert refused(write(tmp_path, "print('hello')")).code == "QED011"
    raised = refused(write(tmp_path, "x = 1\nraise ValueError('no data')\n"))
    assert (raised.code, raised.span.line) == ("QED001", 2)
    assert "no data" in raised.because
    assert refused(write(tmp_path, "import sys\nsys.exit('usage: train.py DATA')")).code == "QED001"
    assert refused(write(tmp_path, "def f(:\n")).code == "QED001"


ENSEMBLE = """
import os
import jax
import jax.numpy as jnp
X = jax.random.normal(jax.random.key(0), (32, 4))
SHIFT = float(os.environ.get("SHIFT", "1.0"))

@jax.jit
def step(ws):
    def one(w):
        value, slope = jax.value_and_grad(lambda w: jnp.mean(jnp.log(SHIFT + (X @ w - X[:, 0]) ** 2)))(w)
        return w - 0.1 * slope, value
    return jax.vmap(one)(ws)

ws = jax.random.normal(jax.random.key(1), (3, 4))
for _ in range(5):
    ws, values = step(ws)
"""


def test_a_loss_that_cannot_be_entered_is_said_to_be_hidden(tmp_path):
    _, answer = output_of(lambda: why_script(write(tmp_path, ENSEMBLE)))
    assert answer.findings == ()
    assert answer.meta["script_steps"] == 5
    assert "could not be seen" in answer.headline
    assert any("the loss itself" in item.what for item in answer.missing)


SHARPNESS_AWARE = """
import jax, jax.numpy as jnp
X = jnp.ones((8, 3))
loss = lambda p: jnp.mean((X @ p - 1.0) ** 2 * 0.0)
@jax.jit
def step(p):
    g = jax.grad(loss)(p)
    beside = p + 0.05 * g / jnp.linalg.norm(g)
    value, slope = jax.value_and_grad(loss)(beside)
    return p - 0.1 * slope, value
p = jnp.zeros(3)
for _ in range(3):
    p, value = step(p)
"""


def test_a_number_born_in_the_step_before_the_loss_is_found_in_the_step(tmp_path):
    (tmp_path / "sharp.py").write_text(SHARPNESS_AWARE)
    answer = why_script(tmp_path / "sharp.py")
    finding = answer.findings[0]
    assert finding.code == "QED204" and "beside = p" in finding.span.text


LINE_SEARCH = """
import jax, jax.numpy as jnp, optax
loss = lambda w: jnp.sum((w["a"] - 1.0) ** 2) + w["b"] ** 2
w, rule = {"a": jnp.zeros(2), "b": 1.0}, optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8))
state = rule.init(w)
for _ in range(4):
    value, slope = jax.value_and_grad(loss)(w)
    change, state = rule.update(slope, state, w, value=value, grad=slope, value_fn=loss)
    w = optax.apply_updates(w, change)
"""


def test_a_line_search_is_run_with_what_it_asks_for(tmp_path):
    (tmp_path / "search.py").write_text(LINE_SEARCH)
    answer = why_script(tmp_path / "search.py")
    assert not answer.findings and len(answer.losses) > 100


NOT_FINITE_LATER = """
import jax, jax.numpy as jnp
w = jnp.zeros(2)
for k in range(4):
    x = jnp.array([0.0, float(k)]) / (k - 2)
    w = w - 0.1 * jax.grad(lambda w, x: jnp.sum((w - x) ** 2))(w, x)
"""


def test_data_that_are_not_finite_are_told_with_the_step(tmp_path):
    (tmp_path / "data.py").write_text(NOT_FINITE_LATER)
    with pytest.raises(QedError, match="at step 2 of the script") as caught:
        why_script(tmp_path / "data.py")
    assert caught.value.code == "QED006"


def test_a_step_whose_loss_is_hidden_is_searched_for_the_birth(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIFT", "-0.5")
    _, answer = output_of(lambda: why_script(write(tmp_path, ENSEMBLE)))
    assert answer.findings[0].code == "QED204"
    assert "jnp.log" in answer.findings[0].span.text


def test_what_a_script_prints_is_untouched_however_much_and_workers_do_no_harm(tmp_path):
    text = """
import multiprocessing
import jax
for k in range(3000):
    print("line", k, "of many")
w = 1.0
for k in range(5):
    w = w - 0.1 * jax.grad(lambda w: w * w)(w)
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(len, ["a", "bc"]))
"""
    printed, answer = output_of(lambda: why_script(write(tmp_path, text)))
    assert printed == "".join(f"line {k} of many\n" for k in range(3000)) + "[1, 2]\n"
    assert answer.findings == ()


def test_a_script_gets_its_own_arguments_and_can_be_stopped(tmp_path):
    text = """
import sys
import jax
w = float(sys.argv[1])
for k in range(1000):
    w = w - 0.1 * jax.grad(lambda w: w * w)(w)
print("never reached")
"""
    printed, answer = output_of(lambda: why_script(write(tmp_path, text), ["2.0"], steps=5))
    assert printed == ""
    assert answer.meta["script_steps"] == 5
    assert answer.losses[0] == pytest.approx(4.0)
    assert answer.meta["rule"] == "sgd:0.1"


def test_the_script_cannot_catch_its_end(tmp_path):
    text = """
import jax
w = 1.0
while True:
    try:
        w = w - jax.value_and_grad(lambda w: w * w)(w)[1] * 0.1
    except Exception:
        pass
"""
    _, answer = output_of(lambda: why_script(write(tmp_path, text), steps=7))
    assert answer.meta["script_steps"] == 7


def test_two_adversaries_whose_losses_rise_are_left_alone(tmp_path):
    text = """
import jax
import jax.numpy as jnp

def player(x, y):
    return jnp.tanh(x) * y + 0.5

x, y = jnp.array(0.5), jnp.array(0.5)
for k in range(60):
    x, y = x - 0.05 * jax.grad(player)(x, y), y + 0.05 * jax.grad(player, argnums=1)(x, y)
"""
    _, answer = output_of(lambda: why_script(write(tmp_path, text)))
    assert answer.findings == ()


def test_a_clipping_behind_steps_of_one_direction_and_a_loss_that_stands_are_said(tmp_path):
    text = """
import jax
import jax.numpy as jnp
import optax

w, optimizer = jnp.zeros(3), optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(0.1))
state = optimizer.init(w)
for k in range(20):
    loss, gradient = jax.value_and_grad(lambda w: LOSS)(w)
    updates, state = optimizer.update(gradient, state)
    w = optax.apply_updates(w, updates)
"""
    clipped = write(tmp_path, text.replace("LOSS", "jnp.sum((w - 1) ** 2)"))
    _, answer = output_of(lambda: why_script(clipped, budget=10))
    assert [finding.code for finding in answer.findings] == ["QED414"]
    (trial,) = [part.claim for part in answer.answers if "the loss goes from" in part.claim]
    assert trial.startswith("run again on the data (and key) of step 0 alone")
    _, answer = output_of(lambda: why_script(write(tmp_path, text.replace("LOSS", "jnp.sum(w**2) + 2")), budget=10))
    assert "nothing moves its loss: it is 2 at each step; its gradient is exactly 0" in answer.headline


def test_everything_is_put_back():
    before = (jax.jit, jax.grad, jax.value_and_grad)
    with pytest.raises(StopTraining), Recorder(most=1):
        assert jax.grad is not before[1]
        jax.grad(lambda x: x * x)(1.0)
    assert (jax.jit, jax.grad, jax.value_and_grad) == before


def test_functions_made_under_the_recorder_work_after_it():
    with Recorder():
        step = jax.jit(jax.value_and_grad(lambda x: x * x))
        assert float(step(3.0)[1]) == 6.0
    assert float(step(3.0)[0]) == 9.0


def test_the_recorder_keeps_the_api_of_jit():
    with Recorder() as recorder:

        class Model:
            @jax.jit
            def loss(self):
                return 1.0

        @jax.jit
        def f(x):
            """Doc."""
            return jax.grad(lambda x: x**3)(x)

        assert f.__name__ == "f"
        assert "Doc" in f.__doc__
        assert f.lower(1.0) is not None
        assert float(jax.vmap(f)(jnp.ones(3))[0]) == 3.0
        assert recorder.steps == 0
        f(2.0)
        assert recorder.steps == 1
        assert recorder.last.seen[0].value == pytest.approx(8.0)


def walk(rule, steps=4, seed=0):
    """Points and gradients of a rule (w, g, memory) -> (w, memory) on a quadratic."""
    rng = np.random.default_rng(seed)
    h = np.diag(rng.uniform(0.5, 2.0, 5))
    w, memory = rng.standard_normal(5), None
    points, gradients = [], []
    for k in range(steps):
        g = h @ w
        points.append(w)
        gradients.append(g)
        w, memory = rule(w, g, memory, k)
    return points, gradients


def heavy_ball(w, g, v, k):
    v = g if v is None else 0.9 * v + g
    return w - 0.1 * v, v


def nesterov(w, g, v, k):
    v = g if v is None else 0.9 * v + g
    return w - 0.1 * (g + 0.9 * v), v


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda w, g, v, k: (w - 0.05 * g, None), "sgd:0.05"),
        (heavy_ball, "sgd:0.1,momentum=0.9"),
        (nesterov, None),
        (lambda w, g, v, k: (w - 0.05 * np.sign(g), None), None),
        (lambda w, g, v, k: (w - 0.05 / (k + 1) * g, None), None),
        (lambda w, g, v, k: (w - 0.05 * g - 0.01 * w, None), None),
        (lambda w, g, v, k: (w + 0.05 * g, None), "the given optax transformation"),
        (lambda w, g, v, k: (w, None), None),
    ],
    ids=["descent", "heavy ball", "nesterov", "sign", "schedule", "weight decay", "ascent", "still"],
)
def test_only_rules_with_a_known_limit_are_identified(rule, expected):
    found = identify(*walk(rule))
    assert (None if found.rule is None else str(found.rule)) == expected
    assert found.words and found.climbs == (expected == "the given optax transformation")


def test_a_plain_number_among_the_parameters_is_the_array_that_it_becomes():
    points = [{"t": 0.1, "w": jnp.ones(2)}, {"t": jnp.float32(0.1) - 0.01, "w": jnp.ones(2) - 0.02}]
    gradient = {"t": jnp.float32(0.1), "w": jnp.full(2, 0.2)}
    assert str(identify(points, [gradient]).rule) == "sgd:0.1"
    still = {"t": jnp.float32(0.1), "w": jnp.ones(2)}
    assert "does not change" in identify([points[0], still], [gradient]).words
    zero = {"t": jnp.float32(0.0), "w": jnp.zeros(2)}
    assert identify([points[0], still], [zero]).words.startswith("the gradient is exactly 0")
    assert identify(points, [zero]).words == "the gradient is exactly 0 at the first step, and the parameters change"


def test_rising_and_exploding():
    growing = [1.2**k for k in range(120)]
    assert sustained_rise(growing)
    assert exploding(growing)
    noisy = list(1 + 0.1 * np.random.default_rng(0).standard_normal(200))
    assert not sustained_rise(noisy)
    assert not exploding(noisy)
    assert not exploding([1.0])
