"""Whose derivative in JAX is verified, and by which law: the test-suite verifies each, programs then need not.

    cards        elementwise: the derivative stated by the card, evaluated in balls
    linear       f(v) itself, at any point
    bilinear     f(v, y) + f(x, w)
    quotients    a difference quotient of the values with an error bar, where no formula is stated

and for each the inner products <c, J v> = <J' c, v> of forward and reverse derivatives. A primitive (or a function
of JAX's own with a derivative rule) that is in none of them is taken on JAX's word, and `qed.check_gradient` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from qed.facts.structure import CLASSES, Class
from qed.facts.table import ARITHMETIC, CARDS


class Law(StrEnum):
    """The law by which a derivative is verified."""

    CARD = "card"
    LINEAR = "linear"
    BILINEAR = "bilinear"
    QUOTIENT = "quotient"
    ZERO = "zero"
    CHAIN = "chain"


_UNVERIFIED = frozenset({"igamma_grad_a", "nextafter", "polygamma", "regularized_incomplete_beta", "zeta"})
"""Operations whose card leaves a partial derivative open."""

_LINEAR = """
    add_any broadcast_in_dim complex concatenate conj convert_element_type copy cumsum fft imag pad real
    reduce_precision reduce_sum reduce_window_sum reshape rev slice split squeeze transpose
    dynamic_slice dynamic_update_slice gather scatter scatter-add"""

_QUOTIENT = """
    select_n cumlogsumexp cummax cummin cumprod reduce_max reduce_min reduce_prod reduce_window_max reduce_window_min
    polynomial sort top_k scatter-max scatter-min scatter-mul
    cholesky custom_linear_solve eigh lu qr svd triangular_solve"""

_CHAIN = """
    call closed_call composite cond custom_jvp_call custom_vjp_call eval_jaxpr jit remat remat_opt scan while
    xla_metadata_call"""

TRUSTED: Mapping[str, Law] = MappingProxyType(
    {name: Law.CARD for name in CARDS}
    | {"integer_pow": Law.CARD}
    | {name: Law.CARD for name in ARITHMETIC if name not in _UNVERIFIED}
    | dict.fromkeys(_LINEAR.split(), Law.LINEAR)
    | dict.fromkeys(("conv_general_dilated", "dot_general"), Law.BILINEAR)
    | dict.fromkeys(_QUOTIENT.split(), Law.QUOTIENT)
    | {name: Law.ZERO for name, kind in CLASSES.items() if kind in (Class.ZERO_DERIVATIVE, Class.COMPARE)}
    | dict.fromkeys(_CHAIN.split(), Law.CHAIN)
)
"""The law of each primitive whose derivative in JAX is verified."""

RULES = frozenset(
    "_det _det_3x3 _i0 i0_impl _sinc_maclaurin log_ndtr logaddexp logaddexp2 logit relu relu6 xlog1py xlogy".split()
)
"""Functions of JAX's own with a derivative rule that are verified by quotients (some have two names)."""


def is_trusted(name: str) -> bool:
    """Whether the derivative that JAX has for a primitive is verified.

    >>> from qed.facts.trusted import is_trusted
    >>> is_trusted("tanh"), is_trusted("scatter_add"), is_trusted("schur")
    (True, True, False)
    """
    return name in TRUSTED or name.replace("_", "-") in TRUSTED
