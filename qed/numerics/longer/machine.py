"""A machine for numbers of 288 bits that compiles once, however long its program is: one loop over a table.

Every row of the table holds `LANES` instructions, which do not depend on each other. An instruction is (operation,
a, b, c, extra) and makes one number:

    FUSED     a b + c, the product not rounded
    CHOOSE    b where the sign of a is one of those of `extra`, else c
    START     a function of a in float64, taken as exact: where iterations begin, and integers (`Start`)
    PLAIN     a, its error forgotten
    WHOLE     a, its exponent set to 0
    BOUND     a, its relative error rho(a) + |c| rho(b): an elementary function f(b) with the condition number c

Bounds of relative errors go along, to first order::

    rho(a b + c) = (|a b| (rho(a) + rho(b) + rho(a) rho(b)) + |c| rho(c)) / |a b + c| + EPS

where EPS is left out if nothing was cut off. A sum that is 0 and need not be becomes a number as small as its error,
with a bound above 1: what is added to it keeps its digits, and its sign decides nothing. Of a function whose argument
is so uncertain that |c| rho(b) is 1/2 or more nothing is known, since it may have a pole there; nothing then is of its
products by numbers but 0, however small, and of sums with it. The loop's body is one straight piece of integer
arithmetic for all operations, so that XLA compiles a few dozen array operations for any program; and as the table is
data, equal sizes share one executable.

References: Brent and Zimmermann, *Modern Computer Arithmetic*, 2010, chapters 3 and 4; Higham, *Accuracy and Stability
of Numerical Algorithms*, 2002, section 3.3 (running error bounds).
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.numerics.longer.limbs import (
    BASE,
    BITS,
    DIGITS,
    EPS,
    NEVER,
    WIDTH,
    bits_of,
    carried,
    mantissa,
    module,
    normalized,
    of_floats,
    of_integers,
    packed,
    power_of_two,
    to_floats,
    unpacked,
)  # fmt: skip

LANES = 8
FIELDS = 5
LENGTH = 2 * DIGITS + 2
"""Places in which a product and a sum are formed."""
FIRST_ORDER = 0.5
"""Up to which relative error a function is taken as linear."""
ANYTHING = 1e150
"""The relative error of a number of which nothing is known but that it is one: 0 times it is 0."""
LARGEST = 2.0**50
"""What is rounded to an integer must be smaller."""


class Operation(IntEnum):
    """What an instruction does."""

    FUSED = 0
    CHOOSE = 1
    START = 2
    PLAIN = 3
    WHOLE = 4
    BOUND = 5


class Start(IntEnum):
    """The functions of one float64."""

    RECIPROCAL = 0
    RECIPROCAL_ROOT = 1
    LOG = 2
    ATAN = 3
    ROUND = 4
    QUADRANT = 5
    EXPONENT = 6
    POWER_OF_TWO = 7


@partial(jax.jit, static_argnames=("registers",))
def run(code: Any, steps: Any, constants: Any, inputs: Any, outputs: Any, registers: int) -> tuple[Any, Any]:
    """Results in float64 and the bounds of their relative errors; under `jax.enable_x64`.

    Args:
        code: the table, (rows, `FIELDS` + 1, `LANES`) of int32; the operation is -1 in lanes that are not used, and
            the last field is the block of registers that is written. Operands >= 0 are registers, -1 - k constant k.
        steps: how many of the rows there are.
        constants: rows of numbers.
        inputs: float64 numbers, which are in the first registers.
        outputs: the registers, or constants, of the results.
        registers: how many registers there are.
    """
    given = of_floats(inputs)
    memory = jnp.pad(given, [(0, registers - given.shape[0]), (0, 0)])

    def read(memory: Any, at: Any) -> Any:
        mine = memory[jnp.maximum(at, 0)]
        return jnp.where((at >= 0)[..., None], mine, constants[jnp.maximum(-1 - at, 0)])

    def step(k: Any, memory: Any) -> Any:
        row = lax.dynamic_index_in_dim(code, k, 0, keepdims=False)
        operands = read(memory, row[1:4])
        made = _instruction(row[0], row[4], operands)
        return lax.dynamic_update_slice_in_dim(memory, made, row[5, 0] * LANES, 0)

    memory = lax.fori_loop(0, steps, step, memory)
    digits, exponent, rho = unpacked(read(memory, outputs))
    return to_floats(digits, exponent), rho


def run_in_numpy(
    code: np.ndarray, steps: int, constants: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, registers: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same at many points, (points, numbers), at once and without compiling."""
    points = len(inputs)
    memory = np.zeros((registers, points, WIDTH), np.int64)
    memory[: inputs.shape[1]] = of_floats(np.ascontiguousarray(inputs.T, np.float64))

    def read(at: np.ndarray) -> np.ndarray:
        fixed = constants[np.maximum(-1 - at, 0)][..., None, :]
        return np.where((at >= 0)[..., None, None], memory[np.maximum(at, 0)], fixed)

    with np.errstate(all="ignore"):
        for row in code[:steps]:
            used = max(1, int(np.count_nonzero(row[0] >= 0)))
            operation, extra = (np.repeat(row[field, :used], points) for field in (0, 4))
            operands = read(row[1:4, :used]).reshape(3, used * points, WIDTH)
            first = row[5, 0] * LANES
            memory[first : first + used] = _instruction(operation, extra, operands).reshape(used, points, WIDTH)
        digits, exponent, rho = unpacked(np.moveaxis(read(outputs), 0, 1))
        return to_floats(digits, exponent), np.ascontiguousarray(rho)


def _instruction(operation: Any, extra: Any, operands: Any) -> Any:
    """The results of one row, for its operands of shape (3, LANES, numbers)."""
    xp = module(operands)
    digits, exponents, rhos = unpacked(operands)
    (da, db, dc), (ea, eb, ec), (ra, rb, rc) = digits, exponents, rhos
    fused = operation == Operation.FUSED
    # what is added, which is the result of all other operations
    sign = xp.sign(da[..., 0])
    chosen = ((extra >> (sign + 1)) & 1) == 1
    started, at, known = _start(extra, da, ea)
    choose = operation == Operation.CHOOSE
    starts = operation == Operation.START
    takes_b, takes_c = choose & chosen, fused | (choose & ~chosen)
    term = xp.where(takes_b[..., None], db, xp.where(takes_c[..., None], dc, da))
    place = xp.where(takes_b, eb, xp.where(takes_c, ec, xp.where(operation == Operation.WHOLE, 0, ea)))
    term = xp.where(starts[..., None], started, xp.pad(term, [(0, 0), (1, 0)]))
    place = xp.where(starts, at, place + 1)
    # a b + c
    product = xp.where(fused[..., None], _product(da, db), 0)
    over = xp.where(fused, ea + eb, NEVER * 4)
    top = xp.maximum(place, over + 1)
    down, aside = top - over, top - place
    total = carried(_moved(product, down) + _moved(term, aside))
    found, exponent = normalized(total, top)
    # the bound of its error
    lead = top - exponent
    behind = xp.any((total != 0) & (np.arange(LENGTH) >= (lead + DIGITS)[..., None]), -1)
    lost = ((down > 3) & xp.any(product != 0, -1)) | ((aside > LENGTH - DIGITS - 1) & xp.any(term != 0, -1))
    sizes = xp.abs(mantissa(digits))
    size = xp.abs(mantissa(found)) * _scale(-lead)
    error = _weighed(sizes[0] * sizes[1], ra + rb + xp.minimum(_weighed(ra, rb), ANYTHING)) * _scale(-down)
    error = error + _weighed(sizes[2], rc) * _scale(-aside - 1)
    error = error + xp.where(lost, float(BASE) ** (3 - LENGTH), 0.0)
    summed = xp.where(error == 0, 0.0, xp.where(error < xp.inf, xp.minimum(error / size, ANYTHING), error))
    some = digits[..., 0] != 0
    nothing = some & (rhos >= ANYTHING)  # which is no bound of a number: it may be larger than any other is small
    nothing = (nothing[0] & some[1]) | (nothing[1] & some[0]) | nothing[2]
    summed = xp.where(nothing, xp.maximum(summed, ANYTHING), summed) + xp.where(behind, EPS, 0.0)
    certain = (ra < 1) & ((ra == 0) | (sign != 0))
    picked = xp.where(certain, xp.where(chosen, rb, rc), xp.inf)
    vanished = (da[..., 0] == 0) & (rb != 0)
    through = _weighed(xp.abs(to_floats(dc, ec)), rb)
    through = xp.where((rb >= ANYTHING) & some[2], xp.maximum(through, ANYTHING), through)
    bound = xp.where(vanished, xp.inf, ra + xp.where(through >= FIRST_ORDER, xp.maximum(through, ANYTHING), through))
    began = xp.where(known & (ra < 1), 0.0, xp.inf)
    kept = xp.where(operation == Operation.PLAIN, 0.0, xp.where(operation == Operation.BOUND, bound, ra))
    rho = xp.where(fused, summed, xp.where(choose, picked, xp.where(starts, began, kept)))
    # a sum that is 0 by its rounding errors
    noise = fused & (found[..., 0] == 0) & (error > 0) & (error < 1e300)
    places = xp.floor_divide(((bits_of(error) >> 52) & 0x7FF) - 1023, BITS)
    found = found + xp.where(noise[..., None], np.arange(DIGITS) == 0, 0)
    rho = xp.where(noise, xp.maximum(2 * error / _scale(xp.minimum(places, 0)), xp.where(nothing, ANYTHING, 0.0)), rho)
    return packed(found, xp.where(noise, top + xp.minimum(places, 0), exponent), rho)


def _weighed(size: Any, rho: Any) -> Any:
    """size * rho, 0 where rho is."""
    return module(rho).where(rho == 0, 0.0, size * rho)


def _scale(places: Any) -> Any:
    """B^places for places <= 0, 0 where it is far below the least rho."""
    xp = module(places)
    return xp.where(places < -40, 0.0, power_of_two(BITS * xp.maximum(places, -40)))


def _product(a: Any, b: Any) -> Any:
    """The 2 K - 1 sums of products of digits, each below 2^51."""
    xp, lanes = module(a), a.shape[0]
    table = a[:, :, None] * b[:, None, :]
    skew = xp.pad(table, [(0, 0), (0, 0), (0, DIGITS)]).reshape(lanes, 2 * DIGITS * DIGITS)
    return skew[:, : DIGITS * (2 * DIGITS - 1)].reshape(lanes, DIGITS, 2 * DIGITS - 1).sum(1)


def _moved(digits: Any, by: Any) -> Any:
    """Digits `by` >= 0 places down, in LENGTH places."""
    xp, at = module(digits), np.arange(LENGTH) - by[..., None]
    found = xp.take_along_axis(digits, xp.clip(at, 0, digits.shape[-1] - 1), -1)
    return xp.where((at >= 0) & (at < digits.shape[-1]), found, 0)


def _start(kind: Any, digits: Any, exponent: Any) -> tuple[Any, Any, Any]:
    """The digits and the exponent of a function of float64, and whether it is one."""
    xp = module(digits)
    size, value = mantissa(digits), to_floats(digits, exponent)
    odd = exponent & 1
    positive = size > 0
    safe = xp.where(positive, size, 1.0)
    root = xp.where(odd == 1, float(BASE), 1.0) * safe
    within = xp.clip(value, -LARGEST, LARGEST)
    whole = xp.round(within)
    cases = [
        1 / xp.where(size == 0, 1.0, size),
        1 / xp.sqrt(root),
        xp.log(safe),
        xp.arctan(xp.clip(value, -1e300, 1e300)),
        whole,
        whole - 4 * xp.floor(whole / 4),
        exponent.astype(np.float64),
        xp.ones_like(size),
    ]
    found = cases[0]
    for number, case in enumerate(cases[1:], 1):
        found = xp.where(kind == number, case, found)
    power = xp.where(kind == Start.RECIPROCAL, -BITS * exponent, 0)
    power = xp.where(kind == Start.RECIPROCAL_ROOT, -(BITS // 2) * (exponent - odd), power)
    power = xp.where(kind == Start.POWER_OF_TWO, whole.astype(np.int64), power)
    known = xp.where(kind == Start.RECIPROCAL, size != 0, xp.abs(value) < LARGEST)
    known = xp.where((kind == Start.RECIPROCAL_ROOT) | (kind == Start.LOG), positive, known)
    known = known | (kind == Start.ATAN) | (kind == Start.EXPONENT)
    bits = bits_of(found)
    biased = (bits >> 52) & 0x7FF
    integer = xp.where(biased > 0, (bits & ((1 << 52) - 1)) + (1 << 52), 0)
    started, at = of_integers(xp.where(bits < 0, -integer, integer), biased - 1075 + power)
    return started[..., : DIGITS + 1], at, known
