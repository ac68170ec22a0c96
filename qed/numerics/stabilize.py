"""The same function, written so that its value and its gradient keep their digits.

A formula that is right over the real numbers may lose every digit in floating point: log(exp(a) + exp(b)) overflows,
1 - cos(x) cancels, and most of what is lost is lost silently. `stabilize` reads the graph of a function and replaces
what can lose digits by what is equal as a real function and does not (`qed.numerics.rewriting`), in the value and, once
more, in the derivative. The result is a function like the original one.

References: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, chapters 1 and 27; Blanchard,
Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

import functools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import jax

from qed.errors import QedError
from qed.graph.closed_over import lift
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.graph.jaxpr import concrete
from qed.graph.trace import NotNumeric, Traced, trace
from qed.graph.untraceable import definition, name_of, why_not_traceable
from qed.numerics.points import points_of
from qed.numerics.rewriting.blame import Blamed, at_places, blamed
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.derivative import Stable

if TYPE_CHECKING:
    from qed.answer import Answer
    from qed.numerics.rewrites import Rewrites

P = ParamSpec("P")
R = TypeVar("R")

Places = tuple[Only, Only, Only]
"""Which nodes are rewritten, which take longer numbers, and which the longest."""
KEPT = 64
"""How many traces of one function are kept, one for each set of shapes, dtypes and static arguments."""

_CONFIGURATION = ("jax_enable_x64", "jax_numpy_dtype_promotion", "jax_default_matmul_precision")
"""The settings on which a trace depends."""

_PLANS: weakref.WeakKeyDictionary[Any, OrderedDict[Hashable, Plan]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Plan:
    """A function at given shapes, dtypes and static arguments: what is evaluated instead of it.

    Args:
        out_tree: the structure of what the function returns.
        stable: the rewritten function of all its arrays.
        closed_over: the values of the last inputs, the arrays that the function closes over.
        changed: False where value and derivative stay as they are.
        moving: the positions of the floating-point arrays of the first argument.
    """

    out_tree: Any
    stable: Stable
    closed_over: tuple[Any, ...]
    changed: bool
    moving: tuple[int, ...]


def stabilize(fun: Callable[P, R], *, at: Any = None, box: Any = None, everywhere: bool = False) -> Stabilized[P, R]:
    """The same function, stable in value and gradient.

    Args:
        fun: a JAX function of pytrees; arguments without a dtype (sizes, axes, flags) are static, as they are for it.
        at: a point; only what loses digits there is rewritten. For a function of several arguments, their tuple.
        box: `qed.Box(lower, upper)` or the pair, of the first argument; only what loses digits at one of the points
            that are tried in it (its ends and middle, and random ones of all magnitudes, seed 0) is rewritten. The
            other arguments are those of `at`.
        everywhere: rewrite also what the facts show to keep its digits.

    Returns:
        A callable of the same signature, for `jit`, `grad`, `vmap` and `scan`, that is traced once for each set of
        shapes, dtypes and static arguments. Over the real numbers it equals fun wherever fun is defined.

    Raises:
        QedError: QED007 where fun is no function, or the options are no point and no box of it; when it is called:
            QED007 and QED010 where it cannot be traced, QED002 where it returns no arrays.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import qed
        >>> def loss(z):
        ...     return jnp.log(jnp.sum(jnp.exp(z)))
        >>> z = jnp.array([1000.0, 0.0])
        >>> stable = qed.stabilize(loss)
        >>> float(loss(z)), float(stable(z)), jax.grad(stable)(z).tolist()
        (inf, 1000.0, [1.0, 0.0])
    """
    if not callable(fun):
        raise QedError(
            "QED007",
            f"a {type(fun).__name__} is no function",
            "it cannot be called",
            "give the function itself, not its value",
        )
    return Stabilized(fun, Options(at, box, everywhere))


@dataclass(frozen=True, eq=False)
class Options:
    """Where digits count: wherever the facts show that they can be lost, at a point, or in a box."""

    at: Any = None
    box: Any = None
    everywhere: bool = False

    @property
    def given(self) -> bool:
        """Whether they are not the usual ones."""
        return self.at is not None or self.box is not None or self.everywhere


class Stabilized(Generic[P, R]):
    """What `stabilize` returns: fun, evaluated in a stable form."""

    def __init__(self, fun: Callable[P, R], options: Options) -> None:
        self.fun = fun
        self.options = options
        self._places: Places | None = None
        self._own: OrderedDict[Hashable, Plan] = OrderedDict()
        functools.update_wrapper(self, fun, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's value."""
        plan, leaves = self.plan(args, kwargs)
        if not plan.changed:
            return self.fun(*args, **kwargs)
        outputs = plan.stable(*leaves, *plan.closed_over)
        return jax.tree_util.tree_unflatten(plan.out_tree, outputs)

    def rewrites(self, *args: P.args, **kwargs: P.kwargs) -> Answer[Rewrites]:
        """What is replaced at a point, why that is the same function, and how many bits it brings.

        Returns:
            An answer whose value lists every replacement with its line, the formula before and after, the identity and
            its conditions, and a patch of the source where the formula is code that was tried. The bits lost by value
            and gradient at this point, before and after, are measured in balls where the function is small enough.

        Raises:
            QedError: QED003 where the first argument holds no real floating-point number; else as the call does.
        """
        from qed.numerics.rewrites import rewrites

        return rewrites(self, args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"stabilize({name_of(self.fun)})"

    def plan(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Plan, list[Any]]:
        """What is evaluated for these arguments, and the arrays among them."""
        leaves, key = _signature(args, kwargs)
        plans = self._plans()
        found = plans.get(key) if key is not None else None
        if found is not None:
            plans.move_to_end(key)
            return found, leaves
        made = self._made(args, kwargs)
        if key is not None and all(map(concrete, made.closed_over)):
            plans[key] = made
            if len(plans) > KEPT:
                plans.popitem(last=False)
        return made, leaves

    def _plans(self) -> OrderedDict[Hashable, Plan]:
        if self.options.given:
            return self._own
        try:
            return _PLANS.setdefault(self.fun, self._own)
        except TypeError:  # no weak reference, or no hash
            return self._own

    def _made(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Plan:
        traced = _traced(self.fun, args, kwargs)
        lifted, count = _lifted(traced, self.fun)
        only, lengthened, longest = self._only()
        stable = Stable(lifted.graph, only, self.options.everywhere, lengthened=lengthened, longest_at=longest)
        changed = bool(stable.value.changes) or _derivative_changes(stable, lifted)
        closed_over = lifted.leaves[len(lifted.leaves) - count :]
        return Plan(traced.out_tree, stable, tuple(closed_over), changed, tuple(lifted.free))

    def _only(self) -> Places | tuple[None, None, None]:
        """Which places are rewritten, and which take longer numbers; found once, at the points of the options."""
        if self.options.at is None and self.options.box is None:
            return None, None, None
        if self._places is None:
            with jax.ensure_compile_time_eval():  # the call may be traced, the points are numbers
                found = _places(self.fun, self.options)
                self._places = at_places(found.rewritten), at_places(found.longer), at_places(found.longest)
        return self._places


def _lifted(traced: Traced, fun: Callable[..., Any]) -> tuple[Traced, int]:
    """Arrays that are closed over stay constants, whose signs are known; what is traced is an input like any other."""
    values = [value for graph in _graphs(traced.graph) for _, value in graph.constants]
    return (traced, 0) if all(map(concrete, values)) else lift(traced, fun)


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for equation in graph.walk():
        if equation.call is not None:
            yield from equation.call.graphs


def _places(fun: Callable[..., Any], options: Options) -> Blamed:
    args, points = points_of(fun, options.at, options.box)
    traced = _traced(fun, args, {})
    lifted, count = _lifted(traced, fun)
    stable = Stable(lifted.graph, everywhere=options.everywhere, longer=False)
    closed_over = lifted.leaves[len(lifted.leaves) - count :]
    inputs = [[*_signature(point, {})[0], *closed_over] for point in points]
    return blamed(stable, lifted.free, [[jax.numpy.asarray(leaf) for leaf in point] for point in inputs])


def _derivative_changes(stable: Stable, traced: Traced) -> bool:
    """Whether a function whose value stays as it is has a derivative that does not, in any of its arguments."""
    if stable.value.builder.effects:
        return False
    real = tuple(i for i, v in enumerate(traced.graph.inputs) if is_real(v.dtype))
    for moving in dict.fromkeys([real, tuple(traced.free)]):
        try:
            return bool(moving) and stable.derivative(moving).changed
        except (NotImplementedError, TypeError, ValueError):  # no derivative at all, as of a callback
            continue
    return False


def _traced(fun: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Traced:
    try:
        return trace(fun, *args, kwargs=kwargs)
    except QedError:
        raise
    except NotNumeric as error:
        raise QedError(
            "QED002",
            f"{name_of(fun)} returns a {type(error.value).__name__}",
            "only numbers and arrays can be computed another way",
            "return arrays, in any nesting of tuples, lists and dicts",
            definition(fun),
        ) from error
    except Exception as error:
        raise why_not_traceable(error, fun, args) from error


def _signature(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], Hashable | None]:
    """The arrays among the arguments, as `trace` finds them, and what a trace depends on (None: not hashable)."""
    from qed.graph.trace import array_positions

    flat, tree = jax.tree_util.tree_flatten_with_path((tuple(args), dict(kwargs)))
    positions = set(array_positions(flat))
    leaves = [leaf for i, (_, leaf) in enumerate(flat) if i in positions]
    parts: list[Hashable] = [tree, *(getattr(jax.config, name) for name in _CONFIGURATION)]
    for i, (_, leaf) in enumerate(flat):
        if i in positions:
            aval = jax.typeof(leaf) if hasattr(leaf, "dtype") else None
            weak = True if aval is None else bool(getattr(aval, "weak_type", False))
            parts.append((jax.numpy.shape(leaf), str(aval.dtype) if aval is not None else type(leaf), weak))
        else:
            parts.append((type(leaf), leaf))
    key = tuple(parts)
    try:
        hash(key)
    except TypeError:
        return leaves, None
    return leaves, key
