"""What an optax transformation does near one state, found by probing its `update`: nothing is read from closures.

What is looked for is the linear rule of `qed.optimization.local`: response S, momentum b, decay C. A decaying memory is
seen by one gradient and then zeros, S and b follow; the decay by zero gradient at parameters one; the rate of a method
with a second moment by a very large one; and what was found is checked on gradients that were not used to find it.
State leaves are looked at as data: `nu` is set so that every probe leaves the second moment v where it is,

    b2 nu + (1 - b2) g^2 = v,

counters are held, or set ahead to read a schedule. What fits no linear rule is refused, with what was seen.

Reference: Cohen et al., *Adaptive gradient methods at the edge of stability*, 2022, section 3 (the frozen rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import flatten, unflatten
from qed.optimization.accumulation import accumulated
from qed.optimization.local import LocalRule, NotIdentified

CLOSE = 4e-3
DEAD = 1e-15
HUGE = 1e8
WARMED = 10_000_000


class _Refused(Exception):
    pass


def _refuse(words: str) -> NoReturn:
    raise _Refused(words)


def identify_update(
    transformation: Any,
    state: Any,
    parameters: Sequence[Any],
    gradient: Sequence[Any],
    *,
    step: int | None = None,
    seed: int = 0,
) -> LocalRule | NotIdentified:
    """Probe a transformation at a state.

    Args:
        transformation: anything with `init` and `update`.
        state: its state.
        parameters: the parameters, a sequence of arrays.
        gradient: the gradient there; it sets the scale of the probes, and shows whether clipping is active.
        step: the step of the schedule whose rate is taken; default: the one that the state is at.
        seed: of the random signs of the probes.

    Returns:
        The rule, or why it is not one of those described above.

    Example:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> rule, w = optax.adamw(1e-3, weight_decay=0.1), (jnp.ones(3),)
        >>> found = identify_update(rule, rule.init(w), w, (jnp.array([1.0, -2.0, 0.5]),))
        >>> found.preconditioned, round(found.rate, 6), round(found.momentum, 4), round(float(found.decay[0]), 6)
        (True, 0.001, 0.9, 0.0001)
    """
    try:
        return _Probe(transformation, state, parameters, gradient, seed, step).rule()
    except _Refused as refused:
        return NotIdentified(str(refused))
    except TypeError:
        return NotIdentified("asks for more than gradient, state and parameters")
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:80]
        return NotIdentified(f"could not be probed ({first})")


def _names(path: Any) -> tuple[str, ...]:
    return tuple(getattr(key, "name", str(key)) for key in path)


def _wide(leaf: Any) -> Any:
    """A leaf as it is probed: floats of less than 32 bits are too coarse to compare updates."""
    array = jnp.asarray(leaf)
    coarse = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
    return array.astype(jnp.float32) if coarse else array


class _Probe:
    """One state under probing; vectors are float64 on the host."""

    def __init__(
        self, transformation: Any, state: Any, parameters: Any, gradient: Any, seed: int, step: int | None = None
    ) -> None:
        self.like = tuple(_wide(leaf) for leaf in parameters)
        self.gradient = flatten(gradient)
        self.w = flatten(self.like)
        self.rng = np.random.default_rng(seed)
        found, self.tree = jax.tree_util.tree_flatten_with_path(state)
        self.names = [_names(path) for path, _ in found]
        self.held = [_wide(leaf) for _, leaf in found]
        self.every = 1
        update = transformation.update
        counted = [i for i, names in enumerate(self.names) if "mini_step" in names]
        if counted:
            for i in (*counted, *(i for i, names in enumerate(self.names) if "acc_grads" in names)):
                self.held[i] = jnp.zeros_like(self.held[i])
            update, self.every = accumulated(update, jax.tree.unflatten(self.tree, self.held), self.like, counted)
            if not self.every:
                _refuse("accumulates gradients over many calls")
        self._update = jax.jit(update)
        if any("ema" in names for names in self.names):
            _refuse("averages gradients and takes the start of the average out again")
        self.nu = [i for i, names in enumerate(self.names) if "nu" in names]
        self.memory = [i for i, names in enumerate(self.names) if self._is_memory(i, names)]
        shapes = [leaf.shape for leaf in self.like]
        if self.nu and [self.held[i].shape for i in self.nu] != shapes:
            _refuse("has a second moment of another shape than the parameters")
        if step is not None:
            for i in self.schedule_counters():
                self.held[i] = jnp.full_like(self.held[i], step)
        self.averaged = bool(self.nu) and any("mu" in names for names in self.names)
        self.b2 = 0.0

    def _is_memory(self, i: int, names: tuple[str, ...]) -> bool:
        kept = {"hyperparams", "nu_max"} & set(names)  # what scales gradients stays as it is
        return i not in self.nu and not kept and jnp.issubdtype(self.held[i].dtype, jnp.floating)

    def call(
        self,
        g: np.ndarray,
        memory: Sequence[Any] | None = None,
        nu: np.ndarray | None = None,
        w: np.ndarray | None = None,
        warmed: bool = False,
    ) -> tuple[np.ndarray, list[Any], np.ndarray]:
        """Update and the new memory and second moment, from given memory (default: none) and second moment."""
        leaves = list(self.held)
        for k, i in enumerate(self.memory):
            leaves[i] = jnp.zeros_like(leaves[i]) if memory is None else memory[k]
        if nu is not None and self.nu:
            for i, part in zip(self.nu, unflatten(nu, [self.held[i] for i in self.nu]), strict=True):
                leaves[i] = part
        if warmed:
            for i in self.moment_counters():
                leaves[i] = jnp.full_like(leaves[i], WARMED)
        at = unflatten(np.zeros_like(self.w) if w is None else w, self.like)
        change, new = self._update(unflatten(g, self.like), jax.tree.unflatten(self.tree, leaves), at)
        out = jax.tree.leaves(new)
        return flatten(jax.tree.leaves(change)), [out[i] for i in self.memory], flatten([out[i] for i in self.nu])

    def moment_counters(self) -> list[int]:
        """The counters beside a second moment: those of its bias correction."""
        owners = {names[: names.index("nu")] for names in self.names if "nu" in names}
        return [i for i, names in enumerate(self.names) if names and names[-1] == "count" and names[:-1] in owners]

    def schedule_counters(self) -> list[int]:
        """All other counters of steps."""
        others = set(self.moment_counters())
        return [
            i for i, names in enumerate(self.names) if "count" in names and i not in others and self.held[i].ndim == 0
        ]

    # --- the probes ---

    def rule(self) -> LocalRule:
        scale = self._scale()
        alive = scale > DEAD
        first, momentum, nesterov = self._impulse(scale, alive)
        response = np.where(alive, first / (1 + momentum if nesterov else 1), 0.0)
        ridge = self._ridge()
        decay = self._decay() if ridge is None else np.zeros_like(response)
        self._check(scale, response, decay, momentum, nesterov, ridge)
        rate = self._rate(scale, alive, response, momentum, nesterov)
        factor, open_, ceiling = self._clipping(first)
        return LocalRule(
            momentum,
            nesterov,
            response * factor * open_,
            decay,
            rate,
            self.b2 if self.nu else None,
            self.averaged,
            factor,
            ridge,
            self.every,
            ceiling,
        )

    def _scale(self) -> np.ndarray:
        """The size of the probes: the root of the second moment, else a thousandth of the gradient."""
        size = self.w.size
        if not self.nu:
            return self._small()
        v = self.call(self.gradient, nu=flatten([self.held[i] for i in self.nu]), w=self.w)[2]
        if not np.isfinite(v).all():
            _refuse("has a second moment beyond the range of its dtype")
        scale = np.sqrt(np.maximum(v, 0))
        if not (scale > DEAD).any():
            _refuse("has seen no gradient but zero")
        left = self.call(np.zeros(size), nu=np.ones(size))[2]
        entered = self.call(scale, nu=np.zeros(size))[2]
        self.b2 = 1 - float(entered @ scale**2 / max(float(scale**2 @ scale**2), 1e-300))  # precise where b2 is near 1
        even = 0 < self.b2 < 1 and np.abs(left - self.b2).max() <= 1e-5
        if not even or _misfit(entered, (1 - self.b2) * scale**2) > CLOSE:
            _refuse("keeps a second moment that is no average of squared gradients")
        self.v = v
        return scale

    def _small(self) -> np.ndarray:
        """A thousandth of the gradient; a millionth where that is still clipped and leaves the memory linear."""
        even = (float(np.linalg.norm(self.gradient)) or 1.0) / np.sqrt(self.w.size)
        usual, small = (np.full(self.w.size, share * even) for share in (1e-3, 1e-6))
        if _misfit(self.call(usual / 2)[0], self.call(usual)[0] / 2) <= CLOSE:
            return usual
        kept, half = (flatten(self.call(part)[1]) for part in (small, small / 2))
        return small if not kept.any() or _misfit(half, kept / 2) <= CLOSE else usual

    def _kept(self, g: np.ndarray, v: np.ndarray | float | None = None) -> np.ndarray | None:
        """The second moment from which the gradient g leads to v."""
        if not self.nu:
            return None
        return np.maximum(((self.v if v is None else v) - (1 - self.b2) * g**2) / self.b2, 0.0)

    def _impulse(self, scale: np.ndarray, alive: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """The response to one gradient, at once and in the two steps after it."""
        signs = self.rng.choice((-1.0, 1.0), scale.size)
        g = np.where(alive, scale * signs, 0.0)
        seen, memory = [], None
        whole, half = (self.call(part, None, self._kept(part))[0] for part in (g, g / 2))
        if not _misfit(half, whole / 2) <= CLOSE:
            _refuse("is no fixed multiple of the gradient")
        for k in range(3):
            given = g if k == 0 else np.zeros_like(g)
            update, memory, _ = self.call(given, memory, self._kept(given))
            seen.append(np.divide(-update, g, out=np.zeros_like(g), where=alive))
        first, second, third = (float(np.median(q[alive])) for q in seen)
        if not np.isfinite(np.stack(seen)).all():
            _refuse("is not finite")
        if not first:
            _refuse("does not change the parameters at this step (a rate of zero, or accumulation)")
        if (seen[0][alive] <= 0).any():
            _refuse("does not go against the gradient")
        if abs(second) <= 1e-6 * first:
            return seen[0], 0.0, False
        b = third / second
        if not 0 < b < 1:
            _refuse("has a memory that does not decay")
        if abs(second / first - b) <= CLOSE:
            return seen[0], b, False
        if abs(second / first - b * b / (1 + b)) <= CLOSE:
            return seen[0], b, True
        _refuse("has a memory of more than one factor")

    def _ridge(self) -> np.ndarray | None:
        """What of the parameters is added to the gradient before its memories see it; None where nothing is."""
        zero, one = np.zeros_like(self.w), np.ones_like(self.w)
        if self.nu:
            entered = self.call(zero, nu=zero, w=one)[2]
            ridge = np.sqrt(np.maximum(entered, 0.0) / (1 - self.b2))
        elif self.memory:
            entered = flatten(self.call(zero, w=one)[1])
            of_one = flatten(self.call(one)[1])
            if entered.size != one.size:
                return None
            ridge = np.divide(entered, of_one, out=zero.copy(), where=of_one != 0)
        else:
            return None
        return ridge if np.abs(ridge).max(initial=0.0) > 0 else None

    def _decay(self) -> np.ndarray:
        zero = np.zeros_like(self.w)
        update, memory, _ = self.call(zero, None, self._kept(zero), w=np.ones_like(self.w))
        if np.abs(update).max() == 0:
            return zero
        if self.memory and np.abs(flatten(memory)).max() > 0:
            _refuse("puts weight decay into its memory of gradients")
        return -update

    def _check(
        self, scale: np.ndarray, s: np.ndarray, c: np.ndarray, b: float, nesterov: bool, ridge: np.ndarray | None
    ) -> None:
        """Four steps along gradients not used so far, at the parameters as they are."""
        m, memory = np.zeros_like(s), None
        for _ in range(4):
            g = np.where(s > 0, scale * self.rng.uniform(-1, 1, s.size), 0.0)
            given = g if ridge is None else g - ridge * self.w  # with the ridge added it is g
            update, memory, _ = self.call(given, memory, self._kept(g), w=self.w)
            m = b * m + g
            expected = -s * (g + b * m if nesterov else m) - c * self.w
            if not _misfit(update, expected) <= CLOSE:
                _refuse("is no fixed multiple of gradients and their memory")
        self._check_memory(np.where(s > 0, scale, 0.0), s * (1 + b if nesterov else 1))

    def _check_memory(self, g: np.ndarray, response: np.ndarray) -> None:
        """A gradient adds the same to the update whatever the memory holds: else that scales gradients."""
        held, zero = [self.held[i] for i in self.memory], np.zeros_like(g)
        if not held:
            return
        before, after = (self.call(part, held, self._kept(part))[0] for part in (zero, g))
        expected = -response * g
        room = CLOSE * float(np.linalg.norm(expected)) + 1e-6 * float(np.linalg.norm(before))
        if not np.linalg.norm(after - before - expected) <= room:
            _refuse("has a memory that scales its gradients")

    def _rate(self, scale: np.ndarray, alive: np.ndarray, s: np.ndarray, b: float, nesterov: bool) -> float | None:
        if self.nu:
            g = np.where(alive, scale, 0.0)
            update, _, _ = self.call(g, None, self._kept(g, HUGE), warmed=True)
            s = np.divide(-update, g, out=np.zeros_like(g), where=alive) * np.sqrt(HUGE)
            s = s / ((1 + b if nesterov else 1) * (1 - b if self.averaged else 1))
        found = s[alive]
        return float(f"{np.median(found):.5g}") if np.ptp(found) <= 1e-2 * abs(np.median(found)) else None

    def _clipping(self, first: np.ndarray) -> tuple[float, np.ndarray, float | None]:
        """The factor on the gradient's norm, 0 for the entries clipped by value, and the value they are cut to."""
        size = np.abs(self.gradient)
        seen = size > 1e-3 * size.max(initial=0.0)
        everywhere = np.ones_like(size)
        if not seen.any():
            return 1.0, everywhere, None
        if self.nu:
            entered = np.sqrt(self.call(self.gradient, nu=np.zeros_like(size))[2] / (1 - self.b2))
        else:
            entered = np.divide(np.abs(self.call(self.gradient)[0]), first, out=size.copy(), where=first > 0)
        ratio = np.divide(entered, size, out=everywhere.copy(), where=seen)
        if (ratio > 1 - CLOSE).all():
            return 1.0, everywhere, None
        if np.ptp(ratio[seen]) <= CLOSE * ratio[seen].max():
            return float(np.median(ratio[seen])), everywhere, None
        cut = (ratio * size)[ratio <= 1 - CLOSE]
        ceiling = float(np.median(cut)) if np.ptp(cut) <= CLOSE * cut.max() else None
        return 1.0, (ratio > 1 - CLOSE).astype(float), ceiling

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """The effective rate, up to one constant factor, with every counter but those of moments at each step."""
        size = self.w.size
        g = unflatten(np.full(size, 1e-3 / np.sqrt(size)), self.like)
        leaves = [jnp.zeros_like(leaf) if i in self.memory else leaf for i, leaf in enumerate(self.held)]
        for i in self.nu:
            leaves[i] = jnp.full_like(leaves[i], HUGE)
        for i in self.moment_counters():
            leaves[i] = jnp.full_like(leaves[i], WARMED)
        counters = self.schedule_counters()
        still = jax.tree.map(jnp.zeros_like, self.like)

        def at(k: Any) -> Any:
            changed = [k.astype(leaf.dtype) if i in counters else leaf for i, leaf in enumerate(leaves)]
            change, _ = self._update(g, jax.tree.unflatten(self.tree, changed), still)
            return -sum(jnp.sum(u.astype(jnp.float32)) for u in jax.tree.leaves(change))

        if not counters:
            return np.ones(len(steps))
        made = jnp.asarray(steps // self.every, jnp.int32)  # updates, where several calls make one
        return np.asarray(jax.jit(lambda ks: jax.lax.map(at, ks))(made), np.float64)


def _misfit(seen: np.ndarray, fitted: np.ndarray) -> float:
    size = float(np.linalg.norm(fitted))
    return float(np.linalg.norm(seen - fitted)) / size if size else float(np.linalg.norm(seen) > 0)


def multipliers(transformation: Any, state: Any, parameters: Sequence[Any], steps: np.ndarray) -> np.ndarray | None:
    """By which factor a schedule multiplies the update at each of the given steps; the largest is 1.

    None where the transformation cannot be probed.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> import optax
        >>> rule, w = optax.sgd(optax.linear_schedule(0.1, 0.2, 2)), (jnp.ones(2),)
        >>> [round(float(x), 3) for x in multipliers(rule, rule.init(w), w, np.arange(4))]
        [0.5, 0.75, 1.0, 1.0]
    """
    try:
        found = _Probe(transformation, state, parameters, parameters, 0).rates(steps)
    except Exception:
        return None
    largest = float(found.max(initial=0.0))
    return found / largest if (found >= 0).all() and 0 < largest < np.inf else None
