"""What one solve compiles: counted as programs and equations, never as seconds."""

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.sparse import sparse_hessian
from qed.graph.function import read
from qed.optimization.together import together

SEEN = []
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: SEEN.append(name))


def programs(solve) -> int:
    SEEN.clear()
    solve()
    return sum(name.endswith("backend_compile_duration") for name in SEEN)


def equations(jaxpr) -> int:
    inner = [p for e in jaxpr.eqns for p in e.params.values() if hasattr(p, "jaxpr")]
    return len(jaxpr.eqns) + sum(equations(p.jaxpr) for p in inner)


def valley(c):
    return lambda x: jnp.sum(c * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def peaks(c):
    return lambda x: jnp.sum((x[0] * jnp.exp(-x[1] * jnp.arange(5.0)) - c) ** 2)


def twisted(c):
    return lambda x: (c - x[0] * (1 - x[1])) ** 2 + (2.25 - x[0] * (1 - x[1] ** 2)) ** 2


@pytest.mark.parametrize(
    ("family", "start", "method", "most"),
    [
        (twisted, np.ones(2), None, 1),
        (peaks, np.array([1.0, 0.5]), None, 1),
        (valley, np.zeros(40), None, 2),  # of few colours no column of J is read
        (twisted, np.ones(2), "l-bfgs", 2),
    ],
)
def test_a_solve_with_its_verdict_compiles_one_program_and_one_more_without_newton(family, start, method, most):
    qed.minimize(family(2.0), jnp.asarray(start), method=method)  # single operations are compiled once for all
    assert programs(lambda: qed.minimize(family(1.5), jnp.asarray(start), method=method)) <= most


@pytest.mark.parametrize(("fun", "n"), [(twisted(1.5), 2), (peaks(1.0), 2), (valley(100.0), 500)])
def test_the_program_for_all_is_at_most_four_times_that_of_value_and_gradient(fun, n):
    function = read(fun, jnp.ones(n))
    program = together(function, sparse_hessian(function))
    both = jax.make_jaxpr(jax.value_and_grad(fun))(jnp.ones(n))
    whole = jax.make_jaxpr(program.run.__wrapped__)(function.parameters, function.data, program.directions)
    assert equations(whole.jaxpr) <= 4 * equations(both.jaxpr)


def test_long_programs_and_rules_of_the_user_are_left_apart():
    @jax.custom_jvp
    def cubed(x):
        return x**3

    cubed.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))
    own = read(lambda x: jnp.sum(cubed(x)), jnp.ones(2))
    wide = read(lambda x: jnp.sum(jnp.sin(jnp.outer(x, jnp.arange(4000.0))) ** 2), jnp.ones(3))
    assert together(own, sparse_hessian(own)) is None and together(wide, sparse_hessian(wide)) is None
