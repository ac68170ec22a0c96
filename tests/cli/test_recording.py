"""`qed why run.qedrec`: a recording is known by its ending or by its first line."""

import jax
import jax.numpy as jnp
import optax

import qed


def test_the_command_line_knows_a_recording(tmp_path, qed_command):
    file, w = tmp_path / "run.qedrec", jnp.ones(2)
    tx = qed.watch(optax.sgd(3.0), path=file, every=10)
    state, update = tx.init(w), jax.jit(tx.update)
    for _ in range(20):
        updates, state = update(w, state, w, value=0.5 * jnp.sum(w**2))
        w = optax.apply_updates(w, updates)
    jax.block_until_ready(state)
    outcome = qed_command("why", file)
    assert outcome.code == 1 and "QED403 loss-rises" in outcome.out
    renamed = file.rename(tmp_path / "run.jsonl")
    assert qed_command("why", renamed).code == 1
    outcome = qed_command("why", renamed, "--at", "w")
    assert outcome.code == 2 and "--at belongs to a loss" in outcome.err
    outcome = qed_command("why", file)
    assert outcome.code == 2 and "QED000" in outcome.err
