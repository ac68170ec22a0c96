"""What every primitive is that is no elementwise function with a card: its class.

A domain writes one rule for a class, not one for a primitive. Names are those of the newest JAX (`jit`, `remat`,
`scatter-add` with `_` or `-`). Collectives, references, Pallas kernels and hardware fusions are out of scope, listed
with the reason, so that a primitive is never silently missing: `classify` returns None only for those and for names
that nobody has looked at, and a test on every supported JAX finds none of the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from qed.facts.table import ARITHMETIC, CARDS, FAMILIES


class Class(StrEnum):
    """What a domain must know of a primitive to have a rule for it.

    >>> from qed.facts import Class, classify
    >>> classify("reduce_sum"), classify("reduce_sum") is Class.LINEAR, classify("tanh").value
    (<Class.LINEAR: 'linear'>, True, 'unary')
    """

    UNARY = "unary"
    """One number to one number, elementwise: it has a card."""
    ARITHMETIC = "arithmetic"
    """Several numbers to one, elementwise: `arithmetic` has its card (`polynomial`'s depends on how many numbers)."""
    LINEAR = "linear"
    """Linear in all its floating operands together (over the reals): moves, repeats, converts and sums numbers. A
    `linear_call` is linear in the operands it declares."""
    BILINEAR = "bilinear"
    """Linear in each of its two floating operands."""
    ZERO_DERIVATIVE = "zero-derivative"
    """The derivative is zero, or declared zero: constants, counts, integer and bit operations; and stop_gradient, whose
    value is its operand."""
    COMPARE = "compare"
    """Numbers to truth values; and operations between truth values."""
    SELECT = "select"
    """Takes whole elements from one of several operands, by a predicate."""
    REDUCE = "reduce"
    """Takes, orders or multiplies elements along an axis, not linearly."""
    INDEX = "index"
    """Moves elements from or to places given by integer operands. Linear in the array operands together, except where a
    scatter multiplies (`scatter-mul`), compares (`scatter-max`, `scatter-min`, `select_and_scatter`) or applies a
    function (`scatter_apply`, qed's name of what `x.at[i].apply` makes of `scatter`)."""
    CALL = "call"
    """Runs other graphs: calls, branches, loops, custom rules."""
    LINALG = "linalg"
    """Matrix factorisations and solutions of linear systems."""
    RANDOM = "random"
    """Pseudo-random numbers and keys; `random_gamma` alone has a derivative, in its parameter."""
    EFFECT = "effect"
    """Talks to the world outside: callbacks, prints, foreign code."""


_MEMBERS: dict[Class, str] = {
    Class.LINEAR: """
        add_any broadcast_in_dim complex concatenate conj convert_element_type copy cumsum device_put fft from_edtype
        imag layout_constraint linear_call name optimization_barrier pad real reduce_precision reduce_sum
        reduce_window_sum relayout reshape reshard rev roll sharding_constraint slice split squeeze stack stage tie
        tile to_edtype
        transpose unstack with_memory_space_constraint zeros_like""",
    Class.BILINEAR: "conv_general_dilated dot_general ragged_dot_general",
    Class.ZERO_DERIVATIVE: """
        bitcast_convert_type clz empty empty2 iota iota_2x32_shape mulhi population_count
        shift_left shift_right_arithmetic shift_right_logical stop_gradient""",
    Class.COMPARE: "and eq eq_to ge gt is_finite le le_to lt lt_to ne not or reduce_and reduce_or reduce_xor xor",
    Class.SELECT: "select_n",
    Class.REDUCE: """
        approx_top_k argmax argmin cumlogsumexp cummax cummin cumprod reduce reduce_max reduce_min reduce_prod
        reduce_window reduce_window_max reduce_window_min select_and_gather_add sort top_k""",
    Class.INDEX: """
        dynamic_slice dynamic_update_slice gather scatter scatter-add scatter-max scatter-min scatter-mul scatter-sub
        scatter_apply select_and_scatter select_and_scatter_add""",
    Class.CALL: """
        call call_hi_primitive closed_call composite cond custom_jvp_call custom_lin custom_partitioning
        custom_vjp_call custom_vmap_call eval_jaxpr jit platform_index remat remat_opt scan while xla_metadata_call""",
    Class.LINALG: """
        cholesky cholesky_update custom_linear_solve eig eigh geqp3 geqrf hessenberg householder_product lu
        lu_pivots_to_permutation ormqr qr schur svd symmetric_product triangular_solve tridiagonal tridiagonal_solve""",
    Class.RANDOM: """
        philox2x32 philox4x32 random_bits random_clone random_fold_in random_gamma random_seed random_split
        random_unwrap random_wrap rng_bit_generator rng_uniform threefry2x32 threefry4x32""",
    Class.EFFECT: """
        after_all check create_token dce_sink debug_callback debug_print ffi_call inspect_sharding io_callback
        pure_callback unreachable xla_metadata_value""",
}

_OUT_OF_SCOPE: dict[str, str] = {
    "collective: several devices": """
        all_gather all_gather_done all_gather_invariant all_gather_reduced all_gather_reduced_start all_gather_start
        all_to_all all_to_all_done all_to_all_start axis_index pbroadcast pbroadcast_done pbroadcast_dynamic
        pbroadcast_start pmax pmin ppermute ppermute_done ppermute_start precv preduced psend psum psum_done
        psum_invariant psum_invariant_start psum_start pvary ragged_all_to_all reduce_scatter reduce_scatter_done
        reduce_scatter_start reduced_vary_cast reduced_vary_cast_p shard_alike shard_map unreduced_pmax unreduced_pmin
        unreduced_psum unreduced_psum_start unreduced_reduce_scatter unreduced_reduce_scatter_start vary_unreduced_cast
        vary_unreduced_cast_p""",
    "mutable reference: a loss is a function of its inputs": """
        accum_grad_in_ref addupdate box_get box_set broadcast_to create_linear empty_ref free_ref freeze get log_extend
        log_read new_box new_log new_ref pin run_state swap unpin""",
    "kernel: its meaning is the hardware's": """
        core_map cudnn_fusion custom_fusion dot_product_attention_bwd dot_product_attention_bwd_wrapper
        dot_product_attention_fp8_bwd dot_product_attention_fp8_bwd_wrapper dot_product_attention_fp8_fwd
        dot_product_attention_fp8_fwd_wrapper dot_product_attention_fwd dot_product_attention_fwd_wrapper fusible
        mpmd_map pallas_call scaled_dot scaled_matmul scaled_matmul_wrapper tpu_custom_call""",
    "sparse matrix format: experimental in JAX": """
        bcoo_dot_general bcoo_dot_general_sampled bcoo_extract bcoo_fromdense bcoo_sort_indices bcoo_spdot_general
        bcoo_sum_duplicates bcoo_todense bcoo_transpose bcsr_dot_general bcsr_extract bcsr_fromdense bcsr_todense
        coo_fromdense coo_matmat coo_matvec coo_spmm coo_spmv coo_todense csr_fromdense csr_matmat csr_matvec csr_spmm
        csr_spmv csr_todense spsolve todense""",
    "internal to JAX: never in the graph of a traced loss": """
        call_exported call_hi_primitive_linearized custom_jvp_call_jaxpr dim_as_value dimension_size
        get_global jaxpr_call shape_assertion trace_value""",
}


CLASSES: Mapping[str, Class] = MappingProxyType(
    {name: kind for kind, names in _MEMBERS.items() for name in names.split()}
    | {name: Class.ARITHMETIC for name in (*ARITHMETIC, "polynomial")}
    | {name: Class.UNARY for name in CARDS}
    | {name: Class.UNARY for name in FAMILIES}
)
"""Every primitive in scope (and qed's own `power`, `psi`, `reciprocal`), with its class."""

COMPARED = frozenset("eq eq_to ge gt le le_to lt lt_to ne".split())
"""The primitives that compare two numbers."""

OUT_OF_SCOPE: Mapping[str, str] = MappingProxyType(
    {name: reason for reason, names in _OUT_OF_SCOPE.items() for name in names.split()}
)
"""Every primitive that is out of scope, with the reason."""


def classify(name: str) -> Class | None:
    """Return the class of a primitive, or None where it is out of scope or unknown.

    >>> from qed.facts import OUT_OF_SCOPE, classify
    >>> classify("scan"), classify("scatter_add"), classify("psum"), OUT_OF_SCOPE["psum"]
    (<Class.CALL: 'call'>, <Class.INDEX: 'index'>, None, 'collective: several devices')
    """
    return CLASSES.get(name) or CLASSES.get(name.replace("_", "-"))


def may_have_corners(name: str) -> bool:
    """Whether a primitive may have a corner or a jump: by its card, or because it chooses, orders or compares elements.

    >>> from qed.facts import may_have_corners
    >>> [name for name in ("abs", "max", "sort", "gt", "exp", "mul", "cbrt") if may_have_corners(name)]
    ['abs', 'max', 'sort', 'gt', 'cbrt']
    """
    if name in CARDS:
        return bool(CARDS[name].kinks or CARDS[name].jumps)
    if name in ARITHMETIC:
        return bool(ARITHMETIC[name].tie or ARITHMETIC[name].jump)
    return classify(name) in (Class.SELECT, Class.REDUCE, Class.COMPARE)
