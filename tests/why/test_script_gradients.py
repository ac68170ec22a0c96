"""Scripts that take their gradient in other ways than jax.grad, or in places where a recorder does not reach."""

import importlib
import os
import subprocess
import sys
import textwrap

import pytest

from qed.errors import QedError
from qed.why.modules import AfterImport
from qed.why.script import why_script


def write(folder, text):
    path = folder / "train.py"
    path.write_text(textwrap.dedent(text))
    return path


VJP = """
import jax, jax.numpy as jnp
X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)

def loss(w):
    return jnp.mean(jnp.log(X @ w) ** 2) + 0.1 * jnp.sum(w ** 2)

def step(w):
    value, pull = jax.vjp(loss, w)
    (slope,) = pull(jnp.ones_like(value))
    return w - RATE * slope, value

w = jnp.ones(3)
run = jax.jit(step) if JIT else step
for _ in range(8):
    w, value = run(w)
print(float(value))
"""


@pytest.mark.parametrize("jit", [True, False])
def test_a_loop_that_pulls_back_is_watched(tmp_path, capsys, jit):
    healthy = write(tmp_path, VJP.replace("RATE", "0.01").replace("JIT", str(jit)))
    answer = why_script(healthy)
    assert not answer.findings and answer.meta["script_steps"] == 8 and answer.meta["rule"] == "sgd:0.01"
    watched = capsys.readouterr().out
    exec(compile(healthy.read_text(), "train.py", "exec"), {})
    assert capsys.readouterr().out == watched
    answer = why_script(write(tmp_path, VJP.replace("RATE", "5.0").replace("JIT", str(jit))))
    assert any(finding.span and "jnp.log" in finding.span.text for finding in answer.findings)


def test_a_pullback_is_a_pytree_and_scaled_by_its_cotangent(tmp_path):
    text = """
    import jax, jax.numpy as jnp
    w = jnp.ones(3)
    for _ in range(4):
        value, pull, extra = jax.vjp(lambda w: (jnp.sum(w ** 2), w[0]), w, has_aux=True)
        assert extra == w[0]
        (slope,) = jax.jit(lambda pull: pull(jnp.float32(2.0)))(pull)
        (slope,) = pull(2.0)
        w = w - 0.05 * slope
    """
    answer = why_script(write(tmp_path, text))
    assert not answer.findings and answer.meta["rule"] == "sgd:0.1"


FORWARD = """
import jax, jax.numpy as jnp
X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)
loss = lambda w: jnp.mean((CURVE - 1.0) ** 2)

def step(w, key):
    along = jax.random.normal(key, (3,))
    value, slope = jax.jvp(loss, (w,), (along,))
    return w - 0.05 * slope * along, value

step = jax.jit(step) if JIT else step
w, keys = jnp.ones(3), jax.random.split(jax.random.key(0), 6)
for key in keys:
    w, value = step(w, key)
print(float(value))
"""


@pytest.mark.parametrize("jit", [True, False])
def test_a_loop_in_forward_mode_is_watched(tmp_path, capsys, jit):
    text = FORWARD.replace("JIT", str(jit))
    healthy = write(tmp_path, text.replace("CURVE", "jnp.sqrt(X @ w)"))
    answer = why_script(healthy)
    assert not answer.findings and answer.meta["script_steps"] == 6 and answer.meta["rule"] == "None"
    watched = capsys.readouterr().out
    exec(compile(healthy.read_text(), "train.py", "exec"), {})
    assert capsys.readouterr().out == watched
    answer = why_script(write(tmp_path, text.replace("CURVE", "jnp.log(-X @ w)")))
    assert [finding.code for finding in answer.findings] == ["QED204"]
    assert "jnp.log(-X @ w)" in answer.findings[0].span.text


def test_a_slope_beside_gradients_is_no_step(tmp_path):
    text = """
    import jax, jax.numpy as jnp
    net = lambda w, t: jnp.tanh(w * t)
    loss = lambda w: jnp.mean((jax.vmap(lambda t: jax.jvp(lambda t: net(w, t), (t,), (1.0,))[1])(T) - 0.5) ** 2)
    T, w = jnp.linspace(0.0, 1.0, 5), jnp.float32(1.0)
    slope = jax.jit(lambda w, t: jax.jvp(lambda t: net(w, t), (t,), (1.0,))[1])
    for _ in range(4):
        value, g = jax.value_and_grad(loss)(w)
        w = w - 0.1 * g
        slope(w, 0.5), jax.jvp(lambda t: net(w, t), (0.5,), (1.0,))
    """
    answer = why_script(write(tmp_path, text))
    assert answer.meta["script_steps"] == 4 and answer.meta["rule"] == "sgd:0.1"


DEVICES = """
import functools
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)
whole, part = P(), P("data")

def loss(w, x):
    return jax.lax.pmean(jnp.mean((CURVE - 1.0) ** 2), "data")

def step(w, x):
    value, slope = jax.value_and_grad(loss)(w, x)
    return w - 0.05 * jax.lax.pmean(slope, "data"), value

w = jnp.ones(3)
if "MAP" == "pmap":
    run, w, X = jax.pmap(step, axis_name="data"), w[None], X[None]
else:
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    run = jax.shard_map(step, mesh=mesh, in_specs=(whole, part), out_specs=(whole, whole), check_vma=False)
    run = jax.jit(run)
for _ in range(6):
    w, value = run(w, X)
print(value)
"""


@pytest.mark.parametrize("name", ["pmap", "shard_map"])
def test_a_step_mapped_over_one_device_is_entered(tmp_path, capsys, name):
    text = DEVICES.replace("MAP", name)
    healthy = write(tmp_path, text.replace("CURVE", "jnp.sqrt(x @ w)"))
    answer = why_script(healthy)
    assert not answer.findings and answer.meta["script_steps"] == 6 and answer.meta["rule"] == "sgd:0.05"
    watched = capsys.readouterr().out
    exec(compile(healthy.read_text(), "train.py", "exec"), {})
    assert capsys.readouterr().out == watched
    answer = why_script(write(tmp_path, text.replace("CURVE", "jnp.log(-x @ w)")))
    assert [finding.code for finding in answer.findings] == ["QED204"]
    assert "jnp.log(-x @ w)" in answer.findings[0].span.text


OTHERS = """
import jax, jax.numpy as jnp
X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)

def loss(w):
    print("traced")
    return jnp.mean(jnp.log(X @ w) ** 2) + 0.1 * jnp.sum(w ** 2)

def residuals(w):
    return X @ w

def slope(w):
    jax.jacrev(residuals)(w)
    return SLOPE

w = jnp.ones(3)
run = jax.jit(slope) if JIT else slope
for _ in range(8):
    w = w - RATE * run(w)
print(float(loss(w)))
"""
SLOPES = {
    "jacrev": "jax.jacrev(loss)(w)",
    "jacfwd": "jax.jacfwd(loss)(w)",
    "with more": "jax.jacrev(lambda w: (loss(w), w), has_aux=True)(w)[0]",
    "linearize": "jax.vmap(jax.linearize(loss, w)[1])(jnp.eye(3))",
}


@pytest.mark.slow
@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", SLOPES)
def test_the_jacobian_of_a_scalar_is_a_gradient(tmp_path, capsys, name, jit):
    text = OTHERS.replace("SLOPE", SLOPES[name]).replace("JIT", str(jit))
    healthy = write(tmp_path, text.replace("RATE", "0.01"))
    answer = why_script(healthy)
    assert not answer.findings and answer.meta["script_steps"] == 8
    watched = capsys.readouterr().out
    exec(compile(healthy.read_text(), "train.py", "exec"), {})
    assert capsys.readouterr().out.split()[-1] in watched.split()
    answer = why_script(write(tmp_path, text.replace("RATE", "5.0")))
    assert any(finding.span and "jnp.log" in finding.span.text for finding in answer.findings)


def test_a_jacobian_of_residuals_is_no_gradient_of_a_loss(tmp_path):
    text = OTHERS.replace("return SLOPE", "return 0 * w").replace("JIT", "True").replace("RATE", "1.0")
    with pytest.raises(QedError, match="never computes a gradient"):
        why_script(write(tmp_path, text))


def test_pmap_on_one_device_is_entered_where_it_fails(tmp_path):
    text = """
    import functools
    import jax, jax.numpy as jnp

    @functools.partial(jax.pmap, axis_name="devices")
    def step(w, x):
        value, slope = jax.value_and_grad(lambda w: jnp.mean(jnp.log(x @ w) ** 2))(w)
        return w - 0.1 * jax.lax.pmean(slope, "devices"), value

    w, x = jnp.ones((1, 3)), jnp.ones((1, 4, 3))
    for k in range(4):
        w, value = step(w, x if k < 3 else SIGN * x)
    """
    answer = why_script(write(tmp_path, text.replace("SIGN", "1")))
    assert not answer.findings and answer.losses and answer.meta["script_steps"] == 4
    answer = why_script(write(tmp_path, text.replace("SIGN", "-1")))
    assert [finding.code for finding in answer.findings] == ["QED204"] and "at step 3" in answer.headline


@pytest.mark.parametrize("call", ["minimize(f, x, jac=jax.grad(f))", "minimize(jax.value_and_grad(f), x, jac=True)"])
def test_an_optimizer_of_scipy_is_left_alone(tmp_path, call):
    text = f"""
    import jax, jax.numpy as jnp, numpy as np
    from scipy.optimize import minimize
    f = lambda x: jnp.sum((x - 1.0) ** 2) + jnp.sum(x ** 4)
    x = np.zeros(3, np.float32)
    print(bool({call}.fun < 2.0))
    """
    answer = why_script(write(tmp_path, text))
    assert not answer.findings and "Nothing speaks against" in answer.headline


FORK = """
import os, sys, warnings
import jax, jax.numpy as jnp
warnings.simplefilter("ignore")
w = 1.0
for k in range(5):
    w = w - 0.1 * jax.grad(lambda w: w * w)(w)
child = os.fork()
if child == 0:
    print("worker", flush=True)
    sys.exit(3)
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_ends_as_it_would_and_answers_nothing(tmp_path):
    path = write(tmp_path, FORK)
    ran = subprocess.run([sys.executable, "-m", "qed", "why", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("worker\nstatus 3\n") and ran.stdout.count("not known") <= 1


def test_a_recorder_is_silent_in_another_process():
    import jax

    from qed.why.recorder import Recorder

    with Recorder() as recorder:
        recorder.process += 1
        assert jax.grad(lambda w: w * w)(3.0) == 6.0
        assert jax.jit(lambda w: jax.grad(lambda w: w * w)(w))(3.0) == 6.0
    assert recorder.last is None and recorder.steps == 0


def test_an_interrupt_before_the_first_step_is_one_sentence(tmp_path):
    with pytest.raises(QedError, match="ended by an interrupt") as caught:
        why_script(write(tmp_path, "import jax\nraise KeyboardInterrupt\n"))
    assert caught.value.code == "QED011"


def test_an_interrupt_among_the_steps_is_a_diagnosis(tmp_path):
    text = """
    import jax
    w = 1.0
    for k in range(50):
        w = w - 0.1 * jax.grad(lambda w: w * w)(w)
        if k == 6:
            raise KeyboardInterrupt
    """
    answer = why_script(write(tmp_path, text))
    assert answer.meta["ended"] == "an interrupt" and answer.meta["script_steps"] == 7 and not answer.findings


def test_python_side_effects_are_repeated_for_the_first_steps_alone(tmp_path, capsys):
    text = """
    import jax, jax.numpy as jnp
    calls = []

    @jax.jit
    def step(w):
        calls.append(1)
        print("tracing")
        jax.debug.print("loss {}", jnp.sum(w ** 2))
        return w - 0.1 * jax.grad(lambda w: jnp.sum(w ** 2))(w)

    w = jnp.ones(2)
    for _ in range(20):
        w = step(w)
    jax.effects_barrier()
    print(len(calls))
    """
    answer = why_script(write(tmp_path, text))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "tracing" and printed.count("tracing") == 1
    assert sum(line.startswith("loss") for line in printed) == 20
    assert 1 < int(printed[-1]) <= 1 + 4 and not answer.findings


SEVERAL = """
import jax, jax.numpy as jnp
X = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
y = jnp.ones(4)

def loss(x, b, y, w):
    return jnp.mean((x @ w["a"] + b - y) ** 2)

b, w = jnp.zeros(()), {"a": jnp.zeros(3)}
slopes = JIT(jax.value_and_grad(loss, argnums=ARGNUMS))
for _ in range(6):
    value, (dw, db) = slopes(X, b, y, w)
    assert dw["a"].shape == (3,) and db.shape == ()
    w, b = {"a": w["a"] - RATE * dw["a"]}, b - RATE * db
"""


@pytest.mark.parametrize(("jit", "argnums"), [("jax.jit", "(3, 1)"), ("", "(-1, 1)")])
def test_a_gradient_in_several_arguments_is_watched(tmp_path, jit, argnums):
    def script(rate):
        text = SEVERAL.replace("JIT", jit).replace("ARGNUMS", argnums)
        return why_script(write(tmp_path, text.replace("RATE", rate)))

    answer = script("0.1")
    assert not answer.findings and answer.meta["rule"] == "sgd:0.1" and "loss(w, b)" in str(answer)
    assert "QED401" in {finding.code for finding in script("4.0").findings}


def test_a_gradient_in_an_argument_that_does_not_exist_is_the_scripts_own_error(tmp_path):
    with pytest.raises(QedError, match=r"argnums|differentiate"):
        why_script(write(tmp_path, SEVERAL.replace("JIT", "").replace("ARGNUMS", "(3, 4)").replace("RATE", "0.1")))


ADAM = """
import jax, jax.numpy as jnp, optax
X = jnp.ones((4, 3), jnp.float16)
p, opt = jnp.ones(3, jnp.float16), optax.adam(1e-3)
s = opt.init(p)

def loss(p):
    return jnp.mean((X @ p) ** 2) * 1e-4

def step(p, s):
    value, slope = jax.value_and_grad(loss)(p)
    change, s = opt.update(slope, s, p)
    return optax.apply_updates(p, change), s, value

step = JIT(step)
for _ in range(5):
    p, s, value = step(p, s)
"""


@pytest.mark.parametrize("jit", ["jax.jit", ""])
def test_an_update_that_is_not_finite_is_said_to_be_made_by_the_update(tmp_path, jit):
    """In float16 Adam's squares and its epsilon of 1e-8 are 0."""
    answer = why_script(write(tmp_path, ADAM.replace("JIT", jit)))
    assert "step 0 returns a number that is not finite" in answer.headline
    assert [finding.code for finding in answer.findings] == ["QED205"]


def test_gradients_of_modules_are_watched_from_the_first_step_of_a_script_that_compiles_nothing(tmp_path):
    nnx = pytest.importorskip("flax.nnx")
    text = """
    import jax, jax.numpy as jnp
    from flax import nnx
    model, scale = nnx.Linear(3, 1, rngs=nnx.Rngs(0)), jnp.ones(())
    X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)
    for _ in range(4):
        at = nnx.DiffState(0, nnx.Param), -2
        loss = lambda model, scale, x: jnp.mean((model(x) * scale - 1) ** 2)
        slopes, slope = nnx.grad(loss, argnums=at)(model, scale, X)
        nnx.update(model, jax.tree.map(lambda w, g: w - 0.1 * g, nnx.state(model, nnx.Param), slopes))
        scale = scale - 0.1 * slope
    """
    original = nnx.grad
    answer = why_script(write(tmp_path, text))
    assert not answer.findings and answer.meta["script_steps"] == 4 and nnx.grad is original


def test_something_is_done_after_an_import(tmp_path, monkeypatch):
    (tmp_path / "imported_later.py").write_text("number = 3")
    seen = []
    finder = AfterImport("imported_later", lambda: seen.append(sys.modules["imported_later"].number))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    importlib.import_module("imported_later")
    assert seen == [3]
    monkeypatch.delitem(sys.modules, "imported_later")
