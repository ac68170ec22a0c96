"""`qed.minimize`: the least value of a function near a start, within bounds; and what the point found is.

The loop is in qed/optimization/running.py; what is returned as the reason is the verdict on the point, found by
`qed.verdict` from the function alone, whatever the loop believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.hessian import flatten
from qed.calculus.sparse import SparseHessian
from qed.certificates.reading import as_read
from qed.errors import QedError
from qed.findings import Level
from qed.graph.function import confirm_known, read
from qed.graph.trace import is_float
from qed.graph.tracers import closes_over_tracers, is_traced
from qed.optimization.bounds import Bounds, bounds_of, drawn
from qed.optimization.bundle import by_cuts
from qed.optimization.compass import compass
from qed.optimization.compiled import descend, under_a_trace
from qed.optimization.constrained.answering import minimize_constrained
from qed.optimization.everywhere import MINIMA
from qed.optimization.judging import judged
from qed.optimization.methods import named, seen
from qed.optimization.objective import Objective, Seen
from qed.optimization.portfolio import CHEAP, FEW, by_gradients, elsewhere, farther, past_a_saddle, solve
from qed.optimization.repeatable import called_back, check_repeatable, check_same
from qed.optimization.running import Ended, run
from qed.optimization.second_order import held_as
from qed.optimization.solution import Ending, Multipliers, Solution, Verdict, placed
from qed.optimization.updates import Updates, run_updates, updates_of

Array = np.ndarray
SAME = 1e-3
"""Runs that end closer to each other than this part of x and f have found one place."""
PLACES = 8
"""How many places that several starts found are told."""
HIGH = 1e-8
"""Above which part of the value at the start a flat point may be a plateau, beside which f is lower."""


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    *args: Any,
    bounds: Any = None,
    equality: Any = None,
    inequality: Any = None,
    method: Any = None,
    tol: float = 1e-8,
    max_steps: int | None = None,
    starts: int = 1,
    compiled: bool = False,
) -> Answer[Solution]:
    """Minimise fun(x, *args) from x0, and say what the point found is.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x0: the start, a tree with floating-point arrays; outside the bounds it is projected.
        args: data.
        bounds: a `qed.Box` or a pair (lower, upper), each a prefix of x0; None and infinities are open.
        equality: h, with h(x, *args) = 0: a function that returns a tree of numbers.
        inequality: g, with g(x, *args) >= 0, likewise.
        method: 'newton', 'trust-exact', 'trust-krylov', 'l-bfgs', 'bfgs', 'gradient', 'heavy-ball' or 'nesterov'; or
            updates of optax, as a transformation or a text such as 'adam:1e-2' or 'sgd:0.1,momentum=0.9,batch=8', which
            sees 8 rows of the args a step; with constraints 'uno-sqp', 'uno-ipm', 'slsqp' or 'trust-constr'. None
            chooses: with constraints one after the other, until residuals hold.
        tol: for the largest part of the projected gradient; a run ends before where values and gradients are noise,
            and on a sum of squares with a dear Hessian where f creeps and the gradient is tol times its first.
        max_steps: by default 1000 for Newton's method, updates of optax and compiled runs, 20000 for the others; where
            neither it nor a method is given and Newton's steps are spent, BFGS and others are tried from the start.
        starts: how many starts, the others drawn about x0 with seed 0; the lowest point found is returned.
        compiled: L-BFGS as one compiled program, kept for later solves of the same function; without bounds and
            constraints. Under jit and vmap it computes the value, and the answer is UNKNOWN.

    Returns:
        An answer whose value is a `Solution`; its counts are those of the runs, without the verdict. Its claim,
        standing and `reason` are those of the verdict on the point.

    Raises:
        QedError: QED002 to QED010 as `qed.graph.function.read` does; QED006 where the value or the gradient at the
            start is not finite; QED007 for bounds or options that make no sense; QED015
            for a function that changes between calls.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = minimize(lambda x: (x[0] - 1.0) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2, jnp.array([-1.0, 1.0]))
        >>> str(answer.reason), answer.x.round(4).tolist()
        ('minimum', [1.0, 1.0])
    """
    began = time.perf_counter()
    constrained = equality is not None or inequality is not None
    _options(tol, max_steps, starts)
    if compiled:
        _compilable(method, bounds, constrained)
    plain = bounds is None and not constrained and starts == 1
    plain = plain and updates_of(method) is None and (method is None or bool(named(method)))
    if (compiled or plain) and (is_traced(x0, args) or closes_over_tracers(fun)):
        return under_a_trace(fun, x0, args, tol, 1000 if max_steps is None else max_steps)
    if constrained:
        return minimize_constrained(
            fun, x0, args, equality=equality, inequality=inequality, bounds=bounds, method=method, tol=tol,
            max_steps=max_steps, starts=starts,
        )  # fmt: skip
    if method is not None and updates_of(method) is None:
        method = named(method)
    function = read(fun, x0, *args)
    confirm_known(function)
    check_repeatable(function, (fun, x0, args))
    box = bounds_of(bounds, x0)
    objective = Objective(function)
    updates = updates_of(method)
    if updates is None and method in (None, "newton") and not compiled:
        objective.often = max_steps is None or max_steps > 1
        objective.adaptive = method is None
        objective.foresee()
    start, notes = _start(objective, box, (fun, x0, args))
    chosen, why = _chosen(objective, box, method) if updates is None else _of_optax(updates)
    if compiled:
        chosen, why = "l-bfgs", Reason("method", text="l-bfgs of optax, compiled as one program", role="method")
    most = max_steps if max_steps is not None else 1000 if chosen == "newton" or updates else 20000
    own = updates is None and method is None and max_steps is None
    runs, sizes, cut = [], {}, None
    for each in (start, *drawn(box, start.x, starts - 1, objective.at)):
        objective.sizes = []
        if compiled:
            runs.append(_as_one(fun, x0, args, objective, each, tol, 1000 if max_steps is None else max_steps))
        elif own and chosen == "newton" and (by_cut := by_cuts(objective, each, box, tol)) is not None:
            runs.append(by_cut)
            cut = each
        elif own and chosen == "newton":
            ended, told = solve(objective, each, box, tol, most)
            runs.append(ended)
            notes = (*notes, *told)
        elif own and chosen == "l-bfgs" and objective.dear:
            ended, told = by_gradients(objective, each, box, tol, most)
            runs.append(ended)
            notes = (*notes, *told)
        elif updates is None:
            runs.append(run(objective, each, box, chosen, tol, most))
        else:
            there, how, steps = run_updates(objective, each, box, updates, tol, most, (fun, x0, args))
            runs.append(Ended(there, how, steps, 0))
        sizes[id(runs[-1])] = objective.sizes
    if called_back(function.graph):
        check_same(start.f, objective.at(start.x).f, function)
    if method in ("trust-exact", "trust-krylov"):
        del objective.curvature  # the verdict holds second derivatives as it needs them, however the run did
    best = min(runs, key=lambda each: each.here.f if not np.isnan(each.here.f) else np.inf)

    def ask(end: Ended) -> Answer[Verdict]:
        spent, along, point = dict(objective.counts), objective.sizes, objective.tree(x0, end.here.x)
        objective.sizes = []
        answer = judged(objective, end.here, box, (fun, point, args), ended=end, start=start)
        objective.counts.update(spent)  # a verdict is not counted, and its searches are no part of the run
        objective.sizes = along
        return answer

    answer = ask(best)
    if cut is not None and starts == 1 and not _at_rest(answer):
        ended, told = solve(objective, cut, box, tol, most)
        cut = None
        if not (ended.here.f > best.here.f):
            best, runs, notes = ended, [ended], (*notes, *told)
            answer = ask(best)
            sizes.setdefault(id(best), objective.sizes)
    kinked = answer.value is not None and answer.value.kind is Ending.KINK
    if own and starts == 1 and cut is None and kinked and not answer.proved:
        lower = compass(objective, best.here, box)
        if lower is not None:
            best = replace(best, here=lower)
            runs, answer = [best], ask(best)
            sizes.setdefault(id(best), objective.sizes)
    if own and starts == 1 and best.how in ("stationary", "stuck") and _saddle(answer):
        best, answer, told = _past(objective, box, tol, (best, answer), ask)
        runs, notes = [best], (*notes, *told)
        sizes.setdefault(id(best), objective.sizes)
    if own and starts == 1 and best.how == "stationary" and _open(answer, best.here, start):
        best, answer, told = _decided(objective, start, box, tol, (best, answer), ask)
        runs, notes = [best], (*notes, *told)
        sizes.setdefault(id(best), objective.sizes)
    if own and starts == 1 and answer.value is not None and answer.value.below is not None:
        best, answer, told = _lower(objective, box, tol, (best, answer), ask)
        runs, notes = [best], (*notes, *told)
        sizes.setdefault(id(best), objective.sizes)
    counts = {**objective.counts, "steps": best.steps}
    here = best.here
    point = objective.tree(x0, here.x)
    verdict = answer.value
    assert verdict is not None
    value = Solution(
        point, here.f, objective.tree(x0, here.g), _multipliers(objective, x0, here, box), counts, verdict.kind, chosen,
        verdict, None if box.open else lambda: _prices(fun, point, args, bounds),
    )  # fmt: skip
    at = placed(function.paths, point, here.f)
    reasons = (
        at,
        *answer.reasons,
        why,
        *seen(str(method or chosen), sizes[id(best)]),
        *notes,
        *_spread_of(runs),
        *_beside_noise(verdict),
        _counted(counts, best),
    )
    meta = {**answer.meta, "seconds": time.perf_counter() - began, "dtype": function.dtype}
    found = Answer(
        answer.claim, answer.standing, value, arithmetic=answer.arithmetic, certificate=answer.certificate,
        reasons=reasons, findings=answer.findings, missing=answer.missing, headline=answer.headline,
        subject=function.title(), meta=meta, answers=answer.answers, recheck=answer.recheck,
    )  # fmt: skip
    return as_read(found, function.traced)


def _at_rest(answer: Answer[Verdict]) -> bool:
    """Whether a point is a minimum, or a corner that is one as far as was looked."""
    if answer.proved or answer.value is None or answer.value.kind is not Ending.KINK:
        return answer.proved or (answer.value is not None and answer.value.kind in MINIMA)
    return all(finding.level is Level.NOTE for finding in answer.findings)


def _open(answer: Answer[Verdict], here: Seen, start: Seen) -> bool:
    """Whether no test told what it is, or a saddle was not left; or it is flat and high, as beside a valley."""
    if answer.value is None or answer.proved:
        return False
    kind, high = answer.value.kind, here.f > HIGH * abs(start.f)
    convex = any(getattr(part.value, "everywhere", False) for part in answer.answers)
    return kind in (Ending.UNDECIDED, Ending.SADDLE) or (kind is Ending.FLAT_MINIMUM and high and not convex)


def _saddle(answer: Answer[Verdict]) -> bool:
    return answer.value is not None and answer.value.kind is Ending.SADDLE and answer.value.direction is not None


def _past(
    objective: Objective, box: Bounds, tol: float, first: tuple[Ended, Answer[Verdict]], ask: Callable[..., Any]
) -> tuple[Ended, Answer[Verdict], tuple[Reason, ...]]:
    """Where it is lower beside a saddle at which a run ended."""
    end, answer = first
    assert answer.value is not None
    objective.sizes = []
    along = flatten([leaf for leaf in jax.tree.leaves(answer.value.direction) if is_float(leaf)])
    on = past_a_saddle(objective, end, box, tol, along)
    return (end, answer, ()) if on is None else (on[0], ask(on[0]), on[1])


def _decided(
    objective: Objective,
    start: Seen,
    box: Bounds,
    tol: float,
    first: tuple[Ended, Answer[Verdict]],
    ask: Callable[[Ended], Answer[Verdict]],
) -> tuple[Ended, Answer[Verdict], tuple[Reason, ...]]:
    """Of a point of which no test tells what it is: the one to which a finer tolerance or another method leads."""
    end, answer = first

    def finer(end: Ended, answer: Answer[Verdict], words: tuple[Reason, ...]) -> Any:
        on = farther(objective, end, box, tol)
        return (end, answer, words) if on is None else (on[0], ask(on[0]), (*words, *on[1]))

    found = finer(end, answer, ())
    if found[0] is not end and found[1].value is not None and found[1].value.kind is Ending.MINIMUM:
        return found
    for lower, told in elsewhere(objective, start, found[0], box, tol):
        found = (lower, ask(lower), (*found[2], *told))
        if not _open(found[1], lower.here, start):
            break
        found = finer(*found)
        if not _open(found[1], found[0].here, start):
            break
    return found


def _lower(
    objective: Objective, box: Bounds, tol: float, first: tuple[Ended, Answer[Verdict]], ask: Callable[..., Any]
) -> tuple[Ended, Answer[Verdict], tuple[Reason, ...]]:
    """Where Newton's method leads from a minimum that the verdict on the end of a run saw elsewhere."""
    end, answer = first
    assert answer.value is not None
    objective.sizes = []
    seen = objective.at(flatten([leaf for leaf in jax.tree.leaves(answer.value.below) if is_float(leaf)]))
    on = run(objective, seen, box, "newton", tol, CHEAP * FEW)
    if not (on.here.finite and on.here.f <= end.here.f):
        return end, answer, ()
    text = f"newton's steps led along a fall that goes on for ever; f is lower elsewhere, {on.here.f:.8g}"
    on = replace(on, steps=end.steps + on.steps)
    return on, ask(on), (Reason("a minimum elsewhere", text=text, role="method"),)


def _prices(fun: Callable[..., Any], point: Any, args: tuple[Any, ...], bounds: Any) -> Answer[Any]:
    from qed.optimization.sensitivity import sensitivity_at

    return sensitivity_at(fun, point, args, equality=None, inequality=None, bounds=bounds)


def _compilable(method: Any, bounds: Any, constrained: bool) -> None:
    if method is not None and named(method) != "l-bfgs":
        raise QedError("QED007", f"compiled=True with method={method!r}", "it is built for l-bfgs", "method=None")
    if bounds is not None or constrained:
        because = "the compiled loop knows no bounds and no constraints"
        raise QedError("QED007", "compiled=True with bounds or constraints", because, "leave compiled out")


def _as_one(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...], objective: Objective, start: Seen, tol: float, most: int
) -> Ended:
    """A run of the compiled loop, and where it ended."""
    found, _, _, steps = descend(fun, objective.tree(x0, start.x), args, tol, most)
    here = objective.at(flatten([leaf for leaf in jax.tree.leaves(found) if is_float(leaf)]))
    if not here.finite:
        return Ended(here, "away", int(steps), 0)
    size = float(np.abs(here.g).max(initial=0.0))
    how = "stationary" if size <= tol else "budget" if int(steps) >= most else "stuck"
    return Ended(here, how, int(steps), 0)


def _options(tol: float, max_steps: int | None, starts: int) -> None:
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number):
        raise QedError("QED007", f"tol={tol!r} is no number", "it bounds the gradient", "tol=1e-8")
    for name, given in (("max_steps", max_steps), ("starts", starts)):
        if not (name == "max_steps" and given is None) and not isinstance(given, int | np.integer):
            raise QedError("QED007", f"{name}={given!r} is no whole number", "it is a count", f"{name}=1000 or another")
    if not tol >= 0 or not np.isfinite(tol):
        raise QedError("QED007", f"tol={tol!r} is no tolerance", "it bounds the gradient", "tol=1e-8")
    if max_steps is not None and max_steps < 0:
        raise QedError("QED007", f"max_steps={max_steps!r} is negative", "it counts steps", "max_steps=1000")
    if starts < 1:
        raise QedError("QED007", f"starts={starts!r} is below 1", "it counts starts, x0 among them", "starts=1")


def _start(objective: Objective, box: Bounds, asked: tuple[Any, Any, Any]) -> tuple[Seen, tuple[Reason, ...]]:
    """The start in the box, evaluated; or the error that says where it stops being finite."""
    x = box.project(objective.start)
    at = objective.at(x)
    notes = ()
    if not np.array_equal(x, objective.start):
        moved = int(np.sum(x != objective.start))
        text = f"{moved} of {len(x)} numbers of the start lay outside the bounds; it was projected"
        notes = (Reason("projection", "P(x)", text=text, role="start"),)
    if at.finite:
        return at, notes
    from qed.calculus.gradient.check import check_gradient

    fun, x0, args = asked
    what = f"the value at the start is {at.f}" if not np.isfinite(at.f) else "the gradient at the start is not finite"
    because, span = "nothing can be compared with it", None
    checked = check_gradient(fun, objective.tree(x0, at.x), *args)
    for finding in checked.findings:
        because, span = finding.message, finding.span
        break
    raise QedError("QED006", what, because, "start from a point where both are finite", span)


def _chosen(objective: Objective, box: Bounds, method: str | None) -> tuple[str, Reason]:
    if method is not None:
        asked = Reason("method", text=f"{method}, as asked for", role="method")
        if method not in ("trust-exact", "trust-krylov"):
            return method, asked
        objective.curvature = held_as(objective.function, "dense" if method == "trust-exact" else "products")
        if method == "trust-krylov" and not box.open:
            because = "its steps of conjugate gradients are not built within bounds"
            raise QedError("QED007", "method='trust-krylov' with bounds", because, "method='newton' or 'l-bfgs'")
        return "newton", asked
    try:
        curvature = objective.curvature
    except NotImplementedError:
        return "l-bfgs", Reason("method", text="l-bfgs: the gradient has no derivative", role="method")
    if curvature.kind == "products" and not box.open:
        return "l-bfgs", Reason("method", text=f"l-bfgs, projected: {curvature.why}", role="method")
    if objective.dear and isinstance(curvature.hessian, SparseHessian):
        times = f"{curvature.hessian.products:,} products, {objective.price:.1e} operations"
        return "l-bfgs", Reason("method", text=f"l-bfgs: a Hessian would take {times}", role="method")
    text = f"newton: {curvature.why}"
    if objective.adaptive and objective.small_squares is not None:
        text += "; f is a sum of squares: each step takes it or the matrix of first derivatives (Gauss and Newton's)"
    return "newton", Reason("method", text=text, role="method")


def _of_optax(updates: Updates) -> tuple[str, Reason]:
    rows = "" if updates.batch is None else f", {updates.batch} rows a step, their order drawn with seed 0"
    return updates.name, Reason("method", text=f"{updates.name}, as asked for{rows}", role="method")


def _multipliers(objective: Objective, x0: Any, here: Seen, box: Bounds) -> Multipliers:
    low = np.where(here.x <= box.lower, np.maximum(here.g, 0.0), 0.0)
    high = np.where(here.x >= box.upper, np.maximum(-here.g, 0.0), 0.0)
    return Multipliers(objective.tree(x0, low), objective.tree(x0, high))


def _spread_of(runs: list[Ended]) -> tuple[Reason, ...]:
    """Where several starts ended: the values, how many starts came to each place, and how far it is from the lowest."""
    if len(runs) == 1:
        return ()
    places: list[tuple[Seen, int]] = []
    for here in sorted((each.here for each in runs), key=lambda here: here.f):
        known = next((k for k, (other, _) in enumerate(places) if _same_place(here, other)), None)
        if known is None:
            places.append((here, 1))
        else:
            places[known] = places[known][0], places[known][1] + 1
    best = places[0][0]
    told = [f"{places[0][1]} of them at {best.f:.6g}"]
    for here, count in places[1:PLACES]:
        told.append(f"{count} at {here.f:.6g}, |x - x of the lowest| = {np.linalg.norm(here.x - best.x):.3g}")
    more = f"; and {len(places) - PLACES} places more" if len(places) > PLACES else ""
    where = "one place" if len(places) == 1 else f"{len(places)} places"
    text = f"{len(runs)} starts (seed 0) ended at {where}, at values from {best.f:.6g} to {places[-1][0].f:.6g}: "
    return (Reason("starts", text=text + "; ".join(told) + more, role="starts"),)


def _same_place(here: Seen, other: Seen) -> bool:
    near = SAME * (1 + float(np.linalg.norm(other.x)))
    return abs(here.f - other.f) <= SAME * max(1.0, abs(other.f)) and float(np.linalg.norm(here.x - other.x)) <= near


def _beside_noise(verdict: Verdict) -> tuple[Reason, ...]:
    """What f can still fall by, beside the rounding of its values: which of the two a search can see."""
    left, noise = verdict.decrease, verdict.noise
    if not (np.isfinite(left) and np.isfinite(noise)):
        return ()
    seen = "below it, so that the last steps were accepted by their gradients" if left < noise else "above it"
    text = f"by the quadratic model f falls by at most {left:.2g} more; its values are rounded by {noise:.2g}: {seen}"
    return (Reason("noise", "g'H^-1 g/2", text=text, role="noise", predicted=left, observed=noise),)


def _counted(counts: dict[str, int], best: Ended) -> Reason:
    text = f"{best.steps} steps, {counts['values']} values with gradients, {counts['hessians']} Hessians"
    if best.escapes:
        text += f"; {best.escapes} saddle{'s' * (best.escapes > 1)} left along the direction of negative curvature"
    return Reason("counts", text=text, role="cost")
