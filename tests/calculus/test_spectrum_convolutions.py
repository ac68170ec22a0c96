"""Hessian products of convolutions: the derivative by weights as products of matrices, for every layout."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.calculus.spectra.programs import programs
from qed.graph.function import read

DRAW = np.random.default_rng(8)
LAYERS = {
    "same": {"padding": "SAME"},
    "stepped": {"padding": ((0, 2), (1, 0)), "window_strides": (2, 3)},
    "dilated": {"padding": "VALID", "rhs_dilation": (2, 1)},
    "cropped": {"padding": ((-1, 0), (1, -1))},
    "spread": {"padding": ((1, 1), (1, 1)), "lhs_dilation": (2, 1)},
    "grouped": {"padding": "SAME", "feature_group_count": 2},
}


def drawn(*shape):
    return jnp.asarray(DRAW.standard_normal(shape) / 2, jnp.float32)


def convolved(x, w, order, options):
    given = {"window_strides": (1,) * (w.ndim - 2), **options}
    return lax.conv_general_dilated(x, w, dimension_numbers=order, **given)


def net(w, x):
    total = 0.0
    for i, (name, options) in enumerate(LAYERS.items()):
        inner = {**options, "feature_group_count": 1} if name == "grouped" else options
        first, second, image = w["first"], w["half" if name == "grouped" else "second"], x
        order = ("NHWC", "HWIO", "NHWC") if i % 2 else ("NCHW", "OIHW", "NCHW")
        if order[0] == "NCHW":
            first, second = (jnp.transpose(a, (3, 2, 0, 1)) for a in (first, second))
            image = jnp.transpose(x, (0, 3, 1, 2))
        hidden = jnp.tanh(convolved(image, first, order, inner))
        total += jnp.mean(jnp.sin(convolved(hidden, second, order, options)))
    line = jnp.tanh(convolved(x[:, :, 0], w["line"], ("NHC", "HIO", "NHC"), {"padding": "SAME"}))
    return total + jnp.mean(jnp.sin(convolved(line, w["line"][:, :2], ("NHC", "HIO", "NHC"), {"padding": "VALID"})))


def test_products_with_known_factors_side_by_side_are_the_same():
    w = {"first": drawn(3, 3, 2, 4), "second": drawn(3, 2, 4, 2), "half": drawn(3, 2, 2, 2), "line": drawn(3, 2, 2)}
    function = read(net, w, drawn(2, 12, 13, 2))
    point, along = tuple(function.parameters), tuple(drawn(*p.shape) for p in function.parameters)
    plain, copied = (programs(function, wide=False, unfold=unfold) for unfold in (False, True))

    def convolutions(own):
        *_, tangent = jax.eval_shape(own.linearized, point, function.data)
        return str(jax.make_jaxpr(lambda t, v: t(v))(tangent, along)).count("conv_general_dilated[")

    assert convolutions(copied) <= convolutions(plain) - 12
    found = copied.apply(copied.linearized(point, function.data)[-1], along)
    for a, b in zip(found, plain.afresh(point, function.data, along), strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-6)
