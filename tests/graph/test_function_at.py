"""A function that was read can be asked at other parameters of the same types without being traced again."""

import jax.numpy as jnp
import numpy as np

from qed.graph.function import read

DATA = jnp.array([1.0, 2.0])


def test_other_parameters_take_the_place_of_those_that_were_read():
    calls = []

    def fun(tree, shift):
        calls.append(1)
        return jnp.sum(DATA * tree["w"]) * tree["b"] + shift

    first = {"w": jnp.ones(2), "b": jnp.array(2.0)}
    other = {"w": jnp.array([3.0, -1.0]), "b": jnp.array(0.5)}
    shift = jnp.array(10.0)
    function, anew = read(fun, first, shift), read(fun, other, shift)
    calls.clear()
    moved = function.at(anew.parameters)
    assert moved is not None and not calls
    assert float(moved.value(moved.parameters)) == float(anew.value(anew.parameters)) == 10.5
    for mine, its in ((moved.traced, anew.traced), (moved.own, anew.own)):
        assert all(np.array_equal(a, b) for a, b in zip(mine.leaves, its.leaves, strict=True))
        assert mine.paths == its.paths and mine.free == its.free
    assert float(function.value(function.parameters)) == 16.0


def test_other_types_are_read_anew():
    function = read(lambda x: jnp.sum(x), jnp.ones(2, jnp.float32))
    assert function.at((jnp.ones(3, jnp.float32),)) is None
    assert function.at((jnp.ones(2, jnp.float16),)) is None
    assert function.at(()) is None
    assert (
        read(lambda x: x * jnp.float32(2), 1.0).at((jnp.float32(1.0),)) is None
    )  # a number of Python takes other types
