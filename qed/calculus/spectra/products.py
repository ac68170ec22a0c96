"""Hessian-vector products of a program, in its own arithmetic and in float64, counted; and what they take in memory.

In its own arithmetic a product is as fast as two gradients or so, and has its rounding errors. In float64 the *graph of
values* is differentiated: rules that the user attached to a function are not asked, and the roundings are 1e-16 of the
largest curvature. Error bars come from the latter; of large functions the roundings of the former are measured.

Where the work of a product is large beside compiling it, the derivative of the gradient is linearised at the point and
kept (`qed.calculus.spectra.programs`), if the memory that the compiler states is there; otherwise each product is
computed afresh. A mean over rows may be cut into parts, which are asked one after another: a product then needs the
memory of one part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Reason
from qed.calculus.hessian import flatten, unflatten
from qed.calculus.lanczos import length
from qed.calculus.spectra.cancelling import Roundings
from qed.calculus.spectra.programs import LONG, Programs, Room, convolves, programs
from qed.calculus.stopped import cuts, of_values, stops
from qed.domains.cost import count
from qed.domains.widened import is_narrow, widen
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.function import Function

Array = np.ndarray
SMALL = 20_000
"""Up to so many parameters all products are made in float64."""
NOTED = 2**30
"""From so many bytes of a whole Hessian on its size is said."""
WORTH = 3e7
"""From so many operations of a gradient on its derivative is linearised and kept."""
SAME, SAME_NARROW = 1e-9, 1e-4
"""Below which part of their length two products are the same, in float64 and in the program's arithmetic."""
SHARE = 0.5
"""Which part of the free memory what is kept may take."""


class Products:
    """v -> H v of a function at its point, for float64 vectors: the arrays of the argument laid end to end.

    Args:
        function: the function at its point.
        parts: functions whose mean it is, asked one after another instead; without them it is asked itself.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> products = Products(read(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0])))
    >>> products(np.ones(2)).tolist(), products.exact(np.ones(2)).tolist(), products.count
    ([6.0, 12.0], [6.0, 12.0], 2)
    """

    def __init__(self, function: Function, parts: Sequence[Function] = ()) -> None:
        self.function = function
        self.parts = tuple(parts) or (function,)
        self.count = 0
        self.wide = not is_narrow(function.graph)
        self._tangents: list[Any] | None = None
        self._slopes: list[Any] = []
        self._values: list[float] = []
        with jax.enable_x64(True):
            self._point = tuple(widen(p) for p in function.parameters)

    @cached_property
    def size(self) -> int:
        """The number of parameters."""
        return self.function.size

    @cached_property
    def dtype(self) -> type:
        """What a basis of vectors is kept in."""
        return np.float64 if self.size <= SMALL or "64" in self.function.dtype else np.float32

    @property
    def arithmetic(self) -> str:
        """In what the products of a search are computed."""
        return "float64" if self.wide and self.size <= SMALL else self.function.dtype.split(", ")[0]

    @cached_property
    def _own(self) -> Programs:
        part = self.parts[0]
        if self._pays and convolves(part.graph):
            unfolded = programs(part, wide=False, unfold=True)
            if self._fits(self._room(unfolded)):
                return unfolded
        return programs(part, wide=False)

    @cached_property
    def _wide(self) -> Programs:
        return programs(self.parts[0], wide=True)

    @cached_property
    def kept(self) -> Room | None:
        """What the linearised product takes, all parts together; None where products are made afresh."""
        return self._room(self._own) if self._pays else None

    @cached_property
    def _pays(self) -> bool:
        part = self.parts[0]
        return part.graph.count() <= LONG and count(part.graph, part.traced.free).sweep >= WORTH

    def _room(self, own: Programs) -> Room | None:
        part = self.parts[0]
        try:
            room = own.room(tuple(part.parameters), part.data)
        except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
            return None
        return None if room is None else Room(room.kept * len(self.parts), room.beside)

    @staticmethod
    def _fits(room: Room | None) -> bool:
        there = free_memory()
        return room is not None and (there is None or room.kept + room.beside <= SHARE * there)

    @cached_property
    def linearized(self) -> bool:
        """Whether the derivative of the gradient is kept: it pays, and there is room for it. Nothing is run for it."""
        return self._fits(self.kept)

    def __call__(self, vector: Array) -> Array:
        """The product for a search: in float64 where that is cheap, otherwise in the program's arithmetic."""
        return self.exact(vector) if self.size <= SMALL else self.own(vector)

    def own(self, vector: Array) -> Array:
        """The product in the program's arithmetic."""
        self.count += 1
        direction = unflatten(vector, self.function.parameters)
        found = [self._product(i, direction) for i in range(len(self.parts))]
        return found[0] if len(found) == 1 else np.mean(found, axis=0)

    def _product(self, i: int, direction: Any) -> Array:
        part = self.parts[i]
        if self.linearized:
            found = flatten(self._own.apply(self._linearized()[i], direction), self.dtype)
            if np.isfinite(found).all():  # factors that are multiplied out may overflow where a product does not
                return found
        return flatten(self._own.afresh(tuple(part.parameters), part.data, direction), self.dtype)

    def _linearized(self) -> list[Any]:
        if self._tangents is None:
            found = [self._own.linearized(tuple(p.parameters), p.data) for p in self.parts]
            self._slopes, self._tangents = [g for _, g, _ in found], [tangent for *_, tangent in found]
            self._values = [float(value) for value, *_ in found]
        return self._tangents

    @property
    def value(self) -> float:
        """The function's value, in its own arithmetic."""
        if not self.linearized:
            return float(self.function.value(self.function.parameters))
        self._linearized()
        return float(np.mean(self._values))

    @property
    def slopes(self) -> Array | None:
        """The gradient, where it is there anyhow: with the linearised product."""
        if not self.linearized:
            return None
        self._linearized()
        found = [flatten(g, self.dtype) for g in self._slopes]
        return found[0] if len(found) == 1 else np.mean(found, axis=0)

    def several(self, vectors: Array) -> Array:
        """The products with the rows of (count, size), as rows."""
        return np.array([self(v) for v in vectors], self.dtype)

    def exact(self, vector: Array) -> Array:
        """The product in float64, where the graph allows it."""
        if not self.wide:
            return self.own(vector)
        self.count += 1
        with jax.enable_x64(True):
            direction = unflatten(vector, self._point)
            found = [flatten(self._wide.afresh(self._point, _widened(p.data), direction)) for p in self.parts]
        return found[0] if len(found) == 1 else np.mean(found, axis=0)

    def rounding(self, vector: Array) -> float:
        """|H v in the program's arithmetic - H v in float64| for a unit vector: what a search may be off by."""
        return 0.0 if self.size <= SMALL else length(self.own(vector) - self.exact(vector))

    @cached_property
    def _roundings(self) -> Roundings | None:
        if not self.wide:
            return Roundings.in_its_arithmetic(self.function)
        return Roundings.of(self.function) if self.size <= SMALL or not self._pays else None

    @property
    def cancelled(self) -> float:
        """How far an eigenvalue or an entry of the products may be off; 0 where products are dear."""
        return 0.0 if self._roundings is None else self._roundings.size

    def beside(self, vectors: Array, images: Array) -> Array:
        """How far products in float64 with rows may be off, of a small function."""
        return np.zeros(len(vectors)) if self._roundings is None else self._roundings.beside(vectors, images)

    @cached_property
    def stopped(self) -> Finding | None:
        """QED101, or QED107 where it is declared, where what stands behind a stop_gradient bends the values too."""
        sites = stops(self.function)
        wide = self.wide and self.size <= SMALL
        with jax.enable_x64(True) if wide else nullcontext():
            if not sites or not cuts(self.function, programs(self.function, wide=wide).moved):
                return None
        unit = np.random.default_rng(0).standard_normal(self.size)
        unit /= np.linalg.norm(unit)
        here, whole = self.exact(unit), Products(of_values(self.function)).exact(unit)
        apart, most = length(here - whole), max(length(here), length(whole))
        if apart <= (SAME if self.wide else SAME_NARROW) * most:
            return None
        text = (
            f"what stands behind a stop_gradient is held constant here: a random unit vector is taken to one of length "
            f"{length(here):.4g}, by the Hessian of the values to one of length {length(whole):.4g}, and the two are "
            f"{apart:.4g} apart"
        )
        return Finding("QED107" if all(site.marked for site in sites) else "QED101", text, sites[0].span)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """QED703, where keeping the linearised product would pay and there is no room for it."""
        if self.kept is None or self.linearized:
            return ()
        text = (
            f"the derivative of the gradient at the point takes {in_words(self.kept.kept + self.kept.beside)}, more "
            f"than half of the memory that is free: each product is computed afresh"
        )
        return (Finding("QED703", text),)


def _widened(data: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(widen(leaf) for leaf in data)


def cut(read: Callable[..., Function], x: Any, args: Sequence[Any], parts: int) -> tuple[Function, ...]:
    """The functions of which fun(x, *args) is the mean: all arrays of args cut along their first axis.

    Args:
        read: (x, *args) -> Function.
        x: the point.
        args: the data; arrays of the commonest first length are cut, others are given to every part.
        parts: how many.

    Raises:
        QedError: QED007, where the rows cannot be divided so.
    """
    leaves, structure = jax.tree.flatten(tuple(args))
    lengths = [leaf.shape[0] for leaf in leaves if np.ndim(leaf) >= 1]
    rows = max(set(lengths), key=lengths.count, default=0)
    if not rows or rows % parts:
        because = "no argument has rows" if not rows else f"{rows} rows cannot be divided into {parts} equal parts"
        raise QedError("QED007", f"parts={parts} does not divide the data", because, "give another number of parts")
    found = []
    for i in range(parts):
        piece = slice(i * rows // parts, (i + 1) * rows // parts)
        own = [leaf[piece] if np.ndim(leaf) >= 1 and leaf.shape[0] == rows else leaf for leaf in leaves]
        found.append(read(x, *jax.tree.unflatten(structure, own)))
    return tuple(found)


def is_mean(function: Function, parts: Sequence[Function], seed: int = 0) -> bool:
    """Whether a function is the mean of its parts, at its point and at two beside it, up to rounding."""
    rng = np.random.default_rng(seed)
    for step in (0.0, 0.01, -0.03):
        at = [jnp.asarray(p + step * rng.standard_normal(p.shape), p.dtype) for p in function.parameters]
        whole = float(function.value(at))
        values = [float(part.value(at)) for part in parts]
        if abs(np.mean(values) - whole) > 1e-4 * max(float(np.mean(np.abs(values))), 1e-30):
            return False
    return True


def in_words(number: float) -> str:
    """A size in bytes as one says it.

    >>> in_words(4 * 1e6**2), in_words(2.5e9)
    ('4.0 TB', '2.5 GB')
    """
    for unit, name in ((1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"


def many(number: int) -> str:
    """A number of parameters as one says it.

    >>> many(12_300_000), many(40_000)
    ('12.3 million', '40,000')
    """
    return f"{number / 1e6:.1f} million" if number >= 10**6 else f"{number:,}"


def of_hessian(function: Function) -> float:
    """The bytes of a whole Hessian."""
    return float(function.size) ** 2 * max((p.dtype.itemsize for p in function.parameters), default=4)


def gradients(function: Function) -> float:
    """How many gradients a linearised product is worth: (4 L - 2 V) / (V + L), counted over the graph.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> deep = lambda w: jnp.sum((jnp.tanh(jnp.ones((50, 40)) @ w[0]) @ w[1]) ** 2)
    >>> round(gradients(read(deep, (jnp.ones((40, 60)), jnp.ones((60, 50))))), 1)
    1.7
    """
    found = count(function.graph, function.traced.free)
    return max(1.0, (4 * found.linear - 2 * found.value) / max(found.sweep, 1.0))


def too_large_to_form(function: Function, k: int, vectors: int, most: int | None = None) -> tuple[Finding, ...]:
    """QED701, where the Hessian would be too large to form; said before anything is allocated.

    k eigenvalues are asked for, or with `most` the ends of the spectrum by as many products at most.
    """
    size = of_hessian(function)
    if size < NOTED:
        return ()
    products = 4 * k + 10 if most is None else most
    what = f"{k} of its eigenvalues take some" if most is None else "both ends of its spectrum take up to"
    text = (
        f"{many(function.size)} parameters: the Hessian would take {in_words(size)}; {what} "
        f"{products} products = {products * gradients(function):.0f} gradients, and {vectors} vectors of "
        f"{in_words(size / function.size)}"
    )
    return (Finding("QED701", text),)


def sized(findings: Sequence[Finding]) -> tuple[Reason, ...]:
    """What is said of sizes, as a reason of the answer, where it heads what was found."""
    sizes = [f for f in findings[:1] if f.code in ("QED701", "QED703")]
    return tuple(Reason("size", text=finding.message, role="size") for finding in sizes)


def room_for(function: Function, vectors: int, itemsize: int) -> None:
    """Raise QED702 where so many vectors do not fit into memory."""
    needed = float(function.size) * itemsize * vectors
    there = free_memory()
    if there is not None and needed > there:
        what = f"{vectors} vectors of {function.size:,} numbers take {in_words(needed)}"
        because = f"{in_words(there)} of memory are free"
        raise QedError(
            "QED702", what, because, "ask for fewer eigenvalues (k), or for those of a part of the parameters"
        )


def free_memory() -> float | None:
    """The bytes of memory that can be had, where the system says it: on Linux with what it holds of files."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return 1024.0 * next(float(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None
