"""A step that is mapped over devices, of which there is one: the map of one part is the function itself.

Over an axis of size 1 a sum, a mean or a maximum over the axis is the number itself, the index is 0 and each part is
the whole. `jax.vmap` over one dummy number gives the axis its name, and leaves the arguments, over which it does not
map, as they are: concrete arrays stay concrete, so that a recorder meets the loss inside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from qed.why.recorder import Recorder


def alone(fun: Callable[..., Any], axes: Sequence[Any]) -> Callable[..., Any]:
    """The function with the axes, all of size 1, bound.

    Example:
        >>> float(alone(lambda x: jax.lax.pmean(x, "batch"), ["batch"])(3.0))
        3.0
    """
    if not axes:
        return fun

    @functools.wraps(fun)
    def bound(*args: Any, **kwargs: Any) -> Any:
        run = functools.partial(fun, *args, **kwargs)
        for axis in axes:
            run = functools.partial(_one, run, axis)
        return run()

    return bound


def _one(run: Callable[[], Any], axis: Any) -> Any:
    return jax.tree.map(lambda x: x[0], jax.vmap(lambda _: run(), axis_name=axis)(jnp.zeros(1)))


def recorded_shard_map(recorder: Recorder, original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.shard_map`; when a step is run once more, or diagnosed, a mesh of one device is entered."""

    @functools.wraps(original)
    def shard_map(*given: Any, **options: Any) -> Any:
        mapped = original(*given, **options)
        if not given:
            return lambda fun: shard_map(fun, **options)
        axes = _names(options.get("mesh"))
        if axes is None:
            return mapped
        entered = recorder.inside(given[0], axes)

        @functools.wraps(given[0])
        def called(*args: Any) -> Any:
            plain = recorder.replaying is None and recorder.watching
            return mapped(*args) if plain else entered(*args)

        return called

    return shard_map


def _names(mesh: Any) -> tuple[Any, ...] | None:
    """The axes of a mesh of one device; None where there are more, or where it is not known."""
    one = getattr(mesh, "size", None) == 1
    return tuple(mesh.axis_names) if one else None


def entered_pmap(recorder: Recorder, fun: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What `jax.pmap` of a function does on one device, as plain code; None where that is not known."""
    known = {"axis_name", "in_axes", "devices", "backend"}
    devices = options.get("devices")
    count = jax.local_device_count() if devices is None else len(devices)
    given = options.get("in_axes", 0)
    places = given if isinstance(given, tuple | list) else [given]
    if count != 1 or set(options) - known or not all(place is None or isinstance(place, int) for place in places):
        return None
    axes = () if options.get("axis_name") is None else (options["axis_name"],)
    whole = recorder.inside(fun, axes)

    @functools.wraps(fun)
    def entered(*args: Any, **kwargs: Any) -> Any:
        along = list(places) if isinstance(given, tuple | list) else [given] * len(args)
        parts = [_part(arg, place) for arg, place in zip(args, along, strict=True)]
        return jax.tree.map(lambda x: jnp.asarray(x)[None], whole(*parts, **_part(kwargs, 0)))

    return entered


def _part(tree: Any, place: int | None) -> Any:
    return tree if place is None else jax.tree.map(lambda x: jnp.take(jnp.asarray(x), 0, axis=place), tree)
