"""Motions of the parameters that leave a function as it is, and the flat directions they explain.

Where f(g_t(w)) = f(w) for a motion g_t with generator A, H A w + A' grad f = 0, so that at a critical point the Hessian
is zero along A w: the direction is flat because of what the function is, and not because of where the point lies. Five
kinds of such motion are looked for: a coordinate that f does not depend on nearby; a shift of all entries of an array,
of a row or a column by one number (softmax does not see it); scaling, of an array that is normalised later, or of
what goes into a unit by c and what comes out of it by 1/c (Dinh, Pascanu, Bengio and Bengio, *Sharp minima can
generalize for deep nets*, ICML 2017); turning two entries, rows or columns into each other, which a length does not
see; and adding a unit to another where the layers between are linear, U (1 + t E) (1 - t E) V = U V. Two more depend
on the point: where two units take in the same numbers, what leaves one may leave the other; and what enters a unit does
not matter while it is dead. Each is checked by moving.

Exchanging two hidden units changes nothing either (Hecht-Nielsen, *On the algebraic structure of feedforward network
weight spaces*, 1990), but no path leads there: it makes no direction flat, and says how many such points there are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qed.calculus.points.case import Case

Array = np.ndarray
FLAT = 1e-5
"""Which part of a generator may lie outside the flat directions."""
OWN = 1e-2
"""Which part of a direction the ones before it may not explain, for it to be counted beside them."""
SAME = 1e-9
"""How much f may change in relation to its size, in float64."""
BESIDE = 0.03
"""How far from the point, in relation to it, the motions are tried too."""
MOVES = (math.sqrt(2) - 1, -1 / math.pi, 1 / 37)
"""How far along a motion f is looked at; a function with a period is not looked at in multiples of it."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion: what it is called, its generator at the point, and where it takes a point in a time t.

    `everywhere` is False where it leaves the function as it is from this point on only; `single`: of one coordinate;
    `straight`: by adding t times the generator, wherever the point is.
    """

    name: str
    generator: Array
    move: Callable[[Array, float], Array]
    everywhere: bool = True
    single: bool = False
    straight: bool = False


def symmetries(case: Case, point: Array, flat: Array, but: Collection[str] = ()) -> list[Motion]:
    """The motions whose generators lie in the span of flat directions (columns) and that leave f as it is.

    Args:
        case: the function.
        point: where it is looked at.
        flat: orthonormal columns.
        but: names of motions that are left out, since closer looks showed that f is not the same.
    """
    places = starts(case, point)
    found: list[Motion] = []
    explained = np.zeros((len(point), 0))
    for motion in motions(case, point):
        size = float(np.linalg.norm(motion.generator))
        if size == 0 or explained.shape[1] == flat.shape[1] or motion.name in but:
            continue
        unit = motion.generator / size
        if np.linalg.norm(unit - flat @ (flat.T @ unit)) > FLAT:
            continue
        rest = unit - explained @ (explained.T @ unit)
        if np.linalg.norm(rest) < 1e-6:
            continue
        if _unmoved(case, motion, places):
            found.append(motion)
            explained = np.column_stack([explained, rest / np.linalg.norm(rest)])
    return found


TURNED = 12
"""How many entries, rows, columns or units of an array are tried in pairs."""
TRIED, FOUND = 400, 8
"""Of a large function: how many motions are looked at, and how many are enough."""


def seen_by_products(case: Case, product: Callable[[Array], Array], scale: float) -> list[Motion]:
    """The motions of a large function along which a Hessian product vanishes, and that leave it as it is.

    Each moves the point in a direction of its own: a turn of two rows may be one of two columns too.
    """
    point = case.point
    places = starts(case, point)
    found: list[Motion] = []
    known = np.zeros((len(point), 0))
    for motion in itertools.islice(motions(case, point, single=False), TRIED):
        size = float(np.linalg.norm(motion.generator))
        if size == 0 or len(found) >= FOUND:
            continue
        unit = motion.generator / size
        rest = unit - known @ (known.T @ unit)
        if np.linalg.norm(rest) < OWN or not _unmoved(case, motion, places):
            continue
        if np.linalg.norm(product(unit)) <= FLAT * abs(scale):
            found.append(motion)
            known = np.column_stack([known, rest / np.linalg.norm(rest)])
    return found


def starts(case: Case, point: Array) -> list[tuple[Array, float]]:
    """The point and two beside it, with their values."""
    rng = np.random.default_rng(0)
    beside = [BESIDE * (np.abs(point) + 0.1) * rng.standard_normal(len(point)) for _ in range(2)]
    return [(at, case.value(at)) for at in (point, *(point + away for away in beside))]


def _unmoved(case: Case, motion: Motion, places: Sequence[tuple[Array, float]]) -> bool:
    tried = places if motion.everywhere else places[:1]
    return all(_same(case.value(motion.move(at, t)), value) for at, value in tried for t in MOVES)


def _same(value: float, base: float) -> bool:
    return bool(abs(value - base) <= SAME * max(abs(base), 1e-3))


def motions(case: Case, point: Array, single: bool = True) -> Iterator[Motion]:
    """The motions that are looked at; those of single coordinates only if wanted."""
    pieces = case.pieces(point)
    starts = np.cumsum([0, *(piece.size for piece in pieces)])
    index = [start + np.arange(piece.size).reshape(piece.shape) for start, piece in zip(starts, pieces, strict=False)]
    names = case.function.paths
    if single:
        yield from _single(point, index, names)
    yield from _shifts(point, index, names)
    yield from _scalings(point, index, names)
    yield from _here(point, index, names)
    yield from _turns(point, index, names)
    yield from _mixtures(point, index, names)


def _single(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    for name, places in zip(names, index, strict=True):
        for where in np.ndindex(places.shape):
            text = name + (f"[{', '.join(map(str, where))}]" if where else "")
            yield _shift(point, places[where].reshape(1), f"nothing depends on {text} nearby")


def _shift(point: Array, places: Array, name: str) -> Motion:
    generator = np.zeros(len(point))
    generator[places.ravel()] = 1.0
    return Motion(name, generator, lambda at, t: at + t * generator, single=places.size == 1, straight=True)


def _shifts(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    for name, places in zip(names, index, strict=True):
        if places.ndim == 1 and places.size > 1:
            yield _shift(point, places, f"adding one number to all of {name} changes nothing")
        if places.ndim == 2:
            for i in range(places.shape[0]):
                yield _shift(point, places[i], f"adding one number to {name}[{i}, :] changes nothing")
            for j in range(places.shape[1]):
                yield _shift(point, places[:, j], f"adding one number to {name}[:, {j}] changes nothing")


def _scaling(point: Array, up: Sequence[Array], down: Sequence[Array], name: str) -> Motion:
    signs = np.zeros(len(point))
    for places, sign in ((up, 1.0), (down, -1.0)):
        for part in places:
            signs[part.ravel()] = sign
    return Motion(name, signs * point, lambda at, t: at * np.exp(t * signs))


def _scalings(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    """Arrays by themselves; pairs as wholes; units between an array whose last axis is another's first."""
    for name, places in zip(names, index, strict=True):
        yield _scaling(point, [places], [], f"scaling {name} changes nothing")
        for i in range(places.shape[0] if places.ndim == 2 else 0):
            yield _scaling(point, [places[i]], [], f"scaling {name}[{i}, :] changes nothing")
    for a, one in enumerate(index):
        for b, other in enumerate(index):
            if a == b:
                continue
            if a < b and one.ndim == other.ndim == 0:
                text = f"scaling {names[a]} by c and {names[b]} by 1/c changes nothing"
                yield _scaling(point, [one], [other], text)
            for axis in range(other.ndim):
                if one.ndim and one.shape[-1] == other.shape[axis]:
                    yield from _units(point, index, names, (a, b, axis))
    if len(index) == 1 and index[0].ndim == 1:
        yield from _products(point, index[0], names[0])


def _products(point: Array, places: Array, name: str) -> Iterator[Motion]:
    """Two entries of one vector, one scaled up and one down."""
    for i in range(min(len(places), 12)):
        for j in range(i + 1, min(len(places), 12)):
            text = f"scaling {name}[{i}] by c and {name}[{j}] by 1/c changes nothing"
            yield _scaling(point, [places[i : i + 1]], [places[j : j + 1]], text)


def _turns(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    """Two entries of a vector, or of the numbers by themselves, two rows and two columns of a matrix."""
    alone = [(name, places.reshape(1)) for name, places in zip(names, index, strict=True) if not places.ndim]
    groups = [alone]
    for name, places in zip(names, index, strict=True):
        if places.ndim == 1:
            groups.append([(f"{name}[{i}]", places[i : i + 1]) for i in range(len(places))])
        if places.ndim == 2:
            groups.append([(f"{name}[{i}, :]", places[i]) for i in range(places.shape[0])])
            groups.append([(f"{name}[:, {j}]", places[:, j]) for j in range(places.shape[1])])
    for group in groups:
        for (one, a), (other, b) in itertools.combinations(group[:TURNED], 2):
            yield _turn(point, a, b, f"turning {one} and {other} into each other changes nothing")


def _turn(point: Array, a: Array, b: Array, name: str) -> Motion:
    def move(at: Array, t: float) -> Array:
        moved = np.array(at, float)
        moved[a], moved[b] = math.cos(t) * at[a] - math.sin(t) * at[b], math.sin(t) * at[a] + math.cos(t) * at[b]
        return moved

    generator = np.zeros(len(point))
    generator[a], generator[b] = -point[b], point[a]
    return Motion(name, generator, move)


def _mixtures(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    """One unit between two arrays added to another, and taken away behind it."""
    for a, b, axis in _pairs(index):
        one, other = index[a], np.moveaxis(index[b], axis, 0)
        for i, j in itertools.permutations(range(min(one.shape[-1], TURNED)), 2):
            text = f"adding unit {i} to unit {j} ({names[a]}) and taking it away behind ({names[b]}) changes nothing"
            yield _mixture(
                point, (one[..., i].ravel(), one[..., j].ravel()), (other[i].ravel(), other[j].ravel()), text
            )


def _mixture(point: Array, into: tuple[Array, Array], out: tuple[Array, Array], name: str) -> Motion:
    def move(at: Array, t: float) -> Array:
        moved = np.array(at, float)
        moved[into[1]] += t * at[into[0]]
        moved[out[0]] -= t * at[out[1]]
        return moved

    return Motion(name, move(point, 1.0) - point, move)


def _units(point: Array, index: Sequence[Array], names: Sequence[str], pair: tuple[int, int, int]) -> Iterator[Motion]:
    a, b, axis = pair
    one, other = index[a], np.moveaxis(index[b], axis, 0)
    offsets = [
        (k, part) for k, part in enumerate(index) if k not in (a, b) and part.shape == (one.shape[-1],) and one.ndim > 1
    ]
    for j in range(one.shape[-1]):
        into, out = one[..., j], other[j]
        text = f"scaling what enters unit {j} ({names[a]}) by c and what leaves it ({names[b]}) by 1/c changes nothing"
        yield _scaling(point, [into], [out], text)
        for _, part in offsets:
            yield _scaling(point, [into, part[j]], [out], text)


def _pairs(index: Sequence[Array]) -> Iterator[tuple[int, int, int]]:
    """(a, b, axis): array a has a unit in each of its last places, and array b the same along an axis."""
    for a, one in enumerate(index):
        for b, other in enumerate(index):
            for axis in range(other.ndim):
                if a != b and one.ndim > 1 and other.ndim > 1 and 1 < one.shape[-1] == other.shape[axis]:
                    yield a, b, axis


TWINS, EXCHANGES = 400, 40
"""How many units at most are compared with each other, and how many ways of exchanging units are tried."""


def _here(point: Array, index: Sequence[Array], names: Sequence[str]) -> Iterator[Motion]:
    """What changes nothing from this point on: twins among the units of a layer, and dead units."""
    rng = np.random.default_rng(0)
    for a, b, axis in _pairs(index):
        one, other = index[a], np.moveaxis(index[b], axis, 0)
        count = one.shape[-1]
        entering = point[one].reshape(-1, count)
        offsets = [point[part] for k, part in enumerate(index) if k not in (a, b) and part.shape == (count,)]
        for i, j in itertools.combinations(range(count), 2) if count <= TWINS else ():
            if np.array_equal(entering[:, i], entering[:, j]) and all(part[i] == part[j] for part in offsets):
                generator = np.zeros(len(point))
                way = rng.standard_normal(other[i].size)
                generator[other[i].ravel()], generator[other[j].ravel()] = way, -way
                text = f"units {i} and {j} are the same ({names[a]}): what leaves one ({names[b]}) can leave the other"
                yield _line(text, generator)
        for j in range(count):
            generator = np.zeros(len(point))
            generator[one[..., j].ravel()] = rng.standard_normal(one[..., j].size)
            yield _line(
                f"unit {j} is dead, or nothing leaves it: what enters it ({names[a]}) does not matter", 0.1 * generator
            )


def _line(name: str, generator: Array) -> Motion:
    return Motion(name, generator, lambda at, t: at + t * generator, everywhere=False)


def exchanges(case: Case, point: Array) -> list[str]:
    """Which layers have units that can be exchanged, as sentences: two neighbours, and all in a circle, are tried."""
    pieces = case.pieces(point)
    ends = np.cumsum([0, *(piece.size for piece in pieces)])
    index = [start + np.arange(piece.size).reshape(piece.shape) for start, piece in zip(ends, pieces, strict=False)]
    names, found, places, tried = case.function.paths, [], None, 0
    for a, b, axis in _pairs(index):
        count = index[a].shape[-1]
        offsets = [k for k, part in enumerate(index) if part.shape == (count,)]
        swap, turn = np.arange(count), np.roll(np.arange(count), 1)
        swap[:2] = 1, 0
        places = places or starts(case, point)
        for extra in dict.fromkeys([(), *((k,) for k in offsets), tuple(offsets)]):
            tried += 1
            if tried > EXCHANGES:
                return found
            moves = [_exchange(index, ((a, -1), (b, axis), *((k, 0) for k in extra)), order) for order in (swap, turn)]
            if all(_same(case.value(at[move]), value) for move in moves for at, value in places):
                many = f"{count}! = {math.factorial(count):,}" if count <= 9 else f"{count}!"
                found.append(
                    f"exchanging the {count} units between {names[a]} and {names[b]} changes nothing: {many} points "
                    "like this have the same value"
                )
                break
    return found


def _exchange(index: Sequence[Array], axes: Sequence[tuple[int, int]], order: Array) -> Array:
    size = sum(part.size for part in index)
    move = np.arange(size)
    for k, axis in axes:
        move[index[k].ravel()] = np.take(index[k], order, axis=axis).ravel()
    return move
